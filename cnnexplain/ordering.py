"""Sorting, the greatest, the different ones. The order has no gradient; the sorted values have."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from ._convert import cut, dtype_name, number, tensor, values

if TYPE_CHECKING:
    from .tensor import Tensor


def _way(values: Any, axis: Any, direction: Any) -> tuple[Any, dict[str, Any]]:
    if direction.upper() not in ("ASCENDING", "DESCENDING"):
        raise ValueError(
            f"`direction` must be one of: ASCENDING, DESCENDING. Received: direction={direction!r}"
        )
    return tensor(values), {"axis": number(axis, "axis"), "descending": direction.upper() == "DESCENDING"}


def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Tensor:
    """The order that sorts along an axis, int32; equal values keep their order.

    >>> import cnnexplain as tf
    >>> tf.argsort([3, 1, 2]).numpy()
    array([1, 2, 0], dtype=int32)
    """
    x, way = _way(values, axis, direction)
    return _core.sort(x, **way)[1]


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Tensor:
    """Sorted along an axis; a NaN counts as greater than every number. Gradients pass to the elements.

    >>> import cnnexplain as tf
    >>> tf.sort([3.0, 1.0, 2.0], direction="DESCENDING").numpy()
    array([3., 2., 1.], dtype=float32)
    """
    x, way = _way(values, axis, direction)
    return _core.sort(x, **way)[0]


TopK = namedtuple("TopK", ("values", "indices"))
Unique = namedtuple("Unique", ("y", "idx"))
UniqueWithCounts = namedtuple("UniqueWithCounts", ("y", "idx", "count"))


def top_k(
    input: Any, k: Any = 1, sorted: bool = True, index_type: Any = "int32", name: str | None = None
) -> TopK:
    """The k greatest along the last axis, from the greatest down, and their places. Gradients pass to the
    values.

    >>> import cnnexplain as tf
    >>> top = tf.math.top_k([1.0, 3.0, 2.0], k=2)
    >>> top.values.numpy(), top.indices.numpy()
    (array([3., 2.], dtype=float32), array([1, 2], dtype=int32))
    """
    x = tensor(input)
    count = number(k, "k")
    if not x.shape or count < 0 or (x.shape[-1] is not None and count > x.shape[-1]):
        raise ValueError(
            "`k` must be at most the length of the last axis. Received: "
            f"k={count}, input.shape={tuple(x.shape)}"
        )
    most, places = (cut(part, len(x.shape) - 1, 0, count) for part in _core.sort(x, descending=True))
    return TopK(most, places if index_type == "int32" else _core.cast(places, dtype=dtype_name(index_type)))


def unique(x: Any, out_idx: Any = "int32", name: str | None = None) -> Unique:
    """The different values of a vector as they first appear, and for each element the place of its value.

    >>> import cnnexplain as tf
    >>> tf.unique([5, 3, 5]).y.numpy()
    array([5, 3], dtype=int32)
    """
    found, rank, _ = unique_with_counts(x, out_idx)
    return Unique(found, rank)


def unique_with_counts(x: Any, out_idx: Any = "int32", name: str | None = None) -> UniqueWithCounts:
    """`unique`, and how often each value occurs."""
    array = values(tensor(x), "x")
    if array.ndim != 1:
        raise ValueError(f"`x` must have one dimension. Received: x.shape={array.shape}")
    found, first, inverse, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    kind = dtype_name(out_idx)
    return UniqueWithCounts(
        _core.tensor(found[order]),
        _core.tensor(rank[inverse.reshape(-1)], kind),
        _core.tensor(counts[order], kind),
    )


def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = "int32", name: str | None = None
) -> Tensor:
    """Where each value would be put in a sorted vector."""
    row, wanted = np.asarray(tensor(sorted_sequence)), np.asarray(tensor(values))
    if row.ndim != 1:
        raise ValueError(
            f"`sorted_sequence` must have one dimension. Received: sorted_sequence.shape={row.shape}"
        )
    if side not in ("left", "right"):
        raise ValueError(f"`side` must be one of: left, right. Received: side={side!r}")
    places = row.searchsorted(wanted, "left" if side == "left" else "right")
    return _core.tensor(places, dtype_name(out_type))
