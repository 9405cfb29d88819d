"""Recorded arrays of a family of cases in one file: hundreds of small arrays as one block and a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def write(family: str, arrays: dict[str, np.ndarray], versions: dict[str, str]) -> None:
    """Writes <family>.npz; `versions` says what computed the arrays."""
    table = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    block = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    np.savez_compressed(
        FIXTURES / f"{family}.npz",
        versions=np.array(json.dumps(versions)),
        table=np.array(json.dumps(table)),
        block=np.frombuffer(block, np.uint8),
    )


def read(family: str) -> dict[str, np.ndarray]:
    """The arrays of <family>.npz by name."""
    with np.load(FIXTURES / f"{family}.npz") as file:
        table, block = json.loads(str(file["table"])), file["block"]
    arrays, begin = {}, 0
    for name, dtype, shape in table:
        size = np.dtype(dtype).itemsize * int(np.prod(shape))
        arrays[name] = np.frombuffer(block[begin : begin + size].tobytes(), dtype).reshape(shape)
        begin += size
    return arrays
