"""Training, evaluation and prediction of models."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import config, optimizers, tree
from ..callbacks import CallbackList, History
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
        fields["steps_per_execution"] = 1
        fields["stop_evaluating"] = False
        fields["stop_predicting"] = False

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
    ) -> None:
        """Sets what `fit` and `evaluate` use.

        Args:
            optimizer: Name or optimizer.
            loss: Name, function or Loss; a list or dict for several outputs.
            loss_weights: Factors of the outputs' losses.
            metrics: Names, functions or Metrics; "accuracy" is chosen by the shapes.
            weighted_metrics: Metrics that use sample weights.
            run_eagerly: Whether steps run operation by operation, for debugging.
            steps_per_execution: Batches after which callbacks are called.
            jit_compile, auto_scale_loss: Accepted.

        Raises:
            ValueError: An unknown name.
        """
        fields = self.__dict__
        every = _whole_number("steps_per_execution", steps_per_execution)
        fields["optimizer"] = None if optimizer is None else optimizers.get(optimizer)
        fields["_compiled"] = Compiled(loss, loss_weights, metrics, weighted_metrics)
        fields["_compile_settings"] = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        fields["loss"] = loss
        fields["run_eagerly"] = bool(run_eagerly)
        fields["steps_per_execution"] = max(1, every)
        fields["stop_training"] = False
        fields["_steps"] = {}

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    def compiled_loss(
        self, y: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Any:
        """The compiled loss of predictions, as Keras 2 had it."""
        return self._need_compiled("compiled_loss")(y, y_pred, sample_weight, regularization_losses)

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
        """Names of `metrics`, in the order in which `evaluate` lists their values."""
        return self._names_of(self.metrics)

    def _names_of(self, metrics: list) -> list[str]:
        names = [self._name_of(metric) for metric in metrics]
        own = [metric.name for metric, name in zip(metrics, names, strict=True) if name == metric.name]
        return own + sorted(set(names).difference(own))

    def _name_of(self, metric: Any) -> str:
        return metric.name if self._compiled is None else self._compiled.name_of(metric)

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
    ) -> History:
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
        self._need_compiled("fit")
        epochs = _whole_number("epochs", epochs)
        most = config.max_epochs()
        epochs = epochs if most is None else min(epochs, most)
        initial_epoch = _whole_number("initial_epoch", initial_epoch)
        if self.optimizer is None and type(self).train_step is Trainer.train_step:
            raise ValueError("`fit` needs an optimizer: call `compile(optimizer=...)`.")
        if validation_split and validation_data is None:
            arrays = (data.arrays_of(x), data.arrays_of(y), data.arrays_of(sample_weight))
            (x, y, sample_weight), validation_data = data.train_validation_split(arrays, validation_split)
        source = data.batches(x, y, sample_weight, batch_size, shuffle, class_weight, steps_per_epoch)
        if isinstance(source, data.ArrayBatches):
            if self._graph is None and not self._has_own_step(True):
                self._ensure_built(tree.map_structure(lambda a: a[:1], source.x))
            self._precheck(source.x)
        handlers = self._handlers(callbacks, verbose, epochs, source.steps, add_history=True)
        fields = self.__dict__
        fields["stop_training"] = False
        logs: dict = {}
        try:
            handlers.on_train_begin()
            for epoch in range(fields.pop("_initial_epoch", None) or initial_epoch, epochs):
                self.reset_metrics()
                handlers.on_epoch_begin(epoch)
                logs = self._train_epoch(source, handlers)
                source.epoch_ends()
                if validation_data is not None and _is_due(epoch, validation_freq):
                    tested = self._validation(
                        validation_data, validation_batch_size or batch_size, validation_steps
                    )
                    values = self._evaluate(tested, handlers)
                    logs = logs | {f"val_{key}": value for key, value in values.items()}
                handlers.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            if self.optimizer is not None and epochs > 0:
                self.optimizer.finalize_variable_values(self.trainable_weights)
            handlers.on_train_end(logs)
        finally:
            handlers.close()
        return self.history

    def _handlers(
        self, callbacks: Any, verbose: Any, epochs: int, steps: int | None, add_history: bool = False
    ) -> CallbackList:
        """The callbacks of one call of `fit`, `evaluate` or `predict`."""
        if isinstance(callbacks, CallbackList):
            return callbacks
        level = _verbosity(verbose)
        return CallbackList(
            callbacks, add_history, level != 0, self, verbose=level, epochs=epochs, steps=steps
        )

    def _groups(self, source: Any) -> Any:
        """(number, first, last, batch) of each batch; callbacks hear of the first and the last of a group."""
        size = self.steps_per_execution
        if size == 1:
            for done, batch in enumerate(source.epoch()):
                yield done, True, True, batch
            return
        ahead = None
        done = 0
        for batch in source.epoch():
            if ahead is not None:
                yield done - 1, (done - 1) % size == 0, done % size == 0, ahead
            ahead, done = batch, done + 1
        if ahead is not None:
            yield done - 1, (done - 1) % size == 0, True, ahead

    def _run_epoch(self, source: Any, handlers: CallbackList, phase: str) -> tuple[dict | None, int]:
        """Runs the batches of "train" or "test": what the last one left, and how many there were."""
        training = phase == "train"
        own: dict | None = None
        done = 0
        for place, first, last, (x, y, w) in self._groups(source):
            if first:
                getattr(handlers, f"on_{phase}_batch_begin")(place)
            own = self._run_batch(x, y, w, training)
            done = place + 1
            if last:
                handlers.after_batch(phase, place, partial(self._batch_logs, own))
                if self.stop_training if training else self.stop_evaluating:
                    break
        if not done:
            raise ValueError("The data yielded no batch.")
        return own, done

    def _train_epoch(self, source: Any, handlers: CallbackList) -> dict:
        own, done = self._run_epoch(source, handlers, "train")
        if source.steps is None:
            handlers.set_steps(done)
        elif isinstance(source, data.IterableBatches) and source.steps != done and source._wanted is not None:
            if not self.stop_training:
                warnings.warn(
                    "Your input ran out of data; interrupting training. Make sure that your dataset or "
                    "generator can generate at least `steps_per_epoch * epochs` batches. You may need to use "
                    "the `.repeat()` function when building your dataset.",
                    stacklevel=3,
                )
                self.__dict__["stop_training"] = source.endless
        return self._results(own)

    def _batch_logs(self, own: dict | None) -> dict:
        return self._logs() if own is None else own

    def _results(self, own: dict | None, metrics: list | None = None) -> dict:
        """The values of an epoch, sorted by name: the metrics, or what the user's own step returned."""
        values = self._logs(metrics)
        logs = values if own is None or set(own) == set(values) else own
        return {key: logs[key] for key in sorted(logs)}

    def _logs(self, metrics: list | None = None) -> dict:
        compiled = self._compiled
        values = {"loss": compiled.total.value()}
        for metric in self.metrics if metrics is None else metrics:
            if metric is compiled.total:
                continue
            result = result_of(metric)
            if isinstance(result, dict):
                values.update(result)
            else:
                values[compiled.name_of(metric)] = result
        return values

    def _validation(self, given: Any, batch_size: int | None, steps: int | None) -> Any:
        """The batches of `validation_data`."""
        if isinstance(given, (list, tuple)) and len(given) in (2, 3):
            x, y, w = (*given, None)[:3]
        elif isinstance(given, (list, tuple)):
            raise ValueError(
                "`validation_data` must be (x, y), (x, y, sample_weight) or an iterable of batches. "
                f"Received: a {type(given).__name__} of {len(given)}"
            )
        else:
            x, y, w = given, None, None
        return self._test_source(x, y, w, batch_size, steps)

    def _test_source(self, x: Any, y: Any, w: Any, batch_size: int | None, steps: int | None) -> Any:
        source = data.batches(x, y, w, batch_size, False, None, steps)
        if isinstance(source, data.ArrayBatches):
            self._precheck(source.x)
        return source

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
        if kwargs:
            raise ValueError(f"Arguments not recognized: {kwargs}")
        self._need_compiled("evaluate")
        source = self._test_source(x, y, sample_weight, batch_size, steps)
        handlers = self._handlers(callbacks, verbose, 1, source.steps)
        try:
            logs = self._evaluate(source, handlers)
        finally:
            handlers.close()
        return logs if return_dict else self._in_order(logs)

    def _evaluate(self, source: Any, handlers: CallbackList) -> dict:
        self.__dict__["stop_evaluating"] = False
        handlers.on_test_begin()
        self.reset_metrics()
        own, _ = self._run_epoch(source, handlers, "test")
        logs = self._results(own)
        handlers.on_test_end(logs)
        return logs

    def _in_order(self, logs: dict, metrics: list | None = None) -> Any:
        """The values in the order of `metrics_names`, then by name; or the only one."""
        known = self.metrics_names if metrics is None else self._names_of(metrics)
        names = [name for name in known if name in logs]
        values = [logs[name] for name in names + sorted(set(logs).difference(names))]
        return values[0] if len(values) == 1 else values

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
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
        source = data.batches(x, None, None, batch_size, False, None, steps)
        if isinstance(source, data.ArrayBatches):
            self._precheck(source.x)
        handlers = self._handlers(callbacks, verbose, 1, source.steps)
        self.__dict__["stop_predicting"] = False
        chunks: list[list[np.ndarray]] = []
        whole: list[np.ndarray] | None = None
        structure: Any = None
        begin = 0
        own = type(self).predict_step is not Trainer.predict_step
        try:
            handlers.on_predict_begin()
            for done, first, last, (xb, _, _) in self._groups(source):
                if first:
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
                if last:
                    handlers.after_batch("predict", done, partial(dict, outputs=structure))
                    if self.stop_predicting:
                        break
            handlers.on_predict_end()
        finally:
            handlers.close()
        if structure is None:
            raise ValueError("The data yielded no batch.")
        if whole is None:
            whole = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
        elif self.stop_predicting:
            whole = [into[:begin] for into in whole]
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
        metrics, known = self.metrics, self._compiled.built  # to look through all layers again is slow
        for metric in metrics:
            metric.reset_state()
        own = self._run_batch(x, y, w, training)
        if own is not None or not known:
            metrics = self.metrics
        logs = self._results(own, metrics)
        return logs if return_dict else self._in_order(logs, metrics)


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
