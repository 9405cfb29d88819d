"""Assertions that tell a student what went wrong, not only that something did."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain.explain import Explanation

from .finishing import arrangement, plain_values, scaling
from .map_recipes import enlarging, raw_stage, relu, sum_stages
from .measured import measure
from .pixel_recipes import over_channels, raw_end, raw_pixels
from .recipes import Several, Stage, difference, result, search
from .runs import Again, array_of

_MOST_VALUES = 100_000  # of arrays for which two mistakes together are looked for
_MOST_NAMED = 4
_FEW_VALUES = 4
# Stages that are no steps of the computation: what is seen on the numbers alone.
_NO_STEPS = ("values", "arrangement", "scale", "place", "weighted sum as it is", "gradients as they are")


class MapMismatch(AssertionError):
    """Two maps are not the same.

    Attributes:
        difference: what differs, one sentence.
        explanations: each a tuple of mistakes (`step`, `key`, `sentence`) that together give the student's
            numbers; more than one where several fit, empty where none does.
        keys: all their keys, such as ("relu-missing",).
    """

    def __init__(self, difference: str, explanations: list[Several], rest: str = ""):
        self.difference = difference
        self.explanations = explanations
        self.keys = tuple(dict.fromkeys(one.key for several in explanations for one in several))
        super().__init__("\n".join([difference, *_told(explanations), *([rest] if rest else [])]))

    def __reduce__(self) -> Any:
        return _restored, (self.args, self.__dict__)


def _restored(args: Any, state: Any) -> MapMismatch:
    error = MapMismatch.__new__(MapMismatch)
    error.args = args
    error.__dict__.update(state)
    return error


def assert_same_map(
    student: Any,
    expected: Any,
    tol: float = 1e-3,
    *,
    of: str = "map",
    model: Any = None,
    images: Any = None,
) -> None:
    """Passes if `student` is `expected` up to `tol`; otherwise says what differs and which mistake does that.

    The steps of the explanation are computed again with one usual mistake (or, for arrays of up to 100,000
    numbers, two) in each place; the mistakes that give the student's numbers are named, the earliest step
    first. Where several fit, all are named; where none does, the message says so and gives numbers.

    Args:
        student: an array, Tensor or Explanation.
        expected: an Explanation, or an array, of which no steps are known.
        tol: the largest difference that passes, as a part of the largest number expected.
        of: what of the explanation is asked: "map", "raw" or the name of a step, such as "channel weights".
        model, images: what `expected` was computed from, if mistakes before the first step are to be looked
            for too: softmax in place of the logit, another class, layer or method, channels swapped. This
            runs the model up to some thirty times, only where the maps differ. For Grad-CAM and its
            one-pass relatives, `cam`, `saliency`, `input_x_gradient`, `guided_backprop`.

    Raises:
        MapMismatch: an AssertionError; the message starts with what differs, then comes the sentence that
            teaches.
        ValueError: `of` is no part of `expected`, or `model` and `images` do not belong to it.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> from cnnexplain.testing import assert_same_map, tiny_images, tiny_model
    >>> model, images = tiny_model(), tiny_images(2)
    >>> expected = cx.explain.grad_cam(model, images, 1)
    >>> weights, activations = expected.steps["channel weights"], expected.steps["activations"]
    >>> heatmap = (activations * weights[:, None, None]).sum(-1)
    >>> heatmap = cx.ops.resize(heatmap, images.shape[1:3])  # the ReLU has been forgotten
    >>> heatmap /= heatmap.max(axis=(1, 2), keepdims=True)
    >>> try:
    ...     assert_same_map(heatmap, expected)
    ... except AssertionError as error:
    ...     print(str(error).splitlines()[1][:42])
    First wrong step: ReLU. The ReLU is missin
    """
    __tracebackhide__ = True
    if not tol >= 0:
        raise ValueError(f"`tol` must be 0 or more. Received: tol={tol}")
    asked = _expected(expected, of)
    name = {"map": "map", "raw": "raw map"}.get(of, f"step {of!r}")
    if isinstance(student, Explanation):
        student = array_of(student, of)
    given = _numbers(student, name, asked)
    if difference(given, asked) <= tol:
        return
    if given.shape == asked.shape and not np.isfinite(given).all():
        raise MapMismatch(_not_finite(given, name), [], _after_nan(given, asked))
    told = _what_differs(given, asked, name, tol)
    single = isinstance(expected, Explanation) and np.ndim(expected.map) == 2
    if single:
        given, asked = given[None], asked[None]
    near = min(max(tol, 1e-6), difference(given, asked) / 3)
    found = _Search(expected, asked, of, tol).explain(given, near, model, images)
    raise MapMismatch(told, found, "" if found else _no_reason(given, asked))


class _Search:
    """The mistakes that give a student's numbers, by the number of mistakes."""

    def __init__(self, expected: Any, asked: np.ndarray, of: str, tol: float):
        self.expected, self.asked, self.of, self.tol = expected, asked, of, tol
        self.stages = _stages(expected, asked, of, tol)

    def explain(self, student: np.ndarray, near: float, model: Any, images: Any) -> list[Several]:
        if _blank(student):
            return []  # too many mistakes give it
        found = search(self.stages, student, near, 1)
        again = None
        if isinstance(self.expected, Explanation) and model is not None and images is not None:
            again = Again(self.expected, model, images, self.tol)
            found += self._runs(again, student, near, methods=not found)
        if found:
            return found
        steps = getattr(self.expected, "steps", {})
        shape = np.shape(steps.get("activations", ()))
        shape = (1, *shape) if len(shape) == 3 else shape
        of_map = self.of == "map" and isinstance(self.expected, Explanation)
        if np.unique(self.asked).size < _FEW_VALUES:
            return []  # a factor, or two mistakes, fit by chance
        measured = measure(student, self.asked, near, of_map, shape if len(shape) == 4 else None)
        if measured:
            return [(one,) for one in measured]
        if student.size > _MOST_VALUES:
            return []
        found = search(self.stages, student, near, 2)
        if again is not None:
            for run in again.runs():
                values = array_of(run.explanation, self.of)
                if values is not None:
                    stages = _stages(run.explanation, values, self.of, self.tol)
                    found += [(run.found, *several) for several in search(stages, student, near, 1)]
        return found

    def _runs(self, again: Again, student: np.ndarray, near: float, methods: bool) -> list[Several]:
        """`methods`: also the numbers of other methods, which mistakes of a step can give as well."""
        found: list[Several] = []
        for runs in (again.runs, again.methods) if methods else (again.runs,):
            for run in runs():
                values = array_of(run.explanation, self.of)
                if values is not None and difference(student, values) <= near:
                    found.append((run.found,))
            if found:
                return found
        other = again.another_class(student, self.of, near)
        return [(other,)] if other else []


def _expected(expected: Any, of: str) -> np.ndarray:
    """What is asked, as float64."""
    if not isinstance(expected, Explanation):
        if of not in ("map", "raw"):
            raise ValueError(
                f"`of` names a step of an Explanation; `expected` is an array. Received: of={of!r}"
            )
        return np.asarray(expected, np.float64)
    value = array_of(expected, of)
    if value is None:
        names = ", ".join(["map", "raw", *expected.steps])
        raise ValueError(f"`of` must be one of: {names}. Received: of={of!r}")
    return value


def _numbers(student: Any, name: str, asked: np.ndarray) -> np.ndarray:
    """The student's numbers as float64, or a MapMismatch that says why there are none."""
    wanted = f"expected an array of shape {asked.shape}"
    if student is None:
        raise MapMismatch(f"The {name} is None, {wanted}.", [], "Is the `return` of the function missing?")
    if callable(student):
        raise MapMismatch(f"The {name} is a function, {wanted}.", [], "Call it, with parentheses.")
    if isinstance(student, (tuple, dict, set)):
        raise MapMismatch(f"The {name} is a {type(student).__name__}, {wanted}.", [], "Return one array.")
    try:
        array = np.asarray(student)
    except Exception as error:  # whatever a student's object does
        raise MapMismatch(f"The {name} is no array: {error}; {wanted}.", []) from error
    if array.dtype.kind not in "fiub":
        raise MapMismatch(
            f"The {name} has dtype {array.dtype}, expected numbers: float32 or float64.",
            [],
            "Lists of different lengths, strings or None among the numbers give such an array."
            if array.dtype.kind in "OSU"
            else "",
        )
    return array.astype(np.float64)


def _stages(expected: Any, asked: np.ndarray, of: str, tol: float) -> list[Stage]:
    """The recipe, if it gives what is expected; otherwise what can be said of numbers alone."""
    if isinstance(expected, Explanation):
        stages = _recipe(expected, of)
        made = result(stages) if stages else None
        if made is not None and difference(made, asked) <= max(tol / 3, 1e-5):
            return stages
        own = [] if of == "map" else plain_values()
    else:
        own = plain_values()
    return [Stage("expected", lambda v: asked), Stage("values", lambda v: v.last, own), arrangement()]


def _recipe(expected: Explanation, of: str) -> list[Stage]:
    """The stages up to what is asked; none where the method is not known."""
    lead = (slice(None),) if np.ndim(expected.map) == 3 else (None,)
    steps = {
        name: np.asarray(array, np.float64)[lead if np.ndim(array) else ...]
        for name, array in expected.steps.items()
    }
    raw = np.asarray(expected.raw, np.float64)[lead]
    size = (int(expected.map.shape[-2]), int(expected.map.shape[-1]))
    if {"weighted sum", "ReLU", "upsampled"} <= set(steps):
        sign = -1 if expected.parameters.get("counterfactual") else 1
        stages = [*sum_stages(steps, raw, sign), relu(), enlarging(size), scaling()]
        end = raw_stage()
    elif f"{(reduce := str(expected.parameters.get('reduce')))} over channels" in steps:
        stages = [raw_pixels(raw), over_channels(reduce), scaling()]
        end = raw_end()
    else:
        return []
    if of == "map":
        return [*stages, arrangement()]
    last = "weighted sum" if raw.ndim == 3 else "gradients"
    names = [stage.name for stage in stages]
    if of == "raw" or of == last:
        return [*stages[: names.index(last) + 1], end, arrangement()]
    if of not in names:
        return []
    extra = [Stage("shape", _without_axes)] if of == "channel weights" else []
    return [*stages[: names.index(of) + 1], *extra, arrangement()]


def _without_axes(values: Any) -> np.ndarray:
    """Weights as a student returns them, without axes of length 1."""
    weights: np.ndarray = values.last
    axes = tuple(axis for axis in range(1, weights.ndim - 1) if weights.shape[axis] == 1)
    return weights.squeeze(axes) if weights.ndim == 4 else weights


def _place(index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    names = {3: ("image", "row", "column"), 4: ("image", "row", "column", "channel"), 2: ("row", "column")}
    where = [f"{name} {i}" for name, i in zip(names.get(len(shape), ()), index, strict=False)]
    return f"[{', '.join(map(str, index))}]" + (f" ({', '.join(where)})" if where else "")


def _what_differs(given: np.ndarray, asked: np.ndarray, name: str, tol: float) -> str:
    if given.shape != asked.shape:
        return f"The {name} has shape {given.shape}, expected {asked.shape}."
    gaps = np.abs(given - asked)
    allowed = tol * (np.abs(asked).max() or 1)
    index = tuple(int(i) for i in np.unravel_index(int(gaps.argmax()), gaps.shape))
    return (
        f"The {name} differs at {int((gaps > allowed).sum())} of {gaps.size} places, most by "
        f"{gaps[index]:.4g} at {_place(index, gaps.shape)}: {given[index]:.4g}, expected {asked[index]:.4g}."
    )


def _not_finite(given: np.ndarray, name: str) -> str:
    bad = ~np.isfinite(given)
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    what = "NaN" if np.isnan(given).any() else "infinite numbers"
    return (
        f"The {name} has {what} at {int(bad.sum())} of {given.size} places, first at "
        f"{_place(index, given.shape)}."
    )


def _after_nan(given: np.ndarray, asked: np.ndarray) -> str:
    blank = [i for i in range(len(asked)) if asked.ndim > 2 and not asked[i].any()]
    if blank and all(np.isfinite(given[i]).all() or i in blank for i in range(len(asked))):
        return (
            f"The map of image {blank[0]} is zero everywhere, and 0 / 0 is NaN: divide by the maximum only "
            "where it is positive."
        )
    return "NaN comes from 0 / 0, infinity from x / 0 or from numbers that grow too large: see the divisions."


def _blank(array: np.ndarray) -> bool:
    """Whether every image has one value everywhere, for whatever reason."""
    images = array.reshape(len(array), -1) if array.ndim > 2 else array.reshape(1, -1)
    return not array.size or bool((images.min(1) == images.max(1)).all())


def _no_reason(given: np.ndarray, asked: np.ndarray) -> str:
    if given.size > 1 and given.min() == given.max():
        lines = [
            f"Every value is {given.flat[0]:.4g}, which many mistakes give. Look at the values before the "
            "last steps: is everything negative before the ReLU, is the gradient zero, are the numbers "
            "cast to integers?"
        ]
    else:
        lines = ["No usual mistake gives these numbers."]
    for whose, array in (("Yours", given), ("Expected", asked)):
        if array.size:
            lines.append(f"{whose}: from {array.min():.4g} to {array.max():.4g}, mean {array.mean():.4g}.")
    if given.shape == asked.shape and given.std() > 0 and asked.std() > 0:
        lines.append(f"Correlation {np.corrcoef(given.ravel(), asked.ravel())[0, 1]:.3f}.")
    return " ".join(lines)


def _told(explanations: list[Several]) -> list[str]:
    if not explanations:
        return []
    texts = []
    for several in explanations[:_MOST_NAMED]:
        parts: list[str] = []
        for one in several:
            lead = "Then also" if parts else "First wrong step" if one.step not in _NO_STEPS else "Hint"
            place = f", at {one.step}: " if parts else ": " if lead == "Hint" else f": {one.step}. "
            parts.append(f"{lead}{place}{one.sentence}")
        texts.append(" ".join(parts))
    if len(texts) == 1:
        return texts
    more = len(explanations) - len(texts)
    lead = f"{len(explanations)} explanations give these numbers; they cannot be told apart here:"
    return [lead, *(f"- {text}" for text in texts), *([f"- and {more} more"] if more else [])]
