"""Losses: the functions of `loss_functions` and `loss_distances` by every name Keras has for them, and
classes that average them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnexplain import _core

from .convert import as_tensor, same_rank
from .loss import Loss, apply_mask, mask_of, reduce_weighted  # noqa: F401
from .loss_distances import (
    categorical_hinge,
    circle,
    cosine_similarity,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    squared_hinge,
    tversky,
)
from .loss_functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from .saving.serialization import deserialize_keras_object, make_get, serialize_keras_object


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
        if isinstance(y_pred, (dict, list, tuple)):
            return self.fn(y_true, y_pred, **self._fn_kwargs)
        return self.fn(*same_rank(y_true, y_pred), **self._fn_kwargs)

    def _labels(self, y_true: Any, dtype: str) -> Any:
        return as_tensor(y_true, None if self.fn in _INTEGERS else dtype)

    def get_config(self) -> dict:
        known = {} if type(self) is not LossFunctionWrapper else {"fn": serialize_keras_object(self.fn)}
        return {**super().get_config(), **known, **serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        return cls(**(deserialize_keras_object(config) if "fn" in config else config))


def _between(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be in [0, 1]. Received: {name}={value}")
    return value


class _Configured(LossFunctionWrapper):
    """A loss whose function's keyword arguments are attributes too."""

    def __init__(self, fn: Callable, reduction: Any, name: Any, dtype: Any, **kwargs: Any):
        if "label_smoothing" in kwargs:
            _between("label_smoothing", kwargs["label_smoothing"])
        super().__init__(fn, reduction=reduction, name=name, dtype=dtype, **kwargs)
        for key, value in kwargs.items():
            setattr(self, key, value)


class CategoricalCrossentropy(_Configured):
    """The mean of `categorical_crossentropy`.

    >>> from cnnexplain import keras
    >>> loss = keras.losses.CategoricalCrossentropy()
    >>> float(loss([[0.0, 1.0]], [[0.5, 0.5]])) # doctest: +ELLIPSIS
    0.693...
    """

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
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalFocalCrossentropy(_Configured):
    """The mean of `categorical_focal_crossentropy`."""

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(_Configured):
    """The mean of `sparse_categorical_crossentropy`, over the labels that are not `ignore_class`.

    >>> from cnnexplain import keras
    >>> loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    >>> float(loss([1, -1], [[0.5, 0.5], [0.1, 0.9]])) # doctest: +ELLIPSIS
    0.693...
    """

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
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    def _mask(self, y_true: Any, losses: Any) -> Any:
        if self._fn_kwargs["ignore_class"] is None:
            return None
        labels = _core.cast(y_true, dtype="int64")
        if len(labels.shape) > len(losses.shape):
            labels = _core.reshape(labels, shape=[-2] * len(losses.shape))
        return _core.not_equal(labels, self._fn_kwargs["ignore_class"])


class BinaryCrossentropy(_Configured):
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
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class BinaryFocalCrossentropy(_Configured):
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
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalGeneralizedCrossEntropy(_Configured):
    """The mean of `categorical_generalized_cross_entropy`."""

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        if not 0 < q < 1:
            raise ValueError(f"`q` must be in the interval (0, 1). Received: q={q}")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)


class Huber(_Configured):
    """The mean of `huber`."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(huber, reduction, name, dtype, delta=delta)


class CosineSimilarity(_Configured):
    """The mean of `cosine_similarity`."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


class Dice(_Configured):
    """`dice`, of the whole batch or along `axis`.

    >>> from cnnexplain import keras
    >>> float(keras.losses.Dice()([[1.0, 1.0]], [[1.0, 1.0]])) < 1e-6
    True
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(_Configured):
    """`tversky`, of the whole batch or along `axis`."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class Circle(_Configured):
    """The mean of `circle` over the losses above 0, the batch's embeddings compared with one another."""

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ):
        super().__init__(
            circle, reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal
        )

    def _mask(self, y_true: Any, losses: Any) -> Any:
        return _core.greater(losses, 0.0)


def _simple(class_name: str, fn: Callable) -> type:
    """The class of a loss function without arguments of its own."""

    def __init__(
        self: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = fn.__name__,
        dtype: Any = None,
    ) -> None:
        LossFunctionWrapper.__init__(self, fn, reduction=reduction, name=name, dtype=dtype)

    text = f"The mean of `{fn.__name__}`."
    members = {"__init__": __init__, "__doc__": text, "__module__": __name__}
    return type(class_name, (LossFunctionWrapper,), members)


MeanSquaredError = _simple("MeanSquaredError", mean_squared_error)
MeanAbsoluteError = _simple("MeanAbsoluteError", mean_absolute_error)
MeanAbsolutePercentageError = _simple("MeanAbsolutePercentageError", mean_absolute_percentage_error)
MeanSquaredLogarithmicError = _simple("MeanSquaredLogarithmicError", mean_squared_logarithmic_error)
LogCosh = _simple("LogCosh", log_cosh)
Hinge = _simple("Hinge", hinge)
SquaredHinge = _simple("SquaredHinge", squared_hinge)
CategoricalHinge = _simple("CategoricalHinge", categorical_hinge)
KLDivergence = _simple("KLDivergence", kl_divergence)
Poisson = _simple("Poisson", poisson)

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
logcosh = log_cosh
kld = KLD = kullback_leibler_divergence = kl_divergence
cosine_proximity = cosine_similarity
bce = BCE = binary_crossentropy
huber_loss = huber

# Functions of labels as integers: their labels are not cast.
_INTEGERS = (sparse_categorical_crossentropy, categorical_generalized_cross_entropy, circle)
_FUNCTIONS = [
    mean_squared_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_logarithmic_error,
    huber, log_cosh, hinge, squared_hinge, categorical_hinge, kl_divergence, poisson, cosine_similarity,
    categorical_crossentropy, sparse_categorical_crossentropy, binary_crossentropy,
    binary_focal_crossentropy, categorical_focal_crossentropy, categorical_generalized_cross_entropy, dice,
    tversky, circle,
]  # fmt: skip
_CLASSES = [
    MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, Huber,
    LogCosh, Hinge, SquaredHinge, CategoricalHinge, KLDivergence, Poisson, CosineSimilarity,
    CategoricalCrossentropy, SparseCategoricalCrossentropy, BinaryCrossentropy, BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, Dice, Tversky, Circle,
]  # fmt: skip
_things: list[Any] = [*_FUNCTIONS, *_CLASSES]
_table: dict[str, Any] = {thing.__name__: thing for thing in _things}
_table.update(
    mse=mse, MSE=mse, mae=mae, MAE=mae, mape=mape, MAPE=mape, msle=msle, MSLE=msle, logcosh=log_cosh, bce=bce,
    BCE=bce, kld=kl_divergence, KLD=kl_divergence, kullback_leibler_divergence=kl_divergence,
    cosine_proximity=cosine_similarity, huber_loss=huber,
)  # fmt: skip

get, _serialize, _deserialize = make_get("loss", _table, none=True)


def serialize(loss: Any) -> Any:
    """Plain data that describes the loss."""
    return _serialize(loss)


def deserialize(name: Any, custom_objects: dict | None = None) -> Any:
    """The loss that `serialize` described, or of that name."""
    return _deserialize(name, custom_objects)
