"""`keras.KerasTensor`: the name by which symbols are made and recognized."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core
from cnnexplain._convert import is_symbol

from . import config


class _Symbols(type):
    def __instancecheck__(cls, thing: Any) -> bool:
        return is_symbol(thing)


class KerasTensor(metaclass=_Symbols):
    """A tensor without values: a shape, None where a size is not known, and a dtype.

    >>> from cnnexplain import keras
    >>> isinstance(keras.Input((3,)), keras.KerasTensor)
    True
    """

    def __new__(
        cls,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> Any:
        if sparse or ragged:
            raise ValueError(f"Tensors are dense here. Received: sparse={sparse}, ragged={ragged}")
        made = _core.symbol(tuple(shape), config.standardize_dtype(dtype))
        if name is not None:
            made.name = name
        return made
