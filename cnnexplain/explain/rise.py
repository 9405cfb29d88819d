"""RISE: the image through random masks, and the masks added up by the score that they leave."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import ops, random

from .arguments import Function, Shared, method, open_session
from .baselines import baselines
from .explanation import Explanation
from .sampling import first_look, number, values_of, variants, whole

if TYPE_CHECKING:
    from typing_extensions import Unpack

SCORE = "probability"  # what the paper explains, and the default here
_CELLS = 7
_SHOWN = 8  # masks among the steps
_MOST_KEPT = 1 << 26  # bytes of masks kept for the next image


def _explains_probability(function: Function) -> Function:
    """Says so in the signature."""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(default=SCORE) if parameter.name == "score" else parameter
        for parameter in signature.parameters.values()
    ]
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return function


@_explains_probability
@method
def rise(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    masks: int = 4000,
    grid: int | tuple[int, int] | None = None,
    p: float = 0.5,
    seed: int = 0,
    baseline: Any = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """RISE: sum_i y(x * M_i) M_i / (masks * p), M_i random masks in 0..1.

    A mask is a grid of `grid` cells, each 1 with probability p and else 0, enlarged bilinearly (half-pixel
    centres) to one cell more than the image has in each direction, and cut at a random place of the first
    cell; a cell has ceil(H / grid) x ceil(W / grid) pixels. The mean of every pixel of a mask is p, so that
    `raw` estimates the mean score when that pixel is visible. The finished map is raw minus its minimum,
    divided by its maximum. Petsiuk, Das and Saenko, arXiv 1806.07421: 4000 masks for VGG16 and 8000 for
    ResNet50, 7 x 7, p = 0.5, the class's probability.

    Args:
        masks: how many; all images have the same.
        grid: cells down and to the right, or one number for both. None: 7 (the paper), or one for each pixel
            where the image has fewer.
        p: how often a cell is visible, between 0 and 1.
        seed: of the masks: the same seed gives the same masks, whatever `batch_size` is; more masks begin
            with those of fewer.
        baseline: what is seen where a mask hides the image: x * M + baseline * (1 - M). None: 0 (the paper).
            A number; an array (H,W,C), or (n,H,W,C) for one per image; "black", "white" or "mean".
        score: "probability" (the paper), "logit", "log_probability", "loss" (the cross-entropy) or a
            callable of the output tensor.

    Returns:
        An Explanation; `raw` is (n,H,W). `steps["masked scores"]` is (n, masks), `steps["masks"]` are the
        first eight of them, (n,H,W,8).

    Raises:
        ValueError: no such baseline, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> e = cx.explain.rise(network, image, class_index=7, masks=50)
    >>> e.raw.shape, e.steps["masked scores"].shape
    ((1, 28, 28), (1, 50))
    """
    count, start = whole("masks", masks, 1), whole("seed", seed, None)
    share = number("p", p)
    if not 0 < share < 1:
        raise ValueError(f"`p` must lie between 0 and 1, both excluded. Received: p={p!r}")
    session = open_session("rise", model, images, class_index, {"score": SCORE, **shared})
    x, size = values_of(session), session.inputs.size
    cells = _cells(grid, size)
    hidden = _hidden(session, baseline, shared.get("preprocess"))
    drawn: dict[int, np.ndarray] = {}
    most_kept = max(session.batch_size, _MOST_KEPT // (4 * size[0] * size[1]))

    def mask(which: int) -> np.ndarray:
        if which not in drawn:
            if len(drawn) >= most_kept:
                drawn.clear()
            drawn[which] = _mask(start, which, cells, size, share)
        return drawn[which]

    def masked(image: int, which: int) -> np.ndarray:
        visible = mask(which)[..., None].astype(x.dtype)
        seen = x[image] * visible
        return seen if hidden is None else seen + hidden[image % len(hidden)] * (1 - visible)

    scored = first_look(session).scored
    scores = np.zeros((len(x), count))
    sums, covered = np.zeros((len(x), *size)), np.zeros(size)
    for rows in variants(session, scored.class_index, count, masked, track=False):
        for image, which, value in zip(rows.image, rows.variant, rows.scored.score, strict=True):
            visible = mask(which)
            scores[image, which] = value
            sums[image] += value * visible.astype(np.float64)
            if image == 0:
                covered += visible
    raw = (sums / (count * share)).astype(x.dtype)
    above = raw - raw.min((1, 2), keepdims=True)
    few = np.stack([mask(which) for which in range(min(count, _SHOWN))], -1)
    maps = session.finish(above, scored.class_index, "the score of {} is the same under every mask")
    return session.explanation(
        scored,
        maps,
        raw,
        method="rise",
        layer=None,
        steps={
            "masks": np.broadcast_to(few, (len(x), *few.shape)),
            "masked scores": scores,
            "mean mask": np.broadcast_to(covered / count, (len(x), *size)),
            "weighted sum": raw,
            "above the minimum": above,
        },
        formula="sum of y(x * M) M over the masks, divided by masks * p",
        masks=count,
        grid=cells,
        p=share,
        seed=start,
        baseline="0" if baseline is None else baseline if isinstance(baseline, str) else "given",
    )


def _cells(grid: Any, size: tuple[int, int]) -> tuple[int, int]:
    if grid is None:
        return min(_CELLS, size[0]), min(_CELLS, size[1])
    pair = tuple(grid) if isinstance(grid, (tuple, list)) else (grid, grid)
    if len(pair) != 2:
        raise ValueError(f"`grid` must be a positive integer or a pair of them. Received: grid={grid!r}")
    cells = whole("grid", pair[0], 1), whole("grid", pair[1], 1)
    if cells[0] > size[0] or cells[1] > size[1]:
        raise ValueError(
            f"`grid` must have at most as many cells as the image has pixels, {size[0]} x {size[1]}. "
            f"Received: grid={grid!r}"
        )
    return cells


def _hidden(session: Any, baseline: Any, preprocess: Any) -> np.ndarray | None:
    """(n or 1,H,W,C); None: zeros."""
    if baseline is None:
        return None
    if isinstance(baseline, (list, tuple)):
        raise ValueError(
            "`baseline` must be a number, an array or one of black, white, mean. "
            f"Received: baseline={baseline!r}"
        )
    return baselines(session, baseline, preprocess)[0][0]


def _mask(seed: int, which: int, cells: tuple[int, int], size: tuple[int, int], p: float) -> np.ndarray:
    """Mask number `which`, (H,W) float32 in 0..1."""
    drawn = np.asarray(random.stateless_uniform((cells[0] * cells[1] + 2,), seed=(seed, which)))
    pixels = [-(-side // n) for side, n in zip(size, cells, strict=True)]
    top, left = (min(int(u * n), n - 1) for u, n in zip(drawn[-2:], pixels, strict=True))
    visible = (drawn[:-2] < p).astype(np.float32).reshape(1, *cells)
    enlarged = ops.resize(
        visible, ((cells[0] + 1) * pixels[0], (cells[1] + 1) * pixels[1]), method="bilinear"
    )
    return np.asarray(enlarged)[0, top : top + size[0], left : left + size[1]]
