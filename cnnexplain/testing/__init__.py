"""For people who grade: assertions that explain a mismatch, small models and data that never change.

The pytest plugin (`cnnexplain.testing.plugin`, loaded by itself where this package is installed) adds points,
partial credit and limits of time and memory: see docs/coursework.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .maps import MapMismatch, assert_same_map
    from .tiny import tiny_dataset, tiny_images, tiny_model

__all__ = ["MapMismatch", "assert_same_map", "tiny_dataset", "tiny_images", "tiny_model"]


def __getattr__(name: str) -> Any:
    """Loaded when first used: every pytest run passes here on its way to the plugin."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "tiny" if name.startswith("tiny") else "maps"
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
