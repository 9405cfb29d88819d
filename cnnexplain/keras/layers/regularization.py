"""Layers that disturb their input in training and pass it on otherwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config, random
from .base import Layer, real_input
from .input_spec import InputSpec


def _rate(value: Any, name: str = "rate", open_end: bool = False) -> Any:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not (0 <= value < 1 if open_end else 0 <= value <= 1):
        raise ValueError(
            f"Invalid value received for argument `{name}`. Expected a float value between 0 and 1. "
            f"Received: {name}={value!r}"
        )
    return value


def _noise_shape(value: Any) -> tuple | None:
    if value is None:
        return None
    sizes = tuple(value) if isinstance(value, (list, tuple)) else ()
    if not sizes or not all(
        size is None or (isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0)
        for size in sizes
    ):
        raise ValueError(
            "Invalid value received for argument `noise_shape`. Expected a tuple of positive integers or "
            f"None. Received: noise_shape={value}"
        )
    return sizes


class _Noise(Layer):
    """A layer with a generator of its own that passes its input on outside of training."""

    def _seeded(self, seed: int | None, active: bool) -> None:
        self.seed = seed
        if active:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    @property
    def _generator(self) -> Any:
        """The layer's generator; None, for the general one, where the rate was 0 when the layer was made."""
        return self.__dict__.get("seed_generator")

    def _drawn(self, function: Any, inputs: Any) -> Any:
        """function(inputs, shape), where the shape has every size: with a symbol of unknown size it runs when
        the size is known."""
        shape = tuple(inputs.shape)
        if any(size is None for size in shape):
            return _core.python(
                lambda x: function(x, tuple(x.shape)), inputs, shape=shape, dtype=inputs.dtype.name
            )
        return function(inputs, shape)


class Dropout(_Noise):
    """In training sets a share `rate` of the values to 0 and divides the others by 1 - rate.

    Args:
        rate: Between 0 and 1.
        noise_shape: Shape of the mask; None in it stands for the input's size, 1 for one draw along that
            axis.
        seed: An integer for a repeatable mask.

    >>> from cnnexplain import keras
    >>> keras.layers.Dropout(0.5)(keras.ops.ones((1, 3))).numpy()
    array([[1., 1., 1.]], dtype=float32)
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = _rate(rate)
        self.noise_shape = _noise_shape(noise_shape)
        self._seeded(seed, rate > 0)

    def _mask_shape(self, inputs: Any) -> Any:
        return self.noise_shape

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or not self.rate:
            return inputs
        x = real_input(inputs, self.dtype)
        return random.dropout(x, self.rate, noise_shape=self._mask_shape(x), seed=self._generator)


class SpatialDropout2D(Dropout):
    """Dropout of whole feature maps.

    Args:
        rate: Share of the feature maps that are dropped.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> keras.layers.SpatialDropout2D(0.5)(keras.ops.ones((1, 4, 4, 2))).shape
    TensorShape([1, 4, 4, 2])
    """

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    def _mask_shape(self, inputs: Any) -> Any:
        return (None, 1, 1, None) if self.data_format == "channels_last" else (None, None, 1, 1)


class SpatialDropout1D(Dropout):
    """Dropout of whole channels of sequences (n, length, c).

    Args:
        rate: Share of the channels that are dropped.
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> keras.layers.SpatialDropout1D(0.5)(keras.ops.ones((1, 4, 2))).shape
    TensorShape([1, 4, 2])
    """

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=3)

    def _mask_shape(self, inputs: Any) -> Any:
        return (None, 1, None)


class GaussianNoise(_Noise):
    """In training adds normal noise of standard deviation `stddev`.

    Args:
        stddev: The standard deviation.
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> keras.layers.GaussianNoise(0.1)(keras.ops.ones((1, 2))).numpy()
    array([[1., 1.]], dtype=float32)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.stddev = _rate(stddev, "stddev")
        self._seeded(seed, stddev > 0)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or not self.stddev:
            return inputs

        def noisy(x: Any, shape: tuple) -> Any:
            return x + random.normal(shape, stddev=self.stddev, dtype=x.dtype.name, seed=self._generator)

        return self._drawn(noisy, real_input(inputs, self.dtype))


class GaussianDropout(_Noise):
    """In training multiplies by normal noise of mean 1 and standard deviation sqrt(rate / (1 - rate)).

    Args:
        rate: At least 0 and below 1.
        seed: An integer for repeatable noise.

    >>> from cnnexplain import keras
    >>> keras.layers.GaussianDropout(0.5)(keras.ops.ones((1, 2))).numpy()
    array([[1., 1.]], dtype=float32)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = _rate(rate, open_end=True)
        self._seeded(seed, rate > 0)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or not self.rate:
            return inputs
        spread = math.sqrt(self.rate / (1.0 - self.rate))

        def noisy(x: Any, shape: tuple) -> Any:
            return x * random.normal(shape, 1.0, spread, dtype=x.dtype.name, seed=self._generator)

        return self._drawn(noisy, real_input(inputs, self.dtype))


class AlphaDropout(_Noise):
    """Dropout that keeps mean and variance of normalized activations, for networks of SELUs.

    In training a share `rate` of the values becomes -alpha * scale of the SELU, and an affine map brings mean
    and variance back to those of a standard normal input.

    Args:
        rate: Between 0 and 1.
        noise_shape: Shape of the mask; None in it stands for the input's size.
        seed: An integer for a repeatable mask.

    Klambauer et al., Self-Normalizing Neural Networks, 2017.

    >>> from cnnexplain import keras
    >>> keras.layers.AlphaDropout(0.5)(keras.ops.ones((1, 2))).numpy()
    array([[1., 1.]], dtype=float32)
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = _rate(rate)
        self.noise_shape = _noise_shape(noise_shape)
        self._seeded(seed, rate > 0)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or not self.rate or self.rate == 1:
            return inputs
        floor = -1.6732632423543772 * 1.0507009873554805
        gain = ((1 - self.rate) * (1 + self.rate * floor**2)) ** -0.5
        x = real_input(inputs, self.dtype)
        # Dropout of ones gives the mask, times 1 / (1 - rate).
        kept = random.dropout(x * 0.0 + 1.0, self.rate, noise_shape=self.noise_shape, seed=self._generator)
        kept = kept * (1.0 - self.rate)
        return (x * kept + floor * (1.0 - kept)) * gain - gain * floor * self.rate


class ActivityRegularization(Layer):
    """Passes its input on and adds l1 * sum|x| + l2 * sum(x^2), divided by the batch size, to the loss.

    Args:
        l1, l2: Weights of the two sums.

    >>> from cnnexplain import keras
    >>> keras.layers.ActivityRegularization(l2=0.1)(keras.ops.ones((1, 2))).numpy()
    array([[1., 1.]], dtype=float32)
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        from ..regularizers import L1L2

        super().__init__(activity_regularizer=L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict:
        config = super().get_config()
        del config["activity_regularizer"]
        return config
