"""Callbacks: what they print, write, stop and bring back."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from cnnexplain import keras

callbacks = keras.callbacks


def data(n=24):
    rng = np.random.RandomState(0)
    return rng.standard_normal((n, 5)).astype("float32"), rng.randint(0, 3, n)


def network(optimizer=None, dropout=0.0):
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(6, activation="tanh"),
            keras.layers.Dropout(dropout, seed=1),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    rng = np.random.RandomState(1)
    model.set_weights([rng.rand(*w.shape) for w in model.get_weights()])
    model.compile(
        keras.optimizers.SGD(0.0) if optimizer is None else optimizer,
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class Tell(callbacks.Callback):
    """Writes down every call."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def note(*args, logs=None):
            self.calls.append((name.removeprefix("on_"), *args, *([list(logs)] if logs else [])))

        return note


def test_calls_come_in_order():
    tell, (x, y) = Tell(), data()
    network().fit(x, y, batch_size=12, validation_split=0.25, verbose=0, callbacks=[tell])
    now, val = ["accuracy", "loss"], ["val_accuracy", "val_loss"]
    assert tell.calls == [
        ("train_begin",),
        ("epoch_begin", 0),
        ("train_batch_begin", 0),
        ("train_batch_end", 0, now),
        ("train_batch_begin", 1),
        ("train_batch_end", 1, now),
        ("test_begin",),
        ("test_batch_begin", 0),
        ("test_batch_end", 0, now),
        ("test_end", now),
        ("epoch_end", 0, now + val),
        ("train_end", now + val),
    ]
    assert tell.params == {"verbose": 0, "epochs": 1, "steps": 2}
    tell.calls.clear()
    tell.model.predict(x[:12], batch_size=12, verbose=0, callbacks=[tell])
    assert tell.calls == [
        ("predict_begin",),
        ("predict_batch_begin", 0),
        ("predict_batch_end", 0, ["outputs"]),
        ("predict_end",),
    ]


def test_outputs_reach_callbacks_of_predict():
    seen, (x, _) = [], data()
    note = callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: seen.append(logs["outputs"]))
    model = network()
    y = model.predict(x, batch_size=10, verbose=0, callbacks=[note])
    np.testing.assert_array_equal(np.concatenate([np.asarray(part) for part in seen]), y)


def test_stopping_is_printed_and_the_best_weights_come_back(capsys):
    class Worse(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["quality"] = -float(epoch)
            self.model.layers[-1].bias.assign(np.full(3, epoch))

    stop = callbacks.EarlyStopping("quality", mode="max", patience=2, verbose=1, restore_best_weights=True)
    model = network()
    history = model.fit(*data(), epochs=9, verbose=0, callbacks=[Worse(), stop])
    assert history.history["quality"] == [0.0, -1.0, -2.0]
    assert model.layers[-1].bias.numpy().tolist() == [0, 0, 0]
    assert capsys.readouterr().out == (
        "Epoch 3: early stopping\nRestoring model weights from the end of the best epoch: 1.\n"
    )


@pytest.mark.parametrize("options, epochs", [({}, 3), ({"baseline": -1.0}, 3), ({"start_from_epoch": 3}, 6)])
def test_stopping_waits(options, epochs):
    stop = callbacks.EarlyStopping("accuracy", patience=2, **options)
    assert len(network().fit(*data(), epochs=20, verbose=0, callbacks=[stop]).epoch) == epochs


def test_unknown_quantities_are_told():
    with pytest.warns(UserWarning, match="conditioned on metric `val_loss`.*accuracy,loss"):
        network().fit(*data(), verbose=0, callbacks=[callbacks.EarlyStopping()])
    with pytest.warns(UserWarning, match="reduction is conditioned on metric `nothing`"):
        network().fit(*data(), verbose=0, callbacks=[callbacks.ReduceLROnPlateau("nothing")])
    with pytest.warns(UserWarning, match="mode 'best' is unknown"):
        callbacks.EarlyStopping(mode="best")

    class Odd(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["odd"] = 1.0

    with pytest.raises(ValueError, match="minimized or maximized"):
        network().fit(*data(), epochs=2, verbose=0, callbacks=[Odd(), callbacks.EarlyStopping("odd")])


def test_rates_fall_on_a_plateau(capsys):
    reduce = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_lr=0.125, verbose=1)
    model = network(keras.optimizers.SGD(0.5))
    stay = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(loss=1.0))
    history = model.fit(*data(), epochs=5, verbose=0, callbacks=[stay, reduce])
    assert history.history["learning_rate"] == [0.5, 0.5, 0.25, 0.125, 0.125]
    assert capsys.readouterr().out == (
        "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.25.\n"
        "\nEpoch 3: ReduceLROnPlateau reducing learning rate to 0.125.\n"
    )
    with pytest.raises(ValueError, match="factor >= 1.0"):
        callbacks.ReduceLROnPlateau(factor=1.0)


@pytest.mark.parametrize("schedule", [lambda epoch: 0.5 / (epoch + 1), lambda epoch, rate: 0.5 / (epoch + 1)])
def test_rates_by_epoch(schedule, capsys):
    rates = callbacks.LearningRateScheduler(schedule, verbose=1)
    history = network().fit(*data(), epochs=2, verbose=0, callbacks=[rates])
    assert history.history["learning_rate"] == [0.5, 0.25]
    assert capsys.readouterr().out == (
        "\nEpoch 1: LearningRateScheduler setting learning rate to 0.5.\n"
        "\nEpoch 2: LearningRateScheduler setting learning rate to 0.25.\n"
    )
    with pytest.raises(ValueError, match="should be a float. Got: 1"):
        network().fit(*data(), verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch: 1)])


def test_a_loss_that_is_no_number_ends_training(capsys):
    x, y = data()
    model = network()
    history = model.fit(
        x * np.nan, y, epochs=3, batch_size=8, verbose=0, callbacks=[callbacks.TerminateOnNaN()]
    )
    assert (
        len(history.epoch) == 1 and capsys.readouterr().out == "Batch 0: Invalid loss, terminating training\n"
    )
    with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 0. Loss value: nan"):
        model.fit(x * np.nan, y, verbose=0, callbacks=[callbacks.TerminateOnNaN(raise_error=True)])


def test_lines_of_values(tmp_path):
    path, (x, y) = tmp_path / "log.csv", data()
    model = network(keras.optimizers.SGD(0.1))
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[callbacks.CSVLogger(path)])
    rows = list(csv.reader(path.read_text().splitlines()))
    assert rows[0] == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [float(row[2]) for row in rows[1:]] == history.history["loss"] and rows[1][3:] == ["NA", "NA"]
    again = callbacks.CSVLogger(path, separator=";", append=True)
    model.fit(x, y, epochs=3, initial_epoch=2, verbose=0, callbacks=[again])
    lines = path.read_text().splitlines()
    assert len(lines) == 4 and lines[3].startswith("2;")
    model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[callbacks.CSVLogger(path)])
    assert len(path.read_text().splitlines()) == 2


def test_checkpoints_of_improvements(tmp_path, capsys):
    values = iter([1.0, 2.0, 0.5])
    give = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(quality=next(values)))
    name = str(tmp_path / "new" / "net-{epoch:02d}-{quality:.1f}.npz")
    keep = callbacks.ModelCheckpoint(name, "quality", verbose=1, save_best_only=True, mode="min")
    model = network()
    model.fit(*data(), epochs=3, verbose=0, callbacks=[give, keep])
    first, third = str(tmp_path / "new" / "net-01-1.0.npz"), str(tmp_path / "new" / "net-03-0.5.npz")
    assert sorted(map(str, (tmp_path / "new").iterdir())) == [first, third]
    assert capsys.readouterr().out == (
        f"\nEpoch 1: quality improved from None to 1.00000, saving model to {first}\n"
        f"\nEpoch 1: finished saving model to {first}\n"
        "\nEpoch 2: quality did not improve from 1.00000\n"
        f"\nEpoch 3: quality improved from 1.00000 to 0.50000, saving model to {third}\n"
        f"\nEpoch 3: finished saving model to {third}\n"
    )
    x = data()[0]
    loaded = keras.models.load_model(third)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_checkpoints_by_batches(tmp_path):
    keep = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.npz", save_freq=4)
    network().fit(*data(), batch_size=8, epochs=3, verbose=0, callbacks=[keep])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2-1.npz", "3-2.npz"]
    with pytest.raises(ValueError, match="Unrecognized save_freq: 0"):
        callbacks.ModelCheckpoint("a.npz", save_freq=0)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OSError, match="non-directory"):
        network().fit(*data(), verbose=0, callbacks=[callbacks.ModelCheckpoint(tmp_path / "folder.npz")])
    with pytest.raises(KeyError, match="Failed to format this callback filepath"):
        network().fit(*data(), verbose=0, callbacks=[callbacks.ModelCheckpoint(tmp_path / "{nothing}.npz")])


class Break(callbacks.Callback):
    def __init__(self, epoch, batch=0):
        super().__init__()
        self.at = [epoch, batch]
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if [self.epoch, batch] == self.at:
            raise RuntimeError("the power failed")


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "nadam"])
def test_a_broken_run_goes_on_as_if_nothing_had_happened(tmp_path, optimizer, double):
    """Shuffled, with dropout and an optimizer that has states: the weights are equal bit for bit."""
    x, y = data()

    def run(*more, model):
        return model.fit(x, y, batch_size=8, epochs=5, verbose=0, callbacks=list(more))

    keras.utils.set_random_seed(4)
    whole = network(optimizer, dropout=0.4)
    run(model=whole)
    keras.utils.set_random_seed(4)
    broken = network(optimizer, dropout=0.4)
    folder = tmp_path / "backup"
    with pytest.raises(RuntimeError, match="power"):
        run(callbacks.BackupAndRestore(folder, double_checkpoint=double), Break(3, 1), model=broken)
    keras.utils.set_random_seed(99)
    again = network(optimizer, dropout=0.4)
    history = run(callbacks.BackupAndRestore(folder, double_checkpoint=double), model=again)
    assert history.epoch == [3, 4]
    for v, w in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(v, w)
    assert int(again.optimizer.iterations) == int(whole.optimizer.iterations) == 15
    assert not folder.exists()
    assert run(model=again).epoch == [0, 1, 2, 3, 4]


def test_damaged_backups(tmp_path):
    x, y = data()
    options = {"double_checkpoint": True, "delete_checkpoint": False}
    keep = callbacks.BackupAndRestore(tmp_path, **options)
    network("adam").fit(x, y, epochs=3, verbose=0, callbacks=[keep])
    (tmp_path / "latest.npz").write_bytes(b"PK half a file")
    again = callbacks.BackupAndRestore(tmp_path, **options)
    assert network("adam").fit(x, y, epochs=3, verbose=0, callbacks=[again]).epoch == [2]
    (tmp_path / "latest.npz.bkp").unlink()
    (tmp_path / "latest.npz").write_bytes(b"PK half a file")
    with pytest.raises(OSError, match="damaged or of another model"):
        network("adam").fit(x, y, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    (tmp_path / "latest.npz").unlink()
    with pytest.raises(ValueError, match="must be built before"):
        model = keras.Sequential([keras.layers.Dense(3)])
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(iter([(x, y)]), verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    with pytest.raises(ValueError, match="Empty `backup_dir`"):
        callbacks.BackupAndRestore("")


def test_backups_by_batches(tmp_path):
    x, y = data()
    model = network("adam")
    with pytest.raises(RuntimeError, match="power"):
        model.fit(
            x, y, batch_size=6, epochs=3, verbose=0,
            callbacks=[callbacks.BackupAndRestore(tmp_path, save_freq=1), Break(1, 2)],
        )  # fmt: skip
    again = network("adam")
    history = again.fit(
        x, y, batch_size=6, epochs=3, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path, save_freq=1)]
    )
    assert history.epoch == [1, 2] and int(again.optimizer.iterations) == 7 + 8


def test_averages_need_an_optimizer_that_keeps_them():
    with pytest.raises(ValueError, match="`use_ema=True`"):
        network().evaluate(*data(), verbose=0, callbacks=[callbacks.SwapEMAWeights()])


def test_averages_are_used_by_evaluate_and_predict_alone():
    x, y = data()
    model = network(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5))
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    own, swap = model.get_weights(), callbacks.SwapEMAWeights()
    averages = [np.array(v) for v in model.optimizer._model_variables_moving_average]
    with_averages = model.predict(x, verbose=0, callbacks=[swap])
    for v, w in zip(own, model.get_weights(), strict=True):
        np.testing.assert_array_equal(v, w)
    for variable, average in zip(model.trainable_weights, averages, strict=True):
        variable.assign(average)
    np.testing.assert_array_equal(model.predict(x, verbose=0), with_averages)


def test_a_list_of_callbacks_by_hand(capsys):
    notes, (x, y) = [], data()
    model = network()
    note = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: notes.append((epoch, logs)))
    several = callbacks.CallbackList([note], add_history=True, model=model, epochs=1, steps=1, verbose=0)
    several.on_train_begin()
    several.on_epoch_begin(0)
    several.on_train_batch_begin(0)
    several.on_train_batch_end(0, model.train_on_batch(x, y, return_dict=True))
    several.on_epoch_end(0, {"loss": 1.0})
    several.on_train_end()
    assert notes == [(0, {"loss": 1.0})] and model.history.history == {"loss": [1.0]}
    with pytest.raises(ValueError, match="must hold Callback objects"):
        model.fit(x, y, verbose=0, callbacks=["early"])


def test_what_is_left_out_says_what_to_use():
    with pytest.raises(AttributeError, match="no attribute 'TensorBoard'; .*CSVLogger"):
        callbacks.TensorBoard  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'TensorBord'$"):
        callbacks.TensorBord  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'legacy'; .*Keras 3"):
        keras.optimizers.legacy  # noqa: B018
