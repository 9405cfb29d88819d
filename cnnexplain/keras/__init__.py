"""Keras's part: layers, models, losses, optimizers and what belongs to them, by Keras 3's names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        activations,
        applications,
        backend,
        callbacks,
        config,
        constraints,
        datasets,
        dtype_policies,
        initializers,
        layers,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        preprocessing,
        random,
        regularizers,
        saving,
        tracing,
        tree,
        utils,
    )
    from .dtype_policies import DTypePolicy, FloatDTypePolicy
    from .initializers import Initializer
    from .layers import Input, InputSpec, Layer
    from .losses import Loss
    from .metrics import Metric
    from .models import Functional, Model, Sequential
    from .optimizers import Optimizer
    from .random import SeedGenerator
    from .regularizers import Regularizer
    from .scopes import device, name_scope
    from .symbol import KerasTensor
    from .variable import Variable

__version__ = "3.15.1"

_MODULES = (
    "activations", "applications", "backend", "callbacks", "config", "constraints", "datasets",
    "dtype_policies", "initializers", "layers", "losses", "metrics", "mixed_precision", "models", "ops",
    "optimizers", "preprocessing", "random", "regularizers", "saving", "tracing", "tree", "utils",
)  # fmt: skip
_NAMES = {
    "DTypePolicy": "dtype_policies",
    "FloatDTypePolicy": "dtype_policies",
    "Functional": "models",
    "Initializer": "initializers",
    "Input": "layers",
    "InputSpec": "layers",
    "KerasTensor": "symbol",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "SeedGenerator": "random",
    "Sequential": "models",
    "Variable": "variable",
    "device": "scopes",
    "name_scope": "scopes",
}

__all__ = [
    "DTypePolicy", "FloatDTypePolicy", "Functional", "Initializer", "Input", "InputSpec", "KerasTensor",
    "Layer", "Loss", "Metric", "Model", "Optimizer", "Regularizer", "SeedGenerator", "Sequential",
    "Variable", "activations", "applications", "backend", "callbacks", "config", "constraints",
    "datasets", "device", "dtype_policies", "initializers", "layers", "losses", "metrics", "mixed_precision",
    "models", "name_scope", "ops", "optimizers", "preprocessing", "random", "regularizers", "saving",
    "tracing", "tree", "utils",
]  # fmt: skip


def version() -> str:
    """The version of Keras whose behaviour is followed."""
    return __version__


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
