"""Normalization of activations."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config, initializers
from . import arguments
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
        renorm, renorm_clipping, renorm_momentum, synchronized: Accepted as they are by default.

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
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        kwargs.pop("fused", None)
        arguments.refuse(kwargs, "virtual_batch_size", "adjustment")
        arguments.refuse({"renorm": renorm, "renorm_clipping": renorm_clipping}, "renorm", "renorm_clipping")
        arguments.refuse({"synchronized": synchronized}, "synchronized")
        super().__init__(**kwargs)
        self.renorm, self.renorm_clipping, self.renorm_momentum = False, None, renorm_momentum
        self.supports_masking = True
        if isinstance(axis, (list, tuple)):
            if len(axis) != 1:
                raise ValueError(f"`axis` must be one integer. Received: axis={axis}")
            axis = axis[0]
        self.axis = int(axis)
        self.synchronized = bool(synchronized)
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"`momentum` must be between 0 and 1. Received: momentum={momentum}")
        self.momentum = float(momentum)
        self.epsilon = positive_epsilon(epsilon)
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
        x = real_input(inputs, self.dtype)
        rank = len(x.shape)
        if mask is not None and len(mask.shape) != rank - 1:
            raise ValueError(
                "`mask` must have one axis less than the input. Received: "
                f"mask.shape={tuple(mask.shape)}, inputs.shape={tuple(x.shape)}"
            )
        axis = self.axis % rank
        order = None
        if axis != rank - 1:
            order = [*(k for k in range(rank) if k != axis), axis]
            x = _core.transpose(x, perm=order)
        if training and self.trainable:
            if mask is None:
                y, mean, variance = _core.batch_norm_training(x, self.gamma, self.beta, epsilon=self.epsilon)
            else:
                y, mean, variance = self._masked(x, mask, order)
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept = _core.multiply(moving, self.momentum)
                moving.assign(kept + _core.stop_gradient(batch) * (1.0 - self.momentum))
        else:
            y = _core.batch_norm(
                x, self.moving_mean, self.moving_variance, self.gamma, self.beta, epsilon=self.epsilon
            )
        if order is not None:
            y = _core.transpose(y, perm=[order.index(k) for k in range(rank)])
        return y

    def _masked(self, x: Any, mask: Any, order: list[int] | None) -> tuple[Any, Any, Any]:
        """The normalized input, with the mean and variance of the cells where the mask is true."""
        rank = len(x.shape)
        sizes = [-1 if size is None else int(size) for size in tuple(mask.shape)[1:]]
        kept = _core.reshape(_core.cast(mask, dtype="bool"), shape=[-2, *sizes, 1])
        if order is not None:
            kept = _core.transpose(kept, perm=order)
        axes = list(range(rank - 1))
        every = _core.logical_or(kept, _core.not_equal(x, x))  # as large as the input
        every = _core.logical_and(every, kept)
        zero = _core.tensor(np.zeros((), x.dtype.name))
        count = _core.reduce_sum(_core.cast(every, dtype=x.dtype.name), axis=axes) + config.epsilon()
        mean = _core.reduce_sum(_core.where(x, zero, every), axis=axes) / count
        apart = _core.subtract(x, mean)
        variance = _core.reduce_sum(_core.square(_core.where(apart, zero, every)), axis=axes) / count
        y = apart * _core.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = _core.multiply(y, self.gamma)
        if self.beta is not None:
            y = _core.add(y, self.beta)
        return y, mean, variance


def given_axes(axis: Any) -> Any:
    """One axis as an integer, several as a list of them."""
    if isinstance(axis, (list, tuple)) and axis and all(isinstance(k, (int, np.integer)) for k in axis):
        return [int(k) for k in axis]
    if isinstance(axis, (int, np.integer)) and not isinstance(axis, bool):
        return int(axis)
    raise TypeError(
        f"Expected an int or a list/tuple of ints for the argument 'axis'. Received: axis={axis!r}"
    )


def positive_epsilon(value: Any) -> float:
    """What keeps a variance away from 0."""
    if not value > 0.0:
        raise ValueError(f"`epsilon` must be positive. Received: epsilon={value}")
    return float(value)


def sorted_axes(axis: Any, rank: int) -> list[int]:
    """The axes counted from the front, in order."""
    axes = axis if isinstance(axis, list) else [axis]
    for k in axes:
        if not -rank <= k < rank:
            raise ValueError(f"`axis` is out of range for an input of rank {rank}. Received: axis={axis}")
    return sorted(k % rank for k in axes)


def known_sizes(input_shape: Any, axis: Any, name: str) -> tuple[int, ...]:
    """The sizes along the axes, which a weight needs to be known."""
    sizes = tuple(input_shape[k] for k in sorted_axes(axis, len(input_shape)))
    if None in sizes:
        raise ValueError(
            f"Axis {axis} of the input of layer '{name}' must be known. Received: "
            f"input_shape={tuple(input_shape)}"
        )
    return sizes


class LayerNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta over `axis` of each example.

    Args:
        axis: The axis or axes that are normalized.
        epsilon: Added to the variance.
        center, scale: Whether beta is added, gamma multiplies.

    Ba, Kiros and Hinton, Layer Normalization, 2016.

    >>> from cnnexplain import keras
    >>> keras.layers.LayerNormalization(epsilon=1e-9)([[1.0, 3.0]]).numpy().round(4)
    array([[-1.,  1.]], dtype=float32)
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
        arguments.refuse(kwargs, "rms_scaling")
        super().__init__(**kwargs)
        self.axis = given_axes(axis)
        self.epsilon = positive_epsilon(epsilon)
        self.supports_masking = True
        self.rms_scaling = False
        self.center = bool(center)
        self.scale = bool(scale)
        self._describe_weight("beta", beta_initializer, beta_regularizer, beta_constraint)
        self._describe_weight("gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.gamma: Any = None
        self.beta: Any = None

    def get_config(self) -> dict:
        return {**super().get_config(), "rms_scaling": False}

    def build(self, input_shape: Any) -> None:
        shape = known_sizes(input_shape, self.axis, self.name)
        if self.scale:
            self.gamma = self._add_described("gamma", shape)
        if self.center:
            self.beta = self._add_described("beta", shape)

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        rank = len(x.shape)
        axes = sorted_axes(self.axis, rank)
        mean = _core.reduce_mean(x, axis=axes, keepdims=True)
        variance = _core.reduce_mean(_core.squared_difference(x, mean), axis=axes, keepdims=True)
        y = (x - mean) * _core.rsqrt(variance + self.epsilon)
        shape = [x.shape[axis] if axis in axes else 1 for axis in range(rank)]
        if self.gamma is not None:
            y = y * _core.reshape(self.gamma, shape=shape)
        if self.beta is not None:
            y = y + _core.reshape(self.beta, shape=shape)
        return y


class UnitNormalization(Layer):
    """Scales to length 1 along `axis`.

    Args:
        axis: The axis, or several, over which the squares sum to 1.

    >>> from cnnexplain import keras
    >>> keras.layers.UnitNormalization()([[3.0, 4.0]]).numpy()
    array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = given_axes(axis)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        axes = sorted_axes(self.axis, len(x.shape))
        total = _core.reduce_sum(_core.square(x), axis=axes, keepdims=True)
        return x * _core.rsqrt(_core.maximum(total, 1e-12))
