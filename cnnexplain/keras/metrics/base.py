"""`Metric`, what all metrics are made from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.tensor import Variable

from .. import config, initializers, naming


class Metric:
    """A running value: `update_state` for each batch, `result()` so far, `reset_state()` to begin anew.

    Args:
        dtype: dtype of the result; None: `floatx()`.
        name: Its name; None: from the class, counted.

    >>> from cnnexplain import keras
    >>> class Largest(keras.metrics.Metric):
    ...     def __init__(self, name="largest"):
    ...         super().__init__(name=name)
    ...         self.value = self.add_weight(name="value")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.value.assign(keras.ops.maximum(self.value, keras.ops.max(y_pred)))
    ...     def result(self):
    ...         return self.value
    >>> metric = Largest()
    >>> metric.update_state(None, [1.0, 3.0])
    >>> float(metric.result())
    3.0
    """

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or naming.auto_name(type(self).__name__)
        self._dtype = config.standardize_dtype(dtype)
        self._own_variables: list = []
        self._metrics: list = []

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Metric) and "_metrics" in self.__dict__ and value not in self._metrics:
            self._metrics.append(value)
        object.__setattr__(self, name, value)

    @property
    def dtype(self) -> str:
        """dtype of the result."""
        return self._dtype

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Any:
        """Makes a variable that `reset_state` sets to 0."""
        from ..variable import Variable

        if "_own_variables" not in self.__dict__:
            raise RuntimeError(
                "You forgot to call `super().__init__()` in the `__init__()` method. Go add it!"
            )
        initializer = initializers.get("zeros" if initializer is None else initializer)
        value = initializer(tuple(shape), dtype=config.standardize_dtype(dtype))
        variable = Variable(value, trainable=False, name=name or "variable")
        variable.path = f"{self.name}/{variable.name}"
        self._own_variables.append(variable)
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """The same as `add_variable`; the name may come first."""
        if isinstance(shape, str):
            shape, name = (), shape
        return self.add_variable(shape=shape, initializer=initializer, dtype=dtype, name=name)

    @property
    def variables(self) -> list:
        """The variables of this metric and of the metrics it holds."""
        return [
            *self._own_variables,
            *(variable for metric in self._metrics for variable in metric.variables),
        ]

    def reset_state(self) -> None:
        """Begins anew."""
        for variable in self.variables:
            variable.assign(np.zeros(tuple(variable.shape), variable.dtype.name))

    def reset_states(self) -> None:
        """Begins anew."""
        self.reset_state()

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch in."""
        raise NotImplementedError(f"{type(self).__name__} must define `update_state`.")

    def result(self) -> Any:
        """The value so far."""
        raise NotImplementedError(f"{type(self).__name__} must define `result`.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "_own_variables" not in self.__dict__:
            raise RuntimeError(
                "You forgot to call `super().__init__()` in the `__init__()` method. Go add it!"
            )
        self.update_state(*args, **kwargs)
        return self.result()

    @contextlib.contextmanager
    def _holding(self, values: Any) -> Iterator[None]:
        """Within it the variables have the given values; None: their own."""
        variables = self.variables
        if values is not None and len(values) != len(variables):
            raise ValueError(
                f"Argument `metric_variables` must be a list of tensors corresponding 1:1 to "
                f"{type(self).__name__}().variables. Received list with length {len(values)}, but expected "
                f"{len(variables)} variables."
            )
        kept = [np.array(variable) for variable in variables]
        try:
            for variable, value in zip(variables, values or (), strict=False):
                variable.assign(np.asarray(value).astype(variable.dtype.name))
            yield
        finally:
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(value)

    def _values(self) -> list:
        return [_core.tensor(np.array(variable)) for variable in self.variables]

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> list:
        """What the variables become when a batch is taken in, from the given values; nothing is changed."""
        with self._holding(metric_variables):
            self.update_state(*args, **kwargs)
            return self._values()

    def stateless_result(self, metric_variables: Any) -> Any:
        """The result for the given values of the variables."""
        with self._holding(metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list:
        """The values of the variables at the beginning; nothing is changed."""
        with self._holding(None):
            self.reset_state()
            return self._values()

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The metric that `get_config` described."""
        return cls(**config)

    def _tensor(self, value: Any) -> Any:
        """A result in the metric's dtype."""
        return _core.tensor(np.asarray(value, self.dtype))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
