"""The contact sheet: a row for each picture, its tiles side by side with captions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .output import write

SUFFIXES = (".png", ".jpg", ".pdf")
_GAP, _INK, _SOFT = 10, (20, 20, 24), (105, 105, 115)


@dataclass
class Tile:
    """A picture and what stands below it."""

    image: Any
    caption: str = ""
    below: str = ""


@cache
def _font(size: int) -> Any:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size
    )


def _cut(text: str, font: Any, width: int) -> str:
    """The text, shortened in its middle until it fits."""
    if font.getlength(text) <= width:
        return text
    keep = len(text)
    while (
        keep > 2 and font.getlength(shorter := f"{text[: keep // 2]}…{text[len(text) - keep // 2 :]}") > width
    ):
        keep -= 1
    return shorter if keep > 2 else "…"


def strip(tiles: Sequence[Tile], side: int = 300) -> Any:
    """One row of tiles in cells of equal width, each with its captions."""
    from PIL import Image, ImageDraw

    large, small = _font(max(11, side // 19)), _font(max(10, side // 23))
    lines = [(large, _INK, [tile.caption for tile in tiles]), (small, _SOFT, [tile.below for tile in tiles])]
    heights = [font.size + 5 if any(texts) else 0 for font, _, texts in lines]
    tall = max(tile.image.height for tile in tiles)
    width = len(tiles) * (side + _GAP) + _GAP
    made = Image.new("RGB", (width, _GAP + tall + 4 + sum(heights) + _GAP), "white")
    draw = ImageDraw.Draw(made)
    for column, tile in enumerate(tiles):
        left = _GAP + column * (side + _GAP)
        made.paste(tile.image, (left + (side - tile.image.width) // 2, _GAP + tall - tile.image.height))
        top = _GAP + tall + 4
        for (font, ink, texts), height in zip(lines, heights, strict=True):
            if texts[column]:
                text = _cut(texts[column], font, side)
                draw.text((left + (side - font.getlength(text)) / 2, top), text, ink, font)
            top += height
    return made


def page(strips: Sequence[Any], columns: int = 1) -> Any:
    """Strips one below the other, in columns that are filled row by row."""
    from PIL import Image

    wide = max(strip.width for strip in strips)
    rows = [strips[begin : begin + columns] for begin in range(0, len(strips), columns)]
    heights = [max(strip.height for strip in row) for row in rows]
    made = Image.new("RGB", (wide * min(columns, len(strips)), sum(heights)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, strip in enumerate(row):
            made.paste(strip, (column * wide, top))
        top += height
    return made


def save(image: Any, path: Any) -> Path:
    """Writes a sheet as PNG, JPEG or PDF, by the suffix."""
    kind = {".png": "PNG", ".jpg": "JPEG", ".pdf": "PDF"}[Path(path).suffix.lower()]
    buffer = io.BytesIO()
    image.save(
        buffer,
        kind,
        **({"quality": 90} if kind == "JPEG" else {"resolution": 110.0} if kind == "PDF" else {}),
    )
    return write(path, buffer.getvalue())


class Sheets:
    """Pages of a contact sheet, each written when it is full: an interrupted run keeps them."""

    def __init__(self, path: Path, most: int = 48, width: int = 1600):
        self.path, self.most, self.width = Path(path), most, width
        self.written: list[Path] = []
        self._strips: list[Any] = []
        self.several = False

    def add(self, strip: Any) -> None:
        """One more strip; a full page is written."""
        if len(self._strips) == self.most:
            self.several = True
            self._write()
        self._strips.append(strip)

    def close(self) -> list[Path]:
        """Writes the last page; returns all."""
        if self._strips:
            self._write()
        return self.written

    def _write(self) -> None:
        columns = max(1, min(self.width // max(s.width for s in self._strips), len(self._strips)))
        path = self.path
        if self.several:
            path = path.with_name(f"{path.stem}-{len(self.written) + 1}{path.suffix}")
        self.written.append(save(page(self._strips, columns), path))
        self._strips = []
