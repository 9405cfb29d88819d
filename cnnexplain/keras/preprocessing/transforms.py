"""Transformations of single pictures, with parameters or with random ones from NumPy's generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..utils.image import array_to_img, img_to_array
from . import affine


def _matrix(theta: float, tx: float, ty: float, shear: float, zx: float, zy: float) -> np.ndarray | None:
    """Rotation, then shift, shear and zoom, as a 3x3 matrix; None: nothing to do."""
    parts = []
    if theta != 0:
        c, s = np.cos(np.deg2rad(theta)), np.sin(np.deg2rad(theta))
        parts.append([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    if tx != 0 or ty != 0:
        parts.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear != 0:
        angle = np.deg2rad(shear)
        parts.append([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        parts.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    if not parts:
        return None
    total = np.array(parts[0], dtype=np.float64)
    for part in parts[1:]:
        total = total @ np.array(part, dtype=np.float64)
    return total


def apply_affine_transform(
    x: np.ndarray,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """A picture turned, moved, sheared and zoomed around its centre.

    Args:
        x: Array with three axes.
        theta: Degrees.
        tx, ty: Pixels along the columns' and the rows' axis.
        shear: Degrees.
        zx, zy: Factors; 2 shows twice as much, half as large.
        row_axis, col_axis, channel_axis: Which axis is what; the channels are the first or the last.
        fill_mode: "constant", "nearest", "reflect" or "wrap".
        cval: Value outside for "constant".
        order: Of the interpolating spline, 0 to 5.

    Returns:
        Array of the same shape and dtype.

    >>> import numpy as np
    >>> apply_affine_transform(np.arange(4.0).reshape(1, 2, 2), ty=1)
    array([[[2., 3.],
            [2., 3.]]])
    """
    if sorted((row_axis, col_axis, channel_axis)) != [0, 1, 2]:
        raise ValueError(
            "`row_axis`, `col_axis` and `channel_axis` must be 0, 1 and 2 in some order. Received: "
            f"row_axis={row_axis}, col_axis={col_axis}, channel_axis={channel_axis}"
        )
    if x.ndim != 3:
        raise ValueError(f"`x` must be a picture with three axes. Received: shape {x.shape}")
    if channel_axis == 1:
        raise ValueError("`channel_axis` must be 0 or 2. Received: channel_axis=1")
    matrix = _matrix(theta, tx, ty, shear, zx, zy)
    if matrix is None:
        return x
    height, width = x.shape[row_axis], x.shape[col_axis]
    down, right = height / 2 - 0.5, width / 2 - 0.5
    to_centre = np.array([[1, 0, down], [0, 1, right], [0, 0, 1]])
    back = np.array([[1, 0, -down], [0, 1, -right], [0, 0, 1]])
    matrix = to_centre @ matrix @ back
    if col_axis > row_axis:  # the matrix is over (x, y), arrays are indexed (row, column)
        matrix[:, [0, 1]] = matrix[:, [1, 0]]
        matrix[[0, 1]] = matrix[[1, 0]]
    planes = np.moveaxis(x, channel_axis, 0)
    moved = affine.transform(planes, matrix[:2, :2], matrix[:2, 2], order, fill_mode, cval)
    return np.moveaxis(moved, 0, channel_axis)


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """A picture with `intensity` added, inside the range that it had."""
    x = np.asarray(x)
    return np.clip(x + intensity, x.min(), x.max())


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """A picture made brighter or darker by Pillow.

    Args:
        x: (h, w, c).
        brightness: 0 is black, 1 the picture itself.
        scale: Whether the picture's range becomes 0 to 255.
    """
    from PIL import ImageEnhance

    low, high = np.min(x), np.max(x)
    outside = bool(low < 0 or high > 255)
    picture = array_to_img(x, scale=outside or scale)
    array = img_to_array(ImageEnhance.Brightness(picture).enhance(brightness))
    return array / 255 * (high - low) + low if outside and not scale else array


def random_rotation(
    x: np.ndarray,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """A picture turned by up to `rg` degrees in both directions; see `apply_affine_transform`."""
    theta = np.random.uniform(-rg, rg)
    return apply_affine_transform(
        x,
        theta=theta,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shift(
    x: np.ndarray,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """A picture moved by up to the shares `wrg` of its width and `hrg` of its height."""
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(
        x,
        tx=tx,
        ty=ty,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shear(
    x: np.ndarray,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """A picture sheared by up to `intensity` degrees in both directions."""
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(
        x,
        shear=shear,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_zoom(
    x: np.ndarray,
    zoom_range: Any,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """A picture zoomed by two factors from `zoom_range`, (least, greatest)."""
    if len(zoom_range) != 2:
        raise ValueError(f"`zoom_range` must be a tuple of two floats. Received: zoom_range={zoom_range}")
    zx, zy = (1, 1) if tuple(zoom_range) == (1, 1) else np.random.uniform(zoom_range[0], zoom_range[1], 2)
    return apply_affine_transform(
        x,
        zx=zx,
        zy=zy,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_channel_shift(x: np.ndarray, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """A picture with a random number added, inside the range that it had."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: Any, brightness_range: Any, scale: bool = True) -> np.ndarray:
    """A picture with a brightness from `brightness_range`, (least, greatest)."""
    if len(brightness_range) != 2:
        raise ValueError(
            f"`brightness_range` must be a tuple of two floats. Received: brightness_range={brightness_range}"
        )
    return apply_brightness_shift(x, np.random.uniform(brightness_range[0], brightness_range[1]), scale)
