"""Receptive fields: the pixels of the image that an activation can see."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .projection import Projection, open_for_feature


def receptive_field(
    model: Any, layer: Any, position: tuple[int, int] | None = None, *, size: tuple[int, int] | None = None
) -> tuple[int, int, int, int]:
    """The pixels that an activation can see: top, left, bottom and right, the last two exclusive.

    It is the smallest rectangle that holds them, by exact arithmetic through windows, steps, dilation and
    padding, cut at the image's border. Behind operations that move pixels around (reshape, transpose) the
    whole image counts.

    Args:
        model: a keras Model or Sequential with one input.
        layer: a name, "outer/inner" inside a nested model, an index or a layer.
        position: row and column of the activation. None: the middle of the map.
        size: height and width of the image, where the model takes any.

    Returns:
        (top, left, bottom, right); bottom is not above top where the activation sees padding alone.

    Raises:
        ValueError: no such layer or position, or no size where the model has none.

    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> cx.explain.receptive_field(network, "conv2d_2", (3, 3))
    (5, 5, 23, 23)
    >>> cx.explain.receptive_field(network, "conv2d", (0, 0))
    (0, 0, 2, 2)
    """
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, (tuple, list)) or len(shape) != 4:
        raise ValueError(f"`model` must have one input of images. Received: input_shape={shape}")
    sides = _pair(shape[1:3] if size is None else size)
    if sides is None or min(sides) < 1:
        what = "(height, width) for a model that takes any"
        raise ValueError(f"`size` must be {what}. Received: size={size!r}")
    image = np.zeros((1, *sides, shape[3] or 1), np.float32)
    session = open_for_feature("receptive_field", model, image, None, "none", None, 1, None)
    way = Projection(session, layer, "gradient")
    height, width = way.shape[:2] if len(way.shape) == 3 else (1, 1)
    if position is None:
        row, column = height // 2, width // 2
    else:
        row, column = _pair(position) or (-1, -1)
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"`position` must be (row, column) inside the maps of layer {way.path!r}, {height} x {width}. "
            f"Received: position={position!r}"
        )
    places = np.array([[row, column, row + 1, column + 1]])
    top, left, bottom, right = way.reach.fields(way.symbol, places)[0].tolist()
    return top, left, bottom, right


def _pair(given: Any) -> tuple[int, int] | None:
    """Two whole numbers; None: they are not."""
    try:
        first, second = given
        return operator.index(first), operator.index(second)
    except (TypeError, ValueError):
        return None
