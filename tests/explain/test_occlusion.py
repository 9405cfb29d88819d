"""Occlusion against NumPy, by hand, and against captum."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras
H, W = small.HEIGHT, small.WIDTH


def twin(x, side, step, base, score):
    """Zeiler and Fergus: the score with each window covered (n, rows, columns), and the mean drop of a pixel.

    score: of (n,H,W,C), (n,). A window that reaches the lower or right edge ends a row.
    """
    clean, rows, starts = score(x), [], []
    for top in range(0, H, step[0]):
        columns = []
        for left in range(0, W, step[1]):
            covered = x.copy()
            covered[:, top : top + side[0], left : left + side[1]] = base[
                :, top : top + side[0], left : left + side[1]
            ]
            columns.append(score(covered))
            starts.append((top, left, clean - columns[-1]))
            if left + side[1] >= W:
                break
        rows.append(columns)
        if top + side[0] >= H:
            break
    mean = np.zeros(x.shape[:3])
    for i in range(H):
        for j in range(W):
            over = [d for t, k, d in starts if t <= i < t + side[0] and k <= j < k + side[1]]
            mean[:, i, j] = np.mean(over, axis=0)
    return np.array(rows).transpose(2, 0, 1), mean


def logit_of(classes):
    return lambda x: small.Twin(x).logits[np.arange(len(x)), classes]


@pytest.mark.parametrize(
    "side, step", [((4, 4), (2, 2)), ((5, 3), (3, 2)), ((H, W), (1, 1)), ((1, 6), (1, 5))]
)
def test_against_numpy(model, x, side, step):
    classes = [1, 2, 0]
    base = np.full(x.shape, 0.3)
    scores, mean = twin(x, side, step, base, logit_of(classes))
    e = cx.explain.occlusion(model, x, classes, window=side, stride=step, baseline=0.3, dtype="float64")
    np.testing.assert_allclose(e.steps["score"], scores, atol=1e-6)  # the model's weights are float32
    np.testing.assert_allclose(e.raw, mean, atol=1e-6)
    if side != (H, W):  # then every pixel has the same value
        np.testing.assert_allclose(e.map, small.normalize(mean), atol=1e-5)
    np.testing.assert_allclose(
        e.steps["score drop"], e.score[:, None, None] - e.steps["score"], rtol=0, atol=1e-12
    )
    narrow = cx.explain.occlusion(model, x, classes, window=side, stride=step, baseline=0.3)
    np.testing.assert_allclose(narrow.raw, mean, atol=2e-5)
    assert narrow.raw.dtype == np.float32 and narrow.map.shape == (3, H, W)


@pytest.mark.parametrize("build", [small.functional, small.nested])
def test_the_panels_of_the_paper(build, x):
    e = cx.explain.occlusion(
        build(keras), x, 1, window=4, stride=3, baseline=0, layer="second", dtype="float64"
    )
    clean = small.Twin(x)
    strongest = clean.second.sum((1, 2)).argmax(1)
    rows, columns = e.steps["probability"].shape[1:]
    assert (rows, columns) == (4, 5)  # the last row is cut: 9, 10
    for i in range(rows):
        for j in range(columns):
            covered = x.copy()
            covered[:, 3 * i : 3 * i + 4, 3 * j : 3 * j + 4] = 0
            t = small.Twin(covered)
            np.testing.assert_allclose(e.steps["probability"][:, i, j], t.probabilities[:, 1], atol=1e-7)
            np.testing.assert_array_equal(e.steps["most likely class"][:, i, j], t.logits.argmax(1))
            np.testing.assert_allclose(
                e.steps["map activity"][:, i, j],
                t.second.sum((1, 2))[np.arange(3), strongest],
                rtol=1e-6,
            )
    chosen = cx.explain.occlusion(
        build(keras), x, 1, window=H, stride=H, baseline=0, layer="first", feature_map=3, dtype="float64"
    )
    covered = x.copy()
    covered[:, :, :H] = 0
    np.testing.assert_allclose(
        chosen.steps["map activity"][:, 0, 0], small.Twin(covered).first[..., 3].sum((1, 2)), rtol=1e-6
    )


def test_a_linear_model_by_hand():
    """y = sum(w x): a window's drop is the sum of w (x - baseline) under it."""
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(6, 8, 2, 3)), rng.normal(size=(2, 6, 8, 2))
    model = keras.Sequential([keras.Input((6, 8, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.set_weights([w.reshape(-1, 3), np.zeros(3)])
    e = cx.explain.occlusion(model, x, 2, window=2, stride=2, baseline=0.5, dtype="float64")
    drops = (w.astype(np.float32)[..., 2] * (x - 0.5)).sum(-1)
    by_window = drops.reshape(2, 3, 2, 4, 2).sum((2, 4))
    np.testing.assert_allclose(e.steps["score drop"], by_window, atol=1e-12)
    np.testing.assert_allclose(e.raw, by_window.repeat(2, 1).repeat(2, 2), atol=1e-12)
    assert "map activity" not in e.steps and e.parameters["activity_of"] is None
    one = cx.explain.occlusion(model, x, 2, window=1, stride=1, baseline=0.5, dtype="float64")
    np.testing.assert_allclose(one.raw, drops, atol=1e-12)


@pytest.mark.parametrize("score", ["probability", "log_probability", "loss", lambda y: y[:, 1] * y[:, 2]])
def test_every_score(model, x, score):
    def of(images):
        return cx.explain.saliency(model, images, 1, score=score, dtype="float64").score

    scores, mean = twin(x, (4, 4), (4, 4), np.zeros(x.shape), of)
    e = cx.explain.occlusion(model, x, 1, score=score, window=4, stride=4, baseline=0, dtype="float64")
    np.testing.assert_allclose(e.steps["score"], scores, atol=1e-12)
    np.testing.assert_allclose(e.raw, mean, atol=1e-12)


def test_baselines(model, x):
    options = {"window": 4, "stride": 4, "dtype": "float64"}

    def raw(baseline, **more):
        return cx.explain.occlusion(model, x, 1, baseline=baseline, **options, **more).raw

    middle = (x.min((1, 2, 3), keepdims=True) + x.max((1, 2, 3), keepdims=True)) / 2
    for given, want in (
        (None, np.broadcast_to(middle, x.shape)),
        ("grey", np.broadcast_to(middle, x.shape)),
        (0.25, np.full(x.shape, 0.25)),
        ((0.1, 0.2, 0.3), np.broadcast_to([0.1, 0.2, 0.3], x.shape)),
        (x[0] * 0.5, np.broadcast_to(x[0] * 0.5, x.shape)),
        (x * 0.5, x * 0.5),
        ("mean", np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)),
    ):
        np.testing.assert_allclose(raw(given), twin(x, (4, 4), (4, 4), want, logit_of([1] * 3))[1], atol=1e-6)
    np.testing.assert_allclose(raw("black", preprocess="tf"), raw(-1.0), atol=1e-12)


def test_grey_of_photographs(model):
    from PIL import Image

    pictures = [
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (H, W, 3)).astype(np.uint8)) for k in (0, 1)
    ]
    e = cx.explain.occlusion(model, pictures, 1, preprocess="caffe", window=4)
    np.testing.assert_allclose(
        e.steps["baseline"][0, 0, 0], 127.5 - np.array([103.939, 116.779, 123.68]), rtol=1e-5
    )
    whole = cx.explain.occlusion(model, np.zeros((1, H, W, 3), np.uint8), 1, window=4)
    assert (whole.steps["baseline"] == 127.5).all()


def test_default_window(model, x):
    e = cx.explain.occlusion(model, x, 1)
    assert e.parameters["window"] == (1, 1) and e.parameters["stride"] == (1, 1)
    larger = keras.Sequential([keras.Input((29, 43, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    e = cx.explain.occlusion(larger, np.zeros((29, 43)), 1)
    assert e.parameters["window"] == (4, 4) and e.parameters["stride"] == (2, 2)


def test_batches_change_no_bit(model, x):
    whole = cx.explain.occlusion(model, x, [1, 2, 0], window=4, stride=2)
    for size in (1, 7, 500):
        part = cx.explain.occlusion(model, x, [1, 2, 0], window=4, stride=2, batch_size=size)
        np.testing.assert_array_equal(part.raw, whole.raw)
        for name, step in whole.steps.items():
            np.testing.assert_array_equal(part.steps[name], step)
    for i, c in enumerate([1, 2, 0]):
        alone = cx.explain.occlusion(model, x[i], c, window=4, stride=2)
        np.testing.assert_array_equal(alone.raw[0], whole.raw[i])


def test_what_is_kept_of_a_model_follows_its_weights(model, x):
    first = cx.explain.occlusion(model, x, 1, window=4)
    again = cx.explain.occlusion(model, x, 1, window=4)
    np.testing.assert_array_equal(first.raw, again.raw)
    model.set_weights(small.weights(seed=5))
    other = small.sequential(keras, seed=5)
    changed = cx.explain.occlusion(model, x, 1, window=4)
    np.testing.assert_array_equal(changed.raw, cx.explain.occlusion(other, x, 1, window=4).raw)
    assert np.abs(changed.raw - first.raw).max() > 1e-3
    model.get_layer("second").activation = keras.activations.tanh
    bent = cx.explain.occlusion(model, x, 1, window=4)
    assert np.abs(bent.raw - changed.raw).max() > 1e-3


def test_plans_do_not_pile_up(model, x):
    trace = keras.tracing.trace(model, training=False)
    for window in range(1, 12):
        cx.explain.occlusion(model, x, 1, window=(window, 3), stride=(1, 3))
    assert 0 < len(trace.derived) <= 8


def test_memory_is_bounded(model, x, monkeypatch):
    whole = cx.explain.occlusion(model, x, 1, window=3)
    module = sys.modules["cnnexplain.explain.occlusion"]
    monkeypatch.setattr(module, "_MOST_BASE_BYTES", 1)  # one image at a time
    np.testing.assert_array_equal(cx.explain.occlusion(model, x, 1, window=3).raw, whole.raw)


def test_progress_and_interruption(model, x, unchanged):
    seen = []
    state = unchanged(model)
    cx.explain.occlusion(model, x, 1, window=4, stride=4, batch_size=5, progress=lambda *a: seen.append(a))
    assert seen[-1] == (36, 36) and all(a[1] == 36 for a in seen) and len(seen) > 3

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cx.explain.occlusion(model, x, 1, window=4, progress=stop)
    state.check()
    before = x.copy()
    cx.explain.occlusion(model, x, 1, window=4)
    np.testing.assert_array_equal(x, before)


def test_a_tape_sees_nothing(model, x):
    with cx.GradientTape() as tape:
        cx.explain.occlusion(model, x, 1, window=4)
    assert tape.watched_variables() == ()


def test_one_sigmoid_unit(x):
    model = small.sequential(keras, "sigmoid", classes=1)
    on = cx.explain.occlusion(model, x, 1, window=4, dtype="float64")
    off = cx.explain.occlusion(model, x, 0, window=4, dtype="float64")
    np.testing.assert_array_equal(on.raw, -off.raw)
    np.testing.assert_array_equal(on.steps["most likely class"], (on.steps["score"] > 0).astype(int))


def test_nothing_is_found(model, x):
    e = cx.explain.occlusion(model, np.zeros((1, H, W, 3)), 1, window=4, baseline=0)
    assert not e.map.any() and not e.raw.any()
    assert "no window lowers the score" in e.warnings[0]


@pytest.mark.parametrize("value", [1e30, -1e30, 0.0, 1e-30])
def test_extreme_images(model, value):
    e = cx.explain.occlusion(model, np.full((1, H, W, 3), value), 1, window=4)
    assert np.isfinite(e.map).all() and e.map.min() >= 0 and e.map.max() <= 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"window": 0}, "`window` must be a positive integer or a pair"),
        ({"window": (3, 4, 5)}, "`window` must be a positive"),
        ({"window": 2.5}, "`window` must be a positive"),
        ({"window": True}, "`window` must be a positive"),
        ({"window": "32"}, "`window` must be a positive"),
        ({"window": (H + 1, 2)}, f"`window` must fit the image, {H} x {W}"),
        ({"window": 3, "stride": 4}, "`stride` must be at most the window"),
        ({"window": 3, "stride": -1}, "`stride` must be a positive"),
        ({"window": 3, "stride": (1, 0)}, "`stride` must be a positive"),
        ({"baseline": (1, 2)}, "`baseline` must be a number, 3 numbers"),
        ({"baseline": np.nan}, "`baseline`"),
        ({"baseline": "pink"}, "`baseline`"),
        ({"baseline": np.zeros((2, 2, 3))}, "`baseline` must have shape"),
        ({"baseline": "white"}, "needs `preprocess`"),
        ({"layer": "nowhere"}, "there is no layer 'nowhere'"),
        ({"feature_map": 99}, "`feature_map` must be one of the 7 maps"),
        ({"feature_map": -1}, "`feature_map`"),
        ({"class_index": 9}, "`class_index` must be between 0 and 3"),
        ({"batch_size": 0}, "`batch_size`"),
    ],
)
def test_bad_input(model, x, options, message):
    with pytest.raises(ValueError, match=message):
        cx.explain.occlusion(model, x, **options)


def test_nan_in_the_image(model, x):
    x[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        cx.explain.occlusion(model, x, window=4)


def test_a_score_without_the_image():
    image, other = keras.Input((5, 5, 1)), keras.Input((3,))
    model = keras.Model([image, other], keras.layers.Dense(2)(other))
    with pytest.raises(ValueError, match="does not depend on the image"):
        cx.explain.occlusion(model, [np.zeros((1, 5, 5, 1)), np.zeros((1, 3))], 0, input=0)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("side, step", [((4, 4), (2, 2)), ((5, 3), (4, 2)), ((3, 3), (3, 1))])
def test_against_captum(model, x, side, step):
    torch = pytest.importorskip("torch")
    attr = pytest.importorskip("captum.attr")
    w = [np.asarray(value, np.float64) for value in model.get_weights()]

    class Network(torch.nn.Module):
        def forward(self, images):
            z = images
            for k in range(3):
                kernel = torch.from_numpy(w[2 * k].transpose(3, 2, 0, 1).copy())
                z = torch.relu(
                    torch.nn.functional.conv2d(z, kernel, torch.from_numpy(w[2 * k + 1]), padding=1)
                )
                z = torch.nn.functional.max_pool2d(z, 2) if k == 0 else z
            return z.mean((2, 3)) @ torch.from_numpy(w[6]) + torch.from_numpy(w[7])

    images = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    found = attr.Occlusion(Network()).attribute(
        images, sliding_window_shapes=(3, *side), strides=(3, *step), target=[1, 2, 0], baselines=0
    )
    e = cx.explain.occlusion(model, x, [1, 2, 0], window=side, stride=step, baseline=0, dtype="float64")
    np.testing.assert_allclose(e.raw, found.numpy().mean(1), atol=1e-7)  # captum adds up in float32
