"""Sizes that only the data know, such as that of a batch: symbolic numbers, and what has such a size.

`tf.shape(x)[0]` of a symbolic x is a symbolic number n. `tf.zeros((n, 3))`, `tf.tile(t, (n, 1))` and their
like know which axis of which tensor n is the length of, and take the size from there when the program runs.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _core, dtypes
from ._convert import is_symbol, number, numbers, reshape_to, shape_list, tensor

_lengths: dict[int, tuple[Any, Any]] = {}  # id of the number -> (weak reference, ones)


class Sizes(tuple):
    """The shape of a symbolic tensor as `tf.shape` gives it: integers, symbolic numbers where not known."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return Sizes(found) if isinstance(key, slice) else found

    def as_tensor(self, dtype: Any = "int32") -> Any:
        """One tensor of them all."""
        parts = (_core.cast(tensor(size), dtype=dtypes.as_dtype(dtype).name) for size in self)
        return _core.concat(*(_core.reshape(part, shape=[1]) for part in parts), axis=0)


def sizes(x: Any) -> Any:
    """The shape of a tensor, with a symbolic number for every length that is not known."""
    known = tuple(x.shape)
    return Sizes(_length(x, axis) if size is None else size for axis, size in enumerate(known))


def _length(x: Any, axis: int) -> Any:
    """The length of an axis of x as a symbolic number."""
    order = [axis, *(i for i in range(len(x.shape)) if i != axis)]
    first = _core.stop_gradient(x if axis == 0 else _core.transpose(x, perm=order))
    # Numbers of [1, 2) cut to 1: the values of x, perhaps infinite, do not enter.
    draws = _core.random_uniform(_seed(), first, shape=[-1], low=1.0, high=2.0, dtype="float32")
    ones = _core.floor(draws)
    length = _core.cast(_core.reduce_sum(ones), dtype="int32")
    key = id(length)
    _lengths[key] = (weakref.ref(length, lambda _: _lengths.pop(key, None)), ones)
    return length


def _seed() -> Any:
    return _core.tensor(np.zeros(2, np.int64))


def _is_length(size: Any) -> bool:
    entry = _lengths.get(id(size))
    return entry is not None and entry[0]() is size


def _ones(size: Any, name: str) -> Any:
    """Ones, as many as a symbolic number says."""
    if not _is_length(size):
        raise ValueError(
            f"`{name}` holds a symbolic number that is not the length of an axis: write the axis's own "
            "`tf.shape(x)[i]` there, or -1 in a reshape"
        )
    return _lengths[id(size)][1]


def unknown(shape: Any) -> bool:
    """Does a shape hold symbolic numbers?"""
    return is_symbol(shape) or (isinstance(shape, (list, tuple)) and any(is_symbol(size) for size in shape))


def _spread(size: Any, place: int, rank: int, dtype: Any, name: str) -> Any:
    """Zeros of shape (1, ..., size, ..., 1)."""
    zeros = _core.cast(_core.multiply(_ones(size, name), 0.0), dtype=dtype)
    return _core.reshape(zeros, shape=[1] * place + [-1] + [1] * (rank - place - 1))


def zeros(shape: Sequence[Any], dtype: Any = "float32", name: str = "shape") -> Any:
    """Zeros of a shape that holds symbolic numbers."""
    known = shape_list([1 if is_symbol(size) else size for size in shape], name)
    kind = "float32" if dtype == "bool" else dtype
    total = tensor(np.zeros(known, kind))
    for place, size in enumerate(shape):
        if is_symbol(size):
            total = _core.add(total, _spread(size, place, len(known), kind, name))
    return total if kind == dtype else _core.cast(total, dtype=dtype)


def filled(value: Any, shape: Sequence[Any], dtype: Any, name: str = "shape") -> Any:
    """One value everywhere in a shape that holds symbolic numbers."""
    return broadcast_to(tensor(value, dtype), shape, name)


def broadcast_to(x: Any, shape: Sequence[Any], name: str = "shape") -> Any:
    """x repeated to a shape that holds symbolic numbers."""
    x = tensor(x)
    if x.dtype.name == "bool":
        return _core.cast(broadcast_to(_core.cast(x, dtype="float32"), shape, name), dtype="bool")
    return _core.add(x, zeros(shape, x.dtype.name, name))


def repeat(x: Any, size: Any, axis: int, inner: bool, name: str = "repeats") -> Any:
    """x with an axis repeated a symbolic number of times: each element (`inner`), or the whole in turn."""
    x = tensor(x)
    shape = list(x.shape)
    if shape[axis] == 1:
        return _core.add(x, _spread(size, axis, len(shape), x.dtype.name, name))
    place = axis + 1 if inner else axis
    many = reshape_to(x, [*shape[:place], 1, *shape[place:]])
    many = _core.add(many, _spread(size, place, len(shape) + 1, x.dtype.name, name))
    return _core.reshape(many, shape=[-2] * axis + [-1] + list(shape[axis + 1 :]))


def tile(x: Any, multiples: Any, name: str = "multiples") -> Any:
    """x as a whole repeated along each axis, some a symbolic number of times."""
    x = tensor(x)
    for axis, times in enumerate(multiples):
        if is_symbol(times):
            x = repeat(x, times, axis, False, name)
    return _core.tile(x, multiples=numbers([1 if is_symbol(n) else n for n in multiples], name))


def count(size: Any, dtype: Any = "int32") -> Any:
    """0, 1, 2 and on, as many as a symbolic number says."""
    ones = _core.cast(_ones(size, "limit"), dtype=dtype)
    return _core.subtract(_core.cumsum(ones, axis=0), tensor(1, dtype))


def split_rows(x: Any, first: Any, second: Any) -> Any:
    """x of shape (first * second, ...) as (first, second, ...), both symbolic."""
    ones = _core.add(zeros((first, second), "int32"), tensor(1, "int32"))
    row, column = (_core.subtract(_core.cumsum(ones, axis=axis), tensor(1, "int32")) for axis in (0, 1))
    return _core.gather(x, _core.add(_core.multiply(row, second), column), axis=0)


def eye(rows: Any, columns: Any, dtype: Any) -> Any:
    """Ones on the diagonal; the number of rows or columns or both are symbolic."""
    down, right = (
        count(n) if is_symbol(n) else tensor(np.arange(number(n, "num_rows"), dtype=np.int32))
        for n in (rows, columns)
    )
    return _core.cast(_core.equal(_core.reshape(down, shape=[-1, 1]), right), dtype=dtype)


def drawn(op: Any, seed: Any, shape: Any, **attributes: Any) -> Any:
    """A random tensor whose shape may hold symbolic numbers."""
    if not unknown(shape):
        return op(seed, shape=shape_list(shape), **attributes)
    places = [-1 if is_symbol(size) else number(size, "shape") for size in shape]
    return op(seed, zeros(shape), shape=places, **attributes)


def to_reshape(shape: Any) -> list:
    """The shape for a reshape: None or -2 for the length of an axis, which stays, -1 for a computed one."""
    sizes = [-1 if is_symbol(size) and not _is_length(size) else size for size in shape]
    stays = -2 if any(not is_symbol(size) and size == -1 for size in sizes) else None
    return [stays if is_symbol(size) else size for size in sizes]
