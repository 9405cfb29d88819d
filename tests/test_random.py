"""The counter-based generator: published vectors, distributions, independence of threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference.random import philox

from cnnexplain import _core

MANY = 200_001
NORMAL = math.erf(2 / math.sqrt(2))  # the share of a normal distribution within 2 standard deviations


def seed(a, b=0):
    return _core.tensor(np.array([a, b], np.int64))


def draw(name, a=11, b=0, **attributes):
    return getattr(_core, name)(seed(a, b), **{"shape": (MANY,), **attributes}).numpy()


@pytest.mark.parametrize(
    "key, counter, block, words",
    [
        (0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**64 - 1, 2**64 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (0x299F31D0A4093822, 0x0370734413198A2E, 0x85A308D3243F6A88, "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_twin_gives_the_published_vectors(key, counter, block, words):
    assert [f"{word:08x}" for word in philox(key, counter, block)] == words.split()


def test_uniform_is_the_top_of_the_words():
    words = philox(0, 0, np.arange(3)).ravel()
    got = _core.random_uniform(seed(0), shape=(12,)).numpy()
    np.testing.assert_array_equal(got, (words >> np.uint32(8)).astype(np.float32) * np.float32(2**-24))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_moments_and_range(dtype):
    x = draw("random_uniform", low=-1.0, high=3.0, dtype=dtype).astype(np.float64)
    assert x.min() >= -1 and x.max() < 3
    assert abs(x.mean() - 1) < 5 * 4 / math.sqrt(12 * MANY)
    assert abs(x.var() - 16 / 12) < 0.02
    counts = np.histogram(x, 20, (-1, 3))[0]
    assert np.abs(counts - MANY / 20).max() < 6 * math.sqrt(MANY / 20)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_moments(dtype):
    x = draw("random_normal", mean=2.0, stddev=0.5, dtype=dtype).astype(np.float64)
    z = (x - 2) / 0.5
    assert abs(z.mean()) < 5 / math.sqrt(MANY)
    assert abs(z.var() - 1) < 0.02
    assert abs((z**3).mean()) < 0.05
    assert abs((z**4).mean() - 3) < 0.1
    assert abs((np.abs(z) <= 2).mean() - NORMAL) < 0.005
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 0.02


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_normal_stays_within_two_deviations(dtype):
    x = draw("random_truncated_normal", mean=-1.0, stddev=3.0, dtype=dtype).astype(np.float64)
    z = (x + 1) / 3
    assert np.abs(z).max() <= 2 + 1e-6
    assert abs(z.mean()) < 5 / math.sqrt(MANY)
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert abs(z.var() - (1 - 4 * density / NORMAL)) < 0.02


@pytest.mark.parametrize("name", ["random_uniform", "random_normal", "random_truncated_normal"])
def test_same_bits_for_any_number_of_threads(name):
    before = _core.get_threads()
    try:
        results = set()
        for threads in (1, 2, 3, 7):
            _core.set_threads(threads)
            results.add(draw(name).tobytes())
    finally:
        _core.set_threads(before)
    assert len(results) == 1


@pytest.mark.parametrize("name", ["random_uniform", "random_normal", "random_truncated_normal"])
def test_an_element_does_not_depend_on_the_shape(name):
    np.testing.assert_array_equal(draw(name)[:35].reshape(5, 7), draw(name, shape=(5, 7)))
    assert (draw(name, 11) != draw(name, 12)).mean() > 0.99
    assert (draw(name, 11, 0) != draw(name, 11, 1)).mean() > 0.99


def test_dropout_keeps_the_mean_and_repeats_its_mask():
    x = np.ones((50, 9, 11, 8), np.float32)
    y = _core.dropout(x, seed(3), rate=0.3).numpy()
    assert abs((y == 0).mean() - 0.3) < 0.01
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(y, _core.dropout(x, seed(3), rate=0.3).numpy())
    whole = _core.dropout(x, seed(3), rate=0.3, noise_shape=(-1, 1, 1, -1)).numpy()
    assert (whole == whole[:, :1, :1]).all() and 0.1 < (whole == 0).mean() < 0.5


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="seed"):
        _core.random_uniform(_core.tensor(np.zeros(3, np.int64)), shape=(2,))
    with pytest.raises(ValueError, match="high"):
        _core.random_uniform(seed(0), shape=(2,), low=1.0, high=0.0)
    with pytest.raises(ValueError, match="rate"):
        _core.dropout(np.ones(3, np.float32), seed(0), rate=1.5)
