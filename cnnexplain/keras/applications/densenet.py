"""DenseNets: a block sees the maps of all blocks before it (Huang, Liu, van der Maaten, Weinberger, 2016)."""

from __future__ import annotations

from typing import Any

from ..layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    MaxPooling2D,
    ZeroPadding2D,
)
from .family import Request, application, channel_axis, needs_channels_last, top
from .imagenet_utils import decode_predictions
from .pixels import preprocess_torch as preprocess_input

_EPSILON = 1.001e-5
_GROWTH = 32  # maps that a block adds


def _activated(x: Any, ask: Request, norm: str, relu: str) -> Any:
    epsilon = ask.arithmetic.epsilon or _EPSILON
    x = BatchNormalization(axis=channel_axis(), epsilon=epsilon, name=norm)(x)
    return Activation("relu", name=relu)(x)


def _block(x: Any, ask: Request, name: str) -> Any:
    """The maps, and new ones made of them by 1x1 and 3x3 convolutions."""
    new = _activated(x, ask, f"{name}_0_bn", f"{name}_0_relu")
    new = Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(new)
    new = _activated(new, ask, f"{name}_1_bn", f"{name}_1_relu")
    new = Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return Concatenate(axis=channel_axis(), name=f"{name}_concat")([x, new])


def _transition(x: Any, ask: Request, name: str) -> Any:
    """Half as many maps of half the size."""
    x = _activated(x, ask, f"{name}_bn", f"{name}_relu")
    x = Conv2D(x.shape[channel_axis()] // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _densenet(x: Any, ask: Request, counts: tuple[int, int, int, int]) -> Any:
    """The network with so many blocks in each of its four stages."""
    needs_channels_last("DenseNet")
    x = ZeroPadding2D(((3, 3), (3, 3)))(x)
    x = Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x)
    x = _activated(x, ask, "conv1_bn", "conv1_relu")
    x = ZeroPadding2D(((1, 1), (1, 1)))(x)
    x = MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, blocks in enumerate(counts, start=2):
        if stage > 2:
            x = _transition(x, ask, f"pool{stage - 1}")
        for block in range(1, blocks + 1):
            x = _block(x, ask, f"conv{stage}_block{block}")
    return top(_activated(x, ask, "bn", "relu"), ask)


@application("densenet121", preprocess="torch")
def DenseNet121(x: Any, ask: Request) -> Any:
    """The network of 8,062,504 parameters.

    Args:
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights, Keras's or PyTorch's (torchvision's or timm's `.pth`, `.safetensors`),
            with which it computes what their network does; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels made by `preprocess_input`; relu is the last feature map.

    Raises:
        ValueError: The data format is channels first, which Keras does not support here either.

    Paper: Densely Connected Convolutional Networks, arXiv:1608.06993.

    >>> DenseNet121(weights=None, include_top=False, pooling="avg").output_shape
    (None, 1024)
    """
    return _densenet(x, ask, (6, 12, 24, 16))


@application("densenet169", preprocess="torch")
def DenseNet169(x: Any, ask: Request) -> Any:
    """The network of 14,307,880 parameters. Arguments as for `DenseNet121`."""
    return _densenet(x, ask, (6, 12, 32, 32))


@application("densenet201", preprocess="torch")
def DenseNet201(x: Any, ask: Request) -> Any:
    """The network of 20,242,984 parameters. Arguments as for `DenseNet121`."""
    return _densenet(x, ask, (6, 12, 48, 32))


__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]
