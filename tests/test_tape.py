"""GradientTape. Expected values: formulas in NumPy, and finite differences in float64."""

import gc
import sys
import threading
import warnings

import numpy as np
import pytest
from finite_differences import slope

from cnnexplain import _core as cx
from cnnexplain.tape import GradientTape, UnconnectedGradients
from cnnexplain.tensor import Tensor, Variable

RNG = np.random.default_rng(0)


def rand(*shape):
    return RNG.standard_normal(shape)


def close(t, want, tolerance=1e-10):
    np.testing.assert_allclose(np.asarray(t), want, rtol=tolerance, atol=tolerance)


def watched(tape, array):
    t = cx.tensor(array)
    tape.watch(t)
    return t


# what a gradient is
def test_a_non_scalar_target_is_summed():
    with GradientTape() as tape:
        x = watched(tape, [1.0, 2.0, 3.0])
        y = x * x
    g = tape.gradient(y, x)
    assert isinstance(g, Tensor) and g.dtype == "float32"
    close(g, [2, 4, 6])


def test_several_targets_are_summed():
    with GradientTape() as tape:
        x = watched(tape, [1.0, 2.0])
        y, z = x * x, 3 * x
    close(tape.gradient([y, {"z": z}, z], x), [2 + 6, 4 + 6])


def test_output_gradients():
    with GradientTape(persistent=True) as tape:
        x = watched(tape, [1.0, 2.0])
        y, z = x * x, 3 * x
    close(tape.gradient(y, x, output_gradients=cx.tensor([1.0, 10.0])), [2, 40])
    close(tape.gradient([y, z], x, output_gradients=[[1.0, 10.0], [0.0, 1.0]]), [2, 43])
    with pytest.raises(ValueError, match="`output_gradients` must have the target's shape"):
        tape.gradient(y, x, output_gradients=[1.0])
    with pytest.raises(ValueError, match="one for each"):
        tape.gradient([y, z], x, output_gradients=[[1.0, 1.0]])


def test_an_unwatched_source_gives_none():
    with GradientTape(persistent=True) as tape:
        x, c = watched(tape, [1.0]), cx.tensor([2.0])
        y = x * c
    assert tape.gradient(y, c) is None and tape.gradient(c, x) is None
    close(tape.gradient(y, c, unconnected_gradients="zero"), [0])
    close(tape.gradient(y, [x, c], unconnected_gradients=UnconnectedGradients.ZERO)[1], [0])
    with pytest.raises(ValueError, match="unconnected_gradients"):
        tape.gradient(y, c, unconnected_gradients="nothing")


def test_structures_of_sources():
    with GradientTape() as tape:
        a, b, c = (watched(tape, [float(i)]) for i in (1, 2, 3))
        y = a * b * c
    g = tape.gradient(y, {"second": [b, None], "first": (a, {"c": c})})
    assert list(g) == ["second", "first"] and isinstance(g["first"], tuple) and g["second"][1] is None
    close(g["second"][0], [3]), close(g["first"][0], [6]), close(g["first"][1]["c"], [2])


def test_a_tape_that_is_not_persistent_gives_one_gradient():
    with GradientTape() as tape:
        x = watched(tape, [1.0])
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent"):
        tape.gradient(y, x)
    assert tape.counts["held"] == 0


def test_a_failed_gradient_leaves_the_tape_usable():
    with GradientTape() as tape:
        x = watched(tape, [1.0])
        y = x * x
    with pytest.raises(ValueError):
        tape.gradient(y, x, output_gradients=[1.0, 2.0])
    close(tape.gradient(y, x), [2])


def test_gradient_inside_its_own_with():
    x = cx.tensor([3.0])
    with GradientTape() as tape:
        tape.watch(x)
        g = tape.gradient(x * x, x)
    close(g, [6])
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        first = tape.gradient(x * x * x, x)
        second = tape.gradient(first, x)
    close(first, [27]), close(second, [18])


def test_watch_takes_tensors_only():
    tape = GradientTape()
    for bad in (np.zeros(2), 1.0, cx.symbol((1,)), None):
        with pytest.raises(ValueError, match="watch"):
            tape.watch(bad)
    tape.watch([cx.tensor(1.0), {"a": Variable(1.0)}])
    with pytest.warns(UserWarning, match="floating"):
        tape.watch(cx.tensor(1))


def test_integers_carry_no_gradient():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with GradientTape(persistent=True) as tape:
            x, i = watched(tape, [1.5, 2.5]), watched(tape, [1, 2])
            y = cx.cast(x, dtype="int32") * i
            z = cx.cast(y, dtype="float32") * x
    assert tape.gradient(y, x) is None and tape.gradient(z, i) is None
    close(tape.gradient(z, x), [1, 4])


def test_targets_and_sources_must_be_tensors():
    with GradientTape(persistent=True) as tape:
        x = watched(tape, [1.0])
        y = x * x
    for target, source in ((np.ones(1), x), (y, np.ones(1)), (y, "x"), (cx.symbol((1,)), x)):
        with pytest.raises(TypeError):
            tape.gradient(target, source)


def test_one_output_with_respect_to_another():
    with GradientTape(persistent=True) as tape:
        x = watched(tape, rand(3))
        y = cx.exp(x)
        z = y * y * x
    close(tape.gradient(z, y), 2 * np.asarray(y) * np.asarray(x))
    close(tape.gradient(z, z), np.ones(3))
    assert tape.gradient(y, z) is None


def test_a_tensor_given_twice():
    with GradientTape() as tape:
        x = watched(tape, rand(3))
        y = x * x + x
    close(tape.gradient(y, [x, x])[1], 2 * np.asarray(x) + 1)


def test_stop_gradient():
    with GradientTape() as tape:
        x = watched(tape, rand(3))
        y = x * cx.stop_gradient(x)
    close(tape.gradient(y, x), np.asarray(x))


# variables
def test_trainable_variables_are_watched_when_read():
    v, frozen, unread = Variable([2.0]), Variable([3.0], trainable=False), Variable([1.0])
    with GradientTape(persistent=True) as tape:
        y = v * v * frozen
    assert [w is v for w in tape.watched_variables()] == [True]
    g = tape.gradient(y, [v, frozen, unread])
    close(g[0], [12])
    assert g[1] is None and g[2] is None
    with GradientTape() as tape:
        tape.watch(frozen)
        y = v * frozen
    close(tape.gradient(y, frozen), [2])
    with GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(frozen)
        y = v * frozen
    assert tape.gradient(y, v) is None
    close(tape.gradient(y, frozen), [2])


def test_gradients_flow_through_frozen_weights():
    w = Variable(rand(3, 2), trainable=False)
    with GradientTape() as tape:
        x = watched(tape, rand(4, 3))
        y = cx.relu(x @ w)
    close(tape.gradient(y, x), (np.asarray(y) > 0) @ np.asarray(w).T)


def test_assign_between_forward_and_gradient_gives_the_old_gradient():
    v = Variable([2.0])
    with GradientTape() as tape:
        y = v * v * v
    v.assign([100.0])
    close(tape.gradient(y, v), [12])


def test_every_value_of_an_assigned_variable_counts():
    v = Variable(np.array([2.0]))
    with GradientTape() as tape:
        y = 3.0 * v
        v.assign([5.0])
        y = y + v * v
    close(y, [31]), close(tape.gradient(y, v), [3 + 10])


def test_assign_is_not_recorded():
    v = Variable([1.0])
    with GradientTape() as tape:
        v.assign_add([1.0])
        y = v * 2
    assert tape.counts["nodes"] == 1
    close(tape.gradient(y, v), [2])


def test_value_and_read_value_are_recorded():
    v = Variable([3.0])
    with GradientTape() as tape:
        y = v.value() * v.read_value()
    close(tape.gradient(y, v), [6])


# several tapes
def test_several_tapes_at_once():
    x, w = cx.tensor([3.0]), Variable([2.0])
    with GradientTape() as a, GradientTape(persistent=True) as b:
        a.watch(x)
        y = x * x * w
    close(a.gradient(y, x), [12])
    assert b.gradient(y, x) is None
    close(b.gradient(y, w), [9])


def test_interleaved_tapes():
    x = cx.tensor([3.0])
    a, b = GradientTape(), GradientTape()
    a.__enter__()
    a.watch(x)
    y = x * x
    b.__enter__()
    b.watch(y)
    z = y * y
    a.__exit__(None, None, None)
    q = z * 2
    b.__exit__(None, None, None)
    close(a.gradient(z, x), [108]), close(b.gradient(q, y), [36])
    with a, pytest.raises(ValueError, match="already"):
        a.__enter__()


def test_stop_recording_and_reset():
    with GradientTape(persistent=True) as tape:
        x = watched(tape, [3.0])
        y = x * x
        with tape.stop_recording():
            z = x * x
        with pytest.raises(KeyError), tape.stop_recording():
            raise KeyError
        u = x * 2
    close(tape.gradient(y, x), [6]), close(tape.gradient(u, x), [2])
    assert tape.gradient(z, x) is None
    with GradientTape() as tape:
        x = watched(tape, [3.0])
        y = x * x
        tape.reset()
        assert tape.counts["nodes"] == 0 and tape.watched_variables() == ()
        tape.watch(x)
        z = x * 2
    close(tape.gradient([y, z], x), [2])


def test_nothing_watched_nothing_recorded():
    with GradientTape() as tape:
        cx.relu(cx.tensor([1.0]))
    assert tape.counts["nodes"] == 0


def test_tapes_belong_to_threads():
    x, seen = cx.tensor([3.0]), []

    def work():
        seen.append(cx.is_recording())
        with GradientTape() as inner:
            inner.watch(x)
            y = x * x
        seen.append(inner.gradient(y, x).numpy()[0])

    with GradientTape() as tape:
        tape.watch(x)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        y = x * 2
    assert seen == [False, 6] and tape.counts["nodes"] == 1
    close(tape.gradient(y, x), [2])


def test_an_exception_inside_the_block_stops_recording():
    with pytest.raises(KeyError), GradientTape():
        raise KeyError
    assert not cx.is_recording()


# logits
def test_softmax_and_sigmoid_remember_their_logits():
    w = Variable(rand(3, 4))
    for f in (cx.softmax, cx.sigmoid):
        with GradientTape() as tape:
            x = watched(tape, rand(2, 3))
            y = f(x @ w)
            score = y.logits[:, 1]
        close(tape.gradient(score, x), np.broadcast_to(np.asarray(w)[:, 1], (2, 3)))
        assert y[:, 1].logits is None


# jacobians
def test_jacobian():
    a, x0 = rand(2, 3), rand(3)
    with GradientTape(persistent=True) as tape:
        x, c = watched(tape, x0), cx.tensor(1.0, dtype="float64")
        y = cx.reshape(cx.tensor(a) @ cx.reshape(cx.square(x), shape=(3, 1)), shape=(2,))
    close(tape.jacobian(y, x), 2 * a * x0)
    j = tape.jacobian(y, {"x": x, "c": c})
    assert j["c"] is None
    close(j["x"], 2 * a * x0)
    close(tape.jacobian(y, c, unconnected_gradients="zero"), np.zeros(2))
    with GradientTape() as tape:
        x = watched(tape, rand(2, 2))
        y = x * x
    assert tape.jacobian(y, x).shape == (2, 2, 2, 2)
    with pytest.raises(RuntimeError):
        tape.jacobian(y, x)


def test_batch_jacobian():
    x0 = rand(4, 3)
    with GradientTape() as tape:
        x = watched(tape, x0)
        y = cx.concat(x * x, cx.exp(x[:, :2]), axis=1)
    j = tape.batch_jacobian(y, x)
    want = np.zeros((4, 5, 3))
    for b in range(4):
        want[b, :3] = np.diag(2 * x0[b])
        want[b, 3:, :2] = np.diag(np.exp(x0[b, :2]))
    close(j, want)


# second derivatives
def second(f, x0):
    """d sum(w * df/dx) / dx by two tapes and by differences of one tape's gradient."""
    w = rand(*x0.shape)
    with GradientTape() as outer:
        x = watched(outer, x0)
        with GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        g = inner.gradient(y, x)
        target = cx.reduce_sum(g * w)
    got = outer.gradient(target, x)

    array = x0.copy()

    def first():
        with GradientTape() as tape:
            t = watched(tape, array)
            z = f(t)
        return float((np.asarray(tape.gradient(z, t)) * w).sum())

    close(got, slope(first, array, 1e-5), 1e-5)


K = rand(3, 3, 2, 3)
SECOND = {
    "cube": (lambda x: x * x * x, (3,)),
    "quotient": (lambda x: x / (x * x + 2.0), (3,)),
    "exp log sqrt": (lambda x: cx.exp(x) * cx.log(x * x + 1.0) + cx.sqrt(x * x + 1.0), (4,)),
    "pow": (lambda x: (x * x + 1.0) ** 1.5, (3,)),
    "mean": (lambda x: cx.reduce_mean(x * x * x, axis=1) * cx.reduce_sum(x), (2, 3)),
    "matmul": (lambda x: cx.square(cx.matmul(x, x)), (3, 3)),
    "dense": (lambda x: cx.square(cx.dense(x, K[0, 0, :, :2] * 1.0, np.array([0.5, 1.0]))), (2, 2)),
    "conv": (lambda x: cx.square(cx.conv2d(x, K)), (1, 4, 4, 2)),
    "same strided conv": (lambda x: cx.square(cx.conv2d(x, K, strides=2, padding="same")), (1, 5, 5, 2)),
    "relu": (lambda x: cx.square(cx.relu(x)) * x, (6,)),
    "softmax": (lambda x: cx.softmax(x)[:, 1] * cx.softmax(x)[:, 0], (2, 3)),
    "shape ops": (lambda x: cx.square(cx.transpose(cx.reshape(x, shape=(3, 2))))[:, 1:] * x[0, 0], (2, 3)),
    "broadcast": (lambda x: cx.square(x * x[:1]), (2, 3)),
    "max pooling": (
        lambda x: cx.max_pool2d(x, pool_size=2) * cx.max_pool2d(x * x, pool_size=2),
        (1, 4, 4, 2),
    ),
    "average pooling": (lambda x: cx.square(cx.average_pool2d(x, pool_size=2)), (1, 4, 4, 2)),
    "global pooling": (lambda x: cx.square(cx.global_average_pool2d(x)), (1, 3, 3, 2)),
    "sigmoid tanh": (lambda x: cx.sigmoid(x) * cx.tanh(x), (4,)),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives(name):
    f, shape = SECOND[name]
    second(f, rand(*shape))


def test_third_derivative():
    with GradientTape() as a:
        x = watched(a, np.array([2.0, 3.0]))
        with GradientTape() as b:
            b.watch(x)
            with GradientTape() as c:
                c.watch(x)
                y = x**4.0
            first = c.gradient(y, x)
        next_one = b.gradient(first, x)
    third = a.gradient(next_one, x)
    (
        close(first, 4 * np.array([2.0, 3]) ** 3),
        close(next_one, 12 * np.array([4.0, 9])),
        close(third, [48, 72]),
    )


def test_triple_tapes_of_grad_cam_plus_plus():
    """The formula everybody copies: three nested tapes around exp(score)."""
    a0, w = rand(1, 3, 3, 2), rand(2)
    with GradientTape() as t1:
        a = watched(t1, a0)
        with GradientTape() as t2:
            t2.watch(a)
            with GradientTape() as t3:
                t3.watch(a)
                score = cx.reduce_sum(cx.reduce_mean(a, axis=(1, 2)) * w)
                loss = cx.exp(score)
            g1 = t3.gradient(loss, a)
        g2 = t2.gradient(g1, a)
    g3 = t1.gradient(g2, a)
    s = np.exp((a0.mean((1, 2)) * w).sum())
    ones = np.ones_like(a0)
    close(g1, s * ones * w / 9)
    # each further derivative sums over all places: d/da of sum(g1) is s * (sum of w)
    close(g2, s * (w / 9) * w.sum() * ones), close(g3, s * (w / 9) * w.sum() ** 2 * ones)


def test_gradient_penalty_reaches_the_weights():
    w0, x0 = rand(3, 2), rand(4, 3)
    w, x = Variable(w0), cx.tensor(x0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            inner.watch(x)
            y = cx.square(x @ w)
        g = inner.gradient(y, x)
        penalty = cx.reduce_sum(cx.square(g))
    got = outer.gradient(penalty, w)
    array = w0.copy()
    close(got, slope(lambda: float(((2 * (x0 @ array) @ array.T) ** 2).sum()), array), 1e-6)


def test_output_gradients_are_differentiated_too():
    with GradientTape() as outer:
        s = watched(outer, np.array([2.0, 3.0]))
        with GradientTape() as inner:
            x = watched(inner, np.array([5.0, 7.0]))
            y = x * x
        g = inner.gradient(y, x, output_gradients=s)
    close(outer.gradient(g, s), [10, 14])


def test_an_outer_tape_that_is_not_concerned_changes_nothing():
    v = Variable([1.0])
    with GradientTape() as outer:
        outer.watch(v)
        with GradientTape() as inner:
            x = watched(inner, [2.0])
            y = x * x
        g = inner.gradient(y, x)
        z = g * v
    assert outer.counts["nodes"] == 1
    close(outer.gradient(z, v), [4])


def test_where_second_derivatives_end_the_outer_gradient_says_so():
    name = next(
        (
            n
            for n in ("mish", "gelu", "selu", "resize", "batch_norm_training")
            if not cx.op_info(n)["second_derivative"]
        ),
        None,
    )
    if name is None:
        pytest.skip("every op has a second derivative")

    def f(x):
        if name == "resize":
            return cx.resize(cx.reshape(x, shape=(1, 1, 3, 1)), size=(2, 6))
        return getattr(cx, name)(cx.reshape(x, shape=(1, 3)))

    with GradientTape() as outer:
        x = watched(outer, rand(3))
        with GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        g = inner.gradient(y, x)  # the plain gradient is there
        z = g * 2.0
    assert g is not None
    with pytest.raises(ValueError, match=name.split("_training")[0]):
        outer.gradient(z, x)


# memory
def test_tapes_do_not_leak():
    x, v = cx.tensor(np.ones((8, 8), "f")), Variable(np.ones((8, 8), "f"))

    def work():
        with GradientTape() as outer:
            outer.watch(x)
            with GradientTape(persistent=True) as tape:
                tape.watch(x)
                y = cx.softmax(cx.relu(x @ v))
            g = tape.gradient(y, [x, v])
        outer.gradient(g[0], v)
        tape.loop = tape  # a cycle
        with GradientTape() as t:
            t.watch(x)
            z = cx.python(lambda a: a * 2.0, x)
        t.gradient(z, x)

    for _ in range(3):
        work()
    gc.collect()
    counts = sys.getrefcount(x), sys.getrefcount(v)
    objects, blocks = len(gc.get_objects()), sys.getallocatedblocks()
    for _ in range(100):
        work()
    gc.collect()
    assert (sys.getrefcount(x), sys.getrefcount(v)) == counts
    assert len(gc.get_objects()) <= objects + 5 and sys.getallocatedblocks() <= blocks + 200


def test_a_closure_that_holds_its_tape_is_collected():
    class Flag:
        pass

    import weakref

    def make():
        flag = Flag()
        x = cx.tensor([1.0])
        tape = GradientTape()

        def f(t):
            return t * (2.0 if tape is not None and flag is not None else 1.0)

        with tape:
            tape.watch(x)
            cx.python(f, x)
        return weakref.ref(flag)

    r = make()
    gc.collect()
    assert r() is None


@pytest.mark.parametrize("deed", ["reset", "watch", "gradient", "record"])
def test_a_tape_does_not_change_in_the_middle_of_its_gradient(deed):
    x = cx.tensor([1.0, 2.0])
    tape = GradientTape(persistent=True)

    def disturb():
        if deed == "reset":
            tape.reset()
        elif deed == "watch":
            for _ in range(100):
                tape.watch(cx.tensor(1.0))
        elif deed == "gradient":
            tape.gradient(y, x)
        else:
            with tape:
                x * 2.0

    disturbing = True

    def f(t):
        def slope(dy):
            if disturbing:
                disturb()
            return dy

        return t * 1.0, slope

    with tape:
        tape.watch(x)
        y = cx.python(f, x * 1.0, shape=[2], dtype="float32") * 2.0
    with pytest.raises(RuntimeError, match="is computing a gradient"):
        tape.gradient(y, x)
    disturbing = False
    close(tape.gradient(y, x), [2, 2])


def test_threads_that_meddle_with_one_tape_are_refused():
    x = cx.tensor(RNG.standard_normal((2, 24, 24, 8)).astype(np.float32))
    kernel = cx.tensor(RNG.standard_normal((3, 3, 8, 8)).astype(np.float32))
    tape = GradientTape(persistent=True)
    with tape:
        tape.watch(x)
        y = x
        for _ in range(6):
            y = cx.conv2d(y, kernel, padding="same")
    want, refused, done = tape.gradient(y, x).numpy(), [], threading.Event()

    def meddle():
        while not done.is_set():
            try:
                tape.watch(kernel)
                tape.gradient(y, x)
            except RuntimeError as e:
                refused.append(str(e))

    others = [threading.Thread(target=meddle) for _ in range(2)]
    for t in others:
        t.start()
    for _ in range(30):
        try:
            assert np.array_equal(tape.gradient(y, x).numpy(), want)
        except RuntimeError as e:
            refused.append(str(e))
    done.set()
    for t in others:
        t.join()
    assert all("is computing a gradient" in text for text in refused)
