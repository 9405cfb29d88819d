"""Functions applied along the first axis, one element after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import _core, nest
from .._convert import is_symbol, number, tensor, values
from ..arrays import stack
from . import map_fn


def _elements(elems: Any) -> tuple[Any, int]:
    """Tensors, and how many elements they have."""
    whole = nest.map_structure(tensor, elems)
    return whole, nest.flatten(whole)[0].shape[0]


def _steps(fn: Callable, elems: Any, initializer: Any, backwards: bool) -> Iterable[tuple[int, Any]]:
    """(place, accumulated) after each element."""
    whole, count = _elements(elems)
    order = list(range(count))[:: -1 if backwards else 1]
    if initializer is None:
        if not order:
            raise ValueError("`elems` must have at least one element, or `initializer` be given")
        first = order.pop(0)
        total = nest.map_structure(lambda x: x[first], whole)
        yield first, total
    else:
        total = nest.map_structure(tensor, initializer)
    for i in order:
        total = fn(total, nest.map_structure(lambda x, i=i: x[i], whole))
        yield i, total


def _last(steps: Iterable[tuple[int, Any]], initializer: Any) -> Any:
    every = [total for _, total in steps]
    return every[-1] if every else nest.map_structure(tensor, initializer)


def foldl(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """fn(... fn(fn(initializer, x[0]), x[1]) ..., x[-1]); without `initializer` it begins with x[0].

    >>> import cnnexplain as tf
    >>> int(tf.foldl(lambda a, x: a * 10 + x, tf.constant([1, 2, 3])))
    123
    """
    return _last(_steps(fn, elems, initializer, False), initializer)


def foldr(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """`foldl` from the last element to the first."""
    return _last(_steps(fn, elems, initializer, True), initializer)


def scan(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """What `foldl` has after each element, stacked.

    >>> import cnnexplain as tf
    >>> tf.scan(lambda a, x: a + x, tf.constant([1, 2, 3])).numpy()
    array([1, 3, 6], dtype=int32)
    """
    steps = sorted(_steps(fn, elems, initializer, reverse), key=lambda step: step[0])
    columns = zip(*(nest.flatten(total) for _, total in steps), strict=True)
    return nest.pack_sequence_as(steps[0][1], [stack(list(column)) for column in columns])


def vectorized_map(fn: Callable, elems: Any, fallback_to_while_loop: bool = True, warn: bool = True) -> Any:
    """`map_fn`."""
    return map_fn(fn, elems)


def switch_case(
    branch_index: Any, branch_fns: Any, default: Callable | None = None, name: str = "switch_case"
) -> Any:
    """The result of the function that the index names; `default`, or the last, where there is none."""
    pairs = isinstance(branch_fns, dict) or isinstance(branch_fns[0], (tuple, list))
    given: dict[int, Callable] = dict(branch_fns if pairs else enumerate(branch_fns))
    chosen = given.get(number(branch_index, "branch_index"), default or given[max(given)])
    return chosen()


def identity_n(input: Any, name: str | None = None) -> list[Any]:
    """The same tensors."""
    return [_core.identity(tensor(item)) for item in input]


def grad_pass_through(f: Callable) -> Callable:
    """A function with the values of f and the gradient of the identity.

    >>> import cnnexplain as tf
    >>> x = tf.constant(1.7)
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = tf.grad_pass_through(tf.round)(x) * 3.0
    >>> float(y), float(tape.gradient(y, x))
    (6.0, 3.0)
    """

    def passed(x: Any) -> Any:
        x = tensor(x)
        return _core.add(x, _core.stop_gradient(_core.subtract(f(x), x)))

    return passed


def get_static_value(tensor: Any, partial: bool = False) -> np.ndarray | None:
    """The values of a tensor; None of a symbolic one."""
    return None if is_symbol(tensor) else values(tensor, "tensor")
