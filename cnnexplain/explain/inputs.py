"""Images as people hand them over, made into what a model's inputs take, and kept for display."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.keras.applications.imagenet_utils import CAFFE_MEAN, MEAN, STD

from .pictures import picture

_MEANS, _TORCH_MEAN, _TORCH_DEVIATION = map(np.array, (CAFFE_MEAN, MEAN, STD))

Preprocess = str | Callable[[np.ndarray], np.ndarray]
Images = np.ndarray | Callable[[], np.ndarray]

_FORWARD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "caffe": lambda x: x[..., ::-1] - _MEANS,
    "tf": lambda x: x / 127.5 - 1,
    "torch": lambda x: (x / 255 - _TORCH_MEAN) / _TORCH_DEVIATION,
    "lite": lambda x: (x - 127) / 128,
    "none": lambda x: x,
}
_BACKWARD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "caffe": lambda x: (x + _MEANS)[..., ::-1],
    "tf": lambda x: (x + 1) * 127.5,
    "torch": lambda x: (x * _TORCH_DEVIATION + _TORCH_MEAN) * 255,
    "lite": lambda x: x * 128 + 127,
    "none": lambda x: x,
}
# the least that the largest value of a batch preprocessed in this way comes to: plainer scalings stay below
_REACH = {"caffe": 16.0, "tf": 0.0, "torch": 1.1, "lite": 0.0, "none": 16.0}
_OVERSHOOT = 16  # by how many of 255 steps enlarging with a cubic kernel may leave the range
_CHOICES = (
    '"caffe" (BGR minus the means of ImageNet), "tf" (to -1..1), '
    '"torch" (to 0..1, then by mean and deviation), "lite" ((x - 127) / 128), '
    '"none" (0..255) or a callable of the float array (n,H,W,C) in 0..255, such as lambda x: x / 255'
)


class _WhenAsked:
    """A field whose function is called when its value is first asked for."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._place = "_" + name

    def __get__(self, thing: Any, owner: type | None = None) -> np.ndarray:
        if thing is None:
            raise AttributeError("this field has no default")
        value = thing.__dict__[self._place]
        if callable(value):
            value = thing.__dict__[self._place] = value()
        return value

    def __set__(self, thing: Any, value: Images) -> None:
        thing.__dict__[self._place] = value


@dataclass
class Inputs:
    """What is fed: one array for each input of the model, all with n images.

    Attributes:
        feeds: arrays in the model's order; the explained one is (n,H,W,C).
        explained: which of them is explained.
        shown: its images for display, (n,H,W,C); may be given as a function that makes them.
        notes: sentences for `Explanation.warnings`.
    """

    feeds: list[np.ndarray]
    explained: int
    shown: _WhenAsked = _WhenAsked()
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.feeds[self.explained])

    @property
    def pictures(self) -> Images:
        """`shown`, as it was given while nobody has asked for it."""
        return self.__dict__["_shown"]

    @property
    def size(self) -> tuple[int, int]:
        _, height, width, _ = self.feeds[self.explained].shape
        return height, width


def prepare(
    symbols: Sequence[Any],
    names: Sequence[str],
    images: Any,
    which: Any,
    preprocess: Any,
    remembered: Any = None,
) -> Inputs:
    """Checks the images against the model's inputs.

    Args:
        symbols: the model's input symbols.
        names: what the inputs are called.
        images: arrays, paths or PIL images; for several inputs a list or a dict of one entry for each.
        which: the explained input: None, name or index.
        preprocess: what the caller says, for paths and PIL images.
        remembered: what the model says, where the caller says nothing. Arrays may have been scaled in another
            way nevertheless.
    """
    said = preprocess is not None
    preprocess = preprocess if said else remembered
    if preprocess is not None and not callable(preprocess) and preprocess not in _FORWARD:
        raise ValueError(f"`preprocess` must be {_CHOICES}. Received: preprocess={preprocess!r}")
    explained = _choose(symbols, names, which)
    entries = [images] if len(symbols) == 1 else _entries(names, images)
    shape = tuple(symbols[explained].shape)
    notes: list[str] = []
    pictures: Images
    if _is_picture(entries[explained]):
        feed, pictures = _load(entries[explained], shape, preprocess)
    else:
        feed = pictures = as_images(entries[explained], shape)
        way = _way_back(feed, preprocess, said, notes)
        if way is not None:  # of values that stay as they are now; the model is given the same ones
            half = feed.dtype.itemsize < 4
            feed = np.asarray(_core.tensor(feed.astype(np.float32) if half else feed))
            pictures = partial(_pixels_of, feed, way, said)
    feeds = []
    for i, entry in enumerate(entries):
        array = feed if i == explained else _plain(entry, names[i], tuple(symbols[i].shape))
        if i != explained and len(array) != len(feed):
            raise ValueError(
                f"all inputs must have the same number of images. Received: {names[i]} with {len(array)}, "
                f"{names[explained]} with {len(feed)}"
            )
        feeds.append(array)
    return Inputs(feeds, explained, pictures, notes)


def _choose(symbols: Sequence[Any], names: Sequence[str], which: Any) -> int:
    if which is None:
        images = [i for i, symbol in enumerate(symbols) if symbol.ndim == 4]
        if len(images) != 1:
            raise ValueError(
                f"`input` must say which input is explained: {len(images)} of the model's inputs take "
                f"images. Inputs: {_listed(symbols, names)}"
            )
        return images[0]
    if isinstance(which, str) and which in names:
        chosen = list(names).index(which)
    elif isinstance(which, (int, np.integer)) and not isinstance(which, bool) and 0 <= which < len(symbols):
        chosen = int(which)
    else:
        raise ValueError(
            f"`input` must be one of the model's inputs. Received: input={which!r}. "
            f"Inputs: {_listed(symbols, names)}"
        )
    if len(symbols[chosen].shape) != 4:
        raise ValueError(
            "`input` must be an input that takes images (n,H,W,C). "
            f"Received: input={which!r}. Inputs: {_listed(symbols, names)}"
        )
    return chosen


def _listed(symbols: Sequence[Any], names: Sequence[str]) -> str:
    return ", ".join(
        f"{i}: {name!r} {tuple(s.shape)}" for i, (name, s) in enumerate(zip(names, symbols, strict=True))
    )


def _entries(names: Sequence[str], images: Any) -> list[Any]:
    if isinstance(images, Mapping):
        if set(images) != set(names):
            raise ValueError(
                "`images` must have one entry for each input. "
                f"Received: {list(images)}, inputs: {list(names)}"
            )
        return [images[name] for name in names]
    if not isinstance(images, (list, tuple)) or len(images) != len(names):
        raise ValueError(
            f"`images` must be a list or a dict with one entry for each of the {len(names)} inputs "
            f"{list(names)}. Received: {type(images).__name__}"
        )
    return list(images)


def _is_picture(entry: Any) -> bool:
    """A path, a PIL image, or a sequence of them."""
    if isinstance(entry, (list, tuple)) and entry:
        return all(_is_picture(item) and not isinstance(item, (list, tuple)) for item in entry)
    return isinstance(entry, (str, os.PathLike)) or (hasattr(entry, "convert") and hasattr(entry, "resize"))


def as_images(array: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Values that are images already as (n,H,W,C), for an input of this shape (None, H, W, C)."""
    channels = shape[3]
    try:
        array = np.asarray(array)
    except ValueError:
        raise ValueError(f"{_expected(shape)}. Received: a sequence of arrays of different shapes") from None
    if array.dtype.kind not in "buif":
        raise TypeError(
            "`images` must be an array of numbers, a path or a PIL image. "
            f"Received: {array.dtype} {type(array).__name__}"
        )
    given = array.shape
    if array.ndim == 4:
        made = array
    elif array.ndim == 3 and channels in (None, given[2]) and _fits(given[:2], shape[1:3]):
        made = array[None]
    elif array.ndim == 3 and channels == 1:
        made = array[..., None]
    elif array.ndim == 2 and channels == 1:
        made = array[None, :, :, None]
    else:
        raise ValueError(f"{_expected(shape)}. Received: shape={given}{_hint(given)}")
    if not _fits(made.shape[1:], shape[1:]):
        raise ValueError(f"{_expected(shape)}. Received: shape={given}{_hint(given)}")
    if 0 in made.shape:
        raise ValueError(
            f"`images` must hold at least one image with at least one pixel. Received: shape={given}"
        )
    if made.dtype.kind == "f" and not (math.isfinite(made.min()) and math.isfinite(made.max())):
        bad = ~np.isfinite(made).all((1, 2, 3))
        raise ValueError(f"`images` must be finite. Received: NaN or infinity in image {int(bad.argmax())}")
    return made


def _expected(shape: tuple[int | None, ...]) -> str:
    accepted = "(n, H, W, C) or (H, W, C)" + (", (n, H, W) or (H, W)" if shape[3] == 1 else "")
    return f"`images` must have shape {accepted} for the model's input {shape}"


def _hint(given: tuple[int, ...]) -> str:
    """What to do with an array that may be a picture of another size, or grey, or with transparency."""
    if len(given) == 2 or (len(given) == 3 and given[2] <= 4):
        return "; of the pixels of a picture give explain.picture(array), which is resized and preprocessed"
    return ""


def _plain(array: Any, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Another input's values, with the batch axis: a question's words, say."""
    try:
        array = np.asarray(array)
    except ValueError:
        raise ValueError(
            f"input {name!r} must have shape {shape}. Received: rows of different lengths"
        ) from None
    if array.dtype.kind not in "buif":
        raise TypeError(f"input {name!r} must be numbers. Received: {array.dtype} {type(array).__name__}")
    if array.ndim == len(shape) - 1 and _fits(array.shape, shape[1:]):
        array = array[None]
    if array.ndim != len(shape) or not _fits(array.shape[1:], shape[1:]):
        raise ValueError(f"input {name!r} must have shape {shape}. Received: shape={array.shape}")
    return array


def _fits(given: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(given) == len(wanted) and all(w is None or g == w for g, w in zip(given, wanted, strict=True))


def _load(
    entry: Any, shape: tuple[int | None, ...], preprocess: Preprocess | None
) -> tuple[np.ndarray, np.ndarray]:
    """Paths and PIL images as (n,H,W,C): what is fed, and the uint8 pixels for display."""
    if preprocess is None:
        raise ValueError(
            "`preprocess` must be given for image files and PIL images, because the model does not say how "
            f"it was trained: {_CHOICES}"
        )
    height, width, channels = shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"image files fit inputs with 1 or 3 channels. Received: a model with input {shape}")
    pixels = [
        _pixels(item, height, width, channels)
        for item in (entry if isinstance(entry, (list, tuple)) else [entry])
    ]
    sizes = {image.shape for image in pixels}
    if len(sizes) > 1:
        raise ValueError(
            "the model takes any size, so all images of one call must have the same. "
            f"Received: {sorted(sizes)}"
        )
    shown = np.stack(pixels)
    function = _FORWARD[preprocess] if isinstance(preprocess, str) else preprocess
    if preprocess in ("caffe", "torch") and channels != 3:
        raise ValueError(
            f"`preprocess={preprocess!r}` is for 3 channels. Received: a model with input {shape}"
        )
    feed = np.asarray(function(shown.astype(np.float32)))
    if feed.shape != shown.shape:
        raise ValueError(f"`preprocess` must keep the shape {shown.shape}. Received: shape={feed.shape}")
    return feed, shown


def read_picture(path: str | os.PathLike[str]) -> Any:
    """The PIL image in a file, the way up that it was taken."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError) as error:  # Pillow's ways to say that a file is damaged or no picture
        raise ValueError(
            "`images` must name pictures that Pillow can read; this file is damaged or no picture. "
            f"Received: {os.fspath(path)}"
        ) from error
    return image


def _pixels(item: Any, height: int | None, width: int | None, channels: int) -> np.ndarray:
    from PIL import Image

    image = read_picture(item) if isinstance(item, (str, os.PathLike)) else item
    if image.mode[0] in "IF":  # 16 bits, or floats: Pillow's conversion would cut them at 255
        values = np.asarray(image)
        if image.mode != "F":
            image = picture(np.clip(values, 0, 65535).astype(np.uint16))
        elif values.max() <= 1:
            image = picture(values)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    size = (width or image.width, height or image.height)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(size[1], size[0], channels)


def _way_back(feed: np.ndarray, preprocess: Preprocess | None, said: bool, notes: list[str]) -> str | None:
    """The preprocessing to undo where arrays are shown; None: they are shown as they are.

    Args:
        feed: (n,H,W,C).
        preprocess: how pixels become what the model takes.
        said: the caller names it for these arrays. Otherwise it is undone where they look like it.
        notes: gets a sentence where arrays are not what the model takes.
    """
    if preprocess is None or (not said and callable(preprocess)):
        return None
    if callable(preprocess):
        notes.append(
            "`preprocess` was not applied: arrays are used as they are, files and PIL images are converted"
        )
        return None
    if preprocess in ("caffe", "torch") and feed.shape[3] != 3:
        if not said:
            return None
        raise ValueError(
            f"`preprocess={preprocess!r}` is for 3 channels. Received: images of shape {feed.shape}"
        )
    if preprocess != "none" and _whole(feed):
        notes.append(
            f"`preprocess` {preprocess!r} was not applied: arrays are used as they are, and these are whole "
            "numbers"
        )
        return None
    return preprocess if feed.dtype.kind == "f" else None


def _whole(feed: np.ndarray) -> bool:
    """Pixels that nobody scaled: whole numbers, beyond 0 and 1 where they are floats."""
    if feed.dtype.kind != "f":
        return True
    parts = (feed[0, 0], feed)  # a row nearly always tells already that they are not
    return all((part == np.rint(part)).all() for part in parts) and bool(feed.max() > 1)


def _pixels_of(feed: np.ndarray, preprocess: str, said: bool) -> np.ndarray:
    """(n,H,W,C) uint8; the values themselves where nobody said that they are such and they do not look it."""
    pixels = _BACKWARD[preprocess](feed.astype(np.float64))
    if not said and not _plausible(feed, pixels, preprocess):
        return feed
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _plausible(feed: np.ndarray, pixels: np.ndarray, preprocess: str) -> bool:
    """Whether the batch can have been made from these pixels, unlike one of x / 255 or of standard scores.

    Every preprocessing but "none" makes dark pixels negative.
    """
    within = pixels.min() >= -_OVERSHOOT and pixels.max() <= 255 + _OVERSHOOT
    signed = preprocess == "none" or feed.min() < 0
    return bool(within and signed and np.abs(feed).max() > _REACH[preprocess])
