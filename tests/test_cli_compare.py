"""`cnnexplain compare` and `evaluate`: the numbers of the library, and a file that is continued."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import clothes
from PIL import Image

import cnnexplain as cx
from cnnexplain import cli, demo, explain
from cnnexplain.cli import compare

UNIT = np.float32(255)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestCompare:
    def test_numbers(self, here, capsys):
        images = clothes(here / "in", 3)
        arguments = ["compare", "lecture", "in", "--methods", "grad_cam,saliency", "--metrics", "deletion"]
        assert cli.main([*arguments, "--batch-size", "2", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        network, x = demo.load_network(), images / UNIT
        for name in ("grad_cam", "saliency"):
            e = explain.by_name(network, x, method=name)
            expected = explain.metrics.deletion(network, x, e).per_image
            found = [one["metrics"]["deletion"][name] for one in told["pictures"]]
            assert found == pytest.approx(expected, abs=1e-6)
            mean = told["means"]["deletion"][told["means"]["method"].index(name)]
            assert mean == pytest.approx(expected.mean(), abs=1e-6)
        assert told["higher_is_better"] == {"deletion": False} and told["layers"]["grad_cam"] == "conv2d_3"

    def test_table_and_sheet(self, here, capsys):
        clothes(here / "in", 2)
        arguments = ["compare", "lecture", "in", "--methods", "grad_cam,saliency,cam"]
        assert cli.main([*arguments, "--metrics", "completeness", "--out", "c.jpg"]) == 0
        out = capsys.readouterr().out
        assert "completeness (lower)" in out and "completeness has no value for cam" in out
        with Image.open("c.jpg") as image:
            assert image.width == 4 * 250 + 10 and image.height > 2 * 240

    @pytest.mark.parametrize(
        "arguments, reason",
        [
            (["--methods", "magic"], "the method must be one of"),
            (["--methods", ","], "--methods must name at least one"),
            (["--metrics", "pointing_game"], "--metrics must be among average_drop"),
            (["--methods", "saliency", "--layer", "conv2d"], "--layer has no meaning for saliency"),
            (["--out", "c.gif"], "--out must end in .png, .jpg or .pdf"),
            (["--out", "gone/c.png"], "--out: there is no folder gone"),
            (["--report", "c.txt"], "--report must end in .html or .htm"),
        ],
    )
    def test_mistakes(self, here, arguments, reason, capsys):
        clothes(here, 1)
        assert cli.main(["compare", "lecture", "0.png", *arguments]) == 2
        assert reason in capsys.readouterr().err


class TestEvaluate:
    arguments = ("evaluate", "lecture", "in", "--methods", "grad_cam,saliency")

    def test_values_are_those_of_the_metrics(self, here, capsys):
        images = clothes(here / "in", 2, damaged=True)
        assert cli.main([*self.arguments, "--metrics", "insertion,completeness"]) == 1
        out, error = capsys.readouterr()
        assert error == "cnnexplain: in/damaged.png: damaged, or no picture\n"
        assert out.startswith("2 of 3 pictures, 8 new values\n")
        settings, *found = lines(here / "evaluation.jsonl")
        assert settings["settings"]["model"] == "lecture" and len(found) == 4
        network = demo.load_network()
        for entry in found:
            x = images[int(entry["file"][3])] / UNIT
            e = explain.by_name(network, x, method=entry["method"])
            expected = explain.metrics.insertion(network, x, e).value
            assert entry["metrics"]["insertion"] == pytest.approx(expected, abs=1e-6)
            known = entry["metrics"]["completeness"] is not None
            assert known == (entry["method"] == "saliency")

    def test_a_restart_does_only_what_is_missing(self, here, monkeypatch, capsys):
        asked = []
        original = explain.compare

        def counted(model, images, class_index, *, methods, metrics, **options):
            asked.append((methods, metrics))
            if len(asked) == 4:
                raise KeyboardInterrupt
            return original(model, images, class_index, methods=methods, metrics=metrics, **options)

        clothes(here / "in", 3)
        whole = [*self.arguments, "--metrics", "insertion", "--out", "whole.jsonl"]
        assert cli.main(whole) == 0
        monkeypatch.setattr(explain, "compare", counted)
        again = [*self.arguments, "--metrics", "insertion", "--out", "again.jsonl"]
        assert cli.main(again) == 130 and len(lines(here / "again.jsonl")) == 1 + 3
        with open("again.jsonl", "ab") as file:
            file.write(b'{"file": "in/1.png", "method": "sal')  # killed while it wrote
        capsys.readouterr()
        asked += [()]  # beyond the fourth
        assert cli.main(again) == 0
        assert capsys.readouterr().out.startswith("3 of 3 pictures, 3 new values\n")
        drop = ("seconds",)
        first, second = (
            [{k: v for k, v in line.items() if k not in drop} for line in lines(here / f"{name}.jsonl")]
            for name in ("whole", "again")
        )
        assert first == second
        before = len(asked)
        assert cli.main(again) == 0 and len(asked) == before
        assert cli.main([*self.arguments, "--metrics", "insertion,deletion", "--out", "again.jsonl"]) == 0
        assert asked[before:] == [([m], ["deletion"]) for _ in range(3) for m in ("grad_cam", "saliency")]

    def test_results_of_other_settings_are_refused(self, here, capsys):
        clothes(here / "in", 1)
        given = [*self.arguments, "--metrics", "deletion"]
        assert cli.main(given) == 0
        before = (here / "evaluation.jsonl").read_bytes()
        assert cli.main([*given, "--class", "Bag"]) == 2
        assert "other settings (class None there, 8 here)" in capsys.readouterr().err
        network = demo.load_network()
        network.layers[0].bias.assign_add(np.ones(16))
        network.save("lecture.keras")
        assert cli.main(["evaluate", "lecture.keras", *given[2:]]) == 2
        assert "fingerprint" in capsys.readouterr().err
        assert (here / "evaluation.jsonl").read_bytes() == before

    @pytest.mark.parametrize("text", ["no json\n", '{"a": 1}\n', "[]\n", '{"settings": {}}\n{"file": 1}\n'])
    def test_another_file_is_left_alone(self, here, text, capsys):
        clothes(here / "in", 1)
        (here / "evaluation.jsonl").write_text(text)
        assert cli.main([*self.arguments]) == 2
        assert "evaluation.jsonl holds" in capsys.readouterr().err
        assert (here / "evaluation.jsonl").read_text() == text

    def test_json(self, here, capsys):
        clothes(here / "in", 3)
        given = [*self.arguments, "--metrics", "average_drop", "--most", "2", "--json"]
        assert cli.main(given) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["cnnexplain"] == cx.__version__ and told["pictures"] == 2 and told["computed"] == 4
        values = [entry["metrics"]["average_drop"] for entry in lines(here / "evaluation.jsonl")[1:]]
        means = [np.mean(values[::2]), np.mean(values[1::2])]
        assert told["means"]["average_drop"] == pytest.approx(means)


def test_metrics_that_need_masks_are_not_offered():
    with pytest.raises(ValueError, match="--metrics must be among .*road"):
        compare.chosen_metrics(["pointing_game"])
