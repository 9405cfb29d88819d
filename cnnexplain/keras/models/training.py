"""Training, evaluation and prediction of models."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config, optimizers, tree
from ..callbacks import CallbackList
from . import data
from .batch import BatchSteps, tensors
from .compiled import Compiled, result_of
from .eager_steps import CompiledMetrics

_CACHES = ("_steps", "history", "_evaluation_data")


class Trainer(BatchSteps):
    """`compile`, `fit`, `evaluate`, `predict` and what belongs to them; a part of `Model`."""

    def _start_training_state(self) -> None:
        fields = self.__dict__
        fields["optimizer"] = None
        fields["_compiled"] = None
        fields["_compile_settings"] = None
        fields["_steps"] = {}
        fields["stop_training"] = False
        fields["history"] = None
        fields["run_eagerly"] = False

    @staticmethod
    def _drop_training_caches(fields: dict) -> None:
        fields["_steps"] = {}
        fields["history"] = None
        compiled = fields.get("_compiled")
        if compiled is not None:
            settings = fields["_compile_settings"]
            fields["_compiled"] = Compiled(
                *(settings[key] for key in ("loss", "loss_weights", "metrics", "weighted_metrics"))
            )

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        **kwargs: Any,
    ) -> None:
        """Sets what `fit` and `evaluate` use.

        Args:
            optimizer: Name or optimizer.
            loss: Name, function or Loss; a list or dict for several outputs.
            loss_weights: Factors of the outputs' losses.
            metrics: Names, functions or Metrics; "accuracy" is chosen by the shapes.
            weighted_metrics: Metrics that use sample weights.
            run_eagerly: Whether steps run operation by operation, for debugging.
            steps_per_execution, jit_compile, auto_scale_loss: Accepted.

        Raises:
            ValueError: An unknown name.
        """
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to `compile`: {kwargs}")
        fields = self.__dict__
        fields["optimizer"] = None if optimizer is None else optimizers.get(optimizer)
        fields["_compiled"] = Compiled(loss, loss_weights, metrics, weighted_metrics)
        fields["_compile_settings"] = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        fields["loss"] = loss
        fields["run_eagerly"] = bool(run_eagerly)
        fields["stop_training"] = False
        fields["_steps"] = {}

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    @property
    def compiled_loss(self) -> Any:
        """The compiled loss as a callable of (y_true, y_pred), as Keras 2 had it."""
        return self._need_compiled("compiled_loss")

    @property
    def compiled_metrics(self) -> Any:
        """The compiled metrics with `update_state(y_true, y_pred)`, as Keras 2 had them."""
        return CompiledMetrics(self)

    def _need_compiled(self, method: str) -> Compiled:
        if self._compiled is None:
            raise ValueError(f"You must call `compile()` before calling `{method}()`.")
        return self._compiled

    @property
    def metrics(self) -> list:
        """The loss's running mean, the compiled metrics, and those held by layers."""
        found = []
        if self._compiled is not None:
            found = [self._compiled.total, *(self._compiled.all_metrics() if self._compiled.built else [])]
        from ..layers.base import Layer

        return found + [metric for metric in Layer.metrics.fget(self) if metric not in found]  # type: ignore[attr-defined]

    @property
    def metrics_names(self) -> list[str]:
        """Names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Begins every metric anew."""
        for metric in self.metrics:
            metric.reset_state()

    # Training

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: dict | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        **kwargs: Any,
    ) -> Any:
        """Trains the model.

        Args:
            x: Arrays, or an iterable of (x, y) or (x, y, sample_weight) batches.
            y: Labels.
            batch_size: Examples in a step; None: 32.
            epochs: Passes over the data.
            verbose: 0 silent, 1 a progress bar, 2 one line for each epoch, "auto" 1.
            callbacks: Called at the begin and end of epochs and batches.
            validation_split: Last share of the arrays kept for validation.
            validation_data: (x, y), (x, y, sample_weight) or an iterable of batches.
            shuffle: Whether the order changes in every epoch.
            class_weight: {label: weight}.
            sample_weight: One weight for each example.
            initial_epoch: Number of the first epoch.
            steps_per_epoch: Batches in an epoch; needed for endless iterables.
            validation_steps, validation_batch_size, validation_freq: The same for validation.

        Returns:
            A History: `history` maps names to lists of one value for each epoch.

        Raises:
            ValueError: Shapes or numbers of examples that do not fit.
        """
        kwargs = {
            key: value
            for key, value in kwargs.items()
            if key not in ("workers", "use_multiprocessing", "max_queue_size")
        }
        if kwargs:
            raise TypeError(f"fit() got unexpected keyword arguments: {sorted(kwargs)}")
        self._need_compiled("fit")
        epochs = _whole_number("epochs", epochs)
        initial_epoch = _whole_number("initial_epoch", initial_epoch)
        if self.optimizer is None and type(self).train_step is Trainer.train_step:
            raise ValueError("`fit` needs an optimizer: call `compile(optimizer=...)`.")
        if validation_split and validation_data is None:
            arrays = (data.arrays_of(x), data.arrays_of(y), data.arrays_of(sample_weight))
            (x, y, sample_weight), validation_data = data.train_validation_split(arrays, validation_split)
        source = data.batches(x, y, sample_weight, batch_size, shuffle, class_weight, steps_per_epoch)
        if isinstance(source, data.ArrayBatches):
            if self._graph is None:
                self._ensure_built(tree.map_structure(lambda a: a[:1], source.x))
            self._precheck(source.x)
        handlers = CallbackList.for_model(
            callbacks, self, verbose=_verbosity(verbose), epochs=epochs, steps=source.steps, with_history=True
        )
        history = handlers.history
        self.__dict__["history"] = history
        self.__dict__["stop_training"] = False
        logs: dict = {}
        try:
            handlers.on_train_begin()
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                handlers.on_epoch_begin(epoch)
                logs = self._train_epoch(source, handlers)
                source.epoch_ends()
                if validation_data is not None and _is_due(epoch, validation_freq):
                    logs = dict(logs)
                    logs.update(
                        self._validate(validation_data, validation_batch_size or batch_size, validation_steps)
                    )
                handlers.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            handlers.on_train_end(logs)
        finally:
            handlers.close()
        return history

    def _train_epoch(self, source: Any, handlers: Any) -> dict:
        own: dict | None = None
        done = 0
        quiet = not handlers.batch_callbacks
        for x, y, w in source.epoch():
            if not quiet:
                handlers.on_train_batch_begin(done)
            own = self._run_batch(x, y, w, True)
            done += 1
            if not quiet:
                handlers.on_train_batch_end(done - 1, own if own is not None else self._logs())
            elif handlers.progress is not None and handlers.progress.due(done):
                handlers.progress.batch(done, own if own is not None else self._logs())
            if self.stop_training:
                break
        if not done:
            raise ValueError("The data yielded no batch.")
        if source.steps is None:
            handlers.set_steps(done)
        elif isinstance(source, data.IterableBatches) and source.steps != done and source._wanted is not None:
            warnings.warn(
                "Your input ran out of data; interrupting training. Make sure that your dataset or generator "
                "can generate at "
                "least `steps_per_epoch * epochs` batches.",
                stacklevel=3,
            )
            if done < source.steps:
                self.__dict__["stop_training"] = True
        logs = own if own is not None else self._logs()
        return {key: logs[key] for key in sorted(logs)}

    def _logs(self) -> dict:
        compiled = self._compiled
        values = {"loss": compiled.total.value()}
        for metric in self.metrics:
            if metric is compiled.total:
                continue
            result = result_of(metric)
            if isinstance(result, dict):
                values.update(result)
            else:
                values[metric.name] = result
        return values

    def _validate(self, given: Any, batch_size: int | None, steps: int | None) -> dict:
        if isinstance(given, (list, tuple)) and len(given) in (2, 3):
            x, y, w = (*given, None)[:3]
        elif isinstance(given, (list, tuple)):
            raise ValueError(
                "`validation_data` must be (x, y), (x, y, sample_weight) or an iterable of batches. "
                f"Received: a {type(given).__name__} of {len(given)}"
            )
        else:
            x, y, w = given, None, None
        logs = self.evaluate(
            x, y, batch_size=batch_size, verbose=0, sample_weight=w, steps=steps, return_dict=True
        )
        return {f"val_{key}": logs[key] for key in sorted(logs)}

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and the metrics on data.

        Args:
            x, y, batch_size, sample_weight, verbose, callbacks: As for `fit`.
            steps: Most batches.
            return_dict: Whether a dict is returned.

        Returns:
            The loss, or [loss, metric, ...], or {name: value}.
        """
        kwargs = {
            key: value
            for key, value in kwargs.items()
            if key not in ("workers", "use_multiprocessing", "max_queue_size")
        }
        if kwargs:
            raise TypeError(f"evaluate() got unexpected keyword arguments: {sorted(kwargs)}")
        self._need_compiled("evaluate")
        source = data.batches(x, y, sample_weight, batch_size, False, None, steps)
        if isinstance(source, data.ArrayBatches):
            self._precheck(source.x)
        handlers = CallbackList.for_model(
            callbacks, self, verbose=_verbosity(verbose), epochs=1, steps=source.steps
        )
        self.reset_metrics()
        own = None
        try:
            handlers.on_test_begin()
            for done, (xb, yb, wb) in enumerate(source.epoch()):
                handlers.on_test_batch_begin(done)
                own = self._run_batch(xb, yb, wb, False)
                handlers.on_test_batch_end(
                    done, None if not handlers.wants_logs(done) else own or self._logs()
                )
            logs = own if own is not None else self._logs()
            handlers.on_test_end(logs)
        finally:
            handlers.close()
        if return_dict:
            return {key: logs[key] for key in sorted(logs)}
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        **kwargs: Any,
    ) -> Any:
        """The model's outputs for data, batch by batch.

        Args:
            x: Arrays or an iterable of batches.
            batch_size: Examples at a time; None: 32. The results do not depend on it.
            verbose: 0 silent, 1 a progress bar, "auto" 1.
            steps: Most batches.
            callbacks: Called around batches.

        Returns:
            Arrays in the structure of the model's outputs.
        """
        kwargs = {
            key: value
            for key, value in kwargs.items()
            if key not in ("workers", "use_multiprocessing", "max_queue_size")
        }
        if kwargs:
            raise TypeError(f"predict() got unexpected keyword arguments: {sorted(kwargs)}")
        source = data.batches(x, None, None, batch_size, False, None, steps)
        if isinstance(source, data.ArrayBatches):
            self._precheck(source.x)
        handlers = CallbackList.for_model(
            callbacks, self, verbose=_verbosity(verbose), epochs=1, steps=source.steps
        )
        chunks: list[list[np.ndarray]] = []
        whole: list[np.ndarray] | None = None
        structure: Any = None
        begin = 0
        own = type(self).predict_step is not Trainer.predict_step
        try:
            handlers.on_predict_begin()
            for done, (xb, _, _) in enumerate(source.epoch()):
                handlers.on_predict_batch_begin(done)
                structure = (
                    _core.untaped(self.predict_step, tensors(xb, self.dtype))
                    if own
                    else self._predict_batch(xb)
                )
                results = [np.asarray(value) for value in tree.flatten(structure)]
                if isinstance(source, data.ArrayBatches) and steps is None:
                    if whole is None:
                        whole = [np.empty((source.count, *r.shape[1:]), r.dtype) for r in results]
                    for into, result in zip(whole, results, strict=True):
                        into[begin : begin + result.shape[0]] = result
                    begin += results[0].shape[0]
                else:
                    chunks.append(results)
                handlers.on_predict_batch_end(done, {})
            handlers.on_predict_end()
        finally:
            handlers.close()
        if structure is None:
            raise ValueError("The data yielded no batch.")
        if whole is None:
            whole = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
        return tree.pack(structure, whole)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as arrays."""
        x = data.arrays_of(x)
        self._precheck(x)
        return tree.map_structure(np.array, self._predict_batch(x))

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step; returns the loss or [loss, metric, ...] of this batch."""
        self._need_compiled("train_on_batch")
        x, y, w = data.arrays_of(x), data.arrays_of(y), data.arrays_of(sample_weight)
        if class_weight is not None:
            if w is not None:
                raise ValueError(
                    "Arguments `sample_weight` and `class_weight` cannot be specified at the same time."
                )
            w = data.class_weights(tree.flatten(y)[0], class_weight)
        return self._on_batch(x, y, w, True, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The loss or [loss, metric, ...] on one batch."""
        self._need_compiled("test_on_batch")
        return self._on_batch(
            data.arrays_of(x), data.arrays_of(y), data.arrays_of(sample_weight), False, return_dict
        )

    def _on_batch(self, x: Any, y: Any, w: Any, training: bool, return_dict: bool) -> Any:
        data.count_of(x, y, w)
        self._precheck(x)
        self.reset_metrics()
        logs = self._run_batch(x, y, w, training) or self._logs()
        if return_dict:
            return {key: logs[key] for key in sorted(logs)}
        values = list(logs.values())
        return values[0] if len(values) == 1 else values


def _whole_number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"`{name}` must be a non-negative integer. Received: {name}={value!r}")
    return int(value)


def _verbosity(verbose: Any) -> int:
    if verbose == "auto":
        return 1 if config.is_interactive_logging_enabled() else 2
    if isinstance(verbose, bool) or verbose in (0, 1, 2):
        return int(verbose)
    raise ValueError(f"`verbose` must be 0, 1, 2 or 'auto'. Received: verbose={verbose}")


def _is_due(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, (list, tuple)):
        return epoch + 1 in frequency
    return (epoch + 1) % int(frequency) == 0
