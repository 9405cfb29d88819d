"""The pytest plugin for grading: points, partial credit, limits of time and memory, a student's file.

It loads with every pytest run where this package is installed, so it imports nothing but pytest, and does
nothing unless a test has its markers or asks for its fixtures, or one of its options is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import grades, markers, process
from .submission import Submission, path_of


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # pytest rewrites the assert statements of every package that has a plugin: seconds, for nothing here.
    rewritten = getattr(pluginmanager.rewrite_hook, "_must_rewrite", None)
    if isinstance(rewritten, set):
        rewritten.discard("cnnexplain")
    group = parser.getgroup("grades", "grading (cnnexplain.testing)")
    group.addoption("--grades", metavar="FILE", help="write the points of this run as JSON")
    group.addoption(
        "--grades-submission",
        metavar="FILE",
        help="the student's file, for the fixture `submission`; default submission.py beside the test",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "points(n): what the test is worth; it runs in a process of its own")
    config.addinivalue_line(
        "markers",
        f"limits(seconds={markers.SECONDS}, megabytes={markers.MEGABYTES}): the test runs in a process of "
        "its own that may not take longer or ask for more memory",
    )
    file = config.getoption("--grades-submission")
    if file is not None and not Path(file).is_file():
        raise pytest.UsageError(f"`--grades-submission` must be a file. Received: {file}")
    config.pluginmanager.register(grades.Grades(config), "cnnexplain-grades")


@pytest.fixture
def submission(request: pytest.FixtureRequest) -> Submission:
    """The student's file: `submission.grad_cam(...)` imports it when first used, within the test's limits."""
    return Submission(path_of(request.node))


@pytest.fixture
def credit(request: pytest.FixtureRequest) -> grades.Credit:
    """Partial credit: `with credit(2, "the weights"):` is worth 2 of the test's points."""
    return grades.credit_of(request.node)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> object:
    limits = markers.limits_of(item)
    if limits is None or not process.can_fork(item.config):
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    item.session._setupstate.teardown_exact(nextitem)  # what the test before has left open for this one
    for report in process.run_apart(item, limits):
        if report.when == "call" and not hasattr(report, "grade"):
            grades.lost(item, report)
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with process.guard(item):
        yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with process.guard(item):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    process.judge(item, call, report)
    grades.judge(item, call, report)
