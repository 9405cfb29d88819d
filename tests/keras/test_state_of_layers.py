"""What a layer may make where: variables and layers in `__init__` and `build`, not in `call`, as in Keras."""

import numpy as np
import pytest

from cnnexplain import keras

X = np.ones((1, 2), "float32")


class Late(keras.layers.Layer):
    def call(self, x):
        return x + self.add_weight(shape=(2,))


class LateLayer(keras.layers.Layer):
    def call(self, x):
        if not hasattr(self, "inner"):
            self.inner = keras.layers.Dense(2)
        return self.inner(x)


class Extended(keras.layers.Dense):
    """A layer that makes a variable behind the `build` of its parent."""

    def build(self, input_shape):
        super().build(input_shape)
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain")

    def call(self, x):
        return super().call(x) * self.gain


@pytest.mark.parametrize("x", [X, keras.Input((2,))])
@pytest.mark.parametrize("cls", [Late, LateLayer])
def test_nothing_is_made_in_call(cls, x):
    with pytest.raises(ValueError, match="in `__init__` or in `build`"):
        cls()(x)


def test_nor_behind_build():
    layer = keras.layers.Dense(2)
    layer.build((None, 2))
    with pytest.raises(ValueError, match="is built"):
        layer.add_weight(shape=(2,), name="late")


def test_build_takes_variables_again():
    layer = Extended(3)
    layer.build((None, 2))
    assert [v.name for v in layer.weights] == ["kernel", "bias", "gain"] and layer(X).shape == (1, 3)


def test_output_shapes_of_several_inputs():
    class Sum(keras.layers.Layer):
        def call(self, a, b):
            return a + b

    attention = keras.layers.MultiHeadAttention(2, 3)
    assert attention.compute_output_shape((2, 3, 4), (2, 5, 4), (2, 5, 4)) == (2, 3, 4)
    assert attention.compute_output_shape(query_shape=(2, 3, 4), value_shape=(2, 5, 4)) == (2, 3, 4)
    assert Sum().compute_output_shape((None, 3), (1, 3)) == (None, 3)
    assert keras.layers.Dense(4).compute_output_shape(input_shape=(None, 3)) == (None, 4)
