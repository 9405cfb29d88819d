"""`GradientTape`: TensorFlow's way to ask for derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _core
from .tensor import Tensor as Tensor  # importing it registers the classes that gradients come in


class UnconnectedGradients:
    """What a gradient is when the target does not depend on the source: None, or zeros."""

    NONE = "none"
    ZERO = "zero"


class GradientTape(_core.GradientTape):
    """Records operations and differentiates them.

    Every operation inside the `with` block whose inputs are watched is recorded; `gradient` then gives the
    derivative of a target with respect to sources, computing only what lies between them. Trainable variables
    are watched when they are read.

    Args:
        persistent: allow more than one `gradient`.
        watch_accessed_variables: watch trainable variables when they are read.

    Example:
        >>> x = _core.tensor(3.0)
        >>> with GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> tape.gradient(y, x).numpy()
        np.float32(6.0)
    """

    def watch(self, tensor: Any) -> None:
        """Tracks a tensor, or every tensor of nested lists and dictionaries.

        Raises:
            ValueError: for anything but tensors and variables; arrays must be made tensors first.
        """
        for leaf in flatten(tensor):
            _core.GradientTape.watch(self, leaf)

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = UnconnectedGradients.NONE,
    ) -> Any:
        """d(sum of target) / d(sources), in the structure of sources.

        Args:
            target: tensor of any shape (its elements are summed), or a structure of them (summed too).
            sources: tensor, variable, or nested lists, tuples and dictionaries of them.
            output_gradients: weights of the target's elements, in the target's structure; None: ones.
            unconnected_gradients: "none" gives None, "zero" gives zeros where nothing connects.

        Raises:
            RuntimeError: a second gradient of a tape that is not persistent.
            ValueError: an operation between them has no derivative; the message names it.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                '`unconnected_gradients` must be "none" or "zero". '
                f"Received: unconnected_gradients={unconnected_gradients!r}"
            )
        targets = flatten(target)
        seeds = None if output_gradients is None else flatten_up_to(target, output_gradients)
        wanted = flatten(sources)
        places = [i for i, source in enumerate(wanted) if source is not None]
        found = self._gradient(targets, seeds, [wanted[i] for i in places])
        self._forget()
        result: list[Any] = [None] * len(wanted)
        for i, g in zip(places, found, strict=True):
            zero = g is None and unconnected_gradients == "zero"
            result[i] = zeros_like(wanted[i]) if zero else g
        return packed_like(sources, iter(result))

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """d target / d sources, of shape target.shape + source.shape for each source."""
        wanted = flatten(sources)
        rows = [
            self._gradient([target], [seed.reshape(target.shape)], wanted)
            for seed in np.eye(int(np.prod(target.shape)), dtype=target.dtype.name)
        ]
        self._forget()
        result = [
            _stacked([row[i] for row in rows], (*target.shape, *source.shape), source, unconnected_gradients)
            for i, source in enumerate(wanted)
        ]
        return packed_like(sources, iter(result))

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: str = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """d target[b] / d source[b] of shape (b, *target.shape[1:], *source.shape[1:])."""
        if not target.ndim or not source.ndim or target.shape[0] != source.shape[0]:
            raise ValueError(
                "`target` and `source` must have the same first dimension. "
                f"Received: target.shape={target.shape}, source.shape={source.shape}"
            )
        batch, rest = target.shape[0], tuple(target.shape[1:])
        rows = []
        for one in np.eye(int(np.prod(rest)), dtype=target.dtype.name):
            seed = np.broadcast_to(one.reshape(rest), target.shape)
            rows += self._gradient([target], [seed], [source])
        self._forget()
        shape = (*rest, batch, *source.shape[1:])
        stacked = _stacked(rows, shape, source, unconnected_gradients)
        if stacked is None:
            return None
        k = len(rest)
        return _core.transpose(stacked, perm=[k, *range(k), *range(k + 1, len(shape))])

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Operations inside this `with` block are not recorded."""
        self._pause()
        try:
            yield
        finally:
            self._resume()


def zeros_like(t: Any) -> Any:
    """A tensor of zeros of the shape and dtype of t."""
    return _core.tensor(np.zeros(t.shape, t.dtype.name))


def _stacked(rows: list[Any], shape: tuple[int, ...], source: Any, unconnected: str) -> Any:
    if all(row is None for row in rows):
        return _core.tensor(np.zeros(shape, source.dtype.name)) if unconnected == "zero" else None
    rows = [zeros_like(source) if row is None else row for row in rows]
    joined = _core.tensor(rows if _core.is_recording() else np.stack([np.asarray(row) for row in rows]))
    return _core.reshape(joined, shape=list(shape))


def flatten(structure: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dictionaries (by sorted key), in order."""
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [leaf for item in structure for leaf in flatten(item)]
    return [structure]


def flatten_up_to(structure: Any, values: Any) -> list[Any]:
    """The items of values that stand where structure has its leaves, in the order of `flatten`."""
    if isinstance(structure, dict):
        keys = sorted(structure)
        if not isinstance(values, dict) or sorted(values) != keys:
            raise ValueError(f"`output_gradients` must match the targets, one for each of {keys}")
        return [leaf for key in keys for leaf in flatten_up_to(structure[key], values[key])]
    if isinstance(structure, (list, tuple)):
        if not isinstance(values, (list, tuple)) or len(values) != len(structure):
            raise ValueError(f"`output_gradients` must match the {len(structure)} targets, one for each")
        pairs = zip(structure, values, strict=True)
        return [leaf for item, value in pairs for leaf in flatten_up_to(item, value)]
    return [values]


def packed_like(structure: Any, leaves: Iterator[Any]) -> Any:
    """Leaves in the order of `flatten`, put back into the structure."""
    if isinstance(structure, dict):
        found = {key: packed_like(structure[key], leaves) for key in sorted(structure)}
        return type(structure)((key, found[key]) for key in structure)
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        make: Callable[..., Any] = type(structure)
        return make(*(packed_like(item, leaves) for item in structure))
    if isinstance(structure, (list, tuple)):
        return type(structure)([packed_like(item, leaves) for item in structure])
    return next(leaves)
