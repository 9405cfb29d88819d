"""Grey, and hue, saturation and value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import cut

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


def hue_of(x: Any) -> tuple[Any, Any, Any]:
    """Hue, saturation and value, each (n, h, w, 1) in [0, 1] for colours in [0, 1]."""
    if x.shape[3] != 3:
        raise ValueError(f"`images` must have 3 channels. Received: images.shape={tuple(x.shape)}")
    r, g, b = (cut(x, 3, k, 1) for k in range(3))
    top, bottom = _core.maximum(_core.maximum(r, g), b), _core.minimum(_core.minimum(r, g), b)
    spread = _core.subtract(top, bottom)
    coloured, bright = _core.greater(spread, 0.0), _core.greater(top, 0.0)
    saturation = _core.where(_core.divide(spread, _core.where(top, 1.0, bright)), 0.0, bright)
    step = _core.multiply(_core.where(spread, 1.0, coloured), 6.0)

    def sector(one: Any, other: Any, start: float) -> Any:
        return _core.add(_core.divide(_core.subtract(one, other), step), start)

    hue = _core.where(sector(b, r, 2 / 6), sector(r, g, 4 / 6), _core.equal(g, top))
    hue = _core.where(sector(g, b, 0.0), hue, _core.equal(r, top))
    hue = _core.where(hue, 0.0, coloured)
    return _core.where(_core.add(hue, 1.0), hue, _core.less(hue, 0.0)), saturation, top


def colours_of(hue: Any, saturation: Any, value: Any) -> Tensor:
    """(n, h, w, 3) of hue, saturation and value."""
    around = _core.multiply(hue, 6.0)

    def distance(place: float) -> Any:
        return _core.abs(_core.subtract(around, place))

    shares = [
        _core.subtract(distance(3.0), 1.0),
        _core.subtract(2.0, distance(2.0)),
        _core.subtract(2.0, distance(4.0)),
    ]
    rest = _core.subtract(1.0, saturation)
    return _core.concat(
        *(
            _core.multiply(
                _core.add(rest, _core.multiply(saturation, _core.clip(share, low=0.0, high=1.0))), value
            )
            for share in shares
        ),
        axis=3,
    )


def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value of colours in [0, 1], each in [0, 1].

    >>> from cnnexplain import keras
    >>> keras.ops.image.rgb_to_hsv([[[0.0, 0.5, 0.5]]]).numpy().tolist()
    [[[0.5, 1.0, 0.5]]]
    """
    return on_batch(
        _floats(images, data_format), data_format, lambda batch: _core.concat(*hue_of(batch), axis=3)
    )


def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """The colours of hue, saturation and value in [0, 1]; the inverse of `rgb_to_hsv`.

    >>> from cnnexplain import keras
    >>> keras.ops.image.hsv_to_rgb([[[0.0, 1.0, 0.5]]]).numpy().tolist()
    [[[0.5, 0.0, 0.0]]]
    """

    def compute(batch: Any) -> Any:
        return colours_of(*(cut(batch, 3, k, 1) for k in range(3)))

    return on_batch(_floats(images, data_format), data_format, compute)
