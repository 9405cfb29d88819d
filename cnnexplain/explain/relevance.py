"""Layer-wise relevance propagation: a score handed back to the pixels, layer by layer, and deep Taylor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import Shared, method, open_session
from .explanation import Explanation
from .image_space import bound
from .layers import said_by
from .relevance_layers import Layer
from .relevance_rules import (
    COMPOSITES,
    Composite,
    Rule,
    WSquare,
    ZBox,
    ZPlus,
    composite_of,
    per_image,
    quotient,
    rule_of,
)
from .relevance_steps import Step, Way
from .session import Collector, Session
from .target import Scored

if TYPE_CHECKING:
    from typing_extensions import Unpack

_STARTS = ("score", "one")
_EPSILON = 1e-6  # of what is added without weights: poolings and residual additions


@method
def lrp(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    rule: Any = "epsilon_plus",
    rules: Mapping[Any, Any] | None = None,
    start: str = "score",
    **shared: Unpack[Shared],
) -> Explanation:
    """Layer-wise relevance propagation: the score, shared out from layer to layer down to the pixels.

    Every layer with weights shares its outputs' relevance R_j among its inputs by a rule, in the simplest one
    R_i = sum_j x_i w_ij / z_j R_j. Batch normalisation, constants added or multiplied by channel and borders
    of zeros are folded into the layer beside them first; normalisation that has none passes relevance
    through, as every operation on single values does (activations, constants, local response normalisation).
    Max pooling, concatenation and slices hand relevance to where the value came from; average pooling and
    residual additions share it in proportion to what was added. Of a product of a signal and a gate
    (squeeze-and-excite) the signal gets all (Arras et al., arXiv 1706.07206), and a warning says so. Other
    operations (attention, recurrent layers, layer normalisation) are refused by name. Bach et al. 2015, PLOS
    ONE 10(7); rules, composites and defaults as in zennit (arXiv 2106.13200), which starts from one.

    What the biases and the rules' epsilon take, what reaches sums that are zero and what goes to other inputs
    of the model is the residue: it and the relevance at the image are together the relevance at the start. In
    a network without biases whose sums are large against epsilon, the residue is below 1e-4 of the start.

    Args:
        rule: for all layers: a composite ("epsilon_plus": z_plus for convolutions, epsilon for dense layers;
            "epsilon_alpha2_beta1"; both also with "_flat" behind for the flat rule in the first layer;
            "epsilon_gamma_box"), a rule ("epsilon", "z_plus", "gamma", "alpha_beta", "flat", "w_square",
            "z_box") or an object of `explain.relevance_rules`, such as Gamma(0.1) or Composite(first="flat").
        rules: rules for single layers: name, "outer/inner", index or layer to a rule.
        start: "score": relevance starts as what is explained, the logit; "one": as 1. For other scores the
            gradient of the score at the logits takes the place of 1, and times the logits that of the logit.

    Returns:
        An Explanation; `raw` is the relevance (n,H,W,C) with its sign, `map` the positive part of its sum
        over channels, divided by the maximum. `steps` has the relevance that leaves each layer's outputs,
        added over channels, and (n,) "relevance at the start", "relevance at the image", "residue" and "taken
        by biases"; `parameters["rules"]` each layer's rule.

    Raises:
        ValueError: the model has operations without a rule, no such rule, layer, class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.lrp(network, np.ones((28, 28)), class_index=7, rule="epsilon")
    >>> e.raw.shape, list(e.parameters["rules"])
    ((1, 28, 28, 1), ['conv2d', 'conv2d_1', 'conv2d_2', 'conv2d_3', 'dense'])
    """
    if start not in _STARTS:
        raise ValueError(f"`start` must be one of {', '.join(_STARTS)}. Received: start={start!r}")
    if "composite" in shared:
        given = dict(shared)["composite"]
        raise TypeError(
            f"lrp() takes composites as `rule`: {', '.join(COMPOSITES)}. Received: composite={given!r}"
        )
    composite = composite_of(rule)
    if rules is not None and not isinstance(rules, Mapping):
        raise TypeError(f"`rules` must be a dict of layers and rules. Received: {type(rules).__name__}")
    session = open_session("lrp", model, images, class_index, shared)
    way = Way(session, _start_symbol(session), "lrp")
    chosen = _chosen(session, way, composite, rules or {}, shared.get("preprocess"))
    return _explain(session, way, chosen, "lrp", start, rule=rule if isinstance(rule, str) else repr(rule))


@method
def deep_taylor(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    low: Any = None,
    high: Any = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """Deep Taylor decomposition: of a positive score, relevance by z_plus without biases in every layer.

    R_i = sum_j (x_i w_ij)+ / sum_i (x_i w_ij)+ R_j; in the first layer the z_box rule where the images'
    bounds are given or known from the preprocessing, else w_square. The other operations are treated as by
    `lrp`, which has the rules for everything else. For networks whose only activation is ReLU. Relevance
    starts as max(score, 0) and is conserved. Montavon et al. 2017, arXiv 1512.02479.

    Args:
        low: the least that a pixel can be in the values that the model takes: a number, an array (C,) or
            (H,W,C), "black" or "white". None: what the preprocessing says, if anything does.
        high: the most.

    Returns:
        An Explanation as `lrp` gives it; no relevance is negative.

    Raises:
        ValueError: the model has other activations or operations without a rule, one of `low` and `high` is
            missing, or no such class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.deep_taylor(network, np.eye(28), low=0, high=1)
    >>> bool((e.raw >= 0).all()), e.parameters["rules"]["conv2d"][:4]
    (True, 'ZBox')
    """
    if (low is None) != (high is None):
        raise ValueError(f"`low` and `high` must be given together. Received: low={low!r}, high={high!r}")
    session = open_session("deep_taylor", model, images, class_index, shared)
    way = Way(session, _start_symbol(session), "deep_taylor", only_relu=True)
    preprocess = shared.get("preprocess")
    first: Rule = WSquare(bias=False)
    if low is not None:
        first = ZBox(low, high)
    elif preprocess is not None or said_by(session.model, "preprocess") is not None:
        first = ZBox()
    hidden = ZPlus(bias=False)
    chosen = _chosen(session, way, Composite(hidden, hidden, first), {}, preprocess)
    return _explain(session, way, chosen, "deep_taylor", "positive")


def _start_symbol(session: Session) -> Any:
    target = session.target
    return target.output if callable(target.score) else target.logits


def _chosen(
    session: Session, way: Way, composite: Composite, rules: Mapping[Any, Any], preprocess: Any
) -> list[tuple[Layer, str, Rule]]:
    """Each layer with a name of its own and its rule."""
    layers = way.layers
    given = {_path(session.model, layer): rule_of(rule) for layer, rule in rules.items()}
    paths = [layer.path for layer in layers]
    for path in given:
        if not any(_named(path, other) for other in paths):
            raise ValueError(
                f"`rules` must name layers with weights between the image and the score. Received: {path!r}. "
                f"There are: {', '.join(dict.fromkeys(paths))}"
            )

    def bounds(low: Any, high: Any) -> tuple[np.ndarray, np.ndarray]:
        return tuple(
            bound(session, name, value, preprocess) for name, value in (("low", low), ("high", high))
        )  # type: ignore[return-value]

    often, met = Counter(paths), Counter[str]()
    chosen = []
    for layer in layers:
        met[layer.path] += 1
        name = f"{layer.path} {met[layer.path]}" if often[layer.path] > 1 else layer.path
        rule = next((r for path, r in given.items() if _named(path, layer.path)), None)
        chosen.append((layer, name, (rule or composite.rule(layer)).bind(layer, bounds)))
    return chosen


def _path(model: Any, layer: Any) -> str:
    if isinstance(layer, str):
        return layer
    if hasattr(layer, "name"):
        return layer.name
    count = len(model.layers)
    if isinstance(layer, (int, np.integer)) and not isinstance(layer, bool) and -count <= layer < count:
        return model.layers[layer].name
    raise ValueError(
        f"`rules` must name layers by name, index between {-count} and {count - 1} or layer. "
        f"Received: {layer!r}"
    )


def _named(given: str, path: str) -> bool:
    return path == given or path.rsplit("/", 1)[-1] == given


class _Run:
    """One batch: relevance from the start to the image."""

    def __init__(self, session: Session, part: slice, instance: Any, steps: dict[int, Any]):
        self.session, self.part, self.instance = session, part, instance
        self.rules = steps
        self.relevance: dict[int, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}
        self.taken = np.zeros(part.stop - part.start)

    def value(self, symbol: Any) -> np.ndarray:
        return np.asarray(self.instance.value(symbol))

    def add(self, symbol: Any, relevance: np.ndarray) -> None:
        old = self.relevance.get(symbol.id)
        self.relevance[symbol.id] = relevance if old is None else old + relevance

    def hand_on(self, step: Step) -> None:
        """The relevance of a step's output to its inputs."""
        relevance = self.relevance.pop(step.output.id, None)
        if relevance is None:
            return
        if step.layer is not None:
            name, rule = self.rules[id(step)]
            self.outputs[name] = relevance.sum(-1) if relevance.ndim > 2 else relevance
            x = self.value(step.layer.source)
            share, taken = self._bounded(rule, step).share(step.layer, x, relevance)
            self.taken += taken
            self.add(step.layer.source, share)
            return
        if step.piece is None:
            self.add(step.inputs[0], relevance)
            return
        values = {k: self.value(symbol) for k, symbol in step.piece.fed}
        output, run = step.piece.run(values)
        s = relevance if step.kind == "route" else quotient(relevance, output, _EPSILON)
        for k, symbol, back in zip(
            step.places, step.inputs, step.piece.back(run, s, step.places), strict=True
        ):
            self.add(symbol, back if step.kind == "route" else values[k] * back)

    def _bounded(self, rule: Rule, step: Step) -> Rule:
        """A z_box with what the bounds of the image are at the layer's input."""
        session, layer = self.session, step.layer
        if not isinstance(rule, ZBox) or layer is None:
            return rule
        ends = []
        for end in (rule.low, rule.high):
            end = end if len(end) == 1 else end[self.part]
            if layer.source.id != session.image.id:
                shape = (self.part.stop - self.part.start, *end.shape[1:])
                whole = np.broadcast_to(end, shape).copy()
                fed = [
                    (symbol, whole if symbol.id == session.image.id else self.value(symbol))
                    for symbol in session.trace.inputs
                ]
                made = session.trace.program.run(fed, [layer.source], track=False)
                end = np.asarray(made.value(layer.source))
            ends.append(end)
        return ZBox(np.minimum(*ends), np.maximum(*ends), rule.epsilon)


def _explain(
    session: Session,
    way: Way,
    chosen: list[tuple[Layer, str, Rule]],
    name: str,
    start: str,
    **parameters: Any,
) -> Explanation:
    image = session.image
    by_layer = {id(layer): (label, rule) for layer, label, rule in chosen}
    rules = {id(step): by_layer[id(step.layer)] for step in way.steps if step.layer is not None}
    needed = [step.layer.source for step in way.steps if step.layer is not None]
    needed += [symbol for step in way.steps if step.piece is not None for _, symbol in step.piece.fed]
    got = Collector()
    for part, instance, scored in session.batches([_start_symbol(session), *needed, *session.trace.inputs]):
        run = _Run(session, part, instance, rules)
        beginning = _beginning(run, scored, start)
        run.add(scored.symbol, beginning)
        with np.errstate(over="ignore", invalid="ignore"):
            for step in reversed(way.steps):
                run.hand_on(step)
            raw = run.relevance[image.id]
            _check_finite(raw, part, name)
        started, arrived = per_image(beginning), per_image(raw)
        sums = {
            "relevance at the start": started,
            "relevance at the image": arrived,
            "residue": started - arrived,
            "taken by biases": run.taken,
        }
        layers = {f"relevance at {label}": values for label, values in run.outputs.items()}
        got.add(scored, raw=raw, **layers, **sums)
    raw = got["raw"]
    total = raw.sum(3)
    if way.gates:
        session.notes.append((f"gates get no relevance, the signal takes all: {', '.join(way.gates)}", None))
    maps = session.finish(
        np.maximum(total, 0), got.scored.class_index, "no pixel has positive relevance for {}"
    )
    steps = {key: got[key] for key in (*layers, "raw", *sums)}
    steps = {"relevance of each channel" if key == "raw" else key: value for key, value in steps.items()}
    return session.explanation(
        got.scored,
        maps,
        raw,
        method=name,
        layer=None,
        steps={**steps, "sum over channels": total},
        formula="R_i = sum_j share_ij R_j, layer by layer",
        start=start,
        rules={label: _shown(rule) for _, label, rule in chosen},
        **parameters,
    )


def _beginning(run: _Run, scored: Scored, start: str) -> np.ndarray:
    symbol = scored.symbol
    seed = np.asarray(scored.seed, symbol.dtype.as_numpy_dtype)
    relevance = seed if start == "one" else seed * run.value(symbol)
    return np.maximum(relevance, 0) if start == "positive" else relevance


def _shown(rule: Rule) -> str:
    """A rule as text; a box by the range of its bounds."""
    if isinstance(rule, ZBox):
        return f"ZBox(low={np.min(rule.low):g}, high={np.max(rule.high):g}, epsilon={rule.epsilon!r})"
    return repr(rule)


def _check_finite(raw: np.ndarray, part: slice, name: str) -> None:
    bad = ~np.isfinite(raw.reshape(len(raw), -1)).all(1)
    if bad.any():
        raise ValueError(
            f"{name} overflows {raw.dtype} at image {part.start + int(bad.argmax())}: values or "
            "relevance are too large. Scale the images as in training, or pass dtype='float64'"
        )
