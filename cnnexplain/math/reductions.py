"""Over axes: sums, means, extremes and their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names
from .._convert import axes, dtype_name, floating, number, tensor, values

if TYPE_CHECKING:
    from ..tensor import Tensor

Axis = Any  # None (all axes), an integer, or several


def reduce_sum(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The sum over the axes, None: over all.

    >>> import cnnexplain as tf
    >>> tf.reduce_sum([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
    array([4., 6.], dtype=float32)
    """
    return _core.reduce_sum(input_tensor, axis=axes(axis), keepdims=keepdims)


def reduce_mean(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The mean over the axes; of whole numbers rounded towards 0, as in TensorFlow.

    >>> import cnnexplain as tf
    >>> float(tf.reduce_mean([1.0, 2.0, 6.0]))
    3.0
    """
    x = tensor(input_tensor)
    if x.dtype.is_floating:
        return _core.reduce_mean(x, axis=axes(axis), keepdims=keepdims)
    mean = _core.reduce_mean(_core.cast(x, dtype="float64"), axis=axes(axis), keepdims=keepdims)
    return _core.cast(mean, dtype=x.dtype.name)


def reduce_max(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The greatest over the axes; equal ones share the gradient.

    >>> import cnnexplain as tf
    >>> tf.reduce_max([[1, 5], [7, 2]], axis=1).numpy()
    array([5, 7], dtype=int32)
    """
    return _core.reduce_max(input_tensor, axis=axes(axis), keepdims=keepdims)


def reduce_min(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The smallest over the axes; equal ones share the gradient."""
    return _core.reduce_min(input_tensor, axis=axes(axis), keepdims=keepdims)


def reduce_prod(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The product over the axes."""
    return _core.reduce_prod(input_tensor, axis=axes(axis), keepdims=keepdims)


def reduce_any(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """Does any element over the axes hold?"""
    return _core.reduce_any(input_tensor, axis=axes(axis), keepdims=keepdims)


def reduce_all(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """Do all elements over the axes hold?"""
    return _core.reduce_all(input_tensor, axis=axes(axis), keepdims=keepdims)


def reduce_variance(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The mean of (x - mean)^2 over the axes."""
    x = _real(input_tensor)
    centred = _core.subtract(x, _core.reduce_mean(x, axis=axes(axis), keepdims=True))
    return _core.reduce_mean(_core.square(centred), axis=axes(axis), keepdims=keepdims)


def reduce_std(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The square root of the variance over the axes.

    >>> import cnnexplain as tf
    >>> float(tf.math.reduce_std([1.0, 3.0]))
    1.0
    """
    return _core.sqrt(reduce_variance(input_tensor, axis, keepdims))


def reduce_logsumexp(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """log(sum(exp(x))) over the axes, without its overflow."""
    x = _real(input_tensor)
    most = _core.stop_gradient(_core.reduce_max(x, axis=axes(axis), keepdims=True))
    most = _core.where(most, 0, _core.less(_core.abs(most), float("inf")))
    total = _core.reduce_sum(_core.exp(_core.subtract(x, most)), axis=axes(axis), keepdims=keepdims)
    if not keepdims:
        most = _core.reduce_sum(most, axis=axes(axis))  # one element: only the axes go
    return _core.add(_core.log(total), most)


def reduce_euclidean_norm(
    input_tensor: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """sqrt(sum(x * x)) over the axes."""
    return _core.sqrt(
        _core.reduce_sum(_core.square(floating(input_tensor)), axis=axes(axis), keepdims=keepdims)
    )


def _real(x: Any) -> Any:
    x = tensor(x)
    if not x.dtype.is_floating:
        raise TypeError(f"`input_tensor` must be of a float type. Received: dtype={x.dtype.name}")
    return x


def count_nonzero(
    input: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = "int64", name: str | None = None
) -> Tensor:
    """How many elements over the axes are not 0."""
    nonzero = _core.cast(_core.not_equal(tensor(input), 0), dtype=dtype_name(dtype))
    return _core.reduce_sum(nonzero, axis=axes(axis), keepdims=keepdims)


def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The share of elements that are 0."""
    return _core.reduce_mean(_core.cast(_core.equal(tensor(value), 0), dtype="float32"))


def argmax(
    input: Any, axis: int | None = None, output_type: Any = "int64", name: str | None = None
) -> Tensor:
    """The place of the greatest along an axis, default the first axis; the first of equals.

    >>> import cnnexplain as tf
    >>> tf.argmax([[1, 5], [7, 2]], axis=1).numpy()
    array([1, 0])
    """
    return _core.argmax(input, axis=0 if axis is None else axis, output_type=dtype_name(output_type))


def argmin(
    input: Any, axis: int | None = None, output_type: Any = "int64", name: str | None = None
) -> Tensor:
    """The place of the smallest along an axis, default the first axis; the first of equals."""
    return _core.argmin(input, axis=0 if axis is None else axis, output_type=dtype_name(output_type))


def in_top_k(targets: Any, predictions: Any, k: Any, name: str | None = None) -> Tensor:
    """Is the target among the k greatest of its row? (n,) and (n, classes) -> (n,) bool; equals count as
    inside.
    """
    classes, rows = values(tensor(targets), "targets"), values(tensor(predictions), "predictions")
    chosen = np.take_along_axis(rows, classes[:, None].astype(np.int64), axis=1)
    return _core.tensor((rows > chosen).sum(axis=1) < number(k, "k"))


def bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = "int32",
    name: str | None = None,
    axis: int | None = None,
    binary_output: bool = False,
) -> Tensor:
    """How often each of 0, 1, 2, ... occurs.

    Args:
        arr: Whole numbers, none negative.
        weights: What each counts; the result has their dtype.
        minlength, maxlength: The least and the greatest length of the result.
        dtype: Of the result without weights.
        axis: 0 or None: of all together; -1: of each row of a matrix.
        binary_output: Only whether it occurs.
    """
    array = values(tensor(arr), "arr")
    if axis not in (None, 0, -1) or (array.size and array.min() < 0):
        raise ValueError(f"`arr` must not be negative, `axis` be None, 0 or -1. Received: axis={axis}")
    shares = None if weights is None else values(tensor(weights), "weights")
    kind = dtype_name(dtype) if shares is None else tensor(weights).dtype.name
    length = max(int(array.max(initial=-1)) + 1, 0 if minlength is None else number(minlength, "minlength"))
    most = length if maxlength is None else min(length, number(maxlength, "maxlength"))
    rows = array if axis == -1 and array.ndim > 1 else array.reshape(1, -1)
    parts = None if shares is None else shares.reshape(rows.shape)
    counts = np.array(
        [
            np.bincount(row, None if parts is None else parts[i], minlength=length)[:most]
            for i, row in enumerate(rows)
        ]
    )
    counts = (counts > 0).astype(counts.dtype) if binary_output else counts
    return _core.tensor(counts if axis == -1 and array.ndim > 1 else counts[0], kind)


def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    weights: Any = None,
    dtype: Any = "int32",
    name: str | None = None,
) -> Tensor:
    """How often class i (row) was predicted as class j (column).

    >>> import cnnexplain as tf
    >>> tf.math.confusion_matrix([0, 1, 1], [0, 1, 0]).numpy()
    array([[1, 0],
           [1, 1]], dtype=int32)
    """
    rows, columns = (
        values(tensor(classes), name_).reshape(-1).astype(np.int64)  # labels may be whole floats
        for classes, name_ in ((labels, "labels"), (predictions, "predictions"))
    )
    count = int(max([-1, *rows, *columns])) + 1 if num_classes is None else number(num_classes, "num_classes")
    for classes, name_ in ((rows, "labels"), (columns, "predictions")):
        if classes.size and not 0 <= classes.min() <= classes.max() < count:
            raise ValueError(
                f"`{name_}` must be classes from 0 to {count - 1}. "
                f"Received: {classes.min()} to {classes.max()}"
            )
    matrix = np.zeros((count, count))
    np.add.at(
        matrix, (rows, columns), 1 if weights is None else values(tensor(weights), "weights").reshape(-1)
    )
    return _core.tensor(matrix, dtype_name(dtype))


_names.publish(__name__)
