"""The table that `model.summary()` prints."""

from __future__ import annotations

import math
import re
import shutil
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..layers.base import Layer
from ..layers.description import map_shapes
from ..nodes import Node, Step
from ..utils.interaction import say
from ..utils.progbar import plain_text
from .graph import step_class

_OWN = __name__.partition(".")[0] + "."


def memory(size: float) -> str:
    """1.54 KB for 1577 bytes."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            return f"{size:.2f} {unit}"
        size /= 1024
    raise AssertionError


def _count(variables: list) -> tuple[int, int]:
    sizes = [(math.prod(v.shape), np.dtype(v.dtype.name).itemsize) for v in variables]
    return sum(n for n, _ in sizes), sum(n * width for n, width in sizes)


def _is_sequential(model: Any) -> bool:
    """Whether every step follows the one before and no layer is used twice."""
    graph = model._graph
    if graph is None or type(model).__name__ == "Sequential" or hasattr(model, "_stack"):
        return True
    nodes = []
    for group in graph.by_depth():
        if len(group) > 1 or len(group[0].inputs) > 1:
            return False
        nodes += group
    layers = [step.layer for step in nodes if isinstance(step, Node)]
    return len({id(layer) for layer in layers}) == len(layers)


def _shape(layer: Any, any_batch: bool = False) -> str:
    if isinstance(layer, Step):
        shapes: Any = [_format(symbol.shape) for symbol in layer.outputs]
    elif layer._inbound_nodes:
        shapes = tree.map_structure(lambda x: _format(x.shape), layer._inbound_nodes[-1].structure)
    elif getattr(layer, "is_input", False):
        shapes = _format(layer.batch_shape)
    else:
        shapes = _shape_of_built(layer, any_batch)
    flat = tree.flatten(shapes)
    return flat[0] if len(flat) == 1 else str(shapes).replace("'", "")


def _shape_of_built(layer: Any, any_batch: bool) -> Any:
    """The output's shape of a layer built outside of a graph; "?" where only running it would tell."""
    told = type(layer).compute_output_shape is not Layer.compute_output_shape
    if not layer.built or not (told or type(layer).__module__.startswith(_OWN)):
        return "?"
    try:
        if layer._build_shape is None:
            return tree.map_structure(lambda x: _format(x.shape), layer.output)
        shape = layer._build_shape
        if any_batch:
            shape = map_shapes(lambda sizes: (None, *sizes[1:]), shape)
        return map_shapes(_format, layer.compute_output_shape(shape))
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return "?"


def _format(shape: Any) -> str:
    return f"({', '.join(str(size) for size in shape)})" if len(shape) != 1 else f"({shape[0]},)"


def _connections(layer: Any, steps: list, names: dict[int, str]) -> str:
    parts = []
    wanted = {id(step) for step in steps}
    nodes = [layer] if isinstance(layer, Step) else layer._inbound_nodes
    makers = {symbol.id: step for step in steps if isinstance(step, Step) for symbol in step.outputs}
    for node in nodes:
        if id(node) not in wanted:
            continue
        for symbol in node.inputs:
            maker = makers.get(symbol.id)
            if maker is not None:
                parts.append(f"{names[maker.id]}[0][{symbol.port}]")
            elif symbol.history:
                source, place = symbol.history
                parts.append(f"{source.layer.name}[{source.index}][{place}]")
    return ", ".join(parts) or "-"


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width`, broken between words; a longer word ends in an ellipsis."""
    lines: list[str] = []
    for word in re.findall(r"\s*\S+", text):
        if lines and len(lines[-1]) + len(word) <= width:
            lines[-1] += word
        else:
            lines.append(word if not lines else word.lstrip())
    return [line if len(line) <= width else line[: max(0, width - 1)] + "…" for line in lines] or [""]


def _widths(positions: list, length: int) -> list[int]:
    """Inner widths of the columns; what borders and padding take is shared out evenly."""
    wanted, current = [], 0
    for position in positions:
        width = int(position * length) - current
        if width < 4:
            raise ValueError("Insufficient console width to print summary.")
        wanted.append(width + 2)
        current += width
    excess = sum(wanted) - (length - len(wanted) - 1)
    left = len(wanted)
    widths = []
    for width in wanted:
        taken = min(width, round(excess / left)) if excess > 0 else 0
        widths.append(width - taken)
        excess -= taken
        left -= 1
    return widths


def _row(
    cells: list[list[str]], widths: list[int], align: list[str], bar: str, bottom: bool = False
) -> list[str]:
    height = max(len(cell) for cell in cells)
    lines = []
    padded = [([""] * (height - len(c)) + c) if bottom else (c + [""] * (height - len(c))) for c in cells]
    for k in range(height):
        parts = []
        for cell, width, side in zip(padded, widths, align, strict=True):
            text, inner = cell[k], width - 2
            if side == "right":
                text = text.rjust(inner)
            elif side == "center":
                spare = inner - len(text)
                text = " " * (spare // 2) + text + " " * (spare - spare // 2)
            else:
                text = text.ljust(inner)
            parts.append(f" {text} ")
        lines.append(bar + bar.join(parts) + bar)
    return lines


def table(header: list[str], rows: list[list[str]], widths: list[int], align: list[str]) -> list[str]:
    """The lines of a table in box drawing characters."""
    lines = ["┏" + "┳".join("━" * w for w in widths) + "┓"]
    cells = [_wrap(text, width - 2) for text, width in zip(header, widths, strict=True)]
    lines += _row(cells, widths, align, "┃", bottom=True)
    lines.append("┡" + "╇".join("━" * w for w in widths) + "┩")
    for place, row in enumerate(rows):
        if place:
            lines.append("├" + "┼".join("─" * w for w in widths) + "┤")
        cells = [_wrap(text, width - 2) for text, width in zip(row, widths, strict=True)]
        lines += _row(cells, widths, align, "│")
    lines.append("└" + "┴".join("─" * w for w in widths) + "┘")
    return lines


def _range(layers: list, names: list[str], layer_range: Any) -> list:
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(
            f"`layer_range` must be a list or tuple of 2 strings. Received: layer_range={layer_range}"
        )
    lower = [i for i, name in enumerate(names) if re.match(layer_range[0], name)]
    upper = [i for i, name in enumerate(names) if re.match(layer_range[1], name)]
    if not lower or not upper:
        raise ValueError(
            f"Passed layer_names do not match the layer names in the model. Received: {layer_range}"
        )
    if min(lower) > max(upper):
        return layers[min(upper) : max(lower) + 1]
    return layers[min(lower) : max(upper) + 1]


def totals(model: Any) -> list[str]:
    """The lines that count the parameters."""
    trained, trained_bytes = _count(model.trainable_weights)
    fixed, fixed_bytes = _count(model.non_trainable_weights)
    optimizer = (
        model.optimizer if model.compiled and model.optimizer is not None and model.optimizer.built else None
    )
    own, own_bytes = _count(optimizer.variables) if optimizer is not None else (0, 0)
    lines = [
        f" Total params: {trained + fixed + own:,} ({memory(trained_bytes + fixed_bytes + own_bytes)})",
        f" Trainable params: {trained:,} ({memory(trained_bytes)})",
        f" Non-trainable params: {fixed:,} ({memory(fixed_bytes)})",
    ]
    if optimizer is not None:
        lines.append(f" Optimizer params: {own:,} ({memory(own_bytes)})")
    return lines


@dataclass(frozen=True)
class Listing:
    """What a summary lists: names and alignments of the columns, and a row of cells for each layer."""

    header: list[str]
    align: list[str]
    rows: list[list[str]]


def listing(
    model: Any, expand_nested: bool = False, show_trainable: bool = False, layer_range: Any = None
) -> Listing:
    """The layers of a model, with a column of connections where they are no chain."""
    graph = model._graph
    plain = _is_sequential(model)
    shown: list = list(model.layers) if graph is None or hasattr(model, "_stack") else list(graph.operations)
    names: dict[int, str] = graph.step_names() if graph is not None else {}
    steps = (
        [] if graph is None else [*(node for node in graph.input_layers if node is not None), *graph.steps]
    )
    header, align = ["Layer (type)", "Output Shape", "Param #"], ["left", "left", "right"]
    if not plain:
        header.append("Connected to")
        align.append("left")
    if show_trainable:
        header.append("Trainable")
        align.append("center")

    def fields(layer: Any, prefix: str) -> list[str]:
        name = names[layer.id] if isinstance(layer, Step) else layer.name
        kind = step_class(layer) if isinstance(layer, Step) else type(layer).__name__
        if isinstance(layer, Step):
            count = "0"
        elif not layer.built:
            count = "0 (unbuilt)"
        else:
            count = f"{layer.count_params():,}"
        row = [f"{prefix}{name} ({kind})", _shape(layer, graph is None and model.history is not None), count]
        if not plain:
            row.append(_connections(layer, steps, names))
        if show_trainable:
            has = not isinstance(layer, Step) and len(layer.weights) > 0
            row.append("-" if not has else "Y" if layer.trainable else "N")
        return row

    rows: list[list[str]] = []

    def add(layer: Any, level: int) -> None:
        rows.append(fields(layer, "   " * level + "└ " if level else ""))
        inner_layers = getattr(layer, "layers", None) if expand_nested and isinstance(layer, Layer) else None
        if inner_layers:
            for inner in inner_layers:
                add(inner, level + 1)

    labels = [names[layer.id] if isinstance(layer, Step) else layer.name for layer in shown]
    for layer in _range(shown, labels, layer_range):
        add(layer, 0)
    return Listing(header, align, rows)


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    print_fn: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> None:
    """Prints the table and the totals."""
    if _is_sequential(model):
        default, ends = 88, [0.45, 0.80, 1.0]
    else:
        default, ends = 108, [0.3, 0.56, 0.74, 1.0]
    ends = list(positions) if positions else ends
    if show_trainable:
        default += 12
        ends = [end * 0.90 for end in ends] + [1.0]
    found = listing(model, expand_nested, show_trainable, layer_range)
    if len(ends) != len(found.header):
        raise ValueError(
            f"`positions` must hold {len(found.header)} numbers. Received: positions={positions}"
        )
    length = line_length or min(default, shutil.get_terminal_size().columns - 4)
    lines = table(found.header, found.rows, _widths(ends, length), found.align)
    text = "\n".join([f'Model: "{model.name}"', *lines, *totals(model)])
    if print_fn is None:
        say(plain_text(text, sys.stdout))
    else:
        print_fn(text + "\n")
