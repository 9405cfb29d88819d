"""Picking and placing elements: indices, blocks, masks, order, classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core, ordering
from cnnexplain._convert import numbers

from .. import config
from ._base import (
    alike,
    axis_of,
    cast_to,
    constant_like,
    everything,
    is_symbol,
    number,
    numeric,
    out_of_numpy,
    real,
    reshape_to,
    spread,
    take_along_last,
    tensor,
)
from .logic import truth
from .shaping import moveaxis

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "argmax", "argmin", "argpartition", "argsort", "digitize", "get_item", "multi_hot", "nanargmax",
    "nanargmin", "nonzero", "one_hot", "scatter", "scatter_update", "searchsorted", "select", "slice",
    "slice_update", "sort", "take", "take_along_axis", "top_k", "unique", "unravel_index", "where",
]  # fmt: skip


def get_item(x: Any, key: Any) -> Any:
    """x[key]."""
    return tensor(x)[key]


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition is true, x2 elsewhere; without them the indices where it is, for each axis."""
    if (x1 is None) != (x2 is None):
        raise ValueError("`x1` and `x2` either both should be `None` or both should have non-None value.")
    if x1 is None:
        return nonzero(condition)
    a, b = alike(x1, x2)
    return _core.where(a, b, truth(condition))


def nonzero(x: Any) -> tuple[Any, ...]:
    """The indices of the elements that are not 0: one tensor for each axis."""
    x = tensor(x)
    if is_symbol(x):
        raise ValueError(
            "`keras.ops.nonzero` needs values: how many there are is not known for a symbolic tensor"
        )
    return tuple(_core.tensor(axis.astype(np.int32)) for axis in np.nonzero(np.asarray(x)))


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """The choice of the first condition that holds, `default` where none does."""
    if len(condlist) != len(choicelist):
        raise ValueError(
            "`condlist` and `choicelist` must have the same length. Received: "
            f"{len(condlist)} conditions, {len(choicelist)} choices"
        )
    *choices, result = alike(*choicelist, default)
    for condition, choice in reversed(list(zip(condlist, choices, strict=True))):
        result = _core.where(choice, result, truth(condition))
    return result


def _length(x: Any, place: int) -> Any:
    """The length of an axis: a number, or a tensor of it where it is not known yet."""
    if x.shape[place] is not None:
        return x.shape[place]
    return _core.reduce_max(_core.reduce_sum(constant_like(x, 1, "int32"), axis=[place]))


def _wrapped(indices: Any, size: Any) -> Any:
    """Indices counted from the front."""
    indices = tensor(indices)
    if indices.dtype.is_floating or indices.dtype.is_bool:
        raise TypeError(f"`indices` must be integers. Received: dtype={indices.dtype.name}")
    indices = indices if indices.dtype.name in ("int32", "int64") else _core.cast(indices, dtype="int32")
    if is_symbol(size):
        size = cast_to(size, indices.dtype.name)
    return _core.where(_core.add(indices, size), indices, _core.less(indices, 0))


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The entries at the indices along an axis; None: of the flattened tensor. Negative ones count back.

    >>> from cnnexplain import keras
    >>> keras.ops.take([10.0, 20.0, 30.0], [0, -1]).numpy()
    array([10., 30.], dtype=float32)
    """
    x, place = everything(tensor(x), axis)
    return _core.gather(x, _wrapped(indices, _length(x, place)), axis=place)


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The entries at the indices, each row along the axis with its own."""
    x, place = everything(tensor(x), axis)
    indices = _wrapped(indices, _length(x, place))
    if axis is None:
        indices = _core.reshape(indices, shape=[-1])
    x, indices = moveaxis(x, place, -1), moveaxis(indices, place, -1)
    lead = spread(x.shape[:-1], indices.shape[:-1])
    if list(x.shape[:-1]) != lead:
        x = _core.broadcast_to(x, shape=[*lead, x.shape[-1]])
    if list(indices.shape[:-1]) != lead:
        indices = _core.broadcast_to(indices, shape=[*lead, indices.shape[-1]])
    return moveaxis(take_along_last(x, indices), -1, place)


def slice(inputs: Any, start_indices: Any, shape: Any) -> Tensor:
    """The block that starts at `start_indices` and has this shape; -1: up to the end."""
    x = tensor(inputs)
    begin, sizes = (
        numbers(start_indices, "start_indices"),
        [-1 if n is None else number(n, "shape") for n in shape],
    )
    return _core.slice(x, begin=begin, size=sizes)


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """`inputs` with the block that starts at `start_indices` replaced by `updates`."""
    x = tensor(inputs)
    updates = tensor(updates, x.dtype.name)
    begin = numbers(start_indices, "start_indices")
    after = []
    for start, whole, part in zip(begin, x.shape, updates.shape, strict=True):
        after.append(0 if whole is None or part is None else whole - part - start)
    if min(after, default=0) < 0:
        raise ValueError(
            "`updates` must fit into `inputs` at `start_indices`. Received: "
            f"inputs.shape={tuple(x.shape)}, start_indices={begin}, updates.shape={tuple(updates.shape)}"
        )
    covered = _core.pad(constant_like(updates, 1, "int32"), before=begin, after=after)
    if updates.dtype.name not in ("float32", "float64", "int32", "int64"):
        placed = _core.pad(_core.cast(updates, dtype="int32"), before=begin, after=after)
        placed = _core.cast(placed, dtype=x.dtype.name)
    else:
        placed = _core.pad(updates, before=begin, after=after)
    return _core.where(placed, x, _core.cast(covered, dtype="bool"))


def _at(indices: np.ndarray, shape: Sequence[int] | None = None) -> tuple[np.ndarray, ...]:
    """One array of places for each axis; with a shape they are checked."""
    places = tuple(np.moveaxis(indices, -1, 0))
    if shape is not None:
        short = zip(places, shape, strict=False)
        if len(places) > len(shape) or any(((p < 0) | (p >= n)).any() for p, n in short):
            raise ValueError(
                f"`indices` must lie within the shape {tuple(shape)}. Received: {indices.tolist()}"
            )
    return places


def scatter(indices: Any, values: Any, shape: Any) -> Tensor:
    """Zeros of a shape with `values` added at the places in the last axis of `indices`.

    >>> from cnnexplain import keras
    >>> keras.ops.scatter([[1], [1]], [2.0, 3.0], (3,)).numpy()
    array([0., 5., 0.], dtype=float32)
    """
    values, indices = tensor(values), tensor(indices)
    sizes = [number(n, "shape") for n in shape]

    def add(places: np.ndarray, new: np.ndarray) -> np.ndarray:
        result = np.zeros(sizes, new.dtype)
        np.add.at(result, _at(places, sizes), new)
        return result

    return out_of_numpy(
        "scatter", add, indices, values, shape=sizes, dtype=values.dtype.name,
        gradient=lambda dy, y, places, new: [None, dy[_at(places)]],
    )  # fmt: skip


_REDUCTIONS = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """`inputs` with `updates` at the places in the last axis of `indices`.

    Args:
        reduction: None replaces; "add", "max", "min", "mul" combine with what is there. Gradients pass with
            None and "add".
    """
    x = tensor(inputs)
    updates, indices = tensor(updates, x.dtype.name), tensor(indices)
    if reduction is not None and reduction not in _REDUCTIONS:
        raise ValueError(
            f"`reduction` must be None or one of: add, max, min, mul. Received: reduction={reduction}"
        )

    def put(old: np.ndarray, places: np.ndarray, new: np.ndarray) -> np.ndarray:
        result, where = np.array(old), _at(places, old.shape)
        if reduction is None:
            result[where] = new
        else:
            _REDUCTIONS[reduction].at(result, where, new)
        return result

    def slopes(
        dy: np.ndarray, y: np.ndarray, old: np.ndarray, places: np.ndarray, new: np.ndarray
    ) -> list[Any]:
        kept = np.array(dy)
        if reduction is None:
            kept[_at(places)] = 0
        return [kept, None, dy[_at(places)]]

    return out_of_numpy(
        f"scatter_update with reduction={reduction!r}", put, x, indices, updates, shape=x.shape,
        dtype=x.dtype.name, gradient=slopes if reduction in (None, "add") else None,
    )  # fmt: skip


def _place(op: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    x = numeric(x)
    rank = len(x.shape)
    flat, place = everything(x, axis)
    found = getattr(_core, op)(flat, axis=place, output_type="int32")
    if not keepdims:
        return found
    return reshape_to(found, [1] * rank if axis is None else [*x.shape[:place], 1, *x.shape[place + 1 :]])


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the greatest value along an axis, or among all."""
    return _place("argmax", x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the least value along an axis, or among all."""
    return _place("argmin", x, axis, keepdims)


def _nan_place(op: str, x: Any, axis: int | None, keepdims: bool, worst: float) -> Any:
    x = numeric(x)
    if not x.dtype.is_floating:
        return _place(op, x, axis, keepdims)
    missing = _core.not_equal(x, x)
    none = _core.reduce_all(missing, axis=None if axis is None else [axis], keepdims=keepdims)
    return _core.where(-1, _place(op, _core.where(worst, x, missing), axis, keepdims), none)


def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the greatest value that is not NaN; -1 where all are."""
    return _nan_place("argmax", x, axis, keepdims, -math.inf)


def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the least value that is not NaN; -1 where all are."""
    return _nan_place("argmin", x, axis, keepdims, math.inf)


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The order that sorts along an axis; None: all elements."""
    x, place = everything(numeric(x), axis)
    return ordering.argsort(x, place)


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """Sorted along an axis; gradients pass to the elements."""
    x, place = everything(tensor(x), axis)
    return ordering.sort(x, place)


def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """An order in which no element before the kth is greater and none after it is less."""
    return argsort(x, axis)


def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """The k greatest along the last axis, the greatest first, and their places."""
    return ordering.top_k(numeric(x), k, sorted)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where each value would be put into a sorted vector, int32."""
    row, wanted = alike(sorted_sequence, values)
    if len(row.shape) != 1:
        raise ValueError(
            "`searchsorted` only supports 1-D sorted sequences. Received: "
            f"sorted_sequence.shape={tuple(row.shape)}"
        )
    if side not in ("left", "right"):
        raise ValueError(f"`side` must be 'left' or 'right'. Received: side={side}")
    return out_of_numpy(
        "searchsorted",
        lambda a, b: np.searchsorted(a, b, "left" if side == "left" else "right"),
        row,
        wanted,
        shape=wanted.shape,
        dtype="int32",
    )


def digitize(x: Any, bins: Any) -> Tensor:
    """The number of the bin of each value: bins[i - 1] <= x < bins[i]."""
    return searchsorted(bins, x, side="right")


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Indices into a flattened tensor as one index for each axis."""
    count = math.prod(shape)
    rest = _wrapped(indices, count)
    if not is_symbol(rest) and ((np.asarray(rest) < 0) | (np.asarray(rest) >= count)).any():
        raise ValueError(f"`indices` must be below {count}. Received: indices={indices}, shape={shape}")
    parts = []
    for size in reversed(list(shape)):
        parts.append(_core.floor_mod(rest, int(size)))
        rest = _core.floor_divide(rest, int(size))
    return tuple(parts[::-1])


def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different values, in order; with what else is asked for in a tuple.

    Args:
        return_index: Also the place of the first of each value.
        return_inverse: Also, for each element, the place of its value.
        return_counts: Also how often each value occurs.
        axis: The different slices along it; None: the different elements.
        size: Cut or filled up to so many, with `fill_value` or the least value.
    """
    x = tensor(x)
    if is_symbol(x):
        raise ValueError(
            "`keras.ops.unique` needs values: how many there are is not known for a symbolic tensor"
        )
    array = np.asarray(x)
    found, first, inverse, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(array.shape if axis is None else -1)
    place = 0 if axis is None else axis
    if size is not None:
        missing = size - found.shape[place]
        kept = np.arange(min(size, found.shape[place]))
        found, first, counts = np.take(found, kept, place), first[kept], counts[kept]
        if missing > 0:
            widths = [(0, missing if k == place % found.ndim else 0) for k in range(found.ndim)]
            value = found.min() if fill_value is None else fill_value
            found = np.pad(found, widths, constant_values=value)
            first, counts = np.pad(first, (0, missing)), np.pad(counts, (0, missing))
    extras = [(return_index, first), (return_inverse, inverse), (return_counts, counts)]
    results = [_core.tensor(found)] + [_core.tensor(part.astype(np.int32)) for asked, part in extras if asked]
    return results[0] if len(results) == 1 else tuple(results)


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    """1 at each index along a new axis, 0 elsewhere; nothing but 0 for an index outside.

    >>> from cnnexplain import keras
    >>> keras.ops.one_hot([0, 2], 3).numpy()
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    _refuse_sparse(sparse)
    x = tensor(x)
    x = x if x.dtype.name in ("int32", "int64") else _core.cast(x, dtype="int64")
    name = config.standardize_dtype(dtype)
    direct = name in ("float32", "float64", "int32", "int64")
    made = _core.one_hot(
        x, depth=number(num_classes, "num_classes"), axis=axis, dtype=name if direct else "int32"
    )
    return cast_to(made, name)


def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """1 at each of the indices in a row, 0 elsewhere."""
    if num_classes is None:
        num_classes = kwargs.pop("num_tokens", None)
    if kwargs or num_classes is None:
        raise ValueError(
            f"Argument `num_classes` must be specified. Received: num_classes={num_classes}, {kwargs}"
        )
    x = tensor(inputs)
    hot = one_hot(x, num_classes, axis, "int32", sparse)
    return cast_to(
        _core.reduce_max(hot, axis=[1 if len(x.shape) > 1 else 0]), config.standardize_dtype(dtype)
    )


def _refuse_sparse(sparse: bool) -> None:
    if sparse:
        raise ValueError(f"`sparse` must be False: tensors are dense here. Received: sparse={sparse}")


def last_axis(x: Any, axis: Any) -> tuple[Any, list[int]]:
    """x with the given axes as one last axis, and those axes counted from the front."""
    x = real(x)
    rank = len(x.shape)
    over = list(range(rank)) if axis is None else sorted(axis_of(one, rank) for one in numbers(axis, "axis"))
    x = moveaxis(x, over, list(range(rank - len(over), rank)))
    kept = list(x.shape[: rank - len(over)])
    sizes = x.shape[rank - len(over) :]
    return reshape_to(x, [*kept, None if None in tuple(sizes) else math.prod(sizes)]), over
