"""The version of this package, under the names TensorFlow gives it."""

VERSION = "0.1.0"
__version__ = VERSION
