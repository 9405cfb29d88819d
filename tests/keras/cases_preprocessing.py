"""Layers that prepare pictures, with given or certain draws, and `keras.ops.image`. Values of all of them,
gradients where TensorFlow's are those of the values: those of projective maps are of the inverse map."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

FUNCTIONS: dict[str, Any] = {}
LOOSE: dict[str, float] = {}

_WARP = 2e-4  # projective maps go through float32 in TensorFlow
_FIRST = {"data_format": "channels_first"}


def _pictures(layout: str = "channels_last", high: float = 255.0, channels: int = 3) -> np.ndarray:
    x = np.random.RandomState(7).rand(2, 5, 6, channels) * high
    return x if layout == "channels_last" else np.ascontiguousarray(np.transpose(x, (0, 3, 1, 2)))


def _recorded(tf: Any, x: np.ndarray, compute: Any, gradient: bool) -> list:
    """compute(x), and the gradient of a weighted sum of it."""
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = compute(given)
        factors = np.random.RandomState(8).standard_normal(tuple(y.shape))
        total = tf.reduce_sum(tf.cast(y, "float64") * tf.constant(factors))
    return [y, tape.gradient(total, given)] if gradient else [y]


def _in_float32(compute: Any) -> Any:
    """compute with layers of float32: some of Keras's do not compute in float64."""

    def inside(tf: Any, keras: Any) -> Any:
        before = keras.config.floatx()
        keras.config.set_floatx("float32")
        if keras.__name__ == "keras":
            keras.config.set_dtype_policy("float32")
        try:
            return compute(tf, keras)
        finally:
            keras.config.set_floatx(before)
            if keras.__name__ == "keras":
                keras.config.set_dtype_policy(before)

    return inside


def _layer(
    name: str,
    make: Any,
    how: dict | None = None,
    gradient: bool = False,
    loose: float = 0.0,
    training: bool = True,
    **picture: Any,
) -> None:
    """A case: the layer with certain draws, or with the given ones."""

    real = "float32" if loose == _WARP else "float64"

    def compute(tf: Any, keras: Any) -> list:
        layer = make(keras)

        def apply(x: Any) -> Any:
            if how is None:
                return layer(x, training=training)
            return layer.transform_images(x, {key: np.array(value) for key, value in how.items()}, True)

        return _recorded(tf, _pictures(**picture).astype(real), apply, gradient)

    if real == "float32":
        compute = _in_float32(compute)
    FUNCTIONS[f"pre_{name}"] = compute
    if loose:
        LOOSE[f"pre_{name}"] = loose


def _per_image(*values: float) -> np.ndarray:
    return np.array(values).reshape(-1, 1, 1, 1)


for _how, _mode in itertools.product(("nearest", "bilinear"), ("reflect", "wrap", "constant", "nearest")):
    _settings = {"interpolation": _how, "fill_mode": _mode, "fill_value": 9.0}
    _end = f"{_how}_{_mode}"
    _layer(f"rotation_{_end}", lambda k, s=_settings: k.layers.RandomRotation((0.13, 0.13), **s), loose=_WARP)
    _layer(
        f"zoom_{_end}", lambda k, s=_settings: k.layers.RandomZoom((0.3, 0.3), (-0.2, -0.2), **s), loose=_WARP
    )
    _layer(
        f"translation_{_end}",
        lambda k, s=_settings: k.layers.RandomTranslation((0.33, 0.33), (-0.22, -0.22), **s),
        loose=_WARP,
    )
    _layer(
        f"shear_{_end}",
        lambda k, s=_settings: k.layers.RandomShear(0.2, 0.2, **s),
        {"shear_factor": np.array([[0.11, -0.23], [-0.52, 0.41]], "float32")},
        loose=_WARP,
    )
_layer(
    "rotation_first",
    lambda k: k.layers.RandomRotation((-0.2, -0.2), **_FIRST),
    loose=_WARP,
    layout="channels_first",
)
_layer("zoom_even", lambda k: k.layers.RandomZoom((-0.4, -0.4)), loose=_WARP)
_CORNERS = np.tile(np.array([[0, 0], [5, 0], [0, 4], [5, 4]], "float32"), (2, 1, 1))
_layer(
    "perspective",
    lambda k: k.layers.RandomPerspective(fill_value=3.0),
    {
        "apply_perspective": [True, True],
        "start_points": _CORNERS,
        "end_points": _CORNERS * np.array([1.1, 0.8], "float32"),
    },
    loose=_WARP,
)

for _layout in ("channels_last", "channels_first"):
    _given = {"layout": _layout}
    _end = _layout.split("_")[1]
    _s = {"data_format": _layout}
    _layer(
        f"flip_{_end}",
        lambda k, s=_s: k.layers.RandomFlip(**s),
        {"flips": _per_image(1, 0) > 0},
        True,
        **_given,
    )
    _layer(
        f"contrast_{_end}",
        lambda k, s=_s: k.layers.RandomContrast(0.5, **s),
        {"contrast_factor": _per_image(0.4, 1.5)},
        True,
        **_given,
    )
    _layer(
        f"brightness_{_end}",
        lambda k, s=_s: k.layers.RandomBrightness(0.5, **s),
        {"rgb_delta": _per_image(60.0, -80.0)},
        True,
        **_given,
    )
    _layer(
        f"hue_{_end}",
        lambda k, s=_s: k.layers.RandomHue(0.5, **s),
        {"factor": np.array([0.13, -0.41])},
        loose=1e-5,
        **_given,
    )
    _layer(
        f"saturation_{_end}",
        lambda k, s=_s: k.layers.RandomSaturation(0.5, value_range=(0, 1), **s),
        {"factor": np.array([0.3, 1.7])},
        **_given,
        high=1.0,
    )
    _layer(
        f"sharpness_{_end}",
        lambda k, s=_s: k.layers.RandomSharpness(0.5, **s),
        {"factor": np.array([0.1, 0.9])},
        True,
        loose=1e-6,
        **_given,
    )
    _layer(
        f"degeneration_{_end}",
        lambda k, s=_s: k.layers.RandomColorDegeneration(0.5, **s),
        {"factor": _per_image(0.3, -0.4)},
        True,
        loose=1e-6,
        **_given,
    )
    _layer(
        f"blur_{_end}",
        lambda k, s=_s: k.layers.RandomGaussianBlur(0.5, (3, 5), **s),
        {"should_apply_blur": [True, False], "blur_factor": np.array([0.8, 0.6])},
        True,
        **_given,
    )
    _layer(f"grey_{_end}", lambda k, s=_s: k.layers.RandomGrayscale(1.0, **s), loose=1e-6, **_given)
    _layer(f"equalization_{_end}", lambda k, s=_s: k.layers.Equalization(**s), **_given)
    _layer(
        f"equalization_bins_{_end}",
        lambda k, s=_s: k.layers.Equalization(bins=16, value_range=(0, 300), **s),
        loose=1e-6,
        **_given,
    )
    for _size in ((3, 4), (5, 8), (9, 4), (12, 15)):
        _layer(
            f"center_crop_{_size[0]}_{_size[1]}_{_end}",
            lambda k, h=_size, s=_s: k.layers.CenterCrop(*h, **s),
            loose=1e-5,
            **_given,
        )
    for _aspect in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 9.0}):
        _layer(
            f"resizing_{_end}_{'_'.join(_aspect) or 'plain'}",
            lambda k, a=_aspect, s=_s: k.layers.Resizing(4, 7, **a, **s),
            None,
            True,
            1e-5,
            **_given,
        )
    for _size in ((5, 3), (7, 4)):
        _layer(
            f"random_crop_{_size[0]}_{_size[1]}_{_end}",
            lambda k, h=_size, s=_s: k.layers.RandomCrop(*h, **s),
            loose=1e-5,
            **_given,
        )
for _method in ("nearest", "bicubic", "lanczos3", "lanczos5", "area"):
    _layer(f"resizing_{_method}", lambda k, m=_method: k.layers.Resizing(4, 7, interpolation=m), loose=1e-5)
_layer("resizing_antialias", lambda k: k.layers.Resizing(3, 2, antialias=True), loose=1e-5)
_layer("random_crop_inference", lambda k: k.layers.RandomCrop(3, 2), training=False)
FUNCTIONS["pre_rescaling_channels"] = lambda tf, keras: keras.layers.Rescaling(
    [0.5, 2.0, 3.0], [1.0, -1.0, 0.0]
)(tf.constant(_pictures()))
_layer("auto_contrast", lambda k: k.layers.AutoContrast(), None, True)
for _grid in ((8, 8), (2, 3), (1, 1)):
    _layer(
        f"adaptive_{_grid[0]}_{_grid[1]}",
        lambda k, g=_grid: k.layers.ContrastLimitedAdaptiveHistogramEqualization(
            clip_limit=1.5, tile_grid_size=g
        ),
        loose=1e-5,
    )
_layer(
    "adaptive_first",
    lambda k: k.layers.ContrastLimitedAdaptiveHistogramEqualization((0, 300), 0, (2, 2), **_FIRST),
    loose=1e-5,
    layout="channels_first",
)
_layer("posterization", lambda k: k.layers.RandomPosterization((3, 3)))
_layer("posterization_unit", lambda k: k.layers.RandomPosterization((2, 2), value_range=(0, 1)), high=1.0)
_layer(
    "solarization",
    lambda k: k.layers.Solarization(0.2, 0.3),
    {"additions": _per_image(30.0, 1.0), "thresholds": _per_image(100.0, 20.0)},
    True,
)
_layer(
    "solarization_unit",
    lambda k: k.layers.Solarization(0.2, 0.3, value_range=(0, 1)),
    {"additions": _per_image(30.0, 1.0), "thresholds": _per_image(100.0, 20.0)},
    high=1.0,
)
_layer("invert", lambda k: k.layers.RandomInvert(), {"apply_inversion": [True, False]}, True)
_MASKS = np.random.RandomState(9).rand(2, 5, 6, 3) > 0.6
_layer(
    "erasing",
    lambda k: k.layers.RandomErasing(),
    {"apply_erasing": [True, False], "batch_masks": _MASKS, "fill_value": np.full((2, 5, 6, 3), 7.0)},
    True,
)
_MIXED = {"permutation_order": [1, 0], "mix_weight": [0.2, 0.7]}
_layer("mix_up", lambda k: k.layers.MixUp(), _MIXED, True)
_layer("cut_mix", lambda k: k.layers.CutMix(), {**_MIXED, "batch_masks": _MASKS}, True)
for _kind in ("MixUp", "CutMix"):
    FUNCTIONS[f"pre_labels_{_kind}"] = lambda tf, keras, kind=_kind: getattr(
        keras.layers, kind
    )().transform_labels(
        tf.constant(np.eye(2)), {key: np.array(value) for key, value in _MIXED.items()}, True
    )

_CLASSES = np.array([[0, 3, 1], [2, 2, 0]])
for _mode, _x in itertools.product(
    ("one_hot", "multi_hot", "count"), (_CLASSES, _CLASSES[0], _CLASSES[:, :1])
):
    FUNCTIONS[f"pre_category_{_mode}_{'x'.join(map(str, _x.shape))}"] = lambda tf, keras, m=_mode, x=_x: (
        keras.layers.CategoryEncoding(4, m)(x)
    )
FUNCTIONS["pre_category_weights"] = lambda tf, keras: keras.layers.CategoryEncoding(4, "count")(
    _CLASSES, count_weights=np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])
)
_NUMBERS = np.random.RandomState(3).standard_normal((200, 2)).astype("float32")
for _mode in ("int", "one_hot", "multi_hot", "count"):
    FUNCTIONS[f"pre_discretization_{_mode}"] = lambda tf, keras, m=_mode: keras.layers.Discretization(
        [-1.0, 0.0, 0.5], output_mode=m
    )(_NUMBERS[:5])


def _adapted(tf: Any, keras: Any, data: Any, steps: int | None = None) -> np.ndarray:
    layer = keras.layers.Discretization(num_bins=5)
    layer.adapt(data, steps=steps)
    return np.array(layer.bin_boundaries)


def _parts(x: np.ndarray, size: int) -> Any:
    return (x[start : start + size] for start in range(0, len(x), size))


FUNCTIONS["pre_discretization_adapt"] = lambda tf, keras: _adapted(tf, keras, _NUMBERS)
FUNCTIONS["pre_discretization_parts"] = lambda tf, keras: _adapted(tf, keras, _parts(_NUMBERS, 50))
FUNCTIONS["pre_discretization_steps"] = lambda tf, keras: _adapted(tf, keras, _parts(_NUMBERS, 50), 2)

_MANY = np.random.RandomState(4).rand(12, 3, 2, 3).astype("float32")
_SOURCES: dict[str, Any] = {
    "array": lambda tf: _MANY,
    "dataset": lambda tf: tf.data.Dataset.from_tensor_slices(_MANY).batch(5),
    "pairs": lambda tf: tf.data.Dataset.from_tensor_slices((_MANY, np.arange(12))).batch(5),
    "generator": lambda tf: _parts(_MANY, 5),
    "list": lambda tf: [_MANY[:5], _MANY[5:]],
}


def _normalized(tf: Any, keras: Any, axis: Any, source: str, invert: bool) -> list:
    layer = keras.layers.Normalization(axis=axis, invert=invert)
    layer.adapt(_SOURCES[source](tf))
    return [layer(_MANY), layer.mean, layer.variance]


for _axis, _source in itertools.product((-1, None, (1, 3)), _SOURCES):
    _name = f"pre_normalization_{_axis}_{_source}".replace(" ", "").replace("(", "").replace(")", "")
    FUNCTIONS[_name] = _in_float32(
        lambda tf, keras, a=_axis, s=_source: _normalized(tf, keras, a, s, s == "pairs")
    )
    LOOSE[_name] = 1e-5

# keras.ops.image
_MATRIX = np.array(
    [[0.8, -0.6, 2.1, 0.6, 0.8, -1.3, 0, 0], [0.9, 0.1, -3.25, -0.2, 1.1, 4.5, 0.01, -0.02]], "float32"
)


def _image(name: str, compute: Any, gradient: bool = False, loose: float = 0.0, **picture: Any) -> None:
    FUNCTIONS[f"image_{name}"] = lambda tf, keras: _recorded(
        tf, _pictures(**picture), lambda x: compute(keras.ops.image, x), gradient
    )
    if loose:
        LOOSE[f"image_{name}"] = loose


for _layout in ("channels_last", "channels_first"):
    _s, _given, _end = {"data_format": _layout}, {"layout": _layout}, _layout.split("_")[1]
    _image(
        f"affine_{_end}",
        lambda i, x, s=_s: i.affine_transform(x, _MATRIX, fill_mode="reflect", **s),
        loose=_WARP,
        **_given,
    )
    _image(f"grey_{_end}", lambda i, x, s=_s: i.rgb_to_grayscale(x, **s), True, 1e-6, **_given)
    _image(f"hsv_{_end}", lambda i, x, s=_s: i.rgb_to_hsv(x, **s), True, 1e-6, **_given, high=1.0)
    _image(f"rgb_{_end}", lambda i, x, s=_s: i.hsv_to_rgb(x, **s), loose=1e-6, **_given, high=1.0)
    _image(
        f"blur_{_end}", lambda i, x, s=_s: i.gaussian_blur(x, (3, 5), (1.0, 0.7), **s), True, 1e-6, **_given
    )
    _image(f"sobel_{_end}", lambda i, x, s=_s: i.sobel_edges(x, **s), True, **_given)
    _image(
        f"pad_{_end}",
        lambda i, x, s=_s: i.pad_images(x, 1, 2, target_height=9, right_padding=3, **s),
        True,
        **_given,
    )
    _image(
        f"crop_{_end}",
        lambda i, x, s=_s: i.crop_images(x, 1, 2, target_height=3, right_cropping=1, **s),
        True,
        **_given,
    )
_image("patches", lambda i, x: i.extract_patches(x, (2, 3)), True)
for _padding in ("valid", "same"):
    _image(
        f"patches_{_padding}", lambda i, x, p=_padding: i.extract_patches(x, 3, strides=2, padding=p), True
    )
    _image(
        f"patches_dilated_{_padding}",
        lambda i, x, p=_padding: i.extract_patches(x, 2, strides=1, dilation_rate=2, padding=p),
    )
_image("patches_3d", lambda i, x: i.extract_patches_3d(x[None], (1, 2, 3)), True)
_image("perspective", lambda i, x: i.perspective_transform(x, _CORNERS, _CORNERS * 1.2), loose=_WARP)
_image("ssim", lambda i, x: i.ssim(x, x * 0.9 + 0.01, filter_size=4), True, 1e-6, high=1.0)
for _method, _wide in itertools.product(("linear", "cubic", "lanczos3", "lanczos5"), (True, False)):
    _image(
        f"scale_{_method}_{_wide}",
        lambda i, x, m=_method, w=_wide: i.scale_and_translate(
            x, (2, 4, 9, 3), np.array([0.7, 1.3]), np.array([0.2, -1.1]), (1, 2), m, w
        ),
        True,
        1e-6,
    )
_PLACES = np.stack([np.random.RandomState(5).uniform(0, top, (3, 4)) for top in (0.9, 3.9, 4.9, 1.9)])
for _order, _mode in itertools.product((0, 1), ("constant", "nearest", "wrap", "reflect")):
    _image(
        f"coordinates_{_order}_{_mode}",
        lambda i, x, o=_order, m=_mode: i.map_coordinates(x, _PLACES, o, m),
        True,
    )
    if _mode != "reflect":  # below 0 that of Keras on TensorFlow is not SciPy's
        _image(
            f"coordinates_beyond_{_order}_{_mode}",
            lambda i, x, o=_order, m=_mode: i.map_coordinates(x, _PLACES * 3 - 2.2, o, m, 0.4),
        )
