"""Values of an ONNX graph and how they lie in memory.

A file says NCHW, the layers here want NHWC. Each value therefore knows which axis of the file each of its own
axes is; transposing is renaming, and only a computation that needs another order in memory moves data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnexplain._convert import is_symbol

from .sizes import BATCH, Unknown, plain, product

IMAGE = (0, 2, 3, 1)  # (n, h, w, c) of a file's (n, c, h, w)
_COMMON: dict[int, tuple[tuple[int, ...], ...]] = {
    3: ((0, 2, 1), (0, 1, 2)),
    4: (IMAGE, (0, 1, 2, 3)),
}


@dataclass(frozen=True)
class Value:
    """One value of the graph.

    Attributes:
        data: a symbol, or for a constant an array, which lies as the file says.
        axes: for each axis of `data` the axis of the file's value. The batch is always the first of `data`.
        order: None, or (sizes, permutation): the last axis of `data` is the flattened array of `sizes`
            transposed so, while the file flattens it untransposed.
        positive: no entry is below 0.
    """

    data: Any
    axes: tuple[int, ...]
    order: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    positive: bool = False

    @property
    def is_constant(self) -> bool:
        return not is_symbol(self.data)

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def shape(self) -> tuple[Any, ...]:
        """Sizes in the file's order; the batch, and what is not known, are `Unknown`."""
        if self.is_constant:
            return tuple(self.data.shape[self.axes.index(axis)] for axis in range(self.rank))
        sizes: list[Any] = [None] * self.rank
        for place, (axis, size) in enumerate(zip(self.axes, tuple(self.data.shape), strict=True)):
            unknown = BATCH if place == 0 else Unknown((self.data.id, place))
            sizes[axis] = unknown if size is None else int(size)
        return tuple(sizes)

    @property
    def array(self) -> np.ndarray:
        """A constant's values."""
        return np.asarray(self.data)

    def axis(self, number: Any) -> int:
        """An axis of the file; negative numbers count from the end."""
        return axis_of(number, self.rank)

    def place(self, axis: int) -> int:
        """Where in `data` an axis of the file is; negative axes count from the end."""
        return self.axes.index(self.axis(axis))

    def like(self, data: Any, **changes: Any) -> Value:
        """Other data that lies in the same way."""
        return replace(self, data=data, positive=False, **changes)

    def column_order(self) -> np.ndarray:
        """For each column of `data` the column of the file's value."""
        assert self.order is not None
        sizes, permutation = self.order
        return np.arange(product(sizes)).reshape(sizes).transpose(permutation).ravel()

    def arranged(self, array: np.ndarray) -> np.ndarray:
        """A constant of the file as it lies beside this value: with as many axes, in its order."""
        given: Any = np.asarray(array)
        given = given.reshape([1] * (self.rank - given.ndim) + list(given.shape))
        if self.order is not None and given.shape[-1] != 1:
            given = given[..., self.column_order()]
        return given.transpose(self.axes)


def axis_of(number: Any, rank: int) -> int:
    """The number of one of so many axes; negative numbers count from the end."""
    if not -rank <= number < rank:
        raise ValueError(f"it asks for axis {number} of {rank}")
    return int(number) % rank


def constant(array: Any) -> Value:
    """A constant."""
    array = array if hasattr(array, "shape") else np.asarray(array)
    return Value(array, tuple(range(len(array.shape))))


def _long(axes: Sequence[int], shape: Sequence[Any]) -> list[int]:
    """The axes that are not of size 1; the batch counts as long."""
    return [axis for axis in axes if not (isinstance(shape[axis], int) and shape[axis] == 1)]


def arrange(shape: Sequence[Any], order: Sequence[int]) -> tuple[int, ...]:
    """How a value with this shape lies when its long axes come in this order: the most usual way."""
    rank = len(shape)
    long = _long(order, shape)
    choices = (*_COMMON.get(rank, ()), tuple(range(rank)))
    for axes in choices:
        if _long(axes, shape) == long:
            return axes
    for axis in range(rank):  # beside the axis that the file has before it, with which it may be joined
        if axis not in long:
            long.insert(long.index(axis - 1) + 1 if axis else 0, axis)
    return tuple(long)


def same_memory(shape: Sequence[Any], one: Sequence[int], other: Sequence[int]) -> bool:
    """Is a value in two orders of axes the same sequence of numbers?"""
    return _long(one, shape) == _long(other, shape)


def target_of(shape: Sequence[Any], axes: Sequence[int]) -> tuple[int, ...]:
    """The sizes of one example as `Reshape` takes them."""
    return tuple(-1 if plain(shape[axis]) is None else int(shape[axis]) for axis in axes[1:])
