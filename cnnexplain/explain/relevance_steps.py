"""The way from a score back to the image, as steps that each hand relevance on.

Every operation belongs to one of four kinds. A *layer* has weights, and a rule shares its relevance. A *pass*
is an operation on each element alone (activations, constants, normalisation by constants): relevance goes
through unchanged. A *route* moves or selects elements (max pooling, concatenation, slices, shapes): relevance
goes where the values came from. A *share* adds without weights (average pooling, residual addition,
enlarging): relevance is shared in proportion to what was added.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnexplain import _core

from .layers import places
from .relevance_layers import WEIGHTED, Layer, Piece

_PASS = frozenset(
    "relu elu selu gelu silu mish sigmoid hard_sigmoid hard_silu tanh softplus softsign identity "
    "stop_gradient cast clip local_response_normalization".split()
)
_ROUTE = frozenset(
    "reshape transpose broadcast_to pad slice concat tile reverse gather gather_nd max_pool2d "
    "max_pool_with_argmax reduce_max reduce_min".split()
)
_SHARE = frozenset(
    "average_pool2d global_average_pool2d reduce_mean reduce_sum resize projective_transform".split()
)
_GATES = ("sigmoid", "hard_sigmoid", "softmax")
_VIEWS = ("reshape", "broadcast_to", "identity", "cast", "transpose", "multiply", "divide")
_UNBENT = frozenset(
    "relu identity stop_gradient cast batch_norm add subtract multiply divide negative".split()
)


@dataclass(eq=False)
class Step:
    """One operation on the way.

    Attributes:
        kind: "layer", "pass", "route" or "share".
        maker: the call.
        places: of the inputs that get relevance, and `inputs` their symbols.
        output: the symbol whose relevance is handed on.
        layer: for a layer.
        piece: for a route or a share.
    """

    kind: str
    maker: Any
    places: list[int]
    inputs: list[Any]
    output: Any
    layer: Layer | None = None
    piece: Piece | None = None


class Way:
    """All steps between the image and the score, in the order of computation.

    Attributes:
        steps: them.
        gates: paths of the products whose gate gets no relevance.
    """

    def __init__(self, session: Any, start: Any, method: str, only_relu: bool = False):
        self._image, self._method, self._only_relu = session.image, method, only_relu
        self._paths = places(session.model, session.trace)
        self._ids = [place.symbol.id for place in self._paths]
        self._constants: dict[int, np.ndarray] = {}
        self.gates: list[str] = []
        makers = _makers(start)
        self._active, self._varying = {self._image.id}, {symbol.id for symbol in session.trace.inputs}
        for maker, made in makers:
            for known in (self._active, self._varying):
                if any(getattr(value, "id", None) in known for value in maker.inputs):
                    known.update(symbol.id for symbol in made)
        if start.id not in self._active:
            raise ValueError("the score does not depend on the image")
        self.steps = self._fold(self._collect(makers, start), start)

    @property
    def layers(self) -> list[Layer]:
        return [step.layer for step in self.steps if step.layer is not None]

    def path(self, symbol: Any) -> str:
        """The layer that computes a symbol: the one whose output comes next."""
        at = bisect_left(self._ids, symbol.id)
        if at == len(self._ids):
            return ""
        return self._paths[bisect_right(self._ids, self._ids[at]) - 1].path

    def _collect(self, makers: list[tuple[Any, list[Any]]], start: Any) -> list[Step]:
        needed = {start.id}
        steps: list[Step] = []
        refused: dict[str, str] = {}
        for maker, made in reversed(makers):
            outputs = [symbol for symbol in made if symbol.id in needed]
            if not outputs:
                continue
            kind, where = self._kind(maker, outputs[0])
            if kind is None or len(outputs) > 1 or outputs[0].port:
                refused.setdefault(maker.op, self.path(outputs[0]))
                needed.update(v.id for v in maker.inputs if getattr(v, "id", None) in self._active)
                continue
            inputs = [maker.inputs[k] for k in where]
            steps.append(Step(kind, maker, where, inputs, outputs[0]))
            needed.update(symbol.id for symbol in inputs)
        if refused:
            listed = ", ".join(f"{op} ({path})" if path else op for op, path in refused.items())
            raise ValueError(
                f"{self._method} has no rule for {listed}. It fits networks of convolutions, dense layers, "
                "poolings, batch normalisation, "
                + ("ReLU" if self._only_relu else "activations of single values, gates")
                + ", residual addition and concatenation; saliency, integrated_gradients, smooth_grad and "
                "occlusion fit every network"
            )
        return steps[::-1]

    def _kind(self, maker: Any, output: Any) -> tuple[str | None, list[int]]:
        """The kind of a call and the places of the inputs that get its relevance; None: there is no rule."""
        op, inputs = maker.op, maker.inputs
        active = [k for k, v in enumerate(inputs) if v is not None and getattr(v, "id", None) in self._active]
        one = len(active) == 1
        rest = [v for k, v in enumerate(inputs) if v is not None and k not in active]
        fixed = not any(getattr(v, "id", None) in self._varying for v in rest)
        if op in WEIGHTED:
            good = active == [0] and fixed
            if op == "matmul":
                good = good and len(inputs[1].shape) == 2 and not maker.attributes["transpose_a"]
            return ("layer", active) if good else (None, [])
        if op in _PASS and one:
            return (None, []) if self._only_relu and op not in _UNBENT else ("pass", active)
        if op in ("batch_norm", "multiply", "divide", "negative") and one:
            return ("pass", active) if op == "multiply" or active == [0] else (None, [])
        if op in ("add", "subtract"):
            return ("pass" if one and fixed else "share", active)
        if op in ("maximum", "minimum"):
            return ("pass" if one else "route", active)
        if op == "multiply":
            signal = self._signal(inputs)
            if signal is None or self._only_relu:
                return None, []
            self.gates.append(self.path(output))
            return "pass", [signal]
        if op in _ROUTE and (op == "concat" or active == [0]):
            return "route", active
        if op in _SHARE and active == [0]:
            return "share", active
        return None, []

    def _signal(self, inputs: Sequence[Any]) -> int | None:
        """Which factor of a product is the signal; the other one is a gate."""
        gates = [_is_gate(v) for v in inputs]
        if gates[0] != gates[1]:
            return gates.index(False)
        shapes = [tuple(v.shape) for v in inputs]
        small = [
            len(shape) == 4 and shape[1:3] == (1, 1) and _source(v).op in (*_PASS, *WEIGHTED)
            for shape, v in zip(shapes, inputs, strict=True)
        ]
        if small[0] != small[1]:
            return small.index(False)
        return None

    def _value(self, given: Any) -> np.ndarray:
        """Of a weight, a constant or what is computed from them."""
        if getattr(given, "maker", None) is None:
            return np.asarray(given, np.float64)
        if given.id not in self._constants:
            self._constants[given.id] = np.asarray(_core.Program([], [given])()[0], np.float64)
        return self._constants[given.id]

    def _affine(self, step: Step) -> tuple[np.ndarray, np.ndarray] | None:
        """Scale and shift, () or (channels,), of a pass that multiplies or adds constants, or None."""
        maker = step.maker
        if maker.op == "batch_norm":
            mean, variance, *rest = [None if v is None else self._value(v) for v in maker.inputs[1:]]
            gamma, beta = [*rest, None, None][:2]
            scale = 1 / np.sqrt(variance + maker.attributes["epsilon"])
            scale = scale if gamma is None else gamma * scale
            return scale, (0 if beta is None else beta) - mean * scale
        if maker.op not in ("add", "subtract", "multiply", "divide"):
            return None
        other = maker.inputs[1 - step.places[0]]
        shape = tuple(other.shape)
        by_channel = all(side == 1 for side in shape[:-1]) and len(shape) <= len(step.output.shape)
        if getattr(other, "id", None) in self._varying or not by_channel:
            return None
        zero: np.ndarray = np.zeros(())
        value: np.ndarray = self._value(other)
        value = value.reshape(-1 if value.size > 1 else ())
        if value.ndim and value.size != step.inputs[0].shape[-1]:
            return None
        if maker.op == "subtract":
            return (zero + 1, -value) if step.places[0] == 0 else (zero - 1, value)
        if maker.op == "add":
            return zero + 1, value
        return (value if maker.op == "multiply" else 1 / value), zero

    def _fold(self, steps: list[Step], start: Any) -> list[Step]:
        """Makes the layers, and takes into them what stands beside them."""
        uses = Counter([symbol.id for step in steps for symbol in step.inputs] + [start.id])
        by_output: dict[int, Step] = {}
        gone: set[int] = set()
        weighted: set[int] = set()

        def before(symbol: Any, *ops: str) -> Step | None:
            """The step that makes a symbol for nobody else, if it is one of these ops."""
            step = by_output.get(symbol.id)
            good = step is not None and step.maker.op in ops and step.layer is None and uses[symbol.id] == 1
            return step if good else None

        for step in steps:
            if any(symbol.id in weighted for symbol in step.inputs) or step.kind == "layer":
                weighted.add(step.output.id)
            if step.kind == "pass":
                earlier = by_output.get(step.inputs[0].id)
                alone = earlier is not None and earlier.layer is not None and uses[step.inputs[0].id] == 1
                folded = self._affine(step) if alone and earlier is not None else None
                if folded is not None and earlier is not None and earlier.layer is not None:
                    earlier.layer.fold_after(*folded)
                    earlier.output = step.output
                    gone.add(id(step))
                    step = earlier
            elif step.kind == "layer":
                step.layer = layer = self._layer(step)
                border = before(layer.source, "pad")
                if border is not None and _is_border(border.maker):
                    given = border.maker.attributes
                    if layer.fold_border(border.inputs[0], given["before"], given["after"]):
                        gone.add(id(border))
                norm = before(layer.source, "batch_norm")
                if norm is not None:
                    layer.fold_before(norm.inputs[0], *self._both(norm))
                    gone.add(id(norm))
                flat = before(layer.source, "reshape") if layer.op == "dense" else None
                norm = None if flat is None else before(flat.inputs[0], "batch_norm")
                if flat is not None and norm is not None and None not in tuple(norm.output.shape)[1:]:
                    layer.fold_before(norm.inputs[0], *self._both(norm))
                    gone |= {id(flat), id(norm)}
                step.inputs = [layer.source]
                layer.first = layer.source.id not in weighted
            by_output[step.output.id] = step
        kept = [step for step in steps if id(step) not in gone]
        for step in kept:
            if step.kind in ("route", "share"):
                given = list(step.maker.inputs)
                for k, symbol in zip(step.places, step.inputs, strict=True):
                    given[k] = symbol
                step.piece = Piece(step.maker, given)
        return kept

    def _both(self, norm: Step) -> tuple[np.ndarray, np.ndarray]:
        folded = self._affine(norm)
        assert folded is not None
        return folded

    def _layer(self, step: Step) -> Layer:
        maker = step.maker
        kernel, *rest = [None if v is None else self._value(v) for v in maker.inputs[1:]]
        assert kernel is not None
        if maker.op == "matmul" and maker.attributes["transpose_b"]:
            kernel = kernel.T
        return Layer(self.path(step.output), maker, kernel, rest[0] if rest else None)


def _makers(start: Any) -> list[tuple[Any, list[Any]]]:
    """All calls that a symbol is computed from, in order, with those of their outputs that are used."""
    calls: dict[int, Any] = {}
    outputs: dict[int, dict[int, Any]] = {}
    stack = [start]
    while stack:
        symbol = stack.pop()
        maker = symbol.maker
        if maker is None:
            continue
        if maker.id not in calls:
            calls[maker.id], outputs[maker.id] = maker, {}
            stack += [value for value in maker.inputs if getattr(value, "maker", None) is not None]
        outputs[maker.id][symbol.id] = symbol
    return [(maker, list(outputs[key].values())) for key, maker in sorted(calls.items())]


def _is_border(maker: Any) -> bool:
    """Zeros around a map (n,h,w,c)."""
    given = maker.attributes
    sides = [*given["before"][::3], *given["after"][::3]]
    return (
        given["mode"] == "constant" and given["value"] == 0 and len(given["before"]) == 4 and not any(sides)
    )


def _source(symbol: Any) -> Any:
    """The call that makes a value before it was reshaped and multiplied by constants."""
    while True:
        maker = symbol.maker
        live = [v for v in maker.inputs if getattr(v, "maker", None) is not None]
        if maker.op not in _VIEWS or len(live) != 1:
            return maker
        symbol = live[0]


def _is_gate(symbol: Any) -> bool:
    """Made by sigmoid, by hard sigmoid, also when it is written as ReLU6(x + 3) / 6, or by softmax."""
    if getattr(symbol, "maker", None) is None:
        return False
    maker = _source(symbol)
    return maker.op in _GATES or (maker.op == "relu" and np.isfinite(maker.attributes["max_value"]))
