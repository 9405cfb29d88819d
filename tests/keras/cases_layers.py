"""Layers at odd sizes, with every padding, stride, dilation and data format."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

# Where TensorFlow goes through float32 on its way.
LOOSE = {
    "up_bilinear_odd": 1e-5,
    "up_bicubic": 2e-5,
    "up_lanczos3": 2e-5,
    "up_lanczos5": 2e-5,
}

LAYERS: dict[str, tuple] = {}
FUNCTIONS: dict[str, Any] = {}


def _windowed(
    keras: Any, kind: str, *arguments: Any, data_format: str = "channels_last", **settings: Any
) -> Any:
    """The layer; TensorFlow's convolutions and pools take channels_first on graphics cards alone, so there
    the data goes through a channels_last layer and back."""
    make = getattr(keras.layers, kind)
    if data_format == "channels_last" or keras.__name__ != "keras":
        return make(*arguments, data_format=data_format, **settings)
    orders = ((2, 1), (2, 1)) if "1D" in kind else ((2, 3, 1), (3, 1, 2))
    return keras.Sequential(
        [keras.layers.Permute(orders[0]), make(*arguments, **settings), keras.layers.Permute(orders[1])]
    )


def _add(name: str, make: Any, *shapes: tuple, **keywords: Any) -> None:
    LAYERS[name] = (make, list(shapes), keywords)


# Convolutions of images
for _padding, (_stride, _dilation) in itertools.product(
    ("valid", "same"), ((1, 1), (2, 1), ((1, 3), 1), (1, 2), (1, (2, 1)))
):
    for _format in ("last", "first") if _padding == "same" else ("last",):
        _shape = (1, 7, 6, 2) if _format == "last" else (1, 2, 7, 6)
        _settings = {
            "strides": _stride,
            "dilation_rate": _dilation,
            "padding": _padding,
            "data_format": f"channels_{_format}",
        }
        _end = f"{_padding}_s{_stride}_d{_dilation}_{_format}".replace(" ", "")
        _add(f"conv2d_{_end}", lambda k, s=_settings: _windowed(k, "Conv2D", 2, (3, 2), **s), _shape)
        if isinstance(_stride, int) and isinstance(_dilation, int):
            _add(
                f"depthwise2d_{_end}",
                lambda k, s=_settings: _windowed(k, "DepthwiseConv2D", (2, 3), **s),
                _shape,
            )
            _add(
                f"separable2d_{_end}",
                lambda k, s=_settings: _windowed(k, "SeparableConv2D", 2, 3, depth_multiplier=2, **s),
                _shape,
            )
        if _dilation == 1:
            _add(
                f"transpose2d_{_end}",
                lambda k, s=_settings: _windowed(k, "Conv2DTranspose", 2, (3, 4), **s),
                _shape,
            )
_add(
    "conv2d_groups_stride",
    lambda k: k.layers.Conv2D(4, 3, groups=2, strides=2, padding="same", activation="softmax"),
    (2, 7, 5, 4),
)
_add("conv2d_window_of_image", lambda k: k.layers.Conv2D(3, (5, 4), use_bias=False), (2, 5, 4, 2))
_add("conv2d_1x1_stride", lambda k: k.layers.Conv2D(3, 1, strides=2, padding="same"), (2, 5, 4, 2))
_add(
    "transpose2d_output_padding",
    lambda k: k.layers.Conv2DTranspose(2, 3, strides=(2, 3), output_padding=(1, 2)),
    (2, 4, 3, 3),
)
_add(
    "transpose2d_small_window",
    lambda k: k.layers.Conv2DTranspose(2, 1, strides=2, padding="same"),
    (2, 4, 3, 3),
)

# Convolutions of sequences
for _padding, (_stride, _dilation) in itertools.product(
    ("valid", "same", "causal"), ((1, 1), (2, 1), (1, 3))
):
    for _format in ("last", "first") if _padding == "same" else ("last",):
        _shape = (2, 11, 3) if _format == "last" else (2, 3, 11)
        _settings = {
            "strides": _stride,
            "dilation_rate": _dilation,
            "padding": _padding,
            "data_format": f"channels_{_format}",
        }
        _end = f"{_padding}_s{_stride}_d{_dilation}_{_format}"
        _add(
            f"conv1d_{_end}",
            lambda k, s=_settings: _windowed(k, "Conv1D", 2, 3, activation="tanh", **s),
            _shape,
        )
        if _padding != "causal":
            _add(
                f"depthwise1d_{_end}",
                lambda k, s=_settings: _windowed(k, "DepthwiseConv1D", 4, depth_multiplier=2, **s),
                _shape,
            )
            _add(
                f"separable1d_{_end}",
                lambda k, s=_settings: _windowed(k, "SeparableConv1D", 2, 3, **s),
                _shape,
            )
            if _dilation == 1:
                _add(
                    f"transpose1d_{_end}",
                    lambda k, s=_settings: _windowed(k, "Conv1DTranspose", 2, 4, **s),
                    _shape,
                )
_add("conv1d_groups", lambda k: k.layers.Conv1D(4, 3, groups=2, use_bias=False), (2, 7, 4))
_add(
    "transpose1d_output_padding",
    lambda k: k.layers.Conv1DTranspose(2, 3, strides=2, output_padding=1),
    (2, 4, 3),
)

# Pooling
for _padding, _stride, _format in itertools.product(("valid", "same"), (None, 1, 3), ("last", "first")):
    _settings = {"strides": _stride, "padding": _padding, "data_format": f"channels_{_format}"}
    if _format == "first" and _padding == "valid":
        continue
    _end = f"{_padding}_{_stride}_{_format}"
    _image = (1, 7, 8, 2) if _format == "last" else (1, 2, 7, 8)
    _sequence = (2, 9, 2) if _format == "last" else (2, 2, 9)
    for _kind in ("Max", "Average"):
        _add(
            f"{_kind.lower()}_pooling2d_{_end}",
            lambda k, s=_settings, n=_kind: _windowed(k, f"{n}Pooling2D", (2, 3), **s),
            _image,
        )
        _add(
            f"{_kind.lower()}_pooling1d_{_end}",
            lambda k, s=_settings, n=_kind: _windowed(k, f"{n}Pooling1D", 2, **s),
            _sequence,
        )
for _kind, _keep, _format in itertools.product(("Max", "Average"), (True, False), ("last", "first")):
    _settings = {"keepdims": _keep, "data_format": f"channels_{_format}"}
    for _rank, _shape in ((1, (2, 5, 3)), (2, (2, 5, 3, 4))):
        _add(
            f"global_{_kind.lower()}_{_rank}d_{'keep_' if _keep else ''}{_format}",
            lambda k, s=_settings, n=f"Global{_kind}Pooling{_rank}D": getattr(k.layers, n)(**s),
            _shape,
        )
# TensorFlow's gradient of a pool over the whole image holds memory that nobody wrote: 1 for averages alone.
for _kind, _size in (("Average", 1), *itertools.product(("Max", "Average"), (2, 3, 5))):
    _add(
        f"adaptive_{_kind.lower()}_1d_{_size}",
        lambda k, n=f"Adaptive{_kind}Pooling1D", s=_size: getattr(k.layers, n)(s),
        (2, 7, 3),
    )
    _add(
        f"adaptive_{_kind.lower()}_2d_{_size}",
        lambda k, n=f"Adaptive{_kind}Pooling2D", s=_size: getattr(k.layers, n)((s, 4)),
        (1, 7, 10, 2),
    )
    _add(
        f"adaptive_{_kind.lower()}_first_{_size}",
        lambda k, n=f"Adaptive{_kind}Pooling2D", s=_size: getattr(k.layers, n)(
            s, data_format="channels_first"
        ),
        (1, 2, 5, 8),
    )

# Normalization
for _axis, _training in itertools.product((-1, 1, 2), (True, False)):
    _add(
        f"batch_norm_axis{_axis}_{'training' if _training else 'inference'}",
        lambda k, a=_axis: k.layers.BatchNormalization(axis=a, momentum=0.75, epsilon=0.01),
        (3, 4, 5, 2),
        training=_training,
    )
_add("batch_norm_rank2", lambda k: k.layers.BatchNormalization(center=False), (5, 3), training=True)
_add("batch_norm_rank3", lambda k: k.layers.BatchNormalization(scale=False), (4, 3, 2), training=True)
_MASK = np.array([[True, False, True, True], [True, True, False, False], [False, True, True, True]])
for _axis in (-1, 1):
    _add(
        f"batch_norm_mask_axis{_axis}",
        lambda k, a=_axis: k.layers.BatchNormalization(axis=a, momentum=0.75),
        (3, 4, 2),
        training=True,
        mask=_MASK,
    )
for _axis in (-1, 1, (1, 2), (2, 3), (1, 2, 3)):
    _add(
        f"layer_norm_axis{_axis}".replace(" ", ""),
        lambda k, a=_axis: k.layers.LayerNormalization(axis=a, epsilon=0.01),
        (3, 4, 5, 2),
    )
_add("rms_norm", lambda k: k.layers.RMSNormalization(epsilon=0.01), (3, 4, 5))
_add("rms_norm_axes", lambda k: k.layers.RMSNormalization(axis=(2, 3), epsilon=0.01), (3, 4, 5, 2))
_add("layer_norm_plain", lambda k: k.layers.LayerNormalization(center=False, scale=False), (3, 5))
for _groups, _axis, _shape in (
    (2, -1, (2, 5, 3, 4)),
    (4, -1, (2, 5, 3, 4)),
    (-1, -1, (2, 5, 3, 4)),
    (1, -1, (2, 5, 4)),
    (2, 1, (2, 4, 5, 3)),
    (2, 2, (2, 3, 4, 5)),
    (3, -1, (2, 6)),
):
    _add(
        f"group_norm_{_groups}_axis{_axis}_{len(_shape)}",
        lambda k, g=_groups, a=_axis: k.layers.GroupNormalization(g, axis=a),
        _shape,
    )
for _training in (True, False):
    _add(
        f"spectral_conv_{'training' if _training else 'inference'}",
        lambda k: k.layers.SpectralNormalization(k.layers.Conv2D(2, 3), power_iterations=2),
        (2, 5, 6, 2),
        training=_training,
    )
_add("spectral_dense", lambda k: k.layers.SpectralNormalization(k.layers.Dense(3)), (2, 4), training=True)
_add("unit_norm", lambda k: k.layers.UnitNormalization(), (3, 4, 2))
_add("unit_norm_axes", lambda k: k.layers.UnitNormalization(axis=[1, 2]), (3, 4, 2))
_add(
    "normalization_axis1",
    lambda k: k.layers.Normalization(axis=1, mean=[1.0, 2.0], variance=[3.0, 4.0]),
    (3, 2, 4),
)
_add(
    "normalization_all",
    lambda k: k.layers.Normalization(axis=None, mean=1.0, variance=4.0, invert=True),
    (3, 2),
)

# Dense networks
_add("dense_plain", lambda k: k.layers.Dense(3, use_bias=False), (4, 5))
_add("dense_softmax", lambda k: k.layers.Dense(3, activation="softmax"), (2, 4, 5))
for _equation, _output, _bias, _shape in (
    ("ab,bc->ac", 4, "c", (3, 5)),
    ("abc,cd->abd", (None, 4), "d", (3, 2, 5)),
    ("abc,cd->abd", (2, 4), "bd", (3, 2, 5)),
    ("...x,xy->...y", 4, "y", (3, 2, 2, 5)),
    ("abc,cde->abde", (None, 2, 3), "de", (2, 3, 4)),
    ("abcd,cde->abe", (None, 3), None, (2, 3, 2, 4)),
    ("ab...,bc->ac...", 3, "c", (2, 4, 3, 2)),
    ("abc,bd->adc", (3, 5), "d", (2, 4, 5)),
):
    _add(
        f"einsum_{_equation}_{_bias}".replace(",", "_").replace("->", "_").replace("...", "x"),
        lambda k, e=_equation, o=_output, b=_bias: k.layers.EinsumDense(e, o, bias_axes=b, activation="tanh"),
        _shape,
    )

# Reshaping
_add("zero_padding1d", lambda k: k.layers.ZeroPadding1D((1, 3)), (2, 4, 3))
_add("zero_padding1d_first", lambda k: k.layers.ZeroPadding1D(2, data_format="channels_first"), (2, 4, 3))
_add(
    "zero_padding2d_first",
    lambda k: k.layers.ZeroPadding2D((1, 2), data_format="channels_first"),
    (2, 3, 4, 5),
)
_add("cropping1d", lambda k: k.layers.Cropping1D((2, 1)), (2, 6, 3))
_add("cropping1d_end", lambda k: k.layers.Cropping1D((2, 0)), (2, 6, 3))
_add(
    "cropping2d_first",
    lambda k: k.layers.Cropping2D(((1, 0), (0, 2)), data_format="channels_first"),
    (2, 3, 4, 5),
)
_add("up1d", lambda k: k.layers.UpSampling1D(3), (2, 4, 3))
_add("up2d_first", lambda k: k.layers.UpSampling2D((3, 2), data_format="channels_first"), (2, 3, 4, 5))
_add("up_bilinear_odd", lambda k: k.layers.UpSampling2D((3, 2), interpolation="bilinear"), (2, 3, 5, 2))
_add("reshape_flat", lambda k: k.layers.Reshape((-1,)), (2, 3, 4))
_add("permute_sequence", lambda k: k.layers.Permute((2, 1)), (2, 3, 4))
_add("repeat_vector", lambda k: k.layers.RepeatVector(3), (2, 4))
_add("flatten_rank2", lambda k: k.layers.Flatten(), (2, 4))
_add("flatten_sequence_first", lambda k: k.layers.Flatten(data_format="channels_first"), (2, 3, 4))

# Activations
_add("relu_plain", lambda k: k.layers.ReLU(), (4, 9))
_add("relu_limit", lambda k: k.layers.ReLU(max_value=1.0, threshold=0.5), (4, 9))
_add("leaky_relu_slope", lambda k: k.layers.LeakyReLU(negative_slope=0.25), (4, 9))
_add("elu_far", lambda k: k.layers.ELU(), (4, 9))
_add("prelu_own", lambda k: k.layers.PReLU(), (3, 4, 2))
_add("softmax_two_axes", lambda k: k.layers.Softmax(axis=(1, 2)), (3, 4, 2))

# Merging
for _kind in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
    _add(f"{_kind.lower()}_three", lambda k, n=_kind: getattr(k.layers, n)(), (2, 3, 4), (2, 1, 4), (2, 3, 1))
_add("subtract_ranks", lambda k: k.layers.Subtract(), (2, 3, 4), (2, 1, 1))
_add(
    "concatenate_many", lambda k: k.layers.Concatenate(), *[(2, 3, n) for n in (1, 2, 3, 1, 2, 3, 1, 2, 3, 4)]
)
_add("concatenate_first", lambda k: k.layers.Concatenate(axis=1), (2, 3, 2, 2), (2, 1, 2, 2))
_add("dot_matrices", lambda k: k.layers.Dot(axes=(2, 1)), (2, 3, 4), (2, 4, 5))
_add("dot_last", lambda k: k.layers.Dot(axes=-1), (2, 3, 4), (2, 5, 4))
_add("dot_cosine", lambda k: k.layers.Dot(axes=(1, 2), normalize=True), (2, 4, 3), (2, 5, 4))
_add("dot_vector_matrix", lambda k: k.layers.Dot(axes=(1, 2)), (2, 4), (2, 5, 4))

# Outside of training noise is not there.
for _kind in ("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D"):
    _add(
        f"{_kind.lower()}_inference", lambda k, n=_kind: getattr(k.layers, n)(0.3), (2, 3, 4), training=False
    )
_add("spatial_dropout2d_inference", lambda k: k.layers.SpatialDropout2D(0.3), (2, 3, 4, 2), training=False)
_add("activity_regularization", lambda k: k.layers.ActivityRegularization(l1=0.1, l2=0.2), (2, 3))
_add("identity", lambda k: k.layers.Identity(), (2, 3))


def _up(tf: Any, keras: Any, way: str) -> list:
    """The enlarged image and the gradient of its squares, in float32, as TensorFlow's gradient."""
    layer = keras.layers.UpSampling2D((2, 3), interpolation=way, dtype="float32")
    x = tf.constant(np.random.RandomState(7).standard_normal((1, 4, 5, 2)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        total = tf.reduce_sum(y * y)
    return [y, tape.gradient(total, x) / 10.0]


for _way in ("bicubic", "lanczos3", "lanczos5"):
    FUNCTIONS[f"up_{_way}"] = lambda tf, keras, w=_way: _up(tf, keras, w)
