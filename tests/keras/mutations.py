"""Damaged model files, each from a seed: `.keras` archives and `.weights.h5`, mostly with damaged structure.

    python tests/keras/mutations.py FORM FIRST LAST      # prints each seed before it is tried

FORM is "keras" or "weights". A file must load, or be refused with a ValueError, within bounds of time and
memory.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import h5py
import model_files
import numpy as np

from cnnexplain import keras

SOURCES = ("sequential", "branched", "nested", "several", "symbols", "mobile", "text")
JUNK = (
    None, True, -1, 0, 1, 3, 2**40, 10**30, 1e300, float("nan"), 0.5, "", "x", "relu", "Dense", "__lambda__",
    "float16", "../../etc/passwd", [], {}, [[]], [None], [1, 2], [-1, 0, 2**50], {"class_name": "Dense"},
    {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}, {"class_name": "Functional", "config": {}},
    {"class_name": "function", "config": "eval", "registered_name": "os>system", "module": "os"},
)  # fmt: skip
MOST_SECONDS, MOST_BYTES = 10, 1 << 29


def members(archive, name):
    with zipfile.ZipFile(model_files.folder(archive) / f"{name}.keras") as file:
        return {member: file.read(member) for member in file.namelist()}


def zipped(content):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, data in content.items():
            file.writestr(name, data)
    return target.getvalue()


# Descriptions


def places(value, found=None):
    """(container, key) of everything inside."""
    found = [] if found is None else found
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places(value[key], found)
    return found


def damage_json(rng, text):
    config = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        found = places(config)
        if not found:
            break
        holder, key = rng.choice(found)
        kind = rng.randrange(7)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, place = rng.choice(found)
            holder[key] = json.loads(json.dumps(other[place]))
        elif kind == 2 and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        elif kind == 3 and isinstance(holder, dict):
            holder[key + "x"] = holder.pop(key)
        elif kind == 4 and isinstance(holder[key], int):
            holder[key] = rng.choice((-holder[key], holder[key] + 1, holder[key] * 10**6, holder[key] * 7))
        elif kind == 5 and rng.random() < 0.3:
            deep = holder[key]
            for _ in range(rng.choice((50, 300, 900))):
                deep = [deep] if rng.random() < 0.5 else {"config": deep, "class_name": "Sequential"}
            holder[key] = deep
        else:
            holder[key] = rng.choice(JUNK)
    return json.dumps(config).encode()


def damage_text(rng, text):
    kind = rng.randrange(3)
    if kind == 0:
        return text[: rng.randrange(len(text))]
    if kind == 1:
        return b"[" * rng.choice((10, 10_000, 200_000)) + text
    return flip(rng, text, range(len(text)))


# HDF5


def flip(rng, data, allowed, most=4):
    changed = bytearray(data)
    for _ in range(rng.randint(1, most)):
        changed[rng.choice(allowed)] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
    return bytes(changed)


def structure(data):
    """The bytes of an HDF5 file that are not numbers of its arrays."""
    free = np.ones(len(data), bool)

    def note(name, thing):
        if isinstance(thing, h5py.Dataset) and thing.id.get_offset() is not None:
            start = thing.id.get_offset()
            free[start : start + thing.id.get_storage_size()] = False

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(note)
    # most of a file is empty room; the changes shall hit something
    used = free & (np.frombuffer(data, np.uint8) != 0)
    return np.flatnonzero(used if rng_half(data) else free).tolist()


def rng_half(data):
    return zlib.crc32(data) % 4 > 0


def edit_hdf5(rng, data):
    """Changes that keep the file whole: other shapes, links, missing and additional entries."""
    target = io.BytesIO(data)
    with h5py.File(target, "r+") as file:
        names = []
        file.visit(names.append)
        name = rng.choice(names)
        outer, _, last = name.rpartition("/")
        group = file[outer] if outer else file
        kind = rng.randrange(10)
        if kind == 0:
            del group[last]
        elif kind == 1:
            group.move(last, f"{last}_{rng.randrange(10**6, 10**7)}")
        elif kind == 2:
            group[last + "_link"] = h5py.SoftLink("/layers")
        elif kind == 3:
            group[last + "_link"] = h5py.ExternalLink("/etc/passwd", "/")
        elif kind == 4:
            group[f"{last}_again"] = group[last]
        elif kind == 5 and isinstance(group[last], h5py.Group):
            group[last]["inside"] = group[last]
        else:
            if isinstance(group[last], h5py.Group):
                last = "vars" if "vars" in group else "extra"
            if last in group:
                del group[last]
            make_array(rng, group, last)
    return target.getvalue()


def make_array(rng, group, name):
    kind = rng.randrange(7)
    if kind == 0:
        group[name] = np.zeros(rng.choice([(0,), (3,), (2, 2), (1,) * 20]), np.float32)
    elif kind == 1:
        group[name] = np.array([b"words"])
    elif kind == 2:
        group.create_dataset(name, (1 << 40,), "f4", chunks=(1 << 16,), compression="gzip")
    elif kind == 3:
        group.create_dataset(name, (1 << 45,), "f4")
    elif kind == 4:
        group.create_dataset(name, (4,), "f4", external=[("/etc/passwd", 0, 16)])
    elif kind == 5:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,), "f4")
        group.create_virtual_dataset(name, layout)
    else:
        group[name] = np.zeros(3, "c16")


def damage_hdf5(rng, data):
    kind = rng.randrange(3)
    if kind == 0:
        return edit_hdf5(rng, data)
    if kind == 1:
        return data[: rng.randrange(len(data))]
    return flip(rng, data, structure(data), 8)


# Whole files


def damage_directory(rng, data):
    """Changes in the archive's directory and headers."""
    spots = []
    for mark, length in ((b"PK\x01\x02", 60), (b"PK\x05\x06", 22), (b"PK\x03\x04", 40)):
        place = data.find(mark)
        while place >= 0:
            spots.extend(range(place, min(place + length, len(data))))
            place = data.find(mark, place + 4)
    kind = rng.randrange(6)
    if kind == 0:
        return data[: rng.choice((rng.randrange(len(data)), len(data) - rng.randrange(1, 200)))]
    if kind == 1:
        return data.replace(b"model.weights.h5", rng.choice((b"../../weights.h5", b"/odel.weights.h5")))
    if kind == 2:
        return data.replace(b"config.json", rng.choice((b"konfig.json", b"metadat.jso", b"..\\fig.json")))
    return flip(rng, data, spots, 3)


def damaged_archive(seed):
    """(what was done, the bytes)."""
    rng = random.Random(seed)
    content = members(rng.choice(list(model_files.VERSIONS)), rng.choice(SOURCES))
    kind = rng.choices(("json", "text", "hdf5", "directory", "payload"), (40, 6, 24, 15, 15))[0]
    if kind in ("json", "text"):
        name = "config.json" if rng.random() < 0.95 else "metadata.json"
        content[name] = (damage_json if kind == "json" else damage_text)(rng, content[name])
    elif kind == "hdf5":
        content["model.weights.h5"] = damage_hdf5(rng, content["model.weights.h5"])
    data = zipped(content)
    if kind == "directory":
        data = damage_directory(rng, data)
    elif kind == "payload":
        data = flip(rng, data, range(len(data)), 20)
    return kind, data


def damaged_weights(seed):
    rng = random.Random(seed)
    archive, name = rng.choice(list(model_files.VERSIONS)), rng.choice(SOURCES)
    data = (model_files.folder(archive) / f"{name}.weights.h5").read_bytes()
    if rng.random() < 0.8:
        return "hdf5", (archive, name), damage_hdf5(rng, data)
    return "payload", (archive, name), flip(rng, data, range(len(data)), 20)


# A sanitizer reserves terabytes of addresses and keeps freed memory back.
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")


def most_memory():
    """Bytes that this process has taken at most."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(s.split()[1]) for s in status.read_text().splitlines() if s.startswith("VmHWM")) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def attempt(form, seed, path, models):
    """Either "loaded" or the error's text; anything else than a ValueError is raised."""
    if form == "keras":
        _, data = damaged_archive(seed)
    else:
        _, source, data = damaged_weights(seed)
    path.write_bytes(data)
    before = most_memory()
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if form == "keras":
                model = keras.models.load_model(path, custom_objects={"Scale": model_files.Scale})
                assert isinstance(model, keras.Model)
                result = "loaded"
            else:
                if source not in models:
                    models[source] = model_files.load(*source, ".keras", compile=False)
                kept = [np.array(v) for v in models[source].weights]
                try:
                    models[source].load_weights(path)
                    result = "loaded"
                except ValueError:
                    for a, b in zip(kept, models[source].weights, strict=True):
                        np.testing.assert_array_equal(a, np.asarray(b))  # nothing is changed halfway
                    raise
    except ValueError as error:
        result = str(error)
        assert "cannot be read" in result or "fit" in result, result
    assert time.perf_counter() - begin < MOST_SECONDS, "it took too long"
    grown = most_memory() - before
    assert SANITIZED or grown < MOST_BYTES, f"it took {grown >> 20} MB"
    return result


def main(form, first, last):
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 33, 1 << 33))
    models = {}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, last):
            print(seed, flush=True)
            result = attempt(form, seed, Path(folder) / "model", models)
            results["loaded" if result == "loaded" else "refused"] = (
                results.get("loaded" if result == "loaded" else "refused", 0) + 1
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
