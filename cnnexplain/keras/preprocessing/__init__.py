"""Old home of the image helpers: `keras.preprocessing.image`."""

from . import image

__all__ = ["image"]
