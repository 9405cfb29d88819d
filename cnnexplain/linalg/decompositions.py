"""Matrices (..., m, n) through NumPy: solving, factors, eigenvalues, and their diagonals."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names
from .._convert import alike, number, reshape_to, tensor, values
from ..arrays import transpose
from ..control import custom_gradient
from ..functions import eye

if TYPE_CHECKING:
    from ..tensor import Tensor


def _through_numpy(name: str, function: Callable, gradient: Callable) -> Callable:
    """An operation on float tensors that NumPy computes, with its gradient."""

    def compute(*inputs: Any) -> Any:
        arrays = [np.asarray(x) for x in inputs]
        try:
            y = function(*arrays)
        except np.linalg.LinAlgError as error:
            raise ValueError(f"{name}: {error}") from None
        return tensor(np.asarray(y, arrays[0].dtype)), lambda dy: [
            np.asarray(g, arrays[0].dtype) for g in gradient(np.asarray(dy), y, *arrays)
        ]

    return custom_gradient(compute)


def _t(x: np.ndarray) -> np.ndarray:
    return np.swapaxes(x, -1, -2)


def _solve_gradient(dy: np.ndarray, y: np.ndarray, matrix: np.ndarray, rhs: np.ndarray) -> list[np.ndarray]:
    right = np.linalg.solve(_t(matrix), dy)
    return [-right @ _t(y), right]


_solve = _through_numpy("solve", np.linalg.solve, _solve_gradient)
_inv = _through_numpy("inv", np.linalg.inv, lambda dy, y, x: [-_t(y) @ dy @ _t(y)])
_det = _through_numpy(
    "det", np.linalg.det, lambda dy, y, x: [(dy * y)[..., None, None] * _t(np.linalg.inv(x))]
)


def matrix_transpose(a: Any, name: str | None = None, conjugate: bool = False) -> Tensor:
    """The last two axes exchanged."""
    rank = len(tensor(a).shape)
    if rank < 2:
        raise ValueError(f"`a` must have at least 2 dimensions. Received: a.shape={tuple(tensor(a).shape)}")
    return transpose(a, [*range(rank - 2), rank - 1, rank - 2])


def adjoint(matrix: Any, name: str | None = None) -> Tensor:
    """`matrix_transpose` of real matrices."""
    return matrix_transpose(matrix)


def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The X of matrix @ X = rhs, for matrices (..., m, m) and right sides (..., m, k).

    Raises:
        ValueError: the matrix is singular.

    >>> import cnnexplain as tf
    >>> tf.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]).numpy()
    array([[1. ],
           [0.5]], dtype=float32)
    """
    first, second = alike(matrix, rhs)
    return _solve(matrix_transpose(first) if adjoint else first, second)


def inv(input: Any, adjoint: bool = False, name: str | None = None) -> Tensor:
    """The inverse of matrices (..., m, m)."""
    return _inv(matrix_transpose(input) if adjoint else tensor(input))


def det(input: Any, name: str | None = None) -> Tensor:
    """The determinant of matrices (..., m, m)."""
    return _det(tensor(input))


def cholesky(input: Any, name: str | None = None) -> Tensor:
    """The lower triangular L with L L^T = input, for symmetric positive definite matrices.

    Raises:
        ValueError: a matrix is not positive definite.
    """
    return _cholesky(tensor(input))


def _cholesky_gradient(dy: np.ndarray, y: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
    """Murray 2016: L^-T Phi(L^T dL) L^-1 made symmetric, Phi the lower triangle with half the diagonal."""
    lower = np.tril(_t(y) @ np.tril(dy))
    lower -= 0.5 * lower * np.eye(x.shape[-1])
    inverse = np.linalg.inv(y)
    whole = _t(inverse) @ lower @ inverse
    return [0.5 * (whole + _t(whole))]


_cholesky = _through_numpy("cholesky", np.linalg.cholesky, _cholesky_gradient)
_logdet = _through_numpy(
    "logdet",
    lambda x: np.linalg.slogdet(x)[1],
    lambda dy, y, x: [dy[..., None, None] * _t(np.linalg.inv(x))],
)


def logdet(matrix: Any, name: str | None = None) -> Tensor:
    """log(det(matrix)) of symmetric positive definite matrices."""
    return _logdet(tensor(matrix))


SLogDet = namedtuple("SLogDet", ("sign", "log_abs_determinant"))


def slogdet(input: Any, name: str | None = None) -> SLogDet:
    """The sign of the determinants, and the logarithm of their absolute values."""
    x = tensor(input)
    sign = np.linalg.slogdet(values(x, "input"))[0]
    return SLogDet(_core.tensor(np.asarray(sign), x.dtype.name), _logdet(x))


def _through_svd(x: Any) -> Any:
    u, s, v = np.linalg.svd(np.asarray(x), full_matrices=False)
    return tensor(s), lambda dy: (u * np.asarray(dy)[..., None, :]) @ v


def svd(
    tensor: Any,
    full_matrices: bool = False,
    compute_uv: bool = True,
    name: str | None = None,
) -> Any:
    """The singular values s (..., p), and u, v with tensor = u diag(s) v^T.

    The gradient passes to the singular values; u and v have none.

    >>> import cnnexplain as tf
    >>> tf.linalg.svd([[3.0, 0.0], [0.0, -2.0]], compute_uv=False).numpy()
    array([3., 2.], dtype=float32)
    """
    s = custom_gradient(_through_svd)(tensor)
    if not compute_uv:
        return s
    u, _, v = np.linalg.svd(values(tensor_(tensor), "tensor"), full_matrices=full_matrices)
    return s, _core.tensor(u), _core.tensor(np.ascontiguousarray(_t(v)))


tensor_ = tensor


def _through_eigh(x: Any) -> Any:
    array = np.asarray(x)
    e, v = np.linalg.eigh(array)

    def gradient(de: Any, dv: Any) -> np.ndarray:
        gaps = e[..., None, :] - e[..., :, None]
        share = np.divide(1, gaps, out=np.zeros_like(gaps), where=gaps != 0)
        inner = share * (_t(v) @ np.asarray(dv)) + np.asarray(de)[..., None, :] * np.eye(array.shape[-1])
        whole = v @ inner @ _t(v)
        lower = np.tril(whole + _t(whole))  # eigh reads the lower triangle
        return lower * (1 - 0.5 * np.eye(array.shape[-1], dtype=array.dtype))

    return [tensor(e), tensor(v)], gradient


def eigh(tensor: Any, name: str | None = None) -> tuple[Any, Any]:
    """The eigenvalues (..., m), ascending, and eigenvectors (columns) of symmetric matrices."""
    e, v = custom_gradient(_through_eigh)(tensor)
    return e, v


def eigvalsh(tensor: Any, name: str | None = None) -> Tensor:
    """The eigenvalues of symmetric matrices, ascending."""
    return eigh(tensor)[0]


Qr = namedtuple("Qr", ("q", "r"))


def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> Qr:
    """The orthogonal q and upper triangular r with q r = input; no gradient passes."""
    q, r = np.linalg.qr(values(tensor(input), "input"), mode="complete" if full_matrices else "reduced")
    return Qr(_core.tensor(q), _core.tensor(r))


def pinv(a: Any, rcond: Any = None, validate_args: bool = False, name: str | None = None) -> Tensor:
    """The pseudo-inverse; singular values below rcond times the greatest count as 0. No gradient passes."""
    x = values(tensor(a), "a")
    least = 10 * max(x.shape[-2:]) * np.finfo(x.dtype).eps if rcond is None else float(values(rcond, "rcond"))
    return _core.tensor(np.linalg.pinv(x, rcond=least))


def matrix_rank(a: Any, tol: Any = None, validate_args: bool = False, name: str | None = None) -> Tensor:
    """How many singular values are above `tol`."""
    x = values(tensor(a), "a")
    return _core.tensor(np.asarray(np.linalg.matrix_rank(x, tol)), "int32")


def triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Tensor:
    """`solve` of the lower triangle of matrices, or the upper one; the rest is not read."""
    first, second = alike(matrix, rhs)
    return solve(band_part(first, -1, 0) if lower else band_part(first, 0, -1), second, adjoint)


def lstsq(
    matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: str | None = None
) -> Tensor:
    """The X that makes |matrix X - rhs|^2 + l2_regularizer |X|^2 least; of several the shortest."""
    a, b = alike(matrix, rhs)
    rows, columns = a.shape[-2:]
    size = min(rows, columns)
    ridge = _core.multiply(eye(size, dtype=a.dtype), float(l2_regularizer))
    if rows >= columns:
        square = _core.add(_core.matmul(a, a, transpose_a=True), ridge)
        return solve(square, _core.matmul(a, b, transpose_a=True))
    square = _core.add(_core.matmul(a, a, transpose_b=True), ridge)
    return _core.matmul(a, solve(square, b), transpose_a=True)


def _mask(x: Any, inside: np.ndarray) -> Any:
    return _core.where(x, 0, _core.tensor(inside))


def band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """The matrices with zeros outside `num_lower` diagonals below and `num_upper` above; -1: all.

    >>> import cnnexplain as tf
    >>> tf.linalg.band_part([[1, 2], [3, 4]], 0, -1).numpy()
    array([[1, 2],
           [0, 4]], dtype=int32)
    """
    x = tensor(input)
    low, high = number(num_lower, "num_lower"), number(num_upper, "num_upper")
    rows, columns = np.indices(x.shape[-2:])
    return _mask(x, ((low < 0) | (rows - columns <= low)) & ((high < 0) | (columns - rows <= high)))


def diag(
    diagonal: Any,
    name: str = "diag",
    k: int = 0,
    num_rows: int = -1,
    num_cols: int = -1,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Tensor:
    """Matrices with the vectors (..., m) on their k-th diagonals, `padding_value` elsewhere.

    >>> import cnnexplain as tf
    >>> tf.linalg.diag([1, 2]).numpy()
    array([[1, 0],
           [0, 2]], dtype=int32)
    """
    x, above = tensor(diagonal), number(k, "k")
    length = x.shape[-1]
    if num_rows == -1 and num_cols == -1:
        rows = columns = length + abs(above)
    else:
        rows = length + max(-above, 0) if num_rows == -1 else num_rows
        columns = length + max(above, 0) if num_cols == -1 else num_cols
    if length != min(rows + min(above, 0), columns - max(above, 0)):
        raise ValueError(
            f"the diagonal does not fit. Received: {length} values for ({rows}, {columns}), k={k}"
        )
    places, on = np.zeros((rows, columns), np.int64), np.eye(rows, columns, above, dtype=bool)
    places[on] = np.arange(length)
    spread = _core.gather(x, places, axis=len(x.shape) - 1)
    return _core.where(spread, padding_value, on)


def diag_part(
    input: Any, name: str = "diag_part", k: int = 0, padding_value: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """The k-th diagonals (..., m) of matrices."""
    x = tensor(input)
    rows, columns = x.shape[-2:]
    on = np.flatnonzero(np.eye(rows, columns, number(k, "k"), dtype=bool))
    flat = reshape_to(x, [*list(x.shape)[:-2], rows * columns])
    return _core.gather(flat, on, axis=len(x.shape) - 2)


def set_diag(
    input: Any, diagonal: Any, name: str = "set_diag", k: int = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """The matrices with other values on their k-th diagonals."""
    x, values_ = alike(input, diagonal)
    rows, columns = x.shape[-2:]
    return _core.where(
        diag(values_, k=k, num_rows=rows, num_cols=columns), x, np.eye(rows, columns, k, dtype=bool)
    )


def tensor_diag(diagonal: Any, name: str | None = None) -> Tensor:
    """A tensor of twice the rank: the values where both halves of the index are equal, zeros elsewhere."""
    x = tensor(diagonal)
    return _core.reshape(diag(_core.reshape(x, shape=[-1])), shape=[*x.shape, *x.shape])


def tensor_diag_part(input: Any, name: str | None = None) -> Tensor:
    """The values where both halves of the index are equal."""
    x = tensor(input)
    half = list(x.shape)[: len(x.shape) // 2]
    if half * 2 != list(x.shape):
        raise ValueError(f"`input` must have the same shape twice. Received: {tuple(x.shape)}")
    count = int(np.prod(half))
    return _core.reshape(diag_part(_core.reshape(x, shape=[count, count])), shape=half)


def trace(x: Any, name: str | None = None) -> Tensor:
    """The sum of the diagonal of matrices (..., m, m).

    >>> import cnnexplain as tf
    >>> float(tf.linalg.trace([[1.0, 2.0], [3.0, 4.0]]))
    5.0
    """
    return _core.reduce_sum(diag_part(x), axis=[-1])


_names.publish(__name__)
