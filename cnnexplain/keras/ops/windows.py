"""Windows of images and rows: convolution, pooling, unfolding, blocks of pixels as channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain import nn as layout
from cnnexplain._convert import numbers

from .. import config
from ._base import alike, cut, real, reshape_to, tensor
from .linalg import einsum
from .shaping import expand_dims, moveaxis, squeeze, stack

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "conv", "conv_transpose", "depth_to_space",
    "depthwise_conv", "fold", "max_pool", "separable_conv", "space_to_depth", "unfold",
]  # fmt: skip


def _spatial(x: Any, name: str = "inputs") -> int:
    count = len(x.shape) - 2
    if count not in (1, 2):
        raise ValueError(
            f"`{name}` must have rank 3 or 4: there are no operations on volumes. "
            f"Received: {name}.shape={tuple(x.shape)}"
        )
    return count


def _several(value: Any, count: int, name: str) -> list[int]:
    """One number for each spatial axis, with 1 in front for rows."""
    sizes = numbers(value, name)
    sizes = sizes * count if len(sizes) == 1 else sizes
    if len(sizes) != count:
        raise ValueError(f"`{name}` must be an integer or {count} integers. Received: {name}={value}")
    return [1] * (2 - count) + sizes


def _as_images(x: Any, data_format: str | None) -> tuple[Any, int, Callable[[Any], Any]]:
    """x as images with channels last, how many spatial axes it has, and the way back."""
    form = config.standardize_data_format(data_format)
    count = _spatial(x)
    if form == "channels_first":
        x = moveaxis(x, 1, -1)
    if count == 1:
        x = expand_dims(x, 1)

    def back(y: Any) -> Any:
        y = squeeze(y, 1) if count == 1 else y
        return moveaxis(y, -1, 1) if form == "channels_first" else y

    return x, count, back


def _kernel(kernel: Any, count: int) -> Any:
    kernel = tensor(kernel)
    if len(kernel.shape) != count + 2:
        raise ValueError(f"`kernel` must have rank {count + 2}. Received: kernel.shape={tuple(kernel.shape)}")
    return expand_dims(kernel, 0) if count == 1 else kernel


def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Convolution of images (n, h, w, c) by a kernel (kh, kw, c, f), or of rows (n, l, c) by (k, c, f).

    Args:
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; None: the one of `keras.config`.

    Returns:
        (n, h', w', f). A kernel with c / g channels makes g groups.
    """
    x, weights = alike(inputs, kernel)
    x, count, back = _as_images(x, data_format)
    weights = _kernel(weights, count)
    channels = x.shape[-1]
    if channels is None or channels % weights.shape[2]:
        raise ValueError(
            "The number of input channels must be a multiple of the kernel's. Received: "
            f"inputs.shape={tuple(x.shape)}, kernel.shape={tuple(weights.shape)}"
        )
    y = _core.conv2d(
        x,
        weights,
        strides=_several(strides, count, "strides"),
        padding=padding.lower(),
        dilation=_several(dilation_rate, count, "dilation_rate"),
        groups=channels // weights.shape[2],
    )
    return back(y)


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Convolution of each channel by kernels of its own (kh, kw, c, multiplier)."""
    x, weights = alike(inputs, kernel)
    x, count, back = _as_images(x, data_format)
    y = _core.depthwise_conv2d(
        x,
        _kernel(weights, count),
        strides=_several(strides, count, "strides"),
        padding=padding.lower(),
        dilation=_several(dilation_rate, count, "dilation_rate"),
    )
    return back(y)


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """A depthwise convolution, then one by a kernel of size 1 that mixes the channels."""
    middle = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(middle, pointwise_kernel, 1, "valid", data_format, 1)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """The convolution that leads back, by a kernel (kh, kw, f, c)."""
    x, weights = alike(inputs, kernel)
    x, count, back = _as_images(x, data_format)
    extra = None if output_padding is None else _several(output_padding, count, "output_padding")
    if extra is not None and count == 1:
        extra[0] = 0
    y = _core.conv2d_transpose(
        x,
        _kernel(weights, count),
        strides=_several(strides, count, "strides"),
        padding=padding.lower(),
        output_padding=extra,
        dilation=_several(dilation_rate, count, "dilation_rate"),
    )
    return back(y)


def _pool(op: str, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Any:
    x, count, back = _as_images(real(inputs), data_format)
    size = _several(pool_size, count, "pool_size")
    y = getattr(_core, op)(
        x,
        pool_size=size,
        strides=size if strides is None else _several(strides, count, "strides"),
        padding=padding.lower(),
    )
    return back(y)


def max_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The greatest value of each window, of images or rows."""
    return _pool("max_pool2d", inputs, pool_size, strides, padding, data_format)


def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The mean of each window, of images or rows; padding is not counted."""
    return _pool("average_pool2d", inputs, pool_size, strides, padding, data_format)


def _adaptive(inputs: Any, output_size: Any, data_format: str | None, reduce: Callable) -> Any:
    """Windows from floor(i n / m) to ceil((i + 1) n / m) along each spatial axis."""
    x = real(inputs)
    form = config.standardize_data_format(data_format)
    count = _spatial(x)
    first = 1 if form == "channels_last" else 2
    sizes = _several(output_size, count, "output_size")[2 - count :]
    for place, wanted in zip(range(first, first + count), sizes, strict=True):
        length = x.shape[place]
        if length is None or wanted < 1:
            raise ValueError(
                "`output_size` must be positive and the spatial axes known. Received: "
                f"output_size={output_size}, inputs.shape={tuple(x.shape)}"
            )
        windows = []
        for i in range(wanted):
            begin, end = i * length // wanted, -((-(i + 1) * length) // wanted)
            windows.append(reduce(cut(x, place, begin, end - begin), axis=[place]))
        x = stack(windows, place)
    return x


def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """Means of windows of nearly equal size, so many along each spatial axis."""
    return _adaptive(inputs, output_size, data_format, _core.reduce_mean)


def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Tensor:
    """The greatest values of windows of nearly equal size, so many along each spatial axis."""
    return _adaptive(inputs, output_size, data_format, _core.reduce_max)


def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """(n, h, w, c b b) as (n, h b, w b, c): each pixel's channels spread over a block."""
    return _blocks(layout.depth_to_space, x, block_size, data_format)


def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """(n, h b, w b, c) as (n, h, w, b b c): the pixels of each block as channels."""
    return _blocks(layout.space_to_depth, x, block_size, data_format)


def _blocks(function: Callable, x: Any, block_size: int, data_format: str) -> Any:
    form = config.standardize_data_format(data_format)
    x = tensor(x)
    y = function(moveaxis(x, 1, -1) if form == "channels_first" else x, block_size)
    return moveaxis(y, -1, 1) if form == "channels_first" else y


def _window_places(size: int, kernel: int, dilation: int, stride: int) -> np.ndarray:
    """(kernel, windows): where each element of each window lies."""
    count = (size - dilation * (kernel - 1) - 1) // stride + 1
    if min(kernel, dilation, stride, count) < 1:
        raise ValueError(
            f"A window of {kernel} elements, dilation {dilation} and stride {stride} does not fit into {size}"
        )
    return np.arange(kernel)[:, None] * dilation + np.arange(count) * stride


def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of images (n, c, h, w) as columns: (n, c kh kw, windows)."""
    x = tensor(x)
    k, d, p, s = (
        _several(value, 2, name)
        for value, name in (
            (kernel_size, "kernel_size"),
            (dilation, "dilation"),
            (padding, "padding"),
            (stride, "stride"),
        )
    )
    if len(x.shape) != 4 or None in tuple(x.shape[1:]):
        raise ValueError(f"`x` must have shape (n, c, h, w). Received: x.shape={tuple(x.shape)}")
    if any(p):
        x = _core.pad(x, before=[0, 0, *p], after=[0, 0, *p])
    batch, channels, height, width = x.shape
    rows, columns = _window_places(height, k[0], d[0], s[0]), _window_places(width, k[1], d[1], s[1])
    places = rows[:, None, :, None] * width + columns[None, :, None, :]
    flat = reshape_to(x, [batch, channels, height * width])
    taken = _core.gather(flat, _core.tensor(places.reshape(k[0] * k[1], -1)), axis=2)
    return reshape_to(taken, [batch, channels * k[0] * k[1], rows.shape[1] * columns.shape[1]])


def fold(
    x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns (n, c kh kw, windows) added up where their windows lie: (n, c, h, w); `unfold` transposed."""
    x = tensor(x)
    o, k, d, p, s = (
        _several(value, 2, name)
        for value, name in (
            (output_size, "output_size"), (kernel_size, "kernel_size"), (dilation, "dilation"),
            (padding, "padding"), (stride, "stride"),
        )
    )  # fmt: skip
    height, width = o[0] + 2 * p[0], o[1] + 2 * p[1]
    rows, columns = _window_places(height, k[0], d[0], s[0]), _window_places(width, k[1], d[1], s[1])
    windows = rows.shape[1] * columns.shape[1]
    if len(x.shape) != 3 or not x.shape[1] or x.shape[1] % (k[0] * k[1]) or x.shape[2] not in (None, windows):
        raise ValueError(
            f"`x` must have shape (n, c * {k[0] * k[1]}, {windows}) for these windows. "
            f"Received: x.shape={tuple(x.shape)}"
        )
    batch, channels = x.shape[0], x.shape[1] // (k[0] * k[1])
    x = reshape_to(x, [batch, channels, k[0], k[1], rows.shape[1], columns.shape[1]])
    down = np.zeros((k[0], rows.shape[1], height))
    across = np.zeros((k[1], columns.shape[1], width))
    for matrix, places in ((down, rows), (across, columns)):
        first, second = np.indices(places.shape)
        matrix[first, second, places] = 1.0
    name = x.dtype.name
    y = einsum("bcijpq,jqw->bcipw", x, _core.tensor(across.astype(name)))
    y = einsum("bcipw,iph->bchw", y, _core.tensor(down.astype(name)))
    return _core.slice(y, begin=[0, 0, *p], size=[-1, -1, *o])
