"""Means of loss functions."""

from __future__ import annotations

from typing import Any

from .. import losses
from .arrays import as_array, same_rank
from .reduction import Configured, mean_of

MeanSquaredError = mean_of("MeanSquaredError", losses.mean_squared_error, "mean_squared_error", __name__)
MeanAbsoluteError = mean_of("MeanAbsoluteError", losses.mean_absolute_error, "mean_absolute_error", __name__)
MeanAbsolutePercentageError = mean_of(
    "MeanAbsolutePercentageError",
    losses.mean_absolute_percentage_error,
    "mean_absolute_percentage_error",
    __name__,
)
MeanSquaredLogarithmicError = mean_of(
    "MeanSquaredLogarithmicError",
    losses.mean_squared_logarithmic_error,
    "mean_squared_logarithmic_error",
    __name__,
)
LogCoshError = mean_of("LogCoshError", losses.log_cosh, "logcosh", __name__)
Hinge = mean_of("Hinge", losses.hinge, "hinge", __name__)
SquaredHinge = mean_of("SquaredHinge", losses.squared_hinge, "squared_hinge", __name__)
CategoricalHinge = mean_of("CategoricalHinge", losses.categorical_hinge, "categorical_hinge", __name__)
KLDivergence = mean_of("KLDivergence", losses.kl_divergence, "kl_divergence", __name__)
Poisson = mean_of("Poisson", losses.poisson, "poisson", __name__)


class BinaryCrossentropy(Configured):
    """The mean of `binary_crossentropy`."""

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
    """The mean of `categorical_crossentropy`."""

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
    """The mean of `sparse_categorical_crossentropy`."""

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
