"""What the CAM methods share: one layer or several, activations and gradients, and how maps become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnexplain import _core, ops

from .explanation import Explanation
from .layers import Place
from .sampling import note_infinite
from .session import Session
from .target import Scored

FUSIONS = ("mean", "max")
Arrays = dict[str, np.ndarray]
"""What a layer gives, by the names of the steps; the last one is the raw map (n,h,w)."""


def find_places(session: Session, layer: Any, fuse: Any) -> list[Place]:
    """The layers that `layer` names: one, or each of a list."""
    if fuse not in FUSIONS:
        raise ValueError(f"`fuse` must be one of {', '.join(FUSIONS)}. Received: fuse={fuse!r}")
    if not isinstance(layer, (list, tuple)):
        return [session.place(layer)]
    if not layer:
        raise ValueError("`layer` must hold at least one layer. Received: an empty list")
    return [session.place(one) for one in layer]


def slopes(instance: Any, scored: Scored, places: Sequence[Place]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Activations A and gradients dy/dA of every layer after a run, from one backward pass."""
    seeds = [(scored.symbol, scored.seed)]
    found = instance.backward(seeds, [place.symbol for place in places])
    pairs = []
    for place, gradient in zip(places, found, strict=True):
        activations = np.asarray(instance.value(place.symbol))
        pairs.append((activations, np.zeros_like(activations) if gradient is None else np.asarray(gradient)))
    return pairs


def weighted_sum(activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_k w_k A_k: (n,h,w,K) and (n,K) to (n,h,w)."""
    columns = weights.T.astype(activations.dtype, copy=False)
    return _core.explain_cam(activations, columns, np.arange(len(weights)), None, "bilinear")


class Gathered:
    """Each layer's arrays from all batches."""

    def __init__(self, count: int):
        self._parts: list[dict[str, list[np.ndarray]]] = [{} for _ in range(count)]

    def add(self, layer: int, arrays: Arrays) -> None:
        for name, array in arrays.items():
            self._parts[layer].setdefault(name, []).append(array)

    def layers(self) -> list[Arrays]:
        return [
            {name: parts[0] if len(parts) == 1 else np.concatenate(parts) for name, parts in layer.items()}
            for layer in self._parts
        ]


def finish_layers(
    session: Session,
    scored: Scored,
    places: Sequence[Place],
    arrays: Sequence[Arrays],
    fuse: str,
    *,
    method: str,
    formula: str,
    blank: str = "no positive evidence for {} at layer ",
    **parameters: Any,
) -> Explanation:
    """The explanation of a CAM method.

    Args:
        session, scored: as they are after the runs.
        places: the layers.
        arrays: each layer's steps, the raw map last.
        fuse: how the maps of several layers become one.
        method, formula: for the result.
        blank: what a blank map means, before the layer; `{}` stands for the class.
        parameters: the method's settings.
    """
    path = places[0].path if len(places) == 1 else ", ".join(place.path for place in places)
    done = [
        _finished(session, layer, scored.class_index, place.path, blank)
        for place, layer in zip(places, arrays, strict=True)
    ]
    maps, raw, steps = done[0]
    if len(places) > 1:
        steps = {
            f"{place.path}: {name}": array
            for place, (one, _, own) in zip(places, done, strict=True)
            for name, array in (own | {"map": one}).items()
        }
        scaled = [one.astype(np.float64) for one, _, _ in done]
        joined = np.mean(scaled, 0) if fuse == "mean" else np.max(scaled, 0)
        steps["fused"] = raw = joined.astype(raw.dtype)
        told = len(session.notes)
        maps = session.finish(raw, scored.class_index, blank + path)
        del session.notes[told:]  # each layer has told its own
        parameters |= {"fuse": fuse}
    return session.explanation(
        scored,
        maps,
        raw,
        method=method,
        layer=path,
        steps=steps,
        formula=formula,
        upsampling="bilinear",
        **parameters,
    )


def _finished(
    session: Session, arrays: Arrays, class_index: np.ndarray, path: str, blank: str
) -> tuple[np.ndarray, np.ndarray, Arrays]:
    """A layer's maps (n,H,W) in [0,1], its raw map and its steps: ReLU, enlarge, divide by the maximum."""
    steps = dict(arrays)
    _, raw = steps.popitem()
    note_infinite(session, raw, f"numbers at layer {path}")
    positive = np.maximum(raw, 0)
    enlarged = ops.resize(positive, session.inputs.size, method="bilinear")
    steps |= {"weighted sum": raw, "ReLU": positive, "upsampled": enlarged}
    return session.finish(enlarged, class_index, blank + path), raw, steps
