"""A thousand seeded mutations of legacy HDF5 files: each loads or raises ValueError, within bounds."""

from __future__ import annotations

import copy
import json
import random
import time
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from cnnexplain import keras

FILES = Path(__file__).parents[1] / "fixtures" / "files"
SOURCES = [
    ("legacy-212.zip", "stack"),
    ("legacy-215.zip", "nested"),
    ("legacy-212.zip", "arithmetic"),
    ("legacy-3.zip", "arithmetic"),
]
JUNK = [
    None, -1, 0, 3, 10**12, 1e300, True, "", "relu", "é" * 40, [], [[]], {}, [None, None], "../x",
    {"class_name": "Dense"}, {"class_name": "Conv2D", "config": {"filters": 10**11, "kernel_size": 10**6}},
    {"class_name": "__lambda__", "config": {"value": "4wEA"}}, ["conv", 0, 0], ["conv", -5, 99, {}],
]  # fmt: skip


def places(value, path=()):
    """The paths of everything inside."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def changed(config, rng):
    """A description with one to three changes of structure."""
    config = copy.deepcopy(config)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(places(config) or [()])
        if not path:
            break
        outer = config
        for key in path[:-1]:
            outer = outer[key]
        how = rng.randrange(6)
        if how == 0:
            del outer[path[-1]]
        elif how == 1:
            outer[path[-1]] = rng.choice(JUNK)
        elif how == 2 and isinstance(outer, list):
            outer.insert(path[-1], copy.deepcopy(rng.choice(outer)))
        elif how == 3 and isinstance(outer, dict):
            outer[str(path[-1]) + "x"] = outer.pop(path[-1])
        elif how == 4:
            inner = outer[path[-1]]
            for _ in range(rng.choice([1, 3, 40])):
                inner = [inner]
            outer[path[-1]] = inner
        elif isinstance(outer[path[-1]], (int, float)) and not isinstance(outer[path[-1]], bool):
            outer[path[-1]] = outer[path[-1]] * rng.choice([-1, 2, 10**9])
        else:
            outer[path[-1]] = copy.deepcopy(_at(config, rng.choice(places(config))))
    return config


def _at(value, path):
    for key in path:
        value = value[key]
    return value


def in_json(path, rng):
    name = rng.choice(["model_config"] * 4 + ["training_config"])
    with h5py.File(path, "r+") as file:
        if name not in file.attrs:
            name = "model_config"
        text = file.attrs[name]
        if rng.random() < 0.05:
            text = "[" * 100_000
        elif rng.random() < 0.1:
            cut = rng.randrange(len(text))
            text = text[:cut] + rng.choice(["", "}", "\x01", '"', "\ud7ff"]) + text[cut + rng.randrange(9) :]
        else:
            text = json.dumps(changed(json.loads(text), rng))
        del file.attrs[name]
        file.attrs[name] = text


def objects(file, kind):
    found = []
    file.visititems(lambda name, thing: found.append(name) if isinstance(thing, kind) else None)
    return found


def in_attributes(path, rng):
    with h5py.File(path, "r+") as file:
        holder = file[rng.choice(["/", *objects(file, h5py.Group)])]
        keys = list(holder.attrs)
        if not keys:
            holder = file["model_weights"]
            keys = list(holder.attrs)
        key = rng.choice(keys)
        value = holder.attrs[key]
        how = rng.randrange(6)
        del holder.attrs[key]
        if how == 1:
            holder.attrs[key] = rng.choice([3, 2.5, np.zeros((2, 2)), b"\xff\xfe", "nothing", np.zeros(0)])
        elif how == 2:
            holder.attrs[key + "0"] = value
        elif how >= 3 and isinstance(value, np.ndarray) and value.size:
            names = [name if isinstance(name, bytes) else str(name).encode() for name in value]
            if how == 3:
                names.append(rng.choice(names))
            elif how == 4:
                rng.shuffle(names)
            else:
                names[rng.randrange(len(names))] = rng.choice(
                    [b"../..", b"/", b"", b"a" * 300, b"model_weights"]
                )
            holder.attrs[key] = np.array(names)


def in_datasets(path, rng):
    with h5py.File(path, "r+") as file:
        name = rng.choice(objects(file, h5py.Dataset))
        values = file[name][()]
        how = rng.randrange(10)
        del file[name]
        if how == 0:
            return
        if how == 1:
            file[name] = values[..., None] if np.ndim(values) else np.zeros(3)
        elif how == 2:
            file[name] = np.asarray(values).astype("S4")
        elif how == 3:
            file[name] = h5py.SoftLink("/model_weights")
        elif how == 4:
            file[name] = h5py.ExternalLink("/etc/passwd", "/")
        elif how == 5:
            file.create_dataset(name, (10**6, 10**6, 10**3), "f4", chunks=(1, 1, 10**3))
        elif how == 6:
            layout = h5py.VirtualLayout(np.shape(values) or (1,), "f4")
            file.create_virtual_dataset(name, layout)
        elif how == 7:
            file.create_dataset(
                name, np.shape(values), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
            )
        elif how == 8:
            file.create_group(name)
        else:
            file[name] = np.asarray(values).astype(rng.choice(["f8", "f2", "i4", "?"]))


def in_structure(path, rng):
    """Bytes of the superblock, of object headers, trees and heaps."""
    content = bytearray(path.read_bytes())
    marks = [0]
    for mark in (b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"FRHP", b"BTHD", b"BTLF"):
        start = content.find(mark)
        while start >= 0:
            marks.append(start)
            start = content.find(mark, start + 1)
    for _ in range(rng.randint(1, 4)):
        place = rng.choice(marks) + rng.randrange(96)
        if place < len(content):
            content[place] = rng.choice([0, 1, 0x7F, 0xFF, rng.randrange(256)])
    path.write_bytes(content)


def in_length(path, rng):
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def in_payload(path, rng):
    content = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 30)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)


KINDS = [in_json] * 4 + [in_attributes] * 2 + [in_datasets] * 2 + [in_structure] * 4 + [in_length, in_payload]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    made = []
    for archive, name in SOURCES:
        with zipfile.ZipFile(FILES / archive) as files:
            made.append(files.read(f"{name}.h5"))
    return folder, made


def mutant(folder, sources, seed):
    rng = random.Random(seed)
    path = folder / "mutant.h5"
    path.write_bytes(sources[seed % len(sources)])
    kind = KINDS[(seed // len(sources)) % len(KINDS)]
    kind(path, rng)
    return path, kind


@pytest.mark.filterwarnings("ignore:The optimizer's state")
@pytest.mark.parametrize("block", range(10))
def test_mutants_load_or_are_refused(sources, block):
    folder, made = sources
    faults, read = [], 0
    for seed in range(100 * block, 100 * block + 100):
        path, kind = mutant(folder, made, seed)
        begin = time.perf_counter()
        if seed % 5 == 0:  # it takes time
            tracemalloc.start()
        try:
            model = keras.models.load_model(path)
            assert isinstance(model, keras.Model)
            read += 1
        except ValueError as error:
            if not str(error):
                faults.append((seed, kind.__name__, "an error without words"))
        except Exception as error:
            faults.append((seed, kind.__name__, repr(error)[:200]))
        peak = tracemalloc.get_traced_memory()[1] if tracemalloc.is_tracing() else 0
        tracemalloc.stop()
        if peak > 200e6:
            faults.append((seed, kind.__name__, f"{peak / 1e6:.0f} MB"))
        if time.perf_counter() - begin > 10:
            faults.append((seed, kind.__name__, "slow"))
    assert not faults
    assert read
