"""Data brought to what a functional model's inputs expect: order, rank, dtype; errors that say what is
wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from .. import tree
from ..layers.base import TENSORS
from ..layers.input_spec import NO_TENSOR, advice, fits, shown
from ..nodes import Symbol


class InputFitting:
    """The part of a model that looks at its inputs."""

    if TYPE_CHECKING:  # what the rest of Model has

        def __getattr__(self, name: str) -> Any: ...

    def _match(self, inputs: Any) -> list:
        """The given inputs in the order of the graph's."""
        graph = self._graph
        structure = graph.input_structure
        if isinstance(inputs, dict):
            names = sorted(structure) if isinstance(structure, dict) else self.input_names
            missing = [name for name in names if name not in inputs]
            if missing:
                raise ValueError(
                    f"Missing data for input '{missing[0]}'. You passed a data dictionary with keys "
                    f"{list(inputs)}. Expected the following keys: {names}"
                )
            found = [inputs[name] for name in names]
            if any(tree.is_nested(structure[name]) for name in names if isinstance(structure, dict)):
                found = tree.flatten(found)
            return found
        if len(graph.inputs) == 1:
            if isinstance(inputs, (list, tuple)):
                if len(inputs) == 1 and (hasattr(inputs[0], "shape") or tree.is_nested(inputs[0])):
                    inner = inputs[0]
                    wanted = len(graph.inputs[0].shape)
                    if not hasattr(inner, "shape") or len(inner.shape) in (wanted, wanted - 1):
                        if hasattr(inner, "shape"):
                            return [inner]
                        return (
                            self._match(inner)
                            if any(hasattr(leaf, "shape") for leaf in tree.flatten(inner))
                            else [np.asarray(inputs)]
                        )
                return [_stack(inputs)]
            return [inputs]
        flat = tree.flatten(inputs)
        if len(flat) != len(graph.inputs):
            raise ValueError(
                f'Layer "{self.name}" expects {len(graph.inputs)} input(s), but it received {len(flat)} '
                f"input tensors. Inputs received: {[shown(value) for value in flat]}"
            )
        return flat

    def _fit_input(self, value: Any, symbol: Any, place: int = 0) -> Any:
        """A tensor of the input's dtype and rank: (n, 28, 28) feeds a (28, 28, 1) input."""
        dtype = symbol.dtype.name
        wanted = tuple(symbol.shape)
        if not isinstance(value, TENSORS):
            value = _array(value, dtype, self.name)
        elif value.dtype.name != dtype:
            value = _core.cast(value, dtype=dtype)
        shape = tuple(value.shape)
        resolved = self._resolve_shape(shape, wanted, place, shape)
        return value if resolved is shape else _reshaped(value, resolved)

    def _resolve_shape(self, shape: tuple, wanted: tuple, place: int, given: tuple) -> tuple:
        """The shape itself, or with a last axis of size 1 more or less; ValueError where it does not fit."""
        if len(shape) == len(wanted) + 1 and shape[-1] == 1 and wanted[-1] != 1:
            shape = shape[:-1]
        elif len(shape) == len(wanted) - 1 and wanted[-1] == 1 and fits((*shape, 1), wanted):
            shape = (*shape, 1)
        self._check_input(shape, wanted, place, given)
        return shape

    def _check_input(self, shape: tuple, wanted: tuple, place: int, given: tuple | None = None) -> None:
        if len(shape) == len(wanted):
            for found, expected in zip(shape, wanted, strict=True):
                if found != expected and expected is not None and found is not None:
                    break
            else:
                return
        found = shape if given is None else given
        raise ValueError(
            f'Input {place} of layer "{self.name}" is incompatible with the layer: expected shape={wanted}, '
            f"found shape={found}.{advice(found, wanted)}"
        )


def _reshaped(value: Any, shape: tuple) -> Any:
    if isinstance(value, TENSORS):
        known = [-2 if size is None else int(size) for size in shape]
        return _core.reshape(value, shape=known)
    return value.reshape(shape)


def _stack(values: Any) -> Any:
    if any(isinstance(value, Symbol) for value in tree.flatten(values)):
        raise ValueError("This model has one input, but a list of several symbols was given.")
    return rectangular(values)


def rectangular(value: Any) -> np.ndarray:
    """One array of numbers from an array or nested lists; ValueError for examples of several sizes."""
    try:
        return np.asarray([np.asarray(item) for item in value] if isinstance(value, (list, tuple)) else value)
    except ValueError:
        shapes = sorted({np.shape(item) for item in value if hasattr(item, "shape")})
        sizes = f"arrays of shapes {', '.join(map(str, shapes))}" if shapes else "rows of several lengths"
        raise ValueError(
            f"The examples must have one shape. Received: {sizes}. Resize images to one size, for example by "
            "`tf.image.resize(image, (height, width))`."
        ) from None


def _array(value: Any, dtype: str, name: str) -> np.ndarray:
    if value is None or isinstance(value, (str, bytes)):
        raise ValueError(
            f'Model "{name}" takes numbers. Received: {type(value).__name__}.'
            f"{NO_TENSOR.get(type(value).__name__, '')}"
        )
    array = rectangular(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f'Model "{name}" takes numbers. Received: {type(value).__name__} of dtype {array.dtype}'
        )
    return array.astype(dtype, copy=False)
