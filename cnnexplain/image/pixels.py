"""What the functions of pictures share: their ranks, and their values in float and integer dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from .._convert import TENSORS, reshape_to, tensor
from ..dtypes import as_dtype
from ..random import draw


def pictures(image: Any, name: str = "image") -> Any:
    """A tensor of one picture or a batch of them."""
    x = tensor(image)
    if len(x.shape) not in (3, 4):
        raise ValueError(
            f"`{name}` must have shape (height, width, channels) or (n, height, width, channels). Received: "
            f"{name}.shape={tuple(x.shape)}"
        )
    return x


def sides(x: Any) -> tuple[int, int]:
    height, width = x.shape[-3:-1]
    if height is None or width is None:
        raise ValueError(f"height and width must be known. Received: shape={tuple(x.shape)}")
    return height, width


def batched(x: Any, compute: Callable[[Any], Any]) -> Any:
    """compute of a batch of pictures, also for one."""
    if len(x.shape) == 4:
        return compute(x)
    result = compute(reshape_to(x, [1, *x.shape]))
    return reshape_to(result, list(result.shape)[1:])


def as_float(image: Any, compute: Callable[[Any], Any]) -> Any:
    """compute of the picture in float, values in [0,1] for integer types; back in its dtype."""
    x = tensor(image)
    if x.dtype.is_floating:
        return compute(x)
    return convert_image_dtype(compute(convert_image_dtype(x, "float32")), x.dtype, saturate=True)


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


def as_float_values(image: Any) -> Any:
    """A picture in float: as it is, or from an integer type in [0,1]."""
    x = tensor(image)
    return x if x.dtype.is_floating else convert_image_dtype(x, "float32")


def between(low: float, high: float, seed: Any) -> Any:
    """One random number in [low, high): another one each time that a program runs."""
    return _core.random_uniform(draw(seed), shape=[], low=float(low), high=float(high), dtype="float32")


def setting(value: Any, like: Any) -> Any:
    """A number, or a tensor of one, that fits a picture."""
    if not isinstance(value, TENSORS):
        return float(value)
    return value if value.dtype == like.dtype else _core.cast(value, dtype=like.dtype.name)
