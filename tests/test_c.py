"""Compiles the engine without Python and runs the programs in tests/c.

CNNEXPLAIN_SANITIZE adds sanitizers, as in setup.py. Where scipy-openblas32 is installed, its library is tried
too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bench import engine

TESTS = sorted((engine.ROOT / "tests" / "c").glob("test_*.c"))
FLAGS = ["-O1", "-g", *engine.sanitizers()]
# Under ThreadSanitizer the kernels take ten times as long: every branch, fewer random cases.
CASES = ["24"] if "-fsanitize=thread" in FLAGS else []

pytestmark = pytest.mark.skipif(shutil.which(engine.COMPILER) is None, reason="no C compiler")


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> list[Path]:
    return engine.objects(tmp_path_factory.mktemp("engine"), FLAGS)


@pytest.mark.parametrize("source", TESTS, ids=lambda path: path.stem)
def test_in_c(source: Path, objects: list[Path], tmp_path: Path) -> None:
    program = engine.program(source, objects, tmp_path / source.stem, FLAGS)
    environment = {**os.environ, **engine.blas()}
    done = subprocess.run([program, *CASES], capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm")
def test_exported_names_start_with_cx(objects: list[Path]) -> None:
    for path in objects:
        listed = subprocess.run(["nm", "-g", "--defined-only", path], capture_output=True, text=True).stdout
        names = [line.split()[-1].lstrip("_") for line in listed.splitlines() if line.strip()]
        wrong = [name for name in names if not name.startswith(("cx_", "odr_asan", "gcov"))]
        assert names and not wrong, f"{path.stem} exports {', '.join(wrong)}"
