"""Legacy HDF5 files between real Keras and this package, in both directions."""

from __future__ import annotations

import numpy as np
import pytest
from test_model_round_trips import MODELS, alike, conv_model, data_of, with_weights

from cnnexplain import keras

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("keras")


@pytest.mark.parametrize("name", MODELS)
def test_keras_reads_ours(name, theirs, tmp_path):
    """Also with operations between layers, which Keras cannot read from its own files."""
    model = with_weights(MODELS[name](keras))
    model.save(tmp_path / "ours.h5")
    alike(model, theirs.models.load_model(tmp_path / "ours.h5"), data_of(model), 2e-5)


@pytest.mark.parametrize("name", MODELS)
def test_ours_reads_keras_s(name, theirs, tmp_path):
    wanted = with_weights(MODELS[name](theirs))
    wanted.save(tmp_path / "theirs.h5")
    alike(keras.models.load_model(tmp_path / "theirs.h5"), wanted, data_of(wanted), 2e-5)


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_outputs_of_a_model_inside_that_is_called_twice(theirs, tmp_path, ending):
    def twice(k):
        x, outer = k.Input((3,), name="x"), k.Input((3,), name="outer")
        inner = k.Model(x, k.layers.Dense(3, name="d")(x), name="inner")
        once = inner(outer)
        return k.Model(outer, [inner(once), once])

    for first, second in ((keras, theirs), (theirs, keras)):
        model = with_weights(twice(first))
        model.save(tmp_path / f"a{ending}")
        again = second.models.load_model(tmp_path / f"a{ending}")
        alike(model, again, np.random.RandomState(1).rand(2, 3).astype("float32"), 2e-5)


@pytest.mark.parametrize("optimizer", ["Adam", "RMSprop", "SGD", "Adagrad", "Adamax", "Nadam"])
@pytest.mark.parametrize("direction", ["ours to theirs", "theirs to ours"])
def test_training_goes_on(optimizer, direction, theirs, tmp_path):
    first, second = (keras, theirs) if direction == "ours to theirs" else (theirs, keras)
    model = with_weights(conv_model(first))
    settings = {"momentum": 0.9} if optimizer == "SGD" else {}
    model.compile(
        getattr(first.optimizers, optimizer)(0.01, **settings),
        "categorical_crossentropy",
        metrics=["accuracy"],
    )
    for layer in model.layers:
        if layer.name == "drop":
            layer.rate = 0.0
    x, y = data_of(model), np.eye(3, dtype="float32")[[0, 2]]
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.h5")
    again = second.models.load_model(tmp_path / "model.h5")
    if second is theirs:  # which does not restore an optimizer's state; its own files it cannot train at all
        again.train_on_batch(x, y)
        assert int(again.optimizer.iterations) == 1
        return
    assert int(again.optimizer.iterations) == 3
    for one in (model, again):
        one.train_on_batch(x, y)
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=0, atol=2e-5)
