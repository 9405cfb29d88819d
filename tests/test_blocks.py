"""Memory taken over where nobody sees it: arrays on blocks, tensors on views, weights on tensors."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import _core

SIZES = (3, 1 << 10, 1 << 14, 3 << 20)  # floats; the third is the first that lies in a block of its own
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")


def at(array):
    return array.ctypes.data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_arrays_of_tensors_are_writable_copies(size, dtype):
    values = np.arange(size).astype(dtype)
    t = _core.tensor(values)
    array = t.numpy()
    assert array.flags.writeable and array.flags.c_contiguous and at(array) not in (t.address, at(values))
    assert (array.base is None) == (array.nbytes < 1 << 16)  # in a block, which is used again
    made = _core.tensor(array)
    array[...] = 0
    for kept in (t, made):
        np.testing.assert_array_equal(np.asarray(kept), values)
    other = t.numpy()
    del t
    gc.collect()
    blocks = [_core.tensor(np.ones(size, dtype)) for _ in range(4)]  # would lie where freed memory was
    np.testing.assert_array_equal(other, values)
    assert len(blocks) == 4


def test_arrays_outlive_the_cache():
    array = _core.tensor(np.arange(1 << 16)).numpy()
    part = array[1000:2000]
    del array
    cx.clear_caches()
    np.testing.assert_array_equal(part, np.arange(1000, 2000))


@pytest.mark.parametrize("size", SIZES)
def test_a_view_of_a_tensor_is_a_tensor_without_a_copy(size):
    t = _core.tensor(np.arange(size, dtype=np.float32))
    again = _core.tensor(np.asarray(t))
    assert again.address == t.address and again.dtype == t.dtype
    np.testing.assert_array_equal(np.asarray(again), np.arange(size))
    with pytest.raises(ValueError):
        np.asarray(t).flags.writeable = True


def test_other_arrays_are_copied():
    t = _core.tensor(np.arange(1 << 14, dtype=np.float32))
    view, after = np.asarray(t), np.asarray(memoryview(t)[1:])
    for array in (
        view[1:],
        view[:-1],
        view[::2],
        view.astype(np.float64),
        t.numpy(),
        view.reshape(-1, 2).T,
        after,
    ):
        made = _core.tensor(array)
        assert made.address != t.address and made.address % 64 == 0
        np.testing.assert_array_equal(np.asarray(made), array)


def test_a_tensor_on_a_variables_view_keeps_the_old_value():
    v = cx.Variable(np.zeros(1 << 14, np.float32))
    t = _core.tensor(np.asarray(v))
    assert t.address == v.address
    v.assign(np.ones(1 << 14, np.float32))
    assert not np.asarray(t).any() and np.asarray(v).all()
    where = v.address
    v.assign_add(np.ones(1 << 14, np.float32))
    assert np.asarray(t).max() == 0 and v.numpy().min() == 2
    del t
    v.assign(v * 2)
    v.assign(np.zeros(1 << 14, np.float32))
    assert where and not v.numpy().any()


class TestVariables:
    def test_start_on_the_block_of_a_tensor_that_nobody_else_has(self):
        t = _core.tensor(np.arange(6.0))
        where = t.address
        v = cx.Variable(t)
        assert v.address == where
        del t
        v.assign(np.zeros(6))
        assert v.address == where

    @pytest.mark.parametrize("first", ["variable", "tensor dies", "optimizer"])
    def test_never_change_the_tensor(self, first):
        t = _core.tensor(np.arange(6.0, dtype=np.float32))
        v = cx.Variable(t)
        if first == "variable":
            v.assign_add(t)
        elif first == "optimizer":
            cx.keras.optimizers.SGD(1.0).apply_gradients([(-t, v)])
        else:
            kept = np.asarray(t)
            del t
            v.assign(v + v)
            np.testing.assert_array_equal(kept, np.arange(6))
        np.testing.assert_array_equal(v.numpy(), 2 * np.arange(6))
        if first != "tensor dies":
            np.testing.assert_array_equal(np.asarray(t), np.arange(6))

    def test_have_blocks_of_their_own_where_others_look(self):
        t = _core.tensor(np.arange(6.0))
        one, two = cx.Variable(t), cx.Variable(t)
        assert one.address == t.address != two.address
        three = cx.Variable(two)
        assert three.address != two.address
        one.assign(np.zeros(6)), two.assign(np.ones(6))
        np.testing.assert_array_equal(np.asarray(t), np.arange(6))
        np.testing.assert_array_equal(three.numpy(), np.arange(6))

    def test_do_not_start_on_a_callers_array(self):
        array = np.arange(6.0)
        v = cx.Variable(array)
        array[...] = 0
        np.testing.assert_array_equal(v.numpy(), np.arange(6))
        v.assign(np.ones(6))
        assert not array.any()

    def test_are_told_apart_from_the_tensor_by_tapes(self):
        t = _core.tensor([2.0, 3.0])
        v = cx.Variable(t)
        with cx.GradientTape() as tape:
            tape.watch(t)
            y = cx.reduce_sum(t * t * v)
        of_t, of_v = tape.gradient(y, [t, v])
        np.testing.assert_array_equal(of_t, [8, 18])
        np.testing.assert_array_equal(of_v, [4, 9])


MEMORY = """
import resource
from cnnexplain import keras
model = keras.Sequential([keras.Input((4096,)), keras.layers.Dense(16)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = keras.Sequential([keras.Input((4096,)), keras.layers.Dense(8192)])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / (4 * 4096 * 8192))
"""


@pytest.mark.skipif(SANITIZED, reason="sanitizers take memory of their own")
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is counted in KiB on Linux")
def test_large_weights_are_in_memory_once():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, cwd=os.sep, env=os.environ
    )
    assert float(done.stdout) < 1.2
