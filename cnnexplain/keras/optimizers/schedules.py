"""Learning rates that change with the step, in float32 as optimizers use them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import convert
from ..saving.serialization import custom_object_scope, find_class, serialize_keras_object


class LearningRateSchedule:
    """A callable: step -> learning rate. A subclass defines `__call__` and, to be saved, `get_config`.

    Example:
        >>> from cnnexplain import keras
        >>> class Halved(keras.optimizers.schedules.LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.1 / (1 + int(step))
        >>> optimizer = keras.optimizers.SGD(Halved())
        >>> optimizer.learning_rate
        0.1
    """

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in order to be "
            "serializable."
        )

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The schedule that `get_config` described."""
        return cls(**config)


class _Formula(LearningRateSchedule):
    """A schedule that is `_rate` of the step, an array."""

    _own: tuple[str, ...] = ()
    name: str

    def _take(self, given: dict) -> None:
        for key in self._own:
            setattr(self, key, given[key])
            if key.endswith("decay_steps") and not given[key] > 0:
                raise ValueError(f"Argument `{key}` must be > 0. Received: {key}={given[key]}")

    def _rate(self, step: Any) -> Any:
        raise NotImplementedError

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, or of each of several."""
        return convert.as_tensor(np.asarray(self._rate(np.asarray(step, np.float32)), np.float32))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {key: getattr(self, key) for key in self._own}


class ExponentialDecay(_Formula):
    """initial_learning_rate * decay_rate^(step / decay_steps), whole powers only with `staircase`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: Steps for one factor.
        decay_rate: The factor.
        staircase: Whether the rate changes only every `decay_steps` steps.
        name: Its name.

    Example:
        >>> from cnnexplain import keras
        >>> rate = keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.25)
        >>> float(rate(0)), float(rate(5)), float(rate(10))
        (0.5, 0.25, 0.125)
    """

    _own = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")
    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        self._take(locals())

    def _rate(self, step: Any) -> Any:
        power = step / np.float32(self.decay_steps)
        power = np.floor(power) if self.staircase else power
        return np.float32(self.initial_learning_rate) * np.float32(self.decay_rate) ** power


class InverseTimeDecay(_Formula):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps), whole quotients only with `staircase`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: Steps for one unit of time.
        decay_rate: Added to the divisor for each unit.
        staircase: Whether the rate changes only every `decay_steps` steps.
        name: Its name.

    Example:
        >>> from cnnexplain import keras
        >>> rate = keras.optimizers.schedules.InverseTimeDecay(0.5, decay_steps=10, decay_rate=1.0)
        >>> float(rate(0)), float(rate(10)), float(rate(30))
        (0.5, 0.25, 0.125)
    """

    _own = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")
    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        self._take(locals())

    def _rate(self, step: Any) -> Any:
        share = step / np.float32(self.decay_steps)
        share = np.floor(share) if self.staircase else share
        return np.float32(self.initial_learning_rate) / (1 + np.float32(self.decay_rate) * share)


class PiecewiseConstantDecay(_Formula):
    """values[i] up to and including step boundaries[i], the last value afterwards.

    Args:
        boundaries: Steps in increasing order.
        values: The rates, one more than boundaries.
        name: Its name.

    Example:
        >>> from cnnexplain import keras
        >>> rate = keras.optimizers.schedules.PiecewiseConstantDecay([10, 20], [0.5, 0.25, 0.125])
        >>> float(rate(10)), float(rate(11)), float(rate(21))
        (0.5, 0.25, 0.125)
    """

    _own = ("boundaries", "values", "name")
    boundaries: list
    values: list

    def __init__(self, boundaries: list, values: list, name: str = "PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of length "
                f"{len(values)}."
            )
        self._take(locals())

    def _rate(self, step: Any) -> Any:
        place = sum((step > boundary).astype(np.int64) for boundary in self.boundaries)
        return np.asarray(self.values, np.float32)[place]


class PolynomialDecay(_Formula):
    """From the initial to the end rate in decay_steps, as (1 - step / decay_steps)^power. With `cycle`,
    decay_steps is the next multiple of itself.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: Steps until the end.
        end_learning_rate: The rate from then on.
        power: Of the share of steps that are left.
        cycle: Whether it begins anew, from the rate that it would have, instead of ending.
        name: Its name.

    Example:
        >>> from cnnexplain import keras
        >>> rate = keras.optimizers.schedules.PolynomialDecay(0.5, decay_steps=10, end_learning_rate=0.25)
        >>> float(rate(0)), float(rate(5)), float(rate(99))
        (0.5, 0.375, 0.25)
    """

    _own = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")
    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float
    power: float
    cycle: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        self._take(locals())

    def _rate(self, step: Any) -> Any:
        steps, end = np.float32(self.decay_steps), np.float32(self.end_learning_rate)
        if self.cycle:
            steps = steps * np.where(step == 0, np.float32(1), np.ceil(step / steps))
        left = 1 - np.minimum(step, steps) / steps
        return (np.float32(self.initial_learning_rate) - end) * left ** np.float32(self.power) + end


def _cosine(share: Any) -> Any:
    return np.float32(0.5) * (1 + np.cos(np.float32(math.pi) * share))


class CosineDecay(_Formula):
    """Half a cosine from the initial rate to alpha times it, after a linear warm-up to `warmup_target`.

    Args:
        initial_learning_rate: The rate at step 0.
        decay_steps: Length of the half cosine.
        alpha: Share of the first rate that is left at the end.
        warmup_target: The rate after the warm-up; None: no warm-up.
        warmup_steps: Length of the warm-up.
        name: Its name.

    Example:
        >>> from cnnexplain import keras
        >>> rate = keras.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.5, warmup_steps=4)
        >>> float(rate(2)), float(rate(4)), float(rate(14))
        (0.25, 0.5, 0.0)
    """

    _own = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")
    initial_learning_rate: float
    decay_steps: int
    alpha: float
    warmup_target: float | None
    warmup_steps: int

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        self._take(locals())

    def _rate(self, step: Any) -> Any:
        start, steps = np.float32(self.initial_learning_rate), np.float32(self.decay_steps)
        if self.warmup_target is None:
            return start * self._decayed(np.minimum(step, steps) / steps)
        top, warm = np.float32(self.warmup_target), np.float32(self.warmup_steps)
        step = np.minimum(step, steps + warm)
        rising = start + (top - start) * (step / warm) if self.warmup_steps else top
        return np.where(step < warm, rising, top * self._decayed((step - warm) / steps))

    def _decayed(self, share: Any) -> Any:
        return np.float32(1 - self.alpha) * _cosine(share) + np.float32(self.alpha)


class CosineDecayRestarts(_Formula):
    """Half cosines, each t_mul times as long and m_mul times as high as the one before.

    Args:
        initial_learning_rate: The rate at step 0.
        first_decay_steps: Length of the first half cosine.
        t_mul: How many times as long the next one is.
        m_mul: How many times as high the next one is.
        alpha: Share of the first rate that is left at the end of each.
        name: Its name.

    Paper: Loshchilov and Hutter, 2016, SGDR.

    Example:
        >>> from cnnexplain import keras
        >>> rate = keras.optimizers.schedules.CosineDecayRestarts(0.5, first_decay_steps=10)
        >>> float(rate(0)), float(rate(10)), float(rate(30))
        (0.5, 0.5, 0.5)
    """

    _own = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")
    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float
    m_mul: float
    alpha: float

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        self._take(locals())

    def _rate(self, step: Any) -> Any:
        share, longer = step / np.float32(self.first_decay_steps), np.float32(self.t_mul)
        if self.t_mul == 1.0:
            restarts = np.floor(share)
            share = share - restarts
        else:
            restarts = np.floor(np.log(1 - share * (1 - longer)) / np.log(longer))
            share = (share - (1 - longer**restarts) / (1 - longer)) / longer**restarts
        height = np.float32(self.m_mul) ** restarts * _cosine(share)
        alpha = np.float32(self.alpha)
        return np.float32(self.initial_learning_rate) * ((1 - alpha) * height + alpha)


def serialize(learning_rate_schedule: Any) -> Any:
    """Plain data that describes the schedule."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: dict, custom_objects: dict | None = None) -> Any:
    """The schedule, or the function, that `serialize` described."""
    with custom_object_scope(custom_objects or {}):
        name = config["class_name"]
        if name == "function":
            return find_class(config["config"], config.get("registered_name"))
        return (globals().get(name) or find_class(name, config.get("registered_name"))).from_config(
            config["config"]
        )
