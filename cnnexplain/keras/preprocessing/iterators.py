"""Batches of pictures from arrays and from directories, for `ImageDataGenerator`."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator as PythonIterator
from typing import Any

import numpy as np

from .. import config
from ..utils.dataset import files_below, folders_in
from ..utils.image import array_to_img, img_to_array, load_img
from ..utils.interaction import say
from ..utils.py_dataset import PyDataset

_CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


class Iterator(PyDataset):
    """Batches without end by `next`, or by number; define `_get_batches_of_transformed_samples(indices)`.

    Args:
        n: How many examples there are.
        batch_size: How many are in a batch.
        shuffle: Whether they are in another order in each epoch.
        seed: Of the orders, through NumPy's global generator.
    """

    white_list_formats = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = n
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.batch_index = 0
        self.total_batches_seen = 0
        self.lock = threading.Lock()
        self.index_array: Any = None
        self.index_generator = self._flow_index()

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _next_seed(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)

    def __getitem__(self, idx: int) -> Any:
        if not 0 <= idx < len(self):
            raise ValueError(f"`idx` must be in [0, {len(self)}), the number of batches. Received: idx={idx}")
        self._next_seed()
        self.total_batches_seen += 1
        if self.index_array is None:
            self._set_index_array()
        begin = self.batch_size * idx
        return self._get_batches_of_transformed_samples(self.index_array[begin : begin + self.batch_size])

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def on_epoch_end(self) -> None:
        self._set_index_array()

    def reset(self) -> None:
        """`next` begins with the first batch again."""
        self.batch_index = 0

    def _flow_index(self) -> PythonIterator[np.ndarray]:
        self.reset()
        while True:
            self._next_seed()
            if self.batch_index == 0:
                self._set_index_array()
            begin = self.batch_index * self.batch_size % self.n if self.n else 0
            self.batch_index = self.batch_index + 1 if self.n > begin + self.batch_size else 0
            self.total_batches_seen += 1
            yield self.index_array[begin : begin + self.batch_size]

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        with self.lock:
            chosen = next(self.index_generator)
        return self._get_batches_of_transformed_samples(chosen)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} must define `_get_batches_of_transformed_samples(self, index_array)`."
        )


def check_subset(subset: Any) -> None:
    """The part of the data that a `validation_split` leaves."""
    if subset not in (None, "training", "validation"):
        raise ValueError(f"`subset` must be 'training' or 'validation'. Received: subset={subset!r}")


def _save(iterator: Any, batch: np.ndarray, chosen: np.ndarray, most: float) -> None:
    """Writes a batch's pictures where `save_to_dir` says."""
    if not iterator.save_to_dir:
        return
    for picture, number in zip(batch, chosen, strict=True):
        name = f"{iterator.save_prefix}_{number}_{np.random.randint(int(most))}.{iterator.save_format}"
        array_to_img(picture, iterator.data_format, scale=True).save(os.path.join(iterator.save_to_dir, name))


class NumpyArrayIterator(Iterator):
    """Batches of transformed pictures from an array; `ImageDataGenerator.flow` makes it."""

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: Any = None,
    ):
        self.data_format = data_format or config.image_data_format()
        self.dtype = dtype or config.floatx()
        others: list[np.ndarray] = []
        if isinstance(x, (tuple, list)) and not np.isscalar(x[0]) and len(x) == 2:
            others = [np.asarray(part) for part in (x[1] if isinstance(x[1], list) else [x[1]])]
            x = x[0]
        x = np.asarray(x)
        for name, part in (("x[1]", others), ("y", [y]), ("sample_weight", [sample_weight])):
            for array in part:
                if array is not None and len(array) != len(x):
                    raise ValueError(
                        f"`x` and `{name}` must have one length. Received: {len(x)} and {len(array)}"
                    )
        check_subset(subset)
        y = None if y is None else np.asarray(y)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        if subset is not None:
            at = int(len(x) * image_data_generator._validation_split)
            if y is not None and not ignore_class_split and set(_classes(y[:at])) != set(_classes(y[at:])):
                raise ValueError(
                    "`y` must have the same classes in the training and the validation part: shuffle arrays "
                    f"that are sorted by label. Received: {_classes(y[at:])} and {_classes(y[:at])}"
                )
            half = slice(None, at) if subset == "validation" else slice(at, None)
            x, others = x[half], [array[half] for array in others]
            y = None if y is None else y[half]
            weights = None if weights is None else weights[half]
        self.x = np.asarray(x, dtype=self.dtype)
        self.x_misc = others
        if self.x.ndim != 4:
            raise ValueError(f"`x` must have rank 4. Received: shape {self.x.shape}")
        channels = self.x.shape[3 if self.data_format == "channels_last" else 1]
        if channels not in (1, 3, 4):
            warnings.warn(
                f"`x` should have 1, 3 or 4 channels in the layout {self.data_format}. "
                f"Received: shape {self.x.shape}",
                stacklevel=2,
            )
        self.y = y
        self.sample_weight = weights
        self.image_data_generator = image_data_generator
        self.save_to_dir = save_to_dir
        self.save_prefix = save_prefix
        self.save_format = save_format
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.x.shape[1:]), dtype=self.dtype)
        for place, number in enumerate(index_array):
            batch[place] = self.image_data_generator._augmented(self.x[number].copy())
        _save(self, batch, index_array, 1e4)
        inputs = [batch, *(array[index_array] for array in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return inputs
        if self.sample_weight is None:
            return inputs, self.y[index_array]
        return inputs, self.y[index_array], self.sample_weight[index_array]


def _classes(y: np.ndarray) -> list:
    return np.unique(y).tolist()


class FileIterator(Iterator):
    """Batches of transformed pictures from files.

    Attributes:
        filenames, filepaths: The files.
        classes: The label of each.
        class_indices: Label of each class's name.
        samples: How many there are.
    """

    allowed_class_modes: tuple = ("categorical", "binary", "sparse", "input", None)
    classes: Any
    class_indices: dict
    class_mode: str | None
    dtype: Any
    filenames: list
    samples: int
    _filepaths: list

    def set_processing_attrs(
        self,
        image_data_generator: Any,
        target_size: Any,
        color_mode: str,
        data_format: str,
        save_to_dir: Any,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
    ) -> None:
        """Keeps how files become pictures."""
        if color_mode not in _CHANNELS:
            raise ValueError(
                f"`color_mode` must be 'rgb', 'rgba' or 'grayscale'. Received: color_mode={color_mode!r}"
            )
        check_subset(subset)
        self.image_data_generator = image_data_generator
        self.target_size = tuple(target_size)
        self.keep_aspect_ratio = keep_aspect_ratio
        self.color_mode = color_mode
        self.data_format = data_format
        last = (*self.target_size, _CHANNELS[color_mode])
        self.image_shape = last if data_format == "channels_last" else (last[2], *self.target_size)
        self.save_to_dir = save_to_dir
        self.save_prefix = save_prefix
        self.save_format = save_format
        self.interpolation = interpolation
        self.subset = subset
        self.split = None
        if subset is not None:
            share = image_data_generator._validation_split
            self.split = (0, share) if subset == "validation" else (share, 1)

    def _check_class_mode(self, class_mode: Any) -> None:
        if class_mode not in self.allowed_class_modes:
            raise ValueError(
                f"`class_mode` must be one of {self.allowed_class_modes}. Received: class_mode={class_mode!r}"
            )

    @property
    def filepaths(self) -> list:
        """Paths of the files."""
        return self._filepaths

    @property
    def labels(self) -> Any:
        """Label of each file."""
        return self.classes

    @property
    def sample_weight(self) -> Any:
        """Weight of each file; None: all alike."""
        return None

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        batch = np.zeros((len(index_array), *self.image_shape), dtype=self.dtype)
        for place, number in enumerate(index_array):
            picture = load_img(
                self.filepaths[number],
                color_mode=self.color_mode,
                target_size=self.target_size,
                interpolation=self.interpolation,
                keep_aspect_ratio=self.keep_aspect_ratio,
            )
            x = img_to_array(picture, data_format=self.data_format)
            batch[place] = self.image_data_generator._augmented(x) if self.image_data_generator else x
        _save(self, batch, index_array, 1e7)
        targets = self._targets_of(batch, index_array)
        if targets is None:
            return batch
        return (
            (batch, targets)
            if self.sample_weight is None
            else (
                batch,
                targets,
                self.sample_weight[index_array],
            )
        )

    def _targets_of(self, batch: np.ndarray, index_array: np.ndarray) -> Any:
        if self.class_mode == "input":
            return batch.copy()
        if self.class_mode in ("binary", "sparse"):
            return np.array([self.classes[number] for number in index_array], dtype=self.dtype)
        if self.class_mode == "categorical":
            rows = np.zeros((len(batch), len(self.class_indices)), dtype=self.dtype)
            for row, number in zip(rows, index_array, strict=True):
                row[self.classes[number]] = 1
            return rows
        if self.class_mode == "multi_output":
            return [output[index_array] for output in self.labels]
        return self.labels[index_array] if self.class_mode == "raw" else None


class DirectoryIterator(FileIterator):
    """Batches of pictures from a directory; `ImageDataGenerator.flow_from_directory` makes it."""

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
    ):
        self.set_processing_attrs(
            image_data_generator,
            target_size,
            color_mode,
            data_format or config.image_data_format(),
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
            keep_aspect_ratio,
        )
        self._check_class_mode(class_mode)
        self.class_mode = class_mode
        self.dtype = dtype or config.floatx()
        self.directory = directory = os.fspath(directory)
        folders = folders_in(directory)
        names = list(classes or ()) or folders
        self.num_classes = len(names)
        self.class_indices = {name: place for place, name in enumerate(names)}
        found = []
        for place, name in enumerate(names):
            below = list(files_below(os.path.join(directory, name), follow_links, self.white_list_formats))
            if self.split:
                begin, end = (int(share * len(below)) for share in self.split)
                below = below[begin:end]
            found += [(os.path.relpath(path, directory), place) for path in below]
        self.filenames = [name for name, _ in found]
        self.classes = np.array([place for _, place in found], dtype="int32")
        self.samples = len(found)
        self._filepaths = [os.path.join(directory, name) for name in self.filenames]
        say(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)
