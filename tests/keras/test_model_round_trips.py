"""Models as JSON, pickled, copied and cloned; what is written here Keras reads, and the reverse."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

from cnnexplain import keras


def conv_model(k):
    return k.Sequential(
        [
            k.Input((8, 8, 3), name="images"),
            k.layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv"),
            k.layers.BatchNormalization(name="norm"),
            k.layers.ReLU(max_value=6.0, name="cut"),
            k.layers.MaxPooling2D(name="pool"),
            k.layers.SeparableConv2D(3, 3, activation="relu", name="separable"),
            k.layers.GlobalAveragePooling2D(name="mean"),
            k.layers.Dropout(0.4, name="drop"),
            k.layers.Dense(3, activation="softmax", kernel_regularizer="l2", name="scores"),
        ],
        name="convolutions",
    )


def residual_model(k):
    x = k.Input((8, 8, 3), name="images")
    y = k.layers.Conv2D(3, 3, padding="same", activation="relu", name="one")(x)
    y = k.layers.Add(name="sum")([x, y])
    y = k.layers.Concatenate(name="both")([y, k.layers.DepthwiseConv2D(3, padding="same", name="depth")(y)])
    y = k.layers.LayerNormalization(name="norm")(y)
    return k.Model(x, k.layers.Dense(2, name="out")(k.layers.Flatten(name="flat")(y)), name="residual")


def nested_model(k):
    x = k.Input((8, 8, 3), name="images")
    inner_input = k.Input((8, 8, 3), name="inner")
    inner = k.layers.Conv2D(2, 3, name="conv")(inner_input)
    inner = k.Model(inner_input, k.layers.LeakyReLU(0.2, name="leaky")(inner), name="features")
    head = k.Sequential(
        [k.Input((6, 6, 2), name="h"), k.layers.Flatten(name="f"), k.layers.Dense(3, name="d")], name="head"
    )
    return k.Model(x, head(inner(k.layers.Rescaling(0.5, name="scale")(x))), name="outer")


def shared_model(k):
    a, b = k.Input((5,), name="a"), k.Input((5,), name="b")
    dense = k.layers.Dense(4, activation="tanh", name="shared")
    both = k.layers.Subtract(name="difference")([dense(a), dense(b)])
    return k.Model([a, b], [both, k.layers.Dense(1, name="score")(both)], name="twins")


def recurrent_model(k):
    x = k.Input((6,), dtype="int32", name="words")
    y = k.layers.Embedding(9, 4, mask_zero=True, name="vectors")(x)
    y = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True, name="lstm"), name="both")(y)
    return k.Model(x, k.layers.GRU(2, name="gru")(y), name="recurrent")


def cells_model(k):
    x = k.Input((6, 4), name="rows")
    y = k.layers.RNN([k.layers.LSTMCell(3, name="l"), k.layers.GRUCell(2, name="g")], name="cells")(x)
    return k.Model(x, k.layers.RepeatVector(2, name="twice")(y), name="of_cells")


def distributed_model(k):
    x = k.Input((6, 4), name="rows")
    y = k.layers.TimeDistributed(k.layers.Dense(3, name="inside"), name="each")(x)
    y = k.layers.Conv1D(2, 3, padding="causal", name="conv")(y)
    return k.Model(x, k.layers.GlobalMaxPooling1D(name="most")(y), name="distributed")


def attention_model(k):
    x = k.Input((6, 4), name="rows")
    y = k.layers.MultiHeadAttention(2, 3, name="heads")(x, x)
    return k.Model(x, k.layers.UnitNormalization(name="unit")(y), name="attention")


def augmented_model(k):
    return k.Sequential(
        [
            k.Input((8, 8, 3), name="images"),
            k.layers.RandomFlip("horizontal", seed=1, name="flip"),
            k.layers.RandomRotation(0.1, seed=1, name="turn"),
            k.layers.RandomZoom(0.1, seed=1, name="zoom"),
            k.layers.RandomContrast(0.2, seed=1, name="contrast"),
            k.layers.Rescaling(2.0, offset=-1.0, name="scale"),
            k.layers.Resizing(5, 5, name="size"),
            k.layers.Conv2DTranspose(2, 3, strides=2, name="up"),
        ],
        name="augmented",
    )


def scaled_model(k):
    x = k.Input((8, 8, 3), name="images")
    y = k.layers.Conv2D(2, 3, name="conv")(x / 127.5 - 1)
    y = 1.0 - abs(y) ** 2.0
    return k.Model(x, y[:, 1:5, ::2] * y[:, -4:, 1::2], name="scaled")


def arithmetic_model(k):
    x = k.Input((4, 6), name="rows")
    y = k.ops.concatenate([k.ops.relu(x), -x], axis=-1)
    y = k.ops.reshape(y, (-1, 6, 8))
    z = k.ops.mean(y, axis=[1], keepdims=True)
    y = k.ops.sqrt(k.ops.maximum(y - z, 0.5)) + k.ops.sum(y, axis=-1, keepdims=True)
    y = k.ops.transpose(y, (0, 2, 1))
    y = k.ops.matmul(y, k.ops.exp(-k.ops.square(x[:, :, :6]))[:, 0:1, :] * k.ops.ones((6, 6)))
    return k.Model(x, {"out": k.ops.softmax(y), "top": k.ops.max(y, axis=2)}, name="arithmetic")


def pieces_model(k):
    x = k.Input((4, 6), name="rows")
    y = k.ops.stack([x[:, -1], x[..., 1:3][:, 0:1, 0] * k.ops.ones((6,))], axis=1)
    y = k.ops.concatenate([y, k.ops.expand_dims(k.ops.take(x, [2], axis=1)[:, 0], 1)], axis=1)
    y = k.ops.where(y > 0.5, y, k.ops.flip(y, axis=2)) + k.ops.pad(y, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    classes = k.ops.argmax(k.ops.clip(y, 0.2, 0.8), axis=-1)
    return k.Model(x, [y, k.ops.one_hot(classes, 6), k.ops.cumsum(y, axis=1) // 0.3], name="pieces")


def several_model(k):
    x = k.Input((8, 8, 3), name="images")
    y = k.layers.AveragePooling2D(2, name="average")(x)
    z = k.layers.Cropping2D(1, name="cut")(k.layers.ZeroPadding2D(2, name="frame")(y))
    z = k.layers.UpSampling2D(2, interpolation="bilinear", name="up")(z)
    z = k.layers.PReLU(shared_axes=[1, 2], name="slope")(z)
    z = k.layers.GroupNormalization(groups=3, name="groups")(z)
    return k.Model(inputs=x, outputs=[k.layers.Permute((3, 1, 2), name="turned")(z), y], name="several")


MODELS = {
    function.__name__.removesuffix("_model"): function
    for function in (
        conv_model,
        residual_model,
        nested_model,
        shared_model,
        recurrent_model,
        cells_model,
        distributed_model,
        attention_model,
        augmented_model,
        scaled_model,
        arithmetic_model,
        pieces_model,
        several_model,
    )
}


def data_of(model):
    rng = np.random.RandomState(1)
    values = []
    for symbol in model.inputs:
        shape = (2, *symbol.shape[1:])
        whole = "int" in str(symbol.dtype)
        values.append(rng.randint(0, 9, shape) if whole else rng.rand(*shape).astype("float32"))
    return values if len(values) > 1 else values[0]


def predicted(model, x):
    return [np.array(value) for value in keras.tree.flatten(model.predict(x, verbose=0))]


def with_weights(model):
    rng = np.random.RandomState(2)
    model.set_weights(
        [
            (0.1 + rng.rand(*w.shape)).astype(w.dtype) if w.dtype.kind == "f" else w
            for w in model.get_weights()
        ]
    )
    return model


def alike(a, b, x, tolerance=0.0):
    for got, wanted in zip(predicted(a, x), predicted(b, x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_models_come_back(name):
    model = with_weights(MODELS[name](keras))
    x = data_of(model)
    text = model.to_json()
    for again in (
        keras.models.model_from_json(text),
        type(model).from_config(model.get_config()),
        keras.models.clone_model(model),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ):
        assert json.loads(again.to_json())["config"] == json.loads(text)["config"]
        assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
        again.set_weights(model.get_weights())
        alike(again, model, x)
        assert not set(map(id, again.weights)) & set(map(id, model.weights))


@pytest.fixture(scope="module")
def theirs():
    module = pytest.importorskip("keras")
    module.utils.set_random_seed(0)
    return module


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_keras_reads_ours(name, theirs):
    model = with_weights(MODELS[name](keras))
    read = theirs.models.model_from_json(model.to_json())
    read.set_weights(model.get_weights())
    alike(model, read, data_of(model), 2e-5)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_ours_reads_keras_s(name, theirs):
    wanted = with_weights(MODELS[name](theirs))
    model = keras.models.model_from_json(wanted.to_json())
    model.set_weights(wanted.get_weights())
    alike(model, wanted, data_of(wanted), 2e-5)


# clone_model


def test_clone_function_maps_each_layer_once():
    model = shared_model(keras)
    met = []

    def copied(layer):
        met.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=copied)
    assert met == ["shared", "difference", "score"]
    assert len(clone.weights) == len(model.weights) == 4


def test_call_function_inserts_layers():
    model = residual_model(keras)

    def called_with(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return keras.layers.Dropout(0.5)(outputs) if isinstance(layer, keras.layers.Dense) else outputs

    clone = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=called_with)
    assert [type(layer).__name__ for layer in clone.layers][-2:] == ["Dense", "Dropout"]
    assert all(a is b for a, b in zip(clone.weights, model.weights, strict=True))
    with pytest.raises(ValueError, match="call_function"):
        keras.models.clone_model(conv_model(keras), call_function=called_with)


def test_recursive_cloning_reaches_nested_layers():
    def met(recursive):
        names = []

        def copied(layer):
            names.append(layer.name)
            return type(layer).from_config(layer.get_config())

        clone = keras.models.clone_model(nested_model(keras), clone_function=copied, recursive=recursive)
        assert len(clone.weights) == 4
        return names

    assert met(False) == ["scale", "features", "head"]
    assert met(True) == ["scale", "conv", "leaky", "f", "d"]


def test_cloning_on_given_inputs():
    x = keras.Input((8, 8, 3))
    for model in (residual_model(keras), conv_model(keras), scaled_model(keras)):
        clone = keras.models.clone_model(model, input_tensors=x)
        clone.set_weights(model.get_weights())
        alike(clone, model, data_of(model))
        with pytest.raises(ValueError, match="input_tensors"):
            keras.models.clone_model(model, input_tensors=np.zeros((1, 8, 8, 3)))
    with pytest.raises(ValueError, match="keyword"):
        keras.models.clone_model(model, deep=True)


def test_a_compiled_model_s_clone_is_compiled():
    model = conv_model(keras)
    model.compile(keras.optimizers.SGD(0.25), "categorical_crossentropy", metrics=["accuracy"])
    clone = keras.models.clone_model(model)
    assert clone.optimizer is not model.optimizer and float(clone.optimizer.learning_rate) == 0.25
    assert clone.loss == "categorical_crossentropy"


def test_cloning_shares_a_function_without_a_name():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 3.0)])
    np.testing.assert_array_equal(
        predicted(keras.models.clone_model(model), np.ones((1, 2)))[0], [[3.0, 3.0]]
    )
    with pytest.raises(ValueError, match="without a name"):
        model.to_json()


def test_subclassed_models_are_cloned_by_their_configuration():
    class Twice(keras.Model):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.dense = keras.layers.Dense(units)

        def call(self, inputs):
            return 2.0 * self.dense(inputs)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    clone = keras.models.clone_model(Twice(3))
    assert isinstance(clone, Twice) and clone.units == 3
    with pytest.raises(ValueError, match="clone_function"):
        keras.models.clone_model(Twice(3), clone_function=lambda layer: layer)
