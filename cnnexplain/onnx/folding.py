"""What depends on constants and shapes alone is computed while a file is read; sizes may be unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import TYPES
from .registry import Node, Unsupported
from .sizes import BATCH, Unknown, array_of, product

_LARGEST = 1 << 28  # numbers of a constant that is computed
FOLDS: dict[str, Callable[..., Any]] = {}


def fold(*names: str) -> Callable[[Callable], Callable]:
    """Registers the rule for operators of these names: (node, *arrays) -> array, or a list of arrays."""

    def register(function: Callable) -> Callable:
        FOLDS.update(dict.fromkeys(names, function))
        return function

    return register


def has_unknown(array: np.ndarray) -> bool:
    return array.dtype == object and any(isinstance(value, Unknown) for value in array.ravel())


def _axes(node: Node, axes: Any) -> list[int]:
    found = node.attribute("axes") if axes is None else axes
    return [] if found is None else [int(axis) for axis in np.atleast_1d(found)]


@fold("Constant")
def _constant(node: Node) -> np.ndarray:
    for name, kind in (("value", None), ("value_float", "float32"), ("value_int", "int64")):
        if name in node.attributes:
            return np.asarray(node.attributes[name], kind)
    for name, kind in (("value_floats", "float32"), ("value_ints", "int64")):
        if name in node.attributes:
            return np.asarray(node.attributes[name], kind)
    raise Unsupported("it holds a sparse array or strings")


@fold("ConstantOfShape")
def _constant_of_shape(node: Node, shape: np.ndarray) -> np.ndarray:
    value = node.attribute("value", np.zeros(1, np.float32))
    given = _for_all(list(shape))
    if any(isinstance(size, Unknown) for size in given):
        raise Unsupported("it makes an array whose shape is not known: export with fixed sizes")
    sizes = [int(size) for size in given]
    _check_size(sizes)
    return np.full(sizes, np.asarray(value).ravel()[0])


def _for_all(shape: list[Any]) -> list[Any]:
    """The shape of a constant for all examples: what reads it repeats it where it must."""
    return [1, *shape[1:]] if shape and shape[0] == BATCH else shape


def _check_size(shape: Any) -> None:
    if product([int(size) for size in shape]) > _LARGEST:
        raise Unsupported(f"it makes an array of shape {tuple(shape)}: a constant that large is not computed")


@fold("Identity", "Dropout")
def _identity(node: Node, x: np.ndarray, *rest: Any) -> np.ndarray:
    return x


@fold("Cast")
def _cast(node: Node, x: np.ndarray) -> np.ndarray:
    if has_unknown(x):
        return x
    to = node.attribute("to", 1)
    if to not in TYPES:
        raise Unsupported(f"it casts to type {to}, which is not read")
    return x.astype("float32" if to in (10, 16) else TYPES[to][1])


@fold("Size")
def _size(node: Node, x: np.ndarray) -> np.ndarray:
    return np.asarray(x.size)


@fold("Shape")
def _shape(node: Node, x: np.ndarray) -> np.ndarray:
    return cut(node, x.shape)


def cut(node: Node, shape: tuple) -> np.ndarray:
    """The part of a shape that a `Shape` node asks for."""
    return array_of(list(shape[node.attribute("start", 0) : node.attribute("end")]))


@fold("Gather")
def _gather(node: Node, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    return np.take(x, np.asarray(indices, np.int64), axis=node.attribute("axis", 0))


@fold("Concat")
def _concat(node: Node, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=node.attribute("axis", 0))


def cuts(node: Node, rank: int, inputs: tuple) -> list[tuple[int, Any, Any, int]]:
    """(axis, start, end, step) of a `Slice` node, whose settings were attributes in old opsets."""
    if "starts" in node.attributes:
        starts, ends = node.attribute("starts"), node.attribute("ends")
        axes, steps = node.attribute("axes"), None
    else:
        starts, ends, axes, steps = (*inputs, None, None)[:4]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    made = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if not -rank <= int(axis) < rank:
            raise Unsupported(f"it cuts along axis {axis} of an input with {rank} axes")
        made.append((int(axis) % rank, start, end, int(step)))
    return made


@fold("Slice")
def _slice(node: Node, x: np.ndarray, *settings: Any) -> np.ndarray:
    key = [slice(None)] * x.ndim
    for axis, start, end, step in cuts(node, x.ndim, settings):
        if isinstance(start, Unknown):
            raise Unsupported("it cuts at a size that is not known: export with fixed sizes")
        stop = None if isinstance(end, Unknown) else int(end)
        if step < 0 and stop is not None and stop < -x.shape[axis]:
            stop = None
        key[axis] = slice(int(start), stop, step)
    return x[tuple(key)]


@fold("Squeeze")
def _squeeze(node: Node, x: np.ndarray, axes: Any = None) -> np.ndarray:
    chosen = _axes(node, axes)
    return np.squeeze(x, tuple(chosen)) if chosen else np.squeeze(x)


@fold("Unsqueeze")
def _unsqueeze(node: Node, x: np.ndarray, axes: Any = None) -> np.ndarray:
    return np.expand_dims(x, tuple(_axes(node, axes)))


@fold("Reshape")
def _reshape(node: Node, x: np.ndarray, shape: Any = None) -> np.ndarray:
    given = list(node.attribute("shape") if shape is None else shape)
    sizes = [int(size) for size in (_for_all(given) if x.shape[:1] == (1,) else given)]
    if not node.attribute("allowzero", 0):
        sizes = [x.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    return x.reshape(sizes)


@fold("Flatten")
def _flatten(node: Node, x: np.ndarray) -> np.ndarray:
    axis = node.attribute("axis", 1)
    return x.reshape(int(np.prod(x.shape[: axis if axis >= 0 else x.ndim + axis])), -1)


@fold("Transpose")
def _transpose(node: Node, x: np.ndarray) -> np.ndarray:
    return x.transpose(node.attribute("perm"))


@fold("Expand")
def _expand(node: Node, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    given = list(shape)
    if x.ndim < len(given) or (x.ndim and x.shape[0] == 1):
        given = _for_all(given)
    if any(isinstance(size, Unknown) for size in given):
        raise Unsupported("it expands a constant to a size that is not known: export with fixed sizes")
    sizes = np.broadcast_shapes(x.shape, tuple(int(size) for size in given))
    _check_size(sizes)
    return np.broadcast_to(x, sizes)


@fold("Tile")
def _tile(node: Node, x: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    times = [int(v) for v in repeats]
    _check_size([x.size, *times])
    return np.tile(x, times)


@fold("Range")
def _range(node: Node, start: Any, limit: Any, delta: Any) -> np.ndarray:
    if any(isinstance(value.item(), Unknown) for value in map(np.asarray, (start, limit, delta))):
        raise Unsupported("it counts up to a size that is not known: export with fixed sizes")
    first, last, step = (np.asarray(value).item() for value in (start, limit, delta))
    _check_size([max(0, (last - first) // step)])
    return np.arange(first, last, step)


@fold("Where")
def _where(node: Node, condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _tidy(np.where(condition.astype(bool), a, b))


@fold("ScatterND")
def _scatter(node: Node, x: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
    made = np.array(x, dtype=object if updates.dtype == object else x.dtype)
    made[tuple(np.moveaxis(np.asarray(indices, np.int64), -1, 0))] = updates
    return _tidy(made)


@fold("Split")
def _split(node: Node, x: np.ndarray, sizes: Any = None) -> list[np.ndarray]:
    axis = node.attribute("axis", 0)
    sizes = node.attribute("split") if sizes is None else sizes
    if sizes is None:
        return list(np.array_split(x, len(node.outputs), axis))
    return np.split(x, np.cumsum([int(size) for size in sizes])[:-1], axis)


def _tidy(array: np.ndarray) -> np.ndarray:
    return array_of(array) if array.dtype == object else array


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "f" or b.dtype.kind == "f":
        return np.divide(a, b)
    if object in (a.dtype, b.dtype):
        return np.floor_divide(a, b)
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


_BINARY: dict[str, Callable] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divide, "Mod": np.mod, "Pow": np.power,
    "Equal": np.equal, "Greater": np.greater, "Less": np.less, "GreaterOrEqual": np.greater_equal,
    "LessOrEqual": np.less_equal, "And": np.logical_and, "Or": np.logical_or,
}  # fmt: skip
_UNARY: dict[str, Callable] = {
    "Neg": np.negative, "Abs": np.abs, "Sqrt": np.sqrt, "Floor": np.floor, "Ceil": np.ceil, "Exp": np.exp,
    "Log": np.log, "Not": np.logical_not, "Reciprocal": np.reciprocal, "Round": np.round,
}  # fmt: skip


def _computed(function: Callable) -> Callable:
    def rule(node: Node, *arrays: np.ndarray) -> np.ndarray:
        made = np.asarray(function(*arrays))
        if made.dtype == np.float64 and not any(x.dtype == np.float64 for x in arrays):
            return made.astype(np.float32)
        return _tidy(made)

    return rule


FOLDS.update({name: _computed(function) for name, function in {**_BINARY, **_UNARY}.items()})


def _many(function: Any) -> Callable:
    return lambda node, *arrays: _tidy(function.reduce(list(np.broadcast_arrays(*arrays)), axis=0))


FOLDS.update({"Min": _many(np.minimum), "Max": _many(np.maximum), "Sum": _many(np.add)})


@fold("ReduceProd")
def _reduce_prod(node: Node, x: np.ndarray, axes: Any = None) -> np.ndarray:
    chosen = tuple(_axes(node, axes)) or None
    return _tidy(np.asarray(np.prod(x, axis=chosen, keepdims=bool(node.attribute("keepdims", 1)))))
