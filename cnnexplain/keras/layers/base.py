"""The base class of layers: building, and calls on tensors and symbols."""

from __future__ import annotations

import functools
import inspect
import math
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config, masking, naming, regularizers, tracing, tree
from ..naming import nearest
from ..nodes import Node, Symbol
from ..tracing import state
from .description import Described, map_shapes
from .input_spec import InputSpec, check
from .store import Stored
from .variables import VariableHolder

TENSORS = (_core.Tensor, _core.Variable)


def _dtype_of(dtype: Any) -> Any:
    """The name of a dtype, a policy or a policy's description; None for the general one."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name", dtype)
    return config.standardize_dtype(getattr(dtype, "compute_dtype", dtype))


class _CallSpec:
    """What a class's `call` accepts."""

    __slots__ = ("training", "training_default", "training_place", "mask", "names", "partners", "shapes")

    def __init__(self, cls: Any):
        parameters = list(inspect.signature(cls.call).parameters.values())[1:]
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        by_name = {p.name: p for p in parameters}
        self.training = "training" in by_name
        default = by_name["training"].default if self.training else None
        self.training_default = None if default is inspect.Parameter.empty else default
        self.training_place = names.index("training") if "training" in names else -1
        self.mask = "mask" in by_name
        self.names = names
        self.partners = [(name, f"{name}_mask") for name in names if f"{name}_mask" in by_name]
        # Arguments whose shapes `build` takes, where it takes several: query_shape, value_shape ...
        shapes = [name for name in inspect.signature(cls.build).parameters if name.endswith("_shape")]
        self.shapes = [name.removesuffix("_shape") for name in shapes] if len(shapes) > 1 else None


def _convert(value: Any, dtype: str) -> Any:
    """Arrays and numbers as tensors; float tensors in the layer's dtype."""
    if isinstance(value, TENSORS):
        if value.dtype.is_floating and value.dtype.name != dtype:
            return masking.attach(_core.cast(value, dtype=dtype), masking.of(value))
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            return _core.tensor(value.astype(dtype, copy=False))
        return _core.tensor(value)
    return value


def _convert_structure(value: Any, dtype: str) -> Any:
    if isinstance(value, (list, tuple)) and value:
        leaves = tree.flatten(value)
        if all(isinstance(leaf, (int, float, bool, np.number)) for leaf in leaves):
            try:
                array = np.asarray(value, dtype=None if isinstance(leaves[0], np.number) else dtype)
            except ValueError:
                raise ValueError(
                    "A list must hold rows of one length to be a tensor. Received rows of several lengths: "
                    f"{value}"
                ) from None
            return _convert(array, dtype)
    if tree.is_nested(value):
        return tree.map_structure(lambda leaf: _convert(leaf, dtype), value)
    if isinstance(value, float):
        return _core.tensor(value, dtype=dtype)
    return _convert(value, dtype)


class Layer(VariableHolder, Described, Stored):
    """A piece of a network: variables, made in `build`, and the computation `call`.

    Subclasses define `__init__`, `build(self, input_shape)` which makes variables by `add_weight`, and
    `call(self, inputs)`, which may take `training`.

    Args:
        activity_regularizer: A penalty on the output.
        trainable: Whether training changes the variables.
        dtype: "float32" or "float64"; None: `keras.config.floatx()`.
        autocast: Accepted; float inputs are always brought to the layer's dtype.
        name: Name of the layer; None: counted by class.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.Dense(3)
    >>> tuple(layer([[1.0, 2.0]]).shape)
    (1, 3)
    """

    _call_spec: _CallSpec
    _inbound_nodes: list[Node]
    _build_shape: Any
    _traced: bool
    input_spec: Any
    supports_masking: bool = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        fields = self.__dict__
        fields["_init_arguments"] = (args, kwargs)
        fields["_inbound_nodes"] = []
        fields["_own"] = []  # variables from add_weight, in order
        fields["_regularizers"] = {}
        fields["_constraints"] = {}
        fields["_losses"] = []
        fields["_trainable"] = True
        fields["_dtype"] = None
        fields["_traced"] = False
        fields["_build_shape"] = None
        fields["built"] = False
        fields["input_spec"] = None
        fields["activity_regularizer"] = None
        fields["supports_masking"] = cls.supports_masking or cls.compute_mask is not Layer.compute_mask
        return self

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        if name is None:
            name = naming.auto_name(type(self).__name__)
        elif not isinstance(name, str) or "/" in name:
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: name={name} "
                f"(of type {type(name)})"
            )
        self.name = name
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        shape = kwargs.pop("input_shape", None)
        batch = kwargs.pop("batch_size", None)
        if "input_dim" in kwargs:
            shape = (kwargs.pop("input_dim"),)
        batch_shape = kwargs.pop("batch_input_shape", None) or kwargs.pop("batch_shape", None)
        if batch_shape is None and shape is not None:
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            batch_shape = (batch, *shape)
        self._batch_shape_argument = None if batch_shape is None else tuple(batch_shape)
        self._initial_weights = kwargs.pop("weights", None)
        if kwargs:
            names = [*inspect.signature(type(self).__init__).parameters, "name", "dtype", "trainable"]
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}."
                f"{nearest(next(iter(kwargs)), names)}"
            )
        self._dtype = _dtype_of(dtype)
        if not isinstance(trainable, (bool, np.bool_)):
            raise ValueError(
                f"Expected `trainable` to be a boolean. Received: trainable={trainable} (of type "
                f"{type(trainable)})"
            )
        self._trainable = bool(trainable)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._call_spec = _CallSpec(cls)
        own_build = cls.__dict__.get("build")
        if own_build is not None:

            @functools.wraps(own_build)
            def build(self: Any, *args: Any, **kw: Any) -> Any:
                path = state.path
                state.path = path if path and path[-1] == self.name else (*path, self.name)
                try:
                    with self._open():
                        result = own_build(self, *args, **kw)
                finally:
                    state.path = path
                if args:
                    self.__dict__["_build_shape"] = args[0]
                self.__dict__["built"] = True
                return result

            cls.build = build  # type: ignore[method-assign]

    # Building and calling

    def build(self, input_shape: Any) -> None:
        """Makes the variables for inputs of this shape; (None, ...) for any batch size."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation, on tensors or symbols."""
        raise NotImplementedError(f"Layer {type(self).__name__} does not have a `call()` method implemented.")

    def _maybe_build(self, args: tuple, kwargs: dict) -> None:
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        shapes = [tree.map_structure(_shape_of, inputs)]
        spec = type(self)._call_spec
        if spec.shapes is not None:
            given = {**dict(zip(spec.names, args, strict=False)), **kwargs}
            values = [given.get(name) for name in spec.shapes]
            shapes = [None if value is None else tree.map_structure(_shape_of, value) for value in values]
        path = state.path
        state.path = path if path and path[-1] == self.name else (*path, self.name)
        try:
            with tracing.running_eagerly(), self._open():
                self.build(*shapes)
        finally:
            state.path = path
        self.__dict__["built"] = True
        if self.__dict__.get("_initial_weights") is not None:
            self.set_weights(self.__dict__["_initial_weights"])
            self.__dict__["_initial_weights"] = None

    @property
    def _fits_inputs(self) -> bool:
        """Does `call` bring each input to its own dtype? Otherwise all go to the layer's."""
        return False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            raise ValueError(f"Layer {self.name} was called without inputs.")
        if not self._fits_inputs:
            dtype = self._dtype or config.floatx()
            args = tuple(_convert_structure(value, dtype) for value in args)
            if kwargs:
                kwargs = {
                    key: _convert_structure(value, dtype) if key != "training" else value
                    for key, value in kwargs.items()
                }
        if state.depth == 0:
            for leaf in (
                tree.flatten([args, kwargs]) if kwargs or len(args) != 1 or tree.is_nested(args[0]) else args
            ):
                if isinstance(leaf, Symbol):
                    return self._call_on_symbols(args, kwargs)
        return self._call_now(args, kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs from that of the inputs; layers that support masking hand it on."""
        return previous_mask

    @property
    def _makes_mask(self) -> bool:
        """Has the output perhaps a mask although the input has none?"""
        return self.supports_masking and type(self).compute_mask is not Layer.compute_mask

    def _check_inputs(self, args: tuple) -> None:
        if self.input_spec is not None and args:
            check(self.input_spec, args[0], self.name)

    def _call_now(self, args: tuple, kwargs: dict) -> Any:
        spec = type(self)._call_spec
        self._check_inputs(args)
        if not self.built:
            self._maybe_build(args, kwargs)
            self._check_inputs(args)
        training = kwargs.get("training")
        if training is None and 0 <= spec.training_place < len(args):
            training = args[spec.training_place]
        elif training is None:
            training = state.training if state.training is not None else spec.training_default
            if spec.training:
                kwargs = {**kwargs, "training": training}
            else:
                kwargs.pop("training", None)
        elif not spec.training:
            kwargs = {key: value for key, value in kwargs.items() if key != "training"}
        saved = (state.training, state.path)
        if training is not None:
            state.training = bool(training)
        state.path = path = (*saved[1], self.name)
        if state.depth == 0 and not saved[1]:
            self.__dict__["_losses"] = []
            state.call = object()
        first = args[0] if args else next(iter(kwargs.values()), None)
        masks = masking.of(first)
        try:
            if masks is not None or spec.partners:
                args, kwargs = masking.fill_in(spec, args, kwargs)
            elif spec.mask:
                masks = kwargs.get("mask")
            outputs = self.call(*args, **kwargs)
            if masks is not None or self._makes_mask:
                masking.pass_on(self, first, outputs, kwargs.get("mask") if spec.mask else None, masks)
        finally:
            state.training, state.path = saved
        if self.activity_regularizer is not None:
            self._regularize(outputs)
        if state.trace is not None:
            self.__dict__["_traced"] = True
            state.trace.calls.setdefault(path, outputs)
        return outputs

    def _regularize(self, outputs: Any) -> None:
        for output in tree.flatten(outputs):
            penalty = self.activity_regularizer(output)
            if isinstance(output, Symbol):
                ones = _core.reduce_sum(output * 0.0 + 1.0, axis=list(range(1, len(output.shape))))
                batch = _core.reduce_sum(ones / float(max(1, math.prod(s or 1 for s in output.shape[1:]))))
            else:
                batch = float(output.shape[0] or 1)
            self.add_loss(penalty / batch)

    def _call_on_symbols(self, args: tuple, kwargs: dict) -> Any:
        path = state.path
        with tracing.building():
            state.path = path  # of a Sequential that is being put together
            outputs = self._call_now(args, dict(kwargs))
        fresh = tree.map_structure(_fresh, outputs)
        Node(self, args, kwargs, fresh)
        return fresh

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output for inputs of these shapes; None stands for any size.

        >>> from cnnexplain import keras
        >>> keras.layers.MultiHeadAttention(2, 4).compute_output_shape((None, 7, 3), (None, 5, 3))
        (None, 7, 3)
        """

        def symbol(shape: Any) -> Any:
            return _core.symbol(tuple(shape), self.dtype)

        def inputs(shapes: Any) -> Any:
            return None if shapes is None else map_shapes(symbol, shapes)

        given = [inputs(shapes) for shapes in args]
        named = {name.removesuffix("_shape"): inputs(shapes) for name, shapes in kwargs.items()}
        if not given and len(named) == 1:
            given, named = list(named.values()), {}
        with tracing.building():
            outputs = self._call_now(tuple(given), named)
        return tree.map_structure(_shape_of, outputs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbols with the shapes and dtypes of the outputs."""
        with tracing.building():
            return tree.map_structure(_fresh, self._call_now(args, dict(kwargs)))

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The call on symbols."""
        return self._call_on_symbols(args, kwargs)

    # The first call

    def _first(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(
                f"The layer {self.name} has never been called and thus has no defined {what}."
            )
        return self._inbound_nodes[0]

    @property
    def input(self) -> Any:
        """The symbol, or list of them, that the layer was first called on."""
        node = self._first("input")
        value = node.args[0] if node.args else node.inputs
        return value if not isinstance(value, list) or len(value) != 1 else value[0]

    @property
    def output(self) -> Any:
        """The symbol that the layer's first call returned; a list of them when there are several."""
        return self._first("output").structure

    @property
    def input_shape(self) -> Any:
        """The shape of `input`."""
        return tree.map_structure(_shape_of, self.input)

    @property
    def output_shape(self) -> Any:
        """The shape of `output`."""
        return tree.map_structure(_shape_of, self.output)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


Layer._call_spec = _CallSpec(Layer)


def _shape_of(value: Any) -> Any:
    return tuple(value.shape) if hasattr(value, "shape") else ()


def _fresh(value: Any) -> Any:
    if not isinstance(value, TENSORS):
        raise TypeError(f"A layer's `call` must return tensors. Received: {value} (of type {type(value)})")
    return masking.attach(_core.symbol(tuple(value.shape), value.dtype.name), masking.of(value))


def real_input(x: Any, dtype: str) -> Any:
    """Integer and bool tensors in the layer's float dtype."""
    return x if x.dtype.is_floating else masking.attach(_core.cast(x, dtype=dtype), masking.of(x))


__all__ = ["InputSpec", "Layer", "real_input"]
