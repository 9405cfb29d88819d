"""Files from the network, kept in a folder, and the archives among them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import sys
import tarfile
import tempfile
import urllib.parse
import urllib.request
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from .interaction import say


def keras_home() -> str:
    """The folder for downloads: KERAS_HOME, else ~/.keras; a temporary one where neither can be written."""
    return os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")


def _writable(folder: str) -> str:
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    return os.path.join(tempfile.gettempdir(), ".keras")


def has_hash(path: str, file_hash: str, hash_algorithm: str = "auto") -> bool:
    """Whether a file has this md5 or sha256 sum; "auto": the sum's length decides which."""
    if hash_algorithm not in ("auto", "md5", "sha256"):
        raise ValueError(
            f"`hash_algorithm` must be 'auto', 'md5' or 'sha256'. Received: hash_algorithm={hash_algorithm!r}"
        )
    long = hash_algorithm == "sha256" or (hash_algorithm == "auto" and len(file_hash) == 64)
    digest = hashlib.sha256() if long else hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == str(file_hash).lower()


def get_file(
    fname: Any = None,
    origin: Any = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: Any = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """The path of a file from the network, downloaded once.

    Args:
        fname: Name of the file; None: as in the URL. With `extract`: name of the folder.
        origin: URL; "file:" is allowed.
        untar, md5_hash: Older names of `extract` and `file_hash`.
        file_hash: md5 or sha256 sum that the file must have.
        cache_subdir: Folder inside the cache, or an absolute path.
        hash_algorithm: "md5", "sha256" or "auto": the length of `file_hash` decides.
        extract: Whether it is an archive to unpack; the path of the folder is returned then.
        archive_format: "tar", "zip", "auto" for both, None for neither, or a list.
        cache_dir: Folder of the cache. Default: $KERAS_HOME, else ~/.keras.
        force_download: Whether it is downloaded although it is there.

    Returns:
        The path.

    Raises:
        OSError: it is not there and cannot be downloaded; the message says where to place it.
        ValueError: it has another hash, or an argument is wrong.
    """
    if not origin:
        raise ValueError(f"`origin` must be the URL of the file. Received: origin={origin!r}")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    base = _writable(os.path.expanduser(os.fspath(cache_dir or keras_home())))
    folder = os.path.join(base, os.fspath(cache_subdir))
    os.makedirs(folder, exist_ok=True)
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name:
        raise ValueError(f"`fname` must be given, since the URL names no file. Received: origin={origin!r}")
    if os.sep in name or name in (".", ".."):
        raise ValueError(
            "`fname` must be a name without folders: `cache_dir` and `cache_subdir` say where it lies. "
            f"Received: fname={name!r}"
        )
    target, unpacked = os.path.join(folder, name), ""
    if extract or untar:
        if fname and "." in name:
            unpacked = os.path.join(folder, f"{name[: name.find('.')]}_extracted")
        else:
            target, unpacked = os.path.join(folder, f"{name}_archive"), os.path.join(folder, name)
    needed = force_download or not os.path.exists(target)
    if not needed and file_hash is not None and not has_hash(target, file_hash, hash_algorithm):
        say(f"{target} has not the hash {file_hash}: it is downloaded again")
        needed = True
    if needed:
        _download(origin, target, file_hash, hash_algorithm)
    if not unpacked:
        return target
    if needed or not os.path.isdir(unpacked):
        if not extract_archive(target, unpacked, "tar" if untar else archive_format):
            warnings.warn(f"{target} is not an archive that can be extracted", stacklevel=2)
    return unpacked


def _download(origin: str, target: str, file_hash: str | None, hash_algorithm: str) -> None:
    """Into a file beside the target, which is replaced when everything is there and right."""
    folder, name = os.path.split(target)
    part = f"{name}.{os.getpid()}.part"
    path = os.path.join(folder, part)
    say(f"Downloading data from {origin}")
    try:
        try:
            if urllib.parse.urlsplit(origin).scheme == "file":
                source = urllib.request.url2pathname(urllib.parse.urlsplit(origin).path)
                shutil.copyfile(source, path)
            else:
                _retrieve(origin, part, folder)
        except Exception as error:
            raise OSError(
                f"{origin} could not be downloaded ({error}). Without a network, place the file at {target}"
            ) from error
        if file_hash is not None and not has_hash(path, file_hash, hash_algorithm):
            raise ValueError(f"{origin} gave an incomplete or corrupted file: its hash is not {file_hash}")
        os.replace(path, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _retrieve(origin: str, name: str, folder: str) -> None:
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)  # it would advise to note the hash
    try:
        pooch.retrieve(origin, None, fname=name, path=folder, progressbar=True)
    finally:
        logger.setLevel(level)


def extract_archive(file_path: Any, path: Any = ".", archive_format: Any = "auto") -> bool:
    """Unpacks a tar archive, compressed or not, or a zip archive; nothing is written outside `path`.

    Args:
        file_path: The archive.
        path: Folder, made when it is missing; it appears when everything is unpacked.
        archive_format: "tar", "zip", "auto" for both, None for neither, or a list.

    Returns:
        Whether it was such an archive.
    """
    wanted = ["tar", "zip"] if archive_format == "auto" else archive_format or []
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [form for form in wanted if form not in ("tar", "zip")]
    if unknown:
        raise NotImplementedError(f"`archive_format` must be 'tar' or 'zip'. Received: {unknown[0]!r}")
    file_path, path = os.fspath(file_path), os.path.abspath(os.fspath(path))
    if "tar" in wanted and tarfile.is_tarfile(file_path):
        unpack = _unpack_tar
    elif "zip" in wanted and zipfile.is_zipfile(file_path):
        unpack = _unpack_zip
    else:
        return False
    if os.path.exists(path):
        unpack(file_path, path)
        return True
    os.makedirs(os.path.dirname(path), exist_ok=True)
    part = tempfile.mkdtemp(prefix=os.path.basename(path) + ".", dir=os.path.dirname(path))
    try:
        unpack(file_path, part)
        os.chmod(part, 0o755)
        os.rename(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return True


def _inside(base: str, *parts: str) -> bool:
    """Whether a path stays in a folder, links followed."""
    base = os.path.realpath(base)
    return os.path.commonpath([base, os.path.realpath(os.path.join(base, *parts))]) == base


def _skipped(name: str) -> None:
    warnings.warn(f"the archive's member {name!r} is skipped: it would lie outside the folder", stacklevel=2)


def _unpack_zip(file_path: str, path: str) -> None:
    with zipfile.ZipFile(file_path) as archive:
        for member in archive.infolist():
            if _inside(path, member.filename):
                archive.extract(member, path)
            else:
                _skipped(member.filename)


def _unpack_tar(file_path: str, path: str) -> None:
    def members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        for member in archive:
            safe = (member.isreg() or member.isdir() or member.issym() or member.islnk()) and _inside(
                path, member.name
            )
            if member.issym():
                safe = safe and _inside(path, os.path.dirname(member.name), member.linkname)
            elif member.islnk():
                safe = safe and _inside(path, member.linkname)
            if safe:
                yield member
            else:
                _skipped(member.name)

    options: dict[str, Any] = {}
    if hasattr(tarfile, "data_filter") and sys.version_info < (3, 14):
        options["filter"] = "data"
    with tarfile.open(file_path) as archive:
        archive.extractall(path, members(archive), **options)
