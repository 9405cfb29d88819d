"""Sums, products, extremes and what is counted, over axes or along one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cnnexplain import _core
from cnnexplain.math.reductions import reduce_logsumexp

from ._base import alike, axes, axis_of, cast_to, cut, everything, named, numeric, real, tensor
from .elementwise import nan_to_num
from .logic import truth

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "all", "amax", "amin", "any", "average", "count_nonzero", "cumprod", "cumsum", "diff", "logsumexp",
    "max", "mean", "min", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd",
    "nansum", "nanvar", "prod", "ptp", "std", "sum", "trapezoid", "var",
]  # fmt: skip

_WHOLE = {"bool": "int32", "uint8": "int32", "int8": "int32"}


def whole(x: Any) -> Tensor:
    """x in a dtype in which its numbers can be added up."""
    x = tensor(x)
    return cast_to(x, _WHOLE.get(x.dtype.name))


def _reduction(name: str, op: str, text: str, kind: Callable) -> Callable[..., Tensor]:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return getattr(_core, op)(kind(x), axis=axes(axis), keepdims=bool(keepdims))

    return named(reduce, name, text)


all = _reduction("all", "reduce_all", "Whether all values are true.", truth)
any = _reduction("any", "reduce_any", "Whether any value is true.", truth)
sum = _reduction("sum", "reduce_sum", "The sum.", whole)
mean = _reduction("mean", "reduce_mean", "The mean.", real)
amax = _reduction("amax", "reduce_max", "The greatest value.", numeric)
amin = _reduction("amin", "reduce_min", "The least value.", numeric)


def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The greatest value, at least `initial`."""
    result = amax(x, axis, keepdims)
    return result if initial is None else _core.maximum(result, tensor(initial, result.dtype.name))


def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The least value, at most `initial`."""
    result = amin(x, axis, keepdims)
    return result if initial is None else _core.minimum(result, tensor(initial, result.dtype.name))


def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product."""
    x = whole(x) if dtype is None else tensor(x, dtype)
    return _core.reduce_prod(x, axis=axes(axis), keepdims=bool(keepdims))


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance: the mean of the squared distances from the mean."""
    x = real(x)
    centre = _core.reduce_mean(x, axis=axes(axis), keepdims=True)
    return _core.reduce_mean(_core.squared_difference(x, centre), axis=axes(axis), keepdims=bool(keepdims))


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The standard deviation."""
    return _core.sqrt(var(x, axis, keepdims))


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The greatest value minus the least."""
    return _core.subtract(amax(x, axis, keepdims), amin(x, axis, keepdims))


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))), without overflow."""
    return reduce_logsumexp(real(x), axis=axes(axis), keepdims=keepdims)


def count_nonzero(x: Any, axis: Any = None) -> Tensor:
    """How many values are not 0."""
    return _core.reduce_sum(_core.cast(truth(x), dtype="int32"), axis=axes(axis))


def average(x: Any, axis: Any = None, weights: Any = None) -> Tensor:
    """The mean, or the sum of x times weights over the sum of the weights.

    Args:
        weights: Of x's shape, or a vector along `axis`.
    """
    if weights is None:
        return mean(x, axis)
    x, weights = map(real, alike(x, weights))
    if len(weights.shape) == 1 and len(x.shape) > 1:
        if axis is None:
            raise ValueError("Axis must be specified when shapes of a and weights differ.")
        sizes = [1] * len(x.shape)
        sizes[axis_of(axis, len(x.shape))] = -1
        weights = _core.reshape(weights, shape=sizes)
    total = _core.reduce_sum(_core.multiply(x, weights), axis=axes(axis))
    return _core.divide(total, _core.reduce_sum(weights, axis=axes(axis)))


def _running(op: str, x: Any, axis: int | None, dtype: Any) -> Any:
    x = whole(x) if dtype is None else tensor(x, dtype)
    x, place = everything(x, axis)
    return getattr(_core, op)(x, axis=place)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sums along an axis; None: of the flattened tensor."""
    return _running("cumsum", x, axis, dtype)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running products along an axis; None: of the flattened tensor."""
    return _running("cumprod", x, axis, dtype)


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """The differences of neighbours along an axis, taken n times."""
    x = tensor(a)
    if n < 0:
        raise ValueError(f"`n` must not be negative. Received: n={n}")
    place = axis_of(axis, len(x.shape))
    for _ in range(n):
        size = x.shape[place]
        rest = -1 if size is None else size - 1
        if size is None:
            raise ValueError(f"The length of the axis must be known. Received: a.shape={tuple(x.shape)}")
        later, earlier = cut(x, place, 1, rest), cut(x, place, 0, rest)
        x = _core.not_equal(later, earlier) if x.dtype.is_bool else _core.subtract(later, earlier)
    return x


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """The integral of y along an axis by the trapezoidal rule, over points x or with steps dx."""
    y = real(y)
    place = axis_of(axis, len(y.shape))
    if x is None:
        steps = tensor(dx, y.dtype.name)
    else:
        steps = tensor(x, y.dtype.name)
        steps = diff(steps, axis=-1 if len(steps.shape) == 1 else axis)
        if len(steps.shape) == 1:
            sizes = [1] * len(y.shape)
            sizes[place] = -1
            steps = _core.reshape(steps, shape=sizes)
    size = y.shape[place]
    if size is None:
        raise ValueError(
            f"The length of the axis must be known. Received: y.shape={tuple(y.shape)}, axis={axis}"
        )
    pairs = _core.add(cut(y, place, 1, size - 1), cut(y, place, 0, size - 1))
    return _core.reduce_sum(_core.multiply(_core.multiply(pairs, 0.5), steps), axis=[place])


# without the values that are not numbers
def _missing(x: Any) -> tuple[Any, Any]:
    x = numeric(x)
    return x, _core.not_equal(x, x)


def _known_count(missing: Any, axis: Any, keepdims: bool, dtype: str) -> Any:
    known = _core.cast(_core.logical_not(missing), dtype=dtype)
    return _core.reduce_sum(known, axis=axes(axis), keepdims=keepdims)


def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The sum of the values that are not NaN."""
    x, missing = _missing(x)
    return sum(_core.where(0, x, missing) if x.dtype.is_floating else x, axis, keepdims)


def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The product of the values that are not NaN."""
    x, missing = _missing(x)
    return prod(_core.where(1, x, missing) if x.dtype.is_floating else x, axis, keepdims)


def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of the values that are not NaN; NaN where there are none."""
    x, missing = _missing(real(x))
    return _core.divide(nansum(x, axis, keepdims), _known_count(missing, axis, keepdims, x.dtype.name))


def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance of the values that are not NaN; NaN where there are none."""
    x, missing = _missing(real(x))
    safe = _core.where(0, x, missing)
    centre = nanmean(x, axis, True)
    apart = _core.where(0, _core.squared_difference(safe, centre), missing)
    total = _core.reduce_sum(apart, axis=axes(axis), keepdims=bool(keepdims))
    return _core.divide(total, _known_count(missing, axis, keepdims, x.dtype.name))


def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The standard deviation of the values that are not NaN."""
    return _core.sqrt(nanvar(x, axis, keepdims))


def _nan_extreme(x: Any, axis: Any, keepdims: bool, extreme: Callable, worst: float) -> Any:
    x, missing = _missing(x)
    if not x.dtype.is_floating:
        return extreme(x, axis, keepdims)
    none = _core.reduce_all(missing, axis=axes(axis), keepdims=bool(keepdims))
    return _core.where(math.nan, extreme(_core.where(worst, x, missing), axis, keepdims), none)


def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The greatest value that is not NaN; NaN where all are."""
    return _nan_extreme(x, axis, keepdims, amax, -math.inf)


def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The least value that is not NaN; NaN where all are."""
    return _nan_extreme(x, axis, keepdims, amin, math.inf)


def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sums in which NaN counts as 0."""
    return cumsum(nan_to_num(x), axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running products in which NaN counts as 1."""
    return cumprod(nan_to_num(x, nan=1.0), axis, dtype)
