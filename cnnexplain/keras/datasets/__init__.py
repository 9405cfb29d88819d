"""Data sets: `fashion_mnist.load_data()` and `mnist.load_data()`, as in Keras."""

from . import fashion_mnist, mnist

__all__ = ["fashion_mnist", "mnist"]
