"""Legacy HDF5 files: whole models (`.h5` of Keras 2 and 3) and weights alone, read and written.

A whole model has its configuration in the attribute `model_config`, what `compile` was given in
`training_config`, and the groups `model_weights` and `optimizer_weights`. A group of weights lists its layers
in `layer_names`; each layer's group lists its arrays in `weight_names`. A model inside a model is one group
of all its arrays, those that were trainable when it was written first.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np

from . import attributes, building, container, legacy_config, legacy_training, notes, origin
from .container import FileContentError
from .legacy_graph import safe_name
from .serialization import custom_object_scope, serialize_keras_object

# Layers whose kernels Theano turned around.
_TURNED = ("Conv1D", "Conv2D", "Conv2DTranspose", "Conv1DTranspose")
# Where the optimizer's variables are written: with its own group "optimizer_weights" Keras 3 reads an
# optimizer that cannot train, without that group a fresh one.
_OPTIMIZER = "cnnexplain_optimizer"
_NOTES = "cnnexplain"
_OLD_VARIABLES = {"depthwise_kernel": "kernel"}


def holds_model(file: Any) -> bool:
    """Is there a whole model in the open file?"""
    return "model_config" in file.attrs


def holds_weights(file: Any) -> bool:
    """Are there legacy weights in the open file, alone or with a model?"""
    return attributes.has_names(file, "layer_names") or "model_weights" in file


def load(
    file: Any, custom_objects: dict | None = None, compile: bool = True, dtype: str | None = None
) -> Any:
    """The model of an open HDF5 file.

    Args:
        file: As `container.open_hdf5` gives it.
        custom_objects: The user's own classes and functions by name.
        compile: Whether the model is compiled as it was, the optimizer's state included.
        dtype: A float dtype instead of the layers' own.

    Raises:
        ValueError: Damaged, unsafe or unknown content: it says what and where.
    """
    where = file.filename
    with container.reading(where):
        config = _json(file, "model_config")
        group = attributes.child(file, "model_weights")
        version = _version(group) or ("1" if legacy_config.is_keras_1(config) else "2")
        plan = _Written(group)
    with custom_object_scope(custom_objects or {}):
        try:
            config = building.with_dtype(legacy_config.modern(config, version), dtype)
        except container.FAILURES as error:
            raise building.misdescribed(where, error) from error
        model = building.build_model(config, None, where, plan.size)
        with container.reading(where):
            plan.into(model).by_order(names_first=True).carry_out(where, fresh=True)
        if compile and "training_config" in file.attrs:
            _compile(model, file, where)
    with container.reading(where):
        if _NOTES in file.attrs:
            notes.apply(model, _json(file, _NOTES))
    return model


def _compile(model: Any, file: Any, where: Any) -> None:
    with container.reading(where):
        config = _json(file, "training_config")
    try:
        model.compile(**legacy_training.compile_arguments(config))
    except container.FAILURES as error:
        reason = f"what it was compiled with: {error} `compile=False` reads the model without it"
        raise container.refuse(where, reason) from error
    with container.reading(where):
        state = file.get("optimizer_weights", file.get(_OPTIMIZER))
        if model.optimizer is not None and state is not None and attributes.has_names(state, "weight_names"):
            legacy_training.restore(model.optimizer, state, model.trainable_variables)


def _version(group: Any) -> str | None:
    return attributes.text(group.file, "keras_version") or attributes.text(group, "keras_version")


def _json(file: Any, name: str) -> dict:
    text = attributes.text(file, name)
    if text is None:
        raise FileContentError(f"The file has no attribute '{name}'.")
    value = container.parse_json(text)
    if not isinstance(value, dict):
        raise FileContentError(f"The attribute '{name}' must describe an object. Received: {text[:100]}")
    return value


# Weights


def load_weights(
    group: Any, model: Any, by_name: bool = False, skip_mismatch: bool = False, fresh: bool = False
) -> None:
    """Reads a model's weights from a legacy group. Nothing is changed when something does not fit.

    Args:
        group: An open file of weights or of a whole model, or the group `model_weights`.
        model: A built model.
        by_name: Whether layers are found by name and those without a namesake left as they are.
        skip_mismatch: Whether what does not fit is left out, with a warning.
        fresh: Whether the model has just been made, so that arrays may be read into its own memory.

    Raises:
        ValueError: Layers without arrays, arrays without layers, wrong shapes: all of them are named.
    """
    where = group.file.filename
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has no weights yet: call it on data, or `build(input_shape)`, before its "
            "weights are loaded."
        )
    with container.reading(where):
        if not attributes.has_names(group, "layer_names") and "model_weights" in group:
            group = attributes.child(group, "model_weights")
        plan = _Written(group).into(model, skip_mismatch)
        (plan.by_name() if by_name else plan.by_order()).carry_out(where, fresh)


class _Written:
    """The arrays in a group of weights, by layer."""

    def __init__(self, group: Any):
        version = _version(group)
        if version is not None and version.partition(".")[0] == "1":
            raise FileContentError(
                f"The weights were written by Keras {version}, whose layers kept them otherwise. Load and "
                "save them with Keras 2 first."
            )
        self.group = group
        backend = attributes.text(group, "backend") or attributes.text(group.file, "backend")
        self.turned = backend == "theano"
        self.layers: dict[str, list[tuple[str, Any]]] = {}
        for name in attributes.names(group, "layer_names"):
            if name in self.layers:
                raise FileContentError(f"The file lists the layer '{name}' twice.")
            self.layers[name] = self._arrays(attributes.child(group, name))
        self.top: list[tuple[str, Any]] = []
        if "top_level_model_weights" in group:
            top = attributes.child(group, "top_level_model_weights")
            self.top = self._arrays(top) if attributes.has_names(top, "weight_names") else []
        arrays = [dataset for found in (*self.layers.values(), self.top) for _, dataset in found]
        self.size = sum(int(dataset.size) for dataset in arrays)

    @staticmethod
    def _arrays(group: Any) -> list[tuple[str, Any]]:
        return [
            (name, attributes.whole(attributes.child(group, name, "dataset")))
            for name in attributes.names(group, "weight_names")
        ]

    def into(self, model: Any, skip_mismatch: bool = False) -> _Plan:
        """The plan to bring them into a model."""
        return _Plan(self, model, skip_mismatch)


class _Plan:
    """Which arrays go into which variables, and what does not fit."""

    def __init__(self, written: _Written, model: Any, skip_mismatch: bool):
        self.written = written
        self.model = model
        self.skip = skip_mismatch
        self.pairs: list[tuple[Any, Any, bool]] = []
        self.problems: list[str] = []
        self.safe = {safe_name(name): arrays for name, arrays in written.layers.items()}

    def by_name(self) -> _Plan:
        """Layers take the arrays of the layer with their name."""
        for layer in self.model.layers:
            arrays = self.written.layers.get(layer.name, self.safe.get(layer.name))
            if arrays is not None and (arrays or layer.weights):
                self._layer(layer, layer.name, arrays)
        return self

    def by_order(self, names_first: bool = False) -> _Plan:
        """The layers with weights take the arrays of those in the file, one after the other.

        Args:
            names_first: Whether they do so by name where the names are the same.
        """
        layers = [layer for layer in self.model.layers if layer.weights]
        written = {name: arrays for name, arrays in self.written.layers.items() if arrays}
        named = {layer.name: layer for layer in layers}
        safe = [safe_name(name) for name in written]
        if names_first and set(named) == set(safe) and len(named) == len(safe):
            layers = [named[name] for name in safe]
        if len(layers) == len(written):
            for layer, (name, arrays) in zip(layers, written.items(), strict=True):
                self._layer(layer, name, arrays)
        else:
            self.problems.append(
                f"the model has {len(layers)} layers with weights, the file {len(written)}. Only in the "
                f"model: {_listed(set(named) - set(written))}. Only in the file: "
                f"{_listed(set(written) - set(named))}. With `by_name=True` layers of one name are paired"
            )
            for name, arrays in written.items() if self.skip else ():
                if name in named:
                    self._layer(named[name], name, arrays)
        self._top()
        return self

    def _top(self) -> None:
        """Variables of the model itself, which belong to none of its layers."""
        inside = {id(v) for layer in self.model.layers for v in layer.weights}
        own, arrays = [v for v in self.model.weights if id(v) not in inside], self.written.top
        if len(arrays) != len(own):
            self.problems.append(f"the model itself has {len(own)} weights, the file {len(arrays)}")
        else:
            self._take(own, arrays, f"model '{self.model.name}'")

    def _layer(self, layer: Any, name: str, arrays: list) -> None:
        title = f"layer '{layer.name}'" + (f" ('{name}' in the file)" if name != layer.name else "")
        variables = layer.weights
        if len(variables) != len(arrays):
            own = ", ".join(f"{_place(layer, v)} {tuple(v.shape)}" for v in variables) or "none"
            there = ", ".join(f"{n} {tuple(d.shape)}" for n, d in arrays) or "none"
            self.problems.append(
                f"{title} has {len(variables)} weights: {own}; the file has {len(arrays)}: {there}"
            )
            return
        self._take(_matched(layer, arrays), arrays, title, type(layer).__name__)

    def _take(self, variables: list, arrays: list, title: str, kind: str = "") -> None:
        for variable, (name, dataset) in zip(variables, arrays, strict=True):
            turned = self.written.turned and kind in _TURNED and len(dataset.shape) > 2
            try:
                container.check_fits(dataset, tuple(variable.shape), f"'{name}' of {title}")
            except ValueError as error:
                self.problems.append(str(error))
            else:
                self.pairs.append((variable, dataset, turned))

    def carry_out(self, where: Any, fresh: bool = False) -> None:
        """Reads the arrays; those that are packed before anything is changed, as they may be damaged.

        Args:
            where: What errors call the file.
            fresh: Whether the model has just been made.
        """
        if self.problems:
            text = "; ".join(self.problems)
            if not self.skip:
                raise container.refuse(where, f"its weights do not fit the model: {text}")
            warnings.warn(f"Weights of {where} that do not fit the model were left out: {text}", stacklevel=4)
        pairs = self.pairs
        if not fresh:
            pairs = [(v, container.as_array(d) if d.chunks is not None else d, t) for v, d, t in pairs]
        for variable, source, turned in pairs:
            if turned:
                values = container.as_array(source)
                values = np.flip(values, tuple(range(values.ndim - 2)))
                variable.assign(np.ascontiguousarray(values).astype(variable.dtype.name))
            else:
                container.read_into(source, variable, fresh)


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)[:20]) + (", ..." if len(names) > 20 else "") if names else "none"


def _owners(layer: Any) -> list[tuple[Any, Any]]:
    """(layer, variable) of all variables inside."""
    found, seen = [], set()
    for inner in layer._flatten_layers():
        for variable in inner._own_variables():
            if id(variable) not in seen:
                seen.add(id(variable))
                found.append((inner, variable))
    return found


def _place(layer: Any, variable: Any) -> str:
    for inner, own in _owners(layer):
        if own is variable:
            return f"{inner.name}/{variable.name}" if inner is not layer else variable.name
    return variable.name


def _matched(layer: Any, arrays: list) -> list:
    """The layer's variables in the order of the file's arrays.

    By the last two parts of the names where they tell; else in the order in which layers write them:
    trainable ones first, by today's state of freezing, or by that of a layer that was never frozen.
    """
    owners = _owners(layer)
    if len({id(inner) for inner, _ in owners}) < 2:
        return [variable for _, variable in owners]
    by_key: dict[tuple[str, str], Any] = {}
    for inner, variable in owners:
        by_key[inner.name, _variable(variable.name)] = variable
    keys = [_key(name) for name, _ in arrays]
    if len(by_key) == len(owners):
        found = [
            by_key[key] if key in by_key else _by_end(by_key, name)
            for key, (name, _) in zip(keys, arrays, strict=True)
        ]
        if len({id(variable) for variable in found if variable is not None}) == len(owners):
            return found
    now = [*layer.trainable_weights, *layer.non_trainable_weights]
    free = [v for _, v in owners if v.trainable] + [v for _, v in owners if not v.trainable]
    every = [variable for _, variable in owners]
    kinds = [key[1] for key in keys]
    for order in (now, free, every):
        if [_variable(v.name) for v in order] == kinds and _same_shapes(order, arrays):
            return order
    for order in (now, free, every):
        if _same_shapes(order, arrays):
            return order
    return now


def _by_end(by_key: dict, name: str) -> Any:
    """The variable whose layer's and own name the array's name ends with, slashes in layers' names apart."""
    joined = safe_name(name.removesuffix(":0"))
    found = [
        (len(layer), variable)
        for (layer, own), variable in by_key.items()
        if any(f"/{joined}".replace("/", "_").endswith(f"_{layer}_{spelled}") for spelled in _spellings(own))
    ]
    return max(found, key=lambda item: item[0])[1] if found else None


def _spellings(variable: str) -> list[str]:
    return [variable, *(old for old, new in _OLD_VARIABLES.items() if new == variable)]


def _same_shapes(variables: list, arrays: list) -> bool:
    return all(tuple(v.shape) == tuple(d.shape) for v, (_, d) in zip(variables, arrays, strict=True))


def _variable(name: str) -> str:
    name = name.rpartition("/")[2].removesuffix(":0")
    return _OLD_VARIABLES.get(name, name)


def _key(name: str) -> tuple[str, str]:
    parts = name.split("/")
    return (parts[-2] if len(parts) > 1 else "", _variable(parts[-1]))


# Writing


def save(model: Any, file: Any, include_optimizer: bool = True) -> None:
    """Writes a whole model into an open HDF5 file, as Keras 3 does."""
    from .. import __version__

    described = serialize_keras_object(model)
    file.attrs["keras_version"] = __version__
    file.attrs["backend"] = "tensorflow"
    file.attrs["model_config"] = json.dumps(
        {"class_name": described["class_name"], "config": described["config"]}
    )
    training = legacy_training.training_config(model) if include_optimizer else None
    if training is not None:
        file.attrs["training_config"] = json.dumps(training)
    known = notes.of(model)
    if known:
        file.attrs[_NOTES] = json.dumps(known)
    save_weights(model, file.create_group("model_weights"))
    if training is not None and model.optimizer.built:
        legacy_training.save_optimizer(model.optimizer, file.create_group(_OPTIMIZER))


def save_weights(model: Any, group: Any) -> None:
    """Writes weights alone into an open HDF5 file or a group of it."""
    from .. import __version__

    attributes.write_names(group, "layer_names", [layer.name for layer in model.layers])
    group.attrs["backend"] = "tensorflow"
    group.attrs["keras_version"] = __version__
    origin.remark(model, group)
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        weights = [*layer.trainable_weights, *layer.non_trainable_weights]
        _write(group.create_group(layer.name), weights)
    inside = {id(v) for layer in model.layers for v in layer.weights}
    _write(group.create_group("top_level_model_weights"), [v for v in model.weights if id(v) not in inside])


def _write(group: Any, variables: list) -> None:
    names: list[str] = []
    for variable in variables:
        name = getattr(variable, "path", None) or variable.name
        while name in names:
            name += "_"
        names.append(name)
    attributes.write_names(group, "weight_names", names)
    for name, variable in zip(names, variables, strict=True):
        group.create_dataset(name, data=np.asarray(variable))
