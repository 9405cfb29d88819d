"""What every metric returns: a number, what it is made of, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain.plot import chosen_axes, new_figure, png

from ..explanation import Note, _listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Metric:
    """A measured quality of explanations. `float(m)` is `m.value`.

    Attributes:
        metric: its name.
        value: the mean of `per_image` over the images that are not left out; NaN when all are.
        per_image: (n,) float64; NaN for an image that is left out.
        left_out: how many images have no number; `warnings` says why.
        higher_is_better: True, or False where a lower value is better.
        curve: (points,) the mean of `curves`, or None.
        curves: (n, points), or None.
        places: (points,) where on the horizontal axis, or None.
        details: further arrays by name, each with n first.
        parameters: the settings of the call.
        warnings: what to know before reading the value, sentences.
    """

    def __init__(
        self,
        metric: str,
        per_image: np.ndarray,
        *,
        higher_is_better: bool,
        reason: str = "the scores are not finite",
        curves: np.ndarray | None = None,
        places: np.ndarray | None = None,
        axes: tuple[str, str] = ("", ""),
        ticks: Sequence[str] | None = None,
        details: Mapping[str, np.ndarray] | None = None,
        parameters: Mapping[str, Any] | None = None,
        notes: Sequence[Note] = (),
    ):
        self.metric = metric
        self.per_image = np.array(per_image, np.float64)
        self.higher_is_better = higher_is_better
        self.curves = curves
        self.places = places
        self.details = dict(details or {})
        self.parameters = dict(parameters or {})
        self._axes, self._ticks = axes, ticks
        out = np.flatnonzero(~np.isfinite(self.per_image))
        self.left_out = len(out)
        self.per_image[out] = np.nan
        self._kept = np.isfinite(self.per_image)
        self._notes = [*notes, *([(f"left out of the mean: {reason}", out)] if len(out) else [])]

    @property
    def value(self) -> float:
        """The mean over the images that are not left out."""
        return float(self.per_image[self._kept].mean()) if self._kept.any() else float("nan")

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.higher_is_better else -1

    @property
    def curve(self) -> np.ndarray | None:
        """(points,) the mean curve of the images that are not left out."""
        if self.curves is None:
            return None
        kept = self.curves[self._kept]
        return kept.mean(0) if len(kept) else np.full(self.curves.shape[1], np.nan)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before reading the value."""
        count = len(self.per_image)
        return tuple(
            text
            if where is None or count == 1 or len(where) == count
            else f"{text} (images {_listed(where)})"
            for text, where in self._notes
        )

    def __float__(self) -> float:
        return self.value

    def __len__(self) -> int:
        return len(self.per_image)

    def __bool__(self) -> bool:
        return True

    def to_dict(self) -> dict[str, Any]:
        """All attributes by name."""
        names = (
            "metric value higher_is_better per_image left_out curve curves places details parameters warnings"
        )
        return {name: getattr(self, name) for name in names.split()}

    def plot(self, *, max_images: int = 20, axes: Any = None) -> Figure:
        """A matplotlib figure: the mean curve over those of the images, or a bar for each image.

        Args:
            max_images: most curves of single images.
            axes: matplotlib axes to draw into instead of a new figure.
        """
        if max_images < 0:
            raise ValueError(
                f"`max_images` must be an integer of 0 or more. Received: max_images={max_images!r}"
            )
        own = axes is None
        axes = new_figure(5.0, 3.4, "constrained").add_subplot() if own else chosen_axes(axes, 1, 1)[0, 0]
        if self.curves is None or self.places is None:
            axes.bar(np.arange(len(self)), np.nan_to_num(self.per_image))
            axes.set_xlabel("image")
            axes.axhline(np.nan_to_num(self.value), color="black", linewidth=1)
        else:
            for line in self.curves[:max_images]:
                axes.plot(self.places, line, color="0.75", linewidth=0.8)
            axes.plot(self.places, np.asarray(self.curve), color="tab:blue", linewidth=2)
            axes.set_xlabel(self._axes[0])
            axes.set_ylabel(self._axes[1])
            if self._ticks is not None:
                axes.set_xticks(self.places, list(self._ticks), rotation=60, ha="right", fontsize="small")
        axes.grid(alpha=0.3)
        axes.set_title(f"{self.metric}: {self.value:.4g} ({self._direction} is better)")
        figure = axes.figure
        if self.warnings and own:
            figure.supxlabel("\n".join(self.warnings), fontsize="small", color="darkred", wrap=True)
        return figure

    @property
    def _direction(self) -> str:
        return "higher" if self.higher_is_better else "lower"

    def _repr_png_(self) -> bytes:
        return png(self.plot())

    def __repr__(self) -> str:
        images = "1 image" if len(self) == 1 else f"{len(self)} images"
        out = f", {self.left_out} left out" if self.left_out else ""
        return f"<Metric {self.metric} {self.value:.4g} of {images}{out}, {self._direction} is better>"
