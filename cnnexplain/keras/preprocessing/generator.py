"""`ImageDataGenerator`: pictures changed by chance while a model learns from them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import config
from .iterators import DirectoryIterator, NumpyArrayIterator
from .transforms import apply_affine_transform, apply_brightness_shift, apply_channel_shift


class ImageDataGenerator:
    """Batches of pictures, changed by chance and brought to one scale.

    Random numbers are NumPy's: `seed` in `flow` and `flow_from_directory` gives the batches that Keras gives.

    Args:
        featurewise_center, featurewise_std_normalization: Whether the data set's mean is subtracted and it is
            divided by its deviation; `fit` finds them.
        samplewise_center, samplewise_std_normalization: The same for each picture.
        zca_whitening, zca_epsilon: Whether pixels are made uncorrelated; `fit` finds how.
        rotation_range: Degrees.
        width_shift_range, height_shift_range: A share of the size below 1, pixels, or a list of pixels. As in
            Keras 3, the second moves sideways and the first up and down.
        brightness_range: (least, greatest).
        shear_range: Degrees.
        zoom_range: (least, greatest), or z for (1 - z, 1 + z).
        channel_shift_range: The greatest number added to all values.
        fill_mode: "constant", "nearest", "reflect" or "wrap".
        cval: Value outside for "constant".
        horizontal_flip, vertical_flip: Whether every other picture is mirrored.
        rescale: Factor of all values, after everything else.
        preprocessing_function: A function of a picture, called before `rescale`.
        data_format: "channels_last" or "channels_first".
        validation_split: Share held back; `subset` in `flow` chooses.
        interpolation_order: Of the interpolating spline.
        dtype: Of the batches.

    >>> import numpy as np
    >>> from cnnexplain.keras.preprocessing.image import ImageDataGenerator
    >>> flow = ImageDataGenerator(rescale=0.5, horizontal_flip=True).flow(np.ones((5, 4, 4, 1)), batch_size=2)
    >>> len(flow), next(flow).shape
    (3, (2, 4, 4, 1))
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Any = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
    ):
        data_format = config.standardize_data_format(data_format)
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                f"`validation_split` must be between 0 and 1. Received: validation_split={validation_split}"
            )
        if brightness_range is not None and (
            not isinstance(brightness_range, (tuple, list)) or len(brightness_range) != 2
        ):
            raise ValueError(
                "`brightness_range` must be a tuple of two floats. "
                f"Received: brightness_range={brightness_range}"
            )
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = brightness_range
        self.shear_range = shear_range
        self.zoom_range = _zoom(zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.data_format = data_format
        last = data_format == "channels_last"
        self.channel_axis, self.row_axis, self.col_axis = (3, 1, 2) if last else (1, 2, 3)
        self._validation_split = validation_split
        self.interpolation_order = interpolation_order
        self.dtype = config.floatx() if dtype is None else dtype
        self.mean: Any = None
        self.std: Any = None
        self.zca_whitening_matrix: Any = None
        self._imply("zca_whitening", "featurewise_center", True)
        if zca_whitening:
            self._imply("zca_whitening", "featurewise_std_normalization", False)
        self._imply("featurewise_std_normalization", "featurewise_center", True)
        self._imply("samplewise_std_normalization", "samplewise_center", True)

    def _imply(self, given: str, setting: str, value: bool) -> None:
        if getattr(self, given) and bool(getattr(self, setting)) != value:
            setattr(self, setting, value)
            warnings.warn(f"`{given}` sets `{setting}` to {value}.", stacklevel=3)

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches from arrays.

        Args:
            x: (n, h, w, c), or a pair of it and further arrays.
            y: Labels; None: pictures alone.
            batch_size: Pictures in a batch.
            shuffle: Whether each epoch has another order.
            sample_weight: Weights.
            seed: Of the orders and changes.
            save_to_dir, save_prefix, save_format: Where changed pictures are written, if anywhere.
            ignore_class_split: Whether the two subsets may have different classes.
            subset: "training" or "validation", with `validation_split`.
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            ignore_class_split=ignore_class_split,
            subset=subset,
            dtype=self.dtype,
        )

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Batches from a directory whose subdirectories are the classes.

        Args:
            directory: Path.
            target_size: (height, width).
            color_mode: "rgb", "rgba" or "grayscale".
            classes: Names of the subdirectories in order of their labels. Default: all, sorted.
            class_mode: "categorical", "binary", "sparse", "input" (the pictures themselves) or None.
            follow_links: Whether linked directories are visited.
            interpolation, keep_aspect_ratio: As in `load_img`.
            batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset: As in `flow`.
        """
        return DirectoryIterator(
            directory,
            self,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            follow_links=follow_links,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=self.dtype,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
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
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Batches from a pandas table of file names and labels.

        Args:
            dataframe: The table.
            directory: Where the files are; None: the table has whole paths.
            x_col, y_col, weight_col: Columns with file names, labels and weights.
            class_mode: Also "multi_output" and "raw": the columns `y_col` as they are.
            validate_filenames: Whether files that do not exist are left out.
            others: As in `flow_from_directory`.
        """
        from .dataframe import DataFrameIterator

        unknown = set(kwargs) - {"has_ext", "sort", "drop_duplicates"}
        if unknown:
            raise TypeError(f"flow_from_dataframe() got unexpected keyword arguments: {sorted(unknown)}")
        for name in kwargs:
            warnings.warn(f"`{name}` has no effect.", DeprecationWarning, stacklevel=2)
        return DataFrameIterator(
            dataframe,
            directory,
            self,
            x_col=x_col,
            y_col=y_col,
            weight_col=weight_col,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode="raw" if class_mode == "other" else class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            validate_filenames=validate_filenames,
            dtype=self.dtype,
        )

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Pictures brought to one scale, in place where possible."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + 1e-6
        if self.featurewise_center and self._fitted("featurewise_center", self.mean):
            x -= self.mean
        if self.featurewise_std_normalization and self._fitted("featurewise_std_normalization", self.std):
            x /= self.std + 1e-6
        if self.zca_whitening and self._fitted("zca_whitening", self.zca_whitening_matrix):
            flat = x.reshape(-1, math.prod(x.shape[-3:]))
            x = (flat @ self.zca_whitening_matrix).reshape(x.shape)
        return x

    def _fitted(self, name: str, found: Any) -> bool:
        if found is None:
            warnings.warn(f"`{name}` has no effect before `fit(x)` has seen the training data.", stacklevel=4)
        return found is not None

    def get_random_transform(self, img_shape: Any, seed: int | None = None) -> dict:
        """Parameters of a random change of a picture of this shape."""
        if seed is not None:
            np.random.seed(seed)
        uniform = np.random.uniform
        theta = uniform(-self.rotation_range, self.rotation_range) if self.rotation_range else 0
        tx = _shift(self.height_shift_range, img_shape[self.row_axis - 1])
        ty = _shift(self.width_shift_range, img_shape[self.col_axis - 1])
        shear = uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        zx, zy = (1, 1) if self.zoom_range == [1, 1] else uniform(self.zoom_range[0], self.zoom_range[1], 2)
        flip_horizontal = (np.random.random() < 0.5) * self.horizontal_flip
        flip_vertical = (np.random.random() < 0.5) * self.vertical_flip
        shift, bright = self.channel_shift_range, self.brightness_range
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flip_horizontal,
            "flip_vertical": flip_vertical,
            "channel_shift_intensity": uniform(-shift, shift) if shift != 0 else None,
            "brightness": None if bright is None else uniform(bright[0], bright[1]),
        }

    def apply_transform(self, x: np.ndarray, transform_parameters: dict) -> np.ndarray:
        """A picture changed as the parameters say: "theta", "tx", "ty", "shear", "zx", "zy",
        "flip_horizontal", "flip_vertical", "channel_shift_intensity" and "brightness", each optional.
        """
        row, column, channel = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        get: Any = transform_parameters.get
        x = apply_affine_transform(
            x,
            get("theta", 0),
            get("tx", 0),
            get("ty", 0),
            get("shear", 0),
            get("zx", 1),
            get("zy", 1),
            row_axis=row,
            col_axis=column,
            channel_axis=channel,
            fill_mode=self.fill_mode,
            cval=self.cval,
            order=self.interpolation_order,
        )
        if get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, get("channel_shift_intensity"), channel)
        if get("flip_horizontal", False):
            x = np.flip(x, column)
        if get("flip_vertical", False):
            x = np.flip(x, row)
        if get("brightness") is not None:
            x = apply_brightness_shift(x, get("brightness"), False)
        return x

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """A picture with a random change."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def _augmented(self, x: np.ndarray) -> np.ndarray:
        return self.standardize(self.random_transform(x))

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Finds mean, deviation and whitening for the settings that need them.

        Args:
            x: (n, h, w, c).
            augment: Whether they are those of changed pictures.
            rounds: How often each is changed.
            seed: Of the changes.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ValueError(f"`x` must have rank 4. Received: shape {x.shape}")
        if x.shape[self.channel_axis] not in (1, 3, 4):
            warnings.warn(
                f"`x` should have 1, 3 or 4 channels in the layout {self.data_format}. "
                f"Received: shape {x.shape}",
                stacklevel=2,
            )
        if seed is not None:
            np.random.seed(seed)
        if self.rescale:
            x *= self.rescale
        if augment:
            x = np.stack([self.random_transform(picture) for _ in range(rounds) for picture in x])
            x = x.astype(self.dtype)
        shape = [1, 1, 1]
        shape[self.channel_axis - 1] = x.shape[self.channel_axis]
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axis=axes).reshape(shape)
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axis=axes).reshape(shape)
            x /= self.std + 1e-6
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
            self.zca_whitening_matrix = (u * (np.sqrt(len(x)) / (s + self.zca_epsilon))) @ u.T


def _zoom(zoom_range: Any) -> list:
    if isinstance(zoom_range, (float, int)):
        return [1 - zoom_range, 1 + zoom_range]
    if len(zoom_range) == 2 and all(isinstance(one, (float, int)) for one in zoom_range):
        return list(zoom_range)
    raise ValueError(
        f"`zoom_range` must be a float or a tuple of two floats. Received: zoom_range={zoom_range}"
    )


def _shift(shift_range: Any, size: int) -> Any:
    """A random shift in pixels: from a list, below a whole number, or a share of the size."""
    if not np.any(shift_range):
        return 0
    if np.ndim(shift_range) or isinstance(shift_range, (int, np.integer)):
        shift = np.random.choice(shift_range) * np.random.choice([-1, 1])
    else:
        shift = np.random.uniform(-shift_range, shift_range)
    return shift * size if np.max(shift_range) < 1 else shift
