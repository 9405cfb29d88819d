"""Structures of tensors: nested lists, tuples and dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _names
from .tape import flatten, packed_like

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def is_nested(structure: Any) -> bool:
    """Is it a list, a tuple or a dictionary?"""
    return isinstance(structure, (list, tuple, dict))


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The leaves of flat_sequence in the form of structure.

    >>> pack_sequence_as({"a": 0, "b": (0, 0)}, [1, 2, 3])
    {'a': 1, 'b': (2, 3)}
    """
    leaves = list(flat_sequence)
    if len(leaves) != len(flatten(structure)):
        raise ValueError(
            f"`flat_sequence` must have {len(flatten(structure))} items, one for each leaf. "
            f"Received: {len(leaves)}"
        )
    return packed_like(structure, iter(leaves))


def assert_same_structure(nest1: Any, nest2: Any) -> None:
    """Raises ValueError unless both have the same form."""
    same = is_nested(nest1) == is_nested(nest2)
    if same and is_nested(nest1):
        same = isinstance(nest1, dict) == isinstance(nest2, dict) and len(nest1) == len(nest2)
        if same and isinstance(nest1, dict):
            same = sorted(nest1) == sorted(nest2)
    if not same:
        raise ValueError(f"the two structures do not have the same form. Received: {nest1} and {nest2}")
    if isinstance(nest1, dict):
        for key in nest1:
            assert_same_structure(nest1[key], nest2[key])
    elif is_nested(nest1):
        for first, second in zip(nest1, nest2, strict=True):
            assert_same_structure(first, second)


def map_structure(func: Callable[..., Any], *structure: Any) -> Any:
    """func of the leaves, in the form of the first structure.

    >>> map_structure(lambda x, y: x + y, {"a": 1, "b": [2]}, {"a": 10, "b": [20]})
    {'a': 11, 'b': [22]}
    """
    for other in structure[1:]:
        assert_same_structure(structure[0], other)
    leaves = [flatten(one) for one in structure]
    return packed_like(structure[0], iter([func(*items) for items in zip(*leaves, strict=True)]))


__getattr__ = _names.missing(__name__)
