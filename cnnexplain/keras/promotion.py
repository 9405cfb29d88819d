"""Which dtype holds several: Keras's rules, in which Python's numbers adapt to the tensors they meet."""

from __future__ import annotations

from typing import Any

from . import config

_ORDER = ("bool", "uint8", "int8", "int32", "int64", "bfloat16", "float16", "float32", "float64")


def is_float_dtype(dtype: Any) -> bool:
    """Whether the dtype holds real numbers."""
    return "float" in config.standardize_dtype(dtype)


def is_int_dtype(dtype: Any) -> bool:
    """Whether the dtype holds whole numbers."""
    return "int" in config.standardize_dtype(dtype)


def result_type(*dtypes: Any) -> str:
    """The dtype that holds all; Python's `int` and `float` give way to a dtype of their kind.

    >>> from cnnexplain import keras
    >>> keras.backend.result_type("int32", "float32"), keras.backend.result_type("float32", int)
    ('float32', 'float32')
    """
    names = [config.standardize_dtype(one) for one in dtypes if one not in (int, float)]
    top = max(names, key=_ORDER.index, default="")
    if {"uint8", "int8"} <= set(names) and _ORDER.index(top) <= _ORDER.index("int8"):
        top = "int32"
    if {"bfloat16", "float16"} <= set(names) and top == "float16":
        top = "float32"
    if (float in dtypes or not dtypes) and "float" not in top:
        return config.floatx()
    if int in dtypes and top in ("", "bool"):
        return "int32"
    return top
