"""The idx format of MNIST: a magic number, dimensions, then values; big-endian, often gzipped."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_BYTES = 1 << 33


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an idx file, gzipped or not, in native byte order.

    Args:
        path: the file. Gzip is recognised by its first two bytes, not by the name.

    Returns:
        An array with the shape and dtype that the file's header states.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not idx, is cut short, has bytes left over or its gzip data is corrupt.
    """
    path = Path(path)
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(
                f"{path} is a damaged or truncated gzip file ({error}): delete it, then load again"
            ) from None
    if len(data) < 4:
        raise ValueError(
            f"{path} is not an idx file: it holds {len(data)} bytes, a header alone takes 4 or more"
        )
    zero, code, rank = struct.unpack_from(">HBB", data)
    if zero != 0 or code not in _DTYPES:
        raise ValueError(
            f"{path} is not an idx file: its first bytes are {data[:4].hex(' ')}, expected 00 00 08 01..04"
        )
    begin = 4 + 4 * rank
    if len(data) < begin:
        raise ValueError(f"{path} is truncated inside its header: {len(data)} of {begin} bytes")
    shape = struct.unpack_from(f">{rank}I", data, 4)
    dtype = np.dtype(_DTYPES[code])
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size > _MOST_BYTES:
        raise ValueError(f"{path} claims the shape {shape}, {size} bytes: its header is corrupt")
    if len(data) != begin + size:
        state = "truncated" if len(data) < begin + size else "too long"
        raise ValueError(
            f"{path} is {state}: shape {shape} takes {size} bytes, the file has {len(data) - begin}"
        )
    return np.frombuffer(data, dtype, offset=begin).reshape(shape).astype(dtype.newbyteorder("="))
