"""Weights in the layout of `.keras` archives and `.weights.h5` files, of every version that wrote it.

A group stands for a layer; its own variables are `vars/0`, `vars/1` ..., layers in it are groups beside
`vars`. A model's layers are in `layers` (before Keras 2.15 `_layer_checkpoint_dependencies`) by class:
conv2d, conv2d_1 ...; the versions before 2.15 counted layers with weights twice. Since 3.6 `vars` also tells
the layer's name.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import naming
from ..layers.base import Layer
from ..layers.store import Stored
from . import container

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
# Groups at the side of layers that hold no weights, and attributes that hold no layers.
_IGNORED = frozenset(
    "optimizer metrics _metrics _compile_metrics _compile_loss _loss_tracker seed_generator "
    "random_generator _random_generator".split()
)
_SKIPPED = frozenset(
    "_stack _symbols _graph _own _inbound_nodes _init_arguments _traces _programs _steps _compiled "
    "_compile_settings history optimizer".split()
)


class Node:
    """A group of the file: its arrays by number, its groups by name, the layer's name where it is told."""

    __slots__ = ("path", "name", "arrays", "children")

    def __init__(self, path: str = ""):
        self.path = path
        self.name: str | None = None
        self.arrays: dict[str, Any] = {}
        self.children: dict[str, Node] = {}

    def child(self, name: str) -> Node:
        if name not in self.children:
            self.children[name] = Node(f"{self.path}/{name}".lstrip("/"))
        return self.children[name]

    def at(self, path: str) -> Node:
        node = self
        for part in path.replace("\\", "/").split("/"):
            if part:
                node = node.child(part)
        return node

    def items(self) -> list[Any]:
        """The arrays in order."""
        return [self.arrays[key] for key in sorted(self.arrays, key=_number)]

    def holds(self) -> bool:
        """Are there arrays in it or in groups inside?"""
        return bool(self.arrays) or any(
            node.holds() for name, node in self.children.items() if name not in _IGNORED
        )

    def groups(self) -> Iterator[Node]:
        """Itself and what is inside, where there are arrays."""
        if self.arrays:
            yield self
        for name, node in self.children.items():
            if name not in _IGNORED:
                yield from node.groups()

    @property
    def layers(self) -> Node:
        for name in CONTAINERS:
            if name in self.children:
                return self.children[name]
        return Node(f"{self.path}/layers".lstrip("/"))


def _number(key: str) -> tuple:
    return (0, int(key), key) if key.isdecimal() and len(key) < 10 else (1, 0, key)


def tree_of_hdf5(group: Any) -> Node:
    """The nodes of an open HDF5 file or a group of it."""
    import h5py

    root = Node()
    stack: list[tuple[Any, Node]] = [(group, root)]
    while stack:
        here, node = stack.pop()
        for name in here:
            entry = here[name]
            if not isinstance(entry, h5py.Group):
                continue
            if name.replace("\\", "/").split("/")[-1] != "vars":
                stack.append((entry, node.at(name)))
                continue
            owner = node.at(name.replace("\\", "/")[: -len("vars")])
            told = entry.attrs.get("name")
            owner.name = told.decode() if isinstance(told, bytes) else told if isinstance(told, str) else None
            owner.arrays.update({key: entry[key] for key in entry if isinstance(entry[key], h5py.Dataset)})
    return root


def tree_of_arrays(stored: dict[str, dict[str, np.ndarray]]) -> Node:
    """The nodes of arrays by path and number."""
    root = Node()
    for path, arrays in stored.items():
        root.at("" if path == "__root__" else path).arrays.update(arrays)
    return root


def is_layout(group: Any) -> bool:
    """Has an HDF5 group this layout?"""
    return any(name in group for name in ("vars", *CONTAINERS)) or any(
        re.match(r"(layers|_layer_checkpoint_dependencies)\\", name) for name in group
    )


# Which array belongs to which variable


def _is_stack(layer: Any) -> bool:
    """Is it a functional or sequential model, whose layers are listed before its attributes?"""
    from ..models import Sequential

    return isinstance(layer, Sequential) or getattr(layer, "_graph", None) is not None


def _attributes(layer: Any) -> list[tuple[str, Any]]:
    """Attributes that hold layers, one or several, by name, private ones last."""
    from ..metrics import Metric

    def holds(value: Any, depth: int = 0) -> bool:
        if isinstance(value, (Layer, Metric)):
            return True
        if depth > 20 or not isinstance(value, (list, tuple, dict)):
            return False
        return any(holds(v, depth + 1) for v in (value.values() if isinstance(value, dict) else value))

    cls = type(layer)
    found = [
        # `_query_dense` is `query_dense` where there is such a property, which Keras meets first
        (name[1:] if name[:1] == "_" and isinstance(getattr(cls, name[1:], None), property) else name, v)
        for name, v in layer.__dict__.items()
        if name not in _SKIPPED and holds(v)
    ]
    return sorted(found, key=lambda item: (item[0].startswith("_"), item[0]))


def _class_name(item: Any) -> str:
    if not isinstance(item, Layer):
        return "container" if isinstance(item, (list, tuple, dict)) else _snake(item)
    return _snake(item)


def _snake(item: Any) -> str:
    return naming.to_snake_case(type(item).__name__)


def _values(items: Any) -> list[Any]:
    return list(items.values()) if isinstance(items, dict) else list(items)


class Plan:
    """Which arrays go into which variables, and what does not fit."""

    def __init__(self, by_name: bool):
        self.by_name = by_name
        self.pairs: list[tuple[Any, Any, str]] = []
        self.own: list[tuple[Any, Node]] = []  # layers that read their arrays themselves
        self.problems: list[str] = []
        self._seen: set[int] = set()

    def layer(self, layer: Any, node: Node, place: str) -> None:
        if id(layer) in self._seen:
            return
        self._seen.add(id(layer))
        from ..models import Model

        self._variables(layer, node, place)
        used: set[str] = set()
        for name, value in _parts(layer):
            if name == "layers" and isinstance(layer, Model):
                used.update(CONTAINERS)
                if _is_stack(layer) or node.layers.children:
                    inner = [one for one in value if id(one) not in self._seen]
                    self.several(value if _is_stack(layer) else inner, node.layers, place)
            else:
                other = name[1:] if name.startswith("_") else f"_{name}"
                key = other if name not in node.children and other in node.children else name
                used.add(key)
                inner_place = f"{place}.{name}".lstrip(".")
                self._attribute(value, node.children.get(key) or Node(f"{node.path}/{name}"), inner_place)
        for name, extra in node.children.items():
            if name not in used and name not in _IGNORED:
                self._unused(extra)

    def _attribute(self, value: Any, node: Node, place: str) -> None:
        if isinstance(value, Layer):
            self.layer(value, node, place)
        elif isinstance(value, (list, tuple, dict)):
            self.several(_values(value), node, place)

    def _variables(self, layer: Any, node: Node, place: str) -> None:
        arrays = node.items()
        if type(layer).load_own_variables is not Stored.load_own_variables:
            self.own.append((layer, node))
            return
        variables = layer._own_variables()
        if len(variables) != len(arrays):
            names = ", ".join(f"{v.name} {tuple(v.shape)}" for v in variables) or "no weights"
            shapes = ", ".join(str(tuple(a.shape)) for a in arrays) or "none"
            self.problems.append(
                f"layer '{place}' ({type(layer).__name__}) has {len(variables)} weights of its own: {names}; "
                f"the file has {len(arrays)} at '{node.path}': {shapes}"
            )
            return
        for variable, array in zip(variables, arrays, strict=True):
            what = f"'{variable.name}' of layer '{place}' ({type(layer).__name__})"
            try:
                container.check_fits(array, tuple(variable.shape), what)
            except ValueError as error:
                self.problems.append(str(error))
            else:
                self.pairs.append((variable, array, what))

    def several(self, items: list, node: Node, place: str) -> None:
        """Layers beside each other and the groups that stand for them."""
        groups = {name: child for name, child in node.children.items() if child.holds()}
        wanted: list[Any] = []
        seen = set(self._seen)
        for item in items:
            if isinstance(item, (list, tuple, dict)) or (isinstance(item, Layer) and _stores(item, seen)):
                wanted.append(item)
            if isinstance(item, Layer):
                seen.update(map(id, item._flatten_layers()))
        names = [child.name for child in groups.values()]
        layers = [item for item in wanted if isinstance(item, Layer)]
        if (
            self.by_name
            and len(layers) == len(wanted)
            and sorted(map(str, names)) == sorted(layer.name for layer in layers)
        ):
            named = {child.name: child for child in groups.values()}
            pairs: list[tuple[Any, Node | None]] = [(layer, named[layer.name]) for layer in layers]
            groups = {}
        else:
            pairs = []
            classes: dict[str, list[str]] = {}
            for name in groups:
                base, number = _split(name, {_class_name(item) for item in wanted})
                classes.setdefault(base, []).append(name)
            for base, found in classes.items():
                found.sort(key=lambda name: _split(name, {base})[1])
            for item in wanted:
                waiting = classes.get(_class_name(item))
                pairs.append((item, groups.pop(waiting.pop(0)) if waiting else None))
        outer = f"{place}/" if place else ""
        for item, child in pairs:
            if isinstance(item, Layer):
                if child is None and _stores(item, self._seen):
                    self.problems.append(
                        f"layer '{outer}{item.name}' ({type(item).__name__}) has no group in '{node.path}'"
                    )
                    self._seen.add(id(item))
                else:
                    self.layer(item, child or Node(), f"{outer}{item.name}")
            elif child is not None or any(
                isinstance(one, Layer) and _stores(one, self._seen) for one in _values(item)
            ):
                self.several(_values(item), child or Node(node.path), place)
        for child in groups.values():
            self._unused(child)

    def _unused(self, node: Node) -> None:
        for group in node.groups():
            shapes = ", ".join(str(tuple(a.shape)) for a in group.items())
            named = f" of '{group.name}'" if group.name else ""
            self.problems.append(f"group '{group.path}'{named} with arrays {shapes} has no layer")


def _stores(layer: Any, seen: set[int]) -> bool:
    """Has the layer, or one inside that was not seen, something to store?"""
    return any(
        id(one) not in seen
        and (one._own_variables() or type(one).load_own_variables is not Stored.load_own_variables)
        for one in layer._flatten_layers()
    )


def _split(name: str, known: set[str]) -> tuple[str, int]:
    """conv2d_10 as ("conv2d", 10); a class whose own name ends so stays whole."""
    if name in known:
        return name, 0
    base, _, number = name.rpartition("_")
    return (base, int(number)) if base and number.isdecimal() and len(number) < 10 else (name, 0)


def plan(model: Any, root: Node, by_name: bool = False) -> Plan:
    """Pairs the model's variables with the arrays of a file."""
    made = Plan(by_name)
    made.layer(model, root, "")
    return made


def carry_out(made: Plan, where: Any, skip_mismatch: bool = False, fresh: bool = False) -> None:
    """Reads the arrays into the variables; nothing is changed when something does not fit.

    Raises:
        ValueError: Layers without arrays, arrays without layers, or wrong shapes: all of them are named.
    """
    if made.problems:
        text = "; ".join(made.problems)
        if not skip_mismatch:
            raise container.refuse(where, f"its weights do not fit the model: {text}")
        warnings.warn(f"Weights of {where} that do not fit the model were left out: {text}", stacklevel=4)
    with container.reading(where):
        for variable, array, _ in made.pairs:
            container.read_into(array, variable, fresh)
        for layer, node in made.own:
            layer.load_own_variables({key: container.as_array(a) for key, a in node.arrays.items()})


def load_layout(
    group: Any, model: Any, skip_mismatch: bool = False, fresh: bool = False, where: Any = "the file"
) -> None:
    """Reads the model's weights from an HDF5 group, or from nodes.

    Args:
        group: in this module's layout.
        skip_mismatch: whether what does not fit is left out, with a warning.
        fresh: whether the model has just been made from the same file.
        where: what errors call the file.
    """
    with container.reading(where):
        root = group if isinstance(group, Node) else tree_of_hdf5(group)
    carry_out(plan(model, root, by_name=fresh), where, skip_mismatch, fresh)


def load_optimizer(root: Node, optimizer: Any) -> None:
    """Reads the optimizer's state; a warning when there is one of another optimizer.

    Keras 2 does not write the learning rate, nor what `Nadam` multiplies up, among the variables.
    """
    node = root.children.get("optimizer")
    if node is None or not node.arrays:
        return
    arrays = node.items()
    own = optimizer.variables
    states = [variable for variable in own[1:] if variable.shape]
    for variables in (own, [own[0], *own[2:]], [own[0], *states]):
        if [tuple(v.shape) for v in variables] == [tuple(a.shape) for a in arrays]:
            break
    else:
        variables = own[:1]
        if states or tuple(arrays[0].shape) != ():  # SGD of Keras 2 has momenta even when it uses none
            warnings.warn(
                f"The state of the optimizer '{optimizer.name}' was not restored: it has {len(own)} "
                f"variables, the file {len(arrays)}, or their shapes differ.",
                stacklevel=4,
            )
            return
    for variable, array in zip(variables, arrays, strict=False):
        container.check_fits(array, tuple(variable.shape), f"the optimizer's '{variable.name}'")
        container.read_into(array, variable)


# Writing


def save_layout(group: Any, model: Any, include_optimizer: bool = True) -> None:
    """Writes the weights, and the optimizer's state, into an HDF5 group."""
    from ..metrics import Metric

    seen: set[int] = set()

    def write(thing: Any, path: str) -> None:
        if id(thing) in seen:
            return
        seen.add(id(thing))
        place = group.create_group(f"{path}/vars" if path else "vars")
        name = getattr(thing, "name", None)
        if isinstance(name, str):
            place.attrs["name"] = name
        store: dict[str, Any] = {}
        if isinstance(thing, Layer) and type(thing).save_own_variables is Stored.save_own_variables:
            store = {str(k): np.asarray(v) for k, v in enumerate(thing._own_variables())}
        elif hasattr(thing, "save_own_variables"):
            thing.save_own_variables(store)
        else:  # a metric
            store = {str(k): np.asarray(v) for k, v in enumerate(thing._own_variables)}
        for key, value in store.items():
            place.create_dataset(str(key), data=np.asarray(value))
        if isinstance(thing, Layer):
            parts = _parts(thing)
            if include_optimizer and getattr(thing, "optimizer", None) is not None:
                parts.append(("optimizer", thing.optimizer))
            for attribute, value in parts:
                inner = f"{path}/{attribute}".lstrip("/")
                if isinstance(value, (list, tuple, dict)):
                    several(_values(value), inner)
                else:
                    write(value, inner)

    def several(items: list, path: str) -> None:
        used: dict[str, int] = {}
        for item in items:
            if not isinstance(item, (list, tuple, dict, Layer, Metric)):
                continue
            base = _class_name(item)
            count = used.get(base, 0)
            used[base] = count + 1
            inner = f"{path}/{base}_{count}" if count else f"{path}/{base}"
            if isinstance(item, (list, tuple, dict)):
                several(_values(item), inner)
            else:
                write(item, inner)

    write(model, "")


def _parts(layer: Any) -> list[tuple[str, Any]]:
    """What Keras walks through, in its order."""
    from ..models import Model

    found = _attributes(layer)
    if isinstance(layer, Model):
        if not _is_stack(layer):
            found.append(("layers", layer.layers))
        found.sort(key=lambda item: (item[0].startswith("_"), item[0]))
        if _is_stack(layer):
            found.insert(0, ("layers", layer.layers))
    return found
