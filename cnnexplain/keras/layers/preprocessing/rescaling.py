"""Values in another range."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from ... import config
from ..base import Layer, real_input


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
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        scale = np.asarray(self.scale, self.dtype)
        if scale.ndim == 0:
            scaled = x * float(self.scale)
        else:
            if config.image_data_format() == "channels_first":
                scale = scale.reshape(scale.shape + (1,) * (3 - scale.ndim))
            scaled = x * _core.tensor(scale)
        if np.ndim(self.offset) == 0:
            return scaled + float(self.offset) if self.offset else scaled
        return scaled + _core.tensor(np.asarray(self.offset, self.dtype))
