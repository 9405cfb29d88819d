"""Putting values at places: the inverse of gathering. Gradients pass to what is put and to what stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, _names
from ._convert import alike, number, shape_list, tensor, values
from .arrays import gather_nd
from .control import custom_gradient

if TYPE_CHECKING:
    from .tensor import Tensor


def _places(indices: Any) -> tuple[np.ndarray, ...]:
    return tuple(np.moveaxis(values(tensor(indices), "indices"), -1, 0))


def _checked(indices: Any, shape: list[int]) -> tuple[np.ndarray, ...]:
    places = _places(indices)
    if len(places) > len(shape):
        raise ValueError(f"`indices` names {len(places)} axes. Received: a shape of {len(shape)}")
    for axis, place in enumerate(places):
        if place.size and (place.min() < 0 or place.max() >= shape[axis]):
            raise ValueError(
                f"`indices` must be in [0, {shape[axis]}) on axis {axis}. "
                f"Received: {place.min()} to {place.max()}"
            )
    return places


def scatter_nd(
    indices: Any, updates: Any, shape: Any, bad_indices_policy: str = "", name: str | None = None
) -> Tensor:
    """Zeros with `updates` added at `indices`.

    >>> import cnnexplain as tf
    >>> tf.scatter_nd([[1], [1]], [2.0, 3.0], [3]).numpy()
    array([0., 5., 0.], dtype=float32)
    """
    sizes = shape_list(shape)
    places = _checked(indices, sizes)

    @custom_gradient
    def put(moved: Any) -> Any:
        array = np.asarray(moved)
        result = np.zeros(sizes, array.dtype)
        np.add.at(result, places, array)
        return tensor(result), lambda dy: gather_nd(dy, indices)

    return put(updates)


def _onto(table: Any, indices: Any, updates: Any, join: Callable, gradient: Callable) -> Any:
    x, y = alike(table, updates)
    places = _checked(indices, list(x.shape))

    @custom_gradient
    def put(kept: Any, moved: Any) -> Any:
        result = np.array(kept)
        join(result, places, np.asarray(moved))
        return tensor(result), lambda dy: gradient(dy, places)

    return put(x, y)


def _without(dy: Any, places: tuple[np.ndarray, ...]) -> np.ndarray:
    kept = np.array(dy)
    kept[places] = 0
    return kept


def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """The tensor with other values at `indices`.

    >>> import cnnexplain as tf
    >>> tf.tensor_scatter_nd_update([1, 2, 3], [[1]], [9]).numpy()
    array([1, 9, 3], dtype=int32)
    """

    def put(result: np.ndarray, places: tuple, moved: np.ndarray) -> None:
        result[places] = moved

    return _onto(tensor, indices, updates, put, lambda dy, at: [_without(dy, at), np.asarray(dy)[at]])


def tensor_scatter_nd_add(
    tensor: Any, indices: Any, updates: Any, bad_indices_policy: str = "", name: str | None = None
) -> Tensor:
    """The tensor with `updates` added at `indices`."""
    return _onto(tensor, indices, updates, np.add.at, lambda dy, at: [dy, np.asarray(dy)[at]])


def tensor_scatter_nd_sub(
    tensor: Any, indices: Any, updates: Any, bad_indices_policy: str = "", name: str | None = None
) -> Tensor:
    """The tensor with `updates` subtracted at `indices`."""
    return _onto(tensor, indices, updates, np.subtract.at, lambda dy, at: [dy, -np.asarray(dy)[at]])


def _extreme(ufunc: Any, tensor: Any, indices: Any, updates: Any) -> Any:
    x, y = alike(tensor, updates)
    result = np.array(values(x, "tensor"))
    ufunc.at(result, _checked(indices, list(result.shape)), values(y, "updates"))
    return _core.tensor(result)


def tensor_scatter_nd_max(
    tensor: Any, indices: Any, updates: Any, bad_indices_policy: str = "", name: str | None = None
) -> Tensor:
    """The tensor, at `indices` the greater of its value and the update; no gradient passes."""
    return _extreme(np.maximum, tensor, indices, updates)


def tensor_scatter_nd_min(
    tensor: Any, indices: Any, updates: Any, bad_indices_policy: str = "", name: str | None = None
) -> Tensor:
    """The tensor, at `indices` the lesser of its value and the update; no gradient passes."""
    return _extreme(np.minimum, tensor, indices, updates)


def unsorted_segment_sum(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """The sums of the slices that have one id; a negative id is left out.

    >>> import cnnexplain as tf
    >>> tf.math.unsorted_segment_sum([1.0, 2.0, 4.0], [1, 0, 1], 2).numpy()
    array([2., 5.], dtype=float32)
    """
    x, ids = tensor(data), values(tensor(segment_ids), "segment_ids")
    rank, count = ids.ndim, number(num_segments, "num_segments")
    rest = list(x.shape)[rank:]
    if list(ids.shape) != list(x.shape)[:rank]:
        raise ValueError(f"`segment_ids` must have the leading shape of the data. Received: {ids.shape}")
    flat, kept = ids.reshape(-1), np.flatnonzero(ids.reshape(-1) >= 0)
    rows = _core.gather(_core.reshape(x, shape=[flat.size, *rest]), kept, axis=0)
    return scatter_nd(flat[kept][:, None].astype(np.int64), rows, [count, *rest])


def unsorted_segment_mean(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """The means of the slices that have one id; 0 where there is none."""
    ids = values(tensor(segment_ids), "segment_ids").reshape(-1)
    total = unsorted_segment_sum(data, segment_ids, num_segments)
    counts = np.bincount(ids[ids >= 0], minlength=number(num_segments, "num_segments"))
    divisor = np.maximum(counts, 1).reshape(-1, *[1] * (len(total.shape) - 1))
    return _core.divide(total, _core.tensor(divisor, total.dtype.name))


def _sorted(segment_ids: Any) -> tuple[np.ndarray, int]:
    ids = values(tensor(segment_ids), "segment_ids")
    if ids.ndim != 1 or (np.diff(ids) < 0).any() or (ids < 0).any():
        raise ValueError(f"`segment_ids` must be a vector that does not descend. Received: {ids.tolist()}")
    return ids, int(ids[-1]) + 1 if ids.size else 0


def segment_sum(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The sums of neighbouring slices that have one id."""
    return unsorted_segment_sum(data, *_sorted(segment_ids))


def segment_mean(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """The means of neighbouring slices that have one id."""
    return unsorted_segment_mean(data, *_sorted(segment_ids))


__all__ = _names.defined(__name__)
