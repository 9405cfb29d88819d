"""MobileNet: convolutions taken apart into depthwise ones and 1x1 ones (Howard et al., 2017)."""

from __future__ import annotations

from typing import Any

from ..layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from ..models import Model
from . import family, imagenet_utils
from .imagenet_utils import decode_predictions
from .mobile import check_width, image_side
from .pixels import preprocess_tf as preprocess_input

# channels and stride of each depthwise block
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
_SIDES = (128, 160, 192, 224)
_WIDTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}


def _normalized(x: Any, name: str) -> Any:
    x = BatchNormalization(axis=family.channel_axis(-1), name=f"{name}_bn")(x)
    return ReLU(6.0, name=f"{name}_relu")(x)


def _block(x: Any, filters: int, stride: int, multiplier: int, place: int) -> Any:
    """A depthwise 3x3 convolution and a 1x1 convolution."""
    if stride != 1:
        x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{place}")(x)
    x = DepthwiseConv2D(
        (3, 3),
        padding="same" if stride == 1 else "valid",
        depth_multiplier=multiplier,
        strides=stride,
        use_bias=False,
        name=f"conv_dw_{place}",
    )(x)
    x = _normalized(x, f"conv_dw_{place}")
    x = Conv2D(filters, (1, 1), padding="same", use_bias=False, name=f"conv_pw_{place}")(x)
    return _normalized(x, f"conv_pw_{place}")


def _network(x: Any, ask: family.Request, alpha: float, multiplier: int, dropout: float) -> Any:
    x = Conv2D(int(32 * alpha), (3, 3), strides=(2, 2), padding="same", use_bias=False, name="conv1")(x)
    x = _normalized(x, "conv1")
    for place, (filters, stride) in enumerate(_BLOCKS, start=1):
        x = _block(x, int(filters * alpha), stride, multiplier, place)
    if not ask.include_top:
        return family.pooled(x, ask, named=False)
    x = GlobalAveragePooling2D(keepdims=True)(x)
    x = Dropout(dropout, name="dropout")(x)
    x = Conv2D(ask.classes, (1, 1), padding="same", name="conv_preds")(x)
    x = Reshape((ask.classes,), name="reshape_2")(x)
    imagenet_utils.check_activation(ask.classifier_activation, ask.weights)
    return Activation(ask.classifier_activation, name="predictions")(x)


def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """The network of 4,253,864 parameters.

    Its classifier is a 1x1 convolution of the averaged maps.

    Args:
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        alpha: Factor of the number of channels; ImageNet's weights are of 0.25, 0.5, 0.75 and 1.0.
        depth_multiplier: Maps that each depthwise convolution makes of one.
        dropout: Share left out before the classifier in training.
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it, of
            images of 128, 160, 192 or 224 pixels; the path of a file of weights; or None for random initial
            weights.
        input_tensor: A symbol to use as input.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model; by default it tells alpha and the image's side.

    Returns:
        A functional model of pixels made by `preprocess_input`; conv_pw_13_relu is the last feature map.

    Raises:
        ValueError: ImageNet's weights do not exist for these arguments.

    Paper: MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications,
    arXiv:1704.04861.

    >>> MobileNet((32, 32, 3), alpha=0.25, weights=None).name
    'mobilenet_0.25_32'
    """
    size, side = image_side(input_shape, input_shape, _SIDES, include_top, weights)
    check_width(alpha, _WIDTHS, weights)
    if imagenet_utils.is_imagenet(weights) and depth_multiplier != 1:
        raise ValueError(
            "`depth_multiplier` must be 1 with ImageNet's weights. Received: "
            f"depth_multiplier={depth_multiplier}"
        )
    ask = family.Request(
        include_top,
        weights,
        input_tensor,
        input_shape,
        pooling,
        classes,
        classifier_activation,
        f"mobilenet_{alpha:0.2f}_{side}" if name is None else name,
    )
    return family.build(
        f"mobilenet_{_WIDTHS.get(alpha)}_{side}",
        lambda x, ask: _network(x, ask, alpha, depth_multiplier, dropout),
        ask,
        size=size,
        preprocess="tf",
    )


__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]
