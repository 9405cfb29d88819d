"""What is timed: networks, kinds of work, and how many times faster than a rival this package is to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Work:
    """A row of the table.

    Attributes:
        network: a key of NETWORKS.
        kind: a function of that name on each side.
        images: the batch, or the data set of an epoch.
        rivals: the sides that it is compared with.
        must, aim: the ratio rival / this package that has to hold, and where the limits point.
    """

    network: str
    kind: str
    must: float
    aim: float
    images: int = 1
    rivals: tuple[str, ...] = ("pytorch",)
    size: int | None = None

    @property
    def name(self) -> str:
        size = f" {self.size}x{self.size}" if self.size else ""
        return f"{self.network} {self.kind}{size}, {self.images} image{'s' * (self.images > 1)}"


# layer of Grad-CAM, side of the image
NETWORKS: dict[str, tuple[str, int]] = {
    "VGG16": ("block5_conv3", 224),
    "ResNet50": ("conv5_block3_out", 224),
    "MobileNetV2": ("out_relu", 224),
    "InceptionV3": ("mixed10", 299),
    "lecture": ("conv2d_3", 28),
}
_LISTING = ("tensorflow",)
TABLE = [
    Work("VGG16", "forward", 2.2, 2.6),
    Work("VGG16", "saliency", 2.3, 2.8),
    Work("VGG16", "grad_cam", 2.2, 2.6),
    Work("ResNet50", "forward", 1.8, 2.4),
    Work("ResNet50", "saliency", 2.2, 3),
    Work("ResNet50", "grad_cam", 1.8, 2.4),
    Work("MobileNetV2", "forward", 3, 4.5),
    Work("MobileNetV2", "saliency", 4, 7),
    Work("MobileNetV2", "grad_cam", 3, 4.5),
    Work("InceptionV3", "forward", 1.8, 2.4),
    Work("InceptionV3", "saliency", 2.2, 3),
    Work("ResNet50", "forward", 1.6, 2.2, images=16),
    Work("lecture", "forward", 1.8, 3),
    Work("lecture", "saliency", 2, 4),
    Work("lecture", "grad_cam", 2, 3),
    Work("lecture", "train_step", 2, 3, images=32),
    Work("lecture", "epoch", 2, 4, images=6016),
    Work("VGG16", "train_step", 1.5, 2.5, images=8),
    Work("VGG16", "saliency_listing", 4, 6, rivals=_LISTING),
    Work("VGG16", "grad_cam_listing", 4, 6, rivals=_LISTING),
    Work("ResNet50", "saliency_listing", 8, 20, rivals=_LISTING),
    Work("ResNet50", "grad_cam_listing", 8, 20, rivals=_LISTING),
]

CURVES = [Work("ResNet50", "forward", 0, 0, images=2**k) for k in range(7)]
CURVES += [Work("VGG16", "forward", 0, 0, size=2**k) for k in range(5, 11)]
CURVES += [Work("lecture", "forward", 0, 0, images=2**k) for k in range(7)]


def pixels(work: Work) -> np.ndarray:
    """The images of a row, the same on every side."""
    side = work.size or NETWORKS[work.network][1]
    channels = 1 if work.network == "lecture" else 3
    shape = (work.images, side, side, channels)
    return np.random.default_rng(1).random(shape, dtype=np.float32)


def network(work: Work, keras: Any) -> Any:
    """The network of a row with seeded random weights, in Keras or here."""
    keras.utils.set_random_seed(0)
    if work.network != "lecture":
        size = {} if work.size is None else {"input_shape": (work.size, work.size, 3), "include_top": False}
        return getattr(keras.applications, work.network)(weights=None, **size)
    layers = [keras.Input((28, 28, 1))]
    for place, filters in enumerate((16, 32, 64, 128)):
        name = "conv2d" + f"_{place}" * bool(place)
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name))
        if place < 3:
            layers.append(keras.layers.MaxPooling2D())
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential(layers)
