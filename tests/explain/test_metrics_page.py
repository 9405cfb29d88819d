"""docs/metrics.md: every metric is explained, and its table is the one that the script makes."""

from __future__ import annotations

import re
from pathlib import Path

import metrics_table as script
import numpy as np

import cnnexplain as cx

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
METRICS = [name for name in cx.explain.metrics.__all__ if name != "Metric"]
ROWS = [
    [cell.strip(" *`") for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ")
]


def test_the_page_has_every_metric():
    titles = re.findall(r"^- \*\*([^*]+)\*\*", PAGE, re.MULTILINE)
    named = {
        title.lower().replace("-", "_").replace(" ", "_").replace("isation", "ization") for title in titles
    }
    assert named == set(METRICS)
    assert set(script.METRICS) == set(METRICS) - {"pointing_game"}  # for which these images have no masks


def test_the_table_has_the_methods_and_metrics_of_the_script():
    assert [row[0] for row in ROWS] == ["method", *script.METHODS, "random numbers"]
    heads = [re.fullmatch(r"(\w+)` \((higher|lower)\)", head) for head in ROWS[0][1:]]
    assert [head[1] for head in heads] == list(script.METRICS)
    for name, column in zip(script.METRICS, list(zip(*ROWS, strict=True))[1:], strict=True):
        numbers = [float(cell) for cell in column[1:] if cell != "-"]
        assert len(numbers) >= 7 and np.isfinite(numbers).all(), name


def test_the_script_makes_it():
    """Two methods of the pixels' gradients, on all thirty images: the page's numbers."""
    made = script.table(("saliency", "input_x_gradient"), metrics=("deletion", "completeness"))
    head, _, *rows = [[c.strip(" *`") for c in line.strip("|").split("|")] for line in made.splitlines()]
    assert head[0] == "method" and head[1].startswith("deletion") and head[2].startswith("completeness")
    page = {row[0]: row for row in ROWS}
    columns = [1 + script.METRICS.index(name) for name in ("deletion", "completeness")]
    for row in rows[:2]:
        want = [float(page[row[0]][column]) for column in columns]
        np.testing.assert_allclose([float(cell) for cell in row[1:]], want, rtol=0.02)
    assert rows[2][0] == "random numbers" and rows[2][2] == "-"
    assert made.count("**") == 4  # the best of each column


def test_a_page_keeps_the_rest():
    assert (
        script.put("a\n\n| method | x |\n|---|\n| b | 1 |\n\nc\n", "| method | y |")
        == "a\n\n| method | y |\n\nc\n"
    )
