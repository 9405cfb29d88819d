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
    ("resize", [IMAGE], {"size": (8, 4), "method": "bicubic"}),
    *((name, [(3, 7)], {}) for name in ("tan", "atan", "sinh", "cosh", "asinh", "erf", "expm1")),
    *((name, [RNG.uniform(-0.8, 0.8, (3, 7))], {}) for name in ("asin", "acos", "atanh")),
    ("acosh", [RNG.uniform(1.5, 3, (3, 7))], {}),
    ("atan2", [(3, 7), RNG.uniform(0.5, 2, 7)], {}),
    ("cumsum", [(3, 7)], {"axis": 1, "exclusive": True}),
    ("sort", [(3, 7)], {}),
    ("sort", [(3, 4, 2)], {"axis": 1, "descending": True}),
    *((name, [(3, 7)], {}) for name in ("selu", "gelu", "mish", "softsign", "hard_sigmoid", "hard_silu")),
    ("gelu", [(3, 7)], {"approximate": True}),
    ("sparse_softmax_cross_entropy", [(4, 5), np.array([0, 4, 1, 1])], {}),
    ("batch_norm_training", [IMAGE, (3,), (3,)], {"epsilon": 0.1}),
    ("batch_norm_training", [IMAGE], {"epsilon": 0.1}),
    ("gather", [(3, 4, 2), np.array([[3, 0], [0, 0]])], {"axis": 1}),
    ("gather", [(2, 3, 4), np.array([[2, 0], [1, 1]])], {"axis": 1, "batch_dims": 1}),
    ("tile", [(2, 3)], {"multiples": (2, 3)}),
    ("pad", [(4, 5)], {"before": (2, 1), "after": (0, 3), "mode": "reflect"}),
    ("pad", [(4, 5)], {"before": (2, 5), "after": (4, 3), "mode": "symmetric"}),
    ("floor_mod", [(3, 7), RNG.uniform(0.5, 2, 7)], {}),
    ("conv2d", [(2, 6, 5, 4), (3, 2, 2, 6), (6,)], {"groups": 2, "strides": 2, "padding": "same"}),
    ("conv2d", [(1, 6, 5, 4), (3, 2, 1, 8)], {"groups": 4, "padding": "explicit", "pads": (1, 0, 2, 1)}),
    ("depthwise_conv2d", [(2, 6, 5, 3), (3, 3, 3, 2), (6,)], {"strides": 2, "padding": "same"}),
    ("depthwise_conv2d", [(2, 7, 6, 3), (2, 3, 3, 1)], {"dilation": 2}),
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
        real = [part for part in (y if isinstance(y, tuple) else (y,)) if part.dtype == "float64"]
        loss = sum(cx.reduce_sum(cx.square(cx.tanh(part))) for part in real)
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
            y = cx.reduce_prod(x)
        g = inner.gradient(y, x)
    np.testing.assert_allclose(g, np.prod(x.numpy()) / x.numpy(), rtol=1e-12)
    with pytest.raises(ValueError, match="reduce_prod has no second derivative"):
        outer.gradient(g, x)


@pytest.mark.parametrize(
    "name, inputs",
    [
        ("acosh", [np.array([-2.0, 0.5, 3.0])]),
        ("pow", [np.array([-1.5, 2.0]), np.array([0.3, 0.3])]),
        ("batch_norm_training", [np.zeros((0, 3)), None, np.ones(3)]),
    ],
)
def test_where_there_is_nothing_to_differentiate(name, inputs):
    """Outside the domain, and over no rows, gradients as ops are those of the kernels."""
    given = [None if x is None else _core.tensor(x) for x in inputs]
    tensors = [x for x in given if x is not None]
    found = []
    for watched in ([], tensors):
        with cx.GradientTape() as outer:
            for x in watched:
                outer.watch(x)
            with cx.GradientTape() as inner:
                for x in tensors:
                    inner.watch(x)
                y = getattr(_core, name)(*given)
                loss = cx.reduce_sum(y[0] if isinstance(y, tuple) else y)
            found.append(inner.gradient(loss, tensors))
    for kernel, as_ops in zip(*found, strict=True):
        np.testing.assert_array_equal(np.isnan(as_ops), np.isnan(kernel))
        np.testing.assert_allclose(as_ops, kernel, rtol=1e-12)


def test_an_outer_gradient_may_take_another_way():
    """The inner gradient passes through an op without second derivative, the outer one does not need to."""
    x, scale = _core.tensor(RNG.uniform(0.5, 1, (3, 4))), _core.tensor(np.array(2.0))
    with cx.GradientTape() as outer:
        outer.watch(scale)
        with cx.GradientTape() as inner:
            inner.watch(x)
            y = cx.reduce_prod(x)
        total = cx.reduce_sum(inner.gradient(y, x)) * scale * scale
    want = 4 * (np.prod(x.numpy()) / x.numpy()).sum()
    np.testing.assert_allclose(outer.gradient(total, scale), want, rtol=1e-12)
