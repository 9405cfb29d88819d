"""Models from descriptions in files: the size of the weights is bounded, errors say where they arose."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..tracing import state
from . import container
from .serialization import deserialize_keras_object, find_class, sharing

_SPARE = 1 << 20  # numbers that a model may hold beyond those of its file
_LARGEST = 1 << 24
_NO_SIZES = frozenset({"shared_object_id", "seed", "inbound_nodes", "compile_config", "value"})
_SMALL_FLOATS = {
    **dict.fromkeys(("float16", "bfloat16", "mixed_float16", "mixed_bfloat16"), "float32"),
    "mixed_float32": "float32",
}
_FLOATS = frozenset({"float32", "float64", *_SMALL_FLOATS})


@contextlib.contextmanager
def blank_weights(limit: int) -> Iterator[None]:
    """Within it new weights are zeros, and all together not more than `limit` numbers and some."""
    left = [limit + _SPARE]

    def first_value(shape: tuple, dtype: str) -> np.ndarray:
        left[0] -= math.prod(shape)
        if min(shape, default=0) < 0 or left[0] < 0:
            raise ValueError(f"a weight of shape {shape} is asked for, more than the file holds")
        return np.zeros(shape, dtype)

    before = state.first_value
    state.first_value = first_value
    try:
        yield
    finally:
        state.first_value = before


def with_dtype(config: Any, dtype: str | None) -> Any:
    """The description with float16 and bfloat16 replaced by float32, and with `dtype` every float by it."""
    if isinstance(config, list):
        return [with_dtype(value, dtype) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") in ("__numpy__", "__tensor__"):
        return config
    if config.get("class_name") in ("DTypePolicy", "FloatDTypePolicy", "Policy"):
        inner = config.get("config")
        return _kind(inner.get("name") if isinstance(inner, dict) else inner, dtype)
    return {
        key: _kind(value, dtype) if key in ("dtype", "data_type") else with_dtype(value, dtype)
        for key, value in config.items()
    }


def _kind(value: Any, dtype: str | None) -> Any:
    if isinstance(value, dict):
        return with_dtype(value, dtype)
    if isinstance(value, str) and value in _FLOATS:
        return dtype or _SMALL_FLOATS.get(value, value)
    return value


def check_sizes(config: Any) -> None:
    """Raises where a setting asks for more than any layer for images has, which might be made at once."""
    stack = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(inner for key, inner in value.items() if key not in _NO_SIZES)
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, int) and value > _LARGEST:
            raise ValueError(f"a setting of {value} asks for more than the file holds")


def build_model(config: dict, custom_objects: dict | None, where: Any, limit: int) -> Any:
    """The model of a description, its weights zeros.

    Args:
        config: in today's form.
        custom_objects: classes and functions by name.
        where: what errors call the file.
        limit: numbers in the file; a description that asks for many more is refused.

    Raises:
        ValueError: it describes no model, or a class that is not known.
    """
    from ..models import Model

    try:
        check_sizes(config)
        with sharing(), blank_weights(limit):
            model = deserialize_keras_object(config, custom_objects)
    except container.FAILURES as error:
        raise misdescribed(where, error) from error
    if not isinstance(model, Model):
        raise container.refuse(where, f"it describes a {type(model).__name__}, not a model")
    return model


def misdescribed(where: Any, error: BaseException) -> ValueError:
    """The error for a description that cannot be followed, with its place."""
    places = getattr(error, "places", [])
    place = f"layer '{'/'.join(places)}': " if places else ""
    text = str(error) if not isinstance(error, KeyError) else f"it lacks {error}"
    text = text or type(error).__name__
    return container.refuse(where, f"{place}{text if len(text) < 2000 else text[:2000] + '...'}")


_COMPILE = (
    "optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly", "steps_per_execution",
    "jit_compile", "auto_scale_loss",
)  # fmt: skip


def compile_model(model: Any, config: Any, version: str, custom_objects: dict | None, where: Any) -> None:
    """Compiles as the file says; the optimizer's state is zeros.

    Raises:
        ValueError: a loss, metric or optimizer that is not known.
    """
    if not isinstance(config, dict) or not config.get("optimizer"):
        return
    from .serialization import custom_object_scope

    try:
        with custom_object_scope(custom_objects or {}), sharing():
            if type(model).compile_from_config is not _plain_compile():
                model.compile_from_config(config)
            elif version.startswith("2."):
                from . import legacy_training

                optimizer = config["optimizer"]
                optimizer = (
                    {"class_name": "RMSprop", "config": {}} if isinstance(optimizer, str) else optimizer
                )
                arguments = legacy_training.compile_arguments({**config, "optimizer_config": optimizer})
                if isinstance(config["optimizer"], str):
                    arguments["optimizer"] = config["optimizer"]
                model.compile(**arguments)
                model.optimizer.build(model.trainable_variables)
            else:
                model.compile_from_config({key: config[key] for key in _COMPILE if key in config})
    except container.FAILURES as error:
        reason = f"what it was compiled with: {error}. `compile=False` reads the model without it"
        raise container.refuse(where, reason) from error


def _plain_compile() -> Any:
    from ..models import Model

    return Model.compile_from_config


__all__ = ["blank_weights", "build_model", "compile_model", "find_class", "misdescribed", "with_dtype"]
