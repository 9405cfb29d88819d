"""What MobileNets and EfficientNets can be asked for besides the usual; counts are real Keras 3.15's."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from cnnexplain import keras
from cnnexplain.keras import applications
from cnnexplain.keras.applications import imagenet_utils, keras_files
from cnnexplain.keras.saving.building import blank_weights

SMALL = {"weights": None, "input_shape": (32, 32, 3)}


@pytest.fixture(autouse=True)
def fresh_names():
    keras.backend.clear_session()


@pytest.fixture
def zeros():
    """New weights are zeros: millions of random numbers take seconds."""
    with blank_weights(1 << 32):
        yield


@pytest.mark.usefixtures("zeros")
@pytest.mark.parametrize(
    "network, settings, parameters, layers",
    [
        ("MobileNet", {"alpha": 0.35, "depth_multiplier": 2, "classes": 7}, 822_902, 91),
        ("MobileNet", {"alpha": 1.5, "include_top": False, "pooling": "max"}, 7_197_984, 87),
        ("MobileNetV2", {"alpha": 1.4, "classes": 5}, 4_372_677, 156),
        ("MobileNetV2", {"alpha": 0.35, "include_top": False, "pooling": "avg"}, 410_208, 155),
        ("MobileNetV3Small", {"alpha": 0.75, "minimalistic": True, "dropout_rate": 0.0}, 1_742_192, 109),
        ("MobileNetV3Large", {"alpha": 1.25, "classes": 3}, 6_690_563, 193),
        (
            "MobileNetV3Large",
            {"alpha": 1.25, "include_top": False, "pooling": "max", "include_preprocessing": False},
            4_764_160,
            186,
        ),
        ("EfficientNetB2", {}, 9_177_569, 342),
        ("EfficientNetV2B3", {"include_preprocessing": False}, 14_467_622, 410),
    ],
)
def test_widths_and_parts(network, settings, parameters, layers):
    model = getattr(applications, network)(**SMALL, **settings)
    assert (model.count_params(), len(model.layers)) == (parameters, layers)
    classes = settings.get("classes", 1000)
    assert not settings.get("include_top", True) or model.output_shape == (None, classes)


def test_names_tell_width_and_side():
    make = applications.MobileNet
    assert make((128, 128, 3), alpha=0.25, weights=None).name == "mobilenet_0.25_128"
    assert make(alpha=0.25, weights=None, include_top=False).name == "mobilenet_0.25_None"
    assert applications.MobileNetV2(alpha=0.35, weights=None).name == "mobilenetv2_0.35_224"
    assert applications.MobileNetV2((96, 64, 3), 0.35, weights=None, name="mine").name == "mine"
    around = keras.Input((96, 96, 3))
    model = applications.MobileNetV2(alpha=0.35, weights=None, input_tensor=around)
    assert model.name == "mobilenetv2_0.35_96" and model.input_shape == (None, 96, 96, 3)


def test_mobilenet_v3_takes_images_of_any_size():
    model = applications.MobileNetV3Small(weights=None, minimalistic=True, classes=4)
    assert model.input_shape == (None, None, None, 3)
    for shape in ((1, 32, 32, 3), (1, 45, 61, 3)):
        assert model.predict(np.zeros(shape, "float32"), verbose=0).shape == (1, 4)


@pytest.mark.parametrize(
    "network, outside",
    [
        ("MobileNetV3Small", lambda x: x / 127.5 - 1),
        ("EfficientNetV2B0", lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("EfficientNetV2S", lambda x: x / 128 - 1),
    ],
)
def test_preprocessing_inside_or_outside(network, outside):
    settings = {**SMALL, "include_top": False, "pooling": "avg"}
    inside = getattr(applications, network)(**settings)
    with blank_weights(1 << 32):
        plain = getattr(applications, network)(**settings, include_preprocessing=False)
    plain.set_weights(inside.get_weights())
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    seen = outside(x).astype("float32")
    got, wanted = plain.predict(seen, verbose=0), inside.predict(x, verbose=0)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())
    assert inside.preprocess == "none"
    assert plain.preprocess == ("torch" if network == "EfficientNetV2B0" else "tf")


def test_imagenet_weights_need_a_matching_network():
    for make, settings, message in (
        (applications.MobileNet, {"alpha": 0.3}, "`alpha` must be one of 0.25, 0.5, 0.75, 1.0"),
        (applications.MobileNet, {"depth_multiplier": 2}, "`depth_multiplier` must be 1"),
        (applications.MobileNet, {"input_shape": (100, 100, 3)}, "must be .*, .224, 224, 3.[.]"),
        (applications.MobileNet, {"classifier_activation": "relu"}, "must be None or 'softmax'"),
        (applications.MobileNetV2, {"alpha": 0.6}, "`alpha` must be one of 0.35"),
        (applications.MobileNetV3Large, {"alpha": 0.5}, "`alpha` must be 0.75 or 1.0"),
        (applications.MobileNetV3Small, {"alpha": 0.75, "minimalistic": True}, "1.0 if minimalistic"),
        (applications.EfficientNetB1, {"input_shape": (224, 224, 3)}, "must be .*, .240, 240, 3.[.]"),
        (applications.EfficientNetV2S, {"classes": 4}, "`classes` must be 1000"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**settings)


def test_input_shape_and_tensor_agree():
    around = keras.Input((96, 96, 3))
    for make in (applications.MobileNetV2, applications.MobileNetV3Small):
        with pytest.raises(ValueError, match="must be the shape of `input_tensor`"):
            make((64, 64, 3), weights=None, input_tensor=around)
        with pytest.raises(ValueError, match="must be a KerasTensor"):
            make((64, 64, 3), weights=None, input_tensor=3)
    with pytest.raises(ValueError, match="at least 32x32"):
        applications.MobileNetV3Small(weights=None, input_tensor=keras.Input((16, 48, 3)))


class _Asked(Exception):
    pass


@pytest.fixture
def asked(monkeypatch):
    """The name of the file that a network asks for."""

    def ask(name, origin, cache_subdir, file_hash):
        raise _Asked(name)

    monkeypatch.setattr(keras_files, "get_file", ask)

    def of(make, **settings):
        with pytest.raises(_Asked) as caught:
            make(**settings)
        return caught.value.args[0]

    return of


def test_the_file_of_a_width_and_a_side(asked):
    make, settings = applications.MobileNet, {"input_shape": (160, 160, 3)}
    assert asked(make, **settings, alpha=0.5) == "mobilenet_5_0_160_tf.h5"
    assert asked(make, **settings, include_top=False) == "mobilenet_1_0_160_tf_no_top.h5"
    stem = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
    assert asked(applications.MobileNetV2, alpha=1) == f"{stem}_1.0_224.h5"
    assert asked(applications.MobileNetV2, alpha=0.35, input_shape=(96, 96, 3)) == f"{stem}_0.35_96.h5"
    name = asked(applications.MobileNetV3Large, minimalistic=True, include_top=False)
    assert name == "weights_mobilenet_v3_large_minimalistic_224_1.0_float_no_top_v2.h5"
    assert asked(applications.EfficientNetB3, include_top=False, name="mine") == "efficientnetb3_notop.h5"
    assert asked(applications.EfficientNetV2L) == "efficientnetv2-l.h5"


def test_weights_of_another_side_come_with_a_warning(asked):
    with pytest.warns(UserWarning, match="for 224 x 224 are loaded"):
        name = asked(applications.MobileNet, include_top=False, input_shape=(100, 100, 3))
    assert name == "mobilenet_1_0_224_tf_no_top.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked(applications.MobileNetV2, include_top=False, input_shape=(128, 128, 3))


def test_efficientnet_divides_once_more_for_imagenet_weights(tmp_path, monkeypatch):
    """Those were trained on inputs that are divided by the variance; three numbers, 1 / sqrt(std)."""
    settings = {"include_top": False, "input_shape": (32, 32, 3)}
    plain = applications.EfficientNetB0(weights=None, **settings)
    path = tmp_path / "weights.npz"
    plain.save_weights(path)
    monkeypatch.setattr(keras_files, "get_file", lambda *asking, **more: str(path))
    model = applications.EfficientNetB0(**settings)
    scales = [layer.scale for layer in model.layers if isinstance(layer, keras.layers.Rescaling)]
    assert scales[0] == 1 / 255
    np.testing.assert_allclose(scales[1], np.array([0.229, 0.224, 0.225]) ** -0.5)
    assert len(model.layers) == len(plain.layers) + 1
    assert len(applications.EfficientNetB0(weights=path, **settings).layers) == len(plain.layers)


@pytest.mark.parametrize("side, before", [(8, 0), (9, 1), (None, 0)])
def test_zeros_before_a_stride_are_those_of_same_padding(side, before):
    """Keras's "same" puts the odd zero at the end: of 8 pixels in steps of 2, a 3x3 kernel needs 0 + 1."""
    assert imagenet_utils.correct_pad(keras.Input((side, side, 3)), 3) == ((before, 1), (before, 1))


@pytest.mark.parametrize("network", ["MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0"])
def test_channels_first_gives_the_same(network):
    x = np.random.default_rng(0).uniform(-1, 1, (1, 33, 40, 3)).astype("float32")
    settings = {"weights": None, "classifier_activation": None, "classes": 5}
    last = getattr(applications, network)(**settings, input_shape=(33, 40, 3))
    try:
        keras.config.set_image_data_format("channels_first")
        first = getattr(applications, network)(**settings, input_shape=(3, 33, 40))
        first.set_weights(last.get_weights())
        got = first.predict(x.transpose(0, 3, 1, 2), verbose=0)
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_allclose(got, last.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("zeros")
class TestSettings:
    """What outputs do not show: shares dropped and momentum."""

    @pytest.mark.parametrize(
        "network, rates",
        [
            # 0.2 * place / all blocks
            (
                "EfficientNetB0",
                {"block2b_drop": 0.2 * 2 / 16, "block6d_drop": 0.2 * 14 / 16, "top_dropout": 0.2},
            ),
            ("EfficientNetB4", {"block1b_drop": 0.2 / 32, "block7b_drop": 0.2 * 31 / 32, "top_dropout": 0.4}),
            # of the blocks before they are multiplied by the depth
            (
                "EfficientNetV2B1",
                {"block2b_drop": 0.2 * 3 / 21, "block6i_drop": 0.2 * 26 / 21, "top_dropout": 0.2},
            ),
            ("MobileNet", {"dropout": 0.001}),
            ("MobileNetV3Small", {"dropout": 0.2}),
        ],
    )
    def test_dropout(self, network, rates):
        model = getattr(applications, network)(**SMALL)
        for name, rate in rates.items():
            layer = model.get_layer(name)
            assert layer.rate == pytest.approx(rate), name
            assert layer.noise_shape == ((None, 1, 1, 1) if name.startswith("block") else None)

    @pytest.mark.parametrize(
        "network, momentum",
        [
            ("MobileNet", 0.99),
            ("MobileNetV2", 0.999),
            ("MobileNetV3Large", 0.999),
            ("EfficientNetB0", 0.99),
            ("EfficientNetV2B0", 0.9),
        ],
    )
    def test_momentum_and_epsilon(self, network, momentum):
        model = getattr(applications, network)(**SMALL)
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert {(norm.momentum, norm.epsilon) for norm in norms} == {(momentum, 1e-3)}

    @pytest.mark.parity
    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        "network",
        [
            "MobileNet",
            "MobileNetV2",
            "MobileNetV3Small",
            "MobileNetV3Large",
            "EfficientNetB0",
            "EfficientNetB3",
        ]
        + ["EfficientNetV2B0", "EfficientNetV2B3", "EfficientNetV2S"],
    )
    def test_every_layer_is_described_as_in_keras(self, network):
        theirs = pytest.importorskip("keras")
        described = []
        for library in (keras, theirs):
            library.backend.clear_session()
            model = getattr(library.applications, network)(**SMALL)
            configs = [layer.get_config() for layer in model.layers]
            described.append([json.dumps(config, sort_keys=True, default=str) for config in configs])
        assert described[0] == described[1]
