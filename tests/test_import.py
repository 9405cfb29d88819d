"""What `import cnnexplain` costs and brings, and what it says about names that do not exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import cnnexplain as cx
from cnnexplain import _names


def run(code: str) -> str:
    """Standard output of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tempfile.gettempdir(),  # not the source folder, which has no compiled core
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers slow everything down")
def test_costs_little_more_than_numpy():
    code = (
        "import time; a = time.perf_counter(); import numpy; b = time.perf_counter(); "
        "import {}; c = time.perf_counter(); print(c - b)"
    )
    for module in ("cnnexplain", "cnnexplain._core, cnnexplain.tensor, cnnexplain.functions"):
        assert min(float(run(code.format(module))) for _ in range(5)) < 0.05


HEAVY = """
    IPython ipywidgets dask distributed pytest nbformat h5py PIL matplotlib tqdm pooch scipy tensorflow torch
    keras pandas urllib.request
"""


@pytest.mark.parametrize(
    "code",
    [
        "import cnnexplain",
        "import cnnexplain as tf; tf.reduce_sum(tf.ones(3)); tf.image.resize; tf.data.Dataset; tf.io",
        "import cnnexplain.keras; from cnnexplain.keras.layers import Conv2D; from cnnexplain import keras",
        "import cnnexplain; cnnexplain.explain.grad_cam; cnnexplain.ops.cam",
    ],
)
def test_imports_nothing_heavy(code):
    found = run(f"{code}\nimport sys; print([m for m in {HEAVY.split()!r} if m in sys.modules])")
    assert found.strip() == "[]"


def test_version_is_the_package_s():
    """It stands in version.py alone; the heading of the newest changes names it."""
    text = (Path(__file__).parents[1] / "CHANGELOG.md").read_text()
    assert cx.__version__ == cx.version.VERSION == re.search(r"^## ([0-9.]+)", text, re.M).group(1)


@pytest.mark.parametrize("name", _names.PUBLIC)
def test_every_public_name_is_there(name):
    assert getattr(cx, name, "missing") != "missing"
    assert name in dir(cx)


@pytest.mark.parametrize("module", sorted(_names.MODULES - {"keras", "explain", "demo", "plot", "version"}))
def test_every_public_function_has_a_docstring(module):
    home = getattr(cx, module)
    for name in home.__all__:
        value = getattr(home, name)
        assert not callable(value) or value.__doc__, f"{module}.{name}"


def test_names_of_the_table_are_documented():
    for name in _names.HOMES:
        value = getattr(cx, name)
        assert not callable(value) or value.__doc__, name


def test_what_lecture_code_types():
    import cnnexplain as tf

    assert tf.float32 == "float32"
    assert tf.keras.layers.Conv2D is __import__("cnnexplain.keras.layers", fromlist=["Conv2D"]).Conv2D
    assert callable(tf.explain) and callable(tf.explain.grad_cam)
    for name in "nn image math random data io linalg config errors debugging ops".split():
        assert getattr(tf, name).__name__ == f"cnnexplain.{name}"
    assert tf.config.list_physical_devices("GPU") == []


@pytest.mark.parametrize(
    ("module", "name", "advice"),
    [
        ("cnnexplain", "reduce_summ", "cnnexplain.reduce_sum"),
        ("cnnexplain", "concatenate", "cnnexplain.concat"),
        ("cnnexplain", "placeholder", "keras.Input"),
        ("cnnexplain", "Session", "TensorFlow 2"),
        ("cnnexplain", "top_k", "cnnexplain.math.top_k"),
        ("cnnexplain", "lite", "mobile"),
        ("cnnexplain.nn", "rellu", "cnnexplain.nn.relu"),
        ("cnnexplain.nn", "conv3d", "cnnexplain.nn.conv2d"),
        ("cnnexplain.image", "resize_with_padding", "cnnexplain.image.resize_with_pad"),
        ("cnnexplain.math", "reduce_varianc", "cnnexplain.math.reduce_variance"),
        ("cnnexplain.random", "norml", "cnnexplain.random.normal"),
        ("cnnexplain.linalg", "slove", "cnnexplain.linalg.solve"),
        ("cnnexplain.data", "DataSet", "cnnexplain.data.Dataset"),
    ],
)
def test_a_missing_name_says_what_comes_nearest(module, name, advice):
    home = sys.modules.get(module) or getattr(cx, module.split(".")[1])
    with pytest.raises(AttributeError, match=re.escape(advice)) as caught:
        getattr(home, name)
    assert f"module {module!r} has no attribute {name!r}" in str(caught.value)
    assert not hasattr(home, name) and getattr(home, name, 7) == 7


def test_a_missing_private_name_is_plain():
    with pytest.raises(AttributeError) as caught:
        _ = cx._nothing
    assert str(caught.value) == "module 'cnnexplain' has no attribute '_nothing'"


def test_submodules_import_both_ways():
    out = run(
        "from cnnexplain import keras, _core, tensor\n"
        "import cnnexplain.nn as nn\n"
        "from cnnexplain.keras import layers, models\n"
        "from cnnexplain.keras.models import Model\n"
        "print(nn.relu.__name__)"
    )
    assert out.strip() == "relu"
    with pytest.raises(ImportError):
        from cnnexplain import nothing_of_that_name  # noqa: F401


def test_machine_settings():
    before = cx.get_threads()
    cx.set_threads(1)
    assert cx.get_threads() == cx.config.threading.get_intra_op_parallelism_threads() == 1
    cx.set_threads(before)
    cx.clear_caches()
    cx.set_precision("strict")
    cx.set_precision("fast")
    with pytest.raises(
        ValueError, match="`precision` must be one of: fast, strict. Received: precision='half'"
    ):
        cx.set_precision("half")


def test_the_types_list_the_same_names():
    """__init__.pyi, which editors and mypy read, is made from the table: python tests/make_stub.py."""
    from make_stub import STUB, stub

    assert STUB.read_text() == stub()


def test_every_op_has_its_types():
    types = (Path(cx.__file__).parent / "_core.pyi").read_text()
    missing = [name for name in cx._core.op_names() if f"\ndef {name}(" not in types]
    assert not missing
