"""Files that are damaged or mean harm: each is refused by an error that says what and where, or loads."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import model_files
import mutations
import numpy as np
import pytest

import cnnexplain
from cnnexplain import keras

TODAY = "keras-3.15.zip"
layers = keras.layers


def tried(form, first, last):
    """Runs mutations in a process of their own: the HDF5 library could take this one with it."""
    home = Path(cnnexplain.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, mutations.__file__, form, str(first), str(last)],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(home), str(Path(__file__).parent)])},
        check=False,
    )
    lines = done.stdout.split()
    assert done.returncode == 0, f"seed {lines[-1] if lines else first}: {done.stderr[-3000:]}"
    results = json.loads(done.stdout[done.stdout.index("{") :])
    assert sum(results.values()) == last - first and results["refused"] > results["loaded"]


@pytest.mark.parametrize("form", ["keras", "weights"])
def test_mutations(form):
    tried(form, 0, 60)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["keras", "weights"])
@pytest.mark.parametrize("part", range(4))
def test_many_mutations(form, part):
    tried(form, part * 250, (part + 1) * 250)


def archive_of(content, path, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in content.items():
            file.writestr(name, data if isinstance(data, (str, bytes)) else json.dumps(data))
    return path


def refused(path, message, **options):
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".* cannot be read: .*" + message) as caught:
        keras.models.load_model(path, **options)
    return str(caught.value)


@pytest.fixture
def content():
    return mutations.members(TODAY, "nested")


@pytest.fixture
def config(content):
    return json.loads(content["config.json"])


class TestArchives:
    def test_bombs(self, content, tmp_path):
        for name in ("config.json", "model.weights.h5"):
            path = archive_of(
                {**content, name: b"\0" * (1 << 26)}, tmp_path / "a.keras", zipfile.ZIP_DEFLATED
            )
            assert os.path.getsize(path) < 1 << 20
            refused(path, f"its member '{name}' says that 67108864 bytes were packed into")

    @pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil"])
    def test_paths_that_climb_out(self, content, tmp_path, name):
        path = archive_of({**content, name: b"x"}, tmp_path / "a.keras")
        refused(path, "has a path that leaves the archive")
        assert os.listdir(tmp_path) == ["a.keras"]

    def test_members(self, content, tmp_path):
        path = tmp_path / "a.keras"
        with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "w") as file:
            for name in (*content, "config.json"):
                file.writestr(name, content[name])
        refused(path, "'config.json' is there twice")
        archive_of(content, path, zipfile.ZIP_LZMA)
        refused(path, "packed by a method that Keras does not use")
        archive_of({name: content[name] for name in ("config.json", "metadata.json")}, path)
        refused(path, "it has neither 'model.weights.h5' nor 'model.weights.npz'")
        archive_of({"readme.txt": "hello"}, path)
        refused(path, "it has no `config.json`. Its members: .'readme.txt'")
        data = bytearray(archive_of(content, path).read_bytes())
        for place in (m.start() + 8 for m in re.finditer(b"PK\x01\x02", data)):
            data[place] |= 1
        path.write_bytes(data)
        refused(path, "is encrypted")

    def test_one_changed_weight(self, content, tmp_path):
        path = archive_of(content, tmp_path / "a.keras")
        data = bytearray(path.read_bytes())
        data[data.index(content["model.weights.h5"]) + len(content["model.weights.h5"]) // 2] ^= 1
        path.write_bytes(data)
        refused(path, "its member 'model.weights.h5' has changed since it was written")

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
    def test_cut_off(self, content, tmp_path, share):
        path = archive_of(content, tmp_path / "a.keras")
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        refused(path, "")


class TestDescriptions:
    def check(self, content, config, tmp_path, message):
        path = archive_of({**content, "config.json": config}, tmp_path / "a.keras")
        return refused(path, message)

    def test_bytecode(self, content, config, tmp_path):
        code = {
            "class_name": "__lambda__",
            "config": {"value": "4wEAAAA=", "defaults": None, "closure": None},
        }
        for name in (code, ["4wEAAAA=", None, None]):
            config["config"]["layers"][2] = {
                "module": "keras.layers",
                "class_name": "Lambda",
                "config": {"name": "evil", "function": name, "function_type": "lambda"},
                "name": config["config"]["layers"][2]["name"],
                "inbound_nodes": config["config"]["layers"][2]["inbound_nodes"],
            }
            self.check(content, config, tmp_path, "layer '.*evil'")
            path = tmp_path / "a.keras"
            with pytest.raises(ValueError):
                keras.models.load_model(path, safe_mode=False)

    def test_modules_are_not_imported(self, content, config, tmp_path):
        config["config"]["layers"][2].update(module="os", class_name="system", registered_name="os>system")
        self.check(content, config, tmp_path, "Could not locate class or function 'system'")
        config["config"]["layers"][2].update(module="keras.layers", class_name="__builtins__")
        self.check(content, config, tmp_path, "Could not locate")

    def test_unknown_classes_have_a_place(self, content, config, tmp_path):
        inner = next(layer for layer in config["config"]["layers"] if layer["name"] == "base")
        inner["config"]["layers"][1]["class_name"] = "Mystery"
        text = self.check(content, config, tmp_path, "layer 'transfer/base/base_conv': Could not locate")
        assert "custom_objects={'Mystery': Mystery}" in text

    def test_cycles(self, content, config, tmp_path):
        entries = config["config"]["layers"]
        nodes = [entry for entry in entries if entry["inbound_nodes"]]
        nodes[0]["inbound_nodes"] = nodes[-1]["inbound_nodes"]
        self.check(content, config, tmp_path, "is not connected")

    def test_nesting(self, content, config, tmp_path):
        for depth, message in ((2000, "nested more than 500 times|recursion"), (100, "")):
            deep = config
            for k in range(depth):
                deep = {"class_name": "Sequential", "config": {"name": f"s{k}", "layers": [deep]}}
                if depth > 1000:
                    deep = deep["config"]["layers"]
            text = json.dumps(deep) if depth < 1000 else "[" * depth + "]" * depth
            self.check(content, text, tmp_path, message)
        self.check(content, "[" * 300_000, tmp_path, "")

    def test_absurd_sizes(self, content, config, tmp_path):
        head = next(layer for layer in config["config"]["layers"] if layer["name"] == "head")
        for units in (10**6, 10**9, 2**62, 10**30, -4, 0):
            head["config"]["layers"][1]["config"]["units"] = units
            self.check(content, config, tmp_path, "")
        head["config"]["layers"][1]["config"]["units"] = 10**6
        message = (
            r"layer 'transfer/head/dense': a weight of shape \(4, 1000000\) is asked for, more than the file"
        )
        self.check(content, config, tmp_path, message)

    def test_operations_that_would_run_at_once(self, tmp_path):
        content = mutations.members(TODAY, "symbols")
        for name, settings, args, message in (
            ("Zeros", {"shape": [1 << 20, 1 << 20]}, [], "takes nothing from the model"),
            ("Repeat", {"repeats": 1 << 40}, None, "a setting of 1099511627776 asks for more"),
            ("evil", {"operation": "set_threads", "attributes": {}}, None, "no operation 'set_threads'"),
        ):
            config = json.loads(content["config.json"])
            entry = next(e for e in config["config"]["layers"] if "ops" in str(e["module"]))
            entry["class_name"] = name
            entry["config"] = {"name": entry["name"], **settings}
            if args is not None:
                entry["inbound_nodes"][0]["args"] = args
            self.check(content, config, tmp_path, message)
        config = json.loads(content["config.json"])
        entry = next(e for e in config["config"]["layers"] if e["class_name"] == "Conv2D")
        long = {"class_name": "__numpy__", "config": {"value": "x", "dtype": "U200000000"}}
        entry["inbound_nodes"][0]["kwargs"]["mask"] = long
        self.check(content, config, tmp_path, "must hold numbers")

    @pytest.mark.parametrize(
        "text", ["", "null", "[]", "{}", "3", '{"class_name": 3, "config": {}}', "{", "\ufffe"]
    )
    def test_no_description(self, content, tmp_path, text):
        self.check(content, text, tmp_path, "")

    def test_other_things(self, content, tmp_path):
        dense = keras.saving.serialize_keras_object(layers.Dense(3))
        self.check(content, dense, tmp_path, "it describes a Dense, not a model")


class TestWeights:
    def check(self, path, message):
        """Refused alone, and as the weights of an archive; the model stays as it was."""
        model = model_files.load(TODAY, "custom", ".keras")
        before = model.get_weights()
        with pytest.raises(ValueError, match=message):
            model.load_weights(path)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        content = mutations.members(TODAY, "custom")
        content["model.weights.h5"] = Path(path).read_bytes()
        archive = archive_of(content, Path(path).parent / "a.keras")
        refused(archive, message, custom_objects={"Scale": model_files.Scale})

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "a.weights.h5"
        path.write_bytes((model_files.folder(TODAY) / "custom.weights.h5").read_bytes())
        return path

    def test_links(self, path, tmp_path):
        for link, name in (
            (h5py.SoftLink("/layers/dense"), "SoftLink"),
            (h5py.ExternalLink("other.h5", "/layers"), "ExternalLink"),
        ):
            with h5py.File(path, "r+") as file:
                file["layers/link"] = link
            self.check(path, rf"its entry '/layers/link' is a link to another place \({name}\)")
            with h5py.File(path, "r+") as file:
                del file["layers/link"]
        with h5py.File(path, "r+") as file:
            file["layers/dense/inside"] = file["layers"]
        self.check(path, "is inside itself or there twice")

    def test_data_elsewhere(self, path, tmp_path):
        (tmp_path / "secret").write_bytes(bytes(96))
        with h5py.File(path, "r+") as file:
            del file["layers/dense/vars/0"]
            file["layers/dense/vars"].create_dataset(
                "0", (6, 4), "f4", external=[(str(tmp_path / "secret"), 0, 96)]
            )
        self.check(path, "its array '/layers/dense/vars/0' lies in other files")
        with h5py.File(path, "r+") as file:
            del file["layers/dense/vars/0"]
            layout = h5py.VirtualLayout((6, 4), "f4")
            layout[:] = h5py.VirtualSource("other.h5", "x", (6, 4), "f4")
            file["layers/dense/vars"].create_virtual_dataset("0", layout)
        self.check(path, "lies in other files")

    def test_absurd_sizes(self, path):
        for options in ({"chunks": (1 << 20,), "compression": "gzip"}, {}):
            with h5py.File(path, "r+") as file:
                del file["layers/dense/vars/0"]
                file["layers/dense/vars"].create_dataset("0", (1 << 40,), "f4", **options)
            assert path.stat().st_size < 1 << 18
            self.check(path, "says to hold 4398046511104 bytes, but 0 are stored")

    def test_wrong_arrays(self, path):
        for array, message in (
            (np.zeros((4, 6), np.float32), r"has shape \(6, 4\), in the file \(4, 6\)"),
            (np.zeros((6, 4), "c8"), "complex64, which are not numbers"),
            (np.zeros((6, 4), "S3"), "which are not numbers"),
        ):
            with h5py.File(path, "r+") as file:
                del file["layers/dense/vars/0"]
                file["layers/dense/vars/0"] = array
            self.check(path, message)

    def test_missing_and_additional_arrays(self, path):
        with h5py.File(path, "r+") as file:
            del file["layers/scale"]
            file["layers/dense_1/vars/0"] = np.zeros(3)
        self.check(path, r"layer 'last' \(Scale\) has no group.*group 'layers/dense_1'.* has no layer")

    def test_no_hdf5_any_more(self, path):
        data = path.read_bytes()
        for damaged in (data[:600], data[: len(data) // 2], data[:-1], data[:8] + bytes(2000)):
            path.write_bytes(damaged)
            self.check(path, "it is damaged")


def test_a_zip_that_is_larger_than_it_says(tmp_path):
    """The directory's sizes, not only those of the headers, are held against the file."""
    content = mutations.members(TODAY, "custom")
    data = bytearray(archive_of(content, tmp_path / "a.keras").read_bytes())
    for place in (m.start() for m in re.finditer(b"PK\x01\x02", data)):
        struct.pack_into("<2L", data, place + 20, 1 << 30, 1 << 30)
    (tmp_path / "a.keras").write_bytes(data)
    refused(tmp_path / "a.keras", "goes on after the end of the file")
