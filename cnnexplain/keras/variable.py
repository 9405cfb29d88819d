"""`keras.Variable`: a variable by Keras's arguments and attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core, tensor

from . import config, naming

_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = (None, "none", "on_read", "on_write", "auto")


class Variable(tensor.Variable):
    """A value that changes by `assign`.

    Args:
        initializer: The first value, or an initializer (a function of `shape` and `dtype`, or its name).
        shape: Needed with an initializer.
        dtype: Default: that of the value; with an initializer `floatx()`.
        trainable: Gradient tapes watch it when it is read.
        autocast, aggregation, synchronization, layout: Kept; there is one device and one dtype.
        name: For people; must not contain "/".

    >>> from cnnexplain import keras
    >>> v = keras.Variable("ones", shape=(2,), name="v")
    >>> v.assign_add([1.0, 2.0])
    <Variable path=v, shape=(2,), dtype=float32, value=[2. 3.]>
    """

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Any = None,
        **kwargs: Any,
    ) -> None:
        name = name or naming.auto_name("variable")
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: name={name}"
            )
        if aggregation not in _AGGREGATIONS:
            raise ValueError(
                f"`aggregation` must be one of {_AGGREGATIONS}. Received: aggregation={aggregation}"
            )
        if synchronization not in _SYNCHRONIZATIONS:
            raise ValueError(
                f"`synchronization` must be one of {_SYNCHRONIZATIONS}. "
                f"Received: synchronization={synchronization}"
            )
        if kwargs:
            raise TypeError(f"Variable() got an unexpected keyword argument {next(iter(kwargs))!r}")
        if isinstance(initializer, str):
            from . import initializers

            initializer = initializers.get(initializer)
        if callable(initializer) and not isinstance(initializer, (_core.Tensor, _core.Variable)):
            if shape is None:
                raise ValueError(
                    "When creating a Variable from an initializer, the `shape` argument should be specified. "
                    f"Received: initializer={initializer} and shape={shape}"
                )
            sizes = (shape,) if isinstance(shape, int) else tuple(shape)
            if any(size is None for size in sizes):
                raise ValueError(f"`shape` must have no unknown dimension. Received: shape={shape}")
            initializer = initializer(sizes, dtype=config.standardize_dtype(dtype))
        elif not hasattr(initializer, "dtype"):
            array = np.asarray(initializer)
            kinds = {"f": config.floatx(), "i": "int32"}
            initializer = array.astype(kinds.get(array.dtype.kind, array.dtype))
        kind = None if dtype is None else config.standardize_dtype(dtype)
        if kind is not None and isinstance(initializer, (np.ndarray, np.generic)):
            initializer = np.asarray(initializer).astype(kind, copy=False)
        super().__init__(initializer, trainable=trainable, dtype=kind)
        self.name = name
        if naming.scopes.names:
            self.path = "/".join((*naming.scopes.names, name))
        self.regularizer: Any = None
        self.autocast = bool(autocast)
        self.aggregation = aggregation or "none"
        self.synchronization = synchronization or "none"
        self.overwrite_with_gradient = False

    def numpy(self) -> np.ndarray:
        """The current value as an array."""
        return np.array(self)

    def assign(self, value: Any) -> Any:  # type: ignore[override]
        """Replaces the value. Shapes must be equal; returns the variable."""
        return super().assign(value)

    def assign_add(self, value: Any) -> Any:  # type: ignore[override]
        """Adds to the value; not recorded on tapes."""
        return super().assign_add(value)

    def assign_sub(self, value: Any) -> Any:  # type: ignore[override]
        """Subtracts from the value; not recorded on tapes."""
        return super().assign_sub(value)

    @property
    def value(self) -> Any:
        """The current value as a tensor."""
        return self.read_value()

    @property
    def handle(self) -> Variable:
        """The variable itself."""
        return self

    def __repr__(self) -> str:
        return (
            f"<Variable path={self.path}, shape={tuple(self.shape)}, dtype={self.dtype.name}, "
            f"value={np.asarray(self)}>"
        )
