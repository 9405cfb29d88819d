"""How often predictions are right."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config
from ..convert import as_real, as_tensor, same_rank
from ..losses.distances import refuse
from .reduction import Configured, mean_of


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where y_pred equals y_true, else 0."""
    y_pred = as_tensor(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype.name), y_pred)
    _fit("accuracy", y_true, y_pred)
    return _core.cast(_core.equal(y_true, y_pred), dtype=config.floatx())


def _fit(name: str, y_true: Any, y_pred: Any) -> None:
    a, b = tuple(y_true.shape), tuple(y_pred.shape)
    for m, n in zip(a[::-1], b[::-1], strict=False):
        if m != n and 1 not in (m, n) and (None not in (m, n) or len(a) != len(b)):
            refuse(name, y_true, y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where (y_pred > threshold) equals y_true, else 0."""
    y_pred = as_real(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype.name), y_pred)
    _fit("binary_accuracy", y_true, y_pred)
    above = _core.cast(_core.greater(y_pred, float(threshold)), dtype=y_pred.dtype.name)
    return _core.cast(_core.equal(y_true, above), dtype=config.floatx())


def _matches(labels: Any, y_pred: Any) -> Any:
    best = _core.argmax(y_pred, axis=-1)
    return _core.cast(_core.equal(_core.cast(labels, dtype="int64"), best), dtype=config.floatx())


def _one_hot(name: str, y_true: Any, y_pred: Any) -> Any:
    """The class of each row of y_true, which must have the shape of y_pred."""
    y_true = as_tensor(y_true)
    a, b = tuple(y_true.shape), tuple(y_pred.shape)
    if len(a) != len(b) or any(m != n and None not in (m, n) for m, n in zip(a[:-1], b[:-1], strict=True)):
        refuse(
            name, y_true, y_pred, f". Labels as integers go with `sparse_{name}`." if len(a) < len(b) else ""
        )
    return _core.argmax(y_true, axis=-1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest of y_pred and of y_true are at the same class, else 0."""
    y_pred = as_real(y_pred)
    return _matches(_one_hot("categorical_accuracy", y_true, y_pred), y_pred)


def _labels(name: str, y_true: Any, y_pred: Any) -> Any:
    """Labels as integers, one for each row of y_pred."""
    y_true = as_tensor(y_true)
    rank = len(y_pred.shape)
    if len(y_true.shape) == rank and y_true.shape[-1] == 1:
        y_true = _core.reshape(y_true, shape=[-2] * (rank - 1))
    a, b = tuple(y_true.shape), tuple(y_pred.shape)[:-1]
    if len(a) != len(b) or any(m != n and None not in (m, n) for m, n in zip(a, b, strict=True)):
        hint = ""
        if len(a) == rank and a[-1] == y_pred.shape[-1]:
            hint = f". One-hot labels go with `{name.replace('sparse_', '')}`."
        refuse(name, y_true, y_pred, hint)
    return y_true


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest of y_pred is at the label, else 0."""
    y_pred = as_real(y_pred)
    return _matches(_labels("sparse_categorical_accuracy", y_true, y_pred), y_pred)


def _among(labels: Any, y_pred: Any, k: int) -> Any:
    """1 where fewer than k classes score higher than the label's. What is no class or not finite is never
    among them.
    """
    classes = y_pred.shape[-1]
    mark = _core.one_hot(_core.cast(labels, dtype="int64"), depth=classes, dtype=y_pred.dtype.name)
    own = _core.reduce_sum(
        _core.where(y_pred, _core.multiply(mark, 0.0), _core.greater(mark, 0.5)), axis=[-1]
    )
    own = _core.reshape(own, shape=[-2] * len(own.shape) + [1])
    higher = _core.reduce_sum(_core.cast(_core.greater(y_pred, own), dtype=y_pred.dtype.name), axis=[-1])
    known = _core.logical_and(
        _core.greater(_core.reduce_sum(mark, axis=[-1]), 0.5),
        _core.equal(_core.reduce_sum(own - own, axis=[-1]), 0.0),
    )
    return _core.cast(_core.logical_and(_core.less(higher, float(k)), known), dtype=config.floatx())


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """1 where fewer than k classes score higher than the label, else 0.

    Args:
        y_true: Labels (n,).
        y_pred: Scores (n, classes), or with `from_sorted_ids` the classes themselves, the best first.
        k: How many classes count.
        from_sorted_ids: Whether `y_pred` holds classes instead of scores.
    """
    y_pred = as_real(y_pred)
    labels = _labels("sparse_top_k_categorical_accuracy", y_true, y_pred)
    if not from_sorted_ids:
        return _among(labels, y_pred, k)
    labels = _core.cast(labels, dtype=y_pred.dtype.name)
    first = _core.slice(
        y_pred,
        begin=[0] * len(y_pred.shape),
        size=[-1] * (len(y_pred.shape) - 1) + [min(k, y_pred.shape[-1])],
    )
    same = _core.equal(_core.reshape(labels, shape=[-2] * len(labels.shape) + [1]), first)
    return _core.cast(_core.reduce_any(same, axis=[-1]), dtype=config.floatx())


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where fewer than k classes score higher than the true one, else 0."""
    y_pred = as_real(y_pred)
    return _among(_one_hot("top_k_categorical_accuracy", y_true, y_pred), y_pred, k)


Accuracy = mean_of("Accuracy", accuracy, "accuracy", __name__, "[1, 2, 3, 4], [0, 2, 3, 4]", 0.75)
CategoricalAccuracy = mean_of(
    "CategoricalAccuracy",
    categorical_accuracy,
    "categorical_accuracy",
    __name__,
    "[[0, 1, 0], [0, 0, 1]], [[0.1, 0.8, 0.1], [0.3, 0.4, 0.3]]",
    0.5,
)
SparseCategoricalAccuracy = mean_of(
    "SparseCategoricalAccuracy",
    sparse_categorical_accuracy,
    "sparse_categorical_accuracy",
    __name__,
    "[1, 2], [[0.1, 0.8, 0.1], [0.3, 0.4, 0.3]]",
    0.5,
)


class BinaryAccuracy(Configured):
    """The mean of `binary_accuracy`.

    Args:
        threshold: A prediction above it is class 1.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.BinaryAccuracy(threshold=0.8)
    >>> m.update_state([1, 1, 0, 0], [0.9, 0.6, 0.7, 0.1])
    >>> float(m.result())
    0.75
    """

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        if threshold is not None and not np.isscalar(threshold):
            raise ValueError(f"`threshold` must be a number. Received: threshold={threshold}")
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class TopKCategoricalAccuracy(Configured):
    """The mean of `top_k_categorical_accuracy`.

    Args:
        k: How many of the highest scores count.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.TopKCategoricalAccuracy(k=1)
    >>> m.update_state([[0, 1, 0], [0, 0, 1]], [[0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])
    >>> round(float(m.result()), 4)
    0.5
    """

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(Configured):
    """The mean of `sparse_top_k_categorical_accuracy`.

    Args:
        k: How many of the highest scores count.
        name, dtype: As in `Metric`.
        from_sorted_ids: Whether `y_pred` holds classes, the likeliest first, instead of scores.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.SparseTopKCategoricalAccuracy(k=2)
    >>> m.update_state([2, 0], [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]])
    >>> float(m.result())
    0.5
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
