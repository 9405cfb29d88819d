"""The example assignment: the solution has all points, and eight typical submissions learn what is wrong.

Each is graded by pytest as a lecturer does it; one process loads what all need, and forks for each.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cnnexplain

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or "asan" in os.environ.get("LD_PRELOAD", ""), reason="needs processes of its own"
)
FOLDER = Path(__file__).parent / "coursework"
WRONG = sorted(path.stem for path in (FOLDER / "wrong").glob("*.py"))
PAGE = (FOLDER.parents[1] / "docs" / "coursework.md").read_text()
GRADE_ALL = """
import os, sys, pytest
import cnnexplain.explain, cnnexplain.testing
cnnexplain.testing.assert_same_map
for grader in sys.argv[1:]:
    grader, path, grades = grader.split(",")
    pid = os.fork()
    if not pid:
        options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-p", "cnnexplain.testing.plugin"]
        options += ["-W", "ignore:Module already imported"]  # here, before pytest begins
        code = pytest.main([*options, grader, "--grades", grades, "--grades-submission", path])
        sys.stdout.flush()
        os._exit(code)
    os.waitpid(pid, 0)
"""


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(cnnexplain.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "INTERNALERROR" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """What the JSON files hold, by the names of the submissions; "page": by the grader of the page."""
    folder = tmp_path_factory.mktemp("coursework") / "coursework"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    grader = PAGE.split("```python not run: pytest runs it\n")[1].split("```")[0]
    (folder / "page.py").write_text(grader)
    submissions = ["solution.py", "template.py", *(f"wrong/{name}.py" for name in WRONG)]
    names = [Path(name).stem for name in submissions]
    runs = [f"grade.py,{path},{name}.json" for path, name in zip(submissions, names, strict=True)]
    runs += ["page.py,solution.py,page.json", "page.py,wrong/unnormalised.py,page_wrong.json"]
    run(folder, "-c", GRADE_ALL, *runs)
    return {
        name: json.loads((folder / f"{name}.json").read_text()) for name in (*names, "page", "page_wrong")
    }


def test_the_solution_has_all_points(graded):
    assert graded["solution"]["earned"] == graded["solution"]["points"] == 10, graded["solution"]


def test_the_template_is_not_written_yet(graded):
    told = graded["template"]
    assert told["earned"] == 0
    assert all("is not written yet" in test["hint"] for test in told["tests"])


def test_there_are_eight_wrong_submissions():
    assert len(WRONG) == len(HINTS) == 8 and set(WRONG) == set(HINTS)


HINTS = {  # points; test, what went wrong there, words of the hint
    "absolute_value_missing": (
        7, "test_saliency", "absolute-value-missing", "the absolute value is missing. Take it first",
    ),
    "channels_swapped": (
        2, "test_saliency", "channels-swapped", "Red and blue are swapped: the image went into the network",
    ),
    "one_scale_for_all": (
        8, "test_grad_cam", "normalised-over-the-batch", "divided by the largest value of the whole batch",
    ),
    "relu_missing": (6, "test_grad_cam", "relu-missing", "First wrong step: ReLU. The ReLU is missing"),
    "shifted": (
        5, "test_grad_cam", "half-a-pixel-off", "The map is shifted: it is enlarged from the pixels' corners",
    ),
    "softmax": (
        5, "test_grad_cam", "softmax-instead-of-logit", "The score is the probability, after the softmax",
    ),
    "unnormalised": (7, "test_grad_cam", "not-normalised", "The map is not normalised. Divide each map by"),
    "wrong_axis": (
        3, "test_channel_weights", "weights-averaged-over-channels", "averaged over the wrong axis, the chan",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HINTS)
def test_a_wrong_submission_learns_what_is_wrong(graded, name):
    points, test, mistake, words = HINTS[name]
    tests = {entry["test"].split("::")[-1]: entry for entry in graded[name]["tests"]}
    assert graded[name]["earned"] == points, graded[name]
    assert tests[test]["outcome"] == "failed" and words in tests[test]["hint"], tests[test]["hint"]
    for entry in tests.values():  # and nothing else is said to be wrong
        assert set(entry["mistakes"]) <= {mistake}, entry["mistakes"]


def test_the_grader_of_the_page(graded):
    """docs/coursework.md: the grader runs, and the table shows what it gives."""
    assert graded["page"]["earned"] == graded["page"]["points"] == 5
    (test,) = graded["page_wrong"]["tests"]
    lines = [
        line.strip().removesuffix("...") for line in PAGE.split("```text\n")[1].split("```")[0].splitlines()
    ]
    assert lines[1] == f"{test['earned']:g} / {test['points']:g}     test_grad_cam"
    for line in lines[2:6]:
        assert line in test["hint"]


def test_the_command_of_the_readme(tmp_path):
    command = "pytest grade.py --grades-submission solution.py"
    assert f"    {command}\n" in (FOLDER / "README.md").read_text()
    shutil.copytree(FOLDER, tmp_path / "coursework")
    plugin = ["-p", "cnnexplain.testing.plugin"]  # which loads by itself where cnnexplain is installed
    assert "    10 / 10    in all" in run(tmp_path / "coursework", "-m", *command.split(), *plugin)
