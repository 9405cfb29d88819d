"""Which layer is explained when nobody names one, and the other names that a layer may have."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx

keras = cx.keras
L = keras.layers
SIZE = (13, 14, 3)


def convolution(name, filters=4):
    return L.Conv2D(filters, 3, padding="same", activation="relu", name=name)


def chosen(*layers, inputs=None, end=None):
    """The default layer of a network of these layers and a classifier."""
    inputs = keras.Input(SIZE) if inputs is None else inputs
    x = inputs
    for layer in layers:
        x = layer(x)
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))
    images = np.random.default_rng(0).random((2, *SIZE))
    e = cx.explain.grad_cam(model, images)
    want = cx.explain.grad_cam(model, images, layer=e.layer)
    np.testing.assert_array_equal(e.raw, want.raw)
    return e.layer


@pytest.mark.parametrize(
    "behind",
    [
        [L.MaxPooling2D()],
        [L.AveragePooling2D(3, strides=2, padding="same")],
        [L.MaxPooling2D(), L.AveragePooling2D(2)],
        [L.Dropout(0.5)],
        [L.Dropout(0.5), L.MaxPooling2D(), L.SpatialDropout2D(0.5)],
        [L.Activation("linear"), L.MaxPooling2D(3, strides=1)],
        [L.ZeroPadding2D(), L.MaxPooling2D(3)],
        [L.MaxPooling2D(), L.ZeroPadding2D()],
        [],
    ],
)
def test_pooling_dropout_and_borders_behind_the_last_convolution(behind):
    assert (
        chosen(convolution("first"), L.MaxPooling2D(name="between"), convolution("last"), *behind) == "last"
    )


@pytest.mark.parametrize(
    "last",
    [
        L.ReLU(name="last"),
        L.BatchNormalization(name="last"),
        L.UpSampling2D(name="last"),
        L.Conv2D(2, 1, name="last"),
    ],
)
def test_anything_else_behind_it_is_the_last_map(last):
    assert chosen(convolution("first"), last) == "last"
    assert chosen(convolution("first"), last, L.MaxPooling2D(2, padding="same")) == "last"


def test_an_activation_of_its_own_is_the_map():
    assert (
        chosen(L.Conv2D(4, 3, name="linear"), L.Activation("relu", name="relu"), L.MaxPooling2D()) == "relu"
    )


def test_the_map_is_one_of_the_explained_input():
    inputs = [keras.Input(SIZE, name="left"), keras.Input((9, 9, 1), name="right")]
    ends = [L.GlobalAveragePooling2D()(convolution(f"of_{given.name}")(given)) for given in inputs]
    model = keras.Model(inputs, L.Dense(3)(L.Concatenate()(ends)))
    images = [np.random.default_rng(0).random((2, *given.shape[1:])) for given in inputs]
    for name in ("left", "right"):
        e = cx.explain.grad_cam(model, images, input=name)
        assert e.layer == f"of_{name}"
    with pytest.raises(ValueError, match="'of_left' is not computed from the explained input.*'of_right'"):
        cx.explain.grad_cam(model, images, input="right", layer="of_left")


def test_pooling_of_the_image_is_all_there_is():
    assert chosen(L.MaxPooling2D(name="only")) == "only"


def test_pooled_branches_are_no_pooling_of_one_map():
    inputs = keras.Input(SIZE)
    parts = [L.MaxPooling2D()(convolution(name)(inputs)) for name in ("left", "right")]
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(L.Concatenate(name="both")(parts))))
    assert cx.explain.grad_cam(model, np.zeros(SIZE), 0).layer == "both"


def test_inside_a_base_without_its_head():
    base = keras.Sequential(
        [keras.Input(SIZE), convolution("conv"), L.Dropout(0.1), L.MaxPooling2D()], name="base"
    )
    assert chosen(base) == "base/conv"
    assert chosen(base, L.Dropout(0.1)) == "base/conv"
    assert chosen(base, convolution("own")) == "own"


def test_vgg_with_a_new_head():
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 33, 3))
    model = keras.Sequential([base, L.Flatten(), L.Dense(3)])
    assert cx.explain.grad_cam(model, np.zeros((32, 33, 3)), 0).layer == "vgg16/block5_conv3"


class TestOperationsBetweenLayers:
    @pytest.fixture
    def model(self):
        """A residual sum and a scaling, both without a layer."""
        keras.backend.clear_session()
        inputs = keras.Input(SIZE)
        x = convolution("conv", 3)(inputs)
        y = inputs + L.Activation("linear", name="identity")(x)
        return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(L.MaxPooling2D()(y * 0.5))))

    def test_they_are_maps_by_their_names(self, model):
        names = [operation.name for operation in model.operations]
        assert names[1:5] == ["conv", "identity", "add", "multiply"]
        x = np.random.default_rng(0).random((2, *SIZE))
        e = cx.explain.grad_cam(model, x, 1)
        assert e.layer == "multiply"
        sums = cx.explain.grad_cam(model, x, 1, layer="add")
        np.testing.assert_allclose(e.steps["activations"], 0.5 * sums.steps["activations"], rtol=1e-6)
        conv = cx.explain.grad_cam(model, x, 1, layer="conv").steps["activations"]
        np.testing.assert_allclose(sums.steps["activations"], x + conv, rtol=1e-5, atol=1e-6)

    def test_inside_another_model(self, model):
        outer = keras.Sequential(
            [keras.Model(model.inputs, model.get_layer("max_pooling2d").output, name="base")]
        )
        outer.add(L.GlobalAveragePooling2D())
        outer.add(L.Dense(2))
        e = cx.explain.cam(outer, np.zeros(SIZE), 0)
        assert e.layer == "base/max_pooling2d"
        assert cx.explain.grad_cam(outer, np.zeros(SIZE), 0).layer == "base/multiply"

    def test_they_are_among_the_choices(self, model):
        with pytest.raises(
            ValueError, match="no layer 'none'. Layers with a map: 'identity', 'conv', 'add', 'multiply'"
        ):
            cx.explain.grad_cam(model, np.zeros(SIZE), layer="none")

    def test_in_another_dtype(self, model):
        assert cx.explain.grad_cam(model, np.zeros(SIZE), 0, dtype="float64").layer == "multiply"


def test_other_names_of_layers():
    """As a file calls them."""
    model = keras.Sequential(
        [keras.Input(SIZE), convolution("first"), convolution("second"), L.Flatten(), L.Dense(2)]
    )
    model.layer_aliases = {"/body/Conv:0": "first", "second": "first", "123": "second"}
    for name, want in (("/body/Conv:0", "first"), ("second", "first"), ("123", "second"), ("first", "first")):
        assert cx.explain.grad_cam(model, np.zeros(SIZE), 0, layer=name).layer == want
