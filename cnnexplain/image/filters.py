"""Pictures through small windows: slopes, edges, patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._convert import cut, numbers, reshape_to, tensor
from .pixels import pictures

if TYPE_CHECKING:
    from ..tensor import Tensor


def bell(size: int, sigma: Any, dtype: str) -> Any:
    """(size,): a normal density at the pixels around the middle, with sum 1."""
    places = _core.tensor((np.arange(size) - (size - 1) / 2).astype(dtype))
    heights = _core.exp(_core.multiply(_core.square(_core.divide(places, sigma)), -0.5))
    return _core.divide(heights, _core.reduce_sum(heights, keepdims=True))


def each_channel(x: Any, kernel: Any, padding: str = "same") -> Any:
    """x (n,h,w,C) with every channel through the kernels (kh,kw) or (kh,kw,k): (n,h,w,C) or (n,h,w,C k)."""
    high, wide, *many = kernel.shape
    kernel = _core.reshape(kernel, shape=[high, wide, 1, *(many or [1])])
    return _core.depthwise_conv2d(
        x, _core.tile(kernel, multiples=[1, 1, int(x.shape[3]), 1]), padding=padding
    )


def steps(x: Any, axis: int) -> Any:
    """Each pixel's next neighbour along an axis minus itself, one fewer than the pixels."""
    place = axis % len(x.shape)
    length = x.shape[place] - 1
    return _core.subtract(cut(x, place, 1, length), cut(x, place, 0, length))


def image_gradients(image: Any) -> tuple[Any, Any]:
    """dy and dx of a batch: the next pixel minus this one, 0 at the end."""
    x = pictures(image)
    rank = len(x.shape)
    dy, dx = (
        _core.pad(steps(x, axis), before=[0] * rank, after=[int(k == axis % rank) for k in range(rank)])
        for axis in (-3, -2)
    )
    return dy, dx


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
    down = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    padded = _core.pad(x, before=[0, 1, 1, 0], after=[0, 1, 1, 0], mode="reflect")
    edges = each_channel(padded, _core.tensor(np.stack([down, down.T], -1), x.dtype.name), "valid")
    return reshape_to(edges, [*x.shape, 2])


def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Tensor:
    """The windows of pictures, each as one vector.

    Args:
        images: (n,h,w,C).
        sizes, strides, rates: (1, rows, columns, 1): of a window, between windows, between its pixels.
        padding: "VALID" or "SAME".

    Returns:
        (n,rows,columns,size * size * C).

    >>> import cnnexplain as tf
    >>> two, one = [1, 2, 2, 1], [1, 1, 1, 1]
    >>> tf.image.extract_patches(tf.ones((1, 4, 4, 3)), two, two, one, "VALID").shape
    TensorShape([1, 2, 2, 12])
    """
    x = tensor(images)
    if len(x.shape) != 4:
        raise ValueError(f"`images` must have shape (n, height, width, channels). Received: {tuple(x.shape)}")
    given = {"sizes": sizes, "strides": strides, "rates": rates}
    found = {key: numbers(value, key) for key, value in given.items()}
    for key, value in found.items():
        if len(value) != 4 or (value[0], value[3]) != (1, 1) or min(value) < 1:
            raise ValueError(f"`{key}` must be (1, rows, columns, 1). Received: {key}={given[key]}")
    (h, w), channels = found["sizes"][1:3], x.shape[3]
    pick = np.eye(h * w * channels).reshape(h, w, channels, h * w * channels)
    whole = x if x.dtype.is_floating else _core.cast(x, dtype="float64")
    patches = _core.conv2d(
        whole,
        _core.tensor(pick, whole.dtype.name),
        strides=found["strides"][1:3],
        dilation=found["rates"][1:3],
        padding=padding.lower(),
    )
    return patches if x.dtype.is_floating else _core.cast(patches, dtype=x.dtype.name)


__all__ = ["extract_patches", "image_gradients", "sobel_edges"]
