"""Grey, and hue, saturation and value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain import image as tf_image

from ... import config
from ...convert import as_tensor
from .layout import in_floats, on_batch, pictures

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor


def _channels(x: Any, data_format: str | None) -> int | None:
    layout = config.standardize_data_format(data_format)
    return x.shape[-1 if layout == "channels_last" else -3]


def grey(x: Any) -> Tensor:
    """0.2989 R + 0.587 G + 0.114 B of float images with channels last."""
    if x.shape[3] != 3:
        raise ValueError(f"`images` must have 3 channels, or 1. Received: images.shape={tuple(x.shape)}")
    weights = _core.tensor(np.array([0.2989, 0.587, 0.114], x.dtype.name))
    return _core.reduce_sum(_core.multiply(x, weights), axis=[-1], keepdims=True)


def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """0.2989 R + 0.587 G + 0.114 B, one channel; grey images as they are.

    >>> from cnnexplain import keras
    >>> keras.ops.image.rgb_to_grayscale([[[1.0, 0.0, 0.0]]]).numpy().ravel()
    array([0.2989], dtype=float32)
    """
    x = pictures(images)
    channels = _channels(x, data_format)
    if channels not in (1, 3):
        raise ValueError(
            "Invalid channel size: expected 3 (RGB) or 1 (Grayscale). Received input with shape: "
            f"images.shape={tuple(x.shape)}"
        )
    if channels == 1:
        return _core.identity(x)
    return on_batch(x, data_format, lambda batch: in_floats(batch, grey))


def _floats(images: Any, data_format: str | None) -> Any:
    x = pictures(as_tensor(images))
    if not x.dtype.is_floating:
        raise ValueError(f"Invalid images dtype: expected float dtype. Received: images.dtype={x.dtype.name}")
    if _channels(x, data_format) != 3:
        raise ValueError(f"`images` must have 3 channels. Received: images.shape={tuple(x.shape)}")
    return x


def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value of colours in [0, 1], each in [0, 1].

    >>> from cnnexplain import keras
    >>> keras.ops.image.rgb_to_hsv([[[0.0, 0.5, 0.5]]]).numpy().tolist()
    [[[0.5, 1.0, 0.5]]]
    """
    return on_batch(_floats(images, data_format), data_format, tf_image.rgb_to_hsv)


def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """The colours of hue, saturation and value in [0, 1]; the inverse of `rgb_to_hsv`.

    >>> from cnnexplain import keras
    >>> keras.ops.image.hsv_to_rgb([[[0.0, 1.0, 0.5]]]).numpy().tolist()
    [[[0.5, 0.0, 0.0]]]
    """
    return on_batch(_floats(images, data_format), data_format, tf_image.hsv_to_rgb)
