"""Packed weights: made once for each version, dropped with it, the same bits with and without."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import _core

KERAS = cx.keras


@pytest.fixture(autouse=True)
def no_forms():
    gc.collect()
    cx.clear_caches()


def small_model():
    """Two convolutions, and a dense layer that a batch makes a matrix product."""
    layers = KERAS.layers
    return KERAS.Sequential(
        [
            KERAS.Input((9, 9, 3)),
            layers.Conv2D(20, 3, activation="relu"),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )


IMAGES = np.random.default_rng(0).normal(size=(4, 9, 9, 3)).astype(np.float32)
FORMS = 3  # of small_model's forward
CHANGES = {
    "assign": lambda v: v.assign(v * 2),
    "assign_add": lambda v: v.assign_add(v),
    "assign_sub": lambda v: v.assign_sub(-v),
    "optimizer": lambda v: KERAS.optimizers.SGD(1.0).apply_gradients([(-v, v)]),
}


def made_by(work):
    before = _core.forms()[0]
    result = work()
    return _core.forms()[0] - before, result


def gradient(model, images):
    x = cx.convert_to_tensor(images)
    with cx.GradientTape() as tape:  # the lecture's own listing: every weight is watched, none changes
        tape.watch(x)
        score = model(x)[:, 1]
    return tape.gradient(score, x).numpy()


def test_made_at_the_second_call_and_never_again():
    model = small_model()
    counts, results = zip(*(made_by(lambda: model(IMAGES).numpy()) for _ in range(4)), strict=True)
    assert counts == (0, FORMS, 0, 0)
    assert all(np.array_equal(results[0], other) for other in results[1:])
    counts, results = zip(*(made_by(lambda: gradient(model, IMAGES)) for _ in range(4)), strict=True)
    # three channels are less than half of a wide vector: their gradient goes another way, without a form
    assert counts == (0, 3 if _core.isa() == "portable" else 2, 0, 0)
    assert all(np.array_equal(results[0], other) for other in results[1:])
    bytes_kept = _core.forms()[1]
    kernels = [w for w in model.get_weights() if w.ndim > 1]
    assert sum(w.nbytes for w in kernels) <= bytes_kept <= 40 * sum(w.nbytes for w in kernels)


@pytest.mark.parametrize("change", CHANGES)
def test_a_variable_written_in_place_loses_its_forms(change):
    x = cx.constant(IMAGES)
    kernel = cx.Variable(np.random.default_rng(1).normal(size=(3, 3, 3, 8)).astype(np.float32))

    def run():
        return cx.nn.conv2d(x, kernel, strides=1, padding="SAME").numpy()

    first = [run() for _ in range(3)][-1]
    assert _core.forms()[1] > 0
    address = kernel.address
    CHANGES[change](kernel)
    assert (change != "assign") or kernel.address == address
    assert _core.forms()[1] == 0
    for _ in range(3):
        assert np.array_equal(run(), 2 * first)


def test_set_weights_and_load_weights(tmp_path):
    model, other = small_model(), small_model()
    want = other(IMAGES).numpy()
    path = tmp_path / "x.weights.h5"
    other.save_weights(path)
    for change in (lambda: model.set_weights(other.get_weights()), lambda: model.load_weights(path)):
        model.set_weights([w + 1 for w in model.get_weights()])
        for _ in range(3):
            stale = model(IMAGES).numpy()
        assert not np.array_equal(stale, want)
        change()
        for _ in range(3):
            assert np.array_equal(model(IMAGES).numpy(), want)


def test_training_makes_none():
    model = small_model()
    model.compile("sgd", "mse")
    y = np.zeros((4, 5), np.float32)
    made, _ = made_by(lambda: model.fit(IMAGES, y, batch_size=4, epochs=4, verbose=0))
    assert made == 0
    before = model(IMAGES).numpy()
    for _ in range(2):
        model(IMAGES)
    model.fit(IMAGES, y, batch_size=4, epochs=1, verbose=0)
    assert not np.array_equal(model(IMAGES).numpy(), before)
    fresh = small_model()
    fresh.set_weights(model.get_weights())
    assert np.array_equal(model(IMAGES).numpy(), fresh(IMAGES).numpy())


def test_temporaries_have_none():
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 8)).astype(np.float32)
    doubled = cx.Variable(kernel)
    for _ in range(3):
        cx.nn.conv2d(IMAGES, kernel, strides=1, padding="SAME")
        cx.nn.conv2d(IMAGES, doubled * 2.0, strides=1, padding="SAME")
    assert _core.forms()[1] == 0


def test_two_threads_share_them():
    model = small_model()
    want, want_gradient = model(IMAGES).numpy(), gradient(model, IMAGES)
    wrong = []

    def run():
        for _ in range(20):
            if not np.array_equal(model(IMAGES).numpy(), want):
                wrong.append("value")
            if not np.array_equal(gradient(model, IMAGES), want_gradient):
                wrong.append("gradient")
            cx.clear_caches()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_freed_with_the_model_and_by_clear_caches():
    model = small_model()
    for _ in range(3):
        model(IMAGES)
    assert _core.forms()[1] > 0
    cx.clear_caches()
    assert _core.forms()[1] == 0
    before = _core.forms()[0]
    for _ in range(3):
        model(IMAGES)
    assert _core.forms()[0] - before == FORMS
    del model
    gc.collect()
    assert _core.forms()[1] == 0


def test_large_dense_weights_exist_once():
    kernel = cx.Variable(np.zeros((3000, 1000), np.float32))
    x = np.zeros((2, 3000), np.float32)
    for _ in range(3):
        _core.dense(x, kernel)
    assert _core.forms()[1] == 0
