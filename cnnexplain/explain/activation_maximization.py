"""Images that excite a class, a unit or a layer, found by gradient ascent."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import random
from cnnexplain.keras.tracing import trace
from cnnexplain.plot import bare_image, new_figure, png, to_rgb

from . import layers
from .arguments import Shared, method, open_session
from .image_space import Space, blurred, bound, total_variation
from .progress import bar
from .sampling import number, whole
from .session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from typing_extensions import Unpack

_COLOURS = ("decorrelated", "plain")
_SPREAD = 0.01  # of the numbers that an image starts from
_SIDES = 32  # how many of the largest shifts make the smaller side
_RATES = (0.05, 0.2)  # of 224 pixels and more, and of 56 and fewer
_DECAY = (0.9, 0.999)  # of Adam's moments


@dataclass(frozen=True)
class Maximized:
    """What `activation_maximization` found.

    Attributes:
        images: (n,H,W,C) for the eye, in [0,1]: 0 is `low`, 1 is `high`; colours as red, green, blue.
        inputs: (n,H,W,C) in the values that the model takes.
        targets: (n,) of str, what each image excites.
        curve: (n, steps) the objective before each step: activation of the shifted image less its penalty.
        start, activation: (n,) the activation at the beginning and at the end, of the image as it is.
        parameters: the settings.
        warnings: what the user should know.
    """

    images: np.ndarray
    inputs: np.ndarray
    targets: tuple[str, ...]
    curve: np.ndarray
    start: np.ndarray
    activation: np.ndarray
    parameters: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def plot(self) -> Figure:
        """The images with what they excite, and below them the curves of their objectives."""
        columns = min(len(self), 4)
        rows = math.ceil(len(self) / columns)
        figure = new_figure(2.2 * columns + 0.6, 2.5 * rows + 2.2)
        grid = figure.add_gridspec(rows + 1, columns)
        for i, picture in enumerate(to_rgb(self.images)):
            axes = figure.add_subplot(grid[divmod(i, columns)])
            bare_image(axes, picture)
            axes.set_title(f"{self.targets[i]}: {self.activation[i]:.3g}")
        axes = figure.add_subplot(grid[rows, :])
        for label, line in zip(self.targets, self.curve, strict=True):
            axes.plot(line, label=label)
        axes.set_xlabel("step")
        axes.set_ylabel("objective")
        axes.legend(loc="best", fontsize="small")
        return figure

    def _repr_png_(self) -> bytes:
        return png(self.plot())

    def __repr__(self) -> str:
        count = "1 image" if len(self) == 1 else f"{len(self)} images"
        return f"<Maximized {count} {self.images.shape[1]}x{self.images.shape[2]}: {', '.join(self.targets)}>"


@method
def activation_maximization(
    model: Any,
    target: Any,
    *,
    steps: int = 256,
    learning_rate: float | None = None,
    jitter: int | None = None,
    blur: float = 0.5,
    blur_every: int = 8,
    total_variation: float = 1e-2,
    colours: str | None = None,
    start: Any = None,
    size: tuple[int, int] | None = None,
    low: Any = None,
    high: Any = None,
    seed: int = 0,
    **shared: Unpack[Shared],
) -> Maximized:
    """Images that excite a class, a unit or a layer: gradient ascent on the image, from noise.

    Pixels are x = low + (high - low) s, s = 1 / (1 + exp(-M z)), so that they stay within their bounds; M
    mixes colours as photographs do. Each step adds to z Adam's step of the gradient of

        activation(x shifted at random) - total_variation * sum of (s - s_neighbour)^2

    and every few steps z is blurred. Pixels that a shift moves out come in again on the other side. The
    activation of a class is its logit; of a unit the mean of its map before ReLU, if that is what makes the
    layer's output (behind a closed ReLU there would be no gradient); of a layer the mean of its squares
    (DeepDream). The same seed gives the same bits, and an image does not depend on the others of a call.
    Simonyan et al., arXiv 1312.6034; total variation: Mahendran and Vedaldi, 1412.0035; blur: Yosinski et
    al., 1506.06579; shifts: the DeepDream notebook of 2015; colours: Olah et al., Distill 2017,
    10.23915/distill.00007.

    Args:
        model: a keras Model or Sequential with one input.
        target: a class or a list of classes; a tuple (layer, unit) or (layer, [units]), a unit being the
            number of a feature map or of a dense unit, or (row, column, number) for one place of a map; or a
            layer by name, "outer/inner" or itself.
        steps: of gradient ascent.
        learning_rate: of Adam. None: 11.2 divided by the smaller side, but between 0.05 and 0.2: what a small
            image shows is few pixels wide, and smaller steps would not keep up with the blur.
        jitter: the most pixels that the image is shifted by in each direction, anew in every step. None: a
            32nd of the smaller side, at least 1.
        blur: standard deviation in pixels of the blur of z; 0 for none.
        blur_every: in every how many-th step.
        total_variation: how much it counts; 0 for nothing.
        colours: "decorrelated" or "plain" (each channel by itself); None: decorrelated for 3 channels.
        start: an image (H,W,C), or (n,H,W,C), in the values that the model takes, to begin with instead of
            noise.
        size: height and width, for models that take any.
        low: the least that a pixel can be in the values that the model takes: a number, an array (C,) or
            (H,W,C), "black" or "white". None: black where the preprocessing is known, else 0.
        high: the most; None: white, else 1.
        seed: of the noise and the shifts.
        batch_size: images that run at once.
        progress: True for a bar over the steps, or a callable of (done, total).

    Returns:
        A Maximized: `images`, `inputs`, `curve` and the activations.

    Raises:
        ValueError: no such class, layer or unit, the target does not depend on the image, or values that
            overflow.

    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> found = cx.explain.activation_maximization(network, [7, 9], steps=20)
    >>> found.images.shape, found.targets, bool((found.activation > found.start).all())
    ((2, 28, 28, 1), ('Sneaker', 'Ankle boot'), True)
    """
    steps, seed = whole("steps", steps, 1), whole("seed", seed, None)
    jitter = None if jitter is None else whole("jitter", jitter, 0)
    blur_every = whole("blur_every", blur_every, 1)
    rate = None if learning_rate is None else number("learning_rate", learning_rate)
    blur, penalty = number("blur", blur), number("total_variation", total_variation)
    for name, value in (("learning_rate", rate), ("blur", blur), ("total_variation", penalty)):
        if value is None:
            continue
        if value < 0 or (name == "learning_rate" and value == 0):
            wanted = "positive" if name == "learning_rate" else "a number of 0 or more"
            raise ValueError(f"`{name}` must be {wanted}. Received: {name}={value!r}")
    classes, layer, units = _read_target(target)
    count = len(classes) if layer is None else len(units)
    shape = _shape(model, size, shared.get("dtype"))
    blank = np.zeros((count, *shape), np.float32)
    jitter = max(1, min(shape[:2]) // _SIDES) if jitter is None else jitter
    rate = float(np.clip(_RATES[0] * 224 / min(shape[:2]), *_RATES)) if rate is None else rate
    session = open_session(
        "activation_maximization", model, blank, classes if layer is None else None, shared
    )
    objective = _Objective(session, layer, units)
    space, decorrelated = _space(session, colours, low, high, shared.get("preprocess"))
    z = _beginning(session, space, start, seed)
    ascent = _Ascent(objective, space, rate, jitter, blur, blur_every, penalty)
    shifts = random.stateless_uniform((steps, 2), (seed, 1), -jitter, jitter + 1, "int64")
    parts = [slice(i, min(i + session.batch_size, count)) for i in range(0, count, session.batch_size)]
    with closing(bar(session.progress, steps * len(parts))) as shown, _overflowing():
        done = [ascent.run(z[part], np.asarray(shifts), part, lambda: shown.update(1)) for part in parts]
    s, curve, first, last = (np.concatenate(arrays) for arrays in zip(*done, strict=True))
    channels = s.shape[3]
    flipped = _is_bgr(session, shared.get("preprocess")) and channels == 3
    warnings = []
    still = np.flatnonzero(~ascent.moved(curve))
    if len(still):
        names = ", ".join(objective.labels[i] for i in still)
        warnings.append(f"the activation has no gradient where the ascent began and did not change: {names}")
    return Maximized(
        images=(s[..., ::-1] if flipped else s).astype(np.float32),
        inputs=space.pixels(s).astype(session.image.dtype.as_numpy_dtype),
        targets=objective.labels,
        curve=curve,
        start=first,
        activation=last,
        parameters={
            "steps": steps,
            "learning_rate": rate,
            "jitter": jitter,
            "blur": blur,
            "blur_every": blur_every,
            "total_variation": penalty,
            "colours": "decorrelated" if decorrelated else "plain",
            "seed": seed,
            "objective": objective.formula,
        }
        | session.parameters,
        warnings=tuple(warnings),
    )


def _overflowing() -> Any:
    """Within it NumPy is silent about overflow: the ascent looks for what is not finite itself."""
    return np.errstate(over="ignore", invalid="ignore")


def _read_target(target: Any) -> tuple[np.ndarray, Any, list[Any]]:
    """Classes, or a layer and its units; the unit of a whole layer is None."""
    none = np.zeros(0, np.int64)
    if isinstance(target, tuple):
        if len(target) != 2:
            raise ValueError(f"`target` must be (layer, unit) as a tuple. Received: target={target!r}")
        layer, units = target
        units = list(units) if isinstance(units, (list, range, np.ndarray)) else [units]
        if not units:
            raise ValueError(f"`target` must name at least one unit. Received: target={target!r}")
        return none, layer, units
    if isinstance(target, str) or hasattr(target, "call"):
        return none, target, [None]
    classes = np.atleast_1d(np.asarray(target))
    if classes.dtype.kind not in "iu" or classes.ndim != 1 or not len(classes):
        raise ValueError(
            "`target` must be a class, a list of classes, a layer or a tuple (layer, unit). "
            f"Received: target={target!r}"
        )
    return classes.astype(np.int64), None, []


def _shape(model: Any, size: Any, dtype: Any) -> tuple[int, int, int]:
    if not hasattr(model, "_make_trace"):
        raise TypeError(f"`model` must be a keras Model or Sequential. Received: {type(model).__name__}")
    inputs = trace(model, training=False).inputs
    shapes = [tuple(symbol.shape) for symbol in inputs]
    if len(inputs) != 1 or len(shapes[0]) != 4 or shapes[0][3] is None:
        raise ValueError(f"`model` must have one input of images (n,H,W,C). Received: inputs {shapes}")
    height, width, channels = shapes[0][1:]
    if size is not None:
        if not isinstance(size, (tuple, list)) or len(size) != 2:
            raise ValueError(f"`size` must be (height, width). Received: size={size!r}")
        given = whole("size", size[0], 1), whole("size", size[1], 1)
        if (height or given[0], width or given[1]) != given:
            raise ValueError(f"`size` must fit the model's input {shapes[0]}. Received: size={size!r}")
        height, width = given
    if height is None or width is None:
        raise ValueError(f"`size` must be given, because the model takes any: its input is {shapes[0]}")
    return height, width, channels


class _Objective:
    """The activations that are maximised, and their gradient at the images.

    Attributes:
        labels: of the images.
        formula: in words.
    """

    def __init__(self, session: Session, layer: Any, units: list[Any]):
        self.session, self.symbol = session, None
        if layer is None:
            assert session.asked is not None
            self.labels = tuple(session.label(int(c)) for c in session.asked)
            self.formula = f"{session.parameters['score']} of the class"
            return
        place = self._place(layer)
        self.symbol = place.symbol
        maker = self.symbol.maker
        if maker is not None and maker.op == "relu" and units != [None]:
            self.symbol = maker.inputs[0]
        shape = tuple(self.symbol.shape)
        self.units = [None if unit is None else _unit(unit, shape, place.path) for unit in units]
        self.labels = tuple(
            place.path if unit is None else f"{place.path} {', '.join(map(str, unit))}" for unit in self.units
        )
        kind = "before ReLU" if self.symbol is not place.symbol else ""
        self.formula = "mean of squares" if units == [None] else f"mean {kind}".strip()

    def _place(self, layer: Any) -> layers.Place:
        session = self.session
        every = layers.places(session.model, session.trace)
        maps = [place for place in every if place.is_map]
        path = layers._path(session.model, layer, lambda: layers._choices(maps))
        place = layers._named(every, maps, path)
        if session.image.id not in layers.upstream(place.symbol):
            raise ValueError(f"layer {place.path!r} is not computed from the image")
        return place

    def __call__(
        self, x: np.ndarray, part: slice, slope: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(n,) activations and the gradient of each at its image."""
        session, image = self.session, self.session.image
        x = np.ascontiguousarray(x, image.dtype.as_numpy_dtype)
        wanted = session.target.fetches() if self.symbol is None else [self.symbol]
        instance = session.trace.program.run([(image, x)], wanted, track=slope)
        if self.symbol is None:
            assert session.asked is not None
            scored = session.target.scored(instance, session.asked[part])
            value, symbol, seed = scored.score, scored.symbol, scored.seed
        else:
            symbol = self.symbol
            value, seed = self._of_units(np.asarray(instance.value(symbol), np.float64), part)
        if not slope:
            return value, None
        (gradient,) = instance.backward([(symbol, seed.astype(symbol.dtype.as_numpy_dtype))], [image])
        if gradient is None:
            raise ValueError(
                "the target does not depend on the image, or only through whole numbers: it has no gradient"
            )
        return value, np.asarray(gradient, np.float64)

    def _of_units(self, activations: np.ndarray, part: slice) -> tuple[np.ndarray, np.ndarray]:
        value, seed = np.empty(len(activations)), np.zeros_like(activations)
        for i, unit in enumerate(self.units[part]):
            one = activations[i]
            if unit is None:
                value[i], seed[i] = (one * one).mean(), 2 * one / one.size
            else:
                at = (..., unit[0]) if len(unit) == 1 else unit
                value[i], seed[i][at] = one[at].mean(), 1 / one[at].size
        return value, seed


def _unit(unit: Any, shape: tuple[int | None, ...], path: str) -> tuple[int, ...]:
    """A unit as (number,) or (row, column, number), within the layer's shape."""
    wanted = f"`target` must name a unit of layer {path!r}, whose output is {shape}: a number"
    wanted += ", or (row, column, number)" if len(shape) == 4 else ""
    given = tuple(unit) if isinstance(unit, (tuple, list)) else (unit,)
    sides = shape[1:] if len(given) > 1 else shape[-1:]
    whole_numbers = all(isinstance(u, (int, np.integer)) and not isinstance(u, bool) for u in given)
    if not whole_numbers or len(given) != len(sides):
        raise ValueError(f"{wanted}. Received: unit {unit!r}")
    if any(not 0 <= u or (side is not None and u >= side) for u, side in zip(given, sides, strict=True)):
        raise ValueError(f"{wanted}. Received: unit {unit!r}")
    return tuple(int(u) for u in given)


def _known(session: Session, preprocess: Any) -> Any:
    return preprocess if preprocess is not None else layers.said_by(session.model, "preprocess")


def _is_bgr(session: Session, preprocess: Any) -> bool:
    return isinstance(known := _known(session, preprocess), str) and known == "caffe"


def _space(session: Session, colours: Any, low: Any, high: Any, preprocess: Any) -> tuple[Space, bool]:
    channels = session.image.shape[3]
    if colours is not None and colours not in _COLOURS:
        raise ValueError(f"`colours` must be None, {' or '.join(_COLOURS)}. Received: colours={colours!r}")
    if colours == "decorrelated" and channels != 3:
        raise ValueError(f"`colours='decorrelated'` is for 3 channels. Received: a model of {channels}")
    decorrelate = colours == "decorrelated" or (colours is None and channels == 3)
    known = _known(session, preprocess) is not None
    ends = {"low": ("black", 0.0, low), "high": ("white", 1.0, high)}
    least, most = (
        bound(session, name, (colour if known else value) if given is None else given, preprocess)
        for name, (colour, value, given) in ends.items()
    )
    return Space(least, most, decorrelate, _is_bgr(session, preprocess)), decorrelate


def _beginning(session: Session, space: Space, start: Any, seed: int) -> np.ndarray:
    count = len(session.inputs)
    shape = (*session.inputs.size, session.image.shape[3])
    if start is None:
        noise = np.asarray(random.stateless_normal(shape, (seed, 0), stddev=_SPREAD), np.float64)
        return np.broadcast_to(noise, (count, *shape))
    array = np.asarray(start)
    if array.dtype.kind not in "buif" or array.shape not in (shape, (count, *shape), (1, *shape)):
        raise ValueError(
            f"`start` must have shape {shape} or {(count, *shape)}. Received: shape={array.shape}, "
            f"dtype={array.dtype}"
        )
    if not np.isfinite(array).all():
        raise ValueError("`start` must be finite. Received: NaN or infinity")
    return np.broadcast_to(space.inverse(array.astype(np.float64)), (count, *shape))


@dataclass
class _Ascent:
    objective: _Objective
    space: Space
    rate: float
    jitter: int
    blur: float
    blur_every: int
    penalty: float

    def run(
        self, z: np.ndarray, shifts: np.ndarray, part: slice, tick: Callable[[], Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """s (n,H,W,C) at the end, the curve (n, steps), and the activations before and after."""
        space = self.space
        moments = np.zeros_like(z), np.zeros_like(z)
        s = space.unit(z)
        first = self.objective(space.pixels(s), part, slope=False)[0]
        curve = np.empty((len(z), len(shifts)))
        for step, (down, right) in enumerate(shifts.tolist()):
            shifted = np.roll(space.pixels(s), (down, right), (1, 2))
            value, dx = self.objective(shifted, part)
            assert dx is not None
            rough, ds = total_variation(s) if self.penalty else (0.0, 0.0)
            curve[:, step] = value - self.penalty * rough
            dz = space.back(s, np.roll(dx, (-down, -right), (1, 2)), -self.penalty * ds)
            if not (np.isfinite(dz).all() and np.isfinite(value).all()):
                raise ValueError(
                    f"the activation or its gradient is not finite at step {step}: the network's values "
                    "overflow or its weights hold NaN"
                )
            z = z + self.rate * _adam(moments, dz, step + 1)
            if self.blur and (step + 1) % self.blur_every == 0:
                z = blurred(z, self.blur)
            s = space.unit(z)
            tick()
        last = self.objective(space.pixels(s), part, slope=False)[0]
        return s, curve, first, last

    def moved(self, curve: np.ndarray) -> np.ndarray:
        """(n,) whether the objective changed at all."""
        return np.ptp(curve, axis=1) > 0 if curve.shape[1] > 1 else np.ones(len(curve), bool)


def _adam(moments: tuple[np.ndarray, np.ndarray], gradient: np.ndarray, step: int) -> np.ndarray:
    mean, square = moments
    mean += (1 - _DECAY[0]) * (gradient - mean)
    square += (1 - _DECAY[1]) * (gradient**2 - square)
    return (mean / (1 - _DECAY[0] ** step)) / (np.sqrt(square / (1 - _DECAY[1] ** step)) + 1e-8)
