"""MobileNetV2: inverted residuals, wide inside and narrow where they are added (Sandler et al., 2018)."""

from __future__ import annotations

from typing import Any

from ..layers import (
    Add,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    ReLU,
    ZeroPadding2D,
)
from ..models import Model
from . import family, imagenet_utils
from .imagenet_utils import decode_predictions
from .mobile import check_tensor, check_width, image_side, round_channels
from .pixels import preprocess_tf as preprocess_input

# channels, stride of the first, repeats; all but the very first widen sixfold inside
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1))
_SIDES = (96, 128, 160, 192, 224)
_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


class _Builder:
    """Makes the layers in the asked arithmetic."""

    def __init__(self, arithmetic: family.Arithmetic):
        self.symmetric = arithmetic.symmetric
        self.epsilon = 1e-3 if arithmetic.epsilon is None else arithmetic.epsilon

    def normalized(self, x: Any, name: str, activation: str | None = None) -> Any:
        axis = family.channel_axis(-1)
        x = BatchNormalization(axis=axis, epsilon=self.epsilon, momentum=0.999, name=name)(x)
        return x if activation is None else ReLU(6.0, name=activation)(x)

    def stem(self, x: Any, filters: int) -> Any:
        padding = "same"
        if self.symmetric:
            x, padding = ZeroPadding2D(1, name="Conv1_pad")(x), "valid"
        x = Conv2D(filters, 3, strides=(2, 2), padding=padding, use_bias=False, name="Conv1")(x)
        return self.normalized(x, "bn_Conv1", "Conv1_relu")

    def narrow(self, x: Any, filters: int, name: str) -> Any:
        return Conv2D(filters, 1, padding="same", use_bias=False, name=name)(x)

    def block(self, x: Any, filters: int, stride: int, place: int) -> Any:
        """Wide 1x1, depthwise, narrow 1x1 without activation; the input is added where it fits."""
        around, before = x, x.shape[family.channel_axis(-1)]
        label = f"block_{place}_" if place else "expanded_conv_"
        if place:
            x = self.narrow(x, 6 * before, f"{label}expand")
            x = self.normalized(x, f"{label}expand_BN", f"{label}expand_relu")
        padding = "same"
        if stride == 2:
            zeros = 1 if self.symmetric else imagenet_utils.correct_pad(x, 3)
            x, padding = ZeroPadding2D(zeros, name=f"{label}pad")(x), "valid"
        x = DepthwiseConv2D(3, strides=stride, use_bias=False, padding=padding, name=f"{label}depthwise")(x)
        x = self.normalized(x, f"{label}depthwise_BN", f"{label}depthwise_relu")
        x = self.normalized(self.narrow(x, filters, f"{label}project"), f"{label}project_BN")
        return Add(name=f"{label}add")([around, x]) if before == filters and stride == 1 else x


def _network(x: Any, ask: family.Request, alpha: float) -> Any:
    make = _Builder(ask.arithmetic)
    x = make.stem(x, round_channels(32 * alpha))
    place = 0
    for channels, stride, repeats in _STAGES:
        for repeat in range(repeats):
            x = make.block(x, round_channels(int(channels * alpha)), 1 if repeat else stride, place)
            place += 1
    last = round_channels(1280 * alpha) if alpha > 1.0 else 1280
    x = Conv2D(last, 1, use_bias=False, name="Conv_1")(x)
    x = make.normalized(x, "Conv_1_bn", "out_relu")
    if ask.include_top:
        return family.predictions(GlobalAveragePooling2D()(x), ask)
    return family.pooled(x, ask, named=False)


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """The network of 3,538,984 parameters.

    It ends in global average pooling and one dense layer, so that `explain.cam` applies.

    Args:
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        alpha: Factor of the number of channels, which are rounded to multiples of 8; ImageNet's weights are
            of 0.35, 0.5, 0.75, 1.0, 1.3 and 1.4.
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it, of
            images of 96, 128, 160, 192 or 224 pixels; the path of a file of weights, Keras's or PyTorch's; or
            None for random initial weights.
        input_tensor: A symbol to use as input.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model; by default it tells alpha and the image's side.

    Returns:
        A functional model of pixels made by `preprocess_input`; out_relu is the last feature map.

    Raises:
        ValueError: ImageNet's weights do not exist for this alpha, or `input_shape` is not the shape of
            `input_tensor`.

    Paper: MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381.

    >>> MobileNetV2((32, 32, 3), alpha=0.35, weights=None).output_shape
    (None, 1000)
    """
    check_tensor(input_tensor, input_shape)
    like = tuple(input_tensor.shape)[1:] if input_shape is None and input_tensor is not None else input_shape
    size, side = image_side(input_shape, like, _SIDES, include_top, weights)
    check_width(alpha, _WIDTHS, weights)
    ask = family.Request(
        include_top,
        weights,
        input_tensor,
        input_shape,
        pooling,
        classes,
        classifier_activation,
        f"mobilenetv2_{alpha:0.2f}_{side}" if name is None else name,
    )
    return family.build(
        f"mobilenet_v2_{float(alpha)}_{side}",
        lambda x, ask: _network(x, ask, alpha),
        ask,
        size=size,
        preprocess="tf",
    )


__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]
