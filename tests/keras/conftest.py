import numpy as np
import pytest

from cnnexplain import keras


@pytest.fixture(autouse=True)
def fresh():
    """Names and seeds from the beginning."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)


@pytest.fixture
def lecture():
    """The lecture's network."""

    def build():
        layers = keras.layers
        return keras.Sequential(
            [
                layers.Conv2D(16, (3, 3), activation="relu", padding="same", input_shape=(28, 28, 1)),
                layers.MaxPooling2D(),
                layers.Conv2D(32, (3, 3), activation="relu", padding="same"),
                layers.MaxPooling2D(),
                layers.Conv2D(64, (3, 3), activation="relu", padding="same"),
                layers.MaxPooling2D(),
                layers.Conv2D(128, (3, 3), activation="relu", padding="same"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(10, activation="softmax"),
            ]
        )

    return build


@pytest.fixture
def pictures():
    """A learnable toy problem: which quarter of the picture is bright."""
    rng = np.random.RandomState(0)
    labels = rng.randint(0, 4, 160)
    x = rng.rand(160, 12, 12, 1).astype("float32") * 0.3
    for k, label in enumerate(labels):
        row, column = 6 * (label // 2), 6 * (label % 2)
        x[k, row : row + 6, column : column + 6] += 0.7
    return x, labels


@pytest.fixture
def no_draws(monkeypatch):
    """New kernels are zeros: millions of random numbers take seconds."""
    zeros = keras.initializers.Zeros()
    monkeypatch.setattr(
        keras.initializers.GlorotUniform, "__call__", lambda self, shape, dtype=None: zeros(shape, dtype)
    )
