"""The widget, turned without a browser; and when a bar is shown."""

from __future__ import annotations

import builtins
import sys
import time

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import keras
from cnnexplain.explain import progress

pytest.importorskip("ipywidgets")


@pytest.fixture
def knobs():
    """What can be turned, by its description, and the panel."""

    def make(*args, **options):
        panel = cx.explain.interactive(*args, **options)
        controls = panel.children[0].children[0].children
        return {k.description: k for k in controls}, panel

    return make


@pytest.fixture(scope="module")
def network():
    return cx.demo.load_network()


@pytest.fixture(scope="module")
def images():
    return cx.demo.load_test_images()[0][:3]


def shown(panel):
    return panel.children[0].children[1].value


def test_starts_with_grad_cam_of_the_network_s_choice(network, images, knobs):
    turn, panel = knobs(network, images)
    expected = cx.explain.grad_cam(network, images[0])
    assert list(turn) == ["image", "method", "layer", "class", "opacity", "colours"]
    assert turn["method"].value == "grad_cam" and turn["layer"].value == "conv2d_3"
    assert turn["class"].value == expected.class_index[0]
    np.testing.assert_array_equal(panel.explanation.map, expected.map[0])
    rgb = np.asarray(cx.image.decode_png(shown(panel)))
    times = rgb.shape[0] // 28
    np.testing.assert_array_equal(rgb[::times, ::times], expected.overlay()[0])


def test_every_knob(network, images, knobs):
    turn, panel = knobs(network, images)
    turn["image"].value = 2
    assert turn["class"].value == cx.explain.grad_cam(network, images[2]).class_index[0]
    turn["class"].value, turn["layer"].value = 7, "conv2d_1"
    expected = cx.explain.grad_cam(network, images[2], 7, layer="conv2d_1")
    np.testing.assert_array_equal(panel.explanation.map, expected.map[0])
    before = shown(panel)
    turn["opacity"].value = 0.1
    assert shown(panel) != before
    turn["opacity"].value, turn["colours"].value = 0.5, "gray"
    assert shown(panel) != before
    turn["method"].value = "saliency"
    assert turn["layer"].disabled and panel.explanation.method == "saliency"
    turn["method"].value = "layer_cam"
    assert not turn["layer"].disabled and panel.explanation.layer == "conv2d_1"


def test_each_map_is_computed_once(network, images, knobs, monkeypatch):
    from cnnexplain import explain

    calls = []
    real = explain._METHODS["saliency"]
    monkeypatch.setitem(explain._METHODS, "saliency", lambda *a, **k: calls.append(a) or real(*a, **k))
    turn, _ = knobs(network, images, methods=["grad_cam", "saliency"])
    for name in ("saliency", "grad_cam", "saliency"):
        turn["method"].value = name
    assert len(calls) == 1 and len(calls[0][1]) == 1  # the shown image alone


def test_one_image_and_a_class(network, images, knobs):
    turn, panel = knobs(network, images[0], 3, methods="saliency", alpha=0.2)
    assert "image" not in turn and turn["class"].value == 3 and turn["opacity"].value == 0.2
    assert panel.explanation.class_index == 3


def test_a_method_that_does_not_fit_says_why(images, knobs):
    layers = keras.layers
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(2, 3, activation="elu"),
                              layers.Flatten(), layers.Dense(3)])  # fmt: skip
    turn, panel = knobs(model, images)
    turn["method"].value = "guided_backprop"
    assert panel.explanation is None and shown(panel) == b"" and "elu" in panel.children[2].value
    turn["method"].value = "grad_cam"
    assert panel.explanation is not None and "elu" not in panel.children[2].value


def test_interrupted(network, images, knobs, monkeypatch):
    from cnnexplain import explain

    def interrupted(*args, progress, **options):
        progress(1, 2)
        raise KeyboardInterrupt

    monkeypatch.setitem(explain._METHODS, "rise", interrupted)
    turn, panel = knobs(network, images)
    turn["method"].value = "rise"
    assert "interrupted" in panel.children[2].value and panel.children[1].layout.visibility == "hidden"
    turn["method"].value = "saliency"
    assert panel.explanation.method == "saliency"


def test_two_inputs(knobs):
    a, b = keras.Input((8, 8, 1), name="a"), keras.Input((4,), name="b")
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(a))
    model = keras.Model([a, b], keras.layers.Dense(3)(keras.layers.Concatenate()([x, b])))
    rng = np.random.default_rng(0)
    pair = [rng.random((2, 8, 8, 1)), rng.random((2, 4))]
    turn, panel = knobs(model, pair, input="a")
    turn["image"].value = 1
    expected = cx.explain.grad_cam(model, pair, input="a")
    np.testing.assert_array_equal(panel.explanation.map, expected.map[1])
    other = [expected.class_index[0], (expected.class_index[1] + 1) % 3]
    turn["class"].value = other[1]
    np.testing.assert_array_equal(
        panel.explanation.raw, cx.explain.grad_cam(model, pair, other, input="a").raw[1]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ["gradcam"]}, "`methods` must be among"),
        ({"alpha": 2}, "`alpha` must be between 0 and 1"),
        ({"alpha": "a"}, "`alpha` must be between 0 and 1"),
    ],
)
def test_wrong_arguments(network, images, options, message):
    with pytest.raises(ValueError, match=message):
        cx.explain.interactive(network, images, **options)


def test_without_ipywidgets(network, images, monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **options):
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install 'cnnexplain\[notebook\]'"):
        cx.explain.interactive(network, images)


class TestBar:
    @pytest.fixture(autouse=True)
    def terminal(self, monkeypatch):
        monkeypatch.setattr(progress, "overwrites", lambda stream: True)
        monkeypatch.setattr(progress, "_SOON", 0.05)

    def test_none_shows_it_when_it_takes_long(self, capsys):
        shown = progress.bar(None, 2)
        shown.update(1)
        assert capsys.readouterr().err == ""
        time.sleep(0.2)
        shown.update(1)
        assert "2/2" in capsys.readouterr().err
        shown.close()

    @pytest.mark.parametrize("how", ["false", "logging", "stream"])
    def test_silent(self, how, capsys, monkeypatch):
        if how == "stream":
            monkeypatch.setattr(progress, "overwrites", lambda stream: stream is not sys.stderr)
        if how == "logging":
            monkeypatch.setattr(progress, "is_interactive_logging_enabled", lambda: False)
        shown = progress.bar(False if how == "false" else None, 2)
        time.sleep(0.1)
        shown.update(2)
        shown.close()
        assert capsys.readouterr().err == ""
