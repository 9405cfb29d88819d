"""Where `cnnexplain explain` puts its pictures: a folder, a sheet, a figure, or arrays.

Each has `add(picture, explanations)`, which returns the picture's own file where there is one, and `close()`,
which writes what is of all pictures and returns the paths.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .answers import plain
from .output import check_file, check_folder, make_folder, named, to_json, write
from .pictures import Picture

_SUFFIXES = (".png", ".jpg", ".svg", ".pdf", ".npz")
_SIDE = 300  # pixels of a tile


def destination(options: argparse.Namespace, count: int) -> Any:
    """What takes the explanations of this many pictures: by the name in --out, checked before work begins."""
    out = options.out
    if out is None:
        out = "explanation.png" if count == 1 else "explanations"
    path = Path(out)
    suffix = path.suffix.lower()
    if path.is_dir() or (not suffix and not path.exists()):
        return _Folder(path, options.top)
    if suffix == ".svg" and (count > 1 or options.top > 1):
        raise ValueError(f"--out: .svg is for one picture and one class; take .pdf or .png. Received: {out}")
    check_file(path, _SUFFIXES, "--out")
    if suffix == ".npz":
        return _Arrays(path)
    return _Figure(path) if suffix == ".svg" or (suffix == ".pdf" and count == 1) else _Sheet(path)


def _strip(picture: Picture, explained: list[Any], names: bool) -> Any:
    from . import sheet, views

    photo = views.photograph(picture.whole, _SIDE)
    tiles = [sheet.Tile(photo, picture.path.name if names else "")]
    for e in explained:
        below = f"p = {e.probability:.3f}"
        tiles.append(sheet.Tile(views.over(photo, e), plain(e.class_name, e.class_index), below))
    return sheet.strip(tiles, _SIDE)


class _Sheet:
    """One file, or numbered ones where there are many pictures."""

    def __init__(self, path: Path):
        from .sheet import Sheets

        self.sheets = Sheets(path)

    def add(self, picture: Picture, explained: list[Any]) -> Path | None:
        self.sheets.add(_strip(picture, explained, names=True))
        return None

    def close(self) -> list[Path]:
        return self.sheets.close()


class _Folder:
    """A file for each picture at once, and contact sheets."""

    def __init__(self, path: Path, top: int):
        from .sheet import Sheets

        if not path.is_dir():
            check_folder(path.parent, "--out")
        self.path = path
        self.sheets = Sheets(path / "contact-sheet.png")
        self.taken = {"contact-sheet"}

    def add(self, picture: Picture, explained: list[Any]) -> Path:
        from .sheet import save

        make_folder(self.path)
        name, number = picture.path.stem, 1
        while name in self.taken:
            number += 1
            name = f"{picture.path.stem}-{number}"
        self.taken.add(name)
        strip = _strip(picture, explained, names=True)
        self.sheets.add(strip)
        return save(strip, self.path / f"{name}.png")

    def close(self) -> list[Path]:
        sheets = self.sheets.close()
        return [self.path, *sheets] if sheets else []


class _Figure:
    """The figure that `Explanation.save` draws."""

    def __init__(self, path: Path):
        self.path = path
        self.e: Any = None

    def add(self, picture: Picture, explained: list[Any]) -> None:
        self.e = explained[0]

    def close(self) -> list[Path]:
        return [] if self.e is None else [_saved(self.e, self.path)]


def _saved(e: Any, path: Path) -> Path:
    with named(path):
        return e.save(path)


class _Arrays:
    """The arrays of all pictures; `about` is the rest as JSON."""

    def __init__(self, path: Path):
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self.files: list[str] = []

    def add(self, picture: Picture, explained: list[Any]) -> None:
        for e in explained:
            self.rows.append(e.to_dict())
            self.files.append(str(picture.path))
            self.rows[-1].pop("steps")

    def close(self) -> list[Path]:
        import numpy as np

        if not self.rows:
            return []
        sizes = {row["map"].shape for row in self.rows}
        if len(sizes) > 1:
            raise ValueError(f"--out: .npz is for maps of one size. Received: {sorted(sizes)}")
        names = ("map", "raw", "images", "class_index", "score", "probability")
        arrays: dict[str, Any] = {name: np.stack([row[name] for row in self.rows]) for name in names}
        first = self.rows[0]
        about = {name: first[name] for name in ("method", "layer", "parameters")}
        about["files"] = self.files
        about["class_name"] = [row["class_name"] for row in self.rows]
        about["warnings"] = [row["warnings"] for row in self.rows]
        arrays["about"] = np.array(to_json(about))
        return [write(self.path, lambda file: np.savez_compressed(file, **arrays))]
