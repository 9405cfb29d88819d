"""Files of weights tell whether they belong into a network that computes as PyTorch's.

Their names and shapes are those of Keras's network, so that nothing else would tell. Real Keras ignores the
remark.
"""

from __future__ import annotations

import os
from typing import Any

from . import container

_NAME, _VALUE = "arithmetic", "pytorch"


def remark(model: Any, group: Any) -> None:
    """Writes the remark into an open file of weights, or a group of it."""
    from ..applications.torch_weights import computes_as_pytorch

    if computes_as_pytorch(model):
        group.attrs[_NAME] = _VALUE


def is_of_pytorch(path: Any) -> bool:
    """Whether a file of weights, a whole model or an archive of ours has the remark."""
    from .archive import HDF5

    path = os.fspath(path)
    start = b""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            start = file.read(len(container.HDF5))
    if start == container.HDF5:
        with container.open_hdf5(path) as opened, container.reading(path):
            return _has_remark(opened["model_weights"] if "model_weights" in opened else opened)
    if not start.startswith(container.ZIP) and not os.path.isfile(os.path.join(path, "config.json")):
        return False
    with container.Archive(path) as archive:
        if HDF5 not in archive:
            return False
        with archive.open(HDF5) as member, container.open_hdf5(member, f"{path}: {HDF5}") as opened:
            return _has_remark(opened)


def _has_remark(group: Any) -> bool:
    return group.attrs.get(_NAME) == _VALUE


def check(model: Any, path: Any) -> None:
    """Refuses weights with the remark for a network that computes as Keras's.

    Raises:
        ValueError: As said.
    """
    from ..applications.torch_weights import computes_as_pytorch

    if is_of_pytorch(path) and not computes_as_pytorch(model):
        raise container.refuse(
            path,
            f"its weights belong into a network that computes as PyTorch's, unlike model '{model.name}'. "
            f"Pass the file when the network is built: `weights={str(path)!r}`",
        )


__all__ = ["check", "is_of_pytorch", "remark"]
