"""Whole numbers and bins as vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import reshape_to

from ...convert import as_tensor
from .. import arguments
from ..base import Layer

MODES = ("one_hot", "multi_hot", "count")


def encoded(x: Any, mode: str, depth: int, dtype: str, weights: Any = None) -> Any:
    """Numbers in [0, depth) as vectors of that length; others are vectors of zeros.

    "one_hot" makes one of each number (a last axis of size 1 is dropped), "multi_hot" and "count" one of
    the numbers along the last axis.
    """
    shape = list(x.shape)
    if not shape:
        x, shape = _core.reshape(x, shape=[1]), [1]
    if mode == "one_hot" and len(shape) > 1 and shape[-1] == 1:
        x = reshape_to(x, shape[:-1])
    vectors = _core.one_hot(_core.cast(x, dtype="int64"), depth=depth, dtype=dtype)
    if mode == "one_hot":
        return vectors
    if weights is not None:
        weights = _core.cast(as_tensor(weights), dtype=dtype)
        vectors = _core.multiply(vectors, reshape_to(weights, [*weights.shape, 1]))
    axis = len(shape) - 1
    if mode == "count":
        return _core.reduce_sum(vectors, axis=[axis])
    return _core.reduce_max(vectors, axis=[axis])


def _dense(sparse: bool) -> bool:
    if sparse:
        raise ValueError("`sparse=True` is not offered: tensors are dense. Received: sparse=True")
    return False


class CategoryEncoding(Layer):
    """Classes as vectors.

    Args:
        num_tokens: How many classes there are.
        output_mode: "one_hot": a vector for each number; "multi_hot": 1 for each class along the last axis;
            "count": how often each occurs.
        sparse: False.

    >>> from cnnexplain import keras
    >>> keras.layers.CategoryEncoding(4, output_mode="count")([[0, 1, 1], [2, 2, 2]]).numpy().tolist()
    [[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]]
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if output_mode not in MODES:
            raise ValueError(f"`output_mode` must be one of {MODES}. Received: output_mode={output_mode}")
        if num_tokens is None:
            raise ValueError("`num_tokens` must be set to use this layer. Received: num_tokens=None")
        arguments.integers((num_tokens,), 1, "num_tokens")
        self.num_tokens = num_tokens
        self.output_mode = output_mode
        self.sparse = _dense(sparse)

    @property
    def _fits_inputs(self) -> bool:
        return True

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                "`count_weights` is not used when `output_mode` is not `'count'`. Received "
                f"`count_weights={count_weights}`."
            )
        x = as_tensor(inputs)
        if not isinstance(x, _core.Symbol):
            values = np.asarray(x)
            if values.size and (values.min() < 0 or values.max() >= self.num_tokens):
                raise ValueError(
                    f"Input values must be in [0, num_tokens), num_tokens={self.num_tokens}. Received: "
                    f"values from {values.min()} to {values.max()}"
                )
        return encoded(x, self.output_mode, self.num_tokens, self.dtype, count_weights)

    def get_config(self) -> dict:
        settings = super().get_config()
        settings.pop("sparse")
        return settings


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """(2, cells): upper ends of equally full cells, and how many values each holds."""
    ordered = np.sort(values.ravel())
    step = max(ordered.size * epsilon, 1)
    ends = ordered[int(step - 1) :: int(step)]
    return np.stack([ends, np.full_like(ends, step)])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary of at most 1 / epsilon cells."""
    if summary.shape[1] * epsilon < 1:
        return summary
    percents = epsilon + np.arange(0.0, 1.0, epsilon)
    totals = summary[1].cumsum()
    ends = np.interp(percents, totals / totals[-1], summary[0])
    totals = np.interp(percents, totals / totals[-1], totals)
    return np.stack([ends, np.diff(totals, prepend=0)]).astype("float32")


class Discretization(Layer):
    """Numbers as the bins that they lie in: bin k from boundary k - 1 on and below boundary k.

    Args:
        bin_boundaries: The boundaries in order; bins are one more.
        num_bins: Instead, how many bins `adapt` shall make, about equally full.
        epsilon: Largest error of `adapt`, as a share of the values.
        output_mode: "int" gives the bins' numbers, else as for `CategoryEncoding`.
        sparse: False.

    >>> from cnnexplain import keras
    >>> keras.layers.Discretization([0.0, 1.0, 2.0])([-1.5, 1.0, 3.4, 0.5]).numpy().tolist()
    [0, 2, 3, 1]
    """

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if output_mode not in ("int", *MODES):
            raise ValueError(
                f"`output_mode` must be one of {('int', *MODES)}. Received: output_mode={output_mode}"
            )
        if num_bins is not None and num_bins < 0:
            raise ValueError(f"`num_bins` must be greater than or equal to 0. Received: num_bins={num_bins}")
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(
                "Both `num_bins` and `bin_boundaries` should not be set. Received: "
                f"num_bins={num_bins} and bin_boundaries={bin_boundaries}"
            )
        if num_bins is None and bin_boundaries is None:
            raise ValueError("You need to set either `num_bins` or `bin_boundaries`.")
        self.bin_boundaries = bin_boundaries
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = _dense(sparse)
        self.reset_state()

    def reset_state(self) -> None:
        """Forgets the data that `update_state` saw."""
        self.summary = np.array([[], []], dtype="float32")

    def update_state(self, data: Any) -> None:
        """Adds data to what the bins are made from."""
        found = _summary(np.asarray(data).astype("float32"), self.epsilon)
        merged = np.concatenate([found, self.summary], axis=1)
        self.summary = _compressed(merged[:, np.argsort(merged[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Makes the boundaries from the data so far."""
        if self.num_bins is not None:
            found = _compressed(self.summary, 1.0 / self.num_bins)
            self.bin_boundaries = [float(end) for end in found[0, :-1]]

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Makes `num_bins` bins that are about equally full.

        Args:
            data: An array, or batches: a data set, a generator.
            steps: How many batches are taken at most.
        """
        if self.num_bins is None:
            raise ValueError(
                "Cannot adapt a Discretization layer that has been initialized with `bin_boundaries`, use "
                "`num_bins` instead."
            )
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    @property
    def _fits_inputs(self) -> bool:
        return True

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise ValueError(
                "You need to either pass the `bin_boundaries` argument at construction time or call "
                "`adapt(dataset)` before you can start using the `Discretization` layer."
            )
        x = as_tensor(inputs)
        x = x if x.dtype.is_floating else _core.cast(x, dtype=self.dtype)
        edges = _core.tensor(np.asarray(list(self.bin_boundaries), x.dtype.name))
        wide = _core.reshape(x, shape=[1]) if not x.shape else reshape_to(x, [*x.shape, 1])
        above = _core.cast(_core.greater_equal(wide, edges), dtype="int32")
        bins = _core.reduce_sum(above, axis=[-1])
        if self.output_mode == "int":
            return bins
        return encoded(bins, self.output_mode, len(self.bin_boundaries) + 1, self.dtype)

    def get_config(self) -> dict:
        keys = ("bin_boundaries", "num_bins", "epsilon", "output_mode", "sparse", "name", "dtype")
        return {key: getattr(self, key) for key in keys}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        settings = dict(config)
        adapted = settings.pop("bin_boundaries", None) if settings.get("num_bins") is not None else None
        layer = super().from_config(settings)
        if adapted is not None:
            layer.bin_boundaries = adapted
        return layer


def batches(data: Any, steps: int | None = None) -> Any:
    """The batches of a data set or generator, at most `steps` of them; an array is one batch."""
    if hasattr(data, "shape") or not hasattr(data, "__iter__"):
        yield data
        return
    if isinstance(data, (list, tuple)) and data and not any(hasattr(item, "shape") for item in data):
        yield np.asarray(data)
        return
    for place, batch in enumerate(data):
        if steps is not None and place >= steps:
            return
        yield batch
