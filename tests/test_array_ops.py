"""cnnexplain.ops on plain arrays, against scipy.ndimage, NumPy twins and arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import cnnexplain as cx
from cnnexplain import ops

RNG = np.random.default_rng(0)
FLOATS = [np.float32, np.float64]


def strided(array: np.ndarray) -> list[np.ndarray]:
    """The same values: reversed, transposed, every second element, unaligned, big-endian."""
    backwards = array[::-1, ::-1].copy()[::-1, ::-1]
    turned = np.ascontiguousarray(array.T).T
    wide = np.zeros([2 * n for n in array.shape], array.dtype)
    wide[tuple(slice(None, None, 2) for _ in array.shape)] = array
    holder = np.zeros(array.size, [("pad", "u1"), ("value", array.dtype)])["value"]
    unaligned = holder.reshape(array.shape)
    unaligned[...] = array
    every = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    return [array, backwards, turned, every, unaligned, array.astype(array.dtype.newbyteorder())]


def same_for_all_strides(function, *arrays: np.ndarray) -> np.ndarray:
    """function of the arrays; checks that strides, threads and order of images do not change a bit of it."""
    want = function(*arrays)
    for group in zip(*[strided(array) for array in arrays], strict=True):
        copies = [array.copy() for array in group]
        for array in group:
            array.flags.writeable = False
        assert np.array_equal(function(*group), want)
        assert all(np.array_equal(a, b) for a, b in zip(group, copies, strict=True))
    before = cx.get_threads()
    for threads in (1, 2, 3):
        cx.set_threads(threads)
        assert np.array_equal(function(*arrays), want)
    cx.set_threads(before)
    return want


class TestCam:
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("shape", [(4, 3, 3, 128), (2, 7, 5, 19), (1, 1, 1, 1), (3, 20, 31, 8)])
    def test_is_the_weighted_sum(self, dtype, shape):
        features = RNG.normal(size=shape).astype(dtype)
        weights = RNG.normal(size=(shape[-1], 10)).astype(dtype)
        index = RNG.integers(0, 10, shape[0])
        got = same_for_all_strides(lambda f, w: ops.cam(f, w, index), features, weights)
        want = np.einsum("nhwk,kn->nhw", features.astype(np.float64), weights.astype(np.float64)[:, index])
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)

    @pytest.mark.parametrize("order", [0, 1, 2, 3])
    def test_enlarges_as_the_lecture_does(self, order):
        features = RNG.normal(size=(3, 3, 3, 128)).astype(np.float32)
        weights = RNG.normal(size=(128, 10)).astype(np.float32)
        got = ops.cam(features, weights, [1, 7, 7], size=(28, 28), order=order)
        for image, c, found in zip(features, (1, 7, 7), got, strict=True):
            want = np.dot(ndimage.zoom(image, (28 / 3, 28 / 3, 1), order=order), weights[:, c])
            np.testing.assert_allclose(found, want, atol=1e-5 * np.abs(want).max())

    def test_enlarges_bilinearly(self):
        features, weights = RNG.normal(size=(2, 3, 5, 4)), RNG.normal(size=(4, 2))
        want = ops.resize(ops.cam(features, weights, 1), (9, 20))
        np.testing.assert_allclose(ops.cam(features, weights, 1, size=(9, 20)), want, rtol=1e-12)

    def test_one_class_for_all_or_one_each(self):
        features, weights = RNG.normal(size=(2, 3, 3, 4)), RNG.normal(size=(4, 5))
        assert np.array_equal(
            ops.cam(features, weights, 2), ops.cam(features, weights, np.array([2, 2], np.uint8))
        )

    def test_mixed_precision_gives_the_wider_one(self):
        assert ops.cam(np.ones((1, 2, 2, 3), np.float32), np.ones((3, 2)), 0).dtype == np.float64
        assert ops.cam(np.ones((1, 2, 2, 3), np.uint8), np.ones((3, 2), np.float16), 0).dtype == np.float32

    def test_reads_tensors(self):
        features, weights = RNG.normal(size=(2, 3, 3, 4)), RNG.normal(size=(4, 5))
        got = ops.cam(cx.constant(features), cx.constant(weights), cx.constant([0, 4]))
        assert np.array_equal(got, ops.cam(features, weights, [0, 4]))

    def test_empty(self):
        assert ops.cam(np.ones((0, 3, 3, 4)), np.ones((4, 2)), []).shape == (0, 3, 3)
        assert ops.cam(np.ones((2, 0, 3, 4)), np.ones((4, 2)), 0).shape == (2, 0, 3)
        assert ops.cam(np.ones((2, 3, 3, 0)), np.ones((0, 2)), 0).sum() == 0

    @pytest.mark.parametrize(
        ("arguments", "error", "match"),
        [
            (
                (np.ones((3, 3, 4)), np.ones((4, 2)), 0),
                ValueError,
                r"`features`.*\(3, 3, 4\).*features\[None\]",
            ),
            ((np.ones((1, 3, 3, 4)), np.ones((5, 2)), 0), ValueError, r"`weights`.*\(5, 2\)"),
            ((np.ones((1, 3, 3, 4)), np.ones(4), 0), ValueError, "`weights`"),
            ((np.ones((2, 3, 3, 4)), np.ones((4, 2)), [0, 2]), ValueError, r"\[0, 2\).*2 at position 1"),
            ((np.ones((2, 3, 3, 4)), np.ones((4, 2)), [-1, 0]), ValueError, "-1 at position 0"),
            ((np.ones((2, 3, 3, 4)), np.ones((4, 2)), [0]), ValueError, "`class_index`"),
            ((np.ones((2, 3, 3, 4)), np.ones((4, 2)), 0.5), TypeError, "`class_index`"),
            ((np.ones((2, 3, 3, 4)), np.ones((4, 2)), 0, (0, 3)), ValueError, r"`size`.*size=\(0, 3\)"),
            ((np.ones((2, 3, 3, 4)), np.ones((4, 2)), 0, 28), ValueError, "`size`"),
            ((np.ones((2, 3, 3, 4)), np.ones((4, 2)), 0, (2, 3), 4), ValueError, "`order`"),
            ((np.ones((2, 3, 3, 4)), np.ones((4, 2)), 0, None, 2), ValueError, "`order`"),
            ((np.ones((1, 2, 2, 1), complex), np.ones((1, 1)), 0), TypeError, "complex128"),
            (([[[["a"]]]], np.ones((1, 1)), 0), TypeError, "`features`"),
        ],
    )
    def test_refuses(self, arguments, error, match):
        with pytest.raises(error, match=match):
            ops.cam(*arguments)


class TestGradCam:
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("shape", [(4, 3, 3, 128), (2, 7, 5, 70), (1, 1, 1, 1)])
    def test_is_the_formula(self, dtype, shape):
        activations, gradients = (RNG.normal(size=shape).astype(dtype) for _ in range(2))
        got = same_for_all_strides(ops.grad_cam, activations, gradients)
        weights = gradients.astype(np.float64).mean((1, 2))
        want = np.maximum(np.einsum("nhwk,nk->nhw", activations.astype(np.float64), weights), 0)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)

    def test_size_enlarges_after_the_relu(self):
        activations, gradients = RNG.normal(size=(2, 3, 5, 4)), RNG.normal(size=(2, 3, 5, 4))
        want = ops.resize(ops.grad_cam(activations, gradients), (12, 13))
        np.testing.assert_allclose(ops.grad_cam(activations, gradients, size=(12, 13)), want, atol=1e-15)

    def test_empty(self):
        assert ops.grad_cam(np.ones((0, 3, 3, 4)), np.ones((0, 3, 3, 4))).shape == (0, 3, 3)
        assert ops.grad_cam(np.ones((1, 0, 3, 4)), np.ones((1, 0, 3, 4))).shape == (1, 0, 3)

    def test_refuses_other_shapes(self):
        with pytest.raises(ValueError, match=r"`gradients`.*\(1, 2, 2, 2\).*\(1, 2, 2, 1\)"):
            ops.grad_cam(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 2)))
        with pytest.raises(ValueError, match="activations"):
            ops.grad_cam(np.ones((2, 2, 1)), np.ones((2, 2, 1)))


class TestSaliency:
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_sum_and_maximum(self, dtype):
        gradients = RNG.normal(size=(3, 17, 9, 3)).astype(dtype)
        got = same_for_all_strides(ops.saliency, gradients)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, np.abs(gradients).sum(-1), rtol=1e-6)
        assert np.array_equal(ops.saliency(gradients, reduce="max"), np.abs(gradients).max(-1))

    def test_uint8_is_the_lecture_s_arithmetic(self):
        gradients = RNG.normal(size=(3, 28, 28, 3)).astype(np.float32)
        got = same_for_all_strides(lambda g: ops.saliency(g, to_uint8=True), gradients)
        for found, grey in zip(got, ops.saliency(gradients), strict=True):
            want = (255 * (grey - grey.min()) / (grey.max() - grey.min())).astype(np.uint8)
            assert np.array_equal(found, want)
        assert got.dtype == np.uint8

    def test_uint8_of_strange_maps(self):
        flat = np.zeros((1, 2, 2, 1))
        assert ops.saliency(flat, to_uint8=True).max() == 0
        assert ops.saliency(flat + 3, to_uint8=True).max() == 0
        strange = np.array([np.nan, np.inf, 1.0, 2.0]).reshape(1, 2, 2, 1)
        assert ops.saliency(strange, to_uint8=True).reshape(-1).tolist() == [0, 255, 0, 255]
        huge = np.array([1.7e308, 0, 1e308, 1]).reshape(1, 2, 2, 1)
        assert ops.saliency(huge, to_uint8=True).reshape(-1).tolist() == [255, 0, 150, 0]

    def test_nan_stays_visible_in_the_map(self):
        gradients = np.ones((1, 1, 2, 2))
        gradients[0, 0, 0, 1] = np.nan
        for reduce in ("sum", "max"):
            assert np.isnan(ops.saliency(gradients, reduce)).tolist() == [[[True, False]]]

    def test_refuses(self):
        with pytest.raises(ValueError, match=r"`reduce` must be one of: sum, max. Received: reduce='mean'"):
            ops.saliency(np.ones((1, 2, 2, 1)), reduce="mean")
        with pytest.raises(ValueError, match=r"gradients\[None\]"):
            ops.saliency(np.ones((2, 2, 1)))


LECTURE = np.array([[0.8, 0.6, 0.5, 0.3], [0.3, 0.4, 0.9, 0.8], [0.2, 0.7, 0.8, 0.4], [0.5, 0.4, 0.6, 0.5]])


def pool_twin(x, size, strides, same):
    """Pooling by loops: pooled and switches."""
    n, h, w, channels = x.shape
    out, before = [], []
    for length, k, s in zip((h, w), size, strides, strict=True):
        count = -(-length // s) if same else (length - k) // s + 1
        out.append(count)
        before.append(max((count - 1) * s + k - length, 0) // 2 if same else 0)
    pooled, switches = np.zeros((n, *out, channels), x.dtype), np.zeros((n, *out, channels), np.int64)
    for b, i, j, c in np.ndindex(pooled.shape):
        rows = range(max(i * strides[0] - before[0], 0), min(i * strides[0] - before[0] + size[0], h))
        columns = range(max(j * strides[1] - before[1], 0), min(j * strides[1] - before[1] + size[1], w))
        cells = [(y, z) for y in rows for z in columns]
        y, z = max(cells, key=lambda cell: x[b, cell[0], cell[1], c])
        pooled[b, i, j, c], switches[b, i, j, c] = x[b, y, z, c], (y * w + z) * channels + c
    return pooled, switches


class TestUnpooling:
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_the_lecture_s_example(self, dtype):
        x = LECTURE.astype(dtype)[None, :, :, None]
        pooled, switches = ops.max_pool_with_argmax(x, (2, 2))
        assert np.array_equal(pooled[0, :, :, 0], np.array([[0.8, 0.9], [0.7, 0.8]], dtype))
        assert np.array_equal(switches[0, :, :, 0], [[0, 6], [9, 10]])
        want = np.zeros((4, 4), dtype)
        want[0, 0], want[1, 2], want[2, 1], want[2, 2] = (
            x[0, 0, 0, 0],
            x[0, 1, 2, 0],
            x[0, 2, 1, 0],
            x[0, 2, 2, 0],
        )
        for overlap in ("sum", "overwrite"):
            got = ops.max_unpool(pooled, switches, (1, 4, 4, 1), overlap)
            assert got.dtype == dtype and np.array_equal(got[0, :, :, 0], want)

    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize(("size", "strides"), [(2, None), (3, 2), ((3, 2), (1, 2)), (5, 3)])
    def test_against_a_twin(self, padding, size, strides):
        x = RNG.integers(0, 6, (2, 9, 7, 3)).astype(np.float32)  # with ties
        pair = (size, size) if isinstance(size, int) else size
        steps = pair if strides is None else (strides, strides) if isinstance(strides, int) else strides
        want, places = pool_twin(x, pair, steps, padding == "same")
        for variant in strided(x):
            pooled, switches = ops.max_pool_with_argmax(variant, size, strides, padding)
            assert np.array_equal(pooled, want) and np.array_equal(switches, places)
        assert switches.dtype == np.int64

    def test_overlapping_windows(self):
        pooled = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
        switches = np.array([2, 2, 0]).reshape(1, 1, 3, 1)
        assert ops.max_unpool(pooled, switches, (1, 1, 3, 1)).reshape(-1).tolist() == [4, 0, 3]
        assert ops.max_unpool(pooled, switches, (1, 1, 3, 1), "overwrite").reshape(-1).tolist() == [4, 0, 2]

    def test_is_the_gradient_of_pooling(self):
        x = RNG.normal(size=(2, 9, 7, 3))
        pooled, switches = ops.max_pool_with_argmax(x, 3, 2)
        tensor = cx.constant(x)
        with cx.GradientTape() as tape:
            tape.watch(tensor)
            y = cx.nn.max_pool2d(tensor, 3, 2, "VALID")
        np.testing.assert_allclose(
            tape.gradient(y, tensor, output_gradients=cx.constant(pooled)).numpy(),
            ops.max_unpool(pooled, switches, x.shape),
            atol=1e-12,
        )

    def test_a_wrong_switch_is_named(self):
        pooled = np.ones((2, 2, 2, 1))
        switches = np.zeros((2, 2, 2, 1), np.int32)
        switches[1, 0, 1, 0] = 16
        with pytest.raises(ValueError, match=r"\[0, 16\).*16 at \(1, 0, 1, 0\)"):
            ops.max_unpool(pooled, switches, (2, 4, 4, 1))
        switches[1, 0, 1, 0] = -1
        with pytest.raises(ValueError, match=r"-1 at \(1, 0, 1, 0\)"):
            ops.max_unpool(pooled, switches, (2, 4, 4, 1))

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ((np.ones((1, 2, 2, 1)), np.zeros((1, 2, 1, 1), int), (1, 4, 4, 1)), "`switches`"),
            ((np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2, 1), int), (4, 4)), "`output_shape`"),
            ((np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2, 1), int), (2, 4, 4, 1)), "`output_shape`"),
            ((np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2, 1), int), (1, 4, 4, 1), "mean"), "`overlap`"),
        ],
    )
    def test_unpooling_refuses(self, arguments, match):
        with pytest.raises(ValueError, match=match):
            ops.max_unpool(*arguments)

    def test_pooling_refuses(self):
        with pytest.raises(
            ValueError,
            match=r"`pool_size` must be a tuple of 2 positive integers. Received: pool_size=\(2, 0\)",
        ):
            ops.max_pool_with_argmax(np.ones((1, 4, 4, 1)), (2, 0))
        with pytest.raises(ValueError, match="`padding`"):
            ops.max_pool_with_argmax(np.ones((1, 4, 4, 1)), 2, padding="full")
        with pytest.raises(TypeError, match="`switches`"):
            ops.max_unpool(np.ones((1, 1, 1, 1)), np.zeros((1, 1, 1, 1)), (1, 2, 2, 1))


class TestNormalize:
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_is_the_formula(self, dtype):
        maps = RNG.normal(size=(5, 13, 9)).astype(dtype)
        got = same_for_all_strides(ops.normalize, maps)
        want = np.maximum(maps, 0) / maps.max((1, 2), keepdims=True)
        assert got.dtype == dtype and got.min() == 0 and got.max() == 1
        assert np.array_equal(got, want)

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_never_nan(self, dtype):
        big = np.finfo(dtype).max
        cases = {
            "zero": [0, 0, 0],
            "constant": [5, 5, 5],
            "negative": [-1, -2, -3],
            "nan": [np.nan] * 3,
            "some nan": [np.nan, 1, 2],
            "infinite": [np.inf, 1, -np.inf],
            "tiny": [np.finfo(dtype).smallest_subnormal, 0, 0],
            "huge": [big, big / 2, -big],
        }
        maps = np.array(list(cases.values()), dtype)[:, None, :]
        got = dict(zip(cases, ops.normalize(maps)[:, 0].tolist(), strict=True))
        for blank in ("zero", "constant", "negative", "nan"):
            assert got[blank] == [0, 0, 0], blank
        assert got["some nan"] == [0, 0.5, 1]
        assert got["infinite"][0] == 1 and got["infinite"][2] == 0 and 0 <= got["infinite"][1] < 1e-30
        assert got["tiny"] == [1, 0, 0]
        assert got["huge"] == [1, 0.5, 0]

    def test_shapes(self):
        assert ops.normalize(np.ones((4, 5))).shape == (4, 5)
        assert ops.normalize(np.ones((2, 3, 4, 5))).shape == (2, 3, 4, 5)
        assert ops.normalize(np.ones((0, 4, 5))).shape == (0, 4, 5)
        assert ops.normalize(np.ones((2, 0, 5))).shape == (2, 0, 5)
        with pytest.raises(ValueError, match="`maps`"):
            ops.normalize(np.ones(3))


class TestResize:
    def test_zoom_is_scipy_s(self):
        rng = np.random.default_rng(1)
        for _ in range(150):
            (h, w), (height, width), order = (
                rng.integers(1, 12, 2),
                rng.integers(1, 60, 2),
                int(rng.integers(0, 4)),
            )
            x = rng.normal(size=(h, w))
            want = ndimage.zoom(x, (height / h, width / w), order=order)
            got = ops.resize(x, (height, width), f"zoom{order}")
            np.testing.assert_allclose(got, want, atol=1e-9, err_msg=f"{h, w} {height, width} {order}")

    def test_zoom_is_scipy_s_where_rounding_leaves_the_image(self):
        x = np.ones((4, 4))
        got = ops.resize(x, (188, 188), "zoom1")
        np.testing.assert_allclose(got, ndimage.zoom(x, 47, order=1), atol=1e-12)

    @pytest.mark.parametrize("method", ops.METHODS)
    @pytest.mark.parametrize("dtype", FLOATS)
    def test_strides_shapes_and_identity(self, method, dtype):
        maps = RNG.normal(size=(3, 4, 5)).astype(dtype)
        got = same_for_all_strides(lambda m: ops.resize(m, (9, 7), method), maps)
        assert got.shape == (3, 9, 7) and got.dtype == dtype
        assert np.array_equal(ops.resize(maps[1], (9, 7), method), got[1])
        channels = ops.resize(np.stack([maps, -maps], -1), (9, 7), method)
        assert np.array_equal(channels[..., 0], got) and np.array_equal(channels[..., 1], -got)
        np.testing.assert_allclose(ops.resize(maps, (4, 5), method), maps, atol=1e-6)
        constant = ops.resize(np.full((2, 3), 7, dtype), (10, 11), method)
        np.testing.assert_allclose(constant, 7, rtol=1e-6)

    def test_bilinear_by_hand(self):
        np.testing.assert_allclose(ops.resize([[0.0, 4.0]], (1, 4)), [[0, 1, 3, 4]])
        np.testing.assert_allclose(ops.resize([[0.0, 4.0]], (1, 4), "nearest"), [[0, 0, 4, 4]])
        np.testing.assert_allclose(ops.resize([[0.0, 1.0, 2.0, 3.0]], (1, 2)), [[0.5, 2.5]])

    def test_agrees_with_the_image_module(self):
        x = RNG.normal(size=(2, 5, 7, 3)).astype(np.float32)
        for method in ("nearest", "bilinear", "bicubic"):
            want = cx.image.resize(x, (11, 6), method=method).numpy()
            np.testing.assert_allclose(ops.resize(x, (11, 6), method), want, atol=1e-5)

    def test_a_pixel_without_weight_does_not_spread(self):
        x = np.array([[1.0, np.nan, 3.0]])
        assert np.isnan(ops.resize(x, (1, 3))).tolist() == [[False, True, False]]

    def test_refuses(self):
        with pytest.raises(
            ValueError, match=r"`size` must be a tuple of 2 positive integers. Received: size=\(0, 3\)"
        ):
            ops.resize(np.ones((2, 2)), (0, 3))
        with pytest.raises(ValueError, match="`method` must be one of: nearest, bilinear"):
            ops.resize(np.ones((2, 2)), (2, 3), "cubic")
        with pytest.raises(ValueError, match="without pixels"):
            ops.resize(np.ones((1, 0, 3)), (2, 3))
        with pytest.raises(ValueError, match="`maps`"):
            ops.resize(np.ones(3), (2, 3))
        with pytest.raises((ValueError, MemoryError)):
            ops.resize(np.ones((2, 2)), (1 << 30, 1 << 30))
        assert ops.resize(np.ones((0, 2, 2)), (4, 4)).shape == (0, 4, 4)


@pytest.mark.parity
class TestAgainstTensorFlow:
    @pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
    def test_resize(self, method):
        tf = pytest.importorskip("tensorflow")
        rng = np.random.default_rng(2)
        for _ in range(40):
            (h, w), (height, width) = rng.integers(1, 15, 2), rng.integers(1, 60, 2)
            x = rng.normal(size=(2, h, w, 3)).astype(np.float32)
            want = tf.image.resize(x, (height, width), method=method).numpy()
            np.testing.assert_allclose(ops.resize(x, (height, width), method), want, atol=1e-5)

    @pytest.mark.parametrize("padding", ["valid", "same"])
    def test_pooling_and_switches(self, padding):
        tf = pytest.importorskip("tensorflow")
        x = np.random.default_rng(3).integers(0, 6, (2, 9, 7, 3)).astype(np.float32)
        want = tf.nn.max_pool_with_argmax(x, (3, 2), (2, 1), padding.upper())
        got = ops.max_pool_with_argmax(x, (3, 2), (2, 1), padding)
        assert np.array_equal(got[0], want[0]) and np.array_equal(got[1], want[1])

    def test_uint8_saliency_of_one_image(self):
        tf = pytest.importorskip("tensorflow")
        gradients = np.random.default_rng(4).normal(size=(1, 28, 28, 3)).astype(np.float32)
        grey = tf.reduce_sum(tf.abs(gradients), axis=-1)
        low, high = tf.reduce_min(grey), tf.reduce_max(grey)
        want = tf.cast(255 * (grey - low) / (high - low), tf.uint8).numpy()
        assert np.abs(ops.saliency(gradients, to_uint8=True).astype(int) - want).max() <= 1


class TestWhatIsWrongIsNamed:
    maps = np.ones((1, 2, 2, 3), np.float32)

    def test_the_argument_that_is_no_array(self):
        with pytest.raises(TypeError, match="`gradients` must be an array of numbers"):
            ops.grad_cam(self.maps, None)
        with pytest.raises(TypeError, match="`gradients` must be an array of numbers.*inhomogeneous"):
            ops.saliency([[1.0, 2.0], [3.0]])

    def test_an_array_that_refuses_to_be_read(self):
        class Guarded:
            def __array__(self, dtype=None, copy=None):
                raise RuntimeError("detach it first")

        with pytest.raises(TypeError, match="`maps` must be an array of numbers. Received: detach it first"):
            ops.normalize(Guarded())

    def test_a_switch_is_no_order(self):
        with pytest.raises(ValueError, match="`order` must be None, 0, 1, 2 or 3. Received: order=True"):
            ops.cam(self.maps, np.ones((3, 2)), 0, (4, 4), True)

    def test_a_window_larger_than_the_image(self):
        with pytest.raises(ValueError, match="`pool_size` must not exceed.*pool_size=3"):
            ops.max_pool_with_argmax(self.maps, 3)
        assert ops.max_pool_with_argmax(self.maps, 3, padding="same")[0].shape == (1, 1, 1, 3)
