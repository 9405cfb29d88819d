"""Average drop and increase in confidence: the score when only what the map shows is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import Shared, method
from ..rise import SCORE, _explains_probability
from ..sampling import values_of
from .common import background, checked_maps, named, open_metric, scores_of
from .result import Metric

if TYPE_CHECKING:
    from typing_extensions import Unpack


@_explains_probability
@method
def average_drop(
    model: Any,
    images: Any,
    maps: Any,
    class_index: Any = None,
    *,
    baseline: Any = None,
    **shared: Unpack[Shared],
) -> Metric:
    """Average drop in per cent: the mean of 100 max(0, Y - O) / Y, O the score of the image times its map.

    Y is the score of the whole image, O that of x * map + baseline * (1 - map). Chattopadhay et al., arXiv
    1710.11063. Where Y is not positive a relative drop means nothing: such images are left out and counted.

    Args:
        maps: an Explanation of these images, or an array (n,H,W) or (H,W) in 0..1.
        baseline: what is seen where the map is 0. None: 0 (the paper). A number; an array (H,W,C), or
            (n,H,W,C) for one per image; "black", "white", "mean" or "blur".
        score: "probability" (the paper), "logit", "log_probability", "loss" (the cross-entropy) or a
            callable of the output tensor.

    Returns:
        A Metric; lower is better. `details` has the scores Y and O.

    Raises:
        ValueError: maps that do not fit the images or leave 0..1, or no such baseline, class, input or
            output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> cx.explain.metrics.average_drop(network, image, np.ones((28, 28))).value
    0.0
    """
    return _masked("average_drop", model, images, maps, class_index, baseline, shared)


@_explains_probability
@method
def increase_in_confidence(
    model: Any,
    images: Any,
    maps: Any,
    class_index: Any = None,
    *,
    baseline: Any = None,
    **shared: Unpack[Shared],
) -> Metric:
    """Increase in confidence: the per cent of images whose score rises when they are multiplied by their map.

    Images count 100 where O > Y, else 0, with the scores of `average_drop`; equal scores are no increase.
    Chattopadhay et al., arXiv 1710.11063.

    Args:
        maps: an Explanation of these images, or an array (n,H,W) or (H,W) in 0..1.
        baseline: what is seen where the map is 0. None: 0 (the paper). A number; an array (H,W,C), or
            (n,H,W,C) for one per image; "black", "white", "mean" or "blur".
        score: "probability" (the paper), "logit", "log_probability", "loss" (the cross-entropy) or a
            callable of the output tensor.

    Returns:
        A Metric; higher is better. `details` has the scores Y and O.

    Raises:
        ValueError: maps that do not fit the images or leave 0..1, or no such baseline, class, input or
            output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> cx.explain.metrics.increase_in_confidence(network, image, np.ones((28, 28))).value
    0.0
    """
    return _masked("increase_in_confidence", model, images, maps, class_index, baseline, shared)


def _masked(
    name: str,
    model: Any,
    images: Any,
    maps: Any,
    class_index: Any,
    baseline: Any,
    shared: Mapping[str, Any],
) -> Metric:
    session, scored = open_metric(name, model, images, maps, class_index, {"score": SCORE, **shared})
    x = values_of(session)
    mask = checked_maps(maps, len(x), session.inputs.size)
    if mask.min() < 0 or mask.max() > 1:
        raise ValueError(
            "`maps` must lie in 0..1, as `Explanation.map` does. Received: values from "
            f"{mask.min():.4g} to {mask.max():.4g}"
        )
    hidden = background(session, baseline, shared.get("preprocess"))

    def masked(image: int, _: int) -> np.ndarray:
        visible = mask[image, ..., None].astype(x.dtype)
        return x[image] * visible + hidden(image) * (1 - visible)

    before, after = scored.score, scores_of(session, scored, 1, masked)[:, 0]
    known = np.isfinite(before) & np.isfinite(after)
    drop = name == "average_drop"
    if drop:
        known &= before > 0
        with np.errstate(all="ignore"):
            values = 100 * np.maximum(before - after, 0) / before
    else:
        values = 100.0 * (after > before)
    return Metric(
        name,
        np.where(known, values, np.nan),
        higher_is_better=not drop,
        reason="the score of the whole image is not finite or not positive"
        if drop
        else "the scores are not finite",
        details={
            "class_index": session.target.class_of(scored.class_index),
            "score": before,
            "masked score": after,
        },
        parameters={"baseline": named(baseline), **session.parameters},
        notes=session.notes,
    )
