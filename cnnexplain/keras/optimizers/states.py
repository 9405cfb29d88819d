"""The variables of an optimizer: made, changed, stored and given back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cnnexplain.tensor import Variable

from .. import config, initializers
from ..variable import Variable as Weight


class States:
    """What an optimizer does with its own variables; a part of `Optimizer`."""

    _variables: list
    _trainable_variables: list
    _indices: dict[int, int]
    name: str
    built: bool

    def __setattr__(self, name: str, value: Any) -> None:
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                f"In optimizer '{type(self).__name__}', you forgot to call `super().__init__()` as the first "
                "statement in the `__init__()` method. Go add it!"
            )
        object.__setattr__(self, name, value)
        if isinstance(value, Variable):
            self._track(value)

    def _track(self, variable: Any) -> None:
        if all(known is not variable for known in self._variables):
            self._variables.append(variable)
            if "_path" not in variable.__dict__:
                variable.path = f"{self.name}/{variable.name}"

    @property
    def variables(self) -> list:
        """Iterations, learning rate, then the states."""
        return list(self._variables)

    def _get_variable_index(self, variable: Any) -> int:
        return self._indices[variable.id]

    def add_variable(
        self,
        shape: Any,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: Any = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Any:
        """Makes a variable of this optimizer.

        Args:
            shape: Its shape.
            initializer: Gives its first value.
            dtype: Its dtype; None: the default of Keras.
            aggregation, layout: Accepted.
            name: Its name.

        Returns:
            The variable.
        """
        dtype = "int64" if dtype == "int" else dtype or config.floatx()
        value = initializers.get(initializer)(tuple(shape), dtype=dtype)
        variable = Weight(value, trainable=False, name=name or "variable")
        self._track(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros"
    ) -> Any:
        """Makes a variable with the shape and dtype of another one."""
        path = getattr(reference_variable, "path", None) or reference_variable.name
        return self.add_variable(
            reference_variable.shape,
            initializer=initializer,
            dtype=reference_variable.dtype.name,
            name=f"{str(path).replace('/', '_').replace(':', '_')}_{name or 'var'}",
        )

    def add_optimizer_variables(self, trainable_variables: Any, name: Any, initializer: Any = "zeros") -> Any:
        """One state for each variable.

        Args:
            trainable_variables: The variables.
            name: A name, or several for several states.
            initializer: One, or one for each name.

        Returns:
            A list of variables, or a tuple of lists for several names.
        """
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        first = initializer if isinstance(initializer, (list, tuple)) else [initializer] * len(name)
        if len(first) != len(name):
            raise ValueError(
                "The number of provided names must match the number of provided initializers. Received: "
                f"name='{name}', initializer='{initializer}'"
            )
        found: tuple[list, ...] = tuple([] for _ in name)
        for variable in trainable_variables:
            for states, one, start in zip(found, name, first, strict=True):
                states.append(self.add_variable_from_reference(variable, one, start))
        return found

    def assign(self, variable: Any, value: Any) -> None:
        """variable = value, in the variable's dtype."""
        variable.assign(np.asarray(value).astype(variable.dtype.name, copy=False))

    def assign_add(self, variable: Any, value: Any) -> None:
        """variable = variable + value."""
        self.assign(variable, np.asarray(variable) + np.asarray(value))

    def assign_sub(self, variable: Any, value: Any) -> None:
        """variable = variable - value."""
        self.assign(variable, np.asarray(variable) - np.asarray(value))

    def set_weights(self, weights: Any) -> None:
        """Gives each of `variables` a value."""
        if not self.built:
            raise ValueError(
                "You are calling `set_weights()` on an optimizer that has not yet been built. Please call "
                "`optimizer.build(trainable_variables)` to create the optimizer weights before calling "
                "`set_weights()`."
            )
        for variable, weight in zip(self.variables, weights, strict=False):
            if tuple(variable.shape) != np.shape(weight):
                raise ValueError(
                    f"Optimizer variable {variable.name} has shape {tuple(variable.shape)} not compatible "
                    f"with provided weight shape {np.shape(weight)}."
                )
            variable.assign(np.asarray(weight).astype(variable.dtype.name, copy=False))

    def save_own_variables(self, store: Any) -> None:
        """Puts the value of each variable into a dict: store["0"], store["1"] and so on."""
        for place, variable in enumerate(self.variables):
            store[str(place)] = np.array(variable)

    def load_own_variables(self, store: Any) -> None:
        """Takes the values that `save_own_variables` stored; a warning when their number is not that of the
        variables.
        """
        if len(store.keys()) != len(self.variables):
            warnings.warn(
                f"Skipping variable loading for optimizer '{self.name}', because it has "
                f"{len(self.variables)} "
                f"variables whereas the saved optimizer has {len(store.keys())} variables. ",
                stacklevel=2,
            )
            return
        for place, variable in enumerate(self.variables):
            variable.assign(np.asarray(store[str(place)]).astype(variable.dtype.name, copy=False))

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name not in ("_indices", "_movers")}

    def __setstate__(self, fields: dict) -> None:
        self.__dict__.update(fields)
        self.__dict__["_indices"] = {v.id: place for place, v in enumerate(self._trainable_variables)}
