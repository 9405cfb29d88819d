"""Random tensors from a counter-based generator: the same seed gives the same bits for any number of
threads.
"""

from __future__ import annotations

import random as python_random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain._sizes import drawn

from . import config, tracing
from .convert import as_tensor

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "normal", "randint",
    "shuffle", "truncated_normal", "uniform",
]  # fmt: skip


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
        from .variable import Variable

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


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Values of a normal distribution."""
    return drawn(
        _core.random_normal,
        draw_seed(seed),
        shape,
        mean=float(mean),
        stddev=float(stddev),
        dtype=_float(dtype),
    )


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Values of a normal distribution, none beyond two standard deviations."""
    return drawn(
        _core.random_truncated_normal,
        draw_seed(seed),
        shape,
        mean=float(mean),
        stddev=float(stddev),
        dtype=_float(dtype),
    )


def uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Values of a uniform distribution over [minval, maxval); whole numbers for an integer `dtype`."""
    name = config.standardize_dtype(dtype)
    if name in ("int32", "int64"):
        return randint(shape, int(minval), int(maxval), dtype=name, seed=seed)
    return drawn(
        _core.random_uniform,
        draw_seed(seed),
        shape,
        low=float(minval),
        high=float(maxval),
        dtype=_float(name),
    )


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Whole numbers in [minval, maxval), all alike likely."""
    name = config.standardize_dtype(dtype)
    if "int" not in name:
        raise ValueError(f"`keras.random.randint` requires an integer `dtype`. Received: dtype={dtype}")
    low, high = int(minval), int(maxval)
    if not high > low:
        raise ValueError(
            f"`maxval` must be greater than `minval`. Received: minval={minval}, maxval={maxval}"
        )
    unit = drawn(_core.random_uniform, draw_seed(seed), shape, low=0.0, high=1.0, dtype="float64")
    whole = _core.add(_core.floor(_core.multiply(unit, float(high - low))), float(low))
    return _core.cast(whole, dtype=name)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """The slices along `axis` in random order."""
    x = as_tensor(x)
    count = x.shape[axis]
    if count is None:
        raise ValueError(
            f"The length of the axis must be known. Received: x.shape={tuple(x.shape)}, axis={axis}"
        )
    keys = _core.random_uniform(draw_seed(seed), shape=[count], low=0.0, high=1.0, dtype="float64")
    return _core.gather(x, _core.sort(keys)[1], axis=axis % len(x.shape))


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    """Sets a share `rate` of the values to 0 and divides the others by 1 - rate."""
    shape = None if noise_shape is None else [-1 if size is None else int(size) for size in noise_shape]
    return _core.dropout(as_tensor(inputs), draw_seed(seed), rate=float(rate), noise_shape=shape)


def _generator(seed: np.ndarray) -> np.random.Generator:
    return np.random.default_rng([int(part) % 2**64 for part in seed])


def _drawn(draw: Callable, seed: Any, shape: Any, dtype: str, *parameters: Any) -> Any:
    """What NumPy's generator draws, also inside a model; it has no gradient.

    Args:
        draw: (generator, shape, *parameters as arrays) -> array.
    """

    def compute(key: Any, *given: Any) -> Any:
        made = draw(_generator(np.asarray(key)), tuple(shape), *(np.asarray(one) for one in given))
        return _core.tensor(np.asarray(made, dtype)), _no_gradient

    inputs = [as_tensor(one) for one in parameters]
    return _core.python(compute, draw_seed(seed), *inputs, shape=[int(size) for size in shape], dtype=dtype)


def _no_gradient(dy: Any) -> Any:
    raise ValueError(
        "random draws have no gradient with respect to the parameters of their distribution here"
    )


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Values of a gamma distribution with the shape parameter `alpha` and scale 1.

    >>> from cnnexplain import keras
    >>> bool((keras.random.gamma((3,), 2.0, seed=1).numpy() > 0).all())
    True
    """
    return _drawn(lambda rng, size, a: rng.gamma(a, size=size), seed, shape, _float(dtype), alpha)


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Values of a beta distribution on (0, 1), with mean alpha / (alpha + beta)."""
    return _drawn(lambda rng, size, a, b: rng.beta(a, b, size=size), seed, shape, _float(dtype), alpha, beta)


def binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """How many of `counts` trials succeed, each with the given probability."""

    def draw(rng: np.random.Generator, size: tuple, n: np.ndarray, p: np.ndarray) -> np.ndarray:
        return rng.binomial(n.astype(np.int64), p, size=size)

    return _drawn(draw, seed, shape, config.standardize_dtype(dtype), counts, probabilities)


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """`num_samples` class numbers for each row of logits (n, classes), by the Gumbel maximum."""
    logits, count, name = as_tensor(logits), int(num_samples), config.standardize_dtype(dtype)
    if len(logits.shape) != 2:
        raise ValueError(
            f"`logits` must have shape (n, classes). Received: logits.shape={tuple(logits.shape)}"
        )

    def compute(rows: Any, key: Any) -> Any:
        scores = np.asarray(rows, dtype=np.float64)[:, None, :]
        noise = _generator(np.asarray(key)).gumbel(size=(scores.shape[0], count, scores.shape[2]))
        return _core.tensor((scores + noise).argmax(axis=-1).astype(name)), _no_gradient

    return _core.python(compute, logits, draw_seed(seed), shape=[logits.shape[0], count], dtype=name)
