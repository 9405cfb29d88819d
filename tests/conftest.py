"""What every test may ask for."""

from __future__ import annotations

import warnings

import pytest

from cnnexplain import keras


@pytest.fixture(autouse=True)
def seeds():
    """The same random weights and data in every run, whichever tests run before."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def tensorflow():
    """TensorFlow with its Keras. Its own warnings at import are not ours to turn into errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("tensorflow")
        module.keras.backend.image_data_format()
    return module
