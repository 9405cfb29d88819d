"""Means of loss functions."""

from __future__ import annotations

from typing import Any

from .. import losses
from .arrays import as_array, same_rank
from .reduction import Configured, mean_of

_NUMBERS, _SIGNS = "[[1.0, 2.0]], [[1.5, 4.0]]", "[[1.0, -1.0]], [[0.5, 0.25]]"
_CLASSES, _SHARES = "[[0.0, 1.0]], [[0.25, 0.75]]", "[[0.5, 0.5]], [[0.25, 0.75]]"

MeanSquaredError = mean_of(
    "MeanSquaredError", losses.mean_squared_error, "mean_squared_error", __name__, _NUMBERS, 2.125
)
MeanAbsoluteError = mean_of(
    "MeanAbsoluteError", losses.mean_absolute_error, "mean_absolute_error", __name__, _NUMBERS, 1.25
)
MeanAbsolutePercentageError = mean_of(
    "MeanAbsolutePercentageError",
    losses.mean_absolute_percentage_error,
    "mean_absolute_percentage_error",
    __name__,
    _NUMBERS,
    75.0,
)
MeanSquaredLogarithmicError = mean_of(
    "MeanSquaredLogarithmicError",
    losses.mean_squared_logarithmic_error,
    "mean_squared_logarithmic_error",
    __name__,
    _NUMBERS,
    0.1554,
)
LogCoshError = mean_of("LogCoshError", losses.log_cosh, "logcosh", __name__, _NUMBERS, 0.7226)
Hinge = mean_of("Hinge", losses.hinge, "hinge", __name__, _SIGNS, 0.875)
SquaredHinge = mean_of("SquaredHinge", losses.squared_hinge, "squared_hinge", __name__, _SIGNS, 0.9062)
CategoricalHinge = mean_of(
    "CategoricalHinge", losses.categorical_hinge, "categorical_hinge", __name__, _CLASSES, 0.5
)
KLDivergence = mean_of("KLDivergence", losses.kl_divergence, "kl_divergence", __name__, _SHARES, 0.1438)
Poisson = mean_of("Poisson", losses.poisson, "poisson", __name__, _NUMBERS, 1.161)


class BinaryCrossentropy(Configured):
    """The mean of `binary_crossentropy`.

    Args:
        name, dtype: As in `Metric`.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: Moves the labels towards even ones by this share.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.BinaryCrossentropy()
    >>> m.update_state([[0.0, 1.0]], [[0.5, 0.25]])
    >>> round(float(m.result()), 4)
    1.0397
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            losses.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )


class CategoricalCrossentropy(Configured):
    """The mean of `categorical_crossentropy`.

    Args:
        name, dtype: As in `Metric`.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: Moves the labels towards even ones by this share.
        axis: The class axis.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.CategoricalCrossentropy()
    >>> m.update_state([[0.0, 1.0]], [[0.25, 0.75]])
    >>> round(float(m.result()), 4)
    0.2877
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(
            losses.categorical_crossentropy, name, dtype, from_logits=from_logits,
            label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip


class SparseCategoricalCrossentropy(Configured):
    """The mean of `sparse_categorical_crossentropy`.

    Args:
        name, dtype: As in `Metric`.
        from_logits: Whether `y_pred` are logits.
        ignore_class: A label whose places do not count.
        axis: The class axis.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.SparseCategoricalCrossentropy()
    >>> m.update_state([1], [[0.25, 0.75]])
    >>> round(float(m.result()), 4)
    0.2877
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(
            losses.sparse_categorical_crossentropy, name, dtype, from_logits=from_logits,
            ignore_class=ignore_class, axis=axis,
        )  # fmt: skip

    def weights(self, y_true: Any, sample_weight: Any) -> Any:
        ignored = self._fn_kwargs["ignore_class"]
        if ignored is None or sample_weight is None:
            return sample_weight
        counted, weight = same_rank(as_array(y_true) != ignored, as_array(sample_weight, self.dtype))
        return weight * counted
