"""Receptive fields: pixels outside change nothing, those in the corners do."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx

keras = cx.keras
L = keras.layers
HEIGHT, WIDTH = 29, 34

NETWORKS = {
    "valid": lambda: [L.Conv2D(2, 3, name="a"), L.Conv2D(2, (5, 3), 2, name="b"), L.Conv2D(2, 3, name="c")],
    "same": lambda: [L.Conv2D(2, 4, 3, "same", name="a"), L.Conv2D(2, 3, padding="same", name="b")],
    "dilated": lambda: [L.Conv2D(2, 3, dilation_rate=3, name="a"), L.Conv2D(2, 2, dilation_rate=(2, 4))],
    "pooled": lambda: [
        *(
            L.Conv2D(2, 3, 2, name="a"),
            L.MaxPooling2D(3, 2, "same"),
            L.LocalResponseNormalization(1, alpha=1e-12),
        ),
        *(L.Conv2D(2, 3, padding="same"), L.ReLU(), L.MaxPooling2D(2)),
    ],
    "average": lambda: [L.AveragePooling2D(3, 2, "same"), L.ZeroPadding2D(((0, 2), (3, 1))), L.Conv2D(2, 4)],
    "remainder": lambda: [L.MaxPooling2D(4, 3), L.Conv2D(2, 3, 2), L.Conv2D(2, 3, padding="same")],
    "cropped": lambda: [L.Cropping2D(((3, 1), (2, 5))), L.Conv2D(2, 3), L.BatchNormalization()],
    "enlarged": lambda: [L.MaxPooling2D(3), L.UpSampling2D(2), L.Conv2D(2, 3, padding="same")],
    "bilinear": lambda: [L.MaxPooling2D(3), L.UpSampling2D(2, interpolation="bilinear"), L.Conv2D(2, 2)],
    "transposed": lambda: [
        L.Conv2DTranspose(2, 3, 2),
        L.Conv2D(2, 3),
        L.Conv2DTranspose(2, 4, 2, padding="same"),
    ],
    "depthwise": lambda: [L.DepthwiseConv2D(3, 2, "same"), L.SeparableConv2D(2, 5, activation="relu")],
    "spread": lambda: [L.Conv2D(2, 2, 5, name="a"), L.Conv2D(2, 2)],
}


def built(layers):
    """Positive weights: whatever is seen, makes a difference."""
    model = keras.Sequential([keras.Input((HEIGHT, WIDTH, 2)), *layers])
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1, w.shape) for w in model.get_weights()])
    return model


def check(model, layer, field_of, positions, image):
    """The field holds all that the activation depends on, and its four sides are touched."""
    upto = keras.Model(model.inputs, model.get_layer(layer).output)
    base = np.asarray(upto(image))[0]
    rng = np.random.default_rng(1)
    for row, column in positions:
        top, left, bottom, right = field_of(row, column)
        outside = image + rng.uniform(1, 9, image.shape).astype(np.float32) * 10
        outside[:, top:bottom, left:right] = image[:, top:bottom, left:right]
        seen = np.asarray(upto(outside))[0, row, column]
        np.testing.assert_array_equal(seen, base[row, column], err_msg=f"outside of {row, column}")
        for y in (top, bottom - 1):
            for x in (left, right - 1):
                changed = image.copy()
                changed[0, y, x] += 1e4
                seen = np.asarray(upto(changed))[0, row, column]
                assert (seen != base[row, column]).all(), (row, column, y, x)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_field_is_exact(name):
    model = built(NETWORKS[name]())
    layer = model.layers[-1].name
    image = np.random.default_rng(3).random((1, HEIGHT, WIDTH, 2)).astype(np.float32)
    height, width = model.output_shape[1:3]
    positions = {(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1), (height // 2, width // 2)}
    positions |= {(1 % height, 2 % width)}
    check(model, layer, lambda *at: cx.explain.receptive_field(model, layer, at), positions, image)
    for position in positions:
        e = cx.explain.deconvnet(model, image, layer, 1, keep=position)
        assert tuple(e.receptive_field[0]) == cx.explain.receptive_field(model, layer, position)


def test_the_patch_is_the_field():
    model = built(NETWORKS["pooled"]())
    images = np.random.default_rng(3).random((3, HEIGHT, WIDTH, 2)).astype(np.float32)
    layer = model.layers[-1].name
    e = cx.explain.deconvnet(model, images, layer, 0)
    cropped = cx.explain.deconvnet(model, images, layer, 0, crop=True)
    for i in range(3):
        top, left, bottom, right = e.receptive_field[i]
        for patch, whole in (
            (e.patches[i], images[i]),
            (cropped[i].images, images[i]),
            (cropped.patches[i], images[i]),
            (e.reconstructions[i], e.raw[i]),
            (cropped[i].raw, e.raw[i]),
            (cropped[i].patches, images[i]),
            (cropped[i].map[..., None], e.map[i][..., None]),
        ):
            np.testing.assert_array_equal(patch, whole[top:bottom, left:right])
        outside = e.raw[i].copy()
        outside[top:bottom, left:right] = 0
        assert not outside.any()
    sides = (e.receptive_field[:, 2:] - e.receptive_field[:, :2]).max(0)
    assert cropped.raw.shape == (3, *sides, 2)
    np.testing.assert_array_equal(cropped.receptive_field, e.receptive_field)
    cropped.plot()
    one = cropped[0]
    assert one.overlay().shape[:2] == one.map.shape


def test_by_hand():
    """Two 3 x 3 convolutions around a 2 x 2 pooling: 3 + 1 + 2 * 2 = 8."""
    network = [
        L.Conv2D(1, 3, name="a"),
        L.MaxPooling2D(2, name="p"),
        L.Conv2D(1, 3, padding="same", name="b"),
        L.Flatten(name="f"),
        L.Dense(2, name="d"),
    ]
    model = keras.Sequential([keras.Input((22, 22, 1)), *network])
    field = cx.explain.receptive_field
    assert field(model, "a", (4, 5)) == (4, 5, 7, 8)
    assert field(model, "p", (4, 5)) == (8, 10, 12, 14)
    assert field(model, "b", (4, 5)) == (6, 8, 14, 16)
    assert field(model, "b", (0, 9)) == (0, 16, 6, 22)
    assert field(model, "b") == (8, 8, 16, 16)
    assert field(model, "d") == (0, 0, 22, 22)
    image = np.random.default_rng(0).random((1, 22, 22, 1))
    unit = cx.explain.deconvnet(model, image, "f", 45)  # row 4, column 5 of 10 x 10
    assert unit.receptive_field.tolist() == [[6, 8, 14, 16]]


def test_papers_networks():
    """Sides from the formula r += (k - 1) * jump, layer by layer."""
    zfnet = keras.applications.ZFNet(weights=None, include_top=False)
    want = {"conv1": 7, "pool1": 11, "conv2": 27, "pool2": 43, "conv3": 75, "conv4": 107, "conv5": 139}
    for layer, side in want.items():
        top, left, bottom, right = cx.explain.receptive_field(zfnet, layer, size=(224, 224))
        assert (bottom - top, right - left) == (side, side), layer
    alexnet = keras.applications.AlexNet(weights=None, include_top=False)
    want = {"conv1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99, "conv4": 131, "conv5": 163}
    for layer, side in want.items():
        top, left, bottom, right = cx.explain.receptive_field(alexnet, layer, size=(227, 227))
        assert (bottom - top, right - left) == (side, side), layer


def test_branches_and_windows_of_other_operations():
    inputs = keras.Input((HEIGHT, WIDTH, 2))
    a = L.Conv2D(2, 3, padding="same", name="a")(inputs)
    b = L.Conv2D(2, 1, name="b")(inputs)
    beside = L.Concatenate(axis=1, name="beside")([a, b])
    whole = L.Concatenate(name="join")([a, L.Conv2D(2, 7, padding="same")(inputs)])
    scaled = L.Multiply(name="scaled")([a, L.GlobalAveragePooling2D(keepdims=True)(inputs)])
    model = keras.Model(inputs, [beside, whole, scaled])
    field = cx.explain.receptive_field
    assert field(model, "beside", (3, 4)) == (2, 3, 5, 6)
    assert field(model, "beside", (HEIGHT + 3, 4)) == (3, 4, 4, 5)
    assert field(model, "join", (10, 10)) == (7, 7, 14, 14)
    assert field(model, "scaled", (3, 4)) == (0, 0, HEIGHT, WIDTH)


def test_max_pool_with_argmax():
    class Pool(L.Layer):
        def call(self, x):
            return cx.nn.max_pool_with_argmax(x, 3, 2, "VALID")[0]

    model = keras.Sequential([keras.Input((HEIGHT, WIDTH, 1)), L.Conv2D(2, 3), Pool(name="pool")])
    assert cx.explain.receptive_field(model, "pool", (2, 3)) == (4, 6, 9, 11)
    image = np.random.default_rng(0).random((1, HEIGHT, WIDTH, 1))
    e = cx.explain.deconvnet(model, image, "pool", 1)
    plain = keras.Sequential(
        [keras.Input((HEIGHT, WIDTH, 1)), L.Conv2D(2, 3), L.MaxPooling2D(3, 2, name="pool")]
    )
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(e.raw, cx.explain.deconvnet(plain, image, "pool", 1).raw)


def test_any_size():
    model = keras.Sequential([keras.Input((None, None, 1)), L.Conv2D(2, 3, padding="same", name="a")])
    assert cx.explain.receptive_field(model, "a", (5, 0), size=(6, 9)) == (4, 0, 6, 2)
    with pytest.raises(ValueError, match="`size` must be"):
        cx.explain.receptive_field(model, "a", (5, 0))
    inside = "`position` must be .* inside the maps of layer 'a', 6 x 9"
    for position in ((6, 0), (-1, 0), 5, (1.5, 2), "ab", (1, 2, 3)):
        with pytest.raises(ValueError, match=inside):
            cx.explain.receptive_field(model, "a", position, size=(6, 9))
    for size in (5, (1.5, 2), "ab", (0, 5), (1, 2, 3)):
        with pytest.raises(ValueError, match="`size` must be"):
            cx.explain.receptive_field(model, "a", (0, 0), size=size)
    for side in (8, 11):
        x = np.random.default_rng(0).random((2, side, side + 1, 1))
        assert cx.explain.deconvnet(model, x, "a").raw.shape == x.shape
