"""Initial values of weights. An initializer is called with a shape and returns a tensor of that shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnexplain import _core

from . import config, random
from .saving.serialization import make_get

_TRUNCATION = 0.87962566103423978  # standard deviation of a unit normal cut at two standard deviations


def compute_fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a kernel: channels times the window's size; (units,) twice for a vector."""
    if len(shape) < 1:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    if len(shape) == 2:
        return shape[0], shape[1]
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


class Initializer:
    """A callable: `initializer(shape, dtype=None)` gives the tensor."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        raise NotImplementedError("Initializer subclasses must implement the `__call__()` method.")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Initializer:
        """The object that `get_config` described."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Another one of the same configuration."""
        return type(self).from_config(self.get_config())


class Constant(Initializer):
    """`value` everywhere; an array is broadcast to the shape."""

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        dtype = config.standardize_dtype(dtype)
        return _core.tensor(np.broadcast_to(np.asarray(self.value, dtype=dtype), shape))

    def get_config(self) -> dict:
        value = self.value.tolist() if isinstance(self.value, np.ndarray) else self.value
        return {"value": value}


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        return _core.tensor(np.zeros(shape, config.standardize_dtype(dtype)))


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        return _core.tensor(np.ones(shape, config.standardize_dtype(dtype)))


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, zero elsewhere."""

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        if len(shape) != 2:
            raise ValueError(
                f"Identity matrix initializer can only be used for 2D matrices. Received: shape={shape}"
            )
        return _core.tensor((self.gain * np.eye(*shape)).astype(config.standardize_dtype(dtype)))

    def get_config(self) -> dict:
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """A random initializer: the same seed gives the same values; None takes one from Python's `random`."""

    def __init__(self, seed: Any = None):
        self._init_seed = seed
        if seed is None:
            seed = random.make_default_seed()
        elif isinstance(seed, dict):
            from .saving.serialization import deserialize_keras_object

            seed = deserialize_keras_object(seed)
        if not isinstance(seed, (int, np.integer, random.SeedGenerator)):
            raise ValueError(
                "`seed` argument should be an instance of `keras.random.SeedGenerator()` or an integer. "
                f"Received: seed={seed}"
            )
        self.seed = seed

    def get_config(self) -> dict:
        return {"seed": self._init_seed}


class RandomNormal(RandomInitializer):
    """A normal distribution."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        return random.normal(shape, mean=self.mean, stddev=self.stddev, seed=self.seed, dtype=dtype)

    def get_config(self) -> dict:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """A normal distribution; values beyond two standard deviations are drawn again."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        return random.truncated_normal(shape, mean=self.mean, stddev=self.stddev, seed=self.seed, dtype=dtype)


class RandomUniform(RandomInitializer):
    """A uniform distribution over [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed)

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        return random.uniform(shape, minval=self.minval, maxval=self.maxval, seed=self.seed, dtype=dtype)

    def get_config(self) -> dict:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class VarianceScaling(RandomInitializer):
    """Variance scale / n, n being fan_in, fan_out or their mean: the family of Glorot, He and LeCun."""

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
    ):
        if not scale > 0.0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        modes = ("fan_in", "fan_out", "fan_avg")
        if mode not in modes:
            raise ValueError(f"Invalid `mode` argument: {mode}. Please use one of {modes}")
        distribution = str(distribution).lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        kinds = ("uniform", "truncated_normal", "untruncated_normal")
        if distribution not in kinds:
            raise ValueError(f"Invalid `distribution` argument: {distribution}. Please use one of {kinds}")
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        super().__init__(seed)

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        fan_in, fan_out = compute_fans(tuple(shape))
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "truncated_normal":
            stddev = math.sqrt(variance) / _TRUNCATION
            return random.truncated_normal(shape, stddev=stddev, seed=self.seed, dtype=dtype)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, stddev=math.sqrt(variance), seed=self.seed, dtype=dtype)
        limit = math.sqrt(3.0 * variance)
        return random.uniform(shape, minval=-limit, maxval=limit, seed=self.seed, dtype=dtype)

    def get_config(self) -> dict:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **super().get_config(),
        }


def _scaling(name: str, scale: float, mode: str, distribution: str, text: str) -> type:
    """A named member of the family, configured by its seed alone."""

    def __init__(self: Any, seed: Any = None) -> None:
        VarianceScaling.__init__(self, scale=scale, mode=mode, distribution=distribution, seed=seed)

    def get_config(self: Any) -> dict:
        return {"seed": self._init_seed}

    members = {"__init__": __init__, "get_config": get_config, "__doc__": text, "__module__": __name__}
    return type(name, (VarianceScaling,), members)


GlorotUniform = _scaling(
    "GlorotUniform", 1.0, "fan_avg", "uniform", "Uniform within sqrt(6 / (fan_in + fan_out))."
)
GlorotNormal = _scaling(
    "GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Truncated normal, variance 2 / (fan_in + fan_out)."
)
HeUniform = _scaling("HeUniform", 2.0, "fan_in", "uniform", "Uniform within sqrt(6 / fan_in).")
HeNormal = _scaling("HeNormal", 2.0, "fan_in", "truncated_normal", "Truncated normal, variance 2 / fan_in.")
LecunUniform = _scaling("LecunUniform", 1.0, "fan_in", "uniform", "Uniform within sqrt(3 / fan_in).")
LecunNormal = _scaling(
    "LecunNormal", 1.0, "fan_in", "truncated_normal", "Truncated normal, variance 1 / fan_in."
)


class Orthogonal(RandomInitializer):
    """A matrix with orthonormal rows or columns times `gain`; leading dimensions are flattened."""

    def __init__(self, gain: float = 1.0, seed: Any = None):
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. Received: "
                f"shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        draw = np.asarray(random.normal(tall, seed=self.seed, dtype="float64"))
        q, r = np.linalg.qr(draw)
        q = q * np.sign(np.diag(r))
        if rows < columns:
            q = q.T
        return _core.tensor((self.gain * q).reshape(shape).astype(config.standardize_dtype(dtype)))

    def get_config(self) -> dict:
        return {"gain": self.gain, **super().get_config()}


_CLASSES = [
    Constant, Zeros, Ones, Identity, RandomNormal, TruncatedNormal, RandomUniform, VarianceScaling,
    GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal,
]  # fmt: skip

constant = Constant
zeros = Zeros
ones = Ones
identity = Identity
IdentityInitializer = Identity
random_normal = RandomNormal
truncated_normal = TruncatedNormal
random_uniform = RandomUniform
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
he_uniform = HeUniform
he_normal = HeNormal
lecun_uniform = LecunUniform
lecun_normal = LecunNormal
orthogonal = Orthogonal
OrthogonalInitializer = Orthogonal

_table: dict[str, type] = {cls.__name__: cls for cls in _CLASSES}
_table.update(
    constant=Constant, zeros=Zeros, ones=Ones, identity=Identity, random_normal=RandomNormal,
    truncated_normal=TruncatedNormal, random_uniform=RandomUniform, variance_scaling=VarianceScaling,
    glorot_uniform=GlorotUniform, glorot_normal=GlorotNormal, he_uniform=HeUniform, he_normal=HeNormal,
    lecun_uniform=LecunUniform, lecun_normal=LecunNormal, orthogonal=Orthogonal,
    uniform=RandomUniform, normal=RandomNormal, one=Ones, zero=Zeros, IdentityInitializer=Identity,
    OrthogonalInitializer=Orthogonal,
)  # fmt: skip

get, serialize, deserialize = make_get("initializer", _table, none=True)
