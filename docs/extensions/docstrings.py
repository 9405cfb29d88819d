"""Docstrings are written to be read as they are: code in single backticks, formulas as plain text.

Sphinx would take more of them for markup: x_ for a link, |x| for a substitution, a*b*c for emphasis, and
napoleon the words before a colon for a type. Here that is undone before napoleon reads them. Examples stay as
they are.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

CODE = re.compile(r"(`[^`]+`)")
SPECIAL = re.compile(r"[\\*|_`]")
HEAD = re.compile(r"(\s*)(\*{0,2}[\w, *]+:(?=\s|$))?(.*)")  # an argument's name, or a section's
COLON = "\ue000"  # stands for a colon while napoleon reads
JOINED = ","  # between attributes that share a description: with a space the first would be a type


def escaped(text: str) -> str:
    """Code in single backticks as code, and nothing else as markup."""
    parts = CODE.split(text)
    parts[::2] = [SPECIAL.sub(r"\\\g<0>", part) for part in parts[::2]]
    parts[1::2] = [f"`{part}`" for part in parts[1::2]]
    return "".join(parts)


def before(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    prose = what in ("attribute", "property")  # a description, in which no word is a type
    section, example = "", False
    for number, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if example:
            continue
        begin, head, rest = HEAD.fullmatch(line).groups()  # type: ignore[union-attr]
        if not begin and line:
            section = line
        head = (head or "").replace(", ", JOINED) if section == "Attributes:" else head or ""
        text = head + escaped(rest)
        untyped = prose or (begin and section in ("Returns:", "Yields:"))
        lines[number] = begin + (text.replace(":", COLON) if untyped and line != "Raises:" else text)


def after(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]


def of_constructor(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """A class whose `__new__` takes anything and hands it on is called as its `__init__` says."""
    if what != "class" or signature != "(*args, **kwargs)":
        return signature, returned
    found = inspect.signature(thing.__init__)
    shown = [p.replace(annotation=p.empty) for p in list(found.parameters.values())[1:]]
    return str(found.replace(parameters=shown, return_annotation=found.empty)), returned


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-signature", of_constructor)
    app.connect("autodoc-process-docstring", before, priority=100)
    app.connect("autodoc-process-docstring", after, priority=900)  # napoleon has 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
