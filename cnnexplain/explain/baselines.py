"""Images that show nothing: what an image is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from .inputs import _FORWARD
from .sampling import number, values_of
from .session import Session

NAMES = {"black": 0.0, "white": 255.0}


def baselines(session: Session, baseline: Any, preprocess: Any = None) -> tuple[list[np.ndarray], list[str]]:
    """The baselines as arrays (n,H,W,C), (1,H,W,C) where all images have the same, and what they are called.

    Args:
        session: the images.
        baseline: None (0), a number, an array (H,W,C) or (n,H,W,C), "black", "white", "mean", or a list of
            these.
        preprocess: the caller's; None: the model's.

    Raises:
        ValueError: another shape or name, or a colour where the preprocessing is not known.
    """
    given = list(baseline) if isinstance(baseline, (list, tuple)) else [baseline]
    if not given:
        raise ValueError("`baseline` must hold at least one. Received: an empty list")
    made = [_baseline(session, one, preprocess) for one in given]
    return [array for array, _ in made], [name for _, name in made]


def _baseline(session: Session, baseline: Any, preprocess: Any) -> tuple[np.ndarray, str]:
    x = values_of(session)
    if isinstance(baseline, str):
        if baseline == "mean":
            mean = x.mean((1, 2), keepdims=True, dtype=np.float64).astype(x.dtype)
            return np.broadcast_to(mean, x.shape), baseline
        if baseline not in NAMES:
            raise ValueError(
                "`baseline` must be None, a number, an array or one of black, white, mean. "
                f"Received: baseline={baseline!r}"
            )
        known = preprocess if preprocess is not None else getattr(session.model, "preprocess", None)
        if known is None:
            raise ValueError(
                f"`baseline={baseline!r}` needs `preprocess`, because the model does not say what its values "
                "mean; or pass the number that stands for this colour"
            )
        function = known if callable(known) else _FORWARD[known]
        pixels = np.full((1, *x.shape[1:]), NAMES[baseline], np.float32)
        return np.asarray(function(pixels)).astype(x.dtype), baseline
    if baseline is None or np.ndim(baseline) == 0:
        value = 0.0 if baseline is None else number("baseline", baseline)
        return np.full((1, *x.shape[1:]), value, x.dtype), f"{value:g}"
    array = np.asarray(baseline)
    if array.dtype.kind not in "buif" or array.shape not in (x.shape, x.shape[1:]):
        raise ValueError(
            f"`baseline` must have shape {x.shape[1:]}, or {x.shape} for one per image. "
            f"Received: shape={array.shape}, dtype={array.dtype}"
        )
    if not np.isfinite(array).all():
        raise ValueError("`baseline` must be finite. Received: NaN or infinity")
    return array.astype(x.dtype).reshape(-1, *x.shape[1:]), "an array"
