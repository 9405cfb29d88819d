"""Recurrent layers, embeddings, attention and masks: what the recorded cases do not show."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

layers = keras.layers
RNG = np.random.RandomState(0)
X = RNG.standard_normal((2, 5, 3)).astype("float32")
IDS = np.array([[1, 2, 0, 0, 0], [3, 4, 1, 2, 0]])


def words(mask_zero=True, size=4):
    ids = keras.Input((5,), dtype="int32")
    return ids, layers.Embedding(6, size, mask_zero=mask_zero)(ids)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# one step by hand


def test_lstm_step_by_hand():
    layer = layers.LSTM(1, unit_forget_bias=False)
    layer.build((None, 1, 1))
    layer.set_weights([np.array([[0.1, 0.2, 0.3, 0.4]]), np.zeros((1, 4)), np.array([0.5, 0.6, 0.7, 0.8])])
    i, g, o = sigmoid(0.1 * 2 + 0.5), np.tanh(0.3 * 2 + 0.7), sigmoid(0.4 * 2 + 0.8)
    assert float(layer(np.full((1, 1, 1), 2.0))[0, 0]) == pytest.approx(o * np.tanh(i * g), rel=1e-6)


@pytest.mark.parametrize("reset_after, shape", [(True, (2, 6)), (False, (6,))])
def test_weights_of_gru(reset_after, shape):
    layer = layers.GRU(2, reset_after=reset_after)
    layer(X)
    assert [tuple(w.shape) for w in layer.weights] == [(3, 6), (2, 6), shape]
    assert [w.path for w in layer.weights] == [
        f"{layer.name}/gru_cell/{name}" for name in ("kernel", "recurrent_kernel", "bias")
    ]


def test_forget_bias_begins_at_one():
    layer = layers.LSTM(2)
    layer(X)
    assert layer.cell.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_operation_and_cell_agree(kind):
    layer = getattr(layers, kind)(4, return_sequences=True)
    walked = layers.RNN(getattr(layers, f"{kind}Cell")(4), return_sequences=True)
    expected = layer(X, mask=np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1]], bool))
    walked(X)
    walked.set_weights(layer.get_weights())
    got = walked(X, mask=np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1]], bool))
    np.testing.assert_allclose(got.numpy(), expected.numpy(), atol=1e-6)


def test_unknown_number_of_steps():
    x = keras.Input((None, 3))
    model = keras.Model(x, layers.Bidirectional(layers.GRU(2, return_sequences=True))(x))
    assert model.output_shape == (None, None, 4)
    for steps in (1, 4):
        assert model.predict(np.zeros((2, steps, 3)), verbose=0).shape == (2, steps, 4)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_outputs_do_not_depend_on_batch_or_threads(kind):
    layer = getattr(layers, kind)(33, return_sequences=True)
    x = RNG.standard_normal((40, 70, 9)).astype("float32")
    together = layer(x).numpy()
    for part in (slice(3, 4), slice(20, 31)):
        assert np.array_equal(together[part], layer(x[part]).numpy())
    found = []
    for threads in (1, 3):
        tf.set_threads(threads)
        try:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(x) ** 2)
            found.append([g.numpy() for g in tape.gradient(loss, layer.trainable_weights)])
        finally:
            tf.set_threads(0)
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


# dropout


def test_dropout_is_for_training():
    layer = layers.LSTM(4, dropout=0.5, recurrent_dropout=0.5, seed=1)
    plain = layer(X).numpy()
    assert np.array_equal(plain, layer(X, training=False).numpy())
    assert not np.array_equal(plain, layer(X, training=True).numpy())


def test_dropout_masks_last_a_sequence():
    """With an identity kernel and no memory the outputs show the mask: the same at every step."""
    layer = layers.SimpleRNN(64, dropout=0.5, use_bias=False, return_sequences=True)
    x = np.ones((2, 6, 64))
    layer(x)
    layer.set_weights([np.eye(64), np.zeros((64, 64))])
    y = layer(x, training=True).numpy()
    assert np.array_equal(y, np.repeat(y[:, :1], 6, axis=1))
    assert sorted({round(float(v), 5) for v in y.ravel()}) == [0.0, round(float(np.tanh(2.0)), 5)]
    assert not np.array_equal(y[0], y[1])


def test_recurrent_dropout_keeps_its_mask_for_a_sequence():
    layer = layers.SimpleRNN(64, recurrent_dropout=0.5, use_bias=False, activation="linear")
    x = np.zeros((1, 4, 64))
    x[:, 0] = 1.0
    layer(x)
    layer.set_weights([np.eye(64), np.eye(64)])
    found = set(np.unique(layer(x, training=True).numpy()).tolist())
    assert found == {0.0, 8.0}  # kept three times, each time doubled, or dropped
    assert not np.array_equal(layer(x, training=True).numpy(), layer(x, training=True).numpy())


# masks


def test_padding_is_as_if_it_were_not_there():
    ids, x = words()
    model = keras.Model(ids, layers.Dense(2)(layers.LSTM(3)(layers.Dropout(0.1)(x))))
    padded = model.predict(IDS[:1], verbose=0)
    assert np.array_equal(padded, model.predict(np.array([[0, 1, 0, 2, 0]]), verbose=0))
    short = keras.Sequential([model.layers[1], *model.layers[3:]])
    np.testing.assert_allclose(short(np.array([[1, 2]])).numpy(), padded, atol=1e-6)


def test_masks_travel():
    _, x = words()
    masked = [
        layers.Dense(2)(x),
        layers.LSTM(2, return_sequences=True)(x),
        layers.TimeDistributed(layers.Dense(2))(x),
        layers.Bidirectional(layers.GRU(2, return_sequences=True))(x),
        layers.LayerNormalization()(layers.Activation("relu")(x)),
        layers.Concatenate()([x, x]),
        layers.Add()([x, x]),
        layers.Attention()([x, x]),
    ]
    assert all(y._keras_mask is not None and tuple(y._keras_mask.shape) == (None, 5) for y in masked)
    ended = [layers.LSTM(2)(x), layers.GlobalAveragePooling1D()(x), *layers.GRU(2, return_state=True)(x)]
    assert all(y._keras_mask is None for y in ended)


def test_eager_masks():
    x = layers.Embedding(6, 3, mask_zero=True)(IDS)
    assert x._keras_mask.numpy().tolist() == (IDS != 0).tolist()
    pooled = layers.GlobalAveragePooling1D()(x).numpy()
    np.testing.assert_allclose(pooled[0], x.numpy()[0, :2].mean(axis=0), rtol=1e-6)
    assert layers.Embedding(6, 3)(IDS)._keras_mask is None
    assert layers.Embedding(6, 3, mask_zero=True).compute_mask(IDS).numpy().tolist() == (IDS != 0).tolist()


def test_layer_that_ends_a_mask_warns():
    x = layers.Embedding(6, 3, mask_zero=True)(IDS)
    with pytest.warns(UserWarning, match="'flatten_it'.*does not support masking"):
        y = layers.Flatten(name="flatten_it")(x)
    assert y._keras_mask is None


def test_own_layer_sees_and_makes_masks():
    seen = []

    class Halved(layers.Layer):
        def call(self, inputs, mask=None):
            seen.append(mask)
            return inputs * 0.5

        def compute_mask(self, inputs, mask=None):
            return tf.logical_not(mask)

    x = layers.Embedding(6, 3, mask_zero=True)(IDS)
    y = Halved()(x)
    assert seen[0].numpy().tolist() == (IDS != 0).tolist()
    assert y._keras_mask.numpy().tolist() == (IDS == 0).tolist()
    ids, x = words()
    model = keras.Model(ids, layers.LSTM(2)(Halved()(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.predict(IDS, verbose=0).shape == (2, 2)


def test_masked_steps_do_not_count_in_the_loss():
    """Labels at padded steps have no influence, and the mean is over the steps that count."""
    ids, x = words()
    model = keras.Model(ids, layers.LSTM(2, return_sequences=True)(x))
    model.compile("sgd", "mse", metrics=["mae"])
    wanted = RNG.standard_normal((2, 5, 2)).astype("float32")
    garbage = np.where((IDS != 0)[..., None], wanted, 1e6).astype("float32")
    first, second = (model.evaluate(IDS, y, verbose=0) for y in (wanted, garbage))
    error = (model.predict(IDS, verbose=0) - wanted)[IDS != 0]
    np.testing.assert_allclose(first, [np.mean(error**2), np.mean(np.abs(error))], rtol=1e-5)
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_loss_of_a_model_called_eagerly_leaves_masked_steps_out():
    ids, x = words()
    model = keras.Model(ids, layers.GRU(2, return_sequences=True)(x))
    y = model(IDS)
    assert y._keras_mask.numpy().tolist() == (IDS != 0).tolist()
    wanted = RNG.standard_normal((2, 5, 2)).astype("float32")
    error = (y.numpy() - wanted)[IDS != 0]
    loss = float(keras.losses.MeanSquaredError()(wanted, y))
    assert loss == pytest.approx(np.mean(error**2), rel=1e-5)
    model.compile("sgd", "mse", run_eagerly=True)
    assert model.evaluate(IDS, wanted, verbose=0) == pytest.approx(loss, rel=1e-5)


def test_masking_marks_steps_of_one_value():
    x = np.array([[[1.0, 7.0], [7.0, 7.0], [0.0, 0.0]]])
    y = layers.Masking(mask_value=7.0)(x)
    assert y.numpy().tolist() == [[[1, 7], [0, 0], [0, 0]]]
    assert y._keras_mask.numpy().tolist() == [[True, False, True]]


def test_mask_of_another_shape():
    with pytest.raises(ValueError, match=r"`mask` of layer 'short' .*\(2, 5, 3\).*\(2, 4\)"):
        layers.LSTM(2, name="short")(X, mask=np.ones((2, 4), bool))


# stateful


def test_stateful_halves_are_the_whole():
    whole = layers.LSTM(3)
    expected = whole(X).numpy()
    halves = layers.LSTM(3, stateful=True)
    halves.build((2, 5, 3))
    halves.set_weights(whole.get_weights())
    halves(X[:, :2])
    np.testing.assert_allclose(halves(X[:, 2:]).numpy(), expected, atol=1e-6)
    halves.reset_state()
    np.testing.assert_allclose(halves(X).numpy(), expected, atol=1e-6)
    assert [w.name for w in halves.weights] == ["kernel", "recurrent_kernel", "bias"]


def test_stateful_needs_one_batch_size():
    with pytest.raises(ValueError, match="'keeps'.*fixed batch size.*None"):
        layers.GRU(2, stateful=True, name="keeps")(keras.Input((5, 3)))
    layer = layers.GRU(2, stateful=True, name="two")
    layer(X)
    with pytest.raises(ValueError, match="'two' is stateful: every batch must have 2 examples. Received: 1"):
        layer(X[:1])


# bad input


@pytest.mark.parametrize("make", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_wrong_rank(make):
    with pytest.raises(ValueError, match=r'layer "flat" .*expected ndim=3, found ndim=2.*\(2, 3\)'):
        make(4, name="flat")(X[:, 0])


@pytest.mark.parametrize(
    "states, found",
    [
        ([np.zeros((2, 3))], r"2 tensor\(s\) of shape \(2, 4\), \(2, 4\).*Received: 1"),
        ([np.zeros((2, 4)), np.zeros((2, 3))], r"Received: 2 of shape \(2, 4\), \(2, 3\)"),
        ([np.zeros((1, 4)), np.zeros((1, 4))], r"Received: 2 of shape \(1, 4\), \(1, 4\)"),
        ([np.zeros((2, 4))] * 3, "Received: 3"),
    ],
)
def test_wrong_states(states, found):
    with pytest.raises(ValueError, match=f"`initial_state` of layer 'begins' .*{found}"):
        layers.LSTM(4, name="begins")(X, initial_state=states)


def test_wrong_arguments():
    for make in (layers.LSTM, layers.GRUCell, layers.SimpleRNN):
        with pytest.raises(ValueError, match="`units` must be a positive integer. Received: units=0"):
            make(0)
    with pytest.raises(ValueError, match="`cell` must have `call`"):
        layers.RNN(3)
    with pytest.raises(ValueError, match="`merge_mode` .*'add'"):
        layers.Bidirectional(layers.LSTM(2), merge_mode="add")
    with pytest.raises(ValueError, match="`go_backwards`"):
        layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(2))
    with pytest.raises(ValueError, match="`layer` of TimeDistributed"):
        layers.TimeDistributed(3)
    with pytest.raises(ValueError, match="`input_dim` must be a positive integer"):
        layers.Embedding(0, 3)
    with pytest.raises(ValueError, match="needs a known number of steps"):
        layers.RNN(layers.LSTMCell(2))(keras.Input((None, 3)))


@pytest.mark.parametrize("index", [6, -1])
def test_integer_outside_of_the_embedding(index):
    with pytest.raises(ValueError, match=str(index)):
        layers.Embedding(6, 3)(np.array([[0, index]]))


def test_attention_inputs():
    with pytest.raises(ValueError, match="'looks' must be called on a list"):
        layers.Attention(name="looks")(X)
    with pytest.raises(ValueError, match="must be a list"):
        layers.Attention()([X, X], mask=np.ones((2, 5), bool))
    with pytest.raises(ValueError, match="value mask"):
        layers.Attention()([X, X], mask=[None, np.ones((2, 4), bool)])
    with pytest.raises(ValueError, match="divisible"):
        layers.GroupQueryAttention(2, 3, 2)
    with pytest.raises(ValueError, match="`num_heads`"):
        layers.MultiHeadAttention(0, 2)


# descriptions

GATES = {
    "units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
    "kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "kernel_constraint",
    "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "name", "trainable", "dtype",
}  # fmt: skip
WALK = {"return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask"}
HEADS = {
    "name", "trainable", "dtype", "dropout", "use_bias", "use_gate", "sliding_window", "kernel_initializer",
    "bias_initializer", "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint",
    "seed",
    "activity_regularizer",
}  # fmt: skip
KEYS = {
    "LSTM": GATES | WALK | {"recurrent_activation", "unit_forget_bias", "activity_regularizer", "seed"},
    "GRU": GATES | WALK | {"recurrent_activation", "reset_after", "activity_regularizer", "seed"},
    "SimpleRNN": GATES | WALK | {"activity_regularizer"},
    "LSTMCell": GATES | {"recurrent_activation", "unit_forget_bias", "seed"},
    "GRUCell": GATES | {"recurrent_activation", "reset_after", "seed"},
    "SimpleRNNCell": GATES | {"seed"},
    "Embedding": {
        "name", "trainable", "dtype", "input_dim", "output_dim", "embeddings_initializer",
        "embeddings_regularizer", "activity_regularizer", "embeddings_constraint", "mask_zero",
        "quantization_config",
    },
    "Attention": {"name", "trainable", "dtype", "use_scale", "score_mode", "dropout", "seed"},
    "AdditiveAttention": {"name", "trainable", "dtype", "use_scale", "dropout", "seed"},
    "MultiHeadAttention": HEADS | {"num_heads", "key_dim", "value_dim", "output_shape", "attention_axes"},
    "GroupQueryAttention": HEADS | {"head_dim", "num_query_heads", "num_key_value_heads"},
    "Masking": {"name", "trainable", "dtype", "mask_value"},
}  # fmt: skip
ARGUMENTS = {"Embedding": (5, 3), "MultiHeadAttention": (2, 3), "GroupQueryAttention": (2, 4, 2),
             "Attention": (), "AdditiveAttention": (), "Masking": ()}  # fmt: skip


@pytest.mark.parametrize("kind", KEYS)
def test_configuration(kind):
    layer = getattr(layers, kind)(*ARGUMENTS.get(kind, (4,)))
    config = layer.get_config()
    assert set(config) == KEYS[kind]
    assert type(layer).from_config(config).get_config() == config


def test_wrappers_are_described():
    for layer in (
        layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], return_sequences=True),
        layers.Bidirectional(layers.LSTM(2), merge_mode="sum"),
        layers.TimeDistributed(layers.Dense(2)),
    ):
        copy = type(layer).from_config(layer.get_config())
        assert copy.get_config() == layer.get_config()
        assert tuple(copy(X).shape) == tuple(layer(X).shape) == layer.compute_output_shape((2, 5, 3))


# models that look and read


def caption_model():
    """A convolution's map as a sequence of places; each word attends to it; the next word is predicted."""
    image, ids = keras.Input((8, 8, 1), name="image"), keras.Input((4,), dtype="int32", name="words")
    features = layers.Conv2D(6, 3, activation="relu", name="conv")(image)
    places = layers.Reshape((36, 6))(features)
    embedded = layers.Embedding(7, 6, mask_zero=True)(ids)
    start = layers.Dense(6, activation="tanh")(layers.GlobalAveragePooling2D()(features))
    read = layers.LSTM(6, return_sequences=True)(embedded, initial_state=[start, start])
    seen = layers.AdditiveAttention()([read, places])
    return keras.Model(
        [image, ids], layers.Dense(7, activation="softmax")(layers.Concatenate()([read, seen]))
    )


def question_model():
    """Visual question answering: an image and a question in, an answer out."""
    image, ids = keras.Input((8, 8, 1)), keras.Input((4,), dtype="int32")
    features = layers.Conv2D(6, 3, activation="relu", name="conv")(image)
    places = layers.Reshape((36, 6))(features)
    question = layers.Bidirectional(layers.GRU(3))(layers.Embedding(7, 4, mask_zero=True)(ids))
    asked = layers.RepeatVector(1)(question)
    looked = layers.MultiHeadAttention(2, 3, dropout=0.1)(asked, places)
    answer = layers.Dense(2, activation="softmax")(layers.Flatten()(layers.Add()([asked, looked])))
    return keras.Model([image, ids], answer)


def pictures(n=32):
    """A bright square on the left (0) or on the right (1), in noise."""
    rng = np.random.RandomState(1)
    side = rng.randint(0, 2, n)
    image = 0.1 * rng.rand(n, 8, 8, 1)
    for k in range(n):
        image[k, 2:6, 5 * side[k] : 5 * side[k] + 3] += 1.0
    return image.astype("float32"), side


@pytest.mark.parametrize("make", [caption_model, question_model])
def test_models_of_images_and_words(make):
    keras.utils.set_random_seed(0)
    model = make()
    image, side = pictures()
    ids = np.array([[1, 2, 3, 0]] * len(side))
    wanted = (
        side if make is question_model else np.stack([side + 1, 2 * side + 2, side + 4, 0 * side], axis=1)
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = model.fit([image, ids], wanted, epochs=30, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert len(model.get_config()["layers"]) == len(model.layers)
    # The gradient of one word reaches the pixels and the convolution's map.
    inner = keras.Model(model.inputs, [model.get_layer("conv").output, model.output])
    with tf.GradientTape() as tape:
        x = tf.constant(image[:1])
        tape.watch(x)
        features, answers = inner([x, ids[:1]])
        score = tf.reduce_max(answers if len(answers.shape) == 2 else answers[:, 1])
    by_pixel, by_feature = tape.gradient(score, [x, features])
    assert by_pixel.shape == (1, 8, 8, 1) and float(tf.reduce_max(tf.abs(by_pixel))) > 0
    assert by_feature.shape == (1, 6, 6, 6) and float(tf.reduce_max(tf.abs(by_feature))) > 0


def test_saved_and_cloned_models(tmp_path):
    model = caption_model()
    image, _ = pictures(2)
    ids = np.array([[1, 2, 0, 0], [3, 1, 2, 4]])
    expected = model.predict([image, ids], verbose=0)
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict([image, ids], verbose=0), expected)
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    np.testing.assert_array_equal(cloned.predict([image, ids], verbose=0), expected)
