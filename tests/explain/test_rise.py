"""RISE against NumPy and by hand."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras
H, W = small.HEIGHT, small.WIDTH


def twin_masks(count, cells, p, seed):
    """The paper's masks from the same random numbers: (count,H,W)."""
    made = []
    cell = [int(np.ceil(H / cells[0])), int(np.ceil(W / cells[1]))]
    for which in range(count):
        drawn = cx.random.stateless_uniform((cells[0] * cells[1] + 2,), seed=(seed, which)).numpy()
        visible = (drawn[:-2] < p).astype(np.float64).reshape(1, *cells)
        large = small.enlarge(visible, ((cells[0] + 1) * cell[0], (cells[1] + 1) * cell[1]))[0]
        top, left = int(drawn[-2] * cell[0]), int(drawn[-1] * cell[1])
        made.append(large[top : top + H, left : left + W])
    return np.array(made)


@pytest.mark.parametrize(
    "cells, p, seed", [((7, 7), 0.5, 0), ((3, 4), 0.3, 5), ((1, 1), 0.9, 1), ((H, W), 0.5, 2)]
)
def test_against_numpy(model, x, cells, p, seed):
    classes = [1, 2, 0]
    masks = twin_masks(40, cells, p, seed)
    scores = np.array([small.Twin(x * m[..., None]).probabilities[np.arange(3), classes] for m in masks])
    want = np.einsum("in,ihw->nhw", scores, masks) / (40 * p)
    e = cx.explain.rise(model, x, classes, masks=40, grid=cells, p=p, seed=seed, dtype="float64")
    np.testing.assert_allclose(e.steps["masked scores"], scores.T, atol=1e-6)
    np.testing.assert_allclose(e.raw, want, atol=1e-6)
    above = want - want.min((1, 2), keepdims=True)
    if np.ptp(above) > 1e-3:
        np.testing.assert_allclose(e.map, above / above.max((1, 2), keepdims=True), atol=1e-4)
    np.testing.assert_allclose(e.steps["masks"][1], masks[:8].transpose(1, 2, 0), atol=1e-6)
    np.testing.assert_allclose(e.steps["mean mask"][2], masks.mean(0), atol=1e-6)
    narrow = cx.explain.rise(model, x, classes, masks=40, grid=cells, p=p, seed=seed)
    np.testing.assert_allclose(narrow.raw, want, atol=1e-5)
    assert narrow.raw.dtype == np.float32


def test_mean_of_a_mask_is_p():
    model = keras.Sequential([keras.Input((H, W, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    for p in (0.2, 0.5, 0.8):
        e = cx.explain.rise(model, np.ones((H, W)), 0, masks=2000, grid=4, p=p)
        mean = e.steps["mean mask"][0]
        assert np.abs(mean - p).max() < 5 * np.sqrt(p * (1 - p) / 2000)
        masks = e.steps["masks"]
        assert masks.min() >= 0 and masks.max() <= 1


def test_one_pixel_that_counts():
    """y = x[4, 9]: the score is the mask there, and raw is largest at that place."""
    w = np.zeros((H, W, 1, 2))
    w[4, 9, 0, 1] = 1
    model = keras.Sequential([keras.Input((H, W, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.set_weights([w.reshape(-1, 2), np.zeros(2)])
    e = cx.explain.rise(model, np.ones((H, W)), 1, masks=1000, grid=5, score="logit", dtype="float64")
    masks = twin_masks(1000, (5, 5), 0.5, 0)
    np.testing.assert_allclose(e.steps["masked scores"][0], masks[:, 4, 9], atol=1e-6)
    top, left = np.unravel_index(e.map[0].argmax(), (H, W))
    assert abs(top - 4) <= 1 and abs(left - 9) <= 1


def test_baseline(model, x):
    masks = twin_masks(10, (7, 7), 0.5, 0)
    for given, base in ((0.25, np.full(x.shape, 0.25)), (x * 2, x * 2), (x[0], np.stack([x[0]] * 3))):
        e = cx.explain.rise(model, x, 1, masks=10, baseline=given, dtype="float64")
        for i, m in enumerate(masks):
            seen = x * m[..., None] + base * (1 - m[..., None])
            np.testing.assert_allclose(
                e.steps["masked scores"][:, i], small.Twin(seen).probabilities[:, 1], atol=1e-6
            )


def test_batches_change_no_bit(model, x):
    whole = cx.explain.rise(model, x, [1, 2, 0], masks=30)
    for size in (1, 7, 100):
        part = cx.explain.rise(model, x, [1, 2, 0], masks=30, batch_size=size)
        np.testing.assert_array_equal(part.raw, whole.raw)
    for i, c in enumerate([1, 2, 0]):
        np.testing.assert_array_equal(cx.explain.rise(model, x[i], c, masks=30).raw[0], whole.raw[i])
    more = cx.explain.rise(model, x, [1, 2, 0], masks=35)
    np.testing.assert_array_equal(more.steps["masked scores"][:, :30], whole.steps["masked scores"])
    other = cx.explain.rise(model, x, [1, 2, 0], masks=30, seed=1)
    assert np.abs(other.raw - whole.raw).max() > 1e-3


def test_probability_unless_asked_otherwise(model, x):
    assert inspect.signature(cx.explain.rise).parameters["score"].default == "probability"
    e = cx.explain.rise(model, x, 1, masks=5)
    np.testing.assert_allclose(e.score, small.Twin(x).probabilities[:, 1], atol=1e-6)
    logit = cx.explain.rise(model, x, 1, masks=5, score="logit")
    np.testing.assert_allclose(logit.score, small.Twin(x).logits[:, 1], atol=1e-5)


def test_progress_and_interruption(model, x, unchanged):
    seen, state = [], unchanged(model)
    cx.explain.rise(model, x, 1, masks=20, batch_size=8, progress=lambda *a: seen.append(a))
    assert seen[-1] == (60, 60) and len(seen) == 8

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cx.explain.rise(model, x, 1, masks=20, progress=stop)
    state.check()


def test_the_same_score_everywhere(model, x):
    e = cx.explain.rise(model, np.zeros((1, H, W, 3)), 1, masks=1, grid=1, p=1e-9)
    assert not e.map.any() and "same under every mask" in e.warnings[0]


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"masks": 0}, ValueError, "`masks` must be a positive integer"),
        ({"masks": 2.5}, TypeError, "`masks`"),
        ({"p": 0}, ValueError, "`p` must lie between 0 and 1"),
        ({"p": 1.0}, ValueError, "`p` must lie"),
        ({"p": "half"}, TypeError, "`p` must be a number"),
        ({"grid": 0}, ValueError, "`grid` must be a positive integer"),
        ({"grid": (3, 99)}, ValueError, f"at most as many cells as the image has pixels, {H} x {W}"),
        ({"grid": (1, 2, 3)}, ValueError, "`grid` must be a positive integer or a pair"),
        ({"seed": 1.5}, TypeError, "`seed` must be an integer"),
        ({"baseline": [0, 1]}, ValueError, "`baseline` must be a number"),
        ({"baseline": np.zeros((2, 2))}, ValueError, "`baseline` must have shape"),
        ({"class_index": 4}, ValueError, "`class_index` must be between 0 and 3"),
        ({"mask": 3}, TypeError, "unexpected keyword argument 'mask'"),
    ],
)
def test_bad_input(model, x, options, error, message):
    with pytest.raises(error, match=message):
        cx.explain.rise(model, x, **options)
