"""From layers to the boxes of a drawing: what leaves the shape as it is joins the box before it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .vertices import Vertex

# A drawing with more boxes than this shows one box for each run of layers of equal resolution.
MOST_BOXES = 36
# Stands for a size that is not known before the call.
_UNKNOWN = 32
_ROLES = ("conv", "pool", "merge", "dense", "input", "other")


@dataclass(eq=False)
class Box:
    """A feature map, or a vector (rank 1).

    Attributes:
        role: Decides the colour: conv, pool, merge, dense, input or other.
        title: What makes it, as in "conv 3×3 /2".
        shape: Its shape without the batch.
        window: Rows and columns of the kernel or pooling window that reads the box before it.
        notes: What is applied to it in place, as in "ReLU".
        layers: How many layers it stands for, by title, when runs are drawn as one.
        groups: In how many parts the channels are made apart from each other.
    """

    role: str
    title: str
    shape: tuple[int | None, ...]
    parents: list[Box]
    window: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)
    name: str = ""
    layers: dict[str, int] = field(default_factory=dict)
    groups: int = 1

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and channels; a vector is a row of channels."""
        known = [_UNKNOWN if size is None else size for size in self.shape]
        if len(known) == 1:
            return 1, 1, known[0]
        if len(known) == 2:
            return known[0], 1, known[1]
        return known[0], known[1], math.prod(known[2:]) if len(known) > 2 else 1

    @property
    def label(self) -> str:
        """Its shape as text: rows and columns, channels below them."""
        sizes = ["?" if size is None else str(size) for size in self.shape]
        return sizes[0] if len(sizes) == 1 else f"{'×'.join(sizes[:-1])}\n{sizes[-1]}"

    @property
    def caption(self) -> str:
        """Title and notes, one a line."""
        if self.layers:
            return "\n".join(f"{count} {title}" for title, count in self.layers.items())
        notes = list(dict.fromkeys(note for note in self.notes if note))
        return "\n".join([self.title, *([", ".join(notes)] if notes else [])])


_SHORT = {
    "BatchNormalization": "BN",
    "LayerNormalization": "LN",
    "GroupNormalization": "GN",
    "LocalResponseNormalization": "LRN",
    "ReLU": "ReLU",
    "LeakyReLU": "leaky ReLU",
    "Dropout": "dropout",
    "SpatialDropout2D": "dropout",
    "Softmax": "softmax",
    "ZeroPadding2D": "pad",
    "Cropping2D": "crop",
    "Flatten": "flatten",
    "Identity": "",
    "Rescaling": "rescale",
    "Normalization": "normalise",
}
_ACTIVATIONS = {"relu": "ReLU", "relu6": "ReLU6", "elu": "ELU", "selu": "SELU", "gelu": "GELU"}
_IN_PLACE = ("ZeroPadding", "Cropping", "Flatten", "Reshape")


def _activation(layer: Any) -> str:
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return "" if name == "linear" else _ACTIVATIONS.get(name, name)


def _note(vertex: Vertex) -> str:
    """How a layer that keeps the shape is named beside the box."""
    if vertex.kind == "Activation":
        return _activation(vertex.layer)
    return _SHORT.get(vertex.kind, vertex.name if vertex.layer is None else vertex.kind)


def _pair(value: Any) -> tuple[int, int]:
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return (int(sizes[0]), int(sizes[1])) if len(sizes) > 1 else (int(sizes[0]), 1)


def _window(vertex: Vertex) -> tuple[int, int] | None:
    size = getattr(vertex.layer, "kernel_size", None) or getattr(vertex.layer, "pool_size", None)
    return None if size is None else _pair(size)


def _title(vertex: Vertex, role: str) -> str:
    layer, window = vertex.layer, _window(vertex)
    if window is not None:
        groups = getattr(layer, "groups", 1)
        depthwise = "Depthwise" in vertex.kind or 1 < groups == getattr(layer, "filters", None)
        words = "depthwise" if depthwise else "separable" if "Separable" in vertex.kind else role
        if "Transpose" in vertex.kind:
            words = "transposed conv"
        if role == "pool":
            words = "max pool" if "Max" in vertex.kind else "average pool"
        strides = _pair(getattr(layer, "strides", 1) or window)
        step = "" if strides == (1, 1) or (role == "pool" and strides == window) else f" /{strides[0]}"
        apart = f", {groups} groups" if groups > 1 and not depthwise else ""
        return f"{words} {window[0]}×{window[1]}{step}{apart}"
    if vertex.kind.startswith("Global"):
        return "global max" if "Max" in vertex.kind else "global average"
    return {"Add": "add", "Concatenate": "concat", "Dense": "dense", "InputLayer": "input"}.get(
        vertex.kind, vertex.kind
    )


def _role(vertex: Vertex, parents: list[Box]) -> str:
    if not parents:
        return "input"
    if len(parents) > 1:
        return "merge"
    if getattr(vertex.layer, "kernel_size", None) is not None:
        return "conv"
    if getattr(vertex.layer, "pool_size", None) is not None or vertex.kind.startswith("Global"):
        return "pool"
    return "dense" if vertex.kind == "Dense" else "other"


def _joins(vertex: Vertex, parents: list[Box], role: str) -> bool:
    """Whether a layer is drawn as a note on the box that it reads."""
    if len(parents) != 1 or role != "other":
        return False
    return vertex.shape == parents[0].shape or vertex.kind.startswith(_IN_PLACE)


def boxes_of(vertices: list[Vertex]) -> list[Box]:
    """The boxes of a model, each after those that it reads."""
    boxes: list[Box] = []
    places: dict[int, Box] = {}
    for vertex in vertices:
        parents = list(dict.fromkeys(places[id(parent)] for parent in vertex.parents))
        role = _role(vertex, parents)
        if _joins(vertex, parents, role):
            places[id(vertex)] = parents[0]
            parents[0].notes.append(_note(vertex))
            continue
        box = Box(role, _title(vertex, role), vertex.shape, parents, _window(vertex), [], vertex.name)
        box.groups = getattr(vertex.layer, "groups", 1)
        box.notes.append(_activation(vertex.layer))
        boxes.append(box)
        places[id(vertex)] = box
    return boxes if len(boxes) <= MOST_BOXES else _collapsed(boxes)


def _collapsed(boxes: list[Box]) -> list[Box]:
    """One box for each run of boxes of equal resolution."""
    runs: list[Box] = []
    places: dict[int, Box] = {}
    for box in boxes:
        parents = [places[id(parent)] for parent in box.parents]
        run = runs[-1] if runs else None
        beside = run is not None and (run in parents or all(parent in run.parents for parent in parents))
        same = run is not None and run.shape[:-1] == box.shape[:-1] and len(box.shape) > 1
        if run is None or not beside or not same or "input" in (run.role, box.role):
            run = Box(box.role, box.title, box.shape, list(dict.fromkeys(parents)), box.window, [], box.name)
            runs.append(run)
        else:
            run.parents += [p for p in parents if p is not run and p not in run.parents]
            run.role = min(run.role, box.role, key=_ROLES.index)
            if box.size[2] > run.size[2]:
                run.shape = box.shape
        if box.role not in ("dense", "input"):
            run.layers[box.title] = run.layers.get(box.title, 0) + 1
        places[id(box)] = run
    for run in runs:
        common = sorted(run.layers.items(), key=lambda item: -item[1])
        run.layers = dict(common[:3]) if sum(run.layers.values()) > 1 else {}
        rest = sum(count for _, count in common[3:])
        if run.layers and rest:
            run.layers["others" if rest > 1 else "other"] = rest
    return runs
