"""`keras.random`, `keras.config`, `keras.tree`, `keras.Variable` and dtype policies."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

draws, tree, config = keras.random, keras.tree, keras.config

# name: (draw of n values by a seed, mean, variance)
DISTRIBUTIONS = {
    "normal": (lambda n, s: draws.normal((n,), 2.0, 3.0, "float64", s), 2.0, 9.0),
    "uniform": (lambda n, s: draws.uniform((n,), -1.0, 3.0, "float64", s), 1.0, 16 / 12),
    "truncated_normal": (lambda n, s: draws.truncated_normal((n,), 0.0, 1.0, "float64", s), 0.0, 0.7737),
    "randint": (lambda n, s: draws.randint((n,), 0, 7, seed=s), 3.0, 4.0),
    "gamma": (lambda n, s: draws.gamma((n,), 2.5, "float64", s), 2.5, 2.5),
    "beta": (lambda n, s: draws.beta((n,), 2.0, 3.0, "float64", s), 0.4, 0.04),
    "binomial": (lambda n, s: draws.binomial((n,), 10, 0.3, "float64", s), 3.0, 2.1),
    "categorical": (lambda n, s: draws.categorical(np.log([[0.2, 0.3, 0.5]]), n, seed=s), 1.3, 0.61),
    "dropout": (lambda n, s: draws.dropout(np.ones(n), 0.25, seed=s), 1.0, 1 / 3),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distribution(name):
    draw, mean, variance = DISTRIBUTIONS[name]
    count = 40000
    x = np.asarray(draw(count, 7), np.float64).reshape(-1)
    assert abs(x.mean() - mean) < 5 * np.sqrt(variance / count)
    assert abs(x.var() - variance) < 0.05 * variance


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_seeds(name):
    draw = DISTRIBUTIONS[name][0]
    np.testing.assert_array_equal(draw(20, 3), draw(20, 3))
    generator = draws.SeedGenerator(3)
    first, second = np.asarray(draw(20, generator)), np.asarray(draw(20, generator))
    np.testing.assert_array_equal(first, draw(20, 3))
    assert not np.array_equal(first, second)
    keras.utils.set_random_seed(5)
    before = np.asarray(draw(20, None))
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(before, draw(20, None))


def test_parameters_of_each_element():
    means = np.asarray(draws.gamma((4000, 2), np.array([1.0, 9.0]), seed=1)).mean(axis=0)
    np.testing.assert_allclose(means, [1.0, 9.0], rtol=0.1)


def test_shuffle_keeps_the_slices():
    x = np.arange(30).reshape(10, 3)
    rows = np.asarray(draws.shuffle(x, seed=2))
    assert not np.array_equal(rows, x)
    np.testing.assert_array_equal(rows[rows[:, 0].argsort()], x)
    columns = np.asarray(draws.shuffle(x, axis=1, seed=4))
    np.testing.assert_array_equal(np.sort(columns, axis=1), x)


def test_draws_inside_a_model():
    """Every call of the model draws anew, also in the compiled step."""

    class Noise(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed = draws.SeedGenerator(1)

        def call(self, x):
            whole = draws.randint((2,), 0, 1000, seed=self.seed)
            more = draws.gamma((2,), 3.0, seed=self.seed)
            return x + keras.ops.cast(whole, x.dtype) + more + draws.binomial((2,), 9, 0.5, seed=self.seed)

    x = keras.Input((2,))
    model = keras.Model(x, Noise()(x))
    first, second = model.predict(np.zeros((1, 2)), verbose=0), model.predict(np.zeros((1, 2)), verbose=0)
    assert not np.array_equal(first, second)
    logits = keras.Input((3,))
    chooser = keras.Model(logits, draws.categorical(logits, 5, seed=1))
    np.testing.assert_array_equal(chooser(np.array([[99.0, 0.0, 0.0], [0.0, 0.0, 99.0]])), [[0] * 5, [2] * 5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draws.randint((2,), 3, 3), "`maxval` must be greater"),
        (lambda: draws.randint((2,), 0, 3, dtype="float32"), "integer `dtype`"),
        (lambda: draws.gamma((2,), 1.0, dtype="int32"), "float type"),
        (lambda: draws.normal((2,), seed="a"), "`seed` must be either an integer"),
        (lambda: draws.categorical([1.0, 2.0], 1), "shape \\(n, classes\\)"),
    ],
)
def test_draws_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_parameters_of_draws_have_no_gradient():
    a = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = tf.reduce_sum(draws.gamma((3,), a, seed=1))
    with pytest.raises(ValueError, match="no gradient"):
        tape.gradient(y, a)


def test_dtype_policy():
    assert config.dtype_policy() == keras.DTypePolicy("float32")
    try:
        config.set_dtype_policy("float64")
        assert config.floatx() == keras.layers.Dense(1).dtype == "float64"
        config.set_dtype_policy(keras.DTypePolicy("float32"))
        assert keras.layers.Dense(1, dtype=keras.DTypePolicy("float64")).compute_dtype == "float64"
    finally:
        config.set_floatx("float32")
    for name in ("mixed_float16", "mixed_bfloat16", "float16"):
        with pytest.raises(ValueError, match="float32"):
            keras.mixed_precision.set_global_policy(name)
    again = keras.dtype_policies.deserialize(
        keras.dtype_policies.serialize(keras.FloatDTypePolicy("float64"))
    )
    assert again == keras.dtype_policies.get("float64") and again.variable_dtype == "float64"
    assert again.convert_input(np.ones(2, np.float32), True, "float64").dtype == "float64"
    assert again.convert_input(np.ones(2, np.int32), True, "float64").dtype == "int32"
    with pytest.raises(ValueError, match="quantization"):
        keras.dtype_policies.get({"class_name": "QuantizedDTypePolicy", "config": {}})


def test_limits_of_fit():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    seen = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    try:
        config.set_max_epochs(2)
        config.set_max_steps_per_epoch(3)
        assert (config.max_epochs(), config.max_steps_per_epoch()) == (2, 3)
        history = model.fit(
            np.ones((64, 2)), np.ones((64, 1)), epochs=9, batch_size=8, verbose=0, callbacks=[count]
        )
    finally:
        config.set_max_epochs(None)
        config.set_max_steps_per_epoch(None)
    assert len(history.history["loss"]) == 2 and seen == [0, 1, 2] * 2


def test_flags():
    assert config.is_traceback_filtering_enabled() and not config.is_nnx_enabled()
    config.disable_traceback_filtering()
    assert not config.is_traceback_filtering_enabled()
    config.enable_traceback_filtering()
    config.enable_flash_attention()
    assert config.is_flash_attention_enabled()
    config.disable_flash_attention()
    assert config.is_flash_attention_enabled() is False
    config.set_backend(config.backend())
    with pytest.raises(ValueError, match="the only engine"):
        config.set_backend("jax")


@pytest.mark.parametrize(
    ("dtypes", "wanted"),
    [
        (("int32", "float32"), "float32"), (("int64", "float32"), "float32"), (("bool", int), "int32"),
        ((int, float), "float32"), (("uint8", "int32"), "int32"), (("bool", "uint8"), "uint8"),
        (("int64", int), "int64"), (("float32", "float64"), "float64"), ((), "float32"),
        (("bfloat16", "float16"), "float32"), (("int32", float), "float32"), (("float64", float), "float64"),
    ],
)  # fmt: skip
def test_result_type(dtypes, wanted):
    assert keras.backend.result_type(*dtypes) == wanted


Point = namedtuple("Point", "x y")
NESTED = {"b": [1, (2, None)], "a": Point(3, {"z": 4})}


def test_tree():
    assert tree.flatten(NESTED) == [3, 4, 1, 2, None]
    assert tree.flatten(OrderedDict(b=1, a=2)) == [1, 2]
    paths = [("a", 0), ("a", 1, "z"), ("b", 0), ("b", 1, 0), ("b", 1, 1)]
    assert tree.flatten_with_path(NESTED) == list(zip(paths, tree.flatten(NESTED), strict=True))
    packed = tree.pack_sequence_as(NESTED, [1, 2, 3, 4, 5])
    assert packed == {"b": [3, (4, 5)], "a": Point(1, {"z": 2})} and list(packed) == ["b", "a"]
    assert tree.map_structure(lambda a, b: a + b, [1, (2,)], [3, (4,)]) == [4, (6,)]
    assert tree.map_structure(lambda a: a + 1, [1, None], none_is_leaf=False) == [2, None]
    assert tree.map_structure_up_to([0, [0]], lambda a: a, [[1, 2], [{"a": 3}]]) == [[1, 2], [{"a": 3}]]
    assert tree.lists_to_tuples([1, [2, {"a": [3]}]]) == (1, (2, {"a": (3,)}))
    assert tree.map_shape_structure(len, {"a": (1, None), "b": [(2, 3, 4)]}) == {"a": 2, "b": [3]}
    tree.assert_same_structure(NESTED, packed)
    tree.assert_same_paths([1, 2], (3, 4))


def test_traverse():
    def none_for_two(part):
        return tree.MAP_TO_NONE if part == 2 else None

    assert tree.traverse(none_for_two, [1, (2, 3)]) == [1, (None, 3)]
    assert tree.traverse(lambda x: "list" if isinstance(x, list) else None, [(1,), [2]]) == "list"
    total = tree.traverse(
        lambda x: sum(x) if isinstance(x, tuple) else None, [(1, (2, 3)), 4], top_down=False
    )
    assert total == [6, 4]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: tree.map_structure(lambda a, b: a, [1, [2]], [1, 2]), ValueError),
        (lambda: tree.map_structure(lambda a, b: a, [1, 2], (1, 2)), ValueError),
        (lambda: tree.map_structure(len), ValueError),
        (lambda: tree.map_structure(3, [1]), TypeError),
        (lambda: tree.map_structure_up_to([0, [0]], str, [1, 2]), ValueError),
        (lambda: tree.pack_sequence_as([1, 2], [1]), ValueError),
        (lambda: tree.pack_sequence_as([1], 5), TypeError),
        (lambda: tree.traverse(3, [1]), TypeError),
        (lambda: tree.assert_same_structure([1], [[1]]), ValueError),
        (lambda: tree.assert_same_structure({"a": 1}, {"b": 1}), ValueError),
        (lambda: tree.assert_same_paths([1, 2], [1]), ValueError),
    ],
)
def test_tree_refuses(call, error):
    with pytest.raises(error):
        call()


def test_variable():
    keras.backend.clear_session()
    v = keras.Variable([1.0, 2.0], name="v")
    assert (v.name, v.path, tuple(v.shape), v.dtype, v.trainable, v.ndim) == (
        "v",
        "v",
        (2,),
        "float32",
        True,
        1,
    )
    assert (v.aggregation, v.synchronization, v.constraint, v.regularizer) == ("none", "auto", None, None)
    assert v.handle is v and not v.overwrite_with_gradient
    assert v.assign_add([1.0, 1.0]) is v and v.assign_sub([0.5, 0.0]) is v
    np.testing.assert_array_equal(v.numpy(), [1.5, 3.0])
    assert isinstance(v.value, tf.Tensor) and repr(v).startswith(
        "<Variable path=v, shape=(2,), dtype=float32"
    )
    with tf.GradientTape() as tape:
        y = keras.ops.sum(v * v)
    np.testing.assert_array_equal(tape.gradient(y, v), [3.0, 6.0])
    assert keras.Variable("ones", shape=(2,), dtype="int32").dtype == "int32"
    assert keras.Variable(np.ones(2)).dtype == "float64" and keras.Variable(3).dtype == "int32"
    assert (
        keras.Variable(lambda shape, dtype: np.full(shape, 2.0, dtype), shape=(3,)).numpy().tolist()
        == [2.0] * 3
    )
    assert keras.Variable(0.0).name == "variable_4"
    layer = keras.layers.Dense(2, kernel_regularizer="l2", kernel_constraint="non_neg")
    layer.build((None, 3))
    assert isinstance(layer.kernel, keras.Variable) and tuple(layer.kernel.value.shape) == (3, 2)
    assert layer.kernel.regularizer is not None and layer.kernel.constraint is not None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: keras.Variable([1.0], name="a/b"), "cannot contain character"),
        (lambda: keras.Variable([1.0], aggregation="most"), "`aggregation` must be"),
        (lambda: keras.Variable([1.0], synchronization="most"), "`synchronization` must be"),
        (lambda: keras.Variable("zeros"), "`shape` argument should be specified"),
        (lambda: keras.Variable("zeros", shape=(None, 2)), "no unknown dimension"),
        (lambda: keras.Variable([1.0, 2.0]).assign([1.0]), "shape"),
    ],
)
def test_variable_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
