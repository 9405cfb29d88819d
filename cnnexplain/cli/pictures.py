"""Pictures as a command gets them: files, folders, globs. Those that cannot be read are told at the end."""

from __future__ import annotations

import glob
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")


def looks_like_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a picture."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def find(arguments: Sequence[str]) -> list[Path]:
    """The files that are meant, each once, those of a folder or a glob sorted by name.

    Raises:
        FileNotFoundError: a file that is not there, a folder without pictures, or a glob that fits nothing.
    """
    found: dict[Path, None] = {}
    for text in arguments:
        path = Path(text)
        if path.is_dir():
            files = [Path(at) / name for at, _, names in os.walk(path) for name in names]
            chosen = sorted(file for file in files if looks_like_picture(file))
            if not chosen:
                raise FileNotFoundError(f"there is no picture in the folder {text}")
        elif path.exists():
            chosen = [path]
        elif glob.has_magic(text):
            chosen = sorted(Path(name) for name in glob.glob(text, recursive=True) if os.path.isfile(name))
            if not chosen:
                raise FileNotFoundError(f"no file fits {text}")
        else:
            raise FileNotFoundError(f"there is no file {text}")
        found |= dict.fromkeys(chosen)
    return list(found)


@dataclass
class Picture:
    """One picture that could be read.

    Attributes:
        path: its file.
        whole: PIL's image in its own proportions, RGB or grey, at most `SHOWN` pixels long.
        fed: the same in the network's size.
    """

    path: Path
    whole: Any
    fed: Any


SHOWN = 640


@dataclass
class Reader:
    """Reads pictures for a network, and remembers those that it could not.

    Attributes:
        size: (H, W, channels); H and W may be None.
        invert: swap dark and light.
        failed: (file, reason).
    """

    size: tuple[int | None, int | None, int]
    invert: bool = False
    failed: list[tuple[Path, str]] = field(default_factory=list)

    def batches(self, paths: Sequence[Path], count: int, bar: Any) -> Iterator[list[Picture]]:
        """Lists of pictures of one size, at most `count`; the bar goes on as they are asked for."""
        batch: list[Picture] = []
        passed = 0
        for path in paths:
            picture = self.read(path)
            passed += 1
            if picture is not None:
                if batch and (len(batch) == count or picture.fed.size != batch[0].fed.size):
                    yield batch
                    bar.update(passed - 1)
                    batch, passed = [], 1
                batch.append(picture)
        if batch:
            yield batch
        bar.update(passed)

    def read(self, path: Path) -> Picture | None:
        """The picture, or None when it has been put on the list of those that cannot be read."""
        from PIL import Image, ImageOps

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(path) as opened:
                    image = ImageOps.exif_transpose(opened)
                    image.load()
            return self._prepared(path, image)
        except PermissionError:
            reason = "no permission to read it"
        except FileNotFoundError:
            reason = "it is not there"
        except MemoryError:
            reason = "not enough memory for it"
        except Exception as error:  # damaged files make Pillow raise nearly anything
            reason = "damaged, or no picture" if not path.is_dir() else f"a folder: {error}"
        self.failed.append((path, reason))
        return None

    def _prepared(self, path: Path, image: Any) -> Picture:
        from PIL import Image, ImageOps

        height, width, channels = self.size
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        if self.invert:
            image = ImageOps.invert(image)
        size = (width or image.width, height or image.height)
        fed = image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
        whole = image.copy()
        whole.thumbnail((SHOWN, SHOWN))
        return Picture(path, whole, fed)

    def tell(self) -> None:
        """Says at the end which pictures could not be read."""
        tell_failed(self.failed)


def tell_failed(failed: Sequence[tuple[Path, str]]) -> None:
    """One line for each picture that could not be read."""
    for path, reason in failed:
        print(f"cnnexplain: {path}: {reason}", file=sys.stderr)


def progress(total: int, unit: str = "picture") -> Any:
    """A bar on the terminal; nothing where the errors go into a file or there is only one picture."""
    from tqdm import tqdm

    quiet = total < 2 or not sys.stderr.isatty()
    return tqdm(total=total, unit=unit, disable=quiet, dynamic_ncols=True, leave=False, file=sys.stderr)
