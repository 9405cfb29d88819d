"""Arithmetic, comparison and logic, element by element; `tf.math` has the reductions too.

Two tensors must have one dtype; numbers and arrays take the tensor's. Shapes broadcast as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _core, _names
from ._convert import TENSORS, axes, tensor
from .ordering import top_k
from .reductions import *  # noqa: F403
from .reductions import __all__ as _reductions


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


def abs(x: Any, name: str | None = None) -> Any:  # noqa: A001
    """|x|.

    >>> import cnnexplain as tf
    >>> tf.abs([-1.5, 2.0]).numpy()
    array([1.5, 2. ], dtype=float32)
    """
    return _core.abs(x)


def negative(x: Any, name: str | None = None) -> Any:
    """-x."""
    return _core.negative(x)


def square(x: Any, name: str | None = None) -> Any:
    """x * x."""
    return _core.square(x)


def sqrt(x: Any, name: str | None = None) -> Any:
    """The square root; NaN below 0."""
    return _core.sqrt(x)


def rsqrt(x: Any, name: str | None = None) -> Any:
    """1 / sqrt(x)."""
    return _core.rsqrt(x)


def reciprocal(x: Any, name: str | None = None) -> Any:
    """1 / x."""
    return _core.divide(1, tensor(x))


def exp(x: Any, name: str | None = None) -> Any:
    """e to the power x."""
    return _core.exp(x)


def expm1(x: Any, name: str | None = None) -> Any:
    """exp(x) - 1, computed as 2 exp(x/2) sinh(x/2), which keeps its digits near 0."""
    half = _core.multiply(tensor(x), 0.5)
    return _core.multiply(_core.multiply(_core.exp(half), sinh(half)), 2)


def log(x: Any, name: str | None = None) -> Any:
    """The natural logarithm; -inf at 0, NaN below."""
    return _core.log(x)


def log1p(x: Any, name: str | None = None) -> Any:
    """log(1 + x), exact near 0."""
    return _core.log1p(x)


def log_sigmoid(x: Any, name: str | None = None) -> Any:
    """log(sigmoid(x)) = -softplus(-x)."""
    return _core.negative(_core.softplus(_core.negative(x)))


def sin(x: Any, name: str | None = None) -> Any:
    """The sine of an angle in radians."""
    return _core.sin(x)


def cos(x: Any, name: str | None = None) -> Any:
    """The cosine of an angle in radians."""
    return _core.cos(x)


def tan(x: Any, name: str | None = None) -> Any:
    """The tangent of an angle in radians."""
    return _core.divide(_core.sin(x), _core.cos(x))


def sinh(x: Any, name: str | None = None) -> Any:
    """(exp(x) - exp(-x)) / 2, near 0 by its series x + x^3/6 + x^5/120 + x^7/5040."""
    x = tensor(x)
    far = _core.multiply(_core.subtract(_core.exp(x), _core.exp(_core.negative(x))), 0.5)
    square_ = _core.square(x)
    series = _core.add(_core.multiply(square_, 1 / 5040), 1 / 120)
    series = _core.add(_core.multiply(_core.add(_core.multiply(series, square_), 1 / 6), square_), 1)
    return _core.where(_core.multiply(x, series), far, _core.less(_core.abs(x), 0.2))


def cosh(x: Any, name: str | None = None) -> Any:
    """(exp(x) + exp(-x)) / 2."""
    return _core.multiply(_core.add(_core.exp(x), _core.exp(_core.negative(x))), 0.5)


def tanh(x: Any, name: str | None = None) -> Any:
    """The hyperbolic tangent, between -1 and 1."""
    return _core.tanh(x)


def sigmoid(x: Any, name: str | None = None) -> Any:
    """1 / (1 + exp(-x)). The result remembers x as its `logits`."""
    return _core.sigmoid(x)


def softplus(x: Any, name: str | None = None) -> Any:
    """log(1 + exp(x))."""
    return _core.softplus(x)


def softsign(x: Any, name: str | None = None) -> Any:
    """x / (1 + |x|)."""
    return _core.softsign(x)


def softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Any:
    """exp(x) / sum exp(x) along an axis, default the last. The result remembers x as its `logits`."""
    return _core.softmax(logits, axis=-1 if axis is None else axis)


def log_softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Any:
    """log(softmax(x)), without its overflow."""
    return _core.log_softmax(logits, axis=-1 if axis is None else axis)


def sign(x: Any, name: str | None = None) -> Any:
    """-1, 0 or 1."""
    return _core.sign(x)


def round(x: Any, name: str | None = None) -> Any:  # noqa: A001
    """To the nearest whole number, halves to the even one.

    >>> import cnnexplain as tf
    >>> tf.round([0.5, 1.5, 2.6]).numpy()
    array([0., 2., 3.], dtype=float32)
    """
    return _core.round(x)


rint = round


def floor(x: Any, name: str | None = None) -> Any:
    """The greatest whole number not above x."""
    return _core.floor(x)


def ceil(x: Any, name: str | None = None) -> Any:
    """The least whole number not below x."""
    return _core.ceil(x)


def is_nan(x: Any, name: str | None = None) -> Any:
    """True where x is NaN."""
    x = tensor(x)
    return _core.not_equal(x, x)


def is_inf(x: Any, name: str | None = None) -> Any:
    """True where x is infinite."""
    return _core.equal(_core.abs(tensor(x)), float("inf"))


def is_finite(x: Any, name: str | None = None) -> Any:
    """True where x is neither infinite nor NaN."""
    return _core.less(_core.abs(tensor(x)), float("inf"))


def cumsum(
    x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
) -> Any:
    """Sums up to each element; `exclusive`: without it; `reverse`: from the end.

    >>> import cnnexplain as tf
    >>> tf.cumsum([1, 2, 3], exclusive=True).numpy()
    array([0, 1, 3], dtype=int32)
    """
    return _core.cumsum(x, axis=axis, exclusive=exclusive, reverse=reverse)


# two inputs


def add(x: Any, y: Any, name: str | None = None) -> Any:
    """x + y.

    >>> import cnnexplain as tf
    >>> tf.add([1.0, 2.0], 10.0).numpy()
    array([11., 12.], dtype=float32)
    """
    return _core.add(*_pair(x, y))


def subtract(x: Any, y: Any, name: str | None = None) -> Any:
    """x - y."""
    return _core.subtract(*_pair(x, y))


def multiply(x: Any, y: Any, name: str | None = None) -> Any:
    """x * y, element by element."""
    return _core.multiply(*_pair(x, y))


def divide(x: Any, y: Any, name: str | None = None) -> Any:
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


def floordiv(x: Any, y: Any, name: str | None = None) -> Any:
    """The greatest whole number not above x / y."""
    return _core.floor_divide(*_pair(x, y))


def floormod(x: Any, y: Any, name: str | None = None) -> Any:
    """x - y * floor(x / y): it has the sign of y."""
    return _core.floor_mod(*_pair(x, y))


mod = floormod


def divide_no_nan(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y, 0 where y is 0."""
    first, second = (tensor(value) for value in _pair(x, y))
    zero = _core.equal(second, 0)
    quotient = _core.divide(first, _core.where(1, second, zero))
    return _core.where(0, quotient, zero)


def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Any:
    """x * y, 0 where y is 0 even if x is infinite or NaN."""
    first, second = (tensor(value) for value in _pair(x, y))
    return _core.where(0, _core.multiply(first, second), _core.equal(second, 0))


def pow(x: Any, y: Any, name: str | None = None) -> Any:  # noqa: A001
    """x to the power y."""
    return _core.pow(*_pair(x, y))


def maximum(x: Any, y: Any, name: str | None = None) -> Any:
    """The greater of two; where equal the gradient goes to x. `maximum(x, 0)` counts as a ReLU in
    explanations.

    >>> import cnnexplain as tf
    >>> tf.maximum([1.0, 5.0], 2.0).numpy()
    array([2., 5.], dtype=float32)
    """
    return _core.maximum(*_pair(x, y))


def minimum(x: Any, y: Any, name: str | None = None) -> Any:
    """The smaller of two; where equal the gradient goes to x."""
    return _core.minimum(*_pair(x, y))


def squared_difference(x: Any, y: Any, name: str | None = None) -> Any:
    """(x - y) * (x - y)."""
    return _core.squared_difference(*_pair(x, y))


def equal(x: Any, y: Any, name: str | None = None) -> Any:
    """x == y, element by element."""
    return _core.equal(*_pair(x, y))


def not_equal(x: Any, y: Any, name: str | None = None) -> Any:
    """x != y, element by element."""
    return _core.not_equal(*_pair(x, y))


def greater(x: Any, y: Any, name: str | None = None) -> Any:
    """x > y, element by element."""
    return _core.greater(*_pair(x, y))


def greater_equal(x: Any, y: Any, name: str | None = None) -> Any:
    """x >= y, element by element."""
    return _core.greater_equal(*_pair(x, y))


def less(x: Any, y: Any, name: str | None = None) -> Any:
    """x < y, element by element."""
    return _core.less(*_pair(x, y))


def less_equal(x: Any, y: Any, name: str | None = None) -> Any:
    """x <= y, element by element."""
    return _core.less_equal(*_pair(x, y))


def logical_and(x: Any, y: Any, name: str | None = None) -> Any:
    """Both hold."""
    return _core.logical_and(*_pair(x, y))


def logical_or(x: Any, y: Any, name: str | None = None) -> Any:
    """At least one holds."""
    return _core.logical_or(*_pair(x, y))


def logical_not(x: Any, name: str | None = None) -> Any:
    """It does not hold."""
    return _core.logical_not(x)


def logical_xor(x: Any, y: Any, name: str = "LogicalXor") -> Any:
    """Exactly one holds."""
    return _core.not_equal(*_pair(x, y))


def add_n(inputs: Sequence[Any], name: str | None = None) -> Any:
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


accumulate_n = add_n


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
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
) -> Any:
    """x / sqrt(max(sum(x * x), epsilon)), the sum over the axes.

    >>> import cnnexplain as tf
    >>> tf.math.l2_normalize([3.0, 4.0]).numpy()
    array([0.6, 0.8], dtype=float32)
    """
    x = tensor(x)
    total = _core.reduce_sum(_core.square(x), axis=axes(dim if axis is None else axis), keepdims=True)
    return _core.multiply(x, _core.rsqrt(_core.maximum(total, float(epsilon))))


__all__ = [*_names.defined(__name__), *_reductions, "top_k"]
__getattr__ = _names.missing(__name__)
