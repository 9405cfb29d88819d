"""Attention: means of values, weighted by how well their keys fit a query."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import masking
from ..random import SeedGenerator, dropout
from .base import Layer
from .recurrent_cells import zeros_of


def positions(x: Any) -> Any:
    """0, 1, 2 ... along the last axis of a tensor of scores, of which only the shape counts."""
    ones = zeros_of(x) + 1.0
    return _core.cumsum(ones, axis=len(x.shape) - 1, exclusive=True)


def rows(x: Any) -> Any:
    """0, 1, 2 ... along the axis before the last."""
    ones = zeros_of(x) + 1.0
    return _core.cumsum(ones, axis=len(x.shape) - 2, exclusive=True)


def causal_mask(scores: Any) -> Any:
    """Where a query (second axis from the end) is not before its key (last axis)."""
    return _core.greater_equal(rows(scores), positions(scores))


class Attention(Layer):
    """Dot-product attention: softmax(query key^T) value.

    Args:
        use_scale: Multiply the scores by a trained number.
        score_mode: "dot" for query key^T; "concat" for w sum(tanh(query + key)), with a trained w.
        dropout: Share of the weights that training sets to 0.
        seed: For repeatable dropout.

    Called with a list [query (n, tq, d), value (n, tv, d)] or [query, value, key (n, tv, d)]; without a key
    the value is the key. `mask` is a list [query_mask (n, tq), value_mask (n, tv)]: values that are masked
    get no weight, and at masked queries the output is 0. `use_causal_mask` lets query i see only keys up to
    i. Returns (n, tq, d), with `return_attention_scores` also the weights (n, tq, tv).

    Luong et al., Effective approaches to attention-based neural machine translation, 2015.

    >>> from cnnexplain import keras
    >>> query, value = keras.ops.ones((1, 2, 4)), keras.ops.ones((1, 3, 4))
    >>> tuple(keras.layers.Attention()([query, value]).shape)
    (1, 2, 4)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"`score_mode` must be 'dot' or 'concat'. Received: score_mode={score_mode!r}")
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                name="concat_score_weight", shape=(), initializer="ones"
            )

    def _check(self, inputs: Any, mask: Any = None) -> None:
        name = type(self).__name__
        if not isinstance(inputs, list) or not 2 <= len(inputs) <= 3:
            raise ValueError(
                f"{name} layer '{self.name}' must be called on a list [query, value] or [query, value, key]. "
                f"Received: inputs={inputs}"
            )
        if mask is not None and (not isinstance(mask, list) or not 2 <= len(mask) <= 3):
            raise ValueError(
                f"`mask` of {name} layer '{self.name}' must be a list [query_mask, value_mask]. Received: "
                f"mask={mask}"
            )

    def _pairs(self, query: Any, key: Any) -> Any:
        """query + key for every pair, (n, tq, tv, d)."""
        return _core.add(masking.expand(query, -2), masking.expand(key, -3))

    def _scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = _core.matmul(query, key, transpose_b=True)
            return scores if self.scale is None else scores * self.scale
        pairs = self._pairs(query, key)
        pairs = pairs if self.scale is None else pairs * self.scale
        return _core.reduce_sum(_core.tanh(pairs), axis=[-1]) * self.concat_score_weight

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs, mask)
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (
            None if one is None else masking.as_bool(one) for one in (mask or [None] * 2)[:2]
        )
        for part, name, one in ((query, "query", query_mask), (value, "value", value_mask)):
            if len(part.shape) < 3:
                raise ValueError(
                    f"The {name} of layer '{self.name}' must have shape (batch, time, features). Received: "
                    f"shape {tuple(part.shape)}"
                )
            if one is not None and any(
                None not in (a, b) and a != b for a, b in zip(one.shape, part.shape, strict=False)
            ):
                raise ValueError(
                    f"The {name} mask of layer '{self.name}' must have shape {tuple(part.shape)[:2]}. "
                    f"Received: shape {tuple(one.shape)}"
                )
        scores = self._scores(query, key)
        keep = causal_mask(scores) if use_causal_mask else None
        if value_mask is not None:
            value_mask = (
                masking.expand(value_mask, -2) if len(value_mask.shape) < len(scores.shape) else value_mask
            )
            keep = value_mask if keep is None else _core.logical_and(value_mask, keep)
        if keep is not None:
            scores = scores - _core.cast(_core.logical_not(keep), dtype=scores.dtype.name) * 1e9
        weights = _core.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = dropout(weights, self.dropout, seed=self.seed_generator)
        output = _core.matmul(weights, value)
        if query_mask is not None:
            output = _core.where(
                output, _core.tensor(np.zeros((), output.dtype.name)), masking.expand(query_mask, -1)
            )
        return (output, weights) if return_attention_scores else output

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the query."""
        self._check(inputs, mask)
        return None if mask is None or mask[0] is None else masking.as_bool(mask[0])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], input_shape[1][-1])


class AdditiveAttention(Attention):
    """Additive attention: the scores are sum(scale tanh(query + key)).

    Args:
        use_scale: Train a scale (d,); otherwise it is 1.
        dropout: Share of the weights that training sets to 0.

    Called as `Attention`.

    Bahdanau et al., Neural machine translation by jointly learning to align and translate, 2015.

    >>> from cnnexplain import keras
    >>> query, value = keras.ops.ones((1, 2, 4)), keras.ops.ones((1, 3, 4))
    >>> tuple(keras.layers.AdditiveAttention()([query, value]).shape)
    (1, 2, 4)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight(
                name="scale", shape=(input_shape[0][-1],), initializer="glorot_uniform"
            )

    def _scores(self, query: Any, key: Any) -> Any:
        scores = _core.tanh(self._pairs(query, key))
        return _core.reduce_sum(scores if self.scale is None else scores * self.scale, axis=[-1])

    def get_config(self) -> dict:
        return {**super().get_config(), "seed": self.seed}
