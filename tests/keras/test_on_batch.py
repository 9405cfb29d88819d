"""`train_on_batch` and `test_on_batch`: which metrics begin anew and are told, and the search for them."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx

keras = cx.keras
X = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
Y = np.arange(8) % 3


class Held(keras.layers.Layer):
    """Counts the examples that it has seen eagerly, by a metric of its own."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.of_layer = keras.metrics.Mean(name="of_layer")

    def call(self, x):
        return x


def network(*more):
    model = keras.Sequential([keras.Input((5,)), *more, keras.layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("call", ["train_on_batch", "test_on_batch"])
def test_every_call_begins_anew_and_names_its_values(call):
    model = network(Held())
    results = [getattr(model, call)(X[:n], Y[:n], return_dict=True) for n in (8, 3, 8)]
    assert results[0] == results[2] and list(results[0]) == ["accuracy", "loss", "of_layer"]
    values = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert results[0] == pytest.approx(values, rel=1e-6)
    as_list = getattr(model, call)(X, Y)
    assert as_list == [results[0][name] for name in model.metrics_names]


def test_a_metric_that_comes_later_is_reported():
    held = Held()
    model = network(held)
    first = model.train_on_batch(X, Y, return_dict=True)
    held.of_layer.update_state([4.0, 6.0])
    held.another = keras.metrics.Sum(name="another")
    held.another.update_state([1.0])
    second = model.train_on_batch(X, Y, return_dict=True)
    assert set(second) == {*first, "another"}
    assert second["another"] == second["of_layer"] == 0  # both began anew


def test_the_models_own_list_of_metrics_holds():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Dense(3)
            self.tracker = keras.metrics.Mean(name="tracker")

        def call(self, x):
            return self.head(x)

        def train_step(self, data):
            x, y = data
            with cx.GradientTape() as tape:
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, self(x))
            self.optimizer.apply_gradients([(tape.gradient(loss, self.head.kernel), self.head.kernel)])
            self.tracker.update_state(loss)
            return {"tracker": self.tracker.result()}

        @property
        def metrics(self):
            return [self.tracker]

    model = Own()
    model.compile(keras.optimizers.SGD(0.5))
    losses = [model.train_on_batch(X, Y) for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]  # each call's own, not a mean over calls


def test_the_layers_are_searched_once_for_each_step(monkeypatch):
    model = network(Held())
    model.train_on_batch(X, Y)
    searches = []
    search = keras.layers.Layer._inside
    monkeypatch.setattr(keras.layers.Layer, "_inside", lambda self: searches.append(self) or search(self))
    model.train_on_batch(X, Y)
    assert searches == [model]
