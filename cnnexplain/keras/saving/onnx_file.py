"""Whether a file is an ONNX model, from its first bytes: `cnnexplain.models.load_onnx` reads it."""

from __future__ import annotations

import os

_VERSION = 0x08  # field 1, a number: the version of the format, which writers put first
# field: how it is stored
_WIRE = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}


def is_onnx_file(path: str | os.PathLike[str]) -> bool:
    """Does the file begin as a ModelProto? Whether all of it can be read, reading it shows.

    >>> is_onnx_file("/dev/null")
    False
    """
    with open(path, "rb") as file:
        start = file.read(4)
    if len(start) < 4 or start[0] != _VERSION or not 1 <= start[1] < 128:
        return False
    key = start[2] if start[2] < 128 else (start[2] & 127) | start[3] << 7
    return _WIRE.get(key >> 3) == key & 7
