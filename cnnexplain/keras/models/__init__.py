"""Models: functional, sequential and subclassed."""

from __future__ import annotations

from typing import Any

from .cloning import clone_model
from .model import Functional, Model
from .sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


def model_from_json(json_string: str, custom_objects: dict | None = None) -> Model:
    """The model that `to_json` described, with new weights."""
    import json

    from ..saving.serialization import deserialize_keras_object

    return deserialize_keras_object(json.loads(json_string), custom_objects=custom_objects)


def load_model(
    filepath: Any, custom_objects: dict | None = None, compile: bool = True, safe_mode: bool = True
) -> Model:
    """Reads a model from a file."""
    from ..saving import load_model as load

    return load(filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def save_model(model: Model, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Writes a model to a file."""
    model.save(filepath, overwrite=overwrite, **kwargs)
