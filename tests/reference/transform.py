"""Projective transforms of images, pixel by pixel; places in float32, as TensorFlow computes them."""

import numpy as np

_F = np.float32


def _reflect(at, n):
    """d c b a | a b c d | d c b a"""
    if n <= 1:
        return 0
    if at < 0:  # the order of the float32 operations is TensorFlow's
        at = _F(2 * n * np.trunc(-at / _F(2 * n))) + at
        return at + _F(2 * n) if at < -n else -at - _F(1)
    if at > n - 1:
        at = at - _F(2 * n * np.trunc(at / _F(2 * n)))
        return _F(2 * n) - at - _F(1) if at >= n else at
    return at


def _wrap(at, n):
    """a b c d | a b c d, with steps of n for each n - 1 pixels beyond the edge, as TensorFlow has it."""
    if n <= 1:
        return 0
    if at < 0:
        return at + n * (np.trunc(-at / _F(n - 1)) + 1)
    return at - n * np.trunc(at / _F(n - 1)) if at > n - 1 else at


def _place(at, n, mode):
    if not np.isfinite(at):
        return None
    if mode == "constant":
        return at
    at = {"nearest": lambda a, m: a, "reflect": _reflect, "wrap": _wrap}[mode](at, n)
    return min(max(_F(at), _F(0)), _F(n - 1))


def projective_transform(
    x, transforms, interpolation="bilinear", fill_mode="constant", fill_value=0.0, size=0
):
    height, width = (size, size) if np.isscalar(size) else size
    if not height:
        height, width = x.shape[1:3]
    y = np.full((x.shape[0], height, width, x.shape[3]), fill_value, dtype=x.dtype)

    def read(n, row, column):
        inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
        return x[n, int(row), int(column)] if inside else np.full(x.shape[3], fill_value)

    for n, j, i in np.ndindex(x.shape[0], height, width):
        m = transforms[n if len(transforms) > 1 else 0].astype(_F)
        over = m[6] * _F(i) + m[7] * _F(j) + _F(1)
        column = _place((m[0] * _F(i) + m[1] * _F(j) + m[2]) / over, x.shape[2], fill_mode)
        row = _place((m[3] * _F(i) + m[4] * _F(j) + m[5]) / over, x.shape[1], fill_mode)
        if row is None or column is None:
            continue
        if interpolation == "nearest":  # halves away from zero
            row, column = (np.copysign(np.floor(abs(at) + 0.5), at) for at in (row, column))
            y[n, j, i] = read(n, row, column)
            continue
        top, left = np.floor(row), np.floor(column)
        down, along = float(row) - float(top), float(column) - float(left)
        upper = (1 - along) * read(n, top, left) + along * read(n, top, left + 1)
        lower = (1 - along) * read(n, top + 1, left) + along * read(n, top + 1, left + 1)
        y[n, j, i] = (1 - down) * upper + down * lower
    return (y,)


TWINS = {"projective_transform": projective_transform}

_TURN = np.array([[0.8, -0.6, 2.1, 0.6, 0.8, -1.3, 0, 0], [0.9, 0.1, -3.25, -0.2, 1.1, 4.5, 0, 0]])
_TILT = np.array([[1.1, 0.2, -0.5, 0.1, 0.9, 0.3, 0.02, -0.03]])
_SHIFT = np.array([[1.0, 0, -7.5, 0, 1, 9.25, 0, 0]])
_INFINITE = np.array([[1.0, 0, 0, 0, 1, 0, -0.5, 0]])

CASES = [
    *(
        ("projective_transform", [(2, 5, 7, 3), matrix], {"interpolation": how, "fill_mode": mode})
        for how in ("nearest", "bilinear")
        for mode in ("constant", "nearest", "reflect", "wrap")
        for matrix in (_TURN, _SHIFT)
    ),
    ("projective_transform", [(2, 5, 4, 1), _TILT], {"fill_value": -1.5}),
    ("projective_transform", [(1, 5, 4, 2), _TILT], {"fill_mode": "reflect", "size": (3, 9)}),
    ("projective_transform", [(1, 4, 4, 2), _INFINITE], {"fill_value": 2.0}),
    ("projective_transform", [(2, 1, 1, 2), _TURN], {"fill_mode": "wrap", "size": 3}),
    ("projective_transform", [(1, 3, 90, 1), _TURN[:1]], {"fill_mode": "reflect"}),
]
