"""Max-sensitivity and the randomisation of weights: NumPy, SciPy, and by hand."""

from __future__ import annotations

import random as python_random

import numpy as np
import pytest
import small
from scipy.stats import spearmanr
from test_explain_metrics import linear, shuffled

import cnnexplain as cx
from cnnexplain.explain.metrics import again

keras = cx.keras
M = cx.explain.metrics
H, W = small.HEIGHT, small.WIDTH


def twin_ssim(a, b):
    """Wang et al. 2004: the mean over windows of 11 x 11 under a normal density with deviation 1.5."""
    at = np.arange(-5, 6)
    bell = np.exp(-(at[:, None] ** 2 + at**2) / 4.5)
    bell /= bell.sum()

    def mean(z):
        return (np.lib.stride_tricks.sliding_window_view(z, (11, 11)) * bell).sum((2, 3))

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
    return (top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))).mean()


class TestSensitivity:
    def test_a_linear_model_has_one_gradient(self):
        x = np.random.default_rng(0).random((2, 4, 5))
        assert M.max_sensitivity(linear(shuffled()), x, 1).value == 0

    def test_against_numpy(self, model, x):
        got = M.max_sensitivity(
            model, x, [1, 2, 0], radius=0.1, samples=3, seed=4, dtype="float64", batch_size=2
        )
        seeds = np.eye(4)[[1, 2, 0]]
        before = small.Twin(x).gradient(seeds)["image"]
        span = np.ptp(x, axis=(1, 2, 3)).reshape(3, 1, 1, 1)
        changes = []
        for s in range(3):
            u = cx.random.stateless_uniform((H, W, 3), (4, s), -1.0, 1.0, "float64").numpy()
            after = small.Twin(x + 0.1 * span * u).gradient(seeds)["image"]
            changes.append(np.sqrt(((after - before) ** 2).sum((1, 2, 3))))
        np.testing.assert_allclose(got.details["changes"], np.array(changes).T, atol=1e-6)
        want = np.max(changes, 0) / np.sqrt((before**2).sum((1, 2, 3)))
        np.testing.assert_allclose(got.per_image, want, atol=1e-6)
        plain = M.max_sensitivity(
            model, x, [1, 2, 0], radius=0.1, samples=3, seed=4, dtype="float64", relative=False
        )
        np.testing.assert_allclose(plain.per_image, np.max(changes, 0), atol=1e-6)
        assert not got.higher_is_better

    def test_an_explanation_of_nothing_is_left_out(self):
        got = M.max_sensitivity(linear(np.zeros((4, 5))), np.ones((2, 4, 5)) * [[[1]], [[2]]], 1)
        assert np.isnan(got.value) and got.left_out == 2 and "zero everywhere" in got.warnings[-1]

    @pytest.mark.parametrize("method", ["grad_cam", "smooth_grad"])
    def test_other_methods_with_options(self, model, x, method):
        options = {"layer": "second"} if method == "grad_cam" else {"samples": 2}
        got = M.max_sensitivity(model, x, method=method, options=options, samples=2)
        assert got.value > 0 and got.parameters["options"] == options


class TestRandomization:
    def test_on_a_copy_from_the_top(self, model, x, unchanged):
        state, before = unchanged(model), python_random.getstate()
        seen = []
        got = M.model_randomization(model, x, 1, seed=3, progress=lambda *a: seen.append(a))
        state.check()
        assert python_random.getstate() == before
        assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert got.parameters["layers"] == ["head", "third", "second", "first"]
        assert got.curves.shape == (3, 5) and (got.curves[:, 0] == 1).all()
        np.testing.assert_allclose(got.per_image, got.curves[:, 1:].mean(1))
        assert got.value < 0.9 and not got.higher_is_better
        np.testing.assert_array_equal(M.model_randomization(model, x, 1, seed=3).curves, got.curves)
        assert (M.model_randomization(model, x, 1, seed=4).curves != got.curves).any()
        part = M.model_randomization(model, x, 1, seed=3, batch_size=1)
        np.testing.assert_array_equal(part.curves, got.curves)
        assert got._repr_png_()[:4] == b"\x89PNG"

    def test_against_scipy_and_numpy(self, model, x):
        got = M.model_randomization(model, x, [1, 2, 0], method="grad_cam", seed=3, dtype="float64")
        session = [cx.constant(x[:1].astype(np.float32))]
        copy, drawn = again._drawn_again(model, 3, session)
        first = cx.explain.grad_cam(model, x, [1, 2, 0], dtype="float64").map
        weights = [w.copy() for w in model.get_weights()]
        for point, pair in enumerate(((6, 7), (4, 5), (2, 3), (0, 1)), 1):
            for place in pair:
                weights[place] = drawn[place]
            copy.set_weights(weights)
            after = cx.explain.grad_cam(copy, x, [1, 2, 0], dtype="float64").map
            for i in range(3):
                if first[i].any() and after[i].any():
                    want = spearmanr(first[i].reshape(-1), after[i].reshape(-1)).statistic
                    np.testing.assert_allclose(got.curves[i, point], want, atol=1e-5)
                alike = twin_ssim(first[i].astype(np.float64), after[i].astype(np.float64))
                np.testing.assert_allclose(got.details["ssim"][i, point], alike, atol=1e-5)

    def test_each_layer_s_own_initializer(self):
        L, start = keras.layers, keras.initializers
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                L.Conv2D(
                    4,
                    3,
                    kernel_initializer=start.RandomUniform(2, 3, seed=5),
                    bias_initializer=start.Constant(7),
                ),
                L.BatchNormalization(),
                L.Flatten(),
                L.Dense(64, kernel_initializer=start.RandomNormal(0, 10)),
                L.Dense(2),
            ]
        )
        first = [w.copy() for w in model.get_weights()]
        model.set_weights([w + 1 for w in first])
        copy, drawn = again._drawn_again(model, 0, [cx.zeros((1, 8, 8, 1))])
        assert 2 <= drawn[0].min() and drawn[0].max() <= 3 and (drawn[1] == 7).all()
        assert (drawn[0] != first[0]).any()  # also where the layer has a seed
        names = [w.path.split("/")[-1] for w in model.weights]
        assert (drawn[names.index("gamma")] == 1).all() and (drawn[names.index("moving_variance")] == 1).all()
        assert drawn[names.index("kernel", 1)].std() == pytest.approx(10, rel=0.05)
        for a, b in zip(copy.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert not {id(layer) for layer in copy.layers} & {id(layer) for layer in model.layers}

    @pytest.mark.parametrize("build", [small.functional, small.nested])
    def test_other_kinds_of_models(self, build, x):
        model = build(keras)
        got = M.model_randomization(model, x, 1, seed=3)
        want = M.model_randomization(small.sequential(keras), x, 1, seed=3)
        assert got.parameters["layers"] == want.parameters["layers"]
        assert (got.curves[:, 1:] < 0.999).all()

    def test_constant_maps(self):
        flat, steep = np.zeros((2, 4, 5)), np.random.default_rng(0).random((2, 4, 5))
        assert again._correlation(flat, flat).tolist() == [1, 1]
        assert again._correlation(flat, steep).tolist() == [0, 0]
        np.testing.assert_allclose(again._correlation(steep, -steep), -1)

    def test_ties_share_their_rank(self):
        assert again._ranks(np.array([3, 1, 3, 2, 3])).tolist() == [4, 1, 4, 2, 4]

    def test_a_model_without_weights_and_one_that_cannot_be_copied(self):
        empty = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
        with pytest.raises(ValueError, match="`model` must have layers with weights"):
            M.model_randomization(empty, np.ones((4, 4)), 0)

        class Odd(keras.layers.Layer):
            def __init__(self, needed):
                super().__init__()
                self.needed = needed

            def build(self, shape):
                self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")

            def call(self, x):
                return x * self.scale

            def get_config(self):
                return super().get_config()

        odd = keras.Sequential([keras.Input((4, 4, 1)), Odd(1), keras.layers.Flatten()])
        with pytest.raises(ValueError, match="built again from its configuration"):
            M.model_randomization(odd, np.ones((4, 4)), 0)


@pytest.mark.parametrize("name", ["max_sensitivity", "model_randomization"])
@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"method": "nothing"}, ValueError, "`method` must be one of cam, grad_cam"),
        ({"options": [1]}, TypeError, "`options` must be a dict"),
        ({"seed": 0.5}, TypeError, "`seed` must be an integer"),
        ({"class_index": 4}, ValueError, "`class_index` must be between 0 and 3"),
        ({"wrong": 1}, TypeError, "unexpected keyword argument 'wrong'"),
        ({"options": {"wrong": 1}}, TypeError, "unexpected keyword argument 'wrong'"),
    ],
)
def test_bad_input(model, x, name, options, error, message):
    with pytest.raises(error, match=message):
        getattr(M, name)(model, x, **options)


def test_bad_radius(model, x):
    with pytest.raises(ValueError, match="`radius` must be a positive number"):
        M.max_sensitivity(model, x, radius=0)
    with pytest.raises(ValueError, match="`samples` must be a positive integer"):
        M.max_sensitivity(model, x, samples=0)


@pytest.mark.parametrize("name", ["max_sensitivity", "model_randomization"])
def test_an_interrupt_leaves_all_as_it_was(model, x, name, unchanged):
    def stop(done, total):
        raise KeyboardInterrupt

    state, copy = unchanged(model), x.copy()
    with pytest.raises(KeyboardInterrupt):
        getattr(M, name)(model, x, progress=stop)
    state.check()
    np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize("name, options", [("max_sensitivity", {"radius": 5}), ("model_randomization", {})])
def test_the_class_stays_that_of_the_whole_image(model, x, name, options):
    classes = small.Twin(x).logits.argmax(1)
    own = getattr(M, name)(model, x, **options)
    assert own.details["class_index"].tolist() == classes.tolist()
    np.testing.assert_array_equal(own.per_image, getattr(M, name)(model, x, classes, **options).per_image)
    assert (own.per_image != getattr(M, name)(model, x, (classes + 1) % 4, **options).per_image).any()
