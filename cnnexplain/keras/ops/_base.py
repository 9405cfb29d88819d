"""What the families of `keras.ops` share: tensors of one dtype, axes, functions that NumPy computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import axes, axis_of, cut, is_symbol, number, reshape_to

from ..convert import TENSORS, alike, cast_to, join
from ..convert import as_real as real
from ..convert import as_tensor as tensor

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "TENSORS", "alike", "axes", "axis_of", "binary", "cast_to", "constant_like", "cut", "everything", "host",
    "is_symbol", "join", "named", "number", "numeric", "out_of_numpy", "real", "reshape_to", "spread",
    "take_along_last", "tensor", "unary",
]  # fmt: skip


def numeric(x: Any) -> Any:
    """x as a tensor of numbers: booleans become int32."""
    x = tensor(x)
    return _core.cast(x, dtype="int32") if x.dtype.is_bool else x


def named(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    """The function with a name and a docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def unary(name: str, text: str, kind: Callable = real, op: str | None = None) -> Callable[..., Tensor]:
    """A function of one tensor that is one operation of the core."""

    def apply(x: Any) -> Any:
        return getattr(_core, op or name)(kind(x))

    return named(apply, name, text)


def binary(
    name: str, text: str, op: str | None = None, kind: Callable | None = None
) -> Callable[..., Tensor]:
    """A function of two tensors that is one operation of the core."""

    def apply(x1: Any, x2: Any) -> Any:
        a, b = alike(x1, x2)
        return getattr(_core, op or name)(*((a, b) if kind is None else (kind(a), kind(b))))

    return named(apply, name, text)


def everything(x: Any, axis: Any) -> tuple[Any, int]:
    """x and its axis counted from the front; None: all values in one axis."""
    if axis is None:
        return _core.reshape(x, shape=[-1]), 0
    return x, axis_of(axis, len(x.shape))


def constant_like(x: Any, value: Any, dtype: str) -> Any:
    """One value in the shape of x, also where that is not known yet."""
    if None not in tuple(x.shape):
        return _core.broadcast_to(_core.tensor(np.asarray(value, dtype)), shape=list(x.shape))
    value = _core.tensor(np.asarray(value, dtype))
    return _core.where(value, value, _core.equal(x, x))


def spread(*shapes: Sequence[int | None]) -> list[int | None]:
    """The shape that several broadcast to; None where it is not known."""
    rank = max(map(len, shapes), default=0)
    result: list[int | None] = []
    padded: list[list[Any]] = [[*[1] * (rank - len(shape)), *shape] for shape in shapes]
    for sizes in zip(*padded, strict=True):
        known = {size for size in sizes if size not in (1, None)}
        if len(known) > 1:
            raise ValueError(f"Shapes cannot be broadcast together. Received: {[tuple(s) for s in shapes]}")
        result.append(known.pop() if known else None if None in sizes else 1)
    return result


def take_along_last(x: Any, indices: Any) -> Any:
    """x[..., indices], each row with its own indices."""
    return _core.gather(x, indices, axis=len(x.shape) - 1, batch_dims=len(x.shape) - 1)


def out_of_numpy(
    name: str, function: Callable, *inputs: Any, shape: Any = None, dtype: str, gradient: Any = None
) -> Any:
    """What NumPy makes of the values, also inside a model.

    Args:
        function: Of arrays; its result is brought to `dtype`.
        shape: Of the result, needed for symbols only; None for axes not known.
        gradient: (dy, y, *arrays) -> the gradients of the inputs. None: asking for one raises an error.
    """

    def compute(*given: Any) -> Any:
        arrays = [np.asarray(x) for x in given]
        try:
            y = np.asarray(function(*arrays), dtype)
        except np.linalg.LinAlgError as error:
            raise ValueError(f"`keras.ops.{name}`: {error}") from None

        def slope(dy: Any) -> list[Any]:
            if gradient is None:
                raise ValueError(f"`keras.ops.{name}` has no gradient: tapes take its result as a constant")
            made = gradient(np.asarray(dy), y, *arrays)
            return [
                g if g is None else _core.tensor(np.asarray(g, x.dtype).reshape(x.shape))
                for g, x in zip(made, arrays, strict=True)
            ]

        return _core.tensor(y), slope

    if any(map(is_symbol, inputs)):
        return host(compute, *inputs, shape=shape, dtype=dtype)
    y, slope = compute(*inputs)
    return _core.python(lambda *_: (y, slope), *inputs, shape=list(y.shape), dtype=dtype)


def host(compute: Callable, *inputs: Any, shape: Sequence[int | None], dtype: str) -> Any:
    """A Python function of symbols as an operation."""
    sizes = list(shape)
    unknown = [k for k, size in enumerate(sizes) if size is None]
    order = list(range(len(inputs)))
    for place, x in enumerate(inputs):  # the first input tells the unknown sizes
        if unknown and is_symbol(x) and all(k < len(x.shape) and x.shape[k] is None for k in unknown):
            order.insert(0, order.pop(place))
            break
    if order == list(range(len(inputs))):
        return _core.python(compute, *inputs, shape=sizes, dtype=dtype)

    def turned(*given: Any) -> Any:
        y, slope = compute(*[given[order.index(k)] for k in range(len(order))])
        return y, lambda dy: [slope(dy)[k] for k in order]

    return _core.python(turned, *[inputs[k] for k in order], shape=sizes, dtype=dtype)
