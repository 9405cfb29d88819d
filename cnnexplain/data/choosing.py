"""Steps of a data set that choose and order its elements."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .._convert import number
from ..random import order
from .elements import shown
from .pipeline import INFINITE, UNKNOWN, Pipeline, at_least, called
from .threads import prefetched

if TYPE_CHECKING:
    from . import Dataset


class Choosing(Pipeline):
    """The steps that leave the elements as they are."""

    def shuffle(
        self,
        buffer_size: Any,
        seed: Any = None,
        reshuffle_each_iteration: bool | None = True,
        name: str | None = None,
    ) -> Dataset:
        """In random order: each element is drawn from a buffer of the next `buffer_size`.

        Args:
            buffer_size: At least the length of the dataset for a uniform order.
            seed: Repeats the order, and orders several datasets alike; without it `tf.random.set_seed`
                decides.
            reshuffle_each_iteration: False: every iteration has the same order.
        """
        size = at_least(buffer_size, "buffer_size", 1)
        fixed = seed
        if seed is None and reshuffle_each_iteration is False:
            fixed = int(order(None, 0).integers(1 << 62))

        def make(iteration: int) -> Iterator[Any]:
            dice = order(fixed, 0 if reshuffle_each_iteration is False else iteration)
            buffer: list[Any] = []
            for item in self._make():
                if len(buffer) < size:
                    buffer.append(item)
                    continue
                place = int(dice.integers(size))
                buffer[place], item = item, buffer[place]
                yield item
            dice.shuffle(buffer)
            yield from buffer

        return self._chosen(self._counted(make), self._count)

    def repeat(self, count: Any = None, name: str | None = None) -> Dataset:
        """Again and again; without a count for ever."""
        times = -1 if count is None else number(count, "count")

        def make() -> Iterator[Any]:
            for _ in itertools.count() if times < 0 else range(times):
                empty = True
                for item in self._make():
                    empty = False
                    yield item
                if empty:
                    return

        endless = INFINITE if self._count else 0
        total = (
            endless if times < 0 else self._count * times if self._count >= 0 else self._count * (times > 0)
        )
        return self._chosen(make, total)

    def take(self, count: Any, name: str | None = None) -> Dataset:
        """The first `count` elements; -1: all."""
        n = number(count, "count")
        if n < 0:
            return cast("Dataset", self)
        total = n if self._count == INFINITE else min(n, self._count) if self._count >= 0 else UNKNOWN
        return self._chosen(lambda: itertools.islice(self._make(), n), total)

    def skip(self, count: Any, name: str | None = None) -> Dataset:
        """Without the first `count` elements; -1: without all."""
        n = number(count, "count")
        if n < 0:
            return self._chosen(lambda: iter(()), 0)
        total = max(self._count - n, 0) if self._count >= 0 else self._count
        return self._chosen(lambda: itertools.islice(self._make(), n, None), total)

    def shard(self, num_shards: Any, index: Any, name: str | None = None) -> Dataset:
        """Every num_shards-th element, starting at `index`."""
        step, first = at_least(num_shards, "num_shards", 1), at_least(index, "index", 0)
        if first >= step:
            raise ValueError(
                f"`index` must be less than `num_shards`. Received: index={first}, num_shards={step}"
            )
        total = max(self._count - first + step - 1, 0) // step if self._count >= 0 else self._count
        return self._chosen(lambda: itertools.islice(self._make(), first, None, step), total)

    def filter(self, predicate: Callable, name: str | None = None) -> Dataset:
        """The elements for which the predicate holds."""

        def make() -> Iterator[Any]:
            return (item for item in self._items() if bool(called(predicate, shown(item))))

        count = INFINITE if self._count == INFINITE else UNKNOWN
        return self._new(make, count, partial=self._partial, spec=self._spec)

    def take_while(self, predicate: Callable, name: str | None = None) -> Dataset:
        """The elements before the first for which the predicate does not hold."""

        def make() -> Iterator[Any]:
            return itertools.takewhile(lambda item: bool(called(predicate, shown(item))), self._items())

        return self._new(make, UNKNOWN, partial=self._partial, spec=self._spec)

    def unique(self, name: str | None = None) -> Dataset:
        """Each of the elements, which are scalars or text, when it comes for the first time."""

        def make() -> Iterator[Any]:
            seen = set()
            for item in self._items():
                key = item if isinstance(item, (str, bytes)) else np.asarray(item).item()
                if key not in seen:
                    seen.add(key)
                    yield item

        return self._new(make, UNKNOWN, spec=self._spec)

    def cache(self, filename: str = "", name: str | None = None) -> Dataset:
        """Keeps the elements in memory when they have been made once. Files are not written."""
        if self._rows is not None:
            return cast("Dataset", self)
        kept: list[Any] = []
        done = [False]

        def make() -> Iterator[Any]:
            if done[0]:
                yield from kept
                return
            found = []
            for item in self._make():
                found.append(item)
                yield item
            kept[:], done[0] = found, True

        return self._chosen(make, self._count)

    def prefetch(self, buffer_size: Any, name: str | None = None) -> Dataset:
        """The same elements; when they are slow to make, a thread makes the next ones meanwhile.

        Args:
            buffer_size: How many are made ahead; AUTOTUNE: 2.
        """
        size = number(buffer_size, "buffer_size")
        if size == 0 or self._rows is not None:
            return cast("Dataset", self)
        size = 2 if size < 0 else size
        return self._chosen(
            self._counted(lambda iteration: prefetched(self._make(), size, iteration)), self._count
        )

    def concatenate(self, dataset: Any, name: str | None = None) -> Dataset:
        """These elements, then those of another dataset."""
        counts = (self._count, dataset._count)
        total = INFINITE if INFINITE in counts else UNKNOWN if UNKNOWN in counts else sum(counts)
        partial = self._partial or dataset._partial
        return self._new(lambda: itertools.chain(self._items(), dataset._items()), total, partial=partial)

    def apply(self, transformation_func: Callable[[Any], Any]) -> Dataset:
        """transformation_func of this dataset."""
        return transformation_func(self)

    def get_single_element(self, name: str | None = None) -> Any:
        """The one element.

        Raises:
            ValueError: there are none or several.
        """
        found = list(itertools.islice(iter(self), 2))
        if len(found) != 1:
            raise ValueError(
                f"the dataset must have one element. Received: {'several' if found else 'an empty dataset'}"
            )
        return found[0]
