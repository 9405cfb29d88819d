"""What all networks of `keras.applications` share: arguments, input, end, errors."""

import inspect
import pickle

import numpy as np
import pytest

from cnnexplain import keras
from cnnexplain.keras.applications import family

# network: its module, default name, default side, smallest side, parameters, all as Keras publishes them
USUAL = {
    "DenseNet121": ("densenet", "densenet121", 224, 32, 8_062_504),
    "DenseNet169": ("densenet", "densenet169", 224, 32, 14_307_880),
    "DenseNet201": ("densenet", "densenet201", 224, 32, 20_242_984),
    "InceptionResNetV2": ("inception_resnet_v2", "inception_resnet_v2", 299, 75, 55_873_736),
    "InceptionV3": ("inception_v3", "inception_v3", 299, 75, 23_851_784),
    "ResNet101": ("resnet", "resnet101", 224, 32, 44_707_176),
    "ResNet101V2": ("resnet_v2", "resnet101v2", 224, 32, 44_675_560),
    "ResNet152": ("resnet", "resnet152", 224, 32, 60_419_944),
    "ResNet152V2": ("resnet_v2", "resnet152v2", 224, 32, 60_380_648),
    "ResNet50": ("resnet", "resnet50", 224, 32, 25_636_712),
    "ResNet50V2": ("resnet_v2", "resnet50v2", 224, 32, 25_613_800),
    "VGG16": ("vgg16", "vgg16", 224, 32, 138_357_544),
    "VGG19": ("vgg19", "vgg19", 224, 32, 143_667_240),
    "Xception": ("xception", "xception", 299, 71, 22_910_480),
}
ARGUMENTS = {
    "include_top": True,
    "weights": "imagenet",
    "input_tensor": None,
    "input_shape": None,
    "pooling": None,
    "classes": 1000,
    "classifier_activation": "softmax",
}


def network(name):
    return getattr(keras.applications, name)


@pytest.fixture
def small():
    """A network of two layers that the family's machinery makes."""

    def Small(x, ask):
        """Two layers."""
        x = keras.layers.Conv2D(4, 3, name="conv")(x)
        return family.top(x, ask)

    return family.application("small", size=20, smallest=8, preprocess="tf")(Small)


@pytest.mark.parametrize("name", USUAL)
def test_a_network_is_a_documented_function_of_its_module(name):
    function, (module, default, *_) = network(name), USUAL[name]
    assert getattr(getattr(keras.applications, module), name) is function
    assert function.__module__ == f"cnnexplain.keras.applications.{module}"
    assert function.__name__ == function.__qualname__ == name
    assert f"{USUAL[name][4]:,} parameters" in function.__doc__
    given = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    assert given == {**ARGUMENTS, "name": default}
    assert list(given) == [*ARGUMENTS, "name"]
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize("name", ["DenseNet121", "InceptionV3", "ResNet50V2", "Xception"])
def test_the_size_that_a_network_has_and_needs(name):
    _, default, size, smallest, parameters = USUAL[name]
    model = network(name)(weights=None)
    assert (model.name, model.input_shape) == (default, (None, size, size, 3))
    assert (model.output_shape, model.count_params()) == ((None, 1000), parameters)
    message = f"Input size must be at least {smallest}x{smallest}; Received: input_shape"
    with pytest.raises(ValueError, match=message):
        network(name)(weights=None, input_shape=(smallest, smallest - 1, 3))
    with pytest.raises(ValueError, match=rf"`input_shape` must be that .*, \({size}, {size}, 3\). Received"):
        network(name)(input_shape=(smallest, smallest, 3))


def test_the_arguments_by_place(small):
    model = small(False, None, None, (9, 10, 1), "max", 5, None, "mine")
    assert (model.name, model.input_shape, model.output_shape) == ("mine", (None, 9, 10, 1), (None, 4))
    assert [layer.name for layer in model.layers[1:]] == ["conv", "max_pool"]


def test_the_end_that_was_asked_for(small):
    assert small(weights=None, include_top=False).output_shape == (None, None, None, 4)
    assert small(weights=None, include_top=False, pooling="avg").layers[-1].name == "avg_pool"
    model = small(weights=None, classes=5, classifier_activation=None, pooling="max")
    assert [layer.name for layer in model.layers[1:]] == ["conv", "avg_pool", "predictions"]
    logits = np.asarray(model(np.ones((2, 20, 20, 3), "float32")))
    assert logits.shape == (2, 5)
    probable = small(weights=None, classes=5)
    probable.set_weights(model.get_weights())
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(probable(np.ones((2, 20, 20, 3), "float32"))), expected, rtol=1e-5)


def test_a_network_on_symbols_of_the_caller(small):
    photograph = keras.Input((16, 16, 3), name="photograph")
    assert small(weights=None, input_tensor=photograph).preprocess == "tf"
    halved = keras.layers.AveragePooling2D(2, name="halved")(photograph)
    model = small(weights=None, input_tensor=halved, classes=2)
    assert [layer.name for layer in model.layers[:3]] == ["photograph", "halved", "conv"]
    assert model.input_shape == (None, 16, 16, 3)
    assert getattr(model, "preprocess", None) is None  # the caller's layers may make anything of pixels
    with pytest.raises(ValueError, match="Argument `input_tensor` must be a KerasTensor"):
        small(weights=None, input_tensor=np.zeros((1, 16, 16, 3), "float32"))


def test_wrong_arguments(small):
    with pytest.raises(ValueError, match=r"`classes` must be 1000 .* Received: classes=10"):
        small(classes=10)
    with pytest.raises(
        ValueError, match=r"path of a file of weights that exists. Received: weights=nowhere.h5"
    ):
        small(weights="nowhere.h5")
    with pytest.raises(
        ValueError, match=r"must be a tuple of three integers. Received: input_shape=\(20, 20\)"
    ):
        small(weights=None, input_shape=(20, 20))
    with pytest.raises(ValueError, match=r"must have 3 channels; Received: input_shape=\(20, 20, 1\)"):
        small(include_top=False, input_shape=(20, 20, 1))
    with pytest.raises(ValueError, match="`input_shape` must have no None"):
        small(weights=None, input_shape=(None, None, 3))
    with pytest.warns(UserWarning, match="usually have 1 or 3 channels, not 5"):
        small(weights=None, input_shape=(20, 20, 5))


def test_weights_of_a_file_and_the_activation_they_allow(small, tmp_path):
    first = small(weights=None, classes=3)
    path = tmp_path / "small.weights.h5"
    first.save_weights(path)
    second = small(weights=path, classes=3)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert second.preprocess == "tf"
    with pytest.raises(ValueError, match="`classifier_activation` must be None or 'softmax'"):
        small(weights=path, classes=3, classifier_activation="relu")


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


def test_channels_first_computes_the_same():
    arguments = {"weights": None, "classes": 3, "classifier_activation": None}
    last = keras.applications.ResNet50V2(input_shape=(33, 40, 3), **arguments)
    keras.config.set_image_data_format("channels_first")
    try:
        first = keras.applications.ResNet50V2(input_shape=(3, 33, 40), **arguments)
    finally:
        keras.config.set_image_data_format("channels_last")
    first.set_weights(last.get_weights())
    x = np.random.default_rng(0).standard_normal((2, 33, 40, 3)).astype("float32")
    expected = np.asarray(last(x))
    found = np.asarray(first(x.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_dense_nets_refuse_channels_first(channels_first):
    with pytest.raises(ValueError, match="channels of DenseNet's maps must be the last axis"):
        keras.applications.DenseNet121(weights=None)
    with pytest.raises(ValueError, match="at least 75x75"):
        keras.applications.InceptionV3(weights=None, input_shape=(3, 74, 90))
