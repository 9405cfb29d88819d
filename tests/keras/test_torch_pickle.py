"""State dicts of PyTorch are read, and files that try to do more are refused."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cnnexplain.keras.saving.torch_pickle import MAGIC, is_torch_file, load_torch

FILES = dict(np.load(Path(__file__).parents[1] / "fixtures" / "torch_files.npz"))
FORMS = ["plain", "zip"]
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


@pytest.fixture
def read(tmp_path):
    def reading(content: bytes):
        path = tmp_path / "file.pth"
        path.write_bytes(content)
        return load_torch(path)

    return reading


def genuine(name: str) -> bytes:
    return FILES[name].tobytes()


def plain(content: bytes, names: list[str] = (), storages: bytes = b"") -> bytes:
    """A file of the older form around the pickle of its content."""
    head = [pickle.dumps(part, 2) for part in (1001, SYSTEM)]
    return MAGIC + b"".join(head) + content + pickle.dumps(list(names), 2) + storages


def zipped(content: bytes, members: dict[str, bytes] | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        archive.writestr("archive/data.pkl", content)
        for name, data in (members or {}).items():
            archive.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def integer(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def tensor(shape=(2,), strides=(1,), offset=0, count=2, key="0", kind="FloatStorage") -> bytes:
    """The pickle of {"w": tensor}."""
    sides = b"(" + b"".join(map(integer, shape)) + b"t(" + b"".join(map(integer, strides)) + b"t"
    storage = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + integer(count)
    storage += b"tQ"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + integer(offset) + sides + b"\x89"
    return b"\x80\x02}(" + text("w") + made + b"ccollections\nOrderedDict\n)RtRu."


def two() -> bytes:
    return struct.pack("<qff", 2, 1.5, -2.0)


@pytest.mark.parametrize("form", FORMS)
class TestGenuine:
    def test_every_type_and_layout(self, form, read):
        got = read(genuine(f"{form}/tensors"))
        wanted = {name[7:]: array for name, array in FILES.items() if name.startswith("tensor/")}
        assert list(got) == list(wanted)
        for name, array in wanted.items():
            assert got[name].dtype == array.dtype and got[name].shape == array.shape
            np.testing.assert_array_equal(got[name], array, err_msg=name)
            assert got[name].flags.writeable

    def test_a_checkpoint(self, form, read):
        got = read(genuine(f"{form}/checkpoint"))
        wanted = {name[6:]: array for name, array in FILES.items() if name.startswith("state/")}
        for name, array in wanted.items():
            np.testing.assert_array_equal(got[f"state_dict.{name}"], array)
        assert got["optimizer.state.0.exp_avg"].shape == (2, 1, 3, 3)
        assert not any(name.startswith("epoch") for name in got)

    def test_a_whole_module_is_refused(self, form, read):
        with pytest.raises(ValueError, match=r"state_dict|whole module"):
            read(genuine(f"{form}/module"))

    def test_no_dict(self, form, read):
        with pytest.raises(ValueError, match="holds no dict of tensors"):
            read(genuine(f"{form}/list"))

    def test_sniffing(self, form, tmp_path):
        path = tmp_path / "x"
        path.write_bytes(genuine(f"{form}/tensors"))
        assert is_torch_file(path)

    def test_cut_anywhere(self, form, read):
        content = genuine(f"{form}/tensors")
        rng = np.random.default_rng(0)
        for length in [0, 1, 14, len(content) - 1, *rng.integers(0, len(content), 60)]:
            with pytest.raises(ValueError, match="`filepath` must be a state dict"):
                read(content[:length])

    def test_changed_bytes_never_do_more_than_raise(self, form, read):
        content = genuine(f"{form}/checkpoint")
        rng = np.random.default_rng(1)
        end = 3000 if form == "plain" else len(content)
        for _ in range(300):
            changed = bytearray(content)
            for place in rng.integers(0, end, rng.integers(1, 4)):
                changed[place] = rng.integers(0, 256)
            try:
                arrays = read(bytes(changed))
            except ValueError as error:
                assert "`filepath` must be a state dict" in str(error)
            else:
                assert sum(array.nbytes for array in arrays.values()) < 100 * len(content)


def test_other_files(read, tmp_path):
    for content in (
        b"",
        b"hello",
        b"PK\x03\x04",
        pickle.dumps({"a": 1}),
        zipped(b".").replace(b"data", b"none"),
    ):
        path = tmp_path / "other"
        path.write_bytes(content)
        assert not is_torch_file(path)
        with pytest.raises(ValueError, match="`filepath` must be a state dict"):
            read(content)
    with pytest.raises(FileNotFoundError):
        load_torch(tmp_path / "nothing")


def test_the_hand_made_file_is_read(read):
    for content in (plain(tensor(), ["0"], two()), zipped(tensor(), {"data/0": two()[8:]})):
        np.testing.assert_array_equal(read(content)["w"], np.array([1.5, -2.0], "float32"))


class Runs:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


EVIL = {
    "os.system": lambda path: Runs(__import__("os").system, f"touch {path}"),
    "eval": lambda path: Runs(eval, f"open({str(path)!r}, 'w')"),
    "exec": lambda path: Runs(exec, f"open({str(path)!r}, 'w')"),
    "open": lambda path: Runs(open, str(path), "w"),
    "getattr": lambda path: Runs(getattr, {}, "keys"),
    "import": lambda path: Runs(__import__, "os"),
    "subprocess": lambda path: Runs(__import__("subprocess").call, ["touch", str(path)]),
    "path": lambda path: path,
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", EVIL)
def test_nothing_is_executed(name, protocol, read, tmp_path):
    target = tmp_path / "made"
    content = pickle.dumps({"w": EVIL[name](target)}, protocol)
    for whole in (plain(content), zipped(content)):
        with pytest.raises(ValueError, match="asks for|pickle instruction"):
            read(whole)
    assert not target.exists()


HEAD = b"\x80\x02"
INSTRUCTIONS = {
    "a name with a dot": HEAD + b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
    "a name inside an allowed module": HEAD + b"ccollections\nabc\n.",
    "torch itself": HEAD + b"ctorch\nload\n.",
    "STACK_GLOBAL": b"\x80\x04" + b"\x8c\x02os\x8c\x06system\x93.",
    "STACK_GLOBAL of numbers": b"\x80\x04K\x01K\x02\x93.",
    "NEWOBJ": HEAD + b"ccollections\nOrderedDict\n)\x81.",
    "INST": b"(ios\nsystem\n.",
    "OBJ": b"(ccollections\nOrderedDict\no.",
    "EXT1": HEAD + b"\x82\x01.",
    "PERSID": b"P0\n.",
    "BYTEARRAY8 of a terabyte": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "BINUNICODE8 of a terabyte": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b".",
    "calls a dict": HEAD + b"})R.",
    "calls a storage type": HEAD + b"ctorch\nFloatStorage\n)R.",
    "changes a function": HEAD + b"ccollections\nOrderedDict\n}b.",
    "arguments for OrderedDict": HEAD + b"ccollections\nOrderedDict\nK\x01\x85R.",
    "no arguments for a tensor": HEAD + b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "pops an empty stack": HEAD + b"\x85.",
    "pops below a mark": HEAD + b"K\x01(\x85.",
    "an unknown memo": HEAD + b"h\x07.",
    "a key that is a dict": HEAD + b"}}}s.",
    "no end": HEAD + b"}",
}


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instructions_that_no_state_dict_needs(name, read):
    for whole in (plain(INSTRUCTIONS[name]), zipped(INSTRUCTIONS[name])):
        with pytest.raises(ValueError, match="this file cannot be read"):
            read(whole)


SIZES = {
    "a huge storage": {"count": 1 << 60, "shape": (1 << 60,)},
    "a negative storage": {"count": -1},
    "a window behind the end": {"offset": 1},
    "a stride behind the end": {"strides": (7,)},
    "a negative offset": {"offset": -1},
    "a negative stride": {"strides": (-1,)},
    "a side that does not fit": {"shape": (3,)},
    "one number seen a billion times": {"shape": (10**9,), "strides": (0,)},
    "sides and strides that differ": {"shape": (1, 2)},
    "too many axes": {"shape": (1,) * 65, "strides": (0,) * 65},
    "an unknown type": {"kind": "ComplexFloatStorage"},
    "another type": {"kind": "DoubleStorage"},
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_do_not_fit(name, read):
    content = tensor(**SIZES[name])
    for whole in (plain(content, ["0"], two()), zipped(content, {"data/0": two()[8:]})):
        with pytest.raises(ValueError, match="this file cannot be read"):
            read(whole)


def test_storages_that_do_not_belong(read):
    for names, data in (
        (["1"], two()),
        ([], b""),
        (["0", "0"], two() * 2),
        (["0"], struct.pack("<q", 3) + bytes(12)),
    ):
        with pytest.raises(ValueError, match="this file cannot be read"):
            read(plain(tensor(), names, data))
    for members in ({}, {"data/0": b"123"}, {"data/0": bytes(12)}, {"data/0": bytes(8), "byteorder": b"big"}):
        with pytest.raises(ValueError, match="this file cannot be read"):
            read(zipped(tensor(), members))


def test_nothing_is_asked_for_beyond_the_size_of_the_file(read):
    content = tensor(count=1 << 22, shape=(1 << 22,))
    for whole in (
        plain(content, ["0"], struct.pack("<q", 1 << 22)),
        zipped(content, {"data/0": bytes(1 << 24)}, compression=zipfile.ZIP_DEFLATED),
        plain(HEAD + b"X" + struct.pack("<I", 1 << 31) + b"a"),
        zipped(HEAD + b"X" + struct.pack("<I", 1 << 31) + b"a"),
    ):
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"larger than the file|compressed|middle of a pickle"):
            read(whole)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
        tracemalloc.stop()


def test_a_compressed_archive(read):
    with pytest.raises(ValueError, match=r"data\.pkl is compressed"):
        read(zipped(tensor(), {"data/0": two()[8:]}, compression=zipfile.ZIP_DEFLATED))


def test_dicts_that_repeat_themselves(read):
    """Ten dicts of ten, nine deep: a billion items from a few bytes; and one within itself."""
    layers = b"\x80\x02}q\x00"
    for depth in range(9):
        layers += b"}(" + b"".join(text(str(i)) + b"h" + bytes([depth]) for i in range(10))
        layers += b"uq" + bytes([depth + 1])
    for content in (layers + b".", b"\x80\x02}q\x00" + text("a") + b"h\x00s."):
        with pytest.raises(ValueError, match="dicts within dicts"):
            read(plain(content))


@pytest.mark.torch
def test_against_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)).to(
        memory_format=torch.channels_last
    )
    for zip_form in (False, True):
        path = tmp_path / "network.pth"
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=zip_form)
        got = load_torch(path)
        assert list(got) == list(network.state_dict())
        for name, value in network.state_dict().items():
            np.testing.assert_array_equal(got[name], value.numpy())
