"""Pictures turned, moved, sheared and zoomed: what `scipy.ndimage.affine_transform` computes."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

MODES = ("constant", "nearest", "reflect", "wrap")
_PAD = 12  # beyond the edge of mode "nearest", so that the spline knows what is there


def _mirrored(place: np.ndarray, size: int) -> np.ndarray:
    """Places of the border d c b | a b c d | c b a."""
    if size == 1:
        return np.zeros_like(place)
    place = np.abs(place) % (2 * size - 2)
    return np.where(place >= size, 2 * size - 2 - place, place)


def _reflected(place: np.ndarray, size: int) -> np.ndarray:
    """Places of the border c b a | a b c d | d c b."""
    place = place % (2 * size)
    return np.where(place >= size, 2 * size - 1 - place, place)


def _placed(at: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Coordinates inside the picture, or less than half a pixel outside; NaN where `cval` is."""
    last = size - 1
    outside = (at < 0) | (at > last)
    if mode == "nearest":
        return np.clip(at, 0, last)
    if mode == "constant":
        return np.where(outside, np.nan, at)
    if size == 1:
        return np.zeros_like(at)
    if mode == "wrap":
        below = at + last * (np.trunc(-at / last) + 1)
        above = at - last * np.trunc(at / last)
        return np.where(at < 0, below, np.where(at > last, above, at))
    double = 2 * size
    low = np.where(at < -double, double * np.trunc(-at / double) + at, at)
    low = np.where(low < -size, low + double, np.where(low > -1e-15, 1e-15, -low) - 1)
    high = at - double * np.trunc(at / double)
    high = np.where(high >= size, double - high - 1, high)
    return np.where(at < 0, low, np.where(at > last, high, at))


def _spline(order: int, distance: np.ndarray) -> np.ndarray:
    """The cardinal B-spline of an order."""
    if order == 0:
        return np.ones_like(distance)
    x = np.abs(distance)
    total = np.zeros_like(x)
    for k in range(order + 2):
        total += (-1) ** k * math.comb(order + 1, k) * np.maximum((order + 1) / 2 - k - x, 0) ** order
    return total / math.factorial(order)


@lru_cache(maxsize=32)
def _filter(size: int, order: int, mirror: bool) -> np.ndarray:
    """The matrix (size, size) that makes spline coefficients of values."""
    border = _mirrored if mirror else _reflected
    basis = np.zeros((size, size))
    rows = np.arange(size)
    for step in range(-(order // 2), order // 2 + 1):
        weight = float(_spline(order, np.array(float(step))))
        np.add.at(basis, (rows, border(rows + step, size)), weight)
    return np.linalg.inv(basis)


def _along(at: np.ndarray, size: int, mode: str, order: int) -> tuple[list, list, np.ndarray]:
    """Places and weights of the values that each coordinate is made of, and where it is outside."""
    if mode == "nearest" and order > 1:
        at, size = at + _PAD, size + 2 * _PAD
    at = _placed(at, size, mode)
    gone = np.isnan(at)
    at = np.where(gone, 0.0, at)
    begin = np.floor(at if order % 2 else at + 0.5) - order // 2
    border = _mirrored if mode in ("constant", "wrap") else _reflected
    places, weights = [], []
    for step in range(order + 1):
        place = (begin + step).astype(np.int64)
        if mode == "nearest":
            place = np.clip(place, 0, size - 1)
        else:
            place = border(place, size)
        places.append(place)
        weights.append(_spline(order, at - (begin + step)))
    return places, weights, gone


def transform(
    planes: np.ndarray, matrix: np.ndarray, offset: Any, order: int, mode: str, cval: float
) -> np.ndarray:
    """Pictures whose value at p is the value of `planes` at matrix p + offset.

    Args:
        planes: (c, h, w).
        matrix, offset: 2x2 and 2, over (row, column).
        order: 0 nearest, 1 bilinear, to 5: of the spline.
        mode: "constant", "nearest", "reflect" or "wrap": what lies outside.
        cval: The value outside for "constant".

    Returns:
        (c, h, w), dtype of `planes`.
    """
    if mode not in MODES:
        raise ValueError(f"`fill_mode` must be one of {MODES}. Received: fill_mode={mode!r}")
    if order not in range(6):
        raise ValueError(f"`order` must be an integer from 0 to 5. Received: order={order}")
    _, height, width = planes.shape
    values = planes.astype(np.float64)
    if order > 1:
        if mode == "nearest":
            values = np.pad(values, ((0, 0), (_PAD, _PAD), (_PAD, _PAD)), mode="edge")
        mirror = mode in ("constant", "wrap")
        values = _filter(values.shape[1], order, mirror) @ values @ _filter(values.shape[2], order, mirror).T
    row, column = np.arange(height, dtype=np.float64)[:, None], np.arange(width, dtype=np.float64)
    rows, row_weights, row_gone = _along(
        matrix[0, 0] * row + matrix[0, 1] * column + offset[0], height, mode, order
    )
    columns, column_weights, column_gone = _along(
        matrix[1, 0] * row + matrix[1, 1] * column + offset[1], width, mode, order
    )
    flat = values.reshape(len(values), -1)
    result = np.zeros(planes.shape)
    for at_row, row_weight in zip(rows, row_weights, strict=True):
        for at_column, column_weight in zip(columns, column_weights, strict=True):
            result += flat[:, at_row * values.shape[2] + at_column] * (row_weight * column_weight)
    result[:, row_gone | column_gone] = cval
    if planes.dtype.kind in "iu":
        limits = np.iinfo(planes.dtype)
        result = np.clip(np.trunc(result + np.copysign(0.5, result)), limits.min, limits.max)
    return result.astype(planes.dtype)
