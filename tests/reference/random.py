"""Philox4x32-10 and the streams made of it, exactly."""

import numpy as np

_M = np.uint64(0xFFFFFFFF)


def philox(seed, counter, block):
    """Four uint32 words for each block: an array (..., 4). Salmon et al., SC 2011."""
    block = np.asarray(block, dtype=np.uint64)
    seed, counter = int(seed) % 2**64, int(counter) % 2**64
    a, b = block & _M, block >> np.uint64(32)
    c = np.full_like(block, counter & 0xFFFFFFFF)
    d = np.full_like(block, counter >> 32)
    low, high = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b = (q >> np.uint64(32)) ^ b ^ np.uint64(low), q & _M
        c, d = (p >> np.uint64(32)) ^ d ^ np.uint64(high), p & _M
        low, high = (low + 0x9E3779B9) % 2**32, (high + 0xBB67AE85) % 2**32
    return np.stack([a, b, c, d], axis=-1).astype(np.uint32)


def _fractions(words, double):
    """24 bits of each word, or 53 of each pair of words."""
    words = words.astype(np.uint64)
    if not double:
        return (words >> np.uint64(8)).astype(np.float64) * 2.0**-24
    pairs = (words[..., 0::2] << np.uint64(32)) | words[..., 1::2]
    return (pairs >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _normals(words, double):
    """Box-Muller over each block: (cosine, sine) of each pair of numbers."""
    if double:
        u, v = _fractions(words, True)[..., 0::2] + 2.0**-53, _fractions(words, True)[..., 1::2]
    else:
        u, v = (words[..., 0::2] + 1.0) * 2.0**-32, words[..., 1::2] * 2.0**-32
    radius = np.sqrt(-2 * np.log(u))
    pairs = [radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)]
    return np.stack(pairs, axis=-1).reshape(*words.shape[:-1], 2 * u.shape[-1])


def _stream(make, seed, n, double):
    per = 2 if double else 4
    return make(philox(seed[0], seed[1], np.arange(-(-n // per))), double).reshape(-1)[:n]


def _finish(values, shape, dtype):
    return (values.astype(dtype).reshape(shape),)


def _shape(shape, like=None):
    shape = (shape,) if np.isscalar(shape) else tuple(shape)
    return (
        shape if like is None else tuple(n if k == -1 else k for n, k in zip(like.shape, shape, strict=False))
    )


def random_uniform(seed, like=None, *, shape, low=0.0, high=1.0, dtype="float32"):
    shape = _shape(shape, like)
    u = _stream(_fractions, seed, int(np.prod(shape)), dtype == "float64")
    values = (low + u * (high - low)).astype(dtype)
    if high > low:
        top = np.dtype(dtype).type(high)
        values = np.where(values >= top, np.nextafter(top, top.dtype.type(-np.inf)), values)
    return _finish(values, shape, dtype)


def random_normal(seed, like=None, *, shape, mean=0.0, stddev=1.0, dtype="float32"):
    shape = _shape(shape, like)
    z = _stream(_normals, seed, int(np.prod(shape)), dtype == "float64")
    return _finish(mean + stddev * z, shape, dtype)


def random_truncated_normal(seed, like=None, *, shape, mean=0.0, stddev=1.0, dtype="float32"):
    shape = _shape(shape, like)
    double = dtype == "float64"
    z = _stream(_normals, seed, int(np.prod(shape)), double)
    for i in np.flatnonzero(np.abs(z) > 2):
        attempt = 1
        while abs(z[i]) > 2:
            tries = _normals(philox(seed[0], seed[1], attempt * 2**48 + int(i)), double)
            good = tries[np.abs(tries) <= 2]
            if len(good):
                z[i] = good[0]
            attempt += 1
    return _finish(mean + stddev * z, shape, dtype)


def dropout(x, seed, rate=0.5, noise_shape=None):
    shape = (
        x.shape
        if noise_shape is None
        else tuple(n if k == -1 else k for n, k in zip(x.shape, _shape(noise_shape), strict=True))
    )
    u = _stream(_fractions, seed, int(np.prod(shape)), False).reshape(shape)
    scale = 1 / (1 - rate) if rate < 1 else 0.0
    return (np.where(np.broadcast_to(u, x.shape) >= rate, x * scale, 0).astype(x.dtype),)


TWINS = {
    "random_uniform": random_uniform,
    "random_normal": random_normal,
    "random_truncated_normal": random_truncated_normal,
    "dropout": dropout,
}

_SEED = np.array([1234, 5], np.int64)
_NEGATIVE = np.array([-7, 2**40 + 3], np.int64)

CASES = [
    *((name, [_SEED], {"shape": (5, 7)}) for name in TWINS if name != "dropout"),
    *((name, [_NEGATIVE], {"shape": 301, "dtype": "float64"}) for name in TWINS if name != "dropout"),
    *((name, [_SEED], {"shape": ()}) for name in TWINS if name != "dropout"),
    ("random_uniform", [_SEED], {"shape": (3, 4), "low": -2.0, "high": 5.0}),
    ("random_normal", [_SEED], {"shape": (3, 0)}),
    ("random_normal", [_SEED], {"shape": (3, 4), "mean": 10.0, "stddev": 0.5}),
    ("random_truncated_normal", [_SEED], {"shape": 1000, "mean": -1.0, "stddev": 3.0}),
    *((name, [_SEED, (5, 2, 3)], {"shape": (-1, 4)}) for name in TWINS if name != "dropout"),
    ("random_uniform", [_SEED, np.zeros((2, 3), np.uint8)], {"shape": (-1, -1)}),
    ("dropout", [(4, 33), _SEED], {}),
    ("dropout", [(3, 5, 7, 4), _NEGATIVE], {"rate": 0.2}),
    ("dropout", [(3, 5, 7, 4), _SEED], {"rate": 0.3, "noise_shape": (-1, 1, 1, -1)}),
    ("dropout", [(3, 5, 4), _SEED], {"rate": 0.6, "noise_shape": (3, -1, 1)}),
    ("dropout", [(6, 3), _SEED], {"rate": 0.0}),
    ("dropout", [(6, 3), _SEED], {"rate": 1.0}),
]
