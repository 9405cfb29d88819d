"""Integrated gradients: how the score came about on the straight way from a baseline to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import Shared, method, open_session
from .baselines import baselines
from .explanation import Explanation
from .sampling import (
    check_reduce,
    finish_pixels,
    first_look,
    image_gradient,
    values_of,
    variants,
    whole,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

RULES = ("gauss_legendre", "trapezoid", "middle", "left", "right")
_LARGE_GAP = 0.05  # of the score's difference, beyond which a sentence says so


@method
def integrated_gradients(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    steps: int = 50,
    baseline: Any = None,
    rule: str = "gauss_legendre",
    reduce: str = "sum",
    **shared: Unpack[Shared],
) -> Explanation:
    """Integrated gradients: (x - x0) * integral over a in 0..1 of dy/dx at x0 + a (x - x0), x0 the baseline.

    Completeness: the sum over all pixels is y(x) - y(x0). What is missing, `steps["completeness gap"]` (n,),
    is the error of the sum that stands for the integral; the explanation warns where it is more than 5 % of
    y(x) - y(x0). Sundararajan, Taly and Yan, arXiv 1703.01365.

    Args:
        steps: points of the way; 50 by default.
        baseline: x0, in the values that the model takes. None: 0. A number; an array (H,W,C), or (n,H,W,C)
            for one per image; "black" or "white" (the preprocessing of such pixels); "mean" (each image's own
            mean colour); or a list of these: the result is the mean over them.
        rule: the points and their weights: "gauss_legendre" (exact for polynomials of degree 2 steps - 1),
            "trapezoid" (both ends with half the weight), "middle", "left" (as the paper's sum, without the
            image) or "right" (without the baseline).

    Returns:
        An Explanation; `raw` is (n,H,W,C), with its sign.

    Raises:
        ValueError: a baseline that does not fit the image, or no such rule, class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> e = cx.explain.integrated_gradients(network, image, class_index=7)
    >>> e.raw.shape, bool(abs(e.steps["completeness gap"][0]) < 0.05 * abs(e.steps["sum of attributions"][0]))
    ((1, 28, 28, 1), True)
    """
    check_reduce(reduce)
    places, weights = _points(rule, whole("steps", steps, 2 if rule == "trapezoid" else 1))
    session = open_session("integrated_gradients", model, images, class_index, shared)
    x = values_of(session)
    starts, names = baselines(session, baseline, shared.get("preprocess"))
    count = len(places)

    def start(image: int, which: int) -> np.ndarray:
        return starts[which][image % len(starts[which])]

    def point(image: int, variant: int) -> np.ndarray:
        x0, a = start(image, variant // count), places[variant % count]
        return (x0 + a * (x[image] - x0)).astype(x.dtype)

    scored = first_look(session).scored
    there = np.zeros((len(x), len(starts)))
    quiet = session.progress
    session.progress = False
    for rows in variants(session, scored.class_index, len(starts), start, track=False):
        there[rows.image, rows.variant] = rows.scored.score
    session.progress = quiet
    raw = np.empty_like(x)
    sums = np.empty(len(x))
    means = np.zeros((len(starts), *x.shape[1:]))
    mean_gradients = np.empty_like(x)
    for rows in variants(session, scored.class_index, len(starts) * count, point):
        gradients = image_gradient(session, rows.instance, rows.scored)
        for image, variant, gradient in zip(rows.image, rows.variant, gradients, strict=True):
            means[variant // count] += weights[variant % count] * gradient.astype(np.float64)
            if variant == len(starts) * count - 1:
                ways = np.stack([x[image].astype(np.float64) - start(image, b) for b in range(len(starts))])
                exact = (ways * means).mean(0)
                raw[image], sums[image], mean_gradients[image] = exact, exact.sum(), means.mean(0)
                means[:] = 0
    gap = sums - (scored.score - there.mean(1))
    _note_gap(session, gap, scored.score - there.mean(1), x.dtype)
    return finish_pixels(
        session,
        scored,
        raw,
        reduce,
        method="integrated_gradients",
        reason="the integrated gradient of {} is zero at every pixel",
        steps={
            "baseline": np.stack(
                [np.mean([start(i, b) for b in range(len(starts))], 0) for i in range(len(x))]
            ),
            "mean gradient": mean_gradients,
            "attributions": raw,
            "score at the baseline": there.mean(1),
            "sum of attributions": sums,
            "completeness gap": gap,
        },
        formula="(x - x0) * integral of dy/dx from x0 to x",
        points=count,
        rule=rule,
        baseline=names[0] if len(names) == 1 else names,
    )


def _points(rule: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Places on the way, in 0..1, and their weights, which add up to 1."""
    if rule not in RULES:
        raise ValueError(f"`rule` must be one of {', '.join(RULES)}. Received: rule={rule!r}")
    if rule == "gauss_legendre":
        places, weights = np.polynomial.legendre.leggauss(steps)
        return (1 + places) / 2, weights / 2
    if rule == "trapezoid":
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    offset = {"left": 0.0, "middle": 0.5, "right": 1.0}[rule]
    return (np.arange(steps) + offset) / steps, np.full(steps, 1 / steps)


def _note_gap(session: Any, gap: np.ndarray, difference: np.ndarray, dtype: Any) -> None:
    rounding = np.sqrt(np.finfo(dtype).eps)
    large = np.abs(gap) > np.maximum(_LARGE_GAP * np.abs(difference), rounding)
    for i in np.flatnonzero(large | ~np.isfinite(gap)):
        session.notes.append(
            (
                f"the attributions add up to {gap[i] + difference[i]:.3g}, the score differs from the "
                f"baseline's by {difference[i]:.3g}: more `steps` make the gap smaller",
                np.array([i]),
            )
        )
