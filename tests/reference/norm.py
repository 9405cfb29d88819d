"""Batch normalisation with given moments and with those of the batch; normalisation across channels."""

import numpy as np


def batch_norm(x, mean, variance, gamma=None, beta=None, epsilon=1e-3):
    y = (x - mean) / np.sqrt(variance + epsilon)
    y = y if gamma is None else y * gamma
    return (y if beta is None else y + beta,)


def batch_norm_training(x, gamma=None, beta=None, epsilon=1e-3):
    axes, rows = tuple(range(x.ndim - 1)), np.float64(np.prod(x.shape[:-1]))
    mean = x.sum(axis=axes) / rows  # NaN without rows, quietly
    variance = ((x - mean) ** 2).sum(axis=axes) / rows
    return (*batch_norm(x, mean, variance, gamma, beta, epsilon), mean, variance)


def local_response_normalization(x, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5):
    size = np.empty(x.shape)
    for k in range(x.shape[-1]):
        near = x[..., max(k - depth_radius, 0) : k + depth_radius + 1]
        size[..., k] = bias + alpha * (near * near).sum(axis=-1)
    return (x / size**beta,)


TWINS = {
    "batch_norm": batch_norm,
    "batch_norm_training": batch_norm_training,
    "local_response_normalization": local_response_normalization,
}

_rng = np.random.default_rng(6)
_SPREAD = _rng.uniform(0.2, 3, 5)
_SHIFTED = 100 + _rng.normal(size=(3, 5, 7, 2))  # a mean far from 0 ruins one-pass variances

CASES = [
    ("batch_norm", [(2, 3, 4, 5), (5,), _SPREAD, (5,), (5,)], {}),
    ("batch_norm", [(2, 3, 4, 5), (5,), _SPREAD, None, (5,)], {"epsilon": 1e-5}),
    ("batch_norm", [(6, 5), (5,), _SPREAD, (5,), None], {}),
    ("batch_norm", [(6, 5), (5,), _SPREAD], {"epsilon": 0.1}),
    ("batch_norm_training", [(3, 5, 7, 4), (4,), (4,)], {}),
    ("batch_norm_training", [(9, 11, 13, 3), None, (3,)], {"epsilon": 1e-5}),
    ("batch_norm_training", [(150, 2), (2,), None], {}),
    ("batch_norm_training", [(7, 3)], {"epsilon": 0.01}),
    ("local_response_normalization", [(2, 3, 4, 9)], {}),
    ("local_response_normalization", [(1, 2, 3, 5)], {"depth_radius": 1, "beta": 0.75, "alpha": 0.3}),
    ("local_response_normalization", [(2, 2, 2, 7)], {"depth_radius": 2, "beta": 1.0, "bias": 2.0}),
    ("local_response_normalization", [(2, 1, 3, 4)], {"depth_radius": 0, "beta": 1.3}),
    ("local_response_normalization", [(2, 9, 11, 20)], {"depth_radius": 10**9, "beta": 0.6}),
    ("batch_norm_training", [_SHIFTED, (2,), (2,)], {}),
]
