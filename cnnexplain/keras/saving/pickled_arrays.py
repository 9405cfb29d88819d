"""Dicts of arrays that NumPy wrote as an object array: a pickle, of which nothing but arrays is made."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

_MAKERS = {"_reconstruct", "_frombuffer", "scalar"}
_MODULES = {f"numpy.{core}.{part}" for core in ("core", "_core") for part in ("multiarray", "numeric")}


class _Arrays(pickle.Unpickler):
    """Knows NumPy's arrays and dtypes, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in _MAKERS:
            core = np._core if hasattr(np, "_core") else np.core
            return getattr(getattr(core, module.rsplit(".", 1)[1]), name)
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not run")


def read_dict(content: bytes) -> dict[str, np.ndarray]:
    """The dict of arrays that a `.npy` file holds as its only object.

    Raises:
        ValueError: it holds anything else.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind != "O" or shape != ():
        raise ValueError("it holds an array where a dict of arrays was expected")
    try:
        found = _Arrays(file).load()
    except Exception as error:
        raise ValueError(str(error)) from error
    found = found.item() if isinstance(found, np.ndarray) and found.shape == () else found
    if not isinstance(found, dict):
        raise ValueError("it holds no dict of arrays")
    found = {key: np.asarray(v) if isinstance(v, np.generic) else v for key, v in found.items()}
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, np.ndarray) or value.dtype.kind not in "fiubV":
            raise ValueError("its dict holds something else than arrays of numbers")
    return found
