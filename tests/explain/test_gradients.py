"""Saliency and guided backpropagation against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras


@pytest.mark.parametrize("method, guided", [("saliency", False), ("guided_backprop", True)])
@pytest.mark.parametrize("build", [small.sequential, small.functional, small.nested])
def test_against_numpy(build, x, method, guided):
    model = build(keras)
    w = [np.asarray(value, np.float64) for value in model.get_weights()]
    want = small.Twin(x, w).gradient(np.eye(4)[[1, 2, 0]], guided)["image"]
    exact = cx.explain(model, x, [1, 2, 0], method=method, dtype="float64")
    np.testing.assert_allclose(exact.raw, want, atol=1e-9)
    e = cx.explain(model, x, [1, 2, 0], method=method)
    np.testing.assert_allclose(e.raw, want, atol=2e-4 * np.abs(want).max())
    np.testing.assert_allclose(e.map, small.normalize(np.abs(want).sum(-1)), atol=1e-3)
    assert e.layer is None and e.raw.shape == x.shape and e.map.dtype == np.float32
    largest = cx.explain(model, x, [1, 2, 0], method=method, reduce="max")
    np.testing.assert_allclose(largest.map, small.normalize(np.abs(want).max(-1)), atol=1e-3)


def test_guided_differs_from_the_gradient(model, x):
    plain, guided = cx.explain.saliency(model, x, 1), cx.explain.guided_backprop(model, x, 1)
    assert np.abs(plain.raw - guided.raw).max() > 1e-2 * np.abs(plain.raw).max()
    np.testing.assert_array_equal(plain.raw, cx.explain.saliency(model, x, 1).raw)


def test_the_lecture_s_saliency(model, x):
    """The gradient of the cross-entropy on a tape, as the lecture computes it."""
    with cx.GradientTape() as tape:
        inputs = cx.constant(x, cx.float32)
        tape.watch(inputs)
        predictions = model(inputs)
        loss = keras.losses.categorical_crossentropy(cx.one_hot([2, 2, 2], 4), predictions)
    want = tape.gradient(loss, inputs).numpy()
    e = cx.explain.saliency(model, x, 2, score="loss")
    np.testing.assert_allclose(e.raw, want, atol=1e-4 * np.abs(want).max())


def relu_models():
    """The same function with its ReLU written in different ways."""
    L = keras.layers

    def build(relu):
        x = inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
        for name, filters in zip(("first", "second", "third"), small.FILTERS, strict=True):
            x = relu(L.Conv2D(filters, 3, padding="same", name=name)(x))
            if name == "first":
                x = L.MaxPooling2D(2)(x)
        model = keras.Model(inputs, L.Dense(4, activation="softmax")(L.GlobalAveragePooling2D()(x)))
        model.set_weights(small.weights())
        return model

    return {
        "layer": lambda: build(lambda x: L.ReLU()(x)),
        "activation": lambda: build(lambda x: L.Activation("relu")(x)),
        "function": lambda: build(lambda x: cx.nn.relu(x)),
        "maximum": lambda: build(lambda x: cx.maximum(x, 0.0)),
        "clipped": lambda: build(lambda x: L.ReLU(max_value=1e6)(x)),
        "nested": lambda: build(lambda x: keras.Sequential([L.ReLU()])(x)),
    }


@pytest.mark.parametrize("way", list(relu_models()))
def test_every_relu_follows_the_rule(x, way):
    want = small.Twin(x).gradient(np.eye(4)[[1] * 3], guided=True)["image"]
    e = cx.explain.guided_backprop(relu_models()[way](), x, 1)
    np.testing.assert_allclose(e.raw, want, atol=2e-4 * np.abs(want).max())
    assert e.warnings == ()


@pytest.mark.parametrize("activation", ["elu", "gelu", "silu", "tanh", "softplus", "selu"])
def test_other_activations_are_refused_or_fall_back(x, activation):
    L = keras.layers
    model = keras.Sequential(
        [
            keras.Input((small.HEIGHT, small.WIDTH, 3)),
            L.Conv2D(4, 3, activation=activation, name="bent"),
            L.Conv2D(4, 3, activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(4, activation="softmax"),
        ]
    )
    with pytest.raises(
        ValueError, match=rf"defined for ReLU only; this model also has {activation} \(bent\).*fallback"
    ):
        cx.explain.guided_backprop(model, x)
    e = cx.explain.guided_backprop(model, x, fallback="gradient")
    assert np.isfinite(e.raw).all() and f"true gradient was taken at {activation} (bent)" in e.warnings[0]
    assert e.parameters["fallback"] == "gradient"
    with pytest.raises(ValueError, match="`fallback` must be None or 'gradient'"):
        cx.explain.guided_backprop(model, x, fallback="zero")
    assert cx.explain.saliency(model, x).map.shape == (3, small.HEIGHT, small.WIDTH)


def test_softmax_and_sigmoid_at_the_end_are_no_matter(x):
    for activation in ("softmax", "sigmoid", None):
        assert cx.explain.guided_backprop(small.sequential(keras, activation), x).warnings == ()


def test_without_any_relu_it_says_so(x):
    L = keras.layers
    model = keras.Sequential(
        [keras.Input((small.HEIGHT, small.WIDTH, 3)), L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(4)]
    )
    e = cx.explain.guided_backprop(model, x)
    assert e.warnings == ("there is no ReLU on the way: this is the plain gradient",)
    np.testing.assert_array_equal(e.raw, cx.explain.saliency(model, x).raw)


def test_bad_reduce(model, x):
    for method in (cx.explain.saliency, cx.explain.guided_backprop):
        with pytest.raises(ValueError, match="`reduce` must be one of sum, max. Received: reduce='mean'"):
            method(model, x, reduce="mean")


def test_several_inputs(x):
    L = keras.layers
    picture, number = (
        keras.Input((small.HEIGHT, small.WIDTH, 3), name="picture"),
        keras.Input((2,), name="number"),
    )
    y = L.Concatenate()([L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(picture)), number])
    model = keras.Model([picture, number], L.Dense(3, activation="softmax")(y))
    numbers = np.array([[0, 1], [2, 3], [-4, 5]], np.float32)
    e = cx.explain.saliency(model, [x, numbers], 1)
    assert e.raw.shape == x.shape
    named = cx.explain.saliency(model, {"number": numbers, "picture": x}, 1, input="picture")
    np.testing.assert_array_equal(named.raw, e.raw)
    np.testing.assert_array_equal(cx.explain.saliency(model, [x, numbers], 1, input=0).raw, e.raw)
    with pytest.raises(ValueError, match="`input` must be one of the model's inputs"):
        cx.explain.saliency(model, [x, numbers], input="sound")
    with pytest.raises(ValueError, match="input that takes images"):
        cx.explain.saliency(model, [x, numbers], input="number")
    with pytest.raises(ValueError, match="one entry for each"):
        cx.explain.saliency(model, x)
    with pytest.raises(ValueError, match="same number of images"):
        cx.explain.saliency(model, [x, numbers[:2]])


def test_a_score_that_ignores_the_image(x):
    L = keras.layers
    picture, number = (
        keras.Input((small.HEIGHT, small.WIDTH, 3), name="picture"),
        keras.Input((2,), name="number"),
    )
    a = L.Dense(3, name="a")(L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(picture)))
    b = L.Dense(3, name="b")(number)
    model = keras.Model([picture, number], [a, b])
    numbers = np.ones((3, 2), np.float32)
    assert cx.explain.saliency(model, [x, numbers], output=0).raw.shape == x.shape
    with pytest.raises(ValueError, match="does not depend on the image"):
        cx.explain.saliency(model, [x, numbers], output=1)
