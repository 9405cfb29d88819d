"""Seeds, one-hot labels and unit vectors."""

from __future__ import annotations

import importlib
import random as python_random
from typing import Any

import numpy as np


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, NumPy and this package: initial weights, order and dropout repeat bit for bit.

    Args:
        seed: 0 <= seed < 2^32.

    Raises:
        ValueError: No such integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(
            f"Expected `seed` argument to be an integer. Received: seed={seed} (of type {type(seed)})"
        )
    seed = int(seed)
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be between 0 and 2**32 - 1. Received: seed={seed}")
    from .. import random as keras_random

    python_random.seed(seed)
    np.random.seed(seed)
    keras_random.reset_global_seed_generator(seed)
    try:
        set_seed = importlib.import_module("cnnexplain.random").set_seed
    except (ImportError, AttributeError):
        return
    set_seed(seed)


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """One-hot rows for integer labels.

    Args:
        x: Labels (n,) or (n, 1), 0 <= label < num_classes.
        num_classes: Number of classes; None: the largest label + 1.

    Returns:
        (n, num_classes) float array of 0 and 1.

    Raises:
        ValueError: A label out of range.

    >>> to_categorical([0, 2], 3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    labels = np.asarray(x).astype(np.int64)
    shape = labels.shape
    if shape and shape[-1] == 1 and len(shape) > 1:
        shape = shape[:-1]
    labels = labels.reshape(-1)
    if num_classes is None:
        num_classes = int(labels.max()) + 1 if labels.size else 0
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        bad = labels[(labels < 0) | (labels >= num_classes)][0]
        raise ValueError(
            f"`x` must hold labels from 0 to num_classes - 1. Received: label {bad}, "
            f"num_classes={num_classes}"
        )
    rows = np.zeros((labels.size, num_classes))
    rows[np.arange(labels.size), labels] = 1
    return rows.reshape((*shape, num_classes))


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """x over its norm along `axis`; zeros stay zeros."""
    array = np.asarray(x, dtype=np.float64 if np.asarray(x).dtype == np.float64 else np.float32)
    norm = np.atleast_1d(np.linalg.norm(array, order, axis))
    norm[norm == 0] = 1
    return array / np.expand_dims(norm, axis)
