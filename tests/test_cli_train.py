"""`cnnexplain train`: data sets and folders, what the file remembers, and Ctrl-C."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import shipped_bytes
from PIL import Image

import cnnexplain as cx
from cnnexplain import cli, keras


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folder(here):
    """Trousers and bags, 24 of each: classes that nobody mixes up."""
    images, labels = shipped_bytes()
    for name, label in (("trouser", 1), ("bag", 8)):
        (here / "clothes" / name).mkdir(parents=True)
        for place in np.flatnonzero(labels == label)[:24]:
            Image.fromarray(images[place]).save(here / "clothes" / name / f"{place}.png")
    return here / "clothes"


class TestFolder:
    def test_what_it_learns_explains_pictures(self, folder, capsys):
        (folder / "bag" / "damaged.png").write_bytes(b"\x89PNG")
        given = ["train", "clothes", "--size", "28", "--grey", "--epochs", "12", "--out", "two.keras"]
        assert cli.main(given) == 1
        out, error = capsys.readouterr()
        assert "38 pictures of 2 classes, 10 for the test" in out and "epoch 12/12" in out
        assert error == "cnnexplain: clothes/bag/damaged.png: damaged, or no picture\n"
        model = cx.keras.models.load_model("two.keras")
        assert model.class_names == ("bag", "trouser") and model.preprocess == "none"
        assert model.input_shape == (None, 28, 28, 1) and model.facts["epochs"] == 12
        assert cli.main(["explain", "two.keras", "clothes/trouser", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["pictures"]
        named = [one["explained"][0]["class_name"] for one in told]
        assert named.count("trouser") >= 20

    def test_sizes_and_colours(self, folder):
        given = ["train", "clothes", "--size", "20", "--epochs", "1", "--test", "0.5", "--out", "a.keras"]
        assert cli.main(given) == 0
        model = cx.keras.models.load_model("a.keras")
        assert model.input_shape == (None, 20, 20, 3) and model.facts["test_images"] == 24

    def test_interrupted(self, folder, monkeypatch, capsys):
        original, calls = keras.Sequential.fit, []

        def fit(self, *arguments, **options):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return original(self, *arguments, **options)

        monkeypatch.setattr(keras.Sequential, "fit", fit)
        given = ["train", "clothes", "--size", "28", "--grey", "--out", "part.keras"]
        assert cli.main(given) == 130
        out, error = capsys.readouterr()
        assert "epoch 2/14" in out and "written: part.keras" in out and error == "cnnexplain: interrupted\n"
        assert cx.keras.models.load_model("part.keras").facts["epochs"] == 2
        calls[:] = [1, 1]
        assert cli.main([*given[:-1], "none.keras"]) == 130  # in its first epoch
        assert "written" not in capsys.readouterr().out

    @pytest.mark.parametrize(
        "given, reason",
        [
            (["gone"], "DATA must be fashion-mnist, mnist, cifar10 or a folder that is there"),
            (["clothes/bag"], "a folder of pictures for each of two classes or more"),
            (["clothes", "--size", "7"], "--size must be 8 or more"),
            (["clothes", "--out", "x.txt"], "--out must end in .keras, .h5, .hdf5 or .npz"),
            (["clothes", "--epochs", "0"], "--epochs must be 1 or more"),
        ],
    )
    def test_mistakes(self, folder, given, reason, capsys):
        assert cli.main(["train", *given]) == 2
        assert reason in capsys.readouterr().err

    def test_a_class_of_which_nothing_can_be_read(self, folder, capsys):
        (folder / "hat").mkdir()
        (folder / "hat" / "0.png").write_bytes(b"")
        assert cli.main(["train", "clothes"]) == 2
        assert "no picture of the class hat could be read" in capsys.readouterr().err

    @pytest.mark.parametrize("part", ["0", "1", "x", "nan"])
    def test_the_part_for_the_test(self, part, capsys):
        with pytest.raises(SystemExit) as stop:
            cli.main(["train", "clothes", "--test", part])
        assert stop.value.code == 2 and "--test" in capsys.readouterr().err


@pytest.mark.parametrize("name, shape", [("mnist", (28, 28)), ("cifar10", (32, 32, 3))])
def test_data_sets(here, name, shape, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    labels = (np.arange(40) % 10).astype(np.uint8)
    labels = labels[:, None] if name == "cifar10" else labels  # as Keras has them
    images = rng.integers(0, 256, (40, *shape), np.uint8)
    monkeypatch.setattr(
        f"cnnexplain.keras.datasets.{name}.load_data", lambda: ((images, labels), (images[:10], labels[:10]))
    )
    assert cli.main(["train", name, "--epochs", "1", "--seed", "3", "--out", "n.keras"]) == 0
    model = cx.keras.models.load_model("n.keras")
    assert model.input_shape == (None, *(shape if len(shape) == 3 else (*shape, 1)))
    assert model.class_names[3] == {"mnist": "3", "cifar10": "cat"}[name]
    assert model.facts["command"] == f"cnnexplain train {name} --epochs 1 --seed 3"
    assert "accuracy on 10 test images" in capsys.readouterr().out
