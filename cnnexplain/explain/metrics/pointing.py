"""The pointing game: does the map's highest point lie on the object?"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..explanation import Explanation
from ..sampling import number
from .common import checked_maps
from .result import Metric


def pointing_game(maps: Any, masks: Any, *, tolerance: float = 0) -> Metric:
    """Pointing game: the part of images whose highest point of the map hits the object's mask.

    An image with an empty mask is neither hit nor miss: it is left out and counted. Where several pixels
    share the maximum, the image counts by the part of them that hits, which is what pointing at one of them
    at random gives on average: a constant map scores as much as the object covers. Zhang et al., arXiv
    1608.00507, which counts a hit within 15 pixels of the object.

    Args:
        maps: an Explanation, or an array (n,H,W) or (H,W).
        masks: (n,H,W) or (H,W) of the object: bool, or numbers of which all but 0 belong to it.
        tolerance: pixels; a point hits whose distance from the nearest pixel of the mask is at most this.

    Returns:
        A Metric between 0 and 1; higher is better. `details["maxima"]` tells how many pixels share the
        maximum.

    Raises:
        ValueError: masks of another shape than the maps, or a negative tolerance.

    >>> import numpy as np
    >>> maps, masks = np.zeros((2, 4, 4)), np.zeros((2, 4, 4), bool)
    >>> maps[:, 1, 1] = masks[0, 1, 1] = 1
    >>> pointing_game(maps, masks)
    <Metric pointing_game 1 of 2 images, 1 left out, higher is better>
    """
    array = np.asarray(maps.map if isinstance(maps, Explanation) else maps)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"`maps` must have shape (n,H,W) or (H,W). Received: shape={array.shape}")
    values = checked_maps(array, len(array), array.shape[1:])
    objects = checked_maps(masks, len(array), array.shape[1:], "masks") != 0
    reach = number("tolerance", tolerance)
    if reach < 0:
        raise ValueError(f"`tolerance` must be a number of 0 or more. Received: tolerance={tolerance!r}")
    per_image, maxima = np.full(len(values), np.nan), np.zeros(len(values), np.int64)
    for i, (one, mask) in enumerate(zip(values, objects, strict=True)):
        points = np.argwhere(one == one.max())
        maxima[i] = len(points)
        if mask.any():
            near = within(mask, reach)
            per_image[i] = near[points[:, 0], points[:, 1]].mean()
    return Metric(
        "pointing_game",
        per_image,
        higher_is_better=True,
        reason="the mask is empty",
        details={"maxima": maxima, "object": objects.mean((1, 2))},
        parameters={"tolerance": reach},
    )


def within(mask: np.ndarray, reach: float) -> np.ndarray:
    """(H,W) bool: the pixels at most `reach` away from one of the mask's."""
    if reach < 1:
        return mask
    height, width = mask.shape
    columns = np.arange(width)
    # the distance to the nearest pixel of the mask within each row, (H,W)
    gaps = np.full(mask.shape, np.inf)
    for row in np.flatnonzero(mask.any(1)):
        there = np.flatnonzero(mask[row])
        right = np.searchsorted(there, columns)
        after = there[np.minimum(right, len(there) - 1)]
        before = there[np.maximum(right - 1, 0)]
        gaps[row] = np.minimum(np.abs(after - columns), np.abs(before - columns))
    near = np.zeros(mask.shape, bool)
    for shift in range(-min(int(reach), height - 1), min(int(reach), height - 1) + 1):
        low, high = max(0, -shift), min(height, height - shift)
        near[low:high] |= gaps[low + shift : high + shift] ** 2 + shift**2 <= reach**2
    return near
