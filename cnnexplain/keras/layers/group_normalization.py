"""Normalization over groups of channels, and by the root mean square."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from . import arguments
from .base import Layer, real_input
from .input_spec import InputSpec
from .normalization import given_axes, known_sizes, positive_epsilon, sorted_axes


class GroupNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta over each group of channels of each example.

    Args:
        groups: Number of groups; -1: one for each channel (instance normalization).
        axis: The channel axis.
        epsilon: Added to the variance.
        center, scale: Whether beta is added, gamma multiplies.
        beta_initializer, gamma_initializer: Initial values.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: As for other layers.

    Weights: gamma?, beta?, each (channels,).

    Raises:
        ValueError: The groups do not divide the channels.

    Wu and He, Group Normalization, 2018.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.GroupNormalization(2)(keras.ops.ones((1, 4, 4, 6))).shape)
    (1, 4, 4, 6)
    """

    def __init__(
        self,
        groups: int = 32,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.groups = -1 if isinstance(groups, int) and groups == -1 else arguments.positive(groups, "groups")
        if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
            raise ValueError(f"`axis` must be one integer. Received: axis={axis}")
        self.axis = int(axis)
        self.epsilon = positive_epsilon(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self._describe_weight("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._describe_weight("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        (size,) = known_sizes(input_shape, self.axis, self.name)
        if self.axis % len(input_shape) == 0:
            raise ValueError(f"`axis` must not be the batch axis. Received: axis={self.axis}")
        if self.groups == -1:
            self.groups = size
        if size % self.groups:
            raise ValueError(
                f"Number of groups ({self.groups}) must divide the number of channels ({size}). Received: "
                f"input_shape={tuple(input_shape)}"
            )
        if self.scale:
            self.gamma = self._add_described("gamma", (size,))
        if self.center:
            self.beta = self._add_described("beta", (size,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        rank = len(x.shape)
        axis, size = self.axis % rank, x.shape[self.axis]
        share = size // self.groups
        ones = [1] * (rank - 2)
        if axis == rank - 1:
            order, grouped, wide = None, [-2, -1, self.groups, share], [-2, *ones, size]
        else:  # (n, channels, ...)
            order = [0, axis, *(k for k in range(1, rank) if k != axis)]
            x = _core.transpose(x, perm=order)
            grouped, wide = [-2, 1, self.groups, -1], [-2, size, *ones]
        parts = _core.reshape(x, shape=grouped)
        mean = _core.reduce_mean(parts, axis=[1, 3], keepdims=True)
        variance = _core.reduce_mean(_core.squared_difference(parts, mean), axis=[1, 3], keepdims=True)
        inverse = _core.rsqrt(variance + self.epsilon)

        def spread(statistic: Any) -> Any:
            return _core.reshape(_core.tile(statistic, multiples=[1, 1, 1, share]), shape=wide)

        y = (x - spread(mean)) * spread(inverse)
        if self.gamma is not None:
            y = y * _core.reshape(self.gamma, shape=[1, *wide[1:]])
        if self.beta is not None:
            y = y + _core.reshape(self.beta, shape=[1, *wide[1:]])
        return y if order is None else _core.transpose(y, perm=[order.index(k) for k in range(rank)])


class RMSNormalization(Layer):
    """scale * x / sqrt(mean(x^2) + epsilon) over `axis` of each example.

    Args:
        axis: The axis or axes that are normalized.
        epsilon: Added to the mean square.

    Weights: scale, of the sizes along `axis`. Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.

    >>> from cnnexplain import keras
    >>> keras.layers.RMSNormalization()([[3.0, -3.0]]).numpy().round(4)
    array([[ 1., -1.]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = given_axes(axis)
        self.epsilon = positive_epsilon(epsilon)

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(
            name="scale", shape=known_sizes(input_shape, self.axis, self.name), initializer="ones"
        )

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        rank = len(x.shape)
        axes = sorted_axes(self.axis, rank)
        square = _core.reduce_mean(_core.square(x), axis=axes, keepdims=True)
        shape = [x.shape[k] if k in axes else 1 for k in range(rank)]
        return x * _core.rsqrt(square + self.epsilon) * _core.reshape(self.scale, shape=shape)
