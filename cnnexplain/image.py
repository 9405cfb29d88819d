"""Pictures as tensors: (height, width, channels), or (n, height, width, channels)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core, _names, _resampling
from ._convert import dtype_name, filled, number, numbers, reshape_to, tensor
from .dtypes import as_dtype
from .io import decode_bmp, decode_image, decode_jpeg, decode_png, encode_jpeg, encode_png
from .random import generator
from .reductions import reduce_std


class ResizeMethod:
    """The methods of `resize`."""

    BILINEAR = "bilinear"
    NEAREST_NEIGHBOR = "nearest"
    BICUBIC = "bicubic"
    AREA = "area"
    LANCZOS3 = "lanczos3"
    LANCZOS5 = "lanczos5"
    GAUSSIAN = "gaussian"
    MITCHELLCUBIC = "mitchellcubic"


def _pictures(image: Any, name: str = "image") -> Any:
    """A tensor of one picture or a batch of them."""
    x = tensor(image)
    if len(x.shape) not in (3, 4):
        raise ValueError(
            f"`{name}` must have shape (height, width, channels) or (n, height, width, channels). Received: "
            f"{name}.shape={tuple(x.shape)}"
        )
    return x


def _sides(x: Any) -> tuple[int, int]:
    height, width = x.shape[-3:-1]
    if height is None or width is None:
        raise ValueError(f"height and width must be known. Received: shape={tuple(x.shape)}")
    return height, width


def _batched(x: Any, compute: Callable[[Any], Any]) -> Any:
    """compute of a batch of pictures, also for one."""
    if len(x.shape) == 4:
        return compute(x)
    result = compute(reshape_to(x, [1, *x.shape]))
    return reshape_to(result, list(result.shape)[1:])


def resize(
    images: Any,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: str | None = None,
) -> Any:
    """Pictures of another height and width; pixels are areas with a centre.

    Args:
        images: (h,w,C) or (n,h,w,C).
        size: (H,W).
        method: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian" or
            "mitchellcubic".
        preserve_aspect_ratio: Take the greatest size inside (H,W) that has the picture's proportions.
        antialias: Widen the filter when the picture gets smaller.

    Returns:
        float32 (float64 for float64 pictures); "nearest" keeps the dtype.

    >>> import cnnexplain as tf
    >>> tf.image.resize([[[0.0], [1.0]]], (1, 4))[0, :, 0].numpy()
    array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    x = _pictures(images, "images")
    found = numbers(size, "size")
    if len(found) != 2 or min(found) < 1:
        raise ValueError(f"`size` must be a tuple of 2 positive integers. Received: size={size}")
    if method not in _resampling.METHODS:
        raise ValueError(
            f"`method` must be one of: {', '.join(_resampling.METHODS)}. Received: method={method!r}"
        )
    height, width = found
    if preserve_aspect_ratio:
        h, w = _sides(x)
        scale = min(height / h, width / w)
        height, width = round(scale * h), round(scale * w)
    if method != "nearest" and not x.dtype.is_floating:
        x = _core.cast(x, dtype="float32")
    if tuple(x.shape[-3:-1]) == (height, width):
        return x
    if method == "nearest" or (method == "bilinear" and not antialias):
        return _batched(x, lambda batch: _core.resize(batch, size=(height, width), method=method))
    h, w = _sides(x)
    rows = _matrix(h, height, method, antialias, x.dtype)
    columns = _matrix(w, width, method, antialias, x.dtype)

    def compute(batch: Any) -> Any:
        n, channels = batch.shape[0], batch.shape[3]
        flat = reshape_to(batch, [n, h, w * channels])
        tall = reshape_to(_core.matmul(rows, flat), [n, height, w, channels])
        return _core.matmul(columns, tall)

    return _batched(x, compute)


def _matrix(n_in: int, n_out: int, method: str, antialias: bool, dtype: Any) -> Any:
    return _core.tensor(_resampling.matrix(n_in, n_out, method, antialias), dtype.name)


def resize_with_pad(
    image: Any, target_height: int, target_width: int, method: str = "bilinear", antialias: bool = False
) -> Any:
    """Resized without distortion to fit inside the target, zeros around it.

    >>> import cnnexplain as tf
    >>> tf.image.resize_with_pad(tf.ones((2, 4, 3)), 8, 8).shape
    TensorShape([8, 8, 3])
    """
    x = _pictures(image)
    h, w = _sides(x)
    height, width = number(target_height, "target_height"), number(target_width, "target_width")
    ratio = max(w / width, h / height)
    inner = (h / ratio, w / ratio)
    top, left = max(0, math.floor((height - inner[0]) / 2)), max(0, math.floor((width - inner[1]) / 2))
    small = resize(
        x, (max(1, math.floor(inner[0])), max(1, math.floor(inner[1]))), method, antialias=antialias
    )
    return pad_to_bounding_box(small, top, left, height, width)


def resize_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Any:
    """Cut or padded with zeros around its centre to the target."""
    x = _pictures(image)
    h, w = _sides(x)
    height, width = number(target_height, "target_height"), number(target_width, "target_width")
    cut = crop_to_bounding_box(
        x, max(h - height, 0) // 2, max(w - width, 0) // 2, min(h, height), min(w, width)
    )
    return pad_to_bounding_box(cut, max(height - h, 0) // 2, max(width - w, 0) // 2, height, width)


def central_crop(image: Any, central_fraction: float) -> Any:
    """The middle of the picture, a fraction of its height and width.

    >>> import cnnexplain as tf
    >>> tf.image.central_crop(tf.ones((8, 6, 1)), 0.5).shape
    TensorShape([4, 4, 1])
    """
    if not 0 < central_fraction <= 1:
        raise ValueError(
            f"`central_fraction` must be in (0, 1]. Received: central_fraction={central_fraction}"
        )
    x = _pictures(image)
    h, w = _sides(x)
    top, left = int((h - h * central_fraction) / 2), int((w - w * central_fraction) / 2)
    return crop_to_bounding_box(x, top, left, h - 2 * top, w - 2 * left)


def crop_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """The rectangle of the target's size that starts at the offsets."""
    x = _pictures(image)
    h, w = _sides(x)
    box = [number(value, "box") for value in (offset_height, offset_width, target_height, target_width)]
    top, left, height, width = box
    if min(top, left) < 0 or min(height, width) < 1 or top + height > h or left + width > w:
        raise ValueError(
            "the rectangle must lie inside the image. Received: "
            f"offset={(top, left)}, target={(height, width)}, image.shape={tuple(x.shape)}"
        )
    front = [0] * (len(x.shape) - 3)
    return _core.slice(x, begin=[*front, top, left, 0], size=[-1 for _ in front] + [height, width, -1])


def pad_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """Zeros around the picture: it starts at the offsets of a picture of the target's size."""
    x = _pictures(image)
    h, w = _sides(x)
    box = [number(value, "box") for value in (offset_height, offset_width, target_height, target_width)]
    top, left, height, width = box
    if min(top, left) < 0 or top + h > height or left + w > width:
        raise ValueError(
            "the image must lie inside the target. Received: "
            f"offset={(top, left)}, target={(height, width)}, image.shape={tuple(x.shape)}"
        )
    if (height, width) == (h, w):
        return x
    front = [0] * (len(x.shape) - 3)
    return _core.pad(x, before=[*front, top, left, 0], after=[*front, height - h - top, width - w - left, 0])


def flip_left_right(image: Any) -> Any:
    """Mirrored: the first column becomes the last."""
    return _core.reverse(_pictures(image), axis=[-2])


def flip_up_down(image: Any) -> Any:
    """Upside down: the first row becomes the last."""
    return _core.reverse(_pictures(image), axis=[-3])


def transpose(image: Any, name: str | None = None) -> Any:
    """Rows become columns."""
    x = _pictures(image)
    return _core.transpose(x, perm=[1, 0, 2] if len(x.shape) == 3 else [0, 2, 1, 3])


def rot90(image: Any, k: int = 1, name: str | None = None) -> Any:
    """Turned counter-clockwise k times by 90 degrees."""
    x = _pictures(image)
    for _ in range(k % 4):
        x = flip_up_down(transpose(x))
    return x


def _sometimes(image: Any, seed: Any, axis: int) -> Any:
    """Each picture reversed along an axis with probability 1/2."""
    x = _pictures(image)
    if len(x.shape) == 3:
        return _core.reverse(x, axis=[axis]) if generator(seed).random() < 0.5 else x
    chosen = generator(seed).random(x.shape[0]) < 0.5
    return _core.where(_core.reverse(x, axis=[axis]), x, chosen.reshape(-1, 1, 1, 1))


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Each picture mirrored with probability 1/2."""
    return _sometimes(image, seed, -2)


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Each picture upside down with probability 1/2."""
    return _sometimes(image, seed, -3)


def random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Any:
    """A block of the given size from a random place."""
    x, sizes = tensor(value), numbers(size, "size")
    if len(sizes) != len(x.shape) or any(want > have for want, have in zip(sizes, x.shape, strict=True)):
        raise ValueError(
            f"`size` must fit into the value. Received: size={sizes}, value.shape={tuple(x.shape)}"
        )
    dice = generator(seed)
    begin = [int(dice.integers(0, have - want + 1)) for want, have in zip(sizes, x.shape, strict=True)]
    return _core.slice(x, begin=begin, size=sizes)


def _as_float(image: Any, compute: Callable[[Any], Any]) -> Any:
    """compute of the picture in float, values in [0,1] for integer types; back in its dtype."""
    x = tensor(image)
    if x.dtype.is_floating:
        return compute(x)
    return convert_image_dtype(compute(convert_image_dtype(x, "float32")), x.dtype, saturate=True)


def adjust_brightness(image: Any, delta: Any) -> Any:
    """The picture with delta added, in units of a picture with values in [0,1].

    >>> import cnnexplain as tf
    >>> tf.image.adjust_brightness([[[0.25]]], 0.5).numpy().item()
    0.75
    """
    return _as_float(image, lambda x: _core.add(x, float(delta)))


def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """(x - m) * factor + m with m the mean of each channel of each picture."""

    def compute(x: Any) -> Any:
        mean = _core.reduce_mean(_pictures(x, "images"), axis=[-3, -2], keepdims=True)
        return _core.add(_core.multiply(_core.subtract(x, mean), float(contrast_factor)), mean)

    return _as_float(images, compute)


def adjust_gamma(image: Any, gamma: float = 1, gain: float = 1) -> Any:
    """gain * x^gamma for values in [0,1]."""
    if gamma < 0:
        raise ValueError(f"`gamma` must not be negative. Received: gamma={gamma}")
    return _as_float(image, lambda x: _core.multiply(_core.pow(x, float(gamma)), float(gain)))


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    """`adjust_brightness` by a random number in [-max_delta, max_delta)."""
    if max_delta < 0:
        raise ValueError(f"`max_delta` must not be negative. Received: max_delta={max_delta}")
    return adjust_brightness(image, generator(seed).uniform(-max_delta, max_delta))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """`adjust_contrast` by a random factor in [lower, upper)."""
    if not 0 <= lower < upper:
        raise ValueError(f"`lower` must be in [0, upper). Received: lower={lower}, upper={upper}")
    return adjust_contrast(image, generator(seed).uniform(lower, upper))


def per_image_standardization(image: Any) -> Any:
    """(x - mean) / max(deviation, 1 / sqrt(number of values)), for each picture.

    >>> import cnnexplain as tf
    >>> tf.image.per_image_standardization([[[1.0], [3.0]]])[0, :, 0].numpy()
    array([-1.,  1.], dtype=float32)
    """
    x = _pictures(image)
    if not x.dtype.is_floating:
        x = _core.cast(x, dtype="float32")
    count = float(np.prod(x.shape[-3:]))
    centred = _core.subtract(x, _core.reduce_mean(x, axis=[-3, -2, -1], keepdims=True))
    deviation = reduce_std(x, axis=[-3, -2, -1], keepdims=True)
    return _core.divide(centred, _core.maximum(deviation, 1 / math.sqrt(count)))


def total_variation(images: Any, name: str | None = None) -> Any:
    """The sum of |differences| between neighbouring pixels, one number for each picture."""
    x = _pictures(images, "images")
    total = None
    for axis in (-3, -2):
        place = len(x.shape) + axis
        begin, size, other = [0] * len(x.shape), [-1] * len(x.shape), [0] * len(x.shape)
        begin[place], size[place] = 1, x.shape[place] - 1
        step = _core.subtract(
            _core.slice(x, begin=begin, size=[-1] * len(x.shape)), _core.slice(x, begin=other, size=size)
        )
        part = _core.reduce_sum(_core.abs(step), axis=[-3, -2, -1])
        total = part if total is None else _core.add(total, part)
    return total


def image_gradients(image: Any) -> tuple[Any, Any]:
    """dy and dx of a batch: the next pixel minus this one, 0 at the end."""
    x = _pictures(image)
    found = []
    for axis in (-3, -2):
        place = len(x.shape) + axis
        begin, size, after = [0] * len(x.shape), [-1] * len(x.shape), [0] * len(x.shape)
        begin[place], size[place], after[place] = 1, x.shape[place] - 1, 1
        front = _core.slice(x, begin=[0] * len(x.shape), size=size)
        step = _core.subtract(_core.slice(x, begin=begin, size=[-1] * len(x.shape)), front)
        found.append(_core.pad(step, before=[0] * len(x.shape), after=after))
    return found[0], found[1]


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: str | None = None) -> Any:
    """The picture in another dtype, its scale with it: float types have values in [0,1], integer types up to
    their greatest number.

    >>> import cnnexplain as tf
    >>> tf.image.convert_image_dtype(tf.constant([255, 0], tf.uint8), tf.float32).numpy()
    array([1., 0.], dtype=float32)
    """
    x, kind = tensor(image), as_dtype(dtype)
    if x.dtype == kind:
        return x
    if x.dtype.is_floating and kind.is_floating:
        return _core.cast(x, dtype=kind.name)
    if kind.is_floating:
        return _core.multiply(_core.cast(x, dtype=kind.name), 1.0 / x.dtype.max)
    if x.dtype.is_floating:
        return _core.cast(_core.multiply(x, kind.max + 0.5), dtype=kind.name)
    if x.dtype.max > kind.max:
        return _core.cast(_core.floor_divide(x, (x.dtype.max + 1) // (kind.max + 1)), dtype=kind.name)
    return _core.multiply(_core.cast(x, dtype=kind.name), (kind.max + 1) // (x.dtype.max + 1))


def rgb_to_grayscale(images: Any, name: str | None = None) -> Any:
    """0.2989 R + 0.587 G + 0.114 B, one channel."""
    x = tensor(images)
    if x.shape[-1] != 3:
        raise ValueError(f"`images` must have 3 channels. Received: images.shape={tuple(x.shape)}")
    weights = np.array([0.2989, 0.587, 0.114])
    return _as_float(
        x, lambda y: _core.reduce_sum(_core.multiply(y, tensor(weights, y.dtype)), axis=[-1], keepdims=True)
    )


def grayscale_to_rgb(images: Any, name: str | None = None) -> Any:
    """The one channel three times."""
    x = tensor(images)
    if x.shape[-1] != 1:
        raise ValueError(f"`images` must have 1 channel. Received: images.shape={tuple(x.shape)}")
    return _core.tile(x, multiples=[1] * (len(x.shape) - 1) + [3])


def psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Any:
    """Peak signal-to-noise ratio in decibels: 10 log10(max_val^2 / mean square difference)."""
    x, y = (_core.cast(tensor(value), dtype="float32") for value in (a, b))
    error = _core.reduce_mean(_core.squared_difference(x, y), axis=[-3, -2, -1])
    ratio = _core.log(_core.divide(filled(float(max_val) ** 2, [], dtype_name("float32")), error))
    return _core.multiply(ratio, 10 / math.log(10))


__all__ = _names.defined(__name__) + [
    "decode_bmp",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
]
__getattr__ = _names.missing(__name__)
