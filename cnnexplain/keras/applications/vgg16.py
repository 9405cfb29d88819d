"""VGG16: thirteen 3x3 convolutions in five blocks and three dense layers (Simonyan and Zisserman, 2014)."""

from __future__ import annotations

from typing import Any

from ..layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D
from ..models import Model
from . import imagenet_utils, pretrained
from .imagenet_utils import decode_predictions

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def vgg(
    blocks: tuple,
    network: str,
    name: str,
    include_top: bool,
    weights: Any,
    input_tensor: Any,
    input_shape: Any,
    pooling: Any,
    classes: int,
    classifier_activation: Any,
) -> Model:
    """A VGG network with the given (convolutions, filters) of each block."""
    pretrained.check(weights, include_top, classes)
    inputs = imagenet_utils.make_input(input_tensor, input_shape, include_top, weights)
    with pretrained.building(weights):
        x = inputs
        for block, (convolutions, filters) in enumerate(blocks, start=1):
            for place in range(1, convolutions + 1):
                x = Conv2D(
                    filters, (3, 3), activation="relu", padding="same", name=f"block{block}_conv{place}"
                )(x)
            x = MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool")(x)
        if include_top:
            x = Flatten(name="flatten")(x)
            x = Dense(4096, activation="relu", name="fc1")(x)
            x = Dense(4096, activation="relu", name="fc2")(x)
            imagenet_utils.check_activation(classifier_activation, weights)
            x = Dense(classes, activation=classifier_activation, name="predictions")(x)
        elif pooling == "avg":
            x = GlobalAveragePooling2D()(x)
        elif pooling == "max":
            x = GlobalMaxPooling2D()(x)
        model = Model(inputs, x, name=name)
    return pretrained.load(model, weights, network, include_top, classes)


def VGG16(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg16",
) -> Model:
    """The network of 138,357,544 parameters.

    Args:
        include_top: Whether the three dense layers are part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model; block5_conv3 is the last convolution. With weights, `model.preprocess` and
        `model.class_names` are what the explanations need to know.

    Paper: Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv:1409.1556.
    """
    return vgg(
        _BLOCKS,
        "vgg16",
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


__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
