"""A test in a process of its own, which is ended when it takes too long and may not ask for too much memory.

The process is a fork. Inside, an alarm raises an exception at the student's line when the time is up; a loop
that catches even that, or a call that does not come back to Python, is killed a second later. A crash, an
exit or a full memory ends the process alone, and becomes the failure of the one test.

Memory is what the test adds: RLIMIT_DATA (Linux) refuses what goes beyond, so that the line that asked gets
a MemoryError; elsewhere the peak (ru_maxrss) is looked at when the test is over. What a test prints or writes
to one file is held to 50 MB, and the report keeps the end of it. Where there is no fork (Windows), tests run
in pytest's own process, and one that took too long fails when it has ended.
"""

from __future__ import annotations

import errno
import faulthandler
import json
import linecache
import os
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from _pytest.outcomes import Failed
from _pytest.runner import runtestprotocol

try:
    import resource
except ImportError:  # Windows
    pass

from .markers import Limits, limits_of
from .submission import path_of

_GRACE = 1.0
_WRITTEN = 50  # megabytes in one file
_KEPT = 5000  # characters of what a test has printed
_REPORTS, _TRACE, _ERROR = "reports.json", "trace.txt", "error.txt"
_GUARD = pytest.StashKey["Guard"]()


class OutOfTime(Failed):
    """Raised in the test by the alarm; no `except Exception` holds it."""


def can_fork(config: pytest.Config) -> bool:
    """Whether this system has processes to run apart, and nobody debugs."""
    return hasattr(os, "fork") and not (config.getoption("usepdb", False) or config.getoption("trace", False))


# in pytest's process


def run_apart(item: pytest.Item, limits: Limits) -> list[pytest.TestReport]:
    """Runs a test in a process of its own; a report of a failure if that process does not end well."""
    begin = time.time()
    with tempfile.TemporaryDirectory(prefix="cnnexplain-grade-") as folder:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or the child would write it a second time
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads that the child does not have
            pid = os.fork()
        if not pid:
            _child(item, limits, folder)
        status = _wait(pid, limits.seconds + _GRACE)
        reports = _read(item.config, folder)
        return reports or [_failure(item, begin, _why(status, limits, folder) + _crashed_at(item, folder))]


def _wait(pid: int, seconds: float) -> int | None:
    """The status of a process that has ended; None if it had to be killed."""
    deadline = time.monotonic() + seconds
    pause = 0.001
    ended = 0
    try:
        while time.monotonic() < deadline:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return status
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return None
    finally:
        try:
            os.killpg(pid, signal.SIGKILL)  # what the test has started ends with it
        except (ProcessLookupError, PermissionError):
            pass
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _read(config: pytest.Config, folder: str) -> list[pytest.TestReport]:
    try:
        entries = json.loads(_text(folder, _REPORTS))
    except ValueError:
        return []
    return [config.hook.pytest_report_from_serializable(config=config, data=data) for data in entries]


def _why(status: int | None, limits: Limits, folder: str) -> str:
    if status is None:
        return (
            f"The test took longer than {limits.seconds:g} s and did not react: a loop that catches every "
            "exception (`except:`), or one call that does not end."
        )
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        more = ": the machine may have run out of memory" if name == "SIGKILL" else ", a crash"
        return f"The program ended with the signal {name}{more}."
    if error := _text(folder, _ERROR):
        return f"The test was ended by {error}."
    return (
        f"The program ended Python itself, with exit code {os.WEXITSTATUS(status)}: by `os._exit`, or in a "
        f"library that got no memory (limit: {limits.megabytes:g} MB)."
    )


def _text(folder: str, name: str) -> str:
    """What the child has left in a file."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _crashed_at(item: pytest.Item, folder: str) -> str:
    """The student's innermost line, where the crash has left a trace."""
    for name, number in re.findall(r'File "(.*)", line (\d+)', _text(folder, _TRACE)):
        if name == str(path_of(item)):
            return f" It was at {_line(name, int(number))}."
    return ""


def _line(file: str, number: int) -> str:
    return f"{os.path.basename(file)}, line {number}: `{linecache.getline(file, number).strip()}`"


def _failure(item: pytest.Item, begin: float, why: str) -> pytest.TestReport:
    now = time.time()
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="failed",
        longrepr=why,
        when="call",
        sections=[],
        duration=now - begin,
        start=begin,
        stop=now,
    )


# in the child


def _child(item: pytest.Item, limits: Limits, folder: str) -> None:
    code = 1
    try:
        os.setsid()
        trace = open(os.path.join(folder, _TRACE), "w")
        faulthandler.enable(trace, all_threads=False)
        os.environ.setdefault("MPLBACKEND", "agg")  # plt.show() opens no window and waits for nobody
        item.stash[_GUARD] = Guard(item, limits)
        # The parent of the test as the next: only what belongs to this test is torn down here.
        reports = runtestprotocol(item, nextitem=item.parent, log=False)  # type: ignore[arg-type]
        hook = item.config.hook
        entries = [hook.pytest_report_to_serializable(config=item.config, report=r) for r in reports]
        with open(os.path.join(folder, _REPORTS), "w", encoding="utf-8") as file:
            json.dump(entries, file, default=str)
        code = 0
    except BaseException as error:  # KeyboardInterrupt, pytest.exit
        with open(os.path.join(folder, _ERROR), "w", encoding="utf-8") as file:
            file.write(": ".join(filter(None, [type(error).__name__, str(error)])))
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(code)


class Guard:
    """The limits of one test while its setup and its body run."""

    def __init__(self, item: pytest.Item, limits: Limits):
        self.limits = limits
        self.file = str(path_of(item))
        self.test = str(item.path)
        self.deadline = time.monotonic() + limits.seconds
        self.before = peak_megabytes()
        self.late: str | None = None

    def _ring(self, number: int, frame: FrameType | None) -> None:
        self.late = f"The test took longer than {self.limits.seconds:g} s.{self._place(frame)}"
        raise OutOfTime(self.late, pytrace=False)

    def _place(self, frame: FrameType | None) -> str:
        """Where it was: the student's innermost line, otherwise the test's."""
        for file in (self.file, self.test):
            at = frame
            while at is not None:
                if at.f_code.co_filename == file:
                    return f" It was at {_line(file, at.f_lineno)}."
                at = at.f_back
        return ""

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Alarm and limit of memory. The alarm rings again if it was caught."""
        before = signal.signal(signal.SIGALRM, self._ring)
        limits = _limit_data(self.limits.megabytes) + _limit_files()
        signal.setitimer(signal.ITIMER_REAL, max(self.deadline - time.monotonic(), 0.001), 0.2)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            for which, pair in limits:
                resource.setrlimit(which, pair)


@contextmanager
def guard(item: pytest.Item) -> Iterator[None]:
    """Keeps the limits, if the test has some and this is its own process."""
    own = item.stash.get(_GUARD, None)
    if own is None:
        yield
    else:
        with own.armed():
            yield


def _limit_data(megabytes: float) -> list[tuple[int, tuple[int, int]]]:
    """Refuses private memory beyond what there is and `megabytes`; what to restore."""
    try:
        with open("/proc/self/status") as file:
            now = next(int(line.split()[1]) for line in file if line.startswith("VmData:"))
    except (OSError, StopIteration):
        return []
    return _limit("RLIMIT_DATA", 1024 * now + int(megabytes * 1e6))


def _limit_files() -> list[tuple[int, tuple[int, int]]]:
    return _limit("RLIMIT_FSIZE", int(_WRITTEN * 1e6))


def _limit(name: str, limit: int) -> list[tuple[int, tuple[int, int]]]:
    """Sets a limit of this process, if the system knows it and allows it; what to restore."""
    which = getattr(resource, name)
    before = resource.getrlimit(which)
    known = [old for old in before if old != resource.RLIM_INFINITY]
    try:
        resource.setrlimit(which, (min([limit, *known]), before[1]))
    except (OSError, ValueError):
        return []
    return [(which, before)]


def peak_megabytes() -> float:
    """The most memory that this process has held at once; 0 where the system does not tell."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def judge(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turns what broke a limit into a failure with one clear line."""
    if report.when == "teardown" or (limits := limits_of(item)) is None:
        return
    own = item.stash.get(_GUARD, None)
    value = None if call.excinfo is None else call.excinfo.value
    why = None
    if own is None:  # no process of its own: only afterwards
        if call.duration > limits.seconds:
            why = f"The test took {call.duration:.3g} s, longer than {limits.seconds:g} s."
    else:
        used = peak_megabytes() - own.before
        report.megabytes = round(max(used, 0.0), 1)  # type: ignore[attr-defined]
        report.sections = [(name, _end(text)) for name, text in report.sections]
        if isinstance(value, OSError) and value.errno == errno.EFBIG:
            why = f"The test printed or wrote more than {_WRITTEN} MB: is there a loop that does not end?"
        elif isinstance(value, MemoryError):
            where = own._place(_last_frame(call.excinfo, own.file))
            why = f"The test asked for more than {limits.megabytes:g} MB.{where}"
        elif own.late is not None:
            why = own.late
        elif used > limits.megabytes:
            why = f"The test used {used:.0f} MB, more than {limits.megabytes:g} MB."
    if why is not None:
        report.outcome = "failed"
        report.longrepr = why


def _end(text: str) -> str:
    return text if len(text) <= _KEPT else f"... {len(text) - _KEPT} characters, then:\n{text[-_KEPT:]}"


def _last_frame(excinfo: Any, file: str) -> FrameType | None:
    frames = [entry for entry in traceback.walk_tb(excinfo.tb) if entry[0].f_code.co_filename == file]
    return frames[-1][0] if frames else None
