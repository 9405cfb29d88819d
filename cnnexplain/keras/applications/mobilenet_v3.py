"""MobileNetV3: inverted residuals with squeeze-and-excitation and hard swish (Howard et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from ..layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Multiply,
    ReLU,
    Rescaling,
    ZeroPadding2D,
)
from ..models import Model
from ..nodes import Symbol
from . import family, imagenet_utils
from .imagenet_utils import decode_predictions
from .mobile import check_tensor, round_channels
from .pixels import preprocess_none as preprocess_input


class _Block(NamedTuple):
    expansion: float
    channels: int
    stride: int = 1
    large: bool = False  # a depthwise kernel of 5 x 5 instead of 3 x 3
    excited: bool = False
    swish: bool = False  # hard swish instead of ReLU


_SMALL = (
    _Block(1, 16, 2, excited=True),
    _Block(72 / 16, 24, 2),
    _Block(88 / 24, 24),
    _Block(4, 40, 2, True, True, True),
    *[_Block(6, 40, 1, True, True, True)] * 2,
    *[_Block(3, 48, 1, True, True, True)] * 2,
    _Block(6, 96, 2, True, True, True),
    *[_Block(6, 96, 1, True, True, True)] * 2,
)
_LARGE = (
    _Block(1, 16),
    _Block(4, 24, 2),
    _Block(3, 24),
    _Block(3, 40, 2, True, True),
    *[_Block(3, 40, 1, True, True)] * 2,
    _Block(6, 80, 2, swish=True),
    _Block(2.5, 80, swish=True),
    *[_Block(2.3, 80, swish=True)] * 2,
    *[_Block(6, 112, 1, False, True, True)] * 2,
    _Block(6, 160, 2, True, True, True),
    *[_Block(6, 160, 1, True, True, True)] * 2,
)


def _plain(block: _Block) -> _Block:
    """The minimalistic form of a block, which has only 3 x 3 kernels and ReLU."""
    return block._replace(large=False, excited=False, swish=False)


def _activated(x: Any, swish: bool) -> Any:
    return Activation("hard_swish")(x) if swish else ReLU()(x)


def _normalized(x: Any, name: str) -> Any:
    return BatchNormalization(axis=family.channel_axis(-1), epsilon=1e-3, momentum=0.999, name=name)(x)


def _convolved(x: Any, filters: int, name: str, norm: str) -> Any:
    x = Conv2D(filters, 1, padding="same", use_bias=False, name=name)(x)
    return _normalized(x, norm)


def _excited(x: Any, channels: int, label: str) -> Any:
    """Each map times a factor of 0..1 that two 1x1 convolutions compute from all maps' averages."""
    label = f"{label}squeeze_excite_"
    gate = GlobalAveragePooling2D(keepdims=True, name=f"{label}avg_pool")(x)
    gate = Conv2D(round_channels(channels * 0.25), 1, padding="same", name=f"{label}conv")(gate)
    gate = ReLU(name=f"{label}relu")(gate)
    gate = Conv2D(channels, 1, padding="same", name=f"{label}conv_1")(gate)
    gate = ReLU(6.0)(gate + 3.0) * (1.0 / 6.0)
    return Multiply(name=f"{label}mul")([x, gate])


def _inverted(x: Any, block: _Block, channels: int, place: int) -> Any:
    around, before = x, x.shape[family.channel_axis(-1)]
    wide, kernel = round_channels(before * block.expansion), 5 if block.large else 3
    label = f"expanded_conv_{place}_" if place else "expanded_conv_"
    if place:
        x = _convolved(x, wide, f"{label}expand", f"{label}expand_bn")
        x = _activated(x, block.swish)
    padding = "same"
    if block.stride == 2:
        x, padding = (
            ZeroPadding2D(imagenet_utils.correct_pad(x, kernel), name=f"{label}depthwise_pad")(x),
            "valid",
        )
    x = DepthwiseConv2D(
        kernel, strides=block.stride, padding=padding, use_bias=False, name=f"{label}depthwise"
    )(x)
    x = _activated(_normalized(x, f"{label}depthwise_bn"), block.swish)
    if block.excited:
        x = _excited(x, wide, label)
    x = _convolved(x, channels, f"{label}project", f"{label}project_bn")
    return Add(name=f"{label}add")([around, x]) if block.stride == 1 and before == channels else x


class _Settings(NamedTuple):
    """The arguments that only these networks have."""

    blocks: tuple[_Block, ...]
    last: int  # channels before the classifier
    alpha: float
    minimalistic: bool
    dropout: float
    preprocessing: bool


def _network(x: Any, ask: family.Request, settings: _Settings) -> Any:
    alpha, swish = settings.alpha, not settings.minimalistic
    if settings.preprocessing:
        x = Rescaling(scale=1.0 / 127.5, offset=-1.0)(x)
    x = Conv2D(16, 3, strides=(2, 2), padding="same", use_bias=False, name="conv")(x)
    x = _activated(_normalized(x, "conv_bn"), swish)
    for place, block in enumerate(settings.blocks):
        made = block if swish else _plain(block)
        x = _inverted(x, made, round_channels(block.channels * alpha), place)
    x = _convolved(x, round_channels(x.shape[family.channel_axis(-1)] * 6), "conv_1", "conv_1_bn")
    x = _activated(x, swish)
    if not ask.include_top:
        return family.pooled(x, ask)
    last = round_channels(settings.last * alpha) if alpha > 1.0 else settings.last
    x = GlobalAveragePooling2D(keepdims=True)(x)
    x = _activated(Conv2D(last, 1, padding="same", name="conv_2")(x), swish)
    if settings.dropout > 0:
        x = Dropout(settings.dropout)(x)
    x = Conv2D(ask.classes, 1, padding="same", name="logits")(x)
    imagenet_utils.check_activation(ask.classifier_activation, ask.weights)
    return Activation(ask.classifier_activation, name="predictions")(Flatten()(x))


class _MobileNetV3(Protocol):
    __name__: str

    def __call__(
        self,
        input_shape: Any = None,
        alpha: float = 1.0,
        minimalistic: bool = False,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        classes: int = 1000,
        pooling: str | None = None,
        dropout_rate: float = 0.2,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = ...,
    ) -> Model: ...


def _application(kind: str, blocks: tuple[_Block, ...], last: int) -> Callable[[Callable], _MobileNetV3]:
    """Makes the public function of a network; of the decorated one the name and documentation remain."""

    def publish(described: Callable) -> _MobileNetV3:
        def make(
            input_shape: Any = None,
            alpha: float = 1.0,
            minimalistic: bool = False,
            include_top: bool = True,
            weights: Any = "imagenet",
            input_tensor: Any = None,
            classes: int = 1000,
            pooling: str | None = None,
            dropout_rate: float = 0.2,
            classifier_activation: Any = "softmax",
            include_preprocessing: bool = True,
            name: str = described.__name__,
        ) -> Model:
            check_tensor(input_tensor, input_shape)
            if imagenet_utils.is_imagenet(weights) and alpha not in ((1.0,) if minimalistic else (0.75, 1.0)):
                raise ValueError(
                    "`alpha` must be 0.75 or 1.0 with ImageNet's weights, and 1.0 if minimalistic. Received: "
                    f"alpha={alpha}, minimalistic={minimalistic}"
                )
            if input_shape is None and isinstance(input_tensor, Symbol):
                input_shape = tuple(input_tensor.shape)[1:]
            ask = family.Request(
                include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
            )
            settings = _Settings(blocks, last, alpha, minimalistic, dropout_rate, include_preprocessing)
            form = f"{kind}_minimalistic" if minimalistic else kind
            return family.build(
                f"mobilenet_v3_{form}_224_{float(alpha)}_float",
                lambda x, ask: _network(x, ask, settings),
                ask,
                preprocess="none" if include_preprocessing else "tf",
                fixed_size=False,
            )

        return family.named_like(make, described)

    return publish


@_application("small", _SMALL, 1024)
def MobileNetV3Small() -> None:
    """The network of 2,554,968 parameters.

    Its classifier is two 1x1 convolutions after global average pooling.

    Args:
        input_shape: (h, w, 3), at least 32 x 32; by default images of any size are taken.
        alpha: Factor of the number of channels, which are rounded to multiples of 8; ImageNet's weights are
            of 0.75 and 1.0.
        minimalistic: Whether it does without 5x5 kernels, squeeze-and-excitation and hard swish.
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        classes: Number of classes.
        pooling: Without the top: None, "avg" or "max" at the end.
        dropout_rate: Share left out before the classifier in training.
        classifier_activation: Of the last layer; None for logits.
        include_preprocessing: Whether the network itself scales pixels 0..255 to -1..1; otherwise it takes
            x / 127.5 - 1.
        name: Name of the model.

    Returns:
        A functional model; the activation before global average pooling is the last feature map.

    Raises:
        ValueError: ImageNet's weights do not exist for this alpha, or `input_shape` is not the shape of
            `input_tensor`.

    Paper: Searching for MobileNetV3, arXiv:1905.02244.

    >>> MobileNetV3Small(weights=None, minimalistic=True, classes=10).output_shape
    (None, 10)
    """


@_application("large", _LARGE, 1280)
def MobileNetV3Large() -> None:
    """The network of 5,507,432 parameters. Arguments as for `MobileNetV3Small`."""


__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]
