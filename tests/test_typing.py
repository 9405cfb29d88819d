"""A user's program passes the strictest type check, and runs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cnnexplain

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "typing" / "user.py"

KINDS = {
    "tf.nn.relu(x)": "tensor.Tensor",
    "tf.reduce_mean(x) + 1.0": "tensor.Tensor",
    "tf.image.resize(x, (2, 2))": "tensor.Tensor",
    "keras.ops.mean(x)": "tensor.Tensor",
    "keras.ops.image.resize(x, (2, 2))": "tensor.Tensor",
    "keras.activations.relu(x)": "tensor.Tensor",
    "keras.losses.mean_squared_error(x, x)": "tensor.Tensor",
    "keras.Input((2,))": "tensor.Tensor",
    "keras.Sequential().fit(x, x)": "History",
    "keras.applications.VGG16(weights=None)": "Model",
    "keras.utils.to_categorical([1])": "ndarray",
    "keras.callbacks.EarlyStopping()": "EarlyStopping",
    "tf.data.Dataset.range(3).batch(2)": "Dataset",
    "explain.saliency(keras.Sequential(), x)": "Explanation",
}


def mypy(*arguments: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed: pip install -e '.[lint]'")
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={ROOT / '.mypy_cache' / 'strict'}"]
    command = [sys.executable, "-m", "mypy", *options, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_program_passes_mypy_strict():
    result = mypy(str(PROGRAM))
    assert result.returncode == 0, result.stdout + result.stderr


def test_types_are_known(tmp_path):
    """Strictness alone would also pass where everything is Any."""
    lines = ["import cnnexplain as tf", "from cnnexplain import explain, keras", "x = tf.constant(1.0)"]
    program = tmp_path / "kinds.py"
    program.write_text("\n".join([*lines, *(f"reveal_type({name})" for name in KINDS)]))
    result = mypy(str(program))
    told = [line for line in result.stdout.splitlines() if "Revealed type" in line]
    assert len(told) == len(KINDS), result.stdout + result.stderr
    for (name, kind), line in zip(KINDS.items(), told, strict=True):
        assert kind in line, f"{name}: {line}"


def test_program_runs(tmp_path):
    home = Path(cnnexplain.__file__).parents[1]
    result = subprocess.run(
        [sys.executable, str(PROGRAM)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": str(home)},
        check=False,
    )
    assert result.returncode == 0, result.stderr
