"""Quantiles, counts of values, correlations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core, ordering

from ._base import alike, constant_like, is_symbol, real, reshape_to, take_along_last, tensor
from .linalg import matmul
from .selection import last_axis
from .shaping import moveaxis, transpose

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "bincount", "corrcoef", "correlate", "histogram", "median", "nanmedian", "nanpercentile", "nanquantile",
    "percentile", "quantile",
]  # fmt: skip

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantiles(x: Any, q: Any, axis: Any, method: str, keepdims: bool, skip: bool) -> Any:
    if method not in METHODS:
        raise ValueError(f"`method` must be one of: {', '.join(METHODS)}. Received: method={method}")
    shares = np.asarray(q, np.float64)
    if not ((shares >= 0.0) & (shares <= 1.0)).all():
        raise ValueError(f"`q` must lie in [0, 1], or in [0, 100] in percent. Received a share of {shares}")
    x = real(x)
    if 0 in tuple(x.shape):
        raise ValueError(f"`x` must hold at least one value. Received: x.shape={tuple(x.shape)}")
    rank = len(x.shape)
    rows, over = last_axis(x, axis)
    order = ordering.sort(rows, -1)  # NaN comes last
    name, last = rows.dtype.name, len(rows.shape) - 1
    missing = _core.not_equal(order, order)
    known = _core.reduce_sum(
        _core.cast(_core.logical_not(missing), dtype="float64"), axis=[last], keepdims=True
    )
    if not skip:
        known = _core.reduce_sum(constant_like(rows, 1, "float64"), axis=[last], keepdims=True)
    place = _core.multiply(_core.subtract(known, 1.0), _core.tensor(shares.reshape(-1)))
    place = _core.maximum(place, 0.0)
    low, high = _core.floor(place), _core.ceil(place)
    if method == "nearest":
        low = high = _core.round(place)
    elif method != "linear":
        low, high = {"lower": (low, low), "higher": (high, high), "midpoint": (low, high)}[method]
    below, above = (take_along_last(order, _core.cast(where, dtype="int32")) for where in (low, high))
    share = _core.cast(_core.subtract(place, low), dtype=name) if method == "linear" else 0.5
    result = _core.add(below, _core.multiply(_core.subtract(above, below), share))
    bad = (
        _core.reduce_all(missing, axis=[last], keepdims=True)
        if skip
        else _core.reduce_any(missing, axis=[last], keepdims=True)
    )
    result = _core.where(math.nan, result, bad)
    kept = list(result.shape[:-1])
    if keepdims:
        kept = (
            [1 if k in over else size for k, size in enumerate(x.shape)] if axis is not None else [1] * rank
        )
    result = reshape_to(result, [*kept, shares.size])
    result = moveaxis(result, -1, 0)
    return reshape_to(result, [*shares.shape, *kept])


def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The values below which the shares q of all values lie; gradients pass to those beside them.

    Args:
        q: A number in [0, 1], or several, which then form the first axis.
        method: Between two values: "linear", "lower", "higher", "midpoint", "nearest".

    >>> from cnnexplain import keras
    >>> float(keras.ops.quantile([1.0, 2.0, 3.0, 4.0], 0.5))
    2.5
    """
    return _quantiles(x, q, axis, method, keepdims, False)


def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile` with q in percent."""
    return _quantiles(x, np.asarray(q, np.float64) / 100.0, axis, method, keepdims, False)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle value, or the mean of the two in the middle."""
    return _quantiles(x, 0.5, axis, "linear", keepdims, False)


def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile` of the values that are not NaN."""
    return _quantiles(x, q, axis, method, keepdims, True)


def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`percentile` of the values that are not NaN."""
    return _quantiles(x, np.asarray(q, np.float64) / 100.0, axis, method, keepdims, True)


def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`median` of the values that are not NaN."""
    return _quantiles(x, 0.5, axis, "linear", keepdims, True)


def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in each row, or the sum of its weights.

    Args:
        x: Whole numbers, (n,) or (rows, n).
        minlength: The least length of the result.
    """
    if sparse:
        raise ValueError(f"`sparse` must be False: tensors are dense here. Received: sparse={sparse}")
    x = tensor(x)
    if is_symbol(x):
        raise ValueError("`keras.ops.bincount` needs values: its length is not known for a symbolic tensor")
    array = np.asarray(x).astype(np.int64)
    if array.size and array.min() < 0:
        raise ValueError(f"`x` must hold no negative numbers. Received: a least value of {array.min()}")
    length = max(int(array.max(initial=-1)) + 1, int(minlength))
    hot = _core.one_hot(_core.tensor(array), depth=length, dtype="int32")
    if weights is not None:
        weights = tensor(weights)
        weights = _core.cast(weights, dtype="int32") if weights.dtype.is_bool else weights
        hot = _core.multiply(
            _core.cast(hot, dtype=weights.dtype.name), reshape_to(weights, [*weights.shape, 1])
        )
    return _core.reduce_sum(hot, axis=[array.ndim - 1])


def histogram(x: Any, bins: Any = 10, range: Any = None) -> tuple[Any, Any]:
    """How many values lie in each bin, and the edges of the bins.

    Args:
        bins: How many of equal width, or the edges.
        range: (least, greatest) edge; default: those of the values.
    """
    x = real(x)
    if is_symbol(x):
        raise ValueError("`keras.ops.histogram` needs values; a symbolic tensor has none")
    if isinstance(bins, int) and bins < 1:
        raise ValueError(f"`bins` must be a positive integer. Received: bins={bins}")
    if range is not None and (len(range) != 2 or range[0] > range[1]):
        raise ValueError(f"`range` must be a tuple of two numbers, the lesser first. Received: range={range}")
    counts, edges = np.histogram(
        np.asarray(x), bins if isinstance(bins, int) else np.asarray(bins), range or None
    )
    return _core.tensor(counts.astype(x.dtype.name)), _core.tensor(edges.astype(x.dtype.name))


def corrcoef(x: Any) -> Tensor:
    """The correlations of the rows of x: (rows, rows)."""
    x = real(x)
    rows = reshape_to(x, [1, *x.shape]) if len(x.shape) == 1 else x
    centred = _core.subtract(rows, _core.reduce_mean(rows, axis=[-1], keepdims=True))
    products = matmul(centred, transpose(centred))
    length = _core.sqrt(_core.reduce_sum(_core.square(centred), axis=[-1], keepdims=True))
    result = _core.clip(_core.divide(products, matmul(length, transpose(length))), low=-1.0, high=1.0)
    return reshape_to(result, []) if len(x.shape) == 1 else result


def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """The sums of x1[k + i] * x2[i] for each shift k of two vectors.

    Args:
        mode: "valid": shifts where both overlap wholly; "same": as many as the longer has; "full": all.
    """
    a, b = map(real, alike(x1, x2))
    if len(a.shape) != 1 or len(b.shape) != 1:
        raise ValueError(
            f"`x1` and `x2` must be vectors. Received shapes: {tuple(a.shape)}, {tuple(b.shape)}"
        )
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"`mode` must be one of: valid, same, full. Received: mode={mode}")
    n, m = a.shape[0], b.shape[0]
    if not n or not m:
        raise ValueError(f"`x1` and `x2` must have known lengths above 0. Received: {n} and {m}")
    if n < m:
        return _core.reverse(correlate(b, a, mode), axis=[0])
    before, after = {"valid": (0, 0), "same": (m // 2, m - 1 - m // 2), "full": (m - 1, m - 1)}[mode]
    row = _core.pad(a, before=[before], after=[after])
    places = np.arange(n + before + after - m + 1)[:, None] + np.arange(m)
    windows = _core.gather(row, _core.tensor(places), axis=0)
    return _core.reduce_sum(_core.multiply(windows, b), axis=[1])
