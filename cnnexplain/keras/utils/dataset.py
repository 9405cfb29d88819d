"""Pictures in folders as a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnexplain import data as tf_data
from cnnexplain import image as tf_image
from cnnexplain import io as tf_io
from cnnexplain.image.resampling import METHODS

from .. import config
from .image import smart_resize
from .interaction import say

FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}


def files_below(folder: str, follow_links: bool, formats: tuple[str, ...]) -> Iterator[str]:
    """The paths of the files in a folder and below it, in order of their folders' and their own names."""
    for root, _, names in sorted(os.walk(folder, followlinks=follow_links), key=lambda found: found[0]):
        for name in sorted(names):
            if name.lower().endswith(formats):
                yield os.path.join(root, name)


def folders_in(directory: str) -> list[str]:
    """The names of a directory's subdirectories, sorted."""
    if not os.path.isdir(directory):
        raise FileNotFoundError(
            "`directory` must be a folder that exists, with one folder of pictures for each class. Received: "
            f"directory={directory!r}"
        )
    return sorted(name for name in os.listdir(directory) if os.path.isdir(os.path.join(directory, name)))


def _index(
    directory: str, labels: Any, class_names: Any, shuffle: bool, seed: int, follow_links: bool, verbose: Any
) -> tuple[list[str], Any, list[str] | None]:
    """Paths, labels and names of the classes, in Keras's order."""
    folders = folders_in(directory)
    if labels == "inferred":
        found = [name for name in folders if not name.startswith(".")]
        if class_names is not None and not set(class_names) <= set(found):
            raise ValueError(
                f"`class_names` must be names of subdirectories: {found}. Received: class_names={class_names}"
            )
        names: list[str] | None = list(found if class_names is None else class_names)
        below = [
            list(files_below(os.path.join(directory, name), follow_links, FORMATS)) for name in names or ()
        ]
        paths = [path for part in below for path in part]
        labels = np.repeat(np.arange(len(below)), [len(part) for part in below]).astype("int32")
    else:
        if class_names is not None:
            raise ValueError(
                "`class_names` can only be given with labels='inferred'. Received: "
                f"labels={labels}, class_names={class_names}"
            )
        paths = list(files_below(directory, follow_links, FORMATS))
        names = None
        if labels is not None:
            if len(labels) != len(paths):
                raise ValueError(
                    f"`labels` must hold one label for each of the {len(paths)} files in {directory}. "
                    f"Received: {len(labels)} labels"
                )
            names = [str(label) for label in sorted(set(labels))]
            labels = list(labels)
    if verbose:
        classes = "." if names is None else f" belonging to {len(names)} classes."
        say(f"Found {len(paths)} files{classes}")
    if shuffle:
        np.random.RandomState(seed).shuffle(paths)
        if labels is not None:
            np.random.RandomState(seed).shuffle(labels)
    return paths, labels, names


def _part(paths: list[str], labels: Any, share: float | None, subset: str | None) -> tuple[list[str], Any]:
    """The first or the last part of the files."""
    if not share:
        return paths, labels
    held = int(share * len(paths))
    at = len(paths) - held
    if subset == "training":
        # without any file for validation `paths[:-0]` is empty, as in Keras
        chosen = slice(None, at if held else 0)
        say(f"Using {at} files for training.")
    else:
        chosen = slice(at if held else 0, None)
        say(f"Using {held} files for validation.")
    return paths[chosen], None if labels is None else labels[chosen]


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: Any = True,
) -> Any:
    """A data set of the pictures in a directory, whose subdirectories are the classes.

    A seed gives Keras's `file_paths` and split; the order inside the shuffle buffer is another one. Pixels
    are Keras's to rounding, those of JPEG files to a few of 255: the decoders round differently.

    Args:
        directory: Path.
        labels: "inferred" from the subdirectories; a list with the label of each file, in the order of their
            paths; None: no labels.
        label_mode: "int": int32 (n,); "binary": 0 or 1, float32 (n, 1); "categorical": one-hot float32
            (n, classes); None: no labels.
        class_names: The subdirectories to use, in the order of their labels. Default: all, sorted.
        color_mode: "grayscale", "rgb" or "rgba".
        batch_size: None: single pictures.
        image_size: (height, width).
        shuffle: Random order; False: in the order of the names.
        seed: Of the order.
        validation_split: Share of the files held back.
        subset: "training", "validation" or "both".
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian" or
            "mitchellcubic".
        follow_links: Whether linked directories are visited.
        crop_to_aspect_ratio: Cut the greatest part with the target's proportions, then resize.
        pad_to_aspect_ratio: Resize to fit inside the target, zeros around it.
        data_format: "channels_last" or "channels_first".
        format: "tf".
        verbose: Whether it prints how many files it found.

    Returns:
        A `data.Dataset` of float32 pictures (n, height, width, channels) with values from 0 to 255, or of
        (pictures, labels), with attributes `class_names` and `file_paths`; two of them for subset="both".

    Raises:
        ValueError: a wrong argument, or no pictures.
    """
    if labels not in ("inferred", None) and not isinstance(labels, (list, tuple)):
        raise ValueError(
            "`labels` must be 'inferred', None, or a list with one integer for each file. "
            f"Received: labels={labels}"
        )
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(
            "`label_mode` must be 'int', 'categorical', 'binary' or None. "
            f"Received: label_mode={label_mode!r}"
        )
    if labels is None or label_mode is None:
        labels, label_mode = None, None
    if color_mode not in _CHANNELS:
        raise ValueError(
            f"`color_mode` must be 'grayscale', 'rgb' or 'rgba'. Received: color_mode={color_mode!r}"
        )
    if isinstance(image_size, int):
        image_size = (image_size, image_size)
    if not isinstance(image_size, (list, tuple)) or len(image_size) != 2:
        raise ValueError(f"`image_size` must be a tuple of 2 integers. Received: image_size={image_size}")
    interpolation = interpolation.lower()
    if interpolation not in METHODS:
        raise ValueError(
            f"`interpolation` must be one of {METHODS}. Received: interpolation={interpolation!r}"
        )
    if format != "tf":
        raise ValueError(f"`format` must be 'tf'. Received: format={format!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("`crop_to_aspect_ratio` and `pad_to_aspect_ratio` must not both be True")
    _check_split(validation_split, subset, shuffle, seed)
    if seed is None:
        seed = np.random.randint(int(1e6))
    directory = os.fspath(directory)
    paths, labels, names = _index(directory, labels, class_names, shuffle, seed, follow_links, verbose)
    if label_mode == "binary" and len(names or ()) != 2:
        raise ValueError(f"`label_mode` 'binary' needs 2 classes. Received: class_names={names}")

    load = _Loader(
        image_size,
        _CHANNELS[color_mode],
        interpolation,
        config.standardize_data_format(data_format),
        crop_to_aspect_ratio,
        pad_to_aspect_ratio,
    )
    made = []
    for which in ("training", "validation") if subset == "both" else (subset,):
        files, marks = _part(paths, labels, validation_split, which)
        if not files:
            kind = f"{which} images" if subset == "both" else "images"
            raise ValueError(f"No {kind} found in directory {directory}. Allowed formats: {FORMATS}")
        mixed = shuffle and not (subset == "both" and which == "validation")
        made.append(_dataset(files, marks, label_mode, len(names or ()), load, mixed, batch_size, seed))
        made[-1].class_names = names
        made[-1].file_paths = files
    return made if subset == "both" else made[0]


def _check_split(validation_split: Any, subset: Any, shuffle: Any, seed: Any) -> None:
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(
            f"`validation_split` must be between 0 and 1. Received: validation_split={validation_split}"
        )
    if bool(validation_split) != bool(subset):
        raise ValueError(
            "`subset` and `validation_split` must be given together. Received: "
            f"subset={subset!r}, validation_split={validation_split}"
        )
    if subset not in ("training", "validation", "both", None):
        raise ValueError(f"`subset` must be 'training', 'validation' or 'both'. Received: subset={subset!r}")
    if validation_split and shuffle and seed is None:
        raise ValueError(
            "`seed` must be given with `validation_split` and `shuffle`: without it the two subsets would "
            "overlap. Received: seed=None"
        )


class _Loader:
    """Reads a picture and brings it to the target's size."""

    def __init__(self, size: Any, channels: int, interpolation: str, data_format: str, crop: bool, pad: bool):
        self.size = (int(size[0]), int(size[1]))
        self.channels = channels
        self.interpolation = interpolation
        self.data_format = data_format
        self.crop = crop
        self.pad = pad

    def __call__(self, path: str) -> Any:
        try:
            contents = tf_io.read_file(path)
            picture = tf_io.decode_image(contents, channels=self.channels, expand_animations=False)
        except (ValueError, OSError) as error:
            raise type(error)(f"{path} cannot be read as a picture: {error}") from error
        if self.crop:
            picture = smart_resize(picture, self.size, self.interpolation)
        elif self.pad:
            picture = tf_image.resize_with_pad(picture, *self.size, method=self.interpolation)
        else:
            picture = tf_image.resize(picture, self.size, method=self.interpolation)
        array = np.asarray(picture)
        return array.transpose(2, 0, 1) if self.data_format == "channels_first" else array


def _dataset(
    paths: list[str],
    labels: Any,
    label_mode: str | None,
    classes: int,
    load: _Loader,
    shuffle: bool,
    batch_size: int | None,
    seed: int,
) -> Any:
    dataset: Any
    if label_mode is None:
        dataset = tf_data.Dataset.from_tensor_slices(paths)
    else:
        marks = np.asarray(labels, "int32")
        if label_mode == "binary":
            marks = marks.astype("float32")[:, None]
        elif label_mode == "categorical":
            marks = (marks[:, None] == np.arange(classes)).astype("float32")
        dataset = tf_data.Dataset.from_tensor_slices((paths, marks))
    if shuffle:
        dataset = dataset.shuffle(1024 if batch_size is None else batch_size * 8, seed=seed)
    if label_mode is None:
        dataset = dataset.map(load, num_parallel_calls=tf_data.AUTOTUNE)
    else:
        dataset = dataset.map(lambda path, mark: (load(path), mark), num_parallel_calls=tf_data.AUTOTUNE)
    if batch_size is not None:
        dataset = dataset.batch(batch_size)
    return dataset.prefetch(tf_data.AUTOTUNE)
