"""Score-CAM, Ablation-CAM and Eigen-CAM against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx
from cnnexplain.keras.ops._base import host

keras = cx.keras


def twin_of(model, x):
    return small.Twin(x, [np.asarray(value, np.float64) for value in model.get_weights()])


def finished(raw):
    return small.normalize(small.enlarge(np.maximum(raw, 0), (small.HEIGHT, small.WIDTH)))


def masked_scores(model, x, classes, layer):
    """(n, K): the logit of x times each enlarged map, scaled to 0..1."""
    a = getattr(twin_of(model, x), layer)
    scores = np.zeros((len(x), a.shape[3]))
    for k in range(a.shape[3]):
        mask = small.enlarge(a[..., k], x.shape[1:3])
        low, high = (f(mask, (1, 2), keepdims=True) for f in (np.min, np.max))
        mask = np.divide(mask - low, high - low, out=np.zeros_like(mask), where=high > low)
        scores[:, k] = twin_of(model, x * mask[..., None]).logits[range(len(x)), classes]
    return a, scores


class TestScoreCam:
    @pytest.mark.parametrize("layer", ["first", "second", "third"])
    def test_against_numpy(self, model, x, layer):
        classes = [1, 2, 0]
        a, scores = masked_scores(model, x, classes, layer)
        weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        want = np.einsum("nhwk,nk->nhw", a, weights)
        e = cx.explain.score_cam(model, x, classes, layer=layer, dtype="float64")
        np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
        np.testing.assert_allclose(e.map, finished(want), atol=1e-6)
        np.testing.assert_allclose(e.steps["channel weights"].sum(1), 1)
        nothing = twin_of(model, 0 * x).logits[range(3), classes]
        np.testing.assert_allclose(e.steps["increase of the score"], scores - nothing[:, None], atol=1e-9)
        single = cx.explain.score_cam(model, x, classes, layer=layer)
        np.testing.assert_allclose(single.map, e.map, atol=1e-3)

    def test_increases(self, model, x):
        a, scores = masked_scores(model, x, [1, 2, 0], "second")
        nothing = twin_of(model, 0 * x).logits[range(3), [1, 2, 0]]
        want = np.einsum("nhwk,nk->nhw", a, scores - nothing[:, None])
        e = cx.explain.score_cam(model, x, [1, 2, 0], layer="second", weighting="increase", dtype="float64")
        np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())

    def test_an_empty_map_is_an_empty_mask_that_runs_once(self, model, x):
        w = model.get_weights()
        w[3][[0, 3]] = -100  # two dead channels of the second layer, and one of the same value everywhere
        w[2][..., 2], w[3][2] = 0, 1
        model.set_weights(w)
        a, scores = masked_scores(model, x, [1, 1, 1], "second")
        counts = []
        e = cx.explain.score_cam(
            model, x, 1, layer="second", dtype="float64", progress=lambda done, total: counts.append(total)
        )
        assert set(counts) == {int((1 + (a.max((1, 2)) > a.min((1, 2))).sum(1)).sum())}
        assert counts[0] <= 3 * (1 + small.FILTERS[1] - 3)
        weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        want = np.einsum("nhwk,nk->nhw", a, weights)
        np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())

    def test_the_most_varying_channels(self, model, x):
        a, scores = masked_scores(model, x, [1, 1, 1], "second")
        for most in (1, 3, 6, 100):
            e = cx.explain.score_cam(model, x, 1, layer="second", max_channels=most, dtype="float64")
            kept = np.argsort(-a.var((1, 2)), 1)[:, :most]
            mine = np.zeros_like(scores)
            np.put_along_axis(mine, kept, np.exp(np.take_along_axis(scores, kept, 1)), 1)
            want = np.einsum("nhwk,nk->nhw", a, mine / mine.sum(1, keepdims=True))
            np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
            assert e.parameters["max_channels"] == most

    def test_bad_arguments(self, model, x):
        with pytest.raises(ValueError, match="`weighting` must be one of softmax, increase"):
            cx.explain.score_cam(model, x, weighting="relu")
        with pytest.raises(ValueError, match="`max_channels` must be a positive integer"):
            cx.explain.score_cam(model, x, max_channels=0)


class TestAblationCam:
    def expected(self, model, x, classes, layer, relative=True):
        twin = twin_of(model, x)
        a, rows = getattr(twin, layer), range(len(x))
        y = twin.logits[rows, classes]
        weights = np.zeros((len(x), a.shape[3]))
        for k in range(a.shape[3]):
            without = a.copy()
            without[..., k] = 0
            if layer == "first":
                pooled, _ = small.pool(without)
                second = np.maximum(small.convolve(pooled, twin.w[2], twin.w[3]), 0)
                logits = twin.tail(second)[1]
            elif layer == "second":
                logits = twin.tail(without)[1]
            else:
                logits = without.mean((1, 2)) @ twin.w[6] + twin.w[7]
            weights[:, k] = y - logits[rows, classes]
        return np.einsum("nhwk,nk->nhw", a, weights / y[:, None] if relative else weights)

    @pytest.mark.parametrize("relative", [True, False])
    @pytest.mark.parametrize("layer", ["first", "second", "third"])
    def test_against_numpy(self, model, x, layer, relative):
        want = self.expected(model, x, [1, 2, 0], layer, relative)
        options = {"layer": layer, "relative": relative}
        e = cx.explain.ablation_cam(model, x, [1, 2, 0], dtype="float64", **options)
        np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
        np.testing.assert_allclose(e.map, finished(want), atol=1e-6)

    def test_at_the_pooled_maps_it_is_cam(self, model, x):
        """The drop is W[k,c] mean(A_k) there."""
        e = cx.explain.ablation_cam(model, x, [1, 2, 0], relative=False, dtype="float64")
        w = model.get_weights()
        a = e.steps["activations"]
        np.testing.assert_allclose(
            e.steps["drop of the score"], a.mean((1, 2)) * w[6].T[[1, 2, 0]], atol=1e-9
        )

    def test_only_what_comes_after_the_layer_runs(self, model, x):
        """Once the layer's values are known; kernels before it do not run again."""
        runs = []

        def count(values):
            runs.append(len(values))
            return values

        class Counter(keras.layers.Layer):
            def call(self, inputs):
                return host(count, inputs, shape=tuple(inputs.shape), dtype=inputs.dtype.name)

        inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
        counted = Counter()(inputs)
        network = keras.Model(inputs, model(counted))
        runs.clear()
        cx.explain.ablation_cam(network, x, 1, layer="third")
        assert sum(runs) == len(x)

    def test_branches_around_the_layer(self, x):
        """What joins later, and the image itself, are fed as they were."""
        L = keras.layers
        inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
        before = L.Conv2D(4, 3, padding="same", activation="relu", name="before")(inputs)
        here = L.Conv2D(4, 3, padding="same", activation="relu", name="here")(before)
        joined = L.Concatenate()([L.Add()([before, here]), inputs])
        y = L.Dense(3, name="head")(L.GlobalAveragePooling2D()(joined))
        model = keras.Model(inputs, y)
        e = cx.explain.ablation_cam(model, x, 1, layer="here", relative=False, dtype="float64")
        w = model.get_layer("head").get_weights()[0]
        want = e.steps["activations"].mean((1, 2)) * w[:4, 1]
        np.testing.assert_allclose(e.steps["drop of the score"], want, atol=1e-9)
        whole = cx.explain.ablation_cam(model, x, 1, layer="here", batch_size=100)
        part = cx.explain.ablation_cam(model, x, 1, layer="here", batch_size=3)
        np.testing.assert_array_equal(whole.raw, part.raw)

    def test_several_inputs(self, x):
        L = keras.layers
        picture, factor = keras.Input((small.HEIGHT, small.WIDTH, 3), name="p"), keras.Input((4,), name="f")
        maps = L.Conv2D(4, 3, activation="relu", name="maps")(picture)
        y = L.Dense(2, name="head")(L.Multiply()([L.GlobalAveragePooling2D()(maps), factor]))
        model = keras.Model([picture, factor], y)
        factors = np.arange(12.0).reshape(3, 4)
        e = cx.explain.ablation_cam(model, [x, factors], 1, relative=False, dtype="float64")
        w = model.get_layer("head").get_weights()[0]
        want = e.steps["activations"].mean((1, 2)) * factors * w[:, 1]
        np.testing.assert_allclose(e.steps["drop of the score"], want, atol=1e-9)

    def test_a_negative_score_warns(self, model, x):
        worst = twin_of(model, x).logits.argmin(1)
        assert (twin_of(model, x).logits.min(1) < 0).all()
        e = cx.explain.ablation_cam(model, x, worst)
        assert "divided by a score that is not positive" in e.warnings[0]
        assert not any(
            "divided" in text for text in cx.explain.ablation_cam(model, x, worst, relative=False).warnings
        )


class TestEigenCam:
    @pytest.mark.parametrize("layer", ["first", "second", "third"])
    @pytest.mark.parametrize("center", [False, True])
    def test_against_numpy(self, model, x, layer, center):
        a = getattr(twin_of(model, x), layer)
        want = np.zeros(a.shape[:3])
        for i, one in enumerate(a):
            rows = one.reshape(-1, one.shape[-1])
            rows = rows - rows.mean(0) if center else rows
            projection = rows @ np.linalg.svd(rows)[2][0]
            projection *= np.sign(projection @ rows.sum(1))
            want[i] = projection.reshape(one.shape[:2])
        e = cx.explain.eigen_cam(model, x, layer=layer, center=center, dtype="float64")
        np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
        np.testing.assert_allclose(e.map, finished(want), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(e.steps["channel weights"], axis=1), 1)
        if not center:
            assert e.raw.min() >= 0

    def test_no_class_takes_part(self, model, x):
        maps = [cx.explain.eigen_cam(model, x, c).map for c in range(4)]
        for one in maps[1:]:
            np.testing.assert_array_equal(one, maps[0])

    def test_more_channels_than_pixels(self):
        """The other product of A with itself."""
        L = keras.layers
        model = keras.Sequential(
            [keras.Input((4, 5, 2)), L.Conv2D(40, 3, name="wide"), L.GlobalAveragePooling2D(), L.Dense(2)]
        )
        x = np.random.default_rng(0).random((1, 4, 5, 2))
        e = cx.explain.eigen_cam(model, x, dtype="float64")
        rows = e.steps["activations"][0].reshape(-1, 40)
        u, s, vt = np.linalg.svd(rows)
        np.testing.assert_allclose(np.abs(e.raw).ravel(), np.abs(rows @ vt[0]), atol=1e-9)

    def test_one_direction(self):
        """All pixels see multiples of one vector: the map is the multiple."""
        model = keras.Sequential(
            [
                keras.Input((3, 4, 1)),
                keras.layers.Conv2D(2, 1, use_bias=False, name="maps"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(2),
            ]
        )
        model.layers[0].set_weights([np.array([3.0, 4.0]).reshape(1, 1, 1, 2)])
        x = np.arange(12.0).reshape(1, 3, 4, 1)
        e = cx.explain.eigen_cam(model, x, 0, layer="maps")
        np.testing.assert_allclose(e.raw[0], 5 * x[0, :, :, 0], rtol=1e-5)
        np.testing.assert_allclose(e.steps["channel weights"][0], [0.6, 0.8], rtol=1e-5)

    def test_nothing_active(self, model, x):
        w = model.get_weights()
        w[5] = w[5] - 100
        model.set_weights(w)
        e = cx.explain.eigen_cam(model, x)
        assert not e.map.any() and "no positive evidence" in e.warnings[0]
