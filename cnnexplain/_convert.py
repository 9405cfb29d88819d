"""What the functions share: tensors of anything, shapes of anything, reshaping with unknown dimensions."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _core, dtypes
from . import tensor as _classes  # noqa: F401  (registers what the operations return)

TENSORS = (_core.Tensor, _core.Variable)


def is_symbol(x: Any) -> bool:
    """Has it a shape but no values?"""
    return isinstance(x, _core.Symbol)


def tensor(x: Any, dtype: Any = None) -> Any:
    """x as a tensor; a tensor as it is."""
    if isinstance(x, TENSORS):
        return x
    if hasattr(x, "as_tensor"):
        return x.as_tensor(dtype or "int32")
    return _core.tensor(x) if dtype is None else _core.tensor(x, dtype)


def alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Two tensors, the one that was a list or an array with the dtype of the other."""
    if isinstance(a, TENSORS):
        return a, tensor(b, a.dtype)
    if isinstance(b, TENSORS):
        return tensor(a, b.dtype), b
    return tensor(a), tensor(b)


def floating(x: Any) -> Any:
    """x as a float tensor: whole numbers become float32."""
    x = tensor(x)
    return x if x.dtype.is_floating else _core.cast(x, dtype="float32")


def values(x: Any, name: str) -> np.ndarray:
    """The numbers of x; a symbolic tensor has none."""
    if is_symbol(x):
        raise TypeError(
            f"`{name}` needs values, and a symbolic tensor has none: "
            "do this in a Layer or on the result of a model"
        )
    return np.asarray(x)


def number(x: Any, name: str) -> int:
    """x, a number or a tensor of one, as an int."""
    try:
        return operator.index(x)
    except TypeError:
        array = values(x, name)
        if array.ndim == 0 and array.dtype.kind in "iu":
            return int(array)
        raise TypeError(f"`{name}` must be an integer. Received: {name}={x!r}") from None


def numbers(x: Any, name: str) -> list[int]:
    """x, an integer, a sequence of integers or a tensor of them, as a list."""
    if isinstance(x, TENSORS) or isinstance(x, np.ndarray):
        array = values(x, name)
        if array.dtype.kind not in "iu" and array.size:
            raise TypeError(f"`{name}` must hold integers. Received: {name}={x!r}")
        return [int(i) for i in array.reshape(-1)]
    if isinstance(x, (list, tuple, range)):
        return [number(i, name) for i in x]
    return [number(x, name)]


def axes(x: Any, name: str = "axis") -> list[int] | None:
    """None, an axis or several, as the operations of the core take them."""
    return None if x is None else numbers(x, name)


def shape_list(shape: Any, name: str = "shape") -> list[int]:
    """A complete shape as a list."""
    if isinstance(shape, (list, tuple)) and any(size is None for size in shape):
        raise ValueError(f"`{name}` must be known. Received: {name}={tuple(shape)}")
    sizes = numbers(shape, name)
    if any(size < 0 for size in sizes):
        raise ValueError(f"`{name}` must not hold negative numbers. Received: {name}={tuple(sizes)}")
    return sizes


def axis_of(axis: Any, rank: int, name: str = "axis") -> int:
    """An axis counted from the front."""
    place = number(axis, name)
    if not -rank <= place < rank:
        raise ValueError(f"`{name}` must be in [{-rank}, {rank}). Received: {name}={place}")
    return place % rank


def reshape_to(x: Any, shape: Sequence[int | None]) -> Any:
    """x in a shape whose unknown dimensions are None: one that stays in its place, or what is left over."""
    if None not in shape:
        return _core.reshape(x, shape=shape)
    known, sizes = list(x.shape), list(shape)
    alone = sizes.count(None) == 1
    kept = math.prod(n for n in known if n is not None) == math.prod(n for n in sizes if n is not None)
    for place, size in enumerate(shape):
        if size is None:
            stays = list(shape[: place + 1]) == known[: place + 1]
            sizes[place] = -2 if stays and (kept or not alone) else -1
    if sizes.count(-1) > 1:
        raise ValueError(
            f"more than one dimension is not known. Received: shape={tuple(shape)}, from {tuple(known)}"
        )
    return _core.reshape(x, shape=sizes)


def dtype_name(dtype: Any) -> str:
    """ "float32" for everything that means float32."""
    return dtypes.as_dtype(dtype).name


def filled(value: Any, shape: Sequence[int], dtype: Any) -> Any:
    """A tensor of one value."""
    return _core.broadcast_to(_core.tensor(value, dtype_name(dtype)), shape=list(shape))


def cut(x: Any, axis: int, begin: int, length: int) -> Any:
    """x[..., begin:begin+length, ...] on an axis counted from the front."""
    rank = len(x.shape)
    start, sizes = [0] * rank, [-1] * rank
    start[axis], sizes[axis] = begin, length
    return _core.slice(x, begin=start, size=sizes)
