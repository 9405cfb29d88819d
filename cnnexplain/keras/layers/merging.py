"""Layers of several inputs."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .base import Layer


class _Merge(Layer):
    """Combines inputs that broadcast, first to last."""

    least = 2
    most: int | None = None

    def _combine(self, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def _check(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 1:
            raise ValueError(
                f"A merge layer should be called on a list of at least 1 input. Received input_shape={inputs}"
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

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        out = inputs[0]
        for other in inputs[1:]:
            out = self._combine(out, other)
        return out


class Add(_Merge):
    """The sum of the inputs.

    >>> from cnnexplain import keras
    >>> keras.layers.Add()([keras.ops.ones((1, 2)), keras.ops.ones((1, 2))]).numpy()
    array([[2., 2.]], dtype=float32)
    """

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.add(a, b)


class Subtract(_Merge):
    """The first input minus the second."""

    most = 2

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.subtract(a, b)


class Multiply(_Merge):
    """The product of the inputs, element by element."""

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.multiply(a, b)


class Average(_Merge):
    """The mean of the inputs."""

    def call(self, inputs: Any) -> Any:
        self._check(inputs)
        out = inputs[0]
        for other in inputs[1:]:
            out = _core.add(out, other)
        return out / float(len(inputs))


class Maximum(_Merge):
    """The largest of the inputs, element by element."""

    def _combine(self, a: Any, b: Any) -> Any:
        return _core.maximum(a, b)


class Minimum(_Merge):
    """The smallest of the inputs, element by element."""

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


class Concatenate(_Merge):
    """The inputs one after the other along `axis`.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Concatenate()([keras.ops.ones((1, 2)), keras.ops.ones((1, 3))]).shape)
    (1, 5)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 1:
            raise ValueError("A `Concatenate` layer should be called on a list of at least 1 input.")
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
                    "A `Concatenate` layer requires inputs with matching shapes except for the concatenation "
                    "axis. "
                    f"Received: input_shape={[tuple(s) for s in shapes]}"
                )
        return concat(inputs, axis)


class Dot(_Merge):
    """The scalar products of two inputs along `axes`; `normalize` scales them to cosines."""

    most = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.axes = axes
        self.normalize = bool(normalize)

    def call(self, inputs: Any) -> Any:
        a, b = inputs
        left, right = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        if self.normalize:
            a, b = (
                x
                * _core.rsqrt(
                    _core.maximum(_core.reduce_sum(_core.square(x), axis=[k], keepdims=True), 1e-12)
                )
                for x, k in ((a, left), (b, right))
            )
        if len(a.shape) == 2 and len(b.shape) == 2:
            return _core.reduce_sum(_core.multiply(a, b), axis=[1], keepdims=True)
        left, right = left % len(a.shape), right % len(b.shape)
        a = _core.transpose(a, perm=[*(k for k in range(len(a.shape)) if k != left), left])
        b = _core.transpose(b, perm=[0, right, *(k for k in range(1, len(b.shape)) if k != right)])
        return _core.matmul(a, b)


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
