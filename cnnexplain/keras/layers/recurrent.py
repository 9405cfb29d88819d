"""Recurrent layers: a cell walked along the time axis. LSTM, GRU and SimpleRNN run a sequence as one
operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.tensor import Variable

from .. import masking, tracing, tree
from ..random import dropout as drop
from ..tracing import Symbol
from .base import Layer, real_input
from .description import _plain, policy
from .input_spec import InputSpec
from .merging import concat
from .recurrent_cells import (
    GateCell,
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    call_cell,
    check_cell,
    output_size,
    picked,
    zeros_of,
)


def stack_steps(outputs: list) -> Any:
    """(n, t, ...) from t tensors (n, ...)."""
    expanded = [
        _core.reshape(x, shape=[_known(x.shape[0]), 1, *(_known(s) for s in x.shape[1:])]) for x in outputs
    ]
    return concat(expanded, 1)


def _known(size: int | None) -> int:
    return -1 if size is None else int(size)


class RNN(Layer):
    """Walks a cell along the time axis.

    Args:
        cell: A cell, or a list of cells for a `StackedRNNCells`: an object with `state_size` and
            `call(inputs, states)` that returns the output and the new states.
        return_sequences: Return the outputs of every step (n, t, ...), not the last one (n, ...).
        return_state: Return the last states too.
        go_backwards: Walk from the last step to the first; the outputs stand in the order of the walk.
        stateful: Begin each batch with the states that the batch before left; `reset_state` sets them to 0.
        unroll: Accepted: there is nothing to unroll.
        zero_output_for_mask: Where the mask is False the output is 0; otherwise the one before is repeated.

    Call:
        sequences: (n, t, ...).
        initial_state: The states to begin with; None: zeros.
        mask: (n, t), True where a step counts; at others states stay as they are.
        training: Passed on to the cell.

    Raises:
        ValueError: No cell, inputs of another rank, or initial states of another shape.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.RNN(keras.layers.LSTMCell(3), return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 5, 4))).shape)
    (2, 5, 3)
    """

    zero_output_for_mask: bool

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(cell, "`cell`")
        size = cell.state_size
        if not isinstance(size, (list, tuple, int)):
            raise ValueError(
                "`state_size` of a cell must be an integer, or a list of integers, one for each state. "
                "Received: "
                f"state_size={size}"
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.states: Any = None
        self.single_state = isinstance(size, int)

    @property
    def state_size(self) -> list:
        """Sizes of the states."""
        size = self.cell.state_size
        return [size] if isinstance(size, int) else list(size)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if sequences_shape and isinstance(sequences_shape[0], (list, tuple)):
            sequences_shape = sequences_shape[0]
        if len(sequences_shape) < 2:
            self._refuse_rank(sequences_shape)
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self.states is None:
            batch = sequences_shape[0]
            if batch is None:
                raise ValueError(
                    f"Layer '{self.name}' has `stateful=True`, which needs a fixed batch size: give "
                    "`batch_size` or "
                    f"`batch_shape` to `Input`. Received: input_shape={tuple(sequences_shape)}"
                )
            self.states = tree.map_structure(
                lambda value: Variable(value, trainable=False, name="rnn_state"),
                self.get_initial_state(batch),
            )

    def _own_variables(self) -> list:
        states = {id(state) for state in tree.flatten(self.states)}
        return [variable for variable in super()._own_variables() if id(variable) not in states]

    def get_initial_state(self, batch_size: int) -> list:
        """Zeros for the states of `batch_size` examples, or what the cell's `get_initial_state` gives."""
        function = getattr(self.cell, "get_initial_state", None)
        if function is not None:
            found = function(batch_size=batch_size)
            return list(found) if tree.is_nested(found) else [found]
        return [_core.tensor(np.zeros((batch_size, size), self.dtype)) for size in self.state_size]

    def reset_state(self) -> None:
        """Sets the states that `stateful` keeps to zero."""
        for state in tree.flatten(self.states) if self.states is not None else []:
            state.assign(np.zeros(tuple(state.shape), state.dtype.name))

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def compute_mask(self, _: Any, mask: Any = None) -> Any:
        """The mask of the sequence for outputs of every step, none for the last output and the states."""
        mask = tree.flatten(mask)[0]
        kept = mask if self.return_sequences else None
        return [kept, *[None] * len(self.state_size)] if self.return_state else kept

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, steps = sequences_shape[:2]
        size = output_size(self.cell)
        shape = (batch, steps, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return shape
        return shape, *(
            (batch, one) if isinstance(one, int) else [(batch, part) for part in one]
            for one in self.state_size
        )

    # The call

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        first = tree.flatten(sequences)[0]
        self._check_rank(first)
        states = self._begin(first, initial_state)
        if tree.is_nested(mask):
            mask = tree.flatten(mask)[0]
        if mask is not None:
            mask = self._check_mask(masking.as_bool(mask), first)
        outputs, last, states = self._walk(sequences, states, mask, training)
        if self.stateful:
            for variable, value in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                variable.assign(value)
        output = outputs if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def _refuse_rank(self, shape: Any) -> None:
        raise ValueError(
            f'Input 0 of layer "{self.name}" is incompatible with the layer: expected a sequence '
            f"(batch, time, features), ndim=3, found ndim={len(shape)}. Full shape received: {tuple(shape)}."
            + (" One sequence is `x[None]`." if len(shape) == 2 else "")
        )

    def _check_rank(self, x: Any) -> None:
        if len(x.shape) < 3:
            self._refuse_rank(x.shape)

    def _check_mask(self, mask: Any, x: Any) -> Any:
        shape = tuple(mask.shape)
        if len(shape) == 3 and shape[-1] == 1:
            mask = _core.reshape(mask, shape=[_known(shape[0]), _known(shape[1])])
        elif len(shape) != 2 or any(
            None not in (a, b) and a != b for a, b in zip(shape, tuple(x.shape)[:2], strict=True)
        ):
            raise ValueError(
                f"`mask` of layer '{self.name}' must have shape (batch, time), the first two axes of the "
                "inputs "
                f"{tuple(x.shape)}. Received: mask of shape {shape}"
            )
        return mask

    def _begin(self, x: Any, initial_state: Any) -> list | None:
        """The states to begin with; None: zeros."""
        batch = x.shape[0]
        if initial_state is None and self.stateful:
            held = tuple(tree.flatten(self.states)[0].shape)[0]
            if batch is not None and batch != held:
                raise ValueError(
                    f"Layer '{self.name}' is stateful: every batch must have {held} examples. Received: "
                    f"{batch}"
                )
            return tree.map_structure(tracing.latest, self.states)
        if initial_state is None:
            return None
        states = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        wanted = self.state_size
        given, flat = tree.flatten(states), tree.flatten(wanted)
        good = len(given) == len(flat) and len(states) == len(wanted)
        for state, size in zip(given, flat, strict=False):
            shape = tuple(state.shape) if hasattr(state, "shape") else ()
            good = good and (not isinstance(size, int) or shape in ((batch, size), (None, size)) or
                             (batch is None and len(shape) == 2 and shape[1] == size))  # fmt: skip
        if not good:
            each = ", ".join(f"({batch}, {size})" for size in flat)
            found = ", ".join(str(tuple(s.shape) if hasattr(s, "shape") else s) for s in given)
            raise ValueError(
                f"`initial_state` of layer '{self.name}' must be {len(flat)} tensor(s) of shape {each}: "
                "batch size "
                f"and units. Received: {len(given)} of shape {found}"
            )
        return tree.map_structure(lambda state: real_input(state, self.dtype), states)

    def _zeros(self, x: Any) -> list:
        if x.shape[0] is not None and not isinstance(x, Symbol):
            return self.get_initial_state(x.shape[0])
        column = _core.reshape(x[:, 0], shape=[_known(x.shape[0]), int(np.prod(tuple(x.shape)[2:]))])
        function = getattr(self.cell, "get_initial_state", None)
        if function is not None and x.shape[0] is not None:
            return self.get_initial_state(x.shape[0])
        return tree.map_structure(lambda size: zeros_of(column, size), self.state_size)

    def _walk(self, sequences: Any, states: list | None, mask: Any, training: Any) -> tuple[Any, Any, list]:
        """(outputs of every step or None, the last output, the last states), step by step."""
        first = tree.flatten(sequences)[0]
        steps = first.shape[1]
        if steps is None:
            raise ValueError(
                f"Layer '{self.name}' walks its cell step by step, which needs a known number of steps: "
                "give it to "
                f"`Input`. Received: inputs of shape {tuple(first.shape)}"
            )
        if states is None:
            states = self._zeros(first)
        outputs: list = []
        self._reset_dropout()
        try:
            for step in range(steps):
                at = steps - 1 - step if self.go_backwards else step
                output, new = call_cell(
                    self.cell, tree.map_structure(lambda x, at=at: x[:, at], sequences), states, training
                )
                if mask is not None:
                    repeat = outputs and not self.zero_output_for_mask
                    output = masking.choose(mask[:, at], output, outputs[-1] if repeat else zeros_of(output))
                    new = tree.pack(
                        states,
                        [
                            masking.choose(mask[:, at], a, b)
                            for a, b in zip(tree.flatten(new), tree.flatten(states), strict=True)
                        ],
                    )
                outputs.append(output)
                states = new
        finally:
            self._reset_dropout()
        return stack_steps(outputs) if self.return_sequences else None, outputs[-1], states

    def _reset_dropout(self) -> None:
        for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
            if hasattr(self.cell, name):
                getattr(self.cell, name)()

    # Description

    def get_config(self) -> dict:
        settings = self._base_config()
        settings["cell"] = _plain(self.cell)
        return settings

    def _base_config(self) -> dict:
        names = ("name", "trainable", "dtype", "return_sequences", "return_state", "go_backwards", "stateful")
        settings = {name: getattr(self, name) for name in (*names, "unroll", "zero_output_for_mask")}
        return {**settings, "dtype": policy(self.dtype)}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        from ..saving.serialization import deserialize_keras_object

        config = dict(config)
        if isinstance(config.get("cell"), dict):
            config["cell"] = deserialize_keras_object(config["cell"])
        return super().from_config(config)


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
        settings["activity_regularizer"] = _plain(self.activity_regularizer)
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

    Input (n, t, k); kernel (k, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), or (3
    units,) with `reset_after=False`, gates in the order update, reset, candidate; output (n, units), or (n,
    t, units) with `return_sequences`.

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
