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
        kind: what is done, a key of the dictionary of each side.
        images: the batch, or the data set of an epoch.
        rival: the side that it is compared with, a key of SIDES.
        must, aim: the ratio rival / this package that has to hold, and where the limits point; 0: none.
        size: the side of the image, if not the network's own.
        most_mb: what a fresh process may take at most, in MB of 2**20 bytes; 0: no limit.
    """

    network: str
    kind: str
    must: float = 0
    aim: float = 0
    images: int = 1
    rival: str = "pytorch"
    size: int = 0
    most_mb: float = 0

    @property
    def name(self) -> str:
        size = f" {self.size}x{self.size}" if self.size else ""
        images = f", {self.images} images" if self.images > 1 else ""
        return f"{self.network} {self.kind}{size}{images}"


MOST_FAULTS = 100  # of a call after the first
# layer of Grad-CAM, side of the image
NETWORKS: dict[str, tuple[str, int]] = {
    "VGG16": ("block5_conv3", 224),
    "ResNet50": ("conv5_block3_out", 224),
    "MobileNetV2": ("out_relu", 224),
    "InceptionV3": ("mixed10", 299),
    "lecture": ("conv2d_3", 28),
}
TABLE = [
    Work("VGG16", "forward", 2.2, 2.6),
    Work("VGG16", "saliency", 2.3, 2.8),
    Work("VGG16", "grad_cam", 2.2, 2.6, most_mb=1.1e9 / 2**20),
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
    Work("VGG16", "saliency_listing", 4, 6, rival="tensorflow"),
    Work("VGG16", "grad_cam_listing", 4, 6, rival="tensorflow"),
    Work("ResNet50", "saliency_listing", 8, 20, rival="tensorflow"),
    Work("ResNet50", "grad_cam_listing", 8, 20, rival="tensorflow"),
    Work("VGG16", "grad_cam", 4, 8, rival="pytorch-grad-cam"),
    Work("ResNet50", "grad_cam", 4, 8, rival="pytorch-grad-cam"),
    Work("ResNet50", "integrated_gradients", 2.5, 0, rival="captum"),
    Work("ResNet50", "smooth_grad", 2.5, 0, rival="captum"),
    Work("ResNet50", "occlusion", 5, 0, rival="captum"),
    Work("ResNet50", "grad_cam_plus_plus", 1 / 1.1, 0, rival="own grad_cam"),
    Work("ResNet50", "layer_cam", 1 / 1.1, 0, rival="own grad_cam"),
]

CURVES = [Work("ResNet50", "forward", images=2**k) for k in range(7)]
CURVES += [Work("VGG16", "forward", size=2**k) for k in range(5, 11)]
CURVES += [Work("VGG16", "saliency", size=2**k) for k in range(5, 11)]
CURVES += [Work("lecture", "saliency", images=2**k) for k in range(7)]


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
        size = {"input_shape": (work.size, work.size, 3), "include_top": False} if work.size else {}
        return getattr(keras.applications, work.network)(weights=None, **size)
    layers = [keras.Input((28, 28, 1))]
    for place, filters in enumerate((16, 32, 64, 128)):
        name = "conv2d" + f"_{place}" * bool(place)
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name))
        if place < 3:
            layers.append(keras.layers.MaxPooling2D())
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential(layers)


def _multiplications(layer: Any) -> float:
    """Of one image, as the formula of the layer has them."""
    kind = type(layer).__name__
    if kind not in ("Conv2D", "DepthwiseConv2D", "Dense"):
        return 0.0
    if kind == "Dense":
        return float(np.prod(layer.kernel.shape))
    rows, columns, channels, filters = layer.kernel.shape
    area = layer.output.shape[1] * layer.output.shape[2]
    return float(area) * rows * columns * channels * filters


def flop(work: Work, model: Any) -> float:
    """Floating-point operations of a call, multiplied directly: an algorithm that needs fewer seems faster.

    A gradient with respect to a layer's input, or to its kernel, costs what the layer costs; the first layer
    has no gradient of its input in training. A method that looks at variants of an image costs all of them.
    """
    cost = [2 * work.images * _multiplications(layer) for layer in model.layers]
    forward = sum(cost)
    names = [layer.name for layer in model.layers]
    behind = sum(cost[names.index(NETWORKS[work.network][0]) + 1 :]) if not work.size else 0.0
    train = 3 * forward - next(filter(None, cost))
    places = len(range(0, NETWORKS[work.network][1] - 32 + 1, 16)) ** 2
    known = {
        "forward": forward,
        "saliency": 2 * forward,
        "integrated_gradients": 50 * 2 * forward,
        "smooth_grad": 32 * 2 * forward,
        "occlusion": (places + 1) * forward,
        "train_step": train,
        "epoch": train,
    }
    kind = work.kind.removesuffix("_listing")
    return known.get(kind, forward + behind)
