"""Values with mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from ... import config
from ..base import Layer, real_input
from ..description import policy
from .encoding import batches


class Normalization(Layer):
    """(x - mean) / sqrt(variance), with given statistics or those that `adapt` computes.

    Args:
        axis: The axes with statistics of their own; None: one mean and variance for everything.
        mean, variance: Given statistics, for the axes or for everything.
        invert: Whether the opposite is computed: x * sqrt(variance) + mean.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.Normalization()
    >>> layer.adapt(keras.ops.array([[0.0, 1.0], [2.0, 5.0]]))
    >>> layer([[0.0, 5.0]]).numpy().tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.axis = () if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        self.supports_masking = True
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. "
                f"Received: mean={mean} and variance={variance}"
            )
        if np.shape(mean) != np.shape(variance):
            raise ValueError(
                "When setting values directly, `mean` and `variance` must have the same shape. Received: "
                f"mean shape {np.shape(mean)} and variance shape {np.shape(variance)}"
            )
        if mean is not None and len(np.shape(mean)) > len(self.axis):
            raise ValueError(
                "The rank of `mean` must be less than or equal to the number of axes "
                f"({len(self.axis)}). Received: mean shape {np.shape(mean)} for axis {self.axis}"
            )

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(
                "All `axis` values must be in the range [-ndim, ndim). Received inputs with "
                f"ndim={rank}, while axis={self.axis}"
            )
        self._kept = sorted(axis % rank for axis in self.axis)
        if any(input_shape[axis] is None for axis in self._kept):
            raise ValueError(
                "All `axis` values to be kept must have a known shape. Received "
                f"axis={self.axis}, inputs.shape={tuple(input_shape)}"
            )
        self._broadcast = [int(input_shape[k]) if k in self._kept else 1 for k in range(rank)]
        shape = tuple(int(input_shape[k]) for k in self._kept)
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(
                name="variance", shape=shape, initializer="ones", trainable=False
            )
            self.count = self.add_weight(
                name="count", shape=(), initializer="zeros", trainable=False, dtype="int32"
            )

    def adapt(self, data: Any) -> None:
        """Sets the statistics to those of the data.

        Args:
            data: An array, or batches: a data set, a list of arrays, a generator; of tuples the first part.
        """
        from cnnexplain.data import Dataset

        total, mean, variance = 0, np.zeros(()), np.zeros(())
        for part in batches(data):
            batch = np.asarray(part[0] if isinstance(part, tuple) else part).astype(np.float64)
            if isinstance(data, Dataset) and batch.ndim == 1:
                batch = batch[None]
            if not self.built:
                self.build((None, *batch.shape[1:]) if 0 not in self._axes(batch.ndim) else batch.shape)
            self._check(batch.shape)
            if not batch.size:
                continue
            axes = tuple(k for k in range(batch.ndim) if k not in self._kept)
            count = int(np.prod([batch.shape[k] for k in axes]))
            total += count
            share = count / total if total else 0.0
            step = batch.mean(axis=axes) - mean
            spread = batch.var(axis=axes) - variance
            variance = variance + share * spread + share * (1 - share) * step**2
            mean = mean + share * step
        if not total:
            raise ValueError(
                "adapt() received no data. Pass an array, or an iterable with at least one batch."
            )
        self.adapt_mean.assign(np.asarray(mean, self.dtype))
        self.adapt_variance.assign(np.asarray(variance, self.dtype))

    def _axes(self, rank: int) -> set[int]:
        return {axis % rank for axis in self.axis if rank}

    def _check(self, shape: tuple[int, ...]) -> None:
        if self.input_mean is not None:
            raise ValueError("`adapt` is for layers without given `mean` and `variance`.")
        good = len(shape) == len(self._broadcast)
        if not good or any(shape[axis] != self._broadcast[axis] for axis in self._kept):
            raise ValueError(
                f"The layer was built for statistics of shape {tuple(self._broadcast)}, but adapt() is being "
                f"called with data with an incompatible shape, data.shape={shape}"
            )

    def finalize_state(self) -> None:
        """Nothing is left to do after `adapt`."""

    def _statistic(self, given: Any, variable: str) -> Any:
        if not self.built:
            return None
        if given is None:
            return _core.reshape(getattr(self, variable), shape=self._broadcast)
        array = np.asarray(given, self.dtype)
        if array.ndim:
            shape = [1] * len(self._broadcast)
            for size, axis in zip(array.shape, self._kept[-array.ndim :], strict=True):
                shape[axis] = size
            array = array.reshape(shape)
        return _core.tensor(np.ascontiguousarray(np.broadcast_to(array, self._broadcast)))

    @property
    def mean(self) -> Any:
        """The mean, in a shape that broadcasts to the inputs; None before the layer is built."""
        return self._statistic(self.input_mean, "adapt_mean")

    @property
    def variance(self) -> Any:
        """The variance, likewise."""
        return self._statistic(self.input_variance, "adapt_variance")

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        spread = _core.maximum(_core.sqrt(self.variance), config.epsilon())
        if self.invert:
            return _core.add(self.mean, _core.multiply(x, spread))
        return _core.divide(_core.subtract(x, self.mean), spread)

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": policy(self.dtype),
            "axis": self.axis,
            "mean": np.array(self.input_mean).tolist(),
            "variance": np.array(self.input_variance).tolist(),
            "invert": self.invert,
        }
