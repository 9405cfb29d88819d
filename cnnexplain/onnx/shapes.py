"""Operators that change shapes, and those that cut and join. Most of them only rename axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnnexplain.keras import layers, ops

from .arrays import TYPES
from .folding import cuts
from .registry import Node, Unsupported, operator
from .sizes import BATCH, Unknown, plain, product
from .values import Value, arrange, axis_of, target_of

_OTHER_EXAMPLES = (
    "it mixes the examples' axis with others, so that the batch cannot be of any size: export the model with "
    "a batch axis that stays (dynamic_axes or dynamic_shapes)"
)

_FAR = 10**9  # ends that stand for the end of an axis


@operator("Identity", "Dropout")
def identity(node: Node, x: Value, *rest: Any) -> Value:
    if any(node.outputs[1:]) and node.op == "Dropout":
        raise Unsupported("its mask is read by another node: export the model in evaluation mode")
    return x


@operator("Cast")
def cast(node: Node, x: Value) -> Value:
    to = node.attribute("to", 1)
    if to in (1, 10, 11, 16):
        kind = node.dtype
    elif to in TYPES:
        kind = np.dtype(TYPES[to][1]).name
    else:
        raise Unsupported(f"it casts to type {to}")
    return x if x.data.dtype.name == kind else x.like(ops.cast(x.data, kind), order=x.order)


@operator("Transpose")
def transpose(node: Node, x: Value) -> Value:
    perm = node.attribute("perm") or list(range(x.rank))[::-1]
    if sorted(perm) != list(range(x.rank)):
        raise Unsupported(f"its perm {perm} is no order of {x.rank} axes")
    if list(perm) == sorted(perm):
        return x
    x = node.unflattened(x)
    return replace(x, axes=tuple(list(perm).index(axis) for axis in x.axes))


@operator("Flatten")
def flatten(node: Node, x: Value) -> Value:
    axis = node.attribute("axis", 1)
    axis = axis + x.rank if axis < 0 else axis
    return reshaped(node, x, [product(x.shape[:axis]), product(x.shape[axis:])])


@operator("Reshape")
def reshape(node: Node, x: Value, shape: Value | None = None) -> Value:
    sizes = node.constant(1) if shape is not None else node.attribute("shape")
    if sizes is None:
        raise Unsupported("it does not say to which shape")
    target = [size if isinstance(size, Unknown) else int(size) for size in sizes]
    if not node.attribute("allowzero", 0):
        target = [
            x.shape[place] if not isinstance(size, Unknown) and size == 0 else size
            for place, size in enumerate(target)
        ]
    return reshaped(node, x, target)


@operator("Squeeze")
def squeeze(node: Node, x: Value, axes: Value | None = None) -> Value:
    found = node.integers(1, "axes")
    gone = [x.axis(a) for a in found] if found else [a for a, size in enumerate(x.shape) if size == 1]
    if any(x.shape[axis] != 1 for axis in gone):
        raise Unsupported(
            f"it removes axes {gone} of an input of shape {x.shape}: only those of size 1 can go"
        )
    x = node.unflattened(x)
    kept = [axis for axis in range(x.rank) if axis not in gone]
    return renamed(node, x, [x.shape[axis] for axis in kept], {axis: k for k, axis in enumerate(kept)})


@operator("Unsqueeze")
def unsqueeze(node: Node, x: Value, axes: Value | None = None) -> Value:
    found = node.integers(1, "axes") or []
    rank = x.rank + len(found)
    added = {axis_of(axis, rank) for axis in found}
    if 0 in added:
        raise Unsupported(_OTHER_EXAMPLES)
    x = node.unflattened(x)
    old = [axis for axis in range(rank) if axis not in added]
    shape: list[Any] = [1] * rank
    for axis, size in zip(old, x.shape, strict=True):
        shape[axis] = size
    return renamed(node, x, shape, dict(enumerate(old)))


def renamed(node: Node, x: Value, shape: Sequence[Any], new: dict[int, int], part: str = "") -> Value:
    """x with another shape in which its long axes have new numbers and keep their order in memory."""
    axes = arrange(shape, [new[axis] for axis in x.axes if axis in new])
    return Value(node.reshaped(x.data, target_of(shape, axes), part), axes, positive=x.positive)


def reshaped(node: Node, x: Value, target: list[Any]) -> Value:
    """x with another shape.

    Axes that stay keep their place in memory. Those that are merged must lie side by side; where they do not,
    a vector remembers the order it is in, and anything else is brought into the file's order first.
    """
    if x.axes[0] != 0 or not target:
        raise Unsupported(_OTHER_EXAMPLES)
    if x.order is not None and x.rank == len(target) and x.shape[1:] == tuple(target[1:]):
        return x
    x = node.unflattened(x)
    target = [BATCH, *_resolved(x.shape[1:], target[1:], target[0])]
    if tuple(target) == x.shape:
        return x
    blocks = _blocks(x.shape, target)
    long = [axis for axis in x.axes if axis and x.shape[axis] != 1]
    if any(not _side_by_side(long, before) for before, _ in blocks):
        if len(target) == 2 and len(blocks) == 1:
            if any(isinstance(x.shape[axis], Unknown) for axis in long):
                raise Unsupported(
                    "it flattens a height or width that is not known: export the model with them fixed"
                )
            sizes = [int(x.shape[axis]) for axis in sorted(long)]
            order = (tuple(sizes), tuple(sorted(long).index(axis) for axis in long))
            flat = node.reshaped(x.data, target_of(target, (0, 1)), "")
            return Value(flat, (0, 1), order, x.positive)
        x = _sorted(node, x, blocks)
        long = [axis for axis in x.axes if axis and x.shape[axis] != 1]
    new = [0]
    for axis in long:
        new += next((after for before, after in blocks if before and before[0] == axis), [])
    axes = arrange(target, new)
    return Value(node.reshaped(x.data, target_of(target, axes), ""), axes, positive=x.positive)


def _resolved(sizes: Sequence[Any], target: list[Any], examples: Any) -> list[Any]:
    """The target without -1."""
    have = product(sizes)
    if examples == -1 and -1 in target:
        raise Unsupported("it has two sizes that are to be found out")
    known = product([size for size in target if size != -1])
    if -1 in target:
        left = have // known if known else 0
        made = [left if size == -1 else size for size in target]
    else:
        made = list(target)
    got = product(made)
    if not isinstance(have, Unknown) and not isinstance(got, Unknown) and have != got:
        raise Unsupported(_OTHER_EXAMPLES if -1 not in target else f"it makes {made} of {list(sizes)}")
    return made


def _blocks(shape: Sequence[Any], target: Sequence[Any]) -> list[tuple[list[int], list[int]]]:
    """Which axes become which: (old, new) lists of equal products, in order, axes of size 1 left out."""
    old = [axis for axis, size in enumerate(shape) if axis and size != 1]
    new = [axis for axis, size in enumerate(target) if axis and size != 1]
    first: list[tuple[list[int], list[int]]] = []
    last: list[tuple[list[int], list[int]]] = []
    while old and new and shape[old[0]] == target[new[0]]:
        first.append(([old.pop(0)], [new.pop(0)]))
    while old and new and shape[old[-1]] == target[new[-1]]:
        last.insert(0, ([old.pop()], [new.pop()]))
    if any(isinstance(shape[a], Unknown) for a in old) or any(isinstance(target[a], Unknown) for a in new):
        return [*first, (old, new), *last]
    middle: list[tuple[list[int], list[int]]] = []
    while old or new:
        a, b = ([old.pop(0)] if old else []), ([new.pop(0)] if new else [])
        while product([shape[k] for k in a]) != product([target[k] for k in b]):
            if product([shape[k] for k in a]) < product([target[k] for k in b]):
                a.append(old.pop(0))
            else:
                b.append(new.pop(0))
        middle.append((a, b))
    return [*first, *middle, *last]


def _side_by_side(order: list[int], axes: list[int]) -> bool:
    places = [order.index(axis) for axis in axes]
    return places == list(range(places[0], places[0] + len(places))) if places else True


def _sorted(node: Node, x: Value, blocks: list[tuple[list[int], list[int]]]) -> Value:
    """x with the axes of each block side by side and in the file's order."""
    axes: list[int] = [0]
    for axis in x.axes[1:]:
        block = next((before for before, _ in blocks if axis in before), [axis])
        axes += [a for a in block if a not in axes]
    return node.laid(x, axes)


@operator("Concat")
def concat(node: Node, *parts: Value) -> Value:
    given = [part if part.is_constant else node.unflattened(part) for part in parts]
    computed = [part for part in given if not part.is_constant]
    best = max(computed, key=lambda x: sum(size != 1 for size in x.shape))
    if len({x.rank for x in given}) > 1:
        raise Unsupported("it joins values with different numbers of axes")
    place = best.place(node.attribute("axis", 1))
    if place == 0:
        raise Unsupported(_OTHER_EXAMPLES)
    if len(given) == 1:
        return best
    data = [
        _for_examples(node, x, best, place) if x.is_constant else node.laid(x, best.axes).data for x in given
    ]
    positive = all(x.positive for x in given)
    return replace(best, data=node.layer(layers.Concatenate, *data, axis=place), positive=positive)


def _for_examples(node: Node, x: Value, like: Value, place: int) -> Any:
    """A constant once for each example, as it lies beside another value."""
    array = like.arranged(x.array).astype(node.dtype)
    if len(array) != 1:
        raise Unsupported(_OTHER_EXAMPLES)
    return ops.zeros_like(_cut(like, place, 0, 1)) + array


def _cut(x: Value, place: int, start: Any, stop: Any, step: int = 1) -> Any:
    return x.data[(slice(None),) * place + (slice(start, stop, None if step == 1 else step),)]


@operator("Split")
def split(node: Node, x: Value, sizes: Value | None = None) -> tuple[Value, ...]:
    axis = node.attribute("axis", 0)
    place = x.place(axis)
    if place == 0:
        raise Unsupported(_OTHER_EXAMPLES)
    x = node.unflattened(x)
    length = x.shape[x.axis(axis)]
    given = node.integers(1, "split")
    if given is None:
        if isinstance(length, Unknown):
            raise Unsupported("it splits a size that is not known: export with it fixed")
        each = -(-length // len(node.outputs))
        given = [min(each, length - k * each) for k in range(len(node.outputs))]
    ends = np.cumsum(given).tolist()
    if min(given) < 0 or (not isinstance(length, Unknown) and ends[-1] != length):
        raise Unsupported(f"its parts {given} do not make {length}")
    return tuple(
        replace(x, data=_cut(x, place, end - size, end)) for size, end in zip(given, ends, strict=True)
    )


@operator("Slice")
def slice_(node: Node, x: Value, *settings: Value | None) -> Value:
    inputs = tuple(node.constant(k) for k in range(1, len(node.inputs)))
    x = node.unflattened(x)
    for axis, start, end, step in cuts(node, x.rank, inputs):
        place = x.place(axis)
        whole = not isinstance(start, Unknown) and int(start) == 0 and step == 1
        if whole and (isinstance(end, Unknown) or int(end) >= _FAR or end == x.shape[axis]):
            continue
        if place == 0:
            raise Unsupported(_OTHER_EXAMPLES)
        if isinstance(start, Unknown) or (isinstance(end, Unknown) and end != x.shape[axis]):
            raise Unsupported("it cuts at a size that is not known: export with fixed sizes")
        size = x.shape[axis]
        first, last = int(start), None if isinstance(end, Unknown) else int(end)
        if not isinstance(size, Unknown):
            first, last, step = slice(first, last, step).indices(size)
            last = None if last < 0 else last
        elif last is not None and abs(last) >= _FAR:
            last = None
        x = replace(x, data=_cut(x, place, first, last, step))
    return x


@operator("Gather")
def gather(node: Node, x: Value, indices: Value) -> Value:
    return _picked(node, x, node.constant(1), x.axis(node.attribute("axis", 0)))


def _picked(node: Node, x: Value, places: np.ndarray, axis: int) -> Value:
    """Entries of an axis, which becomes the axes of `places`."""
    if x.place(axis) == 0:
        raise Unsupported(_OTHER_EXAMPLES)
    _check_places(places, x.shape[axis])
    x = node.unflattened(x)
    data = ops.take(x.data, places.astype(np.int32), axis=x.place(axis))
    more = places.ndim - 1
    new = {a: [a + more if a > axis else a] for a in x.axes} | {axis: list(range(axis, axis + places.ndim))}
    return Value(data, tuple(a for old in x.axes for a in new[old]), positive=x.positive)


def _check_places(places: np.ndarray, size: Any) -> None:
    if not isinstance(size, Unknown) and places.size and not -size <= places.min() <= places.max() < size:
        raise Unsupported(f"it takes entries {places.min()} to {places.max()} of {size}")


@operator("GatherND")
def gather_nd(node: Node, x: Value, indices: Value) -> Value:
    """What lies at constant places of the first axes, which are joined to one."""
    picked = node.constant(1)
    depth, count = picked.shape[-1], picked.ndim - 1
    if node.attribute("batch_dims", 0) or x.axes[0] < depth:
        raise Unsupported(_OTHER_EXAMPLES)
    if depth == 1:
        return _picked(node, x, picked[..., 0], 0)
    sizes = x.shape[:depth]
    if any(isinstance(size, Unknown) for size in sizes):
        raise Unsupported("it picks from a size that is not known: export with fixed sizes")
    for axis, size in enumerate(sizes):
        _check_places(picked[..., axis], size)
    rest = [axis for axis in x.axes[1:] if axis >= depth]
    x = node.laid(x, [x.axes[0], *range(depth), *rest])
    after = tuple(-1 if plain(x.shape[axis]) is None else x.shape[axis] for axis in rest)
    places = np.ravel_multi_index(tuple(np.moveaxis(picked % sizes, -1, 0)), sizes)
    joined = node.reshaped(x.data, (int(np.prod(sizes)), *after))
    made = ops.take(joined, places.astype(np.int32), axis=1)
    first, *others = (axis - depth + count for axis in (x.axes[0], *rest))
    return Value(made, (first, *range(count), *others), positive=x.positive)


@operator("Pad")
def pad(node: Node, x: Value, *settings: Value | None) -> Value:
    mode = node.attribute("mode", "constant")
    pads = node.integers(1, "pads")
    value = node.attribute("value", 0.0)
    if node.opset >= 11:
        found = node.constant(2)
        value = 0.0 if found is None or not found.size else found.item()
    axes = node.integers(3, "axes") or list(range(x.rank))
    if pads is None or len(pads) != 2 * len(axes):
        raise Unsupported(f"its pads {pads} do not fit {len(axes)} axes")
    x = node.unflattened(x)
    widths = [(0, 0)] * x.rank
    for k, axis in enumerate(axes):
        widths[x.place(axis)] = (pads[k], pads[k + len(axes)])
    if not np.any(widths):
        return x
    if widths[0] != (0, 0):
        raise Unsupported(_OTHER_EXAMPLES)
    for place, (before, after) in enumerate(widths):
        if before < 0 or after < 0:
            x = replace(x, data=_cut(x, place, max(-before, 0), after if after < 0 else None))
    widths = [(max(before, 0), max(after, 0)) for before, after in widths]
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise Unsupported(f"its mode is {mode!r}; constant, reflect, edge and wrap are read")
    if not np.any(widths):
        return x
    if mode in ("edge", "wrap"):
        return _repeated(x, widths, mode)
    image = x.rank == 4 and widths[3] == (0, 0)
    if mode == "constant" and value == 0 and image:
        symbol = node.layer(layers.ZeroPadding2D, x.data, padding=(widths[1], widths[2]))
    else:
        more = {"constant_values": float(value)} if mode == "constant" else {}
        symbol = ops.pad(x.data, widths, mode=mode, **more)
    return replace(x, data=symbol, positive=x.positive and value >= 0)


def _repeated(x: Value, widths: list[tuple[int, int]], mode: str) -> Value:
    """x with its outer entries, or those from the other end, around it."""
    for place, (before, after) in enumerate(widths):
        if before == after == 0:
            continue
        size = x.shape[x.axes[place]]
        if isinstance(size, Unknown):
            raise Unsupported(f"its mode {mode!r} needs known sizes: export the model with them fixed")
        entries = np.pad(np.arange(size, dtype=np.int32), (before, after), mode=mode)  # type: ignore[call-overload]
        x = replace(x, data=ops.take(x.data, entries, axis=place))
    return x


@operator("Expand")
def expand(node: Node, x: Value, shape: Value) -> Value:
    sizes = list(node.constant(1))
    x = node.with_rank(x, max(x.rank, len(sizes)))
    sizes = [1] * (x.rank - len(sizes)) + sizes
    grown = [
        1 if isinstance(size, Unknown) or axis == x.axes[0] or size == 1 or have != 1 else int(size)
        for axis, (have, size) in enumerate(zip(x.shape, sizes, strict=True))
    ]
    if any(have == 1 and isinstance(size, Unknown) for have, size in zip(x.shape, sizes, strict=True)):
        raise Unsupported("it expands to a size that is not known: export with fixed sizes")
    return _tiled(node, x, grown)


@operator("Tile")
def tile(node: Node, x: Value, repeats: Value) -> Value:
    times = [int(v) for v in node.constant(1)]
    if len(times) != x.rank or times[x.axes[0]] != 1:
        raise Unsupported(_OTHER_EXAMPLES)
    return _tiled(node, x, times)


def _tiled(node: Node, x: Value, times: list[int]) -> Value:
    if max(times) == 1:
        return x
    x = node.unflattened(x)
    return replace(x, data=ops.tile(x.data, [times[axis] for axis in x.axes]))


def _through(node: Node, x: Value, split: Sequence[int], turn: Sequence[int], target: tuple) -> Value:
    """An image's memory split to these sizes, its axes turned, and joined to a target."""
    symbol = node.reshaped(x.data, tuple(split), "split")
    symbol = node.layer(layers.Permute, symbol, part="permute", dims=tuple(turn))
    return Value(node.reshaped(symbol, target, ""), x.axes)


def _block_sizes(node: Node, x: Value) -> tuple[int, int, int, int]:
    """The side of the blocks, and the image's channels, height and width."""
    if any(isinstance(size, Unknown) for size in x.shape[1:]):
        raise Unsupported("it needs a known height and width: export the model with them fixed")
    return (int(node.attribute("blocksize")), *x.shape[1:])


@operator("DepthToSpace")
def depth_to_space(node: Node, x: Value) -> Value:
    x = node.images(x)
    b, c, h, w = _block_sizes(node, x)
    if node.attribute("mode", "DCR") == "DCR":
        sizes, turn = (h, w, b, b, c // b**2), (1, 3, 2, 4, 5)
    else:
        sizes, turn = (h, w, c // b**2, b, b), (1, 4, 2, 5, 3)
    return _through(node, x, sizes, turn, (h * b, w * b, c // b**2))


@operator("SpaceToDepth")
def space_to_depth(node: Node, x: Value) -> Value:
    x = node.images(x)
    b, c, h, w = _block_sizes(node, x)
    return _through(node, x, (h // b, b, w // b, b, c), (1, 3, 2, 4, 5), (h // b, w // b, c * b**2))
