"""compare_classes: several classes from one forward pass."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras
CAMS = ("grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "xgrad_cam")
PIXELS = ("saliency", "input_x_gradient", "guided_backprop", "rectified_gradient")


@pytest.mark.parametrize("method", CAMS + PIXELS)
def test_each_row_is_what_the_method_gives(model, x, method):
    classes = [[1, 0], [3, 2], [0, 3]]
    e = cx.explain.compare_classes(model, x, classes, method=method, shared_scale=False, batch_size=2)
    assert len(e) == 6 and e.class_index.tolist() == [1, 0, 3, 2, 0, 3] and e.method == method
    for column in range(2):
        one = cx.explain(model, x, [row[column] for row in classes], method=method)
        np.testing.assert_allclose(e.raw[column::2], one.raw, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(e.map[column::2], one.map, atol=1e-5)
        np.testing.assert_array_equal(e.score[column::2], one.score)
        np.testing.assert_array_equal(e.probability[column::2], one.probability)
        np.testing.assert_array_equal(e.images[column::2], one.images)
        assert e.layer == one.layer
        for name in e.steps:
            assert len(e.steps[name]) == 6


def test_the_likeliest(model, x):
    order = np.argsort(-small.Twin(x).logits, 1)
    e = cx.explain.compare_classes(model, x)
    assert e.class_index.reshape(3, 3).tolist() == order[:, :3].tolist()
    assert (
        cx.explain.compare_classes(model, x, top=2).class_index.reshape(3, 2).tolist()
        == order[:, :2].tolist()
    )
    assert len(cx.explain.compare_classes(model, x, top=10)) == 12
    named = cx.explain.compare_classes(model, x, [0, 3], class_names=["ant", "bee", "cat", "dog"])
    assert list(named.class_name) == ["ant", "dog"] * 3


def test_one_sigmoid_unit_has_two_classes(x):
    model = small.sequential(keras, activation="sigmoid", classes=1)
    e = cx.explain.compare_classes(model, x)
    one = cx.explain.grad_cam(model, x)
    assert len(e) == 6 and e.class_index[::2].tolist() == one.class_index.tolist()
    np.testing.assert_allclose(e.raw[::2], -e.raw[1::2], atol=1e-7)


@pytest.mark.parametrize("method", ["grad_cam", "saliency"])
def test_one_scale_for_the_maps_of_an_image(model, x, method):
    apart = cx.explain.compare_classes(model, x, [0, 1, 2, 3], method=method, shared_scale=False)
    e = cx.explain.compare_classes(model, x, [0, 1, 2, 3], method=method)
    name = "upsampled" if method == "grad_cam" else "sum over channels"
    values = e.steps[name].reshape(3, 4, *x.shape[1:3])
    want = values / values.max((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(e.map.reshape(want.shape), want, atol=1e-6)
    np.testing.assert_array_equal(e.raw, apart.raw)
    assert e.parameters["shared_scale"] is True and apart.parameters["shared_scale"] is False


def test_one_forward_pass(model, x):
    from cnnexplain.explain.session import Session

    runs = []
    batches = Session.batches

    def counted(self, *arguments):
        for item in batches(self, *arguments):
            runs.append(item[0])
            yield item

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "batches", counted)
        cx.explain.compare_classes(model, x, [0, 1, 2, 3])
    assert len(runs) == 1


def test_pictures(model, x):
    e = cx.explain.compare_classes(model, x[:1], [0, 1])
    assert e.overlay().shape == (2, small.HEIGHT, small.WIDTH, 3)
    assert len(e._repr_png_()) > 1000 and len(e[1:]) == 1


def test_bad_arguments(model, x):
    def refused(text, *arguments, **options):
        with pytest.raises(ValueError, match=text):
            cx.explain.compare_classes(model, x, *arguments, **options)

    refused("`method` must be one of grad_cam, .*Received: method='cam'", method="cam")
    refused("`class_index` must be between 0 and 3. Received: class_index=4", [0, 4])
    refused("`classes` must be None, a list of integers, or", 2)
    refused("`classes` must be None, a list of integers, or", [[0, 1]])
    refused("`classes` must be None, a list of integers, or", [])
    refused("`classes` must be None, a list of integers, or", [0.5])
    refused("`top` must be a positive integer", top=0)
    refused("needs a score of each class", score=lambda p: p[:, 0])
    refused("no layer 'conv9'", layer="conv9")
    refused("`reduce` must be one of sum, max", reduce="mean")
