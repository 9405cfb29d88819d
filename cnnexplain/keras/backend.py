"""`keras.backend` as lecture code uses it: `from cnnexplain.keras import backend as K`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from . import config, naming, ops, tree
from .config import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
    standardize_dtype,
)
from .convert import as_tensor
from .losses import binary_crossentropy, categorical_crossentropy, sparse_categorical_crossentropy
from .naming import get_uid
from .ops import (
    abs,
    all,
    any,
    cast,
    exp,
    log,
    max,
    mean,
    min,
    normalize,
    prod,
    round,
    shape,
    sigmoid,
    sign,
    softmax,
    sqrt,
    square,
    stack,
    std,
    stop_gradient,
    sum,
    tanh,
    var,
)
from .promotion import is_float_dtype, is_int_dtype, result_type
from .random import normal, uniform

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "abs", "any", "all", "argmax", "argmin", "backend", "batch_flatten", "batch_get_value",
    "batch_set_value", "binary_crossentropy", "cast", "cast_to_floatx", "categorical_crossentropy",
    "clear_session", "clip", "concatenate", "constant", "count_params", "dot", "dtype", "epsilon", "equal",
    "eval", "exp", "expand_dims", "flatten", "floatx", "function", "get_uid", "get_value",
    "image_data_format", "int_shape", "is_float_dtype", "is_int_dtype", "is_keras_tensor", "l2_normalize",
    "log", "max", "maximum", "mean", "min", "minimum", "ndim", "one_hot", "ones", "ones_like",
    "permute_dimensions", "pow", "prod", "random_normal", "random_uniform", "relu", "reshape",
    "result_type", "round", "set_epsilon", "set_floatx", "set_image_data_format", "set_value", "shape",
    "sigmoid", "sign", "softmax", "sparse_categorical_crossentropy", "sqrt", "square", "squeeze", "stack",
    "standardize_dtype", "std", "stop_gradient", "sum", "switch", "tanh", "transpose", "var", "variable",
    "zeros", "zeros_like",
]  # fmt: skip


def backend() -> str:
    """The name of the engine."""
    return config.backend()


def clear_session(free_memory: bool = True) -> None:
    """Layer names count from the beginning again, and memory kept for reuse is returned."""
    naming.reset()
    if free_memory:
        _core.clear_caches()


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """max(x, 0) with Keras 2's names."""
    from .activations import relu as activation

    return activation(as_tensor(x), negative_slope=alpha, max_value=max_value, threshold=threshold)


def clip(x: Any, min_value: float, max_value: float) -> Tensor:
    """Values below `min_value` raised to it, above `max_value` lowered."""
    low = -np.inf if min_value is None else float(min_value)
    high = np.inf if max_value is None else float(max_value)
    return _core.clip(as_tensor(x), low=low, high=high)


def maximum(x: Any, y: Any) -> Tensor:
    """The larger of the two, element by element."""
    return ops.maximum(x, y)


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of the two, element by element."""
    return ops.minimum(x, y)


def equal(x: Any, y: Any) -> Tensor:
    """Where the two are equal."""
    return ops.equal(x, y)


def pow(x: Any, a: Any) -> Tensor:
    """x to the power a."""
    return ops.power(x, a)


def argmax(x: Any, axis: int = -1) -> Tensor:
    """The place of the largest value along `axis`."""
    return _core.argmax(as_tensor(x), axis=axis)


def argmin(x: Any, axis: int = -1) -> Tensor:
    """The place of the smallest value along `axis`."""
    return _core.argmin(as_tensor(x), axis=axis)


def dot(x: Any, y: Any) -> Tensor:
    """The matrix product."""
    return _core.matmul(as_tensor(x), as_tensor(y))


def l2_normalize(x: Any, axis: Any = None) -> Tensor:
    """x over its length along `axis`."""
    return normalize(x, axis, epsilon=1e-6)


def reshape(x: Any, shape: Any) -> Tensor:
    """The values in another shape."""
    return _core.reshape(as_tensor(x), shape=list(shape))


def flatten(x: Any) -> Tensor:
    """All values in one axis."""
    return _core.reshape(as_tensor(x), shape=[-1])


def batch_flatten(x: Any) -> Tensor:
    """(n, ...) as (n, values)."""
    x = as_tensor(x)
    return _core.reshape(x, shape=[x.shape[0] if x.shape[0] is not None else -2, -1])


def transpose(x: Any) -> Tensor:
    """The axes in reverse order."""
    return _core.transpose(as_tensor(x))


def permute_dimensions(x: Any, pattern: Any) -> Tensor:
    """The axes in the order of `pattern`."""
    return _core.transpose(as_tensor(x), perm=list(pattern))


def expand_dims(x: Any, axis: int = -1) -> Tensor:
    """A new axis of size 1."""
    return ops.expand_dims(x, axis)


def squeeze(x: Any, axis: int) -> Tensor:
    """Without an axis of size 1."""
    return ops.squeeze(x, axis)


def concatenate(tensors: Any, axis: int = -1) -> Tensor:
    """The tensors one after the other along `axis`."""
    return ops.concatenate(tensors, axis)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Tensor:
    """The first where the condition is True, else the second."""
    return _core.where(as_tensor(then_expression), else_expression, as_tensor(condition))


def one_hot(indices: Any, num_classes: int) -> Tensor:
    """1 at each index, 0 elsewhere."""
    return _core.one_hot(as_tensor(indices), depth=int(num_classes), dtype=floatx())


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor of the value."""
    array = np.asarray(value, config.standardize_dtype(dtype))
    return _core.tensor(array if shape is None else np.broadcast_to(array, shape))


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Zeros."""
    return ops.zeros(shape, dtype)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Ones."""
    return ops.ones(shape, dtype)


def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Zeros of x's shape."""
    return ops.zeros_like(x, dtype)


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Ones of x's shape."""
    return ops.ones_like(x, dtype)


def cast_to_floatx(x: Any) -> Any:
    """The values in the default float type: arrays stay arrays."""
    if isinstance(x, (_core.Tensor, _core.Variable)):
        return cast(x, floatx())
    return np.asarray(x, floatx())


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A variable of the value."""
    from cnnexplain.tensor import Variable

    return Variable(np.asarray(value, config.standardize_dtype(dtype)), name=name)


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Values of a normal distribution."""
    return normal(shape, mean=mean, stddev=stddev, dtype=dtype, seed=seed)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Values of a uniform distribution."""
    return uniform(shape, minval=minval, maxval=maxval, dtype=dtype, seed=seed)


def int_shape(x: Any) -> tuple:
    """The shape as a tuple of integers and None."""
    return tuple(x.shape)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(x.shape)


def dtype(x: Any) -> str:
    """The dtype's name."""
    return x.dtype.name


def count_params(x: Any) -> int:
    """The number of values."""
    return int(np.prod(tuple(x.shape)))


def eval(x: Any) -> np.ndarray:
    """The values as an array."""
    return np.array(x)


def get_value(x: Any) -> np.ndarray:
    """The values of a variable."""
    return np.array(x) if hasattr(x, "shape") else x


def set_value(x: Any, value: Any) -> None:
    """Sets a variable, for instance `model.optimizer.learning_rate`."""
    x.assign(np.asarray(value, x.dtype.name))


def batch_get_value(tensors: Any) -> list:
    """The values of several variables."""
    return [get_value(x) for x in tensors]


def batch_set_value(tuples: Any) -> None:
    """Sets several variables from (variable, value) pairs."""
    for x, value in tuples:
        set_value(x, value)


def is_keras_tensor(x: Any) -> bool:
    """Whether x is the symbol of a model being built."""
    return isinstance(x, _core.Symbol)


def function(
    inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, **kwargs: Any
) -> Callable:
    """A callable from arrays to arrays over part of a model's graph.

    Args:
        inputs: Symbol or list of symbols.
        outputs: Symbol or list of symbols.

    Returns:
        A function of one list of arrays that returns a list of arrays (one array for a single output).
    """
    from .models import Model

    if updates:
        raise ValueError("`updates` is not offered by `K.function`.")
    model = Model(inputs, outputs)
    several = isinstance(outputs, (list, tuple))

    def call(values: Any) -> Any:
        given = list(values) if isinstance(values, (list, tuple)) else [values]
        result = model(given if len(model.inputs) > 1 else given[0])
        flat = [np.array(x) for x in tree.flatten(result)]
        return flat if several else flat[0]

    return call


_GONE = {
    "gradients": "Use `with cnnexplain.GradientTape() as tape: ...` and `tape.gradient(loss, variables)`.",
    "learning_phase": "Pass `training=True` or `training=False` to the model.",
    "set_learning_phase": "Pass `training=True` or `training=False` to the model.",
    "get_session": "There are no sessions: tensors have values at once.",
    "set_session": "There are no sessions: tensors have values at once.",
    "placeholder": "Use `keras.Input(shape)`.",
    "tensorflow_backend": "Use `keras.backend`.",
}


def __getattr__(name: str) -> Any:
    if name in _GONE:
        raise AttributeError(f"`keras.backend.{name}` does not exist in Keras 3. {_GONE[name]}")
    raise AttributeError(f"module 'cnnexplain.keras.backend' has no attribute '{name}'")
