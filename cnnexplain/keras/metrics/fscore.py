"""The F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import config
from ..losses.distances import refuse
from .arrays import as_array
from .base import Metric


class FBetaScore(Metric):
    """(1 + beta^2) * precision * recall / (beta^2 * precision + recall).

    Args:
        average: None: a score for each class; "micro": of all counts together; "macro": the mean of the
            classes; "weighted": the mean weighted by how often they occur.
        beta: How much more recall counts than precision.
        threshold: Scores above it are called positive, in (0, 1]; None: the largest of each example.
        name: Its name.
        dtype: dtype of the result.

    Raises:
        ValueError: Arguments out of range, or labels that are not (n, classes).

    >>> from cnnexplain import keras
    >>> m = keras.metrics.FBetaScore(average="micro", beta=2.0, threshold=0.5)
    >>> m.update_state([[1, 1, 1], [1, 0, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6]])
    >>> round(float(m.result()), 4)
    0.5
    """

    true_positives: Any
    false_positives: Any
    false_negatives: Any
    intermediate_weights: Any

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(
                "Invalid `average` argument value. Expected one of: (None, 'micro', 'macro', 'weighted'). "
                f"Received: average={average}"
            )
        if not isinstance(beta, float) or not beta > 0.0:
            raise ValueError(
                "Invalid `beta` argument value. It should be a Python float > 0. Received: "
                f"beta={beta} of type '{type(beta)}'"
            )
        if threshold is not None and (not isinstance(threshold, float) or not 0.0 < threshold <= 1.0):
            raise ValueError(
                "Invalid `threshold` argument value. It should be a Python float with 0 < threshold <= 1. "
                f"Received: threshold={threshold} of type '{type(threshold)}'"
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        for name in ("true_positives", "false_positives", "false_negatives", "intermediate_weights"):
            setattr(self, name, self.add_variable(shape, "zeros", dtype=self.dtype, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = as_array(y_true, self.dtype), as_array(y_pred, self.dtype)
        if true.ndim != 2 or pred.ndim != 2 or true.shape != pred.shape:
            refuse(self.name, true, pred, ". They must be of shape (batch_size, classes).")
        if not self._built:
            self._build(pred.shape[1])
        if self.threshold is None:
            called = (pred >= pred.max(axis=-1, keepdims=True)) & (np.abs(pred) > 1e-9)
        else:
            called = pred > self.threshold
        called = called.astype(self.dtype)
        weight = 1.0 if sample_weight is None else as_array(sample_weight, self.dtype).reshape(-1, 1)
        axis = None if self.average == "micro" else 0
        self.true_positives.assign_add((called * true * weight).sum(axis))
        self.false_positives.assign_add((called * (1 - true) * weight).sum(axis))
        self.false_negatives.assign_add(((1 - called) * true * weight).sum(axis))
        self.intermediate_weights.assign_add((true * weight).sum(axis))

    def result(self) -> Any:
        if not self._built:
            return self._tensor(0.0)
        tp, fp, fn, often = (
            np.asarray(v, np.float64)
            for v in (
                self.true_positives,
                self.false_positives,
                self.false_negatives,
                self.intermediate_weights,
            )
        )
        epsilon = config.epsilon()
        precision, recall = tp / (tp + fp + epsilon), tp / (tp + fn + epsilon)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + epsilon) * (1 + square)
        if self.average == "weighted":
            score = (score * often / (often.sum() + epsilon)).sum()
        elif self.average is not None:
            score = score.mean()
        return self._tensor(score)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


class F1Score(FBetaScore):
    """2 * precision * recall / (precision + recall): `FBetaScore` with beta 1.

    Args:
        average: "micro", "macro" or "weighted"; None: one score for each class.
        threshold: A score above it counts; None: the highest of each example.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.F1Score(threshold=0.5)
    >>> m.update_state([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> m.result().numpy().round(4)
    array([0.5   , 0.8   , 0.6667], dtype=float32)
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict:
        found = super().get_config()
        del found["beta"]
        return found
