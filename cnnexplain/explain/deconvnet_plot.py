"""Figures of the deconvnet: reconstructions, the way down, switches, and the paper's figure of a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnnexplain.plot import bare_image, new_figure, to_rgb, unpooling_figure, values

from .reconstruction import Reconstruction, picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .switches import Switches
    from .top_activations import Top, TopActivations

_PANEL = 2.3  # inches
_NUMBERS = 8  # sides up to which a map is shown in numbers
_BEYOND = (0.78, 0.86, 0.95)  # the colour of what lies beyond the image's border


def reconstruction_figure(e: Reconstruction, max_images: int = 8) -> Figure:
    """A row for each image: the image with its receptive field, the reconstruction, and both in the field."""
    if max_images < 1:
        raise ValueError(f"`max_images` must be a positive integer. Received: max_images={max_images!r}")
    rows, heads = min(len(e), max_images), ["image", "reconstruction", "patch", "reconstructed patch"]
    if e._cropped:
        heads = heads[2:]
    height, width = e.map.shape[1:]
    aspect = min(max(height / width, 0.3), 3.0)
    extra = 0.7 + 0.25 * len(e.warnings)
    figure = new_figure(len(heads) * (_PANEL + 0.2) + 0.6, rows * _PANEL * aspect + extra)
    grid = figure.subplots(rows, len(heads), squeeze=False)
    shown, drawn = to_rgb(e.images), e.pictures
    for row in range(rows):
        top, left, bottom, right = e.receptive_field[row]
        field = slice(top, bottom), slice(left, right)
        if e._cropped:
            field = slice(0, bottom - top), slice(0, right - left)
        else:
            bare_image(grid[row][0], shown[row])
            _colours(grid[row][1], drawn[row])
            for axes in grid[row][:2]:
                _box(axes, left, top, right, bottom)
        if bottom > top and right > left:
            bare_image(grid[row][-2], shown[row][field])
            _colours(grid[row][-1], drawn[row][field])
        else:
            grid[row][-2].axis("off")
            grid[row][-1].axis("off")
        label = f"map {e.feature_map[row]}\n{e.value[row]:.3g}"
        if e.parameters["keep"] != "all":
            label += f" at ({e.position[row][0]}, {e.position[row][1]})"
        grid[row][0].set_ylabel(label)
    for axes, head in zip(grid[0], heads, strict=True):
        axes.set_title(head, fontsize="medium")
    more = f" (first {rows} of {len(e)} images)" if len(e) > rows else ""
    figure.suptitle(f"deconvnet, layer {e.layer}{more}")
    if e.warnings:
        figure.supxlabel("\n".join(e.warnings), fontsize="small", color="darkred", wrap=True)
    return figure


def _box(axes: Axes, left: float, top: float, right: float, bottom: float) -> None:
    from matplotlib.patches import Rectangle

    if right > left and bottom > top:
        box = Rectangle(
            (left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor="red", linewidth=1.2
        )
        axes.add_patch(box)


def _colours(axes: Axes, drawn: np.ndarray) -> None:
    """A picture (h,w,C) in [0,1]."""
    if drawn.shape[2] == 3:
        bare_image(axes, drawn)
    else:
        bare_image(axes, drawn.mean(2), cmap="gray", vmin=0, vmax=1)


def steps_figure(e: Reconstruction) -> Figure:
    """The way down of one image, in reading order."""
    steps = {name: array for name, array in e.steps.items() if name != "sum over channels"}
    columns = min(5, len(steps))
    rows = math.ceil(len(steps) / columns)
    figure = new_figure(columns * (_PANEL + 0.5), rows * (_PANEL + 0.55) + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(steps) :]:
        axes.set_visible(False)
    last = len(steps) - 1
    for place, (axes, (name, array)) in enumerate(zip(grid.flat, steps.items(), strict=False)):
        shape = " x ".join(str(side) for side in array.shape)
        one = array
        if array.ndim == 3 and place < last:
            used = np.flatnonzero(array.any((0, 1))) if array.shape[2] > 1 else np.zeros(1, int)
            one = array[..., used[0]] if len(used) == 1 else array.mean(2)
            shape = shape if len(used) == 1 else f"mean of {shape}"
        elif array.ndim == 3 and array.shape[2] == 1:
            one = array[..., 0]
        axes.set_title(f"{place}. {name}\n{shape}", fontsize="small")
        if one.ndim == 2 and max(one.shape) <= _NUMBERS and not shape.startswith("mean"):
            _cells(axes, one)
        elif place == last:
            _colours(axes, picture(array, e._preprocess))
        else:
            values(axes, one)
            axes.set_xticks([])
            axes.set_yticks([])
    figure.suptitle(f"deconvnet, layer {e.layer}, map {e.feature_map}: {e.value:.3g}")
    return figure


def _cells(axes: Axes, array: np.ndarray) -> None:
    """A small map in numbers."""
    narrow = max(array.shape) > 5
    largest = np.abs(array).max(initial=0) or 1
    bare_image(axes, array, cmap="RdBu_r", vmin=-2.5 * largest, vmax=2.5 * largest)
    for (row, column), value in np.ndenumerate(array):
        axes.text(
            column,
            row,
            f"{value:.2g}" if narrow else f"{value:.3g}",
            ha="center",
            va="center",
            fontsize="x-small" if narrow else "small",
            weight="bold" if value != 0 else "normal",
        )


def switches_figure(s: Switches, image: int, feature_map: int) -> Figure:
    """One map before pooling with its winners marked, pooled and unpooled."""
    before = s.before[image, :, :, feature_map]
    pooled = s.pooled[image, :, :, feature_map]
    unpooled = s[image].unpool()[0, :, :, feature_map]
    if max(before.shape) <= _NUMBERS and s.wins[image, :, :, feature_map].max() <= 1:
        figure = unpooling_figure(before, pooled, unpooled)
    else:
        figure = new_figure(3 * (_PANEL + 1.2), _PANEL + 1.4, "constrained")
        grid = figure.subplots(1, 3)
        heads = ("before, winners marked", "pooled", "unpooled")
        for axes, array, head in zip(grid, (before, pooled, unpooled), heads, strict=True):
            values(axes, array)
            axes.set_title(head, fontsize="medium")
        wins = s.wins[image, :, :, feature_map]
        rows, columns = np.nonzero(wins)
        size = min(40.0, 6000 / max(before.shape) ** 1.5)
        several = np.where(wins[rows, columns] > 1, "orange", "red")
        grid[0].scatter(columns, rows, s=size, facecolors="none", edgecolors=several, linewidths=0.8)
        if (wins > 1).any():
            grid[0].set_xlabel("orange: won several windows", fontsize="small")
    figure.suptitle(f"switches of {s.layer}, image {image}, map {feature_map}")
    return figure


def top_figure(many: Sequence[TopActivations], titles: Sequence[str] | None) -> Figure:
    """For each map a square of reconstructions, and beside it the square of their patches."""
    names = [one.layer for one in many] if titles is None else [str(title) for title in titles]
    if len(names) != len(many):
        raise ValueError(f"`titles` must have {len(many)} entries. Received: titles={titles!r}")
    most = max(len(one) for one in many)
    columns = max(1, min(4, math.ceil(math.sqrt(most))))
    blocks = [math.ceil(len(one) / columns) or 1 for one in many]
    figure = new_figure(columns * 3.9, sum(blocks) * 2.0 + 0.45 * len(many), "constrained")
    parts = figure.subfigures(len(many), 1, height_ratios=blocks, squeeze=False)[:, 0]
    for part, one, name, rows in zip(parts, many, names, blocks, strict=True):
        part.suptitle(name)
        widths = [1, 1, 0.12] * columns  # a square of each kind, and a gap
        grid = part.subplots(rows, 3 * columns, squeeze=False, width_ratios=widths)
        for axes in grid.flat:
            axes.axis("off")
        for place, top in enumerate(one):
            row, column = divmod(place, columns)
            left, right = grid[row][3 * column : 3 * column + 2]
            for axes, arrays in ((left, top.pictures), (right, top.patches)):
                bare_image(axes, _square(top, arrays))
            left.set_title(f"map {top.feature_map}", fontsize="small", loc="left")
    return figure


def _square(top: Top, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of one size, side by side, the strongest first."""
    side = max(1, math.ceil(math.sqrt(len(arrays))))
    if not arrays:
        return np.ones((3, 3, 3))
    sizes = np.maximum(top.receptive_field[:, 2:] - top.receptive_field[:, :2], 1)
    begin = np.maximum(top.receptive_field[:, :2] - top.frame[:, :2], 0)
    frames = top.frame[:, 2:] - top.frame[:, :2]
    whole = frames.max(0) if (frames.max(0) <= 2 * sizes.max(0)).all() else sizes.max(0)
    begin = np.minimum(begin, np.maximum(whole - sizes, 0))
    height, width = (int(n) for n in whole)
    gap = max(1, round(max(height, width) / 24))
    made = np.ones((side * (height + gap) - gap, side * (width + gap) - gap, 3))
    shown = _to_rgb(arrays)
    for i, one in enumerate(shown):
        row, column = divmod(i, side)
        y, x = row * (height + gap), column * (width + gap)
        made[y : y + height, x : x + width] = _BEYOND
        y, x = y + int(begin[i, 0]), x + int(begin[i, 1])
        made[y : y + one.shape[0], x : x + one.shape[1]] = one
    return made


def _to_rgb(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Patches (h,w,C) of several sizes, on one scale."""
    flat = np.concatenate([np.asarray(one).reshape(-1, one.shape[-1]) for one in arrays])
    rgb = to_rgb(flat[None, :, None, :])[0, :, 0]
    ends = np.cumsum([one.shape[0] * one.shape[1] for one in arrays])
    cut = np.split(rgb, ends[:-1])
    return [part.reshape(*one.shape[:2], 3) for part, one in zip(cut, arrays, strict=True)]
