"""Copies of models with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import tree
from ..nodes import Step, Symbol, run
from .model import Functional, Model
from .sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Any = None,
    call_function: Any = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Model:
    """A model of the same architecture with new weights. A layer used twice is copied once.

    Args:
        model: A functional or sequential model; a subclassed one is made again from its `get_config()`.
        input_tensors: Symbols to build on, in the structure of `model.input`; None: new inputs.
        clone_function: Maps a layer to its copy; None: a layer of the same configuration.
        call_function: Called as `call_function(layer, *args, **kwargs)` in place of each call of a copy; for
            functional models.
        recursive: Whether nested models are cloned layer by layer too, instead of being given to
            `clone_function` whole.

    Returns:
        The new model, compiled alike if `model` is compiled.

    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="scores")])
    >>> [layer.name for layer in keras.models.clone_model(model).layers]
    ['scores']
    """
    copies: dict[int, Any] | None = kwargs.pop("cache", None)
    if kwargs:
        raise ValueError(f"Unexpected keyword argument(s): {tuple(kwargs)}")
    sequential = isinstance(model, Sequential)
    if call_function is not None and (sequential or model._graph is None):
        raise ValueError(
            "`call_function` is for functional models: the layers of other models are not called when the "
            f"model is made. Received: a model of type {type(model).__name__}"
        )
    if not sequential and model._graph is None:
        if clone_function is not None or input_tensors is not None:
            raise ValueError(
                "`clone_function` and `input_tensors` are for functional and sequential models. Received: a "
                f"model of type {type(model).__name__}"
            )
        return type(model).from_config(model.get_config())
    copy = _copier(clone_function or _again, call_function, recursive, {} if copies is None else copies)
    if isinstance(model, Sequential):
        clone: Model = _clone_sequential(model, copy, input_tensors)
    else:
        clone = _clone_graph(model, copy, input_tensors, call_function or _call)
    if model.compiled:
        _compile_alike(clone, model)
    return clone


def _again(layer: Any) -> Any:
    from ..layers.core import Lambda

    if isinstance(layer, Lambda):  # its function may have no name to be described by
        return type(layer)(
            layer.function,
            layer._output_shape,
            layer.mask,
            layer.arguments,
            name=layer.name,
            dtype=layer.dtype,
        )
    return type(layer).from_config(layer.get_config())


def _call(layer: Any, *args: Any, **kwargs: Any) -> Any:
    return layer(*args, **kwargs)


def _copier(function: Callable, call_function: Any, recursive: bool, copies: dict[int, Any]) -> Callable:
    def copy(layer: Any) -> Any:
        if id(layer) not in copies:
            if (
                recursive
                and isinstance(layer, Model)
                and (isinstance(layer, Sequential) or layer._graph is not None)
            ):
                calls = None if isinstance(layer, Sequential) else call_function
                copies[id(layer)] = clone_model(layer, None, function, calls, True, cache=copies)
            else:
                copies[id(layer)] = function(layer)
        return copies[id(layer)]

    return copy


def _clone_sequential(model: Sequential, copy: Callable, input_tensors: Any) -> Sequential:
    from ..layers.core import Input

    layers = [copy(layer) for layer in model.layers]
    if input_tensors is not None:
        given = tree.flatten(input_tensors)
        if len(given) != 1 or not isinstance(given[0], Symbol):
            raise ValueError(
                f"`input_tensors` must be one symbol, as of `Input`. Received: input_tensors={input_tensors}"
            )
        layers.insert(0, given[0])
    elif model._symbols:
        first = model._symbols[0]
        name = first.history[0].layer.name if first.history else None
        layers.insert(0, Input(batch_shape=tuple(first.shape), dtype=first.dtype.name, name=name))
    clone = Sequential(layers, name=model.name)
    clone.__dict__["_trainable"] = model.__dict__["_trainable"]
    return clone


def _clone_graph(model: Model, copy: Callable, input_tensors: Any, call: Callable) -> Model:
    from ..layers.core import Input

    graph = model._graph
    assert graph is not None
    if input_tensors is None:
        given = [
            Input(batch_shape=tuple(symbol.shape), dtype=symbol.dtype.name, name=name)
            for symbol, name in zip(graph.inputs, model.input_names, strict=True)
        ]
    else:
        given = tree.flatten(input_tensors)
        if len(given) != len(graph.inputs) or not all(isinstance(value, Symbol) for value in given):
            raise ValueError(
                f"`input_tensors` must be symbols in the structure of `model.input`, "
                f"{graph.input_structure}. Received: input_tensors={input_tensors}"
            )
    env: dict[int, Any] = {symbol.id: value for symbol, value in zip(graph.inputs, given, strict=True)}

    def lookup(leaf: Any) -> Any:
        return env[leaf.id] if isinstance(leaf, Symbol) else leaf

    for step in graph.steps:
        if isinstance(step, Step):
            run([step], env)
            Step(env[step.outputs[0].id].maker).name = step.name or ""
            continue
        args = [tree.map_structure(lookup, value) for value in step.args]
        kwargs = {key: tree.map_structure(lookup, value) for key, value in step.kwargs.items()}
        results = tree.flatten(call(copy(step.layer), *args, **kwargs))
        env.update((symbol.id, result) for symbol, result in zip(step.outputs, results, strict=True))
    outputs = tree.map_structure(lookup, graph.output_structure)
    inputs = tree.pack(graph.input_structure, given)
    cls = type(model) if type(model).__init__ is Model.__init__ and type(model) is not Model else Functional
    clone = cls(inputs, outputs, name=model.name)
    clone.__dict__["_trainable"] = model.__dict__["_trainable"]
    return clone


def _compile_alike(clone: Model, model: Model) -> None:
    try:
        settings = model.get_compile_config()
    except (TypeError, ValueError):  # a loss or metric without a name: it cannot be described
        return
    if settings:
        clone.compile_from_config(settings)
