"""Small files of every format that docs/formats.md opens, under the names that the page has."""

from __future__ import annotations

import json
import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np

from cnnexplain import keras

FIXTURES = Path(__file__).parent / "fixtures"


def write(folder: Path) -> None:
    """All of them, into the current folder."""
    from safetensors.numpy import save_file

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are saving your model as an HDF5")
        for suffix in ("keras", "h5"):
            small_network().save(f"network.{suffix}")
    keras.applications.MobileNet((128, 128, 3), alpha=0.25, weights=None).save_weights("mobilenet.weights.h5")
    (folder / "resnet.onnx").write_bytes(np.load(FIXTURES / "onnx" / "resnet-13.npz")["onnx"].tobytes())
    arrays = torch_names()
    torch_save(arrays, "mobilenet_v2.pth")
    save_file(arrays, "mobilenet_v2.safetensors")


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
