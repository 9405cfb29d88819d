"""A model in one `.npz` file: the architecture as JSON text, and the weights."""

from __future__ import annotations

import json
import zipfile
from typing import Any

import numpy as np

from .serialization import deserialize_keras_object, serialize_keras_object


def save(model: Any, path: Any, **notes: Any) -> None:
    """Writes architecture, weights and `notes` (values that JSON takes)."""
    text = json.dumps({"model": serialize_keras_object(model), "notes": notes})
    arrays = {f"w{place}": array for place, array in enumerate(model.get_weights())}
    with open(path, "wb") as file:
        np.savez_compressed(file, architecture=np.frombuffer(text.encode(), np.uint8), **arrays)


def load_with_notes(path: Any, custom_objects: dict | None = None) -> tuple[Any, dict]:
    """The model that `save` wrote, and the notes."""
    with open(path, "rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            content = json.loads(archive["architecture"].tobytes().decode())
            weights = [archive[f"w{place}"] for place in range(len(archive.files) - 1)]
        except (ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                "`filepath` must be a model that `model.save` wrote; this file is damaged or something else. "
                f"Received: filepath={path}"
            ) from error
    model = deserialize_keras_object(content["model"], custom_objects=custom_objects)
    model.set_weights(weights)
    return model, content["notes"]


def save_weights(model: Any, path: Any) -> None:
    """Writes the weights under their numbers."""
    with open(path, "wb") as file:
        np.savez(file, **{f"w{place}": array for place, array in enumerate(model.get_weights())})


def load_weights(model: Any, path: Any, skip_mismatch: bool = False) -> None:
    """Reads weights that `save_weights` wrote."""
    with np.load(path, allow_pickle=False) as archive:
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
