"""Completeness and infidelity: NumPy, and by hand on a linear model."""

from __future__ import annotations

import numpy as np
import pytest
import small
from test_explain_metrics import linear, shuffled

import cnnexplain as cx

M = cx.explain.metrics
H, W = small.HEIGHT, small.WIDTH


def test_a_linear_model_is_explained_completely():
    w, x = shuffled() / 10, np.random.default_rng(0).random((3, 4, 5))
    exact = M.completeness(linear(w), x, w * x, 1, dtype="float64")
    assert exact.value < 1e-6 and not exact.higher_is_better
    np.testing.assert_allclose(exact.details["difference"], (w * x).sum((1, 2)), rtol=1e-6)
    other = M.completeness(linear(w), x, w * (x - 0.5), 1, baseline=0.5, dtype="float64")
    assert other.value < 1e-6
    off = M.completeness(linear(w), x, w * x + 0.1, 1, dtype="float64")
    np.testing.assert_allclose(off.per_image, 2.0, rtol=1e-6)
    np.testing.assert_allclose(off.details["relative"], 2 / (w * x).sum((1, 2)), rtol=1e-6)


@pytest.mark.parametrize("perturbation", ["noise", "square"])
def test_the_gradient_of_a_linear_model_is_faithful(perturbation):
    w, x = shuffled() / 10, np.random.default_rng(0).random((2, 4, 5))
    options = {"class_index": 1, "perturbation": perturbation, "samples": 20, "dtype": "float64"}
    assert M.infidelity(linear(w), x, np.stack([w, w]), **options).value < 1e-9
    twice = M.infidelity(linear(w), x, np.stack([2 * w, 2 * w]), **options)
    np.testing.assert_allclose(twice.per_image, (twice.details["changed"] ** 2).mean(1), rtol=1e-5)
    scaled = M.infidelity(linear(w), x, np.stack([2 * w, -3 * w]), scale=True, **options)
    assert scaled.value < 1e-9
    np.testing.assert_allclose(scaled.details["scale"], [1 / 2, -1 / 3], rtol=1e-6)
    nothing = M.infidelity(linear(w), x, np.zeros((2, 4, 5)), scale=True, **options)
    np.testing.assert_allclose(nothing.per_image, (nothing.details["changed"] ** 2).mean(1))


def test_amounts_times_the_image_are_divided_by_it():
    w, x = shuffled() / 10, np.random.default_rng(0).random((2, 4, 5))
    x[0, 0, 0] = 0
    for method in ("input_x_gradient", "integrated_gradients"):
        e = cx.explain(linear(w), x, 1, method=method, dtype="float64")
        got = M.infidelity(linear(w), x, e, perturbation="square", window=2, dtype="float64")
        assert got.value < 1e-9 and got.parameters["multiplied"] is True
    e = cx.explain.saliency(linear(w), x, 1, dtype="float64")
    assert M.infidelity(linear(w), x, e, dtype="float64").value < 1e-9
    plain = M.infidelity(linear(w), x, w * x, 1, multiplied=True, perturbation="square", dtype="float64")
    assert plain.value < 1e-9


def test_where_the_image_is_zero_nothing_is_said():
    w, x = shuffled() / 10, np.random.default_rng(0).random((4, 5))
    x[1, 2] = 0
    got = M.infidelity(linear(w), x, w * x, 1, multiplied=True, samples=5, noise=0.5, dtype="float64")
    drawn = [cx.random.stateless_normal((4, 5, 1), seed=(0, s)).numpy()[1, 2, 0] for s in range(5)]
    missing = 0.5 * np.ptp(x) * np.array(drawn) * w[1, 2]
    np.testing.assert_allclose(got.details["changed"] - got.details["said"], missing[None], atol=1e-6)


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_infidelity_against_numpy(model, x, score):
    classes, count = np.array([1, 2, 0]), 6
    a = np.random.default_rng(4).normal(size=x.shape)
    got = M.infidelity(
        model, x, a, classes, samples=count, noise=0.3, seed=7, score=score, dtype="float64", batch_size=4
    )
    boxes = M.infidelity(
        model, x, a, classes, samples=count, perturbation="square", window=(3, 5), seed=7, score=score
    )

    def y(images, i):
        twin = small.Twin(images)
        return (twin.logits if score == "logit" else twin.probabilities)[:, classes[i]]

    for i in range(3):
        noise, square = [], []
        for s in range(count):
            drawn = np.asarray(cx.random.stateless_normal((H, W, 3), seed=(7, s)), np.float64)
            noise.append(0.3 * np.ptp(x[i]) * drawn)
            u = cx.random.stateless_uniform((2,), seed=(7, s), dtype="float64").numpy()
            top, left = int(u[0] * (H - 2)), int(u[1] * (W - 4))
            square.append(np.zeros((H, W, 3)))
            square[-1][top : top + 3, left : left + 5] = x[i, top : top + 3, left : left + 5]
        for steps, metric in ((noise, got), (square, boxes)):
            dy = y(x[i][None], i) - y(x[i] - np.array(steps), i)
            said = (np.array(steps) * a[i]).sum((1, 2, 3))
            np.testing.assert_allclose(metric.per_image[i], ((said - dy) ** 2).mean(), rtol=1e-3, atol=1e-7)


def test_completeness_of_integrated_gradients(model, x):
    e = cx.explain.integrated_gradients(model, x, [1, 2, 0], score="probability", dtype="float64")
    got = M.completeness(model, x, e, dtype="float64")
    assert got.parameters["score"] == "probability"  # the explanation's
    assert got.details["class_index"].tolist() == [1, 2, 0]
    np.testing.assert_allclose(got.per_image, np.abs(e.steps["completeness gap"]), atol=1e-7)
    logit = M.completeness(model, x, e, score="logit", dtype="float64")
    zero = small.Twin(np.zeros_like(x)).logits[np.arange(3), [1, 2, 0]]
    want = e.raw.sum((1, 2, 3)) - (small.Twin(x).logits[np.arange(3), [1, 2, 0]] - zero)
    np.testing.assert_allclose(logit.per_image, np.abs(want), atol=1e-5)


def test_one_value_for_all_channels_of_a_pixel(model, x):
    a = np.random.default_rng(4).normal(size=(3, H, W))
    wide = np.repeat(a[..., None], 3, 3)
    flat, full = (M.infidelity(model, x, z, 1, samples=5).per_image for z in (a, wide))
    np.testing.assert_allclose(flat, full, rtol=1e-6)
    assert M.completeness(model, x, a, 1).details["sum of attributions"] == pytest.approx(a.sum((1, 2)))


@pytest.mark.parametrize("name", ["completeness", "infidelity"])
class TestManners:
    def test_batches_change_no_bit(self, model, x, name, unchanged):
        a, few = np.random.default_rng(4).normal(size=x.shape), {"samples": 5} if name == "infidelity" else {}
        state, metric = unchanged(model), getattr(M, name)
        whole = metric(model, x, a, 1, **few)
        np.testing.assert_array_equal(metric(model, x, a, 1, batch_size=2, **few).per_image, whole.per_image)
        np.testing.assert_array_equal(metric(model, x[1], a[1], 1, **few).per_image, whole.per_image[1:2])
        state.check()
        assert whole._repr_png_()[:4] == b"\x89PNG" and whole.curve is None

    def test_maps_of_a_layer_are_refused(self, model, x, name):
        with pytest.raises(ValueError, match="one value for each value of the images .* raw of grad_cam"):
            getattr(M, name)(model, x, cx.explain.grad_cam(model, x))
        with pytest.raises(ValueError, match="`attributions` must be finite"):
            getattr(M, name)(model, x, x * np.nan)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"samples": 0}, ValueError, "`samples` must be a positive integer"),
        ({"noise": 0}, ValueError, "`noise` must be a positive number"),
        ({"perturbation": "blur"}, ValueError, "`perturbation` must be one of noise, square"),
        ({"window": 0}, ValueError, "`window` must be a positive integer"),
        ({"window": (1, 2, 3)}, ValueError, "`window` must be a positive integer or a pair"),
        ({"window": 99}, ValueError, f"`window` must fit into the image, {H} x {W}"),
        ({"multiplied": True}, ValueError, "must have every channel"),
        ({"baseline": 1}, TypeError, "unexpected keyword argument 'baseline'"),
    ],
)
def test_bad_input(model, x, options, error, message):
    with pytest.raises(error, match=message):
        M.infidelity(model, x, np.zeros((3, H, W)), 1, **options)
