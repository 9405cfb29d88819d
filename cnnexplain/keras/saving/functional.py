"""Functional models as plain data (Keras 3's form) and as a list of steps for pickling."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .. import tree
from ..models.graph import Graph
from ..nodes import Node, Step, Symbol
from . import operations
from .serialization import deserialize_keras_object, located, serialize_keras_object


class _Namer:
    """(name, node index within this graph, place) of each symbol."""

    def __init__(self, graph: Graph):
        self.place: dict[int, list] = {}
        self.nodes: dict[str, list] = {}
        names = graph.step_names()
        for node in graph.input_layers:
            if node is not None:
                self._add(node.layer.name, node)
        for symbol, node in zip(graph.inputs, graph.input_layers, strict=True):
            if node is None:
                raise ValueError(
                    f"A model that begins inside another graph ({symbol}) cannot be described: give it an "
                    "`Input`."
                )
        for step in graph.steps:
            self._add(names[step.id] if isinstance(step, Step) else step.layer.name, step)

    def _add(self, name: str, step: Node | Step) -> None:
        known = self.nodes.setdefault(name, [])
        if isinstance(step, Step):
            for port, symbol in step.used.items():
                self.place[symbol.id] = [name, len(known), port]
        else:
            for port, symbol in enumerate(step.outputs):
                self.place[symbol.id] = [name, len(known), port]
        known.append(step)

    def tensor(self, symbol: Any) -> dict:
        shape = [None if size is None else int(size) for size in symbol.shape]
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": shape, "dtype": symbol.dtype.name, "keras_history": self.place[symbol.id]},
        }

    def value(self, value: Any) -> Any:
        if isinstance(value, Symbol):
            return self.tensor(value)
        if isinstance(value, _core.Variable):
            raise ValueError("A model that computes with a variable outside its layers cannot be described.")
        return serialize_keras_object(value)

    def structure(self, value: Any) -> Any:
        return tree.map_structure(self.value, value)


def functional_config(model: Any) -> dict:
    """Layers, how they are connected, inputs and outputs."""
    graph = model._graph
    namer = _Namer(graph)
    names = graph.step_names()
    layers = []
    for operation in graph.operations:
        if isinstance(operation, Step):
            entry = operations.describe(operation, names[operation.id], namer.value)
        else:
            entry = serialize_keras_object(operation)
            entry["name"] = operation.name
            entry["inbound_nodes"] = [
                {
                    "args": [namer.structure(a) for a in node.args],
                    "kwargs": {k: namer.structure(v) for k, v in node.kwargs.items()},
                }
                for node in namer.nodes[operation.name]
                if node.inputs
            ]
        layers.append(entry)
    inner = {layer.name for layer in graph.layers if _counts_itself(layer)}

    def end(symbol: Any) -> list:
        name, index, port = namer.place[symbol.id]
        return [name, index + (name in inner), port]

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": tree.map_structure(end, graph.input_structure),
        "output_layers": tree.map_structure(end, graph.output_structure),
    }


def _counts_itself(layer: Any) -> bool:
    """Is it a model whose own making counts as its first call in Keras's lists of inputs and outputs?"""
    from ..models.model import Functional

    return isinstance(layer, Functional)


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    )


def _map_places(function: Any, structure: Any) -> Any:
    if _is_place(structure):
        return function(structure)
    if isinstance(structure, dict):
        return {key: _map_places(function, value) for key, value in structure.items()}
    return [_map_places(function, value) for value in structure]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _name_step(symbol: Any, name: str) -> None:
    if isinstance(symbol, Symbol) and symbol.maker is not None:
        Step(symbol.maker).name = name


def _said(layer: Any, argument: str, value: Any) -> bool:
    """Did the call name this argument? Keras also notes a `training` that is only the default of the layer's
    `call`, and lets the model decide: Dropout drops in `fit`, RandomFlip flips nothing in `predict`."""
    if argument != "training" or isinstance(layer, dict):
        return True
    return value is not type(layer)._call_spec.training_default


def _refers(value: Any) -> bool:
    """Is there a symbol of the model in it?"""
    if _is_tensor(value):
        return True
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(map(_refers, value))


def functional_from_config(cls: type, config: dict) -> Any:
    """The model that `functional_config` described, without weights."""
    made: dict[tuple[str, int, int], Any] = {}
    pending: list[tuple[Any, str, int, dict]] = []
    inner: set[str] = set()
    for entry in config["layers"]:
        name = entry.get("name") or entry["config"]["name"]
        if operations.is_operation(entry):
            layer: Any = entry
        else:
            layer = deserialize_keras_object(
                {key: entry[key] for key in entry if key not in ("name", "inbound_nodes")}
            )
            layer.name = name
            if _counts_itself(layer):
                inner.add(name)
            if getattr(layer, "is_input", False):
                made[name, 0, 0] = layer.output
        for index, node in enumerate(entry["inbound_nodes"]):
            if not _refers(node):
                raise ValueError(f"A call of '{name}' takes nothing from the model.")
            pending.append((layer, name, index, node))

    def find(value: Any) -> Any:
        return made[tuple(value["config"]["keras_history"])]

    def restore(value: Any) -> Any:
        if _is_tensor(value):
            return find(value)
        if isinstance(value, list):
            return [restore(item) for item in value]
        if isinstance(value, dict) and "class_name" not in value:
            return {key: restore(item) for key, item in value.items()}
        return deserialize_keras_object(value)

    def ready(value: Any) -> bool:
        if _is_tensor(value):
            return tuple(value["config"]["keras_history"]) in made
        if isinstance(value, dict):
            return all(ready(item) for item in value.values())
        return all(ready(item) for item in value) if isinstance(value, list) else True

    calls: dict[str, int] = {}
    while pending:
        rest = []
        for item in pending:
            layer, name, index, node = item
            if calls.get(name, 0) != index or not (ready(node["args"]) and ready(node["kwargs"])):
                rest.append(item)
                continue
            with located(name):
                args = [restore(value) for value in node["args"]]
                kwargs = {
                    key: restore(value) for key, value in node["kwargs"].items() if _said(layer, key, value)
                }
                result = (
                    operations.call(layer, args, kwargs)
                    if isinstance(layer, dict)
                    else layer(*args, **kwargs)
                )
            calls[name] = index + 1
            if isinstance(layer, dict):
                _name_step(tree.flatten(result)[0], name)
            for place, symbol in enumerate(tree.flatten(result)):
                made[name, index, place] = symbol
        if len(rest) == len(pending):
            raise ValueError(
                f"The model's description is not connected: {[item[1] for item in rest]} wait for each other."
            )
        pending = rest

    def at(place: Any) -> Any:
        name, index, port = place
        key = (name, index - 1 if name in inner and index else index, port)
        if key not in made:
            raise ValueError(f"The model's description names {place}, which no layer makes.")
        return made[key]

    inputs = _map_places(at, config["input_layers"])
    outputs = _map_places(at, config["output_layers"])
    from ..models.model import Functional, Model

    model = (Functional if cls is Model else cls)(inputs, outputs, name=config.get("name"))
    if not config.get("trainable", True):
        model.__dict__["_trainable"] = False
    return model


class _Ref:
    """A symbol's place in a packed graph."""

    __slots__ = ("id",)

    def __init__(self, number: int):
        self.id = number

    def __reduce__(self) -> tuple:
        return _Ref, (self.id,)


def _encode(value: Any) -> Any:
    return tree.map_structure(lambda leaf: _Ref(leaf.id) if isinstance(leaf, Symbol) else leaf, value)


def pack_graph(graph: Graph) -> dict:
    """The graph as data that pickles; layers stay objects."""
    inputs = [
        (symbol.id, tuple(symbol.shape), symbol.dtype.name, None if node is None else node.layer)
        for symbol, node in zip(graph.inputs, graph.input_layers, strict=True)
    ]
    steps: list[tuple] = []
    for step in graph.steps:
        if isinstance(step, Node):
            steps.append(
                (step.layer, _encode(step.args), _encode(step.kwargs), [symbol.id for symbol in step.outputs])
            )
        else:
            maker = step.maker
            attributes = {key: getattr(value, "name", value) for key, value in maker.attributes.items()}
            used = {port: symbol.id for port, symbol in step.used.items()}
            steps.append(
                (
                    (maker.op, getattr(maker, "host", None), attributes, step.name),
                    _encode(tuple(maker.inputs)),
                    used,
                )
            )
    return {
        "inputs": inputs,
        "steps": steps,
        "input_structure": _encode(graph.input_structure),
        "output_structure": _encode(graph.output_structure),
    }


def unpack_graph(packed: dict) -> Graph:
    """A graph of fresh symbols over the same layers."""
    from ..layers.core import InputLayer

    env: dict[int, Any] = {}

    def decode(value: Any) -> Any:
        return tree.map_structure(lambda leaf: env[leaf.id] if isinstance(leaf, _Ref) else leaf, value)

    for number, shape, dtype, layer in packed["inputs"]:
        env[number] = (layer or InputLayer(batch_shape=shape, dtype=dtype)).output
    for step in packed["steps"]:
        if len(step) == 4:
            layer, args, kwargs, outputs = step
            results = tree.flatten(layer(*decode(args), **decode(kwargs)))
            env.update(zip(outputs, results, strict=True))
        else:
            (op, host, attributes, name), inputs, used = step
            values = decode(inputs)
            result = getattr(_core, op)(*([host] if host is not None else []), *values, **attributes)
            ports = result if isinstance(result, tuple) else (result,)
            _name_step(ports[0], name)
            env.update({number: ports[port] for port, number in used.items()})
    return Graph(decode(packed["input_structure"]), decode(packed["output_structure"]))
