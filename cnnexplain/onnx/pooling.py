"""Pooling over windows and over whole images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cnnexplain.keras import layers, ops

from .registry import Node, Unsupported, operator
from .sizes import Unknown
from .values import IMAGE, Value
from .windows import Pads, Window, known_same, padded, padding_of, window


def _window(node: Node, x: Value) -> tuple[Window, Pads]:
    """The window, and what has to be added below and right so that rounding up becomes rounding down."""
    if node.attribute("kernel_shape") is None:
        raise Unsupported("it has no kernel_shape")
    if node.attribute("storage_order", 0) or any(node.outputs[1:]):
        raise Unsupported("its second output, where the maxima were, is read by another node")
    w = window(node, ())
    if max(w.dilations) > 1:
        raise Unsupported("it has dilations")
    extra = [(0, 0), (0, 0)]
    if node.attribute("ceil_mode", 0) and w.auto == "NOTSET":
        extra = [(0, _missing(w, k, x.shape[2 + k])) for k in (0, 1)]
    return w, (extra[0], extra[1])


def _missing(w: Window, axis: int, size: Any) -> int:
    stride, extent, (before, after) = w.strides[axis], w.extent(axis), w.pads[axis]
    if stride == 1:
        return 0
    if isinstance(size, Unknown):
        raise Unsupported("its ceil_mode needs a known height and width: export the model with them fixed")
    whole = size + before + after
    count = -(-(whole - extent) // stride) + 1
    if (count - 1) * stride >= size + before:  # a window that would begin beyond the image
        count -= 1
    return max((count - 1) * stride + extent - whole, 0)


def _is_nothing(w: Window, extra: Pads) -> bool:
    return w.size == (1, 1) and w.strides == (1, 1) and not np.any([w.pads, extra])


def _sum(a: Pads, b: Pads) -> Pads:
    return (a[0][0] + b[0][0], a[0][1] + b[0][1]), (a[1][0] + b[1][0], a[1][1] + b[1][1])


@operator("MaxPool")
def max_pool(node: Node, x: Value) -> Value:
    x = node.images(x)
    w, extra = _window(node, x)
    if _is_nothing(w, extra):
        return x
    padding, pads = padding_of(x.shape[2:], replace(w, pads=_sum(w.pads, extra)))
    symbol = padded(node, x.data, pads, 0.0 if x.positive else -np.inf)
    symbol = node.layer(layers.MaxPooling2D, symbol, pool_size=w.size, strides=w.strides, padding=padding)
    return replace(x, data=symbol)


@operator("AveragePool")
def average_pool(node: Node, x: Value) -> Value:
    if x.rank != 4:
        return _average_of_any(node, x)
    x = node.images(x)
    w, extra = _window(node, x)
    if _is_nothing(w, extra):
        return x
    counts_pads = bool(node.attribute("count_include_pad", 0))
    padding, pads = padding_of(x.shape[2:], replace(w, pads=_sum(w.pads, extra)))
    if padding == "same" and counts_pads and (np.any(w.pads) or w.auto != "NOTSET"):
        padding, pads = "valid", w.pads if w.auto == "NOTSET" else known_same(x.shape[2:], w)
    scale = None
    if padding == "valid" and np.any(pads if not counts_pads else extra):
        scale = _shares(x, w, pads, ((0, 0), (0, 0)) if not counts_pads else w.pads)
    symbol = padded(node, x.data, pads)
    symbol = node.layer(layers.AveragePooling2D, symbol, pool_size=w.size, strides=w.strides, padding=padding)
    if scale is not None:
        symbol = symbol * scale.astype(node.dtype)
    return replace(x, data=symbol)


def _average_of_any(node: Node, x: Value) -> Value:
    """Means of neighbours along any axes, step by step: PyTorch writes local responses so."""
    kernel = node.attribute("kernel_shape") or []
    moves = [*node.attribute("pads", []), *(stride - 1 for stride in node.attribute("strides", []))]
    if len(kernel) != x.rank - 2 or any(moves) or node.attribute("auto_pad", "NOTSET").startswith("SAME"):
        raise Unsupported(f"it has an input with {x.rank} axes; images have 4")
    x = node.unflattened(x)
    for axis, many in enumerate(kernel, 2):
        if many == 1:
            continue
        if isinstance(x.shape[axis], Unknown):
            raise Unsupported("it pools a size that is not known: export with fixed sizes")
        before, left = [slice(None)] * x.place(axis), x.shape[axis] - many + 1
        keys = [(*before, slice(k, k + left)) for k in range(many)]
        parts = [x.data[key] for key in keys]
        x = replace(x, data=sum(parts[1:], parts[0]) / many)
    return x


def _shares(x: Value, w: Window, pads: Pads, counted: Pads) -> np.ndarray:
    """Cells of a window over those of them that count, (1, h', w', 1): inside the image or `counted` pads."""
    ratios = []
    for k in (0, 1):
        size = x.shape[2 + k]
        if isinstance(size, Unknown):
            raise Unsupported("its padding needs a known height and width: export the model with them fixed")
        cells = np.zeros(pads[k][0] + size + pads[k][1])
        cells[pads[k][0] - counted[k][0] : pads[k][0] + size + counted[k][1]] = 1
        starts = range(0, len(cells) - w.size[k] + 1, w.strides[k])
        ratios.append(np.array([w.size[k] / cells[s : s + w.size[k]].sum() for s in starts]))
    return (ratios[0][:, None] * ratios[1])[None, :, :, None]


@operator("GlobalAveragePool")
def global_average(node: Node, x: Value, keepdims: bool = True) -> Value:
    """The mean over height and width, which stay as axes of size 1 with `keepdims`."""
    return _global(node, x, layers.GlobalAveragePooling2D, keepdims)


@operator("GlobalMaxPool")
def global_max(node: Node, x: Value, keepdims: bool = True) -> Value:
    """The maximum over height and width."""
    return _global(node, x, layers.GlobalMaxPooling2D, keepdims)


def _global(node: Node, x: Value, cls: Any, keepdims: bool) -> Value:
    if x.rank != 4 and x.rank > 2:
        x = node.unflattened(x)
        function = ops.mean if cls is layers.GlobalAveragePooling2D else ops.max
        return x.like(function(x.data, axis=tuple(x.place(axis) for axis in range(2, x.rank)), keepdims=True))
    x = node.images(x)
    symbol = node.layer(cls, x.data, keepdims=keepdims)
    return Value(symbol, IMAGE if keepdims else (0, 1), positive=x.positive)


def over_images(x: Value, axes: Any) -> bool:
    """Are these just height and width of an image that lies as (n, h, w, c)?"""
    places = sorted(x.place(axis) for axis in axes)
    return x.rank == 4 and places == [1, 2] and x.place(1) == 3
