"""Arrays of scikit-image, imageio and Pillow, in all their ranges, as pictures and as values."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import cnnexplain as cx
from cnnexplain import explain, keras
from cnnexplain.explain import inputs

GREY = np.array([[0, 51], [128, 255], [3, 4]], np.uint8)  # (3, 2)
COLOUR = np.arange(18, dtype=np.uint8).reshape(3, 2, 3) * 10


@pytest.mark.parametrize(
    ("array", "pixels"),
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (GREY > 100, [[0, 0], [255, 255], [0, 0]]),
        (GREY.astype(np.int64), GREY),
        (GREY.astype(np.uint16) * 257, GREY),
        (np.uint16([[0, 128, 129, 65535]]), [[0, 0, 1, 255]]),  # 128 / 257 is below a half
        (GREY / 255, GREY),
        ((GREY / 255).astype(np.float32), GREY),
        (np.float16([[0.0, 0.5, 1.0]]), [[0, 128, 255]]),
        (COLOUR, COLOUR),
        (COLOUR[::-1, ::-1], COLOUR[::-1, ::-1]),
        (COLOUR / 255, COLOUR),
    ],
)
def test_ranges(array, pixels):
    before = array.copy()
    np.testing.assert_array_equal(np.asarray(explain.picture(array)), pixels)
    np.testing.assert_array_equal(array, before)


def test_modes():
    shapes = {(3, 2): "L", (3, 2, 1): "L", (3, 2, 2): "LA", (3, 2, 3): "RGB", (3, 2, 4): "RGBA"}
    assert {s: explain.picture(np.ones(s, np.uint8)).mode for s in shapes} == shapes
    assert explain.picture(np.ones((3, 2))).size == (2, 3)


def test_as_scikit_image_converts():
    util = pytest.importorskip("skimage.util")
    rng = np.random.default_rng(0)
    for array in (rng.random((9, 7, 3)), rng.random((9, 7)) > 0.5, rng.integers(0, 256, (9, 7), np.uint8)):
        np.testing.assert_array_equal(np.asarray(explain.picture(array)), util.img_as_ubyte(array))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((2, 3, 4, 3)), r"\[picture\(one\) for one in array\]"),
        (np.ones(3), "must have shape"),
        (np.ones((3, 3, 5)), "must have shape"),
        (np.ones((0, 3, 3)), "must have shape"),
        (np.full((2, 2), 255.0), "floats must hold 0..1.*from 255 to 255"),
        (np.full((2, 2), np.nan), "floats must hold 0..1"),
        (np.full((2, 2), -1), "0..255"),
        (np.full((2, 2), 256), "0..255"),
    ],
)
def test_what_is_no_picture(array, message):
    with pytest.raises(ValueError, match=message):
        explain.picture(array)
    with pytest.raises(TypeError, match="numbers"):
        explain.picture(np.array([["a"]]))


def model(channels, size=8):
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


def shown(network, images):
    return explain.grad_cam(network, images, 0, preprocess="none").images


class TestInAMethod:
    def test_a_picture_is_resized_and_made_what_the_model_takes(self):
        half = np.full((20, 10), 0.5)
        assert (shown(model(3), explain.picture(half)) == 128).all()
        assert shown(model(3), explain.picture(half)).shape == (1, 8, 8, 3)
        red = np.zeros((20, 10, 3), np.uint8)
        red[..., 0] = 200
        assert shown(model(1), explain.picture(red)).max() == 60  # 200 * 299 / 1000, as Pillow weighs red
        pair = [explain.picture(half), explain.picture(red)]
        assert shown(model(3), pair).shape == (2, 8, 8, 3)

    def test_transparent_pixels_are_white(self):
        clear = np.zeros((8, 8, 4))
        assert (shown(model(3), explain.picture(clear)) == 255).all()
        assert (shown(model(1), explain.picture(clear[..., :2])) == 255).all()

    def test_sixteen_bits_keep_their_range(self, tmp_path):
        ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
        Image.fromarray(ramp).save(tmp_path / "deep.png")
        expected = np.rint(ramp / 257)
        for given in (tmp_path / "deep.png", Image.open(tmp_path / "deep.png"), explain.picture(ramp)):
            np.testing.assert_array_equal(shown(model(1), given)[0, ..., 0], expected)
        floats = Image.fromarray((ramp / 65535).astype(np.float32))
        np.testing.assert_array_equal(shown(model(1), floats)[0, ..., 0], expected)
        bytes_ = Image.fromarray(expected.astype(np.float32))  # floats of 0..255: as they are
        np.testing.assert_array_equal(shown(model(1), bytes_)[0, ..., 0], expected)

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float16, np.float32, np.float64])
    def test_arrays_are_used_as_they_are(self, dtype):
        network = model(1)
        array = (np.arange(64).reshape(8, 8) % 3).astype(dtype)
        same = explain.grad_cam(network, array.astype(np.float32), 0)
        np.testing.assert_array_equal(explain.grad_cam(network, array, 0).raw, same.raw)
        np.testing.assert_array_equal(explain.grad_cam(network, array, 0).images[0, ..., 0], array)

    def test_arrays_of_imageio(self, tmp_path):
        v2 = pytest.importorskip("imageio.v2")
        Image.fromarray(COLOUR).save(tmp_path / "a.png")
        array = v2.imread(tmp_path / "a.png")
        np.testing.assert_array_equal(np.asarray(explain.picture(array)), COLOUR)
        assert explain.picture(array / 255).getpixel((1, 2)) == tuple(COLOUR[2, 1])
        np.testing.assert_array_equal(inputs.as_images(array, (None, None, None, 3)), COLOUR[None])

    @pytest.mark.parametrize("shape", [(20, 10), (20, 10, 3), (8, 8, 4)])
    def test_an_array_that_does_not_fit_names_the_way(self, shape):
        with pytest.raises(ValueError, match=r"give explain.picture\(array\)"):
            explain.grad_cam(model(3), np.zeros(shape), 0)
        with pytest.raises(ValueError) as caught:
            explain.grad_cam(model(3), np.zeros((2, 9, 9, 3)), 0)
        assert "explain.picture" not in str(caught.value)


def test_pictures_where_arrays_are_taken():
    image = Image.fromarray(COLOUR)
    assert tuple(cx.constant(image).shape) == (3, 2, 3)
    assert tuple(cx.image.resize(image, (4, 4)).shape) == (4, 4, 3)
    assert keras.utils.img_to_array(image).shape == (3, 2, 3)
