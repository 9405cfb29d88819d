"""How a graph of layers becomes one flat program.

`layer(symbol)` runs the layer's `call` once for its shapes. `trace` walks back from outputs over the graph of
`nodes`, calls every layer again on the program's symbols, and builds a `_core.Program` of plain operations in
which nested models are written out.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnexplain import _core, random
from cnnexplain import tensor as _tensor

from . import tree
from .nodes import Step, Symbol, describe, plan, run, walk


class _State(threading.local):
    call: Any = None  # stands for the outermost call that runs now
    depth = 0  # above 0 layers run their `call` on symbols; at 0 a call with a symbol adds a node
    training: bool | None = None  # the training flag of the surrounding call
    updates: list | None = None  # (variable, symbol) pairs of the trace being built
    losses: list | None = None  # what `add_loss` and activity regularizers leave
    trace: Trace | None = None
    path: tuple[str, ...] = ()  # names of the layers being called
    reads: dict | None = None  # id of a variable that the trace has assigned -> what it is read as
    environments: list | None = None  # (path, model, values by id) of the models being run on symbols
    first_value: Any = None  # gives new weights their values instead of initializers while a file is read


state = _State()
_configuration = [0]


def configuration() -> int:
    """A number that changes when a layer that was traced is edited: older traces are thrown away."""
    return _configuration[0]


def changed() -> None:
    """Makes every trace out of date."""
    _configuration[0] += 1


@contextlib.contextmanager
def building(trace: Trace | None = None, training: bool | None = None) -> Iterator[_State]:
    """Within it layers run on symbols, and variables are read when the program runs, not now."""
    saved = (state.depth, state.training, state.updates, state.losses, state.trace, state.path, state.reads)
    environments = state.environments
    state.reads = {} if trace is None else trace.reads
    before = _core.symbolic(state.reads)
    state.depth = saved[0] + 1
    state.training = training
    state.updates = [] if trace is None else trace.updates
    state.losses = [] if trace is None else trace.losses
    state.trace = trace
    state.path = ()
    state.environments = [] if trace is None else trace.environments
    try:
        yield state
    finally:
        _core.symbolic(before)
        state.environments = environments
        state.depth, state.training, state.updates, state.losses, state.trace, state.path, state.reads = saved


@contextlib.contextmanager
def running_eagerly() -> Iterator[None]:
    """Within it, also inside `building`, variables give their values at once."""
    before = _core.symbolic(False)
    saved = (state.depth, state.updates, state.reads)
    state.depth, state.updates, state.reads = 0, None, None
    try:
        yield
    finally:
        _core.symbolic(before)
        state.depth, state.updates, state.reads = saved


def find(symbol: Any, env: dict[int, Any], environments: list) -> Any:
    """The value of a symbol of the graph, also of one inside a nested model."""
    if symbol.id in env:
        return env[symbol.id]
    for _, _, inner in environments:
        if symbol.id in inner:
            return inner[symbol.id]
    raise KeyError(f"{describe(symbol)} is not part of this graph.")


def assign(variable: Any, value: Any) -> bool:
    """What `variable.assign` does first: inside a trace the assignment becomes one of the program's updates,
    and the variable is read as the new value from then on. False: there is no trace.
    """
    if state.updates is None or state.reads is None:
        return False
    state.reads.pop(variable.id, None)
    if not isinstance(value, Symbol):
        if not isinstance(value, (_core.Tensor, _core.Variable)):
            value = _core.tensor(value, dtype=variable.dtype.name)
        if tuple(value.shape) != tuple(variable.shape):
            raise ValueError(
                f"`value` must have the variable's shape {tuple(variable.shape)}. Received: "
                f"shape={tuple(value.shape)}"
            )
        value = _core.where(value, variable, True)
    now = _core.stop_gradient(value)
    if variable.trainable and variable.dtype.is_floating:
        # Gradients reach the variable from every reading, but not through what it was assigned.
        now = _core.add(now, _core.subtract(variable, _core.stop_gradient(variable)))
    state.reads[variable.id] = now
    state.updates[:] = [pair for pair in state.updates if pair[0] is not variable]
    state.updates.append((variable, value))
    return True


def next_seed(generator: Any) -> Any:
    """The (seed, counter) of a generator's next draw; inside a trace its counter becomes an update."""
    if state.reads is None:
        value = np.array(generator.state)
        stream = random.stream()
        if stream is not None:
            return _core.tensor(np.array(stream.draw(int(value[0])), np.int64))
        generator.state.assign(value + np.array([0, 1], np.int64))
        return _core.tensor(value)
    seed = _core.identity(generator.state)
    assign(generator.state, _core.add(seed, _core.tensor(np.array([0, 1], np.int64))))
    return seed


def _draw(source: Any) -> Any:
    """The next draw of tf.random inside a trace."""
    return None if state.reads is None else next_seed(source())


random.traced = _draw


class Trace:
    """A graph of layers as one flat program.

    Attributes:
        inputs: The program's input symbols.
        outputs: The program's symbols of the requested outputs, flat.
        structure: The outputs in the structure in which they were asked for.
        updates: (variable, symbol) pairs: moving averages and random counters of a training trace.
        losses: Symbols of penalties that layers added.
        program: The `_core.Program` from inputs to outputs, with the updates.
        derived: What others have made of the trace and want to find again, by keys of theirs.
        memo: What others worked out about this graph; it goes with it.

    `trace[tensor]` is the program's symbol for a tensor of the graph, also one inside a nested model (of its
    first call when there are several), and for a variable the variable that the program reads.
    """

    def __init__(self, inputs: list, structure: Any, training: bool):
        self.training = training
        self.inputs: list = []
        self.outputs: list = []
        self.structure = structure
        self.updates: list = []
        self.losses: list = []
        self.reads: dict[int, Any] = {}
        self.environments: list[tuple[tuple[str, ...], Any, dict[int, Any]]] = []
        self.calls: dict[tuple[str, ...], Any] = {}
        self.shadows: dict[int, tuple[Any, Any]] = {}
        self.keep = (list(inputs), structure)
        self.derived: dict[Any, Any] = {}
        self.memo: dict[Any, Any] = {}
        self._program: Any = None

    @property
    def program(self) -> Any:
        if self._program is None:
            self._program = _core.Program(self.inputs, self.outputs, self.updates)
        return self._program

    def __getitem__(self, tensor: Any) -> Any:
        key = tensor.id
        if key in self.shadows:
            return self.shadows[key][1]
        if not isinstance(tensor, Symbol):
            return tensor
        for _, _, env in self.environments:
            if key in env:
                return env[key]
        raise KeyError(f"{describe(tensor)} is not part of this graph.")

    def __contains__(self, tensor: Any) -> bool:
        return any(tensor.id in env for _, _, env in self.environments)

    def output_of(self, path: str) -> Any:
        """The program's symbol of what the layer at "name" or "outer/inner" returned, by its first call."""
        key = tuple(path.split("/"))
        if key not in self.calls:
            known = ", ".join(sorted("/".join(parts) for parts in self.calls))
            raise ValueError(f"No such layer was called: {path}. Called were: {known}")
        return self.calls[key]

    def refresh(self) -> None:
        """Copies today's weights into a trace of another dtype."""
        for variable, shadow in self.shadows.values():
            shadow.assign(np.asarray(variable).astype(shadow.dtype.name))

    def convert(self, dtype: str) -> None:
        """Rebuilds the graph in another float type, on variables of its own that `refresh` fills."""
        from .variable import Variable

        mapping: dict[int, Any] = {}
        walked, _ = walk(
            [s for _, _, env in self.environments for s in env.values() if isinstance(s, Symbol)]
            + self.outputs
            + [symbol for _, symbol in self.updates]
            + self.losses,
            {symbol.id for symbol in self.inputs},
        )
        steps = {key: step for key, step in walked.items() if isinstance(step, Step)}

        def real(tensor: Any) -> bool:
            return tensor.dtype.name in ("float32", "float64")

        def shadow(variable: Any) -> Any:
            if not real(variable) or variable.dtype.name == dtype:
                return variable
            if variable.id not in self.shadows:
                copy = Variable(
                    np.asarray(variable).astype(dtype), trainable=variable.trainable, name=variable.name
                )
                self.shadows[variable.id] = (variable, copy)
            return self.shadows[variable.id][1]

        def moved(value: Any) -> Any:
            if value is None:
                return None
            if isinstance(value, Symbol):
                return mapping[value.id]
            if hasattr(value, "assign"):
                return shadow(value)
            return _core.cast(value, dtype=dtype) if real(value) and value.dtype.name != dtype else value

        for symbol in self.inputs:
            mapping[symbol.id] = _core.symbol(symbol.shape, dtype if real(symbol) else symbol.dtype.name)
        before = _core.symbolic(False)
        try:
            constants: dict[int, Any] = {}
            for key in sorted(steps):
                maker = steps[key].maker
                for value in maker.inputs:
                    if value is not None and not isinstance(value, Symbol) and value.id not in constants:
                        constants[value.id] = moved(value)
        finally:
            _core.symbolic(before)
        before = _core.symbolic(True)
        try:
            for key in sorted(steps):
                maker = steps[key].maker
                values = [
                    None if v is None else mapping[v.id] if isinstance(v, Symbol) else constants[v.id]
                    for v in maker.inputs
                ]
                attributes = dict(maker.attributes)
                name = getattr(attributes.get("dtype"), "name", attributes.get("dtype"))
                if name in ("float32", "float64") and name != dtype:
                    attributes["dtype"] = dtype
                    made = getattr(_core, maker.op)(*values, **attributes)
                    made = made if isinstance(made, tuple) else (made,)
                else:
                    made = maker.replay(tuple(values))
                for port, symbol in steps[key].used.items():
                    mapping[symbol.id] = made[port]
        finally:
            _core.symbolic(before)

        self.updates = [(shadow(variable), symbol) for variable, symbol in self.updates]
        self._exchange(mapping)

    def _exchange(self, mapping: dict[int, Any]) -> None:
        """Puts other symbols, by id, in the place of the trace's own."""

        def swap(value: Any) -> Any:
            return mapping.get(value.id, value) if isinstance(value, Symbol) else value

        self.inputs = [swap(symbol) for symbol in self.inputs]
        self.outputs = [swap(symbol) for symbol in self.outputs]
        self.updates = [(variable, swap(symbol)) for variable, symbol in self.updates]
        self.losses = [swap(symbol) for symbol in self.losses]
        self.calls = {path: tree.map_structure(swap, value) for path, value in self.calls.items()}
        for _, _, env in self.environments:
            env.update({key: swap(value) for key, value in env.items()})


def trace(model_or_inputs: Any, outputs: Any = None, training: bool = False, dtype: Any = None) -> Trace:
    """Writes a graph of layers out as one flat program.

    Args:
        model_or_inputs: A model (its traces are cached), or the list of the graph's input symbols.
        outputs: Symbols of the graph in any structure, also from inside nested models. None: the model's
            outputs.
        training: The flag that layers see; an explicit `training=` at a call wins.
        dtype: "float32" or "float64"; None: as the layers were built.

    Returns:
        A Trace.

    Raises:
        ValueError: `outputs` cannot be reached from the inputs.
    """
    if dtype is not None:
        from . import config

        dtype = config.standardize_dtype(dtype)
    if hasattr(model_or_inputs, "_traces"):
        return _trace_of_model(model_or_inputs, outputs, bool(training), dtype)
    inputs = tree.flatten(model_or_inputs)
    return _build(inputs, outputs, bool(training), dtype, None)


def _build(inputs: list, outputs: Any, training: bool, dtype: str | None, steps: list | None) -> Trace:
    flat = tree.flatten(outputs)
    if steps is None:
        steps = plan(inputs, flat)
    made = Trace(inputs, outputs, training)
    env: dict[int, Any] = {}
    made.environments.append(((), None, env))
    with building(made, training):
        for symbol in inputs:
            fresh = _core.symbol(symbol.shape, symbol.dtype.name)
            made.inputs.append(fresh)
            env[symbol.id] = fresh
        run(steps, env)
        made.outputs = [made[symbol] for symbol in flat]
    _finish(made, dtype)
    return made


def _finish(made: Trace, dtype: str | None) -> None:
    if dtype is not None and any(
        tensor.dtype.name != dtype
        for tensor in made.inputs + made.outputs
        if tensor.dtype.name.startswith("float")
    ):
        made.convert(dtype)


_MOST_TRACES = 32


def _trace_of_model(model: Any, outputs: Any, training: bool, dtype: str | None) -> Trace:
    model._ready_to_trace()
    own = outputs is None or outputs is model.outputs
    key = (None if own else tuple(symbol.id for symbol in tree.flatten(outputs)), training, dtype)
    version = _configuration[0]
    entry = model._traces.get(key)
    if entry is None or entry[0] != version:
        made = model._make_trace(None if own else outputs, training, dtype)
        entry = (_configuration[0], made)
        if len(model._traces) >= _MOST_TRACES:
            model._traces.clear()
        model._traces[key] = entry
    if entry[1].shadows:
        entry[1].refresh()
    return entry[1]


_tensor.symbolic_assign = assign
