"""An optimizer around another one, for losses so small that their gradients vanish."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import initializers
from ..saving.serialization import deserialize_keras_object, serialize_keras_object
from .base import _SETTINGS, Optimizer


class LossScaleOptimizer(Optimizer):
    """Multiplies the loss by a power of two and divides the gradients by it again. The factor doubles after
    `dynamic_growth_steps` steps and halves, without a step, where a gradient is not finite.

    Args:
        inner_optimizer: The optimizer that takes the steps.
        initial_scale: First factor.
        dynamic_growth_steps: Steps until the factor doubles.
        name: Its name.

    Example:
        >>> from cnnexplain import Variable, keras
        >>> optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=8.0)
        >>> float(optimizer.scale_loss(2.0))
        16.0
        >>> w = Variable([1.0])
        >>> optimizer.apply([[8.0]], [w])
        >>> w.numpy()
        array([0.5], dtype=float32)
    """

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer no longer supports `dynamic=False`. Instead, simply set "
                "`loss_scale_factor` directly on the `inner_optimizer`."
            )
        for key in set(kwargs) & set(_SETTINGS):
            value = kwargs.pop(key)
            if value != {"use_ema": False, "ema_momentum": 0.99}.get(key):
                raise ValueError(
                    f"LossScaleOptimizer does not support `{key}`. Instead, set `{key}` on the "
                    f"`inner_optimizer`."
                )
        if kwargs:
            raise ValueError(f"LossScaleOptimizer does not support arguments: `{'`, `'.join(kwargs)}`.")
        self.__dict__["inner_optimizer"] = None
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build(self, variables: Any) -> None:
        """Makes the states for these variables; called by the first step."""
        if self.built:
            return
        self.step_counter = self.add_variable((), dtype="int", name="step_counter")
        start = initializers.Constant(self.initial_scale)
        self.dynamic_scale = self.add_variable((), start, dtype="float32", name="dynamic_scale")
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list:
        """Its own variables, then those of the inner optimizer."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        if self.inner_optimizer is None:
            return self._learning_rate
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        if self.inner_optimizer is None:
            Optimizer.learning_rate.fset(self, learning_rate)  # type: ignore[attr-defined]
        else:
            self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.iterations

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step on scaled gradients, or none where they are not finite."""
        grads = list(grads)
        given = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        self._prepare(given)
        scale, count = float(self.dynamic_scale), int(self.step_counter)
        arrays = [None if g is None else np.asarray(g) for g in grads]
        if all(g is None or np.isfinite(g).all() for g in arrays):
            self.inner_optimizer.apply([None if g is None else g / scale for g in arrays], given)
            grow = count == self.dynamic_growth_steps - 1
            self.assign(self.step_counter, 0 if grow else count + 1)
            self.assign(self.dynamic_scale, scale * 2.0 if grow else scale)
        else:
            self.assign(self.step_counter, 0)
            self.assign(self.dynamic_scale, scale * 0.5)

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the factor."""
        return loss * (float(self.dynamic_scale) if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Any) -> None:
        """The inner optimizer's last act of training."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        """The optimizer that `get_config` described."""
        config = dict(config)
        inner = deserialize_keras_object(config.pop("inner_optimizer"), custom_objects=custom_objects)
        return cls(inner, **config)
