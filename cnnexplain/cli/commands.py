"""The list of commands, in the order in which `cnnexplain --help` shows them.

Each is a file of this folder that has

    HELP            one line for the list
    DESCRIPTION     a paragraph for the command's own help
    EXAMPLES        lines of a shell, shown there too
    add_arguments   (parser) -> None
    run             (options) -> exit status, see `entry.py`
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

COMMANDS = (
    "demo",
    "explain",
    "compare",
    "evaluate",
    "inspect",
    "draw",
    "train",
    "bench",
    "run",
    "completion",
)


def command(name: str) -> Any:
    """The module of a command."""
    return import_module(f".{name}", __package__)
