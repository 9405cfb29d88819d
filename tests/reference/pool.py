"""Pooling and unpooling, window by window."""

import numpy as np


def _pair(value):
    return (value, value) if np.isscalar(value) else tuple(value)


def _geometry(shape, pool_size, strides, padding, pads):
    """Per dimension: output size, stride, extent and how many cells lie before the first pixel."""
    result = []
    size, strides = _pair(pool_size), _pair(strides)
    for d in range(2):
        n, k, s = shape[1 + d], size[d], strides[d] or size[d]
        if padding == "same":
            out = -(-n // s)
            before = max((out - 1) * s + k - n, 0) // 2
        else:
            before, after = pads[2 * d : 2 * d + 2] if padding == "explicit" else (0, 0)
            out = max((n + before + after - k) // s + 1, 0)
        result.append((out, s, k, before))
    return result


def _windows(x, pool_size, strides, padding, pads):
    """Yields (output row, output column, valid rows, valid columns)."""
    rows, cols = _geometry(x.shape, pool_size, strides, padding, pads)

    def valid(i, geometry, n):
        first = i * geometry[1] - geometry[3]
        return [r for r in range(first, first + geometry[2]) if 0 <= r < n]

    for i in range(rows[0]):
        for j in range(cols[0]):
            yield i, j, valid(i, rows, x.shape[1]), valid(j, cols, x.shape[2])


def _output(x, pool_size, strides, padding, pads, dtype=None):
    rows, cols = _geometry(x.shape, pool_size, strides, padding, pads)
    return np.zeros((x.shape[0], rows[0], cols[0], x.shape[3]), dtype or x.dtype)


def max_pool_with_argmax(x, pool_size=2, strides=0, padding="valid", pads=None, include_batch_in_index=False):
    y = _output(x, pool_size, strides, padding, pads)
    at = np.zeros(y.shape, np.int64)
    for i, j, rows, cols in _windows(x, pool_size, strides, padding, pads):
        for n in range(x.shape[0]):
            for c in range(x.shape[3]):
                cells = [(r, s) for r in rows for s in cols]
                values = [x[n, r, s, c] for r, s in cells]
                # NumPy's argmax takes the first of equals, and the first NaN before all
                r, s = cells[int(np.argmax(values))]
                y[n, i, j, c] = x[n, r, s, c]
                at[n, i, j, c] = (r * x.shape[2] + s) * x.shape[3] + c
                if include_batch_in_index:
                    at[n, i, j, c] += n * x.shape[1] * x.shape[2] * x.shape[3]
    return y, at


def max_pool2d(x, pool_size=2, strides=0, padding="valid", pads=None):
    return max_pool_with_argmax(x, pool_size, strides, padding, pads)[:1]


def average_pool2d(x, pool_size=2, strides=0, padding="valid", pads=None):
    y = _output(x, pool_size, strides, padding, pads)
    for i, j, rows, cols in _windows(x, pool_size, strides, padding, pads):
        y[:, i, j] = x[:, rows][:, :, cols].mean(axis=(1, 2))
    return (y,)


def global_average_pool2d(x, keepdims=False):
    return (x.mean(axis=(1, 2), keepdims=bool(keepdims)),)


def max_unpool(x, switches, size, overlap="sum"):
    height, width = _pair(size)
    y = np.zeros((x.shape[0], height * width * x.shape[3]), x.dtype)
    for n in range(x.shape[0]):
        for value, at in zip(x[n].ravel(), switches[n].ravel(), strict=True):
            y[n, at] = value if overlap == "overwrite" else y[n, at] + value
    return (y.reshape(x.shape[0], height, width, x.shape[3]),)


TWINS = {
    "max_pool2d": max_pool2d,
    "max_pool_with_argmax": max_pool_with_argmax,
    "average_pool2d": average_pool2d,
    "global_average_pool2d": global_average_pool2d,
    "max_unpool": max_unpool,
}

_rng = np.random.default_rng(5)
_TIES = np.array([[1.0, 1, 0, 2], [1, 1, 2, 2], [3, 3, -1, -1]]).reshape(1, 3, 4, 1)
_BAD = np.array(
    [[np.nan, 1, -np.inf, -np.inf], [2, np.nan, -np.inf, -np.inf], [5, 6, np.nan, 7], [7, 7, 8, 8]]
)
_BAD = _BAD.reshape(1, 4, 4, 1)

_SETTINGS = [
    {},
    {"pool_size": 3, "strides": 2},
    {"pool_size": 3, "strides": 2, "padding": "same"},
    {"pool_size": (3, 2), "strides": (1, 2), "padding": "same"},
    {"pool_size": 2, "strides": 3},
    {"pool_size": 3, "strides": 2, "padding": "explicit", "pads": (1, 1, 0, 2)},
    {"pool_size": (2, 5), "strides": 1, "padding": "explicit", "pads": (1, 0, 4, 4)},
    {"pool_size": (7, 9), "padding": "same"},
]
_POOLS = ("max_pool2d", "max_pool_with_argmax", "average_pool2d")
# A 3x3 pool with stride 2 over 7x9: neighbours share their maxima.
_SHARED = max_pool_with_argmax(_rng.normal(size=(2, 7, 9, 3)), 3, 2)

CASES = [
    *((name, [(2, 7, 9, 3)], setting) for name in _POOLS for setting in _SETTINGS),
    *((name, [(1, 5, 4, 67)], {"pool_size": 3, "strides": 2, "padding": "same"}) for name in _POOLS),
    *((name, [(3, 1, 1, 2)], {"pool_size": 3, "padding": "same"}) for name in _POOLS),
    *((name, [(0, 4, 6, 2)], {}) for name in _POOLS),
    ("max_pool_with_argmax", [(3, 5, 6, 2)], {"include_batch_in_index": True}),
    *((name, [_TIES], {"pool_size": 2, "strides": 1}) for name in _POOLS),
    *((name, [_BAD], {}) for name in ("max_pool2d", "max_pool_with_argmax")),
    ("global_average_pool2d", [(2, 5, 3, 4)], {}),
    ("global_average_pool2d", [(2, 7, 6, 130)], {"keepdims": True}),
    ("max_unpool", [*_SHARED], {"size": (7, 9)}),
    ("max_unpool", [_SHARED[0], _SHARED[1].astype(np.int32)], {"size": (7, 9), "overlap": "overwrite"}),
    ("max_unpool", [(2, 3, 4, 3), _SHARED[1]], {"size": (8, 11)}),
]
