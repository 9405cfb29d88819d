"""The flow chart of a model: one frame for each layer, arrows between them, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .scene import FONT, Scene, text_width
from .vertices import Vertex, vertices_of

_SPACE = 14.0  # between frames of a rank
_BETWEEN = 22.0  # between ranks
_SWEEPS = 6
_COLOURS = {"InputLayer": "#d9d9d9"}
_NESTED = ("#f2f2f2", "#e8eef5", "#f5eee8")


@dataclass(eq=False)
class _Item:
    """A vertex in its rank, or a bend of an edge that passes through it (vertex None)."""

    vertex: Vertex | None
    rank: int
    across: float  # size along the rank
    along: float  # size in the direction of flow
    text: str = ""
    above: list[_Item] = field(default_factory=list)
    below: list[_Item] = field(default_factory=list)
    at: float = 0.0


def _text(vertex: Vertex, shapes: bool, dtypes: bool, names: bool, activations: bool, trainable: bool) -> str:
    lines = [f"{vertex.name} ({vertex.kind})" if names else vertex.kind]
    activation = getattr(getattr(vertex.layer, "activation", None), "__name__", None)
    if activations and activation:
        lines.append(f"activation: {activation}")
    if shapes:
        sizes = (None, *vertex.shape)
        lines.append(f"output: ({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})")
    if dtypes:
        lines.append(f"dtype: {vertex.dtype}")
    if trainable and vertex.layer is not None and vertex.layer.weights:
        lines.append("trainable" if vertex.layer.trainable else "frozen")
    return "\n".join(lines)


def _ranks(vertices: list[Vertex], texts: list[str], sideways: bool) -> list[list[_Item]]:
    """Items by rank (longest way from an input); edges over several ranks get a bend in each."""
    items: dict[int, _Item] = {}
    ranks: list[list[_Item]] = []

    def put(item: _Item) -> _Item:
        while len(ranks) <= item.rank:
            ranks.append([])
        ranks[item.rank].append(item)
        return item

    for vertex, text in zip(vertices, texts, strict=True):
        parents = [items[id(parent)] for parent in vertex.parents]
        rank = 1 + max((parent.rank for parent in parents), default=-1)
        wide, high = text_width(text) + 2 * FONT, FONT * (1.3 * (text.count("\n") + 1) + 1.2)
        across, along = (high, wide) if sideways else (wide, high)
        item = items[id(vertex)] = put(_Item(vertex, rank, across, along, text))
        for parent in parents:
            last = parent
            for between in range(parent.rank + 1, rank):
                bend = put(_Item(None, between, 4.0, 0.0))
                bend.above.append(last)
                last.below.append(bend)
                last = bend
            item.above.append(last)
            last.below.append(item)
    return ranks


def _arrange(ranks: list[list[_Item]]) -> None:
    """Orders each rank by the middle of its neighbours, sweeping down and up, and keeps them apart."""
    for items in ranks:
        _spread(items)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for items in ranks if down else reversed(ranks):
            for item in items:
                near = item.above if down else item.below
                if near:
                    item.at = sum(other.at for other in near) / len(near)
            items.sort(key=lambda item: item.at)
            _spread(items)


def _spread(items: list[_Item]) -> None:
    """Moves items apart, keeping their order and the middle of the rank."""
    if not items:
        return
    middle = sum(item.at for item in items) / len(items)
    for before, item in zip(items, items[1:], strict=False):
        item.at = max(item.at, before.at + (before.across + item.across) / 2 + _SPACE)
    shift = middle - sum(item.at for item in items) / len(items)
    for item in items:
        item.at += shift


def draw_flow(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Scene:
    """A model's flow chart, from top to bottom ("TB") or from left to right ("LR")."""
    if rankdir not in ("TB", "LR"):
        raise ValueError(f'`rankdir` must be "TB" or "LR". Received: rankdir={rankdir!r}')
    sideways = rankdir == "LR"
    vertices = vertices_of(model, expand_nested)
    texts = [
        _text(v, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
        for v in vertices
    ]
    ranks = _ranks(vertices, texts, sideways)
    _arrange(ranks)
    scene = Scene()
    begin, ends, flow = [], [], 0.0
    for items in ranks:
        begin.append(flow)
        ends.append(flow + max(item.along for item in items))
        flow = ends[-1] + _BETWEEN

    def point(at: float, along: float) -> tuple[float, float]:
        return (along, -at) if sideways else (at, -along)

    def frame(item: _Item) -> list[tuple[float, float]]:
        first, last = begin[item.rank], begin[item.rank] + item.along
        half = item.across / 2
        return [
            point(item.at + side * half, end)
            for side, end in ((-1, first), (1, first), (1, last), (-1, last))
        ]

    _draw_nested(scene, ranks, frame)
    for items in ranks:
        for item in items:
            if item.vertex is None:
                continue
            for above in item.above:
                way = [point(item.at, begin[item.rank])]
                while above.vertex is None:
                    way += [point(above.at, ends[above.rank]), point(above.at, begin[above.rank])]
                    above = above.above[0]
                way.append(point(above.at, begin[above.rank] + above.along))
                scene.line(way[::-1], arrow=True)
            outline = frame(item)
            scene.polygon(outline, _COLOURS.get(item.vertex.kind, "#ffffff"))
            middle = [sum(axis) / 4 for axis in zip(*outline, strict=True)]
            scene.text((middle[0], middle[1]), item.text, va="center")
    return scene


def _draw_nested(scene: Scene, ranks: list[list[_Item]], frame: Any) -> None:
    """A shaded frame behind the layers of each nested model, outer ones first."""
    members: dict[tuple[str, ...], list] = {}
    for items in ranks:
        for item in items:
            path = item.vertex.path if item.vertex is not None else ()
            for depth in range(1, len(path) + 1):
                members.setdefault(path[:depth], []).extend(frame(item))
    for path in sorted(members, key=len):
        xs, ys = zip(*members[path], strict=True)
        room = _SPACE / 2 / len(path)
        left, right, low, high = min(xs) - room, max(xs) + room, min(ys) - room, max(ys) + room + 1.6 * FONT
        scene.polygon([(left, low), (right, low), (right, high), (left, high)], _NESTED[(len(path) - 1) % 3])
        scene.text((left + 4, high - 3), path[-1], ha="left")
