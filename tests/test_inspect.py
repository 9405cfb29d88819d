"""`cnnexplain inspect`: what files hold, as genuine writers made them, and what it says of other files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import cli, demo, inspect, keras

FIXTURES = Path(__file__).parent / "fixtures"
WRITERS = ["2.12", "2.15", "3.15"]
METHODS = cx.explain.methods()


@pytest.fixture
def genuine(tmp_path):
    """The path of a file that real Keras wrote."""

    def unpack(writer, name):
        with zipfile.ZipFile(FIXTURES / "files" / f"keras-{writer}.zip") as archive:
            return archive.extract(name, tmp_path)

    return unpack


@pytest.fixture
def torch_file(tmp_path):
    def write(name):
        path = tmp_path / "network.pth"
        path.write_bytes(np.load(FIXTURES / "torch_files.npz")[name].tobytes())
        return path

    return write


def methods(found, output=None):
    """Method: the layer, None for the pixels, or the reason as a one-element list."""
    return {
        entry["method"]: entry["layer"] if entry["applies"] else [entry["reason"]]
        for entry in found["methods"]
        if entry.get("output") == output
    }


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("suffix", ["keras", "h5"])
class TestModels:
    def test_convolutions_of_keras(self, writer, suffix, genuine):
        found = inspect.inspect(genuine(writer, f"branched.{suffix}"))
        assert found["writer"].startswith(f"Keras {writer}.")
        assert found["format"] == ("Keras archive" if suffix == "keras" else "model in HDF5")
        assert (found["class"], found["name"], found["parameters"]) == ("Functional", "branches", 154)
        assert found["inputs"] == [{"name": "picture", "shape": [None, 10, 11, 2], "dtype": "float32"}]
        assert [end["shape"] for end in found["outputs"]] == [[None, 4]]
        shared = next(layer for layer in found["layers"] if layer["name"] == "shared")
        assert shared["class"] == "Conv2D" and shared["shape"] == [None, 10, 11, 3]
        assert sum(layer["parameters"] for layer in found["layers"]) == 154
        got = methods(found)
        assert list(got) == METHODS
        assert got["cam"] == got["grad_cam"] == "activation" and got["saliency"] is None
        assert "tanh" in got["guided_backprop"][0] and "tanh" in got["deep_taylor"][0]
        assert got["layer_cam"] == "activation" and got["occlusion"] is None

    def test_a_frozen_model_inside(self, writer, suffix, genuine):
        found = inspect.inspect(genuine(writer, f"nested.{suffix}"))
        assert (found["parameters"], found["trainable"]) == (343, 51)
        frozen = {layer["name"] for layer in found["layers"] if layer["frozen"]}
        assert frozen == {"base", "base/base_conv", "base/base_bn", "base/base_conv2", "base/base_bn2"}
        assert methods(found)["grad_cam"] == "base/base_bn2"

    def test_several_outputs(self, writer, suffix, genuine):
        found = inspect.inspect(genuine(writer, f"several.{suffix}"))
        assert len(found["inputs"]) == len(found["outputs"]) == 2
        for output in ("kind", "size"):
            assert methods(found, output)["grad_cam"] == "conv2d"
            assert "Use grad_cam" in methods(found, output)["cam"][0]

    def test_preprocessing_inside(self, writer, suffix, genuine):
        text = inspect.text(inspect.inspect(genuine(writer, f"mobile.{suffix}")))
        assert "preprocessing: inside the model: rescaling" in text

    def test_no_images(self, writer, suffix, genuine):
        found = inspect.inspect(genuine(writer, f"text.{suffix}"))
        assert all("no input of the model takes images" in reason[0] for reason in methods(found).values())

    def test_an_unknown_class(self, writer, suffix, genuine, capsys):
        assert cli.main(["inspect", genuine(writer, f"custom.{suffix}")]) == 2
        output, error = capsys.readouterr()
        assert not output and "Scale" in error and "custom_objects" in error


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("suffix, form", [("weights.h5", "Keras 3 form"), ("weights-only.h5", "older form")])
def test_weights_alone(writer, suffix, form, genuine):
    found = inspect.inspect(genuine(writer, f"nested.{suffix}"))
    assert found["format"] == f"weights in HDF5, {form}" and found["kind"] == "weights"
    shapes = [weight["shape"] for weight in found["weights"]]
    assert shapes.count([3, 3, 3, 4]) == shapes.count([3, 3, 4, 4]) == 1
    assert all(weight["dtype"] in ("float32", "int64") for weight in found["weights"])


@pytest.mark.parametrize("form, writer", [("plain", "PyTorch (form before 1.6)"), ("zip", "PyTorch")])
def test_pytorch(form, writer, torch_file):
    found = inspect.inspect(torch_file(f"{form}/checkpoint"))
    assert (found["format"], found["writer"]) == ("PyTorch state dict", writer)
    assert {"name": "state_dict.0.weight", "shape": [2, 1, 3, 3], "dtype": "float32"} in found["weights"]


class TestOurs:
    @pytest.mark.parametrize("suffix", [".keras", ".h5", ".npz", ""])
    def test_the_lecture_s_network(self, suffix, tmp_path, capsys):
        network = demo.load_network()
        network.preprocess = "none"
        path = str(tmp_path / f"network{suffix}")
        network.save(path, **({"zipped": False} if not suffix else {}))
        assert cli.main(["inspect", path]) == 0
        text = capsys.readouterr().out
        lines = [line.split() for line in text.splitlines()]
        assert "98,442 parameters" in text and "(any, 28, 28, 1) float32" in text
        assert ["cam", "conv2d_3"] in lines and ["grad_cam", "conv2d_3"] in lines
        assert ["guided_backprop", "none:", "the", "pixels"] in lines
        assert ["dense", "Dense", "(any,", "10)", "1,290"] in lines
        if suffix in (".keras", ".h5"):
            assert "preprocessing: none (0..255)" in text and "classes: 10: T-shirt/top, Trouser" in text
        if suffix == ".keras":
            assert "written by cnnexplain" in text

    def test_the_layer_is_the_one_that_the_method_uses(self, tmp_path):
        network = demo.load_network()
        said = methods(inspect.describe(network))
        images = np.zeros((1, 28, 28, 1), "float32")
        for method in METHODS:
            few = {"masks": 10} if method == "rise" else {}
            assert cx.explain(network, images, method=method, **few).layer == said[method]

    def test_a_map_of_a_model_inside(self):
        inner = keras.Sequential(
            [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="last")], name="inner"
        )
        network = keras.Sequential(
            [keras.Input((8, 8, 3)), inner, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
        )
        assert methods(inspect.describe(network))["cam"] == "inner/last"
        assert cx.explain.cam(network, np.zeros((1, 8, 8, 3), "float32")).layer == "inner/last"

    def test_layers_that_hand_their_input_on_have_its_shape(self):
        layers = [keras.layers.RandomFlip(), keras.layers.Dropout(0.5), keras.layers.Flatten()]
        network = keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Dense(2)])
        shapes = [layer["shape"] for layer in inspect.describe(network)["layers"]]
        assert shapes == [[None, 8, 8, 3], [None, 8, 8, 3], [None, 192], [None, 2]]

    def test_json(self, tmp_path, capsys):
        path = str(tmp_path / "network.keras")
        demo.load_network().save(path)
        assert cli.main(["inspect", "--json", path]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(inspect.inspect(path)))

    def test_weights_in_npz(self, tmp_path):
        path = tmp_path / "arrays.npz"
        np.savez(path, kernel=np.zeros((3, 3, 1, 8), "float16"), bias=np.zeros(8))
        assert inspect.inspect(path)["weights"] == [
            {"name": "kernel", "shape": [3, 3, 1, 8], "dtype": "float16"},
            {"name": "bias", "shape": [8], "dtype": "float64"},
        ]

    def test_a_model_without_shapes_is_described_as_far_as_it_goes(self):
        class Own(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = keras.layers.Dense(2)

            def call(self, x):
                return self.dense(x)

        found = inspect.describe(Own())
        assert found["methods"] == [] and found["layers"][0]["class"] == "Dense" and found["why"]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "empty"),
        (b"hello", "damaged or something else"),
        (b"PK\x03\x04 and no more", "cannot be read|not a zip"),
        (b"\x89HDF\r\n\x1a\n and no more", "cannot be read|truncated"),
        (b"\x80\x02}.", "pickle"),
    ],
)
def test_other_files(content, message, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert cli.main(["inspect", str(path)]) == 2
    output, error = capsys.readouterr()
    assert not output and error.startswith("cnnexplain: ") and str(path) in error
    with pytest.raises(ValueError, match=message):
        inspect.inspect(path)


def test_a_reader_that_goes(genuine):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cnnexplain", "inspect", genuine("3.15", "nested.keras")]
    home = Path(cx.__file__).parents[1]
    finished = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, cwd=home, env={**os.environ, "PYTHONPATH": str(home)}
    )
    os.close(writing)
    assert (finished.returncode, finished.stderr) == (1, b"")


def test_no_file(tmp_path, capsys):
    assert cli.main(["inspect", str(tmp_path / "nothing.keras")]) == 2
    assert "nothing.keras" in capsys.readouterr().err
    assert cli.main(["inspect", str(tmp_path)]) == 2
    assert "config.json" in capsys.readouterr().err


def test_cut_files_are_refused_in_one_line(genuine, torch_file, tmp_path, capsys):
    files = [genuine("3.15", "nested.keras"), genuine("2.12", "nested.h5"), torch_file("zip/tensors")]
    for file in files:
        content = Path(file).read_bytes()
        for share in (0.1, 0.5, 0.9):
            path = tmp_path / "cut"
            path.write_bytes(content[: int(share * len(content))])
            assert cli.main(["inspect", str(path)]) == 2
            assert "Traceback" not in capsys.readouterr().err
