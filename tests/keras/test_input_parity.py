"""Data on its way into a model, here and in Keras now: the same files, orders, pixels and random changes."""

from __future__ import annotations

import importlib
import inspect
import os

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras.preprocessing import image as ours

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def theirs():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def legacy(theirs):
    """Keras 2's generator and its relatives, which Keras 3 keeps for tf.keras."""
    return importlib.import_module("keras._tf_keras.keras.preprocessing.image")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes with pictures of several formats, modes and sizes."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.RandomState(0)
    base = tmp_path_factory.mktemp("pictures")
    kinds = [
        (".png", "RGB"),
        (".jpg", "L"),
        (".bmp", "RGB"),
        (".gif", "P"),
        (".PNG", "RGBA"),
        (".jpeg", "RGB"),
    ]
    for name in ("cat", "dog", "b.x"):
        (base / name / "sub").mkdir(parents=True)
        for k in range(8):
            ending, mode = kinds[k % len(kinds)]
            array = rng.randint(0, 256, (*rng.randint(5, 30, 2), 4)).astype("uint8")
            place = base / name / "sub" if k == 6 else base / name
            image.fromarray(array).convert("RGB").convert(mode).save(
                place / f"{rng.randint(1000)}_{k}{ending}"
            )
    return base


def parameters(function):
    found = inspect.signature(function.__init__ if inspect.isclass(function) else function).parameters
    return [(p.name, p.kind, repr(p.default)) for p in found.values()]


UTILS = """
    image_dataset_from_directory timeseries_dataset_from_array split_dataset pad_sequences get_file PyDataset
    Sequence pack_x_y_sample_weight unpack_x_y_sample_weight load_img save_img img_to_array array_to_img
""".split()


@pytest.mark.parametrize("name", UTILS)
def test_signatures_of_utils(name, theirs):
    assert parameters(getattr(keras.utils, name)) == parameters(getattr(theirs.utils, name))


@pytest.mark.parametrize("name", ours.__all__)
def test_signatures_of_preprocessing(name, legacy):
    wanted, found = getattr(legacy, name), getattr(ours, name)
    assert parameters(found) == parameters(wanted)
    if name == "ImageDataGenerator":
        for method in ("flow", "flow_from_directory", "flow_from_dataframe", "fit", "standardize",
                       "random_transform", "get_random_transform", "apply_transform"):  # fmt: skip
            assert parameters(getattr(found, method)) == parameters(getattr(wanted, method))


def test_nothing_of_preprocessing_is_missing(legacy):
    assert {name for name in dir(legacy) if not name.startswith("_")} == set(ours.__all__)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_signatures_of_datasets(name, theirs):
    wanted = getattr(theirs.datasets, name).load_data
    assert parameters(getattr(keras.datasets, name).load_data) == parameters(wanted)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 3},
        {"seed": 3, "validation_split": 0.3, "subset": "both"},
        {"seed": 4, "validation_split": 0.3, "subset": "training"},
        {"validation_split": 0.2, "subset": "validation", "shuffle": False},
        {"seed": 5, "labels": None},
        {"seed": 5, "labels": list(range(24))},
        {"seed": 6, "class_names": ["dog", "cat"], "label_mode": "binary"},
    ],
    ids=str,
)
def test_order_and_split_of_files(options, theirs, folder, capsys):
    def run(module):
        found = module.utils.image_dataset_from_directory(folder, image_size=(4, 4), **options)
        found = found if isinstance(found, list) else [found]
        return [(d.class_names, d.file_paths, int(d.cardinality())) for d in found], capsys.readouterr().out

    assert run(keras) == run(theirs)


def examples(dataset, batched):
    for item in dataset:
        parts = [np.asarray(part) for part in (item if isinstance(item, tuple) else (item,))]
        yield from zip(*parts, strict=True) if batched else [parts]


# JPEG: TensorFlow decodes with the fast integer transform, Pillow with the exact one.
DEVIATION = {".jpg": 5.0, ".jpeg": 5.0}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_mode": "categorical", "batch_size": None},
        {"label_mode": None},
        {"labels": list(range(24)), "crop_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True, "data_format": "channels_first"},
        *(
            {"interpolation": name}
            for name in ("nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
        ),
    ],
    ids=str,
)
def test_pixels(options, theirs, folder):
    options = {"image_size": (11, 14), "shuffle": False, "verbose": False, "batch_size": 5, **options}
    wanted = theirs.utils.image_dataset_from_directory(folder, **options)
    found = keras.utils.image_dataset_from_directory(folder, **options)
    batched = options["batch_size"] is not None
    count = 0
    for path, a, b in zip(
        wanted.file_paths, examples(wanted, batched), examples(found, batched), strict=True
    ):
        assert [part.dtype for part in a] == [part.dtype for part in b]
        deviation = DEVIATION.get(os.path.splitext(path)[1], 5e-4)
        np.testing.assert_allclose(b[0].astype(float), a[0].astype(float), atol=deviation, err_msg=path)
        for one, other in zip(a[1:], b[1:], strict=True):
            np.testing.assert_array_equal(one, other)
        count += 1
    assert count == 24


@pytest.mark.parametrize("color_mode", ["grayscale", "rgba"])
def test_colours_of_png(color_mode, theirs, tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.RandomState(1)
    for mode in ("RGB", "RGBA", "L", "LA"):
        image.fromarray(rng.randint(0, 256, (9, 8, 4)).astype("uint8")).convert(mode).save(
            tmp_path / f"{mode}.png"
        )
    options = {
        "labels": None,
        "color_mode": color_mode,
        "image_size": (9, 8),
        "shuffle": False,
        "verbose": False,
    }
    wanted = next(iter(theirs.utils.image_dataset_from_directory(tmp_path, **options)))
    found = next(iter(keras.utils.image_dataset_from_directory(tmp_path, **options)))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


GENERATORS = {
    "everything": {
        "rotation_range": 30,
        "width_shift_range": 0.2,
        "height_shift_range": 0.3,
        "shear_range": 20,
        "zoom_range": 0.3,
        "horizontal_flip": True,
        "vertical_flip": True,
    },
    "constant": {"rotation_range": 30, "fill_mode": "constant", "cval": 3.0, "dtype": "float64"},
    "reflect": {"zoom_range": [0.5, 2], "fill_mode": "reflect"},
    "pixels": {"width_shift_range": 3, "height_shift_range": [1, 2, 5], "fill_mode": "wrap"},
    "colours": {"brightness_range": (0.3, 1.5), "channel_shift_range": 40.0},
    "cubic": {
        "rescale": 1 / 255,
        "samplewise_std_normalization": True,
        "interpolation_order": 3,
        "rotation_range": 9.0,
    },
    "statistics": {"featurewise_std_normalization": True},
    "whitening": {"zca_whitening": True, "dtype": "float64"},
    "split": {"validation_split": 0.3, "preprocessing_function": lambda x: x / 2},
    "channels_first": {"interpolation_order": 0, "rotation_range": 50, "data_format": "channels_first"},
}


@pytest.mark.parametrize("name", GENERATORS)
def test_generator_draws_and_pixels(name, legacy):
    options = GENERATORS[name]
    x = np.random.RandomState(0).rand(7, 9, 12, 3) * 255
    if options.get("data_format"):
        x = x.transpose(0, 3, 1, 2)
    batches = []
    for module in (legacy, ours):
        generator = module.ImageDataGenerator(**options)
        if name in ("statistics", "whitening"):
            generator.fit(x, augment=True, rounds=2, seed=1)
        flow = generator.flow(
            x,
            np.arange(7),
            3,
            seed=5,
            subset="training" if name == "split" else None,
            ignore_class_split=True,
        )
        batches.append([next(flow) for _ in range(5)] + [flow[i] for i in range(len(flow))])
    for (a, la), (b, lb) in zip(*batches, strict=True):
        np.testing.assert_array_equal(la, lb)
        assert a.dtype == b.dtype
        np.testing.assert_allclose(
            b, a, rtol=1e-5 if a.dtype == np.float32 else 1e-9, atol=1e-4 if name == "cubic" else 1e-9
        )


@pytest.mark.parametrize("class_mode", ["categorical", "binary", "sparse", "input", None])
def test_generator_from_directory(class_mode, legacy, folder, capsys):
    options = {
        "target_size": (8, 9),
        "class_mode": class_mode,
        "batch_size": 5,
        "seed": 2,
        "interpolation": "bilinear",
        "keep_aspect_ratio": True,
        "subset": "validation",
        "classes": ["dog", "cat"] if class_mode == "binary" else None,
    }
    found = []
    for module in (legacy, ours):
        generator = module.ImageDataGenerator(rotation_range=20, rescale=0.5, validation_split=0.4)
        flow = generator.flow_from_directory(folder, **options)
        facts = (flow.filenames, flow.class_indices, flow.classes.tolist(), flow.samples, flow.image_shape)
        batches = [next(flow) for _ in range(4)]
        found.append((facts, capsys.readouterr().out, batches))
    assert found[0][:2] == found[1][:2]
    for a, b in zip(found[0][2], found[1][2], strict=True):
        for one, other in zip(a if class_mode else [a], b if class_mode else [b], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["rotation", "shift", "shear", "zoom", "channel_shift", "brightness"])
def test_random_functions(name, legacy):
    x = np.random.RandomState(0).rand(8, 11, 3).astype("float32") * 255
    arguments = {
        "rotation": (40,),
        "shift": (0.2, 0.3),
        "shear": (15,),
        "zoom": ((0.5, 1.5),),
        "channel_shift": (30.0, 2),
        "brightness": ((0.2, 2.0),),
    }[name]
    axes = (
        {} if name in ("channel_shift", "brightness") else {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    )
    results = []
    for module in (legacy, ours):
        np.random.seed(3)
        results.append(getattr(module, f"random_{name}")(x, *arguments, **axes))
    assert results[0].dtype == results[1].dtype
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("size, data_format", [((5, 9), "channels_last"), ((9, 5), "channels_first")])
@pytest.mark.parametrize("rank", [3, 4])
def test_smart_resize(size, data_format, rank, legacy):
    x = np.random.RandomState(0).rand(*((2,) if rank == 4 else ()), 7, 10, 3).astype("float32")
    x = np.moveaxis(x, -1, -3) if data_format == "channels_first" else x
    wanted = legacy.smart_resize(x, size, data_format=data_format)
    np.testing.assert_allclose(ours.smart_resize(x, size, data_format=data_format), wanted, atol=1e-6)


def test_image_files(theirs, folder, tmp_path):
    for path in sorted(folder.rglob("*.*")):
        if path.is_dir():
            continue
        for mode in ("rgb", "rgba", "grayscale"):
            options = {"color_mode": mode, "target_size": (6, 9), "interpolation": "bicubic"}
            a, b = theirs.utils.load_img(path, **options), keras.utils.load_img(path, **options)
            assert a.mode == b.mode
            np.testing.assert_array_equal(keras.utils.img_to_array(b), theirs.utils.img_to_array(a))
    rng = np.random.RandomState(0)
    for x in (rng.randn(4, 5, 3), rng.rand(4, 5, 1) * 400, rng.rand(3, 4, 4), np.ones((2, 2, 3))):
        for scale in (True, False):
            if not scale and x.min() < 0:
                continue  # what casting a negative float to a byte gives is the machine's choice
            a = theirs.utils.array_to_img(x, scale=scale)
            b = keras.utils.array_to_img(x, scale=scale)
            assert a.mode == b.mode
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_timeseries(theirs):
    data, targets = np.arange(60.0).reshape(20, 3), np.arange(20)
    for options in (
        {"sequence_length": 4},
        {"sequence_length": 3, "sequence_stride": 2, "sampling_rate": 2, "batch_size": 3},
        {"sequence_length": 3, "start_index": 4, "end_index": 15, "batch_size": 4},
    ):
        wanted = theirs.utils.timeseries_dataset_from_array(data, targets, **options)
        found = keras.utils.timeseries_dataset_from_array(data, targets, **options)
        for (x, y), (u, v) in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(np.asarray(u), np.asarray(x))
            np.testing.assert_array_equal(np.asarray(v), np.asarray(y))


def test_split_and_padding(theirs):
    x, y = np.arange(23), np.arange(23.0)[:, None]
    for options in (
        {"left_size": 0.7},
        {"right_size": 5, "shuffle": True, "seed": 3},
        {"left_size": 3, "right_size": 0.5},
    ):
        wanted, found = (
            theirs.utils.split_dataset((x, y), **options),
            keras.utils.split_dataset((x, y), **options),
        )
        for a, b in zip(wanted, found, strict=True):
            for one, other in zip(a, b, strict=True):
                for u, v in zip(one, other, strict=True):
                    np.testing.assert_array_equal(np.asarray(u), np.asarray(v))
    ragged = [[1], [2, 3], [4, 5, 6, 7], []]
    for options in (
        {},
        {"maxlen": 2},
        {"maxlen": 3, "padding": "post", "truncating": "post", "value": 9.0, "dtype": "float32"},
    ):
        wanted = theirs.utils.pad_sequences(ragged, **options)
        found = keras.utils.pad_sequences(ragged, **options)
        assert wanted.dtype == found.dtype
        np.testing.assert_array_equal(found, wanted)


PIPELINES = {
    "window": lambda d: d.range(10).window(4, 3, 2).flat_map(lambda w: w.batch(4)),
    "window drop": lambda d: d.range(10).window(3, 1, drop_remainder=True).flat_map(lambda w: w.batch(3)),
    "interleave": lambda d: d.range(5).interleave(lambda x: d.from_tensors(x).repeat(3), 2, 2),
    "interleave default": lambda d: d.range(3).interleave(lambda x: d.from_tensors(x).repeat(2), 3),
    "padded": lambda d: d.range(1, 6).map(lambda n: n * [1, 2]).padded_batch(2, [3], np.int64(-1)),
    "steps": lambda d: d.range(20).filter(lambda x: x % 3 == 0).enumerate().skip(1).take(4).batch(3),
    "shards": lambda d: d.range(20).shard(3, 1).batch(3, drop_remainder=True).unbatch().repeat(2),
    "joined": lambda d: d.zip((d.range(3), d.range(5, 9))).concatenate(d.zip((d.range(2),) * 2)).batch(4),
    "scan": lambda d: d.range(6).scan(np.int64(0), lambda s, x: (s + x, s * x)),
    "until": lambda d: d.range(9).take_while(lambda x: x < 5).map(lambda x: x % 2).unique(),
    "rebatched": lambda d: d.range(10).batch(4).rebatch(3),
    "slices": lambda d: d.from_tensor_slices({"a": [[1, 2], [3, 4]], "b": ([5.0, 6.0],)}).batch(2),
}  # fmt: skip


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines(name, theirs):
    tensorflow = pytest.importorskip("tensorflow")

    def run(dataset):
        made = PIPELINES[name](dataset)
        items = [tensorflow.nest.flatten(item) for item in made.as_numpy_iterator()]
        return [[np.asarray(leaf) for leaf in item] for item in items], int(made.cardinality())

    wanted, found = run(tensorflow.data.Dataset), run(tf.data.Dataset)
    for a, b in zip(wanted[0], found[0], strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(other, one)
            assert one.dtype == other.dtype
    assert wanted[1] == found[1]
