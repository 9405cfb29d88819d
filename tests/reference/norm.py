"""Batch normalisation with given moments and with those of the batch."""

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


TWINS = {"batch_norm": batch_norm, "batch_norm_training": batch_norm_training}

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
    ("batch_norm_training", [_SHIFTED, (2,), (2,)], {}),
]
