"""The places of a data set that excite a feature map most, and what their activations come from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .deconvnet import activations_of, check_overlap, fields_of, map_number
from .inputs import _is_picture, prepare
from .layers import said_by
from .progress import Progress, bar
from .projection import Projection, open_for_feature
from .reconstruction import picture
from .sampling import whole
from .session import Session, _positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 16  # maps, where nobody says which


@dataclass(frozen=True)
class Top:
    """The strongest activations of one feature map, the strongest first.

    Attributes:
        feature_map: its number.
        value: (k,) the activations.
        image: (k,) the images' numbers in the data set.
        position: (k,2) row and column in the map.
        receptive_field: (k,4) top, left, bottom, right in the image, cut at its border.
        frame: (k,4) the same, not cut: all of one size.
        patches: k arrays (h,w,C), the receptive fields as they are shown.
        reconstructions: k arrays (h,w,C), what the deconvnet makes there, in the values that the model takes.
        preprocess: what the images went through.
    """

    feature_map: int
    value: np.ndarray
    image: np.ndarray
    position: np.ndarray
    receptive_field: np.ndarray
    frame: np.ndarray
    patches: list[np.ndarray]
    reconstructions: list[np.ndarray]
    preprocess: Any = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def pictures(self) -> list[np.ndarray]:
        """The reconstructions for the eye: in [0,1], zero is grey, each with a scale of its own."""
        return [picture(one, self.preprocess) for one in self.reconstructions]


class TopActivations(Sequence[Top]):
    """What `top_activations` found: a sequence of `Top`, one for each feature map.

    Attributes:
        layer: its name.
        feature_maps: (m,) the maps' numbers.
        images: how many images were looked at.
        warnings: what the user should know.
    """

    def __init__(self, layer: str, tops: Sequence[Top], images: int, warnings: Sequence[str]):
        self.layer, self.images, self.warnings = layer, images, tuple(warnings)
        self._tops = list(tops)
        self.feature_maps = np.array([top.feature_map for top in tops])

    def __len__(self) -> int:
        return len(self._tops)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return TopActivations(self.layer, self._tops[index], self.images, self.warnings)
        return self._tops[index]

    def of(self, feature_map: int) -> Top:
        """The activations of a map by its number."""
        for top in self._tops:
            if top.feature_map == feature_map:
                return top
        raise ValueError(
            f"`feature_map` must be among {self.feature_maps.tolist()}. Received: feature_map={feature_map!r}"
        )

    def plot(self, *others: TopActivations, titles: Sequence[str] | None = None) -> Figure:
        """The paper's figure of a layer: for each map a square of reconstructions beside one of patches.

        Args:
            others: of other layers or networks, shown below, so that they can be compared.
            titles: what each is called; None: its layer.
        """
        from .deconvnet_plot import top_figure

        return top_figure([self, *others], titles)

    def _repr_png_(self) -> bytes:
        from cnnexplain.plot import png

        return png(self.plot())

    def __repr__(self) -> str:
        images = "1 image" if self.images == 1 else f"{self.images} images"
        return f"<TopActivations of {len(self)} feature maps, layer {self.layer}, among {images}>"


def top_activations(
    model: Any,
    dataset: Any,
    layer: Any = None,
    feature_maps: Any = None,
    k: int = 9,
    *,
    once_per_image: bool = True,
    overlap: str = "sum",
    fallback: str | None = None,
    preprocess: Any = None,
    dtype: Any = None,
    batch_size: int = 32,
    progress: Progress = None,
) -> TopActivations:
    """The k strongest activations of feature maps in a data set, their patches and reconstructions.

    The data set is read once, batch by batch; only images that are among the strongest of a map so far are
    kept. Then the deconvnet reconstructs each activation by itself. Of equal activations the one of the
    earlier image counts as stronger. Zeiler and Fergus, arXiv 1311.2901, figure 2.

    Args:
        model: a keras Model or Sequential with one input.
        dataset: images (n,H,W,C), or a list of paths or PIL images; or a data.Dataset or any iterable of
            images, of batches of them, or of tuples that begin with these, such as (images, labels).
        layer: as for `deconvnet`.
        feature_maps: numbers of maps, or of units of a dense layer. None: the first 16.
        k: how many activations of each map.
        once_per_image: at most one activation of an image, as in the paper; False: as many as are among the
            strongest.
        overlap, fallback: as for `deconvnet`.
        preprocess, dtype: as for every method.
        batch_size: most images that run at once.
        progress: True for a bar, or a callable of (done, total); total is None where the data set does not
            tell its length.

    Returns:
        TopActivations, one `Top` for each map. It holds fewer than k activations where no more are positive.

    Raises:
        ValueError: no such layer or map, or a data set without images.

    >>> import cnnexplain as cx
    >>> images, _ = cx.demo.load_test_images()
    >>> tops = cx.explain.top_activations(cx.demo.load_network(), images[:50], "conv2d_1", [3, 5], k=4)
    >>> tops
    <TopActivations of 2 feature maps, layer conv2d_1, among 50 images>
    >>> len(tops[0]), tops[0].patches[0].shape
    (4, (8, 8, 1))
    """
    k = whole("k", k, 1)
    batch_size = _positive(batch_size)
    check_overlap(overlap)
    batches = _batches(dataset, batch_size)
    try:
        first = next(batches)
    except StopIteration:
        raise ValueError("`dataset` must hold at least one image. Received: an empty one") from None
    name = "top_activations"
    session = open_for_feature(name, model, first, None, preprocess, dtype, batch_size, None)
    if len(session.trace.inputs) > 1:
        raise ValueError(
            f"`model` must have one input. Received: one with {len(session.trace.inputs)}; give "
            "keras.Model(image_input, model.get_layer(...).output) of the part that sees the images"
        )
    way = Projection(session, layer, fallback)
    if feature_maps is None:
        feature_maps = np.arange(min(_SHOWN, int(way.shape[-1])))
    maps = np.atleast_1d(map_number("feature_maps", feature_maps, way))
    search = _Search(way, maps, k, once_per_image)
    with closing(bar(progress, _length(dataset))) as shown:
        for batch in itertools.chain([first], batches):
            shown.update(search.add(batch, session, preprocess))

    def open_kept(images: Any) -> Projection:
        kept = open_for_feature(name, model, images, None, preprocess, dtype, batch_size, None)
        return Projection(kept, layer, fallback)

    known = preprocess if preprocess is not None else said_by(model, "preprocess")
    return _reconstructed(search, open_kept, overlap, known)


class _Search:
    """The strongest activations so far, and the images that they are in."""

    def __init__(self, way: Projection, maps: np.ndarray, k: int, once_per_image: bool):
        self.way, self.maps, self.k, self.once = way, maps, k, once_per_image
        self.seen = 0
        self.width = way.shape[1] if len(way.shape) == 3 else 1
        self.value = np.full((len(maps), 0), -np.inf)
        self.image = np.zeros((len(maps), 0), np.int64)
        self.at = np.zeros((len(maps), 0), np.int64)
        self.kept: dict[int, Any] = {}

    def add(self, batch: Any, session: Session, preprocess: Any) -> int:
        """Looks at a batch; returns how many images it holds."""
        symbols = session.trace.inputs
        remembered = said_by(session.model, "preprocess")
        inputs = prepare(symbols, ["images"], batch, None, preprocess, remembered)
        if inputs.size != session.inputs.size:
            raise ValueError(
                f"`dataset` must hold images of one size, {session.inputs.size}. Received: {inputs.size}"
            )
        instance = self.way.forward(inputs.feeds, track=False)
        values = activations_of(self.way, instance)[..., self.maps].astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(
                f"the activations of layer {self.way.path!r} must be finite. Received: NaN or infinity in "
                f"the images {self.seen} to {self.seen + len(values) - 1}"
            )
        flat = values.reshape(len(values), -1, len(self.maps)).transpose(2, 0, 1)  # maps, images, places
        most = 1 if self.once else min(self.k, flat.shape[2])
        at = np.argsort(-flat, axis=2, kind="stable")[..., :most] if most > 1 else flat.argmax(2)[..., None]
        found = np.take_along_axis(flat, at, 2)
        number = np.broadcast_to(self.seen + np.arange(len(values))[:, None], at.shape[1:])
        self._merge(*(a.reshape(len(self.maps), -1) for a in (found, np.broadcast_to(number, at.shape), at)))
        self._keep(batch, inputs.feeds[0])
        self.seen += len(values)
        return len(values)

    def _merge(self, value: np.ndarray, image: np.ndarray, at: np.ndarray) -> None:
        value = np.concatenate([self.value, value], 1)
        image = np.concatenate([self.image, image], 1)
        at = np.concatenate([self.at, at], 1)
        order = np.stack([np.lexsort(keys) for keys in zip(at, image, -value, strict=True)])[:, : self.k]
        self.value, self.image, self.at = (np.take_along_axis(a, order, 1) for a in (value, image, at))

    def _keep(self, batch: Any, feed: np.ndarray) -> None:
        needed = set(self.image[self.value > 0].tolist())
        self.kept = {number: image for number, image in self.kept.items() if number in needed}
        pictures = batch if _is_picture(batch) and isinstance(batch, (list, tuple)) else None
        for i in range(len(feed)):
            if self.seen + i in needed:
                self.kept[self.seen + i] = feed[i].copy() if pictures is None else pictures[i]


def _reconstructed(
    search: _Search, open_kept: Callable[[Any], Projection], overlap: str, preprocess: Any
) -> TopActivations:
    """Takes every activation that was found down to the pixels of its image.

    Args:
        search: over.
        open_kept: gives the way down for images.
        overlap: as for `deconvnet`.
        preprocess: what the images went through.
    """
    which, rank = np.nonzero(search.value > 0)
    maps, numbers, at = search.maps[which], search.image[which, rank], search.at[which, rank]
    row, column = at // search.width, at % search.width
    patches: list[np.ndarray] = []
    reconstructions: list[np.ndarray] = []
    fields = frames = np.zeros((0, 4), np.int64)
    session_notes: list[str] = []
    if len(which):
        order = sorted(search.kept)
        kept = [search.kept[number] for number in order]
        way = open_kept(kept if _is_picture(kept) else np.stack(kept))
        session = way.session
        session_notes = [text for text, _ in session.notes]
        place = {number: i for i, number in enumerate(order)}
        rows = np.array([place[number] for number in numbers.tolist()])
        fields, frames = fields_of(way, np.stack([row, column, row + 1, column + 1], 1), maps)
        for begin in range(0, len(rows), session.batch_size):
            part = slice(begin, begin + session.batch_size)
            instance = way.forward([session.inputs.feeds[0][rows[part]]])
            values = activations_of(way, instance)
            chosen = np.arange(len(values)), row[part], column[part], maps[part]
            signal = np.zeros_like(values)
            signal[chosen] = values[chosen]
            shape = np.asarray(instance.value(way.symbol)).shape
            raw = way.down(instance, signal.reshape(shape), overlap)
            for i, (top, left, bottom, right) in enumerate(fields[part]):
                patches.append(session.inputs.shown[rows[begin + i], top:bottom, left:right].copy())
                reconstructions.append(raw[i, top:bottom, left:right].copy())
    tops, warnings = [], [*session_notes, *search.way.notes]
    for m, number in enumerate(search.maps.tolist()):
        own = np.flatnonzero(which == m)
        if len(own) < search.k:
            where = "is positive in" if search.once else "is positive at"
            what = "images" if search.once else "places"
            warnings.append(f"map {number} of layer {search.way.path} {where} {len(own)} {what}")
        tops.append(
            Top(
                number,
                search.value[which[own], rank[own]],
                numbers[own],
                np.stack([row[own], column[own]], 1),
                fields[own],
                frames[own],
                [patches[i] for i in own],
                [reconstructions[i] for i in own],
                preprocess,
            )
        )
    return TopActivations(search.way.path, tops, search.seen, warnings)


def _length(dataset: Any) -> int | None:
    """How many images there are, where that is known."""
    if hasattr(dataset, "shape"):
        return int(dataset.shape[0])
    return len(dataset) if _is_picture(dataset) and isinstance(dataset, (list, tuple)) else None


def _batches(dataset: Any, batch_size: int) -> Iterator[Any]:
    """Images, at most `batch_size` at once: arrays, or lists of paths and PIL images."""
    if _is_picture(dataset):
        dataset = list(dataset) if isinstance(dataset, (list, tuple)) else [dataset]
    elif hasattr(dataset, "shape"):
        dataset = np.asarray(dataset)
        if dataset.ndim not in (3, 4):
            raise ValueError(f"`dataset` must be images (n, H, W, C). Received: shape={dataset.shape}")
    if isinstance(dataset, (list, np.ndarray)) and (isinstance(dataset, np.ndarray) or _is_picture(dataset)):
        for begin in range(0, len(dataset), batch_size):
            yield dataset[begin : begin + batch_size]
        return
    named = isinstance(dataset, (str, bytes, Mapping))
    if named or not isinstance(dataset, Iterable):
        if named or not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(
                "`dataset` must be an array of images, a list of paths or PIL images, a data.Dataset or an "
                f"iterable of images. Received: {type(dataset).__name__}"
            )
        dataset = map(dataset.__getitem__, range(len(dataset)))
    single: list[Any] = []
    for element in dataset:
        images = element[0] if isinstance(element, (tuple, list)) else element
        if isinstance(images, Mapping):
            raise ValueError(
                "`dataset` must give images, or tuples that begin with them. "
                f"Received: a dictionary of {', '.join(map(str, images))}"
            )
        array = images if _is_picture(images) else np.asarray(images)
        if not _is_picture(images) and array.ndim == 4:
            yield from (array[i : i + batch_size] for i in range(0, len(array), batch_size))
            continue
        single.append(array)
        if len(single) == batch_size:
            yield _stacked(single)
            single = []
    if single:
        yield _stacked(single)


def _stacked(single: list[Any]) -> Any:
    if _is_picture(single):
        return single
    try:
        return np.stack(single)
    except ValueError:
        shapes = sorted({np.shape(one) for one in single})
        raise ValueError(f"`dataset` must hold images of one shape. Received: {shapes}") from None
