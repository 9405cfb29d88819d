"""Images between files, PIL and arrays."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np

from .. import config


def _pil() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("Reading and writing images needs Pillow: pip install pillow") from error
    return Image


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A PIL image as an array (h, w, c) of floats from 0 to 255.

    Args:
        img: PIL image, or array (h, w) or (h, w, c).
        data_format: "channels_last" or "channels_first".
        dtype: None: `floatx()`.

    Returns:
        The array.
    """
    data_format = config.standardize_data_format(data_format)
    array = np.asarray(img, dtype=config.floatx() if dtype is None else _numpy_dtype(dtype))
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim != 3:
        raise ValueError(f"Unsupported image shape: {array.shape}")
    return array.transpose(2, 0, 1) if data_format == "channels_first" else array


def _numpy_dtype(dtype: Any) -> np.dtype:
    return np.dtype(getattr(dtype, "name", None) or dtype)


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array (h, w, c) as a PIL image.

    Args:
        x: Array, tensor or nested list with 1, 3 or 4 channels.
        data_format: "channels_last" or "channels_first".
        scale: Whether the least value becomes 0 and the greatest 255.
        dtype: In which it is scaled. None: `floatx()`.

    Returns:
        An image of mode L, RGB or RGBA; I for one channel with values above 255.
    """
    image = _pil()
    data_format = config.standardize_data_format(data_format)
    array = np.asarray(x, dtype=config.floatx() if dtype is None else _numpy_dtype(dtype))
    if array.ndim != 3:
        raise ValueError(
            f"Expected image array to have rank 3 (single image). Got array with shape: {array.shape}"
        )
    if data_format == "channels_first":
        array = array.transpose(1, 2, 0)
    if scale:
        array = array - array.min()
        top = array.max()
        array = (array / top if top != 0 else array) * np.asarray(255, array.dtype)
    channels = array.shape[2]
    if channels in (3, 4):
        return image.fromarray(_bytes(array))
    if channels == 1:
        plane = array[:, :, 0]
        return image.fromarray(plane.astype("int32") if plane.max() > 255 else _bytes(plane))
    raise ValueError(f"Unsupported channel number: {channels}")


def _bytes(array: np.ndarray) -> np.ndarray:
    """Truncated to uint8; what is out of range wraps around."""
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            array = array.astype(np.int64)
    return np.ascontiguousarray(array.astype(np.uint8))


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array (h, w, c) to an image file.

    Args:
        path: Path or file.
        x: Array.
        data_format: "channels_last" or "channels_first".
        file_format: "png", "jpeg" and so on. None: as the name ends.
        scale: Whether the least value becomes 0 and the greatest 255.
        **kwargs: For Pillow's `Image.save`.
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(os.fspath(path))[1][1:]
    form = (file_format or "").lower()
    form = "jpeg" if form == "jpg" else form
    img = array_to_img(x, data_format=data_format, scale=scale)
    if img.mode == "RGBA" and form == "jpeg":
        warnings.warn("The JPEG format does not support RGBA images, converting to RGB.", stacklevel=2)
        img = img.convert("RGB")
    img.save(path, format=form or None, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Reads an image file as a PIL image.

    Args:
        path: Path or open file.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: (height, width) to resize to; None: as it is.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        keep_aspect_ratio: Whether it is cropped to the target's aspect ratio before.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it is not an image, or a damaged one.
        ValueError: an unknown colour mode or interpolation.
    """
    image = _pil()
    modes = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
    if color_mode not in modes:
        raise ValueError(
            f"`color_mode` must be 'grayscale', 'rgb' or 'rgba'. Received: color_mode={color_mode!r}"
        )
    img = _opened(image, path)
    if color_mode == "grayscale" and img.mode in ("I;16", "I", "L"):
        pass
    elif img.mode != modes[color_mode]:
        img = img.convert(modes[color_mode])
    if target_size is not None:
        filters = {
            name: getattr(image.Resampling, name.upper())
            for name in ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
        }
        height, width = int(target_size[0]), int(target_size[1])
        if img.size != (width, height):
            if interpolation not in filters:
                raise ValueError(
                    f"Invalid interpolation method {interpolation} specified. Supported methods are "
                    f"{', '.join(filters)}"
                )
            box = None
            if keep_aspect_ratio:
                crop_h = min(img.height, img.width * height // width)
                crop_w = min(img.width, img.height * width // height)
                top, left = (img.height - crop_h) // 2, (img.width - crop_w) // 2
                box = (left, top, left + crop_w, top + crop_h)
            img = img.resize((width, height), filters[interpolation], box)
    return img


def _opened(image: Any, path: Any) -> Any:
    """The image with its pixels; errors name the file."""
    if isinstance(path, (str, bytes, os.PathLike)):
        name = os.fsdecode(path)
        with open(name, "rb") as file:
            source: Any = io.BytesIO(file.read())
    elif hasattr(path, "read"):
        name, source = getattr(path, "name", "the file"), path
    else:
        raise TypeError(f"`path` must be a path or an open file. Received: {type(path).__name__}")
    from PIL import UnidentifiedImageError

    try:
        img = image.open(source)
        img.load()
    except UnidentifiedImageError:
        raise UnidentifiedImageError(f"{name} is not an image file that Pillow can read") from None
    except (OSError, SyntaxError) as error:
        raise OSError(f"{name} is a damaged image file: {error}") from error
    return img


def smart_resize(
    x: Any, size: Any, interpolation: str = "bilinear", data_format: str = "channels_last", **kwargs: Any
) -> Any:
    """The greatest part in the middle of a picture that has the target's proportions, resized.

    Args:
        x: (h, w, c) or (n, h, w, c), array or tensor.
        size: (height, width).
        interpolation: As in `image.resize`.
        data_format: "channels_last" or "channels_first".

    Returns:
        float32, an array if x is one, else a tensor.

    >>> import numpy as np
    >>> smart_resize(np.ones((340, 500, 3)), (200, 200)).shape
    (200, 200, 3)
    """
    from cnnexplain import image

    from ..ops.image.framing import centred
    from ..ops.image.layout import on_batch

    kwargs.pop("backend_module", None)
    if kwargs:
        raise TypeError(f"smart_resize() got unexpected keyword arguments: {list(kwargs)}")
    if len(size) != 2:
        raise ValueError(f"`size` must be a tuple of 2 integers. Received: size={size}")
    height, width = int(size[0]), int(size[1])

    def compute(batch: Any) -> Any:
        return image.resize(centred(batch, height, width), (height, width), interpolation)

    img = on_batch(x, data_format, compute, "x")
    return np.array(img) if isinstance(x, np.ndarray) else img
