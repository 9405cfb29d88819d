"""Sums and extremes of segments, frames of a signal, ranks of predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from ._base import is_symbol, named, number, numeric, out_of_numpy, tensor
from .elementwise import erf, erfc, erfinv, rsqrt
from .linalg import cdist, logdet
from .reductions import logsumexp
from .selection import top_k

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "cdist", "erf", "erfc", "erfinv", "extract_sequences", "in_top_k", "logdet", "logsumexp", "rsqrt",
    "segment_max", "segment_min", "segment_prod", "segment_sum", "top_k",
]  # fmt: skip


def _product_slope(dy: np.ndarray, y: np.ndarray, data: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The product of the others in each segment."""
    others = np.ones_like(data)
    for k, own in enumerate(ids):
        for j in np.flatnonzero(ids == own):
            if j != k:
                others[k] = others[k] * data[j]
    return dy * others


def _extreme_slope(dy: np.ndarray, y: np.ndarray, data: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Shared by the elements that are the extreme of their segment."""
    hit = (data == y).astype(data.dtype)
    count = np.zeros((int(ids.max()) + 1, *data.shape[1:]), data.dtype)
    np.add.at(count, ids, hit)
    return dy * hit / count[ids]


def _least(dtype: np.dtype) -> Any:
    return np.finfo(dtype).min if dtype.kind == "f" else np.iinfo(dtype).min


def _greatest(dtype: np.dtype) -> Any:
    return np.finfo(dtype).max if dtype.kind == "f" else np.iinfo(dtype).max


def _segments(name: str, text: str, ufunc: Any, start: Callable, slope: Callable) -> Callable[..., Tensor]:
    def apply(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
        data, ids = numeric(data), tensor(segment_ids)
        if len(ids.shape) != 1 or ids.dtype.is_floating:
            raise ValueError(
                f"`segment_ids` must be a vector of integers. Received: shape={tuple(ids.shape)}, "
                f"dtype={ids.dtype.name}"
            )
        if not data.shape or None not in (data.shape[0], ids.shape[0]) and data.shape[0] != ids.shape[0]:
            raise ValueError(
                "`segment_ids` must have one number for each entry of `data`. Received: "
                f"data.shape={tuple(data.shape)}, segment_ids.shape={tuple(ids.shape)}"
            )
        if num_segments is None and is_symbol(ids):
            count = None
        else:
            count = (
                int(np.asarray(ids).max(initial=-1)) + 1
                if num_segments is None
                else number(num_segments, "num_segments")
            )

        def gather(values: np.ndarray, places: np.ndarray) -> np.ndarray:
            total = int(places.max(initial=-1)) + 1 if count is None else count
            result = np.full((total, *values.shape[1:]), start(values.dtype), values.dtype)
            inside = (places >= 0) & (places < total)
            ufunc.at(result, places[inside], values[inside])
            return result

        def slopes(dy: np.ndarray, y: np.ndarray, values: np.ndarray, places: np.ndarray) -> list[Any]:
            inside = (places >= 0) & (places < len(y))
            found = np.zeros_like(values)
            own = places[inside]
            found[inside] = slope(dy[own], y[own], values[inside], own)
            return [found, None]

        return out_of_numpy(
            name, gather, data, ids, shape=[count, *data.shape[1:]], dtype=data.dtype.name, gradient=slopes
        )

    return named(apply, name, text)


_TEXT = """The {} of the entries of `data` that have the same number in `segment_ids`.

    Args:
        data: (n, ...).
        segment_ids: (n,) whole numbers; entries with one outside [0, num_segments) are left out.
        num_segments: How many; default: the greatest number + 1.
        sorted: Accepted: the order of the numbers makes no difference here.

    Returns:
        (num_segments, ...); an empty segment has {}.
    """
segment_sum = _segments(
    "segment_sum", _TEXT.format("sum", "0"), np.add, lambda _: 0, lambda dy, y, data, ids: dy
)
segment_prod = _segments(
    "segment_prod", _TEXT.format("product", "1"), np.multiply, lambda _: 1, _product_slope
)
segment_max = _segments(
    "segment_max",
    _TEXT.format("greatest", "the least number of the dtype"),
    np.maximum,
    _least,
    _extreme_slope,
)
segment_min = _segments(
    "segment_min",
    _TEXT.format("least", "the greatest number of the dtype"),
    np.minimum,
    _greatest,
    _extreme_slope,
)


def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether fewer than k of the predictions (n, classes) are greater than that of the target (n,)."""
    scores, places = tensor(predictions), tensor(targets)
    own = _core.gather(scores, _core.reshape(places, shape=[-1, 1]), axis=1, batch_dims=1)
    above = _core.cast(_core.greater(scores, own), dtype="int32")
    fits = _core.less(_core.reduce_sum(above, axis=[1]), number(k, "k"))
    finite = _core.reduce_all(_core.less(_core.abs(own), float("inf")), axis=[1])
    return _core.logical_and(fits, finite)


def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Frames of the last axis: (..., frames, sequence_length), one every `sequence_stride` elements.

    >>> from cnnexplain import keras
    >>> keras.ops.extract_sequences([1.0, 2.0, 3.0, 4.0], 2, 2).numpy()
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    x = tensor(x)
    length, stride = number(sequence_length, "sequence_length"), number(sequence_stride, "sequence_stride")
    size = x.shape[-1]
    if size is None or length < 1 or stride < 1:
        raise ValueError(
            "`sequence_length` and `sequence_stride` must be positive and the last axis known. Received: "
            f"sequence_length={length}, sequence_stride={stride}, x.shape={tuple(x.shape)}"
        )
    starts = np.arange(0, size - length + 1, stride)
    return _core.gather(x, _core.tensor(starts[:, None] + np.arange(length)), axis=len(x.shape) - 1)
