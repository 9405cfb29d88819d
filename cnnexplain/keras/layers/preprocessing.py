"""Layers that prepare pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .base import Layer, real_input


class Rescaling(Layer):
    """x * scale + offset; integer images become floats.

    Args:
        scale: Factor, or one for each channel.
        offset: Added afterwards, or one for each channel.

    >>> from cnnexplain import keras
    >>> keras.layers.Rescaling(1.0 / 255)(keras.ops.array([255.0])).numpy()
    array([1.], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset

    def _value(self, value: Any) -> Any:
        return float(value) if np.ndim(value) == 0 else _core.tensor(np.asarray(value, self.dtype))

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        return x * self._value(self.scale) + self._value(self.offset)


class RandomFlip(Layer):
    """In training mirrors each image with probability 1/2.

    Args:
        mode: "horizontal", "vertical" or "horizontal_and_vertical".
        seed: An integer for repeatable flips.
    """

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(
                f"`mode` must be 'horizontal', 'vertical' or 'horizontal_and_vertical'. Received: mode={mode}"
            )
        from ..random import SeedGenerator

        self.mode = mode
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = True) -> Any:
        x = real_input(inputs, self.dtype)
        if not training:
            return x
        for word, axis in (("horizontal", 2), ("vertical", 1)):
            if word in self.mode:
                keep = _core.reduce_mean(_core.multiply(x, 0.0), axis=[1, 2, 3], keepdims=True) + 1.0
                # Dropout at rate 1/2 of ones gives 0 or 2 for each image: a fair coin of the batch's size.
                coin = _core.dropout(keep, self.seed_generator.next(), rate=0.5)
                x = _core.where(x, _core.reverse(x, axis=[axis]), _core.greater(coin, 1.0))
        return x
