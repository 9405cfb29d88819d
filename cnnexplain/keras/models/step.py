"""One training or test step of a compiled model as one program: outputs, loss and metrics of a batch."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import metrics as metrics_module
from .. import tracing
from ..losses.base import apply_mask, mask_of
from ..losses.crossentropies import check_labels, sparse_categorical_crossentropy
from .compiled import Compiled


def target_array(value: Any, dtype: str) -> np.ndarray:
    """Labels as the program takes them: floats in the model's dtype, small integers as int32."""
    array = np.asarray(value)
    kind = array.dtype.kind
    if kind == "f":
        return array.astype(dtype, copy=False)
    if kind == "b":
        return array.astype(dtype)
    if array.dtype == np.int64 or array.dtype == np.int32:
        return array
    if kind in "iu":
        return array.astype(np.int64 if array.dtype.itemsize > 2 else np.int32)
    raise ValueError(f"`y` must hold numbers. Received: dtype={array.dtype}")


class _Output:
    """Where a metric's numbers are among the program's outputs."""

    __slots__ = ("metric", "place", "count_place", "per_example")

    def __init__(self, metric: Any, place: int, count_place: int | None, per_example: int):
        self.metric = metric
        self.place = place
        self.count_place = count_place
        self.per_example = per_example


class Step:
    """The program of one step.

    Args:
        model: A compiled model.
        targets, weights: The first batch's labels and sample weights, one array or None for each output.
        training: Whether it is a training step.
    """

    def __init__(self, model: Any, targets: list, weights: list, training: bool):
        self.model = model
        self.training = training
        self.compiled: Compiled = model._compiled
        dtype = model.dtype
        trace = tracing.trace(model, None, training=training)
        self.trace = trace
        predictions = trace.outputs
        if len(targets) != len(predictions):
            raise ValueError(
                f"`y` must hold one array for each of the model's {len(predictions)} outputs. Received: "
                f"{len(targets)} arrays"
            )
        y_symbols = [None if y is None else _core.symbol((None, *y.shape[1:]), y.dtype.name) for y in targets]
        w_symbols = [None if w is None else _core.symbol((None, *w.shape[1:]), dtype) for w in weights]
        if not self.compiled.built:
            self.compiled.build(y_symbols, predictions, model.output_names, model._nested_outputs)
        saved, reads = list(trace.updates), dict(trace.reads)
        self.outputs: list = []
        self.parts: list[tuple[Any, int]] = []
        self.fast: list[_Output] = []
        self.slow: list[
            tuple[Any, int, int, bool]
        ] = []  # (metric, output, place of the prediction, weighted)
        with tracing.building(trace, training):
            total, parts = self.compiled.total_loss(y_symbols, predictions, w_symbols)
            for extra in [*penalties(model), *trace.losses]:
                total = extra if total is None else total + extra
            if total is None:
                raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
            if not isinstance(total, _core.Symbol):
                total = _core.add(total, _core.reduce_sum(predictions[0]) * 0.0)
            self.loss = total
            self.outputs.append(total)
            for tracker, part in zip(self.compiled.trackers, parts, strict=False):
                if tracker is not None:
                    self.parts.append((tracker, len(self.outputs)))
                    self.outputs.append(part)
            for place, (y, p, w) in enumerate(zip(y_symbols, predictions, w_symbols, strict=True)):
                if y is None:
                    continue
                for metric in self.compiled.metrics[place]:
                    self._add_metric(metric, place, y, p, None)
                for metric in self.compiled.weighted[place]:
                    self._add_metric(metric, place, y, p, w)
        self.n_inputs = len(trace.inputs)
        inputs = [
            *trace.inputs,
            *(s for s in y_symbols if s is not None),
            *(s for s in w_symbols if s is not None),
        ]
        self.updates = list(trace.updates)
        trace.updates[:], trace.reads = saved, reads
        self.program = _core.Program(inputs, self.outputs, self.updates)
        if training:
            present = {variable.id for variable in self.program.variables}
            assigned = {variable.id for variable, _ in self.updates}
            self.variables = [variable for variable in model.trainable_weights if variable.id in present]
            self.rewrites = any(variable.id in assigned for variable in self.variables)
            if not self.variables:
                warnings.warn(f"Model '{model.name}' does not have any trainable weights.", stacklevel=2)
            self.constraints = [
                (v, v.constraint) for v in self.variables if getattr(v, "constraint", None) is not None
            ]

    def _add_metric(self, metric: Any, place: int, y: Any, p: Any, w: Any) -> None:
        w = apply_mask(w, mask_of(p), p.dtype.name, "sum")
        wrapper = type(metric).update_state is metrics_module.MeanMetricWrapper.update_state
        if w is not None and getattr(metric, "ignore_class", None) is not None:
            wrapper = False  # what is left out depends on the labels
        if wrapper:
            try:
                values = metric.values(y, p)
                if isinstance(values, _core.Symbol) and len(values.shape) >= 1:
                    if w is not None:
                        if len(values.shape) > len(w.shape):
                            values = _core.reduce_mean(
                                values, axis=list(range(len(w.shape), len(values.shape)))
                            )
                        a, b = metrics_module.same_rank(values, w)
                        self.fast.append(_Output(metric, len(self.outputs), len(self.outputs) + 1, 1))
                        self.outputs += [_core.reduce_sum(a * b), _core.reduce_sum(b)]
                        return
                    tail = tuple(values.shape)[1:]
                    if all(size is not None for size in tail):
                        self.fast.append(_Output(metric, len(self.outputs), None, math.prod(tail)))
                        self.outputs.append(_core.reduce_sum(values))
                        return
            except (TypeError, ValueError, AttributeError):
                pass  # the function needs values: it is called on each batch
        self.slow.append((metric, place, len(self.outputs), w is not None))
        self.outputs.append(p)

    def run(self, x: list, targets: list, weights: list) -> None:
        """Takes one batch: steps the optimizer when training, and updates loss and metrics."""
        for loss, labels in zip(self.compiled.losses, targets, strict=True):
            if labels is not None and getattr(loss, "fn", None) is sparse_categorical_crossentropy:
                check_labels(labels)
        feeds = [*x, *(y for y in targets if y is not None), *(w for w in weights if w is not None)]
        count = x[0].shape[0] if len(x[0].shape) else 1
        results = self._train(feeds) if self.training and self.variables else self.program(*feeds)
        self.compiled.total.add(float(results[0]) * count, count)
        for tracker, place in self.parts:
            tracker.add(float(results[place]), 1)  # as Keras: every batch alike
        for output in self.fast:
            if output.count_place is None:
                output.metric.add(float(results[output.place]), count * output.per_example)
            else:
                output.metric.add(float(results[output.place]), float(results[output.count_place]))
        for metric, which, place, weighted in self.slow:
            if weighted and weights[which] is not None:
                metric.update_state(targets[which], results[place], sample_weight=weights[which])
            else:
                metric.update_state(targets[which], results[place])

    def _train(self, feeds: list) -> Any:
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_weights)
            optimizer.built = True
        call = None if self.rewrites else optimizer.engine_step(self.variables)
        if call is not None:
            results: Any = self.program.train_step(feeds, self.loss, self.variables, **call)
            optimizer.engine_step_taken()
            for variable, constraint in self.constraints:
                variable.assign(constraint(variable))
            return results
        new = [symbol for _, symbol in self.updates]
        instance = self.program.run(list(zip(self.program.inputs, feeds, strict=True)), [*self.outputs, *new])
        seed = np.asarray(optimizer.scale_loss(1.0), self.loss.dtype.name)
        gradients = instance.backward([(self.loss, seed)], self.variables)
        results = [instance.value(symbol) for symbol in self.outputs]
        values = [instance.value(symbol) for symbol in new]
        for (variable, _), value in zip(self.updates, values, strict=True):
            variable.assign(value)
        optimizer.apply(gradients, self.variables)
        return results


def penalties(model: Any) -> list:
    """The regularizers' values of every trained layer."""
    return [
        regularizer(variable)
        for layer in model._flatten_layers()
        if layer._trainable
        for variable, regularizer in layer._regularizers.values()
    ]
