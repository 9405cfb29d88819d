"""Models: layers of layers that are trained and asked for predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from .. import config, masking, tracing, tree
from ..layers.base import TENSORS, Layer
from ..nodes import Node, Step, Symbol, run
from ..tracing import state
from .graph import Graph
from .inputs import InputFitting
from .state import ModelState
from .training import Trainer


def _is_functional(args: tuple, kwargs: dict) -> bool:
    return (
        len(args) == 2
        or (len(args) == 1 and "outputs" in kwargs)
        or ("inputs" in kwargs and "outputs" in kwargs)
    )


def _singleton(structure: Any) -> Any:
    return structure[0] if isinstance(structure, (list, tuple)) and len(structure) == 1 else structure


class Model(Trainer, ModelState, InputFitting, Layer):
    """A network: `Model(inputs, outputs)` from symbols, or a subclass that defines `call`.

    Args:
        inputs: Symbols from `Input` or inside another graph: one, a list (also nested) or a dict.
        outputs: Symbols in any structure, which calls and `predict` keep; also of nested models.
        name: Name of the model.

    Raises:
        ValueError: Outputs that do not depend on the inputs alone.

    >>> from cnnexplain import keras
    >>> x = keras.Input((28, 28, 1))
    >>> y = keras.layers.Dense(10)(keras.layers.Flatten()(x))
    >>> keras.Model(x, y).output_shape
    (None, 10)
    """

    _traces: dict

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional(args, kwargs):
            cls = Functional
        self = super().__new__(cls, *args, **kwargs)
        fields = self.__dict__
        fields["_graph"] = None
        fields["_traces"] = {}
        fields["_programs"] = {}
        fields["_call_inputs"] = None
        self._start_training_state()
        return self

    def __init__(self, *args: Any, **kwargs: Any):
        if _is_functional(args, kwargs):
            inputs = args[0] if args else kwargs.pop("inputs")
            outputs = args[1] if len(args) > 1 else kwargs.pop("outputs")
            trainable = kwargs.pop("trainable", None)
            super().__init__(**kwargs)
            self._set_graph(Graph(inputs, outputs))
            if trainable is not None:
                self.trainable = trainable
        elif args:
            raise TypeError(
                f"{type(self).__name__}() takes `inputs` and `outputs`. Received: {len(args)} positional "
                "arguments"
            )
        else:
            super().__init__(**kwargs)

    # The graph

    def _set_graph(self, graph: Graph) -> None:
        fields = self.__dict__
        fields["_graph"] = graph
        fields["_traces"] = {}
        fields["_programs"] = {}
        fields["built"] = True
        for node in graph.input_layers:
            if node is not None:
                node.own(self)

    @property
    def _functional(self) -> bool:
        return self._graph is not None and type(self).call is Model.call

    @property
    def _fits_inputs(self) -> bool:
        return self._functional

    @property
    def layers(self) -> list[Layer]:
        """The layers in Keras's order, input layers included."""
        if self._graph is not None:
            return list(self._graph.layers)
        return Layer._sublayers(self)

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError(
            "`Model.layers` attribute is reserved and should not be used. Please use another name."
        )

    @property
    def operations(self) -> list:
        """The layers and the operations between them, each with its `name`."""
        if self._graph is None:
            raise AttributeError(f"Model '{self.name}' has no graph of operations yet.")
        return list(self._graph.operations)

    def _sublayers(self, held: list | None = None) -> list[Layer]:
        if self._graph is None:
            return super()._sublayers(held)
        found = list(self._graph.layers)
        seen = {id(layer) for layer in found}
        found.extend(layer for layer in super()._sublayers(held) if id(layer) not in seen)
        return found

    @property
    def inputs(self) -> Any:
        """The input symbols, flat; None for a subclassed model."""
        return None if self._graph is None else list(self._graph.inputs)

    @property
    def outputs(self) -> Any:
        """The output symbols, flat; None for a subclassed model."""
        return None if self._graph is None else list(self._graph.outputs)

    @property
    def input(self) -> Any:
        """The input symbol, or the structure of them."""
        if self._graph is None:
            return super().input
        return _singleton(self._graph.input_structure)

    @property
    def output(self) -> Any:
        """The output symbol, or the structure of them."""
        if self._graph is None:
            return super().output
        return _singleton(self._graph.output_structure)

    @property
    def input_names(self) -> list[str]:
        """Names of the input layers."""
        return (
            []
            if self._graph is None
            else [_name_of(symbol, self._graph, "input") for symbol in self._graph.inputs]
        )

    @property
    def output_names(self) -> list[str]:
        """Names of the layers that make the outputs."""
        if self._graph is None:
            return list(self.__dict__.get("_output_keys", ["output_1"]))
        structure = self._graph.output_structure
        if isinstance(structure, dict) and self._nested_outputs is None:
            return sorted(structure)
        return [_name_of(symbol, self._graph, "output") for symbol in self._graph.outputs]

    @property
    def _nested_outputs(self) -> Any:
        """The structure of the outputs where it has several levels."""
        structure: Any = None if self._graph is None else self._graph.output_structure
        if not tree.is_nested(structure):
            return None
        parts = structure.values() if isinstance(structure, dict) else structure
        return structure if any(tree.is_nested(part) for part in parts) else None

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name, also "outer/inner" inside nested models, or by index.

        Raises:
            ValueError: Both, neither, or no such layer; the message lists those there are.
        """
        if index is not None and name is not None:
            raise ValueError(
                f"Provide only a layer name or a layer index. Received: index={index}, name={name}."
            )
        if isinstance(name, (int, np.integer)):
            index, name = int(name), None
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has {len(self.layers)} "
                    "layers."
                )
            return self.layers[index]
        if name is None:
            raise ValueError("Provide either a layer name or layer index at `get_layer`.")
        if not isinstance(name, str):
            raise TypeError(f"`name` must be a string, the name of a layer. Received: name={name!r}")
        name = (self.__dict__.get("layer_aliases") or {}).get(name, name)
        for layer in self.layers:
            if layer.name == name:
                return layer
        if "/" in name:
            first, rest = name.split("/", 1)
            for layer in self.layers:
                if layer.name == first:
                    if isinstance(layer, Model):
                        return layer.get_layer(rest)
                    for inner in layer._flatten_layers(include_self=False):
                        if inner.name == rest:
                            return inner
        hint = ""
        inside = [
            f"{layer.name}/{inner.name}"
            for layer in self.layers
            if isinstance(layer, Model)
            for inner in layer.layers
            if inner.name == name
        ]
        if inside:
            hint = f" Did you mean {inside[0]!r}?"
        raise ValueError(
            f"No such layer: {name}. Existing layers are: {[layer.name for layer in self.layers]}.{hint}"
        )

    # Calls

    if not TYPE_CHECKING:  # subclasses take the arguments that they like

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            """The computation; subclasses define it."""
            graph = self._graph
            if graph is None:
                raise NotImplementedError(
                    f"Model {type(self).__name__} does not have a `call()` method implemented: define it, "
                    "or build the model as `Model(inputs, outputs)`."
                )
            env: dict[int, Any] = {}
            for symbol, value in zip(graph.inputs, self._match(inputs), strict=True):
                env[symbol.id] = self._fit_input(value, symbol)
            outer = state.environments
            environments = outer if outer is not None else []
            first = len(environments)
            environments.append((state.path, self, env))
            state.environments = environments
            try:
                run(graph.steps, env)
            finally:
                state.environments = outer
            values = [tracing.find(symbol, env, environments[first:]) for symbol in graph.outputs]
            return _singleton(tree.pack(graph.output_structure, values))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.depth or not args or not self._functional:
            return super().__call__(*args, **kwargs)
        inputs = args[0]
        if isinstance(inputs, TENSORS):
            flat = [inputs]
        else:
            flat = tree.flatten(inputs)
        for value in flat:
            if isinstance(value, Symbol):
                return super().__call__(*args, **kwargs)
        training = args[1] if len(args) > 1 else kwargs.get("training")
        if training is None:
            training = state.training
        return self._call_program(inputs, bool(training))

    def _call_program(self, inputs: Any, training: bool) -> Any:
        graph = self._graph
        entry = self._programs.get(training)
        if entry is None or entry[0] != tracing.configuration():
            made = tracing.trace(self, None, training=training)
            program = made.program
            masked = [k for k, s in enumerate(made.outputs) if isinstance(masking.of(s), Symbol)]
            if made.losses or masked:
                masks = [masking.of(made.outputs[k]) for k in masked]
                program = _core.Program(made.inputs, [*made.outputs, *masks, *made.losses], made.updates)
            entry = (
                tracing.configuration(),
                program,
                [(s, tuple(s.shape), s.dtype.name) for s in graph.inputs],
                masked,
            )
            self._programs[training] = entry
        if len(graph.inputs) == 1 and isinstance(inputs, TENSORS):
            symbol, shape, dtype = entry[2][0]
            if len(inputs.shape) != len(shape) or inputs.dtype.name != dtype:
                inputs = self._fit_input(inputs, symbol)
            else:
                self._check_input(tuple(inputs.shape), shape, 0)
            results = entry[1](inputs)
        else:
            matched = self._match(inputs)
            tensors = [
                self._fit_input(v, s, i) for i, (v, s) in enumerate(zip(matched, graph.inputs, strict=True))
            ]
            results = entry[1](*tensors)
        count = len(graph.outputs)
        if len(results) > count:
            for place, mask in zip(entry[3], results[count:], strict=False):
                masking.attach(results[place], mask)
            self.__dict__["_losses"] = list(results[count + len(entry[3]) :])
            results = results[:count]
        structure = graph.output_structure
        if isinstance(structure, Symbol):
            return results[0]
        return _singleton(tree.pack(structure, list(results)))

    # Traces

    def _ready_to_trace(self) -> None:
        if self._graph is None and self._call_inputs is None and not self._inbound_nodes:
            raise ValueError(f"Model '{self.name}' must be called on data once before its graph is known.")

    def _make_trace(self, outputs: Any, training: bool, dtype: str | None) -> tracing.Trace:
        graph = self._graph
        if graph is not None:
            self.__dict__["_traced"] = True
            if not self._functional:
                return self._trace_call(graph.input_structure, training, dtype, [])
            steps = graph.steps if outputs is None else None
            return tracing._build(
                graph.inputs, graph.output_structure if outputs is None else outputs, training, dtype, steps
            )
        if outputs is not None:
            raise ValueError(
                f"Model '{self.name}' is a subclass without a graph: only its own outputs can be traced."
            )
        return self._trace_call(
            self.input if self._call_inputs is None else self._call_inputs, training, dtype, []
        )

    def _trace_call(self, structure: Any, training: bool, dtype: str | None, outer: list) -> tracing.Trace:
        """Runs a subclass's `call` on symbols like those in `structure`."""
        made = tracing.Trace(outer, None, training)
        env: dict[int, Any] = {}
        made.environments.append(((), self, env))
        with tracing.building(made, training):

            def fresh(like: Any) -> Any:
                symbol = _core.symbol(like.shape, like.dtype.name)
                made.inputs.append(symbol)
                env[like.id] = symbol
                return symbol

            arguments = tree.map_structure(fresh, structure)
            outputs = Layer.__call__(self, arguments)
        made.structure = outputs
        made.outputs = tree.flatten(outputs)
        tracing._finish(made, dtype)
        return made

    def _call_now(self, args: tuple, kwargs: dict) -> Any:
        if self._call_inputs is None and self._graph is None and args:
            leaves = tree.flatten(args[0])
            if leaves and all(hasattr(leaf, "shape") and len(leaf.shape) for leaf in leaves):
                self.__dict__["_call_inputs"] = tree.map_structure(
                    lambda leaf: _core.symbol((None, *tuple(leaf.shape)[1:]), leaf.dtype.name), args[0]
                )
        outputs = super()._call_now(args, kwargs)
        if self._graph is None:
            count = len(outputs) if isinstance(outputs, (list, tuple)) else 1
            keys = sorted(outputs) if isinstance(outputs, dict) else [f"output_{k + 1}" for k in range(count)]
            self.__dict__["_output_keys"] = keys
        return outputs

    def _maybe_build(self, args: tuple, kwargs: dict) -> None:
        self.__dict__["_in_build"] = True  # the call that comes makes the layers, with all its arguments
        try:
            super()._maybe_build(args, kwargs)
        finally:
            self.__dict__["_in_build"] = False

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights for inputs of this shape, the batch axis (None) included."""
        if self._graph is not None or input_shape is None:
            self.__dict__["built"] = True
            return
        if (
            state.depth == 0
            and not self.__dict__.get("_in_build")
            and type(self).call is not Model.call
            and state.path in ((), (self.name,))
        ):
            self.__dict__["_in_build"] = True
            try:
                from ..layers.description import map_shapes

                inputs = map_shapes(lambda shape: _core.symbol(tuple(shape), self.dtype), input_shape)
                with tracing.building():
                    self.__dict__["built"] = True
                    self._call_now((inputs,), {})
            finally:
                self.__dict__["_in_build"] = False
        self.__dict__["built"] = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._graph is not None and len(self._graph.inputs) > 1:
            shapes = input_shape.values() if isinstance(input_shape, dict) else input_shape
            inputs = [
                _core.symbol(tuple(s), x.dtype.name) for s, x in zip(shapes, self._graph.inputs, strict=True)
            ]
            with tracing.building():
                outputs = self._call_now((inputs,), {})
            return tree.map_structure(lambda x: tuple(x.shape), outputs)
        return super().compute_output_shape(input_shape)

    def __getattr__(self, name: str) -> Any:
        if name in _GONE:
            raise AttributeError(f"`{name}` does not exist in Keras 3. {_GONE[name]}")
        return super().__getattr__(name)

    # What else a model offers

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints the layers with their output shapes and numbers of parameters.

        Args:
            line_length: Width of the table.
            positions: Where the columns end, as shares of the width.
            print_fn: Called with the text instead of `print`.
            expand_nested: Whether nested models' layers are listed.
            show_trainable: Whether a column says which layers are trained.
            layer_range: (first, last) names or patterns of the layers to list.
        """
        from .summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def _repr_html_(self) -> str:
        from .summary_html import model_html

        return model_html(self)

    def get_config(self) -> dict:
        from ..saving.functional import functional_config

        if self._functional:
            return functional_config(self)
        return Layer.get_config(self)

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        from ..saving.functional import functional_from_config
        from ..saving.serialization import custom_object_scope

        with custom_object_scope(custom_objects or {}):
            if "layers" in config and "input_layers" in config:
                return functional_from_config(cls, config)
            return super().from_config(config)

    def get_build_config(self) -> dict | None:
        if self._graph is not None:
            return None
        if self._call_inputs is not None:
            return {"input_shape": tree.map_structure(lambda symbol: tuple(symbol.shape), self._call_inputs)}
        return super().get_build_config()

    def _state(self) -> dict:
        fields = super()._state()
        for name in ("_graph", "_traces", "_programs", "_call_inputs", "_in_build"):
            fields.pop(name, None)
        self._drop_training_caches(fields)
        return fields

    def __reduce_ex__(self, protocol: Any) -> Any:
        from ..saving.functional import pack_graph

        graph = pack_graph(self._graph) if self._graph is not None else None
        return blank_model, (type(self),), (self._state(), graph)

    def __setstate__(self, saved: Any) -> None:
        from ..saving.functional import unpack_graph

        fields, graph = saved
        super().__setstate__(fields)
        if graph is not None:
            self._set_graph(unpack_graph(graph))


_GONE = {
    "fit_generator": "Use `fit(generator, steps_per_epoch=...)`.",
    "evaluate_generator": "Use `evaluate(generator, steps=...)`.",
    "predict_generator": "Use `predict(generator, steps=...)`.",
    "predict_classes": "Use `predict(x).argmax(axis=-1)`.",
    "predict_proba": "Use `predict(x)`.",
    "to_yaml": "Use `to_json()`.",
}


class Functional(Model):
    """A model made of a graph of layers: what `Model(inputs, outputs)` returns."""


def blank_model(cls: Any) -> Any:
    """A model of a class without anything in it, for unpickling to fill."""
    return cls.__new__(cls)


def _name_of(symbol: Any, graph: Graph, kind: str) -> str:
    history = getattr(symbol, "history", None)
    if history and isinstance(history[0], Node):
        return history[0].layer.name
    for step in graph.steps:
        if isinstance(step, Step) and any(s is symbol for s in step.outputs):
            return graph.step_names().get(step.id, kind)
    return kind


__all__ = ["Functional", "Model", "config"]
