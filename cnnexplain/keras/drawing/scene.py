"""A drawing before it is on paper: polygons, lines and texts in points, y upwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Point = tuple[float, float]
FONT = 7.0
# Mean advance of a character of DejaVu Sans, in parts of the font size.
ADVANCE = 0.62
_MARGIN = 12.0


def text_width(text: str, size: float = FONT) -> float:
    """About how wide the longest line of a text is, in points."""
    return max(len(line) for line in text.split("\n")) * size * ADVANCE


class Scene:
    """Shapes in the order in which they cover each other."""

    def __init__(self) -> None:
        self.items: list[tuple[str, Any, dict[str, Any]]] = []
        self.points: list[Point] = []

    def polygon(self, points: list[Point], face: str, edge: str = "#333333", alpha: float = 1.0) -> None:
        """A filled outline."""
        self.items.append(("polygon", points, {"facecolor": face, "edgecolor": edge, "alpha": alpha}))
        self.points += points

    def line(
        self, points: list[Point], color: str = "#555555", style: str = "-", arrow: bool = False
    ) -> None:
        """A line through points, at will with an arrow head at its end."""
        self.items.append(("line", points, {"color": color, "linestyle": style, "arrow": arrow}))
        self.points += points

    def text(
        self,
        at: Point,
        text: str,
        ha: str = "center",
        va: str = "top",
        size: float = FONT,
        rotation: float = 0.0,
    ) -> None:
        """A text beside a point."""
        self.items.append(
            ("text", at, {"s": text, "ha": ha, "va": va, "fontsize": size, "rotation": rotation})
        )
        width, height = text_width(text, size), 1.3 * size * (text.count("\n") + 1)
        if rotation:
            width, height = height, width
        left = {"center": width / 2, "left": 0.0, "right": width}[ha]
        below = {"center": height / 2, "bottom": 0.0, "top": height}[va]
        x, y = at
        self.points += [(x - left, y - below), (x - left + width, y - below + height)]

    def figure(self) -> Figure:
        """The scene as a matplotlib figure of its natural size."""
        from matplotlib.figure import Figure
        from matplotlib.patches import FancyArrowPatch, Polygon

        xs, ys = zip(*self.points, strict=True)
        left, right = min(xs) - _MARGIN, max(xs) + _MARGIN
        bottom, top = min(ys) - _MARGIN, max(ys) + _MARGIN
        figure = Figure(figsize=((right - left) / 72, (top - bottom) / 72))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_axis_off()
        for order, (kind, where, options) in enumerate(self.items):
            if kind == "polygon":
                axes.add_patch(
                    Polygon(where, closed=True, linewidth=0.6, joinstyle="round", zorder=order, **options)
                )
            elif kind == "text":
                axes.text(*where, zorder=order, linespacing=1.15, **options)
            else:
                style = {"color": options["color"], "linestyle": options["linestyle"], "linewidth": 0.7}
                axes.plot(*zip(*where, strict=True), zorder=order, **style)
                if options["arrow"]:
                    axes.add_patch(
                        FancyArrowPatch(
                            where[-2], where[-1], arrowstyle="-|>", mutation_scale=7, shrinkA=0, shrinkB=0,
                            color=options["color"], linewidth=0.7, zorder=order,
                        )
                    )  # fmt: skip
        return figure
