"""Checks of values: each raises ValueError with the first bad place, or does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _names
from ._convert import TENSORS, number, tensor, values
from .dtypes import TensorShape, as_dtype


def _check(holds: np.ndarray, what: str, message: str | None, *shown: np.ndarray) -> None:
    """Raises unless all hold; names the first place that does not and the values there."""
    if holds.all():
        return
    place = tuple(int(i) for i in np.argwhere(~holds)[0])
    there = ", ".join(str(np.broadcast_to(array, holds.shape)[place]) for array in shown)
    raise ValueError(f"{message + ': ' if message else ''}{what} does not hold at {place}. Received: {there}")


def _comparison(name: str, symbol: str, compare: Callable) -> Callable:
    def check(
        x: Any, y: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> None:
        first, second = values(tensor(x), "x"), values(tensor(y), "y")
        _check(np.asarray(compare(first, second)), f"x {symbol} y", message, first, second)

    check.__name__ = check.__qualname__ = name
    check.__module__ = __name__
    check.__doc__ = f"Raises ValueError unless x {symbol} y everywhere."
    return check


assert_equal = _comparison("assert_equal", "==", np.equal)
assert_none_equal = _comparison("assert_none_equal", "!=", np.not_equal)
assert_greater = _comparison("assert_greater", ">", np.greater)
assert_greater_equal = _comparison("assert_greater_equal", ">=", np.greater_equal)
assert_less = _comparison("assert_less", "<", np.less)
assert_less_equal = _comparison("assert_less_equal", "<=", np.less_equal)


def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    message: str | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> None:
    """Raises ValueError unless |x - y| <= atol + rtol |y| everywhere; the default is ten times the rounding.

    >>> import cnnexplain as tf
    >>> tf.debugging.assert_near([1.0], [1.5])
    Traceback (most recent call last):
    ValueError: x is near y does not hold at (0,). Received: 1.0, 1.5
    """
    first, second = values(tensor(x), "x"), values(tensor(y), "y")
    rounding = 10 * np.finfo(first.dtype if first.dtype.kind == "f" else np.float32).eps
    limit = (rounding if atol is None else atol) + (rounding if rtol is None else rtol) * np.abs(second)
    _check(np.abs(first - second) <= limit, "x is near y", message, first, second)


def _sign(name: str, what: str, compare: Callable) -> Callable:
    def check(
        x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> None:
        array = values(tensor(x), "x")
        _check(np.asarray(compare(array, 0)), f"x {what}", message, array)

    check.__name__ = check.__qualname__ = name
    check.__module__ = __name__
    check.__doc__ = f"Raises ValueError unless x {what} everywhere."
    return check


assert_positive = _sign("assert_positive", "> 0", np.greater)
assert_negative = _sign("assert_negative", "< 0", np.less)
assert_non_negative = _sign("assert_non_negative", ">= 0", np.greater_equal)
assert_non_positive = _sign("assert_non_positive", "<= 0", np.less_equal)


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    """The tensor, after checking that nothing in it is infinite or NaN.

    >>> import cnnexplain as tf
    >>> tf.debugging.check_numerics([1.0, float("nan")], "loss")
    Traceback (most recent call last):
    ValueError: loss: finite does not hold at (1,). Received: nan
    """
    array = values(_tensor(tensor), "tensor")
    _check(np.isfinite(array), "finite", message, array)
    return _tensor(tensor)


_tensor = tensor


def assert_all_finite(x: Any, message: str, name: str | None = None) -> Any:
    """x, after checking that nothing in it is infinite or NaN."""
    return check_numerics(x, message)


def Assert(condition: Any, data: Any = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raises ValueError with the data unless the condition holds."""
    if not np.asarray(values(condition, "condition")).all():
        raise ValueError(f"the condition does not hold. Received: {data}")


def _shape(x: Any) -> TensorShape:
    return tensor(x).shape


def assert_rank(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless x has so many dimensions."""
    if len(_shape(x)) != number(rank, "rank"):
        raise ValueError(message or f"`x` must have rank {rank}. Received: x.shape={tuple(_shape(x))}")


def assert_rank_at_least(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless x has at least so many dimensions."""
    if len(_shape(x)) < number(rank, "rank"):
        raise ValueError(
            message or f"`x` must have rank {rank} or more. Received: x.shape={tuple(_shape(x))}"
        )


def assert_scalar(tensor: Any, message: str | None = None, name: str | None = None) -> Any:
    """The tensor, after checking that it has no dimensions."""
    assert_rank(tensor, 0, message)
    return _tensor(tensor)


def assert_shapes(
    shapes: Any, data: Any = None, summarize: Any = None, message: str | None = None, name: Any = None
) -> None:
    """Checks tensors against shapes whose items are sizes, or names that must mean one size throughout.

    >>> import cnnexplain as tf
    >>> tf.debugging.assert_shapes([(tf.zeros((2, 3)), ("n", "k")), (tf.zeros((3,)), ("k",))])
    """
    known: dict[str, int] = {}
    for x, wanted in shapes.items() if isinstance(shapes, dict) else shapes:
        found = _shape(x)
        if len(found) != len(wanted):
            raise ValueError(
                message or f"a tensor must have shape {tuple(wanted)}. Received: shape={tuple(found)}"
            )
        for size, symbol in zip(found, wanted, strict=True):
            if symbol is None or symbol == "*":
                continue
            expected = symbol if isinstance(symbol, int) else known.setdefault(symbol, size)
            if size != expected:
                raise ValueError(
                    message or f"a tensor must have shape {tuple(wanted)}. Received: shape={tuple(found)}"
                )


def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises TypeError unless the tensor has this dtype."""
    kind = _tensor(tensor).dtype
    if kind != as_dtype(tf_type):
        raise TypeError(
            message or f"`tensor` must have dtype {as_dtype(tf_type).name}. Received: dtype={kind.name}"
        )


def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises TypeError unless x holds whole numbers."""
    if not tensor(x).dtype.is_integer:
        raise TypeError(message or f"`x` must hold integers. Received: x.dtype={tensor(x).dtype.name}")


def is_numeric_tensor(tensor: Any) -> bool:
    """Is it a tensor of numbers?"""
    return isinstance(tensor, TENSORS) and tensor.dtype != "bool"


def set_log_device_placement(enabled: bool) -> None:
    """No effect: there is one device."""


__all__ = _names.defined(__name__)
__getattr__ = _names.missing(__name__)
