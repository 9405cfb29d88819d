"""Layers: construction, building, shapes, configuration, errors; initializers, utilities."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import initializers, layers


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2D(0, 3), "`filters` must be a positive integer. Received: filters=0"),
        (
            lambda: layers.Conv2D(4, (3, 0)),
            r"`kernel_size` must be a tuple of 2 positive integers. Received: kernel_size=\(3, 0\)",
        ),
        (lambda: layers.Conv2D(4, (3, 3, 3)), "`kernel_size` must be a tuple of 2"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "`padding` must be one of 'valid', 'same'"),
        (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "`strides > 1` not supported"),
        (lambda: layers.Conv2D(5, 3, groups=2), "evenly divisible"),
        (lambda: layers.Conv2D(4, 3, data_format="last"), "data_format"),
        (lambda: layers.Conv2D(4, 3, activation="rellu"), "activation function identifier: rellu"),
        (lambda: layers.Conv2D(4, 3, kernel_initializer="gloro"), "initializer identifier"),
        (lambda: layers.Conv2D(4, 3, size=3), "Unrecognized keyword arguments"),
        (
            lambda: layers.MaxPooling2D((2, 0)),
            r"`pool_size` must be a tuple of 2 positive integers. Received: pool_size=\(2, 0\)",
        ),
        (lambda: layers.Dense(-1), "`units` must be a positive integer"),
        (lambda: layers.Dense(2.5), "`units` must be a positive integer"),
        (lambda: layers.Dropout(1.5), "`rate`"),
        (lambda: layers.Permute((1, 3)), "`dims`"),
        (lambda: layers.ZeroPadding2D(-1), "`padding`"),
        (lambda: layers.UpSampling2D(2, interpolation="cubic"), "`interpolation`"),
        (lambda: layers.BatchNormalization(momentum=2), "`momentum`"),
        (lambda: layers.ReLU(max_value=-1), "max_value"),
        (lambda: keras.Input(), "`shape`"),
        (lambda: keras.Input(3), "`shape` must be a tuple"),
        (lambda: keras.Input((3, -1)), "`shape`"),
        (lambda: layers.Dense(2, name="a/b"), "name"),
        (lambda: layers.Dense(2, dtype="float31"), "float31"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            layers.Conv2D(2, 3),
            (2, 8, 8),
            r'Input 0 of layer "conv2d.*expected ndim=4, found ndim=3.*image\[None\]',
        ),
        (layers.Conv2D(2, 5), (2, 3, 3, 1), r"kernel_size=\(5, 5\)"),
        (layers.Dense(2), (3,), "min_ndim=2, found ndim=1"),
        (layers.Reshape((5, 5)), (2, 24), "total size"),
        (layers.Cropping2D(4), (2, 8, 8, 1), "cropping"),
        (layers.Concatenate(axis=9), None, "concatenation axis"),
        (layers.Add(), None, "incompatible shapes"),
    ],
)
def test_bad_inputs_are_named(layer, shape, message):
    value = np.zeros(shape, "float32") if shape else [tf.zeros((2, 3)), tf.zeros((2, 4))]
    with pytest.raises(ValueError, match=message):
        layer(value)


def test_another_number_of_channels_is_named():
    layer = layers.Conv2D(2, 3, name="first")
    layer(np.zeros((1, 5, 5, 3), "float32"))
    with pytest.raises(ValueError, match=r'layer "first".*axis -1.*value 3.*\(1, 5, 5, 4\)'):
        layer(np.zeros((1, 5, 5, 4), "float32"))


def test_names_count_per_class_until_clear_session():
    assert [layers.Conv2D(1, 1).name for _ in range(3)] == ["conv2d", "conv2d_1", "conv2d_2"]
    assert layers.ReLU().name == "re_lu" and layers.ZeroPadding2D().name == "zero_padding2d"
    assert layers.GlobalAveragePooling2D().name == "global_average_pooling2d"
    keras.backend.clear_session()
    assert layers.Conv2D(1, 1).name == "conv2d"


def test_weights_their_names_and_paths():
    layer = layers.BatchNormalization(name="norm")
    layer.build((None, 4, 4, 3))
    assert [w.name for w in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    assert layer.weights[0].path == "norm/gamma" and layer.count_params() == 12
    with pytest.raises(ValueError, match="length 1.*expecting 4"):
        layer.set_weights([np.zeros(3)])
    with pytest.raises(ValueError, match=r"\(3,\).*\(4,\)"):
        layer.set_weights([np.zeros(4)] * 4)
    with pytest.raises(ValueError, match="isn't built"):
        layers.Dense(3).count_params()


def test_unconventional_arguments_are_accepted():
    assert layers.Dense(np.int32(5)).units == 5
    assert layers.Conv2D(np.int64(5), np.int64(3)).kernel_size == (3, 3)
    assert layers.LeakyReLU(alpha=0.1).negative_slope == 0.1
    assert layers.Conv2D(2, 3, padding="SAME").padding == "same"
    assert layers.BatchNormalization(axis=[3]).axis == 3
    assert layers.DepthwiseConv2D(3, groups=1).depth_multiplier == 1


def test_channels_first_equals_channels_last():
    x = np.random.RandomState(0).rand(2, 3, 8, 7).astype("float32")
    for make in (
        lambda f: layers.Conv2D(4, 3, data_format=f, activation="relu"),
        lambda f: layers.MaxPooling2D(2, data_format=f),
        lambda f: layers.AveragePooling2D(2, data_format=f),
        lambda f: layers.UpSampling2D(2, data_format=f),
        lambda f: layers.ZeroPadding2D(1, data_format=f),
        lambda f: layers.Cropping2D(1, data_format=f),
        lambda f: layers.Conv2DTranspose(4, 3, data_format=f),
        lambda f: layers.DepthwiseConv2D(3, data_format=f),
    ):
        first, last = make("channels_first"), make("channels_last")
        a = first(x)
        last(x.transpose(0, 2, 3, 1))
        last.set_weights(first.get_weights())
        b = last(x.transpose(0, 2, 3, 1)).numpy()
        np.testing.assert_allclose(a.numpy(), b.transpose(0, 3, 1, 2), rtol=1e-6, atol=1e-6)
    first = layers.GlobalAveragePooling2D(data_format="channels_first")
    np.testing.assert_allclose(first(x).numpy(), x.mean(axis=(2, 3)), rtol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", kernel_regularizer="l2"),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.SeparableConv2D(4, 3),
        layers.Conv2DTranspose(4, 3, output_padding=0, strides=2),
        layers.MaxPooling2D(3, strides=1, padding="same"),
        layers.BatchNormalization(momentum=0.9, scale=False),
        layers.ZeroPadding2D(((1, 2), (3, 4))),
        layers.Rescaling(1 / 255),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.ReLU(6.0),
        layers.PReLU(shared_axes=[1, 2]),
        layers.Dropout(0.3, seed=1),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.Activation(keras.activations.swish),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_config_makes_an_equal_layer(layer):
    x = np.random.RandomState(0).rand(2, 6, 6, 3).astype("float32")
    y = layer(x)
    again = type(layer).from_config(layer.get_config())
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x).numpy(), y.numpy())
    assert again.get_config() == layer.get_config()
    other = layers.deserialize(layers.serialize(layer))
    assert type(other) is type(layer) and other.name == layer.name


def test_output_shapes_are_computed():
    assert layers.Conv2D(4, 3, padding="same", strides=2).compute_output_shape((None, 28, 27, 3)) == (
        None,
        14,
        14,
        4,
    )
    assert layers.Flatten().compute_output_shape((None, 3, 4, 5)) == (None, 60)
    assert layers.Concatenate()([keras.Input((2, 3)), keras.Input((2, 4))]).shape == (None, 2, 7)
    x = keras.Input((None, None, 3))
    assert layers.Conv2D(4, 3)(x).shape == (None, None, None, 4)
    assert layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x)).shape == (None, 3)


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("glorot_uniform", np.sqrt(2 / (9 * 64 + 9 * 128))),
        ("glorot_normal", np.sqrt(2 / (9 * 64 + 9 * 128))),
        ("he_uniform", np.sqrt(2 / (9 * 64))),
        ("he_normal", np.sqrt(2 / (9 * 64))),
        ("lecun_uniform", np.sqrt(1 / (9 * 64))),
        ("lecun_normal", np.sqrt(1 / (9 * 64))),
        ("random_normal", 0.05),
        ("random_uniform", 0.05 / np.sqrt(3)),
        ("truncated_normal", 0.05 * 0.87962566103423978),
    ],
)
def test_initializers_have_keras_distributions(name, deviation):
    values = initializers.get(name)((3, 3, 64, 128)).numpy()
    assert values.std() == pytest.approx(deviation, rel=0.01)
    assert abs(values.mean()) < deviation * 0.02
    if "uniform" in name:
        assert np.abs(values).max() <= deviation * np.sqrt(3) * 1.0001
    elif name != "random_normal" and name != "glorot_normal":
        assert np.abs(values).max() <= 2.0 * deviation / 0.8796 * 1.001


def test_initializers_with_a_seed_repeat_and_without_differ():
    a, b = initializers.GlorotUniform(seed=3), initializers.GlorotUniform(seed=3)
    np.testing.assert_array_equal(a((5, 5)).numpy(), b((5, 5)).numpy())
    assert (
        initializers.get("glorot_uniform")((5, 5)).numpy()
        != initializers.get("glorot_uniform")((5, 5)).numpy()
    ).any()
    q = initializers.Orthogonal()((6, 4)).numpy()
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-5)
    np.testing.assert_array_equal(initializers.Constant(3)((2,)).numpy(), [3, 3])
    np.testing.assert_array_equal(initializers.Identity()((2, 2)).numpy(), np.eye(2))


def test_utilities(tmp_path):
    np.testing.assert_array_equal(keras.utils.to_categorical([1, 0], 3), [[0, 1, 0], [1, 0, 0]])
    with pytest.raises(ValueError, match="label 3"):
        keras.utils.to_categorical([3], 3)
    pytest.importorskip("PIL")
    picture = np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype("uint8")
    keras.utils.save_img(tmp_path / "a.png", picture, scale=False)
    image = keras.utils.load_img(tmp_path / "a.png")
    np.testing.assert_array_equal(keras.utils.img_to_array(image), picture)
    small = keras.preprocessing.image.load_img(tmp_path / "a.png", target_size=(3, 4), color_mode="grayscale")
    assert keras.utils.img_to_array(small).shape == (3, 4, 1)


def test_backend_and_ops_reduce_as_numpy():
    x = np.random.RandomState(0).rand(2, 3, 4).astype("float32")
    K = keras.backend
    np.testing.assert_allclose(K.mean(x, axis=(0, 1)).numpy(), x.mean(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(K.std(x).numpy(), x.std(), rtol=1e-5)
    np.testing.assert_allclose(
        K.sum(x, axis=-1, keepdims=True).numpy(), x.sum(axis=-1, keepdims=True), rtol=1e-6
    )
    np.testing.assert_allclose(K.clip(x, 0.2, 0.4).numpy(), x.clip(0.2, 0.4))
    assert (
        K.epsilon() == 1e-7
        and K.image_data_format() == "channels_last"
        and K.int_shape(keras.Input((3,))) == (None, 3)
    )
    ops = keras.ops
    np.testing.assert_allclose(ops.moveaxis(x, 0, -1).numpy(), np.moveaxis(x, 0, -1))
    np.testing.assert_allclose(
        ops.matmul(x, x.transpose(0, 2, 1)).numpy(), x @ x.transpose(0, 2, 1), rtol=1e-5
    )
    np.testing.assert_allclose(ops.stack([x, x], axis=1).numpy(), np.stack([x, x], axis=1))
    assert ops.argmax(x, axis=1).shape == (2, 4)
    assert ops.relu(keras.Input((3,))).shape == (None, 3)


def test_regularizers_and_activations_by_name():
    assert float(keras.regularizers.L1L2(0.1, 0.2)(tf.constant([1.0, -2.0]))) == pytest.approx(0.3 + 1.0)
    assert keras.activations.get("relu") is keras.activations.relu
    assert keras.activations.get(None)(3) == 3
    assert keras.activations.serialize(keras.activations.relu) == "relu"
