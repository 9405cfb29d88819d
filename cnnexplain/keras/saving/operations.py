"""Operations between layers as Keras describes them, and back.

A graph holds the engine's operations. Those that are one of Keras's are written under its name, so that
Keras reads them too; any other is written as it is. Reading calls the function of `keras.ops` that the class
stands for.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import naming
from ..models.graph import step_class
from ..nodes import Step, Symbol
from . import old_operations
from .serialization import deserialize_keras_object, serialize_keras_object

_NUMPY, _NN, _MATH, _CORE = (f"keras.src.ops.{name}" for name in ("numpy", "nn", "math", "core"))

# Same inputs in the same order, no attributes.
_SAME = {
    **dict.fromkeys(
        "add subtract multiply divide floor_divide floor_mod pow maximum minimum atan2 equal not_equal "
        "greater greater_equal less less_equal logical_and logical_or logical_not isnan isinf isfinite "
        "negative abs square sqrt exp log log1p expm1 sin cos tan asin acos atan sinh cosh tanh asinh acosh "
        "atanh sign floor ceil identity".split(),
        _NUMPY,
    ),
    **dict.fromkeys("selu silu sigmoid hard_sigmoid hard_silu softplus softsign".split(), _NN),
    **dict.fromkeys("rsqrt erf".split(), _MATH),
    "stop_gradient": _CORE,
}

_Described = tuple[str, str, dict, list]  # module, class, settings, inputs of the call


def _relu(a: dict, x: list) -> _Described | None:
    limit = math.inf if a["max_value"] is None else a["max_value"]
    if a["threshold"] == 0 and math.isinf(limit):
        if a["negative_slope"] == 0:
            return _NN, "Relu", {}, x
        return _NN, "LeakyRelu", {"negative_slope": a["negative_slope"]}, x
    return (_NN, "Relu6", {}, x) if (limit, a["threshold"], a["negative_slope"]) == (6, 0, 0) else None


def _clip(a: dict, x: list) -> _Described | None:
    if a["low"] is None or a["high"] is None:
        return None
    return _NUMPY, "Clip", {"x_min": a["low"], "x_max": a["high"]}, x


def _place(class_name: str) -> Callable:
    def describe(a: dict, x: list) -> _Described | None:
        if a["output_type"] != "int32":
            return None
        return _NUMPY, class_name, {"axis": a["axis"], "keepdims": False}, x

    return describe


def _running(class_name: str) -> Callable:
    def describe(a: dict, x: list) -> _Described | None:
        return None if a["exclusive"] or a["reverse"] else (_NUMPY, class_name, {"axis": a["axis"]}, x)

    return describe


def _reduction(class_name: str) -> Callable:
    return lambda a, x: (_NUMPY, class_name, {"axis": a["axis"], "keepdims": bool(a["keepdims"])}, x)


def _renamed(module: str, class_name: str, **names: str) -> Callable:
    """The same settings under other names."""
    return lambda a, x: (module, class_name, {new: a[old] for new, old in names.items()}, x)


def _matmul(a: dict, x: list) -> _Described | None:
    return None if a["transpose_a"] or a["transpose_b"] else (_NUMPY, "Matmul", {}, x)


def _reshape(a: dict, x: list) -> _Described | None:
    shape = a["shape"]
    if -2 in shape:  # an axis that stays as long as it is, which Keras can say of one at most
        shape = [-1 if size is None else size for size in a["made"]]
    return (_NUMPY, "Reshape", {"newshape": shape}, x) if shape.count(-1) < 2 else None


def _broadcast_to(a: dict, x: list) -> _Described | None:
    return None if None in a["made"] else (_NUMPY, "BroadcastTo", {"shape": a["made"]}, x)


def _one_hot(a: dict, x: list) -> _Described | None:
    if (a["on_value"], a["off_value"]) != (1, 0):
        return None
    return _NN, "OneHot", {"num_classes": a["depth"], "axis": a["axis"], "dtype": a["dtype"]}, x


def _take(a: dict, x: list) -> _Described | None:
    return None if a["batch_dims"] else (_NUMPY, "Take", {"axis": a["axis"]}, x)


def _flip(a: dict, x: list) -> _Described | None:
    axes = np.atleast_1d(a["axis"]).tolist()
    return (_NUMPY, "Flip", {"axis": axes[0]}, x) if len(axes) == 1 else None


def _pad(a: dict, x: list) -> _Described:
    settings = {
        "pad_width": [list(pair) for pair in zip(a["before"], a["after"], strict=True)],
        "mode": a["mode"],
    }
    return _NUMPY, "Pad", settings, [*x, a["value"]] if a["mode"] == "constant" else x


def _slice(a: dict, x: list) -> _Described:
    key = []
    strides = a["strides"] or [1] * len(a["size"])
    for begin, size, stride, length in zip(a["begin"], a["size"], strides, x[0].shape, strict=True):
        stop = None if size == -1 else begin + (size - 1) * stride + (1 if stride > 0 else -1)
        last = length is not None and 0 <= begin and length <= begin + size * stride
        if stop is not None and (last or (stop >= 0) != (begin >= 0)):
            stop = None  # up to one of the ends
        key.append(slice(None if begin == 0 and stride > 0 else begin, stop, None if stride == 1 else stride))
    while len(key) > 1 and key[-1] == slice(None):
        key.pop()
    return _NUMPY, "GetItem", {}, [*x, key]


_DESCRIBE: dict[str, Callable] = {
    "relu": _relu,
    "where": lambda a, x: (_NUMPY, "Where", {}, [x[2], x[0], x[1]]),
    "elu": _renamed(_NN, "Elu", alpha="alpha"),
    "gelu": _renamed(_NN, "Gelu", approximate="approximate"),
    "softmax": _renamed(_NN, "Softmax", axis="axis"),
    "log_softmax": _renamed(_NN, "LogSoftmax", axis="axis"),
    "clip": _clip,
    "round": lambda a, x: (_NUMPY, "Round", {"decimals": 0}, x),
    "cast": _renamed(_CORE, "Cast", dtype="dtype"),
    "reduce_sum": _reduction("Sum"),
    "reduce_mean": _reduction("Mean"),
    "reduce_max": _reduction("Max"),
    "reduce_min": _reduction("Min"),
    "reduce_prod": _reduction("Prod"),
    "reduce_any": _reduction("Any"),
    "reduce_all": _reduction("All"),
    "argmax": _place("Argmax"),
    "argmin": _place("Argmin"),
    "cumsum": _running("Cumsum"),
    "cumprod": _running("Cumprod"),
    "reshape": _reshape,
    "one_hot": _one_hot,
    "transpose": _renamed(_NUMPY, "Transpose", axes="perm"),
    "broadcast_to": _broadcast_to,
    "tile": _renamed(_NUMPY, "Tile", repeats="multiples"),
    "reverse": _flip,
    "concat": lambda a, x: (_NUMPY, "Concatenate", {"axis": a["axis"]}, [x]),
    "gather": _take,
    "matmul": _matmul,
    "pad": _pad,
    "slice": _slice,
}


def describe(step: Step, name: str, value: Callable) -> dict:
    """The entry of an operation in a model's list of layers; `value` describes one input."""
    maker = step.maker
    if maker.op == "python":
        raise ValueError(
            f"The operation '{name}' is computed by a Python function, which a model's description cannot "
            "hold: call it in a Layer."
        )
    attributes = {key: getattr(v, "name", v) for key, v in maker.attributes.items()}
    inputs = _numbers(list(maker.inputs))
    if maker.op in _SAME:
        found: _Described | None = (_SAME[maker.op], step_class(step), {}, inputs)
    else:
        made = {"made": list(next(iter(step.used.values())).shape)}
        found = _DESCRIBE[maker.op]({**attributes, **made}, inputs) if maker.op in _DESCRIBE else None
    if found is None:
        own = {"operation": maker.op, "attributes": attributes}
        found = ("keras.ops", step_class(step), own, inputs)
    module, class_name, settings, arguments = found
    described = [[value(v) for v in a] if isinstance(a, list) else value(a) for a in arguments]
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": name, **serialize_keras_object(settings)},
        "registered_name": class_name,
        "name": name,
        "inbound_nodes": [{"args": described, "kwargs": {}}],
    }


def _numbers(inputs: list) -> list:
    """Single constants of the symbols' dtype as numbers, as a program writes them."""
    kinds = {x.dtype.name for x in inputs if isinstance(x, Symbol)}

    def plain(x: Any) -> Any:
        if (
            isinstance(x, _core.Tensor)
            and not isinstance(x, Symbol)
            and not x.shape
            and {x.dtype.name} == kinds
        ):
            return x.numpy().item()
        return x

    return [plain(x) for x in inputs]


def is_operation(entry: dict) -> bool:
    """Does the entry describe an operation, not a layer?"""
    return (
        "operation" in entry["config"]
        or str(entry.get("module")).startswith(("keras.src.ops.", "keras.ops"))
        or old_operations.is_operation(entry)
    )


def operation_known(class_name: str) -> bool:
    """Is there a function of `keras.ops` for Keras's class of this name?"""
    try:
        _function(class_name)
    except ValueError:
        return False
    return True


def _get_item(x: Any, key: Any) -> Any:
    return x[tuple(key) if isinstance(key, list) else key]


def _function(class_name: str) -> Callable:
    from .. import ops

    special: dict[str, Callable] = {
        "GetItem": _get_item,
        "AllClose": ops.allclose,
        "BatchNorm": ops.batch_normalization,
        "IsIn": ops.isin,
        "LayerNorm": ops.layer_normalization,
        "RMSNorm": ops.rms_normalization,
        "SearchSorted": ops.searchsorted,
    }
    name = naming.to_snake_case(class_name)
    found = special.get(class_name) or getattr(ops, name, None) or getattr(ops.image, name, None)
    if not callable(found):
        raise ValueError(
            f"A model with the operation '{class_name}' cannot be read: `keras.ops.{name}` is not offered."
        )
    return found


def call(entry: dict, args: list, kwargs: dict) -> Any:
    """The described operation on these inputs."""
    config = entry["config"]
    if old_operations.is_operation(entry):
        return old_operations.call(entry, args, kwargs)
    if "operation" in config:
        if config["operation"] not in _core.op_names() or config["operation"] == "python":
            raise ValueError(f"The engine has no operation {config['operation']!r}.")
        args = [_core.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        return getattr(_core, config["operation"])(*args, **config["attributes"])
    function = _function(entry["class_name"])
    names = list(inspect.signature(function).parameters)
    settings = {
        key: deserialize_keras_object(value)
        for key, value in config.items()
        if key != "name" and key in names and not (key == "dtype" and value is None)
    }
    if entry["class_name"] == "Einsum":
        return function(settings["subscripts"], *args)
    free = [name for name in names if name not in settings and name not in kwargs]
    return function(**settings, **dict(zip(free, args, strict=False)), **kwargs)
