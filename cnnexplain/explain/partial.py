"""A network computed again for many copies of an image that differ from it in a window.

What a window cannot reach keeps its value. `plan` follows the windows' rectangles through the network and
writes it again, for each group of windows, as a program on patches: every value is a batch of rectangles of
one size, and an op gets the rectangle that it needs, pasted together from the image's own values and what
has changed. Once most of a map has changed the network goes on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnexplain import _core

from .layers import upstream
from .regions import Slide, Spans, shifted
from .spreading import MOST_CHANGED, Step, follow, group, steps_between

_MOST_PLANS = 8  # of a trace that are kept


@dataclass
class Value:
    """What a symbol of the network has become in a program on patches.

    Attributes:
        symbol: (patches, h, w, c), or all of it where `begin` is None.
        begin: first rows (one for each row of windows) and first columns of the patches.
        size: h and w.
    """

    symbol: Any
    begin: tuple[np.ndarray, np.ndarray] | None = None
    size: tuple[int, int] | None = None


@dataclass
class Program:
    """The network for one group of windows.

    Attributes:
        rows, columns: of the group's windows.
        image: the patches of the image that are fed: symbol, first rows, first columns, size.
        bases: symbols of the network whose own values are fed, with the program's symbols for them.
        places: symbols with a function of (images, rows, columns) that gives what they are fed.
        copies: symbols of the network that do not change, fed once for each patch.
        outputs: what is wanted, by id of the network's symbols.
        sums: (patches, c), the sums over a map that are wanted, or None.
        program: all of it.
        base_bytes: what the bases take for one image.
    """

    rows: np.ndarray
    columns: np.ndarray
    image: Value
    bases: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    places: list[tuple[Any, Callable[..., np.ndarray]]] = field(default_factory=list)
    copies: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    outputs: dict[int, Any] = field(default_factory=dict)
    sums: Any = None
    program: Any = None
    base_bytes: int = 0

    def sources(self) -> list[Any]:
        """The network's symbols whose values `run` reads."""
        return [source for source, _ in (*self.bases.values(), *self.copies.values())]

    def fetches(self) -> list[Any]:
        """The program's outputs."""
        return [*self.outputs.values(), *([] if self.sums is None else [self.sums])]


class _Writer:
    """Writes the program of one group."""

    def __init__(
        self,
        image: Any,
        windows: Spans,
        inputs: Sequence[Any],
        shapes: dict[int, tuple],
        rows: np.ndarray,
        columns: np.ndarray,
    ):
        self.inputs, self.shapes, self.members = {symbol.id for symbol in inputs}, shapes, (rows, columns)
        size, begin = self.fit(windows, shapes[image.id])
        symbol = _core.symbol((None, *size, shapes[image.id][3]), image.dtype.name)
        self.made = Program(rows, columns, Value(symbol, begin, size))
        self.values: dict[int, Value] = {image.id: self.made.image}
        self.corners: dict[bytes, Any] = {}
        self.wholes: dict[int, Any] = {}

    def fit(self, spans: Spans, shape: Sequence[int]) -> tuple[Any, Any]:
        """The size of patches that hold each window's rectangle, and where inside the map they begin."""
        mine = [span[members] for span, members in zip(spans, self.members, strict=True)]
        size = tuple(int(max(1, (span[:, 1] - span[:, 0]).max())) for span in mine)
        begin = tuple(np.minimum(span[:, 0], shape[1 + d] - size[d]) for d, span in enumerate(mine))
        return size, begin

    def corner(self, begin: tuple[np.ndarray, np.ndarray], images: bool) -> Any:
        """The symbol of the patches' (image, row, column), or (row, column)."""
        key = b"%d" % images + begin[0].tobytes() + b"/" + begin[1].tobytes()
        if key not in self.corners:
            symbol = _core.symbol((None, 3 if images else 2), "int64")

            def places(image: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
                found = [begin[0][row], begin[1][column]]
                return np.stack([image, *found] if images else found, 1).astype(np.int64)

            self.made.places.append((symbol, places))
            self.corners[key] = symbol
        return self.corners[key]

    def base(self, source: Any) -> Any:
        """The program's symbol for the images' own value."""
        if source.id not in self.made.bases:
            shape = self.shapes.get(source.id, tuple(source.shape))
            self.made.bases[source.id] = (source, _core.symbol((None, *shape[1:]), source.dtype.name))
        return self.made.bases[source.id][1]

    def patch(self, source: Any, begin: tuple[Any, Any], size: tuple[int, int], fill: float = 0.0) -> Any:
        """A rectangle of what a symbol of the network has become; it may reach beyond the map."""
        value = self.values[source.id]
        assert value.begin is not None
        if value.size == size and all(np.array_equal(a, b) for a, b in zip(value.begin, begin, strict=True)):
            return value.symbol
        return _core.patch(
            self.base(source),
            self.corner(begin, True),
            value.symbol,
            self.corner(value.begin, False),
            size=size,
            fill=fill,
        )

    def whole(self, source: Any) -> Any:
        """All of it."""
        value = self.values[source.id]
        if value.begin is None:
            return value.symbol
        if source.id not in self.wholes:
            rows, columns = self.members
            begin = np.zeros(len(rows), np.int64), np.zeros(len(columns), np.int64)
            height, width = self.shapes[source.id][1:3]
            self.wholes[source.id] = self.patch(source, begin, (height, width))
        return self.wholes[source.id]

    def unchanged(self, value: Any) -> Any:
        """An input that the window does not reach: weights as they are, what other inputs give by image."""
        if getattr(value, "maker", None) is None and value.id not in self.inputs:
            return value
        if not upstream(value) & self.inputs:
            return value
        if value.id not in self.made.copies:
            self.made.copies[value.id] = (
                value,
                _core.symbol((None, *tuple(value.shape)[1:]), value.dtype.name),
            )
        return self.made.copies[value.id][1]

    def write(self, step: Step) -> None:
        maker = step.maker
        values = [self.values[maker.inputs[k].id] for k in step.changed]
        if step.spans is not None and all(value.begin is not None for value in values):
            size, begin = self.fit(step.spans, step.shape)
            share = [step.sides(size[d]) / step.sides(step.shape[1 + d]) for d in range(2)]
            if share[0] * share[1] < MOST_CHANGED:
                self.values[step.ids[0]] = Value(self.part(step, size, begin), begin, size)
                return
        made = maker.replay(
            [
                None if v is None else self.whole(v) if k in step.changed else self.unchanged(v)
                for k, v in enumerate(maker.inputs)
            ]
        )
        self.values |= {key: Value(symbol) for key, symbol in zip(step.ids, made, strict=True)}

    def part(self, step: Step, size: tuple[int, int], begin: tuple[Any, Any]) -> Any:
        """Patches of the step's output."""
        maker, slide = step.maker, step.slide
        if slide is not None:
            first = (
                begin[0] * slide.stride[0] - slide.before[0],
                begin[1] * slide.stride[1] - slide.before[1],
            )
            reach = (slide.reach(0, size[0]), slide.reach(1, size[1]))
            outside = 0.0 if slide.outside is None else slide.outside
            x = self.patch(maker.inputs[0], first, reach, outside)
            given = {key: value for key, value in maker.attributes.items() if key != "pads"}
            rest = [None if v is None else self.unchanged(v) for v in maker.inputs[1:]]
            made = getattr(_core, maker.op)(x, *rest, **given | {"padding": "valid"})
            return self.mean_of_inside(made, slide, size, begin) if slide.outside is None else made
        if maker.op == "pad":
            move = shifted(maker) or (0, 0)
            return self.patch(
                maker.inputs[0], (begin[0] - move[0], begin[1] - move[1]), size, maker.attributes["value"]
            )
        return maker.replay(
            [
                None if v is None else self.patch(v, begin, size) if k in step.changed else self.unchanged(v)
                for k, v in enumerate(maker.inputs)
            ]
        )[0]

    def mean_of_inside(self, made: Any, slide: Slide, size: tuple[int, int], begin: tuple[Any, Any]) -> Any:
        """An average over a window of which a part was filled with zeros, as one over the rest."""
        inside = [slide.inside(d, begin[d], size[d]) for d in range(2)]
        if all((count == slide.extent[d]).all() for d, count in enumerate(inside)):
            return made
        dtype = made.dtype.as_numpy_dtype
        symbol = _core.symbol((None, *size, 1), made.dtype.name)

        def factor(_: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
            parts = (slide.extent[0] / inside[0][row])[:, :, None] * (slide.extent[1] / inside[1][column])[
                :, None
            ]
            return parts[..., None].astype(dtype)

        self.made.places.append((symbol, factor))
        return _core.multiply(made, symbol)


class Shown:
    """What a program gave, read by the network's own symbols."""

    def __init__(self, instance: Any, made: Program):
        self.instance, self.made = instance, made

    def value(self, symbol: Any) -> Any:
        """Of one of the symbols that were wanted."""
        return self.instance.value(self.made.outputs[symbol.id])

    @property
    def sums(self) -> Any:
        """Of the map whose sums were wanted."""
        return self.instance.value(self.made.sums)


def plan(
    trace: Any,
    image: Any,
    size: tuple[int, int, int],
    windows: Spans,
    wanted: Sequence[Any],
    summed: Any = None,
) -> list[Program]:
    """The network for windows of one size of image, group by group. The trace keeps it.

    Args:
        trace: of the network.
        image: its symbol of the explained input.
        size: (h, w, c) of the images.
        windows: spans of the rows of windows, and of their columns; a window's rectangle is all that changes.
        wanted: symbols whose values are wanted.
        summed: a symbol (n,h,w,c) whose sums over rows and columns are wanted.

    Raises:
        ValueError: something that is wanted does not depend on the image.
    """
    ids = (image.id, *(symbol.id for symbol in wanted), None if summed is None else summed.id)
    key = ("partial", ids, tuple(size), windows[0].tobytes(), windows[1].tobytes())
    known = trace.derived.get(key)
    if known is None:
        for oldest in list(trace.derived)[: 1 - _MOST_PLANS]:
            trace.derived.pop(oldest, None)
        known = trace.derived[key] = _plan(trace, image, size, windows, wanted, summed)
    return known


def _plan(
    trace: Any,
    image: Any,
    size: tuple[int, int, int],
    windows: Spans,
    wanted: Sequence[Any],
    summed: Any,
) -> list[Program]:
    steps, shapes = steps_between(image, size, [*wanted, *([] if summed is None else [summed])])
    if any(symbol.id not in shapes for symbol in wanted):
        raise ValueError("the score does not depend on the image")
    follow(steps, image.id, windows, shapes)
    made = []
    for rows, columns in group(steps, (len(windows[0]), len(windows[1]))):
        writer = _Writer(image, windows, trace.inputs, shapes, rows, columns)
        for step in steps:
            writer.write(step)
        program = writer.made
        program.outputs = {symbol.id: writer.whole(symbol) for symbol in wanted}
        if summed is not None:
            program.sums = _core.reduce_sum(writer.whole(summed), axis=(1, 2))
        fed = [program.image.symbol]
        fed += [own for _, own in (*program.bases.values(), *program.copies.values())]
        fed += [own for own, _ in program.places]
        program.program = _core.Program(fed, program.fetches())
        program.base_bytes = sum(
            int(np.prod(own.shape[1:])) * own.dtype.as_numpy_dtype().itemsize
            for _, own in program.bases.values()
        )
        made.append(program)
    return made


def run(
    program: Program,
    instance: Any,
    patches: np.ndarray,
    images: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> Shown:
    """One batch.

    Args:
        program: of a group.
        instance: the network's run over the images as they are.
        patches: (n,h,w,c) of the changed images, as `program.image` says.
        images: (n,) places in that run.
        rows, columns: (n,) places among the group's rows and columns of windows.
    """
    feeds = [(program.image.symbol, patches)]
    feeds += [(own, instance.value(source)) for source, own in program.bases.values()]
    feeds += [
        (own, np.ascontiguousarray(np.asarray(instance.value(source))[images]))
        for source, own in program.copies.values()
    ]
    feeds += [(own, places(images, rows, columns)) for own, places in program.places]
    found = program.program.run(feeds, program.fetches(), track=False)
    return Shown(found, program)
