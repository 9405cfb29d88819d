"""A model as the drawings see it: what computes, from what, with which output shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cnnexplain import _core

from ..layers.description import map_shapes
from ..models.graph import Graph, step_class
from ..nodes import Node


@dataclass
class Vertex:
    """One layer call or one operation between layers.

    Attributes:
        name: The layer's name.
        kind: Its class name.
        layer: The layer; None for an operation.
        shape: Output shape without the batch, None where a size is not known.
        dtype: Output dtype.
        parents: The vertices that it reads.
        path: Names of the nested models that it is in, outermost first.
    """

    name: str
    kind: str
    layer: Any
    shape: tuple[int | None, ...]
    dtype: str
    parents: list[Vertex] = field(default_factory=list)
    path: tuple[str, ...] = ()


def graph_of(model: Any) -> Graph:
    """The model's graph; that of a subclassed model is found by running its `call` on symbols."""
    graph = getattr(model, "_graph", None)
    if graph is not None:
        return graph
    shape = getattr(model, "_build_shape", None)
    if shape is None:
        raise ValueError(
            "`model` must know the shape of its input before it can be drawn: build it, call it once on "
            f"data, or begin with an Input. Received: model={model!r}"
        )
    inputs = map_shapes(lambda one: _core.symbol((None, *one[1:]), model.dtype), shape)
    used = [(layer, len(layer._inbound_nodes)) for layer in model._flatten_layers()]
    try:
        return Graph(inputs, model.call(inputs))
    finally:
        for layer, count in used:
            del layer._inbound_nodes[count:]


def vertices_of(model: Any, expand_nested: bool = True) -> list[Vertex]:
    """Every layer call of a model, inputs first, each after what it reads.

    Args:
        model: A model whose input shape is known.
        expand_nested: Whether the layers of nested models stand in their place.
    """
    found: list[Vertex] = []
    _walk(graph_of(model), expand_nested, (), {}, found)
    return found


def _walk(
    graph: Graph, expand: bool, path: tuple[str, ...], makers: dict[int, Vertex], found: list[Vertex]
) -> dict[int, Vertex]:
    """Adds a graph's vertices to `found`; gives the vertex of each symbol, from those of its inputs."""
    makers = dict(makers)
    names = graph.step_names()
    for symbol, node in zip(graph.inputs, graph.input_layers, strict=True):
        if symbol.id in makers:
            continue
        name = node.layer.name if node is not None else "input"
        makers[symbol.id] = _vertex(
            name, "InputLayer", None if node is None else node.layer, symbol, [], path
        )
        found.append(makers[symbol.id])
    for step in graph.steps:
        parents = list({id(v): v for v in (makers[s.id] for s in step.inputs if s.id in makers)}.values())
        if not isinstance(step, Node):
            vertex = _vertex(
                names.get(step.id, step.maker.op), step_class(step), None, step.outputs[0], parents, path
            )
        elif expand and _nested(step.layer):
            inner = graph_of(step.layer)
            inside = {
                symbol.id: makers[given.id]
                for symbol, given in zip(inner.inputs, step.inputs, strict=False)
                if given.id in makers
            }
            inside = _walk(inner, True, (*path, step.layer.name), inside, found)
            for symbol, output in zip(step.outputs, inner.outputs, strict=True):
                makers[symbol.id] = inside[output.id]
            continue
        else:
            layer = step.layer
            vertex = _vertex(layer.name, type(layer).__name__, layer, step.outputs[0], parents, path)
        found.append(vertex)
        for symbol in step.outputs:
            makers[symbol.id] = vertex
    return makers


def _nested(layer: Any) -> bool:
    """Whether a layer is a model with a graph of its own."""
    return getattr(layer, "_graph", None) is not None


def _vertex(name: str, kind: str, layer: Any, symbol: Any, parents: list, path: tuple[str, ...]) -> Vertex:
    return Vertex(name, kind, layer, tuple(symbol.shape)[1:], str(symbol.dtype.name), parents, path)
