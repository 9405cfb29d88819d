"""Programs that people write, as they write them: only the import lines are this package's."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parent / "scripts"
IMPORTS = (
    ("import cnnexplain as tf", "import tensorflow as tf"),
    ("from cnnexplain import keras", "import keras"),
)


def run(name, theirs=False, **given):
    text = (SCRIPTS / f"{name}.py").read_text()
    if theirs:
        for ours, wanted in IMPORTS:
            text = text.replace(ours, wanted)
        assert "cnnexplain" not in re.sub(r'""".*?"""', "", text, flags=re.S)
    scope = dict(given)
    exec(compile(text, name, "exec"), scope)
    return scope


@pytest.fixture
def photographs(tmp_path):
    """Two classes of 16 pictures: bright above or bright below."""
    from PIL import Image

    rng = np.random.RandomState(0)
    for kind in ("above", "below"):
        (tmp_path / kind).mkdir()
        for k in range(16):
            pixels = rng.randint(0, 60, (70, 80, 3))
            half = slice(0, 35) if kind == "above" else slice(35, 70)
            pixels[half] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / kind / f"{k:02}.png")
    return tmp_path


def given(folder):
    return {"DIRECTORY": str(folder), "PICTURE": str(folder / "above" / "00.png")}


def check_transfer(scope, drifts=False):
    assert scope["classes"] == ["above", "below"]
    assert all(np.array_equal(a, b) for a, b in zip(scope["frozen"], scope["still"], strict=True))
    changed = [
        not np.array_equal(before, np.array(weight))
        for before, weight in zip(scope["still"], scope["base"].weights, strict=True)
    ]
    # The last six layers hold a batch norm, a convolution and a batch norm: ten weights.
    assert any(changed[-10:]) and not any(changed[:-10])
    if not drifts:  # the base was called with training=False: moving statistics stay
        assert not any(changed[-2:]) and not any(changed[-8:-6])
    assert np.isfinite(scope["head"].history["val_loss"]).all() and np.isfinite(scope["loss"])
    assert list(scope["tuned"].history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert scope["tuned"].epoch == [2]
    np.testing.assert_allclose(scope["predictions"].sum(1), 1, rtol=1e-5)
    assert scope["images"].shape == (8, 64, 64, 3)
    assert 0.5 <= scope["probability"] <= 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_transfer_learning(photographs, capsys):
    check_transfer(run("transfer_learning", **given(photographs)))
    said = capsys.readouterr().out
    assert "Found 32 files belonging to 2 classes." in said
    assert "Using 24 files for training." in said and "Using 8 files for validation." in said


def test_fashion(monkeypatch):
    from cnnexplain import keras

    rng = np.random.RandomState(0)
    shapes = [((96, 28, 28), 96), ((32, 28, 28), 32)]
    data = tuple(
        (rng.randint(0, 256, shape).astype(np.uint8), rng.randint(0, 10, n).astype(np.uint8))
        for shape, n in shapes
    )
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", lambda: data)
    scope = run("fashion", EPOCHS=2, VERBOSE=0)
    assert len(scope["history"].history["val_accuracy"]) == 2
    lines = [line for line in (SCRIPTS / "fashion.py").read_text().split("\n")[2:] if line.strip()]
    assert len(lines) <= 12


@pytest.mark.slow
def test_fashion_learns():
    """One epoch on the 60,000 real pictures, from Debian's dataset-fashion-mnist or the cache."""
    scope = run("fashion", EPOCHS=1, VERBOSE=0)
    assert scope["history"].history["val_accuracy"][-1] > 0.8


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_transfer_learning_is_also_theirs(photographs):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pytest.importorskip("tensorflow")
    scope = run("transfer_learning", True, **given(photographs))
    check_transfer(scope, drifts=True)
