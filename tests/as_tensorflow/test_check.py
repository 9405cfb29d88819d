"""What the check before a run finds, and what it leaves alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from notebook_files import COURSEWORK, split, write

from cnnexplain.as_tensorflow.check import check
from cnnexplain.as_tensorflow.sources import Cell, read

sys.path.insert(0, str(Path(__file__).parents[1] / "keras"))
from program_runner import IMPORTS, NAMES, PROGRAMS

TF = "import tensorflow as tf\n"


def found(*cells):
    """(cell, line, name) of each problem."""
    problems = check(Cell(number, source) for number, source in enumerate(cells, 1))
    assert all(problem.advice for problem in problems)
    return [(problem.cell, problem.line, problem.name) for problem in problems]


@pytest.mark.parametrize(
    ("source", "name", "advice"),
    [
        (TF + "tf.lite.TFLiteConverter", "tensorflow.lite", "mobile"),
        (TF + "tf.Session()", "tensorflow.Session", "no sessions"),
        (TF + "tf.nn.conv3d(1, 2)", "tensorflow.nn.conv3d", "tensorflow.nn.conv2d"),
        (TF + "tf.placeholder", "tensorflow.placeholder", "use tensorflow.keras.Input"),
        (TF + "tf.data.Dataset.from_tensor_slice(1)", "tensorflow.data.Dataset.from_tensor_slice", "slices"),
        (TF + "tf.compat.v1.Session()", "tensorflow.compat.v1.Session", "TensorFlow 1"),
        (TF + "tf.reduce_sum(1, axes=0)", "tensorflow.reduce_sum(axes=)", "the nearest is `axis`"),
        ("\nfrom tensorflow.keras.layers import Dense, Conv3D", "tensorflow.keras.layers.Conv3D", "two-dim"),
        ("\nfrom tensorflow.lite import Interpreter", "tensorflow.lite", "mobile"),
        ("\nimport tensorflow.python.framework.ops", "tensorflow.python.framework", "private"),
        ("\nfrom keras.callbacks import TensorBoard", "keras.callbacks.TensorBoard", "CSVLogger"),
        (
            "from tensorflow.keras import layers as L\nL.ConvLSTM2D",
            "tensorflow.keras.layers.ConvLSTM2D",
            "video",
        ),
        ("from keras.layers import *\nConv2D.nothing", "keras.layers.Conv2D.nothing", "no such"),
        ("\nimport tensorflow_hub as hub", "tensorflow_hub", "keras.applications"),
        ("\nfrom google.colab import files", "google.colab", "Colab"),
        ("\nimport a_module_of_nobody.part", "a_module_of_nobody", "pip install a_module_of_nobody"),
        ("x = 1\nprint x", "not Python 3", ""),
    ],
)
def test_what_is_not_here(source, name, advice):
    (problem,) = check([Cell(None, source)])
    assert (problem.line, problem.name) == (2, name)
    assert advice in problem.advice


def test_names_are_followed_from_cell_to_cell():
    cells = (
        "def later():\n    return tf.lite",  # runs after the import below
        "import tensorflow as tf\nK = tf.keras.backend",
        "%matplotlib inline\n!ls\nfiles = !ls\nK.mean(1)\nK.nothing_here",
        "class A(tf.keras.Model):\n    def call(self, x):\n        return [tf.nothing_here for _ in x]",
        "%%time\ntf.nothing_here_either",
        "%%bash\necho tf.nothing",
    )
    assert found(*cells) == [
        (1, 2, "tensorflow.lite"),
        (3, 5, "tensorflow.keras.backend.nothing_here"),
        (4, 3, "tensorflow.nothing_here"),
        (5, 2, "tensorflow.nothing_here_either"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "def f(tf):\n    return tf.nothing",
        "f = lambda tf: tf.nothing",
        "[tf.nothing for tf in [1]]",
        "for tf in [1]:\n    tf.nothing",
        "tf = 3\ntf.nothing",
        "with open('x') as tf:\n    tf.nothing",
        "try:\n    tf.nothing\nexcept AttributeError:\n    tf.other",
        "try:\n    import nothing_of_the_kind\nexcept ImportError:\n    pass",
        "if tf.__version__ < '2':\n    tf.Session()",
        "if hasattr(tf, 'lite'):\n    tf.lite",
        "model = tf.keras.Sequential()\nmodel.nothing()",
        "tf.keras.layers.Dense(3, whatever=4)",  # takes **kwargs: the layer itself says what it does not know
        "tf.keras.backend.my_own = 3",
        "import os, xml.etree.ElementTree, numpy.linalg\nfrom . import sibling",
        "x = await thing()",
        "%config InlineBackend.figure_format = 'retina'\nmodel?\nx = (4\n     % 3)",
    ],
)
def test_what_is_left_alone(source):
    assert found(TF + source) == []


@pytest.mark.parametrize("name", NAMES)
def test_programs_that_run_are_not_complained_about(name):
    text = (PROGRAMS / f"{name}.py").read_text()
    for ours, theirs in IMPORTS:
        text = text.replace(ours, theirs)
    assert found(text) == []


def test_the_coursework_is_not_complained_about():
    assert found(*split(COURSEWORK)) == []


def test_a_module_beside_the_program_is_there(tmp_path):
    (tmp_path / "my_helpers.py").write_text("")
    assert check([Cell(None, "import my_helpers")], tmp_path) == []
    assert len(check([Cell(None, "import my_helpers")])) == 1


class TestReading:
    def test_cells_are_counted_without_texts(self, tmp_path):
        path = write(tmp_path / "a.ipynb", ["x = 1\ny = 2", "z"])
        assert read(path) == [Cell(1, "x = 1\ny = 2"), Cell(2, "z")]

    def test_notebooks_of_2013(self, tmp_path):
        cells = [{"cell_type": "code", "input": ["x = 1\n", "y"]}, {"cell_type": "heading", "source": "h"}]
        (tmp_path / "old.ipynb").write_text(json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}))
        assert read(tmp_path / "old.ipynb") == [Cell(1, "x = 1\ny")]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "is not a notebook"),
            ("[1]", "is not a notebook"),
            ('{"metadata": {}}', "is not a notebook"),
            ('{"cells": [], "metadata": {"language_info": {"name": "R"}}}', "language 'R'"),
        ],
    )
    def test_what_is_no_notebook(self, tmp_path, content, message):
        (tmp_path / "a.ipynb").write_text(content)
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "a.ipynb")

    def test_files_that_are_no_text_or_not_there(self, tmp_path):
        (tmp_path / "a.py").write_bytes(b"\xff\xfe\x00\x01")
        with pytest.raises(ValueError, match="text file of Python"):
            read(tmp_path / "a.py")
        with pytest.raises(FileNotFoundError, match="there is no file"):
            read(tmp_path / "b.py")
