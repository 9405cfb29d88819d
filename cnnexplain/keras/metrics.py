"""Metrics: running values over batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnexplain import _core

from . import config, initializers, losses, naming
from .convert import as_real, as_tensor, same_rank
from .saving.serialization import make_get


class Metric:
    """A running value: `update_state` for each batch, `result()` so far, `reset_state()` to begin anew.

    Args:
        dtype: dtype of the result.
        name: Its name.
    """

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or naming.auto_name(type(self).__name__)
        self._dtype = config.standardize_dtype(dtype)
        self._metric_variables: list = []

    @property
    def dtype(self) -> str:
        """dtype of the result."""
        return self._dtype

    def add_variable(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Any:
        """Makes a variable that `reset_state` sets to 0."""
        from cnnexplain.tensor import Variable

        initializer = initializers.get(initializer)
        value = initializer(tuple(shape), dtype=dtype or self.dtype)
        variable = Variable(value, trainable=False, name=name or "variable")
        self._metric_variables.append((variable, initializer))
        return variable

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """The same as `add_variable`; the name may come first."""
        if isinstance(shape, str):
            shape, name = kwargs.pop("shape", ()), shape
        return self.add_variable(shape=shape, initializer=initializer, dtype=dtype, name=name)

    @property
    def variables(self) -> list:
        """The variables made by `add_variable`."""
        return [variable for variable, _ in self._metric_variables]

    def reset_state(self) -> None:
        """Begins anew."""
        for variable, initializer in self._metric_variables:
            variable.assign(initializer(tuple(variable.shape), dtype=variable.dtype.name))

    def reset_states(self) -> None:
        """Begins anew."""
        self.reset_state()

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch in."""
        raise NotImplementedError(f"{type(self).__name__} must define `update_state`.")

    def result(self) -> Any:
        """The value so far."""
        raise NotImplementedError(f"{type(self).__name__} must define `result`.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The metric that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class _Ratio(Metric):
    """A weighted sum over a count, both plain numbers."""

    def __init__(self, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = 0.0
        self.count = 0.0

    def add(self, total: float, count: float) -> None:
        self.total += total
        self.count += count

    def value(self) -> float:
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        self.total = 0.0
        self.count = 0.0

    def result(self) -> Any:
        return _core.tensor(np.asarray(self.value(), self.dtype))


def _weighted(values: Any, sample_weight: Any) -> tuple[float, float]:
    array = np.asarray(values, np.float64)
    if sample_weight is None:
        return float(array.sum()), float(array.size)
    weight = np.asarray(sample_weight, np.float64)
    while weight.ndim > array.ndim and weight.shape[-1] == 1:
        weight = weight[..., 0]
    if weight.ndim < array.ndim:
        array = array.mean(axis=tuple(range(weight.ndim, array.ndim)))
    weight = np.broadcast_to(weight, array.shape)
    return float((array * weight).sum()), float(weight.sum())


class Mean(_Ratio):
    """The weighted mean of what it was given.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.Mean()
    >>> m.update_state([1.0, 3.0])
    >>> float(m.result())
    2.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        self.add(*_weighted(values, sample_weight))


class Sum(_Ratio):
    """The weighted sum of what it was given."""

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        self.add(*_weighted(values, sample_weight))

    def value(self) -> float:
        return self.total


class MeanMetricWrapper(_Ratio):
    """The mean of a function of (y_true, y_pred).

    Args:
        fn: The function; it returns one value for each example.
        name: Its name.
        kwargs: Keyword arguments of the function.
    """

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name or naming.object_name(fn), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """One value for each example."""
        return self._fn(y_true, y_pred, **self._fn_kwargs)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.add(*_weighted(self.values(y_true, y_pred), sample_weight))

    def get_config(self) -> dict:
        return {**super().get_config(), **self._fn_kwargs}


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where y_pred equals y_true, else 0."""
    y_pred = as_tensor(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype.name), y_pred)
    return _core.cast(_core.equal(y_true, y_pred), dtype=config.floatx())


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where (y_pred > threshold) equals y_true, else 0."""
    y_pred = as_real(y_pred)
    y_true, y_pred = same_rank(as_tensor(y_true, y_pred.dtype.name), y_pred)
    above = _core.cast(_core.greater(y_pred, float(threshold)), dtype=y_pred.dtype.name)
    return _core.cast(_core.equal(y_true, above), dtype=config.floatx())


def _matches(labels: Any, y_pred: Any) -> Any:
    best = _core.argmax(y_pred, axis=-1)
    return _core.cast(_core.equal(_core.cast(labels, dtype="int64"), best), dtype=config.floatx())


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest of y_pred and of y_true are at the same class, else 0."""
    return _matches(_core.argmax(as_tensor(y_true), axis=-1), as_real(y_pred))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest of y_pred is at the label, else 0."""
    y_pred = as_real(y_pred)
    y_true = as_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = _core.reshape(y_true, shape=[-2] * (len(y_pred.shape) - 1))
    return _matches(y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where fewer than k classes score higher than the label, else 0."""
    y_pred = as_real(y_pred)
    classes = y_pred.shape[-1]
    y_true = _core.reshape(as_tensor(y_true), shape=[-1])
    y_pred = _core.reshape(y_pred, shape=[-1, classes])
    mark = _core.one_hot(_core.cast(y_true, dtype="int64"), depth=classes, dtype=y_pred.dtype.name)
    own = _core.reduce_sum(mark * y_pred, axis=[-1], keepdims=True)
    higher = _core.reduce_sum(_core.cast(_core.greater(y_pred, own), dtype=y_pred.dtype.name), axis=[-1])
    return _core.cast(_core.less(higher, float(k)), dtype=config.floatx())


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where fewer than k classes score higher than the true one, else 0."""
    return sparse_top_k_categorical_accuracy(_core.argmax(as_tensor(y_true), axis=-1), y_pred, k=k)


def _metric(class_name: str, fn: Callable, name: str, **defaults: Any) -> type:
    """The class of a metric function whose keyword arguments are `defaults`."""
    places = [*defaults, "name", "dtype"] if defaults and "k" in defaults else ["name", "dtype", *defaults]

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        given = dict(zip(places, args, strict=False), **kwargs)
        unknown = set(given) - set(places)
        if unknown or len(args) > len(places):
            raise TypeError(f"{class_name} takes {', '.join(places)}. Received: {args}, {kwargs}")
        own = {key: given.get(key, value) for key, value in defaults.items()}
        MeanMetricWrapper.__init__(self, fn, name=given.get("name") or name, dtype=given.get("dtype"), **own)

    text = f"The mean of `{fn.__name__}`."
    return type(
        class_name, (MeanMetricWrapper,), {"__init__": __init__, "__doc__": text, "__module__": __name__}
    )


Accuracy = _metric("Accuracy", accuracy, "accuracy")
BinaryAccuracy = _metric("BinaryAccuracy", binary_accuracy, "binary_accuracy", threshold=0.5)
CategoricalAccuracy = _metric("CategoricalAccuracy", categorical_accuracy, "categorical_accuracy")
SparseCategoricalAccuracy = _metric(
    "SparseCategoricalAccuracy", sparse_categorical_accuracy, "sparse_categorical_accuracy"
)
TopKCategoricalAccuracy = _metric(
    "TopKCategoricalAccuracy", top_k_categorical_accuracy, "top_k_categorical_accuracy", k=5
)
SparseTopKCategoricalAccuracy = _metric(
    "SparseTopKCategoricalAccuracy",
    sparse_top_k_categorical_accuracy,
    "sparse_top_k_categorical_accuracy",
    k=5,
)
MeanSquaredError = _metric("MeanSquaredError", losses.mean_squared_error, "mean_squared_error")
MeanAbsoluteError = _metric("MeanAbsoluteError", losses.mean_absolute_error, "mean_absolute_error")
MeanAbsolutePercentageError = _metric(
    "MeanAbsolutePercentageError", losses.mean_absolute_percentage_error, "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _metric(
    "MeanSquaredLogarithmicError", losses.mean_squared_logarithmic_error, "mean_squared_logarithmic_error"
)
LogCoshError = _metric("LogCoshError", losses.log_cosh, "logcosh")
Hinge = _metric("Hinge", losses.hinge, "hinge")
SquaredHinge = _metric("SquaredHinge", losses.squared_hinge, "squared_hinge")
CategoricalHinge = _metric("CategoricalHinge", losses.categorical_hinge, "categorical_hinge")
KLDivergence = _metric("KLDivergence", losses.kl_divergence, "kl_divergence")
Poisson = _metric("Poisson", losses.poisson, "poisson")
CategoricalCrossentropy = _metric(
    "CategoricalCrossentropy", losses.categorical_crossentropy, "categorical_crossentropy",
    from_logits=False, label_smoothing=0.0, axis=-1,
)  # fmt: skip
SparseCategoricalCrossentropy = _metric(
    "SparseCategoricalCrossentropy",
    losses.sparse_categorical_crossentropy,
    "sparse_categorical_crossentropy",
    from_logits=False,
    axis=-1,
)
BinaryCrossentropy = _metric(
    "BinaryCrossentropy",
    losses.binary_crossentropy,
    "binary_crossentropy",
    from_logits=False,
    label_smoothing=0.0,
)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return _core.negative(losses.cosine_similarity(y_true, y_pred, axis=axis))


CosineSimilarity = _metric("CosineSimilarity", _cosine, "cosine_similarity", axis=-1)


class RootMeanSquaredError(_Ratio):
    """The square root of the mean squared error of all values."""

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        a, b = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
        self.add(*_weighted(np.square(a.reshape(b.shape) - b), sample_weight))

    def value(self) -> float:
        return float(np.sqrt(super().value()))


class _Confusion(Metric):
    """True and false positives and negatives at one threshold."""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: Any = None,
        class_id: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if top_k is not None:
            raise ValueError("`top_k` is not offered by this metric.")
        self.thresholds = thresholds
        self.class_id = class_id
        self.counts = np.zeros(4)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
        true = true.reshape(pred.shape)
        if self.class_id is not None:
            true, pred = true[..., self.class_id], pred[..., self.class_id]
        weight = np.ones(pred.shape)
        if sample_weight is not None:
            given = np.asarray(sample_weight, np.float64)
            weight = np.broadcast_to(given.reshape(given.shape + (1,) * (pred.ndim - given.ndim)), pred.shape)
        yes, said = true > 0.5, pred > (0.5 if self.thresholds is None else self.thresholds)
        self.counts += [
            weight[yes & said].sum(), weight[~yes & said].sum(), weight[yes & ~said].sum(), weight[~yes &
            ~said].sum()
        ]  # fmt: skip

    def reset_state(self) -> None:
        self.counts = np.zeros(4)

    def value(self) -> float:
        raise NotImplementedError

    def result(self) -> Any:
        return _core.tensor(np.asarray(self.value(), self.dtype))


def _share(a: float, b: float) -> float:
    return float(a / b) if b else 0.0


class Precision(_Confusion):
    """True positives over all that were called positive."""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: Any = None,
        class_id: Any = None,
        name: str | None = "precision",
        dtype: Any = None,
    ):
        super().__init__(thresholds, top_k, class_id, name, dtype)

    def value(self) -> float:
        return _share(self.counts[0], self.counts[0] + self.counts[1])


class Recall(_Confusion):
    """True positives over all that are positive."""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: Any = None,
        class_id: Any = None,
        name: str | None = "recall",
        dtype: Any = None,
    ):
        super().__init__(thresholds, top_k, class_id, name, dtype)

    def value(self) -> float:
        return _share(self.counts[0], self.counts[0] + self.counts[2])


mse = MSE = mean_squared_error = losses.mean_squared_error
mae = MAE = mean_absolute_error = losses.mean_absolute_error
categorical_crossentropy = losses.categorical_crossentropy
sparse_categorical_crossentropy = losses.sparse_categorical_crossentropy
binary_crossentropy = losses.binary_crossentropy

_CLASSES = [
    Mean, Sum, MeanMetricWrapper, Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy,
    TopKCategoricalAccuracy, SparseTopKCategoricalAccuracy, MeanSquaredError, RootMeanSquaredError,
    MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredLogarithmicError, LogCoshError, Hinge,
    SquaredHinge, CategoricalHinge, KLDivergence, Poisson, CategoricalCrossentropy,
    SparseCategoricalCrossentropy, BinaryCrossentropy, CosineSimilarity, Precision, Recall,
]  # fmt: skip
_table: dict[str, Any] = {cls.__name__: cls for cls in _CLASSES}
_table.update({naming.to_snake_case(cls.__name__): cls for cls in _CLASSES})
_table.update(
    mse=MeanSquaredError, MSE=MeanSquaredError, mae=MeanAbsoluteError, MAE=MeanAbsoluteError,
    mape=MeanAbsolutePercentageError, msle=MeanSquaredLogarithmicError, rmse=RootMeanSquaredError,
    bce=BinaryCrossentropy, kld=KLDivergence, logcosh=LogCoshError, cosine_proximity=CosineSimilarity,
    top_k_categorical_accuracy=TopKCategoricalAccuracy,
    sparse_top_k_categorical_accuracy=SparseTopKCategoricalAccuracy,
)  # fmt: skip


get, serialize, deserialize = make_get("metric", _table, none=True)
