"""CAM by arithmetic, on networks that have the ending it needs and on those that have not."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras


def check(e, x, classes, third=None, matrix=None):
    """Compares with sum_k W[k,c] A_k."""
    twin = small.Twin(x)
    third = twin.third if third is None else third
    matrix = twin.w[6] if matrix is None else matrix
    raw = np.stack([third[i] @ matrix[:, c] for i, c in enumerate(classes)])
    np.testing.assert_allclose(e.raw, raw, rtol=1e-4, atol=1e-5)
    maps = small.normalize(small.enlarge(np.maximum(raw, 0), (small.HEIGHT, small.WIDTH)))
    np.testing.assert_allclose(e.map, maps, atol=1e-4)


@pytest.mark.parametrize("build", [small.sequential, small.functional, small.nested])
@pytest.mark.parametrize("class_index", [None, 2, [3, 0, 1]])
def test_cam_by_arithmetic(build, x, class_index):
    e = cx.explain.cam(build(keras), x, class_index)
    twin = small.Twin(x)
    classes = twin.logits.argmax(1) if class_index is None else np.broadcast_to(class_index, 3)
    check(e, x, classes)
    assert e.class_index.tolist() == list(classes)
    np.testing.assert_allclose(e.score, twin.logits[range(3), classes], rtol=1e-4)
    np.testing.assert_allclose(e.probability, twin.probabilities[range(3), classes], rtol=1e-4)
    assert e.layer == ("base/third" if build is small.nested else "third")
    assert e.map.dtype == np.float32 and e.map.shape == (3, small.HEIGHT, small.WIDTH)
    assert e.map.min() >= 0 and e.map.max() <= 1


def test_the_map_s_mean_plus_bias_is_the_logit(model, x):
    e = cx.explain.cam(model, x, 1, dtype="float64")
    np.testing.assert_allclose(e.raw.mean((1, 2)) + small.weights()[7][1], e.score, rtol=1e-6)
    assert e.parameters["dtype"] == "float64" and e.raw.dtype == np.float64


def test_cam_equals_grad_cam_up_to_a_factor(model, x):
    cam, grad_cam = cx.explain.cam(model, x, 0), cx.explain.grad_cam(model, x, 0)
    np.testing.assert_allclose(cam.map, grad_cam.map, atol=1e-5)


@pytest.mark.parametrize("keepdims", [False, True])
def test_reduce_mean_in_a_functional_graph(x, keepdims):
    *body, _, head = small.layers_of(keras)
    y = inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
    for layer in body:
        y = layer(y)
    y = cx.reduce_mean(y, axis=(1, 2), keepdims=keepdims)
    if keepdims:
        y = keras.layers.Reshape((small.FILTERS[-1],))(y)
    model = keras.Model(inputs, head(y))
    model.set_weights(small.weights())
    e = cx.explain.cam(model, x, 2)
    check(e, x, [2, 2, 2])
    assert e.layer == "third"


def test_softmax_as_a_layer_of_its_own(x):
    model = small.sequential(keras, activation=None)
    longer = keras.Sequential([*model.layers, keras.layers.Softmax()])
    longer.build((None, small.HEIGHT, small.WIDTH, 3))
    longer.set_weights(small.weights())
    check(cx.explain.cam(longer, x, 1), x, [1, 1, 1])


def test_convolution_head_before_the_pool(x):
    L = keras.layers
    y = inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
    y = L.Conv2D(4, 1, name="scores")(y)
    model = keras.Model(inputs, L.Softmax()(L.GlobalAveragePooling2D()(y)))
    e = cx.explain.cam(model, x, [0, 1, 3])
    kernel, bias = model.get_weights()
    raw = x @ np.asarray(kernel[0, 0], np.float64) + bias
    np.testing.assert_allclose(e.raw, raw[range(3), :, :, [0, 1, 3]], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(e.raw.mean((1, 2)), e.score, rtol=1e-4, atol=1e-6)
    assert e.layer == "scores"


def test_one_sigmoid_unit_has_two_classes(x):
    model = small.sequential(keras, activation="sigmoid", classes=1)
    twin = small.Twin(x, small.weights(0, 1))
    positive, negative = cx.explain.cam(model, x, 1), cx.explain.cam(model, x, 0)
    np.testing.assert_allclose(positive.raw, twin.third @ twin.w[6][:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(negative.raw, -positive.raw)
    np.testing.assert_allclose(negative.score, -positive.score)
    np.testing.assert_allclose(positive.probability + negative.probability, 1)
    np.testing.assert_allclose(positive.probability, 1 / (1 + np.exp(-twin.logits[:, 0])), rtol=1e-4)


def test_steps(model, x):
    e = cx.explain.cam(model, x, 1)
    assert list(e.steps) == ["activations", "channel weights", "weighted sum", "ReLU", "upsampled"]
    assert e.steps["activations"].shape == (3, 5, 7, 7)
    np.testing.assert_allclose(
        e.steps["channel weights"], np.tile(small.weights()[6][:, 1], (3, 1)), rtol=1e-6
    )
    np.testing.assert_array_equal(e.steps["weighted sum"], e.raw)


def test_only_the_pooled_layer_can_be_named(model, x):
    assert cx.explain.cam(model, x, layer="third").layer == "third"
    with pytest.raises(ValueError, match=r"those of layer 'third'.*Received: layer='second'"):
        cx.explain.cam(model, x, layer="second")


def test_only_the_logit(model, x):
    with pytest.raises(ValueError, match="`score` must be 'logit' for cam"):
        cx.explain.cam(model, x, score="probability")


def endings():
    L = keras.layers
    return {
        "flattened": [L.Flatten(), L.Dense(4, activation="softmax")],
        "reduce_max|maximum": [L.GlobalMaxPooling2D(), L.Dense(4, activation="softmax")],
        "layer 'hidden'": [L.GlobalAveragePooling2D(), L.Dense(5, "relu", name="hidden"), L.Dense(4)],
        "average_pool2d|flattened": [L.AveragePooling2D(2), L.Flatten(), L.Dense(4)],
    }


@pytest.mark.parametrize("why", list(endings()))
def test_other_endings_are_refused_with_the_reason(x, why):
    model = keras.Sequential(
        [
            keras.Input((small.HEIGHT, small.WIDTH, 3)),
            keras.layers.Conv2D(3, 3, activation="relu"),
            *endings()[why],
        ]
    )
    with pytest.raises(ValueError, match=rf"cam needs convolutions.*({why}).*grad_cam"):
        cx.explain.cam(model, x)
    assert cx.explain.grad_cam(model, x).map.shape == (3, small.HEIGHT, small.WIDTH)


def test_no_positive_evidence_is_a_warning_not_nan(x):
    model = small.sequential(keras)
    *body, kernel, bias = model.get_weights()
    kernel[:, 3] = -np.abs(kernel[:, 3])
    kernel[:, 0] = np.abs(kernel[:, 0])
    model.set_weights([*body, kernel, bias])
    e = cx.explain.cam(model, x, [3, 0, 3])
    assert not e.map[[0, 2]].any() and np.isfinite(e.map).all() and (e.raw[0] <= 0).all()
    assert e.warnings == ("no positive evidence for class 3 at layer third (images 0, 2)",)
    assert e[1].warnings == () and e[0].warnings == ("no positive evidence for class 3 at layer third",)
