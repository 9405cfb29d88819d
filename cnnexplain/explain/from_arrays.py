"""Class activation maps from activations and gradients that another framework has computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnexplain import ops

from .cams import Arrays
from .eigen_cam import component
from .explanation import Explanation, Note
from .gradient_cams import RULES

_OTHERS = {
    "cam": "sum_k W[k,c] A_k",
    "eigen_cam": "relu(A v), v the first right singular vector of A",
}
METHODS = (*RULES, *_OTHERS)


def from_arrays(
    activations: Any,
    gradients: Any = None,
    *,
    method: str = "grad_cam",
    weights: Any = None,
    class_index: Any = None,
    images: Any = None,
    size: Sequence[int] | None = None,
    channels_first: bool = False,
    score: Any = None,
    probability: Any = None,
    class_names: Sequence[str] | None = None,
    layer: str | None = None,
) -> Explanation:
    """An explanation from the activations A of a layer and the gradients of the score with respect to A.

    For networks of other frameworks: they compute A and g = dy/dA, this makes the map by the formula of the
    method and everything that an Explanation can do. Arrays of any library that NumPy can read are taken, on
    the CPU without a copy: PyTorch's tensors, those that need gradients too, JAX's arrays. Nothing that is
    passed in is changed. The finished map is max(raw, 0), enlarged bilinearly (half-pixel centres) and
    divided by its maximum if that is positive, as for a model of this package.

    Args:
        activations: (n,h,w,K), the output of the layer, A.
        gradients: (n,h,w,K), of the explained score with respect to A. Needed by all methods but cam and
            eigen_cam.
        method: "grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "xgrad_cam", "eigen_cam" or "cam".
        weights: (K,classes), for cam: the kernel of the last Dense layer. PyTorch's Linear has it the other
            way round: give `linear.weight.T`.
        class_index: (n,) or one integer: the explained classes. Needed by cam; otherwise for the names.
        images: (n,H,W,C) or (n,H,W), what the network was given, for display.
        size: (H,W) of the finished maps; default: that of the images, else that of the activations.
        channels_first: activations, gradients and images are (n,K,h,w) and (n,C,H,W), as PyTorch has them.
        score: (n,), for display.
        probability: (n,), for display.
        class_names: one for each class.
        layer: how the layer is called.

    Returns:
        An Explanation; `raw` is the weighted sum (n,h,w) before the ReLU. Where `class_index`, `score` or
        `probability` are not given, they are -1 and NaN; without images they are black.

    Raises:
        ValueError: shapes that do not fit, no such method, values that are not finite.

    >>> import numpy as np
    >>> from cnnexplain import explain
    >>> activations, gradients = np.random.rand(2, 64, 7, 7), np.random.rand(2, 64, 7, 7)
    >>> e = explain.from_arrays(activations, gradients, channels_first=True, size=(224, 224))
    >>> e.map.shape, e.raw.shape
    ((2, 224, 224), (2, 7, 7))
    """
    if method not in METHODS:
        raise ValueError(
            f"`method` must be one of {', '.join(METHODS)}; others need the model. "
            f"Received: method={method!r}"
        )
    first = ops.as_array("activations", activations)
    second = None if gradients is None else ops.as_array("gradients", gradients)
    if second is not None and second.shape != first.shape:
        raise ValueError(
            f"`gradients` must have the shape of `activations`. Received: {second.shape} and {first.shape}"
        )
    first, second = _values("activations", first, second), _values("gradients", second, first)
    if channels_first:
        first, second = _last(first), None if second is None else _last(second)
    chosen = _column("class_index", class_index, len(first), -1).astype(np.int64)
    arrays = _arrays(method, first, second, weights, chosen)
    shown = _shown(images, len(first), channels_first)
    if size is None:
        size = first.shape[1:3] if shown is None else shown.shape[1:3]
    steps = dict(arrays)
    _, raw = steps.popitem()
    positive = np.maximum(raw, 0)
    enlarged = ops.resize(positive, size, method="bilinear")
    steps |= {"weighted sum": raw, "ReLU": positive, "upsampled": enlarged}
    maps = ops.normalize(enlarged).astype(np.float32, copy=False)
    notes: list[Note] = []
    blank = np.flatnonzero(~maps.any((1, 2)))
    if len(blank):
        notes.append(("no positive evidence, or the same value everywhere", blank))
    return Explanation(
        map=maps,
        raw=raw,
        class_index=chosen,
        score=_column("score", score, len(first), np.nan),
        probability=_column("probability", probability, len(first), np.nan),
        images=np.zeros((*maps.shape, 1), np.uint8) if shown is None else shown,
        method=method,
        layer=layer,
        class_names=class_names,
        parameters={"formula": _OTHERS.get(method) or RULES[method][1], "upsampling": "bilinear"},
        steps=steps,
        notes=notes,
    )


def _values(name: str, array: Any, other: np.ndarray | None) -> Any:
    """(n,h,w,K) or (n,K,h,w) as finite floats, of the wider dtype of the two."""
    if array is None:
        return None
    array = ops.as_images(name, array, *([] if other is None else [other]))
    if 0 in array.shape:
        raise ValueError(f"`{name}` must not be empty. Received: shape={array.shape}")
    finite = np.isfinite(array).all((1, 2, 3))
    if not finite.all():
        raise ValueError(f"`{name}` must be finite. Received: NaN or infinity in image {finite.argmin()}")
    return array


def _last(array: np.ndarray) -> np.ndarray:
    """The same values with the channels last, not copied."""
    return np.moveaxis(array, 1, -1)


def _arrays(
    method: str, activations: np.ndarray, gradients: np.ndarray | None, weights: Any, chosen: np.ndarray
) -> Arrays:
    """The steps of the method, the raw map last."""
    if method == "eigen_cam":
        pairs = [component(one.astype(np.float64), False) for one in activations]
        vectors, projections = (np.stack(part).astype(activations.dtype) for part in zip(*pairs, strict=True))
        return {"activations": activations, "channel weights": vectors, "raw": projections}
    if method == "cam":
        if weights is None or (chosen < 0).any():
            raise ValueError("cam needs `weights` (K, classes) and `class_index`. Received: one is missing")
        raw = ops.cam(activations, weights, chosen)
        used = ops.as_array("weights", weights).T[chosen]
        return {"activations": activations, "channel weights": used, "raw": raw}
    if gradients is None:
        raise ValueError(f"{method} needs `gradients`, those of the score with respect to `activations`")
    return RULES[method][0](activations, gradients)


def _column(name: str, value: Any, count: int, missing: float) -> np.ndarray:
    """(n,) numbers; `missing` where nothing is given."""
    array = ops.as_array(name, missing if value is None else value)
    if array.ndim == 0:
        array = np.full(count, array)
    if array.shape != (count,) or array.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` must be {count} numbers, one for each image. Received: {name}={value!r}")
    return array


def _shown(images: Any, count: int, channels_first: bool) -> np.ndarray | None:
    """(n,H,W,C) as they are, or None."""
    if images is None:
        return None
    array = ops.as_array("images", images)
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4:
        array = _last(array) if channels_first else array
    if array.ndim != 4 or len(array) != count or array.dtype.kind not in "buif":
        wanted = "(n, C, H, W)" if channels_first else "(n, H, W, C)"
        raise ValueError(
            f"`images` must have shape {wanted} or (n, H, W) with n = {count}. Received: "
            f"shape={np.shape(images)}"
        )
    return array
