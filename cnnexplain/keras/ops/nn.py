"""What networks are made of: activations, losses, normalization, attention; convolution is in `windows`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cnnexplain import _core
from cnnexplain._convert import numbers

from .. import activations, config, losses
from ..losses import crossentropies
from ._base import (
    alike,
    axis_of,
    named,
    real,
    reshape_to,
    tensor,
    unary,
)
from .linalg import einsum, normalize
from .reductions import mean, var
from .selection import multi_hot, one_hot
from .shaping import expand_dims, repeat
from .windows import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    conv,
    conv_transpose,
    depth_to_space,
    depthwise_conv,
    fold,
    max_pool,
    separable_conv,
    space_to_depth,
    unfold,
)

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "batch_normalization",
    "binary_crossentropy", "categorical_crossentropy", "celu", "conv", "conv_transpose", "depth_to_space",
    "depthwise_conv", "dot_product_attention", "elu", "fold", "gelu", "glu", "hard_shrink", "hard_sigmoid",
    "hard_silu", "hard_swish", "hard_tanh", "layer_normalization", "leaky_relu", "log_sigmoid",
    "log_softmax", "max_pool", "moments", "multi_hot", "normalize", "one_hot", "psnr", "relu", "relu6",
    "rms_normalization", "selu", "separable_conv", "sigmoid", "silu", "soft_shrink", "softmax", "softplus",
    "softsign", "space_to_depth", "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh_shrink", "threshold", "unfold",
]  # fmt: skip

relu = unary("relu", "max(x, 0).")
sigmoid = unary("sigmoid", "1 / (1 + exp(-x)).")
softplus = unary("softplus", "log(exp(x) + 1).")
softsign = unary("softsign", "x / (|x| + 1).")
selu = unary("selu", "The scaled ELU of self-normalizing networks.")
silu = unary("silu", "x * sigmoid(x).")
swish = unary("swish", "x * sigmoid(x).", op="silu")


def _activation(name: str) -> Callable[..., Tensor]:
    function = getattr(activations, name)

    def apply(x: Any) -> Any:
        return function(real(x))

    return named(apply, name, function.__doc__)


relu6 = _activation("relu6")
hard_sigmoid = _activation("hard_sigmoid")
hard_silu = _activation("hard_silu")
hard_swish = _activation("hard_swish")
hard_tanh = _activation("hard_tanh")
log_sigmoid = _activation("log_sigmoid")
tanh_shrink = _activation("tanh_shrink")
sparse_plus = _activation("sparse_plus")
sparse_sigmoid = _activation("sparse_sigmoid")


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return activations.leaky_relu(real(x), negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    return activations.elu(real(x), alpha)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, alpha * (exp(x / alpha) - 1) elsewhere."""
    return activations.celu(real(x), alpha)


def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x * P(X <= x) for a standard normal X; `approximate` uses tanh."""
    return activations.gelu(real(x), approximate)


def glu(x: Any, axis: int = -1) -> Tensor:
    """The first half along an axis times the sigmoid of the second."""
    return activations.glu(real(x), axis)


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x where |x| > threshold, 0 elsewhere."""
    return activations.hard_shrink(real(x), threshold)


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by `threshold`, 0 where it is nearer."""
    return activations.soft_shrink(real(x), threshold)


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where x > threshold, `default_value` elsewhere."""
    return activations.threshold(real(x), threshold, default_value)


def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2."""
    return activations.squareplus(real(x), b)


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The nearest probabilities to x along an axis, many of them 0."""
    return activations.sparsemax(real(x), axis)


def _over_all(op: Callable, x: Any, axis: int | None) -> Any:
    x = real(x)
    if axis is not None:
        return op(x, axis=axis)
    return reshape_to(op(_core.reshape(x, shape=[-1]), axis=0), list(x.shape))


def softmax(x: Any, axis: int | None = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis; None: over all elements."""
    return _over_all(_core.softmax, x, axis)


def log_softmax(x: Any, axis: int | None = -1) -> Tensor:
    """log(softmax(x)) along an axis; None: over all elements."""
    return _over_all(_core.log_softmax, x, axis)


# losses
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """Cross-entropy of one-hot targets."""
    return losses.categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """Cross-entropy of integer targets."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """Cross-entropy of each value, without a mean."""
    output = real(output)
    target = tensor(target, output.dtype.name)
    logits = crossentropies.logits_of(output)
    if from_logits or logits is not None:
        return _core.sigmoid_cross_entropy(output if logits is None else logits, target)
    p = _core.clip(output, low=config.epsilon(), high=1.0 - config.epsilon())
    rest = _core.multiply(_core.subtract(1.0, target), _core.log(_core.subtract(1.0, p)))
    return _core.negative(_core.add(_core.multiply(target, _core.log(p)), rest))


def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """20 log10(max_val) - 10 log10(the mean square of x1 - x2), in decibels."""
    a, b = map(real, alike(x1, x2))
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(
            f"Input shapes {tuple(a.shape)} and {tuple(b.shape)} must match for PSNR calculation. "
        )
    error = _core.reduce_mean(_core.squared_difference(a, b))
    return _core.subtract(20.0 * math.log10(max_val), _core.multiply(_core.log(error), 10.0 / math.log(10.0)))


# normalization
def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> tuple[Any, Any]:
    """The mean and the variance over axes."""
    if synchronized:
        raise ValueError("`synchronized` must be False: everything runs in one process. Received: True")
    return mean(x, axes, keepdims), var(x, axes, keepdims)


def _along(value: Any, axis: int, rank: int, dtype: str) -> Any:
    sizes = [1] * rank
    sizes[axis] = -1
    return _core.reshape(tensor(value, dtype), shape=sizes)


def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, each a vector along `axis`."""
    x = real(x)
    rank, name = len(x.shape), x.dtype.name
    place = axis_of(axis, rank)
    factor = _core.rsqrt(_core.add(_along(variance, place, rank, name), float(epsilon)))
    if scale is not None:
        factor = _core.multiply(factor, _along(scale, place, rank, name))
    y = _core.multiply(_core.subtract(x, _along(mean, place, rank, name)), factor)
    return y if offset is None else _core.add(y, _along(offset, place, rank, name))


def _shaped(weight: Any, x: Any, over: list[int]) -> Any:
    """A weight of the normalized axes in x's rank."""
    weight = tensor(weight, x.dtype.name)
    if len(weight.shape) in (0, len(x.shape)):
        return weight
    sizes = [1] * len(x.shape)
    for place, size in zip(over, weight.shape, strict=True):
        sizes[place] = size
    return _core.reshape(weight, shape=sizes)


def _normal(x: Any, axis: Any, epsilon: float | None) -> tuple[Any, list[int], float]:
    x = real(x)
    over = sorted(axis_of(one, len(x.shape)) for one in numbers(axis, "axis"))
    return x, over, config.epsilon() if epsilon is None else float(epsilon)


def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None, **kwargs: Any
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with the mean and variance over the axes."""
    if kwargs.pop("rms_scaling", False) or kwargs:
        raise ValueError("Use `keras.ops.rms_normalization` to scale by the root of the mean square")
    x, over, least = _normal(x, axis, epsilon)
    centre = _core.reduce_mean(x, axis=over, keepdims=True)
    apart = _core.subtract(x, centre)
    spread = _core.reduce_mean(_core.square(apart), axis=over, keepdims=True)
    y = _core.multiply(apart, _core.rsqrt(_core.add(spread, least)))
    y = y if gamma is None else _core.multiply(y, _shaped(gamma, x, over))
    return y if beta is None else _core.add(y, _shaped(beta, x, over))


def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon) * scale, with the mean over the axes."""
    x = real(x)
    x, over, least = _normal(expand_dims(x, 0) if not len(x.shape) else x, axis, epsilon)
    square = _core.reduce_mean(_core.square(x), axis=over, keepdims=True)
    y = _core.multiply(x, _core.rsqrt(_core.add(square, least)))
    return y if scale is None else _core.multiply(y, _shaped(scale, x, over))


# attention
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """softmax(query key^T scale + bias) value, for each head.

    Args:
        query: (n, t, heads, d).
        key, value: (n, s, heads, d), with fewer heads for groups of queries.
        bias: Added to the scores (n, heads, t, s).
        mask: True where a query may look, of a shape that broadcasts to the scores.
        scale: Default 1 / sqrt(d).
        is_causal: No query looks at later keys.

    Returns:
        (n, t, heads, d).
    """
    if flash_attention:
        raise ValueError("Flash attention is not supported.")
    query, key, value = map(real, alike(query, key, value))
    if not len(query.shape) == len(key.shape) == len(value.shape) == 4:
        raise ValueError(
            "`dot_product_attention` only supports 4D inputs. Received: "
            f"query.shape={tuple(query.shape)}, key.shape={tuple(key.shape)}, "
            f"value.shape={tuple(value.shape)}."
        )
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = repeat(key, groups, 2), repeat(value, groups, 2)
    name = query.dtype.name
    scores = einsum("btnh,bsnh->bnts", query, key)
    scores = _core.multiply(scores, 1.0 / math.sqrt(key.shape[-1]) if scale is None else float(scale))
    if attn_logits_soft_cap is not None:
        cap = float(attn_logits_soft_cap)
        scores = _core.multiply(_core.tanh(_core.multiply(scores, 1.0 / cap)), cap)
    if bias is not None:
        scores = _core.add(scores, tensor(bias, name))
    least = tensor(-0.7 * 3.38953e38, name)
    if mask is not None:
        scores = _core.where(scores, least, _core.cast(tensor(mask), dtype="bool"))
    if is_causal:
        one = _core.cast(_core.equal(scores, scores), dtype="int32")
        later = _core.greater(_core.cumsum(one, axis=3), _core.cumsum(one, axis=2))
        scores = _core.where(least, scores, later)
    return einsum("bnts,bsnh->btnh", _core.softmax(scores, axis=-1), value)
