"""Pictures on their way into a model: folders, image files, augmentation."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras.preprocessing import affine
from cnnexplain.keras.preprocessing import image as pictures

Image = pytest.importorskip("PIL.Image")
utils = keras.utils


@pytest.fixture
def folder(tmp_path):
    """Two classes of four pictures, each of one colour: 10 k for the k-th."""
    k = 0
    for name in ("cats", "dogs"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in range(4):
            picture = np.full((4 + number, 6, 3), 10 * k, np.uint8)
            Image.fromarray(picture).save(tmp_path / "in" / name / f"{number}.png")
            k += 1
    (tmp_path / "in" / "cats" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / ".hidden").mkdir()
    return tmp_path / "in"


class TestDirectory:
    def test_pictures_labels_and_names(self, folder, capsys):
        dataset = utils.image_dataset_from_directory(folder, image_size=(5, 6), batch_size=3, shuffle=False)
        assert capsys.readouterr().out == "Found 8 files belonging to 2 classes.\n"
        assert dataset.class_names == ["cats", "dogs"] and len(dataset) == 3
        assert [os.path.relpath(path, folder) for path in dataset.file_paths[:5]] == [
            "cats/0.png", "cats/1.png", "cats/2.png", "cats/3.png", "dogs/0.png"
        ]  # fmt: skip
        x, y = zip(*dataset, strict=True)
        assert x[0].shape == (3, 5, 6, 3) and x[0].dtype == tf.float32 and y[0].dtype == tf.int32
        x, y = np.concatenate([np.asarray(b) for b in x]), np.concatenate([np.asarray(b) for b in y])
        np.testing.assert_allclose(
            x, np.arange(0, 80, 10).reshape(8, 1, 1, 1) * np.ones((5, 6, 3)), rtol=1e-6
        )
        assert y.tolist() == [0] * 4 + [1] * 4

    def test_label_modes(self, folder):
        def labels(**options):
            dataset = utils.image_dataset_from_directory(
                folder, image_size=4, batch_size=8, shuffle=False, verbose=False, **options
            )
            return np.asarray(next(iter(dataset))[1])

        np.testing.assert_array_equal(labels(label_mode="binary"), np.repeat([[0.0], [1.0]], 4, 0))
        np.testing.assert_array_equal(labels(label_mode="categorical"), np.repeat(np.eye(2), 4, 0))
        assert labels(class_names=["dogs", "cats"]).tolist() == [0] * 4 + [1] * 4
        assert labels(labels=list(range(8))).tolist() == list(range(8))
        single = utils.image_dataset_from_directory(
            folder, label_mode=None, image_size=(4, 4), batch_size=None
        )
        assert single.class_names is None and next(iter(single)).shape == (4, 4, 3)

    def test_the_split(self, folder, capsys):
        options = {"validation_split": 0.3, "seed": 1, "image_size": (4, 4)}
        both = utils.image_dataset_from_directory(folder, subset="both", **options)
        assert capsys.readouterr().out.splitlines() == [
            "Found 8 files belonging to 2 classes.",
            "Using 6 files for training.",
            "Using 2 files for validation.",
        ]
        left = utils.image_dataset_from_directory(folder, subset="training", **options)
        right = utils.image_dataset_from_directory(folder, subset="validation", **options)
        assert both[0].file_paths == left.file_paths and both[1].file_paths == right.file_paths
        # Keras shuffles paths and labels by NumPy's RandomState(seed)
        paths = sorted(str(path) for path in folder.glob("*/*.png"))
        np.random.RandomState(1).shuffle(paths)
        assert left.file_paths + right.file_paths == paths
        for x, y in right:
            for picture, label in zip(np.asarray(x), np.asarray(y), strict=True):
                assert (picture.mean() >= 40) == label

    def test_proportions_and_layout(self, folder):
        wide = np.zeros((4, 12, 3), np.uint8)
        wide[:, 4:8] = 200
        Image.fromarray(wide).save(folder / "cats" / "0.png")
        options = {"image_size": (4, 4), "shuffle": False, "label_mode": None, "verbose": False}
        cropped = next(iter(utils.image_dataset_from_directory(folder, crop_to_aspect_ratio=True, **options)))
        np.testing.assert_array_equal(cropped[0], np.full((4, 4, 3), 200))
        padded = next(iter(utils.image_dataset_from_directory(folder, pad_to_aspect_ratio=True, **options)))
        assert np.asarray(padded[0])[[0, -1]].max() == 0 and np.asarray(padded[0])[1].max() > 0
        first = next(
            iter(utils.image_dataset_from_directory(folder, data_format="channels_first", **options))
        )
        assert first.shape == (8, 3, 4, 4)

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"labels": "none"}, "`labels` must be"),
            ({"labels": [1, 2]}, "one label for each of the 8 files"),
            ({"label_mode": "one_hot"}, "`label_mode` must be"),
            ({"color_mode": "bgr"}, "`color_mode` must be"),
            ({"image_size": (2, 2, 3)}, "`image_size` must be"),
            ({"interpolation": "best"}, "`interpolation` must be"),
            ({"class_names": ["cats", "mice"]}, "`class_names` must be names of subdirectories"),
            ({"class_names": ["cats"], "label_mode": "binary"}, "'binary' needs 2 classes"),
            ({"validation_split": 2.0, "subset": "both"}, "`validation_split` must be between"),
            ({"validation_split": 0.2}, "must be given together"),
            ({"validation_split": 0.2, "subset": "all"}, "`subset` must be"),
            ({"validation_split": 0.2, "subset": "both"}, "`seed` must be given"),
            ({"validation_split": 0.01, "subset": "both", "seed": 1}, "No training images found"),
            ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "must not both"),
            ({"format": "grain"}, "`format` must be"),
        ],
    )
    def test_wrong_arguments(self, folder, options, message):
        with pytest.raises(ValueError, match=message):
            utils.image_dataset_from_directory(folder, verbose=False, **options)

    def test_a_broken_picture_is_named(self, folder):
        (folder / "dogs" / "1.png").write_bytes(b"\x89PNG no")
        dataset = utils.image_dataset_from_directory(folder, image_size=(4, 4), verbose=False)
        with pytest.raises(ValueError, match=r"dogs/1\.png cannot be read as a picture"):
            list(dataset)
        empty = folder / "cats" / "nothing"
        empty.mkdir()
        with pytest.raises(ValueError, match="No images found"):
            utils.image_dataset_from_directory(empty, labels=None)

    def test_training_from_it(self, folder):
        model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        dataset = utils.image_dataset_from_directory(folder, image_size=(4, 4), batch_size=4, verbose=False)
        scaled = dataset.map(lambda x, y: (x / 255, y), num_parallel_calls=tf.data.AUTOTUNE).cache()
        logs = model.fit(scaled.shuffle(2).prefetch(1), epochs=3, verbose=0, validation_data=scaled)
        assert logs.history["loss"][2] < logs.history["loss"][0]


def test_grey_of_colours_is_rounded_as_libpng_does():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7]]], np.uint8)
    grey = tf.io.decode_png(tf.io.encode_png(colours), channels=1)
    assert np.asarray(grey)[0, :, 0].tolist() == [76, 149, 29, 7]  # 0.299, 0.587 and 0.114 of 255, cut off


class TestArraysAsDatasets:
    def test_timeseries(self):
        data = np.arange(20.0).reshape(10, 2)
        dataset = utils.timeseries_dataset_from_array(data, np.arange(10), 3, 2, 2, batch_size=2)
        x, y = next(iter(dataset))
        assert x.shape == (2, 3, 2) and np.asarray(x)[1].tolist() == data[[2, 4, 6]].tolist()
        assert [np.asarray(b).tolist() for _, b in dataset] == [[0, 2], [4]]
        part = utils.timeseries_dataset_from_array(
            data[:, 0], None, 2, start_index=2, end_index=6, batch_size=None
        )
        assert [np.asarray(w).tolist() for w in part] == [[4, 6], [6, 8], [8, 10]]
        mixed = utils.timeseries_dataset_from_array(data, np.arange(10), 3, shuffle=True, seed=2)
        x, y = next(iter(mixed))
        np.testing.assert_array_equal(np.asarray(x)[:, 0, 0] / 2, y)
        assert sorted(np.asarray(y).tolist()) == list(range(8)) and np.asarray(y).tolist() != list(range(8))
        for options in (
            {"start_index": 10},
            {"end_index": 10},
            {"start_index": 5, "end_index": 4},
            {"sampling_rate": 0},
            {"sequence_stride": 10},
        ):
            with pytest.raises(ValueError, match=next(reversed(options))):
                utils.timeseries_dataset_from_array(data, None, 2, **options)

    def test_pad_sequences(self):
        ragged = [[1], [2, 3], [4, 5, 6]]
        assert utils.pad_sequences(ragged, padding="post").tolist() == [[1, 0, 0], [2, 3, 0], [4, 5, 6]]
        assert utils.pad_sequences(ragged, 2, value=-1).tolist() == [[-1, 1], [2, 3], [5, 6]]
        assert utils.pad_sequences(ragged, 2, truncating="post").tolist()[2] == [4, 5]
        assert utils.pad_sequences([[], [[1.5, 2]]], dtype="float32").tolist() == [[[0, 0]], [[1.5, 2]]]
        assert utils.pad_sequences([["a"], []], dtype=object, value="-").tolist() == [["a"], ["-"]]
        for bad, message in (
            ((3,), "`sequences` must be"),
            (([1, 2],), "an item 1"),
            (([[1], [[2]]],), "items of one shape"),
            (([[1]], None, "int32", "middle"), "`padding` must be"),
            (([[1]], None, "int32", "pre", "pre", "x"), "`dtype` must be"),
        ):
            with pytest.raises(ValueError, match=message):
                utils.pad_sequences(*bad)

    def test_split_dataset(self):
        x, y = np.arange(10), np.arange(10) * 2
        left, right = utils.split_dataset((x, y), left_size=0.7)
        assert [int(a) for a, _ in left] == list(range(7)) and [int(b) for _, b in right] == [14, 16, 18]
        left, right = utils.split_dataset(x, 3, 4)
        assert [int(a) for a in left] == [0, 1, 2] and [int(a) for a in right] == [6, 7, 8, 9]
        left, right = utils.split_dataset(tf.data.Dataset.range(10).batch(4), right_size=2)
        assert [np.asarray(a).tolist() for a in left] == [[0, 1, 2, 3], [4, 5, 6, 7]]
        import random

        order = list(range(10))
        random.seed(5)
        random.shuffle(order)  # as Keras does it
        left, _ = utils.split_dataset(x, 6, shuffle=True, seed=5)
        assert [int(a) for a in left] == order[:6]
        for options in ({}, {"left_size": 10}, {"left_size": 0.0}, {"left_size": 8, "right_size": 3}):
            with pytest.raises(ValueError, match="`left_size`"):
                utils.split_dataset(x, **options)
        with pytest.raises(TypeError, match="`dataset` must be"):
            utils.split_dataset("abc", 1)

    def test_packing(self):
        assert utils.pack_x_y_sample_weight([1]) == ([1],)
        assert utils.pack_x_y_sample_weight(1, 2, 3) == (1, 2, 3)
        assert utils.unpack_x_y_sample_weight([1, 2, 3]) == (1, 2, 3)
        assert utils.unpack_x_y_sample_weight({"a": 1}) == ({"a": 1}, None, None)
        with pytest.raises(ValueError, match="a tuple of 4"):
            utils.unpack_x_y_sample_weight((1, 2, 3, 4))


class TestImageFiles:
    def test_modes_and_sizes(self, tmp_path):
        colours = np.random.RandomState(0).randint(0, 256, (6, 8, 4), np.uint8)
        Image.fromarray(colours).save(tmp_path / "a.png")
        shapes = {"rgb": (6, 8, 3), "rgba": (6, 8, 4), "grayscale": (6, 8, 1)}
        for mode, shape in shapes.items():
            for path in (tmp_path / "a.png", str(tmp_path / "a.png"), os.fsencode(tmp_path / "a.png")):
                assert utils.img_to_array(utils.load_img(path, mode)).shape == shape
        stream = io.BytesIO((tmp_path / "a.png").read_bytes())
        small = utils.load_img(stream, target_size=(3, 3), interpolation="box", keep_aspect_ratio=True)
        centre = colours[:, 1:7, :3].reshape(3, 2, 3, 2, 3).mean((1, 3))
        np.testing.assert_allclose(utils.img_to_array(small), centre, atol=1)
        deep = np.full((2, 2), 40000, np.uint16)
        Image.fromarray(deep).save(tmp_path / "deep.png")
        assert utils.img_to_array(utils.load_img(tmp_path / "deep.png", "grayscale")).max() == 40000

    def test_arrays_and_images(self):
        x = np.array([[[0.0, 0.5, 1.0]]])
        assert np.asarray(utils.array_to_img(x)).tolist() == [[[0, 127, 255]]]
        assert np.asarray(utils.array_to_img(x * 255, scale=False)).tolist() == [[[0, 127, 255]]]
        assert utils.array_to_img(np.full((2, 2, 1), 300.0), scale=False).mode == "I"
        assert utils.array_to_img(np.ones((3, 2, 4)), "channels_first").size == (4, 2)
        assert utils.img_to_array(np.ones((2, 3)), "channels_first", "float64").shape == (1, 2, 3)
        assert utils.img_to_array(np.ones((2, 3))).dtype == np.float32
        for function, shape in ((utils.array_to_img, (2, 2)), (utils.img_to_array, (2,))):
            with pytest.raises(ValueError, match="shape"):
                function(np.ones(shape))
        with pytest.raises(ValueError, match="Unsupported channel number: 2"):
            utils.array_to_img(np.ones((2, 2, 2)))

    def test_saving(self, tmp_path):
        x = np.random.RandomState(0).randint(0, 256, (4, 4, 4)).astype("float32")
        with pytest.warns(UserWarning, match="does not support RGBA"):
            utils.save_img(tmp_path / "a.jpg", x)
        buffer = io.BytesIO()
        utils.save_img(buffer, x, file_format="png", scale=False)
        np.testing.assert_array_equal(np.asarray(Image.open(buffer)), x)

    def test_broken_files_are_named(self, tmp_path):
        (tmp_path / "text.png").write_text("hello")
        with pytest.raises(OSError, match=r"text\.png is not an image file"):
            utils.load_img(tmp_path / "text.png")
        Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3), np.uint8)).save(
            tmp_path / "cut.png"
        )
        (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:3000])
        with pytest.raises(OSError, match=r"cut\.png is a damaged image file"):
            utils.load_img(tmp_path / "cut.png")
        with pytest.raises(FileNotFoundError):
            utils.load_img(tmp_path / "none.png")
        with pytest.raises(TypeError, match="`path` must be"):
            utils.load_img(3)
        for options in ({"color_mode": "bgr"}, {"target_size": (2, 2), "interpolation": "best"}):
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "good.png")
            with pytest.raises(ValueError, match="color_mode|interpolation"):
                utils.load_img(tmp_path / "good.png", **options)

    def test_smart_resize(self):
        x = np.zeros((4, 8, 1), np.float32)
        x[:, 2:6] = 1
        np.testing.assert_array_equal(pictures.smart_resize(x, (2, 2)), np.ones((2, 2, 1)))
        batch = pictures.smart_resize(tf.constant(x[None]), (2, 2), data_format="channels_last")
        assert isinstance(batch, tf.Tensor) and batch.shape == (1, 2, 2, 1)
        first = pictures.smart_resize(x.transpose(2, 0, 1), (2, 2), "nearest", "channels_first")
        np.testing.assert_array_equal(first, np.ones((1, 2, 2)))
        with pytest.raises(ValueError, match="`size`"):
            pictures.smart_resize(x, (2,))


class TestAffine:
    @pytest.mark.parametrize("order", range(6))
    @pytest.mark.parametrize("mode", affine.MODES)
    def test_against_scipy(self, order, mode):
        ndimage = pytest.importorskip("scipy.ndimage")
        rng = np.random.RandomState(order)
        for trial in range(12):
            x = rng.rand(2, *rng.randint(25, 32, 2))
            matrix = np.eye(2) + (rng.randn(2, 2) * 0.5 if trial % 2 else 0)
            offset = np.rint(rng.randn(2) * 9) if trial % 3 == 0 else rng.randn(2) * 9
            want = [ndimage.affine_transform(p, matrix, offset, order=order, mode=mode, cval=0.3) for p in x]
            got = affine.transform(x, matrix, offset, order, mode, 0.3)
            # SciPy ends its recursive filter for orders above 1 before the last bit
            np.testing.assert_allclose(got, want, atol=1e-13 if order < 2 else 1e-4)

    def test_whole_numbers_are_rounded(self):
        ndimage = pytest.importorskip("scipy.ndimage")
        x = np.random.RandomState(0).randint(0, 256, (1, 9, 9)).astype(np.uint8)
        want = ndimage.affine_transform(x[0], np.eye(2) * 0.7, [0.4, 1], order=1, mode="nearest")
        np.testing.assert_array_equal(
            affine.transform(x, np.eye(2) * 0.7, [0.4, 1], 1, "nearest", 0)[0], want
        )

    def test_quarter_turns(self):
        x = np.arange(9.0).reshape(3, 3, 1)
        axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
        turned = pictures.apply_affine_transform(x, theta=90, **axes)
        assert any(np.allclose(turned[..., 0], np.rot90(x[..., 0], k)) for k in (1, 3))
        np.testing.assert_allclose(pictures.apply_affine_transform(turned, theta=-90, **axes), x, atol=1e-12)
        assert pictures.apply_affine_transform(x, **axes) is x
        halved = pictures.apply_affine_transform(np.ones((5, 5, 1)), zx=2, zy=2, fill_mode="constant", **axes)
        assert halved.sum() == 9  # the middle 3 x 3
        for options, message in (
            ({"row_axis": 0, "col_axis": 0, "channel_axis": 2}, "in some order"),
            ({"row_axis": 0, "col_axis": 2, "channel_axis": 1}, "`channel_axis` must be 0 or 2"),
            ({**axes, "theta": 1, "fill_mode": "mirror"}, "`fill_mode` must be"),
            ({**axes, "theta": 1, "order": 6}, "`order` must be"),
        ):
            with pytest.raises(ValueError, match=message):
                pictures.apply_affine_transform(x, **options)


class TestImageDataGenerator:
    x = np.random.RandomState(0).rand(10, 6, 7, 3).astype("float32") * 255

    def test_statistics(self):
        generator = pictures.ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)
        generator.fit(self.x)
        batch = next(generator.flow(self.x, batch_size=10, shuffle=False))
        np.testing.assert_allclose(batch.mean((0, 1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(batch.std((0, 1, 2)), 1, atol=1e-5)
        white = pictures.ImageDataGenerator(zca_whitening=True, featurewise_center=True, dtype="float64")
        many = np.random.RandomState(1).rand(200, 2, 2, 1)
        white.fit(many)
        flat = next(white.flow(many, batch_size=200)).reshape(200, -1)
        np.testing.assert_allclose(flat.T @ flat / 200, np.eye(4), atol=1e-4)
        each = pictures.ImageDataGenerator(samplewise_center=True, samplewise_std_normalization=True)
        one = each.standardize(self.x[0].copy())
        assert abs(one.mean()) < 1e-5 and one.std() == pytest.approx(1, abs=1e-4)

    def test_settings_that_need_others_say_so(self):
        with pytest.warns(UserWarning, match="`zca_whitening` sets `featurewise_center` to True"):
            assert pictures.ImageDataGenerator(zca_whitening=True).featurewise_center
        with pytest.warns(UserWarning, match="`samplewise_center` to True"):
            pictures.ImageDataGenerator(samplewise_std_normalization=True)
        with pytest.warns(UserWarning, match="has no effect before `fit"):
            pictures.ImageDataGenerator(featurewise_center=True).standardize(self.x[0].copy())
        for options in (
            {"zoom_range": (1, 2, 3)},
            {"brightness_range": 1},
            {"validation_split": 2},
            {"data_format": "nhwc"},
        ):
            with pytest.raises(ValueError, match=next(iter(options))):
                pictures.ImageDataGenerator(**options)

    def test_order_and_labels(self):
        generator = pictures.ImageDataGenerator(rescale=2.0, validation_split=0.3)
        y = np.arange(10)
        flow = generator.flow(self.x, y, batch_size=4, seed=3)
        np.random.seed(3)
        order = np.random.permutation(10)
        for k, size in enumerate((4, 4, 2)):
            x, label = next(flow)
            np.testing.assert_array_equal(label, order[4 * k : 4 * k + size])
            np.testing.assert_allclose(x, self.x[label] * 2)
        assert len(flow) == 3 and len(flow[2][1]) == 2
        held = generator.flow(self.x, y, subset="validation", shuffle=False, ignore_class_split=True)
        assert next(held)[1].tolist() == [0, 1, 2]
        kept = generator.flow(self.x, y % 2, subset="training", sample_weight=y, shuffle=False)
        assert next(kept)[2].tolist() == [3, 4, 5, 6, 7, 8, 9]
        with pytest.raises(ValueError, match="same classes"):
            generator.flow(self.x, y, subset="training")
        with pytest.raises(ValueError, match="one length"):
            generator.flow(self.x, y[:3])
        with pytest.raises(ValueError, match="rank 4"):
            generator.flow(self.x[0])
        with pytest.raises(ValueError, match="`idx` must be"):
            flow[3]

    def test_each_batch_has_a_seed_of_its_own(self):
        flow = pictures.ImageDataGenerator(channel_shift_range=10.0).flow(
            self.x, batch_size=4, shuffle=False, seed=3
        )
        for k in range(2):
            batch = next(flow)
            np.random.seed(3 + k)
            for picture, changed in zip(self.x[4 * k :], batch, strict=False):
                np.random.random(2)  # for the two flips, which are drawn before
                shift = np.random.uniform(-10.0, 10.0)
                want = np.clip(picture + shift, picture.min(), picture.max())
                np.testing.assert_allclose(changed, want, rtol=1e-6)

    def test_directory(self, folder, capsys, tmp_path):
        generator = pictures.ImageDataGenerator(rescale=1 / 10, validation_split=0.25)
        flow = generator.flow_from_directory(
            folder, (4, 6), class_mode="sparse", shuffle=False, save_to_dir=str(tmp_path), subset="training"
        )
        assert (
            "Found 6 images belonging to 3 classes." in capsys.readouterr().out
        )  # .hidden is one, as in Keras
        x, y = next(flow)
        assert x.shape == (6, 4, 6, 3) and y.tolist() == [1, 1, 1, 2, 2, 2]
        np.testing.assert_allclose(x[:, 0, 0, 0], [1, 2, 3, 5, 6, 7])
        assert flow.class_indices == {".hidden": 0, "cats": 1, "dogs": 2}
        assert len(list(tmp_path.glob("*.png"))) == 6
        for mode, shape in (("categorical", (8, 2)), ("binary", (8,)), ("input", (8, 4, 4, 1)), (None, None)):
            batch = next(
                generator.flow_from_directory(
                    folder, (4, 4), "grayscale", classes=["cats", "dogs"], class_mode=mode
                )
            )
            assert batch.shape == (8, 4, 4, 1) if mode is None else batch[1].shape == shape
        with pytest.raises(ValueError, match="`class_mode` must be"):
            generator.flow_from_directory(folder, class_mode="raw")
        with pytest.raises(ValueError, match="`subset` must be"):
            generator.flow_from_directory(folder, subset="all")

    def test_training_and_prediction(self):
        model = keras.Sequential([keras.Input((6, 7, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e-3), "mse")
        generator = pictures.ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
        flow = generator.flow(self.x, np.ones((10, 1)), batch_size=4)
        model.fit(flow, epochs=2, verbose=0)
        assert int(model.optimizer.iterations) == 6
        plain = generator.flow(self.x, batch_size=4, shuffle=False)
        assert model.predict(plain, verbose=0).shape == (10, 1)
        assert model.evaluate(flow, verbose=0) > 0

    def test_table(self, folder):
        pandas = pytest.importorskip("pandas")
        names = ["cats/0.png", "dogs/1.png", "cats/2.png", "no.png"]
        table = pandas.DataFrame({"filename": names, "class": ["c", "d", "c", "d"], "value": [1.0, 2, 3, 4]})
        generator = pictures.ImageDataGenerator()
        with pytest.warns(UserWarning, match="1 file names"):
            flow = generator.flow_from_dataframe(
                table, folder, target_size=(4, 4), weight_col="value", shuffle=False
            )
        x, y, w = next(flow)
        assert y.tolist() == [[1, 0], [0, 1], [1, 0]] and w.tolist() == [1, 2, 3]
        raw = generator.flow_from_dataframe(
            table[:3], folder, y_col="value", class_mode="raw", target_size=(4, 4), shuffle=False
        )
        assert next(raw)[1].tolist() == [1, 2, 3]
