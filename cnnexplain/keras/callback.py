"""The base class of callbacks, the history, the progress bar, and several callbacks as one."""

from __future__ import annotations

from typing import Any

from .utils.progbar import Progbar


class Callback:
    """The base class: every method does nothing.

    Attributes:
        model: The model that is trained.
        params: {"verbose", "epochs", "steps"}.
    """

    def __init__(self) -> None:
        self.params: dict | None = None
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self.__dict__.get("_model")

    def set_model(self, model: Any) -> None:
        """Called before training begins."""
        self._model = model

    def set_params(self, params: dict) -> None:
        """Called before training begins."""
        self.params = params

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """After an epoch of training and its validation."""

    def on_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """The same as `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """The same as `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a training step."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a training step."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a test step."""

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a test step."""

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a batch of predictions."""

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a batch of predictions."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Before training."""

    def on_train_end(self, logs: dict | None = None) -> None:
        """After training."""

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Before an evaluation."""

    def on_test_end(self, logs: dict | None = None) -> None:
        """After an evaluation."""

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Before predictions."""

    def on_predict_end(self, logs: dict | None = None) -> None:
        """After predictions."""


class History(Callback):
    """What `fit` returns: `history` maps each name to one value for each epoch, `epoch` holds their
    numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)


class ProgbarLogger(Callback):
    """The progress bar."""

    def __init__(self, verbose: int, epochs: int, steps: int | None):
        super().__init__()
        self.verbose = verbose
        self.epochs = epochs
        self.steps = steps
        self.bar: Progbar | None = None
        self._seen = 0

    def begin(self) -> None:
        self.bar = Progbar(self.steps, verbose=self.verbose)
        self._seen = 0

    def due(self, done: int) -> bool:
        self._seen = done
        return self.bar is not None and self.bar.due(done)

    def batch(self, done: int, logs: dict | None) -> None:
        self._seen = done
        if self.bar is not None:
            self.bar.update(done, _shown(logs), finalize=False)

    def end(self, logs: dict | None) -> None:
        if self.bar is not None and self._seen:
            if self.bar.target is None or self.bar.target != self._seen:
                self.bar.target = self._seen
            self.bar.update(self._seen, _shown(logs), finalize=True)
            self.bar = None

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.verbose and self.epochs > 1:
            print(f"Epoch {epoch + 1}/{self.epochs}", flush=True)
        self.begin()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.end(logs)


def _shown(logs: dict | None) -> list:
    return [(key, logs[key]) for key in _ordered(logs)] if logs else []


def _ordered(logs: dict) -> list[str]:
    own = sorted(key for key in logs if not key.startswith("val_"))
    return own + [key for key in sorted(logs) if key.startswith("val_")]


class CallbackList:
    """Several callbacks as one."""

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        self.callbacks = _flat(callbacks)
        self.progress: ProgbarLogger | None = None
        self.history: History | None = next((c for c in self.callbacks if isinstance(c, History)), None)
        if add_history and self.history is None:
            self.history = History()
            self.callbacks.append(self.history)
        if add_progbar and params.get("verbose"):
            self.progress = ProgbarLogger(params["verbose"], params.get("epochs", 1), params.get("steps"))
        self.params = params
        for callback in self.callbacks:
            if not hasattr(callback, "set_model"):
                raise ValueError(f"`callbacks` must hold Callback objects. Received: {callback}")
            if model is not None:
                callback.set_model(model)
            callback.set_params(params)
        self.batch_callbacks = [c for c in self.callbacks if not isinstance(c, History)]
        self._begun = False

    @classmethod
    def for_model(
        cls,
        callbacks: Any,
        model: Any,
        verbose: int,
        epochs: int,
        steps: int | None,
        with_history: bool = False,
    ) -> CallbackList:
        """The callbacks of one call of `fit`, `evaluate` or `predict`, with a progress bar."""
        if isinstance(callbacks, CallbackList):
            return callbacks
        return cls(
            callbacks,
            add_history=with_history,
            add_progbar=True,
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
        )

    def append(self, callback: Callback) -> None:
        """Adds one."""
        self.callbacks.append(callback)
        self.batch_callbacks.append(callback)

    def set_steps(self, steps: int) -> None:
        """Tells the progress bar how many batches an epoch has."""
        if self.progress is not None:
            self.progress.steps = steps

    def close(self) -> None:
        """Ends an open line of output."""
        if self.progress is not None:
            self.progress.close()

    def wants_logs(self, done: int) -> bool:
        """Whether anybody looks at the values after this batch."""
        return bool(self.batch_callbacks) or (self.progress is not None and self.progress.due(done + 1))

    def _call(self, name: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(*args)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Before training."""
        self._call("on_train_begin", logs or {})

    def on_train_end(self, logs: dict | None = None) -> None:
        """After training."""
        self._call("on_train_end", logs or {})

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Before an epoch."""
        if self.progress is not None:
            self.progress.on_epoch_begin(epoch)
        self._call("on_epoch_begin", epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """After an epoch."""
        self._call("on_epoch_end", epoch, logs or {})
        if self.progress is not None:
            self.progress.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a training step."""
        for callback in self.batch_callbacks:
            callback.on_train_batch_begin(batch, logs or {})

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a training step."""
        for callback in self.batch_callbacks:
            callback.on_train_batch_end(batch, logs or {})
        if self.progress is not None:
            self.progress.batch(batch + 1, logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Before an evaluation."""
        if self.progress is not None:
            self.progress.begin()
        self._call("on_test_begin", logs or {})

    def on_test_end(self, logs: dict | None = None) -> None:
        """After an evaluation."""
        self._call("on_test_end", logs or {})
        if self.progress is not None:
            self.progress.end(logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a test step."""
        for callback in self.batch_callbacks:
            callback.on_test_batch_begin(batch, logs or {})

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a test step."""
        for callback in self.batch_callbacks:
            callback.on_test_batch_end(batch, logs or {})
        if self.progress is not None:
            if logs is not None:
                self.progress.batch(batch + 1, logs)
            else:
                self.progress._seen = batch + 1

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Before predictions."""
        if self.progress is not None:
            self.progress.begin()
        self._call("on_predict_begin", logs or {})

    def on_predict_end(self, logs: dict | None = None) -> None:
        """After predictions."""
        self._call("on_predict_end", logs or {})
        if self.progress is not None:
            self.progress.end(logs)

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a batch of predictions."""
        for callback in self.batch_callbacks:
            callback.on_predict_batch_begin(batch, logs or {})

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a batch of predictions."""
        for callback in self.batch_callbacks:
            callback.on_predict_batch_end(batch, logs or {})
        if self.progress is not None:
            self.progress.batch(batch + 1, None)


def _flat(callbacks: Any) -> list:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
