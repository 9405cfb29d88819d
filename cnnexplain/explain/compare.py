"""Methods side by side: one table of metrics, one grid of pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain.plot import (
    HEAT,
    bare_image,
    chosen_axes,
    new_figure,
    overlay,
    png,
    positive,
    to_rgb,
    values,
)

from . import metrics as measures
from .arguments import Shared, method, open_session
from .explanation import Explanation
from .metrics import Metric
from .sampling import first_look

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from typing_extensions import Unpack

METRICS: dict[str, Callable[..., Metric]] = {
    name: getattr(measures, name) for name in measures.__all__ if name != "Metric"
}
_OF_METHODS = ("max_sensitivity", "model_randomization")


class Comparison:
    """What `explain.compare` returns: `print` it for the table, `plot` it for the pictures.

    Attributes:
        explanations: method -> Explanation.
        metrics: metric -> {method -> Metric, or None where the metric does not fit the method}.
        seconds: method -> how long its explanation took.
        warnings: why a metric does not fit a method, sentences.
    """

    def __init__(
        self,
        explanations: Mapping[str, Explanation],
        metrics: Mapping[str, Mapping[str, Metric | None]],
        seconds: Mapping[str, float],
        warnings: Sequence[str],
    ):
        self.explanations = dict(explanations)
        self.metrics = {name: dict(row) for name, row in metrics.items()}
        self.seconds = dict(seconds)
        self.warnings = tuple(warnings)

    def best(self, metric: str) -> str | None:
        """The method with the best value of a metric, the first of equals; None where there is no value."""
        if metric not in self.metrics:
            raise ValueError(
                f"`metric` must be one of {', '.join(self.metrics)}. Received: metric={metric!r}"
            )
        known = {
            name: m for name, m in self.metrics[metric].items() if m is not None and np.isfinite(m.value)
        }
        return max(known, key=lambda name: known[name].value * known[name].sign) if known else None

    def to_dict(self) -> dict[str, Any]:
        """Columns of the table by name: "method", each metric's values (NaN: it does not fit), "seconds"."""
        columns: dict[str, Any] = {"method": list(self.explanations)}
        for name, row in self.metrics.items():
            columns[name] = [float("nan") if m is None else m.value for m in row.values()]
        return {**columns, "seconds": list(self.seconds.values())}

    def plot(
        self,
        *,
        alpha: float = 0.5,
        cmap: str = HEAT,
        max_images: int = 8,
        shared_scale: bool = False,
        axes: Any = None,
    ) -> Figure:
        """A matplotlib figure: a row for each image, the image and each method's map over it.

        Args:
            alpha: how much of the maps' colours shows, 0 to 1.
            cmap: colours of the maps.
            max_images: most rows.
            shared_scale: shows each method's `raw` instead, averaged over channels, all of an image on one
                scale: for methods whose values have the same unit.
            axes: matplotlib axes to draw into instead of a new figure: one for each panel, row by row.
        """
        positive("max_images", max_images)
        every = list(self.explanations.values())
        rows = min(len(every[0]), max_images)
        height, width = every[0].map.shape[1:]
        aspect = min(max(height / width, 0.3), 3.0)
        wide = 2.0 + (0.5 if shared_scale else 0)
        if axes is None:
            figure = new_figure(wide * (1 + len(every)) + 0.6, 2.0 * rows * aspect + 0.8)
            axes = figure.subplots(rows, 1 + len(every))
        grid = chosen_axes(axes, rows, 1 + len(every))
        for row, picture in enumerate(to_rgb(every[0].images[:rows])):
            bare_image(grid[row][0], picture)
            if shared_scale:
                raws = [np.asarray(e.raw[row]) for e in every]
                raws = [raw.mean(2) if raw.ndim == 3 else raw for raw in raws]
                limit = max(float(np.abs(raw).max()) for raw in raws)
                for panel, raw in zip(grid[row][1:], raws, strict=True):
                    values(panel, raw, limit)
        for column, e in enumerate(every if not shared_scale else [], 1):
            for row, picture in enumerate(overlay(e.images[:rows], e.map[:rows], alpha, cmap)):
                bare_image(grid[row][column], picture)
        for panel, title in zip(grid[0], ["image", *self.explanations], strict=True):
            panel.set_title(title.replace("_", " "), fontsize="small", wrap=True)
        for row in range(rows):
            name, index = every[0].class_name[row], int(every[0].class_index[row])
            grid[row][0].set_ylabel(name if name is not None else f"class {index}" if index >= 0 else "")
        return grid[0, 0].figure

    def cells(self) -> list[list[str]]:
        """The table as texts: a row of headings, then one for each method."""
        arrows = {True: "higher", False: "lower"}
        heads = ["method"]
        for name, row in self.metrics.items():
            known = next((m for m in row.values() if m is not None), None)
            heads.append(name if known is None else f"{name} ({arrows[known.higher_is_better]})")
        lines = [[*heads, "seconds"]]
        best = {name: self.best(name) for name in self.metrics}
        for one in self.explanations:
            cells = [one]
            for name, row in self.metrics.items():
                value = row[one]
                star = "*" if best[name] == one and len(row) > 1 else " "
                cells.append("- " if value is None else f"{value.value:.4g}{star}")
            lines.append([*cells, f"{self.seconds[one]:.3g}"])
        return lines

    def __str__(self) -> str:
        lines = self.cells()
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        notes = ["* the best value; the word in brackets is the better direction"] if self.metrics else []
        return "\n".join([*text, *notes, *self.warnings])

    __repr__ = __str__

    def _repr_png_(self) -> bytes:
        return png(self.plot())

    def _repr_html_(self) -> str:
        import base64
        from html import escape

        head, *body = self.cells()
        rows = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
        rows += ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in body]
        table = "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
        notes = "".join(f"<p>{escape(text)}</p>" for text in self.warnings)
        data = base64.b64encode(self._repr_png_()).decode()
        return f'{table}{notes}<img src="data:image/png;base64,{data}" alt="maps of every method">'


@method
def compare(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    methods: Sequence[str] = ("grad_cam", "layer_cam", "saliency", "integrated_gradients"),
    metrics: Sequence[str] = ("insertion", "deletion"),
    masks: Any = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    **shared: Unpack[Shared],
) -> Comparison:
    """Explains the same images by several methods, and measures each explanation.

    All methods explain the same classes, and every metric gets the same seed and order of equal values. A
    metric that does not fit a method, as completeness does not fit maps of a layer, has no value there; the
    result's `warnings` say why.

    Args:
        methods: names, see `explain.methods()`.
        metrics: names of functions of `explain.metrics`; may be empty.
        masks: (n,H,W) of the objects, for pointing_game.
        options: further arguments of a method or a metric by its name, such as {"rise": {"masks": 500},
            "insertion": {"steps": 20}}.
        score: what the methods explain, each its own default unless it is given; metrics keep theirs unless
            `options` says otherwise.
        progress: True for a bar for each method and metric, or a callable of (done, total).

    Returns:
        A Comparison; `print` shows the table, `plot` makes the grid, `to_dict` gives the numbers.

    Raises:
        ValueError: no such method, metric, class, input or output, a method that does not fit the model, or
            pointing_game without `masks`.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> both = cx.explain.compare(network, image, methods=["grad_cam", "saliency"], metrics=["deletion"])
    >>> list(both.to_dict())
    ['method', 'deletion', 'seconds']
    """
    from cnnexplain.explain import by_name
    from cnnexplain.explain import methods as known

    names = _chosen("methods", methods, known())
    measured = _chosen("metrics", metrics, list(METRICS))
    if not names:
        raise ValueError("`methods` must hold at least one name. Received: none")
    if "pointing_game" in measured and masks is None:
        raise ValueError("`masks` must be given for pointing_game. Received: masks=None")
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"`options` must be a dict of dicts of arguments. Received: options={options!r}")
    own = {name: dict(given) for name, given in (options or {}).items()}
    _chosen("options", list(own), [*known(), *METRICS])
    session = open_session("compare", model, images, class_index, shared)
    scored = first_look(session).scored
    classes = class_index
    if classes is None and session.target.classes is not None:
        classes = scored.class_index
    common: dict[str, Any] = dict(shared)
    elsewhere = {name: value for name, value in common.items() if name != "score"}
    explanations, seconds = {}, {}
    for name in names:
        start = time.perf_counter()
        explanations[name] = by_name(model, images, classes, method=name, **{**common, **own.get(name, {})})
        seconds[name] = time.perf_counter() - start
    table: dict[str, dict[str, Metric | None]] = {}
    notes = []
    for metric in measured:
        function, given = METRICS[metric], own.get(metric, {})
        table[metric] = {}
        for name, e in explanations.items():
            try:
                if metric == "pointing_game":
                    result = function(e, masks, **given)
                elif metric in _OF_METHODS:
                    again = {"method": name, "options": own.get(name, {}), **common}
                    result = function(model, images, classes, **{**again, **given})
                else:
                    result = function(model, images, e, classes, **{**elsewhere, **given})
            except ValueError as error:
                if metric not in ("completeness", "infidelity") or "one value for each value" not in str(
                    error
                ):
                    raise
                table[metric][name] = None
                notes.append(f"{metric} has no value for {name}: its `raw` has not the image's shape")
            else:
                table[metric][name] = result
    return Comparison(explanations, table, seconds, notes)


def _chosen(argument: str, given: Any, known: Sequence[str]) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        if name not in known:
            raise ValueError(f"`{argument}` must be among {', '.join(known)}. Received: {name!r}")
    return list(dict.fromkeys(names))
