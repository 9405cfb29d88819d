"""The way down of a deconvnet: from the map of a layer to the pixels, one operation after the other.

A pooling is taken back by its switches, a ReLU rectifies what comes down, a convolution or dense layer
filters it with its transposed kernel, and batch normalization scales it; biases take no part. Local response
normalization is left out on the way down, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnexplain import _core

from . import layers
from .arguments import open_session
from .progress import Progress, bar
from .reach import Reach
from .session import Session
from .spreading import Step, steps_between
from .target import _head

# What becomes of a signal that comes down to the one input of these operations that depends on the image.
VERBS = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "conv2d_transpose", "dense", "matmul"), "filter"),
    **dict.fromkeys(("max_pool2d", "max_pool_with_argmax", "reduce_max"), "unpool"),
    **dict.fromkeys(("relu", "maximum"), "rectify"),
    **dict.fromkeys(("average_pool2d", "global_average_pool2d", "reduce_mean", "reduce_sum"), "spread"),
    **dict.fromkeys(("batch_norm", "multiply", "divide", "negative"), "scale"),
    **dict.fromkeys(("reshape", "transpose", "broadcast_to", "tile", "reverse", "gather"), "reshape"),
    **dict.fromkeys(("pad", "slice", "add", "subtract", "concat", "identity", "cast"), "move"),
    "resize": "resize",
    "local_response_normalization": "leave out",
    "stop_gradient": "leave out",
}
_FIRST_ALONE = ("conv2d", "depthwise_conv2d", "conv2d_transpose", "dense", "matmul", "batch_norm", "divide")
_BRANCHES = ("add", "subtract", "concat")
_FITS = (
    "convolution, dense layers, ReLU, pooling, normalization with constant moments, padding, cropping, "
    "resizing, addition and concatenation"
)


@dataclass(frozen=True)
class Stage:
    """One operation on the way down: what happens there, in which layer."""

    step: Step
    verb: str | None
    layer: str

    @property
    def name(self) -> str:
        return f"{self.verb or 'gradient of'} {self.layer}"


class Projection:
    """The operations between the image and a layer.

    Attributes:
        path: the layer's name.
        symbol: where a signal starts: the layer's output, before softmax or sigmoid.
        stages: in the order of the way up.
        notes: what the user should know.
    """

    def __init__(self, session: Session, layer: Any, fallback: str | None = None):
        if fallback not in (None, "gradient"):
            raise ValueError(f"`fallback` must be None or 'gradient'. Received: fallback={fallback!r}")
        self.session = session
        self.notes: list[str] = []
        size = image_shape(session)
        every = layers.places(session.model, session.trace)
        steps, shapes = steps_between(session.image, size, session.trace.outputs)
        fit = _reached(steps, session.image)
        place = _find(session, every, layer, shapes, fit if fallback is None else set(shapes))
        self.path = place.path
        kind, self.symbol = _head(place.symbol)
        if kind != "linear":
            self.notes.append(
                f"{kind} of layer {place.path} is left out: its units' values before it are taken"
            )
        self.steps, self.shapes = steps_between(session.image, size, [self.symbol])
        self.stages = _stages(self.steps, every, place.path)
        self._look(every, fit, fallback)
        self.shape = self.shapes[self.symbol.id][1:]
        self.reach = Reach(self.steps, self.shapes, session.image.id)
        self._symbols = {v.id: v for s in self.steps for v in s.maker.inputs if v is not None}
        self._symbols[self.symbol.id] = self.symbol
        self._alone: dict[int, tuple[list[int], list[Any], Any, Any]] = {}

    def _look(self, every: Sequence[layers.Place], fit: set[int], fallback: str | None) -> None:
        """Refuses operations that have no place in a deconvnet; notes what the paper does not have."""
        strange = [stage for stage in self.stages if stage.verb is None]
        listed = _few([f"{s.step.maker.op} (in {s.layer})" for s in strange])
        if strange and fallback is None:
            good = [p for p in every if p.symbol.id in fit and len(p.shape) in (2, 4)]
            raise ValueError(
                f"a deconvnet goes down through {_FITS}. On the way to layer {self.path!r} there is also "
                f'{listed}. Pass fallback="gradient" to take the true gradient there, or choose another '
                f"layer. {_listed(good)}"
            )
        if strange:
            self.notes.append(f"the true gradient was taken at {listed}")
        joined = [s.layer for s in self.stages if s.verb and len(_sources(s.step)) > 1]
        if joined:
            self.notes.append(
                f"the network has branches, which the paper's has not ({_few(joined)}): "
                "the signal goes down each of them, and what comes out is added"
            )

    def forward(self, feeds: Sequence[np.ndarray], track: bool = True) -> Any:
        """Runs the network up to the layer.

        Args:
            feeds: one array for each input of the model.
            track: keep what the way down needs.
        """
        return _run(self.session, feeds, [self.symbol], track)

    def down(
        self,
        instance: Any,
        signal: np.ndarray,
        overlap: str,
        record: Callable[[Stage, np.ndarray], Any] | None = None,
    ) -> np.ndarray:
        """Takes a signal down to the pixels, (n,H,W,C).

        Args:
            instance: of `forward`.
            signal: of the layer's shape.
            overlap: what happens where several windows have one switch.
            record: is given what there is below each operation with one input, as soon as it is there.
        """
        image = self.session.image
        signals = {self.symbol.id: signal}
        for stage in reversed(self.stages):
            sources = _sources(stage.step)
            for key in stage.step.ids:
                if key not in signals:
                    continue
                given = signals.pop(key)
                if stage.verb == "leave out":
                    parts = [given]
                elif len(sources) == 1:
                    seed, wanted = [(self._symbols[key], given)], [self._symbols[sources[0]]]
                    parts = instance.backward(seed, wanted, gate="rectified", overlap=overlap)
                else:
                    parts = self._apart(instance, stage, key, given, overlap)
                for source, part in zip(sources, parts, strict=True):
                    if part is not None:
                        array = np.asarray(part)
                        signals[source] = signals[source] + array if source in signals else array
            if record is not None and len(sources) == 1 and sources[0] in signals:
                record(stage, signals[sources[0]])
        if image.id not in signals:
            return np.zeros((len(signal), *self.shapes[image.id][1:]), signal.dtype)
        return signals[image.id]

    def _apart(self, instance: Any, stage: Stage, key: int, given: np.ndarray, overlap: str) -> list[Any]:
        """The signals below an operation of several inputs, by a program of this operation alone: in the
        whole one other ways lead to the same inputs.
        """
        step = stage.step
        if key not in self._alone:
            sources = _sources(step)
            fresh = [_core.symbol(self.shapes[s], self._symbols[s].dtype.name) for s in sources]
            known = dict(zip(sources, fresh, strict=True))
            made = step.maker.replay([None if v is None else known.get(v.id, v) for v in step.maker.inputs])
            out = made[step.ids.index(key)]
            self._alone[key] = sources, fresh, out, _core.Program(fresh, [out])
        sources, fresh, out, program = self._alone[key]
        linear = step.maker.op in _BRANCHES
        values = [
            np.zeros((len(given), *self.shapes[s][1:]), given.dtype)
            if linear
            else np.asarray(instance.value(self._symbols[s]))
            for s in sources
        ]
        alone = program.run(list(zip(fresh, values, strict=True)), [out])
        return alone.backward([(out, given)], fresh, gate="rectified", overlap=overlap)


def open_for_feature(
    name: str,
    model: Any,
    images: Any,
    input: Any,
    preprocess: Any,
    dtype: Any,
    batch_size: Any,
    progress: Progress,
) -> Session:
    """The session of a method that explains an inner feature: of any model, also one without classes."""
    shared = {"input": input, "preprocess": preprocess, "dtype": dtype, "batch_size": batch_size}
    return open_session(
        name, model, images, None, shared | {"progress": progress, "output": 0, "score": _no_score}
    )


def _no_score(output: Any) -> Any:
    raise AssertionError("the score of an output is not asked for here")


def _run(session: Session, feeds: Sequence[np.ndarray], fetches: Sequence[Any], track: bool) -> Any:
    pairs = [
        (symbol, np.ascontiguousarray(array, dtype=symbol.dtype.as_numpy_dtype))
        for symbol, array in zip(session.trace.inputs, feeds, strict=True)
    ]
    return session.trace.program.run(pairs, fetches, track=track)


def runs(session: Session, fetches: Sequence[Any], track: bool = True) -> Iterator[tuple[slice, Any]]:
    """The session's images through the network, no further than what is fetched: (places, instance)."""
    count = len(session.inputs)
    with closing(bar(session.progress, count)) as shown:
        for begin in range(0, count, session.batch_size):
            part = slice(begin, min(begin + session.batch_size, count))
            yield part, _run(session, [feed[part] for feed in session.inputs.feeds], fetches, track)
            shown.update(part.stop - begin)


def poolings(session: Session, layer: Any) -> list[tuple[str, Any, dict[str, Any]]]:
    """The max poolings between the image and a layer, the lowest first: name, the map that is pooled, and the
    pooling's attributes.

    `layer` None: up to the model's outputs.
    """
    every = layers.places(session.model, session.trace)
    steps, shapes = steps_between(session.image, image_shape(session), session.trace.outputs)
    path = "the output"
    if layer is not None:
        place = _find(session, every, layer, shapes, set(shapes))
        path = place.path
        steps, _ = steps_between(session.image, image_shape(session), [place.symbol])
    found: dict[str, tuple[str, Any, dict[str, Any]]] = {}
    for stage in _stages(steps, every, path):
        maker = stage.step.maker
        if maker.op in ("max_pool2d", "max_pool_with_argmax"):
            name = unused(stage.layer, found)
            found[name] = name, maker.inputs[0], maker.attributes
    return list(found.values())


def unused(name: str, names: Collection[str]) -> str:
    """The name, with a number behind it where it is taken: a layer that is called twice."""
    count = sum(other == name or other.startswith(f"{name} (") for other in names)
    return f"{name} ({count + 1})" if count else name


def image_shape(session: Session) -> tuple[int, int, int]:
    """(H, W, C) of the images that are explained."""
    _, height, width, channels = session.inputs.feeds[session.inputs.explained].shape
    return height, width, channels


def _sources(step: Step) -> list[int]:
    """Ids of the inputs that depend on the image, each once."""
    return list(dict.fromkeys(step.maker.inputs[k].id for k in step.changed))


def verb_of(step: Step) -> str | None:
    """What a deconvnet does at an operation; None: nothing that is defined."""
    op = step.maker.op
    if op in _FIRST_ALONE and step.changed != [0]:
        return None
    if len(step.changed) > 1 and op not in _BRANCHES:
        return None
    return VERBS.get(op)


def _reached(steps: Sequence[Step], image: Any) -> set[int]:
    """Ids of all symbols that a deconvnet can start from."""
    fit = {image.id}
    for step in steps:
        if verb_of(step) is not None and all(source in fit for source in _sources(step)):
            fit.update(step.ids)
    return fit


def _stages(steps: Sequence[Step], every: Sequence[layers.Place], path: str) -> list[Stage]:
    """Each operation with the layer that it is part of."""
    own = {place.symbol.id: place.path for place in every}
    of: dict[int, str] = {}
    stages = []
    for step in reversed(steps):
        layer = next((own[key] for key in step.ids if key in own), None)
        layer = layer or next((of[key] for key in step.ids if key in of), path)
        for source in _sources(step):
            of.setdefault(source, layer)
        stages.append(Stage(step, verb_of(step), layer))
    return stages[::-1]


def _find(
    session: Session, every: list[layers.Place], layer: Any, shapes: dict[int, tuple], fit: set[int]
) -> layers.Place:
    """The place that `layer` names. None: the last map, or the one that it is the pooling of."""
    seen = [place for place in every if place.symbol.id in shapes]
    maps = [place for place in seen if place.is_map]
    if layer is None:
        maps = [place for place in maps if place.symbol.id in fit]
        if not maps:
            raise ValueError(
                "`layer` cannot be chosen: no layer with a map of more than one pixel can be taken down to "
                f"the explained input. {_listed([p for p in seen if p.symbol.id in fit])}"
            )
        return layers._before_pooling(maps)
    place = layers._named(every, seen, layers._path(session.model, layer, lambda: _listed(seen)))
    if place.symbol.id not in shapes:
        raise ValueError(
            f"there is no way from layer {place.path!r} down to the explained input. {_listed(seen)}"
        )
    if len(place.shape) not in (2, 4):
        good = [p for p in seen if len(p.shape) in (2, 4)]
        raise ValueError(
            "`layer` must have an output (n, h, w, channels) or (n, units). Received: "
            f"layer {place.path!r} with output shape {place.shape}. {_listed(good)}"
        )
    return place


def _few(names: Sequence[str], most: int = 4) -> str:
    """The first few, each once."""
    each = list(dict.fromkeys(names))
    more = [f"{len(each) - most} more"] if len(each) > most else []
    return ", ".join([*each[:most], *more])


def _listed(good: Sequence[layers.Place], most: int = 30) -> str:
    names = [repr(place.path) for place in good]
    if not names:
        return "No layer of this model fits"
    return f"Layers that fit: {', '.join(['...', *names[-most:]] if len(names) > most else names)}"
