"""Rules of relevance by definition, in float64: layers as matrices, products x_i w_ij written out."""

from __future__ import annotations

import numpy as np


def matrix(linear, shape):
    """(inputs, outputs) of a linear function by its values at unit vectors, and (outputs,) its constant."""
    size = int(np.prod(shape))
    values = np.asarray(linear(np.eye(size).reshape(size, *shape)), np.float64).reshape(size, -1)
    constant = np.asarray(linear(np.zeros((1, *shape))), np.float64).reshape(1, -1)
    return values - constant, constant[0]


def _stable(z, epsilon=1e-6):
    return z + epsilon * np.where(z >= 0, 1, -1)


def _by(products, bias, relevance, epsilon=1e-6):
    """sum_j products_ij / st(sum_i products_ij + b_j) R_j, for one image."""
    return (products / _stable(products.sum(0) + bias, epsilon)) @ relevance


def rule(name, x, w, b, relevance, **options):
    """The rule's R_i for x (n, inputs), w (inputs, outputs), b (outputs,), R (n, outputs)."""
    return np.stack([_one(name, x[i], w, b, relevance[i], **options) for i in range(len(x))])


def _one(name, x, w, b, r, epsilon=1e-6, gamma=0.25, alpha=2, beta=1, low=0, high=1, bias=True):
    b = b if bias else 0 * b
    products = x[:, None] * w
    up, down = np.maximum(products, 0), np.minimum(products, 0)
    b_up, b_down = np.maximum(b, 0), np.minimum(b, 0)
    if name == "epsilon":
        return _by(products, b, r, epsilon)
    if name == "z_plus":
        return _by(up, b_up, r)
    if name == "alpha_beta":
        return alpha * _by(up, b_up, r) - beta * _by(down, b_down, r)
    if name == "gamma":
        z = products.sum(0) + b
        for_positive = _by(products + gamma * up, b + gamma * b_up, r * (z > 0))
        return for_positive + _by(products + gamma * down, b + gamma * b_down, r * (z < 0))
    if name == "flat":
        return _by((w != 0).astype(float), 0 * b, r)
    if name == "w_square":
        return _by(w * w, b * b, r)
    if name == "z_box":
        low, high = np.broadcast_to(low, x.shape), np.broadcast_to(high, x.shape)
        box = products - low[:, None] * np.maximum(w, 0) - high[:, None] * np.minimum(w, 0)
        return _by(box, 0 * b, r)
    raise ValueError(name)


def share(parts, relevance):
    """What is added up takes its part of the sum: [x_1, x_2, ...] of one shape."""
    s = relevance / _stable(sum(parts))
    return [part * s for part in parts]
