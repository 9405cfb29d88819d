"""Functions against arithmetic and NumPy; tests/keras/cases_functions.py compares them with TensorFlow."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import _core

RNG = np.random.default_rng(21)


class TestSorting:
    def test_equal_values_keep_their_order_both_ways(self):
        x = np.array([2, 1, 2, 1, 2])
        assert tf.argsort(x).numpy().tolist() == [1, 3, 0, 2, 4]
        assert tf.argsort(x, direction="DESCENDING").numpy().tolist() == [0, 2, 4, 1, 3]

    def test_a_nan_is_the_greatest(self):
        x = [np.nan, 1.0, np.inf]
        assert np.array_equal(tf.sort(x).numpy(), [1, np.inf, np.nan], equal_nan=True)
        assert tf.argsort(x, direction="DESCENDING").numpy().tolist() == [0, 2, 1]

    def test_a_symbol_sorts_when_the_model_runs(self):
        inputs = tf.keras.Input((5,))
        model = tf.keras.Model(inputs, tf.sort(inputs, direction="DESCENDING"))
        x = RNG.normal(size=(3, 5)).astype("float32")
        assert np.array_equal(model.predict(x, verbose=0), -np.sort(-x, axis=1))

    @pytest.mark.parametrize("call", [lambda: tf.sort([1.0], axis=2), lambda: tf.sort([1.0], direction="UP")])
    def test_bad_arguments_are_named(self, call):
        with pytest.raises(ValueError, match="axis|direction"):
            call()


class TestSteps:
    def test_the_rest_of_a_sum_keeps_its_gradient(self):
        x = tf.constant([0.4, 1.6])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x + tf.round(x) + tf.math.ceil(x) + x // 2.0
        np.testing.assert_allclose(tape.gradient(y, x), [0.8, 3.2], rtol=1e-6)

    def test_alone_they_have_none(self):
        x = tf.constant([0.4, 1.6])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = tf.floor(x)
            z = tf.sign(x)
        assert tape.gradient(y, x) is None
        assert tape.gradient(z, x).numpy().tolist() == [0, 0]


def test_products_with_zeros_have_their_gradient():
    x = tf.constant([2.0, 0.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.math.cumprod(x))
    # y = x0 + x0 x1 + x0 x1 x2
    assert tape.gradient(y, x).numpy().tolist() == [1.0, 8.0, 0.0]


def test_local_response_normalization_second_moment_of_float64():
    x = RNG.normal(size=(2, 3, 2, 6))
    got = tf.nn.local_response_normalization(x, depth_radius=1, bias=2.0, alpha=0.5, beta=0.75).numpy()
    squares = np.pad(x * x, [(0, 0)] * 3 + [(1, 1)])
    total = squares[..., :-2] + squares[..., 1:-1] + squares[..., 2:]
    np.testing.assert_allclose(got, x / (2 + 0.5 * total) ** 0.75, rtol=1e-12)


def test_index_arrays_behind_a_slice():
    x = RNG.normal(size=(2, 3, 4, 5))
    t = tf.constant(x)
    rows, columns = [0, -1, 2], [[1], [3]]
    assert np.array_equal(t[:, rows, columns].numpy(), x[:, rows, columns])
    assert np.array_equal(t[..., [1, 0], [2, 4]].numpy(), x[..., [1, 0], [2, 4]])
    with pytest.raises(IndexError, match="dimension 2 of size 4"):
        t[:, [0], [4]]


def test_scattering_outside_is_named():
    with pytest.raises(ValueError, match=r"\[0, 3\) on axis 0"):
        tf.scatter_nd([[3]], [1.0], [3])
    with pytest.raises(ValueError, match="names 2 axes"):
        tf.tensor_scatter_nd_add([1.0], [[0, 0]], [1.0])


def test_bicubic_resizing_of_a_symbol_of_unknown_size():
    inputs = tf.keras.Input((None, None, 2))
    model = tf.keras.Model(inputs, tf.image.resize(inputs, (5, 6), "bicubic"))
    x = RNG.normal(size=(1, 3, 4, 2)).astype("float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), tf.image.resize(x, (5, 6), "bicubic"))


def test_colours_of_a_turned_hue_come_back():
    x = RNG.uniform(size=(4, 5, 3))
    there = tf.image.adjust_hue(tf.image.adjust_hue(x, 0.3), -0.3)
    np.testing.assert_allclose(there, x, atol=1e-12)
    np.testing.assert_allclose(tf.image.hsv_to_rgb(tf.image.rgb_to_hsv(x)), x, atol=1e-12)


def test_colours_refuse_what_has_no_three_channels():
    for function in (tf.image.rgb_to_hsv, tf.image.rgb_to_yuv, tf.image.hsv_to_rgb):
        with pytest.raises(ValueError, match="3 channels"):
            function(np.zeros((2, 2, 4)))


def test_relu_of_whole_numbers_has_no_slope():
    assert tf.nn.relu(np.array([-3, 4], np.int8)).numpy().tolist() == [0, 4]
    with pytest.raises(TypeError, match="negative_slope"):
        _core.relu(np.array([-3, 4]), negative_slope=0.1)


def test_gif_frames():
    image = pytest.importorskip("PIL.Image")
    import io

    file = io.BytesIO()
    frames = [image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    decoded = tf.io.decode_gif(file.getvalue())
    assert decoded.shape == (2, 2, 3, 3)
    assert decoded[0, 0, 0].numpy().tolist() == [255, 0, 0]
    assert not bool(tf.io.is_jpeg(file.getvalue()))
    with pytest.raises(ValueError, match="GIF"):
        tf.io.decode_gif(tf.io.encode_png(np.zeros((2, 2, 3), np.uint8)))


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("sort", "values axis direction name"),
        ("norm", "tensor ord axis keepdims name"),
        ("scan", "fn elems initializer parallel_iterations back_prop swap_memory infer_shape reverse name"),
        ("nn.convolution", "input filters strides padding data_format dilations name"),
        ("nn.conv1d", "input filters stride padding data_format dilations name"),
        ("math.bincount", "arr weights minlength maxlength dtype name axis binary_output"),
        ("linalg.diag", "diagonal name k num_rows num_cols padding_value align"),
        ("image.ssim", "img1 img2 max_val filter_size filter_sigma k1 k2 return_index_map"),
        ("image.crop_and_resize", "image boxes box_indices crop_size method extrapolation_value name"),
    ],
)
def test_arguments_are_tensorflow_s(name, wanted):
    thing = tf
    for part in name.split("."):
        thing = getattr(thing, part)
    assert list(inspect.signature(thing).parameters) == wanted.split()


class TestDrawsInAModel:
    """What a layer draws by tf.random is drawn again each time that the model runs."""

    @staticmethod
    def model(call, shape=(4,)):
        class Drawing(tf.keras.layers.Layer):
            def call(self, x):
                return call(x)

        inputs = tf.keras.Input(shape)
        return tf.keras.Model(inputs, Drawing()(inputs))

    @pytest.mark.parametrize(
        "call",
        [
            lambda x: x + tf.random.normal((4,)),
            lambda x: x * tf.random.uniform((4,), seed=3),
            lambda x: x + tf.cast(tf.random.uniform((4,), 0, 1000, dtype=tf.int32), "float32"),
            lambda x: x + tf.random.shuffle(tf.range(400.0))[:4],
            lambda x: x + tf.cast(tf.random.categorical(tf.zeros((1, 500)), 4), "float32"),
            lambda x: tf.nn.dropout(tf.tile(x, [1, 50]), 0.5),
        ],
    )
    def test_each_run_draws_and_a_seed_repeats(self, call):
        model, x = self.model(call), np.ones((1, 4), np.float32)
        tf.random.set_seed(5)
        first, second = model.predict(x, verbose=0), model.predict(x, verbose=0)
        assert not np.array_equal(first, second)
        tf.random.set_seed(5)
        assert np.array_equal(model.predict(x, verbose=0), first)
        assert np.array_equal(model.predict(x, verbose=0), second)

    def test_training_draws_for_each_batch(self):
        noise = self.model(lambda x: x + tf.random.normal((4,)))
        model = tf.keras.Sequential([tf.keras.Input((4,)), noise, tf.keras.layers.Dense(4)])
        model.compile(tf.keras.optimizers.SGD(0.0), "mse")
        x = np.zeros((8, 4), np.float32)
        losses = model.fit(x, x, batch_size=8, epochs=3, verbose=0).history["loss"]
        assert len(set(losses)) == 3

    def test_two_draws_of_one_run_differ(self):
        model = self.model(lambda x: x + tf.random.normal((4,)) - tf.random.normal((4,)))
        assert (model.predict(np.zeros((1, 4), np.float32), verbose=0) != 0).all()

    def test_pictures(self):
        def changed(x):
            x = tf.image.random_brightness(tf.image.random_flip_left_right(x), 0.3)
            x = tf.image.random_saturation(tf.image.random_hue(x, 0.2), 0.5, 1.5)
            return tf.image.random_contrast(x, 0.5, 1.5)

        model = self.model(changed, (4, 5, 3))
        x = RNG.uniform(size=(6, 4, 5, 3)).astype("float32")
        first, second = model.predict(x, verbose=0), model.predict(x, verbose=0)
        assert first.shape == x.shape and not np.array_equal(first, second)


def test_flips_are_of_whole_pictures_and_about_half():
    x = RNG.uniform(size=(400, 2, 3, 1))
    flipped = tf.image.random_flip_left_right(x, seed=2).numpy()
    turned = (flipped == x[:, :, ::-1]).all((1, 2, 3))
    assert ((flipped == x).all((1, 2, 3)) ^ turned).all()
    assert 150 < turned.sum() < 250
    one = {tf.image.random_flip_up_down(x[0]).numpy().tobytes() for _ in range(40)}
    assert one == {x[0].tobytes(), x[0, ::-1].tobytes()}


def test_random_crops_are_blocks_from_everywhere():
    x = np.arange(30).reshape(5, 6)
    found = set()
    for _ in range(200):
        crop = tf.image.random_crop(x, (4, 3)).numpy()
        row, column = divmod(int(crop[0, 0]), 6)
        assert np.array_equal(crop, x[row : row + 4, column : column + 3])
        found.add((row, column))
    assert found == {(row, column) for row in range(2) for column in range(4)}


class TestStatelessDraws:
    X = RNG.uniform(size=(6, 5, 4, 3)).astype("float32")

    @pytest.mark.parametrize(
        "name, arguments",
        [
            ("flip_left_right", ()),
            ("flip_up_down", ()),
            ("crop", ((6, 3, 2, 3),)),
            ("brightness", (0.4,)),
            ("contrast", (0.5, 1.5)),
            ("hue", (0.3,)),
            ("saturation", (0.5, 1.5)),
        ],
    )
    def test_the_seed_alone_decides(self, name, arguments):
        function = getattr(tf.image, f"stateless_random_{name}")
        found = [function(self.X, *arguments, seed=(7, i)).numpy() for i in range(6)]
        tf.random.set_seed(3)
        again = [function(self.X, *arguments, seed=(7, i)).numpy() for i in range(6)]
        assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
        assert len({a.tobytes() for a in found}) > 1

    def test_other_draws_go_on(self):
        tf.random.set_seed(1)
        expected = [tf.random.normal((2,)).numpy() for _ in range(2)]
        tf.random.set_seed(1)
        first = tf.random.normal((2,)).numpy()
        tf.image.stateless_random_hue(self.X, 0.1, seed=(1, 2))
        assert np.array_equal([first, tf.random.normal((2,)).numpy()], expected)

    def test_a_generator_is_independent_and_repeats(self):
        a, b = tf.random.Generator.from_seed(4), tf.random.Generator.from_seed(4)
        draws = [
            a.normal((3,)).numpy(),
            a.uniform((3,), 0, 9, dtype=tf.int32).numpy(),
            a.make_seeds(2).numpy(),
        ]
        same = [
            b.normal((3,)).numpy(),
            b.uniform((3,), 0, 9, dtype=tf.int32).numpy(),
            b.make_seeds(2).numpy(),
        ]
        assert all(np.array_equal(x, y) for x, y in zip(draws, same, strict=True))
        assert draws[2].shape == (2, 2) and draws[2].dtype == np.int64
        a.reset_from_seed(4)
        assert np.array_equal(a.normal((3,)).numpy(), draws[0])
        assert (np.abs(a.truncated_normal((200,)).numpy()) <= 2).all()
        other = tf.random.Generator.from_non_deterministic_state()
        assert not np.array_equal(other.normal((3,)).numpy(), draws[0])
