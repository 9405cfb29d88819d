"""How a training went: its curves, and what the network confuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .figures import bar, chosen_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def history(history: Any, names: Sequence[str] | None = None, *, axes: Any = None) -> Figure:
    """The curves of a training: a panel for each quantity, with that of the validation dashed.

    Args:
        history: what `fit` returned, or a dict of lists.
        names: the quantities, e.g. ["loss"]; None: all.
        axes: matplotlib axes to draw into instead of a new figure: one for each quantity.

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
    if axes is None:
        axes = new_figure(4.2 * len(shown), 3.2, "constrained").subplots(1, len(shown))
    panels = chosen_axes(axes, 1, len(shown))[0]
    for panel, name in zip(panels, shown, strict=True):
        for key, label, line in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
            if key in values:
                epochs = list(getattr(history, "epoch", ()))
                if len(epochs) != len(values[key]):  # a validation that was not in every epoch
                    epochs = list(range(len(values[key])))
                marker = "o" if len(epochs) == 1 else None
                panel.plot([epoch + 1 for epoch in epochs], values[key], line, label=label, marker=marker)
        panel.set_title(name.replace("_", " "))
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
        if f"val_{name}" in values:
            panel.legend()
    return panels[0].figure


def confusion_matrix(
    true: Any,
    predicted: Any,
    class_names: Sequence[str] | None = None,
    *,
    normalize: bool = False,
    axes: Any = None,
) -> Figure:
    """How often each class (row) was taken for each (column).

    Args:
        true: (n,) classes.
        predicted: (n,) classes, or (n, classes) scores whose largest counts.
        class_names: one for each class; None: their numbers.
        normalize: whether a row holds shares of its class, which sum to 1, not counts.
        axes: matplotlib axes to draw into instead of a new figure.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: the shapes do not fit, a class is not a whole number from 0 on, or has no name.

    >>> figure = confusion_matrix([0, 1, 1], [0, 1, 0], ["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '0', '1', '1']
    """
    rows, found = np.asarray(true), np.asarray(predicted)
    known = found.shape[1] if found.ndim == 2 else 0
    found = found.argmax(1) if found.ndim == 2 else found
    rows = rows[:, 0] if rows.ndim == 2 and rows.shape[1] == 1 else rows
    if rows.ndim != 1 or rows.shape != found.shape or not len(rows):
        raise ValueError(
            "`true` and `predicted` must hold one class for each image. "
            f"Received: shapes {np.shape(true)} and {np.shape(predicted)}"
        )
    if any(a.dtype.kind not in "iub" or a.min() < 0 for a in (rows, found)):
        raise ValueError("`true` and `predicted` must be whole numbers from 0 on. Received: others")
    count = max(int(rows.max()) + 1, int(found.max()) + 1, known, len(class_names or ()))
    if class_names is not None and len(class_names) != count:
        raise ValueError(f"`class_names` must hold {count} names. Received: {len(class_names)}")
    table = np.zeros((count, count))
    np.add.at(table, (rows.astype(int), found.astype(int)), 1)
    if normalize:
        sums = table.sum(1, keepdims=True)
        table = table / np.where(sums > 0, sums, 1)
    return _draw(table, class_names or [str(i) for i in range(count)], normalize, axes)


def _draw(table: np.ndarray, names: Sequence[str], normalize: bool, axes: Any) -> Figure:
    count = len(table)
    side = min(1.6 + 0.5 * count, 12)
    own = new_figure(side + 0.8, side, "constrained").add_subplot() if axes is None else axes
    axes = chosen_axes(own, 1, 1)[0, 0]
    top = 1.0 if normalize else max(float(table.max()), 1.0)
    bar(axes, axes.imshow(table, cmap="Blues", vmin=0, vmax=top))
    axes.set_xticks(range(count), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for (row, column), value in np.ndenumerate(table):
        text = f"{value:.2f}".removeprefix("0") if normalize and value < 1 else f"{value:g}"
        colour = "white" if value > 0.6 * top else "black"
        if count <= 20:  # of more classes the numbers are too small to read
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize="small")
    return axes.figure
