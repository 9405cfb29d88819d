"""Nodes that run as one kernel give what they give one by one: a run that fetches all is the oracle."""

import itertools

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import _core as cx
from cnnexplain import keras
from cnnexplain.keras import layers
from cnnexplain.tensor import Variable

GATES = ("true", "guided", "rectified")


def some(rng, *shape):
    return rng.standard_normal(shape)


class Graph:
    """Symbols of one program, all of them remembered in order."""

    def __init__(self, dtype, seed=0):
        self.dtype, self.rng, self.variables = dtype, np.random.default_rng(seed), []
        self.made = []

    def variable(self, *shape, positive=False):
        value = some(self.rng, *shape) / max(1, np.prod(shape[:-1])) ** 0.5
        self.variables.append(Variable((abs(value) + 0.5 if positive else value).astype(self.dtype)))
        return self.variables[-1]

    def keep(self, symbol):
        self.made.append(symbol)
        return symbol

    def conv(self, x, filters, size=3, bias=True, **options):
        kernel = self.variable(size, size, x.shape[-1], filters)
        return self.keep(
            cx.conv2d(x, kernel, self.variable(filters) if bias else None, padding="same", **options)
        )

    def valid(self, x, filters, **options):
        return self.keep(
            cx.conv2d(x, self.variable(3, 3, x.shape[-1], filters), self.variable(filters), **options)
        )

    def valid_depthwise(self, x, **options):
        return self.keep(cx.depthwise_conv2d(x, self.variable(3, 3, x.shape[-1], 1), **options))

    def depthwise(self, x, **options):
        kernel = self.variable(3, 3, x.shape[-1], 1)
        return self.keep(cx.depthwise_conv2d(x, kernel, padding="same", **options))

    def norm(self, x):
        c = x.shape[-1]
        mean, beta = self.variable(c), self.variable(c)
        variance, gamma = self.variable(c, positive=True), self.variable(c, positive=True)
        return self.keep(cx.batch_norm(x, mean, variance, gamma, beta))

    def relu(self, x, **options):
        return self.keep(cx.relu(x, **options))

    def add(self, x, y):
        return self.keep(cx.add(x, y))


def residual(g, x):
    """Two blocks as ResNet has them, a bottleneck as MobileNetV2 has it, sums in every place."""
    x = g.relu(g.norm(g.conv(x, 8)))
    y = g.norm(g.conv(g.relu(g.norm(g.conv(x, 8, bias=False))), 8, size=1))
    x = g.relu(g.add(x, y))
    short = g.norm(g.conv(x, 12, size=1, strides=2))
    y = g.norm(g.conv(g.relu(g.norm(g.conv(x, 8, strides=2)), max_value=6.0), 12))
    x = g.relu(g.add(short, y))
    y = g.relu(g.norm(g.depthwise(g.relu(g.norm(g.conv(x, 16, size=1))))), max_value=6.0)
    x = g.add(x, g.norm(g.conv(y, 12, size=1)))
    return g.relu(g.conv(x, 5))


def branches(g, x):
    """Values with several readers, sums of one value, a leaky gate, a view in the middle."""
    x = g.conv(x, 6)
    a, b = g.relu(x), g.relu(x, negative_slope=0.1)
    twice = g.add(x, x)
    y = g.relu(g.add(g.conv(a, 6), g.conv(b, 6)))
    flat = g.keep(cx.reshape(g.conv(y, 6), shape=(-1, 8 * 8 * 6)))
    y = g.keep(cx.reshape(g.relu(flat), shape=(-1, 8, 8, 6)))
    return g.add(g.relu(g.add(y, twice)), g.relu(g.norm(g.norm(g.conv(y, 6)))))


def padded(g, x):
    """Zeros before convolutions, as Keras's ResNet and MobileNet have them; and some that must stay."""

    def pad(x, before, after, **options):
        return g.keep(cx.pad(x, before=(0, *before, 0), after=(0, *after, 0), **options))

    x = g.relu(g.norm(g.valid(pad(x, (3, 3), (3, 3)), 6, strides=2)))
    x = g.relu(g.norm(g.valid_depthwise(pad(x, (0, 0), (1, 1)), strides=2)), max_value=6.0)
    x = g.relu(g.conv(pad(x, (1, 2), (2, 1)), 4))  # "same" pads itself
    x = g.relu(g.valid(pad(x, (1, 1), (1, 1), value=0.5), 4))
    y = pad(x, (1, 1), (1, 1))  # two readers
    x = g.relu(g.add(g.valid(y, 4), g.valid(y, 4)))
    return g.valid(g.keep(cx.pad(x, before=(0, 1, 1, 0), after=(0, 1, 1, 0))), 3)


def sums(g, x):
    """Summands that are read again: by a convolution of the same sum, by one that runs later, by three."""
    h = g.relu(g.conv(x, 4))
    h = g.relu(g.add(h, g.conv(h, 4)))
    late, early = g.conv(h, 4), g.add(g.conv(x, 4), h)
    h = g.relu(g.add(late, early))
    return g.conv(g.add(g.add(g.conv(h, 4), g.conv(h, 4)), h), 3)


def made_parameters(g, x):
    """A batch norm whose parameters are results themselves."""
    for _ in range(2):
        x = g.conv(x, 4)
        mean, variance, gamma, beta = (g.keep(cx.square(g.variable(4, positive=k == 1))) for k in range(4))
        x = g.relu(g.keep(cx.batch_norm(x, mean, variance, gamma, beta)))
    return g.conv(x, 3)


def noted(g, x):
    """Of ReLUs over 16 channels or more only bits stay; read by convolutions, pooling, padding and a sum."""
    x = g.relu(g.norm(g.conv(x, 16)), max_value=6.0)
    y = g.relu(g.norm(g.depthwise(g.relu(g.norm(g.conv(x, 32, bias=False))))), max_value=0.5)
    x = g.relu(g.add(g.norm(g.conv(y, 16, size=1)), x))
    x = g.keep(cx.pad(x, before=(0, 1, 1, 0), after=(0, 1, 1, 0)))
    x = g.keep(cx.max_pool2d(x, pool_size=(3, 3), strides=(1, 1)))
    x = g.relu(g.conv(x, 48))
    x = g.relu(g.norm(g.conv(x, 16, strides=2)))
    return g.conv(g.keep(cx.average_pool2d(x, pool_size=(2, 2))), 3)


GRAPHS = [residual, branches, padded, sums, made_parameters, noted]


def program_of(make, dtype):
    g = Graph(dtype)
    x = cx.symbol((None, 8, 8, 3), dtype)
    before = cx.symbolic(True)  # operations on variables are steps of the program
    y = make(g, x)
    cx.symbolic(before)
    return g, x, y, cx.Program([x], [y])


def near(got, want, dtype):
    want = np.asarray(want)
    scale = max(1.0, float(abs(want).max()))
    np.testing.assert_allclose(
        np.asarray(got), want, atol=scale * (1e-12 if dtype == "float64" else 2e-5), rtol=0
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("make", GRAPHS)
def test_forward(make, dtype):
    g, x, y, p = program_of(make, dtype)
    image = some(g.rng, 2, 8, 8, 3).astype(dtype)
    all_of_it = p.run([(x, image)], g.made)
    alone = p.run([(x, image)], [y], track=False)
    assert alone.counts[1] < all_of_it.counts[1] == sum(name != "reshape" for name, *_ in p.nodes)
    near(alone.value(y), all_of_it.value(y), dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("gate", GATES)
def test_gradient(make, gate, dtype):
    """Gradients of the image alone, and of the image and every value on the way, which nothing can skip."""
    g, x, y, p = program_of(make, dtype)
    image = some(g.rng, 2, 8, 8, 3).astype("float64")
    seed = some(g.rng, 2, *y.shape[1:]).astype(dtype)
    run = p.run([(x, image.astype(dtype))], [y])
    (alone,) = run.backward([(y, seed)], [x], gate=gate)
    fused = run.counts[2]
    wanted = p.run([(x, image.astype(dtype))], g.made).backward([(y, seed)], [x, *g.made], gate=gate)
    if dtype == "float32":  # one gate that flips on a rounding moves it more
        assert np.vdot(alone, wanted[0]) > 0.9999 * np.linalg.norm(alone) * np.linalg.norm(wanted[0])
    else:
        near(alone, wanted[0], dtype)
    assert fused < len(p.nodes) and np.any(wanted[0])


@pytest.mark.parametrize("make", GRAPHS)
def test_gradient_at_any_value(make):
    """What a fusion would skip can be asked for, seeded, or both."""
    g, x, y, p = program_of(make, "float64")
    image = some(g.rng, 1, 8, 8, 3)
    full = p.run([(x, image)], g.made)
    run = p.run([(x, image)], [y])
    top = (y, some(g.rng, 1, *y.shape[1:]))
    for inner, gate in itertools.product(g.made, GATES):
        own = (inner, some(g.rng, *full.value(inner).shape))
        for seeds, wanted in (([top], [x, inner]), ([top, own], [x]), ([top, own], [x, inner]), ([own], [x])):
            got = run.backward(seeds, wanted, gate=gate)
            want = full.backward(seeds, wanted + g.made, gate=gate)
            for a, b in zip(got, want, strict=False):
                assert (a is None) == (b is None)
                if b is not None:
                    near(a, b, "float64")


@pytest.mark.parametrize("make", GRAPHS)
def test_gradients_of_parameters_that_a_fusion_skipped(make):
    """Batch norm's own gradients read the value that was left out: it is made again."""
    g, x, y, p = program_of(make, "float64")
    image, seed = some(g.rng, 2, 8, 8, 3), some(g.rng, 2, *y.shape[1:])
    tensors = list(p.variables)

    with tf.GradientTape() as tape:
        (out,) = p(image)
        loss = tf.reduce_sum(out * seed)
    got = tape.gradient(loss, tensors)
    fetched = cx.Program([x], [y, *g.made])
    with tf.GradientTape() as tape:
        out, *_ = fetched(image)
        loss = tf.reduce_sum(out * seed)
    want = tape.gradient(loss, tensors)
    for a, b in zip(got, want, strict=True):
        near(a, b, "float64")


def test_how_many_kernels_run():
    """conv, batch norm, sum and ReLU are one kernel; forward and back."""
    g = Graph("float32")
    x = cx.symbol((None, 8, 8, 4), "float32")
    start = g.relu(g.norm(g.conv(x, 4)))
    y = g.relu(g.add(start, g.norm(g.conv(start, 4))))
    p = cx.Program([x], [y])
    image = np.ones((1, 8, 8, 4), np.float32)
    run = p.run([(x, image)], [y])
    assert run.counts[1] == 2
    run.backward([(y, np.ones((1, 8, 8, 4), np.float32))], [x])
    # ReLU; the sum, which hands it on; batch norm; conv with the ReLU and batch norm before it; conv
    assert run.counts[2] == 5


@pytest.mark.skipif(cx.isa() == "portable", reason="it keeps the values")
def test_values_that_bits_stand_for_are_made_again():
    """The gradient needs no value of a ReLU; whoever asks for one has it computed."""
    g = Graph("float32")
    x = cx.symbol((None, 8, 8, 4), "float32")
    inner = g.relu(g.conv(x, 16))
    y = g.conv(inner, 4)
    p = cx.Program([x], [y])
    image = some(g.rng, 1, 8, 8, 4).astype(np.float32)
    seed = [(y, np.ones((1, 8, 8, 4), np.float32))]
    run, full = p.run([(x, image)], [y]), p.run([(x, image)], [y, inner])
    (before,) = run.backward(seed, [x])
    assert run.counts[1] == 2  # nothing was recomputed
    assert np.array_equal(run.value(inner), full.value(inner))
    assert run.counts[1] == 3
    assert np.array_equal(before, full.backward(seed, [x])[0])
    assert np.array_equal(before, run.backward(seed, [x])[0])


@pytest.mark.parametrize("make", [residual, noted])
def test_same_bits_alone_and_in_a_batch(make):
    g, x, y, p = program_of(make, "float32")
    images = some(g.rng, 5, 8, 8, 3).astype("float32")
    seed = np.ones((5, *y.shape[1:]), np.float32)
    run = p.run([(x, images)], [y])
    (gradient,) = run.backward([(y, seed)], [x])
    for i in range(5):
        one = p.run([(x, images[i : i + 1])], [y])
        assert np.array_equal(np.asarray(one.value(y))[0], np.asarray(run.value(y))[i])
        assert np.array_equal(np.asarray(one.backward([(y, seed[:1])], [x])[0])[0], np.asarray(gradient)[i])


def test_training_step_with_batch_norm_in_inference():
    """Fine-tuning as Keras recommends it: the base runs with training=False, its gamma and beta learn."""
    inputs = keras.Input((8, 8, 3))
    h = layers.Conv2D(4, 3, name="c")(inputs)
    norm = layers.BatchNormalization(name="b")
    h = layers.GlobalAveragePooling2D()(layers.ReLU()(norm(h, training=False)))
    model = keras.Model(inputs, layers.Dense(1)(h))
    rng = np.random.default_rng(0)
    for w in model.weights:
        w.assign(abs(rng.standard_normal(w.shape)) + 0.1)
    x, t = some(rng, 16, 8, 8, 3).astype("float32"), some(rng, 16, 1).astype("float32")
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = [np.asarray(w) for w in model.get_weights()]

    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - t) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    model.train_on_batch(x, t)
    trained = {id(w): g for w, g in zip(model.trainable_variables, gradients, strict=True)}
    for w, old in zip(model.weights, before, strict=True):
        step = -0.1 * np.asarray(trained[id(w)]) if id(w) in trained else 0
        np.testing.assert_allclose(w.numpy() - old, np.broadcast_to(step, old.shape), rtol=2e-3, atol=1e-6)
