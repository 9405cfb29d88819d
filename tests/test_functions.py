"""TensorFlow's functions under its names, against NumPy and arithmetic by hand; live against TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import _core

RNG = np.random.default_rng(0)


def gradient(function, x):
    """d sum(function(x)) / dx as an array."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x).numpy()


def check_gradient(function, x, atol=1e-6):
    """Against central differences in float64 along a random direction."""
    x = np.asarray(x, np.float64)
    weights = RNG.normal(size=function(tf.constant(x)).shape)

    def scalar(value):
        return float(np.sum(weights * function(tf.constant(value)).numpy()))

    direction = RNG.normal(size=x.shape)
    numeric = (scalar(x + 1e-6 * direction) - scalar(x - 1e-6 * direction)) / 2e-6
    exact = np.sum(gradient(lambda t: function(t) * weights, x) * direction)
    np.testing.assert_allclose(exact, numeric, rtol=1e-5, atol=atol)


class TestMaking:
    def test_constant_follows_tensorflow_s_dtypes(self):
        cases = [(1.5, "float32"), (1, "int32"), (True, "bool"), ([1, 2.5], "float32"), (2**40, "int64")]
        cases += [
            (np.float64(1), "float64"),
            (np.arange(3), "int64"),
            (np.uint8([1]), "uint8"),
            ([[1], [2]], "int32"),
        ]
        for value, dtype in cases:
            assert tf.constant(value).dtype == dtype, value
        assert tf.constant(3, tf.float64).dtype == tf.float64
        assert tf.constant(np.array([1.5, 2]), "float32").dtype == "float32"

    def test_constant_takes_a_shape(self):
        assert tf.constant([1, 2, 3, 4], shape=(2, 2)).numpy().tolist() == [[1, 2], [3, 4]]
        assert tf.constant(7.0, shape=(2, 1)).numpy().tolist() == [[7], [7]]
        assert tf.constant(7.0, shape=()).shape == ()
        with pytest.raises(ValueError):
            tf.constant([1, 2, 3], shape=(2, 2))

    def test_constant_refuses(self):
        with pytest.raises(TypeError, match="dtype int32"):
            tf.constant(1.5, dtype=tf.int32)
        with pytest.raises(TypeError, match="strings are not tensors"):
            tf.constant("cat")
        with pytest.raises(TypeError):
            tf.constant(["cat", "dog"])
        with pytest.raises(ValueError, match="requested dtype int32 for Tensor with dtype float32"):
            tf.convert_to_tensor(tf.constant(1.0), tf.int32)
        with pytest.raises(TypeError):
            tf.constant(None)
        with pytest.raises(TypeError, match="float16"):
            tf.zeros(3, tf.float16)

    def test_convert_keeps_tensors_and_reads_variables(self):
        x = tf.constant([1.0])
        assert tf.convert_to_tensor(x) is x
        v = tf.Variable([1.0])
        assert not isinstance(tf.convert_to_tensor(v), tf.Variable)
        assert tf.is_tensor(x) and tf.is_tensor(v) and not tf.is_tensor(np.ones(2))
        assert tf.convert_to_tensor([tf.constant(1.0), tf.constant(2.0)]).numpy().tolist() == [1, 2]

    def test_cast(self):
        x = tf.constant([-1.7, 0.5, 300.0, float("nan")])
        assert tf.cast(x, tf.uint8).numpy().tolist() == [0, 0, 255, 0]
        assert tf.cast(x, tf.int32).numpy().tolist() == [-1, 0, 300, 0]
        assert tf.cast(x, tf.float32) is x
        assert tf.cast([0, 2], bool).numpy().tolist() == [False, True]
        assert tf.cast(np.float16([1.5]), tf.float32).numpy().tolist() == [1.5]
        assert tf.cast(np.ones((2, 2)), "float32").dtype == tf.float32
        assert gradient(lambda t: tf.cast(t, tf.float32), np.ones(2)).dtype == np.float64

    def test_one_hot(self):
        assert tf.one_hot([251] * 3, 1001).shape == (3, 1001)
        got = tf.one_hot([[0, 2], [1, -1]], 3, on_value=5, off_value=1, axis=1).numpy()
        assert got.dtype == np.int32 and got.tolist() == [[[5, 1], [1, 1], [1, 5]], [[1, 1], [5, 1], [1, 1]]]
        assert tf.one_hot(tf.constant(1), 2).numpy().tolist() == [0, 1]
        with pytest.raises(TypeError):
            tf.one_hot([0.5], 3)

    def test_filled(self):
        assert tf.zeros([2, 3], tf.int32).numpy().tolist() == [[0] * 3] * 2
        assert (
            tf.ones(2).dtype == tf.float32 and tf.zeros(()).shape == () and tf.zeros((0, 3)).shape == (0, 3)
        )
        assert tf.fill(tf.constant([2]), 1.5).numpy().tolist() == [1.5, 1.5]
        assert tf.zeros_like(np.ones((2, 2), np.uint8)).dtype == tf.uint8
        assert tf.ones_like([1.5, 2], dtype=tf.int64).numpy().tolist() == [1, 1]
        assert tf.zeros(tf.shape(tf.ones((2, 5)))).shape == (2, 5)
        assert tf.eye(2, 3, batch_shape=[4]).shape == (4, 2, 3)
        with pytest.raises(ValueError, match="`shape`"):
            tf.zeros((2, -1))
        with pytest.raises(ValueError, match="`shape` must be known"):
            tf.zeros((None, 2))

    def test_range_and_linspace(self):
        assert tf.range(5).dtype == tf.int32 and tf.range(5.0).dtype == tf.float32
        assert tf.range(3, 0, -1).numpy().tolist() == [3, 2, 1]
        assert tf.range(2, 11, 3, dtype="float64").numpy().tolist() == [2, 5, 8]
        assert tf.range(tf.constant(3)).numpy().tolist() == [0, 1, 2]
        assert tf.linspace(0.0, 1.0, 1).numpy().tolist() == [0]
        got = tf.linspace(start=0.0, stop=1.0, num=51).numpy()
        np.testing.assert_allclose(got, np.linspace(0, 1, 51), atol=1e-7)
        assert got[0] == 0 and got[-1] == 1
        assert tf.linspace([0.0, 10.0], [1.0, 20.0], 3, axis=1).numpy().tolist() == [
            [0, 0.5, 1],
            [10, 15, 20],
        ]
        with pytest.raises(ValueError, match="`num`"):
            tf.linspace(0.0, 1.0, 0)

    def test_shape_rank_size(self):
        x = tf.zeros((2, 3, 4))
        assert tf.shape(x).numpy().tolist() == [2, 3, 4] and tf.shape(x).dtype == tf.int32
        assert int(tf.rank(x)) == 3 and int(tf.size(x)) == 24
        assert tf.shape(x, out_type=tf.int64).dtype == tf.int64
        assert tf.ensure_shape(x, (None, 3, 4)) is x
        with pytest.raises(ValueError, match="`x` must have shape"):
            tf.ensure_shape(x, (2, 4, 4))
        assert x[tf.newaxis].shape == (1, 2, 3, 4)

    def test_stop_gradient_and_identity(self):
        assert gradient(lambda x: tf.identity(x) * tf.stop_gradient(x), [3.0]).tolist() == [3]

    def test_a_caller_s_array_is_copied(self):
        array = np.ones(3, np.float32)
        x = tf.constant(array)
        array[:] = 5
        assert x.numpy().tolist() == [1, 1, 1]


UNARY = {
    "abs": np.abs,
    "negative": np.negative,
    "square": np.square,
    "sqrt": lambda x: np.sqrt(np.abs(x)),
    "exp": np.exp,
    "log": lambda x: np.log(np.abs(x)),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "tanh": np.tanh,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sign": np.sign,
    "round": np.round,
    "floor": np.floor,
}
MATH_UNARY = {
    "rsqrt": lambda x: 1 / np.sqrt(np.abs(x)),
    "reciprocal": lambda x: 1 / x,
    "expm1": np.expm1,
    "log1p": lambda x: np.log1p(np.abs(x)),
    "ceil": np.ceil,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "is_nan": np.isnan,
    "is_inf": np.isinf,
    "is_finite": np.isfinite,
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "squared_difference": lambda x, y: (x - y) ** 2,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
}
REDUCTIONS = {
    "reduce_sum": np.sum,
    "reduce_mean": np.mean,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_prod": np.prod,
}


class TestMath:
    @pytest.mark.parametrize("name", [*UNARY, *MATH_UNARY])
    def test_one_input(self, name):
        x = RNG.normal(size=(3, 4))
        function = getattr(tf.math, name)
        assert getattr(tf, name, function) is function
        plain = {**UNARY, **MATH_UNARY}[name]
        wants_positive = name in ("sqrt", "log", "rsqrt", "log1p")
        value = np.abs(x) if wants_positive else x
        np.testing.assert_allclose(function(value).numpy(), plain(value), rtol=1e-9, atol=1e-12)
        assert function(value.astype("f")).dtype == (bool if name.startswith("is_") else "float32")
        if name not in ("sign", "round", "floor", "ceil", "is_nan", "is_inf", "is_finite"):
            check_gradient(function, value + 0.1 * np.sign(value))

    @pytest.mark.parametrize("name", BINARY)
    def test_two_inputs(self, name):
        x, y = RNG.normal(size=(3, 4)), RNG.normal(size=(4,))
        function = getattr(tf.math, name)
        assert getattr(tf, name) is function
        np.testing.assert_allclose(function(x, y).numpy(), BINARY[name](x, y))
        np.testing.assert_allclose(function(tf.constant(x), 0.5).numpy(), BINARY[name](x, 0.5))
        np.testing.assert_allclose(function(0.5, tf.constant(x)).numpy(), BINARY[name](0.5, x))

    def test_whole_numbers(self):
        assert tf.add([1, 2], 3).dtype == tf.int32
        assert tf.divide([7, 8], [2, 2]).dtype == tf.float64
        assert tf.math.floordiv([7, -7], [2, 2]).numpy().tolist() == [3, -4]
        assert tf.math.floormod([7, -7], [3, 3]).numpy().tolist() == [1, 2]
        assert tf.pow([2, 3], [3, 2]).numpy().tolist() == [8, 9]
        assert int(tf.reduce_mean([1, 2])) == 1
        with pytest.raises(ValueError):
            tf.math.floordiv([1], [0])

    def test_two_dtypes_do_not_meet(self):
        with pytest.raises((TypeError, ValueError), match="float64"):
            tf.add(tf.constant(1.0), tf.constant(1.0, tf.float64))
        with pytest.raises(TypeError):
            tf.add(tf.constant([1]), 1.5)

    def test_without_nan(self):
        assert tf.math.divide_no_nan([1.0, 2.0], [0.0, 4.0]).numpy().tolist() == [0, 0.5]
        assert tf.math.multiply_no_nan([np.inf, 2.0], [0.0, 4.0]).numpy().tolist() == [0, 8]
        x = gradient(lambda y: tf.math.divide_no_nan(tf.constant([1.0, 2.0]), y), [0.0, 4.0])
        assert np.isfinite(x).all()

    def test_logic(self):
        a, b = [True, True, False], [True, False, False]
        assert tf.logical_and(a, b).numpy().tolist() == [True, False, False]
        assert tf.logical_or(a, b).numpy().tolist() == [True, True, False]
        assert tf.math.logical_xor(a, b).numpy().tolist() == [False, True, False]
        assert tf.logical_not(a).numpy().tolist() == [False, False, True]
        assert bool(tf.reduce_any(a)) and not bool(tf.reduce_all(a))

    @pytest.mark.parametrize("name", REDUCTIONS)
    @pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), [1]])
    def test_reductions(self, name, axis):
        x = RNG.normal(size=(2, 3, 4))
        function = getattr(tf, name)
        over = tuple(axis) if isinstance(axis, list) else axis
        np.testing.assert_allclose(function(x, axis).numpy(), REDUCTIONS[name](x, over))
        want = REDUCTIONS[name](x, over, keepdims=True)
        np.testing.assert_allclose(function(x, axis=axis, keepdims=True).numpy(), want)
        check_gradient(lambda t: function(t, axis), x)

    def test_more_reductions(self):
        x = RNG.normal(size=(3, 5))
        np.testing.assert_allclose(tf.math.reduce_std(x, 1).numpy(), x.std(1))
        np.testing.assert_allclose(tf.math.reduce_variance(x).numpy(), x.var())
        np.testing.assert_allclose(tf.reduce_logsumexp(x + 1000, 0).numpy(), np.log(np.exp(x).sum(0)) + 1000)
        assert tf.reduce_logsumexp([-np.inf, -np.inf]).numpy() == -np.inf
        check_gradient(lambda t: tf.reduce_logsumexp(t, 1), x)
        np.testing.assert_allclose(tf.math.reduce_euclidean_norm(x, 1).numpy(), np.linalg.norm(x, axis=1))
        assert int(tf.math.count_nonzero([0, 3, -1])) == 2
        assert tf.cumsum(x, axis=1, reverse=True).numpy()[:, 0] == pytest.approx(x.sum(1))
        assert float(tf.math.zero_fraction([0.0, 1.0])) == 0.5

    def test_places(self):
        x = [[1, 5, 5], [7, 2, 7]]
        assert tf.argmax(x).numpy().tolist() == [1, 0, 1] and tf.argmax(x, -1).numpy().tolist() == [1, 0]
        assert tf.argmin(x, axis=1, output_type=tf.int32).dtype == tf.int32
        assert tf.argmax(x, 1).dtype == tf.int64
        assert tf.math.in_top_k([1, 1], [[0.1, 0.9], [0.6, 0.4]], 1).numpy().tolist() == [True, False]
        assert tf.math.bincount([1, 1, 3]).numpy().tolist() == [0, 2, 0, 1]

    def test_clipping(self):
        assert tf.clip_by_value([-1, 5, 20], 0, 10).numpy().tolist() == [0, 5, 10]
        assert gradient(lambda x: tf.clip_by_value(x, 0.0, 1.0), [-1.0, 0.5, 2.0]).tolist() == [0, 1, 0]
        got = tf.clip_by_value(tf.constant([1.0, 5.0]), tf.constant([2.0, 0.0]), tf.constant([3.0, 4.0]))
        assert got.numpy().tolist() == [2, 4]
        assert tf.add_n([tf.constant([1.0]), [2.0]]).numpy().tolist() == [3]
        with pytest.raises(ValueError, match="`inputs`"):
            tf.add_n([])

    def test_normalising(self):
        x = RNG.normal(size=(3, 4))
        want = x / np.linalg.norm(x, axis=1, keepdims=True)
        np.testing.assert_allclose(tf.math.l2_normalize(x, axis=1).numpy(), want)
        assert tf.nn.l2_normalize([0.0, 0.0]).numpy().tolist() == [0, 0]
        check_gradient(lambda t: tf.math.l2_normalize(t, 1), x)


class TestArrays:
    def test_shapes(self):
        x = tf.zeros((1, 2, 1, 3))
        assert tf.squeeze(x).shape == (2, 3) and tf.squeeze(x, [0]).shape == (2, 1, 3)
        assert tf.squeeze(x, -2).shape == (1, 2, 3)
        assert tf.expand_dims(x, -1).shape == (1, 2, 1, 3, 1) and tf.expand_dims([1], axis=0).shape == (1, 1)
        assert tf.reshape(x, [-1]).shape == (6,) and tf.reshape(x, (3, -1)).shape == (3, 2)
        assert tf.reshape(x, tf.constant([2, 3])).shape == (2, 3)
        assert tf.reshape(x, [tf.constant(6)]).shape == (6,)
        assert tf.transpose(x).shape == (3, 1, 2, 1) and tf.transpose(x, [1, 0, 2, 3]).shape == (2, 1, 1, 3)
        assert tf.broadcast_to([1.0, 2.0], (3, 2)).numpy().tolist() == [[1, 2]] * 3
        with pytest.raises(ValueError, match="`axis` must name axes of length 1"):
            tf.squeeze(x, 1)
        with pytest.raises(ValueError, match="`axis` must be in"):
            tf.expand_dims(x, 9)

    def test_joining(self):
        a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
        for axis in (0, 1, -1):
            assert np.array_equal(tf.concat([a, b], axis), np.concatenate([a, b], axis))
            assert np.array_equal(tf.stack([a, b], axis), np.stack([a, b], axis))
        many = [np.full((1, 2), i) for i in range(20)]
        assert np.array_equal(tf.concat(many, 0), np.concatenate(many))
        assert np.array_equal(tf.stack([1, 2]), [1, 2])
        assert tf.stack([tf.constant(1.0), 2]).dtype == tf.float32
        check_gradient(lambda t: tf.concat([t, t * 2, t], 1), a)
        check_gradient(lambda t: tf.stack([t, t * 2], 1), a)
        with pytest.raises(ValueError, match="`values`"):
            tf.concat([], 0)
        with pytest.raises(ValueError, match="one shape"):
            tf.stack([tf.ones(2), tf.ones(3)])

    def test_splitting(self):
        x = np.arange(12).reshape(3, 4)
        assert [np.asarray(part).tolist() for part in tf.unstack(x, axis=1)] == x.T.tolist()
        for got, want in zip(tf.split(x, 2, axis=1), np.split(x, 2, 1), strict=True):
            assert np.array_equal(got, want)
        parts = tf.split(x, [1, -1, 1], 1)
        assert [part.shape for part in parts] == [(3, 1), (3, 2), (3, 1)]
        with pytest.raises(ValueError, match="`num_or_size_splits` must divide"):
            tf.split(x, 3, axis=1)
        with pytest.raises(ValueError, match="`num_or_size_splits` must add up"):
            tf.split(x, [1, 1], axis=1)

    def test_repeating(self):
        x = RNG.normal(size=(2, 3))
        assert np.array_equal(tf.tile(x, [2, 1]), np.tile(x, (2, 1)))
        assert np.array_equal(tf.repeat(x, 2), np.repeat(x, 2))
        assert np.array_equal(tf.repeat(x, 3, axis=0), np.repeat(x, 3, 0))
        assert np.array_equal(tf.repeat(x, [1, 0, 2], axis=1), np.repeat(x, [1, 0, 2], 1))
        check_gradient(lambda t: tf.repeat(t, [1, 0, 2], axis=1), x)
        check_gradient(lambda t: tf.tile(t, [2, 2]), x)
        with pytest.raises(ValueError, match="`repeats`"):
            tf.repeat(x, [1, 2], axis=1)

    @pytest.mark.parametrize(
        ("mode", "numpy"), [("CONSTANT", "constant"), ("REFLECT", "reflect"), ("symmetric",) * 2]
    )
    def test_padding(self, mode, numpy):
        x, pads = RNG.normal(size=(3, 4)), [[1, 2], [2, 1]]
        assert np.array_equal(tf.pad(x, pads, mode), np.pad(x, pads, numpy))
        check_gradient(lambda t: tf.pad(t, pads, mode), x)
        assert tf.pad([1.0], [[1, 0]], constant_values=5.0).numpy().tolist() == [5, 1]
        with pytest.raises(ValueError, match="`paddings`"):
            tf.pad(x, [1, 2])

    def test_gathering(self):
        x = RNG.normal(size=(3, 4, 2))
        assert np.array_equal(tf.gather(x, [2, 0]), x[[2, 0]])
        assert np.array_equal(tf.gather(x, [[1], [3]], axis=1), x[:, [[1], [3]]])
        assert np.array_equal(tf.gather(x, [1, 0, 3], batch_dims=1), x[np.arange(3), [1, 0, 3]])
        assert np.array_equal(tf.gather_nd(x, [[0, 1], [2, 3]]), x[[0, 2], [1, 3]])
        assert np.array_equal(
            tf.gather_nd(x, [[[1]], [[0]], [[3]]], batch_dims=1)[:, 0], x[np.arange(3), [1, 0, 3]]
        )
        check_gradient(lambda t: tf.gather(t, [1, 1, 0]), x)
        with pytest.raises(ValueError, match="7"):
            tf.gather(x, [0, 7])

    def test_reordering(self):
        x = RNG.normal(size=(3, 4))
        assert np.array_equal(tf.reverse(x, [0, -1]), x[::-1, ::-1])
        assert np.array_equal(tf.roll(x, 1, 0), np.roll(x, 1, 0))
        assert np.array_equal(tf.roll(x, [-1, 6], [0, 1]), np.roll(x, (-1, 6), (0, 1)))
        check_gradient(lambda t: tf.roll(t, 1, 1), x)
        assert np.array_equal(tf.slice(x, [0, 1], [2, -1]), x[:2, 1:])
        assert np.array_equal(tf.strided_slice(x, [0, 0], [3, 4], [2, 2]), x[::2, ::2])

    def test_masks_and_where(self):
        x = RNG.normal(size=(3, 4))
        assert np.array_equal(tf.boolean_mask(x, x > 0), x[x > 0])
        assert np.array_equal(tf.boolean_mask(x, [True, False, True]), x[[0, 2]])
        assert np.array_equal(tf.boolean_mask(x, [True, False, True, False], axis=1), x[:, [0, 2]])
        check_gradient(lambda t: tf.boolean_mask(t, x > 0), x)
        with pytest.raises(ValueError, match="`mask`"):
            tf.boolean_mask(x, [True, False])
        assert np.array_equal(tf.where(x > 0), np.argwhere(x > 0))
        assert np.array_equal(tf.where(x > 0, x, 0), np.where(x > 0, x, 0))
        assert tf.where([True, False], 1.0, [5.0, 6.0]).numpy().tolist() == [1, 6]
        assert gradient(lambda t: tf.where(t > 0, t * 2, t), [1.0, -1.0]).tolist() == [2, 1]
        with pytest.raises(ValueError, match="`x` and `y`"):
            tf.where(x > 0, x)

    def test_sorting(self):
        x = RNG.integers(0, 5, (3, 6)).astype(float)
        for axis in (0, 1, -1):
            assert np.array_equal(tf.sort(x, axis), np.sort(x, axis))
            assert np.array_equal(tf.sort(x, axis, "DESCENDING"), -np.sort(-x, axis))
            assert np.array_equal(tf.argsort(x, axis), np.argsort(x, axis, kind="stable"))
            assert np.array_equal(tf.argsort(x, axis, "DESCENDING"), np.argsort(-x, axis, kind="stable"))
        check_gradient(lambda t: tf.sort(t, 0), RNG.normal(size=(3, 4)))
        check_gradient(lambda t: tf.math.top_k(t, 2).values, RNG.normal(size=(3, 4)))
        values, indices = tf.math.top_k([[1, 3, 3, 2]], k=3)
        assert values.numpy().tolist() == [[3, 3, 2]] and indices.numpy().tolist() == [[1, 2, 3]]
        with pytest.raises(ValueError, match="`k`"):
            tf.math.top_k([1, 2], 3)
        with pytest.raises(ValueError, match="`direction`"):
            tf.sort(x, direction="UP")

    def test_unique(self):
        y, idx = tf.unique([4, 1, 4, 0, 1])
        assert y.numpy().tolist() == [4, 1, 0] and idx.numpy().tolist() == [0, 1, 0, 2, 1]
        assert idx.dtype == tf.int32 and tf.unique([1.5, 1.5]).y.numpy().tolist() == [1.5]

    def test_sorting_works_in_a_model(self):
        inputs = tf.keras.Input((5,))
        model = tf.keras.Model(inputs, tf.math.top_k(inputs, 2).values)
        assert model(np.array([[3, 1, 5, 2, 4]], np.float32)).numpy().tolist() == [[5, 4]]

    def test_symbols(self):
        x = _core.symbol((None, 4, 3), "float32")
        assert tf.squeeze(tf.expand_dims(x, 1), 1).shape == (None, 4, 3)
        assert tf.reshape(x, (-1, 12)).shape == (None, 12)
        assert tf.reshape(x, (tf.shape(x)[0], 12)).shape == (None, 12)
        assert tf.stack([x, x], 1).shape == (None, 2, 4, 3)
        assert tf.repeat(x, 2, axis=1).shape == (None, 8, 3)
        assert tf.zeros_like(x).shape == (None, 4, 3)
        assert tf.einsum("bij,jk->bik", x, tf.ones((3, 2))).shape == (None, 4, 2)
        assert tf.tensordot(x, tf.ones((3, 2)), 1).shape == (None, 4, 2)
        with pytest.raises(TypeError, match="symbolic"):
            tf.where(x > 0)
        assert tf.size(x).shape == ()


class TestLinalg:
    def test_products(self):
        a, b = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(4, 5))
        np.testing.assert_allclose(tf.matmul(a, b).numpy(), a @ b)
        np.testing.assert_allclose(tf.matmul(a, a, transpose_b=True).numpy(), a @ a.swapaxes(1, 2))
        np.testing.assert_allclose(tf.linalg.matvec(a, b[:, 0]).numpy(), a @ b[:, 0])
        assert tf.matmul([[1, 2]], [[3], [4]]).numpy().tolist() == [[11]]
        assert (a @ tf.constant(b)).shape == (2, 3, 5)
        check_gradient(lambda t: tf.matmul(t, b), a)
        with pytest.raises(ValueError):
            tf.matmul(a, a)

    @pytest.mark.parametrize("axes", [0, 1, 2, [[1], [0]], [[0, 2], [1, 0]], [[-1], [-2]]])
    def test_tensordot(self, axes):
        a, b = RNG.normal(size=(3, 4, 5)), RNG.normal(size=(5, 3, 4))
        pairs = {2: (a, RNG.normal(size=(4, 5, 2))), 1: (a, b), 0: (a[0], b[0])}
        if isinstance(axes, int):
            x, y = pairs[axes]
        elif axes == [[1], [0]]:
            x, y = a, RNG.normal(size=(4, 2))
        elif axes == [[-1], [-2]]:
            x, y = a, RNG.normal(size=(2, 5, 3))
        else:
            x, y = a, b
        np.testing.assert_allclose(tf.tensordot(x, y, axes).numpy(), np.tensordot(x, y, axes))
        check_gradient(lambda t: tf.tensordot(t, y, axes), x)

    @pytest.mark.parametrize(
        ("equation", "shapes"),
        [
            ("ij,jk->ik", [(2, 3), (3, 4)]),
            ("ij,jk", [(2, 3), (3, 4)]),
            ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
            ("ij->ji", [(2, 3)]),
            ("ij->", [(2, 3)]),
            ("ii->i", [(3, 3)]),
            ("ii", [(3, 3)]),
            ("iij->j", [(3, 3, 2)]),
            ("i,i->", [(3,), (3,)]),
            ("i,j->ij", [(3,), (4,)]),
            ("ij,ij->ij", [(2, 3), (2, 3)]),
            ("bhwc,bc->bhw", [(2, 3, 4, 5), (2, 5)]),
            ("...ij,...jk->...ik", [(5, 6, 2, 3), (5, 6, 3, 4)]),
            ("...ij,jk->...ik", [(5, 2, 3), (3, 4)]),
            ("...i->...", [(2, 3, 4)]),
            ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 5)]),
            ("abc,cd,de,ae->b", [(2, 3, 4), (4, 5), (5, 6), (2, 6)]),
            ("bqhd,bkhd->bhqk", [(2, 3, 4, 5), (2, 6, 4, 5)]),
            ("ijk,jil->kl", [(2, 3, 4), (3, 2, 5)]),
        ],
    )
    def test_einsum(self, equation, shapes):
        arrays = [RNG.normal(size=shape) for shape in shapes]
        np.testing.assert_allclose(
            tf.einsum(equation, *arrays).numpy(), np.einsum(equation, *arrays), atol=1e-12
        )
        check_gradient(lambda t: tf.einsum(equation, t, *arrays[1:]), arrays[0])

    def test_einsum_refuses(self):
        for bad in ("ij,jk->ik", "ij->k", "i->i", "ij->ii"):
            with pytest.raises(ValueError, match="`equation`"):
                tf.einsum(bad, np.ones((2, 3)))

    def test_norms(self):
        x = RNG.normal(size=(3, 4))
        for order in ("euclidean", 1, 2, 3, np.inf):
            plain = 2 if order == "euclidean" else order
            np.testing.assert_allclose(tf.norm(x, order, axis=1).numpy(), np.linalg.norm(x, plain, 1))
            check_gradient(lambda t, order=order: tf.norm(t, order, axis=1), x)
        np.testing.assert_allclose(tf.norm(x).numpy(), np.linalg.norm(x))
        assert tf.norm(x, axis=[0, 1], keepdims=True).shape == (1, 1)
        with pytest.raises(ValueError, match="`ord`"):
            tf.norm(x, "nuclear")

    def test_clipping_by_norm(self):
        assert tf.clip_by_norm([0.3, 0.4], 1.0).numpy().tolist() == pytest.approx([0.3, 0.4])
        assert tf.clip_by_norm([0.0, 0.0], 1.0).numpy().tolist() == [0, 0]
        np.testing.assert_allclose(
            tf.clip_by_norm([[3.0, 4.0], [0.0, 1.0]], 1.0, axes=1).numpy(), [[0.6, 0.8], [0, 1]]
        )
        clipped, length = tf.clip_by_global_norm([tf.constant([3.0]), None, tf.constant([4.0])], 1.0)
        assert float(length) == 5 and clipped[1] is None and float(clipped[2][0]) == pytest.approx(0.8)

    def test_systems(self):
        a, b = RNG.normal(size=(2, 4, 4)) + 3 * np.eye(4), RNG.normal(size=(2, 4, 3))
        np.testing.assert_allclose(tf.linalg.solve(a, b).numpy(), np.linalg.solve(a, b))
        np.testing.assert_allclose(tf.linalg.inv(a).numpy(), np.linalg.inv(a))
        np.testing.assert_allclose(tf.linalg.det(a).numpy(), np.linalg.det(a))
        check_gradient(lambda t: tf.linalg.solve(t, b), a)
        check_gradient(lambda t: tf.linalg.solve(a, t), b)
        check_gradient(tf.linalg.inv, a)
        check_gradient(tf.linalg.det, a)
        with pytest.raises(ValueError, match="[Ss]ingular"):
            tf.linalg.solve(np.zeros((2, 2)), np.ones((2, 1)))
        assert tf.linalg.diag([1.0, 2.0]).numpy().tolist() == [[1, 0], [0, 2]]
        np.testing.assert_allclose(tf.linalg.diag_part(a).numpy(), np.diagonal(a, axis1=1, axis2=2))


class TestControl:
    def test_custom_gradient(self):
        @tf.custom_gradient
        def guided(x):
            def grad(dy):
                return tf.cast(dy > 0, tf.float32) * tf.cast(x > 0, tf.float32) * dy

            return tf.nn.relu(x), grad

        assert gradient(lambda x: guided(x) * tf.constant([1.0, -1.0, 1.0]), [1.0, 2.0, -3.0]).tolist() == [
            1,
            0,
            0,
        ]
        assert guided(tf.constant([-1.0])).numpy().tolist() == [0]

    def test_custom_gradient_with_more_inputs_and_outputs(self):
        @tf.custom_gradient
        def both(x, y):
            return [x + y, x * y], lambda da, db: [da * 10.0, db * 100.0]

        x, y = tf.constant(2.0), tf.constant([3.0, 4.0])
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            a, b = both(x, y)
            z = tf.reduce_sum(a)
        assert a.numpy().tolist() == [5, 6] and b.numpy().tolist() == [6, 8]
        with pytest.raises(ValueError, match="shape"):
            tape.gradient(z, x)

    def test_custom_gradient_in_a_model(self):
        @tf.custom_gradient
        def doubled(x):
            return x * 1.0, lambda dy: dy * 2.0

        inputs = tf.keras.Input((3,))
        model = tf.keras.Model(inputs, tf.keras.layers.Lambda(doubled)(inputs))
        assert gradient(model, np.ones((1, 3), np.float32)).tolist() == [[2, 2, 2]]

    def test_loops(self):
        x = RNG.normal(size=(3, 4))
        np.testing.assert_allclose(tf.map_fn(lambda row: row * 2, x).numpy(), x * 2)
        sums, most = tf.map_fn(lambda pair: (pair[0] + pair[1], tf.reduce_max(pair[0])), (x, x))
        np.testing.assert_allclose(sums.numpy(), 2 * x)
        np.testing.assert_allclose(most.numpy(), x.max(1))
        check_gradient(lambda t: tf.map_fn(tf.reduce_sum, t), x)
        i, total = tf.while_loop(
            lambda i, t: i < 10, lambda i, t: [i + 1, t * 2.0], [0, 1.0], maximum_iterations=3
        )
        assert int(i) == 3 and float(total) == 8
        (only,) = tf.while_loop(lambda i: i < 3, lambda i: i + 1, [tf.constant(0)])
        assert int(only) == 3

    def test_branches(self):
        x = tf.constant(3.0)
        assert float(tf.cond(x > 2, lambda: x * 2, lambda: x)) == 6
        assert float(tf.case([(x > 5, lambda: x), (x > 1, lambda: -x)])) == -3

    def test_function_returns_the_function(self):
        def add(x, y=1):
            """Adds."""
            return x + y

        assert tf.function(add) is add
        assert tf.function(reduce_retracing=True, input_signature=[tf.TensorSpec(None)])(add) is add
        assert tf.executing_eagerly()

    def test_contexts(self):
        with (
            tf.device("/GPU:0"),
            tf.name_scope("block") as name,
            tf.init_scope(),
            tf.control_dependencies([]),
        ):
            assert name == "block"
        assert tf.get_logger().name == "cnnexplain"

    def test_print(self, capsys, tmp_path):
        tf.print("x:", tf.constant([1, 2]), {"a": tf.constant(1.5)}, [tf.constant(1)])
        assert capsys.readouterr().err == "x: [1 2] {'a': 1.5} [1]\n"
        tf.print(tf.range(100), output_stream=f"file://{tmp_path / 'log'}")
        assert (tmp_path / "log").read_text() == "[ 0  1  2 ... 97 98 99]\n"

    def test_numpy_functions(self):
        assert float(tf.numpy_function(np.sum, [tf.ones(3)], tf.float32)) == 3
        assert gradient(lambda x: tf.py_function(lambda t: t * 3, [x], tf.float32), [1.0]).tolist() == [3]

    def test_module_finds_its_variables(self):
        class Inner(tf.Module):
            def __init__(self):
                super().__init__(name="inner")
                self.b = tf.Variable(1.0)
                self.frozen = tf.Variable(1.0, trainable=False)

        class MyModel(tf.Module):
            def __init__(self):
                super().__init__()
                self.a = tf.Variable(1.0)
                self.parts = [Inner(), {"x": Inner()}]
                self.again = self.a

        model = MyModel()
        assert model.name == "my_model"
        assert (
            len(model.variables) == 5 and len(model.trainable_variables) == 3 and len(model.submodules) == 2
        )

    def test_nest(self):
        structure = {"b": [1, (2, 3)], "a": 4}
        assert tf.nest.flatten(structure) == [4, 1, 2, 3]
        assert tf.nest.map_structure(lambda x: x + 1, structure) == {"b": [2, (3, 4)], "a": 5}
        with pytest.raises(ValueError):
            tf.nest.map_structure(lambda x, y: x, [1, 2], [1])

    def test_specs(self):
        spec = tf.TensorSpec((None, 2), tf.float32)
        assert spec.is_compatible_with(tf.ones((5, 2))) and not spec.is_compatible_with(tf.ones((5, 3)))
        assert spec == tf.TensorSpec.from_tensor(tf.ones((1, 2))) or spec.shape == (None, 2)


class TestNN:
    def test_activations(self):
        x = RNG.normal(size=(3, 4)) * 3
        sigmoid = 1 / (1 + np.exp(-x))
        cases = {
            "relu": np.maximum(x, 0),
            "relu6": np.clip(x, 0, 6),
            "leaky_relu": np.where(x > 0, x, 0.2 * x),
            "elu": np.where(x > 0, x, np.expm1(x)),
            "silu": x * sigmoid,
            "swish": x * sigmoid,
            "sigmoid": sigmoid,
            "tanh": np.tanh(x),
            "softplus": np.log1p(np.exp(x)),
            "softmax": np.exp(x) / np.exp(x).sum(-1, keepdims=True),
        }
        for name, want in cases.items():
            np.testing.assert_allclose(getattr(tf.nn, name)(x).numpy(), want, atol=1e-9)
        np.testing.assert_allclose(tf.nn.silu(x, beta=2.0).numpy(), x / (1 + np.exp(-2 * x)), atol=1e-9)
        np.testing.assert_allclose(
            tf.nn.log_softmax(x, axis=0).numpy(), np.log(np.exp(x) / np.exp(x).sum(0)), atol=1e-9
        )
        assert tf.nn.crelu([-1.0, 2.0]).numpy().tolist() == [0, 2, 1, 0]

    def test_softmax_remembers_its_logits(self):
        x = tf.constant([[1.0, 2.0]])
        assert tf.nn.softmax(x).logits.numpy().tolist() == [[1, 2]]

    @pytest.mark.parametrize("strides", [1, 2, (2, 1), (1, 2, 2, 1)])
    @pytest.mark.parametrize("padding", ["SAME", "valid"])
    def test_conv2d(self, strides, padding):
        x, k = RNG.normal(size=(2, 7, 6, 3)), RNG.normal(size=(3, 2, 3, 4))
        got = tf.nn.conv2d(x, k, strides, padding)
        swapped = tf.nn.conv2d(
            x.transpose(0, 3, 1, 2),
            k,
            strides if np.ndim(strides) < 1 or len(strides) == 2 else (1, 1, 2, 2),
            padding,
            data_format="NCHW",
        )
        np.testing.assert_allclose(swapped.numpy().transpose(0, 2, 3, 1), got.numpy())
        check_gradient(lambda t: tf.nn.conv2d(t, k, strides, padding), x)
        check_gradient(lambda t: tf.nn.conv2d(x, t, strides, padding), k)

    def test_conv2d_by_hand(self):
        x = np.arange(9.0).reshape(1, 3, 3, 1)
        k = np.array([[1.0, 0], [0, -1]]).reshape(2, 2, 1, 1)
        assert tf.nn.conv2d(x, k, 1, "VALID")[0, :, :, 0].numpy().tolist() == [[-4, -4], [-4, -4]]
        same = tf.nn.conv2d(x, k, 1, [[0, 0], [0, 1], [0, 1], [0, 0]])
        np.testing.assert_allclose(same.numpy(), tf.nn.conv2d(x, k, 1, "SAME").numpy())
        assert tf.nn.conv2d(np.ones((1, 5, 5, 4)), np.ones((3, 3, 2, 6)), 1, "VALID").shape == (1, 3, 3, 6)
        assert tf.nn.conv2d(np.ones((1, 5, 5, 1)), np.ones((3, 3, 1, 1)), 1, "VALID", dilations=2).shape == (
            1,
            1,
            1,
            1,
        )

    def test_depthwise_and_separable(self):
        x, k, p = RNG.normal(size=(1, 5, 5, 3)), RNG.normal(size=(3, 3, 3, 2)), RNG.normal(size=(1, 1, 6, 4))
        depthwise = tf.nn.depthwise_conv2d(x, k, (1, 1, 1, 1), "SAME")
        for c in range(3):
            want = tf.nn.conv2d(x[..., c : c + 1], k[:, :, c : c + 1], 1, "SAME").numpy()
            np.testing.assert_allclose(depthwise.numpy()[..., 2 * c : 2 * c + 2], want, atol=1e-12)
        want = tf.nn.conv2d(depthwise, p, 1, "VALID").numpy()
        np.testing.assert_allclose(
            tf.nn.separable_conv2d(x, k, p, (1, 1, 1, 1), "SAME").numpy(), want, atol=1e-12
        )

    @pytest.mark.parametrize("padding", ["SAME", "VALID"])
    @pytest.mark.parametrize("size", [(7, 9), (8, 10)])
    def test_conv2d_transpose_is_the_gradient(self, padding, size):
        x, k = RNG.normal(size=(1, *size, 3)), RNG.normal(size=(3, 3, 3, 2))
        y = tf.nn.conv2d(x, k, 2, padding)
        dy = RNG.normal(size=y.shape)
        want = gradient(lambda t: tf.nn.conv2d(t, k, 2, padding) * dy, x)
        got = tf.nn.conv2d_transpose(dy, k, x.shape, 2, padding)
        np.testing.assert_allclose(got.numpy(), want, atol=1e-12)

    def test_pooling(self):
        x = RNG.normal(size=(2, 6, 6, 3))
        blocks = x.reshape(2, 3, 2, 3, 2, 3)
        assert np.array_equal(tf.nn.max_pool2d(x, 2, 2, "VALID"), blocks.max((2, 4)))
        np.testing.assert_allclose(
            tf.nn.avg_pool2d(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME").numpy(), blocks.mean((2, 4))
        )
        turned = tf.nn.max_pool2d(x.transpose(0, 3, 1, 2), 2, 2, "VALID", data_format="NCHW")
        assert np.array_equal(np.asarray(turned).transpose(0, 2, 3, 1), blocks.max((2, 4)))
        pooled, switches = tf.nn.max_pool_with_argmax(
            x, 2, 2, "VALID", include_batch_in_index=True, output_dtype=tf.int32
        )
        assert switches.dtype == tf.int32 and np.array_equal(x.reshape(-1)[np.asarray(switches)], pooled)
        for bad, name in ((0, "ksize"), ([1, 2, 2, 3], "ksize")):
            with pytest.raises(ValueError, match=f"`{name}`"):
                tf.nn.max_pool2d(x, bad, 2, "VALID")
        with pytest.raises(ValueError, match="`padding`"):
            tf.nn.max_pool2d(x, 2, 2, "FULL")

    def test_blocks_and_channels(self):
        x = RNG.normal(size=(2, 4, 6, 3))
        y = tf.nn.space_to_depth(x, 2)
        assert y.shape == (2, 2, 3, 12) and np.array_equal(tf.nn.depth_to_space(y, 2), x)
        assert np.array_equal(y[0, 0, 0, :3], x[0, 0, 0]) and np.array_equal(y[0, 0, 0, 3:6], x[0, 0, 1])

    def test_bias_moments_and_norms(self):
        x, b = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=5)
        np.testing.assert_allclose(tf.nn.bias_add(x, b).numpy(), x + b)
        np.testing.assert_allclose(
            tf.nn.bias_add(x, b[:3], data_format="NCHW").numpy(), x + b[:3, None, None]
        )
        mean, variance = tf.nn.moments(x, [0, 1, 2])
        np.testing.assert_allclose(mean.numpy(), x.mean((0, 1, 2)))
        np.testing.assert_allclose(variance.numpy(), x.var((0, 1, 2)))
        assert tf.nn.moments(x, [0], keepdims=True)[0].shape == (1, 3, 4, 5)
        check_gradient(lambda t: tf.nn.moments(t, [0])[1], x)
        got = tf.nn.batch_normalization(x, mean, variance, b, 2 * np.ones(5), 1e-3)
        want = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3) * 2 + b
        np.testing.assert_allclose(got.numpy(), want)
        assert float(tf.nn.l2_loss([3.0, 4.0])) == 12.5

    def test_local_response_normalization(self):
        x = RNG.normal(size=(1, 2, 2, 7))
        total = sum(np.pad(x**2, [(0, 0)] * 3 + [(2, 2)])[..., i : i + 7] for i in range(5))
        got = tf.nn.lrn(x, depth_radius=2, bias=2.0, alpha=0.3, beta=0.75)
        np.testing.assert_allclose(got.numpy(), x / (2 + 0.3 * total) ** 0.75)
        check_gradient(lambda t: tf.nn.lrn(t, 2), x)

    def test_dropout(self):
        tf.random.set_seed(3)
        x = tf.ones((1000,))
        y = tf.nn.dropout(x, 0.25).numpy()
        assert set(np.unique(y)) == {0, np.float32(4 / 3)} and 0.2 < (y == 0).mean() < 0.3
        assert np.array_equal(tf.nn.dropout(x, 0.0), x)
        rows = tf.nn.dropout(tf.ones((50, 4)), 0.5, noise_shape=(50, 1)).numpy()
        assert (rows == rows[:, :1]).all()
        with pytest.raises(ValueError, match="`rate`"):
            tf.nn.dropout(x, 1.0)

    def test_losses(self):
        z, y = RNG.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]]
        log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
        want = -(y * log_p).sum(-1)
        np.testing.assert_allclose(tf.nn.softmax_cross_entropy_with_logits(y, z).numpy(), want)
        np.testing.assert_allclose(tf.nn.softmax_cross_entropy_with_logits(y.T, z.T, axis=0).numpy(), want)
        np.testing.assert_allclose(
            tf.nn.sparse_softmax_cross_entropy_with_logits([0, 2, 1, 1], z).numpy(), want
        )
        want = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
        np.testing.assert_allclose(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z).numpy(), want)
        got = tf.nn.weighted_cross_entropy_with_logits(y, z, 1.0)
        np.testing.assert_allclose(got.numpy(), want, atol=1e-12)
        with pytest.raises(ValueError, match="3"):
            tf.nn.sparse_softmax_cross_entropy_with_logits([0, 3, 1, 1], z)


class TestImage:
    def test_resize(self):
        x = RNG.random((2, 5, 7, 3)).astype(np.float32)
        assert tf.image.resize(x, (10, 10)).shape == (2, 10, 10, 3)
        assert tf.image.resize(x[0], (10, 3)).shape == (10, 3, 3)
        assert tf.image.resize(x, (5, 7)).numpy() == pytest.approx(x)
        assert tf.image.resize((x * 255).astype(np.uint8), (3, 3)).dtype == tf.float32
        assert tf.image.resize((x * 255).astype(np.uint8), (3, 3), "nearest").dtype == tf.uint8
        assert tf.image.resize(x, (20, 20), preserve_aspect_ratio=True).shape == (2, 14, 20, 3)
        for method in ("area", "bicubic", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"):
            constant = tf.image.resize(np.full((1, 4, 5, 1), 3.0, np.float32), (9, 2), method)
            np.testing.assert_allclose(constant.numpy(), 3, rtol=1e-5)
            check_gradient(lambda t, method=method: tf.image.resize(t, (3, 9), method), x)
        mean = tf.image.resize(x, (1, 1), "area").numpy()
        np.testing.assert_allclose(mean[:, 0, 0], x.mean((1, 2)), rtol=1e-5)
        with pytest.raises(ValueError, match="`method` must be one of"):
            tf.image.resize(x, (3, 3), "cubic")
        with pytest.raises(ValueError, match="`images` must have shape"):
            tf.image.resize(np.ones((3, 3)), (3, 3))

    def test_boxes(self):
        x = np.arange(2 * 6 * 8 * 1.0).reshape(2, 6, 8, 1)
        assert np.array_equal(tf.image.crop_to_bounding_box(x, 1, 2, 3, 4), x[:, 1:4, 2:6])
        assert np.array_equal(tf.image.central_crop(x[0], 0.5), x[0, 1:5, 2:6])
        padded = tf.image.pad_to_bounding_box(x, 1, 2, 9, 12).numpy()
        assert np.array_equal(padded[:, 1:7, 2:10], x) and padded.sum() == x.sum()
        assert tf.image.resize_with_crop_or_pad(x, 4, 12).shape == (2, 4, 12, 1)
        assert tf.image.resize_with_pad(x, 12, 12).shape == (2, 12, 12, 1)
        with pytest.raises(ValueError, match="inside the image"):
            tf.image.crop_to_bounding_box(x, 4, 0, 3, 3)

    def test_flips(self):
        x = RNG.random((4, 3, 5, 2))
        assert np.array_equal(tf.image.flip_left_right(x), x[:, :, ::-1])
        assert np.array_equal(tf.image.flip_up_down(x[0]), x[0, ::-1])
        assert np.array_equal(tf.image.transpose(x), x.transpose(0, 2, 1, 3))
        for k in (-1, 1, 2, 3):
            assert np.array_equal(tf.image.rot90(x, k), np.rot90(x, k, (1, 2)))
        tf.random.set_seed(0)
        seen = {
            tuple(
                np.asarray(tf.image.random_flip_left_right(x))[i].tobytes() == x[i].tobytes()
                for i in range(4)
            )
            for _ in range(30)
        }
        assert len(seen) > 4
        assert tf.image.random_crop(x, (4, 2, 2, 2)).shape == (4, 2, 2, 2)

    def test_colours(self):
        x = RNG.random((2, 3, 4, 3))
        assert np.allclose(tf.image.adjust_brightness(x, 0.2), x + 0.2)
        mean = x.mean((1, 2), keepdims=True)
        assert np.allclose(tf.image.adjust_contrast(x, 2.0), (x - mean) * 2 + mean)
        got = tf.image.per_image_standardization(x).numpy()
        assert np.allclose(got.mean((1, 2, 3)), 0) and np.allclose(got.std((1, 2, 3)), 1)
        assert np.allclose(tf.image.per_image_standardization(np.ones((2, 2, 1))), 0)
        grey = tf.image.rgb_to_grayscale(x)
        assert np.allclose(grey[..., 0], x @ [0.2989, 0.587, 0.114])
        assert tf.image.grayscale_to_rgb(grey).shape == x.shape
        want = np.abs(np.diff(x, axis=1)).sum((1, 2, 3)) + np.abs(np.diff(x, axis=2)).sum((1, 2, 3))
        assert np.allclose(tf.image.total_variation(x), want)
        check_gradient(tf.image.total_variation, x)
        dy, dx = tf.image.image_gradients(x)
        assert np.allclose(dy[:, :-1], np.diff(x, axis=1)) and np.allclose(dx[:, :, -1], 0)

    def test_dtypes(self):
        x = np.array([0, 127, 255], np.uint8)
        assert tf.image.convert_image_dtype(x, tf.float32).numpy() == pytest.approx(x / 255)
        back = tf.image.convert_image_dtype(tf.image.convert_image_dtype(x, tf.float32), tf.uint8)
        assert np.array_equal(back, x)
        assert tf.image.adjust_brightness(x.reshape(1, 3, 1), 1.0).numpy().reshape(-1).tolist() == [255] * 3

    def test_files(self, tmp_path):
        pytest.importorskip("PIL")
        picture = RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)
        path = tmp_path / "deep" / "picture.png"
        tf.io.write_file(path, tf.io.encode_png(picture))
        raw = tf.io.read_file(str(path))
        for decode in (tf.io.decode_image, tf.image.decode_png, tf.io.decode_png):
            assert np.array_equal(decode(raw), picture)
        assert tf.io.decode_image(raw, channels=1).shape == (5, 7, 1)
        assert tf.io.decode_png(raw, channels=4).shape == (5, 7, 4)
        scaled = tf.io.decode_image(raw, dtype=tf.float32)
        assert scaled.dtype == tf.float32 and float(tf.reduce_max(scaled)) <= 1
        jpeg = tf.io.decode_jpeg(tf.io.encode_jpeg(np.full((8, 8, 3), 90, np.uint8)))
        assert jpeg.shape == (8, 8, 3) and np.abs(jpeg.numpy().astype(int) - 90).max() <= 2
        with pytest.raises(ValueError, match="`contents` must be the bytes of an image file"):
            tf.io.decode_image(b"no image")
        with pytest.raises(TypeError, match="read_file"):
            tf.io.decode_image(str(path))
        with pytest.raises(tf.errors.NotFoundError):
            tf.io.read_file(tmp_path / "none")


class TestRandom:
    def test_seeds(self):
        def draws():
            tf.random.set_seed(5)
            return [
                x.numpy()
                for x in (
                    tf.random.normal((3,)),
                    tf.random.normal((3,)),
                    tf.random.uniform((3,), seed=1),
                    tf.random.uniform((3,), seed=1),
                    tf.random.shuffle(np.arange(20)),
                )
            ]

        first, second = draws(), draws()
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
        assert not np.array_equal(first[0], first[1]) and not np.array_equal(first[2], first[3])
        assert sorted(first[4]) == list(range(20))
        assert np.array_equal(
            tf.random.stateless_normal((3,), [1, 2]), tf.random.stateless_normal((3,), (1, 2))
        )

    def test_distributions(self):
        tf.random.set_seed(0)
        x = tf.random.normal((20000,), mean=2.0, stddev=3.0).numpy()
        assert abs(x.mean() - 2) < 0.1 and abs(x.std() - 3) < 0.1
        assert np.abs(tf.random.truncated_normal((20000,))).max() <= 2
        u = tf.random.uniform((20000,), -1, 3).numpy()
        assert u.min() >= -1 and u.max() < 3 and abs(u.mean() - 1) < 0.05
        k = tf.random.uniform((20000,), 2, 5, dtype=tf.int32).numpy()
        assert set(np.unique(k)) == {2, 3, 4}
        assert tf.random.normal((2,), mean=tf.constant([0.0, 1000.0])).numpy()[1] > 900
        c = tf.random.categorical(np.log([[0.9, 0.1]]), 5000).numpy()
        assert c.shape == (1, 5000) and 0.05 < c.mean() < 0.15
        with pytest.raises(ValueError, match="`maxval`"):
            tf.random.uniform((2,), dtype=tf.int32)
        with pytest.raises(ValueError, match="`shape` must be known"):
            tf.random.normal((None, 2))


def lists(dataset):
    return [x.tolist() for x in dataset.as_numpy_iterator()]


class TestDataset:
    def test_slices_and_batches(self):
        x, y = np.arange(10.0, dtype=np.float32).reshape(5, 2), np.arange(5)
        dataset = tf.data.Dataset.from_tensor_slices((x, y))
        assert len(dataset) == 5 and int(dataset.cardinality()) == 5
        first = next(iter(dataset))
        assert isinstance(first, tuple) and first[0].shape == (2,) and first[1].dtype == tf.int64
        batches = list(dataset.batch(2))
        assert [b[0].shape[0] for b in batches] == [2, 2, 1] and len(dataset.batch(2)) == 3
        assert (
            len(list(dataset.batch(2, drop_remainder=True)))
            == len(dataset.batch(2, drop_remainder=True))
            == 2
        )
        assert dataset.element_spec == (tf.TensorSpec((2,), tf.float32), tf.TensorSpec((), tf.int64))
        assert dataset.batch(2).element_spec[0] == tf.TensorSpec((None, 2), tf.float32)
        assert [x.numpy().tolist() for x, _ in dataset.batch(2).unbatch()] == x.tolist()
        named = tf.data.Dataset.from_tensor_slices({"image": x, "label": y}).batch(5)
        assert next(iter(named))["image"].shape == (5, 2)
        with pytest.raises(ValueError, match="`tensors` must have one length"):
            tf.data.Dataset.from_tensor_slices((x, y[:3]))
        with pytest.raises(ValueError, match="`batch_size`"):
            dataset.batch(0)

    def test_choosing(self):
        dataset = tf.data.Dataset.range(6)
        assert lists(dataset.take(2)) == [0, 1] and lists(dataset.skip(4)) == [4, 5]
        assert lists(dataset.shard(3, 1)) == [1, 4] and len(dataset.shard(4, 1)) == 2
        assert lists(dataset.take(2).repeat(2)) == [0, 1, 0, 1]
        assert lists(dataset.repeat().take(8)) == [0, 1, 2, 3, 4, 5, 0, 1]
        assert int(dataset.repeat().cardinality()) == -1 and len(dataset.repeat(3)) == 18
        assert lists(dataset.take(2).concatenate(dataset.skip(5))) == [0, 1, 5]
        assert lists(dataset.filter(lambda x: x % 2 == 0)) == [0, 2, 4]
        assert int(dataset.filter(lambda x: True).cardinality()) == -2
        assert [(int(i), int(x)) for i, x in dataset.skip(4).enumerate()] == [(0, 4), (1, 5)]
        with pytest.raises(TypeError, match="no end"):
            len(dataset.repeat())

    @pytest.mark.parametrize("mapped", [False, True])
    def test_shuffling(self, mapped):
        dataset = tf.data.Dataset.range(100)
        if mapped:
            dataset = dataset.map(lambda x: x)
        shuffled = dataset.shuffle(100, seed=1)
        first, second = lists(shuffled), lists(shuffled)
        assert sorted(first) == list(range(100)) and first != list(range(100)) and first != second
        fixed = dataset.shuffle(100, reshuffle_each_iteration=False)
        assert lists(fixed) == lists(fixed)
        near = lists(dataset.shuffle(5))
        assert sorted(near) == list(range(100)) and all(x <= i + 4 for i, x in enumerate(near))
        tf.random.set_seed(2)
        again = lists(dataset.shuffle(100))
        tf.random.set_seed(2)
        assert lists(dataset.shuffle(100)) == again
        assert sorted(sum(lists(dataset.shuffle(10).batch(8)), [])) == list(range(100))

    def test_mapping(self):
        pairs = tf.data.Dataset.from_tensor_slices(([1.0, 2.0], [3, 4]))
        scaled = pairs.map(lambda x, y: (x / 2, tf.one_hot(y, 5)), num_parallel_calls=tf.data.AUTOTUNE)
        x, y = next(iter(scaled.batch(2).prefetch(tf.data.AUTOTUNE)))
        assert x.numpy().tolist() == [0.5, 1] and y.shape == (2, 5)
        named = pairs.map(lambda x, y: {"x": x, "y": y})
        assert next(iter(named.map(lambda item: item["x"] + 1))).numpy() == 2
        calls = []
        cached = tf.data.Dataset.range(3).map(lambda x: calls.append(1) or x).cache()
        assert lists(cached) == lists(cached) == [0, 1, 2] and len(calls) == 3
        assert lists(tf.data.Dataset.range(3).flat_map(lambda x: tf.data.Dataset.range(int(x)))) == [0, 0, 1]
        assert lists(
            tf.data.Dataset.range(2).interleave(lambda x: tf.data.Dataset.from_tensors(x).repeat(2))
        ) == [0, 1, 0, 1]

    def test_a_generator(self):
        def generate():
            for i in range(3):
                yield np.full((2,), i), i

        signature = (tf.TensorSpec((2,), tf.float32), tf.TensorSpec((), tf.int32))
        dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
        assert [(x.dtype.name, int(y)) for x, y in dataset] == [
            ("float32", 0),
            ("float32", 1),
            ("float32", 2),
        ]
        assert dataset.element_spec == signature and len(list(dataset.batch(2))) == 2
        with pytest.raises(TypeError, match="not known"):
            len(dataset)
        old = tf.data.Dataset.from_generator(generate, (tf.float32, tf.int64), ((2,), ()))
        assert next(iter(old))[1].dtype == tf.int64
        wrong = tf.data.Dataset.from_generator(
            generate, output_signature=(tf.TensorSpec((3,)), tf.TensorSpec(()))
        )
        with pytest.raises(ValueError, match=r"must yield shape \(3,\)"):
            next(iter(wrong))

    def test_file_names(self, tmp_path):
        pytest.importorskip("PIL")
        names = []
        for i in range(3):
            names.append(str(tmp_path / f"{i}.png"))
            tf.io.write_file(names[-1], tf.io.encode_png(np.full((2, 2, 1), i, np.uint8)))
        dataset = tf.data.Dataset.from_tensor_slices(names).map(
            lambda p: tf.io.decode_png(tf.io.read_file(p))
        )
        assert next(iter(dataset.batch(3))).numpy()[:, 0, 0, 0].tolist() == [0, 1, 2]

    def test_structures_together(self):
        a, b = tf.data.Dataset.range(3), tf.data.Dataset.range(10, 12)
        assert [(int(x), int(y)) for x, y in tf.data.Dataset.zip((a, b))] == [(0, 10), (1, 11)]
        assert len(tf.data.Dataset.zip(a, b)) == 2
        with pytest.raises(TypeError, match="`datasets`"):
            tf.data.Dataset.zip([1, 2])
        with pytest.raises(ValueError, match="one shape"):
            list(tf.data.Dataset.range(1, 3).map(lambda x: tf.ones(int(x))).batch(2))

    def test_callers_arrays_are_safe(self):
        x = np.zeros((4, 2), np.float32)
        for batch in tf.data.Dataset.from_tensor_slices(x).batch(2).as_numpy_iterator():
            batch += 1
        assert x.max() == 0


class TestDebugging:
    def test_assertions_hold_or_name_the_place(self):
        d = tf.debugging
        d.assert_equal([1, 2], [1, 2])
        d.assert_near(1.0, 1.0 + 1e-7)
        d.assert_positive([1.0])
        d.assert_rank(tf.ones((2, 2)), 2)
        d.assert_type(tf.ones(2), tf.float32)
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"x == y does not hold at \(1,\). Received: 2, 3"
        ):
            d.assert_equal([1, 2], [1, 3])
        with pytest.raises(ValueError, match="my message: x > 0"):
            d.assert_positive([0.0], message="my message")
        with pytest.raises(ValueError, match="`x` must have rank 3"):
            d.assert_rank(tf.ones((2, 2)), 3)
        with pytest.raises(ValueError, match="finite"):
            d.assert_all_finite([np.inf], "loss")
        with pytest.raises(ValueError, match="shape"):
            d.assert_shapes([(tf.ones((2, 3)), ("n", "n"))])
        with pytest.raises(ValueError):
            d.Assert(False, ["data"])


PARITY = [
    (
        "constants",
        lambda tf, x: [tf.constant(1.5).dtype.name, tf.constant([1]).dtype.name, tf.constant(x).dtype.name],
    ),
    ("cast uint8", lambda tf, x: tf.cast(tf.clip_by_value(x * 100, 0, 255), tf.uint8)),
    ("one_hot", lambda tf, x: tf.one_hot([[1, 3], [0, -1]], 3, 2.0, -1.0, axis=0)),
    ("linspace", lambda tf, x: tf.linspace(0.0, 1.0, 11)),
    ("linspace rows", lambda tf, x: tf.linspace(x[0, 0, 0], x[1, 0, 0], 4)),
    ("range", lambda tf, x: tf.range(1, 10, 3)),
    ("integer mean", lambda tf, x: tf.reduce_mean([[1, 2], [-3, 8]], 1)),
    ("floordiv", lambda tf, x: [tf.constant([7, -7]) // 2, tf.constant([7, -7]) % 3]),
    ("integer divide", lambda tf, x: tf.constant([7, -7]) / 2),
    ("std", lambda tf, x: tf.math.reduce_std(x, [1, 2])),
    ("logsumexp", lambda tf, x: tf.reduce_logsumexp(x, -1)),
    (
        "norms",
        lambda tf, x: [
            tf.norm(x),
            tf.norm(x, ord=1, axis=1),
            tf.norm(x, ord=3, axis=-1),
            tf.norm(x, axis=[1, 2]),
        ],
    ),
    ("clip_by_norm", lambda tf, x: tf.clip_by_norm(x, 0.7, axes=[1, 2])),
    ("global norm", lambda tf, x: tf.clip_by_global_norm([x, x * 2], 0.5)[0]),
    ("l2_normalize", lambda tf, x: tf.math.l2_normalize(x, axis=[1, 2])),
    ("top_k", lambda tf, x: list(tf.math.top_k(x, 3))),
    ("sort", lambda tf, x: [tf.sort(x, axis=1, direction="DESCENDING"), tf.argsort(x, axis=0)]),
    ("unique", lambda tf, x: list(tf.unique([3, 1, 3, 2]))),
    ("where", lambda tf, x: tf.where(x > 0)),
    ("boolean_mask", lambda tf, x: tf.boolean_mask(x, x[:, 0, 0, 0] > -10)),
    ("roll", lambda tf, x: tf.roll(x, shift=[1, -2], axis=[1, 2])),
    ("repeat", lambda tf, x: tf.repeat(x, [1, 2], axis=0)),
    ("gather batch", lambda tf, x: tf.gather(x, [[1], [0]], axis=2, batch_dims=1)),
    ("gather_nd batch", lambda tf, x: tf.gather_nd(x, [[[0, 1]], [[2, 3]]], batch_dims=1)),
    ("pad", lambda tf, x: tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "SYMMETRIC")),
    ("einsum", lambda tf, x: tf.einsum("bhwc,bhvc->bwv", x, x)),
    ("tensordot", lambda tf, x: tf.tensordot(x, x, [[1, 3], [1, 3]])),
    ("softmax axis", lambda tf, x: tf.nn.softmax(x, axis=1)),
    (
        "gelu",
        lambda tf, x: [tf.nn.gelu(x), tf.nn.gelu(x, approximate=True), tf.nn.selu(x), tf.nn.leaky_relu(x)],
    ),
    ("moments", lambda tf, x: list(tf.nn.moments(x, [1, 2]))),
    ("lrn", lambda tf, x: tf.nn.local_response_normalization(x, 1, 1.0, 0.5, 0.75)),
    ("max pool", lambda tf, x: tf.nn.max_pool2d(x, 3, 2, "SAME")),
    ("avg pool", lambda tf, x: tf.nn.avg_pool2d(x, 3, 2, "SAME")),
    ("argmax pool", lambda tf, x: list(tf.nn.max_pool_with_argmax(x, 3, 2, "SAME"))),
    ("conv2d", lambda tf, x: tf.nn.conv2d(x, tf.ones((3, 2, 3, 2)) * [[1.0, -2.0]], (2, 1), "SAME")),
    ("depthwise", lambda tf, x: tf.nn.depthwise_conv2d(x, tf.ones((3, 3, 3, 2)), (1, 2, 2, 1), "SAME")),
    ("dilated", lambda tf, x: tf.nn.conv2d(x, tf.ones((2, 2, 3, 1)), 1, "VALID", dilations=2)),
    ("transposed", lambda tf, x: tf.nn.conv2d_transpose(x, tf.ones((3, 3, 2, 3)), (2, 11, 13, 2), 2, "SAME")),
    ("space to depth", lambda tf, x: tf.nn.space_to_depth(x[:, :6, :6], 2)),
    ("cross entropy", lambda tf, x: tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(x), x)),
    ("sparse", lambda tf, x: tf.nn.sparse_softmax_cross_entropy_with_logits([0, 2], x[:, 0, 0])),
    ("weighted", lambda tf, x: tf.nn.weighted_cross_entropy_with_logits(tf.nn.sigmoid(x), x, 2.5)),
    *[
        (
            f"resize {method} {size} {antialias}",
            lambda tf, x, m=method, s=size, a=antialias: tf.image.resize(x, s, m, antialias=a),
        )
        for method in ("bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
        for size in ((3, 4), (11, 15))
        for antialias in (False, True)
    ],
    ("nearest", lambda tf, x: tf.image.resize(x, (4, 13), "nearest")),
    ("aspect", lambda tf, x: tf.image.resize(x, (4, 20), preserve_aspect_ratio=True)),
    ("resize_with_pad", lambda tf, x: tf.image.resize_with_pad(x, 10, 9)),
    ("crop or pad", lambda tf, x: tf.image.resize_with_crop_or_pad(x, 9, 4)),
    ("central_crop", lambda tf, x: tf.image.central_crop(x, 0.6)),
    ("standardization", lambda tf, x: tf.image.per_image_standardization(x)),
    ("total variation", lambda tf, x: tf.image.total_variation(x)),
    ("contrast", lambda tf, x: tf.image.adjust_contrast(x, 1.7)),
    ("grey", lambda tf, x: tf.image.rgb_to_grayscale(x)),
    (
        "grey bytes",
        lambda tf, x: tf.image.rgb_to_grayscale(tf.image.convert_image_dtype(tf.nn.sigmoid(x), tf.uint8)),
    ),
    ("bytes", lambda tf, x: tf.image.convert_image_dtype(tf.nn.sigmoid(x), tf.uint8)),
    ("rot90", lambda tf, x: tf.image.rot90(x, 3)),
    ("psnr", lambda tf, x: tf.image.psnr(tf.nn.sigmoid(x), tf.nn.relu(x), 1.0)),
    ("solve", lambda tf, x: tf.linalg.solve(tf.eye(3) * 2.0 + 0.1, x[0, 0, :3])),
    ("confusion", lambda tf, x: tf.math.confusion_matrix([0, 1, 2, 2], [0, 2, 2, 1])),
    ("cumsum", lambda tf, x: tf.cumsum(x, 1, exclusive=True, reverse=True)),
]


@pytest.mark.parity
@pytest.mark.parametrize(("function"), [pytest.param(f, id=name) for name, f in PARITY])
def test_the_same_as_tensorflow(function):
    """Values, shapes and dtypes; and the gradient of the sum where there is one."""
    theirs = pytest.importorskip("tensorflow")
    x = np.random.default_rng(7).normal(size=(2, 6, 7, 3)).astype(np.float32)

    def both(module):
        tensor = module.constant(x)
        with module.GradientTape() as tape:
            tape.watch(tensor)
            results = function(module, tensor)
            results = results if isinstance(results, list) else [results]
            real = [r for r in results if not isinstance(r, str) and r.dtype == "float32"]
            total = module.add_n([module.reduce_sum(r * r) for r in real]) if real else None
        try:
            return results, None if total is None else tape.gradient(total, tensor)
        except (LookupError, theirs.errors.InvalidArgumentError):  # TensorFlow has no gradient for a few
            return results, "none"

    got, got_gradient = both(tf)
    want, want_gradient = both(theirs)
    for ours, other in zip(got, want, strict=True):
        if isinstance(ours, str):
            assert ours == other
            continue
        assert ours.dtype == other.dtype.name and tuple(ours.shape) == tuple(other.shape)
        np.testing.assert_allclose(ours.numpy(), other.numpy(), rtol=2e-5, atol=2e-5)
    if isinstance(want_gradient, str):
        return
    assert (got_gradient is None) == (want_gradient is None)
    if want_gradient is not None:
        scale = np.abs(want_gradient.numpy()).max()
        np.testing.assert_allclose(
            got_gradient.numpy(), want_gradient.numpy(), rtol=1e-4, atol=1e-5 * max(scale, 1)
        )
