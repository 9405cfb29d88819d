"""Recurrent layers, embeddings, attention and masks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

# Filled below: the layers with several heads take their softmax in float32 on TensorFlow.
LOOSE: dict[str, float] = {"model_attending": 2e-6}

_N, _T, _C, _U = 3, 4, 3, 2
_X = (_N, _T, _C)
_MASK = np.array([[True, True, False, False], [False, True, False, True], [True, True, True, True]])
_HOLES = np.array([[False, False, False, False], [True, False, True, False], [True, True, True, True]])


def _states(count: int, units: int = _U) -> list:
    rng = np.random.RandomState(count)
    return [rng.standard_normal((_N, units)) for _ in range(count)]


LAYERS: dict[str, tuple] = {}


def _add(name: str, make: Any, *inputs: Any, **keywords: Any) -> None:
    LAYERS[name] = (make, list(inputs or (_X,)), keywords)


_KINDS: dict[str, tuple] = {
    "lstm": ("LSTM", {}, 2),
    "gru": ("GRU", {}, 1),
    "gru_before": ("GRU", {"reset_after": False}, 1),
    "simple_rnn": ("SimpleRNN", {}, 1),
    "lstm_relu": ("LSTM", {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}, 2),
    "gru_relu": ("GRU", {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}, 1),
    "simple_rnn_relu": ("SimpleRNN", {"activation": "softplus", "use_bias": False}, 1),
}
for _name, (_class, _settings, _count) in _KINDS.items():

    def _layer(k: Any, _class: str = _class, _settings: dict = _settings, **more: Any) -> Any:
        return getattr(k.layers, _class)(_U, **_settings, **more)

    for _all, _back in itertools.product((False, True), (False, True)):
        _form = {"return_sequences": _all, "go_backwards": _back, "return_state": _back}
        _end = f"{_name}{'_all' if _all else ''}{'_back' if _back else ''}"
        _add(_end, lambda k, f=_form, make=_layer: make(k, **f))
        _add(f"{_end}_masked", lambda k, f=_form, make=_layer: make(k, **f), mask=_MASK)
    _every = {"return_sequences": True, "return_state": True}
    _add(
        f"{_name}_zero",
        lambda k, f=_every, make=_layer: make(k, zero_output_for_mask=True, **f),
        mask=_HOLES,
    )
    _add(
        f"{_name}_last_zero",
        lambda k, make=_layer: make(k, zero_output_for_mask=True),
        mask=_HOLES,
    )
    _add(f"{_name}_from", lambda k, f=_every, make=_layer: make(k, **f), initial_state=_states(_count))
    _add(
        f"{_name}_from_masked",
        lambda k, make=_layer: make(k, return_state=True),
        initial_state=_states(_count),
        mask=_HOLES,
    )
    if "relu" not in _name:
        _add(f"{_name}_no_bias", lambda k, f=_every, make=_layer: make(k, use_bias=False, **f))
        _add(f"{_name}_unrolled", lambda k, make=_layer: make(k, unroll=True), mask=_MASK)

_add("rnn_cell", lambda k: k.layers.RNN(k.layers.GRUCell(2), return_sequences=True))
_add(
    "rnn_stack",
    lambda k: k.layers.RNN([k.layers.LSTMCell(3), k.layers.SimpleRNNCell(2)], return_state=True),
)
_add(
    "rnn_stack_masked",
    lambda k: k.layers.RNN(
        k.layers.StackedRNNCells([k.layers.GRUCell(2), k.layers.LSTMCell(3)]), return_sequences=True
    ),
    mask=_MASK,
)
for _mode in ("concat", "sum", "mul", "ave", None):
    for _all in (False, True):
        _add(
            f"bidirectional_{_mode}{'_all' if _all else ''}",
            lambda k, m=_mode, a=_all: k.layers.Bidirectional(
                k.layers.LSTM(2, return_sequences=a), merge_mode=m
            ),
            mask=_MASK if _all or _mode == "sum" else None,
        )
_add(
    "bidirectional_states",
    lambda k: k.layers.Bidirectional(k.layers.GRU(2, return_sequences=True, return_state=True)),
    initial_state=_states(2),
)
_add(
    "bidirectional_two",
    lambda k: k.layers.Bidirectional(
        k.layers.LSTM(2), backward_layer=k.layers.GRU(3, go_backwards=True), merge_mode="concat"
    ),
)
_add("time_distributed", lambda k: k.layers.TimeDistributed(k.layers.Dense(2, activation="tanh")))
_add(
    "time_distributed_conv",
    lambda k: k.layers.TimeDistributed(k.layers.Conv2D(2, 2, strides=2, padding="same")),
    (2, 3, 5, 4, 2),
)
_add(
    "time_distributed_norm",
    lambda k: k.layers.TimeDistributed(k.layers.BatchNormalization()),
    training=True,
)
_add(
    "time_distributed_masked",
    lambda k: k.layers.TimeDistributed(k.layers.LSTM(2)),
    (_N, _T, 2, 3),
    mask=np.stack([_MASK, _HOLES], axis=-1),
)


def _integers(rng: np.random.RandomState) -> np.ndarray:
    return rng.randint(0, 5, (3, 4)).astype("int32")


_add("embedding", lambda k: k.layers.Embedding(5, 3), _integers)
_add("embedding_zero", lambda k: k.layers.Embedding(5, 3, mask_zero=True), _integers)
_add("reversible_embedding", lambda k: k.layers.ReversibleEmbedding(5, 3), _integers)
_add("masking", lambda k: k.layers.Masking(), lambda rng: rng.standard_normal(_X) * _MASK[..., None])

_Q, _V = (2, 3, 4), (2, 5, 4)
_QM = np.array([[True, False, True], [True, True, False]])
_VM = np.array([[True, True, False, False, True], [False, True, True, True, False]])
for _name, _make in {
    "attention": lambda k, **s: k.layers.Attention(**s),
    "attention_scale": lambda k, **s: k.layers.Attention(use_scale=True, **s),
    "attention_concat": lambda k, **s: k.layers.Attention(score_mode="concat", use_scale=True, **s),
    "additive": lambda k, **s: k.layers.AdditiveAttention(**s),
}.items():
    _add(_name, _make, _Q, _V)
    _add(f"{_name}_key", _make, _Q, _V, _V, return_attention_scores=True)
    _add(f"{_name}_masked", _make, _Q, _V, mask=[_QM, _VM], return_attention_scores=True)
    _add(
        f"{_name}_causal",
        _make,
        _Q,
        _V,
        mask=[None, _VM] if "add" not in _name else None,
        use_causal_mask=True,
    )


# Calls with several arguments, and models whose masks find their own way


def _gradients(tf: Any, name: str, layer: Any, inputs: list, call: Any) -> list:
    """The outputs of call(layer, inputs), and the gradients of a weighted sum by inputs and weights."""
    import cases

    tensors = [tf.constant(x) for x in inputs]
    call(layer, tensors)
    cases.set_weights(name, layer)
    real = [x for x in tensors if np.asarray(x).dtype.kind == "f"]
    with tf.GradientTape() as tape:
        for x in real:
            tape.watch(x)
        outputs = cases.flat(call(layer, tensors))
        target = 0.0
        for place, y in enumerate(outputs):
            factor = cases.draws(f"{name}/factor{place}").standard_normal(tuple(y.shape))
            target += tf.reduce_sum(tf.cast(y, tf.float64) * tf.constant(factor))
    found = tape.gradient(target, [*real, *layer.trainable_weights])
    return [*outputs, *(tf.convert_to_tensor(g) for g in found if g is not None)]


_HEADS: dict[str, tuple] = {
    "heads": (lambda k: k.layers.MultiHeadAttention(2, 3), 2, {}),
    "heads_sizes": (lambda k: k.layers.MultiHeadAttention(2, 3, value_dim=2, output_shape=5), 3, {}),
    "heads_scores": (
        lambda k: k.layers.MultiHeadAttention(3, 2, use_bias=False),
        2,
        {"return_attention_scores": True, "use_causal_mask": True},
    ),
    "heads_gate": (lambda k: k.layers.MultiHeadAttention(2, 3, use_gate=True), 2, {"use_causal_mask": True}),
    "heads_window": (lambda k: k.layers.MultiHeadAttention(2, 3, sliding_window=2), 2, {}),
    "heads_masked": (
        lambda k: k.layers.MultiHeadAttention(2, 3),
        2,
        {
            "value_mask": _VM,
            "attention_mask": np.tile(_VM[:, None], (1, 3, 1)),
            "return_attention_scores": True,
        },
    ),
    "groups": (lambda k: k.layers.GroupQueryAttention(3, 4, 2), 2, {}),
    "groups_one": (
        lambda k: k.layers.GroupQueryAttention(2, 3, 1, use_gate=True, use_bias=False),
        3,
        {"return_attention_scores": True, "query_mask": _QM, "value_mask": _VM},
    ),
    "groups_causal": (
        lambda k: k.layers.GroupQueryAttention(2, 2, 2, sliding_window=2),
        2,
        {"use_causal_mask": True},
    ),
}
FUNCTIONS: dict[str, Any] = {}
for _name, (_make, _count, _keywords) in _HEADS.items():

    def _several(tf: Any, keras: Any, name: str = _name, make: Any = _make, count: int = _count,
                 keywords: dict = _keywords) -> list:  # fmt: skip
        rng = np.random.RandomState(count)
        inputs = [rng.standard_normal(shape) for shape in (_Q, _V, _V)[:count]]
        return _gradients(tf, name, make(keras), inputs, lambda layer, x: layer(*x, **keywords))

    FUNCTIONS[f"call_{_name}"] = _several
    LOOSE[f"call_{_name}"] = 2e-6


def _axes(tf: Any, keras: Any) -> list:
    x = np.random.RandomState(5).standard_normal((2, 3, 2, 4))
    layer = keras.layers.MultiHeadAttention(2, 2, attention_axes=(1, 2))
    return _gradients(tf, "heads_axes", layer, [x, x], lambda layer, x: layer(*x))


FUNCTIONS["call_heads_axes"] = _axes
LOOSE["call_heads_axes"] = 2e-6


def _model(build: Any) -> Any:
    def run(tf: Any, keras: Any) -> list:
        ids = np.array([[1, 2, 0, 0], [3, 0, 4, 2], [0, 0, 0, 1]], "int32")
        model = build(keras, keras.layers)
        return _gradients(tf, build.__name__, model, [ids], lambda layer, x: layer(x[0]))

    return run


def _words(keras: Any, layers: Any) -> Any:
    ids = keras.Input((4,), dtype="int32")
    return ids, layers.Embedding(5, 3, mask_zero=True)(ids)


def _tagger(keras: Any, layers: Any) -> Any:
    ids, x = _words(keras, layers)
    x = layers.Bidirectional(layers.GRU(2, return_sequences=True))(x)
    x = layers.LSTM(3, return_sequences=True)(layers.Dropout(0.5)(layers.Dense(3, "tanh")(x)))
    return keras.Model(ids, layers.GlobalAveragePooling1D()(x))


def _attending(keras: Any, layers: Any) -> Any:
    ids, x = _words(keras, layers)
    y = layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True)
    z = layers.Attention()([y, x])
    return keras.Model(ids, layers.LSTM(2)(layers.LayerNormalization()(z)))


def _starting(keras: Any, layers: Any) -> Any:
    ids, x = _words(keras, layers)
    _, h, c = layers.LSTM(3, return_state=True)(x)
    return keras.Model(ids, layers.LSTM(3, return_sequences=True)(x, initial_state=[h, c]))


def _joining(keras: Any, layers: Any) -> Any:
    ids, x = _words(keras, layers)
    y = layers.LSTM(3, return_sequences=True)(x)
    joined = layers.Concatenate()([x, layers.Add()([x, y])])
    return keras.Model(ids, layers.GRU(2)(joined))


def _gaps(keras: Any, layers: Any) -> Any:
    ids, x = _words(keras, layers)
    x = layers.Masking(mask_value=0.0)(layers.Embedding(5, 2, name="second")(ids))
    return keras.Model(ids, layers.SimpleRNN(2)(x))


for _build in (_tagger, _attending, _starting, _joining, _gaps):
    FUNCTIONS[f"model{_build.__name__}"] = _model(_build)


def _training(tf: Any, keras: Any) -> list:
    """Losses of a model whose output has a mask, with and without weights."""
    import cases

    ids = np.array([[1, 2, 0, 0], [3, 0, 4, 2], [0, 0, 0, 1]], "int32")
    wanted = np.random.RandomState(1).standard_normal((3, 4, 2))
    source, x = _words(keras, keras.layers)
    model = keras.Model(source, keras.layers.LSTM(2, return_sequences=True)(x))
    cases.set_weights("masked_training", model)
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"], weighted_metrics=["mse"])
    weights = np.random.RandomState(3).uniform(0.5, 2.0, (3, 4))
    history = model.fit(ids, wanted, batch_size=3, epochs=3, verbose=0, sample_weight=weights).history
    plain = model.evaluate(ids, wanted, verbose=0, batch_size=3)
    return [*(np.array(history[key]) for key in sorted(history)), np.array(plain), *model.get_weights()]


FUNCTIONS["masked_training"] = _training


def _stateful(tf: Any, keras: Any) -> list:
    """Three batches of a stateful model, and one after a reset."""
    import cases

    model = keras.Sequential(
        [
            keras.Input(batch_shape=(2, 3, 2)),
            keras.layers.GRU(2, stateful=True, return_sequences=True),
            keras.layers.LSTM(2, stateful=True),
        ]
    )
    cases.set_weights("stateful", model)
    x = np.random.RandomState(2).standard_normal((6, 3, 2))
    first = model.predict(x, batch_size=2, verbose=0)
    second = model.predict(x[:2], batch_size=2, verbose=0)
    for layer in model.layers:
        layer.reset_state()
    third = model.predict(x[:2], batch_size=2, verbose=0)
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((6, 2)), batch_size=2, shuffle=False, verbose=0)
    return [first, second, third, *model.get_weights(), *[np.array(s) for s in model.layers[-1].states]]


FUNCTIONS["stateful"] = _stateful
