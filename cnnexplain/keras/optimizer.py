"""The base class of optimizers: learning rate, step count, clipping and the states of variables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import config, initializers, naming
from . import learning_rates as schedules
from .learning_rates import LearningRateSchedule
from .saving.serialization import serialize_keras_object


class Optimizer:
    """Changes variables along their gradients.

    Args:
        learning_rate: A number, a schedule, or a callable.
        weight_decay: Share of each weight, times the learning rate, that a step takes away.
        clipnorm: Largest norm of one variable's gradient.
        clipvalue: Largest absolute value in a gradient.
        global_clipnorm: Largest norm of all gradients together.
        use_ema, ema_momentum, ema_overwrite_frequency: Accepted when off.
        name: Its name.
    """

    _update: str | None = None  # the engine's own step of this name
    _states: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        from cnnexplain.tensor import Variable

        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
        if kwargs.pop("decay", None):
            raise ValueError(
                "Argument `decay` is no longer supported: pass a schedule from `keras.optimizers.schedules` "
                "as `learning_rate`."
            )
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
        for key, value in (("use_ema", use_ema), ("loss_scale_factor", loss_scale_factor),
                           ("gradient_accumulation_steps", gradient_accumulation_steps)):  # fmt: skip
            if value:
                raise ValueError(f"`{key}` is not offered. Received: {key}={value}")
        given = [value for value in (clipnorm, clipvalue, global_clipnorm) if value is not None]
        if len(given) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            )
        if any(not value > 0 for value in given):
            raise ValueError(f"Clipping limits must be positive. Received: {given[0]}")
        self.name = name or naming.to_snake_case(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self._iterations = Variable(np.array(0, np.int64), trainable=False, name="iterations")
        self._schedule: Any = None
        self._rate: Any = Variable(np.array(0.001, config.floatx()), trainable=False, name="learning_rate")
        self._set_rate(learning_rate)
        self._variables: list = []
        self._places: dict[int, int] = {}
        self._state_of: list[list] = []  # for each variable its states
        self.built = False

    def _set_rate(self, rate: Any) -> None:
        if isinstance(rate, dict):
            rate = schedules.deserialize(rate)
        if callable(rate) and not hasattr(rate, "numpy"):
            self._schedule = rate
            return
        try:
            value = float(rate)
        except (TypeError, ValueError):
            value = -1.0
        if not value >= 0:
            raise ValueError(
                f"`learning_rate` must be a non-negative number. Received: learning_rate={rate!r}"
            )
        self._schedule = None
        self._rate.assign(np.array(value, self._rate.dtype.name))

    @property
    def learning_rate(self) -> Any:
        """The step size now: a variable, or what the schedule gives."""
        if self._schedule is None:
            return self._rate
        if isinstance(self._schedule, LearningRateSchedule):
            return np.float32(self._schedule(int(self._iterations)))
        return self._schedule()

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        self._set_rate(rate)

    lr = learning_rate

    @property
    def iterations(self) -> Any:
        """The variable that counts the steps."""
        return self._iterations

    @property
    def variables(self) -> list:
        """Iterations, learning rate, then the states of each variable."""
        own = [self._iterations] + ([self._rate] if self._schedule is None else [])
        return own + [state for states in self._state_of for state in states]

    def build(self, variables: Any) -> None:
        """Makes the states for these variables; called by the first step."""
        from cnnexplain.tensor import Variable

        self._variables = list(variables)
        self._places = {variable.id: place for place, variable in enumerate(self._variables)}
        self._state_of = [
            [
                Variable(
                    self._initial(name, tuple(variable.shape), variable.dtype.name),
                    trainable=False,
                    name=name,
                )
                for name in self._states_used()
            ]
            for variable in self._variables
        ]
        self.built = True

    def _states_used(self) -> tuple[str, ...]:
        return self._states

    def _initial(self, name: str, shape: tuple, dtype: str) -> Any:
        return initializers.Zeros()(shape, dtype=dtype)

    def _prepare(self, variables: list) -> None:
        if not self.built:
            self.build(variables)
            return
        for variable in variables:
            if variable.id not in self._places:
                raise ValueError(
                    f"Unknown variable: {variable.name}. This optimizer can only be called for the variables "
                    "it was "
                    "originally built with. When working with a new set of variables, you should recreate a "
                    "new "
                    "optimizer instance."
                )

    # One step in the engine

    def engine_step(self) -> tuple[str, dict] | None:
        """The name and attributes of the engine's step, or None when this configuration has none."""
        plain = self.clipnorm is None and self.clipvalue is None and self.global_clipnorm is None
        if (
            self._update is None
            or not plain
            or self.weight_decay
            or type(self).update_step is not Optimizer.update_step
        ):
            return None
        return self._update, self._attributes()

    def _attributes(self) -> dict:
        return {}

    def states(self, variables: list) -> list[list]:
        """The states of the given variables, in their order."""
        self._prepare(variables)
        return [self._state_of[self._places[variable.id]] for variable in variables]

    def count_step(self) -> None:
        """Notes that one step was taken."""
        self._iterations.assign(np.array(int(self._iterations) + 1, np.int64))

    # One step on given gradients

    def apply_gradients(self, grads_and_vars: Any, **kwargs: Any) -> Any:
        """One step.

        Args:
            grads_and_vars: Pairs (gradient, variable), e.g. `zip(gradients, model.trainable_variables)`.

        Returns:
            The step count.
        """
        try:
            pairs = [(gradient, variable) for gradient, variable in grads_and_vars]
        except TypeError:
            raise TypeError(
                "`grads_and_vars` must hold pairs (gradient, variable). Received: "
                f"grads_and_vars={grads_and_vars!r}"
            ) from None
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self._iterations

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step on a list of gradients and their variables; variables whose gradient is None stay.

        Raises:
            ValueError: No gradient at all, or a shape that is not the variable's.
        """
        grads = list(grads)
        variables = list(trainable_variables) if trainable_variables is not None else list(self._variables)
        if len(grads) != len(variables):
            raise ValueError(
                f"There must be one gradient for each variable. Received: {len(grads)} gradients, "
                f"{len(variables)} variables"
            )
        self._prepare(variables)
        kept = [(np.asarray(g), v) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not kept:
            raise ValueError("No gradients provided for any variable.")
        for gradient, variable in kept:
            if gradient.shape != tuple(variable.shape):
                raise ValueError(
                    f"A gradient must have its variable's shape. Received: gradient {gradient.shape}, "
                    "variable "
                    f"{variable.name} {tuple(variable.shape)}"
                )
        gradients = self._clip([gradient for gradient, _ in kept])
        rate = float(self.learning_rate)
        step = int(self._iterations) + 1
        for gradient, (_, variable) in zip(gradients, kept, strict=True):
            kind = np.dtype(variable.dtype.name).type
            w = variable.numpy()
            w = np.asarray(w)
            states = self._state_of[self._places[variable.id]]
            arrays = [np.asarray(state.numpy()) for state in states]
            if self.weight_decay:
                w = w - w * kind(self.weight_decay * rate)
            w, arrays = self.update_step_array(
                gradient.astype(w.dtype, copy=False), w, arrays, kind(rate), step, kind
            )
            variable.assign(np.asarray(w, variable.dtype.name))
            for state, array in zip(states, arrays, strict=True):
                state.assign(np.asarray(array, state.dtype.name))
        self.count_step()

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's step; subclasses of the user may define it."""
        raise NotImplementedError

    def update_step_array(
        self, g: Any, w: Any, states: list, rate: Any, step: int, kind: Any
    ) -> tuple[Any, list]:
        """The new weight and states."""
        raise NotImplementedError(f"{type(self).__name__} must define `update_step_array`.")

    def _clip(self, gradients: list) -> list:
        if self.clipvalue is not None:
            return [np.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            return [
                g * g.dtype.type(self.clipnorm / max(np.sqrt(np.sum(np.square(g))), self.clipnorm))
                for g in gradients
            ]
        if self.global_clipnorm is not None:
            norm = math.sqrt(sum(float(np.sum(np.square(g))) for g in gradients))
            return [
                g * g.dtype.type(self.global_clipnorm / max(norm, self.global_clipnorm)) for g in gradients
            ]
        return gradients

    # Configuration

    def get_config(self) -> dict:
        """The constructor's arguments."""
        rate = serialize_keras_object(self._schedule) if self._schedule is not None else float(self._rate)
        settings = {"name": self.name, "learning_rate": rate}
        for key in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm"):
            settings[key] = getattr(self, key)
        for key in self._settings():
            settings[key] = getattr(self, key)
        return settings

    def _settings(self) -> tuple[str, ...]:
        return ()

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The optimizer that `get_config` described."""
        return cls(**config)

    def save_own_variables(self) -> list[np.ndarray]:
        """Every variable as an array."""
        return [np.asarray(variable) for variable in self.variables]

    def __getstate__(self) -> dict:
        fields = dict(self.__dict__)
        fields.pop("_places")
        return fields

    def __setstate__(self, fields: dict) -> None:
        self.__dict__.update(fields)
        self._places = {variable.id: place for place, variable in enumerate(self._variables)}

    def __repr__(self) -> str:
        return f"<keras.optimizers.{type(self).__name__} name={self.name}>"
