"""Networks by Keras's names."""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = ("imagenet_utils", "resnet", "resnet50", "vgg16", "vgg19")
_NAMES = {
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "ResNet50": "resnet50",
    "ResNet101": "resnet",
    "ResNet152": "resnet",
}

__all__ = [*_NAMES, *_MODULES]


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
