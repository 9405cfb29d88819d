"""Rules of the backward pass, first bad values, and bits that the batch must not change."""

from __future__ import annotations

import numpy as np
import pytest
from reference.pool import max_pool_with_argmax

from cnnexplain import _core

RNG = np.random.default_rng(9)


def backward(name, x, dy, attributes, **rule):
    """d<dy, op(x)>/dx under a rule."""
    symbol = _core.symbol(x.shape, str(x.dtype))
    y = getattr(_core, name)(symbol, **attributes)
    y = y[0] if isinstance(y, tuple) else y
    instance = _core.Program([symbol], [y]).run([(symbol, _core.tensor(x))], [y])
    return instance.backward([(y, _core.tensor(dy))], [symbol], **rule)[0].numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"max_value": 0.5},
        {"negative_slope": 0.25},
        {"threshold": 0.5},
        {"max_value": 1.0, "negative_slope": 0.25, "threshold": 0.5},
    ],
)
def test_relu_gates(attributes, dtype):
    low, top = attributes.get("threshold", 0.0), attributes.get("max_value", np.inf)
    slope = attributes.get("negative_slope", 0.0)
    x = RNG.normal(size=(5, 39)).astype(dtype)
    x[0, :6] = [0.0, -0.0, low, min(top, 9.0), 7.0, np.inf]
    dy = RNG.normal(size=x.shape).astype(dtype)
    dy[1, :2] = np.inf, -np.inf
    above = (x >= top) & np.isfinite(top)
    opened = (x > low) & ~above
    with np.errstate(invalid="ignore"):
        leak = np.where(above | opened | (slope == 0), 0, slope * dy)
    expected = {
        "true": np.where(opened, dy, leak),
        "guided": np.where(opened & (dy > 0), dy, 0),
        "rectified": np.where(dy > 0, dy, 0),
    }
    for gate, want in expected.items():
        np.testing.assert_array_equal(backward("relu", x, dy, attributes, gate=gate), want, err_msg=gate)


@pytest.mark.parametrize("name", ["max_pool2d", "max_pool_with_argmax"])
@pytest.mark.parametrize("overlap", ["sum", "overwrite"])
def test_overlapping_pools(name, overlap):
    x, attributes = RNG.normal(size=(2, 7, 9, 3)), {"pool_size": 3, "strides": 2}
    y, at = max_pool_with_argmax(x, **attributes)
    dy = RNG.normal(size=y.shape)
    want = np.zeros((2, x[0].size))
    for n in range(2):
        for value, place in zip(dy[n].ravel(), at[n].ravel(), strict=True):
            want[n, place] = value if overlap == "overwrite" else want[n, place] + value
    assert (np.bincount(at[0].ravel()) > 1).any()
    got = backward(name, x, dy, attributes, overlap=overlap)
    np.testing.assert_allclose(got, want.reshape(x.shape), rtol=1e-14)


def test_unpooling_is_the_gradient_of_pooling():
    x, attributes = RNG.normal(size=(2, 7, 9, 3)), {"pool_size": 3, "strides": 2}
    y, at = _core.max_pool_with_argmax(_core.tensor(x), **attributes)
    dy = RNG.normal(size=y.shape)
    for overlap in ("sum", "overwrite"):
        placed = _core.max_unpool(_core.tensor(dy), at, size=(7, 9), overlap=overlap).numpy()
        np.testing.assert_array_equal(placed, backward("max_pool2d", x, dy, attributes, overlap=overlap))


def test_bad_switches_and_labels_are_named():
    x = _core.tensor(np.zeros((1, 2, 2, 1)))
    switches = _core.tensor(np.array([0, 3, 9, 1]).reshape(1, 2, 2, 1))
    with pytest.raises(ValueError, match=r"\[0, 9\).*9 at \(0, 1, 0, 0\)"):
        _core.max_unpool(x, switches, size=(3, 3))
    logits = _core.tensor(np.zeros((3, 4), np.float32))
    with pytest.raises(ValueError, match=r"\[0, 4\).*label -1 at position 2"):
        _core.sparse_softmax_cross_entropy(logits, _core.tensor(np.array([0, 3, -1])))


SHAPES = {
    "max_pool2d": ((5, 9, 8, 6), {"pool_size": 3, "strides": 2, "padding": "same"}),
    "average_pool2d": ((5, 9, 8, 6), {"pool_size": 3, "strides": 1, "padding": "same"}),
    "global_average_pool2d": ((5, 9, 8, 70), {}),
    "softmax": ((5, 77), {}),
    "log_softmax": ((5, 77), {}),
    "resize": ((5, 9, 8, 6), {"size": (17, 13), "method": "bilinear"}),
    **{name: ((5, 77), {}) for name in ("relu", "elu", "selu", "gelu", "silu", "mish", "sigmoid", "tanh")},
    **{name: ((5, 77), {}) for name in ("softplus", "softsign", "hard_sigmoid", "hard_silu")},
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_image_alone_has_the_same_bits_as_in_a_batch(name):
    shape, attributes = SHAPES[name]
    x = RNG.normal(size=shape).astype(np.float32)
    op = getattr(_core, name)
    y = op(_core.tensor(x), **attributes).numpy()
    dy = RNG.normal(size=y.shape).astype(np.float32)
    dx = backward(name, x, dy, attributes)
    for i in range(len(x)):
        assert op(_core.tensor(x[i : i + 1]), **attributes).numpy().tobytes() == y[i : i + 1].tobytes()
        alone = backward(name, x[i : i + 1], dy[i : i + 1], attributes)
        assert alone.tobytes() == dx[i : i + 1].tobytes()


def ulps(got, want):
    """Distance in units of the last place of float32."""
    want = want.astype(np.float64)
    return np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(want).astype(np.float32))


def test_float32_exponentials_are_accurate():
    x = np.concatenate([RNG.uniform(-90, 88, 20000), RNG.uniform(-1, 1, 20000)]).astype(np.float32)
    wide = x.astype(np.float64)
    assert ulps(_core.tanh(x).numpy(), np.tanh(wide)).max() <= 2
    normal = x[x > -87]
    assert ulps(_core.sigmoid(normal).numpy(), 1 / (1 + np.exp(-normal.astype(np.float64)))).max() <= 3
    assert ulps(_core.softplus(normal).numpy(), np.logaddexp(0, normal.astype(np.float64))).max() <= 4
    below = x[x < 0]
    assert ulps(_core.elu(below).numpy(), np.expm1(below.astype(np.float64))).max() <= 2
