"""Cells: one step of a recurrent network, `output, new_states = cell(inputs, states)`."""

from __future__ import annotations

import inspect
from typing import Any

from cnnexplain import _core

from .. import activations, tree
from ..random import SeedGenerator, dropout
from . import arguments
from .base import Layer, real_input


def zeros_of(x: Any, size: int | None = None) -> Any:
    """Zeros like x, also where the batch size is not known yet; with `size` a matrix (n, size) for x (n,
    k)."""
    nothing = _core.cast(_core.less(x, x), dtype=x.dtype.name)  # a product with 0 would keep NaN
    if size is None:
        return nothing
    row = _core.tensor([[0.0] * size])
    return _core.add(_core.reduce_sum(nothing, axis=[1], keepdims=True), _core.cast(row, dtype=x.dtype.name))


def picked(cls: Any, values: dict) -> dict:
    """The values that the constructor of `cls` has parameters for."""
    names = inspect.signature(cls.__init__).parameters.keys() - {"self", "kwargs"}
    return {name: values[name] for name in names if name in values}


class GateCell(Layer):
    """What the cells share: kernels for all gates side by side, and dropout whose masks last for a sequence.

    The states are a list of matrices (n, units), in a call one matrix may stand for a list of one.
    """

    gates = 1
    kernel: Any
    recurrent_kernel: Any
    activation: Any

    def _configure(self, given: dict) -> None:
        """Takes the constructor's arguments, a dict that may hold others too."""
        self.units = arguments.positive(given["units"], "units")
        self.activation = activations.get(given["activation"])
        if "recurrent_activation" in given:
            self.recurrent_activation = activations.get(given["recurrent_activation"])
        self.use_bias = bool(given["use_bias"])
        for role in ("kernel", "recurrent", "bias"):
            self._describe_weight(
                role, given[f"{role}_initializer"], given[f"{role}_regularizer"], given[f"{role}_constraint"]
            )
        self.dropout = min(1.0, max(0.0, given["dropout"]))
        self.recurrent_dropout = min(1.0, max(0.0, given["recurrent_dropout"]))
        self.seed = given["seed"]
        self.seed_generator = SeedGenerator(self.seed)
        self.bias: Any = None
        self._masks: dict[str, list] = {}

    @property
    def state_size(self) -> Any:
        """Size of the state; a list of sizes where there are several."""
        return self.units

    @property
    def output_size(self) -> int:
        """Size of the output."""
        return self.units

    @property
    def _bias_shape(self) -> tuple:
        return (self.gates * self.units,)

    @property
    def is_standard(self) -> bool:
        """Does the step have the activations that the engine runs a whole sequence with?"""
        return self.activation is activations.tanh

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        if size is None:
            raise ValueError(
                f"The last axis of the inputs of layer '{self.name}' must be known. Received: "
                f"input_shape={tuple(input_shape)}"
            )
        self.kernel = self._add_described("kernel", (size, self.gates * self.units))
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.units, self.gates * self.units),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        if self.use_bias:
            self.bias = self._make_bias()

    def _make_bias(self) -> Any:
        return self._add_described("bias", self._bias_shape)

    def get_initial_state(self, batch_size: int | None = None) -> list:
        """Zeros for the states of `batch_size` examples."""
        import numpy as np

        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [_core.tensor(np.zeros((batch_size, size), self.dtype)) for size in sizes]

    # Dropout

    @property
    def _split(self) -> bool:
        """Does each gate see the input through a mask of its own?"""
        return self.gates > 1 and self.recurrent_dropout > 0

    def reset_dropout_mask(self) -> None:
        """The next step draws new masks for the inputs."""
        self.__dict__["_masks"] = {k: v for k, v in self._masks.items() if k != "inputs"}

    def reset_recurrent_dropout_mask(self) -> None:
        """The next step draws new masks for the state."""
        self.__dict__["_masks"] = {k: v for k, v in self._masks.items() if k != "state"}

    def _dropped(self, x: Any, which: str, rate: float, training: Any) -> list:
        """x as each gate sees it."""
        count = self.gates if self._split else 1
        if not training or not 0 < rate < 1:
            return [x] * count
        if which not in self._masks:
            ones = zeros_of(x) + 1.0
            self._masks[which] = [dropout(ones, rate, seed=self.seed_generator) for _ in range(count)]
        return [x * mask for mask in self._masks[which]]

    def _products(self, x: list, kernel: Any, bias: Any = None, blocks: Any = None) -> list:
        """What each gate gets: x times its block of the kernel, plus its block of the bias."""
        units, blocks = self.units, range(self.gates) if blocks is None else blocks
        if len(x) == 1:
            whole = _core.dense(x[0], kernel, bias)
            return [whole[:, k * units : (k + 1) * units] for k in blocks]
        return [
            _core.dense(
                x[k],
                kernel[:, k * units : (k + 1) * units],
                None if bias is None else bias[k * units : (k + 1) * units],
            )
            for k in blocks
        ]

    def _seen(self, inputs: Any, states: Any, training: Any) -> tuple[list, list]:
        state = states[0] if tree.is_nested(states) else states
        return (
            self._dropped(real_input(inputs, self.dtype), "inputs", self.dropout, training),
            self._dropped(state, "state", self.recurrent_dropout, training),
        )


class LSTMCell(GateCell):
    """One step of an LSTM.

    i, f, o = sigmoid(x W + h U + b), g = tanh(x W + h U + b), each with its block; c' = f c + i g,
    h' = o tanh(c'). The blocks stand in the order i, f, g, o.

    Args:
        units: Size of the output and of the states h and c.
        activation, recurrent_activation: Of g and c, and of the gates.
        use_bias: Whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        unit_forget_bias: Let the bias of f begin at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections.
        dropout, recurrent_dropout: Shares of the inputs and of the state that training sets to 0.
        seed: For repeatable dropout.

    Called with inputs (n, k) and states [h, c]; returns h' and [h', c'].

    Hochreiter & Schmidhuber, Long short-term memory, 1997.

    >>> from cnnexplain import keras
    >>> zeros = keras.ops.zeros((1, 3))
    >>> output, states = keras.layers.LSTMCell(3)(keras.ops.ones((1, 2)), [zeros, zeros])
    >>> tuple(output.shape), len(states)
    ((1, 3), 2)
    """

    gates = 4

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        kwargs.pop("implementation", None)
        super().__init__(**kwargs)
        self._configure(given)
        self.unit_forget_bias = bool(unit_forget_bias)

    @property
    def state_size(self) -> list[int]:
        """Sizes of h and c."""
        return [self.units, self.units]

    @property
    def is_standard(self) -> bool:
        return super().is_standard and self.recurrent_activation is activations.sigmoid

    def _make_bias(self) -> Any:
        bias = super()._make_bias()
        if self.unit_forget_bias:
            value = bias.numpy()
            value[self.units : 2 * self.units] = 1.0
            bias.assign(value)
        return bias

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        seen, before = self._seen(inputs, states, training)
        i, f, g, o = (
            _core.add(a, b)
            for a, b in zip(
                self._products(seen, self.kernel, self.bias),
                self._products(before, self.recurrent_kernel),
                strict=True,
            )
        )
        gate = self.recurrent_activation
        carry = gate(f) * states[1] + gate(i) * self.activation(g)
        output = gate(o) * self.activation(carry)
        return output, [output, carry]


class GRUCell(GateCell):
    """One step of a gated recurrent unit.

    z, r = sigmoid(x W + h U + b), g = tanh(x W + r (h U + b') + b), or with `reset_after=False`
    g = tanh(x W + (r h) U + b), each with its block; h' = z h + (1 - z) g. Their order is z, r, g.

    Args:
        units: Size of the output, which is also the state.
        activation, recurrent_activation: Of g, and of the gates.
        use_bias: Whether biases are added, (2, 3 units); with `reset_after=False` one, (3 units,).
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections.
        dropout, recurrent_dropout: Shares of the inputs and of the state that training sets to 0.
        reset_after: Apply r after the product with U, not before it.
        seed: For repeatable dropout.

    Called with inputs (n, k) and the state h or [h]; returns h' and the state in the same form.

    Cho et al., Learning phrase representations using RNN encoder-decoder, 2014.

    >>> from cnnexplain import keras
    >>> output, state = keras.layers.GRUCell(3)(keras.ops.ones((1, 2)), keras.ops.zeros((1, 3)))
    >>> tuple(output.shape)
    (1, 3)
    """

    gates = 3

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        kwargs.pop("implementation", None)
        super().__init__(**kwargs)
        self._configure(given)
        self.reset_after = bool(reset_after)

    @property
    def is_standard(self) -> bool:
        return super().is_standard and self.recurrent_activation is activations.sigmoid

    @property
    def _bias_shape(self) -> tuple:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        seen, before = self._seen(inputs, states, training)
        bias, inner_bias = self.bias, None
        if bias is not None and self.reset_after:
            bias, inner_bias = bias[0], bias[1]
        x = self._products(seen, self.kernel, bias)
        gate, kernel = self.recurrent_activation, self.recurrent_kernel
        inner = self._products(before, kernel, inner_bias, range(3) if self.reset_after else range(2))
        z, r = gate(_core.add(x[0], inner[0])), gate(_core.add(x[1], inner[1]))
        if self.reset_after:
            pulled = r * inner[2]
        else:
            pulled = _core.matmul(r * before[-1], kernel[:, 2 * self.units :])
        state = states[0] if tree.is_nested(states) else states
        output = z * state + (1.0 - z) * self.activation(_core.add(x[2], pulled))
        return output, [output] if tree.is_nested(states) else output


class SimpleRNNCell(GateCell):
    """One step of a fully connected recurrent layer: h' = activation(x W + h U + b).

    Args:
        units: Size of the output, which is also the state.
        activation: Name or callable.
        use_bias: Whether a bias is added.
        kernel_initializer, recurrent_initializer, bias_initializer: Initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections.
        dropout, recurrent_dropout: Shares of the inputs and of the state that training sets to 0.
        seed: For repeatable dropout.

    Called with inputs (n, k) and the state h or [h]; returns h' and the state in the same form.

    >>> from cnnexplain import keras
    >>> output, state = keras.layers.SimpleRNNCell(3)(keras.ops.ones((1, 2)), [keras.ops.zeros((1, 3))])
    >>> tuple(output.shape)
    (1, 3)
    """

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(**kwargs)
        self._configure(given)

    def call(self, sequence: Any, states: Any, training: bool = False) -> Any:
        seen, before = self._seen(sequence, states, training)
        total = _core.dense(seen[0], self.kernel, self.bias)
        output = self.activation(_core.add(total, _core.matmul(before[0], self.recurrent_kernel)))
        return output, [output] if tree.is_nested(states) else output


def check_cell(cell: Any, what: str) -> None:
    """Raises ValueError where the object is no cell."""
    for need in ("call", "state_size"):
        if need not in dir(cell):
            raise ValueError(f"{what} must have `{need}`. Received: {cell} (of type {type(cell).__name__})")


class StackedRNNCells(Layer):
    """Cells one above the other, as one cell.

    Args:
        cells: A list of cells; each takes the output of the one before.

    Its states are a list with the states of each cell.

    >>> from cnnexplain import keras
    >>> stack = keras.layers.StackedRNNCells([keras.layers.LSTMCell(4), keras.layers.GRUCell(3)])
    >>> tuple(keras.layers.RNN(stack)(keras.ops.ones((2, 5, 1))).shape)
    (2, 3)
    """

    def __init__(self, cells: Any, **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell, "Each of `cells`")
        self.cells = list(cells)

    @property
    def state_size(self) -> list:
        """The `state_size` of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """Size of the last cell's output."""
        return output_size(self.cells[-1])

    @property
    def is_standard(self) -> bool:
        """A stack has no operation of its own in the engine."""
        return False

    def get_initial_state(self, batch_size: int | None = None) -> list:
        """The `get_initial_state` of each cell."""
        return [cell.get_initial_state(batch_size=batch_size) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def call(self, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        after = []
        for cell, state in zip(self.cells, states, strict=True):
            given = list(state) if tree.is_nested(state) else [state]
            inputs, new = call_cell(cell, inputs, given, training, **kwargs)
            after.append(new if tree.is_nested(state) else new[0])
        return inputs, after if len(after) > 1 else after[0]

    def reset_dropout_mask(self) -> None:
        """The next step draws new masks for the inputs."""
        for cell in self.cells:
            if hasattr(cell, "reset_dropout_mask"):
                cell.reset_dropout_mask()

    def reset_recurrent_dropout_mask(self) -> None:
        """The next step draws new masks for the states."""
        for cell in self.cells:
            if hasattr(cell, "reset_recurrent_dropout_mask"):
                cell.reset_recurrent_dropout_mask()

    @classmethod
    def from_config(cls, config: dict) -> Any:
        from ..saving.serialization import deserialize_keras_object

        config = dict(config)
        return cls([deserialize_keras_object(cell) for cell in config.pop("cells")], **config)


def output_size(cell: Any) -> int:
    """Size of a cell's output: its `output_size`, else that of its first state."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
    return size if isinstance(size, int) else size[0]


def call_cell(cell: Any, inputs: Any, states: list, training: Any, **kwargs: Any) -> tuple[Any, list]:
    """One step: the output and the list of new states."""
    function = cell if callable(cell) else cell.call
    if "training" in inspect.signature(cell.call).parameters:
        kwargs["training"] = training
    output, new = function(inputs, states, **kwargs)
    return output, list(new) if tree.is_nested(new) else [new]
