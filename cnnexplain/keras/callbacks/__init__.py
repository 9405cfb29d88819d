"""Objects that `fit`, `evaluate` and `predict` call at the begin and end of epochs and batches."""

from __future__ import annotations

import csv
import math
import os
from typing import Any

import numpy as np

from ..utils.interaction import say
from .base import Callback, CallbackList, History, ProgbarLogger
from .checkpoints import BackupAndRestore, ModelCheckpoint
from .monitors import EarlyStopping, MonitorCallback, ReduceLROnPlateau

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "MonitorCallback", "ProgbarLogger", "ReduceLROnPlateau",
    "SwapEMAWeights", "TerminateOnNaN",
]  # fmt: skip


_GONE = {
    "OrbaxCheckpoint": "It writes files for JAX: use `ModelCheckpoint` or `BackupAndRestore`.",
    "RemoteMonitor": "Use a `LambdaCallback` that sends `logs`.",
    "TensorBoard": "It writes files for TensorFlow: use `CSVLogger`, or `history.plot()` for the curves.",
}


def __getattr__(name: str) -> Any:
    why = f"; {_GONE[name]}" if name in _GONE else ""
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'{why}")


class LambdaCallback(Callback):
    """Functions as a callback.

    Args:
        on_epoch_begin, on_epoch_end: Functions of (epoch, logs).
        on_train_begin, on_train_end: Functions of (logs).
        on_train_batch_begin, on_train_batch_end: Functions of (batch, logs).
        kwargs: Any other method of a callback.

    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> tell = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, sorted(logs)))
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[tell])
    0 ['loss']
    1 ['loss']
    """

    def __init__(
        self,
        on_epoch_begin: Any = None,
        on_epoch_end: Any = None,
        on_train_begin: Any = None,
        on_train_end: Any = None,
        on_train_batch_begin: Any = None,
        on_train_batch_end: Any = None,
        **kwargs: Any,
    ):
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update(kwargs)
        self.__dict__.update({name: function for name, function in given.items() if function is not None})


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch by `schedule(epoch, rate)` or `schedule(epoch)`.

    Args:
        schedule: The function; it gives a float.
        verbose: Whether the rate is printed.

    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[halve])
    >>> history.history["learning_rate"]
    [0.25, 0.125]
    """

    def __init__(self, schedule: Any, verbose: int = 0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if not hasattr(self.model.optimizer, "learning_rate"):
            raise ValueError('Optimizer must have a "learning_rate" attribute.')
        try:
            rate = self.schedule(epoch, float(self.model.optimizer.learning_rate))
        except TypeError:
            rate = self.schedule(epoch)
        if hasattr(rate, "numpy") and np.ndim(rate) == 0:
            rate = float(rate)
        if not isinstance(rate, (float, np.floating)):
            raise ValueError(f"The output of the `schedule` function should be a float. Got: {rate}")
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class TerminateOnNaN(Callback):
    """Stops when the loss is no finite number.

    Args:
        raise_error: Whether a RuntimeError is raised; else training ends after the batch.

    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> history = model.fit(x, y * np.nan, epochs=5, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()])
    Batch 0: Invalid loss, terminating training
    >>> len(history.epoch)
    1
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training "
                f"immediately."
            )
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class CSVLogger(Callback):
    """Writes one line for each epoch to a file.

    Args:
        filename: The file.
        separator: Between the values.
        append: Whether lines are added to a file that is there.

    >>> import os, tempfile
    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "log.csv")
    ...     history = model.fit(x, y, epochs=2, verbose=0, callbacks=[keras.callbacks.CSVLogger(path)])
    ...     with open(path) as file:
    ...         print(file.readline().strip())
    epoch,loss,val_loss
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self.append_header = True

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.keys = None
        if self.append:
            self.append_header = not (os.path.exists(self.filename) and os.path.getsize(self.filename))
        else:
            with open(self.filename, "w"):
                pass

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        first = self.keys is None
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]  # an evaluation may come in a later epoch
        with open(self.filename, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.sep)
            if first and self.append_header:
                writer.writerow(["epoch", *self.keys])
            writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])


def _cell(value: Any) -> Any:
    return f'"[{", ".join(map(str, value))}]"' if np.ndim(value) else value


class SwapEMAWeights(Callback):
    """Puts the moving averages of the weights in their place while a model is evaluated or predicts.

    The optimizer must have been made with `use_ema=True`.

    Args:
        swap_on_epoch: Whether they are also in place between two epochs, as for ModelCheckpoint.

    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5, use_ema=True), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> history = model.fit(x, y, verbose=0, callbacks=[keras.callbacks.SwapEMAWeights()])
    >>> history.epoch
    [0]
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", None) or self.model.optimizer
        averages = getattr(optimizer, "_model_variables_moving_average", None)
        if averages is None:
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer. Received: "
                f"use_ema={optimizer.use_ema}"
            )
        return list(zip(optimizer._trainable_variables, averages, strict=True))

    def _swap(self, to: bool) -> None:
        if self._swapped != to:
            for variable, average in self._pairs():
                held = np.array(variable)
                variable.assign(average)
                average.assign(held)
            self._swapped = to

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(True)
            if epoch == (self.params or {})["epochs"] - 1:
                for variable, average in self._pairs():  # `fit` ends by putting the averages in place
                    average.assign(variable)

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: dict | None = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._swap(False)
