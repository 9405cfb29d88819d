"""Names of TensorFlow that programs call in passing and that have one answer on the CPU of one machine."""

from __future__ import annotations

from typing import Any


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """False: everything is computed on the CPU."""
    return False


def gpu_device_name() -> str:
    """The empty string, which says that there is none."""
    return ""


def is_built_with_cuda() -> bool:
    """False."""
    return False


def set_verbosity(v: Any) -> None:
    """Accepted; there is no log to make quieter."""


TEST: dict[str, Any] = {
    "is_gpu_available": is_gpu_available,
    "gpu_device_name": gpu_device_name,
    "is_built_with_cuda": is_built_with_cuda,
    "is_built_with_gpu_support": is_built_with_cuda,
}
LOGGING: dict[str, Any] = {
    "set_verbosity": set_verbosity,
    "DEBUG": 10,
    "INFO": 20,
    "WARN": 30,
    "ERROR": 40,
    "FATAL": 50,
}
