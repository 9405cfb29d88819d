"""Nested lists, tuples and dicts of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether the value is a list, tuple or dict (a tensor's shape, also a tuple, is no structure)."""
    return isinstance(structure, (list, tuple, dict))


def _rebuild_tuple(original: tuple, items: list) -> Any:
    if hasattr(original, "_fields"):
        return type(original)(*items)
    return tuple(items)


def flatten(structure: Any) -> list:
    """The leaves in order; dicts in the order of their sorted keys."""
    if isinstance(structure, (list, tuple)):
        return [leaf for item in structure for leaf in flatten(item)]
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten(structure[key])]
    return [structure]


def map_structure(function: Callable, structure: Any) -> Any:
    """The same structure with `function` applied to each leaf."""
    if isinstance(structure, list):
        return [map_structure(function, item) for item in structure]
    if isinstance(structure, tuple):
        return _rebuild_tuple(structure, [map_structure(function, item) for item in structure])
    if isinstance(structure, dict):
        mapped = {key: map_structure(function, structure[key]) for key in sorted(structure)}
        return {key: mapped[key] for key in structure}
    return function(structure)


def pack(structure: Any, leaves: list) -> Any:
    """The structure with its leaves replaced, in the order of `flatten`."""
    iterator: Iterator = iter(leaves)
    return map_structure(lambda _: next(iterator), structure)
