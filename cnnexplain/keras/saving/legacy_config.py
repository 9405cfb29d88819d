"""Configurations of Keras 2 in today's words.

`modern` rewrites what Keras 2.0 to 2.15 wrote - names of layers and of their settings, places in a graph,
functions of TensorFlow between layers - into what Keras 3 writes. Whatever it does not understand it lists in
one error. Where the same words mean something else today, the meaning of the version that wrote the file is
kept.
"""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from ..layers.base import Layer
from . import old_operations
from .building import with_dtype
from .legacy_graph import Places, safe_name
from .old_names import CLASSES, GONE, IDLE, IDLE_ELSEWHERE, KERAS_1, UNUSED
from .serialization import custom_object, deserialize_keras_object, find_class

_HARD_SIGMOID = "hard_sigmoid_of_keras_2"

_MODELS = frozenset({"Functional", "Sequential"})
_SEVERAL = 20  # complaints that one error lists


def is_old(version: str | None) -> bool:
    """Was the file written by Keras 2?"""
    return not version or version.partition(".")[0] in ("1", "2")


def is_keras_1(config: Any) -> bool:
    """Has a model whose version is not told settings of Keras 1?"""
    if isinstance(config, dict):
        return not KERAS_1.isdisjoint(config) or any(map(is_keras_1, config.values()))
    return isinstance(config, list) and any(map(is_keras_1, config))


def modern(config: Any, writer_version: str | None) -> dict:
    """The configuration of a model as today's Keras writes it.

    Args:
        config: {"class_name", "config"} of a model.
        writer_version: Keras's version that wrote it, "2.12.0".

    Returns:
        A new configuration.

    Raises:
        ValueError: Classes, functions or settings that are not known: all of them, each with its place.
    """
    if not isinstance(config, dict) or not isinstance(config.get("config"), (dict, list)):
        raise ValueError(
            "A model's configuration must be a dict with 'class_name' and 'config'. Received: "
            f"{config!r:.200}"
        )
    if writer_version and writer_version.partition(".")[0] == "1":
        raise ValueError(_of_keras_1(f"the file says Keras {writer_version}"))
    translator = _Translator(is_old(writer_version))
    found = translator.thing(with_dtype(_plain_data(config), None), ())
    translator.complain()
    return found


def _of_keras_1(why: str) -> str:
    return (
        f"The model was written by Keras 1, whose layers meant other things ({why}). Load and save it with "
        "Keras 2 first."
    )


def _plain_data(value: Any) -> Any:
    """Tuples, shapes and arrays, which Keras 2 wrote as dicts of their own, as lists and numbers."""
    if isinstance(value, dict):
        name = value.get("class_name")
        if name in ("__tuple__", "TensorShape") and "items" in value:
            return [_plain_data(item) for item in value["items"] or []]
        if name == "__ellipsis__":
            return {"class_name": name, "config": {}}
        if set(value) == {"type", "value"} and isinstance(value["type"], str):
            return _plain_data(value["value"])
        return {key: _plain_data(item) for key, item in value.items()}
    return [_plain_data(item) for item in value] if isinstance(value, list) else value


def _is_thing(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("class_name"), str) and "config" in value


class _Translator:
    def __init__(self, old: bool):
        self.old = old
        self.complaints: list[str] = []

    def complain(self) -> None:
        if not self.complaints:
            return
        shown = self.complaints[:_SEVERAL]
        more = len(self.complaints) - len(shown)
        raise ValueError(
            "The model cannot be built:\n  " + "\n  ".join(shown) + (f"\n  and {more} more" if more else "")
        )

    def _note(self, place: tuple, text: str) -> None:
        self.complaints.append(f"{' > '.join(place) or 'the model'}: {text}")

    def value(self, value: Any, place: tuple, key: str = "") -> Any:
        if _is_thing(value):
            return self.thing(value, (*place, f"`{key}`") if key else place)
        if isinstance(value, dict):
            return {k: self.value(item, place, key) for k, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, place, key) for item in value]
        if self.old and key.endswith("activation"):
            return {"hard_sigmoid": _HARD_SIGMOID, "softmax_v2": "softmax"}.get(value, value)
        return value

    def thing(self, entry: dict, place: tuple) -> dict:
        """A layer, model, initializer or other object in today's words."""
        name, config = entry["class_name"], entry["config"]
        if name.startswith("__") or name == "TypeSpec":
            return entry
        if name == "function":
            key = place[-1] if place else ""
            config = (
                {"hard_sigmoid": _HARD_SIGMOID}.get(config, config)
                if self.old and "activation" in key
                else config
            )
            return {**entry, "config": config}
        if not isinstance(config, (dict, list)):
            self._note(place, f"`config` of {name} must be a dict. Received: {config!r:.100}")
            return entry
        own_name = config.get("name") if isinstance(config, dict) else entry.get("name")
        here = (
            (*place, f"'{entry.get('name') or own_name}' ({name})")
            if entry.get("name") or own_name
            else place
        )
        if old_operations.is_operation(entry):
            function = config.get("function") if isinstance(config, dict) else None
            if not old_operations.known(function):
                self._note(
                    here,
                    f"TensorFlow's function '{function}' is not offered. Compute it in a layer of your own, "
                    "or save the model again without it",
                )
            return _renamed(entry)
        cls = self._class(name, entry, here)
        if cls is None:
            return entry
        if isinstance(cls, type) and not cls.__module__.startswith("cnnexplain."):
            return self._users(entry, here)
        new = CLASSES.get(name, name.rpartition(">")[2])
        entry = _renamed({**entry, "class_name": new, "registered_name": None})
        config = entry["config"]
        if cls == "operation":
            return {**entry, "module": entry.get("module", "keras.ops"), "registered_name": new}
        if new in _MODELS or (isinstance(config, dict) and "input_layers" in config):
            config = self._model(new, config, here, entry.get("name"))
        else:
            if not isinstance(config, dict):
                self._note(here, f"`config` of {name} must be a dict. Received: {config!r:.100}")
                return entry
            config = self._settings(new, name, dict(config), cls, here)
            before = len(self.complaints)
            config = {key: self.value(item, here, key) for key, item in config.items()}
            if isinstance(cls, type) and issubclass(cls, Layer) and len(self.complaints) == before:
                self._try({**entry, "config": config}, here)
        return {**entry, "config": config}

    def _users(self, entry: dict, here: tuple) -> dict:
        """An object of the user's own class: only what lies inside is rewritten."""
        entry = _renamed(entry)
        name, config = entry["class_name"], entry["config"]
        if custom_object(name) is None:
            name = name.rpartition(">")[2]
        if isinstance(config, dict) and "input_layers" in config:
            config = self._model(name, config, here, entry.get("name"))
        return {**entry, "class_name": name, "config": config}

    def _class(self, name: str, entry: dict, here: tuple) -> Any:
        """The class, "operation" for a function of keras.ops, None with a complaint when there is none."""
        for key in (entry.get("registered_name"), name, name.rpartition(">")[2]):
            found = custom_object(key) if isinstance(key, str) else None
            if found is not None:
                return found
        if self._is_new_operation(entry):
            from .operations import operation_known

            if "operation" in entry["config"] or operation_known(name):
                return "operation"
            self._note(here, f"the operation '{name}' of keras.ops is not offered")
            return None
        plain = name.rpartition(">")[2]
        if plain in GONE:
            self._note(here, f"the class '{plain}' is not offered: {GONE[plain]}")
            return None
        try:
            found = find_class(CLASSES.get(plain, plain), None, entry.get("module"))
        except ValueError:
            found = None
        if isinstance(found, type):
            return found
        from .. import layers

        near = difflib.get_close_matches(plain, layers.__all__, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        self._note(
            here,
            f"the class '{plain}' is not known.{hint} If it is your own, pass "
            f"custom_objects={{'{plain}': {plain}}} or register it with `register_keras_serializable`",
        )
        return None

    def _is_new_operation(self, entry: dict) -> bool:
        """Operations of Keras 3 in a legacy file: no settings that every layer has."""
        config = entry["config"]
        if self.old or "inbound_nodes" not in entry or not isinstance(config, dict):
            return False
        if "module" in entry:
            return str(entry["module"]).startswith(("keras.src.ops.", "keras.ops"))
        return "trainable" not in config and "layers" not in config and entry["class_name"] != "InputLayer"

    # Settings of one layer

    def _settings(self, name: str, written: str, config: dict, cls: Any, here: tuple) -> dict:
        old = KERAS_1.intersection(config)
        if self.old and old:
            self._note(here, _of_keras_1(f"{name} has the setting '{sorted(old)[0]}'"))
            return config
        is_layer = "trainable" in config or name == "InputLayer"
        rewrite = getattr(self, f"_of_{name}", None)
        if rewrite is not None and self.old:
            rewrite(config, written)
        padding = config.get("padding")
        if isinstance(padding, str):
            config["padding"] = padding.lower()
        for key in UNUSED.get(name, ()):
            config.pop(key, None)
        if self.old:
            parameters = inspect.signature(cls).parameters
            for key in [key for key in config if key not in parameters]:
                allowed = IDLE.get(key, ()) if is_layer else None if key in IDLE_ELSEWHERE else ()
                if allowed is None or config[key] in allowed:
                    del config[key]
        return config

    def _try(self, entry: dict, here: tuple) -> None:
        """Makes the layer once, to hear of every setting that it refuses."""
        try:
            deserialize_keras_object(
                {key: entry[key] for key in ("class_name", "config", "module") if key in entry}
            )
        except Exception as error:
            self._note(here, " ".join(str(error).split()) or type(error).__name__)

    def _of_InputLayer(self, config: dict, written: str) -> None:
        if "batch_input_shape" in config:
            config["batch_shape"] = config.pop("batch_input_shape")

    def _of_BatchNormalization(self, config: dict, written: str) -> None:
        config["axis"] = _one(config.get("axis", -1))
        if written == "SyncBatchNormalization":
            config.pop("synchronized", None)

    def _of_LayerNormalization(self, config: dict, written: str) -> None:
        axis = _listed(config.get("axis", -1))
        config["axis"] = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis

    def _of_LeakyReLU(self, config: dict, written: str) -> None:
        if "alpha" in config:
            config["negative_slope"] = _number(config.pop("alpha"))

    def _of_ELU(self, config: dict, written: str) -> None:
        if "alpha" in config:
            config["alpha"] = _number(config["alpha"])

    def _of_ReLU(self, config: dict, written: str) -> None:
        if written == "ThresholdedReLU":
            config["threshold"] = _number(config.pop("theta", 1.0))
        for key in ("max_value", "negative_slope", "threshold"):
            if config.get(key) is not None:
                config[key] = _number(config[key])
            elif key != "max_value":
                config.pop(key, None)

    def _of_GRU(self, config: dict, written: str) -> None:
        config.setdefault("reset_after", False)
        config.setdefault("recurrent_activation", "hard_sigmoid")

    _of_GRUCell = _of_GRU

    def _of_LSTM(self, config: dict, written: str) -> None:
        config.setdefault("recurrent_activation", "hard_sigmoid")

    _of_LSTMCell = _of_LSTM

    def _of_VarianceScaling(self, config: dict, written: str) -> None:
        if config.get("distribution") == "normal":
            config["distribution"] = "truncated_normal"

    def _of_Lambda(self, config: dict, written: str) -> None:
        function = config.get("function")
        for key in ("function_type", "module", "output_shape_type", "output_shape_module"):
            config.pop(key, None)
        if isinstance(function, str):
            found = custom_object(function)
            if found is not None:
                config["function"] = {
                    "class_name": "function",
                    "config": function,
                    "registered_name": function,
                }
                return
        elif isinstance(function, dict):
            return
        what = f"the function '{function}'" if isinstance(function, str) else "a Python lambda's bytecode"
        way = (
            f"custom_objects={{'{function}': {function}}}"
            if isinstance(function, str)
            else "a layer of your own"
        )
        self.complaints.append(
            f"'{config.get('name')}' (Lambda): it holds {what}, which is never loaded from a file. Use {way}"
        )

    # Models

    def _model(self, name: str, config: Any, here: tuple, given: Any) -> dict:
        if isinstance(config, list):  # Keras 2.0 to 2.2 wrote a Sequential as its layers alone
            config = {"name": given, "layers": config}
        layers = config.get("layers")
        if not isinstance(layers, list) or not all(map(_is_thing, layers)):
            self._note(here, f"`layers` of {name} must be a list of layers")
            return config
        config = dict(config)
        if "input_layers" not in config:
            if name != "Sequential":
                self._note(here, "`input_layers` is missing")
            return self._sequential(config, layers, here)
        places = Places(layers) if self.old else None
        new = []
        for entry in layers:
            made = self.thing(entry, here)
            if places is not None and isinstance(made.get("inbound_nodes"), list):
                made = {**made, "inbound_nodes": places.nodes(entry)}
            new.append(made)
        config["layers"] = new
        if places is not None:
            for key in ("input_layers", "output_layers"):
                config[key] = places.ends(config.get(key))
        return config

    def _sequential(self, config: dict, layers: list, here: tuple) -> dict:
        first = layers[0]["class_name"] if layers else ""
        if first.startswith("InputLayer"):
            layers = [layers[0], *map(_without_shape, layers[1:])]
        else:
            layers = [*layers[:1], *map(_without_shape, layers[1:])]
        shape = config.get("build_input_shape")
        if (
            first.startswith("InputLayer")
            or (layers and _has_shape(layers[0]))
            or not isinstance(shape, list)
        ):
            config.pop("build_input_shape", None)
        return {**config, "layers": [self.thing(layer, here) for layer in layers]}


def _renamed(entry: dict) -> dict:
    """The entry with a name that today's layers may have."""
    if isinstance(entry.get("name"), str):
        entry = {**entry, "name": safe_name(entry["name"])}
    config = entry["config"]
    if isinstance(config, dict) and isinstance(config.get("name"), str) and "/" in config["name"]:
        entry = {**entry, "config": {**config, "name": safe_name(config["name"])}}
    return entry


def _has_shape(layer: dict) -> bool:
    return isinstance(layer["config"], dict) and "batch_input_shape" in layer["config"]


def _without_shape(layer: dict) -> dict:
    if not _has_shape(layer):
        return layer
    return {**layer, "config": {k: v for k, v in layer["config"].items() if k != "batch_input_shape"}}


def _listed(value: Any) -> Any:
    """[3] from "ListWrapper([3])"."""
    if isinstance(value, str) and value.startswith("ListWrapper(["):
        return [int(part) for part in value[len("ListWrapper([") :].rstrip("])").split(",") if part.strip()]
    return value


def _one(value: Any) -> Any:
    value = _listed(value)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _number(value: Any) -> Any:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value
