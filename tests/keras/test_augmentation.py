"""Layers that prepare pictures: their draws, where they run, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import _core, keras
from cnnexplain.keras import layers

# name: (a layer with the seed 1, whether training changes pictures)
RANDOM = {
    "flip": lambda **k: layers.RandomFlip(**k),
    "rotation": lambda **k: layers.RandomRotation(0.2, **k),
    "zoom": lambda **k: layers.RandomZoom(0.3, 0.2, **k),
    "translation": lambda **k: layers.RandomTranslation(0.2, 0.3, **k),
    "contrast": lambda **k: layers.RandomContrast(0.4, **k),
    "brightness": lambda **k: layers.RandomBrightness(0.3, **k),
    "crop": lambda **k: layers.RandomCrop(5, 6, **k),
    "shear": lambda **k: layers.RandomShear(0.3, 0.2, **k),
    "perspective": lambda **k: layers.RandomPerspective(**k),
    "erasing": lambda **k: layers.RandomErasing(**k),
    "grayscale": lambda **k: layers.RandomGrayscale(**k),
    "hue": lambda **k: layers.RandomHue(0.4, **k),
    "saturation": lambda **k: layers.RandomSaturation((0.2, 0.8), **k),
    "invert": lambda **k: layers.RandomInvert(0.9, **k),
    "sharpness": lambda **k: layers.RandomSharpness(0.8, **k),
    "posterization": lambda **k: layers.RandomPosterization((2, 6), **k),
    "degeneration": lambda **k: layers.RandomColorDegeneration(0.6, **k),
    "jitter": lambda **k: layers.RandomColorJitter((0, 255), 0.2, 0.3, (0.3, 0.7), 0.1, **k),
    "blur": lambda **k: layers.RandomGaussianBlur(**k),
    "elastic": lambda **k: layers.RandomElasticTransform(**k),
    "solarization": lambda **k: layers.Solarization(0.3, 0.4, **k),
    "mix_up": lambda **k: layers.MixUp(**k),
    "cut_mix": lambda **k: layers.CutMix(**k),
    "rand_augment": lambda **k: layers.RandAugment(**k),
    "aug_mix": lambda **k: layers.AugMix(**k),
}
X = np.random.RandomState(0).rand(4, 8, 10, 3).astype("float32") * 255


def made(name, **keywords):
    return RANDOM[name](seed=1, **keywords)


@pytest.mark.parametrize("name", RANDOM)
def test_draws_are_new_at_each_call_and_follow_from_the_seed(name):
    layer, again = made(name), made(name)
    first, second = layer(X, training=True).numpy(), layer(X, training=True).numpy()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again(X, training=True))
    np.testing.assert_array_equal(second, again(X, training=True))
    assert np.isfinite(first).all() and first.dtype == np.float32


@pytest.mark.parametrize("name", RANDOM)
def test_outside_of_training_pictures_stay(name):
    layer = made(name)
    np.testing.assert_array_equal(layer(X, training=False), X)
    np.testing.assert_array_equal(layer(X.astype("uint8"), training=False), X.astype("uint8"))
    np.testing.assert_array_equal(layer.generator.state.numpy(), [1, 0])


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("size", [(8, 10), (None, None)])
def test_a_program_draws_anew_at_each_run_what_the_layer_draws(name, size):
    if name == "crop" and size == (None, None):
        with pytest.raises(ValueError, match="RandomCrop requires .* fully defined"):
            made(name)(keras.Input((*size, 3)))
        return
    inputs = keras.Input((*size, 3))
    model = keras.Model(inputs, made(name)(inputs))
    eager = made(name)
    for _ in range(2):
        np.testing.assert_array_equal(model(X, training=True), eager(X, training=True))
    smaller = model(X[:3], training=True)
    assert smaller.shape[0] == 3
    np.testing.assert_array_equal(smaller, eager(X[:3], training=True))
    if name != "crop":  # outside of training it passes pictures on, as in Keras
        np.testing.assert_array_equal(model.predict(X, verbose=0), X)


@pytest.mark.parametrize("name", RANDOM)
def test_single_pictures_data_sets_and_gradients(name):
    layer = made(name)
    one = layer(X[0], training=True)
    assert len(one.shape) == 3
    if name not in ("mix_up", "cut_mix"):  # those need a partner
        batch = made(name)(X[:1], training=True)
        np.testing.assert_array_equal(one, batch[0])
    dataset = tf.data.Dataset.from_tensor_slices(X).map(lambda x: layer(x, training=True)).batch(4)
    (found,) = dataset.as_numpy_iterator()
    assert found.shape == (4, *one.shape)
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        total = tf.reduce_sum(made(name)(x, training=True))
    gradient = tape.gradient(total, x)
    assert (gradient is None) == (name == "posterization")
    assert gradient is None or np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize("name", RANDOM)
def test_layouts_dtypes_and_configurations(name):
    first = np.ascontiguousarray(np.transpose(X, (0, 3, 1, 2)))
    wanted = made(name)(X, training=True).numpy()
    if name != "erasing":  # its noise is drawn pixel by pixel
        turned = made(name, data_format="channels_first")(first, training=True).numpy()
        np.testing.assert_allclose(np.transpose(turned, (0, 2, 3, 1)), wanted, rtol=1e-4, atol=1e-2)
    settings = made(name).get_config()
    again = type(made(name)).from_config(settings)
    assert again.get_config() == settings
    np.testing.assert_array_equal(again(X, training=True), wanted)
    wide = type(again).from_config({**settings, "dtype": "float64"})
    assert wide(X, training=True).dtype == tf.float64


def test_fit_sees_other_pictures_at_every_step():
    seen = []

    def look(x):
        seen.append(np.array(x))
        return x

    model = keras.Sequential(
        [
            keras.Input((8, 10, 3)),
            layers.RandomRotation(0.2, seed=3),
            layers.RandomZoom(0.2, seed=4),
            layers.RandomContrast(0.2, seed=5),
            layers.Lambda(lambda x: _core.python(look, x, shape=x.shape, dtype="float32")),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(X / 255, np.zeros((4, 1)), epochs=3, batch_size=4, shuffle=False, verbose=0)
    pictures = [x for x in seen if x.shape[0] == 4]
    assert len(pictures) >= 3
    assert not np.array_equal(pictures[-1], pictures[-2]) and not np.array_equal(pictures[-2], pictures[-3])


MANY = np.random.RandomState(1).rand(4000, 2, 3, 1).astype("float32") + 1


def test_flip_statistics():
    for mode, axes in (("horizontal", 2), ("vertical", 1), ("horizontal_and_vertical", (1, 2))):
        y = layers.RandomFlip(mode, seed=2)(MANY, training=True).numpy()
        same = (y == MANY).all(axis=(1, 2, 3))
        turned = (y == np.flip(MANY, axes)).all(axis=(1, 2, 3))
        assert (same ^ turned).all()
        assert abs(same.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(MANY))


def test_contrast_and_brightness_are_uniform():
    mean = MANY.mean(axis=(1, 2, 3), keepdims=True)
    y = layers.RandomContrast((0.3, 0.5), value_range=(-9, 9), seed=2)(MANY, training=True).numpy()
    factor = ((y - mean) / (MANY - mean)).mean(axis=(1, 2, 3))
    assert 0.7 - 1e-3 < factor.min() < 0.71 and 1.49 < factor.max() < 1.5 + 1e-3
    assert abs(factor.mean() - 1.1) < 5 * 0.8 / np.sqrt(12 * len(MANY))
    y = layers.RandomBrightness(0.2, value_range=(-10, 10), seed=2)(MANY, training=True).numpy()
    moved = (y - MANY).mean(axis=(1, 2, 3))
    assert -4 - 1e-5 <= moved.min() < -3.98 and 3.98 < moved.max() < 4 + 1e-5
    assert abs(moved.mean()) < 5 * 8 / np.sqrt(12 * len(MANY))


def test_translation_moves_by_the_drawn_share():
    x = np.zeros((500, 1, 101, 1), "float32")
    x[:, 0, 50] = 1
    y = layers.RandomTranslation(0.0, 0.3, "constant", "nearest", seed=1)(x, training=True).numpy()
    place = y[:, 0, :, 0].argmax(axis=1) - 50
    assert place.min() in (-30, -29) and place.max() in (29, 30)
    assert abs(place.mean()) < 5 * 60.6 / np.sqrt(12 * 500)


def test_erasing_covers_its_share():
    x = np.full((300, 40, 50, 1), 9.0, "float32")
    y = layers.RandomErasing((1.0, 1.0), (0.25, 0.25), fill_value=1.0, seed=1)(x, training=True).numpy()
    share = (y == 1).mean(axis=(1, 2, 3))
    assert abs(share.mean() - 0.25) < 0.01 and share.min() > 0.2 and share.max() < 0.3
    half = layers.RandomErasing((0.5, 0.5), fill_value=1.0, seed=1)(x, training=True).numpy()
    touched = (half == 1).any(axis=(1, 2, 3)).mean()
    assert abs(touched - 0.5) < 5 * 0.5 / np.sqrt(300)


def test_crop_is_a_part_of_the_picture():
    layer = layers.RandomCrop(3, 4, seed=1)
    places = set()
    for _ in range(60):
        y = layer(X, training=True).numpy()
        found = [
            (top, left)
            for top in range(6)
            for left in range(7)
            if np.array_equal(y, X[:, top : top + 3, left : left + 4])
        ]
        assert len(found) == 1
        places.add(found[0])
    assert {top for top, _ in places} == set(range(6)) and {left for _, left in places} == set(range(7))


def test_mixed_labels_follow_the_pictures():
    x = np.stack([np.full((8, 8, 1), value, "float32") for value in (0, 1, 2)])
    batch = {"images": x, "labels": np.eye(3, dtype="float32")}
    for name in ("mix_up", "cut_mix"):
        layer = made(name)
        for _ in range(5):
            y = layer(batch, training=True)
            found = y["images"].numpy().mean(axis=(1, 2, 3))
            wanted = y["labels"].numpy() @ np.arange(3)
            # a rectangle covers whole pixels only
            np.testing.assert_allclose(found, wanted, atol=1e-5 if name == "mix_up" else 0.6)
            np.testing.assert_allclose(y["labels"].numpy().sum(axis=1), 1, rtol=1e-6)
        outside = layer(batch, training=False)
        np.testing.assert_array_equal(outside["labels"], batch["labels"])


def test_masks_move_with_the_pictures():
    mask = (X[..., :1] > 128).astype("float32")
    for name in ("flip", "rotation", "zoom", "translation", "shear", "crop", "elastic", "perspective"):
        found = made(name)({"images": mask, "segmentation_masks": mask}, training=True)
        assert set(np.unique(found["segmentation_masks"])) <= {0, 1}
        rounded = np.round(found["images"].numpy())
        assert (rounded != found["segmentation_masks"].numpy()).mean() < 0.1


@pytest.mark.parametrize("kind", [layers.RandAugment, layers.AugMix])
def test_masks_of_a_policy_move_with_the_pictures(kind):
    """Where only the moving layers are drawn, a picture that is its mask stays its mask."""
    moving = ("random_shear", "random_translation", "random_rotation")
    layer = kind(value_range=(0, 1), interpolation="nearest", seed=1)
    layer._choices = {name: layer._choices[name] for name in moving}
    mask = (X[..., :1] > 128).astype("float32")
    moved = 0
    for _ in range(5):
        found = layer({"images": mask, "segmentation_masks": mask}, training=True)
        np.testing.assert_allclose(found["images"], found["segmentation_masks"], atol=1e-6)
        moved += not np.array_equal(found["images"], mask)
    assert moved


def test_numbers_on_a_boundary_lie_above_it():
    edges = [-1.0, 0.0, 0.5]
    found = layers.Discretization(edges)([-1.0, -0.5, 0.0, 0.5, 0.4999])
    np.testing.assert_array_equal(found, np.digitize([-1.0, -0.5, 0.0, 0.5, 0.4999], edges))


def test_rotation_by_a_quarter_is_exact():
    x = np.arange(50, dtype="float32").reshape(1, 5, 5, 2)
    turn = layers.RandomRotation((0.25, 0.25), interpolation="nearest")
    np.testing.assert_array_equal(turn(x, training=True), np.rot90(x, axes=(1, 2)))


def test_pipeline_runs_its_layers_and_comes_back():
    pipeline = layers.Pipeline(
        [layers.Resizing(4, 5), layers.RandomInvert((1.0, 1.0)), layers.Rescaling(1 / 255)]
    )
    y = pipeline(X)
    assert y.shape == (4, 4, 5, 3)
    again = layers.Pipeline.from_config(pipeline.get_config())
    np.testing.assert_array_equal(again(X), y)
    np.testing.assert_allclose(pipeline(X, training=False), 1 - y.numpy(), atol=1e-6)


def test_resizing_keeps_integers_and_learns_its_size_at_run_time():
    y = layers.Resizing(4, 5)(X.astype("uint8"))
    assert y.dtype == tf.uint8 and y.shape == (4, 4, 5, 3)
    inputs = keras.Input((None, None, 3))
    for make in (
        lambda: layers.Resizing(4, 5, "bicubic"),
        lambda: layers.Resizing(4, 5, crop_to_aspect_ratio=True),
        lambda: layers.CenterCrop(4, 5),
        lambda: layers.CenterCrop(9, 12),
    ):
        layer = make()
        model = keras.Model(inputs, layer(inputs))
        np.testing.assert_array_equal(model(X), layer(X))
        assert model.output_shape == (None, *layer(X).shape[1:])


def test_normalization_by_statistics_of_the_data():
    x = np.random.RandomState(2).rand(50, 3) * 5 + 2
    layer = layers.Normalization(dtype="float64")
    layer.adapt(x)
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=0), 1, atol=1e-12)
    back = layers.Normalization(invert=True, dtype="float64")
    back.adapt(x[k : k + 7] for k in range(0, 50, 7))
    np.testing.assert_allclose(back(y), x, rtol=1e-12)
    rows = layers.Normalization(dtype="float64")
    rows.adapt(tf.data.Dataset.from_tensor_slices(x))
    np.testing.assert_allclose(rows.mean.numpy(), x.mean(axis=0, keepdims=True), rtol=1e-12)
    model = keras.Sequential([keras.Input((3,), dtype="float64"), layer])
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=1e-12)
    layer.adapt(x * 2)  # a model that was traced sees the new statistics
    np.testing.assert_allclose(model.predict(2 * x, verbose=0), y, rtol=1e-9)
    assert layers.Normalization.from_config(layer.get_config()).get_config() == layer.get_config()


def test_gradient_of_a_projective_map_is_its_transpose():
    """<A x, y> = <x, A' y>, and the rows of A from unit images."""
    matrix = [0.9, 0.2, -0.7, -0.1, 1.1, 0.4, 0.01, 0.0]
    for mode in ("constant", "nearest", "reflect", "wrap"):

        def read(x, mode=mode):
            return keras.ops.image.affine_transform(x, matrix, fill_mode=mode)

        units = np.eye(12).reshape(12, 3, 4, 1)
        dense = read(units).numpy().reshape(12, 12).T
        with tf.GradientTape() as tape:
            x = tf.constant(np.ones((1, 3, 4, 1)))
            tape.watch(x)
            weights = np.random.RandomState(1).standard_normal((1, 3, 4, 1))
            total = tf.reduce_sum(read(x) * weights)
        np.testing.assert_allclose(
            tape.gradient(total, x).numpy().ravel(), dense.T @ weights.ravel(), atol=1e-12
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomRotation(1.5), r"`factor`.*range \[-1, 1\].*Received: factor=1.5"),
        (lambda: layers.RandomRotation("a"), "`factor`"),
        (lambda: layers.RandomZoom(-1.0), "`height_factor`"),
        (lambda: layers.RandomTranslation(0.1, (0.2, 0.3, 0.4)), "`width_factor`"),
        (lambda: layers.RandomContrast(-0.1), "`factor`"),
        (lambda: layers.RandomBrightness(0.1, value_range=3), "`value_range`"),
        (lambda: layers.RandomFlip("sideways"), "`mode`"),
        (lambda: layers.RandomFlip(data_format="last"), "data_format"),
        (lambda: layers.Resizing(0, 3), "height, width"),
        (lambda: layers.Resizing(3, 3, interpolation="cubic"), "`interpolation`"),
        (lambda: layers.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), "Only one"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "`kernel_size`"),
        (lambda: layers.RandomErasing(fill_value=(1, 2)), "`fill_value`"),
        (lambda: layers.MixUp(alpha=0), "`alpha`"),
        (lambda: layers.CategoryEncoding(), "`num_tokens`"),
        (lambda: layers.CategoryEncoding(3, "int"), "`output_mode`"),
        (lambda: layers.CategoryEncoding(3, sparse=True), "`sparse=True`"),
        (lambda: layers.CategoryEncoding(3)([[3]]), "num_tokens"),
        (lambda: layers.Discretization(), "`num_bins` or `bin_boundaries`"),
        (lambda: layers.Discretization([1.0]).adapt([1.0]), "Cannot adapt"),
        (lambda: layers.Discretization(num_bins=3)([1.0]), "adapt"),
        (lambda: layers.Normalization(mean=1.0), "`mean` and `variance`"),
        (lambda: layers.Normalization().adapt([]), "no data"),
        (lambda: layers.Normalization(axis=3)(np.ones((2, 2), "float32")), "`axis`"),
        (lambda: layers.RandomFlip()(np.ones((2, 2), "float32")), "rank 3"),
        (lambda: layers.RandomFlip()({"images": X, "bounding_boxes": X}), "bounding boxes"),
        (lambda: keras.ops.image.affine_transform(X, [1.0, 0.0]), "`transforms` must have shape"),
        (lambda: keras.ops.image.affine_transform(X, np.eye(8), fill_mode="mirror"), "`fill_mode`"),
        (lambda: keras.ops.image.perspective_transform(X, np.ones((4, 2)), np.ones((4, 2))), "quadrilateral"),
        (lambda: keras.ops.image.crop_images(X, 1, 1, 1), "exactly two"),
        (lambda: keras.ops.image.crop_images(X, 5, 1, 5, 1), "fit"),
        (lambda: keras.ops.image.pad_images(X, -1, 1, 1, 1), "top_padding must be >= 0"),
        (lambda: keras.ops.image.extract_patches(X, 20), "`size` must fit"),
        (lambda: keras.ops.image.rgb_to_hsv(X.astype("uint8")), "float dtype"),
        (lambda: layers.RandomHue(0.1)(X[..., :1], training=True), "3 channels"),
        (lambda: layers.RandomGrayscale()(X[..., :2], training=True), "3 channels, or 1"),
        (lambda: keras.ops.image.map_coordinates(X, [[0.0]], 1), "First dim"),
        (lambda: keras.ops.image.resize(X[0, 0], (2, 2)), "rank"),
        (lambda: _core.random_uniform(np.array([1, 2]), shape=(-1, 3)), "-1 only where a second input"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
