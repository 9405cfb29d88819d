"""The base class of optimizers: the learning rate, the count of steps, and what happens to gradients and
weights around a rule.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.tensor import Variable

from .. import config, convert, naming
from ..saving.serialization import serialize_keras_object
from ..variable import Variable as Weight
from . import schedules
from .schedules import LearningRateSchedule
from .states import States

_SETTINGS = (
    "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema", "ema_momentum",
    "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
)  # fmt: skip


class Optimizer(States):
    """Changes variables along their gradients. A subclass makes its states in `build` and defines
    `update_step`.

    Args:
        learning_rate: A number, a schedule, or a callable of no arguments.
        weight_decay: Share of each weight, times the learning rate, that a step takes away.
        clipnorm: Largest norm of one variable's gradient.
        clipvalue: Largest absolute value in a gradient.
        global_clipnorm: Largest norm of all gradients together.
        use_ema: Whether a moving average of the weights is kept, which `finalize_variable_values` puts in
        place.
        ema_momentum: Share of the average that a step keeps.
        ema_overwrite_frequency: Steps after which the weights become their average; None: only at the end.
        loss_scale_factor: Factor of the loss before gradients are taken; they are divided by it again.
        gradient_accumulation_steps: Number of gradients whose mean makes one step.
        name: Its name.

    Example:
        >>> import numpy as np
        >>> from cnnexplain import Variable, keras
        >>> class Halfway(keras.optimizers.Optimizer):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         self.assign_sub(variable, 0.5 * gradient * learning_rate)
        >>> w = Variable([1.0, 2.0])
        >>> Halfway(learning_rate=1.0).apply([np.array([2.0, 2.0])], [w])
        >>> w.numpy()
        array([0., 1.], dtype=float32)
    """

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
        if kwargs.pop("decay", None) is not None:
            warnings.warn("Argument `decay` is no longer supported and will be ignored.", stacklevel=3)
        learning_rate = kwargs.pop("lr", learning_rate)
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
        given = [value for value in (clipnorm, clipvalue, global_clipnorm) if value is not None]
        if len(given) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            )
        if any(not value > 0 for value in given):
            raise ValueError(f"Clipping limits must be positive. Received: {given[0]}")
        if use_ema:
            _within_one("ema_momentum", ema_momentum)
            _whole("ema_overwrite_frequency", ema_overwrite_frequency, 1)
        _whole("gradient_accumulation_steps", gradient_accumulation_steps, 2)
        fields = self.__dict__
        fields["_variables"] = []
        fields["_trainable_variables"] = []
        fields["_indices"] = {}
        fields["_excluded"] = (frozenset(), None)
        self.name = name or naming.auto_name(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._iterations = Weight(np.array(0, np.int64), trainable=False, name="iteration")
        self._learning_rate: Any = None
        self.learning_rate = learning_rate

    # The learning rate and the count

    @property
    def learning_rate(self) -> Any:
        """The step size now: a variable, or what the schedule gives."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations)
        return rate() if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        now = self._learning_rate
        if isinstance(learning_rate, dict):
            learning_rate = schedules.deserialize(learning_rate)
        if callable(learning_rate) and not hasattr(learning_rate, "numpy"):
            if isinstance(now, Variable):
                self._variables[:] = [variable for variable in self._variables if variable is not now]
            self._learning_rate = learning_rate
            return
        if isinstance(now, LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object as its `learning_rate` "
                "constructor argument, hence its learning rate is not settable. If you need the learning "
                "rate to "
                "be settable, you should instantiate the optimizer with a float `learning_rate` argument."
            )
        try:
            value = float(learning_rate)
        except (TypeError, ValueError):
            value = -1.0
        if not value >= 0:
            raise ValueError(
                "`learning_rate` must be a non-negative number, a LearningRateSchedule or a callable. "
                f"Received: learning_rate={learning_rate!r}"
            )
        if isinstance(now, Variable):
            now.assign(np.array(value, now.dtype.name))
        else:
            start = np.array(value, config.floatx())
            self._learning_rate = Weight(start, trainable=False, name="learning_rate")

    lr = learning_rate

    @property
    def iterations(self) -> Any:
        """The variable that counts the steps; with accumulated gradients, the number of their means so
        far."""
        if self.gradient_accumulation_steps:
            return convert.as_tensor(np.array(self._count(), np.int64))
        return self._iterations

    def _count(self) -> int:
        return int(self._iterations) // (self.gradient_accumulation_steps or 1)

    # Variables

    def build(self, variables: Any) -> None:
        """Makes the states for these variables; called by the first step."""
        variables = list(variables)
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = self.add_optimizer_variables(variables, "gradient_accumulator")
        self._trainable_variables = variables
        self._indices = {variable.id: place for place, variable in enumerate(variables)}
        self.built = True

    # One step

    def engine_step(self, variables: list) -> dict | None:
        """What the engine needs for a whole step on these variables; None: only `apply` knows it."""
        return None

    def engine_step_taken(self) -> None:
        """Notes a step of the engine."""
        self._count_on()

    def _count_on(self) -> None:
        self._iterations.assign(np.array(int(self._iterations) + 1, np.int64))

    def apply_gradients(self, grads_and_vars: Any) -> Any:
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
        """One step on gradients; variables whose gradient is None stay.

        Args:
            grads: One gradient for each variable.
            trainable_variables: The variables; None: those of `build`.

        Raises:
            ValueError: No gradient at all, a variable that is new, or a shape that is not the variable's.
        """
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is None and not self.built:
            raise ValueError(
                "When passing `grads` without `variables`, the optimizer must already be built on a list of "
                "variables. Call `optimizer.build(trainable_variables)` first."
            )
        given = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(given):
            raise ValueError(
                f"There must be one gradient for each variable. Received: {len(grads)} gradients, "
                f"{len(given)} variables"
            )
        self._prepare(given)
        gradients, variables = self._present(grads, given)
        if self.loss_scale_factor is not None:
            gradients = [g / self.loss_scale_factor for g in gradients]
        self._step(gradients, variables)
        for variable in variables:
            constraint = getattr(variable, "constraint", None)
            if constraint is not None:
                variable.assign(constraint(variable))
        self._count_on()

    def _prepare(self, variables: list) -> None:
        if not self.built:
            self.build(variables)
            self.built = True
        for variable in variables:
            if variable.id not in self._indices:
                raise ValueError(
                    f"Unknown variable: {variable.name}. This optimizer can only be called for the "
                    "variables it was originally built with. When working with a new set of variables, you "
                    "should recreate a new optimizer instance."
                )

    def _present(self, grads: list, variables: list) -> tuple[list, list]:
        """The gradients that are there, as arrays in their variables' dtypes, and those variables."""
        absent = [v for g, v in zip(grads, variables, strict=True) if g is None]
        if len(absent) == len(grads):
            raise ValueError("No gradients provided for any variable.")
        if absent:
            names = [getattr(v, "path", v.name) for v in reversed(absent)]
            warnings.warn(
                f"Gradients do not exist for variables {names} when minimizing the loss. If using "
                "`model.compile()`, did you forget to provide a `loss` argument?",
                stacklevel=4,
            )
        kept = [
            (np.asarray(g).astype(v.dtype.name, copy=False), v)
            for g, v in zip(grads, variables, strict=True)
            if g is not None
        ]
        for gradient, variable in kept:
            if gradient.shape != tuple(variable.shape):
                raise ValueError(
                    f"A gradient must have its variable's shape. Received: gradient {gradient.shape}, "
                    f"variable {variable.name} {tuple(variable.shape)}"
                )
        return [g for g, _ in kept], [v for _, v in kept]

    def _step(self, gradients: list, variables: list) -> None:
        steps = self.gradient_accumulation_steps
        if steps:
            sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]
            gradients = [g + np.asarray(total) for g, total in zip(gradients, sums, strict=True)]
            if (int(self._iterations) + 1) % steps:
                for total, value in zip(sums, gradients, strict=True):
                    total.assign(value)
            else:
                self._move([g / steps for g in gradients], variables)
                for total in self._accumulated_gradients:
                    total.assign(np.zeros(total.shape, total.dtype.name))
        else:
            self._move(gradients, variables)
        if self.use_ema:
            self._average()

    def _move(self, gradients: list, variables: list) -> None:
        gradients = self._clip(gradients)
        rate = self.learning_rate
        for variable in variables:
            decay = self._decay_of(variable)
            if decay is not None:
                self.assign_sub(variable, np.asarray(variable) * decay * float(rate))
        self._update(gradients, variables, rate)

    def _update(self, gradients: list, variables: list, learning_rate: Any) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(_core.tensor(gradient), variable, learning_rate)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's step: changes the variable and its states."""
        raise NotImplementedError(f"{type(self).__name__} must define `update_step`.")

    def _clip(self, gradients: list) -> list:
        if self.clipvalue is not None:
            return [np.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            return [g * (self.clipnorm / max(_norm([g]), self.clipnorm)) for g in gradients]
        if self.global_clipnorm is not None:
            norm = _norm(gradients)
            # Gradients that are infinite or no numbers make all of them no numbers.
            scale = self.global_clipnorm / max(norm, self.global_clipnorm) if np.isfinite(norm) else np.nan
            return [g * scale for g in gradients]
        return gradients

    # Weight decay

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Names variables whose weights do not decay; before the first step.

        Args:
            var_list: Variables.
            var_names: Patterns, e.g. ["bias"]; a variable whose name holds one of them is left out.
        """
        if self.built:
            raise ValueError(
                "`exclude_from_weight_decay()` can only be configured before the optimizer is built."
            )
        pattern = re.compile("|".join(sorted(set(var_names)))) if var_names else None
        self._excluded = (frozenset(variable.id for variable in var_list or ()), pattern)

    def _use_weight_decay(self, variable: Any) -> bool:
        ids, pattern = self._excluded
        return variable.id not in ids and (pattern is None or pattern.search(variable.name) is None)

    def _decay_of(self, variable: Any) -> float | None:
        return self.weight_decay if self._use_weight_decay(variable) else None

    # Moving averages of the weights

    def _average(self) -> None:
        momentum = self.ema_momentum if self._count() else 0.0
        frequency = self.ema_overwrite_frequency
        overwrite = frequency and (self._count() + 1) % frequency == 0
        for variable, average in zip(
            self._trainable_variables, self._model_variables_moving_average, strict=True
        ):
            self.assign(average, momentum * np.asarray(average) + (1 - momentum) * np.asarray(variable))
            if overwrite:
                variable.assign(average)

    def finalize_variable_values(self, var_list: Any) -> None:
        """The last act of training: with `use_ema` the weights become their moving averages."""
        if not self.use_ema or not self.built:
            return
        averages = self._model_variables_moving_average
        if len(var_list) != len(averages):
            raise ValueError(
                f"The length of model variables ({len(var_list)}) to override does not match the length of "
                f"model variables stored in the optimizer ({len(averages)}). Please check if the optimizer "
                "was called on your model."
            )
        for variable, average in zip(var_list, averages, strict=True):
            variable.assign(average)

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def stateless_apply(
        self, optimizer_variables: Any, grads: Any, trainable_variables: Any
    ) -> tuple[list, list]:
        """One step from given values, which changes no variable.

        Args:
            optimizer_variables: A value for each of `variables`.
            grads: Gradients.
            trainable_variables: A value for each variable of `build`.

        Returns:
            The new values of the trainable variables and of the optimizer's.
        """
        if not self.built:
            raise ValueError(
                f"To call `stateless_apply`, {type(self).__name__} must be built (i.e. its variables must "
                "have been created). You can build it via `optimizer.build(trainable_variables)`."
            )
        own, weights = self.variables, self._trainable_variables
        for name, values, wanted in (("optimizer_variables", optimizer_variables, own),
                                     ("trainable_variables", trainable_variables, weights)):  # fmt: skip
            if len(values) != len(wanted):
                raise ValueError(
                    f"`{name}` must hold a value for each of the {len(wanted)} variables. Received: "
                    f"{len(values)}"
                )
        held = [np.array(variable) for variable in (*weights, *own)]
        try:
            for variable, value in zip(
                (*weights, *own), (*trainable_variables, *optimizer_variables), strict=True
            ):
                variable.assign(value)
            self.apply(grads, weights)
            new = [convert.as_tensor(np.array(variable)) for variable in (*weights, *own)]
        finally:
            for variable, value in zip((*weights, *own), held, strict=True):
                variable.assign(value)
        return new[: len(weights)], new[len(weights) :]

    # Configuration and values

    def get_config(self) -> dict:
        """The constructor's arguments."""
        rate = self._learning_rate
        value = float(rate) if isinstance(rate, Variable) else serialize_keras_object(rate)
        settings = {"name": self.name, "learning_rate": value}
        return settings | {key: getattr(self, key) for key in _SETTINGS}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The optimizer that `get_config` described."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = schedules.deserialize(config["learning_rate"], custom_objects)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<keras.optimizers.{type(self).__name__} name={self.name}>"


def _norm(gradients: list) -> float:
    return float(np.sqrt(sum(np.sum(np.square(g), dtype=np.float64) for g in gradients)))


def _within_one(name: str, value: Any) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be in the range [0, 1]. Received: {name}={value}")


def _whole(name: str, value: Any, least: int) -> None:
    if value and (not isinstance(value, (int, np.integer)) or value < least):
        raise ValueError(f"`{name}` must be an integer >= {least} or None. Received: {name}={value}")
