"""Losses as objects: functions of (y_true, y_pred) averaged over a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnexplain import _core

from ..convert import as_tensor, same_rank
from ..saving.serialization import deserialize_keras_object, serialize_keras_object
from .base import Loss
from .crossentropies import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from .distances import (
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

# Functions of labels as integers: their labels are not cast.
_INTEGERS = (sparse_categorical_crossentropy, categorical_generalized_cross_entropy, circle)


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

    Args:
        from_logits: Whether `y_pred` are logits.
        label_smoothing: Moves the labels towards even ones by this share.
        axis: The class axis.
        reduction, name, dtype: As in `Loss`.

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
    """The mean of `categorical_focal_crossentropy`.

    Args:
        alpha: Weight of the classes, one number or one for each.
        gamma: Power of 1 - p by which easy examples weigh less.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: Moves the labels towards even ones by this share.
        axis: The class axis.
        reduction, name, dtype: As in `Loss`.

    >>> from cnnexplain import keras
    >>> round(float(keras.losses.CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.25, 0.75]])), 4)
    0.0045
    """

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

    Args:
        from_logits: Whether `y_pred` are logits.
        ignore_class: A label whose places do not count.
        reduction, name, dtype: As in `Loss`.
        axis: The class axis.

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
    """The mean of `binary_crossentropy`.

    Args:
        from_logits: Whether `y_pred` are logits.
        label_smoothing: Moves the labels towards even ones by this share.
        axis: The class axis.
        reduction, name, dtype: As in `Loss`.

    >>> from cnnexplain import keras
    >>> round(float(keras.losses.BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.25]])), 4)
    1.0397
    """

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
    """The mean of `binary_focal_crossentropy`.

    Args:
        apply_class_balancing: Whether class 1 weighs alpha and class 0 1 - alpha.
        alpha: That weight.
        gamma: Power of 1 - p by which easy examples weigh less.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: Moves the labels towards even ones by this share.
        axis: The class axis.
        reduction, name, dtype: As in `Loss`.

    >>> from cnnexplain import keras
    >>> round(float(keras.losses.BinaryFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.25]])), 4)
    0.4765
    """

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
    """The mean of `categorical_generalized_cross_entropy`.

    Args:
        q: In (0, 1): near 0 the crossentropy, near 1 the mean absolute error.
        reduction, name, dtype: As in `Loss`.

    >>> from cnnexplain import keras
    >>> round(float(keras.losses.CategoricalGeneralizedCrossEntropy()([1], [[0.25, 0.75]])), 4)
    0.2679
    """

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
    """The mean of `huber`.

    Args:
        delta: Where the square goes over into a line.
        reduction, name, dtype: As in `Loss`.

    >>> from cnnexplain import keras
    >>> round(float(keras.losses.Huber()([[1.0, 2.0]], [[1.5, 4.0]])), 4)
    0.8125
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(huber, reduction, name, dtype, delta=delta)


class CosineSimilarity(_Configured):
    """The mean of `cosine_similarity`.

    Args:
        axis: The axis along which vectors lie.
        reduction, name, dtype: As in `Loss`.

    >>> from cnnexplain import keras
    >>> round(float(keras.losses.CosineSimilarity()([[3.0, 4.0]], [[4.0, 3.0]])), 4)
    -0.96
    """

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

    Args:
        axis: The axes that are summed; None: all.
        reduction, name, dtype: As in `Loss`.

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
    """`tversky`, of the whole batch or along `axis`.

    Args:
        alpha: Weight of the false positives.
        beta: Weight of the false negatives.
        reduction, name, dtype: As in `Loss`.
        axis: The axes that are summed; None: all.

    >>> from cnnexplain import keras
    >>> round(float(keras.losses.Tversky()([[1.0, 0.0]], [[0.75, 0.25]])), 4)
    0.25
    """

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
    """The mean of `circle` over the losses above 0, the batch's embeddings compared with one another.

    Args:
        gamma: Scale of the similarities.
        margin: Distance from the best similarities that is still accepted.
        remove_diagonal: Whether an example is not compared with itself.
        reduction, name, dtype: As in `Loss`.

    >>> from cnnexplain import keras
    >>> x = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]]
    >>> round(float(keras.losses.Circle(gamma=4.0)([0, 0, 1, 1], x)), 4)
    1.8643
    """

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


def _simple(class_name: str, fn: Callable, arguments: str, value: float) -> Any:
    """The class of a loss function without arguments of its own, with the value of an example."""

    def __init__(
        self: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = fn.__name__,
        dtype: Any = None,
    ) -> None:
        LossFunctionWrapper.__init__(self, fn, reduction=reduction, name=name, dtype=dtype)

    members: dict[str, Any] = {"__init__": __init__, "__module__": __name__}
    members["__doc__"] = f"""The mean of `{fn.__name__}`.

    Args:
        reduction, name, dtype: As in `Loss`.

    >>> from cnnexplain import keras
    >>> round(float(keras.losses.{class_name}()({arguments})), 4)
    {value}
    """
    return type(class_name, (LossFunctionWrapper,), members)


_NUMBERS, _SIGNS = "[[1.0, 2.0]], [[1.5, 4.0]]", "[[1.0, -1.0]], [[0.5, 0.25]]"
_CLASSES, _SHARES = "[[0.0, 1.0]], [[0.25, 0.75]]", "[[0.5, 0.5]], [[0.25, 0.75]]"

MeanSquaredError = _simple("MeanSquaredError", mean_squared_error, _NUMBERS, 2.125)
MeanAbsoluteError = _simple("MeanAbsoluteError", mean_absolute_error, _NUMBERS, 1.25)
MeanAbsolutePercentageError = _simple(
    "MeanAbsolutePercentageError", mean_absolute_percentage_error, _NUMBERS, 75.0
)
MeanSquaredLogarithmicError = _simple(
    "MeanSquaredLogarithmicError", mean_squared_logarithmic_error, _NUMBERS, 0.1554
)
LogCosh = _simple("LogCosh", log_cosh, _NUMBERS, 0.7226)
Hinge = _simple("Hinge", hinge, _SIGNS, 0.875)
SquaredHinge = _simple("SquaredHinge", squared_hinge, _SIGNS, 0.9062)
CategoricalHinge = _simple("CategoricalHinge", categorical_hinge, _CLASSES, 0.5)
KLDivergence = _simple("KLDivergence", kl_divergence, _SHARES, 0.1438)
Poisson = _simple("Poisson", poisson, _NUMBERS, 1.161)
