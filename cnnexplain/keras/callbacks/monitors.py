"""Callbacks that watch one of the logged quantities: which way is better, and what they do about it."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np

from ..utils.interaction import say
from .base import Callback

_UP = ("Accuracy", "AUC", "Precision", "Recall", "Sensitivity", "Specificity", "IoU", "Score", "Similarity",
       "Correlation", "IOU")  # fmt: skip
_DOWN = ("Error", "Crossentropy", "Hinge", "LogCosh", "Divergence", "Poisson")


def direction(metric: Any) -> str | None:
    """Whether more of a metric is better: "up", "down" or None where nobody knows."""
    known = getattr(metric, "_direction", None)
    if known is not None:
        return known
    for cls in type(metric).__mro__:
        for words, way in ((_UP, "up"), (_DOWN, "down")):
            if any(word in cls.__name__ for word in words):
                return way
    return None


class MonitorCallback(Callback):
    """A callback that compares `monitor` with its best value so far.

    Args:
        monitor: Its name in the logs.
        mode: "min", "max" or "auto": by the metric of that name.
        baseline: A first best value.
        min_delta: Least change that counts.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Any = None

    def _set_monitor_op(self) -> None:
        name = self.monitor.removeprefix("val_")
        way = {"min": "down", "max": "up"}.get(self.mode)
        if way is None and (name == "loss" or name.endswith("_loss")):
            way = "down"
        if way is None:
            found = [metric for metric in getattr(self.model, "metrics", ()) if metric.name == name]
            way = direction(found[0]) if found else None
        if way is None:
            raise ValueError(
                "`mode` must be 'min' or 'max' where the quantity does not tell whether it is to be "
                f"minimized or maximized. Received: mode={self.mode!r}, monitor={self.monitor!r}"
            )
        self.monitor_op = operator.gt if way == "up" else operator.lt
        if way == "down":
            self.min_delta *= -1

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        if self.monitor_op is None:  # only now the model's metrics are known
            self._set_monitor_op()
        return reference is None or bool(self.monitor_op(value - self.min_delta, reference))


class EarlyStopping(MonitorCallback):
    """Stops when a quantity has stopped improving.

    Args:
        monitor: Its name in the logs.
        min_delta: Least change that counts.
        patience: Epochs without improvement before stopping.
        verbose: Whether stopping is printed.
        mode: "min", "max" or "auto": by the metric of that name.
        baseline: A value that must be beaten.
        restore_best_weights: Whether the best epoch's weights are put back.
        start_from_epoch: Epochs before watching begins.

    Example:
        >>> import numpy as np
        >>> from cnnexplain import keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(0.0), "mse")
        >>> stop = keras.callbacks.EarlyStopping(monitor="loss", patience=2)
        >>> len(model.fit(np.ones((4, 2)), np.ones(4), epochs=9, verbose=0, callbacks=[stop]).epoch)
        3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best = None
        self.best_weights: Any = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: dict | None) -> Any:
        """The quantity in the logs; a warning and None where it is missing."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. Available "
                f"metrics are: {','.join(logs or {})}",
                stacklevel=2,
            )
        return value


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` when a quantity has stopped improving for `patience` epochs.

    Args:
        monitor: Its name in the logs.
        factor: Below 1.
        patience: Epochs without improvement before the rate is reduced.
        verbose: Whether a change is printed.
        mode: "min", "max" or "auto": by the metric of that name.
        min_delta: Least change that counts.
        cooldown: Epochs after a change in which nothing is counted.
        min_lr: Lowest rate.

    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> slower = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_lr=0.1)
    >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[slower])
    >>> history.history["learning_rate"]
    [0.5, 0.5, 0.25]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.on_train_begin()

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether the rate was changed a moment ago."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = {} if logs is None else logs
        optimizer = self.model.optimizer
        rate = logs["learning_rate"] = float(optimizer.learning_rate)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs)}.",
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and rate > np.float32(self.min_lr):
                new = max(rate * self.factor, self.min_lr)
                optimizer.learning_rate = new
                if self.verbose > 0:
                    say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
                self.cooldown_counter = self.cooldown
                self.wait = 0
