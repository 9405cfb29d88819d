"""Coursework of every kind: each program runs as written, and finds what it finds on Keras."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from program_runner import NAMES, differences, run

RECORDED = Path(__file__).parents[1] / "fixtures" / "keras_programs.json"


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORDED.read_text())


def test_every_program_is_recorded(recorded):
    assert sorted(recorded) == NAMES and len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_program(name, recorded, tmp_path):
    wrong = differences(run(name, tmp_path), recorded[name])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_program_on_keras(name, tmp_path):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pytest.importorskip("tensorflow")
    folders = [tmp_path / side for side in ("ours", "theirs")]
    for folder in folders:
        folder.mkdir()
    wrong = differences(run(name, folders[0]), run(name, folders[1], theirs=True))
    assert not wrong, "\n".join(wrong)
