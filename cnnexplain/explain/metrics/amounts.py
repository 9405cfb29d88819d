"""Completeness and infidelity: do attributions, as amounts, say how the score changes?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import random

from ..arguments import Shared, method
from ..explanation import Explanation
from ..sampling import number, values_of, variants, whole
from .common import amounts_score, background, checked_amounts, named, open_metric, scores_of
from .result import Metric

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MULTIPLIED = ("input_x_gradient", "integrated_gradients", "lrp", "deep_taylor")
_PERTURBATIONS = ("noise", "square")


@method
def completeness(
    model: Any,
    images: Any,
    attributions: Any,
    class_index: Any = None,
    *,
    baseline: Any = None,
    **shared: Unpack[Shared],
) -> Metric:
    """Completeness: |sum of attributions - (y(x) - y(x0))|, x0 the baseline; 0 where they explain all of it.

    Sundararajan, Taly and Yan, arXiv 1703.01365.

    Args:
        attributions: an Explanation whose `raw` has the image's shape, or an array (n,H,W,C) or (n,H,W) of
            amounts with their sign.
        baseline: x0. None: 0. A number; an array (H,W,C), or (n,H,W,C) for one per image; "black", "white",
            "mean" or "blur".
        score: "logit", "probability", "log_probability", "loss" (the cross-entropy) or a callable of the
            output tensor; the Explanation's own unless it is given.

    Returns:
        A Metric in units of the score; lower is better. `details` has "sum of attributions", "difference"
        y(x) - y(x0) and "relative", the gap divided by |difference| (infinite where only that is 0).

    Raises:
        ValueError: attributions that are no amounts of the image's values, or no such class, input or
            output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> e = cx.explain.integrated_gradients(network, image)
    >>> m = cx.explain.metrics.completeness(network, image, e)
    >>> bool(m.details["relative"][0] < 0.05)
    True
    """
    given = amounts_score(attributions, shared)
    session, scored = open_metric("completeness", model, images, attributions, class_index, given)
    amounts = checked_amounts(attributions, values_of(session).shape)
    start = background(session, baseline, shared.get("preprocess"))
    there = scores_of(session, scored, 1, lambda image, _: start(image))[:, 0]
    sums = amounts.sum((1, 2, 3))
    difference = scored.score - there
    gap = np.abs(sums - difference)
    with np.errstate(all="ignore"):
        relative = np.where(gap == 0, 0, gap / np.abs(difference))
    return Metric(
        "completeness",
        gap,
        higher_is_better=False,
        details={
            "class_index": session.target.class_of(scored.class_index),
            "sum of attributions": sums,
            "difference": difference,
            "relative": relative,
        },
        parameters={"baseline": named(baseline), **session.parameters},
        notes=session.notes,
    )


@method
def infidelity(
    model: Any,
    images: Any,
    attributions: Any,
    class_index: Any = None,
    *,
    perturbation: str = "noise",
    samples: int = 100,
    noise: float = 0.2,
    window: int | tuple[int, int] | None = None,
    scale: bool = False,
    multiplied: bool | None = None,
    seed: int = 0,
    **shared: Unpack[Shared],
) -> Metric:
    """Infidelity: the mean over perturbations I of (I . a - (y(x) - y(x - I)))^2, a the attributions.

    Yeh et al., arXiv 1901.09392. Attributions of x times a gradient are divided by x, so that both are
    measured in the same way; where x is 0 they count as 0.

    Args:
        attributions: an Explanation whose `raw` has the image's shape, or an array (n,H,W,C) or (n,H,W), one
            for all channels of a pixel.
        perturbation: "noise": normal noise; "square": a square at a random place is removed, I = x there.
        samples: perturbations of each image.
        noise: for "noise": its standard deviation, as a part of each image's range (maximum minus minimum).
        window: for "square": its side, or (height, width). None: a fourth of the image's.
        scale: multiplies a by the number that fits best, b = mean(I . a dy) / mean((I . a)^2), of each image:
            attributions whose scale means nothing.
        multiplied: whether the attributions were multiplied by x. None: of an Explanation by
            input_x_gradient, integrated_gradients, lrp and deep_taylor, no others.
        seed: of the perturbations: the same seed gives the same bits, whatever `batch_size` is.
        score: "logit", "probability", "log_probability", "loss" (the cross-entropy) or a callable of the
            output tensor; the Explanation's own unless it is given.

    Returns:
        A Metric in units of the squared score; lower is better. `details["scale"]` is b, 1 without `scale`.

    Raises:
        ValueError: attributions that are no amounts of the image's values, no such perturbation, class, input
            or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> a = np.zeros((28, 28))
    >>> cx.explain.metrics.infidelity(network, image, a, class_index=7, samples=10)
    <Metric infidelity ... of 1 image, lower is better>
    """
    if perturbation not in _PERTURBATIONS:
        raise ValueError(
            f"`perturbation` must be one of {', '.join(_PERTURBATIONS)}. Received: "
            f"perturbation={perturbation!r}"
        )
    count, start, level = whole("samples", samples, 1), whole("seed", seed, None), number("noise", noise)
    if not level > 0:
        raise ValueError(f"`noise` must be a positive number. Received: noise={noise!r}")
    given = amounts_score(attributions, shared)
    session, scored = open_metric("infidelity", model, images, attributions, class_index, given)
    x = values_of(session)
    amounts = checked_amounts(attributions, x.shape)
    if multiplied is None:
        multiplied = isinstance(attributions, Explanation) and attributions.method in _MULTIPLIED
    if multiplied:
        if amounts.shape[3] != x.shape[3]:
            raise ValueError(
                "`attributions` must have every channel when they were multiplied by x. Received: "
                f"{amounts.shape[:3]} for images {x.shape}"
            )
        amounts = np.divide(amounts, x, out=np.zeros_like(amounts), where=x != 0)
    spread = level * (x.max((1, 2, 3)).astype(np.float64) - x.min((1, 2, 3)))
    sides = _window(window, session.inputs.size)

    def perturbed(image: int, sample: int) -> np.ndarray:
        if perturbation == "noise":
            drawn = np.asarray(random.stateless_normal(x.shape[1:], seed=(start, sample)), np.float64)
            return (x[image] - spread[image] * drawn).astype(x.dtype)
        drawn = np.asarray(random.stateless_uniform((2,), seed=(start, sample), dtype="float64"))
        free = [s - w + 1 for s, w in zip(session.inputs.size, sides, strict=True)]
        top, left = (int(u * n) for u, n in zip(drawn, free, strict=True))
        without = x[image].copy()
        without[top : top + sides[0], left : left + sides[1]] = 0
        return without

    said, changed = np.zeros((len(x), count)), np.zeros((len(x), count))
    for rows in variants(session, scored.class_index, count, perturbed, track=False):
        for row, (image, sample) in enumerate(zip(rows.image, rows.variant, strict=True)):
            step = x[image].astype(np.float64) - rows.feed[row]
            said[image, sample] = (step * amounts[image]).sum()
            changed[image, sample] = scored.score[image] - rows.scored.score[row]
    factor = np.ones(len(x))
    if scale:
        squares = (said**2).mean(1)
        factor = np.divide((said * changed).mean(1), squares, out=np.ones(len(x)), where=squares > 0)
    return Metric(
        "infidelity",
        ((factor[:, None] * said - changed) ** 2).mean(1),
        higher_is_better=False,
        details={
            "class_index": session.target.class_of(scored.class_index),
            "scale": factor,
            "said": said,
            "changed": changed,
        },
        parameters={
            "perturbation": perturbation,
            "samples": count,
            "noise": level,
            "window": sides,
            "scale": bool(scale),
            "multiplied": bool(multiplied),
            "seed": start,
            **session.parameters,
        },
        notes=session.notes,
    )


def _window(window: Any, size: tuple[int, int]) -> tuple[int, int]:
    if window is None:
        return max(1, size[0] // 4), max(1, size[1] // 4)
    pair = tuple(window) if isinstance(window, (tuple, list)) else (window, window)
    if len(pair) != 2:
        raise ValueError(
            f"`window` must be a positive integer or a pair of them. Received: window={window!r}"
        )
    sides = whole("window", pair[0], 1), whole("window", pair[1], 1)
    if sides[0] > size[0] or sides[1] > size[1]:
        raise ValueError(
            f"`window` must fit into the image, {size[0]} x {size[1]}. Received: window={window!r}"
        )
    return sides
