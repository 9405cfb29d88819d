"""Numbers that tell of pictures: roughness, and likeness to another picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._convert import dtype_name, filled, tensor
from .filters import bell, each_channel, steps
from .pixels import as_float_values, pictures

if TYPE_CHECKING:
    from ..tensor import Tensor


def total_variation(images: Any, name: str | None = None) -> Tensor:
    """The sum of |differences| between neighbouring pixels, one number for each picture."""
    x = pictures(images, "images")
    down, across = (_core.reduce_sum(_core.abs(steps(x, axis)), axis=[-3, -2, -1]) for axis in (-3, -2))
    return _core.add(down, across)


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


def similarity(
    x: Any, y: Any, span: float, filter_size: int, filter_sigma: float, k1: float, k2: float
) -> Any:
    """The index of structural similarity at each window of float pictures (n,h,w,C)."""
    line = bell(filter_size, filter_sigma, x.dtype.name)
    window = _core.multiply(_core.reshape(line, shape=[filter_size, 1]), line)

    def mean(z: Any) -> Any:
        return each_channel(z, window, "valid")

    c1, c2 = (k1 * span) ** 2, (k2 * span) ** 2
    mean_x, mean_y = mean(x), mean(y)
    product, squares = mean_x * mean_y * 2.0, _core.square(mean_x) + _core.square(mean_y)
    covariance, variances = mean(x * y) * 2.0 - product, mean(_core.square(x) + _core.square(y)) - squares
    return (product + c1) * (covariance + c2) / ((squares + c1) * (variances + c2))


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
    """Structural similarity, 1 for equal pictures (Wang et al., IEEE Transactions on Image Processing 2004).

    The mean over windows and channels of
    (2 m1 m2 + c1) (2 s12 + c2) / ((m1^2 + m2^2 + c1) (s1^2 + s2^2 + c2)) with the windows' means m,
    variances s^2 and covariance s12 under a normal density, c1 = (k1 max_val)^2, c2 = (k2 max_val)^2.

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
    x, y = (_core.reshape(_core.broadcast_to(z, shape=shape), shape=[-1, *shape[-3:]]) for z in (x, y))
    index = similarity(x, y, top, filter_size, filter_sigma, k1, k2)
    index = _core.reshape(index, shape=[*shape[:-3], *list(index.shape)[1:]])
    return _core.reduce_mean(index, axis=[-1] if return_index_map else [-3, -2, -1])


__all__ = ["psnr", "ssim", "total_variation"]
