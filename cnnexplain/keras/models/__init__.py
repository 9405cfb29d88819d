"""Models: functional, sequential and subclassed."""

from __future__ import annotations

from typing import Any

from .model import Functional, Model
from .sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


def clone_model(model: Model, input_tensors: Any = None, clone_function: Any = None) -> Model:
    """A model of the same architecture with new weights; `clone_function` maps a layer to its copy."""
    if clone_function is None and input_tensors is None:
        return type(model).from_config(model.get_config())
    copy = clone_function or (lambda layer: type(layer).from_config(layer.get_config()))
    if isinstance(model, Sequential):
        layers = [copy(layer) for layer in model.layers]
        if input_tensors is not None:
            layers.insert(
                0, input_tensors if not isinstance(input_tensors, (list, tuple)) else input_tensors[0]
            )
        elif model._symbols:
            from ..layers.core import Input

            first = model._symbols[0]
            layers.insert(0, Input(batch_shape=tuple(first.shape), dtype=first.dtype.name))
        return Sequential(layers, name=model.name)
    from .. import tracing, tree
    from ..layers.core import Input
    from ..tracing import Step, Symbol

    if model._graph is None:
        raise ValueError("Only functional and sequential models can be cloned. Received: a subclassed model")
    graph = model._graph
    given = (
        tree.flatten(input_tensors)
        if input_tensors is not None
        else [
            Input(batch_shape=tuple(s.shape), dtype=s.dtype.name, name=n)
            for s, n in zip(graph.inputs, model.input_names, strict=True)
        ]
    )
    env = {symbol.id: tensor for symbol, tensor in zip(graph.inputs, given, strict=True)}
    copies: dict[int, Any] = {}

    def lookup(leaf: Any) -> Any:
        return env[leaf.id] if isinstance(leaf, Symbol) else leaf

    for step in graph.steps:
        if isinstance(step, Step):
            tracing.run([step], env)
            continue
        layer = copies.setdefault(id(step.layer), None) or copy(step.layer)
        copies[id(step.layer)] = layer
        args = tree.map_structure(lookup, step.args)
        kwargs = {key: tree.map_structure(lookup, value) for key, value in step.kwargs.items()}
        for symbol, result in zip(step.outputs, tree.flatten(layer(*args, **kwargs)), strict=True):
            env[symbol.id] = result
    outputs = tree.map_structure(lookup, graph.output_structure)
    return Model(tree.pack(graph.input_structure, given), outputs, name=model.name)


def model_from_json(json_string: str, custom_objects: dict | None = None) -> Model:
    """The model that `to_json` described, with new weights."""
    import json

    from ..saving.serialization import deserialize_keras_object

    return deserialize_keras_object(json.loads(json_string), custom_objects=custom_objects)


def load_model(
    filepath: Any, custom_objects: dict | None = None, compile: bool = True, safe_mode: bool = True
) -> Model:
    """Reads a model from a file."""
    from ..saving import load_model as load

    return load(filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def save_model(model: Model, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Writes a model to a file."""
    model.save(filepath, overwrite=overwrite, **kwargs)
