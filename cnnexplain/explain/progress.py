"""Bars for what takes long."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from cnnexplain.keras.config import is_interactive_logging_enabled
from cnnexplain.keras.utils.interaction import overwrites

Progress = bool | Callable[[int, int], Any] | None
_SOON = 1.0  # seconds: what is done by then needs no bar


class _Silent:
    def update(self, count: int) -> None:
        pass

    def close(self) -> None:
        pass


class _Callback(_Silent):
    def __init__(self, function: Callable[[int, int], Any], total: int | None):
        self.function, self.done, self.total = function, 0, total

    def update(self, count: int) -> None:
        self.done += count
        self.function(self.done, self.total)  # type: ignore[arg-type]


class _WhenLong(_Silent):
    """A bar for a call that turns out to take long, where somebody watches; the others cost nothing."""

    def __init__(self, total: int | None):
        self.total, self.done, self.begin = total, 0, time.monotonic()
        self.shown: Any = None

    def update(self, count: int) -> None:
        self.done += count
        if self.shown is not None:
            self.shown.update(count)
        elif (taken := time.monotonic() - self.begin) > _SOON:
            self.shown = _Silent()
            if is_interactive_logging_enabled() and overwrites(sys.stderr):
                self.shown = _tqdm(self.total, leave=False)
                self.shown.start_t -= taken
                self.shown.n = self.done
                self.shown.refresh()

    def close(self) -> None:
        if self.shown is not None:
            self.shown.close()


def _tqdm(total: int | None, leave: bool) -> Any:
    with warnings.catch_warnings():  # in a notebook without ipywidgets it draws with letters, and says so
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

    return tqdm(total=total, unit="image", leave=leave)


def checked(progress: Progress) -> Progress:
    """The argument, if it is one."""
    if not callable(progress) and progress not in (None, True, False):
        raise ValueError(
            "`progress` must be True, False, None or a callable of (done, total). "
            f"Received: progress={progress!r}"
        )
    return progress


def bar(progress: Progress, total: int | None) -> Any:
    """What counts images: has `update(count)` and `close()`.

    None shows a bar in notebooks and terminals once the call has taken a second, and removes it at the end.
    """
    checked(progress)
    if callable(progress):
        return _Callback(progress, total)
    if progress is None:
        return _WhenLong(total)
    return _tqdm(total, leave=True) if progress else _Silent()
