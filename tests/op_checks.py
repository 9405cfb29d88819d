"""Checks of one op against its NumPy twin, as functions, so that the checks can be checked too."""

from __future__ import annotations

import collections
import warnings

import numpy as np
from reference import CASES

from cnnexplain import _core

OPS = [name for name in _core.op_names() if name != "python"]  # the host's own node has no formula
INFO = {name: _core.op_info(name) for name in OPS}
BY_OP = collections.defaultdict(list)
for _name, _inputs, _attributes in CASES:
    BY_OP[_name].append((_inputs, _attributes))


def is_real(x):
    return x is not None and x.dtype.kind == "f"


def fill(inputs, dtype, seed=0):
    """The arrays of a case: shapes become random normal numbers, real arrays take the dtype."""
    rng = np.random.default_rng(seed)
    arrays = []
    for x in inputs:
        if isinstance(x, tuple):
            x = rng.normal(size=x)
        if x is not None:
            x = np.asarray(x)
            x = x.astype(dtype) if x.dtype.kind == "f" else x
        arrays.append(x)
    return arrays


def outputs(result):
    return list(result) if isinstance(result, tuple) else [result]


def call(name, arrays, attributes):
    return outputs(getattr(_core, name)(*arrays, **attributes))


def twin_values(twin, arrays, attributes):
    wide = [x.astype(np.float64) if is_real(x) else x for x in arrays]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN
        return [np.asarray(y) for y in twin(*wide, **attributes)]


def assert_close(got, want, where, tolerance=None):
    """Equal for integers; for reals within `tolerance` times the largest finite value."""
    assert got.shape == want.shape, f"{where}: shape {got.shape}, expected {want.shape}"
    if got.dtype.kind != "f":
        assert np.array_equal(got, want), f"{where}: {got} is not {want}"
        return
    tolerance = tolerance or (1e-12 if got.dtype == np.float64 else 4e-6)
    with np.errstate(over="ignore"):
        got, want = got.astype(np.float64), want.astype(got.dtype).astype(np.float64)
    finite = np.isfinite(want)
    assert np.array_equal(got[~finite], want[~finite], equal_nan=True), f"{where}: {got} is not {want}"
    scale = np.abs(want[finite]).max(initial=0)
    error = np.abs(got[finite] - want[finite])
    limit = tolerance * (scale if scale < 1e6 else np.abs(want[finite]))
    assert np.all(error <= limit), f"{where}: off by {error.max()}, allowed {np.min(limit)}"


def check_values(name, inputs, attributes, twin, dtype):
    arrays = fill(inputs, dtype)
    got = [y.numpy() for y in call(name, arrays, attributes)]
    want = twin_values(twin, arrays, attributes)
    assert len(got) == len(want), f"{name} gives {len(got)} outputs, its twin {len(want)}"
    for j, (y, z) in enumerate(zip(got, want, strict=True)):
        assert_close(y, z, f"{name}{attributes}, output {j}")


def record(name, arrays, attributes, wanted, after=()):
    """Runs an op under a tape that watches the wanted inputs; an array given twice is one tensor.

    after: (input, factor) pairs; each multiplies that input once more, behind the op.
    """
    known: dict[int, object] = {}
    tensors = [None if x is None else known.setdefault(id(x), _core.tensor(x)) for x in arrays]
    tape = _core.GradientTape(persistent=True)
    with tape:
        for k in wanted:
            tape.watch(tensors[k])
        results = call(name, tensors, attributes)
        results += [_core.multiply(tensors[k], factor) for k, factor in after]
    return tape, tensors, results


def gradients(name, arrays, attributes, cotangents, wanted, after=()):
    """d sum(cotangents * outputs) / d each wanted input, as arrays or None."""
    tape, tensors, results = record(name, arrays, attributes, wanted, after)
    pairs = [
        (y, c)
        for y, c in zip(results, [*cotangents, *(np.ones_like(f) for _, f in after)], strict=False)
        if c is not None
    ]
    grads = tape._gradient([y for y, _ in pairs], [c for _, c in pairs], [tensors[k] for k in wanted])
    return [None if g is None else g.numpy() for g in grads]


def differentiable(name, arrays):
    """Which inputs of a call carry a gradient."""
    if not INFO[name]["differentiable"] or INFO[name]["stops"]:
        return []
    return [k for k, x in enumerate(arrays) if is_real(x) and not INFO[name]["constant"] >> k & 1]


def cotangents_for(name, arrays, attributes, seed=1):
    rng = np.random.default_rng(seed)
    results = [y.numpy() for y in call(name, arrays, attributes)]
    return [rng.normal(size=y.shape).astype(y.dtype) if is_real(y) else None for y in results]


def directional(twin, arrays, attributes, cotangents, directions):
    """The twin's d sum(cotangents * outputs) along directions, by differences; None at a kink."""

    def value(step):
        moved = [x if d is None else x + step * d for x, d in zip(arrays, directions, strict=True)]
        pairs = zip(cotangents, twin_values(twin, moved, attributes), strict=True)
        with np.errstate(invalid="ignore"):
            return sum(float(np.sum(c * y)) for c, y in pairs if c is not None)

    h = 1e-5
    low, middle, high = value(-h), value(0), value(h)
    if not np.all(np.isfinite([low, middle, high])):
        return None
    left, right = (middle - low) / h, (high - middle) / h
    return None if abs(left - right) > 1e-3 * (1 + abs(left) + abs(right)) else (left + right) / 2


def check_gradients(name, inputs, attributes, twin):
    """Gradients against differences, each input alone and all together. Returns what was checked."""
    arrays = fill(inputs, np.float64)
    wanted = differentiable(name, arrays)
    cotangents = cotangents_for(name, arrays, attributes)
    rng = np.random.default_rng(2)
    directions = [rng.normal(size=x.shape) if k in wanted else None for k, x in enumerate(arrays)]
    checked = []
    for group in [*([k] for k in wanted), *([wanted] if len(wanted) > 1 else [])]:
        along = [d if k in group else None for k, d in enumerate(directions)]
        expected = directional(twin, arrays, attributes, cotangents, along)
        grads = gradients(name, arrays, attributes, cotangents, group)
        if expected is None:
            continue
        terms = [g * directions[k] for g, k in zip(grads, group, strict=True) if g is not None]
        total, size = (sum(float(f(t).sum()) for t in terms) for f in (np.asarray, np.abs))
        assert abs(total - expected) <= 1e-6 * (1 + size + abs(expected)), (
            f"{name}{attributes}: gradient of inputs {group} gives {total}, differences give {expected}"
        )
        checked += group
    return set(checked)


def same_bits(a, b, where):
    for x, y in zip(a, b, strict=True):
        assert (x is None) == (y is None), where
        assert x is None or (x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()), where


def run_all(name, arrays, attributes):
    """Values, then gradients of all inputs, as arrays."""
    wanted = differentiable(name, arrays)
    values = [y.numpy() for y in call(name, arrays, attributes)]
    if not wanted:
        return values
    return values + gradients(name, arrays, attributes, cotangents_for(name, arrays, attributes), wanted)


def smooth_cases(name):
    """Cases whose values and gradients are numbers, with their float64 arrays."""
    for inputs, attributes in BY_OP[name]:
        arrays = fill(inputs, np.float64)
        if all(np.all(np.isfinite(x)) for x in arrays if is_real(x)) and differentiable(name, arrays):
            yield arrays, attributes


def second_gradients(name, arrays, attributes, cotangents, weights, wanted):
    """Inner gradients as an outer tape sees them, and d sum(weights * those) / d each wanted input."""
    tensors = [None if x is None else _core.tensor(x) for x in arrays]
    sources = [tensors[k] for k in wanted]
    outer, inner = _core.GradientTape(persistent=True), _core.GradientTape()
    with outer:
        for x in sources:
            outer.watch(x)
        with inner:
            for x in sources:
                inner.watch(x)
            results = call(name, tensors, attributes)
        pairs = [(y, c) for y, c in zip(results, cotangents, strict=True) if c is not None]
        first = inner._gradient([y for y, _ in pairs], [c for _, c in pairs], sources)
    second = outer._gradient(first, weights, sources)
    return [g.numpy() for g in first], [
        np.zeros_like(arrays[k]) if g is None else g.numpy() for k, g in zip(wanted, second, strict=True)
    ]
