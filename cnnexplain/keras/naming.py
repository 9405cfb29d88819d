"""Names of layers and models: snake case of the class, counted until `clear_session`."""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Iterable
from typing import Any

_counts: dict[str, int] = {}


class _Scopes(threading.local):
    names: tuple[str, ...] = ()  # those of the name scopes around


scopes = _Scopes()


def to_snake_case(name: str) -> str:
    """`GlobalAveragePooling2D` becomes `global_average_pooling2d`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def unique(name: str) -> str:
    """The name itself the first time, then `name_1`, `name_2`."""
    count = _counts.get(name, 0)
    _counts[name] = count + 1
    return f"{name}_{count}" if count else name


def auto_name(class_name: str) -> str:
    """The next free name for an object of this class."""
    return unique(to_snake_case(class_name))


def get_uid(prefix: str = "") -> int:
    """Counts up from 1 for each prefix."""
    _counts[prefix] = _counts.get(prefix, 0) + 1
    return _counts[prefix]


def reset() -> None:
    """Starts every count anew."""
    _counts.clear()


def object_name(thing: Any) -> str:
    """The name of a layer, loss, metric, function or class."""
    name = getattr(thing, "name", None)
    if isinstance(name, str):
        return name
    return to_snake_case(getattr(thing, "__name__", None) or type(thing).__name__)


def nearest(name: Any, choices: Iterable[str]) -> str:
    """The question whether a similar choice was meant; nothing where none is similar."""
    near = difflib.get_close_matches(str(name).lower(), list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
