"""Input x gradient, the rectified gradient and Guided Grad-CAM against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras


def weights_of(model):
    return [np.asarray(value, np.float64) for value in model.get_weights()]


@pytest.mark.parametrize("build", [small.sequential, small.functional, small.nested])
def test_input_x_gradient(build, x):
    model = build(keras)
    want = x * small.Twin(x, weights_of(model)).gradient(np.eye(4)[[1, 2, 0]])["image"]
    e = cx.explain.input_x_gradient(model, x, [1, 2, 0], dtype="float64")
    np.testing.assert_allclose(e.raw, want, atol=1e-12)
    np.testing.assert_allclose(e.map, small.normalize(np.abs(want).sum(-1)), atol=1e-6)
    largest = cx.explain.input_x_gradient(model, x, [1, 2, 0], reduce="max")
    np.testing.assert_allclose(largest.map, small.normalize(np.abs(want).max(-1)), atol=1e-3)


def test_without_biases_the_products_are_the_score(x):
    model = small.sequential(keras)
    model.set_weights([w if w.ndim > 1 else 0 * w for w in model.get_weights()])
    e = cx.explain.input_x_gradient(model, x, dtype="float64")
    np.testing.assert_allclose(e.raw.sum((1, 2, 3)), e.score, rtol=1e-10)


@pytest.mark.parametrize("build", [small.sequential, small.functional, small.nested])
def test_rectified_gradient(build, x):
    model = build(keras)
    want = small.Twin(x, weights_of(model)).gradient(np.eye(4)[[1, 2, 0]], rectified=True)["image"]
    e = cx.explain.rectified_gradient(model, x, [1, 2, 0], dtype="float64")
    np.testing.assert_allclose(e.raw, want, atol=1e-12)
    np.testing.assert_allclose(e.map, small.normalize(np.abs(want).sum(-1)), atol=1e-6)
    others = [cx.explain(model, x, [1, 2, 0], method=m).raw for m in ("saliency", "guided_backprop")]
    assert all(np.abs(e.raw - other).max() > 1e-2 * np.abs(want).max() for other in others)


def test_rectified_by_hand():
    """One closed ReLU (z = -1) under a positive gradient: only this rule lets it through."""
    inputs = keras.Input((1, 1, 2))
    hidden = keras.layers.Conv2D(2, 1, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(hidden)))
    model.set_weights([np.eye(2).reshape(1, 1, 2, 2), np.zeros(2), np.array([[3.0], [-5.0]]), np.zeros(1)])
    x = np.array([[-1.0, 2.0]]).reshape(1, 1, 1, 2)
    rules = {"saliency": [0, -5], "guided_backprop": [0, 0], "rectified_gradient": [3, 0]}
    for method, want in rules.items():
        assert cx.explain(model, x, 1, method=method).raw.ravel().tolist() == want, method


@pytest.mark.parametrize("pooling", ["MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D"])
def test_rectified_without_max_pooling(x, pooling):
    """Arithmetic: with ReLUs and linear layers alone, the rule never looks at the image."""
    L = keras.layers
    ends = pooling.startswith("Global")
    model = keras.Sequential(
        [
            keras.Input((small.HEIGHT, small.WIDTH, 3)),
            L.Conv2D(4, 3, activation="relu"),
            getattr(L, pooling)() if ends else getattr(L, pooling)(2),
            *([] if ends else [L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D()]),
            L.Dense(4, activation="softmax"),
        ]
    )
    e = cx.explain.rectified_gradient(model, x, 1)
    same = [np.allclose(raw, e.raw[0], atol=1e-7) for raw in e.raw]
    warned = any("does not look at the image" in text for text in e.warnings)
    assert all(same) == warned == (pooling == "AveragePooling2D")
    smooth = cx.explain.smooth_grad(model, x, 1, base="rectified_gradient", samples=2)
    classes = cx.explain.compare_classes(model, x, [1], method="rectified_gradient")
    for other in (smooth, classes):
        assert any("does not look at the image" in text for text in other.warnings) == warned
    assert not cx.explain.guided_backprop(model, x, 1).warnings


@pytest.mark.parametrize("layer", ["first", "second", "third", None])
@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
def test_guided_grad_cam(model, x, layer, upsampling):
    twin, hot = small.Twin(x, weights_of(model)), np.eye(4)[[1, 2, 0]]
    name = layer or "third"
    slope = twin.gradient(hot)[name]
    cam = np.maximum(np.einsum("nhwk,nk->nhw", getattr(twin, name), slope.mean((1, 2))), 0)
    if upsampling == "bilinear":
        large = small.enlarge(cam, (small.HEIGHT, small.WIDTH))
    else:
        rows, columns = (
            (np.arange(n) + 0.5) * m // n for n, m in zip(x.shape[1:3], cam.shape[1:], strict=True)
        )
        large = cam[:, rows.astype(int)][:, :, columns.astype(int)]
    want = large[..., None] * twin.gradient(hot, guided=True)["image"]
    options = {"layer": layer, "upsampling": upsampling}
    e = cx.explain.guided_grad_cam(model, x, [1, 2, 0], dtype="float64", **options)
    np.testing.assert_allclose(e.raw, want, atol=1e-11 * max(1, np.abs(want).max()))
    np.testing.assert_allclose(e.map, small.normalize(np.abs(want).sum(-1)), atol=1e-6)
    assert e.layer == name
    separate = cx.explain.grad_cam(model, x, [1, 2, 0], layer=layer, dtype="float64")
    np.testing.assert_allclose(e.steps["Grad-CAM"], separate.steps["ReLU"], atol=1e-12)


def test_guided_grad_cam_without_evidence(model, x):
    *body, kernel, bias = model.get_weights()
    model.set_weights([*body, -np.abs(kernel), bias])
    e = cx.explain.guided_grad_cam(model, x, 1)
    assert not e.map.any() and "no positive evidence for class 1 at layer third" in e.warnings[0]


@pytest.mark.parametrize("method", ["rectified_gradient", "guided_grad_cam"])
def test_other_activations(x, method):
    L = keras.layers
    model = keras.Sequential(
        [
            keras.Input((small.HEIGHT, small.WIDTH, 3)),
            L.Conv2D(4, 3, activation="silu", name="bent"),
            L.Conv2D(4, 3, activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(4, activation="softmax"),
        ]
    )
    with pytest.raises(ValueError, match=rf"{method} is defined for ReLU only; .*silu \(bent\).*fallback"):
        cx.explain(model, x, method=method)
    e = cx.explain(model, x, method=method, fallback="gradient")
    assert np.isfinite(e.raw).all() and "true gradient was taken at silu (bent)" in e.warnings[0]
    with pytest.raises(ValueError, match="`fallback` must be None or 'gradient'"):
        cx.explain(model, x, method=method, fallback="zero")


def test_bad_arguments(model, x):
    with pytest.raises(ValueError, match="`upsampling` must be one of bilinear, nearest, bicubic"):
        cx.explain.guided_grad_cam(model, x, upsampling="spline")
    with pytest.raises(ValueError, match="no layer 'conv9'"):
        cx.explain.guided_grad_cam(model, x, layer="conv9")
    for method in ("input_x_gradient", "rectified_gradient", "guided_grad_cam"):
        with pytest.raises(ValueError, match="`reduce` must be one of sum, max. Received: reduce='mean'"):
            cx.explain(model, x, method=method, reduce="mean")
