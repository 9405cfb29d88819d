"""Steps of a data set that make other elements of its elements."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._convert import number
from .choosing import Choosing
from .elements import joined, kept, leaves, map_leaves, padded, shown
from .pipeline import INFINITE, UNKNOWN, at_least, called
from .threads import add_note, parallel_map, width_of

if TYPE_CHECKING:
    from . import Dataset


class Transforming(Choosing):
    """The steps that call functions, join elements and take them apart."""

    def map(
        self,
        map_func: Callable,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        synchronous: bool | None = None,
        use_unbounded_threadpool: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """map_func of each element; the items of a tuple are its arguments.

        A random function draws anew for every element and iteration.

        Args:
            map_func: A function of tensors, called for every element.
            num_parallel_calls: How many threads call it when it is slow; AUTOTUNE: one for each processor.
            deterministic: False: the elements come in the order in which they are ready.

        Raises:
            Exception: the function's own, with a note that names the element's index.
        """
        if not callable(map_func):
            raise TypeError(f"`map_func` must be a function. Received: map_func={map_func!r}")
        width = width_of(
            None if num_parallel_calls is None else number(num_parallel_calls, "num_parallel_calls")
        )

        def call(index: int, item: Any) -> Any:
            try:
                return kept(called(map_func, shown(item)))
            except Exception as error:
                add_note(error, f"in `map_func`, element {index} of the dataset")
                raise

        def make(iteration: int) -> Iterator[Any]:
            if width > 1:
                return parallel_map(self._items(), call, width, deterministic is not False, iteration)
            return itertools.starmap(call, enumerate(self._items()))

        return self._new(self._counted(make), self._count, partial=self._partial)

    def flat_map(self, map_func: Callable, name: str | None = None) -> Dataset:
        """The elements of the datasets that map_func makes of each element, one after the other."""

        def make() -> Iterator[Any]:
            for item in self._items():
                yield from _dataset_of(map_func, item)._items()

        return self._new(make, UNKNOWN)

    def interleave(
        self,
        map_func: Callable,
        cycle_length: Any = None,
        block_length: Any = None,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """The elements of the datasets that map_func makes, a block of each of `cycle_length` in turn."""
        width = 2 if cycle_length is None or cycle_length < 1 else int(cycle_length)
        block = 1 if block_length is None else at_least(block_length, "block_length", 1)

        def make() -> Iterator[Any]:
            sources = (_dataset_of(map_func, item)._items() for item in self._items())
            turn = deque(itertools.islice(sources, width))
            while turn:
                current = turn.popleft()
                items = list(itertools.islice(current, block))
                yield from items
                if len(items) == block:
                    turn.append(current)
                else:
                    turn.extend(itertools.islice(sources, 1))

        return self._new(make, UNKNOWN)

    def enumerate(self, start: Any = 0, name: str | None = None) -> Dataset:
        """Pairs (number, element), counted from `start`."""
        first = number(start, "start")

        def make() -> Iterator[Any]:
            return (
                (np.int64(i), item) for i, item in zip(itertools.count(first), self._items(), strict=False)
            )

        return self._new(make, self._count)

    def scan(self, initial_state: Any, scan_func: Callable, name: str | None = None) -> Dataset:
        """The outputs of scan_func(state, element) -> (state, output), starting with initial_state."""

        def make() -> Iterator[Any]:
            state = initial_state
            for item in self._items():
                state, output = scan_func(state, shown(item))
                yield kept(output)

        return self._new(make, self._count)

    def batch(
        self,
        batch_size: Any,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Elements joined along a new first axis, `batch_size` at a time.

        Args:
            batch_size: How many.
            drop_remainder: Leave out a last batch that is smaller.
        """
        rows = self._rows

        def join(chunk: list) -> Any:
            if rows is None:
                return joined(chunk)
            if chunk[-1] - chunk[0] == len(chunk) - 1 and all(a < b for a, b in itertools.pairwise(chunk)):
                return map_leaves(lambda leaf: leaf[chunk[0] : chunk[-1] + 1], rows)
            return map_leaves(lambda leaf: leaf[chunk], rows)

        return self._batches(self._make, batch_size, drop_remainder, join)

    def padded_batch(
        self,
        batch_size: Any,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Elements of several sizes joined along a new first axis, filled up to the greatest.

        Args:
            batch_size: How many.
            padded_shapes: A shape in the structure of an element; None or -1 for the greatest size.
            padding_values: What fills, one number or in the structure of an element. Default 0, or "".
            drop_remainder: Leave out a last batch that is smaller.

        >>> import cnnexplain as tf
        >>> ragged = tf.data.Dataset.range(1, 4).map(lambda n: tf.ones(int(n)))
        >>> ragged.padded_batch(3).get_single_element().numpy().tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
        """
        return self._batches(
            self._items,
            batch_size,
            drop_remainder,
            lambda chunk: padded(chunk, padded_shapes, padding_values),
        )

    def _batches(
        self, start: Callable[[], Iterator[Any]], batch_size: Any, drop_remainder: bool, join: Callable
    ) -> Any:
        n = at_least(batch_size, "batch_size", 1)

        def make() -> Iterator[Any]:
            source = start()
            for batch in itertools.count():
                chunk = list(itertools.islice(source, n))
                if not chunk or (len(chunk) < n and drop_remainder):
                    return
                try:
                    yield join(chunk)
                except ValueError as error:
                    add_note(error, f"in batch {batch} of the dataset")
                    raise

        total = (
            self._count if self._count < 0 else (self._count if drop_remainder else self._count + n - 1) // n
        )
        result = self._new(make, total, partial=not drop_remainder)
        result._batch_size = n
        return result

    def unbatch(self, name: str | None = None) -> Dataset:
        """The slices of each element along its first axis."""

        def make() -> Iterator[Any]:
            for item in self._items():
                for i in range(len(leaves(item)[0])):
                    yield map_leaves(lambda leaf: leaf[i], item)  # noqa: B023

        count = INFINITE if self._count == INFINITE else UNKNOWN
        if self._count >= 0 and self._batch_size and not self._partial:
            count = self._count * self._batch_size
        return self._new(make, count)

    def rebatch(self, batch_size: Any, drop_remainder: bool = False, name: str | None = None) -> Dataset:
        """The slices of the batches in batches of another size."""
        return self.unbatch().batch(batch_size, drop_remainder)

    def window(
        self,
        size: Any,
        shift: Any = None,
        stride: Any = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Data sets of `size` elements each, in the structure of an element.

        Args:
            size: Elements in a window.
            shift: From the start of one window to the next. Default: `size`.
            stride: Between the elements of a window.
            drop_remainder: Leave out windows that are smaller.

        >>> import cnnexplain as tf
        >>> windows = tf.data.Dataset.range(5).window(3, shift=1, drop_remainder=True)
        >>> [w.tolist() for w in windows.flat_map(lambda w: w.batch(3)).as_numpy_iterator()]
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
        """
        n, step = at_least(size, "size", 1), at_least(stride, "stride", 1)
        move = n if shift is None else at_least(shift, "shift", 1)
        reach = (n - 1) * step + 1

        def as_dataset(*part: Any) -> Any:
            return self._new(lambda: iter(part), len(part))

        def make() -> Iterator[Any]:
            source = self._items()
            buffer: deque[Any] = deque(itertools.islice(source, reach))
            while buffer:
                chosen = list(buffer)[::step]
                if len(chosen) == n or not drop_remainder:
                    yield map_leaves(as_dataset, *chosen)
                for _ in range(min(move, len(buffer))):
                    buffer.popleft()
                for _ in itertools.islice(source, max(move - reach, 0)):
                    pass
                buffer.extend(itertools.islice(source, reach - len(buffer)))

        if self._count < 0:
            return self._new(make, self._count)
        short = max(self._count - reach + move, 0) // move
        return self._new(make, short if drop_remainder else -(-self._count // move))

    def reduce(self, initial_state: Any, reduce_func: Callable, name: str | None = None) -> Any:
        """reduce_func(state, element) for each element, starting with initial_state.

        >>> import cnnexplain as tf
        >>> int(tf.data.Dataset.range(4).reduce(0, lambda total, x: total + int(x)))
        6
        """
        state = initial_state
        for item in self:
            state = reduce_func(state, item)
        return state


def _dataset_of(map_func: Callable, item: Any) -> Any:
    found = called(map_func, shown(item))
    if not hasattr(found, "_items"):
        raise TypeError(f"`map_func` must return a dataset. Received: {type(found).__name__}")
    return found
