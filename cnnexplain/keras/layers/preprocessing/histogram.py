"""Pictures whose values are spread out over the whole range."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from ...convert import as_tensor
from ...ops.image.layout import host
from .. import arguments
from .base import ImageLayer, rescaled, value_span
from .color import clipped


class AutoContrast(ImageLayer):
    """Stretches each channel of each image over the whole range, at all times.

    Args:
        value_range: The least and the greatest value.

    >>> from cnnexplain import keras
    >>> keras.layers.AutoContrast()([[[100.0], [110.0], [120.0]]]).numpy().ravel().tolist()
    [0.0, 127.5, 255.0]
    """

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any):
        super().__init__(**kwargs)
        self.value_range = value_span(value_range)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return super().transform_images(images, transformation, True)

    def apply(self, x: Any, transformation: Any) -> Any:
        wide = rescaled(x, self.value_range, (0, 255))
        low = _core.reduce_min(wide, axis=[1, 2], keepdims=True)
        spread = _core.subtract(_core.reduce_max(wide, axis=[1, 2], keepdims=True), low)
        some = _core.greater(spread, 0.0)
        scale = _core.divide(255.0, _core.where(spread, 1.0, some))
        stretched = _core.add(_core.multiply(wide, scale), _core.multiply(_core.negative(low), scale))
        stretched = rescaled(clipped(stretched, (0, 255)), (0, 255), self.value_range)
        return _core.where(stretched, x, some)  # a channel of one value stays as it is


class Equalization(ImageLayer):
    """In training gives every channel about equally many values of each size.

    The histogram is that of the channel in all images of the batch. Values come from a table, so that no
    gradient passes.

    Args:
        value_range: The least and the greatest value.
        bins: Cells of the histogram.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.Equalization()(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self, value_range: Any = (0, 255), bins: int = 256, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.bins = bins
        self.value_range = value_span(value_range)

    def _equalized(self, channel: np.ndarray) -> np.ndarray:
        places = np.clip((channel.astype(np.float32) * ((self.bins - 1) / 255)).astype(int), 0, self.bins - 1)
        counts = np.bincount(places.ravel(), minlength=self.bins)
        if np.count_nonzero(counts) <= 1:
            return channel
        below = np.cumsum(counts)
        first = below[np.flatnonzero(below)[0]]
        table = np.clip(np.round((below - first) * 255 / max(below[-1] - first, 1)), 0, 255)
        return table[np.clip(channel / 255.0 * (self.bins - 1), 0, self.bins - 1).astype(int)]

    def apply(self, x: Any, transformation: Any) -> Any:
        def now(batch: Any) -> Any:
            values = np.asarray(rescaled(batch, self.value_range, (0, 255)))
            found = np.stack([self._equalized(values[..., k]) for k in range(values.shape[3])], axis=3)
            return rescaled(_core.tensor(found.astype(values.dtype)), (0, 255), self.value_range)

        return host(now, _core.stop_gradient(x), shape=tuple(x.shape), dtype=x.dtype.name)


def _tables(tiles: np.ndarray, limit: float) -> np.ndarray:
    """(..., 256): for each tile (..., pixels) what each value becomes."""
    pixels = tiles.shape[-1]
    cells = np.clip(tiles.astype(int), 0, 255).reshape(-1, pixels)
    counts = np.zeros((len(cells), 256), np.float32)
    np.add.at(counts, (np.arange(len(cells))[:, None], cells), 1)
    if limit > 0:
        low = np.minimum(counts, np.float32(limit * pixels / 256))
        counts = low + (counts - low).sum(-1, keepdims=True) / np.float32(256)
    below = counts.cumsum(-1)
    first = below.min(-1, keepdims=True)
    span = pixels - first
    found = np.clip((below - first) * 255 / np.where(span == 0, 1, span), 0, 255)
    return found.astype(np.float32).reshape(*tiles.shape[:-1], 256)


def _between(size: int, tile: int) -> tuple[np.ndarray, np.ndarray]:
    """The tile before each pixel of an axis, in a grid with one more at each end, and the way from it."""
    place = (np.arange(size, dtype=np.float32) - tile / 2) / tile + 1
    before = np.floor(place)
    return before.astype(int), place - before


def adaptively_equalized(x: np.ndarray, limit: float, grid: tuple[int, int]) -> np.ndarray:
    """Images (n, h, w, c) of values in [0, 255], each pixel by the tables of the four tiles around it."""
    n, height, width, channels = x.shape
    rows, columns = -(-height // grid[0]), -(-width // grid[1])
    spare = ((0, 0), (0, rows * grid[0] - height), (0, columns * grid[1] - width), (0, 0))
    x = np.pad(x, spare, mode="symmetric")
    tiles = x.reshape(n, grid[0], rows, grid[1], columns, channels).transpose(0, 1, 3, 5, 2, 4)
    tables = _tables(tiles.reshape(n, *grid, channels, rows * columns), limit)
    tables = np.pad(tables, ((0, 0), (1, 1), (1, 1), (0, 0), (0, 0)), mode="edge")
    (top, down), (left, along) = _between(x.shape[1], rows), _between(x.shape[2], columns)
    image, channel = np.arange(n)[:, None, None, None], np.arange(channels)
    values = np.clip(x, 0, 255).astype(int)

    def seen(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return tables[image, row[:, None, None], column[:, None], channel, values]

    right, further = along[:, None], down[:, None, None]
    upper = seen(top, left) * (1 - right) + seen(top, left + 1) * right
    lower = seen(top + 1, left) * (1 - right) + seen(top + 1, left + 1) * right
    return (upper * (1 - further) + lower * further)[:, :height, :width]


class ContrastLimitedAdaptiveHistogramEqualization(ImageLayer):
    """Equalizes the values of each neighbourhood, at all times (Zuiderveld, Graphics Gems IV, 1994).

    Each tile of a grid has a table that equalizes its histogram, cut off so that noise is not blown up; a
    pixel's value is interpolated between the tables of the four tiles around it. No gradient passes.

    Args:
        value_range: The least and the greatest value.
        clip_limit: Most entries of a cell of the histogram, times the mean; 0 for no limit.
        tile_grid_size: Rows and columns of tiles.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> layer = keras.layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(1, 1), clip_limit=0)
    >>> layer([[[100.0], [100.0], [110.0], [120.0]]]).numpy().ravel().tolist()
    [127.5, 127.5, 191.25, 255.0]
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Any = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        arguments.integers(tile_grid_size, 2, "tile_grid_size")
        self.value_range = value_range
        self.clip_limit = clip_limit
        self.tile_grid_size = tile_grid_size

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        x = as_tensor(images)
        found = super().transform_images(_core.stop_gradient(x), transformation, True)
        return found if x.dtype.is_floating else _core.cast(found, dtype=x.dtype.name)

    def apply(self, x: Any, transformation: Any) -> Any:
        def now(batch: Any) -> Any:
            values = np.asarray(rescaled(batch, self.value_range, (0, 255)), np.float32)
            found = adaptively_equalized(values, self.clip_limit, tuple(self.tile_grid_size))
            return rescaled(_core.tensor(found.astype(batch.dtype.name)), (0, 255), self.value_range)

        return host(now, x, shape=tuple(x.shape), dtype=x.dtype.name)
