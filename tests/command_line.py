"""What the tests of the command line share: the command as a user runs it, and pictures to run it on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import cnnexplain as cx
from cnnexplain import demo

HOME = Path(cx.__file__).parents[1]


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "cnnexplain", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """This process's, in which the package that the tests import is found."""
    return {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(HOME), **more}


def run(*arguments, **options):
    """`python -m cnnexplain` on the package that the tests import, wherever they are started."""
    options = {"cwd": HOME, "env": environment(), **options}
    return subprocess.run(command(*arguments), capture_output=True, text=True, **options)


def shipped_bytes() -> tuple[np.ndarray, np.ndarray]:
    """The shipped images as the data set has them: uint8 (500,28,28), and their labels."""
    images, labels = demo.load_test_images()
    return np.rint(images[..., 0] * 255).astype(np.uint8), labels


def clothes(folder: Path, count: int = 4, damaged: bool = False) -> np.ndarray:
    """Writes pictures 0.png, 1.png, ... of the first classes; returns them, uint8 (count,28,28)."""
    images, labels = shipped_bytes()
    chosen = np.stack([images[np.flatnonzero(labels == i % 10)[i // 10]] for i in range(count)])
    folder.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(chosen):
        Image.fromarray(image).save(folder / f"{place}.png")
    if damaged:
        (folder / "damaged.png").write_bytes((folder / "0.png").read_bytes()[:60])
    return chosen


def answers(images: np.ndarray) -> np.ndarray:
    """(n,10) probabilities of the shipped network."""
    return demo.load_network().predict(images[..., None] / np.float32(255), verbose=0)
