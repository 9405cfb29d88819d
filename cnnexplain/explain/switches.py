"""Switches: which pixel won in each window of a max pooling, recorded on the way up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from .progress import Progress
from .projection import open_for_feature, poolings, runs
from .sampling import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Switches:
    """The switches of one max pooling over n images.

    Attributes:
        layer: the pooling's name.
        index: (n,h,w,C) int64, the place (y W + x) C + c of each window's winner in its own image, the first
            of equals: what `cnnexplain.ops.max_unpool` reads.
        before: (n,H,W,C), the maps that were pooled.
        pool_size, strides: of the window.

    >>> import cnnexplain as cx
    >>> L = cx.keras.layers
    >>> model = cx.keras.Sequential([cx.keras.Input((4, 4, 1)), L.MaxPooling2D(2, name="pool")])
    >>> s = cx.explain.switches(model, cx.demo.EXAMPLE, dtype="float64")["pool"]
    >>> s.rows[0, :, :, 0].tolist(), s.columns[0, :, :, 0].tolist()
    ([[0, 1], [2, 2]], [[0, 2], [1, 2]])
    >>> s.unpool([[0.8, 0.9], [0.7, 0.8]])[0, :, :, 0]
    array([[0.8, 0. , 0. , 0. ],
           [0. , 0. , 0.9, 0. ],
           [0. , 0.7, 0.8, 0. ],
           [0. , 0. , 0. , 0. ]])
    """

    def __init__(self, layer: str, before: np.ndarray, attributes: dict[str, Any]):
        attributes = {k: v for k, v in attributes.items() if k != "include_batch_in_index"}
        pooled, index = _core.max_pool_with_argmax(np.ascontiguousarray(before), **attributes)
        self.layer, self.before = layer, before
        self.index = np.asarray(index)
        self._pooled = np.asarray(pooled)
        self.pool_size: tuple[int, int] = tuple(attributes["pool_size"])
        steps = attributes["strides"]
        self.strides: tuple[int, int] = tuple(s or p for s, p in zip(steps, self.pool_size, strict=True))  # type: ignore[assignment]

    @property
    def pooled(self) -> np.ndarray:
        """(n,h,w,C), the winners' values."""
        return self._pooled

    @property
    def rows(self) -> np.ndarray:
        """(n,h,w,C), each winner's row in the map that was pooled."""
        _, _, width, channels = self.before.shape
        return self.index // (width * channels)

    @property
    def columns(self) -> np.ndarray:
        """(n,h,w,C), each winner's column."""
        _, _, width, channels = self.before.shape
        return self.index // channels % width

    @property
    def wins(self) -> np.ndarray:
        """(n,H,W,C) int64: how many windows each pixel has won; more than one only where windows overlap."""
        shape = self.before.shape
        counts = np.zeros((shape[0], int(np.prod(shape[1:]))), np.int64)
        for row, index in zip(counts, self.index.reshape(len(counts), -1), strict=True):
            np.add.at(row, index, 1)
        return counts.reshape(shape)

    def unpool(self, pooled: Any = None, overlap: str = "sum") -> np.ndarray:
        """Puts values back where the winners were, and zero everywhere else.

        Args:
            pooled: (n,h,w,C), or (h,w) where there is one image of one channel. None: the winners' own
                values.
            overlap: where a pixel has won several windows, "sum" adds what they bring, "overwrite" keeps the
                last.

        Returns:
            (n,H,W,C).
        """
        from cnnexplain import ops

        given = self._pooled if pooled is None else np.asarray(pooled)
        if given.ndim == 2 and self.index.shape[::3] == (1, 1):
            given = given[None, :, :, None]
        return ops.max_unpool(given, self.index, self.before.shape, overlap)

    def plot(self, image: int = 0, feature_map: int = 0) -> Figure:
        """A figure of one map: before pooling with the winners marked, pooled, and unpooled."""
        from .deconvnet_plot import switches_figure

        for name, value, count in (
            ("image", image, len(self.before)),
            ("feature_map", feature_map, self.before.shape[3]),
        ):
            if not 0 <= whole(name, value, None) < count:
                raise ValueError(f"`{name}` must be between 0 and {count - 1}. Received: {name}={value!r}")
        return switches_figure(self, image, feature_map)

    @classmethod
    def joined(cls, many: Sequence[Switches]) -> Switches:
        """The switches of one pooling over the images of all."""
        made = object.__new__(cls)
        made.__dict__.update(many[0].__dict__)
        for name in ("before", "index", "_pooled"):
            setattr(made, name, np.concatenate([getattr(one, name) for one in many]))
        return made

    def __getitem__(self, index: Any) -> Switches:
        """The switches of some of the images."""
        made = object.__new__(Switches)
        made.__dict__.update(self.__dict__)
        chosen = np.atleast_1d(np.arange(len(self.index))[index])
        made.before, made.index, made._pooled = self.before[chosen], self.index[chosen], self._pooled[chosen]
        return made

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        _, height, width, channels = self.before.shape
        small = self.index.shape[1:3]
        return (
            f"<Switches of {self.layer}, {len(self)} image{'s' if len(self) > 1 else ''}, {channels} maps "
            f"{height}x{width} -> {small[0]}x{small[1]}, windows {self.pool_size} at steps {self.strides}>"
        )


def switches(
    model: Any,
    images: Any,
    layer: Any = None,
    *,
    input: Any = None,
    preprocess: Any = None,
    dtype: Any = None,
    batch_size: int = 32,
    progress: Progress = None,
) -> dict[str, Switches]:
    """The switches of every max pooling between the image and a layer, as a deconvnet records them.

    Args:
        model, images: as for every method.
        layer: None (the model's output), a name, "outer/inner" inside a nested model, an index or a layer.
        input, preprocess, dtype, batch_size, progress: as for `deconvnet`.

    Returns:
        Switches by the name of their layer, the lowest first.

    Raises:
        ValueError: there is no such layer.

    Zeiler and Fergus, arXiv 1311.2901.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> found = cx.explain.switches(cx.demo.load_network(), np.ones((28, 28)))
    >>> found["max_pooling2d_1"]
    <Switches of max_pooling2d_1, 1 image, 32 maps 14x14 -> 7x7, windows (2, 2) at steps (2, 2)>
    """
    session = open_for_feature("switches", model, images, input, preprocess, dtype, batch_size, progress)
    found = poolings(session, layer)
    before: dict[str, list[np.ndarray]] = {name: [] for name, _, _ in found}
    for _, instance in runs(session, [symbol for _, symbol, _ in found], track=False):
        for name, symbol, _ in found:
            before[name].append(np.asarray(instance.value(symbol)))
    return {name: Switches(name, np.concatenate(before[name]), attributes) for name, _, attributes in found}
