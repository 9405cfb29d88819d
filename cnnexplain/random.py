"""Random tensors from a counter-based generator: the same seed gives the same values for any number of
threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, _names
from ._convert import dtype_name, number, tensor, values
from ._sizes import drawn
from .tensor import Variable

if TYPE_CHECKING:
    from .tensor import Tensor

_MASK = (1 << 63) - 1


class _State:
    """The seed of draws without one, and how many draws each seed has had."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seed: int | None = None
        self.fresh = int.from_bytes(os.urandom(7), "little")
        self.draws: dict[int | None, int] = {}
        self.sources: dict[int | None, Source] = {}


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
        for given, source in _state.sources.items():
            source.state.assign(np.array([_mixed(_key(given), 7), 0], np.int64))


def _mixed(*numbers: int) -> int:
    """One seed of several."""
    mixed = 0
    for n in numbers:
        mixed = (mixed ^ (n & _MASK)) * 0x9E3779B97F4A7C15 + 0x7F4A7C15
        mixed = (mixed ^ (mixed >> 29)) & _MASK
    return mixed


class Source:
    """The draws of one seed in programs: `state` is the variable (key, counter) that each run moves on."""

    def __init__(self, key: int):
        self.state = Variable(np.array([key, 0], np.int64), trainable=False, name="random_state")


# Set by keras/tracing.py: the symbol of a source's next draw in the program being built, or None.
traced: Callable[[Callable[[], Source]], Any] | None = None


class Stream:
    """Random draws that do not depend on what other threads draw: inside it, those of this thread.

    Args:
        key: Decides the draws without a seed; `fork` gives one.
        place: Numbers that decide the draws with a seed, together with it: which iteration, which element.
    """

    def __init__(self, key: int, *place: int):
        self.key = key
        self.place = place
        self.draws: dict[int | None, int] = {}
        self.outer: Stream | None = None

    def draw(self, seed: int | None) -> tuple[int, int]:
        """(key, counter) of the next draw."""
        count = self.draws.get(seed, 0)
        self.draws[seed] = count + 1
        if seed is None:
            return _mixed(self.key, 4), count
        return _mixed(_state.seed or 0, 5, seed, *self.place), count

    def __enter__(self) -> Stream:
        self.outer = _local.stream
        _local.stream = self
        return self

    def __exit__(self, *failure: Any) -> None:
        _local.stream = self.outer


class _Local(threading.local):
    stream: Stream | None = None
    fixed: Any = None


_local = _Local()


def stream() -> Stream | None:
    """The stream that this thread draws from."""
    return _local.stream


def fork() -> int:
    """A key for a new stream."""
    return _mixed(*(int(part) for part in np.asarray(draw())))


def order(seed: Any, iteration: int) -> np.random.Generator:
    """The generator that orders a data set in one iteration; one seed orders several data sets alike."""
    if seed is None:
        return generator()
    return np.random.default_rng([_mixed(_state.seed or 0, 6, number(seed, "seed")), iteration])


def draw(seed: Any = None) -> Any:
    """The (seed, counter) of the next draw, int64: without a seed of the global one."""
    if _local.fixed is not None:
        return _local.fixed
    given = None if seed is None else number(seed, "seed")
    symbol = None if traced is None else traced(lambda: _source(given))
    if symbol is not None:
        return symbol
    inside = _local.stream
    if inside is not None:
        return _core.tensor(np.array(inside.draw(given), np.int64))
    with _state.lock:
        count = _state.draws.get(given, 0)
        _state.draws[given] = count + 1
    return _core.tensor(np.array([_key(given), count], np.int64))


def _key(seed: int | None) -> int:
    base = _state.seed
    if seed is None:
        return _mixed(_state.fresh if base is None else base, 1)
    return _mixed(0 if base is None else base, 2, seed)


def _source(seed: int | None) -> Source:
    """The source of a seed; its draws are others than those outside of programs."""
    with _state.lock:
        if seed not in _state.sources:
            _state.sources[seed] = Source(_mixed(_key(seed), 7))
        return _state.sources[seed]


def generator(seed: Any = None) -> np.random.Generator:
    """A NumPy generator for the next draw."""
    return np.random.Generator(np.random.Philox(np.asarray(draw(seed)).astype(np.uint64)))


def _stateless(seed: Any) -> Any:
    pair = values(tensor(seed), "seed").astype(np.int64).reshape(-1)
    if pair.shape != (2,):
        raise ValueError(f"`seed` must have two numbers. Received: seed={seed}")
    return _core.tensor(np.array([_mixed(3, int(pair[0]), int(pair[1])), 0], np.int64))


@contextlib.contextmanager
def fixed(seed: Any) -> Iterator[None]:
    """Within it every draw of this thread is the one of a seed of two numbers."""
    before, _local.fixed = _local.fixed, _stateless(seed)
    try:
        yield
    finally:
        _local.fixed = before


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
    kind = _float(dtype)
    return _scaled(
        lambda scale, shift: drawn(op, seed, shape, mean=shift, stddev=scale, dtype=kind), stddev, mean, kind
    )


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Tensor:
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
) -> Tensor:
    """Values of a normal distribution, none further than two standard deviations from the mean."""
    return _normal(_core.random_truncated_normal, draw(seed), shape, mean, stddev, dtype)


def _uniform(seed: Any, shape: Any, minval: Any, maxval: Any, dtype: Any) -> Any:
    kind = dtype_name(dtype)
    if kind in ("int32", "int64"):
        if maxval is None:
            raise ValueError("`maxval` must be given for whole numbers. Received: maxval=None")
        low, high = number(minval, "minval"), number(maxval, "maxval")
        if low >= high:
            raise ValueError(f"`maxval` must be greater than `minval`. Received: minval={low}, maxval={high}")
        unit = drawn(_core.random_uniform, seed, shape, low=0.0, high=1.0, dtype="float64")
        whole = _core.floor(_core.multiply(unit, float(high - low)))
        return _core.add(_core.cast(whole, dtype=kind), tensor(low, kind))
    top = 1.0 if maxval is None else maxval
    kind = _float(kind)
    if np.ndim(minval) == 0 and np.ndim(top) == 0:
        return drawn(_core.random_uniform, seed, shape, low=float(minval), high=float(top), dtype=kind)
    least, most = tensor(minval, kind), tensor(top, kind)
    unit = drawn(_core.random_uniform, seed, shape, low=0.0, high=1.0, dtype=kind)
    return _core.add(_core.multiply(unit, _core.subtract(most, least)), least)


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    seed: Any = None,
    name: str | None = None,
) -> Tensor:
    """Values in [minval, maxval), all alike likely; maxval is 1 for float types.

    >>> import cnnexplain as tf
    >>> x = tf.random.uniform((100,), 0, 10, dtype=tf.int32)
    >>> bool(tf.reduce_all((x >= 0) & (x < 10)))
    True
    """
    return _uniform(draw(seed), shape, minval, maxval, dtype)


class Generator:
    """Draws of its own: a variable (key, counter) that each draw moves on.

    >>> import cnnexplain as tf
    >>> first, second = (tf.random.Generator.from_seed(1).normal((2,)) for _ in range(2))
    >>> bool(tf.reduce_all(first == second))
    True
    """

    def __init__(self, key: int):
        self._source = Source(key)

    @classmethod
    def from_seed(cls, seed: Any, alg: Any = None) -> Generator:
        """The generator of a number."""
        return cls(_mixed(8, number(seed, "seed")))

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator unlike any other."""
        return cls(_mixed(9, int.from_bytes(os.urandom(7), "little")))

    @property
    def state(self) -> Any:
        """The variable (key, counter)."""
        return self._source.state

    def _draw(self) -> Any:
        symbol = None if traced is None else traced(lambda: self._source)
        if symbol is not None:
            return symbol
        now = np.array(self.state)
        self.state.assign(now + np.array([0, 1], np.int64))
        return _core.tensor(now)

    def reset_from_seed(self, seed: Any) -> None:
        """Begins again as `from_seed(seed)` does."""
        self.state.assign(np.array([_mixed(8, number(seed, "seed")), 0], np.int64))

    def normal(
        self,
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> Any:
        """Values of a normal distribution."""
        return _normal(_core.random_normal, self._draw(), shape, mean, stddev, dtype)

    def truncated_normal(
        self,
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> Any:
        """Values of a normal distribution, none further than two standard deviations from the mean."""
        return _normal(_core.random_truncated_normal, self._draw(), shape, mean, stddev, dtype)

    def uniform(
        self,
        shape: Any,
        minval: Any = 0,
        maxval: Any = None,
        dtype: Any = "float32",
        name: str | None = None,
    ) -> Any:
        """Values in [minval, maxval), all alike likely."""
        return _uniform(self._draw(), shape, minval, maxval, dtype)

    def make_seeds(self, count: int = 1) -> Any:
        """Seeds for the stateless functions, int64 (2, count)."""
        row = _uniform(self._draw(), [1, number(count, "count")], 0, 1 << 53, "int64")
        return _core.concat(row, _core.multiply(row, 0), axis=0)


def stateless_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    name: str | None = None,
    alg: str = "auto_select",
) -> Tensor:
    """`normal` that depends on its seed of two numbers alone."""
    return _normal(_core.random_normal, _stateless(seed), shape, mean, stddev, dtype)


def stateless_truncated_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    name: str | None = None,
    alg: str = "auto_select",
) -> Tensor:
    """`truncated_normal` that depends on its seed of two numbers alone."""
    return _normal(_core.random_truncated_normal, _stateless(seed), shape, mean, stddev, dtype)


def stateless_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    name: str | None = None,
    alg: str = "auto_select",
) -> Tensor:
    """`uniform` that depends on its seed of two numbers alone."""
    return _uniform(_stateless(seed), shape, minval, maxval, dtype)


def shuffle(value: Any, seed: Any = None, name: str | None = None) -> Tensor:
    """The slices along the first axis in random order.

    >>> import cnnexplain as tf
    >>> sorted(tf.random.shuffle([1, 2, 3]).numpy().tolist())
    [1, 2, 3]
    """
    x = tensor(value)
    if x.shape[0] is None:
        raise ValueError(f"`value` must have a known first axis. Received: value.shape={tuple(x.shape)}")
    keys = _core.random_uniform(draw(seed), shape=[x.shape[0]], low=0.0, high=1.0, dtype="float64")
    return _core.gather(x, _core.sort(keys)[1], axis=0)


def categorical(
    logits: Any, num_samples: Any, dtype: Any = "int64", seed: Any = None, name: str | None = None
) -> Tensor:
    """`num_samples` classes for each row of logits (n, classes), drawn by its softmax."""
    rows = _core.cast(tensor(logits), dtype="float64")
    if len(rows.shape) != 2 or None in rows.shape:
        raise ValueError(f"`logits` must have shape (n, classes). Received: {tuple(rows.shape)}")
    size = [rows.shape[0], number(num_samples, "num_samples"), rows.shape[1]]
    unit = _core.random_uniform(draw(seed), shape=size, low=0.0, high=1.0, dtype="float64")
    noise = _core.negative(_core.log(_core.negative(_core.log(unit))))
    scores = _core.add(_core.reshape(rows, shape=[size[0], 1, size[2]]), noise)
    return _core.argmax(scores, axis=2, output_type=dtype_name(dtype))


_OWN = {"Source", "Stream", "fixed", "stream", "fork", "order", "draw", "generator"}  # for the package
__all__ = [name for name in _names.defined(__name__) if name not in _OWN]
__getattr__ = _names.missing(__name__)
