"""Compiles the engine without Python and runs the programs in tests/c.

CNNEXPLAIN_SANITIZE=1 adds the sanitizers. Where scipy-openblas32 is installed, its library is tried too.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = sorted((ROOT / "tests" / "c").glob("test_*.c"))
COMPILER = os.environ.get("CC", "cc")
FLAGS = "-std=c11 -O1 -g -pthread -ffp-contract=off".split()
FLAGS += "-Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Werror".split()
if os.environ.get("CNNEXPLAIN_SANITIZE", "0") not in ("", "0"):
    FLAGS += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason="no C compiler")


def compile_with(*arguments: str | Path) -> None:
    done = subprocess.run([COMPILER, *FLAGS, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def library() -> dict[str, str]:
    """Tells the programs where OpenBLAS is, if it is."""
    if importlib.util.find_spec("scipy_openblas32") is None:
        return {}
    folder = Path(importlib.import_module("scipy_openblas32").get_lib_dir())
    return {"CX_TEST_BLAS": str(next(folder.glob("libscipy_openblas*")))}


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> list[Path]:
    """Object files of everything in the core that never sees Python."""
    folder = tmp_path_factory.mktemp("engine")
    floors = ("core", "kernels", "ops", "program", "explain")
    sources = [path for part in floors for path in (ROOT / "csrc" / part).glob("*.c")]
    objects = [folder / f"{path.parent.name}_{path.stem}.o" for path in sources]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(
            pool.map(
                lambda pair: compile_with("-c", pair[0], "-o", pair[1]), zip(sources, objects, strict=True)
            )
        )
    return objects


@pytest.mark.parametrize("source", TESTS, ids=lambda path: path.stem)
def test_in_c(source: Path, engine: list[Path], tmp_path: Path) -> None:
    program = tmp_path / source.stem
    compile_with(source, *engine, "-o", program, "-lm", "-ldl")
    done = subprocess.run(
        [program], capture_output=True, text=True, timeout=600, env={**os.environ, **library()}
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm")
def test_exported_names_start_with_cx(engine: list[Path]) -> None:
    for path in engine:
        listed = subprocess.run(["nm", "-g", "--defined-only", path], capture_output=True, text=True).stdout
        names = [line.split()[-1].lstrip("_") for line in listed.splitlines() if line.strip()]
        wrong = [name for name in names if not name.startswith(("cx_", "odr_asan", "gcov"))]
        assert names and not wrong, f"{path.stem} exports {', '.join(wrong)}"
