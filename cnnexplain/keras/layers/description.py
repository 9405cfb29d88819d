"""Layers as plain data: configuration, build shapes, pickling."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tree
from ..saving.serialization import deserialize_keras_object, serialize_keras_object

# Options of Keras that are accepted as None, and not stored; the base class sees to the last two.
_UNSTORED = ("lora_rank", "lora_alpha", "gptq_unpacked_column_size", "activity_regularizer", "autocast")


def policy(dtype: str) -> dict:
    """A dtype as configurations hold it."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": dtype},
        "registered_name": None,
    }


class Described:
    """`get_config` and its relatives."""

    if TYPE_CHECKING:  # what the rest of Layer has

        def __getattr__(self, name: str) -> Any: ...

    def get_config(self) -> dict:
        """The constructor's arguments as plain data."""
        settings: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": policy(self.dtype),
        }
        cls = type(self)
        every = list(inspect.signature(cls.__init__).parameters.values())[1:]
        parameters = [
            p.name
            for p in every
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in _UNSTORED
        ]
        if cls.__module__.startswith("cnnexplain."):
            for key in parameters:
                if key not in settings:
                    settings[key] = plain_data(getattr(self, key))
            if not any(p.kind is p.VAR_KEYWORD or p.name == "trainable" for p in every):
                del settings["trainable"]
            if any(p.name == "activity_regularizer" for p in every):
                settings["activity_regularizer"] = None
        elif parameters and "get_config" not in cls.__dict__:
            given, named = self._init_arguments
            bound = dict(zip(parameters, given, strict=False))
            bound.update(named)
            settings.update({key: plain_data(value) for key, value in bound.items() if key not in settings})
            settings = {key: value for key, value in settings.items() if key in bound or _accepts(cls, key)}
        if self.activity_regularizer is not None:
            settings["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
        return settings

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """A new layer of this configuration, without weights."""
        config = dict(config)
        for key, value in config.items():
            if key == "dtype" and isinstance(value, dict):
                config[key] = value.get("config", {}).get("name", value)
            elif isinstance(value, dict) and value.get("class_name") in (
                "DTypePolicy",
                "__numpy__",
                "__tensor__",
            ):
                config[key] = deserialize_keras_object(value)
        return cls(**config)

    def get_build_config(self) -> dict | None:
        """What `build` was called with."""
        shape = self._build_shape
        return None if shape is None else {"input_shape": tree.map_structure(lambda size: size, shape)}

    def build_from_config(self, config: dict) -> None:
        """Builds as `get_build_config` described."""
        shape = config.get("input_shape")
        if shape is not None:
            self.build(map_shapes(tuple, shape))

    def _state(self) -> dict:
        fields = dict(self.__dict__)
        fields["_inbound_nodes"] = []
        fields["_traced"] = False
        fields["_losses"] = []
        fields.pop("_init_arguments", None)
        fields["_regularizers"] = list(self._regularizers.values())
        fields["_constraints"] = list(self._constraints.values())
        return fields

    def __getstate__(self) -> dict:
        return self._state()

    def __setstate__(self, fields: dict) -> None:
        fields = dict(fields)
        fields["_regularizers"] = {
            variable.id: (variable, rule) for variable, rule in fields["_regularizers"]
        }
        fields["_constraints"] = {variable.id: (variable, rule) for variable, rule in fields["_constraints"]}
        self.__dict__.update(fields)


def _accepts(cls: type, name: str) -> bool:
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def plain_data(value: Any) -> Any:
    """A constructor's argument as a configuration holds it."""
    if callable(value) and not hasattr(value, "get_config") and hasattr(value, "__name__"):
        from .. import activations

        return activations.serialize(value)
    if isinstance(value, tuple):
        return tuple(plain_data(item) for item in value)
    return serialize_keras_object(value)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        size is None or isinstance(size, (int, np.integer)) for size in value
    )


def map_shapes(function: Any, shapes: Any) -> Any:
    """function of every shape in a structure of shapes."""
    if _is_shape(shapes):
        return function(shapes)
    if isinstance(shapes, dict):
        return {key: map_shapes(function, value) for key, value in shapes.items()}
    return [map_shapes(function, value) for value in shapes]
