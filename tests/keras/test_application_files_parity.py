"""Files of networks with operations, nested models and layers of their own: from here to Keras and back."""

from __future__ import annotations

import applications
import numpy as np
import pytest

from cnnexplain import keras

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


def layers(model):
    """Class and name of each layer, those of nested models after it."""
    found = []
    for layer in model.layers:
        found.append((type(layer).__name__, layer.name))
        found += layers(layer) if hasattr(layer, "layers") else []
    return found


@pytest.mark.parametrize("name", ["ConvNeXtTiny", "MobileNetV3Small", "NASNetMobile"])
def test_there_and_back(name, tmp_path):
    pytest.importorskip("tensorflow")
    _, theirs = applications._keras()
    model = applications.build(keras, name)
    applications.fill(model, name)
    x = applications.picture(name).astype("float32")
    want = np.asarray(model(x))
    model.save(tmp_path / "here.keras")
    there = theirs.models.load_model(tmp_path / "here.keras")
    assert layers(there) == layers(model)
    np.testing.assert_allclose(there(x), want, atol=1e-4 * np.abs(want).max())
    there.save(tmp_path / "there.keras")
    back = keras.models.load_model(tmp_path / "there.keras")
    assert layers(back) == layers(model)
    np.testing.assert_allclose(back(x), want, atol=1e-6 * np.abs(want).max())
    there.save_weights(tmp_path / "there.weights.h5")
    again = applications.build(keras, name, weights=tmp_path / "there.weights.h5")
    np.testing.assert_allclose(again(x), want, atol=1e-6 * np.abs(want).max())
