"""One batch: its arrays made ready, and the step that runs on it, in the engine or operation by operation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cnnexplain import _core

from .. import tracing, tree
from ..utils.packing import pack_x_y_sample_weight
from .eager_steps import EagerSteps
from .step import Step, target_array


class BatchSteps(EagerSteps):
    """Training, testing and predicting on one batch of a model."""

    def _inputs(self, x: Any) -> list:
        """A batch's inputs as arrays of the right rank and dtype, in the program's order."""
        if self._functional:
            symbols = self._graph.inputs
            matched = [x] if len(symbols) == 1 and hasattr(x, "shape") else self._match(x)
            return [
                self._fit_input(value, symbol, i)
                for i, (value, symbol) in enumerate(zip(matched, symbols, strict=True))
            ]
        return [_as_data(value, self.dtype) for value in tree.flatten(x)]

    def _precheck(self, x: Any) -> None:
        """Shapes before the arrays are cut into batches: then a missing batch axis can still be seen."""
        if self._functional and x is not None:
            if len(self._graph.inputs) == 1 and isinstance(x, (list, tuple)) and len(x) > 1:
                if all(hasattr(item, "shape") and len(item.shape) for item in x):
                    raise ValueError(
                        f'Model "{self.name}" has one input, but a list of {len(x)} arrays was given. Make '
                        "one array of the examples: `np.stack(x)`."
                    )
            matched = [x] if len(self._graph.inputs) == 1 and hasattr(x, "shape") else self._match(x)
            for place, (value, symbol) in enumerate(zip(matched, self._graph.inputs, strict=True)):
                if hasattr(value, "shape"):
                    self._resolve_shape(
                        (None, *tuple(value.shape)[1:]), tuple(symbol.shape), place, tuple(value.shape)
                    )

    def _ensure_built(self, x: Any) -> None:
        if self._graph is None and (not self.built or self._call_inputs is None) and self._has_call():
            self(tensors(x, self.dtype), training=False)

    def _has_call(self) -> bool:
        """False for a model that only has steps of its own, such as a pair of networks."""
        call = getattr(type(self), "call")  # noqa: B009
        return call.__qualname__ != "Model.call" or type(self).train_step is EagerSteps.train_step

    def _step(self, x: Any, y: Any, w: Any, training: bool) -> tuple[Step, list, list]:
        self._ensure_built(x)
        count = len(self._graph.outputs) if self._functional else None
        if count is None:
            count = len(tracing.trace(self, None, training=training).outputs)
        dtype = self.dtype
        targets = [None if one is None else target_array(one, dtype) for one in self._match_targets(y, count)]
        weights = [
            None if one is None or target is None else np.asarray(one).astype(dtype, copy=False)
            for one, target in zip(self._match_weights(w, count), targets, strict=True)
        ]
        key = (
            training,
            tuple(None if a is None else (a.dtype.char, *a.shape[1:]) for a in targets),
            tuple(None if a is None else a.shape[1:] for a in weights),
        )
        entry = self._steps.get(key)
        if entry is None or entry[0] != tracing.configuration():
            step = Step(self, targets, weights, training)
            entry = (tracing.configuration(), step)
            self._steps[key] = entry
        return entry[1], targets, weights

    def _eager(self, training: bool) -> bool:
        cls = type(self)
        own, ours = (
            (cls.train_step, EagerSteps.train_step) if training else (cls.test_step, EagerSteps.test_step)
        )
        return (
            own is not ours
            or self.run_eagerly
            or cls.compute_loss is not EagerSteps.compute_loss
            or cls.compute_metrics is not EagerSteps.compute_metrics
        )

    def _has_own_step(self, training: bool) -> bool:
        """Has the user written the step? Then batches need not fit the model's call."""
        cls = type(self)
        if training:
            return cls.train_step is not EagerSteps.train_step
        return cls.test_step is not EagerSteps.test_step

    def _run_batch(self, x: Any, y: Any, w: Any, training: bool) -> dict | None:
        """One step; the logs where the user's own step returned them, else None (read from the metrics)."""
        if not self._eager(training):
            try:
                step, targets, weights = self._step(x, y, w, training)
            except (AttributeError, TypeError) as error:
                if not self._has_own_functions():
                    raise
                # A loss or layer of the user's that cannot run on symbols runs on tensors instead.
                self.__dict__["run_eagerly"] = True
                warnings.warn(f"The step is run eagerly: {error}", stacklevel=4)
            else:
                step.run(self._inputs(x), targets, weights)
                return None
        if not self._has_own_step(training):
            self._ensure_built(x)
        inputs = self._inputs(x)
        if self._functional:
            given = [_core.tensor(value) if isinstance(value, np.ndarray) else value for value in inputs]
            x = tree.pack(self._graph.input_structure, given) if len(given) > 1 else given[0]
        else:
            x = tensors(x, self.dtype)
        y = tree.map_structure(lambda a: None if a is None else _core.tensor(target_array(a, self.dtype)), y)
        w = tree.map_structure(lambda a: None if a is None else _core.tensor(np.asarray(a, self.dtype)), w)
        batch = pack_x_y_sample_weight(x, y, w)
        logs = self.train_step(batch) if training else self.test_step(batch)
        if not isinstance(logs, dict):
            return None
        return {key: _number(value) for key, value in logs.items()}

    def _has_own_functions(self) -> bool:
        flat = tree.flatten(self._compile_settings["loss"]) + tree.flatten(self._compile_settings["metrics"])
        own_layers = any(
            not type(layer).__module__.startswith("cnnexplain.") for layer in self._flatten_layers()
        )
        return own_layers or any(
            callable(f) and not getattr(f, "__module__", "").startswith("cnnexplain.") for f in flat
        )

    def _predict_batch(self, x: Any) -> Any:
        if self._functional:
            inputs = self._inputs(x)
            return _core.untaped(self._call_program, inputs[0] if len(inputs) == 1 else inputs, False)
        self._ensure_built(x)
        return _core.untaped(lambda: self(tensors(x, self.dtype), training=False))


def _as_data(value: Any, dtype: str) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" or array.dtype == np.uint8 else array


def tensors(x: Any, dtype: str) -> Any:
    """The arrays in x as tensors, real ones and pictures in `dtype`."""
    return tree.map_structure(
        lambda value: (
            value
            if isinstance(value, (_core.Tensor, _core.Variable))
            else _core.tensor(_as_data(value, dtype))
        ),
        x,
    )


def _number(value: Any) -> Any:
    if isinstance(value, (int, float)):
        return float(value)
    array = np.asarray(value)
    return float(array) if array.size == 1 else float(array.mean())
