"""Activation functions by name. Each takes a tensor of any shape and returns one of the same shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnexplain import _core


def linear(x: Any) -> Any:
    """x itself."""
    return x


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """max(x, 0); with `max_value` clipped above, `negative_slope * (x - threshold)` below `threshold`.

    >>> from cnnexplain import keras
    >>> keras.activations.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    if negative_slope == 0.0 and max_value is None and threshold == 0.0:
        return _core.relu(x)
    limit = float("inf") if max_value is None else float(max_value)
    return _core.relu(x, max_value=limit, negative_slope=float(negative_slope), threshold=float(threshold))


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6)."""
    return _core.relu(x, max_value=6.0)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where positive, negative_slope * x elsewhere."""
    return _core.relu(x, negative_slope=float(negative_slope))


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    return _core.elu(x, alpha=float(alpha))


def selu(x: Any) -> Any:
    """The scaled ELU of self-normalizing networks."""
    return _core.selu(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """x * P(X <= x) for a standard normal X; `approximate` uses tanh."""
    return _core.gelu(x, approximate=bool(approximate))


def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish."""
    return _core.silu(x)


def mish(x: Any) -> Any:
    """x * tanh(softplus(x))."""
    return _core.mish(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)). The result remembers its logits; the cross-entropies use them."""
    return _core.sigmoid(x)


def hard_sigmoid(x: Any) -> Any:
    """x / 6 + 0.5 clipped to [0, 1]."""
    return _core.hard_sigmoid(x)


def hard_silu(x: Any) -> Any:
    """x * hard_sigmoid(x), also called hard swish."""
    return _core.hard_silu(x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return _core.tanh(x)


def softplus(x: Any) -> Any:
    """log(exp(x) + 1)."""
    return _core.softplus(x)


def softsign(x: Any) -> Any:
    """x / (|x| + 1)."""
    return _core.softsign(x)


def exponential(x: Any) -> Any:
    """exp(x)."""
    return _core.exp(x)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`. The result remembers its logits; the cross-entropies use them."""
    if len(x.shape if hasattr(x, "shape") else ()) == 1:
        raise ValueError(f"Cannot apply softmax to a tensor that is 1D. Received input: {x}")
    return _core.softmax(x, axis=axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """x - log(sum(exp(x))) along `axis`."""
    return _core.log_softmax(x, axis=axis)


def tanh_shrink(x: Any) -> Any:
    """x - tanh(x)."""
    return _core.subtract(x, _core.tanh(x))


def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)) = -softplus(-x)."""
    return _core.negative(_core.softplus(_core.negative(x)))


swish = silu
hard_swish = hard_silu

_FUNCTIONS = [
    linear, relu, relu6, leaky_relu, elu, selu, gelu, silu, mish, sigmoid, hard_sigmoid, hard_silu, tanh,
    softplus, softsign, exponential, softmax, log_softmax, tanh_shrink, log_sigmoid,
]  # fmt: skip
_BY_NAME: dict[str, Callable] = {function.__name__: function for function in _FUNCTIONS}
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
        f"Could not interpret activation function identifier: {identifier}. Known names: "
        f"{', '.join(sorted(_BY_NAME))}"
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
