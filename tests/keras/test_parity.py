"""The same cases computed by Keras on TensorFlow now, with other numbers than the stored ones."""

from __future__ import annotations

import os

import cases
import numpy as np
import pytest

import cnnexplain
from cnnexplain import keras

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def theirs():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    tensorflow = pytest.importorskip("tensorflow")
    module = pytest.importorskip("keras")
    module.config.set_floatx("float64")
    module.config.set_dtype_policy("float64")
    yield tensorflow, module
    module.config.set_floatx("float32")
    module.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True)
def float64(monkeypatch):
    keras.config.set_floatx("float64")
    draws = cases.draws
    monkeypatch.setattr(cases, "draws", lambda name: draws("now " + name))
    yield
    keras.config.set_floatx("float32")


def compare(record, name, theirs, tolerance):
    ours = record(cnnexplain, keras, name)
    wanted = record(*theirs, name)
    assert sorted(ours) == sorted(wanted)
    tolerance = max(tolerance, cases.LOOSE.get(name, 0.0))
    for key, value in wanted.items():
        np.testing.assert_allclose(ours[key], value, rtol=tolerance, atol=tolerance, err_msg=f"{name}: {key}")


@pytest.mark.parametrize("name", cases.LAYERS)
def test_layer(name, theirs):
    compare(cases.record_layer, name, theirs, 1e-9)


@pytest.mark.parametrize("name", cases.LOSSES)
def test_loss(name, theirs):
    compare(cases.record_loss, name, theirs, 1e-9)


@pytest.mark.parametrize("name", cases.LOSSES)
def test_weighted_loss(name, theirs):
    compare(lambda tf, k, n: cases.record_loss(tf, k, n, weighted=True), name, theirs, 1e-9)


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_optimizer(name, theirs):
    compare(cases.record_optimizer, name, theirs, 1e-9)


@pytest.mark.parametrize("name", cases.TRAININGS)
def test_training(name, theirs):
    compare(cases.record_training, name, theirs, 1e-6)


@pytest.mark.parametrize("name", cases.FUNCTIONS)
def test_function(name, theirs):
    compare(cases.record_function, name, theirs, 1e-9)


@pytest.mark.parametrize("name", ["VGG16", "ResNet50"])
def test_application_has_their_layers(name, theirs):
    ours = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), include_top=False)
    wanted = getattr(theirs[1].applications, name)(weights=None, input_shape=(32, 32, 3), include_top=False)
    assert [layer.name for layer in ours.layers][1:] == [layer.name for layer in wanted.layers][1:]
    shapes = [tuple(weight.shape) for weight in wanted.weights]
    assert [tuple(weight.shape) for weight in ours.weights] == shapes
    rng = np.random.RandomState(0)
    values = [
        np.abs(w) * 0.1 if k % 2 else w * 0.05 for k, w in enumerate(rng.standard_normal(s) for s in shapes)
    ]
    ours.set_weights(values)
    wanted.set_weights(values)
    x = rng.standard_normal((1, 32, 32, 3))
    np.testing.assert_allclose(np.array(ours(x)), np.array(wanted(x)), rtol=1e-9, atol=1e-12)
