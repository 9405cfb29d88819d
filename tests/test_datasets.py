"""The data sets, on small idx files made here: nothing is downloaded."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cnnexplain import keras
from cnnexplain.keras.datasets import cifar10, cifar100, fashion_mnist, files, mnist
from cnnexplain.keras.datasets.idx import read_idx

CIFARS = {
    "cifar10": (cifar10, "cifar-10-batches-py", [f"data_batch_{k}" for k in range(1, 6)], "test_batch"),
    "cifar100": (cifar100, "cifar-100-python", ["train"], "test"),
}
DATASETS = {"fashion-mnist": fashion_mnist, "mnist": mnist}


def idx_bytes(array: np.ndarray, code: int = 8) -> bytes:
    """An idx file of one-byte values, or of what `code` says in big-endian order."""
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_dataset(folder: Path, seed: int, compress: bool = True) -> dict[str, np.ndarray]:
    """Five images to learn from and three to test on."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    made = {}
    for part, n in (("train", 5), ("t10k", 3)):
        arrays = {
            f"{part}-images-idx3-ubyte": rng.integers(0, 256, (n, 28, 28), np.uint8),
            f"{part}-labels-idx1-ubyte": rng.integers(0, 10, n, np.uint8),
        }
        for name, array in arrays.items():
            data = idx_bytes(array)
            (folder / (name + ".gz" if compress else name)).write_bytes(
                gzip.compress(data) if compress else data
            )
        made |= arrays
    return made


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache, no system folder, no network."""
    monkeypatch.setenv("CNNEXPLAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def refuse(*args, **kwargs):
        raise ConnectionError("no network here")

    monkeypatch.setattr("pooch.retrieve", refuse)
    return tmp_path / "home"


def check(loaded, made):
    (x_train, y_train), (x_test, y_test) = loaded
    for got, name in (
        (x_train, "train-images-idx3-ubyte"),
        (y_train, "train-labels-idx1-ubyte"),
        (x_test, "t10k-images-idx3-ubyte"),
        (y_test, "t10k-labels-idx1-ubyte"),
    ):
        assert got.dtype == np.uint8 and got.flags.writeable
        np.testing.assert_array_equal(got, made[name])


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", DATASETS)
def test_load_from_cache(home, name, compress):
    made = write_dataset(home / "datasets" / name, 0, compress)
    check(DATASETS[name].load_data(), made)


def test_load_from_system_folder_unless_cached(home, tmp_path, monkeypatch):
    system = write_dataset(tmp_path / "system", 1)
    source = files.Source("fashion-mnist", "https://example.org/", {}, tmp_path / "system")
    monkeypatch.setattr(fashion_mnist, "_SOURCE", source)
    check(fashion_mnist.load_data(), system)
    cached = write_dataset(home / "datasets" / "fashion-mnist", 2)
    check(fashion_mnist.load_data(), cached)


def test_the_system_folder_is_debian_s():
    assert str(fashion_mnist._SOURCE.system) == "/usr/share/datasets/fashion-mnist"
    assert mnist._SOURCE.system is None


def test_download_asks_for_the_checksum(home, tmp_path, monkeypatch):
    made = write_dataset(tmp_path / "server", 3)
    asked = {}

    def retrieve(url, known_hash, fname, path, progressbar):
        asked[fname] = (url, known_hash, progressbar)
        target = Path(path) / fname
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tmp_path / "server" / fname).read_bytes())
        return str(target)

    monkeypatch.setattr("pooch.retrieve", retrieve)
    check(mnist.load_data(), made)
    assert sorted(asked) == sorted(mnist._SOURCE.sha256)
    for file, (url, known_hash, progressbar) in asked.items():
        assert url == mnist._SOURCE.url + file
        assert known_hash == "sha256:" + mnist._SOURCE.sha256[file] and len(known_hash) == 71
        assert progressbar
    asked.clear()
    check(mnist.load_data(), made)
    assert not asked  # the second time from the cache


def test_no_network_says_where_to_put_the_files(home):
    with pytest.raises(OSError, match=r"mnist is not on this machine.*no network here.*home/datasets/mnist"):
        mnist.load_data()


def test_class_names():
    for dataset in DATASETS.values():
        assert isinstance(dataset.class_names, tuple) and len(set(dataset.class_names)) == 10


@pytest.mark.parametrize(
    "dtype, code",
    [("u1", 8), ("i1", 9), ("i2", 11), ("i4", 12), ("f4", 13), ("f8", 14)],
    ids=lambda value: str(value),
)
def test_read_idx_dtypes(tmp_path, dtype, code):
    want = np.arange(-12, 12).astype(dtype).reshape(2, 3, 4)
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(want, code))
    got = read_idx(path)
    assert got.dtype == np.dtype(dtype) and got.dtype.isnative
    np.testing.assert_array_equal(got, want)


GOOD = idx_bytes(np.zeros((3, 4), np.uint8))


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "is not an idx file: it holds 0 bytes"),
        (b"\x00\x00", "is not an idx file"),
        (b"PK\x03\x04rest of it", "first bytes are 50 4b 03 04"),
        (b"\x00\x00\x07\x01\x00\x00\x00\x00", "is not an idx file"),
        (GOOD[:9], "truncated inside its header: 9 of 12 bytes"),
        (GOOD[:-1], r"is truncated: shape \(3, 4\) takes 12 bytes, the file has 11"),
        (GOOD + b"x", "is too long"),
        (gzip.compress(GOOD)[:-9], "damaged or truncated gzip"),
        (gzip.compress(GOOD)[:-1], "damaged or truncated gzip"),
        (b"\x1f\x8b" + bytes(20), "damaged or truncated gzip"),
        (struct.pack(">HBB4I", 0, 8, 4, *[0xFFFFFFFF] * 4), "its header is corrupt"),
    ],
)
def test_damaged_files(tmp_path, data, message):
    path = tmp_path / "broken"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_idx(path)


@pytest.mark.parametrize("part", ["images-idx3", "labels-idx1"])
def test_files_that_do_not_fit_together(home, part):
    folder = home / "datasets" / "mnist"
    write_dataset(folder, 4)
    path = folder / f"train-{part}-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(read_idx(path)[:-1])))
    with pytest.raises(ValueError, match=r"has \d images.*has \d labels"):
        mnist.load_data()
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((2, 2), np.uint8))))
    with pytest.raises(ValueError, match="must hold uint8"):
        mnist.load_data()


def test_keras_s_own_files_are_used(home, tmp_path):
    made = write_dataset(tmp_path / "keras" / "datasets" / "fashion-mnist", 4)
    check(fashion_mnist.load_data(), made)
    rng = np.random.default_rng(5)
    arrays = {
        f"{name}_{part}": rng.integers(0, 10, (n, 28, 28) if name == "x" else n, np.uint8)
        for part, n in (("train", 4), ("test", 2))
        for name in "xy"
    }
    path = tmp_path / "keras" / "datasets" / "mnist.npz"
    np.savez(path, **arrays)
    (x, y), (x_test, y_test) = mnist.load_data()
    for got, name in ((x, "x_train"), (y, "y_train"), (x_test, "x_test"), (y_test, "y_test")):
        np.testing.assert_array_equal(got, arrays[name])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="mnist.npz is not Keras's file of MNIST"):
        mnist.load_data()


def cifar_file(seed, n, keys):
    """A file as Python 2 wrote it: bytes as keys, planes one after the other, NumPy's old module names."""
    rng = np.random.default_rng(seed)
    found = {b"data": rng.integers(0, 256, (n, 3072), np.uint8)}
    found |= {key.encode(): rng.integers(0, 10, n).tolist() for key in keys}
    return found, pickle.dumps(found, protocol=3).replace(b"numpy._core.", b"numpy.core.")


def cifar_archive(path, name, keys=("labels", "fine_labels", "coarse_labels")):
    _, folder, train, test = CIFARS[name]
    made = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for seed, file in enumerate([*train, test]):
            found, data = cifar_file(seed, 3 + seed, keys)
            made.append(found)
            info = tarfile.TarInfo(f"{folder}/{file}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made[:-1], made[-1]


@pytest.mark.parametrize("label_mode", ["labels", "fine_labels", "coarse_labels"])
@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_cifar(home, tmp_path, monkeypatch, label_mode, layout):
    name = "cifar10" if label_mode == "labels" else "cifar100"
    module, folder, _, _ = CIFARS[name]
    place = tmp_path / "keras" / "datasets" / f"{folder}-target_archive"
    train, test = cifar_archive(place, name)
    monkeypatch.setattr("cnnexplain.keras.utils.files.has_hash", lambda *arguments: True)
    keras.config.set_image_data_format(layout)
    try:
        loaded = (
            module.load_data() if name == "cifar10" else module.load_data(label_mode.removesuffix("_labels"))
        )
    finally:
        keras.config.set_image_data_format("channels_last")
    for (x, y), files_ in zip(loaded, (train, [test]), strict=True):
        planes = np.concatenate([found[b"data"].reshape(-1, 3, 32, 32) for found in files_])
        want = planes if layout == "channels_first" else planes.transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(x, want)
        labels = np.concatenate([found[label_mode.encode()] for found in files_])
        np.testing.assert_array_equal(y, labels[:, None])
        assert x.dtype == y.dtype == np.uint8


def test_cifar_refuses_what_is_not_cifar(home, tmp_path, monkeypatch):
    place = tmp_path / "keras" / "datasets" / "cifar-100-python-target_archive"
    cifar_archive(place, "cifar100")
    with pytest.raises(
        OSError, match=r"no network here.*place the file at .*cifar-100-python-target_archive"
    ):
        cifar100.load_data()  # the hash is not that of the genuine archive
    with pytest.raises(ValueError, match="`label_mode`"):
        cifar100.load_data("finest")
    monkeypatch.setattr("cnnexplain.keras.utils.files.has_hash", lambda *arguments: True)
    cifar_archive(place, "cifar100", keys=("labels",))
    with pytest.raises(ValueError, match="is not a file of CIFAR, or a damaged one .*fine_labels"):
        cifar100.load_data()

    class Evil:
        def __reduce__(self):
            return print, ("read",)

    inner = tmp_path / "keras" / "datasets" / "cifar-100-python-target" / "cifar-100-python" / "train"
    inner.write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(ValueError, match="it asks for builtins.print"):
        cifar100.load_data()
