"""Inception v3: convolutions of several sizes side by side (Szegedy, Vanhoucke, Ioffe and others, 2015)."""

from __future__ import annotations

from typing import Any

from ..layers import Activation, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, MaxPooling2D
from .family import Request, application, channel_axis, top
from .imagenet_utils import decode_predictions
from .pixels import preprocess_tf as preprocess_input

Branch = list[tuple[int, Any]]  # filters and kernel of one convolution after the other


def convolved(
    x: Any, filters: int, kernel: Any, stride: int = 1, padding: str = "same", name: str | None = None
) -> Any:
    """A convolution without bias, normalized without scale, and its positive part."""
    x = Conv2D(filters, kernel, strides=stride, padding=padding, use_bias=False, name=name)(x)
    x = BatchNormalization(axis=channel_axis(), scale=False, name=name and f"{name}_bn")(x)
    return Activation("relu", name=name and f"{name}_ac")(x)


def mixed(x: Any, branches: list[Branch], pooled: int, name: str) -> Any:
    """The branches and `pooled` convolutions of local averages, side by side."""
    ends = [branch(x, convolutions) for convolutions in branches]
    average = AveragePooling2D(3, strides=1, padding="same")(x)
    return joined([*ends, convolved(average, pooled, 1)], name)


def reduced(x: Any, branches: list[Branch], name: str) -> Any:
    """Maps of half the size: branches that end in a stride, and local maxima."""
    ends = []
    for *before, (filters, kernel) in branches:
        ends.append(convolved(branch(x, before), filters, kernel, 2, "valid"))
    return joined([*ends, MaxPooling2D(3, strides=2)(x)], name)


def branch(x: Any, convolutions: Branch) -> Any:
    """One convolution after the other."""
    for filters, kernel in convolutions:
        x = convolved(x, filters, kernel)
    return x


def joined(ends: list, name: str | None = None) -> Any:
    """Maps side by side."""
    return Concatenate(axis=channel_axis(), name=name)(ends)


def stem(x: Any) -> Any:
    """The first layers: an eighth of the size, 192 maps."""
    x = convolved(x, 32, 3, 2, "valid")
    x = convolved(x, 32, 3, padding="valid")
    x = MaxPooling2D(3, strides=2)(convolved(x, 64, 3))
    x = convolved(x, 80, 1, padding="valid")
    x = convolved(x, 192, 3, padding="valid")
    return MaxPooling2D(3, strides=2)(x)


def _split(x: Any, convolutions: Branch, name: str | None = None) -> Any:
    """A branch that ends in a row and a column of 384 convolutions each."""
    x = branch(x, convolutions)
    return joined([convolved(x, 384, (1, 3)), convolved(x, 384, (3, 1))], name)


@application("inception_v3", size=299, smallest=75, preprocess="tf")
def InceptionV3(x: Any, ask: Request) -> Any:
    """The network of 23,851,784 parameters.

    Args:
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 75 x 75; (299, 299, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels made by `preprocess_input`; mixed10 is the last feature map.

    Paper: Rethinking the Inception Architecture for Computer Vision, arXiv:1512.00567.
    """
    x = stem(x)
    for number, filters in enumerate((32, 64, 64)):
        branches = [[(64, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)]]
        x = mixed(x, branches, filters, f"mixed{number}")
    x = reduced(x, [[(384, 3)], [(64, 1), (96, 3), (96, 3)]], "mixed3")
    row, column = (1, 7), (7, 1)
    for number, filters in enumerate((128, 160, 160, 192), start=4):
        short: Branch = [(filters, 1), (filters, row), (192, column)]
        long: Branch = [(filters, 1), (filters, column), (filters, row), (filters, column), (192, row)]
        x = mixed(x, [[(192, 1)], short, long], 192, f"mixed{number}")
    x = reduced(x, [[(192, 1), (320, 3)], [(192, 1), (192, row), (192, column), (192, 3)]], "mixed8")
    for number in range(2):
        ends = [
            convolved(x, 320, 1),
            _split(x, [(384, 1)], f"mixed9_{number}"),
            _split(x, [(448, 1), (384, 3)]),
        ]
        average = AveragePooling2D(3, strides=1, padding="same")(x)
        x = joined([*ends, convolved(average, 192, 1)], f"mixed{9 + number}")
    return top(x, ask, named=False)


__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]
