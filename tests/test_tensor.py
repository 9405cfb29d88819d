"""Tensors, variables and the way values and attributes come in. Expected values: NumPy."""

import copy
import gc
import pickle
import sys
import weakref

import numpy as np
import pytest

from cnnexplain import _core as cx
from cnnexplain import dtypes
from cnnexplain.dtypes import DType, TensorShape, as_dtype
from cnnexplain.tape import GradientTape
from cnnexplain.tensor import Symbol, Tensor, Variable

RNG = np.random.default_rng(0)
NAMES = ["float32", "float64", "int32", "int64", "uint8", "int8", "bool"]


def same(t, array):
    """Equal values and dtype."""
    got = np.asarray(t)
    assert got.dtype == np.asarray(array).dtype
    np.testing.assert_array_equal(got, array)


# in and out
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.5, "float32"),
        (3, "int32"),
        (2**40, "int64"),
        (True, "bool"),
        ([1, 2], "int32"),
        ([1, 2**33], "int64"),
        ([[1.0, 2], [3, 4]], "float32"),
        ([True, False], "bool"),
        ([], "float32"),
        (np.float64(2), "float64"),
        (np.arange(3), "int64"),
        ([np.float64(1), np.float64(2)], "float64"),
        (np.ones(2, np.uint8), "uint8"),
        (np.ones(2, np.int16), "int32"),
        (range(3), "int32"),
    ],
)
def test_what_dtype_a_value_gets(value, dtype):
    t = cx.tensor(value)
    assert isinstance(t, Tensor) and t.dtype == dtype
    np.testing.assert_array_equal(t.numpy(), np.asarray(value))


@pytest.mark.parametrize("name", NAMES)
def test_every_dtype_goes_in_and_out(name):
    a = RNG.integers(0, 2, (2, 3)).astype(name)
    same(cx.tensor(a), a)
    same(cx.tensor(a.tolist(), dtype=name), a)
    same(cx.tensor(a).numpy(), a)


def test_any_layout_is_copied_to_c_order():
    a = RNG.standard_normal((4, 6, 5))
    for view in (
        a[::2, ::-1],
        a.T,
        np.asfortranarray(a),
        a[:, 1:3, ::2],
        a.astype(">f8"),
        a.astype(">f4"),
        a[:0],
    ):
        t = cx.tensor(view)
        np.testing.assert_array_equal(t.numpy(), view)
        assert np.asarray(t).flags.c_contiguous
    same(cx.negative(a.T), -a.T)
    odd = np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(np.float64).reshape(a.shape)
    assert not odd.flags.aligned or odd.ctypes.data % 8
    same(cx.negative(odd), -a)


def test_a_callers_array_is_neither_kept_nor_changed():
    a = RNG.standard_normal((3, 3)).astype("f")
    before, count = a.copy(), sys.getrefcount(a)
    t, y = cx.tensor(a), cx.negative(a)
    v, r, p = cx.identity(a), cx.reshape(a, shape=(9,)), cx.softmax(a)
    with GradientTape() as tape:
        x = cx.tensor(1.0)
        tape.watch(x)
        z = x * a
    assert sys.getrefcount(a) == count
    a[:] = 7
    same(t, before), same(y, -before), same(v, before), same(r, before.reshape(9))
    same(p.logits, before)
    np.testing.assert_allclose(tape.gradient(z, x), before.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    "value",
    [np.zeros(2, complex), np.array(["a"]), np.array([object()]), np.zeros(2, np.float16), None, {}, "text"],
)
def test_refused_values(value):
    with pytest.raises(TypeError):
        cx.tensor(value)


def test_float16_gets_advice():
    with pytest.raises(TypeError, match=r"astype\(.float32.\)"):
        cx.tensor(np.zeros(2, np.float16))
    same(cx.tensor(np.ones(2, np.float16), dtype="float32"), np.ones(2, "f"))
    with pytest.raises(TypeError, match="not a compute type"):
        cx.tensor([1.0], dtype="float16")


def test_explicit_dtype():
    same(cx.tensor([1, 2], dtype="float64"), np.array([1.0, 2]))
    same(cx.tensor(np.array([1.7]), dtype="int32"), np.int32([1]))
    with pytest.raises(TypeError, match="without loss"):
        cx.tensor(1.5, dtype="int32")
    with pytest.raises(ValueError, match="does not fit"):
        cx.tensor(300, dtype="uint8")
    with pytest.raises(TypeError):
        cx.tensor([300, -1], dtype="bool")


def test_rank_is_at_most_8():
    assert cx.tensor(np.zeros((1,) * 8)).ndim == 8
    with pytest.raises(ValueError, match="at most 8"):
        cx.tensor(np.zeros((1,) * 9))


def test_lists_of_tensors_are_stacked_and_recorded():
    x = [cx.tensor(float(i)) for i in range(20)]
    with GradientTape() as tape:
        tape.watch(x[3])
        y = cx.tensor(x) * np.arange(20.0)
    same(y, np.arange(20, dtype="f") ** 2)
    assert tape.gradient(y, x[3]).numpy() == 3
    assert cx.tensor([[x[0], 2.0], [3.0, x[1]]]).shape == (2, 2)


def test_numpy_is_fresh_and_asarray_is_a_view():
    t = cx.tensor(np.arange(6.0).reshape(2, 3))
    a = t.numpy()
    a[:] = 0
    same(t, np.arange(6.0).reshape(2, 3))
    view = np.asarray(t)
    assert not view.flags.writeable and view.ctypes.data == t.address == memoryview(t).obj.address
    assert np.array(t).flags.writeable
    assert t.__array__(copy=True).flags.writeable and not t.__array__().flags.writeable
    assert t.__array__(dtype="float32").dtype == np.float32
    with pytest.raises(ValueError):
        t.__array__("float32", copy=False)
    assert isinstance(cx.tensor(1.0).numpy(), np.float32)
    m = memoryview(t)
    assert m.readonly and m.shape == (2, 3) and m.format == "d"
    assert bytes(cx.tensor(np.zeros((0, 3)))) == b""


def test_dlpack_copies():
    t = cx.tensor([1.0, 2.0])
    a = np.from_dlpack(t)
    assert a.ctypes.data != t.address
    same(a, np.float32([1, 2]))
    assert t.__dlpack_device__() == (1, 0)


# protocols
def test_repr_and_format():
    assert (
        repr(cx.tensor([1.0, 2.0]))
        == "<tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>"
    )
    assert repr(cx.tensor(2)) == "<tf.Tensor: shape=(), dtype=int32, numpy=2>"
    assert str(cx.tensor([1, 2])) == "tf.Tensor([1 2], shape=(2,), dtype=int32)"
    assert f"{cx.tensor(0.12345):.2f} {cx.tensor(7):03d}" == "0.12 007"
    assert f"{cx.tensor(2.5)} {cx.tensor([1, 2])}" == "2.5 [1 2]"
    rows = cx.tensor([[1, 2], [3, 4]])
    assert str(rows) == "tf.Tensor(\n[[1 2]\n [3 4]], shape=(2, 2), dtype=int32)"
    assert repr(rows).startswith(
        "<tf.Tensor: shape=(2, 2), dtype=int32, numpy=\narray([[1, 2],\n       [3, 4]]"
    )
    assert repr(Variable(1.0, name="w")) == "<tf.Variable 'w:0' shape=() dtype=float32, numpy=1.0>"
    assert "shape=(None, 3)" in repr(cx.symbol((None, 3)))


def test_scalars_convert():
    t = cx.tensor([[2.5]])
    assert float(t) == 2.5 and int(t) == 2 and bool(t) and not bool(cx.tensor(0))
    assert [10, 20, 30][cx.tensor(1)] == 20 and list(range(cx.tensor(3))) == [0, 1, 2]
    for f in (float, int, bool):
        with pytest.raises((TypeError, ValueError)):
            f(cx.tensor([1.0, 2.0]))
    with pytest.raises(TypeError):
        [1, 2][cx.tensor(1.0)]
    with pytest.raises(TypeError, match="Layer"):
        bool(cx.symbol(()) > 0)


def test_len_iter_in():
    t = cx.tensor([[1, 2], [3, 4]])
    assert len(t) == 2 and [row.numpy().tolist() for row in t] == [[1, 2], [3, 4]]
    assert 3.0 in cx.tensor([1.0, 3.0]) and 2.0 not in cx.tensor([1.0, 3.0])
    a, b = cx.tensor([5, 6])
    assert int(a) == 5 and int(b) == 6
    for f in (len, iter):
        with pytest.raises(TypeError, match="rank 0"):
            f(cx.tensor(1))


def test_no_hash_but_references():
    t, v = cx.tensor(1.0), Variable(1.0)
    for o in (t, v, cx.symbol((1,))):
        with pytest.raises(TypeError, match="unhashable"):
            hash(o)
        assert {o.ref(): 1}[o.ref()] == 1 and o.ref().deref() is o
    assert t.ref() != cx.tensor(1.0).ref()


def test_no_item_assignment():
    for o in (cx.tensor([1.0]), Variable([1.0])):
        with pytest.raises(TypeError, match="item assignment"):
            o[0] = 2.0


def test_pickle_copy_weakref():
    t = cx.tensor(RNG.standard_normal((2, 3)))
    same(pickle.loads(pickle.dumps(t)), t)
    assert copy.copy(t) is t and copy.deepcopy([t])[0] is t
    v = Variable([1.0, 2.0], trainable=False, name="w")
    v.path = "a/w"
    for twin in (pickle.loads(pickle.dumps(v)), copy.deepcopy(v), copy.copy(v)):
        assert twin.name == "w:0" and twin.path == "a/w" and not twin.trainable
        twin.assign([5, 6])
        same(v, np.float32([1, 2]))
    r = weakref.ref(t)
    del t
    assert r() is None
    with pytest.raises(TypeError):
        pickle.dumps(cx.symbol((1,)))


def test_numpy_functions_give_arrays_and_operators_give_tensors():
    t = cx.tensor([1.0, 4.0])
    assert type(np.sqrt(t)) is np.ndarray and np.max(t) == 4 and np.concatenate([t, t]).shape == (4,)
    a = np.float32([2, 3])
    for y, want in (
        (a * t, [2, 12]),
        (a + t, [3, 7]),
        (a - t, [1, -1]),
        (np.float32(2) * t, [2, 8]),
        (a / t, [2, 0.75]),
    ):
        assert isinstance(y, Tensor)
        same(y, np.float32(want))
    assert isinstance(np.float64(2) * t, Tensor) and (np.float64(2) * t).dtype == "float32"
    assert isinstance(a == t, Tensor) and isinstance(a[None] @ t[:, None], Tensor)


# arithmetic
OPERATORS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "floor_divide": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_operators(name, dtype):
    f = OPERATORS[name]
    a = RNG.integers(-5, 6, (2, 3)).astype(dtype)
    b = RNG.choice([-3, -2, 1, 2], (3,)).astype(dtype)
    with np.errstate(all="ignore"):
        want = f(a, b)
    same(f(cx.tensor(a), cx.tensor(b)), want)
    same(f(cx.tensor(a), b), want)
    same(f(a, cx.tensor(b)), want)
    same(f(cx.tensor(a), b.tolist()), want)
    same(f(cx.tensor(a), 2), f(a, np.array(2, dtype)))
    same(f(2, cx.tensor(b)), f(np.array(2, dtype), b))


def test_other_operators():
    a = np.float32([[1, -2], [3, 4]])
    t = cx.tensor(a)
    same(-t, -a), same(abs(t), abs(a)), same(+t, a), same(t**2, a**2)
    same(2.0 ** cx.tensor([1.0, 2.0]), np.float32([2, 4]))
    same(t @ t, a @ a), same([[1.0, 0.0], [0.0, 1.0]] @ t, a)
    b = cx.tensor([True, False])
    same(~b, [False, True]), same(b & True, [True, False]), same(b | [True, True], [True, True])
    same(b ^ cx.tensor([True, True]), [False, True])
    same(cx.tensor([1, 2]) / 2, np.array([0.5, 1.0])), same(1 / cx.tensor([1, 2]), np.array([1, 0.5]))
    same(cx.tensor(np.uint8([1])) / 2, np.float32([0.5])), same(t / 2, a / 2)
    with pytest.raises(TypeError, match="bool"):
        t & t
    assert (t == None) is False and (t != "x") is True  # noqa: E711
    with pytest.raises(TypeError):
        t + "x"
    with pytest.raises(TypeError):
        t + None


def test_dtypes_meet_as_in_tensorflow():
    f, d, i = cx.tensor([1.0]), cx.tensor(np.array([1.0])), cx.tensor([1])
    assert (
        (f + np.array([1.0])).dtype == "float32"
        and (d + 1.5).dtype == "float64"
        and (f + 1).dtype == "float32"
    )
    assert (i + np.array([2])).dtype == "int32" and (f + np.array([1, 2])).dtype == "float32"
    for a, b in ((f, d), (f, i)):
        with pytest.raises(TypeError, match="cast"):
            a + b
    for bad in (1.5, np.array([1.5]), [1.5]):
        with pytest.raises(TypeError, match="cast"):
            i + bad
    with pytest.raises(TypeError):
        i + np.array([2**40])
    assert cx.add(1, 2.5).numpy() == 3.5 and cx.add(np.float32([1]), 2.5).dtype == "float32"


# indexing
KEYS = [
    np.s_[0], np.s_[-1], np.s_[1, 2], np.s_[:, 1], np.s_[..., 0], np.s_[..., -1], np.s_[0, ..., 1],
    np.s_[1:], np.s_[:, 1:3], np.s_[::2, ::-1], np.s_[::-1], np.s_[3:0:-2], np.s_[:-1], np.s_[-2:],
    np.s_[5:2], np.s_[:, None], np.s_[None], np.s_[..., None], np.s_[0, None, :, 1:], np.s_[()], np.s_[...],
    np.s_[:], np.s_[:, :, :], np.s_[1:2, 0], np.s_[[0, 2]], np.s_[:, [1, -1]], np.s_[..., [0, 1, 1]],
    np.s_[np.array([[0, 1], [2, 3]])], np.s_[0, :, [1, 2]], np.s_[None, :, [1, 2]], np.s_[[0, 1], [1, 2]],
    np.s_[[0, 1], [1, 2], [0, 3]], np.s_[[0, 1], 1:], np.s_[[]],
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing(key):
    a = RNG.standard_normal((4, 3, 5))
    want = a[key]
    stays = str(key) == str(np.s_[0, :, [1, 2]])  # the array stays where it stands, as in TensorFlow's gather
    if stays:
        want = a[0][:, [1, 2]]
    t = cx.tensor(a)
    same(t[key], want)
    seed = RNG.standard_normal(want.shape)
    with GradientTape() as tape:
        tape.watch(t)
        y = t[key]
    g = np.zeros_like(a)
    if stays:
        np.add.at(g[0].T, [1, 2], seed.T)
    else:
        np.add.at(g, key, seed)
    got = tape.gradient(y, t, output_gradients=cx.tensor(seed))
    np.testing.assert_allclose(np.asarray(got), g, atol=1e-12)


def test_masks():
    a = RNG.standard_normal((4, 3, 5))
    t = cx.tensor(a)
    for key in (a > 0, np.array([True, False, True, True]), a[..., 0] > 0, cx.tensor(a > 0)):
        same(t[key], a[np.asarray(key)])
    same(t[t > 0.5], a[a > 0.5])
    same(t[:, np.array([True, False, True])], a[:, [0, 2]])
    same(t[..., np.array([True, False, True, False, False])], a[..., [0, 2]])
    with GradientTape() as tape:
        tape.watch(t)
        y = t[t > 0]
    same(tape.gradient(y, t), (a > 0).astype(float))
    with pytest.raises(IndexError):
        t[np.ones((2, 3), bool)]


def test_tensors_as_bounds():
    a = np.arange(10.0)
    t, n = cx.tensor(a), cx.tensor(3)
    same(t[n], a[3]), same(t[n:], a[3:]), same(t[1:n], a[1:3]), same(t[: n + 2 : 2], a[:5:2])
    same(t[cx.tensor([0, 2])], a[[0, 2]])
    same(Variable(a)[n:], a[3:])


def test_index_errors():
    t = cx.tensor(np.zeros((2, 3)))
    for key in (2, -3, (0, 3), (0, 0, 0), [5]):
        with pytest.raises(IndexError):
            t[key]
    for key in ("a", 1.5, (0, "a")):
        with pytest.raises(TypeError):
            t[key]


def test_symbols_are_indexed_too():
    s = cx.symbol((None, 4, 6))
    assert s[:, 1].shape == (None, 6) and s[..., 0].shape == (None, 4) and s[0].shape == (4, 6)
    assert (
        s[:, None].shape == (None, 1, 4, 6)
        and s[1:].shape == (None, 4, 6)
        and s[:, 1:3, ::2].shape == (None, 2, 3)
    )
    p = cx.Program([s], [s[:, 1], s[1:, ..., 0], s[::2]])
    a = RNG.standard_normal((3, 4, 6)).astype("f")
    for got, want in zip(p(a), (a[:, 1], a[1:, ..., 0], a[::2]), strict=True):
        same(got, want)


# attributes
def test_attribute_errors_have_keras_form():
    x = np.zeros((1, 4, 4, 1), "f")
    with pytest.raises(ValueError, match=r"`pool_size` must be .*Received: pool_size=\(2, 0\)"):
        cx.max_pool2d(x, pool_size=(2, 0))
    with pytest.raises(ValueError, match=r"`pool_size` must be .*Received: pool_size=1.5"):
        cx.max_pool2d(x, pool_size=1.5)
    with pytest.raises(
        ValueError, match=r"`padding` must be one of: valid same explicit. Received: padding='full'"
    ):
        cx.max_pool2d(x, padding="full")
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        cx.relu(x, size=1)
    with pytest.raises(TypeError, match="needs the argument `shape`"):
        cx.reshape(x)
    with pytest.raises(ValueError, match="`keepdims` must be True or False"):
        cx.reduce_sum(x, keepdims="yes")
    with pytest.raises(ValueError, match="`alpha` must be"):
        cx.elu(x, alpha="big")
    with pytest.raises(TypeError, match="takes 1 input"):
        cx.relu(x, x)
    with pytest.raises(TypeError, match="input 0"):
        cx.relu(None)
    with pytest.raises(TypeError, match="`dtype` must be one of"):
        cx.cast(x, dtype="complex64")


def test_attribute_forms():
    x = RNG.standard_normal((1, 4, 4, 2)).astype("f")
    want = x.reshape(1, 2, 2, 2, 2, 2).max((2, 4))
    for size in (2, (2, 2), [2, 2], np.int64(2), np.array([2, 2]), cx.tensor(2), cx.tensor([2, 2])):
        same(cx.max_pool2d(x, pool_size=size, padding="VALID"), want)
    for axis in (0, [0], (np.int32(0),)):
        same(cx.reduce_max(x, axis=axis), x.max(0))
    same(cx.reduce_max(x, axis=None), x.max())
    same(cx.reshape(x, shape=cx.tensor(x).shape), x)
    for dtype in ("float64", np.float64, np.dtype("f8"), dtypes.float64, ">f8"):
        assert cx.cast(x, dtype=dtype).dtype == "float64"
    assert cx.cast(x, dtype=float).dtype == "float32" and cx.cast(x, dtype=int).dtype == "int32"


def test_the_registry_can_be_read():
    for name in cx.op_names():
        info = cx.op_info(name)
        assert (
            info["name"] == name and info["least_in"] <= info["most_in"] and info["n_public"] <= info["n_out"]
        )
        assert callable(getattr(cx, name)) and info["dtypes"]
    with pytest.raises(ValueError, match="no op"):
        cx.op_info("nonsense")


# dtypes and shapes
def test_dtypes():
    f = cx.tensor(1.0).dtype
    assert f is dtypes.float32 and isinstance(f, DType)
    assert f == "float32" and f == np.float32 and f == np.dtype("float32") and f != "float64" and f != 3
    assert {f: 1}["float32"] == 1 and str(f) == "<dtype: 'float32'>" and repr(f) == "tf.float32"
    assert f.is_floating and not f.is_integer and f.size == 4 and f.as_numpy_dtype is np.float32
    assert dtypes.uint8.max == 255 and dtypes.uint8.is_integer and np.zeros(2, dtypes.int64).dtype == np.int64
    assert as_dtype(float) is dtypes.float32 and as_dtype("half") is dtypes.float16
    assert pickle.loads(pickle.dumps(f)) is f
    with pytest.raises(TypeError):
        as_dtype("nonsense")


def test_shapes():
    s = cx.symbol((None, 2, 3)).shape
    assert isinstance(s, TensorShape) and s == (None, 2, 3) and s == [None, 2, 3] and s.rank == s.ndims == 3
    assert s.as_list() == [None, 2, 3] and not s.is_fully_defined() and s[1:].num_elements() == 6
    assert (
        s[1:] + [4] == (2, 3, 4) and isinstance(s[1:], TensorShape) and repr(s) == "TensorShape([None, 2, 3])"
    )
    assert f"{s}" == "(None, 2, 3)" and hash(s) == hash((None, 2, 3))
    with pytest.raises(ValueError, match="`shape` must be"):
        cx.symbol((-1, 2))


# variables
def test_variable():
    v = Variable([1.0, 2.0], name="w")
    assert (
        isinstance(v, cx.Variable) and not isinstance(v, Tensor) and v.trainable and v.name == v.path == "w:0"
    )
    assert v.assign([3, 4]) is v
    v.assign_add([1.0, 1.0]), v.assign_sub(0.5)
    same(v, np.float32([3.5, 4.5])), same(v + 1, np.float32([4.5, 5.5]))
    assert v.shape == (2,) and v.dtype == "float32" and isinstance(v.value(), Tensor)
    with pytest.raises(ValueError, match=r"variable's shape \(2,\). Received: shape=\(3,\)"):
        v.assign([1, 2, 3])
    with pytest.raises(TypeError, match="dtype"):
        v.assign(cx.tensor(np.zeros(2)))
    v.assign(np.array([1.0, 2.0]))
    assert Variable(lambda: 3).dtype == "int32" and Variable(1, dtype="float64").dtype == "float64"
    with pytest.raises(TypeError, match="symbolic"):
        v.assign(cx.symbol((2,)))
    with pytest.raises(ValueError):
        Variable()


def test_variable_is_copied_on_write():
    v = Variable([1.0, 2.0])
    where = v.address
    v.assign([3.0, 4.0])
    assert v.address == where  # the only holder: in place
    held = v.read_value()
    v.assign([5.0, 6.0])
    assert v.address != where and held.address == where
    same(held, np.float32([3, 4]))
    view = np.asarray(v)
    v.assign([7.0, 8.0])
    same(view, np.float32([5, 6])), same(v, np.float32([7, 8]))
    del held, view
    where = v.address
    v.assign([0.0, 0.0])
    assert v.address == where
    a = np.float32([1, 2])
    w = Variable(a)
    a[:] = 9
    same(w, np.float32([1, 2]))
    t = cx.tensor([1.0])
    u = Variable(t)
    u.assign([2.0])
    same(t, np.float32([1]))


# leaks
def test_nothing_leaks():
    a = np.ones((4, 4), "f")

    def work():
        t = cx.tensor(a)
        y = cx.softmax(t @ a + 1.0)[:, 1:]
        cx.tensor([t, t])
        for bad in (
            lambda: t + "x",
            lambda: cx.reshape(t, shape=(3,)),
            lambda: t[9],
            lambda: cx.cast(t, dtype="x"),
        ):
            with pytest.raises((TypeError, ValueError, IndexError)):
                bad()
        np.asarray(y), y.numpy(), repr(y), y.shape, memoryview(y)
        Variable(a).assign(y @ a[:3])
        s = cx.symbol((None, 4))
        s.history = (s,)  # a cycle
        cx.relu(s)

    for _ in range(3):
        work()
    gc.collect()
    count, objects = sys.getrefcount(a), len(gc.get_objects())
    blocks = sys.getallocatedblocks()
    for _ in range(50):
        work()
    gc.collect()
    assert sys.getrefcount(a) == count
    assert len(gc.get_objects()) <= objects + 5 and sys.getallocatedblocks() <= blocks + 200


def test_symbol_history_and_makers():
    s = cx.symbol((None, 3), "float64")
    y = cx.add(cx.relu(s), 1.0)
    assert isinstance(s, Symbol) and s.maker is None and s.history is None and y.maker.op == "add"
    first, one = y.maker.inputs
    assert first.maker.op == "relu" and one.numpy() == 1 and one.dtype == "float64"
    assert s.id < first.maker.id < first.id < y.maker.id < y.id < cx.next_id()
    assert cx.softmax(y, axis=1).maker.attributes == {"axis": 1} and cx.softmax(y).logits is y
    s.history = ("node", 0)
    assert s.history == ("node", 0)
    (again,) = y.maker.replay((cx.tensor([[1.0]], dtype="float64"), one))
    same(again, np.array([[2.0]]))
    pooled, switches = cx.max_pool_with_argmax(cx.symbol((None, 4, 4, 1)))
    assert (
        pooled.port == 0
        and switches.port == 1
        and switches.dtype == "int64"
        and pooled.maker is switches.maker
    )
    with pytest.raises(TypeError, match="no values"):
        s.numpy()
    with pytest.raises(TypeError):
        np.asarray(s)


def test_lists_that_hold_themselves_or_go_too_deep():
    itself = []
    itself.append(itself)
    with_tensor = [cx.tensor(1.0)]
    with_tensor.append(with_tensor)
    deep, deep_tensor = 1.0, cx.tensor(1.0)
    for _ in range(100_000):
        deep, deep_tensor = [deep], [deep_tensor]
    for value in (itself, with_tensor, deep, deep_tensor):
        with pytest.raises((ValueError, RecursionError)):
            cx.tensor(value)
        with pytest.raises((ValueError, RecursionError)):
            cx.add(value, 1.0)
    same(cx.tensor([[[[[[[[cx.tensor(2.0)]]]]]]]]), np.full((1,) * 8, 2, np.float32))


def test_unsigned_numbers_that_int64_cannot_hold():
    most = 2**63 - 1
    assert cx.tensor(np.array([most, 0], np.uint64)).numpy().tolist() == [most, 0]
    for value in (2**63, 2**63 + 5, 2**64 - 1):
        with pytest.raises(TypeError, match="without loss"):
            cx.tensor(np.array([value], np.uint64))
