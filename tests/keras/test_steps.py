"""`steps_per_epoch` that is not the number of batches: how many steps each epoch has, as counted on Keras."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

BATCHES = [np.full((4, 1), 0.0), np.full((4, 1), 1.0), np.full((1, 1), 2.0)]


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        return BATCHES[index], np.zeros_like(BATCHES[index])


def dataset():
    x = np.concatenate(BATCHES).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, np.zeros_like(x))).batch(4)


def epochs_seen(data, **fit):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    logged = []

    class Note(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            logged.append(0)

        def on_train_batch_end(self, batch, logs=None):
            logged[-1] += 1

    model.fit(data, verbose=0, shuffle=False, callbacks=[Note()], **fit)
    return logged


@pytest.mark.parametrize("make", [Sequence, dataset])
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_an_epoch_ends_with_the_pass(make):
    assert epochs_seen(make(), steps_per_epoch=2, epochs=4) == [2, 1, 2, 1]
    assert epochs_seen(make(), steps_per_epoch=5, epochs=3) == [3, 3, 3]
    assert epochs_seen(make(), steps_per_epoch=3, epochs=2) == [3, 3]
    assert epochs_seen(make(), epochs=2) == [3, 3]


def test_the_end_of_the_data_is_told():
    with pytest.warns(UserWarning, match="ran out of data"):
        assert epochs_seen(dataset(), steps_per_epoch=2, epochs=2) == [2, 1]


def test_repeated_data_go_on():
    assert epochs_seen(dataset().repeat(), steps_per_epoch=2, epochs=4) == [2, 2, 2, 2]
