"""Images made larger or smaller: one axis after the other, each result a weighted sum of a few entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.keras import layers, ops

from .registry import Node, Unsupported, operator
from .sizes import Unknown
from .values import Value

_ROUND: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "simple": np.floor,
}


@operator("Upsample")
def upsample(node: Node, x: Value, scales: Value | None = None) -> Value:
    factors = node.constant(1, node.attribute("scales"))
    return _resized(node, x, factors, None, "asymmetric", "simple")


@operator("Resize")
def resize(
    node: Node, x: Value, roi: Value | None = None, scales: Value | None = None, sizes: Value | None = None
) -> Value:
    if node.opset < 11:
        return _resized(node, x, node.constant(1), None, "asymmetric", "simple")
    coordinates = node.attribute("coordinate_transformation_mode", "half_pixel")
    if coordinates not in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        raise Unsupported(f"its coordinate_transformation_mode is {coordinates!r}")
    for name, plain in (("antialias", 0), ("exclude_outside", 0), ("keep_aspect_ratio_policy", "stretch")):
        if node.attribute(name, plain) != plain:
            raise Unsupported(f"its {name} is {node.attribute(name)!r}")
    factors, wanted = node.constant(2), node.constant(3)
    return _resized(
        node,
        x,
        factors if factors is not None and factors.size else None,
        wanted if wanted is not None and wanted.size else None,
        coordinates,
        node.attribute("nearest_mode", "round_prefer_floor"),
    )


def _resized(node: Node, x: Value, factors: Any, wanted: Any, coordinates: str, rounding: str) -> Value:
    """x with other sizes.

    Args:
        factors, wanted: one for each axis, or for each of the attribute `axes`; one of the two is None.
        coordinates: how a place in the result is one in x.
        rounding: which neighbour is the nearest.
    """
    mode = node.attribute("mode", "nearest")
    mode = {"bilinear": "linear"}.get(mode, mode)
    if mode not in ("nearest", "linear", "cubic") or (factors is None) == (wanted is None):
        raise Unsupported(f"its mode is {mode!r}, or it has scales and sizes at once or neither")
    given = factors if wanted is None else wanted
    axes = [x.axis(axis) for axis in node.attribute("axes") or range(x.rank)]
    if len(axes) != len(given):
        raise Unsupported(f"it has {len(given)} scales or sizes for {len(axes)} axes")
    scales: dict[int, tuple[float, Any]] = {}
    for axis, value in zip(axes, given, strict=True):
        before = x.shape[axis]
        if wanted is None:
            scale = float(value)
            after = before if scale == 1 else _times(before, scale)
        else:
            after = value if isinstance(value, Unknown) else int(value)
            scale = _ratio(before, after, axis)
        if not scale > 0:
            raise Unsupported(f"its scale {scale} of axis {axis} is not positive")
        if axis == 0 and scale != 1:
            raise Unsupported("it makes more or fewer examples")
        if scale != 1:
            scales[axis] = (scale, after)
    if not scales:
        return x
    if _is_plain(mode, scales, coordinates, rounding) and {2, 3}.issuperset(scales) and x.rank == 4:
        x = node.images(x)
        size = tuple(int(scales[axis][0]) if axis in scales else 1 for axis in (2, 3))
        method = "nearest" if mode == "nearest" else "bilinear"
        return x.like(node.layer(layers.UpSampling2D, x.data, size=size, interpolation=method))
    x = node.unflattened(x)
    symbol = x.data
    for axis, (scale, after) in scales.items():
        before = x.shape[axis]
        if isinstance(before, Unknown) or isinstance(after, Unknown):
            raise Unsupported("it resizes a height or width that is not known: export with fixed sizes")
        places = _places(int(before), int(after), scale, coordinates)
        taps = _taps(
            mode, places, int(before), scale, rounding, float(node.attribute("cubic_coeff_a", -0.75))
        )
        symbol = _weighted(symbol, taps, x.place(axis))
    return x.like(symbol)


def _times(before: Any, scale: float) -> Any:
    if isinstance(before, Unknown):
        return before * int(scale) if scale == int(scale) else Unknown((before, scale))
    return int(np.floor(before * scale))


def _ratio(before: Any, after: Any, axis: int) -> float:
    if isinstance(before, Unknown) or isinstance(after, Unknown):
        if before == after or axis == 0:
            return 1.0
        factor = after // before if isinstance(after, Unknown) else None
        if isinstance(factor, int):
            return float(factor)
        raise Unsupported("it resizes a height or width that is not known: export with fixed sizes")
    return after / before


def _is_plain(mode: str, scales: dict, coordinates: str, rounding: str) -> bool:
    """Is it what Keras's UpSampling2D computes?"""
    if any(scale != int(scale) or scale < 1 for scale, _ in scales.values()):
        return False
    if mode == "nearest":
        if coordinates == "asymmetric":
            return rounding in ("floor", "simple")
        return coordinates.endswith("half_pixel") and rounding.startswith("round")
    return mode == "linear" and coordinates.endswith("half_pixel")


def _places(before: int, after: int, scale: float, coordinates: str) -> np.ndarray:
    """Where in the old axis the new entries are."""
    new = np.arange(after, dtype=np.float64)
    if coordinates == "asymmetric":
        return new / scale
    if coordinates == "align_corners":
        return new * (before - 1) / (after - 1) if after > 1 else new * 0
    if coordinates == "pytorch_half_pixel" and after == 1:
        return new * 0
    return (new + 0.5) / scale - 0.5


def _taps(
    mode: str, places: np.ndarray, size: int, scale: float, rounding: str, a: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(entries of the old axis, their weights) whose products are summed."""
    if mode == "nearest":
        turn = np.ceil if rounding == "simple" and scale < 1 else _ROUND[rounding]
        return [(np.clip(turn(places), 0, size - 1), np.ones(len(places)))]
    if mode == "linear":
        places = np.clip(places, 0, size - 1)
    start = np.floor(places)
    t = places - start
    if mode == "linear":
        weights = [1 - t, t]
    else:

        def near(d: np.ndarray) -> np.ndarray:
            return ((a + 2) * d - (a + 3)) * d * d + 1

        def far(d: np.ndarray) -> np.ndarray:
            return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

        weights = [far(1 + t), near(t), near(1 - t), far(2 - t)]
        start = start - 1
    return [(np.clip(start + place, 0, size - 1), weight) for place, weight in enumerate(weights)]


def _weighted(symbol: Any, taps: list[tuple[np.ndarray, np.ndarray]], axis: int) -> Any:
    total = None
    shape = [1] * len(tuple(symbol.shape))
    shape[axis] = -1
    for entries, weights in taps:
        if not weights.any():
            continue
        part = ops.take(symbol, entries.astype(np.int32), axis=axis)
        if (weights != 1).any():
            part = part * _core.tensor(weights.reshape(shape).astype(symbol.dtype.name))
        total = part if total is None else total + part
    return total
