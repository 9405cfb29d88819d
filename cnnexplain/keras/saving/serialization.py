"""Objects as plain dicts and back: looked up by class name in our own tables, never imported from a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..naming import nearest

_registered: dict[str, Any] = {}
_scope: list[dict] = []
_written: list[dict[int, dict]] = []  # by the ids of objects, within `sharing`
_read: list[dict[Any, Any]] = []


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
def custom_object_scope(custom_objects: dict) -> Iterator[None]:
    """Within it, the given names stand for the given classes and functions."""
    _scope.append(dict(custom_objects or {}))
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


def get_registered_name(obj: Any) -> str:
    """`package>name` of a registered object, else its plain name."""
    return getattr(obj, "_registered_name", None) or obj.__name__


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """Within it an object that is described twice is marked, and read as one."""
    _written.append({})
    _read.append({})
    try:
        yield
    finally:
        _written.pop()
        _read.pop()


def _home(cls: type) -> str | None:
    """The public module of one of our own classes, e.g. "keras.layers"; None for the user's."""
    if cls.__name__ == "Functional" and cls.__module__.startswith("cnnexplain."):
        return "keras.src.models.functional"  # Keras has no shorter name for it in files
    if "_keras_module" in cls.__dict__:
        return cls.__dict__["_keras_module"]
    return _home_of(cls.__module__)


def _home_of(module: str) -> str | None:
    prefix = "cnnexplain.keras"
    if not module.startswith(prefix):
        return None
    part = module[len(prefix) + 1 :].split(".")[0]
    if module.endswith("optimizers.schedules"):
        return "keras.optimizers.schedules"
    return "keras" if part == "models" else f"keras.{part}"


def serialize_keras_object(obj: Any) -> Any:
    """Plain data for a layer, initializer, loss, function, array or nested structure of them."""
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, (np.integer, np.floating, np.bool_)):
        return obj.item()
    if isinstance(obj, slice):
        ends = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return {
            "class_name": "__slice__",
            "config": {key: serialize_keras_object(v) for key, v in ends.items()},
        }
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    if hasattr(obj, "get_config") and not isinstance(obj, type):
        cls = type(obj)
        home = _home(cls)
        data = {
            "module": home or cls.__module__,
            "class_name": cls.__dict__.get("_public_name", cls.__name__),
            "config": obj.get_config(),
            "registered_name": None if home else get_registered_name(cls),
        }
        build = getattr(obj, "get_build_config", None)
        if build is not None:
            build_config = build()
            if build_config is not None:
                data["build_config"] = build_config
            if _written:
                first = _written[-1].setdefault(id(obj), data)
                if first is not data:
                    first["shared_object_id"] = data["shared_object_id"] = id(obj)
        return data
    if callable(obj) and hasattr(obj, "__name__"):
        home = _home(obj) if hasattr(obj, "__module__") else None
        if obj.__name__ == "<lambda>":
            raise ValueError(
                "A lambda cannot be described by name: use a function registered with "
                "`register_keras_serializable`."
            )
        return {
            "module": home or "builtins",
            "class_name": "function",
            "config": obj.__name__,
            "registered_name": get_registered_name(obj) if home is None else obj.__name__,
        }
    if hasattr(obj, "numpy"):
        array = np.asarray(obj)
        return {"class_name": "__tensor__", "config": {"value": array.tolist(), "dtype": array.dtype.name}}
    name = getattr(obj, "name", None)
    if isinstance(name, str):
        return name
    raise ValueError(f"Cannot serialize object {obj} of type {type(obj)}.")


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
    from . import application_layers

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
        optimizers.schedules,
        application_layers,
    )


def find_class(name: str, registered_name: str | None = None, module: Any = None) -> Any:
    """The class or function of this name among the user's and our own, of `module` before others (losses and
    metrics share names); ValueError when there is none.
    """
    for key in (registered_name, name):
        found = custom_object(key) if key else None
        if found is not None:
            return found
    if not isinstance(name, str):
        raise TypeError(f"A class or function is named by a string. Received: {name!r}")
    for table in sorted(_tables(), key=lambda table: _home_of(table.__name__) != module):
        found = None if name.startswith("_") else getattr(table, name, None)
        if found is not None and callable(found):
            return found
    raise ValueError(
        f"Could not locate class or function '{name}'. If it is your own, pass "
        f"`custom_objects={{'{name}': {name}}}` or register it with `register_keras_serializable`."
    )


def deserialize_keras_object(
    config: Any, custom_objects: dict | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The object that `serialize_keras_object` described; nested structures are walked.

    `module_objects=`, a further table of classes by name, is accepted as by older programs.
    """
    known = dict(kwargs.pop("module_objects", None) or {})
    if kwargs:
        raise TypeError(f"deserialize_keras_object() got unexpected arguments: {sorted(kwargs)}")
    with custom_object_scope({**known, **(custom_objects or {})}):
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
        return _array(inner["value"], inner["dtype"])
    if name == "__slice__":
        return slice(*(_deserialize(inner[key]) for key in ("start", "stop", "step")))
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__lambda__":
        raise ValueError("A lambda's bytecode is never loaded: register a function under a name instead.")
    if name == "__bytes__":
        return inner["value"].encode()
    if name == "DTypePolicy":
        return inner["name"]
    if name == "function":
        return find_class(inner, config.get("registered_name"), config.get("module"))
    shared = config.get("shared_object_id")
    if shared is not None and _read and shared in _read[-1]:
        return _read[-1][shared]
    with located(inner.get("name") if isinstance(inner, dict) else None):
        thing = _made(name, inner, config)
    if shared is not None and _read:
        _read[-1][shared] = thing
    return thing


def _array(value: Any, dtype: Any) -> np.ndarray:
    """An array of numbers; a dtype may also ask for strings of any length."""
    kind = np.dtype("float32" if dtype == "bfloat16" else dtype)
    if kind.kind not in "fiubc":
        raise ValueError(f"An array in a description must hold numbers. Received: dtype={dtype!r}")
    return np.asarray(value, kind)


def _made(name: str, inner: Any, config: dict) -> Any:
    cls = find_class(name, config.get("registered_name"), config.get("module"))
    if not hasattr(cls, "from_config"):
        raise TypeError(f"Class '{name}' has no `from_config`.")
    thing = cls.from_config(inner)
    build_config = config.get("build_config")
    if build_config and hasattr(thing, "build_from_config") and not getattr(thing, "built", True):
        thing.build_from_config(build_config)
    return thing


@contextlib.contextmanager
def located(name: Any) -> Iterator[None]:
    """Notes on an error in which layer it arose: `error.places`, from the outermost on."""
    try:
        yield
    except Exception as error:
        if isinstance(name, str):
            places = error.__dict__.setdefault("places", [])
            if not places or places[0] != name:
                places.insert(0, name)
        raise


def make_get(kind: str, table: dict[str, type], none: bool = False) -> tuple[Callable, Callable, Callable]:
    """The functions `get`, `serialize` and `deserialize` of a module whose classes go by the given names."""
    module = {"loss": "keras.losses"}.get(kind, f"keras.{kind}s")

    def get(identifier: Any) -> Any:
        if identifier is None and none:
            return None
        if isinstance(identifier, dict):
            known = {"module": module} if "class_name" in identifier else {}
            return deserialize_keras_object(known | identifier)
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
            f"Could not interpret {kind} identifier: {identifier}.{nearest(identifier, table)} Known names: "
            f"{', '.join(sorted(table))}"
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
