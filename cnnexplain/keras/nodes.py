"""Graphs of layers: calls of layers and operations of the engine, and the symbols that tie them.

`layer(symbol)` returns fresh symbols whose `history` is (node, place): the Keras graph. Arithmetic on symbols
makes the engine's own makers, and both may mix. Ids of symbols, makers and nodes share one counter, so
ascending ids are a topological order and nothing recurses.
"""

from __future__ import annotations

import weakref
from typing import Any

from cnnexplain import _core

from . import tree

Symbol = _core.Symbol


class Node:
    """One call of a layer on symbols: its arguments, and the symbols it returned."""

    __slots__ = (
        "layer",
        "args",
        "kwargs",
        "inputs",
        "outputs",
        "structure",
        "id",
        "index",
        "owners",
        "__weakref__",
    )

    def __init__(self, layer: Any, args: tuple, kwargs: dict, structure: Any):
        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.inputs = [leaf for leaf in tree.flatten([list(args), kwargs]) if isinstance(leaf, Symbol)]
        self.structure = structure
        self.outputs = tree.flatten(structure)
        self.id = _core.next_id()
        self.index = len(layer._inbound_nodes)
        self.owners: list = []  # weak references to models that take an output of this node as input
        for place, symbol in enumerate(self.outputs):
            symbol.history = (self, place)
        layer._inbound_nodes.append(self)

    def own(self, model: Any) -> None:
        self.owners.append(weakref.ref(model))

    def __repr__(self) -> str:
        return f"<Node {self.index} of {self.layer.name}>"


class Step:
    """One of the engine's operations in a graph, with the symbols of its outputs that the graph uses."""

    __slots__ = ("maker", "id", "used")
    names: dict[int, str] = {}  # by id; graphs that share an operation know it by one name

    def __init__(self, maker: Any):
        self.maker = maker
        self.id = maker.id
        self.used: dict[int, Any] = {}  # port -> symbol

    @property
    def name(self) -> str | None:
        """The operation's name, as layers have theirs; None before a graph gives it one."""
        return self.names.get(self.id)

    @name.setter
    def name(self, name: str) -> None:
        self.names[self.id] = name

    @property
    def inputs(self) -> list:
        return [value for value in self.maker.inputs if isinstance(value, Symbol)]

    @property
    def outputs(self) -> list:
        return list(self.used.values())


def origin(symbol: Any) -> Node | None:
    """The call of a layer that returned a symbol; None: an operation or nothing made it."""
    history = getattr(symbol, "history", None)
    if isinstance(history, tuple) and history and isinstance(history[0], Node):
        return history[0]
    return None


def walk(outputs: list, known: set[int]) -> tuple[dict[int, Node | Step], list]:
    """Everything between the known symbols and the outputs, by id; and the symbols that nothing makes."""
    found: dict[int, Node | Step] = {}
    loose: list = []
    seen = set(known)
    stack = list(outputs)
    while stack:
        symbol = stack.pop()
        if symbol.id in seen:
            continue
        seen.add(symbol.id)
        node = origin(symbol)
        if node is not None:
            if not node.inputs and getattr(node.layer, "is_input", False):
                loose.append(symbol)
            elif node.id not in found:
                found[node.id] = node
                stack.extend(node.inputs)
            continue
        maker = symbol.maker
        if maker is None:
            loose.append(symbol)
            continue
        step = found.get(maker.id)
        if not isinstance(step, Step):
            step = found[maker.id] = Step(maker)
            stack.extend(step.inputs)
        step.used[symbol.port] = symbol
    return found, loose


def describe(symbol: Any) -> str:
    """A symbol as messages show it."""
    node = origin(symbol)
    name = f" name={node.layer.name}," if node is not None else ""
    return f"<KerasTensor shape={tuple(symbol.shape)}, dtype={symbol.dtype.name},{name[:-1]}>"


def _reach(output: Any, known: set[int], tried: frozenset[int]) -> dict[int, Node | Step]:
    """Nodes that make `output`, through the call of the model around it when it lies inside a nested
    model.
    """
    found, loose = walk([output], known)
    if not loose:
        return found
    error = ValueError(
        f"`inputs` not connected to `outputs`: {describe(output)} needs {describe(loose[0])}, which is "
        "not among the inputs."
    )
    start = origin(loose[0])
    for reference in start.owners if start is not None else ():
        model = reference()
        if model is None or id(model) in tried:
            continue
        for node in model._inbound_nodes:
            try:
                outer = _reach(node.outputs[0], known, tried | {id(model)})
            except ValueError:
                continue
            return outer
    raise error


def sources(outputs: list) -> list:
    """The symbols from which `outputs` are computed and which nothing computes, in the order of their
    making.
    """
    return sorted(walk(outputs, set())[1], key=lambda symbol: symbol.id)


def plan(inputs: list, outputs: list) -> list[Node | Step]:
    """Nodes and operations from inputs to outputs in an order in which they can run."""
    known = {symbol.id for symbol in inputs}
    found, loose = walk(outputs, known)
    if loose:
        found = {}
        for output in outputs:
            found.update(_reach(output, known, frozenset()))
    return [found[key] for key in sorted(found)]


def run(steps: list[Node | Step], env: dict[int, Any]) -> None:
    """Runs the steps on what `env` holds (id -> tensor or symbol) and adds what they make."""

    def lookup(leaf: Any) -> Any:
        return env[leaf.id] if isinstance(leaf, Symbol) else leaf

    for step in steps:
        if isinstance(step, Step):
            made = step.maker.replay(tuple(lookup(value) for value in step.maker.inputs))
            for port, symbol in step.used.items():
                env[symbol.id] = made[port]
        else:
            args = tree.map_structure(lookup, step.args)
            kwargs = {key: tree.map_structure(lookup, value) for key, value in step.kwargs.items()}
            results = tree.flatten(step.layer(*args, **kwargs))
            for symbol, result in zip(step.outputs, results, strict=True):
                env[symbol.id] = result
