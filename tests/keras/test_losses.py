"""Losses by name, class and configuration, their reductions and weights, and what is refused."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

losses = keras.losses
CLASSES = [cls for cls in vars(losses).values() if isinstance(cls, type) and issubclass(cls, losses.Loss)]
NAMED = [cls for cls in CLASSES if cls is not losses.Loss]


@pytest.mark.parametrize("cls", NAMED, ids=lambda c: c.__name__)
def test_configuration_makes_the_same_loss(cls):
    first = cls(reduction="sum", name="mine")
    second = cls.from_config(first.get_config())
    assert second.get_config() == first.get_config()
    assert second.name == "mine" and second.reduction == "sum"
    again = losses.deserialize(losses.serialize(first))
    assert type(again) is cls and again.get_config() == first.get_config()


@pytest.mark.parametrize(
    ("name", "function"),
    [("mse", "mean_squared_error"), ("MAE", "mean_absolute_error"), ("bce", "binary_crossentropy"),
     ("kld", "kl_divergence"), ("logcosh", "log_cosh"), ("dice", "dice"), ("circle", "circle"),
     ("msle", "mean_squared_logarithmic_error"), ("mape", "mean_absolute_percentage_error")],
)  # fmt: skip
def test_names(name, function):
    assert losses.get(name) is getattr(losses, function)


def test_names_that_are_unknown():
    with pytest.raises(ValueError, match="Could not interpret loss identifier: foo"):
        losses.get("foo")
    assert losses.get(None) is None
    assert isinstance(losses.get("Dice"), losses.Dice)


def test_reductions_by_hand():
    true, pred, weight = [[0.0], [0.0]], [[1.0], [3.0]], [0.5, 2.0]
    expected = {
        "sum": 0.5 + 18.0,
        "sum_over_batch_size": 18.5 / 2,
        "mean": 18.5 / 2,
        "mean_with_sample_weight": 18.5 / 2.5,
    }
    for reduction, value in expected.items():
        loss = losses.MeanSquaredError(reduction=reduction)
        assert float(loss(true, pred, sample_weight=weight)) == pytest.approx(value)
    for reduction in ("none", None):
        loss = losses.MeanSquaredError(reduction=reduction)
        np.testing.assert_allclose(loss(true, pred, sample_weight=weight), [0.5, 18.0])
    zeros = losses.MeanSquaredError(reduction="mean_with_sample_weight")(true, pred, sample_weight=[0.0, 0.0])
    assert float(zeros) == 0.0
    with pytest.raises(ValueError, match="Invalid value for argument `reduction`"):
        losses.MeanSquaredError(reduction="median")


def test_focal_losses_without_focus_are_cross_entropies():
    rng = np.random.RandomState(0)
    pred = rng.rand(5, 3)
    pred /= pred.sum(1, keepdims=True)
    true = np.eye(3)[[0, 1, 2, 1, 0]]
    focal = losses.categorical_focal_crossentropy(true, pred, alpha=1.0, gamma=0.0)
    np.testing.assert_allclose(focal, losses.categorical_crossentropy(true, pred), rtol=1e-12)
    focal = losses.binary_focal_crossentropy(true, pred, gamma=0.0)
    np.testing.assert_allclose(focal, losses.binary_crossentropy(true, pred), rtol=1e-12)
    weights = [0.5, 1.0, 2.0]
    each = losses.categorical_focal_crossentropy(true, pred, alpha=weights, gamma=0.0)
    expected = -(np.log(pred) * true * weights).sum(1)
    np.testing.assert_allclose(each, expected, rtol=1e-12)


def test_overlaps_by_hand():
    true, pred = np.array([[1.0, 1.0, 0.0]]), np.array([[0.5, 1.0, 1.0]])
    assert float(losses.dice(true, pred)) == pytest.approx(1 - 3.0 / (4.5 + 1e-7))
    expected = 1 - 1.5 / (1.5 + 0.3 * 0.5 + 0.7 * 1.0 + 1e-7)
    assert float(losses.tversky(true, pred, alpha=0.3, beta=0.7)) == pytest.approx(expected)
    assert losses.Dice(axis=-1, reduction="none")(true, pred).shape == (1,)


def test_generalized_cross_entropy_by_hand():
    value = losses.categorical_generalized_cross_entropy([1], [[0.2, 0.8]], q=0.5)
    assert float(value[0]) == pytest.approx((1 - math.sqrt(0.8)) / 0.5, rel=1e-6)
    for q in (0.0, 1.0, 2):
        with pytest.raises(ValueError, match=re.escape("`q` must be in the interval (0, 1)")):
            losses.CategoricalGeneralizedCrossEntropy(q)


def test_circle_has_finite_gradients_without_pairs():
    x = tf.constant(np.eye(3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = losses.circle([0, 1, 2], x)
    np.testing.assert_allclose(value, 0.0)
    np.testing.assert_allclose(tape.gradient(value, x), 0.0)


def test_a_class_that_is_ignored_does_not_count():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    pred = [[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]]
    expected = -(math.log(0.5) + math.log(0.75)) / 2
    assert float(loss([0, 1, -1], pred)) == pytest.approx(expected, rel=1e-6)
    assert float(loss([-1, -1, -1], pred)) == 0.0


def test_own_losses_get_tensors_of_one_dtype():
    class Own(losses.Loss):
        def call(self, y_true, y_pred):
            assert y_true.dtype == y_pred.dtype == tf.float32
            return tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)

    assert float(Own()(np.array([[1, 2]]), np.array([[1.0, 4.0]], "float32"))) == 2.0
    double = losses.MeanSquaredError(dtype="float64")([[1.0]], [[0.5]])
    assert double.dtype == tf.float64


MISFITS = [
    (losses.mean_squared_error, (4,), (4, 3), "mean_squared_error"),
    (losses.MeanAbsoluteError(), (4, 2), (4, 3), "mean_absolute_error"),
    (losses.huber, (5, 3), (4, 3), "huber"),
    (losses.hinge, (4,), (4, 3), "hinge"),
    (losses.kl_divergence, (4, 2), (4, 3), "kl_divergence"),
    (losses.dice, (4, 2), (4, 3), "dice"),
    (losses.categorical_crossentropy, (4,), (4, 3), "sparse_categorical_crossentropy"),
    (losses.categorical_focal_crossentropy, (4,), (4, 3), "categorical_focal_crossentropy"),
    (losses.sparse_categorical_crossentropy, (4, 3), (4, 3), "One-hot labels"),
    (losses.binary_crossentropy, (4,), (4, 3), "binary_crossentropy"),
    (losses.binary_focal_crossentropy, (3, 3), (4, 3), "binary_focal_crossentropy"),
    (losses.categorical_generalized_cross_entropy, (4, 3), (4, 3), "categorical_generalized_cross_entropy"),
    (losses.circle, (3,), (4, 3), "circle"),
]


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize(("loss", "true", "pred", "words"), [(a, b, c, d) for a, b, c, d in MISFITS])
def test_shapes_that_do_not_fit(loss, true, pred, words):
    extra = {"q": 0.5} if loss is losses.categorical_generalized_cross_entropy else {}
    with pytest.raises(ValueError, match=words) as found:
        loss(np.zeros(true), np.full(pred, 0.3), **extra)
    assert str(pred) in str(found.value)


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match="mean_squared_error: `sample_weight` must"):
        losses.MeanSquaredError()(np.zeros((4, 2)), np.zeros((4, 2)), sample_weight=np.ones(3))


def test_labels_that_are_no_classes():
    with pytest.raises(ValueError):
        losses.sparse_categorical_crossentropy([3], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="whole and finite"):
        losses.sparse_categorical_crossentropy([0.5], [[0.5, 0.5]])
    assert math.isnan(float(losses.MeanSquaredError()([math.nan], [1.0])))


@pytest.mark.parametrize("loss", ["mse", "hinge", "dice", "kl_divergence"])
def test_fit_names_the_loss_when_labels_do_not_fit(loss):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=losses.get(loss).__name__):
        model.fit(np.zeros((4, 2)), np.zeros((4,)), verbose=0)


def test_orthogonal_regularizer_by_hand():
    regularizer = keras.regularizers.OrthogonalRegularizer(0.5)
    rows = tf.constant([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    expected = 0.5 * 0.5 * 2 * (2 * math.sqrt(0.5)) / 3
    assert float(regularizer(rows)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="must have rank 2"):
        regularizer(tf.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="`mode` must be"):
        keras.regularizers.OrthogonalRegularizer(mode="both")
    for wrong in (-1.0, math.inf, math.nan, "much"):
        with pytest.raises(ValueError, match="`l2` must be"):
            keras.regularizers.L2(wrong)


def test_initializers_count_the_axes_they_are_given():
    values = keras.initializers.VarianceScaling(3.0, "fan_in", "uniform", 1, (0, 1), (2,))((30, 20, 40))
    assert 0.99 * math.sqrt(9 / 600) < np.abs(values.numpy()).max() <= math.sqrt(9 / 600)
    config = keras.initializers.HeNormal(seed=2, input_axes=(0,), output_axes=(1,)).get_config()
    assert config == {"seed": 2, "input_axes": (0,), "output_axes": (1,)}
    with pytest.raises(ValueError, match="must be axes of the shape"):
        keras.initializers.GlorotNormal(input_axes=(4,), output_axes=(0,))((2, 3))
