"""Optimizers. `fit` takes whole steps in the engine; `apply_gradients` steps on gradients from a tape."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from . import initializers
from . import learning_rates as schedules
from .optimizer import Optimizer
from .saving.serialization import make_get

LearningRateSchedule = schedules.LearningRateSchedule
# `from cnnexplain.keras.optimizers.schedules import ...` needs a module of this name.
sys.modules[f"{__name__}.schedules"] = schedules


class SGD(Optimizer):
    """Gradient descent, with momentum: v = momentum * v - rate * g; w += v.

    Args:
        learning_rate: Step size.
        momentum: Share of the last step that is kept, in [0, 1].
        nesterov: Whether the step is w += momentum * v - rate * g.
    """

    _update = "sgd"
    _states = ("momentum",)

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "SGD",
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name=name, **kwargs
        )
        if not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be a float between [0, 1]. Received: momentum={momentum}")
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)

    def _states_used(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def engine_step(self) -> tuple[str, dict] | None:
        step = super().engine_step()
        return ("momentum", self._attributes()) if step is not None and self.momentum else step

    def _attributes(self) -> dict:
        return {"momentum": self.momentum, "nesterov": self.nesterov} if self.momentum else {}

    def update_step_array(
        self, g: Any, w: Any, states: list, rate: Any, step: int, kind: Any
    ) -> tuple[Any, list]:
        if not self.momentum:
            return w - g * rate, states
        velocity = states[0] * kind(self.momentum) - g * rate
        if self.nesterov:
            return w + velocity * kind(self.momentum) - g * rate, [velocity]
        return w + velocity, [velocity]

    def _settings(self) -> tuple[str, ...]:
        return ("momentum", "nesterov")


class Adam(Optimizer):
    """Adaptive moments: m and v follow g and g^2; w -= rate * m' / (sqrt(v') + epsilon), bias corrected.

    Args:
        learning_rate: Step size.
        beta_1, beta_2: Decay of the two moments.
        epsilon: Keeps the division finite.
        amsgrad: Accepted when False.

    Paper: Kingma and Ba, 2014.
    """

    _update = "adam"
    _states = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "adam",
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name=name, **kwargs
        )
        if amsgrad:
            raise ValueError("`amsgrad=True` is not offered.")
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)
        self.amsgrad = False

    def _attributes(self) -> dict:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def update_step_array(
        self, g: Any, w: Any, states: list, rate: Any, step: int, kind: Any
    ) -> tuple[Any, list]:
        m, v = states
        alpha = rate * kind(math.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step))
        m = m + (g - m) * kind(1.0 - self.beta_1)
        v = v + (np.square(g) - v) * kind(1.0 - self.beta_2)
        return w - m * alpha / (np.sqrt(v) + kind(self.epsilon)), [m, v]

    def _settings(self) -> tuple[str, ...]:
        return ("beta_1", "beta_2", "epsilon", "amsgrad")


class AdamW(Adam):
    """Adam whose weight decay acts on the weights themselves."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "adamw",
        **kwargs: Any,
    ):
        if weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            name=name,
            **kwargs,
        )


class RMSprop(Optimizer):
    """Gradients over the root of their running mean square.

    Args:
        learning_rate: Step size.
        rho: Decay of the mean square.
        momentum: Share of the last step that is kept.
        epsilon: Keeps the division finite.
        centered: Whether the mean gradient is subtracted.
    """

    _states = ("velocity", "momentum", "average_gradient")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "rmsprop",
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name=name, **kwargs
        )
        self.rho = float(rho)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.centered = bool(centered)

    def _states_used(self) -> tuple[str, ...]:
        return (
            ("velocity",)
            + (("momentum",) if self.momentum > 0 else ())
            + (("average_gradient",) if self.centered else ())
        )

    def update_step_array(
        self, g: Any, w: Any, states: list, rate: Any, step: int, kind: Any
    ) -> tuple[Any, list]:
        states = list(states)
        velocity = kind(self.rho) * states[0] + kind(1.0 - self.rho) * np.square(g)
        states[0] = velocity
        below = velocity + kind(self.epsilon)
        if self.centered:
            average = kind(self.rho) * states[-1] + kind(1.0 - self.rho) * g
            states[-1] = average
            below = below - np.square(average)
        move = rate * g / np.sqrt(below)
        if self.momentum > 0:
            states[1] = kind(self.momentum) * states[1] + move
            move = states[1]
        return w - move, states

    def _settings(self) -> tuple[str, ...]:
        return ("rho", "momentum", "epsilon", "centered")


class Adagrad(Optimizer):
    """Gradients over the root of the sum of their squares."""

    _states = ("accumulator",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "adagrad",
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name=name, **kwargs
        )
        self.initial_accumulator_value = float(initial_accumulator_value)
        self.epsilon = float(epsilon)

    def _initial(self, name: str, shape: tuple, dtype: str) -> Any:
        return initializers.Constant(self.initial_accumulator_value)(shape, dtype=dtype)

    def update_step_array(
        self, g: Any, w: Any, states: list, rate: Any, step: int, kind: Any
    ) -> tuple[Any, list]:
        total = states[0] + np.square(g)
        return w - rate * g / np.sqrt(total + kind(self.epsilon)), [total]

    def _settings(self) -> tuple[str, ...]:
        return ("initial_accumulator_value", "epsilon")


class Adadelta(Optimizer):
    """Adagrad with decaying sums and steps in the units of the weights."""

    _states = ("accumulated_grad", "accumulated_delta_var")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "adadelta",
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name=name, **kwargs
        )
        self.rho = float(rho)
        self.epsilon = float(epsilon)

    def update_step_array(
        self, g: Any, w: Any, states: list, rate: Any, step: int, kind: Any
    ) -> tuple[Any, list]:
        rho, rest, eps = kind(self.rho), kind(1.0 - self.rho), kind(self.epsilon)
        grad = rho * states[0] + rest * np.square(g)
        delta = -np.sqrt(states[1] + eps) * g / np.sqrt(grad + eps)
        moved = rho * states[1] + rest * np.square(delta)
        return w + rate * delta, [grad, moved]

    def _settings(self) -> tuple[str, ...]:
        return ("rho", "epsilon")


class Adamax(Optimizer):
    """Adam with the largest recent gradient in place of the second moment."""

    _states = ("momentum", "norm")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str = "adamax",
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name=name, **kwargs
        )
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)

    def update_step_array(
        self, g: Any, w: Any, states: list, rate: Any, step: int, kind: Any
    ) -> tuple[Any, list]:
        m = states[0] + (g - states[0]) * kind(1.0 - self.beta_1)
        u = np.maximum(kind(self.beta_2) * states[1], np.abs(g))
        return w - rate * m / (kind(1.0 - self.beta_1**step) * (u + kind(self.epsilon))), [m, u]

    def _settings(self) -> tuple[str, ...]:
        return ("beta_1", "beta_2", "epsilon")


_get, serialize, deserialize = make_get(
    "optimizer",
    {
        name: cls
        for cls in (SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Adamax)
        for name in (cls.__name__, cls.__name__.lower())
    },
)


def get(identifier: Any) -> Optimizer:
    """The optimizer for a name, a config dict, a class or an optimizer."""
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        identifier = identifier.lower()
    found = _get(identifier)
    if not isinstance(found, Optimizer):
        raise ValueError(f"Could not interpret optimizer identifier: {identifier}")
    return found
