"""The bits of whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _core, _names
from ._convert import TENSORS, tensor

if TYPE_CHECKING:
    from .tensor import Tensor


def _two(op: Callable, x: Any, y: Any) -> Any:
    return op(x if isinstance(y, TENSORS) else tensor(x), y)


def bitwise_and(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The bits that both have.

    >>> import cnnexplain as tf
    >>> tf.bitwise.bitwise_and([6, 5], 3).numpy()
    array([2, 1], dtype=int32)
    """
    return _two(_core.bitwise_and, x, y)


def bitwise_or(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The bits that at least one has."""
    return _two(_core.bitwise_or, x, y)


def bitwise_xor(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The bits that exactly one has."""
    return _two(_core.bitwise_xor, x, y)


def invert(x: Any, name: str | None = None) -> Tensor:
    """Each bit turned over: -1 - x of signed numbers."""
    x = tensor(x)
    return _core.bitwise_xor(x, -1 if x.dtype.min < 0 else x.dtype.max)


def left_shift(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The bits moved up by y places, at most the width less one."""
    return _two(_core.left_shift, x, y)


def right_shift(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The bits moved down by y places, at most the width less one; the sign stays."""
    return _two(_core.right_shift, x, y)


__all__ = _names.defined(__name__)
__getattr__ = _names.missing(__name__)
