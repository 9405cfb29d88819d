"""Making tensors: constants, conversions, shapes."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, _sizes
from ._convert import TENSORS, dtype_name, filled, is_symbol, number, shape_list, tensor, values
from .dtypes import as_dtype

if TYPE_CHECKING:
    from .tensor import Tensor

newaxis = None


def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None
) -> Tensor:
    """A tensor of a number, a list, an array or a tensor.

    Python's numbers become float32 and int32, arrays keep their dtype. A tensor is returned as it is; it must
    have `dtype` when one is given.

    >>> import cnnexplain as tf
    >>> tf.convert_to_tensor([1, 2])
    <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>
    """
    given: Any = value
    if isinstance(value, TENSORS):
        if dtype is not None and value.dtype != dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype_name(dtype)} for Tensor with dtype "
                f"{value.dtype.name}: use cast"
            )
        return _core.identity(value) if isinstance(value, _core.Variable) else given
    if isinstance(value, (str, bytes)):
        raise TypeError(f"strings are not tensors here: keep them in Python lists. Received: {value!r}")
    if dtype is None:
        return _core.tensor(value)
    name_ = dtype_name(dtype)
    plain = not isinstance(value, (np.ndarray, np.generic))
    if plain and not as_dtype(dtype).is_floating and _core.tensor(value).dtype.is_floating:
        raise TypeError(f"Cannot convert {value} to a tensor of dtype {name_}: use cast")
    return _core.tensor(value, name_)


def from_dlpack(x: Any) -> Tensor:
    """A tensor of the values of an array of another library that speaks DLPack: PyTorch, JAX, CuPy.

    The values are copied once, because tensors do not change and the array's owner may write into it. Arrays
    in other memory than the CPU's must be moved first. The way out is `from_dlpack` of the other library:
    `torch.from_dlpack(tensor)` gets a copy that it may write into, `numpy.from_dlpack(tensor, copy=False)`
    the memory itself, read-only.

    Raises:
        TypeError: x does not speak DLPack.
        BufferError: it cannot be read from the CPU, or waits for gradients.

    >>> import numpy as np
    >>> import cnnexplain as tf
    >>> tf.from_dlpack(np.arange(3.0))
    <tf.Tensor: shape=(3,), dtype=float64, numpy=array([0., 1., 2.])>
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"`x` must speak DLPack; `constant` takes others. Received: {type(x).__name__}")
    return _core.tensor(np.from_dlpack(x))


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Tensor:
    """A tensor of the given values; with `shape` the values in that shape, or one number repeated.

    >>> import cnnexplain as tf
    >>> tf.constant(1.5)
    <tf.Tensor: shape=(), dtype=float32, numpy=1.5>
    >>> tf.constant(0, shape=(2, 2)).numpy()
    array([[0, 0],
           [0, 0]], dtype=int32)
    """
    made = convert_to_tensor(value, dtype)
    if shape is None:
        return made
    sizes = shape_list(shape)
    if made.shape.num_elements() == 1:
        return _core.broadcast_to(_core.reshape(made, shape=[]), shape=sizes)
    return _core.reshape(made, shape=sizes)


def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """x with another dtype. Floats lose their fraction and stop at the limits of an integer type; NaN becomes
    0.

    >>> import cnnexplain as tf
    >>> tf.cast([1.7, -3.0, 300.0], tf.uint8).numpy()
    array([  1,   0, 255], dtype=uint8)
    """
    given: Any = x
    if isinstance(x, _core.Tensor) and x.dtype == dtype:
        return given
    if getattr(x, "dtype", None) == np.float16 and isinstance(x, (np.ndarray, np.generic)):
        x = x.astype(np.float32)
    return _core.cast(x, dtype=dtype_name(dtype))


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """`cast`, which stops at the limits of the type here."""
    return cast(value, dtype)


def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Tensor:
    """`on_value` at each index along a new axis of length `depth`, `off_value` elsewhere; an index outside
    gives none.

    >>> import cnnexplain as tf
    >>> tf.one_hot([2, 0], 3).numpy()
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if dtype is None:
        given = [value for value in (on_value, off_value) if value is not None]
        dtype = tensor(given[0]).dtype if given else "float32"
    return _core.one_hot(
        tensor(indices),
        depth=number(depth, "depth"),
        on_value=1.0 if on_value is None else float(on_value),
        off_value=0.0 if off_value is None else float(off_value),
        axis=-1 if axis is None else axis,
        dtype=dtype_name(dtype),
    )


def zeros(shape: Any, dtype: Any = "float32", name: str | None = None, layout: Any = None) -> Tensor:
    """Zeros.

    >>> import cnnexplain as tf
    >>> tf.zeros((2, 3)).shape
    TensorShape([2, 3])
    """
    if _sizes.unknown(shape):
        return _sizes.zeros(shape, dtype_name(dtype))
    return filled(0, shape_list(shape), dtype)


def ones(shape: Any, dtype: Any = "float32", name: str | None = None, layout: Any = None) -> Tensor:
    """Ones."""
    if _sizes.unknown(shape):
        return _sizes.filled(1, shape, dtype_name(dtype))
    return filled(1, shape_list(shape), dtype)


def fill(dims: Any, value: Any, name: str | None = None, layout: Any = None) -> Tensor:
    """A tensor of shape `dims`, `value` everywhere.

    >>> import cnnexplain as tf
    >>> tf.fill([3], 2.5).numpy()
    array([2.5, 2.5, 2.5], dtype=float32)
    """
    if _sizes.unknown(dims):
        return _sizes.broadcast_to(value, dims, "dims")
    return _core.broadcast_to(tensor(value), shape=shape_list(dims, "dims"))


def _like(x: Any, value: int, dtype: Any) -> Any:
    x = tensor(x)
    dtype = dtype_name(x.dtype if dtype is None else dtype)
    if None not in x.shape:
        return filled(value, x.shape, dtype)
    one = _core.tensor(value, dtype)  # the shape is known when the program runs: where(x == x) has it
    return _core.where(one, one, _core.equal(x, x))


def zeros_like(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Tensor:
    """Zeros of the shape and dtype of `input`."""
    return _like(input, 0, dtype)


def ones_like(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Tensor:
    """Ones of the shape and dtype of `input`."""
    return _like(input, 1, dtype)


def eye(
    num_rows: Any,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = "float32",
    name: str | None = None,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere.

    >>> import cnnexplain as tf
    >>> tf.eye(2).numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    if batch_shape is None and (is_symbol(num_rows) or is_symbol(num_columns)):
        return _sizes.eye(num_rows, num_rows if num_columns is None else num_columns, dtype_name(dtype))
    rows = number(num_rows, "num_rows")
    columns = rows if num_columns is None else number(num_columns, "num_columns")
    square = _core.tensor(np.eye(rows, columns), dtype_name(dtype))
    return (
        square
        if batch_shape is None
        else _core.broadcast_to(square, shape=[*shape_list(batch_shape), rows, columns])
    )


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Tensor:
    """start, start + delta, ... before limit; `range(n)` counts from 0.

    >>> import cnnexplain as tf
    >>> tf.range(3)
    <tf.Tensor: shape=(3,), dtype=int32, numpy=array([0, 1, 2], dtype=int32)>
    >>> tf.range(1.0, 2.0, 0.5).numpy()
    array([1. , 1.5], dtype=float32)
    """
    if limit is None:
        start, limit = 0, start
    if is_symbol(limit) and not is_symbol(start) and (start, delta) == (0, 1):
        return _sizes.count(limit, dtype_name(dtype or "int32"))
    ends = [tensor(value) for value in (start, limit, delta)]
    if dtype is None:
        order = ["int32", "int64", "float32", "float64"]
        dtype = max(
            (end.dtype.name for end in ends), key=lambda kind: order.index(kind) if kind in order else 0
        )
        dtype = dtype if dtype in order else "int32"
    first, last, step = (
        values(end, name_).item() for end, name_ in zip(ends, ("start", "limit", "delta"), strict=True)
    )
    if step == 0:
        raise ValueError("`delta` must not be 0. Received: delta=0")
    return _core.tensor(np.arange(first, last, step), dtype_name(dtype))


def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Tensor:
    """`num` values from start to stop at equal distances, both included; along a new axis for tensors of
    values.

    >>> import cnnexplain as tf
    >>> tf.linspace(0.0, 1.0, 5).numpy()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    first, last = tensor(start), tensor(stop)
    if not first.dtype.is_floating:
        first = _core.cast(first, dtype="float64")
    if last.dtype != first.dtype:
        last = _core.cast(last, dtype=first.dtype.name)
    count = number(num, "num")
    if count < 1:
        raise ValueError(f"`num` must be positive. Received: num={num}")
    rank = len(first.shape)
    place = axis if axis >= 0 else axis + rank + 1
    weights = np.linspace(0.0, 1.0, count).reshape(
        [-1 if i == place else 1 for i in builtins.range(rank + 1)]
    )
    steps = _core.tensor(weights, first.dtype.name)
    back = _core.tensor(weights[::-1] if rank == 0 else np.flip(weights, place), first.dtype.name)
    shape = [*first.shape[:place], 1, *first.shape[place:]]
    first, last = _core.reshape(first, shape=shape), _core.reshape(last, shape=shape)
    return _core.add(_core.multiply(first, back), _core.multiply(last, steps))


def identity(input: Any, name: str | None = None) -> Tensor:
    """The same values; of a variable, its value now."""
    return _core.identity(input)


def stop_gradient(input: Any, name: str | None = None) -> Tensor:
    """The same values, through which no gradient passes.

    >>> import cnnexplain as tf
    >>> x = tf.constant(3.0)
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * tf.stop_gradient(x)
    >>> float(tape.gradient(y, x))
    3.0
    """
    return _core.stop_gradient(input)


def is_tensor(x: Any) -> bool:
    """Is it a tensor, symbolic or not, or a variable?"""
    return isinstance(x, TENSORS)


def shape(input: Any, out_type: Any = None, name: str | None = None) -> Any:
    """The sizes of a tensor as an int32 tensor; of a symbolic tensor a tuple, with a symbolic number for
    every size that is not known yet.

    >>> import cnnexplain as tf
    >>> tf.shape(tf.zeros((2, 3))).numpy()
    array([2, 3], dtype=int32)
    """
    x = tensor(input)
    if None in x.shape:
        return _sizes.sizes(x)
    return _core.tensor(np.array(x.shape, np.int64), dtype_name(out_type or "int32"))


def shape_n(input: Sequence[Any], out_type: Any = None, name: str | None = None) -> list[Any]:
    """`shape` of each."""
    return [shape(item, out_type) for item in input]


def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of dimensions, an int32 tensor."""
    return _core.tensor(len(tensor(input).shape), "int32")


def size(input: Any, out_type: Any = None, name: str | None = None) -> Tensor:
    """The number of elements, an int32 tensor."""
    x = tensor(input)
    sizes = x.shape
    if None in sizes:
        return _core.cast(math.prod(_sizes.sizes(x)), dtype=dtype_name(out_type or "int32"))
    return _core.tensor(sizes.num_elements(), dtype_name(out_type or "int32"))


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """x, after checking that it has this shape; None fits every size."""
    x = tensor(x)
    if not x.shape.is_compatible_with(shape):
        raise ValueError(f"`x` must have shape {tuple(shape)}. Received: x.shape={tuple(x.shape)}")
    return x
