"""`Module`, which finds its variables by itself, and `TensorSpec`, what a tensor looks like."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from . import _core
from .dtypes import DType, TensorShape, as_dtype, float32

__all__ = ["Module", "TensorSpec"]


class TensorSpec:
    """Shape, dtype and name of a tensor, without values.

    Args:
        shape: Sizes; None for a dimension that is not known. None alone: nothing is known.
        dtype: Of the elements.
        name: For people.

    >>> TensorSpec((None, 28, 28), "float32")
    TensorSpec(shape=(None, 28, 28), dtype=tf.float32, name=None)
    """

    def __init__(self, shape: Any, dtype: Any = float32, name: str | None = None):
        self.shape = None if shape is None else TensorShape(shape)
        self.dtype: DType = as_dtype(dtype)
        self.name = name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor."""
        return cls(tensor.shape, tensor.dtype, name)

    def is_compatible_with(self, other: Any) -> bool:
        """Could `other`, a tensor or a spec, be described by this?"""
        shape = getattr(other, "shape", None)
        fits = self.shape is None or shape is None or self.shape.is_compatible_with(shape)
        return fits and self.dtype == other.dtype

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        shape = None if self.shape is None else tuple(self.shape)
        return f"TensorSpec(shape={shape}, dtype={self.dtype!r}, name={self.name!r})"


class Module:
    """Something that owns variables: those among its attributes, and those of modules among its attributes.

    Args:
        name: Default: the class's name in lower case with underscores.

    >>> import cnnexplain as tf
    >>> class Scale(tf.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = tf.Variable(2.0, name="factor")
    ...     def __call__(self, x):
    ...         return self.factor * x
    >>> len(Scale().trainable_variables)
    1
    """

    def __init__(self, name: str | None = None):
        self._name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def name(self) -> str:
        return self._name

    @property
    def variables(self) -> tuple:
        """All variables, in the order of the attributes' names."""
        found: dict[int, Any] = {}
        for part in _parts(self, set()):
            if isinstance(part, _core.Variable):
                found.setdefault(id(part), part)
            elif not isinstance(part, Module):
                for variable in part.variables:
                    found.setdefault(id(variable), variable)
        return tuple(found.values())

    @property
    def trainable_variables(self) -> tuple:
        """The variables that are trained."""
        return tuple(variable for variable in self.variables if variable.trainable)

    @property
    def non_trainable_variables(self) -> tuple:
        """The variables that are not trained."""
        return tuple(variable for variable in self.variables if not variable.trainable)

    @property
    def submodules(self) -> tuple:
        """The modules inside this one."""
        found = {id(part): part for part in _parts(self, set()) if not isinstance(part, _core.Variable)}
        return tuple(found.values())

    @property
    def name_scope(self) -> contextlib.AbstractContextManager:
        from .control import name_scope

        return name_scope(self.name)

    @staticmethod
    def with_name_scope(method: Any) -> Any:
        """The method itself: names need no scope here."""
        return method


def _parts(owner: Any, seen: set[int]) -> Iterator[Any]:
    """Variables, modules and layers among the attributes of owner, then of the modules found."""
    if id(owner) in seen:
        return
    seen.add(id(owner))
    if isinstance(owner, dict):
        children = [owner[key] for key in sorted(owner, key=str)]
    elif isinstance(owner, (list, tuple)):
        children = list(owner)
    else:
        attributes = vars(owner)
        children = [attributes[key] for key in sorted(attributes)]
    for child in children:
        if isinstance(child, _core.Variable):
            yield child
        elif isinstance(child, Module):
            yield child
            yield from _parts(child, seen)
        elif isinstance(child, (dict, list, tuple)):
            yield from _parts(child, seen)
        elif (
            hasattr(child, "trainable_variables")
            and hasattr(child, "variables")
            and not isinstance(child, type)
        ):
            yield child
