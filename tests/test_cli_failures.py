"""What goes wrong around a command: one clear line, the right exit status, and what was finished is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import HOME, clothes, command, environment, run

from cnnexplain import cli, explain
from cnnexplain.cli import commands, entry


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def interrupting(function, calls: int):
    """The function, until Ctrl-C comes during its call of this number."""
    left = [calls]

    def wrapped(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return wrapped


class TestInterrupted:
    def test_explain_keeps_what_is_finished(self, here, monkeypatch, capsys):
        clothes(here / "in", 5)
        monkeypatch.setattr(explain, "by_name", interrupting(explain.by_name, 3))
        arguments = ["explain", "lecture", "in", "--batch-size", "2", "--out", "made", "--report", "r.html"]
        assert cli.main([*arguments, "--json"]) == 130
        out, error = capsys.readouterr()
        told = json.loads(out)
        assert told["interrupted"] and len(told["pictures"]) == 4 and error == "cnnexplain: interrupted\n"
        assert {p.name for p in (here / "made").iterdir()} == {
            *(f"{i}.png" for i in range(4)),
            "contact-sheet.png",
        }
        assert (here / "r.html").read_text().count('<section class="card">') == 4

    def test_compare_keeps_what_is_finished(self, here, monkeypatch, capsys):
        clothes(here / "in", 3)
        monkeypatch.setattr(explain, "compare", interrupting(explain.compare, 2))
        arguments = ["compare", "lecture", "in", "--batch-size", "2", "--methods", "grad_cam,saliency"]
        assert cli.main([*arguments, "--metrics", "none"]) == 130
        out, error = capsys.readouterr()
        assert error == "cnnexplain: interrupted\n" and "written: comparison.png" in out

    def test_before_anything_was_finished(self, here, monkeypatch, capsys):
        clothes(here / "in", 2)
        monkeypatch.setattr(explain, "by_name", interrupting(explain.by_name, 1))
        assert cli.main(["explain", "lecture", "in", "--report", "r.html"]) == 130
        assert capsys.readouterr() == ("", "cnnexplain: interrupted\n")
        assert [path.name for path in here.iterdir()] == ["in"]

    def test_a_real_signal(self, here):
        clothes(here / "in", 40)
        arguments = ("explain", "lecture", "in", "--method", "rise", "--batch-size", "1")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        hearing = {
            "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        }  # as no job in the background
        running = subprocess.Popen(command(*arguments), cwd=here, env=environment(), **pipes, **hearing)
        for _ in range(600):
            if (here / "explanations" / "0.png").exists() or running.poll() is not None:
                break
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, error = running.communicate(timeout=60)
        assert running.returncode == 130 and error == "cnnexplain: interrupted\n"
        assert "in/0.png: " in out and "written: explanations/contact-sheet.png" in out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
class TestFullDisk:
    @pytest.mark.parametrize(
        "arguments, file",
        [
            (["explain", "lecture", "0.png", "--out"], "e.png"),
            (["explain", "lecture", "0.png", "--out"], "e.svg"),
            (["explain", "lecture", "0.png", "--out"], "e.npz"),
            (["explain", "lecture", "0.png", "--report"], "e.html"),
            (["compare", "lecture", "0.png", "--metrics", "none", "--methods", "grad_cam", "--out"], "e.png"),
            (["evaluate", "lecture", "0.png", "--out"], "e.jsonl"),
            (["draw", "lecture", "--out"], "e.svg"),
        ],
    )
    def test_files(self, here, arguments, file, capsys):
        clothes(here, 1)
        os.symlink("/dev/full", file)
        assert cli.main([*arguments, file]) == 1
        error = capsys.readouterr().err
        assert error == f"cnnexplain: cannot write {file}: No space left on device\n"

    def test_what_was_finished_is_kept(self, here, monkeypatch, capsys):
        """The disk is full when the third picture is written."""
        clothes(here / "in", 4)
        (here / "made").mkdir()
        os.symlink("/dev/full", here / "made" / "2.png")
        assert cli.main(["explain", "lecture", "in", "--out", "made"]) == 1
        assert capsys.readouterr().err == "cnnexplain: cannot write made/2.png: No space left on device\n"
        assert all((here / "made" / f"{i}.png").stat().st_size > 1000 for i in (0, 1))
        assert (here / "made" / "contact-sheet.png").stat().st_size > 1000

    def test_no_memory_for_the_rest(self, here, monkeypatch, capsys):
        clothes(here / "in", 4, damaged=True)
        original, calls = explain.by_name, []

        def starved(*arguments, **options):
            calls.append(1)
            if len(calls) == 2:
                raise MemoryError
            return original(*arguments, **options)

        monkeypatch.setattr(explain, "by_name", starved)
        assert cli.main(["explain", "lecture", "in", "--batch-size", "3", "--report", "r.html"]) == 1
        out, error = capsys.readouterr()
        assert error == "cnnexplain: in/damaged.png: damaged, or no picture\ncnnexplain: not enough memory\n"
        assert (here / "r.html").read_text().count('<section class="card">') == 3 and "r.html" in out

    def test_standard_output(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command("inspect", "lecture"),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
                cwd=HOME,
            )
        assert done.returncode == 1
        assert done.stderr == "cnnexplain: cannot write the output: No space left on device\n"


class TestSurroundings:
    def test_nobody_reads_the_output(self):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as closed:
            done = subprocess.run(
                command("inspect", "lecture"),
                stdout=closed,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
                cwd=HOME,
            )
        assert done.returncode == 1 and done.stderr == ""

    def test_no_display(self, here):
        clothes(here, 1)
        without = {k: v for k, v in environment(MPLBACKEND="TkAgg").items() if "DISPLAY" not in k}
        done = run("explain", "lecture", "0.png", "--out", "e.svg", cwd=here, env=without)
        assert done.returncode == 0 and done.stderr == "", done.stderr

    @pytest.mark.parametrize("name", commands.COMMANDS)
    @pytest.mark.parametrize("columns", ["1", "20"])
    def test_a_narrow_terminal(self, name, columns, monkeypatch, capsys):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(SystemExit) as stop:
            cli.main([name, "--help"])
        assert stop.value.code == 0 and "examples:" in capsys.readouterr().out

    def test_help_is_quick_and_loads_nothing(self):
        code = "import sys; from cnnexplain.cli import parser; parser(); print(sorted(sys.modules))"
        found = subprocess.run(
            [command()[0], "-c", code], capture_output=True, text=True, env=environment(), check=True
        ).stdout
        assert not [name for name in ("numpy", "PIL", "matplotlib", "tqdm", "h5py") if f"'{name}'" in found]

    @pytest.mark.skipif(not hasattr(os, "setresuid") or os.geteuid() != 0, reason="becomes another user")
    @pytest.mark.parametrize(
        "arguments, reason",
        [
            (["--out", "e.png"], "no permission to write into the folder ."),
            (["--out", "e.svg"], "no permission to write into the folder ."),
            (["--out", "made"], "no permission to write into the folder ."),
            (
                ["--out", "open/e.png", "--report", "open/closed.html"],
                "no permission to write open/closed.html",
            ),
            (["--out", "open/e.png"], None),
        ],
    )
    def test_no_permission(self, here, arguments, reason, capsys):
        clothes(here, 1)
        assert cli.main(["explain", "lecture", "0.png", "--report", "r.html"]) == 0  # all modules are loaded
        (here / "open").mkdir()
        (here / "open" / "closed.html").write_text("mine")
        above = {*here.parents, *Path(cli.__file__).parents}
        chain = [folder for folder in above if folder.stat().st_mode & 0o011 != 0o011]
        modes = {folder: folder.stat().st_mode for folder in chain}
        (here / "open").chmod(0o777)
        here.chmod(0o755)
        capsys.readouterr()
        try:
            for folder in chain:
                folder.chmod(folder.stat().st_mode | 0o011)
            os.setresuid(65534, 65534, 0)
            status = cli.main(["explain", "lecture", "0.png", *arguments])
        finally:
            os.setresuid(0, 0, 0)
            for folder, mode in modes.items():
                folder.chmod(mode)
        error = capsys.readouterr().err
        if reason is None:
            assert status == 0, error
        else:
            assert status == 1 and error == f"cnnexplain: {reason}\n"
        assert (here / "open" / "closed.html").read_text() == "mine"

    def test_a_picture_that_may_not_be_read(self, here, monkeypatch, capsys):
        from PIL import Image

        clothes(here / "in", 2)
        original = Image.open

        def refused(path, *arguments):
            if path.name == "0.png":
                raise PermissionError(13, "Permission denied", str(path))
            return original(path, *arguments)

        monkeypatch.setattr(Image, "open", refused)
        assert cli.main(["explain", "lecture", "in"]) == 1
        out, error = capsys.readouterr()
        assert error == "cnnexplain: in/0.png: no permission to read it\n" and "in/1.png: " in out


class TestFaults:
    @pytest.mark.parametrize(
        "error, status, line",
        [
            (KeyError("x"), 1, "KeyError: 'x'. This is a fault of cnnexplain: please report it, with what "),
            (MemoryError(), 1, "not enough memory"),
            (
                ImportError("no onnx: pip install 'cnnexplain[onnx]'"),
                1,
                "no onnx: pip install 'cnnexplain[onnx]'",
            ),
            (PermissionError(13, "Permission denied", "a.keras"), 1, "a.keras: Permission denied"),
            (FileNotFoundError(2, "No such file or directory", "a"), 2, "a: No such file or directory"),
            (ValueError("two\n  lines"), 2, "two lines"),
            (ConnectionError("no network"), 1, "no network"),
        ],
    )
    def test_every_exception_is_one_line(self, error, status, line, monkeypatch, capsys):
        def fails(options):
            raise error

        monkeypatch.setattr(commands.command("demo"), "run", fails)
        assert cli.main(["demo"]) == status
        assert capsys.readouterr().err.startswith(f"cnnexplain: {line}")

    def test_a_traceback_can_be_had(self, monkeypatch):
        monkeypatch.setattr(commands.command("demo"), "run", lambda options: 1 / 0)
        monkeypatch.setenv("CNNEXPLAIN_TRACEBACK", "1")
        with pytest.raises(ZeroDivisionError):
            cli.main(["demo"])

    def test_python_s_warnings_are_one_line(self, monkeypatch, capsys):
        import warnings

        def warns(options):
            warnings.simplefilter("always")
            warnings.warn("old\nfile", stacklevel=1)
            return entry.DONE

        monkeypatch.setattr(commands.command("demo"), "run", warns)
        assert cli.main(["demo"]) == 0
        assert capsys.readouterr().err == "cnnexplain: note: old file\n"
