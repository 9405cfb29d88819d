"""Keras's global settings: the default float type, epsilon and image layout."""

from __future__ import annotations

_FLOATS = ("float32", "float64", "float16", "bfloat16")
_settings: dict = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
_logging = {"interactive": True}


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
    name = {"int": "int32", "float": "float32"}.get(name, name)
    if name not in known:
        raise ValueError(f"Invalid dtype: {dtype}. Expected one of {known}")
    return name


def enable_interactive_logging() -> None:
    """`verbose="auto"` shows a progress bar."""
    _logging["interactive"] = True


def disable_interactive_logging() -> None:
    """`verbose="auto"` shows one line for each epoch."""
    _logging["interactive"] = False


def is_interactive_logging_enabled() -> bool:
    """Whether `verbose="auto"` shows a progress bar."""
    return _logging["interactive"]


def backend() -> str:
    """The name of the engine below."""
    return "cnnexplain"
