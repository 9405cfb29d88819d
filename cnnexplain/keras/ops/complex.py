"""The functions of complex numbers as they are on real ones: there are no complex tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cnnexplain import _core

from ._base import constant_like, tensor, unary
from ._base import real as as_real

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = ["angle", "conj", "conjugate", "imag", "isreal", "real"]

real = unary("real", "x: its real part.", tensor, "identity")
conj = unary("conj", "x: it is its own conjugate.", tensor, "identity")
conjugate = unary("conjugate", "x: it is its own conjugate.", tensor, "identity")


def imag(x: Any) -> Tensor:
    """0 everywhere: the imaginary part of real numbers."""
    x = tensor(x)
    return constant_like(x, 0, x.dtype.name)


def isreal(x: Any) -> Tensor:
    """True everywhere."""
    return constant_like(tensor(x), True, "bool")


def angle(x: Any) -> Tensor:
    """The angle of a real number: pi where x is negative, 0 elsewhere."""
    x = as_real(x)
    return _core.where(
        _core.tensor(math.pi, x.dtype.name), _core.tensor(0.0, x.dtype.name), _core.less(x, 0.0)
    )
