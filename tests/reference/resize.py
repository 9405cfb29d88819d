"""Resizing with half-pixel centres."""

import numpy as np


def _matrix(n_in, n_out):
    """Row i holds the weights of the input pixels in output pixel i."""
    m = np.zeros((n_out, n_in))
    for i in range(n_out):
        place = (i + 0.5) * n_in / n_out - 0.5
        low = int(np.floor(place))
        share = place - low
        m[i, min(max(low, 0), n_in - 1)] += 1 - share
        m[i, min(max(low + 1, 0), n_in - 1)] += share
    return m


def _cubic(n_in, n_out):
    """Row i: Keys' cubic with a = -1/2 around a place rounded to 1/1024, over the pixels that there are."""
    m = np.zeros((n_out, n_in))
    for i in range(n_out):
        place = np.float32(i + 0.5) * (np.float32(n_in) / np.float32(n_out)) - np.float32(0.5)
        base = np.floor(place)
        place = float(base) + np.rint((place - base) * np.float32(1024)) / 1024.0
        t = np.abs(place - np.arange(n_in))
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        m[i] = np.where(t <= 1, near, np.where(t < 2, far, 0))
    return m / m.sum(1, keepdims=True)


def _nearest(n_in, n_out):
    # in float32, as TensorFlow computes it
    scale = np.float32(n_in) / np.float32(n_out)
    place = np.floor((np.arange(n_out, dtype=np.float32) + np.float32(0.5)) * scale)
    return np.minimum(place.astype(np.int64), n_in - 1)


def resize(x, size, method="nearest"):
    height, width = (size, size) if np.isscalar(size) else size
    if method == "nearest":
        return (x[:, _nearest(x.shape[1], height)][:, :, _nearest(x.shape[2], width)],)
    matrix = _cubic if method == "bicubic" else _matrix
    rows, cols = matrix(x.shape[1], height), matrix(x.shape[2], width)
    return (np.einsum("ih,nhwc,jw->nijc", rows, x, cols),)


TWINS = {"resize": resize}

_SHAPES = [((2, 3, 5, 2), (7, 4)), ((1, 8, 6, 3), (3, 6)), ((2, 1, 4, 1), (5, 9)), ((1, 7, 7, 2), (14, 21))]

CASES = [
    *(
        ("resize", [shape], {"size": size, "method": method})
        for shape, size in _SHAPES
        for method in ("nearest", "bilinear", "bicubic")
    ),
    ("resize", [(1, 26, 13, 1)], {"size": (11, 22)}),
    ("resize", [np.arange(24, dtype=np.uint8).reshape(1, 4, 3, 2)], {"size": 5}),
    ("resize", [np.arange(24).reshape(1, 4, 3, 2) % 3 == 0], {"size": (2, 4)}),
]
