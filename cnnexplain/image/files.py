"""Pictures as the bytes of JPEG, PNG, GIF and BMP files, which Pillow reads and writes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names
from .._convert import dtype_name, values
from .pixels import convert_image_dtype

if TYPE_CHECKING:
    from ..tensor import Tensor

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def _open(contents: Any) -> Any:
    from PIL import Image, UnidentifiedImageError

    if isinstance(contents, np.ndarray) and contents.ndim == 0:
        contents = contents.item()
    if not isinstance(contents, (bytes, bytearray, memoryview)):
        raise TypeError(
            "`contents` must be the bytes of an image file: read_file(path) gives them. Received: "
            f"{type(contents).__name__}"
        )
    try:
        return Image.open(io.BytesIO(contents))
    except UnidentifiedImageError:
        raise ValueError(
            "`contents` must be the bytes of an image file. Received: "
            f"{len(contents)} bytes that no format begins with"
        ) from None


def _pixels(picture: Any, channels: int) -> np.ndarray:
    """uint8 (height, width, channels); 0 channels: as many as the file has."""
    if channels not in (0, *_MODES):
        raise ValueError(f"`channels` must be 0, 1, 3 or 4. Received: channels={channels}")
    if channels:
        mode = _MODES[channels]
    elif "transparency" in picture.info or picture.mode in ("PA", "RGBA", "RGBa"):
        mode = "RGBA"
    else:
        mode = {"1": "L", "L": "L", "I": "L", "I;16": "L", "F": "L", "LA": "LA", "La": "LA"}.get(
            picture.mode, "RGB"
        )
    if picture.mode in ("I", "I;16"):  # 16 bits: keep the upper eight
        picture = picture.point(lambda v: v / 256).convert("L")
    if mode == "L" and picture.format == "PNG" and picture.mode not in ("1", "L", "LA"):
        return _grey(np.asarray(picture.convert("RGB")))
    if mode == "L" and picture.format == "JPEG":
        picture.draft("L", picture.size)  # the brightness as the file has it
    array = np.asarray(picture.convert(mode))
    return array[..., None] if array.ndim == 2 else array


def _grey(colours: np.ndarray) -> np.ndarray:
    """The brightness of colours (h, w, 3), as libpng rounds it."""
    parts = colours.astype(np.int32) * np.array([9797, 19234, 3737], np.int32)
    return (parts.sum(axis=-1, keepdims=True) >> 15).astype(np.uint8)


def _tensor(array: np.ndarray, dtype: Any) -> Any:
    pixels = _core.tensor(np.ascontiguousarray(array))
    return pixels if dtype_name(dtype) == "uint8" else convert_image_dtype(pixels, dtype)


def decode_image(
    contents: Any,
    channels: int | None = None,
    dtype: Any = "uint8",
    name: str | None = None,
    expand_animations: bool = True,
) -> Tensor:
    """The pixels of an image file's bytes: (height, width, channels); of an animated GIF (frames, height,
    width, 3).

    Args:
        contents: bytes, as `read_file` gives them: JPEG, PNG, GIF, BMP and what else Pillow reads.
        channels: 1, 3 or 4; None or 0: as many as the file has.
        dtype: "uint8"; a float type gives values in [0,1].
        expand_animations: False: only the first frame.
    """
    picture = _open(contents)
    if expand_animations and picture.format == "GIF":
        frames = []
        for frame in range(getattr(picture, "n_frames", 1)):
            picture.seek(frame)
            frames.append(_pixels(picture, channels or 3))
        return _tensor(np.stack(frames), dtype)
    return _tensor(_pixels(picture, channels or 0), dtype)


def decode_jpeg(
    contents: Any,
    channels: int = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1,
    dct_method: str = "",
    name: str | None = None,
) -> Tensor:
    """The pixels of a JPEG file's bytes, uint8 (height, width, channels); `ratio` divides both sides."""
    picture = _open(contents)
    if ratio not in (1, 2, 4, 8):
        raise ValueError(f"`ratio` must be 1, 2, 4 or 8. Received: ratio={ratio}")
    if ratio > 1:
        picture = picture.reduce(ratio)
    return _tensor(_pixels(picture, channels), "uint8")


def decode_png(contents: Any, channels: int = 0, dtype: Any = "uint8", name: str | None = None) -> Tensor:
    """The pixels of a PNG file's bytes, uint8 (height, width, channels)."""
    return _tensor(_pixels(_open(contents), channels or 0), dtype)


def decode_bmp(contents: Any, channels: int = 0, name: str | None = None) -> Tensor:
    """The pixels of a BMP file's bytes, uint8 (height, width, channels)."""
    return decode_png(contents, channels)


def decode_gif(contents: Any, name: str | None = None) -> Tensor:
    """The frames of a GIF file's bytes, uint8 (frames, height, width, 3)."""
    if _open(contents).format != "GIF":
        raise ValueError("`contents` must be the bytes of a GIF file")
    return decode_image(contents, 3)


def is_jpeg(contents: Any, name: str | None = None) -> Tensor:
    """Do the bytes begin as those of a JPEG file?"""
    return _core.tensor(bytes(contents)[:3] == b"\xff\xd8\xff")


def _encoded(image: Any, form: str, **options: Any) -> bytes:
    from PIL import Image

    array = values(image, "image")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] not in _MODES:
        raise ValueError(
            "`image` must be uint8 of shape (height, width, channels) with 1 to 4 channels. Received: "
            f"dtype={array.dtype}, shape={array.shape}"
        )
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(file, form, **options)
    return file.getvalue()


def encode_png(image: Any, compression: int = -1, name: str | None = None) -> bytes:
    """The bytes of a PNG file of a uint8 image.

    >>> import cnnexplain as tf
    >>> picture = tf.cast(tf.fill((2, 2, 3), 7), tf.uint8)
    >>> bool(tf.reduce_all(tf.io.decode_png(tf.io.encode_png(picture)) == picture))
    True
    """
    return _encoded(image, "PNG")


def encode_jpeg(image: Any, format: str = "", quality: int = 95, **options: Any) -> bytes:
    """The bytes of a JPEG file of a uint8 image."""
    return _encoded(image, "JPEG", quality=quality)


_names.publish(__name__)
