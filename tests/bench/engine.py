"""The engine without Python: object files of csrc, and C programs linked with them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CC", "cc")
FLAGS = "-std=c11 -pthread -ffp-contract=off -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Werror".split()
FAST = "-O3 -fno-math-errno -fno-trapping-math".split()  # as setup.py compiles


def sanitizers() -> list[str]:
    """The flag that CNNEXPLAIN_SANITIZE asks for: 1 is address and undefined, else a list for -fsanitize=."""
    chosen = os.environ.get("CNNEXPLAIN_SANITIZE", "0")
    if chosen in ("", "0"):
        return []
    return [
        f"-fsanitize={'address,undefined' if chosen == '1' else chosen}",
        "-fno-sanitize-recover=undefined",
    ]


def run_compiler(*arguments: str | Path) -> None:
    """Raises with what the compiler said."""
    done = subprocess.run([COMPILER, *FLAGS, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


def objects(folder: Path, flags: Sequence[str]) -> list[Path]:
    """Object files of everything in csrc that never sees Python."""
    floors = ("core", "kernels", "ops", "program", "explain")
    sources = [path for part in floors for path in sorted((ROOT / "csrc" / part).glob("*.c"))]
    made = [folder / f"{path.parent.name}_{path.stem}.o" for path in sources]

    def compile_one(pair: tuple[Path, Path]) -> None:
        run_compiler(*flags, "-c", pair[0], "-o", pair[1])

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(compile_one, zip(sources, made, strict=True)))
    return made


def program(source: Path, engine: Sequence[Path], target: Path, flags: Sequence[str]) -> Path:
    """The program made of one source file and the engine."""
    run_compiler(*flags, source, *engine, "-o", target, "-lm", "-ldl")
    return target


def blas() -> dict[str, str]:
    """Tells a program where OpenBLAS is, if it is: an environment."""
    if importlib.util.find_spec("scipy_openblas32") is None:
        return {}
    folder = Path(importlib.import_module("scipy_openblas32").get_lib_dir())
    return {"CX_TEST_BLAS": str(next(folder.glob("libscipy_openblas*")))}
