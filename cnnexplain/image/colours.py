"""The colours of pictures: grey, hue and saturation, television's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names
from .._convert import is_symbol, reshape_to, tensor
from ..random import fixed
from .hue import channels_of, colours_of, hue_of
from .pixels import as_float, between, setting

if TYPE_CHECKING:
    from ..tensor import Tensor


def rgb_to_grayscale(images: Any, name: str | None = None) -> Tensor:
    """0.2989 R + 0.587 G + 0.114 B, one channel."""
    x = tensor(images)
    if x.shape[-1] != 3:
        raise ValueError(f"`images` must have 3 channels. Received: images.shape={tuple(x.shape)}")
    weights = np.array([0.2989, 0.587, 0.114])
    return as_float(
        x, lambda y: _core.reduce_sum(_core.multiply(y, tensor(weights, y.dtype)), axis=[-1], keepdims=True)
    )


def grayscale_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """The one channel three times."""
    x = tensor(images)
    if x.shape[-1] != 1:
        raise ValueError(f"`images` must have 1 channel. Received: images.shape={tuple(x.shape)}")
    return _core.tile(x, multiples=[1] * (len(x.shape) - 1) + [3])


def _three(images: Any, name: str = "images") -> Any:
    x = tensor(images)
    if not x.shape or x.shape[-1] != 3 or not x.dtype.is_floating:
        raise ValueError(
            f"`{name}` must be floats with 3 channels. Received: shape={tuple(x.shape)}, dtype={x.dtype.name}"
        )
    return x


def rgb_to_hsv(images: Any, name: str | None = None) -> Tensor:
    """Hue, saturation and value, all in [0,1], of red, green and blue in [0,1].

    >>> import cnnexplain as tf
    >>> tf.image.rgb_to_hsv([0.0, 0.5, 0.0]).numpy().round(3)
    array([0.333, 1.   , 0.5  ], dtype=float32)
    """
    return _core.concat(*hue_of(_three(images)), axis=-1)


def hsv_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """Red, green and blue of hue, saturation and value."""
    return colours_of(*channels_of(_three(images)))


def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Tensor:
    """The picture with delta in [-1,1] added to its hue, which is a circle of length 1."""
    if not is_symbol(delta) and not -1 <= float(delta) <= 1:
        raise ValueError(f"`delta` must be in [-1, 1]. Received: delta={delta}")

    def turned(x: Any) -> Any:
        h, s, v = hue_of(_three(x, "image"))
        return colours_of(_core.floor_mod(h + setting(delta, x), 1.0), s, v)

    return as_float(image, turned)


def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Tensor:
    """The picture with its saturation multiplied, at most 1.

    >>> import cnnexplain as tf
    >>> tf.image.adjust_saturation([[[1.0, 0.5, 0.5]]], 2.0).numpy()
    array([[[1., 0., 0.]]], dtype=float32)
    """

    def richer(x: Any) -> Any:
        h, s, v = hue_of(_three(x, "image"))
        return colours_of(h, _core.clip(s * setting(saturation_factor, x), low=0.0, high=1.0), v)

    return as_float(image, richer)


def random_hue(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    """`adjust_hue` by a random number in [-max_delta, max_delta)."""
    if not 0 <= max_delta <= 0.5:
        raise ValueError(f"`max_delta` must be in [0, 0.5]. Received: max_delta={max_delta}")
    return adjust_hue(image, between(-max_delta, max_delta, seed))


def random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """`adjust_saturation` by a random factor in [lower, upper)."""
    if not 0 <= lower < upper:
        raise ValueError(f"`lower` must be in [0, upper). Received: lower={lower}, upper={upper}")
    return adjust_saturation(image, between(lower, upper, seed))


def stateless_random_hue(image: Any, max_delta: float, seed: Any) -> Tensor:
    """`random_hue` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_hue(image, max_delta)


def stateless_random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """`random_saturation` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_saturation(image, lower, upper)


# The rounded numbers that TensorFlow uses, one row for each input channel.
_TO_YIQ = np.array(
    [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617], [0.114, -0.32134392, 0.31119955]]
)
_FROM_YIQ = np.array(
    [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]]
)
_TO_YUV = np.array(
    [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]]
)
_FROM_YUV = np.array([[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]])


def _turned(images: Any, matrix: np.ndarray) -> Any:
    x = _three(images)
    flat = _core.dense(_core.reshape(x, shape=[-1, 3]), _core.tensor(matrix, x.dtype.name))
    return reshape_to(flat, list(x.shape))


def rgb_to_yiq(images: Any) -> Tensor:
    """The axes of NTSC: brightness and two of colour."""
    return _turned(images, _TO_YIQ)


def yiq_to_rgb(images: Any) -> Tensor:
    """Red, green and blue of NTSC's axes."""
    return _turned(images, _FROM_YIQ)


def rgb_to_yuv(images: Any) -> Tensor:
    """The axes of PAL: brightness and two of colour."""
    return _turned(images, _TO_YUV)


def yuv_to_rgb(images: Any) -> Tensor:
    """Red, green and blue of PAL's axes."""
    return _turned(images, _FROM_YUV)


_names.publish(__name__)
