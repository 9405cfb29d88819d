"""Products, norms, decompositions and solutions of linear systems."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain import linalg as solving
from cnnexplain._convert import numbers

from .. import config
from ._base import alike, axes, axis_of, host, is_symbol, numeric, out_of_numpy, real, tensor
from .reductions import whole
from .shaping import diagonal, expand_dims, moveaxis, ravel, squeeze, stack, swapaxes, tril, triu

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "cdist", "cholesky", "cholesky_inverse", "cross", "det", "dot", "eig", "eigh", "einsum", "inner", "inv",
    "kron", "logdet", "lstsq", "lu_factor", "matmul", "matrix_rank", "norm", "normalize", "outer", "pinv",
    "qr", "slogdet", "solve", "solve_triangular", "svd", "tensordot", "trace", "vdot",
]  # fmt: skip

_product = solving._product


def matmul(x1: Any, x2: Any) -> Tensor:
    """The product of matrices (..., m, k) and (..., k, n); a vector is a row before and a column behind."""
    a, b = map(numeric, alike(x1, x2))
    row, column = len(a.shape) == 1, len(b.shape) == 1
    if not len(a.shape) or not len(b.shape):
        raise ValueError("`x1` and `x2` must have at least one dimension. Received a number")
    y = _product(expand_dims(a, 0) if row else a, expand_dims(b, -1) if column else b)
    y = squeeze(y, -1) if column else y
    return squeeze(y, -1 if column else -2) if row else y


def dot(x1: Any, x2: Any) -> Tensor:
    """The sums of products over the last axis of x1 and the last but one of x2 (the only one of a vector)."""
    a, b = map(numeric, alike(x1, x2))
    if not len(a.shape) or not len(b.shape):
        return _core.multiply(a, b)
    if len(b.shape) <= 2:
        return matmul(a, b)
    return solving.tensordot(a, b, [[len(a.shape) - 1], [len(b.shape) - 2]])


def inner(x1: Any, x2: Any) -> Tensor:
    """The sums of products over the last axes of both."""
    a, b = map(numeric, alike(x1, x2))
    if not len(a.shape) or not len(b.shape):
        return _core.multiply(a, b)
    return solving.tensordot(a, b, [[len(a.shape) - 1], [len(b.shape) - 1]])


def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of the products of all elements."""
    a, b = map(numeric, alike(x1, x2))
    return _core.reduce_sum(_core.multiply(ravel(a), ravel(b)))


def outer(x1: Any, x2: Any) -> Tensor:
    """The products of each element of x1 with each of x2: (elements of x1, elements of x2)."""
    a, b = map(numeric, alike(x1, x2))
    return _core.multiply(_core.reshape(a, shape=[-1, 1]), _core.reshape(b, shape=[1, -1]))


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sums of products over pairs of axes.

    Args:
        axes: A number n: the last n of x1 with the first n of x2. Or two lists: axes of x1, axes of x2.
    """
    a, b = map(numeric, alike(x1, x2))
    pairs = axes if isinstance(axes, int) else [numbers(one, "axes") for one in axes]
    return solving.tensordot(a, b, pairs)


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Sums of products by named axes.

    >>> from cnnexplain import keras
    >>> keras.ops.einsum("ij,ij->i", [[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]).numpy()
    array([3., 7.], dtype=float32)
    """
    return solving.einsum(subscripts, *map(whole, alike(*operands)))


def kron(x1: Any, x2: Any) -> Tensor:
    """Kronecker's product: each element of x1 times the whole of x2, as blocks."""
    a, b = map(numeric, alike(x1, x2))
    rank = max(len(a.shape), len(b.shape))
    left = [1] * (rank - len(a.shape)) + list(a.shape)
    right = [1] * (rank - len(b.shape)) + list(b.shape)
    if None in left + right:
        raise ValueError(f"Shapes must be known. Received shapes: {tuple(a.shape)}, {tuple(b.shape)}")
    a = _core.reshape(a, shape=[n for size in left for n in (size, 1)])
    b = _core.reshape(b, shape=[n for size in right for n in (1, size)])
    return _core.reshape(_core.multiply(a, b), shape=[p * q for p, q in zip(left, right, strict=True)])


def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    """The cross product of vectors of 2 or 3 components; of two with 2, its third component alone."""
    a, b = map(numeric, alike(x1, x2))
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    sizes = a.shape[-1], b.shape[-1]
    if sizes[0] not in (2, 3) or sizes[1] not in (2, 3):
        raise ValueError(f"Vectors must have 2 or 3 components. Received: {sizes[0]} and {sizes[1]}")
    zero = tensor(np.zeros((), a.dtype.name))
    p = [a[..., k] if k < sizes[0] else zero for k in range(3)]
    q = [b[..., k] if k < sizes[1] else zero for k in range(3)]

    def component(i: int, j: int) -> Any:
        return _core.subtract(_core.multiply(p[i], q[j]), _core.multiply(p[j], q[i]))

    if sizes == (2, 2):
        return component(0, 1)
    return moveaxis(stack([component(1, 2), component(2, 0), component(0, 1)], -1), -1, axisc)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sums of the diagonals of the matrices that two axes form."""
    return _core.reduce_sum(diagonal(whole(x), offset, axis1, axis2), axis=[-1])


def cdist(x: Any, y: Any) -> Tensor:
    """The distances of the rows of x (..., m, d) from those of y (..., n, d): (..., m, n)."""
    a, b = map(real, alike(x, y))
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise ValueError(
            f"`x` and `y` must have rank >= 2. Received shapes: {tuple(a.shape)}, {tuple(b.shape)}"
        )
    apart = _core.squared_difference(expand_dims(a, -2), expand_dims(b, -3))
    return _core.sqrt(_core.reduce_sum(apart, axis=[-1]))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The length of vectors or the norm of matrices.

    Args:
        ord: Of vectors: None or 2 the Euclidean length, a number p the p-norm, 0 how many are not 0, inf and
            -inf the extremes. Of matrices (two axes): None or "fro", 1 and -1 the greatest and least column
            sum, inf and -inf row sum; 2, -2 and "nuc" from singular values, which have no gradient.
        axis: One axis or two; None: all elements, or the matrix when `ord` is given.

    >>> from cnnexplain import keras
    >>> float(keras.ops.norm([3.0, 4.0]))
    5.0
    """
    x = real(x)
    rank = len(x.shape)
    over = list(range(rank)) if axis is None else [axis_of(one, rank) for one in numbers(axis, "axis")]
    if ord is None or (ord == "fro" and len(over) == 2) or (ord == 2 and len(over) == 1):
        return _core.sqrt(_core.reduce_sum(_core.square(x), axis=over, keepdims=keepdims))
    size = _core.abs(x)
    if len(over) == 1 and not isinstance(ord, str):
        if ord in (math.inf, -math.inf):
            pick = _core.reduce_max if ord > 0 else _core.reduce_min
            return pick(size, axis=over, keepdims=keepdims)
        if ord == 0:
            filled = _core.cast(_core.not_equal(x, 0.0), dtype=x.dtype.name)
            return _core.reduce_sum(filled, axis=over, keepdims=keepdims)
        if ord == 1:
            return _core.reduce_sum(size, axis=over, keepdims=keepdims)
        total = _core.reduce_sum(_core.pow(size, float(ord)), axis=over, keepdims=keepdims)
        return _core.pow(total, 1.0 / float(ord))
    if len(over) == 2 and ord in (1, -1, math.inf, -math.inf):
        first, second = over if abs(ord) == 1 else over[::-1]
        sums = _core.reduce_sum(size, axis=[first], keepdims=True)
        pick = _core.reduce_max if ord > 0 else _core.reduce_min
        largest = pick(sums, axis=[second], keepdims=True)
        return largest if keepdims else squeeze(largest, tuple(over))
    if len(over) == 2 and ord in (2, -2, "nuc"):
        shape = (
            [1 if k in over else n for k, n in enumerate(x.shape)]
            if keepdims
            else [n for k, n in enumerate(x.shape) if k not in over]
        )
        return out_of_numpy(
            f"norm with ord={ord!r}",
            lambda array: np.linalg.norm(array, ord, axis=tuple(over), keepdims=keepdims),
            x,
            shape=shape,
            dtype=x.dtype.name,
        )
    raise ValueError(f"Invalid `ord` argument for {len(over)} axes. Received: ord={ord}")


def normalize(x: Any, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """x over its norm along an axis, where that is not less than `epsilon`."""
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"Argument `order` must be an int >= 1. Received: order={order}")
    x = real(x)
    least = config.epsilon() if epsilon is None else float(epsilon)
    if order == 2:
        squares = _core.reduce_sum(_core.square(x), axis=axes(axis), keepdims=True)
        return _core.multiply(x, _core.rsqrt(_core.maximum(squares, least * least)))
    return _core.divide(x, _core.maximum(norm(x, order, axis, True), least))


# systems and decompositions
def _matrix(x: Any, name: str = "x", square: bool = True) -> Any:
    x = real(x)
    if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
        what = "square matrices (..., m, m)" if square else "matrices (..., m, n)"
        raise ValueError(f"`{name}` must be {what}. Received: {name}.shape={tuple(x.shape)}")
    return x


def _through(function: Callable, shape: Any, *inputs: Any) -> Any:
    """A function that NumPy computes and that has a gradient, on tensors or symbols."""
    return (
        host(function, *inputs, shape=shape, dtype=inputs[0].dtype.name)
        if any(map(is_symbol, inputs))
        else function(*inputs)
    )


def inv(x: Any) -> Tensor:
    """The inverse of matrices (..., m, m)."""
    x = _matrix(x)
    return _through(solving.inv, x.shape, x)


def det(x: Any) -> Tensor:
    """The determinant of matrices (..., m, m)."""
    x = _matrix(x)
    return _through(solving.det, x.shape[:-2], x)


def logdet(x: Any) -> Tensor:
    """The logarithm of the determinant of positive definite matrices (..., m, m): 2 sum(log(diagonal(L)))."""
    return _core.multiply(_core.reduce_sum(_core.log(diagonal(cholesky(x), 0, -2, -1)), axis=[-1]), 2.0)


def slogdet(x: Any) -> tuple[Any, Any]:
    """The sign of the determinant, and the logarithm of its absolute value."""
    x = _matrix(x)
    shape, name = x.shape[:-2], x.dtype.name
    sign = out_of_numpy(
        "slogdet", lambda a: np.linalg.slogdet(a)[0], _core.stop_gradient(x), shape=shape, dtype=name
    )
    return sign, _through(solving.logdet, shape, x)


def solve(a: Any, b: Any) -> Tensor:
    """The x of a @ x = b, for matrices a (..., m, m) and b (..., m, k) or (..., m)."""
    left, right = alike(a, b)
    left, right = _matrix(left, "a"), real(right)
    column = len(right.shape) == len(left.shape) - 1
    right = expand_dims(right, -1) if column else right
    x = _through(solving.solve, right.shape, left, right)
    return squeeze(x, -1) if column else x


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """The x of a @ x = b, where only the upper (or lower) triangle of a counts."""
    a = _matrix(a, "a")
    return solve(tril(a) if lower else triu(a), b)


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The lower triangle L with L @ L^T = x of positive definite matrices; `upper`: its transpose."""
    x = _matrix(x)
    low = _through(solving.cholesky, x.shape, x)
    return swapaxes(low, -1, -2) if upper else low


def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is x."""
    x = _matrix(x)
    back = inv(triu(x) if upper else tril(x))
    turned = swapaxes(back, -1, -2)
    return matmul(back, turned) if upper else matmul(turned, back)


def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The pseudoinverse (..., n, m) of matrices (..., m, n); no gradient passes."""
    x = _matrix(x, square=False)
    limit = 10.0 * max(int(n) for n in x.shape[-2:]) * np.finfo(x.dtype.name).eps if rcond is None else rcond
    shape = [*x.shape[:-2], x.shape[-1], x.shape[-2]]
    return out_of_numpy("pinv", lambda a: np.linalg.pinv(a, limit), x, shape=shape, dtype=x.dtype.name)


def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """How many singular values are greater than `tol`."""
    x = _matrix(x, square=False)
    return out_of_numpy(
        "matrix_rank", lambda a: np.linalg.matrix_rank(a, tol), x, shape=x.shape[:-2], dtype="int32"
    )


def _several(name: str, function: Callable, x: Any) -> tuple[Any, ...]:
    """The results of a decomposition, which has no gradient."""
    if is_symbol(x):
        raise ValueError(f"`keras.ops.{name}` needs values; a symbolic tensor has none")
    try:
        results = function(np.asarray(x))
    except np.linalg.LinAlgError as error:
        raise ValueError(f"`keras.ops.{name}`: {error}") from None
    return tuple(
        out_of_numpy(
            name, lambda _, part=part: part, x, dtype=x.dtype.name if part.dtype.kind == "f" else "int32"
        )
        for part in results
    )


def qr(x: Any, mode: str = "reduced") -> tuple[Any, Any]:
    """(Q, R) with Q @ R = x, Q orthogonal and R upper triangular; no gradient passes."""
    if mode not in ("reduced", "complete"):
        raise ValueError(
            "`mode` argument value not supported. Expected one of {'reduced', 'complete'}. "
            f"Received: mode={mode}"
        )
    first, second = _several(
        "qr",
        lambda a: np.linalg.qr(a, mode),  # type: ignore[call-overload]
        _matrix(x, square=False),
    )
    return first, second


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """(U, s, V^T) with x = U @ diag(s) @ V^T, or s alone; no gradient passes."""
    x = _matrix(x, square=False)
    if not compute_uv:
        return _several("svd", lambda a: (np.linalg.svd(a, compute_uv=False),), x)[0]
    return _several("svd", lambda a: np.linalg.svd(a, full_matrices), x)


def eigh(x: Any) -> tuple[Any, ...]:
    """The eigenvalues, ascending, and eigenvectors of symmetric matrices; no gradient passes."""
    return _several("eigh", lambda a: tuple(np.linalg.eigh(a)), _matrix(x))


def eig(x: Any) -> tuple[Any, ...]:
    """The eigenvalues and eigenvectors of matrices whose eigenvalues are real; no gradient passes."""

    def decompose(a: np.ndarray) -> tuple[np.ndarray, ...]:
        values, vectors = np.linalg.eig(a)
        if np.iscomplexobj(values):
            raise ValueError("`x` must have real eigenvalues: there are no complex tensors")
        return values, vectors

    return _several("eig", decompose, _matrix(x))


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The x for which |a @ x - b| is least, for a (m, n) and b (m,) or (m, k); no gradient passes."""
    left, right = (_matrix(alike(a, b)[0], "a", False), real(alike(a, b)[1]))
    shape = [left.shape[-1], *right.shape[1:]]
    limit = None if rcond is None else float(rcond)
    return out_of_numpy(
        "lstsq",
        lambda p, q: np.linalg.lstsq(p, q, rcond=limit)[0],
        left,
        right,
        shape=shape,
        dtype=left.dtype.name,
    )


def lu_factor(x: Any) -> tuple[Any, ...]:
    """(LU, pivots): both triangles in one matrix, and the row that each row was exchanged with."""

    def factor(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        made = np.array(a)
        count = made.shape[-1]
        pivots = np.zeros((*made.shape[:-2], count), np.int32)
        for where in np.ndindex(*made.shape[:-2]):
            m = made[where]
            for k in range(count):
                row = k + int(np.argmax(np.abs(m[k:, k])))
                pivots[where + (k,)] = row
                m[[k, row]] = m[[row, k]]
                if m[k, k] != 0:
                    m[k + 1 :, k] /= m[k, k]
                    m[k + 1 :, k + 1 :] -= np.outer(m[k + 1 :, k], m[k, k + 1 :])
        return made, pivots

    return _several("lu_factor", factor, _matrix(x))
