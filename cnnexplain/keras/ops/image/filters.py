"""Images through small windows: blurs, edges, patches, structural similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core
from cnnexplain import image as tf_image
from cnnexplain._convert import cut, reshape_to
from cnnexplain.image.filters import bell, each_channel
from cnnexplain.image.measures import similarity

from ... import config
from ...convert import as_tensor
from .layout import batch_of_one, in_floats, on_batch, only, pictures

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor


def gaussian_blur(
    images: Any, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None
) -> Tensor:
    """Images blurred by a normal density; zeros lie beyond the edges.

    Args:
        images: (h, w, c) or (n, h, w, c), or with the channels first.
        kernel_size: (height, width) of the window.
        sigma: Two widths of the density, numbers or a tensor (2,), of the first and second window size.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> dot = keras.ops.reshape([0.0, 0, 0, 0, 1, 0, 0, 0, 0], (3, 3, 1))
    >>> keras.ops.image.gaussian_blur(dot, (3, 3), (1.0, 1.0)).numpy()[1, 1].round(3).tolist()
    [0.20399999618530273]
    """
    high, wide = (int(size) for size in np.asarray(kernel_size))
    if min(high, wide) < 1:
        raise ValueError(f"`kernel_size` must be positive. Received: kernel_size={kernel_size}")

    def compute(x: Any) -> Any:
        kind = x.dtype.name
        widths = as_tensor(sigma, kind)
        first, second = bell(high, cut(widths, 0, 0, 1), kind), bell(wide, cut(widths, 0, 1, 1), kind)
        # the second density runs along the rows of a (wide, high) kernel read as (high, wide), as in Keras
        kernel = _core.multiply(_core.reshape(second, shape=[wide, 1]), first)
        return each_channel(x, _core.reshape(kernel, shape=[high, wide]))

    return on_batch(images, data_format, lambda batch: in_floats(batch, compute))


def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    """dy and dx of each channel by Sobel's 3x3 windows, the images mirrored at their edges.

    Args:
        images: (n, h, w, c) or (n, c, h, w).
        data_format: "channels_last" or "channels_first".

    Returns:
        (n, h, w, c, 2) or (n, c, h, w, 2).

    >>> from cnnexplain import keras
    >>> ramp = keras.ops.reshape(keras.ops.tile(keras.ops.arange(4.0), 3), (1, 3, 4, 1))
    >>> keras.ops.image.sobel_edges(ramp).numpy()[0, 1, 1, 0].tolist()
    [0.0, 8.0]
    """
    x = pictures(images)
    layout = config.standardize_data_format(data_format)

    def compute(batch: Any) -> Any:
        return tf_image.sobel_edges(batch if batch.dtype.is_floating else _core.cast(batch, dtype="float32"))

    return on_batch(x, layout, compute)


def _patches(volumes: Any, size: tuple, strides: Any, dilation: Any, padding: str, layout: str) -> Any:
    """Windows of (n, *spatial, c), each written out along the channels."""
    spatial = len(size)
    strides = size if not strides else (strides,) * spatial if isinstance(strides, int) else tuple(strides)
    dilation = (dilation,) * spatial if isinstance(dilation, int) else tuple(dilation)
    for name, value in (("size", size), ("strides", strides), ("dilation_rate", dilation)):
        if len(value) != spatial or min(value) < 1:
            raise ValueError(f"`{name}` must be {spatial} positive integers. Received: {name}={value}")
    if str(padding).lower() not in ("valid", "same"):
        raise ValueError(f"`padding` must be 'valid' or 'same'. Received: padding={padding}")
    x = as_tensor(volumes)
    single = len(x.shape) == spatial + 1
    if len(x.shape) not in (spatial + 1, spatial + 2):
        raise ValueError(
            f"`images` must have rank {spatial + 1} or {spatial + 2}. Received: shape={tuple(x.shape)}"
        )
    x = batch_of_one(x) if single else x
    if layout == "channels_first":
        x = _core.transpose(x, perm=[0, *range(2, spatial + 2), 1])
    sizes = list(x.shape)[1:-1]
    if None in sizes:
        raise ValueError(f"The sizes of the images must be known. Received: shape={tuple(volumes.shape)}")
    before, counts = [], []
    for length, window, stride, gap in zip(sizes, size, strides, dilation, strict=True):
        extent = (window - 1) * gap + 1
        if str(padding).lower() == "same":
            count = -(-length // stride)
            before.append(max((count - 1) * stride + extent - length, 0))
        else:
            count, extra = (length - extent) // stride + 1, 0
            before.append(extra)
        if count < 1:
            raise ValueError(f"`size` must fit into the images. Received: size={size}, images {tuple(sizes)}")
        counts.append(count)
    x = _core.pad(
        x, before=[0, *(total // 2 for total in before), 0], after=[0, *(t - t // 2 for t in before), 0]
    )
    # one axis after the other: (n, ..., c) gathers window k of axis d at the places stride * i + gap * k
    for axis, (count, window, stride, gap) in enumerate(zip(counts, size, strides, dilation, strict=True)):
        places = stride * np.arange(count)[:, None] + gap * np.arange(window)
        x = _core.gather(x, _core.tensor(places.astype(np.int64)), axis=1 + 2 * axis)
    order = [0, *range(1, 2 * spatial, 2), *range(2, 2 * spatial + 1, 2), 2 * spatial + 1]
    x = _core.transpose(x, perm=order)
    batch, channels = list(x.shape)[0], int(x.shape[-1])
    x = reshape_to(x, [batch, *counts, int(np.prod(size)) * channels])
    if layout == "channels_first":
        x = _core.transpose(x, perm=[0, spatial + 1, *range(1, spatial + 1)])
    return only(x) if single else x


def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Windows of images, each written out along the channels.

    Args:
        images: (h, w, c) or (n, h, w, c), or with the channels first.
        size: Height and width of a window, an integer for both; three sizes for volumes.
        strides: Steps between windows; None: `size`.
        dilation_rate: Steps between the pixels of a window.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Returns:
        (n, rows, columns, height * width * c).

    >>> from cnnexplain import keras
    >>> keras.ops.image.extract_patches(keras.ops.ones((4, 6, 1)), 2).shape
    TensorShape([2, 3, 4])
    """
    if not isinstance(size, int):
        if not isinstance(size, (tuple, list)):
            raise TypeError(
                "Invalid `size` argument. Expected an int or a tuple. Received: "
                f"size={size} of type {type(size).__name__}"
            )
        if len(size) not in (2, 3):
            raise ValueError(
                "Invalid `size` argument. Expected a tuple of length 2 or 3. Received: "
                f"size={size} with length {len(size)}"
            )
    window = (size, size) if isinstance(size, int) else tuple(size)
    layout = config.standardize_data_format(data_format)
    return _patches(images, window, strides, dilation_rate, padding, layout)


def extract_patches_3d(
    volumes: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """`extract_patches` of volumes (d, h, w, c) or (n, d, h, w, c)."""
    window = (size,) * 3 if isinstance(size, int) else tuple(size)
    if len(window) != 3:
        raise ValueError(f"`size` must be an integer or 3 of them. Received: size={size}")
    layout = config.standardize_data_format(data_format)
    return _patches(volumes, window, strides, dilation_rate, padding, layout)


def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """Structural similarity, 1 for equal images (Wang et al., IEEE Transactions on Image Processing 2004).

    The mean over windows and channels of
    (2 m1 m2 + c1) (2 s12 + c2) / ((m1^2 + m2^2 + c1) (s1^2 + s2^2 + c2)) with the windows' means m,
    variances s^2 and covariance s12 under a normal density, c1 = (k1 max_val)^2, c2 = (k2 max_val)^2.

    Args:
        image1, image2: (h, w, c) or (n, h, w, c), or with the channels first.
        max_val: The span of the values.
        filter_size, filter_sigma: The window and its density's width.

    Returns:
        One number for each image.

    >>> from cnnexplain import keras
    >>> x = keras.random.uniform((16, 16, 1), seed=1)
    >>> round(float(keras.ops.image.ssim(x, x)), 5)
    1.0
    """
    first, second = pictures(image1, "image1"), pictures(image2, "image2")
    single, layout = len(first.shape) == 3, config.standardize_data_format(data_format)
    kind = first.dtype.name
    real = kind if first.dtype.is_floating else "float32"

    def ready(x: Any) -> Any:
        x = _core.cast(x, dtype=real)
        x = batch_of_one(x) if len(x.shape) == 3 else x
        return x if layout == "channels_last" else _core.transpose(x, perm=[0, 2, 3, 1])

    index = similarity(ready(first), ready(second), max_val, int(filter_size), float(filter_sigma), k1, k2)
    found = _core.reduce_mean(index, axis=[1, 2, 3])
    return _core.cast(only(found) if single else found, dtype=kind)
