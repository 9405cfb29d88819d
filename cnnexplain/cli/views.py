"""Explanations as pictures of the photograph's own proportions, whatever shape the network looked at."""

from __future__ import annotations

from typing import Any

import numpy as np

_BRIGHT = 0.995  # of single pixels' values, the share that stays below white


def of_regions(e: Any) -> bool:
    """Whether an explanation of one picture is of regions, to be laid over it, not of single pixels."""
    return e.layer is not None or e.raw.ndim == 2


def photograph(picture: Any, longest: int) -> Any:
    """The photograph as RGB, its longer side of this many pixels; small pictures grow in whole steps."""
    from PIL import Image

    image = picture.convert("RGB")
    scale = longest / max(image.size)
    if scale >= 2:
        return image.resize([side * int(scale) for side in image.size], Image.Resampling.NEAREST)
    size = [max(1, round(side * scale)) for side in image.size]
    return image.resize(size, Image.Resampling.LANCZOS)


def heat(e: Any) -> Any:
    """The map in colours, at its own size: RGB; of single pixels' values grey."""
    from PIL import Image

    if of_regions(e):
        return _coloured(np.asarray(e.map))
    top = np.quantile(e.map, _BRIGHT)
    grey = np.clip(e.map / (top if top > 0 else 1), 0, 1)
    return Image.fromarray(np.floor(grey * 255 + 0.5).astype(np.uint8)).convert("RGB")


def over(photo: Any, e: Any, alpha: float = 0.5) -> Any:
    """The map over the photograph; of single pixels' values the map alone."""
    from PIL import Image

    if not of_regions(e):
        return heat(e).resize(photo.size, Image.Resampling.BICUBIC)
    smooth = Image.fromarray(np.asarray(e.map, np.float32)).resize(photo.size, Image.Resampling.BICUBIC)
    return Image.blend(photo, _coloured(np.clip(np.asarray(smooth), 0, 1)), alpha)


def _coloured(values: np.ndarray) -> Any:
    from PIL import Image

    from cnnexplain.plot import HEAT, colour_map

    colours = np.asarray(colour_map(HEAT)(values))[..., :3]
    return Image.fromarray(np.floor(colours * 255 + 0.5).astype(np.uint8))
