"""Small helpers: seeds, labels, images."""

from __future__ import annotations

import importlib
from typing import Any

from .numerical import normalize, set_random_seed, to_categorical
from .progbar import Progbar

_LAZY = {
    "array_to_img": "image",
    "img_to_array": "image",
    "load_img": "image",
    "save_img": "image",
    "get_file": "files",
    "image_dataset_from_directory": "dataset",
    "pack_x_y_sample_weight": "packing",
    "unpack_x_y_sample_weight": "packing",
    "pad_sequences": "sequences",
    "timeseries_dataset_from_array": "sequences",
    "split_dataset": "splitting",
    "get_source_inputs": "model_plot",
    "plot_model": "model_plot",
    "PyDataset": "sequence",
    "Sequence": "sequence",
}
_ELSEWHERE = {
    "clear_session": "backend",
    "is_keras_tensor": "backend",
    "standardize_dtype": "config",
}
_SAVING = (
    "custom_object_scope",
    "CustomObjectScope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
    "deserialize_keras_object",
)

__all__ = ["Progbar", "normalize", "set_random_seed", "to_categorical", *_LAZY, *_ELSEWHERE, *_SAVING]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f"cnnexplain.keras.{_ELSEWHERE[name]}"), name)
    if name in _SAVING:
        from ..saving import serialization

        return getattr(serialization, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
