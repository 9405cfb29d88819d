"""The lecture's figures, and rows of plain pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .colours import overlay
from .figures import PANEL, bar, bare_image, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def lecture_panels(
    images: np.ndarray,
    maps: np.ndarray,
    features: np.ndarray,
    feature_index: Sequence[int],
    titles: Sequence[str],
) -> Figure:
    """The lecture's figure: class activation map, one feature map, the map over the image; a row per image.

    Args:
        images: (n,H,W,C).
        maps: (n,H,W) in [0,1].
        features: (n,h,w,K).
        feature_index: (n,) which of the K is shown.
        titles: (n,) what stands at the left.
    """
    n = len(images)
    figure = new_figure(3 * (PANEL + 0.7) + 1.2, n * PANEL + 0.6)
    grid = figure.subplots(n, 3, squeeze=False)
    over = overlay(images, maps, cmap="jet")
    heads = ("Class Activation Map", "Random feature map", "Activation map superimposed")
    for row in range(n):
        left, middle, right = grid[row]
        bar(left, bare_image(left, maps[row], cmap="jet", vmin=0, vmax=1))
        bar(middle, bare_image(middle, features[row, :, :, feature_index[row]], cmap="jet"))
        middle.set_xlabel(f"channel {feature_index[row]}")
        bare_image(right, over[row])
        left.set_ylabel(titles[row])
        if row == 0:
            for axes, head in zip(grid[0], heads, strict=True):
                axes.set_title(head)
    return figure


def picture_rows(rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray, str | None]]]]) -> Figure:
    """Rows of plain pictures, uint8 or floats in [0,1]: (label, [(title, image, cmap), ...])."""
    columns = max(len(panels) for _, panels in rows)
    figure = new_figure(columns * PANEL + 0.6, len(rows) * (PANEL + 0.25) + 0.2)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, (label, panels) in zip(grid, rows, strict=True):
        for axes in axes_row[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, image, cmap) in zip(axes_row, panels, strict=False):
            bare_image(axes, image, cmap=cmap, vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
            axes.set_title(title, fontsize="medium")
        axes_row[0].set_ylabel(label)
    return figure


def probabilities(axes: Axes, classes: Sequence[tuple[str, float]]) -> None:
    """Names and probabilities as bars, the first at the top, the names on the bars."""
    places = list(range(len(classes)))
    axes.barh(places, [value for _, value in classes], height=0.92, color="tab:orange", alpha=0.55)
    for place, (name, value) in zip(places, classes, strict=True):
        axes.text(0.02, place, f"{name} {value:.2f}", va="center", fontsize="small")
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_box_aspect(1)
    axes.set_xticks([])
    axes.set_yticks([])


def unpooling_figure(before: np.ndarray, pooled: np.ndarray, unpooled: np.ndarray) -> Figure:
    """Three squares of numbers: pooling takes the largest of each window, unpooling puts it back in place."""
    figure = new_figure(9.0, 3.4, "constrained")
    widths = [before.shape[1], pooled.shape[1], unpooled.shape[1]]  # so that all cells have one size
    grid = figure.subplots(1, 3, width_ratios=widths)
    kept = unpooled != 0
    for axes, array, title in zip(
        grid, (before, pooled, unpooled), ("input", "max-pooling", "unpooling"), strict=True
    ):
        axes.imshow(
            array, cmap="Blues", vmin=0, vmax=2.5 * before.max(), aspect="equal", interpolation="nearest"
        )
        axes.set_title(title)
        axes.set_xticks(np.arange(0.5, array.shape[1] - 1), [])
        axes.set_yticks(np.arange(0.5, array.shape[0] - 1), [])
        axes.grid(color="white", linewidth=1.5)
        axes.tick_params(length=0)
        for (row, column), value in np.ndenumerate(array):
            chosen = array is pooled or kept[row, column]
            axes.text(
                column,
                row,
                f"{value:g}",
                ha="center",
                va="center",
                fontsize=14,
                weight="bold" if chosen else "normal",
                color="darkred" if chosen else "black",
            )
    return figure
