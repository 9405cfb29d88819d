"""SmoothGrad, SquareGrad and VarGrad against NumPy, and where their expectation is known."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras
METHODS = ("smooth_grad", "square_grad", "var_grad")


def noisy(x, samples, level, seed):
    """(samples, n, H, W, C): the copies by definition."""
    noise = [cx.random.stateless_normal(x.shape[1:], (seed, s)).numpy() for s in range(samples)]
    span = x.max((1, 2, 3)) - x.min((1, 2, 3))
    return x + level * span[:, None, None, None] * np.array(noise, np.float64)[:, None]


def statistic(method, values):
    """What the method makes of (samples, n, H, W, C)."""
    return {
        "smooth_grad": lambda v: v.mean(0),
        "square_grad": lambda v: (v * v).mean(0),
        "var_grad": lambda v: v.var(0),
    }[method](values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("base", ["gradient", "input_x_gradient", "guided_backprop", "rectified_gradient"])
def test_against_numpy(model, x, method, base):
    w = [np.asarray(value, np.float64) for value in model.get_weights()]
    hot = np.eye(4)[[1, 2, 0]]
    copies = noisy(x, 5, 0.2, 7)
    rules = {"guided_backprop": {"guided": True}, "rectified_gradient": {"rectified": True}}.get(base, {})
    slopes = np.array([small.Twin(copy, w).gradient(hot, **rules)["image"] for copy in copies])
    want = statistic(method, slopes * copies if base == "input_x_gradient" else slopes)
    options = {"samples": 5, "noise": 0.2, "seed": 7, "base": base, "method": method}
    e = cx.explain(model, x, [1, 2, 0], dtype="float64", **options)
    np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
    np.testing.assert_allclose(e.map, small.normalize(np.abs(want).sum(-1)), atol=1e-6)
    np.testing.assert_allclose(e.steps["noisy copy"], copies[0], atol=1e-12)
    assert e.class_index.tolist() == [1, 2, 0]
    np.testing.assert_allclose(e.score, (small.Twin(x, w).logits * hot).sum(1), rtol=1e-9)
    assert {k: e.parameters[k] for k in ("samples", "noise", "seed", "base")} == {
        k: options[k] for k in ("samples", "noise", "seed", "base")
    }
    close = cx.explain(model, x, [1, 2, 0], **options)
    assert np.median(np.abs(close.raw - want)) < 1e-4 * np.abs(want).max()


def test_the_noise_is_normal_and_relative_to_the_range():
    x = np.random.default_rng(0).uniform(-2, 6, (2, 40, 40, 3))
    x[1] *= 10
    model = keras.Sequential([keras.Input((40, 40, 3)), keras.layers.GlobalAveragePooling2D()])
    e = cx.explain.smooth_grad(model, x, 0, samples=1, noise=0.25, seed=3)
    for i in range(2):
        noise = (e.steps["noisy copy"][i] - x[i]) / (x[i].max() - x[i].min())
        assert abs(noise.std() - 0.25) < 0.01 and abs(noise.mean()) < 0.01
    other = cx.explain.smooth_grad(model, x, 0, samples=1, noise=0.25, seed=4)
    assert np.abs(other.steps["noisy copy"] - e.steps["noisy copy"]).max() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_model_has_one_gradient_everywhere(method):
    model = keras.Sequential([keras.Input((4, 5, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    kernel = model.get_weights()[0].reshape(4, 5, 2, 3)
    x = np.random.default_rng(0).random((2, 4, 5, 2))
    e = cx.explain(model, x, [0, 2], method=method, samples=6)
    slope = kernel.transpose(3, 0, 1, 2)[[0, 2]]
    want = {"smooth_grad": slope, "square_grad": slope**2, "var_grad": 0 * slope}[method]
    np.testing.assert_allclose(e.raw, want, atol=1e-6)
    assert bool(e.map.any()) == (method != "var_grad")
    if method == "var_grad":
        assert "variance over noise of dy/dx of class 0 is zero at every pixel" in e.warnings[0]


def test_one_relu_has_a_known_expectation():
    """y = sum relu(x): dy/dx is a coin that falls on 1 with the probability that x + noise > 0."""
    inputs = keras.Input((3, 4, 1))
    model = keras.Model(inputs, keras.ops.sum(keras.ops.relu(inputs), axis=(1, 2)))
    x = np.linspace(-1, 1, 12).reshape(1, 3, 4, 1)
    p = np.array([0.5 * (1 + erf(v / (0.3 * 2) / sqrt(2))) for v in x.ravel()]).reshape(x.shape)
    options = {"samples": 4000, "noise": 0.3, "batch_size": 1000, "class_index": 1}
    tolerance = 5 * 0.5 / sqrt(4000)
    np.testing.assert_allclose(cx.explain.smooth_grad(model, x, **options).raw, p, atol=tolerance)
    np.testing.assert_allclose(cx.explain.square_grad(model, x, **options).raw, p, atol=tolerance)
    np.testing.assert_allclose(cx.explain.var_grad(model, x, **options).raw, p * (1 - p), atol=tolerance)


def test_the_variance_of_a_large_mean_is_not_lost():
    """y = 1e6 sum(x) + sum(x^2): in float64, where squares of 1e6 would leave nothing of 1."""
    inputs = keras.Input((3, 4, 1))
    scale = 1e6
    model = keras.Model(inputs, keras.ops.sum(inputs * inputs + scale * inputs, axis=(1, 2)))
    x = np.linspace(0, 1, 12).reshape(1, 3, 4, 1)
    want = (2 * noisy(x, 16, 0.15, 0)).var(0)
    e = cx.explain.var_grad(model, x, 1, samples=16, dtype="float64")
    np.testing.assert_allclose(e.raw, want, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_batch_size_and_company_change_no_bit(model, method):
    x = small.images(4).astype(np.float32)
    whole = cx.explain(model, x, [0, 1, 2, 3], method=method, samples=6)
    for size in (1, 4, 5, 7, 100):
        part = cx.explain(model, x, [0, 1, 2, 3], method=method, samples=6, batch_size=size)
        np.testing.assert_array_equal(part.raw, whole.raw)
        np.testing.assert_array_equal(part.map, whole.map)
    alone = [cx.explain(model, x[i], i, method=method, samples=6).raw for i in range(4)]
    np.testing.assert_array_equal(np.concatenate(alone), whole.raw)
    again = cx.explain(model, x, [0, 1, 2, 3], method=method, samples=6)
    np.testing.assert_array_equal(again.raw, whole.raw)


def test_large_images_run_a_few_at_a_time():
    """More would only take memory."""
    model = keras.Sequential([keras.Input((600, 500, 3)), keras.layers.GlobalAveragePooling2D()])
    seen = []
    x = np.random.default_rng(0).random((1, 600, 500, 3))
    options = {"samples": 20, "class_index": 1}
    e = cx.explain.smooth_grad(model, x, progress=lambda done, total: seen.append(done), **options)
    assert seen[0] == min(20, max(2, cx.get_threads())) and seen[-1] == 20
    np.testing.assert_array_equal(cx.explain.smooth_grad(model, x, batch_size=3, **options).raw, e.raw)


def test_the_class_is_that_of_the_image_without_noise(model, x):
    e = cx.explain.smooth_grad(model, x, samples=3, noise=5.0)
    assert e.class_index.tolist() == small.Twin(x).logits.argmax(1).tolist()
    named = cx.explain.smooth_grad(model, x, e.class_index, samples=3, noise=5.0)
    np.testing.assert_array_equal(named.raw, e.raw)


def test_an_even_image_has_no_range(model):
    x = np.full((2, small.HEIGHT, small.WIDTH, 3), 0.5)
    x[1, 0, 0] = 1
    e = cx.explain.smooth_grad(model, x, 1, samples=3)
    assert e.warnings[0].startswith("the image has one value everywhere") and "(image 0)" in e.warnings[0]
    plain = cx.explain.saliency(model, x[:1], 1)
    np.testing.assert_allclose(e.raw[:1], plain.raw, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_bad_arguments(model, x, method):
    def refused(kind, text, **options):
        with pytest.raises(kind, match=text):
            cx.explain(model, x, method=method, **options)

    refused(ValueError, "`samples` must be.*samples=0", samples=0)
    refused(TypeError, "`samples` must be a positive integer. Received: samples=2.5", samples=2.5)
    refused(TypeError, "`samples` must be a positive integer. Received: samples=True", samples=True)
    refused(ValueError, "`noise` must be a positive number. Received: noise=0", noise=0)
    refused(ValueError, "`noise` must be a finite number", noise=float("nan"))
    refused(TypeError, "`noise` must be a number. Received: noise='much'", noise="much")
    refused(TypeError, "`seed` must be an integer. Received: seed=None", seed=None)
    refused(ValueError, "`base` must be one of gradient, .*Received: base='lrp'", base="lrp")
    refused(ValueError, "`reduce` must be one of sum, max", reduce="mean")
    refused(TypeError, rf"{method}\(\) got an unexpected keyword argument 'sample'", sample=3)


def test_one_sample_has_no_variance(model, x):
    with pytest.raises(ValueError, match="`samples` must be 2 or more"):
        cx.explain.var_grad(model, x, samples=1)


def test_rules_need_relus(x):
    L = keras.layers
    model = keras.Sequential(
        [
            keras.Input((small.HEIGHT, small.WIDTH, 3)),
            L.Conv2D(4, 3, activation="gelu", name="bent"),
            L.GlobalAveragePooling2D(),
            L.Dense(4),
        ]
    )
    with pytest.raises(ValueError, match="smooth_grad of guided_backprop is defined for ReLU only.*gelu"):
        cx.explain.smooth_grad(model, x, base="guided_backprop")
    e = cx.explain.smooth_grad(model, x, base="guided_backprop", fallback="gradient", samples=2)
    assert "true gradient was taken at gelu (bent)" in e.warnings[0]
    assert cx.explain.smooth_grad(model, x, samples=2).warnings == ()
