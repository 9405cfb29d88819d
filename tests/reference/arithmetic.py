"""Elementwise arithmetic, comparison and conversion."""

import math

import numpy as np


def _real(x):
    return np.asarray(x).dtype.kind == "f"


def floor_divide(x, y):
    return (np.floor(x / y) if _real(x) else np.floor_divide(x, y),)


def floor_mod(x, y):
    return (np.mod(x, y),)


def maximum(x, y):
    return (np.where((x >= y) | (x != x), x, y),)


def minimum(x, y):
    return (np.where((x <= y) | (x != x), x, y),)


def clip(x, low=-np.inf, high=np.inf):
    if _real(x):
        return (np.where(x < low, low, np.where(x > high, high, x)),)
    ends = np.iinfo(x.dtype)
    low = ends.min if low == -np.inf else max(int(np.ceil(low)), ends.min)
    high = ends.max if high == np.inf else min(int(np.floor(high)), ends.max)
    return (np.array([min(max(int(v), low), high) for v in x.ravel()], x.dtype).reshape(x.shape),)


def cast(x, dtype):
    to = np.dtype(dtype)
    if to.kind == "b" or not _real(x) or to.kind == "f":
        return (x.astype(to),)
    ends = np.iinfo(to)
    flat = [
        0 if v != v else ends.max if v >= ends.max else ends.min if v <= ends.min else int(v)
        for v in x.ravel()
    ]
    return (np.array(flat, to).reshape(x.shape),)


def _shift(function):
    def shift(x, y):
        return (function(x, np.clip(y, 0, 8 * x.dtype.itemsize - 1).astype(x.dtype)).astype(x.dtype),)

    return shift


TWINS = {
    "add": lambda x, y: (x + y,),
    "subtract": lambda x, y: (x - y,),
    "multiply": lambda x, y: (x * y,),
    "divide": lambda x, y: (x / y,),
    "floor_divide": floor_divide,
    "floor_mod": floor_mod,
    "pow": lambda x, y: (x**y,),
    "maximum": maximum,
    "minimum": minimum,
    "squared_difference": lambda x, y: ((x - y) * (x - y),),
    "atan2": lambda x, y: (np.arctan2(x, y),),
    "bitwise_and": lambda x, y: (x & y,),
    "bitwise_or": lambda x, y: (x | y,),
    "bitwise_xor": lambda x, y: (x ^ y,),
    "left_shift": _shift(np.left_shift),
    "right_shift": _shift(np.right_shift),
    "equal": lambda x, y: (x == y,),
    "not_equal": lambda x, y: (x != y,),
    "greater": lambda x, y: (x > y,),
    "greater_equal": lambda x, y: (x >= y,),
    "less": lambda x, y: (x < y,),
    "less_equal": lambda x, y: (x <= y,),
    "logical_and": lambda x, y: (x & y,),
    "logical_or": lambda x, y: (x | y,),
    "logical_not": lambda x: (~x,),
    "isnan": lambda x: (np.isnan(x),),
    "isinf": lambda x: (np.isinf(x),),
    "isfinite": lambda x: (np.isfinite(x),),
    "where": lambda x, y, condition: (np.where(condition, x, y),),
    "negative": lambda x: (-x,),
    "abs": lambda x: (np.abs(x),),
    "square": lambda x: (x * x,),
    "sqrt": lambda x: (np.sqrt(x),),
    "rsqrt": lambda x: (1 / np.sqrt(x),),
    "exp": lambda x: (np.exp(x),),
    "log": lambda x: (np.log(x),),
    "log1p": lambda x: (np.log1p(x),),
    "sin": lambda x: (np.sin(x),),
    "cos": lambda x: (np.cos(x),),
    "tan": lambda x: (np.tan(x),),
    "asin": lambda x: (np.arcsin(x),),
    "acos": lambda x: (np.arccos(x),),
    "atan": lambda x: (np.arctan(x),),
    "sinh": lambda x: (np.sinh(x),),
    "cosh": lambda x: (np.cosh(x),),
    "asinh": lambda x: (np.arcsinh(x),),
    "acosh": lambda x: (np.arccosh(x),),
    "atanh": lambda x: (np.arctanh(x),),
    "erf": lambda x: (np.vectorize(math.erf, otypes=[float])(x),),
    "expm1": lambda x: (np.expm1(x),),
    "sign": lambda x: (np.sign(x),),
    "round": lambda x: (np.round(x),),
    "floor": lambda x: (np.floor(x),),
    "ceil": lambda x: (np.ceil(x),),
    "clip": clip,
    "cast": cast,
}

_rng = np.random.default_rng(1)
_POSITIVE = _rng.uniform(0.2, 3, (4, 5))
_AWAY = _rng.uniform(0.5, 2, (4, 5)) * _rng.choice([-1, 1], (4, 5))
_EDGES = np.array([-np.inf, -3.5, -2.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 1e30, np.inf, np.nan])
_FLAGS = _rng.integers(0, 2, (4, 5)).astype(bool)
_PAIRS = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "squared_difference")
_COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
_SHAPES = [
    ((4, 5), (4, 5)),
    ((2, 3, 4, 5), (5,)),
    ((5,), (2, 3, 4, 5)),
    ((3, 4), ()),
    ((), (3, 4)),
    ((), ()),
    ((2, 1, 4, 1), (3, 1, 5)),
    ((4, 1), (1, 5)),
    ((3, 1, 1), (3, 700, 2)),
    ((0, 3), (1, 3)),
    ((1, 3), (0, 1)),
    ((2, 1, 3, 1, 2, 1, 2, 1), (1, 2, 1, 2, 1, 3, 1, 2)),
]


def _integers(dtype, shape=(4, 5), low=-20, high=20):
    return _rng.integers(max(low, np.iinfo(dtype).min), high, shape).astype(dtype)


_NUMBERS = ("int32", "int64", "uint8", "int8")
_WRAP = {d: np.array([np.iinfo(d).min, np.iinfo(d).max, 7, 1], d) for d in _NUMBERS}

CASES = [
    *((name, list(shapes), {}) for name in (*_PAIRS, *_COMPARISONS) for shapes in _SHAPES),
    *(
        (name, [_integers(d), _integers(d, (5,))], {})
        for name in (*_PAIRS, *_COMPARISONS)
        if name != "divide"
        for d in _NUMBERS
    ),
    *(
        (name, [_WRAP[d], _WRAP[d][::-1].copy()], {})
        for name in ("add", "subtract", "multiply")
        for d in _NUMBERS
    ),
    *((name, [_EDGES, _EDGES[::-1].copy()], {}) for name in (*_PAIRS, *_COMPARISONS)),
    *((name, [_FLAGS, _FLAGS[0]], {}) for name in ("equal", "not_equal", "logical_and", "logical_or")),
    *((name, [_AWAY, _AWAY[::-1].copy()], {}) for name in ("floor_divide", "floor_mod")),
    *((name, [(3, 4), np.array(0.37)], {}) for name in ("floor_divide", "floor_mod")),
    *(
        (
            name,
            [
                _integers(d),
                _integers(d, (5,), 1, 7) * (-1) ** np.arange(5, dtype="int8")
                if d[0] == "i"
                else _integers(d, (5,), 1, 7),
            ],
            {},
        )
        for name in ("floor_divide", "floor_mod")
        for d in ("int32", "int64", "uint8")
    ),
    *(
        (name, [_WRAP[d], np.array(-1, d)], {})
        for name in ("floor_divide", "floor_mod")
        for d in ("int32", "int64")
    ),
    ("divide", [(3, 4), _AWAY[0, :4]], {}),
    ("pow", [_POSITIVE, (4, 5)], {}),
    ("pow", [_POSITIVE, (5,)], {}),
    ("pow", [(4, 5), np.array(2.0)], {}),
    ("pow", [(4, 5), np.array(3.0)], {}),
    ("pow", [_POSITIVE, np.array(-0.5)], {}),
    ("pow", [np.array(2.0), (4, 5)], {}),
    ("pow", [_integers("int32", low=-5, high=5), np.array([0, 1, 2, 3, 5], "int32")], {}),
    ("pow", [_integers("int64", low=-9, high=9), np.array([0, 1, 2, 3, 15], "int64")], {}),
    ("logical_not", [_FLAGS], {}),
    ("where", [(4, 5), (4, 5), _FLAGS], {}),
    ("where", [(4, 5), (), _FLAGS], {}),
    ("where", [(), (4, 5), _FLAGS[0]], {}),
    ("where", [(4, 1), (5,), _FLAGS[0, 0]], {}),
    ("where", [(5,), (2, 1, 1), _FLAGS], {}),
    *(("where", [_integers(d), _integers(d, ()), _FLAGS], {}) for d in _NUMBERS),
    ("where", [_FLAGS, ~_FLAGS[0], _FLAGS[:, :1]], {}),
    *((name, [(3, 41)], {}) for name in ("negative", "abs", "square", "exp", "sin", "cos")),
    *((name, [(3, 41)], {}) for name in ("tan", "atan", "sinh", "cosh", "asinh", "erf", "expm1")),
    *((name, [np.tanh(_AWAY)], {}) for name in ("tan", "asin", "acos", "atanh")),
    *((name, [_EDGES], {}) for name in ("atan", "asinh", "erf", "expm1", "isnan", "isinf", "isfinite")),
    *(
        (name, [np.array([-1e-5, 1e-9, 3e-4])], {})
        for name in ("tan", "asin", "sinh", "asinh", "atanh", "expm1")
    ),
    ("acosh", [1 + _POSITIVE], {}),
    *(("atan2", list(shapes), {}) for shapes in _SHAPES),
    ("atan2", [_AWAY, np.array(0.0)], {}),
    *(
        (name, [_integers(d, low=-100, high=100), _integers(d, (5,), -2, 12)], {})
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift")
        for d in _NUMBERS
    ),
    *((name, [_POSITIVE], {}) for name in ("sqrt", "rsqrt", "log", "log1p")),
    *((name, [_EDGES], {}) for name in ("negative", "abs", "sign", "round", "floor", "ceil", "exp")),
    *((name, [3 * _AWAY], {}) for name in ("sign", "round", "floor", "ceil")),
    *((name, [_integers(d)], {}) for name in ("negative", "abs", "square", "sign", "clip") for d in _NUMBERS),
    *(
        (name, [np.array([np.iinfo(d).min, 3], d)], {})
        for name in ("negative", "abs", "square")
        for d in _NUMBERS
    ),
    ("clip", [(4, 9)], {"low": -0.5, "high": 0.75}),
    ("clip", [(4, 9)], {"low": 0.2}),
    ("clip", [_EDGES], {"high": 1.0}),
    ("clip", [_integers("int32")], {"low": -3.5, "high": 9.5}),
    ("clip", [_integers("uint8", high=200)], {"low": -3, "high": 1e6}),
    *(("cast", [(3, 7)], {"dtype": d}) for d in ("float32", "float64", "int32", "bool")),
    *(
        ("cast", [np.append(_EDGES * 100, [127.5, 254.9, 255.5, -128.5, 2.0**31, 2.0**63])], {"dtype": d})
        for d in (*_NUMBERS, "bool")
    ),
    *(
        ("cast", [_WRAP[a]], {"dtype": b})
        for a in _NUMBERS
        for b in (*_NUMBERS, "float32", "float64", "bool")
    ),
    *(("cast", [_FLAGS], {"dtype": d}) for d in (*_NUMBERS, "float32", "float64", "bool")),
]
