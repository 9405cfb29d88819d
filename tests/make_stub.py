"""Writes cnnexplain/__init__.pyi from the table of public names: python tests/make_stub.py."""

from __future__ import annotations

import re
from pathlib import Path

from cnnexplain import _names

STUB = Path(__file__).parents[1] / "cnnexplain" / "__init__.pyi"


def _place(item: tuple[str, str]) -> tuple[str, bool, str]:
    """Where ruff puts an import: by module, classes first, int8 before int32."""
    name, home = item
    return home, name[0].islower(), re.sub(r"\d+", lambda number: number[0].zfill(4), name)


def stub() -> str:
    """The text of the stub."""
    lines = ["# Made by tests/make_stub.py from cnnexplain/_names.py."]
    lines += [f"from . import {name} as {name}" for name in sorted(_names.MODULES)]
    homes = sorted(_names.HOMES.items(), key=_place)
    lines += [f"from .{home} import {name} as {name}" for name, home in homes]
    return "\n".join([*lines, "", "__version__: str", ""])


if __name__ == "__main__":
    STUB.write_text(stub())
