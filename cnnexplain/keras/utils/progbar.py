"""A progress bar in text, as Keras shows it."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from .. import config
from .interaction import overwrites, write


def plain_text(text: str, stream: Any) -> str:
    """The text, with lines of ASCII where the stream cannot write box drawing characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "".join(_ASCII.get(letter, letter) for letter in text)
    return text


_ASCII = {"━": "=", "─": "-", "┃": "|", "│": "|", "…": "~", "└": "+"} | dict.fromkeys("┏┓┗┛┳┡┩╇├┤┼┴┘", "+")


def format_value(value: float) -> str:
    """Four decimals, or an exponent for what is smaller."""
    return f"{value:.4f}" if value == 0 or abs(value) > 1e-3 else f"{value:.4e}"


def format_time(seconds: float) -> str:
    """1:05:07, 2:03 or 12s."""
    whole = int(seconds)
    if whole > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}" if whole > 60 else f"{whole}s"


def format_step(seconds: float, steps: int, unit: str = "step") -> str:
    """Time for one step: 12s/step, 3ms/step or 40us/step."""
    each = seconds / steps if steps else 0.0
    if each >= 1 or each == 0:
        return f"{each:.0f}s/{unit}"
    if each >= 1e-3:
        return f"{each * 1e3:.0f}ms/{unit}"
    return f"{each * 1e6:.0f}us/{unit}"


class Progbar:
    """Counts to `target` and shows the last values.

    Args:
        target: Number of steps; None: not known.
        width: Width of the bar.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        interval: Least seconds between two pictures.
        stateful_metrics: Names whose values are shown as they come; other values are averaged over the steps.
        stateless_metrics: The other way round: names whose values are averaged; others are shown as they
        come.
        unit_name: Name of a step.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        stateless_metrics: Any = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Only one of `stateful_metrics` or `stateless_metrics` can be provided. Received: "
                f"stateful_metrics={stateful_metrics}, stateless_metrics={stateless_metrics}"
            )
        self.stateful_metrics = None if stateless_metrics is not None else set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stream = sys.stdout
        self.dynamic = config.is_interactive_logging_enabled() and overwrites(self.stream)
        self._start = time.monotonic()
        self._shown = 0.0
        self._length = 0
        self._seen = 0
        self._values: dict[str, tuple[float, int]] = {}  # sums and how many were summed
        self._open = False

    def due(self, current: int) -> bool:
        """Whether a new picture would be shown now."""
        if self.verbose != 1 or not self.dynamic:
            return False
        return time.monotonic() - self._shown >= self.interval or (
            self.target is not None and current >= self.target
        )

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Shows `current` of `target` and (name, value) pairs; `finalize` ends the line."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values.items() if isinstance(values, dict) else values or []:
            self._take(name, float(np.mean(value)), max(current - self._seen, 1), finalize)
        self._seen = current
        text = "".join(f" - {n}: {format_value(total / count)}" for n, (total, count) in self._values.items())
        elapsed = time.monotonic() - self._start
        if self.verbose == 1:
            if not finalize and not self.due(current):
                return
            self._shown = time.monotonic()
            self._draw(current, elapsed, text, finalize)
        elif self.verbose == 2 and finalize:
            count = f"{current}/{self.target or current}"
            step = format_step(elapsed, current, self.unit_name)
            write(f"{count} - {format_time(elapsed)} - {step}{text}\n", self.stream)

    def _take(self, name: str, value: float, steps: int, finalize: bool) -> None:
        if self.stateless_metrics is not None:
            averaged = name in self.stateless_metrics
        else:
            averaged = name not in (self.stateful_metrics or ())
        if averaged and not finalize:
            total, count = self._values.get(name, (0.0, 0))
            self._values[name] = (total + value * steps, count + steps)
        else:
            self._values[name] = (value, 1)

    def _draw(self, current: int, elapsed: float, text: str, finalize: bool) -> None:
        bold, green, white, end = (
            ("\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m") if self.dynamic else ("", "", "", "")
        )
        if self.target is not None:
            digits = len(str(self.target))
            filled = self.width if current >= self.target else int(self.width * current / self.target)
            count = f"{current:>{digits}}/{self.target}"
            bar = f"{green}{'━' * filled}{end}{white}{'━' * (self.width - filled)}{end} "
        else:
            filled, count, bar = 0, f"{current}/Unknown", ""
        if finalize or self.target is None:
            clock = format_time(elapsed)
        else:
            clock = format_time(elapsed / max(current, 1) * (self.target - current))
        step = format_step(elapsed, current, self.unit_name)
        line = f"{bold}{count}{end} {bar}{bold}{clock}{end} {step}{text}"
        length = len(count) + self.width + len(clock) + len(step) + len(text) + 3
        blank = " " * max(0, self._length - length)
        self._length = length
        self._open = not finalize
        line = plain_text(line, self.stream)
        write(("\r" if self.dynamic else "") + line + blank + ("\n" if finalize else ""), self.stream)

    def add(self, n: int, values: Any = None) -> None:
        """Moves on by n steps."""
        self.update(self._seen + n, values)

    def close(self) -> None:
        """Ends a line that is still open, as after Ctrl-C."""
        if self._open:
            write("\n", self.stream)
            self._open = False
