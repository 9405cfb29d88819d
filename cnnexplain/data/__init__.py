"""Datasets: sequences of elements that are made when they are asked for.

An element is a tensor, or a tuple or dictionary of them. Datasets are immutable; every method gives a new
one, and every iteration starts again. Strings stay Python strings: a list of file names makes a dataset of
`str`.
"""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import _names
from .._convert import dtype_name, number
from ..module import TensorSpec
from .elements import kept, leaves, map_leaves
from .pipeline import INFINITE, UNKNOWN
from .threads import add_note
from .transforming import Transforming

AUTOTUNE = -1
INFINITE_CARDINALITY = INFINITE
UNKNOWN_CARDINALITY = UNKNOWN
_END = object()
experimental = SimpleNamespace(
    AUTOTUNE=AUTOTUNE,
    INFINITE_CARDINALITY=INFINITE,
    UNKNOWN_CARDINALITY=UNKNOWN,
    cardinality=lambda dataset: dataset.cardinality(),
)


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


class Dataset(Transforming):
    """A sequence of elements; see the module.

    >>> import cnnexplain as tf
    >>> dataset = tf.data.Dataset.from_tensor_slices([1, 2, 3, 4, 5]).map(lambda x: x * x).batch(2)
    >>> [batch.tolist() for batch in dataset.as_numpy_iterator()]
    [[1, 4], [9, 16], [25]]
    """

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
            output_signature: a `TensorSpec` for each part of an element, instead of the two.

        Raises:
            ValueError: an element has another shape than was said.
            Exception: the generator's own, with a note that names the element's index.
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
            items = iter(generator(*(args or ())))
            for index in itertools.count():
                try:
                    item: Any = next(items, _END)
                    if item is _END:
                        return
                    if spec is None:
                        element = kept(item)
                    else:
                        element = map_leaves(typed, spec, tuple(item) if isinstance(spec, tuple) else item)
                except Exception as error:
                    add_note(error, f"in `generator`, element {index} of the dataset")
                    raise
                yield element

        return Dataset(make, UNKNOWN, spec=spec)

    @staticmethod
    def list_files(
        file_pattern: Any, shuffle: bool | None = None, seed: Any = None, name: str | None = None
    ) -> Dataset:
        """The names of the files that a pattern matches.

        Args:
            file_pattern: A pattern as `glob` reads it, or several.
            shuffle: Default True: in random order, another one in every iteration. False: sorted.
            seed: Of the order.

        Raises:
            ValueError: no file matches.
        """
        patterns = [file_pattern] if isinstance(file_pattern, (str, bytes, os.PathLike)) else file_pattern
        names = sorted({name for pattern in patterns for name in glob.glob(os.fsdecode(pattern))})
        if not names:
            raise ValueError(f"`file_pattern` must match a file. Received: file_pattern={file_pattern!r}")
        dataset = Dataset.from_tensor_slices(names)
        return dataset.shuffle(len(names), seed) if shuffle in (None, True) else dataset

    @staticmethod
    def range(*args: Any, **kwargs: Any) -> Dataset:
        """Whole numbers as Python's range gives them, int64 unless `output_type` says another dtype."""
        unknown = sorted(set(kwargs) - {"output_type", "name"})
        if unknown:
            raise TypeError(f"range() got unexpected keyword arguments: {unknown}")
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
        count = UNKNOWN if UNKNOWN in counts else min(known, default=INFINITE)
        return Dataset(make, count, partial=any(part._partial for part in parts))

    @staticmethod
    def random(
        seed: Any = None, rerandomize_each_iteration: bool | None = None, name: str | None = None
    ) -> Dataset:
        """Random whole numbers from 0 to 2^32 - 1, without end."""
        from ..random import order

        def make(iteration: int) -> Iterator[Any]:
            dice = order(seed, iteration if rerandomize_each_iteration else 0)
            while True:
                yield np.int64(dice.integers(1 << 32))

        endless: Dataset = Dataset(lambda: iter(()), INFINITE)
        return Dataset(endless._counted(make), INFINITE)

    @staticmethod
    def counter(start: Any = 0, step: Any = 1, dtype: Any = "int64", name: str | None = None) -> Dataset:
        """Whole numbers without end."""
        first, by, kind = number(start, "start"), number(step, "step"), np.dtype(dtype_name(dtype))
        return Dataset(lambda: (np.asarray(k, kind)[()] for k in itertools.count(first, by)), INFINITE)

    @staticmethod
    def sample_from_datasets(
        datasets: Any,
        weights: Any = None,
        seed: Any = None,
        stop_on_empty_dataset: bool = False,
        rerandomize_each_iteration: bool | None = None,
    ) -> Dataset:
        """Elements of several datasets, drawn by chance.

        Args:
            datasets: A list of datasets.
            weights: How often each is drawn. Default: alike.
            seed: Of the draws.
            stop_on_empty_dataset: End with the first that has no more elements, not with the last.
        """
        from ..random import order

        share = np.full(len(datasets), 1.0) if weights is None else np.asarray(weights, np.float64)
        if share.shape != (len(datasets),) or (share < 0).any() or not share.sum() > 0:
            raise ValueError(
                f"`weights` must hold {len(datasets)} numbers of at least 0. Received: weights={weights}"
            )

        def make(iteration: int) -> Iterator[Any]:
            dice = order(seed, iteration if rerandomize_each_iteration else 0)
            sources, left = [dataset._items() for dataset in datasets], share.copy()
            while left.sum() > 0:
                place = int(dice.choice(len(left), p=left / left.sum()))
                try:
                    item = next(sources[place])
                except StopIteration:
                    if stop_on_empty_dataset:
                        return
                    left[place] = 0
                    continue
                yield item

        return Dataset(datasets[0]._counted(make), UNKNOWN)

    def with_options(self, options: Any, name: str | None = None) -> Dataset:
        """The same dataset."""
        return self

    def options(self) -> Options:
        """Settings without effect."""
        return Options()


def _map_types(types: Any, shapes: Any) -> Any:
    """Specs of dtypes and shapes; a shape may be a tuple itself, so the dtypes give the structure."""
    if isinstance(types, dict):
        return {key: _map_types(types[key], shapes[key]) for key in types}
    if isinstance(types, tuple):
        return tuple(_map_types(kind, shape) for kind, shape in zip(types, shapes, strict=True))
    return TensorSpec(shapes, types)


__all__ = ["AUTOTUNE", "Dataset", "INFINITE_CARDINALITY", "Options", "UNKNOWN_CARDINALITY", "experimental"]
__getattr__ = _names.missing(__name__)
