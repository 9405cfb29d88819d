"""Types of elements, and shapes: `float32` and its relatives, `DType`, `TensorShape`."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "DType",
    "TensorShape",
    "as_dtype",
    "bfloat16",
    "bool",
    "float16",
    "float32",
    "float64",
    "int32",
    "int64",
    "int8",
    "uint8",
]


class DType:
    """The type of a tensor's elements, equal to its name, its NumPy dtype and its NumPy type.

    Attributes:
        name: "float32", "int64", ...
        as_numpy_dtype: the NumPy scalar type, `numpy.float32`.
        is_floating, is_integer, is_bool: what kind of numbers.
        size: bytes of one element.
        min, max: the least and the greatest value.

    Example:
        >>> float32 == "float32", float32 == np.float32, float32.size
        (True, True, 4)
    """

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a DType does not change")

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype: lets NumPy functions take a DType for `dtype=`."""
        return np.dtype(self.as_numpy_dtype)

    @property
    def as_numpy_dtype(self) -> type:
        """The NumPy scalar type."""
        if self.name == "bfloat16":
            raise TypeError("NumPy has no bfloat16; cast to float32 first")
        return np.dtype(self.name).type

    @property
    def base_dtype(self) -> DType:
        """This dtype: there are no reference types."""
        return self

    @property
    def is_floating(self) -> bool_:
        """Whether its values are real numbers."""
        return "float" in self.name

    @property
    def is_integer(self) -> bool_:
        """Whether its values are whole numbers."""
        return "int" in self.name

    @property
    def is_bool(self) -> bool_:
        """Whether it is bool."""
        return self.name == "bool"

    @property
    def is_complex(self) -> bool_:
        """Never: there are no complex tensors."""
        return False

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return 2 if self.name == "bfloat16" else np.dtype(self.name).itemsize

    @property
    def min(self) -> Any:
        """The least value."""
        return self._limit("min", False)

    @property
    def max(self) -> Any:
        """The greatest value."""
        return self._limit("max", True)

    def _limit(self, which: str, truth: bool_) -> Any:
        if self.is_bool:
            return truth
        about = np.finfo if self.is_floating else np.iinfo
        return getattr(about(self.as_numpy_dtype), which)

    def __eq__(self, other: object) -> bool_:
        if isinstance(other, DType):
            return self.name == other.name
        if isinstance(other, str):
            return self.name == other
        try:
            return self.name == as_dtype(other).name
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    def __reduce__(self) -> tuple:
        return as_dtype, (self.name,)


bool_ = bool
float16 = DType("float16")
bfloat16 = DType("bfloat16")
float32 = DType("float32")
float64 = DType("float64")
int8 = DType("int8")
int32 = DType("int32")
int64 = DType("int64")
uint8 = DType("uint8")
bool = DType("bool")

COMPUTE = {d.name: d for d in (float32, float64, int32, int64, uint8, int8, bool)}
NAMED = {**COMPUTE, "float16": float16, "bfloat16": bfloat16, "half": float16, "double": float64}
PYTHON = {float: float32, int: int32, bool_: bool}


def as_dtype(value: Any) -> DType:
    """The DType that a name, NumPy dtype, NumPy type or Python type stands for.

    Raises:
        TypeError: there is no such type here.

    Example:
        >>> as_dtype("float32"), as_dtype(np.uint8), as_dtype(float)
        (tf.float32, tf.uint8, tf.float32)
    """
    if isinstance(value, DType):
        return value
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    if isinstance(value, type) and value in PYTHON:
        return PYTHON[value]
    try:
        return NAMED[np.dtype(value).name] if value is not None else NAMED[""]
    except (TypeError, KeyError, ValueError):
        pass
    raise TypeError(f"`dtype` must be one of: {', '.join(NAMED)}. Received: dtype={value!r}") from None


class TensorShape(tuple):
    """The dimensions of a tensor: a tuple whose items are integers, or None where not known yet.

    Example:
        >>> TensorShape([None, 28, 28]).rank, TensorShape((2, 3)).as_list()
        (3, [2, 3])
    """

    __slots__ = ()

    def as_list(self) -> list[int | None]:
        """The dimensions as a list."""
        return list(self)

    @property
    def rank(self) -> int:
        """How many dimensions there are."""
        return len(self)

    @property
    def ndims(self) -> int:
        """The same as `rank`."""
        return len(self)

    @property
    def dims(self) -> list[int | None]:
        """The same as `as_list()`."""
        return list(self)

    def is_fully_defined(self) -> bool_:
        """Whether every dimension is known."""
        return None not in self

    def num_elements(self) -> int | None:
        """How many elements such a tensor has; None when a dimension is not known."""
        return None if None in self else int(np.prod(self, dtype=np.int64))

    def is_compatible_with(self, other: Any) -> bool_:
        """Whether a tensor could have both shapes."""
        other = tuple(other)
        return len(self) == len(other) and all(
            a is None or b is None or a == b for a, b in zip(self, other, strict=True)
        )

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError unless a tensor could have both shapes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"shapes {tuple(self)} and {tuple(other)} are not compatible")

    def concatenate(self, other: Any) -> TensorShape:
        """These dimensions, then those of other."""
        return self + other

    def __getitem__(self, key: Any) -> Any:
        item = tuple.__getitem__(self, key)
        return TensorShape(item) if isinstance(key, slice) else item

    def __add__(self, other: Any) -> TensorShape:
        return TensorShape(tuple.__add__(self, tuple(other)))

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape(tuple(other) + tuple(self))

    def __eq__(self, other: object) -> bool_:
        return tuple.__eq__(self, tuple(other) if isinstance(other, list) else other) is True

    def __ne__(self, other: object) -> bool_:
        return not self == other

    __hash__ = tuple.__hash__

    def __str__(self) -> str:
        return tuple.__repr__(self)

    def __repr__(self) -> str:
        return f"TensorShape({list(self)})"
