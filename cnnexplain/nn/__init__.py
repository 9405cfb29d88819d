"""The operations of networks: activations, convolutions, pooling, normalisation, losses.

Images are (n, height, width, channels); with `data_format="NCHW"` they are transposed on the way in and out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _core, _names
from .._convert import axis_of, floating, number, numbers, tensor
from ..arrays import gather
from ..linalg import l2_normalize
from ..math import (
    log_sigmoid,
    log_softmax,
    sigmoid,
    softmax,
    softplus,
    softsign,
    tanh,
)
from ..math.reductions import in_top_k, zero_fraction
from ..ordering import top_k
from .windows import *  # noqa: F403

if TYPE_CHECKING:
    from ..tensor import Tensor

# activations


def relu(features: Any, name: str | None = None) -> Tensor:
    """max(x, 0).

    >>> import cnnexplain as tf
    >>> tf.nn.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    return _core.relu(features)


def relu6(features: Any, name: str | None = None) -> Tensor:
    """min(max(x, 0), 6)."""
    return _core.relu(features, max_value=6.0)


def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """x where positive, alpha * x elsewhere."""
    return _core.relu(floating(features), negative_slope=float(alpha))


def crelu(features: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """relu(x) and relu(-x), joined along an axis."""
    x = tensor(features)
    return _core.concat(_core.relu(x), _core.relu(_core.negative(x)), axis=axis)


def elu(features: Any, name: str | None = None) -> Tensor:
    """x where positive, exp(x) - 1 elsewhere."""
    return _core.elu(features)


def selu(features: Any, name: str | None = None) -> Tensor:
    """The scaled ELU of self-normalizing networks."""
    return _core.selu(features)


def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Tensor:
    """x * P(X <= x) for a standard normal X; `approximate` uses tanh."""
    return _core.gelu(features, approximate=approximate)


def silu(features: Any, beta: float = 1.0) -> Tensor:
    """x * sigmoid(beta * x), also called swish."""
    if beta == 1.0:
        return _core.silu(features)
    x = tensor(features)
    return _core.multiply(x, _core.sigmoid(_core.multiply(x, beta)))


swish = silu

# bias, noise, normalisation


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Tensor:
    """A vector added along the channels, the last axis; with "NCHW" the second."""
    x, b = tensor(value), tensor(bias)
    if len(b.shape) != 1:
        raise ValueError(f"`bias` must have one dimension. Received: bias.shape={tuple(b.shape)}")
    if data_format and data_format.startswith("NC"):
        b = _core.reshape(b, shape=[-1] + [1] * (len(x.shape) - 2))
    return _core.add(x, b)


def dropout(x: Any, rate: Any, noise_shape: Any = None, seed: Any = None, name: str | None = None) -> Tensor:
    """Sets a share `rate` of the values to 0 and divides the others by 1 - rate.

    >>> import cnnexplain as tf
    >>> set(tf.nn.dropout(tf.ones(100), rate=0.5).numpy().tolist()) == {0.0, 2.0}
    True
    """
    from ..random import draw

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
    name: str | None = None,
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


def weighted_moments(
    x: Any,
    axes: Any,
    frequency_weights: Any,
    keepdims: bool = False,
    name: str | None = None,
) -> tuple[Any, Any]:
    """Mean and variance over the axes, each element counted with its weight."""
    x, over = tensor(x), numbers(axes, "axes")
    weights = tensor(frequency_weights, x.dtype)
    total = _core.reduce_sum(_core.add(_core.multiply(x, 0.0), weights), axis=over, keepdims=True)
    mean = _core.divide(_core.reduce_sum(_core.multiply(x, weights), axis=over, keepdims=True), total)
    squares = _core.multiply(_core.squared_difference(x, mean), weights)
    variance = _core.divide(_core.reduce_sum(squares, axis=over, keepdims=True), total)
    if keepdims:
        return mean, variance
    return _core.reduce_sum(mean, axis=over), _core.reduce_sum(variance, axis=over)


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: str | None = None,
) -> Tensor:
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
) -> Tensor:
    """x / (bias + alpha * s)^beta, s the sum of squares over the channels at most `depth_radius` away
    (AlexNet's).

    >>> import cnnexplain as tf
    >>> y = tf.nn.local_response_normalization(tf.ones((1, 1, 1, 3)), depth_radius=1)
    >>> (1 / y[0, 0, 0] ** 2).numpy().round(4)
    array([3., 4., 3.], dtype=float32)
    """
    return _core.local_response_normalization(
        tensor(input), depth_radius=depth_radius, bias=float(bias), alpha=float(alpha), beta=float(beta)
    )


lrn = local_response_normalization


def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """sum(t * t) / 2."""
    return _core.multiply(_core.reduce_sum(_core.square(t)), 0.5)


# losses


def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: int = -1, name: str | None = None
) -> Tensor:
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


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Tensor:
    """-log_softmax(logits) at each label.

    >>> import cnnexplain as tf
    >>> tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1], logits=[[0.0, 0.0]]).numpy()
    array([0.6931472], dtype=float32)
    """
    return _core.sparse_softmax_cross_entropy(tensor(logits), labels)


def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """max(x, 0) - x * labels + log(1 + exp(-|x|)), element by element."""
    return _core.sigmoid_cross_entropy(tensor(logits), labels)


def weighted_cross_entropy_with_logits(
    labels: Any, logits: Any, pos_weight: Any, name: str | None = None
) -> Tensor:
    """Sigmoid cross-entropy in which positive labels count `pos_weight` times."""
    x = tensor(logits)
    targets = tensor(labels, x.dtype) if not isinstance(labels, _core.Tensor) else labels
    weight = _core.add(_core.multiply(targets, float(pos_weight) - 1.0), 1.0)
    negative = _core.multiply(_core.subtract(1.0, targets), x)
    return _core.add(negative, _core.multiply(weight, _core.softplus(_core.negative(x))))


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Tensor:
    """The rows of `params` at `ids`."""
    if max_norm is not None:
        raise ValueError("`max_norm` is not supported: use clip_by_norm on the result")
    return gather(params, ids)


__all__ = [
    *_names.defined(__name__),
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
