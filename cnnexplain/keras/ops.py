"""`keras.ops`: NumPy's names on tensors and symbols."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnexplain import _core

from . import activations, config, loss_functions, losses
from .backend import all as all
from .backend import any as any
from .backend import clip as clip
from .backend import concatenate as concatenate
from .backend import equal as equal
from .backend import expand_dims as expand_dims
from .backend import max as max
from .backend import maximum as maximum
from .backend import mean as mean
from .backend import min as min
from .backend import minimum as minimum
from .backend import one_hot as one_hot
from .backend import ones as ones
from .backend import ones_like as ones_like
from .backend import prod as prod
from .backend import reshape as reshape
from .backend import square as square
from .backend import stack as stack
from .backend import std as std
from .backend import stop_gradient as stop_gradient
from .backend import sum as sum
from .backend import var as var
from .backend import zeros as zeros
from .backend import zeros_like as zeros_like
from .convert import as_real, as_tensor

_TENSORS = (_core.Tensor, _core.Variable)

amax, amin = max, min


def _unary(op: str, text: str, real: bool = False) -> Callable:
    def apply(x: Any) -> Any:
        return getattr(_core, op)(as_real(x) if real else as_tensor(x))

    apply.__name__ = apply.__qualname__ = op
    apply.__doc__ = text
    return apply


def _binary(op: str, text: str) -> Callable:
    def apply(x1: Any, x2: Any) -> Any:
        if not isinstance(x1, _TENSORS) and not isinstance(x2, _TENSORS):
            x1 = as_tensor(x1)
        return getattr(_core, op)(x1, x2)

    apply.__name__ = apply.__qualname__ = op
    apply.__doc__ = text
    return apply


abs = absolute = _unary("abs", "Absolute values.")
negative = _unary("negative", "-x.")
sqrt = _unary("sqrt", "Square roots.", real=True)
rsqrt = _unary("rsqrt", "1 / sqrt(x).", real=True)
exp = _unary("exp", "Exponentials.", real=True)
log = _unary("log", "Natural logarithms.", real=True)
log1p = _unary("log1p", "log(1 + x).", real=True)
sin = _unary("sin", "Sines.", real=True)
cos = _unary("cos", "Cosines.", real=True)
sign = _unary("sign", "Signs.")
floor = _unary("floor", "The next whole number below.", real=True)
ceil = _unary("ceil", "The next whole number above.", real=True)
logical_not = _unary("logical_not", "Not x.")
identity_op = _unary("identity", "x.")

subtract = _binary("subtract", "x1 - x2.")
multiply = _binary("multiply", "x1 * x2.")
floor_divide = _binary("floor_divide", "x1 // x2.")
mod = _binary("floor_mod", "The remainder of x1 // x2.")
power = _binary("pow", "x1 to the power x2.")
not_equal = _binary("not_equal", "x1 != x2.")
greater = _binary("greater", "x1 > x2.")
greater_equal = _binary("greater_equal", "x1 >= x2.")
less = _binary("less", "x1 < x2.")
less_equal = _binary("less_equal", "x1 <= x2.")
logical_and = _binary("logical_and", "x1 and x2.")
logical_or = _binary("logical_or", "x1 or x2.")
squared_difference = _binary("squared_difference", "(x1 - x2)^2.")
_add = _binary("add", "x1 + x2.")


def add(x1: Any, x2: Any) -> Any:
    """x1 + x2."""
    return _add(x1, x2)


def divide(x1: Any, x2: Any) -> Any:
    """x1 / x2."""
    return as_real(x1) / x2


true_divide = divide


def round(x: Any, decimals: int = 0) -> Any:
    """Rounds half to even."""
    if not decimals:
        return _core.round(as_tensor(x))
    factor = 10.0**decimals
    return _core.round(as_real(x) * factor) / factor


def shape(x: Any) -> tuple:
    """The shape as a tuple."""
    return tuple(as_tensor(x).shape)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(as_tensor(x).shape)


def size(x: Any) -> int:
    """The number of values."""
    return math.prod(as_tensor(x).shape)


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor."""
    return isinstance(x, _TENSORS)


def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """A tensor of the value."""
    return as_tensor(x, None if dtype is None else config.standardize_dtype(dtype))


def convert_to_numpy(x: Any) -> np.ndarray:
    """An array of the values."""
    return np.array(x)


def array(x: Any, dtype: Any = None) -> Any:
    """A tensor of the value."""
    return convert_to_tensor(x, dtype)


def cast(x: Any, dtype: Any) -> Any:
    """The values in another dtype."""
    return _core.cast(as_tensor(x), dtype=config.standardize_dtype(dtype))


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value` everywhere."""
    return _core.tensor(np.full(shape, fill_value, config.standardize_dtype(dtype)))


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value` in x's shape."""
    x = as_tensor(x)
    return _core.tensor(np.full(tuple(x.shape), fill_value, dtype or x.dtype.name))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """1 on the k-th diagonal."""
    return _core.tensor(np.eye(N, M, k).astype(config.standardize_dtype(dtype)))


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """Evenly spaced values."""
    values = np.arange(start) if stop is None else np.arange(start, stop, step)
    name = (
        ("int32" if values.dtype.kind == "i" else config.floatx())
        if dtype is None
        else config.standardize_dtype(dtype)
    )
    return _core.tensor(values.astype(name))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Any:
    """`num` values from start to stop."""
    return _core.tensor(
        np.linspace(start, stop, num, endpoint=endpoint).astype(config.standardize_dtype(dtype))
    )


def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product."""
    return as_tensor(x1) @ as_tensor(x2)


def dot(x1: Any, x2: Any) -> Any:
    """The scalar product over the last axis of x1 and the last but one of x2."""
    a, b = as_tensor(x1), as_tensor(x2)
    if not len(a.shape) or not len(b.shape):
        return a * b
    if len(a.shape) == 1 and len(b.shape) == 1:
        return _core.reduce_sum(a * b)
    if len(b.shape) == 1:
        return squeeze(_core.matmul(a, expand_dims(b, -1)), -1)
    if len(a.shape) == 1:
        return squeeze(_core.matmul(expand_dims(a, 0), b), 0)
    return _core.matmul(a, b)


def transpose(x: Any, axes: Any = None) -> Any:
    """The axes in another order; None: reversed."""
    return _core.transpose(as_tensor(x), perm=None if axes is None else list(axes))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    x = as_tensor(x)
    order = list(range(len(x.shape)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return _core.transpose(x, perm=order)


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places."""
    x = as_tensor(x)
    rank = len(x.shape)
    source = [source] if isinstance(source, int) else list(source)
    destination = [destination] if isinstance(destination, int) else list(destination)
    source = [s % rank for s in source]
    destination = [d % rank for d in destination]
    perm = [k for k in range(rank) if k not in source]
    for where_to, which in sorted(zip(destination, source, strict=True)):
        perm.insert(where_to, which)
    return _core.transpose(x, perm=perm)


def squeeze(x: Any, axis: Any = None) -> Any:
    """Without axes of size 1."""
    x = as_tensor(x)
    rank = len(x.shape)
    axes = (
        [k for k in range(rank) if x.shape[k] == 1]
        if axis is None
        else [axis]
        if isinstance(axis, int)
        else list(axis)
    )
    axes = [a % rank for a in axes]
    for a in axes:
        if x.shape[a] != 1:
            raise ValueError(
                f"Cannot squeeze axis={a}, because the dimension is not 1. Received: shape={tuple(x.shape)}"
            )
    return _core.reshape(x, shape=[-1 if s is None else s for k, s in enumerate(x.shape) if k not in axes])


def ravel(x: Any) -> Any:
    """All values in one axis."""
    return _core.reshape(as_tensor(x), shape=[-1])


def broadcast_to(x: Any, shape: Any) -> Any:
    """The values repeated to a shape."""
    return _core.broadcast_to(as_tensor(x), shape=list(shape))


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition is True, x2 elsewhere."""
    if x1 is None or x2 is None:
        return tuple(_core.tensor(axis.astype(np.int32)) for axis in np.nonzero(np.asarray(condition)))
    condition = as_tensor(condition)
    condition = condition if condition.dtype.name == "bool" else _core.cast(condition, dtype="bool")
    return _core.where(
        x1 if isinstance(x1, _TENSORS) or isinstance(x2, _TENSORS) else as_tensor(x1), x2, condition
    )


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The place of the largest value."""
    return _arg("argmax", x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The place of the smallest value."""
    return _arg("argmin", x, axis, keepdims)


def _arg(op: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    x = as_tensor(x)
    rank = len(x.shape)
    if axis is None:
        place = getattr(_core, op)(_core.reshape(x, shape=[-1]), axis=0, output_type="int32")
        return _core.reshape(place, shape=[1] * rank) if keepdims else place
    place = getattr(_core, op)(x, axis=axis, output_type="int32")
    return expand_dims(place, axis % rank) if keepdims else place


def cumsum(x: Any, axis: int = 0) -> Any:
    """Running sums."""
    return _core.cumsum(as_tensor(x), axis=axis)


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The entries at the indices."""
    x = as_tensor(x)
    if axis is None:
        x, axis = _core.reshape(x, shape=[-1]), 0
    return _core.gather(x, as_tensor(indices), axis=axis)


def flip(x: Any, axis: Any = None) -> Any:
    """The order along axes reversed."""
    x = as_tensor(x)
    axes = list(range(len(x.shape))) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    return _core.reverse(x, axis=axes)


def tile(x: Any, repeats: Any) -> Any:
    """The tensor repeated along axes."""
    x = as_tensor(x)
    counts = [repeats] if isinstance(repeats, int) else list(repeats)
    rank = builtins.max(len(counts), len(x.shape))
    counts = [1] * (rank - len(counts)) + counts
    if rank > len(x.shape):
        x = _core.reshape(x, shape=[1] * (rank - len(x.shape)) + list(x.shape))
    return _core.tile(x, multiples=counts)


def repeat(x: Any, repeats: int, axis: int | None = None) -> Any:
    """Each entry repeated."""
    x = as_tensor(x)
    if axis is None:
        x, axis = _core.reshape(x, shape=[-1]), 0
    order = np.repeat(np.arange(x.shape[axis]), repeats)
    return _core.gather(x, _core.tensor(order), axis=axis)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Values added around."""
    x = as_tensor(x)
    widths = np.broadcast_to(np.asarray(pad_width), (len(x.shape), 2)).tolist()
    return _core.pad(
        x,
        before=[w[0] for w in widths],
        after=[w[1] for w in widths],
        mode=mode,
        value=float(constant_values or 0.0),
    )


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list:
    """Pieces along an axis."""
    x = as_tensor(x)
    total = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if total % indices_or_sections:
            raise ValueError(
                f"Axis {axis} of size {total} cannot be split into {indices_or_sections} equal parts."
            )
        step = total // indices_or_sections
        ends = [step * k for k in range(1, indices_or_sections)]
    else:
        ends = [int(k) for k in indices_or_sections]
    pieces, begin = [], 0
    axis %= len(x.shape)
    for end in [*ends, total]:
        first, count = [0] * len(x.shape), [-1] * len(x.shape)
        first[axis], count[axis] = begin, end - begin
        pieces.append(_core.slice(x, begin=first, size=count))
        begin = end
    return pieces


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list:
    """The slices along an axis."""
    x = as_tensor(x)
    return [squeeze(piece, axis) for piece in split(x, num or x.shape[axis], axis)]


def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """A block of a tensor."""
    return _core.slice(as_tensor(inputs), begin=[int(k) for k in start_indices], size=[int(k) for k in shape])


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The Euclidean length; ord 1 the sum of absolute values."""
    x = as_real(x)
    axes = None if axis is None else [axis] if isinstance(axis, int) else list(axis)
    if ord == 1:
        return _core.reduce_sum(_core.abs(x), axis=axes, keepdims=keepdims)
    if ord not in (None, 2, "fro", "euclidean"):
        raise ValueError(f"`ord` must be None, 1 or 2. Received: ord={ord}")
    return _core.sqrt(_core.reduce_sum(_core.square(x), axis=axes, keepdims=keepdims))


def normalize(x: Any, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """x over its norm along `axis`."""
    length = norm(x, ord=order, axis=axis, keepdims=True)
    return as_real(x) / _core.maximum(length, config.epsilon() if epsilon is None else epsilon)


def relu(x: Any) -> Any:
    """max(x, 0)."""
    return _core.relu(as_real(x))


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where positive, negative_slope * x elsewhere."""
    return activations.leaky_relu(as_real(x), negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    return activations.elu(as_real(x), alpha)


def gelu(x: Any, approximate: bool = True) -> Any:
    """x * P(X <= x) for a standard normal X."""
    return activations.gelu(as_real(x), approximate)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`."""
    return _core.softmax(as_real(x), axis=axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """log(softmax(x))."""
    return _core.log_softmax(as_real(x), axis=axis)


relu6 = activations.relu6
selu = activations.selu
silu = swish = activations.silu
sigmoid = _unary("sigmoid", "1 / (1 + exp(-x)).", real=True)
hard_sigmoid = activations.hard_sigmoid
hard_silu = hard_swish = activations.hard_silu
tanh = _unary("tanh", "The hyperbolic tangent.", real=True)
softplus = _unary("softplus", "log(exp(x) + 1).", real=True)
softsign = _unary("softsign", "x / (|x| + 1).", real=True)


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy of one-hot targets."""
    return losses.categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Cross-entropy of integer targets."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Cross-entropy of each value, without a mean."""
    output = as_real(output)
    target = as_tensor(target, output.dtype.name)
    logits = loss_functions.logits_of(output)
    if from_logits or logits is not None:
        return _core.sigmoid_cross_entropy(output if logits is None else logits, target)
    p = _core.clip(output, low=config.epsilon(), high=1.0 - config.epsilon())
    return _core.negative(target * _core.log(p) + (1.0 - target) * _core.log(1.0 - p))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Convolution of images by a kernel (kh, kw, c, f)."""
    from .layers.convolution import from_last, to_last

    data_format = config.standardize_data_format(data_format)
    x = to_last(as_tensor(inputs), data_format)
    kernel = as_tensor(kernel)
    groups = x.shape[-1] // kernel.shape[2]
    y = _core.conv2d(
        x,
        kernel,
        strides=_pair(strides),
        padding=padding.lower(),
        dilation=_pair(dilation_rate),
        groups=groups,
    )
    return from_last(y, data_format)


def max_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    """The largest value of each window."""
    from .layers import MaxPooling2D

    return MaxPooling2D(pool_size, strides, padding, data_format, name="max_pool").call(as_tensor(inputs))


def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    """The mean of each window."""
    from .layers import AveragePooling2D

    return AveragePooling2D(pool_size, strides, padding, data_format, name="average_pool").call(
        as_tensor(inputs)
    )


def moments(x: Any, axes: Any, keepdims: bool = False) -> tuple[Any, Any]:
    """Mean and variance."""
    return mean(x, axes, keepdims), var(x, axes, keepdims)


def scalar_mul(scalar: float, x: Any) -> Any:
    """scalar * x."""
    return as_tensor(x) * scalar


__all__ = [name for name in dir() if not name.startswith("_") and name not in (
    "annotations", "builtins", "math", "np", "Any", "Callable", "activations", "config", "losses",
    "as_real", "as_tensor", "identity_op",
)]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in (
        "einsum",
        "tensordot",
        "sort",
        "argsort",
        "top_k",
        "isnan",
        "isinf",
        "isfinite",
        "unravel_index",
        "meshgrid",
    ):
        from cnnexplain import functions
        from cnnexplain import math as tensor_math

        for module in (functions, tensor_math):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'cnnexplain.keras.ops' has no attribute '{name}'")
