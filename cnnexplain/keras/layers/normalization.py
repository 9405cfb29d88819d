"""Normalization of activations and of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import initializers, tracing
from .base import Layer, real_input
from .input_spec import InputSpec


class BatchNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta for each channel.

    In training mean and variance are those of the batch, and the moving ones follow as
    moving * momentum + batch * (1 - momentum); otherwise, or when frozen by `trainable = False`, the moving
    ones are used.

    Args:
        axis: The channel axis.
        momentum: Of the moving statistics.
        epsilon: Added to the variance.
        center: Whether beta is added.
        scale: Whether gamma multiplies.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: Initial
            values.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: As for other layers.
        synchronized: Accepted when False.

    Weights: gamma?, beta?, moving_mean, moving_variance, each (channels,).

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.BatchNormalization()(keras.ops.ones((2, 4, 4, 3))).shape)
    (2, 4, 4, 3)
    """

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        for old in (
            "renorm",
            "renorm_clipping",
            "renorm_momentum",
            "virtual_batch_size",
            "adjustment",
            "fused",
        ):
            if old in kwargs and kwargs.pop(old) and old != "fused" and old != "renorm_momentum":
                raise ValueError(f"`{old}` is not offered.")
        super().__init__(**kwargs)
        if isinstance(axis, (list, tuple)):
            if len(axis) != 1:
                raise ValueError(f"`axis` must be one integer. Received: axis={axis}")
            axis = axis[0]
        self.axis = int(axis)
        self.synchronized = bool(synchronized)
        if self.synchronized:
            raise ValueError("`synchronized=True` is not offered.")
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"`momentum` must be between 0 and 1. Received: momentum={momentum}")
        self.momentum = float(momentum)
        if not epsilon > 0.0:
            raise ValueError(f"`epsilon` must be positive. Received: epsilon={epsilon}")
        self.epsilon = float(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self._describe_weight("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._describe_weight("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ValueError(
                f"`axis` is out of range for an input of shape {tuple(input_shape)}. Received: "
                f"axis={self.axis}"
            )
        size = input_shape[self.axis]
        if size is None:
            raise ValueError(
                f"The axis {self.axis} of the input must be known. Received: input_shape={tuple(input_shape)}"
            )
        if self.scale:
            self.gamma = self._add_described("gamma", (size,))
        if self.center:
            self.beta = self._add_described("beta", (size,))
        self.moving_mean = self.add_weight(
            name="moving_mean", shape=(size,), initializer=self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            name="moving_variance",
            shape=(size,),
            initializer=self.moving_variance_initializer,
            trainable=False,
        )
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: size})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if mask is not None:
            raise ValueError("`mask` is not offered by BatchNormalization.")
        x = real_input(inputs, self.dtype)
        rank = len(x.shape)
        axis = self.axis % rank
        order = None
        if axis != rank - 1:
            order = [*(k for k in range(rank) if k != axis), axis]
            x = _core.transpose(x, perm=order)
        if training and self.trainable:
            y, mean, variance = _core.batch_norm_training(x, self.gamma, self.beta, epsilon=self.epsilon)
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept = _core.multiply(tracing.latest(moving), self.momentum)
                moving.assign(kept + _core.stop_gradient(batch) * (1.0 - self.momentum))
        else:
            y = _core.batch_norm(
                x, self.moving_mean, self.moving_variance, self.gamma, self.beta, epsilon=self.epsilon
            )
        if order is not None:
            y = _core.transpose(y, perm=[order.index(k) for k in range(rank)])
        return y


class LayerNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta over `axis` of each example.

    Args:
        axis: The axis or axes that are normalized.
        epsilon: Added to the variance.
        center, scale: Whether beta is added, gamma multiplies.
    """

    def __init__(
        self,
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
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else int(axis)
        self.epsilon = float(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self._describe_weight("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._describe_weight("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None

    def _axes(self, rank: int) -> list[int]:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        return sorted(axis % rank for axis in axes)

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[axis] for axis in self._axes(len(input_shape)))
        if self.scale:
            self.gamma = self._add_described("gamma", shape)
        if self.center:
            self.beta = self._add_described("beta", shape)

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        rank = len(x.shape)
        axes = self._axes(rank)
        mean = _core.reduce_mean(x, axis=axes, keepdims=True)
        variance = _core.reduce_mean(_core.squared_difference(x, mean), axis=axes, keepdims=True)
        y = (x - mean) * _core.rsqrt(variance + self.epsilon)
        shape = [x.shape[axis] if axis in axes else 1 for axis in range(rank)]
        if self.gamma is not None:
            y = y * _core.reshape(self.gamma, shape=shape)
        if self.beta is not None:
            y = y + _core.reshape(self.beta, shape=shape)
        return y


class Normalization(Layer):
    """(x - mean) / sqrt(variance), with given statistics or those that `adapt` computes.

    Args:
        axis: Axes with statistics of their own; None: one mean and variance for everything.
        mean, variance: Given statistics.
        invert: Whether the opposite is computed.
    """

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. "
                f"Received: mean={mean} and variance={variance}"
            )
        self.axis = None if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
        self.mean = mean
        self.variance = variance
        self.invert = bool(invert)

    def _shape(self, input_shape: Any) -> list[int]:
        rank = len(input_shape)
        kept = {axis % rank for axis in self.axis or ()}
        return [int(input_shape[k]) if k in kept else 1 for k in range(rank)]

    def build(self, input_shape: Any) -> None:
        self._broadcast = self._shape(input_shape)
        shape = tuple(
            size
            for k, size in enumerate(self._broadcast)
            if k in {a % len(input_shape) for a in self.axis or ()}
        )
        if self.mean is None:
            self.adapt_mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(
                name="variance", shape=shape, initializer="ones", trainable=False
            )
            self.count = self.add_weight(
                name="count", shape=(), initializer="zeros", trainable=False, dtype="int32"
            )

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Sets the statistics to those of `data`, an array or an iterable of batches."""
        arrays = [np.asarray(data)] if hasattr(data, "shape") else [np.asarray(batch) for batch in data]
        array = np.concatenate(arrays).astype(np.float64)
        if not self.built:
            self.build((None, *array.shape[1:]))
        axes = tuple(k for k in range(array.ndim) if k not in {a % array.ndim for a in self.axis or ()})
        self.adapt_mean.assign(array.mean(axis=axes).astype(self.dtype))
        self.adapt_variance.assign(array.var(axis=axes).astype(self.dtype))
        self.count.assign(np.int32(array.shape[0]))

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        if self.mean is None:
            mean = _core.reshape(self.adapt_mean, shape=self._broadcast)
            variance = _core.reshape(self.adapt_variance, shape=self._broadcast)
            spread = _core.maximum(_core.sqrt(variance), 1e-7)
        else:
            mean = _constant(self.mean, self._broadcast, self.dtype)
            root = np.sqrt(np.asarray(self.variance, self.dtype))
            spread = _constant(np.maximum(root, 1e-7), self._broadcast, self.dtype)
        return x * spread + mean if self.invert else (x - mean) / spread


def _constant(value: Any, shape: list[int], dtype: str) -> Any:
    array = np.asarray(value, dtype)
    try:
        array = np.broadcast_to(array, shape) if array.ndim == 0 else array.reshape(shape)
    except ValueError:
        array = np.broadcast_to(array, shape)
    return _core.tensor(np.ascontiguousarray(array))


class UnitNormalization(Layer):
    """Scales to length 1 along `axis`."""

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else int(axis)
        self.built = True

    def call(self, inputs: Any) -> Any:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        total = _core.reduce_sum(_core.square(inputs), axis=axes, keepdims=True)
        return inputs * _core.rsqrt(_core.maximum(total, 1e-12))
