"""cnnexplain runs convolutional networks on the CPU and shows what they saw.

The functions have TensorFlow's names (`import cnnexplain as tf`), networks are in `cnnexplain.keras`,
explanations in `cnnexplain.explain`, the same on plain arrays in `cnnexplain.ops`.

>>> import cnnexplain as tf
>>> x = tf.constant([1.0, -2.0])
>>> with tf.GradientTape() as tape:
...     tape.watch(x)
...     y = tf.reduce_sum(tf.abs(x))
>>> tape.gradient(y, x).numpy()
array([ 1., -1.], dtype=float32)
"""

from __future__ import annotations

import importlib
from typing import Any

from . import _names


def _load_core() -> Any:
    try:
        return importlib.import_module("cnnexplain._core")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"cnnexplain in {__path__[0]} has no compiled core. In a source folder, either run Python from "
            "another folder after `pip install .`, or install it in place with `pip install -e .`"
        ) from error


def __getattr__(name: str) -> Any:
    value = _load_core() if name == "_core" else _names.lookup(__name__, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return _names.PUBLIC
