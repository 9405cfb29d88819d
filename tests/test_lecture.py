"""The lecture, as its audience types it, against NumPy twins, arithmetic and (live) Keras on TensorFlow."""

from __future__ import annotations

import io
import types

import lecture
import numpy as np
import pytest
import scipy as sp

import cnnexplain as cx

TABLE = [
    ("conv2d", "Conv2D", "(None, 28, 28, 16)", 160),
    ("max_pooling2d", "MaxPooling2D", "(None, 14, 14, 16)", 0),
    ("conv2d_1", "Conv2D", "(None, 14, 14, 32)", 4640),
    ("max_pooling2d_1", "MaxPooling2D", "(None, 7, 7, 32)", 0),
    ("conv2d_2", "Conv2D", "(None, 7, 7, 64)", 18496),
    ("max_pooling2d_2", "MaxPooling2D", "(None, 3, 3, 64)", 0),
    ("conv2d_3", "Conv2D", "(None, 3, 3, 128)", 73856),
    ("global_average_pooling2d", "GlobalAveragePooling2D", "(None, 128)", 0),
    ("dense", "Dense", "(None, 10)", 1290),
]


def he_weights(shapes: list[tuple[int, ...]], seed: int) -> list[np.ndarray]:
    """Weights on which no activation dies and no class always wins."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(0, np.sqrt(2 / np.prod(s[:-1])), s) if len(s) > 1 else rng.normal(0, 0.1, s)
        for s in shapes
    ]


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3x3, stride 1, same: (n,h,w,c) and (3,3,c,f) -> (n,h,w,f) in float64."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,ijcf->nhwf", windows, kernel) + bias


def pool(x: np.ndarray) -> np.ndarray:
    """2x2, stride 2, valid."""
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def twin(x: np.ndarray, weights: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The lecture's network in NumPy, float64: features of the last convolution, logits."""
    x = np.asarray(x, np.float64)
    for i in range(4):
        x = np.maximum(convolve(x, weights[2 * i], weights[2 * i + 1]), 0)
        if i < 3:
            x = pool(x)
    return x, x.mean((1, 2)) @ weights[8] + weights[9]


def softmax(z: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture
def network():
    cx.keras.backend.clear_session()
    model = lecture.lecture_network(cx)
    model.set_weights(he_weights([w.shape for w in model.get_weights()], 0))
    return model


@pytest.fixture
def images():
    return np.random.default_rng(1).random((4, 28, 28, 1)).astype(np.float32)


def test_summary_shows_the_lecture_s_table(network):
    text = io.StringIO()
    network.summary(print_fn=lambda line, **_: text.write(line + "\n"), line_length=100)
    for name, kind, shape, count in TABLE:
        row = next(line for line in text.getvalue().splitlines() if f" {name} " in line)
        assert shape in row and f" {count:,} " in row
        assert f"({kind})" in text.getvalue()
    assert "98,442" in text.getvalue()


def test_cam_listing(network, images):
    maps, results = lecture.class_activation_maps(cx, network, images)
    weights = [np.asarray(w, np.float64) for w in network.get_weights()]
    features, logits = twin(images, weights)
    np.testing.assert_allclose(results, softmax(logits), rtol=1e-5, atol=1e-7)
    for i, got in enumerate(maps):
        enlarged = sp.ndimage.zoom(features[i], (28 / 3, 28 / 3, 1), order=2)
        want = enlarged @ weights[8][:, logits[i].argmax()]
        np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


def test_cam_in_one_call_equals_the_listing(network, images):
    maps, results = lecture.class_activation_maps(cx, network, images)
    features = cx.keras.models.Model(network.input, network.layers[-3].output).predict(images, verbose=0)
    ours = cx.ops.cam(
        features, network.layers[-1].get_weights()[0], results.argmax(-1), size=(28, 28), order=2
    )
    np.testing.assert_allclose(ours, np.stack(maps), atol=1e-5 * np.abs(maps).max())


def test_saliency_listing(network, images):
    gradients, picture = lecture.saliency(cx, network, images, 3, 10)
    weights = [np.asarray(w, np.float64) for w in network.get_weights()]

    def loss(x: np.ndarray) -> float:
        _, z = twin(x, weights)
        return float((np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1)) + z.max(-1) - z[:, 3]).sum())

    rng, x, g = np.random.default_rng(2), images.astype(np.float64), gradients.numpy()
    assert g.shape == images.shape and picture.dtype == cx.uint8 and picture.shape == (4, 28, 28)
    for _ in range(5):
        direction = rng.normal(size=x.shape)
        slope = (loss(x + 1e-6 * direction) - loss(x - 1e-6 * direction)) / 2e-6
        assert abs((g * direction).sum() - slope) <= 1e-3 * np.linalg.norm(g)
    grey = np.abs(g).sum(-1)
    want = (255 * (grey - grey.min()) / (grey.max() - grey.min())).astype(int)
    assert np.abs(picture.numpy().astype(int) - want).max() <= 1
    assert picture.numpy().max() == 255 and picture.numpy().min() == 0


def test_grad_cam_listing(network, images):
    for image in images:
        weights = [np.asarray(w, np.float64) for w in network.get_weights()]
        features, logits = twin(image[None], weights)
        p, label = softmax(logits)[0], int(logits.argmax())
        heatmap = lecture.grad_cam(cx, network, image[None], label, "conv2d_3")
        # the probability depends on every logit; averaging over pixels gives each channel W's column over 9
        channel = (p[label] * (np.eye(10)[label] - p)) @ weights[8].T / 9
        want = np.maximum((features[0] * channel).mean(-1), 0)
        np.testing.assert_allclose(heatmap, want / want.max(), atol=1e-4)


def test_unpooling_example():
    x = np.array([[0.8, 0.6, 0.5, 0.3], [0.3, 0.4, 0.9, 0.8], [0.2, 0.7, 0.8, 0.4], [0.5, 0.4, 0.6, 0.5]])
    pooled, switches = cx.ops.max_pool_with_argmax(x[None, :, :, None], (2, 2))
    assert np.array_equal(pooled[0, :, :, 0], [[0.8, 0.9], [0.7, 0.8]])
    unpooled = cx.ops.max_unpool(pooled, switches, (1, 4, 4, 1))[0, :, :, 0]
    assert np.array_equal(unpooled, [[0.8, 0, 0, 0], [0, 0, 0.9, 0], [0, 0.7, 0.8, 0], [0, 0, 0, 0]])


def test_a_saturated_softmax_still_gives_a_saliency_map(network, images):
    *body, kernel, bias = network.get_weights()
    network.set_weights([*body, kernel * 300, bias])
    predicted = network.predict(images, verbose=0)
    label = int(predicted[0].argmin())
    assert predicted[0, label] < 1e-7
    gradients, _ = lecture.saliency(cx, network, images[:1], label, 10)
    assert np.abs(gradients.numpy()).max() > 1e-3


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
class TestAgainstKeras:
    """The same functions on TensorFlow: float64 where gates decide, so that no ReLU flips on a rounding."""

    @pytest.fixture
    def tf(self, tensorflow):
        return tensorflow

    @pytest.fixture
    def pair(self, tf, network, images):
        theirs = lecture.lecture_network(tf)
        theirs(images)  # or Keras knows no output of a Sequential
        theirs.set_weights(network.get_weights())
        return network, theirs

    def test_cam(self, tf, pair, images):
        ours, theirs = pair
        got, p = lecture.class_activation_maps(cx, ours, images)
        # Keras 3 knows no `input` of a Sequential that was only called on arrays
        named = types.SimpleNamespace(input=theirs.inputs[0], layers=theirs.layers)
        want, q = lecture.class_activation_maps(tf, named, images)
        np.testing.assert_allclose(p, q, atol=1e-6)
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())

    def test_saliency(self, tf, network, images):
        """Float64 inside, so that no gate flips on a rounding; the listing's pixels are float32."""
        models = [lecture.lecture_network(module, dtype="float64") for module in (cx, tf)]
        for model in models:
            model(images)
            model.set_weights(network.get_weights())
        for label in (0, 7):
            got, _ = lecture.saliency(cx, models[0], images, label, 10)
            want, _ = lecture.saliency(tf, models[1], images, label, 10)
            np.testing.assert_allclose(got.numpy(), want.numpy(), atol=1e-6 * np.abs(want).max())

    def test_saturated_saliency_is_the_same_and_not_zero(self, tf, pair, images):
        for model in pair:
            *body, kernel, bias = model.get_weights()
            model.set_weights([*body, kernel * 300, bias])
        p = pair[1].predict(images, verbose=0)
        label = int(p[0].argmin())
        assert p[0, label] < 1e-7
        got, _ = lecture.saliency(cx, pair[0], images[:1], label, 10)
        want, _ = lecture.saliency(tf, pair[1], images[:1], label, 10)
        assert np.abs(want).max() > 1e-3
        np.testing.assert_allclose(got.numpy(), want.numpy(), atol=2e-3 * np.abs(want).max())

    def test_grad_cam_on_vgg16_built_from_layers(self, tf):
        """Of 96 pixels block5_conv3 leaves 6x6. Float64, so that no gate flips on a rounding."""
        ours = lecture.vgg16_layers(cx, classes=20, size=96, dtype="float64")
        theirs = lecture.vgg16_layers(tf, classes=20, size=96, dtype="float64")
        assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
        weights = he_weights([w.shape for w in ours.get_weights()], 3)
        ours.set_weights(weights)
        theirs.set_weights(weights)
        image = np.random.default_rng(4).normal(size=(1, 96, 96, 3))
        label = int(np.argsort(theirs.predict(image, verbose=0)[0])[-2])
        got = lecture.grad_cam(cx, ours, image, label)
        want = lecture.grad_cam(tf, theirs, image, label)
        assert got.shape == (6, 6)
        np.testing.assert_allclose(got, want, atol=1e-9)
