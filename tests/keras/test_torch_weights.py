"""Weights of PyTorch and of safetensors in our applications, without PyTorch: its answers are recorded."""

from __future__ import annotations

import ast
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch_networks

from cnnexplain import inspect, keras
from cnnexplain.keras.applications import torch_names, torch_weights
from cnnexplain.keras.applications.arithmetic import KERAS, PYTORCH
from cnnexplain.keras.saving.safetensors_file import is_safetensors_file, load_safetensors

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECORDED = np.load(FIXTURES / "torch_networks.npz")
CASES = torch_networks.CASES
APPLICATIONS = keras.applications


def names(case: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes in the network's state dict."""
    split = [line.partition(" ") for line in RECORDED[f"{case}/names"].tolist()]
    return {name: ast.literal_eval(shape) for name, _, shape in split}


def state_dict(case: str) -> dict[str, np.ndarray]:
    shapes = {name: shape for name, shape in names(case).items() if not name.endswith("num_batches_tracked")}
    return {name: torch_networks.numbers(name, shape) for name, shape in shapes.items()}


@pytest.fixture
def written(tmp_path):
    """Writes a safetensors file."""
    from safetensors.numpy import save_file

    def write(arrays, name="network.safetensors"):
        path = tmp_path / name
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path)
        return path

    return write


def ours(case: str, path, **settings):
    found = CASES[case]
    make = getattr(APPLICATIONS, found.application)
    own = {"classes": torch_networks.CLASSES, "classifier_activation": None, "input_shape": (*found.sides, 3)}
    return make(weights=path, **own | found.settings | settings)


def differs(got, wanted) -> float:
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("case", [case for case in CASES if case != "timm/vgg16"])  # below
def test_the_answers_are_pytorch_s(case, written):
    model = ours(case, written(state_dict(case), f"{case.split('/')[1]}.safetensors"))
    got = model.predict(torch_networks.images(CASES[case]), verbose=0)
    assert differs(got, RECORDED[f"{case}/answers"]) < 1e-4
    assert model.preprocess == CASES[case].preprocess and not hasattr(model, "class_names")


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.usefixtures("channels_first")
@pytest.mark.parametrize("case", ["torchvision/mobilenet_v2", "torchvision/vgg16"])
def test_channels_first(case, written):
    model = ours(case, written(state_dict(case)), input_shape=(3, *CASES[case].sides))
    got = model.predict(torch_networks.images(CASES[case]).transpose(0, 3, 1, 2), verbose=0)
    assert differs(got, RECORDED[f"{case}/answers"]) < 1e-4


def light(case: str) -> dict[str, np.ndarray]:
    """Arrays of the right shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(1), shape) for name, shape in names(case).items()}


class TestNames:
    """On MobileNetV2, whose file is small."""

    case = "torchvision/mobilenet_v2"

    @pytest.fixture
    def read(self, monkeypatch, tmp_path):
        """Makes the network with arrays instead of those of a file."""

        def build(arrays, case=self.case, **settings):
            monkeypatch.setattr(torch_weights, "_read", lambda path: arrays)
            path = tmp_path / "file.pth"
            path.write_bytes(np.load(FIXTURES / "torch_files.npz")["zip/tensors"].tobytes())
            return ours(case, path, **settings)

        return build

    @pytest.mark.parametrize("prefix", ["module.", "state_dict.", "state_dict.module.", "model._orig_mod."])
    def test_prefixes(self, read, prefix):
        arrays = {prefix + name: array for name, array in state_dict(self.case).items()}
        arrays["optimizer.state.0.exp_avg"] = np.zeros(3)
        got = read(arrays).get_weights()
        for mine, other in zip(got, read(state_dict(self.case)).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)

    def test_two_versions(self, read):
        arrays = {prefix + name: array for name, array in light(self.case).items() for prefix in ("a.", "b.")}
        with pytest.raises(ValueError, match=r"more than once, under \['a\.', 'b\.'\]"):
            read(arrays)

    def test_names_of_before_2018(self, read):
        def old(name):
            for part in ("norm", "conv"):
                for number in "12":
                    name = name.replace(f".{part}{number}.", f".{part}.{number}.")
            return name

        case = "torchvision/densenet121"
        arrays = {old(name): array for name, array in state_dict(case).items()}
        assert "features.denseblock4.denselayer16.norm.2.running_var" in arrays
        got = read(arrays, case, include_top=False, pooling="avg")
        block = got.get_layer("conv5_block16_1_bn").get_weights()[3]
        name = "features.denseblock4.denselayer16.norm2.running_var"
        np.testing.assert_array_equal(block, torch_networks.numbers(name, (128,)))

    def test_without_the_classifier(self, read):
        arrays = light(self.case)
        model = read(arrays, include_top=False)
        assert model.preprocess == "torch"
        model = read(
            {name: array for name, array in arrays.items() if "classifier" not in name}, include_top=False
        )
        assert model.output_shape == (None, 3, 3, 1280)

    def test_another_number_of_classes(self, read):
        with pytest.raises(ValueError, match=r"classifier\.1\.weight of shape \(7, 1280\).*is of classes=7"):
            read(light(self.case), classes=1000)

    def test_the_names_of_a_thousand_classes(self, read):
        arrays = light(self.case)
        arrays |= {"classifier.1.weight": np.zeros((1000, 1280)), "classifier.1.bias": np.zeros(1000)}
        assert read(arrays, classes=1000).class_names[282] == "tiger_cat"

    def test_another_width(self, read):
        with pytest.raises(ValueError, match=r"'Conv1', in Keras's order \(3, 3, 3, 16\)"):
            read(light(self.case), alpha=0.5)

    def test_arrays_are_missing(self, read):
        arrays = light(self.case)
        del arrays["features.3.conv.0.1.running_var"]
        with pytest.raises(ValueError, match="lacks 1 arrays, first 'features.3.conv.0.1.running_var'"):
            read(arrays)

    def test_numbers_that_are_no_weights(self, read):
        arrays = light(self.case)
        arrays["features.0.0.weight"] = np.zeros((32, 3, 3, 3), "int8")
        with pytest.raises(ValueError, match=r"features\.0\.0\.weight is of type int8"):
            read(arrays)

    def test_a_larger_network(self, read):
        arrays = light(self.case) | {"features.19.0.weight": np.zeros(3)}
        with pytest.raises(
            ValueError, match="has 1 more arrays of such a network, first 'features.19.0.weight'"
        ):
            read(arrays)

    def test_vgg_of_another_size(self, read):
        case = "torchvision/vgg16"
        with pytest.raises(ValueError, match=r"classifier\.0\.weight of shape \(4096, 2048\) .* 'fc1'"):
            read(light(case), case, input_shape=(96, 96, 3))

    def test_a_network_whose_names_are_not_known(self, read, tmp_path):
        read(light(self.case))
        with pytest.raises(ValueError, match="names are known of vgg16, .*not of xception.*load_onnx"):
            APPLICATIONS.Xception(weights=tmp_path / "file.pth")


class TestTwoLite0:
    """timm's two networks are told apart by the path."""

    arrays = light("timm/efficientnet_lite0")

    @pytest.mark.parametrize(
        "place, padding, preprocess",
        [
            ("efficientnet_lite0_ra-37913777.safetensors", "valid", "torch"),
            ("tf_efficientnet_lite0-0aa007d2.safetensors", "same", "tf"),
            ("models--timm--tf_efficientnet_lite0.in1k/model.safetensors", "same", "tf"),
            ("tf_efficientnet_lite0/efficientnet_lite0.safetensors", "valid", "torch"),
        ],
    )
    def test_by_its_name(self, written, tmp_path, place, padding, preprocess):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        model = ours("timm/efficientnet_lite0", written(self.arrays, place))
        assert (model.get_layer("stem_conv").padding, model.preprocess) == (padding, preprocess)

    def test_it_cannot_be_told(self, written):
        with pytest.raises(ValueError, match="Give the file or its folder one of these two names"):
            ours("timm/efficientnet_lite0", written(self.arrays, "model.safetensors"))


class TestLoadWeights:
    """Into a network that exists."""

    case = "torchvision/mobilenet_v2"

    def test_a_network_of_keras_is_refused(self, written):
        model = ours(self.case, None)
        before = model.get_weights()
        path = written(state_dict(self.case))
        with pytest.raises(
            ValueError, match=r"epsilon 0\.001 instead of 1e-05 and .* more after.*`weights='"
        ) as caught:
            model.load_weights(path)
        assert str(path) in str(caught.value)
        for mine, old in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(mine, old)

    def test_residual_networks_stride_elsewhere(self, written):
        model = APPLICATIONS.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
        with pytest.raises(
            ValueError, match=r"1\.001e-05 .*stride in their first convolution \('conv3_block1_1_conv'\)"
        ):
            torch_weights.load_weights(model, written(state_dict("torchvision/resnet50")))

    def test_one_that_was_built_for_it(self, written, tmp_path):
        path = written(state_dict(self.case))
        first = ours(self.case, path)
        x = torch_networks.images(CASES[self.case])
        wanted = first.predict(x, verbose=0)
        first.save(tmp_path / "saved.keras")
        second = keras.models.load_model(tmp_path / "saved.keras")
        np.testing.assert_array_equal(second.predict(x, verbose=0), wanted)
        assert second.preprocess == "torch"
        second.set_weights([np.zeros_like(w) for w in second.get_weights()])
        del second.preprocess
        second.load_weights(path)
        np.testing.assert_array_equal(second.predict(x, verbose=0), wanted)
        assert second.preprocess == "torch"

    @pytest.mark.parametrize("name", ["w.weights.h5", "w.h5", "w.keras"])
    def test_saved_weights_remember_whose_they_are(self, written, tmp_path, name):
        first = ours(self.case, written(state_dict(self.case)))
        path = tmp_path / name
        (first.save if name == "w.keras" else first.save_weights)(path)
        second = ours(self.case, path)
        x = torch_networks.images(CASES[self.case])
        np.testing.assert_array_equal(second.predict(x, verbose=0), first.predict(x, verbose=0))
        assert second.preprocess == "torch" and second.get_layer("bn_Conv1").epsilon == 1e-5
        with pytest.raises(ValueError, match="belong into a network that computes as PyTorch's"):
            ours(self.case, None).load_weights(path)
        second.load_weights(path)

    def test_those_of_keras_network_do_not(self, tmp_path):
        path = tmp_path / "w.weights.h5"
        ours(self.case, None).save_weights(path)
        assert APPLICATIONS.pretrained.arithmetic("mobilenet_v2", path) == KERAS
        assert ours(self.case, path).preprocess == "tf"

    def test_vgg_computes_the_same_in_both(self, written):
        case = "timm/vgg16"
        model = ours(case, None)
        assert model.preprocess == "caffe"
        model.load_weights(written(state_dict(case)))
        got = model.predict(torch_networks.images(CASES[case]), verbose=0)
        assert differs(got, RECORDED[f"{case}/answers"]) < 1e-4
        assert model.preprocess == "torch"

    def test_skip_mismatch(self, written):
        model = ours(self.case, written(state_dict(self.case)))
        other = ours(self.case, written(state_dict(self.case)), include_top=False, pooling="avg")
        head = keras.layers.Dense(3, name="predictions")(other.output)
        other = keras.Model(other.input, head)
        with pytest.raises(ValueError, match="is of classes=7"):
            other.load_weights(written(state_dict(self.case)))
        with pytest.warns(UserWarning, match="were left out"):
            other.load_weights(written(state_dict(self.case)), skip_mismatch=True)
        np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])

    def test_another_model(self, written):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="mine")])
        with pytest.raises(ValueError, match="is none of them"):
            model.load_weights(written({"mine.weight": np.zeros((2, 4), "float32")}))

    def test_no_model(self, written):
        path = written({"a": np.zeros(2)})
        with pytest.raises(ValueError, match=r"build the network with them.*ResNet50\(weights="):
            keras.models.load_model(path)


# the first network of those that share rules
FAMILIES = {
    "VGG16": "vgg16", "VGG19": "vgg19", "ResNet101": "resnet50", "DenseNet169": "densenet121",
    "MobileNetV2": "mobilenet_v2", "EfficientNetLite0": "efficientnet_lite0", "ResNet50V2": None,
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_is_known_by_its_layers(name):
    model = getattr(APPLICATIONS, name)(weights=None, include_top=False, input_shape=(32, 32, 3))
    assert torch_weights._family_of(model) == FAMILIES[name]


def test_modules_of_vgg():
    """As `print(torchvision.models.vgg19())` numbers them."""
    (rule, _) = torch_names.RULES["vgg19"]
    numbers = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    layers = [
        f"block{block}_conv{place}"
        for block, count in enumerate((2, 2, 4, 4, 4), 1)
        for place in range(1, count + 1)
    ]
    assert [rule(layer) for layer in layers] == [f"features.{number}" for number in numbers]


def test_whose_arithmetic(written, tmp_path):
    path = written({"a": np.zeros(2)})
    for network in ("vgg16", "resnet50", "mobilenet_v2_1.0_224", "densenet201"):
        assert torch_weights.arithmetic(network, path) == PYTORCH
    with pytest.raises(ValueError, match="not of resnet50v2"):
        torch_weights.arithmetic("resnet50v2", path)
    assert APPLICATIONS.pretrained.arithmetic("resnet50v2", tmp_path / "other.h5") == KERAS


class TestSafetensors:
    def test_types(self, tmp_path):
        """Written by hand: as the format's page says, eight bytes of length, JSON, numbers."""
        values = np.array([1.5, -2.0, 0.25, 3.0], "float32")
        parts = {
            "half": ("F16", values.astype("<f2").tobytes()),
            "short": ("BF16", (values.view("<u4") >> 16).astype("<u2").tobytes()),
            "full": ("F32", values.tobytes()),
            "count": ("I64", struct.pack("<q", 9)),
        }
        place, header = 0, {"__metadata__": {"format": "pt"}}
        for name, (dtype, data) in parts.items():
            shape = [] if name == "count" else [2, 2]
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + len(data)]}
            place += len(data)
        text = json.dumps(header).encode()
        path = tmp_path / "weights"
        path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, data in parts.values()))
        assert is_safetensors_file(path)
        got = load_safetensors(path)
        for name in ("half", "short", "full"):
            assert got[name].dtype == np.float32 and got[name].flags.writeable
            np.testing.assert_array_equal(got[name], values.reshape(2, 2))
        assert got["count"].shape == () and got["count"] == 9
        report = inspect.inspect(path)
        assert (report["format"], report["writer"], report["numbers"]) == ("safetensors", "PyTorch", 13)
        assert {"name": "short", "shape": [2, 2], "dtype": "bfloat16"} in report["weights"]
        assert "4 arrays, 13 numbers" in inspect.text(report)

    def test_numbers_that_numpy_lacks(self, tmp_path):
        text = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}).encode()
        path = tmp_path / "weights"
        path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0")
        with pytest.raises(ValueError, match="'w' is of type F8_E4M3"):
            load_safetensors(path)

    def test_damaged_files(self, written):
        path = written({"first": np.arange(6.0), "second": np.ones((2, 3))})
        content = path.read_bytes()
        for length in (0, 7, 8, 9, 30, len(content) - 1):
            path.write_bytes(content[:length])
            for reader in (load_safetensors, keras.models.load_model, inspect.inspect):
                with pytest.raises(ValueError, match=r"cannot be read"):
                    reader(path)
        rng = np.random.default_rng(0)
        for _ in range(200):
            changed = bytearray(content)
            for place in rng.integers(0, len(content), 3):
                changed[place] = rng.integers(0, 256)
            path.write_bytes(bytes(changed))
            try:
                arrays = load_safetensors(path)
            except ValueError as error:
                assert "must be a safetensors file" in str(error)
            else:
                assert sum(array.nbytes for array in arrays.values()) <= len(content) * 2

    def test_the_package_is_missing(self, written, monkeypatch):
        import sys

        path = written({"a": np.zeros(2)})
        monkeypatch.setitem(sys.modules, "safetensors", None)
        with pytest.raises(ImportError, match="`pip install safetensors`"):
            load_safetensors(path)
