"""`.keras` archives, zipped or as a folder: description, weights, optimizer, and notes in the assets."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import building, container, notes, origin, weights
from .serialization import custom_object_scope, serialize_keras_object, sharing

CONFIG, METADATA, NOTES = "config.json", "metadata.json", "assets/cnnexplain.json"
HDF5, NPZ = "model.weights.h5", "model.weights.npz"
_IN_MEMORY = 1 << 27  # bytes of weights that are put together in memory before they are written


def load_model(
    path: str,
    custom_objects: dict | None = None,
    compile: bool = True,
    dtype: str | None = None,
) -> Any:
    """The model of an archive."""
    with container.Archive(path) as archive:
        version = written_by(archive)
        config = archive.json(CONFIG)
        if not isinstance(config, dict):
            raise container.refuse(f"{path}: {CONFIG}", "it describes no model")
        with custom_object_scope(custom_objects or {}):
            config = modern(config, version, path)
        settings = config.pop("compile_config", None)
        config = building.with_dtype(config, dtype)
        with open_weights(archive) as root:
            size = sum(int(a.size) for group in root.groups() for a in group.arrays.values())
            model = building.build_model(config, custom_objects, path, size)
            weights.load_layout(root, model, fresh=True, where=path)
            if compile:
                building.compile_model(model, settings, version, custom_objects, path)
                if model.optimizer is not None and model.optimizer.built:
                    with container.reading(path):
                        weights.load_optimizer(root, model.optimizer)
        notes.apply(model, notes_of(archive))
    return model


def load_weights(path: str, model: Any, skip_mismatch: bool = False) -> None:
    """Reads the weights of an archive into a model."""
    with container.Archive(path) as archive, open_weights(archive) as root:
        weights.load_layout(root, model, skip_mismatch, where=path)


def written_by(archive: container.Archive) -> str:
    """The version of Keras that wrote it."""
    if METADATA not in archive:
        return "3.0.0"
    found = archive.json(METADATA)
    version = found.get("keras_version") if isinstance(found, dict) else None
    return version if isinstance(version, str) else "3.0.0"


def modern(config: dict, version: str, where: Any) -> dict:
    """The description in today's form."""
    if not version.startswith(("0.", "1.", "2.")):
        return config
    from . import legacy_config

    try:
        return legacy_config.modern(config, version)
    except container.FAILURES as error:
        raise building.misdescribed(where, error) from error


@contextlib.contextmanager
def open_weights(archive: container.Archive) -> Iterator[weights.Node]:
    """The weights of an archive."""
    if HDF5 in archive:
        where = f"{archive.path}: {HDF5}"
        with archive.open(HDF5) as file, container.open_hdf5(file, where) as opened:
            with container.reading(where):
                root = weights.tree_of_hdf5(opened)
            yield root
    elif NPZ in archive:
        with archive.open(NPZ) as file:
            with container.reading(f"{archive.path}: {NPZ}"):
                root = weights.tree_of_arrays(read_npz(file, f"{archive.path}: {NPZ}"))
            yield root
    else:
        raise container.refuse(
            archive.path, f"it has neither {HDF5!r} nor {NPZ!r}. Its members: {archive.names}"
        )


def read_npz(file: Any, where: Any) -> dict[str, dict[str, np.ndarray]]:
    """Arrays by path and number: Keras writes each path as a pickled dict, of which only arrays are read."""
    from .pickled_arrays import read_dict

    found: dict[str, dict[str, np.ndarray]] = {}
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.file_size > max(1 << 24, 200 * info.compress_size):
                raise container.refuse(where, f"its member {info.filename!r} grows too much when unpacked")
            if info.filename.endswith(".npy"):
                found[info.filename.removesuffix(".npy")] = read_dict(archive.read(info))
    return found


# Notes


def notes_of(archive: container.Archive) -> dict:
    """What this package wrote beside Keras's members: class_names, preprocess and facts."""
    found = archive.json(NOTES) if NOTES in archive else {}
    return found if isinstance(found, dict) else {}


def read_notes(path: Any) -> dict:
    """The notes of an archive, without the model."""
    with container.Archive(os.fspath(path)) as archive:
        return notes_of(archive)


# Writing


def describe(model: Any, include_optimizer: bool = True) -> dict[str, str]:
    """The members that are text."""
    from .. import __version__

    with sharing():
        config = serialize_keras_object(model)
    settings = model.get_compile_config() if include_optimizer else None
    if settings:
        config["compile_config"] = settings
    date = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    members = {
        METADATA: json.dumps({"keras_version": __version__, "date_saved": date, "writer": "cnnexplain"}),
        CONFIG: json.dumps(config),
    }
    known = notes.of(model)
    if known:
        members[NOTES] = json.dumps(known, indent=1)
    return members


def save_model(model: Any, path: str, zipped: bool = True, include_optimizer: bool = True) -> None:
    """Writes the archive beside `path` and puts it in its place."""
    members = describe(model, include_optimizer)
    if not zipped:
        _save_folder(model, path, members, include_optimizer)
        return
    size = sum(variable.nbytes for variable in map(np.asarray, model.variables))
    with container.replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name in (METADATA, CONFIG):
            archive.writestr(name, members[name])
        if size < _IN_MEMORY:
            content = io.BytesIO()
            write_weights(model, content, include_optimizer)
            archive.writestr(HDF5, content.getbuffer())
        else:
            with tempfile.NamedTemporaryFile(dir=os.path.dirname(os.path.abspath(path))) as part:
                write_weights(model, part.name, include_optimizer)
                archive.write(part.name, HDF5)
        if NOTES in members:
            archive.writestr(NOTES, members[NOTES])


def _save_folder(model: Any, path: str, members: dict[str, str], include_optimizer: bool) -> None:
    outer = os.path.dirname(os.path.abspath(path))
    with tempfile.TemporaryDirectory(prefix=f".{os.path.basename(path)}.", dir=outer) as place:
        new = os.path.join(place, "new")
        os.mkdir(new)
        for name, text in members.items():
            target = os.path.join(new, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w") as file:
                file.write(text)
        write_weights(model, os.path.join(new, HDF5), include_optimizer)
        if os.path.isdir(path):
            _check_ours(path)
            os.rename(path, os.path.join(place, "old"))
        os.rename(new, path)


def _check_ours(path: str) -> None:
    """A folder is replaced only when it is empty or holds a model."""
    if os.listdir(path) and not os.path.isfile(os.path.join(path, CONFIG)):
        raise ValueError(f"The folder {path} exists and holds something else than a model.")


def write_weights(model: Any, target: Any, include_optimizer: bool = True) -> None:
    """Writes the weights as HDF5 to a path or an open file."""
    with container.writing_hdf5(target) as file:
        weights.save_layout(file, model, include_optimizer)
        origin.remark(model, file)


def save_weights(model: Any, path: str) -> None:
    """Writes `.weights.h5` beside `path` and puts it in its place."""
    with container.replacing(path) as file:
        write_weights(model, file)


__all__ = [
    "describe", "load_model", "load_weights", "modern", "read_notes", "save_model", "save_weights",
]  # fmt: skip
