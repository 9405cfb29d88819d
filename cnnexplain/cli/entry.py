"""From arguments to an exit status: the parser of all commands, and what each kind of failure becomes.

0    done
1    something failed on the way: a picture that cannot be read, a full disk, no permission
2    it cannot be done as it was typed: an option, a name or a file is wrong
130  interrupted by Ctrl-C; what was finished by then is kept
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import textwrap
import warnings
from collections.abc import Sequence
from errno import ENOSPC
from typing import Any

from .commands import COMMANDS, command

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_TRACEBACK = "CNNEXPLAIN_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    try:
        options = _parsed(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _noted
            status = command(options.command).run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever reads the output has gone, as `head` does
        _silence(sys.stdout)
        return FAILED
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED)
    except (ValueError, TypeError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        return _failed(said(error), USAGE)
    except MemoryError as error:
        return _failed(f"not enough memory: {said(error)}".rstrip(": "), FAILED)
    except (OSError, ImportError) as error:
        return _failed(said(error), FAILED)
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        reason = f"{type(error).__name__}: {said(error)}. This is a fault of cnnexplain: please report it"
        return _failed(f"{reason}, with what {_TRACEBACK}=1 adds", FAILED)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    top = parser()
    try:
        options = top.parse_args(arguments)
        if options.command is None:
            top.print_help()
            raise SystemExit(DONE)
    except SystemExit:  # after --help, --version or a mistake
        sys.stdout.flush()
        raise
    return options


def _noted(message: Any, *_: Any, **__: Any) -> None:
    """A warning in one line."""
    print(f"cnnexplain: note: {' '.join(str(message).split())}", file=sys.stderr)


def said(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, OSError) and error.strerror:
        if error.filename:
            return f"{error.filename}: {error.strerror}"
        return f"cannot write the output: {error.strerror}" if error.errno == ENOSPC else error.strerror
    return " ".join(str(error).split())


def _failed(reason: str, status: int) -> int:
    with contextlib.suppress(OSError):
        print(f"cnnexplain: {reason}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # or Python would say so once more at its end
        _silence(sys.stdout)
    return status


def _silence(stream: Any) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Text(argparse.HelpFormatter):
    """Paragraphs filled to the terminal's width, and indented lines as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = textwrap.dedent(text).strip("\n").split("\n\n")
        made = [p if "\n " in f"\n{p}" else textwrap.fill(" ".join(p.split()), width) for p in paragraphs]
        return textwrap.indent("\n\n".join(made), indent)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    from cnnexplain import __version__

    top = argparse.ArgumentParser(
        prog="cnnexplain",
        description="Runs convolutional networks on the CPU and explains them.",
        epilog="cnnexplain COMMAND --help shows the options and examples of a command.",
        formatter_class=_Text,
    )
    top.add_argument("--version", action="version", version=f"cnnexplain {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        module = command(name)
        one = commands.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog="examples:\n" + textwrap.indent(textwrap.dedent(module.EXAMPLES).strip("\n"), "  "),
            formatter_class=_Text,
        )
        module.add_arguments(one)
    return top
