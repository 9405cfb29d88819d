"""Gradients of gradients through nested tapes, against finite differences of the inner gradient."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import _core

RNG = np.random.default_rng(8)
IMAGE = (2, 5, 7, 3)


def probability(shape):
    p = RNG.uniform(0.1, 1, shape)
    return p / p.sum(axis=-1, keepdims=True)


# op, inputs, attributes: every float input is differentiated twice
CASES = [
    ("relu", [(3, 7)], {}),
    ("relu", [(3, 7)], {"max_value": 0.8, "negative_slope": 0.3, "threshold": 0.2}),
    ("elu", [(3, 7)], {"alpha": 0.7}),
    ("silu", [(3, 7)], {}),
    ("sigmoid", [(3, 7)], {}),
    ("tanh", [(3, 7)], {}),
    ("softplus", [(3, 7)], {}),
    ("softmax", [(3, 7)], {}),
    ("softmax", [(3, 4, 2)], {"axis": 1}),
    ("log_softmax", [(3, 7)], {}),
    ("max_pool2d", [IMAGE], {}),
    ("max_pool2d", [IMAGE], {"pool_size": 3, "strides": 2, "padding": "same"}),
    ("max_pool_with_argmax", [IMAGE], {"pool_size": 3, "strides": 2}),
    ("average_pool2d", [IMAGE], {}),
    ("average_pool2d", [IMAGE], {"pool_size": (3, 2), "strides": (2, 1), "padding": "same"}),
    ("average_pool2d", [IMAGE], {"pool_size": 3, "strides": 2, "padding": "explicit", "pads": (1, 0, 2, 1)}),
    ("global_average_pool2d", [IMAGE], {}),
    ("max_unpool", [(1, 2, 2, 1), np.array([5, 0, 7, 5]).reshape(1, 2, 2, 1)], {"size": (3, 3)}),
    ("batch_norm", [IMAGE, (3,), RNG.uniform(0.5, 2, 3), (3,), (3,)], {}),
    ("batch_norm", [IMAGE, (3,), RNG.uniform(0.5, 2, 3)], {}),
    ("softmax_cross_entropy", [(4, 5), probability((4, 5))], {}),
    ("sigmoid_cross_entropy", [(4, 5), probability((4, 5))], {}),
    ("resize", [IMAGE], {"size": (8, 4), "method": "bilinear"}),
    ("resize", [IMAGE], {"size": (3, 10)}),
    ("dropout", [(4, 9), np.array([3, 1])], {"rate": 0.4}),
]


def inner_gradients(name, inputs, attributes):
    """d sum(tanh(op)^2) / d each float input, as tensors of any tape that is open."""
    tensors = [x if isinstance(x, _core.Tensor) else _core.tensor(x) for x in inputs]
    sources = [x for x in tensors if x.dtype == "float64"]
    with cx.GradientTape() as tape:
        for x in sources:
            tape.watch(x)
        y = getattr(_core, name)(*tensors, **attributes)
        y = y[0] if isinstance(y, tuple) else y
        loss = cx.reduce_sum(cx.square(cx.tanh(y)))
    return tape.gradient(loss, sources)


@pytest.mark.parametrize("name, inputs, attributes", CASES)
def test_second_derivative(name, inputs, attributes):
    inputs = [RNG.normal(size=x) if isinstance(x, tuple) else x for x in inputs]
    real = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]
    weights = [RNG.normal(size=inputs[i].shape) for i in real]
    tensors = [_core.tensor(x) for x in inputs]
    with cx.GradientTape() as outer:
        for i in real:
            outer.watch(tensors[i])
        inner = inner_gradients(name, tensors, attributes)
        total = sum(cx.reduce_sum(g * w) for g, w in zip(inner, weights, strict=True))
    second = outer.gradient(total, [tensors[i] for i in real])

    def value(moved):
        return sum(
            (g.numpy() * w).sum()
            for g, w in zip(inner_gradients(name, moved, attributes), weights, strict=True)
        )

    for i, got in zip(real, second, strict=True):
        direction, step = RNG.normal(size=inputs[i].shape), 1e-5
        ends = []
        for sign in (1, -1):
            moved = list(inputs)
            moved[i] = inputs[i] + sign * step * direction
            ends.append(value(moved))
        want = (ends[0] - ends[1]) / (2 * step)
        assert got is not None
        assert (got.numpy() * direction).sum() == pytest.approx(want, rel=1e-5, abs=1e-6)


def test_missing_second_derivative_names_the_op():
    x = _core.tensor(RNG.normal(size=(3, 4)))
    with cx.GradientTape() as outer:
        outer.watch(x)
        with cx.GradientTape() as inner:
            inner.watch(x)
            y = cx.reduce_sum(cx.nn.gelu(x))
        g = inner.gradient(y, x)
    with pytest.raises(Exception, match="gelu"):
        outer.gradient(g, x)
