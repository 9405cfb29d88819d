"""Batches by number, for `fit`."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any


class PyDataset:
    """A data set that gives batches by number: define `__len__` and `__getitem__(self, index) -> (x, y)`.

    Args:
        workers: How many threads call `__getitem__` at a time during `fit`.
        use_multiprocessing: Accepted; threads are used, since the engine computes without Python's lock.
        max_queue_size: How many batches are made ahead, when there is more than one worker.

    >>> from cnnexplain import keras
    >>> import numpy as np
    >>> class Pairs(keras.utils.PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         return np.full((4, 1), index), np.zeros(4)
    >>> [float(x[0, 0]) for x, y in Pairs()]
    [0.0, 1.0]
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self._workers = workers
        self._use_multiprocessing = use_multiprocessing
        self._max_queue_size = max_queue_size

    def _setting(self, name: str, default: Any) -> Any:
        if "_" + name not in self.__dict__:
            warnings.warn(
                f"{type(self).__name__}.__init__ should call `super().__init__(**kwargs)`; its arguments are "
                "`workers`, `use_multiprocessing` and `max_queue_size`.",
                stacklevel=3,
            )
            self.__dict__.setdefault("_workers", 1)
            self.__dict__.setdefault("_use_multiprocessing", False)
            self.__dict__.setdefault("_max_queue_size", 10)
        return self.__dict__.get("_" + name, default)

    @property
    def workers(self) -> int:
        """Threads that call `__getitem__`."""
        return self._setting("workers", 1)

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """Without effect."""
        return self._setting("use_multiprocessing", False)

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        """Batches that are made ahead."""
        return self._setting("max_queue_size", 10)

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = value

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define `__getitem__(self, index)`.")

    def __iter__(self) -> Iterator[Any]:
        try:
            count = self.num_batches
        except NotImplementedError:
            count = None
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None: no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must define `__len__(self)` or `num_batches`.")

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


Sequence = PyDataset
