"""compile, fit, evaluate, predict, callbacks; losses and metrics as users call them."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import _core, keras
from cnnexplain.keras import Model, Sequential, layers


def classifier(classes=4, dropout=0.0):
    return Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )


def test_fit_learns_and_keeps_its_history(pictures, capsys):
    model = classifier()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(*pictures, epochs=6, validation_split=0.2)
    assert set(history.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert all(len(values) == 6 for values in history.history.values()) and history.epoch == list(range(6))
    assert history.history["accuracy"][-1] > 0.9 > 0.5 > history.history["loss"][-1]
    assert model.history is history
    text = capsys.readouterr().out
    assert "Epoch 6/6" in text and "4/4 ━━━━━━━━━━━━━━━━━━━━" in text and "val_accuracy: " in text
    loss, accuracy = model.evaluate(*pictures, verbose=0)
    assert accuracy > 0.9 and loss > 0
    assert set(model.evaluate(*pictures, verbose=0, return_dict=True)) == {"loss", "accuracy"}
    predicted = model.predict(pictures[0], verbose=0).argmax(axis=1)
    assert (predicted == pictures[1]).mean() == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_seed_repeats_a_run_bit_for_bit(pictures, threads):
    def run():
        keras.utils.set_random_seed(3)
        model = classifier(dropout=0.3)
        model.compile("sgd", "sparse_categorical_crossentropy")
        history = model.fit(*pictures, epochs=2, verbose=0)
        return history.history["loss"], model.get_weights()

    before = _core.get_threads()
    first = run()
    _core.set_threads(threads)
    try:
        second = run()
    finally:
        _core.set_threads(before)
    assert first[0] == second[0]
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_dropout_masks_differ_from_step_to_step():
    model = Sequential([keras.Input((1000,)), layers.Dropout(0.5)])
    x = np.ones((1, 1000), "float32")
    a, b = np.array(model(x, training=True)), np.array(model(x, training=True))
    assert set(np.unique(a)) == {0.0, 2.0} and (a != b).any()
    assert abs((a == 0).mean() - 0.5) < 0.1
    np.testing.assert_array_equal(np.array(model(x)), x)


@pytest.mark.parametrize("one_hot", [False, True])
def test_accuracy_is_chosen_by_shapes(pictures, one_hot):
    x, y = pictures
    model = classifier()
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    model.compile("sgd", loss, metrics=["acc"])
    y = keras.utils.to_categorical(y, 4) if one_hot else y
    model.fit(x, y, verbose=0)
    value = model.evaluate(x, y, verbose=0)[1]
    labels = y.argmax(axis=1) if one_hot else y
    assert value == pytest.approx((model.predict(x, verbose=0).argmax(axis=1) == labels).mean(), abs=1e-6)


def test_binary_classification():
    rng = np.random.RandomState(0)
    x = rng.randn(200, 3).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    model = Sequential([keras.Input((3,)), layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y.reshape(-1, 1), epochs=10, verbose=0)
    assert history.history["accuracy"][-1] > 0.9


def test_two_outputs_with_their_own_losses():
    x = keras.Input((4,))
    h = layers.Dense(8, activation="relu")(x)
    model = Model(x, [layers.Dense(3, activation="softmax", name="kind")(h), layers.Dense(1, name="size")(h)])
    model.compile(
        "adam",
        loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"size": 0.5},
        metrics={"kind": "accuracy"},
    )
    rng = np.random.RandomState(0)
    data = rng.rand(16, 4)
    targets = {"kind": rng.randint(0, 3, 16), "size": rng.rand(16, 1)}
    logs = model.fit(data, targets, verbose=0).history
    assert set(logs) == {"loss", "kind_loss", "size_loss", "kind_accuracy"}
    assert logs["loss"][0] == pytest.approx(logs["kind_loss"][0] + 0.5 * logs["size_loss"][0], rel=1e-5)
    assert len(model.evaluate(data, [targets["kind"], targets["size"]], verbose=0)) == 4


def test_generators_datasets_and_sequences(pictures):
    x, y = pictures
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])

    def endless():
        while True:
            yield x[:16], y[:16]

    assert len(model.fit(endless(), steps_per_epoch=3, epochs=2, verbose=0).history["loss"]) == 2
    assert int(model.optimizer.iterations) == 6

    class Pieces(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return x[index * 8 : index * 8 + 8], y[index * 8 : index * 8 + 8]

    model.fit(Pieces(), epochs=1, verbose=0)
    assert int(model.optimizer.iterations) == 10
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)
    model.fit(dataset, epochs=1, verbose=0, validation_data=dataset)
    assert int(model.optimizer.iterations) == 15
    assert model.predict(dataset, verbose=0).shape == (160, 4)


def test_sample_and_class_weights(pictures):
    x, y = pictures
    keras.utils.set_random_seed(1)
    a = classifier()
    a.compile("sgd", "sparse_categorical_crossentropy")
    b = keras.models.clone_model(a)
    b.set_weights(a.get_weights())
    b.compile("sgd", "sparse_categorical_crossentropy")
    weights = {0: 1.0, 1: 2.0, 2: 0.0, 3: 0.5}
    a.fit(x, y, class_weight=weights, shuffle=False, verbose=0)
    b.fit(x, y, sample_weight=np.array([weights[label] for label in y]), shuffle=False, verbose=0)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(v, w)


def test_custom_losses_metrics_and_training_steps(pictures):
    x, y = pictures

    def focal(y_true, y_pred):
        y_true = tf.cast(tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), 4), tf.float32)
        p = tf.reduce_sum(y_true * y_pred, axis=-1)
        return -tf.square(1.0 - p) * tf.math.log(p + 1e-7)

    class Hits(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="hits")
            self.hits = self.add_weight(name="hits", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            same = np.asarray(y_pred).argmax(axis=-1) == np.asarray(y_true).reshape(-1)
            self.hits.assign_add(float(same.sum()))

        def result(self):
            return self.hits

    model = classifier()
    model.compile("adam", focal, metrics=[Hits()])
    logs = model.fit(x, y, epochs=3, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0] and 0 < logs["hits"][-1] <= 160

    class Own(Model):
        def train_step(self, data):
            pixels, labels = data
            with tf.GradientTape() as tape:
                predictions = self(pixels, training=True)
                loss = self.compute_loss(y=labels, y_pred=predictions)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(labels, predictions)
            return {m.name: m.result() for m in self.metrics}

    inputs = keras.Input((12, 12, 1))
    own = Own(inputs, layers.Dense(4, activation="softmax")(layers.Flatten()(inputs)))
    own.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    logs = own.fit(x, y, epochs=3, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0] and "accuracy" in logs


def test_subclassed_models_train_their_plain_variables(pictures):
    class Net(Model):
        def __init__(self):
            super().__init__()
            self.flat = layers.Flatten()
            self.w = tf.Variable(np.zeros((144, 4), "float32"))

        def call(self, x):
            return tf.matmul(self.flat(x), self.w)

    model = Net()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    logs = model.fit(*pictures, epochs=5, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0] and np.abs(model.w.numpy()).max() > 0


def test_regularizers_and_added_losses_enter_the_loss():
    model = Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False, kernel_regularizer="l2")])
    model.set_weights([np.array([[3.0], [4.0]])])
    model.compile("sgd", "mse")
    assert model.evaluate(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0) == pytest.approx(0.25)
    assert float(model.losses[0]) == pytest.approx(0.25)
    model(np.zeros((4, 2)))
    model = Sequential([keras.Input((2,)), layers.ActivityRegularization(l1=0.5)])
    model(np.ones((4, 2)))
    assert float(model.losses[0]) == pytest.approx(1.0)
    model.compile("sgd", "mse")
    assert model.evaluate(np.ones((4, 2)), np.ones((4, 2)), verbose=0) == pytest.approx(1.0)


def test_constraints_hold_after_every_step():
    model = Sequential([keras.Input((3,)), layers.Dense(2, kernel_constraint="non_neg")])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.fit(np.ones((8, 3)), -np.ones((8, 2)) * 5, verbose=0)
    assert model.get_weights()[0].min() >= 0


def test_early_stopping_schedules_and_lambda_callbacks(pictures):
    model = classifier()
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=100, restore_best_weights=True)
    seen = []
    rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    history = model.fit(*pictures, epochs=10, verbose=0, callbacks=[stop, rate, note])
    assert len(history.epoch) == 2 and len(seen) == 2
    assert seen[1]["learning_rate"] == pytest.approx(0.05)
    model.optimizer.learning_rate = 0.2
    assert float(model.optimizer.learning_rate) == pytest.approx(0.2)
    keras.backend.set_value(model.optimizer.learning_rate, 0.3)
    assert float(model.optimizer.lr) == pytest.approx(0.3)


def test_batches_one_by_one(pictures):
    x, y = pictures
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.train_on_batch(x[:8], y[:8])
    assert loss > 0 and 0 <= accuracy <= 1
    assert set(model.test_on_batch(x[:8], y[:8], return_dict=True)) == {"loss", "accuracy"}
    assert model.predict_on_batch(x[:3]).shape == (3, 4)


def test_ctrl_c_leaves_the_model_whole(pictures):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(KeyboardInterrupt):
        model.fit(*pictures, verbose=0, callbacks=[Stop()])
    assert int(model.optimizer.iterations) == 1
    model.fit(*pictures, verbose=0)
    assert int(model.optimizer.iterations) == 6


def test_freezing_between_fits(pictures):
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(*pictures, verbose=0)
    model.layers[0].trainable = False
    frozen = model.layers[0].get_weights()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(*pictures, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], frozen[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(3)}, "cardinality"),
        ({"batch_size": 0}, "batch_size"),
        ({"validation_split": 1.5}, "validation_split"),
        ({"x": np.zeros((4, 5, 5, 1)), "y": np.zeros(4)}, "expected shape"),
        ({"y": np.full(160, 7)}, "label"),
        ({"y": np.zeros((160, 4))}, "categorical_crossentropy"),
        ({"verbose": 3}, "verbose"),
    ],
)
def test_bad_data_is_named(pictures, change, message):
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    arguments = {"x": pictures[0], "y": pictures[1], "verbose": 0, **change}
    with pytest.raises(ValueError, match=message):
        model.fit(**arguments)


def test_bad_compile_arguments_are_named():
    model = classifier()
    for arguments, message in (
        ({"optimizer": "adamm"}, "optimizer"),
        ({"loss": "crossentropi"}, "loss"),
        ({"metrics": "accuracy"}, "metrics"),
    ):
        with pytest.raises(ValueError, match=message):
            model.compile(**arguments)
    with pytest.raises(ValueError, match=r"compile\(\)"):
        classifier().fit(np.zeros((1, 12, 12, 1)), np.zeros(1))


def test_losses_use_the_logits_behind_softmax():
    scores = tf.constant([[200.0, 0.0, -200.0]])
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = keras.losses.categorical_crossentropy([[0.0, 0.0, 1.0]], keras.activations.softmax(scores))
    assert float(loss[0]) == pytest.approx(400.0)
    np.testing.assert_allclose(tape.gradient(loss, scores).numpy(), [[1.0, 0.0, -1.0]], atol=1e-6)
    clipped = keras.losses.categorical_crossentropy([[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    assert float(clipped[0]) == pytest.approx(-np.log(1e-7), rel=1e-4)


def test_loss_shapes_and_labels_are_checked():
    with pytest.raises(ValueError, match="same shape"):
        keras.losses.categorical_crossentropy(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="One-hot labels"):
        keras.losses.sparse_categorical_crossentropy(np.zeros((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="5"):
        keras.losses.sparse_categorical_crossentropy([5], np.ones((1, 3)))


def test_metrics_count_over_batches():
    m = keras.metrics.SparseCategoricalAccuracy()
    m.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    m.update_state([1], [[0.1, 0.9]])
    assert float(m.result()) == pytest.approx(2 / 3)
    m.reset_state()
    assert float(m.result()) == 0.0
    p = keras.metrics.Precision()
    p.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    assert float(p.result()) == pytest.approx(2 / 3)
    top = keras.metrics.SparseTopKCategoricalAccuracy(k=2)
    top.update_state([2, 1], [[0.1, 0.2, 0.7], [0.5, 0.1, 0.4]])
    assert float(top.result()) == 0.5
    mean = keras.metrics.Mean()
    mean.update_state([1.0, 3.0], sample_weight=[1.0, 3.0])
    assert float(mean.result()) == 2.5


def test_compiling_again_forgets_the_loss():
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.compile("sgd")
    with pytest.raises(ValueError, match="No loss"):
        model.fit(np.zeros((4, 12, 12, 1)), np.zeros(4), verbose=0)


def test_a_shared_batch_normalization_moves_once_per_call():
    first, second = keras.Input((3,)), keras.Input((3,))
    norm = keras.layers.BatchNormalization(momentum=0.9)
    model = keras.Model([first, second], keras.layers.Add()([norm(first), norm(second)]))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 2, (8, 3)).astype("float32"), rng.normal(-3, 1, (8, 3)).astype("float32")
    model.fit([a, b], np.zeros((8, 3)), batch_size=8, verbose=0)
    mean = (0.1 * a.mean(0)) * 0.9 + 0.1 * b.mean(0)
    variance = (0.9 + 0.1 * a.var(0)) * 0.9 + 0.1 * b.var(0)
    np.testing.assert_allclose(norm.moving_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=1e-5)


def one_unit(loss, **settings):
    model = Sequential([keras.Input((3,)), layers.Dense(1, activation="sigmoid", kernel_initializer="ones")])
    model.compile("sgd", loss, **settings)
    return model


@pytest.mark.parametrize("loss", ["binary_crossentropy", "binary_focal_crossentropy", "mse", "hinge"])
def test_flat_labels_meet_one_unit(loss):
    x = np.linspace(-2, 2, 30, dtype=np.float32).reshape(10, 3)
    y = np.arange(10) % 2
    flat = one_unit(loss, metrics=["accuracy"]).fit(x, y, epochs=2, shuffle=False, verbose=0)
    column = one_unit(loss, metrics=["accuracy"]).fit(x, y[:, None], epochs=2, shuffle=False, verbose=0)
    assert flat.history == column.history


def test_labels_of_a_map_without_channels():
    model = Sequential([keras.Input((4, 4, 1)), layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    x, y = np.ones((2, 4, 4, 1)), np.ones((2, 4, 4))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y[..., None], verbose=0))


def test_results_by_name_are_sorted(pictures):
    x, y = pictures
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert list(model.evaluate(x, y, verbose=0, return_dict=True)) == ["accuracy", "loss"]
    assert list(model.test_on_batch(x, y, return_dict=True)) == ["accuracy", "loss"]


def test_a_batch_alone_is_measured_alone():
    model = one_unit("mse")
    x = np.zeros((4, 3))
    assert model.test_on_batch(x, np.full((4, 1), 0.5)) == 0.0
    assert model.test_on_batch(x, np.full((4, 1), 1.5)) == pytest.approx(1.0)


def test_fewer_steps_than_batches_go_on_in_the_next_epoch():
    model = one_unit(keras.losses.MeanSquaredError())
    model.set_weights([np.zeros((3, 1)), np.zeros(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x, y = np.zeros((50, 3)), np.arange(50.0) + 0.5
    fit = {"batch_size": 16, "shuffle": False, "verbose": 0}
    two = model.fit(x, y, epochs=3, steps_per_epoch=2, **fit).history["loss"]
    assert two == pytest.approx(
        [np.mean(part**2) for part in (np.arange(32), np.arange(32, 50), np.arange(32))]
    )
    three = model.fit(x, y, epochs=4, steps_per_epoch=3, **fit).history["loss"]
    assert three == pytest.approx([np.mean(np.arange(a, b) ** 2) for a, b in [(0, 48), (48, 50)] * 2])


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"y": None}, ValueError, "`y` must hold the labels"),
        ({"x": None}, ValueError, "`x` must hold data"),
        ({"epochs": 1.5}, ValueError, "`epochs` must be a non-negative integer. Received: epochs=1.5"),
        ({"epochs": -1}, ValueError, "`epochs` must be a non-negative integer. Received: epochs=-1"),
        ({"class_weight": [1, 2]}, TypeError, "`class_weight` must be a dict"),
        ({"validation_data": (np.zeros((2, 12, 12, 1)),)}, ValueError, "`validation_data` must be"),
        ({"y": np.full(40, 0.5)}, ValueError, "whole and finite. Received: label 0.5"),
        ({"y": np.full(40, np.nan)}, ValueError, "whole and finite. Received: label nan"),
        ({"y": np.full(40, np.inf)}, ValueError, "whole and finite. Received: label inf"),
    ],
)
def test_fit_names_what_is_wrong(arguments, error, message):
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    given = {"x": np.zeros((40, 12, 12, 1)), "y": np.zeros(40), "verbose": 0, **arguments}
    with pytest.raises(error, match=message):
        model.fit(**given)


def test_labels_that_are_no_classes_outside_of_fit():
    with pytest.raises(ValueError, match="whole and finite. Received: label nan at position 1"):
        keras.losses.sparse_categorical_crossentropy([0.0, np.nan], [[0.5, 0.5], [0.5, 0.5]])


def test_settings_of_the_wrong_kind_are_named():
    model = one_unit("mse")
    with pytest.raises(TypeError, match="`name` must be a string.*3.5"):
        model.get_layer(3.5)
    with pytest.raises(TypeError, match="`weights` must be a list of arrays. Received: weights=None"):
        model.set_weights(None)
    with pytest.raises(TypeError, match="`weights` must hold arrays of numbers.*'kernel'"):
        model.set_weights([np.full((3, 1), "a"), np.zeros(1)])
    for rate in ("fast", None):
        with pytest.raises(ValueError, match="`learning_rate` must be a non-negative number"):
            keras.optimizers.Adam(rate)


def test_gradients_without_their_variables():
    with pytest.raises(TypeError, match="`grads_and_vars` must hold pairs.*Received: grads_and_vars=3"):
        keras.optimizers.SGD().apply_gradients(3)
