"""Penalties on weights, added to the training loss."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .saving.serialization import make_get


class Regularizer:
    """A callable: weight tensor -> scalar penalty."""

    def __call__(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(self, x)`.")

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in self._names()}

    @classmethod
    def from_config(cls, config: dict) -> Regularizer:
        """The object that `get_config` described."""
        return cls(**config)

    def _names(self) -> tuple[str, ...]:
        return tuple(vars(self))


def _factor(name: str, value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(f"`{name}` must be a non-negative number. Received: {name}={value}")
    return float(value)


class L1L2(Regularizer):
    """l1 * sum|x| + l2 * sum(x^2)."""

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1 = _factor("l1", l1)
        self.l2 = _factor("l2", l2)

    def __call__(self, x: Any) -> Any:
        total = None
        if self.l1:
            total = _core.reduce_sum(_core.abs(x)) * self.l1
        if self.l2:
            term = _core.reduce_sum(_core.square(x)) * self.l2
            total = term if total is None else total + term
        return _core.tensor(0.0, dtype=x.dtype) if total is None else total


class L1(Regularizer):
    """l1 * sum|x|."""

    def __init__(self, l1: float = 0.01):
        self.l1 = _factor("l1", l1)

    def __call__(self, x: Any) -> Any:
        return _core.reduce_sum(_core.abs(x)) * self.l1


class L2(Regularizer):
    """l2 * sum(x^2)."""

    def __init__(self, l2: float = 0.01):
        self.l2 = _factor("l2", l2)

    def __call__(self, x: Any) -> Any:
        return _core.reduce_sum(_core.square(x)) * self.l2


l1 = L1
l2 = L2
l1_l2 = L1L2

get, serialize, deserialize = make_get(
    "regularizer", {"L1": L1, "L2": L2, "L1L2": L1L2, "l1": L1, "l2": L2, "l1_l2": L1L2}, none=True
)
