"""What pictures have: differences between neighbours, and likeness to another picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, _names
from ._convert import axes, dtype_name, filled, reshape_to, tensor
from ._pixels import as_float_values, pictures

if TYPE_CHECKING:
    from .tensor import Tensor


def total_variation(images: Any, name: str | None = None) -> Tensor:
    """The sum of |differences| between neighbouring pixels, one number for each picture."""
    x = pictures(images, "images")
    total = None
    for axis in (-3, -2):
        place = len(x.shape) + axis
        begin, size, other = [0] * len(x.shape), [-1] * len(x.shape), [0] * len(x.shape)
        begin[place], size[place] = 1, x.shape[place] - 1
        step = _core.subtract(
            _core.slice(x, begin=begin, size=[-1] * len(x.shape)), _core.slice(x, begin=other, size=size)
        )
        part = _core.reduce_sum(_core.abs(step), axis=[-3, -2, -1])
        total = part if total is None else _core.add(total, part)
    return total


def image_gradients(image: Any) -> tuple[Any, Any]:
    """dy and dx of a batch: the next pixel minus this one, 0 at the end."""
    x = pictures(image)
    found = []
    for axis in (-3, -2):
        place = len(x.shape) + axis
        begin, size, after = [0] * len(x.shape), [-1] * len(x.shape), [0] * len(x.shape)
        begin[place], size[place], after[place] = 1, x.shape[place] - 1, 1
        front = _core.slice(x, begin=[0] * len(x.shape), size=size)
        step = _core.subtract(_core.slice(x, begin=begin, size=[-1] * len(x.shape)), front)
        found.append(_core.pad(step, before=[0] * len(x.shape), after=after))
    return found[0], found[1]


def sobel_edges(image: Any) -> Tensor:
    """The slopes dy and dx of each channel by the 3 x 3 filters of Sobel, borders reflected.

    Args:
        image: (n,h,w,C).

    Returns:
        (n,h,w,C,2).
    """
    x = tensor(image)
    if len(x.shape) != 4:
        raise ValueError(f"`image` must have shape (n, height, width, channels). Received: {tuple(x.shape)}")
    channels = x.shape[3]
    down = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    kernel = np.tile(np.stack([down, down.T], -1)[:, :, None], (1, 1, channels, 1))
    padded = _core.pad(x, before=[0, 1, 1, 0], after=[0, 1, 1, 0], mode="reflect")
    edges = _core.depthwise_conv2d(padded, _core.tensor(kernel, x.dtype.name))
    return reshape_to(edges, [*x.shape, 2])


def psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Tensor:
    """Peak signal-to-noise ratio in decibels: 10 log10(max_val^2 / mean square difference)."""
    x, y = (as_float_values(value) for value in (a, b))
    error = _core.reduce_mean(_core.squared_difference(x, y), axis=[-3, -2, -1])
    ratio = _core.log(_core.divide(filled(float(_top(max_val, a)) ** 2, [], dtype_name("float32")), error))
    return _core.multiply(ratio, 10 / math.log(10))


def _top(max_val: Any, like: Any) -> float:
    """max_val in the scale in which pictures are compared."""
    kind = tensor(like).dtype
    return float(max_val) if kind.is_floating else float(max_val) / kind.max


def ssim(
    img1: Any,
    img2: Any,
    max_val: Any,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    return_index_map: bool = False,
) -> Tensor:
    """Structural similarity (Wang et al. 2004), 1 for equal pictures.

    Args:
        img1, img2: Pictures (..., h, w, C) of one dtype.
        max_val: The greatest value that a pixel can have.
        filter_size, filter_sigma: The Gaussian window.
        k1, k2: What keeps the quotient away from 0 / 0.
        return_index_map: The index at each pixel instead of its mean.

    Returns:
        (...), or (..., h - filter_size + 1, w - filter_size + 1) with `return_index_map`.
    """
    if tensor(img1).dtype != tensor(img2).dtype:
        raise ValueError("`img1` and `img2` must have one dtype")
    top = _top(max_val, img1)
    x, y = as_float_values(img1), as_float_values(img2)
    shape = list(np.broadcast_shapes(tuple(x.shape), tuple(y.shape)))
    if len(shape) < 3 or min(shape[-3:-1]) < filter_size:
        raise ValueError(
            f"the pictures must have at least filter_size={filter_size} rows and columns. Received: {shape}"
        )
    place = np.arange(filter_size) - (filter_size - 1) / 2
    bell = np.exp(-(place[:, None] ** 2 + place**2) / (2 * filter_sigma**2))
    window = np.repeat((bell / bell.sum())[:, :, None, None], shape[-1], axis=2)
    kernel = _core.tensor(window, x.dtype.name)

    def blur(z: Any) -> Any:
        z = _core.broadcast_to(z, shape=shape)
        means = _core.depthwise_conv2d(_core.reshape(z, shape=[-1, *shape[-3:]]), kernel)
        return _core.reshape(means, shape=[*shape[:-3], *list(means.shape)[1:]])

    c1, c2 = (k1 * top) ** 2, (k2 * top) ** 2
    mean_x, mean_y = blur(x), blur(y)
    product, squares = mean_x * mean_y * 2.0, _core.square(mean_x) + _core.square(mean_y)
    luminance = (product + c1) / (squares + c1)
    both = blur(x * y) * 2.0
    structure = (both - product + c2) / (blur(_core.square(x) + _core.square(y)) - squares + c2)
    index = luminance * structure
    return _core.reduce_mean(index, axis=axes([-1] if return_index_map else [-3, -2, -1]))


__all__ = _names.defined(__name__)
