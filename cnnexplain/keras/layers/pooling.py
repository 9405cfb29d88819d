"""Pooling over windows and over whole images."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .. import config
from . import arguments
from .base import Layer, real_input
from .convolution import from_last, to_last
from .input_spec import InputSpec


class _Pooling(Layer):
    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.pool_size = arguments.integers(pool_size, 2, "pool_size")
        self.strides = self.pool_size if strides is None else arguments.integers(strides, 2, "strides")
        self.padding = arguments.padding(padding)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def _finish(self, x: Any) -> Any:
        if 0 in tuple(x.shape)[1:3]:
            raise ValueError(
                f'Computed output size of layer "{self.name}" would not be positive: its window is larger '
                "than the "
                f"input. Received: pool_size={self.pool_size}, output shape {tuple(x.shape)}"
            )
        return from_last(x, self.data_format)


class MaxPooling2D(_Pooling):
    """The largest value of each window; among equals the first gets the gradient.

    Args:
        pool_size: Height and width of the window.
        strides: Its steps; None: `pool_size`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Input (n, h, w, c); output (n, h', w', c).

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.MaxPooling2D(2)(keras.ops.zeros((1, 7, 7, 3))).shape)
    (1, 3, 3, 3)
    """

    def call(self, inputs: Any) -> Any:
        x = to_last(real_input(inputs, self.dtype), self.data_format)
        x = _core.max_pool2d(x, pool_size=self.pool_size, strides=self.strides, padding=self.padding)
        return self._finish(x[0] if isinstance(x, tuple) else x)


class AveragePooling2D(_Pooling):
    """The mean of each window's cells inside the image.

    Input (n, h, w, c); output (n, h', w', c). Arguments as for `MaxPooling2D`.
    """

    def call(self, inputs: Any) -> Any:
        x = to_last(real_input(inputs, self.dtype), self.data_format)
        x = _core.average_pool2d(x, pool_size=self.pool_size, strides=self.strides, padding=self.padding)
        return self._finish(x)


class _GlobalPooling(Layer):
    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=4)
        self.built = True


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over height and width: (n, h, w, c) -> (n, c), or (n, 1, 1, c) with `keepdims`.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.GlobalAveragePooling2D()(keras.ops.ones((2, 3, 3, 8))).shape)
    (2, 8)
    """

    def call(self, inputs: Any) -> Any:
        x = _core.global_average_pool2d(
            to_last(real_input(inputs, self.dtype), self.data_format), keepdims=self.keepdims
        )
        return from_last(x, self.data_format) if self.keepdims else x


class GlobalMaxPooling2D(_GlobalPooling):
    """The maximum over height and width: (n, h, w, c) -> (n, c), or (n, 1, 1, c) with `keepdims`."""

    def call(self, inputs: Any) -> Any:
        axes = [1, 2] if self.data_format == "channels_last" else [2, 3]
        return _core.reduce_max(real_input(inputs, self.dtype), axis=axes, keepdims=self.keepdims)


MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
