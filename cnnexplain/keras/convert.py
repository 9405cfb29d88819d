"""Arrays and numbers as tensors, and ranks that differ by an axis of size 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from . import config

_TENSORS = (_core.Tensor, _core.Variable)


def as_tensor(value: Any, dtype: str | None = None) -> Any:
    """A tensor, cast when `dtype` asks for it; Python floats become `floatx()`."""
    if isinstance(value, _TENSORS):
        return value if dtype is None or value.dtype.name == dtype else _core.cast(value, dtype=dtype)
    if isinstance(value, (list, tuple)) and any(isinstance(item, _TENSORS) for item in value):
        value = [np.asarray(item) for item in value]
    array = np.asarray(value)
    if dtype is None and array.dtype == np.float64 and not isinstance(value, np.ndarray):
        dtype = config.floatx()
    return _core.tensor(array if dtype is None else array.astype(dtype, copy=False))


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
