"""`Tensor`, `Symbol` and `Variable`: the engine's types with Python's protocols added."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import _core
from .dtypes import COMPUTE, TensorShape

# Set by keras/tracing.py: called with (variable, value) before a value is assigned; True: a trace took it.
symbolic_assign: Callable[[Any, Any], bool] | None = None


class Reference:
    """A hashable stand-in for a tensor or variable: two are equal when they refer to the same object."""

    __slots__ = ("_object",)

    def __init__(self, thing: Any) -> None:
        self._object = thing

    def deref(self) -> Any:
        return self._object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._object is other._object

    def __hash__(self) -> int:
        return id(self._object)

    def __repr__(self) -> str:
        return f"<Reference to {self._object!r}>"


def _array(t: Any) -> np.ndarray:
    """The values of t, read-only; an array also for rank 0."""
    return np.asarray(t)


def _own_lines(text: str) -> str:
    """Numbers that take several lines begin on a line of their own."""
    return "\n" + text if "\n" in text else text


class _Common:
    """What Tensor and Variable share at the level of Python."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def ref(self) -> Reference:
        """A hashable reference, for sets and dictionary keys."""
        return Reference(self)

    def get_shape(self) -> TensorShape:
        return self.shape  # type: ignore[attr-defined]

    @property
    def device(self) -> str:
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:  # type: ignore[attr-defined]
            raise TypeError("a tensor of rank 0 cannot be iterated over")
        return (self[i] for i in range(len(self)))  # type: ignore[arg-type, index]

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        array = _array(self)
        return format(array.item() if array.ndim == 0 else array, spec)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A copy, because consumers of DLPack may write into what they get, and tensors do not change.

        With copy=False it is the memory itself, marked as read-only, for consumers that can be told so.
        """
        if dl_device not in (None, self.__dlpack_device__()):
            raise BufferError(f"tensors are in the memory of the CPU. Received: dl_device={dl_device}")
        if copy is not False:
            own = np.array(self)
            return own.__dlpack__() if max_version is None else own.__dlpack__(max_version=max_version)
        if max_version is None or tuple(max_version) < (1, 0):
            raise BufferError(
                "without a copy the memory must be marked as read-only, which this consumer cannot be told: "
                "leave out copy=False"
            )
        return _array(self).__dlpack__(max_version=max_version)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __round__(self, digits: int | None = None) -> Any:
        return round(_array(self).item(), digits)


class Tensor(_Common, _core.Tensor):
    """An array that does not change: numbers or booleans of one dtype, up to 8 dimensions.

    Made by `constant`, by every function of this package, and by models. Arithmetic, comparison and
    indexing give tensors and are recorded on gradient tapes.

    Attributes:
        shape: `TensorShape`, a tuple.
        dtype: `DType`, equal to its name.
        ndim: number of dimensions.
        logits: the input of the softmax or sigmoid that made this tensor, or None.

    Example:
        >>> from cnnexplain import _core
        >>> t = _core.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> t[:, 1] * 2
        <tf.Tensor: shape=(2,), dtype=float32, numpy=array([4., 8.], dtype=float32)>
    """

    __slots__ = ()

    def __repr__(self) -> str:
        array = _array(self)
        shown = _own_lines(repr(array) if array.ndim else repr(array.item()))
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype.name}, numpy={shown}>"

    def __str__(self) -> str:
        return f"tf.Tensor({_own_lines(str(_array(self)))}, shape={self.shape}, dtype={self.dtype.name})"

    def __format__(self, spec: str) -> str:
        return super().__format__(spec) if spec else str(_array(self))

    def set_shape(self, shape: Any) -> None:
        """Checks the shape; there is nothing to set."""
        self.shape.assert_is_compatible_with(shape)

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: dict) -> Tensor:
        return self

    def __reduce__(self) -> tuple:
        return _core.tensor, (np.array(self),)


class Symbol(_core.Symbol, Tensor):
    """A tensor of a model that is being built: a shape and a dtype, and the call that makes it."""

    __slots__ = ("_name",)
    _name: str

    @property
    def name(self) -> str:
        return getattr(self, "_name", f"symbol_{self.id}")

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype.name}, name={self.name}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> tuple:
        raise TypeError("a symbolic tensor cannot be pickled; save the model instead")


class Variable(_Common, _core.Variable):
    """A value that changes by `assign`: weights, statistics, counters.

    Args:
        initial_value: number, array, tensor, or a function of no arguments that gives one.
        trainable: gradient tapes watch it when it is read.
        name: for people.
        dtype: of the elements; default: that of the value.
        shape: of the value when it is to be checked.

    Example:
        >>> v = Variable([1.0, 2.0])
        >>> v.assign_add([1.0, 1.0]).numpy()
        array([2., 3.], dtype=float32)
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Callable | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ) -> None:
        if initial_value is None:
            raise ValueError(
                "`initial_value` must be a number, an array, a tensor or a function that gives one"
            )
        if callable(initial_value) and not isinstance(initial_value, (Tensor, _core.Variable)):
            initial_value = initial_value()
        _core.Variable.__init__(self, initial_value, trainable is not False, dtype)
        if shape is not None and not self.shape.is_compatible_with(shape):
            raise ValueError(f"`initial_value` must have shape {tuple(shape)}. Received: shape={self.shape}")
        self.name = f"{name or 'Variable'}:0"
        self.constraint = constraint

    @property
    def path(self) -> str:
        """Where the variable is in its model: "conv1/kernel"; its name when nothing owns it."""
        return self.__dict__.get("_path", self.name)

    @path.setter
    def path(self, path: str) -> None:
        self.__dict__["_path"] = path

    def assign(self, value: Any, use_locking: bool = False, name: Any = None, read_value: bool = True) -> Any:
        """Replaces the value. Shapes must be equal; returns the variable."""
        if symbolic_assign is not None and symbolic_assign(self, value):
            return self
        if isinstance(value, _core.Symbol):
            raise TypeError("a Variable cannot be assigned a symbolic tensor outside a layer's call")
        return _core.Variable.assign(self, value)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> Any:
        """Adds delta to the value; not recorded on tapes."""
        return self.assign(_core.untaped(_core.add, self, delta))

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> Any:
        """Subtracts delta from the value; not recorded on tapes."""
        return self.assign(_core.untaped(_core.subtract, self, delta))

    def __repr__(self) -> str:
        array = _array(self)
        shown = _own_lines(repr(array) if array.ndim else repr(array.item()))
        return f"<tf.Variable {self.name!r} shape={self.shape} dtype={self.dtype.name}, numpy={shown}>"

    def _twin(self, state: dict) -> Variable:
        return _rebuild_variable(type(self), np.array(self), self.trainable, state)

    def __copy__(self) -> Variable:
        return self._twin(dict(self.__dict__))

    def __deepcopy__(self, memo: dict) -> Variable:
        from copy import deepcopy

        twin = memo[id(self)] = self._twin({})
        twin.__dict__.update(deepcopy(self.__dict__, memo))
        return twin

    def __reduce__(self) -> tuple:
        return _rebuild_variable, (type(self), np.array(self), self.trainable, self.__dict__)


def _rebuild_variable(cls: type[Variable], value: np.ndarray, trainable: bool, state: dict) -> Variable:
    v = cls.__new__(cls)
    _core.Variable.__init__(v, value, trainable)
    v.__dict__.update(state)
    return v


# indexing with arrays
def _is_array_key(item: Any) -> bool:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return False
    if isinstance(item, (bool, np.bool_, list)):
        return True
    if isinstance(item, (_core.Tensor, _core.Variable)):
        return item.ndim > 0 or item.dtype == "bool"
    return isinstance(item, np.ndarray) and (item.ndim > 0 or item.dtype == bool)


def index(t: Tensor, key: tuple) -> Tensor:
    """t[key] for a key that holds boolean masks or integer arrays, one behind the other.

    Integers, slices and new axes beside them are applied first; then one gather takes the positions. Several
    integer arrays meet by broadcasting, as in NumPy.
    """
    arrays = [i for i, item in enumerate(key) if _is_array_key(item)]
    if arrays[-1] - arrays[0] + 1 != len(arrays):
        raise IndexError("index arrays must stand side by side. Use gather() or gather_nd()")
    items = [_positions(key[i]) if i in arrays else key[i] for i in range(len(key))]
    ranks = [_consumed(item) for item in items]
    if Ellipsis in [item for item in key if item is Ellipsis]:
        at = next(i for i, item in enumerate(key) if item is Ellipsis)
        items[at : at + 1] = [slice(None)] * (t.ndim - sum(ranks))
        shift = t.ndim - sum(ranks) - 1
        arrays = [i + shift if i > at else i for i in arrays]
    # Everything but the arrays; an array's dimensions stay whole.
    basic: list[Any] = []
    axis = 0
    for i, item in enumerate(items):
        if i in arrays:
            if i == arrays[0]:
                axis = sum(1 for b in basic if not _is_integer(b))
            basic.extend([slice(None)] * _consumed(item))
        else:
            basic.append(item)
    x = t[tuple(basic)] if any(b is None or b != slice(None) for b in basic) else t
    chosen = [items[i] for i in arrays]
    if len(chosen) == 1 and isinstance(chosen[0], _Mask):
        mask = chosen[0].array
        if mask.ndim == 0:
            x = x[None]
            mask = mask[None]
        inner = tuple(x.shape[axis : axis + mask.ndim])
        if inner != mask.shape:
            raise IndexError(f"a mask must have shape {inner} here. Received: shape={mask.shape}")
        flat = _core.reshape(
            x, shape=[*_dims(x.shape[:axis]), mask.size, *_dims(x.shape[axis + mask.ndim :])]
        )
        return _core.gather(flat, np.flatnonzero(mask), axis=axis)
    if any(isinstance(c, _Mask) for c in chosen):
        raise IndexError("a mask cannot stand beside another index array")
    if len(chosen) == 1:
        return _core.gather(x, _wrapped(chosen[0], x.shape[axis], axis), axis=axis)
    sizes = list(x.shape[axis : axis + len(chosen)])
    wrapped = np.broadcast_arrays(
        *(_wrapped(c, n, axis + d) for d, (c, n) in enumerate(zip(chosen, sizes, strict=True)))
    )
    if not axis:
        return _core.gather_nd(x, np.stack(wrapped, axis=-1))
    if None in sizes:
        raise IndexError(f"index arrays need axes of known length. Received: shape={tuple(x.shape)}")
    rest = _dims(x.shape[axis + len(chosen) :])
    flat = _core.reshape(x, shape=[*_dims(x.shape[:axis]), int(np.prod(sizes)), *rest])
    return _core.gather(flat, np.ravel_multi_index(wrapped, sizes), axis=axis)


class _Mask:
    """A boolean key: as many dimensions as it has, it consumes."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array


def _positions(item: Any) -> Any:
    array = np.asarray(item) if not isinstance(item, list) or item else np.zeros(0, np.int64)
    if array.dtype == bool:
        return _Mask(array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"index arrays must be integers or booleans. Received: dtype={array.dtype}")
    return array.astype(np.int64)


def _consumed(item: Any) -> int:
    if isinstance(item, _Mask):
        return item.array.ndim
    return 0 if item is None or item is Ellipsis else 1


def _is_integer(item: Any) -> bool:
    return item is not None and not isinstance(item, slice)


def _dims(shape: Any) -> list[int]:
    return [-2 if d is None else d for d in shape]


def _wrapped(positions: np.ndarray, size: int | None, axis: int) -> np.ndarray:
    if size is None:
        return positions
    bad = (positions < -size) | (positions >= size)
    if bad.any():
        raise IndexError(f"index {positions[bad][0]} is out of range for dimension {axis} of size {size}")
    return np.where(positions < 0, positions + size, positions)


_core.register(Tensor=Tensor, Symbol=Symbol, dtypes=COMPUTE, TensorShape=TensorShape, index=index)
