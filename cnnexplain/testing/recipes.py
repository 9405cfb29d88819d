"""A computation as a chain of stages, each with the mistakes people make there, and the search for theirs.

A recipe computes what is expected. Replacing a stage by one of its mistakes gives what somebody who made it
gets; the mistakes that give a student's numbers are the diagnosis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np


class Values(dict[str, np.ndarray]):
    """What the stages so far have given, by their names."""

    @property
    def last(self) -> np.ndarray:
        """The value of the stage before."""
        return next(reversed(self.values()))

    def after(self, name: str, value: np.ndarray) -> Values:
        """The same with one more stage."""
        more = Values(self)
        more[name] = value
        return more


Make = Callable[[Values], "np.ndarray | None"]


@dataclass(frozen=True)
class Mistake:
    """A mistake: its key, the sentence that teaches, and what the stage gives with it.

    `make` may return None where it cannot have been made.
    """

    key: str
    sentence: str
    make: Make


@dataclass(frozen=True)
class Stage:
    """One step of a computation, by the name it has in `Explanation.steps`."""

    name: str
    make: Make
    mistakes: Sequence[Mistake] = ()


@dataclass(frozen=True)
class Found:
    """A mistake that was found: at which step, which, and the sentence that teaches.

    Attributes:
        step: name of the step, as in `Explanation.steps`.
        key: the mistake's name, such as "relu-missing".
        sentence: for the student.
    """

    step: str
    key: str
    sentence: str


Several = tuple[Found, ...]
"""Mistakes that were made together, in the order of the steps."""


def result(stages: Sequence[Stage]) -> np.ndarray | None:
    """What is expected: no mistakes; None where the stages do not fit together."""
    return next((value for value, _ in _walk(stages, Values(), 0)), None)


def search(stages: Sequence[Stage], student: np.ndarray, near: float, count: int) -> list[Several]:
    """Every combination of `count` mistakes that gives the student's numbers, first stages first.

    Args:
        stages: the recipe.
        student: what was handed in.
        near: how near the numbers must come, as for `difference`.
        count: how many mistakes at once.
    """
    fits: dict[tuple[str, ...], Several] = {}
    for value, found in _walk(stages, Values(), count):
        if difference(student, value) <= near:
            fits.setdefault(tuple(one.key for one in found), found)
    return list(fits.values())


def _walk(stages: Sequence[Stage], values: Values, left: int) -> Iterator[tuple[np.ndarray, Several]]:
    if not stages:
        if not left:
            yield values.last, ()
        return
    stage, *rest = stages
    for mistake in stage.mistakes if left else ():
        value = _attempt(mistake.make, values)
        if value is not None:
            for end, found in _walk(rest, values.after(stage.name, value), left - 1):
                yield end, (Found(stage.name, mistake.key, mistake.sentence), *found)
    if left > sum(1 for later in rest if later.mistakes):
        return
    value = _attempt(stage.make, values)
    if value is not None:
        yield from _walk(rest, values.after(stage.name, value), left)


def _attempt(make: Make, values: Values) -> np.ndarray | None:
    """A stage's value; None where a mistake before it does not fit the shapes."""
    try:
        with np.errstate(all="ignore"):
            return make(values)
    except (ValueError, TypeError, IndexError, KeyError):
        return None


def difference(student: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, as a part of the largest number of `other`; infinite for other shapes."""
    if student.shape != other.shape:
        return np.inf
    if not other.size:
        return 0.0
    scale = float(np.max(np.abs(other)))
    largest = float(np.max(np.abs(student - other)))
    if not np.isfinite(largest) or not np.isfinite(scale):
        return np.inf
    return largest / scale if scale > 0 else largest
