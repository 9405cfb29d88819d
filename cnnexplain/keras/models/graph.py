"""The graph of a functional model: its steps in an order in which they run, and its layers in Keras's
order.
"""

from __future__ import annotations

from typing import Any

from .. import naming, tree
from ..nodes import Node, Step, Symbol, plan

_STEP_CLASSES = {
    "divide": "TrueDivide",
    "slice": "GetItem",
    "reduce_mean": "Mean",
    "reduce_sum": "Sum",
    "reduce_max": "Max",
    "reduce_min": "Min",
    "floor_divide": "FloorDivide",
    "floor_mod": "Mod",
    "pow": "Power",
    "relu": "Relu",
    "reduce_prod": "Prod",
    "reduce_any": "Any",
    "reduce_all": "All",
    "concat": "Concatenate",
    "gather": "Take",
    "reverse": "Flip",
    "abs": "Absolute",
    "identity": "Copy",
    "asin": "Arcsin",
    "acos": "Arccos",
    "atan": "Arctan",
    "atan2": "Arctan2",
    "asinh": "Arcsinh",
    "acosh": "Arccosh",
    "atanh": "Arctanh",
}


def step_class(step: Step) -> str:
    """Keras's class name for an operation between layers."""
    op = step.maker.op
    return _STEP_CLASSES.get(op) or "".join(part.capitalize() for part in op.split("_"))


def symbols_of(structure: Any, argument: str) -> list:
    """The symbols of `inputs` or `outputs`; ValueError for anything else among them."""
    flat = tree.flatten(structure)
    for value in flat:
        if not isinstance(value, Symbol):
            raise ValueError(
                f"All `{argument}` values must be KerasTensors. Received: {argument}={structure} including "
                f"invalid value {value} of type {type(value)}"
            )
    return flat


class Graph:
    """Inputs, outputs and what lies between."""

    def __init__(self, inputs: Any, outputs: Any):
        self.input_structure = inputs
        self.output_structure = outputs
        self.inputs = symbols_of(inputs, "inputs")
        self.outputs = symbols_of(outputs, "outputs")
        if len({symbol.id for symbol in self.inputs}) != len(self.inputs):
            raise ValueError(f"All inputs of a model must be different tensors. Received: inputs={inputs}")
        self.steps = plan(self.inputs, self.outputs)
        self.input_layers = [_input_node(symbol) for symbol in self.inputs]
        self.operations = self._order()
        self.layers = [operation for operation in self.operations if not isinstance(operation, Step)]
        names: dict[str, int] = {}
        for layer in self.layers:
            names[layer.name] = names.get(layer.name, 0) + 1
        for name, count in names.items():
            if count > 1:
                raise ValueError(
                    f'The name "{name}" is used {count} times in the model. All operation names should be '
                    "unique."
                )
        self._name_steps()

    def nodes(self) -> list[Node]:
        """The calls of layers, in order."""
        return [step for step in self.steps if isinstance(step, Node)]

    def _order(self) -> list:
        """Layers and operations by decreasing depth, among equals in the order in which a walk from the
        outputs meets them: Keras's order, which is also that of the weights.
        """
        makers: dict[int, Node | Step] = {}
        for step in self.steps:
            for symbol in step.outputs:
                makers[symbol.id] = step
        for node in self.input_layers:
            if node is not None:
                for symbol in node.outputs:
                    makers.setdefault(symbol.id, node)
        known = {symbol.id for symbol in self.inputs}
        met: dict[int, int] = {}
        finished: set[int] = set()
        order: list[Node | Step] = []

        def parents(step: Node | Step) -> list:
            return [makers[symbol.id] for symbol in step.inputs if symbol.id in makers]

        for output in self.outputs:
            root = makers.get(output.id)
            if root is None or root.id in finished:
                continue
            stack = [(root, iter(self._stop(root, known, parents)))]
            met.setdefault(id(_operation(root)), len(met))
            while stack:
                step, rest = stack[-1]
                following = next((p for p in rest if p.id not in finished), None)
                if following is None:
                    stack.pop()
                    if step.id not in finished:
                        finished.add(step.id)
                        order.append(step)
                    continue
                met.setdefault(id(_operation(following)), len(met))
                stack.append((following, iter(self._stop(following, known, parents))))
        depth: dict[int, int] = {}
        operation_depth: dict[int, int] = {}
        operations: dict[int, Any] = {}
        for step in reversed(order):
            operation = _operation(step)
            here = max(depth.get(step.id, 0), operation_depth.get(id(operation), 0))
            depth[step.id] = operation_depth[id(operation)] = here
            operations[id(operation)] = operation
            if step in self.input_layers:
                continue
            for parent in parents(step):
                depth[parent.id] = max(here + 1, depth.get(parent.id, 0))
        for node in self.input_layers:
            if node is not None and id(node.layer) not in operations:
                operations[id(node.layer)] = node.layer
                operation_depth[id(node.layer)] = 0
                met[id(node.layer)] = -1
        self.depths = depth
        ordered = sorted(operations, key=lambda key: (-operation_depth[key], met[key]))
        return [operations[key] for key in ordered]

    def _stop(self, step: Node | Step, known: set[int], parents: Any) -> list:
        """The steps that `step` reads from, none when it is itself where the model begins."""
        if all(symbol.id in known for symbol in step.outputs):
            return []
        return parents(step)

    def by_depth(self) -> list[list[Node | Step]]:
        """Steps, input nodes included, grouped by depth from the inputs on."""
        groups: dict[int, list] = {}
        for step in [*(node for node in self.input_layers if node is not None), *self.steps]:
            groups.setdefault(self.depths.get(step.id, 0), []).append(step)
        return [groups[key] for key in sorted(groups, reverse=True)]

    def step_names(self) -> dict[int, str]:
        """Names of the operations between layers."""
        return {step.id: step.name or "" for step in self.steps if isinstance(step, Step)}

    def _name_steps(self) -> None:
        """Gives the operations names: add, add_1 ..., counted together with those of the layers."""
        used = {layer.name for layer in self.layers}
        for step in self.steps:
            if isinstance(step, Step):
                while step.name is None or step.name in used:
                    step.name = naming.auto_name(step_class(step))
                used.add(step.name)


def _operation(step: Node | Step) -> Any:
    return step.layer if isinstance(step, Node) else step


def _input_node(symbol: Any) -> Node | None:
    """The node of an input layer; None for an input in the middle of another graph."""
    history = getattr(symbol, "history", None)
    if not history or not isinstance(history[0], Node):
        return None
    node = history[0]
    return node if getattr(node.layer, "is_input", False) else None
