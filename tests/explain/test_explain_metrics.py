"""Insertion, deletion, average drop, increase in confidence and the pointing game: NumPy, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras
M = cx.explain.metrics
H, W = small.HEIGHT, small.WIDTH


def linear(weights):
    """y = (0, sum of w x) on images (H,W,1)."""
    w = np.zeros((weights.size, 2))
    w[:, 1] = weights.reshape(-1)
    model = keras.Sequential(
        [keras.Input((*weights.shape, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.set_weights([w, np.zeros(2)])
    return model


def shuffled(seed=0, shape=(4, 5)):
    values = np.arange(1, 1 + np.prod(shape))
    return np.random.default_rng(seed).permutation(values).reshape(shape).astype(np.float64)


class TestLinear:
    """y = sum of w over the visible pixels of a white image: every curve is a sum of the weights."""

    @pytest.mark.parametrize("way", ["best", "worst"])
    def test_insertion_and_deletion(self, way):
        w = shuffled()
        maps = w if way == "best" else -w
        order = np.sort(w.reshape(-1))[:: -1 if way == "best" else 1]
        rising = np.concatenate([[0], np.cumsum(order)])
        options = {"class_index": 1, "steps": 20, "score": "logit"}
        got = M.insertion(linear(w), np.ones((4, 5)), maps, baseline=0, **options)
        np.testing.assert_allclose(got.curve, rising, atol=1e-4)
        np.testing.assert_allclose(got.value, np.trapezoid(rising, dx=1 / 20), rtol=1e-6)
        gone = M.deletion(linear(w), np.ones((4, 5)), maps, **options)
        np.testing.assert_allclose(gone.curve, w.sum() - rising, atol=1e-4)
        np.testing.assert_allclose(gone.places, np.arange(21) / 20)
        assert (got.higher_is_better, gone.higher_is_better) == (True, False)

    def test_the_best_map_wins_and_the_worst_loses(self):
        w = shuffled(1)
        maps = [w, -w, *np.random.default_rng(2).random((8, 4, 5))]
        for metric, sign in ((M.insertion, 1), (M.deletion, -1)):
            areas = [
                sign * metric(linear(w), np.ones((4, 5)), m, 1, baseline=0, score="logit").value for m in maps
            ]
            assert areas[0] == max(areas) and areas[1] == min(areas)

    def test_few_steps_round_to_the_nearest_pixel(self):
        w = shuffled(3)
        got = M.deletion(linear(w), np.ones((4, 5)), w, 1, steps=3, score="logit")
        np.testing.assert_allclose(got.places * 20, [0, 7, 13, 20])
        top = np.sort(w.reshape(-1))[::-1]
        np.testing.assert_allclose(got.curve, [w.sum() - top[:k].sum() for k in (0, 7, 13, 20)], atol=1e-4)
        many = M.deletion(linear(w), np.ones((4, 5)), w, 1, steps=1000, score="logit")
        assert many.curve.shape == (21,)

    def test_confidence(self):
        w = np.ones((4, 5))
        maps = np.stack([np.ones((4, 5)), np.zeros((4, 5)), np.full((4, 5), 0.25)])
        options = {"class_index": 1, "score": "logit"}
        got = M.average_drop(linear(w), np.ones((3, 4, 5)), maps, **options)
        np.testing.assert_allclose(got.per_image, [0, 100, 75], atol=1e-4)
        np.testing.assert_allclose(got.details["masked score"], [20, 0, 5], atol=1e-5)
        assert not got.higher_is_better and got.curve is None
        mixed = np.ones((4, 5))
        mixed[0] = -1
        up = M.increase_in_confidence(
            linear(mixed), np.ones((2, 4, 5)), np.stack([mixed > 0, w > 0]), **options
        )
        assert up.per_image.tolist() == [100, 0] and up.value == 50 and up.higher_is_better

    def test_a_score_that_is_not_positive_is_left_out(self):
        x = np.stack([np.ones((4, 5)), -np.ones((4, 5)), np.zeros((4, 5))])
        got = M.average_drop(linear(np.ones((4, 5))), x, np.full(x.shape, 0.5), 1, score="logit")
        np.testing.assert_allclose(got.per_image, [50, np.nan, np.nan], atol=1e-4)
        assert got.left_out == 2 and got.value == pytest.approx(50)
        assert "not positive (images 1, 2)" in got.warnings[-1] and "2 left out" in repr(got)
        none = M.average_drop(linear(np.ones((4, 5))), x[1:], np.full(x[1:].shape, 0.5), 1, score="logit")
        assert np.isnan(none.value) and none.left_out == 2


def twin_blur(image):
    at = np.arange(-5, 6)
    bell = np.exp(-(at[:, None] ** 2 + at**2) / 50)
    made = np.zeros_like(image)
    for i in range(H):
        for j in range(W):
            total = 0
            for a in at:
                for b in at:
                    if 0 <= i + a < H and 0 <= j + b < W:
                        made[i, j] += bell[a + 5, b + 5] * image[i + a, j + b]
                        total += bell[a + 5, b + 5]
            made[i, j] /= total
    return made


@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize("base", ["blur", 0.3, None])
def test_curves_against_numpy(model, x, score, base):
    maps = np.random.default_rng(3).random((3, H, W))
    classes = np.array([1, 2, 0])
    for name in ("insertion", "deletion"):
        got = getattr(M, name)(
            model, x, maps, classes, steps=7, baseline=base, score=score, dtype="float64", batch_size=5
        )
        for i in range(3):
            other = twin_blur(x[i]) if base == "blur" else np.full(x[i].shape, base or 0.0)
            order = np.argsort(-maps[i].reshape(-1))
            want = []
            for step in range(8):
                shown = np.zeros(H * W, bool)
                shown[order[: int(np.floor(step * H * W / 7 + 0.5))]] = True
                shown = shown.reshape(H, W, 1) == (name == "insertion")
                twin = small.Twin(np.where(shown, x[i], other)[None])
                want.append((twin.probabilities if score == "probability" else twin.logits)[0, classes[i]])
            np.testing.assert_allclose(got.curves[i], want, atol=1e-6)
        np.testing.assert_allclose(got.curve, got.curves.mean(0))
        assert got.value == pytest.approx(got.per_image.mean())


def test_confidence_against_numpy(model, x):
    maps = np.random.default_rng(3).random((3, H, W))
    whole = small.Twin(x).probabilities[:, 2]
    seen = small.Twin(x * maps[..., None] + 0.2 * (1 - maps[..., None])).probabilities[:, 2]
    got = M.average_drop(model, x, maps, 2, baseline=0.2, dtype="float64")
    np.testing.assert_allclose(got.per_image, 100 * np.maximum(whole - seen, 0) / whole, atol=1e-4)
    up = M.increase_in_confidence(model, x, maps, 2, baseline=0.2, dtype="float64")
    np.testing.assert_array_equal(up.per_image, 100.0 * (seen > whole))


class TestTies:
    def test_a_constant_map_is_a_random_order_and_not_that_of_memory(self):
        w = np.arange(20.0).reshape(4, 5)
        flat = np.ones((4, 5))
        areas = [
            M.insertion(linear(w), np.ones((4, 5)), flat, 1, baseline=0, score="logit", seed=s).value
            for s in range(40)
        ]
        best = M.insertion(linear(w), np.ones((4, 5)), w, 1, baseline=0, score="logit").value
        worst = M.insertion(linear(w), np.ones((4, 5)), -w, 1, baseline=0, score="logit").value
        assert np.ptp(areas) > 5 and worst < min(areas) and max(areas) < best
        assert np.mean(areas) == pytest.approx(w.sum() / 2, rel=0.05)  # what chance gives

    def test_the_same_order_for_all_images_and_maps(self):
        w = shuffled(4)
        got = M.deletion(linear(w), np.ones((2, 4, 5)), np.stack([np.zeros((4, 5)), np.ones((4, 5))]), 1)
        np.testing.assert_array_equal(got.curves[0], got.curves[1])
        alone = M.deletion(linear(w), np.ones((4, 5)), np.full((4, 5), 7), 1)
        np.testing.assert_array_equal(alone.curves[0], got.curves[0])

    def test_only_among_equals(self):
        w = shuffled(5)
        maps = np.zeros((4, 5))
        maps[2, 3] = 1
        got = M.deletion(linear(w), np.ones((4, 5)), maps, 1, steps=20, score="logit", seed=3)
        np.testing.assert_allclose(got.curve[1], w.sum() - w[2, 3], atol=1e-4)


class TestPointing:
    def test_hits_misses_and_empty_masks(self):
        maps, masks = np.zeros((4, 5, 6)), np.zeros((4, 5, 6), bool)
        maps[:, 2, 3] = 1
        masks[0, 2, 3] = masks[1, 0, 0] = masks[3, 2, 3] = True
        got = M.pointing_game(maps, masks)
        np.testing.assert_array_equal(got.per_image, [1, 0, np.nan, 1])
        assert got.value == pytest.approx(2 / 3) and got.left_out == 1
        assert "the mask is empty (images 2)" in got.warnings[0]
        nothing = M.pointing_game(maps, masks & False)
        assert np.isnan(nothing.value) and nothing.left_out == 4

    def test_a_constant_map_scores_what_the_object_covers(self):
        masks = np.zeros((5, 6))
        masks[:2, :3] = 7
        for value in (0, 1, -3):
            got = M.pointing_game(np.full((5, 6), value), masks)
            assert got.value == pytest.approx(6 / 30) and got.details["maxima"][0] == 30

    def test_several_maxima(self):
        maps, masks = np.zeros((5, 6)), np.zeros((5, 6), bool)
        maps[0, 0] = maps[4, 5] = maps[2, 2] = 1
        masks[4, 5] = True
        assert M.pointing_game(maps, masks).value == pytest.approx(1 / 3)
        assert M.pointing_game(maps[::-1, ::-1], masks[::-1, ::-1]).value == pytest.approx(1 / 3)

    @pytest.mark.parametrize("reach", [0, 0.5, 1, 1.5, 3, 100])
    def test_tolerance(self, reach):
        rng = np.random.default_rng(0)
        maps, masks = rng.random((30, 7, 9)), rng.random((30, 7, 9)) > 0.96
        masks[0] = False
        got = M.pointing_game(maps, masks, tolerance=reach)
        for one, mask, value in zip(maps, masks, got.per_image, strict=True):
            point = np.unravel_index(one.argmax(), one.shape)
            there = np.argwhere(mask)
            want = np.nan if not len(there) else np.hypot(*(there - point).T).min() <= reach
            np.testing.assert_equal(value, float(want))

    @pytest.mark.parametrize(
        "maps, masks, options, message",
        [
            (np.zeros((2, 3, 4)), np.zeros((2, 3, 5)), {}, "`masks` must be"),
            (np.zeros(4), np.zeros(4), {}, "`maps` must have shape"),
            (np.full((3, 4), np.nan), np.zeros((3, 4)), {}, "`maps` must be finite"),
            (np.zeros((3, 4)), np.zeros((3, 4)), {"tolerance": -1}, "`tolerance` must be"),
        ],
    )
    def test_bad_input(self, maps, masks, options, message):
        with pytest.raises(ValueError, match=message):
            M.pointing_game(maps, masks, **options)


MAPPED = ("insertion", "deletion", "average_drop", "increase_in_confidence", "road")


@pytest.mark.parametrize("name", MAPPED)
class TestManners:
    def measured(self, name, model, x, maps, *arguments, **options):
        few = {"fractions": [0.2, 0.6]} if name == "road" else {"steps": 5} if name[-3:] == "ion" else {}
        return getattr(M, name)(model, x, maps, *arguments, **few, **options)

    def test_batches_change_no_bit(self, model, x, name):
        maps = np.random.default_rng(1).random((3, H, W))
        whole = self.measured(name, model, x, maps, [1, 2, 0])
        part = self.measured(name, model, x, maps, [1, 2, 0], batch_size=2)
        np.testing.assert_array_equal(part.per_image, whole.per_image)
        alone = [self.measured(name, model, x[i], maps[i], c).per_image for i, c in enumerate([1, 2, 0])]
        np.testing.assert_array_equal(np.concatenate(alone), whole.per_image)

    def test_the_explanation_s_classes_count(self, model, x, name):
        e = cx.explain.grad_cam(model, x, [3, 2, 1])
        got = self.measured(name, model, x, e)
        assert got.details["class_index"].tolist() == [3, 2, 1]
        np.testing.assert_array_equal(
            got.per_image, self.measured(name, model, x, e.map, [3, 2, 1]).per_image
        )
        assert self.measured(name, model, x, e, 0).details["class_index"].tolist() == [0, 0, 0]
        assert self.measured(name, model, x, e.map).details["class_index"].tolist() == (
            small.Twin(x).logits.argmax(1).tolist()
        )
        np.testing.assert_array_equal(self.measured(name, model, x[1], e[1]).per_image, got.per_image[1:2])

    def test_all_is_left_as_it_was(self, model, x, name, unchanged):
        maps = np.random.default_rng(1).random((3, H, W))
        state, copies, seen = unchanged(model), (x.copy(), maps.copy()), []
        self.measured(name, model, x, maps, progress=lambda *a: seen.append(a), batch_size=4)
        assert seen[-1][0] == seen[-1][1]

        def stop(done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.measured(name, model, x, maps, progress=stop)
        state.check()
        np.testing.assert_array_equal(x, copies[0])
        np.testing.assert_array_equal(maps, copies[1])

    @pytest.mark.parametrize(
        "maps, message",
        [
            (np.zeros((3, H, W + 1)), "`maps` must be an Explanation of these images or an array of shape"),
            (np.full((3, H, W), np.nan), "`maps` must be finite"),
            (np.zeros((3, H, W), complex), "`maps` must be real"),
        ],
    )
    def test_bad_maps(self, model, x, name, maps, message):
        with pytest.raises(ValueError, match=message):
            self.measured(name, model, x, maps)

    def test_bad_arguments(self, model, x, name):
        maps = np.zeros((3, H, W))
        with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
            self.measured(name, model, x, maps, wrong=1)
        with pytest.raises(ValueError, match="`class_index` must be between 0 and 3"):
            self.measured(name, model, x, maps, 4)

    def test_constant_maps_and_even_images(self, model, name):
        for value in (0.0, 1.0):
            got = self.measured(name, model, np.full((2, H, W, 3), 0.5), np.full((2, H, W), value))
            assert np.isfinite(got.value) and got.left_out == 0

    def test_pictures_and_text(self, model, x, name):
        got = self.measured(name, model, x, np.random.default_rng(0).random((3, H, W)))
        assert got._repr_png_()[:4] == b"\x89PNG"
        assert repr(got).startswith(f"<Metric {name} ") and "better>" in repr(got)
        assert float(got) == got.value and got.to_dict()["metric"] == name and len(got) == 3


@pytest.mark.parametrize(
    "name, options, error, message",
    [
        ("insertion", {"steps": 0}, ValueError, "`steps` must be a positive integer"),
        ("insertion", {"seed": 0.5}, TypeError, "`seed` must be an integer"),
        ("insertion", {"baseline": "red"}, ValueError, "`baseline` must be"),
        ("deletion", {"baseline": [1, 2]}, ValueError, "`baseline` must be"),
        ("deletion", {"baseline": np.zeros((2, 2))}, ValueError, "`baseline` must have shape"),
    ],
)
def test_bad_input(model, x, name, options, error, message):
    with pytest.raises(error, match=message):
        getattr(M, name)(model, x, np.zeros((3, H, W)), **options)


def test_maps_beyond_one(model, x):
    for value in (-0.1, 1.1):
        with pytest.raises(ValueError, match=r"`maps` must lie in 0..1"):
            M.average_drop(model, x, np.full((3, H, W), value))
