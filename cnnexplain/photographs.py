"""Photographs that installed packages carry, what EfficientNet-Lite0 sees in them, and where."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np


def available() -> bool:
    """Whether the network's weights are installed: those of `cnnexplain[imagenet]`."""
    from .keras.applications import pretrained

    return pretrained.has_lite0()


def sample_photographs() -> dict[str, Path]:
    """Photographs by name: Grace Hopper from matplotlib; coffee and a cat from scikit-image, if installed.

    >>> sample_photographs()["grace_hopper"].name
    'grace_hopper.jpg'
    """
    places = {
        "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        "coffee": ("skimage", "data/coffee.png"),
        "chelsea": ("skimage", "data/chelsea.png"),
    }
    found = {}
    for name, (package, file) in places.items():
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            if (path := Path(folder) / file).is_file():
                found[name] = path
    return found


def figure(report: Callable[[str], Any] = print) -> Any:
    """A row for each photograph: itself, its five classes, CAM, Grad-CAM, guided backpropagation, saliency.

    The maps are those of the first class; Grad-CAM, which would be CAM's map for it, is that of the second.

    Args:
        report: is given a line of text for each photograph: the classes and their probabilities.
    """
    from . import explain
    from .keras.applications import efficientnet_lite as lite

    photographs = sample_photographs()
    network = lite.EfficientNetLite0()
    pictures = [str(path) for path in photographs.values()]
    cam = explain.cam(network, pictures)
    probabilities = network.predict(lite.preprocess_input(cam.images.astype(np.float32)), verbose=0)
    five = [
        [(_plain(label), float(p)) for _, label, p in classes]
        for classes in lite.decode_predictions(probabilities)
    ]
    for name, classes in zip(photographs, five, strict=True):
        report(f"{_plain(name)}: " + ", ".join(f"{label} {p:.2f}" for label, p in classes))
    return _drawn(
        [_plain(name) for name in photographs],
        five,
        cam,
        explain.grad_cam(network, pictures, probabilities.argsort(1)[:, -2]),
        explain.guided_backprop(network, pictures),
        explain.saliency(network, pictures),
    )


def _plain(label: str) -> str:
    return label.replace("_", " ")


def _drawn(names: list[str], five: list, cam: Any, second: Any, guided: Any, saliency: Any) -> Any:
    from . import plot

    columns = (
        "photograph", "what the network sees", "CAM", "Grad-CAM,\nsecond class", "guided\nbackpropagation",
        "saliency",
    )  # fmt: skip
    figure = plot.new_figure(2.1 * len(columns) + 0.6, 2.35 * len(names) + 0.5)
    grid = figure.subplots(len(names), len(columns), squeeze=False)
    overlays = (cam.overlay(), second.overlay())
    for row, axes in enumerate(grid):
        plot.bare_image(axes[0], cam.images[row])
        axes[0].set_ylabel(names[row])
        plot.probabilities(axes[1], five[row])
        plot.bare_image(axes[2], overlays[0][row])
        plot.bare_image(axes[3], overlays[1][row])
        plot.bare_image(axes[4], 0.5 + 0.5 * _stretched(guided.raw[row]))
        plot.bare_image(axes[5], _stretched(saliency.map[row]), cmap="gray", vmin=0, vmax=1)
        for place in (2, 4, 5):
            axes[place].set_xlabel(five[row][0][0])
        axes[3].set_xlabel(five[row][1][0])
    for axes, title in zip(grid[0], columns, strict=True):
        axes.set_title(title, fontsize="medium")
    return figure


def _stretched(values: np.ndarray, share: float = 0.995) -> np.ndarray:
    """Divided by the magnitude that this share of the values stays below, and cut at -1 and 1."""
    size = np.quantile(np.abs(values), share)
    return np.clip(values / (size if size > 0 else 1), -1, 1)
