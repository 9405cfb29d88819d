"""Models: functional, sequential and subclassed."""

from __future__ import annotations

from ..saving import load_model, save_model
from .cloning import clone_model
from .model import Functional, Model
from .sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


def model_from_json(json_string: str, custom_objects: dict | None = None) -> Model:
    """The model that `to_json` described, with new weights."""
    import json

    from ..saving.serialization import deserialize_keras_object

    return deserialize_keras_object(json.loads(json_string), custom_objects=custom_objects)
