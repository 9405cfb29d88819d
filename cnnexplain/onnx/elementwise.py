"""Operators that work on each entry: activations, arithmetic, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.keras import activations, layers, ops

from .folding import has_unknown
from .registry import Node, Unsupported, operator
from .values import Value, constant

# Activations


def applied(node: Node, x: Value, function: Callable, positive: bool = False) -> Value:
    """`function` of each entry, an array's at once."""
    if x.is_constant:
        return constant(np.asarray(function(x.array)))
    return replace(x.like(function(x.data)), positive=positive)


def activation(name: str, positive: bool = False) -> Callable[..., Value]:
    """The operator that Keras has as an activation of this name."""

    def apply(node: Node, x: Value) -> Value:
        if x.is_constant:
            return applied(node, x, activations.get(name))
        made = x.like(node.layer(layers.Activation, x.data, activation=name))
        return replace(made, positive=positive)

    return apply


for _op, _name, _positive in (
    ("Relu", "relu", True),
    ("Sigmoid", "sigmoid", True),
    ("Tanh", "tanh", False),
    ("Softplus", "softplus", True),
    ("Softsign", "softsign", False),
    ("Exp", "exponential", True),
    ("HardSwish", "hard_swish", False),
    ("Mish", "mish", False),
):
    operator(_op)(activation(_name, _positive))


@operator("LeakyRelu")
def leaky_relu(node: Node, x: Value) -> Value:
    slope = float(node.attribute("alpha", 0.01))
    if x.is_constant:
        return applied(node, x, lambda a: np.where(a < 0, slope * a, a))
    return x.like(node.layer(layers.LeakyReLU, x.data, negative_slope=slope))


@operator("Elu")
def elu(node: Node, x: Value) -> Value:
    alpha = float(node.attribute("alpha", 1.0))
    if alpha == 1:
        return activation("elu")(node, x)
    return applied(node, x, lambda a: ops.elu(a, alpha))


@operator("Celu")
def celu(node: Node, x: Value) -> Value:
    return applied(node, x, lambda a: ops.celu(a, float(node.attribute("alpha", 1.0))))


SELU = 1.67326319217681884765625, 1.05070102214813232421875


@operator("Selu")
def selu(node: Node, x: Value) -> Value:
    alpha, gamma = float(node.attribute("alpha", SELU[0])), float(node.attribute("gamma", SELU[1]))
    if np.allclose((alpha, gamma), SELU, 1e-6):
        return activation("selu")(node, x)
    return applied(node, x, lambda a: ops.elu(a, alpha) * gamma)


@operator("HardSigmoid")
def hard_sigmoid(node: Node, x: Value) -> Value:
    alpha, beta = float(node.attribute("alpha", 0.2)), float(node.attribute("beta", 0.5))
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return activation("hard_sigmoid", True)(node, x)
    return applied(node, x, lambda a: ops.clip(a * alpha + beta, 0.0, 1.0), positive=True)


@operator("Gelu")
def gelu(node: Node, x: Value) -> Value:
    if node.attribute("approximate", "none") == "none":
        return activation("gelu")(node, x)
    return applied(node, x, lambda a: ops.gelu(a, approximate=True))


@operator("ThresholdedRelu")
def thresholded_relu(node: Node, x: Value) -> Value:
    return applied(node, x, lambda a: ops.threshold(a, float(node.attribute("alpha", 1.0)), 0.0))


@operator("Shrink")
def shrink(node: Node, x: Value) -> Value:
    limit, bias = float(node.attribute("lambd", 0.5)), float(node.attribute("bias", 0.0))
    return applied(node, x, lambda a: ops.hard_shrink(a, limit) - ops.sign(ops.hard_shrink(a, limit)) * bias)


@operator("PRelu")
def prelu(node: Node, x: Value, slope: Value) -> Value:
    if x.is_constant or not slope.is_constant:
        raise Unsupported("its slope must be a constant, and its input must not be one")
    array = x.arranged(node.constant(1))[0]
    shared = [axis for axis in range(1, x.rank) if array.shape[axis - 1] == 1]
    symbol = node.layer(layers.PReLU, x.data, weights=[array], shared_axes=shared or None)
    return x.like(symbol)


@operator("Clip")
def clip(node: Node, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    bounds = []
    for place, name in ((1, "min"), (2, "max")):
        found = node.attribute(name) if name in node.attributes else node.constant(place)
        if found is not None and np.size(found) != 1:
            raise Unsupported(f"its {name} holds {np.size(found)} numbers, not one")
        bounds.append(None if found is None else float(np.asarray(found).reshape(())))
    least, most = bounds
    if least is None and most is None:
        return x
    if x.is_constant:
        return constant(np.clip(x.array, least, most).astype(x.array.dtype))
    if least == 0 and (most is None or 0 < most < np.inf) and x.data.dtype.is_floating:
        made = x.like(node.layer(layers.ReLU, x.data, max_value=most))
        return replace(made, positive=True)
    symbol = x.data
    if least is not None and most is not None:
        symbol = ops.clip(symbol, least, most)
    else:
        symbol = ops.minimum(symbol, most) if least is None else ops.maximum(symbol, least)
    return replace(x.like(symbol), positive=least is not None and least >= 0)


@operator("Softmax", "LogSoftmax", "Hardmax")
def softmax(node: Node, x: Value) -> Value:
    """Over one axis; before opset 13 over all axes from that one on, which were flattened."""
    name = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}.get(node.op)
    if name is None:
        raise Unsupported("it is no function that has a gradient: take ArgMax of the scores")
    axis = int(node.attribute("axis", 1 if node.opset < 13 else -1))
    axis = axis + x.rank if axis < 0 else axis
    x = node.unflattened(x)
    long = [axis]
    if node.opset < 13:
        long = [a for a in range(axis, x.rank) if x.shape[a] != 1] or [x.rank - 1]
    if 0 in long and not x.is_constant:
        raise Unsupported("it is taken over the examples")
    places = sorted(x.place(a) for a in long)
    if len(places) == 1 and places[0] == x.rank - 1 and not x.is_constant:
        return x.like(node.layer(layers.Activation, x.data, activation=name))
    if name == "softmax" and not x.is_constant:
        chosen = places[0] if len(places) == 1 else tuple(places)
        return x.like(node.layer(layers.Softmax, x.data, axis=chosen))

    def logarithm(a: Any) -> Any:
        made = a - ops.logsumexp(a, axis=tuple(places), keepdims=True)
        return made if name == "log_softmax" else ops.exp(made)

    return applied(node, x, logarithm)


# One operand

_UNARY: dict[str, Callable] = {
    "Abs": ops.absolute, "Neg": ops.negative, "Sqrt": ops.sqrt, "Log": ops.log, "Erf": ops.erf,
    "Reciprocal": ops.reciprocal, "Floor": ops.floor, "Ceil": ops.ceil, "Round": ops.round,
    "Sign": ops.sign, "Sin": ops.sin, "Cos": ops.cos, "Tan": ops.tan, "Atan": ops.arctan,
    "Sinh": ops.sinh, "Cosh": ops.cosh, "Asin": ops.arcsin, "Acos": ops.arccos,
    "Not": ops.logical_not, "IsNaN": ops.isnan,
}  # fmt: skip
for _op, _function in _UNARY.items():

    def _unary(node: Node, x: Value, function: Callable = _function) -> Value:
        return applied(node, x, function)

    operator(_op)(_unary)


# Several operands


def operands(node: Node, *values: Value) -> tuple[list[Any], Value]:
    """`Node.together`, the constants in the symbols' dtype; one number as a number."""
    data, like = node.together(*values)
    if like.is_constant:
        return data, like
    kinds = [x.data.dtype.name for x in values if not x.is_constant and x.data.dtype.is_floating]
    for place, value in enumerate(data):
        if not isinstance(value, np.ndarray):
            continue
        if has_unknown(value):
            raise Unsupported("it computes with a size that is not known: export with fixed sizes")
        if value.dtype.kind == "f" or (kinds and value.dtype.kind in "iu"):
            value = value.astype(kinds[0] if kinds else node.dtype)
        is_number = value.size == 1 and value.dtype.kind != "b"
        data[place] = value.item() if is_number else _core.tensor(np.ascontiguousarray(value))
    return data, like


def _binary(function: Callable, layer: Any = None) -> Callable[..., Value]:
    def apply(node: Node, a: Value, b: Value) -> Value:
        data, like = operands(node, a, b)
        if like.is_constant:
            return like.like(np.asarray(function(*data)))
        if layer is not None and not a.is_constant and not b.is_constant and a.data is not b.data:
            return like.like(node.layer(layer, *data))
        return like.like(function(*data))

    return apply


def _divided(a: Any, b: Any) -> Any:
    if not any(isinstance(x, float) or "float" in str(x.dtype) for x in (a, b) if not isinstance(x, int)):
        raise Unsupported("it divides whole numbers")
    return a / b


_BINARY: tuple[tuple[str, Callable, Any], ...] = (
    ("Add", lambda a, b: a + b, layers.Add),
    ("Sub", lambda a, b: a - b, layers.Subtract),
    ("Mul", lambda a, b: a * b, layers.Multiply),
    ("Div", _divided, None),
    ("Equal", ops.equal, None),
    ("Greater", ops.greater, None),
    ("Less", ops.less, None),
    ("GreaterOrEqual", ops.greater_equal, None),
    ("LessOrEqual", ops.less_equal, None),
    ("And", ops.logical_and, None),
    ("Or", ops.logical_or, None),
)
for _op, _function, _layer in _BINARY:
    operator(_op)(_binary(_function, _layer))


@operator("Pow")
def power(node: Node, x: Value, exponent: Value) -> Value:
    if exponent.is_constant and exponent.array.size == 1 and not x.is_constant:
        wanted = float(exponent.array.reshape(()))
        if wanted == 1:
            return x
        if exponent.rank <= x.rank and wanted in (2, 0.5):
            made = x.like(ops.square(x.data) if wanted == 2 else ops.sqrt(x.data))
            return replace(made, positive=True)
    return _binary(ops.power)(node, x, exponent)


def _many(function: Callable, layer: Any) -> Callable[..., Value]:
    def apply(node: Node, *values: Value) -> Value:
        if len(values) == 1:
            return values[0]
        data, like = operands(node, *values)
        if not like.is_constant and not any(x.is_constant for x in values):
            return like.like(node.layer(layer, *data))
        total = data[0]
        for value in data[1:]:
            total = function(total, value)
        if layer is layers.Average:
            total = total / len(values)
        return like.like(np.asarray(total) if like.is_constant else total)

    return apply


_MANY: tuple[tuple[str, Callable, Any], ...] = (
    ("Min", ops.minimum, layers.Minimum),
    ("Max", ops.maximum, layers.Maximum),
    ("Sum", lambda a, b: a + b, layers.Add),
    ("Mean", lambda a, b: a + b, layers.Average),
)
for _op, _function, _layer in _MANY:
    operator(_op)(_many(_function, _layer))


@operator("Where")
def where(node: Node, condition: Value, a: Value, b: Value) -> Value:
    data, like = operands(node, condition, a, b)
    made = ops.where(*data)
    return like.like(np.asarray(made) if like.is_constant else made)


@operator("CastLike")
def cast_like(node: Node, x: Value, other: Value) -> Value:
    kind = other.array.dtype.name if other.is_constant else other.data.dtype.name
    if x.is_constant:
        return constant(x.array.astype(kind))
    return x if x.data.dtype.name == kind else x.like(ops.cast(x.data, kind))
