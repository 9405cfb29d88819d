"""Networks as real exporters write them: scores, Grad-CAM as their framework has it, names, layout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import keras
from cnnexplain.keras.tracing import trace

pytest.importorskip("onnx")
FOLDER = Path(__file__).parents[1] / "fixtures" / "onnx"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz") if path.stem != "operators")
# what these compute needs another order in memory: tokens of images, shuffled channels, enlarging by Tile
MOVING = ("attention", "shufflenet")
# Grad-CAM looks at another layer than the one recorded: a later one, after which nothing but pooling comes
OTHER_DEFAULT = ("attention", "squeezenet", "keras-branches")


@cache
def recorded(name):
    return dict(np.load(FOLDER / f"{name}.npz"))


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")

    def write(name):
        path = folder / f"{name}.onnx"
        if not path.exists():
            path.write_bytes(recorded(name)["onnx"].tobytes())
        return path

    return write


@pytest.fixture(scope="session")
def opened(written):
    @cache
    def load(name):
        return cx.models.load_onnx(written(name))

    return load


def images(name, dtype="float32"):
    """(n, h, w, c), which files of TensorFlow have themselves."""
    x = recorded(name)["x"].astype(dtype)
    return x if x.shape[-1] == 3 else np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def scaled(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize("name", NAMES)
class TestNetworks:
    def test_scores(self, name, opened):
        model, x, want = opened(name), images(name), recorded(name)["y"]
        got = model(cx.constant(x)).numpy()
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(model.predict(x[1:], verbose=0), got[1:], rtol=1e-4, atol=1e-5)

    def test_in_float64(self, name, written):
        model = cx.models.load_onnx(written(name), dtype="float64")
        got = model(cx.constant(images(name, "float64"))).numpy()
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, recorded(name)["y"], rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("key", ["node", "output"])
    def test_grad_cam_at_a_name_of_the_file(self, name, key, opened):
        model, want = opened(name), recorded(name)
        explained = cx.explain.grad_cam(model, images(name), layer=str(want[key]))
        assert explained.raw.shape == want["cam"].shape
        assert scaled(explained.raw, want["cam"]) < 1e-4
        assert list(explained.class_index) == list(want["y"].argmax(1))

    def test_layers_by_the_names_of_the_file(self, name, opened):
        model, want = opened(name), recorded(name)
        for key in ("node", "output"):
            written = str(want[key])
            if written in model.layer_aliases:
                assert model.get_layer(written).name == model.layer_aliases[written]
        assert all("/" not in layer.name and ":" not in layer.name for layer in model.layers)

    def test_nothing_moves_data_inside(self, name, opened):
        program = trace(opened(name), training=False).program
        moved = [operator for operator, *_ in program.nodes if operator == "transpose"]
        assert bool(moved) == name.startswith(MOVING)

    def test_as_a_keras_archive(self, name, opened, tmp_path):
        model, x, want = opened(name), images(name), recorded(name)
        model.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
        assert again.layer_aliases == model.layer_aliases
        explained = cx.explain.grad_cam(again, x, layer=str(want["node"]))
        assert scaled(explained.raw, want["cam"]) < 1e-4


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(OTHER_DEFAULT)])
def test_grad_cam_without_a_layer(name, opened):
    explained = cx.explain.grad_cam(opened(name), images(name))
    want = recorded(name)["cam"]
    assert explained.raw.shape == want.shape
    assert scaled(explained.raw, want) < 1e-4


@pytest.mark.parametrize("name", ["resnet-13", "mobilenet_v3-19", "convnext-17", "keras-mobile"])
class TestAsAnyModel:
    def test_it_learns(self, name, written):
        model = cx.models.load_onnx(written(name))
        x, units = images(name), model.output_shape[-1]
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not name.startswith("keras"))
        model.compile(keras.optimizers.SGD(1e-3), loss)
        losses = [float(model.train_on_batch(x, np.arange(2) % units)) for _ in range(4)]
        assert losses[-1] < losses[0]

    def test_summary_and_drawing(self, name, opened, tmp_path, capsys):
        model = opened(name)
        model.summary()
        text = capsys.readouterr().out
        assert f"{model.count_params():,}" in text
        keras.utils.plot_model(model, tmp_path / "model.svg")
        assert (tmp_path / "model.svg").stat().st_size > 1000

    def test_every_explanation_says_whether_it_applies(self, name, opened):
        from cnnexplain import inspect

        found = {entry["method"]: entry["applies"] for entry in inspect.describe(opened(name))["methods"]}
        assert found["grad_cam"] and found["saliency"]
        assert found["cam"] == (name not in ("mobilenet_v3-19", "convnext-17"))
        if name != "keras-mobile":
            assert found["guided_backprop"] == (name == "resnet-13")

    def test_it_pickles_and_clones(self, name, opened):
        import copy
        import pickle

        model, x = opened(name), images(name)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
            assert other.layer_aliases == model.layer_aliases


def test_inspect(written, capsys):
    import json

    from cnnexplain import cli, inspect

    found = inspect.inspect(written("resnet-13"))
    assert (found["format"], found["writer"]) == ("ONNX model, opset 13", "pytorch")
    assert found["inputs"] == [{"name": "image", "shape": [None, 64, 64, 3], "dtype": "float32"}]
    assert [end["shape"] for end in found["outputs"]] == [[None, 10]]
    last = "layer4.layer4.1.relu_2.Relu"
    listed = {layer["name"]: layer for layer in found["layers"]}
    assert listed[last]["class"] == "Activation" and listed[last]["shape"] == [None, 2, 2, 32]
    methods = {entry["method"]: entry.get("layer") for entry in found["methods"]}
    assert methods["cam"] == methods["grad_cam"] == last
    assert cli.main(["inspect", "--json", str(written("resnet-13"))]) == 0
    assert json.loads(capsys.readouterr().out)["layers"] == found["layers"]
    assert inspect.inspect(written("tf2onnx-mobile-10"))["writer"] == "tf2onnx"
