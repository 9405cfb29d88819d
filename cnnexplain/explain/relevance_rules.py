"""The rules by which a layer with weights hands relevance to its inputs.

In all of them x is the layer's input, w its kernel and b its bias after folding, z_j the sum of output j, and
st(z) = z + epsilon sign(z), sign(0) = 1. w+ = max(w, 0), w- = min(w, 0), and so for x and b.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .relevance_layers import NEGATIVE, PLAIN, POSITIVE, Layer, Way

Shared = tuple[np.ndarray, np.ndarray]
"""Relevance of the inputs, and (n,) what the biases took."""


def quotient(relevance: np.ndarray, z: np.ndarray, epsilon: float) -> np.ndarray:
    """R / st(z); 0 where both z and epsilon are 0."""
    below = z + np.where(z >= 0, epsilon, -epsilon).astype(z.dtype)
    return np.divide(relevance, below, out=np.zeros_like(below), where=below != 0)


def per_image(values: np.ndarray) -> np.ndarray:
    """(n,) sums in float64."""
    return values.reshape(len(values), -1).sum(1, dtype=np.float64)


def _share(
    layer: Layer,
    relevance: np.ndarray,
    parts: Sequence[tuple[np.ndarray, Way]],
    bias: np.ndarray | None,
    epsilon: float,
    multiply: bool = True,
) -> Shared:
    """sum_j x_i w_ij R_j / st(sum_i x_i w_ij + b_j) over parts (x, way of w); `multiply`: by x_i, or not."""
    runs = [(x, *layer.forward(x, way)) for x, way in parts if x.any() or len(parts) == 1]
    z = sum((value for _, value, _ in runs), start=np.zeros_like(relevance))
    if bias is not None:
        z = z + bias
    s = quotient(relevance, z, epsilon)
    total = np.zeros_like(parts[0][0])
    for x, _, run in runs:
        back = layer.back(run, s)
        total += x * back if multiply else back
    return total, np.zeros(len(s)) if bias is None else per_image(s * bias)


@dataclass(frozen=True)
class Rule:
    """How a layer shares its outputs' relevance among its inputs."""

    def share(self, layer: Layer, x: np.ndarray, relevance: np.ndarray) -> Shared:
        """Relevance of x, and (n,) what the biases took."""
        raise NotImplementedError

    def bind(self, layer: Layer, bounds: Callable[[Any, Any], Shared]) -> Rule:
        """The rule for one layer; `bounds` gives the values that low and high have at its input."""
        return self

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("low", "high") or isinstance(value, bool):
                continue
            try:
                good = np.isfinite(float(value)) and float(value) >= 0 and not isinstance(value, str)
            except (TypeError, ValueError):
                good = False
            if not good:
                raise ValueError(
                    f"`{field.name}` must be a finite number of 0 or more. Received: {field.name}={value!r}"
                )


@dataclass(frozen=True)
class Epsilon(Rule):
    """R_i = sum_j x_i w_ij / st(z_j) R_j, z_j = sum_i x_i w_ij + b_j. Bach et al. 2015, PLOS ONE 10(7).

    epsilon=0 is the rule called LRP-0. bias=False leaves b out, as in every rule.

    >>> import cnnexplain as cx
    >>> cx.explain.relevance_rules.Epsilon(0.01)
    Epsilon(epsilon=0.01, bias=True)
    """

    epsilon: float = 1e-6
    bias: bool = True

    def share(self, layer: Layer, x: np.ndarray, relevance: np.ndarray) -> Shared:
        bias = layer.bias(x, PLAIN) if self.bias else None
        return _share(layer, relevance, [(x, PLAIN)], bias, self.epsilon)


@dataclass(frozen=True)
class ZPlus(Rule):
    """R_i = sum_j (x_i w_ij)+ / st(sum_i (x_i w_ij)+ + b_j+) R_j: what speaks for output j.

    alpha-beta with alpha=1, beta=0. Bach et al. 2015; Montavon et al. 2017, arXiv 1512.02479.
    """

    epsilon: float = 1e-6
    bias: bool = True

    def share(self, layer: Layer, x: np.ndarray, relevance: np.ndarray) -> Shared:
        bias = layer.bias(x, POSITIVE) if self.bias else None
        parts = [(np.maximum(x, 0), POSITIVE), (np.minimum(x, 0), NEGATIVE)]
        return _share(layer, relevance, parts, bias, self.epsilon)


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """R_i = sum_j (alpha (x_i w_ij)+ / st(z_j+) - beta (x_i w_ij)- / st(z_j-)) R_j, alpha - beta = 1.

    z_j+ is the sum of the positive products and b_j+, z_j- that of the negative ones and b_j-. Bach et al.
    2015.
    """

    alpha: float = 2.0
    beta: float = 1.0
    epsilon: float = 1e-6
    bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if abs(self.alpha - self.beta - 1) > 1e-9:
            raise ValueError(
                f"`alpha` - `beta` must be 1. Received: alpha={self.alpha!r}, beta={self.beta!r}"
            )

    def share(self, layer: Layer, x: np.ndarray, relevance: np.ndarray) -> Shared:
        high, low = np.maximum(x, 0), np.minimum(x, 0)
        total, taken = np.zeros_like(x), np.zeros(len(x))
        for rate, ways, sign in (
            (self.alpha, (POSITIVE, NEGATIVE), POSITIVE),
            (-self.beta, (NEGATIVE, POSITIVE), NEGATIVE),
        ):
            if rate:
                bias = layer.bias(x, sign) if self.bias else None
                parts = list(zip((high, low), ways, strict=True))
                share, bias_share = _share(layer, relevance, parts, bias, self.epsilon)
                total += x.dtype.type(rate) * share
                taken += rate * bias_share
        return total, taken


@dataclass(frozen=True)
class Gamma(Rule):
    """R_i = sum_j x_i (w_ij + gamma w_ij+) / st(z_j) R_j, z_j the sum of these products and b_j + gamma b_j+.

    For inputs of both signs the products of the sum's own sign are favoured: those with the sign of z_j as
    the layer computes it get the factor 1 + gamma. Montavon et al. 2019 (LRP: an overview); Andeol et al.
    2021.
    """

    gamma: float = 0.25
    epsilon: float = 1e-6
    bias: bool = True

    def share(self, layer: Layer, x: np.ndarray, relevance: np.ndarray) -> Shared:
        more = 1 + self.gamma
        up, down = (more, 1.0), (1.0, more)
        high, low = np.maximum(x, 0), np.minimum(x, 0)
        z = layer.forward(x, PLAIN)[0] + layer.bias(x, PLAIN)
        total, taken = np.zeros_like(x), np.zeros(len(x))
        for here, ways in ((z > 0, (up, down)), (z < 0, (down, up))):
            bias = layer.bias(x, ways[0]) if self.bias else None
            parts = list(zip((high, low), ways, strict=True))
            share, bias_share = _share(layer, relevance * here, parts, bias, self.epsilon)
            total += share
            taken += bias_share
        return total, taken


@dataclass(frozen=True)
class Flat(Rule):
    """R_i = sum_j 1 / (number of inputs of j) R_j: every input the same. For the first layer.

    Lapuschkin et al. 2019, arXiv 1902.10178.
    """

    epsilon: float = 1e-6

    def share(self, layer: Layer, x: np.ndarray, relevance: np.ndarray) -> Shared:
        return _share(layer, relevance, [(np.ones_like(x), "ones")], None, self.epsilon, multiply=False)


@dataclass(frozen=True)
class WSquare(Rule):
    """R_i = sum_j w_ij^2 / (sum_i w_ij^2 + b_j^2) R_j. For a first layer of unbounded inputs.

    The paper has no bias: bias=False, which deep Taylor decomposition uses. Montavon et al. 2017, arXiv
    1512.02479.
    """

    epsilon: float = 1e-6
    bias: bool = True

    def share(self, layer: Layer, x: np.ndarray, relevance: np.ndarray) -> Shared:
        bias = layer.bias(x, "square") if self.bias else None
        return _share(layer, relevance, [(np.ones_like(x), "square")], bias, self.epsilon, multiply=False)


@dataclass(frozen=True, eq=False)
class ZBox(Rule):
    """R_i = sum_j (x_i w_ij - l_i w_ij+ - h_i w_ij-) / st(sum_i ...) R_j, for inputs between l and h.

    For the first layer. low and high are in the values that the model takes: numbers, arrays (C,) or (H,W,C),
    or "black" and "white" where the preprocessing is known. Montavon et al. 2017, arXiv 1512.02479.
    """

    low: Any = "black"
    high: Any = "white"
    epsilon: float = 1e-6

    def bind(self, layer: Layer, bounds: Callable[[Any, Any], Shared]) -> Rule:
        if not layer.first:
            raise ValueError(
                f"the rule z_box is for a first layer, whose input is the image. "
                f"Received: layer {layer.path!r}"
            )
        return ZBox(*bounds(self.low, self.high), self.epsilon)

    def share(self, layer: Layer, x: np.ndarray, relevance: np.ndarray) -> Shared:
        low, high = (np.broadcast_to(bound, x.shape).astype(x.dtype) for bound in (self.low, self.high))
        parts = [(x, PLAIN, 1), (low, POSITIVE, -1), (high, NEGATIVE, -1)]
        runs = [(values, sign, *layer.forward(values, way)) for values, way, sign in parts]
        z = sum((sign * value for _, sign, value, _ in runs), start=np.zeros_like(relevance))
        s = quotient(relevance, z, self.epsilon)
        total = np.zeros_like(x)
        for values, sign, _, run in runs:
            total += sign * values * layer.back(run, s)
        return total, np.zeros(len(x))


RULES: dict[str, type[Rule]] = {
    "epsilon": Epsilon,
    "z_plus": ZPlus,
    "gamma": Gamma,
    "alpha_beta": AlphaBeta,
    "flat": Flat,
    "w_square": WSquare,
    "z_box": ZBox,
}


@dataclass(frozen=True)
class Composite:
    """A rule for each kind of layer.

    Attributes:
        convolution: for convolutions: plain, depthwise and transposed.
        dense: for dense layers.
        first: for the layers with weights nearest to the image, of both kinds; None: as for the others.
    """

    convolution: Any = "z_plus"
    dense: Any = "epsilon"
    first: Any = None

    def rule(self, layer: Layer) -> Rule:
        """The rule of a layer."""
        if layer.first and self.first is not None:
            return rule_of(self.first)
        return rule_of(self.dense if layer.op == "dense" else self.convolution)


COMPOSITES: dict[str, Composite] = {
    "epsilon_plus": Composite(ZPlus(), Epsilon()),
    "epsilon_plus_flat": Composite(ZPlus(), Epsilon(), Flat()),
    "epsilon_alpha2_beta1": Composite(AlphaBeta(2, 1), Epsilon()),
    "epsilon_alpha2_beta1_flat": Composite(AlphaBeta(2, 1), Epsilon(), Flat()),
    "epsilon_gamma_box": Composite(Gamma(), Epsilon(), ZBox()),
}


def rule_of(given: Any) -> Rule:
    """A rule from its name or from itself."""
    if isinstance(given, Rule) and type(given) is not Rule:
        return given
    if isinstance(given, str) and given in RULES:
        return RULES[given]()
    raise ValueError(
        f"a rule must be one of {', '.join(RULES)}, or an object of explain.relevance_rules such as "
        f"Epsilon(0.01). Received: {given!r}"
    )


def composite_of(given: Any) -> Composite:
    """A composite from its name, from itself, or from one rule for all layers."""
    if isinstance(given, Composite):
        return given
    if isinstance(given, str) and given in COMPOSITES:
        return COMPOSITES[given]
    try:
        rule = rule_of(given)
    except ValueError:
        raise ValueError(
            f"`rule` must be a composite ({', '.join(COMPOSITES)}), a rule ({', '.join(RULES)}) or an "
            f"object of explain.relevance_rules. Received: rule={given!r}"
        ) from None
    return Composite(rule, rule)
