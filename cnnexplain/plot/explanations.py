"""The picture of an Explanation: a row of panels for each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .colours import HEAT, Colours, overlay, to_rgb
from .figures import PANEL, bar, bare_image, chosen_axes, new_figure, positive, values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..explain.explanation import Explanation


def explanation_figure(
    e: Explanation,
    columns: Sequence[str] | None = None,
    *,
    alpha: float = 0.5,
    cmap: str | None = None,
    max_images: int = 8,
    shared_scale: bool = False,
    axes: Any = None,
    warnings: bool = True,
) -> Figure:
    """One row for each image: its panels, and its class, probability and score at the left.

    What the arguments mean stands at `Explanation.plot`; without `warnings` they are left to the caller.
    """
    positive("max_images", max_images)
    of_layer = e.layer is not None or e.raw.ndim == 3  # of regions, not of single pixels' values
    if columns is None:
        columns = ("image", "map", "overlay") if of_layer else ("image", "map", "raw")
    elif isinstance(columns, str):
        columns = (columns,)
    known = ("image", "map", "overlay", "raw", *e.steps)
    for name in columns:
        if name not in known:
            raise ValueError(f"`columns` must be among {', '.join(known)}. Received: {name!r}")
    colours = cmap or (HEAT if of_layer else "gray")
    rows = min(len(e), max_images)
    told = e.warnings if warnings else ()
    if axes is None:
        figure, grid = _grid(e, rows, len(columns), told)
    else:
        grid = chosen_axes(axes, rows, len(columns))
        figure = grid[0][0].figure
    limits = {name: _limit(e, name, rows) if shared_scale else None for name in columns}
    for row in range(rows):
        for panel, name in zip(grid[row], columns, strict=True):
            _panel(panel, e, row, name, alpha, colours, limits[name])
            if row == 0:
                panel.set_title(name)
        if axes is None:
            grid[row][0].set_ylabel(_row_label(e, row))
    return figure


def _grid(e: Explanation, rows: int, columns: int, told: Sequence[str]) -> tuple[Figure, Any]:
    """A figure of its own, with a title, the warnings and a panel for each picture."""
    height, width = e.map.shape[1:]
    aspect = min(max(height / width, 0.3), 3.0)
    figure = new_figure(columns * (PANEL + 0.7) + 0.6, rows * PANEL * aspect + 0.9 + 0.25 * len(told))
    title = e.method if e.layer is None else f"{e.method}, layer {e.layer}"
    if len(e) > rows:
        title += f" (first {rows} of {len(e)} images)"
    figure.suptitle(title)
    if told:
        figure.supxlabel("\n".join(told), fontsize="small", color="darkred", wrap=True)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _limit(e: Explanation, name: str, rows: int) -> float | None:
    """The largest absolute value that a panel of this name shows."""
    if name in ("image", "map", "overlay"):
        return None
    shown = (e.raw if name == "raw" else e.steps[name])[:rows]
    if shown.ndim == 4 and shown.shape[3] != 3:
        shown = shown.mean(3)
    return float(np.abs(shown).max(initial=0))


def class_label(name: str | None, index: int) -> str:
    """How a class is called in titles: its name, else its number."""
    return name if name is not None else f"class {index}"


def _row_label(e: Explanation, row: int) -> str:
    index = int(e.class_index[row])
    if index < 0:
        return f"score {e.score[row]:.3g}"
    label = class_label(e.class_name[row], index)
    return f"{label}\np = {e.probability[row]:.3g}, score {e.score[row]:.3g}"


def _panel(
    axes: Axes, e: Explanation, row: int, name: str, alpha: float, colours: Colours, limit: float | None
) -> None:
    if name == "image":
        bare_image(axes, to_rgb(e.images[row : row + 1])[0])
    elif name == "overlay":
        cmap = colours if colours != "gray" else HEAT
        bare_image(axes, overlay(e.images[row : row + 1], e.map[row : row + 1], alpha, cmap)[0])
    elif name == "map":
        bar(axes, bare_image(axes, e.map[row], cmap=colours, vmin=0, vmax=1))
    else:
        values(axes, np.asarray(e.raw[row] if name == "raw" else e.steps[name][row]), limit)
