"""`keras.ops` beyond what is recorded: every case in a model, what NumPy decides, refusals."""

from __future__ import annotations

import cases_ops
import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import _core, keras

ops = keras.ops
ELSEWHERE = {
    "argpartition": "test_partition",
    "lu_factor": "test_lu_factor",
    "eig": "test_eig",
    "vectorize": "test_vectorize",
    "sparsemax": "test_sparsemax",
}


DOUBLE_ONLY = {
    "nextafter",
    "nan_to_num/special",
    "scan/reverse",
}  # values of the dtype itself, or a constant in it


@pytest.fixture(autouse=True)
def float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def test_sparsemax():
    """The nearest point of the simplex: Martins and Astudillo 2016. Keras's does not add up to 1."""
    x = np.random.default_rng(0).normal(size=(5, 6, 3))
    found = ops.sparsemax(x, axis=1).numpy()
    for row, result in zip(
        x.transpose(0, 2, 1).reshape(-1, 6), found.transpose(0, 2, 1).reshape(-1, 6), strict=True
    ):
        low, high = row.min() - 1.0, row.max()
        for _ in range(100):  # the threshold t with sum(max(x - t, 0)) = 1
            middle = (low + high) / 2
            low, high = (middle, high) if np.maximum(row - middle, 0).sum() > 1 else (low, middle)
        np.testing.assert_allclose(result, np.maximum(row - low, 0), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_every_function_has_a_case():
    covered = {name.split("/")[0] for name in cases_ops.CASES} | set(ELSEWHERE)
    assert not set(ops.__all__) - covered


@pytest.mark.parametrize("name", [name for name in cases_ops.CASES if name not in cases_ops.NO_SYMBOL])
def test_in_a_model(name):
    """The function of symbols with an unknown batch is the function of values, also after a description."""
    call, inputs = cases_ops.CASES[name]
    tensors = cases_ops.tensors_of(tf, name, inputs)
    wanted = [np.asarray(y) for y in cases_ops.flat(call(ops, *tensors))]
    symbols = cases_ops.symbols_of(keras, name, inputs)
    outputs = cases_ops.flat(call(ops, *symbols))
    model = keras.Model(symbols, outputs)
    results = model(tensors if len(tensors) > 1 else tensors[0])
    for y, want, symbol in zip(cases_ops.flat(results), wanted, outputs, strict=True):
        np.testing.assert_allclose(np.asarray(y), want, rtol=1e-12, atol=1e-12)
        assert y.dtype == symbol.dtype and len(symbol.shape) == want.ndim
        assert all(size in (None, n) for size, n in zip(symbol.shape, want.shape, strict=True))
    if any(step.maker.op == "python" for step in model._graph.steps if hasattr(step, "maker")):
        with pytest.raises(ValueError, match="call it in a Layer"):
            model.get_config()
        return
    again = keras.Model.from_config(model.get_config())(tensors if len(tensors) > 1 else tensors[0])
    for y, want in zip(cases_ops.flat(again), wanted, strict=True):
        np.testing.assert_allclose(np.asarray(y), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", cases_ops.CASES)
def test_float32(name):
    """Real inputs in float32 give real results in float32, near those of float64."""
    call, inputs = cases_ops.CASES[name]
    tensors = cases_ops.tensors_of(tf, name, inputs)
    if not any(x.dtype == "float64" for x in tensors) or name in DOUBLE_ONLY:
        return
    wanted = cases_ops.flat(call(ops, *tensors))
    keras.config.set_floatx("float32")
    single = [tf.cast(x, "float32") if x.dtype == "float64" else x for x in tensors]
    for y, want in zip(cases_ops.flat(call(ops, *single)), wanted, strict=True):
        np.testing.assert_allclose(np.asarray(y), np.asarray(want), rtol=1e-4, atol=1e-4)
        if want.dtype == "float64" and "/" not in name and not any(isinstance(x, np.ndarray) for x in inputs):
            assert y.dtype == "float32"


# forms that Keras on TensorFlow has wrong or not at all
@pytest.mark.parametrize("k", [-1, 0, 2, 5])
def test_rot90(k):
    x = np.arange(24.0).reshape(3, 4, 2)
    np.testing.assert_array_equal(ops.rot90(x, k, (1, 2)), np.rot90(x, k, (1, 2)))


def test_joining_vectors_and_numbers():
    x, y = np.arange(3.0), np.arange(3.0, 6.0)
    for name in ("vstack", "hstack", "dstack"):
        np.testing.assert_array_equal(getattr(ops, name)([x, y]), getattr(np, name)([x, y]))
        np.testing.assert_array_equal(getattr(ops, name)([1.0, 2.0]), getattr(np, name)([1.0, 2.0]))
    np.testing.assert_array_equal(ops.eye(2, 4, k=1), np.eye(2, 4, k=1))


def test_partition():
    x = np.random.RandomState(0).standard_normal((4, 7))
    chosen = np.take_along_axis(x, np.asarray(ops.argpartition(x, 3)), axis=-1)
    assert (chosen[:, :3] <= chosen[:, 3:4]).all() and (chosen[:, 4:] >= chosen[:, 3:4]).all()


def test_vectorize():
    x, y = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    np.testing.assert_array_equal(ops.vectorize(lambda a, b: a * b + 1.0)(x, y), x * y + 1.0)
    product = ops.vectorize(ops.dot, signature="(n),(n)->()")
    np.testing.assert_allclose(product(x, y), x @ y)
    power = ops.vectorize(lambda a, n: a**n, excluded={1})
    np.testing.assert_array_equal(power(x, 2.0), x**2)


def test_lu_factor():
    a = cases_ops.square(4, definite=False)[0]
    packed, pivots = ops.lu_factor(a)
    product = (np.tril(packed, -1) + np.eye(4)) @ np.triu(packed)
    for row, other in reversed(list(enumerate(np.asarray(pivots)))):
        product[[row, other]] = product[[other, row]]
    np.testing.assert_allclose(product, a)


def test_decompositions_give_the_matrix_back():
    a = np.random.RandomState(1).standard_normal((2, 4, 3))
    q, r = ops.qr(a)
    np.testing.assert_allclose(ops.matmul(q, r), a, atol=1e-12)
    u, s, v = ops.svd(a, full_matrices=False)
    np.testing.assert_allclose(ops.matmul(u * s[:, None, :], v), a, atol=1e-12)
    low = ops.cholesky(cases_ops.square(3))
    np.testing.assert_allclose(ops.matmul(low, ops.swapaxes(low, -1, -2)), cases_ops.square(3))


def test_eig():
    a = np.array([[2.0, 1.0], [0.0, 3.0]])
    values, vectors = ops.eig(a)
    np.testing.assert_allclose(a @ np.asarray(vectors), np.asarray(vectors) * np.asarray(values))
    with pytest.raises(ValueError, match="real eigenvalues"):
        ops.eig(np.array([[0.0, 1.0], [-1.0, 0.0]]))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, f: ops.conv(x, cases_ops.KERNEL, 2, "same", f, 1),
        lambda x, f: ops.depthwise_conv(x, cases_ops.KERNEL, 1, "valid", f),
        lambda x, f: ops.separable_conv(x, cases_ops.KERNEL, np.ones((1, 1, 12, 2)), 1, "same", f),
        lambda x, f: ops.conv_transpose(x, cases_ops.KERNEL.swapaxes(2, 3), 2, "same", 1, f),
        lambda x, f: ops.max_pool(x, 2, 1, "same", f),
        lambda x, f: ops.average_pool(x, (2, 3), None, "valid", f),
        lambda x, f: ops.adaptive_average_pool(x, (3, 2), f),
        lambda x, f: ops.adaptive_max_pool(x, 2, f),
    ],
)
def test_channels_first(call):
    """TensorFlow has no such kernels on the CPU; the layout must not matter."""
    x = np.random.RandomState(6).standard_normal((2, 5, 6, 4))
    y = np.asarray(call(x, "channels_last"))
    np.testing.assert_allclose(call(x.transpose(0, 3, 1, 2), "channels_first"), y.transpose(0, 3, 1, 2))


def slope_of(function, *inputs):
    """The gradients of a weighted sum, and finite differences."""
    arrays = [np.asarray(x, np.float64) for x in inputs]
    y = np.asarray(function(*arrays))
    weights = np.random.RandomState(5).standard_normal(y.shape)
    tensors = [tf.constant(x) for x in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        total = tf.reduce_sum(function(*tensors) * weights)
    found = [np.asarray(g) for g in tape.gradient(total, tensors)]
    wanted = []
    for place, x in enumerate(arrays):
        numeric = np.zeros_like(x)
        for at in np.ndindex(*x.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [np.array(a) for a in arrays]
                moved[place][at] += step
                sides.append((np.asarray(function(*moved)) * weights).sum())
            numeric[at] = (sides[0] - sides[1]) / 2e-6
        wanted.append(numeric)
    return found, wanted


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda x, y: ops.slice_update(x, (1, 2), y), [(3, 4), (2, 2)]),
        (lambda x, y: ops.scatter_update(x, [[1], [1], [2]], y, "add"), [(3,), (3,)]),
        (lambda x: ops.unfold(x, (2, 3), stride=2, padding=1), [(1, 2, 4, 5)]),
        (lambda x: ops.segment_prod(x, np.array([0, 1, 0]), 3), [(3, 2)]),
        (lambda x: ops.vander(x), [(3,)]),
        (lambda x: ops.norm(x, ord=3, axis=(0,)), [(3, 2)]),
        (lambda x, y: ops.correlate(x, y, "full"), [(4,), (6,)]),
        (lambda x: ops.sparsemax(x), [(2, 4)]),
        (lambda x: ops.nanquantile(x, 0.4, axis=0), [(5, 2)]),
        (lambda x: ops.erfinv(ops.tanh(x)), [(3, 2)]),
    ],
)
def test_gradients(function, inputs):
    rng = np.random.RandomState(3)
    found, wanted = slope_of(function, *[rng.standard_normal(shape) for shape in inputs])
    for g, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-7)


def test_cholesky_gradient():
    def function(x):
        return ops.cholesky(ops.matmul(x, ops.transpose(x)) + 3.0 * np.eye(3))

    found, wanted = slope_of(function, np.random.RandomState(4).standard_normal((3, 3)))
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.pinv(x),
        lambda x: ops.svd(x, compute_uv=False),
        lambda x: ops.qr(x)[1],
        lambda x: ops.eigh(x)[0],
        lambda x: ops.lstsq(x, np.ones(3)),
        lambda x: ops.norm(x, ord=2, axis=(0, 1)),
        lambda x: ops.scatter_update(x, [[0]], np.ones((1, 3)), "max"),
    ],
)
def test_what_has_no_gradient_says_so(function):
    x = tf.constant(cases_ops.square(3)[0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(function(x))
    with pytest.raises(ValueError, match="has no gradient"):
        tape.gradient(y, x)


def test_promotion():
    i, f = np.array([1, 2], np.int32), np.array([0.5, 1.5], np.float32)
    assert ops.add(i, f).dtype == "float32" and ops.add(f, f.astype(np.float64)).dtype == "float64"
    assert ops.add(f, 1).dtype == "float32" and ops.add(i, 1.5).dtype == "float64"  # floatx is float64 here
    assert ops.add(np.array([True]), 1).dtype == "int32" and ops.sum(np.array([True, True])).dtype == "int32"
    assert ops.divide(i, i).dtype == ops.mean(i).dtype == ops.exp(i).dtype == "float64"
    assert ops.maximum(i, i.astype(np.int64)).dtype == "int64" and ops.dtype([1, 2]) == "int32"


def test_lists_of_tensors_become_one():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(ops.array([x * 2.0, [3.0, 4.0]]))
    np.testing.assert_array_equal(tape.gradient(y, x), [2.0, 2.0])


def test_jvp_of_several():
    x, y = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    value, slope, aux = ops.jvp(
        lambda a, b: (a * b, "more"), (x, y), (np.array([1.0, 0.0]), np.ones(2)), has_aux=True
    )
    assert aux == "more"
    np.testing.assert_allclose(value, x * y)
    np.testing.assert_allclose(slope, [1.0 * 3.0 + 1.0, 2.0])


def test_cond_of_a_symbol():
    x = keras.Input((2,))
    y = ops.cond(ops.sum(x) > 0.0, lambda: x * 2.0, lambda: x)
    model = keras.Model(x, y)
    np.testing.assert_array_equal(model(np.ones((1, 2))), [[2.0, 2.0]])
    np.testing.assert_array_equal(model(-np.ones((1, 2))), [[-1.0, -1.0]])


def test_loops_with_limits():
    assert int(ops.while_loop(lambda i: True, lambda i: i + 1, (0,), maximum_iterations=5)[0]) == 5
    assert ops.scan(lambda c, _: (c + 1, None), 0, length=3)[1] is None
    assert [int(ops.switch(k, [lambda: 0, lambda: 1])) for k in (-3, 0, 1, 9)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.squeeze(np.ones((2, 3)), 0), "Cannot squeeze axis=0"),
        (lambda: ops.one_hot([1], 3, sparse=True), "`sparse` must be False"),
        (lambda: ops.pad(np.ones(3), 1, mode="wrap"), "`mode` must be one of"),
        (lambda: ops.pad(np.ones(3), 1, "reflect", 2.0), "constant_values"),
        (lambda: ops.quantile(np.ones(3), 0.5, method="cubic"), "`method` must be one of"),
        (lambda: ops.bitwise_and([1.0], [1.0]), "those of integers"),
        (lambda: ops.cholesky(-np.eye(2)), "cholesky: .*positive definite"),
        (lambda: ops.inv(np.ones((2, 3))), "square matrices"),
        (lambda: ops.take([1.0], [0.5]), "must be integers"),
        (lambda: ops.take([1.0, 2.0], [2]), "indices must be in"),
        (lambda: ops.where(True, 1.0), "either both"),
        (lambda: ops.unique(keras.Input((2,))), "needs values"),
        (lambda: ops.nonzero(keras.Input((2,))), "needs values"),
        (lambda: ops.conv(np.ones((1, 2, 2, 2, 1)), np.ones((1, 1, 1, 1, 1))), "rank 3 or 4"),
        (lambda: ops.rearrange(np.ones((2, 3)), "a b -> a c"), "same axes on both sides"),
        (lambda: ops.rearrange(np.ones((2, 3)), "(a c) b -> a b c", a=3), "cannot be split"),
        (lambda: ops.glu(np.ones((2, 3))), "divisible by 2"),
        (lambda: ops.slice_update(np.ones(3), (2,), np.ones(2)), "must fit"),
        (lambda: ops.quantile(np.ones(3), 1.5), "must lie in"),
        (lambda: ops.median(np.ones((2, 0))), "at least one value"),
        (lambda: ops.bincount([-1, 2]), "no negative numbers"),
        (lambda: ops.correlate(np.ones(0), np.ones(2)), "above 0"),
        (lambda: ops.scatter([[5]], [1.0], (3,)), "within the shape"),
        (lambda: ops.scatter([[-1]], [1.0], (3,)), "within the shape"),
        (lambda: ops.scatter_update(np.zeros(3), [[7]], [1.0]), "within the shape"),
        (lambda: ops.segment_sum([1.0, 2.0], [0, 1, 2]), "one number for each entry"),
        (lambda: ops.unravel_index([20], (3, 4)), "must be below 12"),
        (lambda: ops.array_split(np.ones(5), 0), "must be positive"),
        (lambda: ops.map(lambda x: x, np.ones((0, 2))), "known length above 0"),
        (lambda: ops.custom_gradient(3), "should be a callable"),
        (lambda: ops.unfold(np.ones((1, 1, 2, 2)), 3), "does not fit"),
        (lambda: ops.unfold(np.ones((2, 3)), 2), "shape \\(n, c, h, w\\)"),
        (lambda: ops.fold(np.ones((1, 3, 4)), 3, 2), "must have shape"),
        (lambda: ops.trapezoid(keras.Input((3,)), axis=0), "must be known"),
        (lambda: ops.convert_to_numpy(keras.Input((2,))), "no values"),
        (lambda: ops.dot_product_attention(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2))), "4D inputs"),
    ],
)
def test_refusals(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_in_a_layer_that_is_trained():
    """Functions of `ops` inside a layer are traced for `fit`."""

    class Scaled(keras.layers.Layer):
        def call(self, x):
            ranked = ops.sort(x, axis=-1)
            return ops.concatenate(
                [ops.layer_normalization(x), ops.median(ranked, axis=-1, keepdims=True)], axis=-1
            )

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), Scaled(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.RandomState(0).standard_normal((16, 4))
    before = model.evaluate(x, x[:, :1], verbose=0)
    model.fit(x, x[:, :1], epochs=5, batch_size=4, verbose=0)
    assert model.evaluate(x, x[:, :1], verbose=0) < before


def test_modules_of_ops():
    assert ops.nn.relu is ops.relu and ops.numpy.add is ops.add and ops.linalg.svd is ops.svd
    assert "image" in dir(ops) and callable(ops.image.resize)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ops.nothing
    assert isinstance(ops.add(keras.Input((2,)), 1.0), _core.Symbol)
