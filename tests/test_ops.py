"""The registry against its NumPy twins: values, gradients, shapes, and what callers may rely on."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest
from op_checks import (
    BY_OP,
    INFO,
    OPS,
    assert_close,
    call,
    check_gradients,
    check_values,
    cotangents_for,
    differentiable,
    fill,
    gradients,
    is_real,
    record,
    run_all,
    same_bits,
    second_gradients,
    smooth_cases,
    twin_values,
)
from reference import CASES, TWINS

from cnnexplain import _core

NUMBERED = [pytest.param(*case, id=f"{case[0]}-{i}") for i, case in enumerate(CASES) if case[0] in INFO]
IMAGE_OPS = """
    relu gelu softmax conv2d depthwise_conv2d conv2d_transpose dense max_pool2d max_pool_with_argmax
    max_unpool average_pool2d global_average_pool2d batch_norm resize add multiply pad slice transpose
    reduce_mean reduce_sum reduce_max softmax_cross_entropy sigmoid_cross_entropy
""".split()

# Where the function that people call has another name than its op.
HOMES = {
    "average_pool2d": "nn.avg_pool2d",
    "batch_norm": "keras.layers.BatchNormalization",
    "batch_norm_training": "keras.layers.BatchNormalization",
    "ceil": "math.ceil",
    "clip": "clip_by_value",
    "dense": "keras.layers.Dense",
    "dropout": "nn.dropout",
    "floor_divide": "math.floordiv",
    "floor_mod": "math.floormod",
    "global_average_pool2d": "keras.layers.GlobalAveragePooling2D",
    "gru": "keras.layers.GRU",
    "hard_sigmoid": "keras.activations.hard_sigmoid",
    "hard_silu": "keras.activations.hard_silu",
    "lstm": "keras.layers.LSTM",
    "mish": "keras.activations.mish",
    "patch": "explain.occlusion",
    "projective_transform": "keras.ops.image.affine_transform",
    "random_normal": "random.normal",
    "random_truncated_normal": "random.truncated_normal",
    "random_uniform": "random.uniform",
    "resize": "image.resize",
    **{f"is{what}": f"math.is_{what}" for what in ("nan", "inf", "finite")},
    **{name: f"bitwise.{name}" for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{name: f"bitwise.{name}" for name in ("left_shift", "right_shift")},
    "sigmoid_cross_entropy": "nn.sigmoid_cross_entropy_with_logits",
    "simple_rnn": "keras.layers.SimpleRNN",
    "softmax_cross_entropy": "nn.softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy": "nn.sparse_softmax_cross_entropy_with_logits",
}


# the registry is complete
@pytest.mark.parametrize("name", OPS)
def test_twin_and_case(name):
    assert name in TWINS, f"{name} has no twin in tests/reference"
    assert BY_OP[name], f"{name} has no case in tests/reference"


def test_no_leftovers():
    assert not set(TWINS) - set(OPS)
    assert not set(BY_OP) - set(OPS)


@pytest.mark.parametrize("name", OPS)
def test_docstring(name):
    package = importlib.import_module("cnnexplain")
    places = [HOMES[name]] if name in HOMES else [name, f"nn.{name}", f"math.{name}", f"ops.{name}"]
    for place in places:
        found = package
        try:
            for part in place.split("."):
                found = getattr(found, part)
        except AttributeError:
            continue
        assert found.__doc__ and found.__doc__.strip(), f"cnnexplain.{place} has no docstring"
        return
    pytest.fail(f"no public function for op {name} among {places}")


# values
@pytest.mark.parametrize("name, inputs, attributes", NUMBERED)
def test_values(name, inputs, attributes):
    for dtype in (np.float64, np.float32):
        check_values(name, inputs, attributes, TWINS[name], dtype)


# gradients
@pytest.mark.parametrize(
    "name", [name for name in OPS if INFO[name]["differentiable"] and not INFO[name]["stops"]]
)
def test_gradients(name):
    checked = set()
    for inputs, attributes in BY_OP[name]:
        checked |= check_gradients(name, inputs, attributes, TWINS[name])
    possible = {k for inputs, _ in BY_OP[name] for k in differentiable(name, fill(inputs, np.float64))}
    assert possible and checked == possible, (
        f"{name}: no case is smooth enough to check inputs {possible - checked}"
    )


@pytest.mark.parametrize("name, inputs, attributes", NUMBERED)
def test_float32_gradients(name, inputs, attributes):
    narrow = fill(inputs, np.float32)
    wide = [x.astype(np.float64) if is_real(x) else x for x in narrow]
    wanted = differentiable(name, narrow)
    results = call(name, narrow, attributes)
    if not wanted or not all(is_real(x) and np.all(np.isfinite(x)) for x in (y.numpy() for y in results[:1])):
        return
    cotangents = cotangents_for(name, narrow, attributes)
    if any(c is not None and c.dtype != np.float32 for c in cotangents):
        return  # the attributes fix the dtype
    got = gradients(name, narrow, attributes, cotangents, wanted)
    want = gradients(
        name, wide, attributes, [c if c is None else c.astype(np.float64) for c in cotangents], wanted
    )
    for k, g, w in zip(wanted, got, want, strict=True):
        assert g.dtype == np.float32
        assert_close(g, w, f"{name}{attributes}: float32 gradient of input {k}", tolerance=2e-5)


@pytest.mark.parametrize(
    "name", [name for name in OPS if INFO[name]["differentiable"] and not INFO[name]["stops"]]
)
def test_gradients_add_up(name):
    """An input that feeds another op too is added to; a tensor given twice gets both gradients."""
    for arrays, attributes in itertools.islice(smooth_cases(name), 12):
        wanted = differentiable(name, arrays)
        cotangents = cotangents_for(name, arrays, attributes)
        alone = gradients(name, arrays, attributes, cotangents, wanted)
        rng = np.random.default_rng(3)
        after = [(k, rng.normal(size=arrays[k].shape)) for k in wanted]
        for g, h, (k, factor) in zip(
            alone, gradients(name, arrays, attributes, cotangents, wanted, after), after, strict=True
        ):
            if g is not None:
                assert_close(h, g + factor, f"{name}{attributes}: input {k}, added to")
        for i, k in itertools.combinations(wanted, 2):
            if arrays[i].shape != arrays[k].shape:
                continue
            twice = list(arrays)
            twice[k] = twice[i]
            apart = list(twice)
            apart[k] = twice[i].copy()
            try:
                each = gradients(name, apart, attributes, cotangents, [i, k])
            except ValueError:
                continue
            both = gradients(name, twice, attributes, cotangents, [i])
            assert_close(both[0], each[0] + each[1], f"{name}{attributes}: inputs {i} and {k} are one tensor")


@pytest.mark.parametrize(
    "name", [name for name in OPS if INFO[name]["second_derivative"] and name != "stop_gradient"]
)
def test_second_gradients(name):
    """Backward written as ops agrees with the kernels, and its own gradient with differences of theirs."""
    checked = 0
    for arrays, attributes in smooth_cases(name):
        if any(x is not None and x.size == 0 for x in arrays):
            continue
        wanted = differentiable(name, arrays)
        cotangents = cotangents_for(name, arrays, attributes)
        rng = np.random.default_rng(4)
        weights, directions = ([rng.normal(size=arrays[k].shape) for k in wanted] for _ in range(2))

        def first_at(
            step,
            arrays=arrays,
            attributes=attributes,
            wanted=wanted,
            directions=directions,
            cotangents=cotangents,
            weights=weights,
        ):
            moved = list(arrays)
            for k, d in zip(wanted, directions, strict=True):
                moved[k] = arrays[k] + step * d
            grads = gradients(name, moved, attributes, cotangents, wanted)
            terms = [w * g for w, g in zip(weights, grads, strict=True) if g is not None]
            return grads, sum(float(t.sum()) for t in terms) if len(terms) == len(grads) else np.nan

        h = 1e-5
        (_, low), (kernels, middle), (_, high) = first_at(-h), first_at(0), first_at(h)
        left, right = (middle - low) / h, (high - middle) / h
        if not abs(left - right) <= 1e-3 * (1 + abs(left) + abs(right)):
            continue  # a kink, or no number
        try:
            first, second = second_gradients(name, arrays, attributes, cotangents, weights, wanted)
        except ValueError as error:
            assert name in str(error)  # in some modes there is none, and it says so
            continue
        for g, kernel in zip(first, kernels, strict=True):
            assert_close(g, kernel, f"{name}{attributes}: gradient as ops", tolerance=1e-11)
        terms = [g * d for g, d in zip(second, directions, strict=True)]
        total, size = (sum(float(f(t).sum()) for t in terms) for f in (np.asarray, np.abs))
        assert abs(total - (left + right) / 2) <= 1e-6 * (1 + size + abs(left)), (
            f"{name}{attributes}: second derivative gives {total}, differences give {(left + right) / 2}"
        )
        checked += 1
    assert checked, f"{name}: no case for its second derivative"


@pytest.mark.parametrize(
    "name", [n for n in OPS if INFO[n]["differentiable"] and not INFO[n]["second_derivative"]]
)
def test_gradients_under_another_tape(name):
    """Without a backward written as ops, a tape that is watched runs the same kernel, or refuses by name."""
    for arrays, attributes in smooth_cases(name):
        wanted = differentiable(name, arrays)
        cotangents = cotangents_for(name, arrays, attributes)
        kernels = gradients(name, arrays, attributes, cotangents, wanted)
        tensors = [None if x is None else _core.tensor(x) for x in arrays]
        sources = [tensors[k] for k in wanted]
        with _core.GradientTape() as outer:
            for x in sources:
                outer.watch(x)
            with _core.GradientTape() as inner:
                for x in sources:
                    inner.watch(x)
                results = call(name, tensors, attributes)
            pairs = [(y, c) for y, c in zip(results, cotangents, strict=True) if c is not None]
            try:
                nodes = inner._gradient([y for y, _ in pairs], [c for _, c in pairs], sources)
            except ValueError as error:
                assert f"{name} has no second derivative" in str(error)
                continue
        same_bits([g.numpy() for g in nodes], kernels, f"{name}{attributes}: gradient as nodes")


@pytest.mark.parametrize("name", ["round", "floor", "ceil", "floor_divide"])
def test_steps_pass_no_gradient_and_stop_nothing_else(name):
    x = np.array([0.7, 1.2, -2.6])
    tape, tensors, results = record(name, [x] if name != "floor_divide" else [x, x * x], {}, [0])
    assert tape._gradient(results, [np.ones(3)], tensors[:1]) == [None]
    with _core.GradientTape() as tape:
        tape.watch(tensors[0])
        y = tensors[0] * 3.0 + _core.round(tensors[0])
    assert tape._gradient([y], [np.ones(3)], [tensors[0]])[0].numpy().tolist() == [3.0, 3.0, 3.0]


@pytest.mark.parametrize(
    "name", [name for name in OPS if not (INFO[name]["differentiable"] or INFO[name]["stops"])]
)
def test_not_differentiable_by_name(name):
    for inputs, attributes in BY_OP[name]:
        arrays = fill(inputs, np.float64)
        wanted = [k for k, x in enumerate(arrays) if is_real(x) and not INFO[name]["constant"] >> k & 1]
        if not wanted:
            continue
        tape, tensors, results = record(name, arrays, attributes, wanted)
        target = results[0]
        if is_real(target.numpy()):
            with pytest.raises(ValueError, match=name):
                tape._gradient([target], [np.ones(target.shape)], [tensors[k] for k in wanted])
        return


# conventions at kinks, where differences say nothing
CONVENTIONS = [
    ("reduce_max", [[1.0, 3, 3, 2]], {}, [[0, 0.5, 0.5, 0]]),
    ("reduce_max", [[[2.0, 1], [2, 5], [2, 5]]], {"axis": 0}, [[[1 / 3, 0], [1 / 3, 0.5], [1 / 3, 0.5]]]),
    ("reduce_min", [[4.0, 1, 1, 1]], {}, [[0, 1 / 3, 1 / 3, 1 / 3]]),
    ("reduce_prod", [[2.0, 0, 3]], {}, [[0, 6, 0]]),
    ("reduce_prod", [[2.0, 0, 0]], {}, [[0, 0, 0]]),
    ("maximum", [[1.0, 2, 3], [2.0, 2, 2]], {}, [[0, 1, 1], [1, 0, 0]]),
    ("minimum", [[1.0, 2, 3], [2.0, 2, 2]], {}, [[1, 1, 0], [0, 0, 1]]),
    ("abs", [[-2.0, 0, 2]], {}, [[-1, 0, 1]]),
    ("clip", [[-1.0, -0.5, 0, 1, 1.5]], {"low": -0.5, "high": 1.0}, [[0, 1, 1, 1, 0]]),
    ("pow", [[0.0, 0, 0, 2], [0.0, 1, 2, 0]], {}, [[0, 1, 0, 0], [0, 0, 0, np.log(2)]]),
    ("where", [[np.nan, 1], [2, np.inf], np.array([False, True])], {}, [[0, 1], [1, 0]]),
    ("relu", [[-1.0, 0, 2]], {}, [[0, 0, 1]]),
    ("max_pool2d", [np.array([[5.0, 5], [5, 1]]).reshape(1, 2, 2, 1)], {}, [[[[[1], [0]], [[0], [0]]]]]),
]


@pytest.mark.parametrize("name, inputs, attributes, expected", CONVENTIONS)
def test_conventions(name, inputs, attributes, expected):
    for dtype in (np.float32, np.float64):
        arrays = fill([np.asarray(x) for x in inputs], dtype)
        wanted = differentiable(name, arrays)
        ones = [
            np.ones(y.shape, dtype) if is_real(y.numpy()) else None for y in call(name, arrays, attributes)
        ]
        for g, e in zip(gradients(name, arrays, attributes, ones, wanted), expected, strict=True):
            np.testing.assert_allclose(g, np.asarray(e).reshape(g.shape), rtol=1e-6)


@pytest.mark.parametrize("gate", ["true", "guided", "rectified"])
@pytest.mark.parametrize("zero_first", [False, True])
def test_maximum_with_zero_is_a_relu(gate, zero_first):
    rng = np.random.default_rng(5)
    values, seed = rng.normal(size=(2, 3, 50)).astype(np.float32)
    grads = []
    for make in (_core.relu, lambda x: _core.maximum(0.0, x) if zero_first else _core.maximum(x, 0.0)):
        x = _core.symbol(values.shape, "float32")
        y = make(x)
        run = _core.Program([x], [y]).run([(x, values)], [y])
        grads.append(run.backward([(y, seed)], [x], gate=gate)[0].numpy())
    assert grads[0].any()
    np.testing.assert_array_equal(*grads)


REFUSALS = [
    ("floor_divide", [np.array([1, 2, 3]), np.array([1, 0, 2])], {}, "element 1"),
    ("floor_mod", [np.array([1, 2, 3], np.uint8), np.array(0, np.uint8)], {}, "by zero"),
    ("pow", [np.array([2, 3]), np.array([1, -2])], {}, "Received: -2 at element 1"),
    ("gather", [np.ones((3, 2)), np.array([0, 2, 3])], {}, r"\[0, 3\). Received: 3 at element 2"),
    ("gather_nd", [np.ones((3, 2)), np.array([[0, 0], [1, -1]])], {}, "Received: -1 at element 3"),
    ("reshape", [np.ones((2, 3))], {"shape": (4, -1)}, r"\(2, 3\)"),
    ("transpose", [np.ones((2, 3))], {"perm": (0, 0)}, "perm"),
    ("slice", [np.ones((2, 3))], {"begin": (0, 2), "size": (1, 2)}, "dimension 1"),
    ("pad", [np.ones((2, 3))], {"before": (2, 0), "after": (0, 0), "mode": "reflect"}, "at most 1"),
    ("concat", [np.ones((2, 3)), np.ones((3, 2))], {}, "equal shapes"),
    (
        "patch",
        [np.ones((2, 4, 4, 1)), np.array([[2, 0, 0]])],
        {"size": 2},
        r"\[0, 2\). Received: 2 for patch 0",
    ),
    ("patch", [np.ones((2, 4, 4, 1)), np.array([[0, 0, 2**41]])], {"size": 2}, "places"),
    (
        "patch",
        [np.ones((2, 4, 4, 1)), np.array([[0, 0]])],
        {"size": 2},
        r"`at` must have shape \(patches, 3\)",
    ),
    ("patch", [np.ones((1, 4, 4, 1)), np.array([[0, 0, 0]]), np.ones((1, 2, 2, 1))], {"size": 2}, "together"),
    (
        "patch",
        [np.ones((1, 4, 4, 1)), np.array([[0, 0, 0]]), np.ones((1, 2, 2, 3)), np.array([[0, 0]])],
        {"size": 2},
        "`changed` must have shape",
    ),
    ("reduce_sum", [np.ones((2, 3))], {"axis": (0, -2)}, "twice"),
    ("argmax", [np.ones((0, 3))], {"axis": 0}, "empty"),
    ("add", [np.ones((2, 3)), np.ones((2, 4))], {}, r"\(2, 3\) and \(2, 4\)"),
]


@pytest.mark.parametrize("name, inputs, attributes, message", REFUSALS)
def test_refusals(name, inputs, attributes, message):
    with pytest.raises(ValueError, match=message):
        call(name, inputs, attributes)


# arrays as callers have them
def layouts(x):
    """The same numbers with other strides."""
    if not x.ndim:
        yield from (x, x, x)
        return
    yield np.asfortranarray(x)
    wide = np.zeros([2 * n for n in x.shape], x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    yield view
    yield x[tuple(slice(None, None, -1) for _ in x.shape)].copy()[
        tuple(slice(None, None, -1) for _ in x.shape)
    ]


@pytest.mark.parametrize("name", OPS)
def test_strides(name):
    for inputs, attributes in BY_OP[name][:3]:
        arrays = fill(inputs, np.float32)
        want = [y.numpy() for y in call(name, arrays, attributes)]
        for varied in zip(
            *(itertools.repeat(None, 3) if x is None else layouts(x) for x in arrays), strict=True
        ):
            same_bits(
                [y.numpy() for y in call(name, varied, attributes)], want, f"{name}{attributes} strided"
            )


@pytest.mark.parametrize("name", OPS)
def test_callers_arrays_stay(name):
    for inputs, attributes in BY_OP[name][:3]:
        arrays = fill(inputs, np.float64)
        before = [None if x is None else x.copy() for x in arrays]
        run_all(name, arrays, attributes)
        same_bits(arrays, before, f"{name}{attributes} wrote into its inputs")


@pytest.mark.parametrize("name", OPS)
def test_empty(name):
    """A first dimension of 0 gives what the twin gives, or is refused."""
    for inputs, attributes in BY_OP[name][:4]:
        arrays = fill(inputs, np.float64)
        if not arrays or arrays[0] is None or arrays[0].ndim == 0:
            continue
        n = arrays[0].shape[0]
        for only_first in (False, True):
            emptied = [
                x[:0] if x is not None and x.ndim and (k == 0 or (not only_first and x.shape[0] == n)) else x
                for k, x in enumerate(arrays)
            ]
            try:
                got = call(name, emptied, attributes)
            except (ValueError, TypeError):
                continue
            try:
                want = twin_values(TWINS[name], emptied, attributes)
            except (ValueError, IndexError):
                want = None
            for y, z in zip(got, want or [], strict=False):
                assert_close(y.numpy(), z, f"{name}{attributes} on an empty array")
            wanted = differentiable(name, emptied)
            if wanted:
                cotangents = [np.ones(y.shape) if is_real(y.numpy()) else None for y in got]
                for k, g in zip(
                    wanted, gradients(name, emptied, attributes, cotangents, wanted), strict=True
                ):
                    assert g is None or g.shape == emptied[k].shape


@pytest.mark.parametrize("name", OPS)
def test_absurd_sizes(name):
    """Any integer attribute may be nonsense: an error, never a crash."""
    if not BY_OP[name]:
        pytest.skip("no case")
    inputs, attributes = BY_OP[name][0]
    arrays = fill(inputs, np.float32)
    refused = (ValueError, MemoryError, TypeError, OverflowError)
    for field in INFO[name]["fields"]:
        if field["type"] not in ("int", "pair", "list"):
            continue
        usual = attributes.get(field["name"], field["default"])
        for value in (2**62, 2**53 - 1, 2**40, -(2**40), -(2**62), 2**63 - 1, -(2**63)):
            rank = len(usual) if isinstance(usual, tuple | list) else arrays[0].ndim
            for one in ([value] * rank, [*[1] * (rank - 1), value], value):
                try:
                    result = call(name, arrays, {**attributes, field["name"]: one})
                except refused:
                    continue
                assert sum(y.numpy().nbytes for y in result) < 2**28
    rank = max(arrays[0].ndim, 1) if arrays and arrays[0] is not None else 1
    for shape in ([2**40] * rank, [2**62] * rank, [2**62] + [0] * (rank - 1)):
        try:
            symbols = [_core.symbol(shape, str(arrays[0].dtype)), *arrays[1:]]
            call(name, symbols, attributes)
        except refused:
            continue


def test_empty_arrays_whose_other_sizes_are_absurd():
    images = _core.projective_transform(np.zeros((9, 4, 4, 0)), np.zeros((1, 8)), size=2**27)
    assert images.shape == (9, 2**27, 2**27, 0)
    with pytest.raises(ValueError, match="too large"):
        _core.broadcast_to(np.zeros((1, 1, 0)), shape=(2**40, 2**40, 0))


# promises
def grown(name, inputs, attributes):
    """A case with many more rows, so that several threads have work; None where its shapes cannot grow."""
    arrays = fill(inputs, np.float32)
    if arrays[0] is None or arrays[0].ndim == 0 or arrays[0].size == 0:
        return None
    times = max(2, 150_000 // arrays[0].size)
    n = arrays[0].shape[0]
    for only_first in (False, True):
        more = [
            np.concatenate([x] * times)
            if x is not None and x.ndim and (k == 0 or (not only_first and x.shape[0] == n))
            else x
            for k, x in enumerate(arrays)
        ]
        try:
            call(name, more, attributes)
            return more
        except (ValueError, TypeError):
            continue
    return None


@pytest.mark.parametrize("name", OPS)
def test_threads(name):
    tried = 0
    for inputs, attributes in BY_OP[name]:
        arrays = grown(name, inputs, attributes)
        if arrays is None:
            continue
        try:
            results = []
            for threads in (1, 2, 4):
                _core.set_threads(threads)
                results.append(run_all(name, arrays, attributes))
        finally:
            _core.set_threads(0)
        same_bits(results[1], results[0], f"{name}{attributes}: 2 threads")
        same_bits(results[2], results[0], f"{name}{attributes}: 4 threads")
        tried += 1
        if tried == 2:
            return


@pytest.mark.parametrize("name", [*IMAGE_OPS, "lstm", "gru", "simple_rnn"])
def test_batch_invariance(name):
    """The first image of a batch gives the bits that it gives alone."""
    tried = 0
    for inputs, attributes in BY_OP[name]:
        arrays = fill(inputs, np.float32)
        n = arrays[0].shape[0] if arrays[0].ndim else 0
        if n < 2 or arrays[0].ndim < 2:
            continue
        alone = [
            x[:1]
            if x is not None
            and (k == 0 or (name in ("max_unpool", "add", "multiply") or "entropy" in name))
            and x.ndim == arrays[0].ndim - (k > 0 and "sparse" in name)
            and x.shape[0] == n
            else x
            for k, x in enumerate(arrays)
        ]
        try:
            whole, first = call(name, arrays, attributes), call(name, alone, attributes)
        except ValueError:
            continue
        pairs = [(y.numpy(), z.numpy()) for y, z in zip(whole, first, strict=True)]
        expected = zip(*(twin_values(TWINS[name], x, attributes) for x in (arrays, alone)), strict=True)
        if not all(y.ndim and y.shape[0] == n and np.allclose(y[:1], z, equal_nan=True) for y, z in expected):
            continue  # the first dimension is not the batch here
        same_bits([z for _, z in pairs], [y[:1] for y, _ in pairs], f"{name}{attributes}: one image of {n}")
        tried += 1
        if 0 in differentiable(name, arrays):
            cotangents = cotangents_for(name, arrays, attributes)
            g = gradients(name, arrays, attributes, cotangents, [0])[0]
            h = gradients(name, alone, attributes, [c if c is None else c[:1] for c in cotangents], [0])[0]
            same_bits([h], [g[:1]], f"{name}{attributes}: gradient of one image of {n}")
    assert tried, f"{name} has no case with a batch"


@pytest.mark.parametrize("name, inputs, attributes", NUMBERED)
def test_symbols(name, inputs, attributes):
    """Inference gives the shapes of running, also for an unknown batch; a program gives the bits."""
    arrays = fill(inputs, np.float32)
    results = call(name, arrays, attributes)
    known = [None if x is None else _core.symbol(x.shape, str(x.dtype)) for x in arrays]
    symbols = call(name, known, attributes)
    for y, s in zip(results, symbols, strict=True):
        assert tuple(s.shape) == tuple(y.shape) and s.dtype == y.dtype
    given = [(s, x) for s, x in zip(known, arrays, strict=True) if s is not None]
    program = _core.Program([s for s, _ in given], symbols)
    same_bits(
        [y.numpy() for y in program(*(x for _, x in given))],
        [y.numpy() for y in results],
        f"{name} in a program",
    )
    if not arrays or arrays[0] is None or not arrays[0].ndim:
        return
    n = arrays[0].shape[0]
    open_ = [
        s if s is None or not s.ndim or s.shape[0] != n else _core.symbol((None, *s.shape[1:]), str(x.dtype))
        for s, x in zip(known, arrays, strict=True)
    ]
    try:
        symbols = call(name, open_, attributes)
    except ValueError:
        return  # this dimension must be known: it is refused by name, not guessed
    for y, s in zip(results, symbols, strict=True):
        assert len(s.shape) == len(y.shape) and s.dtype == y.dtype
        assert all(m in (None, k) for m, k in zip(s.shape, y.shape, strict=True)), (s.shape, y.shape)


# the checker itself
def _negated(name):
    return lambda *a, **k: tuple(-y for y in TWINS[name](*a, **k))


def _shifted(x, **attributes):
    return tuple(np.roll(y, 1, axis=1) for y in TWINS["average_pool2d"](x, **attributes))


WRONG = [
    ("multiply", [(3, 4), (4,)], {}, _negated("multiply")),
    ("divide", [(3, 4), np.array([0.5, -1.5, 2.0, 0.7])], {}, lambda x, y: (x / y + 1e-3 * y,)),
    (
        "batch_norm",
        [(6, 5), (5,), np.full(5, 2.0), (5,), (5,)],
        {},
        lambda x, m, v, g, b, epsilon=1e-3: ((x - m) / np.sqrt(v) * g + b,),
    ),
    (
        "pad",
        [(3, 4)],
        {"before": (1, 0), "after": (0, 2)},
        lambda x, before, after: (np.pad(x, [(0, 1), (0, 2)]),),
    ),
    ("average_pool2d", [(1, 6, 6, 2)], {"pool_size": 3, "strides": 1, "padding": "same"}, _shifted),
    ("transpose", [(4, 4)], {}, lambda x: (x.copy(),)),
    ("reduce_sum", [(4, 4)], {"axis": 0}, lambda x, axis: (x.sum(axis=1),)),
    ("softmax", [(3, 5)], {}, lambda x: (np.exp(x) / np.exp(x).sum(),)),
    (
        "conv2d",
        [(1, 5, 5, 2), (3, 3, 2, 3)],
        {"padding": "same"},
        lambda x, k, padding: TWINS["conv2d"](x, k[::-1], padding=padding),
    ),
    ("gather", [(4, 5), np.array([1, 3])], {}, lambda x, i: (x[i - 1],)),
]


@pytest.mark.parametrize("name, inputs, attributes, wrong", WRONG, ids=[w[0] for w in WRONG])
def test_checker_sees_wrong_twins(name, inputs, attributes, wrong):
    right = TWINS[name]
    check_values(name, inputs, attributes, right, np.float64)
    check_gradients(name, inputs, attributes, right)
    for dtype in (np.float64, np.float32):
        with pytest.raises(AssertionError):
            check_values(name, inputs, attributes, wrong, dtype)
    with pytest.raises(AssertionError):
        check_gradients(name, inputs, attributes, wrong)
