"""Automatic names: those that Keras 3.15.1 gives in the same order of calls."""

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras


def names(model):
    return [operation.name for operation in model.operations]


def test_operations_and_models_count_until_the_session_is_cleared():
    keras.utils.clear_session()
    for number in range(2):
        x = keras.Input((2,))
        model = keras.Model(x, keras.ops.relu(x / 2 + 1 + 2))
        end = ["", "_1"][number]
        first = ["input_layer", "input_layer_3"][number]
        sums = [["add", "add_1"], ["add_2", "add_3"]][number]
        assert model.name == ["functional", "functional_3"][number]
        assert [layer.name for layer in model.layers] == [first]
        assert names(model) == [first, f"true_divide{end}", *sums, f"relu{end}"]
        assert model.output_names == [f"relu{end}"]
        keras.Sequential([keras.layers.Dense(1)])(np.zeros((1, 2)))
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Add()([x + 1, x * 2]))
    # The layer was counted when it was made, the operations when they were called.
    assert model.name == "functional_6" and names(model) == ["input_layer_6", "add_5", "multiply", "add_4"]
    outer = keras.Model(x, model(x) * 2)
    assert names(outer) == ["input_layer_6", "functional_6", "multiply_1"]
    assert names(keras.Model.from_config(model.get_config())) == names(model)
    assert names(keras.models.clone_model(model))[1:] == names(model)[1:]
    keras.utils.clear_session()
    x = keras.Input((2,))
    assert names(keras.Model(x, x + 1)) == ["input_layer", "add"]


def test_variables():
    assert tf.Variable(1.0).name == "Variable:0" and tf.Variable(1.0, name="step").name == "step:0"
    assert repr(tf.Variable(1.0)) == "<tf.Variable 'Variable:0' shape=() dtype=float32, numpy=1.0>"
    layer = keras.layers.Dense(1, name="top")
    layer.build((None, 2))
    optimizer = keras.optimizers.Adam()
    optimizer.build(layer.trainable_variables)
    assert [v.name for v in layer.weights] == ["kernel", "bias"]
    assert [v.name for v in optimizer.variables] == [
        "iteration", "learning_rate", "top_kernel_momentum", "top_kernel_velocity", "top_bias_momentum",
        "top_bias_velocity",
    ]  # fmt: skip
    assert [(v.name, v.path) for v in keras.metrics.Mean().variables] == [
        ("total", "mean/total"),
        ("count", "mean/count"),
    ]


def test_scopes():
    with keras.name_scope("a"):
        assert keras.Variable(1.0, name="v").path == "a/v"
        layer = keras.layers.Dense(1, name="d")
        layer.build((None, 2))
    assert layer.kernel.path == "a/d/kernel" and keras.Variable(1.0, name="v").path == "v"
    with pytest.raises(ValueError, match="`name`"):
        keras.name_scope("a/b")
    with keras.device("cpu:0"):
        keras.Variable(1.0)
    with pytest.raises(ValueError, match="device_name"):
        keras.device(0)
