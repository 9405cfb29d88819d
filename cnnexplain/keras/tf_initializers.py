"""Initializers under TensorFlow's names, `tf.random_normal_initializer` and its like."""

from __future__ import annotations

from .initializers import Constant as constant_initializer
from .initializers import Ones as ones_initializer
from .initializers import RandomNormal as random_normal_initializer
from .initializers import RandomUniform as random_uniform_initializer
from .initializers import Zeros as zeros_initializer

__all__ = [
    "constant_initializer",
    "ones_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "zeros_initializer",
]
