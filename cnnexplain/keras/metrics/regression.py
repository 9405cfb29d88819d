"""How well numbers are predicted: root mean squared error, cosine, correlations, R2."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config, losses
from ..convert import as_real, as_tensor, same_rank
from ..losses.distances import refuse
from . import arrays
from .base import Metric
from .reduction import Configured, Mean


class RootMeanSquaredError(Mean):
    """The square root of the mean squared error of all values.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.RootMeanSquaredError()
    >>> m.update_state([0.0, 0.0], [3.0, 3.0])
    >>> float(m.result())
    3.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        true, pred = arrays.same_rank(
            arrays.as_array(y_true, self.dtype), arrays.as_array(y_pred, self.dtype)
        )
        try:
            error = pred - true
        except ValueError:
            refuse(self.name, true, pred)
        super().update_state(np.square(error), sample_weight=sample_weight)

    def value(self) -> float:
        return math.sqrt(super().value())


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return _core.negative(losses.cosine_similarity(y_true, y_pred, axis=axis))


class CosineSimilarity(Configured):
    """The mean cosine of the angle between the two: 1 for the same direction.

    Args:
        name, dtype: As in `Metric`.
        axis: The axis along which vectors lie.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.CosineSimilarity()
    >>> m.update_state([[3.0, 4.0]], [[4.0, 3.0]])
    >>> round(float(m.result()), 4)
    0.96
    """

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(_cosine, name, dtype, axis=axis)


def _centred(x: Any, axis: list[int]) -> tuple[Any, Any, Any]:
    """(mean, x - mean, variance) along the axes, which stay with length 1."""
    mean = _core.reduce_mean(x, axis=axis, keepdims=True)
    return mean, x - mean, _core.reduce_mean(_core.square(x - mean), axis=axis, keepdims=True)


def _both(y_true: Any, y_pred: Any, axis: Any) -> tuple[Any, Any, list[int]]:
    y_pred = as_real(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype.name), y_pred)
    if axis is None:
        return y_true, y_pred, list(range(len(y_pred.shape)))
    return y_true, y_pred, list(axis) if isinstance(axis, (list, tuple)) else [axis]


def pearson_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> Any:
    """Pearson's correlation along `axis`: covariance over the product of the standard deviations.

    >>> from cnnexplain import keras
    >>> float(keras.metrics.pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])[0]) > 0.999
    True
    """
    y_true, y_pred, axes = _both(y_true, y_pred, axis)
    _, a, var_a = _centred(y_true, axes)
    _, b, var_b = _centred(y_pred, axes)
    return _core.reduce_mean(a / _core.sqrt(var_a) * (b / _core.sqrt(var_b)), axis=axes)


def concordance_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> Any:
    """The concordance correlation along `axis`: 1 only where the two are equal.

    2 * covariance / (variance of one + variance of the other + squared difference of the means).
    """
    y_true, y_pred, axes = _both(y_true, y_pred, axis)
    mean_a, _, var_a = _centred(y_true, axes)
    mean_b, b, var_b = _centred(y_pred, axes)
    norm = var_a + var_b + _core.square(mean_a - mean_b)
    return _core.reduce_mean((y_true - mean_b) * b * 2.0 / (norm + config.epsilon()), axis=axes)


class PearsonCorrelation(Configured):
    """The mean of `pearson_correlation`.

    Args:
        name, dtype: As in `Metric`.
        axis: The axis along which values are paired.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.PearsonCorrelation()
    >>> m.update_state([[1.0, 2.0, 3.0]], [[1.0, 2.0, 4.0]])
    >>> round(float(m.result()), 4)
    0.982
    """

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: Any = -1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(Configured):
    """The mean of `concordance_correlation`.

    Args:
        name, dtype: As in `Metric`.
        axis: The axis along which values are paired.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.ConcordanceCorrelation()
    >>> m.update_state([[1.0, 2.0, 3.0]], [[1.0, 2.0, 4.0]])
    >>> round(float(m.result()), 4)
    0.8571
    """

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: Any = -1):
        super().__init__(concordance_correlation, name, dtype, axis=axis)


class R2Score(Metric):
    """1 - sum((y_true - y_pred)^2) / sum((y_true - mean)^2): the part of the variance that is explained.

    Args:
        class_aggregation: "uniform_average", "variance_weighted_average" or None: one score for each output.
        num_regressors: Number of predictors for the adjusted score; 0: the plain one.
        name: Its name.
        dtype: dtype of the result.

    Raises:
        ValueError: An unknown aggregation, a negative number, or labels that are not (n, outputs).

    >>> from cnnexplain import keras
    >>> m = keras.metrics.R2Score()
    >>> m.update_state([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])
    >>> float(m.result())
    0.5
    """

    squared_sum: Any
    sum: Any
    total_mse: Any
    count: Any

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        kinds = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in kinds:
            raise ValueError(
                f"Invalid value for argument `class_aggregation`. Expected one of {kinds}. Received: "
                f"class_aggregation={class_aggregation}"
            )
        if num_regressors < 0:
            raise ValueError(
                "Invalid value for argument `num_regressors`. Expected a value >= 0. Received: "
                f"num_regressors={num_regressors}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def _build(self, true: np.ndarray, pred: np.ndarray) -> None:
        if true.ndim != 2 or pred.ndim != 2:
            refuse(self.name, true, pred, ". They must be of shape (batch_size, output_dim).")
        for name, title in (
            ("squared_sum", "squared_sum"),
            ("sum", "sum"),
            ("total_mse", "residual"),
            ("count", "count"),
        ):
            setattr(self, name, self.add_variable((pred.shape[1],), "zeros", name=title))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = arrays.same_rank(
            arrays.as_array(y_true, self.dtype), arrays.as_array(y_pred, self.dtype)
        )
        if not self._built:
            self._build(true, pred)
        if true.shape != pred.shape:
            refuse(self.name, true, pred)
        weight = arrays.as_array(1 if sample_weight is None else sample_weight, self.dtype)
        weight = np.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, true.shape)
        self.sum.assign_add((true * weight).sum(0))
        self.squared_sum.assign_add((true * true * weight).sum(0))
        self.total_mse.assign_add((np.square(true - pred) * weight).sum(0))
        self.count.assign_add(weight.sum(0))
        self.num_samples.assign_add(true.size)

    def result(self) -> Any:
        if not self._built:
            return self._tensor(0.0)
        total, squares, residual, count = (
            np.asarray(v, np.float64) for v in (self.sum, self.squared_sum, self.total_mse, self.count)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = squares - total * (total / count)
            scores = 1 - residual / variance
            scores = np.where(np.isinf(scores), 0.0, scores)
            if self.class_aggregation == "uniform_average":
                score = scores.mean()
            elif self.class_aggregation == "variance_weighted_average":
                score = (variance * scores).sum() / variance.sum()
            else:
                score = scores
        if self.num_regressors:
            n = float(self.num_samples)
            if self.num_regressors > n - 1:
                warnings.warn(
                    "More independent predictors than datapoints in adjusted R2 score. Falling back to "
                    "standard R2 score.",
                    stacklevel=2,
                )
            elif self.num_regressors == n - 1:
                warnings.warn(
                    "Division by zero in Adjusted R2 score. Falling back to standard R2 score.", stacklevel=2
                )
            else:
                score = 1 - (1 - score) * (n - 1) / (n - self.num_regressors - 1)
        return self._tensor(score)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
