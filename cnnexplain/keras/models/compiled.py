"""What `compile` was given, resolved against a model's outputs: one loss and the metrics of each output."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import convert, losses, metrics, naming, tree
from ..losses.wrappers import LossFunctionWrapper

# What "accuracy" and "crossentropy" mean for one score, for integers as labels, and for one-hot labels.
_ACCURACY = (metrics.BinaryAccuracy, metrics.SparseCategoricalAccuracy, metrics.CategoricalAccuracy)
_ENTROPY = (
    metrics.BinaryCrossentropy,
    metrics.SparseCategoricalCrossentropy,
    metrics.CategoricalCrossentropy,
)
_ENTROPY_LOSS = (
    losses.binary_crossentropy,
    losses.sparse_categorical_crossentropy,
    losses.categorical_crossentropy,
)


def _kind_of_labels(y_true: Any, y_pred: Any) -> int:
    """Which of the three the shapes tell."""
    if y_pred.shape and y_pred.shape[-1] == 1:
        return 0
    return 1 if len(y_true.shape) < len(y_pred.shape) or y_true.shape[-1] == 1 else 2


def resolve_metric(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """The metric for a name, function or object; "accuracy" and "crossentropy" by the shapes."""
    if isinstance(identifier, metrics.Metric):
        return identifier
    name = identifier if isinstance(identifier, str) else None
    low = str(identifier).lower() if name else ""
    for words, choices in ((("accuracy", "acc"), _ACCURACY), (("crossentropy", "ce"), _ENTROPY)):
        if low in words:
            return choices[_kind_of_labels(y_true, y_pred)](name=name)
    found = metrics.get(identifier)
    if not isinstance(found, metrics.Metric):
        found = metrics.MeanMetricWrapper(found, name=naming.object_name(found))
    if name:
        found.name = name
    return found


def resolve_loss(identifier: Any, y_true: Any, y_pred: Any) -> Any:
    """The Loss object for a name, function or object; "crossentropy" by the shapes."""
    if identifier is None or isinstance(identifier, losses.Loss):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        identifier = _ENTROPY_LOSS[_kind_of_labels(y_true, y_pred)]
    found = losses.get(identifier)
    if not isinstance(found, losses.Loss):
        found = LossFunctionWrapper(found, name=naming.object_name(found))
    return found


def _spread(given: Any, names: list[str], count: int, argument: str) -> list:
    """One entry for each output from one entry, a list or a dict by output name."""
    if isinstance(given, dict):
        unknown = set(given) - set(names)
        if unknown:
            raise ValueError(
                f"In the dict argument `{argument}`, key '{sorted(unknown)[0]}' does not correspond to any "
                f"model output. Expected one of {names}."
            )
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != count:
            raise ValueError(
                f"For a model with multiple outputs, when providing the `{argument}` argument as a list, it "
                f"should have as many entries as the model has outputs. Received: {argument}={given} of "
                f"length {len(given)} whereas the model has {count} outputs."
            )
        return list(given)
    return [given] * count


def leaves(structure: Any, given: Any) -> list:
    """What `given` holds for each leaf of a nested structure; None where a dict has no such key.

    Raises:
        ValueError: Another structure.
    """
    if not tree.is_nested(structure):
        return [given]
    if given is None:
        return [None] * len(tree.flatten(structure))
    if isinstance(structure, dict):
        if isinstance(given, dict) and set(given) <= set(structure):
            return [leaf for key in sorted(structure) for leaf in leaves(structure[key], given.get(key))]
    elif isinstance(given, (list, tuple)) and len(given) == len(structure):
        return [leaf for one, its in zip(structure, given, strict=True) for leaf in leaves(one, its)]
    raise ValueError(f"The structure must be that of the model's outputs, {structure}. Received: {given}")


def _places(structure: Any, outer: tuple[str, ...] = ()) -> list[str]:
    """Where each leaf of a nested structure lies, "outer/" or nothing."""
    if not tree.is_nested(structure):
        return ["".join(f"{key}/" for key in outer[:-1])]
    keys = sorted(structure) if isinstance(structure, dict) else range(len(structure))
    return [place for key in keys for place in _places(structure[key], (*outer, str(key)))]


class Compiled:
    """Losses, weights and metrics of the outputs."""

    def __init__(self, loss: Any, loss_weights: Any, given_metrics: Any, weighted_metrics: Any):
        for name, value in (("metrics", given_metrics), ("weighted_metrics", weighted_metrics)):
            if value and not isinstance(value, (list, tuple, dict)):
                raise ValueError(
                    f"Expected `{name}` argument to be a list, tuple, or dict. Received instead: "
                    f"{name}={value} of type {type(value)}"
                )
        for one in tree.flatten(loss):
            if isinstance(one, str) and one.lower() not in ("crossentropy", "ce"):
                losses.get(one)
        self.loss = loss
        self.loss_weights = loss_weights
        self.given_metrics = given_metrics
        self.weighted_metrics = weighted_metrics
        self.labels: dict[int, str] = {}  # by the id of the metric
        self.built = False
        self.losses: list = []
        self.weights: list = []
        self.metrics: list[list] = []  # by output
        self.weighted: list[list] = []
        self.names: list[str] = []
        self.nested: Any = None
        self.trackers: list = []  # of each output's loss, when there are several
        self.total = metrics.Mean(name="loss")

    def build(self, y_true: list, y_pred: list, names: list[str], nested: Any = None) -> None:
        """Resolves names against the targets and outputs, which need shapes only.

        Args:
            y_true, y_pred: One for each output.
            names: Names of the outputs.
            nested: The structure of the outputs where it has several levels.
        """
        count = len(y_pred)
        self.nested = nested
        self.names = names if len(names) == count else [f"output_{i + 1}" for i in range(count)]
        wanted = self._of_outputs(self.loss, "loss") if count > 1 else [_only(self.loss)]
        self.losses = [
            None if one is None else resolve_loss(one, _labels(y), p)
            for one, y, p in zip(wanted, y_true, y_pred, strict=True)
        ]
        weights = self._of_outputs(self.loss_weights, "loss_weights")
        self.weights = [1.0 if weight is None else float(weight) for weight in weights]
        self.metrics = self._metrics(self.given_metrics, y_true, y_pred, "metrics")
        self.weighted = self._metrics(self.weighted_metrics, y_true, y_pred, "weighted_metrics")
        if sum(loss is not None for loss in self.losses) > 1:
            places = [""] * count if nested is None else _places(nested)
            self.trackers = [
                metrics.Mean(name=f"{place}{name}_loss") if loss is not None else None
                for place, name, loss in zip(places, self.names, self.losses, strict=True)
            ]
        self._label(count > 1)
        self.built = True

    def _of_outputs(self, given: Any, argument: str) -> list:
        """One entry of a setting for each output."""
        if self.nested is not None and isinstance(given, (dict, list, tuple)):
            return leaves(self.nested, given)
        return _spread(given, self.names, len(self.names), argument)

    def _label(self, several: bool) -> None:
        """Names in the logs: with the output's name where there are several, and every name once."""
        used: dict[str, int] = {}
        for weighted, per_output in ((False, self.metrics), (True, self.weighted)):
            for output, entry in zip(self.names, per_output, strict=True):
                start = f"{output}_" if several else ""
                for metric in entry:
                    name = start + metric.name
                    if weighted and name in used:
                        name = f"{start}weighted_{metric.name}"
                    count = used.get(name, 0)
                    used[name] = count + 1
                    self.labels[id(metric)] = f"{name}_{count}" if count else name

    def name_of(self, metric: Any) -> str:
        """The metric's name in the logs."""
        return self.labels.get(id(metric), metric.name)

    def _metrics(self, given: Any, y_true: list, y_pred: list, argument: str) -> list[list]:
        count = len(y_pred)
        if not given:
            return [[] for _ in range(count)]
        if count == 1:
            flat = tree.flatten(given) if not isinstance(given, dict) else tree.flatten(list(given.values()))
            return [[resolve_metric(one, y_true[0], y_pred[0]) for one in flat if y_true[0] is not None]]
        if isinstance(given, dict) or self.nested is not None:
            spread = self._of_outputs(given, argument)
        elif len(given) == count and any(isinstance(one, (list, tuple)) or one is None for one in given):
            spread = list(given)
        elif len(given) == count:
            spread = list(given)
        else:
            raise ValueError(
                f"For a model with multiple outputs, when providing the `{argument}` argument as a list, it "
                f"should have as many entries as the model has outputs. Received: {argument}={given} of "
                f"length {len(given)} whereas the model has {count} outputs."
            )
        resolved = []
        for entry, y, p in zip(spread, y_true, y_pred, strict=True):
            found = []
            for one in tree.flatten(entry) if entry is not None else []:
                if y is None:
                    continue
                found.append(resolve_metric(one, y, p))
            resolved.append(found)
        return resolved

    def all_metrics(self) -> list:
        """The metrics in the order of `evaluate`'s results, without the loss."""
        found = [tracker for tracker in self.trackers if tracker is not None]
        for per_output in (self.metrics, self.weighted):
            found.extend(metric for entry in per_output for metric in entry)
        return found

    def reset(self) -> None:
        """Begins an epoch."""
        self.total.reset_state()
        for metric in self.all_metrics():
            metric.reset_state()

    def total_loss(self, y_true: list, y_pred: list, weights: list) -> tuple[Any, list]:
        """The sum of the weighted losses, and each output's loss; on tensors or symbols."""
        parts: list = []
        total = None
        for loss, weight, y, p, w in zip(self.losses, self.weights, y_true, y_pred, weights, strict=True):
            if loss is None:
                parts.append(None)
                continue
            y = _labels(y)
            value = loss(y, p, sample_weight=w) if isinstance(loss, losses.Loss) else loss(y, p)
            if len(value.shape):
                value = _core.reduce_mean(value)
            parts.append(value)
            term = value if weight == 1.0 else value * weight
            total = term if total is None else total + term
        return total, parts

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Any:
        flat_pred = tree.flatten(y_pred)
        flat_true = [convert.as_tensor(y) for y in tree.flatten(y_true)]
        if not self.built:
            self.build(flat_true, flat_pred, [])
        total, _ = self.total_loss(flat_true, flat_pred, [sample_weight] * len(flat_pred))
        for extra in regularization_losses or ():
            total = extra if total is None else total + extra
        return total

    def update_metrics(self, y_true: list, y_pred: list, weights: list) -> None:
        """Takes a batch into every metric, eagerly."""
        for place, (y, p, w) in enumerate(zip(y_true, y_pred, weights, strict=True)):
            if y is None:
                continue
            for metric in self.metrics[place]:
                metric.update_state(y, p)
            for metric in self.weighted[place]:
                metric.update_state(y, p, sample_weight=w)


def _labels(y: Any) -> Any:
    """y where there is a loss that needs it."""
    if y is None:
        raise ValueError("`y` must hold the labels that the loss needs. Received: y=None")
    return y


def _only(loss: Any) -> Any:
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        return loss[0]
    if isinstance(loss, dict) and len(loss) == 1:
        return next(iter(loss.values()))
    if isinstance(loss, (list, tuple, dict)):
        raise ValueError(f"The model has one output, but several losses were given: loss={loss}")
    return loss


def result_of(metric: Any) -> Any:
    """The metric's value as a Python float, or a dict of them."""
    if type(metric).result is metrics.Mean.result:
        return float(metric.value())
    value = metric.result()
    if isinstance(value, dict):
        return {key: float(one) for key, one in value.items()}
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else array
