"""The area under a curve of two ratios over all thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import config
from . import counting
from .arrays import as_array, share
from .confusion import Counting

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMS = ("interpolation", "majoring", "minoring")


def _choice(argument: str, value: Any, known: tuple[str, ...]) -> str:
    for one in known:
        if value in (one, one.lower(), one.capitalize() if one.islower() else one):
            return one
    raise ValueError(
        f"Invalid AUC `{argument}` value. Expected one of {list(known)}. Received: {argument}={value}"
    )


class AUC(Counting):
    """The area under the curve of true over false positive rates, or of precision over recall.

    Args:
        num_thresholds: Number of evenly spaced thresholds, at least 2.
        curve: "ROC", "PR" or "PRGAIN" (precision gain over recall gain).
        summation_method: "interpolation" (trapezoids, or Davis and Goadrich for PR), "minoring" or
            "majoring" (the lower or upper step between two thresholds).
        name: Its name; None: "auc", then "auc_1".
        dtype: dtype of the result.
        thresholds: Thresholds in [0, 1] instead of `num_thresholds`.
        multi_label: Whether `y_pred` (n, labels) has an area for each label, which are averaged.
        num_labels: Number of labels with `multi_label`.
        label_weights: Weights of the labels.
        from_logits: Whether `y_pred` are logits.

    Raises:
        ValueError: Unknown names, too few thresholds, `num_labels` without `multi_label`.

    The Relationship Between Precision-Recall and ROC Curves, Davis and Goadrich, 2006.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.AUC(num_thresholds=3)
    >>> m.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    >>> float(m.result())
    0.75
    """

    _kept = ("tp", "fp", "tn", "fn")

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        self._given = thresholds is not None
        if thresholds is not None:
            inner = sorted(float(t) for t in counting.parse_thresholds(thresholds, 0.5))
            num_thresholds = len(inner) + 2
        elif num_thresholds <= 1:
            raise ValueError(
                f"Argument `num_thresholds` must be an integer > 1. Received: num_thresholds={num_thresholds}"
            )
        else:
            inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        if num_labels and not multi_label:
            raise ValueError("`num_labels` is needed only when `multi_label` is True.")
        super().__init__(name=name, dtype=dtype)
        self.num_thresholds = num_thresholds
        self.curve = _choice("curve", curve, _CURVES)
        self.summation_method = _choice("summation_method", summation_method, _SUMS)
        self.thresholds = [-config.epsilon(), *inner, 1 + config.epsilon()]
        self._even = counting.are_even([0.0, *inner, 1.0]) if self._given else True
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else as_array(label_weights, self.dtype)
        self.from_logits = from_logits
        self._built = False
        if not multi_label or num_labels:
            self._build((None, num_labels) if multi_label else None)

    def _build(self, shape: Any) -> None:
        if self.multi_label and len(shape) != 2:
            raise ValueError(
                "`y_pred` must have rank 2 when `multi_label=True`. Received: "
                f"y_pred.shape={tuple(shape)} of rank {len(shape)}"
            )
        self._keep((self.num_thresholds, shape[1]) if self.multi_label else (self.num_thresholds,))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pred = as_array(y_pred, self.dtype)
        if not self._built:
            self._build(pred.shape)
        if self.from_logits:
            pred = 1 / (1 + np.exp(-np.clip(pred, -700, 700).astype(np.float64)))
        weights = None if self.multi_label else self.label_weights
        self._count(y_true, pred, sample_weight, multi_label=self.multi_label, label_weights=weights)

    def _area_of_pr(self, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
        """The area of each step under the precision curve that goes through the counts of both its ends."""
        all_called = tp + fp
        slope = share(tp[:-1] - tp[1:], np.maximum(all_called[:-1] - all_called[1:], 0))
        intercept = tp[1:] - slope * all_called[1:]
        both = (all_called[:-1] > 0) & (all_called[1:] > 0)
        ratio = np.where(both, share(all_called[:-1], np.maximum(all_called[1:], 0)), 1)
        step = slope * (tp[:-1] - tp[1:] + intercept * np.log(ratio))
        return share(step, np.maximum(tp[1:] + fn[1:], 0))

    def _steps(self) -> np.ndarray:
        """The area between each two thresholds."""
        tp, fp, tn, fn = (self._of(key).astype(np.float64) for key in self._kept)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._area_of_pr(tp, fp, fn)
        recall = share(tp, tp + fn)
        if self.curve == "ROC":
            x, y = share(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, share(tp, tp + fp)
        else:
            scale = share(tp + fn, tn + fp)
            x = np.maximum(np.where(tp == 0, 0, 1 - scale * share(fn, tp)), 0)
            y = np.where(tp == 0, 1, 1 - scale * share(fp, tp))
        heights = {
            "interpolation": lambda: (y[:-1] + y[1:]) / 2,
            "minoring": lambda: np.minimum(y[:-1], y[1:]),
            "majoring": lambda: np.maximum(y[:-1], y[1:]),
        }[self.summation_method]()
        return (x[:-1] - x[1:]) * heights

    def result(self) -> Any:
        if not self._built:
            return self._tensor(0.0)
        areas = self._steps().sum(axis=0)
        if self.multi_label:
            weights = self.label_weights
            areas = areas.mean() if weights is None else share((areas * weights).sum(), weights.sum())
        return self._tensor(areas)

    def get_config(self) -> dict:
        found = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if self.label_weights is None else self.label_weights.tolist(),
            "from_logits": self.from_logits,
        }
        if self._given:
            found["thresholds"] = self.thresholds[1:-1]
        return found
