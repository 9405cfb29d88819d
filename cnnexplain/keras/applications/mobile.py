"""What mobile networks share: channel counts, and the widths and image sides of ImageNet's weights."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

from .. import config
from ..nodes import Symbol
from . import imagenet_utils


def known_sides(shape: Any) -> tuple:
    """Height and width in a shape without the batch axis."""
    shape = tuple(shape)
    return shape[1:3] if config.image_data_format() == "channels_first" else shape[:2]


def image_side(
    input_shape: Any, like: Any, sides: Collection[int], include_top: bool, weights: Any
) -> tuple[int, int | None]:
    """The side of the image by default, and the one that names a model and its file of weights.

    Args:
        input_shape: As the user gave it.
        like: The shape whose side is the default one if there are weights for it.
        sides: Those for which there are ImageNet's weights.
        include_top: Whether the classifier is part of the network.
        weights: As the user gave them.
    """
    rows, columns = known_sides(like) if like is not None and len(tuple(like)) == 3 else (None, None)
    size = rows if rows == columns and rows in sides else 224
    shape = imagenet_utils.obtain_input_shape(
        input_shape, size, 32, config.image_data_format(), include_top, weights
    )
    rows, columns = known_sides(shape)
    if imagenet_utils.is_imagenet(weights) and (rows != columns or rows not in sides):
        warnings.warn(
            f"There are no ImageNet weights for images of {rows} x {columns} pixels, only for squares of "
            f"{', '.join(map(str, sides))}: those for 224 x 224 are loaded.",
            stacklevel=3,
        )
        rows = 224
    return size, rows


def check_width(alpha: Any, widths: Collection[float], weights: Any) -> None:
    """Refuses a width that ImageNet's weights do not exist for."""
    if imagenet_utils.is_imagenet(weights) and alpha not in widths:
        raise ValueError(
            f"`alpha` must be one of {', '.join(map(str, widths))} with ImageNet's weights. Received: "
            f"alpha={alpha}"
        )


def check_tensor(input_tensor: Any, input_shape: Any) -> None:
    """Refuses an input that is no symbol or has another size than the shape beside it says."""
    if input_tensor is None or input_shape is None:
        return
    if not isinstance(input_tensor, Symbol):
        raise ValueError(f"`input_tensor` must be a KerasTensor. Received: input_tensor={input_tensor}")
    if known_sides(tuple(input_tensor.shape)[1:]) != known_sides(input_shape):
        raise ValueError(
            "`input_shape` must be the shape of `input_tensor`. Received: "
            f"input_shape={input_shape}, input_tensor.shape={tuple(input_tensor.shape)}"
        )


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor that is not more than a tenth below."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
