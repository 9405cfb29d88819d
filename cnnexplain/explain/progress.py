"""Bars for what takes long."""

from __future__ import annotations

import sys
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
    if progress is None and not (is_interactive_logging_enabled() and overwrites(sys.stderr)):
        return _Silent()
    if progress is not None and not progress:
        return _Silent()
    with warnings.catch_warnings():  # in a notebook without ipywidgets it draws with letters, and says so
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

    asked = progress is not None
    return tqdm(total=total, unit="image", leave=asked, delay=0 if asked else _SOON)
