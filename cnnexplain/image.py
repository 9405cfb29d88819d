"""Pictures as tensors: (height, width, channels), or (n, height, width, channels)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, _names, _resampling
from ._convert import cut, number, numbers, reshape_to, tensor, values
from ._pixels import as_float, batched, between, convert_image_dtype, pictures, setting, sides
from .arrays import stack
from .boxes import non_max_suppression
from .colours import *  # noqa: F403
from .colours import __all__ as _colours
from .functions import zeros
from .image_measures import *  # noqa: F403
from .image_measures import __all__ as _measures
from .io import (
    decode_bmp,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    encode_jpeg,
    encode_png,
    is_jpeg,
)
from .random import draw, fixed
from .reductions import reduce_std

if TYPE_CHECKING:
    from .tensor import Tensor


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


def resize(
    images: Any,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: str | None = None,
) -> Tensor:
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
    x = pictures(images, "images")
    found = numbers(size, "size")
    if len(found) != 2 or min(found) < 1:
        raise ValueError(f"`size` must be a tuple of 2 positive integers. Received: size={size}")
    if method not in _resampling.METHODS:
        raise ValueError(
            f"`method` must be one of: {', '.join(_resampling.METHODS)}. Received: method={method!r}"
        )
    height, width = found
    if preserve_aspect_ratio:
        h, w = sides(x)
        scale = min(height / h, width / w)
        height, width = round(scale * h), round(scale * w)
    if method != "nearest" and not x.dtype.is_floating:
        x = _core.cast(x, dtype="float32")
    if tuple(x.shape[-3:-1]) == (height, width):
        return x
    if method == "nearest" or (method in ("bilinear", "bicubic") and not antialias):
        return batched(x, lambda batch: _core.resize(batch, size=(height, width), method=method))
    h, w = sides(x)
    rows = _matrix(h, height, method, antialias, x.dtype)
    columns = _matrix(w, width, method, antialias, x.dtype)

    def compute(batch: Any) -> Any:
        n, channels = batch.shape[0], batch.shape[3]
        flat = reshape_to(batch, [n, h, w * channels])
        tall = reshape_to(_core.matmul(rows, flat), [n, height, w, channels])
        return _core.matmul(columns, tall)

    return batched(x, compute)


def _matrix(n_in: int, n_out: int, method: str, antialias: bool, dtype: Any) -> Any:
    return _core.tensor(_resampling.matrix(n_in, n_out, method, antialias), dtype.name)


def resize_with_pad(
    image: Any, target_height: int, target_width: int, method: str = "bilinear", antialias: bool = False
) -> Tensor:
    """Resized without distortion to fit inside the target, zeros around it.

    >>> import cnnexplain as tf
    >>> tf.image.resize_with_pad(tf.ones((2, 4, 3)), 8, 8).shape
    TensorShape([8, 8, 3])
    """
    x = pictures(image)
    h, w = sides(x)
    height, width = number(target_height, "target_height"), number(target_width, "target_width")
    # float32 as in TensorFlow: its rounding decides about a row or a column
    f = np.float32
    ratio = max(f(w) / f(width), f(h) / f(height))
    inner = (f(h) / ratio, f(w) / ratio)
    top, left = max(0, math.floor((height - inner[0]) / 2)), max(0, math.floor((width - inner[1]) / 2))
    small = resize(
        x, (max(1, math.floor(inner[0])), max(1, math.floor(inner[1]))), method, antialias=antialias
    )
    return pad_to_bounding_box(small, top, left, height, width)


def resize_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Tensor:
    """Cut or padded with zeros around its centre to the target."""
    x = pictures(image)
    h, w = sides(x)
    height, width = number(target_height, "target_height"), number(target_width, "target_width")
    cut = crop_to_bounding_box(
        x, max(h - height, 0) // 2, max(w - width, 0) // 2, min(h, height), min(w, width)
    )
    return pad_to_bounding_box(cut, max(height - h, 0) // 2, max(width - w, 0) // 2, height, width)


def central_crop(image: Any, central_fraction: float) -> Tensor:
    """The middle of the picture, a fraction of its height and width.

    >>> import cnnexplain as tf
    >>> tf.image.central_crop(tf.ones((8, 6, 1)), 0.5).shape
    TensorShape([4, 4, 1])
    """
    if not 0 < central_fraction <= 1:
        raise ValueError(
            f"`central_fraction` must be in (0, 1]. Received: central_fraction={central_fraction}"
        )
    x = pictures(image)
    h, w = sides(x)
    top, left = int((h - h * central_fraction) / 2), int((w - w * central_fraction) / 2)
    return crop_to_bounding_box(x, top, left, h - 2 * top, w - 2 * left)


def crop_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Tensor:
    """The rectangle of the target's size that starts at the offsets."""
    x = pictures(image)
    h, w = sides(x)
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
) -> Tensor:
    """Zeros around the picture: it starts at the offsets of a picture of the target's size."""
    x = pictures(image)
    h, w = sides(x)
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


def flip_left_right(image: Any) -> Tensor:
    """Mirrored: the first column becomes the last."""
    return _core.reverse(pictures(image), axis=[-2])


def flip_up_down(image: Any) -> Tensor:
    """Upside down: the first row becomes the last."""
    return _core.reverse(pictures(image), axis=[-3])


def transpose(image: Any, name: str | None = None) -> Tensor:
    """Rows become columns."""
    x = pictures(image)
    return _core.transpose(x, perm=[1, 0, 2] if len(x.shape) == 3 else [0, 2, 1, 3])


def rot90(image: Any, k: int = 1, name: str | None = None) -> Tensor:
    """Turned counter-clockwise k times by 90 degrees."""
    x = pictures(image)
    for _ in range(k % 4):
        x = flip_up_down(transpose(x))
    return x


def _sometimes(image: Any, seed: Any, axis: int) -> Any:
    """Each picture reversed along an axis with probability 1/2."""
    x = pictures(image)
    one = _core.slice(x, begin=[0] * len(x.shape), size=[-1] * (len(x.shape) - 3) + [1, 1, 1])
    ones = _core.cast(_core.equal(one, one), dtype="float32")
    kept = _core.dropout(ones, draw(seed), rate=0.5)  # 0 or 2, one for each picture
    return _core.where(_core.reverse(x, axis=[axis]), x, _core.greater(kept, 0.0))


def random_flip_left_right(image: Any, seed: Any = None) -> Tensor:
    """Each picture mirrored with probability 1/2."""
    return _sometimes(image, seed, -2)


def random_flip_up_down(image: Any, seed: Any = None) -> Tensor:
    """Each picture upside down with probability 1/2."""
    return _sometimes(image, seed, -3)


def random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Tensor:
    """A block of the given size from a random place."""
    x, sizes = tensor(value), numbers(size, "size")
    if len(sizes) != len(x.shape) or any(want > have for want, have in zip(sizes, x.shape, strict=True)):
        raise ValueError(
            f"`size` must fit into the value. Received: size={sizes}, value.shape={tuple(x.shape)}"
        )
    unit = _core.random_uniform(draw(seed), shape=[len(sizes)], low=0.0, high=1.0, dtype="float64")
    for axis, (want, have) in enumerate(zip(sizes, list(x.shape), strict=True)):
        if want < have:
            begin = _core.floor(_core.multiply(cut(unit, 0, axis, 1), float(have - want + 1)))
            x = _core.gather(x, _core.cast(_core.add(begin, np.arange(want)), dtype="int64"), axis=axis)
    return x


def adjust_brightness(image: Any, delta: Any) -> Tensor:
    """The picture with delta added, in units of a picture with values in [0,1].

    >>> import cnnexplain as tf
    >>> tf.image.adjust_brightness([[[0.25]]], 0.5).numpy().item()
    0.75
    """
    return as_float(image, lambda x: _core.add(x, setting(delta, x)))


def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """(x - m) * factor + m with m the mean of each channel of each picture."""

    def compute(x: Any) -> Any:
        mean = _core.reduce_mean(pictures(x, "images"), axis=[-3, -2], keepdims=True)
        return _core.add(_core.multiply(_core.subtract(x, mean), setting(contrast_factor, x)), mean)

    return as_float(images, compute)


def adjust_gamma(image: Any, gamma: float = 1, gain: float = 1) -> Tensor:
    """gain * x^gamma for values in [0,1]."""
    if gamma < 0:
        raise ValueError(f"`gamma` must not be negative. Received: gamma={gamma}")
    return as_float(image, lambda x: _core.multiply(_core.pow(x, float(gamma)), float(gain)))


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    """`adjust_brightness` by a random number in [-max_delta, max_delta)."""
    if max_delta < 0:
        raise ValueError(f"`max_delta` must not be negative. Received: max_delta={max_delta}")
    return adjust_brightness(image, between(-max_delta, max_delta, seed))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """`adjust_contrast` by a random factor in [lower, upper)."""
    if not 0 <= lower < upper:
        raise ValueError(f"`lower` must be in [0, upper). Received: lower={lower}, upper={upper}")
    return adjust_contrast(image, between(lower, upper, seed))


def per_image_standardization(image: Any) -> Tensor:
    """(x - mean) / max(deviation, 1 / sqrt(number of values)), for each picture.

    >>> import cnnexplain as tf
    >>> tf.image.per_image_standardization([[[1.0], [3.0]]])[0, :, 0].numpy()
    array([-1.,  1.], dtype=float32)
    """
    x = pictures(image)
    if not x.dtype.is_floating:
        x = _core.cast(x, dtype="float32")
    count = float(np.prod(x.shape[-3:]))
    centred = _core.subtract(x, _core.reduce_mean(x, axis=[-3, -2, -1], keepdims=True))
    deviation = reduce_std(x, axis=[-3, -2, -1], keepdims=True)
    return _core.divide(centred, _core.maximum(deviation, 1 / math.sqrt(count)))


def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Tensor:
    """The windows of pictures, each as one vector.

    Args:
        images: (n,h,w,C).
        sizes, strides, rates: (1, rows, columns, 1): of a window, between windows, between its pixels.
        padding: "VALID" or "SAME".

    Returns:
        (n,rows,columns,size * size * C).

    >>> import cnnexplain as tf
    >>> two, one = [1, 2, 2, 1], [1, 1, 1, 1]
    >>> tf.image.extract_patches(tf.ones((1, 4, 4, 3)), two, two, one, "VALID").shape
    TensorShape([1, 2, 2, 12])
    """
    x = tensor(images)
    if len(x.shape) != 4:
        raise ValueError(f"`images` must have shape (n, height, width, channels). Received: {tuple(x.shape)}")
    given = {"sizes": sizes, "strides": strides, "rates": rates}
    found = {key: numbers(value, key) for key, value in given.items()}
    for key, value in found.items():
        if len(value) != 4 or (value[0], value[3]) != (1, 1) or min(value) < 1:
            raise ValueError(f"`{key}` must be (1, rows, columns, 1). Received: {key}={given[key]}")
    (h, w), channels = found["sizes"][1:3], x.shape[3]
    pick = np.eye(h * w * channels).reshape(h, w, channels, h * w * channels)
    whole = x if x.dtype.is_floating else _core.cast(x, dtype="float64")
    patches = _core.conv2d(
        whole,
        _core.tensor(pick, whole.dtype.name),
        strides=found["strides"][1:3],
        dilation=found["rates"][1:3],
        padding=padding.lower(),
    )
    return patches if x.dtype.is_floating else _core.cast(patches, dtype=x.dtype.name)


def crop_and_resize(
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Any,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
    name: str | None = None,
) -> Tensor:
    """Rectangles of pictures, each resized to one size; corner pixels fall on the corners of the rectangle.

    Args:
        image: (n,h,w,C).
        boxes: (k,4): top, left, bottom, right in [0,1]; outside the picture is `extrapolation_value`.
        box_indices: (k,): which picture.
        crop_size: (H,W).

    Returns:
        float32 (k,H,W,C); gradients pass to the pictures.
    """
    x = tensor(image)
    x = x if x.dtype.is_floating else _core.cast(x, dtype="float32")
    if method not in ("bilinear", "nearest"):
        raise ValueError(f"`method` must be one of: bilinear, nearest. Received: method={method!r}")
    corners, which = values(tensor(boxes), "boxes"), values(tensor(box_indices), "box_indices")
    sizes = numbers(crop_size, "crop_size")
    crops = []
    for box, at in zip(corners, which, strict=True):
        lines = [_places(box[i], box[i + 2], x.shape[1 + i], sizes[i], method, x.dtype.name) for i in (0, 1)]
        picture = _core.reshape(
            _core.slice(x, begin=[int(at), 0, 0, 0], size=[1, -1, -1, -1]), shape=list(x.shape)[1:]
        )
        rows = _core.matmul(lines[0][0], _core.reshape(picture, shape=[x.shape[1], -1]))
        cut = _core.matmul(lines[1][0], _core.reshape(rows, shape=[sizes[0], x.shape[2], x.shape[3]]))
        inside = (lines[0][1][:, None] & lines[1][1])[..., None]
        crops.append(_core.where(cut, float(extrapolation_value), inside))
    return stack(crops) if crops else zeros((0, *sizes, x.shape[3]), x.dtype)


def _places(first: float, last: float, length: int, count: int, method: str, dtype: str) -> tuple[Any, Any]:
    """The weights (count, length) of a cut along one axis, and which of its places are inside."""
    span = (last - first) * (length - 1)
    place = (
        first * (length - 1) + np.arange(count) * span / (count - 1)
        if count > 1
        else np.array([0.5 * (first + last) * (length - 1)])
    )
    inside = (place >= 0) & (place <= length - 1)
    place = np.clip(place if method == "bilinear" else np.floor(place + 0.5), 0, length - 1)
    weights = np.maximum(1 - np.abs(place[:, None] - np.arange(length)), 0)
    return _core.tensor(weights, dtype), inside


def stateless_random_flip_left_right(image: Any, seed: Any) -> Tensor:
    """`random_flip_left_right` that depends on its seed of two numbers alone.

    >>> import cnnexplain as tf
    >>> flip, x = tf.image.stateless_random_flip_left_right, tf.reshape(tf.range(6), (1, 3, 2))
    >>> bool(tf.reduce_all(flip(x, seed=(1, 2)) == flip(x, seed=(1, 2))))
    True
    """
    with fixed(seed):
        return random_flip_left_right(image)


def stateless_random_flip_up_down(image: Any, seed: Any) -> Tensor:
    """`random_flip_up_down` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_flip_up_down(image)


def stateless_random_crop(value: Any, size: Any, seed: Any, name: str | None = None) -> Tensor:
    """`random_crop` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_crop(value, size)


def stateless_random_brightness(image: Any, max_delta: float, seed: Any) -> Tensor:
    """`random_brightness` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_brightness(image, max_delta)


def stateless_random_contrast(image: Any, lower: float, upper: float, seed: Any) -> Tensor:
    """`random_contrast` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_contrast(image, lower, upper)


__all__ = [
    *_names.defined(__name__),
    *_colours,
    *_measures,
    "convert_image_dtype",
    "decode_bmp",
    "decode_gif",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
    "is_jpeg",
    "non_max_suppression",
]
__getattr__ = _names.missing(__name__)
