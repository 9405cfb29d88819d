"""Arrays of ONNX files, read when they are asked for: the file's own bytes, or those of a file beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

# TensorProto.DataType: name, and how its numbers lie in raw bytes
TYPES: dict[int, tuple[str, str]] = {
    1: ("FLOAT", "<f4"), 2: ("UINT8", "u1"), 3: ("INT8", "i1"), 4: ("UINT16", "<u2"), 5: ("INT16", "<i2"),
    6: ("INT32", "<i4"), 7: ("INT64", "<i8"), 9: ("BOOL", "?"), 10: ("FLOAT16", "<f2"), 11: ("DOUBLE", "<f8"),
    12: ("UINT32", "<u4"), 13: ("UINT64", "<u8"), 16: ("BFLOAT16", "<u2"),
}  # fmt: skip
_NO_ARRAYS = {8: "strings", 14: "complex numbers", 15: "complex numbers"}
_FIELDS = {1: "float_data", 11: "double_data", 7: "int64_data", 12: "uint64_data", 13: "uint64_data"}


class Damaged(ValueError):
    """A file, or an array in it, that cannot be what it says."""


@dataclass(frozen=True)
class Stored:
    """An array in a file: where it is, not its numbers."""

    path: str
    offset: int
    shape: tuple[int, ...]
    kind: int
    name: str

    @property
    def dtype(self) -> np.dtype:
        return np.dtype("float32") if self.kind in (10, 16) else np.dtype(TYPES[self.kind][1])

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        with open(self.path, "rb") as file:
            raw = np.fromfile(file, TYPES[self.kind][1], int(np.prod(self.shape)), offset=self.offset)
        if raw.size != np.prod(self.shape):
            raise Damaged(f"{self.path} ends within the array {self.name!r}")
        made = widened(raw, self.kind).reshape(self.shape)
        return made if dtype is None else made.astype(dtype, copy=False)


def widened(raw: np.ndarray, kind: int) -> np.ndarray:
    """Half precision as float32; everything else as it is."""
    if kind == 16:
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float32) if kind == 10 else raw


def array_of(proto: Any, place: Place | None, folder: str, path: str) -> Any:
    """The array of a TensorProto, or where it is.

    Args:
        proto: The message.
        place: Where its raw bytes are in the file, when they were left there.
        folder: Of the file: external data lie beside it.
        path: Of the file.

    Raises:
        Damaged: Another number of bytes than the shape needs, or external data that are missing or outside.
    """
    shape = tuple(proto.dims)
    kind = proto.data_type
    if kind not in TYPES:
        what = _NO_ARRAYS.get(kind, f"numbers of type {kind}")
        raise Damaged(f"array {proto.name!r} holds {what}, which are not read: export floats and integers")
    if min(shape, default=0) < 0:
        raise Damaged(f"array {proto.name!r} has a shape with negative sizes, {shape}")
    count = int(np.prod(shape, dtype=object))
    size = count * np.dtype(TYPES[kind][1]).itemsize
    if proto.data_location == 1:
        return _external(proto, folder, shape, size)
    if place is not None:
        _check_size(proto.name, place.size, size, shape)
        return Stored(path, place.offset, shape, kind, proto.name)
    if proto.raw_data or (not count and kind not in _FIELDS):
        _check_size(proto.name, len(proto.raw_data), size, shape)
        raw = np.frombuffer(proto.raw_data, TYPES[kind][1])
    else:
        listed = getattr(proto, _FIELDS.get(kind, "int32_data"))
        if len(listed) != count:
            raise Damaged(f"array {proto.name!r} of shape {shape} holds {len(listed)} numbers, not {count}")
        raw = np.array(listed, dtype=np.uint16 if kind == 10 else TYPES[kind][1])
        raw = raw.view(np.float16) if kind == 10 else raw
    return widened(raw, kind).reshape(shape)


def _check_size(name: str, got: int, wanted: int, shape: tuple[int, ...]) -> None:
    if got != wanted:
        raise Damaged(f"array {name!r} of shape {shape} holds {got} bytes, not {wanted}")


def _external(proto: Any, folder: str, shape: tuple[int, ...], size: int) -> Stored:
    entries = {entry.key: entry.value for entry in proto.external_data}
    location = entries.get("location", "")
    inside = location and "\0" not in location and not os.path.isabs(location)
    target = os.path.realpath(os.path.join(folder, location)) if inside else ""
    if not target.startswith(os.path.realpath(folder) + os.sep):
        raise Damaged(
            f"array {proto.name!r} names the external file {location!r}, which is not beside the model: "
            "only files in the model's folder are read"
        )
    if not os.path.isfile(target):
        raise MissingData(location)
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or size)
    except ValueError:
        raise Damaged(f"array {proto.name!r} names no place in its external file: {entries}") from None
    _check_size(proto.name, length, size, shape)
    if offset < 0 or offset + length > os.path.getsize(target):
        raise Damaged(f"the external file {location!r} ends before the array {proto.name!r}")
    return Stored(target, offset, shape, proto.data_type, proto.name)


class MissingData(Exception):
    """An external file that is not there."""


@dataclass(frozen=True)
class Place:
    """Bytes in a file."""

    offset: int
    size: int


def without_raw_data(file: Any, size: int, least: int = 4096) -> tuple[bytes, list[Place | None]]:
    """A serialized ModelProto without the numbers of its large initializers, so that they are read once.

    Returns:
        The bytes, and for each initializer where its raw data are, None where they stayed.

    Raises:
        Damaged: The file is no protobuf message.
    """
    places: list[Place | None] = []

    def model(start: int, stop: int) -> bytes:
        return _rewritten(file, start, stop, {7: graph})

    def graph(start: int, stop: int) -> bytes:
        return _rewritten(file, start, stop, {5: initializer})

    def initializer(start: int, stop: int) -> bytes:
        found: list[Place] = []

        def raw(begin: int, end: int) -> bytes | None:
            if end - begin < least:
                return _read(file, begin, end)
            found.append(Place(begin, end - begin))
            return None

        made = _rewritten(file, start, stop, {9: raw})
        places.append(found[-1] if found else None)
        return made

    return model(0, size), places


def _read(file: Any, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(stop - start)


def _varint(file: Any, at: int, stop: int) -> tuple[int, int]:
    value = shift = 0
    for byte in _read(file, at, min(stop, at + 10)):
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise Damaged("it is no ONNX file: its bytes are no protobuf message")


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _rewritten(file: Any, start: int, stop: int, inner: dict[int, Any]) -> bytes:
    """A message with some of its fields of bytes replaced; those that become None are left out."""
    out = []
    at = copied = start
    while at < stop:
        field = at
        key, at = _varint(file, at, stop)
        wire = key & 7
        if wire == 0:
            _, at = _varint(file, at, stop)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            length, begin = _varint(file, at, stop)
            at = begin + length
            if at <= stop and key >> 3 in inner:
                out.append(_read(file, copied, field))
                new = inner[key >> 3](begin, at)
                if new is not None:
                    out += [_encoded(key), _encoded(len(new)), new]
                copied = at
        else:
            raise Damaged("it is no ONNX file: its bytes are no protobuf message")
        if at > stop:
            raise Damaged("it is cut off, or no ONNX file")
    out.append(_read(file, copied, stop))
    return b"".join(out)
