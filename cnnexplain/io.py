"""Files as bytes, and the pictures in them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import _names
from .image import files as _files
from .image.files import *  # noqa: F403


def read_file(filename: Any, name: str | None = None) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if isinstance(filename, np.ndarray) and filename.ndim == 0:
        filename = filename.item()
    with open(os.fspath(filename), "rb") as file:
        return file.read()


def write_file(filename: Any, contents: bytes, name: str | None = None) -> None:
    """Writes bytes to a file; its directory is made when it is missing."""
    path = os.fspath(filename)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(contents)


__all__ = [*_names.defined(__name__), *vars(_files)["__all__"]]
__getattr__ = _names.missing(__name__)
