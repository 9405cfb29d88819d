"""Files from the network and archives; nothing here needs a network."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cnnexplain import keras
from cnnexplain.keras.utils import files

utils = keras.utils


class TestGetFile:
    @pytest.fixture
    def server(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
        folder = tmp_path / "server"
        folder.mkdir()
        (folder / "data.txt").write_bytes(b"hello")
        return folder

    def get(self, server, name, *arguments, **options):
        return Path(utils.get_file(*arguments, origin=(server / name).as_uri(), **options))

    def test_cache_and_hashes(self, server, tmp_path, capsys):
        path = self.get(server, "data.txt")
        assert path == tmp_path / "cache" / "datasets" / "data.txt" and path.read_bytes() == b"hello"
        assert "Downloading data from file:" in capsys.readouterr().out
        (server / "data.txt").write_bytes(b"world")
        assert self.get(server, "data.txt").read_bytes() == b"hello"
        assert capsys.readouterr().out == ""
        for name in ("md5", "sha256"):
            digest = hashlib.new(name, b"world").hexdigest()
            assert self.get(server, "data.txt", file_hash=digest).read_bytes() == b"world"
        assert self.get(server, "data.txt", "x", md5_hash=hashlib.md5(b"world").hexdigest()).name == "x"
        (server / "data.txt").write_bytes(b"again")
        assert self.get(server, "data.txt", force_download=True).read_bytes() == b"again"
        with pytest.raises(ValueError, match="its hash is not 00"):
            self.get(server, "data.txt", file_hash="00" * 32)
        assert self.get(server, "data.txt").read_bytes() == b"again"  # what was there stays
        assert (
            self.get(server, "data.txt", cache_dir=tmp_path / "b", cache_subdir="c").parent
            == tmp_path / "b" / "c"
        )
        assert not [name for name in os.listdir(path.parent) if name.endswith(".part")]

    def test_without_a_network(self, server, monkeypatch):
        def refuse(*arguments, **options):
            raise ConnectionError("no network here")

        monkeypatch.setattr("pooch.retrieve", refuse)
        with pytest.raises(OSError, match=r"no network here.*place the file at .*cache/datasets/a\.zip"):
            utils.get_file(origin="https://example.org/a.zip")
        with pytest.raises(OSError, match="could not be downloaded"):
            self.get(server, "nothing.txt")

    def test_the_downloader(self, server, monkeypatch):
        def retrieve(url, known_hash, fname, path, progressbar):
            (Path(path) / fname).write_text(url)

        monkeypatch.setattr("pooch.retrieve", retrieve)
        path = utils.get_file("name.txt", "https://example.org/a?b=c")
        assert Path(path).read_text() == "https://example.org/a?b=c"

    @pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2"])
    def test_archives(self, server, kind):
        name = f"flowers.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(server / name, "w") as archive:
                archive.writestr("roses/a.txt", "rose")
        else:
            with tarfile.open(server / name, "w:" + kind.partition(".")[2]) as archive:
                info = tarfile.TarInfo("roses/a.txt")
                info.size = 4
                archive.addfile(info, io.BytesIO(b"rose"))
        for arguments, folder in (((), name), (("flowers",), "flowers"), (("f.tgz",), "f_extracted")):
            path = self.get(server, name, *arguments, extract=True)
            assert path.name == folder and (path / "roses" / "a.txt").read_text() == "rose"
        (path / "roses" / "a.txt").write_text("mine")
        assert (self.get(server, name, "f.tgz", extract=True) / "roses" / "a.txt").read_text() == "mine"
        with pytest.warns(UserWarning, match="is not an archive"):
            self.get(server, name, "g", extract=True, archive_format=None)
        with pytest.raises(NotImplementedError, match="`archive_format`"):
            files.extract_archive(server / name, server / "x", "rar")

    def test_nothing_is_written_outside(self, server, tmp_path):
        with zipfile.ZipFile(server / "a.zip", "w") as archive:
            archive.writestr("../evil.txt", "x")
            archive.writestr("good.txt", "x")
        with tarfile.open(server / "a.tar", "w") as archive:

            def add(name, **fields):
                info = tarfile.TarInfo(name)
                for key, value in fields.items():
                    setattr(info, key, value)
                archive.addfile(info, io.BytesIO(b"x" * info.size))

            add("good.txt", size=1)
            add("../evil.txt", size=1)
            add(str(tmp_path / "evil.txt"), size=1)
            add("up", type=tarfile.SYMTYPE, linkname="../..")
            add("up/evil.txt", size=1)
            add("hard", type=tarfile.LNKTYPE, linkname="../../../server/data.txt")
            add("pipe", type=tarfile.FIFOTYPE)
            add("inner", type=tarfile.SYMTYPE, linkname="good.txt")
        for name, most in (("a.zip", 1), ("a.tar", 5)):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                path = self.get(server, name, extract=True)
            skipped = [w for w in caught if "it would lie outside" in str(w.message)]
            assert 1 <= len(skipped) <= most + 1
            assert (path / "good.txt").read_text() == "x" and not (path / "hard").exists()
        assert (path / "inner").read_text() == "x"
        assert not list(tmp_path.rglob("evil.txt")) or all(
            path in found.parents for found in tmp_path.rglob("evil.txt")
        )
        assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "server"]

    def test_a_damaged_archive_leaves_no_folder(self, server, tmp_path):
        with tarfile.open(server / "a.tar.gz", "w:gz") as archive:
            for k in range(4):
                info = tarfile.TarInfo(str(k))
                info.size = 50_000
                archive.addfile(info, io.BytesIO(np.random.RandomState(k).bytes(50_000)))
        (server / "a.tar.gz").write_bytes((server / "a.tar.gz").read_bytes()[:120_000])
        with pytest.raises((EOFError, tarfile.TarError, OSError)):
            self.get(server, "a.tar.gz", "a", extract=True)
        assert os.listdir(tmp_path / "cache" / "datasets") == ["a_archive"]

    @pytest.mark.parametrize(
        "options, message",
        [
            ({}, "`origin` must be"),
            ({"origin": "https://example.org/"}, "`fname` must be given"),
            ({"fname": "a/b", "origin": "https://example.org/a"}, "without folders"),
            ({"fname": "..", "origin": "https://example.org/a"}, "without folders"),
        ],
    )
    def test_wrong_arguments(self, server, options, message):
        with pytest.raises(ValueError, match=message):
            utils.get_file(**options)
