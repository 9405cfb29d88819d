"""Losses: the functions of `loss_functions` by every name Keras has for them, and classes that average
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnexplain import _core

from . import config, naming
from .convert import as_real, as_tensor, same_rank
from .loss_functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from .saving.serialization import make_get

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def reduce_weighted(
    values: Any, sample_weight: Any = None, reduction: str | None = "sum_over_batch_size"
) -> Any:
    """Losses times their weights, summed or averaged."""
    if sample_weight is not None:
        weight = as_tensor(sample_weight, values.dtype.name)
        values, weight = same_rank(values, weight)
        values = values * weight
    if reduction in ("none", None):
        return values
    if reduction == "sum":
        return _core.reduce_sum(values)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        total = _core.reduce_sum(weight)
        if isinstance(total, _core.Symbol) or float(total):
            return _core.reduce_sum(values) / total
        return _core.reduce_sum(values)
    return _core.reduce_mean(values)


class Loss:
    """A loss as an object: `loss(y_true, y_pred, sample_weight=None)` gives the reduced value.

    Subclasses define `call(self, y_true, y_pred)`, one loss for each example.

    Args:
        name: Its name.
        reduction: "sum_over_batch_size" (the mean), "sum", "mean", "mean_with_sample_weight" or "none".
        dtype: Accepted; the dtype of `y_pred` is kept.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ):
        reduction = "sum_over_batch_size" if reduction == "auto" else reduction
        if reduction not in _REDUCTIONS:
            raise ValueError(
                f"Invalid value for argument `reduction`. Expected one of {set(_REDUCTIONS)}. Received: "
                f"reduction={reduction}"
            )
        self.name = name or naming.auto_name(type(self).__name__)
        self.reduction = reduction
        self._dtype = dtype

    @property
    def dtype(self) -> str:
        """The dtype asked for."""
        return config.standardize_dtype(self._dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss for each example."""
        raise NotImplementedError(f"{type(self).__name__} must define `call(self, y_true, y_pred)`.")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return reduce_weighted(as_real(self.call(y_true, y_pred)), sample_weight, self.reduction)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The loss that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class LossFunctionWrapper(Loss):
    """A loss made of a function of (y_true, y_pred) and keyword arguments for it."""

    def __init__(
        self,
        fn: Callable,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = same_rank(as_tensor(y_true), as_tensor(y_pred))
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict:
        return {**super().get_config(), **self._fn_kwargs}


def _smoothing(label_smoothing: float) -> float:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"`label_smoothing` must be in [0, 1]. Received: label_smoothing={label_smoothing}")
    return label_smoothing


class CategoricalCrossentropy(LossFunctionWrapper):
    """The mean of `categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            categorical_crossentropy, name=name, reduction=reduction, dtype=dtype, from_logits=from_logits,
            label_smoothing=_smoothing(label_smoothing), axis=axis,
        )  # fmt: skip
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """The mean of `sparse_categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            sparse_categorical_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class


class BinaryCrossentropy(LossFunctionWrapper):
    """The mean of `binary_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            binary_crossentropy, name=name, reduction=reduction, dtype=dtype, from_logits=from_logits,
            label_smoothing=_smoothing(label_smoothing), axis=axis,
        )  # fmt: skip
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """The mean of `binary_focal_crossentropy`."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            binary_focal_crossentropy, name=name, reduction=reduction, dtype=dtype,
            apply_class_balancing=apply_class_balancing, alpha=alpha, gamma=gamma, from_logits=from_logits,
            label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip


def _simple(class_name: str, fn: Callable, **defaults: Any) -> type:
    """The class of a loss function whose keyword arguments are `defaults`."""
    name_of = fn.__name__

    def __init__(
        self: Any,
        *args: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = name_of,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        own = dict(defaults)
        places = [*defaults, "reduction", "name", "dtype"]
        given = dict(zip(places, args, strict=False), **kwargs)
        unknown = set(given) - set(places)
        if unknown or len(args) > len(places):
            raise TypeError(f"{class_name} takes {', '.join(places)}. Received: {args}, {kwargs}")
        own.update({key: given[key] for key in defaults if key in given})
        LossFunctionWrapper.__init__(
            self,
            fn,
            reduction=given.get("reduction", reduction),
            name=given.get("name", name),
            dtype=given.get("dtype", dtype),
            **own,
        )

    text = f"The mean of `{name_of}`."
    return type(
        class_name, (LossFunctionWrapper,), {"__init__": __init__, "__doc__": text, "__module__": __name__}
    )


MeanSquaredError = _simple("MeanSquaredError", mean_squared_error)
MeanAbsoluteError = _simple("MeanAbsoluteError", mean_absolute_error)
MeanAbsolutePercentageError = _simple("MeanAbsolutePercentageError", mean_absolute_percentage_error)
MeanSquaredLogarithmicError = _simple("MeanSquaredLogarithmicError", mean_squared_logarithmic_error)
Huber = _simple("Huber", huber, delta=1.0)
LogCosh = _simple("LogCosh", log_cosh)
Hinge = _simple("Hinge", hinge)
SquaredHinge = _simple("SquaredHinge", squared_hinge)
CategoricalHinge = _simple("CategoricalHinge", categorical_hinge)
KLDivergence = _simple("KLDivergence", kl_divergence)
Poisson = _simple("Poisson", poisson)
CosineSimilarity = _simple("CosineSimilarity", cosine_similarity, axis=-1)

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
logcosh = log_cosh
kld = KLD = kullback_leibler_divergence = kl_divergence
cosine_proximity = cosine_similarity
bce = BCE = binary_crossentropy
huber_loss = huber

_FUNCTIONS = [
    mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error,
    huber, log_cosh, hinge, squared_hinge, categorical_hinge, kl_divergence, poisson, cosine_similarity,
    categorical_crossentropy, sparse_categorical_crossentropy, binary_crossentropy,
    binary_focal_crossentropy,
]  # fmt: skip
_CLASSES = [
    MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Huber,
    LogCosh, Hinge, SquaredHinge, CategoricalHinge, KLDivergence, Poisson, CosineSimilarity,
    CategoricalCrossentropy, SparseCategoricalCrossentropy, BinaryCrossentropy, BinaryFocalCrossentropy,
]  # fmt: skip
_things: list[Any] = [*_FUNCTIONS, *_CLASSES]
_table: dict[str, Any] = {thing.__name__: thing for thing in _things}
_table.update(
    mse=mse,
    MSE=mse,
    mae=mae,
    MAE=mae,
    mape=mape,
    MAPE=mape,
    msle=msle,
    MSLE=msle,
    logcosh=log_cosh,
    bce=bce,
    BCE=bce,
    kld=kl_divergence,
    KLD=kl_divergence,
    kullback_leibler_divergence=kl_divergence,
    cosine_proximity=cosine_similarity,
    huber_loss=huber,
)


get, serialize, deserialize = make_get("loss", _table, none=True)
