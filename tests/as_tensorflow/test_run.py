"""`cnnexplain run` on notebooks and scripts, as a user calls it."""

from __future__ import annotations

import gzip
import json
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from notebook_files import COURSEWORK, run, split, write

import cnnexplain as cx
from cnnexplain import cli, demo

BROKEN = ["import tensorflow as tf", "print('so far')\n1 / 0", "print('never')"]


def fashion_mnist(folder):
    """A data set in Keras's folder: 60 of the shipped images."""
    images, labels = demo.load_test_images()
    images = np.rint(images[:60, ..., 0] * 255).astype(np.uint8)
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels[:60].astype(np.uint8))):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))


def texts(path):
    """What each code cell of an executed notebook printed."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return ["".join("".join(out.get("text", "")) for out in cell["outputs"]) for cell in cells]


@pytest.fixture(scope="module")
def coursework(tmp_path_factory):
    pytest.importorskip("nbclient")
    folder = tmp_path_factory.mktemp("coursework")
    fashion_mnist(folder / "keras" / "datasets" / "fashion-mnist")
    path = write(folder / "homework.ipynb", split(COURSEWORK))
    before = path.read_bytes()
    arguments = (path, "--replace", "--output", "done.ipynb", "--figures", "pictures")
    finished = run(folder, *arguments, KERAS_HOME=str(folder / "keras"), MPLBACKEND="")
    return folder, finished, path.read_bytes() == before


class TestCoursework:
    def test_it_runs_unedited_and_its_file_stays(self, coursework):
        folder, finished, untouched = coursework
        assert finished.returncode == 0, finished.stderr
        assert untouched and "written: done.ipynb" in finished.stdout
        assert "`import tensorflow` means cnnexplain" in finished.stderr

    def test_what_the_cells_showed_is_kept(self, coursework):
        shown = texts(coursework[0] / "done.ipynb")
        assert shown[0].startswith("TensorFlow 2.") and "GPUs: 0" in shown[0]
        assert "(60, 28, 28, 1)" in shown[1] and "Epoch 2/2" in shown[3]
        assert "shapes (28, 28, 1) (1, 28, 28) between 0 and 1: True" in shown[6]
        assert "same again: True" in shown[7]
        assert (coursework[0] / "fashion.keras").is_file()

    def test_pictures_are_in_the_notebook_and_beside_it(self, coursework):
        folder, finished, _ = coursework
        assert sorted(path.name for path in (folder / "pictures").iterdir()) == [
            "cell-05-1.png",
            "cell-07-1.png",
        ]
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in (folder / "pictures").iterdir())


def test_a_cell_that_fails_is_named_and_the_rest_kept(tmp_path):
    pytest.importorskip("nbclient")
    path = write(tmp_path / "b.ipynb", BROKEN)
    finished = run(tmp_path, "--replace", path)
    assert finished.returncode == 1
    assert "cell 2: ZeroDivisionError: division by zero" in finished.stderr
    assert texts(tmp_path / "b-executed.ipynb") == ["", "so far\n", ""]


def test_what_is_not_here_is_listed_and_nothing_runs(tmp_path):
    (tmp_path / "a.py").write_text("import tensorflow as tf\nopen('ran', 'w')\ntf.lite")
    finished = run(tmp_path, "--replace", "a.py")
    assert finished.returncode == 1
    assert "a.py: 1 thing is not here" in finished.stdout
    assert "line 3: tensorflow.lite: there is no exporter for mobile devices" in finished.stdout
    assert "nothing was run" in finished.stderr and not (tmp_path / "ran").exists()
    finished = run(tmp_path, "--replace", "--force", "a.py")
    assert finished.returncode == 1 and "AttributeError" in finished.stderr  # Python's own
    assert (tmp_path / "ran").exists()


def test_check_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.ipynb", ["import tensorflow as tf", "tf.lite"])
    assert cli.main(["run", "--check", "--json", "a.ipynb"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)
    assert (problem["cell"], problem["line"], problem["name"]) == (2, 1, "tensorflow.lite")
    (tmp_path / "b.py").write_text("import keras\nkeras.layers.Dense(1)\nopen('ran', 'w')")
    assert cli.main(["run", "--check", "b.py"]) == 0
    assert "everything that it names is here" in capsys.readouterr().out
    assert not (tmp_path / "ran").exists()


def test_a_script_gets_its_arguments_its_folder_and_its_status(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "helper.py").write_text("two = 2")
    lines = "import sys\nimport tensorflow as tf\nimport keras\nfrom helper import two\n"
    lines += "print(__name__, sys.argv[1:], two, float(tf.reduce_sum(tf.ones(two))))\nsys.exit(5)"
    (tmp_path / "sub" / "a.py").write_text(lines)
    finished = run(tmp_path, "--replace", "sub/a.py", "--check", "-n", "3")
    assert finished.returncode == 5, finished.stderr
    assert finished.stdout == "__main__ ['--check', '-n', '3'] 2 2.0\n"


def test_an_installed_tensorflow_runs_and_is_named(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "tensorflow.py").write_text("__version__ = 'theirs'\nlite = 'their own'")
    (tmp_path / "a.py").write_text(
        "import tensorflow as tf\nprint(tf.__version__)\nif tf.lite: print(tf.lite)"
    )
    path = os.pathsep.join([str(Path(cx.__file__).parents[1]), str(tmp_path / "site")])
    finished = run(tmp_path, "a.py", PYTHONPATH=path)
    assert finished.stdout == "theirs\ntheir own\n"
    assert "which is installed here" in finished.stderr and "means TensorFlow" in finished.stderr
    finished = run(tmp_path, "--replace", "--force", "a.py", PYTHONPATH=path)
    assert "theirs" not in finished.stdout and "means cnnexplain" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.ipynb",), "there is no file nothing.ipynb"),
        (("a.ipynb", "more"), "a notebook takes no arguments. Received: more"),
        (("--figures", "x", "a.py"), "are for notebooks"),
        (("--json", "a.py"), "--json needs --check"),
        (("--replace", "a.ipynb", "--output", "a.ipynb"), "another file"),
        (("--replace", "a.ipynb", "--output", "nowhere/b.ipynb"), "nowhere/b.ipynb: No such file"),
    ],
)
def test_what_cannot_be_done_as_typed(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.ipynb", ["x = 1"])
    (tmp_path / "a.py").write_text("x = 1")
    assert cli.main(["run", *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown and len(shown.splitlines()) <= 2 and "Traceback" not in shown


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "nbclient", None)
    path = write(tmp_path / "a.ipynb", ["x = 1"])
    assert cli.main(["run", "--replace", str(path)]) == 1
    assert "pip install 'cnnexplain[notebook]'" in capsys.readouterr().err
