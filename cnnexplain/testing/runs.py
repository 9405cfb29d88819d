"""Mistakes that only the model can show: another score, class, layer, method, or another image."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnexplain import explain

from .recipes import Found, difference

_MAPS = ("grad_cam", "cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "xgrad_cam")
_PIXELS = ("saliency", "input_x_gradient", "guided_backprop", "rectified_gradient")
_MOST = 10  # classes and layers that are tried

_LOGIT = (
    "The score is the probability, after the softmax, where the logit is asked. The gradient of a "
    "probability mixes all classes and fades where the network is sure: differentiate the value before the "
    "softmax."
)
_PROBABILITY = (
    "The score is the logit where the probability is asked: differentiate the value after the softmax."
)
_LOSS = (
    "The gradient is that of the loss, which falls where the score rises. Differentiate the score of the "
    "class itself."
)
_SWAPPED = (
    "Red and blue are swapped: the image went into the network with its channels in reverse order, BGR where "
    "RGB is expected or the other way round. OpenCV reads BGR; `image[..., ::-1]` turns it."
)


@dataclass(frozen=True)
class Run:
    """A mistake, and what the method gives with it."""

    found: Found
    explanation: explain.Explanation


class Again:
    """The method once more, with one thing changed.

    Raises:
        ValueError: `model` and `images` do not give `expected`.
    """

    def __init__(self, expected: explain.Explanation, model: Any, images: Any, tol: float):
        self.expected, self.model = expected, model
        self.images = images.numpy() if hasattr(images, "numpy") else images
        self.classes = np.atleast_1d(expected.class_index)
        family = next((names for names in (_MAPS, _PIXELS) if expected.method in names), ())
        self.others = [name for name in family if name != expected.method]
        self.possible = (
            bool(family)
            and expected.parameters.get("score") in ("logit", "probability", "log_probability", "loss")
            and ", " not in (expected.layer or "")
            and bool((self.classes >= 0).all())
        )
        if self.possible:
            same = self.run()
            asked = np.atleast_2d(expected.map).reshape(-1, *np.shape(expected.map)[-2:])
            if same is None or difference(same.map.astype(float), asked.astype(float)) > max(tol, 1e-3):
                raise ValueError(
                    "`model` and `images` must be what `expected` was computed from: computed again, "
                    f"{expected.method} gives another map"
                )

    def run(
        self, method: str | None = None, class_index: Any = None, images: Any = None, **changes: Any
    ) -> explain.Explanation | None:
        """An explanation; None where the method refuses."""
        name = method or self.expected.method
        options = {**self.expected.parameters, "layer": self.expected.layer, **changes}
        options.pop("batch_size", None)
        known = inspect.signature(getattr(explain, name)).parameters
        options = {key: value for key, value in options.items() if key in known}
        try:
            return explain.by_name(
                self.model,
                self.images if images is None else images,
                self.classes if class_index is None else class_index,
                method=name,
                **options,
            )
        except (ValueError, TypeError):
            return None

    def runs(self) -> Iterator[Run]:
        """One after the other, in the order of the steps."""
        if not self.possible:
            return
        score = self.expected.parameters["score"]
        arrays = self.images if isinstance(self.images, np.ndarray) else None
        if arrays is not None and arrays.ndim >= 3 and arrays.shape[-1] == 3:
            swapped = np.ascontiguousarray(arrays[..., ::-1])
            yield from self._one("images", "channels-swapped", _SWAPPED, images=swapped)
        if arrays is not None:
            for factor, what in ((1 / 255, "divided by 255"), (255.0, "multiplied by 255")):
                yield from self._one(
                    "images",
                    "images-scaled",
                    f"The images are {what} on their way into the network, which was not trained on such "
                    "numbers. Give them as they are given.",
                    images=(arrays * factor).astype(np.float32),
                )
        yield from self._layers()
        for other, key, sentence in (
            ("logit", "logit-instead-of-softmax", _PROBABILITY),
            ("probability", "softmax-instead-of-logit", _LOGIT),
            ("loss", "loss-instead-of-score", _LOSS),
        ):
            if other != score:
                yield from self._one("score", key, sentence, score=other)

    def methods(self) -> Iterator[Run]:
        """The other methods of the family."""
        for name in self.others if self.possible else ():
            sentence = f"These are the numbers of the method {name}; asked is {self.expected.method}."
            yield from self._one("method", "another-method", sentence, method=name)

    def _layers(self) -> Iterator[Run]:
        layer = self.expected.layer
        if layer is None:
            return
        names = [one.name for one in self.model.layers if one.name != layer][-_MOST:]
        for name in names:
            sentence = f"The map is that of layer {name!r}; asked is layer {layer!r}."
            yield from self._one("layer", "another-layer", sentence, layer=name)

    def _one(self, step: str, key: str, sentence: str, **changes: Any) -> Iterator[Run]:
        explanation = self.run(**changes)
        if explanation is not None:
            yield Run(Found(step, key, sentence), explanation)

    def another_class(self, student: np.ndarray, of: str, near: float) -> Found | None:
        """Whether every image's numbers are those of some class, not always the one that is asked."""
        units = self.model.output_shape[-1]
        if not self.possible or not isinstance(units, int):
            return None
        shown = np.full(len(self.classes), -1)
        for index in range(min(max(units, 2), _MOST)):
            explanation = self.run(class_index=index)
            if explanation is None:
                continue
            values = array_of(explanation, of)
            if values is None or values.shape != student.shape:
                return None
            for i in np.flatnonzero(shown < 0).tolist():
                if values[i].any() and difference(student[i], values[i].astype(float)) <= near:
                    shown[i] = index
        wrong = np.flatnonzero(shown != self.classes)
        if (shown < 0).any() or not len(wrong):
            return None
        first = int(wrong[0])
        return Found(
            "class",
            "another-class",
            f"The map is that of another class: image {first} shows class {shown[first]}, asked is class "
            f"{self.classes[first]}. Take the score of the class that is asked, `scores[:, class_index]`, "
            "and not that of the most likely one.",
        )


def array_of(explanation: explain.Explanation, of: str) -> np.ndarray | None:
    """ "map", "raw" or a step, as float64."""
    value = getattr(explanation, of) if of in ("map", "raw") else explanation.steps.get(of)
    return None if value is None else np.asarray(value, np.float64)
