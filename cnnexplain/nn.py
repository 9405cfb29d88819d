"""The operations of networks: activations, convolutions, pooling, normalisation, losses.

Images are (n, height, width, channels); with `data_format="NCHW"` they are transposed on the way in and out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core, _names
from ._convert import axis_of, dtype_name, number, numbers, reshape_to, tensor
from .arrays import gather
from .linalg import l2_normalize
from .math import (
    log_sigmoid,
    log_softmax,
    sigmoid,
    softmax,
    softplus,
    softsign,
    tanh,
)
from .ordering import top_k
from .reductions import in_top_k, zero_fraction

# activations


def relu(features: Any, name: str | None = None) -> Any:
    """max(x, 0).

    >>> import cnnexplain as tf
    >>> tf.nn.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    return _core.relu(features)


def relu6(features: Any, name: str | None = None) -> Any:
    """min(max(x, 0), 6)."""
    return _core.relu(features, max_value=6.0)


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Any:
    """x where positive, alpha * x elsewhere."""
    return _core.relu(features, negative_slope=float(alpha))


def crelu(features: Any, axis: int = -1, name: str | None = None) -> Any:
    """relu(x) and relu(-x), joined along an axis."""
    x = tensor(features)
    return _core.concat(_core.relu(x), _core.relu(_core.negative(x)), axis=axis)


def elu(features: Any, name: str | None = None) -> Any:
    """x where positive, exp(x) - 1 elsewhere."""
    return _core.elu(features)


def selu(features: Any, name: str | None = None) -> Any:
    """The scaled ELU of self-normalizing networks."""
    return _core.selu(features)


def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Any:
    """x * P(X <= x) for a standard normal X; `approximate` uses tanh."""
    return _core.gelu(features, approximate=approximate)


def silu(features: Any, beta: float = 1.0) -> Any:
    """x * sigmoid(beta * x), also called swish."""
    if beta == 1.0:
        return _core.silu(features)
    x = tensor(features)
    return _core.multiply(x, _core.sigmoid(_core.multiply(x, beta)))


swish = silu

# windows: convolution and pooling


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
) -> Any:
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


convolution = conv2d


def depthwise_conv2d(
    input: Any,
    filter: Any,  # noqa: A002
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Any:
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
) -> Any:
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
) -> Any:
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
) -> Any:
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
) -> Any:
    """The mean of each window's cells that are inside the image."""
    attributes = _pooling(ksize, strides, padding, data_format)
    return _laid_out(input, data_format, lambda x: _core.average_pool2d(x, **attributes))


max_pool = max_pool2d
avg_pool = avg_pool2d


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


def space_to_depth(input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None) -> Any:
    """Blocks of pixels become channels: (n,H,W,C) -> (n,H/b,W/b,b b C)."""

    def compute(x: Any) -> Any:
        n, h, w, c = x.shape
        x = reshape_to(x, [n, h // block_size, block_size, w // block_size, block_size, c])
        x = _core.transpose(x, perm=[0, 1, 3, 2, 4, 5])
        return reshape_to(x, [n, h // block_size, w // block_size, block_size * block_size * c])

    return _laid_out(input, data_format, compute)


def depth_to_space(input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None) -> Any:
    """Channels become blocks of pixels: (n,h,w,b b C) -> (n,b h,b w,C)."""

    def compute(x: Any) -> Any:
        n, h, w, c = x.shape
        x = reshape_to(x, [n, h, w, block_size, block_size, c // block_size**2])
        x = _core.transpose(x, perm=[0, 1, 3, 2, 4, 5])
        return reshape_to(x, [n, h * block_size, w * block_size, c // block_size**2])

    return _laid_out(input, data_format, compute)


# bias, noise, normalisation


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Any:
    """A vector added along the channels, the last axis; with "NCHW" the second."""
    x, b = tensor(value), tensor(bias)
    if len(b.shape) != 1:
        raise ValueError(f"`bias` must have one dimension. Received: bias.shape={tuple(b.shape)}")
    if data_format and data_format.startswith("NC"):
        b = _core.reshape(b, shape=[-1] + [1] * (len(x.shape) - 2))
    return _core.add(x, b)


def dropout(x: Any, rate: Any, noise_shape: Any = None, seed: Any = None, name: str | None = None) -> Any:
    """Sets a share `rate` of the values to 0 and divides the others by 1 - rate.

    >>> import cnnexplain as tf
    >>> set(tf.nn.dropout(tf.ones(100), rate=0.5).numpy().tolist()) == {0.0, 2.0}
    True
    """
    from .random import draw

    share = float(rate)
    if not 0 <= share < 1:
        raise ValueError(f"`rate` must be in [0, 1). Received: rate={rate}")
    shape = None
    if noise_shape is not None:
        shape = [-1 if size is None else number(size, "noise_shape") for size in noise_shape]
    return _core.dropout(tensor(x), draw(seed), rate=share, noise_shape=shape)


def moments(
    x: Any,
    axes: Any,
    shift: Any = None,
    keepdims: bool = False,
    name: str | None = None,  # noqa: A002
) -> tuple[Any, Any]:
    """The mean and the variance over axes.

    >>> import cnnexplain as tf
    >>> mean, variance = tf.nn.moments([1.0, 3.0], axes=[0])
    >>> float(mean), float(variance)
    (2.0, 1.0)
    """
    x, over = tensor(x), numbers(axes, "axes")
    mean = _core.reduce_mean(x, axis=over, keepdims=True)
    variance = _core.reduce_mean(
        _core.squared_difference(x, _core.stop_gradient(mean)), axis=over, keepdims=keepdims
    )
    return (mean if keepdims else _core.reduce_mean(x, axis=over)), variance


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: str | None = None,
) -> Any:
    """scale (x - mean) / sqrt(variance + epsilon) + offset; offset and scale may be None."""
    factor = _core.rsqrt(_core.add(tensor(variance), float(variance_epsilon)))
    if scale is not None:
        factor = _core.multiply(factor, scale)
    moved = _core.multiply(tensor(mean), factor)
    shift = _core.negative(moved) if offset is None else _core.subtract(tensor(offset), moved)
    return _core.add(_core.multiply(tensor(x), factor), shift)


def local_response_normalization(
    input: Any,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1.0,
    beta: float = 0.5,
    name: str | None = None,
) -> Any:
    """x / (bias + alpha * s)^beta, s the sum of squares over the channels at most `depth_radius` away
    (AlexNet's).

    >>> import cnnexplain as tf
    >>> y = tf.nn.local_response_normalization(tf.ones((1, 1, 1, 3)), depth_radius=1)
    >>> (1 / y[0, 0, 0] ** 2).numpy().round(4)
    array([3., 4., 3.], dtype=float32)
    """
    x = tensor(input)
    channels = np.arange(x.shape[-1])
    near = np.abs(channels[:, None] - channels) <= depth_radius
    total = _core.dense(_core.square(x), tensor(near.astype(x.dtype.as_numpy_dtype)))
    return _core.multiply(
        x, _core.pow(_core.add(_core.multiply(total, float(alpha)), float(bias)), -float(beta))
    )


lrn = local_response_normalization


def l2_loss(t: Any, name: str | None = None) -> Any:
    """sum(t * t) / 2."""
    return _core.multiply(_core.reduce_sum(_core.square(t)), 0.5)


# losses


def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: int = -1, name: str | None = None
) -> Any:
    """-sum(labels * log_softmax(logits)) along an axis.

    >>> import cnnexplain as tf
    >>> float(tf.nn.softmax_cross_entropy_with_logits(labels=[0.0, 1.0], logits=[0.0, 0.0]))
    0.6931471824645996
    """
    x = tensor(logits)
    targets = tensor(labels, x.dtype) if not isinstance(labels, (_core.Tensor, _core.Variable)) else labels
    if targets.dtype != x.dtype:
        targets = _core.cast(targets, dtype=x.dtype.name)
    rank = len(x.shape)
    place = axis_of(axis, rank)
    if place != rank - 1:
        perm = [i for i in range(rank) if i != place] + [place]
        x, targets = _core.transpose(x, perm=perm), _core.transpose(targets, perm=perm)
    return _core.softmax_cross_entropy(x, targets)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Any:
    """-log_softmax(logits) at each label.

    >>> import cnnexplain as tf
    >>> tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1], logits=[[0.0, 0.0]]).numpy()
    array([0.6931472], dtype=float32)
    """
    return _core.sparse_softmax_cross_entropy(tensor(logits), labels)


def sigmoid_cross_entropy_with_logits(labels: Any = None, logits: Any = None, name: str | None = None) -> Any:
    """max(x, 0) - x * labels + log(1 + exp(-|x|)), element by element."""
    return _core.sigmoid_cross_entropy(tensor(logits), labels)


def weighted_cross_entropy_with_logits(
    labels: Any, logits: Any, pos_weight: Any, name: str | None = None
) -> Any:
    """Sigmoid cross-entropy in which positive labels count `pos_weight` times."""
    x = tensor(logits)
    targets = tensor(labels, x.dtype) if not isinstance(labels, _core.Tensor) else labels
    weight = _core.add(_core.multiply(targets, float(pos_weight) - 1.0), 1.0)
    negative = _core.multiply(_core.subtract(1.0, targets), x)
    return _core.add(negative, _core.multiply(weight, _core.softplus(_core.negative(x))))


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Any:
    """The rows of `params` at `ids`."""
    if max_norm is not None:
        raise ValueError("`max_norm` is not supported: use clip_by_norm on the result")
    return gather(params, ids)


__all__ = _names.defined(__name__) + [
    "in_top_k",
    "l2_normalize",
    "log_sigmoid",
    "log_softmax",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "top_k",
    "zero_fraction",
]
__getattr__ = _names.missing(__name__)
