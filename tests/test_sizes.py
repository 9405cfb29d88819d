"""Sizes that only the data know, in layers that people write: a batch of any number, pictures of any size."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers, ops

T = np.arange(3, dtype=np.float32).reshape(1, 1, 3)


def layer_of(function):
    class Written(layers.Layer):
        def call(self, x):
            return function(x)

    return Written()


def model_of(function, shape=(4, 3)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer_of(function)(inputs))


def pixels(*shape):
    return np.random.RandomState(0).rand(*shape).astype(np.float32)


def batch(x):
    return tf.shape(x)[0]


CASES = {
    "zeros": (lambda x: tf.zeros((batch(x), 5)), (None, 5), lambda x: np.zeros((len(x), 5))),
    "ones": (lambda x: tf.ones([batch(x), 1, 2]), (None, 1, 2), lambda x: np.ones((len(x), 1, 2))),
    "fill": (lambda x: tf.fill([batch(x), 2], 3.5), (None, 2), lambda x: np.full((len(x), 2), 3.5)),
    "broadcast_to": (
        lambda x: tf.broadcast_to(tf.constant(T), [batch(x), 1, 3]),
        (None, 1, 3),
        lambda x: np.broadcast_to(T, (len(x), 1, 3)),
    ),
    "tile": (
        lambda x: tf.tile(tf.constant(T), [batch(x), 2, 1]),
        (None, 2, 3),
        lambda x: np.tile(T, (len(x), 2, 1)),
    ),
    "tile of more than one": (
        lambda x: tf.tile(tf.constant([[1.0], [2.0]]), [batch(x), 1])[::2],
        None,
        lambda x: np.ones((len(x), 1)),
    ),
    "repeat": (
        lambda x: tf.repeat(tf.constant(T), batch(x), axis=0),
        (None, 1, 3),
        lambda x: T.repeat(len(x), 0),
    ),
    "concat with zeros": (
        lambda x: tf.concat([tf.zeros((batch(x), 1, 3)), x], 1),
        (None, 5, 3),
        lambda x: np.pad(x, ((0, 0), (1, 0), (0, 0))),
    ),
    "mean by hand": (
        lambda x: x - tf.reduce_sum(x, 0) / tf.cast(batch(x), tf.float32),
        (None, 4, 3),
        lambda x: x - x.mean(0),
    ),
    "size": (lambda x: x / tf.cast(tf.size(x), tf.float32), (None, 4, 3), lambda x: x / x.size),
    "range": (
        lambda x: tf.gather(x, batch(x) - 1 - tf.range(batch(x))),
        (None, 4, 3),
        lambda x: x[::-1],
    ),
    "eye": (lambda x: tf.matmul(tf.eye(batch(x)), x[:, 0]), (None, 3), lambda x: x[:, 0]),
    "keras.ops": (
        lambda x: (
            ops.broadcast_to(T, (ops.shape(x)[0], 1, 3))
            + ops.zeros((ops.shape(x)[0], 1, 1))
            + ops.tile(T, (ops.shape(x)[0], 1, 1)) * ops.ones((ops.shape(x)[0], 1, 1))
            + ops.full((ops.shape(x)[0], 1, 3), 2.0)
        ),
        (None, 1, 3),
        lambda x: np.broadcast_to(2 * T + 2, (len(x), 1, 3)),
    ),
    "keras.ops.arange": (
        lambda x: ops.take(x, ops.arange(ops.shape(x)[0]), axis=0),
        (None, 4, 3),
        lambda x: x,
    ),
    "reshape": (lambda x: tf.reshape(x, (batch(x), 12)), (None, 12), lambda x: x.reshape(-1, 12)),
    "unstack": (
        lambda x: (lambda n, h, w: tf.reshape(x, (n, h * w)))(*tf.unstack(tf.shape(x))),
        (None, 12),
        lambda x: x.reshape(-1, 12),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_any_batch(name):
    function, shape, wanted = CASES[name]
    model = model_of(function)
    assert shape is None or model.output.shape == shape
    for count in (1, 3, 40):
        x = pixels(count, 4, 3)
        x[0, 0, 0] = np.inf if name in ("zeros", "tile", "reshape") else 0.5  # the values are not looked at
        for result in (
            model(x).numpy(),
            layer_of(function)(x).numpy(),
            model.predict(x, batch_size=64, verbose=0),
        ):
            np.testing.assert_allclose(result, wanted(x), rtol=1e-5, atol=1e-6)


def test_reshape_of_pictures_of_any_size():
    def flat(x):
        n, h, w, c = (tf.shape(x)[i] for i in range(4))
        return tf.reshape(x, (n, h * w, c))

    model = model_of(flat, (None, None, 3))
    for shape in ((2, 6, 5, 3), (3, 4, 7, 3)):
        x = pixels(*shape)
        np.testing.assert_array_equal(model(x).numpy(), x.reshape(shape[0], -1, 3))


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: tf.random.normal((batch(x), 3)),
        lambda x: tf.random.normal(tf.shape(x)[:1]),
        lambda x: tf.random.uniform(tf.shape(x), 2, 3),
        lambda x: tf.random.uniform([batch(x), 4], 0, 9, tf.int32),
        lambda x: keras.random.normal(ops.shape(x), seed=keras.random.SeedGenerator(3)),
        lambda x: keras.random.uniform((ops.shape(x)[0], 2)),
        lambda x: keras.backend.random_normal(shape=(keras.backend.shape(x)[0], 2)),
    ],
)
def test_random_numbers_for_every_example(draw):
    model = model_of(draw)
    drawn = model(pixels(50, 4, 3)).numpy()
    assert len(drawn) == 50 and model.output.shape[0] is None
    rows = drawn.reshape(50, -1)
    assert len(np.unique(rows[:, 0])) > 5
    assert not np.array_equal(drawn, model(pixels(50, 4, 3)).numpy())


def test_a_sampling_layer_trains():
    class Sampling(layers.Layer):
        def call(self, inputs):
            mean, log_var = inputs
            noise = tf.random.normal(shape=(tf.shape(mean)[0], tf.shape(mean)[1]))
            return mean + tf.exp(0.5 * log_var) * noise

    inputs = keras.Input((6,))
    z = Sampling()([layers.Dense(2)(inputs), layers.Dense(2)(inputs)])
    model = keras.Model(inputs, layers.Dense(6)(z))
    model.compile("adam", "mse")
    x = pixels(24, 6)
    before = model.get_weights()
    model.fit(x, x, batch_size=7, epochs=2, verbose=0)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True))


def test_gradients_pass_through():
    token = tf.Variable([[1.0, 2.0]])
    layer = layer_of(lambda x: tf.tile(token, [tf.shape(x)[0], 1]) * x)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layer(inputs))
    x = pixels(5, 2)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(x))
    np.testing.assert_allclose(tape.gradient(total, token).numpy()[0], x.sum(0), rtol=1e-6)


def test_time_distributed_over_any_number_of_steps():
    inputs = keras.Input((None, 3))
    dense = layers.Dense(2, activation="tanh")
    model = keras.Model(inputs, layers.TimeDistributed(dense)(inputs))
    kernel, bias = dense.get_weights()
    for shape in ((2, 5, 3), (4, 1, 3)):
        x = pixels(*shape)
        np.testing.assert_allclose(model(x).numpy(), np.tanh(x @ kernel + bias), rtol=1e-5, atol=1e-6)
    model.compile("sgd", "mse")
    model.fit(pixels(6, 5, 3), pixels(6, 5, 2), verbose=0)
    assert np.abs(dense.get_weights()[0] - kernel).max() > 0


def test_what_a_size_is():
    x = keras.Input((4, 3))
    assert tuple(ops.shape(x)) == (None, 4, 3)  # outside of a layer, as in Keras
    shape = tf.shape(x)
    assert shape[1:] == (4, 3) and len(shape) == 3 and shape[0].dtype == "int32"
    with pytest.raises(ValueError, match="not the length of an axis"):
        tf.zeros((shape[0] * 2, 3))
    with pytest.raises(ValueError, match="negative"):
        tf.zeros((shape[0], -3))


def test_confusion_matrix_refuses_what_is_no_class():
    floats = np.array([0.0, 1.0, 1.0], np.float32)
    assert tf.math.confusion_matrix(floats, [0, 1, 0]).numpy().tolist() == [[1, 0], [1, 1]]
    for labels in ([-1, 0, 1], [0, 2, 1]):
        with pytest.raises(ValueError, match="`labels` must be classes from 0 to 1"):
            tf.math.confusion_matrix(labels, [0, 1, 0], num_classes=2)
