"""The strongest activations in a data set, against a search of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from test_deconvnet import HEIGHT, WIDTH, alexnet, built

import cnnexplain as cx

keras = cx.keras
L = keras.layers


@pytest.fixture(scope="module")
def model():
    return built(alexnet())


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(9).normal(0, 1, (23, HEIGHT, WIDTH, 3)).astype(np.float32)


def strongest(values, number, k, once):
    """(value, image, row, column), the strongest first; of equals the earlier."""
    found = [
        (-float(v), i, int(r), int(c))
        for i, one in enumerate(values[..., number])
        for (r, c), v in np.ndenumerate(one)
        if v > 0
    ]
    found.sort()
    if once:
        seen = set()
        found = [f for f in found if not (f[1] in seen or seen.add(f[1]))]
    return found[:k]


@pytest.mark.parametrize("once", [True, False])
def test_a_search_of_all(model, images, once):
    values = np.asarray(keras.Model(model.inputs, model.get_layer("relu2").output)(images))
    tops = cx.explain.top_activations(
        model, images, "relu2", [3, 0, 7], k=5, once_per_image=once, batch_size=4
    )
    assert len(tops) == 3 and tops.layer == "relu2" and tops.images == 23 and tops[1].feature_map == 0
    for top in tops:
        want = strongest(values, top.feature_map, 5, once)
        np.testing.assert_allclose(top.value, [-w[0] for w in want], rtol=1e-4)
        assert top.image.tolist() == [w[1] for w in want]
        assert top.position.tolist() == [[w[2], w[3]] for w in want]
        for j, (_, i, row, column) in enumerate(want):
            e = cx.explain.deconvnet(model, images[i], "relu2", top.feature_map, keep=(row, column))
            assert top.receptive_field[j].tolist() == e.receptive_field[0].tolist()
            np.testing.assert_array_equal(top.patches[j], e.patches[0])
            scale = np.abs(e.raw).max()
            np.testing.assert_allclose(top.reconstructions[j], e.reconstructions[0], atol=1e-5 * scale)
            sides = top.frame[j, 2:] - top.frame[j, :2]
            assert sides.tolist() == (top.frame[0, 2:] - top.frame[0, :2]).tolist()


def forms(images, tmp_path):
    labels = np.arange(len(images))
    dataset = cx.data.Dataset.from_tensor_slices((images, labels))
    yield "batches", dataset.batch(5), 7
    yield "large batches", dataset.batch(12), 4
    yield "single", dataset, 4
    yield "tensor", cx.constant(images), 4
    yield "generator", (image for image in images), 6
    yield "generator of batches", (images[i : i + 3] for i in range(0, len(images), 3)), 100
    yield "list", list(images), 4
    yield (
        "sequence",
        type("S", (), {"__len__": lambda s: 23, "__getitem__": lambda s, i: images[i : i + 1]})(),
        4,
    )


def test_forms_of_data_sets(model, images, tmp_path):
    want = cx.explain.top_activations(model, images, "conv3", [1, 2], k=4)
    for name, dataset, batch_size in forms(images, tmp_path):
        got = cx.explain.top_activations(model, dataset, "conv3", [1, 2], k=4, batch_size=batch_size)
        assert got.images == 23, name
        for one, other in zip(got, want, strict=True):
            assert one.image.tolist() == other.image.tolist(), name
            np.testing.assert_array_equal(one.position, other.position)
            for a, b in zip(one.reconstructions, other.reconstructions, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-5)


def test_files(tmp_path):
    model = built(alexnet())
    pixels = np.random.default_rng(0).integers(0, 256, (6, HEIGHT, WIDTH, 3), dtype=np.uint8)
    paths = []
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    options = {"k": 3, "batch_size": 2, "preprocess": "tf"}
    tops = cx.explain.top_activations(model, paths, "relu1", [1], **options)
    want = cx.explain.top_activations(model, pixels / 127.5 - 1, "relu1", [1], k=3)
    assert tops[0].image.tolist() == want[0].image.tolist() and tops.images == 6
    top, left, bottom, right = tops[0].receptive_field[0]
    np.testing.assert_array_equal(tops[0].patches[0], pixels[tops[0].image[0], top:bottom, left:right])


def test_units_of_a_dense_layer(model, images):
    values = np.asarray(keras.Model(model.inputs, model.get_layer("relu4").output)(images))
    tops = cx.explain.top_activations(model, images, "relu4", k=3)
    assert tops.feature_maps.tolist() == list(range(9))
    for top in tops:
        order = np.argsort(-values[:, top.feature_map], kind="stable")
        count = min(3, int((values[:, top.feature_map] > 0).sum()))
        assert top.image.tolist() == order[:count].tolist()
        assert all(patch.shape == (HEIGHT, WIDTH, 3) for patch in top.patches)


def test_equal_activations_and_dead_maps():
    model = keras.Sequential([keras.Input((5, 6, 1)), L.Conv2D(2, 3, activation="relu", name="c")])
    kernel = np.ones((3, 3, 1, 2))
    kernel[..., 1] = -1
    model.set_weights([kernel, np.zeros(2)])
    tops = cx.explain.top_activations(model, np.ones((4, 5, 6, 1)), "c", [0, 1], k=3, batch_size=2)
    assert tops[0].image.tolist() == [0, 1, 2] and tops[0].position.tolist() == [[0, 0]] * 3
    assert len(tops[1]) == 0 and tops[1].patches == []
    assert any("map 1 of layer c is positive in 0 images" in text for text in tops.warnings)
    tops.plot()
    several = cx.explain.top_activations(model, np.ones((2, 5, 6, 1)), "c", 0, k=3, once_per_image=False)
    assert several[0].image.tolist() == [0, 0, 0]
    assert several[0].position.tolist() == [[0, 0], [0, 1], [0, 2]]


def test_memory_is_bounded(model):
    """Only images that are among the strongest are kept."""
    kept = []

    def stream():
        rng = np.random.default_rng(1)
        for _ in range(40):
            yield rng.normal(0, 1, (8, HEIGHT, WIDTH, 3)).astype(np.float32)
            kept.append(sum(one.nbytes for one in found()))

    def found():
        import gc

        searches = [o for o in gc.get_objects() if type(o).__name__ == "_Search"]
        return [image for search in searches for image in search.kept.values()]

    tops = cx.explain.top_activations(model, stream(), "relu2", [0, 1], k=2, batch_size=8)
    assert tops.images == 320 and max(kept) <= 4 * HEIGHT * WIDTH * 3 * 4


def test_progress_and_the_figure(model, images, tmp_path):
    calls = []
    options = {"batch_size": 10, "progress": lambda *done: calls.append(done)}
    tops = cx.explain.top_activations(model, images, "relu2", [0, 1, 2, 3, 4], **options)
    assert calls == [(10, 23), (20, 23), (23, 23)]
    figure = tops.plot()
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title(loc="left") for axes in shown[::2]] == [f"map {k}" for k in range(5)]
    assert len(shown) == 10  # a square of reconstructions and one of patches for each map
    figure.savefig(tmp_path / "tops.png")
    both = tops.plot(tops[1:3], titles=["one network", "another"])
    assert len([axes for axes in both.axes if axes.images]) == 14
    assert tops._repr_png_().startswith(b"\x89PNG") and "5 feature maps" in repr(tops)
    assert tops.of(3).feature_map == 3
    with pytest.raises(ValueError, match="`titles` must have 1 entries"):
        tops.plot(titles=["a", "b"])
    with pytest.raises(ValueError, match="`feature_map` must be among"):
        tops.of(9)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"feature_maps": [0, 8]}, "`feature_maps` must be between 0 and 7: layer 'relu2' has 8 maps"),
        ({"layer": "conv9"}, "no layer 'conv9'"),
        ({"k": 0}, "`k` must be a positive integer"),
        ({"overlap": "mean"}, "`overlap` must be one of"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"dataset": np.zeros((0, HEIGHT, WIDTH, 3))}, "at least one image"),
        ({"dataset": []}, "at least one image"),
        ({"dataset": np.zeros((2, HEIGHT, WIDTH, 4))}, "`images` must have shape"),
        ({"dataset": [np.zeros((HEIGHT, WIDTH, 3)), np.zeros((9, 9, 3))]}, "images of one shape"),
        ({"dataset": [{"image": 1}]}, "a dictionary of image"),
        ({"dataset": np.full((2, HEIGHT, WIDTH, 3), np.nan)}, "must be finite"),
    ],
)
def test_bad_input(model, images, options, match):
    given = {"dataset": images, "layer": "relu2", "feature_maps": [0], **options}
    with pytest.raises(ValueError, match=match):
        cx.explain.top_activations(model, given.pop("dataset"), **given)


def test_no_data_set(model):
    with pytest.raises(TypeError, match="`dataset` must be an array of images"):
        cx.explain.top_activations(model, 3, "relu2", [0])
