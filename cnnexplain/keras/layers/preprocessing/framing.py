"""Pictures of another size: resized, or cut."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import cut

from ...convert import as_tensor
from ...ops import image
from ...ops.image.framing import RESIZE_METHODS, centred
from ...ops.image.layout import channels_last, host, laid_out
from ...ops.image.warping import one_of, warp
from .. import arguments
from ..base import real_input
from .base import ImageLayer, RandomImageLayer


class Resizing(ImageLayer):
    """Pictures of a given height and width; integers stay integers.

    Args:
        height, width: The new size.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5" or "area".
        crop_to_aspect_ratio: Cut the longer side first, so that nothing is distorted.
        pad_to_aspect_ratio: Pad the shorter side with `fill_value` first.
        fill_mode: "constant".
        fill_value: The value of the padding.
        antialias: Widen the filter when pictures get smaller.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Resizing(8, 6)(keras.ops.ones((2, 4, 4, 3))).shape)
    (2, 8, 6, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        arguments.integers((height, width), 2, "height, width")
        one_of("interpolation", interpolation, RESIZE_METHODS)
        one_of("fill_mode", fill_mode, ("constant",))
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError("Only one of `pad_to_aspect_ratio` & `crop_to_aspect_ratio` can be `True`.")
        self.height = height
        self.width = width
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.antialias = bool(antialias)

    def _resized(self, images: Any, interpolation: str) -> Any:
        return image.resize(
            images,
            (self.height, self.width),
            interpolation=interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._resized(images, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._resized(segmentation_masks, "nearest")


def _middle(x: Any, height: int, width: int) -> Any:
    """The middle of the batch; where it is smaller than asked for, its largest part resized."""
    down, across = x.shape[1] - height, x.shape[2] - width
    if down >= 0 and across >= 0:
        return cut(cut(x, 1, down // 2, height), 2, across // 2, width)
    return image.resize(centred(x, height, width), (height, width), data_format="channels_last")


class CenterCrop(ImageLayer):
    """The middle of pictures; a picture that is too small is cut to the proportions and resized.

    Args:
        height, width: The size of the middle.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> row = keras.ops.reshape(keras.ops.arange(5.0), (1, 5, 1))
    >>> keras.layers.CenterCrop(1, 3)(row).numpy().ravel().tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        arguments.integers((height, width), 2, "height, width")
        self.height = height
        self.width = width

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        x = channels_last(real_input(as_tensor(images), self.dtype), self.data_format)
        shape = (x.shape[0], self.height, self.width, x.shape[3])

        def now(batch: Any) -> Any:
            return _middle(batch, self.height, self.width)

        found = host(now, x, shape=shape, dtype=x.dtype.name) if None in tuple(x.shape[1:3]) else now(x)
        return laid_out(found, self.data_format)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self.transform_images(segmentation_masks)


class RandomCrop(RandomImageLayer):
    """In training a part of the given size at a random place, one for the whole batch.

    Pictures that are not larger in both directions are cut from the middle and resized. Outside of training
    they stay as they are, as in Keras.

    Args:
        height, width: The size of the part.
        seed: An integer for repeatable places.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.RandomCrop(4, 3)(keras.ops.ones((2, 8, 8, 1)), training=True).shape)
    (2, 4, 3, 1)
    """

    moves_masks = True

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, name=name, **kwargs)
        arguments.integers((height, width), 2, "height, width")
        self.seed = self.generator._initial_seed
        self.height = height
        self.width = width

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """(top, left): numbers, or tensors (1, 1) of drawn ones."""
        h, w = self.sides(data)
        if not isinstance(h, int) or not isinstance(w, int):
            raise ValueError(
                "RandomCrop requires the input to have a fully defined height and width. Received: "
                f"images.shape={tuple(data.shape)}"
            )
        if training and h > self.height and w > self.width:
            return tuple(
                _core.floor(
                    _core.random_uniform(self.draw(seed), shape=[1, 1], low=0.0, high=float(spare + 1))
                )
                for spare in (h - self.height, w - self.width)
            )
        rows = max(min(h, int(float(w * self.height) / self.width)), 1)
        columns = max(min(w, int(float(h * self.width) / self.height)), 1)
        return int(float(h - rows) / 2), int(float(w - columns) / 2)

    def apply(self, x: Any, transformation: Any) -> Any:
        top, left = transformation
        if isinstance(top, int):
            rows, columns = min(self.height, x.shape[1] - top), min(self.width, x.shape[2] - left)
            x = cut(cut(x, 1, top, rows), 2, left, columns)
            return image.resize(x, (self.height, self.width), data_format="channels_last")
        one, none = (_core.tensor(np.full((1, 1), value, np.float32)) for value in (1, 0))
        top, left = (_core.cast(place, dtype="float32") for place in (top, left))
        matrix = _core.concat(one, none, left, none, one, top, none, none, axis=1)
        return warp(x, matrix, "nearest", "constant", 0.0, size=(self.height, self.width))
