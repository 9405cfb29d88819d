"""Vectors for integers, and masks for sequences."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import masking
from . import arguments
from .base import Layer, real_input
from .description import plain_data, policy


class Embedding(Layer):
    """A vector for each integer, out[..., :] = embeddings[inputs].

    Args:
        input_dim: Number of integers: the inputs lie in [0, input_dim).
        output_dim: Length of a vector.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: Of the vectors.
        mask_zero: Is 0 padding? Then the output has a mask that is False where the input is 0.
        weights: Initial vectors, an array (input_dim, output_dim) or a list of one.
        lora_rank, lora_alpha, quantization_config: Accepted as None.

    Input (n, t) of integers; embeddings (input_dim, output_dim); output (n, t, output_dim).

    Raises:
        ValueError: `input_dim` or `output_dim` is no positive integer, or an input outside of [0, input_dim).

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Embedding(1000, 64)(keras.ops.zeros((32, 10), dtype="int32")).shape)
    (32, 10, 64)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        for name, value in (("lora_rank", lora_rank), ("quantization_config", quantization_config)):
            if value is not None:
                raise ValueError(f"`{name}` is not offered. Received: {name}={value}")
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("Argument `input_length` is deprecated. Just remove it.", stacklevel=2)
        super().__init__(**kwargs)
        self.input_dim = arguments.positive(input_dim, "input_dim")
        self.output_dim = arguments.positive(output_dim, "output_dim")
        self._describe_weight(
            "embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint
        )
        self.mask_zero = mask_zero
        self.supports_masking = bool(mask_zero)
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape: Any = None) -> None:
        if not self.built:
            self.embeddings = self._add_described("embeddings", (self.input_dim, self.output_dim))

    def call(self, inputs: Any) -> Any:
        if inputs.dtype.name not in ("int32", "int64"):
            inputs = _core.cast(inputs, dtype="int32")
        return _core.gather(self.embeddings, inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where the input is not 0, with `mask_zero`; else None."""
        return _core.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict:
        names = ("name", "trainable", "dtype", "input_dim", "output_dim", "mask_zero")
        settings = {name: getattr(self, name) for name in names}
        settings["dtype"] = policy(self.dtype)

        for name in ("embeddings_initializer", "embeddings_regularizer", "embeddings_constraint"):
            settings[name] = plain_data(getattr(self, name))
        settings["activity_regularizer"] = plain_data(self.activity_regularizer)
        settings["quantization_config"] = None
        return settings


class ReversibleEmbedding(Embedding):
    """An embedding that also goes back: `layer(x, reverse=True)` gives x @ embeddings^T, a score per integer.

    Args:
        input_dim, output_dim: As in `Embedding`.
        tie_weights: Go back with the same vectors; otherwise with `reverse_embeddings`.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero: As in `Embedding`.
        reverse_dtype: dtype of the way back; None: the layer's.
        logit_soft_cap: c in c tanh(scores / c), which keeps the scores within (-c, c); None: no limit.

    Press & Wolf, Using the output embedding to improve language models, 2016.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.ReversibleEmbedding(100, 8)
    >>> tuple(layer(layer(keras.ops.zeros((2, 5), dtype="int32")), reverse=True).shape)
    (2, 5, 100)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
                name="reverse_embeddings",
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            return masking.attach(super().call(inputs), super().compute_mask(inputs))
        kernel = self.embeddings if self.tie_weights else self.reverse_embeddings
        dtype = self.reverse_dtype or self.dtype
        scores = _core.matmul(
            _core.cast(inputs, dtype=dtype), _core.cast(kernel, dtype=dtype), transpose_b=self.tie_weights
        )
        if self.logit_soft_cap is None:
            return scores
        return _core.tanh(scores / float(self.logit_soft_cap)) * float(self.logit_soft_cap)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: the call itself sets the mask, and only on the way to the vectors."""
        return None

    def compute_output_shape(self, input_shape: Any, reverse: bool = False) -> Any:
        return (*input_shape[:-1], self.input_dim) if reverse else (*input_shape, self.output_dim)

    def get_config(self) -> dict:
        names = ("tie_weights", "reverse_dtype", "logit_soft_cap")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class Masking(Layer):
    """Marks the steps to leave out: those where every feature equals `mask_value`.

    Args:
        mask_value: What such steps are filled with.

    Input and output (n, t, k); the marked steps become 0, and the output has a mask (n, t) that is False at
    them.

    >>> from cnnexplain import keras
    >>> keras.layers.Masking()(keras.ops.array([[[1.0, 2.0], [0.0, 0.0]]]))._keras_mask.numpy()
    array([[ True, False]])
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(mask_value, dict):
            from ..saving.serialization import deserialize_keras_object

            mask_value = deserialize_keras_object(mask_value)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def _counts(self, inputs: Any, keepdims: bool = False) -> Any:
        differs = _core.cast(_core.not_equal(inputs, self.mask_value), dtype="int32")
        return _core.cast(_core.reduce_max(differs, axis=[-1], keepdims=keepdims), dtype="bool")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where a feature differs from `mask_value`."""
        return self._counts(inputs)

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        zero = _core.tensor(np.zeros((), x.dtype.name))
        return _core.where(x, zero, self._counts(x, keepdims=True))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)
