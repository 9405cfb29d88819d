"""Occlusion: a square slides over the image, and the score is watched."""

from __future__ import annotations

import operator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import partial
from .arguments import Shared, method, open_session
from .baselines import baselines
from .explanation import Explanation
from .inputs import _FORWARD
from .layers import Place
from .progress import bar
from .sampling import values_of, whole
from .session import Collector, Session
from .target import Scored

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MOST_BASE_BYTES = 1 << 28  # of the images' own values, which patches are cut from
_GREY = 127.5
_WINDOWS_OF_A_SIDE = 7  # window=None: the image's shorter side holds as many


@method
def occlusion(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    window: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    baseline: Any = None,
    layer: Any = None,
    feature_map: int | None = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """Occlusion: how much the score drops when a grey square covers a part of the image.

    Window (i, j) covers the rows from i * stride and the columns from j * stride on, in all channels, where
    the image is replaced by `baseline`. The first window lies in the upper left corner, the last ones are
    those that reach the lower and the right edge, where they are cut off. With drop_ij = y(x) - y(x with
    window (i, j) covered), `raw` at a pixel is the mean of the drops of all windows that cover it. The
    finished map is max(raw, 0), divided by its maximum. Captum's Occlusion gives the same `raw` with
    baseline=0.

    Zeiler and Fergus, arXiv 1311.2901, section 4.2, show three pictures, one pixel for each window; all
    come from this one call, as (n, rows of windows, columns of windows) in `steps`: "probability" of the
    explained class, "map activity" (the sum of one feature map of `layer`, the one with the largest sum in
    the image as it is) and "most likely class". "score" and "score drop" are beside them.

    Only the part of the network that a window reaches is computed again, up to the layer where it is most
    of the map.

    Args:
        window: height and width of the square, or one number for both. None: a seventh of the image's shorter
            side, 32 for 224.
        stride: steps down and to the right. None: half the window. At most the window, so that no pixel is
            left out.
        baseline: what covers the image, in the values that the model takes. None: grey, which is the
            preprocessing of 127.5 where the images came through it, and otherwise the middle between each
            image's least and greatest value; a number; (C,), one for each channel; an array (H,W,C), or
            (n,H,W,C) for one per image; "grey", "black", "white" or "mean" (each image's own mean colour).
        layer: of "map activity": None (the last layer whose output is 4-D with more than one pixel and not
            the pooling of an earlier layer's), a name, "outer/inner" inside a nested model, an index or a
            layer.
        feature_map: of "map activity": None for the strongest of each image, or its number.

    Returns:
        An Explanation; `raw` is (n,H,W), with its sign.

    Raises:
        ValueError: a window or stride that does not fit the image, or no such baseline, layer, class, input
            or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> e = cx.explain.occlusion(network, image, class_index=7, window=8, stride=4)
    >>> e.raw.shape, e.steps["score drop"].shape, e.steps["most likely class"].dtype
    ((1, 28, 28), (1, 6, 6), dtype('int64'))
    """
    session = open_session("occlusion", model, images, class_index, shared)
    height, width = session.inputs.size
    sides = _pair("window", window, max(1, min(height, width) // _WINDOWS_OF_A_SIDE))
    steps = _pair("stride", stride, tuple(max(1, side // 2) for side in sides))
    if sides[0] > height or sides[1] > width:
        raise ValueError(f"`window` must fit the image, {height} x {width}. Received: window={window!r}")
    if steps[0] > sides[0] or steps[1] > sides[1]:
        raise ValueError(
            f"`stride` must be at most the window, {sides[0]} x {sides[1]}, or pixels are left out. "
            f"Received: stride={stride!r}"
        )
    cover, name = _cover(session, baseline, shared.get("preprocess"))
    watched = _watched(session, layer)
    spans = tuple(_spans(n, side, step) for n, side, step in zip((height, width), sides, steps, strict=True))
    work = _Occluded(session, spans, cover, watched, feature_map)  # type: ignore[arg-type]
    got = work.run()
    scored = got.scored
    drop = scored.score[:, None, None] - got["score"]
    covered = [_indicator(span, n) for span, n in zip(spans, (height, width), strict=True)]
    count = np.outer(covered[0].sum(0), covered[1].sum(0))
    raw = np.stack([covered[0].T @ one @ covered[1] / count for one in drop]).astype(cover.dtype)
    shown = {"baseline": np.broadcast_to(cover, (len(raw), *cover.shape[1:]))}
    panels = ("score", "probability", "map activity", "most likely class")
    shown |= {panel: got[panel] for panel in panels if panel in work.panels}
    shown |= {"score drop": drop, "mean drop": raw, "positive part": np.maximum(raw, 0)}
    maps = session.finish(np.maximum(raw, 0), scored.class_index, "no window lowers the score of {}")
    return session.explanation(
        scored,
        maps,
        raw,
        method="occlusion",
        layer=None,
        steps=shown,
        formula="mean over the windows that cover a pixel of y(x) - y(x covered)",
        window=sides,
        stride=steps,
        baseline=name,
        activity_of=None if watched is None else watched.path,
    )


def _pair(name: str, value: Any, default: Any) -> tuple[int, int]:
    """(down, right) from one number or two."""
    value = default if value is None else value
    both = (value, value) if np.ndim(value) == 0 else tuple(value)
    try:
        if len(both) != 2 or any(isinstance(side, bool) for side in both):
            raise TypeError
        pair = operator.index(both[0]), operator.index(both[1])
    except TypeError:
        pair = (0, 0)
    if min(pair) < 1:
        raise ValueError(f"`{name}` must be a positive integer or a pair of them. Received: {name}={value!r}")
    return pair


def _spans(size: int, side: int, step: int) -> np.ndarray:
    """(windows, 2) where each begins and ends along one side of the image."""
    begin = np.arange(-(-(size - side) // step) + 1) * step
    return np.stack([begin, np.minimum(begin + side, size)], 1)


def _indicator(spans: np.ndarray, size: int) -> np.ndarray:
    """(windows, size): 1 where a window lies."""
    at = np.arange(size)
    return ((at >= spans[:, :1]) & (at < spans[:, 1:])).astype(np.float64)


def _cover(session: Session, baseline: Any, preprocess: Any) -> tuple[np.ndarray, Any]:
    """What covers the images, (n or 1,H,W,C), and what it is called."""
    x = values_of(session)
    if baseline is None or (isinstance(baseline, str) and baseline == "grey"):
        return np.broadcast_to(_grey(session, x, preprocess), (len(x), *x.shape[1:])), "grey"
    if isinstance(baseline, (list, tuple)) or np.ndim(baseline) == 1:
        colour = np.asarray(baseline)
        if colour.dtype.kind in "buif" and colour.shape == (x.shape[3],):
            baseline = np.broadcast_to(colour, x.shape[1:])
        elif colour.ndim < 3:
            raise ValueError(
                f"`baseline` must be a number, {x.shape[3]} numbers, one for each channel, an array of shape "
                f"{x.shape[1:]} or {x.shape}, black, white or mean. Received: baseline={baseline!r}"
            )
        else:
            baseline = colour
    (array,), (name,) = baselines(session, baseline, preprocess)
    return array, name


def _grey(session: Session, x: np.ndarray, preprocess: Any) -> np.ndarray:
    feed, shown = session.inputs.feeds[session.inputs.explained], session.inputs.shown
    known = preprocess if preprocess is not None else getattr(session.model, "preprocess", None)
    if shown is not feed and known is not None:
        function = known if callable(known) else _FORWARD[known]
        return np.asarray(function(np.full((1, *x.shape[1:]), _GREY, np.float32))).astype(x.dtype)
    if feed.dtype == np.uint8:
        return np.full((1, 1, 1, 1), _GREY, x.dtype)
    low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
    return low / 2 + high / 2


def _watched(session: Session, layer: Any) -> Place | None:
    """The layer whose strongest map is watched; None: the model has no maps, and nobody asked."""
    try:
        return session.place(layer)
    except ValueError:
        if layer is not None:
            raise
        return None


@dataclass
class _Batch:
    """Occluded images that run together: (n,) places of the images, of rows and of columns of windows."""

    images: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


class _Occluded:
    """All windows of all images through the network."""

    def __init__(
        self,
        session: Session,
        spans: partial.Spans,
        cover: np.ndarray,
        watched: Place | None,
        feature_map: Any,
    ):
        self.session, self.spans, self.cover, self.watched = session, spans, cover, watched
        self.x = values_of(session)
        self.channel = None if feature_map is None else whole("feature_map", feature_map, 0)
        count = 0 if watched is None else watched.shape[3] or 0
        if self.channel is not None and self.channel >= count:
            where = "" if watched is None else f" of layer {watched.path!r}"
            raise ValueError(
                f"`feature_map` must be one of the {count} maps{where}. Received: feature_map={feature_map!r}"
            )
        self.panels = ["score", "probability"]
        self.panels += ["map activity"] if watched is not None else []
        self.panels += ["most likely class"] if session.target.units is not None else []
        self.programs = partial.plan(
            session.trace,
            session.image,
            self.x.shape[1:],
            spans,
            session.target.fetches(),
            None if watched is None else watched.symbol,
        )
        needed = {source.id: source for program in self.programs for source in program.sources()}
        self.fetches = list(needed.values())
        if watched is not None and watched.symbol.id not in needed:
            self.fetches.append(watched.symbol)

    def run(self) -> Collector:
        """The images' scores, and the panels by name, (n, rows, columns)."""
        session, got = self.session, Collector()
        n, windows = len(self.x), len(self.spans[0]) * len(self.spans[1])
        at_once = max(program.base_bytes for program in self.programs)
        chunk = max(1, min(session.batch_size, _MOST_BASE_BYTES // max(at_once, 1)))
        with closing(bar(session.progress, n * windows)) as shown:
            for begin in range(0, n, chunk):
                part = slice(begin, min(begin + chunk, n))
                instance, scored, panels = self.whole(part)
                for program in self.programs:
                    for batch in self.batches(program, part.stop - begin):
                        self.fill(program, instance, begin, batch, scored, panels)
                        shown.update(len(batch.images))
                got.add(scored, **panels)
        return got

    def whole(self, part: slice) -> tuple[Any, Scored, dict[str, np.ndarray]]:
        """A run over the images as they are, and empty panels."""
        session = self.session
        feeds = [
            (symbol, np.ascontiguousarray(array[part], dtype=symbol.dtype.as_numpy_dtype))
            for symbol, array in zip(session.trace.inputs, session.inputs.feeds, strict=True)
        ]
        wanted = {symbol.id: symbol for symbol in [*session.target.fetches(), *self.fetches]}
        instance = session.trace.program.run(feeds, list(wanted.values()), track=False)
        scored = session.target.scored(instance, None if session.asked is None else session.asked[part])
        shape = (len(scored.score), len(self.spans[0]), len(self.spans[1]))
        panels = {name: np.zeros(shape) for name in self.panels}
        if "most likely class" in panels:
            panels["most likely class"] = np.zeros(shape, np.int64)
        self.strongest = np.full(shape[0], self.channel or 0)
        if self.watched is not None and self.channel is None:
            sums = np.asarray(instance.value(self.watched.symbol)).sum((1, 2), dtype=np.float64)
            self.strongest = sums.argmax(1)
        return instance, scored, panels

    def batches(self, program: partial.Program, images: int) -> list[_Batch]:
        """A group's windows of these images, at most `batch_size` at once, in parts of about one size."""
        shape = (images, len(program.rows), len(program.columns))
        count = int(np.prod(shape))
        places = np.stack(np.unravel_index(np.arange(count), shape))
        parts = np.array_split(places, -(-count // self.session.batch_size), axis=1)
        return [_Batch(*part) for part in parts]

    def fill(
        self,
        program: partial.Program,
        instance: Any,
        first: int,
        batch: _Batch,
        scored: Scored,
        panels: dict[str, np.ndarray],
    ) -> None:
        """Runs a batch and writes what it gives into the panels."""
        session = self.session
        shown = partial.run(
            program, instance, self.patches(program, first, batch), batch.images, batch.rows, batch.columns
        )
        found = session.target.scored(shown, scored.class_index[batch.images])
        at = batch.images, program.rows[batch.rows], program.columns[batch.columns]
        panels["score"][at] = found.score
        panels["probability"][at] = found.probability
        if self.watched is not None:
            sums = np.asarray(shown.sums)
            panels["map activity"][at] = sums[np.arange(len(sums)), self.strongest[batch.images]]
        if session.target.units is not None:
            z = np.asarray(shown.value(session.target.logits)).reshape(len(at[0]), -1)
            panels["most likely class"][at] = z[:, 0] > 0 if session.target.units == 1 else z.argmax(1)

    def patches(self, program: partial.Program, first: int, batch: _Batch) -> np.ndarray:
        """What the group's program is fed: (n,h,w,C), the images around their windows, and these covered."""
        (tops, lefts), (height, width) = program.image.begin, program.image.size  # type: ignore[misc]
        made = np.empty((len(batch.images), height, width, self.x.shape[3]), self.x.dtype)
        for patch, image, i, j in zip(made, batch.images + first, batch.rows, batch.columns, strict=True):
            top, left = tops[i], lefts[j]
            patch[:] = self.x[image, top : top + height, left : left + width]
            rows, columns = slice(*self.spans[0][program.rows[i]]), slice(*self.spans[1][program.columns[j]])
            inside = (
                slice(rows.start - top, rows.stop - top),
                slice(columns.start - left, columns.stop - left),
            )
            patch[inside] = self.cover[image % len(self.cover), rows, columns]
        return made
