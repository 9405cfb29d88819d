"""Layers by path: which one a CAM method looks at, and what a wrong name could have meant."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnnexplain.keras.layers.multi_head_attention import Heads
from cnnexplain.keras.nodes import Step

_POOLING = ("max_pool2d", "max_pool_with_argmax", "average_pool2d")
_SAME = ("identity", "stop_gradient", "pad")


def said_by(model: Any, name: str) -> Any:
    """What a model may say of itself; None: it has none. Layer.__getattr__ would look for a reason to give,
    which is slow.
    """
    return getattr(model, name) if name in model.__dict__ or hasattr(type(model), name) else None


@dataclass(frozen=True)
class Place:
    """A layer in the traced model: its path ("outer/inner") and the program's symbol of its output."""

    path: str
    symbol: Any

    @property
    def shape(self) -> tuple[int | None, ...]:
        return tuple(self.symbol.shape)

    @property
    def is_map(self) -> bool:
        """A 4-D output with more than one pixel; a side not known yet counts as more than one."""
        return len(self.shape) == 4 and any(side is None or side > 1 for side in self.shape[1:3])


def upstream(symbol: Any) -> set[int]:
    """Ids of all symbols that `symbol` is computed from, its own included."""
    found = {symbol.id}
    stack = [symbol]
    while stack:
        maker = stack.pop().maker
        for value in maker.inputs if maker is not None else ():
            if value is not None and hasattr(value, "maker") and value.id not in found:
                found.add(value.id)
                stack.append(value)
    return found


def places(model: Any, trace: Any) -> list[Place]:
    """Every layer with one output that the trace called, and the operations between layers, by the names that
    `model.operations` shows; the later computed, the later in the list.

    A subclassed model is itself the first part of every path and is left out of it.
    Several can have one output: a nested model and a layer inside it, a convolution and the Dropout after it.
    The innermost comes last, of those the one called first, so that it gives the name.
    """
    if "places" not in trace.memo:
        trace.memo["places"] = _places(model, trace)
    return trace.memo["places"]


def _places(model: Any, trace: Any) -> list[Place]:
    calls = trace.calls
    own = (model.name,)
    if own in calls and all(layer.name != model.name for layer in model.layers):
        calls = {parts[1:]: output for parts, output in calls.items() if parts != own}
    found = [
        Place("/".join(parts), output)
        for parts, output in reversed(calls.items())
        if getattr(output, "maker", None) is not None
    ]
    found += _operations(model, trace)
    return sorted(found, key=lambda place: (place.symbol.id, place.path.count("/")))


def _operations(model: Any, trace: Any) -> list[Place]:
    """Arithmetic on symbols in the graphs of the model and of those inside it: "add", "inner/multiply_1"."""
    found = []
    for parts, owner, values in trace.environments:
        graph = getattr(model if owner is None else owner, "_graph", None)
        for step in graph.operations if graph is not None else ():
            if isinstance(step, Step) and step.name and len(step.outputs) == 1:
                symbol = values.get(step.outputs[0].id)
                if getattr(symbol, "maker", None) is not None:
                    found.append(Place("/".join((*parts, step.name)), symbol))
    return found


def find(model: Any, trace: Any, layer: Any, score: Any, image: Any) -> Place:
    """The place that `layer` names; None: the last map of `image` that `score` is computed from.

    Where that is only the pooling of an earlier layer's map, or such a map with a border around it, it is the
    earlier one: in VGG16 the last convolution, not the pooling behind it.

    Args:
        model: whose layers an index or a layer object is looked up in; `layer_aliases`, if it has them, are
            other names of its layers.
        trace: its trace.
        layer: None, a name, "outer/inner", an index into model.layers or a layer.
        score: the program's symbol that is explained.
        image: the program's symbol of the explained input.

    Raises:
        ValueError: there is no such layer, the name is ambiguous, its output is no map, or it does not
        lead from the image to the score.
    """
    path = None
    if layer is not None:
        path = _path(model, layer, lambda: _choices(maps_of(model, trace, score, image)))
    key = ("find", path, score.id, image.id)
    if key not in trace.memo:
        trace.memo[key] = _find(model, trace, path, score, image)
    return trace.memo[key]


def maps_of(model: Any, trace: Any, score: Any, image: Any) -> list[Place]:
    """The maps on the way from the image to the score."""
    above = upstream(score)
    heads = _heads(model)
    maps = [
        place
        for place in places(model, trace)
        if place.is_map and place.symbol.id in above and place.path.split("/")[-2:] not in heads
    ]
    if len(trace.inputs) > 1:
        maps = [place for place in maps if image.id in upstream(place.symbol)]
    return maps


def _heads(model: Any) -> list[list[str]]:
    """The ends of the paths to what is inside attention: (n, words, heads, size) is no map."""
    return [
        [layer.name, inner.name]
        for layer in model._flatten_layers()
        if isinstance(layer, Heads)
        for inner in layer._flatten_layers(include_self=False)
    ]


def _find(model: Any, trace: Any, path: str | None, score: Any, image: Any) -> Place:
    maps = maps_of(model, trace, score, image)
    if path is None:
        if not maps:
            raise ValueError(
                "`layer` cannot be chosen: no layer of the model has a 4-D output with more than one pixel "
                "that leads from the explained input to the explained output"
            )
        return _before_pooling(maps)
    place = _named(places(model, trace), maps, path)
    if len(place.shape) != 4:
        raise ValueError(
            "`layer` must have a 4-D output (n, h, w, channels). Received: "
            f"layer {place.path!r} with output shape {place.shape}. {_choices(maps)}"
        )
    if place.symbol.id not in upstream(score):
        raise ValueError(f"the explained output is not computed from layer {place.path!r}. {_choices(maps)}")
    if image.id not in upstream(place.symbol):
        raise ValueError(f"layer {place.path!r} is not computed from the explained input. {_choices(maps)}")
    return place


def _before_pooling(maps: list[Place]) -> Place:
    """The last map, or the one that it is the pooling of, or has a border around."""
    known = {place.symbol.id: place for place in maps}
    chosen = maps[-1]
    symbol = chosen.symbol
    while symbol.maker is not None and symbol.maker.op in (*_POOLING, *_SAME):
        symbol = symbol.maker.inputs[0]
        chosen = known.get(symbol.id, chosen)
    return chosen


def _path(model: Any, layer: Any, choices: Callable[[], str]) -> str:
    """What `layer` is called: itself when it is a name."""
    if isinstance(layer, str):
        return (said_by(model, "layer_aliases") or {}).get(layer, layer)
    if hasattr(layer, "call") and hasattr(layer, "name"):
        path = _path_of(model, layer)
        if path is None:
            raise ValueError(f"layer {layer.name!r} is not part of the model. {choices()}")
        return path
    try:
        if isinstance(layer, bool):
            raise TypeError
        index = operator.index(layer)
    except TypeError:
        raise TypeError(
            f"`layer` must be None, a name, an index or a layer. Received: layer={layer!r}"
        ) from None
    count = len(model.layers)
    if not -count <= index < count:
        raise ValueError(f"`layer` must be between {-count} and {count - 1}. Received: layer={layer!r}")
    return model.layers[index].name


def _path_of(model: Any, layer: Any, prefix: str = "") -> str | None:
    for own in model.layers:
        if own is layer:
            return prefix + own.name
        inner = _path_of(own, layer, prefix + own.name + "/") if getattr(own, "layers", None) else None
        if inner is not None:
            return inner
    return None


def _named(every: list[Place], maps: list[Place], path: str) -> Place:
    matches = [place for place in every if place.path == path]
    matches = matches or [place for place in every if place.path.rsplit("/", 1)[-1] == path]
    if len(matches) > 1:
        names = ", ".join(repr(place.path) for place in matches)
        raise ValueError(f"`layer` is ambiguous: {path!r} can be {names}")
    if not matches:
        raise ValueError(
            f"`layer` must name a layer on the way to the explained output; there is no layer {path!r}. "
            f"{_choices(maps)}"
        )
    return matches[0]


def _choices(maps: list[Place], most: int = 30) -> str:
    names = [repr(place.path) for place in maps]
    if not names:
        return "No layer of this model has a map for an output"
    if len(names) > most:
        names = ["...", *names[-most:]]
    return f"Layers with a map: {', '.join(names)}"
