"""A map with knobs, for notebooks: method, layer, class and opacity."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain.image.files import encode_png
from cnnexplain.plot import HEAT, checked_alpha, overlay

from .arguments import Shared, method, open_session
from .explanation import Explanation
from .layers import maps_of
from .sampling import first_look

if TYPE_CHECKING:
    from typing_extensions import Unpack

_CLASSES = 10  # most probable ones that can be chosen
_SIDE = 320  # pixels: a smaller picture is enlarged
_COLOURS = (HEAT, "viridis", "jet", "gray")


@method
def interactive(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    methods: Sequence[str] | None = None,
    alpha: float = 0.5,
    **shared: Unpack[Shared],
) -> Any:
    """A widget that lays maps over images, with the method, the layer, the class and the opacity to turn.

    Every map is computed when it is first asked for, and kept. A method that does not fit the model says why
    in place of the picture. Interrupting the kernel ends a computation and leaves the widget usable.

    Args:
        class_index: None (the classes with the highest scores can be chosen), an integer or one per image,
            which is where it starts.
        methods: names that can be chosen, see `explain.methods()`; None: all.
        alpha: the opacity at the beginning, 0 to 1.

    Returns:
        An ipywidgets.VBox. Its attribute `explanation` is what it shows: an Explanation of one image, or
        None where the method refused.

    Raises:
        ImportError: ipywidgets is not installed (the extra "notebook").
        ValueError: no such method, class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> try:
    ...     knobs = cx.explain.interactive(cx.demo.load_network(), np.zeros((28, 28)))
    ... except ImportError as error:
    ...     print(error)
    """
    widgets = _ipywidgets()
    checked_alpha(alpha)
    return _panel(widgets, _Maps(model, images, class_index, methods, shared), alpha)


def _ipywidgets() -> Any:
    try:
        import ipywidgets
    except ImportError:
        raise ImportError(
            "explain.interactive needs ipywidgets: pip install 'cnnexplain[notebook]'. Without it, "
            "explain.compare shows several methods side by side"
        ) from None
    return ipywidgets


class _Maps:
    """What can be chosen, and the maps made so far."""

    def __init__(self, model: Any, images: Any, class_index: Any, methods: Any, shared: Any):
        from cnnexplain import explain

        known = explain.methods()
        self.names = known if methods is None else [methods] if isinstance(methods, str) else list(methods)
        for name in self.names:
            if name not in known:
                raise ValueError(f"`methods` must be among {', '.join(known)}. Received: {name!r}")
        self.model, self.images, self.shared = model, images, dict(shared)
        session = open_session("interactive", model, images, class_index, shared)
        target = session.target
        if target.units is None:
            raise ValueError("explain.interactive needs an output that is a list of classes")
        got = first_look(session, [("scores", target.logits)])
        scores = got["scores"].reshape(len(session.inputs), target.units)
        if target.units == 1:
            scores = np.concatenate([-scores, scores], 1)
        self.start = got.scored.class_index
        self.classes = [_ordered(row, first) for row, first in zip(scores, self.start, strict=True)]
        self.label = session.label
        found = maps_of(model, session.trace, target.logits, session.image)
        self.layers = [place.path for place in reversed(found)]
        self.layer = session.place(None).path if found else None
        self.count = len(session.inputs)
        self.apart = self.count > 1 and len(session.trace.inputs) == 1 and hasattr(images, "__getitem__")
        self._made: dict[tuple, Explanation] = {}

    def takes_layer(self, name: str) -> bool:
        """Whether a method explains a layer that can be chosen."""
        from cnnexplain import explain

        return "layer" in inspect.signature(getattr(explain, name)).parameters

    def explain(self, image: int, name: str, layer: str | None, index: int, progress: Any) -> Explanation:
        """The explanation of one image, made when it is first asked for."""
        from cnnexplain.explain import by_name

        layer = layer if self.takes_layer(name) else None
        key = (image, name, layer, index)
        if key not in self._made:
            options: dict[str, Any] = {**self.shared, "method": name, "progress": progress}
            if layer is not None:
                options["layer"] = layer
            if self.apart:
                e = by_name(self.model, self.images[image : image + 1], index, **options)[0]
            else:  # several inputs: all images at once
                classes = self.start.copy()
                classes[image] = index
                e = by_name(self.model, self.images, classes, **options)[image]
            self._made[key] = e
        return self._made[key]


def _ordered(scores: np.ndarray, first: int) -> list[int]:
    """The classes with the highest scores, and the one it starts with."""
    best = [int(i) for i in np.argsort(-scores, kind="stable")[:_CLASSES]]
    return best if first in best else [int(first), *best]


def _panel(widgets: Any, maps: _Maps, alpha: float) -> Any:
    wide = {"description_width": "5em"}
    names = maps.names
    image = widgets.Dropdown(description="image", options=range(maps.count), style=wide)
    name = widgets.Dropdown(
        description="method", options=names, value="grad_cam" if "grad_cam" in names else names[0], style=wide
    )
    layer = widgets.Dropdown(
        description="layer", options=maps.layers or ["none"], value=maps.layer or "none", style=wide
    )
    index = widgets.Dropdown(description="class", options=_labelled(maps, 0), style=wide)
    index.value = int(maps.start[0])
    opacity = widgets.FloatSlider(description="opacity", min=0, max=1, step=0.05, value=alpha, style=wide)
    colours = widgets.Dropdown(description="colours", options=_COLOURS, style=wide)
    picture = widgets.Image(format="png")
    told = widgets.HTML()
    bar = widgets.IntProgress(layout={"visibility": "hidden", "width": "95%"})
    knobs = [name, layer, index, opacity, colours]
    if maps.count > 1:
        knobs.insert(0, image)
    panel = widgets.VBox([widgets.HBox([widgets.VBox(knobs), picture]), bar, told])
    panel.explanation = None

    def progress(done: int, total: int) -> None:
        bar.value, bar.max = done, total

    def draw(*_: Any) -> None:
        e = panel.explanation
        if e is not None:
            picture.value = _picture(overlay(e.images[None], e.map[None], opacity.value, colours.value)[0])

    def explain(*_: Any) -> None:
        layer.disabled = not maps.layers or not maps.takes_layer(name.value)
        bar.value, bar.layout.visibility = 0, "visible"
        try:
            panel.explanation = maps.explain(image.value, name.value, layer.value, index.value, progress)
            told.value = _about(panel.explanation)
        except KeyboardInterrupt:
            told.value = "interrupted: choose again to go on"
        except (ValueError, TypeError, NotImplementedError, ImportError) as error:
            panel.explanation, picture.value = None, b""
            told.value = f"<span style='color:firebrick'>{escape(str(error))}</span>"
        finally:
            bar.layout.visibility = "hidden"
        draw()

    def turn(*_: Any) -> None:
        index.unobserve(explain, "value")
        index.options = _labelled(maps, image.value)
        index.value = int(maps.start[image.value])
        index.observe(explain, "value")
        explain()

    image.observe(turn, "value")
    for knob in (name, layer, index):
        knob.observe(explain, "value")
    for knob in (opacity, colours):
        knob.observe(draw, "value")
    explain()
    return panel


def _labelled(maps: _Maps, image: int) -> list[tuple[str, int]]:
    return [(maps.label(i), i) for i in maps.classes[image]]


def _picture(rgb: np.ndarray) -> bytes:
    """PNG of (H,W,3) uint8, small ones enlarged by whole pixels."""
    times = max(1, round(_SIDE / max(rgb.shape[:2])))
    return encode_png(rgb.repeat(times, 0).repeat(times, 1))


def _about(e: Explanation) -> str:
    named = e.class_name if e.class_name is not None else f"class {e.class_index}"
    parts = [f"<b>{escape(e.method)}</b>", escape(str(named))]
    if e.layer is not None:
        parts.insert(1, f"layer {escape(e.layer)}")
    parts += [f"score {e.score:.4g}", f"p = {e.probability:.3g}"]
    warnings = "".join(f"<div style='color:firebrick'>{escape(text)}</div>" for text in e.warnings)
    return ", ".join(parts) + warnings
