"""Every network of `keras.applications`: what an explanation must find in it without being told.

`python tests/keras/applications.py [name ...]` compares them with real Keras, which must be installed with
TensorFlow, and writes their rows of docs/applications.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from cnnexplain.environment import cpu_name

PAGE = Path(__file__).resolve().parents[2] / "docs" / "applications.md"


@dataclass(frozen=True)
class Application:
    """What is known of a network, written by hand.

    Attributes:
        size: height and width of the images in the tests: small, uneven, the last map larger than a pixel.
        layer: the last convolutional layer, which `grad_cam` explains by default.
        preprocess: how its `preprocess_input`, or the network itself ("none"), treats pixels 0..255.
        module: of `keras.applications`, with its `preprocess_input`.
        cam: None where the original CAM applies; otherwise what lies between the maps and the classes.
        in_keras: whether real Keras has it.
        long: whether the comparison with Keras takes more than a few seconds.
        gain: variance of the kernels in the tests, times how many numbers a value is the sum of; with it the
            maps neither vanish nor grow.
    """

    size: tuple[int, int]
    layer: str
    preprocess: str
    module: str
    cam: str | None = None
    in_keras: bool = True
    long: bool = False
    gain: float = 2.0


_SMALL = (64, 67)
_INCEPTION = (107, 109)


def _efficient(version: str, layer: str = "top_activation", **more: Any) -> Application:
    return Application(_SMALL, layer, "none", version, **more)


def _convnext(size: str, block: int, **more: Any) -> Application:
    last = "add" if block == 0 else f"add_{block}"
    return Application(_SMALL, last, "none", "convnext", f"convnext_{size}_head_layernorm", **more)


APPLICATIONS = {
    "AlexNet": Application((115, 127), "relu5", "caffe", "alexnet", "relu7", in_keras=False),
    "ConvNeXtBase": _convnext("base", 35, long=True),
    "ConvNeXtLarge": _convnext("large", 35, long=True),
    "ConvNeXtSmall": _convnext("small", 35, long=True),
    "ConvNeXtTiny": _convnext("tiny", 17),
    "ConvNeXtXLarge": _convnext("xlarge", 35, long=True),
    "DenseNet121": Application(_SMALL, "relu", "torch", "densenet"),
    "DenseNet169": Application(_SMALL, "relu", "torch", "densenet", long=True),
    "DenseNet201": Application(_SMALL, "relu", "torch", "densenet", long=True),
    "EfficientNetB0": _efficient("efficientnet", gain=2.2),
    "EfficientNetB1": _efficient("efficientnet", gain=2.0),
    "EfficientNetB2": _efficient("efficientnet", gain=2.0),
    "EfficientNetB3": _efficient("efficientnet", long=True),
    "EfficientNetB4": _efficient("efficientnet", long=True),
    "EfficientNetB5": _efficient("efficientnet", long=True, gain=1.8),
    "EfficientNetB6": _efficient("efficientnet", long=True, gain=1.8),
    "EfficientNetB7": _efficient("efficientnet", long=True, gain=1.7),
    "EfficientNetLite0": Application(_SMALL, "top_activation", "lite", "efficientnet_lite", in_keras=False),
    "EfficientNetV2B0": _efficient("efficientnet_v2", gain=1.5),
    "EfficientNetV2B1": _efficient("efficientnet_v2", gain=1.4),
    "EfficientNetV2B2": _efficient("efficientnet_v2", long=True, gain=1.4),
    "EfficientNetV2B3": _efficient("efficientnet_v2", long=True, gain=1.4),
    "EfficientNetV2L": _efficient("efficientnet_v2", long=True, gain=1.2),
    "EfficientNetV2M": _efficient("efficientnet_v2", long=True, gain=1.25),
    "EfficientNetV2S": _efficient("efficientnet_v2", long=True, gain=1.3),
    "InceptionResNetV2": Application(
        _INCEPTION, "conv_7b_ac", "tf", "inception_resnet_v2", long=True, gain=1.5
    ),
    "InceptionV3": Application(_INCEPTION, "mixed10", "tf", "inception_v3"),
    "MobileNet": Application(_SMALL, "conv_pw_13_relu", "tf", "mobilenet"),
    "MobileNetV2": Application(_SMALL, "out_relu", "tf", "mobilenet_v2"),
    "MobileNetV3Large": Application(
        _SMALL, "activation_19", "none", "mobilenet_v3", "activation_20", gain=1.6
    ),
    "MobileNetV3Small": Application(
        _SMALL, "activation_17", "none", "mobilenet_v3", "activation_18", gain=1.8
    ),
    "NASNetLarge": Application(_SMALL, "activation_259", "tf", "nasnet", long=True, gain=1.1),
    "NASNetMobile": Application(_SMALL, "activation_187", "tf", "nasnet", gain=1.2),
    "ResNet101": Application(_SMALL, "conv5_block3_out", "caffe", "resnet", long=True, gain=1.0),
    "ResNet101V2": Application(_SMALL, "post_relu", "tf", "resnet_v2", long=True, gain=1.0),
    "ResNet152": Application(_SMALL, "conv5_block3_out", "caffe", "resnet", long=True, gain=1.0),
    "ResNet152V2": Application(_SMALL, "post_relu", "tf", "resnet_v2", long=True, gain=1.0),
    "ResNet50": Application(_SMALL, "conv5_block3_out", "caffe", "resnet50", gain=1.2),
    "ResNet50V2": Application(_SMALL, "post_relu", "tf", "resnet_v2", gain=1.2),
    "VGG16": Application(_SMALL, "block5_conv3", "caffe", "vgg16", "fc2"),
    "VGG19": Application(_SMALL, "block5_conv4", "caffe", "vgg19", "fc2", long=True),
    "Xception": Application((71, 75), "block14_sepconv2_act", "tf", "xception", gain=1.2),
    "ZFNet": Application((115, 127), "relu5", "caffe", "zfnet", "relu7", in_keras=False),
}
RECORDED = ("DenseNet121", "EfficientNetB0", "MobileNet", "MobileNetV3Small", "NASNetMobile", "ResNet50V2")


def build(keras: Any, name: str, **arguments: Any) -> Any:
    """The network as in a fresh session, for small images, giving logits."""
    keras.backend.clear_session()
    arguments = {"weights": None, "classifier_activation": None} | arguments
    return getattr(keras.applications, name)(input_shape=(*APPLICATIONS[name].size, 3), **arguments)


def picture(name: str, count: int = 1) -> np.ndarray:
    """Images of coarse patches as the network takes them: -1..1, or pixels where it scales them itself."""
    height, width = APPLICATIONS[name].size
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    patches = rng.uniform(-1, 1, (count, 4, 4, 3)).repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)
    x = patches[:, :height, :width] * 0.9 + rng.uniform(-0.1, 0.1, (count, height, width, 3))
    return x * 127.5 + 127.5 if APPLICATIONS[name].preprocess == "none" else x


def fill(model: Any, name: str) -> None:
    """Gives every weight values from the network's name and its place, statistics included."""
    model.set_weights(_values(name, tuple((weight.name, tuple(weight.shape)) for weight in model.weights)))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
        # Keras on TensorFlow rounds Python numbers to float32, also where the network is float64
        for constant in _CONSTANTS.get(type(layer).__name__, ()):
            if getattr(layer, constant) is not None:
                setattr(layer, constant, np.float32(getattr(layer, constant)).tolist())


_CONSTANTS = {"Rescaling": ["scale", "offset"], "Normalization": ["input_mean", "input_variance"]}


@lru_cache(maxsize=1)
def _values(name: str, weights: tuple[tuple[str, tuple[int, ...]], ...]) -> list[np.ndarray]:
    """float32 values of weights of these names and shapes; both sides ask one after the other."""
    seed, gain = zlib.crc32(name.encode()), APPLICATIONS[name].gain
    return [
        _scaled(np.random.default_rng([seed, place]).standard_normal(shape, np.float32), role, gain)
        for place, (role, shape) in enumerate(weights)
    ]


def _scaled(values: np.ndarray, role: str, gain: float) -> np.ndarray:
    """Standard normal values as this kind of weight."""
    if role == "count":
        return np.zeros(values.shape, np.int32)
    if role in ("moving_variance", "variance"):
        return 0.6 + np.abs(values) / 2
    if role == "gamma":
        return 1 + values / 8
    if "kernel" not in role:
        return values / 8
    shape = values.shape
    depthwise = len(shape) == 4 and shape[-1] == 1
    fan_in = int(np.prod(shape[:2] if depthwise else shape[:-1]))
    return values * np.float32(np.sqrt(gain / fan_in))


def architecture(model: Any) -> dict[str, Any]:
    """Names and shapes of layers and weights: their digests, and what can be read."""

    def digest(lines: list[str]) -> str:
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]

    layers = [f"{type(layer).__name__} {layer.name} {_shape(layer.output)}" for layer in model.layers]
    weights = [f"{weight.name} {tuple(weight.shape)}" for weight in model.weights]
    return {
        "name": model.name,
        "parameters": int(model.count_params()),
        "layers": len(layers),
        "layers_digest": digest(layers),
        "operations_digest": digest([operation.name for operation in model.operations]),
        "weights": len(weights),
        "weights_digest": digest(weights),
    }


def _shape(output: Any) -> Any:
    return [tuple(o.shape) for o in output] if isinstance(output, (list, tuple)) else tuple(output.shape)


def direction(count: int, classes: int = 1000) -> np.ndarray:
    """What the logits are multiplied with before their sum's gradient is taken."""
    return np.random.default_rng(1).standard_normal((count, classes))


def measure(tf: Any, model: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits, and the gradient at the image of their sum times `direction`."""
    images = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = model(images, training=False)
        score = tf.reduce_sum(logits * tf.constant(direction(*logits.shape).astype(x.dtype)))
    return np.asarray(logits), np.asarray(tape.gradient(score, images))


def run(tf: Any, keras: Any, name: str, dtype: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Builds the network in this float type; its architecture, and what `measure` gives."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        model = build(keras, name)
        fill(model, name)
        return architecture(model), *measure(tf, model, picture(name).astype(dtype))
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    assert ours.shape == theirs.shape and np.isfinite(theirs).all(), (ours.shape, theirs.shape)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def _keras() -> tuple[Any, Any]:
    """TensorFlow and Keras, quiet."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import keras
    import tensorflow as tf

    return tf, keras


def _gelu(tf: Any, dtype: str) -> Any:
    """Within it gelu is float64 in a float64 network: TensorFlow rounds the root of 2 in it to float32."""

    def gelu(features: Any, approximate: bool = False, name: Any = None) -> Any:
        assert not approximate
        return 0.5 * features * (1 + tf.math.erf(features / tf.constant(math.sqrt(2), features.dtype)))

    return mock.patch.object(tf.nn, "gelu", gelu) if dtype == "float64" else contextlib.nullcontext()


def differences(tf: Any, theirs: Any, name: str) -> dict[str, float]:
    """How far outputs and input gradients lie from Keras's, relative to the largest value."""
    import cnnexplain as cx

    found = {}
    for dtype in ("float32", "float64"):
        with _gelu(tf, dtype):
            their_architecture, *their_values = run(tf, theirs, name, dtype)
        our_architecture, *our_values = run(cx, cx.keras, name, dtype)
        assert our_architecture == their_architecture, name
        for what, ours, wanted in zip(("outputs", "gradients"), our_values, their_values, strict=True):
            found[f"{dtype} {what}"] = distance(ours, wanted)
    del found["float32 gradients"]  # a ReLU that switches on by rounding changes them
    return found


_INTRODUCTION = """\
# The networks of keras.applications

Every image network of Keras {keras}, with its arguments, layer names and weights, and three that Keras has
not: EfficientNetLite0, AlexNet and ZFNet. `cx.explain.grad_cam(model, image)` needs no further argument:
files and PIL images are preprocessed as the network wants them, the default layer is the last map before the
pooling that the classifier reads, and `cam` applies or says which layer stands in its way.

- "parameters" and "layers" are those at the default image size, with 1,000 classes.
- "pixels" is `model.preprocess`: "caffe" (BGR minus ImageNet's means), "tf" (to -1..1), "torch" (to 0..1,
  then by mean and deviation), "lite" ((x - 127) / 128), "none" (0..255: the network itself scales them).
- The last three columns are the largest differences from Keras on TensorFlow {tensorflow}, relative to the
  largest value, with random weights and statistics on small images of uneven sides: outputs in float32 and in
  float64, gradients at the image in float64.

`python tests/keras/applications.py` wrote this page, on {cpu}.
`pytest tests/keras/test_applications.py` checks its rows without Keras, and
`pytest -m parity tests/keras/test_applications_parity.py` compares again.

| network | parameters | layers | default layer | pixels | CAM | float32 | float64 | gradients |
|---|---:|---:|---|---|---|---:|---:|---:|
"""


def row(name: str, found: dict[str, float]) -> str:
    """A network's line of the table."""
    from cnnexplain import keras
    from cnnexplain.keras.saving.building import blank_weights

    known = APPLICATIONS[name]
    keras.backend.clear_session()
    with blank_weights(1 << 32):
        model = getattr(keras.applications, name)(weights=None)
    cells = [name, f"{model.count_params():,}", str(len(model.layers)), f"`{known.layer}`", known.preprocess]
    cells.append("yes" if known.cam is None else f"no: `{known.cam}`")
    for key in ("float32 outputs", "float64 outputs", "float64 gradients"):
        cells.append(f"{found[key]:.0e}" if key in found else "")
    return "| " + " | ".join(cells) + " |\n"


def main() -> None:
    """Writes the page; names on the command line: only their rows anew."""
    tf, keras = _keras()
    facts = {"keras": keras.__version__, "tensorflow": tf.__version__, "cpu": cpu_name()}
    rows = {}
    for line in PAGE.read_text().splitlines(keepends=True) if sys.argv[1:] else ():
        rows[line.split(" | ")[0].removeprefix("| ")] = line
    for name in sys.argv[1:] or APPLICATIONS:
        rows[name] = row(name, differences(tf, keras, name) if APPLICATIONS[name].in_keras else {})
        print(rows[name], end="", flush=True)
    PAGE.write_text(_INTRODUCTION.format(**facts) + "".join(rows[name] for name in APPLICATIONS))


if __name__ == "__main__":
    main()
