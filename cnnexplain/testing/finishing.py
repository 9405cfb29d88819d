"""The end of every map, scaling, and how its axes and pixels lie, with the mistakes people make there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnexplain import ops

from .recipes import Make, Mistake, Stage, Values


def each(function: Callable[..., Any], maps: np.ndarray) -> Any:
    """A number for each image, its axes kept."""
    return function(maps, axis=tuple(range(1, maps.ndim)), keepdims=True)


def normalized(maps: np.ndarray) -> np.ndarray:
    """Each map divided by its maximum where that is positive, without clipping."""
    top = each(np.max, maps)
    return maps / np.where(top > 0, top, 1)


def _stretched(maps: np.ndarray) -> np.ndarray:
    low, high = each(np.min, maps), each(np.max, maps)
    return (maps - low) / np.where(high > low, high - low, 1)


def _early(v: Values) -> np.ndarray | None:
    small, big = v["ReLU"], v["upsampled"]
    return None if small.shape == big.shape else ops.resize(normalized(small), big.shape[1:3])


def scaling() -> Stage:
    """The last step of a finished map: each image's own, into [0,1]."""
    mistakes = [
        Mistake(
            "not-normalised",
            "The map is not normalised. Divide each map by its own maximum, `heatmap / heatmap.max()`, if "
            "that is positive: then 1 is the strongest evidence in the image, and maps can be compared.",
            lambda v: v.last,
        ),
        Mistake(
            "normalised-over-the-batch",
            "The maps are divided by the largest value of the whole batch, so that a faint image beside a "
            "strong one looks blank, and a map depends on its neighbours. Take the maximum of each image, "
            "over its height and width: `maps.max(axis=(1, 2), keepdims=True)`.",
            lambda v: v.last / v.last.max() if len(v.last) > 1 else None,
        ),
        Mistake(
            "stretched",
            "The map is stretched from its minimum to its maximum, (m - min) / (max - min). That moves zero, "
            "and zero means 'no evidence'. Divide by the maximum alone.",
            lambda v: _stretched(v.last),
        ),
        Mistake(
            "sum-is-one",
            "Each map is divided by its sum. That makes it a distribution over pixels; asked is the map "
            "divided by its maximum, so that the strongest pixel is 1.",
            lambda v: v.last / each(np.sum, v.last),
        ),
        Mistake(
            "standardised",
            "Each map is standardised, (m - mean) / std. Divide by its maximum: zero must stay zero.",
            lambda v: (v.last - each(np.mean, v.last)) / each(np.std, v.last),
        ),
        Mistake(
            "up-to-255",
            "The map goes up to 255. That scale belongs to pictures in uint8; maps go to 1. Multiply by 255 "
            "only where a picture is written.",
            lambda v: 255 * normalized(v.last),
        ),
        Mistake(
            "uint8",
            "The map is in whole numbers up to 255: its fractions are cut off. Return numbers with fractions "
            "from 0 to 1, and make uint8 only where a picture is written.",
            lambda v: np.floor(255 * normalized(v.last)),
        ),
        Mistake(
            "cut-to-whole-numbers",
            "Nearly all values are 0: a map in [0,1] was cast to integers, which cuts off fractions. "
            "Multiply by 255 before such a cast, or do not cast.",
            lambda v: np.floor(normalized(v.last)),
        ),
        Mistake(
            "inverted",
            "The map is inverted, 1 - m: what should be bright is dark. Leave out the subtraction; a colour "
            "map whose name ends in `_r` turns the colours of a plot.",
            lambda v: 1 - normalized(v.last),
        ),
        Mistake(
            "normalised-before-enlarging",
            "The map is divided by the maximum of the small map, before it is enlarged. Enlarging averages "
            "neighbours, so the maximum is no longer 1. Enlarge first, then divide.",
            _early,
        ),
    ]
    return Stage("map", lambda v: normalized(v.last), mistakes)


def _of_several(make: Callable[[np.ndarray], np.ndarray]) -> Make:
    return lambda v: make(v.last) if len(v.last) > 1 else None


def arrangement() -> Stage:
    """What is no step of a formula: axes, directions, order of the images."""
    mistakes = [
        Mistake(
            "no-batch-axis",
            "The batch axis is missing. A batch of one image still has a first axis of length 1: "
            "`heatmap[None]`, or leave out `np.squeeze`.",
            lambda v: v.last[0] if len(v.last) == 1 else None,
        ),
        Mistake(
            "one-image-only",
            "Only the map of the first image is there. Return one for each image of the batch.",
            _of_several(lambda m: m[0]),
        ),
        Mistake(
            "one-image-only",
            "Only the map of the first image is there. Return one for each image of the batch.",
            _of_several(lambda m: m[:1]),
        ),
        Mistake(
            "one-axis-too-many",
            "There is an axis of length 1 too many at the end: `heatmap[..., 0]`.",
            lambda v: v.last[..., None],
        ),
        Mistake(
            "channels-first",
            "The channels come first, as in PyTorch. Here they come last, (n, height, width, channels): "
            "`np.moveaxis(array, 1, -1)`.",
            lambda v: np.moveaxis(v.last, -1, 1) if v.last.ndim == 4 else None,
        ),
        Mistake(
            "transposed",
            "Height and width are swapped. Arrays are indexed [row, column], that is [y, x], and the shape "
            "is (n, height, width), while sizes in PIL and OpenCV are (width, height).",
            lambda v: np.swapaxes(v.last, 1, 2),
        ),
        Mistake(
            "upside-down",
            "The map is upside down: its rows are in reverse order. Row 0 is at the top; `origin='lower'` "
            "belongs to plots.",
            lambda v: v.last[:, ::-1],
        ),
        Mistake(
            "mirrored",
            "The map is mirrored: its columns are in reverse order. Was the image flipped on its way in?",
            lambda v: v.last[:, :, ::-1],
        ),
        Mistake(
            "channels-swapped",
            "Red and blue are swapped: the channels are in reverse order, RGB against BGR. OpenCV reads BGR; "
            "`image[..., ::-1]` turns it.",
            lambda v: v.last[..., ::-1] if v.last.ndim == 4 and v.last.shape[-1] == 3 else None,
        ),
        Mistake(
            "always-the-first-image",
            "Every map is that of the first image: look for an index [0] that should be the image's own.",
            _of_several(lambda m: np.broadcast_to(m[:1], m.shape)),
        ),
        Mistake(
            "images-out-of-order",
            "The maps belong to other images of the batch: they are in reverse order.",
            _of_several(lambda m: m[::-1]),
        ),
    ]
    return Stage("arrangement", lambda v: v.last, mistakes)


def plain_values() -> list[Mistake]:
    """Mistakes where the numbers are asked as they are."""
    return [
        Mistake(
            "relu-applied",
            "Negative values are missing: a ReLU was applied. Asked are the numbers with their sign.",
            lambda v: np.maximum(v.last, 0),
        ),
        Mistake(
            "sign-lost",
            "The signs are lost: these are the absolute values. Asked are the numbers with their sign.",
            lambda v: np.abs(v.last),
        ),
        Mistake(
            "normalised",
            "The numbers are divided by the maximum. Asked is what the formula gives, unscaled.",
            lambda v: normalized(v.last) if v.last.ndim > 1 else None,
        ),
    ]
