"""Layers over sequences, adaptive pools, noise: on symbols, of unknown sizes, in training, stored."""

from __future__ import annotations

import cases
import numpy as np
import pytest
import recordings

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers


@pytest.fixture(scope="module")
def recorded():
    return recordings.read("keras_layers")


@pytest.mark.parametrize("name", cases.FAMILIES["keras_layers"]["layer"])
def test_float32_agrees_with_keras_in_float64(name, recorded):
    found = cases.record_layer(tf, keras, name)
    for key, value in found.items():
        wanted = recorded[f"layer/{name}/{key}"]
        scale = np.abs(wanted).max(initial=1.0)
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5 * scale, err_msg=key)


# layer: shape of one example; None marks a size that need not be known
LAYERS = {
    "Conv1D": (lambda: layers.Conv1D(3, 2, padding="causal", activation="relu"), (7, 2), (None, 2)),
    "DepthwiseConv1D": (lambda: layers.DepthwiseConv1D(2, depth_multiplier=2), (7, 2), (None, 2)),
    "SeparableConv1D": (lambda: layers.SeparableConv1D(3, 2, strides=2), (7, 2), (None, 2)),
    "Conv1DTranspose": (lambda: layers.Conv1DTranspose(3, 2, strides=2), (7, 2), (None, 2)),
    "MaxPooling1D": (lambda: layers.MaxPooling1D(), (7, 2), (None, 2)),
    "AveragePooling1D": (lambda: layers.AveragePooling1D(3, padding="same"), (7, 2), (None, 2)),
    "GlobalAveragePooling1D": (lambda: layers.GlobalAveragePooling1D(), (7, 2), (None, 2)),
    "GlobalMaxPooling1D": (lambda: layers.GlobalMaxPooling1D(keepdims=True), (7, 2), (None, 2)),
    "ZeroPadding1D": (lambda: layers.ZeroPadding1D((1, 2)), (7, 2), (None, 2)),
    "Cropping1D": (lambda: layers.Cropping1D((1, 2)), (7, 2), (None, 2)),
    "Cropping2D": (lambda: layers.Cropping2D(((1, 2), (0, 3))), (7, 8, 2), (None, None, 2)),
    "UpSampling1D": (lambda: layers.UpSampling1D(3), (7, 2), (None, 2)),
    "UpSampling2D": (lambda: layers.UpSampling2D((2, 3)), (4, 5, 2), (None, None, 2)),
    "SpatialDropout1D": (lambda: layers.SpatialDropout1D(0.5), (7, 2), (None, 2)),
    "SpatialDropout2D": (lambda: layers.SpatialDropout2D(0.5), (4, 5, 2), (None, None, 2)),
    "GaussianDropout": (lambda: layers.GaussianDropout(0.5), (7,), (7,)),
    "AlphaDropout": (lambda: layers.AlphaDropout(0.5), (7,), (7,)),
    "AdaptiveAveragePooling1D": (lambda: layers.AdaptiveAveragePooling1D(3), (7, 2), (7, 2)),
    "AdaptiveMaxPooling2D": (lambda: layers.AdaptiveMaxPooling2D(3), (7, 5, 2), (7, 5, 2)),
    "GroupNormalization": (lambda: layers.GroupNormalization(2), (4, 5, 6), (None, None, 6)),
    "RMSNormalization": (lambda: layers.RMSNormalization(), (4, 6), (None, 6)),
    "EinsumDense": (lambda: layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), (4, 6), (None, 6)),
    "SpectralNormalization": (
        lambda: layers.SpectralNormalization(layers.Conv2D(2, 3)),
        (5, 6, 2),
        (None, None, 2),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_symbols_unknown_sizes_models_and_configuration(name):
    make, shape, unknown = LAYERS[name]
    x = np.random.RandomState(0).standard_normal((3, *shape)).astype("float32")
    layer = make()
    symbol = layer(keras.Input(unknown))
    y = layer(x)
    assert len(symbol.shape) == len(y.shape)
    assert all(a is None or a == b for a, b in zip(symbol.shape, y.shape, strict=True))
    if None not in unknown:
        assert layer.compute_output_shape((None, *shape)) == (None, *y.shape[1:])
    model = keras.Model(inputs := keras.Input(unknown), layer(inputs))
    np.testing.assert_allclose(model.predict(x, verbose=0), y.numpy(), rtol=1e-5, atol=1e-6)
    again = type(layer).from_config(layer.get_config())
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(again(x).numpy(), y.numpy(), rtol=1e-6, atol=1e-6)
    assert again.get_config() == layer.get_config()
    head = keras.Model(inputs := keras.Input(shape), layers.Dense(1)(layers.Flatten()(make()(inputs))))
    head.compile(keras.optimizers.SGD(0.01), "mse")
    losses = head.fit(x, np.ones((3, 1)), epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", [name for name in LAYERS if "Dropout" not in name])
def test_float64_stays_float64(name):
    make, shape, _ = LAYERS[name]
    layer = make()
    layer = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    if name != "SpectralNormalization":
        assert layer(np.ones((2, *shape))).dtype == "float64"


def test_causal_convolution_sees_no_future():
    layer = layers.Conv1D(2, 3, padding="causal", dilation_rate=2)
    x = np.random.RandomState(0).standard_normal((1, 9, 2)).astype("float32")
    before = layer(x).numpy()
    x[:, 5:] += 1.0
    after = layer(x).numpy()
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).all()


def test_adaptive_pools_of_one_cell_and_of_the_size_itself():
    x = np.random.RandomState(0).standard_normal((2, 5, 7, 3)).astype("float32")
    np.testing.assert_allclose(layers.AdaptiveMaxPooling2D(1)(x).numpy()[:, 0, 0], x.max(axis=(1, 2)))
    np.testing.assert_allclose(
        layers.AdaptiveAveragePooling2D(1)(x).numpy()[:, 0, 0], x.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(layers.AdaptiveMaxPooling2D((5, 7))(x).numpy(), x)
    sequence = np.arange(5, dtype="float32").reshape(1, 5, 1)
    # bins [0, 2), [1, 4), [3, 5)
    np.testing.assert_allclose(layers.AdaptiveAveragePooling1D(3)(sequence).numpy().ravel(), [0.5, 2, 3.5])
    np.testing.assert_allclose(layers.AdaptiveMaxPooling1D(3)(sequence).numpy().ravel(), [1, 3, 4])


def test_the_gradient_of_an_adaptive_maximum_goes_to_the_largest_cell():
    x = tf.constant(np.array([[[3.0], [1.0], [2.0], [5.0], [4.0]]]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layers.AdaptiveMaxPooling1D(2, dtype="float64")(x))
    np.testing.assert_array_equal(tape.gradient(y, x).numpy().ravel(), [1, 0, 0, 1, 0])


def test_spatial_dropout_drops_whole_channels():
    y = layers.SpatialDropout1D(0.5, seed=0)(np.ones((8, 6, 32), "float32"), training=True).numpy()
    assert (y == y[:, :1]).all() and set(np.unique(y)) == {0.0, 2.0} and 90 < (y[:, 0] == 0).sum() < 166


def test_gaussian_dropout_has_its_mean_and_spread():
    y = layers.GaussianDropout(0.2, seed=1)(np.full((100, 1000), 3.0, "float32"), training=True).numpy()
    assert y.mean() == pytest.approx(3.0, abs=0.02)
    assert y.std() == pytest.approx(3.0 * np.sqrt(0.2 / 0.8), rel=0.01)


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.RandomState(0).standard_normal((200, 1000)).astype("float32")
    y = layers.AlphaDropout(0.3, seed=1)(x, training=True).numpy()
    assert y.mean() == pytest.approx(0.0, abs=0.02) and y.std() == pytest.approx(1.0, rel=0.02)
    floor = -1.6732632423543772 * 1.0507009873554805
    a = (0.7 * (1 + 0.3 * floor**2)) ** -0.5
    dropped = np.isclose(y, a * floor - a * floor * 0.3, atol=1e-5)
    assert dropped.mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(y[~dropped], (a * x - a * floor * 0.3)[~dropped], atol=1e-4)
    y = layers.AlphaDropout(0.5, noise_shape=(None, 1), seed=2)(x, training=True).numpy()
    low = np.isclose(y, y.min(axis=1, keepdims=True)).all(axis=1)
    assert 60 < low.sum() < 140


def test_noise_differs_from_batch_to_batch_in_fit():
    seen = []

    class Watch(layers.Layer):
        def call(self, inputs):
            return inputs

    for make in (
        lambda: layers.GaussianDropout(0.5),
        lambda: layers.GaussianNoise(1.0),
        lambda: layers.AlphaDropout(0.5),
    ):
        model = keras.Sequential([keras.Input((50,)), make(), Watch()])
        seen = [model(np.ones((2, 50), "float32"), training=True).numpy() for _ in range(2)]
        assert (seen[0] != seen[1]).any() and (model(np.ones((1, 50))).numpy() == 1).all()


def test_a_mask_of_steps_counts_in_the_mean():
    x = np.arange(12, dtype="float32").reshape(1, 4, 3)
    mask = np.array([[True, True, False, False]])
    y = layers.GlobalAveragePooling1D()(x, mask=mask).numpy()
    np.testing.assert_allclose(y, x[:, :2].mean(axis=1))


def test_spectral_normalization_makes_the_largest_singular_value_one():
    layer = layers.SpectralNormalization(layers.Dense(5), power_iterations=30)
    x = np.ones((1, 7), "float32")
    layer(x)
    layer.layer.kernel.assign(np.random.RandomState(0).standard_normal((7, 5)) * 4)
    layer(x, training=True)
    assert np.linalg.svd(layer.layer.kernel.numpy())[1][0] == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(ValueError, match="`kernel` or `embeddings`"):
        layers.SpectralNormalization(layers.ReLU())(x)


def test_spectral_normalization_in_fit_steps_from_the_normalized_kernel():
    model = keras.Sequential(
        [keras.Input((3,)), layers.SpectralNormalization(layers.Dense(2), power_iterations=20)]
    )
    kernel = np.array([[4.0, 0.0], [0.0, 2.0], [0.0, 0.0]], "float32")
    model.layers[0].layer.kernel.assign(kernel)
    model.layers[0].vector_u.assign([[1.0, 0.1]])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = np.array([[1.0, 1.0, 0.0]], "float32"), np.zeros((1, 2), "float32")
    loss = model.fit(x, y, verbose=0).history["loss"][0]
    assert loss == pytest.approx((1 + 0.25) / 2, rel=1e-3)  # of the kernel divided by 4
    wanted = kernel / 4 - 0.1 * np.array([[1.0, 0.5], [1.0, 0.5], [0.0, 0.0]])
    np.testing.assert_allclose(model.layers[0].layer.kernel.numpy(), wanted, atol=1e-3)


def test_initial_spread_of_an_einsum_kernel():
    layer = layers.EinsumDense("abcd,cde->abe", (None, 60))
    layer.build((None, 5, 40, 50))
    assert layer.kernel.shape == (40, 50, 60)
