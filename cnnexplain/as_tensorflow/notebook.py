"""The part inside a notebook's kernel: what `%load_ext` and `%unload_ext` do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from .check import Checker, Problem
from .sources import Cell, installs_tensorflow, read

_watched: dict[str, Any] = {}


def load(shell: Any) -> None:
    """Installs the names, says what is used, lists what the notebook uses that is not here.

    The whole notebook is looked at where Jupyter says which file it is; otherwise each cell before it runs.
    Lines that install TensorFlow by pip are left out; Colab's `%tensorflow_version` is accepted.
    """
    from . import install, used

    ours = install()
    print(used())
    if not ours or _watched:
        return
    path = _notebook_file(shell)
    if path is not None:
        _tell(_problems(path))
    else:
        checker = Checker(Path.cwd())
        *earlier, loading = shell.user_ns.get("_ih") or [""]
        for source in earlier:
            checker.read(Cell(None, source))
        checker.finish()
        checker.read(Cell(None, loading))
        _tell(checker.finish())
        _watched["pre_run_cell"] = lambda info: _before(checker, info)
        shell.events.register("pre_run_cell", _watched["pre_run_cell"])
    _watched["transformer"] = without_installs
    shell.input_transformers_cleanup.append(without_installs)
    shell.register_magic_function(lambda line: None, "line", "tensorflow_version")


def unload(shell: Any) -> None:
    """Undoes `load`."""
    from . import uninstall, used

    uninstall()
    if "pre_run_cell" in _watched:
        shell.events.unregister("pre_run_cell", _watched["pre_run_cell"])
    if _watched.get("transformer") in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(_watched["transformer"])
    _watched.clear()
    print(used())


def without_installs(lines: list[str]) -> list[str]:
    """The lines of a cell, `!pip install tensorflow` turned into a comment."""
    return [f"# left out: {line.lstrip()}" if installs_tensorflow(line) else line for line in lines]


def _before(checker: Checker, info: Any) -> None:
    checker.read(Cell(None, info.raw_cell))
    _tell(checker.finish())


def _tell(problems: list[Problem]) -> None:
    if problems:
        print("cnnexplain does not have:", *problems, sep="\n  ", file=sys.stderr)


def _problems(path: Path) -> list[Problem]:
    checker = Checker(path.parent)
    for cell in read(path):
        checker.read(cell)
    return checker.finish()


def _notebook_file(shell: Any) -> Path | None:
    """The notebook of this kernel, where Jupyter or an editor tells it."""
    told = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    path = Path(told) if told else None
    return path if path is not None and path.suffix == ".ipynb" and path.is_file() else None
