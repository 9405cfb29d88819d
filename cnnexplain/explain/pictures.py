"""Arrays of pixels, as scikit-image, imageio and OpenCV give them, made into pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_OVER = 1e-3  # how far floats may leave 0..1, as resampling makes them


def picture(array: Any) -> Image:
    """The PIL image of an array of pixels, which every method takes as a picture: resized, preprocessed.

    An array that is given to a method is used as it is, because it may be preprocessed already. This makes a
    picture of one that holds plain pixels, of any size, in the ranges of scikit-image and imageio:

    - bool: False is black, True is white;
    - uint8: 0..255; other whole numbers likewise, if they are in that range;
    - uint16: 0..65535, divided by 257;
    - floats: 0..1, times 255.

    A grey picture, (H,W) or (H,W,1), stays grey; a method makes it what the model takes. (H,W,3) is red,
    green, blue (of OpenCV, whose order is blue, green, red, give `array[..., ::-1]`). With a fourth channel,
    or grey with a second one, that channel is how opaque a pixel is: methods lay the picture over white.

    Args:
        array: (H,W), (H,W,1), (H,W,2), (H,W,3) or (H,W,4).

    Returns:
        A PIL image, of mode L, LA, RGB or RGBA.

    Raises:
        ValueError: another shape, or values outside the range.

    >>> import numpy as np
    >>> from cnnexplain import explain
    >>> half = np.full((2, 3), 0.5)
    >>> explain.picture(half).getpixel((0, 0)), explain.picture(half).size
    (128, (3, 2))
    """
    from PIL import Image

    pixels = np.asarray(array)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or 0 in pixels.shape:
        more = "; of several pictures give each: [picture(one) for one in array]" if pixels.ndim == 4 else ""
        raise ValueError(
            "`array` must have shape (H, W) or (H, W, channels) with 1 to 4 channels. "
            f"Received: shape={np.shape(array)}{more}"
        )
    made = _bytes(pixels)
    return Image.fromarray(made[..., 0] if made.shape[2] == 1 else made)


def _bytes(pixels: np.ndarray) -> np.ndarray:
    """(H,W,C) uint8 in C order."""
    kind = pixels.dtype.kind
    if kind not in "buif":
        raise TypeError(f"`array` must hold numbers. Received: dtype {pixels.dtype}")
    low, high = pixels.min(), pixels.max()
    if kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint16:
        return np.rint(pixels / 257).astype(np.uint8)
    if kind in "iu":
        if low < 0 or high > 255:
            raise ValueError(
                "`array` must hold 0..255 unless it is uint16, whose range is 0..65535. "
                f"Received: {pixels.dtype} from {low} to {high}"
            )
        return np.ascontiguousarray(pixels, np.uint8)
    if not (-_OVER <= low and high <= 1 + _OVER):  # NaN too
        raise ValueError(
            "`array` of floats must hold 0..1, as scikit-image does: divide by the range, or give uint8. "
            f"Received: {pixels.dtype} from {low:g} to {high:g}"
        )
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
