"""A plain stack of layers."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .. import naming, tracing, tree
from ..layers.base import Layer
from ..layers.core import InputLayer
from ..layers.description import policy
from ..nodes import Node, Symbol
from ..tracing import state
from .graph import Graph
from .model import Model


class Sequential(Model):
    """Layers one after the other.

    The graph is built as soon as the input's shape is known: from an `Input`, from `input_shape=` on the
    first layer, by `build(shape)` or by the first call.

    Args:
        layers: Layers, in order.
        trainable: Whether training changes them.
        name: Name of the model.

    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> model.output_shape
    (None, 2)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        self.__dict__["_init_arguments"] = (args, kwargs)
        self.__dict__["_stack"] = []
        self.__dict__["_symbols"] = []  # the input, then the output of each layer, once the shape is known
        return self

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any):
        Layer.__init__(self, trainable=trainable, name=name, **kwargs)
        if layers is not None:
            if isinstance(layers, Layer):
                layers = [layers]
            for layer in layers:
                self.add(layer, rebuild=False)
            self._extend()
            self._finish()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top.

        Raises:
            ValueError: No layer, a second input, or a name that is there already.
        """
        stack = self._stack
        if isinstance(layer, Symbol):
            history = getattr(layer, "history", None)
            if not history or not isinstance(history[0].layer, InputLayer):
                raise ValueError("Only the symbol of an `Input` can be added to a Sequential model.")
            layer = history[0].layer
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Only instances of `keras.Layer` can be added to a Sequential model. Received: {layer} (of "
                f"type {type(layer)})"
            )
        if isinstance(layer, InputLayer) and stack:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{getattr(stack[0], 'batch_shape', None)}. You cannot add a different Input layer to it."
            )
        if any(other.name == layer.name for other in stack):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. Name '{layer.name}' is "
                "already the "
                "name of a layer in this model. Update the `name` argument to pass a unique name."
            )
        if not stack and not isinstance(layer, InputLayer):
            shape = layer._batch_shape_argument
            dtype = layer.dtype
            if (
                shape is None
                and isinstance(layer, Model)
                and layer._graph is not None
                and len(layer.inputs) == 1
            ):
                shape, dtype = tuple(layer.inputs[0].shape), layer.inputs[0].dtype.name
            if shape is not None:
                stack.append(InputLayer(batch_shape=shape, dtype=dtype))
        stack.append(layer)
        if rebuild:
            self._extend()
            self._finish()
        else:
            self.__dict__["_graph"] = None

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the last layer off and returns it."""
        layers = self.layers
        if not layers:
            raise TypeError("There are no layers in the model.")
        layer = self._stack.pop()
        if len(self._symbols) > len(self._body()) + 1:
            symbol = self._symbols.pop()
            history = getattr(tree.flatten(symbol)[0], "history", None)
            if history and history[0] in layer._inbound_nodes:
                layer._inbound_nodes.remove(history[0])
        self._finish()
        return layer

    def _body(self) -> list[Layer]:
        return (
            self._stack[1:] if self._stack and isinstance(self._stack[0], InputLayer) else list(self._stack)
        )

    def _extend(self) -> None:
        """Calls the layers that are not part of the graph yet."""
        if not self._symbols and self._stack and isinstance(self._stack[0], InputLayer):
            self._symbols.append(self._stack[0].output)
        if not self._symbols:
            return
        saved = state.path
        depth, state.depth = state.depth, 0
        if not saved or saved[-1] != self.name:
            state.path = (*saved, self.name)
        before = _core.symbolic(False)
        try:
            for layer in self._body()[len(self._symbols) - 1 :]:
                self._symbols.append(layer(self._symbols[-1]))
        finally:
            _core.symbolic(before)
            state.path, state.depth = saved, depth

    def _finish(self) -> None:
        """Makes the graph of what is there."""
        tracing.changed()
        if len(self._symbols) > 1 and len(self._symbols) == len(self._body()) + 1:
            naming.unique("functional")  # Keras counts the functional model within
            self._set_graph(Graph(self._symbols[0], self._symbols[-1]))
        else:
            self.__dict__["_graph"] = None
            self.__dict__["_programs"] = {}
            self.__dict__["_traces"] = {}
            self.__dict__["built"] = False

    @property
    def _functional(self) -> bool:
        return self._graph is not None and type(self).call is Sequential.call

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input layer."""
        return self._body()

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError("`Sequential.layers` cannot be set. Use `add()` and `pop()`.")

    def _sublayers(self, held: list | None = None) -> list[Layer]:
        return list(self._stack)

    def _known(self, shape: tuple, dtype: str) -> None:
        if not self._symbols:
            depth, state.depth = state.depth, 0
            before = _core.symbolic(False)
            try:
                self._symbols.append(InputLayer(batch_shape=(None, *shape[1:]), dtype=dtype).output)
            finally:
                _core.symbolic(before)
                state.depth = depth
        self._extend()
        self._finish()

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights for inputs of this shape, the batch axis (None) included."""
        if self._graph is None and self._stack:
            if input_shape is None:
                if self._symbols:
                    self._extend()
                    self._finish()
                    return
                raise ValueError("`input_shape` is needed: the model does not start with an `Input`.")
            self._known(tuple(input_shape), self._stack[0].dtype)
        self.__dict__["built"] = self._graph is not None

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self._graph is not None:
            return Model.call(self, inputs, training=training, mask=mask)
        for layer in self._body():
            inputs = layer(inputs)
        return inputs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._stack and type(self).call is Sequential.call:
            raise ValueError(
                f"Sequential model '{self.name}' has no layers: `model.add(layer)` before the call."
            )
        if self._graph is None and self._body() and args:
            value = args[0]
            if not hasattr(value, "shape"):
                import numpy as np

                value = np.asarray(value, self.dtype)
                args = (value, *args[1:])
            self._known(tuple(value.shape), self.dtype)
        return super().__call__(*args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._graph is not None:
            return super().compute_output_shape(input_shape)
        shape = input_shape
        for layer in self._body():
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def input_shape(self) -> Any:
        """Shape of the input."""
        if self._symbols:
            return tuple(self._symbols[0].shape)
        raise AttributeError(f"Sequential model '{self.name}' has no defined input shape yet.")

    @property
    def output_shape(self) -> Any:
        """Shape of the output."""
        if self._graph is not None:
            return tree.map_structure(lambda x: tuple(x.shape), self.output)
        raise AttributeError(f"Sequential model '{self.name}' has no defined output shape yet.")

    def get_config(self) -> dict:
        from ..saving.serialization import serialize_keras_object

        layers = list(self._stack)
        if self._symbols and not isinstance(layers[0] if layers else None, InputLayer):
            history: tuple[Node, int] = self._symbols[0].history
            layers.insert(0, history[0].layer)
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": policy(self.dtype),
            "layers": [serialize_keras_object(layer) for layer in layers],
        }
        if self._symbols:
            config["build_input_shape"] = tuple(self._symbols[0].shape)
        return config

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        from ..saving.serialization import custom_object_scope, deserialize_keras_object

        with custom_object_scope(custom_objects or {}):
            model = cls(name=config.get("name"))
            for layer in config["layers"]:
                model.add(deserialize_keras_object(layer))
            shape = config.get("build_input_shape")
            if shape and model._graph is None:
                model.build(tuple(shape))
            model.__dict__["_trainable"] = config.get("trainable", True)
        return model

    def _state(self) -> dict:
        fields = super()._state()
        symbols = fields.pop("_symbols", [])
        fields["_input_spec_of_stack"] = (tuple(symbols[0].shape), symbols[0].dtype.name) if symbols else None
        return fields

    def __reduce_ex__(self, protocol: Any) -> Any:
        from .model import blank_model

        return blank_model, (type(self),), (self._state(), None)

    def __setstate__(self, saved: Any) -> None:
        fields, _ = saved
        shape = fields.pop("_input_spec_of_stack")
        Layer.__setstate__(self, fields)
        self.__dict__["_symbols"] = []
        if shape is not None:
            self._known(*shape)
