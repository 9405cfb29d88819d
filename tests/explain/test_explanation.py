"""The Explanation object: attributes, sequence, pictures, files."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small
from PIL import Image

import cnnexplain as cx
from cnnexplain.explain import Explanation


def make(n=4, channels=3, method="grad_cam", layer="conv", **changes):
    """An explanation of random numbers."""
    rng = np.random.default_rng(0)
    fields = {
        "map": rng.random((n, 6, 9)).astype(np.float32),
        "raw": rng.normal(size=(n, 3, 4) if layer else (n, 6, 9, channels)).astype(np.float32),
        "class_index": np.arange(n) % 3,
        "score": rng.normal(size=n),
        "probability": rng.random(n),
        "images": rng.random((n, 6, 9, channels)),
        "method": method,
        "layer": layer,
        "class_names": ("ant", "bee", "cat"),
        "parameters": {"score": "logit", "formula": "a + b"},
        "steps": {"activations": rng.random((n, 3, 4, 5)), "channel weights": rng.normal(size=(n, 5))},
        "notes": [("about all", None), ("about some", np.array([1, 3]))],
    }
    return Explanation(**(fields | changes))


class TestSequence:
    def test_items_have_no_batch_axis(self):
        e = make()
        one = e[1]
        np.testing.assert_array_equal(one.map, e.map[1])
        np.testing.assert_array_equal(one.raw, e.raw[1])
        np.testing.assert_array_equal(one.images, e.images[1])
        np.testing.assert_array_equal(one.steps["activations"], e.steps["activations"][1])
        assert (one.class_index, one.class_name, one.score) == (1, "bee", e.score[1])
        assert (one.method, one.layer, one.parameters) == (e.method, e.layer, e.parameters)
        np.testing.assert_array_equal(e[-1].map, e.map[3])
        np.testing.assert_array_equal(e[np.int64(2)].map, e.map[2])

    def test_length_and_iteration(self):
        e = make()
        assert len(e) == 4 and len(list(e)) == 4 and bool(e) and bool(e[0])
        assert [one.class_name for one in e] == ["ant", "bee", "cat", "ant"]
        np.testing.assert_array_equal(np.stack(list(e)), e.map)
        with pytest.raises(TypeError, match="no length"):
            len(e[0])
        with pytest.raises(TypeError):
            e[0][0]

    def test_slices_are_batches(self):
        e = make()
        for index in (slice(1, 4, 2), [1, 3], np.array([1, 3]), np.array([False, True, False, True])):
            part = e[index]
            assert len(part) == 2
            np.testing.assert_array_equal(part.map, e.map[[1, 3]])
            assert part.class_index.tolist() == [1, 0]
            assert part.warnings == ("about all", "about some")
        assert e[:2].warnings == ("about all", "about some (image 1)")

    def test_warnings_go_with_their_images(self):
        e = make()
        assert e.warnings == ("about all", "about some (images 1, 3)")
        assert e[0].warnings == ("about all",) and e[3].warnings == ("about all", "about some")

    def test_bad_indices(self):
        e = make()
        for index in (4, -5):
            with pytest.raises(IndexError, match="out of range"):
                e[index]
        for index in ("map", 1.0, None):
            with pytest.raises(TypeError, match="indexed by an integer"):
                e[index]

    def test_as_an_array(self):
        e = make()
        np.testing.assert_array_equal(np.asarray(e), e.map)
        assert np.asarray(e, np.float64).dtype == np.float64
        copy = np.array(e)
        copy[:] = 0
        assert e.map.any()
        assert np.asarray(e[2]).shape == (6, 9)


class TestOverlay:
    def test_blend(self):
        images = np.zeros((1, 1, 2, 3))
        images[..., 1] = 1.0
        e = make(1, images=images, map=np.array([[[0.0, 1.0]]], np.float32))
        red = lambda v: np.stack([v, 0 * v, 0 * v, 0 * v + 0.3], -1)  # noqa: E731
        assert e.overlay(0.25, red).tolist() == [[[[0, 191, 0], [64, 191, 0]]]]
        np.testing.assert_array_equal(e.overlay(0), np.broadcast_to([0, 255, 0], (1, 1, 2, 3)))
        np.testing.assert_array_equal(e.overlay(1, red), [[[[0, 0, 0], [255, 0, 0]]]])

    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_shape_and_dtype(self, channels):
        e = make(channels=channels)
        assert e.overlay().shape == (4, 6, 9, 3) and e.overlay().dtype == np.uint8
        np.testing.assert_array_equal(e[1].overlay(), e.overlay()[1])

    def test_display_scales(self):
        from cnnexplain.plot import to_rgb

        bytes_ = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
        bytes_[0, 0, 0] = 0, 255, 128
        want = bytes_ / 255
        for same in (bytes_, want, bytes_.astype(np.float32), bytes_.astype(np.int64)):
            np.testing.assert_allclose(to_rgb(same), want, atol=1e-6)
        signed = to_rgb(bytes_ / 127.5 - 1)
        assert signed.min() == 0 and signed.max() == 1
        dark = to_rgb(np.ones((1, 2, 2, 1), np.uint8))
        np.testing.assert_allclose(dark, 1 / 255)
        assert to_rgb(np.zeros((1, 2, 2, 1)) - 5).max() == 0

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="`alpha` must be between 0 and 1. Received: alpha=1.5"):
            make().overlay(alpha=1.5)
        with pytest.raises(ValueError, match="`cmap` must be.*Received: cmap='rainbows'"):
            make().overlay(cmap="rainbows")


def read_png(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


class TestPictures:
    @pytest.mark.parametrize("layer", ["conv", None])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_plot(self, layer, channels):
        e = make(layer=layer, channels=channels)
        figure = e.plot()
        titles = [axes.get_title() for axes in figure.axes[:3]]
        assert titles == (["image", "map", "overlay"] if layer else ["image", "map", "raw"])
        assert len(e.plot(max_images=2).axes) < len(figure.axes)
        for shown in (e, figure):
            picture = read_png(shown._repr_png_())
            assert picture.std() > 5 and min(picture.shape[:2]) > 200

    def test_every_column(self):
        columns = ["image", "map", "overlay", "raw", "activations", "channel weights"]
        figure = make().plot(columns)
        assert [axes.get_title() for axes in figure.axes[:6]] == columns
        assert make()[1].plot("raw").axes[0].get_title() == "raw"
        with pytest.raises(ValueError, match="`columns` must be among image, map, overlay, raw, activations"):
            make().plot(["heat"])
        with pytest.raises(ValueError, match="`max_images` must be"):
            make().plot(max_images=0)

    def test_nothing_is_clipped(self):
        """The picture's border is white: labels and bars lie inside."""
        for e in (
            make(),
            make(layer=None),
            make()[2],
            make(class_names=("a very long name for a class",) * 3),
        ):
            picture = read_png(e._repr_png_())
            border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
            assert (border == 255).all()

    def test_blank_and_signed_maps(self):
        for raw in (np.zeros((4, 6, 9, 3)), -np.ones((4, 6, 9, 3))):
            make(layer=None, raw=raw, map=np.zeros((4, 6, 9), np.float32))._repr_png_()

    def test_pixels_are_square(self):
        figure = make().plot()
        figure.canvas.draw()
        for axes in figure.axes[:3]:
            box = axes.get_window_extent()
            assert abs(box.height / box.width - 6 / 9) < 0.02

    def test_html(self):
        text = make(notes=[("a < b", None)])._repr_html_()
        assert "data:image/png;base64," in text and "<li>a &lt; b</li>" in text

    def test_repr(self):
        assert repr(make()) == "<Explanation grad_cam of 4 images 6x9, layer conv, ant, bee, cat, 2 warnings>"
        assert (
            repr(make(layer=None, method="saliency", notes=())[1])
            == "<Explanation saliency of 1 image 6x9, bee>"
        )
        assert "class 2" in repr(make(class_names=None))

    def test_pyplot_is_not_needed(self):
        code = (
            "import sys, numpy as np\n"
            "from cnnexplain.explain import Explanation\n"
            "assert 'matplotlib' not in sys.modules\n"
            "z = np.zeros(1)\n"
            "e = Explanation(map=np.zeros((1, 2, 3), np.float32), raw=np.zeros((1, 2, 3)),"
            " class_index=z.astype(int), score=z, probability=z, images=np.zeros((1, 2, 3, 1)),"
            " method='cam', layer='a')\n"
            "assert len(e._repr_png_()) > 1000\n"
            "assert 'matplotlib.pyplot' not in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(cx.__file__).parents[1])


class TestFiles:
    def test_png(self, tmp_path):
        path = make().save(tmp_path / "e.PNG")
        assert read_png(path.read_bytes()).shape[2] == 3

    @pytest.mark.parametrize("single", [False, True])
    def test_npz(self, tmp_path, single):
        e = make()[1] if single else make()
        path = e.save(str(tmp_path / "e.npz"))
        with np.load(path) as arrays:
            for name in ("map", "raw", "images", "score", "probability", "class_index"):
                np.testing.assert_array_equal(arrays[name], getattr(e, name))
            np.testing.assert_array_equal(arrays["steps/activations"], e.steps["activations"])
            about = json.loads(str(arrays["about"]))
        assert about["method"] == "grad_cam" and about["layer"] == "conv"
        assert about["class_name"] == ("bee" if single else ["ant", "bee", "cat", "ant"])
        assert about["parameters"]["formula"] == "a + b" and about["warnings"] == list(e.warnings)

    def test_other_suffixes(self, tmp_path):
        for name in ("e.jpg", "e"):
            with pytest.raises(ValueError, match="`path` must end in .png, .svg, .pdf or .npz"):
                make().save(tmp_path / name)

    def test_to_dict(self):
        e = make()
        d = e.to_dict()
        assert set(d) == {
            *("method", "layer", "class_index", "class_name", "score", "probability"),
            *("map", "raw", "images", "parameters", "warnings", "steps"),
        }
        np.testing.assert_array_equal(d["map"], e.map)


def test_a_real_one(model, x, tmp_path):
    for method in cx.explain.methods():
        e = cx.explain(model, x, method=method)
        assert e.method == method and len(e) == 3
        assert e.parameters["score"] == ("probability" if method == "rise" else "logit")
        assert e.parameters["formula"]
        assert e.overlay().shape == (3, small.HEIGHT, small.WIDTH, 3)
        one = e[:1]
        one.plot(["image", "map", "overlay", "raw", *e.steps])
        one.save(tmp_path / f"{method}.png")
        e[0].save(tmp_path / f"{method}.npz")
