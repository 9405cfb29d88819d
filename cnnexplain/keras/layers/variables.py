"""The variables of a layer and of the layers inside it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnexplain.tensor import Variable

from .. import config, constraints, initializers, naming, regularizers, tracing, tree
from ..tracing import state
from ..variable import Variable as Weight

_INTERNAL = frozenset({"_inbound_nodes", "_traces", "_graph", "_own", "_programs", "_init_arguments"})
_PLAIN = frozenset({bool, int, float, str, type(None)})  # what cannot hold anything
# Edits that leave traces valid.
_QUIET = frozenset({"built", "input_spec", "_build_shape", "_traced", "_losses"})


class VariableHolder:
    """Variables by `add_weight` or as attributes, layers as attributes, and what follows from both."""

    name: str
    built: bool
    _own: list
    _losses: list
    _regularizers: dict[int, tuple]
    _constraints: dict[int, tuple]
    _trainable: bool
    _dtype: str | None

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """Within it the layer takes variables and layers; behind the outermost it takes no more."""
        fields = self.__dict__
        fields["_building"] = fields.get("_building", 0) + 1
        try:
            yield
            fields["_closed"] = fields["_building"] == 1
        finally:
            fields["_building"] -= 1

    def _refuse_if_closed(self, what: str) -> None:
        if self.__dict__.get("_closed") and not self.__dict__["_building"]:
            raise ValueError(
                f"Layer '{self.name}' is built and takes no more variables or layers: make them in "
                f"`__init__` or in `build`. Received: {what}"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, VariableHolder) and state.path[-1:] == (self.__dict__.get("name"),):
            if self.__dict__.get(name) is not value:  # within the layer's call
                self._refuse_if_closed(f"a {type(value).__name__} as `{name}` in `call`")
        if isinstance(value, tuple) and not hasattr(value, "_fields") and type(value) is not tuple:
            value = tuple(value)
        object.__setattr__(self, name, value)
        if self.__dict__["_traced"] and state.depth == 0 and name not in _QUIET:
            tracing.changed()

    def _attributes(self) -> list:
        """What the layer holds, also in lists and dicts: variables, layers, metrics and other objects."""
        found: list = []
        for name, value in [item for item in self.__dict__.items() if type(item[1]) not in _PLAIN]:
            if isinstance(value, (list, tuple, dict)):
                if value and name not in _INTERNAL:
                    items = list(value.values()) if isinstance(value, dict) else value
                    if not _PLAIN.issuperset(map(type, items)):
                        found += tree.flatten(items)
            elif name not in _INTERNAL:
                found.append(value)
        return found

    def _sublayers(self, held: list | None = None) -> list:
        """The layers among `held`, what `_attributes` gave."""
        values = self._attributes() if held is None else held
        return list({id(value): value for value in values if isinstance(value, VariableHolder)}.values())

    def _own_variables(self) -> list[Any]:
        own = list(self._own)
        seen = {id(variable) for variable in own}
        for value in self._attributes():
            if isinstance(value, Variable) and id(value) not in seen:
                seen.add(id(value))
                own.append(value)
        return [v for v in own if v.trainable] + [v for v in own if not v.trainable]

    def _inside(self) -> list[tuple[Any, list]]:
        """The layer and every layer inside it, each with what it holds."""
        found: list = []
        seen: set[int] = set()
        stack: list = [self]
        while stack:
            layer = stack.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            held = layer._attributes()
            found.append((layer, held))
            stack.extend(reversed(layer._sublayers(held)))
        return found

    def _flatten_layers(self, include_self: bool = True) -> list:
        found = [layer for layer, _ in self._inside()]
        return found if include_self else found[1:]

    @property
    def trainable(self) -> bool:
        """Whether training changes the variables; setting it reaches every layer inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        for layer in self._flatten_layers():
            layer.__dict__["_trainable"] = value
        tracing.changed()

    @property
    def dtype(self) -> str:
        """The dtype of the variables, a string."""
        return self._dtype or config.floatx()

    @property
    def variable_dtype(self) -> str:
        """The dtype of the variables."""
        return self.dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation."""
        return self.dtype

    @property
    def dtype_policy(self) -> Any:
        """The dtype as a policy."""
        from ..dtype_policies import DTypePolicy

        return DTypePolicy(self.dtype)

    @property
    def weights(self) -> list:
        """The variables in the order of `get_weights`: trainable ones of a layer first."""
        found: list = []
        seen: set[int] = set()
        for layer in self._flatten_layers():
            for variable in layer._own_variables():
                if id(variable) not in seen:
                    seen.add(id(variable))
                    found.append(variable)
        return found

    @property
    def variables(self) -> list:
        """The weights and the states of random generators."""
        from ..random import SeedGenerator

        found = self.weights
        for _, held in self._inside():
            found.extend(value.state for value in held if isinstance(value, SeedGenerator))
        return found

    @property
    def trainable_weights(self) -> list:
        """The weights that training changes."""
        found: list = []
        seen: set[int] = set()
        for layer in self._flatten_layers():
            if not layer._trainable:
                continue
            for variable in layer._own_variables():
                if variable.trainable and id(variable) not in seen:
                    seen.add(id(variable))
                    found.append(variable)
        return found if self._trainable else []

    @property
    def non_trainable_weights(self) -> list:
        """The weights that training leaves."""
        trained = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.weights if id(variable) not in trained]

    @property
    def trainable_variables(self) -> list:
        """The weights that training changes."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list:
        """The variables that training by gradients leaves."""
        trained = {id(variable) for variable in self.trainable_weights}
        return [variable for variable in self.variables if id(variable) not in trained]

    @property
    def losses(self) -> list:
        """Penalties: of weights now, and what `add_loss` and activity regularizers left at the last call."""
        found = []
        for layer in self._flatten_layers():
            found.extend(layer._losses)
            for variable, regularizer in layer._regularizers.values():
                if layer._trainable:
                    found.append(regularizer(variable))
        return found

    @property
    def metrics(self) -> list:
        """Metrics held as attributes, also by layers inside."""
        from ..metrics import Metric

        return [value for _, held in self._inside() for value in held if isinstance(value, Metric)]

    @property
    def path(self) -> str:
        """The layer's place, "outer/inner", as its variables have it."""
        own = self._own_variables()
        place = getattr(own[0], "path", "") if own else ""
        return place.rpartition("/")[0] or self.name

    def add_weight(
        self,
        *args: Any,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> Variable:
        """Makes a variable of this layer. The name may also come first, as Keras 2 had it.

        Args:
            shape: Its shape; None or (): a scalar.
            initializer: Name or callable; None: "glorot_uniform" for floats, "zeros" otherwise.
            dtype: None: the layer's.
            trainable: Whether training changes it.
            regularizer: A penalty on it.
            constraint: A projection after each training step.
            name: Its name.

        Returns:
            The variable.
        """
        if args and (isinstance(args[0], str) or args[0] is None and name is None and len(args) > 1):
            name, args = args[0], args[1:]
        if args:
            shape, args = args[0], args[1:]
        if args:
            initializer, args = args[0], args[1:]
        if args:
            raise TypeError(f"`add_weight` takes shape and initializer by position. Received also: {args}")
        kwargs.pop("synchronization", None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to `add_weight`: {kwargs}")
        self._refuse_if_closed(f"add_weight(name={name!r})")
        if overwrite_with_gradient:
            raise ValueError("`overwrite_with_gradient=True` is not offered: it serves 8-bit training.")
        shape = () if shape is None else (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        if any(size is None for size in shape):
            raise ValueError(f"`shape` of a weight must have no unknown dimension. Received: shape={shape}")
        sizes = tuple(int(size) for size in shape)
        dtype = self.dtype if dtype is None else config.standardize_dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtype.startswith("float") else "zeros"
        initializer = initializers.get(initializer)
        with tracing.running_eagerly():
            value = (state.first_value or initializer)(sizes, dtype=dtype)
            name = name or naming.auto_name("variable")
            variable = Weight(value, trainable=bool(trainable), name=name, dtype=dtype)
        scope = "/".join(
            (*state.path, self.name) if not state.path or state.path[-1] != self.name else state.path
        )
        _set_path(variable, "/".join((*naming.scopes.names, scope, variable.name)))
        self._own.append(variable)
        regularizer = regularizers.get(regularizer)
        if regularizer is not None:
            self._regularizers[variable.id] = (variable, regularizer)
            variable.regularizer = regularizer
        constraint = constraints.get(constraint)
        if constraint is not None:
            self._constraints[variable.id] = (variable, constraint)
            variable.constraint = constraint
        return variable

    def _describe_weight(self, role: str, initializer: Any, regularizer: Any, constraint: Any) -> None:
        """Sets `<role>_initializer`, `<role>_regularizer` and `<role>_constraint`."""
        setattr(self, f"{role}_initializer", initializers.get(initializer))
        setattr(self, f"{role}_regularizer", regularizers.get(regularizer))
        setattr(self, f"{role}_constraint", constraints.get(constraint))

    def _add_described(self, role: str, shape: tuple, name: str | None = None) -> Any:
        """Makes the variable that `_describe_weight` described."""
        return self.add_weight(
            name=name or role,
            shape=shape,
            initializer=getattr(self, f"{role}_initializer"),
            regularizer=getattr(self, f"{role}_regularizer"),
            constraint=getattr(self, f"{role}_constraint"),
        )

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Any:
        """Makes a variable of this layer, as `add_weight` does."""
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=trainable,
            autocast=autocast,
            regularizer=regularizer,
            constraint=constraint,
            name=name,
        )

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar to the training loss; called within `call`."""
        for value in tree.flatten(loss):
            if callable(value):
                value = value()
            if state.losses is not None:
                state.losses.append(value)
            else:
                if self.__dict__.get("_loss_call") is not state.call:  # left by an earlier call
                    self.__dict__.update(_losses=[], _loss_call=state.call)
                self._losses.append(value)

    def get_weights(self) -> list[np.ndarray]:
        """The weights as arrays."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets every weight, in the order of `get_weights`.

        Raises:
            ValueError: Another number of arrays, or a wrong shape.
        """
        variables = self.weights
        if not hasattr(weights, "__len__"):
            raise TypeError(f"`weights` must be a list of arrays. Received: weights={weights!r}")
        if len(variables) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of length "
                f"{len(weights)}, but the layer was expecting {len(variables)} weights."
            )
        arrays = [np.asarray(weight) for weight in weights]
        for variable, array in zip(variables, arrays, strict=True):
            if array.dtype.kind not in "fiub":
                raise TypeError(
                    f"`weights` must hold arrays of numbers. Received: dtype {array.dtype} for "
                    f"'{variable.name}' of layer '{self.name}'"
                )
            if tuple(variable.shape) != array.shape:
                raise ValueError(
                    f"Layer {self.name} weight shape {tuple(variable.shape)} is not compatible with "
                    f"provided weight shape {array.shape}."
                )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array.astype(variable.dtype.name, copy=False))

    def count_params(self) -> int:
        """The number of scalars in the weights."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't built. You "
                "can build it manually via: `layer.build(input_shape)`."
            )
        return sum(math.prod(variable.shape) for variable in self.weights)


def _set_path(variable: Any, path: str) -> None:
    try:
        variable.path = path
    except AttributeError:
        variable._path = path
