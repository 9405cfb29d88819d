"""Residual networks of bottleneck blocks (He, Zhang, Ren and Sun, 2015)."""

from __future__ import annotations

from typing import Any

from ..layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, ZeroPadding2D
from .family import Request, application, channel_axis, top
from .imagenet_utils import decode_predictions
from .pixels import preprocess_caffe as preprocess_input

_EPSILON = 1.001e-5


def _normalized(x: Any, ask: Request, name: str) -> Any:
    epsilon = ask.arithmetic.epsilon or _EPSILON
    return BatchNormalization(axis=channel_axis(), epsilon=epsilon, name=name)(x)


def _block(x: Any, filters: int, stride: int, shortcut: bool, ask: Request, name: str) -> Any:
    """1x1, 3x3 and 1x1 convolutions around which the input, or a 1x1 convolution of it, is added."""
    around = x
    if shortcut:
        around = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        around = _normalized(around, ask, f"{name}_0_bn")
    late = ask.arithmetic.late_stride and stride != 1
    x = Conv2D(filters, 1, strides=1 if late else stride, name=f"{name}_1_conv")(x)
    x = Activation("relu", name=f"{name}_1_relu")(_normalized(x, ask, f"{name}_1_bn"))
    if late:
        x = ZeroPadding2D(1, name=f"{name}_2_pad")(x)
        x = Conv2D(filters, 3, strides=stride, name=f"{name}_2_conv")(x)
    else:
        x = Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = Activation("relu", name=f"{name}_2_relu")(_normalized(x, ask, f"{name}_2_bn"))
    x = Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    x = _normalized(x, ask, f"{name}_3_bn")
    x = Add(name=f"{name}_add")([around, x])
    return Activation("relu", name=f"{name}_out")(x)


def _resnet(x: Any, ask: Request, counts: tuple[int, int, int, int]) -> Any:
    """The network with so many blocks in each of its four stages."""
    x = ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
    x = Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = Activation("relu", name="conv1_relu")(_normalized(x, ask, "conv1_bn"))
    x = ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, (blocks, filters) in enumerate(zip(counts, (64, 128, 256, 512), strict=True), start=2):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            x = _block(x, filters, stride, block == 1, ask, f"conv{stage}_block{block}")
    return top(x, ask)


@application("resnet50")
def ResNet50(x: Any, ask: Request) -> Any:
    """The network of 25,636,712 parameters.

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
        A functional model; conv5_block3_out is the last feature map. With weights, `model.preprocess` and
        `model.class_names` are what the explanations need to know.

    Paper: Deep Residual Learning for Image Recognition, arXiv:1512.03385.
    """
    return _resnet(x, ask, (3, 4, 6, 3))


@application("resnet101")
def ResNet101(x: Any, ask: Request) -> Any:
    """The network of 44,707,176 parameters. Arguments as for `ResNet50`."""
    return _resnet(x, ask, (3, 4, 23, 3))


@application("resnet152")
def ResNet152(x: Any, ask: Request) -> Any:
    """The network of 60,419,944 parameters. Arguments as for `ResNet50`."""
    return _resnet(x, ask, (3, 8, 36, 3))


__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]
