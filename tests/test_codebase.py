"""What the layout of the code promises: floors that import only downward, names, no traces of a machine."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What the files of a folder of csrc may include: their own floor, these folders, and cnnexplain.h.
C_FLOORS = {
    "core": set(),
    "kernels": {"core"},
    "ops": {"core", "kernels"},
    "program": {"core"},
    "explain": {"core", "ops"},
    "py": {"core", "kernels", "ops", "program", "explain"},
}
# Parts of the package from the ground up; whatever is not named here is of the empty floor.
FLOORS = [
    {"_core", "_names", "dtypes", "errors", "version"},
    {"config", "ops", "tensor"},
    {"_convert", "environment", "tape"},
    set(),
    {"math"},
    {"linalg"},
    {"data", "image", "io", "nn"},
    {"plot"},
    {"keras"},
    {"onnx"},
    {"models"},
    {"explain"},
    {"train", "photographs", "inspect", "testing"},
    {"demo"},
    {"cli", "__main__"},
]


def c_files() -> list[Path]:
    return sorted(path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".c", ".h", ".inc"))


def python_files() -> list[Path]:
    return sorted((ROOT / "cnnexplain").rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", c_files(), ids=name_of)
def test_c_includes_only_downward(path):
    folder = path.relative_to(ROOT / "csrc").parts[0]
    for system, own in re.findall(r'^#include (?:<(.*)>|"(.*)")', path.read_text(), re.M):
        if system:
            bound = system in ("Python.h", "structmember.h") or system.startswith("numpy/")
            assert not bound or folder == "py", f"{system} is for csrc/py alone"
            continue
        target = (path.parent / own).resolve().relative_to(ROOT / "csrc")
        if len(target.parts) > 1:
            assert target.parts[0] in {folder, *C_FLOORS[folder]}, f"{folder} must not include {own}"


def floor_of(part: str) -> int:
    return next((level for level, parts in enumerate(FLOORS) if part in parts), FLOORS.index(set()))


def imported(path: Path) -> set[str]:
    """The parts of the package that a file imports, inside functions too, but not for types alone."""
    package = list(path.relative_to(ROOT).parts[:-1])
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        full = []
        if isinstance(node, ast.Import):
            full = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module or "").split(".") * bool(node.module)
            full = [[*base, alias.name] for alias in node.names]
        found.update(names[1] for names in full if names[0] == "cnnexplain" and len(names) > 1)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_python_imports_only_downward(path):
    parts = path.relative_to(ROOT / "cnnexplain").with_suffix("").parts
    if parts == ("__init__",):
        return  # loads every floor by name
    own = floor_of(parts[0])
    above = sorted(part for part in imported(path) if floor_of(part) > own)
    assert not above, f"{'.'.join(parts)} must not import {', '.join(above)}"


def test_no_file_names_a_place_on_somebody_s_machine():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("needs a git checkout")
    home = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work|tmp|mnt|scratch)/\w")
    wrong = []
    for path in map(ROOT.joinpath, listed.stdout.splitlines()):
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" in content:
            continue  # not text
        for number, line in enumerate(content.decode().splitlines(), 1):
            if home.search(line):
                wrong.append(f"{name_of(path)}:{number}: {line.strip()[:80]}")
    assert not wrong, "\n".join(wrong)
