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
        initializers,
        layers,
        learning_rates,
        losses,
        metrics,
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
    from .initializers import Initializer
    from .layers import Input, InputSpec, Layer
    from .losses import Loss
    from .metrics import Metric
    from .models import Functional, Model, Sequential
    from .optimizers import Optimizer
    from .random import SeedGenerator
    from .regularizers import Regularizer

__version__ = "3.15.1"

_MODULES = (
    "activations", "applications", "backend", "callbacks", "config", "constraints", "datasets",
    "initializers", "layers", "learning_rates", "losses", "metrics", "models", "ops", "optimizers",
    "preprocessing", "random", "regularizers", "saving", "tracing", "tree", "utils",
)  # fmt: skip
_NAMES = {
    "Functional": "models",
    "Initializer": "initializers",
    "Input": "layers",
    "InputSpec": "layers",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "SeedGenerator": "random",
    "Sequential": "models",
}

__all__ = [
    "Functional", "Initializer", "Input", "InputSpec", "Layer", "Loss", "Metric", "Model", "Optimizer",
    "Regularizer", "SeedGenerator", "Sequential", "activations", "applications", "backend", "callbacks",
    "config", "constraints", "datasets", "initializers", "layers", "learning_rates", "losses", "metrics",
    "models", "ops", "optimizers", "preprocessing", "random", "regularizers", "saving", "tracing",
    "tree", "utils",
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
