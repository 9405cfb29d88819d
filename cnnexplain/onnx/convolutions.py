"""Convolutions, and products with constant matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cnnexplain.keras import layers, ops

from .registry import Node, Unsupported, operator
from .shapes import renamed
from .sizes import Unknown
from .values import Value, constant
from .windows import Window, known_same, padded, padding_of, window


def _kernel(node: Node) -> tuple[np.ndarray, Window]:
    """The kernel as the file has it, and its window."""
    weights = node.constant(1)
    if weights.ndim != 4:
        raise Unsupported(f"it convolves over {weights.ndim - 2} axes; 1 and 2 are read")
    return weights, window(node, weights.shape[2:])


def _is_sparse(w: Window) -> bool:
    """Has it strides and dilations at once? Keras knows one of the two."""
    return max(w.strides) > 1 and max(w.dilations) > 1


@operator("Conv")
def conv(node: Node, x: Value, kernel: Value, bias: Value | None = None) -> Value:
    if x.rank == 3 and len(kernel.shape) == 3:
        return _of_rows(node, x, kernel, bias)
    weights, w = _kernel(node)
    x = node.images(x)
    groups, filters, channels = node.attribute("group", 1), weights.shape[0], x.shape[1]
    if isinstance(channels, Unknown):
        raise Unsupported("its input has an unknown number of channels: export with it fixed")
    if channels != weights.shape[1] * groups or filters % groups:
        raise Unsupported(
            f"its kernel of shape {weights.shape} in {groups} groups does not fit {channels} channels"
        )
    padding, pads = padding_of(x.shape[2:], w)
    steps = (1, 1)
    if _is_sparse(w):  # every place is computed, some are taken
        if padding == "same":
            padding, pads = "valid", known_same(x.shape[2:], w)
        steps, w = w.strides, replace(w, strides=(1, 1))
    symbol = padded(node, x.data, pads)
    settings: dict[str, Any] = {
        "kernel_size": w.size, "strides": w.strides, "dilation_rate": w.dilations,
        "padding": padding, "use_bias": bias is not None,
    }  # fmt: skip
    biases = [] if bias is None else [node.constant(2)]
    depthwise = groups > 1 and groups == channels
    if depthwise and w.strides[0] == w.strides[1]:
        # (filters, 1, h, w) with the filters of one channel side by side
        kernel_array = weights.reshape(channels, filters // channels, *w.size).transpose(2, 3, 0, 1)
        symbol = node.layer(
            layers.DepthwiseConv2D,
            symbol,
            weights=[kernel_array, *biases],
            depth_multiplier=filters // channels,
            **settings,
        )
    else:
        symbol = node.layer(
            layers.Conv2D,
            symbol,
            weights=[weights.transpose(2, 3, 1, 0), *biases],
            filters=filters,
            groups=groups,
            **settings,
        )
    return x.like(symbol if steps == (1, 1) else symbol[:, :: steps[0], :: steps[1]])


def _of_rows(node: Node, x: Value, kernel: Value, bias: Value | None) -> Value:
    """A convolution over one axis, as that of an image of one row."""
    two = {
        name: [default, *node.attribute(name, [default])]
        for name, default in (("strides", 1), ("dilations", 1))
    }
    before, after = node.attribute("pads", [0, 0])
    two |= {"kernel_shape": [1, kernel.shape[2]], "pads": [0, before, 0, after]}
    weights = constant(kernel.array[:, :, None])
    image = renamed(node, x, [*x.shape[:2], 1, x.shape[2]], {0: 0, 1: 1, 2: 3}, "row")
    inner = replace(node, inputs=[image, weights, bias], attributes={**node.attributes, **two})
    made = conv(inner, image, weights, bias)
    return renamed(node, made, [*made.shape[:2], made.shape[3]], {0: 0, 1: 1, 3: 2}, "out")


@operator("ConvTranspose")
def conv_transpose(node: Node, x: Value, kernel: Value, bias: Value | None = None) -> Value:
    weights, w = _kernel(node)
    if _is_sparse(w):
        raise Unsupported("it has strides and dilations at once")
    x = node.images(x)
    groups = node.attribute("group", 1)
    if x.shape[1] != len(weights) or len(weights) % groups:
        raise Unsupported(f"its kernel of shape {weights.shape} does not fit {x.shape[1]} channels")
    crops = [_crop(node, w, k, x.shape[2 + k]) for k in (0, 1)]
    settings: dict[str, Any] = {
        "filters": weights.shape[1], "kernel_size": w.size, "strides": w.strides,
        "dilation_rate": w.dilations, "use_bias": bias is not None,
    }  # fmt: skip
    biases = [None] * groups if bias is None else np.split(node.constant(2), groups)
    each, parts = len(weights) // groups, []
    for k, offsets in enumerate(biases):
        arrays = [weights[k * each : (k + 1) * each].transpose(2, 3, 1, 0)]
        arrays += [] if offsets is None else [offsets]
        symbol = x.data if groups == 1 else x.data[..., k * each : (k + 1) * each]
        # the node's name goes to the last layer
        part = "" if groups == 1 and not np.any(crops) else f"group{k}" if groups > 1 else "whole"
        parts.append(node.layer(layers.Conv2DTranspose, symbol, weights=arrays, part=part, **settings))
    last = "" if not np.any(crops) else "joined"
    symbol = parts[0] if groups == 1 else node.layer(layers.Concatenate, *parts, part=last, axis=3)
    if np.any(crops):
        symbol = node.layer(layers.Cropping2D, symbol, cropping=tuple(crops))
    return x.like(symbol)


def _crop(node: Node, w: Window, axis: int, size: Any) -> tuple[int, int]:
    """What has to go before and after from Keras's result without padding."""
    more = int((node.attribute("output_padding") or (0, 0))[axis])
    (before, after), stride, extent = w.pads[axis], w.strides[axis], w.extent(axis)
    wanted = node.attribute("output_shape")
    if wanted is not None or w.auto.startswith("SAME"):
        if wanted is not None and isinstance(size, Unknown):
            raise Unsupported("its output_shape needs a known height and width: export with them fixed")
        total = extent - stride if wanted is None else (size - 1) * stride + extent - int(wanted[-2 + axis])
        total += more
        before = total // 2 if w.auto == "SAME_UPPER" else total - total // 2
        after = total - before
    after += max(stride - extent, 0) - more
    if before < 0 or after < 0:
        raise Unsupported("its output is larger than what its window reaches")
    return before, after


@operator("Gemm")
def gemm(node: Node, x: Value, matrix: Value, bias: Value | None = None) -> Value:
    if node.attribute("transA", 0):
        raise Unsupported("it transposes its first operand")
    if x.rank != 2:
        raise Unsupported(f"its first operand has {x.rank} axes, not 2")
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    weights = node.constant(1)
    weights = weights.T if node.attribute("transB", 0) else weights
    weights = weights if alpha == 1 else alpha * weights
    offsets = node.constant(2)
    if offsets is not None:
        if offsets.size not in (1, weights.shape[1]):
            raise Unsupported(f"its third operand has shape {offsets.shape}, not that of a bias")
        offsets = np.broadcast_to(offsets.ravel(), weights.shape[1])
        offsets = offsets if beta == 1 else beta * offsets
    return dense(node, x, weights, offsets)


@operator("MatMul")
def matmul(node: Node, x: Value, y: Value, bias: Value | None = None) -> Value:
    if y.is_constant and len(y.shape) == 2 and not x.is_constant and x.rank > 1:
        return dense(node, x, y.array, node.constant(2))
    if x.is_constant and y.is_constant:
        return Value(x.array @ y.array, tuple(range(max(x.rank, y.rank))))
    if bias is not None or min(x.rank, y.rank) < 2:
        raise Unsupported("it multiplies by a vector")
    x, y = node.plain(x), node.plain(y)
    return Value(ops.matmul(x.data, y.data), tuple(range(max(x.rank, y.rank))))


def dense(node: Node, x: Value, weights: np.ndarray, bias: np.ndarray | None) -> Value:
    """The last axis of x times a matrix (inputs, units)."""
    inputs = x.shape[-1]
    if isinstance(inputs, Unknown):
        raise Unsupported(
            "it multiplies a vector whose length is not known: export the model with a fixed height and width"
        )
    if inputs != weights.shape[0]:
        raise Unsupported(f"its matrix has {weights.shape[0]} rows for vectors of {inputs}")
    if x.order is not None:  # the matrix's rows follow the vector's order in memory
        sizes, permutation = x.order
        weights = weights.reshape(*sizes, weights.shape[1]).transpose(*permutation, len(sizes))
        x = Value(x.data, x.axes)
    elif x.axes[-1] != x.rank - 1:
        x = node.laid(x, [axis for axis in x.axes if axis != x.rank - 1] + [x.rank - 1])
    symbol = node.layer(
        layers.Dense,
        x.data,
        weights=[weights] if bias is None else [weights, bias],
        units=weights.shape[-1],
        use_bias=bias is not None,
    )
    return x.like(symbol)
