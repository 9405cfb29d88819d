"""Comparisons, truth values, and questions about single values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from ._base import alike, binary, numeric, out_of_numpy, real, tensor, unary

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "allclose", "equal", "greater", "greater_equal", "isclose", "isfinite", "isin", "isinf", "isnan",
    "isneginf", "isposinf", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "not_equal", "signbit",
]  # fmt: skip


def truth(x: Any) -> Tensor:
    """x as booleans."""
    x = tensor(x)
    return x if x.dtype.is_bool else _core.cast(x, dtype="bool")


equal = binary("equal", "x1 == x2.")
not_equal = binary("not_equal", "x1 != x2.")
greater = binary("greater", "x1 > x2.")
greater_equal = binary("greater_equal", "x1 >= x2.")
less = binary("less", "x1 < x2.")
less_equal = binary("less_equal", "x1 <= x2.")
logical_and = binary("logical_and", "Both are true.", kind=truth)
logical_or = binary("logical_or", "One or both are true.", kind=truth)
logical_xor = binary("logical_xor", "Exactly one is true.", "not_equal", truth)
isnan = unary("isnan", "Where x is not a number.")
isinf = unary("isinf", "Where x is infinite.")
isfinite = unary("isfinite", "Where x is a number and not infinite.")


def logical_not(x: Any) -> Tensor:
    """x is not true."""
    return _core.logical_not(truth(x))


def isposinf(x: Any) -> Tensor:
    """Where x is +infinity."""
    return _core.equal(real(x), math.inf)


def isneginf(x: Any) -> Tensor:
    """Where x is -infinity."""
    return _core.equal(real(x), -math.inf)


def signbit(x: Any) -> Tensor:
    """Where the sign is negative, -0.0 included."""
    x = numeric(x)
    return out_of_numpy("signbit", np.signbit, x, shape=x.shape, dtype="bool")


def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|x1 - x2| <= atol + rtol * |x2|, or equal infinities; NaN equals NaN if `equal_nan`."""
    a, b = map(real, alike(x1, x2))
    limit = _core.add(float(atol), _core.multiply(_core.abs(b), float(rtol)))
    near = _core.less_equal(_core.abs(_core.subtract(a, b)), limit)
    result = _core.logical_or(_core.equal(a, b), _core.logical_and(near, isfinite(b)))
    return _core.logical_or(result, _core.logical_and(isnan(a), isnan(b))) if equal_nan else result


def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all are close, as `isclose` says."""
    return _core.reduce_all(isclose(x1, x2, rtol, atol, equal_nan))


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Where the elements of x1 are among those of x2.

    >>> from cnnexplain import keras
    >>> keras.ops.isin([1, 2, 3], [3, 1]).numpy()
    array([ True, False,  True])
    """
    a, b = alike(x1, x2)
    found = out_of_numpy("isin", np.isin, a, b, shape=a.shape, dtype="bool")
    return _core.logical_not(found) if invert else found
