"""Metrics: names, configuration, state, what is refused, and what `fit` makes of them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

metrics = keras.metrics
ARGUMENTS = {
    "IoU": {"num_classes": 3, "target_class_ids": [0, 2]},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
    "MeanIoU": {"num_classes": 3},
    "OneHotMeanIoU": {"num_classes": 3},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "AUC": {"thresholds": [0.2, 0.7], "label_weights": [1.0, 2.0]},
    "MeanMetricWrapper": {"fn": metrics.huber, "delta": 2.0},
}
CLASSES = [
    cls
    for name, cls in vars(metrics).items()
    if inspect.isclass(cls) and issubclass(cls, metrics.Metric) and cls is not metrics.Metric
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_configuration_makes_the_same_metric(cls):
    first = cls(**ARGUMENTS.get(cls.__name__, {}), name="mine")
    config = first.get_config()
    assert config["name"] == "mine"
    second = cls.from_config(config)
    assert second.get_config() == config
    assert type(metrics.deserialize(metrics.serialize(first))) is cls
    second.reset_state()
    assert not any(np.array(v).any() for v in second.variables)


def test_names_without_a_name_are_counted():
    names = [m.name for m in (metrics.AUC(), metrics.AUC(), metrics.Precision(), metrics.MeanIoU(2))]
    assert names == ["auc", "auc_1", "precision", "mean_io_u"]
    for name, cls in (("mse", "MeanSquaredError"), ("auc", "AUC"), ("f1_score", "F1Score")):
        assert type(metrics.get(name)).__name__ == cls
    with pytest.raises(ValueError, match="Could not interpret metric identifier: foo"):
        metrics.get("foo")


def test_auc_of_every_order():
    """With a threshold between any two scores the area is the share of pairs in the right order."""
    rng = np.random.RandomState(0)
    scores, marks = rng.permutation(40) / 40 + 0.01, rng.randint(0, 2, 40)
    pairs = scores[marks == 1][:, None] > scores[marks == 0]
    metric = metrics.AUC(thresholds=list(np.arange(40) / 40 + 0.02)[:-1])
    for part in np.split(np.arange(40), 4):
        metric.update_state(marks[part], scores[part])
    assert float(metric.result()) == pytest.approx(pairs.mean(), abs=1e-6)


def test_a_score_that_is_not_a_number_is_never_positive():
    for metric in (metrics.Precision(), metrics.AUC(), metrics.TruePositives([0.1, 0.5])):
        metric.update_state([1, 0, 1], [np.nan, 0.2, 0.9])
        assert np.isfinite(np.array(metric.result())).all()
    recall = metrics.Recall()
    recall.update_state([1, 1], [np.nan, 0.9])
    assert float(recall.result()) == 0.5


def test_labels_that_are_no_classes():
    iou = metrics.MeanIoU(2)
    iou.update_state([0, 1, 7, -1], [0, 1, 0, 1])
    assert float(iou.result()) == pytest.approx(1.0, abs=1e-5)
    top = metrics.sparse_top_k_categorical_accuracy([9, 0], [[0.5, 0.4], [0.5, 0.4]], k=2)
    np.testing.assert_array_equal(top, [0.0, 1.0])
    scores = np.array([[np.nan, 0.1], [0.3, np.nan]])
    np.testing.assert_array_equal(metrics.sparse_top_k_categorical_accuracy([0, 0], scores, k=1), [0, 1])


MISFITS = [
    (metrics.SparseCategoricalAccuracy, {}, (4, 3), (4, 3), "One-hot labels go with `categorical_accuracy`"),
    (metrics.CategoricalAccuracy, {}, (4,), (4, 3), "integers go with `sparse_categorical_accuracy`"),
    (metrics.TopKCategoricalAccuracy, {}, (4,), (4, 3), "sparse_top_k_categorical_accuracy"),
    (metrics.BinaryAccuracy, {}, (4,), (4, 3), "binary_accuracy"),
    (metrics.MeanSquaredError, {}, (4,), (4, 3), "mean_squared_error"),
    (metrics.RootMeanSquaredError, {}, (4,), (4, 3), "root_mean_squared_error"),
    (metrics.AUC, {}, (4,), (4, 3), "auc"),
    (metrics.Precision, {}, (4, 2), (4, 3), "precision"),
    (metrics.Precision, {"class_id": 5}, (4, 3), (4, 3), "`class_id` must be one of the 3 classes"),
    (metrics.Precision, {"class_id": 0}, (4,), (4,), "When `class_id` is given"),
    (metrics.Recall, {"top_k": 4}, (4, 3), (4, 3), "`top_k` must be between 1 and the 3 classes"),
    (metrics.AUC, {"multi_label": True}, (4,), (4,), "must have rank 2"),
    (metrics.F1Score, {}, (4,), (4, 3), "f1_score"),
    (metrics.R2Score, {}, (4, 2, 1), (4, 2, 1), "r2_score"),
    (metrics.MeanIoU, {"num_classes": 3}, (4,), (4, 3), "sparse_y_pred=False"),
]


@pytest.mark.parametrize(("cls", "options", "true", "pred", "words"), MISFITS)
def test_shapes_that_do_not_fit(cls, options, true, pred, words):
    with pytest.raises(ValueError, match=words):
        cls(**options).update_state(np.zeros(true), np.full(pred, 0.3))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: metrics.Precision(thresholds=[0.5, 1.5]), r"must be in \[0, 1\]"),
        (lambda: metrics.AUC(num_thresholds=1), "must be an integer > 1"),
        (lambda: metrics.AUC(curve="PRC"), "Received: curve=PRC"),
        (lambda: metrics.AUC(summation_method="left"), "Received: summation_method=left"),
        (lambda: metrics.AUC(num_labels=2), "`multi_label` is True"),
        (lambda: metrics.SensitivityAtSpecificity(1.5), "`specificity` must be in the range"),
        (lambda: metrics.RecallAtPrecision(0.5, num_thresholds=0), "must be an integer > 0"),
        (lambda: metrics.FBetaScore(beta=1), "`beta`"),
        (lambda: metrics.F1Score(average="mean"), "`average`"),
        (lambda: metrics.F1Score(threshold=2.0), "`threshold`"),
        (lambda: metrics.R2Score(class_aggregation="sum"), "`class_aggregation`"),
        (lambda: metrics.R2Score(num_regressors=-1), "`num_regressors`"),
        (lambda: metrics.IoU(2, [2]), "out of range"),
    ],
)
def test_arguments_out_of_range(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_stateless_methods_change_nothing():
    metric = metrics.Mean()
    metric.update_state([10.0])
    state = metric.stateless_reset_state()
    state = metric.stateless_update_state(state, [1.0, 2.0, 6.0])
    assert [float(v) for v in state] == [9.0, 3.0]
    assert float(metric.stateless_result(state)) == 3.0
    assert float(metric.result()) == 10.0
    with pytest.raises(ValueError, match="`metric_variables` must be a list"):
        metric.stateless_result(state[:1])


def test_a_metric_holds_metrics():
    class Both(metrics.Metric):
        def __init__(self):
            super().__init__(name="both")
            self.own = self.add_weight(name="own", shape=(2,))
            self.inner = metrics.Mean()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.own.assign_add([1.0, 2.0])
            self.inner.update_state(y_pred)

        def result(self):
            return {"first": self.own[0], "mean": self.inner.result()}

    metric = Both()
    assert [tuple(v.shape) for v in metric.variables] == [(2,), (), ()]
    assert {key: float(value) for key, value in metric([0], [4.0]).items()} == {"first": 1.0, "mean": 4.0}
    metric.reset_state()
    assert float(metric.inner.result()) == 0.0

    class Forgot(metrics.Metric):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match="You forgot to call"):
        Forgot()([0], [1])


def test_a_mask_of_the_predictions_leaves_values_out():
    class Masked(np.ndarray):
        pass

    pred = np.array([[1.0], [3.0]]).view(Masked)
    pred._keras_mask = np.array([True, False])
    metric = metrics.MeanSquaredError()
    metric.update_state([[0.0], [0.0]], pred)
    assert float(metric.result()) == 1.0
    loss = keras.losses.MeanSquaredError()
    assert float(loss(np.zeros((2, 1)), pred)) == 1.0
    assert float(loss(np.zeros((2, 1)), pred, sample_weight=[2.0, 5.0])) == 2.0


def two_outputs():
    x = keras.Input((3,))
    a = keras.layers.Dense(1, name="a", kernel_initializer="ones")(x)
    b = keras.layers.Dense(1, name="b", kernel_initializer="ones")(x)
    return keras.Model(x, [a, b])


def test_losses_of_several_outputs_average_batches():
    """Keras weights the total by the number of examples and the outputs' losses not."""
    x = np.arange(15.0).reshape(5, 3)
    y = [x[:, :1], x[:, :1] * 2]
    model = two_outputs()
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[["mae"], ["mae", "mse"]])
    expected = {"a_loss": 459.0, "a_mae": 15.0, "b_loss": 146.25, "b_mae": 9.0, "b_mse": 99.0, "loss": 396.0}
    history = model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history
    assert {key: value[0] for key, value in history.items()} == pytest.approx(expected)
    assert model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True) == pytest.approx(expected)


def test_names_in_the_history():
    x = np.arange(15.0).reshape(5, 3)
    model = two_outputs()
    model.compile(
        keras.optimizers.SGD(0.0),
        "mse",
        metrics={"a": ["mae", metrics.AUC(), metrics.Precision(), metrics.Precision()], "b": "mse"},
        weighted_metrics={"a": "mae"},
    )
    history = model.fit(x, [x[:, :1] > 3, x[:, :1] * 2], verbose=0).history
    assert sorted(history) == [
        "a_auc", "a_loss", "a_mae", "a_precision", "a_precision_1", "a_weighted_mae", "b_loss", "b_mse",
        "loss",
    ]  # fmt: skip
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=["accuracy", "accuracy", "acc", metrics.SparseCategoricalAccuracy()],
        weighted_metrics=["accuracy", "accuracy"],
    )
    history = model.fit(x, np.arange(5) % 3, verbose=0).history
    assert sorted(history) == [
        "acc", "accuracy", "accuracy_1", "loss", "sparse_categorical_accuracy", "weighted_accuracy",
        "weighted_accuracy_1",
    ]  # fmt: skip


def test_own_metrics_in_fit():
    class Hits(metrics.Metric):
        def __init__(self, name="hits", **options):
            super().__init__(name=name, **options)
            self.hits = self.add_weight(name="hits", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            right = tf.cast(y_true, "int64") == tf.argmax(y_pred, axis=1)
            self.hits.assign_add(tf.reduce_sum(tf.cast(right, self.dtype)))

        def result(self):
            return self.hits

    class Doubled(metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(tf.reduce_max(y_pred, axis=1) * 2.0, sample_weight)

    x, y = np.eye(3).repeat(2, axis=0), np.array([0, 0, 1, 2, 2, 2])
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="identity")])
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[Hits(), Doubled(name="doubled")],
    )
    for _ in range(2):
        history = model.fit(x, y, batch_size=4, verbose=0).history
        assert history["hits"] == [5.0] and history["doubled"] == [2.0]
