"""Gradient descent and the rules that divide by sums of squared gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import initializers
from .rule import Rule


class SGD(Rule):
    """Gradient descent, with momentum: v = momentum * v - rate * g; w += v.

    Args:
        learning_rate: Step size.
        momentum: Share of the last step that is kept, in [0, 1].
        nesterov: Whether the step is w += momentum * v - rate * g.

    The other arguments are those of every optimizer, see `Optimizer`.

    Example:
        >>> from cnnexplain import Variable, keras
        >>> w = Variable([1.0, 2.0])
        >>> keras.optimizers.SGD(0.5).apply([[1.0, -1.0]], [w])
        >>> w.numpy()
        array([0.5, 2.5], dtype=float32)
    """

    _own = ("momentum", "nesterov")
    momentum: float
    nesterov: bool

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())
        if isinstance(momentum, bool) or not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be a float between [0, 1]. Received: momentum={momentum}")

    @property
    def momentums(self) -> list:
        """The velocity of each variable."""
        return [states[0] for states in self._states] if self.momentum else []

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),) if self.momentum else ()

    def _engine_rule(self) -> tuple[str, dict] | None:
        if not self.momentum:
            return "sgd", {}
        return "momentum", {"momentum": self.momentum, "nesterov": self.nesterov}

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        if not self.momentum:
            return w - g * rate
        s[0] = s[0] * self.momentum - g * rate
        return w + s[0] * self.momentum - g * rate if self.nesterov else w + s[0]


class RMSprop(Rule):
    """Gradients over the root of their running mean square: v = rho * v + (1 - rho) * g^2; w -= rate * g /
    sqrt(v).

    Args:
        learning_rate: Step size.
        rho: Decay of the mean square.
        momentum: Share of the last step that is kept.
        epsilon: Keeps the division finite.
        centered: Whether the mean gradient's square is subtracted from v.

    The other arguments are those of every optimizer, see `Optimizer`.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.RMSprop(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([-0.581,  3.581], dtype=float32)
    """

    _own = ("rho", "momentum", "epsilon", "centered")
    rho: float
    momentum: float
    epsilon: float
    centered: bool

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
        centered: bool = False, weight_decay: float | None = None, clipnorm: float | None = None,
        clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
        ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None,
        name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        momentum = (("momentum",),) if self.momentum > 0 else ()
        return (("velocity",), *momentum, *((("average_gradient",),) if self.centered else ()))

    def _engine_rule(self) -> tuple[str, dict] | None:
        plain = not self.momentum > 0 and not self.centered
        return ("rmsprop", {"rho": self.rho, "epsilon": self.epsilon}) if plain else None

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        s[0] = self.rho * s[0] + (1 - self.rho) * np.square(g)
        below = s[0] + self.epsilon
        if self.centered:
            s[-1] = self.rho * s[-1] + (1 - self.rho) * g
            below = s[0] - np.square(s[-1]) + self.epsilon
        move = rate * g / np.sqrt(below)
        if self.momentum > 0:
            s[1] = move = self.momentum * s[1] + move
        return w - move


class Adagrad(Rule):
    """Gradients over the root of the sum of their squares: a += g^2; w -= rate * g / sqrt(a + epsilon).

    Args:
        learning_rate: Step size.
        initial_accumulator_value: First value of the sums.
        epsilon: Keeps the division finite.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Duchi, Hazan and Singer, 2011.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.Adagrad(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.503, 2.499], dtype=float32)
    """

    _own = ("initial_accumulator_value", "epsilon")
    initial_accumulator_value: float
    epsilon: float

    def __init__(
        self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulator",),)

    def _initial(self, name: str) -> Any:
        return initializers.Constant(self.initial_accumulator_value)

    def _engine_rule(self) -> tuple[str, dict] | None:
        return "adagrad", {"epsilon": self.epsilon}

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        s[0] = s[0] + np.square(g)
        return w - rate * g / np.sqrt(s[0] + self.epsilon)


class Adadelta(Rule):
    """Adagrad with decaying sums and steps in the units of the weights.

    Args:
        learning_rate: Factor of the steps; 1.0 is the paper's.
        rho: Decay of the sums.
        epsilon: Keeps the division finite.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Zeiler, 2012.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.Adadelta(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.999, 2.001], dtype=float32)
    """

    _own = ("rho", "epsilon")
    rho: float
    epsilon: float

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulated_grad", "accumulated_delta_var"),)

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        s[0] = self.rho * s[0] + (1 - self.rho) * np.square(g)
        move = -np.sqrt(s[1] + self.epsilon) * g / np.sqrt(s[0] + self.epsilon)
        s[1] = self.rho * s[1] + (1 - self.rho) * np.square(move)
        return w + rate * move


class Ftrl(Rule):
    """Follow the regularized leader: each weight is what minimizes all linearized losses so far plus the
    penalties.

    Args:
        learning_rate: Step size.
        learning_rate_power: How step sizes fall with the sum of squares; not positive.
        initial_accumulator_value: First value of the sums of squares.
        l1_regularization_strength, l2_regularization_strength: Penalties.
        l2_shrinkage_regularization_strength: Penalty in the gradient alone.
        beta: Added to the l2 penalty as beta / (2 * rate).

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: McMahan et al., 2013, Ad click prediction.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.Ftrl(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.398, 2.409], dtype=float32)
    """

    _own = (
        "learning_rate_power", "initial_accumulator_value", "l1_regularization_strength",
        "l2_regularization_strength", "l2_shrinkage_regularization_strength", "beta",
    )  # fmt: skip
    learning_rate_power: float
    initial_accumulator_value: float
    l1_regularization_strength: float
    l2_regularization_strength: float
    l2_shrinkage_regularization_strength: float
    beta: float

    def __init__(
        self, learning_rate: Any = 0.001, learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0, l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0, weight_decay: float | None = None, clipnorm: float | None = None,
        clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
        ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None,
        name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())
        for key in self._own[1:-1]:
            if getattr(self, key) < 0:
                raise ValueError(
                    f"`{key}` needs to be positive or zero. Received: {key}={getattr(self, key)}."
                )
        if learning_rate_power > 0:
            raise ValueError(
                "`learning_rate_power` needs to be negative or zero. Received: "
                f"learning_rate_power={learning_rate_power}."
            )

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulator", "linear"),)

    def _initial(self, name: str) -> Any:
        return initializers.Constant(self.initial_accumulator_value) if name == "accumulator" else "zeros"

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        power, l1 = -self.learning_rate_power, self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2.0 * rate)
        total = s[0] + np.square(g)
        shrunk = g + 2 * self.l2_shrinkage_regularization_strength * w
        s[1] = s[1] + shrunk - (total**power - s[0] ** power) / rate * w
        s[0] = total
        return (np.clip(s[1], -l1, l1) - s[1]) / (total**power / rate + 2 * l2)


class Lion(Rule):
    """Steps of one size along the sign of a moving average: w -= rate * sign(beta_1 * m + (1 - beta_1) * g).

    Args:
        learning_rate: Step size.
        beta_1: Share of the average in the sign, in (0, 1].
        beta_2: Decay of the average.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Chen et al., 2023, Symbolic discovery of optimization algorithms.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.Lion(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.5, 2.5], dtype=float32)
    """

    _own = ("beta_1", "beta_2")
    beta_1: float
    beta_2: float

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())
        if not 0 < beta_1 <= 1:
            raise ValueError(
                "Argument `beta_1` must be in the [0, 1] range. Otherwise, the optimizer degenerates to "
                f"SignSGD. Received: beta_1={beta_1}."
            )

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),)

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        w = w - rate * np.sign(s[0] * self.beta_1 + g * (1.0 - self.beta_1))
        s[0] = s[0] * self.beta_2 + g * (1.0 - self.beta_2)
        return w
