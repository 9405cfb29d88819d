"""Models and images that the tests of explanations share."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx


@pytest.fixture
def x():
    return small.images()


@pytest.fixture
def model():
    return small.sequential(cx.keras)


@pytest.fixture
def unchanged():
    """Checks that a model is as it was: weights, flags, and what it computes."""

    class Checker:
        def __init__(self, model):
            self.model = model
            self.before = self.state()

        def state(self):
            flags = [(layer.name, layer.trainable) for layer in self.model.layers]
            return flags, [w.copy() for w in self.model.get_weights()], len(self.model.layers)

        def check(self):
            flags, weights, count = self.state()
            assert (flags, count) == (self.before[0], self.before[2])
            for got, want in zip(weights, self.before[1], strict=True):
                np.testing.assert_array_equal(got, want)

    return Checker
