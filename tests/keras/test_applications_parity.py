"""Every network of keras.applications against Keras on TensorFlow, now: names, shapes, outputs, gradients.

The largest networks are slow as well: `pytest -m "parity and not slow"` leaves them out.
"""

from __future__ import annotations

import inspect

import applications
import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain.keras.applications import keras_files

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
NAMES = [name for name, known in applications.APPLICATIONS.items() if known.in_keras]
CASES = [
    pytest.param(name, marks=pytest.mark.slow if applications.APPLICATIONS[name].long else ())
    for name in NAMES
]
TOLERANCE = {"float32 outputs": 1e-4, "float64 outputs": 1e-9, "float64 gradients": 1e-9}


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("tensorflow")
    tensorflow, keras = applications._keras()
    yield tensorflow, keras
    keras.backend.clear_session()


@pytest.mark.parametrize("name", CASES)
def test_layers_outputs_and_gradients(name, theirs):
    for what, found in applications.differences(*theirs, name).items():
        assert found < TOLERANCE[what], (what, found)


@pytest.mark.parametrize("name", NAMES)
def test_signature(name, theirs):
    ours, wanted = (inspect.signature(getattr(k.applications, name)) for k in (cx.keras, theirs[1]))
    shape = [[(p.name, p.kind, p.default) for p in s.parameters.values()] for s in (ours, wanted)]
    assert shape[0] == shape[1]


@pytest.mark.parametrize("mode", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", [n for n, a in applications.APPLICATIONS.items() if a.in_keras])
def test_preprocess_input(name, mode, theirs):
    module = applications.APPLICATIONS[name].module
    shape = (2, 5, 4, 3) if mode == "channels_last" else (2, 3, 5, 4)
    x = np.random.default_rng(0).uniform(0, 255, shape)
    ours, wanted = (
        getattr(k.applications, module).preprocess_input(x.copy(), data_format=mode)
        for k in (cx.keras, theirs[1])
    )
    np.testing.assert_allclose(ours, wanted, rtol=1e-12)


class _Asked(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_asks_for_the_same_file(name, top, theirs, monkeypatch):
    """Name, address and sum of the file with ImageNet's weights."""
    from keras.src.initializers.random_initializers import VarianceScaling
    from keras.src.utils import file_utils

    def ask(fname, origin, cache_subdir="datasets", file_hash=None, **more):
        raise _Asked(fname, origin, cache_subdir, file_hash)

    monkeypatch.setattr(file_utils, "get_file", ask)
    monkeypatch.setattr(keras_files, "get_file", ask)
    zeros = theirs[1].ops.zeros
    monkeypatch.setattr(VarianceScaling, "__call__", lambda self, shape, dtype=None: zeros(shape, dtype))
    found = []
    for keras in (theirs[1], cx.keras):
        keras.backend.clear_session()
        with pytest.raises(_Asked) as caught:
            getattr(keras.applications, name)(include_top=top)
        found.append(caught.value.args)
    assert found[0] == found[1]
