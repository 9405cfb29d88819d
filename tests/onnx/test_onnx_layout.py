"""How ONNX files are held: arrays stay in the file until they are used, values keep their order in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain.keras import layers
from cnnexplain.keras.tracing import trace

onnx = pytest.importorskip("onnx")
from onnx import numpy_helper, parser  # noqa: E402

from cnnexplain.onnx.arrays import Stored  # noqa: E402
from cnnexplain.onnx.reading import read  # noqa: E402
from cnnexplain.onnx.sizes import BATCH, Unknown, array_of, product  # noqa: E402

RNG = np.random.default_rng(4)


@pytest.fixture
def write(tmp_path):
    """The path of a file with this graph and these arrays."""

    def writing(body, head="float[N,3,4,4] x", result="float[N,K] y", opset=17, **arrays):
        model = parser.parse_model(
            f'<ir_version: 8, opset_import: ["" : {opset}]> g ({head}) => ({result}) {{ {body} }}'
        )
        model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in arrays.items())
        path = tmp_path / "network.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return writing


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def moving(model):
    """The layers that move data."""
    return [layer.name for layer in model.layers if isinstance(layer, layers.Permute)]


class TestArrays:
    def test_large_ones_stay_in_the_file(self, write):
        large, small = normal(40, 60), normal(60)
        file = read(write("y = Gemm (x, w, b)", "float[N,40] x", w=large, b=small))
        assert isinstance(file.constants["w"], Stored) and isinstance(file.constants["b"], np.ndarray)
        np.testing.assert_array_equal(file.constants["w"], large)
        np.testing.assert_array_equal(file.constants["b"], small)

    def test_a_large_matrix_is_held_once_while_it_is_read(self, write):
        """Beside the layer's own, the file's numbers and untouched zeros: no message, no transposed copy."""
        matrix = normal(2000, 3 * 16 * 16)
        cx.models.load_onnx(write("y = Relu (x)", result="float[N,3,4,4] y"))  # imports
        path = write("f = Flatten (x) y = Gemm <transB = 1> (f, w)", "float[N,3,16,16] x", w=matrix)
        tracemalloc.start()
        try:
            model = cx.models.load_onnx(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2.3 * matrix.nbytes, f"{peak / matrix.nbytes:.2f} times the matrix"
        x = normal(2, 16, 16, 3)
        wanted = x.transpose(0, 3, 1, 2).reshape(2, -1) @ matrix.T
        np.testing.assert_allclose(model.predict(x, verbose=0), wanted, rtol=1e-4, atol=1e-3)


class TestLayout:
    def test_an_input_is_nchw(self, write):
        model = cx.models.load_onnx(write("y = GlobalMaxPool (x)", "float[N,3,4,5] x", "float[N,3,1,1] y"))
        assert model.input_shape == (None, 4, 5, 3)

    def test_unless_it_is_turned_to_nchw_first(self, write):
        body = "a = Sub (x, m) t = Transpose <perm = [0, 3, 1, 2]> (a) y = GlobalMaxPool (t)"
        path = write(body, "float[N,4,5,3] x", "float[N,3,1,1] y", m=normal(3))
        model = cx.models.load_onnx(path)
        assert model.input_shape == (None, 4, 5, 3) and not moving(model)

    @pytest.mark.parametrize(
        "body, sizes",
        [
            ("r = Reshape (x, s) y = GlobalMaxPool (r)", {"s": [-1, 1, 4, 5]}),
            ("u = Unsqueeze (x, a) r = Reshape (u, s) y = GlobalMaxPool (r)", {"s": [-1, 1, 0, 0], "a": [0]}),
        ],
    )
    def test_images_of_one_channel_are_turned_by_reshaping(self, body, sizes, write):
        """tf2onnx writes no Transpose where a Reshape does."""
        arrays = {name: np.array(values) for name, values in sizes.items()}
        model = cx.models.load_onnx(write(body, "float[N,4,5,1] x", "float[N,1,1,1] y", **arrays))
        assert model.input_shape == (None, 4, 5, 1)
        x = normal(2, 4, 5, 1)
        np.testing.assert_array_equal(model.predict(x, verbose=0).ravel(), x.max((1, 2, 3)))

    def test_colours_turned_round_before(self, write):
        """x[..., ::-1] of a TensorFlow model: ends beyond every axis."""
        body = "s = Slice (x, b, e, a, t) p = Transpose <perm = [0, 3, 1, 2]> (s) y = GlobalMaxPool (p)"
        cuts = {"b": [0, 10**9], "e": [10**9, -(10**9)], "a": [0, 3], "t": [1, -1]}
        arrays = {name: np.array(values) for name, values in cuts.items()}
        model = cx.models.load_onnx(write(body, "float[N,4,5,3] x", "float[N,3,1,1] y", **arrays))
        x = normal(2, 4, 5, 3)
        np.testing.assert_array_equal(model.predict(x, verbose=0).reshape(2, 3), x.max((1, 2))[:, ::-1])

    @pytest.mark.parametrize(
        "producer, shape", [("tf2onnx 1.17", (None, 4, 5, 2)), ("pytorch", (None, 5, 2, 4))]
    )
    def test_where_nothing_tells_the_writer_does(self, producer, shape, write):
        path = write("y = Flatten (x)", "float[N,4,5,2] x")
        file = onnx.load(path)
        file.producer_name = producer
        path.write_bytes(file.SerializeToString())
        assert cx.models.load_onnx(path).input_shape == shape

    def test_repeated_rows_move_nothing(self, write):
        body = "u = Unsqueeze (x, a) t = Tile (u, r) y = Reshape (t, s)"
        arrays = {"a": [3], "r": [1, 1, 1, 2, 1], "s": [0, 3, 8, 5]}
        path = write(
            body, "float[N,3,4,5] x", "float[N,3,8,5] y", **{k: np.array(v) for k, v in arrays.items()}
        )
        model = cx.models.load_onnx(path)
        x = normal(2, 4, 5, 3)
        np.testing.assert_array_equal(model.predict(x, verbose=0), x.repeat(2, 1))
        assert not moving(model)

    def test_flattening_moves_nothing(self, write):
        x, matrix, bias = normal(2, 5, 4, 3), normal(60, 7), normal(7)
        body = "f = Flatten (x) r = Relu (f) s = Mul (r, c) m = MatMul (s, w) y = Add (m, b)"
        scale = normal(60)
        model = cx.models.load_onnx(write(body, "float[N,3,5,4] x", w=matrix, b=bias, c=scale))
        flat = np.maximum(x.transpose(0, 3, 1, 2).reshape(2, -1), 0) * scale
        np.testing.assert_allclose(model.predict(x, verbose=0), flat @ matrix + bias, rtol=1e-4, atol=1e-4)
        assert not moving(model)
        assert [type(layer).__name__ for layer in model.layers][-1] == "Dense"

    def test_a_flattened_output_is_in_the_file_s_order(self, write):
        x = normal(2, 4, 4, 3)
        model = cx.models.load_onnx(write("y = Flatten (x)"))
        np.testing.assert_array_equal(model.predict(x, verbose=0), x.transpose(0, 3, 1, 2).reshape(2, -1))

    def test_shuffled_channels(self, write):
        x = normal(2, 4, 4, 6)
        body = "a = Reshape (x, s) b = Transpose <perm = [0, 2, 1, 3, 4]> (a) y = Reshape (b, t)"
        sizes = {"s": np.array([0, 2, 3, 4, 4]), "t": np.array([0, 6, 4, 4])}
        path = write(body, "float[N,6,4,4] x", "float[N,6,4,4] y", **sizes)
        got = cx.models.load_onnx(path).predict(x, verbose=0)
        np.testing.assert_array_equal(got, x[..., [0, 3, 1, 4, 2, 5]])

    def test_groups_written_as_instances(self, write):
        """PyTorch's GroupNorm: channels reshaped to groups, instances normalized, factors per channel."""
        x, scale, bias = normal(2, 4, 4, 6), normal(6, 1, 1), normal(6, 1, 1)
        body = (
            "g = Reshape (x, s) i = InstanceNormalization <epsilon = 1e-5> (g, one, zero) z = Shape (x) "
            "r = Reshape (i, z) m = Mul (r, c) y = Add (m, b)"
        )
        ones = {"one": np.ones(2, np.float32), "zero": np.zeros(2, np.float32)}
        path = write(
            body, "float[N,6,4,4] x", "float[N,6,4,4] y", s=np.array([0, 2, -1]), c=scale, b=bias, **ones
        )
        model = cx.models.load_onnx(path)
        groups = x.transpose(0, 3, 1, 2).reshape(2, 2, -1).astype(np.float64)
        normed = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
        wanted = normed.reshape(2, 6, 4, 4) * scale + bias
        np.testing.assert_allclose(
            model.predict(x, verbose=0), wanted.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-5
        )
        assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "GroupNormalization"]

    def test_taking_everything_in_order_is_a_reshape(self, write):
        """What PyTorch writes for `as_strided`: places computed from the batch's size."""
        x = normal(2, 1, 1, 5)
        body = (
            "f = Reshape (x, flat) z = Shape <start = 0, end = 1> (x) n = Squeeze (z) r = Range (o, n, i) "
            "m = Mul (r, five) u = Unsqueeze (m, a) p = Add (u, c) y = Gather <axis = 0> (f, p)"
        )
        arrays = {
            "flat": [-1],
            "o": 0,
            "i": 1,
            "five": 5,
            "a": [1, 2, 3],
            "c": np.arange(5).reshape(1, 5, 1, 1),
        }
        path = write(
            body, "float[N,5,1,1] x", "float[N,5,1,1] y", **{k: np.array(v) for k, v in arrays.items()}
        )
        np.testing.assert_array_equal(cx.models.load_onnx(path).predict(x, verbose=0), x)

    def test_taking_another_order_is_refused(self, write):
        body = "f = Reshape (x, flat) y = Gather <axis = 0> (f, p)"
        arrays = {"flat": np.array([-1]), "p": np.arange(10)[::-1].reshape(2, 5, 1, 1).copy()}
        with pytest.raises(ValueError, match="examples' axis"):
            cx.models.load_onnx(write(body, "float[2,5,1,1] x", "float[2,5,1,1] y", **arrays))


class TestNames:
    BODY = "h = Conv <kernel_shape = [1, 1]> (x, w) y = GlobalMaxPool (h)"

    def test_node_and_output_find_the_layer(self, write, tmp_path):
        path = write(self.BODY, result="float[N,2,1,1] y", w=normal(2, 3, 1, 1))
        file = onnx.load(path)
        file.graph.node[0].name = "/block.0/conv:a/Conv"
        path.write_bytes(file.SerializeToString())
        model = cx.models.load_onnx(path)
        model.save(tmp_path / "network.keras")
        for opened in (model, cx.keras.models.load_model(tmp_path / "network.keras")):
            layer = opened.get_layer("/block.0/conv:a/Conv")
            assert layer.name == "block.0.conv.a.Conv" and opened.get_layer("h") is layer

    def test_same_names_are_counted(self, write):
        model = cx.models.load_onnx(write("a = Relu (x) y = Tanh (a)", result="float[N,3,4,4] y"))
        assert len({layer.name for layer in model.layers}) == 3

    def test_what_lives_elsewhere(self):
        with pytest.raises(AttributeError, match=r"cnnexplain\.keras\.models\.Sequential"):
            _ = cx.models.Sequential
        with pytest.raises(AttributeError, match="load_onnx"):
            _ = cx.models.load_onxx


class TestSizes:
    def test_arithmetic(self):
        assert BATCH * 6 // 6 == BATCH and (BATCH * 6) // (BATCH * 2) == 3
        assert product([BATCH, 3, 4]) == Unknown("batch", 12) == product([3, BATCH, 4])
        assert BATCH + 0 == BATCH and BATCH * 0 == 0
        for other in (BATCH + 1, BATCH - 1, BATCH * 3 // 2, BATCH * BATCH, 6 // BATCH, -BATCH):
            assert isinstance(other, Unknown) and other != BATCH

    def test_larger_than_the_numbers_that_mark_something(self):
        assert BATCH > 0 and BATCH > -1 and not BATCH < 0 and BATCH != -1

    def test_in_arrays(self):
        assert array_of([1, 2]).dtype == np.int64
        mixed = array_of([BATCH, 3])
        assert (mixed * 2).tolist() == [Unknown("batch", 2), 6]


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_normalizations_of_groups_move_nothing(groups, write):
    body = f"g = GroupNormalization <num_groups = {groups}> (x, s, b) y = InstanceNormalization (g, s, b)"
    path = write(body, "float[N,6,4,5] x", "float[N,6,4,5] y", opset=21, s=normal(6), b=normal(6))
    program = trace(cx.models.load_onnx(path), training=False).program
    assert "transpose" not in [operator for operator, *_ in program.nodes]
