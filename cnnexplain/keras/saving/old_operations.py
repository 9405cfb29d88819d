"""TensorFlow's functions between the layers of a Keras 2 model: `TFOpLambda` and `SlicingOpLambda`.

The file holds a function's name, "math.multiply", and its arguments. The name is looked up among TensorFlow's
names that this package offers; nothing is imported from a file.
"""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import Callable
from typing import Any

from cnnexplain._names import HOMES

CLASSES = frozenset({"TFOpLambda", "SlicingOpLambda"})

# Operators that TensorFlow has no function for.
_OPERATORS: dict[str, Callable] = {"add": operator.add, "eq": operator.eq, "ne": operator.ne}

_MODULES = ("math", "nn", "linalg", "image", "bitwise")
_HOMES = ("functions", "arrays", "math", "linalg", "ordering", "scatter")  # of names without a module

# Other spellings of what TensorFlow 2 has.
_ALIASES = {
    "math.mod": "math.floormod", "nn.sigmoid": "math.sigmoid", "nn.tanh": "math.tanh", "nn.swish": "nn.silu",
    "nn.max_pool": "nn.max_pool2d", "nn.avg_pool": "nn.avg_pool2d", "div": "math.divide",
    "floor_div": "math.floordiv", "floordiv": "math.floordiv", "mod": "math.floormod",
}  # fmt: skip

# Arguments that TensorFlow 1 spelled otherwise.
_ARGUMENTS = {
    "squeeze_dims": "axis",
    "dim": "axis",
    "keep_dims": "keepdims",
    "reduction_indices": "axis",
}


def is_operation(entry: dict) -> bool:
    """Does the entry stand for a function of TensorFlow?"""
    return entry.get("class_name") in CLASSES


def known(name: Any) -> bool:
    """Is TensorFlow's function of this name offered?"""
    return isinstance(name, str) and _find(name) is not None


@functools.cache
def _find(name: str) -> Callable | None:
    module, _, plain = name.rpartition(".")
    if module == "__operators__":
        return _get_item if plain == "getitem" else _OPERATORS.get(plain)
    if module == "keras.activations":
        from .. import activations

        return activations._BY_NAME.get({"hard_sigmoid": "hard_sigmoid_of_keras_2"}.get(plain, plain))
    name = name.removeprefix("compat.v1.")
    module, _, plain = _ALIASES.get(name, name).rpartition(".")
    home = module or HOMES.get(plain, "")
    if plain.startswith("_") or home.partition(".")[0] not in (_MODULES if module else _HOMES):
        return None
    table = importlib.import_module(f"cnnexplain.{module}" if module else "cnnexplain")
    try:
        found = getattr(table, plain)
    except AttributeError:
        return None
    return found if callable(found) and not isinstance(found, type) else None


class Shape:
    """What `tf.shape` gave, or a part of it: sizes, and symbols of those that only a batch tells."""

    def __init__(self, sizes: Any):
        self.sizes = sizes


def _get_item(x: Any, slice_spec: Any) -> Any:
    def key(part: Any) -> Any:
        if isinstance(part, dict):
            return slice(*(_plain(part[end]) for end in ("start", "stop", "step")))
        return _plain(part)

    parts = tuple(map(key, slice_spec)) if isinstance(slice_spec, list) else (key(slice_spec),)
    if isinstance(x, Shape):
        return Shape(x.sizes[parts[0]])
    return x[parts]


def _plain(value: Any) -> Any:
    """Sizes in place of `Shape`."""
    if isinstance(value, Shape):
        return list(value.sizes) if isinstance(value.sizes, tuple) else value.sizes
    return [_plain(item) for item in value] if isinstance(value, list) else value


def call(entry: dict, args: list, kwargs: dict) -> Any:
    """The entry's function on these arguments."""
    name = entry["config"]["function"]
    function = _find(name)
    if function is None:
        raise ValueError(f"TensorFlow's function '{name}' is not offered.")
    if function is _get_item:
        return _get_item(*args, **kwargs)
    kwargs = {
        _ARGUMENTS.get(key, key): _plain(value)
        for key, value in kwargs.items()
        if key != "name" and value is not None and (key, value) != ("conjugate", False)
    }
    args = [_plain(value) for value in args]
    if name.startswith("__operators__."):
        args, kwargs = [*args, *kwargs.values()], {}
    result = function(*args, **kwargs)
    return Shape(result) if function.__name__ == "shape" and isinstance(result, tuple) else result
