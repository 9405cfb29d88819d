"""Ops that move elements: views, cuts, joins, gathers."""

import numpy as np


def reshape(x, shape):
    return (
        x.reshape([x.shape[d] if n == -2 else n for d, n in enumerate(np.atleast_1d(shape).astype(int))]),
    )


def broadcast_to(x, shape):
    shape = np.atleast_1d(shape).astype(int)
    shift = len(shape) - x.ndim
    return (np.broadcast_to(x, [x.shape[d - shift] if n == -1 else n for d, n in enumerate(shape)]).copy(),)


def pad(x, before, after, mode="constant", value=0.0):
    widths = list(zip(np.atleast_1d(before).tolist(), np.atleast_1d(after).tolist(), strict=True))
    if mode == "constant":
        return (np.pad(x, widths, constant_values=x.dtype.type(value)),)
    return (np.pad(x, widths, mode=mode),)


def slice_(x, begin, size, strides=None):
    strides = [1] * x.ndim if strides is None else strides
    for d, (start, n, step) in enumerate(zip(begin, size, strides, strict=True)):
        start = start + x.shape[d] if start < 0 else start
        if n == -1:
            picked = [i for i in range(start, x.shape[d] if step > 0 else -1, step) if 0 <= i < x.shape[d]]
        else:
            picked = [start + i * step for i in range(n)]
        x = np.take(x, np.array(picked, int), axis=d)
    return (x,)


def gather(params, indices, axis=0, batch_dims=0):
    if batch_dims == 0:
        return (np.take(params, indices, axis=axis),)
    axis = axis + params.ndim if axis < 0 else axis
    rows = [gather(p, i, axis - 1, batch_dims - 1)[0] for p, i in zip(params, indices, strict=True)]
    return (np.stack(rows),)


def gather_nd(params, indices):
    depth = indices.shape[-1]
    rows = [params[tuple(int(k) for k in index)] for index in indices.reshape(-1, depth)]
    return (np.array(rows, params.dtype).reshape(*indices.shape[:-1], *params.shape[depth:]),)


def one_hot(indices, depth, on_value=1.0, off_value=0.0, axis=-1, dtype="float32"):
    axis = axis + indices.ndim + 1 if axis < 0 else axis
    places = np.arange(depth).reshape([depth if d == axis else 1 for d in range(indices.ndim + 1)])
    return (np.where(np.expand_dims(indices, axis) == places, on_value, off_value).astype(dtype),)


def patch(base, at, changed=None, where=None, size=1, fill=0.0):
    height, width = np.broadcast_to(size, 2)
    made = []
    for i, (image, top, left) in enumerate(at):
        # large enough for both, with the image somewhere inside
        places = [0, top, left] + ([] if where is None else [*where[i]])
        margin = int(max(abs(p) for p in places)) + max(height, width) + max(base.shape[1:3])
        margin += 0 if changed is None else max(changed.shape[1:3])
        field = np.pad(base[image], ((margin, margin), (margin, margin), (0, 0)), constant_values=fill)
        if changed is not None:
            row, column = where[i] + margin
            field[row : row + changed.shape[1], column : column + changed.shape[2]] = changed[i]
        made.append(field[margin + top :, margin + left :][:height, :width])
    return (np.array(made, base.dtype).reshape(len(at), height, width, base.shape[3]),)


TWINS = {
    "identity": lambda x: (x,),
    "stop_gradient": lambda x: (x,),
    "reshape": reshape,
    "transpose": lambda x, perm=None: (np.transpose(x, perm).copy(),),
    "broadcast_to": broadcast_to,
    "pad": pad,
    "slice": slice_,
    "concat": lambda *x, axis=0: (np.concatenate(x, axis=axis),),
    "tile": lambda x, multiples: (np.tile(x, multiples),),
    "reverse": lambda x, axis: (np.flip(x, axis).copy(),),
    "gather": gather,
    "gather_nd": gather_nd,
    "one_hot": one_hot,
    "patch": patch,
}

_rng = np.random.default_rng(3)
_DTYPES = ("int32", "int64", "uint8", "int8", "bool")


def _of(dtype, shape=(3, 4, 5)):
    return _rng.integers(0, 100, shape).astype(dtype)


_MOVES = [
    ("identity", {}),
    ("stop_gradient", {}),
    ("reshape", {"shape": (5, -1)}),
    ("transpose", {"perm": (2, 0, 1)}),
    ("broadcast_to", {"shape": (2, 3, 4, 5)}),
    ("pad", {"before": (1, 0, 2), "after": (0, 3, 1)}),
    ("slice", {"begin": (1, 0, -3), "size": (2, -1, 2)}),
    ("tile", {"multiples": (2, 1, 3)}),
    ("reverse", {"axis": (0, 2)}),
]
_PADS = {"before": (0, 2, 1, 0), "after": (1, 0, 2, 0)}
_INDICES = _rng.integers(0, 4, (2, 3))
# inside, over each edge and corner, outside, far away; the changed part inside, over the edges, elsewhere
_AT = np.array([[0, 1, 2], [1, -2, 1], [0, 3, -1], [1, 2, 4], [1, 0, 0], [0, 9, 9], [1, -70, 3], [0, 0, -7]])
_WHERE = np.array([[2, 3], [0, 0], [2, -2], [4, 5], [-1, 5], [8, 8], [1, 1], [-1, -1]])

CASES = [
    *((name, [(3, 4, 5)], attributes) for name, attributes in _MOVES),
    *((name, [_of(d)], attributes) for name, attributes in _MOVES for d in _DTYPES),
    *((name, [()], {}) for name in ("identity", "transpose")),
    ("reshape", [(6, 4)], {"shape": (2, 3, 2, 2)}),
    ("reshape", [(6, 2, 2)], {"shape": (-2, -1)}),
    ("reshape", [(1, 1)], {"shape": ()}),
    ("reshape", [(0, 6)], {"shape": (-2, 3, 2)}),
    ("transpose", [(3, 4, 5)], {}),
    ("transpose", [(2, 3, 4, 5)], {"perm": (0, 3, 1, 2)}),
    ("transpose", [(2, 3, 4, 5)], {"perm": (0, 2, 3, 1)}),
    ("transpose", [(2, 3, 4, 5)], {"perm": (1, 0, -1, -2)}),
    ("transpose", [(67, 130)], {}),
    ("transpose", [(0, 4)], {}),
    ("broadcast_to", [(4, 1)], {"shape": (3, 4, 6)}),
    ("broadcast_to", [()], {"shape": (2, 3)}),
    ("broadcast_to", [(2, 1, 3)], {"shape": (-1, 5, -1)}),
    ("broadcast_to", [(1, 3)], {"shape": (0, 3)}),
    *(("pad", [(2, 5, 6, 3)], {**_PADS, "mode": mode}) for mode in ("constant", "symmetric")),
    ("pad", [(2, 5, 6, 3)], {**_PADS, "value": -1.5}),
    ("pad", [(2, 5, 6, 3)], {"before": (0, 4, 3, 0), "after": (0, 1, 5, 0), "mode": "reflect"}),
    ("pad", [(3, 4)], {"before": (3, 4), "after": (3, 4), "mode": "symmetric"}),
    ("pad", [(3, 4)], {"before": (0, 0), "after": (0, 0), "mode": "reflect"}),
    ("pad", [_of("int32", (3, 4))], {"before": (1, 1), "after": (2, 0), "mode": "reflect"}),
    ("pad", [(0, 4)], {"before": (2, 1), "after": (1, 0), "value": 2.0}),
    ("slice", [(7, 9)], {"begin": (1, 2), "size": (3, 4)}),
    ("slice", [(7, 9)], {"begin": (0, 8), "size": (3, 3), "strides": (2, -3)}),
    ("slice", [(7, 9)], {"begin": (-1, 1), "size": (-1, -1), "strides": (-2, 3)}),
    ("slice", [(7, 9)], {"begin": (9, 0), "size": (-1, 2)}),
    ("slice", [(7, 9)], {"begin": (3, 0), "size": (0, -1)}),
    ("slice", [(2, 3, 4, 5)], {"begin": (0, 1, 0, 0), "size": (-1, 1, -1, -1)}),
    ("concat", [(2, 3), (4, 3)], {}),
    ("concat", [(2, 3, 4, 2), (2, 3, 4, 5), (2, 3, 4, 1)], {"axis": -1}),
    ("concat", [(2, 3, 4), (2, 0, 4), (2, 2, 4)], {"axis": 1}),
    ("concat", [(3, 2)] * 8, {"axis": 1}),
    ("concat", [(5,)], {}),
    *(("concat", [_of(d, (2, 3)), _of(d, (2, 1))], {"axis": 1}) for d in _DTYPES),
    ("tile", [(3,)], {"multiples": (4,)}),
    ("tile", [(2, 3, 4)], {"multiples": (1, 5, 1)}),
    ("tile", [(2, 3)], {"multiples": (0, 2)}),
    ("reverse", [(2, 5, 6, 3)], {"axis": (1,)}),
    ("reverse", [(2, 5, 6, 3)], {"axis": (-2, -1)}),
    ("reverse", [(4, 5)], {"axis": ()}),
    ("gather", [(4, 5), _INDICES], {}),
    ("gather", [(4, 5), np.array(2)], {}),
    ("gather", [(3, 4, 6), _INDICES.astype(np.int32)], {"axis": 1}),
    ("gather", [(3, 4, 6), _INDICES.astype(np.uint8)], {"axis": -2}),
    ("gather", [(3, 5, 4), np.array([[0, 3, 3], [1, 1, 1], [2, 0, 3]])], {"axis": 2, "batch_dims": 1}),
    ("gather", [(2, 3, 4, 2), _INDICES], {"axis": 2, "batch_dims": 2}),
    ("gather", [(4, 1100), np.array([1, 1, 3])], {}),
    *(("gather", [_of(d, (4, 3)), _INDICES], {"axis": 0}) for d in _DTYPES),
    ("gather", [(4, 5), np.zeros((0,), np.int64)], {}),
    ("gather_nd", [(3, 4, 5), np.array([[0, 3], [2, 1], [2, 1]])], {}),
    ("gather_nd", [(3, 4), np.array([[[0, 3]], [[2, 1]]], np.int32)], {}),
    ("gather_nd", [(3, 4), np.array([[2], [2], [0]])], {}),
    *(("gather_nd", [_of(d, (3, 4)), np.array([[1, 2], [0, 0]])], {}) for d in _DTYPES),
    ("one_hot", [np.array([0, 2, 5, -1, 3])], {"depth": 4}),
    ("one_hot", [np.array([[0, 2], [1, 3]], np.uint8)], {"depth": 4, "axis": 0}),
    ("one_hot", [np.array([[0, 2, 1], [1, 3, 0]], np.int32)], {"depth": 4, "axis": 1, "dtype": "float64"}),
    ("one_hot", [np.array(1)], {"depth": 3, "on_value": 5, "off_value": -2, "dtype": "int32"}),
    *(("patch", [(2, 5, 6, 3), _AT], {"size": size}) for size in ((3, 4), (1, 2), (9, 3))),
    *(
        ("patch", [(2, 5, 6, 3), _AT, (8, *sides, 3), _WHERE], {"size": size, "fill": fill})
        for sides, size, fill in (((2, 2), (3, 4), 0.0), ((1, 4), (5, 6), -2.5), ((3, 3), (1, 1), np.inf))
    ),
    ("patch", [(1, 5, 6, 0), np.zeros((2, 3), np.int64)], {"size": 3}),
    ("patch", [(1, 5, 6, 2), np.zeros((0, 3), np.int64)], {"size": 3}),
    *(("one_hot", [np.array([1, 0])], {"depth": 2, "dtype": d}) for d in _DTYPES),
]
