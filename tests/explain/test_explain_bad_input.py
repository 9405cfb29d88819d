"""What is no image, no class, no layer or no option is refused by every method and metric, in words."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras
M = cx.explain.metrics
H, W = small.HEIGHT, small.WIDTH
FEW = {"samples": 3}
# method -> options that make it quick
METHODS: dict[str, dict] = {
    **{name: {} for name in cx.explain.methods()},
    **dict.fromkeys(("smooth_grad_cam_plus_plus", "smooth_grad", "square_grad", "var_grad"), FEW),
    "integrated_gradients": {"steps": 3},
    "occlusion": {"window": 4, "stride": 4},
    "rise": {"masks": 6},
}
MAPS = np.random.default_rng(0).random((3, H, W))
AMOUNTS = np.random.default_rng(0).random((3, H, W, 3))
METRICS: dict[str, tuple] = {
    "insertion": (MAPS, {"steps": 3}),
    "deletion": (MAPS, {"steps": 3}),
    "average_drop": (MAPS, {}),
    "increase_in_confidence": (MAPS, {}),
    "road": (MAPS, {"fractions": [0.5]}),
    "completeness": (AMOUNTS, {}),
    "infidelity": (AMOUNTS, FEW),
}
X = small.images()
HUGE = float(np.finfo(np.float32).max)
BAD_IMAGES = {
    "NaN": np.where(X > 0.99, np.nan, X),
    "infinity": np.where(X > 0.99, -np.inf, X),
    "beyond float32": X * 1e300,
    "one axis": np.zeros(5),
    "grey": np.zeros((H, W)),
    "five axes": np.zeros((1, 1, H, W, 3)),
    "four channels": np.zeros((2, H, W, 4)),
    "another height": np.zeros((2, H + 1, W, 3)),
    "no image": np.zeros((0, H, W, 3)),
    "a number": 5,
    "None": None,
    "an empty list": [],
    "rows of different lengths": [[1.0], [1.0, 2.0]],
    "objects": np.array([None, 3], object),
    "complex": X + 1j,
    "words": np.full((2, H, W, 3), "a"),
    "a dictionary": {"a": X},
}
BAD_CLASSES = {
    "negative": -1,
    "one too many": 4,
    "a fraction": 1.5,
    "a name": "cat",
    "true": True,
    "too few": [1, 2],
    "one negative": [0, 1, -1],
    "two axes": [[1]],
    "enormous": 2**70,
}
BAD_OPTIONS = [
    {"score": "nope"},
    {"score": None},
    {"dtype": "int8"},
    {"dtype": "nope"},
    {"batch_size": 0},
    {"batch_size": 1.5},
    {"class_names": ["a"]},
    {"class_names": 3},
    {"input": "zz"},
    {"output": 5},
    {"preprocess": 5},
    {"progress": "yes"},
]
BAD_LAYERS = ["nope", "", "head", "mean", 99, -99, 1.0, b"pool", []]
OF_A_LAYER = [name for name in METHODS if "cam" in name.split("_")] + [
    name for name in METHODS if name.endswith("plus_plus")
]


def refused(call):
    """The error in words, with what came or what there is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
    text = str(caught.value)
    assert "Received" in text or "Layers with a map" in text or "Expected one of" in text, text


@pytest.mark.parametrize("method", list(METHODS))
class TestMethods:
    def explain(self, method, model, images, *arguments, **options):
        return cx.explain(model, images, *arguments, method=method, **METHODS[method], **options)

    def test_images(self, model, method):
        for bad in BAD_IMAGES.values():
            refused(lambda bad=bad: self.explain(method, model, bad))

    def test_classes(self, model, method):
        for bad in BAD_CLASSES.values():
            refused(lambda bad=bad: self.explain(method, model, X, bad))

    def test_options(self, model, method):
        for bad in BAD_OPTIONS:
            refused(lambda bad=bad: self.explain(method, model, X, **bad))

    def test_layers(self, model, method):
        if method not in OF_A_LAYER or method == "cam":
            pytest.skip("takes no layer, or only the one before the mean")
        for bad in [*BAD_LAYERS, keras.layers.Dense(3)]:
            refused(lambda bad=bad: self.explain(method, model, X, layer=bad))

    @pytest.mark.filterwarnings("error")
    def test_extreme_images_are_explained_or_refused_without_a_sound(self, model, method):
        for images in (0 * X, X * 1e-40, X * 1e30, X * HUGE, np.full_like(X, -HUGE)):
            try:
                e = self.explain(method, model, images, 1)
            except ValueError as error:
                assert "overflow" in str(error)
            else:
                assert np.isfinite(e.map).all() and e.map.min() >= 0 and e.map.max() <= 1

    def test_types_of_pixels(self, model, method):
        pixels = (X * 255).astype(np.uint8)
        options = {"baseline": 0} if method == "occlusion" else {}  # whose grey is another of whole numbers
        want = self.explain(method, model, pixels, 1, **options)
        for dtype in (np.float32, np.float64, np.int64):
            got = self.explain(method, model, pixels.astype(dtype), 1, **options)
            np.testing.assert_array_equal(got.raw, want.raw)
            np.testing.assert_array_equal(got.map, want.map)

    def test_an_image_does_not_depend_on_its_batch(self, model, method):
        whole = self.explain(method, model, X, 1)
        alone = [self.explain(method, model, x, 1) for x in X]
        small_batches = self.explain(method, model, X, 1, batch_size=2)
        for name in ("map", "raw", "score", "probability"):
            want = getattr(whole, name)
            np.testing.assert_array_equal(getattr(small_batches, name), want, err_msg=name)
            np.testing.assert_array_equal(
                np.concatenate([getattr(e, name) for e in alone]), want, err_msg=name
            )

    def test_an_interrupt_changes_nothing(self, model, method, unchanged):
        def interrupt(done, total):
            raise KeyboardInterrupt

        if method == "eigen_cam":
            pytest.skip("runs once, without a bar")
        want, before, images = self.explain(method, model, X, 1).raw, unchanged(model), X.copy()
        with pytest.raises(KeyboardInterrupt):
            self.explain(method, model, images, 1, batch_size=1, progress=interrupt)
        before.check()
        np.testing.assert_array_equal(images, X)
        np.testing.assert_array_equal(self.explain(method, model, X, 1).raw, want)

    def test_a_network_without_convolutions(self, method):
        L = keras.layers
        model = keras.Sequential([keras.Input((H, W, 3)), L.Flatten(), L.Dense(5, "relu"), L.Dense(4)])
        if method in OF_A_LAYER:
            with pytest.raises(ValueError, match="`layer` cannot be chosen|cam needs convolutions"):
                self.explain(method, model, X)
        else:
            assert np.isfinite(self.explain(method, model, X).map).all()


@pytest.mark.parametrize("metric", list(METRICS))
class TestMetrics:
    def measure(self, metric, model, images, maps=None, *arguments, **options):
        usual, few = METRICS[metric]
        given = usual if maps is None else maps
        return getattr(M, metric)(model, images, given, *arguments, **few, **options)

    def test_images_and_classes(self, model, metric):
        for bad in BAD_IMAGES.values():
            refused(lambda bad=bad: self.measure(metric, model, bad))
        for bad in BAD_CLASSES.values():
            refused(lambda bad=bad: self.measure(metric, model, X, None, bad))

    def test_options(self, model, metric):
        for bad in BAD_OPTIONS:
            refused(lambda bad=bad: self.measure(metric, model, X, **bad))

    def test_maps(self, model, metric):
        usual = METRICS[metric][0]
        for bad in (
            "x",
            np.full_like(usual, np.nan),
            usual[:2],
            np.zeros(3),
            usual + 1j,
            {},
            np.zeros((3, 5, 5)),
        ):
            refused(lambda bad=bad: self.measure(metric, model, X, bad))

    def test_even_maps_have_a_value(self, model, metric):
        usual = METRICS[metric][0]
        for even in (np.ones_like(usual), np.zeros_like(usual), usual > 0.5):
            assert np.isfinite(self.measure(metric, model, X, even).value)

    @pytest.mark.filterwarnings("error")
    def test_overflow_is_left_out_and_counted(self, model, metric):
        m = self.measure(metric, model, np.concatenate([X[:2], X[2:] * HUGE]), None, 1)
        assert (
            np.isnan(m.per_image[2]) and np.isfinite(m.per_image[:2]).all() and "not finite" in m.warnings[0]
        )

    def test_an_image_does_not_depend_on_its_batch(self, model, metric):
        usual = METRICS[metric][0]
        whole = self.measure(metric, model, X, None, 1).per_image
        alone = [self.measure(metric, model, X[i : i + 1], usual[i : i + 1], 1).per_image for i in range(3)]
        np.testing.assert_array_equal(np.concatenate(alone), whole)
        np.testing.assert_array_equal(self.measure(metric, model, X, None, 1, batch_size=2).per_image, whole)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, images: cx.explain.compare(model, images, methods=["saliency"], metrics=["deletion"]),
        lambda model, images: cx.explain.compare_classes(model, images),
        lambda model, images: cx.explain.deconvnet(model, images, "second"),
        lambda model, images: cx.explain.switches(model, images),
        lambda model, images: cx.explain.top_activations(model, images, "second", k=2),
        lambda model, images: M.max_sensitivity(model, images, samples=2),
        lambda model, images: M.model_randomization(model, images),
    ],
    ids=["compare", "compare_classes", "deconvnet", "switches", "top_activations", "sensitivity", "random"],
)
def test_images_of_the_others(model, call):
    for bad in BAD_IMAGES.values():
        refused(lambda bad=bad: call(model, bad))
