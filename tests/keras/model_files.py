"""The committed model files of TensorFlow 2.12, 2.15 and today's Keras, and what they compute."""

from __future__ import annotations

import functools
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np

import cnnexplain as cx
from cnnexplain import keras

FILES = Path(__file__).parents[1] / "fixtures" / "files"
VERSIONS = json.loads((FILES / "versions.json").read_text())
MODELS = [(archive, name) for archive in VERSIONS for name in VERSIONS[archive]["models"]]

# Tolerances in float64 where TensorFlow computes with constants that are float32.
LOOSE = {
    "nested": (2e-8, "the square root of 2 in its gelu"),
    "mobile": (2e-7, "1/6 in its hard_sigmoid"),
    "sequential": (2e-9, "the alpha of its elu"),
}

_folders = []


class Scale(keras.layers.Layer):
    """The class of the fixtures that is not Keras's: x times a weight."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, shape):
        start = keras.initializers.Constant(self.start)
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer=start)
        super().build(shape)

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "start": self.start}


@functools.cache
def folder(archive):
    """The unpacked files of one version of Keras."""
    place = tempfile.TemporaryDirectory(prefix="keras-files-")
    _folders.append(place)
    with zipfile.ZipFile(FILES / archive) as files:
        files.extractall(place.name)
    return Path(place.name)


def recorded(archive, name):
    """{"x": inputs, "y": outputs, "g": gradients, "o": the optimizer's variables}, lists of arrays."""
    with np.load(folder(archive) / f"{name}.npz") as arrays:
        return {
            kind: [arrays[f"{kind}{k}"] for k in range(sum(n[0] == kind for n in arrays.files))]
            for kind in "xygo"
        }


def load(archive, name, ending, **options):
    """The model in this form."""
    return keras.models.load_model(
        folder(archive) / f"{name}{ending}", custom_objects={"Scale": Scale}, **options
    )


def computed(model, xs, dtype="float32"):
    """Outputs, and gradients of sum(y * cos(arange)) by the inputs that are floats."""
    tensors = [cx.constant(x if x.dtype.kind == "i" else x.astype(dtype)) for x in xs]
    floats = [t for t in tensors if t.dtype.is_floating]
    with cx.GradientTape() as tape:
        for t in floats:
            tape.watch(t)
        y = model(tensors if len(tensors) > 1 else tensors[0], training=False)
        ys = list(y) if isinstance(y, (list, tuple)) else [y]
        total = sum(
            cx.reduce_sum(o * np.cos(np.arange(np.size(o))).reshape(o.shape).astype(dtype)) for o in ys
        )
    gradients = tape.gradient(total, floats) if floats else []
    return [np.asarray(o) for o in ys], [np.asarray(g) for g in gradients]


def check(model, archive, name, dtype=None, gradients=True):
    """Compares the model with what Keras computed."""
    want = recorded(archive, name)
    tolerance = 2e-4 if dtype is None else LOOSE.get(name, (1e-9,))[0]
    ys, gs = computed(model, want["x"], dtype or "float32")
    assert len(ys) == len(want["y"])
    for found, expected in [
        *zip(ys, want["y"], strict=True),
        *(zip(gs, want["g"], strict=True) if gradients else ()),
    ]:
        assert found.shape == expected.shape and found.dtype == (dtype or "float32")
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
