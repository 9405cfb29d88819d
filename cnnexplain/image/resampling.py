"""Resampling along one axis as a matrix (out, in), the weights of TensorFlow's image.resize."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np


def _triangle(t: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(t), 0)


def _cubic(b: float, c: float) -> Callable[[np.ndarray], np.ndarray]:
    """The cubic filters of Mitchell and Netravali 1988."""

    def kernel(t: np.ndarray) -> np.ndarray:
        t = np.abs(t)
        near = ((12 - 9 * b - 6 * c) * t + (-18 + 12 * b + 6 * c)) * t**2 + (6 - 2 * b)
        far = (((-b - 6 * c) * t + (6 * b + 30 * c)) * t + (-12 * b - 48 * c)) * t + (8 * b + 24 * c)
        return np.where(t < 1, near, np.where(t < 2, far, 0)) / 6

    return kernel


def _lanczos(radius: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda t: np.where(np.abs(t) < radius, np.sinc(t) * np.sinc(t / radius), 0)


def _gaussian(t: np.ndarray) -> np.ndarray:
    return np.where(np.abs(t) < 1.5, np.exp(-2 * t**2), 0)


KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_cubic(0, 0.5), 2),
    "mitchellcubic": (_cubic(1 / 3, 1 / 3), 2),
    "lanczos3": (_lanczos(3), 3),
    "lanczos5": (_lanczos(5), 5),
    "gaussian": (_gaussian, 1.5),
}
METHODS = (*KERNELS, "nearest", "area")


@lru_cache(maxsize=64)
def matrix(n_in: int, n_out: int, method: str, antialias: bool) -> np.ndarray:
    """float64 (n_out, n_in), rows sum to 1."""
    scale = n_in / n_out
    if method == "area":
        edges = np.arange(n_out + 1) * scale
        cells = np.arange(n_in)
        inside = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
        weights = np.maximum(inside, 0)
    else:
        kernel, radius = KERNELS[method]
        # float32 as in TensorFlow: its rounding decides whether a pixel at the edge of a kernel counts
        step = np.float32(1) / np.float32(n_out / n_in)
        wide = max(step, np.float32(1)) if antialias else np.float32(1)
        centre = ((np.arange(n_out, dtype=np.float32) + np.float32(0.5)) * step)[:, None]
        cells = np.arange(n_in, dtype=np.float32)
        first = np.ceil(centre - np.float32(radius) * wide - np.float32(0.5))
        last = np.floor(centre + np.float32(radius) * wide - np.float32(0.5))
        places = (cells + np.float32(0.5) - centre) * (np.float32(1) / wide)
        weights = kernel(places.astype(np.float64)) * ((cells >= first) & (cells <= last))
    weights = weights / weights.sum(1, keepdims=True)
    weights.flags.writeable = False
    return weights
