"""State dicts that `torch.save` wrote, without PyTorch and without Python's unpickler.

A pickle is a program for a stack machine. The machine here knows the instructions that a state dict needs and
the few functions that PyTorch's tensors name; whatever else a file asks for is refused, so nothing of it is
imported or executed. Both forms are read: the zip archive of today and the plain pickles before PyTorch 1.6.
"""

from __future__ import annotations

import math
import os
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # PROTO 2, LONG1 0x1950a86a20f9469cfc6c, STOP
_PROTOCOL = 1001
_DEEPEST = 16  # dicts within dicts
_MOST_AXES = 32
_MOST_ARGUMENTS = 8
_LONGEST_NAME = 200
_MOST_ITEMS = 1_000_000  # in all dicts together, each counted as often as it is reached

# what damaged files make pickletools and zipfile raise
_DAMAGES = (
    ValueError, KeyError, IndexError, EOFError, OSError, OverflowError, AssertionError, NotImplementedError,
    RuntimeError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def is_torch_file(filepath: Any) -> bool:
    """Whether the file begins as one of the two forms."""
    with open(filepath, "rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return True
        file.seek(0)
        if file.read(4) != b"PK\x03\x04":
            return False
    try:
        with zipfile.ZipFile(filepath) as archive:
            return _main_member(archive) is not None
    except _DAMAGES:
        return False


def load_torch(filepath: Any) -> dict[str, np.ndarray]:
    """The tensors of a file of `torch.save(model.state_dict(), filepath)` by name.

    Tensors of dicts within the dict (a checkpoint with "state_dict" and "optimizer") get the names joined by
    dots; what is no tensor is left out. bfloat16 becomes float32. Arrays may share memory where tensors did.

    Args:
        filepath: The file.

    Returns:
        Arrays with the tensors' shapes, writable, in the file's order.

    Raises:
        ValueError: The file is damaged, is something else, or holds more than tensors in dicts, such as a
            whole module.
    """
    path = os.fspath(filepath)
    with open(path, "rb") as file:
        try:
            start = file.read(len(MAGIC))
            if start == MAGIC:
                content = _read_plain(file, os.path.getsize(path))
            elif start[:4] == b"PK\x03\x04":
                content = _read_zip(path)
            else:
                raise ValueError("it begins as neither of PyTorch's two forms")
            return {name: tensor.array() for name, tensor in _tensors(content)}
        except _DAMAGES as error:
            text = error.args[0] if error.args else type(error).__name__
            raise ValueError(
                f"`filepath` must be a state dict that torch.save wrote; this file cannot be read: {text}. "
                f"Received: filepath={path}"
            ) from error


@dataclass
class _Storage:
    """A block of numbers, filled after the pickle was read."""

    kind: str
    count: int
    data: np.ndarray | None = None

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(_DTYPES[self.kind])

    @property
    def nbytes(self) -> int:
        return self.count * self.dtype.itemsize

    def fill(self, file: IO[bytes]) -> None:
        """Reads the numbers; the caller made sure that the file is that long."""
        data = np.empty(self.count, self.dtype)
        view = memoryview(data.view(np.uint8))  # type: ignore[arg-type]
        done = 0
        while done < len(view):
            read = file.readinto(view[done:])  # type: ignore[attr-defined]
            if not read:
                raise ValueError("it ends in the middle of a tensor")
            done += read
        if self.kind == "BFloat16Storage":  # the upper half of a float32
            data = (data.astype(np.uint32) << 16).view(np.float32)
        self.data = data


@dataclass(frozen=True)
class _Tensor:
    """A window on a storage, checked when it is made."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        data = self.storage.data
        if data is None:
            raise ValueError("the numbers of a tensor are missing")
        strides = tuple(step * data.itemsize for step in self.strides)
        return np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides)


class _Function:
    """A function that a pickle may name; `name` stands in errors."""

    __slots__ = ("call", "name")

    def __init__(self, name: str, call: Callable[..., Any]):
        self.name, self.call = name, call


@dataclass(frozen=True)
class _StorageType:
    kind: str


def _ordered_dict(*items: Any) -> dict:
    if items:
        raise ValueError("an OrderedDict with arguments")
    return {}


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    if not (isinstance(storage, _Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise ValueError("a tensor without storage, shape or strides")
    if len(shape) > _MOST_AXES or len(shape) != len(strides):
        raise ValueError(f"a tensor of {len(shape)} axes and {len(strides)} strides")
    if not all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)):
        raise ValueError(f"a tensor of shape {shape}, strides {strides} and offset {offset}"[:200])
    count = math.prod(shape)
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if (count and last >= storage.count) or count > storage.count:
        raise ValueError(f"a tensor of shape {shape} in a storage of {storage.count} numbers"[:200])
    return _Tensor(storage, offset if count else 0, shape, strides)


def _rebuild_parameter(tensor: Any, *_: Any) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise ValueError("a parameter that is no tensor")
    return tensor


_FUNCTIONS = {
    ("collections", "OrderedDict"): _Function("OrderedDict", _ordered_dict),
    ("torch._utils", "_rebuild_tensor_v2"): _Function("_rebuild_tensor_v2", _rebuild_tensor),
    ("torch._utils", "_rebuild_tensor"): _Function("_rebuild_tensor", _rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function("_rebuild_parameter", _rebuild_parameter),
}


def _named(module: Any, name: Any) -> _Function | _StorageType:
    found = _FUNCTIONS.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if found is not None:
        return found
    if module == "torch" and name in _DTYPES:
        return _StorageType(name)
    raise ValueError(
        f"it asks for {module}.{name}, and only tensors in dicts are read; a whole module has to be saved "
        "with torch.save(module.state_dict(), path)"[:400]
    )


_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}


class _Source:
    """A file that is never asked for more than it has: it would be allocated before it is read."""

    def __init__(self, file: IO[bytes], left: int):
        self.file, self.left = file, left

    def read(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError("it ends in the middle of a pickle")
        self.left -= count
        return self.file.read(count)

    def name(self) -> str:
        """The text up to the end of the line."""
        line = self.file.readline(min(self.left, _LONGEST_NAME))
        self.left -= len(line)
        return line.removesuffix(b"\n").decode("ascii")


class _Machine:
    """Runs one pickle. `persistent` turns the id of a storage into the storage."""

    _VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
    _ARGUMENTS = frozenset(
        ["BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"]
        + ["SHORT_BINBYTES", "BINSTRING", "SHORT_BINSTRING"]
    )
    _MAKERS: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
    _TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
    _KNOWN = frozenset(
        "PROTO FRAME STOP MARK TUPLE BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL "
        "REDUCE BINPERSID SETITEM SETITEMS APPEND APPENDS BUILD".split()
    ).union(_VALUES, _ARGUMENTS, _MAKERS, _TUPLES)

    def __init__(self, persistent: Callable[[Any], _Storage] | None = None):
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, source: _Source) -> Any:
        """The value that the pickle leaves; the file stands behind it."""
        while True:
            opcode = _OPCODES.get(source.read(1))
            if opcode is None or opcode.name not in self._KNOWN:
                name = "of an unknown number" if opcode is None else opcode.name
                raise ValueError(f"it uses the pickle instruction {name}, which no state dict needs")
            argument = None
            if opcode.name == "GLOBAL":
                argument = (source.name(), source.name())
            elif opcode.arg is not None:
                argument = opcode.arg.reader(source)  # type: ignore[arg-type]
            if opcode.name == "STOP":
                (value,) = self._pop(1)
                return value
            self._step(opcode.name, argument)

    def _pop(self, count: int) -> list[Any]:
        bottom = self.marks[-1] if self.marks else 0
        if len(self.stack) - count < bottom:
            raise ValueError("a pickle that takes more than it has")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _to_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("a pickle that takes more than it has")
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _step(self, name: str, argument: Any) -> None:
        push = self.stack.append
        if name in self._ARGUMENTS:
            push(argument)
        elif name in self._VALUES:
            push(self._VALUES[name])
        elif name in self._MAKERS:
            push(self._MAKERS[name]())
        elif name in self._TUPLES:
            push(tuple(self._pop(self._TUPLES[name])))
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name == "TUPLE":
            push(tuple(self._to_mark()))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            (value,) = self._pop(1)
            push(value)
            self.memo[len(self.memo) if argument is None else argument] = value
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise ValueError("a pickle that takes more than it has")
            push(self.memo[argument])
        elif name == "GLOBAL":
            push(_named(*argument))
        elif name == "STACK_GLOBAL":
            push(_named(*self._pop(2)))
        elif name == "REDUCE":
            function, arguments = self._pop(2)
            if not isinstance(function, _Function) or not isinstance(arguments, tuple):
                raise ValueError("it calls what is no function")
            if len(arguments) > _MOST_ARGUMENTS:
                raise ValueError(f"{function.name} with {len(arguments)} arguments")
            push(_call(function, arguments))
        elif name == "BINPERSID":
            (key,) = self._pop(1)
            if self.persistent is None:
                raise ValueError("a storage where none belongs")
            push(self.persistent(key))
        elif name in ("SETITEM", "SETITEMS"):
            items = self._pop(2) if name == "SETITEM" else self._to_mark()
            self._set(items)
        elif name in ("APPEND", "APPENDS"):
            items = self._pop(1) if name == "APPEND" else self._to_mark()
            self._top(list).extend(items)
        elif name == "BUILD":
            self._pop(1)  # attributes of an OrderedDict: versions of the modules
            self._top(dict)

    def _top(self, kind: type) -> Any:
        (value,) = self._pop(1)
        if type(value) is not kind:
            raise ValueError(f"it changes a {type(value).__name__} as if it were a {kind.__name__}")
        self.stack.append(value)
        return value

    def _set(self, items: list[Any]) -> None:
        target = self._top(dict)
        if len(items) % 2:
            raise ValueError("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):
                raise ValueError(f"a dict with a key of type {type(key).__name__}")
            target[str(key)] = value


def _call(function: _Function, arguments: tuple) -> Any:
    try:
        return function.call(*arguments)
    except TypeError as error:
        raise ValueError(f"{function.name} with {len(arguments)} arguments") from error


class _Storages:
    """The storages that a pickle names, each once; together no larger than the file."""

    def __init__(self, limit: int):
        self.limit = limit
        self.by_key: dict[str, _Storage] = {}

    def __call__(self, key: Any) -> _Storage:
        if not isinstance(key, tuple) or not 5 <= len(key) <= 6 or key[0] != "storage":
            raise ValueError("it holds a whole module; only state dicts are read")
        _, kind, name, _, count, *view = key
        if view not in ([], [None]):
            raise ValueError("a storage that is a part of another")
        if not isinstance(kind, _StorageType) or not isinstance(name, str):
            raise ValueError("a storage without type or name")
        if type(count) is not int or count < 0:
            raise ValueError("a storage without a size")
        storage = self.by_key.get(name)
        if storage is None:
            storage = self.by_key[name] = _Storage(kind.kind, count)
            self.limit -= storage.nbytes
            if self.limit < 0:
                raise ValueError("its tensors are larger than the file")
        elif (storage.kind, storage.count) != (kind.kind, count):
            raise ValueError(f"the storage {name} has two sizes"[:200])
        return storage


def _read_plain(file: IO[bytes], size: int) -> Any:
    """Behind the magic number: protocol, system, content, names of the storages, and the storages."""
    source = _Source(file, size - file.tell())
    if _Machine().run(source) != _PROTOCOL:
        raise ValueError("an unknown protocol")
    system = _Machine().run(source)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("it was written by a big-endian machine")
    storages = _Storages(size)
    content = _Machine(storages).run(source)
    names = _Machine().run(source)
    if not isinstance(names, list) or any(type(name) is not str for name in names):
        raise ValueError("no list of storages")
    for name in names:
        storage = storages.by_key.get(name)
        if storage is None or storage.data is not None:
            raise ValueError("the list of storages is not that of the tensors")
        count = int.from_bytes(file.read(8), "little")
        if count != storage.count or file.tell() + storage.nbytes > size:
            raise ValueError("it ends in the middle of a tensor, or a tensor's size is wrong")
        storage.fill(file)
    return content


def _main_member(archive: zipfile.ZipFile) -> str | None:
    """The member with the pickle: data.pkl in the archive's one folder."""
    names = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
    return min(names, key=len) if names else None


def _read_zip(path: str) -> Any:
    size = os.path.getsize(path)
    with zipfile.ZipFile(path) as archive:
        main = _main_member(archive)
        if main is None:
            raise ValueError("the zip archive has no data.pkl")
        folder = main.removesuffix("data.pkl")

        def member(name: str) -> IO[bytes]:
            info = archive.getinfo(name)
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
                raise ValueError(f"the member {name} is compressed or larger than the file"[:200])
            return archive.open(info)

        if folder + "byteorder" in archive.namelist():
            with member(folder + "byteorder") as file:
                if file.read(16).strip() != b"little":
                    raise ValueError("it was written by a big-endian machine")
        storages = _Storages(size)
        with member(main) as file:
            content = _Machine(storages).run(_Source(file, archive.getinfo(main).file_size))
        for name, storage in storages.by_key.items():
            place = f"{folder}data/{name}"
            with member(place) as file:
                if archive.getinfo(place).file_size != storage.nbytes:
                    raise ValueError(f"the storage {name} has another size than its tensors"[:200])
                storage.fill(file)
        return content


def _tensors(content: Any) -> Iterator[tuple[str, _Tensor]]:
    """Tensors by name; dicts within dicts join the names."""
    left = _MOST_ITEMS

    def walk(items: Any, prefix: str, depth: int) -> Iterator[tuple[str, _Tensor]]:
        nonlocal left
        left -= len(items)
        if depth > _DEEPEST or left < 0:
            raise ValueError(f"dicts within dicts, more than {_DEEPEST} deep or {_MOST_ITEMS} items")
        for name, value in items.items():
            if isinstance(value, _Tensor):
                yield prefix + name, value
            elif isinstance(value, dict):
                yield from walk(value, f"{prefix}{name}.", depth + 1)

    if not isinstance(content, dict):
        raise ValueError("it holds no dict of tensors")
    return walk(content, "", 0)
