"""Elements of datasets: tuples and dictionaries of leaves, where a list is one tensor. Between the steps of a
pipeline a leaf is an array, or a str or bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core
from .._convert import TENSORS


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
    """A leaf as it is kept between the steps: an array, a str or bytes, or a data set."""
    if isinstance(leaf, (str, bytes, np.ndarray)) or is_dataset(leaf):
        return leaf
    if isinstance(leaf, TENSORS) or hasattr(leaf, "__array__"):
        return np.asarray(leaf)
    if isinstance(leaf, (list, tuple)) and is_text(leaf):
        return np.array(leaf, dtype=object)
    return np.asarray(_core.tensor(leaf))


def is_dataset(leaf: Any) -> bool:
    """Whether a leaf is a data set, as those of `window` are."""
    return hasattr(leaf, "_items")


def is_text(leaf: Any) -> bool:
    """Whether a leaf, or the first entry of a nested list, is text."""
    while isinstance(leaf, (list, tuple)) and leaf:
        leaf = leaf[0]
    return isinstance(leaf, (str, bytes))


def given(leaf: Any) -> Any:
    """A leaf as users see it: a tensor, text, or a data set."""
    if isinstance(leaf, (str, bytes)) or is_dataset(leaf):
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


def padded(items: list[Any], shapes: Any, values: Any) -> Any:
    """Elements as one batch, each leaf filled up to the greatest size, or to `shapes`, with `values`."""

    def join(shape: Any, value: Any, *leaves: Any) -> Any:
        if isinstance(leaves[0], (str, bytes)):
            return np.array(leaves, dtype=object)
        arrays = [np.asarray(leaf) for leaf in leaves]
        if len({array.ndim for array in arrays}) > 1:
            raise ValueError("the elements of a padded batch must have one number of dimensions")
        sizes = np.array([array.shape for array in arrays]).reshape(len(arrays), -1).max(axis=0)
        wanted = [-1] * len(sizes) if shape is None else [-1 if n is None else int(n) for n in shape]
        if len(wanted) != len(sizes):
            raise ValueError(
                f"`padded_shapes` must have {len(sizes)} dimensions. Received: padded_shapes={shape}"
            )
        full = [int(n) if want < 0 else want for n, want in zip(sizes, wanted, strict=True)]
        if any(n > limit for n, limit in zip(sizes, full, strict=True)):
            raise ValueError(
                f"`padded_shapes` must not be less than the elements' shapes. Received: "
                f"padded_shapes={tuple(full)}, an element of {tuple(int(n) for n in sizes)}"
            )
        fill = ("" if arrays[0].dtype.kind in "OUS" else 0) if value is None else value
        batch = np.full((len(arrays), *full), np.asarray(fill), arrays[0].dtype)
        for row, array in zip(batch, arrays, strict=True):
            row[tuple(slice(n) for n in array.shape)] = array
        return batch

    first = items[0]
    if shapes is None:
        shapes = map_leaves(lambda leaf: None, first)
    if not isinstance(values, (tuple, dict)):
        values = map_leaves(lambda leaf: values, first)
    return _join_padded(join, first, shapes, values, items)


def _join_padded(join: Callable, first: Any, shapes: Any, values: Any, items: list[Any]) -> Any:
    """The structure of an element decides: a shape is a tuple itself."""
    if isinstance(first, dict):
        return {k: _join_padded(join, first[k], shapes[k], values[k], [i[k] for i in items]) for k in first}
    if isinstance(first, tuple):
        parts = zip(first, shapes, values, zip(*items, strict=True), strict=True)
        return tuple(_join_padded(join, f, s, v, list(i)) for f, s, v, i in parts)
    return join(shapes, values, *items)
