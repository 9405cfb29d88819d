"""EfficientNet: one network whose width, depth and images grow together (Tan and Le, 2019)."""

from __future__ import annotations

import math
from typing import Any

from .. import initializers
from ..layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Multiply,
    Normalization,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from . import family, imagenet_utils
from .imagenet_utils import STD, decode_predictions
from .mobile import round_channels
from .pixels import preprocess_none as preprocess_input

# kernel, stride of the first, channels, expansion, repeats
BLOCKS = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 2, 80, 6, 3),
    (5, 1, 112, 6, 3),
    (5, 2, 192, 6, 4),
    (3, 1, 320, 6, 1),
)
STEM, HEAD = 32, 1280
DROP = 0.2


def convolution(filters: int, kernel: int, **settings: Any) -> Conv2D:
    """A convolution with the family's initial weights."""
    first = initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")
    return Conv2D(filters, kernel, kernel_initializer=first, **settings)


def unbiased(x: Any, filters: int, kernel: int, stride: int, name: str, padding: str = "same") -> Any:
    """A convolution without bias."""
    return convolution(filters, kernel, strides=stride, padding=padding, use_bias=False, name=name)(x)


def depthwise(x: Any, kernel: int, stride: int, name: str, padding: str = "same") -> Any:
    """A depthwise convolution without bias."""
    first = initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")
    return DepthwiseConv2D(
        kernel, strides=stride, padding=padding, use_bias=False, depthwise_initializer=first, name=name
    )(x)


def normalized(x: Any, name: str, activation: str | None = None, momentum: float = 0.99) -> Any:
    """Batch normalization, and swish under the name `activation`."""
    x = BatchNormalization(axis=family.channel_axis(), momentum=momentum, name=name)(x)
    return x if activation is None else Activation("swish", name=activation)(x)


def excited(x: Any, squeezed: int, label: str) -> Any:
    """Each map times a factor of 0..1 that two 1x1 convolutions compute from all maps' averages."""
    axis = family.channel_axis()
    channels = x.shape[axis]
    gate = GlobalAveragePooling2D(name=f"{label}se_squeeze")(x)
    shape = (channels, 1, 1) if axis == 1 else (1, 1, channels)
    gate = Reshape(shape, name=f"{label}se_reshape")(gate)
    reduce = {"padding": "same", "activation": "swish", "name": f"{label}se_reduce"}
    gate = convolution(max(1, squeezed), 1, **reduce)(gate)
    gate = convolution(channels, 1, padding="same", activation="sigmoid", name=f"{label}se_expand")(gate)
    return Multiply(name=f"{label}se_excite")([x, gate])


def joined(x: Any, around: Any, drop: float, label: str) -> Any:
    """The block's input added, in training to a share of the images only."""
    if drop > 0:
        x = Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{label}drop")(x)
    return Add(name=f"{label}add")([x, around])


def head(
    x: Any, ask: family.Request, filters: int, dropout: float, momentum: float = 0.99, **settings: Any
) -> Any:
    """The last convolution, and the classifier or the pooling that was asked for."""
    x = normalized(unbiased(x, filters, 1, 1, "top_conv"), "top_bn", "top_activation", momentum)
    if not ask.include_top:
        return family.pooled(x, ask)
    x = GlobalAveragePooling2D(name="avg_pool")(x)
    if dropout > 0:
        x = Dropout(dropout, name="top_dropout")(x)
    imagenet_utils.check_activation(ask.classifier_activation, ask.weights)
    first = initializers.VarianceScaling(1.0 / 3.0, "fan_out", "uniform")
    return Dense(
        ask.classes,
        activation=ask.classifier_activation,
        kernel_initializer=first,
        name="predictions",
        **settings,
    )(x)


def _strided(x: Any, kernel: int, name: str) -> Any:
    return ZeroPadding2D(imagenet_utils.correct_pad(x, kernel), name=name)(x)


def _block(
    x: Any, kernel: int, stride: int, filters: int, expansion: int, squeezed: int, drop: float, label: str
) -> Any:
    """An inverted residual with squeeze-and-excitation."""
    around, before = x, x.shape[family.channel_axis()]
    if expansion != 1:
        x = unbiased(x, before * expansion, 1, 1, f"{label}expand_conv")
        x = normalized(x, f"{label}expand_bn", f"{label}expand_activation")
    if stride == 2:
        x = _strided(x, kernel, f"{label}dwconv_pad")
    x = depthwise(x, kernel, stride, f"{label}dwconv", "valid" if stride == 2 else "same")
    x = normalized(x, f"{label}bn", f"{label}activation")
    x = excited(x, squeezed, label)
    x = normalized(unbiased(x, filters, 1, 1, f"{label}project_conv"), f"{label}project_bn")
    return joined(x, around, drop, label) if stride == 1 and before == filters else x


def _network(x: Any, ask: family.Request, width: float, depth: float, dropout: float) -> Any:
    axis = family.channel_axis()
    x = Rescaling(1.0 / 255.0)(x)
    x = Normalization(axis=axis)(x)
    if imagenet_utils.is_imagenet(ask.weights):
        # these weights were trained on (x - mean) / variance, and the layer divides by its root only
        x = Rescaling([1.0 / math.sqrt(std) for std in STD])(x)
    x = unbiased(_strided(x, 3, "stem_conv_pad"), round_channels(STEM * width), 3, 2, "stem_conv", "valid")
    x = normalized(x, "stem_bn", "stem_activation")
    counts = [math.ceil(depth * repeats) for *_, repeats in BLOCKS]
    done = 0
    for stage, (kernel, stride, channels, expansion, _) in enumerate(BLOCKS, start=1):
        filters = round_channels(channels * width)
        for place in range(counts[stage - 1]):
            label = f"block{stage}{chr(ord('a') + place)}_"
            squeezed = int(x.shape[axis] * 0.25)
            drop = DROP * done / sum(counts)
            x = _block(x, kernel, 1 if place else stride, filters, expansion, squeezed, drop, label)
            done += 1
    return head(x, ask, round_channels(HEAD * width), dropout)


@family.application("efficientnetb0", size=224, preprocess="none")
def EfficientNetB0(x: Any, ask: family.Request) -> Any:
    """The network of 5,330,571 parameters.

    It ends in global average pooling and one dense layer, so that `explain.cam` applies.

    Args:
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels 0..255, which it normalizes itself; top_activation is the last feature
        map.

    Paper: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv:1905.11946.
    """
    return _network(x, ask, 1.0, 1.0, 0.2)


@family.application("efficientnetb1", size=240, preprocess="none")
def EfficientNetB1(x: Any, ask: family.Request) -> Any:
    """The network of 7,856,239 parameters for 240 x 240 pixels. Arguments as for `EfficientNetB0`."""
    return _network(x, ask, 1.0, 1.1, 0.2)


@family.application("efficientnetb2", size=260, preprocess="none")
def EfficientNetB2(x: Any, ask: family.Request) -> Any:
    """The network of 9,177,569 parameters for 260 x 260 pixels. Arguments as for `EfficientNetB0`."""
    return _network(x, ask, 1.1, 1.2, 0.3)


@family.application("efficientnetb3", size=300, preprocess="none")
def EfficientNetB3(x: Any, ask: family.Request) -> Any:
    """The network of 12,320,535 parameters for 300 x 300 pixels. Arguments as for `EfficientNetB0`."""
    return _network(x, ask, 1.2, 1.4, 0.3)


@family.application("efficientnetb4", size=380, preprocess="none")
def EfficientNetB4(x: Any, ask: family.Request) -> Any:
    """The network of 19,466,823 parameters for 380 x 380 pixels. Arguments as for `EfficientNetB0`."""
    return _network(x, ask, 1.4, 1.8, 0.4)


@family.application("efficientnetb5", size=456, preprocess="none")
def EfficientNetB5(x: Any, ask: family.Request) -> Any:
    """The network of 30,562,527 parameters for 456 x 456 pixels. Arguments as for `EfficientNetB0`."""
    return _network(x, ask, 1.6, 2.2, 0.4)


@family.application("efficientnetb6", size=528, preprocess="none")
def EfficientNetB6(x: Any, ask: family.Request) -> Any:
    """The network of 43,265,143 parameters for 528 x 528 pixels. Arguments as for `EfficientNetB0`."""
    return _network(x, ask, 1.8, 2.6, 0.5)


@family.application("efficientnetb7", size=600, preprocess="none")
def EfficientNetB7(x: Any, ask: family.Request) -> Any:
    """The network of 66,658,687 parameters for 600 x 600 pixels. Arguments as for `EfficientNetB0`."""
    return _network(x, ask, 2.0, 3.1, 0.5)


__all__ = [
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "decode_predictions", "preprocess_input",
]  # fmt: skip
