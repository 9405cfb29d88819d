"""Brightness and contrast of pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names
from ..math.reductions import reduce_std
from ..random import fixed
from .pixels import as_float, between, pictures, setting

if TYPE_CHECKING:
    from ..tensor import Tensor


def adjust_brightness(image: Any, delta: Any) -> Tensor:
    """The picture with delta added, in units of a picture with values in [0,1].

    >>> import cnnexplain as tf
    >>> tf.image.adjust_brightness([[[0.25]]], 0.5).numpy().item()
    0.75
    """
    return as_float(image, lambda x: _core.add(x, setting(delta, x)))


def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """(x - m) * factor + m with m the mean of each channel of each picture."""

    def compute(x: Any) -> Any:
        mean = _core.reduce_mean(pictures(x, "images"), axis=[-3, -2], keepdims=True)
        return _core.add(_core.multiply(_core.subtract(x, mean), setting(contrast_factor, x)), mean)

    return as_float(images, compute)


def adjust_gamma(image: Any, gamma: float = 1, gain: float = 1) -> Tensor:
    """gain * x^gamma for values in [0,1]."""
    if gamma < 0:
        raise ValueError(f"`gamma` must not be negative. Received: gamma={gamma}")
    return as_float(image, lambda x: _core.multiply(_core.pow(x, float(gamma)), float(gain)))


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    """`adjust_brightness` by a random number in [-max_delta, max_delta)."""
    if max_delta < 0:
        raise ValueError(f"`max_delta` must not be negative. Received: max_delta={max_delta}")
    return adjust_brightness(image, between(-max_delta, max_delta, seed))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """`adjust_contrast` by a random factor in [lower, upper)."""
    if not 0 <= lower < upper:
        raise ValueError(f"`lower` must be in [0, upper). Received: lower={lower}, upper={upper}")
    return adjust_contrast(image, between(lower, upper, seed))


def stateless_random_brightness(image: Any, max_delta: float, seed: Any) -> Tensor:
    """`random_brightness` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_brightness(image, max_delta)


def stateless_random_contrast(image: Any, lower: float, upper: float, seed: Any) -> Tensor:
    """`random_contrast` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_contrast(image, lower, upper)


def per_image_standardization(image: Any) -> Tensor:
    """(x - mean) / max(deviation, 1 / sqrt(number of values)), for each picture.

    >>> import cnnexplain as tf
    >>> tf.image.per_image_standardization([[[1.0], [3.0]]])[0, :, 0].numpy()
    array([-1.,  1.], dtype=float32)
    """
    x = pictures(image)
    if not x.dtype.is_floating:
        x = _core.cast(x, dtype="float32")
    count = float(np.prod(x.shape[-3:]))
    centred = _core.subtract(x, _core.reduce_mean(x, axis=[-3, -2, -1], keepdims=True))
    deviation = reduce_std(x, axis=[-3, -2, -1], keepdims=True)
    return _core.divide(centred, _core.maximum(deviation, 1 / math.sqrt(count)))


_names.publish(__name__)
