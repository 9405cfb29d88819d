"""`einsum` on symbols of which several sizes are not known; expected values from np.einsum."""

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

N = None
EQUATIONS = [
    ("abc,cd->abd", (N, N, 4), (4, 5)),
    ("abcd,de->abce", (N, N, N, 4), (4, 3)),
    ("abcd,de->ecab", (N, N, 6, 4), (4, 3)),
    ("bqh,bkh->bqk", (N, N, 4), (N, N, 4)),
    ("buqk,bkuh->bquh", (N, 2, N, N), (N, N, 2, 4)),
    ("ab,cd->abcd", (N, N), (N, N)),
    ("ab,cd->cadb", (N, 3), (2, N)),
    ("ij,kj->ik", (N, N), (N, N)),
    ("abc,abd->cd", (N, N, 3), (N, N, 4)),
    ("abc,adc->bd", (N, N, 3), (N, N, 3)),
    ("abc,ade->abcde", (N, N, N), (N, N, N)),
    ("bhwc,bhwd->bcd", (N, N, N, 3), (N, N, N, 2)),
    ("bhwc,hwd->bcd", (N, N, N, 3), (N, N, 2)),
    ("bij,bjk->bik", (N, 3, N), (N, N, 4)),
    ("abc,b->ac", (N, N, N), (N,)),
]


@pytest.mark.parametrize(("equation", "first", "second"), EQUATIONS)
@pytest.mark.parametrize("batch", [0, 5])
def test_unknown_sizes(equation, first, second, batch):
    symbols = [keras.Input(batch_shape=shape) for shape in (first, second)]
    result = tf.einsum(equation, *symbols)
    sizes = {}
    for term, shape in zip(equation.split("->")[0].split(","), (first, second), strict=True):
        sizes.update({letter: size for letter, size in zip(term, shape, strict=True) if size is not None})
    known = dict(sizes)
    for letter in sorted(set(equation) - set("->,") - set(sizes)):
        sizes[letter] = len(sizes) + 5
    if batch == 0:
        sizes[equation[0]] = 0
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal([sizes[letter] for letter in term]).astype("float32")
        for term in equation.split("->")[0].split(",")
    ]
    assert tuple(result.shape) == tuple(known.get(letter) for letter in equation.split("->")[1])
    got = keras.Model(symbols, result)(arrays).numpy()
    np.testing.assert_allclose(got, np.einsum(equation, *arrays), atol=1e-5)


def test_tensordot_of_unknown_sizes():
    x = keras.Input((None, None, 3))
    kernel = np.arange(6.0, dtype="float32").reshape(3, 2)
    model = keras.Model(x, tf.tensordot(x, kernel, axes=1))
    data = np.random.default_rng(1).standard_normal((2, 5, 4, 3)).astype("float32")
    assert model.output_shape == (None, None, None, 2)
    np.testing.assert_allclose(model(data).numpy(), data @ kernel, atol=1e-5)
