"""Places in graphs as Keras 2 wrote them, and what they are today."""

from __future__ import annotations

from typing import Any

from . import old_operations
from .old_names import CLASSES

_RECURRENT = frozenset({"RNN", "LSTM", "GRU", "SimpleRNN", "Bidirectional"})


def safe_name(name: str) -> str:
    """A layer's name without the slashes that Keras 2 allowed: conv1/bn is conv1_bn, as Keras 3 has it."""
    return name.replace("/", "_")


class Places:
    """Places in an old graph, [name, call, output], as today's symbols; there the calls of a model inside
    another one were counted from 1.
    """

    def __init__(self, layers: list):
        self.calls: dict[str, int] = {}
        self.inner: dict[str, str] = {}
        self.met: dict[str, set[int]] = {}
        self.recurrent: set[str] = set()
        for entry in layers:
            name = _name(entry)
            nodes = entry.get("inbound_nodes") or []
            if not isinstance(nodes, (list, tuple)):
                raise ValueError(
                    f"`inbound_nodes` of layer '{name}' must be a list. Received: {nodes!r:.100}"
                )
            self.calls[name] = len(nodes)
            kind = CLASSES.get(entry["class_name"], entry["class_name"])
            if isinstance(entry["config"], list) or "layers" in entry["config"]:
                self.inner[name] = kind
        for entry in layers:
            self._look(entry.get("inbound_nodes"))

    def _look(self, value: Any) -> None:
        if self._is_place(value) and value[0] in self.inner:
            self.met.setdefault(value[0], set()).add(value[1])
        if isinstance(value, (list, tuple)):
            for item in value:
                self._look(item)
        elif isinstance(value, dict):
            for item in value.values():
                self._look(item)

    def _is_place(self, value: Any) -> bool:
        return (
            isinstance(value, (list, tuple))
            and len(value) in (3, 4)
            and isinstance(value[0], str)
            and value[0] in self.calls
            and isinstance(value[1], int)
            and isinstance(value[2], int)
        )

    def _call(self, name: str, index: int) -> int:
        """The number of the call, from 0."""
        met = self.met.get(name, set())
        shifted = name in self.inner and 0 not in met
        return index - 1 if shifted and index > 0 else index

    def symbol(self, place: Any) -> dict:
        name, index, port = place[:3]
        history = [safe_name(name), self._call(name, index), port]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}

    def ends(self, structure: Any) -> Any:
        """Inputs or outputs of the model, as Keras 3 counts there: a Functional inside from 1."""
        if self._is_place(structure):
            name, index, port = structure[:3]
            return [safe_name(name), self._call(name, index) + (self.inner.get(name) == "Functional"), port]
        if isinstance(structure, dict):
            return {key: self.ends(value) for key, value in structure.items()}
        if (
            not isinstance(structure, (list, tuple))
            or len(structure)
            and not isinstance(structure[0], (list, tuple, dict))
        ):
            raise ValueError(f"The model's inputs or outputs name what no layer makes: {structure!r:.100}")
        return [self.ends(value) for value in structure]

    def _value(self, value: Any) -> Any:
        """A keyword argument with its symbols."""
        if isinstance(value, (list, tuple)):
            if len(value) == 3 and self._is_place(value):
                return self.symbol(value)
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return value if "class_name" in value else {key: self._value(item) for key, item in value.items()}
        return value

    def _first(self, value: Any, kwargs: dict, name: str) -> Any:
        """The first argument; what is said beside its parts goes into `kwargs`."""
        if isinstance(value, dict):
            return {key: self._first(item, kwargs, name) for key, item in value.items()}
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"A call of layer '{name}' is not described as Keras 2 does: {value!r:.100}")
        if value and isinstance(value[0], str):
            if len(value) not in (3, 4) or len(value) == 4 and not isinstance(value[3], dict):
                raise ValueError(f"A call of layer '{name}' is not described as Keras 2 does: {value!r:.100}")
            if len(value) == 4:
                kwargs.update({key: self._value(item) for key, item in value[3].items()})
            if value[0] == "_CONSTANT_VALUE":
                return value[2]
            if not self._is_place(value):
                raise ValueError(
                    f"Layer '{name}' takes its input from '{value[0]}', which the model does not have."
                )
            return self.symbol(value)
        return [self._first(item, kwargs, name) for item in value]

    def nodes(self, entry: dict) -> list[dict]:
        """The calls of a layer as Keras 3 describes them."""
        name, found = _name(entry), []
        operation = old_operations.is_operation(entry)
        for node in entry["inbound_nodes"]:
            if isinstance(node, dict) and "args" in node:
                found.append(node)
                continue
            kwargs: dict = {}
            first = self._first(node, kwargs, name)
            if isinstance(first, list) and not operation:
                if len(first) == 1:
                    first = first[0]
                elif CLASSES.get(entry["class_name"], entry["class_name"]) in _RECURRENT:
                    kwargs["initial_state"] = first[1:]
                    first = first[0]
            if not operation:
                kwargs = {key: value for key, value in kwargs.items() if value is not None}
            found.append({"args": [first], "kwargs": kwargs})
        return found


def _name(entry: dict) -> str:
    config = entry["config"]
    name = entry.get("name") or (config.get("name") if isinstance(config, dict) else None)
    if not isinstance(name, str):
        raise ValueError(f"A layer has no name in the model's configuration: {entry!r:.200}")
    return name
