"""The drawing that papers use: feature maps as boxes in perspective, kernels on them, vectors as bars."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .boxes import Box, boxes_of
from .scene import FONT, Point, Scene, text_width
from .vertices import vertices_of

_COLOURS = {
    "input": "#d9d9d9",
    "conv": "#9ecae1",
    "pool": "#fdae6b",
    "merge": "#bcbddc",
    "dense": "#a1d99b",
    "other": "#e7d4b5",
}
_MEANING = {
    "input": "input",
    "conv": "convolution",
    "pool": "pooling",
    "merge": "merge",
    "dense": "dense",
    "other": "other",
}
_TALLEST = 170.0  # points: the side of the largest feature map
_THICKEST = 60.0  # points: the largest number of channels
_THINNEST = 3.0
_SMALLEST = 5.0
# Where one map is so many times as large as another, the roots of the sides are drawn.
_FURTHEST = 10.0
# Groups of channels are told apart in a box when they are no more than this.
_MOST_GROUPS = 4
# How far a step into the picture goes to the right and up: maps are seen from the side.
_RIGHT, _UP = 0.42, 0.30
_GAP = 16.0


@dataclass
class _Placed:
    """A box on paper: lower left front corner, thickness, height, and depth along the oblique axis."""

    box: Box
    width: float
    height: float
    depth: float
    x: float = 0.0
    y: float = 0.0
    opens: bool = False  # lines fan out from it to the right and up

    def corner(self, across: float, up: float, into: float) -> Point:
        """A point of the box; each argument goes from 0 to 1."""
        depth = into * self.depth
        return self.x + across * self.width + depth * _RIGHT, self.y + up * self.height + depth * _UP

    @property
    def right(self) -> float:
        return self.x + self.width + self.depth * _RIGHT

    @property
    def top(self) -> float:
        return self.y + self.height + self.depth * _UP


def _shade(colour: str, factor: float) -> str:
    parts = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return "#" + "".join(f"{min(255, round(part * factor)):02x}" for part in parts)


def _scaled(boxes: list[Box]) -> dict[int, _Placed]:
    """Sizes in proportion to the feature maps, or to the roots of their sides; a vector's bar grows with the
    root of its length."""
    maps = [box for box in boxes if len(box.shape) > 1] or boxes
    largest = max(max(box.size[:2]) for box in maps)
    power = 0.5 if _roots(boxes) else 1.0
    most = max(box.size[2] for box in maps)
    longest = max([box.size[2] for box in boxes if len(box.shape) == 1], default=1)
    placed = {}
    for box in boxes:
        h, w, c = box.size
        if len(box.shape) == 1:
            height = max(12.0, 0.8 * _TALLEST * math.sqrt(c / longest))
            placed[id(box)] = _Placed(box, 6.0, height, 6.0)
        else:
            thickness = max(_THINNEST, _THICKEST * c / most)
            rows, columns = (max(_SMALLEST, _TALLEST * (side / largest) ** power) for side in (h, w))
            placed[id(box)] = _Placed(box, thickness, rows, columns)
    return placed


def _roots(boxes: list[Box]) -> bool:
    """Whether the maps differ so much that the small ones would be slivers beside the large ones."""
    sides = [max(box.size[:2]) for box in boxes if len(box.shape) > 1]
    return bool(sides) and max(sides) > _FURTHEST * min(side for side in sides if side > 1 or max(sides) == 1)


def _columns(boxes: list[Box]) -> dict[int, int]:
    """The column of each box: one after the last of what it reads."""
    column: dict[int, int] = {}
    for box in boxes:
        column[id(box)] = 1 + max((column[id(parent)] for parent in box.parents), default=-1)
    return column


def _lanes(boxes: list[Box], column: dict[int, int]) -> dict[int, int]:
    """The lane of each box: its first parent's when that is free in the column, else the nearest free one."""
    lane: dict[int, int] = {}
    taken: set[tuple[int, int]] = set()
    for box in boxes:
        wanted = min((lane[id(parent)] for parent in box.parents), default=0)
        where = column[id(box)]
        free = next(
            wanted + step
            for distance in range(len(boxes) + 1)
            for step in ((distance, -distance) if distance else (0,))
            if wanted + step >= 0 and (where, wanted + step) not in taken
        )
        lane[id(box)] = free
        taken.add((where, free))
    return lane


def _place(boxes: list[Box], show_names: bool) -> dict[int, _Placed]:
    """Columns from left to right, lanes from top to bottom, everything centred in its cell."""
    placed = _scaled(boxes)
    column = _columns(boxes)
    lane = _lanes(boxes, column)
    tall = dict.fromkeys(set(lane.values()), 0.0)
    wide = dict.fromkeys(set(column.values()), 0.0)
    for box in boxes:
        item = placed[id(box)]
        captions = (
            text_width(box.caption),
            text_width(box.label),
            text_width(box.name) if show_names else 0.0,
        )
        wide[column[id(box)]] = max(wide[column[id(box)]], item.width + item.depth * _RIGHT, *captions)
        tall[lane[id(box)]] = max(tall[lane[id(box)]], item.height + item.depth * _UP)
    left, x = {}, 0.0
    for place in sorted(wide):
        left[place] = x
        x += wide[place] + _GAP
    middle, y = {}, 0.0
    for row in sorted(tall):
        middle[row] = y - tall[row] / 2
        y -= tall[row] + 8 * FONT
    for box in boxes:
        for parent in box.parents:
            placed[id(parent)].opens |= len(box.shape) == 1 < len(parent.shape)
    for box in boxes:
        item = placed[id(box)]
        room = wide[column[id(box)]] - item.width - item.depth * _RIGHT
        item.x = left[column[id(box)]] + (room if item.opens else room / 2)
        item.y = middle[lane[id(box)]] - (item.height + item.depth * _UP) / 2
    return placed


def _draw_box(scene: Scene, item: _Placed, show_name: bool) -> None:
    at, colour = item.corner, _COLOURS[item.box.role]
    scene.polygon([at(0, 1, 0), at(1, 1, 0), at(1, 1, 1), at(0, 1, 1)], _shade(colour, 1.12))
    scene.polygon([at(1, 0, 0), at(1, 1, 0), at(1, 1, 1), at(1, 0, 1)], colour)
    scene.polygon([at(0, 0, 0), at(1, 0, 0), at(1, 1, 0), at(0, 1, 0)], _shade(colour, 0.86))
    groups = item.box.groups if item.box.groups <= _MOST_GROUPS else 1
    for part in range(1, groups):
        scene.line(
            [at(part / groups, 0, 0), at(part / groups, 1, 0), at(part / groups, 1, 1)], color="#333333"
        )
    middle = (item.x + item.right) / 2
    scene.text((middle, item.y - 3), item.box.label)
    caption = item.box.caption + (f"\n{item.box.name}" if show_name else "")
    if item.opens:
        scene.text((item.right, item.top + 3), caption, ha="right", va="bottom")
    else:
        scene.text((middle, item.top + 3), caption, va="bottom")


def _draw_window(scene: Scene, source: _Placed, target: _Placed, window: tuple[int, int]) -> None:
    """The kernel on the map that it reads, and its reach to one point of the map that it makes."""
    h, w, _ = source.box.size
    rows, columns = (
        min(1.0, max(window[0] / h, 2.5 / source.height)),
        min(1.0, max(window[1] / w, 2.5 / source.depth)),
    )
    low, near = (1 - rows) * 0.62, (1 - columns) * 0.5
    corners = [
        source.corner(1, low, near),
        source.corner(1, low + rows, near),
        source.corner(1, low + rows, near + columns),
        source.corner(1, low, near + columns),
    ]
    point = target.corner(0, 0.62, 0.0)
    for corner in corners:
        scene.line([corner, point], color="#888888")
    scene.polygon(corners, _shade(_COLOURS[target.box.role], 0.72), alpha=0.9)


def _draw_link(scene: Scene, source: _Placed, target: _Placed, columns: int, rows: int) -> None:
    """A line between boxes that many columns and lanes apart; one that passes over others goes above them."""
    if rows:
        start, end = source.corner(1, 0.5, 1), target.corner(0, 0.5, 0)
        turn = end[0] - _GAP / 2
        scene.line([start, (turn, start[1]), (turn, end[1]), end], arrow=True)
    elif columns > 1:
        start, end = source.corner(1, 1, 0.95), target.corner(0, 1, 0.05)
        above = max(source.top, target.top) + 4.5 * FONT
        scene.line([start, (start[0], above), (end[0], above), end], style="--", arrow=True)
    elif len(target.box.shape) == 1 and len(source.box.shape) > 1:
        for up in (0.0, 1.0):
            scene.line([source.corner(1, up, up), target.corner(0, up, 0)], color="#888888")
    else:
        scene.line([source.corner(1, 0.5, 0.5), target.corner(0, 0.5, 0)], arrow=True)


def draw_blocks(model: Any, show_layer_names: bool = False) -> Scene:
    """A model's drawing as boxes.

    Heights and depths are in proportion to the rows and columns of the feature maps, thicknesses to their
    channels, with a least size so that nothing vanishes. Where one map is more than ten times as large as
    another, the square roots of rows and columns are drawn, which the legend says. Layers that keep the shape
    are notes on their box. A model of more than 36 boxes shows one box for each run of layers of equal
    resolution.
    """
    boxes = boxes_of(vertices_of(model))
    placed = _place(boxes, show_layer_names)
    column = _columns(boxes)
    lane = _lanes(boxes, column)
    scene = Scene()
    for box in sorted(boxes, key=lambda one: (column[id(one)], -lane[id(one)])):
        target = placed[id(box)]
        for place, parent in enumerate(box.parents):
            source = placed[id(parent)]
            columns = column[id(box)] - column[id(parent)]
            rows = lane[id(box)] - lane[id(parent)]
            if place == 0 and box.window is not None and len(parent.shape) > 1 and not rows:
                _draw_window(scene, source, target, box.window)
            else:
                _draw_link(scene, source, target, columns, rows)
        _draw_box(scene, target, show_layer_names)
    _legend(scene, {box.role for box in boxes}, _roots(boxes))
    return scene


def _legend(scene: Scene, roles: set[str], roots: bool) -> None:
    left = min(x for x, _ in scene.points)
    y = min(y for _, y in scene.points) - 2 * FONT
    for role, colour in _COLOURS.items():
        if role in roles:
            scene.polygon([(left, y - FONT), (left + FONT, y - FONT), (left + FONT, y), (left, y)], colour)
            scene.text((left + 1.5 * FONT, y - FONT / 2), _MEANING[role], ha="left", va="center")
            left += 3.5 * FONT + text_width(_MEANING[role])
    if roots:
        scene.text((left, y - FONT / 2), "sides: square roots of rows and columns", ha="left", va="center")
