"""Xception: separable convolutions around which the input is added (Chollet, 2016)."""

from __future__ import annotations

from typing import Any

from ..layers import Activation, BatchNormalization, Conv2D, MaxPooling2D, SeparableConv2D, add
from .family import Request, application, channel_axis, top
from .imagenet_utils import decode_predictions
from .pixels import preprocess_tf as preprocess_input


def _normalized(x: Any, name: str | None = None) -> Any:
    return BatchNormalization(axis=channel_axis(-1), name=name)(x)


def _convolved(x: Any, filters: int, stride: int, name: str) -> Any:
    x = Conv2D(filters, 3, strides=stride, use_bias=False, name=name)(x)
    return Activation("relu", name=f"{name}_act")(_normalized(x, f"{name}_bn"))


def _separable(x: Any, filters: int, name: str) -> Any:
    x = SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return _normalized(x, f"{name}_bn")


def _block(x: Any, filters: tuple[int, ...], block: int, halved: bool) -> Any:
    """Separable convolutions of positive parts; around them the input, or a strided 1x1 convolution of it."""
    around = x
    if halved:
        around = Conv2D(filters[-1], 1, strides=2, padding="same", use_bias=False)(x)
        around = _normalized(around)
    for place, count in enumerate(filters, start=1):
        name = f"block{block}_sepconv{place}"
        if (block, place) != (2, 1):  # what comes into the second block is positive already
            x = Activation("relu", name=f"{name}_act")(x)
        x = _separable(x, count, name)
    if halved:
        x = MaxPooling2D(3, strides=2, padding="same", name=f"block{block}_pool")(x)
    return add([x, around])


@application("xception", size=299, smallest=71, preprocess="tf")
def Xception(x: Any, ask: Request) -> Any:
    """The network of 22,910,480 parameters.

    Args:
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 71 x 71; (299, 299, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels made by `preprocess_input`; block14_sepconv2_act is the last feature map.

    Paper: Xception: Deep Learning with Depthwise Separable Convolutions, arXiv:1610.02357.
    """
    x = _convolved(x, 32, 2, "block1_conv1")
    x = _convolved(x, 64, 1, "block1_conv2")
    for block, filters in enumerate((128, 256, 728), start=2):
        x = _block(x, (filters, filters), block, halved=True)
    for block in range(5, 13):
        x = _block(x, (728, 728, 728), block, halved=False)
    x = _block(x, (728, 1024), 13, halved=True)
    for place, filters in enumerate((1536, 2048), start=1):
        name = f"block14_sepconv{place}"
        x = Activation("relu", name=f"{name}_act")(_separable(x, filters, name))
    return top(x, ask, named=False)


__all__ = ["Xception", "decode_predictions", "preprocess_input"]
