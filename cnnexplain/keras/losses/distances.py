"""Loss functions that compare values: errors, hinges, divergences, overlaps, and the circle loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cnnexplain import _core

from .. import config
from ..convert import as_real, as_tensor, same_rank

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor


def refuse(name: str, y_true: Any, y_pred: Any, hint: str = "") -> None:
    """ValueError in the name of the function for two shapes that do not go together."""
    raise ValueError(
        f"{name}: `y_true` and `y_pred` must have shapes that go together. Received: "
        f"y_true.shape={tuple(y_true.shape)}, y_pred.shape={tuple(y_pred.shape)}{hint}"
    )


def _pair(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as float tensors whose shapes broadcast."""
    y_pred = as_real(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype.name), y_pred)
    a, b = tuple(y_true.shape), tuple(y_pred.shape)
    for left, right in zip(reversed(a), reversed(b), strict=False):
        unlike = left != right and 1 not in (left, right)
        if unlike and (None not in (left, right) or len(a) != len(b)):
            refuse(name, y_true, y_pred)
    return y_true, y_pred


def _mean_last(x: Any) -> Any:
    return _core.reduce_mean(x, axis=[-1]) if len(x.shape) else x


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((y_true - y_pred)^2) over the last axis.

    >>> from cnnexplain import keras
    >>> keras.losses.mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).numpy()
    array([0.5], dtype=float32)
    """
    y_true, y_pred = _pair("mean_squared_error", y_true, y_pred)
    return _mean_last(_core.squared_difference(y_true, y_pred))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean(|y_true - y_pred|) over the last axis."""
    y_true, y_pred = _pair("mean_absolute_error", y_true, y_pred)
    return _mean_last(_core.abs(_core.subtract(y_true, y_pred)))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 * mean(|y_true - y_pred| / max(|y_true|, epsilon)) over the last axis."""
    y_true, y_pred = _pair("mean_absolute_percentage_error", y_true, y_pred)
    size = _core.maximum(_core.abs(y_true), config.epsilon())
    return _mean_last(_core.abs((y_true - y_pred) / size)) * 100.0


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((log(1 + y_true) - log(1 + y_pred))^2) over the last axis."""
    y_true, y_pred = _pair("mean_squared_logarithmic_error", y_true, y_pred)
    a = _core.log(_core.maximum(y_true, config.epsilon()) + 1.0)
    b = _core.log(_core.maximum(y_pred, config.epsilon()) + 1.0)
    return _mean_last(_core.squared_difference(a, b))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """The mean over the last axis of error^2 / 2 within `delta`, delta * |error| - delta^2 / 2 beyond."""
    y_true, y_pred = _pair("huber", y_true, y_pred)
    error = _core.abs(y_pred - y_true)
    inner = _core.minimum(error, float(delta))
    return _mean_last(inner * (error - inner * 0.5))


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """mean(log(cosh(y_pred - y_true))) over the last axis."""
    y_true, y_pred = _pair("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    return _mean_last(error + _core.softplus(error * -2.0) - math.log(2.0))


def _signs(y_true: Any) -> Any:
    """Labels 0 and 1 as -1 and 1; others as they are."""
    known = _core.logical_or(_core.equal(y_true, 0.0), _core.equal(y_true, 1.0))
    binary = _core.cast(_core.reduce_all(known), dtype=y_true.dtype.name)
    return y_true * (binary + 1.0) - binary


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0)) over the last axis; labels are -1 and 1, or 0 and 1."""
    y_true, y_pred = _pair("hinge", y_true, y_pred)
    return _mean_last(_core.relu(1.0 - _signs(y_true) * y_pred))


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0)^2) over the last axis; labels are -1 and 1, or 0 and 1."""
    y_true, y_pred = _pair("squared_hinge", y_true, y_pred)
    return _mean_last(_core.square(_core.relu(1.0 - _signs(y_true) * y_pred)))


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(largest wrong score - right score + 1, 0)."""
    y_true, y_pred = _pair("categorical_hinge", y_true, y_pred)
    right = _core.reduce_sum(y_true * y_pred, axis=[-1])
    wrong = _core.reduce_max((1.0 - y_true) * y_pred, axis=[-1])
    return _core.relu(wrong - right + 1.0)


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """sum(y_true * log(y_true / y_pred)) over the last axis."""
    y_true, y_pred = _pair("kl_divergence", y_true, y_pred)
    y_true = _core.clip(y_true, low=config.epsilon(), high=1.0)
    y_pred = _core.clip(y_pred, low=config.epsilon(), high=1.0)
    return _core.reduce_sum(y_true * _core.log(y_true / y_pred), axis=[-1])


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """mean(y_pred - y_true * log(y_pred)) over the last axis."""
    y_true, y_pred = _pair("poisson", y_true, y_pred)
    return _mean_last(y_pred - y_true * _core.log(y_pred + config.epsilon()))


def unit(x: Any, axis: int) -> Tensor:
    """x scaled to length 1 along `axis`; zeros stay zeros."""
    total = _core.reduce_sum(_core.square(x), axis=[axis], keepdims=True)
    return x * _core.rsqrt(_core.maximum(total, config.epsilon() ** 2))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between the two: -1 for the same direction."""
    y_true, y_pred = _pair("cosine_similarity", y_true, y_pred)
    return _core.negative(_core.reduce_sum(unit(y_true, axis) * unit(y_pred, axis), axis=[axis]))


def _axes(axis: Any) -> list[int] | None:
    return None if axis is None else list(axis) if isinstance(axis, (list, tuple)) else [axis]


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Tensor:
    """1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred)).

    Args:
        y_true, y_pred: Masks or probabilities of one shape.
        axis: Axes of the sums, an integer or several; None: all, the batch too.

    Returns:
        The loss, without `axis`.

    >>> from cnnexplain import keras
    >>> float(keras.losses.dice([[1.0, 1.0]], [[1.0, 0.0]])) # doctest: +ELLIPSIS
    0.333...
    """
    y_true, y_pred = _pair("dice", y_true, y_pred)
    axes = _axes(axis)
    both = _core.reduce_sum(y_true * y_pred, axis=axes)
    size = _core.reduce_sum(y_true, axis=axes) + _core.reduce_sum(y_pred, axis=axes)
    return 1.0 - both * 2.0 / (size + config.epsilon())


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    """1 - s / (s + alpha * missed + beta * false), s = sum(y_true * y_pred): Dice where both are 0.5.

    Args:
        y_true, y_pred: Masks or probabilities of one shape.
        alpha: Weight of sum(y_true * (1 - y_pred)).
        beta: Weight of sum((1 - y_true) * y_pred).
        axis: Axes of the sums, an integer or several; None: all, the batch too.

    Returns:
        The loss, without `axis`.
    """
    y_true, y_pred = _pair("tversky", y_true, y_pred)
    axes = _axes(axis)
    both = _core.reduce_sum(y_true * y_pred, axis=axes)
    missed = _core.reduce_sum((1.0 - y_pred) * y_true, axis=axes)
    false = _core.reduce_sum((1.0 - y_true) * y_pred, axis=axes)
    return 1.0 - both / (both + missed * alpha + false * beta + config.epsilon())


def _places(labels: Any) -> Any:
    """1, 2, 3, ... along the labels."""
    return _core.cumsum(_core.add(_core.multiply(labels, 0), 1), axis=0)


def _log_sum_exp(x: Any, chosen: Any) -> Any:
    """log(sum(exp(x))) over the chosen places of the last axis; very negative where there is none."""
    lowest = _core.add(_core.multiply(x, 0.0), -1e30)
    top = _core.stop_gradient(_core.reduce_max(_core.where(x, lowest, chosen), axis=[-1], keepdims=True))
    inner = _core.where(_core.subtract(x, top), _core.multiply(x, 0.0), chosen)
    total = _core.reduce_sum(_core.exp(inner) * _core.cast(chosen, dtype=x.dtype.name), axis=[-1])
    return _core.log(_core.maximum(total, 1e-30)) + _core.reduce_sum(top, axis=[-1])


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """softplus(logsumexp over pairs of one class + logsumexp over pairs of two classes): embeddings of one
    class are drawn together, the others pushed apart.

    Args:
        y_true: Labels (n,) or (n, 1).
        y_pred: Embeddings (n, d) of length 1.
        ref_labels, ref_embeddings: What they are compared with, (m,) and (m, d); None: with themselves.
        remove_diagonal: Whether an embedding is not compared with the one at its own place.
        gamma: Scale of the similarities.
        margin: How far apart the classes shall be.

    Returns:
        (n,) losses.

    Circle Loss: A Unified Perspective of Pair Similarity Optimization, Sun et al., 2020.
    """
    y_pred = as_real(y_pred)
    labels = _core.reshape(_core.cast(as_tensor(y_true), dtype="int64"), shape=[-1])
    others = labels
    if ref_labels is not None:
        others = _core.reshape(_core.cast(as_tensor(ref_labels), dtype="int64"), shape=[-1])
    reference = y_pred if ref_embeddings is None else as_tensor(ref_embeddings, y_pred.dtype.name)
    counts = (labels.shape[0], y_pred.shape[0])
    if len(y_pred.shape) != 2 or (None not in counts and counts[0] != counts[1]):
        refuse("circle", labels, y_pred, ". It takes labels (n,) and embeddings (n, d).")
    distance = _core.relu(1.0 - _core.matmul(y_pred, reference, transpose_b=True))
    alike = _core.equal(_core.reshape(labels, shape=[-1, 1]), _core.reshape(others, shape=[1, -1]))
    unlike = _core.logical_not(alike)
    if remove_diagonal:
        rows, columns = _places(labels), _places(others)
        apart = _core.not_equal(_core.reshape(rows, shape=[-1, 1]), _core.reshape(columns, shape=[1, -1]))
        alike = _core.logical_and(alike, apart)
    near = _core.relu(distance + margin) * (distance - margin) * gamma
    far = _core.relu((1.0 + margin) - distance) * ((1.0 - margin) - distance) * gamma
    return _core.softplus(_log_sum_exp(near, alike) + _log_sum_exp(far, unlike))
