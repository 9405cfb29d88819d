"""Layers, losses, optimizers, functions and models by name, written once for both libraries: `tf` is
TensorFlow or cnnexplain, `keras` the Keras that goes with it. `record_*` returns arrays that must agree.

Families of cases stand in files of their own, `cases_<family>.py`, with dicts of the same names as here:
LAYERS, LOSSES, OPTIMIZERS, TRAININGS, FUNCTIONS, LOOSE. They are merged below; each has its fixture."""

from __future__ import annotations

import importlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np

# Where TensorFlow brings a constant (or the whole resize) to float32 on its way, and how far that shows.
LOOSE = {
    "up_bilinear": 1e-5,
    "rescaling": 1e-6,
    "leaky_relu": 1e-6,
    "activation_leaky_relu": 1e-6,
    "activation_gelu": 1e-6,
    "adam": 1e-5,
    "adam_betas": 1e-5,
    "adamw": 1e-5,
    "adamax": 1e-7,
    "clipped": 1e-4,
}


def draws(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(name.encode()) % 2**31)


# name: (layer, inputs, keywords of the call); an input is a shape of normal draws or a function of the draws
LAYERS: dict[str, tuple] = {
    "conv_valid": (lambda k: k.layers.Conv2D(5, 3), [(2, 7, 6, 3)]),
    "conv_same_stride": (lambda k: k.layers.Conv2D(4, (3, 2), strides=2, padding="same"), [(2, 7, 6, 3)]),
    "conv_dilation": (lambda k: k.layers.Conv2D(4, 3, dilation_rate=2, padding="same"), [(2, 8, 7, 3)]),
    "conv_groups": (lambda k: k.layers.Conv2D(6, 3, groups=2, use_bias=False), [(2, 6, 6, 4)]),
    "conv_relu": (lambda k: k.layers.Conv2D(4, 3, activation="relu", padding="same"), [(2, 6, 6, 3)]),
    "depthwise": (lambda k: k.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), [(2, 6, 6, 3)]),
    "depthwise_stride": (lambda k: k.layers.DepthwiseConv2D(3, strides=2, padding="valid"), [(2, 7, 7, 3)]),
    "separable": (lambda k: k.layers.SeparableConv2D(5, 3, depth_multiplier=2), [(2, 6, 6, 3)]),
    "transpose_valid": (lambda k: k.layers.Conv2DTranspose(4, 3, strides=2), [(2, 4, 5, 3)]),
    "transpose_same": (lambda k: k.layers.Conv2DTranspose(4, 3, strides=2, padding="same"), [(2, 4, 5, 3)]),
    "transpose_extra": (
        lambda k: k.layers.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1),
        [(2, 4, 5, 3)],
    ),
    "dense": (lambda k: k.layers.Dense(7, activation="tanh"), [(3, 5)]),
    "dense_rank4": (lambda k: k.layers.Dense(4), [(2, 3, 2, 5)]),
    "max_pool": (lambda k: k.layers.MaxPooling2D(2), [(2, 7, 6, 3)]),
    "max_pool_same": (lambda k: k.layers.MaxPooling2D(3, strides=2, padding="same"), [(2, 7, 6, 3)]),
    "average_pool": (lambda k: k.layers.AveragePooling2D((2, 3)), [(2, 7, 6, 3)]),
    "average_pool_same": (lambda k: k.layers.AveragePooling2D(3, strides=2, padding="same"), [(2, 7, 6, 3)]),
    "global_average": (lambda k: k.layers.GlobalAveragePooling2D(), [(2, 5, 4, 3)]),
    "global_average_keep": (lambda k: k.layers.GlobalAveragePooling2D(keepdims=True), [(2, 5, 4, 3)]),
    "global_max": (lambda k: k.layers.GlobalMaxPooling2D(), [(2, 5, 4, 3)]),
    "flatten": (lambda k: k.layers.Flatten(), [(2, 3, 4, 2)]),
    "flatten_first": (lambda k: k.layers.Flatten(data_format="channels_first"), [(2, 3, 4, 2)]),
    "reshape": (lambda k: k.layers.Reshape((4, -1)), [(2, 3, 4, 2)]),
    "permute": (lambda k: k.layers.Permute((3, 1, 2)), [(2, 3, 4, 2)]),
    "batch_norm": (lambda k: k.layers.BatchNormalization(), [(3, 4, 4, 2)]),
    "batch_norm_training": (
        lambda k: k.layers.BatchNormalization(momentum=0.8),
        [(3, 4, 4, 2)],
        {"training": True},
    ),
    "batch_norm_axis1": (
        lambda k: k.layers.BatchNormalization(axis=1, scale=False),
        [(3, 4, 5, 2)],
        {"training": True},
    ),
    "layer_norm": (lambda k: k.layers.LayerNormalization(epsilon=1e-6), [(3, 4, 5)]),
    "zero_padding": (lambda k: k.layers.ZeroPadding2D(((1, 2), (0, 3))), [(2, 3, 4, 2)]),
    "cropping": (lambda k: k.layers.Cropping2D(((1, 0), (1, 2))), [(2, 5, 6, 2)]),
    "up_nearest": (lambda k: k.layers.UpSampling2D((2, 3)), [(2, 3, 4, 2)]),
    "up_bilinear": (lambda k: k.layers.UpSampling2D(2, interpolation="bilinear"), [(2, 3, 4, 2)]),
    "rescaling": (lambda k: k.layers.Rescaling(1 / 127.5, offset=-1.0), [(2, 3, 4, 2)]),
    "normalization": (lambda k: k.layers.Normalization(mean=[1.0, 2.0], variance=[3.0, 4.0]), [(2, 3, 2)]),
    "dropout": (lambda k: k.layers.Dropout(0.4), [(2, 5)]),
    "relu": (lambda k: k.layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2), [(4, 9)]),
    "leaky_relu": (lambda k: k.layers.LeakyReLU(), [(4, 9)]),
    "elu": (lambda k: k.layers.ELU(0.7), [(4, 9)]),
    "prelu": (lambda k: k.layers.PReLU(shared_axes=[1, 2]), [(2, 4, 4, 3)]),
    "softmax_axis": (lambda k: k.layers.Softmax(axis=1), [(3, 4, 2)]),
    "add": (lambda k: k.layers.Add(), [(2, 3, 4), (2, 3, 4), (2, 3, 4)]),
    "subtract": (lambda k: k.layers.Subtract(), [(2, 3, 4), (2, 3, 4)]),
    "multiply": (lambda k: k.layers.Multiply(), [(2, 3, 4), (2, 1, 4)]),
    "average": (lambda k: k.layers.Average(), [(2, 3, 4), (2, 3, 4), (2, 3, 4)]),
    "maximum": (lambda k: k.layers.Maximum(), [(2, 3, 4), (2, 3, 4)]),
    "minimum": (lambda k: k.layers.Minimum(), [(2, 3, 4), (2, 3, 4)]),
    "concatenate": (lambda k: k.layers.Concatenate(axis=1), [(2, 3, 4), (2, 5, 4)]),
    "dot": (lambda k: k.layers.Dot(axes=1, normalize=True), [(3, 4), (3, 4)]),
}
for _activation in (
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu", "linear", "log_softmax",
    "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh",
):  # fmt: skip
    LAYERS[f"activation_{_activation}"] = (lambda k, name=_activation: k.layers.Activation(name), [(4, 9)])


def set_weights(name: str, layer: Any) -> None:
    rng = draws(name + "/weights")
    values = []
    for variable in layer.weights:
        value = rng.standard_normal(tuple(variable.shape))
        values.append(np.abs(value) + 0.5 if variable.name == "moving_variance" else value)
    layer.set_weights(values)


def flat(value: Any) -> list:
    """The tensors of nested lists, tuples and dicts, in order."""
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in flat(value[key])]
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in flat(part)]
    return [value]


def record_layer(tf: Any, keras: Any, name: str) -> dict[str, np.ndarray]:
    """Outputs, gradients of a weighted sum of them, and the weights afterwards, in float64."""
    make, specifications, *rest = LAYERS[name]
    keywords = rest[0] if rest else {}
    rng = draws(name)
    inputs = [
        tf.constant(rng.standard_normal(item) * 2 if isinstance(item, tuple) else item(rng))
        for item in specifications
    ]
    layer = make(keras)
    given = inputs if len(inputs) > 1 else inputs[0]
    layer(given)
    set_weights(name, layer)
    sources = [x for x in inputs if x.dtype in ("float64", "float32", tf.float64, tf.float32)]
    with tf.GradientTape() as tape:
        for x in sources:
            tape.watch(x)
        outputs = flat(layer(given, **keywords))
        target = 0.0
        for place, y in enumerate(outputs):
            factor = draws(f"{name}/factor{place or ''}").standard_normal(tuple(y.shape))
            target += tf.reduce_sum(tf.cast(y, tf.float64) * tf.constant(factor))
    sources += layer.trainable_weights
    gradients = tape.gradient(target, sources)
    arrays = {f"output{place or ''}": np.array(y) for place, y in enumerate(outputs)}
    for place, gradient in enumerate(gradients):
        if gradient is not None:
            arrays[f"gradient{place}"] = np.array(tf.convert_to_tensor(gradient))
    for place, weight in enumerate(layer.get_weights()):
        arrays[f"weight{place}"] = weight
    return arrays


# name: a function of (tf, keras) that gives a number, an array or nested ones
FUNCTIONS: dict[str, Any] = {}


def record_function(tf: Any, keras: Any, name: str) -> dict[str, np.ndarray]:
    """What the function gives, leaf by leaf."""
    return {f"value{place}": np.array(leaf) for place, leaf in enumerate(flat(FUNCTIONS[name](tf, keras)))}


def _labels(rng: np.random.RandomState, kind: str, n: int, classes: int) -> np.ndarray:
    labels = rng.randint(0, classes, n)
    return labels if kind == "sparse" else np.eye(classes)[labels]


# name: (loss, kind of labels, how predictions are made)
LOSSES: dict[str, tuple] = {
    "categorical": (lambda k: k.losses.CategoricalCrossentropy(), "one_hot", "probabilities"),
    "categorical_logits": (lambda k: k.losses.CategoricalCrossentropy(from_logits=True), "one_hot", "scores"),
    "categorical_softmax": (lambda k: k.losses.CategoricalCrossentropy(), "one_hot", "softmax"),
    "categorical_smooth": (
        lambda k: k.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "one_hot",
        "softmax",
    ),
    "sparse": (lambda k: k.losses.SparseCategoricalCrossentropy(), "sparse", "probabilities"),
    "sparse_logits": (lambda k: k.losses.SparseCategoricalCrossentropy(from_logits=True), "sparse", "scores"),
    "sparse_softmax": (
        lambda k: k.losses.SparseCategoricalCrossentropy(reduction="sum"),
        "sparse",
        "softmax",
    ),
    "binary": (lambda k: k.losses.BinaryCrossentropy(), "one_hot", "probabilities"),
    "binary_logits": (lambda k: k.losses.BinaryCrossentropy(from_logits=True), "one_hot", "scores"),
    "binary_sigmoid": (lambda k: k.losses.BinaryCrossentropy(label_smoothing=0.2), "one_hot", "sigmoid"),
    "binary_softmax": (lambda k: k.losses.BinaryCrossentropy(), "one_hot", "softmax"),
    "categorical_sigmoid": (lambda k: k.losses.CategoricalCrossentropy(), "one_hot", "sigmoid"),
    "mse": (lambda k: k.losses.MeanSquaredError(), "scores", "scores"),
    "mae": (lambda k: k.losses.MeanAbsoluteError(reduction="none"), "scores", "scores"),
    "mape": (lambda k: k.losses.MeanAbsolutePercentageError(), "scores", "scores"),
    "msle": (lambda k: k.losses.MeanSquaredLogarithmicError(), "positive", "probabilities"),
    "huber": (lambda k: k.losses.Huber(delta=0.7), "scores", "scores"),
    "log_cosh": (lambda k: k.losses.LogCosh(), "scores", "scores"),
    "hinge": (lambda k: k.losses.Hinge(), "one_hot", "scores"),
    "squared_hinge": (lambda k: k.losses.SquaredHinge(), "signs", "scores"),
    "categorical_hinge": (lambda k: k.losses.CategoricalHinge(), "one_hot", "scores"),
    "kl": (lambda k: k.losses.KLDivergence(), "positive", "probabilities"),
    "poisson": (lambda k: k.losses.Poisson(), "positive", "probabilities"),
    "cosine": (lambda k: k.losses.CosineSimilarity(), "scores", "scores"),
}


def record_loss(tf: Any, keras: Any, name: str, weighted: bool = False) -> dict[str, np.ndarray]:
    """Value and gradient with respect to the scores, in float64."""
    make, kind, how = LOSSES[name]
    rng = draws(name)
    n, classes = 6, 4
    scores = rng.standard_normal((n, classes)) * 2
    y_true = {
        "sparse": lambda: _labels(rng, "sparse", n, classes),
        "one_hot": lambda: _labels(rng, "one_hot", n, classes),
        "scores": lambda: rng.standard_normal((n, classes)),
        "positive": lambda: rng.rand(n, classes) + 0.1,
        "signs": lambda: rng.choice([-1.0, 1.0], (n, classes)),
    }[kind]()
    start = {"probabilities": lambda: rng.rand(n, classes) * 0.8 + 0.1}.get(how, lambda: scores)()
    x = tf.constant(start)
    weight = rng.rand(n) if weighted else None
    loss = make(keras)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y_pred = {"softmax": keras.activations.softmax, "sigmoid": keras.activations.sigmoid}.get(
            how, lambda v: v
        )(x)
        value = loss(tf.constant(y_true), y_pred, sample_weight=weight)
    return {"value": np.array(value), "gradient": np.array(tape.gradient(value, x))}


# Keras rounds momentum to float32 on its way: 7/8 is exact there.
OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda k: k.optimizers.SGD(0.1),
    "momentum": lambda k: k.optimizers.SGD(0.1, momentum=0.875),
    "nesterov": lambda k: k.optimizers.SGD(0.1, momentum=0.875, nesterov=True),
    "sgd_clipnorm": lambda k: k.optimizers.SGD(0.1, clipnorm=0.5),
    "sgd_clipvalue": lambda k: k.optimizers.SGD(0.1, clipvalue=0.3),
    "sgd_global": lambda k: k.optimizers.SGD(0.1, global_clipnorm=0.5),
    "sgd_schedule": lambda k: k.optimizers.SGD(k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
    "adam": lambda k: k.optimizers.Adam(0.01),
    "adam_betas": lambda k: k.optimizers.Adam(0.01, beta_1=0.8, beta_2=0.9, epsilon=1e-3),
    "adamw": lambda k: k.optimizers.AdamW(0.01),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.01),
    "rmsprop_centered": lambda k: k.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda k: k.optimizers.Adagrad(0.05),
    "adadelta": lambda k: k.optimizers.Adadelta(1.0),
    "adamax": lambda k: k.optimizers.Adamax(0.01),
}


def record_optimizer(tf: Any, keras: Any, name: str, dtype: str = "float64") -> dict[str, np.ndarray]:
    """Two variables after 1, 2, 3 and 20 steps on given gradients."""
    rng = draws(name)
    shapes = [(3, 4), (5,)]
    variables = [tf.Variable(rng.standard_normal(shape).astype(dtype)) for shape in shapes]
    optimizer = OPTIMIZERS[name](keras)
    arrays = {}
    for step in range(20):
        gradients = [tf.constant(rng.standard_normal(shape).astype(dtype)) for shape in shapes]
        optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
        if step in (0, 1, 2, 19):
            for place, variable in enumerate(variables):
                arrays[f"step{step}_{place}"] = np.array(variable)
    return arrays


def small_network(keras: Any) -> Any:
    inputs = keras.Input((8, 8, 2), name="pixels")
    x = keras.layers.Conv2D(4, 3, padding="same", kernel_regularizer=keras.regularizers.L2(0.01), name="a")(
        inputs
    )
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Activation("relu", name="relu")(x)
    y = keras.layers.Conv2D(4, 3, padding="same", activation="tanh", name="b")(x)
    x = keras.layers.Add(name="sum")([x, y])
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="out")(x), name="small")


TRAININGS: dict[str, tuple] = {
    "sgd": (lambda k: k.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", {}),
    "adam": (lambda k: k.optimizers.Adam(0.01), "categorical_crossentropy", {}),
    "rmsprop": (lambda k: k.optimizers.RMSprop(0.01), "categorical_crossentropy", {}),
    "class_weight": (
        lambda k: k.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}},
    ),
    "clipped": (lambda k: k.optimizers.Adam(0.01, global_clipnorm=0.1), "categorical_crossentropy", {}),
}


def record_training(tf: Any, keras: Any, name: str) -> dict[str, np.ndarray]:
    """Losses, accuracies and weights of two epochs without shuffling, in float64."""
    make, loss, options = TRAININGS[name]
    rng = draws("training")
    x = rng.standard_normal((20, 8, 8, 2))
    labels = rng.randint(0, 3, 20)
    y = labels if loss.startswith("sparse") else np.eye(3)[labels]
    model = small_network(keras)
    set_weights("training", model)
    model.compile(make(keras), loss, metrics=["accuracy"])
    history = model.fit(
        x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_data=(x[:10], y[:10]), **options
    )
    arrays = {key: np.array(values) for key, values in history.history.items()}
    for place, weight in enumerate(model.get_weights()):
        arrays[f"weight{place}"] = weight
    arrays["predictions"] = model.predict(x, verbose=0)
    arrays["evaluation"] = np.array(model.evaluate(x, y, verbose=0))
    return arrays


KINDS = {
    "layer": (LAYERS, record_layer),
    "loss": (LOSSES, record_loss),
    "optimizer": (OPTIMIZERS, record_optimizer),
    "training": (TRAININGS, record_training),
    "function": (FUNCTIONS, record_function),
}
# family: kind: names of its cases
FAMILIES: dict[str, dict[str, list[str]]] = {
    "keras": {kind: list(cases) for kind, (cases, _) in KINDS.items()}
}
for _path in sorted(Path(__file__).parent.glob("cases_*.py")):
    _module = importlib.import_module(_path.stem)
    _family = FAMILIES[_path.stem.replace("cases_", "keras_")] = {}
    for _kind, (_all, _) in KINDS.items():
        _more = getattr(_module, "LOSSES" if _kind == "loss" else f"{_kind.upper()}S", {})
        _family[_kind] = list(_more)
        _twice = set(_all) & set(_more)
        assert not _twice, f"{_path.name}: names that are taken: {sorted(_twice)}"
        _all.update(_more)
    LOOSE.update(getattr(_module, "LOOSE", {}))


def record_family(tf: Any, keras: Any, family: str) -> dict[str, np.ndarray]:
    """Every case of a family, as "kind/name/array"."""
    return {
        f"{kind}/{name}/{key}": value
        for kind, names in FAMILIES[family].items()
        for name in names
        for key, value in KINDS[kind][1](tf, keras, name).items()
    }


def summaries(keras: Any) -> dict[str, str]:
    """Texts of `summary()` in a terminal of 80 columns."""
    layers = keras.layers
    texts: dict[str, str] = {}

    def take(name: str, model: Any, **options: Any) -> None:
        lines: list[str] = []
        model.summary(print_fn=lambda text, **_: lines.append(text), **options)
        texts[name] = "".join(lines)

    keras.backend.clear_session()
    network = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    take("sequential", network)
    take("sequential_narrow", network, line_length=64)
    take("sequential_trainable", network, show_trainable=True)
    take("sequential_range", network, layer_range=("max_pooling2d", "dropout"))
    x = keras.Input((8, 8, 3), name="image")
    a = layers.Conv2D(4, 3, padding="same", name="a_very_long_name_of_a_layer_indeed")(x)
    b = layers.Conv2D(4, 3, padding="same", name="b")(x)
    z = layers.Add(name="sum")([a, b]) / 2.0
    inner = keras.Sequential(
        [layers.Input((8, 8, 4)), layers.Conv2D(2, 1, name="c"), layers.Flatten(name="flat")], name="inner"
    )
    o = inner(z)
    branched = keras.Model(x, [o, layers.Dense(3, name="out")(o)], name="branched")
    take("branched", branched)
    take("branched_nested", branched, expand_nested=True, show_trainable=True)
    take("branched_narrow", branched, line_length=60, positions=[0.3, 0.6, 0.7, 1.0])
    take("unbuilt", keras.Sequential([layers.Dense(3, name="dense")], name="unbuilt"))
    return texts
