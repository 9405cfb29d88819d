"""Graphs of layers: sequential, functional, nested, shared and subclassed models."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import Model, Sequential, layers
from cnnexplain.keras.tracing import trace


def images(n=2, size=28, channels=1):
    return np.random.RandomState(n).rand(n, size, size, channels).astype("float32")


def test_the_lectures_network_has_its_names_shapes_and_parameters(lecture):
    model = lecture()
    rows = [(layer.name, tuple(layer.output.shape), layer.count_params()) for layer in model.layers]
    assert rows == [
        ("conv2d", (None, 28, 28, 16), 160),
        ("max_pooling2d", (None, 14, 14, 16), 0),
        ("conv2d_1", (None, 14, 14, 32), 4640),
        ("max_pooling2d_1", (None, 7, 7, 32), 0),
        ("conv2d_2", (None, 7, 7, 64), 18496),
        ("max_pooling2d_2", (None, 3, 3, 64), 0),
        ("conv2d_3", (None, 3, 3, 128), 73856),
        ("global_average_pooling2d", (None, 128), 0),
        ("dense", (None, 10), 1290),
    ]
    assert model.name == "sequential" and model.count_params() == 98442
    assert model.input_shape == (None, 28, 28, 1) and model.output_shape == (None, 10)


def test_summary_states_the_totals(lecture, capsys):
    lecture().summary()
    text = capsys.readouterr().out
    assert 'Model: "sequential"' in text
    assert "Total params: 98,442 (384.54 KB)" in text
    assert "Trainable params: 98,442 (384.54 KB)" in text
    assert "Non-trainable params: 0 (0.00 B)" in text


def test_class_activation_maps_as_the_lecture_writes_them(lecture):
    model = lecture()
    cam_model = Model(inputs=model.input, outputs=(model.layers[-3].output, model.layers[-1].output))
    x = images(5)
    features, results = cam_model.predict(x, verbose=0)
    assert features.shape == (5, 3, 3, 128) and results.shape == (5, 10)
    np.testing.assert_array_equal(results, model.predict(x, verbose=0))
    weights = model.layers[-1].get_weights()[0]
    logits = features.mean(axis=(1, 2)) @ weights + model.layers[-1].get_weights()[1]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, results, rtol=1e-5, atol=1e-7)


def test_grad_cam_as_the_lecture_writes_it(lecture):
    model = lecture()
    model_grad = Model([model.inputs], [model.get_layer("conv2d_3").output, model.output])
    x = images(1)
    with tf.GradientTape() as tape:
        conv_output_values, predictions = model_grad(x)
        loss = predictions[:, 3]
    grads = tape.gradient(loss, conv_output_values)
    assert tuple(grads.shape) == (1, 3, 3, 128)
    mean = keras.backend.mean(grads, axis=(0, 1, 2))
    w = model.layers[-1].get_weights()[0]
    p = np.array(predictions)[0]
    wanted = p[3] * (w[:, 3] - w @ p) / 9
    np.testing.assert_allclose(mean.numpy(), wanted, rtol=1e-4, atol=1e-8)


def test_saliency_of_a_saturated_network_is_not_blank(lecture):
    model = lecture()
    model.set_weights([w * 3 for w in model.get_weights()])
    x = tf.cast(images(2) * 50, tf.float32)
    predictions = model(x)
    label = int(np.argmax(predictions[0]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        predictions = model(x)
        loss = keras.losses.categorical_crossentropy(tf.one_hot([(label + 1) % 10] * 2, 10), predictions)
    assert np.abs(tape.gradient(loss, x).numpy()).max() > 0


def test_predictions_do_not_depend_on_batch_size(lecture):
    model = lecture()
    x = images(37)
    whole = model.predict(x, batch_size=64, verbose=0)
    np.testing.assert_array_equal(whole, model.predict(x, batch_size=5, verbose=0))
    np.testing.assert_array_equal(whole[3:4], model.predict(x[3:4], verbose=0))
    np.testing.assert_array_equal(whole, np.array(model(x)))


def test_inputs_are_brought_to_rank_and_dtype(lecture):
    model = lecture()
    x = (images(3) * 255).astype("uint8")
    wanted = model.predict(x.astype("float32"), verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)
    np.testing.assert_array_equal(model.predict(x[..., 0], verbose=0), wanted)
    np.testing.assert_array_equal(np.array(model(x.astype("float64"))), wanted)
    np.testing.assert_array_equal(np.array(model(x[..., 0].tolist())), wanted)


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28)])
def test_a_missing_batch_axis_is_named(lecture, shape):
    model = lecture()
    for call in (model, lambda x: model.predict(x, verbose=0)):
        with pytest.raises(ValueError, match=r"image\[None\]"):
            call(np.zeros(shape, "float32"))


def test_a_large_image_without_batch_axis_is_named():
    model = Sequential([keras.Input((224, 224, 3)), layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match=r"image\[None\]"):
        model.predict(np.zeros((224, 224, 3)), verbose=0)


def test_wrong_shapes_name_layer_and_shapes(lecture):
    with pytest.raises(ValueError, match=r'layer "sequential".*\(None, 28, 28, 1\).*\(2, 32, 32, 3\)'):
        lecture()(np.zeros((2, 32, 32, 3), "float32"))


def test_sequential_is_built_by_its_first_call_or_by_build():
    model = Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)])
    assert not model.built and model.weights == []
    with pytest.raises(AttributeError, match="never been called"):
        _ = model.output
    assert model(np.zeros((2, 5, 5, 1), "float32")).shape == (2, 3)
    assert model.output.shape == (None, 3) and model.input.shape == (None, 5, 5, 1)
    assert len(model.get_weights()) == 4
    other = Sequential([layers.Dense(3)])
    other.build((None, 7))
    assert other.count_params() == 24


def test_sequential_add_and_pop():
    model = Sequential()
    model.add(keras.Input((6,)))
    model.add(layers.Dense(5))
    model.add(layers.Dense(4))
    assert model.output_shape == (None, 4)
    assert model.pop().units == 4
    assert model.output_shape == (None, 5) and len(model.layers) == 1
    model.add(layers.Dense(2))
    assert model(np.zeros((1, 6), "float32")).shape == (1, 2)
    with pytest.raises(ValueError, match="unique names"):
        model.add(layers.Dense(2, name=model.layers[0].name))
    with pytest.raises(ValueError, match=r"keras\.Layer"):
        model.add("dense")


def test_several_inputs_and_outputs_in_any_structure():
    a, b = keras.Input((3,), name="a"), keras.Input((4,), name="b")
    x = layers.concatenate([a, b])
    y, z = layers.Dense(2, name="y")(x), layers.Dense(5, name="z")(x)
    values = {"a": np.ones((2, 3), "float32"), "b": np.ones((2, 4), "float32")}
    listed = [values["a"], values["b"]]
    model = Model([a, b], {"y": y, "z": z})
    by_list, by_dict = model.predict(listed, verbose=0), model.predict(values, verbose=0)
    assert set(by_list) == {"y", "z"}
    np.testing.assert_array_equal(by_list["z"], by_dict["z"])
    nested = Model([a, b], (y, [z, x]))(listed)
    assert isinstance(nested, tuple) and isinstance(nested[1], list)
    np.testing.assert_array_equal(np.array(nested[1][0]), by_list["z"])
    assert Model({"a": a, "b": b}, y)(values).shape == (2, 2)
    with pytest.raises(ValueError, match="expects 2 input"):
        model(listed[:1])
    with pytest.raises(ValueError, match="Missing data for input 'b'"):
        model({"a": values["a"]})


def test_shared_layers_have_one_set_of_weights():
    dense = layers.Dense(4)
    a, b = keras.Input((3,)), keras.Input((3,))
    model = Model([a, b], layers.subtract([dense(a), dense(b)]))
    assert len(model.weights) == 2
    x = np.random.RandomState(0).rand(2, 3).astype("float32")
    np.testing.assert_array_equal(np.array(model([x, x])), np.zeros((2, 4)))
    assert len(dense._inbound_nodes) == 2


def nested():
    base = Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(name="pool"),
        ],
        name="base",
    )
    x = keras.Input((8, 8, 3))
    y = layers.Dense(2, activation="softmax", name="head")(layers.GlobalAveragePooling2D()(base(x / 2.0)))
    return Model(x, y, name="outer"), base


def test_tensors_inside_a_nested_model_are_outputs_of_the_outer_one():
    outer, base = nested()
    x = images(2, 8, 3)
    both = Model(outer.inputs, [base.get_layer("conv").output, outer.output])
    features, predictions = both(x)
    np.testing.assert_array_equal(np.array(predictions), np.array(outer(x)))
    alone = Model(base.inputs, base.get_layer("conv").output)
    np.testing.assert_array_equal(np.array(features), np.array(alone(x / 2)))
    only = Model(outer.inputs, base.get_layer("conv").output)
    np.testing.assert_array_equal(np.array(only(x)), np.array(features))
    with tf.GradientTape() as tape:
        features, predictions = both(x)
        score = predictions[:, 0]
    assert np.abs(tape.gradient(score, features).numpy()).max() > 0


def test_twice_nested():
    outer, base = nested()
    x = keras.Input((8, 8, 3))
    whole = Model(x, layers.Dense(1)(outer(x)), name="whole")
    both = Model(whole.input, [base.get_layer("conv").output, whole.output])
    assert both.predict(images(2, 8, 3), verbose=0)[0].shape == (2, 6, 6, 4)
    assert whole.get_layer("outer/base/conv") is base.get_layer("conv")


def test_get_layer_by_name_index_and_path():
    outer, base = nested()
    assert outer.get_layer("base/conv") is base.layers[0]
    assert outer.get_layer(index=-1).name == "head"
    with pytest.raises(
        ValueError, match=r"No such layer: convolution\. Existing layers are: \['input_layer_1'"
    ):
        outer.get_layer("convolution")
    with pytest.raises(ValueError, match="Did you mean 'base/conv'"):
        outer.get_layer("conv")
    with pytest.raises(ValueError, match="only has"):
        outer.get_layer(index=99)


def test_unconnected_outputs_are_refused():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    with pytest.raises(ValueError, match="not connected"):
        Model(a, layers.Dense(2)(b))
    with pytest.raises(ValueError, match="KerasTensors"):
        Model(np.zeros((2, 3)), layers.Dense(2)(b))


def test_a_model_may_begin_in_the_middle():
    outer, base = nested()
    pooled = base.output
    x = keras.Input((8, 8, 3))
    h = layers.Conv2D(3, 3, name="c1")(x)
    y = layers.Dense(2)(layers.Flatten()(h))
    tail = Model(h, y)
    values = np.random.RandomState(0).rand(2, 6, 6, 3).astype("float32")
    assert tail(values).shape == (2, 2) and pooled is not None
    np.testing.assert_allclose(
        np.array(Model(x, y)(images(2, 8, 3))), np.array(tail(Model(x, h)(images(2, 8, 3)))), rtol=1e-6
    )


def test_edits_take_effect(lecture):
    model = lecture()
    x = images(2)
    probabilities = np.array(model(x))
    model.layers[-1].activation = None
    logits = np.array(model(x))
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(wanted, probabilities, rtol=1e-5)
    assert model.layers[0].activation == keras.activations.relu
    for layer in model.layers:
        if getattr(layer, "activation", None) == keras.activations.relu:
            layer.activation = keras.activations.tanh
    assert np.abs(np.array(model(x)) - logits).max() > 1e-6


def test_trainable_reaches_inner_layers_and_batch_norm():
    inner = Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization()])
    x = keras.Input((4,))
    model = Model(x, inner(x))
    assert len(model.trainable_weights) == 4 and len(model.non_trainable_weights) == 2
    moving = inner.layers[1].moving_mean
    data = np.random.RandomState(0).rand(8, 4).astype("float32") + 5
    model(data, training=True)
    changed = moving.numpy()
    assert np.abs(changed).max() > 0
    model.trainable = False
    assert model.trainable_weights == [] and not inner.layers[0].trainable
    model(data, training=True)
    np.testing.assert_array_equal(moving.numpy(), changed)


def test_an_explicit_training_flag_at_the_call_wins():
    inner = Sequential([keras.Input((4,)), layers.BatchNormalization()], name="inner")
    x = keras.Input((4,))
    model = Model(x, layers.Dense(2)(inner(x, training=False)))
    data = np.random.RandomState(0).rand(8, 4).astype("float32") + 5
    model(data, training=True)
    np.testing.assert_array_equal(inner.layers[0].moving_mean.numpy(), np.zeros(4))
    model.compile("sgd", "mse")
    model.fit(data, np.zeros((8, 2)), verbose=0)
    np.testing.assert_array_equal(inner.layers[0].moving_mean.numpy(), np.zeros(4))


def test_custom_layers_are_traced():
    class Scaled(layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor
            self.inner = layers.Dense(3)

        def build(self, input_shape):
            self.w = self.add_weight("w", shape=(input_shape[-1],), initializer="ones")
            self.b = self.add_weight(shape=(), initializer="zeros", trainable=False, name="b")

        def call(self, inputs, training=False):
            x = inputs * self.w**2 * self.factor
            if training:
                self.b.assign_add(1.0)
            return self.inner(x)

    x = keras.Input((4,))
    layer = Scaled(2.0)
    model = Model(x, layer(x))
    assert layer.name == "scaled" and len(model.weights) == 4
    values = np.random.RandomState(0).rand(2, 4).astype("float32")
    first = np.array(model(values))
    layer.w.assign(np.full(4, 2.0, "float32"))
    np.testing.assert_allclose(np.array(model(values)), first * 4, rtol=1e-6)
    model(values, training=True)
    assert float(layer.b) == 1.0
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(model(values))
    gradients = tape.gradient(y, model.trainable_variables)
    assert all(g is not None for g in gradients)
    assert layer.get_config()["factor"] == 2.0


def test_subclassed_models():
    class Net(Model):
        def __init__(self):
            super().__init__()
            self.convs = [layers.Conv2D(2, 3), layers.Conv2D(3, 3)]
            self.head = layers.Dense(2)
            self.bias = tf.Variable([0.5, -0.5])

        def call(self, x, training=False):
            for conv in self.convs:
                x = conv(x)
            return self.head(layers.GlobalAveragePooling2D()(x)) + self.bias

    model = Net()
    x = images(3, 8, 1)
    y = model(x)
    assert y.shape == (3, 2) and len(model.trainable_variables) == 7
    np.testing.assert_allclose(model.predict(x, verbose=0), np.array(y), rtol=1e-6)
    assert [layer.name for layer in model.layers][:2] == ["conv2d", "conv2d_1"]
    traced = trace(model)
    np.testing.assert_allclose(np.array(traced.program(x)[0]), np.array(y), rtol=1e-6)
    assert traced.output_of("net/conv2d").shape == (None, 6, 6, 2)


def test_trace_gives_every_tensor_of_the_graph_also_in_float64():
    outer, base = nested()
    x = images(2, 8, 3)
    conv = base.get_layer("conv").output
    made = trace(outer, [conv, outer.output])
    run = made.program.run([(made.inputs[0], x)], [made[conv], made[outer.output]])
    np.testing.assert_array_equal(np.array(run.value(made[outer.output])), np.array(outer(x)))
    assert trace(outer, [conv, outer.output]) is made
    double = trace(outer, [conv, outer.output], dtype="float64")
    result = double.program(x.astype("float64"))
    assert result[1].dtype == "float64"
    np.testing.assert_allclose(np.array(result[1]), np.array(outer(x)), rtol=1e-5)
    kernel = base.layers[0].kernel
    kernel.assign(kernel.numpy() * 2)
    again = trace(outer, [conv, outer.output], dtype="float64")
    assert again is double
    np.testing.assert_allclose(np.array(again.program(x.astype("float64"))[1]), np.array(outer(x)), rtol=1e-5)
    run = double.program.run([(double.inputs[0], x.astype("float64"))], [double[outer.output]])
    seed = np.ones((2, 2))
    grads = run.backward([(double[outer.output], seed)], [double[conv], double[kernel]])
    assert grads[0].dtype == "float64" and tuple(grads[1].shape) == tuple(kernel.shape)


@pytest.mark.parametrize("make", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_models_pickle_and_deepcopy(make, lecture):
    outer, _ = nested()
    for model, x in ((lecture(), images(2)), (outer, images(2, 8, 3))):
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, np.zeros(len(x)), verbose=0)
        other = make(model)
        np.testing.assert_array_equal(np.array(other(x)), np.array(model(x)))
        assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
        other.fit(x, np.zeros(len(x)), verbose=0)
        assert np.abs(other.get_weights()[0] - model.get_weights()[0]).max() > 0
        assert int(other.optimizer.iterations) == 2 and int(model.optimizer.iterations) == 1


def test_config_json_clone_and_npz(tmp_path, lecture):
    outer, _ = nested()
    for model, x in ((lecture(), images(2)), (outer, images(2, 8, 3))):
        again = keras.models.model_from_json(model.to_json())
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(np.array(again(x)), np.array(model(x)))
        assert again.to_json() == model.to_json()
        model.save(tmp_path / "model.npz")
        np.testing.assert_array_equal(
            np.array(keras.models.load_model(tmp_path / "model.npz")(x)), np.array(model(x))
        )
        model.save_weights(tmp_path / "weights.npz")
        clone = keras.models.clone_model(model)
        assert np.abs(np.array(clone(x)) - np.array(model(x))).max() > 0
        clone.load_weights(tmp_path / "weights.npz")
        np.testing.assert_array_equal(np.array(clone(x)), np.array(model(x)))
    with pytest.raises(ValueError, match=r"`filepath` must end in `\.keras`.*Received: filepath=model$"):
        outer.save("model")


def test_backend_function(lecture):
    model = lecture()
    f = keras.backend.function([model.input], [model.layers[0].output, model.output])
    first, last = f([images(2)])
    assert first.shape == (2, 28, 28, 16) and isinstance(last, np.ndarray)
    with pytest.raises(AttributeError, match="GradientTape"):
        _ = keras.backend.gradients


def test_lambda_on_symbols_and_on_values():
    x = keras.Input((3,))
    model = Model(x, layers.Lambda(lambda v: v * 2 + 1)(x))
    np.testing.assert_array_equal(np.array(model(np.ones((1, 3), "float32"))), [[3, 3, 3]])
    model = Model(x, layers.Lambda(lambda v: tf.constant(np.sort(v.numpy(), axis=1)))(x))
    np.testing.assert_array_equal(np.array(model(np.array([[3, 1, 2]], "float32"))), [[1, 2, 3]])


@pytest.mark.usefixtures("no_draws")
def test_applications_have_keras_parameters():
    vgg = keras.applications.VGG16(weights=None)
    assert vgg.count_params() == 138_357_544 and vgg.name == "vgg16"
    assert vgg.get_layer("block5_conv3").output.shape == (None, 14, 14, 512)
    resnet = keras.applications.ResNet50(weights=None)
    assert resnet.count_params() == 25_636_712
    assert resnet.get_layer("conv5_block3_out").output.shape == (None, 7, 7, 2048)
    with pytest.raises(ValueError, match="`weights` must be None"):
        keras.applications.VGG16(weights="no-such-file.h5")


def test_preprocessing_modes():
    from cnnexplain.keras.applications import imagenet_utils, vgg16

    x = np.zeros((1, 1, 1, 3)) + [10.0, 20.0, 30.0]
    wanted = np.array([30 - 103.939, 20 - 116.779, 10 - 123.68])
    np.testing.assert_allclose(vgg16.preprocess_input(x.copy())[0, 0, 0], wanted)
    np.testing.assert_allclose(vgg16.preprocess_input(tf.constant(x)).numpy()[0, 0, 0], wanted)
    np.testing.assert_allclose(
        imagenet_utils.preprocess_input(x.copy(), mode="tf")[0, 0, 0], np.array([10, 20, 30]) / 127.5 - 1
    )
    with pytest.raises(ValueError, match="mode"):
        imagenet_utils.preprocess_input(x, mode="keras")


def test_idioms_that_keras_dropped_name_todays_call(lecture):
    for name, advice in (("predict_classes", "argmax"), ("fit_generator", r"fit\(generator")):
        with pytest.raises(AttributeError, match=advice):
            getattr(lecture(), name)
    with pytest.raises(AttributeError, match="Did you mean Conv2D"):
        _ = layers.Conv3D


def test_inputs_and_repeated_tensors_may_be_outputs():
    x = keras.Input((3,))
    y = layers.Dense(2)(x)
    data = np.ones((2, 3), "float32")
    a, b, c = Model(x, [x, y, y])(data)
    np.testing.assert_array_equal(np.array(a), data)
    np.testing.assert_array_equal(np.array(b), np.array(c))
    np.testing.assert_array_equal(np.array(Model(x, x)(data)), data)


def test_a_dropout_layer_called_twice_draws_twice():
    x = keras.Input((500,))
    layer = layers.Dropout(0.5)
    a, b = Model(x, [layer(x), layer(x)])(np.ones((1, 500), "float32"), training=True)
    assert (np.array(a) != np.array(b)).mean() > 0.3
    assert layer.seed_generator.state.numpy()[1] == 2


def test_summary_of_layers_that_have_seen_no_input(capsys):
    keras.Sequential([layers.Conv2D(4, 3), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2)]).summary(
        line_length=100
    )
    rows = [line for line in capsys.readouterr().out.splitlines() if "(" in line and "│" in line]
    unbuilt = ["(unbuilt)" in row for row in rows]
    assert unbuilt == [True, False, True, True]


@pytest.mark.parametrize("content", [b"", b"PK nonsense", b"not a model", b"\x93NUMPY"])
def test_a_broken_model_file_is_named(tmp_path, content):
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="model.npz cannot be read: it is (empty|damaged)"):
        keras.models.load_model(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match="`filepath`.*Received: filepath=.*model.npz"):
        keras.models.load_model(path)


def test_a_memoryview_is_an_array(lecture):
    model, x = lecture(), np.random.RandomState(0).rand(3, 28, 28, 1).astype("float32")
    np.testing.assert_array_equal(model.predict(memoryview(x), verbose=0), model.predict(x, verbose=0))
