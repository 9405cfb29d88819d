"""LSTM, GRU and SimpleRNN: the whole walk along the time axis is one operation of the engine."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from ..random import dropout as drop
from .base import real_input
from .description import plain_data
from .input_spec import InputSpec
from .recurrent_cells import (
    GateCell,
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    picked,
)
from .rnn import RNN


class GateLayer(RNN):
    """A layer whose cell the engine runs along a whole sequence."""

    cell_class: type[GateCell]
    cell_name: str

    def _wrap(self, given: dict) -> None:
        """Takes the constructor's arguments, a dict that may hold others too."""
        kwargs = dict(given["kwargs"])
        kwargs.pop("implementation", None)
        if given.get("use_cudnn", "auto") not in ("auto", True, False):
            raise ValueError(
                f"`use_cudnn` must be 'auto', True or False. Received: use_cudnn={given['use_cudnn']!r}"
            )
        settings = {key: kwargs[key] for key in ("dtype", "trainable") if key in kwargs}
        cell = self.cell_class(**picked(self.cell_class, given), **settings, name=self.cell_name)
        RNN.__init__(
            self,
            cell,
            **{
                key: given[key]
                for key in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
            },
            activity_regularizer=given["activity_regularizer"],
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=3)

    def __getattr__(self, name: str) -> Any:
        # units, activation, dropout, kernel_initializer ...: the cell holds them.
        cell = self.__dict__.get("cell")
        if cell is None or name.startswith("_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(cell, name)

    def _sequence(self, x: Any, states: list, mask: Any) -> tuple:
        """The operation: outputs of every step, then the last states."""
        raise NotImplementedError

    def _walk(self, sequences: Any, states: list | None, mask: Any, training: Any) -> tuple[Any, Any, list]:
        cell: Any = self.cell
        if not cell.is_standard or (training and cell.recurrent_dropout > 0):
            return super()._walk(sequences, states, mask, training)
        x = real_input(sequences, self.dtype)
        if training and 0 < cell.dropout < 1:
            shape = [None, 1, None]
            x = drop(x, cell.dropout, noise_shape=shape, seed=cell.seed_generator)
        found = states if states is not None else [None] * len(self.state_size)
        outputs, *last = self._sequence(x, found, mask)
        output = last[0]
        if mask is not None and (self.zero_output_for_mask or states is not None):
            output = outputs[:, -1]
        return outputs, output, last

    def _flags(self) -> dict:
        return {"go_backwards": self.go_backwards, "zero_output_for_mask": self.zero_output_for_mask}

    def get_config(self) -> dict:
        settings = self._base_config()
        own = self.cell.get_config()
        settings.update({key: value for key, value in own.items() if key not in settings})
        settings["activity_regularizer"] = plain_data(self.activity_regularizer)
        return settings


class LSTM(GateLayer):
    """Long short-term memory; see `LSTMCell` for the step.

    Args:
        units: Size of the output and of the states h and c.
        activation, recurrent_activation: Of the candidate and the cell state, and of the gates.
        use_bias: Whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        unit_forget_bias: Let the bias of the forget gate begin at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections.
        dropout, recurrent_dropout: Shares of the inputs and of the state that training sets to 0.
        seed: For repeatable dropout.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`.
        use_cudnn: Accepted.

    Input (n, t, k); kernel (k, 4 units), recurrent_kernel (units, 4 units), bias (4 units,), gates in the
    order input, forget, candidate, output; output (n, units), or (n, t, units) with `return_sequences`.

    Raises:
        ValueError: `units` is no positive integer, inputs of another rank, or states of another shape.

    Hochreiter & Schmidhuber, Long short-term memory, 1997.

    >>> from cnnexplain import keras
    >>> output, h, c = keras.layers.LSTM(3, return_state=True)(keras.ops.ones((2, 5, 4)))
    >>> tuple(output.shape), tuple(c.shape)
    ((2, 3), (2, 3))
    """

    cell_class, cell_name = LSTMCell, "lstm_cell"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        self._wrap(dict(locals()))
        self.use_cudnn = use_cudnn

    def _sequence(self, x: Any, states: list, mask: Any) -> tuple:
        cell = self.cell
        weights = cell.kernel, cell.recurrent_kernel, cell.bias
        h, c = states
        return _core.lstm(x, *weights, h, c, mask, **self._flags())


class GRU(GateLayer):
    """Gated recurrent unit; see `GRUCell` for the step.

    Args:
        units: Size of the output, which is also the state.
        activation, recurrent_activation: Of the candidate, and of the gates.
        use_bias: Whether biases are added.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections.
        dropout, recurrent_dropout: Shares of the inputs and of the state that training sets to 0.
        seed: For repeatable dropout.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`.
        reset_after: Apply the reset gate after the product with the recurrent kernel, not before it.
        use_cudnn: Accepted.

    Input (n, t, k); kernel (k, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), one of
    (3 units,) with `reset_after=False`, gates in the order update, reset, candidate; output (n, units),
    with `return_sequences` (n, t, units).

    Raises:
        ValueError: `units` is no positive integer, inputs of another rank, or a state of another shape.

    Cho et al., Learning phrase representations using RNN encoder-decoder, 2014.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.GRU(3, return_sequences=True)(keras.ops.ones((2, 5, 4))).shape)
    (2, 5, 3)
    """

    cell_class, cell_name = GRUCell, "gru_cell"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        self._wrap(dict(locals()))
        self.use_cudnn = use_cudnn

    def _sequence(self, x: Any, states: list, mask: Any) -> tuple:
        cell: Any = self.cell
        weights = cell.kernel, cell.recurrent_kernel, cell.bias
        return _core.gru(x, *weights, states[0], mask, reset_after=cell.reset_after, **self._flags())


class SimpleRNN(GateLayer):
    """A fully connected recurrent layer: h' = activation(x W + h U + b).

    Args:
        units: Size of the output, which is also the state.
        activation: Name or callable.
        use_bias: Whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections.
        dropout, recurrent_dropout: Shares of the inputs and of the state that training sets to 0.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`.
        seed: For repeatable dropout.

    Input (n, t, k); kernel (k, units), recurrent_kernel (units, units), bias (units,); output (n, units), or
    (n, t, units) with `return_sequences`.

    Raises:
        ValueError: `units` is no positive integer, inputs of another rank, or a state of another shape.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.SimpleRNN(3)(keras.ops.ones((2, 5, 4))).shape)
    (2, 3)
    """

    cell_class, cell_name = SimpleRNNCell, "simple_rnn_cell"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        self._wrap(dict(locals()))

    def _sequence(self, x: Any, states: list, mask: Any) -> tuple:
        cell = self.cell
        weights = cell.kernel, cell.recurrent_kernel, cell.bias
        return _core.simple_rnn(x, *weights, states[0], mask, **self._flags())

    def get_config(self) -> dict:
        settings = super().get_config()
        del settings["seed"]
        return settings
