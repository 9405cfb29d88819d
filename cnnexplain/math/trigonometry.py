"""Angles in radians, and the hyperbolic functions; all element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _core, _names
from .._convert import TENSORS, tensor

if TYPE_CHECKING:
    from ..tensor import Tensor


def sin(x: Any, name: str | None = None) -> Tensor:
    """The sine of an angle."""
    return _core.sin(x)


def cos(x: Any, name: str | None = None) -> Tensor:
    """The cosine of an angle."""
    return _core.cos(x)


def tan(x: Any, name: str | None = None) -> Tensor:
    """The tangent of an angle."""
    return _core.tan(x)


def asin(x: Any, name: str | None = None) -> Tensor:
    """The angle in [-pi/2, pi/2] whose sine is x; NaN beyond 1."""
    return _core.asin(x)


def acos(x: Any, name: str | None = None) -> Tensor:
    """The angle in [0, pi] whose cosine is x; NaN beyond 1."""
    return _core.acos(x)


def atan(x: Any, name: str | None = None) -> Tensor:
    """The angle in (-pi/2, pi/2) whose tangent is x."""
    return _core.atan(x)


def atan2(y: Any, x: Any, name: str | None = None) -> Tensor:
    """The angle in [-pi, pi] of the point (x, y).

    >>> import cnnexplain as tf
    >>> tf.math.atan2([0.0, 1.0], [-1.0, 0.0]).numpy().round(4)
    array([3.1416, 1.5708], dtype=float32)
    """
    return _core.atan2(y if isinstance(x, TENSORS) else tensor(y), x)


def sinh(x: Any, name: str | None = None) -> Tensor:
    """(exp(x) - exp(-x)) / 2."""
    return _core.sinh(x)


def cosh(x: Any, name: str | None = None) -> Tensor:
    """(exp(x) + exp(-x)) / 2."""
    return _core.cosh(x)


def tanh(x: Any, name: str | None = None) -> Tensor:
    """The hyperbolic tangent, between -1 and 1."""
    return _core.tanh(x)


def asinh(x: Any, name: str | None = None) -> Tensor:
    """The number whose sinh is x."""
    return _core.asinh(x)


def acosh(x: Any, name: str | None = None) -> Tensor:
    """The positive number whose cosh is x; NaN below 1."""
    return _core.acosh(x)


def atanh(x: Any, name: str | None = None) -> Tensor:
    """The number whose tanh is x; NaN beyond 1."""
    return _core.atanh(x)


_names.publish(__name__)
