"""What a file of a model holds, and which explanations work on it: `cnnexplain inspect FILE`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Report = dict[str, Any]
_MODES = {
    "caffe": "caffe (BGR minus the means of ImageNet)",
    "tf": "tf (x / 127.5 - 1)",
    "torch": "torch (to 0..1, then by mean and deviation)",
    "lite": "lite ((x - 127) / 128)",
    "none": "none (0..255)",
}
_PREPARING = ("Rescaling", "Normalization")


def inspect(path: str | os.PathLike[str]) -> Report:
    """Everything that is known about a file without running the model; JSON takes it.

    Args:
        path: a `.keras` archive or its folder, a whole model or weights in HDF5, an `.npz` file, a state dict
            of PyTorch, a `.safetensors` file, or an ONNX model. What it is, its content decides.

    Returns:
        A dict with file, format and writer; of a model also its class, name, inputs, outputs, parameters,
        preprocessing, classes, layers and methods; of weights alone their names, shapes and dtypes.

    Raises:
        ValueError: the file is damaged, unsafe or something else.
        FileNotFoundError: there is no such file.
    """
    from .keras.saving import kind_of

    path = os.fspath(path)
    found: Report = {"file": path, "bytes": _size(path)}
    return found | _READERS[kind_of(path)](path)


def _size(path: str) -> int:
    if os.path.isdir(path):
        return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    return os.path.getsize(path)


# Formats


def _torch(path: str) -> Report:
    from .keras.saving.torch_pickle import MAGIC, load_torch

    with open(path, "rb") as file:
        old = file.read(len(MAGIC)) == MAGIC
    arrays = load_torch(path)
    listed = ((name, array.shape, array.dtype.name) for name, array in arrays.items())
    return {
        "format": "PyTorch state dict",
        "writer": "PyTorch" + (" (form before 1.6)" if old else ""),
    } | _weights(listed)


def _safetensors(path: str) -> Report:
    from .keras.saving.safetensors_file import headers

    listed, remarks = headers(path)
    writer = "PyTorch" if remarks.get("format") == "pt" else "not known"
    return {"format": "safetensors", "writer": writer} | _weights(listed)


def _archive(path: str) -> Report:
    from .keras.saving import archive

    with archive.container.Archive(path) as opened:
        writer = f"Keras {archive.written_by(opened)}"
        metadata = opened.json(archive.METADATA) if archive.METADATA in opened else {}
    if isinstance(metadata, dict) and metadata.get("writer") == "cnnexplain":
        writer = f"cnnexplain, as {writer}"
    form = "Keras archive" + (", unzipped" if os.path.isdir(path) else "")
    found: Report = {"format": form, "writer": writer}
    if isinstance(metadata, dict) and isinstance(metadata.get("date_saved"), str):
        found["date"] = metadata["date_saved"]
    return found | _model(path)


def _hdf5(path: str) -> Report:
    from .keras.saving import attributes, container, legacy

    with container.open_hdf5(path) as file, container.reading(path):
        inner = file["model_weights"] if "model_weights" in file else file
        version = attributes.text(file, "keras_version") or attributes.text(inner, "keras_version")
        writer = f"Keras {version}" if version else "Keras"
        if not legacy.holds_model(file):
            form = "weights in HDF5, " + ("older form" if legacy.holds_weights(file) else "Keras 3 form")
            return {"format": form, "writer": writer} | _weights(_datasets(file))
    return {"format": "model in HDF5", "writer": writer} | _model(path)


def _datasets(file: Any) -> Iterator[tuple[str, tuple, str]]:
    import h5py

    from .keras.saving import container

    names: list[str] = []
    file.visit(names.append)
    for name in names:
        entry = file[name]
        if isinstance(entry, h5py.Dataset):
            yield name, entry.shape, "bfloat16" if container.is_bfloat16(entry) else entry.dtype.name


def _npz(path: str) -> Report:
    headers = dict(_npz_headers(path))
    if "architecture" in headers:
        return {"format": "model in a NumPy archive", "writer": "cnnexplain"} | _model(path)
    listed = ((name, shape, dtype) for name, (shape, dtype) in headers.items())
    return {"format": "arrays in a NumPy archive", "writer": "NumPy"} | _weights(listed)


def _npz_headers(path: str) -> Iterator[tuple[str, tuple[tuple, str]]]:
    """Shapes and dtypes of the arrays, none of which is read."""
    from .keras.saving import container

    with container.Archive(path) as archive:
        for name in archive.names:
            if not name.endswith(".npy"):
                continue
            with archive.open(name) as file, container.reading(f"{path}: {name}"):
                version = np.lib.format.read_magic(file)
                if version == (1, 0):
                    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                else:
                    shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            yield name.removesuffix(".npy"), (shape, dtype.name)


def _onnx(path: str) -> Report:
    from .onnx.importing import model_of
    from .onnx.reading import read

    file = read(path)
    return {"format": f"ONNX model, opset {file.opset}", "writer": file.producer or "not known"} | describe(
        model_of(file)
    )


_READERS: dict[str, Callable[[str], Report]] = {
    "archive": _archive, "hdf5": _hdf5, "npz": _npz, "onnx": _onnx, "safetensors": _safetensors,
    "torch": _torch,
}  # fmt: skip


def _weights(listed: Any) -> Report:
    weights = [{"name": name, "shape": list(shape), "dtype": dtype} for name, shape, dtype in listed]
    count = sum(math.prod(weight["shape"]) for weight in weights)
    return {"kind": "weights", "numbers": count, "weights": weights}


# Models


def _model(path: str) -> Report:
    from .keras.models import load_model

    return describe(load_model(path, compile=False))


def describe(model: Any) -> Report:
    """What `inspect` says of a model in memory.

    >>> from cnnexplain import demo
    >>> describe(demo.load_network())["methods"][0]
    {'method': 'cam', 'applies': True, 'layer': 'conv2d_3'}
    """
    found: Report = {"kind": "model", "class": type(model).__name__, "name": model.name}
    found["parameters"] = _count(model.weights)
    found["trainable"] = _count(model.trainable_weights)
    preprocess = getattr(model, "preprocess", None)
    found["preprocessing"] = preprocess if isinstance(preprocess, str) else None
    found["classes"] = list(getattr(model, "class_names", None) or ()) or None
    try:
        reading = _Reading(model)
    except (ValueError, TypeError, RuntimeError) as error:
        return found | {"layers": list(_layers(model, {})), "methods": [], "why": str(error)}
    found["inputs"] = _ends(model, "input_names", reading.trace.inputs)
    found["outputs"] = _ends(model, "output_names", reading.trace.outputs)
    shapes = {place.path: place.shape for place in reading.places}
    found["layers"] = list(_layers(model, shapes))
    found["methods"] = list(reading.methods())
    return found


def _count(weights: Any) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _ends(model: Any, attribute: str, symbols: list) -> list[Report]:
    names = list(getattr(model, attribute, None) or ())
    if len(names) != len(symbols):
        names = [str(place) for place in range(len(symbols))]
    return [
        {"name": name, "shape": list(symbol.shape), "dtype": symbol.dtype.name}
        for name, symbol in zip(names, symbols, strict=True)
    ]


def _layers(model: Any, shapes: dict[str, tuple], prefix: str = "") -> Iterator[Report]:
    """Layers in order, those of nested models after them as "outer/inner"."""
    for layer in model.layers:
        path = prefix + layer.name
        shape = shapes.get(path)
        nodes = layer._inbound_nodes  # of inputs, and of layers that hand their input on: augmentation
        if shape is None and len(nodes) == 1 and len(nodes[0].outputs) == 1:
            shape = tuple(nodes[0].outputs[0].shape)
        weights = layer.weights
        yield {
            "name": path,
            "class": type(layer).__name__,
            "shape": None if shape is None else list(shape),
            "parameters": _count(weights),
            "frozen": bool(weights) and not layer.trainable_weights,
        }
        if getattr(layer, "layers", None):
            yield from _layers(layer, shapes, f"{path}/")


class _Reading:
    """A traced model as the explanations see it, without images."""

    def __init__(self, model: Any):
        from .explain import layers
        from .keras.tracing import trace

        self.model = model
        self.trace = trace(model, training=False)
        self.places = layers.places(model, self.trace)
        self.notes: list[Any] = []

    def methods(self) -> Iterator[Report]:
        """For each output and method: whether it applies and to which layer, or why not."""
        from . import explain
        from .explain.target import Target

        several = len(self.trace.outputs) > 1
        names = [end["name"] for end in _ends(self.model, "output_names", self.trace.outputs)]
        images = [symbol for symbol in self.trace.inputs if len(symbol.shape) == 4]
        for output, symbol in zip(names, self.trace.outputs, strict=True):
            for method in explain.methods():
                entry: Report = {"method": method} | ({"output": output} if several else {})
                try:
                    if not images:
                        raise ValueError("no input of the model takes images (n, H, W, channels)")
                    self.image, self.target = images[0], Target(symbol)
                    layer = _RULES.get(method, _gradient)(self)
                except (ValueError, TypeError) as error:
                    yield entry | {"applies": False, "reason": str(error)}
                else:
                    yield entry | {"applies": True, "layer": layer}


def _cam(reading: _Reading) -> str:
    from .explain.cam import read_ending

    features, _ = read_ending(reading.target, reading.places)
    own = [place.path for place in reading.places if place.symbol.id == features.id]
    return own[-1] if own else "the maps that are pooled"


def _grad_cam(reading: _Reading) -> str:
    from .explain import layers

    return layers.find(reading.model, reading.trace, None, reading.target.logits, reading.image).path


def _gated(method: str) -> Callable[[_Reading], None]:
    def rule(reading: _Reading) -> None:
        from .explain.gradients import check_activations

        _gradient(reading)
        check_activations(reading, None, method)  # type: ignore[arg-type]

    return rule


def _guided_grad_cam(reading: _Reading) -> str:
    _gated("guided_grad_cam")(reading)
    return _grad_cam(reading)


def _relevance(method: str) -> Callable[[_Reading], None]:
    def rule(reading: _Reading) -> None:
        from .explain.relevance_steps import Way

        Way(reading, reading.target.logits, method, only_relu=method == "deep_taylor")

    return rule


def _gradient(reading: _Reading) -> None:
    from .explain.layers import upstream

    if reading.image.id not in upstream(reading.target.logits):
        raise ValueError("the output is not computed from the images")


_OF_A_LAYER = (
    "grad_cam",
    "grad_cam_plus_plus",
    "smooth_grad_cam_plus_plus",
    "hires_cam",
    "layer_cam",
    "xgrad_cam",
    "score_cam",
    "ablation_cam",
    "eigen_cam",
)
_RULES: dict[str, Callable[[_Reading], str | None]] = {
    "cam": _cam,
    **dict.fromkeys(_OF_A_LAYER, _grad_cam),
    **{method: _gated(method) for method in ("guided_backprop", "rectified_gradient")},
    "guided_grad_cam": _guided_grad_cam,
    **{method: _relevance(method) for method in ("lrp", "deep_taylor")},
}


# Text


def text(found: Report) -> str:
    """The report for people."""
    size = f"{found['bytes'] / 1e6:.1f} MB" if found["bytes"] >= 1e6 else f"{found['bytes'] / 1e3:.1f} kB"
    lines = [f"{found['file']}: {found['format']}, {size}, written by {found['writer']}"]
    if found["kind"] == "weights":
        lines += [f"{len(found['weights'])} arrays, {found['numbers']:,} numbers", ""]
        lines += _table(
            ("array", "shape", "dtype"),
            [(weight["name"], _shape(weight["shape"]), weight["dtype"]) for weight in found["weights"]],
        )
        return "\n".join(lines)
    lines.append(
        f"{found['class']} {found['name']!r}: {found['parameters']:,} parameters, "
        f"{found['trainable']:,} trainable"
    )
    for what in ("input", "output"):
        for end in found.get(f"{what}s", ()):
            lines.append(f"{what}: {end['name']}, {_shape(end['shape'])} {end['dtype']}")
    lines.append(f"preprocessing: {_preprocessing(found)}")
    if found["classes"]:
        first = ", ".join(found["classes"][:4])
        lines.append(
            f"classes: {len(found['classes'])}: {first}{', ...' if len(found['classes']) > 4 else ''}"
        )
    lines.append("")
    lines += _table(
        ("layer", "class", "output", "parameters"),
        [
            (
                layer["name"],
                layer["class"],
                "" if layer["shape"] is None else _shape(layer["shape"]),
                f"{layer['parameters']:,}" + (" frozen" if layer["frozen"] else ""),
            )
            for layer in found["layers"]
        ],
    )
    lines.append("")
    if "why" in found:
        return "\n".join([*lines, f"explanations: {found['why']}"])
    lines += _table(("explanation", "layer it looks at"), [_method(entry) for entry in found["methods"]])
    return "\n".join(lines)


def _preprocessing(found: Report) -> str:
    mode = found["preprocessing"]
    if mode is not None:
        return _MODES.get(mode, str(mode))
    inside = [layer["name"] for layer in found["layers"] if layer["class"] in _PREPARING]
    return f"inside the model: {', '.join(inside)}" if inside else "not known"


def _method(entry: Report) -> tuple[str, str]:
    name = entry["method"] + (f" of {entry['output']}" if "output" in entry else "")
    if not entry["applies"]:
        return name, f"does not apply: {entry['reason']}"
    return name, "none: the pixels" if entry["layer"] is None else str(entry["layer"])


def _shape(shape: list) -> str:
    sides = ", ".join("any" if side is None else str(side) for side in shape)
    return f"({sides}{',' if len(shape) == 1 else ''})"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their longest entry; the last one as it is."""
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in [heads, *rows]
    ]
