"""Arrays and numbers as tensors, tensors of one dtype, and ranks that differ by an axis of size 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import reshape_to

from . import config
from .promotion import result_type

TENSORS = (_core.Tensor, _core.Variable)


def _holds_tensors(x: Any) -> bool:
    return isinstance(x, TENSORS) or (isinstance(x, (list, tuple)) and any(map(_holds_tensors, x)))


def as_tensor(x: Any, dtype: Any = None) -> Any:
    """x as a tensor: Python's floats in `floatx()`, its integers in int32, arrays in their own dtype."""
    if isinstance(x, TENSORS) and (dtype is None or x.dtype.name == dtype):
        return x
    name = None if dtype is None else config.standardize_dtype(dtype)
    if isinstance(x, TENSORS):
        return cast_to(x, name)
    if isinstance(x, (list, tuple)) and _holds_tensors(x):
        parts = alike(*x)
        whole = join([reshape_to(part, [1, *part.shape]) for part in parts], 0)
        return cast_to(whole, name)
    array = np.asarray(x)
    if name is None and not isinstance(x, (np.ndarray, np.generic)) and not hasattr(x, "__array__"):
        if array.dtype.kind == "f":
            name = config.floatx()
        elif array.dtype == np.int64 and (not array.size or np.abs(array).max() < 2**31):
            name = "int32"
    return _core.tensor(array if name is None else array.astype(name, copy=False))


def cast_to(x: Any, dtype: str | None) -> Any:
    """x in a dtype; as it is where it has it."""
    return x if dtype is None or x.dtype.name == dtype else _core.cast(x, dtype=dtype)


def alike(*xs: Any) -> list[Any]:
    """Tensors of the dtype that holds all; Python's numbers adapt to the tensors."""
    kinds: list[Any] = []
    for x in xs:
        if type(x) in (int, float):
            kinds.append(type(x))
        else:
            kinds.append((x if isinstance(x, TENSORS) else as_tensor(x)).dtype.name)
    name = result_type(*kinds)
    return [as_tensor(x, name) for x in xs]


def join(parts: Sequence[Any], axis: int) -> Any:
    """Any number of tensors one after the other."""
    from cnnexplain.arrays import concat

    return concat(list(parts), axis)


def as_real(value: Any) -> Any:
    """A float tensor."""
    tensor = as_tensor(value)
    return tensor if tensor.dtype.is_floating else _core.cast(tensor, dtype=config.floatx())


def same_rank(a: Any, b: Any) -> tuple[Any, Any]:
    """Drops or adds a last axis of size 1 where the ranks differ by one."""
    ra, rb = len(a.shape), len(b.shape)
    if ra == rb + 1 and a.shape[-1] == 1:
        if rb == 1:
            return a, _core.reshape(b, shape=[-2, 1])
        return _core.reshape(a, shape=[-2] * (ra - 1)), b
    if rb == ra + 1 and b.shape[-1] == 1:
        if ra == 1:
            return _core.reshape(a, shape=[-2, 1]), b
        return a, _core.reshape(b, shape=[-2] * (rb - 1))
    return a, b
