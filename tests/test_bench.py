"""The benchmark's bookkeeping: what a row costs, when it falls short, a side that does not answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench import page, report, side, work
from bench.__main__ import rows, short

import cnnexplain as cx

ROOT = Path(__file__).resolve().parent.parent
LECTURE = work.Work("lecture", "saliency", must=2, aim=4, most_mb=100)


def test_operations_of_the_lecture_s_network():
    model = work.network(LECTURE, cx.keras)
    first = 28 * 28 * 9 * 1 * 16
    inner = 14 * 14 * 9 * 16 * 32 + 7 * 7 * 9 * 32 * 64 + 3 * 3 * 9 * 64 * 128
    forward = 2 * (first + inner + 128 * 10)
    counted = {
        kind: work.flop(work.Work("lecture", kind), model) for kind in ("forward", "saliency", "grad_cam")
    }
    assert counted == {"forward": forward, "saliency": 2 * forward, "grad_cam": forward + 2 * 128 * 10}
    step = work.flop(work.Work("lecture", "train_step", images=32), model)
    assert step == 32 * (3 * forward - 2 * first)


def test_operations_of_mobilenet_are_those_of_its_paper():
    row = work.Work("MobileNetV2", "forward")
    assert work.flop(row, work.network(row, cx.keras)) == pytest.approx(2 * 300e6, rel=0.01)


@pytest.mark.parametrize(
    "ratio, megabytes, faults, missed",
    [
        (2.0, 100, 100, []),
        (1.99, 100, 0, ["ratio"]),
        (3, 101, 0, ["memory"]),
        (1, 200, 101, ["ratio", "memory", "page faults"]),
    ],
)
def test_a_row_says_what_it_misses(ratio, megabytes, faults, missed, capsys):
    found = {
        "work": "w",
        "must": 2,
        "aim": 4,
        "ratio": ratio,
        "peak MB": megabytes,
        "faults": faults,
        "ms": 1,
    }
    found |= {"of peak": None, "rival": {"name": "pytorch", "ms": 1, "peak MB": 1}}
    found["short"] = short(LECTURE, found)
    assert found["short"] == missed
    report.TextReport().row(found)
    assert ("SHORT" in capsys.readouterr().out) == bool(missed)


def test_a_side_that_fails_or_takes_too_long_ends_the_row_not_the_table():
    with pytest.raises(side.Failed, match="pytorch-grad-cam ended: .*Error"):
        side.Side("pytorch-grad-cam", work.Work("lecture", "no such thing"), 1, "", 60)
    with pytest.raises(side.Failed, match="took more than 0.01 s"):
        side.Side("cnnexplain", LECTURE, 1, "", 0.01)


def test_a_round_of_ours():
    ours = side.Side("cnnexplain", work.Work("lecture", "forward"), 1, "portable", 60)
    try:
        ours.spend(0.01)
        assert 0 < ours.best[""] < 1 and ours.answers[0]["peak"] > 10 and ours.version == cx.__version__
    finally:
        ours.close()


def test_every_row_can_be_asked_for():
    methods = {row.kind for row in rows(work.TABLE, "")}
    assert {"forward", "saliency", "grad_cam", "train_step", "epoch", "grad_cam_listing"} <= methods
    assert [row.name for row in rows(work.TABLE, "ResNet50 grad_cam / pytorch-grad-cam")] == [
        "ResNet50 grad_cam"
    ]


def test_help_names_the_rows():
    command = [sys.executable, "-m", "tests.bench", "--help"]
    helped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "ResNet50 smooth_grad / captum" in helped and "ResNet50 layer_cam / own grad_cam" in helped


def test_the_page_s_commands_exist():
    """Each module that a table comes from takes the options that the page names."""
    found = page.TABLE.findall((ROOT / "docs" / "performance.md").read_text())
    assert found
    for _, command, _, _ in found:
        module, *options = command.removeprefix("-m ").split()
        helped = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert all(option in helped for option in options if option.startswith("--")), command
