"""docs/formats.md: what its programs make of small files of each format, and that its lists are complete."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pages
import pytest
from format_files import FIXTURES, small_network, torch_names, torch_save

from cnnexplain import cli

PAGE = "docs/formats.md"


def after(title: str, number: int = 0) -> dict[str, Any]:
    """What the names mean after a program of a section; the first opens and explains in three lines."""
    found = pages.under(PAGE, title)
    assert len(found[0][0].code.splitlines()) == 3
    return found[number][1]


def picture(name: str) -> None:
    from PIL import Image

    with Image.open(pages.ran(PAGE).folder / name) as image:
        assert min(image.size) >= 32


@pytest.mark.parametrize(
    "suffix, title", [("keras", "A Keras archive: `.keras`"), ("h5", "A whole model in HDF5: `.h5`")]
)
def test_models_of_keras(suffix, title):
    found = after(title)["explanation"]
    assert found.map.shape == (1, 32, 32) and found.layer == ("maps" if suffix == "keras" else None)
    picture(f"{suffix}.png")


def test_weights_of_keras_in_an_application():
    found = after("Weights of Keras in an application: `.weights.h5`")["explanation"]
    assert found.map.shape == (1, 128, 128) and found.layer == "conv_pw_13_relu"
    picture("weights.png")


def test_onnx():
    pytest.importorskip("onnx")
    found = after("ONNX: `.onnx`")["explanation"]
    assert found.map.shape == (1, 64, 64) and found.raw.shape == (1, 2, 2)
    picture("onnx.png")
    found = after("ONNX: `.onnx`", 1)["explanation"]
    assert found.raw.shape == (1, 4, 4) and found.layer == "layer3.layer3.1.relu_2.Relu"


@pytest.mark.parametrize(
    "title, file",
    [
        ("A state dict of PyTorch in an application: `.pth`", "pytorch.png"),
        ("safetensors in an application: `.safetensors`", "safetensors.png"),
    ],
)
def test_weights_of_pytorch(title, file):
    names = after(title)
    assert names["explanation"].map.shape == (1, 224, 224) and names["model"].preprocess == "torch"
    kernel = names["model"].get_layer("Conv1").weights[0].numpy()
    np.testing.assert_array_equal(kernel, torch_names()["features.0.0.weight"].transpose(2, 3, 1, 0))
    picture(file)


@pytest.mark.skipif(not pages.NEEDS["imagenet"](), reason="the extra [imagenet] is not installed")
def test_a_network_by_its_name():
    assert "uniform" in after("A network by its name")["explanation"].class_name[0]  # Grace Hopper's


def test_the_operators_listed_are_those_that_are_read():
    from cnnexplain.onnx import folding, importing, registry

    importing.load_families()
    operators = set(registry.OPERATORS) - {"Hardmax"}  # known, so that its refusal says why
    listed = re.search(r"\nOperators: (.*?)\.\n\n.*?, also (.*?)\.\n", pages.text(PAGE), re.DOTALL)
    assert [set(re.findall(r"`(\w+)`", part)) for part in listed.groups()] == [
        operators,
        set(folding.FOLDS) - set(registry.OPERATORS),
    ]


def test_inspect_reads_each(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("onnx")
    from safetensors.numpy import save_file

    small_network().save("network.keras")
    small_network().save_weights("network.weights.h5")
    arrays = {"weight": np.ones((2, 3), "float32")}
    torch_save(arrays, "network.pth")
    save_file(arrays, "network.safetensors")
    Path("network.onnx").write_bytes(np.load(FIXTURES / "onnx" / "keras-flat.npz")["onnx"].tobytes())
    for suffix, said in (
        ("keras", "Keras archive"),
        ("weights.h5", "weights in HDF5"),
        ("pth", "PyTorch state dict"),
        ("safetensors", "safetensors"),
        ("onnx", "ONNX model, opset"),
    ):
        shutil.copy(f"network.{suffix}", "file")  # the content decides
        assert cli.main(["inspect", "file"]) == 0
        assert said in capsys.readouterr().out
