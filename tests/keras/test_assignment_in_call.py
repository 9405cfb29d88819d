"""Layers that assign to variables in `call`: what real Keras 3.15.1 on TensorFlow 2.21 gives."""

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

X = np.arange(12.0, dtype="float32").reshape(4, 3)
Y = np.ones((4, 1), "float32")


class Assigning(keras.layers.Layer):
    """A product with weights, or so, in which variables are assigned."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], 1), initializer="ones", name="w")
        self.n = self.add_weight(shape=(), initializer="zeros", name="n", trainable=False)

    def call(self, x):
        if self.how == "before":
            self.w.assign(self.w * 0.5)
        elif self.how == "twice":
            self.w.assign(self.w * 0.5)
            self.w.assign(self.w + 1.0)
        elif self.how == "count":
            self.n.assign_add(1.0)
            self.n.assign_add(1.0)
            return tf.matmul(x, self.w) * (self.n + 0.0)
        y = tf.matmul(x, self.w)
        if self.how == "after":
            self.w.assign(self.w * 0.5)
        return y


# The first weight, the counter, the losses of two epochs and the loss of `evaluate` after them.
EXPECTED = {
    ("before", "sgd"): (0.54385006, 0, 77.875, 50.958893, 25.059963),
    ("before", "adam"): (0.24858238, 0, 77.875, 16.016970, 2.6683600),
    ("after", "sgd"): (3.4215999, 0, 341.5, 1423.2277, 5737.0234),
    ("after", "adam"): (0.24857472, 0, 341.5, 77.534882, 15.875438),
    ("twice", "sgd"): (0.44274998, 0, 791.875, 6.6767931, 432.19537),
    ("twice", "adam"): (1.748499, 0, 791.875, 1086.4568, 1251.1848),
    ("count", "sgd"): (298.6408, 4, 1429.0, 469586.0, 1632598400.0),
    ("count", "adam"): (0.9981167, 4, 1429.0, 5833.1860, 13198.777),
}


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize(("how", "optimizer"), EXPECTED)
def test_training(how, optimizer, eagerly):
    model = keras.Sequential([keras.Input((3,)), Assigning(how)])
    model.compile(optimizer, "mse", run_eagerly=eagerly)
    losses = model.fit(X, Y, epochs=2, batch_size=4, verbose=0).history["loss"]
    weight, counter = model.get_weights()
    found = (weight[0, 0], counter, *losses, model.evaluate(X, Y, verbose=0))
    np.testing.assert_allclose(found, EXPECTED[how, optimizer], rtol=1e-5)


class Marking(keras.layers.Layer):
    """Assigns what it was made with."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def build(self, input_shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.seen.assign(self.value)
        return x + self.seen


def test_a_constant_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="shape"):
        Marking([1.0, 2.0])(keras.Input((1,)))


@pytest.mark.parametrize("value", [7, 7.0, np.float64(7.0), tf.constant(7.0), tf.Variable(7.0)])
def test_a_constant_is_assigned_at_each_call(value):
    layer = Marking(value)
    model = keras.Sequential([keras.Input((1,)), layer])
    assert float(layer.seen) == 0.0  # building a model of symbols assigns nothing
    assert float(model.predict(np.zeros((1, 1)), verbose=0)[0, 0]) == 7.0
    layer.seen.assign(1.0)
    model.predict(np.zeros((1, 1)), verbose=0)
    assert float(layer.seen) == 7.0


def test_no_gradient_passes_through_an_assignment():
    layer = Assigning("before")
    model = keras.Sequential([keras.Input((3,)), layer])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(model(X))
    # d y / d w of the value that was read is the sum of the rows of x, without the factor 0.5.
    np.testing.assert_allclose(tape.gradient(y, layer.w), X.sum(axis=0)[:, None])
    np.testing.assert_allclose(layer.w.numpy(), 0.5)
