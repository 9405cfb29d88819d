"""Sorting, the greatest, the different ones. The order has no gradient; the sorted values have."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from . import _core
from ._convert import axis_of, cut, dtype_name, is_symbol, number, tensor, values


def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Any:
    """The order that sorts along an axis, int32; equal values keep their order.

    >>> import cnnexplain as tf
    >>> tf.argsort([3, 1, 2]).numpy()
    array([1, 2, 0], dtype=int32)
    """
    if direction.upper() not in ("ASCENDING", "DESCENDING"):
        raise ValueError(
            f"`direction` must be one of: ASCENDING, DESCENDING. Received: direction={direction!r}"
        )
    down = direction.upper() == "DESCENDING"

    def order(x: Any) -> Any:
        array = np.asarray(x)
        if not down:
            return np.argsort(array, axis=axis, kind="stable").astype(np.int32)
        flipped = np.argsort(np.flip(array, axis), axis=axis, kind="stable")  # stable from the other end
        return (array.shape[axis] - 1 - np.flip(flipped, axis)).astype(np.int32)

    x = tensor(values)
    axis_of(axis, len(x.shape))
    if is_symbol(x):
        return _core.python(order, x, shape=list(x.shape), dtype="int32")
    return _core.tensor(order(x))


def take_along_last(x: Any, indices: Any) -> Any:
    """x[..., indices], each row with its own indices."""
    return _core.gather(x, indices, axis=len(x.shape) - 1, batch_dims=len(x.shape) - 1)


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Any:
    """Sorted along an axis. Gradients pass to the elements.

    >>> import cnnexplain as tf
    >>> tf.sort([3.0, 1.0, 2.0], direction="DESCENDING").numpy()
    array([3., 2., 1.], dtype=float32)
    """
    x = tensor(values)
    rank = len(x.shape)
    place = axis_of(axis, rank)
    swap = [i for i in range(rank) if i != place] + [place]
    last = _core.transpose(x, perm=swap) if place != rank - 1 else x
    ordered = take_along_last(last, argsort(last, -1, direction))
    return _core.transpose(ordered, perm=list(np.argsort(swap))) if place != rank - 1 else ordered


TopK = namedtuple("TopK", ("values", "indices"))
Unique = namedtuple("Unique", ("y", "idx"))


def top_k(
    input: Any, k: Any = 1, sorted: bool = True, index_type: Any = "int32", name: str | None = None
) -> TopK:  # noqa: A002
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
    order = argsort(x, -1, "DESCENDING")
    places = cut(order, len(x.shape) - 1, 0, count)
    if index_type != "int32":
        places = _core.cast(places, dtype=dtype_name(index_type))
    return TopK(take_along_last(x, places), places)


def unique(x: Any, out_idx: Any = "int32", name: str | None = None) -> Unique:
    """The different values of a vector as they first appear, and for each element the place of its value.

    >>> import cnnexplain as tf
    >>> tf.unique([5, 3, 5]).y.numpy()
    array([5, 3], dtype=int32)
    """
    array = values(tensor(x), "x")
    if array.ndim != 1:
        raise ValueError(f"`x` must have one dimension. Received: x.shape={array.shape}")
    found, first, inverse = np.unique(array, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Unique(_core.tensor(found[order]), _core.tensor(rank[inverse.reshape(-1)], dtype_name(out_idx)))


def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = "int32", name: str | None = None
) -> Any:
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
