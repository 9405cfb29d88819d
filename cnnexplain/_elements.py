"""Elements of datasets: tuples and dictionaries of leaves, where a list is one tensor. Between the steps of a
pipeline a leaf is an array, or a str or bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core
from ._convert import TENSORS


def map_leaves(function: Callable, *items: Any) -> Any:
    """function of the leaves of structures of one form."""
    first = items[0]
    if isinstance(first, dict):
        return type(first)((key, map_leaves(function, *(item[key] for item in items))) for key in first)
    if isinstance(first, tuple):
        if len({len(item) for item in items}) != 1:
            raise ValueError(f"the elements do not have one structure. Received: {first} and {items[-1]}")
        parts = [map_leaves(function, *part) for part in zip(*items, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    return function(*items)


def leaves(item: Any) -> list[Any]:
    """The leaves of one element, in order."""
    if isinstance(item, dict):
        return [leaf for key in item for leaf in leaves(item[key])]
    if isinstance(item, tuple):
        return [leaf for part in item for leaf in leaves(part)]
    return [item]


def stored(leaf: Any) -> Any:
    """A leaf as it is kept between the steps: an array, or a str or bytes."""
    if isinstance(leaf, (str, bytes, np.ndarray)):
        return leaf
    if isinstance(leaf, TENSORS) or hasattr(leaf, "__array__"):
        return np.asarray(leaf)
    if isinstance(leaf, (list, tuple)) and is_text(leaf):
        return np.array(leaf, dtype=object)
    return np.asarray(_core.tensor(leaf))


def is_text(leaf: Any) -> bool:
    """Whether a leaf, or the first entry of a nested list, is text."""
    while isinstance(leaf, (list, tuple)) and leaf:
        leaf = leaf[0]
    return isinstance(leaf, (str, bytes))


def given(leaf: Any) -> Any:
    """A leaf as users see it: a tensor, or text."""
    if isinstance(leaf, (str, bytes)):
        return leaf
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OUS":
        return leaf.item() if leaf.ndim == 0 else leaf
    return _core.tensor(leaf)


def shown(item: Any) -> Any:
    """An element as users see it."""
    return map_leaves(given, item)


def kept(item: Any) -> Any:
    """An element as it is kept between the steps."""
    return map_leaves(stored, item)


def joined(items: list[Any]) -> Any:
    """Elements as one batch."""

    def join(*leaves: Any) -> Any:
        if isinstance(leaves[0], (str, bytes)):
            return np.array(leaves, dtype=object)
        shapes = {np.shape(leaf) for leaf in leaves}
        if len(shapes) > 1:
            raise ValueError(
                f"the elements of a batch must have one shape. Received: shapes {sorted(shapes)[:4]}"
            )
        return np.stack(leaves)

    return map_leaves(join, *items)
