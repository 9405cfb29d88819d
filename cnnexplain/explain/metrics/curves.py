"""Insertion and deletion: the score while an image appears, or goes, in the order of its map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import Shared, method
from ..rise import SCORE, _explains_probability
from ..sampling import values_of, whole
from .common import background, checked_maps, named, open_metric, ranks_of, scores_of
from .result import Metric

if TYPE_CHECKING:
    from typing_extensions import Unpack


@_explains_probability
@method
def insertion(
    model: Any,
    images: Any,
    maps: Any,
    class_index: Any = None,
    *,
    steps: int = 50,
    baseline: Any = "blur",
    seed: int = 0,
    **shared: Unpack[Shared],
) -> Metric:
    """Insertion: the area under the score's curve while the pixels appear, the most important first.

    After step s of `steps` the round(s H W / steps) highest pixels of the map are the image's and the others
    the baseline's; the curve has steps + 1 points over the visible part 0..1, and its area is that of the
    trapezoids. Petsiuk, Das and Saenko, arXiv 1806.07421. Pixels of equal value come in an order drawn from
    `seed`, which is the same for all images and maps: a constant map is measured as a random one is.

    Args:
        steps: of the curve; the image's pixels where it has fewer.
        baseline: what is seen before. "blur" (the paper: a Gaussian of 11 x 11 pixels with deviation 5), None
            (0), a number, an array (H,W,C), or (n,H,W,C) for one per image, "black", "white" or "mean".
        seed: of the order among equal values.
        score: "probability" (the paper), "logit", "log_probability", "loss" (the cross-entropy) or a
            callable of the output tensor.

    Returns:
        A Metric; higher is better.

    Raises:
        ValueError: maps that do not fit the images, or no such baseline, class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> e = cx.explain.grad_cam(network, image)
    >>> m = cx.explain.metrics.insertion(network, image, e, steps=10)
    >>> m.curve.shape, m.higher_is_better
    ((11,), True)
    """
    return _curve("insertion", model, images, maps, class_index, steps, baseline, seed, shared)


@_explains_probability
@method
def deletion(
    model: Any,
    images: Any,
    maps: Any,
    class_index: Any = None,
    *,
    steps: int = 50,
    baseline: Any = None,
    seed: int = 0,
    **shared: Unpack[Shared],
) -> Metric:
    """Deletion: the area under the score's curve while the pixels go, the most important first.

    As `insertion`, with the highest pixels replaced by the baseline. Petsiuk, Das and Saenko, arXiv
    1806.07421. Pixels of equal value go in an order drawn from `seed`, which is the same for all images and
    maps.

    Args:
        steps: of the curve; the image's pixels where it has fewer.
        baseline: what is seen afterwards. None: 0 (the paper). "blur" (a Gaussian of 11 x 11 pixels with
            deviation 5), a number, an array (H,W,C), or (n,H,W,C) for one per image, "black", "white" or
            "mean".
        seed: of the order among equal values.
        score: "probability" (the paper), "logit", "log_probability", "loss" (the cross-entropy) or a
            callable of the output tensor.

    Returns:
        A Metric; lower is better.

    Raises:
        ValueError: maps that do not fit the images, or no such baseline, class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> m = cx.explain.metrics.deletion(network, image, image, class_index=7, steps=10)
    >>> m.curve.shape, m.higher_is_better
    ((11,), False)
    """
    return _curve("deletion", model, images, maps, class_index, steps, baseline, seed, shared)


def area(curves: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(n,) the areas under curves (n, points), by trapezoids."""
    return ((curves[:, 1:] + curves[:, :-1]) / 2 * np.diff(places)).sum(1)


def _curve(
    name: str,
    model: Any,
    images: Any,
    maps: Any,
    class_index: Any,
    steps: Any,
    baseline: Any,
    seed: Any,
    shared: Mapping[str, Any],
) -> Metric:
    asked, start = whole("steps", steps, 1), whole("seed", seed, None)
    session, scored = open_metric(name, model, images, maps, class_index, {"score": SCORE, **shared})
    x, (height, width) = values_of(session), session.inputs.size
    ranks = ranks_of(checked_maps(maps, len(x), (height, width)), start)
    hidden = background(session, baseline, shared.get("preprocess"))
    pixels = height * width
    count = min(asked, pixels)
    taken = (2 * np.arange(count + 1) * pixels + count) // (2 * count)
    appears = name == "insertion"

    def variant(image: int, step: int) -> np.ndarray:
        first = (ranks(image) < taken[step])[..., None]
        return np.where(first == appears, x[image], hidden(image))

    scores = scores_of(session, scored, count + 1, variant)
    places = taken / pixels
    return Metric(
        name,
        area(scores, places),
        higher_is_better=appears,
        curves=scores,
        places=places,
        axes=("visible part" if appears else "hidden part", session.parameters["score"]),
        details={"class_index": session.target.class_of(scored.class_index), "score": scored.score},
        parameters={"steps": count, "baseline": named(baseline), "seed": start, **session.parameters},
        notes=session.notes,
    )
