"""What a legacy HDF5 file says of training: `compile`'s arguments, and the optimizer's variables.

Keras 2 named an optimizer's variables after its states and after the weights, in three ways; today's Keras
reads none of them. Here each state is found by its name, the weights by their order and shape.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from . import attributes, container
from .serialization import custom_object, deserialize_keras_object, serialize_keras_object

# Names of states in Keras 2, by what they are called here.
_STATES = {
    "m": "momentum", "moments": "momentum", "momentum": "momentum", "v": "velocity", "vhat": "velocity_hat",
    "u": "norm", "rms": "velocity", "mg": "average_gradient", "accum_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var", "linear": "linear", "accumulator": "accumulator",
    "velocity": "velocity", "velocity_hat": "velocity_hat", "norm": "norm",
    "average_gradient": "average_gradient", "accumulated_grad": "accumulated_grad",
    "accumulated_delta_var": "accumulated_delta_var",
}  # fmt: skip
_GONE_SETTINGS = ("jit_compile", "is_legacy_optimizer", "schedule_decay", "epsilon_hat")
_REDUCTIONS = {"auto": "sum_over_batch_size", "sum_over_batch_size": "sum_over_batch_size"}


def compile_arguments(config: dict) -> dict:
    """The arguments of `compile` from a file's `training_config`."""
    if not isinstance(config, dict) or not isinstance(config.get("optimizer_config"), dict):
        raise ValueError("`training_config` in the file must hold an `optimizer_config`. Pass compile=False.")
    arguments = {
        "optimizer": optimizer_of(config["optimizer_config"]),
        "loss": _each(_loss, config.get("loss")),
        "metrics": _each(_metric, config.get("metrics")),
        "weighted_metrics": _each(_metric, config.get("weighted_metrics")),
        "loss_weights": config.get("loss_weights"),
    }
    return {key: value for key, value in arguments.items() if value is not None}


def _each(function: Any, value: Any) -> Any:
    if value is None or isinstance(value, str) or (isinstance(value, dict) and "class_name" in value):
        return None if value is None else function(value)
    if isinstance(value, dict):
        return {key: _each(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(function, item) for item in value]
    raise ValueError(f"`training_config` holds {value!r:.100} where a loss or a metric should be.")


def _known(config: dict, table: Any) -> dict:
    """Settings that the class takes; "reduction" in today's words."""
    import inspect

    name = str(config["class_name"]).rpartition(">")[2]
    inner = dict(config.get("config") or {})
    cls = getattr(table, name, None)
    if custom_object(name) is not None or not isinstance(cls, type):
        return {**config, "class_name": name}
    names = inspect.signature(cls).parameters
    inner = {key: value for key, value in inner.items() if key in names}
    if inner.get("reduction") in _REDUCTIONS:
        inner["reduction"] = _REDUCTIONS[inner["reduction"]]
    if isinstance(inner.get("dtype"), dict):
        inner.pop("dtype")
    return {"module": None, "class_name": name, "config": inner, "registered_name": None}


def _loss(value: Any) -> Any:
    from .. import losses

    if isinstance(value, str):
        return _by_name(value, losses)
    found = _known(value, losses)
    return deserialize_keras_object({**found, "module": "keras.losses"})


def _metric(value: Any) -> Any:
    from .. import metrics

    if isinstance(value, str):
        return value if value in ("accuracy", "acc", "crossentropy", "ce") else _by_name(value, metrics)
    inner = value.get("config") or {}
    if value["class_name"] == "MeanMetricWrapper" and isinstance(inner.get("fn"), (str, dict)):
        function = inner["fn"] if isinstance(inner["fn"], str) else inner["fn"].get("config")
        found = _by_name(function, metrics)
        made = metrics.get(found)
        if not isinstance(made, metrics.Metric):
            made = metrics.MeanMetricWrapper(made, name=inner.get("name"))
        if inner.get("name"):
            made.name = inner["name"]
        return made
    found = _known(value, metrics)
    return deserialize_keras_object({**found, "module": "keras.metrics"})


def _by_name(name: Any, table: Any) -> Any:
    """The name itself if it is known; ValueError with the way out otherwise."""
    plain = str(name).rpartition(">")[2]
    found = custom_object(str(name)) or custom_object(plain)
    if found is not None:
        return found
    try:
        table.get(plain)
    except ValueError as error:
        raise ValueError(
            f"The model was compiled with '{plain}', which is not known. Pass "
            f"custom_objects={{'{plain}': ...}} or compile=False. {error}"
        ) from error
    return plain


def optimizer_of(config: dict) -> Any:
    """The optimizer that Keras 2 or 3 described; Keras 2's `decay` becomes the schedule that it was."""
    import inspect

    from .. import optimizers

    name = str(config.get("class_name")).rpartition(">")[2]
    inner = dict(config.get("config") or {})
    if custom_object(name) is not None:
        return custom_object(name).from_config(inner)
    cls = getattr(optimizers, name, None) or {"TFOptimizer": None}.get(name)
    if not isinstance(cls, type):
        raise ValueError(
            f"The model was compiled with the optimizer '{name}', which is not known. Pass "
            f"custom_objects={{'{name}': {name}}} or compile=False."
        )
    if "lr" in inner:
        inner["learning_rate"] = inner.pop("lr")
    rate, decay = inner.get("learning_rate", 0.001), inner.pop("decay", 0.0)
    if isinstance(rate, dict) and "class_name" in rate:
        inner["learning_rate"] = rate = deserialize_keras_object(
            {
                "class_name": rate["class_name"],
                "config": rate["config"],
                "module": "keras.optimizers.schedules",
            }
        )
    if decay and isinstance(rate, (int, float)):
        inner["learning_rate"] = optimizers.schedules.InverseTimeDecay(float(rate), 1, float(decay))
    if "epsilon" in inner and inner["epsilon"] is None:
        inner.pop("epsilon")
    for key in _GONE_SETTINGS:
        inner.pop(key, None)
    if not inner.get("use_ema"):
        inner.pop("ema_overwrite_frequency", None)
    names = inspect.signature(cls).parameters
    unknown = sorted(set(inner) - set(names))
    if unknown:
        raise ValueError(
            f"The optimizer {name} in the file has the setting '{unknown[0]}', which is not known. Pass "
            "compile=False."
        )
    return cls(**inner)


# The optimizer's variables


def restore(optimizer: Any, group: Any, variables: list) -> None:
    """Gives the optimizer the variables of the group `optimizer_weights`; a warning where they do not fit."""
    written = [
        (name, attributes.whole(attributes.child(group, name, "dataset")))
        for name in attributes.names(group, "weight_names")
    ]
    if not written:
        return
    optimizer.build(variables)
    found = _in_order(optimizer, written) or _by_states(optimizer, written, variables)
    if found is None:
        warnings.warn(
            f"The optimizer's state in the file does not fit {type(optimizer).__name__} and these weights: "
            "the optimizer starts afresh.",
            stacklevel=4,
        )
        return
    for variable, dataset in found:
        variable.assign(
            container.as_array(dataset).reshape(tuple(variable.shape)).astype(variable.dtype.name)
        )


def _in_order(optimizer: Any, written: list) -> list | None:
    """As Keras 3 writes them: the optimizer's variables one after the other."""
    own = optimizer.variables
    if len(own) != len(written) or any(name.endswith(":0") for name, _ in written):
        return None
    if any(tuple(v.shape) != d.shape for v, (_, d) in zip(own, written, strict=True)):
        return None
    return [(variable, dataset) for variable, (_, dataset) in zip(own, written, strict=True)]


def _by_states(optimizer: Any, written: list, variables: list) -> list | None:
    """As Keras 2 wrote them, by the names of the states or, in its first years, by their order."""
    groups = [name for names in getattr(optimizer, "_groups", tuple)() for name in names]
    states = getattr(optimizer, "_states", None)
    if states is None:
        return None
    found: list = []
    by_state: dict[str, list] = {}
    rest: list = []
    for name, dataset in written:
        parts = name.removesuffix(":0").split("/")
        last = parts[-1]
        if last in ("iter", "iteration", "iterations") or (not dataset.shape and dataset.dtype.kind in "iu"):
            found.append((optimizer._iterations, dataset))
        elif not dataset.shape:
            if last == "learning_rate" and hasattr(optimizer._learning_rate, "assign"):
                found.append((optimizer._learning_rate, dataset))
            elif len(variables) and any(v.shape == () for v in variables):
                rest.append(dataset)
            elif hasattr(optimizer, "_u_product"):  # Nadam's momentums so far
                found.append((optimizer._u_product, dataset))
        else:
            state = _state_of(parts, groups)
            if state is None:
                rest.append(dataset)
            else:
                by_state.setdefault(state, []).append(dataset)
    if rest:
        if by_state:
            return None
        count = len(variables)  # group after group
        for place, state in enumerate(groups):
            by_state[state] = rest[place * count : (place + 1) * count]
    for state, datasets in by_state.items():
        if len(datasets) != len(variables):
            return None
        for own, dataset in zip(states, datasets, strict=True):
            variable = own[groups.index(state)]
            if tuple(variable.shape) != dataset.shape:
                return None
            found.append((variable, dataset))
    return found if set(by_state) == set(groups) else None


def _state_of(parts: list[str], groups: list[str]) -> str | None:
    """The state that Adam/m/dense/kernel or Adam/dense/kernel/m belongs to."""
    for part in (parts[-1], *parts[:2]):
        plain = part.rstrip("0123456789").rstrip("_")
        for name in (part, plain):
            state = _STATES.get(name)
            if state == "velocity" and "norm" in groups:
                state = "norm"
            if state in groups:
                return state
    return None


def training_config(model: Any) -> dict | None:
    """What `training_config` holds for a compiled model."""
    if getattr(model, "optimizer", None) is None or model._compile_settings is None:
        return None
    settings = {
        key: _spelled_out(serialize_keras_object(value)) if key == "loss" else serialize_keras_object(value)
        for key, value in model.get_compile_config().items()
        if key in ("loss", "loss_weights", "metrics", "weighted_metrics")
    }
    described = serialize_keras_object(model.optimizer)
    settings["optimizer_config"] = {
        "class_name": described["registered_name"] or described["class_name"],
        "config": described["config"],
    }
    return settings


def _spelled_out(loss: Any) -> Any:
    """Losses by their whole names: Keras 3 does not read "mse" from a legacy file."""
    from .. import losses

    if isinstance(loss, str):
        found = getattr(losses, loss, None)
        return found.__name__ if found is not None and not isinstance(found, type) else loss
    if isinstance(loss, list):
        return [_spelled_out(one) for one in loss]
    if isinstance(loss, dict) and "class_name" not in loss:
        return {key: _spelled_out(one) for key, one in loss.items()}
    return loss


def save_optimizer(optimizer: Any, group: Any) -> None:
    """Writes the optimizer's variables under Keras 3's names."""
    own, names, used = optimizer.variables, [], set()
    for place, variable in enumerate(own):
        name = f"{optimizer.name}/{variable.name}"
        names.append(f"{name}_{place}" if name in used else name)
        used.add(names[-1])
    attributes.write_names(group, "weight_names", names)
    for name, variable in zip(names, own, strict=True):
        group.create_dataset(name, data=np.asarray(variable))
