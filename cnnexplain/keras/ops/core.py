"""Conversions, loops, branches, gradients of one's own, functions of each element."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core, _sizes, control

from .. import config, tracing, tree
from ._base import TENSORS, cast_to, cut, is_symbol, tensor
from .selection import scatter, scatter_update, slice, slice_update
from .shaping import stack, unstack

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = [
    "associative_scan", "cast", "cond", "convert_to_numpy", "convert_to_tensor", "custom_gradient", "dtype",
    "fori_loop", "is_tensor", "jvp", "map", "saturate_cast", "scan", "scatter", "scatter_update", "shape",
    "slice", "slice_update", "stop_gradient", "switch", "unstack", "vectorize", "vectorized_map",
    "while_loop",
]  # fmt: skip


def shape(x: Any) -> tuple:
    """The shape as a tuple; a length that is not known is None, within a layer's call a symbolic number."""
    x = tensor(x)
    return _sizes.sizes(x) if tracing.state.depth else tuple(x.shape)


def dtype(x: Any) -> str:
    """The dtype's name."""
    return x.dtype.name if hasattr(x, "dtype") else tensor(x).dtype.name


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor with values."""
    return isinstance(x, TENSORS)


def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Tensor:
    """A tensor of the value."""
    return tensor(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """An array of the values."""
    if is_symbol(x):
        raise ValueError("A symbolic tensor has no values yet: call the model on data first")
    return np.array(x if isinstance(x, (*TENSORS, np.ndarray)) else tensor(x))


def cast(x: Any, dtype: Any) -> Tensor:
    """The values in another dtype."""
    return cast_to(tensor(x), config.standardize_dtype(dtype))


def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """The values in another dtype, those beyond its range at its limits."""
    x, name = tensor(x), config.standardize_dtype(dtype)
    from cnnexplain.functions import saturate_cast as cast_within

    return x if x.dtype.name == name else cast_within(x, name)


def stop_gradient(variable: Any) -> Tensor:
    """The value, through which no gradient passes."""
    return _core.stop_gradient(tensor(variable))


def custom_gradient(f: Callable) -> Callable[..., Any]:
    """A function with a gradient of one's own: f returns (y, grad), and grad(dy) the gradients of the inputs.

    >>> from cnnexplain import keras
    >>> @keras.ops.custom_gradient
    ... def clipped(x):
    ...     return x * 2.0, lambda dy: keras.ops.clip(dy, -1.0, 1.0)
    >>> float(clipped(3.0))
    6.0
    """
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f}")
    return control.custom_gradient(f)


# branches and loops
def _holds(pred: Any, name: str) -> bool:
    if is_symbol(pred):
        raise ValueError(f"`{name}` needs a value; a symbolic tensor has none. Use `keras.ops.where`")
    return bool(np.asarray(pred))


def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
    """true_fn() or false_fn(). With a symbolic `pred` both are computed, and one is chosen."""
    if not is_symbol(pred):
        return true_fn() if bool(np.asarray(pred)) else false_fn()
    chosen = pred if pred.dtype.is_bool else _core.cast(pred, dtype="bool")
    return tree.map_structure(lambda a, b: _core.where(tensor(a), tensor(b), chosen), true_fn(), false_fn())


def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """branches[index](*operands); an index outside is brought to the nearest."""
    if is_symbol(index):
        raise ValueError("`index` needs a value; a symbolic tensor has none")
    place = builtins.min(builtins.max(int(np.asarray(index)), 0), len(branches) - 1)
    return branches[place](*operands)


def while_loop(cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """loop_vars = body(*loop_vars) while cond(*loop_vars), at most so many times.

    >>> from cnnexplain import keras
    >>> int(keras.ops.while_loop(lambda i: i < 10, lambda i: i + 3, (0,))[0])
    12
    """
    several = isinstance(loop_vars, (list, tuple))
    state = tree.map_structure(tensor, tuple(loop_vars) if several else (loop_vars,))
    done = 0
    while (maximum_iterations is None or done < maximum_iterations) and _holds(cond(*state), "cond"):
        result = body(*state)
        state = tuple(result) if isinstance(result, (list, tuple)) else (result,)
        done += 1
    return (
        type(loop_vars)(state)
        if several and type(loop_vars) in (list, tuple)
        else state
        if several
        else state[0]
    )


def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """value = body_fun(i, value) for i from lower up to but without upper."""
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(tensor(i), value)
    return value


def _length(xs: Any) -> int:
    leaves = [tensor(leaf) for leaf in tree.flatten(xs)]
    if not leaves or not leaves[0].shape or not leaves[0].shape[0]:
        shapes = [tuple(leaf.shape) for leaf in leaves]
        raise ValueError(f"The first axis must have a known length above 0. Received shapes: {shapes}")
    return leaves[0].shape[0]


def _entry(xs: Any, k: int) -> Any:
    return tree.map_structure(lambda x: tensor(x)[k], xs)


def _stacked(results: list[Any]) -> Any:
    return tree.map_structure(lambda *parts: stack(list(parts)), *results)


def map(f: Callable, xs: Any) -> Any:
    """f of each entry along the first axis, the results stacked."""
    return _stacked([f(_entry(xs, k)) for k in range(_length(xs))])


def vectorized_map(function: Callable, elements: Any) -> Any:
    """function of each entry along the first axis, the results stacked."""
    return map(function, elements)


def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """(carry, y) = f(carry, x) for each x along the first axis: the last carry and the ys stacked.

    Args:
        init: The first carry.
        length: How many steps, needed where `xs` is None.
        reverse: From the last to the first.
        unroll: Accepted: every step runs at once.

    >>> from cnnexplain import keras
    >>> total, sums = keras.ops.scan(lambda c, x: (c + x, c + x), 0.0, keras.ops.array([1.0, 2.0, 3.0]))
    >>> float(total), sums.numpy().tolist()
    (6.0, [1.0, 3.0, 6.0])
    """
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f}")
    if xs is None and length is None:
        raise ValueError("Got no `xs` to scan over and `length` not provided.")
    count = int(length) if xs is None else _length(xs)  # type: ignore[arg-type]
    if length is not None and count != length:
        raise ValueError(f"`length` must be the length of `xs`, {count}. Received: length={length}")
    carry, results = init, []
    for k in reversed(range(count)) if reverse else range(count):
        carry, y = f(carry, None if xs is None else _entry(xs, k))
        results.append(y)
    results = results[::-1] if reverse else results
    if not results or all(leaf is None for leaf in tree.flatten(results[0])):
        return tree.map_structure(tensor, carry), None
    return tree.map_structure(tensor, carry), _stacked(results)


def associative_scan(f: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """The running results of an associative function of two along an axis.

    >>> from cnnexplain import keras
    >>> keras.ops.associative_scan(lambda a, b: a * b, keras.ops.array([1.0, 2.0, 3.0])).numpy()
    array([1., 2., 6.], dtype=float32)
    """
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f}")
    from .shaping import concatenate

    elems = tree.map_structure(tensor, elems)
    sizes = {leaf.shape[axis] for leaf in tree.flatten(elems)}
    if len(sizes) != 1 or None in sizes:
        raise ValueError(f"`elems` must have one known length along the axis. Received: {sizes}")
    count = sizes.pop()

    def piece(k: int) -> Any:
        return tree.map_structure(lambda x: cut(x, axis % len(x.shape), k, 1), elems)

    order = list(reversed(range(count))) if reverse else list(range(count))
    results = [piece(k) for k in order[:1]]
    for k in order[1:]:
        results.append(f(results[-1], piece(k)))
    results = results[::-1] if reverse else results
    return tree.map_structure(lambda *parts: concatenate(list(parts), axis), *results)


def jvp(
    fun: Callable, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """fun(*primals) and its derivative along the tangents.

    >>> from cnnexplain import keras
    >>> y, dy = keras.ops.jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(y), float(dy)
    (9.0, 6.0)
    """
    from cnnexplain.tape import GradientTape

    inputs = [tensor(x) for x in primals]
    along = [tensor(t, x.dtype.name) for t, x in zip(tangents, inputs, strict=True)]
    with GradientTape() as outer:
        with GradientTape() as inner:
            inner.watch(inputs)
            made = fun(*inputs)
            result, aux = made if has_aux else (made, None)
        flat = [tensor(leaf) for leaf in tree.flatten(result)]
        seeds = [_core.tensor(np.zeros(tuple(y.shape), y.dtype.name)) for y in flat]
        outer.watch(seeds)
        slopes = inner.gradient(flat, inputs, output_gradients=seeds)
    known = [(g, t) for g, t in zip(slopes, along, strict=True) if g is not None]
    if known:
        moves = outer.gradient([g for g, _ in known], seeds, output_gradients=[t for _, t in known])
    else:
        moves = [None] * len(seeds)
    filled = [seed if move is None else move for seed, move in zip(seeds, moves, strict=True)]
    tangent = tree.pack_sequence_as(result, filled)
    return (result, tangent, aux) if has_aux else (result, tangent)


def _core_axes(signature: str) -> tuple[list[list[str]], list[list[str]]]:
    from re import findall

    before, arrow, after = signature.replace(" ", "").partition("->")
    if not arrow:
        raise ValueError(f"`signature` must look like '(m,n),(n)->(m)'. Received: signature={signature!r}")
    sides = [
        [names.split(",") if names else [] for names in findall(r"\(([^()]*)\)", side)]
        for side in (before, after)
    ]
    return sides[0], sides[1]


def vectorize(pyfunc: Callable, *, excluded: Any = None, signature: str | None = None) -> Callable[..., Any]:
    """A function of entries as a function of tensors, whose leading axes broadcast.

    Args:
        pyfunc: A function of tensors.
        excluded: Places of arguments that are passed on whole.
        signature: The axes that each call gets, "(m,n),(n)->(m)"; default: none, so each call gets numbers.

    >>> from cnnexplain import keras
    >>> keras.ops.vectorize(lambda a, b: a * b + 1)([1, 2, 3], 2).numpy()
    array([3, 5, 7], dtype=int32)
    """
    if not callable(pyfunc):
        raise ValueError(f"Expected argument `pyfunc` to be a callable. Received: pyfunc={pyfunc}")
    whole = set(excluded or ())

    @functools.wraps(pyfunc)
    def apply(*args: Any, **kwargs: Any) -> Any:
        places = [k for k in range(len(args)) if k not in whole]
        inputs = [tensor(args[k]) for k in places]
        own = [0] * len(inputs)
        if signature is not None:
            own = [len(names) for names in _core_axes(signature)[0]]
            if len(own) != len(inputs):
                raise ValueError(
                    f"`signature` must describe {len(inputs)} inputs. Received: signature={signature!r}"
                )
        leads = [tuple(x.shape)[: len(x.shape) - n] for x, n in zip(inputs, own, strict=True)]
        lead = np.broadcast_shapes(*leads)
        spread = [
            _core.broadcast_to(x, shape=[*lead, *tuple(x.shape)[len(x.shape) - n :]])
            for x, n in zip(inputs, own, strict=True)
        ]
        results = []
        for where in np.ndindex(*lead):
            filled = list(args)
            for k, x in zip(places, spread, strict=True):
                filled[k] = x[where] if where else x
            results.append(pyfunc(*filled, **kwargs))
        if not lead:
            return results[0]
        joined = _stacked(results)
        return tree.map_structure(lambda y: _core.reshape(y, shape=[*lead, *tuple(y.shape)[1:]]), joined)

    return apply
