"""NumPy twins of every op, written from the definitions and independent of the C core, and cases to try.

`TWINS[op](*inputs, **attributes)` returns a tuple of the public outputs; float64 inputs give float64 outputs,
an absent input is None. `CASES` holds (op, inputs, attributes); an input is an array, None, or a shape that
stands for random normal numbers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

FAMILIES = (
    "activation",
    "arithmetic",
    "reduce",
    "move",
    "conv",
    "pool",
    "norm",
    "loss",
    "resize",
    "transform",
    "random",
    "recurrent",
)

TWINS: dict[str, Callable[..., tuple[Any, ...]]] = {}
CASES: list[tuple[str, list[Any], dict[str, Any]]] = []

for _family in FAMILIES:
    _module = importlib.import_module(f"{__name__}.{_family}")
    _twice = TWINS.keys() & _module.TWINS.keys()
    if _twice:
        raise ValueError(f"two families define {sorted(_twice)}")
    TWINS.update(_module.TWINS)
    CASES.extend(_module.CASES)
