"""ImageNet's class names, and Keras's weights where they lie or where they should."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain import keras
from cnnexplain.keras.applications import imagenet_utils, keras_files, pretrained
from cnnexplain.keras.utils import files


class TestClassNames:
    def test_they_are_those_of_keras_file(self):
        """The sum that Keras checks its imagenet_class_index.json by."""
        index = {str(place): list(entry) for place, entry in enumerate(imagenet_utils._classes())}
        text = json.dumps(index)
        assert (
            hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            == "c2c37ea517e94d9795004a39431a14cb"
        )

    def test_the_file_is_small(self):
        path = Path(cx.__file__).parent / "data_files" / "imagenet-classes.txt"
        assert path.stat().st_size < 40_000

    @pytest.mark.parametrize("of", [np.asarray, cx.constant])
    def test_the_best(self, of):
        predictions = np.zeros((2, 1000), "float32")
        predictions[0, [282, 285, 281]] = 0.39, 0.36, 0.17
        predictions[1, 967] = 1
        found = imagenet_utils.decode_predictions(of(predictions), top=3)
        assert [entry[:2] for entry in found[0]] == [
            ("n02123159", "tiger_cat"),
            ("n02124075", "Egyptian_cat"),
            ("n02123045", "tabby"),
        ]
        assert [entry[2] for entry in found[0]] == pytest.approx([0.39, 0.36, 0.17])
        assert found[1][0] == ("n07920052", "espresso", 1) and len(found[1]) == 3
        assert len(keras.applications.vgg16.decode_predictions(predictions)[0]) == 5
        assert len(keras.applications.resnet.decode_predictions(predictions, 2000)[0]) == 1000

    @pytest.mark.parametrize("shape", [(1000,), (1, 1001), (1, 1, 1000), (2, 10)])
    def test_other_shapes(self, shape):
        with pytest.raises(ValueError, match=r"of shape \(n, 1000\)"):
            imagenet_utils.decode_predictions(np.zeros(shape))

    def test_other_numbers(self):
        for top in (0, -1, 2.5, True):
            with pytest.raises(ValueError, match="`top` must be a positive integer"):
                imagenet_utils.decode_predictions(np.zeros((1, 1000)), top=top)


class TestFiles:
    @pytest.fixture
    def home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))

        def offline(origin, name, folder):
            raise OSError("no network")

        monkeypatch.setattr(files, "_retrieve", offline)
        return tmp_path

    @pytest.mark.parametrize(
        "network, top, address",
        [
            (
                "vgg16",
                True,
                "tensorflow/keras-applications/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            ),
            (
                "resnet101",
                False,
                "tensorflow/keras-applications/resnet/resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
            ),
            ("efficientnetb0", False, "keras-applications/efficientnetb0_notop.h5"),
            (
                "convnext_base",
                True,
                "tensorflow/keras-applications/convnext/convnext_base.h5",
            ),
            (
                "efficientnetv2-s",
                True,
                "tensorflow/keras-applications/efficientnet_v2/efficientnetv2-s.h5",
            ),
            (
                "mobilenet_7_5_160",
                False,
                "tensorflow/keras-applications/mobilenet/mobilenet_7_5_160_tf_no_top.h5",
            ),
            (
                "mobilenet_v2_0.35_96",
                True,
                "tensorflow/keras-applications/mobilenet_v2/"
                "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96.h5",
            ),
            (
                "mobilenet_v3_small_minimalistic_224_1.0_float",
                False,
                "tensorflow/keras-applications/mobilenet_v3/"
                "weights_mobilenet_v3_small_minimalistic_224_1.0_float_no_top_v2.h5",
            ),
        ],
    )
    def test_without_a_network_it_says_which_file_to_put_where(self, home, network, top, address):
        with pytest.raises(OSError) as caught:
            pretrained.keras_file(network, top)
        text = str(caught.value)
        assert f"place the file at {home / 'models' / address.split('/')[-1]}" in text
        assert f"https://storage.googleapis.com/{address}" in text

    def test_nasnet_s_files_have_another_name_at_the_origin(self, home):
        for network, top, name in (
            ("nasnet_mobile", True, "NASNet-mobile.h5"),
            ("nasnet_large", False, "NASNet-large-no-top.h5"),
        ):
            with pytest.raises(OSError) as caught:
                pretrained.keras_file(network, top)
            assert f"/tensorflow/keras-applications/nasnet/{name}" in str(caught.value)
            local = f"{network}{'' if top else '_no_top'}.h5"
            assert f"place the file at {home / 'models' / local}" in str(caught.value)

    def test_a_file_that_lies_there_is_used(self, home, monkeypatch):
        content = b"weights"
        folder, _, without = keras_files.FILES["vgg16"]
        monkeypatch.setitem(
            keras_files.FILES,
            "vgg16",
            (folder, hashlib.md5(content, usedforsecurity=False).hexdigest(), without),
        )
        path = home / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
        path.parent.mkdir()
        path.write_bytes(content)
        assert pretrained.keras_file("vgg16", True) == str(path)
        path.rename(path.with_name("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"))
        with pytest.raises(OSError, match="could not be downloaded"):  # the sum is that of the other file
            pretrained.keras_file("vgg16", False)
        path.write_bytes(b"other")
        with pytest.raises(OSError, match="could not be downloaded"):
            pretrained.keras_file("vgg16", True)

    @pytest.mark.parametrize("file", ["resnet.npz", "resnet.h5", "resnet.weights.h5", "resnet.keras"])
    def test_weights_of_a_path(self, file, tmp_path):
        settings = {"include_top": False, "input_shape": (32, 32, 3), "pooling": "avg"}
        first = keras.applications.ResNet50(weights=None, **settings)
        path = tmp_path / file
        (first.save if file.endswith(".keras") else first.save_weights)(path)
        second = keras.applications.ResNet50(weights=str(path), **settings)
        x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
        np.testing.assert_array_equal(second.predict(x, verbose=0), first.predict(x, verbose=0))
        assert second.preprocess == "caffe" and not hasattr(second, "class_names")
        assert first.preprocess == "caffe" and not hasattr(first, "class_names")

    def test_imagenet_takes_keras_file(self, tmp_path, monkeypatch):
        small = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), include_top=False)
        path = tmp_path / "weights.npz"
        small.save_weights(path)
        asked = []
        monkeypatch.setattr(pretrained, "keras_file", lambda *asking: asked.append(asking) or str(path))
        got = keras.applications.ResNet50(include_top=False, input_shape=(32, 32, 3), name="mine")
        assert asked == [("resnet50", False)] and got.name == "mine"
        np.testing.assert_array_equal(got.get_weights()[0], small.get_weights()[0])

    def test_weights_that_cannot_be_had(self, tmp_path):
        for weights in ("imagenet21k", str(tmp_path / "none.h5"), 7):
            with pytest.raises(ValueError, match="`weights` must be None"):
                keras.applications.VGG16(weights=weights)
        with pytest.raises(ValueError, match="`classes` must be 1000"):
            keras.applications.VGG19(classes=10)


@pytest.mark.parity
def test_the_facts_are_those_of_keras():
    from keras.src.applications import resnet, vgg16, vgg19

    for network, module in (("vgg16", vgg16), ("vgg19", vgg19)):
        for suffix, path in (
            (keras_files._TOP, module.WEIGHTS_PATH),
            (keras_files._NO_TOP, module.WEIGHTS_PATH_NO_TOP),
        ):
            assert path == f"{keras_files._ORIGIN}/{network}/{network}{suffix}"
    for network in ("resnet50", "resnet101", "resnet152"):
        assert keras_files.FILES[network] == ("resnet", *resnet.WEIGHTS_HASHES[network])
    assert f"{keras_files._ORIGIN}/resnet/" == resnet.BASE_WEIGHTS_PATH


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside TensorFlow and Keras
@pytest.mark.parametrize("name", ["VGG16", "ResNet50"])
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_of_real_keras(name, suffix, tmp_path):
    """`.h5` is the form of Keras's ImageNet files."""
    import h5py
    import keras as theirs
    from keras.src.legacy.saving import legacy_h5_format

    settings = {"include_top": False, "input_shape": (64, 48, 3), "pooling": "avg"}
    made = getattr(theirs.applications, name)(weights=None, **settings)
    path = str(tmp_path / f"weights{suffix}")
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, made)
    else:
        made.save_weights(path)
    ours = getattr(keras.applications, name)(weights=path, **settings)
    x = np.random.default_rng(0).normal(size=(2, 64, 48, 3)).astype("float32")
    wanted = np.asarray(made(x))
    np.testing.assert_allclose(ours.predict(x, verbose=0), wanted, atol=2e-4 * np.abs(wanted).max())
