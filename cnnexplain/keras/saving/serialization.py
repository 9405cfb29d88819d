"""Objects as plain dicts and back: looked up by class name in our own tables, never imported from a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_registered: dict[str, Any] = {}
_scope: list[dict] = []


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """A decorator that makes a class or function known to `from_config` and loading, as `package>name`."""

    def decorate(thing: Any) -> Any:
        key = f"{package}>{name or thing.__name__}"
        _registered[key] = thing
        thing._registered_name = key
        return thing

    return decorate


def get_custom_objects() -> dict:
    """The table of registered objects; entries may be added."""
    return _registered


@contextlib.contextmanager
def custom_object_scope(objects: dict) -> Iterator[None]:
    """Within it, the given names stand for the given classes and functions."""
    _scope.append(dict(objects or {}))
    try:
        yield
    finally:
        _scope.pop()


CustomObjectScope = custom_object_scope


def custom_object(name: str) -> Any:
    """What a scope or the registry holds under this name, or None."""
    for table in reversed(_scope):
        if name in table:
            return table[name]
    if name in _registered:
        return _registered[name]
    for key, thing in _registered.items():
        if key.split(">")[-1] == name:
            return thing
    return None


def get_registered_object(
    name: str, custom_objects: dict | None = None, module_objects: dict | None = None
) -> Any:
    """The object of this name, or None."""
    for table in (custom_objects, module_objects):
        if table and name in table:
            return table[name]
    return custom_object(name)


def get_registered_name(thing: Any) -> str:
    """`package>name` of a registered object, else its plain name."""
    return getattr(thing, "_registered_name", None) or thing.__name__


def _home(cls: type) -> str | None:
    """The public module of one of our own classes, e.g. "keras.layers"; None for the user's."""
    module = cls.__module__
    prefix = "cnnexplain.keras"
    if not module.startswith(prefix):
        return None
    part = module[len(prefix) + 1 :].split(".")[0]
    return {"models": "keras", "loss_functions": "keras.losses"}.get(part, f"keras.{part}")


def serialize_keras_object(thing: Any) -> Any:
    """Plain data for a layer, initializer, loss, function, array or nested structure of them."""
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    if isinstance(thing, (list, tuple)):
        return [serialize_keras_object(item) for item in thing]
    if isinstance(thing, dict):
        return {key: serialize_keras_object(value) for key, value in thing.items()}
    if isinstance(thing, (np.integer, np.floating, np.bool_)):
        return thing.item()
    if isinstance(thing, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": thing.tolist(), "dtype": thing.dtype.name}}
    if hasattr(thing, "get_config") and not isinstance(thing, type):
        cls = type(thing)
        home = _home(cls)
        data = {
            "module": home or cls.__module__,
            "class_name": cls.__name__,
            "config": thing.get_config(),
            "registered_name": None if home else get_registered_name(cls),
        }
        build = getattr(thing, "get_build_config", None)
        if build is not None:
            build_config = build()
            if build_config is not None:
                data["build_config"] = build_config
        return data
    if callable(thing) and hasattr(thing, "__name__"):
        home = _home(thing) if hasattr(thing, "__module__") else None
        if thing.__name__ == "<lambda>":
            raise ValueError(
                "A lambda cannot be described by name: use a function registered with "
                "`register_keras_serializable`."
            )
        return {
            "module": home or "builtins",
            "class_name": "function",
            "config": thing.__name__,
            "registered_name": get_registered_name(thing) if home is None else thing.__name__,
        }
    if hasattr(thing, "numpy"):
        array = np.asarray(thing)
        return {"class_name": "__tensor__", "config": {"value": array.tolist(), "dtype": array.dtype.name}}
    name = getattr(thing, "name", None)
    if isinstance(name, str):
        return name
    raise ValueError(f"Cannot serialize object {thing} of type {type(thing)}.")


def _tables() -> Iterator[Any]:
    from .. import (
        activations,
        constraints,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        regularizers,
    )

    yield from (
        layers,
        models,
        initializers,
        regularizers,
        constraints,
        activations,
        losses,
        metrics,
        optimizers,
    )


def find_class(name: str, registered_name: str | None = None) -> Any:
    """The class or function of this name among the user's and our own; ValueError when there is none."""
    for key in (registered_name, name):
        found = custom_object(key) if key else None
        if found is not None:
            return found
    for table in _tables():
        found = getattr(table, name, None)
        if found is not None and callable(found):
            return found
    raise ValueError(
        f"Could not locate class or function '{name}'. If it is your own, pass "
        f"`custom_objects={{'{name}': {name}}}` or register it with `register_keras_serializable`."
    )


def deserialize_keras_object(config: Any, custom_objects: dict | None = None, safe_mode: bool = True) -> Any:
    """The object that `serialize_keras_object` described; nested structures are walked."""
    with custom_object_scope(custom_objects or {}):
        return _deserialize(config)


def _deserialize(config: Any) -> Any:
    if isinstance(config, (list, tuple)):
        return [_deserialize(item) for item in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: _deserialize(value) for key, value in config.items()}
    name, inner = config["class_name"], config["config"]
    if name in ("__numpy__", "__tensor__"):
        return np.asarray(inner["value"], dtype=inner["dtype"])
    if name == "__lambda__":
        raise ValueError("A lambda's bytecode is never loaded: register a function under a name instead.")
    if name == "DTypePolicy":
        return inner["name"]
    if name == "function":
        return find_class(inner, config.get("registered_name"))
    cls = find_class(name, config.get("registered_name"))
    if not hasattr(cls, "from_config"):
        raise TypeError(f"Class '{name}' has no `from_config`.")
    thing = cls.from_config(inner)
    build_config = config.get("build_config")
    if build_config and hasattr(thing, "build_from_config") and not getattr(thing, "built", True):
        thing.build_from_config(build_config)
    return thing


def make_get(kind: str, table: dict[str, type], none: bool = False) -> tuple[Callable, Callable, Callable]:
    """The functions `get`, `serialize` and `deserialize` of a module whose classes go by the given names."""

    def get(identifier: Any) -> Any:
        if identifier is None and none:
            return None
        if isinstance(identifier, dict):
            return deserialize_keras_object(identifier)
        if isinstance(identifier, str):
            if identifier in table:
                found = table[identifier]
            else:
                found = custom_object(identifier)
            if found is not None:
                return found() if isinstance(found, type) else found
        elif callable(identifier):
            return identifier() if isinstance(identifier, type) else identifier
        raise ValueError(
            f"Could not interpret {kind} identifier: {identifier}. Known names: {', '.join(sorted(table))}"
        )

    def serialize(thing: Any) -> Any:
        return serialize_keras_object(thing)

    def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
        with custom_object_scope(custom_objects or {}):
            return get(config)

    get.__doc__ = f"The {kind} for a name, a config dict, a class or a callable."
    serialize.__doc__ = f"Plain data that describes the {kind}."
    deserialize.__doc__ = f"The {kind} that `serialize` described."
    return get, serialize, deserialize
