"""Data sets: `load_data()` of `cifar10`, `cifar100`, `fashion_mnist` and `mnist`, as in Keras."""

from . import cifar10, cifar100, fashion_mnist, mnist

__all__ = ["cifar10", "cifar100", "fashion_mnist", "mnist"]
