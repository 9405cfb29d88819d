"""The loop of training: data of every kind, steps of the user's own, interruptions, what is shown."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
import textwrap

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

layers = keras.layers


def data(n=24):
    rng = np.random.RandomState(0)
    return rng.standard_normal((n, 5)).astype("float32"), rng.randint(0, 3, n)


def network(optimizer="sgd", **settings):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(6, activation="tanh"), layers.Dense(3, activation="softmax")]
    )
    rng = np.random.RandomState(1)
    model.set_weights([rng.rand(*w.shape) for w in model.get_weights()])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **settings)
    return model


def same(a, b, tolerance=1e-6):
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=tolerance, atol=tolerance)


def test_no_loose_keywords():
    for method in (keras.Model.fit, keras.Model.predict, keras.Model.compile):
        kinds = [p.kind.name for p in inspect.signature(method).parameters.values()]
        assert "VAR_KEYWORD" not in kinds
    with pytest.raises(ValueError, match="Arguments not recognized: {'workers': 2}"):
        network().evaluate(*data(), workers=2)


class Pairs(keras.utils.PyDataset):
    """Batches of eight, of which one may fail."""

    def __init__(self, weighted=False, broken=None):
        super().__init__()
        self.weighted, self.broken = weighted, broken
        self.x, self.y = data()

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == self.broken:
            raise OSError("no such picture")
        part = slice(8 * index, 8 * index + 8)
        batch = self.x[part], self.y[part]
        return (*batch, np.linspace(0, 1, 24)[part]) if self.weighted else batch


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["generator", "sequence", "dataset"])
def test_batches_of_every_kind_train_as_arrays_do(kind, weighted):
    x, y = data()
    w = np.linspace(0, 1, 24) if weighted else None
    source = Pairs(weighted)
    given = {
        "generator": lambda: (source[i % 3] for i in range(6)),
        "sequence": lambda: source,
        "dataset": lambda: tf.data.Dataset.from_tensor_slices((x, y) if w is None else (x, y, w)).batch(8),
    }[kind]()
    a, b = network(), network()
    options = {"epochs": 2, "shuffle": False, "verbose": 0}
    steps = {"steps_per_epoch": 3} if kind == "generator" else {}
    first = a.fit(given, **steps, **options)
    second = b.fit(x, y, batch_size=8, sample_weight=w, **options)
    same(a, b)
    for key, values in second.history.items():
        assert first.history[key] == pytest.approx(values, rel=1e-5)


def test_a_source_that_fails_leaves_a_model_that_works(capsys):
    model = network()
    with pytest.raises(OSError, match="no such picture"):
        model.fit(Pairs(broken=1), shuffle=False)
    assert int(model.optimizer.iterations) == 1
    assert len(model.fit(Pairs(), verbose=0).epoch) == 1 and int(model.optimizer.iterations) == 4


def test_gradients_summed_by_hand():
    """As Keras's guide writes it, with plain variables beside the layers."""

    class Patient(keras.Model):
        def __init__(self, inputs, outputs):
            super().__init__(inputs, outputs)
            self.sums = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.trainable_variables]
            self.count = 0

        def train_step(self, batch):
            x, y = batch
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            for total, gradient in zip(self.sums, tape.gradient(loss, self.trainable_variables), strict=True):
                total.assign_add(gradient / 2.0)
            self.count += 1
            if self.count % 2 == 0:
                self.optimizer.apply_gradients(zip(self.sums, self.trainable_variables, strict=True))
                for total in self.sums:
                    total.assign(tf.zeros_like(total))
            return {"loss": loss}

    x, y = data()
    plain = network(keras.optimizers.SGD(0.5))
    inputs = keras.Input((5,))
    own = Patient(inputs, layers.Dense(3, activation="softmax")(layers.Dense(6, activation="tanh")(inputs)))
    own.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    for to, of in zip(own.trainable_variables, plain.get_weights(), strict=True):
        to.assign(of)
    plain.fit(x, y, batch_size=12, shuffle=False, verbose=0)
    logs = own.fit(x, y, batch_size=6, shuffle=False, verbose=0).history
    assert list(logs) == ["loss"]
    for v, w in zip(own.trainable_variables, plain.get_weights(), strict=True):
        np.testing.assert_allclose(v.numpy(), w, rtol=1e-5, atol=1e-6)


class Pair(keras.Model):
    """Generator and discriminator, each with its optimizer."""

    def __init__(self, discriminator, generator):
        super().__init__()
        self.discriminator, self.generator = discriminator, generator
        self.d_tracker = keras.metrics.Mean(name="d_loss")
        self.g_tracker = keras.metrics.Mean(name="g_loss")

    @property
    def metrics(self):
        return [self.d_tracker, self.g_tracker]

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    def train_step(self, real):
        if isinstance(real, tuple):
            real = real[0]
        size = tf.shape(real)[0]
        fake = self.generator(tf.random.normal(shape=(size, 4)))
        both = tf.concat([fake, real], axis=0)
        labels = tf.concat([tf.ones((size, 1)), tf.zeros((size, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(both))
        grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights, strict=True))
        with tf.GradientTape() as tape:
            scores = self.discriminator(self.generator(tf.random.normal(shape=(size, 4))))
            g_loss = self.loss_fn(tf.zeros((size, 1)), scores)
        grads = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights, strict=True))
        self.d_tracker.update_state(d_loss)
        self.g_tracker.update_state(g_loss)
        return {"d_loss": self.d_tracker.result(), "g_loss": self.g_tracker.result()}


def test_two_optimizers():
    discriminator = keras.Sequential([keras.Input((5,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(5)])
    gan = Pair(discriminator, generator)
    gan.compile(
        d_optimizer=keras.optimizers.Adam(0.01),
        g_optimizer=keras.optimizers.Adam(0.01),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    before = [w.copy() for w in discriminator.get_weights() + generator.get_weights()]
    history = gan.fit(data()[0], batch_size=8, epochs=2, verbose=0)
    assert list(history.history) == ["d_loss", "g_loss"] and len(history.history["d_loss"]) == 2
    after = discriminator.get_weights() + generator.get_weights()
    assert all((v != w).any() for v, w in zip(before, after, strict=True))
    assert int(gan.d_optimizer.iterations) == int(gan.g_optimizer.iterations) == 6


def test_own_losses_and_metrics():
    class Own(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            loss = tf.reduce_mean(tf.square(y_pred - y)) + sum(self.losses)
            self.last = float(loss)
            return loss

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            return super().compute_metrics(x, y, y_pred, sample_weight) | {"twice": self.last * 2}

    inputs = keras.Input((2,))
    model = Own(inputs, layers.Dense(1, use_bias=False, kernel_regularizer="l2")(inputs))
    model.set_weights([np.array([[3.0], [4.0]])])
    model.compile(keras.optimizers.SGD(0.0), metrics=["mae"])
    logs = model.fit(np.ones((4, 2)), np.full((4, 1), 5.0), verbose=0).history
    assert logs["loss"] == [pytest.approx(4.25)] and logs["twice"] == [pytest.approx(8.5)]
    assert logs["mae"] == [pytest.approx(2.0)]
    assert model.evaluate(np.ones((4, 2)), np.full((4, 1), 5.0), verbose=0, return_dict=True)["loss"] == 4.25


def test_added_losses_and_frozen_parts():
    class Pull(layers.Layer):
        def call(self, x):
            self.add_loss(0.5 * tf.reduce_mean(tf.square(x)))
            return x

    model = keras.Sequential(
        [keras.Input((3,)), layers.BatchNormalization(), layers.Dropout(0.5), Pull(), layers.Dense(2)]
    )
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    x = np.random.RandomState(0).standard_normal((64, 3)).astype("float32") + 5
    statistics = model.layers[0].get_weights()
    model.fit(x, np.zeros((64, 2)), verbose=0)
    for v, w in zip(statistics, model.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(v, w)
    target = model.predict(x, verbose=0)
    normalized = x / np.sqrt(1.001)
    assert model.evaluate(x, target, verbose=0) == pytest.approx(0.5 * np.mean(normalized**2), rel=1e-4)
    model.layers[0].trainable = True
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((64, 2)), verbose=0)
    assert (model.layers[0].get_weights()[2] != statistics[2]).all()


def test_eager_runs_are_engine_runs():
    x, y = data()
    a, b = network(), network(run_eagerly=True)
    first, second = (
        m.fit(x, y, batch_size=7, epochs=2, shuffle=False, verbose=0, class_weight={0: 2.0, 1: 0.5, 2: 1.0})
        for m in (a, b)
    )
    same(a, b, 1e-5)
    for key, values in first.history.items():
        assert second.history[key] == pytest.approx(values, rel=1e-5)


def test_evaluations_come_every_so_often():
    x, y = data()
    for freq, wanted in ((2, 2), ([1, 4], 2), (5, 0)):
        logs = network().fit(x, y, epochs=4, validation_split=0.25, validation_freq=freq, verbose=0).history
        assert len(logs.get("val_loss", [])) == wanted


def test_training_may_be_stopped_from_inside():
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = True

        def on_predict_batch_end(self, batch, logs=None):
            self.model.stop_predicting = True

    x, y = data()
    model = network()
    assert len(model.fit(x, y, batch_size=4, epochs=5, verbose=0, callbacks=[Stop()]).epoch) == 1
    assert int(model.optimizer.iterations) == 2
    whole = model.evaluate(x[:4], y[:4], verbose=0)
    assert model.evaluate(x, y, batch_size=4, verbose=0, callbacks=[Stop()]) == pytest.approx(whole)
    assert model.predict(x, batch_size=4, verbose=0, callbacks=[Stop()]).shape == (4, 3)


def run(code):
    """The output of a script in a process of its own."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with tempfile.TemporaryDirectory() as elsewhere:  # not where the sources shadow the installed package
        return subprocess.run(
            command, env=environment, cwd=elsewhere, capture_output=True, text=True, timeout=120
        )


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to itself")
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_ctrl_c_in_one_long_step(method):
    """The signal comes early in one long step; a step that was broken off has changed nothing."""
    told = run(
        f"""
        import os, signal, threading, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
        import numpy as np
        import cnnexplain
        from cnnexplain import keras
        cnnexplain.set_precision("strict")  # a step of seconds: direct convolutions
        c = dict(padding="same", activation="relu")
        model = keras.Sequential([keras.Input((64, 64, 8)),
            *(keras.layers.Conv2D(24, 3, **c) for _ in range(8)),
            keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        x, y = np.ones((256, 64, 64, 8), "float32"), np.arange(256) % 3
        model.train_on_batch(x[:2], y[:2])
        before, sent = model.get_weights(), []
        begin = time.monotonic()
        model.predict(x, batch_size=256, verbose=0)  # no method's step is shorter than this one
        wait = (time.monotonic() - begin) / 4
        def press():
            time.sleep(wait)
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=press, daemon=True).start()
        try:
            if {method!r} == "predict":
                model.predict(x, batch_size=256, verbose=0)
            else:
                model.{method}(x, y, batch_size=256, verbose=0)
            print("not interrupted")
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - sent[0])
        same = all((v == w).all() for v, w in zip(before, model.get_weights()))
        model.fit(x[:4], y[:4], batch_size=2, verbose=0)
        print(same, int(model.optimizer.iterations))
        """
    )
    first, second = told.stdout.splitlines()
    assert first.startswith("interrupted"), told
    # 0.5 s on an idle computer; sanitizers make each operation slower
    assert float(first.split()[1]) < (10.0 if "asan" in os.environ.get("LD_PRELOAD", "") else 2.0)
    assert second == "True 3"


BAR = """
    import sys
    import numpy as np
    from cnnexplain import keras
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.ones((96, 5))
    model.fit(x, np.zeros((96, 3)), epochs=2, verbose={verbose})
    model.fit(x * np.nan, np.zeros((96, 3)), verbose={verbose})
    model.fit(iter([(x[:8], np.zeros((8, 3)))] * 5), verbose={verbose})
"""


def test_a_pipe_gets_one_line_for_each_epoch():
    lines = run(BAR.format(verbose=1)).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Epoch", "3/3", "Epoch", "3/3", "3/3", "5/5"]
    assert all("\x1b" not in line and "\r" not in line for line in lines)
    assert "━━━━━━━━━━━━━━━━━━━━" in lines[1] and " - loss: " in lines[1] and " - mae: " in lines[1]
    assert "loss: nan" in lines[4]
    assert run(BAR.format(verbose=0)).stdout == ""
    lines = run(BAR.format(verbose=2)).stdout.splitlines()
    assert lines[0] == "Epoch 1/2" and lines[1].startswith("3/3 - 0s - ") and "loss: nan" in lines[4]


def test_the_bar_is_drawn_over_itself(monkeypatch, capsys):
    monkeypatch.setattr("cnnexplain.keras.utils.progbar.overwrites", lambda stream: True)
    bar = keras.utils.Progbar(20, interval=0.0, unit_name="picture")
    for step in range(1, 21):
        bar.update(step, [("loss", 1.0 / step)])
    text = capsys.readouterr().out
    assert text.count("\r") == 20 and text.count("\n") == 1 and "us/picture" in text


def test_a_bar_averages_what_is_no_running_value(capsys):
    bar = keras.utils.Progbar(4, stateful_metrics=["last"], interval=0.0)
    monkey = bar.due
    bar.due = lambda current: True
    for step, value in enumerate([1.0, 2.0, 6.0], 1):
        bar.update(step, [("mean", value), ("last", value)], finalize=False)
    assert monkey(3) is False
    assert "mean: 3.0000 - last: 6.0000" in capsys.readouterr().out.splitlines()[-1]
    with pytest.raises(ValueError, match="Only one of"):
        keras.utils.Progbar(3, stateful_metrics=[], stateless_metrics=[])


def test_the_curves_of_a_training(tmp_path):
    x, y = data()
    history = network().fit(x, y, epochs=3, validation_split=0.25, verbose=0)
    figure = history.plot()
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    training, validation = figure.axes[0].lines
    assert list(training.get_xdata()) == [1, 2, 3] and list(training.get_ydata()) == history.history["loss"]
    assert list(validation.get_ydata()) == history.history["val_loss"]
    figure.savefig(tmp_path / "curves.png")
    assert len(tf.plot.history({"loss": [1.0]}, names=["loss"]).axes) == 1
    with pytest.raises(ValueError, match="`names` must be among"):
        history.plot(names=["lost"])
