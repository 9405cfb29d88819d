"""What the metrics share: maps checked against images, the order of pixels, and scores of variants."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnexplain import random

from ..arguments import open_session
from ..baselines import baselines
from ..explanation import Explanation
from ..sampling import first_look, values_of, variants
from ..session import Session
from ..target import SCORES, Scored

_BLUR, _DEVIATION = 11, 5.0  # pixels: the blurred picture of RISE's insertion


def open_metric(
    name: str, model: Any, images: Any, maps: Any, class_index: Any, shared: Mapping[str, Any]
) -> tuple[Session, Scored]:
    """The session of a metric of given maps, and the scores of the whole images.

    An Explanation's own classes are the ones that count, unless the caller says others.
    """
    if class_index is None and isinstance(maps, Explanation):
        classes = np.atleast_1d(maps.class_index)
        class_index = classes if (classes >= 0).all() else None
        position = maps.parameters.get("position")
        if class_index is not None and position is not None:
            class_index = (position, classes)
    session = open_session(name, model, images, class_index, shared)
    return session, first_look(session).scored


def amounts_score(attributions: Any, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The shared arguments, with the score that an Explanation is of where the caller names none."""
    if "score" not in shared and isinstance(attributions, Explanation):
        score = attributions.parameters.get("score")
        if score in SCORES:
            return {**shared, "score": score}
    return dict(shared)


def checked_maps(maps: Any, count: int, size: tuple[int, int], name: str = "maps") -> np.ndarray:
    """(n,H,W) float64."""
    array = np.asarray(maps.map if isinstance(maps, Explanation) else maps)
    if array.shape == size:
        array = array[None]
    if array.shape != (count, *size):
        raise ValueError(
            f"`{name}` must be an Explanation of these images or an array of shape {(count, *size)}. "
            f"Received: shape={array.shape}"
        )
    return _finite(array, name)


def checked_amounts(attributions: Any, shape: tuple[int, ...]) -> np.ndarray:
    """(n,H,W,C) or (n,H,W,1) float64: what each value of an image (n,H,W,C), or each pixel, contributes."""
    whole = isinstance(attributions, Explanation)
    array = np.asarray(attributions.raw if whole else attributions)
    for wanted in (shape, shape[:3]):
        if array.shape == wanted[1:] and shape[0] == 1:
            array = array[None]
        if array.shape == wanted:
            return _finite(array, "attributions").reshape(*shape[:3], -1)
    what = f"raw of {attributions.method}, " if whole else ""
    raise ValueError(
        f"`attributions` must have one value for each value of the images {shape}, or for each pixel "
        f"{shape[:3]}. Received: {what}shape={array.shape}"
    )


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind not in "buif":
        raise ValueError(f"`{name}` must be real numbers. Received: dtype={array.dtype}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be finite. Received: NaN or infinity")
    return array


def ranks_of(maps: np.ndarray, seed: int) -> Callable[[int], np.ndarray]:
    """Of an image, (H,W) the place of each pixel when they are sorted from the highest value down.

    Equal values are sorted by a permutation drawn from the seed, the same for all maps.
    """
    size = maps.shape[1:]
    drawn = np.asarray(random.stateless_uniform((maps[0].size,), seed=(seed, 0), dtype="float64"))

    @functools.lru_cache(maxsize=4)
    def ranks(image: int) -> np.ndarray:
        order = np.lexsort((drawn, -maps[image].reshape(-1)))
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return places.reshape(size)

    return ranks


def scores_of(
    session: Session, scored: Scored, count: int, make: Callable[[int, int], np.ndarray]
) -> np.ndarray:
    """(n, count) the score of each image's class for `count` variants of the image."""
    scores = np.zeros((len(session.inputs), count))
    for rows in variants(session, scored.class_index, count, make, track=False):
        scores[rows.image, rows.variant] = rows.scored.score
    return scores


def background(session: Session, baseline: Any, preprocess: Any) -> Callable[[int], np.ndarray]:
    """Of an image, (H,W,C) what stands where it is hidden."""
    if isinstance(baseline, str) and baseline == "blur":
        x = values_of(session)
        return functools.lru_cache(maxsize=4)(lambda image: blurred(x[image]))
    if isinstance(baseline, (list, tuple)):
        raise ValueError(
            "`baseline` must be a number, an array or one of black, white, mean, blur. "
            f"Received: baseline={baseline!r}"
        )
    (made,), _ = baselines(session, baseline, preprocess)
    return lambda image: made[image % len(made)]


def blurred(image: np.ndarray) -> np.ndarray:
    """(H,W,C) under a Gaussian window of 11 x 11 with deviation 5; at the edges, of the pixels there are."""
    at = np.arange(_BLUR) - _BLUR // 2
    bell = np.exp(-(at**2) / (2 * _DEVIATION**2))
    result = image.astype(np.float64)
    for axis in (0, 1):
        side = result.shape[axis]
        lines = np.moveaxis(result, axis, 0)
        total, weight = np.zeros(lines.shape), np.zeros(side)
        for shift, part in zip(at.tolist(), bell, strict=True):
            low, high = max(0, -shift), min(side, side - shift)
            if low < high:
                total[low:high] += part * lines[low + shift : high + shift]
                weight[low:high] += part
        result = np.moveaxis(total / weight.reshape(-1, *[1] * (lines.ndim - 1)), 0, axis)
    return result.astype(image.dtype)


def named(baseline: Any, default: str = "0") -> Any:
    """How a baseline is called among the parameters."""
    return default if baseline is None else "an array" if np.ndim(baseline) else baseline
