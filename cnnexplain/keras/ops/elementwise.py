"""Functions of each element: arithmetic, powers, logarithms, angles, bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from ._base import (
    alike,
    binary,
    cast_to,
    named,
    numeric,
    out_of_numpy,
    real,
    spread,
    tensor,
    unary,
)

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "abs", "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "cbrt", "ceil", "clip", "copy", "cos", "cosh",
    "deg2rad", "divide", "divide_no_nan", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "fabs", "floor",
    "floor_divide", "fmax", "fmin", "fmod", "gcd", "heaviside", "hypot", "i0", "lcm", "ldexp",
    "left_shift", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "maximum", "minimum", "mod",
    "multiply", "nan_to_num", "negative", "nextafter", "power", "rad2deg", "reciprocal",
    "right_shift", "round", "rsqrt", "sign", "sin", "sinc", "sinh", "sqrt", "square", "subtract", "tan",
    "tanh", "true_divide", "trunc",
]  # fmt: skip

abs = unary("abs", "Absolute values.", numeric)
absolute = unary("absolute", "Absolute values.", numeric, "abs")
negative = unary("negative", "-x.", numeric)
square = unary("square", "x * x.", numeric)
sign = unary("sign", "-1, 0 or 1.", numeric)
sqrt = unary("sqrt", "Square roots.")
rsqrt = unary("rsqrt", "1 / sqrt(x).")
exp = unary("exp", "Exponentials.")
expm1 = unary("expm1", "exp(x) - 1, exact near 0.")
log = unary("log", "Natural logarithms.")
log1p = unary("log1p", "log(1 + x), exact near 0.")
sin = unary("sin", "Sines.")
cos = unary("cos", "Cosines.")
tan = unary("tan", "Tangents.")
arcsin = unary("arcsin", "The angle in [-pi/2, pi/2] whose sine is x.", op="asin")
arccos = unary("arccos", "The angle in [0, pi] whose cosine is x.", op="acos")
arctan = unary("arctan", "The angle in (-pi/2, pi/2) whose tangent is x.", op="atan")
sinh = unary("sinh", "(exp(x) - exp(-x)) / 2.")
cosh = unary("cosh", "(exp(x) + exp(-x)) / 2.")
tanh = unary("tanh", "sinh(x) / cosh(x).")
arcsinh = unary("arcsinh", "The inverse of sinh.", op="asinh")
arccosh = unary("arccosh", "The inverse of cosh on [1, inf).", op="acosh")
arctanh = unary("arctanh", "The inverse of tanh on (-1, 1).", op="atanh")
floor = unary("floor", "The next whole number below.")
ceil = unary("ceil", "The next whole number above.")
erf = unary("erf", "2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.")
copy = unary("copy", "A copy.", tensor, "identity")

add = binary("add", "x1 + x2.", kind=numeric)
subtract = binary("subtract", "x1 - x2.")
multiply = binary("multiply", "x1 * x2.", kind=numeric)
floor_divide = binary("floor_divide", "The whole number below x1 / x2.", kind=numeric)
mod = binary("mod", "x1 - floor(x1 / x2) * x2, with the sign of x2.", "floor_mod", numeric)
maximum = binary("maximum", "The greater of the two.", kind=numeric)
minimum = binary("minimum", "The lesser of the two.", kind=numeric)
arctan2 = binary("arctan2", "The angle of the point (x2, x1).", "atan2", real)
power = binary("power", "x1 to the power x2.", "pow", numeric)
divide = binary("divide", "x1 / x2.", kind=real)
true_divide = binary("true_divide", "x1 / x2.", "divide", real)


def _scaled(x: Any, factor: float) -> Any:
    return _core.multiply(real(x), factor)


def exp2(x: Any) -> Tensor:
    """2 to the power x."""
    return _core.exp(_scaled(x, math.log(2.0)))


def log2(x: Any) -> Tensor:
    """Logarithms to the base 2."""
    return _core.divide(_core.log(real(x)), math.log(2.0))


def log10(x: Any) -> Tensor:
    """Logarithms to the base 10."""
    return _core.divide(_core.log(real(x)), math.log(10.0))


def deg2rad(x: Any) -> Tensor:
    """Degrees as radians."""
    return _scaled(x, math.pi / 180.0)


def rad2deg(x: Any) -> Tensor:
    """Radians as degrees."""
    return _scaled(x, 180.0 / math.pi)


def reciprocal(x: Any) -> Tensor:
    """1 / x."""
    return _core.divide(1.0, real(x))


def fabs(x: Any) -> Tensor:
    """Absolute values, as floats."""
    return _core.abs(real(x))


def cbrt(x: Any) -> Tensor:
    """Cube roots."""
    x = real(x)
    return _core.multiply(_core.sign(x), _core.pow(_core.abs(x), 1.0 / 3.0))


def round(x: Any, decimals: int = 0) -> Tensor:
    """To so many decimals, half to even."""
    x = numeric(x)
    if not decimals:
        return _core.round(x) if x.dtype.is_floating else x
    factor = 10.0**decimals
    rounded = _core.divide(_core.round(_core.multiply(real(x), factor)), factor)
    return cast_to(rounded, x.dtype.name)


def trunc(x: Any) -> Tensor:
    """The whole part, towards 0."""
    x = numeric(x)
    return _core.multiply(_core.sign(x), _core.floor(_core.abs(x))) if x.dtype.is_floating else x


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """Values below `x_min` raised to it, above `x_max` lowered."""
    numbers = (int, float, np.integer, np.floating)
    x = numeric(x)
    if isinstance(x_min, numbers) and isinstance(x_max, numbers) and x.dtype.is_floating:
        return _core.clip(x, low=float(x_min), high=float(x_max))
    x, low, high = alike(x, x_min, x_max)
    return _core.minimum(_core.maximum(x, low), high)


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """x1 / x2, 0 where x2 is 0."""
    a, b = map(real, alike(x1, x2))
    zero = _core.equal(b, 0.0)
    return _core.where(0.0, _core.divide(a, _core.where(1.0, b, zero)), zero)


def fmod(x1: Any, x2: Any) -> Tensor:
    """The remainder of x1 / x2 with the sign of x1."""
    a, b = map(numeric, alike(x1, x2))
    return _core.multiply(_core.sign(a), _core.floor_mod(_core.abs(a), _core.abs(b)))


def _not_nan(name: str, text: str) -> Callable[..., Tensor]:
    def apply(x1: Any, x2: Any) -> Any:
        a, b = map(numeric, alike(x1, x2))
        chosen = getattr(_core, name)(a, b)
        return _core.where(b, _core.where(a, chosen, _core.not_equal(b, b)), _core.not_equal(a, a))

    return named(apply, f"f{name[:3]}", text)


fmax = _not_nan("maximum", "The greater of the two; NaN only where both are.")
fmin = _not_nan("minimum", "The lesser of the two; NaN only where both are.")


def hypot(x1: Any, x2: Any) -> Tensor:
    """sqrt(x1^2 + x2^2), without overflow."""
    a, b = (_core.abs(real(x)) for x in alike(x1, x2))
    long, short = _core.maximum(a, b), _core.minimum(a, b)
    zero = _core.equal(long, 0.0)
    ratio = _core.divide(short, _core.where(1.0, long, zero))
    return _core.multiply(long, _core.sqrt(_core.add(1.0, _core.square(ratio))))


def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 where x1 < 0, 1 where x1 > 0, x2 where x1 is 0."""
    a, b = map(numeric, alike(x1, x2))
    step = cast_to(_core.greater(a, 0), a.dtype.name)
    return _core.where(b, step, _core.equal(a, 0))


def _log_of_sum(x1: Any, x2: Any, base: float) -> Any:
    a, b = map(real, alike(x1, x2))
    distance = _core.subtract(a, b)
    far = _core.not_equal(distance, distance)
    near = _core.where(0.0, distance, far)
    size = _core.log1p(_core.exp(_core.multiply(_core.negative(_core.abs(near)), base)))
    return _core.where(_core.add(a, b), _core.add(_core.maximum(a, b), _core.divide(size, base)), far)


def logaddexp(x1: Any, x2: Any) -> Tensor:
    """log(exp(x1) + exp(x2)), without overflow."""
    return _log_of_sum(x1, x2, 1.0)


def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """log2(2^x1 + 2^x2), without overflow."""
    return _log_of_sum(x1, x2, math.log(2.0))


def ldexp(x1: Any, x2: Any) -> Tensor:
    """x1 * 2^x2."""
    a = real(x1)
    return _core.multiply(a, _core.exp(_core.multiply(tensor(x2, a.dtype.name), math.log(2.0))))


def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    x = _scaled(x, math.pi)
    zero = _core.equal(x, 0.0)
    safe = _core.where(1.0, x, zero)
    return _core.where(1.0, _core.divide(_core.sin(safe), safe), zero)


def i0(x: Any) -> Tensor:
    """The modified Bessel function of order 0.

    I0(x) is the mean of cosh(x cos t) over t in [0, pi/2]; the trapezoidal rule is exact to the last digits.
    """
    x = real(x)
    count = 128
    nodes = np.cos(np.arange(count + 1) * np.pi / (2 * count))
    weights = np.full(count + 1, 1.0 / count)
    weights[[0, -1]] /= 2.0
    name = x.dtype.name
    from .shaping import expand_dims

    grid = _core.multiply(expand_dims(x, -1), _core.tensor(nodes.astype(name)))
    both = _core.add(_core.exp(grid), _core.exp(_core.negative(grid)))
    return _core.reduce_sum(_core.multiply(both, _core.tensor((weights / 2).astype(name))), axis=[-1])


def erfc(x: Any) -> Tensor:
    """1 - erf(x)."""
    return _core.subtract(1.0, _core.erf(real(x)))


def _erfinv(x: np.ndarray) -> np.ndarray:
    quantile, scale = NormalDist().inv_cdf, math.sqrt(2.0)

    def one(value: float) -> float:
        if not -1.0 < value < 1.0:
            return math.copysign(math.inf, value) if math.fabs(value) == 1.0 else math.nan
        y = (
            quantile((value + 1.0) / 2.0) / scale
            if math.fabs(value) > 1e-8
            else value * math.sqrt(math.pi) / 2
        )
        return y - (math.erf(y) - value) * math.sqrt(math.pi) / 2 * math.exp(y * y)

    return np.array([one(float(value)) for value in x.reshape(-1)]).reshape(x.shape)


def erfinv(x: Any) -> Tensor:
    """The inverse of erf on (-1, 1)."""
    x = real(x)
    return out_of_numpy(
        "erfinv", _erfinv, x, shape=x.shape, dtype=x.dtype.name,
        gradient=lambda dy, y, x: [dy * (math.sqrt(math.pi) / 2) * np.exp(y * y)],
    )  # fmt: skip


def nextafter(x1: Any, x2: Any) -> Tensor:
    """The next number after x1 towards x2."""
    a, b = map(real, alike(x1, x2))
    step = out_of_numpy(
        "nextafter",
        lambda p, q: np.nextafter(p, q) - p,
        _core.stop_gradient(a),
        _core.stop_gradient(b),
        shape=spread(a.shape, b.shape),
        dtype=a.dtype.name,
    )
    return _core.add(a, _core.stop_gradient(step))


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """With numbers for NaN and the infinities; None: the greatest and the least number of the dtype."""
    x = numeric(x)
    if not x.dtype.is_floating:
        return x
    high = x.dtype.max if posinf is None else posinf
    low = x.dtype.min if neginf is None else neginf
    x = _core.where(float(nan), x, _core.not_equal(x, x))
    x = _core.where(float(high), x, _core.equal(x, math.inf))
    return _core.where(float(low), x, _core.equal(x, -math.inf))


def _whole(x: Any) -> Any:
    if x.dtype.is_floating:
        raise TypeError(f"Bits and divisors are those of integers. Received: dtype={x.dtype.name}")
    return x


def _bits(name: str, text: str, op: str | None = None) -> Callable[..., Tensor]:
    both = binary(name, text, op, _whole)

    def apply(x: Any, y: Any) -> Any:
        return both(x, y)

    return named(apply, name, text)


bitwise_and = _bits("bitwise_and", "The bits that both have.")
bitwise_or = _bits("bitwise_or", "The bits that one of them has.")
bitwise_xor = _bits("bitwise_xor", "The bits that exactly one has.")
left_shift = _bits("left_shift", "The bits of x moved up by y places.")
right_shift = _bits("right_shift", "The bits of x moved down by y places.")
bitwise_left_shift = _bits("bitwise_left_shift", "The bits of x moved up by y places.", "left_shift")
bitwise_right_shift = _bits("bitwise_right_shift", "The bits of x moved down by y places.", "right_shift")


def bitwise_not(x: Any) -> Tensor:
    """Each bit turned over."""
    x = _whole(tensor(x))
    if x.dtype.is_bool:
        return _core.logical_not(x)
    return _core.bitwise_xor(x, _core.tensor(np.asarray(~np.zeros((), x.dtype.name))))


def bitwise_invert(x: Any) -> Tensor:
    """Each bit turned over."""
    return bitwise_not(x)


def _of_integers(name: str, text: str) -> Callable[..., Tensor]:
    def apply(x1: Any, x2: Any) -> Any:
        a, b = map(_whole, alike(x1, x2))
        shape = spread(a.shape, b.shape)
        return out_of_numpy(name, getattr(np, name), a, b, shape=shape, dtype=a.dtype.name)

    return named(apply, name, text)


gcd = _of_integers("gcd", "The greatest common divisor of whole numbers.")
lcm = _of_integers("lcm", "The least common multiple of whole numbers.")
