"""AlexNet and ZFNet against their papers' arithmetic, NumPy and PyTorch; their page and their drawings."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree

import alexnet_zfnet
import numpy as np
import pages
import pytest

import cnnexplain as cx
from cnnexplain import keras
from cnnexplain.keras.drawing.blocks import draw_blocks

# layer with weights: shape of its output, parameters
DENSE = {
    "fc6": ((4096,), 6 * 6 * 256 * 4096 + 4096),
    "fc7": ((4096,), 4096 * 4096 + 4096),
    "predictions": ((1000,), 4096 * 1000 + 1000),
}
PAPERS = {
    "AlexNet": {
        "conv1": ((55, 55, 96), 11 * 11 * 3 * 96 + 96),
        "conv2": ((27, 27, 256), 2 * (5 * 5 * 48 * 128) + 256),
        "conv3": ((13, 13, 384), 3 * 3 * 256 * 384 + 384),
        "conv4": ((13, 13, 384), 2 * (3 * 3 * 192 * 192) + 384),
        "conv5": ((13, 13, 256), 2 * (3 * 3 * 192 * 128) + 256),
        **DENSE,
    },
    "ZFNet": {
        "conv1": ((110, 110, 96), 7 * 7 * 3 * 96 + 96),
        "conv2": ((26, 26, 256), 5 * 5 * 96 * 256 + 256),
        "conv3": ((13, 13, 384), 3 * 3 * 256 * 384 + 384),
        "conv4": ((13, 13, 384), 3 * 3 * 384 * 384 + 384),
        "conv5": ((13, 13, 256), 3 * 3 * 384 * 256 + 256),
        **DENSE,
    },
}
TOTAL = {"AlexNet": 60_965_224, "ZFNet": 62_357_608}
POOLED = {"AlexNet": (27, 13, 6), "ZFNet": (55, 13, 6)}
BEGIN = {
    "AlexNet": "conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2",
    "ZFNet": "conv1_pad conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2",
}
REST = "conv3 relu3 conv4 relu4 conv5 relu5 pool5 flatten fc6 relu6 drop6 fc7 relu7 drop7 predictions"
SMALL = {"AlexNet": 131, "ZFNet": 96}  # sides whose last maps are 3 x 3 and 2 x 2
EVERY = pytest.mark.parametrize("name", PAPERS)


def without_draws(patch):
    """New kernels are zeros: millions of random numbers take seconds."""
    zeros = keras.initializers.Zeros()
    patch.setattr(
        keras.initializers.RandomNormal, "__call__", lambda self, shape, dtype=None: zeros(shape, dtype)
    )


@pytest.fixture(autouse=True)
def no_normal_draws(monkeypatch):
    without_draws(monkeypatch)


@pytest.fixture(scope="module")
def full():
    """The networks in their full size."""
    with pytest.MonkeyPatch.context() as patch:
        without_draws(patch)
        networks = alexnet_zfnet.networks()
    yield networks


def network(name, **arguments):
    return getattr(keras.applications, name)(**arguments)


def filled(name, dtype="float64", **arguments):
    """A small network with random weights that keep activations of the order of 1."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        shape = (SMALL[name], SMALL[name], 3)
        model = network(name, classes=7, input_shape=shape, classifier_activation=None, **arguments)
    finally:
        keras.config.set_floatx(before)
    rng = np.random.default_rng(0)
    model.set_weights([
        rng.normal(size=tuple(w.shape)) * (np.sqrt(2 / np.prod(w.shape[:-1])) if len(w.shape) > 1 else 0.1)
        for w in model.weights
    ])  # fmt: skip
    return model


def images(name):
    return np.random.default_rng(1).normal(size=(2, SMALL[name], SMALL[name], 3)) * 10


class TestPapers:
    @EVERY
    def test_shapes_and_parameters(self, name, full):
        model = full[name]
        found = {
            layer.name: (tuple(layer.output.shape)[1:], layer.count_params())
            for layer in model.layers
            if layer.weights
        }
        assert found == PAPERS[name]
        assert model.count_params() == sum(count for _, count in PAPERS[name].values()) == TOTAL[name]
        pools = [model.get_layer(f"pool{place}") for place in (1, 2, 5)]
        assert tuple(pool.output.shape[1] for pool in pools) == POOLED[name]
        assert all(pool.pool_size == (3, 3) and pool.strides == (2, 2) for pool in pools)

    @EVERY
    def test_order_of_layers(self, name, full):
        assert [layer.name for layer in full[name].layers[1:]] == f"{BEGIN[name]} {REST}".split()

    def test_neurons_of_alexnet(self):
        """Section 3.5 has 253440, 186624, 64896, 64896, 43264, 4096, 4096, 1000; its figure 55 x 55 x 96."""
        neurons = [np.prod(shape) for shape, _ in PAPERS["AlexNet"].values()]
        assert neurons == [290400, 186624, 64896, 64896, 43264, 4096, 4096, 1000]

    @EVERY
    def test_normalization_and_dropout(self, name):
        model = network(name, input_shape=(SMALL[name], SMALL[name], 3))
        for place in (1, 2):
            norm = model.get_layer(f"norm{place}")
            assert (norm.depth_radius, norm.bias, norm.alpha, norm.beta) == (2, 2.0, 1e-4, 0.75)
        assert [model.get_layer(f"drop{place}").rate for place in (6, 7)] == [0.5, 0.5]

    def test_groups(self):
        alexnet, zfnet = (network(name, include_top=False) for name in PAPERS)
        assert [alexnet.get_layer(f"conv{place}").groups for place in range(1, 6)] == [1, 2, 1, 2, 2]
        assert [zfnet.get_layer(f"conv{place}").groups for place in range(1, 6)] == [1] * 5

    def test_each_half_sees_its_half(self):
        layer = filled("AlexNet", include_top=False).get_layer("conv2")
        x = np.random.default_rng(2).normal(size=(1, 6, 6, 96))
        changed = x.copy()
        changed[..., 48:] += 1
        a, b = np.asarray(layer(x)), np.asarray(layer(changed))
        np.testing.assert_array_equal(a[..., :128], b[..., :128])
        assert (a[..., 128:] != b[..., 128:]).all()

    @EVERY
    def test_initial_weights(self, name, monkeypatch):
        monkeypatch.undo()
        model = network(name, include_top=False)
        for place in range(1, 6):
            kernel, bias = model.get_layer(f"conv{place}").get_weights()
            assert kernel.std() == pytest.approx(0.01, rel=0.02) and abs(kernel.mean()) < 1e-3
            ones = name == "AlexNet" and place in (2, 4, 5)
            np.testing.assert_array_equal(bias, np.full(bias.shape, 1.0 if ones else 0.0))

    def test_initial_biases_of_the_dense_layers(self):
        for name in PAPERS:
            model = network(name, input_shape=(SMALL[name], SMALL[name], 3), classes=3)
            for layer in ("fc6", "fc7"):
                assert set(model.get_layer(layer).get_weights()[1]) == {1.0 if name == "AlexNet" else 0.0}
            assert set(model.get_layer("predictions").get_weights()[1]) == {0.0}

    def test_filters_of_zfnet_stay_in_their_radius(self):
        model = network("ZFNet", include_top=False)
        for place in range(1, 6):
            layer = model.get_layer(f"conv{place}")
            kernel = np.random.default_rng(place).normal(size=tuple(layer.kernel.shape))
            kernel[..., 0] *= 0.01
            found = np.asarray(layer.kernel_constraint(cx.constant(kernel)))
            rms = np.sqrt((found**2).mean((0, 1, 2)))
            np.testing.assert_allclose(rms[1:], 0.1, rtol=1e-5)
            np.testing.assert_allclose(found[..., 0], kernel[..., 0], rtol=1e-5)


class TestArguments:
    @EVERY
    def test_there_are_no_imagenet_weights(self, name):
        with pytest.raises(ValueError, match=f"no ImageNet weights of {name} in Keras's store"):
            network(name, weights="imagenet")
        with pytest.raises(ValueError, match="`weights` must be None"):
            network(name, weights="/nowhere.h5")

    @EVERY
    def test_weights_from_a_file(self, name, tmp_path):
        model = network(name, include_top=False)
        rng = np.random.default_rng(3)
        model.set_weights([rng.normal(size=tuple(w.shape)) for w in model.weights])
        path = tmp_path / "network.weights.h5"
        model.save_weights(path)
        again = network(name, include_top=False, weights=path)
        for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert again.preprocess == "caffe"

    @EVERY
    def test_smallest_images(self, name):
        smallest = {"AlexNet": 67, "ZFNet": 53}[name]
        model = network(name, include_top=False, input_shape=(smallest, smallest, 3))
        assert model.output_shape == (None, 1, 1, 256)
        with pytest.raises(ValueError, match=f"at least {smallest}x{smallest}"):
            network(name, input_shape=(smallest, smallest - 1, 3))

    @EVERY
    def test_without_the_classifier(self, name):
        assert network(name, include_top=False).output_shape == (None, None, None, 256)
        assert network(name, include_top=False, pooling="avg").layers[-1].name == "avg_pool"
        assert network(name, include_top=False, pooling="max").output_shape == (None, 256)

    @EVERY
    def test_channels_first(self, name):
        last = filled(name, include_top=False)
        keras.config.set_image_data_format("channels_first")
        try:
            first = network(name, input_shape=(3, SMALL[name], SMALL[name]), include_top=False)
        finally:
            keras.config.set_image_data_format("channels_last")
        first.set_weights(last.get_weights())
        x = images(name)
        want = np.asarray(last(x))
        found = np.asarray(first(x.transpose(0, 3, 1, 2).astype("float32"))).transpose(0, 2, 3, 1)
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4 * np.abs(want).max())

    @EVERY
    def test_file_of_the_whole_model(self, name, tmp_path):
        model = network(name, include_top=False, input_shape=(SMALL[name], SMALL[name], 3))
        rng = np.random.default_rng(4)
        model.set_weights([rng.normal(size=tuple(w.shape)).astype("float32") / 30 for w in model.weights])
        path = tmp_path / "network.keras"
        model.save(path)
        again = keras.models.load_model(path)
        x = images(name).astype("float32")
        np.testing.assert_array_equal(again(x), model(x))
        assert again.preprocess == "caffe" and again.get_config() == model.get_config()


def normalized(x, radius, bias, alpha, beta):
    """The paper's sum, written over a window of squares."""
    padded = np.pad(x**2, [(0, 0)] * 3 + [(radius, radius)])
    window = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=-1)
    return x / (bias + alpha * window.sum(-1)) ** beta


class TestLocalResponseNormalization:
    @pytest.mark.parametrize("settings", [(2, 2.0, 1e-4, 0.75), (1, 0.5, 0.3, 1.25), (0, 1.0, 2.0, 0.5)])
    @pytest.mark.parametrize("channels", [1, 3, 9])
    def test_numpy(self, settings, channels):
        x = np.random.default_rng(5).normal(size=(2, 3, 4, channels)) * 50
        layer = keras.layers.LocalResponseNormalization(*settings, dtype="float64")
        np.testing.assert_allclose(layer(x), normalized(x, *settings), rtol=1e-12)
        np.testing.assert_allclose(
            keras.layers.LocalResponseNormalization(*settings)(x.astype("float32")),
            normalized(x, *settings),
            rtol=1e-5,
        )
        first = keras.layers.LocalResponseNormalization(
            *settings, data_format="channels_first", dtype="float64"
        )
        np.testing.assert_allclose(
            np.asarray(first(x.transpose(0, 3, 1, 2))).transpose(0, 2, 3, 1), layer(x), rtol=1e-14
        )

    def test_by_hand(self):
        """Channels 1, 2, 3 and one neighbour on either side: sums of squares 5, 14, 13."""
        layer = keras.layers.LocalResponseNormalization(1, bias=1.0, alpha=2.0, beta=1.0, dtype="float64")
        found = layer(np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3))
        np.testing.assert_allclose(np.asarray(found)[0, 0, 0], [1 / 11, 2 / 29, 3 / 27], rtol=1e-14)

    def test_gradient(self):
        """dy_i/dx_k = [i = k] / s_i^beta - 2 alpha beta x_i x_k / s_i^(beta + 1) where |i - k| <= radius."""
        radius, bias, alpha, beta = 2, 2.0, 0.1, 0.75
        rng = np.random.default_rng(6)
        x, seed = rng.normal(size=(2, 7)), rng.normal(size=(2, 7))
        layer = keras.layers.LocalResponseNormalization(radius, bias, alpha, beta, dtype="float64")
        with cx.GradientTape() as tape:
            source = cx.constant(x.reshape(2, 1, 1, 7))
            tape.watch(source)
            y = cx.reduce_sum(layer(source) * seed.reshape(2, 1, 1, 7))
        found = np.asarray(tape.gradient(y, source)).reshape(2, 7)
        near = np.abs(np.subtract.outer(np.arange(7), np.arange(7))) <= radius
        for row in range(2):
            s = bias + alpha * (near * x[row] ** 2).sum(1)
            slope = np.diag(s**-beta) - 2 * alpha * beta * near * np.outer(x[row] * s ** (-beta - 1), x[row])
            np.testing.assert_allclose(found[row], seed[row] @ slope, rtol=1e-12)

    def test_on_symbols_and_in_training(self):
        inputs = keras.Input((None, None, 4))
        layer = keras.layers.LocalResponseNormalization()
        assert tuple(layer(inputs).shape) == (None, None, None, 4)
        assert layer.compute_output_shape((None, 5, 6, 4)) == (None, 5, 6, 4)
        model = keras.Sequential([
            keras.layers.Input((4, 4, 2)),
            keras.layers.Conv2D(6, 3),
            keras.layers.LocalResponseNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ])  # fmt: skip
        model.compile("sgd", "mse")
        x = np.random.default_rng(7).normal(size=(8, 4, 4, 2)).astype("float32")
        losses = model.fit(x, x.mean((1, 2, 3)), epochs=5, verbose=0).history["loss"]
        assert losses[-1] < losses[0]

    def test_configuration(self):
        layer = keras.layers.LocalResponseNormalization(3, 1.5, 0.2, 0.4, "channels_first", name="n")
        config = layer.get_config()
        assert {key: config[key] for key in ("depth_radius", "bias", "alpha", "beta", "data_format")} == {
            "depth_radius": 3,
            "bias": 1.5,
            "alpha": 0.2,
            "beta": 0.4,
            "data_format": "channels_first",
        }
        assert type(layer).from_config(config).get_config() == config
        described = keras.saving.serialize_keras_object(layer)
        assert described["registered_name"] == "LocalResponseNormalization"
        assert keras.saving.deserialize_keras_object(described).get_config() == config

    @pytest.mark.parametrize(
        "arguments, message",
        [
            (
                {"depth_radius": -1},
                "`depth_radius` must be a non-negative integer. Received: depth_radius=-1",
            ),
            ({"depth_radius": 2.5}, "`depth_radius` must be a non-negative integer"),
            ({"depth_radius": True}, "`depth_radius` must be a non-negative integer"),
            ({"alpha": "a"}, "`alpha` must be a finite number. Received: alpha='a'"),
            ({"bias": float("nan")}, "`bias` must be a finite number"),
            ({"beta": None}, "`beta` must be a finite number"),
            ({"data_format": "last"}, "data_format"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            keras.layers.LocalResponseNormalization(**arguments)

    def test_bad_inputs(self):
        with pytest.raises(ValueError, match="expected ndim=4, found ndim=2"):
            keras.layers.LocalResponseNormalization()(np.ones((2, 3)))


class TestPage:
    def test_tables_are_current(self, full):
        text = alexnet_zfnet.PAGE.read_text()
        assert alexnet_zfnet.page(text, full) == text, "run python tests/keras/alexnet_zfnet.py"
        assert f"difference of {TOTAL['ZFNet'] - TOTAL['AlexNet']:,} parameters" in text

    def test_its_program_runs(self):
        names = pages.ran("docs/alexnet-zfnet.md").names[-1]
        assert names["map"].shape == (1, 227, 227) and np.isfinite(names["map"]).all()

    @EVERY
    def test_drawings_are_current(self, name, full):
        root = ElementTree.parse(alexnet_zfnet.DOCS / f"{name.lower()}.svg").getroot()
        shown = [
            text for element in root.iter("{http://www.w3.org/2000/svg}text") for text in element.itertext()
        ]
        shown = {text.strip() for text in shown} - {""}
        scene = draw_blocks(full[name], show_layer_names=True)
        texts = [options["s"] for kind, _, options in scene.items if kind == "text"]
        assert shown == {line for text in texts for line in text.split("\n")}
        places = [options["s"].split("\n")[-1] for kind, _, options in scene.items if kind == "text"]
        assert [place for place in places if place in PAPERS[name]] == list(PAPERS[name])


def in_torch(torch, name):
    """The network as the papers' words go into PyTorch."""
    nn = torch.nn

    def norm():
        return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

    def conv(before, after, kernel, **options):
        return [nn.Conv2d(before, after, kernel, **options), nn.ReLU()]

    groups = 2 if name == "AlexNet" else 1
    rest = [
        *conv(256, 384, 3, padding=1),
        *conv(384, 384, 3, padding=1, groups=groups),
        *conv(384, 256, 3, padding=1, groups=groups),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.LazyLinear(4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 7),
    ]
    if name == "AlexNet":
        begin = [*conv(3, 96, 11, stride=4), norm(), nn.MaxPool2d(3, 2)]
        begin += [*conv(96, 256, 5, padding=2, groups=2), norm(), nn.MaxPool2d(3, 2)]
    else:
        begin = [*conv(3, 96, 7, stride=2, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True), norm()]
        begin += [*conv(96, 256, 5, stride=2), nn.MaxPool2d(3, 2, ceil_mode=True), norm()]
    return nn.Sequential(*begin, *rest).double().eval()


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::UserWarning")
@EVERY
def test_against_pytorch(name):
    torch = pytest.importorskip("torch")
    model, x = filled(name), images(name)
    twin = in_torch(torch, name)
    image = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    twin(image)
    layers = [layer for layer in twin if hasattr(layer, "weight")]
    ours = [layer for layer in model.layers if layer.weights]
    for layer, here in zip(layers, ours, strict=True):
        kernel, bias = here.get_weights()
        if kernel.ndim == 4:
            kernel = kernel.transpose(3, 2, 0, 1)
        elif here.name == "fc6":  # PyTorch flattens (c, h, w)
            side = int(np.sqrt(len(kernel) / 256))
            kernel = kernel.reshape(side, side, 256, -1).transpose(3, 2, 0, 1).reshape(4096, -1)
        else:
            kernel = kernel.T
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(kernel.copy()))
            layer.bias.copy_(torch.tensor(bias))
    y = twin(image)
    y[:, 3].sum().backward()
    with cx.GradientTape() as tape:
        source = cx.constant(x)
        tape.watch(source)
        found = model(source)
        score = cx.reduce_sum(found[:, 3])
    np.testing.assert_allclose(found, y.detach().numpy(), rtol=1e-9, atol=1e-9)
    want = image.grad.numpy().transpose(0, 2, 3, 1)
    assert np.abs(want).max() > 1e-3
    np.testing.assert_allclose(tape.gradient(score, source), want, atol=1e-9 * np.abs(want).max())


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@EVERY
def test_files_open_in_keras(name, tmp_path):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = pytest.importorskip("tensorflow")
    their = pytest.importorskip("keras")

    class LocalResponseNormalization(their.layers.Layer):
        def __init__(self, depth_radius, bias, alpha, beta, data_format, **kwargs):
            super().__init__(**kwargs)
            self.options = {"depth_radius": depth_radius, "bias": bias, "alpha": alpha, "beta": beta}

        def call(self, x):
            return tf.nn.local_response_normalization(x, **self.options)

    model = filled(name, "float32", include_top=False, pooling="avg")
    path = tmp_path / "network.keras"
    model.save(path)
    theirs = their.models.load_model(
        path, custom_objects={"LocalResponseNormalization": LocalResponseNormalization}
    )
    assert [layer.name for layer in theirs.layers] == [layer.name for layer in model.layers]
    x = images(name).astype("float32")
    want = theirs(x).numpy()
    np.testing.assert_allclose(model(x), want, atol=1e-4 * np.abs(want).max())
