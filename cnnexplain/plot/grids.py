"""What a layer holds: its feature maps on an image, and the filters of a first layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .colours import SIGNED, colour_map
from .figures import bare_image, new_figure, positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE = 0.95  # inches of a picture in a grid


def feature_maps(
    maps: Any,
    channels: Sequence[int] | None = None,
    *,
    columns: int | None = None,
    most: int = 64,
    shared_scale: bool = False,
    cmap: str = "viridis",
) -> Figure:
    """A grid of the channels of a layer's output on one image, numbered.

    Each is scaled from 0, or its minimum where that is below, to its maximum.

    Args:
        maps: (h,w,K) or (1,h,w,K), such as `explanation.steps["activations"]`.
        channels: which to show; None: the first `most`.
        columns: pictures in a row; None: about as many as rows.
        most: most pictures, unless `channels` are given.
        shared_scale: whether all have one scale, with a colour bar.
        cmap: colours; those of values of both signs are red and blue, white at zero.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: `maps` has another shape, or there is no such channel.

    >>> import numpy as np
    >>> figure = feature_maps(np.random.default_rng(0).random((7, 7, 5)), columns=5)
    >>> [axes.get_title() for axes in figure.axes]
    ['0', '1', '2', '3', '4']
    """
    array = np.asarray(maps)
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    if array.ndim != 3 or not array.size:
        raise ValueError(f"`maps` must have shape (h, w, channels), of one image. Received: {array.shape}")
    _finite("maps", array)
    positive("most", most)
    shown = list(range(min(array.shape[2], most))) if channels is None else [int(c) for c in channels]
    if not shown:
        raise ValueError("`channels` must hold at least one. Received: none")
    for channel in shown:
        if not 0 <= channel < array.shape[2]:
            raise ValueError(f"`channels` must be between 0 and {array.shape[2] - 1}. Received: {channel}")
    pictures = [array[:, :, channel] for channel in shown]
    rest = f" (first {len(shown)} of {array.shape[2]})" if channels is None and most < array.shape[2] else ""
    title = f"{array.shape[0]} x {array.shape[1]} feature maps{rest}"
    return _grid(pictures, [str(c) for c in shown], title, columns, shared_scale, cmap)


def filters(
    kernel: Any, channel: int | None = None, *, columns: int | None = None, shared_scale: bool = True
) -> Figure:
    """A grid of a convolution's filters.

    Filters of three input channels are colours around grey, which is zero; those of one are red and blue,
    with white at zero.

    Args:
        kernel: (kh,kw,inputs,filters), or a layer that has one, e.g. the first of a network.
        channel: which input channel to show, where they are neither one nor three.
        columns: pictures in a row; None: about as many as rows.
        shared_scale: whether all filters have one scale, not each its own.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: the kernel has another shape, or `channel` is needed, or there is no such channel.

    >>> import cnnexplain as cx
    >>> len(filters(cx.demo.load_network().layers[0], shared_scale=False).axes)
    16
    """
    array = np.asarray(getattr(kernel, "kernel", kernel))
    if array.ndim != 4 or not array.size:
        raise ValueError(
            "`kernel` must have shape (height, width, inputs, filters), or be a layer with such a kernel. "
            f"Received: {array.shape if array.ndim else type(kernel).__name__}"
        )
    _finite("kernel", array)
    inputs = array.shape[2]
    if channel is not None:
        if not isinstance(channel, (int, np.integer)) or not 0 <= channel < inputs:
            raise ValueError(f"`channel` must be between 0 and {inputs - 1}. Received: channel={channel!r}")
        array, inputs = array[:, :, channel : channel + 1], 1
    if inputs not in (1, 3):
        raise ValueError(
            f"`channel` must say which of the {inputs} input channels is shown: only filters of one or three "
            "channels are pictures. Received: channel=None"
        )
    pictures = list(np.moveaxis(array[:, :, 0] if inputs == 1 else array, -1, 0))
    title = f"{array.shape[0]} x {array.shape[1]} filters"
    names = [str(i) for i in range(len(pictures))]
    return _grid(pictures, names, title, columns, shared_scale, SIGNED, signed=True)


def _finite(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(f"`{name}` must hold finite numbers. Received: others")


def _grid(
    pictures: list[np.ndarray],
    names: list[str],
    title: str,
    columns: int | None,
    shared_scale: bool,
    cmap: str,
    signed: bool = False,
) -> Figure:
    wide = math.ceil(math.sqrt(len(pictures))) if columns is None else positive("columns", columns)
    colours = colour_map(cmap)
    high = math.ceil(len(pictures) / wide)
    figure = new_figure(wide * _SIDE + (0.8 if shared_scale else 0.2), high * (_SIDE + 0.18) + 0.5)
    figure.suptitle(title, fontsize="medium")
    drawn = None
    together = max(float(np.abs(p).max()) for p in pictures)
    both = signed or min(float(p.min()) for p in pictures) < 0
    for place, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        axes = figure.add_subplot(high, wide, place + 1)
        axes.set_title(name, fontsize="x-small", pad=2)
        largest = together if shared_scale else float(np.abs(picture).max())
        largest = largest if largest > 0 else 1
        if picture.ndim == 3:
            bare_image(axes, np.clip(0.5 + picture / (2 * largest), 0, 1))
        else:
            low = -largest if both else 0
            drawn = bare_image(axes, picture, cmap=SIGNED if both else colours, vmin=low, vmax=largest)
    if shared_scale and drawn is not None:
        figure.colorbar(drawn, ax=figure.axes, fraction=0.03, pad=0.02)
    return figure
