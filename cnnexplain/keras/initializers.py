"""Initial values of weights. An initializer is called with a shape and returns a tensor of that shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnexplain import _core

from . import config, random
from .saving.serialization import make_get

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
    "IdentityInitializer", "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal",
    "OrthogonalInitializer", "RandomNormal", "RandomUniform", "STFT", "STFTInitializer",
    "TruncatedNormal", "VarianceScaling", "Zeros", "constant", "deserialize", "get", "glorot_normal",
    "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal", "lecun_uniform", "ones",
    "orthogonal", "random_normal", "random_uniform", "serialize", "stft", "truncated_normal",
    "variance_scaling", "zeros",
]  # fmt: skip

_TRUNCATION = 0.87962566103423978  # standard deviation of a unit normal cut at two standard deviations


def compute_fans(shape: tuple[int, ...], input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """(fan_in, fan_out) of a kernel: channels times the window's size; (units,) twice for a vector.

    Given both, `input_axes` and `output_axes` are the axes whose lengths are multiplied instead.
    """
    if input_axes is not None and output_axes is not None:
        for axis in (*input_axes, *output_axes):
            if not -len(shape) <= axis < len(shape):
                raise ValueError(
                    f"`input_axes` and `output_axes` must be axes of the shape. Received: shape={shape}, "
                    f"input_axes={input_axes}, output_axes={output_axes}"
                )
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
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
                "Identity matrix initializer can only be used for 2D matrices. Received: "
                f"shape={shape} of rank {len(shape)}."
            )
        return _core.tensor((self.gain * np.eye(*shape)).astype(config.standardize_dtype(dtype)))

    def get_config(self) -> dict:
        return {"gain": self.gain}


_WINDOWS: dict[str, Any] = {
    "hann": np.hanning,
    "hamming": np.hamming,
    "blackman": np.blackman,
    "bartlett": np.bartlett,
    "boxcar": np.ones,
}


class STFT(Initializer):
    """Kernels of a short-time Fourier transform: cosines or sines under a window.

    Args:
        side: "real" or "imag".
        window: "hann", "hamming", "blackman", "bartlett", "boxcar", an array of the frame's length, or None.
        scaling: "density": over the window's length sqrt(sum w^2); "spectrum": over sum |w|; None: as it is.
        periodic: Whether a named window goes on periodically instead of ending where it began.

    Raises:
        ValueError: Unknown names, a window of another length, or a shape that is not
            (frame_length, channels, frequencies).

    >>> from cnnexplain import keras
    >>> tuple(keras.initializers.STFT("imag")((8, 1, 5)).shape)
    (8, 1, 5)
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        if side not in ("real", "imag"):
            raise ValueError(f"`side` must be 'real' or 'imag'. Received: side={side}")
        if isinstance(window, str) and window not in _WINDOWS:
            raise ValueError(f"`window` must be one of {list(_WINDOWS)}. Received: window={window}")
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(f"`scaling` must be None, 'density' or 'spectrum'. Received: scaling={scaling}")
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def _window(self, length: int) -> np.ndarray:
        if isinstance(self.window, str):
            make = _WINDOWS[self.window]
            return make(length + 1)[:-1] if self.periodic and length > 1 else make(length)
        window = np.asarray(self.window, np.float64)
        if window.shape != (length,):
            raise ValueError(
                f"`window` must have the frame's length, {length}. Received: window.shape={window.shape}"
            )
        return window

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        if len(shape) != 3:
            raise ValueError(
                f"STFT takes the shape (frame_length, channels, frequencies). Received: shape={shape}"
            )
        frame, channels, frequencies = shape
        angle = (
            -2 * np.pi * np.arange(frame)[:, None] * np.arange(frequencies) / max((frequencies - 1) * 2, 1)
        )
        kernel = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is not None:
            window = self._window(frame)
            size = {"density": np.sqrt(np.square(window).sum()), "spectrum": np.abs(window).sum()}
            kernel = kernel * window[:, None] / size.get(self.scaling or "", 1.0)
        kernel = np.broadcast_to(kernel[:, None], shape)
        return _core.tensor(kernel.astype(config.standardize_dtype(dtype)))

    def get_config(self) -> dict:
        window = self.window.tolist() if isinstance(self.window, np.ndarray) else self.window
        return {"side": self.side, "window": window, "periodic": self.periodic, "scaling": self.scaling}


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
        from .saving.serialization import serialize_keras_object

        return {"seed": serialize_keras_object(self._init_seed)}


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
    """Variance scale / n, n being fan_in, fan_out or their mean: the family of Glorot, He and LeCun.

    Args:
        scale: A positive number.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
        seed: An integer or a SeedGenerator; None: from Python's `random`.
        input_axes, output_axes: Axes of inputs and outputs, where these are not the last two.

    Raises:
        ValueError: Values out of range.

    >>> from cnnexplain import keras
    >>> w = keras.initializers.VarianceScaling(2.0, "fan_in", "uniform", seed=1)((6, 4))
    >>> bool(abs(w.numpy()).max() <= 1.0)
    True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Any = None,
        output_axes: Any = None,
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
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed)

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        fan_in, fan_out = compute_fans(tuple(shape), self.input_axes, self.output_axes)
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
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
            **super().get_config(),
        }


def _scaling(name: str, scale: float, mode: str, distribution: str, text: str) -> type:
    """A named member of the family."""

    def __init__(self: Any, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed, input_axes, output_axes)

    def get_config(self: Any) -> dict:
        found = VarianceScaling.get_config(self)
        return {key: found[key] for key in ("seed", "input_axes", "output_axes")}

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
    GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal, STFT,
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
stft = STFT
STFTInitializer = STFT

_table: dict[str, type] = {cls.__name__: cls for cls in _CLASSES}
_table.update(
    constant=Constant, zeros=Zeros, ones=Ones, identity=Identity, random_normal=RandomNormal,
    truncated_normal=TruncatedNormal, random_uniform=RandomUniform, variance_scaling=VarianceScaling,
    glorot_uniform=GlorotUniform, glorot_normal=GlorotNormal, he_uniform=HeUniform, he_normal=HeNormal,
    lecun_uniform=LecunUniform, lecun_normal=LecunNormal, orthogonal=Orthogonal,
    uniform=RandomUniform, normal=RandomNormal, one=Ones, zero=Zeros, IdentityInitializer=Identity,
    OrthogonalInitializer=Orthogonal, stft=STFT, STFTInitializer=STFT,
)  # fmt: skip

get, _serialize, deserialize = make_get("initializer", _table, none=True)


def serialize(initializer: Any) -> Any:
    """Plain data that describes the initializer."""
    return _serialize(initializer)
