"""Legacy HDF5 files: those of TensorFlow 2.12, 2.15 and Keras 3, older ones made by hand, and our own."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from pathlib import Path

import h5py
import model_files
import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import keras
from cnnexplain.keras import layers
from cnnexplain.keras.saving import attributes, legacy

FILES = Path(__file__).parents[1] / "fixtures" / "files"
WRITTEN = {
    version: "arithmetic augmented nested normed recurrent stack".split()
    + ("decayed functions rooted".split() if version != "3" else [])
    for version in ("212", "215", "3")
}
GENUINE = [(version, name) for version, names in WRITTEN.items() for name in names]


@functools.cache
def archive(version):
    with zipfile.ZipFile(FILES / f"legacy-{version}.zip") as files:
        return {name: files.read(name) for name in files.namelist()}


def written(tmp_path, version, name, ending=".h5"):
    path = tmp_path / f"{name}{ending}"
    path.write_bytes(archive(version)[f"{name}{ending}"])
    return path


def recorded(version, name):
    """{"x": inputs, "y": outputs, "g": gradients, "t": targets, "w": weights after a further step}."""
    with np.load(io.BytesIO(archive(version)[f"{name}.npz"])) as arrays:
        return {
            kind: [arrays[f"{kind}{k}"] for k in range(sum(n[0] == kind for n in arrays.files))]
            for kind in "xygtw"
        }


def one_or_all(values):
    return values if len(values) > 1 else values[0]


def predicted(model, xs):
    return keras.tree.flatten(model.predict(one_or_all(xs), verbose=0))


def close(found, expected, tolerance=1e-5):
    for a, b in zip(found, expected, strict=True):
        assert np.shape(a) == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(), 1e-30))


# What Keras wrote


@pytest.mark.parametrize(("version", "name"), GENUINE)
def test_predictions_and_gradients_are_keras_s(tmp_path, version, name):
    model = keras.models.load_model(written(tmp_path, version, name))
    want = recorded(version, name)
    close(predicted(model, want["x"]), want["y"])
    tensors = [cx.constant(x) for x in want["x"]]
    with cx.GradientTape() as tape:
        for tensor in tensors:
            tape.watch(tensor)
        total = sum(
            cx.reduce_sum(y**2) for y in keras.tree.flatten(model(one_or_all(tensors), training=False))
        )
    close([np.asarray(g) for g in tape.gradient(total, tensors)], want["g"], 1e-4)


TRAINED = [(v, n) for v, n in GENUINE if n in ("stack", "nested", "recurrent", "decayed", "rooted")]


@pytest.mark.parametrize(("version", "name"), TRAINED)
def test_training_goes_on_where_it_stopped(tmp_path, version, name):
    """Loss, learning rate, its decay, count of steps and states come back: the next step is Keras's."""
    model = keras.models.load_model(written(tmp_path, version, name))
    want = recorded(version, name)
    assert int(model.optimizer.iterations) == 3
    model.train_on_batch(one_or_all(want["x"]), one_or_all(want["t"]))
    close([np.asarray(v) for v in model.trainable_weights], want["w"], 2e-6)


@pytest.mark.parametrize(("version", "name"), TRAINED)
def test_what_was_compiled(tmp_path, version, name):
    model = keras.models.load_model(written(tmp_path, version, name))
    want = recorded(version, name)
    logs = model.test_on_batch(one_or_all(want["x"]), one_or_all(want["t"]), return_dict=True)
    names = {"stack": {"loss", "accuracy"}, "decayed": {"loss", "mse"}}.get(name)
    if names is not None:
        assert set(logs) == names
    if name == "nested":
        assert model.get_compile_config()["loss_weights"] == {"kind": 1.0, "far": 0.5} and len(logs) == 5
        assert model.optimizer.nesterov and float(model.optimizer.learning_rate) == pytest.approx(0.1)
    plain = keras.models.load_model(written(tmp_path, version, name), compile=False)
    assert plain.optimizer is None


@pytest.mark.parametrize("version", ["212", "215"])
@pytest.mark.parametrize("name", ["stack", "nested", "recurrent"])
def test_weights_alone(tmp_path, version, name):
    model = keras.models.load_model(written(tmp_path, version, name), compile=False)
    weights = model.get_weights()
    for by_name in (False, True):
        model.set_weights([np.zeros_like(w) for w in weights])
        path = written(tmp_path, version, name, ".weights-only.h5")
        model.load_weights(path, **({"by_name": True} if by_name else {}))
        close(predicted(model, recorded(version, name)["x"]), recorded(version, name)["y"])
    model.set_weights([np.zeros_like(w) for w in weights])
    model.load_weights(written(tmp_path, version, name))  # a whole model's
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("version", ["212", "3"])
def test_freezing_does_not_permute_weights(tmp_path, version):
    """keras#9905: a nested model's weights were written in another order when it was frozen."""
    model = keras.models.load_model(written(tmp_path, version, "nested"), compile=False)
    want = recorded(version, "nested")
    for frozen, part in ((False, True), (True, False), (True, True), (False, False)):
        model.get_layer("frozen").trainable = not frozen
        model.get_layer("part").trainable = part
        model.set_weights([np.zeros_like(w) for w in model.get_weights()])
        model.load_weights(written(tmp_path, version, "nested"))
        close(predicted(model, want["x"]), want["y"])


@pytest.mark.parametrize(
    ("name", "dtype"), [("stack", "float64"), ("nested", "float64"), ("recurrent", "float64")]
)
def test_another_dtype(tmp_path, name, dtype):
    model = keras.models.load_model(written(tmp_path, "215", name), dtype=dtype, compile=False)
    assert {w.dtype.name for w in model.get_weights()} == {dtype}
    want = recorded("215", name)
    close(predicted(model, want["x"]), want["y"])


LEGACY_FORMS = [
    (which, name, ending)
    for which, name in model_files.MODELS
    for ending in (".h5", ".weights-only.h5")
    if f"{name}{ending}" in zipfile.ZipFile(FILES / which).namelist()
]


@pytest.mark.parametrize(("which", "name", "ending"), LEGACY_FORMS)
def test_in_float64_values_are_keras_s(which, name, ending):
    whole = [ending_ for w, n, ending_ in LEGACY_FORMS if (w, n) == (which, name) and ending_ == ".h5"]
    if not whole:
        pytest.skip("no whole model to load the weights into")
    model = model_files.load(which, name, ".h5", dtype="float64")
    if ending != ".h5":
        model.set_weights([np.zeros_like(w) for w in model.get_weights()])
        model.load_weights(model_files.folder(which) / f"{name}{ending}")
    model_files.check(model, which, name, "float64")


# Meaning


def test_hard_sigmoid_keeps_the_slope_of_its_version(tmp_path):
    x = np.array([[-3.0, -2.0, 0.5, 2.6]], "float32")
    for version, slope in (("2.4.0", 0.2), ("3.1.0", 1 / 6)):
        path = by_hand(tmp_path, [activation("hard_sigmoid")], version=version)
        model = keras.models.load_model(path)
        for again in (model, saved_again(model, tmp_path / "a.h5"), saved_again(model, tmp_path / "a.keras")):
            np.testing.assert_allclose(predicted(again, [x])[0], np.clip(slope * x + 0.5, 0, 1), atol=1e-6)


def saved_again(model, path):
    model.save(path)
    return keras.models.load_model(path)


# Files made by hand, in the words of Keras 2.0 to 2.4


def by_hand(
    folder, entries, weights=None, version="2.1.3", training=None, graph=None, states=(), backend="tensorflow"
):
    """A file of a Sequential of these layers; `weights` are {layer: {name: array}}."""
    weights = weights or {}
    config = graph or {"class_name": "Sequential", "config": entries}
    path = folder / "by-hand.h5"
    names = [e["config"]["name"] for e in (graph["config"]["layers"] if graph else entries)]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version.encode()
        file.attrs["backend"] = backend.encode()
        file.attrs["model_config"] = json.dumps(config).encode()
        if training is not None:
            file.attrs["training_config"] = json.dumps(training).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([n.encode() for n in names])
        group.attrs["backend"] = backend.encode()
        for name in names:
            inner = group.require_group(name)
            arrays = weights.get(name, {})
            inner.attrs["weight_names"] = np.array([n.encode() for n in arrays]) if arrays else np.zeros(0)
            for key, value in arrays.items():
                inner.create_dataset(key, data=np.asarray(value, "float32"))
        if states:
            held = file.create_group("optimizer_weights")
            held.attrs["weight_names"] = np.array([n.encode() for n, _ in states])
            for name, value in states:
                held.create_dataset(name, data=value)
    return path


def layer(class_name, name, shape=None, **config):
    config = {"name": name, "trainable": True, **config}
    if shape is not None:
        config |= {"batch_input_shape": [None, *shape], "dtype": "float32"}
    return {"class_name": class_name, "config": config}


def activation(name, shape=(4,)):
    return layer("Activation", "gate", shape, activation=name)


UNIFORM = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
}
CONV = {
    "filters": 2, "kernel_size": [2, 2], "strides": [1, 1], "padding": "valid",
    "data_format": "channels_last", "dilation_rate": [1, 1], "activation": "linear",
    "use_bias": True, "kernel_initializer": UNIFORM,
    "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None,
    "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None,
    "bias_constraint": None,
}  # fmt: skip


def rng():
    return np.random.RandomState(3)


def convolved(x, kernel, bias):
    """A valid convolution, by its definition."""
    kh, kw = kernel.shape[:2]
    rows, columns = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    total = np.zeros((len(x), rows, columns, kernel.shape[3]))
    for i in range(kh):
        for j in range(kw):
            total += x[:, i : i + rows, j : j + columns] @ kernel[i, j]
    return total + bias


@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
def test_the_words_of_keras_2_0(tmp_path, backend):
    kernel, bias = rng().randn(2, 2, 3, 2), rng().randn(2)
    mean, variance, gamma, beta = rng().rand(4, 2)
    entries = [
        layer("Convolution2D", "conv", (4, 4, 3), **CONV),
        layer(
            "BatchNormalization", "norm", axis="ListWrapper([3])", momentum=0.99, epsilon=0.01, center=True,
            scale=True, beta_initializer={"class_name": "Zeros", "config": {}}, fused=None,
            virtual_batch_size=None, renorm=False,
        ),
        layer("LeakyReLU", "leaky", alpha={"type": "ndarray", "value": 0.25}),
        layer("Dropout", "drop", rate=0.5, noise_shape=None, seed=None),
        layer("GlobalAveragePooling2D", "mean", data_format="channels_last"),
        layer("ThresholdedReLU", "least", theta=0.1),
    ]  # fmt: skip
    held = {
        "conv": {"conv_1/kernel:0": kernel, "conv_1/bias:0": bias},
        "norm": {
            "norm/gamma:0": gamma, "norm/beta:0": beta, "norm/moving_mean:0": mean,
            "norm/moving_variance:0": variance,
        },
    }  # fmt: skip
    model = keras.models.load_model(by_hand(tmp_path, entries, held, "2.0.5", backend=backend))
    x = rng().rand(2, 4, 4, 3)
    y = convolved(x, kernel[::-1, ::-1] if backend == "theano" else kernel, bias)
    y = (y - mean) / np.sqrt(variance + 0.01) * gamma + beta
    y = np.where(y > 0, y, 0.25 * y).mean((1, 2))
    close(predicted(model, [x.astype("float32")]), [np.where(y > 0.1, y, 0.0)])


def test_a_gru_without_reset_after(tmp_path):
    """Keras before 2.1 knew one bias; its gates were hard sigmoids."""
    kernel, recurrent, bias = rng().randn(3, 6), rng().randn(2, 6), rng().randn(6)
    entry = layer("GRU", "gru", (2, 3), units=2, implementation=0, return_sequences=False, activation="tanh")
    held = {"gru": {"gru/kernel:0": kernel, "gru/recurrent_kernel:0": recurrent, "gru/bias:0": bias}}
    model = keras.models.load_model(by_hand(tmp_path, [entry], held, "2.0.2"))
    x = rng().rand(1, 2, 3)
    gate, h = lambda v: np.clip(0.2 * v + 0.5, 0, 1), np.zeros((1, 2))
    for t in range(2):
        z, r, n = np.split(x[:, t] @ kernel + bias, 3, axis=1)
        z, r = gate(z + h @ recurrent[:, :2]), gate(r + h @ recurrent[:, 2:4])
        h = z * h + (1 - z) * np.tanh(n + (r * h) @ recurrent[:, 4:])
    close(predicted(model, [x.astype("float32")]), [h])


def test_a_state_given_to_a_recurrent_layer(tmp_path):
    """Keras 2 describes the state as a second input of the call."""
    kernel, recurrent, bias = rng().randn(3, 6), rng().randn(2, 6), rng().randn(6)
    x, h = (
        {**layer("InputLayer", n, s), "name": n, "inbound_nodes": []} for n, s in (("x", (1, 3)), ("h", (2,)))
    )
    gru = layer("GRU", "gru", units=2, recurrent_activation="sigmoid", reset_after=False)
    entries = [x, h, {**gru, "name": "gru", "inbound_nodes": [[["x", 0, 0, {}], ["h", 0, 0, {}]]]}]
    config = {
        "name": "m",
        "layers": entries,
        "input_layers": [["x", 0, 0], ["h", 0, 0]],
        "output_layers": [["gru", 0, 0]],
    }
    held = {"gru": {"gru/kernel:0": kernel, "gru/recurrent_kernel:0": recurrent, "gru/bias:0": bias}}
    graph = {"class_name": "Model", "config": config}
    model = keras.models.load_model(by_hand(tmp_path, [], held, "2.3.0", graph=graph))
    row, state = rng().rand(2, 3), rng().rand(2, 2)
    z, r, n = np.split(row @ kernel + bias, 3, axis=1)
    z, r = (1 / (1 + np.exp(-v)) for v in (z + state @ recurrent[:, :2], r + state @ recurrent[:, 2:4]))
    want = z * state + (1 - z) * np.tanh(n + (r * state) @ recurrent[:, 4:])
    close(predicted(model, [row[:, None].astype("float32"), state.astype("float32")]), [want])


def test_a_whole_model_s_layers_are_found_by_name(tmp_path):
    """The list of layers in another order than the layers of the model."""
    a, b = rng().randn(2, 3, 3)
    held = {"a": {"a/kernel:0": a}, "b": {"b/kernel:0": b}}
    path = by_hand(tmp_path, [dense("a", 3), dense("b", 3)], held)
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = np.array([b"b", b"a"])
    x = rng().rand(2, 3).astype("float32")
    close(predicted(keras.models.load_model(path), [x]), [x @ a @ b])


def test_adam_of_the_first_years_with_several_weights(tmp_path):
    """Moments of all weights, then their squares, then placeholders for amsgrad, all without names."""
    a, b = rng().randn(2, 3, 3)
    arrays = [rng().rand(3, 3) + k for k in range(4)] + [np.zeros(1), np.zeros(1)]
    states = [("training/Adam/iterations:0", np.int64(7))]
    states += [(f"training/Adam/Variable_{k}:0", array) for k, array in enumerate(arrays)]
    training = {"optimizer_config": {"class_name": "Adam", "config": {"lr": 0.1}}, "loss": "mse"}
    held = {"a": {"a/kernel:0": a}, "b": {"b/kernel:0": b}}
    layers_ = [dense("a", 3), dense("b", 3)]
    model = keras.models.load_model(by_hand(tmp_path, layers_, held, training=training, states=states))
    assert int(model.optimizer.iterations) == 7
    found = {"_".join(v.name.split("_")[-3:]): np.asarray(v) for v in model.optimizer.variables}
    for k, name in enumerate(
        ("a_kernel_momentum", "b_kernel_momentum", "a_kernel_velocity", "b_kernel_velocity")
    ):
        np.testing.assert_allclose(found[name], arrays[k], rtol=1e-6)


def dense(name="dense", units=2, **config):
    return layer(
        "Dense",
        name,
        config.pop("shape", (3,)),
        units=units,
        activation="linear",
        use_bias=False,
        kernel_initializer=UNIFORM,
        **config,
    )


@pytest.mark.parametrize("names", ["training/Adam/{}", "Adam/dense/{}", "separate"])
def test_adam_of_keras_2_goes_on(tmp_path, names):
    """Two steps of Adam with decay, by its formula; the file was written after the first."""
    w, g = rng().randn(3, 2), rng().randn(3, 2)
    m, v = 0.1 * g, 0.001 * g**2
    if names == "separate":
        states = [("iteration:0", np.int64(1)), ("Adam/m/dense/kernel:0", m), ("Adam/v/dense/kernel:0", v)]
    elif "dense" in names:
        states = [("Adam/iter:0", np.int64(1)), ("Adam/dense/kernel/m:0", m), ("Adam/dense/kernel/v:0", v)]
    else:
        states = [
            ("training/Adam/iterations:0", np.float32(1)),
            *((names.format(f"Variable{k}:0"), s) for k, s in (("", m), ("_1", v))),
        ]
        states[0] = ("training/Adam/iterations:0", np.int64(1))
    training = {
        "optimizer_config": {
            "class_name": "Adam",
            "config": {
                "lr": 0.1, "beta_1": 0.9, "beta_2": 0.999, "decay": 0.5, "epsilon": 1e-7, "amsgrad": False,
            },
        },
        "loss": "mean_squared_error", "metrics": ["acc"], "sample_weight_mode": None, "loss_weights": None,
    }  # fmt: skip
    path = by_hand(tmp_path, [dense()], {"dense": {"dense/kernel:0": w}}, "2.2.4", training, states=states)
    model = keras.models.load_model(path)
    assert int(model.optimizer.iterations) == 1 and model.metrics_names[0] == "loss"
    model.optimizer.apply([g.astype("float32")], model.trainable_weights)
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    rate = 0.1 / (1 + 0.5 * 1) * np.sqrt(1 - 0.999**2) / (1 - 0.9**2)
    close([np.asarray(model.weights[0])], [w - rate * m / (np.sqrt(v) + 1e-7)])


def test_a_graph_of_the_first_years(tmp_path):
    """class_name "Model", a Sequential that is a list inside it and called twice, places counted from 1."""
    w, u = rng().randn(3, 2), rng().randn(4, 1)
    a, b = ({**layer("InputLayer", n, (3,), sparse=False), "name": n, "inbound_nodes": []} for n in "ab")
    inner = {"class_name": "Sequential", "config": [dense("inner")], "name": "stack"}
    inner["inbound_nodes"] = [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]
    both = {
        **layer("Concatenate", "both", axis=-1),
        "name": "both",
        "inbound_nodes": [[["stack", 1, 0, {}], ["stack", 2, 0, {}]]],
    }
    out = dense("out/put", 1)
    out["config"].pop("batch_input_shape")
    out |= {"name": "out/put", "inbound_nodes": [[["both", 0, 0, {}]]]}
    graph = {
        "class_name": "Model",
        "config": {
            "name": "m", "layers": [a, b, inner, both, out], "input_layers": [["a", 0, 0], ["b", 0, 0]],
            "output_layers": [["out/put", 0, 0]],
        },
    }  # fmt: skip
    held = {"stack": {"inner/kernel:0": w}, "out/put": {"out/put/kernel:0": u}}
    path = tmp_path / "graph.h5"
    entries = [{"config": {"name": n}} for n in ("a", "b", "stack", "both", "out/put")]
    by_hand(tmp_path, entries, held).rename(path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(graph)
    model = keras.models.load_model(path)
    x, y = rng().rand(2, 2, 3)
    want = np.concatenate([x @ w, y @ w], 1) @ u
    close(predicted(model, [x.astype("float32"), y.astype("float32")]), [want])
    assert model.layers[-1].name == "out_put"


def test_slashes_in_the_names_of_inner_layers(tmp_path):
    """DenseNet of Keras 2 named its layers so; arrays of one shape in another order than the layers."""
    first, second = rng().randn(2, 3, 3)
    inner = [dense("block/a", 3), dense("block/b", 3)]
    entries = [{"class_name": "Sequential", "config": {"name": "part", "layers": inner}}]
    held = {"part": {"block/b/kernel:0": second, "block/a/kernel:0": first}}
    model = keras.models.load_model(by_hand(tmp_path, entries, held, "2.6.0"))
    x = rng().rand(2, 3).astype("float32")
    close(predicted(model, [x]), [x @ first @ second])


def test_a_sequential_that_was_built_by_its_data(tmp_path):
    w = rng().randn(3, 2)
    entry = dense("dense")
    del entry["config"]["batch_input_shape"]
    path = by_hand(tmp_path, [entry], {"dense": {"dense/kernel:0": w}}, "2.4.0")
    shape = {"class_name": "TensorShape", "items": [None, 3]}
    with h5py.File(path, "r+") as file:
        config = {"name": "s", "layers": [entry], "build_input_shape": shape}
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config})
    x = rng().rand(2, 3).astype("float32")
    close(predicted(keras.models.load_model(path), [x]), [x @ w])


def test_layers_of_applications(tmp_path):
    x, gamma = rng().rand(2, 3).astype("float32"), np.array([1.0, 2.0, 0.5])
    a = {**layer("InputLayer", "a", (3,)), "name": "a", "inbound_nodes": []}
    scale = layer("LayerScale", "scale", init_values=1e-6, projection_dim=3)
    depth = layer("StochasticDepth", "depth", drop_path_rate=0.3)
    custom = layer("Custom>CustomScaleLayer", "custom", scale=0.25)
    entries = [
        a,
        {**scale, "name": "scale", "inbound_nodes": [[["a", 0, 0, {}]]]},
        {**depth, "name": "depth", "inbound_nodes": [[["scale", 0, 0, {}]]]},
        {**custom, "name": "custom", "inbound_nodes": [[["a", 0, 0, {}], ["depth", 0, 0, {}]]]},
    ]
    config = {
        "name": "m",
        "layers": entries,
        "input_layers": [["a", 0, 0]],
        "output_layers": [["custom", 0, 0]],
    }
    graph = {"class_name": "Functional", "config": config}
    held = {"scale": {"scale/Variable:0": gamma}}
    model = keras.models.load_model(by_hand(tmp_path, [], held, "2.12.0", graph=graph))
    for again in (model, saved_again(model, tmp_path / "a.keras"), saved_again(model, tmp_path / "a.h5")):
        close(predicted(again, [x]), [x + 0.25 * x * gamma])
    trained = np.asarray(model.get_layer("depth")(np.ones((400, 3), "float32"), training=True))
    assert set(np.unique(trained.round(4))) == {0.0, np.float32(1 / 0.7).round(4)}
    assert (trained.min(1) == trained.max(1)).all() and 0.6 < (trained > 0).mean() < 0.8


# Custom objects


@keras.saving.register_keras_serializable("Mine")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return x * 2.0


def tripled(x):
    return x * 3.0


def test_custom_objects(tmp_path):
    class Halved(keras.layers.Layer):
        def call(self, x):
            return x * 0.5

    entries = [
        layer("Mine>Doubled", "d", (2,)),
        layer("Custom>Halved", "h"),
        layer("Activation", "t", activation="tripled"),
        layer("Lambda", "l", function="tripled", function_type="function", arguments={}, output_shape=None),
    ]
    path = by_hand(tmp_path, entries)
    model = keras.models.load_model(path, custom_objects={"Halved": Halved, "tripled": tripled})
    np.testing.assert_allclose(predicted(model, [np.ones((1, 2), "float32")])[0], [[9.0, 9.0]])
    with pytest.raises(ValueError, match=r"'Halved' is not known(?s:.*)custom_objects(?s:.*)tripled"):
        keras.models.load_model(path)


# Refusals


def test_everything_unknown_is_named_at_once(tmp_path):
    entries = [layer("Cnv2D", "first", (2,)), layer("Merge", "second"), layer("CuDNNLSTM", "third", units=2)]
    with pytest.raises(ValueError) as caught:
        keras.models.load_model(by_hand(tmp_path, entries))
    text = str(caught.value)
    for part in (
        "'first'",
        "Cnv2D",
        "Conv2D",
        "custom_objects",
        "'second'",
        "Keras 1",
        "'third'",
        "graphics card",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (layer("Lambda", "l", (2,), function=["4wEAAAA=", None, None], function_type="lambda"), "bytecode"),
        (
            layer("Convolution2D", "c", (4, 4, 1), nb_filter=3, nb_row=2, nb_col=2, border_mode="same"),
            "Keras 1",
        ),
        (layer("LSTM", "l", (4, 1), units=2, time_major=True), "time_major"),
        (layer("Conv2D", "c", (4, 4, 1), **{**CONV, "filters": -2}), "'c' .*filters"),
        (layer("Dense", "d", (3,), units=2, colour="red"), "'d' .*colour"),
        (layer("Dense", "d", (3,), units=2 * 10**6), "more than the file holds"),
        (layer("TFOpLambda", "o", (2,), function="io.read_file"), "io.read_file"),
        (layer("BatchNormalization", "b", (4, 4, 2), axis=[1, 2]), "axis"),
    ],
)
def test_refused(tmp_path, entry, message):
    with pytest.raises(ValueError, match=message):
        keras.models.load_model(by_hand(tmp_path, [entry]))


def test_keras_1_by_its_version(tmp_path):
    with pytest.raises(ValueError, match="Keras 1"):
        keras.models.load_model(by_hand(tmp_path, [dense()], version="1.2.2"))


def test_unknown_loss_and_optimizer(tmp_path):
    for config, message in (
        (
            {"optimizer_config": {"class_name": "Adam", "config": {}}, "loss": "my_loss"},
            "my_loss.*compile=False",
        ),
        ({"optimizer_config": {"class_name": "Yogi", "config": {}}, "loss": "mse"}, "Yogi.*compile=False"),
        ({"loss": "mse"}, "compile=False"),
    ):
        path = by_hand(tmp_path, [dense()], {"dense": {"k": np.zeros((3, 2))}}, training=config)
        with pytest.raises(ValueError, match=message):
            keras.models.load_model(path)
        assert keras.models.load_model(path, compile=False).optimizer is None


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({}, "Only in the model: dense"),
        (
            {"dense": {"dense/kernel:0": np.zeros((3, 2)), "dense/bias:0": np.zeros(2)}},
            r"dense/bias:0 \(2,\)",
        ),
        ({"dense": {"dense/kernel:0": np.zeros((2, 3))}}, r"shape \(3, 2\), in the file \(2, 3\)"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, held, message):
    path = by_hand(tmp_path, [dense()], held)
    with pytest.raises(ValueError, match=message):
        keras.models.load_model(path)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, use_bias=False, name="dense")])
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.load_weights(path)
    with pytest.warns(UserWarning, match="left out"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_by_name_leaves_other_layers(tmp_path):
    w = rng().randn(3, 2).astype("float32")
    path = by_hand(
        tmp_path,
        [dense("first"), dense("old", shape=(2,))],
        {"first": {"a": w}, "old": {"b": np.ones((2, 2))}},
    )
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, use_bias=False, name="first"), layers.Dense(5, name="new")]
    )
    before = model.get_layer("new").get_weights()
    model.load_weights(path, by_name=True)
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[0], w)
    np.testing.assert_array_equal(model.get_layer("new").get_weights()[0], before[0])


def operation(name, function, node):
    return {**layer("TFOpLambda", name, function=function), "name": name, "inbound_nodes": [node]}


def test_graphs_that_cannot_be(tmp_path):
    x = {**layer("InputLayer", "x", (3,)), "name": "x", "inbound_nodes": []}
    add, y = "math.add", {"y": 1.0}
    for nodes, message in (
        ([operation("a", add, ["b", 0, 0, y]), operation("b", add, ["a", 0, 0, y])], "wait for each other"),
        ([operation("a", add, ["z", 0, 0, y])], "'z', which the model does not have"),
        ([operation("a", add, ["x", 7, 0, y])], "wait for each other"),
        ([operation("a", "zeros", ["_CONSTANT_VALUE", -1, [10**6, 10**6], {}])], "takes nothing"),
        ([operation("a", add, ["x"])], "not described"),
    ):
        config = {
            "name": "m",
            "layers": [x, *nodes],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["a", 0, 0]],
        }
        path = by_hand(tmp_path, [], graph={"class_name": "Functional", "config": config}, version="2.9.0")
        with pytest.raises(ValueError, match=message):
            keras.models.load_model(path)


def test_deep_json_and_other_text(tmp_path):
    for text, message in (
        ("[" * 50_000, "by-hand"),
        ("null", "describe"),
        ("{}", "class_name"),
        ('{"class_name": 3}', "class_name"),
        ("\udcff", None),
    ):
        path = by_hand(tmp_path, [dense()], {"dense": {"k": np.zeros((3, 2))}})
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = text.encode("utf-8", "surrogateescape")
        with pytest.raises(ValueError, match=message):
            keras.models.load_model(path)


def test_links_and_foreign_data_are_not_followed(tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["k"] = np.zeros((3, 2), "float32")
    for make in (
        lambda g: g.__setitem__("k", h5py.ExternalLink(str(other), "/k")),
        lambda g: g.__setitem__("k", h5py.SoftLink("/model_weights")),
        lambda g: g.create_dataset("k", (3, 2), "f4", external=[(str(other), 0, 24)]),
        lambda g: g.create_virtual_dataset("k", h5py.VirtualLayout((3, 2), "f4")),
        lambda g: g.create_dataset("k", (10**9, 10**9), "f4", chunks=(1, 1024)),
    ):
        path = by_hand(tmp_path, [dense()], {"dense": {"k": np.zeros((3, 2))}})
        with h5py.File(path, "r+") as file:
            del file["model_weights/dense/k"]
            make(file["model_weights/dense"])
        with pytest.raises(ValueError, match="k"):
            keras.models.load_model(path)


# Writing


def big():
    """A model whose names do not fit into one attribute."""
    stack = [keras.Input((2,)), *(layers.Activation("linear", name=f"{'x' * 120}{k}") for k in range(600))]
    return keras.Sequential([*stack, layers.Dense(2, name="dense")])


def test_long_lists_of_names_are_parted(tmp_path):
    model = big()
    model.save(tmp_path / "big.h5")
    with h5py.File(tmp_path / "big.h5") as file:
        group = file["model_weights"]
        assert "layer_names" not in group.attrs and "layer_names1" in group.attrs
        parts = [group.attrs[f"layer_names{k}"] for k in range(2)]
        assert all(part.nbytes <= 64512 for part in parts)
        assert attributes.names(group, "layer_names") == [one.name for one in model.layers]
    x = rng().rand(1, 2).astype("float32")
    close(predicted(keras.models.load_model(tmp_path / "big.h5"), [x]), predicted(model, [x]), 0)


@pytest.mark.parametrize(("version", "name"), [p for p in GENUINE if p[0] != "215"])
def test_a_read_model_is_written_again(tmp_path, version, name):
    model = keras.models.load_model(written(tmp_path, version, name))
    again = saved_again(model, tmp_path / "again.h5")
    want = recorded(version, name)
    close(predicted(again, want["x"]), predicted(model, want["x"]), 1e-7)
    if model.optimizer is not None:
        again.train_on_batch(one_or_all(want["x"]), one_or_all(want["t"]))
        close([np.asarray(v) for v in again.trainable_weights], want["w"], 2e-6)


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_outputs_of_a_model_inside_that_is_called_twice(tmp_path, ending):
    """In the lists of inputs and outputs Keras counts the calls of such a model from 1."""
    x = keras.Input((3,), name="x")
    inner = keras.Model(x, layers.Dense(3, name="d")(x), name="inner")
    outer = keras.Input((3,), name="outer")
    once = inner(outer)
    model = keras.Model(outer, [inner(once), once])
    config = model.get_config()
    assert config["output_layers"] == [["inner", 2, 0], ["inner", 1, 0]]
    assert config["input_layers"] in (["outer", 0, 0], [["outer", 0, 0]])
    values = rng().rand(2, 3).astype("float32")
    close(predicted(saved_again(model, tmp_path / f"a{ending}"), [values]), predicted(model, [values]), 0)


def test_weights_alone_are_written(tmp_path):
    model = keras.models.load_model(written(tmp_path, "212", "nested"), compile=False)
    model.save_weights(tmp_path / "only.h5")
    with h5py.File(tmp_path / "only.h5") as file:
        assert legacy.holds_weights(file) and not legacy.holds_model(file)
    weights = model.get_weights()
    model.set_weights([np.zeros_like(w) for w in weights])
    model.load_weights(tmp_path / "only.h5")
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
