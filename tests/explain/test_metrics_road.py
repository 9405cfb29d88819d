"""ROAD against a dense linear system in NumPy, and by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import small

import cnnexplain as cx
from cnnexplain.explain.metrics.road import imputed

M = cx.explain.metrics
H, W = small.HEIGHT, small.WIDTH


def twin_imputed(image, gone):
    """The paper's system, one equation for each removed pixel."""
    height, width, channels = image.shape
    places = [tuple(p) for p in np.argwhere(gone)]
    number = {p: i for i, p in enumerate(places)}
    a, b = np.zeros((len(places), len(places))), np.zeros((len(places), channels))
    for (i, j), row in number.items():
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                if (di or dj) and 0 <= i + di < height and 0 <= j + dj < width:
                    weight = 1 / 12 if di and dj else 1 / 6
                    a[row, row] += weight
                    if (i + di, j + dj) in number:
                        a[row, number[i + di, j + dj]] -= weight
                    else:
                        b[row] += weight * image[i + di, j + dj]
    made = image.astype(np.float64).copy()
    for place, value in zip(places, np.linalg.solve(a, b), strict=True):
        made[place] = value
    return made


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30])
def test_imputation(share, scale):
    rng = np.random.default_rng(0)
    image, gone = rng.random((9, 7, 3)) * scale, rng.random((9, 7)) < share
    gone[4, 4] = False
    np.testing.assert_allclose(imputed(image, gone), twin_imputed(image, gone), rtol=1e-6, atol=1e-8 * scale)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 1), (2, 2), (3, 17), (16, 16), (13, 22)])
@pytest.mark.parametrize("kind", ["one left", "half", "a disk", "all but the edge", "stripes"])
def test_imputation_of_any_shape(shape, kind):
    """Sides that squares of 2, 4, 8, ... do not fill, holes that they do not fit, and no hole."""
    rng = np.random.default_rng(0)
    i, j = np.mgrid[: shape[0], : shape[1]]
    gone = {
        "one left": np.ones(shape, bool),
        "half": rng.random(shape) < 0.5,
        "a disk": np.hypot(i - shape[0] / 2, j - shape[1] / 2) < max(shape) / 2.5,
        "all but the edge": (i > 0) & (j > 0) & (i < shape[0] - 1) & (j < shape[1] - 1),
        "stripes": (i + j) % 5 > 0,
    }[kind]
    gone[-1, -1] = False
    image = rng.random((*shape, 2))
    np.testing.assert_allclose(imputed(image, gone), twin_imputed(image, gone), atol=1e-7)


def test_a_large_hole_takes_few_steps(monkeypatch):
    """Conjugate gradients alone cross a pixel in a step: about twice as many as the hole is wide."""
    road = sys.modules["cnnexplain.explain.metrics.road"]
    calls, around = [], road._around
    monkeypatch.setattr(road, "_around", lambda x: calls.append(1) or around(x))
    gone = np.zeros((120, 120), bool)
    gone[2:-2, 2:-2] = True
    i, j = np.mgrid[:120, :120]
    filled = imputed((i + 2 * j)[..., None] / 120, gone)
    assert len(calls) < 130
    np.testing.assert_allclose(
        filled[..., 0], (i + 2 * j) / 120, atol=1e-6
    )  # a plane is its neighbours' mean


def test_imputation_by_hand():
    image = np.zeros((3, 3, 1))
    image[0, 1] = 6
    image[2, 2] = 12
    gone = np.zeros((3, 3), bool)
    gone[1, 1] = True
    assert imputed(image, gone)[1, 1, 0] == pytest.approx(6 / 6 + 12 / 12)
    corner = np.zeros((3, 3), bool)
    corner[0, 0] = True  # neighbours: 1/6, 1/6, 1/12
    assert imputed(image, corner)[0, 0, 0] == pytest.approx(6 * (1 / 6) / (5 / 12))
    image[:] = 3
    np.testing.assert_allclose(imputed(image, np.eye(3) > 0), 3)
    assert not imputed(np.zeros((4, 4, 2)), np.tri(4) > 0).any()


@pytest.mark.parametrize("noise", [0, 0.1])
def test_curves(model, x, noise):
    maps = np.random.default_rng(3).random((3, H, W))
    classes, parts = np.array([1, 2, 0]), [0.2, 0.5, 0.8]
    want = {"most": np.zeros((3, 3)), "least": np.zeros((3, 3))}
    for i in range(3):
        order = np.argsort(-maps[i].reshape(-1))
        for k, part in enumerate(parts):
            count = round(part * H * W)
            drawn = np.asarray(cx.random.stateless_normal((H, W, 3), seed=(5, k + 1)), np.float64)
            for way, those in (("most", order[:count]), ("least", order[H * W - count :])):
                gone = np.zeros(H * W, bool)
                gone[those] = True
                gone = gone.reshape(H, W)
                seen = twin_imputed(x[i], gone) + noise * np.ptp(x[i]) * drawn * gone[..., None]
                want[way][i, k] = small.Twin(seen[None]).probabilities[0, classes[i]]
    want["both"] = (want["least"] - want["most"]) / 2
    for order, curves in want.items():
        got = M.road(
            model, x, maps, classes, fractions=parts, order=order, noise=noise, seed=5, dtype="float64"
        )
        np.testing.assert_allclose(got.curves, curves, atol=1e-6)
        np.testing.assert_allclose(got.value, curves.mean(), atol=1e-6)
        assert got.higher_is_better == (order != "most") and got.places.tolist() == parts


def test_a_map_that_knows_beats_its_opposite(model, x):
    e = cx.explain.input_x_gradient(model, x, 1)
    amounts = e.raw.sum(-1)
    good, bad = (M.road(model, x, s * amounts, 1, score="logit", order="both").value for s in (1, -1))
    assert good > 0 > bad


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"fractions": []}, ValueError, "`fractions` must be increasing"),
        ({"fractions": [0.5, 0.5]}, ValueError, "`fractions` must be increasing"),
        ({"fractions": [0.0]}, ValueError, "`fractions` must be increasing"),
        ({"fractions": [1.0]}, ValueError, "`fractions` must be increasing"),
        ({"fractions": ["a"]}, TypeError, "`fractions` must be a number"),
        ({"order": "morf"}, ValueError, "`order` must be one of most, least, both"),
        ({"noise": -1}, ValueError, "`noise` must be"),
        ({"seed": "x"}, TypeError, "`seed` must be"),
    ],
)
def test_bad_input(model, x, options, error, message):
    with pytest.raises(error, match=message):
        M.road(model, x, np.zeros((3, H, W)), **options)
