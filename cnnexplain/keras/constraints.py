"""Projections applied to a weight after each training step."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from . import config
from .convert import as_real
from .regularizers import Regularizer
from .saving.serialization import make_get

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm",
    "min_max_norm", "non_neg", "serialize", "unit_norm",
]  # fmt: skip


class Constraint(Regularizer):
    """A callable: weight tensor -> weight tensor of the same shape.

    >>> from cnnexplain import keras
    >>> keras.constraints.UnitNorm()([[3.0], [4.0]]).numpy().round(2)
    array([[0.6],
           [0.8]], dtype=float32)
    """

    def __call__(self, w: Any) -> Any:
        return w


def _norms(w: Any, axis: Any) -> Any:
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    return _core.sqrt(_core.reduce_sum(_core.square(w), axis=axes, keepdims=True))


class MaxNorm(Constraint):
    """Scales down what is longer than `max_value` along `axis`."""

    def __init__(self, max_value: float = 2, axis: Any = 0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = as_real(w)
        norms = _norms(w, self.axis)
        return w * (_core.clip(norms, low=0.0, high=float(self.max_value)) / (norms + config.epsilon()))


class NonNeg(Constraint):
    """Sets negative weights to 0."""

    def __call__(self, w: Any) -> Any:
        return _core.maximum(as_real(w), 0.0)


class UnitNorm(Constraint):
    """Scales to length 1 along `axis`."""

    def __init__(self, axis: Any = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = as_real(w)
        return w / (_norms(w, self.axis) + config.epsilon())


class MinMaxNorm(Constraint):
    """Moves the length along `axis` towards [min_value, max_value] by `rate`."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = as_real(w)
        norms = _norms(w, self.axis)
        wanted = _core.clip(norms, low=float(self.min_value), high=float(self.max_value))
        wanted = wanted * self.rate + norms * (1.0 - self.rate)
        return w * (wanted / (norms + config.epsilon()))


max_norm = MaxNorm
non_neg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm

get, _serialize, deserialize = make_get(
    "constraint",
    {
        "MaxNorm": MaxNorm,
        "NonNeg": NonNeg,
        "UnitNorm": UnitNorm,
        "MinMaxNorm": MinMaxNorm,
        "max_norm": MaxNorm,
        "non_neg": NonNeg,
        "unit_norm": UnitNorm,
        "min_max_norm": MinMaxNorm,
    },
    none=True,
)


def serialize(constraint: Any) -> Any:
    """Plain data that describes the constraint."""
    return _serialize(constraint)
