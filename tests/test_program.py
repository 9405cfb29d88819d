"""Programs: built, called, tapped, trained. Expected values: NumPy and finite differences in float64."""

import contextlib
import gc
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from finite_differences import slope

from cnnexplain import _core as cx
from cnnexplain.tape import GradientTape
from cnnexplain.tensor import Variable

RNG = np.random.default_rng(0)


def rand(*shape):
    return RNG.standard_normal(shape)


def close(t, want, tolerance=1e-9):
    np.testing.assert_allclose(np.asarray(t), want, rtol=tolerance, atol=tolerance)


def conv(x, k, b):
    """'same' padding, stride 1, 3x3."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    n, h, w, _ = x.shape
    out = np.zeros((n, h - 2, w - 2, k.shape[3]), x.dtype)
    for i in range(3):
        for j in range(3):
            out += x[:, i : i + h - 2, j : j + w - 2] @ k[i, j]
    return out + b


def relu(x):
    return np.maximum(x, 0)


def pool(x):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Net:
    """conv relu pool conv relu average dense softmax: the lecture's network in small, and its twin."""

    def __init__(self, dtype="float64"):
        self.w = [rand(*s) for s in ((3, 3, 2, 3), (3,), (3, 3, 3, 4), (4,), (4, 5), (5,))]
        self.v = v = [Variable(w.astype(dtype)) for w in self.w]
        self.x = cx.symbol((None, 8, 8, 2), dtype)
        self.pre1 = cx.conv2d(self.x, v[0], v[1], padding="same")
        self.act1 = cx.relu(self.pre1)
        self.pooled = cx.max_pool2d(self.act1)
        self.act2 = cx.relu(cx.conv2d(self.pooled, v[2], v[3], padding="same"))
        self.logits = cx.dense(cx.global_average_pool2d(self.act2), v[4], v[5])
        self.y = cx.softmax(self.logits)

    def program(self, *outputs):
        return cx.Program([self.x], list(outputs) or [self.y])

    def from_act2(self, a):
        return softmax(a.mean((1, 2)) @ self.w[4] + self.w[5])

    def from_act1(self, a):
        return self.from_act2(relu(conv(pool(a), self.w[2], self.w[3])))

    def all(self, x):
        act1 = relu(conv(x, self.w[0], self.w[1]))
        act2 = relu(conv(pool(act1), self.w[2], self.w[3]))
        return act1, act2, self.from_act2(act2)


@contextlib.contextmanager
def tracing():
    """Ops on variables are steps of the program, not values of now."""
    before = cx.symbolic(True)
    try:
        yield
    finally:
        cx.symbolic(before)


# building
def test_shapes_and_inspection():
    n = Net()
    assert n.act1.shape == (None, 8, 8, 3) and n.y.shape == (None, 5) and n.y.logits is n.logits
    p = n.program(n.act2, n.y)
    assert [node[0] for node in p.nodes] == [
        "conv2d", "relu", "max_pool2d", "conv2d", "relu", "global_average_pool2d", "dense", "softmax",
    ]  # fmt: skip
    name, attributes, inputs, outputs = p.nodes[0]
    assert attributes["strides"] == (1, 1) and attributes["padding"] == "same"
    assert inputs[0] is n.x and inputs[1] is n.v[0] and outputs[0] is n.pre1
    assert p.inputs[0] is n.x and p.outputs[1] is n.y and len(p.variables) == 6
    assert n.act1 in p and cx.symbol((1,)) not in p


def test_building_errors():
    n = Net()
    with pytest.raises(ValueError, match="not among the inputs"):
        cx.Program([cx.symbol((None, 2))], [n.y])
    with pytest.raises(TypeError, match="symbolic"):
        cx.Program([n.v[0]], [n.y])
    with pytest.raises(ValueError, match="twice"):
        cx.Program([n.x, n.x], [n.y])
    with pytest.raises(ValueError, match="channels"):
        cx.conv2d(n.x, np.zeros((3, 3, 5, 1)))


def test_unused_branches_do_not_enter_and_inputs_cut():
    n = Net()
    cx.exp(n.act1)
    assert len(n.program(n.act1).nodes) == 2
    upper = cx.Program([n.act2], [n.y])
    assert len(upper.nodes) == 3
    a = rand(2, 4, 4, 4)
    close(upper(a)[0], n.from_act2(a))


def test_a_deep_graph_needs_no_recursion():
    x = y = cx.symbol((None, 2))
    for _ in range(20000):
        y = cx.relu(y)
    p = cx.Program([x], [y])
    assert np.asarray(p(np.float32([[1, -1]]))[0]).tolist() == [[1, 0]]
    del p, y
    gc.collect()


# calling
def test_call():
    n, x = Net(), rand(2, 8, 8, 2)
    p = n.program(n.act1, n.act2, n.y)
    for got, want in zip(p(x), n.all(x), strict=True):
        close(got, want)
    assert p(x)[2].logits is not None
    close(softmax(np.asarray(p(x)[2].logits)), n.all(x)[2])
    with pytest.raises(ValueError, match=r"must have shape \(None, 8, 8, 2\)"):
        p(rand(1, 9, 8, 2))
    with pytest.raises(ValueError, match="takes 1 inputs"):
        p(x, x)
    with pytest.raises(TypeError, match="dtype"):
        p(cx.tensor(x, dtype="float32"))
    with pytest.raises(TypeError, match="symbolic"):
        p(n.x)
    f = Net("float32")
    close(f.program()(x)[0], f.all(x)[2], 1e-4)  # arrays take the input's dtype


def test_inputs_as_outputs_and_outputs_twice():
    x = cx.symbol((None, 3), "float64")
    y = cx.relu(x)
    p = cx.Program([x], [y, x, y, cx.reshape(x, shape=(-1,))])
    a = rand(2, 3)
    before = a.copy()
    r = p(a)
    a[:] = 9
    close(r[0], relu(before)), close(r[1], before), close(r[3], before.reshape(-1))
    t = cx.tensor(before)
    with GradientTape(persistent=True) as tape:
        tape.watch(t)
        u, v, w, _ = p(t)
        s = u * v
        z = s * w
    q = relu(before)
    close(tape.gradient(z, t), 3 * q * q), close(tape.gradient(z, s), q)


def test_two_taps_input_and_kernels_at_once():
    n, x0 = Net(), rand(2, 8, 8, 2)
    x = cx.tensor(x0)
    with GradientTape() as tape:
        tape.watch(x)
        a1, a2, y = n.program(n.act1, n.act2, n.y)(x)
        loss = cx.reduce_sum(y[:, 1])
    g1, g2, gx, *gw = tape.gradient(loss, [a1, a2, x, *n.v])
    f1, f2 = np.array(a1), np.array(a2)
    close(g2, slope(lambda: n.from_act2(f2)[:, 1].sum(), f2), 1e-7)
    alive = np.repeat(np.repeat(pool(f1) > 0, 2, 1), 2, 2)  # a window of zeros has no derivative
    close(g1 * alive, alive * slope(lambda: n.from_act1(f1)[:, 1].sum(), f1), 1e-7)
    close(gx, slope(lambda: n.all(x0)[2][:, 1].sum(), x0), 1e-7)
    for w, g in zip(n.w, gw, strict=True):
        close(g, slope(lambda: n.all(x0)[2][:, 1].sum(), w), 1e-7)


def test_second_derivative_through_a_program_call():
    """Both tapes recorded the call; its inner values have no tensors of their own."""
    x = cx.symbol((None, 3), "float64")
    w0 = rand(3, 2)
    w = Variable(w0)
    p = cx.Program([x], [cx.square(cx.dense(cx.square(x), w))])
    a = rand(2, 3)
    t = cx.tensor(a)
    with GradientTape() as outer:
        outer.watch(t)
        with GradientTape() as inner:
            inner.watch(t)
            (y,) = p(t)
        g = inner.gradient(y, t)
        s = cx.reduce_sum(g * g)
    gx, gw = outer.gradient(s, [t, w])

    def value():
        return float(((2 * ((a * a) @ w0) @ w0.T * 2 * a) ** 2).sum())

    close(gx, slope(value, a), 1e-6), close(gw, slope(value, w0), 1e-6)


def test_assign_between_forward_and_gradient():
    n, x = Net(), rand(1, 8, 8, 2)
    p, v = n.program(), n.v[4]
    with GradientTape(persistent=True) as tape:
        loss = p(x)[0][:, 0]
    want = np.asarray(tape.gradient(loss, n.v[0]))
    where = v.address
    v.assign(rand(4, 5))
    assert v.address != where
    close(tape.gradient(loss, n.v[0]), want)
    where = v.address
    v.assign(rand(4, 5))
    assert v.address == where


def test_constants_and_scalars_in_a_program():
    x = cx.symbol((None, 2))
    c = cx.tensor([10.0, 20.0])
    p = cx.Program([x], [x * 2.0 + c])
    a = np.float32([[1, 2]])
    close(p(a)[0], [[12, 24]])
    with GradientTape() as tape:
        tape.watch(c)
        (y,) = p(a)
    close(tape.gradient(y, c), [1, 1])


def test_updates():
    x = cx.symbol((None,), "float64")
    mean, count = Variable(np.array(0.0), trainable=False), Variable(0, trainable=False)
    with tracing():
        y, moved, counted = x + mean, mean * 0.5 + cx.reduce_mean(x) * 0.5, count + 1
    p = cx.Program([x], [y], [(mean, moved), (count, counted)])
    close(p(np.array([2.0, 4.0]))[0], [2, 4])  # the call sees the values before
    close(mean, 1.5), close(p(np.array([0.0]))[0], [1.5]), close(mean, 0.75)
    assert count.numpy() == 2
    bad = Variable(np.zeros(3))
    with pytest.raises(ValueError, match="shape"):
        cx.Program([x], [x], [(bad, x)])(np.zeros(2))
    a = np.zeros(3)
    keep = Variable(np.zeros(3))
    cx.Program([x], [x], [(keep, x)])(a)
    a[:] = 5
    close(keep, [0, 0, 0])  # an update never shares a caller's array


def test_symbolic_mode_makes_steps_of_ops_on_variables():
    v = Variable([1.0, 2.0])
    with tracing():
        y, z = cx.reduce_sum(v * v), v.value()
        assert cx.tensor([1.0]).numpy() == 1
    p = cx.Program([], [y, z])
    close(p()[0], 5)
    v.assign([3.0, 4.0])
    close(p()[0], 25), close(p()[1], [3, 4])
    assert cx.reduce_sum(v).numpy() == 7


# instances
def test_only_what_lies_between_is_computed():
    n, x = Net(), rand(1, 8, 8, 2)
    p = n.program()
    i = p.run([(n.x, x)], [n.act1])
    assert i.counts == (8, 1, 0)  # nodes; kernels forward, conv2d with its relu; and back
    i.backward([(n.act1, np.ones((1, 8, 8, 3)))], [n.x])
    assert i.counts[1:] == (1, 2)
    i = p.run([(n.x, x)], [n.y])
    i.backward([(n.logits, np.eye(5)[[2]])], [n.act2])  # Grad-CAM: dense and average
    assert i.counts == (8, 6, 2)
    assert i.program is p


def test_any_symbol_can_be_fed():
    n, x = Net(), rand(1, 8, 8, 2)
    i = n.program().run([(n.act2, n.all(x)[1])], [n.y])
    close(i.value(n.y), n.all(x)[2])
    assert i.counts[1] == 3
    with pytest.raises(ValueError, match="not fed"):
        i.value(n.act1)
    with pytest.raises(ValueError, match="tensor of this program"):
        i.value(cx.symbol((1,)))


def test_no_gradient_goes_back_through_what_was_fed():
    x = cx.symbol((None, 3), "float64")
    a = cx.sin(x)
    b = cx.multiply(a, 3.0)
    y = cx.add(cx.square(b), x)
    program, one = cx.Program([x], [y]), rand(2, 3)
    i = program.run([(x, rand(2, 3)), (b, one)], [y])
    gx, ga, gb = i.backward([(y, np.ones((2, 3)))], [x, a, b])
    close(gx, np.ones((2, 3))), close(gb, 2 * one)
    assert ga is None
    alone = program.run([(b, one)], [])
    assert alone.backward([(b, one)], [x, a]) == [None, None]


def test_a_node_makes_its_other_output_when_one_is_fed():
    x, fed = rand(1, 4, 4, 1), rand(1, 2, 2, 1)
    s = cx.symbol((None, 4, 4, 1), "float64")
    pooled, switches = cx.max_pool_with_argmax(s)
    i = cx.Program([s], [pooled, switches]).run([(s, x), (pooled, fed)], [switches])
    assert np.array_equal(i.value(switches), cx.max_pool_with_argmax(x)[1])
    close(i.value(pooled), fed)


def test_seeds_add_up():
    n, x = Net(), rand(1, 8, 8, 2)
    i = n.program().run([(n.x, x)], [n.y])
    s1, s2 = rand(1, 5), rand(1, 4, 4, 4)
    (both,) = i.backward([(n.logits, s1), (n.act2, s2)], [n.x])
    (one,), (two,) = i.backward([(n.logits, s1)], [n.x]), i.backward([(n.act2, s2)], [n.x])
    close(both, np.asarray(one) + np.asarray(two))
    (twice,) = i.backward([(n.logits, s1), (n.logits, s1)], [n.x])
    close(twice, 2 * np.asarray(one))
    assert i.backward([(n.act1, np.ones((1, 8, 8, 3)))], [n.act2]) == [None]
    gx, gk, gb = i.backward([(n.logits, s1)], [n.x, n.v[0], n.v[5]])
    close(gb, s1[0]), close(gx, one)
    close(gk, slope(lambda: _score(n, x, s1), n.w[0]), 1e-6)
    with pytest.raises(ValueError, match="seed"):
        i.backward([(n.logits, np.ones((2, 5)))], [n.x])


def _score(n, x, s):
    act2 = n.all(x)[1]
    return ((act2.mean((1, 2)) @ n.w[4] + n.w[5]) * s).sum()


def test_relu_rules():
    n, x = Net(), rand(1, 8, 8, 2)
    i = n.program().run([(n.x, x)], [n.act1])
    seed, out = rand(1, 8, 8, 3), n.all(x)[0]
    guided = seed * (out > 0) * (seed > 0)
    for gate, d in (("true", seed * (out > 0)), ("guided", guided), ("rectified", relu(seed))):
        g, at = i.backward([(n.act1, seed)], [n.x, n.pre1], gate=gate)
        close(at, d)
        close(g, slope(lambda d=d: (conv(x, n.w[0], n.w[1]) * d).sum(), x), 1e-6)
    with pytest.raises(ValueError, match="`gate` must be one of"):
        i.backward([(n.act1, seed)], [n.x], gate="none")


def test_a_value_outlives_its_instance():
    n, x = Net(), rand(1, 8, 8, 2)
    i = n.program().run([(n.x, x)], [n.y])
    act1 = i.value(n.act1)
    del i
    gc.collect()
    close(act1, n.all(x)[0])


# training
def test_train_step_is_keras_sgd_with_momentum():
    n, x, target = Net(), rand(4, 8, 8, 2), RNG.integers(0, 5, 4)
    labels = cx.symbol((None,), "int64")
    loss = cx.reduce_mean(cx.sparse_softmax_cross_entropy(n.logits, labels))
    p = cx.Program([n.x, labels], [loss, n.y])

    def value():
        return float(-np.log(n.all(x)[2][np.arange(4), target]).mean())

    state = [[Variable(np.zeros_like(w), trainable=False)] for w in n.w]
    settings = {"learning_rate": 0.1, "momentum": 0.9}
    velocity = [np.zeros_like(w) for w in n.w]
    where = [v.address for v in n.v]
    for step in (1, 2):
        want = [slope(value, w) for w in n.w]
        before = value()
        got, y = p.train_step([x, target], loss, n.v, "momentum", settings, state, step)
        close(got, before, 1e-7), close(y, n.all(x)[2], 1e-7)
        for i, g in enumerate(want):
            velocity[i] = 0.9 * velocity[i] - 0.1 * g
            n.w[i] += velocity[i]
            close(n.v[i], n.w[i], 1e-6), close(state[i][0], velocity[i], 1e-6)
            n.w[i] = np.array(n.v[i])
    assert [v.address for v in n.v] == where  # written in place


def test_train_step_leaves_what_others_hold():
    x = cx.symbol((None, 2), "float64")
    w, other = Variable(np.ones((2, 1))), Variable(np.ones(3))
    loss = cx.reduce_sum(cx.matmul(x, w))
    p = cx.Program([x], [loss])
    held = w.value()
    with tracing():
        p2 = cx.Program([x], [loss, other * 1.0])
    p2.train_step([np.ones((1, 2))], loss, [w, other], "sgd", {"learning_rate": 0.5}, [[], []], 1)
    close(held, np.ones((2, 1))), close(w, [[0.5], [0.5]]), close(other, np.ones(3))
    with pytest.raises(ValueError, match="`update` must be one of"):
        p.train_step([np.ones((1, 2))], loss, [w], "nothing", {}, [[]], 1)
    with pytest.raises(ValueError, match="state"):
        p.train_step(
            [np.ones((1, 2))], loss, [w], "momentum", {"learning_rate": 0.5, "momentum": 0.9}, [[]], 1
        )
    with pytest.raises(ValueError, match="variables"):
        p.train_step([np.ones((1, 2))], loss, [other], "sgd", {"learning_rate": 0.5}, [[]], 1)
    with pytest.raises(TypeError, match="learning_rate"):
        p.train_step([np.ones((1, 2))], loss, [w], "sgd", {}, [[]], 1)
    close(w, [[0.5], [0.5]])


def test_train_step_adam_and_updates():
    x = cx.symbol((None,), "float64")
    w, seen = Variable(np.array([1.0, -2.0])), Variable(np.array(0.0), trainable=False)
    with tracing():
        loss, counted = cx.reduce_sum(cx.square(w) * x), seen + 1.0
    p = cx.Program([x], [loss], [(seen, counted)])
    state = [[Variable(np.zeros(2)), Variable(np.zeros(2))]]
    value, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for t in (1, 2, 3):
        p.train_step([np.array([1.0])], loss, [w], "adam", {"learning_rate": 0.1}, state, t)
        g = 2 * value
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        value = value - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
        close(w, value)
    close(seen, 3)


# Python nodes
def test_python_nodes():
    def square_by_ops(t):
        return cx.relu(t) * t

    def floor_straight_through(t):
        return np.floor(np.asarray(t)), lambda dy: dy * 2.0

    x = cx.symbol((None, 3), "float64")
    w = Variable(rand(3, 3))
    h = cx.dense(x, w)
    y = cx.dense(cx.python(floor_straight_through, cx.python(square_by_ops, h)), w)
    p = cx.Program([x], [h, y])
    t = cx.tensor(rand(2, 3))
    with GradientTape() as tape:
        tape.watch(t)
        hv, yv = p(t)
        loss = cx.reduce_sum(yv)
    a, b = np.asarray(t), np.asarray(w)
    hn = a @ b
    close(yv, np.floor(relu(hn) * hn) @ b)
    gh, gx = tape.gradient(loss, [hv, t])
    want = 2 * (np.ones((2, 3)) @ b.T) * 2 * relu(hn)
    close(gh, want), close(gx, want @ b.T)
    i = p.run([(x, a)], [y])
    (g,) = i.backward([(y, -np.ones((2, 3)))], [h], gate="rectified")  # the rule reaches a ReLU inside
    assert not np.allclose(np.asarray(g), -want)


def test_python_node_shapes_and_errors():
    t = cx.tensor(rand(2, 3))
    y = cx.python(lambda a: np.asarray(a).sum(1), t, shape=(2,))
    close(y, np.asarray(t).sum(1))
    assert cx.python(lambda a: np.asarray(a) > 0, t, dtype="bool").dtype == "bool"
    with pytest.raises(ValueError, match=r"must have shape \(2, 3\)"):
        cx.python(lambda a: np.zeros(7), t)
    with pytest.raises(TypeError, match="callable"):
        cx.python(t)
    x = cx.symbol((None, 3), "float64")

    def bad(a):
        raise KeyError("mine")

    def bad_gradient(a):
        return a, bad

    p = cx.Program([x], [cx.relu(cx.python(bad, x))])
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            p(t)
    q = cx.Program([x], [cx.python(bad_gradient, x), cx.python(lambda a: np.asarray(a), x)])
    with GradientTape(persistent=True) as tape:
        tape.watch(t)
        y, cut = q(t)
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            tape.gradient(y, t)
    assert not np.asarray(tape.gradient(cut, t)).any()


def test_a_callable_that_holds_its_program_is_collected():
    import weakref

    class Owner:
        def call(self, t):
            return t * 2.0

    def make():
        owner = Owner()
        x = cx.symbol((None,))
        owner.program = cx.Program([x], [cx.python(owner.call, x)])
        owner.program(np.float32([1]))
        with GradientTape() as tape:
            t = cx.tensor([1.0])
            tape.watch(t)
            y = owner.program(t)[0]
        tape.gradient(y, t)
        return weakref.ref(owner)

    r = make()
    gc.collect()
    assert r() is None


# threads, signals, memory
def test_the_gil_is_released():
    x, k = cx.tensor(np.ones((1, 96, 96, 32), "f")), cx.tensor(np.ones((3, 3, 32, 32), "f"))
    ticks, stop = [0], threading.Event()

    def tick():
        while not stop.is_set():
            ticks[0] += 1
            time.sleep(0.0002)

    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(0.02)
    before = ticks[0]
    for _ in range(20):
        cx.conv2d(x, k, padding="same")
    seen = ticks[0] - before
    stop.set()
    thread.join()
    assert seen > 3


def test_two_threads_share_a_program():
    n = Net("float32")
    p, xs = n.program(n.act2, n.y), [rand(2, 8, 8, 2).astype("f") for _ in range(2)]

    def gradient(x):
        with GradientTape() as tape:
            a, y = p(x)
            score = y[:, 0]
        return np.array(tape.gradient(score, a))

    want, results = [gradient(x) for x in xs], [[], []]

    def work(x, out):
        for _ in range(30):
            out.append(gradient(x))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(xs, results, strict=True)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for out, w in zip(results, want, strict=True):
        assert len(out) == 30 and all(np.array_equal(g, w) for g in out)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_after_use():
    n, x = Net("float32"), rand(4, 8, 8, 2).astype("f")
    p = n.program()
    want = np.asarray(p(x)[0])
    child = os.fork()
    if child == 0:
        good = np.array_equal(np.asarray(p(x)[0]), want)
        os._exit(0 if good else 1)
    deadline = time.time() + 20
    while time.time() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.01)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(np.asarray(p(x)[0]), want)


def test_ctrl_c_between_nodes():
    x = y = cx.symbol((None, 32, 32, 16))
    k = Variable(np.zeros((3, 3, 16, 16), "f"))
    for _ in range(4000):
        y = cx.relu(cx.conv2d(y, k, padding="same"))
    p = cx.Program([x], [y])

    def stop(*_):
        raise KeyboardInterrupt("stop")

    old = signal.signal(signal.SIGALRM, stop)
    start = time.time()
    try:
        with pytest.raises(KeyboardInterrupt, match="stop"):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            while time.time() - start < 20:
                p(np.zeros((4, 32, 32, 16), "f"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert time.time() - start < 10


def test_memory_stays_flat():
    n, x = Net("float32"), rand(2, 8, 8, 2).astype("f")
    p = n.program(n.act2, n.y)
    state = [[Variable(np.zeros(w.shape, "f"))] for w in n.w]
    labels = cx.symbol((None,), "int64")
    loss = cx.reduce_mean(cx.sparse_softmax_cross_entropy(n.logits, labels))
    train = cx.Program([n.x, labels], [loss])

    def work():
        p(x)
        with GradientTape() as tape:
            a, y = p(x)
        tape.gradient(y, [a, *n.v])
        i = p.run([(n.x, x)], [n.y])
        i.backward([(n.logits, np.ones((2, 5)))], [n.act1])
        train.train_step(
            [x, np.array([0, 1])], loss, n.v, "momentum", {"learning_rate": 0.0, "momentum": 0.9}, state, 1
        )

    for _ in range(20):
        work()
    gc.collect()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count, objects, blocks = sys.getrefcount(x), len(gc.get_objects()), sys.getallocatedblocks()
    for _ in range(1000):
        work()
    gc.collect()
    assert sys.getrefcount(x) == count
    assert len(gc.get_objects()) <= objects + 5 and sys.getallocatedblocks() <= blocks + 300
    if "ASAN_OPTIONS" not in os.environ:  # a sanitizer keeps freed memory back
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 4096
    assert cx.faults() == 0


def test_settings():
    before = cx.get_threads()
    try:
        cx.set_threads(1)
        assert cx.get_threads() == 1
        for bad in (-1, 1000, 1.5, "x"):
            with pytest.raises(ValueError, match="`n` must be"):
                cx.set_threads(bad)
    finally:
        cx.set_threads(before)
    assert cx.isa() in ("portable", "avx2", "avx512") and isinstance(cx.blas(), str)
    cx.clear_caches()


def test_environment_is_read_at_import():
    import subprocess

    def run(**env):
        code = "from cnnexplain import _core as c; print(c.isa(), c.get_threads())"
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=tempfile.gettempdir(),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(cx.__file__).parents[1]), **env},
        )

    assert run(CNNEXPLAIN_ISA="portable", CNNEXPLAIN_NUM_THREADS="1").stdout.split() == ["portable", "1"]
    for bad in ({"CNNEXPLAIN_ISA": "z80"}, {"CNNEXPLAIN_NUM_THREADS": "many"}):
        failed = run(**bad)
        assert failed.returncode and next(iter(bad.values())) in failed.stderr
