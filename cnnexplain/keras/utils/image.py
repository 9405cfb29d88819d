"""Images between files, PIL and arrays."""

from __future__ import annotations

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
    array = np.asarray(img, dtype=config.standardize_dtype(dtype))
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim != 3:
        raise ValueError(f"Unsupported image shape: {array.shape}")
    return array.transpose(2, 0, 1) if data_format == "channels_first" else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array (h, w, c) as a PIL image; `scale` stretches its values to 0..255."""
    image = _pil()
    data_format = config.standardize_data_format(data_format)
    array = np.asarray(x, dtype=config.standardize_dtype(dtype))
    if array.ndim != 3:
        raise ValueError(
            f"Expected image array to have rank 3 (single image). Got array with shape: {array.shape}"
        )
    if data_format == "channels_first":
        array = array.transpose(1, 2, 0)
    if scale:
        array = array - array.min()
        top = array.max()
        array = array / top * 255 if top else array
    channels = array.shape[2]
    if channels == 4:
        return image.fromarray(array.astype("uint8"), "RGBA")
    if channels == 3:
        return image.fromarray(array.astype("uint8"), "RGB")
    if channels == 1:
        plane = array[:, :, 0]
        return (
            image.fromarray(plane.astype("int32"), "I")
            if plane.max() > 255
            else image.fromarray(plane.astype("uint8"), "L")
        )
    raise ValueError(f"Unsupported channel number: {channels}")


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array (h, w, c) to an image file; the format follows the name."""
    img = array_to_img(x, data_format=data_format, scale=scale)
    if img.mode == "RGBA" and str(file_format or path).lower().endswith(("jpg", "jpeg")):
        img = img.convert("RGB")
    img.save(path, format=file_format, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
    **kwargs: Any,
) -> Any:
    """Reads an image file as a PIL image.

    Args:
        path: Path, file or bytes.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: (height, width) to resize to; None: as it is.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        keep_aspect_ratio: Whether it is cropped to the target's aspect ratio before.

    Raises:
        ValueError: An unknown colour mode or interpolation.
    """
    image = _pil()
    if kwargs.pop("grayscale", False):
        color_mode = "grayscale"
    if kwargs:
        raise TypeError(f"load_img() got unexpected keyword arguments: {sorted(kwargs)}")
    modes = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
    if color_mode not in modes:
        raise ValueError(
            f"color_mode must be 'grayscale', 'rgb', or 'rgba'. Received: color_mode={color_mode}"
        )
    if isinstance(path, (bytes, bytearray)):
        import io

        path = io.BytesIO(path)
    img = image.open(path)
    if color_mode == "grayscale" and img.mode in ("I;16", "I", "L"):
        pass
    elif img.mode != modes[color_mode]:
        img = img.convert(modes[color_mode])
    if target_size is not None:
        filters = {
            name: getattr(image.Resampling, name.upper())
            for name in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
        }
        if interpolation not in filters:
            raise ValueError(
                f"Invalid interpolation method {interpolation} specified. Supported methods are "
                f"{', '.join(filters)}"
            )
        height, width = int(target_size[0]), int(target_size[1])
        if (img.width, img.height) != (width, height):
            box = None
            if keep_aspect_ratio:
                crop_h = min(img.height, img.width * height // width)
                crop_w = min(img.width, img.height * width // height)
                top, left = (img.height - crop_h) // 2, (img.width - crop_w) // 2
                box = (left, top, left + crop_w, top + crop_h)
            img = img.resize((width, height), filters[interpolation], box)
    else:
        img.load()
    return img
