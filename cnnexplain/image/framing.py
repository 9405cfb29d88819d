"""Pictures resized, cut and padded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, _names
from .._convert import cut, number, numbers, reshape_to, tensor, values
from ..arrays import stack
from ..functions import zeros
from ..random import draw, fixed
from . import resampling
from .pixels import batched, pictures, sides

if TYPE_CHECKING:
    from ..tensor import Tensor


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
    if method not in resampling.METHODS:
        raise ValueError(
            f"`method` must be one of: {', '.join(resampling.METHODS)}. Received: method={method!r}"
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
    return _core.tensor(resampling.matrix(n_in, n_out, method, antialias), dtype.name)


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


def _box(image: Any, *rectangle: Any) -> tuple[Any, tuple[int, int], list[int]]:
    """A picture, its sides, and a rectangle's top, left, height and width as integers."""
    x = pictures(image)
    return x, sides(x), [number(value, "box") for value in rectangle]


def crop_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Tensor:
    """The rectangle of the target's size that starts at the offsets."""
    x, (h, w), box = _box(image, offset_height, offset_width, target_height, target_width)
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
    x, (h, w), box = _box(image, offset_height, offset_width, target_height, target_width)
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


def stateless_random_crop(value: Any, size: Any, seed: Any, name: str | None = None) -> Tensor:
    """`random_crop` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_crop(value, size)


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


_names.publish(__name__)
