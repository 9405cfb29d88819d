"""The command line: `cnnexplain COMMAND`, or `python -m cnnexplain`; `commands.py` lists the commands."""

from __future__ import annotations

from .entry import main, parser

__all__ = ["main", "parser"]
