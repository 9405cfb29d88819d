"""Muon: momentum made orthogonal for matrices, Adam for everything else."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from .rule import Rule


class Muon(Rule):
    """For matrices the momentum's nearest orthogonal matrix is the step, found by Newton-Schulz iterations;
    other variables take Adam's steps.

    Args:
        learning_rate: Step size.
        adam_beta_1, adam_beta_2, epsilon: Adam's, for other variables.
        adam_weight_decay: Weight decay of other variables.
        weight_decay: Weight decay of matrices.
        exclude_layers: Patterns of paths of matrices that take Adam's steps.
        exclude_embeddings: Whether variables of embeddings take Adam's steps.
        muon_a, muon_b, muon_c: x = a x + (b x x' + c (x x')^2) x is an iteration.
        adam_lr_ratio: Adam's rate is this times the learning rate.
        momentum: Share of the sum of gradients that is kept.
        ns_steps: Iterations.
        nesterov: Whether the step looks one momentum ahead.
        rms_rate: A step has this root mean square; None: as the iterations leave it.

    The other arguments are those of every optimizer, see `Optimizer`.

    Paper: Jordan et al., 2024; Liu et al., 2025, Muon is scalable for LLM training.

    >>> from cnnexplain import Variable, keras
    >>> w = Variable([[1.0, 2.0]])
    >>> keras.optimizers.Muon(0.5).apply([[[3.0, -7.0]]], [w])
    >>> w.numpy().round(1)
    array([[1. , 2.1]], dtype=float32)
    """

    _own = (
        "adam_beta_1", "adam_beta_2", "epsilon", "exclude_layers", "muon_a", "muon_b", "muon_c",
        "adam_lr_ratio", "momentum", "ns_steps", "nesterov", "exclude_embeddings",
        "adam_weight_decay", "rms_rate",
    )  # fmt: skip
    adam_beta_1: float
    adam_beta_2: float
    epsilon: float
    exclude_layers: list
    muon_a: float
    muon_b: float
    muon_c: float
    adam_lr_ratio: float
    momentum: float
    ns_steps: int
    nesterov: bool
    exclude_embeddings: bool
    adam_weight_decay: float | None
    rms_rate: float | None

    def __init__(
        self, learning_rate: Any = 0.001, adam_beta_1: float = 0.9, adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004, epsilon: float = 1e-7, weight_decay: float | None = 0.004,
        clipnorm: float | None = None, clipvalue: float | None = None, global_clipnorm: float | None = None,
        use_ema: bool = False, ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None,
        name: str | None = None, exclude_layers: list | None = None, exclude_embeddings: bool = True,
        muon_a: float = 3.4445, muon_b: float = -4.7750, muon_c: float = 2.0315, adam_lr_ratio: float = 1,
        momentum: float = 0.95, ns_steps: int = 5, nesterov: bool = True, rms_rate: float | None = 0.2,
        **kwargs: Any,
    ):  # fmt: skip
        self._take(locals())
        self.exclude_layers = exclude_layers or []

    def _by_adam(self, variable: Any) -> bool:
        path = str(getattr(variable, "path", variable.name))
        return (
            len(variable.shape) != 2
            or (self.exclude_embeddings and "embedding" in path.lower())
            or any(re.search(pattern, path) for pattern in self.exclude_layers)
        )

    def _decay_of(self, variable: Any) -> float | None:
        if not self._use_weight_decay(variable):
            return None
        return self.adam_weight_decay if self._by_adam(variable) else self.weight_decay

    def build(self, variables: Any) -> None:
        """Makes the states for these variables; called by the first step."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        for states, variable in zip(self._states, variables, strict=True):
            names = ("momentum", "velocity") if self._by_adam(variable) else ("momentum",)
            states.extend(self.add_variable_from_reference(variable, name) for name in names)

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        if len(s) == 2:
            rate *= self.adam_lr_ratio
            alpha = rate * math.sqrt(1 - self.adam_beta_2**step) / (1 - self.adam_beta_1**step)
            s[0] = s[0] + (g - s[0]) * (1 - self.adam_beta_1)
            s[1] = s[1] + (np.square(g) - s[1]) * (1 - self.adam_beta_2)
            return w - s[0] * alpha / (np.sqrt(s[1]) + self.epsilon)
        s[0] = s[0] + g + s[0] * (self.momentum - 1)
        move = rate * self._orthogonal(g + self.momentum * s[0] if self.nesterov else s[0])
        if self.rms_rate is not None:
            move = move * math.sqrt(max(w.shape)) * self.rms_rate
        return w - move

    def _orthogonal(self, x: Any) -> Any:
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / (np.sqrt(np.sum(np.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return x.T if tall else x
