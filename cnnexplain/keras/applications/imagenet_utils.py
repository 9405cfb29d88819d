"""What the networks share: preprocessing, input shapes, weights."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from .. import config
from ..convert import as_real
from ..layers import Input
from ..nodes import Symbol

CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red of 0..255
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # red, green, blue of 0..1


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Pixels 0..255 as a network expects them.

    "caffe": RGB to BGR, minus the ImageNet mean [103.939, 116.779, 123.68]. "tf": x / 127.5 - 1.
    "torch": x / 255, minus [.485, .456, .406], over [.229, .224, .225]. "lite": (x - 127) / 128.

    Args:
        x: Array or tensor (n, h, w, 3) or (h, w, 3), or channels first. A float array is changed in place,
            as Keras does.
        data_format: "channels_last" or "channels_first".
        mode: "caffe", "tf", "torch" or "lite", which Keras does not have.

    Returns:
        The same kind of object.

    Raises:
        ValueError: An unknown mode.

    >>> preprocess_input(np.full((1, 1, 3), 255.0), mode="tf")
    array([[[1., 1., 1.]]])
    """
    if mode not in ("caffe", "tf", "torch", "lite"):
        raise ValueError(
            f"Expected mode to be one of `caffe`, `tf`, `torch` or `lite`. Received: mode={mode}"
        )
    data_format = config.standardize_data_format(data_format)
    if isinstance(x, np.ndarray):
        return _preprocess_array(x, data_format, mode)
    return _preprocess_tensor(as_real(x), data_format, mode)


def _statistics(mode: str) -> tuple[tuple, tuple | None]:
    return (CAFFE_MEAN, None) if mode == "caffe" else (MEAN, STD)


def _preprocess_array(x: np.ndarray, data_format: str, mode: str) -> np.ndarray:
    if x.dtype.kind != "f":
        x = x.astype(config.floatx())
    if mode == "tf":
        x /= 127.5
        x -= 1.0
        return x
    if mode == "lite":
        x -= 127.0
        x /= 128.0
        return x
    axis = -1 if data_format == "channels_last" else x.ndim - 3
    if mode == "torch":
        x /= 255.0
    else:
        x = np.flip(x, axis=axis)
    mean, std = _statistics(mode)
    shape = [1] * x.ndim
    shape[axis] = 3
    x -= np.asarray(mean, x.dtype).reshape(shape)
    if std is not None:
        x /= np.asarray(std, x.dtype).reshape(shape)
    return x


def _preprocess_tensor(x: Any, data_format: str, mode: str) -> Any:
    from cnnexplain import _core

    if mode == "tf":
        return x / 127.5 - 1.0
    if mode == "lite":
        return (x - 127.0) / 128.0
    rank = len(x.shape)
    axis = rank - 1 if data_format == "channels_last" else rank - 3
    x = x / 255.0 if mode == "torch" else _core.reverse(x, axis=[axis])
    mean, std = _statistics(mode)
    shape = [1] * rank
    shape[axis] = 3
    x = x - _core.tensor(np.asarray(mean, x.dtype.name).reshape(shape))
    return x if std is None else x / _core.tensor(np.asarray(std, x.dtype.name).reshape(shape))


def is_imagenet(weights: Any) -> bool:
    """Whether ImageNet's weights are asked for."""
    return isinstance(weights, str) and weights == "imagenet"


def obtain_input_shape(
    input_shape: Any, default_size: int, min_size: int, data_format: str, require_flatten: bool, weights: Any
) -> tuple:
    """The input's shape without the batch axis: the given one, checked, or the usual one."""
    first = data_format == "channels_first"
    usual = (3, default_size, default_size) if first else (default_size, default_size, 3)
    if input_shape is None:
        if require_flatten:
            return usual
        return (3, None, None) if first else (None, None, 3)
    shape = tuple(input_shape)
    if len(shape) != 3:
        raise ValueError(
            f"`input_shape` must be a tuple of three integers. Received: input_shape={input_shape}"
        )
    if require_flatten and is_imagenet(weights) and shape != usual:
        raise ValueError(
            "`input_shape` must be that of ImageNet's weights with their classifier (`include_top=True`), "
            f"{usual}. Received: input_shape={input_shape}"
        )
    channels, sides = (shape[0], shape[1:]) if first else (shape[2], shape[:2])
    if channels != 3 and is_imagenet(weights):
        raise ValueError(f"The input must have 3 channels; Received: input_shape={input_shape}")
    if channels not in (1, 3):
        warnings.warn(
            f"Images usually have 1 or 3 channels, not {channels}. Received: input_shape={input_shape}",
            stacklevel=2,
        )
    if any(side is not None and side < min_size for side in sides):
        raise ValueError(
            f"Input size must be at least {min_size}x{min_size}; Received: input_shape={input_shape}"
        )
    if require_flatten and None in shape:
        raise ValueError(
            f"`input_shape` must have no None with `include_top=True`. Received: input_shape={input_shape}"
        )
    return shape


def correct_pad(inputs: Any, kernel_size: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """How a map is padded before a convolution with strides of 2, in PyTorch's manner: less before than after
    where the size is even.

    Args:
        inputs: The map.
        kernel_size: One odd number or two.
    """
    first = config.image_data_format() == "channels_first"
    sizes = tuple(inputs.shape)[2:4] if first else tuple(inputs.shape)[1:3]
    kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
    less = (1, 1) if sizes[0] is None else tuple(1 - size % 2 for size in sizes)
    (top, left), (rows, columns) = less, (size // 2 for size in kernel)
    return (rows - top, rows), (columns - left, columns)


def check_activation(classifier_activation: Any, weights: Any) -> None:
    """Refuses a classifier activation that the weights were not trained for."""
    if weights is not None and classifier_activation not in (None, "softmax"):
        raise ValueError(
            "`classifier_activation` must be None or 'softmax' with trained weights. Received: "
            f"classifier_activation={classifier_activation}"
        )


def make_input(
    input_tensor: Any, shape: Any, fixed_size: bool, weights: Any, size: int = 224, smallest: int = 32
) -> Any:
    """The network's input symbol: 224 x 224 pixels unless asked otherwise, 32 x 32 at least."""
    if input_tensor is None or shape is not None:
        shape = obtain_input_shape(shape, size, smallest, config.image_data_format(), fixed_size, weights)
    if input_tensor is None:
        return Input(shape)
    return input_tensor if isinstance(input_tensor, Symbol) else Input(tensor=input_tensor)


@cache
def _classes() -> tuple[tuple[str, str], ...]:
    text = (files("cnnexplain") / "data_files" / "imagenet-classes.txt").read_text(encoding="utf-8")
    return tuple((line[:9], line[10:]) for line in text.splitlines())


def class_names() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes in order, as `decode_predictions` spells them.

    >>> class_names()[281:283]
    ('tabby', 'tiger_cat')
    """
    return tuple(name for _, name in _classes())


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The most probable of ImageNet's 1,000 classes, without a network connection.

    Args:
        preds: Probabilities (n, 1000), an array or a tensor.
        top: How many of each image.

    Returns:
        For each image a list of (WordNet's id, name, probability), the most probable first.

    Raises:
        ValueError: Another shape.

    >>> decode_predictions(np.eye(1000)[[967]], top=1)[0][0][:2]
    ('n07920052', 'espresso')
    """
    shape = tuple(getattr(preds, "shape", ()))
    if len(shape) != 2 or shape[1] != 1000:
        raise ValueError(
            "`preds` must be the probabilities of ImageNet's 1,000 classes, of shape (n, 1000). Received: an "
            f"array of shape {shape}"
        )
    if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 1:
        raise ValueError(f"`top` must be a positive integer. Received: top={top!r}")
    array = np.asarray(preds)
    order = array.argsort(axis=1)[:, -top:][:, ::-1]
    return [[(*_classes()[c], row[c]) for c in chosen] for row, chosen in zip(array, order, strict=True)]
