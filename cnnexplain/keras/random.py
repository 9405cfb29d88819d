"""Random tensors from a counter-based generator: the same seed gives the same bits for any number of
threads.
"""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from cnnexplain import _core

from . import config, tracing


def make_default_seed() -> int:
    """A seed from Python's own `random`, which `set_random_seed` seeds."""
    return python_random.randint(1, int(1e9))


class SeedGenerator:
    """A seed that moves on at every draw: `state` is the variable (seed, counter).

    Args:
        seed: An integer; None takes one from Python's `random`.
        name: Name of the generator.

    >>> from cnnexplain import keras
    >>> generator = keras.random.SeedGenerator(1)
    >>> tuple(keras.random.normal((2,), seed=generator).shape)
    (2,)
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        from cnnexplain.tensor import Variable

        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
        if seed is None:
            seed = make_default_seed()
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed}")
        self._initial_seed = int(seed)
        self.name = name or "seed_generator"
        self.state = Variable(
            np.array([self._initial_seed, 0], np.int64), trainable=False, name="seed_generator_state"
        )

    def next(self, ordered: bool = True) -> Any:
        """The (seed, counter) of the next draw, shape (2,)."""
        return tracing.next_seed(self)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"seed": self._initial_seed}

    @classmethod
    def from_config(cls, config: dict) -> SeedGenerator:
        """The generator that `get_config` described."""
        return cls(**config)


_default: list[SeedGenerator] = []


def global_seed_generator() -> SeedGenerator:
    """The generator of draws without a seed."""
    if not _default:
        _default.append(SeedGenerator())
    return _default[0]


def reset_global_seed_generator(seed: int) -> None:
    """Restarts the generator of draws without a seed."""
    _default[:] = [SeedGenerator(seed)]


def draw_seed(seed: Any) -> Any:
    """The (seed, counter) for an int, a SeedGenerator or None."""
    if seed is None:
        return global_seed_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return _core.tensor(np.array([int(seed), 0], np.int64))
    raise ValueError(
        "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
        f"Received: seed={seed} (of type {type(seed)})"
    )


def _float(dtype: Any) -> str:
    name = config.standardize_dtype(dtype)
    if name not in ("float32", "float64"):
        raise ValueError(f"`dtype` must be a float type. Received: dtype={dtype}")
    return name


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Values of a normal distribution."""
    return _core.random_normal(
        draw_seed(seed), shape=list(shape), mean=float(mean), stddev=float(stddev), dtype=_float(dtype)
    )


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Values of a normal distribution, none beyond two standard deviations."""
    return _core.random_truncated_normal(
        draw_seed(seed), shape=list(shape), mean=float(mean), stddev=float(stddev), dtype=_float(dtype)
    )


def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Values of a uniform distribution over [minval, maxval); whole numbers for an integer `dtype`."""
    name = config.standardize_dtype(dtype)
    if name in ("int32", "int64"):
        return randint(shape, int(minval), int(maxval), dtype=name, seed=seed)
    return _core.random_uniform(
        draw_seed(seed), shape=list(shape), low=float(minval), high=float(maxval), dtype=_float(name)
    )


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Whole numbers in [minval, maxval), all alike likely."""
    if not int(maxval) > int(minval):
        raise ValueError(
            f"`maxval` must be greater than `minval`. Received: minval={minval}, maxval={maxval}"
        )
    unit = _core.random_uniform(draw_seed(seed), shape=list(shape), low=0.0, high=1.0, dtype="float64")
    values = np.floor(np.asarray(unit) * (int(maxval) - int(minval))) + int(minval)
    return _core.tensor(values.astype(config.standardize_dtype(dtype)))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """The slices along `axis` in random order."""
    count = x.shape[axis]
    keys = _core.random_uniform(draw_seed(seed), shape=[count], low=0.0, high=1.0, dtype="float64")
    order = np.argsort(np.asarray(keys), kind="stable").astype(np.int64)
    return _core.gather(x, _core.tensor(order), axis=axis)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Sets a share `rate` of the values to 0 and divides the others by 1 - rate."""
    shape = None if noise_shape is None else [-1 if size is None else int(size) for size in noise_shape]
    return _core.dropout(inputs, draw_seed(seed), rate=float(rate), noise_shape=shape)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """`num_samples` class numbers for each row of logits (n, classes), by the Gumbel maximum."""
    rows = np.asarray(logits, dtype=np.float64)
    unit = np.asarray(uniform((rows.shape[0], int(num_samples), rows.shape[1]), dtype="float64", seed=seed))
    noise = -np.log(-np.log(np.clip(unit, 1e-300, 1.0 - 1e-16)))
    return _core.tensor((rows[:, None, :] + noise).argmax(axis=-1).astype(config.standardize_dtype(dtype)))
