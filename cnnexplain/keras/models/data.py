"""Batches from arrays, data sets, generators and sequences."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.data.threads import add_note, parallel_map

from .. import config, tree
from ..utils.packing import unpack_x_y_sample_weight
from ..utils.py_dataset import PyDataset

_TENSORS = (_core.Tensor, _core.Variable)


def _is_iterable_of_batches(x: Any) -> bool:
    if isinstance(x, (np.ndarray, list, tuple, dict, memoryview, *_TENSORS)) or hasattr(x, "__array__"):
        return False
    return (
        hasattr(x, "__next__")
        or hasattr(x, "__iter__")
        or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))
    )


def _to_array(value: Any) -> np.ndarray:
    if isinstance(value, _TENSORS):
        return np.asarray(value)
    array = np.asarray(value)
    if array.dtype == object:
        raise ValueError(
            f"Data must be a rectangular array of numbers. Received: {type(value).__name__} of objects; "
            "convert it by `numpy.stack`."
        )
    return array


def arrays_of(structure: Any) -> Any:
    """A structure of arrays; lists of numbers or of rows are arrays, lists of arrays stay lists."""
    if structure is None:
        return None
    if isinstance(structure, dict):
        return {key: arrays_of(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        if structure and all(
            hasattr(item, "shape") or isinstance(item, (list, tuple, dict)) for item in structure
        ):
            arrays = [
                arrays_of(item) if not hasattr(item, "shape") else _to_array(item) for item in structure
            ]
            if all(hasattr(item, "shape") for item in structure):
                return arrays
            return _to_array(structure) if _rectangular(arrays) else arrays
        return _to_array(structure)
    return _to_array(structure)


def _rectangular(arrays: list) -> bool:
    return all(isinstance(a, np.ndarray) for a in arrays) and len({a.shape for a in arrays}) == 1


def count_of(*structures: Any) -> int:
    """The number of examples; ValueError when the arrays differ."""
    sizes: dict[int, str] = {}
    for name, structure in zip(("x", "y", "sample_weight"), structures, strict=False):
        for array in tree.flatten(structure):
            if array is not None:
                if not array.ndim:
                    raise ValueError(f"`{name}` must have a batch axis. Received: a scalar")
                sizes.setdefault(array.shape[0], f"{name}: {array.shape}")
    if len(sizes) > 1:
        raise ValueError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same number of samples. "
            f"{', '.join(sizes.values())}"
        )
    if not sizes:
        raise ValueError("`x` must hold data. Received: x=None")
    return next(iter(sizes))


def train_validation_split(arrays: tuple, share: float) -> tuple[tuple, tuple]:
    """The first and the last part of each array."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"`validation_split` must be between 0 and 1. Received: validation_split={share}")
    count = count_of(*arrays)
    at = int(count * (1.0 - share))
    if at == 0 or at == count:
        raise ValueError(
            f"Training data contains {count} samples, which is not sufficient to split it into a validation "
            f"and training set as specified by `validation_split={share}`."
        )
    first = tuple(tree.map_structure(lambda a: None if a is None else a[:at], part) for part in arrays)
    last = tuple(tree.map_structure(lambda a: None if a is None else a[at:], part) for part in arrays)
    return first, last


def class_weights(y: Any, class_weight: dict) -> np.ndarray:
    """One weight for each example from its label."""
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"`class_weight` must be a dict {{label: weight}}. Received: class_weight={class_weight!r}"
        )
    labels = np.asarray(y)
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] > 1 else labels[..., 0]
    labels = np.rint(labels).astype(np.int64)
    weights = np.ones(labels.shape, np.float32)
    for label, weight in class_weight.items():
        weights[labels == int(label)] = weight
    return weights


class Batches:
    """An iterable of (x, y, sample_weight), once for each epoch.

    Attributes:
        steps: Batches in an epoch; None: not known before the end.
    """

    steps: int | None = None

    def epoch(self) -> Iterator[tuple[Any, Any, Any]]:
        """The batches of one epoch."""
        raise NotImplementedError

    def epoch_ends(self) -> None:
        """Called after each epoch."""


class ArrayBatches(Batches):
    """Slices of arrays, in random order with `shuffle`, drawn from NumPy's generator."""

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None,
        shuffle: Any,
        class_weight: dict | None,
        steps: int | None,
    ):
        if batch_size is not None and (
            isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size <= 0
        ):
            raise ValueError(f"`batch_size` must be a positive integer. Received: batch_size={batch_size}")
        if class_weight is not None:
            if y is None:
                raise ValueError("`class_weight` needs labels `y`.")
            weights = class_weights(tree.flatten(y)[0], class_weight)
            sample_weight = weights if sample_weight is None else np.asarray(sample_weight) * weights
        if x is None:
            raise ValueError("`x` must hold data. Received: x=None")
        self.count = count_of(x, y, sample_weight)
        if not self.count:
            raise ValueError("`x` must hold at least one example. Received: 0 examples")
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.batch_size = int(batch_size or 32)
        self.shuffle = shuffle
        self.full = -(-self.count // self.batch_size)
        self.steps = self.full if steps is None else min(int(steps), self.full) if steps > 0 else self.full
        self._wanted = steps
        self._next = 0  # batch of the pass that the next epoch begins with
        self._pass_order: np.ndarray | None = None

    def _order(self) -> np.ndarray | None:
        if self.shuffle == "batch":
            batches = np.random.permutation(self.full)
            parts = [
                np.arange(b * self.batch_size, min((b + 1) * self.batch_size, self.count)) for b in batches
            ]
            return np.concatenate(parts)
        return np.random.permutation(self.count) if self.shuffle else None

    def epoch(self) -> Iterator[tuple[Any, Any, Any]]:
        if self._next == 0:
            self._pass_order = self._order()
        order = self._pass_order
        simple = all(
            not isinstance(part, (list, tuple, dict)) for part in (self.x, self.y, self.sample_weight)
        )
        x, y, w = self.x, self.y, self.sample_weight
        # Fewer steps than batches: the next epoch goes on where this one ends, to the end of the pass.
        first = self._next
        last = min(first + (self.steps or 0), self.full)
        for step in range(first, last):
            self._next = (step + 1) % self.full
            begin = step * self.batch_size
            end = min(begin + self.batch_size, self.count)
            chosen: Any = slice(begin, end) if order is None else order[begin:end]
            if simple:
                yield x[chosen], None if y is None else y[chosen], None if w is None else w[chosen]
            else:
                yield tuple(
                    tree.map_structure(lambda a, at=chosen: None if a is None else a[at], part)
                    for part in (x, y, w)
                )


class IterableBatches(Batches):
    """What a data set, a generator or a sequence (`__getitem__` and `__len__`) yields."""

    def __init__(self, source: Any, steps: int | None, class_weight: dict | None, shuffle: bool = False):
        self.source = source
        self.class_weight = class_weight
        self.shuffle = shuffle
        self.endless = hasattr(source, "__next__") and not isinstance(source, PyDataset)
        self._iterator: Any = None
        self.steps = steps
        self._passes = 0
        if steps is None and not self.endless:
            try:
                size = source.num_batches if isinstance(source, PyDataset) else len(source)
            except TypeError:
                size = None
            if size is not None and size >= 0:
                self.steps = size
        self._wanted = steps

    def _items(self) -> Iterator[Any]:
        if isinstance(self.source, PyDataset):
            return self._numbered()
        if hasattr(self.source, "__iter__"):
            return iter(self.source)
        order = np.random.permutation(len(self.source)) if self.shuffle else range(len(self.source))
        return (self.source[int(place)] for place in order)

    def _numbered(self) -> Iterator[Any]:
        """The batches of a PyDataset, made by its workers, in order or in a random one."""
        source = self.source
        order: Any = itertools.count() if source.num_batches is None else range(source.num_batches)
        if self.shuffle and source.num_batches is not None:
            order = list(order)
            random.shuffle(order)

        def batch(_: int, index: int) -> Any:
            try:
                return source[index]
            except Exception as error:
                add_note(error, f"in `{type(source).__name__}.__getitem__`, batch {index}")
                raise

        if source.workers > 1:
            self._passes += 1
            return parallel_map(iter(order), batch, source.workers, True, self._passes)
        return (batch(0, index) for index in order)

    def epoch(self) -> Iterator[tuple[Any, Any, Any]]:
        begin = getattr(self.source, "on_epoch_begin", None)
        if callable(begin):
            begin()
        if self._wanted is None:
            self._iterator = None
        if self._iterator is None:
            self._iterator = self._items()
        done = 0
        while self._wanted is None or done < self._wanted:
            try:
                item = next(self._iterator)
            except StopIteration:
                self._iterator = None
                if self._wanted is None or self.endless or done:
                    return  # the next epoch begins with the next pass
                if done == 0 and not hasattr(self.source, "__len__") and not hasattr(self.source, "__iter__"):
                    return
                self._iterator = self._items()
                item = next(self._iterator, None)
                if item is None:
                    return
            except BaseException:
                self._iterator = None
                raise
            x, y, w = unpack_x_y_sample_weight(item)
            if self.class_weight is not None and y is not None:
                weights = class_weights(y, self.class_weight)
                w = weights if w is None else np.asarray(w) * weights
            done += 1
            try:
                yield x, y, w
            except GeneratorExit:
                self._iterator = None  # ends the threads that make the next batches
                raise

    def epoch_ends(self) -> None:
        end = getattr(self.source, "on_epoch_end", None)
        if callable(end):
            end()


def batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: Any = False,
    class_weight: dict | None = None,
    steps: int | None = None,
) -> Batches:
    """The batches of arrays, data sets, generators or sequences."""
    if steps is not None and (
        isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps == 0 or steps < -1
    ):
        raise ValueError(f"`steps` must be a positive integer. Received: steps={steps}")
    steps = None if steps == -1 else steps
    limit = config.max_steps_per_epoch()
    if limit is not None:
        steps = limit if steps is None else min(int(steps), limit)
    if _is_iterable_of_batches(x):
        if y is not None:
            raise ValueError(
                f"When providing `x` as a {type(x).__name__}, `y` should not be passed: the data set yields "
                "(x, y)."
            )
        numbered = isinstance(x, PyDataset) or not hasattr(x, "__iter__")
        return IterableBatches(x, steps, class_weight, bool(shuffle) and numbered)
    return ArrayBatches(
        arrays_of(x), arrays_of(y), arrays_of(sample_weight), batch_size, shuffle, class_weight, steps
    )
