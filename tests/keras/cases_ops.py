"""The functions of `keras.ops` and `keras.activations`, with gradients where there are any.

A case is (function of `ops` and tensors, inputs). An input is a shape of normal draws, or an array. Recorded
are each result, the gradient of a weighted sum of the real results for each real input, and the shape for
symbols with an unknown batch."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np


def draws(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode()) % 2**31)


def unit(*shape: int) -> np.ndarray:
    """Numbers in (-0.9, 0.9)."""
    return draws(f"unit{shape}").uniform(-0.9, 0.9, shape)


def positive(*shape: int) -> np.ndarray:
    return draws(f"positive{shape}").uniform(0.2, 3.0, shape)


def whole(*shape: int, high: int = 5) -> np.ndarray:
    return draws(f"whole{shape}").randint(0, high, shape).astype(np.int32)


def holes(*shape: int) -> np.ndarray:
    """Numbers with NaN at some places."""
    x = draws(f"holes{shape}").standard_normal(shape)
    x.reshape(-1)[::4] = np.nan
    return x


def square(n: int, definite: bool = True) -> np.ndarray:
    """Invertible matrices (2, n, n), positive definite unless told otherwise."""
    a = draws(f"square{n}").standard_normal((2, n, n))
    return a @ a.transpose(0, 2, 1) + n * np.eye(n) if definite else a + n * np.eye(n)


TRUTH = np.array([[True, False, True, False], [False, False, True, True], [True, True, True, True]])
BITS = np.array([[1, 6, 12, 7], [3, 5, 9, 30]], np.int32)
SPECIAL = np.array([[1.0, np.nan, np.inf], [-np.inf, -0.0, -2.5]])
TIES = np.array([[0.0, -1.0, 2.0, 0.5], [1.0, 1.5, -2.0, -0.5]])
IMAGES, ROWS = (2, 5, 6, 4), (2, 7, 4)

# Where TensorFlow is float32 inside, and how far that shows.
LOOSE = dict.fromkeys(
    (
        "ops.leaky_relu", "activations.leaky_relu", "activations.gelu", "ops.gelu", "ops.logaddexp2",
        "ops.hamming", "ops.hanning", "ops.kaiser", "ops.quantile", "ops.percentile", "ops.nanquantile",
        "ops.nanpercentile", "ops.dot_product_attention", "ops.pinv", "ops.lstsq",
    ),
    1e-6,
)  # fmt: skip

CASES: dict[str, tuple[Callable, list]] = {}
# Keras fails to infer these shapes, or infers shapes that its own results do not have.
KERAS_SHAPES_WRONG = {
    "rearrange", "rearrange/merge", "adaptive_max_pool", "adaptive_average_pool",
    "adaptive_average_pool/rows", "slogdet",
}  # fmt: skip
NO_SYMBOL: set[str] = set()  # needs values: no shape for symbols


def add(name: str, inputs: list, call: Callable | None = None, symbol: bool = True, **kwargs: Any) -> None:
    """A case; the function is the part of the name before "/"."""
    function = name.split("/")[0]

    def run(ops: Any, *tensors: Any) -> Any:
        return call(ops, *tensors) if call else getattr(ops, function)(*tensors, **kwargs)

    CASES[name] = run, inputs
    if not symbol:
        NO_SYMBOL.add(name)


value = partial(add, symbol=False)

# elements
for _name in (
    "abs absolute negative exp exp2 expm1 sin cos tan arctan sinh cosh tanh arcsinh square sign fabs "
    "floor ceil trunc round cbrt deg2rad rad2deg sinc i0 erf erfc reciprocal copy real conj conjugate "
    "imag relu relu6 sigmoid softplus softsign selu silu swish hard_sigmoid hard_silu hard_swish "
    "hard_tanh log_sigmoid tanh_shrink sparse_plus sparse_sigmoid leaky_relu elu celu gelu glu "
    "hard_shrink soft_shrink squareplus softmax log_softmax isnan isinf isfinite isposinf "
    "isneginf isreal signbit nan_to_num angle"
).split():
    add(_name, [(3, 4)])
for _name in "log log10 log1p log2 sqrt rsqrt".split():
    add(_name, [positive(3, 4)])
for _name in "arcsin arccos arctanh erfinv".split():
    add(_name, [unit(3, 4)])
add("arccosh", [positive(3, 4) + 1.0])
for _name in (
    "add subtract multiply divide true_divide divide_no_nan floor_divide mod fmod maximum minimum fmax "
    "fmin hypot heaviside logaddexp logaddexp2 arctan2 equal not_equal greater greater_equal less "
    "less_equal isclose"
).split():
    add(_name, [(3, 4), (3, 4)])
    add(f"{_name}/row", [(3, 4), (4,)], lambda o, x, y, name=_name: getattr(o, name)(x, y))
for _name in "logical_and logical_or logical_xor".split():
    add(_name, [TRUTH, TRUTH[::-1].copy()])
add("logical_not", [TRUTH])
add("power", [positive(3, 4), (3, 4)])
add("power/integers", [whole(3, 4)], lambda o, x: o.power(x, 3))
add("nextafter", [(3, 4), (3, 4)])
add("ldexp", [(3, 4), whole(3, 4)])
add("gcd", [BITS, BITS[::-1].copy()])
add("lcm", [BITS, BITS[::-1].copy()])
for _name in "and or xor left_shift right_shift".split():
    add(
        f"bitwise_{_name}",
        [BITS, BITS[::-1] % 4],
        lambda o, x, y, name=_name: getattr(o, f"bitwise_{name}")(x, y),
    )
add("left_shift", [BITS], lambda o, x: o.left_shift(x, 2))
add("right_shift", [BITS], lambda o, x: o.right_shift(x, 1))
add("bitwise_not", [BITS])
add("bitwise_invert", [BITS])
add("round/decimals", [(3, 4)], decimals=2)
add("clip", [(3, 4)], x_min=-0.5, x_max=0.7)
add("clip/integers", [whole(3, 4)], x_min=1, x_max=3)
add("threshold", [(3, 4)], threshold=0.1, default_value=-3.0)
add("leaky_relu/slope", [(3, 4)], negative_slope=0.3)
add("elu/alpha", [(3, 4)], alpha=0.5)
add("celu/alpha", [(3, 4)], alpha=0.5)
add("gelu/exact", [(3, 4)], approximate=False)
add("glu/axis", [(3, 4, 2)], axis=1)
add("hard_shrink/threshold", [(3, 4)], threshold=0.2)
add("soft_shrink/threshold", [(3, 4)], threshold=0.2)
add("squareplus/b", [(3, 4)], b=1)
add("softmax/axis", [(3, 4, 2)], axis=1)
value("softmax/all", [(3, 4)], axis=None)
value("log_softmax/all", [(3, 4)], axis=None)
for _name in "isnan isinf isfinite isposinf isneginf signbit nan_to_num".split():
    value(f"{_name}/special", [SPECIAL])
for _name in "hard_shrink soft_shrink sparse_plus sparse_sigmoid hard_tanh hard_sigmoid relu6".split():
    value(f"{_name}/edges", [TIES])
for _name in "fmax fmin".split():
    value(f"{_name}/special", [SPECIAL, np.zeros((2, 3))])
value("divide_no_nan/zero", [(2, 3), np.array([0.0, 1.0, 2.0])])
value("allclose", [(3, 4)], lambda o, x: [o.allclose(x, x + 1e-9), o.allclose(x, x + 1.0)])
add("isin", [whole(3, 4)], lambda o, x: o.isin(x, np.array([1, 3], np.int32)))
value("sqrt/integers", [whole(3, 4)])
value("add/promotion", [whole(3, 4), (3, 4)])

# constants
for _name, _call in {
    "arange": lambda o: [
        o.arange(4),
        o.arange(1, 7, 2),
        o.arange(0.0, 1.0, 0.25),
        o.arange(3, dtype="float32"),
    ],
    "array": lambda o: o.array(np.array([[1.0, 2.0]])),
    "zeros": lambda o: o.zeros((2, 3)),
    "ones": lambda o: o.ones((2, 3), "int32"),
    "full": lambda o: [o.full((2, 3), 7), o.full((2,), 1.5, dtype="float32")],
    "eye": lambda o: [o.eye(3), o.eye(2, 4), o.eye(3, k=-1, dtype="int32")],
    "identity": lambda o: o.identity(3),
    "tri": lambda o: [o.tri(3), o.tri(3, 4, k=1), o.tri(3, k=-1)],
    "bartlett": lambda o: o.bartlett(7),
    "blackman": lambda o: o.blackman(7),
    "hamming": lambda o: o.hamming(7),
    "hanning": lambda o: o.hanning(7),
    "kaiser": lambda o: o.kaiser(7, 3.0),
    "geomspace": lambda o: o.geomspace(1.0, 100.0, num=5),
    "logspace": lambda o: [o.logspace(0.0, 2.0, num=5), o.logspace(0.0, 2.0, num=4, endpoint=False, base=2)],
    "linspace/numbers": lambda o: [o.linspace(0.0, 1.0, num=5), o.linspace(0, 4, num=4, endpoint=False)],
    "bincount": lambda o: [
        o.bincount([1, 3, 1]),
        o.bincount([1, 3, 1], weights=np.array([0.5, 1.0, 2.0]), minlength=6),
    ],
    "bincount/rows": lambda o: o.bincount(o.array([[1, 3, 1], [0, 0, 2]])),
    "unique": lambda o: list(o.unique(o.array([3, 1, 3, 2]), return_inverse=True, return_counts=True)),
    "is_tensor": lambda o: o.array([o.is_tensor(o.zeros(2)), o.is_tensor(np.zeros(2))]),
    "dtype": lambda o: o.array([o.dtype(o.zeros(2, "int32")) == "int32"]),
}.items():
    value(_name, [], _call)
for _name in "zeros_like ones_like".split():
    add(_name, [(3, 4)])
value("empty_like", [(3, 4)], lambda o, x: o.array(o.shape(o.empty_like(x))))
value("empty", [], lambda o: o.array(o.shape(o.empty((2, 3)))))
add("full_like", [(3, 4)], fill_value=2.0)
value("linspace", [(3,), (3,)], lambda o, x, y: [o.linspace(x, y, num=4), o.linspace(x, y, num=3, axis=-1)])
value("meshgrid", [(3,), (2,)], lambda o, x, y: [*o.meshgrid(x, y), *o.meshgrid(x, y, indexing="ij")])
value("vander", [(3,)], lambda o, x: [o.vander(x), o.vander(x, N=2, increasing=True)])

# shapes
add("reshape", [(3, 4)], lambda o, x: o.reshape(x, (-1, 2, 2)))
add("ravel", [(3, 4)])
add("expand_dims", [(3, 4)], axis=1)
add("expand_dims/several", [(3, 4)], axis=(0, -1))
add("squeeze", [(3, 1, 4)], axis=1)
add("transpose", [(3, 4, 2)])
add("transpose/axes", [(3, 4, 2)], axes=(0, 2, 1))
add("swapaxes", [(3, 4, 2)], axis1=1, axis2=-1)
add("moveaxis", [(3, 4, 2)], source=(1, 2), destination=(0, 1))
value("broadcast_to", [(3, 1)], shape=(2, 3, 4))
add("concatenate", [(3, 4), (3, 2)], lambda o, x, y: o.concatenate([x, y], axis=1))
add("append", [(3, 4), (3, 2)], axis=1)
value("append/all", [(3, 4), (2,)], lambda o, x, y: o.append(x, y))
add("stack", [(3, 4), (3, 4)], lambda o, x, y: o.stack([x, y], axis=1))
add("vstack", [(3, 4), (3, 4)], lambda o, x, y: o.vstack([x, y]))
add("hstack", [(3, 4), (3, 2)], lambda o, x, y: o.hstack([x, y]))
add("dstack", [(3, 4), (3, 4)], lambda o, x, y: o.dstack([x, y]))
value("stacks", [(3,), (3,)], lambda o, x, y: [o.hstack([x, y]), o.dstack([x, y])])
add("split", [(3, 4)], lambda o, x: o.split(x, 2, axis=1))
add("split/places", [(3, 4)], lambda o, x: o.split(x, [1, 3], axis=1))
add("array_split", [(3, 5)], lambda o, x: o.array_split(x, 3, axis=1))
value("vsplit", [(4, 3)], lambda o, x: o.vsplit(x, 2))
add("hsplit", [(3, 4)], lambda o, x: o.hsplit(x, 2))
add("dsplit", [(3, 2, 4)], lambda o, x: o.dsplit(x, 2))
add("unstack", [(3, 4)], lambda o, x: o.unstack(x, axis=1))
add("flip", [(3, 4)])
add("flip/axis", [(3, 4)], axis=1)
add("flipud", [(3, 4)])
add("fliplr", [(3, 4)])
for _k in (1, 3):
    add(f"rot90/{_k}", [(3, 4, 2)], k=_k, axes=(1, 2))
add("roll", [(3, 4)], shift=1, axis=1)
value("roll/all", [(3, 4)], shift=2)
add("tile", [(3, 4)], repeats=(1, 2))
add("repeat", [(3, 4)], repeats=2, axis=1)
add("repeat/all", [(3, 4)], repeats=2)
value("repeat/each", [(3, 4)], lambda o, x: o.repeat(x, np.array([1, 0, 2]), axis=0))
add("pad", [(3, 4)], pad_width=((0, 0), (1, 2)))
value("pad/constant", [(3, 4)], pad_width=((1, 1), (0, 2)), constant_values=2.0)
add("pad/reflect", [(3, 4)], pad_width=((1, 1), (2, 0)), mode="reflect")
add("pad/symmetric", [(3, 4)], pad_width=((1, 1), (2, 0)), mode="symmetric")
add("diagonal", [(3, 4, 4)], offset=1, axis1=1, axis2=2)
value("diagonal/below", [(3, 4)], offset=-1)
value("diag", [(3,)], lambda o, x: [o.diag(x), o.diag(x, k=1), o.diag(x, k=-2)])
value("diag/matrix", [(3, 4)], lambda o, x: [o.diag(x), o.diag(x, k=2)])
value("diagflat", [(2, 2)], k=1)
add("tril", [(3, 4, 4)])
add("tril/k", [(3, 4, 4)], k=-1)
add("triu", [(3, 4, 4)], k=1)
add("rearrange", [(2, 4, 6, 3)], lambda o, x: o.rearrange(x, "b (h p) w c -> b h w (p c)", p=2))
add("rearrange/merge", [(2, 4, 6, 3)], lambda o, x: o.rearrange(x, "b h w c -> b (c h w)"))
value("shape", [(3, 4)], lambda o, x: o.array(o.shape(x)))
value("ndim", [(3, 4)], lambda o, x: o.array([o.ndim(x)]))
value("size", [(3, 4)], lambda o, x: o.array([int(o.size(x))]))
value("view", [np.array([[1.0, -2.0]], np.float32)], dtype="int32")

# selection
add("where", [TRUTH, (3, 4), (3, 4)])
value("where/places", [TRUTH], lambda o, x: list(o.where(x)))
value("nonzero", [TRUTH], lambda o, x: list(o.nonzero(x)))
add("select", [(3, 4)], lambda o, x: o.select([x > 1.0, x > 0.0], [x * 10.0, x * 5.0], 7.0))
add("take", [(3, 4)], lambda o, x: o.take(x, np.array([0, -1, 1]), axis=1))
add("take/all", [(3, 4)], lambda o, x: o.take(x, np.array([[0, 5], [-1, 2]])))
add("take_along_axis", [(3, 4)], lambda o, x: o.take_along_axis(x, o.argsort(x, axis=1), axis=1))
value("take_along_axis/spread", [(3, 4)], lambda o, x: o.take_along_axis(x, np.array([[0, -2]]), axis=1))
add("slice", [(3, 4)], lambda o, x: o.slice(x, (0, 1), (3, 2)), symbol=False)
value("slice_update", [], lambda o: o.slice_update(o.zeros((3, 4)), (1, 2), o.ones((2, 2))))
value("scatter", [(3, 2)], lambda o, x: o.scatter(np.array([[0], [3], [0]]), x, (5, 2)))
value("scatter_update", [(4, 2), (2, 2)], lambda o, x, y: o.scatter_update(x, np.array([[1], [3]]), y))
value(
    "scatter_update/add",
    [(4,), (3,)],
    lambda o, x, y: o.scatter_update(x, np.array([[1], [3], [1]]), y, "add"),
)
value(
    "scatter_update/others",
    [],
    lambda o: [
        o.scatter_update(o.array(np.array([1.0, 2.0, 3.0])), [[0], [2]], o.array(np.array([5.0, 0.5])), name)
        for name in ("max", "min", "mul")
    ],
)
add("get_item", [(3, 4)], lambda o, x: o.get_item(x, (slice(None), slice(1, 3))))
for _name in "argmax argmin nanargmax nanargmin".split():
    add(_name, [(3, 4)], axis=1)
    value(f"{_name}/all", [(3, 4)])
    add(f"{_name}/keep", [(3, 4)], axis=1, keepdims=True)
add("argsort", [(3, 4)])
add("sort", [(3, 4)])
add("sort/axis", [(3, 4, 2)], axis=1)
add("top_k", [(3, 4)], lambda o, x: list(o.top_k(x, 2)))
value(
    "searchsorted",
    [(4,)],
    lambda o, x: [o.searchsorted(np.array([-1.0, 0.0, 1.0]), x), o.digitize(x, [-0.5, 0.5])],
)
add("digitize", [(3, 4)], lambda o, x: o.digitize(x, np.array([-0.5, 0.0, 0.5])))
value("unravel_index", [], lambda o: list(o.unravel_index(o.array([5, 11, 0]), (3, 4))))
add("one_hot", [whole(3, 4)], num_classes=5)
add("one_hot/axis", [whole(3, 4)], num_classes=4, axis=1)
add("multi_hot", [whole(3, 4)], num_classes=5)

# reductions
for _name in (
    "sum mean max min prod all any amax amin std var ptp logsumexp nansum nanmean nanprod nanmax nanmin "
    "nanstd nanvar median nanmedian"
).split():
    add(_name, [(3, 4)], axis=1)
    value(f"{_name}/all", [(3, 4)])
    add(f"{_name}/keep", [(2, 3, 4)], axis=(1, 2), keepdims=True)
    if _name.startswith("nan"):
        value(f"{_name}/holes", [holes(3, 5)], axis=1)
add("max/initial", [(3, 4)], axis=1, initial=0.5)
add("min/initial", [(3, 4)], axis=1, initial=-0.5)
value("sum/truth", [TRUTH])
value("mean/integers", [whole(3, 4)])
add("count_nonzero", [whole(3, 4)], axis=1)
add("average", [(3, 4), positive(4)], lambda o, x, w: o.average(x, axis=1, weights=w), symbol=False)
add("average/plain", [(3, 4)], lambda o, x: o.average(x, axis=1))
for _name in "cumsum cumprod nancumsum nancumprod".split():
    add(_name, [(3, 4)], axis=1)
    value(f"{_name}/all", [(3, 4)])
value("nancumsum/holes", [holes(3, 5)], axis=1)
value("nancumprod/holes", [holes(3, 5)], axis=1)
add("diff", [(3, 5)], n=2, axis=1)
add("trapezoid", [(3, 5)], dx=0.5)
add("trapezoid/points", [(3, 5)], lambda o, y: o.trapezoid(y, x=np.array([0.0, 1.0, 1.5, 3.0, 4.0])))
for _method in "linear lower higher midpoint nearest".split():
    add(f"quantile/{_method}", [(3, 5)], q=0.35, axis=1, method=_method)
add("quantile", [(3, 5)], lambda o, x: o.quantile(x, np.array([0.2, 0.5]), axis=1))
add("percentile", [(3, 5)], lambda o, x: o.percentile(x, 40.0, axis=1, keepdims=True))
add("nanquantile", [holes(3, 5)], lambda o, x: o.nanquantile(x, 0.3, axis=1))
add("nanpercentile", [holes(3, 5)], lambda o, x: o.nanpercentile(x, 30.0, axis=1))
value("histogram", [(20,)], lambda o, x: list(o.histogram(o.stop_gradient(x), bins=4)))
value("corrcoef", [(3, 5)])
for _mode in "valid same full".split():
    value(f"correlate/{_mode}", [(6,), (3,)], mode=_mode)
add("moments", [(3, 4, 2)], lambda o, x: list(o.moments(x, axes=[0, 1])))

# linear algebra
add("matmul", [(3, 4), (4, 2)], lambda o, x, y: o.matmul(x, y), symbol=False)
add("matmul/batches", [(2, 3, 4), (2, 4, 2)])
value(
    "matmul/vectors",
    [(3, 4), (4,), (3,)],
    lambda o, x, y, z: [o.matmul(x, y), o.matmul(z, x), o.matmul(y, y)],
)
value("matmul/integers", [whole(2, 3), whole(3, 2)])
value(
    "dot", [(3, 4), (4, 2), (4,)], lambda o, x, y, z: [o.dot(x, y), o.dot(x, z), o.dot(z, z), o.dot(x, 2.0)]
)
value("dot/higher", [(3, 4), (2, 4, 5)])
value("inner", [(3, 4), (2, 4)])
value("vdot", [(3, 4), (3, 4)])
value("outer", [(3,), (2, 2)])
value(
    "tensordot",
    [(2, 3, 4), (4, 3, 2)],
    lambda o, x, y: [o.tensordot(x, y, axes=[[1, 2], [1, 0]]), o.tensordot(x, y, 1)],
)
value(
    "einsum", [(2, 3, 4), (2, 4, 5)], lambda o, x, y: [o.einsum("bij,bjk->bik", x, y), o.einsum("bij->ji", x)]
)
value("kron", [(2, 3), (3, 2)])
add("cross", [(4, 3), (4, 3)])
add("cross/plane", [(4, 2), (4, 2)])
value("trace", [(3, 4, 4)], offset=1, axis1=1, axis2=2)
add("cdist", [(2, 3, 4), (2, 5, 4)])
for _ord in (None, 1, 2, 3, np.inf, -np.inf):
    add(f"norm/{_ord}", [(3, 4)], ord=_ord, axis=1)
for _ord in (None, "fro", 1, -1, np.inf, -np.inf):
    value(f"norm/matrix {_ord}", [(3, 4)], ord=_ord, axis=(0, 1), keepdims=True)
value(
    "norm/singular",
    [],
    lambda o: [o.norm(o.array(np.array([[1.0, 2.0], [3.0, 5.0]])), ord=k, axis=(0, 1)) for k in (2, "nuc")],
)
add("normalize", [(3, 4)])
add("normalize/order", [(3, 4)], axis=1, order=3)
add("inv", [square(3)])
add("det", [square(3)])
add("logdet", [square(3)])
add("slogdet", [square(3)], lambda o, x: list(o.slogdet(x)))
add("solve", [square(3), (2, 3, 2)])
value(
    "solve_triangular",
    [square(3), (2, 3, 2)],
    lambda o, a, b: [o.solve_triangular(a, b, lower=k) for k in (False, True)],
)
add("cholesky", [square(3)], lambda o, x: o.cholesky(x))
value("cholesky_inverse", [square(3)], lambda o, x: o.cholesky_inverse(o.cholesky(x)))
value("pinv", [], lambda o: o.pinv(o.array(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]))))
value("matrix_rank", [], lambda o: o.matrix_rank(o.array(np.array([[1.0, 2.0], [2.0, 4.0]]))))
value(
    "lstsq",
    [],
    lambda o: o.lstsq(
        o.array(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])), o.array(np.array([1.0, 2.0, 4.0]))
    ),
)
value("svd", [], lambda o: [o.svd(o.array(square(3)), compute_uv=False), o.abs(o.svd(o.array(square(3)))[0])])
value("qr", [], lambda o: [o.abs(part) for part in o.qr(o.array(square(3)))])
value("eigh", [], lambda o: [o.eigh(o.array(square(3)))[0], o.abs(o.eigh(o.array(square(3)))[1])])
value("lu_factor", [], lambda o: o.lu_factor(o.array(square(3)[0]))[0])

# segments and frames
SEGMENTS = np.array([0, 2, 0, 1, 2])
for _name in "segment_sum segment_max segment_min segment_prod".split():
    value(_name, [(5, 2)], lambda o, x, name=_name: getattr(o, name)(x, SEGMENTS))
    value(
        f"{_name}/count",
        [],
        lambda o, name=_name: getattr(o, name)(o.array(np.array([1.0, 2.0, 4.0])), np.array([0, 2, 0]), 4),
    )
value(
    "in_top_k",
    [],
    lambda o: o.in_top_k(o.array([2, 0]), o.array([[0.1, 0.5, 0.4], [0.9, 0.3, 0.2]], "float32"), 1),
)
add("extract_sequences", [(2, 7)], sequence_length=3, sequence_stride=2)

# networks
for _padding in ("valid", "same"):
    add(f"conv/{_padding}", [IMAGES, (3, 2, 4, 3)], strides=2, padding=_padding, symbol=False)
    value(f"conv/rows {_padding}", [ROWS, (3, 4, 3)], padding=_padding)
    value(f"depthwise_conv/{_padding}", [IMAGES, (3, 2, 4, 2)], padding=_padding)
    value(f"separable_conv/{_padding}", [IMAGES, (3, 2, 4, 2), (1, 1, 8, 3)], padding=_padding)
    value(f"conv_transpose/{_padding}", [IMAGES, (3, 2, 3, 4)], strides=2, padding=_padding)
    value(f"conv_transpose/rows {_padding}", [ROWS, (3, 3, 4)], strides=2, padding=_padding)
    add(f"max_pool/{_padding}", [IMAGES], pool_size=2, strides=2, padding=_padding)
    add(f"average_pool/{_padding}", [IMAGES], pool_size=(2, 3), strides=1, padding=_padding)
    add(f"max_pool/rows {_padding}", [ROWS], pool_size=3, strides=2, padding=_padding)
    add(f"average_pool/rows {_padding}", [ROWS], pool_size=3, strides=2, padding=_padding)
KERNEL = draws("kernel").standard_normal((3, 2, 4, 3))
add("conv/kernel", [IMAGES], lambda o, x: o.conv(x, KERNEL, 2, "same"))
add("conv/row kernel", [ROWS], lambda o, x: o.conv(x, KERNEL[:, 0], 2, "valid"))
add("depthwise_conv/kernel", [IMAGES], lambda o, x: o.depthwise_conv(x, KERNEL, 1, "same"))
add("conv_transpose/kernel", [(2, 3, 4, 3)], lambda o, x: o.conv_transpose(x, KERNEL, 2, "same"))
add("matmul/constant", [(3, 4)], lambda o, x: o.matmul(x, KERNEL[0, 0]))
add("dot/constant", [(3, 4)], lambda o, x: o.dot(x, KERNEL[0, 0]))
add("einsum/constant", [(2, 3, 4)], lambda o, x: o.einsum("bij,jk->bki", x, KERNEL[0, 0]))
add(
    "batch_normalization/constants",
    [IMAGES],
    lambda o, x: o.batch_normalization(x, np.zeros(4), np.ones(4), -1),
)
value("conv/dilation", [IMAGES, (2, 2, 4, 3)], dilation_rate=2)
value("conv/groups", [IMAGES, (2, 2, 2, 6)])
value("depthwise_conv/rows", [ROWS, (3, 4, 2)], strides=2)
value("separable_conv/rows", [ROWS, (3, 4, 2), (1, 8, 3)])
add("adaptive_average_pool", [IMAGES], output_size=(2, 4))
add("adaptive_max_pool", [IMAGES], output_size=3)
add("adaptive_average_pool/rows", [ROWS], output_size=3)
add("depth_to_space", [(2, 3, 2, 8)], block_size=2)
add("space_to_depth", [(2, 4, 6, 3)], block_size=2)
add("unfold", [(2, 3, 5, 6)], kernel_size=(2, 3), stride=2, padding=1)
add("unfold/dilation", [(2, 3, 5, 6)], kernel_size=2, dilation=2)
add("fold", [(2, 18, 9)], output_size=(5, 6), kernel_size=(2, 3), stride=2, padding=1)
value(
    "batch_normalization",
    [IMAGES, (4,), positive(4), (4,), (4,)],
    lambda o, x, m, v, b, g: o.batch_normalization(x, m, v, -1, b, g),
)
value(
    "batch_normalization/axis",
    [IMAGES, (5,), positive(5)],
    lambda o, x, m, v: o.batch_normalization(x, m, v, 1),
)
add("layer_normalization", [(3, 4)])
value("layer_normalization/weights", [(3, 4), (4,), (4,)])
add("layer_normalization/axes", [(3, 4, 2)], axis=(1, 2))
add("rms_normalization", [(3, 4)])
value("rms_normalization/scale", [(3, 4), (4,)])
add("dot_product_attention", [(2, 3, 2, 4), (2, 5, 2, 4), (2, 5, 2, 4)])
value(
    "dot_product_attention/causal",
    [(2, 3, 4, 2), (2, 3, 2, 2), (2, 3, 2, 2), (2, 4, 3, 3)],
    lambda o, q, k, v, b: o.dot_product_attention(q, k, v, bias=b, scale=0.3, is_causal=True),
)
value(
    "dot_product_attention/mask",
    [(1, 3, 2, 4), (1, 4, 2, 4), (1, 4, 2, 4)],
    lambda o, q, k, v: o.dot_product_attention(q, k, v, mask=o.array(TRUTH[None, None])),
)
value("psnr", [(3, 4), (3, 4)], max_val=2.0)
PROBABILITIES = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
value(
    "categorical_crossentropy", [PROBABILITIES], lambda o, p: o.categorical_crossentropy(np.eye(3)[[1, 2]], p)
)
value(
    "categorical_crossentropy/logits",
    [(2, 3)],
    lambda o, p: o.categorical_crossentropy(np.eye(3)[[1, 2]], p, True),
)
value(
    "sparse_categorical_crossentropy",
    [PROBABILITIES],
    lambda o, p: o.sparse_categorical_crossentropy(np.array([1, 2]), p),
)
value("binary_crossentropy", [PROBABILITIES], lambda o, p: o.binary_crossentropy(np.eye(3)[[1, 2]], p))
value(
    "binary_crossentropy/logits",
    [(2, 3)],
    lambda o, p: o.binary_crossentropy(np.eye(3)[[1, 2]], p, from_logits=True),
)

# loops, branches, conversions
add("cast", [(3, 4)], dtype="int32")
value("saturate_cast", [np.array([-3.0, 100.0, 300.0])], dtype="uint8")
add("stop_gradient", [(3, 4)], lambda o, x: o.stop_gradient(x) * x)
value("convert_to_tensor", [], lambda o: o.convert_to_tensor([1.0, 2.0]))
value("convert_to_numpy", [], lambda o: o.array(o.convert_to_numpy(o.array(np.array([1.0, 2.0])))))
value("cond", [(3,)], lambda o, x: o.cond(o.array(True), lambda: x * 2.0, lambda: x))
value("switch", [(3,)], lambda o, x: o.switch(o.array(1), [lambda y: y, lambda y: y * y], x))
value(
    "while_loop",
    [(3,)],
    lambda o, x: list(o.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * y), (o.array(0), x))),
)
value("fori_loop", [(3,)], lambda o, x: o.fori_loop(0, 3, lambda i, y: y * x, x))
value("map", [(3, 2)], lambda o, x: o.map(lambda y: y * y, x))
value("vectorized_map", [(3, 2)], lambda o, x: o.vectorized_map(lambda y: y * o.sum(y), x))
value("scan", [(3, 2)], lambda o, x: list(o.scan(lambda c, y: (c + y, c * y), o.ones(2), x)))
value(
    "scan/reverse",
    [(3,)],
    lambda o, x: list(o.scan(lambda c, y: (c * y, c), o.array(np.ones(())), x, reverse=True)),
)
value("associative_scan", [(5, 2)], lambda o, x: o.associative_scan(lambda a, b: a * b, x))
value(
    "associative_scan/reverse", [(5, 2)], lambda o, x: o.associative_scan(lambda a, b: a + b, x, reverse=True)
)
value(
    "custom_gradient",
    [(3,)],
    lambda o, x: o.custom_gradient(
        lambda y: (y * 2.0, lambda dy, *more, upstream=None: (dy if upstream is None else upstream) * 5.0)
    )(x),
)
value(
    "jvp",
    [],
    lambda o: list(
        o.jvp(lambda x: x * x * x, (o.array(np.array([1.0, 2.0])),), (o.array(np.array([1.0, 0.5])),))
    ),
)

ACTIVATIONS = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu "
    "linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus "
    "softsign sparse_plus sparse_sigmoid squareplus swish tanh tanh_shrink"
).split()


def flat(tree: Any) -> list:
    return [leaf for item in tree for leaf in flat(item)] if isinstance(tree, (list, tuple)) else [tree]


def tensors_of(tf: Any, name: str, inputs: list) -> list:
    rng = draws(name)
    return [tf.constant(rng.standard_normal(x) if isinstance(x, tuple) else x) for x in inputs]


def packed(arrays: list[np.ndarray]) -> np.ndarray:
    """Rank, shape and values of each array in one vector: a fixture of many small arrays takes much room."""
    parts = [np.concatenate([[a.ndim], a.shape, a.reshape(-1)]).astype(np.float64) for a in arrays]
    return np.concatenate(parts)


def record(tf: Any, call: Callable, name: str, inputs: list) -> np.ndarray:
    """The results, then the gradients of the real inputs; None counts as 0."""
    tensors = tensors_of(tf, name, inputs)
    sources = [x for x in tensors if "float" in x.dtype.name]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        results = flat(call(*tensors))
        total = tf.constant(0.0, "float64")
        for place, y in enumerate(results):
            if "float" in y.dtype.name:
                weights = draws(f"{name}{place}").standard_normal(tuple(y.shape))
                total = total + tf.reduce_sum(tf.cast(y, "float64") * weights)
    gradients = tape.gradient(total, sources) if sources else []
    arrays = [np.asarray(y) for y in results]
    for g, x in zip(gradients, sources, strict=True):
        arrays.append(np.zeros(tuple(x.shape)) if g is None else np.asarray(g))
    return packed(arrays)


def symbols_of(keras: Any, name: str, inputs: list) -> list:
    arrays = [np.zeros(x) if isinstance(x, tuple) else x for x in inputs]
    return [keras.Input(x.shape[1:], dtype=x.dtype.name) for x in arrays]


def shapes(keras: Any, name: str) -> np.ndarray:
    """The shapes of the results for symbols, -1 where a size is unknown."""
    call, inputs = CASES[name]
    results = flat(call(keras.ops, *symbols_of(keras, name, inputs)))
    return packed([np.array([-1 if size is None else size for size in y.shape]) for y in results])


def _variants(function: str) -> Callable:
    """All cases of one function in one vector: values, gradients, shapes for symbols."""
    names = [name for name in CASES if name.split("/")[0] == function]
    symbolic = [name for name in names if name not in NO_SYMBOL | KERAS_SHAPES_WRONG]

    def run(tf: Any, keras: Any) -> np.ndarray:
        parts = [record(tf, partial(CASES[name][0], keras.ops), name, CASES[name][1]) for name in names]
        return np.concatenate([*parts, *(shapes(keras, name) for name in symbolic)])

    return run


_NAMES = {name.split("/")[0]: None for name in CASES}
FUNCTIONS: dict[str, Callable] = {f"ops.{name}": _variants(name) for name in _NAMES}
FUNCTIONS |= {
    f"activations.{name}": lambda tf, keras, name=name: record(
        tf, getattr(keras.activations, name), f"activation {name}", [(3, 4)]
    )
    for name in ACTIVATIONS
}
