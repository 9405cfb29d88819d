"""Reductions, arg max and min, cumulative sums and products, sorting."""

import numpy as np


def _axes(axis):
    return axis if axis is None or np.isscalar(axis) else tuple(axis)


def _reduction(function):
    return lambda x, axis=None, keepdims=False: (
        np.asarray(function(x, axis=_axes(axis), keepdims=keepdims), dtype=x.dtype),
    )


def reduce_mean(x, axis=None, keepdims=False):
    if x.dtype.kind == "f":
        return (np.asarray(x.mean(axis=_axes(axis), keepdims=keepdims)),)
    total = x.sum(axis=_axes(axis), keepdims=keepdims, dtype=x.dtype)
    return (np.trunc(total / (x.size // max(total.size, 1))).astype(x.dtype),)


def _best(function):
    return lambda x, axis=0, output_type="int64": (function(x, axis=axis).astype(output_type),)


def cumsum(x, axis=0, exclusive=False, reverse=False):
    x = np.flip(x, axis) if reverse else x
    y = np.cumsum(x, axis=axis, dtype=x.dtype)
    y = y - x if exclusive and x.dtype.kind != "f" else y
    if exclusive and x.dtype.kind == "f":
        y = (
            np.concatenate([np.zeros_like(np.take(y, [0], axis)), np.delete(y, -1, axis)], axis)
            if y.size
            else y
        )
    return (np.flip(y, axis) if reverse else y,)


def cumprod(x, axis=0, exclusive=False, reverse=False):
    x = np.flip(x, axis) if reverse else x
    y = np.cumprod(x, axis=axis, dtype=x.dtype)
    if exclusive and y.size:
        y = np.concatenate([np.ones_like(np.take(y, [0], axis)), np.delete(y, -1, axis)], axis)
    return (np.flip(y, axis) if reverse else y,)


def sort(x, axis=-1, descending=False):
    order = np.argsort(x, axis, kind="stable")
    if descending:  # stable from the other end
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    return np.take_along_axis(x, order, axis), order.astype(np.int32)


TWINS = {
    "reduce_sum": _reduction(np.sum),
    "reduce_mean": reduce_mean,
    "reduce_max": _reduction(lambda x, **k: np.max(x, initial=_least(x), **k)),
    "reduce_min": _reduction(lambda x, **k: np.min(x, initial=_most(x), **k)),
    "reduce_prod": _reduction(np.prod),
    "reduce_any": _reduction(np.any),
    "reduce_all": _reduction(np.all),
    "argmax": _best(np.argmax),
    "argmin": _best(np.argmin),
    "cumsum": cumsum,
    "cumprod": cumprod,
    "sort": sort,
}


def _least(x):
    return -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min


def _most(x):
    return np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).max


_rng = np.random.default_rng(2)
_NUMBERS = ("int32", "int64", "uint8", "int8")
_REAL = ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod")
_SMALL = 1 + 0.1 * _rng.normal(size=(3, 4, 5, 6))
_ZEROS = np.where(_rng.uniform(size=(6, 7)) < 0.15, 0.0, _rng.normal(size=(6, 7)))
_TIES = _rng.integers(0, 3, (5, 6, 4)).astype(float)
_NAN = np.array([[1.0, np.nan, 3.0, np.nan], [-np.inf, np.inf, 2.0, 0.0]])
_FLAGS = _rng.uniform(size=(3, 4, 5)) < 0.6
_AXES = [None, (0,), (1,), (2,), -1, (0, 1), (1, 2), (0, 2), (1, 3), (0, 1, 2, 3), ()]


def _integers(dtype, shape):
    return _rng.integers(np.iinfo(dtype).min // 2, np.iinfo(dtype).max // 2, shape).astype(dtype)


CASES = [
    *((name, [(3, 4, 5, 6)], {"axis": axis}) for name in _REAL[:4] for axis in _AXES),
    *(("reduce_prod", [_SMALL], {"axis": axis}) for axis in _AXES),
    *((name, [(2, 3, 4)], {"axis": axis, "keepdims": True}) for name in _REAL for axis in (None, 1, (0, 2))),
    *((name, [()], {}) for name in _REAL),
    *((name, [(5, 0, 3)], {"axis": axis}) for name in (*_REAL[:1], *_REAL[2:]) for axis in (None, 0, 1, 2)),
    *((name, [(2, 1, 3, 1, 2, 2, 1, 2)], {"axis": (0, 3, 5, 7)}) for name in _REAL),
    *((name, [(1500, 3)], {"axis": axis}) for name in _REAL[:4] for axis in (None, 0, 1)),
    *((name, [(40, 300)], {"axis": 0}) for name in _REAL[:4]),
    ("reduce_sum", [(2, 70001)], {"axis": 1}),
    ("reduce_sum", [(70001, 2)], {"axis": 0}),
    ("reduce_mean", [(2, 9000, 9)], {"axis": (0, 1)}),
    *(("reduce_prod", [_ZEROS], {"axis": axis}) for axis in (0, 1, None)),
    *((name, [_TIES], {"axis": axis}) for name in ("reduce_max", "reduce_min") for axis in (0, 1, (1, 2))),
    *((name, [_NAN], {"axis": axis}) for name in _REAL[:4] for axis in (0, 1)),
    *(
        (name, [_integers(d, (4, 5, 3))], {"axis": (0, 2)})
        for name in _REAL[:1] + _REAL[2:]
        for d in _NUMBERS
    ),
    *(("reduce_mean", [_rng.integers(0, 9, (4, 5)).astype(d)], {"axis": 1}) for d in _NUMBERS),
    *(
        (name, [_FLAGS], {"axis": axis})
        for name in ("reduce_any", "reduce_all")
        for axis in (None, 0, 1, (1, 2))
    ),
    *((name, [np.zeros((0, 3), bool)], {"axis": 0}) for name in ("reduce_any", "reduce_all")),
    *((name, [(4, 5, 70)], {"axis": axis}) for name in ("argmax", "argmin") for axis in (0, 1, 2, -1)),
    *((name, [_TIES], {"axis": 1, "output_type": "int32"}) for name in ("argmax", "argmin")),
    *((name, [_NAN], {"axis": 1}) for name in ("argmax", "argmin")),
    *(
        (name, [_integers(d, (4, 5))], {"axis": 1})
        for name in ("argmax", "argmin", "cumsum", "cumprod")
        for d in _NUMBERS
    ),
    *((name, [(3, 0)], {"axis": 0}) for name in ("argmax", "argmin")),
    *(
        ("cumprod", [x], {"axis": axis, "exclusive": exclusive, "reverse": reverse})
        for x, axis in ((_SMALL, 1), (_ZEROS, 0), (_ZEROS, -1), (np.tile(_SMALL[0], 15), 1))
        for exclusive in (False, True)
        for reverse in (False, True)
    ),
    ("cumprod", [(3, 0)], {"axis": 1}),
    *(
        ("sort", [x], {"axis": axis, "descending": descending})
        for x in (
            (4, 5, 70),
            (7, 1),
            (2, 300),
            _TIES,
            _NAN,
            _integers("uint8", (3, 9)),
            _integers("int64", (9,)),
        )
        for axis in (0, -1)
        for descending in (False, True)
    ),
    *(("sort", [_integers(d, (6, 5))], {"axis": 0}) for d in _NUMBERS),
    ("sort", [(3, 0)], {"axis": 1}),
    ("sort", [(3, 0)], {"axis": 0}),
    *(
        ("cumsum", [(3, 5, 70)], {"axis": axis, "exclusive": exclusive, "reverse": reverse})
        for axis in (0, 1, -1)
        for exclusive in (False, True)
        for reverse in (False, True)
    ),
    ("cumsum", [(3, 0)], {"axis": 1}),
]
