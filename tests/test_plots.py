"""Pictures: what they show, and that they stay as they were looked at.

`python tests/test_plots.py` draws the pictures of tests/baseline anew; look at them before you commit them.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import cnnexplain as cx
from cnnexplain.explain import Explanation
from cnnexplain.plot import confusion_matrix, feature_maps, filters, history

BASELINE = Path(__file__).parent / "baseline"
CLOSE = 6.0  # root mean square of differences in 0..255: edges of lines differ between versions of matplotlib


def bumps(n: int, h: int = 12, w: int = 16) -> np.ndarray:
    """(n,h,w) in [0,1]: hills at different places."""
    y, x = np.mgrid[:h, :w]
    return np.stack([np.exp(-((y - 2 - 3 * i) ** 2 + (x - 3 - 4 * i) ** 2) / 9.0) for i in range(n)])


def of_layer() -> Explanation:
    m = bumps(2)
    steps = {"activations": np.stack([m, -m], -1), "weights": m[:, 0, :5]}
    return Explanation(
        map=m.astype(np.float32), raw=m - 0.3, class_index=np.array([0, 1]), score=np.array([2.0, -1.0]),
        probability=np.array([0.9, 0.05]), images=np.stack([m[::-1]] * 3, -1), method="grad_cam",
        layer="conv", class_names=["cat", "dog"], steps=steps,
    )  # fmt: skip


def of_pixels() -> Explanation:
    m = bumps(2)
    raw = np.stack([m - m[::-1], 2 * m, -m], -1)
    return Explanation(
        map=m.astype(np.float32), raw=raw, class_index=np.array([1, 1]), score=np.array([1.0, 2.0]),
        probability=np.array([0.5, 0.6]), images=np.stack([m[::-1]] * 3, -1), method="saliency",
        notes=[("a warning", None)],
    )  # fmt: skip


def comparison() -> cx.explain.Comparison:
    every = {"grad_cam": of_layer(), "saliency": of_pixels()}
    return cx.explain.Comparison(every, {}, dict.fromkeys(every, 0.1), [])


def curve() -> cx.explain.metrics.Metric:
    model = cx.demo.load_network()
    images, labels = cx.demo.load_test_images()
    maps = np.broadcast_to(np.linspace(0, 1, 784).reshape(28, 28), (2, 28, 28))
    return cx.explain.metrics.deletion(model, images[:2], maps, labels[:2], steps=8)


PICTURES = {
    "explanation-of-a-layer": lambda: of_layer().plot(),
    "explanation-of-pixels": lambda: of_pixels().plot(),
    "steps": lambda: of_layer().plot(["activations", "weights", "raw"], shared_scale=True),
    "comparison": lambda: comparison().plot(),
    "comparison-on-one-scale": lambda: comparison().plot(shared_scale=True),
    "curve": lambda: curve().plot(),
    "feature-maps": lambda: feature_maps(bumps(5).transpose(1, 2, 0)),
    "feature-maps-on-one-scale": lambda: feature_maps(bumps(5).transpose(1, 2, 0) - 0.2, shared_scale=True),
    "filters": lambda: filters(cx.demo.load_network().layers[0]),
    "filters-in-colour": lambda: filters(np.random.default_rng(0).normal(size=(5, 5, 3, 6))),
    "history": lambda: history({"loss": [3, 2, 1.5], "val_loss": [3, 2.5, 2.4], "accuracy": [0.2, 0.5, 0.7]}),
    "confusion-matrix": lambda: confusion_matrix(
        [0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0], ["cat", "dog", "owl"]
    ),
}


def drawn(name: str) -> np.ndarray:
    """The picture (h,w,3), small, without texts: each version of matplotlib sets them a little otherwise."""
    import matplotlib
    from matplotlib.text import Text

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever tests before have set
        return _drawn(PICTURES[name](), Text)


def _drawn(figure: Figure, texts: type) -> np.ndarray:
    figure.canvas.draw()
    figure.set_layout_engine("none")  # the places that the texts made necessary stay
    for text in figure.findobj(texts):
        text.set_alpha(0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40, facecolor="white")
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("name", PICTURES)
def test_looks_as_it_did(name):
    want = Image.open(BASELINE / f"{name}.png").convert("RGB")
    got = Image.fromarray(drawn(name))
    assert np.abs(np.subtract(got.size, want.size)).max() <= 2
    # moved by less than a pixel is the same: compared at half the size
    size = (want.width // 2, want.height // 2)
    a, b = (np.asarray(picture.resize(size, Image.Resampling.BOX), float) for picture in (got, want))
    assert np.sqrt(np.mean((a - b) ** 2)) < CLOSE


def test_comparing_sees_other_colours():
    """The check above can fail: the same picture in another colour map is told apart."""
    picture = drawn("explanation-of-a-layer")
    other = of_layer().plot(cmap="jet")
    buffer = io.BytesIO()
    other.savefig(buffer, format="png", dpi=40, facecolor="white")
    jet = np.asarray(Image.open(buffer).convert("RGB"), float)
    assert jet.shape == picture.shape and np.sqrt(np.mean((jet - picture) ** 2)) > 2 * CLOSE


class TestExplanation:
    def test_signed_values_have_white_at_zero(self):
        figure = of_layer().plot("raw")
        image = figure.axes[0].images[0]
        assert image.norm.vmin == -image.norm.vmax and image.cmap.name == "RdBu_r"

    def test_colours_are_even_in_lightness(self):
        """Of map and overlay: lightness grows all the way, as it does not for rainbows."""
        import matplotlib

        image = of_layer().plot("map").axes[0].images[0]
        red, green, blue = matplotlib.colormaps[image.cmap.name](np.linspace(0, 1, 64))[:, :3].T
        assert (np.diff(0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2) > -1e-3).all()

    def test_shared_scale(self):
        e = of_layer()
        own = [axes.images[0].norm.vmax for axes in e.plot("raw").axes[:2]]
        shared = [axes.images[0].norm.vmax for axes in e.plot("raw", shared_scale=True).axes[:2]]
        assert own[0] == np.abs(e.raw[0]).max() and shared == [np.abs(e.raw).max()] * 2

    def test_into_axes(self):
        figure = Figure()
        left, right = figure.subplots(1, 2)
        assert of_layer()[0].plot(["image", "overlay"], axes=[left, right]) is figure
        np.testing.assert_array_equal(right.images[0].get_array(), of_layer()[0].overlay())
        assert of_layer()[1].plot("map", axes=left) is figure and len(left.images) == 2
        with pytest.raises(ValueError, match="`axes` must be 4 of matplotlib's axes"):
            of_layer().plot(["image", "map"], axes=[left, right])
        with pytest.raises(ValueError, match="among them 'a'"):
            of_layer()[0].plot(["image", "map"], axes=[left, "a"])

    @pytest.mark.parametrize("suffix, start", [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
    def test_files(self, tmp_path, suffix, start):
        path = of_layer().save(tmp_path / f"map.{suffix}")
        assert path.read_bytes().startswith(start)
        assert path.read_bytes() == of_layer().save(tmp_path / f"again.{suffix}").read_bytes()

    def test_the_image_is_the_photograph(self):
        """What the network saw is caffe's blue, green, red around zero; what is shown is what was given."""
        photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        model = cx.keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), classes=3)
        e = cx.explain.grad_cam(model, Image.fromarray(photo))
        shown = e.plot("image").axes[0].images[0].get_array()
        np.testing.assert_allclose(shown * 255, photo, atol=1e-4)


class TestComparison:
    def test_on_one_scale(self):
        both = comparison()
        figure = both.plot(shared_scale=True, max_images=1)
        limits = {axes.images[0].norm.vmax for axes in figure.axes[1:3]}
        raws = [both.explanations["grad_cam"].raw[0], both.explanations["saliency"].raw[0].mean(2)]
        assert limits == {max(np.abs(raw).max() for raw in raws)}

    def test_into_axes(self):
        panels = Figure().subplots(2, 3)
        assert comparison().plot(axes=panels) is panels[0, 0].figure
        np.testing.assert_array_equal(panels[1, 2].images[0].get_array(), of_pixels().overlay()[1])


class TestHistory:
    def test_into_axes(self):
        left, right = Figure().subplots(1, 2)
        assert history({"loss": [2, 1], "accuracy": [0, 1]}, axes=[left, right]) is left.figure
        assert left.lines[0].get_ydata().tolist() == [2, 1] and right.get_title() == "accuracy"
        with pytest.raises(ValueError, match="`axes` must be 2 of matplotlib's axes"):
            history({"loss": [2, 1], "accuracy": [0, 1]}, axes=left)


class TestMetric:
    def test_into_axes(self):
        axes = Figure().subplots()
        assert curve().plot(axes=axes) is axes.figure and len(axes.lines) == 3


class TestFeatureMaps:
    def test_channels(self):
        maps = np.arange(2 * 3 * 5, dtype=float).reshape(2, 3, 5)
        figure = feature_maps(maps[None], [4, 0], columns=2)
        assert [axes.get_title() for axes in figure.axes] == ["4", "0"]
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), maps[:, :, 4])
        assert figure.axes[0].images[0].norm.vmax == maps[:, :, 4].max()

    def test_most(self):
        figure = feature_maps(np.ones((2, 2, 100)), most=9)
        assert len(figure.axes) == 9 and "first 9 of 100" in figure.get_suptitle()

    def test_blank_maps(self):
        assert feature_maps(np.zeros((2, 2, 3))).axes[0].images[0].norm.vmax == 1

    @pytest.mark.parametrize(
        "maps, channels, message",
        [
            (np.ones((2, 2)), None, r"`maps` must have shape \(h, w, channels\)"),
            (np.ones((2, 3, 3, 4)), None, r"of one image. Received: \(2, 3, 3, 4\)"),
            (np.ones((3, 3, 4)), [4], "`channels` must be between 0 and 3. Received: 4"),
            (np.ones((3, 3, 0)), None, "`maps` must"),
            (np.full((3, 3, 1), np.nan), None, "`maps` must hold finite numbers"),
            (np.full((3, 3, 1), "a"), None, "`maps` must hold finite numbers"),
            (np.ones((3, 3, 1)), [], "`channels` must hold at least one"),
        ],
    )
    def test_wrong(self, maps, channels, message):
        with pytest.raises(ValueError, match=message):
            feature_maps(maps, channels)

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"columns": 0}, "`columns` must be a positive integer. Received: columns=0"),
            ({"most": 0}, "`most` must be a positive integer. Received: most=0"),
            ({"cmap": "nope"}, "`cmap` must be"),
        ],
    )
    def test_wrong_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            feature_maps(np.ones((3, 3, 4)), **options)


class TestFilters:
    def test_colours_are_around_grey(self):
        kernel = np.zeros((2, 2, 3, 2))
        kernel[0, 0, :, 1] = 1, -1, 0.5
        figure = filters(kernel)
        shown = [axes.images[0].get_array() for axes in figure.axes]
        assert (shown[0] == 0.5).all() and shown[1][0, 0].tolist() == [1, 0, 0.75]

    def test_of_many_channels(self):
        layer = cx.demo.load_network().layers[2]
        with pytest.raises(ValueError, match="`channel` must say which of the 16 input channels"):
            filters(layer)
        for channel in (16, "a"):
            with pytest.raises(ValueError, match="`channel` must be between 0 and 15"):
                filters(layer, channel)
        with pytest.raises(ValueError, match="`kernel` must hold finite numbers"):
            filters(np.full((3, 3, 1, 2), np.inf))
        figure = filters(layer, 3, shared_scale=False)
        assert len(figure.axes) == 32
        np.testing.assert_array_equal(
            figure.axes[5].images[0].get_array(), np.asarray(layer.kernel)[:, :, 3, 5]
        )

    @pytest.mark.parametrize("kernel", [np.ones((3, 3)), cx.keras.layers.Flatten(), np.ones((3, 3, 1, 0))])
    def test_wrong(self, kernel):
        with pytest.raises(ValueError, match="`kernel` must have shape"):
            filters(kernel)


class TestConfusionMatrix:
    def counts(self, figure):
        texts = [text.get_text() for text in figure.axes[0].texts]
        side = int(len(texts) ** 0.5)
        return np.array(texts, dtype=object).reshape(side, side).tolist()

    def test_counts_by_hand(self):
        got = self.counts(confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2]))
        assert got == [["1", "1", "0"], ["0", "1", "0"], ["0", "0", "1"]]

    def test_scores_and_columns(self):
        scores = np.array([[0.1, 0.9], [0.8, 0.2]])
        assert self.counts(confusion_matrix([[1], [1]], scores)) == [["0", "0"], ["1", "1"]]

    def test_shares(self):
        got = self.counts(confusion_matrix([0, 0, 0, 1], [0, 0, 1, 1], normalize=True))
        assert got == [[".67", ".33"], [".00", "1"]]

    def test_into_axes(self):
        axes = Figure().subplots()
        assert confusion_matrix([0], [0], axes=axes) is axes.figure

    @pytest.mark.parametrize(
        "true, predicted, names, message",
        [
            ([0, 1], [0], None, "one class for each image"),
            ([], [], None, "one class for each image"),
            ([0.5], [0], None, "whole numbers from 0 on"),
            ([-1], [0], None, "whole numbers from 0 on"),
            ([0, 2], [0, 1], ["a", "b"], "`class_names` must hold 3 names. Received: 2"),
        ],
    )
    def test_wrong(self, true, predicted, names, message):
        with pytest.raises(ValueError, match=message):
            confusion_matrix(true, predicted, names)


if __name__ == "__main__":
    BASELINE.mkdir(exist_ok=True)
    for name in PICTURES:
        Image.fromarray(drawn(name)).save(BASELINE / f"{name}.png", optimize=True)
