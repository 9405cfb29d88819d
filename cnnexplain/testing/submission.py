"""A student's file as a module that says plainly what is wrong with it."""

from __future__ import annotations

import difflib
import functools
import sys
import traceback
import types
from pathlib import Path
from typing import Any, NoReturn

import pytest


def path_of(item: pytest.Item) -> Path:
    """The file of `--grades-submission`, or submission.py beside the test."""
    given = item.config.getoption("--grades-submission")
    return Path(given).resolve() if given else item.path.parent / "submission.py"


class Submission:
    """`submission.name` is that name in the student's file, which is run when a name is first asked for.

    A file that cannot be run, a name that is not there and a function that raises NotImplementedError fail
    the test with one sentence.
    """

    def __init__(self, path: Path):
        self._path = path
        self._module: types.ModuleType | None = None
        self._broken: str | None = None

    def __repr__(self) -> str:
        return f"<submission {self._path.name}>"

    def __dir__(self) -> list[str]:
        return _own_names(self._loaded())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        module = self._loaded()
        if name not in vars(module):
            self._miss(module, name)
        value = getattr(module, name)
        return self._called(name, value) if isinstance(value, types.FunctionType) else value

    def _miss(self, module: types.ModuleType, name: str) -> NoReturn:
        names = _own_names(module)
        near = difflib.get_close_matches(name, names, n=1)
        text = f"{self._path.name} has no `{name}`"
        if near:
            text += f"; is it `{near[0]}`?"
        elif names:
            text += f"; it has: {', '.join(names)}"
        pytest.fail(text, pytrace=False)

    def _called(self, name: str, function: Any) -> Any:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            try:
                return function(*args, **options)
            except NotImplementedError:
                why = "is not written yet"
            except SystemExit:
                why = "ends the program (`exit()`, `quit()`): return a value instead"
            pytest.fail(f"`{name}` {why}", pytrace=False)

        return call

    def _loaded(self) -> types.ModuleType:
        if self._broken is None and self._module is None:
            try:
                self._module = self._run()
            except Exception as error:
                self._broken = f"{self._path.name} cannot be run: {self._said(error)}"
            except SystemExit:
                self._broken = (
                    f"{self._path.name} ends the program when it is imported (`exit()`, `quit()`): put what "
                    "should run only as a program below `if __name__ == '__main__':`"
                )
        if self._module is None:
            pytest.fail(str(self._broken), pytrace=False)
        return self._module

    def _run(self) -> types.ModuleType:
        """Not by the import system, which keeps compiled files beside the source."""
        module = types.ModuleType(f"submission_{self._path.stem}")
        module.__file__ = str(self._path)
        code = compile(self._path.read_bytes(), str(self._path), "exec", dont_inherit=True)
        sys.modules[module.__name__] = module
        sys.path.insert(0, str(self._path.parent))
        try:
            exec(code, vars(module))
        finally:
            sys.path.remove(str(self._path.parent))
        return module

    def _said(self, error: Exception) -> str:
        if isinstance(error, FileNotFoundError) and error.filename == str(self._path):
            return "there is no such file; give it by --grades-submission FILE"
        if isinstance(error, SyntaxError) and error.filename == str(self._path):
            return f"line {error.lineno}: {error.msg}: {(error.text or '').strip()}"
        return described(error, str(self._path))


def described(error: BaseException, file: str) -> str:
    """An exception in one line, with the student's innermost line where there is one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f"line {frames[-1].lineno}, `{frames[-1].line}`: " if frames else ""
    said = str(error).strip().splitlines()
    return f"{where}{type(error).__name__}: {said[0] if said else ''}".rstrip(": ")


def _own_names(module: types.ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
