"""EfficientNetV2: the first stages convolve without taking the convolution apart (Tan and Le, 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .. import initializers
from ..layers import Normalization, Rescaling
from ..models import Model
from . import family
from .efficientnet import depthwise, excited, head, joined, normalized, unbiased
from .imagenet_utils import MEAN, STD, decode_predictions
from .pixels import preprocess_none as preprocess_input


class _Stage(NamedTuple):
    repeats: int
    channels: int
    stride: int
    expansion: int
    fused: bool = False  # one 3x3 convolution instead of a 1x1 and a depthwise one


_STEMS = {"b": 32, "s": 24, "m": 24, "l": 32}
_STAGES = {
    "b": (
        _Stage(1, 16, 1, 1, True),
        _Stage(2, 32, 2, 4, True),
        _Stage(2, 48, 2, 4, True),
        _Stage(3, 96, 2, 4),
        _Stage(5, 112, 1, 6),
        _Stage(8, 192, 2, 6),
    ),
    "s": (
        _Stage(2, 24, 1, 1, True),
        _Stage(4, 48, 2, 4, True),
        _Stage(4, 64, 2, 4, True),
        _Stage(6, 128, 2, 4),
        _Stage(9, 160, 1, 6),
        _Stage(15, 256, 2, 6),
    ),
    "m": (
        _Stage(3, 24, 1, 1, True),
        _Stage(5, 48, 2, 4, True),
        _Stage(5, 80, 2, 4, True),
        _Stage(7, 160, 2, 4),
        _Stage(14, 176, 1, 6),
        _Stage(18, 304, 2, 6),
        _Stage(5, 512, 1, 6),
    ),
    "l": (
        _Stage(4, 32, 1, 1, True),
        _Stage(7, 64, 2, 4, True),
        _Stage(7, 96, 2, 4, True),
        _Stage(10, 192, 2, 4),
        _Stage(19, 224, 1, 6),
        _Stage(25, 384, 2, 6),
        _Stage(7, 640, 1, 6),
    ),
}
_HEAD = 1280
_DROP = _DROPOUT = 0.2
_MOMENTUM = 0.9


def _rounded(channels: float) -> int:
    """The nearest multiple of 8."""
    return max(8, int(channels + 4) // 8 * 8)


def _narrowed(x: Any, filters: int, kernel: int, stride: int, label: str, activation: str | None) -> Any:
    x = unbiased(x, filters, kernel, stride, f"{label}project_conv")
    return normalized(x, f"{label}project_bn", activation, _MOMENTUM)


def _block(x: Any, stage: _Stage, filters: int, stride: int, drop: float, label: str) -> Any:
    """An inverted residual; where it is fused it has no squeeze-and-excitation."""
    around, before = x, x.shape[family.channel_axis()]
    if stage.expansion != 1:
        kernel, step = (3, stride) if stage.fused else (1, 1)
        x = unbiased(x, before * stage.expansion, kernel, step, f"{label}expand_conv")
        x = normalized(x, f"{label}expand_bn", f"{label}expand_activation", _MOMENTUM)
    if not stage.fused:
        x = depthwise(x, 3, stride, f"{label}dwconv2")
        x = normalized(x, f"{label}bn", f"{label}activation", _MOMENTUM)
        x = excited(x, int(before * 0.25), label)
    if stage.expansion == 1:
        x = _narrowed(x, filters, 3, stride, label, f"{label}project_activation")
    else:
        x = _narrowed(x, filters, 1, 1, label, None)
    return joined(x, around, drop, label) if stride == 1 and before == filters else x


def _preprocessed(x: Any, kind: str) -> Any:
    axis = family.channel_axis()
    if kind == "b" and x.shape[axis] == 3:
        x = Rescaling(scale=1.0 / 255)(x)
        return Normalization(mean=list(MEAN), variance=[std**2 for std in STD], axis=axis)(x)
    return Rescaling(scale=1.0 / 128.0, offset=-1)(x)


def _network(x: Any, ask: family.Request, kind: str, width: float, depth: float, preprocessing: bool) -> Any:
    stages = _STAGES[kind]
    if preprocessing:
        x = _preprocessed(x, kind)
    x = unbiased(x, _rounded(_STEMS[kind] * width), 3, 2, "stem_conv")
    x = normalized(x, "stem_bn", "stem_activation", _MOMENTUM)
    done, total = 0, sum(stage.repeats for stage in stages)
    for number, stage in enumerate(stages, start=1):
        for place in range(math.ceil(depth * stage.repeats)):
            label = f"block{number}{chr(ord('a') + place)}_"
            stride = 1 if place else stage.stride
            x = _block(x, stage, _rounded(stage.channels * width), stride, _DROP * done / total, label)
            done += 1
    zeros = initializers.Constant(0.0)
    return head(x, ask, _rounded(_HEAD * width), _DROPOUT, _MOMENTUM, bias_initializer=zeros)


class _EfficientNetV2(Protocol):
    __name__: str

    def __call__(
        self,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = ...,
    ) -> Model: ...


def _application(
    variant: str, size: int, width: float = 1.0, depth: float = 1.0
) -> Callable[[Callable], _EfficientNetV2]:
    """Makes the public function of a network; of the decorated one the name and documentation remain."""
    network, kind = f"efficientnetv2-{variant}", variant[0]

    def publish(described: Callable) -> _EfficientNetV2:
        def make(
            include_top: bool = True,
            weights: Any = "imagenet",
            input_tensor: Any = None,
            input_shape: Any = None,
            pooling: str | None = None,
            classes: int = 1000,
            classifier_activation: Any = "softmax",
            include_preprocessing: bool = True,
            name: str = network,
        ) -> Model:
            ask = family.Request(
                include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
            )
            outside = "torch" if kind == "b" else "tf"
            return family.build(
                network,
                lambda x, ask: _network(x, ask, kind, width, depth, include_preprocessing),
                ask,
                size=size,
                preprocess="none" if include_preprocessing else outside,
            )

        return family.named_like(make, described)

    return publish


@_application("b0", 224)
def EfficientNetV2B0() -> None:
    """The network of 7,200,312 parameters.

    It ends in global average pooling and one dense layer, so that `explain.cam` applies.

    Args:
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        include_preprocessing: Whether the network itself normalizes pixels 0..255: B0 to B3 by ImageNet's
            mean and standard deviation ("torch"), S, M and L to -1..1 ("tf"). Otherwise it takes them
            normalized.
        name: Name of the model.

    Returns:
        A functional model; top_activation is the last feature map.

    Paper: EfficientNetV2: Smaller Models and Faster Training, arXiv:2104.00298.
    """


@_application("b1", 240, 1.0, 1.1)
def EfficientNetV2B1() -> None:
    """The network of 8,212,124 parameters for 240 x 240 pixels. Arguments as for `EfficientNetV2B0`."""


@_application("b2", 260, 1.1, 1.2)
def EfficientNetV2B2() -> None:
    """The network of 10,178,374 parameters for 260 x 260 pixels. Arguments as for `EfficientNetV2B0`."""


@_application("b3", 300, 1.2, 1.4)
def EfficientNetV2B3() -> None:
    """The network of 14,467,622 parameters for 300 x 300 pixels. Arguments as for `EfficientNetV2B0`."""


@_application("s", 384)
def EfficientNetV2S() -> None:
    """The network of 21,612,360 parameters for 384 x 384 pixels. Arguments as for `EfficientNetV2B0`."""


@_application("m", 480)
def EfficientNetV2M() -> None:
    """The network of 54,431,388 parameters for 480 x 480 pixels. Arguments as for `EfficientNetV2B0`."""


@_application("l", 480)
def EfficientNetV2L() -> None:
    """The network of 119,027,848 parameters for 480 x 480 pixels. Arguments as for `EfficientNetV2B0`."""


__all__ = [
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L",
    "EfficientNetV2M", "EfficientNetV2S", "decode_predictions", "preprocess_input",
]  # fmt: skip
