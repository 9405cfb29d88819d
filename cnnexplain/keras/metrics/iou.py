"""Intersection over union of predicted and true segments."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config
from ..losses.distances import refuse
from .arrays import as_array
from .base import Metric


class IoU(Metric):
    """The mean of tp / (tp + fp + fn) over some classes, from a confusion matrix of all batches.

    Args:
        num_classes: Number of classes.
        target_class_ids: The classes whose mean is taken; those that never occur are left out.
        name: Its name; None: from the class, counted.
        dtype: dtype of the counts; None: int64.
        ignore_class: A label whose places do not count.
        sparse_y_true, sparse_y_pred: Whether they hold classes as integers; else scores of classes.
        axis: The class axis of scores.

    Raises:
        ValueError: A class out of range, or different numbers of labels and predictions.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> m.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(float(m.result()), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype=dtype or "int64")
        target_class_ids = [int(one) for one in target_class_ids]
        wrong = [one for one in target_class_ids if not 0 <= one < num_classes]
        if wrong:
            raise ValueError(f"Target class id {wrong[0]} is out of range, which is [0, {num_classes}).")
        self.num_classes = num_classes
        self.target_class_ids = target_class_ids
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), "zeros", dtype=self.dtype, name="total_confusion_matrix"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = as_array(y_true), as_array(y_pred)
        if not self.sparse_y_true:
            true = np.argmax(true, axis=self.axis)
        if not self.sparse_y_pred:
            pred = np.argmax(pred, axis=self.axis)
        if true.size != pred.size:
            hint = ""
            if true.size and pred.size == true.size * self.num_classes:
                hint = ". Scores of classes need `sparse_y_pred=False`, or `OneHotIoU` and `OneHotMeanIoU`."
            refuse(self.name, true, pred, hint)
        shape = true.shape
        true, pred = (
            np.nan_to_num(a.reshape(-1).astype(np.float64), nan=-1).astype(np.int64) for a in (true, pred)
        )
        weight = np.ones(true.shape, self.dtype)
        if sample_weight is not None:
            given = as_array(sample_weight)
            if given.dtype.kind == "f" and "int" in self.dtype:
                warnings.warn(
                    "You are passing weight as `float`, but dtype is `int`. This may result in an incorrect "
                    "weight due to type casting. Consider using integer weights.",
                    stacklevel=2,
                )
            given = given.astype(self.dtype)
            if given.ndim > 1:
                given = given.reshape(-1)
            if given.size not in (1, true.size):
                raise ValueError(
                    f"{self.name}: `sample_weight` must have one weight for each label. Received: "
                    f"sample_weight.shape={np.shape(sample_weight)}, y_true.shape={shape}"
                )
            weight = np.broadcast_to(given, true.shape)
        known = (true >= 0) & (true < self.num_classes) & (pred >= 0) & (pred < self.num_classes)
        if self.ignore_class is not None:
            known &= true != self.ignore_class
        places = true[known] * self.num_classes + pred[known]
        counts = np.bincount(places, weight[known], self.num_classes**2)
        self.total_cm.assign_add(counts.reshape(self.num_classes, -1).astype(self.dtype))

    def result(self) -> Any:
        matrix = np.asarray(self.total_cm, np.float64)
        right = np.diag(matrix)[self.target_class_ids]
        union = (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))[self.target_class_ids]
        occurs = union > 1e-9
        scores = np.where(occurs, right / (union + config.epsilon()), 0.0)
        value = scores.sum() / (occurs.sum() + config.epsilon())
        return _core.tensor(np.asarray(value, "float32" if "int" in self.dtype else self.dtype))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *names: str) -> dict:
        return {key: value for key, value in IoU.get_config(self).items() if key not in names}


class BinaryIoU(IoU):
    """`IoU` of probabilities: above the threshold, or at it, is class 1.

    Args:
        target_class_ids: The classes whose mean is taken: [0], [1] or both.
        threshold: A prediction at or above it is class 1.
        name, dtype: As in `Metric`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.BinaryIoU(target_class_ids=[0, 1], threshold=0.3)
    >>> m.update_state([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
    >>> round(float(m.result()), 4)
    0.3333
    """

    def __init__(
        self,
        target_class_ids: Any = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes=2, target_class_ids=target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        above = as_array(y_pred, "float32") >= np.float32(self.threshold)
        super().update_state(y_true, above.astype(np.int64), sample_weight)

    def get_config(self) -> dict:
        kept = self._config_without("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**kept, "threshold": self.threshold}


class MeanIoU(IoU):
    """`IoU` of all classes.

    Args:
        num_classes: Number of classes.
        name, dtype: As in `Metric`.
        ignore_class: A label whose places do not count.
        sparse_y_true, sparse_y_pred, axis: As in `IoU`.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.MeanIoU(num_classes=2)
    >>> m.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(float(m.result()), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, range(num_classes), name=name, dtype=dtype, ignore_class=ignore_class,
            sparse_y_true=sparse_y_true, sparse_y_pred=sparse_y_pred, axis=axis,
        )  # fmt: skip

    def get_config(self) -> dict:
        return self._config_without("target_class_ids")


class OneHotIoU(IoU):
    """`IoU` of one-hot labels and scores of classes.

    Args:
        num_classes: Number of classes.
        target_class_ids: The classes whose mean is taken.
        name, dtype: As in `Metric`.
        ignore_class: A label whose places do not count.
        sparse_y_pred: Whether `y_pred` holds classes as integers.
        axis: The class axis of scores.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.OneHotIoU(num_classes=3, target_class_ids=[1])
    >>> m.update_state([[0, 1, 0], [0, 0, 1]], [[0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])
    >>> round(float(m.result()), 4)
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, target_class_ids, name=name, dtype=dtype, ignore_class=ignore_class,
            sparse_y_true=False, sparse_y_pred=sparse_y_pred, axis=axis,
        )  # fmt: skip

    def get_config(self) -> dict:
        return self._config_without("sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot labels and scores of classes.

    Args:
        num_classes: Number of classes.
        name, dtype: As in `Metric`.
        ignore_class: A label whose places do not count.
        sparse_y_pred: Whether `y_pred` holds classes as integers.
        axis: The class axis of scores.

    >>> from cnnexplain import keras
    >>> m = keras.metrics.OneHotMeanIoU(num_classes=3)
    >>> m.update_state([[0, 1, 0], [0, 0, 1]], [[0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])
    >>> round(float(m.result()), 4)
    0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, name=name, dtype=dtype, ignore_class=ignore_class, sparse_y_true=False,
            sparse_y_pred=sparse_y_pred, axis=axis,
        )  # fmt: skip

    def get_config(self) -> dict:
        return self._config_without("target_class_ids", "sparse_y_true")
