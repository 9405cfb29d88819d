"""Drawings of models: what is drawn, in which proportions, and the files."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras.drawing.blocks import _place, draw_blocks
from cnnexplain.keras.drawing.boxes import boxes_of
from cnnexplain.keras.drawing.flow import draw_flow
from cnnexplain.keras.drawing.vertices import vertices_of

layers = keras.layers
pytestmark = pytest.mark.usefixtures("no_draws")


def texts(scene):
    return [options["s"] for kind, _, options in scene.items if kind == "text"]


def alexnet():
    """Krizhevsky, Sutskever and Hinton (2012), section 3.5; 227 pixels, as its arithmetic needs."""
    return keras.Sequential(
        [
            layers.Input((227, 227, 3)),
            layers.Conv2D(96, 11, strides=4, activation="relu"),
            layers.MaxPooling2D(3, 2),
            layers.Conv2D(256, 5, padding="same", groups=2, activation="relu"),
            layers.MaxPooling2D(3, 2),
            layers.Conv2D(384, 3, padding="same", activation="relu"),
            layers.Conv2D(384, 3, padding="same", groups=2, activation="relu"),
            layers.Conv2D(256, 3, padding="same", groups=2, activation="relu"),
            layers.MaxPooling2D(3, 2),
            layers.Flatten(),
            layers.Dense(4096, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(4096, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1000, activation="softmax"),
        ]
    )


def zfnet():
    """Zeiler and Fergus (2013), figure 3."""
    return keras.Sequential(
        [
            layers.Input((225, 225, 3)),
            layers.Conv2D(96, 7, strides=2, activation="relu"),
            layers.MaxPooling2D(3, 2, padding="same"),
            layers.Conv2D(256, 5, strides=2, activation="relu"),
            layers.MaxPooling2D(3, 2, padding="same"),
            layers.Conv2D(384, 3, padding="same", activation="relu"),
            layers.Conv2D(384, 3, padding="same", activation="relu"),
            layers.Conv2D(256, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(3, 2),
            layers.Flatten(),
            layers.Dense(4096, activation="relu"),
            layers.Dense(4096, activation="relu"),
            layers.Dense(1000, activation="softmax"),
        ]
    )


def test_alexnet_has_the_papers_boxes():
    boxes = boxes_of(vertices_of(alexnet()))
    maps = [box.shape for box in boxes if box.role == "conv"]
    assert maps == [(55, 55, 96), (27, 27, 256), (13, 13, 384), (13, 13, 384), (13, 13, 256)]
    assert [box.shape for box in boxes if box.role == "dense"] == [(4096,), (4096,), (1000,)]
    assert [box.window for box in boxes if box.role == "conv"] == [(11, 11), (5, 5), (3, 3), (3, 3), (3, 3)]
    assert boxes[1].caption == "conv 11×11 /4\nReLU"
    assert boxes[-1].caption == "dense\nsoftmax"
    assert "13×13\n384" in texts(draw_blocks(alexnet()))


def test_zfnet_has_the_papers_boxes():
    boxes = boxes_of(vertices_of(zfnet()))
    assert [box.shape[0] for box in boxes if box.role in ("conv", "pool")] == [110, 55, 26, 13, 13, 13, 13, 6]


def placed_by_shape(model):
    boxes = boxes_of(vertices_of(model))
    placed = _place(boxes, False)
    return {box.shape: placed[id(box)] for box in boxes}


def test_sides_are_in_proportion():
    model = keras.Sequential([layers.Input((40, 40, 4)), layers.MaxPooling2D(4), layers.Conv2D(16, 1)])
    placed = placed_by_shape(model)
    large, small = placed[40, 40, 4], placed[10, 10, 16]
    assert large.height / small.height == pytest.approx(4)
    assert large.depth / small.depth == pytest.approx(4)
    assert small.width / large.width == pytest.approx(4)
    assert not any("roots" in text for text in texts(draw_blocks(model)))


def test_small_maps_beside_large_ones_are_no_slivers():
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    placed = placed_by_shape(model)
    large, small = placed[224, 224, 64], placed[14, 14, 512]
    assert large.height / small.height == pytest.approx(4)
    assert large.depth / small.depth == pytest.approx(4)
    assert small.width / large.width == pytest.approx(8)
    assert "sides: square roots of rows and columns" in texts(draw_blocks(model))


def test_groups_are_told_apart():
    def seams(groups):
        model = keras.Sequential([layers.Input((8, 8, 8)), layers.Conv2D(8, 3, groups=groups)])
        plain = keras.Sequential([layers.Input((8, 8, 8)), layers.Conv2D(8, 3)])
        return len(draw_blocks(model).items) - len(draw_blocks(plain).items)

    assert [seams(groups) for groups in (1, 2, 4, 8)] == [0, 1, 3, 0]


@pytest.mark.parametrize(
    "layer, title",
    [
        (layers.Conv2D(4, 3, groups=2), "conv 3×3, 2 groups"),
        (layers.Conv2D(8, 3, groups=8), "depthwise 3×3"),
        (layers.DepthwiseConv2D(3, strides=2), "depthwise 3×3 /2"),
        (layers.Conv2D(1, 3), "conv 3×3"),
    ],
)
def test_titles(layer, title):
    assert boxes_of(vertices_of(keras.Sequential([layers.Input((8, 8, 8)), layer])))[1].title == title


def test_captions_keep_clear_of_lines_that_fan_out():
    """Those of a map that is flattened end where the map ends."""
    scene = draw_blocks(alexnet())
    (options,) = (options for _, _, options in scene.items if options.get("s") == "max pool 3×3 /2\nflatten")
    assert options["ha"] == "right"


def test_lecture_network(lecture, tmp_path):
    path = tmp_path / "model.svg"
    assert keras.utils.plot_model(lecture(), path) is None
    root = ElementTree.parse(path).getroot()
    shown = {text for element in root.iter() for text in [element.text] if text and text.strip()}
    assert {"28×28", "14×14", "7×7", "3×3", "global average", "max pool 2×2"} <= shown
    again = tmp_path / "again.svg"
    keras.utils.plot_model(lecture(), again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("style", ["blocks", "graph"])
@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_files(style, suffix, tmp_path, lecture):
    path = tmp_path / f"model.{suffix}"
    keras.utils.plot_model(lecture(), str(path), style=style, dpi=50)
    begin = path.read_bytes()[:200]
    assert {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix] in begin


def branched():
    x = keras.Input((16, 16, 3), name="picture")
    a = layers.Conv2D(4, 1, name="a")(x)
    b = layers.Conv2D(4, 3, padding="same", name="b")(x)
    inner = keras.Sequential([layers.Input((16, 16, 8)), layers.Conv2D(2, 1, name="c")], name="inner")
    y = layers.GlobalAveragePooling2D(name="mean")(inner(layers.Concatenate(name="both")([a, b])) / 2.0)
    return keras.Model(x, y)


def test_branches_and_nested_models():
    vertices = {vertex.name: vertex for vertex in vertices_of(branched())}
    assert [parent.name for parent in vertices["both"].parents] == ["a", "b"]
    assert vertices["c"].path == ("inner",)
    assert [parent.name for parent in vertices["mean"].parents] == ["true_divide"]
    closed = [vertex.name for vertex in vertices_of(branched(), expand_nested=False)]
    assert "inner" in closed and "c" not in closed
    boxes = boxes_of(vertices_of(branched()))
    assert [box.role for box in boxes] == ["input", "conv", "conv", "merge", "conv", "pool"]


def test_flow_chart_says_what_is_asked():
    plain = texts(draw_flow(branched()))
    assert "Conv2D" in plain and not any("output" in text for text in plain)
    full = texts(
        draw_flow(
            branched(),
            show_shapes=True,
            show_dtype=True,
            show_layer_names=True,
            show_trainable=True,
            expand_nested=True,
        )
    )
    assert "a (Conv2D)\noutput: (None, 16, 16, 4)\ndtype: float32\ntrainable" in full
    assert "inner" in full


def test_deep_models_are_drawn_by_resolution():
    boxes = boxes_of(vertices_of(keras.applications.ResNet50(weights=None)))
    assert [box.shape[0] for box in boxes if len(box.shape) == 3] == [224, 112, 56, 28, 14, 7]
    # ResNet50 has 53 convolutions: the stem, 16 blocks of three, four shortcuts. Captions count the three
    # most frequent titles; the six with stride 2 are among the others.
    counts = [count for box in boxes for title, count in box.layers.items() if title.startswith("conv")]
    assert sum(counts) == 53 - 1 - 6


def test_unknown_sizes_vectors_and_subclasses(tmp_path):
    keras.utils.plot_model(
        keras.Sequential([layers.Input((None, None, 3)), layers.Conv2D(2, 3), layers.GlobalMaxPooling2D()]),
        tmp_path / "a.svg",
    )
    keras.utils.plot_model(keras.Sequential([layers.Input((5,)), layers.Dense(3)]), tmp_path / "b.svg")

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = layers.Conv2D(2, 3), layers.Flatten()

        def call(self, x):
            return self.last(self.first(x))

    own = Own()
    with pytest.raises(ValueError, match="`model` must know the shape of its input"):
        keras.utils.plot_model(own, tmp_path / "c.svg")
    own(tf.constant(np.zeros((1, 8, 8, 1), "float32")))
    keras.utils.plot_model(own, tmp_path / "c.svg")
    assert [box.shape for box in boxes_of(vertices_of(own))] == [(8, 8, 1), (6, 6, 2)]
    assert len(own.first._inbound_nodes) == 0


def test_bad_arguments(lecture, tmp_path):
    with pytest.raises(ValueError, match="`style`"):
        keras.utils.plot_model(lecture(), tmp_path / "a.svg", style="boxes")
    with pytest.raises(ValueError, match="`to_file` must end in .svg, .png, .pdf"):
        keras.utils.plot_model(lecture(), tmp_path / "a.gif")
    with pytest.raises(ValueError, match="`rankdir`"):
        keras.utils.plot_model(lecture(), tmp_path / "a.svg", style="graph", rankdir="down")
    with pytest.raises(ValueError, match="must know the shape"):
        keras.utils.plot_model(keras.Sequential([layers.Dense(2)]), tmp_path / "a.svg")
