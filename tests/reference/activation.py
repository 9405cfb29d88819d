"""Pointwise activations and softmax, from their definitions."""

import math

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float64])


def relu(x, max_value=np.inf, negative_slope=0.0, threshold=0.0):
    y = np.array(x, copy=True)
    below = x < threshold
    y[below] = negative_slope * (x[below] - threshold)
    if max_value < np.inf:
        y[x >= max_value] = max_value
    return (y,)


def _sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def _softplus(x):
    return np.logaddexp(0, x)


def elu(x, alpha=1.0):
    return (np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),)


def selu(x):
    alpha, scale = 1.6732632423543772848, 1.0507009873554804934
    return (scale * elu(x, alpha)[0],)


def gelu(x, approximate=False):
    if approximate:
        return (0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),)
    return (0.5 * x * (1 + _erf(x / np.sqrt(2))),)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return (e / e.sum(axis=axis, keepdims=True),)


def log_softmax(x, axis=-1):
    shifted = x - x.max(axis=axis, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)),)


TWINS = {
    "relu": relu,
    "elu": elu,
    "selu": selu,
    "gelu": gelu,
    "silu": lambda x: (x * _sigmoid(x),),
    "mish": lambda x: (x * np.tanh(_softplus(x)),),
    "sigmoid": lambda x: (_sigmoid(x),),
    "hard_sigmoid": lambda x: (np.clip(x / 6 + 0.5, 0, 1),),
    "hard_silu": lambda x: (x * np.clip(x / 6 + 0.5, 0, 1),),
    "tanh": lambda x: (np.tanh(x),),
    "softplus": lambda x: (_softplus(x),),
    "softsign": lambda x: (x / (1 + np.abs(x)),),
    "softmax": softmax,
    "log_softmax": log_softmax,
}

_FAR = np.array([[-80.3, -21.7, -9.6, -4.1, -1e-4], [3e-5, 2.6, 8.2, 19.9, 83.1]])
_SATURATED = np.array([[1000.0, 0.0, -1000.0], [-3e4, -3e4 + 1, -3e4 - 2], [88.0, 87.5, -104.0]])
_MASKED = np.array([[-np.inf, 0.5, 1.5, -np.inf], [2.0, -np.inf, -np.inf, -np.inf]])

CASES = [
    *((name, [(3, 37)], {}) for name in TWINS),
    *((name, [_FAR], {}) for name in TWINS if name not in ("softmax", "log_softmax")),
    *((name, [(0, 4)], {}) for name in TWINS),
    ("relu", [(2, 5, 7, 3)], {}),
    ("relu", [(4, 9)], {"max_value": 0.6}),
    ("relu", [(4, 9)], {"negative_slope": 0.3}),
    ("relu", [(4, 9)], {"threshold": 0.4}),
    ("relu", [(4, 9)], {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.5}),
    *(
        (
            "relu",
            [np.array([-100, -1, 0, 1, 6, 7, 100], d) if d[0] == "i" else np.array([0, 7, 200], d)],
            limits,
        )
        for d in ("int32", "int64", "int8", "uint8")
        for limits in ({}, {"max_value": 6.0})
    ),
    ("elu", [(4, 9)], {"alpha": 0.7}),
    ("elu", [(4, 9)], {"alpha": -0.5}),
    ("gelu", [(3, 37)], {"approximate": True}),
    ("gelu", [_FAR], {"approximate": True}),
    *((name, [(2, 3, 5)], {"axis": axis}) for name in ("softmax", "log_softmax") for axis in (1, -1)),
    *((name, [(2, 3, 4, 5)], {"axis": -3}) for name in ("softmax", "log_softmax")),
    *((name, [(7,)], {"axis": 0}) for name in ("softmax", "log_softmax")),
    *((name, [(2, 131)], {}) for name in ("softmax", "log_softmax")),
    *((name, [(5, 1)], {}) for name in ("softmax", "log_softmax")),
    *((name, [_SATURATED], {}) for name in ("softmax", "log_softmax")),
    ("softmax", [_MASKED], {}),
    *((name, [()], {}) for name in ("relu", "sigmoid", "tanh", "gelu")),
]
