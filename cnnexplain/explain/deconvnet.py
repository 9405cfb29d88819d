"""The deconvnet as published: what in the image a single activation of a network comes from."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnexplain import ops

from .layers import said_by
from .progress import Progress
from .projection import Projection, Stage, open_for_feature, poolings, runs, unused
from .reconstruction import Reconstruction
from .sampling import check_reduce
from .session import _MOST_STEP_BYTES
from .switches import Switches

OVERLAPS = ("sum", "overwrite")


def deconvnet(
    model: Any,
    images: Any,
    layer: Any = None,
    feature_map: Any = None,
    *,
    keep: str | tuple[int, int] = "max",
    overlap: str = "sum",
    crop: bool = False,
    reduce: str = "sum",
    fallback: str | None = None,
    input: Any = None,
    preprocess: Any = None,
    dtype: Any = None,
    batch_size: int = 32,
    progress: Progress = None,
) -> Reconstruction:
    """Deconvnet: one activation of one feature map, taken down to the pixels that it comes from.

    The images run up to `layer`, and every max pooling records its switches. All activations of the layer
    but the kept one are set to zero, and what remains goes down: unpooled to where the switches say,
    rectified, relu(signal), at the place of every ReLU, filtered by the transposed kernels without their
    biases. The signal of the pixels is not rectified. Zeiler and Fergus, arXiv 1311.2901.

    Beyond the paper's operations: batch normalization scales the signal, as if it was part of the convolution
    before it; local response normalization is left out on the way down, as in the paper; average pooling
    spreads the signal evenly; from a unit of a dense layer the signal goes down through its weights. Where a
    network has branches (addition, concatenation) the signal goes down each, and what comes out of them is
    added; `warnings` says so.

    Args:
        model: a keras Model or Sequential, with or without classes.
        images: (n,H,W,C), (H,W,C), for one-channel models also (n,H,W) and (H,W), used as they are; or paths
            and PIL images, resized and preprocessed.
        layer: None (the last layer whose output is 4-D with more than one pixel and not the pooling of an
            earlier layer's), a name, "outer/inner" inside a nested model, an index or a layer. A convolution
            with an activation of its own gives the map behind it. Softmax and sigmoid are left out: their
            units' values before them are taken.
        feature_map: the map, or the unit of a dense layer: a number, or one per image. None: each image's
            strongest, the one with the greatest activation among those that `keep` chooses from; with
            keep="all" the one with the greatest sum.
        keep: "max" (the map's strongest activation, the first of equals), "all" (the whole map) or (row,
            column) of one activation.
        overlap: where several windows of a pooling have one switch, as those of 3 x 3 at steps of 2 can:
            "sum" adds what they bring, which is the gradient of the pooling; "overwrite" keeps the last
            window in scan order, as unpooling by assignment does.
        crop: cut `map`, `raw` and `images` to the activation's receptive field.
        reduce: "sum" or "max", over the channels' absolute values, for the finished map.
        fallback: what to do at operations that a deconvnet does not know (other activations than ReLU,
            products of maps, attention): None refuses the layer, "gradient" takes their true gradient.
        input: name or index, when the model has several.
        preprocess: "caffe", "tf", "torch", "lite", "none" or a callable of (n,H,W,C) in 0..255; for paths and
            PIL images. None: what the model remembers, as the networks of keras.applications do.
        dtype: "float32" or "float64"; default the model's.
        batch_size: most images that run at once.
        progress: True for a bar, or a callable of (done, total).

    Returns:
        A Reconstruction: an Explanation whose `raw` is the reconstruction (n,H,W,C), with `feature_map`,
        `position`, `value` and `receptive_field` of the activations, `switches`, and in `steps` what there
        was after each operation of the way down.

    Raises:
        ValueError: no such layer or map; a layer whose way down has other operations; a position outside the
            map. The message lists what there is.

    >>> import cnnexplain as cx
    >>> images, labels = cx.demo.load_test_images()
    >>> e = cx.explain.deconvnet(cx.demo.load_network(), images[:2], "conv2d_1", 3)
    >>> e.raw.shape, e.feature_map.tolist(), (e.receptive_field[:, 2:] - e.receptive_field[:, :2]).tolist()
    ((2, 28, 28, 1), [3, 3], [[8, 8], [8, 8]])
    >>> [name for name in e.steps][2:7]
    ['rectify conv2d_1', 'filter conv2d_1', 'unpool max_pooling2d', 'rectify conv2d', 'filter conv2d']
    """
    check_reduce(reduce)
    check_overlap(overlap)
    session = open_for_feature("deconvnet", model, images, input, preprocess, dtype, batch_size, progress)
    way = Projection(session, layer, fallback)
    chosen = _chosen(feature_map, len(session.inputs), way)
    kept = _kept(keep, way)
    session.notes += [(note, None) for note in way.notes]
    wanted = poolings(session, layer if layer is not None else way.path)
    size = _bytes_of_steps(way, len(session.inputs))
    recorded = size <= _MOST_STEP_BYTES
    if not recorded:
        session.notes.append(
            (f"`steps` leaves out the way down: {size >> 20} MB for {len(session.inputs)} images", None)
        )
    parts: list[_Part] = []
    for part, instance in runs(session, [way.symbol, *(s for _, s, _ in wanted if recorded)]):
        found = select(way, instance, None if chosen is None else chosen[part], kept)
        steps: dict[str, np.ndarray] = {}

        def record(stage: Stage, signal: np.ndarray, steps: dict[str, np.ndarray] = steps) -> None:
            steps[unused(stage.name, steps)] = signal

        raw = way.down(instance, found.signal, overlap, record if recorded else None)
        switches = {n: Switches(n, np.asarray(instance.value(s)), a) for n, s, a in wanted if recorded}
        parts.append(_Part(found, raw, steps, switches))
    return _joined(session, way, parts, keep, overlap, crop, reduce, fallback, preprocess)


@dataclass
class Selected:
    """Activations of a batch that are kept.

    Attributes:
        feature_map, row, column, value: (n,) each.
        activations: (n,h,w), the chosen maps.
        signal: of the layer's shape, all but the kept activations zero.
        places: (n,4), the rectangle of what is kept in its map.
    """

    feature_map: np.ndarray
    row: np.ndarray
    column: np.ndarray
    value: np.ndarray
    activations: np.ndarray
    signal: np.ndarray
    places: np.ndarray


@dataclass
class _Part:
    found: Selected
    raw: np.ndarray
    steps: dict[str, np.ndarray]
    switches: dict[str, Switches]


def activations_of(way: Projection, instance: Any) -> np.ndarray:
    """The layer's maps (n,h,w,K); a vector is one of 1 x 1."""
    values = np.asarray(instance.value(way.symbol))
    return values if values.ndim == 4 else values.reshape(len(values), 1, 1, -1)


def select(
    way: Projection, instance: Any, feature_map: np.ndarray | None, keep: str | tuple[int, int]
) -> Selected:
    """Chooses each image's map where `feature_map` is None, and in it what is kept."""
    values = activations_of(way, instance)
    bad = ~np.isfinite(values).all((1, 2, 3))
    if bad.any():
        raise ValueError(
            f"the activations of layer {way.path!r} must be finite. Received: NaN or infinity in one of the "
            f"images {np.flatnonzero(bad).tolist()} of a batch"
        )
    n, h, w, _ = values.shape
    if feature_map is None:
        strength = values.sum((1, 2), dtype=np.float64) if keep == "all" else values.max((1, 2))
        if not isinstance(keep, str):
            strength = values[:, keep[0], keep[1]]
        feature_map = strength.argmax(1)
    images = np.arange(n)
    maps = values[images, :, :, feature_map]
    at = maps.reshape(n, -1).argmax(1)
    row, column = (at // w, at % w) if isinstance(keep, str) else (np.full(n, i) for i in keep)
    signal = np.zeros_like(values)
    if keep == "all":
        signal[images, :, :, feature_map] = maps
        places = np.tile(np.array([0, 0, h, w]), (n, 1))
    else:
        signal[images, row, column, feature_map] = maps[images, row, column]
        places = np.stack([row, column, row + 1, column + 1], 1)
    signal = signal.reshape(np.asarray(instance.value(way.symbol)).shape)
    return Selected(feature_map, row, column, maps[images, row, column], maps, signal, places)


def check_overlap(overlap: Any) -> None:
    if overlap not in OVERLAPS:
        raise ValueError(f"`overlap` must be one of {', '.join(OVERLAPS)}. Received: overlap={overlap!r}")


def map_number(name: str, value: Any, way: Projection) -> np.ndarray:
    """One or several numbers of maps of the layer, checked."""
    count = int(way.shape[-1])
    given = np.asarray(value)
    if given.dtype.kind not in "iu" or given.ndim > 1 or given.size == 0:
        raise ValueError(f"`{name}` must be an integer or several. Received: {name}={value!r}")
    if given.min() < 0 or given.max() >= count:
        what = "maps" if len(way.shape) == 3 else "units"
        raise ValueError(
            f"`{name}` must be between 0 and {count - 1}: layer {way.path!r} has {count} {what}. "
            f"Received: {name}={value!r}"
        )
    return given.astype(np.int64)


def _chosen(feature_map: Any, count: int, way: Projection) -> np.ndarray | None:
    if feature_map is None:
        return None
    given = map_number("feature_map", feature_map, way)
    if given.ndim == 1 and len(given) != count:
        raise ValueError(
            f"`feature_map` must be an integer or have one entry per image, {count}. "
            f"Received: {len(given)} entries"
        )
    return np.broadcast_to(given, (count,))


def _kept(keep: Any, way: Projection) -> str | tuple[int, int]:
    if isinstance(keep, str) and keep in ("max", "all"):
        return keep
    try:
        if isinstance(keep, str):
            raise TypeError
        row, column = (operator.index(i) for i in keep)
    except (TypeError, ValueError):
        raise ValueError(f'`keep` must be "max", "all" or (row, column). Received: keep={keep!r}') from None
    if len(way.shape) != 3:
        raise ValueError(
            f'`keep` must be "max" or "all" for layer {way.path!r}, whose units have no rows and columns. '
            f"Received: keep={keep!r}"
        )
    height, width = way.shape[:2]
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"`keep` must lie inside the maps of layer {way.path!r}, {height} x {width}. "
            f"Received: keep={keep!r}"
        )
    return row, column


def _bytes_of_steps(way: Projection, count: int) -> int:
    """What the signals and the switches of so many images take."""
    numbers = 0
    for stage in way.stages:
        inputs = {v.id for v in stage.step.maker.inputs if v is not None and v.id in way.shapes}
        factor = 3 if stage.verb == "unpool" else 1
        numbers += factor * sum(int(np.prod(way.shapes[i][1:])) for i in inputs)
    return numbers * count * way.symbol.dtype.as_numpy_dtype().itemsize


def fields_of(way: Projection, places: np.ndarray, feature_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Receptive fields (n,4) of rectangles of the layer's maps: within the image, and without its border.

    A unit of a flattened map sees what its activation in the map does.
    """
    symbol = way.symbol
    maker = symbol.maker
    if len(way.shape) == 1 and maker.op == "reshape" and len(way.shapes[maker.inputs[0].id]) == 4:
        symbol = maker.inputs[0]
        _, _, width, channels = way.shapes[symbol.id]
        row, column = feature_map // (width * channels), feature_map // channels % width
        places = np.stack([row, column, row + 1, column + 1], 1)
    return way.reach.fields(symbol, places), way.reach.fields(symbol, places, cut=False)


def _joined(
    session: Any,
    way: Projection,
    parts: list[_Part],
    keep: Any,
    overlap: str,
    crop: bool,
    reduce: str,
    fallback: str | None,
    preprocess: Any,
) -> Reconstruction:
    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part.found, name) for part in parts])

    feature_map, value = all_of("feature_map"), all_of("value")
    raw = np.concatenate([part.raw for part in parts])  # a copy that may be written to
    steps = {"feature map": all_of("activations"), "kept": all_of("signal")}
    if parts[0].steps:
        steps |= {name: np.concatenate([p.steps[name] for p in parts]) for name in parts[0].steps}
    else:
        del steps["kept"]
    fields, _ = fields_of(way, all_of("places"), feature_map)
    for one, (top, left, bottom, right) in zip(raw, fields, strict=True):
        _clear_outside(one, slice(top, bottom), slice(left, right))
    silent = np.flatnonzero(value <= 0)
    if len(silent):
        session.notes.append((f"no positive activation of the chosen map of layer {way.path}", silent))
    unseen = (fields[:, 2] <= fields[:, 0]) | (fields[:, 3] <= fields[:, 1])
    fields[unseen] = 0
    if unseen.any():
        text = "the activation sees padding alone, no pixel of the image"
        if crop:
            raise ValueError(f"`crop` must be False here: {text} (images {np.flatnonzero(unseen).tolist()})")
        session.notes.append((text, np.flatnonzero(unseen)))
    maps = session.finish(
        ops.saliency(raw, reduce=reduce),
        np.full(len(raw), -1),
        "the reconstruction is zero at every pixel: nothing positive comes down",
    )
    return Reconstruction(
        feature_map=feature_map,
        position=np.stack([all_of("row"), all_of("column")], 1),
        value=value,
        receptive_field=fields,
        switches=_joined_switches(parts),
        preprocess=preprocess if preprocess is not None else said_by(session.model, "preprocess"),
        crop=crop,
        map=maps,
        raw=raw,
        images=session.inputs.pictures,
        method="deconvnet",
        layer=way.path,
        steps=steps,
        notes=session.notes,
        parameters={
            "formula": "unpooled by switches, rectified, filtered by transposed kernels",
            "keep": keep,
            "overlap": overlap,
            "crop": crop,
            "reduce": reduce,
            "fallback": fallback,
            "dtype": session.parameters["dtype"],
            "batch_size": session.batch_size,
        },
    )


def _clear_outside(one: np.ndarray, rows: slice, columns: slice) -> None:
    """Zero where nothing comes down: fast convolutions leave the rounding errors of their tiles there."""
    kept = one[rows, columns].copy()
    one[:] = 0
    one[rows, columns] = kept


def _joined_switches(parts: list[_Part]) -> dict[str, Switches]:
    return {name: Switches.joined([part.switches[name] for part in parts]) for name in parts[0].switches}
