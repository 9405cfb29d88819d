"""Callbacks that write files while a model is trained: models and weights, and what a broken run goes on
from."""

from __future__ import annotations

import json
import os
import random
import shutil
import warnings
import zipfile
from typing import Any

import numpy as np

from ..saving import container
from ..utils.interaction import say
from .base import Callback
from .monitors import MonitorCallback


class _EveryBatches:
    """Counts batches; true after every so many, across epochs."""

    def __init__(self, save_freq: Any, argument: str = "save_freq"):
        whole = isinstance(save_freq, (int, np.integer)) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not whole:
            raise ValueError(
                f"Unrecognized {argument}: {save_freq}. Expected {argument} are 'epoch' or integer values"
            )
        self._every = save_freq
        self._last: int | None = None
        self._seen = 0

    def __call__(self, batch: int) -> bool:
        if self._every == "epoch":
            return False
        new_epoch = self._last is None or batch <= self._last
        self._seen += batch + 1 if new_epoch or self._last is None else batch - self._last
        self._last = batch
        if self._seen < self._every:
            return False
        self._seen = 0
        return True


class ModelCheckpoint(MonitorCallback):
    """Saves the model or its weights after epochs or batches.

    Args:
        filepath: The file; may hold {epoch}, {batch} and names of the logs, e.g.
            "net-{epoch:02d}-{val_loss:.2f}.keras".
        monitor: The quantity that decides which epoch is best.
        verbose: Whether saving is printed.
        save_best_only: Whether only improvements are saved.
        save_weights_only: Whether only weights are saved.
        mode: "min", "max" or "auto": by the metric of that name.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: A value that must be beaten first.

    >>> import os, tempfile
    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "{epoch}.weights.npz")
    ...     best = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    ...     history = model.fit(x, y, epochs=2, verbose=0, callbacks=[best])
    ...     sorted(os.listdir(folder))
    ['1.weights.npz', '2.weights.npz']
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._due = _EveryBatches(save_freq)
        self._current_epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self._due(batch):
            self._save_model(self._current_epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.save_freq == "epoch":
            self._save_model(epoch, None, logs or {})

    def _save_model(self, epoch: int, batch: int | None, logs: dict) -> None:
        path = self._path(epoch, batch, logs)
        if not self._should_save(epoch, logs, path):
            return
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path):
            raise OSError(
                "Please specify a non-directory filepath for ModelCheckpoint. Filepath used is an existing "
                f"directory: {path}"
            )
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _should_save(self, epoch: int, logs: dict, path: str) -> bool:
        start = f"\nEpoch {epoch + 1}: "
        if not self.save_best_only:
            if self.verbose > 0:
                say(f"{start}saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(f"Can save best model only with {self.monitor} available.", stacklevel=4)
            return True
        if np.ndim(current):
            warnings.warn(
                f"Can save best model only when `monitor` is a scalar value. Received: {current}. Falling "
                "back to `save_best_only=False`.",
                stacklevel=4,
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if self._is_improvement(current, self.best):
            if self.verbose > 0:
                say(f"{start}{self.monitor} improved from {best} to {current:.5f}, saving model to {path}")
            self.best = current
            return True
        if self.verbose > 0:
            say(f"{start}{self.monitor} did not improve from {best}")
        return False

    def _path(self, epoch: int, batch: int | None, logs: dict) -> str:
        names = dict(logs) if batch is None else {"batch": batch + 1} | logs
        try:
            return self.filepath.format(epoch=epoch + 1, **names)
        except KeyError as error:
            raise KeyError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}'
            ) from error


class BackupAndRestore(Callback):
    """Keeps the state of training in a folder, so that `fit` called again after a break goes on where it was.

    Weights, the optimizer, random generators and the number of the epoch are written in one file, which is
    replaced at once. A run that was broken off and begun again with the same data gives the same weights bit
    for bit as one that was not; with a whole `save_freq`, epochs that were broken off begin again from the
    saved weights.

    Args:
        backup_dir: The folder.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: Whether the file before the last is kept too, for when the last one is damaged.
        delete_checkpoint: Whether the files are removed when training has ended well.

    >>> import os, tempfile
    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     backup = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    ...     history = model.fit(x, y, epochs=2, verbose=0, callbacks=[backup])
    ...     len(os.listdir(folder)) > 0
    True
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._due = _EveryBatches(save_freq)
        self._path = os.path.join(self.backup_dir, "latest.npz")
        self._previous = self._path + ".bkp"
        self._epoch = 0
        self._batch = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        if not self.model.built:
            raise ValueError(
                "To use the BackupAndRestore callback, you model must be built before you call `fit()`. "
                "Model "
                f"{self.model} is unbuilt. You can build it beforehand by calling it on a batch of data."
            )
        try:
            self._load(self._path)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            if not os.path.exists(self._previous):
                raise OSError(f"The backup {self._path} is damaged or of another model: {error}") from error
            self._load(self._previous)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch, self._batch = epoch + 1, 0
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._batch = batch
        if self._due(batch):
            self._save()

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.delete_checkpoint:
            for path in (self._path, self._previous):
                if os.path.exists(path):
                    os.remove(path)
            if os.path.isdir(self.backup_dir) and not os.listdir(self.backup_dir):
                os.rmdir(self.backup_dir)

    def _variables(self) -> list:
        """Every variable that training changes."""
        optimizer = self.model.optimizer
        if optimizer is None:
            return list(self.model.variables)
        if not optimizer.built:
            optimizer.build(self.model.trainable_weights)
        return [*self.model.variables, *optimizer.variables]

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path):
            shutil.copyfile(self._path, self._previous)
        kind, key, *rest = np.random.get_state()
        state = {
            "epoch": self._epoch,
            "batch": self._batch,
            "numpy": [kind, *rest],
            "python": random.getstate(),
        }
        arrays = {f"v{place}": np.array(variable) for place, variable in enumerate(self._variables())}
        with container.replacing(self._path) as file:
            np.savez(file, state=np.array(json.dumps(state)), key=key, **arrays)  # type: ignore[arg-type]

    def _load(self, path: str) -> None:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            variables = self._variables()
            values = [archive[f"v{place}"] for place in range(len(archive.files) - 2)]
            state, key = json.loads(str(archive["state"])), archive["key"]
        if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
            raise ValueError("its variables have other shapes than those of the model and its optimizer")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        kind, *rest = state["numpy"]
        np.random.set_state((kind, key, *rest))
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words), gauss))
        self.model.__dict__["_initial_epoch"] = state["epoch"]
