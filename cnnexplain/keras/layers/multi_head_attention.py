"""Attention with several heads, for sequences and for images."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from cnnexplain import _core, linalg

from .. import masking, naming, regularizers
from ..random import SeedGenerator
from ..random import dropout as drop
from . import arguments
from .attention import causal_mask, positions, rows
from .base import Layer
from .description import plain_data, policy
from .einsum_dense import EinsumDense

_ROLES = [
    f"{what}_{kind}" for kind in ("initializer", "regularizer", "constraint") for what in ("kernel", "bias")
]


class Heads(Layer):
    """What the layers with several heads share: projections, masks, and the weighted mean."""

    use_bias: bool
    dropout: float
    sliding_window: int | None
    seed: int | None
    _shapes: dict
    _scale: float
    _gate_dense: Any

    def _describe(self, given: dict) -> None:
        """Takes the constructor's arguments, a dict that may hold others too."""
        window = given["sliding_window"]
        if window is not None and (not isinstance(window, int) or isinstance(window, bool) or window <= 0):
            raise ValueError(
                f"`sliding_window` must be None or a positive integer. Received: sliding_window={window}"
            )
        if given["flash_attention"]:
            raise ValueError(
                f"`flash_attention` is not offered. Received: flash_attention={given['flash_attention']}"
            )
        self.sliding_window = window
        self.dropout = given["dropout"]
        self.use_bias = given["use_bias"]
        self.use_gate = given["use_gate"]
        self.seed = given["seed"]
        self.seed_generator = SeedGenerator(self.seed) if self.dropout > 0 else None
        for role in ("kernel", "bias"):
            self._describe_weight(
                role, given[f"{role}_initializer"], given[f"{role}_regularizer"], given[f"{role}_constraint"]
            )
        self.activity_regularizer = regularizers.get(given["activity_regularizer"])
        self.supports_masking = True

    def _projection(self, name: str, equation: str, shape: Any, sizes: list, behind: str, **more: Any) -> Any:
        """An `EinsumDense` of the name, with initializers of its own, built for inputs of `shape`."""
        fresh = {
            f"{role}_initializer": type(one).from_config(one.get_config())
            for role in ("kernel", "bias")
            for one in [getattr(self, f"{role}_initializer")]
        }
        rest = {name: getattr(self, name) for name in _ROLES if not name.endswith("initializer")}
        layer = EinsumDense(
            equation,
            output_shape=sizes,
            bias_axes=behind if self.use_bias else None,
            name=name,
            dtype=self.dtype,
            activity_regularizer=self.activity_regularizer,
            **fresh,
            **rest,
            **more,
        )
        layer.supports_masking = True  # the masks are for the layer around it
        layer.build(shape)
        return layer

    def _keep(self, scores: Any, masks: tuple, attention_mask: Any, causal: bool, rank: int) -> Any:
        """Where a query may see a key, bool and of a shape that broadcasts to the scores; None: everywhere.

        masks: those of query, value and key, (n, tq) or (n, tv), or None. rank: axes of a query and of a
        key in the scores, which are (..., heads, query axes, key axes).
        """
        keep = None

        def both(a: Any, b: Any) -> Any:
            return b if a is None else _core.logical_and(a, b)

        for mask, axis in zip(masks, (-1, -2, -2), strict=True):
            if mask is not None:
                keep = both(keep, masking.expand(masking.as_bool(mask), axis))
        if attention_mask is not None:
            keep = both(keep, masking.as_bool(attention_mask))
        while keep is not None and len(keep.shape) < len(scores.shape):
            keep = masking.expand(keep, -2 * rank - 1)
        if causal:
            keep = both(keep, causal_mask(scores))
        if self.sliding_window is not None:
            distance = _core.abs(_core.subtract(rows(scores), positions(scores)))
            keep = both(keep, _core.less(distance, float(self.sliding_window)))
        return keep

    def _weights(self, scores: Any, keep: Any, rank: int, shown: bool) -> Any:
        """Scores to weights that sum to 1 over the keys.

        Where a query sees no key they are all equal, or 0 where Keras does not fuse the computation: with
        dropout, over several axes, and when the weights are `shown`.
        """
        dtype = scores.dtype.name
        if keep is not None:
            lowest = np.full((), -0.7 * np.finfo(dtype).max, dtype)
            scores = _core.where(scores, _core.tensor(lowest), keep)
        if rank == 1:
            weights = _core.softmax(scores, axis=-1)
        else:
            axes = list(range(-rank, 0))
            powers = _core.exp(scores - _core.reduce_max(scores, axis=axes, keepdims=True))
            weights = powers / _core.reduce_sum(powers, axis=axes, keepdims=True)
        if keep is not None and (shown or self.dropout > 0 or rank > 1):
            weights = _core.where(weights, _core.tensor(np.zeros((), dtype)), keep)
        return weights

    def _dropped(self, weights: Any, training: Any) -> Any:
        return (
            drop(weights, self.dropout, seed=self.seed_generator)
            if training and self.dropout > 0
            else weights
        )

    def _check_inputs_of(self, query: Any, value: Any, key: Any, least: int = 3) -> None:
        for name, part in (("query", query), ("value", value), ("key", key)):
            if len(part.shape) < least:
                raise ValueError(
                    f"The {name} of layer '{self.name}' must have shape (batch, time, features). "
                    f"Received: shape {tuple(part.shape)}"
                )

    def get_build_config(self) -> dict | None:
        """The shapes that `build` was called with."""
        return {"shapes_dict": self._shapes} if self.built else None

    def build_from_config(self, config: dict) -> None:
        """Builds as `get_build_config` described."""
        if config.get("shapes_dict"):
            self.build(**{name: tuple(shape) for name, shape in config["shapes_dict"].items() if shape})

    def _note_shapes(self, **shapes: Any) -> None:
        for inner in ("softmax", "dropout"):  # Keras counts these among the layers that it names
            naming.unique(inner)
        self._shapes = {f"{name}_shape": tuple(shape) for name, shape in shapes.items() if shape is not None}

    def _common_config(self) -> dict:
        names = ("name", "trainable", *_ROLES, "activity_regularizer")
        settings = {name: plain_data(getattr(self, name)) for name in names}
        return {
            **settings,
            "dtype": policy(self.dtype),
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "sliding_window": self.sliding_window,
            "seed": self.seed,
        }


def _attention_equations(rank: int, axes: tuple) -> tuple[str, str]:
    """(scores, mean) for a query (batch axes, query axes, heads, channels)."""
    query = string.ascii_lowercase[:rank]
    others = iter(string.ascii_lowercase[rank:])
    key = "".join(next(others) if k in axes else letter for k, letter in enumerate(query))
    batch = "".join(query[k] for k in range(rank - 1) if k not in axes)
    scores = batch + "".join(query[k] for k in axes) + "".join(key[k] for k in axes)
    return f"{key},{query}->{scores}", f"{scores},{key}->{query}"


def _projection_equation(free: int, bound: int, out: int) -> tuple[str, str]:
    letters = string.ascii_lowercase
    front, rest = letters[:free], letters[free:]
    middle, behind = rest[:bound], rest[bound : bound + out]
    return f"{front}{middle},{middle}{behind}->{front}{behind}", behind


class MultiHeadAttention(Heads):
    """Attention with several heads.

    For each head softmax(query Wq (key Wk)^T / sqrt(key_dim)) value Wv; the heads side by side go through Wo.

    Args:
        num_heads: Number of heads.
        key_dim: Size of a head's queries and keys.
        value_dim: Size of a head's values; None: `key_dim`.
        dropout: Share of the weights that training sets to 0.
        use_bias: Whether the projections have biases.
        output_shape: Sizes of the result behind the time axis; None: those of the query.
        attention_axes: Axes over which attention runs; None: all but the first and the last.
        sliding_window: Let a query see only keys fewer than so many steps away.
        flash_attention: Accepted as None or False.
        kernel_initializer, bias_initializer: Of the projections; likewise `kernel_regularizer`,
            `bias_regularizer`, `activity_regularizer`, `kernel_constraint` and `bias_constraint`.
        use_gate: Multiply the result by sigmoid(query Wg) before Wo.
        seed: For repeatable dropout.

    Called with query (n, tq, d), value (n, tv, d) and key (n, tv, d), the value unless given; `query_mask`
    (n, tq), `value_mask` and `key_mask` (n, tv), `attention_mask` (n, tq, tv), True where a query may see a
    key; `use_causal_mask` lets query i see keys up to i. Returns (n, tq, d), with `return_attention_scores`
    also the weights (n, heads, tq, tv).

    Vaswani et al., Attention is all you need, 2017.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=3)
    >>> query, value = keras.ops.ones((1, 4, 8)), keras.ops.ones((1, 5, 8))
    >>> output, weights = layer(query, value, return_attention_scores=True)
    >>> tuple(output.shape), tuple(weights.shape)
    ((1, 4, 8), (1, 2, 4, 5))
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        for name in ("num_heads", "key_dim", "value_dim"):
            if name != "value_dim" or value_dim is not None:
                arguments.positive(given[name], name)
        super().__init__(**kwargs)
        self._describe(given)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        if isinstance(output_shape, int):
            output_shape = (output_shape,)
        self._output_shape = tuple(output_shape) if output_shape else None
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        elif attention_axes is not None and not isinstance(attention_axes, (list, tuple)):
            raise ValueError(
                "`attention_axes` must be an integer, a list or a tuple of them. Received: "
                f"attention_axes={attention_axes}"
            )
        self.attention_axes = attention_axes
        self._scale = 1.0 / math.sqrt(key_dim)

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        self._note_shapes(query=query_shape, value=value_shape, key=key_shape)
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape)[1:-1] != tuple(key_shape)[1:-1]:
            raise ValueError(
                "All axes of `value` and `key` but the last must be equal. Received: "
                f"value_shape={tuple(value_shape)}, key_shape={tuple(key_shape)}"
            )

        def projection(name: str, shape: Any, size: int, **more: Any) -> Any:
            equation, behind = _projection_equation(len(shape) - 1, 1, 2)
            sizes = [None] * (len(shape) - 2) + [self.num_heads, size]
            return self._projection(name, equation, shape, sizes, behind, **more)

        self._query_dense = projection("query", query_shape, self.key_dim)
        self._key_dense = projection("key", key_shape, self.key_dim)
        if self.use_gate:
            self._gate_dense = projection("gate", query_shape, self.value_dim, activation="sigmoid")
        self._value_dense = projection("value", value_shape, self.value_dim)
        rank = len(value_shape) + 1
        axes = self.attention_axes
        self.attention_axes = (
            tuple(range(1, rank - 2))
            if axes is None
            else tuple(axis if axis >= 0 else rank - 1 + axis for axis in axes)
        )
        self._score_equation, self._mean_equation = _attention_equations(rank, self.attention_axes)
        out = list(self._output_shape or [query_shape[-1]])
        equation, behind = _projection_equation(len(query_shape) - 1, 2, len(out))
        heads = (*query_shape[:-1], self.num_heads, self.value_dim)
        sizes = [None] * (len(query_shape) - 2) + out
        self._output_dense = self._projection("attention_output", equation, heads, sizes, behind)

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        self._check_inputs_of(query, value, key)
        query_mask = masking.of(query)  # Keras takes no other, and takes the masks off its inputs
        for part in (query, value, key):
            if isinstance(part, _core.Tensor):
                part._keras_mask = None
        rank = len(self.attention_axes)
        gate = self._gate_dense(query) if self.use_gate else None
        q = self._query_dense(query) * self._scale
        k, v = self._key_dense(key), self._value_dense(value)
        scores = linalg.einsum(self._score_equation, k, q)
        masks = (query_mask, value_mask, key_mask)
        keep = self._keep(scores, masks, attention_mask, use_causal_mask, rank)
        weights = self._dropped(self._weights(scores, keep, rank, return_attention_scores), training)
        output = linalg.einsum(self._mean_equation, weights, v)
        output = self._output_dense(output if gate is None else output * gate)
        masking.attach(output, query_mask)
        return (output, weights) if return_attention_scores else output

    @property
    def query_dense(self) -> Any:
        """The projection of the query."""
        return self._query_dense

    @property
    def key_dense(self) -> Any:
        """The projection of the key."""
        return self._key_dense

    @property
    def value_dense(self) -> Any:
        """The projection of the value."""
        return self._value_dense

    @property
    def output_dense(self) -> Any:
        """The projection of the heads' outputs."""
        return self._output_dense

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        return (*query_shape[:-1], *(self._output_shape or query_shape[-1:]))

    def get_config(self) -> dict:
        return {
            **self._common_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "output_shape": self._output_shape,
            "attention_axes": self.attention_axes,
        }


class GroupedQueryAttention(Heads):
    """Attention in which several query heads share one head of keys and values.

    Args:
        head_dim: Size of a head.
        num_query_heads: Number of query heads.
        num_key_value_heads: Number of heads of keys and values; it divides `num_query_heads`.
        dropout, use_bias, sliding_window, flash_attention, kernel_initializer, bias_initializer,
        kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, use_gate, seed: As in
            `MultiHeadAttention`.

    Called and returns as `MultiHeadAttention`.

    Ainslie et al., GQA: Training generalized multi-query transformer models from multi-head checkpoints,
    2023.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.GroupQueryAttention(head_dim=3, num_query_heads=4, num_key_value_heads=2)
    >>> tuple(layer(keras.ops.ones((1, 4, 8)), keras.ops.ones((1, 5, 8))).shape)
    (1, 4, 8)
    """

    _public_name = "GroupQueryAttention"

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(**kwargs)
        self._describe(given)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                "`num_query_heads` must be divisible by `num_key_value_heads`. Received: "
                f"num_query_heads={num_query_heads}, num_key_value_heads={num_key_value_heads}"
            )
        self.head_dim = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads
        self._scale = 1.0 / math.sqrt(head_dim)

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        self._note_shapes(query=query_shape, value=value_shape, key=key_shape)
        key_shape = value_shape if key_shape is None else key_shape

        def projection(name: str, shape: Any, heads: int, **more: Any) -> Any:
            sizes = [None, heads, self.head_dim]
            return self._projection(name, "bqm,muh->bquh", shape, sizes, "uh", **more)

        self._query_dense = projection("query", query_shape, self.num_query_heads)
        self._key_dense = projection("key", key_shape, self.num_key_value_heads)
        if self.use_gate:
            self._gate_dense = projection("gate", query_shape, self.num_query_heads, activation="sigmoid")
        self._value_dense = projection("value", value_shape, self.num_key_value_heads)
        heads = (None, None, self.num_query_heads, self.head_dim)
        self._output_dense = self._projection(
            "attention_output", "bquh,uhm->bqm", heads, [None, query_shape[-1]], "m"
        )

    def _repeated(self, x: Any) -> Any:
        """(n, t, heads, d) with each head as often as query heads share it."""
        if self.num_query_heads == self.num_key_value_heads:
            return x
        shared = self.num_query_heads // self.num_key_value_heads
        places = np.repeat(np.arange(self.num_key_value_heads), shared)
        return _core.gather(x, _core.tensor(places), axis=2)

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        self._check_inputs_of(query, value, key)
        gate = self._gate_dense(query) if self.use_gate else None
        q = self._query_dense(query) * self._scale
        k, v = self._repeated(self._key_dense(key)), self._repeated(self._value_dense(value))
        scores = linalg.einsum("bquh,bkuh->buqk", q, k)
        masks = (query_mask, value_mask, key_mask)
        keep = self._keep(scores, masks, attention_mask, use_causal_mask, 1)
        weights = self._weights(scores, keep, 1, return_attention_scores)
        output = linalg.einsum("buqk,bkuh->bquh", self._dropped(weights, training), v)
        output = self._output_dense(output if gate is None else output * gate)
        return (output, weights) if return_attention_scores else output

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        return tuple(query_shape)

    def get_config(self) -> dict:
        names = ("head_dim", "num_query_heads", "num_key_value_heads")
        return {**self._common_config(), **{name: getattr(self, name) for name in names}}


GroupQueryAttention = GroupedQueryAttention
