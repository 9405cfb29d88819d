"""Adam and its relatives: moving averages of the gradient and of its size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import config
from ..variable import Variable
from .rule import Rule


class Adam(Rule):
    """Adaptive moments: m and v follow g and g^2; w -= rate * m' / (sqrt(v') + epsilon), bias corrected.

    Args:
        learning_rate: Step size.
        beta_1, beta_2: Decay of the two moments.
        epsilon: Keeps the division finite.
        amsgrad: Whether the largest v so far stands for v.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Kingma and Ba, 2014; Reddi et al., 2018, for amsgrad.

    Example:
        >>> from cnnexplain import Variable, keras
        >>> w = Variable([1.0, 2.0])
        >>> keras.optimizers.Adam(0.5).apply([[3.0, -7.0]], [w])
        >>> w.numpy().round(3)
        array([0.5, 2.5], dtype=float32)
    """

    _own = ("beta_1", "beta_2", "epsilon", "amsgrad")
    beta_1: float
    beta_2: float
    epsilon: float
    amsgrad: bool

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        amsgrad: bool = False, weight_decay: float | None = None, clipnorm: float | None = None,
        clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
        ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None,
        name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"), *((("velocity_hat",),) if self.amsgrad else ()))

    def _engine_rule(self) -> tuple[str, dict] | None:
        attributes = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return "amsgrad" if self.amsgrad else "adam", attributes

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        alpha = rate * math.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        s[0] = s[0] + (g - s[0]) * (1 - self.beta_1)
        s[1] = s[1] + (np.square(g) - s[1]) * (1 - self.beta_2)
        if self.amsgrad:
            s[2] = np.maximum(s[2], s[1])
        return w - s[0] * alpha / (np.sqrt(s[-1]) + self.epsilon)


class AdamW(Adam):
    """Adam whose weight decay acts on the weights themselves: w -= weight_decay * rate * w before each step.

    Args:
        learning_rate: Step size.
        weight_decay: Share of each weight that a step takes away, times the learning rate.
        beta_1, beta_2, epsilon, amsgrad: Of Adam.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Loshchilov and Hutter, 2019, Decoupled weight decay regularization.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.AdamW(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.498, 2.496], dtype=float32)
    """

    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9,
        beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False,
        clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())
        if weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")


class Nadam(Rule):
    """Adam with Nesterov's momentum: the step takes the next share of m and this share of g.

    Args:
        learning_rate: Step size.
        beta_1, beta_2: Decay of the two moments.
        epsilon: Keeps the division finite.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Dozat, 2015.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.Nadam(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.469, 2.531], dtype=float32)
    """

    _own = ("beta_1", "beta_2", "epsilon")
    beta_1: float
    beta_2: float
    epsilon: float

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def build(self, variables: Any) -> None:
        """Makes the states for these variables; called by the first step."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        dtype = variables[0].dtype.name if variables else config.floatx()
        self._u_product = Variable(np.array(1.0, dtype), trainable=False, name="variable")

    def _momentum_of(self, step: int) -> float:
        return self.beta_1 * (1.0 - 0.5 * 0.96**step)

    def _product(self) -> float:
        """The product of all momentums, that of the coming step included."""
        return float(self._u_product) * self._momentum_of(self._count() + 1)

    def _engine_rule(self) -> tuple[str, dict] | None:
        attributes = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return "nadam", attributes | {"product": self._product()}

    def _update(self, gradients: list, variables: list, learning_rate: Any) -> None:
        self._u_product.assign(np.array(self._product(), self._u_product.dtype.name))
        super()._update(gradients, variables, learning_rate)

    def _moved(self) -> None:
        self._u_product.assign(np.array(self._product(), self._u_product.dtype.name))

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        now, ahead, product = self._momentum_of(step), self._momentum_of(step + 1), float(self._u_product)
        s[0] = s[0] + (g - s[0]) * (1 - self.beta_1)
        s[1] = s[1] + (np.square(g) - s[1]) * (1 - self.beta_2)
        m = s[0] * (ahead / (1 - product * ahead)) + g * ((1 - now) / (1 - product))
        return w - m * rate / (np.sqrt(s[1] / (1 - self.beta_2**step)) + self.epsilon)


class Adamax(Rule):
    """Adam with the largest recent gradient in place of the second moment: u = max(beta_2 * u, |g|).

    Args:
        learning_rate: Step size.
        beta_1: Decay of the mean gradient.
        beta_2: Decay of the largest gradient.
        epsilon: Keeps the division finite.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Kingma and Ba, 2014, section 7.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.Adamax(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.5, 2.5], dtype=float32)
    """

    _own = ("beta_1", "beta_2", "epsilon")
    beta_1: float
    beta_2: float
    epsilon: float

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "norm"),)

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        s[0] = s[0] + (g - s[0]) * (1 - self.beta_1)
        s[1] = np.maximum(self.beta_2 * s[1], np.abs(g))
        return w - rate * s[0] / ((1 - self.beta_1**step) * (s[1] + self.epsilon))


class Lamb(Rule):
    """Adam's direction u with a length in proportion to the layer's weights: w -= rate * |w| / |u| * u.

    Args:
        learning_rate: Step size.
        beta_1, beta_2: Decay of the two moments.
        epsilon: Keeps the division finite.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: You et al., 2019, Large batch optimization for deep learning.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.Lamb(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.209, 2.791], dtype=float32)
    """

    _own = ("beta_1", "beta_2", "epsilon")
    beta_1: float
    beta_2: float
    epsilon: float

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        s[0] = s[0] + (g - s[0]) * (1 - self.beta_1)
        s[1] = s[1] + (np.square(g) - s[1]) * (1 - self.beta_2)
        move = s[0] / (1 - self.beta_1**step) / (np.sqrt(s[1] / (1 - self.beta_2**step)) + self.epsilon)
        weight, size = float(np.sqrt(np.sum(np.square(w)))), float(np.sqrt(np.sum(np.square(move))))
        ratio = weight / size if weight > 0 and size > 0 else 1.0
        return w - ratio * rate * move


class Adafactor(Rule):
    """Adam without a first moment, whose second moment of a matrix is kept as its rows' and columns' means.

    Args:
        learning_rate: Largest relative step.
        beta_2_decay: The decay of step t is 1 - t^beta_2_decay.
        epsilon_1: Added to squared gradients.
        epsilon_2: Least size of a weight, to which steps are relative.
        clip_threshold: Largest root mean square of a step before the learning rate.
        relative_step: Whether a fixed learning rate is cut to 1 / sqrt(t).

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Shazeer and Stern, 2018.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.Adafactor(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.209, 2.791], dtype=float32)
    """

    _own = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")
    beta_2_decay: float
    epsilon_1: float
    epsilon_2: float
    clip_threshold: float
    relative_step: bool

    def __init__(
        self, learning_rate: Any = 0.001, beta_2_decay: float = -0.8, epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3, clip_threshold: float = 1.0, relative_step: bool = True,
        weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
        global_clipnorm: float | None = None, use_ema: bool = False, ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def build(self, variables: Any) -> None:
        """Makes the states for these variables; called by the first step."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        for states, variable in zip(self._states, variables, strict=True):
            shape, dtype = tuple(variable.shape), variable.dtype.name
            if len(shape) < 2:  # only so that the order of the variables is the same for every shape
                states += [self.add_variable((), dtype="int32", name=variable.name) for _ in range(2)]
            else:
                for part in (shape[:-1], shape[:-2] + shape[-1:]):
                    states.append(self.add_variable(part, dtype=dtype, name=variable.name))
            states.append(self.add_variable_from_reference(variable, "velocity"))

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        rho = min(rate, 1 / math.sqrt(step))
        alpha = max(self.epsilon_2, _rms(w)) * rho
        square, keep = np.square(g) + self.epsilon_1, 1 - step**self.beta_2_decay
        if w.ndim >= 2:
            s[0] = keep * s[0] + (1 - keep) * square.mean(axis=-1)
            s[1] = keep * s[1] + (1 - keep) * square.mean(axis=-2)
            rows = s[0] / s[0].mean(axis=-1, keepdims=True)
            s[2] = rows[..., None] * s[1][..., None, :]
        else:
            s[2] = keep * s[2] + (1 - keep) * square
        move = g / np.sqrt(s[2])
        return w - alpha * (move / max(1.0, _rms(move) / self.clip_threshold))


class ScheduleFreeAdamW(Rule):
    """Adam's steps on z, the gradients taken at y between z and the mean x of all z: no schedule is needed.

    Args:
        learning_rate: Step size.
        beta_1: Where y is: (1 - beta_1) * z + beta_1 * x.
        beta_2: Decay of the second moment.
        epsilon: Keeps the division finite.
        warmup_steps: Steps in which the rate grows to its value.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Defazio et al., 2024, The road less scheduled.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([1.0, 2.0])
    >>> keras.optimizers.ScheduleFreeAdamW(0.5).apply([[3.0, -7.0]], [w])
    >>> w.numpy().round(3)
    array([0.5, 2.5], dtype=float32)
    """

    _own = ("beta_1", "beta_2", "epsilon", "warmup_steps")
    beta_1: float
    beta_2: float
    epsilon: float
    warmup_steps: int

    def __init__(
        self, learning_rate: Any = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, warmup_steps: int = 0, weight_decay: float | None = None,
        clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None,
        name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def build(self, variables: Any) -> None:
        """Makes the states for these variables; called by the first step."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        for states, variable in zip(self._states, variables, strict=True):
            states[0].assign(variable)

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        if self.warmup_steps > 0:
            rate *= min(step / self.warmup_steps, 1.0)
        s[1] = s[1] + (np.square(g) - s[1]) * (1 - self.beta_2)
        s[0] = s[0] - rate * g / (np.sqrt(s[1] / (1 - self.beta_2**step)) + self.epsilon)
        x = (w - (1 - self.beta_1) * s[0]) / self.beta_1  # with the new z, as Keras on TensorFlow
        x = x + (s[0] - x) / step
        return (1 - self.beta_1) * s[0] + self.beta_1 * x


def _rms(x: Any) -> float:
    return float(np.sqrt(np.mean(np.square(x))))
