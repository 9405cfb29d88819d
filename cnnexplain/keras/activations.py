"""Activation functions by name. Each takes a tensor of any shape and returns one of the same shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cnnexplain import _core
from cnnexplain._convert import cut

from .convert import as_real
from .naming import nearest

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid",
    "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish",
    "relu", "relu6", "selu", "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus",
    "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh",
    "tanh_shrink", "threshold",
]  # fmt: skip


def linear(x: Any) -> Tensor:
    """x itself."""
    return x


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """max(x, 0); with `max_value` clipped above, `negative_slope * (x - threshold)` below `threshold`.

    >>> from cnnexplain import keras
    >>> keras.activations.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    if negative_slope == 0.0 and max_value is None and threshold == 0.0:
        return _core.relu(x)
    limit = float("inf") if max_value is None else float(max_value)
    return _core.relu(x, max_value=limit, negative_slope=float(negative_slope), threshold=float(threshold))


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6)."""
    return _core.relu(x, max_value=6.0)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return _core.relu(x, negative_slope=float(negative_slope))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    return _core.elu(x, alpha=float(alpha))


def selu(x: Any) -> Tensor:
    """The scaled ELU of self-normalizing networks."""
    return _core.selu(x)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x * P(X <= x) for a standard normal X; `approximate` uses tanh."""
    return _core.gelu(x, approximate=bool(approximate))


def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish."""
    return _core.silu(x)


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x))."""
    return _core.mish(x)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x)). The result remembers its logits; the cross-entropies use them."""
    return _core.sigmoid(x)


def hard_sigmoid(x: Any) -> Tensor:
    """x / 6 + 0.5 clipped to [0, 1]."""
    return _core.hard_sigmoid(x)


def hard_sigmoid_of_keras_2(x: Any) -> Tensor:
    """0.2 x + 0.5 clipped to [0, 1]: what `hard_sigmoid` means in files of Keras 2."""
    x = as_real(x)
    return _core.clip(_core.add(_core.multiply(x, 0.2), 0.5), low=0.0, high=1.0)


def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x), also called hard swish."""
    return _core.hard_silu(x)


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent."""
    return _core.tanh(x)


def softplus(x: Any) -> Tensor:
    """log(exp(x) + 1)."""
    return _core.softplus(x)


def softsign(x: Any) -> Tensor:
    """x / (|x| + 1)."""
    return _core.softsign(x)


def exponential(x: Any) -> Tensor:
    """exp(x)."""
    return _core.exp(x)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis`. The result remembers its logits; the cross-entropies use them."""
    if len(x.shape if hasattr(x, "shape") else ()) == 1:
        raise ValueError(f"Cannot apply softmax to a tensor that is 1D. Received input: {x}")
    return _core.softmax(x, axis=axis)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """x - log(sum(exp(x))) along `axis`."""
    return _core.log_softmax(x, axis=axis)


def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    return _core.subtract(x, _core.tanh(x))


def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)) = -softplus(-x)."""
    return _core.negative(_core.softplus(_core.negative(x)))


def _zero(x: Any) -> Any:
    return _core.tensor(0.0, x.dtype.name)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, alpha * (exp(x / alpha) - 1) elsewhere."""
    return _core.multiply(_core.elu(_core.divide(x, float(alpha))), float(alpha))


def glu(x: Any, axis: int = -1) -> Tensor:
    """The first half along `axis` times the sigmoid of the second: the axis becomes half as long.

    >>> from cnnexplain import keras
    >>> keras.activations.glu(keras.ops.array([1.0, 0.0])).numpy()
    array([0.5], dtype=float32)
    """
    x = as_real(x)
    size = x.shape[axis]
    if size is None or size % 2:
        raise ValueError(
            f"axis size must be divisible by 2. Received: x.shape={tuple(x.shape)} with axis={axis}"
        )
    place = axis % len(x.shape)
    return _core.multiply(cut(x, place, 0, size // 2), _core.sigmoid(cut(x, place, size // 2, size // 2)))


def hard_tanh(x: Any) -> Tensor:
    """x clipped to [-1, 1]."""
    return _core.clip(x, low=-1.0, high=1.0)


def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x where |x| > threshold, 0 elsewhere."""
    x = as_real(x)
    return _core.where(x, _zero(x), _core.greater(_core.abs(x), float(threshold)))


def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x - threshold above it, x + threshold below -threshold, 0 between."""
    x = as_real(x)
    least = float(threshold)
    below = _core.where(_core.add(x, least), _zero(x), _core.less(x, -least))
    return _core.where(_core.subtract(x, least), below, _core.greater(x, least))


def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where x > threshold, `default_value` elsewhere."""
    x = as_real(x)
    default = _core.tensor(float(default_value), x.dtype.name)
    return _core.where(x, default, _core.greater(x, float(threshold)))


def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2, a smooth ReLU (Barron 2021)."""
    x = as_real(x)
    return _core.multiply(_core.add(x, _core.sqrt(_core.add(_core.square(x), float(b)))), 0.5)


def sparse_plus(x: Any) -> Tensor:
    """0 up to -1, (x + 1)^2 / 4 up to 1, x above."""
    x = as_real(x)
    middle = _core.where(_core.multiply(_core.square(_core.add(x, 1.0)), 0.25), x, _core.less(x, 1.0))
    return _core.where(_zero(x), middle, _core.less_equal(x, -1.0))


def sparse_sigmoid(x: Any) -> Tensor:
    """0 up to -1, (x + 1) / 2 up to 1, 1 above."""
    x = as_real(x)
    one = _core.tensor(1.0, x.dtype.name)
    middle = _core.where(one, _core.multiply(_core.add(x, 1.0), 0.5), _core.greater_equal(x, 1.0))
    return _core.where(_zero(x), middle, _core.less_equal(x, -1.0))


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """A softmax with zeros: the nearest point to x among the vectors of positive numbers with the sum 1.

    With z sorted downwards, s_j = z_1 + ... + z_j and k the most for which 1 + k z_k > s_k:
    max(x - (s_k - 1) / k, 0), as Martins and Astudillo (2016) have it. Keras 3.15 takes s_1 + ... + s_k in
    the place of s_k, and its results do not add up to 1 where k > 1.

    >>> from cnnexplain import keras
    >>> keras.activations.sparsemax(keras.ops.array([[1.0, 0.5, -1.0]])).numpy()
    array([[0.75, 0.25, 0.  ]], dtype=float32)
    """
    from cnnexplain.ordering import sort

    x = as_real(x)
    place = axis % len(x.shape)
    down = sort(x, place, "DESCENDING")
    sums = _core.subtract(_core.cumsum(down, axis=place), 1.0)
    one = _core.cast(_core.equal(x, x), dtype=x.dtype.name)
    rank = _core.cumsum(one, axis=place)
    support = _core.greater(down, _core.divide(sums, rank))
    count = _core.reduce_sum(_core.cast(support, dtype=x.dtype.name), axis=[place], keepdims=True)
    total = _core.reduce_sum(_core.where(down, _zero(x), support), axis=[place], keepdims=True)
    return _core.relu(_core.subtract(x, _core.divide(_core.subtract(total, 1.0), count)))


swish = silu
hard_swish = hard_silu

_FUNCTIONS: list[Any] = [
    linear, relu, relu6, leaky_relu, elu, selu, gelu, silu, mish, sigmoid, hard_sigmoid, hard_silu, tanh,
    hard_sigmoid_of_keras_2, softplus, softsign, exponential, softmax, log_softmax, tanh_shrink, log_sigmoid,
    celu, glu, hard_tanh, hard_shrink, soft_shrink, threshold, squareplus, sparse_plus, sparse_sigmoid,
    sparsemax,
]  # fmt: skip
_BY_NAME: dict[str, Callable] = {f.__name__: f for f in _FUNCTIONS}
_BY_NAME.update(swish=silu, hard_swish=hard_silu)


def get(identifier: Any) -> Callable:
    """The function for a name, a callable (returned as it is) or None (`linear`)."""
    if identifier is None:
        return linear
    if isinstance(identifier, dict):
        from .saving.serialization import deserialize_keras_object

        return deserialize_keras_object(identifier)
    if callable(identifier):
        return identifier
    if isinstance(identifier, str):
        if identifier in _BY_NAME:
            return _BY_NAME[identifier]
        from .saving.serialization import custom_object

        found = custom_object(identifier)
        if found is not None:
            return found
    raise ValueError(
        f"Could not interpret activation function identifier: {identifier}."
        f"{nearest(identifier, _BY_NAME)} Known names: {', '.join(sorted(_BY_NAME))}"
    )


def serialize(activation: Callable) -> Any:
    """The name of a known function, or the description of a registered object."""
    name = getattr(activation, "__name__", None)
    if name in _BY_NAME and _BY_NAME[name] is activation:
        return name
    from .saving.serialization import serialize_keras_object

    return serialize_keras_object(activation)


def deserialize(config: Any, custom_objects: dict | None = None) -> Callable:
    """The function that `serialize` described."""
    from .saving.serialization import custom_object_scope

    with custom_object_scope(custom_objects or {}):
        return get(config)
