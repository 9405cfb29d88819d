"""Arrays of `.safetensors` files, which the package safetensors checks."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_LONGEST_HEADER = 100_000_000  # bytes; the format's own limit
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
    "BOOL": "bool",
}  # fmt: skip


def is_safetensors_file(filepath: Any) -> bool:
    """Whether the file begins as one: the length of a JSON object and its brace."""
    with open(filepath, "rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return start[8:] == b"{" and 2 <= length <= min(_LONGEST_HEADER, os.path.getsize(filepath) - 8)


def load_safetensors(filepath: Any) -> dict[str, np.ndarray]:
    """The arrays of a file by name; float16 and bfloat16 become float32.

    Args:
        filepath: The file.

    Returns:
        Arrays, writable, in the file's order.

    Raises:
        ValueError: The file is damaged or something else, or holds numbers of 8 bits or fewer that NumPy
            lacks.
        ImportError: The package safetensors is missing; the message says how to install it.
    """
    path = os.fspath(filepath)
    found = {}
    with _opened(path) as file:
        for name in file.offset_keys():
            dtype = _dtype(file, name)
            if dtype == "bfloat16":
                found[name] = _bfloat16(path, name)
            else:
                array = file.get_tensor(name)
                found[name] = array.astype(np.float32) if dtype == "float16" else array
    return found


def headers(filepath: Any) -> tuple[list[tuple[str, tuple, str]], dict[str, str]]:
    """Name, shape and dtype of each array, none of which is read, and the file's own remarks.

    Raises:
        ValueError: As of `load_safetensors`.
    """
    with _opened(os.fspath(filepath)) as file:
        names = file.offset_keys()
        listed = [(name, tuple(file.get_slice(name).get_shape()), _dtype(file, name)) for name in names]
        return listed, file.metadata() or {}


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            "Reading safetensors files needs the package safetensors: `pip install safetensors`. Received: "
            f"filepath={path}"
        ) from error
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            yield file
    except (safetensors.SafetensorError, ValueError) as error:
        raise ValueError(
            f"`filepath` must be a safetensors file; this file cannot be read: {error}. "
            f"Received: filepath={path}"
        ) from error


def _dtype(file: Any, name: str) -> str:
    written = file.get_slice(name).get_dtype()
    if written not in _DTYPES:
        raise ValueError(f"{name!r} is of type {written}, which is not supported")
    return _DTYPES[written]


def _bfloat16(path: str, name: str) -> np.ndarray:
    """An array whose numbers are the upper halves of float32's, in a file that has been checked."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        shape = tuple(entry["shape"])
        file.seek(8 + length + entry["data_offsets"][0])
        halves = np.fromfile(file, "<u2", math.prod(shape))
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(shape)


__all__ = ["headers", "is_safetensors_file", "load_safetensors"]
