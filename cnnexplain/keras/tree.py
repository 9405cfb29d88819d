"""Nested lists, tuples and dicts of tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = [
    "MAP_TO_NONE", "assert_same_paths", "assert_same_structure", "flatten", "flatten_with_path", "is_nested",
    "lists_to_tuples", "map_shape_structure", "map_structure", "map_structure_up_to", "pack_sequence_as",
    "traverse",
]  # fmt: skip


class MAP_TO_NONE:
    """What a function given to `traverse` returns to put None in a place."""


def is_nested(structure: Any) -> bool:
    """Whether the value is a list, a tuple or a dict."""
    return isinstance(structure, (list, tuple, dict))


def _children(structure: Any) -> list[tuple[Any, Any]]:
    """(key, item) of each item: dicts by their sorted keys, an OrderedDict in its own order."""
    if isinstance(structure, dict):
        return [(key, structure[key]) for key in _keys(structure)]
    return list(enumerate(structure))


def _keys(structure: dict) -> list:
    return list(structure) if isinstance(structure, OrderedDict) else sorted(structure)


def _rebuilt(structure: Any, items: Sequence[Any]) -> Any:
    """A structure of the same kind with other items, given in the order of `_children`."""
    if isinstance(structure, dict):
        made = dict(zip(_keys(structure), items, strict=True))
        ordered = {key: made[key] for key in structure}
        if type(structure) is dict:
            return ordered
        twin = structure.copy()
        twin.update(ordered)
        return twin
    if hasattr(structure, "_fields"):
        return type(structure)(*items)
    return tuple(items) if isinstance(structure, tuple) else list(items)


def flatten(structure: Any) -> list:
    """The leaves in order; those of dicts in the order of their sorted keys.

    >>> from cnnexplain import keras
    >>> keras.tree.flatten({"b": [1, 2], "a": (3,)})
    [3, 1, 2]
    """
    if not is_nested(structure):
        return [structure]
    return [leaf for _, item in _children(structure) for leaf in flatten(item)]


def flatten_with_path(structure: Any) -> list[tuple[tuple, Any]]:
    """(path, leaf) of each leaf; a path is the tuple of keys and places that lead to it.

    >>> from cnnexplain import keras
    >>> keras.tree.flatten_with_path({"a": [7, 8]})
    [(('a', 0), 7), (('a', 1), 8)]
    """
    if not is_nested(structure):
        return [((), structure)]
    return [
        ((key, *path), leaf) for key, item in _children(structure) for path, leaf in flatten_with_path(item)
    ]


def _alike(first: Any, others: Sequence[Any]) -> None:
    for other in others:
        same = type(other) is type(first) and len(other) == len(first)
        if not same or (isinstance(first, dict) and set(first) != set(other)):
            raise ValueError(
                f"`structures` must have the same nested structure. Received: {first!r} and {other!r}"
            )


def map_structure(func: Callable, *structures: Any, none_is_leaf: bool = True) -> Any:
    """The same structure with func(*leaves) in the place of each leaf.

    Args:
        func: Of as many leaves as there are structures.
        structures: Nested alike.
        none_is_leaf: False: None stays None.

    >>> from cnnexplain import keras
    >>> keras.tree.map_structure(lambda a, b: a + b, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    if not callable(func):
        raise TypeError(f"`func` must be callable. Received: func={func}")
    if not structures:
        raise ValueError("Must provide at least one structure")
    first = structures[0]
    if not is_nested(first):
        if any(is_nested(other) for other in structures[1:]):
            raise ValueError("Structures don't have the same nested structure.")
        return None if first is None and not none_is_leaf else func(*structures)
    _alike(first, structures[1:])
    columns = zip(*([item for _, item in _children(one)] for one in structures), strict=True)
    return _rebuilt(first, [map_structure(func, *items, none_is_leaf=none_is_leaf) for items in columns])


def map_structure_up_to(shallow_structure: Any, func: Callable, *structures: Any) -> Any:
    """`map_structure` down to the leaves of `shallow_structure`: what lies below is given to func whole.

    >>> from cnnexplain import keras
    >>> keras.tree.map_structure_up_to([0, 0], len, [[1, 2], [3]])
    [2, 1]
    """
    if not structures:
        raise ValueError("Must provide at least one structure")
    if not is_nested(shallow_structure):
        return func(*structures)
    _alike(shallow_structure, structures)
    columns = zip(*([item for _, item in _children(one)] for one in structures), strict=True)
    rows = zip((item for _, item in _children(shallow_structure)), columns, strict=True)
    return _rebuilt(shallow_structure, [map_structure_up_to(part, func, *items) for part, items in rows])


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The structure with the leaves of a flat sequence, in the order of `flatten`.

    >>> from cnnexplain import keras
    >>> keras.tree.pack_sequence_as({"b": 0, "a": [0]}, [1, 2])
    {'b': 2, 'a': [1]}
    """
    if isinstance(flat_sequence, str) or not hasattr(flat_sequence, "__iter__"):
        raise TypeError(f"`flat_sequence` must be a sequence. Received: flat_sequence={flat_sequence!r}")
    leaves = list(flat_sequence)
    count = len(flatten(structure))
    if count != len(leaves):
        raise ValueError(f"`flat_sequence` must have {count} leaves. Received: {len(leaves)}")
    return pack(structure, leaves)


def pack(structure: Any, leaves: list) -> Any:
    """The structure with its leaves replaced, in the order of `flatten`."""
    iterator: Iterator = iter(leaves)
    return map_structure(lambda _: next(iterator), structure)


def traverse(func: Callable, structure: Any, top_down: bool = True) -> Any:
    """The structure with func(part) in the place of each part for which it is not None.

    Args:
        func: Of each structure and each leaf; None goes on, `MAP_TO_NONE` puts None there.
        top_down: A structure before its items, which are not visited if it was replaced; False: after them.
    """
    if not callable(func):
        raise TypeError(f"`func` must be callable. Received: func={func}")

    def inside() -> Any:
        if not is_nested(structure):
            return structure
        return _rebuilt(structure, [traverse(func, item, top_down) for _, item in _children(structure)])

    whole = structure if top_down else inside()
    made = func(whole)
    if made is None:
        return inside() if top_down else whole
    return None if made is MAP_TO_NONE else made


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raises ValueError where two structures are not nested alike."""
    if is_nested(a) != is_nested(b):
        raise ValueError(f"Structures don't have the same nested structure. Received: {a!r} and {b!r}")
    if is_nested(a):
        _alike(a, [b])
        for (_, first), (_, second) in zip(_children(a), _children(b), strict=True):
            assert_same_structure(first, second)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ValueError where the leaves of two structures have not the same paths; kinds may differ."""
    first, second = ({path for path, _ in flatten_with_path(one)} for one in (a, b))
    if first != second:
        raise ValueError(
            "`a` and `b` don't have the same paths. "
            f"Missing in `b`: {first - second}. Missing in `a`: {second - first}"
        )


def lists_to_tuples(structure: Any) -> Any:
    """The structure with tuples for its lists."""
    return traverse(lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable, structure: Any) -> Any:
    """`map_structure` in which shapes, lists or tuples of integers and None, are leaves."""
    shape = isinstance(structure, (list, tuple)) and all(isinstance(n, (int, type(None))) for n in structure)
    if shape or not is_nested(structure):
        return func(structure)
    return _rebuilt(structure, [map_shape_structure(func, item) for _, item in _children(structure)])
