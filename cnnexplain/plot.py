"""Pictures. matplotlib is imported when one is made; figures need no window and no pyplot."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .explain.explanation import Explanation

Colours = str | Callable[[np.ndarray], np.ndarray]
_PANEL = 2.3  # inches
_LONGEST = 24.0  # inches, of a figure's side


def to_rgb(images: np.ndarray) -> np.ndarray:
    """Images of any kind as they can be shown: float (n,H,W,3) in [0,1].

    Values in 0..1 are shown as they are; whole numbers and floats in 0..255 are divided by 255; anything else
    is scaled from each image's minimum to its maximum. One channel becomes grey, three are RGB, others are
    averaged.
    """
    x = np.asarray(images, np.float64)
    low, high = x.min(), x.max()
    if images.dtype.kind == "b" or (images.dtype.kind == "f" and low >= 0 and high <= 1):
        pass
    elif low >= 0 and high <= 255:
        x = x / 255
    else:
        low = x.min((1, 2, 3), keepdims=True)
        span = x.max((1, 2, 3), keepdims=True) - low
        x = (x - low) / np.where(span > 0, span, 1)
    if x.shape[3] not in (1, 3):
        x = x.mean(3, keepdims=True)
    return np.broadcast_to(x, (*x.shape[:3], 3)) if x.shape[3] == 1 else x


def colour_map(cmap: Colours) -> Callable[[np.ndarray], np.ndarray]:
    """A callable of values in [0,1] that gives colours in [0,1]."""
    if callable(cmap):
        return cmap
    import matplotlib

    if cmap not in matplotlib.colormaps:
        raise ValueError(
            f"`cmap` must be a callable or a name that matplotlib knows. Received: cmap={cmap!r}"
        )
    return matplotlib.colormaps[cmap]


def overlay(images: np.ndarray, maps: np.ndarray, alpha: float = 0.5, cmap: Colours = "jet") -> np.ndarray:
    """(1 - alpha) * image + alpha * colour(map).

    Args:
        images: (n,H,W,C), see `to_rgb`.
        maps: (n,H,W) in [0,1].
        alpha: 0 shows the image alone, 1 the map alone.
        cmap: a name known to matplotlib, or a callable of values in [0,1] that gives RGB(A) in [0,1].

    Returns:
        uint8 (n,H,W,3).

    >>> import numpy as np
    >>> white, left = np.ones((1, 1, 2, 1)), np.array([[[1.0, 0.0]]])
    >>> overlay(white, left, 0.5, lambda v: np.stack([v, 0 * v, 0 * v], -1)).tolist()
    [[[[255, 128, 128], [128, 128, 128]]]]
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must be between 0 and 1. Received: alpha={alpha!r}")
    coloured = np.asarray(colour_map(cmap)(np.asarray(maps)))[..., :3]
    mixed = (1 - alpha) * to_rgb(images) + alpha * coloured
    return np.floor(np.clip(mixed, 0, 1) * 255 + 0.5).astype(np.uint8)


def new_figure(
    width: float, height: float, layout: Literal["compressed", "constrained"] = "compressed"
) -> Figure:
    """A figure that notebooks display and that keeps no global state.

    Where a script already uses pyplot with a window, the figure is one of pyplot's, so that `plt.show()`
    shows it.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = min(1.0, _LONGEST / max(width, height))
    size = (width * scale, height * scale)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and matplotlib.get_backend().lower() in _windowed():
        return pyplot.figure(figsize=size, layout=layout)
    figure = Figure(figsize=size, layout=layout)
    FigureCanvasAgg(figure)
    # IPython asks objects for this method; for matplotlib's figures it knows a way only once pyplot is
    # imported.
    figure._repr_png_ = functools.partial(png, figure)  # type: ignore[attr-defined]
    return figure


def _windowed() -> set[str]:
    from matplotlib.backends import backend_registry
    from matplotlib.backends.registry import BackendFilter

    return {name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)}


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as a PNG file's bytes, nothing clipped."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
    return buffer.getvalue()


def explanation_figure(
    e: Explanation,
    columns: Sequence[str] | None,
    alpha: float,
    cmap: str | None,
    max_images: int,
    warnings: bool = True,
) -> Figure:
    """One row for each image: its panels, and its class and probability at the left."""
    if max_images < 1:
        raise ValueError(f"`max_images` must be a positive integer. Received: max_images={max_images!r}")
    of_layer = e.layer is not None or e.raw.ndim == 3  # of regions, not of single pixels' values
    if columns is None:
        columns = ("image", "map", "overlay") if of_layer else ("image", "map", "raw")
    elif isinstance(columns, str):
        columns = (columns,)
    known = ("image", "map", "overlay", "raw", *e.steps)
    for name in columns:
        if name not in known:
            raise ValueError(f"`columns` must be among {', '.join(known)}. Received: {name!r}")
    colours = cmap or ("jet" if of_layer else "gray")
    rows = min(len(e), max_images)
    height, width = e.map.shape[1:]
    aspect = min(max(height / width, 0.3), 3.0)
    told = e.warnings if warnings else ()
    figure = new_figure(len(columns) * (_PANEL + 0.7) + 0.6, rows * _PANEL * aspect + 0.9 + 0.25 * len(told))
    grid = figure.subplots(rows, len(columns), squeeze=False)
    for row in range(rows):
        for axes, name in zip(grid[row], columns, strict=True):
            _panel(axes, e, row, name, alpha, colours)
            if row == 0:
                axes.set_title(name)
        grid[row][0].set_ylabel(_row_label(e, row))
    title = e.method if e.layer is None else f"{e.method}, layer {e.layer}"
    if len(e) > rows:
        title += f" (first {rows} of {len(e)} images)"
    figure.suptitle(title)
    if told:
        figure.supxlabel("\n".join(told), fontsize="small", color="darkred", wrap=True)
    return figure


def class_label(name: str | None, index: int) -> str:
    """How a class is called in titles: its name, else its number."""
    return name if name is not None else f"class {index}"


def _row_label(e: Explanation, row: int) -> str:
    index = int(e.class_index[row])
    if index < 0:
        return f"score {e.score[row]:.3g}"
    label = class_label(e.class_name[row], index)
    return f"{label}\np = {e.probability[row]:.3g}, score {e.score[row]:.3g}"


def _panel(axes: Axes, e: Explanation, row: int, name: str, alpha: float, colours: Colours) -> None:
    if name == "image":
        bare_image(axes, to_rgb(e.images[row : row + 1])[0])
    elif name == "overlay":
        cmap = colours if colours != "gray" else "jet"
        bare_image(axes, overlay(e.images[row : row + 1], e.map[row : row + 1], alpha, cmap)[0])
    elif name == "map":
        bar(axes, bare_image(axes, e.map[row], cmap=colours, vmin=0, vmax=1))
    else:
        values(axes, np.asarray(e.raw[row] if name == "raw" else e.steps[name][row]))


def values(axes: Axes, array: np.ndarray) -> None:
    """Numbers: (h,w) with a colour bar; (h,w,3) as colours around grey; (h,w,k) averaged; others as bars."""
    if array.ndim < 2:
        axes.bar(np.arange(array.size), array.reshape(-1), width=1.0)
        axes.margins(x=0)
        return
    if array.ndim == 3 and array.shape[2] == 3:
        largest = np.abs(array).max()
        bare_image(axes, 0.5 + array / (2 * largest if largest > 0 else 1))
        return
    if array.ndim == 3:
        array = array.mean(2)
    low, high = float(array.min()), float(array.max())
    if low < 0:
        largest = max(-low, high)
        bar(axes, bare_image(axes, array, cmap="RdBu_r", vmin=-largest, vmax=largest))
    else:
        bar(axes, bare_image(axes, array, cmap="viridis", vmin=0, vmax=high if high > 0 else 1))


def bare_image(axes: Axes, array: np.ndarray, **options: Any) -> Any:
    """An image without ticks, its pixels square."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(array, aspect="equal", interpolation="nearest", **options)


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


def bar(axes: Axes, image: Any) -> None:
    """A colour bar as tall as the panel."""
    axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03).ax.tick_params(labelsize="small")


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
    figure = new_figure(3 * (_PANEL + 0.7) + 1.2, n * _PANEL + 0.6)
    grid = figure.subplots(n, 3, squeeze=False)
    over = overlay(images, maps)
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


def history(history: Any, names: Sequence[str] | None = None) -> Figure:
    """The curves of a training: a panel for each quantity, with that of the validation dashed.

    Args:
        history: what `fit` returned, or a dict of lists.
        names: the quantities, e.g. ["loss"]; None: all.

    Returns:
        A matplotlib figure.

    >>> axes = history({"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]}).axes
    >>> [(line.get_label(), line.get_linestyle()) for line in axes[0].lines]
    [('training', '-'), ('validation', '--')]
    """
    from matplotlib.ticker import MaxNLocator

    values = dict(getattr(history, "history", history))
    own = [name for name in values if not name.startswith("val_") or name[4:] not in values]
    shown = list(names) if names is not None else sorted(own, key=lambda name: (name != "loss", name))
    unknown = [name for name in shown if name not in values]
    if unknown or not shown:
        raise ValueError(f"`names` must be among {sorted(values)}. Received: names={names}")
    figure = new_figure(4.2 * len(shown), 3.2, "constrained")
    for place, name in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1)
        for key, label, line in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
            if key in values:
                epochs = list(getattr(history, "epoch", ()))
                if len(epochs) != len(values[key]):  # a validation that was not in every epoch
                    epochs = list(range(len(values[key])))
                marker = "o" if len(epochs) == 1 else None
                axes.plot([epoch + 1 for epoch in epochs], values[key], line, label=label, marker=marker)
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if f"val_{name}" in values:
            axes.legend()
    return figure


def picture_rows(rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray, str | None]]]]) -> Figure:
    """Rows of plain pictures, uint8 or floats in [0,1]: (label, [(title, image, cmap), ...])."""
    columns = max(len(panels) for _, panels in rows)
    figure = new_figure(columns * _PANEL + 0.6, len(rows) * (_PANEL + 0.25) + 0.2)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, (label, panels) in zip(grid, rows, strict=True):
        for axes in axes_row[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, image, cmap) in zip(axes_row, panels, strict=False):
            bare_image(axes, image, cmap=cmap, vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
            axes.set_title(title, fontsize="medium")
        axes_row[0].set_ylabel(label)
    return figure


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
