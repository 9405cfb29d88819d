"""Keras's layers."""

from __future__ import annotations

import difflib
from typing import Any

from .activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from .base import Layer
from .convolution import (
    Conv2D,
    Conv2DTranspose,
    Convolution2D,
    Convolution2DTranspose,
    DepthwiseConv2D,
    DepthwiseConvolution2D,
    SeparableConv2D,
    SeparableConvolution2D,
)
from .core import Dense, Identity, Input, InputLayer, Lambda
from .input_spec import InputSpec
from .merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .normalization import BatchNormalization, LayerNormalization, Normalization, UnitNormalization
from .pooling import (
    AveragePooling2D,
    AvgPool2D,
    GlobalAveragePooling2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    GlobalMaxPooling2D,
    MaxPool2D,
    MaxPooling2D,
)
from .preprocessing import RandomFlip, Rescaling
from .regularization import ActivityRegularization, Dropout, GaussianNoise, SpatialDropout2D
from .reshaping import Cropping2D, Flatten, Permute, RepeatVector, Reshape, UpSampling2D, ZeroPadding2D

__all__ = [
    "Activation", "ActivityRegularization", "Add", "Average", "AveragePooling2D", "AvgPool2D",
    "BatchNormalization", "Concatenate", "Conv2D", "Conv2DTranspose", "Convolution2D",
    "Convolution2DTranspose", "Cropping2D", "Dense", "DepthwiseConv2D", "DepthwiseConvolution2D", "Dot",
    "Dropout", "ELU", "Flatten", "GaussianNoise", "GlobalAveragePooling2D", "GlobalAvgPool2D",
    "GlobalMaxPool2D", "GlobalMaxPooling2D", "Identity", "Input", "InputLayer", "InputSpec", "Lambda",
    "Layer", "LayerNormalization", "LeakyReLU", "MaxPool2D", "MaxPooling2D", "Maximum", "Minimum",
    "Multiply", "Normalization", "PReLU", "Permute", "RandomFlip", "ReLU", "RepeatVector", "Rescaling",
    "Reshape", "SeparableConv2D", "SeparableConvolution2D", "Softmax", "SpatialDropout2D", "Subtract",
    "UnitNormalization", "UpSampling2D", "ZeroPadding2D", "add", "average", "concatenate", "deserialize",
    "dot", "maximum", "minimum", "multiply", "serialize", "subtract",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    near = difflib.get_close_matches(name, __all__, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else f" Offered are: {', '.join(__all__)}."
    raise AttributeError(f"`keras.layers.{name}` is not offered.{hint}")


def serialize(layer: Layer) -> dict:
    """Plain data that describes a layer."""
    from ..saving.serialization import serialize_keras_object

    return serialize_keras_object(layer)


def deserialize(config: dict, custom_objects: dict | None = None) -> Layer:
    """The layer that `serialize` described, without weights."""
    from ..saving.serialization import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects=custom_objects)
