"""Zip archives and HDF5 files from anywhere: looked through before anything is read, and read within bounds.

Nothing is unpacked to a disk, no name inside a file becomes a path, and no link is followed.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK"

_EXPANSION = 200  # times that packed data may grow when it is more than _SMALL
_SMALL = 1 << 24
_DEEPEST = 100
_MOST_OBJECTS = 500_000
_LARGEST_TEXT = 1 << 28
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")

FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What libraries raise over a damaged file."""


class FileContentError(ValueError):
    """A file whose content is damaged, unsafe or not what was expected."""


def refuse(where: Any, reason: str) -> FileContentError:
    """The error for a file that is not read."""
    return FileContentError(f"{where} cannot be read: {reason}")


@contextlib.contextmanager
def reading(where: Any) -> Iterator[None]:
    """Turns whatever libraries raise over damaged content into one kind of error."""
    try:
        yield
    except FileContentError:
        raise
    except FAILURES as error:
        text = " ".join(str(error).split())[:500] or type(error).__name__
        raise refuse(where, f"it is damaged or something else ({text}). Fetch or save it again") from error


class Window(io.RawIOBase):
    """A stretch of an open file as a file of its own, read straight into the caller's memory."""

    def __init__(self, file: Any, start: int, size: int):
        super().__init__()
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = min(len(view), max(0, self._size - self._at))
        self._file.seek(self._start + self._at)
        done = 0
        while done < count:
            got = self._file.readinto(view[done:count])
            if not got:
                break
            done += got
        self._at += done
        return done


class Archive:
    """A zip file or a folder of files, with names checked; `names` are those of its files."""

    def __init__(self, path: str):
        self.path = path
        self._file: Any = None
        self._members: dict[str, Any] = {}
        if os.path.isdir(path):
            for name in ("config.json", "metadata.json", "model.weights.h5", "model.weights.npz"):
                if os.path.isfile(os.path.join(path, name)):
                    self._members[name] = os.path.join(path, name)
            notes = os.path.join(path, "assets", "cnnexplain.json")
            if os.path.isfile(notes):
                self._members["assets/cnnexplain.json"] = notes
            return
        self._file = open(path, "rb", buffering=0)
        try:
            with reading(path):
                self._list()
        except BaseException:
            self._file.close()
            raise

    def _list(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        self._zip = zipfile.ZipFile(self._file)
        for info in self._zip.infolist():
            name = info.filename.replace("\\", "/")
            if name.startswith("/") or ":" in name or ".." in name.split("/") or "\0" in name:
                raise refuse(self.path, f"its member {info.filename!r} has a path that leaves the archive")
            if name in self._members:
                raise refuse(self.path, f"its member {name!r} is there twice")
            if info.flag_bits & 1:
                raise refuse(self.path, f"its member {name!r} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise refuse(self.path, f"its member {name!r} is packed by a method that Keras does not use")
            if info.header_offset + info.compress_size > size:
                raise refuse(self.path, f"its member {name!r} goes on after the end of the file")
            stored = info.compress_type == zipfile.ZIP_STORED
            if (stored and info.file_size != info.compress_size) or info.file_size > max(
                _SMALL, _EXPANSION * info.compress_size
            ):
                raise refuse(
                    self.path,
                    f"its member {name!r} says that {info.file_size} bytes were packed into "
                    f"{info.compress_size}",
                )
            self._members[name] = info

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *failure: Any) -> None:
        if self._file is not None:
            self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def text(self, name: str) -> str:
        """A member's text."""
        with reading(f"{self.path}: {name}"):
            if name not in self._members:
                raise refuse(self.path, f"it has no {name!r}. Its members: {self.names}")
            member = self._members[name]
            if isinstance(member, str):
                if os.path.getsize(member) > _LARGEST_TEXT:
                    raise refuse(member, "it is too long for a description")
                with open(member, "rb") as file:
                    return file.read().decode()
            if member.file_size > _LARGEST_TEXT:
                raise refuse(self.path, f"its member {name!r} is too long for a description")
            return self._zip.read(member).decode()

    def json(self, name: str) -> Any:
        """A member's JSON, not nested too deeply."""
        with reading(f"{self.path}: {name}"):
            return parse_json(self.text(name))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """A member as a binary file that can be read at any place."""
        member = self._members[name]
        if isinstance(member, str):
            with open(member, "rb", buffering=0) as file:
                yield Window(file, 0, os.fstat(file.fileno()).st_size)
        elif member.compress_type == zipfile.ZIP_STORED:
            with reading(f"{self.path}: {name}"):
                window = self._stored(member)
            yield window
        else:
            with reading(f"{self.path}: {name}"):
                content = io.BytesIO(self._zip.read(member))
            yield content

    def _stored(self, info: Any) -> Window:
        self._file.seek(info.header_offset)
        header = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        start = info.header_offset + _LOCAL_HEADER.size + header[9] + header[10]
        if header[0] != b"PK\x03\x04" or start + info.file_size > os.fstat(self._file.fileno()).st_size:
            raise refuse(self.path, f"its member {info.filename!r} is not where the archive says")
        window = Window(self._file, start, info.file_size)
        check, block = 0, bytearray(1 << 20)
        while count := window.readinto(block):
            check = zlib.crc32(memoryview(block)[:count], check)
        if check != info.CRC:
            raise refuse(self.path, f"its member {info.filename!r} has changed since it was written")
        window.seek(0)
        return window


def parse_json(text: str | bytes) -> Any:
    """JSON that is not nested too deeply."""
    value = json.loads(text)
    level: list[Any] = [value]
    for _ in range(_DEEPEST * 5):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise ValueError(f"its JSON text is nested more than {_DEEPEST * 5} times")


# HDF5


@contextlib.contextmanager
def open_hdf5(source: Any, where: Any = None) -> Iterator[Any]:
    """The `h5py.File` of a path or an open binary file, after a look through all of it.

    Args:
        source: the path or file.
        where: what errors call it; the path.

    Raises:
        ValueError: it is damaged, or holds links, data in other files, absurd sizes or endless nesting.
    """
    import h5py

    where = source if where is None else where
    with contextlib.ExitStack() as stack:
        with reading(where):
            file = stack.enter_context(h5py.File(source, "r"))
            look_through(file, where)
        yield file


def look_through(file: Any, where: Any) -> None:
    """Raises where an HDF5 file holds what no model file does."""
    import h5py

    size = int(file.id.get_filesize())
    stack = [(file["/"], 0)]
    groups = set()
    count = 0
    while stack:
        group, depth = stack.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in groups:
            raise refuse(where, f"its group {group.name!r} is inside itself or there twice")
        groups.add(address)
        if depth > _DEEPEST:
            raise refuse(where, f"its group {group.name!r} is nested more than {_DEEPEST} times")
        for name in group:
            count += 1
            if count > _MOST_OBJECTS:
                raise refuse(where, f"it has more than {_MOST_OBJECTS} entries")
            link = group.get(name, getlink=True)
            place = f"{group.name.rstrip('/')}/{name}"
            if not isinstance(link, h5py.HardLink):
                raise refuse(where, f"its entry {place!r} is a link to another place ({type(link).__name__})")
            entry = group[name]
            if isinstance(entry, h5py.Group):
                stack.append((entry, depth + 1))
            elif isinstance(entry, h5py.Dataset):
                _check_dataset(entry, size, where)
            else:
                raise refuse(where, f"its entry {place!r} is neither a group nor an array")


def _check_dataset(dataset: Any, size: int, where: Any) -> None:
    if dataset.external or dataset.is_virtual:
        raise refuse(where, f"its array {dataset.name!r} lies in other files")
    declared = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
    stored = int(dataset.id.get_storage_size())
    packed = dataset.chunks is not None
    if stored > size or declared > max(_SMALL if packed else 1 << 16, (_EXPANSION if packed else 1) * stored):
        raise refuse(
            where,
            f"its array {dataset.name!r} of shape {dataset.shape} says to hold {declared} bytes, but "
            f"{stored} are stored",
        )


def is_bfloat16(dataset: Any) -> bool:
    """Is it bfloat16, which HDF5 holds as two bytes?"""
    if dataset.dtype.kind != "V" or dataset.dtype.itemsize != 2:
        return False
    note = dataset.attrs.get("dtype", "bfloat16")
    return (note.decode() if isinstance(note, bytes) else note) == "bfloat16"


def check_fits(dataset: Any, shape: tuple, what: str) -> None:
    """Raises where an array is not numbers of this shape."""
    found = tuple(np.shape(dataset)) if isinstance(dataset, np.ndarray) else tuple(dataset.shape)
    if found != tuple(shape):
        raise FileContentError(f"{what} has shape {tuple(shape)}, in the file {found}")
    if dataset.dtype.kind not in "fiub" and not is_bfloat16(dataset):
        raise FileContentError(f"{what}: the file holds {dataset.dtype}, which are not numbers")


def as_array(dataset: Any) -> np.ndarray:
    """The array; bfloat16 as float32."""
    if isinstance(dataset, np.ndarray):
        return dataset
    if is_bfloat16(dataset):
        raw = np.asarray(dataset[()]).view(np.uint16).reshape(dataset.shape)
        return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(dataset[()])


def read_into(dataset: Any, variable: Any, fresh: bool = False) -> None:
    """Gives the variable the array's values.

    Args:
        dataset: of the variable's shape, see `check_fits`.
        variable: of any dtype, to which values are converted.
        fresh: whether nobody has seen the variable, so that values may be read into its own memory.
    """
    if fresh and not isinstance(dataset, np.ndarray) and variable.shape and dataset.size:
        if not is_bfloat16(dataset):
            dataset.read_direct(memory(variable))
            return
    variable.assign(as_array(dataset).astype(variable.dtype.name, copy=False))


def memory(variable: Any) -> np.ndarray:
    """The variable's own memory, writable."""
    view = np.asarray(variable)
    room: Any = (ctypes.c_char * view.nbytes).from_address(view.ctypes.data)
    room.of = view  # keeps the memory while the array lives
    return np.frombuffer(room, view.dtype).reshape(view.shape)


# Writing


@contextlib.contextmanager
def replacing(path: str) -> Iterator[Any]:
    """A new file beside `path`, open for writing, which takes its place when all went well."""
    folder, name = os.path.split(os.path.abspath(path))
    handle, part = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666 & ~mask)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(part)
        raise


@contextlib.contextmanager
def writing_hdf5(target: Any) -> Iterator[Any]:
    """A new `h5py.File` in a path or an open binary file."""
    import h5py

    with h5py.File(target, "w") as file:
        yield file


__all__ = [
    "HDF5", "ZIP", "Archive", "FileContentError", "Window", "as_array", "check_fits", "is_bfloat16",
    "look_through", "memory", "open_hdf5", "parse_json", "read_into", "reading", "refuse", "replacing",
    "writing_hdf5",
]  # fmt: skip
