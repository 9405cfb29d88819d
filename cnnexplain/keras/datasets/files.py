"""Where the four files of a data set are: the cache, a system folder, or a download with a checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.files import keras_home
from .idx import read_idx

Split = tuple[np.ndarray, np.ndarray]


def home() -> Path:
    """The folder for downloads: CNNEXPLAIN_HOME, else ~/.cnnexplain."""
    return Path(os.environ.get("CNNEXPLAIN_HOME") or Path.home() / ".cnnexplain")


@dataclass(frozen=True)
class Source:
    """Four idx files, `{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz`, with their SHA-256 sums."""

    name: str
    url: str
    sha256: dict[str, str]
    system: Path | None = None

    def find(self, file: str) -> Path:
        """The path of one file; downloads it into the cache when it is nowhere else."""
        cache = home() / "datasets" / self.name
        for folder in filter(None, (cache, Path(keras_home()) / "datasets" / self.name, self.system)):
            for candidate in (folder / file, folder / file.removesuffix(".gz")):
                if candidate.is_file():
                    return candidate
        return self._download(file, cache)

    def _download(self, file: str, cache: Path) -> Path:
        import pooch

        try:
            path = pooch.retrieve(
                self.url + file, f"sha256:{self.sha256[file]}", fname=file, path=cache, progressbar=True
            )
        except Exception as error:
            places = " or ".join(str(folder) for folder in (cache, self.system) if folder)
            raise OSError(
                f"{self.name} is not on this machine and {self.url}{file} could not be downloaded ({error}). "
                f"Place its four .gz files into {places}"
            ) from error
        return Path(path)

    def load(self) -> tuple[Split, Split]:
        """Reads the four files and checks that images and labels belong together."""
        return self._split("train"), self._split("t10k")

    def _split(self, part: str) -> Split:
        image_file = self.find(f"{part}-images-idx3-ubyte.gz")
        label_file = self.find(f"{part}-labels-idx1-ubyte.gz")
        images, labels = read_idx(image_file), read_idx(label_file)
        if images.ndim != 3 or images.dtype != np.uint8:
            raise ValueError(
                f"{image_file} must hold uint8 images (n, H, W). "
                f"Received: {images.dtype}, shape={images.shape}"
            )
        if labels.ndim != 1 or labels.dtype != np.uint8:
            raise ValueError(
                f"{label_file} must hold uint8 labels (n,). Received: {labels.dtype}, shape={labels.shape}"
            )
        if len(images) != len(labels):
            raise ValueError(f"{image_file} has {len(images)} images, {label_file} has {len(labels)} labels")
        return images, labels
