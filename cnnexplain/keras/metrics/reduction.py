"""Weighted sums and means of values, and of functions of (y_true, y_pred)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..losses.base import mask_of
from ..saving.serialization import deserialize_keras_object, serialize_keras_object
from .arrays import as_array, same_rank
from .base import Metric


def _by_example(values: Any, sample_weight: Any, fold: Callable, dtype: str) -> tuple[np.ndarray, Any]:
    """(weighted values, weights), one for each example, further axes folded by `fold`."""
    values = as_array(values, dtype)
    if sample_weight is not None:
        values, weight = same_rank(values, as_array(sample_weight, dtype))
        if values.ndim > weight.ndim:
            values = fold(values, axis=tuple(range(weight.ndim, values.ndim)))
        try:
            weight = np.broadcast_to(weight, values.shape)
        except ValueError:
            raise ValueError(
                "`sample_weight` must have the shape of the values or one that broadcasts to it. Received: "
                f"sample_weight.shape={weight.shape}, values of shape {values.shape}"
            ) from None
        values = values * weight
        sample_weight = fold(weight, axis=tuple(range(1, weight.ndim))) if weight.ndim > 1 else weight
    if values.ndim > 1:
        values = fold(values, axis=tuple(range(1, values.ndim)))
    return values, sample_weight


class Sum(Metric):
    """The weighted sum of what it was given.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.Sum()
    >>> m.update_state([1.0, 3.0])
    >>> float(m.result())
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = _by_example(values, sample_weight, np.sum, self.dtype)
        self.total.assign_add(values.sum())

    def result(self) -> Any:
        return self._tensor(self.total)


class Mean(Metric):
    """The weighted mean of what it was given.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.Mean()
    >>> m.update_state([1.0, 3.0])
    >>> float(m.result())
    2.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")
        self.count = self.add_variable((), "zeros", dtype=self.dtype, name="count")

    def add(self, total: float, count: float) -> None:
        """Takes in a sum and what it is to be divided by."""
        self.total.assign_add(total)
        self.count.assign_add(count)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weight = _by_example(values, sample_weight, np.mean, self.dtype)
        self.add(
            values.sum(),
            len(values) if weight is None and values.ndim else 1 if weight is None else weight.sum(),
        )

    def reset_state(self) -> None:
        self.total.assign(0.0)
        self.count.assign(0.0)

    def value(self) -> float:
        """The mean as a Python float."""
        count = float(self.count)
        return float(self.total) / count if count else 0.0

    def result(self) -> Any:
        return self._tensor(self.value())


class MeanMetricWrapper(Mean):
    """The mean of a function of (y_true, y_pred).

    Args:
        fn: The function; it returns one value for each example.
        name: Its name; None: from the class.
        dtype: dtype of the result.
        kwargs: Keyword arguments of the function.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.MeanMetricWrapper(keras.losses.mean_squared_error)
    >>> m.update_state([[1.0, 2.0]], [[1.5, 4.0]])
    >>> round(float(m.result()), 4)
    2.125
    """

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """One value for each example."""
        return self._fn(y_true, y_pred, **self._fn_kwargs)

    def weights(self, y_true: Any, sample_weight: Any) -> Any:
        """The sample weights, without what the function leaves out."""
        return sample_weight

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        sample_weight = self.weights(y_true, sample_weight)
        weight, mask = sample_weight, mask_of(y_pred)
        if mask is not None:
            weight = as_array(mask, self.dtype)
            if sample_weight is not None:
                weight, given = same_rank(weight, as_array(sample_weight, self.dtype))
                weight = weight * given
        super().update_state(self.values(y_true, y_pred), sample_weight=weight)

    def get_config(self) -> dict:
        known = {} if type(self) is not MeanMetricWrapper else {"fn": serialize_keras_object(self._fn)}
        return {**super().get_config(), **known, **serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        return cls(**(deserialize_keras_object(config) if "fn" in config else config))


class Configured(MeanMetricWrapper):
    """A mean of a function whose keyword arguments are attributes too."""

    def __init__(self, fn: Callable, name: str | None, dtype: Any, **kwargs: Any):
        super().__init__(fn, name=name, dtype=dtype, **kwargs)
        for key, value in kwargs.items():
            setattr(self, key, value)


def mean_of(class_name: str, fn: Callable, name: str, module: str, arguments: str, value: float) -> Any:
    """The class of the mean of a function without arguments of its own, with the value of an example."""
    default = name

    def __init__(self: Any, name: str | None = default, dtype: Any = None) -> None:
        MeanMetricWrapper.__init__(self, fn, name=name, dtype=dtype)

    members: dict[str, Any] = {"__init__": __init__, "__module__": module}
    members["__doc__"] = f"""The mean of `{fn.__name__}`.

    Args:
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.{class_name}()
    >>> m.update_state({arguments})
    >>> round(float(m.result()), 4)
    {value}
    """
    return type(class_name, (MeanMetricWrapper,), members)
