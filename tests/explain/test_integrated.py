"""Integrated gradients against NumPy, completeness, and paths whose integral is known."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras


def twin(x, w, classes, start, places, weights):
    """(x - x0) sum_a weight dy/dx at x0 + a (x - x0)."""
    hot = np.eye(4)[classes]
    slopes = [small.Twin(start + a * (x - start), w).gradient(hot)["image"] for a in places]
    return (x - start) * np.tensordot(weights, slopes, 1)


def points(rule, n):
    """Each rule by definition."""
    if rule == "gauss_legendre":
        places, weights = np.polynomial.legendre.leggauss(n)
        return (places + 1) / 2, weights / 2
    if rule == "trapezoid":
        return np.linspace(0, 1, n), np.array([0.5, *[1] * (n - 2), 0.5]) / (n - 1)
    at = {"left": [i / n for i in range(n)], "right": [(i + 1) / n for i in range(n)]}
    at["middle"] = [(i + 0.5) / n for i in range(n)]
    return np.array(at[rule]), np.full(n, 1 / n)


@pytest.mark.parametrize("rule", ["gauss_legendre", "trapezoid", "middle", "left", "right"])
def test_against_numpy(model, x, rule):
    w = [np.asarray(value, np.float64) for value in model.get_weights()]
    want = twin(x, w, [1, 2, 0], 0.3, *points(rule, 6))
    options = {"steps": 6, "baseline": 0.3, "rule": rule}
    e = cx.explain.integrated_gradients(model, x, [1, 2, 0], dtype="float64", **options)
    np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
    np.testing.assert_allclose(e.map, small.normalize(np.abs(want).sum(-1)), atol=1e-6)
    rows, c = range(3), [1, 2, 0]
    there = small.Twin(np.full_like(x, 0.3), w).logits[rows, c]
    gap = want.sum((1, 2, 3)) - (small.Twin(x, w).logits[rows, c] - there)
    np.testing.assert_allclose(e.steps["completeness gap"], gap, atol=1e-9)
    np.testing.assert_allclose(e.steps["score at the baseline"], there, atol=1e-9)
    np.testing.assert_allclose(e.steps["sum of attributions"], want.sum((1, 2, 3)), atol=1e-9)
    assert e.parameters["points"] == 6 and e.parameters["rule"] == rule
    assert e.parameters["baseline"] == "0.3"


def test_completeness(model, x):
    few = cx.explain.integrated_gradients(model, x, [1, 2, 0], steps=8)
    many = cx.explain.integrated_gradients(model, x, [1, 2, 0], steps=400)
    difference = many.score - many.steps["score at the baseline"]
    np.testing.assert_allclose(many.raw.sum((1, 2, 3)), difference, atol=1e-4)
    assert np.abs(many.steps["completeness gap"]).max() < np.abs(few.steps["completeness gap"]).max()
    assert np.abs(many.steps["completeness gap"]).max() < 1e-3 and many.warnings == ()


@pytest.mark.parametrize("rule", ["gauss_legendre", "trapezoid", "middle", "left", "right"])
def test_a_linear_model(rule):
    """One point is enough: the attribution is (x - x0) w."""
    model = keras.Sequential([keras.Input((4, 5, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    kernel = model.get_weights()[0].reshape(4, 5, 2, 3).transpose(3, 0, 1, 2)
    rng = np.random.default_rng(0)
    x, start = rng.random((2, 4, 5, 2)), rng.random((2, 4, 5, 2))
    e = cx.explain.integrated_gradients(model, x, [0, 2], baseline=start, steps=2, rule=rule)
    np.testing.assert_allclose(e.raw, (x - start) * kernel[[0, 2]], atol=1e-6)
    assert np.abs(e.steps["completeness gap"]).max() < 1e-5 and e.warnings == ()


def cubic():
    inputs = keras.Input((3, 4, 1))
    return keras.Model(inputs, keras.ops.sum(inputs * inputs * inputs, axis=(1, 2)))


def test_gauss_legendre_is_exact_for_polynomials():
    """y = sum x^3: two points integrate its gradient, and the attribution of a pixel is x^3."""
    x = np.linspace(-1, 2, 12).reshape(1, 3, 4, 1)
    e = cx.explain.integrated_gradients(cubic(), x, 1, steps=2, dtype="float64")
    np.testing.assert_allclose(e.raw, x**3, atol=1e-13)
    assert abs(e.steps["completeness gap"][0]) < 1e-12


def test_a_large_gap_warns():
    x = np.linspace(-1, 2, 12).reshape(1, 3, 4, 1)
    e = cx.explain.integrated_gradients(cubic(), x, 1, steps=3, rule="left")
    assert "more `steps` make the gap smaller" in e.warnings[0]
    want = (3 * x * (x * 0 + (x / 3) ** 2 + (2 * x / 3) ** 2) / 3).sum()
    np.testing.assert_allclose(e.steps["sum of attributions"], want, rtol=1e-5)
    assert f"{want:.3g}" in e.warnings[0] and f"{(x**3).sum():.3g}" in e.warnings[0]


class TestBaselines:
    def test_several_are_averaged(self, model, x):
        starts = [0.0, x[0], np.flip(x, 2).copy(), "mean"]
        e = cx.explain.integrated_gradients(model, x, 1, steps=5, baseline=starts, dtype="float64")
        one = [
            cx.explain.integrated_gradients(model, x, 1, steps=5, baseline=s, dtype="float64") for s in starts
        ]
        np.testing.assert_allclose(e.raw, np.mean([o.raw for o in one], 0), atol=1e-12)
        gaps = np.mean([o.steps["completeness gap"] for o in one], 0)
        np.testing.assert_allclose(e.steps["completeness gap"], gaps, atol=1e-12)
        assert e.parameters["baseline"] == ["0", "an array", "an array", "mean"]

    def test_one_for_each_image(self, model, x):
        starts = x[::-1].copy()
        e = cx.explain.integrated_gradients(model, x, 1, steps=5, baseline=starts)
        for i in range(3):
            alone = cx.explain.integrated_gradients(model, x[i], 1, steps=5, baseline=starts[i])
            np.testing.assert_array_equal(alone.raw[0], e.raw[i])

    def test_none_is_zero(self, model, x):
        a, b = (cx.explain.integrated_gradients(model, x, 1, steps=4, baseline=s) for s in (None, 0))
        np.testing.assert_array_equal(a.raw, b.raw)

    def test_mean_is_each_image_s_own_colour(self, model, x):
        e = cx.explain.integrated_gradients(model, x, 1, steps=4, baseline="mean")
        want = np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)
        np.testing.assert_allclose(e.steps["baseline"], want, rtol=1e-6)

    @pytest.mark.parametrize(
        "preprocess, black, white",
        [
            ("tf", -1, 1),
            ("none", 0, 255),
            (lambda x: x / 255, 0, 1),
            ("caffe", [-103.939, -116.779, -123.68], [151.061, 138.221, 131.32]),
        ],
    )
    def test_colours(self, model, x, preprocess, black, white):
        for name, value in (("black", black), ("white", white)):
            e = cx.explain.integrated_gradients(model, x, 1, steps=2, baseline=name, preprocess=preprocess)
            want = np.broadcast_to(np.array(value, float), x.shape)
            np.testing.assert_allclose(e.steps["baseline"], want, rtol=1e-5)

    def test_bad_ones(self, model, x):
        def refused(text, baseline, kind=ValueError):
            with pytest.raises(kind, match=text):
                cx.explain.integrated_gradients(model, x, 1, baseline=baseline)

        refused("`baseline='black'` needs `preprocess`", "black")
        refused("or one of black, white, mean. Received: baseline='grey'", "grey")
        refused(r"`baseline` must have shape \(11, 14, 3\), or \(3, 11, 14, 3\)", np.zeros((11, 14)))
        refused("`baseline` must be finite", np.full((11, 14, 3), np.nan))
        refused("`baseline` must be a finite number", float("inf"))
        refused("`baseline` must hold at least one. Received: an empty list", [])


def test_bad_arguments(model, x):
    for steps in (0, -1):
        with pytest.raises(ValueError, match="`steps` must be a positive integer"):
            cx.explain.integrated_gradients(model, x, steps=steps)
    with pytest.raises(TypeError, match="`steps` must be a positive integer. Received: steps='many'"):
        cx.explain.integrated_gradients(model, x, steps="many")
    with pytest.raises(ValueError, match="`steps` must be an integer of 2 or more. Received: steps=1"):
        cx.explain.integrated_gradients(model, x, steps=1, rule="trapezoid")
    with pytest.raises(ValueError, match="`rule` must be one of gauss_legendre, .*Received: rule='simpson'"):
        cx.explain.integrated_gradients(model, x, rule="simpson")


def test_batch_size_and_company_change_no_bit(model):
    x = small.images(4).astype(np.float32)
    options = {"steps": 6, "baseline": [0.0, 0.5], "method": "integrated_gradients"}
    whole = cx.explain(model, x, [0, 1, 2, 3], **options)
    for size in (1, 5, 7, 100):
        part = cx.explain(model, x, [0, 1, 2, 3], batch_size=size, **options)
        np.testing.assert_array_equal(part.raw, whole.raw)
        np.testing.assert_array_equal(part.steps["completeness gap"], whole.steps["completeness gap"])
    alone = [cx.explain(model, x[i], i, **options).raw for i in range(4)]
    np.testing.assert_array_equal(np.concatenate(alone), whole.raw)


def test_progress_counts_the_points(model, x):
    seen = []
    cx.explain.integrated_gradients(
        model, x, steps=5, batch_size=6, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(6, 15), (12, 15), (15, 15)]
