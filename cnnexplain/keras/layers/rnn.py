"""`RNN`: any cell walked along the time axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .. import masking, tree
from ..nodes import Symbol
from ..variable import Variable
from .base import Layer, real_input
from .description import plain_data, policy
from .merging import concat
from .recurrent_cells import (
    StackedRNNCells,
    call_cell,
    check_cell,
    output_size,
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
                f"Received: state_size={size}"
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
                f"inputs {tuple(x.shape)}. Received: mask of shape {shape}"
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
            return self.states
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
                f"batch size and units. Received: {len(given)} of shape {found}"
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
                f"give it to `Input`. Received: inputs of shape {tuple(first.shape)}"
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
        settings["cell"] = plain_data(self.cell)
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
