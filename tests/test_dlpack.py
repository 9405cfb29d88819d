"""Arrays from other libraries and back: who owns the memory, who may write."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx


class Foreign:
    """An array of a library that speaks DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


DTYPES = ["float32", "float64", "int32", "int64", "uint8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_in_and_out(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    t = cx.from_dlpack(Foreign(array))
    assert t.dtype == dtype and isinstance(t, cx.Tensor)
    array[:] = 9  # the owner writes: the tensor has its own values
    np.testing.assert_array_equal(np.from_dlpack(t), np.arange(6).reshape(2, 3))
    strided = cx.from_dlpack(Foreign(np.arange(12).reshape(3, 4).T[::2]))
    np.testing.assert_array_equal(strided, np.arange(12).reshape(3, 4).T[::2])


@pytest.mark.parametrize("make", [cx.constant, cx.Variable])
def test_a_copy_belongs_to_who_asked(make):
    t = make([1.0, 2.0])
    copy = np.from_dlpack(t)
    copy[0] = 9
    assert t.numpy()[0] == 1
    assert t.__dlpack_device__() == (1, 0)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="NumPy cannot ask for no copy")
def test_without_a_copy_it_is_the_memory_itself_and_read_only():
    t = cx.constant([1.0, 2.0])
    view = np.from_dlpack(t, copy=False)
    assert view.ctypes.data == t.address and not view.flags.writeable
    del t
    assert list(view) == [1, 2]  # the memory lives as long as somebody sees it
    v = cx.Variable([1.0, 2.0])
    view = np.from_dlpack(v, copy=False)
    v.assign([3.0, 4.0])
    assert list(view) == [1, 2]


def test_who_cannot_be_told_that_it_is_read_only_gets_a_copy_or_nothing():
    t = cx.constant([1.0])
    t.__dlpack__()
    with pytest.raises(BufferError, match="leave out copy=False"):
        t.__dlpack__(copy=False)
    with pytest.raises(BufferError, match="leave out copy=False"):
        t.__dlpack__(copy=False, max_version=(0, 8))
    with pytest.raises(BufferError, match="memory of the CPU"):
        t.__dlpack__(dl_device=(2, 0))


def test_what_does_not_speak_dlpack():
    with pytest.raises(TypeError, match="must speak DLPack; `constant` takes others. Received: list"):
        cx.from_dlpack([1, 2])
    with pytest.raises(TypeError):
        cx.from_dlpack(cx.keras.Input((3,)))


@pytest.mark.torch
class TestTorch:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_in_and_out(self, torch, dtype):
        theirs = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
        t = cx.from_dlpack(theirs.T)
        assert t.dtype == dtype
        back = torch.from_dlpack(t)
        assert back.dtype == theirs.dtype and torch.equal(back, theirs.T)
        back += 1
        assert t.numpy()[0, 0] == 0  # its own copy
        assert torch.from_dlpack(t, copy=False).data_ptr() == t.address

    def test_plain_conversion_and_gradients(self, torch):
        assert cx.constant(torch.ones(2, 3)).shape == (2, 3)
        waiting = torch.ones(2, requires_grad=True)
        with pytest.raises((BufferError, RuntimeError), match="detach"):
            cx.from_dlpack(waiting)
        np.testing.assert_array_equal(cx.ops.normalize(waiting.cumsum(0).reshape(1, 1, 2)), [[[0.5, 1]]])


@pytest.mark.parity
class TestJax:
    @pytest.fixture
    def jax(self):
        return pytest.importorskip("jax")

    @pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
    def test_in_and_out(self, jax, dtype):
        theirs = jax.numpy.arange(6).reshape(2, 3).astype(dtype)
        t = cx.from_dlpack(theirs)
        assert t.dtype == dtype
        back = jax.dlpack.from_dlpack(t)
        assert back.dtype == theirs.dtype and bool((back == theirs).all())
        np.testing.assert_array_equal(cx.constant(theirs), theirs)

    def test_explanations_read_its_arrays(self, jax):
        a = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
        e = cx.explain.from_arrays(a, a)
        expected = jax.nn.relu(jax.numpy.einsum("nhwk,nk->nhw", a, a.mean((1, 2))))
        np.testing.assert_allclose(np.maximum(e.raw, 0), expected, atol=1e-5)
