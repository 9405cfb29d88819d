"""Residual networks that normalize before each convolution (He, Zhang, Ren and Sun, 2016)."""

from __future__ import annotations

from typing import Any

from ..layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, ZeroPadding2D
from .family import Request, application, channel_axis, top
from .imagenet_utils import decode_predictions
from .pixels import preprocess_tf as preprocess_input


def _activated(x: Any, name: str) -> Any:
    x = BatchNormalization(axis=channel_axis(), epsilon=1.001e-5, name=f"{name}_bn")(x)
    return Activation("relu", name=f"{name}_relu")(x)


def _block(x: Any, filters: int, stride: int, shortcut: bool, name: str) -> Any:
    """1x1, 3x3 and 1x1 convolutions around which the input is added: as it is, thinned out or convolved."""
    ready = _activated(x, f"{name}_preact")
    if shortcut:
        around = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(ready)
    else:
        around = MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(ready)
    x = _activated(x, f"{name}_1")
    x = ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(x)
    x = Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = _activated(x, f"{name}_2")
    x = Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return Add(name=f"{name}_out")([around, x])


def _resnet(x: Any, ask: Request, counts: tuple[int, int, int, int]) -> Any:
    """The network with so many blocks in each stage; the last block of the first three halves the maps."""
    x = ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
    x = Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, (blocks, filters) in enumerate(zip(counts, (64, 128, 256, 512), strict=True), start=2):
        for block in range(1, blocks + 1):
            stride = 2 if block == blocks and stage < 5 else 1
            x = _block(x, filters, stride, block == 1, f"conv{stage}_block{block}")
    return top(_activated(x, "post"), ask)


@application("resnet50v2", preprocess="tf")
def ResNet50V2(x: Any, ask: Request) -> Any:
    """The network of 25,613,800 parameters.

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
        A functional model of pixels made by `preprocess_input`; post_relu is the last feature map.

    Paper: Identity Mappings in Deep Residual Networks, arXiv:1603.05027.
    """
    return _resnet(x, ask, (3, 4, 6, 3))


@application("resnet101v2", preprocess="tf")
def ResNet101V2(x: Any, ask: Request) -> Any:
    """The network of 44,675,560 parameters. Arguments as for `ResNet50V2`."""
    return _resnet(x, ask, (3, 4, 23, 3))


@application("resnet152v2", preprocess="tf")
def ResNet152V2(x: Any, ask: Request) -> Any:
    """The network of 60,380,648 parameters. Arguments as for `ResNet50V2`."""
    return _resnet(x, ask, (3, 8, 36, 3))


__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]
