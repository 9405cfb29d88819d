"""Groups, datasets and attributes of legacy HDF5 files: names in lists, and text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .container import FileContentError

_HEADER = 64512  # bytes that fit into one attribute beside the rest of an object's header
_SHOWN = 20


def child(group: Any, name: str, kind: str = "group") -> Any:
    """The group or dataset of this name, which may hold slashes, inside `group`; ValueError when there is
    none.
    """
    import h5py

    place = group
    for part in [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]:
        if part == ".." or not isinstance(place, h5py.Group) or part not in place:
            there = ", ".join(sorted(place)[:_SHOWN]) if isinstance(place, h5py.Group) else ""
            raise FileContentError(
                f"The file has no {kind} '{name}' in '{group.name}'."
                + (f" There are: {there}" if there else "")
            )
        place = place[part]
    if not isinstance(place, h5py.Dataset if kind == "dataset" else h5py.Group):
        raise FileContentError(f"'{name}' in '{group.name}' must be a {kind}. Found: {type(place).__name__}")
    return place


def whole(dataset: Any) -> Any:
    """A dataset whose numbers all lie inside the file."""
    file = dataset.file.id
    start = dataset.id.get_offset() if dataset.chunks is None else None
    if start is not None and start + dataset.id.get_storage_size() > file.get_filesize():
        raise FileContentError(f"Dataset '{dataset.name}' goes on after the end of the file.")
    return dataset


def _text(value: Any, name: str) -> str:
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return str(value)
    raise FileContentError(f"Attribute '{name}' must be text. Found: {type(value).__name__}")


def _read(thing: Any, name: str) -> Any:
    kind = thing.attrs.get_id(name)
    if math.prod(kind.shape or ()) * kind.dtype.itemsize > thing.file.id.get_filesize():
        raise FileContentError(f"Attribute '{name}' of '{thing.name}' is said to be larger than the file.")
    return thing.attrs[name]


def text(thing: Any, name: str) -> str | None:
    """An attribute's text; None where there is none."""
    return _text(_read(thing, name), name) if name in thing.attrs else None


def has_names(group: Any, name: str) -> bool:
    """Does the group have a list of this name?"""
    return name in group.attrs or f"{name}0" in group.attrs


def names(group: Any, name: str) -> list[str]:
    """A list of names from an attribute, or from its parts `name0`, `name1` ..."""
    if not has_names(group, name):
        raise FileContentError(f"'{group.name}' in the file has no list '{name}'.")
    keys = [name]
    if name not in group.attrs:
        keys = []
        while f"{name}{len(keys)}" in group.attrs:
            keys.append(f"{name}{len(keys)}")
    return [_text(one, key) for key in keys for one in np.atleast_1d(_read(group, key)).tolist()]


def write_names(group: Any, name: str, values: list[str]) -> None:
    """Writes a list of names, in parts where it is longer than an attribute may be."""
    data = np.asarray([value.encode("utf-8") for value in values]) if values else np.zeros(0)
    if data.itemsize > _HEADER:
        raise ValueError(f"A name of {data.itemsize} bytes is too long for an HDF5 file.")
    count = 1
    while any(part.nbytes > _HEADER for part in np.array_split(data, count)):
        count += 1
    if count == 1:
        group.attrs[name] = data
    else:
        for place, part in enumerate(np.array_split(data, count)):
            group.attrs[f"{name}{place}"] = part


__all__ = ["child", "has_names", "names", "text", "whole", "write_names"]
