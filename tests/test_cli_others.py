"""`cnnexplain inspect`, `draw`, `bench` and `completion`."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from command_line import run

import cnnexplain as cx
from cnnexplain import cli, demo
from cnnexplain.cli.commands import COMMANDS


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestInspect:
    def test_networks_by_name(self, capsys):
        assert cli.main(["inspect", "mobilenet", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["file"] == "MobileNet" and found["parameters"] == 4_253_864
        assert cli.main(["inspect", "lecture"]) == 0
        assert "98,442 parameters" in capsys.readouterr().out

    def test_a_file_wins(self, here, capsys):
        demo.load_network().save("vgg16.keras")
        (here / "vgg16.keras").rename("VGG16")
        assert cli.main(["inspect", "VGG16", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["parameters"] == 98_442


class TestDraw:
    @pytest.mark.parametrize("name, begins", [("m.svg", b"<?xml"), ("m.png", b"\x89PNG"), ("m.pdf", b"%PDF")])
    def test_files(self, here, name, begins, capsys):
        assert cli.main(["draw", "lecture", "--out", name, "--dpi", "50"]) == 0
        assert capsys.readouterr().out == f"written: {name}\n"
        assert (here / name).read_bytes().startswith(begins)

    def test_what_is_in_it(self, here):
        assert cli.main(["draw", "lecture", "--style", "graph", "--names", "--shapes"]) == 0
        text = (here / "model.svg").read_text()
        assert "conv2d_3" in text and "128" in text

    def test_a_network_by_name_needs_no_weights(self, here, capsys):
        assert cli.main(["draw", "MobileNetV3Small"]) == 0
        assert cli.main(["draw", "lecture", "--out", "m.gif"]) == 2
        assert "--out must end in .svg, .png or .pdf" in capsys.readouterr().err


class TestBench:
    def test_numbers(self, capsys):
        threads = cx.get_threads()
        given = ["bench", "lecture", "--seconds", "0.05", "--batch-size", "2", "--threads", "1", "--json"]
        assert cli.main(given) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["threads"] == 1 and cx.get_threads() == threads
        assert found["input"] == [2, 28, 28, 1] and found["parameters"] == 98_442
        assert [task["task"] for task in found["tasks"]] == ["forward", "saliency", "grad_cam"]
        for task in found["tasks"]:
            assert 0 < task["minimum_ms"] <= task["median_ms"] and task["calls"] >= 3
            assert task["pictures_per_second"] == pytest.approx(2e3 / task["median_ms"])

    def test_text(self, capsys):
        assert cli.main(["bench", "lecture", "--seconds", "0.01", "--methods", "cam"]) == 0
        text = capsys.readouterr().out
        assert cx._core.isa() in text and "median ms" in text and "\ncam " in text

    def test_mistakes(self, capsys):
        assert cli.main(["bench", "lecture", "--methods", "magic"]) == 2
        assert "the method must be one of" in capsys.readouterr().err


class TestCompletion:
    """Each shell that is installed completes a command, an option and a value."""

    cases = {
        "cnnexplain exp": "explain",
        "cnnexplain explain lecture --met": "--method",
        "cnnexplain explain lecture --method square": "square_grad",
        "cnnexplain inspect EfficientNetL": None,
        "cnnexplain explain EfficientNetL": "EfficientNetLite0",
        "cnnexplain compare lecture --metrics roa": "road",
        "cnnexplain completion fi": "fish",
    }

    @pytest.fixture
    def script(self, here, capsys):
        def made(shell):
            if shutil.which(shell) is None:
                pytest.skip(f"{shell} is not installed")
            assert cli.main(["completion", shell]) == 0
            (here / "script").write_text(capsys.readouterr().out)

        return made

    def test_bash(self, script):
        script("bash")
        code = (
            "source ./script; COMP_WORDS=($1); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _cnnexplain; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        for line, expected in self.cases.items():
            done = subprocess.run(
                ["bash", "-c", code, "bash", line], capture_output=True, text=True, check=True
            )
            if expected is not None:
                assert done.stdout.split() == [expected], line
            assert done.stderr == ""
        done = subprocess.run(
            ["bash", "-c", code, "bash", "cnnexplain compare lecture --methods cam,square"],
            capture_output=True,
            text=True,
        )
        assert done.stdout == "cam,square_grad\n"

    def test_fish(self, script):
        script("fish")
        for line, expected in self.cases.items():
            done = subprocess.run(
                ["fish", "--no-config", "-c", f"source ./script; complete -C '{line}'"],
                capture_output=True,
                text=True,
            )
            if expected is not None:
                assert expected in [found.split("\t")[0] for found in done.stdout.splitlines()], (
                    line,
                    done.stderr,
                )

    def test_zsh(self, script):
        script("zsh")
        assert subprocess.run(["zsh", "-n", "script"], capture_output=True).stderr == b""
        code = "autoload -U compinit; compinit -u -d dump; source ./script; print $_comps[cnnexplain]"
        done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True)
        assert done.stdout == "_cnnexplain\n", done.stderr

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_every_command_and_option_is_there(self, shell, capsys):
        assert cli.main(["completion", shell]) == 0
        text = capsys.readouterr().out
        assert all(name in text for name in COMMANDS)
        assert all(
            flag in text
            for flag in ("report", "top", "batch-size", "EfficientNetLite0", "grad_cam_plus_plus")
        )


def test_it_says_which_shells_there_are():
    done = run("completion", "tcsh")
    assert done.returncode == 2 and "'bash', 'zsh', 'fish'" in done.stderr
