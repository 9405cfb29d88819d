"""`import tensorflow` without TensorFlow: which names it finds, what they compute, the way back."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import lecture
import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import as_tensorflow
from cnnexplain.as_tensorflow import modules, notebook

sys.path.insert(0, str(Path(__file__).parents[1] / "keras"))
from program_runner import differences
from program_runner import run as run_program

RECORDED = json.loads((Path(__file__).parents[1] / "fixtures" / "keras_programs.json").read_text())
IMPORTS = """
import tensorflow as tf
import numpy as np
import scipy as sp
from tensorflow.keras import backend as K
from tensorflow.keras.models import Sequential, Model
from tensorflow.keras import layers
"""


def listing(function):
    """A function of lecture.py as its slide has it: names from the import lines, not from an argument."""
    lines = (
        inspect.getsource(function)
        .replace("(tf: ModuleType, ", "(")
        .replace("(\n    tf: ModuleType, ", "(\n    ")
    )
    lines = lines.replace("Any", "object").replace("(tf: ModuleType", "(tf_of_old=None")
    bound = re.compile(r"\s+[\w, ]+ = tf\.keras[\w.]+(, tf\.keras[\w.]+)?$")
    return "\n".join(line for line in lines.splitlines() if not bound.match(line))


@pytest.fixture
def listings(hook):
    pytest.importorskip("scipy")
    functions = (lecture.lecture_network, lecture.class_activation_maps, lecture.saliency, lecture.grad_cam)
    source = "FILTERS = (16, 32, 64, 128)\n" + IMPORTS + "\n\n".join(map(listing, functions))
    assert "tf.keras.models" not in source and "cnnexplain" not in source
    names: dict = {}
    exec(compile("from __future__ import annotations\n" + source, "<listings>", "exec"), names)
    return SimpleNamespace(**names)


class TestTheLecture:
    """Each listing under its own import lines gives what it gives on the package itself."""

    images = cx.demo.load_test_images()[0][:3]

    @pytest.fixture
    def model(self, listings):
        cx.keras.backend.clear_session()  # names count from the start
        model = listings.lecture_network()
        model.set_weights(cx.demo.load_network().get_weights())
        return model

    def test_the_table(self, model, capsys):
        model.summary()
        shown = capsys.readouterr().out
        for row in ("(None, 28, 28, 16)", "4,640", "18,496", "73,856", "1,290"):
            assert row in shown

    def test_class_activation_maps(self, listings, model):
        maps, results = listings.class_activation_maps(model, self.images)
        same, probabilities = lecture.class_activation_maps(cx, model, self.images)
        np.testing.assert_array_equal(maps, same)
        np.testing.assert_array_equal(results, probabilities)

    def test_saliency(self, listings, model):
        gradients, grey = listings.saliency(model, self.images, 3, 10)
        same, picture = lecture.saliency(cx, model, self.images, 3, 10)
        np.testing.assert_array_equal(gradients, same)
        np.testing.assert_array_equal(grey, picture)

    def test_grad_cam(self, listings, model):
        heatmap = listings.grad_cam(model, self.images[:1], 9, "conv2d_3")
        np.testing.assert_array_equal(heatmap, lecture.grad_cam(cx, model, self.images[:1], 9, "conv2d_3"))


@pytest.mark.parametrize("name", ["custom_loop", "transfer", "pipelines"])
def test_programs_find_what_they_find_on_keras(hook, name, tmp_path):
    wrong = differences(run_program(name, tmp_path, theirs=True), RECORDED[name])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    [
        "import tensorflow.keras.layers as L",
        "from tensorflow.keras import layers, models, datasets, optimizers",
        "from tensorflow.keras.applications.vgg16 import VGG16, preprocess_input, decode_predictions",
        "from tensorflow.keras.preprocessing.image import ImageDataGenerator, load_img",
        "from tensorflow.keras.utils import to_categorical, plot_model",
        "from tensorflow.keras.layers import *; Dense(1)",
        "from tensorflow.image import resize",
        "import tensorflow.compat.v2 as tf; tf.constant(1)",
        "from tensorflow.python.keras.layers import Dense",
        "import keras; keras.layers.Dense(1); keras.__version__",
        "from keras import backend as K; K.epsilon()",
        "from keras.models import Sequential",
        "from keras.utils import np_utils; np_utils.to_categorical([1])",
        "from keras.layers.convolutional import Conv2D",
        "from tensorflow.keras.layers.experimental import preprocessing; preprocessing.Rescaling(1 / 255)",
        "import tensorflow as tf; tf.optimizers.Adam(); tf.losses.MeanSquaredError(); tf.metrics.Mean()",
        "import tensorflow as tf; tf.explain.methods(); tf.explain.grad_cam",
    ],
)
def test_import_lines(hook, line):
    exec(line, {})


def test_names_are_the_package_s_own_things(hook):
    tf = importlib.import_module("tensorflow")
    keras = importlib.import_module("keras")
    assert tf.keras.layers.Dense is keras.layers.Dense is cx.keras.layers.Dense
    assert tf.GradientTape is cx.GradientTape and tf.image.resize is cx.image.resize
    assert tf.keras is importlib.import_module("tensorflow.keras")
    assert int(tf.__version__.split(".")[0]) >= 2 and tf.version.VERSION == tf.__version__
    assert repr(tf) == "<module 'tensorflow': cnnexplain in its place>"
    assert "GradientTape" in dir(tf)
    assert tf.test.is_gpu_available() is False and tf.test.gpu_device_name() == ""
    with pytest.raises(AttributeError, match="mobile"):
        _ = tf.lite
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tensorflow.lite")
    with pytest.raises(ImportError, match="cannot import name 'foo'"):
        exec("from tensorflow.keras import foo", {})


def test_the_way_back(away):
    finder_count = len(sys.meta_path)
    assert as_tensorflow.install(replace=True) and as_tensorflow.install(replace=True)
    held = importlib.import_module("tensorflow")
    assert as_tensorflow.installed() and len(sys.meta_path) == finder_count + 1
    assert f"means cnnexplain {cx.__version__}" in as_tensorflow.used()
    as_tensorflow.uninstall()
    assert not as_tensorflow.installed() and len(sys.meta_path) == finder_count
    assert not [m for m in sys.modules.values() if isinstance(m, modules.Facade)]
    assert held.constant(1).numpy() == 1
    assert "cnnexplain" not in as_tensorflow.used()


def test_a_folder_of_that_name_is_no_tensorflow(away, tmp_path, monkeypatch):
    (tmp_path / "tensorflow").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert as_tensorflow.tensorflow_version() is None
    assert as_tensorflow.install()


def test_an_installed_tensorflow_is_what_is_used(away, tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text("__version__ = '2.99'")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.99")
    assert as_tensorflow.tensorflow_version() == "2.99"
    assert not as_tensorflow.install() and not as_tensorflow.installed()
    assert as_tensorflow.used() == "`import tensorflow` means TensorFlow 2.99, which is installed here"
    assert as_tensorflow.install(replace=True)
    assert as_tensorflow.tensorflow_version() == "2.99"
    assert importlib.import_module("tensorflow").__version__ == modules.FOLLOWED
    as_tensorflow.uninstall()
    assert importlib.import_module("tensorflow").__version__ == "2.99"
    with pytest.raises(RuntimeError, match="tensorflow has been imported already: restart"):
        as_tensorflow.install(replace=True)


class Shell:
    """What an extension sees of IPython."""

    def __init__(self):
        self.hooks, self.magics, self.user_ns, self.input_transformers_cleanup = [], [], {}, []
        self.events = self

    def register(self, event, function):
        self.hooks.append(function)

    def unregister(self, event, function):
        self.hooks.remove(function)

    def register_magic_function(self, function, kind, name):
        self.magics.append(name)


class TestExtension:
    @pytest.fixture
    def shell(self, away, monkeypatch):
        monkeypatch.setattr(as_tensorflow, "tensorflow_version", lambda: None)
        monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
        shell = Shell()
        yield shell
        notebook.unload(shell)

    def test_it_says_what_is_used_and_lists_before_each_cell(self, shell, capsys):
        as_tensorflow.load_ipython_extension(shell)
        assert "means cnnexplain" in capsys.readouterr().out
        assert shell.magics == ["tensorflow_version"]
        (before,) = shell.hooks
        before(SimpleNamespace(raw_cell="import tensorflow as tf"))
        assert capsys.readouterr().err == ""
        before(SimpleNamespace(raw_cell="x = 1\ndef f():\n    return tf.lite"))
        assert capsys.readouterr().err.startswith("cnnexplain does not have:\n  line 3: tensorflow.lite: ")

    def test_imports_in_the_cell_that_loads_it_count(self, shell, capsys):
        loading = "get_ipython().run_line_magic('load_ext', 'cnnexplain.as_tensorflow')\n"
        shell.user_ns["_ih"] = [
            "",
            "import keras\nkeras.nothing",
            f"{loading}import tensorflow as tf\ntf.Session",
        ]
        as_tensorflow.load_ipython_extension(shell)
        told = capsys.readouterr().err
        assert "line 3: tensorflow.Session" in told and "keras.nothing" not in told
        shell.hooks[0](SimpleNamespace(raw_cell="tf.lite"))
        assert "line 1: tensorflow.lite" in capsys.readouterr().err

    def test_the_whole_notebook_where_jupyter_tells_its_file(self, shell, capsys, tmp_path, monkeypatch):
        path = tmp_path / "a.ipynb"
        cell = {"cell_type": "code", "source": "import tensorflow as tf\ntf.lite"}
        path.write_text(json.dumps({"cells": [cell]}))
        monkeypatch.setenv("JPY_SESSION_NAME", str(path))
        as_tensorflow.load_ipython_extension(shell)
        assert "cell 1, line 2: tensorflow.lite" in capsys.readouterr().err
        assert not shell.hooks

    def test_unload(self, shell, capsys):
        as_tensorflow.load_ipython_extension(shell)
        as_tensorflow.unload_ipython_extension(shell)
        assert not shell.hooks and not shell.input_transformers_cleanup and not as_tensorflow.installed()
        assert "means nothing here" in capsys.readouterr().out

    def test_lines_that_install_tensorflow_are_left_out(self):
        lines = ["!pip install -q tensorflow==2.15 keras\n", "%pip install tensorflow pandas\n", "x = 1\n"]
        left = notebook.without_installs(lines)
        assert left == ["# left out: !pip install -q tensorflow==2.15 keras\n", *lines[1:]]
