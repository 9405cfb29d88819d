"""`Loss`, and how losses of examples are weighted, masked and reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnexplain import _core

from .. import config, naming, tree
from ..convert import as_real, as_tensor, same_rank

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def mask_of(x: Any) -> Any:
    """The mask that a layer attached to a tensor, True where a step counts; None: all count."""
    return getattr(x, "_keras_mask", None)


def _ratio(total: Any, count: Any) -> Any:
    """total / count, 0 where the count is 0."""
    if not isinstance(count, _core.Symbol):
        return total / count if float(count) else total * 0.0
    empty = _core.cast(_core.equal(count, 0.0), dtype=total.dtype.name)
    return total * (1.0 - empty) / (count + empty)


def apply_mask(sample_weight: Any, mask: Any, dtype: str, reduction: str | None) -> Tensor:
    """Weights that leave out what the mask leaves out; a mean then is one over what is left."""
    if mask is None:
        return sample_weight
    weight = _core.cast(as_tensor(mask), dtype=dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        every = _core.reduce_sum(weight * 0.0 + 1.0)
        weight = weight * _ratio(every, _core.reduce_sum(weight))
    if sample_weight is None:
        return weight
    weight, sample_weight = same_rank(weight, as_tensor(sample_weight, dtype))
    return sample_weight * weight


def _weighted(values: Any, weight: Any, name: str) -> tuple[Any, Any]:
    """(values times weights, weights of the same rank)."""
    values, weight = same_rank(values, weight)
    a, b = tuple(values.shape), tuple(weight.shape)
    if any(None not in (m, n) and m != n and 1 not in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False)):
        raise ValueError(
            f"{name}: `sample_weight` must have the shape of the losses or one that broadcasts to it. "
            f"Received: sample_weight.shape={b}, losses of shape {a}"
        )
    return values * weight, weight


def reduce_weighted(
    values: Any,
    sample_weight: Any = None,
    reduction: str | None = "sum_over_batch_size",
    mask: Any = None,
    name: str = "loss",
) -> Tensor:
    """Losses times their weights, summed or averaged."""
    dtype = values.dtype.name
    weight = apply_mask(sample_weight, mask, dtype, reduction)
    if weight is not None:
        values, weight = _weighted(values, as_tensor(weight, dtype), name)
    if reduction in ("none", None) or not len(values.shape):
        return values
    if reduction == "sum":
        return _core.reduce_sum(values)
    if reduction == "mean_with_sample_weight" and weight is not None:
        return _ratio(_core.reduce_sum(values), _core.reduce_sum(weight))
    return _core.reduce_mean(values)


class Loss:
    """A loss as an object: `loss(y_true, y_pred, sample_weight=None)` gives the reduced value.

    Subclasses define `call(self, y_true, y_pred)`, one loss for each example.

    Args:
        name: Its name.
        reduction: "sum_over_batch_size" or "mean": the mean; "sum"; "mean_with_sample_weight": the sum over
            the sum of the weights; "none" or None: one loss for each example.
        dtype: dtype of the computation; None: that of `y_pred`.

    Raises:
        ValueError: An unknown reduction.

    >>> from cnnexplain import keras
    >>> class Cubic(keras.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return abs(y_true - y_pred) ** 3.0
    >>> float(Cubic()([1.0, 2.0], [1.0, 4.0]))
    4.0
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
        self._dtype = None if dtype is None else config.standardize_dtype(dtype)

    @property
    def dtype(self) -> str:
        """The dtype asked for."""
        return self._dtype or config.floatx()

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss for each example."""
        raise NotImplementedError(f"{type(self).__name__} must define `call(self, y_true, y_pred)`.")

    def _labels(self, y_true: Any, dtype: str) -> Any:
        """The labels as `call` takes them."""
        return as_tensor(y_true, dtype)

    def _mask(self, y_true: Any, losses: Any) -> Any:
        """Which losses count; None: all."""
        return None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        mask = mask_of(y_pred)
        nested = isinstance(y_pred, dict) or (
            isinstance(y_pred, (list, tuple))
            and any(hasattr(one, "dtype") and len(one.shape) for one in y_pred)
        )
        if nested:
            y_pred = tree.map_structure(lambda one: as_real(as_tensor(one, self._dtype)), y_pred)
            y_true = tree.map_structure(lambda one: self._labels(one, self.dtype), y_true)
        else:
            y_pred = as_real(as_tensor(y_pred, self._dtype))
            y_true = self._labels(y_true, y_pred.dtype.name)
        losses = as_real(self.call(y_true, y_pred))
        own = self._mask(y_true, losses)
        if mask is not None and own is not None:
            own = _core.logical_and(*same_rank(as_tensor(mask), own))
        return reduce_weighted(losses, sample_weight, self.reduction, mask if own is None else own, self.name)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The loss that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
