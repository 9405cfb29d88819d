"""From numbers to colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Colours = str | Callable[[np.ndarray], np.ndarray]
HEAT = "plasma"  # of maps: lightness grows with the value, on paper and for every eye
SIGNED = "RdBu_r"  # of values around zero


def to_rgb(images: np.ndarray) -> np.ndarray:
    """Images of any kind as they can be shown: float (n,H,W,3) in [0,1].

    Values in 0..1 are shown as they are; whole numbers and floats in 0..255 are divided by 255; anything else
    is scaled from each image's minimum to its maximum. One channel becomes grey, three are RGB, others are
    averaged.
    """
    x = np.asarray(images, np.float64)
    low, high = x.min(), x.max()
    if images.dtype.kind == "b" or (images.dtype.kind == "f" and low >= 0 and high <= 1):
        pass
    elif low >= 0 and high <= 255:
        x = x / 255
    else:
        low = x.min((1, 2, 3), keepdims=True)
        span = x.max((1, 2, 3), keepdims=True) - low
        x = (x - low) / np.where(span > 0, span, 1)
    if x.shape[3] not in (1, 3):
        x = x.mean(3, keepdims=True)
    return np.broadcast_to(x, (*x.shape[:3], 3)) if x.shape[3] == 1 else x


def colour_map(cmap: Colours) -> Callable[[np.ndarray], np.ndarray]:
    """A callable of values in [0,1] that gives colours in [0,1]."""
    if callable(cmap):
        return cmap
    import matplotlib

    if cmap not in matplotlib.colormaps:
        raise ValueError(
            f"`cmap` must be a callable or a name that matplotlib knows. Received: cmap={cmap!r}"
        )
    return matplotlib.colormaps[cmap]


def checked_alpha(alpha: float) -> None:
    """Refuses what is no opacity."""
    if not isinstance(alpha, (int, float, np.number)) or not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must be between 0 and 1. Received: alpha={alpha!r}")


def overlay(images: np.ndarray, maps: np.ndarray, alpha: float = 0.5, cmap: Colours = HEAT) -> np.ndarray:
    """(1 - alpha) * image + alpha * colour(map).

    Args:
        images: (n,H,W,C), see `to_rgb`.
        maps: (n,H,W) in [0,1].
        alpha: 0 shows the image alone, 1 the map alone.
        cmap: a name known to matplotlib, or a callable of values in [0,1] that gives RGB(A) in [0,1].

    Returns:
        uint8 (n,H,W,3).

    >>> import numpy as np
    >>> white, left = np.ones((1, 1, 2, 1)), np.array([[[1.0, 0.0]]])
    >>> overlay(white, left, 0.5, lambda v: np.stack([v, 0 * v, 0 * v], -1)).tolist()
    [[[[255, 128, 128], [128, 128, 128]]]]
    """
    checked_alpha(alpha)
    coloured = np.asarray(colour_map(cmap)(np.asarray(maps)))[..., :3]
    mixed = (1 - alpha) * to_rgb(images) + alpha * coloured
    return np.floor(np.clip(mixed, 0, 1) * 255 + 0.5).astype(np.uint8)
