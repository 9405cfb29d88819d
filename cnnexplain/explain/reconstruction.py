"""What a deconvnet returns: reconstructions, with the activations that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .explanation import Explanation
from .inputs import _BACKWARD
from .switches import Switches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OWN = ("feature_map", "position", "value", "receptive_field")


class Reconstruction(Explanation):
    """A batch of reconstructions, one for each image; an `Explanation` of a feature instead of a class.

    `raw` is the reconstruction (n,H,W,C) in the values that the model takes, `map` the sum of its absolute
    values over the channels, divided by its maximum. `score` is `value`; there is no class and no
    probability.

    With `crop=True` `map`, `raw` and `images` are cut to the receptive fields. Where those of a batch differ
    in size, at the image's border, the smaller ones are filled up with zeros below and to the right; an
    item, `e[i]`, has exactly its field.

    Attributes:
        feature_map: (n,) the maps, or units of a dense layer.
        position: (n,2) row and column of the activation in its map.
        value: (n,) the activation.
        receptive_field: (n,4) top, left, bottom and right of the pixels that it can see, the last two
            exclusive, cut at the image's border.
        switches: by the pooling's name; empty where `steps` leaves them out.
    """

    def __init__(
        self,
        *,
        feature_map: np.ndarray,
        position: np.ndarray,
        value: np.ndarray,
        receptive_field: np.ndarray,
        switches: Mapping[str, Switches] | None = None,
        preprocess: Any = None,
        crop: bool = False,
        **explanation: Any,
    ):
        count = len(feature_map)
        super().__init__(
            class_index=np.full(count, -1),
            score=np.asarray(value, np.float64),
            probability=np.full(count, np.nan),
            **explanation,
        )
        self._feature_map, self._position = feature_map, position
        self._value, self._receptive_field = value, receptive_field
        self._switches = dict(switches or {})
        self._preprocess = preprocess
        self._cropped = False
        if crop:
            self._crop()

    def _crop(self) -> None:
        self._map, self._raw, self._shown = (
            _filled([array[i][fields] for i, fields in enumerate(self._slices())])
            for array in (self._map, self._raw, self._images)
        )
        self._cropped = True

    def _slices(self) -> list[tuple[slice, slice]]:
        return [
            (slice(top, bottom), slice(left, right)) for top, left, bottom, right in self._receptive_field
        ]

    @property
    def feature_map(self) -> Any:
        """(n,) which map of the layer, or which unit of a dense layer."""
        return self._item(self._feature_map)

    @property
    def position(self) -> np.ndarray:
        """(n,2) row and column of the activation."""
        return self._item(self._position)

    @property
    def value(self) -> Any:
        """(n,) the activation."""
        return self._item(self._value)

    @property
    def receptive_field(self) -> np.ndarray:
        """(n,4) top, left, bottom, right in the image."""
        return self._item(self._receptive_field)

    @property
    def switches(self) -> dict[str, Switches]:
        """The switches of the poolings that were taken back."""
        return dict(self._switches)

    @property
    def patches(self) -> Any:
        """The receptive field of each image as it is shown: a list of (h,w,C)."""
        return self._patches(self._images)

    @property
    def reconstructions(self) -> Any:
        """The receptive field of each reconstruction: a list of (h,w,C)."""
        return self._patches(self._raw)

    def _patches(self, array: np.ndarray) -> Any:
        if self._cropped:
            sizes = self._receptive_field[:, 2:] - self._receptive_field[:, :2]
            cut = [one[:height, :width] for one, (height, width) in zip(array, sizes, strict=True)]
        else:
            cut = [one[fields] for one, fields in zip(array, self._slices(), strict=True)]
        return cut[0] if self._single else cut

    @property
    def pictures(self) -> np.ndarray:
        """(n,H,W,C) in [0,1], the reconstructions for the eye: grey is zero, the largest value black or
        white.

        In the order of colours in which the images are shown.
        """
        return self._item(np.stack([picture(one, self._preprocess) for one in self._raw]))

    def plot(self, columns: Sequence[str] | None = None, **options: Any) -> Figure:
        """A matplotlib figure, a row for each image: the image with the receptive field marked, the
        reconstruction, and both within the field.

        Args:
            columns: other panels instead, as for every Explanation.
            options: `max_images` and the others of `Explanation.plot`.
        """
        if columns is not None or set(options) - {"max_images"}:
            return super().plot(columns, **options)
        from .deconvnet_plot import reconstruction_figure

        return reconstruction_figure(self._batch(), **options)

    def plot_steps(self, image: int = 0) -> Figure:
        """A figure of the way down of one image: unpool, rectify, filter, layer by layer.

        Small maps of one channel are shown in numbers; of several channels the mean is shown.
        """
        from .deconvnet_plot import steps_figure

        batch = self._batch()
        if not -len(batch) <= image < len(batch):
            raise ValueError(f"`image` must be between 0 and {len(batch) - 1}. Received: image={image!r}")
        if "kept" not in batch._steps:
            raise ValueError(
                "`steps` does not hold the way down, which takes too much memory for so many images: explain "
                "fewer at once"
            )
        return steps_figure(batch[image])

    def _batch(self) -> Any:
        whole = object.__new__(Reconstruction)
        whole.__dict__.update(self.__dict__, _single=False)
        return whole

    def __getitem__(self, index: Any) -> Reconstruction:
        part = super().__getitem__(index)
        chosen = np.atleast_1d(np.arange(len(self))[index])
        made = object.__new__(Reconstruction)
        made.__dict__.update(self.__dict__ | part.__dict__)
        for name in _OWN:
            setattr(made, f"_{name}", getattr(self, f"_{name}")[chosen])
        made._switches = {name: switches[chosen] for name, switches in self._switches.items()}
        if made._single and self._cropped:
            height, width = made._receptive_field[0, 2:] - made._receptive_field[0, :2]
            for name in ("_map", "_raw", "_shown"):
                setattr(made, name, getattr(made, name)[:, :height, :width])
        return made

    def to_dict(self) -> dict[str, Any]:
        """All attributes by name, arrays as NumPy arrays."""
        return super().to_dict() | {name: getattr(self, name) for name in _OWN}

    def __repr__(self) -> str:
        count = len(self._map)
        maps = ", ".join(str(k) for k in list(dict.fromkeys(self._feature_map.tolist()))[:4])
        images = "1 image" if count == 1 else f"{count} images"
        return f"<Reconstruction of {images}, layer {self.layer}, feature map {maps}>"


def picture(raw: np.ndarray, preprocess: Any = None) -> np.ndarray:
    """(h,w,C) in [0,1]: a reconstruction around grey, divided by its largest absolute value.

    Args:
        raw: (h,w,C) in the values that the model takes.
        preprocess: what the model's images went through; a named one is undone, so that colours come in
            their order.
    """
    values = np.asarray(raw, np.float64)
    if isinstance(preprocess, str) and preprocess in _BACKWARD and raw.shape[-1] == 3:
        undo = _BACKWARD[preprocess]
        values = undo(values) - undo(np.zeros_like(values))
    largest = np.abs(values).max(initial=0)
    return 0.5 + values / (2 * largest if largest > 0 else 1)


def _filled(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (h,w,...) of several sizes as one, the smaller ones filled up with zeros."""
    height, width = (max(array.shape[d] for array in arrays) for d in range(2))
    first = arrays[0]
    made = np.zeros((len(arrays), height, width, *first.shape[2:]), first.dtype)
    for to, array in zip(made, arrays, strict=True):
        to[: array.shape[0], : array.shape[1]] = array
    return made
