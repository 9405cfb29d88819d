"""Pooling to a given size."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config
from . import arguments
from .base import Layer, real_input
from .convolution import from_last, to_last
from .input_spec import InputSpec


def bins(size: int, count: int) -> list[tuple[int, int]]:
    """floor(i * size / count) and ceil((i + 1) * size / count): where `count` bins over `size` cells end."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _larger(new: Any, old: Any) -> Any:
    return _core.where(new, old, _core.greater(new, old))


class _AdaptivePooling(Layer):
    rank = 2

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_size = arguments.integers(output_size, self.rank, "output_size")
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def _along(self, x: Any, axis: int, size: int, count: int) -> Any:
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        x = to_last(real_input(inputs, self.dtype), self.data_format)
        for axis, count in zip((2,) if self.rank == 1 else (1, 2), self.output_size, strict=True):
            size = x.shape[axis]
            if size is None:
                raise ValueError(
                    f"Layer '{self.name}' pools to a given size: the size of the input must be known. "
                    f"Received: shape={tuple(inputs.shape)}"
                )
            if size != count:
                x = self._along(x, axis, size, count)
        return from_last(x, self.data_format, self.rank)


class _AdaptiveAverage(_AdaptivePooling):
    def _along(self, x: Any, axis: int, size: int, count: int) -> Any:
        shares = np.zeros((size, count), x.dtype.name)
        for place, (start, end) in enumerate(bins(size, count)):
            shares[start:end, place] = 1.0 / (end - start)
        order = [0, 3 - axis, 3, axis]  # the pooled axis last, and back
        moved = _core.matmul(_core.transpose(x, perm=order), _core.tensor(shares))
        return _core.transpose(moved, perm=[order.index(k) for k in range(4)])


class _AdaptiveMax(_AdaptivePooling):
    def _along(self, x: Any, axis: int, size: int, count: int) -> Any:
        parts = bins(size, count)
        longest = max(end - start for start, end in parts)
        result = None
        for offset in range(longest):  # a bin that has ended meets its last cell again, which is not larger
            cells = np.array([min(start + offset, end - 1) for start, end in parts], np.int64)
            candidate = _core.gather(x, _core.tensor(cells), axis=axis)
            result = candidate if result is None else _larger(candidate, result)
        return result


class AdaptiveAveragePooling2D(_AdaptiveAverage):
    """The means of output_size bins of equal share: (n, h, w, c) -> (n, *output_size, c).

    Bin i of k over a size s reaches from floor(i * s / k) to ceil((i + 1) * s / k).

    Args:
        output_size: Height and width of the output, or one integer for both.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.AdaptiveAveragePooling2D(3)(keras.ops.ones((1, 7, 8, 2))).shape)
    (1, 3, 3, 2)
    """


class AdaptiveAveragePooling1D(_AdaptiveAverage):
    """The means of output_size bins of a sequence: (n, length, c) -> (n, output_size, c).

    Args:
        output_size: Number of bins.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.AdaptiveAveragePooling1D(3)(keras.ops.ones((1, 7, 2))).shape)
    (1, 3, 2)
    """

    rank = 1


class AdaptiveMaxPooling2D(_AdaptiveMax):
    """The maxima of output_size bins: (n, h, w, c) -> (n, *output_size, c).

    Args:
        output_size: Numbers of bins along height and width; an integer stands for both.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.AdaptiveMaxPooling2D((3, 4))(keras.ops.ones((1, 7, 8, 2))).shape)
    (1, 3, 4, 2)
    """


class AdaptiveMaxPooling1D(_AdaptiveMax):
    """The maxima of output_size bins of a sequence: (n, length, c) -> (n, output_size, c).

    Args:
        output_size: Number of bins.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.AdaptiveMaxPooling1D(3)(keras.ops.ones((1, 7, 2))).shape)
    (1, 3, 2)
    """

    rank = 1
