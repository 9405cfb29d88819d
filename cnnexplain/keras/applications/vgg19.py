"""VGG19: VGG16 with a fourth convolution in the last three blocks."""

from __future__ import annotations

from typing import Any

from ..models import Model
from .imagenet_utils import decode_predictions
from .vgg16 import preprocess_input, vgg

_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))


def VGG19(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg19",
) -> Model:
    """The network of 143,667,240 parameters. Arguments as for `VGG16`."""
    return vgg(
        _BLOCKS,
        "vgg19",
        name,
        include_top,
        weights,
        input_tensor,
        input_shape,
        pooling,
        classes,
        classifier_activation,
    )


__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
