"""Programs as cells of Python: notebooks of any age without Jupyter, and scripts."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

_PYTHON_BODY = ("time", "timeit", "capture", "prun", "memit", "mprun")
_LINE = re.compile(r"^(\s*)(?:[%!?].*|[\w.]+\?{1,2})\s*$")
_ASSIGNED = re.compile(r"^(\s*[\w, ]+=\s*)[!%].*$")
_INSTALL = re.compile(r"^\s*[!%]\s*(?:python3? -m )?pip3?\s+install\s+(.*)$")
_OURS = re.compile(r"^(?:-\S+|(?:tensorflow|keras|tf-nightly)(?:[-_](?:cpu|gpu|macos))?(?:[=<>~!].*)?)$")


@dataclass(frozen=True)
class Cell:
    """A piece of program.

    Attributes:
        number: of the code cell, from 1: what a notebook run from the top shows as In [number]; None for a
            script.
        source: its text.
    """

    number: int | None
    source: str


def read(path: Path) -> list[Cell]:
    """The program in a notebook (.ipynb) or a script.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no notebook, or one of another language.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix != ".ipynb":
        try:
            return [Cell(None, path.read_text(encoding="utf-8-sig"))]
        except UnicodeDecodeError:
            raise ValueError(f"{path} must be a notebook (.ipynb) or a text file of Python") from None
    try:
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
        sheets = notebook.get("worksheets") or [
            notebook
        ]  # up to 2014 cells were on sheets, their text "input"
        cells = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        texts = [cell.get("source", cell.get("input", "")) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a notebook: {error}") from None
    metadata = notebook.get("metadata", {})
    language = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language")
    if (language or "python").lower() not in ("python", "ipython"):
        raise ValueError(f"{path} must be a notebook of Python. Received: language {language!r}")
    joined = (text if isinstance(text, str) else "".join(text) for text in texts)
    return [Cell(number, text) for number, text in enumerate(joined, 1)]


def parse(source: str) -> ast.Module | None:
    """The syntax tree of a cell, magics left out, lines kept; None for a cell of another language.

    Raises:
        SyntaxError: it is not Python.
    """
    first, _, rest = source.lstrip("\n").partition("\n")
    if first.startswith("%%"):
        if first[2:].partition(" ")[0].strip() not in _PYTHON_BODY:
            return None
        source = source[: len(source) - len(source.lstrip("\n"))] + "\n" + rest
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    lines = source.split("\n")
    while True:
        try:
            return compile("\n".join(lines), "<cell>", "exec", flags, dont_inherit=True)
        except SyntaxError as error:
            place = min(error.lineno or 1, len(lines)) - 1
            plain = _ASSIGNED.sub(r"\1None", _LINE.sub(r"\1pass", lines[place]))
            if plain == lines[place]:
                raise
            lines[place] = plain


def installs_tensorflow(line: str) -> bool:
    """Whether a line of a notebook installs TensorFlow or Keras with pip, and nothing else.

    >>> installs_tensorflow("!pip install -q tensorflow==2.15"), installs_tensorflow("!pip install pandas")
    (True, False)
    """
    found = _INSTALL.match(line)
    words = found[1].split() if found else []
    return any(not word.startswith("-") for word in words) and all(_OURS.match(w) for w in words)
