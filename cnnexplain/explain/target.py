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
        output = np.asarray(instance.value(self.output))
        n, units = len(output), self.units
        if units is None:
            return self._of_callable(output, np.full(n, -1), np.full(n, np.nan))
        z = np.asarray(instance.value(self.logits)).reshape(n, units).astype(np.float64)
        chosen = asked
        if chosen is None:
            chosen = (z[:, 0] > 0).astype(np.int64) if units == 1 else z.argmax(1)
        logit, dlogit, log_p, dlog_p = class_terms(z, chosen, self.kind == "sigmoid" or units == 1)
        probability = np.exp(log_p)
        if callable(self.score):
            return self._of_callable(output, chosen, probability)
        value, seed = {
            "logit": (logit, dlogit),
            "probability": (probability, dlog_p * probability[:, None]),
            "log_probability": (log_p, dlog_p),
            "loss": (-log_p, -dlog_p),
        }[self.score]
        shape = (n, *tuple(self.logits.shape)[1:])
        return Scored(chosen, value, probability, self.logits, seed.reshape(shape))

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


def class_terms(
    z: np.ndarray, chosen: np.ndarray, apart: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The logit of each row's class and the log of its probability (n,), each followed by its gradient at z.

    Args:
        z: (n, units) float64. One unit is the logit of class 1; its negative that of class 0.
        chosen: (n,) the classes.
        apart: each unit has a probability of its own (sigmoid), or else they share one (softmax).
    """
    rows = np.arange(len(z))
    dlogit = np.zeros_like(z)
    if z.shape[1] == 1:
        dlogit[:, 0] = np.where(chosen == 1, 1, -1)
    else:
        dlogit[rows, chosen] = 1
    logit = (dlogit * z).sum(1)
    if apart:
        return logit, dlogit, -np.logaddexp(0, -logit), dlogit * np.exp(-np.logaddexp(0, logit))[:, None]
    total = np.logaddexp.reduce(z, axis=1)
    dlog_p = -np.exp(z - total[:, None])
    # 1 - p_c as the sum of the other probabilities: exact also where p_c rounds to 1
    dlog_p[rows, chosen] = 0
    dlog_p[rows, chosen] = -dlog_p.sum(1)
    return logit, dlogit, logit - total, dlog_p


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
    listed = ", ".join(
        f"{i}: {name!r} {tuple(o.shape)}" for i, (name, o) in enumerate(zip(names, outputs, strict=True))
    )
    if which is None:
        if len(outputs) > 1:
            raise ValueError(f"`output` must say which output is explained. Outputs: {listed}")
        return 0
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
