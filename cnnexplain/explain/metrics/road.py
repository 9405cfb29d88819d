"""ROAD: the score after pixels were removed so that their shape tells nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import random

from ..arguments import Shared, method
from ..rise import SCORE, _explains_probability
from ..sampling import number, values_of, whole
from .common import checked_maps, open_metric, ranks_of, scores_of
from .result import Metric

if TYPE_CHECKING:
    from typing_extensions import Unpack

_PARTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
_ORDERS = ("most", "least", "both")
_EXACT = 1e-9  # of the right side: where the solution is good enough


@_explains_probability
@method
def road(
    model: Any,
    images: Any,
    maps: Any,
    class_index: Any = None,
    *,
    fractions: Sequence[float] = _PARTS,
    order: str = "most",
    noise: float = 0.01,
    seed: int = 0,
    **shared: Unpack[Shared],
) -> Metric:
    """ROAD, remove and debias: the mean score after parts of the pixels were replaced from their neighbours.

    A removed pixel is the weighted mean of its eight neighbours, 1/6 for those at its sides and 1/12 for
    those at its corners (of those inside the image, scaled to 1), removed ones included: one linear system
    for all of them; then noise is added. Rong et al., arXiv 2202.00449, noisy linear imputation. Pixels of
    equal value go in an order drawn from `seed`, which is the same for all images and maps.

    Args:
        fractions: parts of the pixels that are removed, increasing, between 0 and 1.
        order: "most": the most important first, lower is better (the score falls); "least": the least
            important first, higher is better; "both": half the difference, least minus most, higher is
            better.
        noise: standard deviation of the normal noise, as a part of each image's range (maximum minus
            minimum) in the values that the model takes.
        seed: of the noise and of the order among equal values.
        score: "probability", "logit", "log_probability", "loss" (the cross-entropy) or a callable of the
            output tensor.

    Returns:
        A Metric whose curve is over `fractions`; the value is the curve's mean.

    Raises:
        ValueError: maps that do not fit the images, or no such order, class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> e = cx.explain.grad_cam(network, image)
    >>> m = cx.explain.metrics.road(network, image, e, fractions=[0.2, 0.5])
    >>> m.curve.shape, m.higher_is_better
    ((2,), False)
    """
    parts = _fractions(fractions)
    if order not in _ORDERS:
        raise ValueError(f"`order` must be one of {', '.join(_ORDERS)}. Received: order={order!r}")
    level, start = number("noise", noise), whole("seed", seed, None)
    if level < 0:
        raise ValueError(f"`noise` must be a number of 0 or more. Received: noise={noise!r}")
    session, scored = open_metric("road", model, images, maps, class_index, {"score": SCORE, **shared})
    x, (height, width) = values_of(session), session.inputs.size
    pixels = height * width
    ranks = ranks_of(checked_maps(maps, len(x), (height, width)), start)
    removed = np.minimum(np.rint(parts * pixels).astype(np.int64), pixels - 1)
    spread = level * (x.max((1, 2, 3)).astype(np.float64) - x.min((1, 2, 3)))
    ways = ("most", "least") if order == "both" else (order,)
    count = len(parts)

    def variant(image: int, which: int) -> np.ndarray:
        way, at = ways[which // count], which % count
        place = ranks(image)
        gone = place < removed[at] if way == "most" else place >= pixels - removed[at]
        drawn = np.asarray(random.stateless_normal(x.shape[1:], seed=(start, at + 1)), np.float64)
        filled = imputed(x[image], gone)
        filled[gone] += spread[image] * drawn[gone]
        return filled.astype(x.dtype)

    scores = scores_of(session, scored, len(ways) * count, variant)
    details = {"class_index": session.target.class_of(scored.class_index), "score": scored.score}
    if order == "both":
        details |= {"most first": scores[:, :count], "least first": scores[:, count:]}
        scores = (scores[:, count:] - scores[:, :count]) / 2
    return Metric(
        "road",
        scores.mean(1),
        higher_is_better=order != "most",
        curves=scores,
        places=parts,
        axes=("removed part", session.parameters["score"]),
        details=details,
        parameters={"order": order, "noise": level, "seed": start, **session.parameters},
        notes=session.notes,
    )


def _fractions(fractions: Any) -> np.ndarray:
    parts = np.atleast_1d(np.asarray(fractions, dtype=object))
    made = np.array([number("fractions", part) for part in parts.reshape(-1)])
    if not len(made) or made.min() <= 0 or made.max() >= 1 or (np.diff(made) <= 0).any():
        raise ValueError(
            f"`fractions` must be increasing numbers between 0 and 1, both excluded. Received: {fractions!r}"
        )
    return made


def imputed(image: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """(H,W,C) float64: the image with the pixels of `gone` (H,W) from the mean of their neighbours.

    For the removed pixels D x = W x, D the sum of the weights of the neighbours there are: a symmetric
    positive definite system, solved by conjugate gradients for all channels at once, with corrections on
    squares of 2, 4, 8, ... pixels besides those of single pixels (Bramble, Pasciak and Xu, Mathematics of
    Computation 55, 1990): what is far from a hole's edge is reached in few steps.
    """
    known = np.where(gone[..., None], 0, image.astype(np.float64))
    if not gone.any():
        return known
    inside = gone[..., None].astype(np.float64)
    weight = _around(np.ones_like(inside))
    squares = _squares(inside)
    size = np.abs(image).max()  # so that enormous values do not overflow when squared
    right = inside * _around(known / (size if size > 0 else 1))
    x = np.zeros_like(right)
    r = right.copy()
    z = inside * (r / weight + _coarse(r, squares))
    p = z.copy()
    rho = (r * z).sum((0, 1))
    least = _EXACT**2 * np.maximum(rho, np.finfo(np.float64).tiny)
    for _ in range(4 * gone.size):
        busy = rho > least
        if not busy.any():
            break
        q = inside * (weight * p - _around(p))
        with np.errstate(all="ignore"):
            step = np.where(busy, rho / (p * q).sum((0, 1)), 0)
        x += step * p
        r -= step * q
        z = inside * (r / weight + _coarse(r, squares))
        new = (r * z).sum((0, 1))
        with np.errstate(all="ignore"):
            p = z + np.where(busy, new / rho, 0) * p
        rho = new
    return known + x * size


def _around(x: np.ndarray) -> np.ndarray:
    """The weighted sum of the neighbours inside the image, (H,W,C): (1 2 1)/12 down and across, no middle."""
    rows = 2 * x
    rows[1:] += x[:-1]
    rows[:-1] += x[1:]
    total = 2 * rows
    total[:, 1:] += rows[:, :-1]
    total[:, :-1] += rows[:, 1:]
    total -= 4 * x
    total /= 12
    return total


def _squares(inside: np.ndarray) -> list[np.ndarray]:
    """For squares of 2, 4, 8, ... pixels, 1 / the sum of the weights that join one to what is around it.

    It is the sum to known pixels, and 4 side / 3 to other removed ones for a square of removed pixels, less
    in proportion for others; 0 where a square has none.
    """
    known, count, side = inside * _around(1 - inside), inside, 1
    made = []
    while max(count.shape[:2]) > 2:
        known, count, side = _halved(known), _halved(count), 2 * side
        joined = known + 4 / 3 * count / side
        made.append(np.divide(1, joined, out=np.zeros_like(joined), where=joined > 0))
    return made


def _coarse(r: np.ndarray, squares: list[np.ndarray]) -> np.ndarray | float:
    """The corrections of r (H,W,C) on these squares, added up."""
    if not squares:
        return 0.0
    total = _halved(r)
    total = total * squares[0] + _coarse(total, squares[1:])
    return total.repeat(2, 0).repeat(2, 1)[: r.shape[0], : r.shape[1]]


def _halved(x: np.ndarray) -> np.ndarray:
    """Sums of 2 x 2 pixels, of those there are."""
    x = np.pad(x, ((0, x.shape[0] % 2), (0, x.shape[1] % 2), (0, 0)))
    x = x[0::2] + x[1::2]
    return x[:, 0::2] + x[:, 1::2]
