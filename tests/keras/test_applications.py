"""Every network of keras.applications: Keras's architecture, and explained without being told anything."""

from __future__ import annotations

import importlib
import json

import applications
import numpy as np
import pytest
import recordings

import cnnexplain as cx
from cnnexplain import keras
from cnnexplain.keras.saving.building import blank_weights

APPLICATIONS = applications.APPLICATIONS
FIXTURE = json.loads((recordings.FIXTURES / "keras_applications.json").read_text())


def test_the_table_has_every_network():
    """Those that are offered, and of Keras's all that its architectures were recorded of."""
    assert sorted(APPLICATIONS) == sorted(n for n in keras.applications.__all__ if n[0].isupper())
    assert sorted(FIXTURE["architectures"]) == sorted(n for n, a in APPLICATIONS.items() if a.in_keras)
    assert len(FIXTURE["architectures"]) == 40


def test_the_page_shows_the_table():
    """docs/applications.md has a row for each network; what was measured lies below what is promised."""
    lines = applications.PAGE.read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:2] == "| "]
    rows = {name: rest for name, *rest in cells[1:]}
    assert list(rows) == list(APPLICATIONS)
    for name, (parameters, layers, layer, pixels, cam, *measured) in rows.items():
        known = APPLICATIONS[name]
        assert (layer, pixels) == (f"`{known.layer}`", known.preprocess)
        assert cam == ("yes" if known.cam is None else f"no: `{known.cam}`")
        if known.in_keras:
            assert int(layers) == FIXTURE["architectures"][name]["layers"]
            if "VGG" not in name:  # whose first dense layer depends on the size of the image
                assert int(parameters.replace(",", "")) == FIXTURE["architectures"][name]["parameters"]
            assert all(float(c) < most for c, most in zip(measured, (1e-4, 1e-9, 1e-9), strict=True) if c)
        else:
            assert measured == ["", "", ""]


@pytest.mark.parametrize("name", APPLICATIONS)
def test_explained_with_nothing_but_model_and_image(name):
    """And built as Keras builds it: classes, names and output shapes of all layers in order, all weights."""
    known = APPLICATIONS[name]
    with blank_weights(1 << 32):
        model = applications.build(keras, name, classifier_activation="softmax")
    if known.in_keras:
        assert applications.architecture(model) == FIXTURE["architectures"][name]
    assert model.output_shape == (None, 1000)
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    last.set_weights([np.zeros(tuple(last.weights[0].shape)), np.linspace(-1, 1, 1000)])

    pixels = np.random.default_rng(0).integers(0, 256, (1, *known.size, 3)).astype("float32")
    x = _module(known).preprocess_input(pixels.copy())
    e = cx.explain.grad_cam(model, x)
    assert e.layer == known.layer
    assert e.map.shape == (1, *known.size) and np.isfinite(e.map).all()
    assert e.class_index.tolist() == [999] and e.class_name.tolist() == [None]
    assert e.score == pytest.approx(1)  # the logit
    assert e.probability == pytest.approx(np.exp(1) / np.exp(np.linspace(-1, 1, 1000)).sum())
    with pytest.raises(ValueError, match="`class_index` must be between 0 and 999"):
        cx.explain.grad_cam(model, x, 1000)
    assert model.preprocess == known.preprocess
    np.testing.assert_array_equal(e.images, pixels)
    if known.cam is None:
        assert cx.explain.cam(model, x).layer == known.layer
    else:
        with pytest.raises(ValueError, match=f"reads the result of layer '{known.cam}'. Use grad_cam"):
            cx.explain.cam(model, x)


def _module(known):
    return importlib.import_module(f"cnnexplain.keras.applications.{known.module}")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_preprocess_input_is_what_files_are_made_into(name):
    """`model.preprocess` is the mode of the network's `preprocess_input`."""
    from cnnexplain.explain import inputs

    known = APPLICATIONS[name]
    module = _module(known)
    assert getattr(module, name) is getattr(keras.applications, name)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 5, 4, 3)).astype("float32")
    made = inputs._FORWARD[known.preprocess](pixels)
    np.testing.assert_allclose(module.preprocess_input(pixels.copy()), made, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", applications.RECORDED)
def test_computes_what_keras_computed(name):
    """Keras's float64 results, rounded to float32, of the same seeded weights and statistics."""
    recorded = recordings.read("keras_applications")
    for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-6)):
        with blank_weights(1 << 32):
            _, logits, gradient = applications.run(cx, keras, name, dtype)
        assert logits.dtype == gradient.dtype == dtype
        assert applications.distance(logits, recorded[f"{name} logits"]) < tolerance
    # in float32 a ReLU that switches on by rounding would change it
    assert applications.distance(gradient[:, ::8, ::8], recorded[f"{name} gradient"]) < tolerance


def heads():
    """Ends of networks behind a map: whether CAM applies, and what makes them."""
    L = keras.layers

    def pixel(x, hidden=False):
        x = L.GlobalAveragePooling2D(keepdims=True)(x)
        x = L.Conv2D(4, 1, activation="hard_swish", name="hidden")(x) if hidden else x
        return L.Conv2D(5, 1, padding="same", name="logits")(L.Dropout(0.5)(x))

    return {
        "reshaped": (True, lambda x: L.Activation("softmax")(L.Reshape((5,))(pixel(x)))),
        "flattened": (True, lambda x: L.Activation("softmax")(L.Flatten()(pixel(x)))),
        "layer": (True, lambda x: L.Softmax()(L.Flatten()(pixel(x)))),
        "kept": (True, lambda x: L.Activation("softmax")(pixel(x))),
        "hidden": (False, lambda x: L.Activation("softmax")(L.Flatten()(pixel(x, hidden=True)))),
    }


@pytest.mark.parametrize("head", list(heads()))
def test_heads_of_convolutions_over_one_pixel(head):
    applies, end = heads()[head]
    inputs = keras.Input((9, 8, 3))
    model = keras.Model(inputs, end(keras.layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)))
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 3))
    e = cx.explain.grad_cam(model, x, 1)
    assert e.layer == "maps"
    until = keras.Model(inputs, model.get_layer("logits").output)
    np.testing.assert_allclose(e.score, until.predict(x, verbose=0)[:, 0, 0, 1], rtol=1e-5, atol=1e-7)
    if applies:
        raw = cx.explain.cam(model, x, 1).raw
        bias = model.get_layer("logits").get_weights()[1][1]
        np.testing.assert_allclose(raw.mean((1, 2)) + bias, e.score, rtol=1e-5, atol=1e-6)
    else:
        with pytest.raises(ValueError, match="reads the result of layer 'hidden'"):
            cx.explain.cam(model, x, 1)


class TestKnownPreprocessing:
    def test_files_need_no_argument(self, tmp_path):
        from PIL import Image

        pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "one.png")
        model = keras.applications.MobileNetV2(weights=None, input_shape=(48, 48, 3), classes=4)
        e = cx.explain.grad_cam(model, tmp_path / "one.png", 1)
        want = cx.explain.grad_cam(model, pixels[None] / 127.5 - 1, 1)
        np.testing.assert_allclose(e.score, want.score, rtol=1e-4)
        for shown in (e.images, want.images):
            np.testing.assert_array_equal(shown, pixels[None])
        assert cx.explain.grad_cam(model, Image.fromarray(pixels), 1).warnings == ()

    def test_class_names_come_with_weights(self, tmp_path):
        settings = {"input_shape": (32, 32, 3)}
        with blank_weights(1 << 32):
            first = keras.applications.MobileNet(weights=None, **settings)
        assert first.preprocess == "tf" and not hasattr(first, "class_names")
        first.save_weights(tmp_path / "all.weights.h5")
        second = keras.applications.MobileNet(weights=tmp_path / "all.weights.h5", **settings)
        x = np.zeros((1, 32, 32, 3))
        assert cx.explain.grad_cam(second, x, 281).class_name.tolist() == ["tabby"]
        assert cx.explain.grad_cam(first, x, 281).class_name.tolist() == [None]

    def test_one_channel_has_no_means_of_three(self):
        from PIL import Image

        model = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 1), classes=3)
        assert not hasattr(model, "preprocess")
        assert cx.explain.grad_cam(model, np.zeros((32, 32)), 0).images.dtype == np.float64
        with pytest.raises(ValueError, match="`preprocess` must be given"):
            cx.explain.grad_cam(model, Image.new("L", (32, 32)))

    def test_a_network_behind_other_layers_does_not_know_its_pixels(self):
        inputs = keras.Input((32, 32, 3))
        scaled = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
        model = keras.applications.MobileNet(weights=None, input_tensor=scaled, classes=3)
        assert not hasattr(model, "preprocess")
        assert keras.applications.MobileNet(weights=None, input_tensor=inputs, classes=3).preprocess == "tf"
