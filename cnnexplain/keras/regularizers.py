"""Penalties on weights, added to the training loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnexplain import _core

from .losses.distances import unit
from .saving.serialization import make_get

__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]  # fmt: skip


class Regularizer:
    """A callable: weight tensor -> scalar penalty.

    >>> from cnnexplain import keras
    >>> float(keras.regularizers.L1L2(l1=1.0, l2=2.0)(keras.ops.ones((3,))))
    9.0
    """

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


def _factor(name: str, value: Any, default: float = 0.0) -> float:
    if value is None:
        return default
    whole = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not whole or not math.isfinite(value) or value < 0:
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
        self.l1 = _factor("l1", l1, 0.01)

    def __call__(self, x: Any) -> Any:
        return _core.reduce_sum(_core.abs(x)) * self.l1


class L2(Regularizer):
    """l2 * sum(x^2)."""

    def __init__(self, l2: float = 0.01):
        self.l2 = _factor("l2", l2, 0.01)

    def __call__(self, x: Any) -> Any:
        return _core.reduce_sum(_core.square(x)) * self.l2


class OrthogonalRegularizer(Regularizer):
    """factor * the mean |cosine| of the angles between rows (or columns): 0 where they are orthogonal.

    Args:
        factor: A non-negative number.
        mode: "rows" or "columns".

    Raises:
        ValueError: Values out of range, or an input that is no matrix.

    >>> from cnnexplain import keras
    >>> round(float(keras.regularizers.OrthogonalRegularizer(0.5)(keras.ops.ones((2, 3)))), 4)
    0.5
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = _factor("factor", factor)
        if factor is None or mode not in ("rows", "columns"):
            raise ValueError(
                f"`mode` must be 'rows' or 'columns' and `factor` a number. Received: factor={factor}, "
                f"mode={mode}"
            )
        self.mode = mode

    def __call__(self, inputs: Any) -> Any:
        if len(inputs.shape) != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: "
                f"inputs.shape={tuple(inputs.shape)}"
            )
        rows = self.mode == "rows"
        size = inputs.shape[0 if rows else 1]
        inputs = unit(inputs, 1 if rows else 0)
        product = _core.matmul(inputs, inputs, transpose_a=not rows, transpose_b=rows)
        apart = _core.tensor(1.0 - np.eye(size, dtype=inputs.dtype.name))
        pairs = max(size * (size - 1.0) / 2.0, 1.0)
        return _core.reduce_sum(_core.abs(product * apart)) * (self.factor * 0.5 / pairs)


l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

_table: dict[str, Any] = {cls.__name__: cls for cls in (L1, L2, L1L2, OrthogonalRegularizer)}
_table.update(l1=L1, l2=L2, l1_l2=L1L2, l1l2=L1L2, orthogonal_regularizer=OrthogonalRegularizer)

get, _serialize, deserialize = make_get("regularizer", _table, none=True)


def serialize(regularizer: Any) -> Any:
    """Plain data that describes the regularizer."""
    return _serialize(regularizer)
