"""Activations as layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import activations
from .base import Layer
from .input_spec import InputSpec


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: Name or callable.

    >>> from cnnexplain import keras
    >>> keras.layers.Activation("relu")(keras.ops.array([-1.0, 2.0])).numpy()
    array([0., 2.], dtype=float32)
    """

    supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs if self.activation is None else self.activation(inputs)


class ReLU(Layer):
    """max_value above it, x from `threshold` on, negative_slope * (x - threshold) below.

    Args:
        max_value: Largest output; None: no limit.
        negative_slope: Slope below the threshold.
        threshold: Where the positive part begins.

    >>> from cnnexplain import keras
    >>> keras.layers.ReLU(max_value=2.0)([[-1.0, 1.0, 3.0]]).numpy()
    array([[0., 1., 2.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0.0:
            raise ValueError(
                f"max_value of a ReLU layer cannot be a negative value. Received: max_value={max_value}"
            )
        if negative_slope is None or negative_slope < 0.0:
            raise ValueError(
                "negative_slope of a ReLU layer cannot be a negative value. Received: "
                f"negative_slope={negative_slope}"
            )
        if threshold is None or threshold < 0.0:
            raise ValueError(
                f"threshold of a ReLU layer cannot be a negative value. Received: threshold={threshold}"
            )
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.built = True

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """x where positive, negative_slope * x elsewhere.

    Args:
        negative_slope: Slope of the negative part; Keras 2 called it `alpha`.

    >>> from cnnexplain import keras
    >>> keras.layers.LeakyReLU(0.5)([[-1.0, 1.0]]).numpy()
    array([[-0.5,  1. ]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0.0:
            raise ValueError(
                "The negative_slope value of a Leaky ReLU layer cannot be None or negative value. "
                f"Expected a float. Received: negative_slope={negative_slope}"
            )
        self.negative_slope = negative_slope
        self.built = True

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(Layer):
    """x where positive, alpha * (exp(x) - 1) elsewhere.

    Args:
        alpha: The limit for negative inputs is -alpha.

    >>> from cnnexplain import keras
    >>> keras.layers.ELU()([[-1.0, 1.0]]).numpy().round(4)
    array([[-0.6321,  1.    ]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = float(alpha)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, self.alpha)


class PReLU(Layer):
    """x where positive, alpha * x elsewhere, alpha being learned.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: Of alpha.
        shared_axes: Axes along which alpha is one value, e.g. [1, 2] for one value per channel.

    >>> from cnnexplain import keras
    >>> keras.layers.PReLU()([[-1.0, 1.0]]).numpy()
    array([[0., 1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._describe_weight("alpha", alpha_initializer, alpha_regularizer, alpha_constraint)
        if shared_axes is not None and not isinstance(shared_axes, (list, tuple)):
            shared_axes = [shared_axes]
        self.shared_axes = None if shared_axes is None else list(shared_axes)

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.alpha = self._add_described("alpha", tuple(shape))
        axes = {
            axis: input_shape[axis]
            for axis in range(1, len(input_shape))
            if axis not in (self.shared_axes or ())
        }
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Any) -> Any:
        negative = _core.multiply(_core.negative(self.alpha), _core.relu(_core.negative(inputs)))
        return _core.add(_core.relu(inputs), negative)


class Softmax(Layer):
    """exp(x) / sum(exp(x)) along `axis`; `mask` is True where a value counts.

    Args:
        axis: The axis, or several, over which the values sum to 1.

    >>> from cnnexplain import keras
    >>> keras.layers.Softmax()([[1.0, 1.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return self._over(inputs)
        dtype, mask = inputs.dtype.name, _core.cast(mask, dtype="bool")
        lowest = _core.tensor(np.full((), -0.7 * np.finfo(dtype).max, dtype))
        weights = self._over(_core.where(inputs, lowest, mask))
        return _core.where(weights, _core.tensor(np.zeros((), dtype)), mask)

    def _over(self, inputs: Any) -> Any:
        if isinstance(self.axis, (list, tuple)):
            if len(self.axis) > 1:
                top = _core.reduce_max(inputs, axis=list(self.axis), keepdims=True)
                powers = _core.exp(inputs - top)
                return powers / _core.reduce_sum(powers, axis=list(self.axis), keepdims=True)
            return _core.softmax(inputs, axis=self.axis[0])
        return _core.softmax(inputs, axis=self.axis)
