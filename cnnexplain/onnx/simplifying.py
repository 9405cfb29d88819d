"""Graphs before they are walked: nodes that one layer stands for are joined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .folding import FOLDS
from .reading import Call, File
from .registry import Node


def simplified(file: File) -> File:
    """The file with fewer nodes that compute the same."""
    for step in _STEPS:
        file = step(file)
    return file


def _users(file: File) -> dict[str, list[Call]]:
    """The nodes that read each value."""
    users: dict[str, list[Call]] = {}
    for call in file.calls:
        for name in call.inputs:
            users.setdefault(name, []).append(call)
    return users


def _next(file: File, users: dict[str, list[Call]], call: Call, op: str) -> Call | None:
    """The only reader of a node's output, if it is this operator."""
    name = call.outputs[0]
    readers = users.get(name, [])
    return readers[0] if len(readers) == 1 and readers[0].op == op and name not in file.outputs else None


def _other(call: Call, name: str) -> str:
    """The other operand of a node with two."""
    return next((other for other in call.inputs if other != name), "")


def _with_constants(file: File) -> File:
    """Arrays in nodes, and second names of arrays, among the constants."""
    constants, calls = dict(file.constants), []
    for call in file.calls:
        if call.op == "Constant" and "value" in call.attributes and not call.domain:
            constants[call.outputs[0]] = call.attributes["value"]
        elif call.op == "Identity" and call.inputs[0] in constants and not call.domain:
            constants[call.outputs[0]] = constants[call.inputs[0]]
        else:
            calls.append(call)
    return replace(file, calls=calls, constants=constants)


def _with_biases(file: File) -> File:
    """The bias of a product with a constant matrix moved into the product."""
    users = _users(file)
    joined: dict[int, Call | None] = {}
    for call in file.calls:
        add = _next(file, users, call, "Add") if call.op == "MatMul" and len(call.inputs) == 2 else None
        if add is None:
            continue
        bias = _other(add, call.outputs[0])
        matrix, vector = file.constants.get(call.inputs[1]), file.constants.get(bias)
        if matrix is None or vector is None or len(matrix.shape) != 2 or vector.shape != matrix.shape[1:]:
            continue
        joined[id(call)] = replace(
            call, inputs=[*call.inputs, bias], outputs=[add.outputs[0], call.outputs[0], add.name]
        )
        joined[id(add)] = None
    calls = [joined.get(id(call), call) for call in file.calls]
    return replace(file, calls=[call for call in calls if call is not None])


def _with_group_normalizations(file: File) -> File:
    """An instance normalization of channels reshaped to groups, with factors behind it, as one node."""
    users = _users(file)
    makers = {name: call for call in file.calls for name in call.outputs if name}
    joined: dict[int, Call] = {}
    for call in file.calls:
        before = makers.get(call.inputs[0]) if call.op == "InstanceNormalization" else None
        after = _next(file, users, call, "Reshape")
        if before is None or after is None or before.op != "Reshape":
            continue
        groups = file.constants.get(before.inputs[1])
        factors = [file.constants.get(name) for name in call.inputs[1:]]
        mul = _next(file, users, after, "Mul")
        add = None if mul is None else _next(file, users, mul, "Add")
        if groups is None or any(array is None for array in factors) or mul is None or add is None:
            continue
        shape = makers.get(after.inputs[1])
        arrays = [_other(mul, after.outputs[0]), _other(add, mul.outputs[0])]
        found = [file.constants.get(name) for name in arrays]
        if any(array is None or not _per_channel(array) for array in found):
            continue
        if shape is None or shape.op != "Shape" or shape.inputs[0] != before.inputs[0]:
            continue
        sizes = np.asarray(groups).tolist()
        if len(sizes) != 3 or sizes[0] != 0 or sizes[2] != -1:
            continue
        if not np.all(np.asarray(factors[0]) == 1) or np.any(np.asarray(factors[1])):
            continue
        attributes = {"num_groups": sizes[1], "epsilon": call.attributes.get("epsilon", 1e-5)}
        outputs = [*add.outputs, *call.outputs]
        name = call.name or add.name
        joined[id(add)] = Call(
            "GroupNormalization", "", name, [before.inputs[0], *arrays], outputs, attributes
        )
    constants = dict(file.constants)
    for call in joined.values():
        flat = [f"{name}.channels" for name in call.inputs[1:]]
        for name, source in zip(flat, call.inputs[1:], strict=True):
            constants[name] = np.asarray(constants[source]).ravel()
        call.inputs[1:] = flat
    return replace(file, calls=[joined.get(id(call), call) for call in file.calls], constants=constants)


def _per_channel(array: Any) -> bool:
    """Has it one number for each channel of an image (c, 1, 1)?"""
    sizes = tuple(array.shape)
    return len(sizes) >= 3 and sizes[-2:] == (1, 1) and np.prod(sizes) == sizes[-3]


def _with_turns(file: File) -> File:
    """A turn from NHWC to NCHW of images with one channel, which tf2onnx writes as two reshapes."""
    makers = {name: call for call in file.calls for name in call.outputs if name}
    if not any(len(given.shape) == 4 and given.shape[-1] == 1 for given in file.inputs):
        return file
    calls = []
    for call in file.calls:
        before = makers.get(call.inputs[0]) if call.op == "Reshape" and len(call.inputs) == 2 else None
        if before is not None and before.op == "Unsqueeze":
            target = file.constants.get(call.inputs[1])
            axes = before.attributes.get("axes", file.constants.get(before.inputs[-1]))
            if _equals(target, [-1, 1, 0, 0]) and _equals(axes, [0]):
                turn = {"perm": [0, 3, 1, 2]}
                call = replace(call, op="Transpose", inputs=before.inputs[:1], attributes=turn)
        calls.append(call)
    return replace(file, calls=calls)


def _equals(array: Any, numbers: list[int]) -> bool:
    return array is not None and np.asarray(array).tolist() == numbers


def _without_copies(file: File) -> File:
    """A Gather that takes every number of a flattened array in its order is a Reshape.

    PyTorch writes `as_strided` so: the places are constants, or computed from the batch's size. Then they are
    computed here for a batch of three.
    """
    makers = {name: call for call in file.calls for name in call.outputs if name}
    constants, calls = dict(file.constants), []
    for call in file.calls:
        flat = makers.get(call.inputs[0]) if call.op == "Gather" and len(call.inputs) == 2 else None
        if flat is not None and flat.op == "Reshape" and _is_flat(file, flat):
            fixed = file.constants.get(call.inputs[1])
            places = _with_batch(file, makers, call.inputs[1], 3) if fixed is None else np.asarray(fixed)
            if places is not None and places.ndim > 1 and (fixed is not None or len(places) == 3):
                if np.array_equal(places.ravel(), np.arange(places.size)):
                    target = f"{call.outputs[0]}.shape"
                    constants[target] = np.array([-1, *places.shape[1:]])
                    call = replace(call, op="Reshape", inputs=[flat.inputs[0], target], attributes={})
        calls.append(call)
    return replace(file, calls=calls, constants=constants)


def _is_flat(file: File, call: Call) -> bool:
    shape = file.constants.get(call.inputs[1]) if len(call.inputs) == 2 else None
    return shape is not None and np.array_equal(np.asarray(shape), [-1])


def _with_batch(file: File, makers: dict[str, Call], wanted: str, batch: int) -> np.ndarray | None:
    """A value that depends on constants and the batch's size alone, for this size; None: on more."""
    shapes = {i.name: i.shape for i in file.inputs}
    needed: dict[int, Call] = {}
    stack = [wanted]
    while stack:
        call = makers.get(stack.pop())
        if call is not None and id(call) not in needed:
            needed[id(call)] = call
            if call.op != "Shape":
                stack += call.inputs
    known: dict[str, Any] = {"": None}
    for call in file.calls:
        if id(call) not in needed:
            continue
        node = Node(call.op, call.title, [], call.outputs, call.attributes, file.opset, "float32")
        try:
            if call.op == "Shape":
                sizes = [batch if k == 0 else s for k, s in enumerate(shapes[call.inputs[0]])]
                made = np.array(sizes[node.attribute("start", 0) : node.attribute("end")])
            else:
                arrays = [known[n] if n in known else np.asarray(file.constants[n]) for n in call.inputs]
                made = FOLDS[call.op](node, *arrays)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            return None
        for name, value in zip(call.outputs, made if isinstance(made, list) else [made], strict=False):
            known[name] = value
    return known.get(wanted)


_STEPS = (_with_constants, _with_biases, _with_group_normalizations, _with_turns, _without_copies)
