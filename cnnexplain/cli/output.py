"""What a command writes: files that are whole or not there, and text."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that takes the path's place when everything is written; a device is written at once.

    Raises:
        OSError: no permission, no such folder, or a full disk; nothing half is left.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            yield file
        return
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(beside, path.stat().st_mode if path.exists() else 0o666 & ~_umask())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within it an OSError is about this file, whichever temporary one it came from."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"cannot write {os.fspath(path)}: {reason}") from error


def write(path: str | os.PathLike[str], data: bytes | Callable[[BinaryIO], Any]) -> Path:
    """Writes a file, all of it or nothing; returns its path."""
    with named(path), replacing(path) as file:
        if callable(data):
            data(file)
        else:
            file.write(data)
    return Path(path)


def check_file(path: str | os.PathLike[str], suffixes: tuple[str, ...], option: str) -> None:
    """Refuses a result's name before hours of work go into it.

    Raises:
        ValueError: it ends in none of the suffixes.
        FileNotFoundError: its folder is not there.
        OSError: nobody may write there.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        listed = ", ".join(suffixes[:-1]) + (" or " if len(suffixes) > 1 else "") + suffixes[-1]
        raise ValueError(f"{option} must end in {listed}. Received: {path}")
    check_folder(path.parent, option)
    if path.is_dir():
        raise IsADirectoryError(f"{option} must be a file. Received: the folder {path}")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"no permission to write {path}")


def check_folder(folder: Path, option: str) -> None:
    """Refuses a folder that is not there or that nobody may write into."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{option}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"no permission to write into the folder {folder}")


def make_folder(path: str | os.PathLike[str]) -> Path:
    """The folder, made where it is not there."""
    folder = Path(path)
    with named(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"no permission to write into the folder {folder}")
    return folder


def to_json(value: Any, indent: int | None = 1) -> str:
    """JSON of arrays and NumPy's numbers too; numbers that are not finite become null."""
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
