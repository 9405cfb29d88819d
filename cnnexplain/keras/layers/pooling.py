"""Pooling over windows and over whole images and sequences."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .. import config
from . import arguments
from .base import Layer, real_input
from .convolution import from_last, to_last, two
from .input_spec import InputSpec


class _Pooling(Layer):
    rank = 2

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.pool_size = arguments.integers(pool_size, self.rank, "pool_size")
        self.strides = (
            self.pool_size if strides is None else arguments.integers(strides, self.rank, "strides")
        )
        self.padding = arguments.padding(padding)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def _pool(self, x: Any, **window: Any) -> Any:
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        x = to_last(real_input(inputs, self.dtype), self.data_format)
        x = self._pool(x, pool_size=two(self.pool_size), strides=two(self.strides), padding=self.padding)
        if 0 in tuple(x.shape)[1:3]:
            raise ValueError(
                f'Computed output size of layer "{self.name}" would not be positive: its window is larger '
                f"than the input. Received: pool_size={self.pool_size}, input shape {tuple(inputs.shape)}"
            )
        return from_last(x, self.data_format, self.rank)


class _MaxPooling(_Pooling):
    def _pool(self, x: Any, **window: Any) -> Any:
        x = _core.max_pool2d(x, **window)
        return x[0] if isinstance(x, tuple) else x


class _AveragePooling(_Pooling):
    def _pool(self, x: Any, **window: Any) -> Any:
        return _core.average_pool2d(x, **window)


class MaxPooling2D(_MaxPooling):
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

    __init__ = arguments.with_defaults(_Pooling.__init__, pool_size=(2, 2))


class MaxPooling1D(_MaxPooling):
    """The largest value of each window of a sequence: (n, length, c) -> (n, length', c).

    Args:
        pool_size: Length of the window.
        strides: Its step; None: `pool_size`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> keras.layers.MaxPooling1D(2)(keras.ops.array([[[1.0], [3.0], [2.0], [0.0]]])).numpy().ravel()
    array([3., 2.], dtype=float32)
    """

    rank = 1
    __init__ = arguments.with_defaults(_Pooling.__init__, pool_size=2)


class AveragePooling2D(_AveragePooling):
    """The mean of each window's cells inside the image.

    Input (n, h, w, c); output (n, h', w', c). Arguments as for `MaxPooling2D`.

    Args:
        pool_size: Height and width of the window.
        strides: Its steps; None: `pool_size`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.AveragePooling2D(2)(keras.ops.zeros((1, 6, 6, 3))).shape)
    (1, 3, 3, 3)
    """


class AveragePooling1D(_AveragePooling):
    """The mean of each window's cells inside the sequence: (n, length, c) -> (n, length', c).

    Args:
        pool_size: Length of the window.
        strides: Its step; None: `pool_size`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> keras.layers.AveragePooling1D(2)(keras.ops.array([[[1.0], [3.0], [2.0], [0.0]]])).numpy().ravel()
    array([2., 1.], dtype=float32)
    """

    rank = 1


class _GlobalPooling(Layer):
    rank = 2

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    @property
    def _axes(self) -> list[int]:
        first = 1 if self.data_format == "channels_last" else 2
        return list(range(first, first + self.rank))


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over height and width: (n, h, w, c) -> (n, c), or (n, 1, 1, c) with `keepdims`.

    Args:
        data_format: "channels_last" or "channels_first".
        keepdims: Whether the axes stay, with length 1.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.GlobalAveragePooling2D()(keras.ops.ones((2, 3, 3, 8))).shape)
    (2, 8)
    """

    def call(self, inputs: Any) -> Any:
        x = _core.global_average_pool2d(
            to_last(real_input(inputs, self.dtype), self.data_format), keepdims=self.keepdims
        )
        return from_last(x, self.data_format) if self.keepdims else x


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over a sequence: (n, length, c) -> (n, c), or (n, 1, c) with `keepdims`.

    With a mask (n, length) the mean is over the steps where it is true.

    Args:
        data_format: "channels_last" or "channels_first".
        keepdims: Whether the axes stay, with length 1.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.GlobalAveragePooling1D()(keras.ops.ones((2, 5, 8))).shape)
    (2, 8)
    """

    rank = 1

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format=data_format, keepdims=keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        x = real_input(inputs, self.dtype)
        if mask is None:
            return _core.reduce_mean(x, axis=self._axes, keepdims=self.keepdims)
        step = -1 if mask.shape[1] is None else mask.shape[1]
        kept = _core.reshape(
            _core.cast(_core.cast(mask, dtype="bool"), dtype=x.dtype.name),
            shape=[-2, step, 1] if self.data_format == "channels_last" else [-2, 1, step],
        )
        total = _core.reduce_sum(x * kept, axis=self._axes, keepdims=self.keepdims)
        return total / _core.reduce_sum(kept, axis=self._axes, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """No mask: the steps are gone."""
        return None


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return _core.reduce_max(real_input(inputs, self.dtype), axis=self._axes, keepdims=self.keepdims)


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The maximum over height and width: (n, h, w, c) -> (n, c), or (n, 1, 1, c) with `keepdims`.

    Args:
        data_format: "channels_last" or "channels_first".
        keepdims: Whether the axes stay, with length 1.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.GlobalMaxPooling2D()(keras.ops.ones((2, 3, 3, 8))).shape)
    (2, 8)
    """


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The maximum over a sequence: (n, length, c) -> (n, c), or (n, 1, c) with `keepdims`.

    Args:
        data_format: "channels_last" or "channels_first".
        keepdims: Whether the axes stay, with length 1.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.GlobalMaxPooling1D()(keras.ops.ones((2, 5, 8))).shape)
    (2, 8)
    """

    rank = 1


MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
