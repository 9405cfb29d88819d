"""Local response normalization across channels, as AlexNet has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config
from .base import Layer, real_input
from .convolution import from_last, to_last
from .input_spec import InputSpec


class LocalResponseNormalization(Layer):
    """x / (bias + alpha * s)^beta, s the sum of x^2 over the channels at most `depth_radius` away.

    That is the formula of AlexNet's paper and of `tf.nn.local_response_normalization`; the defaults are the
    paper's k = 2, n = 5 (two channels on either side), alpha = 1e-4 and beta = 0.75. Caffe, cuda-convnet and
    PyTorch divide alpha by the number of channels in the window: their alpha is (2 * depth_radius + 1) times
    the one here. At the first and last channels the window is cut off.

    Args:
        depth_radius: How many channels on either side count.
        bias: Keeps the divisor away from 0; k in the paper.
        alpha: Factor of the sum of squares.
        beta: Exponent.
        data_format: "channels_last" or "channels_first".

    Paper: ImageNet Classification with Deep Convolutional Neural Networks (2012), section 3.3.

    Keras has no such layer: to open a saved model that has it there, pass a layer of yours as
    `custom_objects={"LocalResponseNormalization": ...}`.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.LocalResponseNormalization(1, bias=0.0, alpha=1.0, beta=0.5)
    >>> layer([[[[3.0, 4.0, 0.0]]]]).numpy().tolist()
    [[[[0.6000000238418579, 0.800000011920929, 0.0]]]]
    """

    _keras_module = ""  # Keras has no such layer: in files it is the user's

    def __init__(
        self,
        depth_radius: int = 2,
        bias: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if (
            isinstance(depth_radius, bool)
            or not isinstance(depth_radius, (int, np.integer))
            or depth_radius < 0
        ):
            raise ValueError(
                f"`depth_radius` must be a non-negative integer. Received: depth_radius={depth_radius!r}"
            )
        self.depth_radius = int(depth_radius)
        self.bias = _real(bias, "bias")
        self.alpha = _real(alpha, "alpha")
        self.beta = _real(beta, "beta")
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)
        self.built = True

    def call(self, inputs: Any) -> Any:
        x = to_last(real_input(inputs, self.dtype), self.data_format)
        y = _core.local_response_normalization(
            x, depth_radius=self.depth_radius, bias=self.bias, alpha=self.alpha, beta=self.beta
        )
        return from_last(y, self.data_format)


def _real(value: Any, name: str) -> float:
    good = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not good or not np.isfinite(value):
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r}")
    return float(value)
