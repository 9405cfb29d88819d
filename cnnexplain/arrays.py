"""Moving elements: shapes, joining and splitting, gathering, sorting."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, _sizes
from ._convert import (
    axes,
    axis_of,
    cut,
    dtype_name,
    is_symbol,
    number,
    numbers,
    reshape_to,
    shape_list,
    tensor,
    values,
)
from .dtypes import TensorShape

if TYPE_CHECKING:
    from .tensor import Tensor

MOST = 8  # inputs of one concatenation


def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """Without the axes of length 1, or without those given.

    >>> import cnnexplain as tf
    >>> tf.squeeze(tf.zeros((1, 2, 1))).shape
    TensorShape([2])
    """
    x = tensor(input)
    sizes = list(x.shape)
    if axis is None:
        gone = {place for place, length in enumerate(sizes) if length == 1}
    else:
        gone = {axis_of(place, len(sizes)) for place in numbers(axis, "axis")}
        for place in gone:
            if sizes[place] not in (1, None):
                raise ValueError(
                    f"`axis` must name axes of length 1. Received: axis={axis}, input.shape={tuple(sizes)}"
                )
    return reshape_to(x, [length for place, length in enumerate(sizes) if place not in gone])


def expand_dims(input: Any, axis: Any, name: str | None = None) -> Tensor:
    """With an axis of length 1 added.

    >>> import cnnexplain as tf
    >>> tf.expand_dims([1, 2], 0).shape
    TensorShape([1, 2])
    """
    x = tensor(input)
    sizes = list(x.shape)
    place = axis_of(axis, len(sizes) + 1)
    return reshape_to(x, [*sizes[:place], 1, *sizes[place:]])


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same elements in another shape; -1 stands for what is left over.

    >>> import cnnexplain as tf
    >>> tf.reshape([1, 2, 3, 4], (2, -1)).numpy()
    array([[1, 2],
           [3, 4]], dtype=int32)
    """
    if _sizes.unknown(shape):
        shape = _sizes.to_reshape(shape)
    if isinstance(shape, (list, tuple)) and None in list(shape):
        return reshape_to(
            _tensor(tensor), [None if length is None else number(length, "shape") for length in shape]
        )
    return _core.reshape(tensor, shape=numbers(shape, "shape"))


_tensor = tensor


def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str = "transpose") -> Tensor:
    """With its axes in the order `perm`; None: in reverse.

    >>> import cnnexplain as tf
    >>> tf.transpose(tf.zeros((2, 3, 4)), (0, 2, 1)).shape
    TensorShape([2, 4, 3])
    """
    return _core.transpose(a, perm=axes(perm, "perm"))


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """Repeated along axes of length 1, and along new ones in front.

    >>> import cnnexplain as tf
    >>> tf.broadcast_to([1, 2], (2, 2)).numpy()
    array([[1, 2],
           [1, 2]], dtype=int32)
    """
    if _sizes.unknown(shape):
        return _sizes.broadcast_to(input, shape)
    return _core.broadcast_to(input, shape=shape_list(shape))


def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """The shape that two shapes broadcast to."""
    return TensorShape(np.broadcast_shapes(tuple(shape_x), tuple(shape_y)))


def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Joined along an axis.

    >>> import cnnexplain as tf
    >>> tf.concat([[1, 2], [3]], axis=0).numpy()
    array([1, 2, 3], dtype=int32)
    """
    parts = list(values) if isinstance(values, (list, tuple)) else [values]
    if not parts:
        raise ValueError("`values` must hold at least one tensor. Received: values=[]")
    place = number(axis, "axis")
    like = next((part.dtype.name for part in parts if isinstance(part, (_core.Tensor, _core.Variable))), None)
    parts = [tensor(part) if like is None else tensor(part, like) for part in parts]
    while len(parts) > 1:
        parts = [
            _core.concat(*parts[i : i + MOST], axis=place) if i + 1 < len(parts) else parts[i]
            for i in builtins.range(0, len(parts), MOST)
        ]
    return parts[0]


def stack(values: Any, axis: int = 0, name: str = "stack") -> Tensor:
    """Joined along a new axis.

    >>> import cnnexplain as tf
    >>> tf.stack([[1, 2], [3, 4]], axis=1).numpy()
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    if isinstance(values, (_core.Tensor, np.ndarray)):
        values = unstack(values)
    parts = list(values)
    if not parts:
        raise ValueError("`values` must hold at least one tensor. Received: values=[]")
    like = next((part.dtype.name for part in parts if isinstance(part, (_core.Tensor, _core.Variable))), None)
    parts = [tensor(part) if like is None else tensor(part, like) for part in parts]
    if any(part.shape != parts[0].shape for part in parts if not is_symbol(part)):
        shapes = [tuple(part.shape) for part in parts]
        raise ValueError(f"`values` must hold tensors of one shape. Received: shapes {shapes}")
    return concat([expand_dims(part, axis) for part in parts], axis)


def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> list[Any]:
    """The slices along an axis.

    >>> import cnnexplain as tf
    >>> [int(x) for x in tf.unstack([5, 6])]
    [5, 6]
    """
    if isinstance(value, _sizes.Sizes):
        return list(value)
    x = tensor(value)
    place = axis_of(axis, len(x.shape))
    count = x.shape[place] if x.shape[place] is not None else num
    if count is None:
        raise ValueError(
            f"`num` is needed where the length is not known. Received: value.shape={tuple(x.shape)}"
        )
    if num is not None and num != count:
        raise ValueError(f"`num` must be the length of the axis, {count}. Received: num={num}")
    return [squeeze(cut(x, place, i, 1), place) for i in builtins.range(count)]


def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None, name: str = "split"
) -> list[Any]:
    """In so many equal parts, or in parts of the given lengths (one may be -1, the rest).

    >>> import cnnexplain as tf
    >>> [x.numpy().tolist() for x in tf.split([1, 2, 3, 4], 2)]
    [[1, 2], [3, 4]]
    """
    x = tensor(value)
    place = axis_of(axis, len(x.shape))
    length = x.shape[place]
    several = isinstance(num_or_size_splits, (list, tuple, np.ndarray)) or (
        isinstance(num_or_size_splits, _core.Tensor) and len(num_or_size_splits.shape) == 1
    )
    if not several:
        count = number(num_or_size_splits, "num_or_size_splits")
        if count < 1 or length is None or length % count:
            raise ValueError(
                "`num_or_size_splits` must divide the length of the axis. Received: "
                f"num_or_size_splits={count}, value.shape={tuple(x.shape)}, axis={place}"
            )
        sizes = [length // count] * count
    else:
        sizes = numbers(num_or_size_splits, "num_or_size_splits")
        if sizes.count(-1) == 1 and length is not None:
            sizes[sizes.index(-1)] = length - sum(sizes) - 1
        if min(sizes, default=0) < 0 or (length is not None and sum(sizes) != length):
            raise ValueError(
                "`num_or_size_splits` must add up to the length of the axis. Received: "
                f"num_or_size_splits={num_or_size_splits}, value.shape={tuple(x.shape)}, axis={place}"
            )
    ends = np.cumsum(sizes)
    return [cut(x, place, int(end) - length, length) for end, length in zip(ends, sizes, strict=True)]


def tile(input: Any, multiples: Any, name: str | None = None) -> Tensor:
    """Repeated as a whole, `multiples` times along each axis.

    >>> import cnnexplain as tf
    >>> tf.tile([1, 2], [2]).numpy()
    array([1, 2, 1, 2], dtype=int32)
    """
    if _sizes.unknown(multiples):
        return _sizes.tile(input, multiples)
    return _core.tile(input, multiples=numbers(multiples, "multiples"))


def repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """Each element `repeats` times; without `axis` of the flattened tensor.

    >>> import cnnexplain as tf
    >>> tf.repeat([1, 2], repeats=[1, 2]).numpy()
    array([1, 2, 2], dtype=int32)
    """
    x = tensor(input)
    if axis is None:
        x, axis = _core.reshape(x, shape=[-1]), 0
    place = axis_of(axis, len(x.shape))
    if is_symbol(repeats):
        return _sizes.repeat(x, repeats, place, True)
    counts = numbers(repeats, "repeats")
    if len(counts) == 1 and counts[0] >= 0:
        sizes = list(x.shape)
        multiples = [1] * (len(sizes) + 1)
        multiples[place + 1] = counts[0]
        many = _core.tile(expand_dims(x, place + 1), multiples=multiples)
        length = sizes[place] if sizes[place] is None else sizes[place] * counts[0]
        return reshape_to(many, [*sizes[:place], length, *sizes[place + 1 :]])
    if len(counts) != x.shape[place] or min(counts) < 0:
        raise ValueError(
            f"`repeats` must be one number or one for each of the {x.shape[place]} elements, none negative. "
            f"Received: repeats={repeats}"
        )
    return _core.gather(x, np.repeat(np.arange(len(counts)), counts), axis=place)


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: str | None = None
) -> Tensor:
    """With elements added before and after along each axis: `paddings` has a pair for each.

    >>> import cnnexplain as tf
    >>> tf.pad([1, 2, 3], [[1, 1]], "REFLECT").numpy()
    array([2, 1, 2, 3, 2], dtype=int32)
    """
    pairs = np.asarray(values(paddings, "paddings"))
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(
            f"`paddings` must hold a pair of integers for each axis. Received: paddings={paddings}"
        )
    before, after = ([int(i) for i in side] for side in pairs.T)
    fill = values(constant_values, "constant_values").item()
    return _core.pad(tensor, before=before, after=after, mode=mode.lower(), value=float(fill))


def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Tensor:
    """The slices of `params` at `indices` along an axis.

    Raises:
        ValueError: an index outside; the message has its position and value.

    >>> import cnnexplain as tf
    >>> tf.gather([10.0, 20.0, 30.0], [2, 0]).numpy()
    array([30., 10.], dtype=float32)
    """
    batch = number(batch_dims, "batch_dims")
    if batch < 0:
        batch += len(tensor(indices).shape)
    return _core.gather(
        params, indices, axis=batch if axis is None else number(axis, "axis"), batch_dims=batch
    )


def gather_nd(
    params: Any, indices: Any, batch_dims: int = 0, name: str | None = None, bad_indices_policy: str = ""
) -> Tensor:
    """The elements or slices of `params` at the places that the last axis of `indices` holds.

    >>> import cnnexplain as tf
    >>> tf.gather_nd([[1, 2], [3, 4]], [[0, 1], [1, 0]]).numpy()
    array([2, 3], dtype=int32)
    """
    batch = number(batch_dims, "batch_dims")
    if not batch:
        return _core.gather_nd(params, indices)
    places = tensor(indices)
    grid = np.indices(places.shape[:-1])[:batch]
    front = [_core.tensor(np.ascontiguousarray(axis[..., None]), places.dtype.name) for axis in grid]
    return _core.gather_nd(params, concat([*front, places], axis=-1))


def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """In reverse order along the given axes.

    >>> import cnnexplain as tf
    >>> tf.reverse([1, 2, 3], axis=[0]).numpy()
    array([3, 2, 1], dtype=int32)
    """
    return _core.reverse(tensor, axis=numbers(axis, "axis"))


def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """Moved along an axis; what leaves at the end comes in at the start.

    >>> import cnnexplain as tf
    >>> tf.roll([1, 2, 3], shift=1, axis=0).numpy()
    array([3, 1, 2], dtype=int32)
    """
    x = tensor(input)
    for step, place in zip(numbers(shift, "shift"), numbers(axis, "axis"), strict=True):
        place = axis_of(place, len(x.shape))
        length = x.shape[place]
        if length is None:
            raise ValueError(
                f"`axis` must have a known length. Received: axis={place}, input.shape={tuple(x.shape)}"
            )
        if length and step % length:
            step %= length
            x = _core.concat(cut(x, place, length - step, step), cut(x, place, 0, length - step), axis=place)
    return x


def slice(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """The block that starts at `begin` and has these sizes; -1: to the end."""
    return _core.slice(input_, begin=numbers(begin, "begin"), size=numbers(size, "size"))


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """input_[begin:end:strides] along each axis; write it as an index where you can.

    The i-th bit of a mask says of the i-th axis: it starts at its first element (begin), ends after its last
    (end), is `...`, is a new one, or is gone because only `begin` is taken (shrink).
    """
    if var is not None:
        raise ValueError("`var` is not supported: assign to the variable as a whole")
    starts, ends = numbers(begin, "begin"), numbers(end, "end")
    steps = [1] * len(starts) if strides is None else numbers(strides, "strides")

    def item(i: int) -> Any:
        bit = 1 << i
        if ellipsis_mask & bit:
            return ...
        if new_axis_mask & bit:
            return None
        if shrink_axis_mask & bit:
            return starts[i]
        first, last = (None if begin_mask & bit else starts[i]), (None if end_mask & bit else ends[i])
        return builtins.slice(first, last, steps[i])

    return tensor(input_)[tuple(item(i) for i in builtins.range(len(starts)))]


def boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: str = "boolean_mask") -> Tensor:
    """The elements where the mask holds. The mask must have values; gradients pass to the elements.

    >>> import cnnexplain as tf
    >>> tf.boolean_mask([1, 2, 3], [True, False, True]).numpy()
    array([1, 3], dtype=int32)
    """
    x = _tensor(tensor)
    chosen = values(mask, "mask")
    first = 0 if axis is None else axis_of(axis, len(x.shape))
    covered = x.shape[first : first + chosen.ndim]
    if chosen.dtype != bool or not chosen.ndim or not TensorShape(covered).is_compatible_with(chosen.shape):
        raise ValueError(
            "`mask` must be an array of booleans with the shape of the axes that it covers. Received: "
            f"mask.shape={chosen.shape}, mask.dtype={chosen.dtype}, tensor.shape={tuple(x.shape)}"
        )
    flat = reshape_to(x, [*x.shape[:first], chosen.size, *x.shape[first + chosen.ndim :]])
    return _core.gather(flat, np.flatnonzero(chosen), axis=first)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """x where the condition holds, y elsewhere; without them the places where it holds, int64 (count, rank).

    >>> import cnnexplain as tf
    >>> tf.where([True, False], [1, 2], [3, 4]).numpy(), tf.where([False, True]).numpy()
    (array([1, 4], dtype=int32), array([[1]]))
    """
    if (x is None) != (y is None):
        raise ValueError("`x` and `y` must both be given, or neither")
    if x is None:
        return _core.tensor(np.argwhere(values(condition, "condition")).astype(np.int64))
    condition = tensor(condition)
    return _core.where(x, y, condition if condition.dtype == "bool" else _core.cast(condition, dtype="bool"))


def meshgrid(*args: Any, **kwargs: Any) -> list[Any]:
    """The coordinates of a grid, one tensor for each axis; `indexing` is "xy" or "ij"."""
    return [
        _core.tensor(grid) for grid in np.meshgrid(*[values(tensor(arg), "args") for arg in args], **kwargs)
    ]


def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = "bool", name: str | None = None) -> Tensor:
    """True at the first `lengths` places of each row.

    >>> import cnnexplain as tf
    >>> tf.sequence_mask([1, 2], 3, "int32").numpy()
    array([[1, 0, 0],
           [1, 1, 0]], dtype=int32)
    """
    array = values(tensor(lengths), "lengths")
    longest = int(array.max()) if maxlen is None else number(maxlen, "maxlen")
    return _core.tensor(np.arange(longest) < array[..., None], dtype_name(dtype))


def unravel_index(indices: Any, dims: Any, name: str | None = None) -> Tensor:
    """The places, one column each, of flat indices into a shape.

    >>> import cnnexplain as tf
    >>> tf.unravel_index([5], (2, 3)).numpy()
    array([[1],
           [2]], dtype=int32)
    """
    flat = tensor(indices)
    found = np.unravel_index(values(flat, "indices"), numbers(dims, "dims"))
    return _core.tensor(np.stack(found), flat.dtype.name)
