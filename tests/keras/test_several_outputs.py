"""Models with several outputs: names, order and values of logs, recorded from Keras 3.15.1."""

import numpy as np
import pytest

from cnnexplain import keras

rng = np.random.default_rng(0)
X = rng.normal(size=(10, 3)).astype("float32")
A = rng.normal(size=(10, 2)).astype("float32")
B = rng.integers(0, 3, size=(10,))
WA = rng.uniform(size=10).astype("float32")
WB = rng.uniform(size=10).astype("float32")
MSE, CE = "mse", "sparse_categorical_crossentropy"

# name: outputs, arguments of compile, labels, sample weights
SETTINGS = {
    "lists": (
        "list",
        {"loss": [MSE, CE], "loss_weights": [0.3, 2.0], "metrics": [["mae"], ["accuracy"]]},
        [A, B],
        None,
    ),
    "dicts": (
        "list",
        {
            "loss": {"a": MSE, "b": CE},
            "loss_weights": {"a": 0.3, "b": 2.0},
            "metrics": {"a": ["mae", "mse"], "b": "accuracy"},
        },
        [A, B],
        None,
    ),
    "weighted metrics": (
        "list",
        {
            "loss": [MSE, CE],
            "metrics": {"b": ["accuracy"]},
            "weighted_metrics": {"a": ["mae"], "b": ["accuracy"]},
        },
        [A, B],
        [WA, WB],
    ),
    "one loss": ("list", {"loss": [MSE, None]}, [A, B], None),
    "one loss and metrics": ("list", {"loss": [None, CE], "metrics": [["mae"], ["accuracy"]]}, [A, B], None),
    "outputs by name": (
        "dict",
        {"loss": {"p": MSE, "q": CE}, "metrics": {"p": ["mae"], "q": ["accuracy"]}},
        {"p": A, "q": B},
        None,
    ),
    "labels of one output": ("dict", {"loss": {"p": MSE}}, {"p": A}, None),
    "nested": (
        "nested",
        {
            "loss": {"u": [MSE, CE]},
            "metrics": {"u": [["mae"], ["accuracy"]]},
            "loss_weights": {"u": [0.3, 2.0]},
        },
        {"u": [A, B]},
        None,
    ),
    "nested weights": ("nested", {"loss": {"u": [MSE, CE]}}, {"u": [A, B]}, {"u": [WA, WB]}),
}
# name: History of two epochs with validation, evaluate(return_dict=True), evaluate() before training
EXPECTED = {
    "lists": (
        {
            "a_loss": [2.801, 2.642],
            "a_mae": [1.284, 1.252],
            "b_accuracy": [0.4, 0.4],
            "b_loss": [1.015, 0.9944],
            "loss": [2.74, 2.663],
            "val_a_loss": [2.66, 2.512],
            "val_a_mae": [1.254, 1.222],
            "val_b_accuracy": [0.4, 0.5],
            "val_b_loss": [0.975, 0.9568],
            "val_loss": [2.637, 2.568],
        },
        {"a_loss": 2.823, "a_mae": 1.286, "b_accuracy": 0.4, "b_loss": 0.9953, "loss": 2.713},
        [2.713, 2.823, 0.9953, 1.286, 0.4],
    ),
    "dicts": (
        {
            "a_loss": [2.801, 2.642],
            "a_mae": [1.284, 1.252],
            "a_mse": [2.672, 2.515],
            "b_accuracy": [0.4, 0.4],
            "b_loss": [1.015, 0.9944],
            "loss": [2.74, 2.663],
            "val_a_loss": [2.66, 2.512],
            "val_a_mae": [1.254, 1.222],
            "val_a_mse": [2.525, 2.38],
            "val_b_accuracy": [0.4, 0.5],
            "val_b_loss": [0.975, 0.9568],
            "val_loss": [2.637, 2.568],
        },
        {"a_loss": 2.823, "a_mae": 1.286, "a_mse": 2.685, "b_accuracy": 0.4, "b_loss": 0.9953, "loss": 2.713},
        [2.713, 2.823, 0.9953, 1.286, 2.685, 0.4],
    ),
    "weighted metrics": (
        {
            "a_loss": [0.6835, 0.6434],
            "a_mae": [0.9807, 0.9418],
            "b_accuracy": [0.4, 0.4],
            "b_loss": [0.5745, 0.5692],
            "b_weighted_accuracy": [0.454, 0.454],
            "loss": [1.031, 0.9991],
            "val_a_loss": [2.712, 2.612],
            "val_a_mae": [1.255, 1.226],
            "val_b_accuracy": [0.4, 0.4],
            "val_b_loss": [0.9888, 0.9825],
            "val_b_weighted_accuracy": [0.4, 0.4],
            "val_loss": [3.543, 3.456],
        },
        {
            "a_loss": 0.6893,
            "a_mae": 0.983,
            "b_accuracy": 0.4,
            "b_loss": 0.5712,
            "b_weighted_accuracy": 0.454,
            "loss": 1.032,
        },
        [1.032, 0.6893, 0.5712, 0.983, 0.4, 0.454],
    ),
    "one loss": ({"loss": [2.643, 2.169], "val_loss": [2.189, 1.836]}, {"loss": 2.685}, 2.685),
    "one loss and metrics": (
        {
            "a_mae": [1.286, 1.286],
            "b_accuracy": [0.4, 0.4],
            "loss": [0.9615, 0.9541],
            "val_a_mae": [1.286, 1.286],
            "val_b_accuracy": [0.4, 0.4],
            "val_loss": [0.9466, 0.9398],
        },
        {"a_mae": 1.286, "b_accuracy": 0.4, "loss": 0.9539},
        [0.9539, 1.286, 0.4],
    ),
    "outputs by name": (
        {
            "loss": [3.604, 3.124],
            "p_loss": [2.753, 2.279],
            "p_mae": [1.278, 1.175],
            "q_accuracy": [0.4, 0.4],
            "q_loss": [1.005, 0.9949],
            "val_loss": [3.135, 2.776],
            "val_p_loss": [2.316, 1.951],
            "val_p_mae": [1.179, 1.098],
            "val_q_accuracy": [0.4, 0.4],
            "val_q_loss": [0.9851, 0.9755],
        },
        {"loss": 3.639, "p_loss": 2.823, "p_mae": 1.286, "q_accuracy": 0.4, "q_loss": 0.9953},
        [3.639, 2.823, 0.9953, 1.286, 0.4],
    ),
    "labels of one output": ({"loss": [2.643, 2.169], "val_loss": [2.189, 1.836]}, {"loss": 2.685}, 2.685),
    "nested": (
        {
            "a_mae": [1.284, 1.252],
            "b_accuracy": [0.4, 0.4],
            "loss": [2.74, 2.663],
            "u/a_loss": [2.801, 2.642],
            "u/b_loss": [1.015, 0.9944],
            "val_a_mae": [1.254, 1.222],
            "val_b_accuracy": [0.4, 0.5],
            "val_loss": [2.637, 2.568],
            "val_u/a_loss": [2.66, 2.512],
            "val_u/b_loss": [0.975, 0.9568],
        },
        {"a_mae": 1.286, "b_accuracy": 0.4, "loss": 2.713, "u/a_loss": 2.823, "u/b_loss": 0.9953},
        [2.713, 2.823, 0.9953, 1.286, 0.4],
    ),
    "nested weights": (
        {
            "loss": [1.031, 0.9991],
            "u/a_loss": [0.6835, 0.6434],
            "u/b_loss": [0.5745, 0.5692],
            "val_loss": [3.543, 3.456],
            "val_u/a_loss": [2.712, 2.612],
            "val_u/b_loss": [0.9888, 0.9825],
        },
        {"loss": 1.032, "u/a_loss": 0.6893, "u/b_loss": 0.5712},
        [1.032, 0.6893, 0.5712],
    ),
}


def made(kind, **settings):
    x = keras.Input((3,), name="x")
    a = keras.layers.Dense(2, name="a")(x)
    b = keras.layers.Dense(3, activation="softmax", name="b")(x)
    model = keras.Model(x, {"list": [a, b], "dict": {"p": a, "q": b}, "nested": {"u": [a, b]}}[kind])
    draws = np.random.default_rng(1)
    model.set_weights([draws.normal(size=w.shape) for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(0.05), **settings)
    return model


def assert_equal(found, wanted):
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("name", SETTINGS)
def test_names_and_values(name):
    kind, settings, y, weights = SETTINGS[name]
    history, by_name, listed = EXPECTED[name]
    model = made(kind, **settings)
    given = {"batch_size": 4, "verbose": 0, "sample_weight": weights}
    assert_equal(model.evaluate(X, y, return_dict=True, **given), by_name)
    np.testing.assert_allclose(model.evaluate(X, y, **given), listed, rtol=1e-3)
    fitted = model.fit(X, y, epochs=2, shuffle=False, validation_data=(X, y), **given)
    assert_equal(fitted.history, history)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("name", SETTINGS)
def test_one_batch_run_eagerly(name):
    kind, settings, y, weights = SETTINGS[name]
    found = [
        made(kind, run_eagerly=eagerly, **settings).train_on_batch(
            X, y, sample_weight=weights, return_dict=True
        )
        for eagerly in (False, True)
    ]
    assert_equal(*found)


def test_another_structure_is_refused():
    model = made("nested", loss={"u": [MSE, CE]})
    with pytest.raises(ValueError, match="structure"):
        model.fit(X, {"v": [A, B]}, verbose=0)
