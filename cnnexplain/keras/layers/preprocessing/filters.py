"""Pictures blurred or sharpened at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.image.filters import each_channel

from ...ops.image.filters import gaussian_blur
from .base import RandomImageLayer, overlapping, per_image, value_span
from .color import clipped


class RandomSharpness(RandomImageLayer):
    """In training moves each image towards its blurred version, or away from it.

    x + (1 - 2 f) (blurred - x): f = 0 blurs, 1/2 changes nothing, 1 sharpens.

    Args:
        factor: f, or (lower, upper) that f is drawn from; one number g stands for (0, g).
        value_range: Where the result is cut off.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> keras.layers.RandomSharpness(0.5)(x, training=True).numpy()[0, 1, 1].round(3)
    array([100., 100., 100.], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, 0, 1)
        self.value_range = value_span(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"factor": self.uniform(data, *self.factor, seed)} if training else None

    def apply(self, x: Any, transformation: Any) -> Any:
        kernel = np.full((3, 3), 1 / 13, x.dtype.name)
        kernel[1, 1] = 5 / 13
        softer = each_channel(x, _core.tensor(kernel))
        share = _core.subtract(1.0, _core.multiply(per_image(transformation["factor"], x), 2.0))
        return clipped(_core.add(x, _core.multiply(_core.subtract(softer, x), share)), self.value_range)


class RandomGaussianBlur(RandomImageLayer):
    """In training blurs images by a normal density.

    Args:
        factor: The probability, f for a probability drawn from (0, f).
        kernel_size: Height and width of the window, odd; one number for both.
        sigma: Width of the density, s for a width drawn from (0, s), one for the batch.
        value_range: Where the result is cut off.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> keras.layers.RandomGaussianBlur(kernel_size=3)(x, training=True).numpy()[0, 1, 1].round(3)
    array([100., 100., 100.], dtype=float32)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        kernel_size: Any = 3,
        sigma: Any = 1.0,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, 0, 1)
        sizes = tuple(kernel_size) if isinstance(kernel_size, (list, tuple)) else (kernel_size, kernel_size)
        if len(sizes) != 2 or any(not isinstance(size, int) or size < 1 or size % 2 == 0 for size in sizes):
            raise ValueError(
                f"`kernel_size` must be an odd number or two of them. Received: kernel_size={kernel_size}"
            )
        self.kernel_size = sizes
        self.sigma = overlapping("sigma", sigma, 0, 1)
        self.value_range = value_range

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        widths = _core.random_uniform(
            self.draw(seed), shape=[2], low=float(self.sigma[0]), high=float(self.sigma[1]), dtype=self.dtype
        )
        return {
            "should_apply_blur": self.chosen(data, self.factor, seed),
            "blur_factor": _core.add(widths, 1e-6),
        }

    def apply(self, x: Any, transformation: Any) -> Any:
        blurred = gaussian_blur(x, self.kernel_size, transformation["blur_factor"], "channels_last")
        found = _core.where(blurred, x, per_image(transformation["should_apply_blur"], x))
        return clipped(found, self.value_range)
