"""Images cut, padded and resized."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain import image as tf_image
from cnnexplain._convert import cut, reshape_to
from cnnexplain.image import resampling

from ... import config
from ...convert import as_tensor
from .layout import host, on_batch, pictures
from .warping import one_of

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

RESIZE_METHODS = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic", "area")


def _sides(x: Any, layout: str) -> tuple[Any, Any]:
    return tuple(x.shape[-3:-1]) if layout == "channels_last" else tuple(x.shape[-2:])


def _known_sides(x: Any) -> tuple[int, int]:
    h, w = x.shape[1:3]
    if h is None or w is None:
        raise ValueError(f"height and width of the images must be known. Received: shape={tuple(x.shape)}")
    return int(h), int(w)


def _margins(sizes: list[tuple[str, Any, str, Any, str, Any, Any]], cropping: bool) -> list[tuple]:
    """(before, after) of each axis from two of before, after and target."""
    found = []
    for before_name, before, after_name, after, target_name, target, size in sizes:
        given = {before_name: before, after_name: after, target_name: target}
        if list(given.values()).count(None) != 1:
            shown = ", ".join(f"{key}={value}" for key, value in given.items())
            raise ValueError(f"Must specify exactly two of {', '.join(given)}. Received: {shown}")
        for key, value in given.items():
            if value is not None and value < 0:
                raise ValueError(f"{key} must be >= 0. Received: {key}={value}")
        if size is None and (before is None or after is None):
            raise ValueError(f"the images' size must be known when `{target_name}` is given")
        spare = None if target is None else (size - target if cropping else target - size)
        if before is None:
            before = spare - after
        elif after is None:
            after = spare - before
        for key, value in ((before_name, before), (after_name, after)):
            if value < 0:
                raise ValueError(f"{key} must be >= 0. Received: {key}={value}")
        found.append((int(before), int(after)))
    return found


def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Zeros around images; of both axes two of the three numbers are given.

    >>> from cnnexplain import keras
    >>> keras.ops.image.pad_images(keras.ops.ones((2, 3, 1)), 1, 2, target_height=4, target_width=6).shape
    TensorShape([4, 6, 1])
    """
    h, w = _sides(pictures(images), config.standardize_data_format(data_format))
    (top, bottom), (left, right) = _margins(
        [
            ("top_padding", top_padding, "bottom_padding", bottom_padding, "target_height", target_height, h),
            ("left_padding", left_padding, "right_padding", right_padding, "target_width", target_width, w),
        ],
        cropping=False,
    )
    return on_batch(
        images, data_format, lambda x: _core.pad(x, before=[0, top, left, 0], after=[0, bottom, right, 0])
    )


def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """The middle of images; of both axes two of the three numbers are given.

    >>> from cnnexplain import keras
    >>> keras.ops.image.crop_images(keras.ops.ones((4, 6, 1)), 1, 2, target_height=2, target_width=3).shape
    TensorShape([2, 3, 1])
    """
    h, w = _sides(pictures(images), config.standardize_data_format(data_format))
    rows = (
        "top_cropping",
        top_cropping,
        "bottom_cropping",
        bottom_cropping,
        "target_height",
        target_height,
        h,
    )
    cols = ("left_cropping", left_cropping, "right_cropping", right_cropping, "target_width", target_width, w)
    (top, bottom), (left, right) = _margins([rows, cols], cropping=True)
    if h is None or w is None:
        raise ValueError(f"height and width of the images must be known. Received: {tuple(images.shape)}")
    if h - top - bottom < 0 or w - left - right < 0:
        raise ValueError(
            "the croppings must fit into the images. Received: "
            f"top and bottom {top, bottom}, left and right {left, right}, images {h, w}"
        )
    size = [-1, h - top - bottom, w - left - right, -1]
    return on_batch(images, data_format, lambda x: _core.slice(x, begin=[0, top, left, 0], size=size))


def centred(x: Any, height: int, width: int) -> Tensor:
    """The largest part of the batch around its middle with the proportions of height and width."""
    h, w = _known_sides(x)
    rows = max(min(h, int(float(w * height) / width)), 1)
    columns = max(min(w, int(float(h * width) / height)), 1)
    x = cut(x, 1, int(float(h - rows) / 2), rows)
    return cut(x, 2, int(float(w - columns) / 2), columns)


def _framed(x: Any, height: int, width: int, value: float) -> Any:
    """The batch with a frame that gives it about the proportions of height and width."""
    h, w = _known_sides(x)
    top = int((max(h, int(float(w * height) / width)) - h) / 2)
    left = int((max(w, int(float(h * width) / height)) - w) / 2)
    return _core.pad(x, before=[0, top, left, 0], after=[0, top, left, 0], value=float(value))


def rounded_into(x: Any, dtype: str) -> Tensor:
    """Floats as numbers of an integer type: rounded, and at its limits beyond them."""
    if x.dtype.name == dtype:
        return x
    info = np.iinfo(dtype)
    return _core.cast(_core.clip(_core.round(x), low=float(info.min), high=float(info.max)), dtype=dtype)


def resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images of another height and width.

    Args:
        images: (h, w, c) or (n, h, w, c), or with the channels first.
        size: (height, width).
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5" or "area".
        antialias: Widen the filter when images get smaller.
        crop_to_aspect_ratio: Cut the longer side first, so that nothing is distorted.
        pad_to_aspect_ratio: Pad the shorter side with `fill_value` first.
        data_format: "channels_last" or "channels_first".

    Returns:
        Images in the same dtype; integers are rounded.

    >>> from cnnexplain import keras
    >>> row = keras.ops.reshape([0.0, 1.0], (1, 2, 1))
    >>> keras.ops.image.resize(row, (1, 4)).numpy().ravel().tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    one_of("interpolation", interpolation, RESIZE_METHODS)
    one_of("fill_mode", fill_mode, ("constant",))
    sizes = tuple(int(side) for side in np.asarray(size).ravel())
    if len(sizes) != 2:
        raise ValueError(f"Expected `size` to be a tuple of 2 integers. Received: size={size}")
    if min(sizes) < 1:
        raise ValueError(f"`size` must have positive height and width. Received: size={size}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("Only one of `pad_to_aspect_ratio` & `crop_to_aspect_ratio` can be `True`.")
    x = pictures(images)
    kind = x.dtype.name

    def now(batch: Any) -> Any:
        if crop_to_aspect_ratio:
            batch = centred(batch, *sizes)
        elif pad_to_aspect_ratio:
            batch = _framed(batch, *sizes, fill_value)
        found = tf_image.resize(batch, sizes, interpolation, antialias=antialias)
        return rounded_into(found, kind)

    def compute(batch: Any) -> Any:
        reshapes = crop_to_aspect_ratio or pad_to_aspect_ratio or antialias
        if None in tuple(batch.shape[1:3]) and (reshapes or interpolation not in ("nearest", "bilinear")):
            return host(now, batch, shape=(batch.shape[0], *sizes, batch.shape[3]), dtype=kind)
        return now(batch)

    return on_batch(x, data_format, compute)


_METHODS = {
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), "linear"),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), "cubic"),
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}


def _kernel(method: str, t: np.ndarray) -> np.ndarray:
    if method == "linear":
        return resampling.KERNELS["bilinear"][0](t)
    return resampling.KERNELS["bicubic" if method == "cubic" else method][0](t)


def _weights(n_in: int, n_out: int, scale: float, shift: float, method: str, antialias: bool) -> np.ndarray:
    """(n_in, n_out): what each output pixel takes of each input pixel."""
    wide = max(1 / scale, 1.0) if antialias else 1.0
    places = (np.arange(n_out) + 0.5) / scale - shift / scale - 0.5
    weights = _kernel(method, np.abs(places - np.arange(n_in)[:, None]) / wide)
    total = weights.sum(0, keepdims=True)
    weights = np.where(
        np.abs(total) > 1000 * np.finfo(np.float32).eps, weights / np.where(total, total, 1), 0
    )
    return np.where((places >= -0.5) & (places <= n_in - 0.5), weights, 0)


def scale_and_translate(
    images: Any,
    output_shape: Any,
    scale: Any,
    translation: Any,
    spatial_dims: Any,
    method: str,
    antialias: bool = True,
) -> Tensor:
    """Images scaled and shifted along some axes: output place = input place * scale + translation.

    Args:
        images: An array of any rank.
        output_shape: The shape of the result.
        scale, translation: One number for each of `spatial_dims`.
        spatial_dims: The axes.
        method: "linear", "cubic", "lanczos3" or "lanczos5".
        antialias: Widen the filter where the scale is below 1.

    >>> from cnnexplain import keras
    >>> row = keras.ops.array([[0.0, 1.0]])
    >>> scale_and_translate = keras.ops.image.scale_and_translate
    >>> scale_and_translate(row, (1, 4), [2.0], [0.0], (1,), "linear").numpy().tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    if method not in _METHODS or method == "triangle":
        allowed = tuple(name for name in _METHODS if name != "triangle")
        raise ValueError(
            f"Invalid value for argument `method`. Expected of one {allowed}. Received: method={method}"
        )
    x = as_tensor(images)
    kind, rank = x.dtype.name, len(x.shape)
    scales, shifts = np.asarray(scale, np.float64).ravel(), np.asarray(translation, np.float64).ravel()
    if not len(scales) == len(shifts) == len(spatial_dims) or not np.all(scales > 0):
        raise ValueError(
            "`scale` (positive) and `translation` must have one number for each of `spatial_dims`. Received: "
            f"scale={scale}, translation={translation}, spatial_dims={spatial_dims}"
        )
    found = x if x.dtype.is_floating else _core.cast(x, dtype="float32")
    for dim, factor, shift in zip(spatial_dims, scales, shifts, strict=True):
        axis = int(dim) % rank
        n_in, n_out = int(found.shape[axis]), int(output_shape[axis])
        weights = _weights(n_in, n_out, factor, shift, _METHODS[method], antialias)
        last = [k for k in range(rank) if k != axis] + [axis]
        moved = _core.transpose(found, perm=last)
        flat = _core.reshape(moved, shape=[-1, n_in])
        flat = _core.matmul(flat, _core.tensor(weights, found.dtype.name))
        moved = reshape_to(flat, [*list(moved.shape)[:-1], n_out])
        found = _core.transpose(moved, perm=[last.index(k) for k in range(rank)])
    if x.dtype.is_floating:
        return found
    wide = _core.cast(x, dtype="float32")
    found = _core.minimum(_core.maximum(_core.round(found), _core.reduce_min(wide)), _core.reduce_max(wide))
    return _core.cast(found, dtype=kind)
