"""Plants each fault of mutants.py in a copy of the core: its tests must fail. Run: pytest -m mutants"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import MUTANTS

ROOT = Path(__file__).parents[1]


def build(tree: Path) -> None:
    for made in [*tree.glob("build/lib*"), *tree.glob("cnnexplain/_core*.so")]:
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=tree, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def results_of(tests: str, tree: Path) -> subprocess.CompletedProcess[str]:
    """Runs a file of tests or one test, or the part of test_ops.py that is about one op, in the copy."""
    chosen = [tests] if tests.startswith("tests/") else ["tests/test_ops.py", "-k", f"{tests}- or {tests}]"]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *chosen]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a debug build."""
    copy = tmp_path_factory.mktemp("mutants")
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    for name in ("csrc", "cnnexplain", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy / name)
    os.environ["CNNEXPLAIN_DEBUG"] = "1"
    build(copy)
    yield copy
    del os.environ["CNNEXPLAIN_DEBUG"]


@pytest.mark.parametrize(
    "file, right, wrong, op", MUTANTS, ids=[f"{m[3]}-{i}" for i, m in enumerate(MUTANTS)]
)
def test_right_text_exists(file, right, wrong, op):
    assert right in (ROOT / "csrc" / file).read_text(), f"{file} has changed: give this mutant another text"


@pytest.mark.mutants
@pytest.mark.parametrize("op", sorted({m[3] for m in MUTANTS}))
def test_unchanged_core_passes(op, tree):
    done = results_of(op, tree)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]


@pytest.mark.mutants
@pytest.mark.parametrize(
    "file, right, wrong, op", MUTANTS, ids=[f"{m[3]}-{i}" for i, m in enumerate(MUTANTS)]
)
def test_mutant_is_noticed(file, right, wrong, op, tree):
    source = tree / "csrc" / file
    text = source.read_text()
    source.write_text(text.replace(right, wrong))
    try:
        build(tree)
        done = results_of(op, tree)
    finally:
        source.write_text(text)
    assert done.returncode == 1 and " failed" in done.stdout, (done.stdout + done.stderr)[-2000:]
