"""Counts of right and wrong predictions at thresholds, and precision and recall made from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import counting
from .arrays import share
from .base import Metric

_NAMES = {"tp": "true_positives", "fp": "false_positives", "tn": "true_negatives", "fn": "false_negatives"}


class Counting(Metric):
    """A metric that keeps some of the four counts, one of each for each threshold."""

    _kept: tuple[str, ...] = ()
    _even = False
    thresholds: Any = ()
    top_k: int | None = None
    class_id: int | None = None

    def _keep(self, shape: Any) -> None:
        for key in self._kept:
            setattr(self, _NAMES[key], self.add_variable(shape, "zeros", name=_NAMES[key]))

    def _of(self, key: str) -> np.ndarray:
        return np.asarray(getattr(self, _NAMES[key]))

    def _count(self, y_true: Any, y_pred: Any, sample_weight: Any, **more: Any) -> None:
        first = getattr(self, _NAMES[self._kept[0]])
        counts = counting.count(
            self.name, y_true, y_pred, self.thresholds, first.dtype.name, top_k=self.top_k,
            class_id=self.class_id, sample_weight=sample_weight, even=self._even, **more,
        )  # fmt: skip
        for key in self._kept:
            getattr(self, _NAMES[key]).assign_add(counts[key])

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._count(y_true, y_pred, sample_weight)


class _Condition(Counting):
    """How often one of the four happened."""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = counting.parse_thresholds(thresholds, 0.5)
        self._even = counting.are_even(self.thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")
        object.__setattr__(self, _NAMES[self._kept[0]], self.accumulator)

    def result(self) -> Any:
        values = np.array(self.accumulator)
        return self._tensor(values[0] if len(values) == 1 else values)

    def get_config(self) -> dict:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_Condition):
    """How many that are positive were called positive.

    Args:
        thresholds: A prediction above it is called positive: a number in [0, 1] or several; None: 0.5.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.TruePositives()
    >>> m.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> float(m.result())
    2.0
    """

    _kept = ("tp",)


class TrueNegatives(_Condition):
    """How many that are negative were called negative.

    Args:
        thresholds: A prediction above it is called positive: a number in [0, 1] or several; None: 0.5.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.TrueNegatives()
    >>> m.update_state([0, 1, 1, 0], [0.6, 0.8, 0.2, 0.1])
    >>> round(float(m.result()), 1)
    1.0
    """

    _kept = ("tn",)


class FalsePositives(_Condition):
    """How many that are negative were called positive.

    Args:
        thresholds: A prediction above it is called positive: a number in [0, 1] or several; None: 0.5.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.FalsePositives()
    >>> m.update_state([0, 1, 1, 0], [0.6, 0.8, 0.2, 0.1])
    >>> round(float(m.result()), 1)
    1.0
    """

    _kept = ("fp",)


class FalseNegatives(_Condition):
    """How many that are positive were called negative.

    Args:
        thresholds: A prediction above it is called positive: a number in [0, 1] or several; None: 0.5.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.FalseNegatives()
    >>> m.update_state([0, 1, 1, 0], [0.6, 0.8, 0.2, 0.1])
    >>> round(float(m.result()), 1)
    1.0
    """

    _kept = ("fn",)


class _Share(Counting):
    """True positives over them and another count."""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = counting.parse_thresholds(thresholds, 0.5 if top_k is None else counting._NEVER)
        self._even = counting.are_even(self.thresholds)
        self._keep((len(self.thresholds),))

    def result(self) -> Any:
        right, wrong = (self._of(key) for key in self._kept)
        values = share(right, right + wrong)
        return self._tensor(values[0] if len(values) == 1 else values)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


class Precision(_Share):
    """True positives over all that were called positive.

    Args:
        thresholds: A prediction above it is called positive: a number in [0, 1] or several; None: 0.5.
        top_k: Only the k highest scores of an example are called positive.
        class_id: The one class that is looked at.
        name: Its name; None: "precision", then "precision_1".
        dtype: dtype of the result.

    Raises:
        ValueError: A threshold outside [0, 1].

    >>> from cnnexplain import keras
    >>> m = keras.metrics.Precision()
    >>> m.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> round(float(m.result()), 4)
    0.6667
    """

    _kept = ("tp", "fp")


class Recall(_Share):
    """True positives over all that are positive.

    Args:
        thresholds: A prediction above it is called positive: a number in [0, 1] or several; None: 0.5.
        top_k: Only the k highest scores of an example are called positive.
        class_id: The one class that is looked at.
        name: Its name; None: "recall", then "recall_1".
        dtype: dtype of the result.

    Raises:
        ValueError: A threshold outside [0, 1].

    >>> from cnnexplain import keras
    >>> m = keras.metrics.Recall()
    >>> m.update_state([0, 1, 1, 0], [0.6, 0.8, 0.2, 0.1])
    >>> round(float(m.result()), 4)
    0.5
    """

    _kept = ("tp", "fn")


class _AtValue(Counting):
    """The best of one ratio where another is at least a value, over evenly spaced thresholds."""

    _kept = ("tp", "fp", "tn", "fn")
    _argument = ""
    _ratios: tuple[tuple[str, str], tuple[str, str]] = (("tp", "fn"), ("tn", "fp"))  # bound below, maximised

    def _start(self, value: float, num_thresholds: int, class_id: Any, name: Any, dtype: Any) -> None:
        if not 0 <= value <= 1:
            raise ValueError(
                f"Argument `{self._argument}` must be in the range [0, 1]. Received: {self._argument}={value}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                f"Argument `num_thresholds` must be an integer > 0. Received: num_thresholds={num_thresholds}"
            )
        Metric.__init__(self, name=name, dtype=dtype)
        self.value = value
        object.__setattr__(self, self._argument, value)
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        self._even = num_thresholds > 1
        self.thresholds = [0.5]
        if self._even:
            self.thresholds = [i / (num_thresholds - 1) for i in range(num_thresholds - 1)] + [1.0]
        self._keep((len(self.thresholds),))

    def result(self) -> Any:
        bound, wanted = (
            share(self._of(part), self._of(part) + self._of(rest)) for part, rest in self._ratios
        )
        return self._tensor(np.where(bound >= self.value, wanted, 0).max(initial=0))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            self._argument: self.value,
            "class_id": self.class_id,
        }


class SensitivityAtSpecificity(_AtValue):
    """The best sensitivity, tp / (tp + fn), where the specificity, tn / (tn + fp), is at least the given one.

    Args:
        specificity: The least specificity.
        num_thresholds: How many thresholds are tried.
        class_id: The one class that is looked at.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.SensitivityAtSpecificity(0.5)
    >>> m.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    >>> float(m.result())
    0.5
    """

    _argument = "specificity"
    _ratios = (("tn", "fp"), ("tp", "fn"))

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        self._start(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_AtValue):
    """The best specificity, tn / (tn + fp), where the sensitivity, tp / (tp + fn), is at least the given.

    Args:
        sensitivity: The least sensitivity.
        num_thresholds: How many thresholds are tried.
        class_id: The one class that is looked at.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.SpecificityAtSensitivity(0.75)
    >>> m.update_state([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
    >>> round(float(m.result()), 4)
    0.5
    """

    _argument = "sensitivity"
    _ratios = (("tp", "fn"), ("tn", "fp"))

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        self._start(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_AtValue):
    """The best precision where the recall is at least the given one.

    Args:
        recall: The least recall.
        num_thresholds: How many thresholds are tried.
        class_id: The one class that is looked at.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.PrecisionAtRecall(0.75)
    >>> m.update_state([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
    >>> round(float(m.result()), 4)
    0.6667
    """

    _argument = "recall"
    _ratios = (("tp", "fn"), ("tp", "fp"))

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        self._start(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_AtValue):
    """The best recall where the precision is at least the given one.

    Args:
        precision: The least precision.
        num_thresholds: How many thresholds are tried.
        class_id: The one class that is looked at.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.RecallAtPrecision(0.75)
    >>> m.update_state([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9])
    >>> round(float(m.result()), 4)
    0.5
    """

    _argument = "precision"
    _ratios = (("tp", "fp"), ("tp", "fn"))

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        self._start(precision, num_thresholds, class_id, name, dtype)
