"""The shipped network and images, and the figures made from them without a network connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

_NETWORK = "lecture-network.keras"
_IMAGES = "fashion-mnist-500.npz"
SHOWN = (0, 5, 9, 14)  # places among the shipped images

EXAMPLE = np.array([[0.8, 0.6, 0.5, 0.3], [0.3, 0.4, 0.9, 0.8], [0.2, 0.7, 0.8, 0.4], [0.5, 0.4, 0.6, 0.5]])
"""The lecture's 4x4 example of max-pooling and unpooling."""


def _data(name: str) -> dict[str, np.ndarray]:
    with (files("cnnexplain") / "data_files" / name).open("rb") as file, np.load(file) as arrays:
        return dict(arrays)


def load_network() -> Any:
    """The lecture's network, trained on Fashion-MNIST: images (n,28,28,1) in 0..1 to ten probabilities.

    `network.class_names` names the classes, `network_facts()` says how it was trained.

    >>> load_network().count_params()
    98442
    """
    from .keras.saving import load_model

    with as_file(files("cnnexplain") / "data_files" / _NETWORK) as path:
        return load_model(path)


def network_facts() -> dict[str, Any]:
    """Command, seed, epochs and test accuracy of the shipped network.

    >>> network_facts()["images"]
    60000
    """
    from .keras.saving.archive import read_notes

    with as_file(files("cnnexplain") / "data_files" / _NETWORK) as path:
        return read_notes(path)["facts"]


def load_test_images() -> tuple[np.ndarray, np.ndarray]:
    """500 test images of Fashion-MNIST, 50 of each class, as the shipped network takes them.

    Returns:
        Images float32 (500,28,28,1) in 0..1 and labels uint8 (500,) in 0..9.

    >>> images, labels = load_test_images()
    >>> images.shape, int(labels.max())
    ((500, 28, 28, 1), 9)
    """
    arrays = _data(_IMAGES)
    return arrays["images"][..., None].astype(np.float32) / 255, arrays["labels"]


def run(
    output: str | os.PathLike[str] = "cnnexplain-demo", report: Callable[[str], Any] = print
) -> list[Path]:
    """Writes the lecture's figures as PNG files into a folder; returns their paths.

    Args:
        output: the folder; it is made when it is not there.
        report: is given lines of text: where the files are, and the unpooling example in numbers.
    """
    from . import plot

    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures(report):
        path = folder / f"{name}.png"
        path.write_bytes(plot.png(figure))
        written.append(path)
        report(f"written: {path}")
    return written


def figures(report: Callable[[str], Any] = print) -> list[tuple[str, Any]]:
    """The figures by name: class activation maps, saliency, Grad-CAM, guided backpropagation, unpooling.

    With the extra `cnnexplain[imagenet]` also photographs, seen by a network that knows ImageNet's classes.
    """
    from . import photographs

    network = load_network()
    images, labels = load_test_images()
    chosen = list(SHOWN)
    x, labels = images[chosen], labels[chosen]
    made = [
        ("class-activation-map", _cam(network, x, labels)),
        ("saliency", _saliency(network, x)),
        ("grad-cam", _grad_cam(network, x)),
        ("guided-backprop", _guided_backprop(network, x)),
        ("unpooling", _unpooling(report)),
    ]
    if photographs.available():
        made.append(("photographs", photographs.figure(report)))
    else:
        report("no photographs: pip install 'cnnexplain[imagenet]' adds a network that knows 1,000 classes")
    return made


def _cam(network: Any, x: np.ndarray, labels: np.ndarray) -> Any:
    from . import explain, plot

    e = explain.cam(network, x)
    features = e.steps["activations"]
    rng = np.random.default_rng(0)
    # a map that is not blank, or there would be nothing to see
    active = [np.flatnonzero(f.max((0, 1)) > 0) for f in features]
    channels = [int(rng.choice(a)) if len(a) else 0 for a in active]
    titles = [
        f"True label: {network.class_names[label]}\nPredicted label: {name}"
        for label, name in zip(labels, e.class_name, strict=True)
    ]
    return plot.lecture_panels(x, e.map, features, channels, titles)


def _saliency(network: Any, x: np.ndarray) -> Any:
    from . import explain, ops, plot

    e = explain.saliency(network, x, score="loss")
    grey = ops.saliency(e.raw, to_uint8=True)
    return plot.picture_rows(
        [
            ("input", [(name, image[..., 0], "gray") for name, image in zip(e.class_name, x, strict=True)]),
            ("saliency", [("", image, "gray") for image in grey]),
        ]
    )


def _grad_cam(network: Any, x: np.ndarray) -> Any:
    from . import explain, plot

    rows: list[tuple[str, list[tuple[str, np.ndarray, str | None]]]] = [
        ("input", [(name, image[..., 0], "gray") for name, image in zip(_names(network, x), x, strict=True)])
    ]
    for layer in ("conv2d_3", "conv2d_2"):
        e = explain.grad_cam(network, x, layer=layer)
        rows.append((f"Grad-CAM\n{layer}", [("", image, None) for image in e.overlay()]))
    return plot.picture_rows(rows)


def _guided_backprop(network: Any, x: np.ndarray) -> Any:
    from . import explain, plot

    e = explain.guided_backprop(network, x)
    largest = np.abs(e.raw).max((1, 2, 3), keepdims=True)
    signed = 0.5 + e.raw / (2 * np.where(largest > 0, largest, 1))
    return plot.picture_rows(
        [
            ("input", [(name, image[..., 0], "gray") for name, image in zip(e.class_name, x, strict=True)]),
            ("guided\nbackpropagation", [("", image[..., 0], "gray") for image in signed]),
        ]
    )


def _names(network: Any, x: np.ndarray) -> list[str]:
    return [network.class_names[c] for c in network.predict(x, verbose=0).argmax(1)]


def _unpooling(report: Callable[[str], Any]) -> Any:
    from . import ops, plot

    pooled, switches = ops.max_pool_with_argmax(EXAMPLE[None, :, :, None], (2, 2))
    unpooled = ops.max_unpool(pooled, switches, (1, 4, 4, 1))
    for title, array in (
        ("input", EXAMPLE),
        ("max-pooling", pooled[0, :, :, 0]),
        ("unpooling", unpooled[0, :, :, 0]),
    ):
        report(f"{title}:")
        for row in array:
            report("  " + " ".join(f"{value:3g}" for value in row))
    return plot.unpooling_figure(EXAMPLE, pooled[0, :, :, 0], unpooled[0, :, :, 0])
