"""What the README promises about numbers, threads and memory, checked on whole models."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading

import lecture
import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import _core

KERAS = cx.keras


@pytest.fixture
def threads():
    """Sets the number of threads; the old one comes back."""
    before = cx.get_threads()
    yield cx.set_threads
    cx.set_threads(before)


def trained_looking(model, seed=0):
    """Weights that keep activations alive."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [rng.normal(0, np.sqrt(2 / max(np.prod(w.shape[:-1]), 1)), w.shape) for w in model.get_weights()]
    )
    return model


@pytest.fixture(scope="module")
def network():
    return trained_looking(lecture.lecture_network(cx))


@pytest.fixture(scope="module")
def residual():
    """Strides, batch normalisation, a branch, a depthwise convolution and odd sizes."""
    layers = KERAS.layers
    inputs = KERAS.Input((37, 29, 3))
    x = layers.Conv2D(16, 7, strides=2, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    y = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same", use_bias=False)(x))
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Conv2D(40, 1, activation="relu")(x)
    x = layers.AveragePooling2D(2)(x)
    outputs = layers.Dense(7, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return KERAS.Model(inputs, outputs)


def forward_and_gradient(model, images, label=1):
    inputs = cx.convert_to_tensor(images)
    with cx.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        probabilities = model(inputs)
        score = probabilities.logits[:, label]
    return probabilities.numpy(), tape.gradient(score, inputs).numpy()


@pytest.mark.parametrize("which", ["network", "residual"])
def test_the_same_bits_for_any_batch_place_threads_and_alignment(which, request, threads):
    model = request.getfixturevalue(which)
    shape = model.inputs[0].shape[1:]
    images = np.random.default_rng(0).normal(size=(9, *shape)).astype(np.float32)
    threads(1)
    want = forward_and_gradient(model, images)
    for count in (1, 2, 3, 5):
        threads(count)
        for got, expected in zip(forward_and_gradient(model, images), want, strict=True):
            assert np.array_equal(got, expected), f"{count} threads"
        for i in (0, 4, 8):
            for got, expected in zip(forward_and_gradient(model, images[i : i + 1]), want, strict=True):
                assert np.array_equal(got[0], expected[i]), f"alone, {count} threads"
        turned = forward_and_gradient(model, images[::-1])
        assert all(np.array_equal(a[::-1], b) for a, b in zip(turned, want, strict=True))
    buffer = np.empty(images.size + 1, np.float32)[1:].reshape(images.shape)
    buffer[...] = images
    assert all(np.array_equal(a, b) for a, b in zip(forward_and_gradient(model, buffer), want, strict=True))


def test_another_thread_did_some_of_the_work(network, threads):
    threads(2)
    before = _core.worker_runs()
    network(np.zeros((64, 28, 28, 1), np.float32))
    assert _core.worker_runs() > before
    threads(1)
    before = _core.worker_runs()
    network(np.zeros((64, 28, 28, 1), np.float32))
    assert _core.worker_runs() == before


@pytest.mark.parametrize(("side", "channels", "filters"), [(28, 1, 16), (14, 64, 40), (9, 130, 33)])
def test_convolution_is_as_exact_as_promised(side, channels, filters):
    rng = np.random.default_rng(side)
    x = rng.normal(size=(2, side, side, channels)).astype(np.float32)
    k = rng.normal(size=(3, 3, channels, filters)).astype(np.float32)
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    want = np.einsum("nhwcij,ijcf->nhwf", windows, k.astype(np.float64))
    scale = np.einsum("nhwcij,ijcf->nhwf", np.abs(windows), np.abs(k.astype(np.float64))).max()
    got = cx.nn.conv2d(x, k, strides=1, padding="SAME").numpy()
    assert np.abs(got - want).max() <= 1e-6 * scale


def test_a_seed_repeats_training_bit_for_bit(threads):
    rng = np.random.default_rng(0)
    x, y = rng.random((200, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, 200)

    def run(count):
        threads(count)
        KERAS.utils.set_random_seed(7)
        model = KERAS.Sequential(
            [
                KERAS.Input((28, 28, 1)),
                KERAS.layers.Conv2D(16, 3, strides=2, activation="relu"),
                KERAS.layers.BatchNormalization(),
                KERAS.layers.Dropout(0.3),
                KERAS.layers.Conv2D(8, 3, activation="relu"),
                KERAS.layers.GlobalAveragePooling2D(),
                KERAS.layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=32, epochs=2, verbose=0)
        return model.get_weights(), history.history["loss"]

    first, loss = run(1)
    for count in (1, 2, 4):
        again, same_loss = run(count)
        assert loss == same_loss
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert loss[1] < loss[0]


def test_two_threads_explain_with_one_model_at_the_same_time(network):
    images = np.random.default_rng(3).random((8, 28, 28, 1), dtype=np.float32)
    want = [cx.explain.grad_cam(network, image, 2).raw for image in images]
    got: dict[int, np.ndarray] = {}
    errors: list[BaseException] = []

    def work(start):
        try:
            for _ in range(10):
                for i in range(start, 8, 2):
                    got[i] = cx.explain.grad_cam(network, images[i], 2).raw
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(start,)) for start in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors
    assert all(np.array_equal(got[i], want[i]) for i in range(8))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_computes(network):
    images = np.random.default_rng(5).random((32, 28, 28, 1), dtype=np.float32)
    code = (
        "import os, sys, numpy as np, cnnexplain as cx\n"
        "cx.set_threads(2)\n"
        "x = np.ones((8, 64, 64, 8), 'f'); k = np.ones((3, 3, 8, 16), 'f')\n"
        "want = cx.nn.conv2d(x, k, 1, 'SAME').numpy()\n"
        "child = os.fork()\n"
        "same = np.array_equal(cx.nn.conv2d(x, k, 1, 'SAME').numpy(), want)\n"
        "if child == 0: os._exit(0 if same else 3)\n"
        "status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "sys.exit(0 if same and status == 0 else 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tempfile.gettempdir(), timeout=120, check=False
    )
    assert done.returncode == 0
    assert network(images).shape == (32, 10)


def test_memory_stays_flat_over_a_thousand_maps(network):
    resource = pytest.importorskip("resource")
    image = np.random.default_rng(0).random((1, 28, 28, 1), dtype=np.float32)
    for _ in range(100):
        cx.explain.saliency(network, image, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):
        forward_and_gradient(network, image)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024
    assert _core.faults() == 0


def test_an_empty_batch_is_a_batch(network):
    probabilities, gradient = forward_and_gradient(network, np.zeros((0, 28, 28, 1), np.float32))
    assert probabilities.shape == (0, 10) and gradient.shape == (0, 28, 28, 1)


def test_huge_sizes_are_refused_with_their_sum():
    with pytest.raises(MemoryError, match="MiB"):
        cx.zeros((1 << 20, 1 << 20))
    with pytest.raises((ValueError, MemoryError)):
        cx.zeros((1 << 40, 1 << 40))
    with pytest.raises((ValueError, MemoryError)):
        cx.tile(cx.ones((1 << 20,)), [1 << 45])


def test_non_finite_data_stays_visible(network):
    image = np.zeros((1, 28, 28, 1), np.float32)
    image[0, 3, 3, 0] = np.nan
    assert np.isnan(network(image).numpy()).all()


def test_callers_arrays_are_never_changed(network):
    images = np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32)
    copy = images.copy()
    images.flags.writeable = False
    forward_and_gradient(network, images)
    network.predict(images, verbose=0)
    cx.explain.grad_cam(network, images)
    assert np.array_equal(images, copy)


def test_results_do_not_share_memory_with_their_inputs():
    images = np.random.default_rng(0).random((3, 4), dtype=np.float32)
    result = cx.reshape(images, (4, 3))
    kept = result.numpy()
    images[...] = 0
    assert np.array_equal(result.numpy(), kept)
    result.numpy()[...] = 5
    assert np.array_equal(result.numpy(), kept)
