"""Datasets: sequences of elements that are made when they are asked for.

An element is a tensor, or a tuple or dictionary of them. Datasets are immutable; every method gives a new
one, and every iteration starts again. Strings stay Python strings: a list of file names makes a dataset of
`str`.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import _core, _names
from ._convert import dtype_name, number
from ._elements import given, joined, kept, leaves, map_leaves, shown
from .module import TensorSpec

AUTOTUNE = -1
INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2
experimental = SimpleNamespace(
    AUTOTUNE=AUTOTUNE,
    INFINITE_CARDINALITY=-1,
    UNKNOWN_CARDINALITY=-2,
    cardinality=lambda dataset: dataset.cardinality(),
)

_INFINITE, _UNKNOWN = -1, -2


class Options:
    """Settings of TensorFlow's pipelines: accepted, without effect."""

    def __init__(self) -> None:
        self.__dict__["parts"] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.__dict__["parts"].setdefault(name, Options())

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["parts"][name] = value


def _at_least(value: Any, name: str, least: int) -> int:
    found = number(value, name)
    if found < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}. Received: {name}={value}")
    return found


class Dataset:
    """A sequence of elements; see the module.

    >>> import cnnexplain as tf
    >>> dataset = tf.data.Dataset.from_tensor_slices([1, 2, 3, 4, 5]).map(lambda x: x * x).batch(2)
    >>> [batch.tolist() for batch in dataset.as_numpy_iterator()]
    [[1, 4], [9, 16], [25]]
    """

    def __init__(
        self,
        make: Callable[[], Iterator[Any]],
        count: int,
        rows: Any = None,
        partial: bool = False,
        spec: Any = None,
    ):
        """
        Args:
            make: A function that starts an iteration over the elements; over row numbers when there are rows.
            count: How many elements; -1 for no end, -2 for unknown.
            rows: A structure of arrays whose rows are the elements. Steps that only choose and order rows
                then move numbers, and `batch` reads whole blocks.
            partial: The first dimension differs between the elements, as that of a last batch does.
            spec: What an element looks like, when it is known.
        """
        self._make = make
        self._count = count
        self._rows = rows
        self._partial = partial
        self._spec = spec

    # sources

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> Dataset:
        """The slices along the first axis; tensors in a tuple or dictionary are sliced together."""
        rows = kept(tensors)
        lengths = {len(leaf) if isinstance(leaf, np.ndarray) and leaf.ndim else None for leaf in leaves(rows)}
        if len(lengths) != 1 or None in lengths:
            shapes = [np.shape(leaf) for leaf in leaves(rows)]
            raise ValueError(
                f"`tensors` must have one length along the first axis. Received: shapes {shapes}"
            )
        count = len(leaves(rows)[0])
        return Dataset(lambda: iter(range(count)), count, rows)

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> Dataset:
        """One element."""
        item = kept(tensors)
        return Dataset(lambda: iter([item]), 1)

    @staticmethod
    def from_generator(
        generator: Callable[..., Iterable[Any]],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Any = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """What a generator function yields.

        Args:
            generator: A function, called at the start of every iteration.
            output_types, output_shapes: dtypes and shapes in the structure of an element.
            args: Arguments of the function.
            output_signature: `TensorSpec`s in the structure of an element, instead of the two.
        """
        if not callable(generator):
            raise TypeError(
                f"`generator` must be a function that returns an iterator. Received: {generator!r}"
            )
        spec = output_signature
        if spec is None and output_types is not None:
            if output_shapes is None:
                spec = map_leaves(lambda kind: TensorSpec(None, kind), output_types)
            elif isinstance(output_types, (tuple, dict)):
                spec = _map_types(output_types, output_shapes)
            else:
                spec = TensorSpec(output_shapes, output_types)

        def typed(one: Any, leaf: Any) -> Any:
            array = np.asarray(leaf) if one is None else np.asarray(leaf, dtype_name(one.dtype))
            if one is not None and one.shape is not None and not one.shape.is_compatible_with(array.shape):
                raise ValueError(
                    f"the generator must yield shape {tuple(one.shape)}. Received: shape={array.shape}"
                )
            return array

        def make() -> Iterator[Any]:
            for item in generator(*(args or ())):
                if spec is None:
                    yield kept(item)
                else:
                    yield map_leaves(typed, spec, tuple(item) if isinstance(spec, tuple) else item)

        return Dataset(make, _UNKNOWN, spec=spec)

    @staticmethod
    def range(*args: Any, **kwargs: Any) -> Dataset:
        """Whole numbers as Python's range gives them, int64 unless `output_type` says another dtype."""
        kind = dtype_name(kwargs.get("output_type", "int64"))
        numbers = np.arange(*[number(arg, "args") for arg in args]).astype(kind)
        return Dataset.from_tensor_slices(numbers)

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> Dataset:
        """Elements of several datasets together, as long as all have one.

        >>> import cnnexplain as tf
        >>> a, b = tf.data.Dataset.range(2), tf.data.Dataset.range(5, 9)
        >>> [(int(x), int(y)) for x, y in tf.data.Dataset.zip((a, b))]
        [(0, 5), (1, 6)]
        """
        if datasets is None:
            datasets = args[0] if len(args) == 1 and isinstance(args[0], (tuple, dict)) else tuple(args)
        parts = leaves(datasets)
        if not parts or not all(isinstance(part, Dataset) for part in parts):
            raise TypeError(f"`datasets` must be a tuple or dictionary of datasets. Received: {datasets}")

        def make() -> Iterator[Any]:
            iterators = [part._items() for part in parts]
            for items in zip(*iterators, strict=False):
                found = iter(items)
                yield map_leaves(lambda _: next(found), datasets)  # noqa: B023

        counts = [part._count for part in parts]
        known = [count for count in counts if count >= 0]
        count = _UNKNOWN if _UNKNOWN in counts else min(known, default=_INFINITE)
        return Dataset(make, count, partial=any(part._partial for part in parts))

    # iteration

    def _items(self) -> Iterator[Any]:
        if self._rows is None:
            return self._make()
        rows = self._rows
        return (map_leaves(lambda leaf, i=i: leaf[i], rows) for i in self._make())

    def __iter__(self) -> Iterator[Any]:
        return (shown(item) for item in self._items())

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
        if self._count == _INFINITE:
            raise TypeError("the dataset has no end")
        if self._count == _UNKNOWN:
            raise TypeError("the dataset's length is not known")
        return self._count

    def __bool__(self) -> bool:
        return True

    @property
    def element_spec(self) -> Any:
        """`TensorSpec`s of an element; reads the first one where it is not known."""
        if self._spec is None:
            first = next(self._items(), None)
            if first is None:
                raise ValueError("an empty dataset does not show what its elements look like")

            def describe(leaf: Any) -> Any:
                if isinstance(leaf, (str, bytes)):
                    return type(leaf)
                shape = np.shape(leaf)
                if self._partial and shape:
                    shape = (None, *shape[1:])
                array = np.asarray(leaf)
                return TensorSpec(shape, given(array).dtype) if array.dtype.kind not in "OUS" else str

            self._spec = map_leaves(describe, first)
        return self._spec

    def __repr__(self) -> str:
        count = {_INFINITE: "infinite", _UNKNOWN: "unknown"}.get(self._count, self._count)
        return f"<Dataset of {count} elements>"

    # steps that choose and order elements

    def _chosen(self, make: Callable[[], Iterator[Any]], count: int) -> Dataset:
        return Dataset(make, count, self._rows, self._partial, self._spec)

    def shuffle(
        self,
        buffer_size: Any,
        seed: Any = None,
        reshuffle_each_iteration: bool = True,
        name: str | None = None,
    ) -> Dataset:
        """In random order: each element is drawn from a buffer of the next `buffer_size`.

        Args:
            buffer_size: At least the length of the dataset for a uniform order.
            seed: Repeats the order; without it `tf.random.set_seed` decides.
            reshuffle_each_iteration: False: every iteration has the same order.
        """
        from .random import generator

        size = _at_least(buffer_size, "buffer_size", 1)
        fixed = None if reshuffle_each_iteration is not False else int(generator(seed).integers(1 << 62))

        def make() -> Iterator[Any]:
            dice = generator(seed) if fixed is None else np.random.default_rng(fixed)
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

        return self._chosen(make, self._count)

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

        endless = _INFINITE if self._count else 0
        total = (
            endless if times < 0 else self._count * times if self._count >= 0 else self._count * (times > 0)
        )
        return self._chosen(make, total)

    def take(self, count: Any, name: str | None = None) -> Dataset:
        """The first `count` elements; -1: all."""
        n = number(count, "count")
        if n < 0:
            return self
        total = n if self._count == _INFINITE else min(n, self._count) if self._count >= 0 else _UNKNOWN
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
        step, first = _at_least(num_shards, "num_shards", 1), _at_least(index, "index", 0)
        if first >= step:
            raise ValueError(
                f"`index` must be less than `num_shards`. Received: index={first}, num_shards={step}"
            )
        total = max(self._count - first + step - 1, 0) // step if self._count >= 0 else self._count
        return self._chosen(lambda: itertools.islice(self._make(), first, None, step), total)

    def cache(self, filename: str = "", name: str | None = None) -> Dataset:
        """Keeps the elements in memory when they have been made once. Files are not written."""
        if self._rows is not None:
            return self
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
        """The same dataset: elements are made when they are asked for."""
        return self

    def with_options(self, options: Any, name: str | None = None) -> Dataset:
        """The same dataset."""
        return self

    def options(self) -> Options:
        """Settings without effect."""
        return Options()

    def apply(self, transformation_func: Callable[[Dataset], Dataset], name: str | None = None) -> Dataset:
        """transformation_func of this dataset."""
        return transformation_func(self)

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """These elements, then those of another dataset."""
        counts = (self._count, dataset._count)
        total = _INFINITE if _INFINITE in counts else _UNKNOWN if _UNKNOWN in counts else sum(counts)
        partial = self._partial or dataset._partial
        return Dataset(lambda: itertools.chain(self._items(), dataset._items()), total, partial=partial)

    # steps that change elements

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

        A random function draws anew for every element and iteration. `num_parallel_calls` is accepted.
        """

        def make() -> Iterator[Any]:
            for item in self._items():
                yield kept(_called(map_func, shown(item)))

        return Dataset(make, self._count, partial=self._partial)

    def filter(self, predicate: Callable, name: str | None = None) -> Dataset:
        """The elements for which the predicate holds."""

        def make() -> Iterator[Any]:
            return (item for item in self._items() if bool(_called(predicate, shown(item))))

        count = _INFINITE if self._count == _INFINITE else _UNKNOWN
        return Dataset(make, count, partial=self._partial, spec=self._spec)

    def flat_map(self, map_func: Callable, name: str | None = None) -> Dataset:
        """The elements of the datasets that map_func makes of each element, one after the other."""

        def make() -> Iterator[Any]:
            for item in self._items():
                yield from _called(map_func, shown(item))._items()

        return Dataset(make, _UNKNOWN)

    def interleave(
        self, map_func: Callable, cycle_length: Any = None, block_length: int = 1, **options: Any
    ) -> Dataset:
        """The elements of the datasets that map_func makes, a block of each of `cycle_length` in turn."""
        width = 2 if cycle_length is None or cycle_length < 1 else int(cycle_length)

        def make() -> Iterator[Any]:
            sources = (_called(map_func, shown(item))._items() for item in self._items())
            turn = deque(itertools.islice(sources, width))
            while turn:
                current = turn.popleft()
                block = list(itertools.islice(current, block_length))
                yield from block
                if len(block) == block_length:
                    turn.append(current)
                else:
                    turn.extend(itertools.islice(sources, 1))

        return Dataset(make, _UNKNOWN)

    def enumerate(self, start: Any = 0, name: str | None = None) -> Dataset:
        """Pairs (number, element), counted from `start`."""
        first = number(start, "start")

        def make() -> Iterator[Any]:
            return (
                (np.int64(i), item) for i, item in zip(itertools.count(first), self._items(), strict=False)
            )

        return Dataset(make, self._count)

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
        n = _at_least(batch_size, "batch_size", 1)
        rows = self._rows

        def make() -> Iterator[Any]:
            source = self._make()
            while chunk := list(itertools.islice(source, n)):
                if len(chunk) < n and drop_remainder:
                    return
                if rows is None:
                    yield joined(chunk)
                elif chunk[-1] - chunk[0] == len(chunk) - 1 and all(
                    a < b for a, b in itertools.pairwise(chunk)
                ):
                    yield map_leaves(lambda leaf: leaf[chunk[0] : chunk[-1] + 1], rows)  # noqa: B023
                else:
                    yield map_leaves(lambda leaf: leaf[chunk], rows)  # noqa: B023

        total = (
            self._count if self._count < 0 else (self._count if drop_remainder else self._count + n - 1) // n
        )
        return Dataset(make, total, partial=not drop_remainder)

    def unbatch(self, name: str | None = None) -> Dataset:
        """The slices of each element along its first axis."""

        def make() -> Iterator[Any]:
            for item in self._items():
                for i in range(len(leaves(item)[0])):
                    yield map_leaves(lambda leaf: leaf[i], item)  # noqa: B023

        return Dataset(make, _INFINITE if self._count == _INFINITE else _UNKNOWN)

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


def _called(function: Callable, item: Any) -> Any:
    return function(*item) if isinstance(item, tuple) and not hasattr(item, "_fields") else function(item)


def _map_types(types: Any, shapes: Any) -> Any:
    """Specs of dtypes and shapes; a shape may be a tuple itself, so the dtypes give the structure."""
    if isinstance(types, dict):
        return {key: _map_types(types[key], shapes[key]) for key in types}
    if isinstance(types, tuple):
        return tuple(_map_types(kind, shape) for kind, shape in zip(types, shapes, strict=True))
    return TensorSpec(shapes, types)


__all__ = _names.defined(__name__) + [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "experimental",
]
__getattr__ = _names.missing(__name__)
