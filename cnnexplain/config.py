"""This machine: threads, caches, devices. What TensorFlow has settings for and this package decides itself is
accepted and has no effect.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

from . import _core, _names


def set_threads(n: int) -> None:
    """How many threads one call may use; 0: all that this process may have.

    >>> import cnnexplain as cx
    >>> before = cx.get_threads()
    >>> cx.set_threads(1)
    >>> cx.get_threads()
    1
    >>> cx.set_threads(before)
    """
    _core.set_threads(n)


def get_threads() -> int:
    """How many threads one call may use."""
    return _core.get_threads()


def clear_caches() -> None:
    """Gives memory that was kept for reuse back to the system."""
    _core.clear_caches()


def set_precision(precision: str) -> None:
    """ "fast" allows convolution algorithms that round a little more, "strict" forbids them.

    With "fast", 3 x 3 convolutions of float32 that have enough channels, and their gradients, are computed by
    Winograd's algorithm F(4x4, 3x3) or F(2x2, 3x3), two to three times as fast. Both keep every result within
    1e-6 times the largest `|x| conv |kernel|` of the exact one. They work on tiles of 4 x 4 or 2 x 2 outputs:
    a pixel that is not finite spoils the tiles that see it, with "strict" only the outputs whose windows hold
    it.

    It holds for calls that start afterwards; a tape's gradient uses what its recorded call used.

    Args:
        precision: "fast" (the default) or "strict".

    Raises:
        ValueError: another value.

    >>> import cnnexplain as cx
    >>> cx.set_precision("strict")
    >>> cx.get_precision()
    'strict'
    >>> cx.set_precision("fast")
    """
    if precision not in ("fast", "strict"):
        raise ValueError(f"`precision` must be one of: fast, strict. Received: precision={precision!r}")
    _core.set_precision(precision)


def get_precision() -> str:
    """ "fast" or "strict"."""
    return _core.get_precision()


class PhysicalDevice(NamedTuple):
    """A device that computes."""

    name: str
    device_type: str


LogicalDevice = PhysicalDevice


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The CPU; no device of another type is used.

    >>> import cnnexplain as tf
    >>> tf.config.list_physical_devices("GPU")
    []
    """
    cpu = PhysicalDevice("/physical_device:CPU:0", "CPU")
    return [cpu] if device_type in (None, "CPU") else []


def list_logical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The CPU."""
    return [LogicalDevice("/device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


get_visible_devices = list_physical_devices


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """No effect: there is one device."""


def set_soft_device_placement(enabled: bool) -> None:
    """No effect: there is one device."""


def get_soft_device_placement() -> bool:
    """True."""
    return True


def run_functions_eagerly(run_eagerly: bool) -> None:
    """No effect: functions run as they are written."""


def functions_run_eagerly() -> bool:
    """True: functions run as they are written."""
    return True


def _nothing(*args: Any, **kwargs: Any) -> None:
    """No effect."""


threading = SimpleNamespace(
    set_intra_op_parallelism_threads=set_threads,
    get_intra_op_parallelism_threads=get_threads,
    set_inter_op_parallelism_threads=_nothing,
    get_inter_op_parallelism_threads=lambda: 1,
)
optimizer = SimpleNamespace(
    set_jit=_nothing, get_jit=lambda: "", set_experimental_options=_nothing, get_experimental_options=dict
)
experimental = SimpleNamespace(
    list_physical_devices=list_physical_devices,
    list_logical_devices=list_logical_devices,
    set_memory_growth=_nothing,
    get_memory_growth=lambda device: True,
    set_visible_devices=set_visible_devices,
    enable_op_determinism=_nothing,
    enable_tensor_float_32_execution=_nothing,
    tensor_float_32_execution_enabled=lambda: False,
    set_virtual_device_configuration=_nothing,
    set_synchronous_execution=_nothing,
)

__all__ = _names.defined(__name__) + ["experimental", "optimizer", "threading"]
__getattr__ = _names.missing(__name__)
