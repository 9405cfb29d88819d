"""The archives of CIFAR-10 and CIFAR-100: pickled dictionaries of bytes (Krizhevsky 2009)."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import config
from ..utils.files import get_file
from .files import Split

_ARRAYS = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")
}


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays, numbers, text and containers; a file that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def read_batch(path: str, label_key: str = "labels") -> Split:
    """Images (n, 3, 32, 32) and labels (n,) of one file.

    Raises:
        ValueError: the file is damaged, or none of CIFAR's.
    """
    try:
        with open(path, "rb") as file:
            found = _ArraysOnly(file, encoding="bytes").load()
        found = {key.decode() if isinstance(key, bytes) else key: value for key, value in found.items()}
        images = np.asarray(found["data"], dtype=np.uint8).reshape(-1, 3, 32, 32)
        labels = np.asarray(found[label_key], dtype=np.uint8)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a file of CIFAR, or a damaged one ({error}): delete it") from error
    if labels.shape != (len(images),):
        raise ValueError(f"{path} has {len(images)} images, {labels.size} labels")
    return images, labels


@dataclass(frozen=True)
class Archive:
    """Where a data set's archive is, and its files."""

    target: str
    url: str
    sha256: str
    folder: str
    train: tuple[str, ...]
    test: str

    def load(self, label_key: str) -> tuple[Split, Split]:
        """Both parts, from the archive unpacked in the cache or downloaded."""
        path = get_file(self.target, self.url, extract=True, file_hash=self.sha256)
        return self._part(path, self.train, label_key), self._part(path, (self.test,), label_key)

    def _part(self, path: str, names: tuple[str, ...], label_key: str) -> Split:
        read = [read_batch(os.path.join(path, self.folder, name), label_key) for name in names]
        images = np.concatenate([images for images, _ in read])
        if config.image_data_format() == "channels_last":
            images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        return images, np.concatenate([labels for _, labels in read])[:, None]
