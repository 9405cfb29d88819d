"""Builds the extension cnnexplain._core from csrc/. Everything else is in pyproject.toml.

Switches, by environment:
    CNNEXPLAIN_BLAS      "scipy" (default: the OpenBLAS of scipy-openblas32, placed beside _core),
                         "system" (found through pkg-config) or "none"
    CNNEXPLAIN_WERROR    1: warnings of the C compiler are errors
    CNNEXPLAIN_DEBUG     1: -O1 -g, assertions on, fresh memory filled with NaN
    CNNEXPLAIN_SANITIZE  1: address and undefined; or a list for -fsanitize=
    CNNEXPLAIN_COVERAGE  1: gcov counters
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wvla"]


def switch(name: str) -> str:
    """The value of CNNEXPLAIN_<name>, empty when unset or 0."""
    value = os.environ.get(f"CNNEXPLAIN_{name}", "")
    return "" if value == "0" else value


def sources() -> list[str]:
    return sorted(str(path.relative_to(HERE)) for path in (HERE / "csrc").rglob("*.c"))


def modes() -> tuple[list[str], list[str]]:
    """Flags for the compiler and for the linker."""
    compile_flags = ["-std=c11", "-fvisibility=hidden", "-ffp-contract=off", "-pthread", *WARNINGS]
    compile_flags += ["-fno-math-errno", "-fno-trapping-math"]  # or loops with sqrt and ?: stay scalar
    link_flags = ["-pthread"]
    compile_flags += ["-O1", "-g", "-UNDEBUG", "-DCX_POISON"] if switch("DEBUG") else ["-O3", "-g0"]
    if switch("WERROR"):
        compile_flags.append("-Werror")
    if switch("SANITIZE"):
        chosen = switch("SANITIZE")
        which = f"-fsanitize={'address,undefined' if chosen == '1' else chosen}"
        compile_flags += ["-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined", which]
        link_flags.append(which)
    if switch("COVERAGE"):
        compile_flags += ["-O0", "-g", "--coverage"]
        link_flags.append("--coverage")
    return compile_flags, link_flags


def blas() -> tuple[list[str], list[Path]]:
    """The macro that tells kernels/ which library to open, and the files to place beside _core.

    CX_BLAS_LIBRARY is an absolute path or, without a slash, a file in the directory of _core.
    """
    choice = switch("BLAS") or "scipy"
    if choice == "none":
        return [], []
    if choice == "system":
        asked = subprocess.run(
            ["pkg-config", "--variable=libdir", "openblas"], capture_output=True, text=True
        )
        names = ("libopenblas.so.0", "libopenblas.so", "libopenblas.dylib")
        found = [Path(asked.stdout.strip()) / name for name in names] if asked.returncode == 0 else []
        library = next((path for path in found if path.exists()), None)
        if library is None:
            raise SystemExit(
                "CNNEXPLAIN_BLAS=system finds no OpenBLAS through pkg-config: install it (Debian: apt-get "
                "install libopenblas-dev pkg-config) or set CNNEXPLAIN_BLAS=none"
            )
        return [f'-DCX_BLAS_LIBRARY="{library}"'], []
    if choice != "scipy":
        raise SystemExit(f"`CNNEXPLAIN_BLAS` must be one of: scipy, system, none. Received: {choice}")
    try:
        import scipy_openblas32
    except ImportError:
        raise SystemExit(
            "cnnexplain needs the package scipy-openblas32 to build (pip install scipy-openblas32); "
            "CNNEXPLAIN_BLAS=system and CNNEXPLAIN_BLAS=none build without it"
        ) from None
    folder = Path(scipy_openblas32.get_lib_dir())
    files = sorted(path for path in folder.iterdir() if path.is_file() and is_library(path.name))
    main = next(path for path in files if path.name.startswith("libscipy_openblas"))
    return [f'-DCX_BLAS_LIBRARY="{main.name}"'], files


def is_library(name: str) -> bool:
    return name.endswith((".so", ".dylib", ".dll")) or ".so." in name


class Build(build_ext):
    """Compiles objects in parallel and only those whose command or files changed."""

    def run(self) -> None:
        self.blas_macros, self.blas_files = blas()
        with alone(Path(self.build_temp)):
            super().run()
        places = [Path(self.build_lib) / "cnnexplain"]
        if self.inplace:
            places.append(HERE / "cnnexplain")
        for place in places:
            for library in self.blas_files:
                place.mkdir(parents=True, exist_ok=True)
                target = place / library.name
                if not target.exists() or target.stat().st_size != library.stat().st_size:
                    shutil.copy(library, target)

    def build_extension(self, ext: Extension) -> None:
        import numpy

        command = list(self.compiler.compiler_so)
        if shutil.which(command[0]) is None:
            raise SystemExit(
                "cnnexplain needs a C compiler: "
                "install gcc or clang (Debian: apt-get install gcc python3-dev)"
            )
        headers = sysconfig.get_paths()["include"]
        if not os.path.exists(os.path.join(headers, "Python.h")):
            raise SystemExit(
                f"cnnexplain needs the headers of Python, {headers}/Python.h is missing: "
                "install them (Debian: apt-get install python3-dev)"
            )
        compile_flags, link_flags = modes()
        command += compile_flags
        bound = command + [f"-isystem{headers}", f"-isystem{numpy.get_include()}"]
        jobs = []
        for source in ext.sources:
            base = bound if "/py/" in source else command
            if "/kernels/" in source:
                base = base + self.blas_macros
            jobs.append((base, source, Path(self.build_temp) / Path(source).with_suffix(".o")))
        with ThreadPoolExecutor(self.parallel or cpus()) as pool:
            objects = list(pool.map(lambda job: compile_object(*job), jobs))
        if not all(objects):
            raise SystemExit("cnnexplain._core was not built: the C compiler reported errors")
        self.compiler.force = True  # or an object made in the second of the last link would be left out
        self.compiler.link_shared_object(
            [str(path) for path in objects],
            self.get_ext_fullpath(ext.name),
            libraries=["m"] if sys.platform == "darwin" else ["m", "dl"],
            extra_postargs=link_flags,
            build_temp=self.build_temp,
        )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two builds in one folder wait for each other."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        except ImportError:
            pass
        yield


def cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compile_object(base: list[str], source: str, target: Path) -> Path | None:
    """Compiles source unless target was made by the same command from files that have not changed since."""
    command = [*base, "-MMD", "-MF", str(target.with_suffix(".d")), "-c", source, "-o", str(target)]
    record = target.with_suffix(".cmd")
    if not outdated(target, record, shlex.join(command)):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    print(shlex.join(command[:1]), source, flush=True)
    if subprocess.run(command).returncode:
        return None
    record.write_text(shlex.join(command))
    return target


def outdated(target: Path, record: Path, command: str) -> bool:
    depends = target.with_suffix(".d")
    if not (target.exists() and record.exists() and depends.exists()) or record.read_text() != command:
        return True
    made = target.stat().st_mtime_ns
    files = depends.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    return any(not os.path.exists(name) or os.stat(name).st_mtime_ns > made for name in files)


setup(ext_modules=[Extension("cnnexplain._core", sources())], cmdclass={"build_ext": Build})
