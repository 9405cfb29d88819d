"""Images read at other places: affine and projective maps, places of one's own, elastic waves."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import cut, reshape_to

from ... import random
from ...convert import as_tensor
from .filters import gaussian_blur
from .layout import batch_of_one, host, in_floats, on_batch

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = ("constant", "nearest", "wrap", "reflect")


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuses a value that is not among the allowed ones."""
    if value not in allowed:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected of one {allowed}. Received: {name}={value}"
        )


def warp(
    x: Any, transforms: Any, interpolation: str, fill_mode: str, fill_value: float, **size: Any
) -> Tensor:
    """The batch x (n, h, w, c) read through transforms (n or 1, 8)."""

    def compute(batch: Any) -> Any:
        return _core.projective_transform(
            batch,
            _core.cast(transforms, dtype=batch.dtype.name),
            interpolation=interpolation,
            fill_mode=fill_mode,
            fill_value=float(fill_value),
            **size,
        )

    return in_floats(x, compute)


def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images read through a projective map of their pixels.

    With `transform` = (a0, a1, a2, b0, b1, b2, c0, c1), pixel (x, y) of the output is the input at
    ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with k = c0 x + c1 y + 1. Places are float32.

    Args:
        images: (h, w, c) or (n, h, w, c), or with the channels first.
        transform: (8,) for all images, or (n, 8).
        interpolation: "bilinear" or "nearest".
        fill_mode: What lies beyond the edges: "constant" (`fill_value`), "nearest" (a a | a b c | c c),
            "reflect" (b a | a b c | c b) or "wrap" (b c | a b c | a b).
        data_format: "channels_last" or "channels_first".

    Returns:
        Images of the same shape and dtype. The gradient to `images` is that of the interpolation; Keras on
        TensorFlow gives the inverse map's instead, which differs.

    >>> from cnnexplain import keras
    >>> row = keras.ops.reshape(keras.ops.arange(4.0), (1, 4, 1))
    >>> keras.ops.image.affine_transform(row, [1.0, 0, 1, 0, 1, 0, 0, 0]).numpy().ravel().tolist()
    [1.0, 2.0, 3.0, 0.0]
    """
    one_of("interpolation", interpolation, INTERPOLATIONS)
    one_of("fill_mode", fill_mode, FILL_MODES)
    matrix = as_tensor(transform, "float32")
    if len(matrix.shape) not in (1, 2):
        raise ValueError(
            "Invalid transform rank: expected rank 1 (single transform) or rank 2 (batch of transforms). "
            f"Received input with shape: transform.shape={tuple(matrix.shape)}"
        )
    if len(matrix.shape) == 1:
        matrix = batch_of_one(matrix)
    return on_batch(
        images, data_format, lambda batch: warp(batch, matrix, interpolation, fill_mode, fill_value)
    )


def _homography(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(n, 8): the projective maps that send end points to start points, both (n, 4, 2)."""
    x, y = end[..., 0], end[..., 1]
    one, none = np.ones_like(x), np.zeros_like(x)
    u, v = start[..., 0], start[..., 1]
    upper = np.stack([x, y, one, none, none, none, -u * x, -u * y], -1)
    lower = np.stack([none, none, none, x, y, one, -v * x, -v * y], -1)
    system = np.concatenate([upper, lower], axis=1)
    try:
        return np.linalg.solve(system, np.concatenate([u, v], axis=1)[..., None])[..., 0]
    except np.linalg.LinAlgError:
        raise ValueError(
            f"`end_points` must be the corners of a quadrilateral. Received: end_points={end.tolist()}"
        ) from None


def homography(start: Any, end: Any) -> Tensor:
    """The float32 transforms (n, 8) of `perspective_transform`."""

    def compute(a: Any, b: Any) -> Any:
        solved = _homography(np.asarray(a, np.float64), np.asarray(b, np.float64))
        return _core.tensor(solved.astype(np.float32))

    return host(compute, start, end, shape=(end.shape[0], 8), dtype="float32")


def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images moved so that the `start_points` come to lie at the `end_points`.

    Args:
        images: (h, w, c) or (n, h, w, c), or with the channels first.
        start_points, end_points: Four (x, y) each, (4, 2) or (n, 4, 2).
        interpolation: "bilinear" or "nearest".
        fill_value: What lies outside the images.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> corners = [[0.0, 0], [3, 0], [0, 3], [3, 3]]
    >>> image = keras.ops.ones((4, 4, 1))
    >>> keras.ops.image.perspective_transform(image, corners, corners).numpy().sum().item()
    16.0
    """
    one_of("interpolation", interpolation, INTERPOLATIONS)
    start, end = as_tensor(start_points, "float32"), as_tensor(end_points, "float32")
    for name, points in (("start_points", start), ("end_points", end)):
        if len(points.shape) not in (2, 3) or tuple(points.shape[-2:]) != (4, 2):
            raise ValueError(
                f"Invalid {name} shape: expected (4,2) for a single image or (N,4,2) for a batch. Received "
                f"shape: {tuple(points.shape)}"
            )
    if tuple(start.shape) != tuple(end.shape):
        raise ValueError(
            "start_points and end_points must have the same shape. Received "
            f"start_points.shape={tuple(start.shape)}, end_points.shape={tuple(end.shape)}"
        )
    if len(start.shape) == 2:
        start, end = batch_of_one(start), batch_of_one(end)
    matrix = homography(start, end)
    return on_batch(
        images, data_format, lambda batch: warp(batch, matrix, interpolation, "constant", fill_value)
    )


def _folded(index: Any, size: int, mode: str) -> Any:
    """Indices beyond an axis as indices on it."""
    if mode == "wrap":
        return _core.floor_mod(index, size)
    if mode == "reflect":
        place = _core.floor_mod(index, 2 * size)
        return _core.minimum(place, _core.subtract(2 * size - 1, place))
    if mode == "mirror" and size > 1:
        place = _core.floor_mod(index, 2 * size - 2)
        return _core.minimum(place, _core.subtract(2 * size - 2, place))
    return _core.clip(index, low=0, high=size - 1)


def sampled(
    values: Any,
    coordinates: list[Any],
    sizes: list[int],
    order: int,
    mode: str,
    fill: float,
    start: Any = None,
) -> Tensor:
    """The rows of `values` (cells, c), a grid of `sizes` written out, at places between the cells.

    Args:
        coordinates: For each axis the places, all of one shape.
        start: The first cell of each place's own grid.
    """
    choices = []
    for place, size in zip(coordinates, sizes, strict=True):
        lower = _core.round(place) if order == 0 else _core.floor(place)
        index = _core.cast(lower, dtype="int64")
        share = _core.subtract(place, lower)
        nodes = [(index, None)]
        if order == 1:
            nodes = [(index, _core.subtract(1.0, share)), (_core.add(index, 1), share)]
        row = []
        for node, weight in nodes:
            inside = _core.logical_and(_core.greater_equal(node, 0), _core.less(node, size))
            row.append((_folded(node, size, mode), inside, weight))
        choices.append(row)
    total: Any = None
    for corner in itertools.product(*choices):
        cell, inside, weight = start, None, None
        stride = int(np.prod(sizes))
        for (index, valid, share), size in zip(corner, sizes, strict=True):
            stride //= size
            step = _core.multiply(index, stride)
            cell = step if cell is None else _core.add(cell, step)
            inside = valid if inside is None else _core.logical_and(inside, valid)
            if share is not None:
                weight = share if weight is None else _core.multiply(weight, share)
        found = _core.gather(values, cell, axis=0)
        axes = [*tuple(cell.shape), 1]
        if mode == "constant":
            found = _core.where(found, float(fill), reshape_to(inside, axes))
        if weight is not None:
            found = _core.multiply(found, reshape_to(_core.cast(weight, dtype=found.dtype.name), axes))
        total = found if total is None else _core.add(total, found)
    return total


def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Tensor:
    """The values of an array at places between its cells.

    Args:
        inputs: An array of rank r.
        coordinates: (r, ...): for each place its coordinate along each axis.
        order: 0 takes the nearest cell, 1 interpolates linearly.
        fill_mode: "constant", "nearest", "wrap", "mirror" (c b | a b c | b a) or "reflect"
            (b a | a b c | c b), as SciPy has them.
        fill_value: Beyond the edges for "constant".

    Returns:
        (...) in the dtype of `inputs`; whole numbers for integers.

    >>> from cnnexplain import keras
    >>> keras.ops.image.map_coordinates([0.0, 10.0, 20.0], [[0.5, 1.25]], order=1).numpy().tolist()
    [5.0, 12.5]
    """
    one_of("fill_mode", fill_mode, (*FILL_MODES, "mirror"))
    if order not in (0, 1):
        raise NotImplementedError(f"`order` must be 0 or 1. Received: order={order}")
    x, places = as_tensor(inputs), as_tensor(coordinates)
    rank = len(x.shape)
    if len(places.shape) < 2:
        raise ValueError(
            "Invalid coordinates rank: expected at least rank 2. Received input with shape: "
            f"{tuple(places.shape)}"
        )
    if places.shape[0] != rank:
        raise ValueError(
            "First dim of `coordinates` must be the same as the rank of `inputs`. Received inputs with "
            f"shape: {tuple(x.shape)} and coordinate leading dim of {places.shape[0]}"
        )
    if None in tuple(x.shape) or 0 in tuple(x.shape):
        raise ValueError(f"`inputs` must have a known, positive size. Received: shape={tuple(x.shape)}")
    if not places.dtype.is_floating:
        places = _core.cast(places, dtype="float32")
    kind = x.dtype.name
    values = x if x.dtype.is_floating else _core.cast(x, dtype="float64")
    lines = [reshape_to(cut(places, 0, k, 1), list(places.shape)[1:]) for k in range(rank)]
    cells = _core.reshape(values, shape=[-1, 1])
    found = sampled(cells, lines, [int(size) for size in x.shape], order, fill_mode, fill_value)
    found = reshape_to(found, list(places.shape)[1:])
    return found if x.dtype.is_floating else _core.cast(_core.round(found), dtype=kind)


def displaced(batch: Any, dx: Any, dy: Any, interpolation: str, fill_mode: str, fill_value: float) -> Tensor:
    """The batch (n, h, w, c) with pixel (x, y) read at (x + dx, y + dy), dx and dy (n, h, w)."""
    n, h, w, channels = (int(size) for size in batch.shape)
    kind = dx.dtype.name
    x = _core.add(dx, _core.tensor(np.arange(w, dtype=kind)))
    y = _core.add(dy, _core.tensor(np.arange(h, dtype=kind)[:, None]))
    start = _core.tensor((np.arange(n, dtype=np.int64) * h * w)[:, None, None])
    cells = _core.reshape(batch, shape=[-1, channels])
    return sampled(cells, [y, x], [h, w], INTERPOLATIONS.index(interpolation), fill_mode, fill_value, start)


def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Images pulled about by smooth random waves, independent along both axes (Simard et al., ICDAR 2003).

    Args:
        images: (h, w, c) or (n, h, w, c), or with the channels first.
        alpha: Strength: the waves are alpha * sigma times blurred normal noise, in pixels.
        sigma: Width of the blur.
        interpolation: "bilinear" or "nearest".
        fill_mode: As for `affine_transform`.
        fill_value: Beyond the edges for "constant".
        seed: An integer or a `SeedGenerator`.
        data_format: "channels_last" or "channels_first".
    """
    one_of("interpolation", interpolation, INTERPOLATIONS)
    one_of("fill_mode", fill_mode, (*FILL_MODES, "mirror"))
    strength, width = float(np.asarray(alpha)), float(np.asarray(sigma))
    seeds = [random.draw_seed(seed)]
    seeds.append(_core.add(seeds[0], _core.tensor(np.array([0, 2**40], np.int64))))
    kernel = 6 * int(width) | 1

    def now(batch: Any, first: Any, second: Any) -> Any:
        waves = []
        for one in (first, second):
            noise = _core.random_normal(one, shape=list(batch.shape)[:3] + [1], dtype=batch.dtype.name)
            smooth = gaussian_blur(noise, (kernel, kernel), (width or 1e-6,) * 2, "channels_last")
            waves.append(_core.multiply(reshape_to(smooth, list(batch.shape)[:3]), strength * width))
        return displaced(batch, waves[0], waves[1], interpolation, fill_mode, fill_value)

    def compute(batch: Any) -> Any:
        return in_floats(batch, lambda x: host(now, x, *seeds, shape=tuple(x.shape), dtype=x.dtype.name))

    return on_batch(images, data_format, compute)
