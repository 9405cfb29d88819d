"""Sizes that are not known before a model runs, and arrays that hold them among numbers."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_counter = itertools.count()


@dataclass(frozen=True)
class Unknown:
    """`factor` times something that is not known: the batch, or a side of an image."""

    of: Hashable
    factor: int = 1

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Unknown):
            return another()
        if isinstance(other, (int, np.integer)):
            return Unknown(self.of, self.factor * int(other)) if other > 0 else 0 if other == 0 else another()
        return another()

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Unknown):
            if other.of == self.of and self.factor % other.factor == 0:
                return self.factor // other.factor
        elif other and self.factor % int(other) == 0 and other > 0:
            return Unknown(self.of, self.factor // int(other))
        return another()

    def __truediv__(self, other: Any) -> Any:
        return self // other

    def __add__(self, other: Any) -> Any:
        return self if isinstance(other, (int, np.integer)) and other == 0 else another()

    __radd__ = __sub__ = __add__

    def __rsub__(self, other: Any) -> Any:
        return another()

    def __rfloordiv__(self, other: Any) -> Any:
        return another()

    __rtruediv__ = __rfloordiv__

    def __neg__(self) -> Any:
        return another()

    def __lt__(self, other: Any) -> bool:  # every size is larger than the numbers that mark something
        return False

    def __gt__(self, other: Any) -> bool:
        return isinstance(other, (int, np.integer)) and bool(other <= 0)

    __ge__, __le__ = __gt__, __lt__

    def __repr__(self) -> str:
        return "?" if self.factor == 1 else f"{self.factor}*?"


BATCH = Unknown("batch")


def another() -> Unknown:
    """A size that nothing is known of."""
    return Unknown(next(_counter))


def product(sizes: Sequence[Any]) -> Any:
    """The product of sizes."""
    result: Any = 1
    for size in sizes:
        result = size * result if isinstance(size, Unknown) else result * size
    return result


def array_of(sizes: Any) -> np.ndarray:
    """Sizes as an int64 array, or as one of objects where some are not known."""
    made = np.array(sizes, dtype=object)
    return made if any(isinstance(size, Unknown) for size in made.ravel()) else made.astype(np.int64)


def plain(size: Any) -> int | None:
    """None for a size that is not known."""
    return None if isinstance(size, Unknown) else int(size)
