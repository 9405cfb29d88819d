"""Figures that need no window and no pyplot, and panels on matplotlib's axes."""

from __future__ import annotations

import functools
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .colours import SIGNED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 2.3  # inches
_LONGEST = 24.0  # inches, of a figure's side
_FORMATS = ("svg", "png", "pdf")
_LARGEST = 60000  # pixels of a side, which matplotlib's renderer takes


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


def save(figure: Figure, to_file: Any, dpi: int = 200, *, name: str = "to_file", **options: Any) -> None:
    """Writes a figure as SVG, PNG or PDF, by the file's suffix; equal figures give equal files.

    Args:
        figure: what is drawn.
        to_file: path that ends in .svg, .png or .pdf.
        dpi: dots per inch of a PNG.
        name: what the caller's argument is called.
        options: further ones of `Figure.savefig`.
    """
    path = os.fspath(to_file)
    suffix = os.path.splitext(path)[1].lower().lstrip(".")
    if suffix not in _FORMATS:
        raise ValueError(
            f"`{name}` must end in {', '.join('.' + known for known in _FORMATS)}. Received: {name}={path!r}"
        )
    import matplotlib

    dpi = min(dpi, int(_LARGEST / max(figure.get_size_inches())))
    dates: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix, {})
    with matplotlib.rc_context({"svg.hashsalt": "cnnexplain", "svg.fonttype": "none"}):
        figure.savefig(path, format=suffix, dpi=dpi, metadata=dates or None, **options)


def chosen_axes(axes: Any, rows: int, columns: int) -> np.ndarray:
    """The caller's axes as an array (rows, columns).

    Raises:
        ValueError: they are not that many.
    """
    grid = np.asarray(axes, dtype=object)
    strange = [one for one in grid.flat if not hasattr(one, "imshow")]
    if grid.size != rows * columns or strange:
        raise ValueError(
            f"`axes` must be {rows * columns} of matplotlib's axes, for {rows} rows of {columns} panels. "
            f"Received: {grid.size}" + (f", among them {strange[0]!r}" if strange else "")
        )
    return grid.reshape(rows, columns)


def positive(name: str, value: Any) -> int:
    """A whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return int(value)


def values(axes: Axes, array: np.ndarray, limit: float | None = None) -> None:
    """Numbers: (h,w) with a colour bar; (h,w,3) as colours around grey; (h,w,k) averaged; others as bars.

    Values of both signs have their own colours, white at zero. `limit`: the largest absolute value of the
    scale, by default that of the array.
    """
    if array.ndim < 2:
        axes.bar(np.arange(array.size), array.reshape(-1), width=1.0)
        axes.margins(x=0)
        if limit is not None:
            axes.set_ylim(-limit if array.min() < 0 else 0, limit)
        return
    if array.ndim == 3 and array.shape[2] != 3:
        array = array.mean(2)
    low, high = float(array.min()), float(array.max())
    largest = max(-low, high) if limit is None else limit
    largest = largest if largest > 0 else 1
    if array.ndim == 3:
        bare_image(axes, 0.5 + array / (2 * largest))
    elif low < 0:
        bar(axes, bare_image(axes, array, cmap=SIGNED, vmin=-largest, vmax=largest))
    else:
        bar(axes, bare_image(axes, array, cmap="viridis", vmin=0, vmax=largest))


def bare_image(axes: Axes, array: np.ndarray, **options: Any) -> Any:
    """An image without ticks, its pixels square."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(array, aspect="equal", interpolation="nearest", **options)


def bar(axes: Axes, image: Any) -> None:
    """A colour bar as tall as the panel."""
    axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03).ax.tick_params(labelsize="small")
