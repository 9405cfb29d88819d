"""docs/formats.md: every block runs as it stands, on small files of the format it is about."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import cli, keras, photographs
from cnnexplain.keras.applications import pretrained

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python ?(\w*)\n(.*?)```", PAGE, re.DOTALL)


def section(title: str) -> list[str]:
    """The blocks under a heading."""
    text = PAGE.split(f"\n## {title}", 1)[1].split("\n## ")[0]
    return [code for _, code in re.findall(r"```python ?(\w*)\n(.*?)```", text, re.DOTALL)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the blocks run: it has the photograph."""
    from PIL import Image

    with Image.open(photographs.sample_photographs()["grace_hopper"]) as image:
        image.save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(blocks: list[str]) -> dict:
    names: dict = {}
    exec(BLOCKS[0][1], names)
    for block in blocks:
        exec(block, names)
    return names


def small_network():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 3, activation="relu", name="maps"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )


def torch_names() -> dict[str, np.ndarray]:
    """The state dict of torchvision's MobileNetV2 with small numbers."""
    listed = np.load(FIXTURES / "torch_networks.npz")["torchvision/mobilenet_v2/names"].tolist()
    generator = np.random.default_rng(2)
    arrays = {}
    for line in listed:
        name, _, text = line.partition(" ")
        shape = tuple(json.loads(text.replace("(", "[").replace(",)", "]").replace(")", "]")))
        if name.startswith("classifier"):
            shape = (1000, *shape[1:])
        value = generator.normal(size=shape) * (2 / max(1, np.prod(shape[1:]))) ** 0.5
        arrays[name] = (np.abs(value) + 0.5 if name.endswith("running_var") else value).astype("float32")
        if name.endswith("num_batches_tracked"):
            arrays[name] = np.array(1, "int64")
    return arrays


def torch_save(arrays: dict[str, np.ndarray], path: str) -> None:
    """What `torch.save` writes of a state dict, opcode by opcode."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def sizes(values: tuple) -> bytes:
        return b"(" + b"".join(pickle.dumps(int(v), 2)[2:-1] for v in values) + b"t"

    content = b"\x80\x02ccollections\nOrderedDict\n)R("
    with zipfile.ZipFile(path, "w") as archive:
        for key, (name, array) in enumerate(arrays.items()):
            kind = "FloatStorage" if array.dtype == np.float32 else "LongStorage"
            storage = text("storage") + f"ctorch\n{kind}\n".encode() + text(str(key)) + text("cpu")
            storage = b"(" + storage + pickle.dumps(array.size, 2)[2:-1] + b"tQ"
            strides = tuple(stride // array.itemsize for stride in array.strides)
            content += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00"
            content += sizes(array.shape) + sizes(strides) + b"\x89ccollections\nOrderedDict\n)RtR"
            archive.writestr(f"network/data/{key}", array.tobytes())
        archive.writestr("network/data.pkl", content + b"u.")
        archive.writestr("network/version", "3")


def picture(name: str) -> None:
    from PIL import Image

    with Image.open(name) as image:
        assert min(image.size) >= 32


@pytest.mark.parametrize("suffix, title", [("keras", "A Keras archive"), ("h5", "A whole model in HDF5")])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_models_of_keras(suffix, title):
    small_network().save(f"network.{suffix}")
    (block,) = section(title)
    assert len(block.splitlines()) == 3
    found = run([block])["explanation"]
    assert found.map.shape == (1, 32, 32) and found.layer == ("maps" if suffix == "keras" else None)
    picture(f"{suffix}.png")


def test_weights_of_keras_in_an_application():
    keras.applications.MobileNet((128, 128, 3), alpha=0.25, weights=None).save_weights("mobilenet.weights.h5")
    (block,) = section("Weights of Keras in an application")
    assert len(block.splitlines()) == 3
    found = run([block])["explanation"]
    assert found.map.shape == (1, 128, 128) and found.layer == "conv_pw_13_relu"
    picture("weights.png")


def test_onnx():
    pytest.importorskip("onnx")
    Path("resnet.onnx").write_bytes(np.load(FIXTURES / "onnx" / "resnet-13.npz")["onnx"].tobytes())
    first, second, _ = section("ONNX")
    assert len(first.splitlines()) == 3
    found = run([first])["explanation"]
    assert found.map.shape == (1, 64, 64) and found.raw.shape == (1, 2, 2)
    picture("onnx.png")
    found = run([first, second])["explanation"]
    assert found.raw.shape == (1, 4, 4) and found.layer == "layer3.layer3.1.relu_2.Relu"


@pytest.mark.parametrize(
    "title", ["A state dict of PyTorch in an application", "safetensors in an application"]
)
def test_weights_of_pytorch(title):
    from safetensors.numpy import save_file

    arrays = torch_names()
    torch_save(arrays, "mobilenet_v2.pth")
    save_file(arrays, "mobilenet_v2.safetensors")
    (block,) = section(title)
    assert len(block.splitlines()) == 3
    names = run([block])
    assert names["explanation"].map.shape == (1, 224, 224) and names["model"].preprocess == "torch"
    kernel = names["model"].get_layer("Conv1").weights[0].numpy()
    np.testing.assert_array_equal(kernel, arrays["features.0.0.weight"].transpose(2, 3, 1, 0))
    picture("pytorch.png" if "PyTorch" in title else "safetensors.png")


@pytest.mark.skipif(not pretrained.has_lite0(), reason="the extra [imagenet] is not installed")
def test_a_network_by_its_name(capsys):
    (block,) = section("A network by its name")
    assert len(block.splitlines()) == 3
    run([block])
    assert "uniform" in capsys.readouterr().out  # Grace Hopper's


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
def test_pytorch_s_export():
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    run([section("ONNX")[2]])
    network = cx.models.load_onnx("network.onnx")
    assert network.predict(np.zeros((3, 32, 32, 3), "float32"), verbose=0).shape == (3, 10)


def test_every_block_is_run_above():
    assert [kind for kind, _ in BLOCKS] == ["", "", "", "", "", "", "torch", "", "", "imagenet"]


def test_the_operators_listed_are_those_that_are_read():
    from cnnexplain.onnx import folding, importing, registry

    importing.load_families()
    operators = set(registry.OPERATORS) - {"Hardmax"}  # known, so that its refusal says why
    listed = re.search(r"\nOperators: (.*?)\.\n\n.*?, also (.*?)\.\n", PAGE, re.DOTALL)
    assert [set(re.findall(r"`(\w+)`", part)) for part in listed.groups()] == [
        operators,
        set(folding.FOLDS) - set(registry.OPERATORS),
    ]


def test_inspect_reads_each(capsys):
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
