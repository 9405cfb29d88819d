"""Activation maximization: its steps against NumPy, what it finds, seeds, targets and bad arguments."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx
from cnnexplain.explain.image_space import COLOURS, Space, blurred, total_variation

keras, L = cx.keras, cx.keras.layers
maximize = cx.explain.activation_maximization
PLAIN = {"jitter": 0, "blur": 0, "total_variation": 0}


def weights_of(model):
    return [np.asarray(w, np.float64) for w in model.get_weights()]


class TestImageSpace:
    def test_gradients(self):
        rng = np.random.default_rng(0)
        z, slope = rng.normal(size=(2, 2, 3, 4, 3))
        low, high = np.full((1, 3, 4, 3), -1.0), np.full((1, 3, 4, 3), 3.0)
        for decorrelate in (False, True):
            space = Space(low, high, decorrelate)

            def total(z, space=space):
                s = space.unit(z)
                return (space.pixels(s) * slope).sum() + total_variation(s)[0].sum()

            s = space.unit(z)
            got = space.back(s, slope, total_variation(s)[1])
            for at in [(0, 0, 0, 0), (0, 1, 2, 1), (1, 2, 3, 2)]:
                step = np.zeros_like(z)
                step[at] = 1e-6
                np.testing.assert_allclose(got[at], (total(z + step) - total(z - step)) / 2e-6, rtol=1e-6)

    def test_colours(self):
        low, high = np.zeros((1, 1, 1, 3)), np.ones((1, 1, 1, 3))
        z = np.array([0.3, -0.2, 0.5]).reshape(1, 1, 1, 3)
        mixing = COLOURS / np.sqrt((COLOURS**2).sum(0)).max()
        want = 1 / (1 + np.exp(-mixing @ z.ravel()))
        np.testing.assert_allclose(Space(low, high, True).unit(z).ravel(), want)
        np.testing.assert_allclose(Space(low, high, True, bgr=True).unit(z).ravel(), want[::-1])
        x = np.random.default_rng(0).uniform(0.1, 0.9, (1, 2, 2, 3))
        space = Space(np.zeros((1, 2, 2, 3)), np.ones((1, 2, 2, 3)), True)
        np.testing.assert_allclose(space.unit(space.inverse(x)), x)

    def test_total_variation_by_hand(self):
        s = np.array([[0.0, 1], [3, 2]]).reshape(1, 2, 2, 1)
        value, slope = total_variation(s)
        assert value.tolist() == [1 + 1 + 9 + 1]
        assert slope.ravel().tolist() == [-2 - 6, 2 - 2, 6 + 2, 2 - 2]

    def test_blur(self):
        z = np.zeros((1, 9, 11, 2))
        z[0, 4, 5, 1] = 1
        got = blurred(z, 0.8)
        weights = np.exp(-0.5 * (np.arange(-3, 4) / 0.8) ** 2)
        weights /= weights.sum()
        np.testing.assert_allclose(got[0, 1:8, 2:9, 1], np.outer(weights, weights), atol=1e-15)
        assert not got[..., 0].any()
        np.testing.assert_allclose(blurred(np.full((1, 3, 4, 1), 7.0), 2.0), 7)
        np.testing.assert_array_equal(blurred(z, 0), z)


def test_steps_against_numpy(model):
    """Five steps with shifts, blur and total variation, in float64."""
    w = weights_of(model)
    settings = {"jitter": 2, "blur": 0.6, "blur_every": 2, "total_variation": 0.05, "learning_rate": 0.1}
    found = maximize(model, [2, 0], steps=5, seed=4, dtype="float64", colours="plain", **settings)
    start = maximize(model, 2, steps=1, seed=4, dtype="float64", colours="plain", learning_rate=1e-9)
    z = np.repeat(np.log(start.inputs / (1 - start.inputs)).astype(np.float64), 2, 0)
    assert 0.005 < z.std() < 0.02
    shifts = np.asarray(cx.random.stateless_uniform((5, 2), (4, 1), -2, 3, "int64"))
    assert np.abs(shifts).max() <= 2 and shifts.any()
    m, v, hot = np.zeros_like(z), np.zeros_like(z), np.eye(4)[[2, 0]]
    for t, shift in enumerate(shifts, 1):
        s = 1 / (1 + np.exp(-z))
        net = small.Twin(np.roll(s, shift, (1, 2)), w)
        d = np.roll(net.gradient(hot)["image"], -shift, (1, 2))
        below, beside = np.diff(s, axis=1), np.diff(s, axis=2)
        rough = (below**2).sum((1, 2, 3)) + (beside**2).sum((1, 2, 3))
        np.testing.assert_allclose(found.curve[:, t - 1], (net.logits * hot).sum(1) - 0.05 * rough, atol=1e-6)
        d[:, 1:] -= 0.1 * below
        d[:, :-1] += 0.1 * below
        d[:, :, 1:] -= 0.1 * beside
        d[:, :, :-1] += 0.1 * beside
        d *= s * (1 - s)
        m, v = 0.9 * m + 0.1 * d, 0.999 * v + 0.001 * d * d
        z = z + 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        if t % 2 == 0:
            z = blurred(z, 0.6)
    np.testing.assert_allclose(found.inputs, 1 / (1 + np.exp(-z)), atol=1e-6)
    np.testing.assert_allclose(found.activation, (small.Twin(found.inputs, w).logits * hot).sum(1), atol=1e-9)


class TestWhatItFinds:
    def test_a_linear_model_gets_its_weights_signs(self):
        model = keras.Sequential([keras.Input((5, 4, 2)), L.Flatten(), L.Dense(3)])
        kernel = model.get_weights()[0].reshape(5, 4, 2, 3)
        found = maximize(model, [0, 2], steps=150, learning_rate=0.1, **PLAIN)
        clear = np.abs(kernel) > 0.05
        for i, c in enumerate([0, 2]):
            np.testing.assert_array_equal(
                found.inputs[i][clear[..., c]] > 0.5, kernel[..., c][clear[..., c]] > 0
            )
        best = np.maximum(kernel, 0).sum((0, 1, 2))[[0, 2]]
        assert (found.activation > 0.95 * best).all() and (found.activation < best).all()
        assert (np.diff(found.curve, axis=1) > 0).all()

    @pytest.mark.parametrize("build", [small.sequential, small.functional, small.nested])
    def test_classes(self, build):
        found = maximize(build(keras), [0, 1, 2, 3], steps=30)
        assert (found.activation > found.start).all() and found.curve.shape == (4, 30)
        assert found.images.shape == (4, 11, 14, 3) and found.targets == (
            "class 0",
            "class 1",
            "class 2",
            "class 3",
        )
        assert found.images.dtype == np.float32 and found.images.min() >= 0 and found.images.max() <= 1
        assert found.parameters["jitter"] == 1 and found.parameters["colours"] == "decorrelated"

    def test_units(self, model):
        """The activation is the mean before ReLU, or one place of it."""
        w = weights_of(model)
        layer = model.get_layer("second")
        found = maximize(model, ("second", [0, 3, 5]), steps=20, dtype="float64")
        twin = small.Twin(found.inputs, w)
        np.testing.assert_allclose(found.activation, twin.z2.mean((1, 2))[range(3), [0, 3, 5]], atol=1e-9)
        assert (found.activation > found.start).all() and found.targets[1] == "second 3"
        one = maximize(model, (layer, (2, 4, 3)), steps=20, dtype="float64", **PLAIN)
        np.testing.assert_allclose(one.activation, small.Twin(one.inputs, w).z2[:, 2, 4, 3], atol=1e-9)
        begin = maximize(model, 0, steps=1, learning_rate=1e-30, dtype="float64")
        far = np.abs(one.inputs - begin.inputs)[0]
        assert far[1:9, 5:13].max() > 0.1  # what the place sees
        assert not far[9:].any() and not far[:, :5].any()
        dense = maximize(model, ("mean", 2), steps=20, dtype="float64")
        np.testing.assert_allclose(
            dense.activation, small.Twin(dense.inputs, w).third.mean((1, 2))[:, 2], atol=1e-9
        )

    def test_a_layer(self, model):
        found = maximize(model, "third", steps=20, dtype="float64")
        third = small.Twin(found.inputs, weights_of(model)).third
        np.testing.assert_allclose(found.activation, (third**2).mean((1, 2, 3)), atol=1e-9)
        assert found.activation > found.start and found.targets == ("third",)
        assert found.parameters["objective"] == "mean of squares"

    def test_regularisers_do_what_they_are_for(self, model):
        plain = maximize(model, 1, steps=60, **PLAIN)
        smooth = [
            maximize(model, 1, steps=60, **PLAIN | {"total_variation": 1.0}),
            maximize(model, 1, steps=60, **PLAIN | {"blur": 0.8, "blur_every": 2}),
        ]
        rough = [total_variation(found.inputs.astype(float))[0][0] for found in (plain, *smooth)]
        assert rough[1] < 0.5 * rough[0] and rough[2] < 0.5 * rough[0]
        assert plain.activation > smooth[0].activation > smooth[0].start

    @pytest.mark.parametrize("size, rate", [((28, 60), 0.2), ((112, 300), 0.1), ((448, 448), 0.05)])
    def test_shifts_and_steps_know_the_side(self, size, rate):
        picture = keras.Input((None, None, 1))
        maps = keras.layers.Conv2D(1, 3)(picture)
        model = keras.Model(picture, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
        found = maximize(model, 1, steps=1, size=size)
        assert found.parameters["jitter"] == max(1, size[0] // 32)
        assert found.parameters["learning_rate"] == pytest.approx(rate)
        own = maximize(model, 1, steps=1, size=size, learning_rate=0.3)
        assert own.parameters["learning_rate"] == 0.3

    def test_a_small_image_is_not_blurred_away(self):
        """Of 28 pixels, small steps do not keep up with the blur."""
        network = cx.demo.load_network()
        found, blurred_away = (
            cx.explain.activation_maximization(network, [1], steps=160, learning_rate=rate)
            for rate in (None, 0.05)
        )
        assert found.activation > 1.5 * blurred_away.activation > 0

    def test_bounds_and_preprocessing(self, model):
        for options, low, high in (
            ({"low": -2, "high": 5}, -2, 5),
            ({"preprocess": "tf"}, -1, 1),
            (
                {"preprocess": "caffe"},
                np.array([-103.939, -116.779, -123.68]),
                np.array([151.061, 138.221, 131.32]),
            ),
            ({"low": [0, 1, 2], "high": [1, 3, 5]}, np.array([0, 1, 2]), np.array([1, 3, 5])),
        ):
            found = maximize(model, 1, steps=30, **options)
            unit = (found.inputs - low) / (np.asarray(high) - low)
            shown = unit[..., ::-1] if options.get("preprocess") == "caffe" else unit
            np.testing.assert_allclose(found.images, shown, atol=1e-5)
            assert unit.min() >= 0 and unit.max() <= 1 and np.ptp(unit) > 0.1

    def test_from_an_image(self, model, x):
        found = maximize(model, [1, 2], start=x[0], steps=1, learning_rate=1e-12)
        np.testing.assert_allclose(found.inputs[1], np.clip(x[0], 0.01, 0.99), atol=1e-5)
        each = maximize(model, [1, 2], start=x[:2], steps=1, learning_rate=1e-12)
        np.testing.assert_allclose(each.inputs, np.clip(x[:2], 0.01, 0.99), atol=1e-5)

    def test_any_size(self):
        model = keras.Sequential([keras.Input((None, None, 3)), *small.layers_of(keras)])
        assert maximize(model, 1, size=(9, 12), steps=2).images.shape == (1, 9, 12, 3)
        with pytest.raises(ValueError, match="`size` must be given, because the model takes any"):
            maximize(model, 1)


class TestManners:
    def test_seeds_and_company(self, model, unchanged):
        checker = unchanged(model)
        whole = maximize(model, [0, 1, 2], steps=8)
        again, other = maximize(model, [0, 1, 2], steps=8), maximize(model, [0, 1, 2], steps=8, seed=1)
        np.testing.assert_array_equal(whole.inputs, again.inputs)
        assert np.abs(whole.inputs - other.inputs).max() > 1e-3
        for size in (1, 2):
            parted = maximize(model, [0, 1, 2], steps=8, batch_size=size)
            np.testing.assert_array_equal(parted.inputs, whole.inputs)
            np.testing.assert_array_equal(parted.curve, whole.curve)
        np.testing.assert_array_equal(maximize(model, 2, steps=8).inputs[0], whole.inputs[2])
        checker.check()

    def test_progress(self, model):
        seen = []
        maximize(
            model, [0, 1, 2], steps=3, batch_size=2, progress=lambda done, total: seen.append((done, total))
        )
        assert seen == [(i, 6) for i in range(1, 7)]

    def test_interrupted(self, model, unchanged):
        def stop(done, total):
            raise KeyboardInterrupt

        checker = unchanged(model)
        with pytest.raises(KeyboardInterrupt):
            maximize(model, 1, steps=3, progress=stop)
        checker.check()

    def test_plot(self, model):
        pytest.importorskip("matplotlib")
        found = maximize(model, [0, 1], steps=3, class_names=["a", "b", "c", "d"])
        figure = found.plot()
        assert [axes.get_title() for axes in figure.axes[:2]] == [
            f"{name}: {value:.3g}" for name, value in zip("ab", found.activation, strict=True)
        ]
        assert found._repr_png_()[:4] == b"\x89PNG" and repr(found) == "<Maximized 2 images 11x14: a, b>"
        assert len(found) == 2


class TestBad:
    def test_targets(self, model):
        def refused(text, target, kind=ValueError, **options):
            with pytest.raises(kind, match=text):
                maximize(model, target, steps=1, **options)

        refused("`class_index` must be between 0 and 3", 4)
        refused("`target` must be a class, a list of classes, a layer or a tuple", 1.5)
        refused("`target` must be a class", [])
        refused("no layer 'conv9'", "conv9")
        refused(r"`target` must be \(layer, unit\) as a tuple", ("second", 1, 2))
        refused("at least one unit", ("second", []))
        refused("`target` must name a unit of layer 'second'.*Received: unit 6", ("second", 6))
        refused("Received: unit -1", ("second", -1))
        refused(r"a number, or \(row, column, number\). Received: unit \(5, 0, 0\)", ("second", (5, 0, 0)))
        refused("Received: unit 'a'", ("second", "a"))
        refused("Received: unit True", ("second", True))

    def test_settings(self, model, x):
        def refused(text, kind=ValueError, **options):
            with pytest.raises(kind, match=text):
                maximize(model, 1, **{"steps": 1} | options)

        refused("`steps` must be a positive integer", steps=0)
        refused("`jitter` must be an integer of 0 or more", jitter=-1)
        refused("`learning_rate` must be positive", learning_rate=0)
        refused("`blur` must be a number of 0 or more", blur=-1)
        refused("`blur_every` must be a positive integer", blur_every=0)
        refused("`total_variation` must be a finite number", total_variation=np.nan)
        refused("`colours` must be None, decorrelated or plain", colours="rgb")
        refused("`high` must be above `low`. Received: low up to 1, high from 1", low=1)
        refused("`low='black'` needs `preprocess`", low="black")
        refused("`start` must have shape", start=x)
        refused("`start` must be finite", start=np.full((11, 14, 3), np.nan))
        refused(r"`size` must fit the model's input \(None, 11, 14, 3\)", size=(9, 14))
        refused(r"`size` must be \(height, width\)", size=9)
        refused("unexpected keyword argument 'step'", TypeError, step=1)
        with pytest.raises(TypeError, match="`model` must be a keras Model"):
            maximize(np.ones(3), 1)
        grey = keras.Sequential([keras.Input((4, 4, 1)), L.Flatten(), L.Dense(2)])
        with pytest.raises(ValueError, match="`colours='decorrelated'` is for 3 channels"):
            maximize(grey, 1, colours="decorrelated")
        two = [keras.Input((4, 4, 1)), keras.Input((4, 4, 1))]
        with pytest.raises(ValueError, match=r"`model` must have one input of images \(n,H,W,C\)"):
            maximize(keras.Model(two, L.Dense(2)(L.Flatten()(L.Add()(two)))), 1)

    def test_values_that_overflow(self, model):
        with pytest.raises(ValueError, match="not finite at step 0: the network's values overflow"):
            maximize(model, 1, steps=2, low=0, high=3e38)
        model.set_weights([w * np.nan for w in model.get_weights()])
        with pytest.raises(ValueError, match="or its weights hold NaN"):
            maximize(model, 1, steps=2)

    def test_a_dead_target_says_so(self, model):
        model.set_weights([0 * w for w in model.get_weights()])
        found = maximize(model, [0, 1], steps=3, total_variation=0)
        assert found.warnings[0].endswith("did not change: class 0, class 1")
        assert np.isfinite(found.images).all()
