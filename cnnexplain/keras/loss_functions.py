"""Loss functions of (y_true, y_pred): one number for each example."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cnnexplain import _core

from . import config
from .convert import as_real, as_tensor, same_rank


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    y_pred = as_real(y_pred)
    return same_rank(as_tensor(y_true, y_pred.dtype.name), y_pred)


def _mean_last(x: Any) -> Any:
    return _core.reduce_mean(x, axis=[-1]) if len(x.shape) else x


def _met(name: str, y_true: Any, y_pred: Any) -> None:
    a, b = tuple(y_true.shape), tuple(y_pred.shape)
    if len(a) != len(b) or any(x != y and x is not None and y is not None for x, y in zip(a, b, strict=True)):
        raise ValueError(
            f"{name}: `y_true` and `y_pred` must have the same shape. Received: y_true.shape={a}, "
            f"y_pred.shape={b}"
        )


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """mean((y_true - y_pred)^2) over the last axis.

    >>> from cnnexplain import keras
    >>> keras.losses.mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).numpy()
    array([0.5], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean_last(_core.squared_difference(y_true, y_pred))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(|y_true - y_pred|) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean_last(_core.abs(_core.subtract(y_true, y_pred)))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 * mean(|y_true - y_pred| / max(|y_true|, epsilon)) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    size = _core.maximum(_core.abs(y_true), config.epsilon())
    return _mean_last(_core.abs((y_true - y_pred) / size)) * 100.0


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """mean((log(1 + y_true) - log(1 + y_pred))^2) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    a = _core.log(_core.maximum(y_true, config.epsilon()) + 1.0)
    b = _core.log(_core.maximum(y_pred, config.epsilon()) + 1.0)
    return _mean_last(_core.squared_difference(a, b))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """The mean over the last axis of error^2 / 2 within `delta`, delta * |error| - delta^2 / 2 beyond."""
    y_true, y_pred = _pair(y_true, y_pred)
    error = _core.abs(y_pred - y_true)
    inner = _core.minimum(error, float(delta))
    return _mean_last(inner * (error - inner * 0.5))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """mean(log(cosh(y_pred - y_true))) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    return _mean_last(error + _core.softplus(error * -2.0) - float(np.log(2.0)))


def _signs(y_true: Any) -> Any:
    """Labels 0 and 1 as -1 and 1."""
    if isinstance(y_true, _core.Symbol):
        return y_true
    values = np.asarray(y_true)
    return y_true * 2.0 - 1.0 if np.isin(values, (0, 1)).all() else y_true


def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)) over the last axis; labels are -1 and 1."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean_last(_core.relu(1.0 - _signs(y_true) * y_pred))


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true * y_pred, 0)^2) over the last axis; labels are -1 and 1."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean_last(_core.square(_core.relu(1.0 - _signs(y_true) * y_pred)))


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(largest wrong score - right score + 1, 0)."""
    y_true, y_pred = _pair(y_true, y_pred)
    right = _core.reduce_sum(y_true * y_pred, axis=[-1])
    wrong = _core.reduce_max((1.0 - y_true) * y_pred, axis=[-1])
    return _core.relu(wrong - right + 1.0)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum(y_true * log(y_true / y_pred)) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = _core.clip(y_true, low=config.epsilon(), high=1.0)
    y_pred = _core.clip(y_pred, low=config.epsilon(), high=1.0)
    return _core.reduce_sum(y_true * _core.log(y_true / y_pred), axis=[-1])


def poisson(y_true: Any, y_pred: Any) -> Any:
    """mean(y_pred - y_true * log(y_pred)) over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean_last(y_pred - y_true * _core.log(y_pred + config.epsilon()))


def _unit(x: Any, axis: int) -> Any:
    total = _core.reduce_sum(_core.square(x), axis=[axis], keepdims=True)
    return x * _core.rsqrt(_core.maximum(total, 1e-12))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between the two: -1 for the same direction."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _core.negative(_core.reduce_sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=[axis]))


def logits_of(y_pred: Any) -> Any:
    """The logits of a tensor that softmax or sigmoid made; None for any other."""
    maker = y_pred.maker if isinstance(y_pred, _core.Symbol) else None
    if maker is None:
        return getattr(y_pred, "logits", None)
    if maker.op == "sigmoid":
        return maker.inputs[0]
    if maker.op == "softmax" and maker.attributes.get("axis", -1) in (-1, len(y_pred.shape) - 1):
        return maker.inputs[0]
    return None


def _find_logits(y_pred: Any, from_logits: bool, function: str) -> tuple[Any, bool]:
    """What the loss is computed from, and whether that are logits. Those behind an activation are taken
    whichever of
    the two it was, as Keras on TensorFlow does."""
    logits = logits_of(y_pred)
    if logits is None:
        return y_pred, from_logits
    if from_logits:
        warnings.warn(
            f"`{function}` received `from_logits=True`, but `y_pred` was produced by a softmax or sigmoid "
            "activation and "
            "thus does not represent logits: those behind it are used.",
            stacklevel=4,
        )
    return logits, True


def _probabilities(y_pred: Any) -> Any:
    return _core.clip(y_pred, low=config.epsilon(), high=1.0 - config.epsilon())


def _last(x: Any, axis: int) -> Any:
    rank = len(x.shape)
    axis %= rank
    return x if axis == rank - 1 else _core.transpose(x, perm=[*(k for k in range(rank) if k != axis), axis])


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """-sum(y_true * log(y_pred)) over the classes.

    Where softmax made `y_pred`, its logits are used, so that a saturated network still has a gradient; other
    probabilities are scaled to sum 1 and clipped to [epsilon, 1 - epsilon].

    Args:
        y_true: One-hot labels or probabilities (n, classes).
        y_pred: Probabilities, or logits with `from_logits`, (n, classes).
        from_logits: Whether `y_pred` are logits.
        label_smoothing: In [0, 1]: labels become y * (1 - s) + s / classes.
        axis: The class axis.

    Returns:
        (n,) losses.

    Raises:
        ValueError: Shapes that differ.

    >>> from cnnexplain import keras
    >>> float(keras.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])[0]) # doctest: +ELLIPSIS
    0.693...
    """
    if isinstance(axis, bool):
        raise ValueError(f"`axis` must be of type `int`. Received: axis={axis} of type {type(axis)}")
    y_pred = as_real(y_pred)
    y_true = as_tensor(y_true, y_pred.dtype.name)
    _met("categorical_crossentropy", y_true, y_pred)
    if not len(y_pred.shape):
        raise ValueError(
            "categorical_crossentropy: `y_pred` must have at least one axis. Received: y_pred.shape=()"
        )
    if y_pred.shape[-1] == 1:
        warnings.warn(
            "In loss categorical_crossentropy, expected y_pred.shape to be (batch_size, num_classes) with "
            f"num_classes > 1. Received: y_pred.shape={tuple(y_pred.shape)}. Consider using "
            "'binary_crossentropy' if you "
            "only have 2 classes.",
            SyntaxWarning,
            stacklevel=2,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    y_pred, from_logits = _find_logits(y_pred, from_logits, "categorical_crossentropy")
    if from_logits:
        return _core.softmax_cross_entropy(_last(y_pred, axis), _last(y_true, axis))
    y_pred = _probabilities(y_pred / _core.reduce_sum(y_pred, axis=[axis], keepdims=True))
    return _core.negative(_core.reduce_sum(y_true * _core.log(y_pred), axis=[axis]))


def check_labels(labels: np.ndarray) -> None:
    """ValueError when labels that came as floats are no whole numbers."""
    if labels.dtype.kind != "f":
        return
    wrong = np.flatnonzero(labels != np.rint(labels))
    if len(wrong) or not np.isfinite(labels).all():
        first = wrong[0] if len(wrong) else np.flatnonzero(~np.isfinite(labels))[0]
        raise ValueError(
            "sparse_categorical_crossentropy: `y_true` must hold the numbers of classes, whole and finite. "
            f"Received: label {labels.flat[first]} at position {first}"
        )


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """-log(y_pred[label]), with labels as integers.

    Args:
        y_true: Labels (n,) or (n, 1), 0 <= label < classes.
        y_pred: Probabilities, or logits with `from_logits`, (n, classes).
        from_logits: Whether `y_pred` are logits; those behind a softmax are used in any case.
        ignore_class: Label whose loss is 0.
        axis: The class axis; only the last.

    Returns:
        (n,) losses.

    Raises:
        ValueError: A label out of range, or shapes that do not fit.
    """
    y_pred = as_real(y_pred)
    rank = len(y_pred.shape)
    if axis not in (-1, rank - 1):
        raise ValueError(f"Only axis=-1 is currently supported. Received: axis={axis}")
    y_true = as_tensor(y_true)
    if len(y_true.shape) == rank and y_true.shape[-1] == 1:
        y_true = _core.reshape(y_true, shape=[-2] * (rank - 1))
    shape, wanted = tuple(y_true.shape), tuple(y_pred.shape)[:-1]
    if len(shape) != len(wanted) or any(
        a != b and a is not None and b is not None for a, b in zip(shape, wanted, strict=True)
    ):
        hint = ""
        if len(shape) == rank and shape[-1] == y_pred.shape[-1]:
            hint = " One-hot labels go with `categorical_crossentropy`."
        raise ValueError(
            "sparse_categorical_crossentropy: `y_true` must have the shape of `y_pred` without its last "
            "axis. "
            f"Received: y_true.shape={shape}, y_pred.shape={tuple(y_pred.shape)}.{hint}"
        )
    if not isinstance(y_true, _core.Symbol):
        check_labels(np.asarray(y_true))
    labels = y_true if y_true.dtype.name in ("int32", "int64") else _core.cast(y_true, dtype="int64")
    valid = None
    if ignore_class is not None:
        valid = _core.not_equal(labels, ignore_class)
        labels = _core.where(labels, _core.multiply(labels, 0), valid)
    y_pred, from_logits = _find_logits(y_pred, from_logits, "sparse_categorical_crossentropy")
    logits = y_pred if from_logits else _core.log(_probabilities(y_pred))
    loss = _core.sparse_softmax_cross_entropy(logits, labels)
    return loss if valid is None else loss * _core.cast(valid, dtype=loss.dtype.name)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """mean(-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred)) over `axis`.

    Args:
        y_true: Labels 0 or 1, shape of `y_pred`.
        y_pred: Probabilities, or logits with `from_logits`; those behind a sigmoid are used in any case.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: In [0, 1]: labels become y * (1 - s) + s / 2.
        axis: Axis of the mean.

    Returns:
        Losses, without `axis`.
    """
    y_pred = as_real(y_pred)
    y_true = as_tensor(y_true, y_pred.dtype.name)
    _met("binary_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    y_pred, from_logits = _find_logits(y_pred, from_logits, "binary_crossentropy")
    if from_logits:
        loss = _core.sigmoid_cross_entropy(y_pred, y_true)
    else:
        p = _probabilities(y_pred)
        loss = _core.negative(y_true * _core.log(p) + (1.0 - y_true) * _core.log(1.0 - p))
    return _core.reduce_mean(loss, axis=[axis]) if len(loss.shape) else loss


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Binary cross-entropy times (1 - p)^gamma of the true class, which favours hard examples."""
    y_pred = as_real(y_pred)
    y_true = as_tensor(y_true, y_pred.dtype.name)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        y_pred = _core.sigmoid(y_pred)
    p = _probabilities(y_pred)
    entropy = _core.negative(y_true * _core.log(p) + (1.0 - y_true) * _core.log(1.0 - p))
    true = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    loss = _core.pow(1.0 - true, float(gamma)) * entropy
    if apply_class_balancing:
        loss = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * loss
    return _core.reduce_mean(loss, axis=[axis])
