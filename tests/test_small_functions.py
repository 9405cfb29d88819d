"""Functions of a line or two over an operation: values from arithmetic, properties where draws decide."""

from __future__ import annotations

import io

import numpy as np
import pytest

import cnnexplain as tf


@pytest.mark.parametrize(
    "found, wanted",
    [
        (lambda: tf.math.truediv([7, -7], [2, 2]), [3.5, -3.5]),
        (lambda: tf.realdiv([7.0], [2.0]), [3.5]),
        (lambda: tf.math.is_non_decreasing([1, 1, 2]), True),
        (lambda: tf.math.is_non_decreasing([1, 3, 2]), False),
        (lambda: tf.math.is_strictly_increasing([1, 1, 2]), False),
        (lambda: tf.math.is_strictly_increasing([1, 2, 4]), True),
        (lambda: tf.math.invert_permutation([2, 0, 1]), [1, 2, 0]),
        (lambda: tf.scalar_mul(2.0, [1.0, 3.0]), [2.0, 6.0]),
        (lambda: tf.math.reciprocal_no_nan([0.0, 4.0]), [0.0, 0.25]),
        (lambda: tf.math.xlog1py([0.0, 2.0], [-1.0, 1.0]), [0.0, 2 * np.log(2)]),
        (lambda: tf.math.xdivy([0.0, 3.0], [0.0, 2.0]), [0.0, 1.5]),
        (lambda: tf.math.accumulate_n([[1, 2], [3, 4], [5, 6]]), [9, 12]),
        (lambda: tf.math.segment_mean([1.0, 3.0, 5.0], [0, 0, 1]), [2.0, 5.0]),
        (lambda: tf.math.unsorted_segment_sum([1.0, 3.0, 5.0], [1, 0, 1], 3), [3.0, 6.0, 0.0]),
        (lambda: tf.nn.embedding_lookup([[1.0, 2.0], [3.0, 4.0]], [1, 1, 0]), [[3, 4], [3, 4], [1, 2]]),
        (lambda: tf.linalg.matrix_transpose([[[1, 2, 3]]]), [[[1], [2], [3]]]),
        (lambda: tf.linalg.global_norm([[3.0], [[0.0, 4.0]]]), 5.0),
    ],
)
def test_values(found, wanted):
    np.testing.assert_allclose(np.asarray(found()), wanted, rtol=1e-6)


def test_atrous_transpose_is_the_adjoint_of_atrous():
    rng = np.random.RandomState(0)
    x, kernel = rng.randn(2, 9, 8, 3), rng.randn(3, 2, 3, 4)
    for padding in ("SAME", "VALID"):
        y = np.asarray(tf.nn.atrous_conv2d(x, kernel, 2, padding))
        dy = rng.randn(*y.shape)
        back = np.asarray(tf.nn.atrous_conv2d_transpose(dy, kernel, x.shape, 2, padding))
        np.testing.assert_allclose((y * dy).sum(), (x * back).sum())


@pytest.mark.parametrize(
    "name, good, bad",
    [
        ("assert_none_equal", ([1, 2], [2, 1]), ([1, 2], [2, 2])),
        ("assert_greater", ([2, 3], [1, 2]), ([2, 3], [1, 3])),
        ("assert_greater_equal", ([2, 3], [1, 3]), ([2, 3], [1, 4])),
        ("assert_less", ([1, 2], [2, 3]), ([1, 3], [2, 3])),
        ("assert_less_equal", ([1, 3], [2, 3]), ([1, 4], [2, 3])),
        ("assert_negative", ([-1, -2],), ([-1, 0],)),
        ("assert_non_negative", ([0, 1],), ([-1, 1],)),
        ("assert_non_positive", ([0, -1],), ([0, 1],)),
        ("assert_rank_at_least", ([[1]], 1), ([1], 2)),
        ("assert_scalar", (3.0,), ([3.0],)),
    ],
)
def test_assertions(name, good, bad):
    check = getattr(tf.debugging, name)
    check(*good)
    with pytest.raises(ValueError):
        check(*bad)


def test_integers_are_told_from_floats():
    tf.debugging.assert_integer(tf.constant([1]))
    with pytest.raises(TypeError):
        tf.debugging.assert_integer(tf.constant([1.0]))
    assert tf.debugging.is_numeric_tensor(tf.constant(1.0))
    assert not tf.debugging.is_numeric_tensor(tf.constant(True))


def test_bmp_files_come_back():
    from PIL import Image

    pixels = np.random.RandomState(0).randint(0, 256, (3, 5, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    np.testing.assert_array_equal(np.asarray(tf.image.decode_bmp(file.getvalue())), pixels)


SEEDS = [(s, 3) for s in range(12)]


def drawn(name, *arguments):
    """What a stateless function gives for several seeds; the same seed must give the same."""
    function = getattr(tf.image, name, None) or getattr(tf.random, name)
    results = [np.asarray(function(*arguments, seed=seed)) for seed in SEEDS]
    again = np.asarray(function(*arguments, seed=SEEDS[5]))
    np.testing.assert_array_equal(results[5], again)
    assert any(not np.array_equal(results[0], other) for other in results[1:])
    return results


@pytest.mark.parametrize("name, axis", [("left_right", 1), ("up_down", 0)])
def test_flips_by_seed(name, axis):
    x = np.random.RandomState(0).rand(4, 5, 3).astype("float32")
    for y in drawn(f"stateless_random_flip_{name}", x):
        assert np.array_equal(y, x) or np.array_equal(y, np.flip(x, axis))


def test_crops_by_seed():
    x = np.arange(6 * 7 * 2).reshape(6, 7, 2)
    for y in drawn("stateless_random_crop", x, (3, 4, 2)):
        top, left = divmod(int(y[0, 0, 0]) // 2, 7)
        np.testing.assert_array_equal(y, x[top : top + 3, left : left + 4])


def test_brightness_contrast_and_saturation_by_seed():
    x = np.random.RandomState(0).uniform(0.2, 0.8, (4, 5, 3)).astype("float32")
    for y in drawn("stateless_random_brightness", x, 0.3):
        step = y - x
        assert np.ptp(step) < 1e-6 and abs(step.mean()) <= 0.3
    centre = x.mean((0, 1))
    for y in drawn("stateless_random_contrast", x, 0.5, 1.5):
        factor = ((y - centre) * (x - centre)).sum() / ((x - centre) ** 2).sum()
        np.testing.assert_allclose(y, (x - centre) * factor + centre, atol=1e-5)
        assert 0.5 <= factor <= 1.5
    spread = np.ptp(x, axis=-1) / x.max(-1)
    for y in drawn("stateless_random_saturation", x, 0.5, 0.9):
        np.testing.assert_allclose(y.max(-1), x.max(-1), atol=1e-6)
        share = np.ptp(y, axis=-1) / y.max(-1) / spread
        assert np.ptp(share) < 1e-4 and 0.5 <= share.mean() <= 0.9


@pytest.mark.parametrize("name, low, high", [("uniform", 2.0, 3.0), ("truncated_normal", -2.0, 2.0)])
def test_numbers_by_seed(name, low, high):
    bounds = {"minval": low, "maxval": high} if name == "uniform" else {}
    function = getattr(tf.random, f"stateless_{name}")
    one, same, other = (np.asarray(function((500,), seed=s, **bounds)) for s in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other) and one.min() >= low and one.max() <= high
    assert abs(one.mean() - (low + high) / 2) < 0.2
