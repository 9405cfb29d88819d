"""Residual networks of bottleneck blocks (He, Zhang, Ren and Sun, 2015)."""

from __future__ import annotations

from typing import Any

from .. import config
from ..layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    ZeroPadding2D,
)
from ..models import Model
from . import imagenet_utils, pretrained
from .imagenet_utils import decode_predictions

_EPSILON = 1.001e-5


def _block(x: Any, filters: int, stride: int, shortcut: bool, axis: int, name: str) -> Any:
    """1x1, 3x3 and 1x1 convolutions around which the input, or a 1x1 convolution of it, is added."""
    if shortcut:
        around = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        around = BatchNormalization(axis=axis, epsilon=_EPSILON, name=f"{name}_0_bn")(around)
    else:
        around = x
    x = Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x)
    x = BatchNormalization(axis=axis, epsilon=_EPSILON, name=f"{name}_1_bn")(x)
    x = Activation("relu", name=f"{name}_1_relu")(x)
    x = Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = BatchNormalization(axis=axis, epsilon=_EPSILON, name=f"{name}_2_bn")(x)
    x = Activation("relu", name=f"{name}_2_relu")(x)
    x = Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    x = BatchNormalization(axis=axis, epsilon=_EPSILON, name=f"{name}_3_bn")(x)
    x = Add(name=f"{name}_add")([around, x])
    return Activation("relu", name=f"{name}_out")(x)


def _resnet(
    counts: tuple[int, int, int, int],
    network: str,
    name: str,
    include_top: bool,
    weights: Any,
    input_tensor: Any,
    input_shape: Any,
    pooling: Any,
    classes: int,
    classifier_activation: Any,
) -> Any:
    pretrained.check(weights, include_top, classes)
    axis = 3 if config.image_data_format() == "channels_last" else 1
    inputs = imagenet_utils.make_input(input_tensor, input_shape, include_top, weights)
    with pretrained.building(weights):
        x = ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(inputs)
        x = Conv2D(64, 7, strides=2, name="conv1_conv")(x)
        x = BatchNormalization(axis=axis, epsilon=_EPSILON, name="conv1_bn")(x)
        x = Activation("relu", name="conv1_relu")(x)
        x = ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
        x = MaxPooling2D(3, strides=2, name="pool1_pool")(x)
        for stage, (blocks, filters) in enumerate(zip(counts, (64, 128, 256, 512), strict=True), start=2):
            for block in range(1, blocks + 1):
                stride = 2 if block == 1 and stage > 2 else 1
                x = _block(x, filters, stride, block == 1, axis, f"conv{stage}_block{block}")
        if include_top:
            x = GlobalAveragePooling2D(name="avg_pool")(x)
            imagenet_utils.check_activation(classifier_activation, weights)
            x = Dense(classes, activation=classifier_activation, name="predictions")(x)
        elif pooling == "avg":
            x = GlobalAveragePooling2D(name="avg_pool")(x)
        elif pooling == "max":
            x = GlobalMaxPooling2D(name="max_pool")(x)
        model = Model(inputs, x, name=name)
    return pretrained.load(model, weights, network, include_top, classes)


def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50",
) -> Model:
    """The network of 25,636,712 parameters.

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
        A functional model; conv5_block3_out is the last feature map. With weights, `model.preprocess` and
        `model.class_names` are what the explanations need to know.

    Paper: Deep Residual Learning for Image Recognition, arXiv:1512.03385.
    """
    return _resnet(
        (3, 4, 6, 3),
        "resnet50",
        name,
        include_top,
        weights,
        input_tensor,
        input_shape,
        pooling,
        classes,
        classifier_activation,
    )


def ResNet101(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101",
) -> Model:
    """The network of 44,707,176 parameters. Arguments as for `ResNet50`."""
    return _resnet(
        (3, 4, 23, 3),
        "resnet101",
        name,
        include_top,
        weights,
        input_tensor,
        input_shape,
        pooling,
        classes,
        classifier_activation,
    )


def ResNet152(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152",
) -> Model:
    """The network of 60,419,944 parameters. Arguments as for `ResNet50`."""
    return _resnet(
        (3, 8, 36, 3),
        "resnet152",
        name,
        include_top,
        weights,
        input_tensor,
        input_shape,
        pooling,
        classes,
        classifier_activation,
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels 0..255 RGB as BGR minus ImageNet's mean."""
    return imagenet_utils.preprocess_input(x, data_format=data_format, mode="caffe")


__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]
