"""Several classes of the same images side by side: what speaks for the cat, what for the dog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import ops

from .arguments import Shared, open_session
from .arguments import method as completed
from .cams import Gathered, slopes
from .explanation import Explanation
from .gradient_cams import RULES
from .gradients import check_activations
from .sampling import check_reduce, image_gradient, values_of, whole
from .session import Session
from .target import Scored

if TYPE_CHECKING:
    from typing_extensions import Unpack

_PIXELS = {
    "saliency": ("true", "dy/dx"),
    "input_x_gradient": ("true", "x * dy/dx"),
    "guided_backprop": ("guided", "dy/dx with relu(dout) * [z > 0] at every ReLU"),
    "rectified_gradient": ("rectified", "dy/dx with relu(dout) at every ReLU"),
}


@completed
def compare_classes(
    model: Any,
    images: Any,
    classes: Sequence[int] | np.ndarray | None = None,
    *,
    method: str = "grad_cam",
    top: int = 3,
    shared_scale: bool = True,
    layer: Any = None,
    reduce: str = "sum",
    fallback: str | None = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """Explains several classes of every image, from one forward pass and one backward pass for each class.

    Args:
        classes: integers, the same for all images, or (n, k) for each image its own; None: the `top`
            classes of each image, the likeliest first.
        method: grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, xgrad_cam, saliency, input_x_gradient,
            guided_backprop or rectified_gradient.
        top: how many classes when `classes` is None.
        shared_scale: the maps of an image are divided by one number, their common maximum, so that they can
            be compared; False scales each to its own maximum.
        layer: for the CAM methods; as theirs, one layer.

    Returns:
        An Explanation of n * k rows: the classes of the first image, then those of the second, and so on.
        `raw` is what the method gives for each.

    Raises:
        ValueError: no such class, method, layer, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.compare_classes(network, np.ones((2, 28, 28)), [0, 9], layer="conv2d_2")
    >>> e.map.shape, list(e.class_name)
    ((4, 28, 28), ['T-shirt/top', 'Ankle boot', 'T-shirt/top', 'Ankle boot'])
    """
    known = (*RULES, *_PIXELS)
    if method not in known:
        raise ValueError(f"`method` must be one of {', '.join(known)}. Received: method={method!r}")
    check_reduce(reduce)
    session = open_session("compare_classes", model, images, None, shared)
    if callable(session.target.score) or session.target.classes is None:
        raise ValueError(
            "compare_classes needs a score of each class: an output (n, classes) and a named `score`, "
            f"such as 'logit'. Received: score={session.parameters['score']!r}"
        )
    asked = _asked(session, classes, top)
    count = asked.shape[1] if asked is not None else min(whole("top", top, 1), session.target.classes)
    pixels = method in _PIXELS
    place = None if pixels else session.place(layer)
    if pixels and _PIXELS[method][0] != "true":
        check_activations(session, fallback, method, _PIXELS[method][0])
    x = values_of(session)
    gathered = Gathered(1)
    everything: list[list[Scored]] = []
    for part, instance, _ in session.batches([] if place is None else [place.symbol]):
        chosen = _likeliest(session, instance, count) if asked is None else asked[part]
        everything.append([])
        columns = []
        for column in range(count):
            scored = session.target.scored(instance, chosen[:, column])
            everything[-1].append(scored)
            if place is not None:
                ((activations, gradients),) = slopes(instance, scored, [place])
                arrays = dict(RULES[method][0](activations, gradients))
                del arrays["activations"]  # the same for all classes
            else:
                raw = image_gradient(session, instance, scored, _PIXELS[method][0])
                arrays = {"raw": raw * x[part] if method == "input_x_gradient" else raw}
            columns.append(arrays)
        gathered.add(0, {name: _interleaved([arrays[name] for arrays in columns]) for name in columns[0]})
    (arrays,) = gathered.layers()
    merged = {
        name: np.concatenate([_interleaved([getattr(one, name) for one in batch]) for batch in everything])
        for name in ("class_index", "score", "probability")
    }
    scored = replace(everything[0][0], **merged)
    return _finished(session, scored, arrays, count, method, place, reduce, shared_scale, fallback)


def _interleaved(columns: list[np.ndarray]) -> np.ndarray:
    """k arrays (n, ...) as (n k, ...), an image's k one after the other."""
    stacked = np.stack(columns, 1)
    return stacked.reshape(-1, *stacked.shape[2:])


def _asked(session: Session, classes: Any, top: Any) -> np.ndarray | None:
    """(n,k) classes, or None for the likeliest."""
    if classes is None:
        return None
    n = len(session.inputs)
    given = np.asarray(classes)
    fits = given.ndim == 1 or (given.ndim == 2 and len(given) == n)
    if given.dtype.kind not in "iu" or not given.size or not fits:
        raise ValueError(
            f"`classes` must be None, a list of integers, or ({n}, k) integers. Received: classes={classes!r}"
        )
    table = np.broadcast_to(given, (n, given.shape[-1]))
    for column in range(table.shape[1]):
        session.target.choose(table[:, column], n)
    return table.astype(np.int64)


def _likeliest(session: Session, instance: Any, count: int) -> np.ndarray:
    """(n,k): the classes by their logits, the greatest first."""
    z = np.asarray(instance.value(session.target.logits))
    z = z.reshape(len(z), -1)
    if session.target.units == 1:
        z = np.concatenate([-z, z], 1)
    return np.argsort(-z, axis=1, kind="stable")[:, :count]


def _finished(
    session: Session,
    scored: Scored,
    arrays: dict[str, np.ndarray],
    count: int,
    method: str,
    place: Any,
    reduce: str,
    shared_scale: bool,
    fallback: str | None,
) -> Explanation:
    raw = arrays.pop("raw")
    if place is None:
        values = ops.saliency(raw, reduce=reduce)
        reason = "the gradient of {} is zero at every pixel"
        steps = {"gradients": raw, f"{reduce} over channels": values}
        formula, settings = _PIXELS[method][1], {"reduce": reduce, "fallback": fallback}
    else:
        positive = np.maximum(raw, 0)
        values = ops.resize(positive, session.inputs.size, method="bilinear")
        reason = f"no positive evidence for {{}} at layer {place.path}"
        steps = {**arrays, "weighted sum": raw, "ReLU": positive, "upsampled": values}
        formula, settings = RULES[method][1], {"upsampling": "bilinear"}
    maps = session.finish(values, scored.class_index, reason)
    if shared_scale:
        own = np.maximum(values.max((1, 2)), 0).reshape(-1, count)
        most = own.max(1, keepdims=True)
        part = np.divide(own, most, out=np.zeros_like(own), where=most > 0)
        maps = maps * part.reshape(-1, 1, 1).astype(np.float32)
    shown: Any = session.inputs.shown
    shown = np.repeat(shown() if callable(shown) else shown, count, 0)
    session.inputs = replace(session.inputs, shown=shown)
    return session.explanation(
        scored,
        maps,
        raw,
        method=method,
        layer=None if place is None else place.path,
        steps=steps,
        formula=formula,
        classes_of_an_image=count,
        shared_scale=bool(shared_scale),
        **settings,
    )
