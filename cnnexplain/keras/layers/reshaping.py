"""Layers that move, cut and repeat pixels."""

from __future__ import annotations

import math
from typing import Any

from cnnexplain import _core

from .. import config
from ..naming import nearest
from . import arguments
from .base import Layer, real_input
from .convolution import from_last, to_last
from .input_spec import InputSpec

_WAYS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class Flatten(Layer):
    """(n, ...) -> (n, product of the rest); channels_first data is brought to channels_last before.

    Args:
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Flatten()(keras.ops.zeros((2, 3, 4, 5))).shape)
    (2, 60)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)
        self._channels_first = self.data_format == "channels_first"

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        if self._channels_first and rank > 2:
            inputs = _core.transpose(inputs, perm=[0, *range(2, rank), 1])
        rest = tuple(inputs.shape)[1:]
        size = -1 if any(s is None for s in rest) else math.prod(rest)
        return _core.reshape(inputs, shape=[-2, size] if rank > 1 or inputs.shape[0] is None else [-2, 1])


class Reshape(Layer):
    """(n, ...) -> (n, *target_shape); one size may be -1.

    Args:
        target_shape: Shape of one example.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Reshape((2, -1))(keras.ops.zeros((3, 12))).shape)
    (3, 2, 6)
    """

    def __init__(self, target_shape: Any, **kwargs: Any):
        super().__init__(**kwargs)
        target = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if sum(size == -1 for size in target) > 1:
            raise ValueError(f"`target_shape` may hold at most one -1. Received: target_shape={target_shape}")
        self.target_shape = target
        self.built = True

    def call(self, inputs: Any) -> Any:
        given = tuple(inputs.shape)[1:]
        target = list(self.target_shape)
        if not any(size is None for size in given):
            total, known = math.prod(given), math.prod(size for size in target if size != -1)
            if (-1 in target and (known == 0 or total % known)) or (-1 not in target and known != total):
                raise ValueError(
                    "The total size of the tensor must be unchanged. Received: "
                    f"input_shape={given}, target_shape={self.target_shape}"
                )
            target = [total // known if size == -1 else size for size in target]
        return _core.reshape(inputs, shape=[-2, *target])


class Permute(Layer):
    """Reorders the axes of an example; `dims` counts from 1.

    Args:
        dims: For each axis of the output, the axis of the input.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Permute((2, 1))(keras.ops.zeros((3, 10, 64))).shape)
    (3, 64, 10)
    """

    def __init__(self, dims: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in `dims` must "
                f"be consecutive and start from 1. Received: dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return _core.transpose(inputs, perm=[0, *self.dims])


class RepeatVector(Layer):
    """(n, features) -> (n, times, features).

    Args:
        n: How many times.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.RepeatVector(3)(keras.ops.zeros((2, 4))).shape)
    (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = arguments.positive(n, "n")
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return _core.tile(_core.reshape(inputs, shape=[-2, 1, inputs.shape[1]]), multiples=[1, self.n, 1])


def _crop(x: Any, cropping: dict[int, tuple[int, int]], layer: Any) -> Any:
    """The tensor without {axis: (before, after)} cells."""
    rank = len(x.shape)
    begin, size, behind = [0] * rank, [-1] * rank, [0] * rank
    for axis, (before, after) in cropping.items():
        length = x.shape[axis]
        begin[axis] = before
        if length is None:
            behind[axis] = after
            continue
        if before + after >= length:
            raise ValueError(
                "Values in `cropping` argument should be smaller than the corresponding spatial dimension of "
                f"the input. Received: input_shape={tuple(x.shape)}, cropping={layer.cropping}"
            )
        size[axis] = length - before - after
    x = _core.slice(x, begin=begin, size=size)
    if any(behind):  # of an unknown size: cut at the front of the reversed tensor
        axes = [axis for axis in range(rank) if behind[axis]]
        x = _core.slice(_core.reverse(x, axis=axes), begin=behind, size=[-1] * rank)
        x = _core.reverse(x, axis=axes)
    return x


class ZeroPadding2D(Layer):
    """Adds rows and columns of zeros.

    Args:
        padding: An integer, (vertical, horizontal) or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.ZeroPadding2D(((1, 0), (2, 2)))(keras.ops.zeros((1, 4, 4, 3))).shape)
    (1, 5, 8, 3)
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.padding = arguments.pairs(padding, "padding")
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        (top, bottom), (left, right) = self.padding
        if self.data_format == "channels_last":
            return _core.pad(inputs, before=[0, top, left, 0], after=[0, bottom, right, 0])
        return _core.pad(inputs, before=[0, 0, top, left], after=[0, 0, bottom, right])


class Cropping2D(Layer):
    """Cuts rows and columns off.

    Args:
        cropping: An integer, (vertical, horizontal) or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Cropping2D(((1, 0), (2, 2)))(keras.ops.zeros((1, 6, 8, 3))).shape)
    (1, 5, 4, 3)
    """

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.cropping = arguments.pairs(cropping, "cropping")
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        first = 1 if self.data_format == "channels_last" else 2
        return _crop(inputs, {first: self.cropping[0], first + 1: self.cropping[1]}, self)


class ZeroPadding1D(Layer):
    """Adds steps of zeros to sequences.

    Args:
        padding: An integer for both ends, or (before, after).
        data_format: "channels_last" (n, length, c) or "channels_first" (n, c, length).

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.ZeroPadding1D((1, 2))(keras.ops.zeros((1, 4, 3))).shape)
    (1, 7, 3)
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.padding = arguments.integers(padding, 2, "padding", zero=True)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        before, after = [0] * 3, [0] * 3
        axis = 1 if self.data_format == "channels_last" else 2
        before[axis], after[axis] = self.padding
        return _core.pad(inputs, before=before, after=after)


class Cropping1D(Layer):
    """Cuts steps off sequences (n, length, c).

    Args:
        cropping: An integer for both ends, or (before, after).

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Cropping1D((1, 2))(keras.ops.zeros((1, 9, 3))).shape)
    (1, 6, 3)
    """

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__(**kwargs)
        self.cropping = arguments.integers(cropping, 2, "cropping", zero=True)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return _crop(inputs, {1: (self.cropping[0], self.cropping[1])}, self)


def repeat(x: Any, times: int, axis: int) -> Any:
    """Each cell `times` times along axis 1 or 2 of (n, a, c) or (n, a, b, c), whose sizes may be unknown."""
    rank = len(x.shape)
    order = [0, *(k for k in range(1, rank - 1) if k != axis), axis, rank - 1]
    x = _core.transpose(x, perm=order)
    channels = x.shape[-1]
    x = _core.tile(x, multiples=[1] * (rank - 1) + [times])
    x = _core.reshape(x, shape=[-2] * (rank - 2) + [-1, channels])
    return _core.transpose(x, perm=[order.index(k) for k in range(rank)])


class UpSampling1D(Layer):
    """Repeats each step `size` times: (n, length, c) -> (n, length * size, c).

    Args:
        size: How many times each step is repeated.

    >>> from cnnexplain import keras
    >>> keras.layers.UpSampling1D(2)(keras.ops.array([[[1.0], [2.0]]])).numpy().ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = arguments.positive(size, "size")
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return repeat(inputs, self.size, 1)


class UpSampling2D(Layer):
    """Enlarges images.

    Args:
        size: Factors for height and width.
        data_format: "channels_last" or "channels_first".
        interpolation: "nearest" (repeats pixels, also of images of unknown size), "bilinear" or one of the
            other ways of `keras.ops.image.resize`: "bicubic", "lanczos3", "lanczos5".

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.UpSampling2D(2)(keras.ops.zeros((1, 4, 4, 3))).shape)
    (1, 8, 8, 3)
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.size = arguments.integers(size, 2, "size")
        if str(interpolation).lower() not in _WAYS:
            raise ValueError(
                f"`interpolation` must be one of {', '.join(_WAYS)}. Received: interpolation={interpolation}."
                f"{nearest(interpolation, _WAYS)}"
            )
        self.interpolation = str(interpolation).lower()
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        x = to_last(real_input(inputs, self.dtype), self.data_format)
        height, width = x.shape[1], x.shape[2]
        if height is not None and width is not None:
            size = [height * self.size[0], width * self.size[1]]
            if self.interpolation in ("nearest", "bilinear"):
                x = _core.resize(x, size=size, method=self.interpolation)
            else:
                from ..ops import image

                x = image.resize(x, size, interpolation=self.interpolation, data_format="channels_last")
        elif self.interpolation == "nearest":
            x = repeat(repeat(x, self.size[0], 1), self.size[1], 2)
        else:
            raise ValueError(
                f"`interpolation={self.interpolation!r}` needs a known height and width. Received: "
                f"shape={tuple(inputs.shape)}"
            )
        return from_last(x, self.data_format)
