"""What a second call of a method does not do again: fresh memory, work on the model, copies of images."""

from __future__ import annotations

import os
import pickle
import resource
import threading

import numpy as np
import pytest
import small

import cnnexplain as cx
from cnnexplain import _core
from cnnexplain.explain import layers, session

keras = cx.keras
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")
SIDE = 224


@pytest.fixture(scope="module")
def photographs():
    """A network of photographs' size that remembers how pixels become its input."""
    L = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            L.Conv2D(32, 3, strides=2, activation="relu"),
            L.Conv2D(128, 3, padding="same", activation="relu", name="middle"),
            L.MaxPooling2D(4),
            L.Conv2D(256, 3, padding="same", activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(1000, activation="softmax"),
        ]
    )
    model.preprocess = "caffe"
    return model


def pixels(n=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)


def as_caffe(x):
    return (x[..., ::-1] - np.array([103.939, 116.779, 123.68])).astype(np.float32)


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep freed memory")
@pytest.mark.parametrize("method", ["saliency", "guided_backprop", "grad_cam", "cam"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_the_second_call_touches_no_fresh_memory(photographs, method, dtype):
    x = pixels(2) if dtype == "uint8" else as_caffe(pixels(2)).astype(dtype)
    cx.explain(photographs, x, 1, method=method)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    e = cx.explain(photographs, x, 1, method=method)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before <= 100
    assert e.map.flags.writeable and e.map.base is not None  # in a block, which is used again


def test_forms_of_the_weights_are_made_in_the_first_call(photographs):
    x = as_caffe(pixels())
    cx.clear_caches()
    counts = [_core.forms()[0]]
    results = []
    for _ in range(3):
        results.append(cx.explain.saliency(photographs, x, 1).raw)
        counts.append(_core.forms()[0])
    assert counts[0] < counts[1] == counts[2] == counts[3]
    np.testing.assert_array_equal(results[0], results[1])
    photographs(x), photographs(x)  # a call by itself is not said to be repeated, but here they are
    assert _core.forms()[0] == counts[1]


def test_results_are_the_callers_own(photographs):
    x = as_caffe(pixels())
    first = cx.explain.grad_cam(photographs, x, 1)
    kept = first.map.copy()
    second = cx.explain.grad_cam(photographs, x, 1)
    second.map[...] = 7
    np.testing.assert_array_equal(first.map, kept)
    np.testing.assert_array_equal(cx.explain.grad_cam(photographs, x, 1).map, kept)


class TestWorkOnTheModel:
    @pytest.fixture
    def model(self):
        return small.sequential(keras)

    @pytest.fixture
    def counted(self, monkeypatch):
        """How often the parts of a look at the model ran."""
        counts = dict.fromkeys(("_places", "_find", "_refuse_channels_first", "Target"), 0)

        def watch(module, name):
            function = getattr(module, name)

            def count(*args, **kwargs):
                counts[name] += 1
                return function(*args, **kwargs)

            monkeypatch.setattr(module, name, count)

        watch(layers, "_places"), watch(layers, "_find")
        watch(session, "_refuse_channels_first"), watch(session, "Target")
        return counts

    @pytest.mark.parametrize("layer", [None, "second", 2, -3])
    def test_is_done_once(self, model, counted, layer):
        x = small.images()
        for _ in range(3):
            cx.explain.grad_cam(model, x, 1, layer=layer)
        assert counted["_places"] == counted["_find"] == counted["Target"] == 1
        first = dict(counted)
        cx.explain.saliency(model, x, 1)
        cx.explain.grad_cam(model, x, 2, layer=layer)
        assert counted == first

    def test_is_done_again_after_an_edit(self, model, counted):
        x = small.images()
        cx.explain.grad_cam(model, x, 1, layer="second")
        model.layers[2].name = "renamed"
        assert cx.explain.grad_cam(model, x, 1, layer="renamed").layer == "renamed"
        assert counted["_places"] == 2
        with pytest.raises(ValueError, match="there is no layer 'second'"):
            cx.explain.grad_cam(model, x, 1, layer="second")
        model.layers[1].data_format = "channels_first"  # of a pooling, which runs all the same
        with pytest.raises(ValueError, match="must have its channels last"):
            cx.explain.grad_cam(model, x, 1)

    def test_another_output_score_or_input_is_another_place(self):
        left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
        L = keras.layers
        a, b = L.Conv2D(4, 3, name="a")(left), L.Conv2D(5, 3, name="b")(right)
        heads = [L.Dense(3, name=n)(L.GlobalAveragePooling2D()(s)) for n, s in (("of_a", a), ("of_b", b))]
        model = keras.Model([left, right], heads)
        images = [np.random.default_rng(i).random((1, 8, 8, 3)) for i in range(2)]
        for _ in range(2):
            for which, (place, head) in enumerate((("a", "of_a"), ("b", "of_b"))):
                e = cx.explain.grad_cam(model, images, 1, input=which, output=head)
                assert e.layer == place
                p = cx.explain.grad_cam(model, images, 1, input=which, output=head, score="probability")
                assert p.score[0] == p.probability[0] == pytest.approx(e.probability[0])

    def test_what_the_model_says_is_read_in_every_call(self, model):
        x = small.images()
        assert cx.explain.grad_cam(model, x, 1).class_name[0] is None
        model.class_names = ["a", "b", "c", "d"]
        assert cx.explain.grad_cam(model, x, 1).class_name[0] == "b"
        model.layer_aliases = {"features": "second"}
        assert cx.explain.grad_cam(model, x, 1, layer="features").layer == "second"
        model.layer_aliases["features"] = "first"
        assert cx.explain.grad_cam(model, x, 1, layer="features").layer == "first"

    def test_weights_may_change_between_calls(self, model):
        x = small.images()
        before = cx.explain.saliency(model, x, 1).raw.copy()
        for change in (
            lambda: model.set_weights([w * 2 for w in model.get_weights()]),
            lambda: model.layers[0].kernel.assign_add(model.layers[0].kernel * 0.5),
        ):
            change()
            fresh = keras.models.clone_model(model)
            fresh.set_weights(model.get_weights())
            now = cx.explain.saliency(model, x, 1).raw
            np.testing.assert_array_equal(now, cx.explain.saliency(fresh, x, 1).raw)
            assert not np.array_equal(now, before)
            before = now.copy()

    def test_a_refused_call_leaves_the_next_one_alone(self, model):
        x = small.images()
        want = cx.explain.grad_cam(model, x, 1, layer="second")
        fresh = small.sequential(keras)
        for wrong in ({"layer": "nowhere"}, {"class_index": 9}, {"layer": "head"}, {"score": "best"}):
            with pytest.raises(ValueError):
                cx.explain.grad_cam(fresh, x, **wrong)
        bad = x.copy()
        bad[1] = np.nan
        with pytest.raises(ValueError, match="in image 1"):
            cx.explain.grad_cam(fresh, bad, 1)
        np.testing.assert_array_equal(cx.explain.grad_cam(fresh, x, 1, layer="second").raw, want.raw)

    def test_two_threads_may_be_the_first(self):
        x = small.images()
        want = cx.explain.grad_cam(small.sequential(keras), x, 1).raw
        for _ in range(5):
            fresh, got, wall = small.sequential(keras), [], threading.Barrier(3)

            def run(model=fresh, results=got, barrier=wall):
                barrier.wait()
                results.append(cx.explain.grad_cam(model, x, 1).raw)

            threads = [threading.Thread(target=run) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(got) == 3 and all(np.array_equal(raw, want) for raw in got)


class TestImagesAreMadeWhenAsked:
    def test_of_the_values_at_the_call(self, photographs):
        x, shown = as_caffe(pixels(3)), pixels(3)
        e = cx.explain.saliency(photographs, x, 1)
        part = e[1:]
        x[...] = 0
        np.testing.assert_array_equal(part.images, shown[1:])
        np.testing.assert_array_equal(e[0].images, shown[0])
        np.testing.assert_array_equal(e.images, shown)
        assert e.images is e.images and e.images.dtype == np.uint8

    def test_also_after_pickling(self, photographs):
        e = cx.explain.saliency(photographs, as_caffe(pixels()), 1)
        again = pickle.loads(pickle.dumps(e))
        np.testing.assert_array_equal(again.images, pixels())
        np.testing.assert_array_equal(again.map, e.map)

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_what_does_not_look_preprocessed_is_shown_as_it_is(self, photographs, dtype):
        x = (pixels() / 255).astype(dtype)
        e = cx.explain.saliency(photographs, x, 1)
        np.testing.assert_array_equal(e.images, x)
        assert e.warnings == ()

    def test_whole_numbers_are_noticed_wherever_the_others_are(self, photographs):
        x = pixels().astype(np.float32)
        assert "whole" in cx.explain.saliency(photographs, x, 1).warnings[0]
        x[0, -1, -1, -1] += 0.5
        assert cx.explain.saliency(photographs, x, 1).warnings == ()
        x[0, -1, -1, -1], x[0, 0, 0, 0] = 0, 0.5
        assert cx.explain.saliency(photographs, x, 1).warnings == ()

    def test_one_not_finite_number_is_noticed(self, photographs):
        for bad in (np.nan, np.inf, -np.inf):
            x = as_caffe(pixels(2))
            x[1, -1, -1, -1] = bad
            with pytest.raises(ValueError, match="NaN or infinity in image 1"):
                cx.explain.saliency(photographs, x, 1)
