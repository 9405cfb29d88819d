"""Sliding windows over pictures and sequences: convolution, pooling, blocks.

Images are (n, height, width, channels); with `data_format="NCHW"` they are transposed on the way in and out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names
from .._convert import dtype_name, number, numbers, reshape_to, tensor

if TYPE_CHECKING:
    from ..tensor import Tensor


def _two(value: Any, name: str, data_format: str) -> tuple[int, int]:
    """Height and width of 1, 2 or 4 numbers."""
    found = numbers(value, name)
    if len(found) == 4:
        outside = (found[0], found[1]) if data_format == "NCHW" else (found[0], found[3])
        found = found[2:] if data_format == "NCHW" else found[1:3]
        if outside != (1, 1):
            raise ValueError(f"`{name}` must be 1 for the batch and the channels. Received: {name}={value}")
    if len(found) not in (1, 2) or min(found) < 1:
        raise ValueError(
            f"`{name}` must be a positive integer or a list of 1, 2 or 4. Received: {name}={value}"
        )
    return found[0], found[-1]


def _padding(padding: Any, data_format: str) -> dict[str, Any]:
    """The attributes of "SAME", "VALID" or a pair for each axis."""
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID"):
            raise ValueError(
                f"`padding` must be 'SAME', 'VALID' or a list of pairs. Received: padding={padding!r}"
            )
        return {"padding": padding.lower()}
    pairs = np.asarray(padding)
    if pairs.shape == (4, 2):
        pairs = pairs[2:] if data_format == "NCHW" else pairs[1:3]
    if pairs.shape != (2, 2) or pairs.dtype.kind not in "iu" or pairs.min() < 0:
        raise ValueError(
            f"`padding` must be 'SAME', 'VALID' or a list of pairs. Received: padding={padding!r}"
        )
    return {"padding": "explicit", "pads": [int(i) for i in pairs.reshape(-1)]}


def _format(data_format: str | None) -> str:
    if data_format not in (None, "NHWC", "NCHW"):
        raise ValueError(f"`data_format` must be 'NHWC' or 'NCHW'. Received: data_format={data_format!r}")
    return data_format or "NHWC"


def _laid_out(x: Any, data_format: str | None, compute: Callable[[Any], Any]) -> Any:
    """compute of x in NHWC, the result back in data_format."""
    if _format(data_format) == "NHWC":
        return compute(tensor(x))
    result = compute(_core.transpose(x, perm=[0, 2, 3, 1]))
    return _core.transpose(result, perm=[0, 3, 1, 2])


def conv2d(
    input: Any,
    filters: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Convolution (correlation, as in every network library): y(i,j,f) = sum x(i s + u d, j s + v d, c)
    w(u,v,c,f).

    Args:
        input: (n,H,W,C).
        filters: (kh,kw,C/groups,F).
        strides: One number, two, or four with 1 for the batch and the channels.
        padding: "SAME", "VALID", or pairs of numbers of zeros before and after each axis.
        data_format: "NHWC" or "NCHW".
        dilations: Distance of the filter's cells, as strides.

    >>> import cnnexplain as tf
    >>> y = tf.nn.conv2d(tf.ones((1, 3, 3, 1)), tf.ones((2, 2, 1, 1)), strides=1, padding="VALID")
    >>> y[0, :, :, 0].numpy()
    array([[4., 4.],
           [4., 4.]], dtype=float32)
    """
    form = _format(data_format)
    attributes = {
        "strides": _two(strides, "strides", form),
        "dilation": _two(1 if dilations is None else dilations, "dilations", form),
        **_padding(padding, form),
    }
    kernel = tensor(filters)

    def compute(x: Any) -> Any:
        channels, each = x.shape[-1], kernel.shape[2] if len(kernel.shape) == 4 else 0
        groups = channels // each if each and channels and channels % each == 0 else 1
        return _core.conv2d(x, kernel, groups=groups, **attributes)

    return _laid_out(input, form, compute)


def convolution(
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`conv1d` or `conv2d`, by the rank of the input."""
    steps = 1 if strides is None else strides
    if len(tensor(input).shape) == 3:
        return conv1d(input, filters, steps, padding, data_format or "NWC", dilations)
    return conv2d(input, filters, steps, padding, data_format, dilations)


def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Convolution of each channel with filters of its own: (n,H,W,C), (kh,kw,C,m) -> channels c * m + j."""
    form = _format(data_format)
    attributes = {
        "strides": _two(strides, "strides", form),
        "dilation": _two(1 if dilations is None else dilations, "dilations", form),
        **_padding(padding, form),
    }
    return _laid_out(input, form, lambda x: _core.depthwise_conv2d(x, filter, **attributes))


def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`depthwise_conv2d`, then a 1x1 convolution."""
    x = depthwise_conv2d(input, depthwise_filter, strides, padding, data_format, dilations)
    return conv2d(x, pointwise_filter, 1, "VALID", data_format or "NHWC")


def conv2d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str | None = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of `conv2d`, which is its gradient: (n,h,w,F), filters (kh,kw,C,F) -> output_shape
    (n,H,W,C).

    >>> import cnnexplain as tf
    >>> y = tf.nn.conv2d_transpose(tf.ones((1, 2, 2, 1)), tf.ones((2, 2, 1, 1)), (1, 4, 4, 1), strides=2)
    >>> float(tf.reduce_sum(y))
    16.0
    """
    form = _format(data_format)
    sizes = (
        list(output_shape)
        if isinstance(output_shape, (list, tuple))
        else numbers(output_shape, "output_shape")
    )
    if len(sizes) == 4:
        sizes = sizes[2:] if form == "NCHW" else sizes[1:3]
    if len(sizes) != 2:
        raise ValueError(f"`output_shape` must have 4 numbers. Received: output_shape={output_shape}")
    if not isinstance(padding, str):
        raise ValueError(f"`padding` must be 'SAME' or 'VALID'. Received: padding={padding!r}")
    attributes = {
        "strides": _two(strides, "strides", form),
        "dilation": _two(1 if dilations is None else dilations, "dilations", form),
        "output_size": [number(size, "output_shape") for size in sizes],
        **_padding(padding, form),
    }
    return _laid_out(input, form, lambda x: _core.conv2d_transpose(x, filters, **attributes))


def max_pool2d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """The greatest in each window; of equals the first has the gradient.

    >>> import cnnexplain as tf
    >>> tf.nn.max_pool2d(tf.reshape(tf.range(16.0), (1, 4, 4, 1)), 2, 2, "VALID")[0, :, :, 0].numpy()
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    attributes = _pooling(ksize, strides, padding, data_format)
    return _laid_out(input, data_format, lambda x: _core.max_pool2d(x, **attributes))


def avg_pool2d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """The mean of each window's cells that are inside the image."""
    attributes = _pooling(ksize, strides, padding, data_format)
    return _laid_out(input, data_format, lambda x: _core.average_pool2d(x, **attributes))


def max_pool(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    name: str | None = None,
) -> Tensor:
    """`max_pool1d` or `max_pool2d`, by the rank of the input."""
    if len(tensor(input).shape) == 3:
        return max_pool1d(input, ksize, strides, padding, data_format or "NWC")
    return max_pool2d(input, ksize, strides, padding, data_format or "NHWC")


def avg_pool(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    name: str | None = None,
) -> Tensor:
    """`avg_pool1d` or `avg_pool2d`, by the rank of the input."""
    if len(tensor(input).shape) == 3:
        return avg_pool1d(input, ksize, strides, padding, data_format or "NWC")
    return avg_pool2d(input, ksize, strides, padding, data_format or "NHWC")


def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`max_pool` ("MAX") or `avg_pool` ("AVG"); without dilation."""
    if pooling_type not in ("MAX", "AVG"):
        raise ValueError(f"`pooling_type` must be one of: MAX, AVG. Received: pooling_type={pooling_type!r}")
    if dilations is not None and set(numbers(dilations, "dilations")) != {1}:
        raise ValueError(f"`dilations` must be 1. Received: dilations={dilations}")
    function = max_pool if pooling_type == "MAX" else avg_pool
    return function(input, window_shape, 1 if strides is None else strides, padding, data_format)


def atrous_conv2d(value: Any, filters: Any, rate: int, padding: Any, name: str | None = None) -> Tensor:
    """`conv2d` whose filter cells are `rate` pixels apart."""
    return conv2d(value, filters, 1, padding, dilations=rate)


def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: str, name: str | None = None
) -> Tensor:
    """`conv2d_transpose` whose filter cells are `rate` pixels apart."""
    return conv2d_transpose(value, filters, output_shape, 1, padding, dilations=rate)


# One dimension is two of which the first has length 1.


def _one(value: Any, name: str, data_format: str) -> int:
    found = numbers(value, name)
    if len(found) == 3:
        found = [found[2 if data_format == "NCW" else 1]]
    if len(found) != 1 or found[0] < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value}")
    return found[0]


def _flat(x: Any, data_format: str | None, compute: Callable[[Any], Any]) -> Any:
    """compute of (n,1,w,c) for a sequence (n,w,c), or (n,c,w)."""
    if data_format not in (None, "NWC", "NCW"):
        raise ValueError(f"`data_format` must be 'NWC' or 'NCW'. Received: data_format={data_format!r}")
    x = tensor(x)
    if len(x.shape) != 3:
        raise ValueError(f"`input` must have 3 dimensions. Received: input.shape={tuple(x.shape)}")
    if data_format == "NCW":
        x = _core.transpose(x, perm=[0, 2, 1])
    y = compute(reshape_to(x, [x.shape[0], 1, *list(x.shape)[1:]]))
    y = reshape_to(y, [y.shape[0], *list(y.shape)[2:]])
    return _core.transpose(y, perm=[0, 2, 1]) if data_format == "NCW" else y


def _row(filters: Any) -> Any:
    kernel = tensor(filters)
    if len(kernel.shape) != 3:
        raise ValueError(f"`filters` must have 3 dimensions. Received: filters.shape={tuple(kernel.shape)}")
    return _core.reshape(kernel, shape=[1, *kernel.shape])


def _around(padding: Any) -> Any:
    """Padding of the row: none above and below."""
    if isinstance(padding, str):
        return padding
    pairs = np.asarray(padding)
    return [[0, 0], [int(i) for i in (pairs[1] if pairs.shape == (3, 2) else pairs.reshape(-1))]]


def conv1d(
    input: Any,
    filters: Any,
    stride: Any,
    padding: Any,
    data_format: str | None = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Convolution of sequences (n,W,C) by filters (k,C,F): (n,w,F).

    >>> import cnnexplain as tf
    >>> tf.nn.conv1d(tf.ones((1, 4, 1)), tf.ones((2, 1, 1)), 1, "VALID")[0, :, 0].numpy()
    array([2., 2., 2.], dtype=float32)
    """
    form = data_format or "NWC"
    steps = [1, _one(stride, "stride", form)]
    apart = [1, _one(1 if dilations is None else dilations, "dilations", form)]
    kernel, pads = _row(filters), _around(padding)
    return _flat(input, form, lambda x: conv2d(x, kernel, steps, pads, dilations=apart))


def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The gradient of `conv1d` with respect to its input: (n,w,F) and filters (k,C,F) give (n,W,C)."""
    sizes = numbers(output_shape, "output_shape")
    if len(sizes) != 3:
        raise ValueError(f"`output_shape` must have 3 numbers. Received: output_shape={output_shape}")
    width = sizes[2 if data_format == "NCW" else 1]
    steps = [1, _one(strides, "strides", data_format)]
    apart = [1, _one(1 if dilations is None else dilations, "dilations", data_format)]
    kernel = _row(filters)
    return _flat(
        input, data_format, lambda x: conv2d_transpose(x, kernel, [1, width], steps, padding, dilations=apart)
    )


def max_pool1d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NWC", name: str | None = None
) -> Tensor:
    """The greatest value of each window of sequences (n,W,C)."""
    size, steps = [1, _one(ksize, "ksize", data_format)], [1, _one(strides, "strides", data_format)]
    return _flat(input, data_format, lambda x: max_pool2d(x, size, steps, _around(padding)))


def avg_pool1d(
    input: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NWC", name: str | None = None
) -> Tensor:
    """The mean of each window of sequences (n,W,C)."""
    size, steps = [1, _one(ksize, "ksize", data_format)], [1, _one(strides, "strides", data_format)]
    return _flat(input, data_format, lambda x: avg_pool2d(x, size, steps, _around(padding)))


def _pooling(ksize: Any, strides: Any, padding: Any, data_format: str) -> dict[str, Any]:
    form = _format(data_format)
    size, steps = _two(ksize, "ksize", form), _two(strides, "strides", form)
    return {"pool_size": size, "strides": steps, **_padding(padding, form)}


def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    output_dtype: Any = "int64",
    include_batch_in_index: bool = False,
    name: str | None = None,
) -> tuple[Any, Any]:
    """The greatest in each window, and its place (y W + x) C + c in its image: the switch of unpooling.

    >>> import cnnexplain as tf
    >>> pooled, switches = tf.nn.max_pool_with_argmax([[[[1.0], [4.0]], [[3.0], [2.0]]]], 2, 2, "VALID")
    >>> int(switches[0, 0, 0, 0])
    1
    """
    if _format(data_format) != "NHWC":
        raise ValueError(f"`data_format` must be 'NHWC'. Received: data_format={data_format!r}")
    attributes = _pooling(ksize, strides, padding, data_format)
    pooled, switches = _core.max_pool_with_argmax(
        input, include_batch_in_index=include_batch_in_index, **attributes
    )
    return pooled, switches if output_dtype == "int64" else _core.cast(
        switches, dtype=dtype_name(output_dtype)
    )


def space_to_depth(input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None) -> Tensor:
    """Blocks of pixels become channels: (n,H,W,C) -> (n,H/b,W/b,b b C)."""

    def compute(x: Any) -> Any:
        n, h, w, c = x.shape
        x = reshape_to(x, [n, h // block_size, block_size, w // block_size, block_size, c])
        x = _core.transpose(x, perm=[0, 1, 3, 2, 4, 5])
        return reshape_to(x, [n, h // block_size, w // block_size, block_size * block_size * c])

    return _laid_out(input, data_format, compute)


def depth_to_space(input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None) -> Tensor:
    """Channels become blocks of pixels: (n,h,w,b b C) -> (n,b h,b w,C)."""

    def compute(x: Any) -> Any:
        n, h, w, c = x.shape
        x = reshape_to(x, [n, h, w, block_size, block_size, c // block_size**2])
        x = _core.transpose(x, perm=[0, 1, 3, 2, 4, 5])
        return reshape_to(x, [n, h * block_size, w * block_size, c // block_size**2])

    return _laid_out(input, data_format, compute)


_names.publish(__name__)
