"""The HTML report: one file with its pictures inside, for a phone as for a large screen, light or dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from . import views
from .pictures import Picture

_JPEG_FROM = 160  # pixels: smaller pictures keep every pixel


@dataclass
class Figure:
    """A photograph, perhaps with a map in its place or over it."""

    photo: str
    width: int
    height: int
    map: str | None
    over: bool
    caption: str
    below: str
    pixels: bool


def figure(picture: Picture, e: Any, longest: int, caption: str, below: str = "") -> Figure:
    """A picture, and the map of an Explanation of it where there is one."""
    photo = picture.whole.copy()
    photo.thumbnail((longest, longest))
    small = max(photo.size) < _JPEG_FROM
    return Figure(
        photo=_data(photo, "PNG" if small else "JPEG"),
        width=photo.width,
        height=photo.height,
        map=None if e is None else _data(views.heat(e), "PNG"),
        over=e is not None and views.of_regions(e),
        caption=caption,
        below=below,
        pixels=small,
    )


def _data(image: Any, kind: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 85} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def counted(count: int) -> str:
    """How many pictures, in words."""
    return "a picture" if count == 1 else f"{count} pictures"


class Page:
    """A report in the making."""

    def __init__(self, title: str, heading: str):
        self.title, self.heading = title, heading
        self._settings: Mapping[str, Any] = {}
        self._parts: list[str] = []
        self._after: list[str] = []
        self._overlays = False

    def settings(self, settings: Mapping[str, Any]) -> None:
        """What was computed, with which settings."""
        self._settings = settings

    def card(
        self,
        name: str,
        figures: Sequence[Figure],
        bars: Sequence[tuple[str, float, bool]],
        notes: Sequence[str] = (),
    ) -> None:
        """A picture: its figures, its probable classes with the explained ones marked, its warnings."""
        self._overlays |= any(one.over for one in figures)
        shown = "".join(_figure(one, name) for one in figures) + _bars(bars)
        path = Path(name)
        folder = f"<small>{escape(str(path.parent))}</small>" if path.parent != Path(".") else ""
        told = "".join(f'<p class="note">{escape(text)}</p>' for text in notes)
        self._parts.append(
            f'<section class="card"><h2>{escape(path.name)}{folder}</h2>'
            f'<div class="figures">{shown}</div>{told}</section>'
        )

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str] = ()) -> None:
        """Numbers; the first column is names."""
        heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
        cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) for row in rows]
        names = [f'<th scope="row">{escape(row[0])}</th>' for row in rows]
        body = "".join(f"<tr>{name}{rest}</tr>" for name, rest in zip(names, cells, strict=True))
        notes = "".join(f"<p>{escape(text)}</p>" for text in below)
        self._parts.append(
            f'<section class="card"><div class="wide"><table><thead><tr>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>{notes}</section>"
        )

    def notes(self, texts: Sequence[str]) -> None:
        """What to know before reading the maps."""
        if texts:
            items = "".join(f"<li>{escape(text)}</li>" for text in texts)
            self._after.append(
                f'<section class="notes"><h2>Know before reading</h2><ul>{items}</ul></section>'
            )

    def failed(self, failed: Sequence[tuple[Path, str]]) -> None:
        """Pictures that are not in the report, and why."""
        if failed:
            items = "".join(f"<li><code>{escape(str(p))}</code>: {escape(why)}</li>" for p, why in failed)
            self._after.append(f'<section class="notes"><h2>Could not be read</h2><ul>{items}</ul></section>')

    def html(self) -> str:
        """The whole page."""
        import datetime

        from cnnexplain import __version__
        from cnnexplain.environment import cpu_name

        folder = files("cnnexplain") / "data_files"
        style = (folder / "report.css").read_text(encoding="utf-8")
        rows = "".join(
            f"<div><dt>{escape(str(name))}</dt><dd>{escape(_said(value))}</dd></div>"
            for name, value in self._settings.items()
            if value is not None
        )
        slider = _SLIDER if self._overlays else ""
        when = datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(self.title)}</title>"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta name="color-scheme" content="light dark"><style>\n{style}</style></head>\n<body><header>'
            f"<h1>{escape(self.heading)}</h1><dl>{rows}</dl>{slider}</header>\n<main>"
            + "\n".join([*self._after, *self._parts])
            + f"</main>\n<footer>cnnexplain {escape(__version__)}, {when}, {escape(cpu_name())}</footer>"
            "</body></html>\n"
        )


_SLIDER = (
    '<label class="slider">opacity of the maps <input type="range" min="0" max="1" step="0.01" value="0.5" '
    "oninput=\"document.documentElement.style.setProperty('--opacity', this.value)\"></label>"
)


def _figure(one: Figure, name: str) -> str:
    pixels = ' class="pixels"' if one.pixels else ""
    about = f"{one.caption}: {name}"
    size = f'width="{one.width}" height="{one.height}"'
    shown = f'<img{pixels} src="{one.photo}" {size} alt="{escape(about)}">'
    if one.map is not None:
        kind = "map" if one.over else "map alone"
        shown += f'<img class="{kind}" src="{one.map}" alt="">'
    below = f"<small>{escape(one.below)}</small>" if one.below else ""
    caption = f"<figcaption>{escape(one.caption)}{below}</figcaption>"
    return f'<figure><div class="stack">{shown}</div>{caption}</figure>'


def _bars(bars: Sequence[tuple[str, float, bool]]) -> str:
    rows = "".join(
        f'<li{" class=chosen" if chosen else ""}><span style="--p:{p:.4f}">{escape(label)}</span>'
        f"<b>{p:.3f}</b></li>"
        for label, p, chosen in bars
    )
    return f'<ol class="predictions">{rows}</ol>' if rows else ""


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value))
    return str(value)
