"""Rectangles in pictures: (top, left, bottom, right)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core, _names
from .._convert import number, tensor, values


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one rectangle with each of others; corners may be in any order."""
    low, high = np.minimum(others[:, :2], others[:, 2:]), np.maximum(others[:, :2], others[:, 2:])
    first, last = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])
    shared = np.maximum(np.minimum(high, last) - np.maximum(low, first), 0).prod(axis=1)
    union = (high - low).prod(axis=1) + (last - first).prod() - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    name: str | None = None,
) -> Any:
    """Which rectangles stay: from the greatest score down, those that overlap no better one too much.

    Args:
        boxes: (n,4).
        scores: (n,).
        max_output_size: How many at most.
        iou_threshold: The greatest intersection over union with a rectangle that stays.
        score_threshold: Rectangles with a score not above it are left out.

    Returns:
        int32, their places.

    >>> import cnnexplain as tf
    >>> boxes = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.1, 1.0, 1.1], [2.0, 2.0, 3.0, 3.0]]
    >>> tf.image.non_max_suppression(boxes, [0.6, 0.9, 0.3], 5).numpy()
    array([1, 2], dtype=int32)
    """
    corners, weights = values(tensor(boxes), "boxes"), values(tensor(scores), "scores")
    if corners.ndim != 2 or corners.shape[1] != 4 or weights.shape != corners.shape[:1]:
        raise ValueError(
            f"`boxes` must have shape (n, 4) and `scores` (n,). Received: {corners.shape} and {weights.shape}"
        )
    if not 0 <= float(iou_threshold) <= 1:
        raise ValueError(f"`iou_threshold` must be in [0, 1]. Received: iou_threshold={iou_threshold}")
    most = number(max_output_size, "max_output_size")
    kept: list[int] = []
    for place in np.argsort(-weights, kind="stable"):
        if len(kept) == most or not weights[place] > float(score_threshold):
            break
        if not kept or (_overlaps(corners[place], corners[kept]) <= float(iou_threshold)).all():
            kept.append(int(place))
    return _core.tensor(np.array(kept, np.int32))


_names.publish(__name__)
