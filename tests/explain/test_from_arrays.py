"""Maps from activations and gradients that others computed: our own models, NumPy, PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import explain, keras

RNG = np.random.default_rng(5)
BY_GRADIENTS = ["grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "xgrad_cam"]


@pytest.fixture(scope="module")
def network():
    return cx.demo.load_network(), cx.demo.load_test_images()[0][:3]


def computed(network, images, classes, layer="conv2d_3"):
    """A and dy/dA as a user of tapes gets them, y the logit."""
    both = keras.Model(network.inputs, [network.get_layer(layer).output, network.layers[-2].output])
    kernel, bias = network.layers[-1].get_weights()
    with cx.GradientTape() as tape:
        activations, pooled = both(images)
        logits = pooled @ kernel + bias
        score = cx.gather_nd(logits, np.stack([np.arange(len(images)), classes], 1))
    return activations, tape.gradient(score, activations)


@pytest.mark.parametrize("method", [*BY_GRADIENTS, "eigen_cam", "cam"])
def test_it_is_what_the_method_makes_of_the_model(network, method):
    model, images = network
    classes = [3, 0, 7]
    e = explain(model, images, classes, method=method)
    activations, gradients = computed(model, images, classes)
    own = explain.from_arrays(
        activations,
        gradients if method in BY_GRADIENTS else None,
        method=method,
        weights=model.layers[-1].get_weights()[0] if method == "cam" else None,
        class_index=classes,
        images=images,
        class_names=keras.datasets.fashion_mnist.class_names,
        layer="conv2d_3",
    )
    scale = np.abs(e.raw).max()
    np.testing.assert_allclose(own.raw, e.raw, atol=1e-5 * scale)
    np.testing.assert_allclose(own.map, e.map, atol=2e-5)
    assert list(own.steps) == list(e.steps) and list(own.class_name) == list(e.class_name)
    assert (own.method, own.layer) == (method, "conv2d_3")
    assert own.parameters["formula"] == e.parameters["formula"]
    np.testing.assert_array_equal(own.images, images)
    assert own.overlay().shape == (3, 28, 28, 3) and np.isnan(own.score).all()


def test_the_formula_in_numpy():
    a, g = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 3, 4, 5))
    e = explain.from_arrays(a, g)
    raw = np.einsum("nhwk,nk->nhw", a, g.mean((1, 2)))
    np.testing.assert_allclose(e.raw, raw, atol=1e-12)
    positive = np.maximum(raw, 0)
    np.testing.assert_allclose(e.map, positive / positive.max((1, 2), keepdims=True), atol=1e-6)
    assert e.map.dtype == np.float32 and list(e.class_index) == [-1, -1] and e.class_name[0] is None


@pytest.mark.parametrize("method", [*BY_GRADIENTS, "eigen_cam"])
def test_channels_first_is_the_same(method):
    a, g = RNG.normal(size=(2, 2, 3, 4, 5)).astype(np.float32)
    images = RNG.random((2, 9, 8, 3))
    last = explain.from_arrays(a, g, method=method, images=images)
    before = a.copy()
    first = explain.from_arrays(
        a.transpose(0, 3, 1, 2).copy(), g.transpose(0, 3, 1, 2).copy(), method=method,
        images=images.transpose(0, 3, 1, 2), channels_first=True,
    )  # fmt: skip
    np.testing.assert_array_equal(first.map, last.map)
    np.testing.assert_array_equal(first.images, images)
    np.testing.assert_array_equal(a, before)
    assert first.map.shape == (2, 9, 8) and first.steps["activations"].shape == (2, 3, 4, 5)


def test_sizes_and_what_is_not_given():
    a = np.abs(RNG.normal(size=(2, 3, 4, 5)))
    assert explain.from_arrays(a, a).map.shape == (2, 3, 4)
    assert explain.from_arrays(a, a, size=(30, 40)).map.shape == (2, 30, 40)
    assert explain.from_arrays(a, a, images=np.ones((2, 6, 8))).images.shape == (2, 6, 8, 1)
    e = explain.from_arrays(a, a, class_index=4, score=[1.0, 2.0], probability=[0.5, 0.25])
    assert list(e.class_index) == [4, 4] and list(e.score) == [1, 2] and e[1].probability == 0.25
    assert e.images.shape == (2, 3, 4, 1)


def test_without_evidence():
    a = np.ones((2, 3, 3, 2))
    g = np.stack([np.ones((3, 3, 2)), -np.ones((3, 3, 2))])
    g[0, 0, 0] = 5
    a[0, 0, 0] = 2
    e = explain.from_arrays(a, g)
    assert e.warnings == ("no positive evidence, or the same value everywhere (image 1)",)
    assert not e.map[1].any()


def test_wider_dtype_wins():
    a = RNG.normal(size=(1, 3, 3, 2)).astype(np.float32)
    assert explain.from_arrays(a, a).raw.dtype == np.float32
    assert explain.from_arrays(a, a.astype(np.float64)).raw.dtype == np.float64
    assert explain.from_arrays(a.astype(np.float16), a).raw.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((np.ones((2, 3, 3, 4)), np.ones((2, 3, 3, 5))), {}, ValueError, "shape of `activations`"),
        ((np.ones((3, 3, 4)), np.ones((3, 3, 4))), {}, ValueError, "add the batch axis"),
        ((np.ones((2, 3, 3, 4)),), {}, ValueError, "grad_cam needs `gradients`"),
        ((np.ones((2, 3, 3, 4)),), {"method": "cam"}, ValueError, "cam needs `weights`"),
        ((np.ones((2, 3, 3, 4)),), {"method": "lrp"}, ValueError, "others need the model"),
        ((np.full((2, 3, 3, 4), np.nan),), {"method": "eigen_cam"}, ValueError, "NaN or infinity in image 0"),
        ((np.ones((0, 3, 3, 4)),), {"method": "eigen_cam"}, ValueError, "not be empty"),
        ((np.ones((2, 3, 3, 4)),) * 2, {"class_index": [1]}, ValueError, "2 numbers, one for each image"),
        ((np.ones((2, 3, 3, 4)),) * 2, {"images": np.ones((3, 5, 5, 3))}, ValueError, "n = 2"),
        ((np.ones((2, 3, 3, 4)),) * 2, {"size": (0, 3)}, ValueError, "`size`"),
        (([["a"]],), {"method": "eigen_cam"}, TypeError, "numbers"),
    ],
)
def test_bad_input(arguments, options, error, message):
    with pytest.raises(error, match=message):
        explain.from_arrays(*arguments, **options)


@pytest.mark.torch
class TestTorch:
    @pytest.fixture
    def parts(self):
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        below = torch.nn.Sequential(
            torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)
        )
        above = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(6, 4))
        images = torch.rand(3, 3, 16, 12)
        activations = below(images)
        activations.retain_grad()
        logits = above(activations)
        logits[:, 2].sum().backward()
        return torch, images, activations, logits, above[-1]

    def test_grad_cam_of_a_network_in_torch(self, parts):
        torch, images, activations, logits, _ = parts
        assert activations.requires_grad  # as they come out of a hook
        e = explain.from_arrays(
            activations,
            activations.grad,
            images=images,
            channels_first=True,
            class_index=2,
            score=logits[:, 2],
        )
        weights = activations.grad.mean((2, 3), keepdim=True)
        raw = torch.relu((weights * activations).sum(1, keepdim=True)).detach()
        enlarged = torch.nn.functional.interpolate(raw, (16, 12), mode="bilinear", align_corners=False)
        top = enlarged.amax((2, 3), keepdim=True)
        expected = torch.where(top > 0, enlarged / top, enlarged)[:, 0].numpy()
        np.testing.assert_allclose(e.map, expected, atol=1e-5)
        np.testing.assert_allclose(e.score, logits[:, 2].detach())
        assert e.images.shape == (3, 16, 12, 3) and activations.requires_grad

    def test_cam_with_the_weights_of_linear(self, parts):
        torch, _, activations, logits, linear = parts
        e = explain.from_arrays(
            activations, method="cam", weights=linear.weight.T, class_index=[0, 1, 2], channels_first=True
        )
        mean = torch.tensor(e.raw.mean((1, 2))) + linear.bias[:3]
        np.testing.assert_allclose(mean.detach(), logits.detach()[range(3), range(3)], rtol=1e-4)

    def test_arrays_are_read_in_place(self, parts):
        torch, _, activations, _, _ = parts
        seen = cx.ops.as_array("x", activations)
        assert seen.ctypes.data == activations.data_ptr()
        heavy = explain.from_arrays(activations, activations.grad, channels_first=True).steps["activations"]
        assert np.shares_memory(heavy, activations.detach().numpy())
