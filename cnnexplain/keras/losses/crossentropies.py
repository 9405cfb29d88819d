"""Cross-entropies of (y_true, y_pred): one number for each example."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from .. import config
from ..convert import as_real, as_tensor

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor


def _met(name: str, y_true: Any, y_pred: Any, sparse: str = "") -> None:
    a, b = tuple(y_true.shape), tuple(y_pred.shape)
    if len(a) != len(b) or any(x != y and x is not None and y is not None for x, y in zip(a, b, strict=True)):
        hint = f". Labels as integers go with `{sparse}`." if sparse and len(a) == len(b) - 1 else ""
        raise ValueError(
            f"{name}: `y_true` and `y_pred` must have the same shape. Received: y_true.shape={a}, "
            f"y_pred.shape={b}{hint}"
        )


def _several_classes(name: str, y_pred: Any, axis: Any) -> None:
    if isinstance(axis, bool):
        raise ValueError(f"`axis` must be of type `int`. Received: axis={axis} of type {type(axis)}")
    if not len(y_pred.shape):
        raise ValueError(f"{name}: `y_pred` must have at least one axis. Received: y_pred.shape=()")
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"In loss {name}, expected y_pred.shape to be (batch_size, num_classes) with "
            f"num_classes > 1. Received: y_pred.shape={tuple(y_pred.shape)}. Consider using "
            "'binary_crossentropy' if you only have 2 classes.",
            SyntaxWarning,
            stacklevel=3,
        )


def logits_of(y_pred: Any) -> Tensor | None:
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
    whichever of the two it was, as Keras on TensorFlow does.
    """
    logits = logits_of(y_pred)
    if logits is None:
        return y_pred, from_logits
    if from_logits:
        warnings.warn(
            f"`{function}` received `from_logits=True`, but `y_pred` was produced by a softmax or sigmoid "
            "activation and thus does not represent logits: those behind it are used.",
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
) -> Tensor:
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
    y_pred = as_real(y_pred)
    y_true = as_tensor(y_true, y_pred.dtype.name)
    _several_classes("categorical_crossentropy", y_pred, axis)
    _met("categorical_crossentropy", y_true, y_pred, "sparse_categorical_crossentropy")
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
) -> Tensor:
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
            f"axis. Received: y_true.shape={shape}, y_pred.shape={tuple(y_pred.shape)}.{hint}"
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


def _binary_entropy(y_true: Any, y_pred: Any, from_logits: bool, function: str) -> Any:
    """-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred), from the logits where there are any."""
    y_pred, from_logits = _find_logits(y_pred, from_logits, function)
    if from_logits:
        return _core.sigmoid_cross_entropy(y_pred, y_true)
    p = _probabilities(y_pred)
    return _core.negative(y_true * _core.log(p) + (1.0 - y_true) * _core.log(1.0 - p))


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
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
    loss = _binary_entropy(y_true, y_pred, from_logits, "binary_crossentropy")
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
) -> Tensor:
    """Binary cross-entropy times (1 - p)^gamma of the true class, which favours hard examples.

    Args:
        y_true: Labels 0 or 1, shape of `y_pred`.
        y_pred: Probabilities, or logits with `from_logits`.
        apply_class_balancing: Whether class 1 is weighted by `alpha` and class 0 by 1 - `alpha`.
        alpha: The weight of class 1.
        gamma: How fast easy examples lose weight; 0 is binary cross-entropy.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: In [0, 1]: labels become y * (1 - s) + s / 2.
        axis: Axis of the mean.

    Returns:
        Losses, without `axis`.

    Focal Loss for Dense Object Detection, Lin et al., 2018.
    """
    y_pred = as_real(y_pred)
    y_true = as_tensor(y_true, y_pred.dtype.name)
    _met("binary_focal_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        entropy = _core.sigmoid_cross_entropy(y_pred, y_true)
        y_pred = _core.sigmoid(y_pred)
    else:
        entropy = _binary_entropy(y_true, y_pred, False, "binary_focal_crossentropy")
    true = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    loss = _core.pow(1.0 - true, float(gamma)) * entropy
    if apply_class_balancing:
        loss = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * loss
    return _core.reduce_mean(loss, axis=[axis]) if len(loss.shape) else loss


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum(alpha * (1 - p)^gamma * y_true * log(p)) over the classes: hard examples count more.

    Args:
        y_true: One-hot labels or probabilities (n, classes).
        y_pred: Probabilities, or logits with `from_logits`, (n, classes).
        alpha: Weight of the classes, one number or one for each.
        gamma: How fast easy examples lose weight; 0 is cross-entropy times `alpha`.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: In [0, 1]: labels become y * (1 - s) + s / classes.
        axis: The class axis.

    Returns:
        (n,) losses.

    Raises:
        ValueError: Shapes that differ.

    Focal Loss for Dense Object Detection, Lin et al., 2018.
    """
    y_pred = as_real(y_pred)
    y_true = as_tensor(y_true, y_pred.dtype.name)
    _several_classes("categorical_focal_crossentropy", y_pred, axis)
    _met("categorical_focal_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    if from_logits:
        y_pred = _core.softmax(y_pred, axis=axis)
    p = _probabilities(y_pred / _core.reduce_sum(y_pred, axis=[axis], keepdims=True))
    weight = _core.pow(1.0 - p, float(gamma)) * (
        alpha if isinstance(alpha, float) else as_tensor(alpha, p.dtype.name)
    )
    return _core.negative(_core.reduce_sum(weight * y_true * _core.log(p), axis=[axis]))


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """(1 - p^q) / q of the true class: between cross-entropy (q to 0) and 1 - p (q = 1), less moved by
    wrong labels.

    Args:
        y_true: Labels (n,).
        y_pred: Probabilities (n, classes).
        q: In (0, 1).

    Returns:
        (n,) losses.

    Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels, Zhang et al., 2018.
    """
    y_pred = as_real(y_pred)
    y_true = as_tensor(y_true)
    rank = len(y_pred.shape)
    if len(y_true.shape) == rank and y_true.shape[-1] == 1:
        y_true = _core.reshape(y_true, shape=[-2] * (rank - 1))
    if len(y_true.shape) != rank - 1:
        _met("categorical_generalized_cross_entropy", y_true, _core.reduce_sum(y_pred, axis=[-1]))
    mark = _core.one_hot(_core.cast(y_true, dtype="int64"), depth=y_pred.shape[-1], dtype=y_pred.dtype.name)
    return (1.0 - _core.pow(_core.reduce_sum(y_pred * mark, axis=[-1]), float(q))) / q
