"""`keras.ops.numpy`: NumPy's names on tensors and symbols."""

from __future__ import annotations

from . import complex as _complex
from . import creation, einops, elementwise, linalg, logic, reductions, selection, shaping, statistics
from .complex import *  # noqa: F403
from .creation import *  # noqa: F403
from .einops import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .linalg import *  # noqa: F403
from .logic import *  # noqa: F403
from .reductions import *  # noqa: F403
from .selection import *  # noqa: F403
from .shaping import *  # noqa: F403
from .statistics import *  # noqa: F403

__all__ = [
    name
    for family in (
        _complex,
        creation,
        einops,
        elementwise,
        linalg,
        logic,
        reductions,
        selection,
        shaping,
        statistics,
    )
    for name in family.__all__
]
