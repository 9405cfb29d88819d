"""Writing models to files and reading them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .serialization import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)

__all__ = [
    "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
    "get_registered_name", "get_registered_object", "load_model", "load_weights",
    "register_keras_serializable", "save_model", "save_weights", "serialize_keras_object",
]  # fmt: skip


def _npz(filepath: Any, what: str) -> str:
    path = os.fspath(filepath)
    if not path.endswith(".npz"):
        raise ValueError(
            f"`filepath` of {what} must end in '.npz'; '.keras' and '.h5' files are not supported yet. "
            f"Received: filepath={path}"
        )
    return path


def _free(path: str, overwrite: bool) -> None:
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists. Pass overwrite=True to replace it.")


def save_model(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes architecture and weights to a `.npz` file."""
    from . import npz

    path = _npz(filepath, "a model")
    _free(path, overwrite)
    npz.save(model, path)


def load_model(
    filepath: Any, custom_objects: dict | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Reads a model that `save_model` wrote."""
    from . import npz

    return npz.load_with_notes(_npz(filepath, "a model"), custom_objects)[0]


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes the weights to a `.npz` file, under their numbers."""
    path = _npz(filepath, "weights")
    _free(path, overwrite)
    with open(path, "wb") as file:
        np.savez(file, **{f"w{place}": array for place, array in enumerate(model.get_weights())})


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Reads weights that `save_weights` wrote."""
    with np.load(_npz(filepath, "weights"), allow_pickle=False) as archive:
        weights = [
            archive[f"w{place}"] for place in range(sum(name.startswith("w") for name in archive.files))
        ]
    variables = model.weights
    if not skip_mismatch:
        model.set_weights(weights)
        return
    for variable, weight in zip(variables, weights, strict=False):
        if tuple(variable.shape) == weight.shape:
            variable.assign(weight)
