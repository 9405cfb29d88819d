"""The graph of layers, and how it becomes one flat program.

Two levels. `layer(symbol)` runs the layer's `call` once for its shapes and returns fresh symbols whose
`history` is (node, place): the Keras graph. Arithmetic on symbols makes the engine's own makers, and both
may mix. `trace` walks back from outputs over both, calls every layer again on the program's symbols, and
builds a `_core.Program` of plain operations in which nested models are written out. Ids of symbols, makers
and nodes share one counter, so ascending ids are a topological order and nothing recurses.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnexplain import _core, random
from cnnexplain import tensor as _tensor

from . import tree

Symbol = _core.Symbol


class _State(threading.local):
    depth = 0  # above 0 layers run their `call` on symbols; at 0 a call with a symbol adds a node
    training: bool | None = None  # the training flag of the surrounding call
    updates: list | None = None  # (variable, symbol) pairs of the trace being built
    losses: list | None = None  # what `add_loss` and activity regularizers leave
    trace: Trace | None = None
    path: tuple[str, ...] = ()  # names of the layers being called
    draws: dict | None = None  # generator -> draws so far in this trace
    environments: list | None = None  # (path, model, values by id) of the models being run on symbols


state = _State()
_configuration = [0]


def configuration() -> int:
    """A number that changes when a layer that was traced is edited: older traces are thrown away."""
    return _configuration[0]


def changed() -> None:
    """Makes every trace out of date."""
    _configuration[0] += 1


class Node:
    """One call of a layer on symbols: its arguments, and the symbols it returned."""

    __slots__ = (
        "layer",
        "args",
        "kwargs",
        "inputs",
        "outputs",
        "structure",
        "id",
        "index",
        "owners",
        "__weakref__",
    )

    def __init__(self, layer: Any, args: tuple, kwargs: dict, structure: Any):
        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.inputs = [leaf for leaf in tree.flatten([list(args), kwargs]) if isinstance(leaf, Symbol)]
        self.structure = structure
        self.outputs = tree.flatten(structure)
        self.id = _core.next_id()
        self.index = len(layer._inbound_nodes)
        self.owners: list = []  # weak references to models that take an output of this node as input
        for place, symbol in enumerate(self.outputs):
            symbol.history = (self, place)
        layer._inbound_nodes.append(self)

    def own(self, model: Any) -> None:
        self.owners.append(weakref.ref(model))

    def __repr__(self) -> str:
        return f"<Node {self.index} of {self.layer.name}>"


class Step:
    """One of the engine's operations in a graph, with the symbols of its outputs that the graph uses."""

    __slots__ = ("maker", "id", "used")

    def __init__(self, maker: Any):
        self.maker = maker
        self.id = maker.id
        self.used: dict[int, Any] = {}  # port -> symbol

    @property
    def inputs(self) -> list:
        return [value for value in self.maker.inputs if isinstance(value, Symbol)]

    @property
    def outputs(self) -> list:
        return list(self.used.values())


def _origin(symbol: Any) -> Node | None:
    history = getattr(symbol, "history", None)
    if isinstance(history, tuple) and history and isinstance(history[0], Node):
        return history[0]
    return None


def _walk(outputs: list, known: set[int]) -> tuple[dict[int, Node | Step], list]:
    """Everything between the known symbols and the outputs, by id; and the symbols that nothing makes."""
    found: dict[int, Node | Step] = {}
    loose: list = []
    seen = set(known)
    stack = list(outputs)
    while stack:
        symbol = stack.pop()
        if symbol.id in seen:
            continue
        seen.add(symbol.id)
        node = _origin(symbol)
        if node is not None:
            if not node.inputs and getattr(node.layer, "is_input", False):
                loose.append(symbol)
            elif node.id not in found:
                found[node.id] = node
                stack.extend(node.inputs)
            continue
        maker = symbol.maker
        if maker is None:
            loose.append(symbol)
            continue
        step = found.get(maker.id)
        if not isinstance(step, Step):
            step = found[maker.id] = Step(maker)
            stack.extend(step.inputs)
        step.used[symbol.port] = symbol
    return found, loose


def _describe(symbol: Any) -> str:
    node = _origin(symbol)
    name = f" name={node.layer.name}," if node is not None else ""
    return f"<KerasTensor shape={tuple(symbol.shape)}, dtype={symbol.dtype.name},{name[:-1]}>"


def _reach(output: Any, known: set[int], tried: frozenset[int]) -> dict[int, Node | Step]:
    """Nodes that make `output`, through the call of the model around it when it lies inside a nested
    model.
    """
    found, loose = _walk([output], known)
    if not loose:
        return found
    error = ValueError(
        f"`inputs` not connected to `outputs`: {_describe(output)} needs {_describe(loose[0])}, which is not "
        "among the "
        "inputs."
    )
    start = _origin(loose[0])
    for reference in start.owners if start is not None else ():
        model = reference()
        if model is None or id(model) in tried:
            continue
        for node in model._inbound_nodes:
            try:
                outer = _reach(node.outputs[0], known, tried | {id(model)})
            except ValueError:
                continue
            return outer
    raise error


def sources(outputs: list) -> list:
    """The symbols from which `outputs` are computed and which nothing computes, in the order of their making."""
    return sorted(_walk(outputs, set())[1], key=lambda symbol: symbol.id)


def plan(inputs: list, outputs: list) -> list[Node | Step]:
    """Nodes and operations from inputs to outputs in an order in which they can run."""
    known = {symbol.id for symbol in inputs}
    found, loose = _walk(outputs, known)
    if loose:
        found = {}
        for output in outputs:
            found.update(_reach(output, known, frozenset()))
    return [found[key] for key in sorted(found)]


def run(steps: list[Node | Step], env: dict[int, Any]) -> None:
    """Runs the steps on what `env` holds (id -> tensor or symbol) and adds what they make."""

    def lookup(leaf: Any) -> Any:
        return env[leaf.id] if isinstance(leaf, Symbol) else leaf

    for step in steps:
        if isinstance(step, Step):
            made = step.maker.replay(tuple(lookup(value) for value in step.maker.inputs))
            for port, symbol in step.used.items():
                env[symbol.id] = made[port]
        else:
            args = tree.map_structure(lookup, step.args)
            kwargs = {key: tree.map_structure(lookup, value) for key, value in step.kwargs.items()}
            results = tree.flatten(step.layer(*args, **kwargs))
            for symbol, result in zip(step.outputs, results, strict=True):
                env[symbol.id] = result


@contextlib.contextmanager
def building(trace: Trace | None = None, training: bool | None = None) -> Iterator[_State]:
    """Within it layers run on symbols, and variables are read when the program runs, not now."""
    saved = (state.depth, state.training, state.updates, state.losses, state.trace, state.path, state.draws)
    environments = state.environments
    before = _core.symbolic(True)
    state.depth = saved[0] + 1
    state.training = training
    state.updates = [] if trace is None else trace.updates
    state.losses = [] if trace is None else trace.losses
    state.trace = trace
    state.path = ()
    state.draws = {} if trace is None else trace.draws
    state.environments = [] if trace is None else trace.environments
    try:
        yield state
    finally:
        _core.symbolic(before)
        state.environments = environments
        state.depth, state.training, state.updates, state.losses, state.trace, state.path, state.draws = saved


@contextlib.contextmanager
def running_eagerly() -> Iterator[None]:
    """Within it, also inside `building`, variables give their values at once."""
    before = _core.symbolic(False)
    saved = (state.depth, state.updates, state.draws)
    state.depth, state.updates, state.draws = 0, None, None
    try:
        yield
    finally:
        _core.symbolic(before)
        state.depth, state.updates, state.draws = saved


def find(symbol: Any, env: dict[int, Any], environments: list) -> Any:
    """The value of a symbol of the graph, also of one inside a nested model."""
    if symbol.id in env:
        return env[symbol.id]
    for _, _, inner in environments:
        if symbol.id in inner:
            return inner[symbol.id]
    raise KeyError(f"{_describe(symbol)} is not part of this graph.")


def assign(variable: Any, value: Any) -> Any:
    """What `variable.assign` does with a symbol: inside a trace the assignment becomes one of the program's
    updates.
    """
    if state.updates is None:
        return False  # the caller says that a symbol has no value
    state.updates[:] = [pair for pair in state.updates if pair[0] is not variable]
    state.updates.append((variable, value))
    return variable


def latest(variable: Any) -> Any:
    """What a trace has assigned to `variable` so far, else `variable`: a shared layer updates it per call."""
    return next((value for held, value in state.updates or () if held is variable), variable)


def next_seed(generator: Any) -> Any:
    """The (seed, counter) of a generator's next draw; inside a trace its counter becomes an update."""
    if state.draws is None:
        value = np.array(generator.state)
        stream = random.stream()
        if stream is not None:
            return _core.tensor(np.array(stream.draw(int(value[0])), np.int64))
        generator.state.assign(value + np.array([0, 1], np.int64))
        return _core.tensor(value)
    count = state.draws.get(generator, 0)
    state.draws[generator] = count + 1
    seed = generator.state
    if count:
        seed = _core.add(seed, _core.tensor(np.array([0, count], np.int64)))
    assign(generator.state, _core.add(generator.state, _core.tensor(np.array([0, count + 1], np.int64))))
    return seed


def _draw(source: Any) -> Any:
    """The next draw of tf.random inside a trace."""
    return None if state.draws is None else next_seed(source())


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
        self.draws: dict = {}
        self.environments: list[tuple[tuple[str, ...], Any, dict[int, Any]]] = []
        self.calls: dict[tuple[str, ...], Any] = {}
        self.shadows: dict[int, tuple[Any, Any]] = {}
        self.keep = (list(inputs), structure)
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
        raise KeyError(f"{_describe(tensor)} is not part of this graph.")

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
        from cnnexplain.tensor import Variable

        mapping: dict[int, Any] = {}
        walked, _ = _walk(
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

        def swap(value: Any) -> Any:
            return mapping.get(value.id, value) if isinstance(value, Symbol) else value

        self.inputs = [swap(symbol) for symbol in self.inputs]
        self.outputs = [swap(symbol) for symbol in self.outputs]
        self.updates = [(shadow(variable), swap(symbol)) for variable, symbol in self.updates]
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
    from . import config

    dtype = None if dtype is None else config.standardize_dtype(dtype)
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
