"""What is wrong with an input or an argument is named: what came, what was wanted, the likely cure."""

from __future__ import annotations

import numpy as np
import pytest

from cnnexplain import keras
from cnnexplain.keras import layers


@pytest.fixture
def gray():
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]
    )


def ones(*shape):
    return np.ones(shape, "float32")


SHAPES = {
    (28, 28, 1): r"found shape=\(28, 28, 1\)\. The batch axis is missing: pass `image\[None\]`",
    (28, 28): r"found shape=\(28, 28\)\. The batch axis is missing: pass `image\[None\]`",
    (2, 1, 28, 28): r"Its channels come first: pass `np\.moveaxis\(x, 1, -1\)`",
    (2, 32, 32, 1): r"Resize the images: `tf\.image\.resize\(x, \(28, 28\)\)`",
    (2, 28, 28, 3): r"Make color images gray: `tf\.image\.rgb_to_grayscale\(x\)`",
    (2, 784): r"Give the rows their shape: `x\.reshape\(-1, 28, 28, 1\)`",
    (1, 2, 28, 28, 1): r"There is an axis too many in front: pass `x\[0\]`",
    (2, 5, 5, 7): r"expected shape=\(None, 28, 28, 1\), found shape=\(2, 5, 5, 7\)\.$",
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("call", ["__call__", "predict", "predict_on_batch"])
def test_a_shape_that_does_not_fit_comes_with_its_cure(gray, shape, call):
    keywords = {"verbose": 0} if call == "predict" else {}
    with pytest.raises(ValueError, match='Input 0 of layer "sequential" is incompatible.*' + SHAPES[shape]):
        getattr(gray, call)(ones(*shape), **keywords)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_cure_cures(gray, shape):
    import cnnexplain as tf

    x = ones(*shape)
    cures = {
        (28, 28, 1): lambda: x[None],
        (28, 28): lambda: x[None],
        (2, 1, 28, 28): lambda: np.moveaxis(x, 1, -1),
        (2, 32, 32, 1): lambda: tf.image.resize(x, (28, 28)),
        (2, 28, 28, 3): lambda: tf.image.rgb_to_grayscale(x),
        (2, 784): lambda: x.reshape(-1, 28, 28, 1),
        (1, 2, 28, 28, 1): lambda: x[0],
    }
    if shape in cures:
        cured = cures[shape]()
        assert gray(cured).shape == (cured.shape[0], 3)


@pytest.mark.parametrize(
    ("wanted", "given", "cure"),
    [
        ((8, 8, 3), (2, 8, 8, 1), r"np\.repeat\(x, 3, axis=-1\)"),
        ((8, 8, 3), (2, 8, 8, 4), r"x\[\.\.\., :3\]"),
        ((3, 8, 9), (2, 8, 9, 3), r"channels come last: pass `np\.moveaxis\(x, -1, 1\)`"),
        ((64,), (2, 8, 8), r"Flatten the examples"),
        ((4,), (4,), r"example\[None\]"),
    ],
)
def test_cures_for_other_models(wanted, given, cure):
    model = keras.Sequential([keras.Input(wanted), layers.Flatten()])
    with pytest.raises(ValueError, match=cure):
        model(ones(*given))


def test_layers_name_the_cure_too():
    layer = layers.Conv2D(2, 3, name="first")
    layer(ones(1, 8, 8, 3))
    for shape, cure in {
        (8, 8, 3): r"expected ndim=4, found ndim=3.*image\[None\]",
        (1, 3, 8, 8): r"expected axis -1 .* value 3, .*\(1, 3, 8, 8\).*moveaxis",
        (1, 8, 8, 1): r"value 3.*\(1, 8, 8, 1\).*np\.repeat",
    }.items():
        with pytest.raises(ValueError, match='layer "first".*' + cure):
            layer(ones(*shape))
    dense = layers.Dense(2)
    dense(ones(1, 64))
    with pytest.raises(ValueError, match=r"expected axis -1.*value 64"):
        dense(ones(1, 8))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.full((1, 28, 28, 1), "a"), "takes numbers. Received: ndarray of dtype <U1"),
        (None, "Received: NoneType. It is None: was the file not found"),
        ("cat.png", "Received: str. It is text: load the picture first"),
        ([ones(28, 28, 1), ones(28, 27, 1)], r"must have one shape.*\(28, 27, 1\), \(28, 28, 1\).*Resize"),
        ([[1.0, 2.0], [1.0]], "must have one shape.*rows of several lengths"),
        (np.array([None, {}]), "dtype object"),
        (3, r"found shape=\(\)"),
        ({"other": ones(1, 28, 28, 1)}, "Missing data for input 'input_layer'.*'other'"),
    ],
)
def test_values_that_are_no_images(gray, value, message):
    with pytest.raises(ValueError, match=message):
        gray(value)
    if value is not None:
        with pytest.raises(ValueError):
            gray.predict(value, verbose=0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "Got 'None'.*layer 'one'.*was the file not found"),
        ("cat.png", "Got 'cat.png'.*layer 'one'.*load the picture"),
        ([[1.0], [1.0, 2.0]], "rows of one length"),
        ([ones(1, 8, 8, 1)] * 2, r"expects 1 input\(s\), but it received 2.*Tensor of shape \(1, 8, 8, 1\)"),
    ],
)
def test_values_that_are_no_tensors(value, message):
    with pytest.raises(ValueError, match=message):
        layers.Conv2D(2, 3, name="one")(value)


def test_text_in_arrays_is_refused():
    with pytest.raises(TypeError, match="<U1"):
        layers.Dense(2)(np.array([["a"]]))


def test_a_list_of_images_is_not_several_inputs(gray):
    pictures = [ones(28, 28, 1)] * 2
    with pytest.raises(ValueError, match=r"one input, but a list of 2 arrays.*np\.stack"):
        gray.predict(pictures, verbose=0)
    np.testing.assert_allclose(gray.predict(np.stack(pictures), verbose=0), gray(pictures).numpy(), rtol=1e-5)


def test_bytes_of_pictures_and_nan_work(gray):
    bytes_ = np.random.RandomState(0).randint(0, 256, (2, 28, 28, 1)).astype("uint8")
    np.testing.assert_allclose(gray(bytes_).numpy(), gray(bytes_.astype("float32")).numpy())
    model = keras.Sequential([keras.Input((4,)), layers.Rescaling(1 / 255), layers.Dense(2)])
    assert np.isfinite(model.predict(np.full((1, 4), 255, "uint8"), verbose=0)).all()
    broken = ones(2, 28, 28, 1)
    broken[0, 14, 14] = np.nan
    out = gray(broken).numpy()
    assert np.isnan(out[0]).all() and np.isfinite(out[1]).all()


ARGUMENTS = [
    (lambda: layers.Conv2D(-1, 3), "`filters` must be a positive integer. Received: filters=-1"),
    (lambda: layers.Conv2D("8", 3), "`filters` must be a positive integer. Received: filters='8'"),
    (
        lambda: layers.Conv2D(8, "3"),
        "`kernel_size` must be a tuple of 2 positive integers. .*kernel_size='3'",
    ),
    (lambda: layers.Conv1D(8, (3, 3)), "`kernel_size` must be a tuple of 1 positive integers"),
    (lambda: layers.Conv2D(8, 3, strides=True), "`strides` must be a tuple of 2"),
    (lambda: layers.Conv2D(8, 3, strides=2, dilation_rate=2), "`strides > 1` not supported"),
    (lambda: layers.Conv2D(4, 3, groups=3), "filters must be evenly divisible.*groups=3, filters=4"),
    (lambda: layers.Conv2D(4, 3, groups=2)(ones(1, 8, 8, 3)), "groups=2, but the input has 3 channels"),
    (lambda: layers.Conv2D(4, 3, padding="smae"), "`padding` must be.*padding='smae'. Did you mean 'same'"),
    (lambda: layers.Conv2D(4, 3, padding="causal"), "`padding` must be one of 'valid', 'same'"),
    (lambda: layers.Conv2D(4, 3, stride=2), "Conv2D: {'stride': 2}. Did you mean 'strides'"),
    (lambda: layers.Conv2D(4, 3, lora_rank=2), "`lora_rank` is not offered.*lora_rank=2"),
    (lambda: layers.Dense("10"), "`units` must be a positive integer. Received: units='10'"),
    (lambda: layers.Dense(2, activation="rleu"), "activation function identifier: rleu. Did you mean 'relu'"),
    (lambda: layers.Dense(2, kernel_initializer="he_norml"), "he_norml. Did you mean 'he_normal'"),
    (lambda: layers.Dense(2, kernel_regularizer="l3"), "regularizer identifier: l3"),
    (lambda: layers.Dense(2, lora_rank=4), "`lora_rank` is not offered"),
    (lambda: layers.Dense(2, trainable="no"), "`trainable` to be a boolean"),
    (lambda: layers.BatchNormalization(renorm=True), "`renorm` is not offered"),
    (lambda: layers.BatchNormalization(synchronized=True), "`synchronized` is not offered"),
    (lambda: layers.Dropout("0.5"), "`rate`.*rate='0.5'"),
    (lambda: layers.Dropout(50), "`rate`.*between 0 and 1.*rate=50"),
    (lambda: layers.Dropout(0.5, noise_shape=(0, 1)), "`noise_shape`"),
    (lambda: layers.GaussianDropout(1.0), "`rate`"),
    (lambda: layers.GroupNormalization(0), "`groups` must be a positive integer"),
    (
        lambda: layers.GroupNormalization(4)(ones(1, 6)),
        r"groups \(4\) must divide the number of channels \(6\)",
    ),
    (lambda: layers.LayerNormalization(axis="last"), "argument 'axis'"),
    (lambda: layers.UpSampling2D(2, interpolation="bilinar"), "Did you mean 'bilinear'"),
    (lambda: layers.UpSampling1D(0), "`size` must be a positive integer"),
    (lambda: layers.ZeroPadding1D((1, -1)), "`padding` must be a tuple of 2 non-negative"),
    (lambda: layers.Cropping1D(4)(ones(1, 8, 1)), "smaller than the corresponding spatial dimension"),
    (lambda: layers.AdaptiveMaxPooling2D((2, 0)), "`output_size` must be a tuple of 2"),
    (lambda: layers.EinsumDense("ab->b", 3), "`equation` must have the form"),
    (lambda: layers.EinsumDense("ab,bc->ac", 3)(ones(1, 2, 3)), "has 2 axes for the input, which has 3"),
    (
        lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="z")(ones(1, 2)),
        "'z' of `bias_axes` has no match",
    ),
    (lambda: layers.Dot(axes=(1, 3))([ones(1, 2), ones(1, 2)]), "`axes` must name an axis"),
    (lambda: layers.Dot(axes=1)([ones(1, 2), ones(1, 3)]), "same size along `axes`"),
    (lambda: layers.Add()(ones(1, 2)), "`Add` should be called on a list"),
    (lambda: keras.Sequential([layers.Dense]), "Only instances of `keras.Layer`"),
    (lambda: keras.Input(28), r"For one axis write \(28,\)"),
    (lambda: layers.Conv2d, "`keras.layers.Conv2d` is not offered. Did you mean Conv2D"),
]


@pytest.mark.parametrize(("make", "message"), ARGUMENTS)
def test_mistakes_of_building_are_named(make, message):
    with pytest.raises((ValueError, TypeError, AttributeError), match=message):
        make()


def test_files_and_folders_that_are_not_there(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    generator = keras.preprocessing.image.ImageDataGenerator()
    for ask in (
        lambda: keras.utils.image_dataset_from_directory(nowhere),
        lambda: keras.utils.image_dataset_from_directory(nowhere, labels=None),
        lambda: generator.flow_from_directory(nowhere),
    ):
        with pytest.raises(FileNotFoundError, match="`directory` must be a folder that exists.*nowhere"):
            ask()
    with pytest.raises(FileNotFoundError, match="`filepath` must be a file or folder that exists.*nowhere"):
        keras.models.load_model(nowhere + ".keras")


def test_a_single_sequence_is_not_called_an_image():
    with pytest.raises(ValueError, match=r"The batch axis is missing: pass `example\[None\]`"):
        keras.layers.LSTM(4)(np.zeros((5, 3), "float32"))
