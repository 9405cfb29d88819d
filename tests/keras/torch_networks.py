"""The networks of torchvision and timm whose files our applications read, and numbers to fill them with."""

from __future__ import annotations

import sys
import types
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CLASSES = 7
_NUMBERS = np.random.default_rng(6).uniform(-1, 1, 10007).astype("float32")


@dataclass(frozen=True)
class Case:
    """A network of PyTorch, and how we ask for ours."""

    make: Callable[[], Any]
    application: str
    sides: tuple[int, int]
    settings: dict[str, Any] = field(default_factory=dict)
    preprocess: str = "torch"


def numbers(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a name: the same on every machine, so scaled that activations stay of the order of 1."""
    values = np.resize(np.roll(_NUMBERS, zlib.crc32(name.encode()) % len(_NUMBERS)), shape)
    if len(shape) > 1:
        return values * np.float32((6 / np.prod(shape[1:])) ** 0.5)
    if name.endswith("running_var"):
        return 1 + values / 2
    return 0.75 + values / 4 if name.endswith("weight") else values / 10


def images(case: Case) -> np.ndarray:
    """Two images (2, h, w, 3)."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, *case.sides, 3)).astype("float32")


def torchvision() -> Any:
    """The package, though its operators in C++ may not fit the build of PyTorch: no network needs them."""
    name = "torchvision._meta_registrations"
    sys.modules.setdefault(name, types.ModuleType(name))
    import torchvision

    return torchvision


def of_torchvision(name: str, **settings: Any) -> Any:
    return getattr(torchvision().models, name)(weights=None, num_classes=CLASSES, **settings)


def of_timm(name: str) -> Any:
    torchvision()
    import timm

    return timm.create_model(name, num_classes=CLASSES)


def small_vgg(name: str) -> Any:
    """Without the pooling to 7 x 7, which is no part of Keras's network: for maps of 2 x 2 at the end."""
    import torch

    network = of_torchvision(name)
    network.avgpool = torch.nn.Identity()
    network.classifier[0] = torch.nn.Linear(512 * 2 * 2, 4096)
    return network


def small_vgg_of_timm(name: str) -> Any:
    """The same of timm, whose dense layers are convolutions."""
    import torch

    network = of_timm(name)
    network.pre_logits.fc1 = torch.nn.Conv2d(512, 4096, 2)
    network.pre_logits.input_kernel_size = 2
    return network


def fill(network: Any) -> Any:
    """The network with `numbers` in place of its weights and statistics."""
    import torch

    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.from_numpy(numbers(name, tuple(value.shape))))
    return network.eval()


CASES = {
    "torchvision/resnet50": Case(lambda: of_torchvision("resnet50"), "ResNet50", (65, 50)),
    "torchvision/vgg16": Case(lambda: small_vgg("vgg16"), "VGG16", (64, 64)),
    "torchvision/mobilenet_v2": Case(lambda: of_torchvision("mobilenet_v2"), "MobileNetV2", (66, 71)),
    "torchvision/densenet121": Case(lambda: of_torchvision("densenet121"), "DenseNet121", (65, 50)),
    "timm/vgg16": Case(lambda: small_vgg_of_timm("vgg16"), "VGG16", (64, 64)),
    "timm/mobilenetv2_100": Case(lambda: of_timm("mobilenetv2_100"), "MobileNetV2", (64, 75)),
    "timm/efficientnet_lite0": Case(lambda: of_timm("efficientnet_lite0"), "EfficientNetLite0", (66, 71)),
    "timm/tf_efficientnet_lite0": Case(
        lambda: of_timm("tf_efficientnet_lite0"), "EfficientNetLite0", (66, 71), preprocess="tf"
    ),
}
# whose names and kinds of layers are those of another case
MORE_CASES = {
    "torchvision/resnet101": Case(lambda: of_torchvision("resnet101"), "ResNet101", (64, 33)),
    "torchvision/vgg19": Case(lambda: small_vgg("vgg19"), "VGG19", (64, 64)),
    "torchvision/mobilenet_v2, narrow": Case(
        lambda: of_torchvision("mobilenet_v2", width_mult=0.5), "MobileNetV2", (64, 64), {"alpha": 0.5}
    ),
    "torchvision/densenet169": Case(lambda: of_torchvision("densenet169"), "DenseNet169", (64, 64)),
    "timm/resnet50": Case(lambda: of_timm("resnet50"), "ResNet50", (64, 64)),
    "timm/mobilenetv2_140": Case(lambda: of_timm("mobilenetv2_140"), "MobileNetV2", (64, 64), {"alpha": 1.4}),
    "timm/densenet121": Case(lambda: of_timm("densenet121"), "DenseNet121", (64, 64)),
}
