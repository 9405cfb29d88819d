"""Runs a program of `programs/` on this package or, with other imports, on Keras; compares what they found.

A program is coursework as people write it. Besides its imports it is given: `known(model)` sets weights that
depend on nobody's random numbers, `error(f, ...)` names the exception that a call raises, `FOLDER` is an
empty folder, `SUFFIX` and `WEIGHTS` are endings of files. What it finds goes into `result`.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from pathlib import Path

import numpy as np

PROGRAMS = Path(__file__).parent / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))
IMPORTS = (
    ("import cnnexplain as tf", "import tensorflow as tf"),
    ("from cnnexplain import keras", "import keras"),
    ("from cnnexplain.keras", "from keras"),
)
KEPT = 24  # numbers of a large array


def known(model, seed=0, scale=0.3):
    """The model with weights from NumPy."""
    rng = np.random.RandomState(seed)
    values = []
    for weight in model.weights:
        value = np.asarray(rng.randn(*weight.shape) * scale)
        if "variance" in weight.path:
            value = np.abs(value) + 0.5
        if "gamma" in weight.path:
            value = value + 1
        if "seed_generator" in weight.path:
            value = weight.numpy()
        values.append(value)
    model.set_weights(values)
    return model


def error(function, *args, **kwargs):
    """The name of the exception that the call raises; TensorFlow's for bad values is Python's here."""
    try:
        function(*args, **kwargs)
    except Exception as problem:
        return type(problem).__name__.replace("InvalidArgumentError", "ValueError")
    return "no error"


def run(name, folder, theirs=False):
    """What the program found, as numbers, texts, lists and dicts that JSON can hold."""
    text = (PROGRAMS / f"{name}.py").read_text()
    if theirs:
        for ours, wanted in IMPORTS:
            text = text.replace(ours, wanted)
        assert "cnnexplain" not in text
    keras = importlib.import_module("keras" if theirs else "cnnexplain.keras")
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    plt = importlib.import_module("matplotlib.pyplot")
    scope = {"known": known, "error": error, "FOLDER": str(folder), "result": {}}
    scope |= {"SUFFIX": ".keras" if theirs else ".npz", "WEIGHTS": ".weights.h5" if theirs else ".npz"}
    before, printed = Path.cwd(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(text, str(PROGRAMS / f"{name}.py"), "exec"), scope)
    finally:
        os.chdir(before)
        plt.close("all")
    shown = printed.getvalue().replace(scope["WEIGHTS"], "").replace(scope["SUFFIX"], "")
    found = scope["result"] | {"printed": re.sub(r"\d+s( -)? \d+[mu]?s/step", "", shown).splitlines()}
    return plain(found)


def plain(value):
    """Structures of Python's own; of a large array its shape, its size and some of its numbers."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    found = {"shape": list(array.shape), "dtype": str(array.dtype)}
    flat = array.reshape(-1).astype(float)
    if flat.size > KEPT:
        found["norm"] = _short(np.sqrt((flat**2).sum()))
        flat = flat[np.linspace(0, flat.size - 1, KEPT).astype(int)]
    return found | {"values": [_short(one) for one in flat]}


def _short(number):
    return float(f"{number:.7g}")


def differences(ours, theirs, place=""):
    """Where two results are not the same, floats to four digits."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if list(ours) != list(theirs):
            return [f"{place}: {list(ours)} and {list(theirs)}"]
        if "values" in ours and "shape" in ours:
            size = max(map(abs, theirs["values"]), default=1.0)
            close = len(ours["values"]) == len(theirs["values"]) and np.allclose(
                ours["values"], theirs["values"], rtol=3e-4, atol=3e-4 * size, equal_nan=True
            )
            if close:
                ours, theirs = ({k: v for k, v in d.items() if k != "values"} for d in (ours, theirs))
        return [found for key in ours for found in differences(ours[key], theirs[key], f"{place}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [found for i, (a, b) in pairs for found in differences(a, b, f"{place}[{i}]")]
    if isinstance(ours, float) and isinstance(theirs, (float, int)):
        same = np.isclose(ours, theirs, rtol=3e-4, atol=1e-6, equal_nan=True)
    else:
        same = type(ours) is type(theirs) and ours == theirs
    return [] if same else [f"{place}: {ours!r} and {theirs!r}"]
