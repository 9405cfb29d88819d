"""One layout for all: a batch (n, height, width, channels) of floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import reshape_to

from ... import config
from ...convert import as_tensor
from ...tracing import state


def pictures(images: Any, name: str = "images") -> Any:
    """A tensor of one image or a batch of them."""
    x = as_tensor(images)
    if len(x.shape) not in (3, 4):
        raise ValueError(
            "Invalid images rank: expected rank 3 (single image) or rank 4 (batch of images). Received input "
            f"with shape: {name}.shape={tuple(x.shape)}"
        )
    return x


def batch_of_one(x: Any) -> Any:
    """(1, ...) of one image."""
    if tuple(x.shape).count(None) < 2:
        return reshape_to(x, [1, *x.shape])
    return _core.multiply(x, _core.tensor(np.ones([1] * (len(x.shape) + 1), x.dtype.name)))


def only(x: Any) -> Any:
    """The one element of a batch."""
    if tuple(x.shape).count(None) < 2:
        return reshape_to(x, list(x.shape)[1:])
    return _core.reduce_sum(x, axis=[0])


def channels_last(x: Any, data_format: str) -> Any:
    """A batch with its channels last."""
    return x if data_format == "channels_last" else _core.transpose(x, perm=[0, 2, 3, 1])


def laid_out(x: Any, data_format: str) -> Any:
    """A batch with channels last in the layout `data_format`; axes behind the channels stay there."""
    if data_format == "channels_last":
        return x
    return _core.transpose(x, perm=[0, 3, 1, 2, *range(4, len(x.shape))])


def on_batch(
    images: Any, data_format: str | None, compute: Callable[[Any], Any], name: str = "images"
) -> Any:
    """compute of a batch with channels last, for images of either layout, one or a batch."""
    x = pictures(images, name)
    layout = config.standardize_data_format(data_format)
    single = len(x.shape) == 3
    y = compute(channels_last(batch_of_one(x) if single else x, layout))
    y = laid_out(y, layout)
    return only(y) if single else y


def in_floats(x: Any, compute: Callable[[Any], Any]) -> Any:
    """compute of a float tensor; integers come back as integers, cut off towards 0."""
    if x.dtype.is_floating:
        return compute(x)
    wide = "float64" if x.dtype.name in ("int32", "int64") else "float32"
    return _core.cast(compute(_core.cast(x, dtype=wide)), dtype=x.dtype.name)


def size_of(x: Any, axis: int) -> Any:
    """The size of an axis: a number, or a scalar float tensor where it is known at run time only."""
    size = x.shape[axis]
    if size is not None:
        return int(size)
    rank = len(x.shape)
    sizes = [-1 if k == axis % rank else 1 for k in range(rank)]
    line = _core.slice(x, begin=[0] * rank, size=sizes)
    ones = _core.logical_or(_core.equal(line, line), _core.not_equal(line, line))
    return _core.reduce_sum(_core.cast(ones, dtype="float32"))


def host(compute: Callable[..., Any], *inputs: Any, shape: Any, dtype: str) -> Any:
    """A Python function of tensors: run now, or inside a model at every step."""
    if not state.depth and not any(isinstance(x, _core.Symbol) for x in inputs):
        return compute(*inputs)
    return _core.python(compute, *inputs, shape=tuple(shape), dtype=dtype)
