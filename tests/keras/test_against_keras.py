"""What Keras on TensorFlow computed, stored in tests/fixtures, against what this package computes."""

from __future__ import annotations

import json
from pathlib import Path

import cases
import numpy as np
import pytest
import recordings

import cnnexplain as tf
from cnnexplain import keras

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@pytest.fixture(scope="module")
def recorded():
    arrays = {}
    for family in cases.FAMILIES:
        arrays.update(recordings.read(family))
    return arrays


@pytest.fixture(autouse=True)
def float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def compare(kind, name, found, recorded, tolerance=1e-9):
    start = f"{kind}/{name}/"
    wanted = {key[len(start) :]: value for key, value in recorded.items() if key.startswith(start)}
    assert wanted, f"no fixture for {kind} {name}"
    assert sorted(found) == sorted(wanted)
    tolerance = max(tolerance, cases.LOOSE.get(name, 0.0))
    for key, value in wanted.items():
        np.testing.assert_allclose(
            found[key], value, rtol=tolerance, atol=tolerance, err_msg=f"{name}: {key}"
        )


@pytest.mark.parametrize("name", cases.LAYERS)
def test_layer(name, recorded):
    compare("layer", name, cases.record_layer(tf, keras, name), recorded)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", cases.LOSSES)
def test_loss(name, recorded):
    compare("loss", name, cases.record_loss(tf, keras, name), recorded)


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_optimizer(name, recorded):
    compare("optimizer", name, cases.record_optimizer(tf, keras, name), recorded)


@pytest.mark.parametrize("name", cases.OPTIMIZERS)
def test_optimizer_in_float32(name, recorded):
    keras.config.set_floatx("float32")
    compare("optimizer", name, cases.record_optimizer(tf, keras, name, "float32"), recorded, tolerance=1e-4)


@pytest.mark.parametrize("name", cases.TRAININGS)
def test_training(name, recorded):
    compare("training", name, cases.record_training(tf, keras, name), recorded, tolerance=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", cases.FUNCTIONS)
def test_function(name, recorded):
    compare("function", name, cases.record_function(tf, keras, name), recorded)


@pytest.mark.parametrize("name", json.loads((FIXTURES / "keras_summaries.json").read_text())["summaries"])
def test_summary(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    keras.config.set_floatx("float32")
    wanted = json.loads((FIXTURES / "keras_summaries.json").read_text())["summaries"][name]
    assert cases.summaries(keras)[name] == wanted
