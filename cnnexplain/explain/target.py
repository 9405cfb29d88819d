"""The score that is explained: which output, which class, and where its gradient starts."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnexplain import _core

Score = str | Callable[[Any], Any]
SCORES = ("logit", "probability", "log_probability", "loss")
_VIEWS = ("identity", "reshape")


@dataclass
class Scored:
    """One batch with its classes chosen: (n,) arrays, and the gradient of the summed scores at `symbol`."""

    class_index: np.ndarray
    score: np.ndarray
    probability: np.ndarray
    symbol: Any
    seed: np.ndarray


class Target:
    """The explained output of a traced model.

    Attributes:
        output: the program's symbol of the output as the model gives it.
        logits: the symbol before softmax or sigmoid; the output itself when there is neither.
        kind: "softmax", "sigmoid" or "linear": what lies between the two.
        classes: how many; one unit counts as two classes, None when the output is no list of classes.
    """

    def __init__(self, output: Any, score: Score = "logit"):
        if not callable(score) and score not in SCORES:
            raise ValueError(
                f"`score` must be one of {', '.join(SCORES)} or a callable. Received: score={score!r}"
            )
        self.score = score
        self.output = output
        self.kind, self.logits = _head(output)
        shape = tuple(output.shape)
        flat = len(shape) == 2 or (len(shape) > 2 and all(side == 1 for side in shape[1:-1]))
        self.units = shape[-1] if flat else None
        if self.units is None and not callable(score):
            raise ValueError(
                "the explained output must be one score for each class, (n, classes). "
                f"Received: shape {shape}. Choose another with `output`, or give a callable as `score`"
            )
        self.classes = 2 if self.units == 1 else self.units

    def notes(self, class_index: Any) -> list[str]:
        """What the user should know about how the output was read."""
        if self.units == 1 and self.kind == "linear" and not callable(self.score) and class_index is None:
            return [
                "the output is one linear unit and was read as the logit of class 1; "
                "pass class_index=1 to explain its value"
            ]
        return []

    def choose(self, class_index: Any, count: int) -> np.ndarray | None:
        """The asked classes as (n,) int64, or None for each image's own arg max."""
        if class_index is None:
            return None
        if self.classes is None:
            raise ValueError(
                "`class_index` has no meaning for this output. Received: an output that is no list of classes"
            )
        if type(class_index) is int and 0 <= class_index < self.classes:
            return np.full(count, class_index, np.int64)
        given = np.asarray(class_index)
        if given.dtype.kind not in "iu" or given.ndim > 1:
            raise ValueError(
                "`class_index` must be None, an integer or one integer per image. "
                f"Received: class_index={class_index!r}"
            )
        if given.ndim == 1 and len(given) != count:
            raise ValueError(
                f"`class_index` must have one entry per image, {count}. Received: {len(given)} entries"
            )
        outside = (given < 0) | (given >= self.classes)
        if outside.any():
            bad = np.atleast_1d(given)[np.atleast_1d(outside)][0]
            raise ValueError(
                f"`class_index` must be between 0 and {self.classes - 1}. Received: class_index={bad}"
            )
        return np.broadcast_to(given.astype(np.int64), (count,))

    def fetches(self) -> list[Any]:
        """Symbols whose values `scored` reads."""
        return [self.output, self.logits] if self.logits.id != self.output.id else [self.output]

    def scored(self, instance: Any, asked: np.ndarray | None) -> Scored:
        """Chooses the classes of one batch that ran, and the seeds of their scores."""
        if self.units is None:
            output = np.asarray(instance.value(self.output))
            n = len(output)
            return self._of_callable(output, np.full(n, -1), np.full(n, np.nan))
        logits = np.asarray(instance.value(self.logits))
        z = logits.reshape(-1, self.units).astype(np.float64)
        chosen = asked
        if chosen is None:
            chosen = (z[:, 0] > 0).astype(np.int64) if self.units == 1 else z.argmax(1)
        apart = self.kind == "sigmoid" or self.units == 1
        logit, seed = class_logit(z, chosen)
        log_p = log_probability(z, logit, apart)
        probability = np.exp(log_p)
        if callable(self.score):
            return self._of_callable(np.asarray(instance.value(self.output)), chosen, probability)
        value = logit
        if self.score != "logit":
            seed = log_probability_slope(z, chosen, logit, seed, apart)
            value = {"probability": probability, "log_probability": log_p, "loss": -log_p}[self.score]
        if self.score == "probability":
            seed *= probability[:, None]
        elif self.score == "loss":
            seed *= -1
        return Scored(chosen, value, probability, self.logits, seed.reshape(logits.shape))

    def _of_callable(self, output: np.ndarray, chosen: np.ndarray, probability: np.ndarray) -> Scored:
        """The gradient of the user's own score at the output, on a tape of its own."""
        from cnnexplain.tape import GradientTape

        tensor = _core.tensor(output)
        with GradientTape() as tape:
            tape.watch(tensor)
            value = self.score(tensor)  # type: ignore[operator]
        if not hasattr(value, "shape") or not hasattr(value, "dtype"):
            raise TypeError(f"`score` must return a tensor. Received: {type(value).__name__}")
        gradient = tape.gradient(value, tensor)
        if gradient is None:
            raise ValueError(
                "`score` must be computed from the output tensor it is given. Received: one that is not"
            )
        scores = np.asarray(value, np.float64)
        n = len(output)
        if scores.shape[:1] == (n,):
            scores = scores.reshape(n, -1).sum(1)
        elif scores.size == 1:
            scores = np.full(n, scores.reshape(()))
        else:
            raise ValueError(
                f"`score` must return one number or one per image, ({n},). Received: shape={scores.shape}"
            )
        return Scored(chosen, scores, probability, self.output, np.asarray(gradient))


def class_logit(z: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logit of each row's class (n,), and its gradient at z.

    Args:
        z: (n, units) float64. One unit is the logit of class 1; its negative that of class 0.
        chosen: (n,) the classes.
    """
    if z.shape[1] == 1:
        sign = np.where(chosen == 1, 1.0, -1.0)
        return sign * z[:, 0], sign[:, None]
    rows = np.arange(len(z))
    slope = np.zeros(z.shape)
    slope[rows, chosen] = 1
    return z[rows, chosen], slope


def log_probability(z: np.ndarray, logit: np.ndarray, apart: bool) -> np.ndarray:
    """The log of the probability of the class that has this logit, (n,).

    Args:
        z, logit: (n, units) and (n,).
        apart: each unit has a probability of its own (sigmoid), or else they share one (softmax).
    """
    return -np.logaddexp(0, -logit) if apart else logit - np.logaddexp.reduce(z, axis=1)


def log_probability_slope(
    z: np.ndarray, chosen: np.ndarray, logit: np.ndarray, slope: np.ndarray, apart: bool
) -> np.ndarray:
    """The gradient of `log_probability` at z; `slope` is that of the logit."""
    if apart:
        return slope * np.exp(-np.logaddexp(0, logit))[:, None]
    rows = np.arange(len(z))
    made = -np.exp(z - np.logaddexp.reduce(z, axis=1)[:, None])
    # 1 - p_c as the sum of the other probabilities: exact also where p_c rounds to 1
    made[rows, chosen] = 0
    made[rows, chosen] = -made.sum(1)
    return made


def _head(output: Any) -> tuple[str, Any]:
    """What makes the output from its logits, and the logits."""
    symbol = output
    while True:
        maker = symbol.maker
        if symbol.logits is not None:
            kind = "sigmoid" if maker is not None and maker.op == "sigmoid" else "softmax"
            return kind, symbol.logits
        if maker is None or maker.op not in (*_VIEWS, "log_softmax"):
            return "linear", output
        if maker.op == "log_softmax":
            return "softmax", maker.inputs[0]
        symbol = maker.inputs[0]


def choose_output(outputs: Sequence[Any], names: Sequence[str], which: Any) -> int:
    """Which of the model's outputs is explained: the only one, or the one named by name or index."""
    if which is None and len(outputs) == 1:
        return 0
    listed = ", ".join(
        f"{i}: {name!r} {tuple(o.shape)}" for i, (name, o) in enumerate(zip(names, outputs, strict=True))
    )
    if which is None:
        raise ValueError(f"`output` must say which output is explained. Outputs: {listed}")
    if isinstance(which, str):
        if list(names).count(which) == 1:
            return list(names).index(which)
    else:
        try:
            index = operator.index(which)
        except TypeError:
            index = -1
        if not isinstance(which, bool) and 0 <= index < len(outputs):
            return index
    raise ValueError(
        f"`output` must be one of the model's outputs. Received: output={which!r}. Outputs: {listed}"
    )
