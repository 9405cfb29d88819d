"""Losses, metrics, regularizers, constraints and constants of initializers, for both libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

# name: (loss, kind of labels, how predictions are made)
LOSSES: dict[str, tuple] = {
    "categorical_focal": (lambda k: k.losses.CategoricalFocalCrossentropy(), "one_hot", "probabilities"),
    "categorical_focal_logits": (
        lambda k: k.losses.CategoricalFocalCrossentropy(0.4, 1.5, from_logits=True, label_smoothing=0.1),
        "one_hot",
        "scores",
    ),
    "categorical_focal_softmax": (lambda k: k.losses.CategoricalFocalCrossentropy(), "one_hot", "softmax"),
    "binary_focal": (lambda k: k.losses.BinaryFocalCrossentropy(), "one_hot", "probabilities"),
    "binary_focal_balanced": (
        lambda k: k.losses.BinaryFocalCrossentropy(True, 0.3, 3.0, label_smoothing=0.1),
        "one_hot",
        "sigmoid",
    ),
    "binary_focal_logits": (
        lambda k: k.losses.BinaryFocalCrossentropy(from_logits=True),
        "one_hot",
        "scores",
    ),
    "generalized": (lambda k: k.losses.CategoricalGeneralizedCrossEntropy(0.7), "sparse", "probabilities"),
    "dice": (lambda k: k.losses.Dice(), "one_hot", "probabilities"),
    "dice_axis": (lambda k: k.losses.Dice(axis=-1), "one_hot", "sigmoid"),
    "tversky": (lambda k: k.losses.Tversky(0.3, 0.7), "one_hot", "probabilities"),
    "tversky_axis": (lambda k: k.losses.Tversky(alpha=0.2, beta=0.9, axis=1), "one_hot", "probabilities"),
    "circle": (lambda k: k.losses.Circle(gamma=3.0, margin=0.25), "sparse", "softmax"),
    "circle_diagonal": (
        lambda k: k.losses.Circle(5.0, 0.3, remove_diagonal=False, reduction="none"),
        "sparse",
        "softmax",
    ),
    "sparse_ignore": (
        lambda k: k.losses.SparseCategoricalCrossentropy(ignore_class=1),
        "sparse",
        "probabilities",
    ),
    "sparse_ignore_weights": (
        lambda k: k.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=2, reduction="mean_with_sample_weight"
        ),
        "sparse",
        "scores",
    ),
    "huber_default": (lambda k: k.losses.Huber(), "scores", "scores"),
    "cosine_axis": (lambda k: k.losses.CosineSimilarity(axis=1), "scores", "scores"),
    "hinge_signs": (lambda k: k.losses.Hinge(), "signs", "scores"),
    "squared_hinge_binary": (lambda k: k.losses.SquaredHinge(reduction="sum"), "one_hot", "scores"),
}
for _reduction in ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None):
    LOSSES[f"reduced_{_reduction}"] = (
        lambda k, how=_reduction: k.losses.MeanSquaredError(reduction=how),
        "scores",
        "scores",
    )


def _numbers(seed: int, n: int = 9, classes: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, classes, n)
    scores = rng.rand(n, classes)
    return {
        "labels": labels,
        "one_hot": np.eye(classes)[labels],
        "marks": rng.randint(0, 2, (n, classes)).astype("float64"),
        "probabilities": scores / scores.sum(1, keepdims=True),
        "chances": rng.rand(n, classes),
        "single": rng.rand(n, classes).astype("float32"),
        "scores": rng.standard_normal((n, classes)),
        "truth": rng.standard_normal((n, classes)),
        "positive": rng.rand(n, classes) + 0.1,
        "signs": rng.choice([-1.0, 1.0], (n, classes)),
        "column": rng.rand(n, 1),
        "column_marks": rng.randint(0, 2, (n, 1)).astype("float64"),
        "best": rng.randint(0, classes, n),
        "counts": rng.randint(1, 4, n),
        "weights": rng.rand(n),
    }


def _metric(make: Any, true: str, pred: str, weights: str = "weights") -> Any:
    """Results after one batch, after two with weights, and after a new beginning."""

    def run(tf: Any, keras: Any) -> list:
        metric = make(keras)
        found = []
        for seed, weighted in ((1, False), (2, True)):
            data = _numbers(seed)
            metric.update_state(
                tf.constant(data[true]),
                tf.constant(data[pred]),
                sample_weight=data[weights] if weighted else None,
            )
            found.append(np.array(metric.result(), np.float64))
        metric.reset_state()
        data = _numbers(3)
        metric.update_state(data[true], data[pred], data[weights])
        return [*found, np.array(metric.result(), np.float64)]

    return run


_METRICS: dict[str, tuple] = {
    "accuracy": (lambda k: k.metrics.Accuracy(), "labels", "best"),
    "binary_accuracy": (lambda k: k.metrics.BinaryAccuracy(threshold=0.4), "marks", "chances"),
    "categorical_accuracy": (lambda k: k.metrics.CategoricalAccuracy(), "one_hot", "probabilities"),
    "sparse_accuracy": (lambda k: k.metrics.SparseCategoricalAccuracy(), "labels", "probabilities"),
    "top_k": (lambda k: k.metrics.TopKCategoricalAccuracy(2), "one_hot", "single"),
    "sparse_top_k": (lambda k: k.metrics.SparseTopKCategoricalAccuracy(k=3), "labels", "single"),
    "mse": (lambda k: k.metrics.MeanSquaredError(), "truth", "scores"),
    "rmse": (lambda k: k.metrics.RootMeanSquaredError(), "truth", "scores"),
    "mae": (lambda k: k.metrics.MeanAbsoluteError(), "truth", "scores"),
    "mape": (lambda k: k.metrics.MeanAbsolutePercentageError(), "truth", "scores"),
    "msle": (lambda k: k.metrics.MeanSquaredLogarithmicError(), "positive", "chances"),
    "logcosh": (lambda k: k.metrics.LogCoshError(), "truth", "scores"),
    "hinge": (lambda k: k.metrics.Hinge(), "signs", "scores"),
    "squared_hinge": (lambda k: k.metrics.SquaredHinge(), "marks", "scores"),
    "categorical_hinge": (lambda k: k.metrics.CategoricalHinge(), "one_hot", "scores"),
    "kl": (lambda k: k.metrics.KLDivergence(), "positive", "probabilities"),
    "poisson": (lambda k: k.metrics.Poisson(), "positive", "chances"),
    "cosine": (lambda k: k.metrics.CosineSimilarity(), "truth", "scores"),
    "cosine_axis": (lambda k: k.metrics.CosineSimilarity(axis=1), "truth", "scores"),
    "binary": (lambda k: k.metrics.BinaryCrossentropy(label_smoothing=0.1), "marks", "chances"),
    "binary_logits": (lambda k: k.metrics.BinaryCrossentropy(from_logits=True), "marks", "scores"),
    "categorical": (lambda k: k.metrics.CategoricalCrossentropy(), "one_hot", "probabilities"),
    "sparse": (lambda k: k.metrics.SparseCategoricalCrossentropy(), "labels", "probabilities"),
    "sparse_ignore": (
        lambda k: k.metrics.SparseCategoricalCrossentropy(ignore_class=1),
        "labels",
        "probabilities",
    ),
    "pearson": (lambda k: k.metrics.PearsonCorrelation(), "truth", "scores"),
    "concordance": (lambda k: k.metrics.ConcordanceCorrelation(), "truth", "scores"),
    "r2": (lambda k: k.metrics.R2Score(), "truth", "scores"),
    "r2_each": (lambda k: k.metrics.R2Score(class_aggregation=None), "truth", "scores"),
    "r2_adjusted": (lambda k: k.metrics.R2Score(num_regressors=2), "truth", "scores"),
    "r2_variance": (lambda k: k.metrics.R2Score("variance_weighted_average"), "truth", "scores"),
    "tp": (lambda k: k.metrics.TruePositives(), "marks", "chances"),
    "tn": (lambda k: k.metrics.TrueNegatives([0.2, 0.7]), "marks", "chances"),
    "fp": (lambda k: k.metrics.FalsePositives([0.0, 0.5, 1.0]), "marks", "chances"),
    "fn": (lambda k: k.metrics.FalseNegatives([0.6, 0.3]), "marks", "chances"),
    "precision": (lambda k: k.metrics.Precision(), "marks", "chances"),
    "precision_thresholds": (lambda k: k.metrics.Precision([0.1, 0.5, 0.8]), "marks", "chances"),
    "precision_top_k": (lambda k: k.metrics.Precision(top_k=2), "marks", "chances"),
    "precision_class": (lambda k: k.metrics.Precision(class_id=1), "marks", "chances"),
    "recall": (lambda k: k.metrics.Recall(thresholds=0.3), "marks", "chances"),
    "recall_top_k_class": (lambda k: k.metrics.Recall(top_k=2, class_id=2), "marks", "chances"),
    "recall_column": (lambda k: k.metrics.Recall(), "column_marks", "column"),
    "sensitivity": (lambda k: k.metrics.SensitivityAtSpecificity(0.4), "marks", "chances"),
    "specificity": (
        lambda k: k.metrics.SpecificityAtSensitivity(0.6, num_thresholds=7),
        "marks",
        "chances",
    ),
    "precision_at": (lambda k: k.metrics.PrecisionAtRecall(0.5, class_id=0), "marks", "chances"),
    "recall_at": (lambda k: k.metrics.RecallAtPrecision(0.4, num_thresholds=1), "marks", "chances"),
    "f1": (lambda k: k.metrics.F1Score(), "marks", "chances"),
    "f1_macro": (lambda k: k.metrics.F1Score("macro", threshold=0.5), "marks", "chances"),
    "fbeta_micro": (lambda k: k.metrics.FBetaScore("micro", 2.0, 0.4), "marks", "chances"),
    "fbeta_weighted": (lambda k: k.metrics.FBetaScore("weighted", 0.5), "marks", "chances"),
    "iou": (lambda k: k.metrics.IoU(4, [0, 2]), "labels", "best", "counts"),
    "iou_float": (lambda k: k.metrics.IoU(4, [1], dtype="float64"), "labels", "best"),
    "mean_iou": (lambda k: k.metrics.MeanIoU(4), "labels", "best", "counts"),
    "mean_iou_ignore": (lambda k: k.metrics.MeanIoU(3, ignore_class=1), "labels", "best", "counts"),
    "binary_iou": (
        lambda k: k.metrics.BinaryIoU([0], 0.3, dtype="float64"),
        "column_marks",
        "column",
    ),
    "one_hot_iou": (lambda k: k.metrics.OneHotIoU(4, [3, 1]), "one_hot", "chances", "counts"),
    "one_hot_mean_iou": (
        lambda k: k.metrics.OneHotMeanIoU(4, sparse_y_pred=True),
        "one_hot",
        "best",
        "counts",
    ),
    "precision_ties": (lambda k: k.metrics.Precision([0.0, 1.0]), "marks", "marks"),
    "auc_ties": (lambda k: k.metrics.AUC(5), "marks", "marks"),
    "auc_logits": (lambda k: k.metrics.AUC(num_thresholds=11, from_logits=True), "marks", "scores"),
    "auc_thresholds": (lambda k: k.metrics.AUC(thresholds=[0.6, 0.2, 0.25]), "marks", "chances"),
    "auc_column": (lambda k: k.metrics.AUC(), "column_marks", "column"),
    "auc_labels": (lambda k: k.metrics.AUC(50, multi_label=True), "marks", "chances"),
    "auc_labels_weighted": (
        lambda k: k.metrics.AUC(
            thresholds=[0.3, 0.7], multi_label=True, num_labels=4, label_weights=[0.1, 0.2, 0.3, 0.4]
        ),
        "marks",
        "chances",
    ),
    "auc_label_weights": (
        lambda k: k.metrics.AUC(20, label_weights=[0.1, 0.2, 0.3, 0.4]),
        "marks",
        "chances",
    ),
}
for _curve in ("ROC", "PR", "PRGAIN"):
    for _how in ("interpolation", "minoring", "majoring"):
        _METRICS[f"auc_{_curve}_{_how}"] = (
            lambda k, curve=_curve, how=_how: k.metrics.AUC(30, curve=curve, summation_method=how),
            "marks",
            "chances",
        )
FUNCTIONS: dict[str, Any] = {f"metric_{name}": _metric(*case) for name, case in _METRICS.items()}


def _mean(kind: str) -> Any:
    def run(tf: Any, keras: Any) -> list:
        data = _numbers(4)
        metric = getattr(keras.metrics, kind)()
        metric.update_state(data["scores"])
        metric.update_state(data["scores"], data["weights"])
        found = [np.array(v) for v in metric.variables]
        metric.update_state(3.0)
        metric.update_state(data["scores"], data["positive"])
        return [*found, np.array(metric.result()), *(np.array(v) for v in metric.variables)]

    return run


def _values(name: str, true: str, pred: str, **options: Any) -> Any:
    def run(tf: Any, keras: Any) -> Any:
        data = _numbers(5)
        module = keras.metrics if hasattr(keras.metrics, name) else keras.losses
        return getattr(module, name)(tf.constant(data[true]), tf.constant(data[pred]), **options)

    return run


def _sorted_ids(tf: Any, keras: Any) -> Any:
    data = _numbers(6)
    ids = np.argsort(-data["chances"], axis=1).astype("float64")
    return keras.metrics.sparse_top_k_categorical_accuracy(
        data["labels"].astype("float64"), ids, k=2, from_sorted_ids=True
    )


def _pictures(tf: Any, keras: Any) -> list:
    """Losses and metrics of labels for each pixel, with weights for pictures, rows and pixels."""
    rng = np.random.RandomState(7)
    pred = rng.rand(2, 3, 4, 5)
    true = rng.rand(2, 3, 4, 5)
    found = []
    for shape in ((2, 1, 1), (2, 3, 1), (2, 3, 4)):
        weights = rng.rand(*shape)
        found.append(keras.losses.MeanSquaredError()(true, pred, weights))
        metric = keras.metrics.MeanAbsoluteError()
        metric.update_state(true, pred, weights)
        found.append(metric.result())
    labels = rng.randint(0, 5, (2, 3, 4))
    sparse = keras.losses.SparseCategoricalCrossentropy(ignore_class=0)
    found.append(sparse(tf.constant(labels), tf.constant(pred / pred.sum(-1, keepdims=True))))
    found.append(sparse(tf.constant(labels[..., None]), tf.constant(pred / pred.sum(-1, keepdims=True))))
    return found


def _gradient(make: Any, dtype: str = "float64") -> Any:
    """Value and gradient of a function of one matrix."""

    def run(tf: Any, keras: Any) -> list:
        x = tf.constant(np.random.RandomState(8).standard_normal((4, 5)).astype(dtype))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = make(keras)(x)
        return [np.array(y), np.array(tape.gradient(y, x))]

    return run


def _fans(tf: Any, keras: Any) -> list:
    """The spread of the family of VarianceScaling: limits to 2 digits of many uniform draws."""
    found = []
    for name in ("glorot_uniform", "he_uniform", "lecun_uniform"):
        for shape, axes in (
            ((40, 60), {}),
            ((3, 3, 20, 30), {}),
            ((50,), {}),
            ((30, 20, 40), ((0, 1), (2,))),
        ):
            options = dict(zip(("input_axes", "output_axes"), axes, strict=False)) if axes else {}
            values = np.array(getattr(keras.initializers, name)(seed=1, **options)(shape))
            limit = np.abs(values).max()
            found.append(round(float(limit), 2) if len(shape) > 1 else 0.0)
    return found


FUNCTIONS |= {
    "mean": _mean("Mean"),
    "sum": _mean("Sum"),
    "function_huber": _values("huber", "truth", "scores", delta=0.5),
    "function_hinge": _values("hinge", "marks", "scores"),
    "function_cosine": _values("cosine_similarity", "truth", "scores", axis=0),
    "function_dice": _values("dice", "one_hot", "chances", axis=(0, 1)),
    "function_pearson": _values("pearson_correlation", "truth", "scores", axis=0),
    "function_concordance": _values("concordance_correlation", "truth", "scores", axis=0),
    "function_sparse_top_k": _values("sparse_top_k_categorical_accuracy", "labels", "single", k=1),
    "function_binary_accuracy": _values("binary_accuracy", "marks", "chances", threshold=0.7),
    "function_sorted_ids": _sorted_ids,
    "loss_pictures": _pictures,
    "regularizer_l1": _gradient(lambda k: k.regularizers.L1(0.25)),
    "regularizer_l2": _gradient(lambda k: k.regularizers.L2(0.5)),
    "regularizer_l1_l2": _gradient(lambda k: k.regularizers.L1L2(0.125, 0.5)),
    "regularizer_rows": _gradient(lambda k: k.regularizers.OrthogonalRegularizer(0.5), "float32"),
    "regularizer_columns": _gradient(
        lambda k: k.regularizers.OrthogonalRegularizer(0.25, "columns"), "float32"
    ),
    "constraint_max": lambda tf, k: k.constraints.MaxNorm(1.5, axis=1)(_numbers(9)["scores"]),
    "constraint_unit": lambda tf, k: k.constraints.UnitNorm(axis=[0, 1])(_numbers(9)["scores"]),
    "constraint_non_negative": lambda tf, k: k.constraints.NonNeg()(_numbers(9)["scores"]),
    "constraint_min_max": lambda tf, k: k.constraints.MinMaxNorm(1.0, 2.0, 0.75)(_numbers(9)["scores"]),
    "initializer_fans": _fans,
    "initializer_stft": lambda tf, k: [
        k.initializers.STFT(side, *more)((7, 1, 4))
        for side in ("real", "imag")
        for more in ((), ("hamming", "spectrum"), ("blackman", None, True), (None,))
    ],
}
# Keras divides intersection by union, adjusts R2, takes log(2) and holds the factor of this regularizer in
# float32.
LOOSE: dict[str, float] = {
    "metric_r2_adjusted": 1e-6,
    **{f"metric_{name}": 1e-6 for name in _METRICS if "iou" in name},
    "metric_logcosh": 1e-7,
    "regularizer_rows": 1e-6,
    "regularizer_columns": 1e-6,
}
