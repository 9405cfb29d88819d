"""Optimizer steps against NumPy: the formulas of Keras 3."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import _core

SIZE = 40_003  # more than one thread's share, and no multiple of a vector


def sgd(w, g, state, step, learning_rate):
    return w - learning_rate * g, state


def momentum(w, g, state, step, learning_rate, momentum, nesterov=False):
    m = momentum * state[0] - learning_rate * g
    return w + (momentum * m - learning_rate * g if nesterov else m), [m]


def adam(w, g, state, step, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = state
    alpha = learning_rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    return w - m * alpha / (np.sqrt(v) + epsilon), [m, v]


def amsgrad(w, g, state, step, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v, most = state
    alpha = learning_rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    most = np.maximum(most, v)
    return w - m * alpha / (np.sqrt(most) + epsilon), [m, v, most]


def nadam(w, g, state, step, learning_rate, product, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = state
    now, ahead = (beta_1 * (1 - 0.5 * 0.96**t) for t in (step, step + 1))
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    hat = ahead * m / (1 - product * ahead) + (1 - now) * g / (1 - product)
    return w - learning_rate * hat / (np.sqrt(v / (1 - beta_2**step)) + epsilon), [m, v]


def rmsprop(w, g, state, step, learning_rate, rho=0.9, epsilon=1e-7):
    v = rho * state[0] + (1 - rho) * g * g
    return w - learning_rate * g / np.sqrt(v + epsilon), [v]


def adagrad(w, g, state, step, learning_rate, epsilon=1e-7):
    v = state[0] + g * g
    return w - learning_rate * g / np.sqrt(v + epsilon), [v]


RULES = {
    "sgd": (sgd, 0), "momentum": (momentum, 1), "adam": (adam, 2), "amsgrad": (amsgrad, 3),
    "nadam": (nadam, 2), "rmsprop": (rmsprop, 1), "adagrad": (adagrad, 1),
}  # fmt: skip
SETTINGS = [
    ("sgd", {"learning_rate": 0.1}),
    ("momentum", {"learning_rate": 0.05, "momentum": 0.9}),
    ("momentum", {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True}),
    ("adam", {"learning_rate": 1e-3}),
    ("adam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3}),
    ("amsgrad", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.5}),
    ("nadam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "product": 0.5}),
    ("rmsprop", {"learning_rate": 0.02, "rho": 0.7, "epsilon": 1e-3}),
    ("adagrad", {"learning_rate": 0.02, "epsilon": 1e-3}),
]


def run(name, attributes, gradients, start, dtype):
    """The variable and its state after one step per gradient; the loss <w, g> has the gradient g."""
    w = cx.Variable(start.astype(dtype))
    state = [cx.Variable(np.zeros(start.shape, dtype)) for _ in range(RULES[name][1])]
    g = _core.symbol(start.shape, dtype)
    loss = _core.reduce_sum(_core.multiply(g, w))
    program = _core.Program([g], [loss])
    for step, gradient in enumerate(gradients, 1):
        program.train_step([_core.tensor(gradient.astype(dtype))], loss, [w], name, attributes, [state], step)
    return w.numpy(), [s.numpy() for s in state]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, attributes", SETTINGS)
def test_update_follows_its_formula(name, attributes, dtype):
    rng = np.random.default_rng(3)
    start, gradients = rng.normal(size=SIZE), rng.normal(size=(4, SIZE))
    got, got_state = run(name, attributes, gradients, start, dtype)
    want, state = start, [np.zeros(SIZE)] * RULES[name][1]
    for step, gradient in enumerate(gradients, 1):
        want, state = RULES[name][0](want, gradient, state, step, **attributes)
    tolerance = 2e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    for a, b in zip(got_state, state, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name, attributes", SETTINGS)
def test_update_does_not_depend_on_threads(name, attributes):
    rng = np.random.default_rng(4)
    start, gradients = rng.normal(size=SIZE), rng.normal(size=(2, SIZE))
    before = _core.get_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            _core.set_threads(threads)
            results.append(run(name, attributes, gradients, start, "float32")[0].tobytes())
    finally:
        _core.set_threads(before)
    assert len(set(results)) == 1


def clipped(gradients, clip):
    kind, limit = next(iter(clip.items()))
    if kind == "clipvalue":
        return [np.clip(g, -limit, limit) for g in gradients]
    norms = [np.linalg.norm(g) for g in gradients]
    if kind == "global_clipnorm":
        norms = [np.linalg.norm(norms)] * len(gradients)
    return [g * limit / max(norm, limit) for g, norm in zip(gradients, norms, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["clipnorm", "clipvalue", "global_clipnorm"])
@pytest.mark.parametrize("limit", [0.25, 100.0])
def test_gradients_are_clipped_and_weights_decay(kind, limit, dtype):
    rng = np.random.default_rng(5)
    start, gradients = [rng.normal(size=n) for n in (7, 1030)], [rng.normal(size=n) for n in (7, 1030)]
    v = [cx.Variable(w.astype(dtype)) for w in start]
    g = [_core.symbol(w.shape, dtype) for w in start]
    loss = sum(_core.reduce_sum(_core.multiply(a, b)) for a, b in zip(g, v, strict=True))
    program = _core.Program(g, [loss])
    fed = [_core.tensor(one.astype(dtype)) for one in gradients]
    program.train_step(
        fed, loss, v, "sgd", {"learning_rate": 0.5}, [[], []], 1, clip={kind: limit}, decay=[0.0, 0.125]
    )
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    for w, got, move, kept in zip(start, v, clipped(gradients, {kind: limit}), (1.0, 0.875), strict=True):
        np.testing.assert_allclose(got.numpy(), w * kept - 0.5 * move, rtol=tolerance, atol=tolerance)


def test_gradients_that_are_no_numbers_stay_so():
    v = cx.Variable([1.0, 1.0])
    g = _core.symbol((2,))
    loss = _core.reduce_sum(_core.multiply(g, v))
    fed = [_core.tensor(np.array([np.nan, 1.0], np.float32))]
    for clip in ({"clipnorm": 1.0}, {"clipvalue": 1.0}, {"global_clipnorm": 1.0}):
        _core.Program([g], [loss]).train_step(
            fed, loss, [v], "sgd", {"learning_rate": 0.5}, [[]], 1, clip=clip
        )
        assert np.isnan(v.numpy()[0])


def test_a_list_of_decays_that_empties_itself():
    class Emptying:
        def __float__(self):
            decay.clear()
            return 0.5

    v, g = [cx.Variable([1.0]), cx.Variable([1.0])], _core.symbol((1,))
    decay = [Emptying(), 0.25]
    loss = _core.reduce_sum(_core.multiply(_core.multiply(g, v[0]), v[1]))
    fed = [_core.tensor(np.ones(1, np.float32))]
    with pytest.raises((IndexError, TypeError)):
        _core.Program([g], [loss]).train_step(
            fed, loss, v, "sgd", {"learning_rate": 0.5}, [[], []], 1, decay=decay
        )


def test_an_infinite_norm_leaves_no_number():
    v = cx.Variable([1.0, 1.0])
    g = _core.symbol((2,))
    loss = _core.reduce_sum(_core.multiply(g, v))
    fed = [_core.tensor(np.array([np.inf, 1.0], np.float32))]
    _core.Program([g], [loss]).train_step(
        fed, loss, [v], "sgd", {"learning_rate": 0.5}, [[]], 1, clip={"global_clipnorm": 1.0}
    )
    assert np.isnan(v.numpy()).all()


def test_clip_and_decay_are_checked():
    v = cx.Variable([1.0])
    g = _core.symbol((1,))
    loss = _core.reduce_sum(_core.multiply(g, v))
    program, given = (
        _core.Program([g], [loss]),
        ([np.ones(1)], loss, [v], "sgd", {"learning_rate": 0.5}, [[]], 1),
    )
    with pytest.raises((TypeError, ValueError), match="clip"):
        program.train_step(*given, clip={"clipnorms": 1.0})
    with pytest.raises(ValueError, match="`decay` must hold one number for each variable"):
        program.train_step(*given, decay=[])
    with pytest.raises(TypeError):
        program.train_step(*given, decay=["a"])
    assert v.numpy() == 1


def test_updates_refuse_bad_attributes():
    start = np.zeros(3)
    with pytest.raises(ValueError, match="momentum"):
        run("momentum", {"learning_rate": 0.1, "momentum": 2.0}, [start], start, "float32")
    with pytest.raises((TypeError, ValueError), match="learning_rate"):
        run("adam", {}, [start], start, "float32")


def test_a_step_counts_from_one_and_moves_a_variable_once():
    x, v = _core.symbol((None, 2)), cx.Variable([1.0, 1.0])
    loss = _core.reduce_sum(_core.multiply(x, v))
    program, inputs = _core.Program([x], [loss]), [np.ones((1, 2), np.float32)]
    state = [[cx.Variable([0.0, 0.0]) for _ in range(2)] for _ in range(2)]
    with pytest.raises(ValueError, match="step"):
        program.train_step(inputs, loss, [v], "adam", {"learning_rate": 0.1}, state[:1], 0)
    with pytest.raises(ValueError, match="variable 1 is given twice"):
        program.train_step(inputs, loss, [v, v], "adam", {"learning_rate": 0.1}, state, 1)
    assert v.numpy().tolist() == [1, 1]
