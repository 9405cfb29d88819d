"""CAM methods without gradients, which weigh feature maps by what the score does: Score-CAM, Ablation-CAM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import ops

from .arguments import Shared, method, open_session
from .cams import Gathered, find_places, finish_layers, weighted_sum
from .explanation import Explanation
from .layers import upstream
from .sampling import first_look, values_of, variants, whole
from .session import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack


@method
def score_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    weighting: str = "softmax",
    max_channels: int | None = None,
    fuse: str = "mean",
    **shared: Unpack[Shared],
) -> Explanation:
    """Score-CAM: relu(sum_k w_k A_k), w = softmax over k of y(x * H_k) - y(0), H_k the map A_k as a mask.

    A (n,h,w,K) is the output of the layer and y the score; H_k is A_k enlarged bilinearly (half-pixel
    centres) and scaled from its minimum and maximum to 0 and 1; a map of one value everywhere makes an
    empty mask. All empty masks of an image share one run. The finished map is enlarged to the size of the
    image and divided by its maximum if that is positive. Wang et al., arXiv 1910.01279.

    Args:
        weighting: "softmax" (the paper), or "increase": the increases y(x * H_k) - y(0) themselves; with
            score="probability" they are the paper's increase of confidence.
        max_channels: None for all of them, or how many: those whose maps vary most over the pixels; the
            others count nothing. For layers of thousands of channels.

    Returns:
        An Explanation; `raw` is the weighted sum (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> cx.explain.score_cam(network, image, class_index=0, layer="conv2d_2").steps["channel weights"].shape
    (1, 64)
    """
    if weighting not in ("softmax", "increase"):
        raise ValueError(f"`weighting` must be one of softmax, increase. Received: weighting={weighting!r}")
    most = None if max_channels is None else whole("max_channels", max_channels, 1)
    session = open_session("score_cam", model, images, class_index, shared)
    places = find_places(session, layer, fuse)
    look = first_look(session, [(str(i), place.symbol) for i, place in enumerate(places)])
    gathered = Gathered(len(places))
    for i in range(len(places)):
        activations = look[str(i)]
        counted = _most_varying(activations, most)
        masks = counted & (activations.max((1, 2)) > activations.min((1, 2)))
        weights = increases = _increases(session, look.scored.class_index, activations, masks)
        if weighting == "softmax":
            powers = np.where(counted, increases, -np.inf)
            powers = np.exp(powers - powers.max(1, keepdims=True))
            weights = powers / powers.sum(1, keepdims=True)
        weights = weights.astype(activations.dtype)
        gathered.add(
            i,
            {
                "activations": activations,
                "increase of the score": increases,
                "channel weights": weights,
                "raw": weighted_sum(activations, weights),
            },
        )
    return finish_layers(
        session,
        look.scored,
        places,
        gathered.layers(),
        fuse,
        method="score_cam",
        formula="relu(sum_k w_k A_k), w = softmax of y(x * H_k) - y(0)"
        if weighting == "softmax"
        else "relu(sum_k w_k A_k), w_k = y(x * H_k) - y(0)",
        weighting=weighting,
        max_channels=most,
    )


def _most_varying(activations: np.ndarray, most: int | None) -> np.ndarray:
    """(n,K): the channels that count, at most `most` of an image."""
    counted = np.ones((len(activations), activations.shape[3]), bool)
    if most is not None:
        spread = activations.var((1, 2), dtype=np.float64)
        np.put_along_axis(counted, np.argsort(-spread, axis=1, kind="stable")[:, most:], False, 1)
    return counted


def _increases(
    session: Session, class_index: np.ndarray, activations: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """(n,K): y(x * H_k) - y(0), 0 where H_k is empty."""
    x = values_of(session)
    channels = [np.flatnonzero(row) for row in chosen]

    def masked(image: int, variant: int) -> np.ndarray:
        if variant == 0:
            return np.zeros_like(x[image])
        features = activations[image, :, :, channels[image][variant - 1]]
        mask = ops.resize(features, session.inputs.size, method="bilinear")
        low, high = mask.min(), mask.max()
        scaled = (mask - low) / (high - low) if high > low else np.zeros_like(mask)
        return x[image] * scaled[..., None].astype(x.dtype)

    increases = np.zeros(chosen.shape)
    empty = np.zeros(len(x))
    for rows in variants(session, class_index, [1 + len(own) for own in channels], masked, track=False):
        for image, variant, score in zip(rows.image, rows.variant, rows.scored.score, strict=True):
            if variant == 0:
                empty[image] = score
            else:
                increases[image, channels[image][variant - 1]] = score - empty[image]
    return increases


@method
def ablation_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    relative: bool = True,
    fuse: str = "mean",
    **shared: Unpack[Shared],
) -> Explanation:
    """Ablation-CAM: relu(sum_k w_k A_k), w_k = (y - y_k) / y, y_k the score when A_k is set to 0.

    A (n,h,w,K) is the output of the layer and y the score. Only what comes after the layer runs for each
    channel, and a map that is 0 everywhere is not run at all. The finished map is enlarged bilinearly
    (half-pixel centres) to the size of the image and divided by its maximum if that is positive. Desai and
    Ramaswamy, Ablation-CAM, WACV 2020.

    Args:
        relative: divide by y, as the paper does: a negative score turns the sign of the map, which the
            explanation warns of. False takes the drop y - y_k itself.

    Returns:
        An Explanation; `raw` is the weighted sum (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> e = cx.explain.ablation_cam(network, image, class_index=0, layer="conv2d_2")
    >>> e.steps["channel weights"].shape
    (1, 64)
    """
    session = open_session("ablation_cam", model, images, class_index, shared)
    places = find_places(session, layer, fuse)
    gathered = Gathered(len(places))
    scored = None
    for i, place in enumerate(places):
        beside = _beside(session, place.symbol)
        look = first_look(session, [("A", place.symbol), *((str(j), s) for j, s in enumerate(beside))])
        scored, activations = look.scored, look["A"]
        fed = [(symbol, look[str(j)]) for j, symbol in enumerate(beside)]
        drops = _drops(session, scored.score, scored.class_index, place.symbol, activations, fed)
        weights = drops
        if relative:
            y = scored.score[:, None]
            weights = np.divide(drops, y, out=np.zeros_like(drops), where=y != 0)
            low = np.flatnonzero(scored.score <= 0)
            if len(low) and i == 0:
                session.notes.append(
                    ("the weights are divided by a score that is not positive; relative=False does not", low)
                )
        weights = weights.astype(activations.dtype)
        gathered.add(
            i,
            {
                "activations": activations,
                "drop of the score": drops,
                "channel weights": weights,
                "raw": weighted_sum(activations, weights),
            },
        )
    assert scored is not None
    return finish_layers(
        session,
        scored,
        places,
        gathered.layers(),
        fuse,
        method="ablation_cam",
        formula="relu(sum_k w_k A_k), w_k = (y - y_k) / y"
        if relative
        else "relu(sum_k w_k A_k), w_k = y - y_k",
        relative=bool(relative),
    )


def _drops(
    session: Session,
    score: np.ndarray,
    class_index: np.ndarray,
    symbol: Any,
    activations: np.ndarray,
    fed: list[tuple[Any, np.ndarray]],
) -> np.ndarray:
    """(n,K): y - y_k, 0 where A_k is 0 already."""
    channels = [np.flatnonzero(row) for row in np.any(activations != 0, axis=(1, 2))]

    def without(image: int, variant: int) -> np.ndarray:
        copy = activations[image].copy()
        copy[:, :, channels[image][variant]] = 0
        return copy

    drops = np.zeros((len(activations), activations.shape[3]))
    counts = [len(own) for own in channels]
    for rows in variants(session, class_index, counts, without, track=False, fed=fed, at=symbol):
        for image, variant, value in zip(rows.image, rows.variant, rows.scored.score, strict=True):
            drops[image, channels[image][variant]] = score[image] - value
    return drops


def _beside(session: Session, symbol: Any) -> list[Any]:
    """What the part of the network after `symbol` reads from elsewhere: with these values it runs alone."""
    inputs = {s.id for s in session.trace.inputs}
    after: dict[int, bool] = {symbol.id: True}
    found: dict[int, Any] = {}

    def comes_after(start: Any) -> bool:
        stack = [start]
        while stack:
            value = stack[-1]
            if value.id in after:
                stack.pop()
                continue
            before = [
                v for v in (value.maker.inputs if value.maker is not None else ()) if hasattr(v, "maker")
            ]
            waiting = [v for v in before if v.id not in after]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            after[value.id] = any(after[v.id] for v in before)
            if after[value.id]:
                found.update({v.id: v for v in before if not after[v.id]})
        return after[start.id]

    for wanted in session.target.fetches():
        if not comes_after(wanted):
            found[wanted.id] = wanted
    return [value for value in found.values() if inputs & upstream(value)]
