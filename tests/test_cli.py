"""The command line and the shipped network, as a user runs them."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from command_line import run, shipped_bytes
from PIL import Image

import cnnexplain as cx
from cnnexplain import cli, demo, photographs, train
from cnnexplain.cli.commands import COMMANDS, command
from cnnexplain.keras.saving.archive import read_notes

FIGURES = ["class-activation-map", "saliency", "grad-cam", "guided-backprop", "unpooling"]
FIGURES += ["photographs"] if photographs.available() else []


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    begin = time.monotonic()
    finished = run("demo", "--output", folder / "pictures")
    return folder / "pictures", finished, time.monotonic() - begin


class TestDemo:
    def test_it_writes_every_figure_and_says_where(self, demonstration):
        folder, finished, _ = demonstration
        assert finished.returncode == 0, finished.stderr
        assert finished.stderr == ""
        assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.png" for name in FIGURES)
        for name in FIGURES:
            assert f"written: {folder / name}.png" in finished.stdout

    def test_the_figures_show_something(self, demonstration):
        for path in demonstration[0].iterdir():
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            assert pixels.std() > 20 and min(pixels.shape[:2]) > 200
            border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            assert (border == 255).all()

    def test_it_prints_the_unpooling_example(self, demonstration):
        text = demonstration[1].stdout
        assert "max-pooling:\n  0.8 0.9\n  0.7 0.8\n" in text
        assert (
            "unpooling:\n  0.8   0   0   0\n    0   0 0.9   0\n    0 0.7 0.8   0\n    0   0   0   0\n" in text
        )

    @pytest.mark.slow
    def test_it_takes_less_than_ten_seconds(self, demonstration):
        assert demonstration[2] < 10

    def test_the_default_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        written = demo.run(report=lambda line: None)
        assert [path.parent.name for path in written] == ["cnnexplain-demo"] * len(FIGURES)


class TestShipped:
    def test_files_are_small(self):
        sizes = {
            path.name: path.stat().st_size
            for path in demo.files("cnnexplain").joinpath("data_files").iterdir()
        }
        assert sizes["lecture-network.keras"] < 450_000 and sizes["fashion-mnist-500.npz"] < 500_000

    def test_network(self):
        network = demo.load_network()
        images, labels = demo.load_test_images()
        counts = [sum(w.size for w in layer.get_weights()) for layer in network.layers]
        assert [count for count in counts if count] == [160, 4640, 18496, 73856, 1290]
        assert [layer.name for layer in network.layers if layer.get_weights()] == [
            "conv2d",
            "conv2d_1",
            "conv2d_2",
            "conv2d_3",
            "dense",
        ]
        predicted = network.predict(images, verbose=0).argmax(1)
        assert (predicted == labels).mean() >= 0.9

    def test_facts(self):
        facts = demo.network_facts()
        assert facts["test_accuracy"] >= 0.91 and facts["images"] == 60000 and facts["test_images"] == 10000
        assert (
            facts["command"]
            == f"cnnexplain train fashion-mnist --epochs {facts['epochs']} --seed {facts['seed']}"
        )

    def test_images(self):
        images, labels = demo.load_test_images()
        assert images.shape == (500, 28, 28, 1) and images.dtype == np.float32
        assert images.min() == 0 and images.max() == 1
        assert np.bincount(labels).tolist() == [50] * 10

    def test_the_lectures_methods_on_every_image(self):
        network = demo.load_network()
        images, labels = demo.load_test_images()
        for method in ("cam", "grad_cam", "saliency", "guided_backprop"):
            e = cx.explain(network, images, labels, method=method)
            assert np.isfinite(e.map).all() and np.isfinite(e.raw).all()
            assert (e.map.max((1, 2)) > 0.99).mean() > 0.95
            assert e[0].class_name == network.class_names[labels[0]]

    def test_every_method(self):
        network = demo.load_network()
        images, labels = (array[:3] for array in demo.load_test_images())
        for method in cx.explain.methods():
            e = cx.explain(network, images, labels, method=method)
            assert np.isfinite(e.map).all() and np.isfinite(e.raw).all(), method
            assert e[0].class_name == network.class_names[labels[0]]


class TestExplain:
    @pytest.fixture
    def sneaker(self, tmp_path):
        images, labels = shipped_bytes()
        sneakers = images[labels == 7]
        sure = cx.explain.grad_cam(demo.load_network(), sneakers / np.float32(255), 7).probability.argmax()
        path = tmp_path / "sneaker.png"
        Image.fromarray(sneakers[sure]).save(path)
        return path

    def test_picture(self, sneaker, tmp_path):
        finished = run("explain", "lecture", sneaker, "--output", tmp_path / "out.png")
        assert finished.returncode == 0, finished.stderr
        assert f"{sneaker}: Sneaker (class 7), probability" in finished.stdout
        assert f"written: {tmp_path / 'out.png'}" in finished.stdout
        with Image.open(tmp_path / "out.png") as image:
            assert image.size[0] > 200

    def test_options(self, sneaker, tmp_path, capsys):
        inverted = tmp_path / "inverted.png"
        with Image.open(sneaker) as image:
            Image.fromarray(255 - np.asarray(image)).resize((90, 90)).save(inverted)
        out = str(tmp_path / "out.npz")
        arguments = [
            "explain",
            "lecture",
            str(inverted),
            "--invert",
            "--method",
            "saliency",
            "--class",
            "9",
            "--output",
            out,
        ]
        assert cli.main(arguments) == 0
        assert "Ankle boot (class 9)" in capsys.readouterr().out
        with np.load(out) as arrays:
            assert (
                arrays["map"].shape == (1, 28, 28)
                and json.loads(str(arrays["about"]))["method"] == "saliency"
            )
        assert cli.main(["explain", "lecture", str(sneaker), "--layer", "conv2d_1", "--output", out]) == 0

    @pytest.mark.parametrize(
        "arguments, message",
        [
            (["nothing.png"], "there is no file nothing.png"),
            (["{}", "--method", "magic"], "the method must be one of"),
            (["{}", "--class", "10"], "`class_index` must be between 0 and 9"),
            (["{}", "--layer", "conv9"], "there is no layer 'conv9'"),
            (["{}", "--output", "x.gif"], "--out must end in .png, .jpg, .svg, .pdf or .npz"),
        ],
    )
    def test_mistakes(self, sneaker, arguments, message, capsys):
        assert cli.main(["explain", "lecture", *(a.format(sneaker) for a in arguments)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("cnnexplain: ") and message in error


class TestCommands:
    def test_version_and_help(self):
        assert run("--version").stdout == f"cnnexplain {cx.__version__}\n"
        for arguments in ((), ("--help",)):
            text = run(*arguments).stdout
            assert all(f"\n    {name}" in text for name in COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_has_help_with_examples(self, name, capsys):
        with pytest.raises(SystemExit) as stop:
            cli.main([name, "--help"])
        text = capsys.readouterr().out
        examples = [line for line in command(name).EXAMPLES.splitlines() if line]
        assert stop.value.code == 0 and len(examples) >= 2
        assert all(
            line.startswith(f"cnnexplain {name} ") or line == f"cnnexplain {name}" for line in examples
        )
        assert text.endswith("examples:\n" + "".join(f"  {line}\n" for line in examples))

    @pytest.mark.parametrize("name", COMMANDS)
    def test_the_examples_are_commands(self, name):
        """Their options exist; shells cut the rest off at redirections."""
        import shlex

        for line in command(name).EXAMPLES.split("\n"):
            words = shlex.split(line.split(" > ")[0])[1:]
            if words:
                assert cli.parser().parse_args(words).command == name

    def test_unknown_commands(self, capsys):
        for arguments in (
            ["paint"],
            ["explain"],
            ["explain", "lecture"],
            ["bench", "lecture", "--seconds", "0"],
        ):
            with pytest.raises(SystemExit) as stop:
                cli.main(arguments)
            assert stop.value.code == 2 and "usage: cnnexplain" in capsys.readouterr().err


class TestTrain:
    def test_a_small_run(self, tmp_path, monkeypatch, capsys):
        images, labels = shipped_bytes()
        fake = ((images, labels), (images[:100], labels[:100]))
        monkeypatch.setattr("cnnexplain.keras.datasets.fashion_mnist.load_data", lambda: fake)
        out = str(tmp_path / "network.keras")
        assert cli.main(["train", "fashion-mnist", "--epochs", "3", "--seed", "4", "--output", out]) == 0
        text = capsys.readouterr().out
        assert "epoch 3/3: " in text and "accuracy on 100 test images" in text and f"written: {out}" in text
        network = cx.keras.models.load_model(out)
        assert network.get_layer("conv2d_3").kernel.shape == (3, 3, 64, 128) and network.optimizer is None
        facts = network.facts
        assert list(network.class_names) == facts["class_names"] and facts == read_notes(out)["facts"]
        assert facts["epochs"] == 3 and facts["seed"] == 4 and facts["images"] == 500
        assert facts["test_accuracy"] > 0.3

    def test_the_same_seed_gives_the_same_weights(self, monkeypatch):
        images, labels = shipped_bytes()
        fake = ((images, labels), (images[:10], labels[:10]))
        monkeypatch.setattr("cnnexplain.keras.datasets.fashion_mnist.load_data", lambda: fake)
        runs = [
            train.train_fashion_mnist(1, seed, report=lambda line: None)[0].get_weights()
            for seed in (1, 1, 2)
        ]
        assert all(np.array_equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
        assert not np.array_equal(runs[0][0], runs[2][0])

    def test_rates(self):
        rates = [train.learning_rate(p) for p in np.linspace(0, 1, 101)]
        assert max(rates) <= train.FIRST_RATE and rates[-1] == pytest.approx(train.LAST_RATE)
        assert 0 < rates[0] < 1e-3

    def test_bad_epochs(self, capsys):
        assert cli.main(["train", "fashion-mnist", "--epochs", "0"]) == 2
        assert "--epochs must be 1 or more. Received: 0" in capsys.readouterr().err
