"""What a program uses of TensorFlow and Keras that is not here, found without running it."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import instead
from .modules import ROOTS, facade
from .sources import Cell, parse

_GUARDS = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"}


@dataclass(frozen=True)
class Problem:
    """Something that will not work.

    Attributes:
        cell: number of the code cell; None in a script.
        line: from 1, within the cell.
        name: what is missing, under TensorFlow's name.
        advice: what to use instead.
    """

    cell: int | None
    line: int
    name: str
    advice: str

    def __str__(self) -> str:
        place = f"line {self.line}" if self.cell is None else f"cell {self.cell}, line {self.line}"
        return f"{place}: {self.name}: {self.advice}"


def check(cells: Iterable[Cell], folder: Path | None = None) -> list[Problem]:
    """The problems of a program, in its order.

    Names are followed from the imports (`import tensorflow as tf`, `from tensorflow.keras import layers`) and
    through `L = tf.keras.layers` to modules, classes and functions; arguments given by name are looked up
    too. What is computed cannot be followed: methods of a model, a name read with getattr. A `try` that
    catches the error, and an `if` that asks for a version, are left alone.

    Args:
        cells: of the program.
        folder: where it runs: modules beside it can be imported.

    >>> source = "import tensorflow as tf\\ntf.Session()\\ntf.reduce_sum(1.0, axes=0)"
    >>> for problem in check([Cell(None, source)]):
    ...     print(problem)
    line 2: tensorflow.Session: there are no sessions: call functions and models on data, as in TensorFlow 2
    line 3: tensorflow.reduce_sum(axes=): the nearest is `axis`
    """
    checker = Checker(folder)
    for cell in cells:
        checker.read(cell)
    return sorted(checker.finish(), key=lambda problem: (problem.cell or 0, problem.line))


class Checker(ast.NodeVisitor):
    """Follows names from cell to cell. A scope maps a name to what it stands for; None: to something else."""

    def __init__(self, folder: Path | None = None):
        self.problems: list[Problem] = []
        self._folder = folder
        self._scopes: list[dict[str, str | None]] = [{}]
        self._classes: list[dict[str, str | None]] = []  # scopes that methods do not see
        self._guarded = 0
        self._cell: int | None = None
        self._later: list[tuple] = []

    def read(self, cell: Cell) -> None:
        """Looks at one cell; bodies of functions wait for `finish`, because they run later."""
        self._cell = cell.number
        try:
            tree = parse(cell.source)
        except SyntaxError as error:
            line = error.lineno or 1
            self.problems.append(Problem(cell.number, line, "not Python 3", error.msg))
            return
        if tree is not None:
            self.visit(tree)

    def finish(self) -> list[Problem]:
        """The problems since the last time, those in functions included."""
        while self._later:
            cell, scopes, guarded, node = self._later.pop(0)
            before = self._cell, self._scopes, self._guarded
            self._cell, self._scopes, self._guarded = cell, scopes, guarded
            with self._scope(self._parameters(node.args)):
                self._each(node.body)
            self._cell, self._scopes, self._guarded = before
        found, self.problems = self.problems, []
        return list(dict.fromkeys(found))

    # what names stand for

    def _bind(self, name: str, path: str | None) -> None:
        self._scopes[-1][name] = path

    def _path(self, node: ast.AST) -> str | None:
        """The dotted name that an expression `alias.a.b` stands for."""
        if isinstance(node, ast.Attribute):
            base = self._path(node.value)
            return None if base is None else f"{base}.{node.attr}"
        if isinstance(node, ast.Name):
            return next((scope[node.id] for scope in reversed(self._scopes) if node.id in scope), None)
        return None

    @contextmanager
    def _scope(self, names: Iterable[str] = ()) -> Iterator[None]:
        self._scopes = [*self._scopes, dict.fromkeys(names)]
        try:
            yield
        finally:
            self._scopes = self._scopes[:-1]

    @contextmanager
    def _guard(self, guarded: bool) -> Iterator[None]:
        self._guarded += guarded
        yield
        self._guarded -= guarded

    def _report(self, node: Any, name: str, advice: str) -> None:
        if not self._guarded:
            self.problems.append(Problem(self._cell, node.lineno, name, advice))

    def _look(self, node: ast.AST, path: str) -> Any:
        """The thing of that name, None when it cannot be told; reports one that does not exist."""
        value, problem = look_up(path)
        if problem is not None:
            self._report(node, *problem)
        return value

    # imports

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root not in ROOTS:
                self._foreign(node, alias.name)
                self._bind(alias.asname or root, None)
                continue
            self._look(node, alias.name)
            self._bind(alias.asname or root, alias.name if alias.asname else root)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        ours = not node.level and module.partition(".")[0] in ROOTS
        if not ours:
            if not node.level and module != "__future__":
                self._foreign(node, module)
            for alias in node.names:
                self._bind(alias.asname or alias.name, None)
            return
        holder = self._look(node, module)
        for alias in node.names:
            if alias.name == "*":
                for name in getattr(holder, "__all__", ()):
                    self._bind(name, f"{module}.{name}")
                continue
            path = f"{module}.{alias.name}"
            if holder is not None:
                self._look(node, path)
            self._bind(alias.asname or alias.name, path)

    def _foreign(self, node: ast.AST, module: str) -> None:
        root = module.partition(".")[0]
        if root in sys.builtin_module_names or root in sys.stdlib_module_names:
            return
        name = module if module.startswith("google.") else root
        beside = [] if self._folder is None else [str(self._folder)]
        try:
            found = importlib.machinery.PathFinder.find_spec(root, [*beside, *sys.path]) is not None
            if found and name != root:
                found = importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            self._report(node, name, instead.of_package(name))

    # expressions

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self._path(node)
        if path is None:
            self.generic_visit(node)
        elif isinstance(node.ctx, ast.Load):
            self._look(node, path)

    def visit_Call(self, node: ast.Call) -> None:
        path = self._path(node.func)
        if path is not None:
            self._arguments(node, path)
        self.generic_visit(node)

    def _arguments(self, node: ast.Call, path: str) -> None:
        value, problem = look_up(path)
        if problem is not None or not callable(value):
            return  # reported where the name is visited
        try:
            parameters = inspect.signature(value).parameters.values()
        except (TypeError, ValueError):
            return
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return
        plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        known = [parameter.name for parameter in parameters if parameter.kind in plain]
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg not in known:
                self._report(node, f"{path}({keyword.arg}=)", instead.of_argument(known, keyword.arg))

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id, None)

    # statements that give names

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        path = self._path(node.value)
        for target in node.targets:
            self.visit(target)
            if isinstance(target, ast.Name):
                self._bind(target.id, path)

    def visit_For(self, node: Any) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        self._each(node.body + node.orelse)

    visit_AsyncFor = visit_For

    def _comprehension(self, node: Any) -> None:
        with self._scope():
            for generator in node.generators:
                self.visit(generator.iter)
                self.visit(generator.target)
                self._each(generator.ifs)
            self._each([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension

    def visit_FunctionDef(self, node: Any) -> None:
        self._each(node.decorator_list)
        self._each([*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)])
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self._each([a.annotation for a in arguments if a.annotation] + [node.returns] * bool(node.returns))
        seen = [scope for scope in self._scopes if not any(scope is own for own in self._classes)]
        self._later.append((self._cell, seen, self._guarded, node))
        self._bind(node.name, None)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._each([*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)])
        with self._scope(self._parameters(node.args)):
            self.visit(node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._each([*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)])
        with self._scope():
            self._classes.append(self._scopes[-1])
            self._each(node.body)
            self._classes.pop()
        self._bind(node.name, None)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name, None)
        self.generic_visit(node)

    # places that expect a name to be missing

    def visit_Try(self, node: Any) -> None:
        with self._guard(any(_catches(handler.type) for handler in node.handlers)):
            self._each(node.body + node.handlers)
        self._each(node.orelse + node.finalbody)

    visit_TryStar = visit_Try

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        asked = {part.attr for part in ast.walk(node.test) if isinstance(part, ast.Attribute)}
        asked |= {part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)}
        with self._guard(
            bool(asked & {"__version__", "VERSION", "hasattr", "version_info", "TYPE_CHECKING"})
        ):
            self._each(node.body + node.orelse)

    def _each(self, nodes: Sequence[Any]) -> None:
        for node in nodes:
            self.visit(node)

    @staticmethod
    def _parameters(arguments: ast.arguments) -> list[str]:
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return [a.arg for a in (*named, arguments.vararg, arguments.kwarg) if a is not None]


def _catches(caught: ast.AST | None) -> bool:
    if caught is None:
        return True
    return bool(_GUARDS & {part.id for part in ast.walk(caught) if isinstance(part, ast.Name)})


def look_up(path: str) -> tuple[Any, tuple[str, str] | None]:
    """The thing behind a dotted name of TensorFlow, or (its name, advice) of what does not exist.

    Only modules and classes are looked into; of what an object has, nothing is known before the program runs.
    """
    first, *rest = path.split(".")
    value: Any = facade(first)
    name = first
    for part in rest:
        holder, name = value, f"{name}.{part}"
        if not isinstance(holder, (types.ModuleType, type)):
            return None, None
        try:
            value = getattr(holder, part)
        except AttributeError as error:
            value = facade(name) if isinstance(holder, types.ModuleType) else None
            if value is None:
                return None, (name, instead.of_name(name, holder, str(error)))
    return value, None
