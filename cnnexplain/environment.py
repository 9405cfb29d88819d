"""What a bug report has to say: versions, the CPU, and what this package uses of it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

from . import _core
from .config import get_precision, get_threads
from .version import VERSION

_PACKAGES = (
    "numpy h5py pillow matplotlib tqdm pooch safetensors onnx ipywidgets dask tensorflow keras torch".split()
)
_PREFIXES = ("CNNEXPLAIN_", "OPENBLAS_", "OMP_")


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Versions, the CPU, the instruction set and the threads in use, the BLAS: what to put into a bug report.

    Args:
        mode: "stdout" prints it, "dicts" returns it, as in `numpy.show_config`.

    Returns:
        None, or a dict with the keys "cnnexplain", "python", "system", "packages" (name to version, of those
        that are installed), "cpu" (its name), "cpus" (how many this process may use), "isa" (the instruction
        set of the kernels), "threads", "precision", "blas" (the path of the library, empty without one) and
        "environment" (the variables that are set and change any of this).

    Raises:
        ValueError: another mode.

    >>> import cnnexplain as cx
    >>> cx.show_config("dicts")["isa"] in ("portable", "avx2", "avx512")
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"`mode` must be one of: stdout, dicts. Received: mode={mode!r}")
    found = {
        "cnnexplain": VERSION,
        "python": f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}",
        "system": platform.platform(),
        "packages": _installed(),
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "isa": _core.isa(),
        "threads": get_threads(),
        "precision": get_precision(),
        "blas": _core.blas(),
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(_PREFIXES)},
    }
    if mode == "dicts":
        return found
    for key, value in found.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {what}" for name, what in value.items())
        print(f"{key + ':':<13}{value or 'none'}")
    return None


def cpu_name() -> str:
    """The CPU's name, family and model where Linux tells them."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        first = ""
    about = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())
    }
    if "model name" not in about:
        return platform.processor() or platform.machine() or "unknown CPU"
    return f"{about['model name']} (family {about.get('cpu family', '?')}, model {about.get('model', '?')})"


def _installed() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
