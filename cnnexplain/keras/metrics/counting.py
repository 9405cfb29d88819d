"""True and false positives and negatives at many thresholds, counted at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import config
from ..losses.distances import refuse
from .arrays import as_array, same_rank

_NEVER = -1e10  # the score of a class that is not among the best k


def parse_thresholds(thresholds: Any, default: float) -> list:
    """The thresholds as a list; ValueError for one outside [0, 1]."""
    if thresholds is None:
        return [default]
    given = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    wrong = [t for t in given if t is None or not 0 <= t <= 1]
    if wrong or not given:
        raise ValueError(f"Threshold values must be in [0, 1]. Received: {wrong}")
    return given


def are_even(thresholds: Any) -> bool:
    """Whether the thresholds are 0, 1 / n, 2 / n, ..., 1, up to epsilon."""
    count = len(thresholds)
    if count < 3:
        return False
    return bool(np.allclose(thresholds, np.arange(count) / (count - 1), atol=config.epsilon()))


def _best(pred: np.ndarray, k: int) -> np.ndarray:
    """pred where it is among the k largest of its row."""
    if not 1 <= k <= pred.shape[-1]:
        raise ValueError(f"`top_k` must be between 1 and the {pred.shape[-1]} classes. Received: top_k={k}")
    order = np.argsort(-pred, axis=-1, kind="stable")[..., :k]
    kept = np.full(pred.shape, _NEVER, pred.dtype)
    np.put_along_axis(kept, order, np.take_along_axis(pred, order, -1), -1)
    return kept


def _above_each(weights: np.ndarray, bins: np.ndarray, count: int) -> np.ndarray:
    """(count, columns): sums of the weights whose bin is above each threshold; bin b is above the first b."""
    columns = weights.shape[1]
    where = (bins * columns + np.arange(columns)).ravel()
    sums = np.bincount(where, weights.ravel(), (count + 1) * columns).reshape(count + 1, columns)
    return np.cumsum(sums[::-1], axis=0)[::-1][1:]


def count(
    name: str,
    y_true: Any,
    y_pred: Any,
    thresholds: Any,
    dtype: str,
    top_k: int | None = None,
    class_id: int | None = None,
    sample_weight: Any = None,
    multi_label: bool = False,
    label_weights: Any = None,
    even: bool = False,
) -> dict[str, np.ndarray]:
    """{"tp", "fp", "tn", "fn"}: weighted counts, one for each threshold (and label with `multi_label`).

    A prediction is positive where it is greater than the threshold; NaN never is.
    """
    true, pred = as_array(y_true, dtype), as_array(y_pred, dtype)
    pred, true = same_rank(pred, true)
    if pred.shape != true.shape:
        refuse(name, true, pred)
    weight = None
    if sample_weight is not None:
        weight = as_array(sample_weight, dtype)[..., None]
        weight = same_rank(true, weight, expand=False)[1]
    if top_k is not None:
        pred = _best(pred, top_k)
    if class_id is not None:
        if pred.ndim == 1:
            raise ValueError(
                "When `class_id` is given, `y_pred` must have the shape (samples, classes). Received: "
                f"y_pred.shape={pred.shape}"
            )
        if not -pred.shape[-1] <= class_id < pred.shape[-1]:
            raise ValueError(
                f"`class_id` must be one of the {pred.shape[-1]} classes. Received: class_id={class_id}"
            )
        true, pred = true[..., class_id, None], pred[..., class_id, None]
    weights: np.ndarray = np.ones(pred.shape)
    for factor, what in ((weight, "sample_weight"), (label_weights, "label_weights")):
        if factor is not None:
            try:
                weights = weights * np.broadcast_to(factor, pred.shape)
            except ValueError:
                raise ValueError(
                    f"{name}: `{what}` must broadcast to the predictions. Received: {what}.shape="
                    f"{np.shape(factor)}, y_pred.shape={pred.shape}"
                ) from None
    if not multi_label:
        true, pred, weights = (a.reshape(-1, 1) for a in (true, pred, weights))
    limits = np.asarray(thresholds, dtype)
    number = len(limits)
    order = np.argsort(limits, kind="stable")
    if even:
        bins = np.ceil(np.clip(pred, 0, 1) * np.asarray(number - 1, dtype))
        bins = np.maximum(bins, 1) if thresholds[0] < 0 or thresholds[-1] > 1 else bins
        bins[np.isnan(pred)] = 0
        bins = bins.astype(np.int64)
    else:
        bins = np.searchsorted(limits[order], pred, side="left")
        bins[np.isnan(pred)] = 0
    yes, no = np.where(true != 0, weights, 0), np.where(true != 0, 0, weights)
    back = np.argsort(order, kind="stable")
    tp, fp = (_above_each(part, bins, number)[back] for part in (yes, no))
    counts = {"tp": tp, "fp": fp, "tn": no.sum(0) - fp, "fn": yes.sum(0) - tp}
    return counts if multi_label else {key: value[:, 0] for key, value in counts.items()}
