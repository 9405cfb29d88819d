"""The programs of README.md and docs/, run as they stand.

A page's blocks run in order and share their names, in a folder of their own that holds photo.jpg, a
photograph. The words behind "```python" say what is not so:

    ```python                     runs
    ```pycon                      runs, and what it prints is compared (ELLIPSIS, NORMALIZE_WHITESPACE)
    ```python needs torch         runs where that is installed: one of NEEDS
    ```python not run: reason     cannot run here
"""

from __future__ import annotations

import contextlib
import doctest
import functools
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import format_files

from cnnexplain import photographs

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
NEEDS = {
    "imagenet": photographs.available,
    "onnx": lambda: importlib.util.find_spec("onnx") is not None,
    "torch": lambda: False,  # for the marker of this name, see test_docs.py
}
PREPARED = {  # what a page's programs open and import
    "docs/formats.md": format_files.write,
    "docs/captions.md": lambda folder: sys.path.append(str(ROOT / "tests" / "explain")),
}


class Block(NamedTuple):
    language: str
    condition: str  # the words behind it
    code: str
    line: int


class Ran(NamedTuple):
    names: list[dict[str, Any]]  # after each block, run or not
    folder: Path


def all_pages() -> list[str]:
    """README and everything in docs/ that a person wrote."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [path.relative_to(ROOT).as_posix() for path in paths]
    return [name for name in names if not name.startswith(("docs/generated/", "docs/build/"))]


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def fences(page: str) -> list[Block]:
    """Everything between ``` and ```."""
    content = text(page)
    found = []
    for match in FENCE.finditer(content):
        language, _, condition = match[2].partition(" ")
        found.append(Block(language, condition.strip(), match[3], content[: match.start()].count("\n") + 2))
    return found


def programs(page: str) -> list[Block]:
    return [block for block in fences(page) if block.language in ("python", "pycon")]


def under(page: str, title: str) -> list[tuple[Block, dict[str, Any]]]:
    """The programs under a heading of the second level, and what the names mean after each."""
    before, section = text(page).split(f"\n## {title}\n", 1)
    begin = before.count("\n") + 2
    end = begin + section.split("\n## ")[0].count("\n")
    pairs = zip(programs(page), ran(page).names, strict=True)
    return [(block, names) for block, names in pairs if begin <= block.line <= end]


def runs(block: Block) -> bool:
    if block.condition.startswith("needs "):
        return NEEDS[block.condition.removeprefix("needs ")]()
    return not block.condition


@contextlib.contextmanager
def inside(folder: str | Path) -> Iterator[Path]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield Path(folder)
    finally:
        os.chdir(before)


@functools.cache
def ran(page: str) -> Ran:
    """What the blocks of a page have left, run once however many tests ask."""
    from matplotlib import pyplot

    _folders.append(tempfile.TemporaryDirectory())
    with inside(_folders[-1].name) as folder:
        shutil.copy(photographs.sample_photographs()["grace_hopper"], "photo.jpg")
        PREPARED.get(page, lambda folder: None)(folder)
        names: dict[str, Any] = {"__name__": "__main__"}
        after = []
        for block in programs(page):
            if runs(block):
                execute(block, names, f"{page}:{block.line}")
            after.append(dict(names))
        pyplot.close("all")
    return Ran(after, folder)


_folders: list[tempfile.TemporaryDirectory] = []


def execute(block: Block, names: dict[str, Any], place: str) -> None:
    if block.language == "python":
        # as many lines before it as in the page, so that a traceback has the page's line
        exec(compile("\n" * (block.line - 1) + block.code, place, "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(block.code, names, place, place, block.line - 1)
    printed: list[str] = []
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(optionflags=options, verbose=False).run(test, out=printed.append, clear_globs=False)
    assert not printed, "".join(printed)
    names.update(test.globs)
