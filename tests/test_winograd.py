"""Winograd's convolutions: as exact as promised for any data, with bits that only image and kernel decide,
and forbidden by "strict". tests/c/test_conv.c has more shapes, on every vector unit.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import _core

KERAS = cx.keras


@pytest.fixture(autouse=True)
def fast():
    cx.set_precision("fast")
    yield
    cx.set_precision("fast")


def convolved(x, k, pads):
    """The formula in float64."""
    padded = np.pad(x.astype(np.float64), ((0, 0), pads[:2], pads[2:], (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,ijcf->nhwf", windows, k.astype(np.float64), optimize=True)


def kernel_gradient(x, dy, pads):
    """The formula in float64, and the largest |x| conv |dy|."""
    padded = np.pad(x.astype(np.float64), ((0, 0), pads[:2], pads[2:], (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    exact = np.einsum("nhwcij,nhwf->ijcf", windows, dy, optimize=True)
    return exact, np.einsum("nhwcij,nhwf->ijcf", np.abs(windows), np.abs(dy), optimize=True).max()


def image(kind, shape, rng):
    if kind == "random":
        return rng.normal(size=shape).astype(np.float32)
    if kind == "relu":
        return np.maximum(rng.normal(size=shape), 0).astype(np.float32)
    n, height, width, channels = shape
    i, j = np.mgrid[:height, :width] / 9
    waves = [np.sin(i + c) + np.cos(j * (1 + c % 3)) + 2 for c in range(channels)]
    return np.broadcast_to(np.stack(waves, axis=-1), (n, height, width, channels)).astype(np.float32)


def kernel(kind, channels, filters, rng):
    k = rng.normal(size=(3, 3, channels, filters))
    if kind == "high-pass":  # each answers 0 to a plane: the result is what is left of large terms
        k = np.outer([1, -2, 1], [1, -2, 1])[:, :, None, None] * np.abs(k[:1, :1])
    return k.astype(np.float32)


# (height, width), channels, filters, pads: both tile sizes, borders, odd sizes, one chain and several
SHAPES = {
    "tiles of 4": ((12, 16), 32, 64, (1, 1, 1, 1)),
    "odd sizes": ((13, 11), 17, 33, (1, 1, 1, 1)),
    "no padding": ((14, 9), 130, 20, (0, 0, 0, 0)),
    "uneven padding": ((9, 10), 40, 48, (0, 2, 3, 1)),
    "deep": ((28, 28), 300, 40, (1, 1, 1, 1)),
    "few tiles": ((7, 9), 256, 257, (1, 1, 1, 1)),
}


@pytest.mark.parametrize("filters_kind", ["random", "high-pass"])
@pytest.mark.parametrize("image_kind", ["random", "relu", "smooth"])
@pytest.mark.parametrize("shape", SHAPES)
def test_error_of_output_and_gradients(shape, image_kind, filters_kind):
    (height, width), channels, filters, pads = SHAPES[shape]
    rng = np.random.default_rng(len(shape))
    x = image(image_kind, (2, height, width, channels), rng)
    k = kernel(filters_kind, channels, filters, rng)
    attributes = {"padding": "explicit", "pads": pads}
    got = _core.conv2d(x, k, **attributes).numpy()
    cx.set_precision("strict")
    assert not np.array_equal(got, _core.conv2d(x, k, **attributes).numpy()), "both by one algorithm"
    cx.set_precision("fast")
    scale = convolved(np.abs(x), np.abs(k), pads).max()
    assert np.abs(got - convolved(x, k, pads)).max() <= 1e-6 * scale

    tensor, weights = cx.convert_to_tensor(x), cx.Variable(k)
    dy = image(image_kind, got.shape, rng)
    with cx.GradientTape() as tape:
        tape.watch(tensor)
        y = _core.conv2d(tensor, weights, **attributes)
    dx, dk = tape.gradient(y, [tensor, weights], output_gradients=cx.convert_to_tensor(dy))
    dx, dk = dx.numpy(), dk.numpy()
    padded = np.pad(x.astype(np.float64), ((0, 0), pads[:2], pads[2:], (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    want = np.einsum("nhwcij,nhwf->ijcf", windows, dy.astype(np.float64), optimize=True)
    scale = np.einsum(
        "nhwcij,nhwf->ijcf", np.abs(windows), np.abs(dy.astype(np.float64)), optimize=True
    ).max()
    assert np.abs(dk - want).max() <= 1e-6 * scale
    turned = k[::-1, ::-1].transpose(0, 1, 3, 2)
    back = tuple(2 - p for p in pads)
    cut = [(max(-b, 0), max(b, 0)) for b in back]  # a negative pad cuts
    inner = dy[:, cut[0][0] : dy.shape[1] - cut[1][0], cut[2][0] : dy.shape[2] - cut[3][0]]
    pads_back = tuple(c[1] for c in cut)
    scale = convolved(np.abs(inner), np.abs(turned), pads_back).max()
    assert np.abs(dx - convolved(inner, turned, pads_back)).max() <= 1e-6 * scale


@pytest.fixture(scope="module")
def network():
    """Every kind of layer that Winograd serves, with odd sizes; weights that keep activations alive."""
    layers = KERAS.layers
    inputs = KERAS.Input((30, 21, 16))
    x = layers.Conv2D(40, 3, padding="same", activation="relu")(inputs)
    x = layers.Add()([x, layers.Conv2D(40, 3, padding="same")(x)])  # two gradients meet
    x = layers.Conv2D(33, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2DTranspose(20, 3, padding="same", activation="relu")(x)
    model = KERAS.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    rng = np.random.default_rng(1)
    model.set_weights(
        [rng.normal(0, np.sqrt(2 / max(np.prod(w.shape[:-1]), 1)), w.shape) for w in model.get_weights()]
    )
    return model


def forward_and_gradient(model, images, between=lambda: None):
    x = cx.convert_to_tensor(images)
    with cx.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = model(x)
    between()
    return y.numpy(), tape.gradient(y, x).numpy()


def same(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))


IMAGES = np.random.default_rng(0).normal(size=(9, 30, 21, 16)).astype(np.float32)


def test_bits_do_not_depend_on_batch_place_threads_alignment_or_kept_forms(network):
    before = cx.get_threads()
    cx.clear_caches()
    want = forward_and_gradient(network, IMAGES)
    try:
        for count in (1, 2, 3, 5, 16):
            cx.set_threads(count)
            assert same(forward_and_gradient(network, IMAGES), want)
            for i in (0, 4, 8):
                alone = forward_and_gradient(network, IMAGES[i : i + 1])
                assert same(alone, [w[i : i + 1] for w in want])
            assert same(forward_and_gradient(network, IMAGES[::-1]), [w[::-1] for w in want])
    finally:
        cx.set_threads(before)
    buffer = np.empty(IMAGES.size + 1, np.float32)[1:].reshape(IMAGES.shape)
    buffer[...] = IMAGES
    assert same(forward_and_gradient(network, buffer), want)


def test_a_program_follows_the_precision_and_a_tape_keeps_its_own(network):
    fast = forward_and_gradient(network, IMAGES)
    cx.set_precision("strict")
    strict = forward_and_gradient(network, IMAGES)
    assert not np.array_equal(fast[0], strict[0]) and not np.array_equal(fast[1], strict[1])
    np.testing.assert_allclose(fast[0], strict[0], rtol=0, atol=1e-5 * np.abs(strict[0]).max())
    for _ in range(2):
        cx.set_precision("fast")
        assert same(forward_and_gradient(network, IMAGES), fast)
        changed = forward_and_gradient(network, IMAGES, between=lambda: cx.set_precision("strict"))
        assert same(changed, fast)
        assert cx.get_precision() == "strict"
        assert same(forward_and_gradient(network, IMAGES), strict)


def test_precision_may_change_while_another_thread_computes(network):
    fast = network(IMAGES).numpy()
    cx.set_precision("strict")
    strict = network(IMAGES).numpy()
    stop = threading.Event()

    def flip():
        while not stop.is_set():
            cx.set_precision("fast")
            cx.set_precision("strict")

    other = threading.Thread(target=flip)
    other.start()
    scale = 1e-5 * np.abs(strict).max()
    try:
        for _ in range(20):
            y = network(IMAGES).numpy()
            assert np.abs(y - strict).max() <= scale and np.abs(y - fast).max() <= scale
    finally:
        stop.set()
        other.join()


def test_gradient_that_is_added_to(network):
    x = cx.convert_to_tensor(IMAGES[:1])
    k = cx.Variable(kernel("random", 16, 16, np.random.default_rng(5)))
    grads = []
    for scale in (0.0, 1.0):
        with cx.GradientTape() as tape:
            tape.watch(x)
            y = cx.nn.conv2d(x, k, strides=1, padding="SAME") + scale * x * x
        grads.append(tape.gradient(y, x).numpy())
    np.testing.assert_allclose(grads[1], grads[0] + 2 * IMAGES[:1], rtol=0, atol=1e-5)


def test_kernel_gradient_of_many_tiles_for_any_number_of_threads():
    rng = np.random.default_rng(7)
    x, dy = (rng.normal(size=(5, 37, 30, n)).astype(np.float32) for n in (33, 40))
    k = cx.Variable(kernel("random", 33, 40, rng))

    def run():
        with cx.GradientTape() as tape:
            y = cx.nn.conv2d(x, k, strides=1, padding="SAME") + 0.0 * k[0, 0, 0]
        return tape.gradient(y, k, output_gradients=cx.convert_to_tensor(dy)).numpy()

    exact, scale = kernel_gradient(x, dy, (1, 1, 1, 1))
    before = cx.get_threads()
    want = run()
    assert np.abs(want - exact).max() <= 1e-6 * scale
    try:
        for count in (1, 2, 3, 7):
            cx.set_threads(count)
            assert np.array_equal(run(), want)
    finally:
        cx.set_threads(before)


def test_training_converges_alike():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(64, 12, 12, 16)).astype(np.float32)
    y = (x[:, 3:9, 3:9, :8].mean((1, 2, 3)) > 0).astype(np.int32)

    def losses(precision):
        cx.set_precision(precision)
        KERAS.utils.set_random_seed(0)
        layers = KERAS.layers
        model = KERAS.Sequential(
            [
                KERAS.Input((12, 12, 16)),
                layers.Conv2D(24, 3, padding="same", activation="relu"),
                layers.Conv2D(16, 3, padding="same", activation="relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(2),
            ]
        )
        model.compile("adam", KERAS.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model.fit(x, y, batch_size=16, epochs=5, verbose=0).history["loss"]

    fast, strict = losses("fast"), losses("strict")
    assert fast != strict
    np.testing.assert_allclose(fast, strict, rtol=1e-3)
    assert fast[-1] < fast[0]
