"""VGG19: VGG16 with a fourth convolution in the last three blocks."""

from __future__ import annotations

from typing import Any

from .family import Request, application
from .imagenet_utils import decode_predictions
from .pixels import preprocess_caffe as preprocess_input
from .vgg16 import vgg


@application("vgg19")
def VGG19(x: Any, ask: Request) -> Any:
    """The network of 143,667,240 parameters. Arguments as for `VGG16`."""
    return vgg(x, ask, (2, 2, 4, 4, 4))


__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
