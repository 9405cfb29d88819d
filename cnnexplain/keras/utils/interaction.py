"""Where the bars and messages of training go: to the screen, or to Python's logging."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from .. import config

_logger = logging.getLogger("cnnexplain")


def overwrites(stream: Any) -> bool:
    """Whether a carriage return overwrites the line: a terminal or a notebook."""
    isatty = getattr(stream, "isatty", None)
    return bool((isatty and isatty()) or "ipykernel" in sys.modules or "JPY_PARENT_PID" in os.environ)


def write(text: str, stream: Any = None) -> None:
    """Writes text to the stream, stdout by default; where interactive logging is off, to the logger."""
    if not config.is_interactive_logging_enabled():
        if text.strip():
            _logger.info(text.strip())
        return
    stream = sys.stdout if stream is None else stream
    stream.write(text)
    stream.flush()


def say(line: str) -> None:
    """Writes a line."""
    write(f"{line}\n")
