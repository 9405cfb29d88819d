"""Products of matrices and tensors, norms, and the solution of linear systems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names, _sizes
from .._convert import alike, axes, axis_of, numbers, reshape_to, tensor
from ..functions import eye
from ..math import l2_normalize
from .decompositions import *  # noqa: F403
from .decompositions import svd

if TYPE_CHECKING:
    from ..tensor import Tensor

tensor_, axes_ = tensor, axes  # also names of arguments

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
    grad_a: bool = False,
    grad_b: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of matrices (..., m, k) and (..., k, n): (..., m, n). Leading axes broadcast.

    >>> import cnnexplain as tf
    >>> tf.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy()
    array([[11.]], dtype=float32)
    """
    return _product(*alike(a, b), transpose_a=transpose_a or adjoint_a, transpose_b=transpose_b or adjoint_b)


def _product(a: Any, b: Any, **attributes: bool) -> Any:
    """The product of matrices; of whole numbers by way of float64, which is exact up to 2^53."""
    if a.dtype.is_floating:
        return _core.matmul(a, b, **attributes)
    wide = [_core.cast(x, dtype="float64") for x in (a, b)]
    return _core.cast(_core.matmul(*wide, **attributes), dtype=a.dtype.name)


def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """The product of matrices (..., m, k) and vectors (..., k): (..., m)."""
    matrix, vector = alike(a, b)
    column = reshape_to(tensor(vector), [*vector.shape, 1])
    product = _product(matrix, column, transpose_a=transpose_a or adjoint_a)
    return reshape_to(product, list(product.shape)[:-1])


def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """Sums of products over pairs of axes.

    Args:
        a, b: Tensors.
        axes: A number n: the last n axes of a with the first n of b. Or two lists: the axes of a, the
            axes of b.

    >>> import cnnexplain as tf
    >>> tf.tensordot([[1.0, 2.0]], [3.0, 4.0], axes=1).numpy()
    array([11.], dtype=float32)
    """
    first, second = alike(a, b)
    ra, rb = len(first.shape), len(second.shape)
    if np.ndim(axes) == 0:
        count = int(axes)
        if not 0 <= count <= min(ra, rb):
            raise ValueError(f"`axes` must be at most the rank of both tensors. Received: axes={axes}")
        over_a, over_b = list(range(ra - count, ra)), list(range(count))
    else:
        over_a = [axis_of(axis, ra, "axes") for axis in numbers(axes[0], "axes")]
        over_b = [axis_of(axis, rb, "axes") for axis in numbers(axes[1], "axes")]
    if len(over_a) != len(over_b):
        raise ValueError(f"`axes` must name as many axes of a as of b. Received: axes={axes}")
    left, right = list(_LETTERS[:ra]), list(_LETTERS[ra : ra + rb])
    for i, j in zip(over_a, over_b, strict=True):
        right[j] = left[i]
    free = [x for i, x in enumerate(left) if i not in over_a] + [
        x for j, x in enumerate(right) if j not in over_b
    ]
    return _contract(first, left, second, right, free)


def _contract(a: Any, left: list[str], b: Any, right: list[str], out: list[str]) -> Any:
    """One product of two tensors with labelled axes: batch, free and summed axes become one matmul."""
    sizes: dict[str, int | None] = {}
    for labels, x in ((left, a), (right, b)):
        for label, size in zip(labels, x.shape, strict=True):
            known = sizes.get(label)
            if known is not None and size is not None and known != size and 1 not in (known, size):
                raise ValueError(f"the axes {label!r} must have one length. Received: {known} and {size}")
            sizes[label] = size if known in (None, 1) else known
    a, left = _summed(a, left, {*right, *out})
    b, right = _summed(b, right, {*left, *out})
    batch = [x for x in left if x in right and x in out]
    over, outer = _inner([x for x in left if x in right and x not in out], sizes)
    rows, above = _inner([x for x in left if x not in right], sizes)
    columns, beside = _inner([x for x in right if x not in left], sizes)
    if sum(sizes[x] is None for x in outer + over + above + rows + beside + columns) < 2:
        over, rows, columns = outer + over, above + rows, beside + columns
        outer = above = beside = []
    batch = batch + outer + above + beside
    a = _merged(_spread(a, left, batch + rows + over), batch, rows, over, sizes)
    b = _merged(_spread(b, right, batch + over + columns), batch, over, columns, sizes)
    product = _product(a, b)
    if not len(rows) == len(columns) == 1:
        lengths = [sizes[x] if sizes[x] is not None else -2 if [x] == rows else -1 for x in rows + columns]
        product = _core.reshape(product, shape=[-2] * len(batch) + lengths)
    have = batch + rows + columns
    if outer:
        product = _core.reduce_sum(product, axis=[have.index(x) for x in outer])
        have = [x for x in have if x not in outer]
    return _transposed(product, have, out)


def _inner(labels: list[str], sizes: dict[str, int | None]) -> tuple[list[str], list[str]]:
    """The axes that the matrix product takes as one, and those that it repeats over: a reshape cannot undo
    the merging of several unknown lengths.
    """
    unknown = [x for x in labels if sizes[x] is None]
    inner = unknown[-1:] or labels
    return inner, [x for x in labels if x not in inner]


def _merged(x: Any, batch: list[str], first: list[str], last: list[str], sizes: dict[str, int | None]) -> Any:
    """x (batch, first, last) with the axes `first` as one and the axes `last` as one."""
    if len(first) == len(last) == 1:
        return x
    lengths = []
    for labels, stays in ((first, True), (last, len(first) == 1)):
        size = _length(sizes, labels)
        lengths.append(size if size is not None else -2 if stays and len(labels) == 1 else -1)
    return _core.reshape(x, shape=[-2] * len(batch) + lengths)


def _length(sizes: dict[str, int | None], labels: list[str]) -> int | None:
    result = 1
    for label in labels:
        size = sizes[label]
        if size is None:
            return None
        result *= size
    return result


def _spread(x: Any, labels: list[str], order: list[str]) -> Any:
    """x with its axes in `order`, of length 1 where it has none."""
    missing = [label for label in order if label not in labels]
    if missing:
        x = _core.reshape(x, shape=[-2] * len(labels) + [1] * len(missing))
    return _transposed(x, labels + missing, order)


def _transposed(x: Any, labels: list[str], order: list[str]) -> Any:
    perm = [labels.index(label) for label in order]
    return x if perm == list(range(len(perm))) else _core.transpose(x, perm=perm)


def _summed(x: Any, labels: list[str], needed: set[str]) -> tuple[Any, list[str]]:
    """Without the axes that only x has and the result has not; repeated labels become their diagonal."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            length, order = _sizes.sizes(x), [str(i) for i in range(len(labels))]
            mask = eye(length[first], length[second], dtype=x.dtype)
            x = _core.multiply(x, _spread(mask, [str(first), str(second)], order))
            x = _core.reduce_sum(x, axis=[second])
            labels = labels[:second] + labels[second + 1 :]
    gone = [i for i, label in enumerate(labels) if label not in needed]
    if gone:
        x = _core.reduce_sum(x, axis=gone)
    return x, [label for label in labels if label in needed]


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """Sums of products by named axes, for example "bij,bjk->bik". `...` stands for any axes in front.

    Several tensors are multiplied from the left.

    >>> import cnnexplain as tf
    >>> tf.einsum("ij,ij->i", [[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]).numpy()
    array([3., 7.], dtype=float32)
    """
    text = equation.replace(" ", "")
    terms, arrow, result = text.partition("->")
    parts = terms.split(",")
    like = next((x.dtype.name for x in inputs if isinstance(x, (_core.Tensor, _core.Variable))), None)
    operands = [tensor(x) if like is None else tensor(x, like) for x in inputs]
    if len(parts) != len(operands):
        raise ValueError(
            f"`equation` must have a term for each input. Received: equation={equation!r}, "
            f"{len(operands)} inputs"
        )
    unused = [letter for letter in _LETTERS[::-1] if letter not in text]
    labels = [_labels(part, len(x.shape), unused, equation) for part, x in zip(parts, operands, strict=True)]
    longest = max(
        (len(x.shape) - len(part.replace("...", "")) for part, x in zip(parts, operands, strict=True)),
        default=0,
    )
    front = unused[:longest][::-1] if "..." in text else []
    if arrow:
        out = front * ("..." in result) + list(result.replace("...", ""))
    else:
        every = [label for term in labels for label in term if label not in front]
        out = front + sorted(label for label in set(every) if every.count(label) == 1)
    known = {label for term in labels for label in term}
    if len(set(out)) != len(out) or not set(out) <= known:
        raise ValueError(
            "`equation` must name each axis of the result once, from those of the inputs. Received: "
            f"equation={equation!r}"
        )
    total, have = operands[0], labels[0]
    for place in range(1, len(operands)):
        later = {label for term in labels[place + 1 :] for label in term}
        total, have = _summed(total, have, {*labels[place], *later, *out})
        other, theirs = _summed(operands[place], labels[place], {*have, *later, *out})
        keep = [label for label in dict.fromkeys(have + theirs) if label in later or label in out]
        total, have = _contract(total, have, other, theirs, keep), keep
    total, have = _summed(total, have, set(out))
    return _transposed(total, have, out)


def _labels(part: str, rank: int, unused: list[str], equation: str) -> list[str]:
    """One label for each axis, `...` written out."""
    before, dots, after = part.partition("...")
    missing = rank - len(before) - len(after)
    if not (before + after).isalpha() and before + after or missing < 0 or (missing and not dots):
        raise ValueError(
            f"`equation` must have a letter for each axis. Received: equation={equation!r}, "
            f"an input of rank {rank}"
        )
    return [*before, *unused[:missing][::-1], *after]


def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: bool | None = None,
    name: str | None = None,
) -> Tensor:
    """The length of vectors, or of matrices when `axis` names two axes.

    Vectors: sum(|x|^ord)^(1/ord), "euclidean" is 2, `inf` the greatest |x|. Matrices: "euclidean" and "fro"
    sqrt(sum(x^2)), 1 the greatest sum of a column of |x|, `inf` of a row, 2 the greatest singular value.

    >>> import cnnexplain as tf
    >>> float(tf.norm([3.0, 4.0]))
    5.0
    """
    over, keep = axes_(axis), bool(keepdims)
    pair = over if over is not None and len(over) == 2 else []
    matrix = bool(pair)
    allowed = ("euclidean", "fro", 1, 2, math.inf) if matrix else ("euclidean", 1, 2, math.inf)
    if ord not in allowed and (matrix or isinstance(ord, str) or ord <= 0):
        raise ValueError(
            f"`ord` must be {'one of ' + str(allowed) if matrix else 'euclidean, inf or a positive number'}. "
            f"Received: ord={ord!r}, axis={axis}"
        )
    x = tensor_(tensor)
    if ord in ("euclidean", "fro") or (ord == 2 and not matrix):
        return _core.sqrt(_core.reduce_sum(_core.square(x), axis=over, keepdims=keep))
    if matrix and ord == 2:
        rank = len(x.shape)
        places = [axis_of(i, rank) for i in pair]
        rest = [i for i in range(rank) if i not in places]
        top = _core.reduce_max(svd(_core.transpose(x, perm=rest + places), compute_uv=False), axis=[-1])
        return reshape_to(top, [1 if i in places else n for i, n in enumerate(x.shape)]) if keep else top
    size = _core.abs(x)
    if matrix:
        first, second = pair if ord == 1 else pair[::-1]
        sums = _core.reduce_sum(size, axis=[first], keepdims=True)
        most = _core.reduce_max(sums, axis=[second], keepdims=True)
        return most if keep else _core.reduce_sum(most, axis=pair)
    if ord == math.inf:
        return _core.reduce_max(size, axis=over, keepdims=keep)
    if ord == 1:
        return _core.reduce_sum(size, axis=over, keepdims=keep)
    total = _core.reduce_sum(_core.pow(size, float(ord)), axis=over, keepdims=keep)
    return _core.pow(total, 1.0 / float(ord))


def normalize(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    name: str | None = None,
) -> tuple[Any, Any]:
    """tensor / norm(tensor), and the norm."""
    length = norm(tensor, ord, axis, keepdims=True)
    return _core.divide(tensor_(tensor), length), length


def cross(a: Any, b: Any, name: str | None = None) -> Tensor:
    """The cross products of vectors (..., 3)."""
    x, y = alike(a, b)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ValueError(f"the last axes must have length 3. Received: {tuple(x.shape)} and {tuple(y.shape)}")
    ahead, behind = [1, 2, 0], [2, 0, 1]
    first, second = (
        _core.multiply(_core.gather(x, i, axis=-1), _core.gather(y, j, axis=-1))
        for i, j in ((ahead, behind), (behind, ahead))
    )
    return _core.subtract(first, second)


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Tensor:
    """t, or t * clip_norm / norm(t) where the norm over the axes is greater than clip_norm.

    >>> import cnnexplain as tf
    >>> tf.clip_by_norm([3.0, 4.0], 1.0).numpy()
    array([0.6, 0.8], dtype=float32)
    """
    x = tensor(t)
    over = None if axes is None else numbers(axes, "axes")
    total = _core.reduce_sum(_core.square(x), axis=over, keepdims=True)
    positive = _core.greater(total, 0.0)
    length = _core.where(_core.sqrt(_core.where(total, 1.0, positive)), total, positive)
    return _core.divide(_core.multiply(x, clip_norm), _core.maximum(length, clip_norm))


def global_norm(t_list: Sequence[Any], name: str | None = None) -> Tensor:
    """sqrt of the sum of squares of all tensors; None counts as nothing."""
    squares = [_core.reduce_sum(_core.square(tensor(t))) for t in t_list if t is not None]
    total = squares[0] if squares else tensor(0.0)
    for square in squares[1:]:
        total = _core.add(total, square)
    return _core.sqrt(total)


def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Any]:
    """All tensors scaled together so that their global norm is at most clip_norm; and that norm.

    >>> import cnnexplain as tf
    >>> clipped, length = tf.clip_by_global_norm([[3.0], [4.0]], 1.0)
    >>> float(length)
    5.0
    """
    length = global_norm(t_list) if use_norm is None else tensor(use_norm)
    scale = _core.divide(tensor(clip_norm, length.dtype), _core.maximum(length, clip_norm))
    return [None if t is None else _core.multiply(tensor(t), scale) for t in t_list], length


__all__ = [*_names.defined(__name__), "eye", "l2_normalize"]
__getattr__ = _names.missing(__name__)
