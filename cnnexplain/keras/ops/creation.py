"""New tensors: constants, ranges, grids, windows."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain._sizes import count, unknown

from .. import config
from ._base import alike, cast_to, constant_like, is_symbol, named, number, real, tensor
from .shaping import broadcast_to, expand_dims, moveaxis, stack

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "arange", "array", "bartlett", "blackman", "empty", "empty_like", "eye", "full", "full_like", "geomspace",
    "hamming", "hanning", "identity", "kaiser", "linspace", "logspace", "meshgrid", "ones", "ones_like",
    "tri", "vander", "zeros", "zeros_like",
]  # fmt: skip


def array(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of the value."""
    return tensor(x, dtype)


def _sizes(shape: Any) -> tuple[int, ...]:
    return (
        tuple(number(n, "shape") for n in shape)
        if isinstance(shape, (list, tuple))
        else (number(shape, "shape"),)
    )


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """`fill_value` everywhere."""
    value = tensor(fill_value, config.standardize_dtype(dtype))
    return broadcast_to(value, shape if unknown(shape) else _sizes(shape))


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """Zeros."""
    if unknown(shape):
        return full(shape, 0, dtype)
    return _core.tensor(np.zeros(_sizes(shape), config.standardize_dtype(dtype)))


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """Ones."""
    if unknown(shape):
        return full(shape, 1, dtype)
    return _core.tensor(np.ones(_sizes(shape), config.standardize_dtype(dtype)))


def empty(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of a shape: zeros, since fresh memory is of no use where tensors do not change."""
    return zeros(shape, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """`fill_value` in x's shape and dtype."""
    x = tensor(x)
    name = x.dtype.name if dtype is None else config.standardize_dtype(dtype)
    value = tensor(fill_value, name)
    if None in tuple(x.shape) or is_symbol(value):
        return _core.where(value, value, _core.equal(x, x))
    return broadcast_to(value, tuple(x.shape))


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros in x's shape and dtype."""
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones in x's shape and dtype."""
    return full_like(x, 1, dtype)


def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros in x's shape and dtype."""
    return full_like(x, 0, dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """(N, M) with 1 on the k-th diagonal, 0 elsewhere."""
    columns = None if M is None else number(M, "M")
    return _core.tensor(
        np.eye(number(N, "N"), columns, number(k, "k")).astype(config.standardize_dtype(dtype))
    )


def identity(n: int, dtype: Any = None) -> Tensor:
    """The identity matrix (n, n)."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """(N, M) with 1 on and below the k-th diagonal, 0 above."""
    return _core.tensor(np.tri(N, M, k).astype(config.standardize_dtype(dtype)))


def _plain(x: Any) -> Any:
    return np.asarray(x).item() if hasattr(x, "shape") else x


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """From start up to but without stop in steps; of one number n: 0 to n - 1."""
    if is_symbol(start) and stop is None and step is None:
        return count(start, config.standardize_dtype(dtype or "int32"))
    bounds = [_plain(x) for x in (start, stop, step) if x is not None]
    if dtype is None:
        dtype = config.floatx() if any(isinstance(x, float) for x in bounds) else "int32"
    first, last = (0, start) if stop is None else (start, stop)
    values = np.arange(_plain(first), _plain(last), 1 if step is None else _plain(step))
    return _core.tensor(values.astype(config.standardize_dtype(dtype)))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` evenly spaced values from start to stop, along a new axis; gradients pass to both ends.

    >>> from cnnexplain import keras
    >>> keras.ops.linspace(0.0, 1.0, num=3).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    first, last = map(real, alike(start, stop))
    name = first.dtype.name if dtype is None else config.standardize_dtype(dtype)
    parts = num - 1 if endpoint else num
    width = _core.subtract(last, first)
    step = _core.multiply(width, 1.0 / parts) if parts > 0 else _core.multiply(width, math.nan)
    share = np.arange(num) / builtins.max(parts, 1)
    rank = len(step.shape)
    grid = _core.tensor(share.reshape([-1] + [1] * rank).astype(first.dtype.name))
    values = _core.add(_core.multiply(expand_dims(width, 0), grid), expand_dims(first, 0))
    values = cast_to(moveaxis(values, 0, axis), name)
    return (values, step) if retstep else values


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """base to the powers that `linspace` gives."""
    powers = linspace(start, stop, num, endpoint, axis=axis)
    values = _core.pow(tensor(base, powers.dtype.name), powers)
    return values if dtype is None else cast_to(values, config.standardize_dtype(dtype))


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Tensor:
    """`num` values from start to stop, each the same multiple of the one before."""
    first, last = map(real, alike(start, stop))
    sign = _core.sign(first)
    logs = [_core.log(_core.multiply(x, sign)) for x in (first, last)]
    values = _core.exp(linspace(logs[0], logs[1], num, endpoint, axis=axis))
    values = _core.multiply(values, expand_dims(sign, axis) if len(sign.shape) else sign)
    return values if dtype is None else cast_to(values, config.standardize_dtype(dtype))


def meshgrid(*x: Any, indexing: str = "xy") -> list[Any]:
    """The coordinates of a grid, one tensor for each axis."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"`indexing` must be 'xy' or 'ij'. Received: indexing={indexing}")
    parts = [_core.reshape(tensor(one), shape=[-1]) for one in x]
    order = list(range(len(parts)))
    if indexing == "xy" and len(parts) > 1:
        order[:2] = [1, 0]
    shape = [parts[place].shape[0] for place in order]
    grids = []
    for place, part in enumerate(parts):
        sizes = [1] * len(parts)
        sizes[order.index(place)] = part.shape[0]
        grids.append(broadcast_to(_core.reshape(part, shape=sizes), shape))
    return grids


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element of x: (n, N), the greatest first unless `increasing`."""
    x = tensor(x)
    if len(x.shape) != 1:
        raise ValueError(f"`x` must have one dimension. Received: x.shape={tuple(x.shape)}")
    count = x.shape[0] if N is None else N
    columns = [constant_like(x, 1, x.dtype.name)]
    while len(columns) < count:
        columns.append(_core.multiply(columns[-1], x))
    columns = columns[:count]
    return stack(columns if increasing else columns[::-1], axis=1)


def _window(name: str, text: str) -> Callable[..., Tensor]:
    def apply(x: Any) -> Any:
        return _core.tensor(getattr(np, name)(int(_plain(x))).astype(config.floatx()))

    return named(apply, name, text)


bartlett = _window("bartlett", "The triangular window of x points.")
blackman = _window("blackman", "Blackman's window of x points.")
hamming = _window("hamming", "Hamming's window of x points.")
hanning = _window("hanning", "Hann's window of x points.")


def kaiser(x: Any, beta: Any) -> Tensor:
    """Kaiser's window of x points with the shape `beta`."""
    return _core.tensor(np.kaiser(int(_plain(x)), float(_plain(beta))).astype(config.floatx()))
