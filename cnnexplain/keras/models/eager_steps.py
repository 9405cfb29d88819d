"""Steps run operation by operation: what users override, and what `fit` runs where they do."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import convert, tree
from . import data
from .compiled import leaves, result_of


class EagerSteps:
    """`train_step`, `test_step`, `compute_loss` and `compute_metrics` of a model."""

    if TYPE_CHECKING:  # what the rest of Model has

        def __getattr__(self, name: str) -> Any: ...

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def train_step(self, data: Any) -> dict:
        """One eager training step on (x, y, sample_weight); returns the metrics."""
        from cnnexplain.tape import GradientTape

        x, y, sample_weight = _unpack(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._loss_of(x, y, y_pred, sample_weight, True)
            scaled = loss if self.optimizer is None else self.optimizer.scale_loss(loss)
        variables = self.trainable_weights
        if variables:
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
        self._note_loss(loss, x)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> dict:
        """One eager test step on (x, y, sample_weight); returns the metrics."""
        x, y, sample_weight = _unpack(data)
        y_pred = self(x, training=False)
        loss = self._loss_of(x, y, y_pred, sample_weight, False)
        self._note_loss(loss, x)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """`compute_loss`, which may be the user's and know no `training`."""
        given = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight}
        if "training" in inspect.signature(self.compute_loss).parameters:
            given["training"] = training
        return self.compute_loss(**given)

    def predict_step(self, data: Any) -> Any:
        """The predictions for one batch."""
        x, _, _ = _unpack(data)
        return self(x, training=False)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The compiled loss of the predictions plus the penalties of the layers, a scalar."""
        total = None
        if self._compiled is not None and self._compiled.loss is not None and y is not None:
            flat_pred = tree.flatten(y_pred)
            flat_true = _tensors(self._match_targets(y, len(flat_pred)))
            weights = self._match_weights(sample_weight, len(flat_pred))
            if not self._compiled.built:
                self._compiled.build(flat_true, flat_pred, self.output_names, self._nested_outputs)
            total, parts = self._compiled.total_loss(flat_true, flat_pred, weights)
            for tracker, part in zip(self._compiled.trackers, parts, strict=False):
                if tracker is not None:
                    count = flat_pred[0].shape[0] if self.run_eagerly else 1
                    tracker.add(float(part) * count, count)
        for extra in self.losses:
            total = extra if total is None else total + extra
        if total is None:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        """Takes a batch into the compiled metrics and returns all values so far."""
        compiled = self._need_compiled("compute_metrics")
        if y is not None:
            flat_pred = tree.flatten(y_pred)
            flat_true = self._match_targets(y, len(flat_pred))
            weights = self._match_weights(sample_weight, len(flat_pred))
            if not compiled.built:
                compiled.build(_tensors(flat_true), flat_pred, self.output_names, self._nested_outputs)
            compiled.update_metrics(flat_true, flat_pred, weights)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict:
        """{name: value} of every metric."""
        values: dict[str, Any] = {}
        for metric in self.metrics:
            result = result_of(metric)
            if isinstance(result, dict):
                values.update(result)
            else:
                values[self._name_of(metric)] = result
        return values

    def _note_loss(self, loss: Any, x: Any) -> None:
        if self._compiled is not None:
            count = tree.flatten(x)[0].shape[0]
            self._compiled.total.add(float(loss) * count, count)

    def _match_targets(self, y: Any, count: int) -> list:
        if self._nested_outputs is not None:
            return leaves(self._nested_outputs, y)
        if isinstance(y, dict):
            names = self.output_names
            unknown = set(y) - set(names)
            if unknown:
                raise ValueError(
                    f"`y` holds '{sorted(unknown)[0]}', which is no output of the model. Outputs are: {names}"
                )
            return [y.get(name) for name in names]
        if isinstance(y, (list, tuple)) and (count > 1 or (len(y) == 1 and hasattr(y[0], "shape"))):
            flat = tree.flatten(y)
        else:
            flat = [y] if y is None or hasattr(y, "shape") else [np.asarray(y)]
        if len(flat) == 1 and count > 1 and flat[0] is None:
            return [None] * count
        if len(flat) != count:
            raise ValueError(
                f"`y` must hold one array for each of the model's {count} outputs. Received: {len(flat)} "
                "arrays"
            )
        return flat

    def _match_weights(self, sample_weight: Any, count: int) -> list:
        if sample_weight is None:
            return [None] * count
        if self._nested_outputs is not None and tree.is_nested(sample_weight):
            return leaves(self._nested_outputs, sample_weight)
        if isinstance(sample_weight, dict):
            return [sample_weight.get(name) for name in self.output_names]
        if isinstance(sample_weight, (list, tuple)) and len(sample_weight) == count and count > 1:
            return list(sample_weight)
        if (
            isinstance(sample_weight, (list, tuple))
            and len(sample_weight) == 1
            and hasattr(sample_weight[0], "shape")
        ):
            return [sample_weight[0]] * count
        return [sample_weight] * count


def _tensors(arrays: list) -> list:
    return [None if one is None else convert.as_tensor(one) for one in arrays]


class CompiledMetrics:
    """What `model.compiled_metrics` is to a `train_step` written for Keras 2."""

    def __init__(self, model: Any):
        self._model = model

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch in."""
        self._model.compute_metrics(None, y_true, y_pred, sample_weight=sample_weight)

    @property
    def metrics(self) -> list:
        """The compiled metrics."""
        return self._model._compiled.all_metrics()


def _unpack(batch: Any) -> tuple[Any, Any, Any]:
    return data.unpack_x_y_sample_weight(batch)
