"""One data set as two."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from cnnexplain import data as tf_data
from cnnexplain.data.elements import joined, kept


def _samples(dataset: Any) -> list[Any]:
    if isinstance(dataset, tf_data.Dataset):
        single = dataset.unbatch() if dataset._batch_size else dataset
        return list(single._items())
    if isinstance(dataset, np.ndarray):
        return list(dataset)
    if isinstance(dataset, (list, tuple)):
        for place, array in enumerate(dataset):
            if not isinstance(array, np.ndarray) or not array.ndim or len(array) != len(dataset[0]):
                raise ValueError(
                    "`dataset` must be a list of arrays of one length. Received: "
                    f"{getattr(array, 'shape', type(array).__name__)} at index {place}"
                )
        return list(zip(*dataset, strict=True))
    raise TypeError(
        "`dataset` must be a `data.Dataset`, an array, or a list or tuple of arrays. "
        f"Received: dataset of type {type(dataset).__name__}"
    )


def _size(value: Any, name: str, total: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` must be an integer, a float or None. Received: {name}={value!r}")
    if not 0 < value < (1 if isinstance(value, float) else total):
        raise ValueError(
            f"`{name}` must be an integer from 1 to {total - 1} or a float between 0 and 1. "
            f"Received: {name}={value}"
        )
    return round(value * total) if isinstance(value, float) else value


def split_dataset(
    dataset: Any,
    left_size: int | float | None = None,
    right_size: int | float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Two data sets: the first and the last examples of one, which must fit into memory.

    Args:
        dataset: A `data.Dataset`, an array, or a list or tuple of arrays of one length.
        left_size, right_size: Numbers of examples, or shares of them; None: what the other leaves.
        shuffle: Whether the examples are put into random order before.
        seed: Of the order.
        preferred_backend: None or "tensorflow".

    Returns:
        (left, right), batched as `dataset` was.

    Raises:
        ValueError: the sizes do not fit, or there are no examples.

    >>> import numpy as np
    >>> left, right = split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), len(right)
    (8, 2)
    """
    if preferred_backend not in (None, "tensorflow"):
        raise ValueError(
            "`preferred_backend` must be None or 'tensorflow'. "
            f"Received: preferred_backend={preferred_backend!r}"
        )
    if left_size is None and right_size is None:
        raise ValueError("`left_size` or `right_size` must be given. Received: None for both")
    samples = _samples(dataset)
    total = len(samples)
    if not total:
        raise ValueError("`dataset` must hold examples. Received: an empty data set")
    if shuffle:
        random.seed(random.randint(0, int(1e6)) if seed is None else seed)
        random.shuffle(samples)
    left, right = _size(left_size, "left_size", total), _size(right_size, "right_size", total)
    left = total - (right or 0) if left is None else left
    right = total - left if right is None else right
    if left + right > total or not left or not right:
        raise ValueError(
            f"`left_size` and `right_size` must divide {total} examples into two parts that are not empty. "
            f"Received: left_size={left_size}, right_size={right_size}"
        )
    parts = []
    for chosen in (samples[:left], samples[-right:]):
        part = tf_data.Dataset.from_tensor_slices(joined([kept(sample) for sample in chosen]))
        if isinstance(dataset, tf_data.Dataset) and dataset._batch_size:
            part = part.batch(dataset._batch_size)
        parts.append(part)
    return parts[0], parts[1]
