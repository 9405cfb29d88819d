"""Cross-entropies from logits."""

import numpy as np

from .activation import log_softmax


def softmax_cross_entropy(logits, targets):
    # a class with target 0 adds nothing, even at a logit of -inf
    terms = np.where(targets == 0, 0, targets * np.where(targets == 0, 0, log_softmax(logits)[0]))
    return (-terms.sum(axis=-1),)


def sparse_softmax_cross_entropy(logits, labels):
    labels = np.asarray(labels).astype(np.int64)
    return (-np.take_along_axis(log_softmax(logits)[0], labels[..., None], axis=-1)[..., 0],)


def sigmoid_cross_entropy(logits, targets):
    return (np.logaddexp(0, logits) - logits * targets,)


TWINS = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "sparse_softmax_cross_entropy": sparse_softmax_cross_entropy,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
}

_rng = np.random.default_rng(7)
_ONE_HOT = np.eye(10)[_rng.integers(0, 10, 6)]
_SATURATED = np.array([[900.0, -900, 0], [-60, 45, 30]])
_LABELS = _rng.integers(0, 70, (2, 3))

CASES = [
    ("softmax_cross_entropy", [(6, 10), _ONE_HOT], {}),
    ("softmax_cross_entropy", [(2, 3, 70), _rng.uniform(0, 1, (2, 3, 70))], {}),
    ("softmax_cross_entropy", [(5,), (5,)], {}),
    ("softmax_cross_entropy", [_SATURATED, np.array([[0.0, 1, 0], [0.2, 0.5, 0.3]])], {}),
    ("softmax_cross_entropy", [(0, 3), (0, 3)], {}),
    ("sparse_softmax_cross_entropy", [(2, 3, 70), _LABELS], {}),
    ("sparse_softmax_cross_entropy", [(2, 3, 70), _LABELS.astype(np.uint8)], {}),
    ("sparse_softmax_cross_entropy", [(2, 3, 70), _LABELS.astype(np.int32)], {}),
    ("sparse_softmax_cross_entropy", [_SATURATED, np.array([1, 0])], {}),
    ("sigmoid_cross_entropy", [(4, 7), _rng.uniform(0, 1, (4, 7))], {}),
    ("sigmoid_cross_entropy", [_SATURATED, np.array([[0.0, 1, 0], [1, 0, 0.3]])], {}),
]
