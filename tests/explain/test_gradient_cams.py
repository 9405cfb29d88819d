"""Grad-CAM's relatives by gradients against NumPy: their formulas, several layers, and the loops in C."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx
from cnnexplain import _core

keras = cx.keras
METHODS = ("grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "xgrad_cam")


def plus_plus_weights(a, g, epsilon=0.0):
    below = 2 * g**2 + a.sum((1, 2), keepdims=True) * g**3 + epsilon
    alpha = np.divide(g**2, below, out=np.zeros_like(g), where=(g != 0) & (below != 0))
    return (alpha * np.maximum(g, 0)).sum((1, 2))


def share_weights(a, g, epsilon=0.0):
    below = a.sum((1, 2)) + epsilon
    return np.divide((g * a).sum((1, 2)), below, out=np.zeros_like(below), where=below != 0)


def formula(method, a, g, epsilon=0.0):
    """raw (n,h,w) in float64."""
    if method == "hires_cam":
        return (g * a).sum(-1)
    if method == "layer_cam":
        return (np.maximum(g, 0) * a).sum(-1)
    if method == "grad_cam":
        return np.einsum("nhwk,nk->nhw", a, g.mean((1, 2)))
    weights = {"grad_cam_plus_plus": plus_plus_weights, "xgrad_cam": share_weights}[method]
    return np.einsum("nhwk,nk->nhw", a, weights(a, g, epsilon))


def finished(raw):
    return small.normalize(small.enlarge(np.maximum(raw, 0), (small.HEIGHT, small.WIDTH)))


def inner(model, x, classes, layer):
    """Activations and gradients at the layer, in float64."""
    twin = small.Twin(x, [np.asarray(value, np.float64) for value in model.get_weights()])
    return getattr(twin, layer), twin.gradient(np.eye(4)[classes])[layer]


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-9), (None, 2e-4)])
@pytest.mark.parametrize("layer", ["first", "second", "third"])
@pytest.mark.parametrize("method", METHODS)
def test_against_numpy(model, x, method, layer, dtype, tolerance):
    a, g = inner(model, x, [1, 2, 0], layer)
    want = formula(method, a, g)
    e = cx.explain(model, x, [1, 2, 0], method=method, layer=layer, dtype=dtype)
    np.testing.assert_allclose(e.raw, want, atol=tolerance * np.abs(want).max())
    np.testing.assert_allclose(e.map, finished(want), atol=max(10 * tolerance, 1e-6))
    assert e.layer == layer and e.method == method and e.map.dtype == np.float32
    np.testing.assert_allclose(e.steps["activations"], a, atol=tolerance * np.abs(a).max())
    np.testing.assert_allclose(e.steps["gradients"], g, atol=tolerance * np.abs(g).max())
    np.testing.assert_allclose(e.steps["ReLU"], np.maximum(e.raw, 0))
    if "channel weights" in e.steps:
        again = np.einsum("nhwk,nk->nhw", e.steps["activations"], e.steps["channel weights"])
        np.testing.assert_allclose(again, e.raw, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("method", ["grad_cam_plus_plus", "xgrad_cam"])
def test_epsilon_of_other_libraries(model, x, method):
    a, g = inner(model, x, [1, 2, 0], "second")
    e = cx.explain(model, x, [1, 2, 0], method=method, layer="second", epsilon=1e-3, dtype="float64")
    want = formula(method, a, g, 1e-3)
    np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
    assert np.abs(want - formula(method, a, g)).max() > 1e-5 * np.abs(want).max()


def test_a_network_of_one_dense_layer_on_maps():
    """HiResCAM's products are the score there; Grad-CAM's are not."""
    L = keras.layers
    model = keras.Sequential(
        [keras.Input((5, 6, 2)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(4, use_bias=False)]
    )
    x = np.random.default_rng(0).random((3, 5, 6, 2))
    e = cx.explain.hires_cam(model, x, dtype="float64")
    np.testing.assert_allclose(e.raw.sum((1, 2)), e.score, rtol=1e-12)


def test_after_a_mean_all_of_them_have_one_shape(model, x):
    """At the pooled maps g has one value for each channel: HiResCAM and XGrad-CAM are Grad-CAM."""
    want = cx.explain.grad_cam(model, x, 1, dtype="float64")
    for method in ("hires_cam", "xgrad_cam"):
        e = cx.explain(model, x, 1, method=method, dtype="float64")
        np.testing.assert_allclose(e.raw, want.raw, atol=1e-12)
        np.testing.assert_allclose(e.map, want.map, atol=1e-6)


def test_one_known_feature():
    """A bright square, a channel that copies it and one that is blind: every method finds the square."""
    x = np.zeros((1, 12, 16, 1))
    x[0, 2:5, 9:14] = 1
    L = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 16, 1)),
            L.Conv2D(2, 1, activation="relu", name="maps"),
            L.GlobalAveragePooling2D(),
            L.Dense(2),
        ]
    )
    model.set_weights(
        [
            np.array([1.0, 0.0]).reshape(1, 1, 1, 2),
            np.array([0, 0.5]),
            np.array([[2.0, -1.0], [1.0, 3.0]]),
            np.zeros(2),
        ]
    )
    want = 2 * x[..., 0] + 0.5
    for method in ("grad_cam", "hires_cam", "layer_cam", "xgrad_cam"):
        e = cx.explain(model, x, 0, method=method)
        np.testing.assert_allclose(e.raw * 12 * 16, want, rtol=1e-5)
    weights = np.array([2.0, 1.0]) / 192
    total = np.array([15.0, 96.0])
    weights = 192 * weights / (2 + total * weights)  # sum over pixels of g / (2 + S g)
    e = cx.explain.grad_cam_plus_plus(model, x, 0)
    np.testing.assert_allclose(e.steps["channel weights"][0], weights, rtol=1e-5)


def kernels(monkeypatch, model, x, method, layer):
    """How many kernels ran forward and backward."""
    from cnnexplain.explain.session import Session

    batches, seen = Session.batches, []

    def recorded(self, *arguments):
        for item in batches(self, *arguments):
            seen.append(item[1])
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(Session, "batches", recorded)
        cx.explain(model, x, 1, method=method, layer=layer)
    (instance,) = seen
    return instance.counts[1:]


@pytest.mark.parametrize("layer", ["first", "second", "third"])
def test_they_cost_what_grad_cam_costs(model, x, layer, monkeypatch):
    """One forward pass and one backward pass, which ends at the layer."""
    want = kernels(monkeypatch, model, x, "grad_cam", layer)
    for method in METHODS:
        assert kernels(monkeypatch, model, x, method, layer) == want
    lower = kernels(monkeypatch, model, x, "layer_cam", "first")
    assert want[1] < lower[1] or layer == "first"


def test_several_layers_share_both_passes(model, x, monkeypatch):
    forward, backward = kernels(monkeypatch, model, x, "layer_cam", "first")
    together = kernels(monkeypatch, model, x, "layer_cam", ["first", "second", "third"])
    assert together[0] == forward and together[1] <= backward + 2  # fewer kernels can be joined to one


class TestCounterfactual:
    @pytest.mark.parametrize("layer", ["first", "second", "third"])
    def test_against_numpy(self, model, x, layer):
        a, g = inner(model, x, [1, 2, 0], layer)
        want = formula("grad_cam", a, -g)
        e = cx.explain.grad_cam(model, x, [1, 2, 0], layer=layer, counterfactual=True, dtype="float64")
        np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
        np.testing.assert_allclose(e.map, finished(want), atol=1e-6)
        np.testing.assert_allclose(e.steps["gradients"], g, atol=1e-12)
        assert e.parameters["counterfactual"] is True and "-dy/dA_k" in e.parameters["formula"]

    def test_it_is_the_other_side(self, model, x):
        e = cx.explain.grad_cam(model, x, 1, counterfactual=True)
        np.testing.assert_array_equal(e.raw, -cx.explain.grad_cam(model, x, 1).raw)

    def test_nothing_speaks_against_it(self, model, x):
        *body, kernel, bias = model.get_weights()
        model.set_weights([*body, np.abs(kernel), bias])
        e = cx.explain.grad_cam(model, x, 1, counterfactual=True)
        assert not e.map.any() and e.warnings == ("no evidence against class 1 at layer third",)


class TestSmooth:
    def expected(self, model, x, classes, layer, samples, level, seed):
        w = [np.asarray(value, np.float64) for value in model.get_weights()]
        span = (x.max((1, 2, 3)) - x.min((1, 2, 3)))[:, None, None, None]
        noise = [cx.random.stateless_normal(x.shape[1:], (seed, s)).numpy() for s in range(samples)]
        hot = np.eye(4)[classes]
        g = np.array([small.Twin(x + level * span * n, w).gradient(hot)[layer] for n in noise])
        a = getattr(small.Twin(x, w), layer)
        below = 2 * (g**2).mean(0) + a.sum((1, 2), keepdims=True) * (g**3).mean(0)
        alpha = np.divide((g**2).mean(0), below, out=np.zeros_like(below), where=below != 0)
        weights = (alpha * np.maximum(g.mean(0), 0)).sum((1, 2))
        return np.einsum("nhwk,nk->nhw", a, weights)

    @pytest.mark.parametrize("layer", ["first", "second"])
    def test_against_numpy(self, model, x, layer):
        want = self.expected(model, x, [1, 2, 0], layer, 5, 0.3, 11)
        options = {"layer": layer, "samples": 5, "noise": 0.3, "seed": 11}
        e = cx.explain.smooth_grad_cam_plus_plus(model, x, [1, 2, 0], dtype="float64", **options)
        np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
        np.testing.assert_allclose(e.map, finished(want), atol=1e-6)

    def test_hardly_any_noise_is_grad_cam_plus_plus(self, model, x):
        e = cx.explain.smooth_grad_cam_plus_plus(
            model, x, 1, samples=2, noise=1e-9, layer="second", dtype="float64"
        )
        want = cx.explain.grad_cam_plus_plus(model, x, 1, layer="second", dtype="float64")
        np.testing.assert_allclose(e.raw, want.raw, rtol=1e-6)

    def test_batch_size_and_company_change_no_bit(self, model):
        x = small.images(4).astype(np.float32)
        options = {"samples": 5, "layer": ["first", "second"], "method": "smooth_grad_cam_plus_plus"}
        whole = cx.explain(model, x, [0, 1, 2, 3], **options)
        for size in (1, 3, 7, 100):
            np.testing.assert_array_equal(
                cx.explain(model, x, [0, 1, 2, 3], batch_size=size, **options).raw, whole.raw
            )
        alone = [cx.explain(model, x[i], i, **options).raw for i in range(4)]
        np.testing.assert_array_equal(np.concatenate(alone), whole.raw)


ALL = (*METHODS, "smooth_grad_cam_plus_plus", "score_cam", "ablation_cam", "eigen_cam")


class TestSeveralLayers:
    @pytest.mark.parametrize("method", ALL)
    @pytest.mark.parametrize("fuse, joined", [("mean", np.mean), ("max", np.max)])
    def test_the_maps_become_one(self, model, x, method, fuse, joined):
        options = {"samples": 3} if method.startswith("smooth") else {}
        layers = ["second", "first", "third"]
        e = cx.explain(model, x, 1, method=method, layer=layers, fuse=fuse, **options)
        each = [cx.explain(model, x, 1, method=method, layer=layer, **options) for layer in layers]
        want = joined([one.map for one in each], 0)
        np.testing.assert_allclose(e.raw, want, atol=1e-6)
        np.testing.assert_allclose(e.map, small.normalize(want), atol=1e-6)
        assert e.layer == "second, first, third" and e.parameters["fuse"] == fuse
        for layer, one in zip(layers, each, strict=True):
            np.testing.assert_array_equal(e.steps[f"{layer}: map"], one.map)
            for name, array in one.steps.items():
                np.testing.assert_array_equal(e.steps[f"{layer}: {name}"], array)

    def test_layer_cam_fuses_by_the_maximum(self, model, x):
        layers = ["first", "third"]
        e = cx.explain.layer_cam(model, x, 1, layer=layers)
        np.testing.assert_array_equal(e.map, cx.explain.layer_cam(model, x, 1, layer=layers, fuse="max").map)

    def test_one_in_a_list_is_that_one(self, model, x):
        e = cx.explain.hires_cam(model, x, 1, layer=["second"])
        np.testing.assert_array_equal(e.raw, cx.explain.hires_cam(model, x, 1, layer="second").raw)

    def test_a_blank_layer_says_so(self, model, x):
        w = model.get_weights()
        w[5] = w[5] - 100  # the third layer's biases: dead
        model.set_weights(w)
        e = cx.explain.layer_cam(model, x, 1, layer=["first", "third"])
        assert not e.map.any()
        assert [text.split(" at ")[1] for text in e.warnings] == ["layer first", "layer third"]

    def test_bad_ones(self, model, x):
        with pytest.raises(ValueError, match="`layer` must hold at least one layer"):
            cx.explain.layer_cam(model, x, layer=[])
        with pytest.raises(ValueError, match="no layer 'conv9'"):
            cx.explain.layer_cam(model, x, layer=["first", "conv9"])
        with pytest.raises(ValueError, match="`fuse` must be one of mean, max. Received: fuse='sum'"):
            cx.explain.layer_cam(model, x, fuse="sum")


class TestLoops:
    """csrc/explain/gradient_cams.c."""

    @pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-12)])
    @pytest.mark.parametrize(
        "shape", [(2, 5, 6, 70), (1, 7, 7, 256), (3, 1, 1, 5), (1, 4, 3, 1), (2, 3, 4, 64)]
    )
    def test_against_numpy(self, shape, dtype, tolerance):
        rng = np.random.default_rng(0)
        a, g = np.maximum(rng.normal(size=shape), 0).astype(dtype), rng.normal(size=shape).astype(dtype)
        a[..., 0] = 0  # a dead channel: no share
        wide = [v.astype(np.float64) for v in (a, g)]
        for way, want in (
            ("mean", wide[1].mean((1, 2))),
            ("plus_plus", plus_plus_weights(*wide)),
            ("share", share_weights(*wide)),
        ):
            got = _core.explain_channel_weights(a, g, way, 0.0)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, atol=tolerance, rtol=tolerance)
        got = _core.explain_channel_weights(a, g, "plus_plus", 0.25)
        np.testing.assert_allclose(got, plus_plus_weights(*wide, 0.25), atol=tolerance, rtol=tolerance)
        for rectify, name in ((False, "hires_cam"), (True, "layer_cam")):
            got = _core.explain_product_map(a, g, rectify)
            np.testing.assert_allclose(got, formula(name, *wide), atol=tolerance * shape[3], rtol=tolerance)

    def test_strides_change_no_bit(self):
        rng = np.random.default_rng(0)
        big = rng.normal(size=(2, 9, 8, 150)).astype(np.float32)
        a, g = big[:, ::-2, :, ::2], big[:, 1:6, ::-1, 74::-1]
        for call in (
            *(
                lambda a, g, way=way: _core.explain_channel_weights(a, g, way, 0.0)
                for way in ("mean", "plus_plus")
            ),
            lambda a, g: _core.explain_channel_weights(a, g, "share", 0.0),
            lambda a, g: _core.explain_product_map(a, g, True),
        ):
            np.testing.assert_array_equal(call(a, g), call(a.copy(), g.copy()))

    def test_a_batch_is_its_images(self):
        rng = np.random.default_rng(0)
        a, g = rng.normal(size=(2, 4, 3, 5, 33)).astype(np.float32)
        for way in ("mean", "plus_plus", "share"):
            whole = _core.explain_channel_weights(a, g, way, 0.0)
            alone = [_core.explain_channel_weights(a[i : i + 1], g[i : i + 1], way, 0.0) for i in range(4)]
            np.testing.assert_array_equal(whole, np.concatenate(alone))

    def test_tiny_and_huge_gradients(self):
        """g^2 of 1e-30 underflows in float32, g^3 of 1e30 overflows: the reduced fraction does neither."""
        a = np.ones((1, 1, 2, 1), np.float32)
        for size in (1e-30, 1e30):
            g = np.full((1, 1, 2, 1), size, np.float32)
            want = 2 * size / (2 + 2 * size)
            np.testing.assert_allclose(
                _core.explain_channel_weights(a, g, "plus_plus", 0.0), [[want]], rtol=1e-6
            )

    def test_nan_is_not_swallowed(self):
        a, g = np.ones((2, 1, 1, 2, 3), np.float32)
        g = g.copy()
        g[0, 0, 1, 2] = np.nan
        for way in ("mean", "plus_plus", "share"):
            assert np.isnan(_core.explain_channel_weights(a, g, way, 0.0)).tolist() == [[False, False, True]]
        for rectify in (False, True):
            assert np.isnan(_core.explain_product_map(a, g, rectify)).tolist() == [[[False, True]]]

    def test_a_denominator_of_zero_counts_nothing(self):
        a = np.array([-2.0, 0.0]).reshape(1, 1, 2, 1)
        g = np.array([1.0, 4.0]).reshape(1, 1, 2, 1)  # 2 + S g = 0 for the first, -6 for the second
        np.testing.assert_allclose(_core.explain_channel_weights(a, g, "plus_plus", 0.0), [[4 / -6]])
        np.testing.assert_array_equal(_core.explain_channel_weights(0 * a, g, "share", 0.0), [[0]])

    def test_empty_and_bad(self):
        assert _core.explain_channel_weights(
            np.zeros((0, 3, 3, 4)), np.zeros((0, 3, 3, 4)), "share", 0.0
        ).shape == (0, 4)
        assert _core.explain_product_map(np.zeros((2, 0, 3, 4)), np.zeros((2, 0, 3, 4)), True).shape == (
            2,
            0,
            3,
        )
        assert not _core.explain_product_map(np.zeros((2, 2, 3, 0)), np.zeros((2, 2, 3, 0)), True).any()
        with pytest.raises(ValueError, match="must have one shape"):
            _core.explain_product_map(np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 3, 5)), True)
        with pytest.raises(ValueError, match="must have one shape .* and dtype"):
            _core.explain_channel_weights(
                np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 3, 4), np.float32), "mean", 0.0
            )
        with pytest.raises(ValueError, match="weighing"):
            _core.explain_channel_weights(np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 3, 4)), "median", 0.0)


def test_bad_arguments(model, x):
    with pytest.raises(TypeError, match="`epsilon` must be a number"):
        cx.explain.grad_cam_plus_plus(model, x, epsilon="small")
    for method in METHODS:
        with pytest.raises(ValueError, match="no layer 'conv9'.*'first', 'pool', 'second', 'third'"):
            cx.explain(model, x, method=method, layer="conv9")
        with pytest.raises(TypeError, match=rf"{method}\(\) got an unexpected keyword argument 'layers'"):
            cx.explain(model, x, method=method, layers="first")
