"""What every data set is: a function that starts an iteration, and what is known of the elements."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core
from .._convert import number
from ..module import TensorSpec
from .elements import given, map_leaves, shown

INFINITE, UNKNOWN = -1, -2


def at_least(value: Any, name: str, least: int) -> int:
    """An integer argument with a lower bound."""
    found = number(value, name)
    if found < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}. Received: {name}={value}")
    return found


def called(function: Callable, item: Any) -> Any:
    """function of an element; the items of a tuple are its arguments."""
    return function(*item) if isinstance(item, tuple) and not hasattr(item, "_fields") else function(item)


class ElementIterator:
    """One iteration over a data set."""

    def __init__(self, dataset: Pipeline):
        self._dataset = dataset
        self._items = dataset._items()

    def __iter__(self) -> ElementIterator:
        return self

    def __next__(self) -> Any:
        return shown(next(self._items))

    def get_next(self) -> Any:
        """The next element.

        Raises:
            StopIteration: there is none.
        """
        return next(self)

    @property
    def element_spec(self) -> Any:
        """The data set's."""
        return self._dataset.element_spec


class Pipeline:
    """A sequence of elements.

    Args:
        make: A function that starts an iteration over the elements; over row numbers when there are rows.
        count: How many elements; -1 for no end, -2 for unknown.
        rows: A structure of arrays whose rows are the elements. Steps that only choose and order rows
            then move numbers, and `batch` reads whole blocks.
        partial: The first dimension differs between the elements, as that of a last batch does.
        spec: What an element looks like, when it is known.
    """

    _batch_size: int | None = None  # of the result of `batch`

    def __init__(
        self,
        make: Callable[[], Iterator[Any]],
        count: int,
        rows: Any = None,
        partial: bool = False,
        spec: Any = None,
    ):
        self._make = make
        self._count = count
        self._rows = rows
        self._partial = partial
        self._spec = spec

    def _new(self, make: Callable[[], Iterator[Any]], count: int, **known: Any) -> Any:
        """A data set of other elements."""
        return type(self)(make, count, **known)

    def _chosen(self, make: Callable[[], Iterator[Any]], count: int) -> Any:
        """A data set of these elements in another order or number."""
        return type(self)(make, count, self._rows, self._partial, self._spec)

    def _counted(self, make: Callable[[int], Iterator[Any]]) -> Callable[[], Iterator[Any]]:
        """The start of an iteration that is told which one it is."""
        numbers = itertools.count()
        return lambda: make(next(numbers))

    def _items(self) -> Iterator[Any]:
        if self._rows is None:
            return self._make()
        rows = self._rows
        return (map_leaves(lambda leaf, i=i: leaf[i], rows) for i in self._make())

    def __iter__(self) -> ElementIterator:
        return ElementIterator(self)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements as NumPy arrays."""
        return (
            map_leaves(lambda leaf: leaf if isinstance(leaf, (str, bytes)) else np.array(leaf)[()], i)
            for i in self._items()
        )

    def cardinality(self) -> Any:
        """How many elements: a tensor; -1 for no end, -2 for unknown."""
        return _core.tensor(self._count, "int64")

    def __len__(self) -> int:
        if self._count == INFINITE:
            raise TypeError("the dataset has no end")
        if self._count == UNKNOWN:
            raise TypeError("the dataset's length is not known")
        return self._count

    def __bool__(self) -> bool:
        return True

    @property
    def element_spec(self) -> Any:
        """A `TensorSpec` for each part of an element; reads the first one where it is not known."""
        if self._spec is None:
            first = next(self._items(), None)
            if first is None:
                raise ValueError("an empty dataset does not show what its elements look like")

            def describe(leaf: Any) -> Any:
                if isinstance(leaf, (str, bytes, Pipeline)):
                    return type(leaf)
                shape = np.shape(leaf)
                if self._partial and shape:
                    shape = (None, *shape[1:])
                array = np.asarray(leaf)
                return TensorSpec(shape, given(array).dtype) if array.dtype.kind not in "OUS" else str

            self._spec = map_leaves(describe, first)
        return self._spec

    def __repr__(self) -> str:
        count = {INFINITE: "infinite", UNKNOWN: "unknown"}.get(self._count, self._count)
        return f"<Dataset of {count} elements>"
