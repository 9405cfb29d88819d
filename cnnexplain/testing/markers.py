"""What a grader writes at a test: points and limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

SECONDS = 30
MEGABYTES = 2048


@dataclass(frozen=True)
class Limits:
    """What a test may take."""

    seconds: float = SECONDS
    megabytes: float = MEGABYTES


def points_of(item: pytest.Item) -> float | None:
    """What a test is worth; None without the marker.

    A marker of this name that means something else is left alone in runs that grade nothing.
    """
    marker = item.get_closest_marker("points")
    if marker is None:
        return None
    if len(marker.args) == 1 and not marker.kwargs and _number(marker.args[0]) and marker.args[0] >= 0:
        return float(marker.args[0])
    if not grading(item.config):
        return None
    raise pytest.UsageError(
        f"{item.nodeid}: `points` must have one number that is not negative. Received: "
        f"points{_written(marker)}"
    )


def limits_of(item: pytest.Item) -> Limits | None:
    """The limits of a test with one of the markers; None for all others."""
    marker = item.get_closest_marker("limits")
    if marker is None:
        return None if points_of(item) is None else Limits()
    known = marker.kwargs
    right = not marker.args and set(known) <= {"seconds", "megabytes"}
    if right and all(_number(value) and value > 0 for value in known.values()):
        return Limits(**known)
    if not grading(item.config):
        return None
    raise pytest.UsageError(
        f"{item.nodeid}: `limits` must have positive numbers `seconds=` and `megabytes=`. Received: "
        f"limits{_written(marker)}"
    )


def grading(config: pytest.Config) -> bool:
    """Whether an option says that this run grades."""
    return bool(config.getoption("--grades") or config.getoption("--grades-submission"))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _written(marker: pytest.Mark) -> str:
    named = [f"{name}={value!r}" for name, value in marker.kwargs.items()]
    return f"({', '.join([*map(repr, marker.args), *named])})"
