"""One call of a method: the traced model, its inputs, the explained score, and the batches that run."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from cnnexplain import ops
from cnnexplain.keras.config import standardize_dtype
from cnnexplain.keras.layers import Flatten
from cnnexplain.keras.tracing import trace
from cnnexplain.plot import class_label

from . import layers
from .explanation import Explanation, Note
from .inputs import prepare
from .progress import Progress, bar, checked
from .target import Scored, Target, choose_output

_MOST_STEP_BYTES = 1 << 28


class Session:
    """What every method starts from. Traces in inference mode; reads the model, never changes it.

    Attributes:
        trace: the model's flat program.
        inputs: images checked and kept for display.
        target: the score.
        asked: (n,) classes that the caller chose, or None.
        notes: warnings so far.
    """

    def __init__(
        self,
        model: Any,
        images: Any,
        class_index: Any,
        *,
        score: Any,
        input: Any,
        output: Any,
        preprocess: Any,
        class_names: Sequence[str] | None,
        dtype: Any,
        batch_size: int,
        progress: Progress,
    ):
        if not hasattr(model, "_make_trace"):
            raise TypeError(f"`model` must be a keras Model or Sequential. Received: {type(model).__name__}")
        if dtype is not None and standardize_dtype(dtype) not in ("float32", "float64"):
            raise ValueError(f"`dtype` must be None, 'float32' or 'float64'. Received: dtype={dtype!r}")
        self.batch_size = _positive(batch_size)
        self.progress = checked(progress)
        self.model = model
        try:
            self.trace = trace(model, training=False, dtype=dtype)
        except ValueError:
            _refuse_channels_first(model)  # a better reason
            raise
        input_names, output_names = _names_of(model, self.trace)
        remembered = layers.said_by(model, "preprocess")
        self.inputs = prepare(self.trace.inputs, input_names, images, input, preprocess, remembered)
        _check_range(self.inputs.feeds[self.inputs.explained], self.image)
        self.target = _target(self.trace, choose_output(self.trace.outputs, output_names, output), score)
        self.asked = self.target.choose(class_index, len(self.inputs))
        self.class_names = self._checked_names(class_names)
        self.notes: list[Note] = [(text, None) for text in self.inputs.notes + self.target.notes(class_index)]
        self.parameters = {
            "score": score if isinstance(score, str) else getattr(score, "__name__", repr(score)),
            "dtype": self.trace.inputs[self.inputs.explained].dtype.name,
            "batch_size": self.batch_size,
        }

    def _checked_names(self, class_names: Sequence[str] | None) -> tuple[str, ...] | None:
        names = layers.said_by(self.model, "class_names") if class_names is None else class_names
        if names is None:
            return None
        listed = hasattr(names, "__len__") and not isinstance(names, str)
        if not listed or (self.target.classes is not None and len(names) != self.target.classes):
            raise ValueError(
                f"`class_names` must hold {self.target.classes} names. Received: class_names={names!r}"
            )
        return tuple(str(name) for name in names)

    @property
    def image(self) -> Any:
        """The program's symbol of the explained input."""
        return self.trace.inputs[self.inputs.explained]

    def place(self, layer: Any) -> layers.Place:
        """Where in the program the output of a layer is."""
        return layers.find(self.model, self.trace, layer, self.target.logits, self.image)

    def batches(self, fetches: Sequence[Any] = ()) -> Iterator[tuple[slice, Any, Scored]]:
        """Runs the model over the images; yields each batch's place, instance and scores."""
        wanted = {symbol.id: symbol for symbol in [*self.target.fetches(), *fetches]}
        count = len(self.inputs)
        with closing(bar(self.progress, count)) as shown:
            for begin in range(0, count, self.batch_size):
                part = slice(begin, min(begin + self.batch_size, count))
                instance = self.trace.program.run(self.feeds(part), list(wanted.values()), stays=True)
                asked = None if self.asked is None else self.asked[part]
                yield part, instance, self.target.scored(instance, asked)
                shown.update(part.stop - part.start)

    def feeds(self, part: slice) -> list[tuple[Any, np.ndarray]]:
        """What the model is given for some of the images: pairs of an input and its values."""
        whole = part.start == 0 and part.stop >= len(self.inputs)
        return [
            (symbol, _castable(array if whole else array[part], symbol))
            for symbol, array in zip(self.trace.inputs, self.inputs.feeds, strict=True)
        ]

    def label(self, index: int) -> str:
        """How a class is called in titles."""
        index = int(self.target.class_of(index))
        return class_label(self.class_names[index] if self.class_names else None, index)

    def finish(self, values: np.ndarray, class_index: np.ndarray, reason: str) -> np.ndarray:
        """Scales maps (n,H,W) of values >= 0 to [0,1] as float32; a blank one gets a warning that says why.

        `{}` in reason is the class.
        """
        maps = ops.normalize(values)
        if maps.dtype != np.float32:
            maps = maps.astype(np.float32)
        if maps.reshape(len(maps), -1).any(1).all():
            return maps
        flat = values.reshape(len(values), -1)
        empty = flat.max(1) <= 0
        even = ~empty & (flat.max(1) == flat.min(1))
        for blank, text in (
            (empty, reason),
            (even, "the map of {} has the same value everywhere and is shown as zero"),
        ):
            for index in np.unique(class_index[blank]):
                what = self.label(int(index)) if index >= 0 else "the score"
                self.notes.append((text.format(what), np.flatnonzero(blank & (class_index == index))))
        return maps

    def explanation(
        self,
        scored: Scored,
        maps: np.ndarray,
        raw: np.ndarray,
        *,
        method: str,
        layer: str | None,
        steps: dict[str, np.ndarray],
        **parameters: Any,
    ) -> Explanation:
        """The result, without the largest steps when they take too much memory."""
        size = sum(array.nbytes for array in steps.values())
        if size > _MOST_STEP_BYTES:
            kept = {name: array for name, array in steps.items() if array.ndim < 4}
            dropped = ", ".join(name for name in steps if name not in kept)
            self.notes.append((f"`steps` leaves out {dropped}: {size >> 20} MB for {len(maps)} images", None))
            steps = kept
        return Explanation(
            map=maps,
            raw=raw,
            class_index=self.target.class_of(scored.class_index),
            score=scored.score,
            probability=scored.probability,
            images=self.inputs.pictures,
            method=method,
            layer=layer,
            class_names=self.class_names,
            parameters=parameters | self.target.settings(scored.class_index) | self.parameters,
            steps=steps,
            notes=self.notes,
        )


class Collector:
    """Joins what the batches yield: named arrays, and their scores."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}
        self._scored: list[Scored] = []

    def add(self, scored: Scored, **arrays: np.ndarray) -> None:
        self._scored.append(scored)
        for name, array in arrays.items():
            self._parts.setdefault(name, []).append(array)

    def __getitem__(self, name: str) -> np.ndarray:
        parts = self._parts[name]
        if len(parts) > 1:
            self._parts[name] = parts = [np.concatenate(parts)]
        return parts[0]

    @property
    def scored(self) -> Scored:
        """The scores of all batches."""
        first = self._scored[0]
        if len(self._scored) == 1:
            return first
        return Scored(
            np.concatenate([s.class_index for s in self._scored]),
            np.concatenate([s.score for s in self._scored]),
            np.concatenate([s.probability for s in self._scored]),
            first.symbol,
            first.seed,
        )


def _names_of(model: Any, trace: Any) -> tuple[list[str], list[str]]:
    """What the inputs and the outputs of a model are called; looks at its layout first."""
    if "names" not in trace.memo:
        _refuse_channels_first(model)
        trace.memo["names"] = (
            _names(model, "input_names", trace.inputs),
            _names(model, "output_names", trace.outputs),
        )
    return trace.memo["names"]


def _target(trace: Any, output: int, score: Any) -> Target:
    if not isinstance(score, str):
        return Target(trace.outputs[output], score)
    key = ("target", output, score)
    if key not in trace.memo:
        trace.memo[key] = Target(trace.outputs[output], score)
    return trace.memo[key]


def _castable(array: np.ndarray, symbol: Any) -> np.ndarray:
    """Values that the engine takes for an input: it makes reals of any, but neither integers nor bools."""
    if array.dtype.char == "e" or not symbol.dtype.is_floating:
        return np.asarray(array, symbol.dtype.as_numpy_dtype)
    return array


def _check_range(images: np.ndarray, symbol: Any) -> None:
    """Finite float64 images may be infinite in the model's type."""
    dtype = np.dtype(symbol.dtype.as_numpy_dtype)
    if images.dtype.kind == "f" and dtype.kind == "f" and images.dtype.itemsize > dtype.itemsize:
        outside = (np.abs(images) > np.finfo(dtype).max).any((1, 2, 3))
        if outside.any():
            raise ValueError(
                f"`images` must be finite as {dtype}. Received: values up to {np.abs(images).max():.4g} in "
                f"image {int(outside.argmax())}. Scale the images as in training"
            )


def _refuse_channels_first(model: Any) -> None:
    """Maps are (n,h,w,channels) everywhere: a network of other maps would be explained along wrong axes."""
    for layer in getattr(model, "layers", ()):
        if getattr(layer, "data_format", None) == "channels_first" and not isinstance(layer, Flatten):
            raise ValueError(
                "`model` must have its channels last. Received: a model whose layer "
                f"{layer.name!r} has data_format='channels_first'. Build it again after "
                "keras.config.set_image_data_format('channels_last'); kernels have the same shape in both"
            )
        _refuse_channels_first(layer)


def _positive(batch_size: Any) -> int:
    try:
        value = operator.index(batch_size)
    except TypeError:
        value = 0
    if value < 1 or isinstance(batch_size, bool):
        raise ValueError(f"`batch_size` must be a positive integer. Received: batch_size={batch_size!r}")
    return value


def _names(model: Any, attribute: str, symbols: Sequence[Any]) -> list[str]:
    """What the model calls its inputs or outputs; their numbers when it has no names."""
    names = getattr(model, attribute, None) or ()
    return list(names) if len(names) == len(symbols) else [str(i) for i in range(len(symbols))]
