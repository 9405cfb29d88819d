"""A Keras model from the graph of an ONNX file."""

from __future__ import annotations

import importlib
import inspect
import os
from typing import Any

import numpy as np

from cnnexplain._convert import is_symbol
from cnnexplain.keras import Model, layers
from cnnexplain.keras.nodes import Step, origin
from cnnexplain.keras.saving import container

from .arrays import Damaged
from .folding import FOLDS, cut, has_unknown
from .reading import Branch, Call, File, Input
from .registry import OPERATORS, Node, Unsupported, legal
from .simplifying import simplified
from .values import IMAGE, Value, constant

_FAMILIES = ("convolutions", "elementwise", "pooling", "shapes", "reductions", "normalizations", "resize")
_CONTROL = ("If", "Loop", "Scan")
_DRAWN = ("Bernoulli", "Multinomial")


def load_families() -> None:
    """Fills the registry: each family's functions register themselves."""
    for family in _FAMILIES:
        importlib.import_module(f"{__package__}.{family}")


def model_of(file: File, dtype: str | None = None) -> Any:
    """The functional model of a file: images are (n, h, w, c).

    Raises:
        ValueError: Operators, or settings of them, that are not supported: all nodes are named at once.
    """
    load_families()
    file = simplified(file)
    calls = _needed(file)
    _check_operators(file, calls)
    if dtype is None:
        dtype = "float64" if any(i.kind == "DOUBLE" for i in file.inputs) else "float32"
    return _Import(file, calls, dtype).run()


def _needed(file: File) -> list[Call]:
    """The nodes that the outputs are computed from, in order."""
    wanted = set(file.outputs)
    kept = []
    for call in reversed(file.calls):
        if wanted.intersection(call.outputs):
            kept.append(call)
            wanted.update(call.inputs)
    return kept[::-1]


def _cure(op: str) -> str:
    if op in _CONTROL:
        return "export the model without control flow: traced, in evaluation mode, with fixed sizes"
    if "quantize" in op.lower() or op.startswith("QLinear") or op.endswith("Integer"):
        return "export the model in float32, before it is quantized"
    if op in _DRAWN or op.startswith("Random"):
        return "export the model in evaluation mode"
    return "export the model without it, or cut the graph before it"


def _check_operators(file: File, calls: list[Call]) -> None:
    wrong: dict[tuple[str, str], list[str]] = {}
    for call in calls:
        known = (
            call.op in OPERATORS or call.op in FOLDS or (call.op == "If" and _is_decided(file, calls, call))
        )
        if call.domain or not known:
            wrong.setdefault((call.domain, call.op), []).append(call.title)
    if wrong:
        lines = []
        for (domain, op), titles in wrong.items():
            kind = f"operator {op} of the custom domain {domain!r}" if domain else f"operator {op}"
            cure = "export without custom operators" if domain else _cure(op)
            lines.append(f"  {kind}, nodes {_listed(titles)}: {cure}")
        raise container.refuse(file.path, "operators that are not supported:\n" + "\n".join(lines))


def _is_decided(file: File, calls: list[Call], call: Call) -> bool:
    """Does the condition of an `If` ask for the equality of sizes and constants alone?

    A size that is not known counts as equal to no number: what is squeezed for a batch of one stays. Which of
    two sizes is larger would be a guess.
    """
    makers = {name: other for other in calls for name in other.outputs}
    given, names = {i.name for i in file.inputs}, call.inputs[:1]
    for name in names:
        maker = makers.get(name)
        if name in given or (maker is not None and (maker.op not in FOLDS or maker.op in _ORDER)):
            return False
        if maker is not None and maker.op != "Shape":
            names += [other for other in maker.inputs if other not in names]
    return isinstance(call.attributes.get("then_branch"), Branch)


def _listed(names: list[str], most: int = 8) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _check_count(function: Any, inputs: list[Value | None]) -> None:
    """Raises Unsupported where an operator's function cannot take these inputs."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL:
        parameters += [parameters.pop()] * max(0, len(inputs) - len(parameters) + 1)
    elif len(inputs) > len(parameters):
        raise Unsupported(f"it has {len(inputs)} inputs, which are too many")
    for place, parameter in enumerate(parameters):
        needed = parameter.default is inspect.Parameter.empty and "None" not in str(parameter.annotation)
        several = parameter.kind is inspect.Parameter.VAR_POSITIONAL
        if needed and not (several and place >= len(inputs)) and parameter.annotation != "Any":
            if place >= len(inputs) or inputs[place] is None:
                raise Unsupported(f"its input {place} is left out")


class _Import:
    """Values by name while the nodes are walked."""

    def __init__(self, file: File, calls: list[Call], dtype: str):
        self.file = file
        self.calls = calls
        self.dtype = dtype
        self.values: dict[str, Value] = {"": constant(np.zeros(0))}
        self.names: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.wrong: list[str] = []
        self.lost: set[str] = set()  # outputs of nodes that could not be followed

    def run(self) -> Any:
        symbols = [self._input(i) for i in self.file.inputs if self._is_used(i.name)]
        if not symbols:
            raise container.refuse(self.file.path, "its outputs are not computed from an input")
        for name, array in self.file.constants.items():
            self.values[name] = constant(array)
        self._walk(self.calls)
        if self.wrong:
            raise container.refuse(
                self.file.path, "nodes ask for what is not supported:\n" + "\n".join(self.wrong)
            )
        outputs = [self._output(name) for name in self.file.outputs]
        made = Model(
            symbols if len(symbols) > 1 else symbols[0],
            outputs if len(outputs) > 1 else outputs[0],
            name=legal(os.path.splitext(os.path.basename(self.file.path))[0]) or "onnx",
        )
        own = {operation.name for operation in made.operations}
        made.layer_aliases = {name: layer for name, layer in self.aliases.items() if layer in own}
        return made

    def _is_used(self, name: str) -> bool:
        return name in self.file.outputs or any(name in call.inputs for call in self.calls)

    # Inputs and outputs

    def _input(self, given: Input) -> Any:
        rank = len(given.shape)
        if rank < 2:
            raise container.refuse(
                self.file.path, f"its input {given.name!r} of shape {given.shape} has no axis for examples"
            )
        axes = IMAGE if rank == 4 and not self._is_channels_last(given) else tuple(range(rank))
        name = legal(given.name)
        self.names.add(name)
        symbol = layers.Input(tuple(given.shape[a] for a in axes[1:]), name=name, dtype=self.dtype)
        self.values[given.name] = Value(symbol, axes)
        self.aliases[given.name] = name
        return symbol

    def _is_channels_last(self, given: Input) -> bool:
        """Is the first thing that happens to the input a turn to NCHW?

        With one channel the turn is a Reshape. Where nothing tells, who wrote the file and the sizes do.
        """
        seen: set[int] = set()
        names = [given.name]
        while names:
            current = names.pop(0)
            for call in self.calls:
                if current not in call.inputs or id(call) in seen:
                    continue
                seen.add(id(call))
                if call.op == "Transpose" and list(call.attributes.get("perm", ())) in _TURNS:
                    return list(call.attributes["perm"]) == _TURNS[0]
                if call.op == "Reshape" and given.shape[-1] == 1:
                    target = self.file.constants.get(call.inputs[-1])
                    if target is not None and target.shape == (4,) and np.asarray(target)[1] == 1:
                        return True
                if call.op in ("Conv", "MaxPool", "AveragePool", "BatchNormalization", "GlobalAveragePool"):
                    return False
                if call.op in _BEFORE:
                    names += call.outputs
        *sides, last = given.shape[1:]
        looks = last in (1, 3) and all(side is not None and side > 4 for side in sides)
        return self.file.producer.startswith("tf2onnx") or looks

    def _output(self, name: str) -> Any:
        value = self.values.get(name)
        if value is None:
            raise container.refuse(self.file.path, f"no node makes its output {name!r}: it is damaged")
        if value.is_constant:
            raise container.refuse(self.file.path, f"its output {name!r} does not depend on an input")
        node = self._node(Call("Identity", "", f"{name}.output", [], [name], {}), [])
        if value.rank == 4 and value.axes == IMAGE and value.order is None:
            return value.data
        try:
            return node.plain(value).data
        except Unsupported as error:
            raise container.refuse(self.file.path, f"its output {name!r}: {error}") from None

    # Nodes

    def _walk(self, calls: list[Call]) -> None:
        for call in calls:
            if self.lost.intersection(call.inputs):
                self.lost.update(call.outputs)
                continue
            try:
                self._call(call)
            except Unsupported as error:
                self.wrong.append(f"  {call.op}, node {call.title!r}: {error}")
                self.lost.update(call.outputs)
            except Damaged as error:
                raise container.refuse(self.file.path, str(error)) from None

    def _node(self, call: Call, inputs: list[Value | None]) -> Node:
        return Node(
            call.op,
            call.title,
            inputs,
            call.outputs,
            call.attributes,
            self.file.opset,
            self.dtype,
            self.names,
        )

    def _call(self, call: Call) -> None:
        for name in call.inputs:
            if name not in self.values:
                raise container.refuse(
                    self.file.path, f"node {call.title!r} reads {name!r}, which nothing makes: it is damaged"
                )
        if call.op == "If":
            self._branch(call)
            return
        inputs: list[Value | None] = [self.values[name] if name else None for name in call.inputs]
        node = self._node(call, inputs)
        folded = self._folded(node)
        if folded is None:
            if call.op not in OPERATORS:
                raise Unsupported(
                    "it is followed for constants and shapes only, and its input is computed from the images"
                )
            _check_count(OPERATORS[call.op], inputs)
            try:
                with np.errstate(all="ignore"):
                    made = OPERATORS[call.op](node, *inputs)
            except Unsupported:
                raise
            except (TypeError, ValueError, IndexError, ArithmeticError, MemoryError) as error:
                raise Unsupported(str(error) or type(error).__name__) from error
            folded = made if isinstance(made, tuple) else (made,)
        for name, value in zip(call.outputs, folded, strict=False):
            self.values[name] = self._settled(value)
        self._note(call, self.values[call.outputs[0]], node)

    def _branch(self, call: Call) -> None:
        """Follows the branch of an `If` that sizes decide, as PyTorch writes for `squeeze`."""
        condition = self.values[call.inputs[0]]
        if not condition.is_constant or has_unknown(condition.array):
            raise Unsupported("its condition is not known while the file is read: export with fixed sizes")
        branch = call.attributes["then_branch" if condition.array.all() else "else_branch"]
        _check_operators(self.file, branch.calls)
        self.values.update((name, constant(array)) for name, array in branch.constants.items())
        self._walk(branch.calls)
        for name, inner in zip(call.outputs, branch.outputs, strict=False):
            if inner in self.lost:
                self.lost.add(name)
            else:
                self.values[name] = self.values[inner]
                self._note(call, self.values[name], self._node(call, []))

    def _folded(self, node: Node) -> tuple[Value, ...] | None:
        """The outputs of a node that needs only constants and shapes."""
        if node.op == "Shape" and node.inputs and node.inputs[0] is not None:
            return (constant(cut(node, node.inputs[0].shape)),)
        if node.op not in FOLDS or any(x is not None and not x.is_constant for x in node.inputs):
            return None
        _check_count(FOLDS[node.op], node.inputs)
        try:
            with np.errstate(all="ignore"):
                made = FOLDS[node.op](node, *[None if x is None else x.array for x in node.inputs])
        except Unsupported:
            raise
        except (TypeError, ValueError, IndexError, OverflowError, MemoryError) as error:
            raise Unsupported(f"its constants do not fit together: {error}") from error
        return tuple(map(constant, made if isinstance(made, list) else [made]))

    def _settled(self, value: Value) -> Value:
        """An array where a function worked on arrays alone."""
        if is_symbol(value.data) or isinstance(value.data, np.ndarray):
            return value
        back = np.argsort(value.axes)
        return constant(np.asarray(value.data).transpose(back))

    def _note(self, call: Call, value: Value, node: Node) -> None:
        """Names what was made after the node, and notes by which names of the file it can be found."""
        if value.is_constant:
            return
        made = origin(value.data)
        if made is not None:
            found = made.layer.name
        else:
            step = Step(value.data.maker)
            found = step.name = step.name or node.free_name()
        for name in (call.name, *call.outputs):
            if name:
                self.aliases.setdefault(name, found)


# what may be done to an image before it is turned
_BEFORE = frozenset("Cast Identity Add Sub Mul Div Neg Clip Pad Slice Gather Concat Split".split())
_ORDER = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_TURNS = [[0, 3, 1, 2], [0, 2, 3, 1]]
