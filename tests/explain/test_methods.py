"""What every method of the two families keeps to: batches, manners, arguments, steps, extreme images."""

from __future__ import annotations

import inspect
import os

import numpy as np
import pytest
import small

import cnnexplain as cx
from cnnexplain.explain import arguments

keras = cx.keras
FEW = {"samples": 3}
# method -> options that make it quick
CAMS: dict[str, dict] = {
    "grad_cam_plus_plus": {},
    "smooth_grad_cam_plus_plus": FEW,
    "hires_cam": {},
    "layer_cam": {},
    "xgrad_cam": {},
    "score_cam": {},
    "ablation_cam": {},
    "eigen_cam": {},
}
PIXELS: dict[str, dict] = {
    "input_x_gradient": {},
    "integrated_gradients": {"steps": 4},
    "smooth_grad": FEW,
    "square_grad": FEW,
    "var_grad": FEW,
    "rectified_gradient": {},
    "guided_grad_cam": {},
    "full_grad": {},
}
METHODS = CAMS | PIXELS
SAMPLED = ("smooth_grad_cam_plus_plus", "integrated_gradients", "smooth_grad", "square_grad", "var_grad")


def explain(method, model, images, *arguments, **options):
    return cx.explain(model, images, *arguments, method=method, **METHODS[method], **options)


@pytest.mark.parametrize("method", list(METHODS))
class TestManners:
    def test_batches_change_nothing(self, model, method):
        x = small.images(5).astype(np.float32)
        classes = [0, 1, 2, 3, 0]
        whole = explain(method, model, x, classes)
        part = explain(method, model, x, classes, batch_size=2)
        alone = [explain(method, model, x[i], classes[i]) for i in range(5)]
        for name in ("raw", "map", "score", "probability"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
            np.testing.assert_array_equal(
                np.concatenate([getattr(e, name) for e in alone]), getattr(whole, name), err_msg=name
            )

    def test_the_model_and_the_images_are_left_alone(self, model, x, method, unchanged):
        x = x.astype(np.float32)
        before, predicted, copy = unchanged(model), model.predict(x, verbose=0), x.copy()
        with cx.GradientTape(persistent=True) as tape:
            explain(method, model, x)
            v = cx.Variable(3.0)
            y = v * v
        assert float(tape.gradient(y, v)) == 6.0
        watched = {id(variable) for variable in tape.watched_variables()}
        assert not watched & {id(variable) for variable in model.trainable_variables}
        before.check()
        np.testing.assert_array_equal(model.predict(x, verbose=0), predicted)
        np.testing.assert_array_equal(x, copy)

    def test_an_interrupt_leaves_all_as_it_was(self, model, x, method, unchanged):
        def interrupt(done, total):
            raise KeyboardInterrupt

        x = x.astype(np.float32)
        want = explain(method, model, x, 1)
        before, copy = unchanged(model), x.copy()
        if method != "eigen_cam":  # one run without a bar
            with pytest.raises(KeyboardInterrupt):
                explain(method, model, x, 1, batch_size=2, progress=interrupt)
        for bad in ({"class_index": 99}, {"batch_size": 0}):
            with pytest.raises(ValueError):
                explain(method, model, x, **bad)
        before.check()
        np.testing.assert_array_equal(x, copy)
        np.testing.assert_array_equal(explain(method, model, x, 1).raw, want.raw)

    def test_progress(self, model, x, method, capsys):
        seen = []
        explain(method, model, x, batch_size=2, progress=lambda done, total: seen.append((done, total)))
        if seen:
            done, totals = zip(*seen, strict=True)
            assert len(set(totals)) == 1 and done[-1] == totals[0]
            assert all(0 < b - a <= 2 for a, b in zip((0, *done), done, strict=False))
        if method in SAMPLED:
            assert totals[0] == 3 * next(iter(METHODS[method].values()))
        explain(method, model, x)
        captured = capsys.readouterr()
        assert captured.out == captured.err == ""

    @pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
    def test_even_images_give_no_nan(self, model, method, value):
        e = explain(method, model, np.full((2, small.HEIGHT, small.WIDTH, 3), value))
        assert np.isfinite(e.map).all() and np.isfinite(e.raw).all()
        assert e.map.min() >= 0 and e.map.max() <= 1

    def test_enormous_images_give_a_finite_map(self, model, method):
        x = small.images(2)
        x[1] *= 1e30
        with np.errstate(all="ignore"):
            e = explain(method, model, x, 1)
        assert np.isfinite(e.map).all() and e.map.min() >= 0 and e.map.max() <= 1
        if not np.isfinite(e.raw).all():
            assert any("NaN counts as 0" in text for text in e.warnings)
        with np.errstate(all="ignore"):
            alone = explain(method, model, x[:1], 1)
        np.testing.assert_array_equal(e.map[0], alone.map[0])  # the other image is not touched by it

    def test_nan_is_refused(self, model, x, method):
        x[1, 2, 3] = np.nan
        with pytest.raises(ValueError, match="`images` must be finite. Received: NaN or infinity in image 1"):
            explain(method, model, x)

    def test_steps_are_arrays_of_the_images_and_can_be_plotted(self, model, x, method):
        e = explain(method, model, x)
        assert len(e.steps) >= 2
        for name, array in e.steps.items():
            assert isinstance(array, np.ndarray) and len(array) == 3 and array.dtype.kind == "f", name
        assert len(e[:1].plot(columns=list(e.steps)).axes) >= len(e.steps)
        assert "formula" in e.parameters and e.parameters["batch_size"] == 32
        assert e[1].steps.keys() == e.steps.keys() and repr(e).startswith(
            f"<Explanation {method} of 3 images"
        )

    def test_a_dead_model_has_no_evidence(self, model, x, method):
        w = model.get_weights()
        w[5] = w[5] - 100
        model.set_weights(w)  # the third layer is 0 whatever comes
        e = explain(method, model, x, 1)
        if method == "rectified_gradient":  # whose rule does not look at what a ReLU lets through
            return
        assert not e.map.any() and any("class 1" in text for text in e.warnings)

    def test_float64_and_mixed_company(self, x, method):
        """Two inputs and two outputs; the other input counts."""
        L = keras.layers
        picture, number = keras.Input((small.HEIGHT, small.WIDTH, 3), name="p"), keras.Input((4,), name="n")
        maps = L.Conv2D(4, 3, activation="relu", name="maps")(picture)
        y = L.Multiply()([L.GlobalAveragePooling2D()(maps), number])
        model = keras.Model([picture, number], [L.Dense(3, name="a")(y), L.Dense(2, name="b")(y)])
        numbers = np.arange(12.0).reshape(3, 4) / 10 + 0.1
        kind = {"input": "p", "output": "a", "dtype": "float64"}
        e = explain(method, model, [x, numbers], 1, **kind)
        assert e.raw.dtype == np.float64 and e.map.dtype == np.float32 and len(e) == 3
        for i in range(3):
            alone = explain(method, model, [x[i : i + 1], numbers[i : i + 1]], 1, **kind)
            np.testing.assert_array_equal(alone.raw[0], e.raw[i])
        with pytest.raises(ValueError, match="`output` must say which output is explained"):
            explain(method, model, [x, numbers], 1)

    @pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers keep freed memory")
    def test_memory_stays_flat(self, model, method):
        import resource

        x = small.images(2)
        for _ in range(5):
            explain(method, model, x)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(40):
            explain(method, model, x)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after - before < 4096

    def test_threads_share_a_model(self, model, method):
        from concurrent.futures import ThreadPoolExecutor

        batches = [small.images(2, seed) for seed in range(6)]
        want = [explain(method, model, images, 1).raw for images in batches]
        fresh = small.sequential(keras)
        with ThreadPoolExecutor(3) as pool:
            got = list(pool.map(lambda images: explain(method, fresh, images, 1).raw, batches))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_other_scores(self, model, x, method):
        for score in ("probability", "log_probability", "loss", lambda p: p[:, 0] - p[:, 1]):
            e = explain(method, model, x, 1, score=score)
            assert np.isfinite(e.raw).all()
        want = small.Twin(x).probabilities
        np.testing.assert_allclose(e.score, want[:, 0] - want[:, 1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", [*CAMS, "guided_grad_cam"])
def test_no_map_to_explain(method):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="`layer` cannot be chosen: no layer of the model has a 4-D output"):
        explain(method, model, np.ones((1, 4, 4, 1)))


@pytest.mark.parametrize("method", list(PIXELS))
def test_a_score_that_ignores_the_image(x, method):
    L = keras.layers
    picture, number = keras.Input((small.HEIGHT, small.WIDTH, 3), name="p"), keras.Input((2,), name="n")
    seen = L.Dense(3, name="a")(L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(picture)))
    model = keras.Model([picture, number], [seen, L.Dense(3, name="b")(number)])
    with pytest.raises(ValueError, match="does not depend on the image|leads from the explained input"):
        explain(method, model, [x, np.ones((3, 2))], output="b")


class TestArguments:
    def test_every_method_takes_the_shared_ones(self):
        for name in cx.explain.methods():
            parameters = inspect.signature(getattr(cx.explain, name)).parameters
            assert list(parameters)[:3] == ["model", "images", "class_index"], name
            for shared, default in arguments.DEFAULTS.items():
                assert parameters[shared].kind is inspect.Parameter.KEYWORD_ONLY, (name, shared)
                own = {("rise", "score"): "probability"}.get((name, shared), default)  # the paper's
                assert parameters[shared].default == own, (name, shared)
            assert all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters.values()), name

    def test_every_argument_is_described(self):
        for name in [*cx.explain.methods(), "compare_classes"]:
            function = getattr(cx.explain, name)
            text = inspect.getdoc(function)
            section = text[text.index("Args:") : text.index("Returns:")]
            for parameter in inspect.signature(function).parameters:
                line = "input, output: " if parameter in ("input", "output") else f"{parameter}: "
                assert f"\n    {line}" in section or f", {parameter}: " in section, (name, parameter)
            assert "Raises:" in text and ">>>" in text, name
            if name in METHODS and name not in ("layer_cam", "ablation_cam"):  # whose papers are elsewhere
                assert "arXiv" in text.replace("\n", " "), name

    def test_a_description_of_its_own_is_kept(self):
        text = inspect.getdoc(cx.explain.var_grad)
        assert "samples: how many noisy copies of each image, 2 or more." in text
        assert text.count("samples: ") == 1 and max(map(len, text.splitlines())) <= 106

    def test_an_unknown_one(self, model, x):
        with pytest.raises(TypeError, match=r"hires_cam\(\) got an unexpected keyword argument 'batchsize'"):
            cx.explain.hires_cam(model, x, batchsize=3)

    def test_a_new_method_in_a_few_lines(self, model, x):
        @arguments.method
        def brightest(model, images, class_index=None, *, power=2, **shared):
            """Powers of the image.

            Args:
                power: of each value.

            Returns:
                The session.
            """
            return arguments.open_session("brightest", model, images, class_index, shared)

        assert brightest(model, x, batch_size=5).batch_size == 5
        assert "power: of each value." in brightest.__doc__ and "progress: True" in brightest.__doc__
        assert list(inspect.signature(brightest).parameters)[3:5] == ["power", "score"]
