"""The recurrent layers, step by step from their equations."""

import numpy as np


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _walk(x, states, mask, step, go_backwards, zero_output_for_mask):
    """step(x_t, *states) -> new states; outputs in the order of the steps."""
    times = range(x.shape[1])
    outputs = []
    for t in reversed(times) if go_backwards else times:
        new = step(x[:, t], *states)
        output = new[0]
        if mask is not None:
            on = mask[:, t, None]
            before = np.zeros_like(output) if zero_output_for_mask or not outputs else outputs[-1]
            output = np.where(on, output, before)
            new = [np.where(on, a, b) for a, b in zip(new, states, strict=True)]
        outputs.append(output)
        states = new
    shape = (len(x), 0, states[0].shape[1])
    return (np.stack(outputs, axis=1) if outputs else np.zeros(shape), *states)


def _or_zeros(state, x, units):
    return np.zeros((len(x), units)) if state is None else state


def lstm(x, w, u, b=None, h=None, c=None, mask=None, go_backwards=False, zero_output_for_mask=False):
    units = len(u)
    b = np.zeros(4 * units) if b is None else b

    def step(x, h, c):
        i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c

    states = [_or_zeros(h, x, units), _or_zeros(c, x, units)]
    return _walk(x, states, mask, step, go_backwards, zero_output_for_mask)


def gru(x, w, u, b=None, h=None, mask=None, go_backwards=False, zero_output_for_mask=False, reset_after=True):
    units = len(u)
    b = np.zeros((2, 3 * units) if reset_after else 3 * units) if b is None else b

    def step(x, h):
        xz, xr, xg = np.split(x @ w + (b[0] if reset_after else b), 3, axis=1)
        uz, ur, ug = np.split(u, 3, axis=1)
        if reset_after:
            bz, br, bg = np.split(b[1], 3)
            z, r = _sigmoid(xz + h @ uz + bz), _sigmoid(xr + h @ ur + br)
            g = np.tanh(xg + r * (h @ ug + bg))
        else:
            z, r = _sigmoid(xz + h @ uz), _sigmoid(xr + h @ ur)
            g = np.tanh(xg + (r * h) @ ug)
        return [z * h + (1 - z) * g]

    return _walk(x, [_or_zeros(h, x, units)], mask, step, go_backwards, zero_output_for_mask)


def simple_rnn(x, w, u, b=None, h=None, mask=None, go_backwards=False, zero_output_for_mask=False):
    b = 0 if b is None else b
    states = [_or_zeros(h, x, len(u))]

    def step(x, h):
        return [np.tanh(x @ w + h @ u + b)]

    return _walk(x, states, mask, step, go_backwards, zero_output_for_mask)


TWINS = {"lstm": lstm, "gru": gru, "simple_rnn": simple_rnn}

_MASK = np.array([[True, False, True, False], [False, True, True, True], [True, True, False, True]])
_BACK = {"go_backwards": True}
_ZERO = {"zero_output_for_mask": True}


def _inputs(gates, n, t, c, u, bias=None, states=0):
    bias = [(gates * u,) if bias is None else bias]
    return [(n, t, c), (c, gates * u), (u, gates * u), *bias, *[(n, u)] * states]


CASES = [
    ("lstm", _inputs(4, 3, 4, 5, 2, states=2), {}),
    ("lstm", _inputs(4, 3, 4, 3, 3), _BACK),
    ("lstm", [(2, 5, 3), (3, 8), (2, 8)], {}),
    ("lstm", [*_inputs(4, 3, 4, 5, 2, states=2), _MASK], {}),
    ("lstm", [*_inputs(4, 3, 4, 2, 2), None, None, _MASK], _BACK | _ZERO),
    ("lstm", [*_inputs(4, 3, 4, 2, 2, states=1), None, _MASK], _BACK),
    ("lstm", _inputs(4, 1, 3, 2, 17, states=2), {}),
    ("lstm", _inputs(4, 2, 0, 2, 3, states=2), {}),
    ("lstm", _inputs(4, 0, 3, 2, 3), {}),
    ("simple_rnn", _inputs(1, 3, 4, 5, 2, states=1), {}),
    ("simple_rnn", [(2, 5, 3), (3, 2), (2, 2)], _BACK),
    ("simple_rnn", [*_inputs(1, 3, 4, 5, 2, states=1), _MASK], {}),
    ("simple_rnn", [*_inputs(1, 3, 4, 5, 2), None, _MASK], _BACK | _ZERO),
    ("simple_rnn", _inputs(1, 2, 0, 2, 3, states=1), {}),
]
for _attributes, _bias in (({}, (2, 9)), ({"reset_after": False}, None)):
    CASES += [
        ("gru", _inputs(3, 2, 5, 4, 3, _bias, states=1), _attributes),
        ("gru", [(2, 5, 3), (3, 6), (2, 6)], _attributes | _BACK),
        ("gru", [*_inputs(3, 3, 4, 5, 3, _bias, states=1), _MASK], _attributes),
        ("gru", [*_inputs(3, 3, 4, 5, 3, _bias), None, _MASK], _attributes | _BACK | _ZERO),
        ("gru", _inputs(3, 2, 0, 2, 3, _bias, states=1), _attributes),
    ]

# Enough examples and work for workers that walk their own examples.
_rng = np.random.default_rng(7)
_MANY = _rng.random((20, 20)) < 0.7


def _many(gates, u, bias):
    x, kernel, recurrent = ((20, 20, 2), (2, gates * u), (u, gates * u))
    return [x, kernel, _rng.normal(size=recurrent) / u**0.5 / 2, bias, (20, u)]


CASES += [
    ("lstm", [*_many(4, 40, (160,)), None, _MANY], {}),
    ("gru", [*_many(3, 48, (2, 144)), _MANY], {}),
    ("gru", [*_many(3, 48, (144,)), _MANY], {"reset_after": False, "go_backwards": True}),
]
