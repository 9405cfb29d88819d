"""The score that is explained: which output, which class or word, and where its gradient starts.

A class is a number. A word of a caption has a position too: the two are one number, position * vocabulary +
word, until an Explanation tells them apart.
"""

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
_NONE, _LIKELIEST = -1, -2  # in place of a class: no class; the likeliest word at 0, -3 at 1, and so on
_POSITION = ("class_index[0]", ", the position,")


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
        vocabulary: how many words, of an output (n, words, vocabulary); then `classes` is the same.
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
        self.vocabulary = shape[-1] if len(shape) == 3 and not flat else None
        if self.units is None and self.vocabulary is None and not callable(score):
            raise ValueError(
                "the explained output must be one score for each class, (n, classes), or for each word, "
                f"(n, words, vocabulary). Received: shape {shape}. Choose another with `output`, or give a "
                "callable as `score`"
            )
        if self.vocabulary is not None and tuple(self.logits.shape)[-1] != self.vocabulary:
            self.kind, self.logits = "linear", output  # they are scores of something else
        self.classes = 2 if self.units == 1 else self.units or self.vocabulary

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
        if self.vocabulary is not None and not (class_index is None and callable(self.score)):
            return self._choose_words(class_index, count)
        if class_index is None:
            return None
        if self.classes is None:
            raise ValueError(
                "`class_index` has no meaning for this output. Received: an output that is no list of classes"
            )
        if type(class_index) is int and 0 <= class_index < self.classes:
            return np.full(count, class_index, np.int64)
        return _indices(class_index, count, self.classes, "class_index", optional="None, ")

    def _choose_words(self, class_index: Any, count: int) -> np.ndarray:
        if not isinstance(class_index, tuple) or len(class_index) != 2:
            raise ValueError(
                "`class_index` must be a tuple (position, word) for an output (n, words, vocabulary), here "
                f"{tuple(self.output.shape)}: each an integer or one integer per image, or None for the "
                f"likeliest word. Received: class_index={class_index!r}"
            )
        position, word = class_index
        place = _indices(position, count, self.output.shape[1], *_POSITION)
        if word is None:
            return _LIKELIEST - place
        return place * self.vocabulary + _indices(
            word, count, self.vocabulary, "class_index[1]", ", the word,", "None, "
        )

    def class_of(self, chosen: Any) -> Any:
        """The classes, or the words without their positions, of what `choose` and `scored` give."""
        return chosen if self.vocabulary is None else np.where(chosen < 0, chosen, chosen % self.vocabulary)

    def settings(self, chosen: np.ndarray) -> dict[str, Any]:
        """The positions of the words: one number, or one per image where they differ."""
        if self.vocabulary is None or (chosen < 0).any():
            return {}
        position = (chosen // self.vocabulary).tolist()
        return {"position": position if len(set(position)) > 1 else position[0]}

    def fetches(self) -> list[Any]:
        """Symbols whose values `scored` reads."""
        return [self.output, self.logits] if self.logits.id != self.output.id else [self.output]

    def scored(self, instance: Any, asked: np.ndarray | None) -> Scored:
        """Chooses the classes of one batch that ran, and the seeds of their scores."""
        if self.units is None and (self.vocabulary is None or asked is None or asked[0] == _NONE):
            output = np.asarray(instance.value(self.output))
            n = len(output)
            return self._of_callable(output, np.full(n, _NONE), np.full(n, np.nan))
        logits = np.asarray(instance.value(self.logits))
        if self.units is not None:
            z, chosen = logits.reshape(-1, self.units).astype(np.float64), asked
            if chosen is None:
                chosen = (z[:, 0] > 0).astype(np.int64) if self.units == 1 else z.argmax(1)
            value, probability, seed = self._rated(z, chosen)
        else:
            assert self.vocabulary is not None and asked is not None
            words = logits.reshape(len(asked), -1, self.vocabulary)
            position = np.where(asked < 0, _LIKELIEST - asked, asked // self.vocabulary)
            at = np.arange(len(words)), _indices(position, len(words), words.shape[1], *_POSITION)
            z = words[at].astype(np.float64)
            word = np.where(asked < 0, z.argmax(1), asked % self.vocabulary)
            chosen, seed = position * self.vocabulary + word, np.zeros(words.shape)
            value, probability, seed[at] = self._rated(z, word)
        if callable(self.score):
            return self._of_callable(np.asarray(instance.value(self.output)), chosen, probability)
        return Scored(chosen, value, probability, self.logits, seed.reshape(logits.shape))

    def _rated(self, z: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores and probabilities (n,) of the classes, and the scores' gradients at their logits z."""
        apart = self.kind == "sigmoid" or self.units == 1
        logit, seed = class_logit(z, chosen)
        log_p = log_probability(z, logit, apart)
        probability = np.exp(log_p)
        if self.score == "logit" or callable(self.score):
            return logit, probability, seed
        seed = log_probability_slope(z, chosen, logit, seed, apart)
        if self.score == "probability":
            return probability, probability, seed * probability[:, None]
        return (-log_p, probability, -seed) if self.score == "loss" else (log_p, probability, seed)

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


def _indices(
    given: Any, count: int, most: int | None, name: str, what: str = "", optional: str = ""
) -> np.ndarray:
    """(n,) int64 from one integer or one for each image, between 0 and most - 1.

    Args:
        given: what the caller gave.
        count: of images.
        most: None: not known yet.
        name, what, optional: words of the errors; what stands for the argument and may be given in its place.
    """
    array = np.asarray(given)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        wanted = f"{optional}an integer or one integer per image"
        raise ValueError(f"`{name}`{what} must be {wanted}. Received: {name}={given!r}")
    if array.ndim == 1 and len(array) != count:
        raise ValueError(
            f"`{name}`{what} must have one entry per image, {count}. Received: {len(array)} entries"
        )
    outside = (array < 0) | ((array >= most) if most is not None else False)
    if outside.any():
        bad = np.atleast_1d(array)[np.atleast_1d(outside)][0]
        at_most = "not negative" if most is None else f"between 0 and {most - 1}"
        raise ValueError(f"`{name}`{what} must be {at_most}. Received: {name}={bad}")
    return np.broadcast_to(array.astype(np.int64), (count,))
