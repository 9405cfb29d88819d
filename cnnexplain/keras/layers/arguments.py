"""Checks of constructor arguments."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..naming import nearest


def refuse(kwargs: dict, *names: str) -> None:
    """Takes options that are not offered out of `kwargs`; ValueError for one that is switched on."""
    for name in names:
        value = kwargs.pop(name, None)
        if value is not None and value is not False:
            raise ValueError(f"`{name}` is not offered; leave it out. Received: {name}={value}")


def with_defaults(function: Callable, **defaults: Any) -> Any:
    """The same function with other default values."""
    parameters = inspect.signature(function).parameters.values()
    values = tuple(
        defaults.get(p.name, p.default)
        for p in parameters
        if p.kind is p.POSITIONAL_OR_KEYWORD and (p.default is not p.empty or p.name in defaults)
    )
    made = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, values, function.__closure__
    )
    made.__annotations__ = dict(function.__annotations__)
    return made


def integers(value: Any, count: int, name: str, zero: bool = False) -> tuple[int, ...]:
    """A tuple of `count` positive integers; one integer stands for all. `zero` allows 0."""
    kind = "non-negative" if zero else "positive"
    given = value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = (value,) * count
    try:
        found = tuple(value)
    except TypeError:
        found = ()
    good = len(found) == count and all(
        isinstance(item, (int, np.integer)) and not isinstance(item, bool) and item >= (0 if zero else 1)
        for item in found
    )
    if not good:
        raise ValueError(f"`{name}` must be a tuple of {count} {kind} integers. Received: {name}={given!r}")
    return tuple(int(item) for item in found)


def positive(value: Any, name: str) -> int:
    """A positive integer; NumPy's integers and whole floats are accepted."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value <= 0:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return int(value)


def padding(value: Any, choices: tuple[str, ...] = ("valid", "same")) -> str:
    """The padding's name in lower case."""
    name = value.lower() if isinstance(value, str) else value
    if name not in choices:
        raise ValueError(
            f"`padding` must be one of {', '.join(repr(c) for c in choices)}. Received: padding={value!r}."
            f"{nearest(value, choices)}"
        )
    return name


def pairs(value: Any, name: str, zero: bool = True) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) from one integer, (vertical, horizontal) or the full form."""
    given = value
    error = ValueError(
        f"`{name}` must be an integer, a tuple of 2 integers (height, width) or "
        f"((top, bottom), (left, right)), none negative. Received: {name}={given}"
    )
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = ((value, value), (value, value))
    try:
        vertical, horizontal = value
        if isinstance(vertical, (int, np.integer)):
            vertical = (vertical, vertical)
        if isinstance(horizontal, (int, np.integer)):
            horizontal = (horizontal, horizontal)
        found = (tuple(vertical), tuple(horizontal))
    except (TypeError, ValueError):
        raise error from None
    for side in found:
        if len(side) != 2 or not all(isinstance(item, (int, np.integer)) and item >= 0 for item in side):
            raise error
    return (int(found[0][0]), int(found[0][1])), (int(found[1][0]), int(found[1][1]))
