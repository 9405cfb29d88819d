"""Round trips of model files with Keras itself, both ways."""

from __future__ import annotations

import importlib.util
import os

import model_files
import numpy as np
import pytest

from cnnexplain import keras

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
NAMES = model_files.VERSIONS["keras-3.15.zip"]["models"]
FORMS = [*((name, True) for name in NAMES), ("nested", False)]


@pytest.fixture(scope="module")
def maker():
    pytest.importorskip("tensorflow")
    path = model_files.FILES.parent / "make_keras_files.py"
    spec = importlib.util.spec_from_file_location("make_keras_files", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.NEW
    yield module
    module._saving.get_custom_objects().clear()


def made(maker, name):
    """Keras's model, trained one step."""
    maker.keras.backend.clear_session()
    maker.keras.utils.set_random_seed(0)
    model = maker.MODELS[name]()
    maker.random_weights(model)
    maker.train(model)
    return model


def outputs(model, xs):
    y = model(xs if len(xs) > 1 else xs[0], training=False)
    return [np.asarray(o, np.float32) for o in (y if isinstance(y, (list, tuple)) else [y])]


def assert_close(found, want):
    assert len(found) == len(want)
    for a, b in zip(found, want, strict=True):
        assert np.abs(a - b).max() <= 2e-5 * max(np.abs(b).max(), 1e-6)


@pytest.mark.parametrize("name, zipped", FORMS)
def test_keras_writes(maker, name, zipped, tmp_path):
    theirs = made(maker, name)
    path = tmp_path / ("a.keras" if zipped else "a")
    theirs.save(path, zipped=zipped)
    ours = keras.models.load_model(path, custom_objects={"Scale": model_files.Scale})
    xs = maker.arrays(theirs.inputs, 3, 7)
    # A model of small floats computes in them there, in float32 here.
    if name not in ("bfloat16", "float16"):
        assert_close(outputs(ours, xs), outputs(theirs, xs))
    assert ours.count_params() == theirs.count_params()
    theirs.save_weights(tmp_path / "a.weights.h5")
    before = [np.asarray(v) for v in ours.weights]
    for variable in ours.weights:
        variable.assign(np.zeros(variable.shape, variable.dtype.name))
    ours.load_weights(tmp_path / "a.weights.h5")
    for a, b in zip(before, ours.weights, strict=True):
        np.testing.assert_array_equal(a, np.asarray(b))


@pytest.mark.parametrize("name, zipped", FORMS)
def test_keras_reads(maker, name, zipped, tmp_path):
    ours = keras.models.load_model(
        model_files.folder("keras-3.15.zip") / f"{name}.keras", custom_objects={"Scale": model_files.Scale}
    )
    ours.class_names = ("one", "two")
    xs = model_files.recorded("keras-3.15.zip", name)["x"]
    if ours.optimizer is not None:  # one more step here
        rng = np.random.RandomState(0)
        shapes = [y.shape for y in outputs(ours, xs)]
        targets = [rng.uniform(0, 1, shape).astype(np.float32).round() for shape in shapes]
        if name == "sequential":
            targets = [np.array([0, 1, 2])]
        ours.fit(xs if len(xs) > 1 else xs[0], targets if len(targets) > 1 else targets[0], verbose=0)
    path = tmp_path / ("a.keras" if zipped else "a")
    ours.save(path, zipped=zipped)
    theirs = maker.keras.models.load_model(path, custom_objects={"Scale": maker.Scale})
    assert_close(outputs(theirs, xs), outputs(ours, xs))
    if ours.optimizer is not None:
        assert int(theirs.optimizer.iterations) == 2
        for a, b in zip(theirs.optimizer.variables, ours.optimizer.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    ours.save_weights(tmp_path / "a.weights.h5")
    for variable in theirs.weights:
        variable.assign(np.zeros(variable.shape, variable.dtype))
    theirs.load_weights(tmp_path / "a.weights.h5")
    assert_close(outputs(theirs, xs), outputs(ours, xs))


# Layers with layers inside, whose places in the file are the names of attributes


def block(k):
    class Block(k.layers.Layer):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.several = [k.layers.Dense(units), k.layers.Dense(units)]
            self._hidden = k.layers.Dense(units)
            self.table = {"a": k.layers.Dense(units), "b": k.layers.Dense(units)}
            self.nested = [[k.layers.Dense(units)], [k.layers.Dense(units)]]

        def build(self, shape):
            self.weight = self.add_weight(shape=(self.units,), name="weight")
            super().build(shape)

        def call(self, x):
            inner = [layer for part in self.nested for layer in part]
            for layer in [*self.several, self._hidden, *self.table.values(), *inner]:
                x = layer(x)
            return x * self.weight

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Block


def net(k):
    cls = block(k)

    class Net(k.Model):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.zeta = k.layers.Dense(units)  # behind "layers" in the alphabet
            self.alpha = k.layers.Dense(units)
            self.normalization = k.layers.BatchNormalization()
            self.block = cls(units)
            self.head = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])

        def call(self, x):
            return self.head(self.block(self.normalization(self.alpha(self.zeta(x)))))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Net


def attention(k, cls, *arguments):
    x = k.Input((5, 8))
    return k.Model(x, k.layers.LayerNormalization()(cls(*arguments)(x, x)))


def stack(k, shape, *parts):
    return k.Sequential([k.Input(shape), *parts])


WITHIN = {
    "attention": ((5, 8), lambda k: attention(k, k.layers.MultiHeadAttention, 2, 4)),
    "grouped attention": ((5, 8), lambda k: attention(k, k.layers.GroupQueryAttention, 4, 4, 2)),
    "spectral": (
        (6, 6, 2),
        lambda k: stack(
            k, (6, 6, 2), k.layers.SpectralNormalization(k.layers.Conv2D(3, 3)), k.layers.Flatten()
        ),
    ),
    "stacked cells": (
        (5, 3),
        lambda k: stack(
            k, (5, 3), k.layers.RNN(k.layers.StackedRNNCells([k.layers.LSTMCell(3), k.layers.GRUCell(2)]))
        ),
    ),
    "both directions": (
        (5, 3),
        lambda k: stack(
            k,
            (5, 3),
            k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True)),
            k.layers.TimeDistributed(k.Sequential([k.layers.Dense(4), k.layers.Dense(2)])),
        ),
    ),
    "block": ((6,), lambda k: stack(k, (6,), block(k)(), block(k)())),
    "net": ((6,), lambda k: net(k)()),
}


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("name", WITHIN)
def test_layers_within_layers(maker, name, ours_first, tmp_path):
    shape, make = WITHIN[name]
    writer, reader = (keras, maker.keras) if ours_first else (maker.keras, keras)
    maker.keras.backend.clear_session()
    x = np.random.RandomState(0).normal(size=(2, *shape)).astype(np.float32)
    model = make(writer)
    model.compile("adam", "mse")
    model.fit(x, np.zeros(np.shape(model(x)), np.float32), verbose=0)
    model.save(tmp_path / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    known = {"Block": block(reader), "Net": net(reader)}
    again = reader.models.load_model(tmp_path / "a.keras", custom_objects=known)
    assert_close(outputs(again, [x]), outputs(model, [x]))
    for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    other = make(reader)
    other(x)
    other.load_weights(tmp_path / "a.weights.h5")
    assert_close(outputs(other, [x]), outputs(model, [x]))
