"""What people type who learned Keras, also where Keras 3 lets them down; every method programs call."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers


def images(n=8, size=8, channels=1):
    return np.random.RandomState(0).rand(n, size, size, channels).astype("float32")


def convolutional_base():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, layers.ReLU(name="relu")(x), name="base")


def with_head(base, **call):
    inputs = keras.Input((8, 8, 1))
    x = base(inputs, **call)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))


def test_training_false_at_the_call_keeps_statistics_while_fine_tuning():
    base = convolutional_base()
    model = with_head(base, training=False)
    base.trainable = True
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    kernel = base.get_layer("conv").get_weights()[0]
    model.fit(images(), np.arange(8) % 3, epochs=2, verbose=0)
    norm = base.get_layer("norm")
    np.testing.assert_array_equal(norm.moving_mean.numpy(), 0.0)
    np.testing.assert_array_equal(norm.moving_variance.numpy(), 1.0)
    assert np.abs(base.get_layer("conv").get_weights()[0] - kernel).max() > 0


def test_input_and_output_of_a_sequential():
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3, name="conv"), layers.Flatten()])
    assert model.input.shape == (None, 8, 8, 1) and model.output.shape == (None, 72)
    inner = keras.Model(model.inputs, model.get_layer("conv").output)
    x = images()
    np.testing.assert_allclose(inner(x).numpy().reshape(8, -1), model(x).numpy())


def test_outputs_of_a_nested_base_belong_to_the_outer_model():
    base = convolutional_base()
    outer = with_head(base)
    both = keras.Model(outer.inputs, [base.get_layer("conv").output, outer.output])
    x = images()
    maps, probabilities = both.predict(x, verbose=0)
    kernel, bias = base.get_layer("conv").get_weights()
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    wanted = bias + sum(
        padded[:, i : i + 8, j : j + 8, :1] * kernel[i, j, 0] for i in range(3) for j in range(3)
    )
    np.testing.assert_allclose(maps, wanted, atol=1e-5)
    np.testing.assert_allclose(probabilities, outer(x).numpy(), rtol=1e-5)


def test_the_name_of_a_weight_first_and_numpy_integers():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight(
                "kernel", shape=(input_shape[-1],), initializer="ones", trainable=True
            )

        def call(self, inputs):
            return inputs * self.kernel

    layer = Scale()
    np.testing.assert_array_equal(layer(np.full((2, 3), 2.0)).numpy(), np.full((2, 3), 2.0))
    assert layer.kernel.name == "kernel" and layer.kernel.path == "scale/kernel"
    assert layers.Dense(np.int32(5)).units == 5 and layers.Conv2D(np.int64(4), np.int64(3)).filters == 4


def test_plain_variables_of_a_model_are_trained():
    class Line(keras.Model):
        def __init__(self):
            super().__init__()
            self.slope = tf.Variable(0.0)
            self.parts = {"offset": [tf.Variable(0.0)]}

        def call(self, x):
            return x * self.slope + self.parts["offset"][0]

    model = Line()
    assert len(model.trainable_variables) == 2
    x = np.linspace(-1, 1, 32).astype("float32")[:, None]
    model.compile(keras.optimizers.SGD(0.3), "mse")
    model.fit(x, 3 * x + 1, epochs=60, verbose=0)
    assert float(model.slope) == pytest.approx(3, abs=1e-2)
    assert float(model.parts["offset"][0]) == pytest.approx(1, abs=1e-2)


def test_old_names_of_losses_and_the_output_shape_of_a_layer():
    y, p = np.array([[1.0, 2.0]], "float32"), np.array([[2.0, 4.0]], "float32")
    for name in ("mean_squared_error", "mse", "MSE"):
        np.testing.assert_allclose(getattr(keras.losses, name)(y, p).numpy(), [2.5])
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    assert model.layers[0].output_shape == (None, 3) and model.layers[0].input_shape == (None, 4)


def test_compile_without_a_loss_has_none():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    model.compile("sgd")
    assert model.loss is None
    before = model.get_weights()
    with pytest.raises(ValueError, match="loss"):
        model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def compiled():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="d")])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
    return model


METHODS = {
    "model": """get_weights predict name layers compile fit set_weights weights output get_layer input inputs
        summary trainable_variables evaluate build dtype train_step add_weight save trainable
        count_params path test_step trainable_weights metrics optimizer output_shape compute_loss
        variables add_loss compiled_metrics from_config get_config load_weights loss losses
        non_trainable_weights outputs save_weights compiled_loss input_shape predict_on_batch history
        stop_training run_eagerly jit_compile train_on_batch test_on_batch predict_step reset_metrics
        metrics_names to_json input_names output_names get_compile_config compile_from_config
        get_build_config build_from_config get_state_tree set_state_tree compute_metrics
        make_predict_function make_train_function make_test_function metrics_variables supports_masking
        input_spec compute_dtype variable_dtype dtype_policy input_dtype save_own_variables
        load_own_variables""",
    "layer": """get_weights set_weights name weights output input trainable_variables build dtype add_weight
        trainable count_params path trainable_weights output_shape kernel bias activation variables
        add_loss from_config get_config losses non_trainable_weights input_shape built units use_bias
        supports_masking input_spec activity_regularizer compute_output_shape compute_output_spec
        symbolic_call metrics metrics_variables non_trainable_variables add_variable quantization_mode
        autocast""",
    "sequential": "add pop layers build",
    "variable": "shape numpy name dtype assign assign_add assign_sub path trainable",
    "optimizer": "apply_gradients apply iterations learning_rate variables get_config from_config build name",
    "metric": "update_state result reset_state name variables get_config dtype",
    "tape": "gradient watch jacobian batch_jacobian reset stop_recording watched_variables",
    "dataset": "shuffle batch take map prefetch from_tensor_slices",
    "callback": """on_epoch_end on_batch_end on_train_begin on_train_end on_epoch_begin on_train_batch_begin
        on_train_batch_end set_model set_params model params""",
}


@pytest.mark.parametrize("kind", METHODS)
def test_every_method_that_programs_call_is_there(kind):
    model = compiled()
    thing = {
        "model": lambda: model,
        "layer": lambda: model.layers[0],
        "sequential": lambda: model,
        "variable": lambda: model.weights[0],
        "optimizer": lambda: model.optimizer,
        "metric": lambda: keras.metrics.Mean(),
        "tape": lambda: tf.GradientTape(persistent=True),
        "dataset": lambda: tf.data.Dataset.from_tensor_slices([1, 2]),
        "callback": lambda: keras.callbacks.Callback(),
    }[kind]()
    missing = [name for name in METHODS[kind].split() if not hasattr(thing, name)]
    assert not missing


def test_the_rate_of_a_dropout_and_an_activation_may_be_edited():
    model = keras.Sequential([keras.Input((1000,)), layers.Dropout(0.0), layers.Activation("linear")])
    x = np.ones((1, 1000), "float32")
    assert (model(x, training=True).numpy() == 1).all()
    model.layers[0].rate = 0.5
    kept = model(x, training=True).numpy()
    assert 400 < (kept == 0).sum() < 600 and (kept[kept > 0] == 2).all()
    model.layers[1].activation = lambda v: v + 1.0
    assert (model(x).numpy() == 2).all()


def test_a_replaced_kernel_counts_and_a_new_weight_is_refused():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False)])
    x = np.array([[1.0, 2.0]], "float32")
    model(x)
    model.layers[0].kernel = tf.Variable([[1.0], [10.0]])
    assert float(model(x)[0, 0]) == 21.0
    model.layers[0].kernel.assign([[2.0], [0.0]])
    assert float(model.predict(x, verbose=0)[0, 0]) == 2.0
    with pytest.raises(ValueError, match="is built"):
        model.layers[0].add_weight(shape=(3,), name="extra")


def test_one_output_or_several_have_output_shapes():
    x = keras.Input((4,), name="x")
    model = keras.Model(x, [layers.Dense(2)(x), layers.Dense(3)(x)])
    assert model.output_shape == [(None, 2), (None, 3)]
    assert keras.Model(x, {"a": layers.Dense(2)(x)}).output_shape == {"a": (None, 2)}


def test_compile_settings_and_state_as_plain_data():
    model = compiled()
    config = model.get_compile_config()
    assert (
        config["loss"] == "mse"
        and config["metrics"] == ["mae"]
        and config["optimizer"]["class_name"] == "Adam"
    )
    again = keras.models.clone_model(model)
    again.compile_from_config(config)
    assert again.loss == "mse" and type(again.optimizer) is keras.optimizers.Adam
    state = model.get_state_tree("numpy_array")
    assert list(state["trainable_variables"]["sequential"]["d"]) == ["kernel", "bias"]
    model.set_weights([np.zeros((4, 3)), np.zeros(3)])
    model.set_state_tree({"trainable_variables": state["trainable_variables"]})
    np.testing.assert_array_equal(
        model.get_weights()[0], state["trainable_variables"]["sequential"]["d"]["kernel"]
    )
    with pytest.raises(ValueError, match="no variable|No variable"):
        model.set_state_tree({"trainable_variables": {"other": np.zeros(3)}})


def test_own_variables_in_a_store():
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    layer.set_weights([np.full(3, k) for k in (1.0, 2.0, 3.0, 4.0)])
    store = {}
    layer.save_own_variables(store)
    assert sorted(store) == ["0", "1", "2", "3"] and (store["2"] == 3).all()
    other = layers.BatchNormalization()
    with pytest.raises(ValueError, match="has not been built"):
        other.load_own_variables(store)
    other.build((None, 3))
    other.load_own_variables(store)
    np.testing.assert_array_equal(other.moving_variance.numpy(), 4.0)
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        other.load_own_variables({**store, "1": np.zeros(2)})


@pytest.mark.parametrize("name", ["quantize", "stateless_call", "add_metric", "rematerialized_call"])
def test_what_is_left_out_says_so(name):
    with pytest.raises(AttributeError, match=f"`{name}` is not offered"):
        getattr(layers.Dense(2), name)
    with pytest.raises(AttributeError, match=f"`{name}` is not offered"):
        getattr(compiled(), name)


def test_initializers_have_tensorflow_s_names_too():
    normal = tf.random_normal_initializer(0.0, 0.02)
    kernel = layers.Conv2D(64, 4, kernel_initializer=normal)
    kernel.build((None, 8, 8, 3))
    assert abs(kernel.get_weights()[0].std() - 0.02) < 0.002
    assert np.array_equal(tf.zeros_initializer()((2,)), [0, 0])
    assert np.array_equal(tf.ones_initializer()((2,)), [1, 1])
    assert np.array_equal(tf.constant_initializer(3.0)((2,)), [3, 3])
    drawn = np.array(tf.random_uniform_initializer(1.0, 2.0)((50,)))
    assert drawn.min() >= 1 and drawn.max() < 2
