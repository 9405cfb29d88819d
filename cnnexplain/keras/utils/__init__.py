"""Small helpers: seeds, labels, images."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .numerical import normalize, set_random_seed, to_categorical
from .progbar import Progbar

if TYPE_CHECKING:
    from ..backend import clear_session, is_keras_tensor
    from ..config import (
        disable_interactive_logging,
        enable_interactive_logging,
        is_interactive_logging_enabled,
        standardize_dtype,
    )
    from ..saving.serialization import (
        CustomObjectScope,
        custom_object_scope,
        deserialize_keras_object,
        get_custom_objects,
        get_registered_name,
        get_registered_object,
        register_keras_serializable,
        serialize_keras_object,
    )
    from .dataset import image_dataset_from_directory
    from .files import get_file
    from .image import array_to_img, img_to_array, load_img, save_img
    from .model_plot import get_source_inputs, plot_model
    from .packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
    from .py_dataset import PyDataset, Sequence
    from .sequences import pad_sequences, timeseries_dataset_from_array
    from .splitting import split_dataset

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
    "PyDataset": "py_dataset",
    "Sequence": "py_dataset",
}
_ELSEWHERE = {
    "clear_session": "backend",
    "is_keras_tensor": "backend",
    "standardize_dtype": "config",
    "disable_interactive_logging": "config",
    "enable_interactive_logging": "config",
    "is_interactive_logging_enabled": "config",
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

__all__ = [
    "CustomObjectScope", "Progbar", "PyDataset", "Sequence", "array_to_img", "clear_session",
    "custom_object_scope", "deserialize_keras_object", "disable_interactive_logging",
    "enable_interactive_logging", "get_custom_objects", "get_file", "get_registered_name",
    "get_registered_object", "get_source_inputs", "image_dataset_from_directory", "img_to_array",
    "is_interactive_logging_enabled", "is_keras_tensor", "load_img", "normalize",
    "pack_x_y_sample_weight", "pad_sequences", "plot_model", "register_keras_serializable", "save_img",
    "serialize_keras_object", "set_random_seed", "split_dataset", "standardize_dtype",
    "timeseries_dataset_from_array", "to_categorical", "unpack_x_y_sample_weight",
]  # fmt: skip


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
