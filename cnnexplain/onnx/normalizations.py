"""Normalizations: of batches, instances, groups, layers, and of neighbouring channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain.keras import layers, ops

from .registry import Node, Unsupported, operator
from .sizes import Unknown
from .values import IMAGE, Value, constant


def _channels_last(node: Node, x: Value) -> Value:
    """x with the file's axis 1 as the last in memory."""
    if x.is_constant or x.rank < 2:
        raise Unsupported("its input must be computed from the images and have an axis of channels")
    x = node.unflattened(x)
    if x.rank == 2 or x.axes[-1] == 1:
        return x
    return node.laid(x, IMAGE if x.rank == 4 else (0, *range(2, x.rank), 1))


def _only_output(node: Node) -> None:
    if any(node.outputs[1:]):
        raise Unsupported("its statistics are read by another node: export the model in evaluation mode")


def _channels(x: Value) -> int:
    if isinstance(x.shape[1], Unknown):
        raise Unsupported("its input has an unknown number of channels: export with it fixed")
    return int(x.shape[1])


@operator("BatchNormalization")
def batch_normalization(
    node: Node, x: Value, scale: Value, bias: Value, mean: Value, variance: Value
) -> Value:
    if x.is_constant:  # standardized weights are written so
        return _of_constant(node, x)
    if node.attribute("training_mode", 0) or not node.attribute("spatial", 1):
        raise Unsupported("it is in training mode: export the model in evaluation mode, after model.eval()")
    x = _channels_last(node, x)
    arrays = [node.constant(place) for place in (1, 2, 3, 4)]
    symbol = node.layer(
        layers.BatchNormalization,
        x.data,
        weights=arrays,
        epsilon=float(node.attribute("epsilon", 1e-5)),
        momentum=float(node.attribute("momentum", 0.9)),
    )
    return x.like(symbol)


def _of_constant(node: Node, x: Value) -> Value:
    array = x.array
    others = tuple(axis for axis in range(array.ndim) if axis != 1)
    scale, bias, mean, variance = (node.constant(place) for place in (1, 2, 3, 4))
    if node.attribute("training_mode", 0):
        mean, variance = array.mean(others), array.var(others)
    sides = (-1,) + (1,) * (array.ndim - 2)
    factor = scale / np.sqrt(variance + node.attribute("epsilon", 1e-5))
    made = (array - mean.reshape(sides)) * factor.reshape(sides) + bias.reshape(sides)
    return constant(made.astype(array.dtype))


@operator("InstanceNormalization", "GroupNormalization")
def group_normalization(node: Node, x: Value, scale: Value, bias: Value) -> Value:
    """Each image and group of channels by its own moments; an instance is a group of one channel."""
    x = _channels_last(node, x)
    channels = _channels(x)
    groups = channels if node.op == "InstanceNormalization" else int(node.attribute("num_groups", 0))
    if groups < 1 or channels % groups:
        raise Unsupported(f"its {channels} channels do not make {groups} groups")
    arrays = [node.constant(1), node.constant(2)]
    if node.op == "GroupNormalization" and node.opset < 21:  # one factor for each group
        arrays = [np.repeat(a, channels // groups) if a.size == groups else a for a in arrays]
    symbol = node.layer(
        layers.GroupNormalization,
        x.data,
        weights=arrays,
        groups=groups,
        epsilon=float(node.attribute("epsilon", 1e-5)),
    )
    return x.like(symbol)


@operator("LayerNormalization")
def layer_normalization(node: Node, x: Value, scale: Value, bias: Value | None = None) -> Value:
    _only_output(node)
    if x.is_constant:
        raise Unsupported("its input is a constant")
    axis = int(node.attribute("axis", -1))
    axis = axis + x.rank if axis < 0 else axis
    if not 0 < axis < x.rank:
        raise Unsupported(f"it normalizes from axis {axis} of an input with {x.rank} axes")
    x = node.unflattened(x)
    sizes = x.shape[axis:]
    if any(isinstance(size, Unknown) for size in sizes):
        raise Unsupported("it normalizes a height or width that is not known: export with fixed sizes")
    order = [a - axis for a in x.axes if a >= axis]  # of the normalized axes, as they lie in memory

    def laid(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, sizes).transpose(order)

    places = [place for place, a in enumerate(x.axes) if a >= axis]
    weights = [laid(node.constant(1))] + ([] if bias is None else [laid(node.constant(2))])
    symbol = node.layer(
        layers.LayerNormalization,
        x.data,
        weights=weights,
        axis=places if len(places) > 1 else places[0],
        epsilon=float(node.attribute("epsilon", 1e-5)),
        center=bias is not None,
    )
    return x.like(symbol)


@operator("LRN")
def local_response_normalization(node: Node, x: Value) -> Value:
    """x / (bias + alpha / size * sum of the squares of `size` neighbouring channels) ^ beta."""
    size = int(node.attribute("size", 0))
    if size < 1:
        raise Unsupported(f"its size must be positive, not {size}")
    x = _channels_last(node, x)
    channels = _channels(x)
    before = (size - 1) // 2
    pads = [(0, 0)] * (x.rank - 1) + [(before, size - 1 - before)]
    squares = ops.pad(ops.square(x.data), pads)
    total: Any = squares[..., :channels]
    for shift in range(1, size):
        total = total + squares[..., shift : shift + channels]
    alpha, beta = float(node.attribute("alpha", 1e-4)), float(node.attribute("beta", 0.75))
    return x.like(x.data / (total * (alpha / size) + float(node.attribute("bias", 1.0))) ** beta)


@operator("LpNormalization")
def lp_normalization(node: Node, x: Value) -> Value:
    axis, order = x.axis(node.attribute("axis", -1)), int(node.attribute("p", 2))
    if x.is_constant or axis == 0 or order not in (1, 2):
        raise Unsupported("it must divide by the norm 1 or 2 of an axis other than the examples'")
    x = node.unflattened(x)
    where: dict[str, Any] = {"axis": x.place(axis), "keepdims": True}
    if order == 1:
        return x.like(x.data / ops.sum(ops.absolute(x.data), **where))
    return x.like(x.data / ops.sqrt(ops.sum(ops.square(x.data), **where)))
