"""Explanations against the same formulas written on TensorFlow's tape, live, in float64."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
CLASSES = 5


def network(keras, activation):
    """A stride, a branch and a nested model, so that layers are found at every depth."""
    layers = keras.layers
    inner_input = keras.Input((11, 9, 6), dtype="float64")
    inner = keras.Model(
        inner_input,
        layers.Conv2D(8, 3, padding="same", activation="relu", name="inside", dtype="float64")(inner_input),
        name="inner",
    )
    inputs = keras.Input((21, 17, 3), dtype="float64")
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="first", dtype="float64")(
        inputs
    )
    y = inner(x)
    x = layers.Concatenate(name="both", dtype="float64")([x, y])
    x = layers.Conv2D(10, 3, activation="relu", name="last", dtype="float64")(x)
    x = layers.GlobalAveragePooling2D(name="average", dtype="float64")(x)
    outputs = layers.Dense(CLASSES, activation=activation, name="classifier", dtype="float64")(x)
    return keras.Model(inputs, outputs)


@pytest.fixture(scope="module")
def case(tensorflow):
    ours = network(cx.keras, "softmax")
    # or its models round what they are given to float32
    tensorflow.keras.backend.set_floatx("float64")
    tensorflow.keras.config.set_dtype_policy("float64")
    theirs = network(tensorflow.keras, None)  # without the softmax its output is the logit
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, np.sqrt(2 / max(np.prod(w.shape[:-1]), 1)), w.shape) for w in ours.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    yield tensorflow, ours, theirs, rng.normal(size=(4, 21, 17, 3)), np.array([0, 4, 2, 2])
    tensorflow.keras.backend.set_floatx("float32")
    tensorflow.keras.config.set_dtype_policy("float32")


def slopes(tf, model, x, classes, layer):
    """The layer's output A, the chosen logits' gradient with respect to A and to the pixels."""
    both = tf.keras.Model(model.inputs, [model.get_layer(layer).output, model.outputs[0]])
    pixels = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        maps, logits = both(pixels)
        score = tf.reduce_sum(tf.gather(logits, classes, batch_dims=1))
    on_maps, on_pixels = tape.gradient(score, [maps, pixels])
    return maps.numpy(), on_maps.numpy(), on_pixels.numpy()


@pytest.mark.parametrize("layer", ["first", "both", "last"])
def test_grad_cam(case, layer):
    tf, ours, theirs, x, classes = case
    maps, gradient, _ = slopes(tf, theirs, x, classes, layer)
    want = np.einsum("nhwk,nk->nhw", maps, gradient.mean((1, 2)))
    got = cx.explain.grad_cam(ours, x, classes, layer=layer)
    np.testing.assert_allclose(got.raw, want, atol=1e-9 * np.abs(want).max())
    positive = np.maximum(want, 0)
    enlarged = tf.image.resize(positive[..., None], (21, 17)).numpy()[..., 0]
    top = enlarged.max((1, 2), keepdims=True)
    np.testing.assert_allclose(got.map, np.divide(enlarged, top, where=top > 0, out=0 * enlarged), atol=2e-5)


def test_cam_is_grad_cam_times_the_area(case):
    tf, ours, theirs, x, classes = case
    maps, gradient, _ = slopes(tf, theirs, x, classes, "last")
    want = np.einsum("nhwk,nk->nhw", maps, gradient.mean((1, 2))) * maps.shape[1] * maps.shape[2]
    got = cx.explain.cam(ours, x, classes)
    np.testing.assert_allclose(got.raw, want, atol=1e-9 * np.abs(want).max())


def test_saliency(case):
    tf, ours, theirs, x, classes = case
    _, _, gradient = slopes(tf, theirs, x, classes, "last")
    got = cx.explain.saliency(ours, x, classes)
    np.testing.assert_allclose(got.raw, gradient, atol=1e-9 * np.abs(gradient).max())


def test_guided_backprop(case):
    tf, ours, theirs, x, classes = case

    @tf.custom_gradient
    def guided(z):
        return tf.nn.relu(z), lambda dy: tf.nn.relu(dy) * tf.cast(z > 0, z.dtype)

    changed = [theirs.get_layer(name) for name in ("first", "last")] + [theirs.get_layer("inner").layers[-1]]
    for layer in changed:
        layer.activation = guided
    try:
        _, _, gradient = slopes(tf, theirs, x, classes, "last")
    finally:
        for layer in changed:
            layer.activation = tf.keras.activations.relu
    got = cx.explain.guided_backprop(ours, x, classes)
    np.testing.assert_allclose(got.raw, gradient, atol=1e-9 * np.abs(gradient).max())
