"""Other shapes of the same elements: reshaping, joining, splitting, repeating, turning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core, _sizes, arrays
from cnnexplain._convert import numbers

from .. import config
from ._base import (
    alike,
    axes,
    axis_of,
    constant_like,
    cut,
    is_symbol,
    join,
    number,
    out_of_numpy,
    reshape_to,
    tensor,
)

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "append", "array_split", "broadcast_to", "concatenate", "diag", "diagflat", "diagonal", "dsplit",
    "dstack", "expand_dims", "flip", "fliplr", "flipud", "hsplit", "hstack", "moveaxis", "ndim", "pad",
    "ravel", "repeat", "reshape", "roll", "rot90", "size", "split", "squeeze", "stack", "swapaxes", "tile",
    "transpose", "tril", "triu", "unstack", "view", "vsplit", "vstack",
]  # fmt: skip


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(tensor(x).shape)


def size(x: Any) -> Any:
    """The number of elements; None where it is not known."""
    shape = tuple(tensor(x).shape)
    return None if None in shape else math.prod(shape)


def reshape(x: Any, newshape: Any) -> Tensor:
    """The same elements in another shape; -1 stands for what is left over, None for an axis that stays."""
    x = tensor(x)
    several = isinstance(newshape, (list, tuple)) and not hasattr(newshape, "numpy")
    if not several:
        return _core.reshape(x, shape=numbers(newshape, "newshape"))
    newshape = _sizes.to_reshape(newshape)
    sizes = [None if n is None else number(n, "newshape") for n in newshape]
    if -1 in sizes:
        return _core.reshape(x, shape=[-2 if n is None else n for n in sizes])
    return reshape_to(x, sizes)


def ravel(x: Any) -> Tensor:
    """All elements in one axis."""
    return _core.reshape(tensor(x), shape=[-1])


def expand_dims(x: Any, axis: Any) -> Tensor:
    """With axes of length 1 added."""
    x = tensor(x)
    many = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    rank = len(x.shape) + len(many)
    for place in sorted(axis_of(one, rank) for one in many):
        x = arrays.expand_dims(x, place)
    return x


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Without the axes of length 1, or without those given."""
    x = tensor(x)
    for place in axes(axis) or []:
        if x.shape[place] != 1:
            raise ValueError(
                f"Cannot squeeze axis={place}, because the dimension is not 1. "
                f"Received: x.shape={tuple(x.shape)}"
            )
    return arrays.squeeze(x, axis)


def transpose(x: Any, axes: Any = None) -> Tensor:
    """The axes in another order; None: in reverse."""
    return _core.transpose(tensor(x), perm=None if axes is None else [int(axis) for axis in axes])


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = tensor(x)
    order = list(range(len(x.shape)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return _core.transpose(x, perm=order)


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the others in their order."""
    x = tensor(x)
    rank = len(x.shape)
    here = [axis_of(axis, rank, "source") for axis in numbers(source, "source")]
    there = [axis_of(axis, rank, "destination") for axis in numbers(destination, "destination")]
    order = [axis for axis in range(rank) if axis not in here]
    for place, axis in sorted(zip(there, here, strict=True)):
        order.insert(place, axis)
    return x if order == list(range(rank)) else _core.transpose(x, perm=order)


def broadcast_to(x: Any, shape: Any) -> Tensor:
    """Repeated along axes of length 1, and along new ones in front."""
    if _sizes.unknown(shape):
        return _sizes.broadcast_to(tensor(x), shape)
    return _core.broadcast_to(tensor(x), shape=[number(n, "shape") for n in shape])


def concatenate(xs: Any, axis: int | None = 0) -> Tensor:
    """One after the other along an axis; None: all elements of all."""
    parts = alike(*xs)
    if axis is None:
        return join([ravel(part) for part in parts], 0)
    return join(parts, axis)


def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """x2 after x1 along an axis; None: all elements of both."""
    return concatenate([x1, x2], axis)


def stack(x: Any, axis: int = 0) -> Tensor:
    """Joined along a new axis."""
    return join([expand_dims(part, axis) for part in alike(*x)], axis)


def _at_least(x: Any, rank: int) -> Any:
    have = len(x.shape)
    if have >= rank:
        return x
    lead = [1] if rank > have and have else [1] * (1 - have)
    shape = [*lead, *x.shape] if have < 2 else list(x.shape)
    return reshape_to(x, shape + [1] * (rank - len(shape)))


def vstack(xs: Any) -> Tensor:
    """Joined along the first axis; vectors are rows."""
    parts = alike(*xs)
    return join([_at_least(x, 2) if len(x.shape) else reshape_to(x, [1, 1]) for x in parts], 0)


def hstack(xs: Any) -> Tensor:
    """Joined along the second axis; vectors along their only one."""
    parts = [x if len(x.shape) else reshape_to(x, [1]) for x in alike(*xs)]
    return join(parts, 0 if len(parts[0].shape) == 1 else 1)


def dstack(xs: Any) -> Tensor:
    """Joined along the third axis; vectors are rows, matrices get one."""
    return join([_at_least(x, 3) if len(x.shape) else reshape_to(x, [1, 1, 1]) for x in alike(*xs)], 2)


def _pieces(x: Any, place: int, ends: Sequence[int]) -> list[Any]:
    bounds = [0, *ends]
    last = x.shape[place]
    if last is None:
        raise ValueError(
            f"The length of the axis must be known. Received: x.shape={tuple(x.shape)}, axis={place}"
        )
    bounds = [max(0, min(last, n + last if n < 0 else n)) for n in bounds] + [last]
    return [
        cut(x, place, start, max(stop - start, 0))
        for start, stop in zip(bounds[:-1], bounds[1:], strict=True)
    ]


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """In so many equal parts, or cut before the given places.

    >>> from cnnexplain import keras
    >>> [part.numpy().tolist() for part in keras.ops.split([1, 2, 3, 4], [1, 3])]
    [[1], [2, 3], [4]]
    """
    x = tensor(x)
    place = axis_of(axis, len(x.shape))
    if isinstance(indices_or_sections, (list, tuple, np.ndarray)) or np.ndim(indices_or_sections):
        return _pieces(x, place, numbers(indices_or_sections, "indices_or_sections"))
    return arrays.split(x, number(indices_or_sections, "indices_or_sections"), place)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """In so many parts whose lengths differ by at most 1, or cut before the given places."""
    x = tensor(x)
    place = axis_of(axis, len(x.shape))
    if isinstance(indices_or_sections, (list, tuple)) or x.shape[place] is None:
        return split(x, indices_or_sections, axis)
    count = number(indices_or_sections, "indices_or_sections")
    if count < 1:
        raise ValueError(f"`indices_or_sections` must be positive. Received: indices_or_sections={count}")
    each, more = divmod(x.shape[place], count)
    return _pieces(x, place, np.cumsum([each + (k < more) for k in range(count)])[:-1].tolist())


def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Split along the first axis."""
    return split(x, indices_or_sections, 0)


def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Split along the second axis, vectors along their only one."""
    return split(x, indices_or_sections, 0 if ndim(x) == 1 else 1)


def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Split along the third axis."""
    return split(x, indices_or_sections, 2)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The slices along an axis."""
    return arrays.unstack(tensor(x), num, axis)


def flip(x: Any, axis: Any = None) -> Tensor:
    """In reverse order along axes; None: along all."""
    x = tensor(x)
    return _core.reverse(x, axis=list(range(len(x.shape))) if axis is None else numbers(axis, "axis"))


def flipud(x: Any) -> Tensor:
    """In reverse order along the first axis."""
    return flip(x, 0)


def fliplr(x: Any) -> Tensor:
    """In reverse order along the second axis."""
    return flip(x, 1)


def rot90(array: Any, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees from the first of the axes towards the second."""
    x = tensor(array)
    if len(x.shape) < 2:
        raise ValueError(f"`array` must have at least 2 dimensions. Received: array.shape={tuple(x.shape)}")
    first, second = (axis_of(axis, len(x.shape), "axes") for axis in axes)
    if first == second:
        raise ValueError(f"`axes` must be two different axes. Received: axes={axes}")
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (first, second))
    if k == 1:
        return swapaxes(flip(x, second), first, second)
    return flip(swapaxes(x, first, second), second)


def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """Moved along an axis, the end coming in at the start; None: through all elements."""
    x = tensor(x)
    if axis is None:
        return reshape_to(arrays.roll(ravel(x), shift, 0), list(x.shape))
    steps, places = numbers(shift, "shift"), numbers(axis, "axis")
    return arrays.roll(x, steps * len(places) if len(steps) == 1 else steps, places)


def tile(x: Any, repeats: Any) -> Tensor:
    """Repeated as a whole along each axis."""
    x = tensor(x)
    if _sizes.unknown(repeats):
        return _sizes.tile(x, repeats, "repeats")
    counts = numbers(repeats, "repeats")
    rank = max(len(counts), len(x.shape))
    x = reshape_to(x, [1] * (rank - len(x.shape)) + list(x.shape)) if rank > len(x.shape) else x
    return _core.tile(x, multiples=[1] * (rank - len(counts)) + counts)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element repeated; None: those of the flattened tensor."""
    return arrays.repeat(tensor(x), repeats, axis)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """With elements added before and after along each axis.

    Args:
        pad_width: A number, a pair for all axes, or a pair for each axis.
        mode: "constant", "reflect", "symmetric".
        constant_values: With "constant", what is added; default 0.
    """
    x = tensor(x)
    if mode not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"`mode` must be one of: constant, reflect, symmetric. Received: mode={mode}")
    if constant_values is not None and mode != "constant":
        raise ValueError(
            "Argument `constant_values` can only be provided when `mode == 'constant'`. Received: "
            f"mode={mode}, constant_values={constant_values}"
        )
    widths = np.broadcast_to(np.asarray(pad_width), (len(x.shape), 2)).tolist()
    value = 0.0 if constant_values is None else float(constant_values)
    before, after = [pair[0] for pair in widths], [pair[1] for pair in widths]
    return _core.pad(x, before=before, after=after, mode=mode, value=value)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonals of the matrices that two axes form, as the last axis."""
    x = tensor(x)
    if len(x.shape) < 2:
        raise ValueError(f"`x` must have at least 2 dimensions. Received: x.shape={tuple(x.shape)}")
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    if rows is None or columns is None:
        raise ValueError(f"The matrices must have a known size. Received: x.shape={tuple(x.shape)}")
    first = -offset if offset < 0 else 0
    count = max(0, min(rows - first, columns - max(offset, 0)))
    places = (np.arange(count) + first) * columns + np.arange(count) + max(offset, 0)
    flat = reshape_to(x, [*x.shape[:-2], rows * columns])
    return _core.gather(flat, _core.tensor(places), axis=len(flat.shape) - 1)


def diag(x: Any, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix; of a vector, the matrix that has it there."""
    x = tensor(x)
    if len(x.shape) == 2:
        return diagonal(x, k)
    if len(x.shape) != 1:
        raise ValueError(f"`x` must be 1-d or 2-d. Received: x.shape={tuple(x.shape)}")
    count = x.shape[0]
    if count is None:
        raise ValueError(f"The length of `x` must be known. Received: x.shape={tuple(x.shape)}")
    total = count + abs(k)
    row = cut_or_pad(x, max(k, 0), total)
    mask = _core.tensor(np.eye(total, k=k, dtype=bool))
    return _core.where(row, _core.tensor(np.zeros((), x.dtype.as_numpy_dtype)), mask)


def cut_or_pad(x: Any, before: int, total: int) -> Tensor:
    """A vector with zeros around it."""
    return _core.pad(x, before=[before], after=[total - before - x.shape[0]])


def diagflat(x: Any, k: int = 0) -> Tensor:
    """All elements on the k-th diagonal of a matrix."""
    return diag(ravel(x), k)


def _triangle(x: Any, k: int, lower: bool) -> Any:
    x = tensor(x)
    if len(x.shape) < 2:
        raise ValueError(f"`x` must have at least 2 dimensions. Received: x.shape={tuple(x.shape)}")
    rank = len(x.shape)
    one = constant_like(x, 1, "int32")
    ahead = _core.subtract(_core.cumsum(one, axis=rank - 1), _core.cumsum(one, axis=rank - 2))
    keep = _core.less_equal(ahead, int(k)) if lower else _core.greater_equal(ahead, int(k))
    return _core.where(x, _core.tensor(np.zeros((), x.dtype.as_numpy_dtype)), keep)


def tril(x: Any, k: int = 0) -> Tensor:
    """Zeros above the k-th diagonal."""
    return _triangle(x, k, True)


def triu(x: Any, k: int = 0) -> Tensor:
    """Zeros below the k-th diagonal."""
    return _triangle(x, k, False)


def view(x: Any, dtype: Any = None) -> Tensor:
    """The same bytes as another dtype; the last axis grows or shrinks with the size of an element."""
    x = tensor(x)
    name = x.dtype.name if dtype is None else config.standardize_dtype(dtype)
    if is_symbol(x) and np.dtype(name).itemsize != x.dtype.size:
        raise ValueError(f"`dtype` must have elements of the size of {x.dtype.name}. Received: dtype={name}")
    if name == x.dtype.name:
        return x
    return out_of_numpy("view", lambda array: array.view(name), x, shape=x.shape, dtype=name)
