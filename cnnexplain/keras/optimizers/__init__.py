"""Optimizers. `fit` takes whole steps in the engine; `apply_gradients` steps on gradients from a tape."""

from __future__ import annotations

from typing import Any

from ..saving.serialization import custom_object_scope, make_get, serialize_keras_object
from . import schedules
from .adaptive import Adafactor, Adam, Adamax, AdamW, Lamb, Nadam, ScheduleFreeAdamW
from .base import Optimizer
from .descent import SGD, Adadelta, Adagrad, Ftrl, Lion, RMSprop
from .loss_scale import LossScaleOptimizer
from .muon import Muon

__all__ = [
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion",
    "LossScaleOptimizer", "Muon", "Nadam", "Optimizer", "RMSprop", "SGD", "ScheduleFreeAdamW",
    "deserialize", "get", "schedules", "serialize",
]  # fmt: skip

_GONE = {
    "MultiOptimizer": "Call `apply` of several optimizers in a `train_step` of your own.",
    "OptimizerMap": "Call `apply` of several optimizers in a `train_step` of your own.",
    "legacy": "It is no longer supported in Keras 3: the optimizers are in `keras.optimizers`.",
}


def __getattr__(name: str) -> Any:
    why = f"; {_GONE[name]}" if name in _GONE else ""
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'{why}")


_CLASSES = (
    SGD, RMSprop, Adam, AdamW, Adadelta, Adagrad, Adamax, Nadam, Ftrl, Lion, Lamb, Adafactor, Muon,
    ScheduleFreeAdamW, LossScaleOptimizer,
)  # fmt: skip
_get, _, _ = make_get(
    "optimizer", {name: cls for cls in _CLASSES for name in (cls.__name__, cls.__name__.lower())}
)


def serialize(optimizer: Any) -> Any:
    """Plain data that describes the optimizer."""
    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The optimizer that `serialize` described."""
    with custom_object_scope(custom_objects or {}):
        if isinstance(config, dict) and str(config.get("class_name")).lower() == config.get("class_name"):
            return _get(config["class_name"].lower()).from_config(config["config"])
        return _get(config)


def get(identifier: Any) -> Any:
    """The optimizer for a name, a config dict, a class or an optimizer; None stays None.

    Example:
        >>> from cnnexplain import keras
        >>> type(keras.optimizers.get("adam")).__name__
        'Adam'
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    else:
        found = _get(identifier.lower() if isinstance(identifier, str) else identifier)
    if not isinstance(found, Optimizer):
        raise ValueError(f"Could not interpret optimizer identifier: {identifier}")
    return found
