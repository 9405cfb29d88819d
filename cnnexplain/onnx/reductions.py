"""Operators that sum up axes: means, sums, extremes, norms, places of extremes, and sums of products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnexplain.keras import ops

from .pooling import global_average, global_max, over_images
from .registry import Node, Unsupported, operator
from .values import Value, constant

_EXAMPLES = "it goes over the examples, so that each result would depend on the others: export it per example"


def reduced(x: Value, data: Any, gone: list[int], keepdims: bool) -> Value:
    """The result of a computation over the file's axes `gone`."""
    if keepdims:
        return Value(data, x.axes)
    kept = [axis for axis in range(x.rank) if axis not in gone]
    return Value(data, tuple(kept.index(axis) for axis in x.axes if axis not in gone))


def _reduction(function: Callable[..., Any]) -> Callable[..., Value]:
    def apply(node: Node, x: Value, axes: Value | None = None) -> Value:
        found = node.integers(1, "axes")
        if not found:
            if node.attribute("noop_with_empty_axes", 0):
                return x
            found = range(x.rank)
        gone = sorted({x.axis(axis) for axis in found})
        keepdims = bool(node.attribute("keepdims", 1))
        if x.is_constant:
            return constant(np.asarray(function(x.array, axis=tuple(gone), keepdims=keepdims)))
        if 0 in gone:
            raise Unsupported(_EXAMPLES)
        x = node.unflattened(x)
        if over_images(x, gone) and node.op in _POOLS:
            return _POOLS[node.op](node, x, keepdims=keepdims)
        places = tuple(sorted(x.place(axis) for axis in gone))
        return reduced(x, function(x.data, axis=places, keepdims=keepdims), gone, keepdims)

    return apply


_POOLS: dict[str, Callable] = {"ReduceMean": global_average, "ReduceMax": global_max}


def _of(inner: Callable, outer: Callable | None = None) -> Callable[..., Any]:
    """outer(sum(inner(x)))"""

    def function(x: Any, **where: Any) -> Any:
        total = ops.sum(inner(x), **where)
        return total if outer is None else outer(total)

    return function


for _op, _function in {
    "ReduceMean": ops.mean, "ReduceSum": ops.sum, "ReduceMax": ops.max, "ReduceMin": ops.min,
    "ReduceProd": ops.prod, "ReduceLogSumExp": ops.logsumexp, "ReduceL1": _of(ops.absolute),
    "ReduceL2": _of(ops.square, ops.sqrt), "ReduceSumSquare": _of(ops.square),
    "ReduceLogSum": _of(lambda x: x, ops.log),
}.items():  # fmt: skip
    operator(_op)(_reduction(_function))


@operator("ArgMax", "ArgMin")
def arg_extreme(node: Node, x: Value) -> Value:
    """Where the first largest or smallest entry is."""
    if node.attribute("select_last_index", 0):
        raise Unsupported("it asks for the last of several equal entries")
    axis = x.axis(node.attribute("axis", 0))
    keepdims = bool(node.attribute("keepdims", 1))
    function = ops.argmax if node.op == "ArgMax" else ops.argmin
    if x.is_constant:
        return constant(np.asarray(function(x.array, axis=axis, keepdims=keepdims)))
    if axis == 0:
        raise Unsupported(_EXAMPLES)
    x = node.unflattened(x)
    return reduced(x, function(x.data, axis=x.place(axis), keepdims=keepdims), [axis], keepdims)


@operator("TopK")
def top_k(node: Node, x: Value, count: Value | None = None) -> tuple[Value, Value]:
    """The largest entries of an axis, in order, and where they are."""
    many = int(np.asarray(node.constant(1, node.attribute("k"))).reshape(()))
    axis = x.axis(node.attribute("axis", -1))
    if not node.attribute("largest", 1) or axis == 0:
        raise Unsupported("it asks for the smallest entries, or goes over the examples")
    x = node.laid(x, [a for a in x.axes if a != axis] + [axis])
    values, places = ops.top_k(x.data, many, sorted=True)
    return Value(values, x.axes), Value(places, x.axes)


@operator("CumSum")
def running_sum(node: Node, x: Value, axis: Value) -> Value:
    if node.attribute("exclusive", 0) or node.attribute("reverse", 0):
        raise Unsupported("its sums leave out the entry itself, or run backwards")
    along = x.axis(np.asarray(node.constant(1)).reshape(()))
    if along == 0:
        raise Unsupported(_EXAMPLES)
    x = node.unflattened(x)
    return x.like(ops.cumsum(x.data, axis=x.place(along)))


@operator("Einsum")
def einsum(node: Node, *values: Value) -> Value:
    """Sums of products, of operands in the file's own order."""
    equation = node.attribute("equation", "").replace(" ", "")
    if "->" not in equation or "." in equation:
        raise Unsupported(f"its equation is {equation!r}: export it with its result and without dots")
    if all(x.is_constant for x in values):
        return constant(np.einsum(equation, *[x.array for x in values]))
    inputs, result = equation.split("->")
    examples = {part[0] for part, x in zip(inputs.split(","), values, strict=True) if not x.is_constant}
    if len(examples) > 1 or not result or examples != {result[0]}:
        raise Unsupported(_EXAMPLES)
    symbols = [node.plain(x).data if not x.is_constant else x.array.astype(node.dtype) for x in values]
    made = ops.einsum(equation, *symbols)
    return Value(made, tuple(range(len(result))))
