"""What may be given as images, and what is said about the rest."""

from __future__ import annotations

import numpy as np
import pytest
import small
from PIL import Image

import cnnexplain as cx

keras = cx.keras
H, W = small.HEIGHT, small.WIDTH


def tiny(channels, size=(H, W)):
    """A classifier of images with this many channels."""
    L = keras.layers
    return keras.Sequential(
        [
            keras.Input((*size, channels)),
            L.Conv2D(3, 3, activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(4),
        ]
    )


@pytest.fixture
def grey():
    return tiny(1)


@pytest.fixture
def colour():
    return tiny(3)


def test_shapes_for_one_channel(grey):
    x = np.random.default_rng(0).random((2, H, W, 1)).astype(np.float32)
    want = cx.explain.saliency(grey, x, 1)
    assert want.map.shape == (2, H, W) and want.raw.shape == want.images.shape == (2, H, W, 1)
    np.testing.assert_array_equal(cx.explain.saliency(grey, x[..., 0], 1).raw, want.raw)
    for single in (x[0], x[0, :, :, 0]):
        np.testing.assert_array_equal(cx.explain.saliency(grey, single, 1).raw, want.raw[:1])


def test_shapes_for_three_channels(colour):
    x = np.random.default_rng(0).random((2, H, W, 3)).astype(np.float32)
    want = cx.explain.saliency(colour, x, 1)
    np.testing.assert_array_equal(cx.explain.saliency(colour, x[0], 1).raw, want.raw[:1])
    np.testing.assert_array_equal(cx.explain.saliency(colour, list(x), 1).raw, want.raw)


@pytest.mark.parametrize("kind", ["uint8", "int64", "float64", "float16", "bool", "tensor"])
def test_any_kind_of_number(grey, kind):
    x = np.random.default_rng(0).integers(0, 2, (2, H, W, 1))
    given = cx.constant(x, cx.float32) if kind == "tensor" else x.astype(kind)
    want = cx.explain.saliency(grey, x.astype(np.float32), 1)
    np.testing.assert_array_equal(cx.explain.saliency(grey, given, 1).raw, want.raw)


def test_any_size_where_the_model_takes_any():
    model = tiny(3, (None, None))
    for size in ((5, 9), (17, 4)):
        x = np.random.default_rng(0).random((2, *size, 3))
        for method in cx.explain.methods():
            e = cx.explain(model, x, method=method)
            assert e.map.shape == (2, *size) and e.images.shape == x.shape


@pytest.mark.parametrize("shape", [(2, H, W), (H, W), (2, H, W, 1), (2, H + 1, W, 3), (2, W, H, 3), (3,), ()])
def test_wrong_shapes_for_three_channels(colour, shape):
    with pytest.raises(
        ValueError, match=r"`images` must have shape \(n, H, W, C\) or \(H, W, C\) for.*Received: shape="
    ) as error:
        cx.explain.saliency(colour, np.zeros(shape))
    assert f"(None, {H}, {W}, 3)" in str(error.value) and f"shape={shape}" in str(error.value)


@pytest.mark.parametrize("shape", [(2, H, W, 3), (H, W, 3), (W, H), (2, 2, H, W, 1)])
def test_wrong_shapes_for_one_channel(grey, shape):
    with pytest.raises(ValueError, match=r", \(n, H, W\) or \(H, W\) for"):
        cx.explain.saliency(grey, np.zeros(shape))


def test_bad_values(grey):
    x = np.zeros((3, H, W))
    with pytest.raises(ValueError, match="at least one image"):
        cx.explain.saliency(grey, x[:0])
    for bad in (np.nan, np.inf):
        x[2, 0, 0] = bad
        with pytest.raises(ValueError, match="finite. Received: NaN or infinity in image 2"):
            cx.explain.saliency(grey, x)
    for wrong in (np.zeros((H, W), complex), np.full((H, W), None), {"a": 1}):
        with pytest.raises(TypeError, match="`images` must be an array of numbers"):
            cx.explain.saliency(grey, wrong)
    with pytest.raises(ValueError, match="different shapes"):
        cx.explain.saliency(grey, [np.zeros((H, W)), np.zeros((H, 3))])
    with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
        cx.explain.saliency(grey, np.zeros((H, W)), batch_size=2.5)


@pytest.fixture
def file(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (H, W, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    return tmp_path / "one.png", pixels


MODES = {
    "caffe": lambda x: x[..., ::-1] - [103.939, 116.779, 123.68],
    "tf": lambda x: x / 127.5 - 1,
    "torch": lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    "none": lambda x: x,
}


@pytest.mark.parametrize("mode", MODES)
def test_files_and_pil_images_are_preprocessed(colour, file, mode):
    path, pixels = file
    fed = MODES[mode](pixels.astype(np.float64)[None])
    want = cx.explain.saliency(colour, fed, 1)
    for given in (path, str(path), [path], Image.fromarray(pixels), [Image.fromarray(pixels)]):
        e = cx.explain.saliency(colour, given, 1, preprocess=mode)
        np.testing.assert_allclose(e.raw, want.raw, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(e.score, want.score, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(e.images, pixels[None])
    # an array is fed as it is, and shown with the preprocessing undone
    e = cx.explain.saliency(colour, fed, 1, preprocess=mode)
    np.testing.assert_array_equal(e.raw, want.raw)
    np.testing.assert_array_equal(e.images, pixels[None])
    assert e.warnings == ()


def test_a_callable_preprocess(colour, file):
    path, pixels = file
    e = cx.explain.saliency(colour, path, 1, preprocess=lambda x: x / 255)
    np.testing.assert_allclose(e.score, cx.explain.saliency(colour, pixels / 255.0, 1).score, rtol=1e-5)
    warned = cx.explain.saliency(colour, pixels / 255.0, 1, preprocess=lambda x: x / 255)
    assert "was not applied" in warned.warnings[0]
    with pytest.raises(ValueError, match="must keep the shape"):
        cx.explain.saliency(colour, path, preprocess=lambda x: x[0])


def test_preprocess_is_never_guessed(colour, file):
    with pytest.raises(ValueError, match='`preprocess` must be given.*"caffe".*"tf".*"torch".*"none"'):
        cx.explain.saliency(colour, file[0])
    with pytest.raises(ValueError, match="`preprocess` must be.*Received: preprocess='imagenet'"):
        cx.explain.saliency(colour, file[0], preprocess="imagenet")
    colour.preprocess = "tf"
    e = cx.explain.saliency(colour, file[0], 1)
    np.testing.assert_array_equal(e.raw, cx.explain.saliency(colour, file[0], 1, preprocess="tf").raw)


MODES["lite"] = lambda x: (x - 127) / 128
OTHER = {
    "x / 255": lambda x: x / 255,
    "standard scores": lambda x: (x - 127) / 74,
    "-0.5 to 0.5 times ten": lambda x: (x / 255 - 0.5) * 10,
}


class TestPreprocessTheModelRemembers:
    """It is undone for display where the values can come from it, and only there."""

    PIXELS = np.random.default_rng(5).integers(0, 256, (2, H, W, 3))

    @pytest.mark.parametrize("mode", MODES)
    def test_arrays_made_by_it_are_shown_as_pixels(self, colour, mode):
        colour.preprocess = mode
        for pixels in (self.PIXELS, self.PIXELS // 4 + 20, self.PIXELS // 6):
            e = cx.explain.saliency(colour, MODES[mode](pixels.astype(np.float32)), 1)
            np.testing.assert_array_equal(e.images, pixels)
            assert e.images.dtype == np.uint8 and "preprocess" not in str(e.warnings)

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("scaling", OTHER)
    def test_arrays_scaled_otherwise_are_shown_as_they_are(self, colour, mode, scaling):
        colour.preprocess = mode
        x = OTHER[scaling](self.PIXELS.astype(np.float32))
        e = cx.explain.saliency(colour, x, 1)
        if (mode, scaling) != (
            "torch",
            "standard scores",
        ):  # nearly the same: undone it shows the picture too
            np.testing.assert_array_equal(e.images, x)
            assert "preprocess" not in str(e.warnings)
        said = cx.explain.saliency(colour, x, 1, preprocess=mode)
        assert said.images.dtype == np.uint8  # the caller knows

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("dtype", ["uint8", "float32"])
    def test_whole_pixels(self, colour, mode, dtype):
        """What a network takes that scales them itself, and a mistake for all others."""
        colour.preprocess = mode
        e = cx.explain.saliency(colour, self.PIXELS.astype(dtype), 1)
        np.testing.assert_array_equal(e.images, self.PIXELS)
        text = (
            f"`preprocess` '{mode}' was not applied: arrays are used as they are, and these are whole numbers"
        )
        assert (text in e.warnings) == (mode != "none")

    @pytest.mark.parametrize("mode", ["caffe", "torch"])
    def test_means_of_three_channels_do_not_concern_others(self, grey, mode):
        grey.preprocess = mode
        x = self.PIXELS[..., :1] / 255 - 0.5
        np.testing.assert_array_equal(cx.explain.saliency(grey, x, 1).images, x)
        with pytest.raises(ValueError, match="is for 3 channels"):
            cx.explain.saliency(grey, x, 1, preprocess=mode)

    def test_a_callable(self, colour, file):
        colour.preprocess = lambda x: x / 255
        x = self.PIXELS / 255
        e = cx.explain.saliency(colour, x, 1)
        np.testing.assert_array_equal(e.images, x)
        assert "preprocess" not in str(e.warnings)
        np.testing.assert_array_equal(cx.explain.saliency(colour, file[0], 1).images[0], file[1])


@pytest.mark.parametrize("nested", [False, True])
def test_channels_first_is_refused(nested):
    L = keras.layers
    body = [
        L.Conv2D(4, 3, data_format="channels_first", name="conv"),
        L.GlobalAveragePooling2D("channels_first"),
    ]
    inputs = keras.Input((3, H, W))
    model = keras.Sequential([inputs, *([keras.Sequential([inputs, *body])] if nested else body), L.Dense(2)])
    for method in cx.explain.methods():
        with pytest.raises(ValueError, match="must have its channels last.*'conv' has data_format"):
            cx.explain(model, np.zeros((3, H, W)), method=method)
    last = keras.Sequential([keras.Input((H, W, 3)), L.Conv2D(4, 3), L.Flatten("channels_first"), L.Dense(2)])
    assert cx.explain.grad_cam(last, np.zeros((H, W, 3))).map.shape == (1, H, W)


def test_files_are_resized_and_made_grey(grey, tmp_path):
    left = np.zeros((4 * H, 3 * W, 4), np.uint8)
    left[:, : 2 * W, :3] = 255
    left[..., 3] = 255
    Image.fromarray(left).save(tmp_path / "wide.png")
    e = cx.explain.saliency(grey, tmp_path / "wide.png", preprocess="none")
    assert e.images.shape == (1, H, W, 1) and e.images.dtype == np.uint8
    assert (e.images[0, :, :8] == 255).all() and (e.images[0, :, -4:] == 0).all()
    left[..., 3] = 0
    Image.fromarray(left).save(tmp_path / "clear.png")
    clear = cx.explain.saliency(grey, tmp_path / "clear.png", preprocess="none")
    assert (clear.images == 255).all()  # transparent is shown on white


def test_files_of_different_sizes(tmp_path):
    for name, size in (("a", (8, 9)), ("b", (9, 8))):
        Image.new("RGB", size, "red").save(tmp_path / f"{name}.png")
    paths = sorted(tmp_path.glob("*.png"))
    with pytest.raises(ValueError, match="all images of one call must have the same"):
        cx.explain.saliency(tiny(3, (None, None)), paths, preprocess="none")
    assert cx.explain.saliency(tiny(3), paths, preprocess="none").map.shape == (2, H, W)


@pytest.mark.parametrize("content", [b"", b"\x89PNG broken", b"text"])
def test_a_broken_picture_is_named(model, tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="`images`.*Received: .*broken.png"):
        cx.explain.saliency(model, path, preprocess="none")
    with pytest.raises(FileNotFoundError, match="missing.png"):
        cx.explain.saliency(model, tmp_path / "missing.png", preprocess="none")
