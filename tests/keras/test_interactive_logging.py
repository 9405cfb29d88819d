"""`disable_interactive_logging`: what fit prints goes to Python's logging."""

import logging

import numpy as np
import pytest

from cnnexplain import keras


@pytest.fixture
def quiet():
    keras.utils.disable_interactive_logging()
    yield
    keras.utils.enable_interactive_logging()


def model():
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


X, Y = np.zeros((4, 2)), np.zeros((4, 1))


@pytest.mark.parametrize("verbose", [1, 2])
def test_messages_are_logged(quiet, capsys, caplog, verbose):
    assert not keras.utils.is_interactive_logging_enabled()
    stop = keras.callbacks.EarlyStopping("loss", patience=0, verbose=1)
    with caplog.at_level(logging.INFO, logger="cnnexplain"):
        trained = model()
        trained.fit(X, Y, epochs=3, verbose=verbose, callbacks=[stop])
        trained.evaluate(X, Y, verbose=verbose)
        trained.predict(X, verbose=verbose)
    assert capsys.readouterr().out == ""
    text = [record.getMessage() for record in caplog.records]
    assert text[0] == "Epoch 1/3" and "Epoch 2: early stopping" in text
    assert sum("1/1" in line and "loss: 0.0000" in line for line in text) == 3
    assert not any("\x1b" in line or "\r" in line for line in text)


def test_auto_is_one_line_for_each_epoch(quiet, caplog):
    with caplog.at_level(logging.INFO, logger="cnnexplain"):
        model().fit(X, Y, epochs=2)
    lines = [line.getMessage().split(" - ")[0] for line in caplog.records]
    assert lines == ["Epoch 1/2", "1/1", "Epoch 2/2", "1/1"]


def test_messages_are_printed_by_default(capsys, caplog):
    assert keras.config.is_interactive_logging_enabled()
    with caplog.at_level(logging.INFO, logger="cnnexplain"):
        model().fit(X, Y, epochs=2)
    out = capsys.readouterr().out
    assert out.startswith("Epoch 1/2\n") and "loss: 0.0000" in out and not caplog.records
