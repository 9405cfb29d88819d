"""Files that are damaged, unsafe or hold what is not read: a message says what, where and what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import cli

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper, parser  # noqa: E402

NETWORK = np.load(Path(__file__).parents[1] / "fixtures" / "onnx" / "resnet-13.npz")["onnx"].tobytes()
RELU = "y = Relu (x)"


def graph(body, *, opset=13, domains=(), head="float[N,3,4,4] x", result="float[N,3,4,4] y"):
    imports = ", ".join(f'"{name}" : {version}' for name, version in (("", opset), *domains))
    return parser.parse_model(
        f"<ir_version: 8, opset_import: [{imports}]> g ({head}) => ({result}) {{ {body} }}"
    )


def weights(model, **arrays):
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.onnx"


@pytest.fixture
def refused(path):
    """The message for this content: of a ValueError, naming the file, without a word of Python."""

    def loading(content):
        if not isinstance(content, bytes):
            content = content.SerializeToString()
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            cx.models.load_onnx(path)
        message = str(caught.value)
        assert str(path) in message and "Traceback" not in message and "object at 0x" not in message
        return message

    return loading


class TestOperators:
    def test_all_at_once_with_their_nodes(self, refused):
        message = refused(graph("a = Det (x) b = STFT (x, x) c = Relu (a) d = Det (c) y = Add (b, d)"))
        assert "Det" in message and "STFT" in message
        for output in ("'a'", "'b'", "'d'"):
            assert output in message
        assert "Relu" not in message and "Add" not in message

    @pytest.mark.parametrize(
        "body",
        [
            "k = Greater (x, x) y = If (k) <then_branch = t () => (float[N,3,4,4] p) { p = Identity (x) },"
            "else_branch = e () => (float[N,3,4,4] q) { q = Relu (x) }>",
            "y = Loop (m, c, x) <body = b (int64 i, bool k, float[N,3,4,4] v) => (bool o, float[N,3,4,4] w)"
            "{ o = Identity (k) w = Relu (v) }>",
        ],
    )
    def test_control_flow(self, body, refused):
        operator = "Loop" if "Loop" in body else "If"
        made = weights(graph(body, opset=16), c=np.array(True), m=np.array(3, np.int64))
        message = refused(made)
        assert f"operator {operator}, nodes 'y'" in message and "without control flow" in message

    def test_custom_domains(self, refused):
        message = refused(graph("a = acme.Magic (x) y = acme.Spell (a)", domains=[("acme", 1)]))
        assert "custom domain 'acme'" in message and "Magic" in message and "Spell" in message

    def test_quantized(self, refused):
        body = "q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)"
        made = weights(graph(body), s=np.array(0.1, np.float32), z=np.array(0, np.uint8))
        message = refused(made)
        assert (
            "QuantizeLinear" in message
            and "DequantizeLinear" in message
            and "before it is quantized" in message
        )

    def test_functions_of_the_file_are_written_out(self, path):
        made = graph("y = local.twice (x)", domains=[("local", 1)])
        body = [helper.make_node("Add", ["a", "a"], ["b"])]
        made.functions.append(
            helper.make_function("local", "twice", ["a"], ["b"], body, [helper.make_opsetid("", 13)])
        )
        path.write_bytes(made.SerializeToString())
        x = np.arange(48.0, dtype="float32").reshape(1, 4, 4, 3)
        np.testing.assert_array_equal(cx.models.load_onnx(path).predict(x, verbose=0), 2 * x)

    @pytest.mark.parametrize("body, place", [("y = Add (x)", "y"), ("y = Conv (x)", "y")])
    def test_inputs_that_are_missing(self, body, place, refused):
        assert f"'{place}'" in refused(graph(body))


class TestOpsets:
    @pytest.mark.parametrize("opset", [1, 8, 22, 99])
    def test_out_of_range(self, opset, refused):
        message = refused(graph(RELU, opset=opset))
        assert f"opset {opset}" in message and "9 to 21" in message
        assert "opset_version=" in message and "version_converter" in message

    @pytest.mark.parametrize("opset", [9, 21])
    def test_the_ends(self, opset, path):
        path.write_bytes(graph(RELU, opset=opset).SerializeToString())
        cx.models.load_onnx(path)

    def test_none(self, refused):
        made = graph(RELU)
        del made.opset_import[:]
        assert "opset" in refused(made)


class TestExternalData:
    """Weights in files beside the model."""

    @staticmethod
    def model(folder, location="weights.bin"):
        kernel = np.arange(48, dtype=np.float32).reshape(4, 3, 2, 2)
        made = weights(graph("y = Conv (x, k)", result="float[N,4,3,3] y"), k=kernel)
        onnx.save(
            made,
            folder / "network.onnx",
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=0,
        )
        if location != "weights.bin":
            made = onnx.load(folder / "network.onnx", load_external_data=False)
            for entry in made.graph.initializer[0].external_data:
                if entry.key == "location":
                    entry.value = location
            (folder / "network.onnx").write_bytes(made.SerializeToString())
        return kernel

    def test_they_are_read(self, tmp_path):
        kernel = self.model(tmp_path)
        got = cx.models.load_onnx(tmp_path / "network.onnx").weights[0].numpy()
        np.testing.assert_array_equal(got, kernel.transpose(2, 3, 1, 0))

    def test_missing(self, tmp_path, path, refused):
        self.model(tmp_path)
        (tmp_path / "weights.bin").unlink()
        assert "weights.bin" in refused(path.read_bytes())

    @pytest.mark.parametrize(
        "location", ["../secret.bin", "/etc/passwd", "inner/../../secret.bin", "", "a\0b"]
    )
    def test_outside(self, location, tmp_path, path, refused):
        self.model(tmp_path, location)
        (tmp_path.parent / "secret.bin").write_bytes(bytes(192))
        message = refused(path.read_bytes())
        assert "beside the model" in message and repr(location) in message

    def test_a_link_that_leads_outside(self, tmp_path, path, refused):
        self.model(tmp_path)
        secret = tmp_path.parent / "linked.bin"
        secret.write_bytes(bytes(192))
        (tmp_path / "weights.bin").unlink()
        (tmp_path / "weights.bin").symlink_to(secret)
        assert "beside the model" in refused(path.read_bytes())

    def test_missing_data_of_an_attribute(self, refused):
        made = graph("k = Constant () y = Conv (x, k)")
        value = onnx.TensorProto(data_type=1, dims=[4, 3, 2, 2], data_location=onnx.TensorProto.EXTERNAL)
        value.external_data.add(key="location", value="weights.bin")
        made.graph.node[0].attribute.append(onnx.helper.make_attribute("value", value))
        assert "'weights.bin' (1 arrays)" in refused(made)

    def test_too_short(self, tmp_path, path, refused):
        self.model(tmp_path)
        (tmp_path / "weights.bin").write_bytes(bytes(100))
        assert "weights.bin" in refused(path.read_bytes())


class TestDamage:
    @pytest.mark.parametrize(
        "content", [b"", b"hello, this is no model", bytes(64), b"\xff" * 64, b"PK\x03\x04" + bytes(40)]
    )
    def test_other_files(self, content, refused):
        assert "no ONNX file" in refused(content)

    @pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
    def test_cut(self, share, refused):
        refused(NETWORK[: int(share * len(NETWORK))])

    @pytest.mark.parametrize("seed", range(12))
    def test_changed_bytes(self, seed, path):
        """Loaded or refused, never anything else."""
        content = bytearray(NETWORK)
        generator = np.random.default_rng(seed)
        for place in generator.integers(0, len(content), 20):
            content[place] = generator.integers(256)
        path.write_bytes(bytes(content))
        try:
            cx.models.load_onnx(path)
        except ValueError as error:
            assert str(path) in str(error)

    @pytest.mark.slow
    def test_a_thousand_changed_files(self, path):
        for seed in range(1000):
            self.test_changed_bytes(seed, path)

    def test_arrays_of_another_size(self, refused):
        made = weights(graph("y = Add (x, c)"), c=np.zeros(4, np.float32))
        made.graph.initializer[0].dims[0] = 5
        assert "'c'" in refused(made)
        made.graph.initializer[0].dims[0] = 1 << 60
        assert "'c'" in refused(made)
        made.graph.initializer[0].dims[0] = -4
        assert "'c'" in refused(made)

    def test_a_value_that_nothing_makes(self, refused):
        made = graph("y = Add (x, x)")
        made.graph.node[0].input[1] = "nowhere"
        assert "'nowhere'" in refused(made)

    def test_an_output_that_nothing_makes(self, refused):
        made = graph(RELU)
        made.graph.output[0].name = "nowhere"
        refused(made)

    def test_a_value_that_two_make(self, refused):
        assert "two of its nodes make 'a'" in refused(graph("a = Relu (x) a = Abs (x) y = Neg (a)"))

    def test_a_node_without_output(self, refused):
        made = graph("y = Relu (x)")
        made.graph.node.add(op_type="Relu", input=["x"], name="lost")
        assert "node 'lost', Relu, has no output" in refused(made)

    def test_nodes_in_a_circle(self, refused):
        made = graph("a = Add (x, y) y = Relu (a)")
        assert "'y'" in refused(made)

    def test_no_graph(self, refused):
        made = graph(RELU)
        made.ClearField("graph")
        refused(made)

    def test_no_input(self, refused):
        made = graph("y = Identity (c)", head="")
        refused(made)
        assert "input" in refused(weights(made, c=np.zeros((1, 3, 4, 4), np.float32)))


class TestKinds:
    def test_strings(self, refused):
        made = graph("y = Relu (x)")
        made.graph.initializer.append(helper.make_tensor("words", TensorProto.STRING, [2], [b"one", b"two"]))
        message = refused(made)
        assert "'words'" in message and "strings" in message

    def test_an_input_of_strings(self, refused):
        assert "'x'" in refused(graph("y = Relu (x)", head="string[N,3] x"))

    def test_sparse(self, refused):
        made = graph("y = Add (x, c)")
        values = numpy_helper.from_array(np.ones(1, np.float32), "c")
        places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
        made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))
        message = refused(made)
        assert "sparse" in message and "'c'" in message and "dense" in message

    def test_a_sequence(self, refused):
        assert "'x'" in refused(graph("y = SequenceAt (x, i)", head="seq(float[N]) x, int64 i"))

    def test_half_precision_is_widened(self, path):
        made = weights(graph("y = Add (x, c)"), c=np.array([0.5, 1, 2, 4], np.float16))
        path.write_bytes(made.SerializeToString())
        got = cx.models.load_onnx(path).predict(np.zeros((1, 4, 4, 3), "float32"), verbose=0)
        assert got.dtype == np.float32 and got[0, 0, :, 0].tolist() == [0.5, 1, 2, 4]


class TestSizes:
    """Inputs whose batch or sides are open, several inputs and outputs."""

    CONV = "c = Conv <pads = [1, 1, 1, 1]> (x, k) r = Relu (c) p = GlobalAveragePool (r) f = Flatten (p)"

    def test_open_height_and_width(self, path):
        kernel = np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3) / 54
        made = weights(graph(self.CONV, head="float[N,3,H,W] x", result="float[N,2] f"), k=kernel)
        path.write_bytes(made.SerializeToString())
        model = cx.models.load_onnx(path)
        assert tuple(model.input_shape) == (None, None, None, 3) and tuple(model.output_shape) == (None, 2)
        for sides in ((5, 6), (9, 4)):
            x = np.ones((2, *sides, 3), "float32")
            # a pixel inside sums the kernel; the sides and corners sum what of it lies inside
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
            want = np.einsum("nhwcij,kcij->nhwk", windows, kernel).mean((1, 2))
            np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5)

    def test_open_sides_that_must_be_known(self, refused):
        body = self.CONV.replace(
            "p = GlobalAveragePool (r) f = Flatten (p)", "g = Flatten (r) f = MatMul (g, m)"
        )
        made = graph(body, head="float[N,3,H,W] x", result="float[N,2] f")
        made = weights(made, k=np.zeros((2, 3, 3, 3), np.float32), m=np.zeros((32, 2), np.float32))
        message = refused(made)
        assert "Flatten" in message and "fixed" in message

    def test_a_batch_in_the_file_becomes_free(self, path):
        made = graph("f = Reshape (x, s)", head="float[1,3,4,4] x", result="float[1,48] f")
        path.write_bytes(weights(made, s=np.array([1, -1], np.int64)).SerializeToString())
        model = cx.models.load_onnx(path)
        x = np.arange(144.0, dtype="float32").reshape(3, 4, 4, 3)
        np.testing.assert_array_equal(model.predict(x, verbose=0), x.transpose(0, 3, 1, 2).reshape(3, 48))

    def test_several_inputs_and_outputs(self, path):
        made = graph(
            "p = GlobalAveragePool (x) f = Flatten (p) s = Add (f, z) r = Relu (x)",
            head="float[N,3,4,4] x, float[N,3] z",
            result="float[N,3] s, float[N,3,4,4] r",
        )
        path.write_bytes(made.SerializeToString())
        model = cx.models.load_onnx(path)
        assert model.input_names == ["x", "z"]
        x, z = np.ones((2, 4, 4, 3), "float32"), np.arange(6.0, dtype="float32").reshape(2, 3)
        s, r = model.predict([x, z], verbose=0)
        np.testing.assert_allclose(s, z + 1)
        np.testing.assert_array_equal(r, x)

    def test_a_wrong_dtype_argument(self, path):
        path.write_bytes(graph(RELU).SerializeToString())
        with pytest.raises(ValueError, match="`dtype` must be .* Received: dtype="):
            cx.models.load_onnx(path, dtype="int32")


class TestElsewhere:
    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nothing.onnx"):
            cx.models.load_onnx(tmp_path / "nothing.onnx")
        with pytest.raises(OSError, match="folder"):
            cx.models.load_onnx(tmp_path)

    def test_keras_s_loader_says_where_to_go(self, path):
        path.write_bytes(NETWORK)
        with pytest.raises(ValueError, match="load_onnx"):
            cx.keras.models.load_model(path)

    @pytest.mark.parametrize("value", [None, 3, b"network.onnx", graph("y = Relu (x)")])
    def test_what_is_no_path(self, value):
        with pytest.raises(TypeError, match="`path` must be the path of an ONNX file.*Received: ") as caught:
            cx.models.load_onnx(value)
        assert len(str(caught.value)) < 120

    def test_without_the_package(self, path):
        path.write_bytes(graph(RELU).SerializeToString())
        code = (
            "import sys; sys.modules['onnx'] = None\n"
            "import cnnexplain as cx\n"
            f"try: cx.models.load_onnx({str(path)!r})\n"
            "except ImportError as error: print(error)"
        )
        root = str(Path(cx.__file__).parents[1])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
        assert "pip install 'cnnexplain[onnx]'" in done.stdout, done.stderr

    def test_the_package_is_not_loaded_before_it_is_used(self):
        code = "import sys, cnnexplain.models; print('onnx' in sys.modules)"
        root = str(Path(cx.__file__).parents[1])
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
        assert done.stdout.strip() == "False", done.stderr

    def test_inspect_in_one_line(self, path, capsys):
        path.write_bytes(NETWORK[:1000])
        assert cli.main(["inspect", str(path)]) == 2
        output, error = capsys.readouterr()
        assert not output and str(path) in error and "Traceback" not in error
