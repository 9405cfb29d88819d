"""Spectral normalization of a layer's kernel."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .. import initializers
from . import arguments
from .input_spec import InputSpec
from .wrappers import Wrapper


def _unit(x: Any) -> Any:
    return x * _core.rsqrt(_core.maximum(_core.reduce_sum(_core.square(x)), 1e-24))


class SpectralNormalization(Wrapper):
    """A layer whose kernel is divided by its largest singular value at each call in training.

    The singular value is estimated by power iteration: v = u W^T / |u W^T|, u = v W / |v W|, s = v W u^T, for
    the kernel as a matrix W (..., channels); u is kept from call to call.

    Args:
        layer: A layer with `kernel` or `embeddings`.
        power_iterations: Number of iterations at each call.

    Raises:
        ValueError: The layer has no kernel, or `power_iterations` is no positive integer.

    Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.SpectralNormalization(keras.layers.Conv2D(2, 3))
    >>> tuple(layer(keras.ops.ones((1, 8, 8, 1))).shape)
    (1, 6, 6, 2)
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.power_iterations = arguments.positive(power_iterations, "power_iterations")

    @property
    def _weight(self) -> Any:
        found = getattr(self.layer, "kernel", None)
        return found if found is not None else getattr(self.layer, "embeddings", None)

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        if self._weight is None:
            raise ValueError(
                f"`layer` must have `kernel` or `embeddings`. Received: layer={self.layer}, which has neither"
            )
        self.kernel = self._weight
        self.vector_u = self.add_weight(
            shape=(1, self._weight.shape[-1]),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            name="vector_u",
        )

    def normalized_weights(self) -> tuple[Any, Any]:
        """The vector u after the iterations, and the kernel divided by its largest singular value."""
        kernel, u = self._weight, self.vector_u
        matrix = _core.reshape(kernel, shape=[-1, self._weight.shape[-1]])
        for _ in range(self.power_iterations):
            v = _unit(_core.matmul(u, _core.transpose(matrix, perm=[1, 0])))
            u = _unit(_core.matmul(v, matrix))
        u, v = _core.stop_gradient(u), _core.stop_gradient(v)
        largest = _core.reduce_sum(_core.matmul(v, matrix) * u)
        # A kernel of zeros has no direction, and stays as it is.
        empty = _core.cast(_core.equal(largest, 0.0), dtype=self._weight.dtype.name)
        return u, _core.divide(kernel, largest + empty)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training:
            return self.layer(inputs)
        u, kernel = (_core.stop_gradient(value) for value in self.normalized_weights())
        self.vector_u.assign(u)
        self._weight.assign(kernel)
        return self.layer(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)
