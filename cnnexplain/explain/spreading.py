"""How far the windows' rectangles reach into a network, and which windows are best computed together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnexplain import _core

from .regions import Slide, Spans, cost_of, is_pointwise, shifted, slide_of, union

MOST_CHANGED = 0.85  # of the cost of the whole map: from there on all of it is computed
_MOST_PARTS = 3  # of the windows' rows, and of their columns
_MOST_PLACES = 14  # that are told apart when they are parted
_EXTRA_GROUP = 0.02  # what another group costs, in whole runs of the network


class Step:
    """One op between the image and the score.

    Attributes:
        maker: the call.
        ids: of its outputs.
        changed: the places of the inputs that depend on the image.
        shape: of its first output, with the batch of the shapes asked for.
        spans: where the first output changes; None: everywhere, or it is no map.
        slide, cost, sides: see `regions`.
    """

    def __init__(self, maker: Any, changed: list[int], shapes: list[tuple[int, ...]]):
        self.maker, self.changed, self.shape = maker, changed, shapes[0]
        self.ids = [maker.id + 1 + port for port in range(len(shapes))]
        self.spans: Spans | None = None
        self.slide: Slide | None = None
        self.cost, self.sides = 1.0, lambda side: side


def steps_between(
    image: Any, size: tuple[int, ...], wanted: Sequence[Any]
) -> tuple[list[Step], dict[int, tuple]]:
    """The ops that lead from the image to what is wanted, in order, and the shapes of all their outputs.

    Args:
        image: the program's symbol.
        size: (h, w, c) of the images.
        wanted: symbols.
    """
    makers: dict[int, Any] = {}
    stack = list(wanted)
    while stack:
        maker = stack.pop().maker
        if maker is None or maker.id in makers:
            continue
        makers[maker.id] = maker
        stack += [value for value in maker.inputs if getattr(value, "maker", None) is not None]
    known: dict[int, Any] = {image.id: _core.symbol((None, *size), image.dtype.name)}
    steps = []
    for _, maker in sorted(makers.items()):
        changed = [k for k, value in enumerate(maker.inputs) if value is not None and value.id in known]
        if not changed:
            continue
        made = maker.replay([None if v is None else known.get(v.id, v) for v in maker.inputs])
        steps.append(Step(maker, changed, [tuple(symbol.shape) for symbol in made]))
        known |= dict(zip(steps[-1].ids, made, strict=True))
    return steps, {key: tuple(symbol.shape) for key, symbol in known.items()}


def follow(steps: Sequence[Step], image: int, spans: Spans, shapes: dict[int, tuple]) -> None:
    """Fills in where each step's output changes, as long as that can be told."""
    changes: dict[int, Spans] = {image: spans}
    for step in steps:
        ids = [step.maker.inputs[k].id for k in step.changed]
        inputs = [changes[key] for key in ids if key in changes]
        if len(inputs) < len(ids) or len(step.shape) != 4 or len(step.ids) != 1:
            continue
        step.spans = _spread(step, inputs, shapes)
        if step.spans is not None:
            changes[step.ids[0]] = step.spans
            step.cost, step.sides = cost_of(step.maker, step.slide, step.shape)


def _spread(step: Step, inputs: list[Spans], shapes: dict[int, tuple]) -> Spans | None:
    maker, shape = step.maker, step.shape
    if is_pointwise(maker, shape, step.changed) and all(
        _lies_on(step, k, shapes) for k, v in enumerate(maker.inputs) if v is not None
    ):
        return union(inputs)
    if step.changed != [0]:
        return None
    source = shapes[maker.inputs[0].id][1:3]
    if maker.op == "pad" and shifted(maker) is not None:
        rows, columns = (span + move for span, move in zip(inputs[0], shifted(maker) or (), strict=True))
        return rows, columns
    step.slide = slide_of(maker, source, shape[1:3])
    return None if step.slide is None else step.slide.spread(inputs[0])


def _lies_on(step: Step, k: int, shapes: dict[int, tuple]) -> bool:
    """Input k of a pointwise op is a map as large as the result, or has no rows and columns."""
    value = step.maker.inputs[k]
    shape = shapes.get(value.id, tuple(value.shape))
    if k in step.changed:
        return len(shape) == 4 and shape[1:3] == step.shape[1:3]
    if step.maker.op in ("dense", "batch_norm"):
        return True
    sides = shape[-3:-1] if len(shape) > 2 else shape[:-1]
    return (
        all(side == 1 for side in sides)
        and (len(shape) < 4 or shape[0] in (1, None))
        and (step.maker.op != "concat")
    )


def group(steps: Sequence[Step], counts: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Parts the windows so that those of a group change about as much, where that saves work.

    Patches of one group have one size, that of the largest. Which rows of windows belong together, and which
    columns, is found by trying.

    Args:
        steps: followed.
        counts: how many rows and columns of windows there are.

    Returns:
        (rows, columns) of each group.
    """
    followed = [step for step in steps if step.spans is not None]
    if not followed:
        return [(np.arange(counts[0]), np.arange(counts[1]))]
    orders, ranges, sizes = [], [], []
    for d, count in enumerate(counts):
        lengths = np.stack([_lengths(step, d) for step in followed], 1)
        share = lengths / np.array([step.shape[1 + d] for step in followed])
        order = np.argsort(share.sum(1), kind="stable")
        edges = np.unique(np.linspace(0, count, min(count, _MOST_PLACES) + 1).round().astype(int))
        pairs = [(a, b) for i, a in enumerate(edges) for b in edges[i + 1 :]]
        orders.append(order)
        ranges.append(pairs)
        sizes.append(np.stack([lengths[order[a:b]].max(0) for a, b in pairs]))
    cost = _costs(followed, sizes[0], sizes[1])
    whole = sum(step.cost * step.sides(step.shape[1]) * step.sides(step.shape[2]) for step in followed)
    members = [np.array([b - a for a, b in pairs]) for pairs in ranges]
    work = cost * members[0][:, None] * members[1] + _EXTRA_GROUP * whole
    parted = [_partitions(pairs, count) for pairs, count in zip(ranges, counts, strict=True)]
    chosen = [np.zeros((len(parts), len(pairs))) for parts, pairs in zip(parted, ranges, strict=True)]
    for used, parts in zip(chosen, parted, strict=True):
        for i, part in enumerate(parts):
            used[i, part] = 1
    total = chosen[0] @ work @ chosen[1].T
    best = np.unravel_index(int(total.argmin()), total.shape)
    rows, columns = (
        [np.sort(orders[d][slice(*ranges[d][k])]) for k in parted[d][int(best[d])]] for d in range(2)
    )
    return [(r, c) for r in rows for c in columns]


def _lengths(step: Step, d: int) -> np.ndarray:
    """(windows,) how many rows (d 0) or columns (d 1) change."""
    assert step.spans is not None
    return step.spans[d][:, 1] - step.spans[d][:, 0]


def _partitions(pairs: list[tuple[int, int]], count: int) -> list[list[int]]:
    """Every way to cover [0, count) by at most `_MOST_PARTS` of the ranges, as their indices."""
    starting: dict[int, list[int]] = {}
    for k, (a, _) in enumerate(pairs):
        starting.setdefault(a, []).append(k)
    found: list[list[int]] = []

    def extend(part: list[int], at: int) -> None:
        if at == count:
            found.append(part)
        elif len(part) < _MOST_PARTS:
            for k in starting[at]:
                extend([*part, k], pairs[k][1])

    extend([], 0)
    return found


def _costs(steps: Sequence[Step], rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What a window costs where patches have rows[i] x columns[j]: (i, steps), (j, steps) -> (i, j)."""
    total = np.zeros((len(rows), len(columns)))
    over = np.zeros(total.shape, bool)
    for k, step in enumerate(steps):
        height, width = step.shape[1:3]
        share = np.multiply.outer(
            step.sides(np.maximum(rows[:, k], 1)) / step.sides(height),
            step.sides(np.maximum(columns[:, k], 1)) / step.sides(width),
        )
        over |= share >= MOST_CHANGED
        total += step.cost * step.sides(height) * step.sides(width) * np.where(over, 1, share)
    return total
