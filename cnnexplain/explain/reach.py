"""Receptive fields of rectangles of a map: what of the image they come from, by exact arithmetic.

Rectangles are carried from a layer down to the image: through windows with their steps, dilation and padding,
and cut at the border of every map on the way, so that what a layer never looks at is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from cnnexplain import _core

from .regions import Slide, Spans, is_pointwise, shifted, slide_of
from .spreading import Step


class Reach:
    """The way from an image of one size to a symbol, for rectangles.

    Args:
        steps, shapes: what `steps_between` gives.
        image: the id of the image's symbol.
    """

    def __init__(self, steps: Sequence[Step], shapes: dict[int, tuple], image: int):
        self.steps, self.shapes, self.image = steps, shapes, image

    def fields(self, symbol: Any, places: np.ndarray, cut: bool = True) -> np.ndarray:
        """The pixels that rectangles of a map come from.

        Args:
            symbol: the map, or a vector (n,K), of which every unit counts as one that sees all of the vector.
            places: (n,4) top, left, bottom, right of each rectangle, the last two exclusive.
            cut: at the border of every map. Otherwise the field is as large as if all maps went on for ever.

        Returns:
            (n,4), as `places`; empty (bottom <= top) where nothing of the image is seen, but padding alone.
        """
        count = len(places)
        found: dict[int, Spans] = {symbol.id: (places[:, 0::2], places[:, 1::2])}
        for step in reversed(self.steps):
            above = [found.pop(key) for key in step.ids if key in found]
            if not above:
                continue
            spans = _union(above)
            for k in sorted(set(step.changed)):
                source = step.maker.inputs[k]
                below = self._below(step, k, spans, count, cut)
                found[source.id] = _union([below, found[source.id]]) if source.id in found else below
        empty = np.zeros((count, 2), np.int64)
        rows, columns = found.get(self.image, (empty, empty))
        return np.stack([rows[:, 0], columns[:, 0], rows[:, 1], columns[:, 1]], 1)

    def _below(self, step: Step, k: int, spans: Spans, count: int, cut: bool) -> Spans:
        shape = self.shapes[step.maker.inputs[k].id]
        if len(shape) != 4:
            return _whole(count, (1, 1))
        sides = (int(shape[1]), int(shape[2]))
        made = None
        if len(step.shape) == 4:
            made = _moved(step, k, spans, shape, self.shapes)
        return _whole(count, sides) if made is None else _cut(made, sides) if cut else made


def _moved(step: Step, k: int, spans: Spans, shape: Sequence[int], shapes: dict[int, tuple]) -> Spans | None:
    """Where the rectangles lie in input k; None: anywhere in it."""
    maker, sides = step.maker, (int(shape[1]), int(shape[2]))
    if is_pointwise(maker, step.shape, step.changed):
        return tuple(  # type: ignore[return-value]
            span if side == other else _whole(len(span), (1, 1))[0]
            for span, side, other in zip(spans, sides, step.shape[1:3], strict=True)
        )
    if maker.op == "concat":
        axis = maker.attributes["axis"] % 4
        inputs = [shapes.get(v.id, tuple(v.shape)) for v in maker.inputs[:k] if v is not None]
        return _shift(spans, axis - 1, sum(int(s[axis]) for s in inputs)) if axis in (1, 2) else None
    if maker.op == "pad":
        move = shifted(maker)
        return None if move is None else _shift(_shift(spans, 0, move[0]), 1, move[1])
    if maker.op == "slice":
        begin, strides = maker.attributes["begin"], maker.attributes["strides"] or (1, 1, 1, 1)
        firsts = [b + sides[d] if (b := int(begin[d + 1])) < 0 else b for d in range(2)]
        if len(begin) != 4 or min(strides) < 1:
            return None
        return _windows(spans, (1, 1), strides[1:3], [-first for first in firsts])
    if maker.op == "resize":
        return tuple(  # type: ignore[return-value]
            _through(_weights(maker.attributes, side, other), span)
            for span, side, other in zip(spans, sides, step.shape[1:3], strict=True)
        )
    if maker.op == "conv2d_transpose":
        slide = _slide(maker, "conv2d", step.shape[1:3], sides)
        return None if slide is None else slide.spread(_cut(spans, step.shape[1:3]))
    slide = _slide(maker, maker.op.replace("max_pool_with_argmax", "max_pool2d"), sides, step.shape[1:3])
    return None if slide is None else _windows(spans, slide.extent, slide.stride, slide.before)


def _slide(maker: Any, op: str, source: Sequence[int], size: Sequence[int]) -> Slide | None:
    """The sliding window of a call, taken as one of `op`."""
    call = SimpleNamespace(op=op, attributes=maker.attributes, inputs=maker.inputs)
    return slide_of(call, tuple(map(int, source)), tuple(map(int, size)))


def _windows(
    spans: Spans, extent: Sequence[int], stride: Sequence[int], before: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """What windows see: the first begins at first * stride - before, the last ends `extent` after its own."""
    made = []
    for d, span in enumerate(spans):
        first = span[:, 0] * stride[d] - before[d]
        last = (span[:, 1] - 1) * stride[d] - before[d] + extent[d]
        made.append(np.stack([first, np.where(span[:, 1] > span[:, 0], last, first)], 1))
    return made[0], made[1]


def _shift(spans: Spans, d: int, move: int) -> Spans:
    """Spans without `move` rows (d 0) or columns (d 1) that came first."""
    rows, columns = spans
    return (rows - move, columns) if d == 0 else (rows, columns - move)


def _weights(attributes: dict[str, Any], side: int, size: int) -> np.ndarray:
    """(size, side): how much of each cell of a line is in each cell of the resized one."""
    lines = np.eye(side).reshape(1, side, 1, side)
    return np.asarray(_core.resize(lines, **(attributes | {"size": (size, 1)})))[0, :, 0]


def _through(weights: np.ndarray, span: np.ndarray) -> np.ndarray:
    seen = weights != 0
    made = np.zeros_like(span)
    for i, (begin, end) in enumerate(np.clip(span, 0, len(weights))):
        cells = np.flatnonzero(seen[begin:end].any(0))
        if len(cells):
            made[i] = cells[0], cells[-1] + 1
    return made


def _whole(count: int, sides: Sequence[int]) -> Spans:
    rows, columns = (np.tile(np.array([0, side], np.int64), (count, 1)) for side in sides)
    return rows, columns


def _cut(spans: Spans, sides: Sequence[int]) -> Spans:
    rows, columns = (np.clip(span, 0, side) for span, side in zip(spans, sides, strict=True))
    return rows, columns


def _union(many: Sequence[Spans]) -> Spans:
    """The smallest rectangles that hold one of each; an empty one counts for nothing."""
    first = many[0]
    for other in many[1:]:
        none = [(s[0][:, 0] >= s[0][:, 1]) | (s[1][:, 0] >= s[1][:, 1]) for s in (first, other)]
        made = []
        for a, b in zip(first, other, strict=True):
            both = np.stack([np.minimum(a[:, 0], b[:, 0]), np.maximum(a[:, 1], b[:, 1])], 1)
            made.append(np.where(none[0][:, None], b, np.where(none[1][:, None], a, both)))
        first = made[0], made[1]
    return first
