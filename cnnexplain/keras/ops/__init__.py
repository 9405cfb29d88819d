"""`keras.ops`: Keras's functions of tensors, arrays and symbols.

A function of a symbol adds a node to the graph of the model being built. One file holds one family.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import core, linalg, math, nn, numpy
from .core import *  # noqa: F403
from .linalg import *  # noqa: F403
from .math import *  # noqa: F403
from .nn import *  # noqa: F403
from .numpy import *  # noqa: F403

if TYPE_CHECKING:  # what `numpy` gathers, and what is loaded when first used
    from . import image as image
    from .complex import *  # noqa: F403
    from .creation import *  # noqa: F403
    from .einops import *  # noqa: F403
    from .elementwise import *  # noqa: F403
    from .logic import *  # noqa: F403
    from .reductions import *  # noqa: F403
    from .selection import *  # noqa: F403
    from .shaping import *  # noqa: F403
    from .statistics import *  # noqa: F403

__all__ = sorted({*core.__all__, *linalg.__all__, *math.__all__, *nn.__all__, *numpy.__all__})


def __getattr__(name: str) -> Any:
    if name == "image":
        return importlib.import_module(f"{__name__}.image")
    raise AttributeError(f"module 'cnnexplain.keras.ops' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, "image", "linalg", "nn", "numpy"})
