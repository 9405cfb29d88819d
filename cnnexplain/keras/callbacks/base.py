"""The base class of callbacks, the history, the progress bar, and several callbacks as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import tree
from ..utils.interaction import say
from ..utils.progbar import Progbar


class Callback:
    """The base class: every method does nothing.

    Attributes:
        model: The model that is trained.
        params: {"verbose", "epochs", "steps"}.

    Example:
        >>> import numpy as np
        >>> from cnnexplain import keras
        >>> class Tell(keras.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(epoch, sorted(logs))
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=2, verbose=0, callbacks=[Tell()])
        0 ['loss']
        1 ['loss']
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

    # `logs` holds the values by name; an entry that `on_epoch_end` adds is kept in the history.

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

    >>> import numpy as np
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> x, y = np.zeros((4, 2)), np.zeros(4)
    >>> history = model.fit(x, y, epochs=2, verbose=0)
    >>> history.epoch, list(history.history)
    ([0, 1], ['loss'])
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

    def plot(self, **options: Any) -> Any:
        """Draws the curves, see `cnnexplain.plot.history`."""
        from cnnexplain import plot

        return plot.history(self, **options)


class ProgbarLogger(Callback):
    """The progress bar of `fit`, `evaluate` and `predict`.

    >>> from cnnexplain import keras
    >>> bar = keras.callbacks.ProgbarLogger()
    >>> bar.set_params({"verbose": 0, "epochs": 1, "steps": 1})
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose = 1
        self.epochs = 1
        self._in_fit = False

    def set_params(self, params: dict) -> None:
        self.params = params
        self.verbose = 1 if params["verbose"] == "auto" else params["verbose"]
        self.epochs = params["epochs"]
        self.target = params["steps"]

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._in_fit = True  # its evaluations are silent

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._begin()
        if self.verbose and self.epochs > 1:
            say(f"Epoch {epoch + 1}/{self.epochs}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._end(logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._show(batch + 1, logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        if not self._in_fit:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not self._in_fit:
            self._show(batch + 1, logs)

    def on_test_end(self, logs: dict | None = None) -> None:
        if not self._in_fit:
            self._end(logs)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._show(batch + 1, None)

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._end(logs)

    def due(self, done: int) -> bool:
        """Whether a picture would be drawn after this many batches."""
        self.seen = done
        return self.progbar is not None and self.progbar.due(done)

    def _begin(self) -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose, stateless_metrics=())

    def _show(self, done: int, logs: dict | None) -> None:
        self.seen = done
        if self.progbar is None:
            self._begin()
        if self.verbose == 1 and self.progbar is not None:
            self.progbar.update(done, list((logs or {}).items()), finalize=False)

    def _end(self, logs: dict | None) -> None:
        if self.progbar is None:
            return
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, list((logs or {}).items()), finalize=True)
        self.progbar = None

    def close(self) -> None:
        """Ends a line that is still open, as after Ctrl-C."""
        if self.progbar is not None:
            self.progbar.close()


_BATCH_HOOKS = tuple(
    f"on_{kind}_batch_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")
)


class CallbackList(Callback):
    """Several callbacks as one.

    Args:
        callbacks: The callbacks.
        add_history, add_progbar: Whether a History and a ProgbarLogger are added where they are missing.
        model: The model.
        params: "verbose", "epochs" and "steps".

    >>> from cnnexplain import keras
    >>> callbacks = keras.callbacks.CallbackList([keras.callbacks.TerminateOnNaN()], add_history=True)
    >>> [type(one).__name__ for one in callbacks.callbacks]
    ['TerminateOnNaN', 'History']
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        self.callbacks: list = list(tree.flatten(callbacks)) if callbacks else []
        for callback in self.callbacks:
            if not hasattr(callback, "set_model"):
                raise ValueError(f"`callbacks` must hold Callback objects. Received: {callback}")
        self.history = next((c for c in self.callbacks if isinstance(c, History)), None)
        self.progress = next((c for c in self.callbacks if isinstance(c, ProgbarLogger)), None)
        if add_history and self.history is None:
            self.history = History()
            self.callbacks.append(self.history)
        if add_progbar and self.progress is None:
            self.progress = ProgbarLogger()
            self.callbacks.append(self.progress)
        self._sort_hooks()
        self.set_model(model)
        self.set_params(params)

    def _sort_hooks(self) -> None:
        """Finds who wants to hear of batches, so that nothing is computed for those who do not."""
        self._hooks = {
            name: [c for c in self.callbacks if c is not self.progress and _defines(c, name)]
            for name in _BATCH_HOOKS
        }

    def append(self, callback: Callback) -> None:
        """Adds one."""
        self.callbacks.append(callback)
        self._sort_hooks()

    def set_model(self, model: Any) -> None:
        """Gives every callback the model."""
        if model is None:
            return
        super().set_model(model)
        if self.history is not None:
            model.__dict__["history"] = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict) -> None:
        """Gives every callback the parameters."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_steps(self, steps: int) -> None:
        """Tells the progress bar how many batches an epoch has."""
        if self.progress is not None:
            self.progress.target = steps
            if self.progress.progbar is not None:
                self.progress.progbar.target = steps

    def close(self) -> None:
        """Ends an open line of output."""
        if self.progress is not None:
            self.progress.close()

    def after_batch(self, kind: str, batch: int, logs: Callable[[], dict]) -> None:
        """Calls `on_<kind>_batch_end`; `logs` computes the values when somebody looks at them."""
        hooks = self._hooks[f"on_{kind}_batch_end"]
        due = self.progress is not None and self.progress.due(batch + 1)
        if hooks or due:
            getattr(self, f"on_{kind}_batch_end")(batch, logs())

    def _call(self, name: str, *args: Any, logs: dict | None) -> None:
        values = dict(sorted(logs.items())) if logs else {}
        for callback in self.callbacks:
            getattr(callback, name)(*args, logs=values)

    def _call_batch(self, name: str, batch: int, logs: dict | None) -> None:
        hooks = self._hooks[name]
        if hooks or self.progress is not None:
            values = dict(sorted(logs.items())) if logs else {}
            for callback in hooks:
                getattr(callback, name)(batch, logs=values)
            if self.progress is not None:
                getattr(self.progress, name)(batch, logs=values)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Before training."""
        self._call("on_train_begin", logs=logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        """After training."""
        self._call("on_train_end", logs=logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Before an evaluation."""
        self._call("on_test_begin", logs=logs)

    def on_test_end(self, logs: dict | None = None) -> None:
        """After an evaluation."""
        self._call("on_test_end", logs=logs)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Before predictions."""
        self._call("on_predict_begin", logs=logs)

    def on_predict_end(self, logs: dict | None = None) -> None:
        """After predictions."""
        self._call("on_predict_end", logs=logs)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Before an epoch."""
        self._call("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """After an epoch."""
        self._call("on_epoch_end", epoch, logs=logs)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a training step."""
        self._call_batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a training step."""
        self._call_batch("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a test step."""
        self._call_batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a test step."""
        self._call_batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Before a batch of predictions."""
        self._call_batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """After a batch of predictions."""
        self._call_batch("on_predict_batch_end", batch, logs)


def _defines(callback: Any, name: str) -> bool:
    """Whether the callback does anything there; `on_train_batch_end` calls `on_batch_end`."""
    names = (name, name.replace("train_", "")) if "train" in name else (name,)
    return any(
        getattr(getattr(callback, n, None), "__func__", None) is not getattr(Callback, n) for n in names
    )
