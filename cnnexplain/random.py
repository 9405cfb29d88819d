"""Random tensors from a counter-based generator: the same seed gives the same values for any number of
threads.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from . import _core, _names
from ._convert import dtype_name, number, shape_list, tensor, values

_MASK = (1 << 63) - 1


class _State:
    """The seed of draws without one, and how many draws each seed has had."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seed: int | None = None
        self.fresh = int.from_bytes(os.urandom(7), "little")
        self.draws: dict[int | None, int] = {}


_state = _State()


def set_seed(seed: Any) -> None:
    """Restarts every random function of this module: after the same seed they give the same values.

    >>> import cnnexplain as tf
    >>> tf.random.set_seed(1)
    >>> x = tf.random.normal((2,))
    >>> tf.random.set_seed(1)
    >>> bool(tf.reduce_all(x == tf.random.normal((2,))))
    True
    """
    with _state.lock:
        _state.seed = number(seed, "seed")
        _state.draws = {}


def _mixed(*numbers: int) -> int:
    """One seed of several."""
    mixed = 0
    for n in numbers:
        mixed = (mixed ^ (n & _MASK)) * 0x9E3779B97F4A7C15 + 0x7F4A7C15
        mixed = (mixed ^ (mixed >> 29)) & _MASK
    return mixed


def draw(seed: Any = None) -> Any:
    """The (seed, counter) of the next draw, int64: without a seed of the global one."""
    given = None if seed is None else number(seed, "seed")
    with _state.lock:
        count = _state.draws.get(given, 0)
        _state.draws[given] = count + 1
        base = _state.seed
    if given is None:
        key = _mixed(_state.fresh if base is None else base, 1)
    else:
        key = _mixed(0 if base is None else base, 2, given)
    return _core.tensor(np.array([key, count], np.int64))


def generator(seed: Any = None) -> np.random.Generator:
    """A NumPy generator for the next draw."""
    return np.random.Generator(np.random.Philox(np.asarray(draw(seed)).astype(np.uint64)))


def _stateless(seed: Any) -> Any:
    pair = values(tensor(seed), "seed").astype(np.int64).reshape(-1)
    if pair.shape != (2,):
        raise ValueError(f"`seed` must have two numbers. Received: seed={seed}")
    return _core.tensor(np.array([_mixed(3, int(pair[0]), int(pair[1])), 0], np.int64))


def _float(dtype: Any) -> str:
    name = dtype_name(dtype)
    if name not in ("float32", "float64"):
        raise ValueError(f"`dtype` must be float32 or float64. Received: dtype={name}")
    return name


def _scaled(unit: Any, scale: Any, shift: Any, dtype: str) -> Any:
    """unit(scale=1, shift=0) for tensors of scales, or with plain numbers as its attributes."""
    if np.ndim(scale) == 0 and np.ndim(shift) == 0:
        return unit(float(scale), float(shift))
    return _core.add(_core.multiply(unit(1.0, 0.0), tensor(scale, dtype)), tensor(shift, dtype))


def _normal(op: Any, seed: Any, shape: Any, mean: Any, stddev: Any, dtype: Any) -> Any:
    sizes, kind = shape_list(shape), _float(dtype)
    return _scaled(
        lambda scale, shift: op(seed, shape=sizes, mean=shift, stddev=scale, dtype=kind), stddev, mean, kind
    )


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Any:
    """Values of a normal distribution.

    >>> import cnnexplain as tf
    >>> tf.random.normal((2, 3)).shape
    TensorShape([2, 3])
    """
    return _normal(_core.random_normal, draw(seed), shape, mean, stddev, dtype)


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Any:
    """Values of a normal distribution, none further than two standard deviations from the mean."""
    return _normal(_core.random_truncated_normal, draw(seed), shape, mean, stddev, dtype)


def _uniform(seed: Any, shape: Any, minval: Any, maxval: Any, dtype: Any) -> Any:
    sizes, kind = shape_list(shape), dtype_name(dtype)
    if kind in ("int32", "int64"):
        if maxval is None:
            raise ValueError("`maxval` must be given for whole numbers. Received: maxval=None")
        low, high = number(minval, "minval"), number(maxval, "maxval")
        if low >= high:
            raise ValueError(f"`maxval` must be greater than `minval`. Received: minval={low}, maxval={high}")
        unit = _core.random_uniform(seed, shape=sizes, low=0.0, high=1.0, dtype="float64")
        whole = _core.floor(_core.multiply(unit, float(high - low)))
        return _core.add(_core.cast(whole, dtype=kind), tensor(low, kind))
    top = 1.0 if maxval is None else maxval
    kind = _float(kind)
    if np.ndim(minval) == 0 and np.ndim(top) == 0:
        return _core.random_uniform(seed, shape=sizes, low=float(minval), high=float(top), dtype=kind)
    least, most = tensor(minval, kind), tensor(top, kind)
    unit = _core.random_uniform(seed, shape=sizes, low=0.0, high=1.0, dtype=kind)
    return _core.add(_core.multiply(unit, _core.subtract(most, least)), least)


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Any:
    """Values in [minval, maxval), all alike likely; maxval is 1 for float types.

    >>> import cnnexplain as tf
    >>> x = tf.random.uniform((100,), 0, 10, dtype=tf.int32)
    >>> bool(tf.reduce_all((x >= 0) & (x < 10)))
    True
    """
    return _uniform(draw(seed), shape, minval, maxval, dtype)


def stateless_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", name: str | None = None
) -> Any:
    """`normal` that depends on its seed of two numbers alone."""
    return _normal(_core.random_normal, _stateless(seed), shape, mean, stddev, dtype)


def stateless_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    name: str | None = None,
) -> Any:
    """`uniform` that depends on its seed of two numbers alone."""
    return _uniform(_stateless(seed), shape, minval, maxval, dtype)


def shuffle(value: Any, seed: Any = None, name: str | None = None) -> Any:
    """The slices along the first axis in random order.

    >>> import cnnexplain as tf
    >>> sorted(tf.random.shuffle([1, 2, 3]).numpy().tolist())
    [1, 2, 3]
    """
    x = tensor(value)
    return _core.gather(x, generator(seed).permutation(x.shape[0]).astype(np.int64), axis=0)


def categorical(
    logits: Any, num_samples: Any, dtype: Any = "int64", seed: Any = None, name: str | None = None
) -> Any:
    """`num_samples` classes for each row of logits (n, classes), drawn by its softmax."""
    rows = values(tensor(logits), "logits").astype(np.float64)
    noise = generator(seed).gumbel(size=(rows.shape[0], number(num_samples, "num_samples"), rows.shape[1]))
    return _core.tensor((rows[:, None, :] + noise).argmax(axis=-1), dtype_name(dtype))


__all__ = [name for name in _names.defined(__name__) if name not in ("draw", "generator")]
__getattr__ = _names.missing(__name__)
