"""Layers that disturb their input in training and pass it on otherwise."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .. import config, random
from .base import Layer, real_input
from .input_spec import InputSpec


class Dropout(Layer):
    """In training sets a share `rate` of the values to 0 and divides the others by 1 - rate.

    Args:
        rate: Between 0 and 1.
        noise_shape: Shape of the mask; None in it stands for the input's size, 1 for one draw along that
            axis.
        seed: An integer for a repeatable mask.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 <= rate <= 1:
            raise ValueError(
                "Invalid value received for argument `rate`. Expected a float value between 0 and 1. "
                f"Received: rate={rate}"
            )
        self.rate = rate
        self.seed = seed
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        if rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.built = True

    def _mask_shape(self, inputs: Any) -> Any:
        return self.noise_shape

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or not self.rate:
            return inputs
        x = real_input(inputs, self.dtype)
        return random.dropout(x, self.rate, noise_shape=self._mask_shape(x), seed=self.seed_generator)


class SpatialDropout2D(Dropout):
    """Dropout of whole feature maps."""

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    def _mask_shape(self, inputs: Any) -> Any:
        return (None, 1, 1, None) if self.data_format == "channels_last" else (None, None, 1, 1)


class GaussianNoise(Layer):
    """In training adds normal noise of standard deviation `stddev`."""

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= stddev <= 1:
            raise ValueError(
                "Invalid value received for argument `stddev`. Expected a float value between 0 and 1. "
                f"Received: stddev={stddev}"
            )
        self.stddev = stddev
        self.seed = seed
        if stddev > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or not self.stddev:
            return inputs
        shape = tuple(inputs.shape)
        if any(size is None for size in shape):
            # A dropout mask of zeros and ones has the batch's size; two of them would not be normal, so
            # noise is made
            # where the size is known: at run time, in a node of its own.
            generator = self.seed_generator

            def noisy(x: Any) -> Any:
                return x + random.normal(
                    tuple(x.shape), stddev=self.stddev, dtype=x.dtype.name, seed=generator
                )

            return _core.python(noisy, inputs, shape=shape, dtype=inputs.dtype.name)
        return inputs + random.normal(
            shape, stddev=self.stddev, dtype=inputs.dtype.name, seed=self.seed_generator
        )


class ActivityRegularization(Layer):
    """Passes its input on and adds l1 * sum|x| + l2 * sum(x^2) to the loss."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        from ..regularizers import L1L2

        super().__init__(activity_regularizer=L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs
