"""Points: of whole tests, of parts of them, the table at the end and the JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from _pytest.outcomes import Failed

from .markers import grading, points_of
from .process import OutOfTime
from .submission import described, path_of

_CREDIT = pytest.StashKey["Credit"]()


class Credit:
    """Parts of a test's points: `with credit(2, "the weights"): ...`.

    A part that fails loses its points and the test goes on; when its body is over, the test fails with what
    was lost. What the parts do not cover is earned if nothing outside them fails.
    """

    def __init__(self, total: float, file: str):
        self.total = total
        self.file = file
        self.parts: list[dict[str, Any]] = []

    @contextmanager
    def __call__(self, points: float, name: str, partly: Mapping[str, float] | None = None) -> Iterator[None]:
        """A part.

        Args:
            points: what it is worth.
            name: for the table.
            partly: points for mistakes that `assert_same_map` finds, by their keys: {"relu-missing": 1}. All
                that were made together must be listed; the least counts.
        """
        covered = sum(part["points"] for part in self.parts)
        if points < 0 or covered + points > self.total + 1e-9:
            raise pytest.UsageError(
                f"the parts of this test are worth {covered + points:g} points, the test {self.total:g}: "
                "give the sum in @pytest.mark.points"
            )
        part: dict[str, Any] = {"name": name, "points": points, "earned": 0.0}
        part |= {"hint": "not finished", "mistakes": []}
        self.parts.append(part)
        try:
            yield
        except OutOfTime:
            raise
        except (Exception, SystemExit, Failed) as error:
            part["hint"] = hint_of(error, self.file)
            part["mistakes"] = list(getattr(error, "keys", ()))
            part["earned"] = min(_partly(error, partly or {}), points)
        else:
            part["earned"] = points
            part["hint"] = ""

    @property
    def lost(self) -> list[dict[str, Any]]:
        return [part for part in self.parts if part["earned"] < part["points"]]

    @property
    def earned(self) -> float:
        """Of the parts."""
        return sum(part["earned"] for part in self.parts)

    def report(self) -> str:
        """What was lost, for the student."""
        return "\n".join(
            f"{part['name']}: {part['earned']:g} of {part['points']:g} points\n{part['hint']}"
            for part in self.lost
        )


def _partly(error: BaseException, points: Mapping[str, float]) -> float:
    worth = [
        min(points.get(one.key, 0.0) for one in several) for several in getattr(error, "explanations", ())
    ]
    return max(worth, default=0.0)  # in doubt for the student


def credit_of(item: pytest.Item) -> Credit:
    """The parts of this test."""
    total = points_of(item)
    if total is None:
        raise pytest.UsageError(f"{item.nodeid}: the fixture `credit` needs @pytest.mark.points(n)")
    return item.stash.setdefault(_CREDIT, Credit(total, str(path_of(item))))


def hint_of(error: BaseException, file: str) -> str:
    """What a student should read of an exception."""
    if isinstance(error, (AssertionError, Failed)):
        return str(error).strip() or "an assertion failed"
    return described(error, file)


def judge(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Adds the grade to the report; a test that lost a part has failed."""
    if report.when == "teardown" or (report.when == "setup" and report.passed):
        return
    if (points := points_of(item)) is None:
        return
    credit = item.stash.get(_CREDIT, None)
    lost = credit.report() if credit is not None else ""
    earned = credit.earned if credit is not None else 0.0
    mistakes: list[str] = []
    hint = lost
    if report.passed:
        earned = points - sum(part["points"] - part["earned"] for part in credit.parts) if credit else points
        if lost:
            report.outcome = "failed"
            report.longrepr = lost
    else:
        if isinstance(report.longrepr, str):
            hint = report.longrepr
        elif call.excinfo is not None:
            hint = hint_of(call.excinfo.value, str(path_of(item)))
            mistakes = list(getattr(call.excinfo.value, "keys", ()))
        if lost:
            report.sections.append(("credit", lost))
            hint = f"{hint}\n{lost}"
    _attach(item, report, earned, hint, mistakes)


def lost(item: pytest.Item, report: pytest.TestReport) -> None:
    """No points: the test's process has ended."""
    if points_of(item) is not None:
        _attach(item, report, 0.0, str(report.longrepr))


def _attach(
    item: pytest.Item, report: pytest.TestReport, earned: float, hint: str, mistakes: Sequence[str] = ()
) -> None:
    credit = item.stash.get(_CREDIT, None)
    parts = credit.parts if credit is not None else []
    report.grade = _grade(  # type: ignore[attr-defined]
        item.nodeid,
        points_of(item),
        earned=round(earned, 6),
        outcome=report.outcome,
        seconds=round(report.duration, 3),
        megabytes=getattr(report, "megabytes", None),
        hint=hint,
        mistakes=[*mistakes, *(key for part in parts for key in part["mistakes"])],
        parts=parts,
    )


def _grade(test: str, points: float | None, **known: Any) -> dict[str, Any]:
    """A test's entry in the JSON file."""
    nothing = {"earned": 0.0, "outcome": "", "seconds": 0.0, "megabytes": None, "hint": "", "mistakes": []}
    return {"test": test, "points": points, **nothing, "parts": [], **known}


class Grades:
    """Collects the grades of a run."""

    def __init__(self, config: pytest.Config):
        self.config = config
        self.tests: dict[str, dict[str, Any]] = {}
        self.errors: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            points = points_of(item)
            if points is not None:
                hint = "the run was ended before this test"
                self.tests[item.nodeid] = _grade(item.nodeid, points, outcome="not run", hint=hint)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        grade = getattr(report, "grade", None)
        if grade is not None:
            self.tests[report.nodeid] = grade

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(f"{report.nodeid}: {report.longreprtext.strip().splitlines()[-1]}")

    @property
    def whose(self) -> str | None:
        return self.config.getoption("--grades-submission")

    def as_dict(self) -> dict[str, Any]:
        """What the JSON file holds."""
        tests = list(self.tests.values())
        return {
            "submission": self.whose,
            "points": sum(test["points"] for test in tests),
            "earned": round(sum(test["earned"] for test in tests), 6),
            "tests": tests,
            "errors": self.errors,
        }

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        path = self.config.getoption("--grades")
        if path is None or hasattr(self.config, "workerinput"):  # a worker of pytest-xdist
            return
        try:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(self.as_dict(), file, indent=1)
                file.write("\n")
        except OSError as error:
            self.errors.append(f"cannot write the grades: {error}")
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.tests and not (self.errors and grading(self.config)):
            return
        whose = f" of {os.path.basename(self.whose)}" if self.whose else ""
        terminalreporter.section(f"grades{whose}")
        for line in self.table():
            terminalreporter.write_line(line)

    def table(self) -> list[str]:
        """Lines of the table."""
        all_of = self.as_dict()
        lines = []
        for test in all_of["tests"]:
            name = test["test"].split("::", 1)[-1]
            lines.append(f"{test['earned']:>6g} / {test['points']:<6g}{name}")
            if test["hint"] and test["earned"] < test["points"]:
                lines += [f"{'':15}{line}" for line in test["hint"].splitlines()]
        lines += [f"error: {error}" for error in all_of["errors"]]
        return [*lines, f"{all_of['earned']:>6g} / {all_of['points']:<6g}in all"]
