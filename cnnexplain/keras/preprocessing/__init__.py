"""Data for learning, under Keras 2's names."""

from ..utils.dataset import image_dataset_from_directory
from ..utils.sequences import timeseries_dataset_from_array
from . import image, sequence

__all__ = ["image", "image_dataset_from_directory", "sequence", "timeseries_dataset_from_array"]
