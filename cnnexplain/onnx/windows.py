"""Windows of convolutions and poolings: sizes, strides and padding as ONNX says them and as Keras does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnnexplain.keras import layers, ops

from .registry import Node, Unsupported
from .sizes import Unknown

Pads = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Window:
    """(height, width) of each setting; `pads` are ((top, bottom), (left, right))."""

    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: Pads
    auto: str

    def extent(self, axis: int) -> int:
        """How many rows or columns the window spans."""
        return (self.size[axis] - 1) * self.dilations[axis] + 1


def _two(node: Node, name: str, default: int, least: int) -> tuple[int, int]:
    values = [int(v) for v in node.attribute(name) or (default, default)]
    if len(values) != 2 or min(values) < least:
        raise Unsupported(f"its {name} must be two integers from {least}, not {values}")
    return values[0], values[1]


def window(node: Node, size: Sequence[int]) -> Window:
    """The window of a node."""
    kernel = [int(v) for v in node.attribute("kernel_shape") or size]
    if len(kernel) != 2 or min(kernel) < 1:
        raise Unsupported(f"its kernel_shape must be two integers from 1, not {kernel}")
    pads = [int(v) for v in node.attribute("pads") or (0, 0, 0, 0)]
    if len(pads) != 4 or min(pads) < 0:
        raise Unsupported(f"its pads must be four integers from 0, not {pads}")
    auto = node.attribute("auto_pad", "NOTSET") or "NOTSET"
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise Unsupported(f"its auto_pad is {auto!r}")
    return Window(
        (kernel[0], kernel[1]),
        _two(node, "strides", 1, 1),
        _two(node, "dilations", 1, 1),
        ((pads[0], pads[2]), (pads[1], pads[3])) if auto == "NOTSET" else ((0, 0), (0, 0)),
        auto,
    )


def same_pads(size: Any, extent: int, stride: int) -> tuple[int, int] | None:
    """What Keras's "same" adds before and after; None where it depends on a size that is not known."""
    if isinstance(size, Unknown):
        if stride > 1:
            return None
        total = extent - 1
    else:
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def known_same(size: Sequence[Any], w: Window) -> Pads:
    """`same_pads` of both axes, where they can be known."""
    found = [same_pads(size[k], w.extent(k), w.strides[k]) for k in (0, 1)]
    if found[0] is None or found[1] is None:
        raise Unsupported("its auto_pad needs a known height and width: export the model with them fixed")
    return found[0], found[1]


def padding_of(size: Sequence[Any], w: Window) -> tuple[str, Pads]:
    """Keras's `padding`, and the rows and columns to add before it."""
    same = [same_pads(size[k], w.extent(k), w.strides[k]) for k in (0, 1)]
    nothing: Pads = ((0, 0), (0, 0))
    if w.auto == "SAME_UPPER":
        return "same", nothing
    if w.auto == "SAME_LOWER":
        rows, columns = known_same(size, w)
        return "valid", (rows[::-1], columns[::-1])
    if w.pads == nothing:
        return "valid", nothing
    return ("same", nothing) if list(w.pads) == same else ("valid", w.pads)


def padded(node: Node, symbol: Any, pads: Pads, value: float = 0.0) -> Any:
    """An image (n, h, w, c) with rows and columns of a value around it."""
    if pads == ((0, 0), (0, 0)):
        return symbol
    if value == 0:
        return node.layer(layers.ZeroPadding2D, symbol, part="pad", padding=pads)
    return ops.pad(symbol, ((0, 0), *pads, (0, 0)), constant_values=value)
