"""Layers that `keras.applications` defines for itself: files of ConvNeXt and InceptionResNetV2 hold them."""

from __future__ import annotations

from typing import Any

from .. import initializers
from ..layers import Dropout, Layer


class LayerScale(Layer):
    """x * gamma with one gamma for each channel.

    Args:
        init_values: The first value of gamma.
        projection_dim: Number of channels.
    """

    _keras_module = "keras.src.applications.convnext"

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, input_shape: Any) -> None:
        """Makes the weight."""
        first = initializers.Constant(self.init_values)
        self.gamma = self.add_weight(shape=(self.projection_dim,), initializer=first)

    def call(self, x: Any) -> Any:
        """x * gamma."""
        return x * self.gamma

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "init_values": self.init_values,
            "projection_dim": self.projection_dim,
        }


class StochasticDepth(Dropout):
    """In training leaves out whole samples, a share `drop_path_rate` of them.

    Args:
        drop_path_rate: Between 0 and 1.
    """

    _keras_module = "keras.src.applications.convnext"

    def __init__(self, drop_path_rate: float, **kwargs: Any):
        super().__init__(drop_path_rate, **kwargs)
        self.drop_path_rate = drop_path_rate

    def _mask_shape(self, inputs: Any) -> Any:
        return (None, *[1] * (len(inputs.shape) - 1))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**Layer.get_config(self), "drop_path_rate": self.drop_path_rate}


class CustomScaleLayer(Layer):
    """inputs[0] + scale * inputs[1].

    Args:
        scale: The factor.
    """

    _keras_module = "keras.src.applications.inception_resnet_v2"

    def __init__(self, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        """inputs[0] + scale * inputs[1]."""
        return inputs[0] + inputs[1] * self.scale

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "scale": self.scale}
