"""TensorFlow's ways of control: loops, branches, gradients of one's own, printing, contexts."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from .. import _core, nest
from .._convert import TENSORS, dtype_name, is_symbol, number, tensor, values
from ..dtypes import TensorShape

F = TypeVar("F", bound=Callable[..., Any])


def custom_gradient(f: Callable | None = None) -> Callable:
    """A function with a gradient of one's own.

    f(*inputs) returns `y, grad`, and grad(*dy) the gradients of the inputs: one, or a list with one for each
    input. f may return several tensors in a list; then grad takes one dy for each.

    >>> import cnnexplain as tf
    >>> @tf.custom_gradient
    ... def guided_relu(x):
    ...     return tf.nn.relu(x), lambda dy: tf.where((dy > 0) & (x > 0), dy, 0.0)
    >>> x = tf.constant([1.0, 2.0, -1.0])
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = guided_relu(x) * [1.0, -1.0, 1.0]
    >>> tape.gradient(y, x).numpy()
    array([1., 0., 0.], dtype=float32)
    """
    if f is None:
        return custom_gradient

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        inputs = [tensor(arg) for arg in args]
        if any(is_symbol(arg) for arg in inputs):

            def call(*given: Any) -> Any:
                return f(*given, **kwargs)

            return _core.python(call, *inputs)
        y, grad = _core.untaped(lambda *given: f(*given, **kwargs), *inputs)
        several = isinstance(y, (list, tuple))
        outputs = [tensor(item) for item in (y if several else [y])]
        packed = (
            _core.concat(*[_core.reshape(item, shape=[-1]) for item in outputs]) if several else outputs[0]
        )

        def gradients(dy: Any) -> Any:
            return grad(*_unpacked(dy, outputs)) if several else grad(dy)

        made = _core.python(
            lambda *_: (packed, gradients), *inputs, shape=list(packed.shape), dtype=packed.dtype.name
        )
        return type(y)(_unpacked(made, outputs)) if several else made

    return decorated


def _unpacked(flat: Any, like: list[Any]) -> list[Any]:
    """Pieces of a vector in the shapes of `like`."""
    parts, begin = [], 0
    for item in like:
        count = item.shape.num_elements()
        piece = _core.slice(flat, begin=[begin], size=[count])
        parts.append(_core.reshape(piece, shape=list(item.shape)))
        begin += count
    return parts


def recompute_grad(f: Callable) -> Callable:
    """f itself: nothing needs to be recomputed."""
    return f


def numpy_function(
    func: Callable, inp: Sequence[Any], Tout: Any, stateful: bool = True, name: str | None = None
) -> Any:
    """func of the inputs as arrays, its result as tensors: no gradient passes."""
    result = func(*[np.array(values(item, "inp")) for item in inp])
    if isinstance(Tout, (list, tuple)):
        return [
            _core.tensor(np.asarray(item), dtype_name(kind)) for item, kind in zip(result, Tout, strict=True)
        ]
    return _core.tensor(np.asarray(result), dtype_name(Tout))


def py_function(func: Callable, inp: Sequence[Any], Tout: Any, name: str | None = None) -> Any:
    """func of the inputs as tensors; everything is Python here, so gradients pass."""
    result = func(*[tensor(item) for item in inp])
    if isinstance(Tout, (list, tuple)):
        return [_core.cast(item, dtype=dtype_name(kind)) for item, kind in zip(result, Tout, strict=True)]
    return _core.cast(result, dtype=dtype_name(Tout))


def map_fn(
    fn: Callable,
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """fn of each element along the first axis, the results stacked. Structures of tensors are taken apart
    together.

    >>> import cnnexplain as tf
    >>> tf.map_fn(lambda x: x * x, tf.constant([1.0, 2.0, 3.0])).numpy()
    array([1., 4., 9.], dtype=float32)
    """
    from ..arrays import stack

    elems = nest.map_structure(tensor, elems) if isinstance(elems, (tuple, dict)) else tensor(elems)
    count = nest.flatten(elems)[0].shape[0]
    if not count:
        raise ValueError("`elems` must have at least one element along the first axis")
    results = [fn(nest.map_structure(lambda x, i=i: x[i], elems)) for i in range(count)]
    leaves = [
        stack([tensor(item) for item in column]) for column in zip(*map(nest.flatten, results), strict=True)
    ]
    return nest.pack_sequence_as(results[0], leaves)


def cond(pred: Any, true_fn: Callable, false_fn: Callable | None = None, name: str | None = None) -> Any:
    """true_fn() or false_fn(), by the truth of pred."""
    if bool(values(pred, "pred")):
        return true_fn()
    return None if false_fn is None else false_fn()


def case(
    pred_fn_pairs: Any,
    default: Callable | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """The result of the first function whose predicate holds."""
    pairs = pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs
    for pred, fn in pairs:
        if bool(values(pred, "pred")):
            return fn()
    if default is None:
        raise ValueError("no predicate of `pred_fn_pairs` holds and there is no `default`")
    return default()


def while_loop(
    cond: Callable,
    body: Callable,
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: str | None = None,
) -> Any:
    """loop_vars = body(*loop_vars) while cond(*loop_vars).

    >>> import cnnexplain as tf
    >>> start = (tf.constant(0), tf.constant(0))
    >>> i, total = tf.while_loop(lambda i, t: i < 4, lambda i, t: (i + 1, t + i), start)
    >>> int(total)
    6
    """
    state = nest.map_structure(tensor, loop_vars)
    left = None if maximum_iterations is None else number(maximum_iterations, "maximum_iterations")
    while left != 0 and bool(values(cond(*state), "cond")):
        result = body(*state)
        state = result if isinstance(result, (list, tuple)) and len(state) == len(result) else (result,)
        left = None if left is None else left - 1
    return state


@overload
def function(func: F, **options: Any) -> F: ...
@overload
def function(func: None = None, **options: Any) -> Callable[[F], F]: ...
def function(func: Any = None, **options: Any) -> Any:
    """The function itself: every call runs at once, and that is the fast way here. Options are accepted.

    >>> import cnnexplain as tf
    >>> @tf.function(jit_compile=True)
    ... def double(x):
    ...     return x + x
    >>> int(double(tf.constant(2)))
    4
    """
    return func if func is not None else lambda decorated: decorated


def executing_eagerly() -> bool:
    """True: every call runs at once."""
    return True


def _shown(x: Any, summarize: int) -> str:
    if isinstance(x, str):
        return x
    if isinstance(x, dict):
        return "{" + ", ".join(f"{key!r}: {_shown(item, summarize)}" for key, item in x.items()) + "}"
    if isinstance(x, (list, tuple)) and not isinstance(x, TensorShape):
        text = ", ".join(_shown(item, summarize) for item in x)
        return f"[{text}]" if isinstance(x, list) else f"({text})"
    if is_symbol(x) or not isinstance(x, (*TENSORS, np.ndarray)):
        return str(x)
    edge = 10**6 if summarize < 0 else summarize
    return np.array2string(np.asarray(x), threshold=2 * edge, edgeitems=edge)


def print(*inputs: Any, **kwargs: Any) -> None:
    """Prints values, those of tensors without their dtype; to standard error, as TensorFlow does.

    Args:
        output_stream: Where to; a file or "file://path".
        summarize: How many elements to show at each end of an axis; -1 for all.
        sep, end: As Python's print.
    """
    stream = kwargs.pop("output_stream", sys.stderr)
    summarize, sep, end = kwargs.pop("summarize", 3), kwargs.pop("sep", " "), kwargs.pop("end", "\n")
    kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"print() got an unexpected keyword argument {next(iter(kwargs))!r}")
    text = sep.join(_shown(item, 3 if summarize is None else summarize) for item in inputs) + end
    if isinstance(stream, str) and stream.startswith("file://"):
        with open(stream[7:], "a", encoding="utf-8") as file:
            file.write(text)
    else:
        (stream if hasattr(stream, "write") else sys.stderr).write(text)


class name_scope(contextlib.ContextDecorator):
    """A context with a name and no effect: tensors need no names here."""

    def __init__(self, name: str = ""):
        self.name = name

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *error: Any) -> None:
        return None


@contextlib.contextmanager
def device(device_name: Any) -> Iterator[None]:
    """A context without effect: everything is computed on the CPU."""
    yield


@contextlib.contextmanager
def init_scope() -> Iterator[None]:
    """A context without effect."""
    yield


@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """A context without effect: operations run in the order in which they are written."""
    yield


def group(*inputs: Any, **kwargs: Any) -> None:
    """Nothing: the inputs have been computed."""


def no_op(name: str | None = None) -> None:
    """Nothing."""


def get_logger() -> logging.Logger:
    """This package's logger."""
    return logging.getLogger("cnnexplain")
