"""Arithmetic, comparison and logic, element by element; `tf.math` has the reductions too.

Two tensors must have one dtype; numbers and arrays take the tensor's. Shapes broadcast as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names
from .._convert import TENSORS, axes, axis_of, number, tensor, values
from ..ordering import top_k
from ..scatter import segment_mean, segment_sum, unsorted_segment_mean, unsorted_segment_sum
from .reductions import *  # noqa: F403
from .trigonometry import *  # noqa: F403

if TYPE_CHECKING:
    from ..tensor import Tensor


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    """Two values of which at least one is a tensor, so that the other takes its dtype."""
    if isinstance(x, TENSORS) or isinstance(y, TENSORS):
        return x, y
    first, second = tensor(x), tensor(y)
    if first.dtype == second.dtype:
        return first, second
    if not isinstance(y, (np.ndarray, np.generic)):  # numbers take the other's dtype, as in TensorFlow
        return first, y
    return (x, second) if not isinstance(x, (np.ndarray, np.generic)) else (first, second)


# one input


def abs(x: Any, name: str | None = None) -> Tensor:
    """|x|.

    >>> import cnnexplain as tf
    >>> tf.abs([-1.5, 2.0]).numpy()
    array([1.5, 2. ], dtype=float32)
    """
    return _core.abs(x)


def negative(x: Any, name: str | None = None) -> Tensor:
    """-x."""
    return _core.negative(x)


def square(x: Any, name: str | None = None) -> Tensor:
    """x * x."""
    return _core.square(x)


def sqrt(x: Any, name: str | None = None) -> Tensor:
    """The square root; NaN below 0."""
    return _core.sqrt(x)


def rsqrt(x: Any, name: str | None = None) -> Tensor:
    """1 / sqrt(x)."""
    return _core.rsqrt(x)


def reciprocal(x: Any, name: str | None = None) -> Tensor:
    """1 / x."""
    return _core.divide(1, tensor(x))


def exp(x: Any, name: str | None = None) -> Tensor:
    """e to the power x."""
    return _core.exp(x)


def expm1(x: Any, name: str | None = None) -> Tensor:
    """exp(x) - 1, exact near 0."""
    return _core.expm1(x)


def log(x: Any, name: str | None = None) -> Tensor:
    """The natural logarithm; -inf at 0, NaN below."""
    return _core.log(x)


def log1p(x: Any, name: str | None = None) -> Tensor:
    """log(1 + x), exact near 0."""
    return _core.log1p(x)


def erf(x: Any, name: str | None = None) -> Tensor:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    >>> import cnnexplain as tf
    >>> tf.math.erf([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8427], dtype=float32)
    """
    return _core.erf(x)


def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """log(sigmoid(x)) = -softplus(-x)."""
    return _core.negative(_core.softplus(_core.negative(x)))


def sigmoid(x: Any, name: str | None = None) -> Tensor:
    """1 / (1 + exp(-x)). The result remembers x as its `logits`."""
    return _core.sigmoid(x)


def softplus(features: Any, name: str | None = None) -> Tensor:
    """log(1 + exp(x))."""
    return _core.softplus(features)


def softsign(features: Any, name: str | None = None) -> Tensor:
    """x / (1 + |x|)."""
    return _core.softsign(features)


def softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """exp(x) / sum exp(x) along an axis, default the last. The result remembers x as its `logits`."""
    return _core.softmax(logits, axis=-1 if axis is None else axis)


def log_softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """log(softmax(x)), without its overflow."""
    return _core.log_softmax(logits, axis=-1 if axis is None else axis)


def sign(x: Any, name: str | None = None) -> Tensor:
    """-1, 0 or 1."""
    return _core.sign(x)


def round(x: Any, name: str | None = None) -> Tensor:
    """To the nearest whole number, halves to the even one.

    >>> import cnnexplain as tf
    >>> tf.round([0.5, 1.5, 2.6]).numpy()
    array([0., 2., 3.], dtype=float32)
    """
    return _core.round(x)


rint = round


def floor(x: Any, name: str | None = None) -> Tensor:
    """The greatest whole number not above x."""
    return _core.floor(x)


def ceil(x: Any, name: str | None = None) -> Tensor:
    """The least whole number not below x."""
    return _core.ceil(x)


def is_nan(x: Any, name: str | None = None) -> Tensor:
    """True where x is NaN."""
    return _core.isnan(x)


def is_inf(x: Any, name: str | None = None) -> Tensor:
    """True where x is infinite."""
    return _core.isinf(x)


def is_finite(x: Any, name: str | None = None) -> Tensor:
    """True where x is neither infinite nor NaN."""
    return _core.isfinite(x)


def cumsum(
    x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """Sums up to each element; `exclusive`: without it; `reverse`: from the end.

    >>> import cnnexplain as tf
    >>> tf.cumsum([1, 2, 3], exclusive=True).numpy()
    array([0, 1, 3], dtype=int32)
    """
    return _core.cumsum(x, axis=number(axis, "axis"), exclusive=exclusive, reverse=reverse)


def cumprod(
    x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """Products up to each element; `exclusive`: without it; `reverse`: from the end.

    >>> import cnnexplain as tf
    >>> tf.math.cumprod([2, 3, 4]).numpy()
    array([ 2,  6, 24], dtype=int32)
    """
    return _core.cumprod(x, axis=number(axis, "axis"), exclusive=exclusive, reverse=reverse)


def cumulative_logsumexp(
    x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Tensor:
    """log of the cumulative sums of exp(x)."""
    x = tensor(x)
    place = axis_of(axis, len(x.shape))
    most = _core.stop_gradient(_core.reduce_max(x, axis=[place], keepdims=True))
    most = _core.where(most, 0, _core.isfinite(most))
    total = _core.cumsum(_core.exp(_core.subtract(x, most)), axis=place, exclusive=exclusive, reverse=reverse)
    return _core.add(_core.log(total), most)


# two inputs


def add(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x + y.

    >>> import cnnexplain as tf
    >>> tf.add([1.0, 2.0], 10.0).numpy()
    array([11., 12.], dtype=float32)
    """
    return _core.add(*_pair(x, y))


def subtract(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x - y."""
    return _core.subtract(*_pair(x, y))


def multiply(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * y, element by element."""
    return _core.multiply(*_pair(x, y))


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y. Whole numbers give float64, uint8 and int8 float32.

    >>> import cnnexplain as tf
    >>> tf.divide([1, 3], [2, 2]).numpy()
    array([0.5, 1.5])
    """
    first, second = _pair(x, y)
    if not isinstance(first, TENSORS):
        return second.__rtruediv__(first)
    return first / second


truediv = divide
realdiv = divide


def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The greatest whole number not above x / y."""
    return _core.floor_divide(*_pair(x, y))


def floormod(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x - y * floor(x / y): it has the sign of y."""
    return _core.floor_mod(*_pair(x, y))


mod = floormod


def truncatediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y of whole numbers, rounded towards 0."""
    first, second = (tensor(value) for value in _pair(x, y))
    size = _core.floor_divide(_core.abs(first), _core.abs(second))
    return _core.multiply(size, _core.multiply(_core.sign(first), _core.sign(second)))


def truncatemod(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x - y * (x / y rounded towards 0): it has the sign of x."""
    first, second = (tensor(value) for value in _pair(x, y))
    rest = _core.floor_mod(_core.abs(first), _core.abs(second))
    return _core.multiply(_core.sign(first), rest)


def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """Is no element greater than the next, in the order of the flattened tensor?"""
    flat = values(tensor(x), "x").reshape(-1)
    return _core.tensor(bool((flat[1:] >= flat[:-1]).all()))


def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """Is every element less than the next, in the order of the flattened tensor?"""
    flat = values(tensor(x), "x").reshape(-1)
    return _core.tensor(bool((flat[1:] > flat[:-1]).all()))


def invert_permutation(x: Any, name: str | None = None) -> Tensor:
    """The permutation that undoes x."""
    order = values(tensor(x), "x")
    if order.ndim != 1 or sorted(order.tolist()) != list(range(len(order))):
        raise ValueError(f"`x` must hold 0..n-1, each once. Received: x={order.tolist()}")
    return _core.tensor(np.argsort(order), tensor(x).dtype.name)


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Tensor:
    """scalar * x."""
    if np.ndim(scalar):
        raise ValueError(f"`scalar` must be a number. Received: scalar={scalar}")
    return multiply(scalar, x)


def divide_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, 0 where y is 0."""
    first, second = (tensor(value) for value in _pair(x, y))
    zero = _core.equal(second, 0)
    quotient = _core.divide(first, _core.where(1, second, zero))
    return _core.where(0, quotient, zero)


def reciprocal_no_nan(x: Any, name: str | None = None) -> Tensor:
    """1 / x, 0 where x is 0."""
    x = tensor(x)
    return divide_no_nan(tensor(1.0, x.dtype), x)


def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * y, 0 where y is 0 even if x is infinite or NaN."""
    first, second = (tensor(value) for value in _pair(x, y))
    lost = _core.logical_and(_core.equal(second, 0), _core.logical_not(_core.isfinite(first)))
    return _core.multiply(_core.where(0, first, lost), second)


def xlogy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * log(y), 0 where x is 0."""
    return _times_log(_core.log, x, y)


def xlog1py(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x * log(1 + y), 0 where x is 0."""
    return _times_log(_core.log1p, x, y)


def xdivy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, 0 where x is 0."""
    first, second = (tensor(value) for value in _pair(x, y))
    zero = _core.equal(first, 0)
    return _core.where(0, _core.divide(first, _core.where(1, second, zero)), zero)


def _times_log(log_: Any, x: Any, y: Any) -> Any:
    first, second = (tensor(value) for value in _pair(x, y))
    zero = _core.equal(first, 0)
    return _core.where(0, _core.multiply(first, log_(_core.where(1, second, zero))), zero)


def polyval(coeffs: Sequence[Any], x: Any, name: str | None = None) -> Tensor:
    """coeffs[0] x^n + ... + coeffs[n], by Horner's scheme.

    >>> import cnnexplain as tf
    >>> float(tf.math.polyval([2.0, 0.0, 1.0], 3.0))
    19.0
    """
    if not isinstance(coeffs, list):
        raise ValueError(f"`coeffs` must be a list. Received: coeffs={coeffs}")
    x = tensor(x)
    if not coeffs:
        return _core.multiply(x, 0)
    total = tensor(coeffs[0], x.dtype)
    for coefficient in coeffs[1:]:
        total = _core.add(_core.multiply(total, x), coefficient)
    return total


def pow(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x to the power y."""
    return _core.pow(*_pair(x, y))


def maximum(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The greater of two; where equal the gradient goes to x. `maximum(x, 0)` counts as a ReLU in
    explanations.

    >>> import cnnexplain as tf
    >>> tf.maximum([1.0, 5.0], 2.0).numpy()
    array([2., 5.], dtype=float32)
    """
    return _core.maximum(*_pair(x, y))


def minimum(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The smaller of two; where equal the gradient goes to x."""
    return _core.minimum(*_pair(x, y))


def squared_difference(x: Any, y: Any, name: str | None = None) -> Tensor:
    """(x - y) * (x - y)."""
    return _core.squared_difference(*_pair(x, y))


def equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x == y, element by element."""
    return _core.equal(*_pair(x, y))


def not_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x != y, element by element."""
    return _core.not_equal(*_pair(x, y))


def greater(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x > y, element by element."""
    return _core.greater(*_pair(x, y))


def greater_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x >= y, element by element."""
    return _core.greater_equal(*_pair(x, y))


def less(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x < y, element by element."""
    return _core.less(*_pair(x, y))


def less_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x <= y, element by element."""
    return _core.less_equal(*_pair(x, y))


def logical_and(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Both hold."""
    return _core.logical_and(*_pair(x, y))


def logical_or(x: Any, y: Any, name: str | None = None) -> Tensor:
    """At least one holds."""
    return _core.logical_or(*_pair(x, y))


def logical_not(x: Any, name: str | None = None) -> Tensor:
    """It does not hold."""
    return _core.logical_not(x)


def logical_xor(x: Any, y: Any, name: str = "LogicalXor") -> Tensor:
    """Exactly one holds."""
    return _core.not_equal(*_pair(x, y))


def add_n(inputs: Sequence[Any], name: str | None = None) -> Tensor:
    """The sum of tensors of one shape.

    >>> import cnnexplain as tf
    >>> tf.add_n([tf.ones(2), tf.ones(2), tf.ones(2)]).numpy()
    array([3., 3.], dtype=float32)
    """
    parts = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if not parts:
        raise ValueError("`inputs` must hold at least one tensor. Received: inputs=[]")
    total = tensor(parts[0])
    for part in parts[1:]:
        total = _core.add(total, part)
    return total


def accumulate_n(
    inputs: Sequence[Any], shape: Any = None, tensor_dtype: Any = None, name: str | None = None
) -> Tensor:
    """`add_n`."""
    return add_n(inputs)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Tensor:
    """Not below and not above the limits; gradients pass where t is between them.

    >>> import cnnexplain as tf
    >>> tf.clip_by_value([-2.0, 0.5, 9.0], 0.0, 1.0).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    if all(isinstance(limit, (int, float, np.number)) for limit in (clip_value_min, clip_value_max)):
        return _core.clip(tensor(t), low=float(clip_value_min), high=float(clip_value_max))
    return _core.maximum(_core.minimum(tensor(t), clip_value_max), clip_value_min)


def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """x / sqrt(max(sum(x * x), epsilon)), the sum over the axes.

    >>> import cnnexplain as tf
    >>> tf.math.l2_normalize([3.0, 4.0]).numpy()
    array([0.6, 0.8], dtype=float32)
    """
    x = tensor(x)
    total = _core.reduce_sum(_core.square(x), axis=axes(dim if axis is None else axis), keepdims=True)
    return _core.multiply(x, _core.rsqrt(_core.maximum(total, float(epsilon))))


__all__ = [
    *_names.defined(__name__),
    "segment_mean",
    "segment_sum",
    "top_k",
    "unsorted_segment_mean",
    "unsorted_segment_sum",
]
__getattr__ = _names.missing(__name__)
