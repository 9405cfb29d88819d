"""Small ONNX graphs for tests, in ONNX's text form: how they are described and built."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

IMAGES = (2, 3, 5, 7)


def draw(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


@dataclass
class Case:
    """A graph in ONNX's text form, its constants and the shapes of its inputs."""

    name: str
    text: str
    opset: int
    inputs: dict[str, tuple]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)  # of the one node
    positive: bool = False
    fixed: bool = False  # the batch is written into the file
    tolerance: float = 2e-5
    why: str = ""  # it is refused

    def model(self) -> Any:
        """The ModelProto: float inputs, the first side of each free, one output y."""
        import onnx
        from onnx import helper, numpy_helper, parser

        sides = {
            name: ",".join([str(shape[0]) if self.fixed else "N", *map(str, shape[1:])])
            for name, shape in self.inputs.items()
        }
        heads = ", ".join(f"float[{sides[name]}] {name}" for name in self.inputs)
        graph = parser.parse_graph(f"graph ({heads}) => (float y) {{ {self.text} }}")
        if self.attributes:
            graph.node[0].attribute.extend(
                helper.make_attribute(key, value) for key, value in self.attributes.items()
            )
        graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in self.constants.items()
        )
        for place, node in enumerate(graph.node):
            node.name = f"{node.op_type}_{place}"
        graph.output[0].CopyFrom(helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        made.ir_version = 8 if self.opset < 21 else 10
        return made

    @property
    def title(self) -> str:
        """The name without the opset: the same inputs for every opset."""
        return self.name.rpartition("/")[0]

    @property
    def feeds(self) -> dict[str, np.ndarray]:
        generator = draw(self.title)
        values = {}
        for name, shape in self.inputs.items():
            value = generator.normal(size=shape).astype("float32")
            values[name] = np.abs(value) + np.float32(0.25) if self.positive else value
        return values


CASES: dict[str, Case] = {}
REFUSED: dict[str, Case] = {}


def graph(
    name: str, text: str, *, opset: int = 13, x: tuple = IMAGES, others: dict | None = None, **more: Any
):
    """A case of several nodes; `more` may hold constants, positive, fixed, tolerance, why."""
    name = f"{name}/{opset}"
    family = REFUSED if "why" in more else CASES
    assert name not in family, name
    family[name] = Case(name, text, opset, {"x": x, **(others or {})}, **more)


def one(
    name: str, operator: str, *arguments: Any, opset: int | tuple = 13, x: tuple = IMAGES, **attributes: Any
):
    """A case of one node `y = operator(x, *arguments)`: arrays are constants, shapes random ones."""
    own = ("positive", "fixed", "tolerance", "why")
    settings = {key: attributes.pop(key) for key in own if key in attributes}
    for version in opset if isinstance(opset, tuple) else (opset,):
        key = f"{operator} {name}".strip()
        generator, constants, names = draw(key), {}, ["x"]
        for place, value in enumerate(arguments):
            names.append("" if value is None else f"c{place}")
            if isinstance(value, tuple):
                value = generator.normal(size=value).astype("float32")
            if value is not None:
                constants[names[-1]] = np.asarray(value)
        listed = ", ".join(part or '""' for part in names)
        text = f"y = {operator} ({listed})"
        graph(key, text, opset=version, x=x, constants=constants, attributes=attributes, **settings)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def moments(channels: int) -> list[np.ndarray]:
    """scale, bias, mean and variance."""
    generator = draw("moments")
    values = [generator.normal(size=channels) for _ in range(3)] + [generator.uniform(0.5, 2, channels)]
    return [value.astype("float32") for value in values]


ALL = (9, 11, 13, 17, 21)
