"""The operators that are read: one decorated function for each, and what such a function works with.

    @operator("Relu")
    def relu(node: Node, x: Value) -> Value:
        return x.like(node.layer(layers.Activation, x.data, activation="relu"))

A function gets its node and one `Value` for each of the node's inputs (None for one left out) and returns the
Value of the node's output, or a tuple of them. It may count on this: `x.data` is a symbol in the order
`x.axes`, or, for a constant, an array as the file has it; functions whose inputs are all constants are called
too when `folding` has no rule, and then work on arrays. What it cannot do it refuses by
`raise Unsupported(reason)`; the importer collects these and names every node at once.

The node helps with:

- `node.attribute("axis", 1)`, `node.opset`, `node.integers(1, "axes")` (a setting that was an attribute in
  old opsets and is a constant input in new ones), `node.constant(2)` (the array of an input that must be one)
- `node.layer(layers.Conv2D, x.data, weights=[kernel, bias], filters=8, ...)`: a new layer called on symbols,
  named after the node (`part="pad"` for a second one before it), its weights set from arrays
- `node.images(x)`: x in memory as (n, h, w, c); `node.laid(x, axes)`: in another order, which moves data only
  when it must; `node.plain(x)`: in the file's own order
- `node.together(a, b, ...)`: the data of operands brought to one order for element-by-element work, constants
  re-laid, and the Value that the result is `like`
- `x.place(axis)`: the axis of `x.data` that an axis of the file is
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import is_symbol
from cnnexplain.keras import layers, ops
from cnnexplain.keras.saving import container
from cnnexplain.keras.saving.building import blank_weights

from .sizes import Unknown, plain
from .values import IMAGE, Value, arrange, constant, same_memory, target_of

OPERATORS: dict[str, Callable] = {}


class Unsupported(ValueError):
    """What a node asks for and this package cannot do."""


def operator(*names: str) -> Callable[[Callable], Callable]:
    """Registers the function for operators of these names."""

    def register(function: Callable) -> Callable:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


def legal(name: str) -> str:
    """An ONNX name as a layer's name."""
    made = re.sub(r"[^A-Za-z0-9_.-]+", ".", name.replace("::", ".")).strip(".")
    return made if made[:1].isalnum() else f"op{made}"


@dataclass
class Node:
    """One node of the graph.

    Attributes:
        op: its operator.
        name: as in the file; its first output's name where it has none.
        inputs: a Value for each input, None for one left out.
        outputs: names of the outputs.
        attributes: the node's attributes as Python values and arrays.
        opset: version of the operators.
        dtype: "float32" or "float64", in which the model computes.
        names: names of layers given so far, which are not given again.
    """

    op: str
    name: str
    inputs: list[Value | None]
    outputs: list[str]
    attributes: dict[str, Any]
    opset: int
    dtype: str
    names: set[str] = field(default_factory=set)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(name, default)

    def constant(self, place: int, default: Any = None) -> np.ndarray:
        """The array of an input that must be a constant."""
        value = self.inputs[place] if place < len(self.inputs) else None
        if value is None:
            return default
        if not value.is_constant:
            raise Unsupported(f"its input {place} must be a constant, not computed")
        return value.array

    def integers(self, place: int, name: str, default: Any = None) -> Any:
        """A list of integers that is an attribute in old opsets and an input in new ones."""
        if name in self.attributes:
            return [int(v) for v in np.atleast_1d(self.attributes[name])]
        found = self.constant(place, None)
        if found is None:
            return default
        if found.dtype == object and any(isinstance(v, Unknown) for v in found.ravel()):
            raise Unsupported(f"its {name} depend on a size that is not known: export with fixed sizes")
        return [int(v) for v in found.ravel()]

    def free_name(self, part: str = "") -> str:
        """The node's name as a layer's name, which no layer has yet."""
        name = start = legal(self.name) + (f".{part}" if part else "")
        count = 0
        while name in self.names:
            count += 1
            name = f"{start}_{count}"
        self.names.add(name)
        return name

    def layer(
        self, cls: Any, *symbols: Any, weights: Sequence[Any] = (), part: str = "", **settings: Any
    ) -> Any:
        """A new layer called on the symbols (several: as a list).

        Args:
            cls: The layer's class.
            symbols: What it is called on.
            weights: An array for each of its variables, whose first axis may come split into several.
            part: Goes behind the node's name, for all but the last of a node's layers.
            settings: The layer's arguments.
        """
        made = cls(name=self.free_name(part), dtype=self.dtype, **settings)
        inputs = [s if is_symbol(s) else _core.tensor(np.ascontiguousarray(s)) for s in symbols]
        if weights:
            with blank_weights(sum(array.size for array in weights)):
                made.build(tuple(inputs[0].shape))
            for variable, array in zip(made.weights, weights, strict=True):
                rows, *rest = tuple(variable.shape)
                first = array.ndim - len(rest)
                if math.prod(array.shape[:first]) != rows or array.shape[first:] != tuple(rest):
                    raise Unsupported(
                        f"its weight has shape {array.shape} where {tuple(variable.shape)} is needed"
                    )
                # one pass, whatever order the array is in
                container.memory(variable).reshape(array.shape)[...] = array
        return made(inputs if len(inputs) > 1 else inputs[0])

    def laid(self, x: Value, axes: Sequence[int]) -> Value:
        """x in memory in this order of the file's axes."""
        axes = tuple(axes)
        x = self.unflattened(x)
        if x.is_constant:
            return Value(x.array.transpose(axes), axes)
        if axes == x.axes:
            return x
        if axes[0] != x.axes[0]:
            raise Unsupported("it needs the examples along another axis than the first")
        if same_memory(x.shape, x.axes, axes):
            return Value(self.reshaped(x.data, target_of(x.shape, axes)), axes, positive=x.positive)
        turn = [x.axes.index(axis) for axis in axes]
        return Value(self.layer(layers.Permute, x.data, part="permute", dims=turn[1:]), axes)

    def reshaped(self, symbol: Any, target: tuple[int, ...], part: str = "reshape") -> Any:
        """The symbol with other sizes of an example."""
        if tuple(plain_size(s) for s in tuple(symbol.shape)[1:]) == target:
            return symbol
        if target.count(-1) > 1:
            raise Unsupported("it reshapes two sizes that are not known: export with fixed sizes")
        return self.layer(layers.Reshape, symbol, part=part, target_shape=target)

    def images(self, x: Value) -> Value:
        """x as (n, h, w, c), for a file's (n, c, h, w)."""
        if x.rank != 4:
            raise Unsupported(f"it has an input with {x.rank} axes; images have 4")
        return self.laid(x, IMAGE)

    def plain(self, x: Value) -> Value:
        """x in the file's own order of axes."""
        return self.laid(x, range(x.rank))

    def unflattened(self, x: Value) -> Value:
        """x with its columns in the file's order."""
        if x.order is None:
            return x
        back = np.argsort(x.column_order()).astype(np.int32)
        return Value(ops.take(x.data, back, axis=-1), x.axes)

    def together(self, *operands: Value) -> tuple[list[Any], Value]:
        """Operands for element-by-element work: their data, and the value whose order the result has.

        Constants come as arrays with as many axes as the result.
        """
        symbols = [x for x in operands if not x.is_constant]
        if not symbols:
            arrays = [x.array for x in operands]
            return arrays, constant(np.broadcast_arrays(*arrays)[0])
        if len(symbols) > 1:
            symbols = [self.unflattened(x) for x in symbols]
        rank = max(x.rank for x in operands)
        best = max(symbols, key=lambda x: (x.rank, sum(size != 1 for size in x.shape)))
        if best.rank < rank:
            best = self.with_rank(best, rank)
        rest = iter(symbols)
        data = []
        for x in operands:
            if x.is_constant:
                array = best.arranged(x.array)
                data.append(array.astype(self.dtype, copy=False) if array.dtype.kind == "f" else array)
            else:
                x = next(rest)
                data.append(self.laid(self.with_rank(x, rank), best.axes).data if x is not best else x.data)
        if len(symbols) == 1:
            data = [best.data if not x.is_constant else d for x, d in zip(operands, data, strict=True)]
        return data, best

    def with_rank(self, x: Value, rank: int) -> Value:
        """x with axes of size 1 before its own, as broadcasting adds them."""
        if x.rank == rank:
            return x
        x = self.unflattened(x)
        added = rank - x.rank
        if x.rank and x.axes[0] == 0 and added:
            raise Unsupported("it combines an input without the examples' axis with one that has it")
        shape = (1,) * added + x.shape
        axes = arrange(shape, [axis + added for axis in x.axes])
        return Value(self.reshaped(x.data, target_of(shape, axes)), axes)


def plain_size(size: Any) -> int:
    """-1 for a size that is not known."""
    size = plain(size) if size is not None else None
    return -1 if size is None else size
