"""Layers of several inputs."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .. import masking
from .base import Layer


class Merge(Layer):
    """Combines inputs that broadcast, first to last."""

    most: int | None = None

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def _combine(self, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def _check(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 1:
            raise ValueError(
                f"`{type(self).__name__}` should be called on a list of at least 1 input. Received: {inputs}"
            )
        if self.most is not None and len(inputs) != self.most:
            raise ValueError(
                f"A `{type(self).__name__}` layer should be called on exactly {self.most} inputs. Received: "
                f"{len(inputs)} inputs"
            )
        shapes = [tuple(x.shape) for x in inputs]
        longest = max(len(shape) for shape in shapes)
        for axis in range(1, longest + 1):
            sizes = {shape[-axis] for shape in shapes if len(shape) >= axis} - {None, 1}
            if len(sizes) > 1:
                raise ValueError(
                    f"Inputs have incompatible shapes. Received shapes {' and '.join(str(s) for s in shapes)}"
                )

    def build(self, input_shape: Any) -> None:
        self.built = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where one of the masks is; None where an input has none."""
        if mask is None or any(one is None for one in mask):
            return None
        out = mask[0]
        for other in mask[1:]:
            out = _core.logical_or(out, other)
        return out

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        out = inputs[0]
        for other in inputs[1:]:
            out = self._combine(out, other)
        return out


class Add(Merge):
    """The sum of the inputs.

    >>> from cnnexplain import keras
    >>> keras.layers.Add()([keras.ops.ones((1, 2)), keras.ops.ones((1, 2))]).numpy()
    array([[2., 2.]], dtype=float32)
    """

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.add(a, b)


class Subtract(Merge):
    """The first input minus the second.

    >>> from cnnexplain import keras
    >>> keras.layers.Subtract()([keras.ops.ones((1, 2)), keras.ops.ones((1, 2))]).numpy()
    array([[0., 0.]], dtype=float32)
    """

    most = 2

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.subtract(a, b)


class Multiply(Merge):
    """The product of the inputs, element by element.

    >>> from cnnexplain import keras
    >>> keras.layers.Multiply()([keras.ops.array([[2.0]]), keras.ops.array([[3.0]])]).numpy()
    array([[6.]], dtype=float32)
    """

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.multiply(a, b)

    def call(self, inputs: Any) -> Any:
        if masking.of(inputs) is None:
            return super().call(inputs)
        masks = [masking.of(x) for x in inputs]
        out = super().call(
            [x if m is None else masking.choose(m, x, 1.0) for x, m in zip(inputs, masks, strict=True)]
        )
        joined = Merge.compute_mask(self, inputs, masks)
        return out if joined is None else masking.choose(joined, out, 0.0)


class Average(Merge):
    """The mean of the inputs.

    >>> from cnnexplain import keras
    >>> keras.layers.Average()([keras.ops.array([[2.0]]), keras.ops.array([[3.0]])]).numpy()
    array([[2.5]], dtype=float32)
    """

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        out = inputs[0]
        for other in inputs[1:]:
            out = _core.add(out, other)
        return out / float(len(inputs))


class Extreme(Merge):
    """What the largest and the smallest share: a masked value gives way to that of another input."""

    def call(self, inputs: Any) -> Any:
        if masking.of(inputs) is None:
            return super().call(inputs)
        self._check(inputs)
        out, seen = inputs[0], masking.of(inputs[0])
        for x in inputs[1:]:
            mask = masking.of(x)
            if mask is not None:
                x = masking.choose(mask, x, out)
            if seen is not None:
                out = masking.choose(seen, out, x)
            seen = None if mask is None or seen is None else _core.logical_or(seen, mask)
            out = self._combine(out, x)
        return out


class Maximum(Extreme):
    """The largest of the inputs, element by element.

    >>> from cnnexplain import keras
    >>> keras.layers.Maximum()([keras.ops.array([[2.0]]), keras.ops.array([[3.0]])]).numpy()
    array([[3.]], dtype=float32)
    """

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.maximum(a, b)


class Minimum(Extreme):
    """The smallest of the inputs, element by element.

    >>> from cnnexplain import keras
    >>> keras.layers.Minimum()([keras.ops.array([[2.0]]), keras.ops.array([[3.0]])]).numpy()
    array([[2.]], dtype=float32)
    """

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.minimum(a, b)


def concat(tensors: Any, axis: int) -> Any:
    """The tensors one after the other along `axis`; the operation takes eight at a time."""
    rest = list(tensors)
    while len(rest) > 1:
        rest = [
            _core.concat(*rest[i : i + 8], axis=axis) if len(rest[i : i + 8]) > 1 else rest[i]
            for i in range(0, len(rest), 8)
        ]
    return rest[0]


class Concatenate(Merge):
    """The inputs one after the other along `axis`.

    Args:
        axis: The axis along which they are joined.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Concatenate()([keras.ops.ones((1, 2)), keras.ops.ones((1, 3))]).shape)
    (1, 5)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 1:
            raise ValueError(
                f"A `Concatenate` layer should be called on a list of at least 1 input. Received: {inputs}"
            )
        shapes = [list(x.shape) for x in inputs]
        rank = len(shapes[0])
        if any(len(shape) != rank for shape in shapes) or not -rank <= self.axis < rank:
            raise ValueError(
                "A `Concatenate` layer requires inputs of one rank that has the concatenation axis. "
                f"Received: input_shape={[tuple(s) for s in shapes]}, axis={self.axis}"
            )
        axis = self.axis % rank
        for place in range(rank):
            if place != axis and len({shape[place] for shape in shapes} - {None}) > 1:
                raise ValueError(
                    "A `Concatenate` layer requires inputs with matching shapes except for the "
                    f"concatenation axis. Received: input_shape={[tuple(s) for s in shapes]}"
                )
        return concat(inputs, axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks one after the other; over the features an output counts where one of them does."""
        if mask is None or all(one is None for one in mask):
            return None
        parts = []
        for x, one in zip(inputs, mask, strict=True):
            never = _core.less(x, x)
            wide = one is None or len(one.shape) == len(x.shape)
            part = _core.logical_not(never) if one is None else one
            parts.append(part if wide else _core.logical_or(masking.expand(part, -1), never))
        joined = _core.cast(concat(parts, self.axis % len(inputs[0].shape)), dtype="int32")
        return _core.cast(_core.reduce_max(joined, axis=[-1]), dtype="bool")


class Dot(Merge):
    """The scalar products of two inputs along `axes`; `normalize` scales them to cosines.

    Args:
        axes: The axis of both inputs, or a pair of axes.
        normalize: Whether both are brought to length 1 before.

    >>> from cnnexplain import keras
    >>> keras.layers.Dot(axes=1)([keras.ops.array([[1.0, 2.0]]), keras.ops.array([[3.0, 4.0]])]).numpy()
    array([[11.]], dtype=float32)
    """

    most = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        pair = isinstance(axes, (list, tuple)) and len(axes) == 2
        if not isinstance(axes, int) and not (pair and all(isinstance(k, int) for k in axes)):
            raise ValueError(f"`axes` must be an integer or a tuple of 2 integers. Received: axes={axes}")
        self.axes = axes
        self.normalize = bool(normalize)

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(
                f"A `Dot` layer should be called on a list of exactly 2 inputs. Received: {inputs}"
            )
        a, b = inputs
        left, right = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        shapes = f"shapes {tuple(a.shape)} and {tuple(b.shape)}, axes={self.axes}"
        ranks = len(a.shape), len(b.shape)
        if min(ranks) < 2 or not all(
            -r <= k < r and k % r for k, r in zip((left, right), ranks, strict=True)
        ):
            raise ValueError(
                f"`axes` must name an axis of each input, not that of the batch. Received: {shapes}"
            )
        left, right = left % ranks[0], right % ranks[1]
        if a.shape[left] != b.shape[right] and None not in (a.shape[left], b.shape[right]):
            raise ValueError(f"The inputs of `Dot` must have the same size along `axes`. Received: {shapes}")
        if self.normalize:
            a, b = (
                x
                * _core.rsqrt(
                    _core.maximum(_core.reduce_sum(_core.square(x), axis=[k], keepdims=True), 1e-12)
                )
                for x, k in ((a, left), (b, right))
            )
        a = _core.transpose(a, perm=[*(k for k in range(ranks[0]) if k != left), left])
        b = _core.transpose(b, perm=[0, right, *(k for k in range(1, ranks[1]) if k != right)])
        rest = [-1 if size is None else int(size) for size in (*tuple(a.shape)[1:-1], *tuple(b.shape)[2:])]
        size = a.shape[-1] if a.shape[-1] is not None else b.shape[1]
        y = _core.matmul(
            _core.reshape(a, shape=[-2, -1, size] if ranks[0] != 2 else [-2, 1, size]),
            _core.reshape(b, shape=[-2, size, -1] if ranks[1] != 2 else [-2, size, 1]),
        )
        return _core.reshape(y, shape=[-2, *(rest or [1])])


def add(inputs: Any, **kwargs: Any) -> Any:
    """The sum of the inputs."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """The first input minus the second."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """The product of the inputs."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """The mean of the inputs."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """The largest of the inputs."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """The smallest of the inputs."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """The inputs one after the other along `axis`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """The scalar products of two inputs along `axes`."""
    return Dot(axes=axes, **kwargs)(inputs)
