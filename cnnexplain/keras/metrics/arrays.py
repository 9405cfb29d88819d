"""What metrics that count with NumPy share."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_array(value: Any, dtype: str | None = None) -> np.ndarray:
    """An array of a tensor, a list of tensors or numbers; None keeps the dtype."""
    if isinstance(value, (list, tuple)):
        value = [np.asarray(item) if hasattr(item, "shape") else item for item in value]
    array = np.asarray(value)
    return array if dtype is None else array.astype(dtype, copy=False)


def same_rank(a: np.ndarray, b: np.ndarray, expand: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Drops (or, beside rank 1, adds) a last axis of size 1 where the ranks differ by one."""
    for first in (True, False):
        longer, shorter = (a, b) if first else (b, a)
        if longer.ndim == shorter.ndim + 1 and longer.shape[-1] == 1:
            if shorter.ndim == 1 and expand:
                shorter = shorter[:, None]
            else:
                longer = longer[..., 0]
            return (longer, shorter) if first else (shorter, longer)
    return a, b


def share(part: Any, whole: Any) -> Any:
    """part / whole, 0 where `whole` is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part), np.asarray(whole))
    return np.divide(part, whole, out=np.zeros(part.shape, part.dtype), where=whole != 0)
