"""Many variants of each image through the model: noisy copies, points of a path, masked copies.

They run at most `batch_size` at once along one axis of (image, variant), the variants of an image one after
the other, and are made when their turn comes. What is summed over an image's variants is summed in float64
in their order, so that no bit of a result depends on `batch_size` or on the other images.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnexplain import _core, arrays, functions, ops, random

from .explanation import Explanation
from .progress import bar
from .session import Collector, Session
from .target import Scored

_MOST_NOISE = 1 << 26  # bytes of noise kept for the next image
_FULL = 1 << 21  # bytes of images that keep a few cores busy: with more at once their maps leave the caches
_LEAST = 2  # images that run at once however large they are
_NO_GRADIENT = "the score does not depend on the image, or only through whole numbers: it has no gradient"


@dataclass
class Rows:
    """One run of variants.

    Attributes:
        image, variant: (rows,) what each row is made of.
        instance: the run.
        scored: its scores.
        feed: (rows,H,W,C), what was fed.
    """

    image: np.ndarray
    variant: np.ndarray
    instance: Any
    scored: Scored
    feed: np.ndarray


def first_look(session: Session, fetches: Sequence[Any] = ()) -> Collector:
    """Runs the images themselves, forward only: their classes and scores, and values by name.

    `fetches` are pairs (name, symbol).
    """
    got = Collector()
    wanted = [*session.target.fetches(), *(symbol for _, symbol in fetches)]
    for begin in range(0, len(session.inputs), session.batch_size):
        part = slice(begin, begin + session.batch_size)
        feeds = [
            (symbol, np.ascontiguousarray(array[part], dtype=symbol.dtype.as_numpy_dtype))
            for symbol, array in zip(session.trace.inputs, session.inputs.feeds, strict=True)
        ]
        instance = session.trace.program.run(feeds, wanted, track=False)
        asked = None if session.asked is None else session.asked[part]
        scored = session.target.scored(instance, asked)
        got.add(scored, **{name: np.asarray(instance.value(symbol)) for name, symbol in fetches})
    return got


def variants(
    session: Session,
    class_index: np.ndarray,
    count: int | Sequence[int],
    make: Callable[[int, int], np.ndarray],
    fetches: Sequence[Any] = (),
    *,
    track: bool = True,
    fed: Sequence[tuple[Any, np.ndarray]] | None = None,
    at: Any = None,
) -> Iterator[Rows]:
    """Runs `count` variants of every image.

    Args:
        session: the images and the model.
        class_index: (n,) the class whose score is taken.
        count: variants of each image, or one number for each image.
        make: of (image, variant) gives what is fed for it, without the batch axis.
        fetches: symbols to compute beside the score's.
        track: whether gradients will be asked for.
        fed: pairs of a symbol and its values for all images (n, ...), repeated for every variant. Default:
            the model's other inputs.
        at: the symbol that `make` gives values for. Default: the explained input.
    """
    n = len(session.inputs)
    counts = np.broadcast_to(count, (n,))
    total = int(counts.sum())
    images, firsts = np.repeat(np.arange(n), counts), np.cumsum(counts) - counts
    target = session.target
    symbol = session.image if at is None else at
    if fed is None:
        fed = [
            pair
            for i, pair in enumerate(zip(session.trace.inputs, session.inputs.feeds, strict=True))
            if i != session.inputs.explained
        ]
    wanted = list({s.id: s for s in [*target.fetches(), *fetches]}.values())
    dtype = symbol.dtype.as_numpy_dtype
    one = np.dtype(dtype).itemsize * int(np.prod(session.inputs.feeds[session.inputs.explained].shape[1:]))
    at_once = min(session.batch_size, max(_LEAST, _core.get_threads(), _FULL // one))
    with closing(bar(session.progress, total)) as shown:
        for begin in range(0, total, at_once):
            rows = np.arange(begin, min(begin + at_once, total))
            image = images[rows]
            variant = rows - firsts[image]
            pairs = list(zip(image.tolist(), variant.tolist(), strict=True))
            # a tensor's memory is used again, where an array's would be fresh pages in every run
            feed = np.asarray(arrays.concat([np.asarray(make(*pair), dtype)[None] for pair in pairs], 0))
            feeds = [(symbol, feed)]
            for other, values in fed:
                feeds.append((other, np.ascontiguousarray(values[image], dtype=other.dtype.as_numpy_dtype)))
            instance = session.trace.program.run(feeds, wanted, track=track)
            yield Rows(image, variant, instance, target.scored(instance, class_index[image]), feed)
            shown.update(len(rows))


def image_gradient(session: Session, instance: Any, scored: Scored, gate: str = "true") -> np.ndarray:
    """dy/dx of a run, (rows,H,W,C), with a rule for its ReLUs."""
    seeds = [(scored.symbol, scored.seed)]
    (gradient,) = instance.backward(seeds, [session.image], gate=gate)
    if gradient is None:
        raise ValueError(_NO_GRADIENT)
    return np.asarray(gradient)


def values_of(session: Session) -> np.ndarray:
    """The explained images (n,H,W,C) as the model takes them."""
    inputs = session.inputs
    return np.asarray(inputs.feeds[inputs.explained], session.image.dtype.as_numpy_dtype)


class Noise:
    """Normal noise: sample s is the same for every image, times `level` times the image's range.

    Attributes:
        deviation: (n,) standard deviation for each image.
    """

    def __init__(self, session: Session, samples: Any, noise: Any, seed: Any):
        self.samples = whole("samples", samples, 1)
        self.seed = whole("seed", seed, None)
        level = number("noise", noise)
        if not level > 0:
            raise ValueError(f"`noise` must be a positive number. Received: noise={noise!r}")
        self.images = values_of(session)
        high, low = (getattr(self.images, way)((1, 2, 3)).astype(np.float64) for way in ("max", "min"))
        self.deviation = level * (high - low)
        even = np.flatnonzero(self.deviation == 0)
        if len(even):
            session.notes.append(
                ("the image has one value everywhere: noise relative to its range is none", even)
            )
        self._dtype = np.result_type(self.images, np.float32)
        self._kept: dict[int, Any] = {}

    def __call__(self, image: int, sample: int) -> np.ndarray:
        """A noisy copy (H,W,C)."""
        noise = self._kept.get(sample)
        if noise is None:
            shape = self.images.shape[1:]
            noise = functions.cast(random.stateless_normal(shape, seed=(self.seed, sample)), self._dtype)
            if len(self.images) > 1 and self.samples * self.images[0].nbytes <= _MOST_NOISE:
                self._kept[sample] = noise
        return np.asarray(noise * self.deviation[image] + self.images[image].astype(self._dtype, copy=False))


def finish_pixels(
    session: Session,
    scored: Scored,
    raw: np.ndarray,
    reduce: str,
    *,
    method: str,
    reason: str,
    steps: dict[str, np.ndarray] | None = None,
    layer: str | None = None,
    **parameters: Any,
) -> Explanation:
    """The explanation of a method whose raw result has the image's shape.

    Args:
        session, scored: as they are after the runs.
        raw: (n,H,W,C).
        reduce: how the channels of a pixel become one number.
        method, layer: names.
        reason: what a blank map means; `{}` stands for the class.
        steps: what came before `raw`.
        parameters: the method's settings.
    """
    note_infinite(session, raw, "the result")
    grey = ops.saliency(raw, reduce=reduce)
    maps = session.finish(grey, scored.class_index, reason)
    return session.explanation(
        scored,
        maps,
        raw,
        method=method,
        layer=layer,
        steps={**(steps or {}), f"{reduce} over channels": grey},
        reduce=reduce,
        **parameters,
    )


def note_infinite(session: Session, raw: np.ndarray, what: str) -> None:
    """Warns of images whose result is not finite."""
    finite = np.isfinite(raw)
    if not finite.all():
        bad = np.flatnonzero(~finite.reshape(len(raw), -1).all(1))
        session.notes.append((f"{what} grew beyond {raw.dtype}: NaN counts as 0", bad))


def check_reduce(reduce: Any) -> None:
    if reduce not in ("sum", "max"):
        raise ValueError(f"`reduce` must be one of sum, max. Received: reduce={reduce!r}")


def whole(name: str, value: Any, least: int | None) -> int:
    """`value` as an integer of at least `least`."""
    wanted = (
        "an integer"
        if least is None
        else "a positive integer"
        if least == 1
        else f"an integer of {least} or more"
    )
    try:
        if isinstance(value, bool):
            raise TypeError
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"`{name}` must be {wanted}. Received: {name}={value!r}") from None
    if least is not None and result < least:
        raise ValueError(f"`{name}` must be {wanted}. Received: {name}={value!r}")
    return result


def number(name: str, value: Any) -> float:
    """`value` as a finite float."""
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}") from None
    if not np.isfinite(result):
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r}")
    return result
