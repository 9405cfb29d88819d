"""Where a map changes when a window of the image does: rectangles, carried from layer to layer.

A rectangle is two spans, of rows and of columns; spans are half-open. Windows form a grid, so that all their
rectangles in one map are told by two arrays: one span for each row of windows, one for each column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

Spans = tuple[np.ndarray, np.ndarray]
"""(rows of windows, 2) and (columns of windows, 2): where each window's rectangle begins and ends."""

# one pixel of the output comes from the pixel of the inputs at the same place
POINTWISE = frozenset(
    """
    relu elu selu gelu silu mish sigmoid hard_sigmoid hard_silu tanh softplus softsign negative abs square
    sqrt rsqrt exp log log1p sin cos tan asin acos atan sinh cosh asinh acosh atanh erf expm1 sign round
    floor ceil clip cast isnan isinf isfinite identity stop_gradient logical_not batch_norm
    local_response_normalization dense add subtract multiply divide floor_divide floor_mod pow maximum
    minimum atan2 squared_difference equal not_equal greater greater_equal less less_equal logical_and
    logical_or where softmax log_softmax concat
    """.split()
)
_ALONG_CHANNELS = ("softmax", "log_softmax", "concat")
_WINDOWED = ("conv2d", "depthwise_conv2d", "max_pool2d", "average_pool2d")


@dataclass(frozen=True)
class Slide:
    """How an op's window slides over a map: (rows, columns) of each.

    Attributes:
        extent: of the window, dilation included.
        stride, before: steps, and pixels of padding before the first.
        padded: the window reaches beyond the map somewhere.
        outside: what the op sees there; None: it averages over what is inside.
        source, size: sides of the map and of the result.
    """

    extent: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    padded: bool
    outside: float | None
    source: tuple[int, int]
    size: tuple[int, int]

    def spread(self, spans: Spans) -> Spans:
        """The results that see something of these rectangles."""
        made = []
        for d, span in enumerate(spans):
            first = -((self.extent[d] - 1 - self.before[d] - span[:, 0]) // self.stride[d])
            last = (span[:, 1] - 1 + self.before[d]) // self.stride[d] + 1
            low = np.clip(first, 0, self.size[d])
            made.append(np.stack([low, np.maximum(np.clip(last, 0, self.size[d]), low)], 1))
        return made[0], made[1]

    def reach(self, d: int, length: int) -> int:
        """How many rows (d 0) or columns (d 1) so many results see."""
        return (length - 1) * self.stride[d] + self.extent[d]

    def inside(self, d: int, begin: np.ndarray, length: int) -> np.ndarray:
        """(len(begin), length): how many of a window's rows (d 0) or columns (d 1) lie inside the map, for
        results `begin`, `begin` + 1, ...
        """
        first = (begin[:, None] + np.arange(length)) * self.stride[d] - self.before[d]
        return np.clip(first + self.extent[d], 0, self.source[d]) - np.clip(first, 0, self.source[d])


def slide_of(maker: Any, source: Sequence[int], size: Sequence[int]) -> Slide | None:
    """The sliding window of this op on a map of sides `source`; None: it has none that is known here."""
    if maker.op not in _WINDOWED:
        return None
    attributes = maker.attributes
    pooling = maker.op.endswith("pool2d")
    window = attributes["pool_size"] if pooling else tuple(maker.inputs[1].shape)[:2]
    dilation = (1, 1) if pooling else attributes["dilation"]
    extent = tuple((int(k) - 1) * int(d) + 1 for k, d in zip(window, dilation, strict=True))
    steps = attributes["strides"]
    stride = tuple(int(s) or extent[d] for d, s in enumerate(steps))
    reach = [(size[d] - 1) * stride[d] + extent[d] for d in range(2)]
    if attributes["padding"] == "same":
        before = tuple(max(reach[d] - source[d], 0) // 2 for d in range(2))
    elif attributes["padding"] == "explicit":
        before = tuple(int(attributes["pads"][2 * d]) for d in range(2))
    else:
        before = (0, 0)
    padded = any(before[d] > 0 or reach[d] - before[d] > source[d] for d in range(2))
    if pooling and any(
        before[d] >= extent[d] or reach[d] - before[d] >= source[d] + extent[d] for d in (0, 1)
    ):
        return None  # a window that is wholly outside
    outside = {"max_pool2d": -inf, "average_pool2d": None}.get(maker.op, 0.0)
    return Slide(extent, stride, before, padded, outside, tuple(source), tuple(size))  # type: ignore[arg-type]


def cost_of(maker: Any, slide: Slide | None, shape: Sequence[int]) -> tuple[float, Callable[..., Any]]:
    """What a pixel of this op's result costs, in multiplications, and by which rule sides count.

    Sides of 3 x 3 convolutions count in the tiles of 4 that they are computed by.
    """
    if slide is None or maker.op.endswith("pool2d"):
        window = 1 if slide is None else slide.extent[0] * slide.extent[1]
        return 8.0 * window * shape[3], _as_it_is
    kernel = tuple(maker.inputs[1].shape)
    work = float(np.prod([int(n) for n in kernel[:3]])) * (shape[3] if maker.op == "conv2d" else 1)
    tiled = slide.extent == (3, 3) and slide.stride == (1, 1) and kernel[:2] == (3, 3) and work > 16 * 16 * 9
    return (work / 2.5, _in_tiles) if tiled else (work, _as_it_is)


def _as_it_is(side: Any) -> Any:
    return side


def _in_tiles(side: Any) -> Any:
    return -(-side // 4) * 4


def union(many: Sequence[Spans]) -> Spans:
    """The smallest rectangles that hold one of each."""
    first = many[0]
    for other in many[1:]:
        rows, columns = (
            np.stack([np.minimum(a[:, 0], b[:, 0]), np.maximum(a[:, 1], b[:, 1])], 1)
            for a, b in zip(first, other, strict=True)
        )
        first = rows, columns
    return first


def shifted(maker: Any) -> tuple[int, int] | None:
    """By how much a `pad` of rows and columns moves its input; None: it pads in another way."""
    attributes = maker.attributes
    before, after = attributes["before"], attributes["after"]
    if attributes["mode"] != "constant" or len(before) != 4 or before[0] or after[0] or before[3] or after[3]:
        return None
    return int(before[1]), int(before[2])


def is_pointwise(maker: Any, shape: Sequence[int], changed: Sequence[int]) -> bool:
    """Whether a pixel of the result, of this shape, comes from the inputs' pixels at its place.

    Args:
        maker: the op.
        shape: of its result, (n,h,w,c).
        changed: the places among the inputs of those that change.
    """
    if maker.op not in POINTWISE or len(shape) != 4:
        return False
    if maker.op in _ALONG_CHANNELS:
        return maker.attributes["axis"] in (3, -1)
    return not (maker.op in ("dense", "batch_norm") and tuple(changed) != (0,))
