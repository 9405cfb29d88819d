"""ConvNeXt: a residual network after the habits of vision transformers (Liu and others, 2022)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..layers import (
    Activation,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    LayerNormalization,
    Normalization,
)
from ..models import Model, Sequential
from ..saving.application_layers import LayerScale
from .family import Request, build, named_like, needs_channels_last, pooled, predictions
from .imagenet_utils import MEAN, STD, decode_predictions
from .pixels import preprocess_none as preprocess_input

_EPSILON = 1e-6
_SCALE = 1e-6


class _Variant(Protocol):
    def __call__(
        self,
        include_top: bool = True,
        include_preprocessing: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = ...,
    ) -> Model: ...


def _block(x: Any, width: int, name: str) -> Any:
    """A depthwise 7x7 convolution and two dense layers on each pixel's channels, and the input added."""
    y = Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv")(x)
    y = LayerNormalization(epsilon=_EPSILON, name=f"{name}_layernorm")(y)
    y = Dense(4 * width, name=f"{name}_pointwise_conv_1")(y)
    y = Activation("gelu", name=f"{name}_gelu")(y)
    y = Dense(width, name=f"{name}_pointwise_conv_2")(y)
    y = LayerScale(_SCALE, width, name=f"{name}_layer_scale")(y)
    return x + Activation("linear", name=f"{name}_identity")(y)


def _entry(stage: int, width: int, name: str) -> Sequential:
    """What brings the map to the resolution and width of a stage."""
    if stage == 0:
        conv = Conv2D(width, 4, strides=4, name=f"{name}_stem_conv")
        return Sequential(
            [conv, LayerNormalization(epsilon=_EPSILON, name=f"{name}_stem_layernorm")], name=f"{name}_stem"
        )
    place = stage - 1
    norm = LayerNormalization(epsilon=_EPSILON, name=f"{name}_downsampling_layernorm_{place}")
    conv = Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{place}")
    return Sequential([norm, conv], name=f"{name}_downsampling_block_{place}")


def _network(x: Any, ask: Request, normalized: bool, depths: tuple[int, ...], width: int) -> Any:
    name = ask.name
    if normalized and x.shape[-1] == 3:
        x = Normalization(
            mean=[255 * value for value in MEAN],
            variance=[(255 * value) ** 2 for value in STD],
            name=f"{name}_prestem_normalization",
        )(x)
    for stage, depth in enumerate(depths):
        x = _entry(stage, width << stage, name)(x)
        for place in range(depth):
            x = _block(x, width << stage, f"{name}_stage_{stage}_block_{place}")
    if not ask.include_top:
        return LayerNormalization(epsilon=_EPSILON)(pooled(x, ask, named=False))
    x = GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
    x = LayerNormalization(epsilon=_EPSILON, name=f"{name}_head_layernorm")(x)
    return predictions(x, ask, f"{name}_head_dense")


def _variant(network: str) -> Callable[[Callable[[Any, Request, bool], Any]], _Variant]:
    """Makes the public function of a network out of what it does to its input."""

    def publish(layers: Callable[[Any, Request, bool], Any]) -> _Variant:
        def make(
            include_top: bool = True,
            include_preprocessing: bool = True,
            weights: Any = "imagenet",
            input_tensor: Any = None,
            input_shape: Any = None,
            pooling: str | None = None,
            classes: int = 1000,
            classifier_activation: Any = "softmax",
            name: str = network,
        ) -> Model:
            needs_channels_last("ConvNeXt")
            ask = Request(
                include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
            )

            def body(x: Any, ask: Request) -> Any:
                return layers(x, ask, include_preprocessing)

            return build(network, body, ask, preprocess="none" if include_preprocessing else "torch")

        return named_like(make, layers)

    return publish


@_variant("convnext_tiny")
def ConvNeXtTiny(x: Any, ask: Request, normalized: bool) -> Any:
    """The network of 28,589,128 parameters.

    Args:
        include_top: Whether the classifier is part of it.
        include_preprocessing: Whether its first layer subtracts ImageNet's mean and divides by the deviation.
            Then it takes pixels 0..255; without, what mode "torch" of the preprocessing makes of them.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model, with which the names of its layers begin.

    Returns:
        A functional model. The stem and the steps between stages are models inside it.

    Raises:
        ValueError: The images are channels_first.

    Paper: A ConvNet for the 2020s, arXiv:2201.03545.

    >>> ConvNeXtTiny(weights=None, classes=10, input_shape=(32, 32, 3)).output_shape
    (None, 10)
    """
    return _network(x, ask, normalized, (3, 3, 9, 3), 96)


@_variant("convnext_small")
def ConvNeXtSmall(x: Any, ask: Request, normalized: bool) -> Any:
    """The network of 50,223,688 parameters. Arguments as for `ConvNeXtTiny`."""
    return _network(x, ask, normalized, (3, 3, 27, 3), 96)


@_variant("convnext_base")
def ConvNeXtBase(x: Any, ask: Request, normalized: bool) -> Any:
    """The network of 88,591,464 parameters. Arguments as for `ConvNeXtTiny`."""
    return _network(x, ask, normalized, (3, 3, 27, 3), 128)


@_variant("convnext_large")
def ConvNeXtLarge(x: Any, ask: Request, normalized: bool) -> Any:
    """The network of 197,767,336 parameters. Arguments as for `ConvNeXtTiny`."""
    return _network(x, ask, normalized, (3, 3, 27, 3), 192)


@_variant("convnext_xlarge")
def ConvNeXtXLarge(x: Any, ask: Request, normalized: bool) -> Any:
    """The network of 350,196,968 parameters. Arguments as for `ConvNeXtTiny`."""
    return _network(x, ask, normalized, (3, 3, 27, 3), 256)


__all__ = [
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "decode_predictions",
    "preprocess_input",
]  # fmt: skip
