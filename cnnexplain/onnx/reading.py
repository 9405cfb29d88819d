"""The graph of an ONNX file as plain data, after everything that could not be followed has been refused."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from cnnexplain.keras.saving import container

from . import arrays

OLDEST, NEWEST = 9, 21
_EXPORT = "export again with opset_version=17, or convert with onnx.version_converter.convert_version"


@dataclass
class Call:
    """One node of the file: its attributes are Python values, arrays, or the branches of an `If`."""

    op: str
    domain: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    @property
    def title(self) -> str:
        """What messages call it: its name, or that of its output."""
        return self.name or next((name for name in self.outputs if name), "")


@dataclass
class Branch:
    """One of the two graphs of an `If`."""

    calls: list[Call]
    constants: dict[str, Any]
    outputs: list[str]

    def reads(self) -> list[str]:
        """The names that the graph around it makes."""
        made = {"", *self.constants, *(name for call in self.calls for name in call.outputs)}
        return [
            name for name in (*(n for c in self.calls for n in c.inputs), *self.outputs) if name not in made
        ]


@dataclass
class Input:
    """An input of the graph: sizes are integers, or None where the file leaves them open."""

    name: str
    kind: str
    shape: list[int | None]


@dataclass
class File:
    """What a file holds."""

    path: str
    opset: int
    producer: str
    inputs: list[Input]
    outputs: list[str]
    calls: list[Call]
    constants: dict[str, Any] = field(default_factory=dict)


def load_package() -> Any:
    """The `onnx` package.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        import onnx
    except ImportError:
        raise ImportError(
            "ONNX files are read with the package `onnx`: pip install 'cnnexplain[onnx]'"
        ) from None
    return onnx


def read(path: Any) -> File:
    """The graph of a file.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The package `onnx` is not installed.
        ValueError: The file is damaged or no ONNX model, of opsets that are not read, lacks its external
            data, or holds what is not read; the message says what and what to do.
    """
    if not isinstance(path, (str, os.PathLike)):
        hint = ", which onnx.save writes" if hasattr(path, "SerializeToString") else ""
        raise TypeError(f"`path` must be the path of an ONNX file{hint}. Received: {type(path).__name__}")
    path = os.fspath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"`path` must be an ONNX file. Received the folder {path}")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"`path` must be an ONNX file. There is no file {path}")
    model, places = _message(path, load_package())
    if model.functions:
        model = _inlined(model, path)
    return _described(model, places, path)


def _message(path: str, onnx: Any) -> tuple[Any, list[arrays.Place | None]]:
    with open(path, "rb") as file:
        begin = file.read(8)
        if begin.startswith((container.ZIP, container.HDF5)):
            raise container.refuse(
                path, "it is no ONNX file but an archive or HDF5 file: try cnnexplain.keras.models.load_model"
            )
        try:
            content, places = arrays.without_raw_data(file, os.path.getsize(path))
            model = onnx.ModelProto.FromString(content)
        except arrays.Damaged as error:
            raise container.refuse(path, str(error)) from None
        except Exception:
            raise container.refuse(path, "it is damaged, or no ONNX file") from None
    if not model.HasField("graph") or not model.graph.output:
        raise container.refuse(path, "it holds no graph: it is damaged, or no ONNX file")
    return model, places


def _inlined(model: Any, path: str) -> Any:
    import onnx.inliner

    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:
        raise container.refuse(path, f"its functions cannot be written out: {error}") from error


def _opset(model: Any, path: str) -> int:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx"))
    if opset is None:
        raise container.refuse(path, "it does not say of which opset its operators are: it is damaged")
    if not OLDEST <= opset <= NEWEST:
        raise container.refuse(
            path, f"its operators are of opset {opset}; {OLDEST} to {NEWEST} are read: {_EXPORT}"
        )
    return int(opset)


def _described(model: Any, places: list[arrays.Place | None], path: str) -> File:
    graph = model.graph
    if graph.sparse_initializer:
        names = [sparse.values.name for sparse in graph.sparse_initializer]
        raise container.refuse(path, f"it holds sparse arrays, {names}: export them dense")
    file = File(path, _opset(model, path), model.producer_name, [], [o.name for o in graph.output], [])
    folder = os.path.dirname(path) or "."
    if len(places) != len(graph.initializer):
        places = [None] * len(graph.initializer)
    missing: dict[str, int] = {}
    try:
        for proto, place in zip(graph.initializer, places, strict=True):
            try:
                file.constants[proto.name] = arrays.array_of(proto, place, folder, path)
            except arrays.MissingData as error:
                missing[str(error)] = missing.get(str(error), 0) + 1
        for node in graph.node:
            try:
                file.calls.append(_call(node, folder, path))
            except arrays.MissingData as error:
                missing[str(error)] = missing.get(str(error), 0) + 1
        _check_makers(file)
        file.inputs = [_input(i) for i in graph.input if i.name not in file.constants]
    except arrays.Damaged as error:
        raise container.refuse(path, str(error)) from None
    if missing:
        listed = ", ".join(f"{name!r} ({count} arrays)" for name, count in sorted(missing.items()))
        raise container.refuse(
            path, f"its weights are in files that are not beside it: {listed}. Put them into {folder!r}"
        )
    return file


def _check_makers(file: File) -> None:
    """Raises Damaged unless each value is made once."""
    made: set[str] = set()
    for call in file.calls:
        if not any(call.outputs):
            raise arrays.Damaged(f"its node {call.title!r}, {call.op}, has no output: it is damaged")
        for name in filter(None, call.outputs):
            if name in made:
                raise arrays.Damaged(f"two of its nodes make {name!r}: it is damaged")
            made.add(name)


def _call(node: Any, folder: str, path: str) -> Call:
    attributes = {}
    for attribute in node.attribute:
        is_branch = node.op_type == "If" and attribute.type == 5
        value = (_branch if is_branch else _attribute)(attribute, folder, path)
        if value is not None:
            attributes[attribute.name] = value
    if any(
        isinstance(name, bytes) for name in (node.op_type, node.domain, node.name, *node.input, *node.output)
    ):
        raise arrays.Damaged("it holds names that are no text: it is damaged")
    domain = "" if node.domain == "ai.onnx" else node.domain
    inputs = list(node.input)
    for branch in attributes.values():
        if isinstance(branch, Branch):  # what a branch reads the node reads
            inputs += branch.reads()
    return Call(node.op_type, domain, node.name, inputs, list(node.output), attributes)


def _branch(a: Any, folder: str, path: str) -> Branch:
    return Branch(
        [_call(node, folder, path) for node in a.g.node],
        {proto.name: arrays.array_of(proto, None, folder, path) for proto in a.g.initializer},
        [value.name for value in a.g.output],
    )


def _attribute(a: Any, folder: str, path: str) -> Any:
    kind = a.type
    if kind == 1:
        return float(a.f)
    if kind == 2:
        return int(a.i)
    if kind == 3:
        return a.s.decode("utf-8", "replace")
    if kind == 4:
        return arrays.array_of(a.t, None, folder, path)
    if kind == 6:
        return [float(value) for value in a.floats]
    if kind == 7:
        return [int(value) for value in a.ints]
    if kind == 8:
        return [value.decode("utf-8", "replace") for value in a.strings]
    return None  # graphs, sparse arrays: their operators are refused


def _input(value: Any) -> Input:
    if not value.type.HasField("tensor_type"):
        raise arrays.Damaged(f"its input {value.name!r} is no tensor: sequences and maps are not read")
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        raise arrays.Damaged(f"its input {value.name!r} has no shape: export it with one")
    kind = arrays.TYPES.get(tensor.elem_type, ("no numbers", ""))[0]
    if kind == "no numbers":
        raise arrays.Damaged(f"its input {value.name!r} holds no numbers that are read: export it in float32")
    sizes = [
        int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim
    ]
    return Input(value.name, kind, sizes)
