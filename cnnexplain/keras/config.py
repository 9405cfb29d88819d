"""Keras's global settings: the default float type, epsilon and image layout."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dtype_policies import DTypePolicy

_FLOATS = ("float32", "float64", "float16", "bfloat16")
_settings: dict = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
_logging = {"interactive": True}
_flags: dict[str, bool | None] = {"traceback": True, "flash": None, "unsafe": False}
_limits: dict[str, int | None] = {
    name: int(os.environ[f"KERAS_{name.upper()}"]) if os.environ.get(f"KERAS_{name.upper()}") else None
    for name in ("max_epochs", "max_steps_per_epoch")
}


def floatx() -> str:
    """The default float dtype, `"float32"` unless it was set.

    >>> from cnnexplain import keras
    >>> keras.config.floatx()
    'float32'
    """
    return _settings["floatx"]


def set_floatx(value: str) -> None:
    """Sets the default dtype of new layers, models and random tensors: "float32" or "float64"."""
    name = getattr(value, "name", value)
    if name not in _FLOATS:
        raise ValueError(f"Unknown `floatx` value: {value}. Expected one of ('float32', 'float64')")
    if name not in ("float32", "float64"):
        raise ValueError(
            f"`floatx` must be 'float32' or 'float64': nothing is computed in {name}. Received: {value}"
        )
    _settings["floatx"] = name


def epsilon() -> float:
    """The small number that keeps logarithms and divisions finite, 1e-7 unless it was set."""
    return _settings["epsilon"]


def set_epsilon(value: float) -> None:
    """Sets what `epsilon()` returns."""
    _settings["epsilon"] = float(value)


def image_data_format() -> str:
    """The default image layout: "channels_last" (NHWC) or "channels_first" (NCHW)."""
    return _settings["image_data_format"]


def set_image_data_format(data_format: str) -> None:
    """Sets the default layout of layers made from now on."""
    _settings["image_data_format"] = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """The layout in lower case; None is the default one."""
    if data_format is None:
        return _settings["image_data_format"]
    name = str(data_format).lower()
    if name not in ("channels_first", "channels_last"):
        raise ValueError(
            "The `data_format` argument must be one of {'channels_first', 'channels_last'}. "
            f"Received: data_format={data_format}"
        )
    return name


def standardize_dtype(dtype: object) -> str:
    """The dtype's name: of a string, a DType, a NumPy dtype, a Keras dtype policy; None is `floatx()`."""
    if dtype is None:
        return floatx()
    if isinstance(dtype, str):
        name = dtype
    elif isinstance(dtype, dict):
        name = dtype.get("config", {}).get("name", "")
    else:
        name = getattr(dtype, "name", None) or getattr(dtype, "__name__", "") or str(dtype)
    if name in ("mixed_float16", "mixed_bfloat16"):
        raise ValueError(
            f"`dtype` must be 'float32' or 'float64'; mixed precision is not offered. Received: dtype={name}"
        )
    known = ("float32", "float64", "float16", "bfloat16", "int8", "uint8", "int32", "int64", "bool")
    name = {"int": "int64", "float": "float32"}.get(name, name)
    if name not in known:
        raise ValueError(f"Invalid dtype: {dtype}. Expected one of {known}")
    return name


def enable_interactive_logging() -> None:
    """Bars and messages are printed; `verbose="auto"` shows a progress bar."""
    _logging["interactive"] = True


def disable_interactive_logging() -> None:
    """Messages go to Python's logger "cnnexplain"; `verbose="auto"` gives one line for each epoch."""
    _logging["interactive"] = False


def is_interactive_logging_enabled() -> bool:
    """Whether bars and messages are printed."""
    return _logging["interactive"]


def backend() -> str:
    """The name of the engine below."""
    return "cnnexplain"


def set_backend(backend: str) -> None:
    """Accepts "cnnexplain": there is one engine.

    Raises:
        ValueError: another name.
    """
    if backend != "cnnexplain":
        raise ValueError(f"`backend` must be 'cnnexplain', the only engine here. Received: backend={backend}")


def dtype_policy() -> DTypePolicy:
    """The policy of new layers.

    >>> from cnnexplain import keras
    >>> keras.config.dtype_policy()
    <DTypePolicy "float32">
    """
    from .dtype_policies import DTypePolicy

    return DTypePolicy(floatx())


def set_dtype_policy(policy: Any) -> None:
    """Sets the dtype of new layers, "float32" or "float64".

    Raises:
        ValueError: mixed precision or a quantized policy; nothing is computed in 16 bits.
    """
    set_floatx(standardize_dtype(policy))


def enable_traceback_filtering() -> None:
    """Kept as a flag: tracebacks are short here, and nothing is taken out of them."""
    _flags["traceback"] = True


def disable_traceback_filtering() -> None:
    """Kept as a flag: nothing is taken out of tracebacks."""
    _flags["traceback"] = False


def is_traceback_filtering_enabled() -> bool:
    """What was set."""
    return bool(_flags["traceback"])


def enable_flash_attention() -> None:
    """Kept as a flag: attention is computed in one way."""
    _flags["flash"] = True


def disable_flash_attention() -> None:
    """Kept as a flag: attention is computed in one way."""
    _flags["flash"] = False


def is_flash_attention_enabled() -> bool | None:
    """What was set; None before."""
    return _flags["flash"]


def enable_unsafe_deserialization() -> None:
    """Kept as a flag: bytecode of lambdas is not loaded all the same."""
    _flags["unsafe"] = True


def is_nnx_enabled() -> bool:
    """False: there is no other backend."""
    return False


def max_epochs() -> int | None:
    """The most epochs of any `fit`; None: no limit. First the environment variable KERAS_MAX_EPOCHS."""
    return _limits["max_epochs"]


def set_max_epochs(max_epochs: int | None) -> None:
    """Sets the most epochs of any `fit`, for trying a script out."""
    _limits["max_epochs"] = max_epochs


def max_steps_per_epoch() -> int | None:
    """The most steps of an epoch; None: no limit. First the variable KERAS_MAX_STEPS_PER_EPOCH."""
    return _limits["max_steps_per_epoch"]


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Sets the most steps of any epoch, evaluation and prediction, for trying a script out."""
    _limits["max_steps_per_epoch"] = max_steps_per_epoch
