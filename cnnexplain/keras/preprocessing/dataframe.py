"""Batches of pictures whose files and labels are in a pandas table."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from ..utils.interaction import say
from .iterators import FileIterator

_WITHOUT_CLASSES = ("input", "multi_output", "raw", None)


class DataFrameIterator(FileIterator):
    """Batches of pictures from a table; `ImageDataGenerator.flow_from_dataframe` makes it.

    Args:
        dataframe: pandas table.
        directory: Where the files are; None: the table has whole paths.
        x_col, y_col, weight_col: Columns with file names, labels and weights.
        class_mode: "categorical", "binary", "sparse", "input", "multi_output", "raw" or None.
        validate_filenames: Whether files that do not exist are left out.
    """

    allowed_class_modes = ("categorical", "binary", "sparse", *_WITHOUT_CLASSES)

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str = "channels_last",
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = "float32",
        validate_filenames: bool = True,
    ):
        self.set_processing_attrs(
            image_data_generator,
            target_size,
            color_mode,
            data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
            keep_aspect_ratio,
        )
        self._check_class_mode(class_mode)
        self.class_mode = class_mode
        self.dtype = dtype
        self.directory = os.fspath(directory or "")
        table = dataframe.copy()
        self._check_columns(table, x_col, y_col, weight_col, classes)
        if validate_filenames:
            table = self._with_files(table, x_col)
        if class_mode not in _WITHOUT_CLASSES:
            table, classes = _with_classes(table, y_col, classes)
            self.class_indices = {name: place for place, name in enumerate(classes)}
        if self.split:
            begin, end = (int(share * len(table)) for share in self.split)
            table = table.iloc[begin:end]
        self.filenames = table[x_col].tolist()
        self.samples = len(self.filenames)
        self._weights = table[weight_col].to_numpy() if weight_col else None
        self._targets: Any = None
        if class_mode == "multi_output":
            self._targets = [np.array(table[column].tolist()) for column in y_col]
        elif class_mode == "raw":
            self._targets = table[y_col].to_numpy()
        elif class_mode not in _WITHOUT_CLASSES:
            self.classes = [
                [self.class_indices[name] for name in label]
                if isinstance(label, (list, tuple))
                else self.class_indices[label]
                for label in table[y_col]
            ]
        self._filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        kind = "validated" if validate_filenames else "non-validated"
        known = "" if class_mode in _WITHOUT_CLASSES else f" belonging to {len(classes)} classes"
        say(f"Found {self.samples} {kind} image filenames{known}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> Any:
        return self.classes if self._targets is None else self._targets

    @property
    def sample_weight(self) -> Any:
        return self._weights

    def _check_columns(self, table: Any, x_col: Any, y_col: Any, weight_col: Any, classes: Any) -> None:
        mode = self.class_mode
        if mode == "multi_output" and not isinstance(y_col, list):
            raise TypeError(
                f"`y_col` must be a list for class_mode='multi_output'. Received: y_col={y_col!r}"
            )
        if not all(isinstance(name, str) for name in table[x_col]):
            raise TypeError(f"`x_col` must be a column of strings. Received: x_col={x_col!r}")
        if mode in ("binary", "sparse", "categorical"):
            allowed = (str, list, tuple) if mode == "categorical" else (str,)
            if not all(isinstance(label, allowed) for label in table[y_col]):
                raise TypeError(
                    f"`y_col` must be a column of strings for class_mode={mode!r}. Received: y_col={y_col!r}"
                )
        if mode == "binary":
            count = len(set(classes)) if classes else table[y_col].nunique()
            if count != 2:
                raise ValueError(f"`class_mode` 'binary' needs 2 classes. Received: {count} classes")
        if classes and mode in _WITHOUT_CLASSES:
            warnings.warn(f"`classes` has no effect with class_mode={mode!r}", stacklevel=3)
        if weight_col and table[weight_col].dtype.kind not in "iufb":
            raise TypeError(f"`weight_col` must be a column of numbers. Received: weight_col={weight_col!r}")

    def _with_files(self, table: Any, x_col: str) -> Any:
        good = np.array(
            [
                name.lower().endswith(self.white_list_formats)
                and os.path.isfile(os.path.join(self.directory, name))
                for name in table[x_col]
            ],
            dtype=bool,
        )
        if not good.all():
            warnings.warn(
                f"{int((~good).sum())} file names of the column {x_col!r} are no images and left out",
                stacklevel=3,
            )
        return table[good]


def _with_classes(table: Any, y_col: str, classes: Any) -> tuple[Any, list]:
    """The rows that belong to a class, and the classes."""
    if not classes:
        seen: set = set()
        for label in table[y_col]:
            seen.update(label if isinstance(label, (list, tuple)) else [label])
        return table.dropna(subset=[y_col]), sorted(seen)
    classes = list(dict.fromkeys(classes))

    def chosen(label: Any) -> Any:
        if isinstance(label, (list, tuple)):
            return [name for name in label if name in classes] or None
        return label if label in classes else None

    table = table.copy()
    table[y_col] = [chosen(label) for label in table[y_col]]
    return table.dropna(subset=[y_col]), classes
