"""Gradients of noisy copies of the image: their mean, mean square and variance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import Shared, method, open_session
from .explanation import Explanation
from .gradients import check_activations
from .sampling import Noise, check_reduce, finish_pixels, first_look, image_gradient, variants, whole

if TYPE_CHECKING:
    from typing_extensions import Unpack

_BASES = {
    "gradient": ("dy/dx", "true"),
    "input_x_gradient": ("x * dy/dx", "true"),
    "guided_backprop": ("the guided gradient", "guided"),
    "rectified_gradient": ("the rectified gradient", "rectified"),
}


class _Mean:
    """The mean of what is added, in float64."""

    def __init__(self, shape: tuple[int, ...]):
        self.sum, self.count = np.zeros(shape), 0

    def add(self, value: np.ndarray) -> None:
        self.sum += value
        self.count += 1

    def result(self) -> np.ndarray:
        return self.sum / self.count


class _MeanSquare(_Mean):
    def add(self, value: np.ndarray) -> None:
        super().add(np.square(value, dtype=np.float64))


class _Variance(_Mean):
    """Welford's way: nothing cancels where the mean is large."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__(shape)
        self.squares = np.zeros(shape)

    def add(self, value: np.ndarray) -> None:
        self.count += 1
        before = value - self.sum  # here self.sum is the mean so far
        self.sum += before / self.count
        before *= value - self.sum
        self.squares += before

    def result(self) -> np.ndarray:
        return self.squares / self.count


@method
def smooth_grad(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    base: str = "gradient",
    reduce: str = "sum",
    fallback: str | None = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """SmoothGrad: the mean over s of dy/dx at x + noise_s, normal with deviation noise * (max x - min x).

    The class is that of the image without noise. The finished map is the sum (or maximum) over channels of
    the mean's absolute value, divided by its maximum. Smilkov et al., arXiv 1706.03825.

    Args:
        base: what is averaged: "gradient" (the paper), "input_x_gradient", "guided_backprop" or
            "rectified_gradient" of the noisy copy.

    Returns:
        An Explanation; `raw` is the mean (n,H,W,C) with its sign.

    Raises:
        ValueError: no such base, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> cx.explain.smooth_grad(network, image, class_index=7, samples=4).raw.shape
    (1, 28, 28, 1)
    """
    settings = (samples, noise, seed, base, reduce, fallback)
    return _explain(
        "smooth_grad", _Mean, "mean over noise of {}", model, images, class_index, shared, *settings
    )


@method
def square_grad(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    base: str = "gradient",
    reduce: str = "sum",
    fallback: str | None = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """SquareGrad (SmoothGrad squared): the mean over s of (dy/dx)^2 at x + noise_s, as `smooth_grad` has it.

    Hooker et al., arXiv 1806.10758.

    Args:
        base: what is squared: "gradient" (the paper), "input_x_gradient", "guided_backprop" or
            "rectified_gradient" of the noisy copy.

    Returns:
        An Explanation; `raw` is the mean square (n,H,W,C), 0 or more.

    Raises:
        ValueError: no such base, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> bool(cx.explain.square_grad(network, image, class_index=7, samples=4).raw.min() >= 0)
    True
    """
    settings = (samples, noise, seed, base, reduce, fallback)
    return _explain(
        "square_grad", _MeanSquare, "mean over noise of ({})^2", model, images, class_index, shared, *settings
    )


@method
def var_grad(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    base: str = "gradient",
    reduce: str = "sum",
    fallback: str | None = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """VarGrad: the variance over s of dy/dx at x + noise_s, as `smooth_grad` has it.

    The squared differences from the mean are divided by the number of samples.
    Adebayo et al., arXiv 1810.03307; Hooker et al., arXiv 1806.10758.

    Args:
        samples: how many noisy copies of each image, 2 or more.
        base: what varies: "gradient" (the paper), "input_x_gradient", "guided_backprop" or
            "rectified_gradient" of the noisy copy.

    Returns:
        An Explanation; `raw` is the variance (n,H,W,C), 0 or more.

    Raises:
        ValueError: no such base, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> bool(cx.explain.var_grad(network, image, class_index=7, samples=4).raw.min() >= 0)
    True
    """
    if whole("samples", samples, 1) == 1:
        raise ValueError("`samples` must be 2 or more: one sample has no variance. Received: samples=1")
    settings = (samples, noise, seed, base, reduce, fallback)
    return _explain(
        "var_grad", _Variance, "variance over noise of {}", model, images, class_index, shared, *settings
    )


def _explain(
    name: str,
    statistic: Callable[[tuple[int, ...]], _Mean],
    formula: str,
    model: Any,
    images: Any,
    class_index: Any,
    shared: Shared,
    samples: int,
    noise: float,
    seed: int,
    base: str,
    reduce: str,
    fallback: str | None,
) -> Explanation:
    if base not in _BASES:
        raise ValueError(f"`base` must be one of {', '.join(_BASES)}. Received: base={base!r}")
    check_reduce(reduce)
    what, gate = _BASES[base]
    session = open_session(name, model, images, class_index, shared)
    if gate != "true":
        check_activations(session, fallback, f"{name} of {base}", gate)
    draw = Noise(session, samples, noise, seed)
    scored = first_look(session).scored
    raw = np.empty_like(draw.images)
    gathered = statistic(raw.shape[1:])
    for rows in variants(session, scored.class_index, draw.samples, draw):
        gradients = image_gradient(session, rows.instance, rows.scored, gate)
        if base == "input_x_gradient":
            gradients = gradients * rows.feed
        for image, sample, gradient in zip(rows.image, rows.variant, gradients, strict=True):
            gathered.add(gradient)
            if sample == draw.samples - 1:
                raw[image] = gathered.result()
                gathered = statistic(raw.shape[1:])
    return finish_pixels(
        session,
        scored,
        raw,
        reduce,
        method=name,
        reason=f"the {formula.format(what)} of {{}} is zero at every pixel",
        steps={"noisy copy": np.stack([draw(i, 0) for i in range(len(raw))]), formula.format(what): raw},
        formula=formula.format(what),
        base=base,
        samples=draw.samples,
        noise=float(noise),
        seed=draw.seed,
        fallback=fallback,
    )
