"""Layers and models of one's own: variables, calls, nesting, configuration, edits after building."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers


class Scaled(layers.Layer):
    """A layer with everything a user may define."""

    def __init__(self, units, gain=2.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.gain = gain
        self.seen = []

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", name="kernel")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs, training=False):
        self.seen.append(training)
        y = tf.matmul(inputs, self.kernel)
        if training:
            self.calls.assign_add(1.0)
            y = y * self.gain
        return y

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "gain": self.gain}


def test_a_layer_of_ones_own():
    layer = Scaled(3, name="own")
    x = np.ones((2, 4), "float32")
    assert (layer(x).numpy() == 4).all() and (layer(x, training=True).numpy() == 8).all()
    assert float(layer.calls) == 1.0
    assert [w.path for w in layer.weights] == ["own/kernel", "own/calls"]
    assert layer.compute_output_shape((None, 4)) == (None, 3) and layer.count_params() == 13
    again = Scaled.from_config(layer.get_config())
    assert again.name == "own" and again.gain == 2.0 and again.get_config() == layer.get_config()
    model = keras.Sequential([keras.Input((4,)), layer, layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(x, np.zeros((2, 1)), epochs=3, verbose=0)
    assert float(layer.calls) == 4.0 and True in layer.seen and False in layer.seen
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x))
    np.testing.assert_allclose(tape.gradient(loss, layer.kernel).numpy(), np.full((4, 3), 2.0))


def test_weights_without_a_name_and_in_the_constructor():
    class Bias(layers.Layer):
        def __init__(self):
            super().__init__()
            self.bias = self.add_weight(shape=(3,), initializer="zeros")
            self.scale = self.add_weight((3,), "ones")

        def call(self, inputs):
            return inputs * self.scale + self.bias

    layer = Bias()
    assert len(layer.trainable_weights) == 2 and layer(np.ones((1, 3))).shape == (1, 3)


class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(3, activation="relu")
        self.rest = [layers.Dense(3) for _ in range(2)]
        self.named = {"drop": layers.Dropout(0.5), "norm": layers.BatchNormalization()}

    def call(self, inputs):
        x = self.first(inputs)
        for layer in self.rest:
            x = layer(x)
        return self.named["norm"](self.named["drop"](x))


def test_layers_in_lists_and_dicts_are_found_and_trained():
    block = Block()
    x = np.random.RandomState(0).standard_normal((8, 4)).astype("float32")
    block(x)
    assert len(block.weights) == 10 and len(block.trainable_weights) == 8
    assert block.weights[0].path == "block/dense/kernel" and block.weights[2].path == "block/dense_1/kernel"
    model = keras.Sequential([keras.Input((4,)), block, layers.Dense(1)])
    before = [w.copy() for w in model.get_weights()]
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    changed = [np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(changed[:6]) and all(changed[8:])
    block.trainable = False
    assert not block.trainable_weights and not block.rest[1].trainable and len(model.trainable_weights) == 2
    assert not (block(x, training=True).numpy() == 0).all()


class Mixed(keras.Model):
    """A subclass with plain variables, sublayers, a training argument and dict outputs."""

    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.body = layers.Dense(width, activation="relu")
        self.head = layers.Dense(2)
        self.offset = tf.Variable([0.5, 0.5])

    def call(self, inputs, training=False):
        x = self.body(inputs["a"]) + self.body(inputs["b"])
        if training:
            x = x * 2.0
        return {"out": self.head(x) + self.offset, "hidden": x}

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def test_a_model_of_ones_own_with_dicts():
    model = Mixed()
    data = {"a": np.ones((3, 5), "float32"), "b": np.zeros((3, 5), "float32")}
    out = model(data)
    assert sorted(out) == ["hidden", "out"] and out["out"].shape == (3, 2)
    np.testing.assert_allclose(
        model(data, training=True)["hidden"].numpy(), 2 * out["hidden"].numpy(), rtol=1e-6
    )
    assert len(model.trainable_variables) == 5 and [layer.name for layer in model.layers] == [
        "dense",
        "dense_1",
    ]
    predicted = model.predict(data, verbose=0)
    np.testing.assert_allclose(predicted["hidden"], out["hidden"].numpy(), rtol=1e-6)
    assert Mixed.from_config(model.get_config()).width == 4


def test_nested_structures_of_inputs_and_outputs_in_a_functional_model():
    a, b, c = (keras.Input((3,), name=name) for name in "abc")
    y = layers.Add()([a, b])
    model = keras.Model({"pair": [a, b], "single": c}, {"sum": y, "parts": [layers.Dense(2)(c), -c]})
    x = [np.full((2, 3), k, "float32") for k in (1.0, 2.0, 3.0)]
    out = model({"pair": [x[0], x[1]], "single": x[2]})
    assert (out["sum"].numpy() == 3).all() and (out["parts"][1].numpy() == -3).all()
    assert out["parts"][0].shape == (2, 2)
    predicted = model.predict({"pair": [x[0], x[1]], "single": x[2]}, verbose=0)
    assert (predicted["sum"] == 3).all() and predicted["parts"][0].shape == (2, 2)


def test_nested_sequential_and_functional_models():
    inner = keras.Sequential([layers.Dense(4, name="x"), layers.ReLU()], name="inner")
    i = keras.Input((4,))
    functional = keras.Model(i, layers.Dense(3, name="y")(i), name="graph")
    outer = keras.Sequential([keras.Input((5,)), inner, functional])
    outer.add(keras.Sequential([layers.Dense(2)], name="last"))
    assert [layer.name for layer in outer.layers] == ["inner", "graph", "last"]
    assert outer.weights[0].path == "sequential/inner/x/kernel" and outer.output_shape == (None, 2)
    assert outer.get_layer("inner").get_layer("x").units == 4 and outer.get_layer(index=1) is functional
    popped = outer.pop()
    assert popped.name == "last" and outer.output_shape == (None, 3)
    x = np.ones((2, 5), "float32")
    np.testing.assert_allclose(outer(x).numpy(), functional(inner(x)).numpy(), rtol=1e-6)
    again = keras.Sequential.from_config(outer.get_config())
    again.set_weights(outer.get_weights())
    np.testing.assert_allclose(again(x).numpy(), outer(x).numpy(), rtol=1e-6)


def test_shared_layers_are_trained_once_by_both_uses():
    shared = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    a, b = keras.Input((1,)), keras.Input((1,))
    model = keras.Model([a, b], layers.Add()([shared(a), shared(b)]))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit([np.array([[1.0]]), np.array([[2.0]])], np.array([[0.0]]), verbose=0)
    # y = 3 k at k = 1, so d(y^2)/dk = 2 * 3 * 3
    np.testing.assert_allclose(shared.kernel.numpy(), [[1.0 - 0.1 * 18.0]], rtol=1e-5)


def test_edits_after_building_take_effect_in_predict_and_fit():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, kernel_initializer="ones", name="d")])
    x = np.array([[1.0, -3.0]], "float32")
    model.compile(keras.optimizers.SGD(1.0), "mse")
    assert (model.predict(x, verbose=0) == -2).all()
    model.layers[0].activation = keras.activations.relu
    assert (model.predict(x, verbose=0) == 0).all()
    model.layers[0].activation = None
    model.layers[0].trainable = False
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        model.fit(x, np.zeros((1, 2)), verbose=0)
    assert (model.predict(x, verbose=0) == -2).all()
    model.layers[0].trainable = True
    model.fit(x, np.zeros((1, 2)), verbose=0)
    assert (model.predict(x, verbose=0) != -2).all()


def test_arithmetic_between_layers_is_listed_in_the_summary():
    x = keras.Input((4, 4, 2), name="x")
    y = layers.Conv2D(2, 3, name="conv")(x)
    y = keras.ops.relu(y) * 2.0 + 1.0
    y = keras.ops.mean(y, axis=(1, 2))
    model = keras.Model(x, y[:, :1])
    lines = []
    model.summary(print_fn=lines.append, line_length=100)
    table = "\n".join(lines)
    # As Keras 3.15 lists them.
    for row in (
        "conv (Conv2D)",
        "relu (Relu)",
        "multiply (Multiply)",
        "add (Add)",
        "mean (Mean)",
        "get_item (GetItem)",
    ):
        assert row in table
    assert [layer.name for layer in model.layers][:2] == ["x", "conv"]
    value = np.random.RandomState(0).rand(2, 4, 4, 2).astype("float32")
    inner = keras.Model(x, model.get_layer("conv").output)(value).numpy()
    wanted = (np.maximum(inner, 0) * 2 + 1).mean(axis=(1, 2))[:, :1]
    np.testing.assert_allclose(model(value).numpy(), wanted, rtol=1e-5)


def test_a_function_as_a_layer_and_as_an_activation():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Lambda(lambda v: v**2), layers.Activation(lambda v: v + 1.0)]
    )
    assert (model(np.full((1, 3), 2.0)).numpy() == 5).all()
    assert layers.Activation(keras.activations.relu).get_config()["activation"] == "relu"


def test_losses_regularizers_and_metrics_of_layers():
    class Watching(layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = keras.metrics.Mean(name="activity")

        def call(self, inputs):
            self.add_loss(tf.reduce_sum(inputs) * 0.5)
            return inputs

    layer = Watching()
    layer(np.ones((2, 3), "float32"))
    assert [float(loss) for loss in layer.losses] == [3.0]
    assert layer.metrics == [layer.mean] and layer.metrics_variables == layer.mean.variables
    dense = layers.Dense(2, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.1))
    dense(np.ones((1, 3)))
    assert float(sum(dense.losses)) == pytest.approx(0.6)


def test_configuration_has_keras_form():
    config = layers.Dense(2, activity_regularizer="l2").get_config()
    assert config["dtype"] == {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float32"},
        "registered_name": None,
    }
    assert config["activity_regularizer"]["class_name"] == "L2"
    assert layers.Conv2D(1, 1).get_config()["activity_regularizer"] is None
    assert layers.Dense(2, dtype="float64").get_config()["dtype"]["config"] == {"name": "float64"}
    assert layers.Dense.from_config({**layers.Dense(2, dtype="float64").get_config()}).dtype == "float64"
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    assert model.get_config()["build_input_shape"] == (None, 3)


def test_the_dtype_policy_of_a_layer():
    layer = layers.Dense(2, dtype=keras.DTypePolicy("float64"))
    assert layer.dtype == "float64" and layer.dtype_policy == keras.DTypePolicy("float64")
    assert layer(np.ones((1, 3), "float32")).dtype == "float64" and layer.input_dtype == "float64"


def test_what_comes_too_early_says_so():
    with pytest.raises(AttributeError, match="no attribute 'kernel': the layer is not built yet"):
        _ = layers.Dense(2).kernel
    with pytest.raises(AttributeError, match="has never been called"):
        _ = layers.Dense(2).output
    with pytest.raises(ValueError, match="has no layers"):
        keras.Sequential()(np.zeros((1, 2)))

    class Forgetful(keras.Model):
        def __init__(self):
            self.head = layers.Dense(2)

    with pytest.raises(RuntimeError, match=r"call `super\(\).__init__\(\)`"):
        Forgetful()(np.zeros((1, 2)))


def test_symbols_of_inputs_have_their_names():
    x = keras.Input((3,), name="pixels")
    assert x.name == "pixels" and "name=pixels" in repr(x)
    assert keras.Model(x, layers.Dense(1)(x)).input.name == "pixels"


@pytest.mark.parametrize("eagerly", [False, True])
def test_targets_by_the_names_of_a_subclass_s_outputs(eagerly):
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.a = layers.Dense(2, kernel_initializer="ones")
            self.b = layers.Dense(1, kernel_initializer="ones")

        def call(self, x):
            return {"p": self.a(x), "q": self.b(x)}

    x = np.linspace(0, 1, 24).reshape(6, 4).astype("float32")
    model = Two()
    model.compile(keras.optimizers.SGD(0.01), {"p": "mse", "q": "mae"}, run_eagerly=eagerly)
    targets = {"p": x[:, :2], "q": x[:, :1]}
    history = model.fit(x, targets, batch_size=3, epochs=2, shuffle=False, verbose=0).history
    # As Keras 3.15 computes them.
    np.testing.assert_allclose(history["p_loss"], [3.14124, 2.88393], rtol=1e-5)
    np.testing.assert_allclose(history["q_loss"], [1.55653, 1.51634], rtol=1e-5)
    assert model.output_names == ["p", "q"]
