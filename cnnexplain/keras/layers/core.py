"""Input, Dense, Lambda and the identity."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from .. import activations, config, tracing, tree
from ..nodes import Node, Symbol
from ..saving.serialization import deserialize_keras_object, serialize_keras_object
from . import arguments
from .base import Layer, real_input
from .description import policy
from .input_spec import InputSpec

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor


class InputLayer(Layer):
    """The place where data enters a model. `Input` makes one and returns its symbol.

    Args:
        shape: Shape of one example, without the batch axis; None for an unknown size.
        batch_size: A fixed batch size; None: any.
        dtype: dtype of the data; None: `keras.config.floatx()`.
        batch_shape: The whole shape, instead of `shape` and `batch_size`.
        input_tensor: An existing symbol to use.
        name: Name of the layer.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.InputLayer((28, 28, 1))
    >>> tuple(layer.output.shape)
    (None, 28, 28, 1)
    """

    is_input = True

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        if "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        super().__init__(name=name, **kwargs)
        if sparse or ragged:
            raise ValueError(
                f"Sparse and ragged inputs are not offered. Received: sparse={sparse}, ragged={ragged}"
            )
        if input_tensor is not None:
            if not isinstance(input_tensor, Symbol):
                raise ValueError(
                    f"Argument `input_tensor` must be a KerasTensor. Received: input_tensor={input_tensor}"
                )
            batch_shape = tuple(input_tensor.shape)
            dtype = input_tensor.dtype.name
        if shape is not None and batch_shape is not None:
            raise ValueError("You cannot pass both `shape` and `batch_shape` at the same time.")
        if shape is None and batch_shape is None:
            raise ValueError("You must pass a `shape` argument.")
        if shape is not None:
            batch_shape = (batch_size, *_sizes(shape, "shape"))
        self.batch_shape = _sizes(batch_shape, "batch_shape")
        self._dtype = config.standardize_dtype(dtype)
        self.sparse = False
        self.ragged = False
        self.optional = bool(optional)
        self.batch_size = self.batch_shape[0] if self.batch_shape else None
        self.built = True
        symbol = input_tensor if input_tensor is not None else _core.symbol(self.batch_shape, self._dtype)
        if input_tensor is None:
            symbol.name = self.name
            Node(self, (), {}, symbol)
        self._symbol = symbol

    @property
    def output(self) -> Any:
        return self._symbol

    @property
    def input(self) -> Any:
        return self._symbol

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] if args else None

    def get_config(self) -> dict:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }

    def _state(self) -> dict:
        fields = super()._state()
        fields.pop("_symbol", None)
        return fields

    def __setstate__(self, fields: dict) -> None:
        super().__setstate__(fields)
        symbol = _core.symbol(self.batch_shape, self._dtype)
        symbol.name = self.name
        Node(self, (), {}, symbol)
        self.__dict__["_symbol"] = symbol


def _sizes(shape: Any, name: str) -> tuple:
    if isinstance(shape, (int, np.integer)) and not isinstance(shape, bool):
        raise ValueError(
            f"`{name}` must be a tuple of integers or None. Received: {name}={shape}. For one axis write "
            f"({shape},)."
        )
    try:
        sizes = tuple(shape)
    except TypeError:
        raise ValueError(f"`{name}` must be a tuple of integers or None. Received: {name}={shape}") from None
    for size in sizes:
        if size is not None and (
            isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0
        ):
            raise ValueError(f"`{name}` must be a tuple of integers or None. Received: {name}={shape}")
    return tuple(None if size is None else int(size) for size in sizes)


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Tensor:
    """The symbol of a model's input.

    Args:
        shape: Shape of one example, without the batch axis.
        batch_size: A fixed batch size; None: any.
        dtype: dtype of the data; None: `keras.config.floatx()`.
        batch_shape: The whole shape, instead of `shape`.
        name: Name of the input.
        tensor: An existing symbol to use.

    Returns:
        A symbolic tensor.

    >>> from cnnexplain import keras
    >>> tuple(keras.Input((28, 28, 1)).shape)
    (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    )
    return layer.output


class Dense(Layer):
    """A fully connected layer: activation(inputs @ kernel + bias).

    Args:
        units: Number of outputs.
        activation: Name or callable.
        use_bias: Whether a bias is added.
        kernel_initializer, bias_initializer: Initial values.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties.
        kernel_constraint, bias_constraint: Projections.
        lora_rank, lora_alpha, quantization_config: Accepted as None.

    Input (..., k); kernel (k, units); output (..., units).

    Raises:
        ValueError: `units` is no positive integer, or an input with another last axis.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Dense(10, activation="softmax")(keras.ops.zeros((2, 128))).shape)
    (2, 10)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        arguments.refuse({"lora_rank": lora_rank, "lora_alpha": lora_alpha}, "lora_rank", "lora_alpha")
        arguments.refuse({"quantization_config": quantization_config}, "quantization_config")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = arguments.positive(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.bias: Any = None
        self.supports_masking = True
        self.quantization_config = None

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        if size is None:
            raise ValueError(
                f"The last axis of the inputs of layer '{self.name}' must be known. Received: "
                f"input_shape={tuple(input_shape)}"
            )
        self.kernel = self._add_described("kernel", (size, self.units))
        if self.use_bias:
            self.bias = self._add_described("bias", (self.units,))
        self.input_spec = InputSpec(min_ndim=2, axes={-1: int(size)})

    def call(self, inputs: Any) -> Any:
        x = _core.dense(real_input(inputs, self.dtype), self.kernel, self.bias)
        return x if self.activation is None else self.activation(x)

    def get_config(self) -> dict:
        settings = super().get_config()
        if self.activity_regularizer is None:
            del settings["activity_regularizer"]
        return settings


class Identity(Layer):
    """The input, unchanged.

    >>> from cnnexplain import keras
    >>> keras.layers.Identity()(keras.ops.ones((1, 2))).numpy()
    array([[1., 1.]], dtype=float32)
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs if tree.is_nested(inputs) else _core.identity(inputs)


class Lambda(Layer):
    """Any function as a layer. A function that needs values (`.numpy()`) is called once for each batch.

    Args:
        function: Callable of the input, perhaps also of `training` or `mask`.
        output_shape: Shape of one output without the batch axis, or a callable of the input shape. Only
            needed where the function cannot be run on symbols.
        mask: Accepted.
        arguments: Further keyword arguments of the function.

    >>> from cnnexplain import keras
    >>> keras.layers.Lambda(lambda x: x * 2.0)(keras.ops.ones((1, 2))).numpy()
    array([[2., 2.]], dtype=float32)
    """

    def __init__(
        self, function: Any, output_shape: Any = None, mask: Any = None, arguments: Any = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise ValueError(f"`function` must be callable. Received: function={function}")
        self.function = function
        self._output_shape = output_shape
        self.mask = mask
        self.arguments = dict(arguments or {})
        names = inspect.signature(function).parameters if not isinstance(function, np.ufunc) else {}
        self._passes_training = "training" in names
        self._by_values = False
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        keywords = dict(self.arguments)
        if self._passes_training:
            keywords["training"] = training
        if not any(isinstance(leaf, Symbol) for leaf in tree.flatten(inputs)):
            return self.function(inputs, **keywords)
        if not self._by_values:
            try:
                return self.function(inputs, **keywords)
            except (TypeError, ValueError, AttributeError):
                self.__dict__["_by_values"] = True
        return self._as_python_node(inputs, keywords)

    def _as_python_node(self, inputs: Any, keywords: dict) -> Any:
        leaves = tree.flatten(inputs)

        def function(*tensors: Any) -> Any:
            return self.function(tree.pack(inputs, list(tensors)), **keywords)

        shape: Any = self._output_shape
        if callable(shape):
            shape = tuple(shape(leaves[0].shape))
        elif shape is not None:
            shape = (leaves[0].shape[0], *shape)
        else:
            shape = tuple(leaves[0].shape)
        with tracing.running_eagerly():
            return _core.python(function, *leaves, shape=shape, dtype=leaves[0].dtype.name)

    def get_config(self) -> dict:
        if getattr(self.function, "__name__", "<lambda>") == "<lambda>":
            raise ValueError(
                f"Layer '{self.name}' holds a function without a name, which is not stored: register a named "
                "function by `register_keras_serializable`, or make a Layer subclass of it instead."
            )
        settings = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": policy(self.dtype),
            "function": serialize_keras_object(self.function),
            "arguments": serialize_keras_object(self.arguments),
        }
        for key, value in (("output_shape", self._output_shape), ("mask", self.mask)):
            if value is not None:
                settings[key] = serialize_keras_object(value)
        return settings

    @classmethod
    def from_config(cls, config: dict) -> Any:
        found = {key: config[key] for key in ("function", "output_shape", "mask") if key in config}
        return super().from_config({**config, **deserialize_keras_object(found)})
