"""Networks by Keras's names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import efficientnet_lite, imagenet_utils, resnet, resnet50, vgg16, vgg19
    from .efficientnet_lite import EfficientNetLite0
    from .resnet import ResNet101, ResNet152
    from .resnet50 import ResNet50
    from .vgg16 import VGG16
    from .vgg19 import VGG19

_MODULES = ("efficientnet_lite", "imagenet_utils", "resnet", "resnet50", "vgg16", "vgg19")
_NAMES = {
    "EfficientNetLite0": "efficientnet_lite",
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "ResNet50": "resnet50",
    "ResNet101": "resnet",
    "ResNet152": "resnet",
}

__all__ = [
    "EfficientNetLite0", "ResNet101", "ResNet152", "ResNet50", "VGG16", "VGG19", "efficientnet_lite",
    "imagenet_utils", "resnet", "resnet50", "vgg16", "vgg19",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(
        f"module '{__name__}' has no attribute '{name}'. Offered are: {', '.join(sorted(_NAMES))}"
    )


def __dir__() -> list[str]:
    return sorted(__all__)
