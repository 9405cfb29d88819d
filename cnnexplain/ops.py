"""Explanations on plain arrays: no model, arrays from any framework, results as NumPy arrays.

Inputs are anything that NumPy can read. float32 and float64 are computed as they are, with any strides and
without a copy; integers and float16 become the nearest of the two. Nothing that is passed in is changed.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _core

__all__ = ["cam", "grad_cam", "saliency", "max_pool_with_argmax", "max_unpool", "normalize", "resize"]

_REAL = (np.dtype(np.float32), np.dtype(np.float64))
METHODS = ("nearest", "bilinear", "bicubic", "zoom0", "zoom1", "zoom2", "zoom3")


def _detached(value: Any) -> Any:
    return value.detach() if callable(getattr(value, "detach", None)) else value


def as_array(name: str, value: Any) -> np.ndarray:
    """value as NumPy reads it; a tensor of PyTorch without the gradients that it waits for."""
    try:
        return np.asarray(_detached(value))
    except (ValueError, RuntimeError) as error:  # rows of different lengths
        raise TypeError(f"`{name}` must be an array of numbers. Received: {error}") from error


def _floats(name: str, value: Any, *others: Any) -> np.ndarray:
    """value as an aligned float32 or float64 array; float64 also when one of the others is."""
    if not others and isinstance(value, np.ndarray) and value.dtype in _REAL and value.flags.aligned:
        return value
    array = as_array(name, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` must be an array of numbers. Received: an array of dtype {array.dtype}")
    partners = [
        other.dtype for other in map(np.asarray, map(_detached, others)) if other.dtype.kind in "fiub"
    ]
    dtype = np.result_type(np.float32, array.dtype, *partners)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"`{name}` must be float32 or float64. Received: an array of dtype {array.dtype}")
    array = array.astype(dtype, copy=False)
    return array if array.flags.aligned else array.copy()


def as_images(name: str, value: Any, *others: Any) -> np.ndarray:
    """A float array of shape (n,h,w,channels)."""
    array = _floats(name, value, *others)
    if array.ndim != 4:
        advice = f"; add the batch axis: {name}[None]" if array.ndim == 3 else ""
        raise ValueError(
            f"`{name}` must have shape (n, height, width, channels). Received: "
            f"{name}.shape={array.shape}{advice}"
        )
    return array


def _size(size: Any) -> tuple[int, int]:
    try:
        height, width = (operator.index(side) for side in size)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise ValueError(f"`size` must be a tuple of 2 positive integers. Received: size={size}")
    return height, width


def _whole(name: str, value: Any) -> np.ndarray:
    """An int64 array."""
    array = as_array(name, value)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"`{name}` must hold integers. Received: an array of dtype {array.dtype}")
    return array.astype(np.int64)


def cam(
    features: Any,
    weights: Any,
    class_index: Any,
    size: Sequence[int] | None = None,
    order: int | None = None,
) -> np.ndarray:
    """Class activation maps: M(y,x) = sum_k W[k,c] A(y,x,k).

    Args:
        features: (n,h,w,K), what the last convolution gives, A.
        weights: (K,classes), kernel of the Dense layer after global average pooling, W.
        class_index: (n,) integers, the class c of each image; one integer stands for all images.
        size: (H,W) to enlarge the maps to; None keeps the resolution of the features.
        order: How to enlarge. None: bilinear between pixel centres. 0 to 3: as `scipy.ndimage.zoom` of
            that order, with its defaults.

    Returns:
        (n,h,w), or (n,H,W) when `size` is given: any sign, not scaled.

    Raises:
        ValueError: shapes that do not fit, or a class that is no column of `weights`.

    Zhou et al. 2016, arXiv:1512.04150.

    >>> import numpy as np
    >>> from cnnexplain import ops
    >>> features = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> ops.cam(features, np.array([[1.0, 0.0], [0.0, -1.0]]), [1])
    array([[[-2., -4.]]])
    """
    array = as_images("features", features, weights)
    matrix = _floats("weights", weights, features)
    index = _whole("class_index", class_index)
    if index.ndim == 0:
        index = np.full(len(array), index)
    if order is not None and size is None:
        raise ValueError(f"`order` says how to enlarge to `size`, which is missing. Received: order={order}")
    if order is not None and (isinstance(order, bool) or order not in (0, 1, 2, 3)):
        raise ValueError(f"`order` must be None, 0, 1, 2 or 3. Received: order={order!r}")
    method = "bilinear" if order is None else f"zoom{int(order)}"
    return _core.explain_cam(array, matrix, index, None if size is None else _size(size), method)


def grad_cam(activations: Any, gradients: Any, size: Sequence[int] | None = None) -> np.ndarray:
    """Grad-CAM: relu(sum_k a_k A(y,x,k)) with a_k = mean over y,x of dscore/dA(y,x,k).

    Args:
        activations: (n,h,w,K), A.
        gradients: (n,h,w,K), of the explained score with respect to A.
        size: (H,W) to enlarge the maps to, bilinear between pixel centres; None keeps their resolution.

    Returns:
        (n,h,w), or (n,H,W) when `size` is given: 0 or more, not scaled.

    Raises:
        ValueError: the two shapes differ.

    Selvaraju et al. 2017, arXiv:1610.02391.

    >>> import numpy as np
    >>> from cnnexplain import ops
    >>> activations = np.array([[[[1.0, 2.0], [3.0, 0.5]]]])
    >>> ops.grad_cam(activations, np.full((1, 1, 2, 2), [1.0, -1.0]))
    array([[[0. , 2.5]]])
    """
    first = as_images("activations", activations, gradients)
    second = as_images("gradients", gradients, activations)
    return _core.explain_grad_cam(first, second, None if size is None else _size(size), "bilinear")


def saliency(gradients: Any, reduce: str = "sum", to_uint8: bool = False) -> np.ndarray:
    """Saliency maps: the sum or the maximum over channels of |dscore/dx|.

    Args:
        gradients: (n,H,W,C), of the score or loss with respect to the image.
        reduce: "sum" or "max".
        to_uint8: Scale each map to 0..255, 255 (m - min) / (max - min) without its fraction; a constant
            map is 0.

    Returns:
        (n,H,W), of the gradients' dtype, 0 or more; or uint8.

    Raises:
        ValueError: a `reduce` that does not exist, or a shape without a batch axis.

    Simonyan et al. 2013, arXiv:1312.6034.

    >>> import numpy as np
    >>> from cnnexplain import ops
    >>> gradients = np.array([[[[1.0, -2.0], [0.0, 0.5]]]])
    >>> ops.saliency(gradients), ops.saliency(gradients, reduce="max"), ops.saliency(gradients, to_uint8=True)
    (array([[[3. , 0.5]]]), array([[[2. , 0.5]]]), array([[[255,   0]]], dtype=uint8))
    """
    if reduce not in ("sum", "max"):
        raise ValueError(f"`reduce` must be one of: sum, max. Received: reduce={reduce!r}")
    maps = _core.explain_saliency(as_images("gradients", gradients), reduce == "max")
    return _core.explain_to_uint8(maps) if to_uint8 else maps


def max_pool_with_argmax(
    x: Any, pool_size: int | Sequence[int], strides: int | Sequence[int] | None = None, padding: str = "valid"
) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of each window and where it was: the switches that `max_unpool` reads.

    Args:
        x: (n,H,W,C).
        pool_size: Height and width of the window; one integer for both.
        strides: Steps of the window; None: `pool_size`.
        padding: "valid" or "same".

    Returns:
        pooled (n,h,w,C) and switches (n,h,w,C) int64: the place (y W + x) C + c of the maximum in its own
        image, the first one where several are equal.

    Raises:
        ValueError: a window or stride that is not positive, or a shape without a batch axis.

    >>> import numpy as np
    >>> from cnnexplain import ops
    >>> pooled, switches = ops.max_pool_with_argmax(np.array([[[[1.0], [4.0]], [[3.0], [2.0]]]]), 2)
    >>> pooled.item(), switches.item()
    (4.0, 1)
    """
    array = as_images("x", x)
    if str(padding).lower() not in ("valid", "same"):
        raise ValueError(f"`padding` must be one of: valid, same. Received: padding={padding!r}")
    steps = pool_size if strides is None else strides
    for name, value in (("pool_size", pool_size), ("strides", steps)):
        pair = np.asarray(value)
        if pair.dtype.kind not in "iu" or pair.shape not in ((), (2,)) or (pair < 1).any():
            raise ValueError(f"`{name}` must be a tuple of 2 positive integers. Received: {name}={value}")
    window = np.broadcast_to(pool_size, 2)
    if str(padding).lower() == "valid" and (window > array.shape[1:3]).any():
        raise ValueError(
            "`pool_size` must not exceed the height and width of `x` where `padding` is 'valid'. Received: "
            f"pool_size={pool_size}, x.shape={array.shape}"
        )
    pooled, switches = _core.max_pool_with_argmax(array, pool_size=pool_size, strides=steps, padding=padding)
    return pooled.numpy(), switches.numpy()


def max_unpool(pooled: Any, switches: Any, output_shape: Sequence[int], overlap: str = "sum") -> np.ndarray:
    """Puts each pooled value back where its switch says; every other place is 0.

    Args:
        pooled: (n,h,w,C).
        switches: (n,h,w,C) integers, places in each image as `max_pool_with_argmax` gives them.
        output_shape: (n,H,W,C).
        overlap: What happens where several switches name one place: "sum" adds the values, which is the
            gradient of pooling; "overwrite" keeps the last.

    Returns:
        (n,H,W,C).

    Raises:
        ValueError: a switch outside its image (the message has its position and value), or shapes that do
            not fit.

    Zeiler and Fergus 2014, arXiv:1311.2901.

    >>> import numpy as np
    >>> from cnnexplain import ops
    >>> x = np.array([[0.8, 0.6, 0.5, 0.3], [0.3, 0.4, 0.9, 0.8], [0.2, 0.7, 0.8, 0.4], [0.5, 0.4, 0.6, 0.5]])
    >>> pooled, switches = ops.max_pool_with_argmax(x[None, :, :, None], 2)
    >>> ops.max_unpool(pooled, switches, (1, 4, 4, 1))[0, :, :, 0]
    array([[0.8, 0. , 0. , 0. ],
           [0. , 0. , 0.9, 0. ],
           [0. , 0.7, 0.8, 0. ],
           [0. , 0. , 0. , 0. ]])
    """
    values, places = as_images("pooled", pooled), _whole("switches", switches)
    if overlap not in ("sum", "overwrite"):
        raise ValueError(f"`overlap` must be one of: sum, overwrite. Received: overlap={overlap!r}")
    if places.shape != values.shape:
        raise ValueError(
            "`switches` must have the shape of `pooled`. Received: "
            f"switches.shape={places.shape}, pooled.shape={values.shape}"
        )
    try:
        shape = tuple(operator.index(size) for size in output_shape)
    except TypeError:
        shape = ()
    if len(shape) != 4 or min(shape) < 0 or (shape[0], shape[3]) != (values.shape[0], values.shape[3]):
        raise ValueError(
            "`output_shape` must be (n, height, width, channels) with the n and channels of `pooled`. "
            f"Received: output_shape={output_shape}, pooled.shape={values.shape}"
        )
    return _core.max_unpool(values, places, size=shape[1:3], overlap=overlap).numpy()


def normalize(maps: Any) -> np.ndarray:
    """Scales each map to [0,1]: max(m, 0) / max(m).

    A map with nothing above 0, or with the same value everywhere, shows nothing: it becomes zeros. NaN counts
    as 0 and an infinity as the greatest number, so that the result never holds NaN.

    Args:
        maps: (n,H,W) or (H,W); with more dimensions the last two are a map.

    Returns:
        The shape of `maps`, in [0,1].

    >>> import numpy as np
    >>> from cnnexplain import ops
    >>> ops.normalize([[[-1.0, 2.0, 4.0]], [[3.0, 3.0, 3.0]]])
    array([[[0. , 0.5, 1. ]],
    <BLANKLINE>
           [[0. , 0. , 0. ]]])
    """
    array = _floats("maps", maps)
    if array.ndim < 2:
        raise ValueError(f"`maps` must have shape (n, height, width). Received: maps.shape={array.shape}")
    if array.ndim == 3:
        return _core.explain_normalize(array)
    count = int(np.prod(array.shape[:-2]))
    return _core.explain_normalize(array.reshape(count, *array.shape[-2:])).reshape(array.shape)


def resize(maps: Any, size: Sequence[int], method: str = "bilinear") -> np.ndarray:
    """Resamples maps to another height and width.

    Args:
        maps: (n,h,w), (h,w) or (n,h,w,channels).
        size: (H,W).
        method: "nearest", "bilinear", "bicubic": as `tf.image.resize` does without antialiasing, pixels
            being areas with a centre. "zoom0" to "zoom3": as `scipy.ndimage.zoom` of that order, the corner
            pixels falling on each other.

    Returns:
        The same with (H,W) in place of (h,w), and of the same dtype.

    Raises:
        ValueError: a size that is not positive, or a method that does not exist.

    >>> from cnnexplain import ops
    >>> ops.resize([[0.0, 1.0]], (1, 4)), ops.resize([[0.0, 1.0]], (1, 3), method="zoom1")
    (array([[0.  , 0.25, 0.75, 1.  ]]), array([[0. , 0.5, 1. ]]))
    """
    array = _floats("maps", maps)
    if method not in METHODS:
        raise ValueError(f"`method` must be one of: {', '.join(METHODS)}. Received: method={method!r}")
    if not 2 <= array.ndim <= 4:
        raise ValueError(
            "`maps` must have shape (n, height, width), (height, width) or (n, height, width, channels). "
            f"Received: maps.shape={array.shape}"
        )
    four = array
    if array.ndim == 2:
        four = array[None]
    if array.ndim < 4:
        four = four[..., None]
    resized = _core.explain_resize(four, _size(size), method)
    return resized if array.ndim == 4 else resized.reshape(*array.shape[:-2], *resized.shape[1:3])
