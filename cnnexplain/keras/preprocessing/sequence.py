"""`pad_sequences` under Keras 2's name."""

from ..utils.sequences import pad_sequences

__all__ = ["pad_sequences"]
